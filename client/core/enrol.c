/* SPDX-License-Identifier: Apache-2.0 */
#include "client/core/enrol.h"

#include <mbedtls/ecp.h>
#include <mbedtls/pk.h>
#include <mbedtls/x509_crt.h>
#include <mbedtls/x509_csr.h>

#include "client/core/client_priv.h"
#include "client/hal.h"

/*
 * Pelion's answer: 01 | number of certificates | (length u16 big endian | DER) ...
 * the device's own first
 */
enum { LIST_VERSION = 1, FMT_PKCS10 = 286, FMT_CERT = 287 };

static int rng(void *ctx, unsigned char *buf, size_t len)
{
    (void)ctx;
    hal_random(buf, len);
    return 0;
}

cl_err_t cl_enrol_certificate(struct cl_bytes answer, struct cl_bytes *ret)
{
    if (answer.len > 4 && answer.p[0] == 0x30) {
        *ret = answer;
        return CL_OK;
    }
    if (answer.len < 4 || answer.p[0] != LIST_VERSION || answer.p[1] == 0) {
        return CL_ERR_INVAL;
    }
    size_t len = (size_t)answer.p[2] << 8 | answer.p[3];
    if (len == 0 || len > answer.len - 4) {
        return CL_ERR_INVAL;
    }
    *ret = (struct cl_bytes){answer.p + 4, len};
    return CL_OK;
}

/* One part of a subject; characters with a meaning there get a backslash. */
static void name_put(struct cl_out *o, const char *type, const char *value, size_t len)
{
    if (len == 0) {
        return;
    }
    cl_out_text(o, o->len > 0 ? "," : "");
    cl_out_text(o, type);
    for (size_t i = 0; i < len; i++) {
        if (strchr(",=+<>#;\"\\", value[i]) != NULL) {
            cl_out_text(o, "\\");
        }
        cl_out_bytes(o, value + i, 1);
    }
}

static cl_err_t subject_make(struct cl_client *cl, char *buf, size_t cap)
{
    struct cl_out o = {.buf = (uint8_t *)buf, .cap = cap - 1};
    struct cl_uri uri;

    if (cl->config.pelion && cl_uri_parse(cl->accounts.account[CL_SERVER].uri, &uri) == CL_OK) {
        const char *aid = strstr(uri.query, "aid=");
        name_put(&o, "L=", cl->device_id, strlen(cl->device_id));
        name_put(&o, "OU=", aid != NULL ? aid + 4 : "", aid != NULL ? strcspn(aid + 4, "&") : 0);
    }
    name_put(&o, "CN=", cl->config.endpoint, strlen(cl->config.endpoint));
    buf[o.len] = '\0';
    return o.full ? CL_ERR_SPACE : CL_OK;
}

/* Mbed TLS writes to the end of a buffer: move it to the front. 0 = failed. */
static uint16_t to_front(uint8_t *buf, size_t cap, int n)
{
    if (n <= 0 || (size_t)n > cap) {
        return 0;
    }
    memmove(buf, buf + cap - (size_t)n, (size_t)n);
    return (uint16_t)n;
}

/* Key into cl->enrolment, request into cl->list; its length. */
static size_t request_make(struct cl_client *cl)
{
    struct cl_enrolment *e = &cl->enrolment;
    char subject[2 * (CL_ENDPOINT_MAX + CL_LOCATION_MAX)];
    mbedtls_pk_context key;
    mbedtls_x509write_csr csr;
    size_t len = 0;

    mbedtls_pk_init(&key);
    mbedtls_x509write_csr_init(&csr);
    if (subject_make(cl, subject, sizeof subject) == CL_OK &&
        mbedtls_pk_setup(&key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY)) == 0 &&
        mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(key), rng, NULL) == 0 &&
        mbedtls_x509write_csr_set_subject_name(&csr, subject) == 0) {
        mbedtls_x509write_csr_set_md_alg(&csr, MBEDTLS_MD_SHA256);
        mbedtls_x509write_csr_set_key(&csr, &key);
        e->key_len =
            to_front(e->key, sizeof e->key, mbedtls_pk_write_key_der(&key, e->key, sizeof e->key));
        len = to_front(cl->list, sizeof cl->list,
                       mbedtls_x509write_csr_der(&csr, cl->list, sizeof cl->list, rng, NULL));
    }
    mbedtls_x509write_csr_free(&csr);
    mbedtls_pk_free(&key);
    return e->key_len > 0 ? len : 0;
}

static cl_err_t part_take(struct cl_call *call, const struct cl_part *part)
{
    struct cl_client *cl = call->ctx;

    if (part->offset == 0) {
        cl->in.len = 0;
    }
    if (part->len > sizeof cl->in.buf - cl->in.len) {
        return CL_ERR_SPACE;
    }
    memcpy(cl->in.buf + cl->in.len, part->p, part->len);
    cl->in.len += part->len;
    return CL_OK;
}

static cl_err_t certificate_take(struct cl_client *cl)
{
    struct cl_account *acc = &cl->accounts.account[CL_SERVER];
    const struct cl_enrolment *e = &cl->enrolment;
    struct cl_bytes der;
    mbedtls_x509_crt crt;
    mbedtls_pk_context key;
    cl_err_t err = cl_enrol_certificate((struct cl_bytes){cl->in.buf, cl->in.len}, &der);

    if (err != CL_OK || der.len > sizeof acc->id) {
        return CL_ERR_INVAL;
    }
    mbedtls_x509_crt_init(&crt);
    mbedtls_pk_init(&key);
    if (mbedtls_x509_crt_parse_der(&crt, der.p, der.len) != 0 ||
        mbedtls_pk_parse_key(&key, e->key, e->key_len, NULL, 0) != 0 ||
        mbedtls_pk_check_pair(&crt.pk, &key) != 0) {
        err = CL_ERR_AUTH; /* a certificate of another key */
    } else {
        memcpy(acc->id, der.p, der.len);
        acc->id_len = (uint16_t)der.len;
        memcpy(acc->key, e->key, e->key_len);
        acc->key_len = e->key_len;
    }
    mbedtls_pk_free(&key);
    mbedtls_x509_crt_free(&crt);
    return err;
}

/* The callback is the last touch. */
static void over(struct cl_client *cl, cl_err_t err)
{
    cl_enrol_cb *cb = cl->enrolment.cb;

    cl_wipe(&cl->enrolment, sizeof cl->enrolment);
    cb(cl, err);
}

static void answered(struct cl_call *call, cl_err_t err, const struct cl_msg *answer)
{
    struct cl_client *cl = call->ctx;

    if (err == CL_OK) {
        err = answer->code >> 5 == 2 ? certificate_take(cl) : CL_ERR_REFUSED;
    }
    over(cl, err);
}

void cl_enrol(struct cl_client *cl, cl_enrol_cb *cb)
{
    size_t len = request_make(cl);

    cl->enrolment.cb = cb;
    cl->in.open = false;
    cl_query_clear(cl);
    cl->call = (struct cl_call){.format = cl->config.pelion ? CL_FMT_TEXT : FMT_PKCS10,
                                .accept = cl->config.pelion ? CL_ID_NONE : FMT_CERT,
                                .body = cl->list,
                                .body_len = len,
                                .part = part_take};
    if (len == 0 || cl_request(cl, CL_POST, "/est/sen", answered) != CL_OK) {
        over(cl, CL_ERR_IO);
    }
}
