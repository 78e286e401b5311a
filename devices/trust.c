/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reload, on control but for the reading:
 *
 *     IDLE → reading (reading thread: rows → new set, swapped) → sweeping (each engine, in slices)
 *          → once more SWEEP_AGAIN_MS later, for handshakes that had passed the old set
 */
#include "devices/trust.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ids.h"
#include "base/log.h"
#include "certs/install.h"
#include "db/cert.h"
#include "db/db.h"
#include "devices/dev.h"

#define ENGINES_MAX    (2 * 64)
#define SWEEP_SLICE    2000
#define SWEEP_AGAIN_MS 2000
/** Tags of file anchors: below every id, above CERT_TAG_DEVICE_ISSUER. */
#define TAG_FILE       16U
#define ANCHOR_BIT_DEV 0x80000000U /* in cert_anchor.services: a developer certificate */

struct service_ctx {
    struct dev_trust *t;
    unsigned service;
    struct cx_trust cx;
};

struct engine_ref {
    struct dev_trust *t;
    struct loop *loop; /* NULL = not there */
    struct cx_engine *engine;
    unsigned service;
    uint32_t at; /* of the sweep */
    struct loop_call call;
};

struct dev_trust {
    struct dev_trust_config cfg; /* its DER bytes are copies in files[] and issuer */
    uint8_t issuer[CERT_DER_MAX];
    uint8_t *files[DEV_TRUST_FILE_MAX]; /* owned */
    size_t file_lens[DEV_TRUST_FILE_MAX];
    struct dev_core *core;
    struct service_ctx services[2];
    pthread_mutex_t lock; /* for set */
    struct cert_anchors *set;

    /* control's */
    struct engine_ref engines[ENGINES_MAX];
    struct db_read read;
    struct dev_trust_reload *now, *next; /* served by the running round; by the one after */
    bool running;
    atomic_bool stopping; /* read by the engines' loops, too */
    dr_err_t failed;      /* why a round could not start */
    struct loop_msg fail_msg;
    unsigned sweeping;
    struct loop_timer again;
};

static struct cert_anchors *set_get(struct dev_trust *t)
{
    (void)pthread_mutex_lock(&t->lock);
    struct cert_anchors *set = cert_anchors_ref(t->set);
    (void)pthread_mutex_unlock(&t->lock);
    return set;
}

static dr_err_t on_verify(void *data, const struct dr_bytes *chain, size_t n, int64_t wall_ms,
                          uint64_t *ret_tag)
{
    const struct service_ctx *s = data;
    struct cert_anchors *set = set_get(s->t);
    dr_err_t err = cert_chain_verify(set, s->service, chain, n, wall_ms, ret_tag);

    cert_anchors_unref(set);
    return err;
}

static bool on_known(void *data, uint64_t tag)
{
    const struct service_ctx *s = data;
    struct cert_anchors *set = set_get(s->t);
    struct cert_anchor anchor;
    bool known = cert_anchors_find(set, s->service, tag, &anchor);

    cert_anchors_unref(set);
    return known;
}

dr_err_t dev_trust_new(const struct dev_trust_config *config, struct dev_trust **ret)
{
    dr_assert(config != NULL && ret != NULL && config->device_issuer.len <= CERT_DER_MAX);
    if (config->n_file_anchors > DEV_TRUST_FILE_MAX) {
        return DR_ERR_LIMIT;
    }
    struct dev_trust *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return DR_ERR_NOMEM;
    }
    (void)pthread_mutex_init(&t->lock, NULL);
    t->cfg = *config;
    memcpy(t->issuer, config->device_issuer.p, config->device_issuer.len);
    t->cfg.device_issuer = dr_bytes_of(t->issuer, config->device_issuer.len);
    t->cfg.file_anchors = NULL;
    dr_err_t err = cert_anchors_new(NULL, 0, NULL, 0, &t->set, NULL);
    for (size_t i = 0; i < config->n_file_anchors && err == DR_OK; i++) {
        t->file_lens[i] = config->file_anchors[i].len;
        t->files[i] = malloc(t->file_lens[i] + 1);
        if (t->files[i] == NULL) {
            err = DR_ERR_NOMEM;
        } else {
            memcpy(t->files[i], config->file_anchors[i].p, t->file_lens[i]);
        }
    }
    for (size_t i = 0; i < 2; i++) {
        struct service_ctx *s = &t->services[i];
        *s = (struct service_ctx){.t = t,
                                  .service = i == 0 ? CERT_SERVICE_LWM2M : CERT_SERVICE_BOOTSTRAP};
        s->cx = (struct cx_trust){.verify = on_verify, .known = on_known, .data = s};
    }
    if (err != DR_OK) {
        dev_trust_free(t);
        return err;
    }
    *ret = t;
    return DR_OK;
}

