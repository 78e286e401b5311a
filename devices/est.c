/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   answer: | 01 | count | { length 16 | DER } … |, as 01 01 0132 30 82 01 2e …
 */
#include "devices/est.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/ids.h"
#include "base/log.h"
#include "certs/csr.h"
#include "db/cert.h"
#include "db/db.h"
#include "db/device.h"
#include "db/psk.h"
#include "devices/core_priv.h"
#include "devices/issue.h"

#define FORM         1
#define ANSWER_MAX   (4 + CERT_DEVICE_DER_MAX)
#define BUSY_AGAIN_S 5
#define MANY_AGAIN_S 600
#define HOUR_MS      3600000

struct dev_est {
    struct dev_issuer *issuer; /* borrowed */
    struct db *db;             /* borrowed */
    atomic_uint n;             /* under way */
};

struct enroll {
    struct db_read read;
    struct dev_est *est;
    struct dev_route_to to;
    int64_t account;
    int64_t bound; /* device of the credential; 0 = any */
    int64_t psk;   /* row of the key that the association stands on; 0 = a certificate */
    uint32_t psk_version;
    bool psk_held; /* it is still there */
    char endpoint[DEV_NAME_MAX + 1];
    char name[DEV_EST_NAME_MAX + 1];
    int64_t device; /* that of the row */
    bool blocked;
    int64_t n_hour; /* made in the last hour */
    size_t csr_len;
    uint8_t csr[CERT_CSR_MAX];
    uint8_t code;
    struct cert_issued issued;
};

dr_err_t dev_est_new(struct dev_issuer *issuer, struct db *db, struct dev_est **ret)
{
    dr_assert(issuer != NULL && db != NULL && ret != NULL);
    struct dev_est *e = calloc(1, sizeof *e);

    if (e == NULL) {
        return DR_ERR_NOMEM;
    }
    e->issuer = issuer;
    e->db = db;
    *ret = e;
    return DR_OK;
}

struct dev_est *dev_est_free(struct dev_est *e)
{
    free(e);
    return NULL;
}

/* ---- on a reading thread ---- */

static dr_err_t row_seen(void *data, const struct db_device *row)
{
    struct enroll *x = data;

    x->device = row->id;
    x->blocked = row->operator_suspended || row->system_suspended;
    return DR_OK;
}

static dr_err_t psk_seen(void *data, const struct db_psk *row)
{
    struct enroll *x = data;

    x->psk_held = x->psk_held || (row->id == x->psk && row->version == (int64_t)x->psk_version);
    return DR_OK;
}

/* The association may be older than the last change of keys. */
static dr_err_t psk_check(struct db_reader *r, struct enroll *x)
{
    static const enum db_psk_use uses[] = {DB_PSK_OPERATOR, DB_PSK_BOOTSTRAPPED, DB_PSK_OFFERED};

    x->psk_held = x->psk == 0;
    for (size_t i = 0; i < DR_ARRAY_LEN(uses) && !x->psk_held; i++) {
        dr_err_t err = db_psk_get(r, x->account, x->endpoint, uses[i], psk_seen, x);
        if (err != DR_OK && err != DR_ERR_NOT_FOUND) {
            return err;
        }
    }
    return DR_OK;
}

/* What the request says of its sender must be true; saying nothing is no lie. */
static bool names_fit(const struct enroll *x, const struct cert_csr *csr)
{
    char account[DR_ID_LEN + 1], device[DR_ID_LEN + 1];

    dr_id_format(x->account, account);
    dr_id_format(x->device, device);
    return (csr->cn[0] == '\0' || strcmp(csr->cn, x->endpoint) == 0) &&
           (csr->ou[0] == '\0' || strcmp(csr->ou, account) == 0) &&
           (csr->l[0] == '\0' || strcmp(csr->l, device) == 0);
}

static uint8_t sign(struct enroll *x)
{
    const struct dev_issue_for who = {
        .account = x->account, .device = x->device, .endpoint = x->endpoint, .name = x->name};
    struct cert_csr csr;

    if (x->blocked || !x->psk_held || (x->bound != 0 && x->bound != x->device)) {
        return CX_FORBIDDEN;
    }
    if (cert_csr_read(dr_bytes_of(x->csr, x->csr_len), &csr) != DR_OK || !names_fit(x, &csr)) {
        return CX_BAD_REQUEST;
    }
    return dev_issue_csr(x->est->issuer, &who, &csr, &x->issued) == DR_OK ? CX_CHANGED
                                                                          : CX_SERVER_ERROR;
}

static dr_err_t enroll_run(struct db_reader *r, struct db_read *read)
{
    struct enroll *x = DR_CONTAINER_OF(read, struct enroll, read);
    dr_err_t err = db_device_find(r, x->account, x->endpoint, row_seen, x);

    if (err == DR_ERR_NOT_FOUND) {
        x->code = CX_FORBIDDEN; /* deleted, or it never was */
        return DR_OK;
    }
    if (err == DR_OK) {
        err = psk_check(r, x);
    }
    if (err == DR_OK) { /* ids are in the order of time */
        err = db_device_cert_count(r, x->account, x->endpoint, (dr_wall_ms() - HOUR_MS) << 20,
                                   &x->n_hour);
    }
    if (err == DR_OK) {
        x->code = x->n_hour < DEV_EST_HOUR_MAX ? sign(x) : CX_UNAVAILABLE;
    }
    return err;
}

