/* SPDX-License-Identifier: Apache-2.0 */
#include "client/core/update.h"

#include "client/core/client_priv.h"
#include "client/hal.h"

enum { OBJ_FIRMWARE = 5, OBJ_COMPONENT = 14, OBJ_PACKAGE = 10252, OBJ_SUPPORT = 10255 };
enum {
    FIRMWARE_PACKAGE,
    FIRMWARE_URI,
    FIRMWARE_UPDATE,
    FIRMWARE_STATE,
    FIRMWARE_RESULT = 5,
    FIRMWARE_NAME,
    FIRMWARE_VERSION,
    FIRMWARE_PROTOCOLS,
    FIRMWARE_DELIVERY,
};
enum { PKG_MANIFEST = 1, PKG_STATE, PKG_RESULT, PKG_NAME = 5, PKG_VERSION };
enum { SUPPORT_PROTOCOL, SUPPORT_VENDOR = 3, SUPPORT_CLASS };
enum { COMPONENT_NAME, COMPONENT_VERSION = 2 };

#define PROTOCOL_V3   4 /* 10255/0/0: manifests of version 3 */
#define DELIVERY_BOTH 2
#define PROXY_PATH    "/fw"
#define IMAGE_NAME    "drover-client"

static const struct cl_res firmware_res[] = {
    {FIRMWARE_PACKAGE, CL_OPAQUE, CL_WRITE | CL_STREAM, NULL},
    {FIRMWARE_URI, CL_STRING, CL_READ | CL_WRITE, NULL},
    {FIRMWARE_UPDATE, CL_NONE, CL_EXEC, NULL},
    {FIRMWARE_STATE, CL_INT, CL_READ, NULL},
    {FIRMWARE_RESULT, CL_INT, CL_READ, NULL},
    {FIRMWARE_NAME, CL_STRING, CL_READ, NULL},
    {FIRMWARE_VERSION, CL_STRING, CL_READ, NULL},
    {FIRMWARE_PROTOCOLS, CL_INT, CL_READ | CL_MULTI, NULL},
    {FIRMWARE_DELIVERY, CL_INT, CL_READ, NULL},
};
static const struct cl_res component_res[] = {
    {COMPONENT_NAME, CL_STRING, CL_READ, "Component Identity"},
    {COMPONENT_VERSION, CL_STRING, CL_READ, "Component Version"},
};
static const struct cl_res package_res[] = {
    {PKG_MANIFEST, CL_OPAQUE, CL_EXEC | CL_STREAM | CL_SEPARATE, "Package"},
    {PKG_STATE, CL_INT, CL_READ, "State"},
    {PKG_RESULT, CL_INT, CL_READ, "UpdateResult"},
    {PKG_NAME, CL_STRING, CL_READ, "PkgName"},
    {PKG_VERSION, CL_STRING, CL_READ, "PkgVersion"},
};
static const struct cl_res support_res[] = {
    {SUPPORT_PROTOCOL, CL_INT, CL_READ, "ProtocolSupported"},
    {SUPPORT_VENDOR, CL_OPAQUE, CL_READ, "Vendor"},
    {SUPPORT_CLASS, CL_OPAQUE, CL_READ, "Class"},
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* ---- objects ---- */

static void version_value(struct cl_update *up, uint32_t version, struct cl_value *ret)
{
    cl_version_text(version, up->text);
    cl_value_text(ret, up->text);
}

static cl_err_t firmware_read(const struct cl_obj *obj, uint16_t inst, uint16_t res, uint16_t ri,
                              struct cl_value *ret)
{
    struct cl_update *up = obj->ctx;
    uint16_t protocols = up->fetcher != NULL ? 3 : 2; /* CoAP, CoAPS, HTTP: numbers 0, 1, 2 */

    (void)inst;
    switch (res) {
    case FIRMWARE_URI:
        *ret = (struct cl_value){.type = ret->type, .s = {(const uint8_t *)"", 0}};
        if (up->fw.saved.origin == CL_FW_PULL) {
            ret->s = (struct cl_bytes){up->fw.source, up->fw.source_len};
        }
        return CL_OK;
    case FIRMWARE_STATE:
        ret->i = cl_fw_state5(&up->fw);
        return CL_OK;
    case FIRMWARE_RESULT:
        ret->i = cl_fw_result5(&up->fw);
        return CL_OK;
    case FIRMWARE_NAME:
        cl_value_text(ret, IMAGE_NAME);
        return CL_OK;
    case FIRMWARE_VERSION:
        version_value(up, cl_fw_package_version(&up->fw), ret);
        return CL_OK;
    case FIRMWARE_PROTOCOLS:
        ret->i = ri;
        return ri < protocols ? CL_OK : CL_ERR_NOENT;
    case FIRMWARE_DELIVERY:
        ret->i = DELIVERY_BOTH;
        return CL_OK;
    default:
        return CL_ERR_NOENT;
    }
}

static cl_err_t firmware_write(const struct cl_obj *obj, uint16_t inst, uint16_t res, uint16_t ri,
                               const struct cl_value *v)
{
    struct cl_update *up = obj->ctx;

    (void)inst;
    (void)ri;
    return res == FIRMWARE_URI ? cl_fw_package_uri(&up->fw, (const char *)v->s.p, v->s.len)
                               : CL_ERR_DENIED;
}

static cl_err_t firmware_stream(const struct cl_obj *obj, uint16_t inst, uint16_t res,
                                const struct cl_part *part)
{
    struct cl_update *up = obj->ctx;

    (void)inst;
    (void)res;
    if (part->format != CL_FMT_OPAQUE && part->format != CL_FMT_TEXT &&
        part->format != CL_ID_NONE) {
        return CL_ERR_FORMAT;
    }
    return cl_fw_package(&up->fw, part->offset, part->p, part->len, part->last);
}

static cl_err_t firmware_exec(const struct cl_obj *obj, uint16_t inst, uint16_t res,
                              const uint8_t *args, size_t len)
{
    struct cl_update *up = obj->ctx;

    (void)inst;
    (void)res;
    (void)args;
    (void)len;
    return cl_fw_update(&up->fw);
}

static cl_err_t component_read(const struct cl_obj *obj, uint16_t inst, uint16_t res, uint16_t ri,
                               struct cl_value *ret)
{
    struct cl_update *up = obj->ctx;

    (void)inst;
    (void)ri;
    if (res == COMPONENT_NAME) {
        cl_value_text(ret, "MAIN");
    } else {
        version_value(up, cl_fw_version(&up->fw), ret);
    }
    return CL_OK;
}

static cl_err_t package_read(const struct cl_obj *obj, uint16_t inst, uint16_t res, uint16_t ri,
                             struct cl_value *ret)
{
    struct cl_update *up = obj->ctx;

    (void)inst;
    (void)ri;
    switch (res) {
    case PKG_STATE:
        ret->i = cl_fw_state(&up->fw);
        return CL_OK;
    case PKG_RESULT:
        ret->i = cl_fw_result(&up->fw);
        return CL_OK;
    default: /* name and version are of older manifests: object 14 has them */
        cl_value_text(ret, "");
        return CL_OK;
    }
}

static cl_err_t package_stream(const struct cl_obj *obj, uint16_t inst, uint16_t res,
                               const struct cl_part *part)
{
    struct cl_update *up = obj->ctx;

    (void)inst;
    (void)res;
    if (part->format != CL_FMT_TEXT && part->format != CL_ID_NONE) {
        return CL_ERR_FORMAT;
    }
    if (part->offset == 0) {
        up->manifest_len = 0;
    }
    if (part->offset != up->manifest_len || part->len > sizeof up->manifest - up->manifest_len) {
        return CL_ERR_SPACE;
    }
    memcpy(up->manifest + up->manifest_len, part->p, part->len);
    up->manifest_len += part->len;
    return part->last ? cl_fw_manifest(&up->fw, up->manifest, up->manifest_len) : CL_OK;
}

static cl_err_t support_read(const struct cl_obj *obj, uint16_t inst, uint16_t res, uint16_t ri,
                             struct cl_value *ret)
{
    const struct cl_update *up = obj->ctx;

    (void)inst;
    (void)ri;
    if (res == SUPPORT_PROTOCOL) {
        ret->i = PROTOCOL_V3;
        return CL_OK;
    }
    ret->s = (struct cl_bytes){res == SUPPORT_VENDOR ? up->fw.conf.vendor : up->fw.conf.class_id,
                               CL_UUID_LEN};
    return CL_OK;
}

/* ---- the engine's needs ---- */

static void step_event(void *ctx)
{
    struct cl_update *up = ctx;
    struct cl_evq *q = &up->client->evq;

    cl_cancel(q, step_event, up);
    up->kicked = false;
    uint32_t wait = cl_fw_step(&up->fw, q->now_ms);
    if (!up->kicked && wait != CL_FW_NEVER && cl_post_after(q, wait, step_event, up) != CL_OK) {
        hal_reset(); /* the queue has room for all that this program posts */
    }
}

static void on_kick(void *ctx)
{
    struct cl_update *up = ctx;

    up->kicked = true;
    cl_cancel(&up->client->evq, step_event, up);
    if (cl_post(&up->client->evq, step_event, up) != CL_OK) {
        hal_reset();
    }
}

static void on_changed(void *ctx, uint16_t obj, uint16_t inst, uint16_t res)
{
    cl_changed(((struct cl_update *)ctx)->client, obj, inst, res);
}

static bool on_unsent(void *ctx, uint16_t obj, uint16_t inst, uint16_t res)
{
    return cl_unsent(((struct cl_update *)ctx)->client, obj, inst, res);
}

static void on_reset(void *ctx)
{
    cl_reboot(((struct cl_update *)ctx)->client);
}

/* ---- downloads ---- */

static cl_err_t call_part(struct cl_call *call, const struct cl_part *part)
{
    struct cl_update *up = call->ctx;

    return cl_fw_data(&up->fw, (uint32_t)part->offset, part->p, part->len);
}

/* Not inside the callback of a call: this ends all calls. */
static void reconnect_event(void *ctx)
{
    struct cl_update *up = ctx;

    if (up->client->state == CL_REGISTERED) {
        cl_retry(up->client, "a download got no answer");
    }
}

static void call_done(struct cl_call *call, cl_err_t err, const struct cl_msg *answer)
{
    struct cl_update *up = call->ctx;

    if (err == CL_ERR_TIMEOUT && cl_post(&up->client->evq, reconnect_event, up) != CL_OK) {
        hal_reset(); /* the queue has room for all that this program posts */
    }
    if (err == CL_ERR_REFUSED) {
        err = CL_ERR_CLOSED; /* a Reset: the server began anew */
    }
    if (err == CL_OK && (answer->code == CL_CODE(5, 0) || answer->code == CL_CODE(5, 2) ||
                         answer->code == CL_CODE(5, 3) || answer->code == CL_CODE(5, 4))) {
        err = CL_ERR_BUSY; /* not now */
    } else if (err == CL_OK && answer->code >> 5 != 2) {
        err = CL_ERR_REFUSED;
    }
    cl_fw_fetched(&up->fw, err);
}

/* The path of an address of the server that we are registered with; false: it is another's. */
static bool own_path(struct cl_update *up)
{
    struct cl_uri own, target;
    char *path = strstr(up->uri, "://");

    path = path != NULL ? strchr(path + 3, '/') : NULL;
    if (path == NULL || strchr(path, '?') != NULL || strchr(path, '%') != NULL) {
        return false;
    }
    memcpy(up->path, path, strlen(path) + 1);
    *path = '\0'; /* the parser takes addresses of servers, which have none */
    bool same = cl_uri_parse(up->client->accounts.account[CL_SERVER].uri, &own) == CL_OK &&
                cl_uri_parse(up->uri, &target) == CL_OK && own.scheme == target.scheme &&
                own.port == target.port && strcmp(own.host, target.host) == 0;
    *path = '/';
    return same;
}

static bool begins(const char *text, size_t len, const char *with)
{
    size_t n = strlen(with);

    return len > n && memcmp(text, with, n) == 0;
}

static cl_err_t on_fetch(void *ctx, const char *uri, size_t uri_len, uint32_t offset)
{
    struct cl_update *up = ctx;
    const char *proxy_uri = up->uri;

    up->by_fetcher = up->fetcher != NULL && begins(uri, uri_len, up->fetcher->scheme);
    if (up->by_fetcher) {
        return up->fetcher->start(up->fetcher->ctx, uri, uri_len, offset);
    }
    if (!begins(uri, uri_len, "coap://") && !begins(uri, uri_len, "coaps://") &&
        !begins(uri, uri_len, "http://") && !begins(uri, uri_len, "https://")) {
        return CL_ERR_FORMAT;
    }
    memcpy(up->uri, uri, uri_len); /* at most CL_PAYLOAD_URI_MAX: the engine saw to it */
    up->uri[uri_len] = '\0';
    if (strlen(up->uri) != uri_len) {
        return CL_ERR_INVAL;
    }
    if (own_path(up)) {
        proxy_uri = NULL;
    } else {
        memcpy(up->path, PROXY_PATH, sizeof PROXY_PATH);
    }
    uint8_t etag[sizeof up->call.etag], etag_len = offset != 0 ? up->call.etag_len : 0;
    memcpy(etag, up->call.etag, sizeof etag);
    up->call =
        (struct cl_call){.part = call_part, .done = call_done, .ctx = up, .etag_len = etag_len};
    memcpy(up->call.etag, etag, sizeof etag);
    cl_err_t err = cl_get_blocks(&up->client->coap, &up->call, up->path, proxy_uri, offset);
    return err == CL_ERR_SPACE ? CL_ERR_INVAL : err;
}

static void on_fetch_stop(void *ctx)
{
    struct cl_update *up = ctx;

    if (up->by_fetcher) {
        up->fetcher->stop(up->fetcher->ctx);
    } else {
        cl_call_cancel(&up->client->coap, &up->call);
    }
}

cl_err_t cl_update_bytes(struct cl_update *up, uint32_t offset, const uint8_t *data, size_t len)
{
    return cl_fw_data(&up->fw, offset, data, len);
}

void cl_update_end(struct cl_update *up, cl_err_t err)
{
    cl_fw_fetched(&up->fw, err);
}

/* ---- for the program ---- */

static void objects_fill(struct cl_update *up)
{
    up->firmware = (struct cl_obj){.id = OBJ_FIRMWARE,
                                   .res = firmware_res,
                                   .res_count = COUNT(firmware_res),
                                   .ctx = up,
                                   .read = firmware_read,
                                   .write = firmware_write,
                                   .exec = firmware_exec,
                                   .stream = firmware_stream};
    up->component = (struct cl_obj){.id = OBJ_COMPONENT,
                                    .res = component_res,
                                    .res_count = COUNT(component_res),
                                    .ctx = up,
                                    .read = component_read};
    up->package = (struct cl_obj){.id = OBJ_PACKAGE,
                                  .res = package_res,
                                  .res_count = COUNT(package_res),
                                  .ctx = up,
                                  .read = package_read,
                                  .stream = package_stream};
    up->support = (struct cl_obj){.id = OBJ_SUPPORT,
                                  .res = support_res,
                                  .res_count = COUNT(support_res),
                                  .ctx = up,
                                  .read = support_read};
}

cl_err_t cl_update_init(struct cl_update *up, struct cl_client *client,
                        const struct cl_fw_config *config, const struct cl_fetcher *fetcher)
{
    *up = (struct cl_update){.client = client, .fetcher = fetcher};
    up->ops = (struct cl_fw_ops){.changed = on_changed,
                                 .unsent = on_unsent,
                                 .fetch = on_fetch,
                                 .fetch_stop = on_fetch_stop,
                                 .reset = on_reset,
                                 .kick = on_kick,
                                 .ctx = up};
    objects_fill(up);
    const struct cl_obj *all[] = {&up->firmware, &up->component, &up->package, &up->support};
    cl_err_t err = cl_fw_init(&up->fw, config, &up->ops);
    for (size_t i = 0; err == CL_OK && i < COUNT(all); i++) {
        err = cl_object_add(&client->objects, all[i]);
    }
    if (err == CL_OK) {
        on_kick(up);
    }
    return err;
}

void cl_update_on_ask(struct cl_update *up,
                      enum cl_fw_answer (*ask)(void *ctx, enum cl_fw_ask what, uint32_t version,
                                               uint32_t priority))
{
    up->ops.ask = ask;
}

void cl_update_state(struct cl_update *up, enum cl_state state)
{
    if (state == CL_REGISTERED) {
        cl_fw_registered(&up->fw);
    } else {
        cl_fw_lost(&up->fw);
    }
}