struct dev_trust *dev_trust_free(struct dev_trust *t)
{
    if (t != NULL) {
        cert_anchors_unref(t->set);
        for (size_t i = 0; i < DEV_TRUST_FILE_MAX; i++) {
            free(t->files[i]);
        }
        (void)pthread_mutex_destroy(&t->lock);
        free(t);
    }
    return NULL;
}

void dev_trust_set_core(struct dev_trust *t, struct dev_core *core)
{
    dr_assert(t != NULL && core != NULL);
    t->core = core;
}

const struct cx_trust *dev_trust_cx(struct dev_trust *t, unsigned service)
{
    dr_assert(t != NULL && (service == CERT_SERVICE_LWM2M || service == CERT_SERVICE_BOOTSTRAP));
    return &t->services[service == CERT_SERVICE_LWM2M ? 0 : 1].cx;
}

void dev_trust_engine(struct dev_trust *t, unsigned shard, struct loop *loop,
                      struct cx_engine *engine, unsigned service)
{
    dr_assert(t != NULL && 2 * shard + 1 < ENGINES_MAX);
    struct engine_ref *ref = &t->engines[2 * shard + (service == CERT_SERVICE_LWM2M ? 0 : 1)];

    *ref = (struct engine_ref){.t = t, .loop = loop, .engine = engine, .service = service};
}

/* ---- reading ---- */

struct reading {
    struct cert_anchor *anchors; /* owned, with the bytes of each */
    size_t n, cap;
    struct cert_revoked *revoked; /* owned */
    size_t n_revoked, cap_revoked;
};

static dr_err_t anchor_add(struct reading *rd, const struct cert_anchor *anchor)
{
    if (rd->n == rd->cap) {
        size_t cap = rd->cap == 0 ? 64 : 2 * rd->cap;
        struct cert_anchor *more = realloc(rd->anchors, cap * sizeof *more);
        if (more == NULL) {
            return DR_ERR_NOMEM;
        }
        rd->anchors = more;
        rd->cap = cap;
    }
    uint8_t *der = malloc(anchor->der.len + 1);
    if (der == NULL) {
        return DR_ERR_NOMEM;
    }
    memcpy(der, anchor->der.p, anchor->der.len);
    rd->anchors[rd->n] = *anchor;
    rd->anchors[rd->n++].der = dr_bytes_of(der, anchor->der.len);
    return DR_OK;
}

static dr_err_t anchor_row(void *data, const struct db_trusted *row)
{
    unsigned service =
        strcmp(row->service, "lwm2m") == 0 ? CERT_SERVICE_LWM2M : CERT_SERVICE_BOOTSTRAP;
    const struct cert_anchor anchor = {
        .der = row->certificate,
        .tag = (uint64_t)row->id,
        .account = row->account,
        .services = service | (row->execution_mode == 1 ? ANCHOR_BIT_DEV : 0),
        .enrollment = row->enrollment_mode,
    };
    return anchor_add(data, &anchor);
}

static dr_err_t revoked_row(void *data, const struct db_device_cert *row)
{
    struct reading *rd = data;

    if (row->fingerprint.len != CERT_SHA256_LEN) {
        return DR_ERR_CORRUPT;
    }
    if (rd->n_revoked == rd->cap_revoked) {
        size_t cap = rd->cap_revoked == 0 ? 64 : 2 * rd->cap_revoked;
        struct cert_revoked *more = realloc(rd->revoked, cap * sizeof *more);
        if (more == NULL) {
            return DR_ERR_NOMEM;
        }
        rd->revoked = more;
        rd->cap_revoked = cap;
    }
    struct cert_revoked *out = &rd->revoked[rd->n_revoked++];
    out->account = row->account;
    memcpy(out->fingerprint, row->fingerprint.p, CERT_SHA256_LEN);
    return DR_OK;
}