/* ---- on the loop of the request ---- */

static void answer(const struct enroll *x)
{
    uint8_t body[ANSWER_MAX];
    struct dr_wr wr = dr_wr_of(body, sizeof body);

    dr_wr_u8(&wr, FORM);
    dr_wr_u8(&wr, 1);
    dr_wr_u16(&wr, (uint16_t)x->issued.len);
    dr_wr_put(&wr, x->issued.der, x->issued.len);
    dev_route_answer(
        &x->to,
        &(struct cx_reply){.code = CX_CHANGED, .payload = body, .payload_len = dr_wr_len(&wr)});
}

static void enroll_done(struct db_read *read, dr_err_t err)
{
    struct enroll *x = DR_CONTAINER_OF(read, struct enroll, read);

    if (err != DR_OK) {
        dev_route_later(&x->to, BUSY_AGAIN_S);
    } else if (x->code == CX_CHANGED) {
        answer(x);
    } else if (x->code == CX_UNAVAILABLE) {
        dev_route_later(&x->to, MANY_AGAIN_S);
    } else {
        DR_LOG_LIMITED(DR_LOG_INFO, "devices", 5, "no certificate '%s' for '%s': %u.%02u", x->name,
                       x->endpoint, x->code >> 5, x->code & 31U);
        dev_route_refuse(&x->to, x->code);
    }
    atomic_fetch_sub(&x->est->n, 1);
    free(x);
}

bool dev_est_name(const struct cx_pdu *pdu, char out[DEV_EST_NAME_MAX + 1])
{
    dr_assert(pdu != NULL && out != NULL);
    struct cx_opt a, b;

    if (!dev_route_segment(pdu, 1, &a)) {
        return false;
    }
    if (!dev_route_segment(pdu, 2, &b)) {
        (void)snprintf(out, DEV_EST_NAME_MAX + 1, "%s", DEV_EST_LWM2M);
        return a.len == 3 && memcmp(a.val, "sen", 3) == 0;
    }
    if (b.len != 3 || memcmp(b.val, "sen", 3) != 0 || a.len == 0 || a.len > DEV_EST_NAME_MAX ||
        dev_route_segment(pdu, 3, &b)) {
        return false;
    }
    for (size_t i = 0; i < a.len; i++) {
        if (a.val[i] <= ' ' || a.val[i] > '~') {
            return false;
        }
    }
    memcpy(out, a.val, a.len);
    out[a.len] = '\0';
    return true;
}

static uint8_t request_take(struct enroll *x, const struct dev_route_req *req)
{
    const struct cx_pdu *pdu = req->pdu;
    size_t len = strlen(req->endpoint);

    if (!dev_est_name(pdu, x->name)) {
        return CX_NOT_FOUND;
    }
    if (pdu->code != CX_POST) {
        return CX_NOT_ALLOWED;
    }
    if (req->id.kind == CX_ID_NONE || req->account == 0 || len == 0 || len > DEV_NAME_MAX) {
        return CX_UNAUTHORIZED;
    }
    if (pdu->payload_len == 0 || pdu->payload_len > sizeof x->csr) {
        return pdu->payload_len == 0 ? CX_BAD_REQUEST : CX_TOO_LARGE;
    }
    x->to = req->to;
    x->account = req->account;
    x->bound = req->id.device;
    if (req->id.kind == CX_ID_PSK) {
        x->psk = req->id.credential;
        x->psk_version = req->id.version;
    }
    memcpy(x->endpoint, req->endpoint, len + 1);
    memcpy(x->csr, pdu->payload, pdu->payload_len);
    x->csr_len = pdu->payload_len;
    return 0;
}

void dev_est_request(void *ctx, const struct dev_route_req *req)
{
    dr_assert(ctx != NULL && req != NULL);
    struct dev_est *est = ctx;
    struct enroll *x = atomic_load(&est->n) < DEV_EST_MAX ? calloc(1, sizeof *x) : NULL;

    if (x == NULL) {
        dev_route_later(&req->to, BUSY_AGAIN_S);
        return;
    }
    x->est = est;
    x->read = (struct db_read){.home = req->to.home->loop, .fn = enroll_run, .done = enroll_done};
    uint8_t code = request_take(x, req);
    if (code != 0) {
        dev_route_refuse(&req->to, code);
        free(x);
        return;
    }
    if (db_read_start(est->db, &x->read) != DR_OK) {
        dev_route_later(&req->to, BUSY_AGAIN_S);
        free(x);
        return;
    }
    atomic_fetch_add(&est->n, 1);
}
