/* SPDX-License-Identifier: Apache-2.0 */
#include "client/core/client_priv.h"
#include "client/core/enrol.h"

/*
 * 35011/0/27002: the arguments are a list of (type u16, length u16, value), big endian; type 1 is
 * the name of a certificate with its end byte, the high bit of a type says that it may be ignored:
 * 00 01 00 06 "LWM2M" 00. The answer is a number as text.
 */
enum { RENEWAL = 35011, ENROLL = 27002, TYPE_NAME = 1, TYPE_OPTIONAL = 0x8000 };
#define STATUS_OK        "0"
#define STATUS_NOT_FOUND "1284"
#define STATUS_BUSY      "1285"
#define STATUS_INPUT     "1286"
#define STATUS_EST       "1287"

static const struct cl_res renewal_res[] = {
    {ENROLL, CL_NONE, CL_EXEC | CL_STREAM | CL_SEPARATE, "Enroll"},
};

/* There is something to renew only when the device has a certificate. */
static size_t renewal_instances(const struct cl_obj *obj, uint16_t ret[CL_INSTANCES_MAX])
{
    const struct cl_account *acc = &((struct cl_client *)obj->ctx)->accounts.account[CL_SERVER];

    ret[0] = 0;
    return acc->there && (acc->mode == CL_MODE_CERT || acc->mode == CL_MODE_EST) ? 1 : 0;
}

static unsigned be16(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

/* The name in the arguments. False: malformed, or none. */
static bool name_of(struct cl_bytes in, struct cl_bytes *ret)
{
    bool found = false;

    while (in.len >= 4) {
        unsigned type = be16(in.p), len = be16(in.p + 2);
        if (len > in.len - 4) {
            return false;
        }
        if (type == TYPE_NAME && len > 1 && in.p[4 + len - 1] == 0) {
            *ret = (struct cl_bytes){in.p + 4, len - 1};
            found = true;
        } else if ((type & TYPE_OPTIONAL) == 0) {
            return false;
        }
        in.p += 4 + len;
        in.len -= 4 + len;
    }
    return found && in.len == 0;
}

/* The new certificate counts from the next connection on. */
static void renewed(struct cl_client *cl, cl_err_t err)
{
    if (err == CL_OK && cl_accounts_save(&cl->accounts) != CL_OK) {
        cl_trouble(cl, "the new keys could not be stored", "");
    }
    cl_done_text(cl, err == CL_OK ? STATUS_OK : STATUS_EST);
}

static const char *refusal(const struct cl_client *cl, const struct cl_part *part)
{
    struct cl_bytes name = {NULL, 0};

    if (part->offset != 0 || !part->last ||
        !name_of((struct cl_bytes){part->p, part->len}, &name)) {
        return STATUS_INPUT;
    }
    if (!cl_bytes_are(name, "LWM2M")) {
        return STATUS_NOT_FOUND;
    }
    return cl->call.active || cl->enrolment.cb != NULL ? STATUS_BUSY : NULL;
}

static void renewal_event(void *ctx)
{
    cl_enrol(ctx, renewed);
}

static void refuse_event(void *ctx)
{
    struct cl_client *cl = ctx;

    cl_done_text(cl, cl->renewal_refusal);
}

static cl_err_t renewal_stream(const struct cl_obj *obj, uint16_t inst, uint16_t res,
                               const struct cl_part *part)
{
    struct cl_client *cl = obj->ctx;

    (void)inst;
    (void)res;
    if (part->format != CL_ID_NONE && part->format != CL_FMT_TEXT) {
        return CL_ERR_FORMAT;
    }
    cl->renewal_refusal = refusal(cl, part);
    cl_err_t err =
        cl_post(&cl->evq, cl->renewal_refusal != NULL ? refuse_event : renewal_event, cl);
    return err == CL_OK ? CL_ERR_LATER : err;
}

cl_err_t cl_renewal_object(struct cl_client *cl)
{
    cl->renewal_obj = (struct cl_obj){.id = RENEWAL,
                                      .res = renewal_res,
                                      .res_count = sizeof renewal_res / sizeof renewal_res[0],
                                      .ctx = cl,
                                      .instances = renewal_instances,
                                      .stream = renewal_stream};
    return cl_object_add(&cl->objects, &cl->renewal_obj);
}