static dr_err_t own_anchors(const struct dev_trust *t, struct reading *rd)
{
    const struct cert_anchor issuer = {
        .der = t->cfg.device_issuer, .tag = CERT_TAG_DEVICE_ISSUER, .services = CERT_SERVICE_LWM2M};
    dr_err_t err = anchor_add(rd, &issuer);

    for (size_t i = 0; i < t->cfg.n_file_anchors && err == DR_OK; i++) {
        const struct cert_anchor anchor = {.der = dr_bytes_of(t->files[i], t->file_lens[i]),
                                           .tag = TAG_FILE + i,
                                           .account = t->cfg.file_account,
                                           .services = CERT_SERVICE_LWM2M};
        err = anchor_add(rd, &anchor);
    }
    return err;
}

dr_err_t dev_trust_read(struct db_reader *r, void *data)
{
    struct dev_trust *t = data;
    struct reading rd = {0};
    struct cert_anchors *set = NULL;
    dr_err_t err = own_anchors(t, &rd);

    if (err == DR_OK) {
        err = db_trusted_anchors(r, anchor_row, &rd);
    }
    if (err == DR_OK) {
        err = db_device_cert_revoked(r, revoked_row, &rd);
    }
    if (err == DR_OK) {
        err = cert_anchors_new(rd.anchors, rd.n, rd.revoked, rd.n_revoked, &set, NULL);
    }
    for (size_t i = 0; i < rd.n; i++) {
        free((void *)rd.anchors[i].der.p);
    }
    free(rd.anchors);
    free(rd.revoked);
    if (err == DR_OK) {
        (void)pthread_mutex_lock(&t->lock);
        struct cert_anchors *old = t->set;
        t->set = set;
        (void)pthread_mutex_unlock(&t->lock);
        cert_anchors_unref(old);
    }
    return err;
}

/* ---- who a certificate is ---- */

dr_err_t dev_trust_identify(struct dev_trust *t, unsigned service, uint64_t tag,
                            const uint8_t *leaf_der, size_t len, struct dev_trust_id *ret)
{
    dr_assert(t != NULL && ret != NULL);
    struct dev_trust_id id = {.anchor = (int64_t)tag};
    struct cert_anchor anchor;
    struct cert_anchors *set = set_get(t);
    int64_t ou = 0;
    dr_err_t err = cert_info_read(dr_bytes_of(leaf_der, len), &id.info);

    if (err == DR_OK && !cert_anchors_find(set, service, tag, &anchor)) {
        err = DR_ERR_DENIED;
    }
    bool ours = tag == CERT_TAG_DEVICE_ISSUER;
    bool has_ou = err == DR_OK && dr_id_parse(id.info.ou, strlen(id.info.ou), &ou) == DR_OK;
    if (err == DR_OK) {
        id.account = ours ? ou : anchor.account;
        if ((ours && !has_ou) || (has_ou && ou != id.account) ||
            cert_anchors_is_revoked(set, id.account, id.info.fingerprint)) {
            err = DR_ERR_DENIED;
        }
    }
    cert_anchors_unref(set);
    if (err != DR_OK) {
        return err;
    }
    if (ours && dr_id_parse(id.info.l, strlen(id.info.l), &id.device) != DR_OK) {
        return DR_ERR_DENIED;
    }
    id.enrollment = anchor.enrollment;
    id.developer = (anchor.services & ANCHOR_BIT_DEV) != 0;
    *ret = id;
    return DR_OK;
}

/* ---- reload ---- */

static void round_start(struct dev_trust *t);

struct match {
    struct cert_anchors *set;
    const struct engine_ref *ref;
};

static bool is_untrusted(void *data, const struct cx_identity *id)
{
    const struct match *m = data;
    struct cert_anchor anchor;

    if (id->kind != CX_ID_CERT) {
        return false;
    }
    if (!cert_anchors_find(m->set, m->ref->service, (uint64_t)id->credential, &anchor)) {
        return true;
    }
    for (const struct dev_trust_reload *op = m->ref->t->now; op != NULL; op = op->next) {
        size_t len = strlen(op->endpoint);
        /* on bootstrap ports more stands behind the name, after a control character */
        if (len != 0 && op->account == id->account && strncmp(op->endpoint, id->name, len) == 0 &&
            (unsigned char)id->name[len] < ' ') {
            return true;
        }
    }
    return false;
}

/* On the engine's loop; t->now does not change while engines sweep. */
static void sweep_slice(struct loop_call *call)
{
    struct engine_ref *ref = DR_CONTAINER_OF(call, struct engine_ref, call);
    struct match m = {.set = set_get(ref->t), .ref = ref};

    /* once the server stops, the engine may be closed already */
    ref->at = atomic_load(&ref->t->stopping)
                  ? 0
                  : cx_engine_close_some(ref->engine, ref->at, SWEEP_SLICE, is_untrusted, &m);
    cert_anchors_unref(m.set);
    loop_call_done(call, DR_OK);
}

static void round_end(struct dev_trust *t, dr_err_t err)
{
    struct dev_trust_reload *op = t->now;

    t->now = NULL;
    t->running = false;
    while (op != NULL) {
        struct dev_trust_reload *next = op->next;
        op->cb(op, err);
        op = next;
    }
    if (!t->running && t->next != NULL) {
        round_start(t);
    }
}

static void slice_done(struct loop_call *call, dr_err_t err)
{
    struct engine_ref *ref = DR_CONTAINER_OF(call, struct engine_ref, call);
    struct dev_trust *t = ref->t;

    (void)err;
    if (ref->at != 0) {
        loop_call_start(ref->loop, call, sweep_slice, slice_done);
        return;
    }
    if (--t->sweeping == 0) {
        round_end(t, DR_OK);
    }
}

static void sweep(struct dev_trust *t)
{
    t->sweeping = 1; /* ours, until all are asked */
    for (size_t i = 0; i < ENGINES_MAX; i++) {
        struct engine_ref *ref = &t->engines[i];
        if (ref->loop != NULL && ref->engine != NULL) {
            ref->at = 0;
            t->sweeping++;
            loop_call_start(ref->loop, &ref->call, sweep_slice, slice_done);
        }
    }
    if (--t->sweeping == 0) {
        round_end(t, DR_OK);
    }
}

/* Who finished a handshake with the old set after the first sweep. */
static void on_again(struct loop_timer *timer)
{
    struct dev_trust *t = DR_CONTAINER_OF(timer, struct dev_trust, again);

    if (!t->running && !atomic_load(&t->stopping)) {
        t->running = true;
        sweep(t);
    }
}

static void read_done(struct db_read *read, dr_err_t err)
{
    struct dev_trust *t = DR_CONTAINER_OF(read, struct dev_trust, read);

    if (err != DR_OK) {
        DR_LOG(DR_LOG_ERROR, "trust", "trust anchors not read again, the old ones stay",
               DR_F_STR("why", dr_err_str(err)));
        round_end(t, err);
        return;
    }
    for (const struct dev_trust_reload *op = t->now; op != NULL && t->core != NULL; op = op->next) {
        if (op->endpoint[0] != '\0') {
            dev_credential_changed(t->core, op->account, op->endpoint);
        }
    }
    if (!atomic_load(&t->stopping)) {
        loop_timer_start(t->cfg.control, &t->again, SWEEP_AGAIN_MS, 0, on_again);
    }
    sweep(t);
}

static dr_err_t read_fn(struct db_reader *r, struct db_read *read)
{
    return dev_trust_read(r, DR_CONTAINER_OF(read, struct dev_trust, read));
}

static void on_failed(struct loop_msg *msg)
{
    struct dev_trust *t = DR_CONTAINER_OF(msg, struct dev_trust, fail_msg);

    round_end(t, t->failed);
}

static void round_start(struct dev_trust *t)
{
    t->now = t->next;
    t->next = NULL;
    t->running = true;
    t->read = (struct db_read){.home = t->cfg.control, .fn = read_fn, .done = read_done};
    dr_err_t err = atomic_load(&t->stopping) ? DR_ERR_CANCELED : db_read_start(t->cfg.db, &t->read);
    if (err != DR_OK) {
        t->failed = err;
        loop_post(t->cfg.control, &t->fail_msg, on_failed);
    }
}

void dev_trust_stop(struct dev_trust *t)
{
    dr_assert(t != NULL);
    atomic_store(&t->stopping, true);
    loop_timer_stop(&t->again);
}

void dev_trust_reload_start(struct dev_trust *t, struct dev_trust_reload *op)
{
    dr_assert(t != NULL && op != NULL && op->cb != NULL);
    loop_assert_current(t->cfg.control);
    op->next = t->next;
    t->next = op;
    if (!t->running) {
        round_start(t);
    }
}
