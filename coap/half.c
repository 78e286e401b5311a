/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The states are those of struct dtls_handshake; two things come on top of them: the owner may take
 * its time with a key (asked, answered), and a step may run in the pool (job). While it does, the
 * handshake belongs to the job: records wait in the job, the timer is off, and a cx_half that ends
 * leaves the handshake to the job.
 *
 *   new → drive ─┬─ RUNNING   → timer, feed + step, drive …
 *                ├─ ASK_PSK   → owner → cx_psk_answer → step
 *                ├─ ASK_CERT  → owner, at once → step
 *                ├─ DONE      → peer
 *                └─ FAILED    → fail
 */
#include "coap/half.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "coap/conn.h"

/** One step of a handshake in the pool; for that time the handshake is its own. */
struct cx_job {
    struct loop_work work;
    struct cx_engine *engine;
    uint64_t half; /* handle; its half may have gone when the step ends */
    struct dtls_handshake *hs;
    struct dtls_crypto *crypto;
    uint64_t now_ms;
    size_t held_len;
    uint8_t held[CX_JOB_HELD_MAX]; /* records that came in meanwhile */
};

static bool half_eq(void *ctx, uint32_t index, const void *key)
{
    const struct cx_engine *e = ctx;
    const struct cx_half *h = dr_slab_get(&e->halves, index);

    return memcmp(&h->flow, key, sizeof(struct cx_flow)) == 0;
}

dr_err_t cx_halves_init(struct cx_engine *e)
{
    dr_assert(e != NULL);
    dr_err_t err = dr_slab_init(&e->halves, sizeof(struct cx_half), e->config.limits.half_open_max,
                                DR_SLAB_KEEP);

    dr_list_init(&e->served);
    if (err == DR_OK) {
        err = dr_table_init(&e->halves_by_flow, e->config.limits.half_open_max, half_eq, e);
    }
    return err;
}

void cx_halves_fini(struct cx_engine *e)
{
    dr_assert(e != NULL && e->jobs == 0);
    dr_table_fini(&e->halves_by_flow);
    dr_slab_fini(&e->halves);
    while (e->n_job_crypto > 0) {
        (void)dtls_crypto_free(e->job_crypto[--e->n_job_crypto]);
    }
}

/* ---- handshakes: table ---- */

uint64_t cx_half_handle(const struct cx_half *h)
{
    return (uint64_t)h->generation << 32 | h->index;
}

struct cx_half *cx_half_get(const struct cx_engine *e, uint64_t handle)
{
    uint32_t index = (uint32_t)handle;

    if (index == 0 || e->halves.chunks == NULL || !dr_slab_used(&e->halves, index)) {
        return NULL;
    }
    struct cx_half *h = dr_slab_get(&e->halves, index);
    return h->generation == (uint32_t)(handle >> 32) ? h : NULL;
}

struct cx_half *cx_half_find(const struct cx_engine *e, const struct cx_flow *flow)
{
    if (e->halves.count == 0) {
        return NULL;
    }
    uint32_t index = dr_table_get(&e->halves_by_flow, cx_flow_hash(&e->peers, flow), flow);

    return index != 0 ? dr_slab_get(&e->halves, index) : NULL;
}

static void half_timer(struct dr_timer *t, uint64_t now_ms);

dr_err_t cx_half_new(struct cx_engine *e, const struct cx_flow *flow, struct cx_half **ret)
{
    dr_assert(e != NULL && flow != NULL && ret != NULL);
    uint32_t index;

    dr_err_t err = dr_slab_alloc(&e->halves, &index);
    if (err != DR_OK) {
        return err;
    }
    struct cx_half *h = dr_slab_get(&e->halves, index);
    *h = (struct cx_half){.generation = h->generation + 1,
                          .index = index,
                          .flow = *flow,
                          .engine = e,
                          .give_up_ms = e->now_ms + CX_HALF_OPEN_MS};
    dr_timer_init(&h->timer, half_timer);
    err = dr_table_put(&e->halves_by_flow, cx_flow_hash(&e->peers, flow), index);
    if (err != DR_OK) {
        dr_slab_free(&e->halves, index);
        return err;
    }
    *ret = h;
    return DR_OK;
}

/* A handshake that a step in the pool holds is freed when the step ends. */
void cx_half_free(struct cx_half *h)
{
    dr_assert(h != NULL);
    struct cx_engine *e = h->engine;

    dr_timer_cancel(loop_wheel(e->loop), &h->timer);
    dr_list_remove(&h->node);
    if (h->job == NULL) {
        h->hs = dtls_handshake_free(h->hs);
    }
    (void)dr_table_del(&e->halves_by_flow, cx_flow_hash(&e->peers, &h->flow), h->index);
    h->generation++;
    dr_slab_free(&e->halves, h->index);
}

bool cx_half_make_room(struct cx_engine *e)
{
    dr_assert(e != NULL);
    struct cx_half *oldest = DR_LIST_FIRST(&e->served, struct cx_half, node);

    if (oldest == NULL || oldest->give_up_ms - CX_HALF_OPEN_MS + CX_HALF_SPARED_MS > e->now_ms) {
        return false;
    }
    cx_half_fail(oldest, DR_ERR_TIMEOUT);
    return true;
}

/* ---- handshakes: ends ---- */

void cx_half_fail(struct cx_half *h, dr_err_t err)
{
    dr_assert(h != NULL);
    struct cx_engine *e = h->engine;
    struct cx_connecting *c = h->connecting;

    h->connecting = NULL;
    cx_half_free(h);
    e->stats.handshakes_failed++;
    if (c != NULL) {
        struct cx_peer *p = cx_peer_get(&e->peers, c->peer);

        dr_assert(p != NULL && p->state == CX_PEER_CONNECTING);
        cx_engine_drop_peer(e, p);
        cx_engine_connected(e, c, err);
    }
}

static dr_err_t peer_for(struct cx_engine *e, struct cx_half *h, struct cx_peer **ret)
{
    if (h->connecting != NULL) {
        *ret = cx_peer_get(&e->peers, h->connecting->peer);
        dr_assert(*ret != NULL && (*ret)->state == CX_PEER_CONNECTING);
        return DR_OK;
    }
    dr_err_t err = cx_peer_new(&e->peers, &h->flow, NULL, ret);
    if (err == DR_OK) {
        cx_msg_peer_init(e->msg, &(*ret)->msg);
    }
    return err;
}

/* Records that arrived behind the Finished in the same datagram or before our answer to it. */
static void feed_leftover(struct cx_engine *e, struct cx_peer *p, uint8_t *bytes, size_t len)
{
    struct dtls_record rec;
    size_t off = 0;

    while (p->state == CX_PEER_LIVE && dtls_record_next(bytes, len, &off, &rec)) {
        cx_engine_record(e, p, &rec);
    }
}

static dr_err_t adopt_association(struct cx_engine *e, struct cx_half *h, struct cx_peer *p)
{
    struct cx_identity id;
    uint32_t index;

    dr_err_t err = dr_slab_alloc(&e->assocs, &index);
    if (err != DR_OK) {
        return err;
    }
    p->assoc = index;
    p->last_s = (uint32_t)(e->now_ms / 1000);
    dtls_handshake_takeover(h->hs, cx_assoc_of(e, p), &id);
    if (id.kind != CX_ID_NONE) {
        p->ident = cx_ident_new(&id);
        if (p->ident == NULL) {
            return DR_ERR_NOMEM;
        }
    }
    struct cx_peer *before = cx_peer_find(&e->peers, &p->flow);
    if (before != NULL) {
        cx_engine_end_peer(e, before, CX_GONE_REPLACED);
    }
    return cx_peer_link(&e->peers, p);
}

static void half_complete(struct cx_half *h)
{
    struct cx_engine *e = h->engine;
    struct cx_connecting *c = h->connecting;
    bool resumed = dtls_handshake_is_resumed(h->hs);
    struct cx_peer *p;
    size_t left = 0;

    dr_err_t err = peer_for(e, h, &p);
    if (err == DR_OK) {
        err = adopt_association(e, h, p);
        if (err != DR_OK && c == NULL) {
            cx_engine_drop_peer(e, p);
        }
    }
    if (err != DR_OK) {
        cx_half_fail(h, err);
        return;
    }
    e->stats.handshakes_done++;
    e->stats.resumed += resumed ? 1 : 0;
    if (c != NULL) {
        h->connecting = NULL;
        cx_engine_connected(e, c, DR_OK);
    }
    struct dtls_handshake *hs = h->hs;
    h->hs = NULL;
    cx_half_free(h);
    uint8_t *bytes = dtls_handshake_leftover(hs, &left);
    feed_leftover(e, p, bytes, left);
    (void)dtls_handshake_free(hs);
}

/* ---- handshakes: progress ---- */

static void half_output(struct cx_half *h)
{
    struct cx_sock *s = h->engine->socks[h->flow.sock].sock;

    for (uint8_t *out = cx_sock_reserve(s); out != NULL; out = cx_sock_reserve(s)) {
        size_t n = dtls_handshake_output(h->hs, out, CX_DGRAM_MAX);

        if (n == 0) {
            return;
        }
        cx_sock_commit(s, n, &h->flow);
    }
    /* No room: the datagrams count as lost. */
    uint8_t lost[CX_DGRAM_MAX];

    while (dtls_handshake_output(h->hs, lost, sizeof(lost)) > 0) {
    }
}

bool cx_engine_ask_psk(struct cx_engine *e, uint64_t handle, const char *identity)
{
    dr_assert(e != NULL && identity != NULL);
    const struct cx_psk_query q = {.handle = handle, .identity = identity};

    if (e->config.ops->psk != NULL) {
        e->config.ops->psk(e->config.data, e, &q);
    }
    return e->config.ops->psk != NULL;
}

dr_err_t cx_engine_ask_cert(struct cx_engine *e, uint64_t tag, const char *cn, struct dr_bytes leaf,
                            struct cx_identity *ret)
{
    dr_assert(e != NULL && cn != NULL && ret != NULL);
    *ret = (struct cx_identity){.kind = CX_ID_CERT, .name = cn};
    if (e->config.ops->cert == NULL) {
        return DR_ERR_DENIED;
    }
    return e->config.ops->cert(e->config.data, e, tag, cn, leaf.p, leaf.len, ret);
}

static void ask_psk(struct cx_half *h)
{
    h->asked = true;
    if (!cx_engine_ask_psk(h->engine, cx_half_handle(h), dtls_handshake_identity(h->hs))) {
        h->answered = true;
        dtls_handshake_answer_psk(h->hs, NULL, 0, NULL);
    }
}

static void ask_cert(struct cx_half *h)
{
    struct cx_identity id;
    struct dr_bytes leaf;
    uint64_t tag;
    const char *cn;

    dtls_handshake_cert(h->hs, &tag, &cn, &leaf.p, &leaf.len);
    dr_err_t err = cx_engine_ask_cert(h->engine, tag, cn, leaf, &id);
    dtls_handshake_answer_cert(h->hs, err, &id);
}

static void half_arm(struct cx_half *h)
{
    uint64_t at = dtls_handshake_deadline(h->hs);

    at = at < h->give_up_ms ? at : h->give_up_ms;
    dr_timer_start(loop_wheel(h->engine->loop), &h->timer, at);
}

/* Look at the state and do what it asks for, until the peer or the owner has the word. */
void cx_half_drive(struct cx_half *h)
{
    dr_assert(h != NULL && h->job == NULL && h->hs != NULL);
    half_output(h);
    switch (dtls_handshake_state(h->hs)) {
    case DTLS_HS_RUNNING:
        half_arm(h);
        return;
    case DTLS_HS_ASK_PSK:
        if (!h->asked) {
            h->driving = true;
            ask_psk(h);
            h->driving = false;
        }
        if (h->answered) {
            cx_half_step(h);
        } else {
            half_arm(h);
        }
        return;
    case DTLS_HS_ASK_CERT:
        ask_cert(h);
        cx_half_step(h);
        return;
    case DTLS_HS_DONE:
        half_complete(h);
        return;
    case DTLS_HS_FAILED:
        break;
    }
    dr_err_t err = dtls_handshake_error(h->hs);
    cx_half_fail(h, err == DR_ERR_TIMEOUT ? DR_ERR_TIMEOUT : DR_ERR_CRYPTO);
}

static void job_run(struct loop_work *w)
{
    struct cx_job *j = DR_CONTAINER_OF(w, struct cx_job, work);

    (void)dtls_handshake_step(j->hs, j->crypto, j->now_ms);
}

void cx_half_feed(struct cx_half *h, const uint8_t *bytes, size_t len)
{
    dr_assert(h != NULL && bytes != NULL);
    struct cx_job *j = h->job;

    if (j == NULL) {
        dtls_handshake_input(h->hs, bytes, len);
    } else if (len <= sizeof(j->held) - j->held_len) {
        memcpy(j->held + j->held_len, bytes, len);
        j->held_len += len;
    }
}

static void job_done(struct loop_work *w, dr_err_t err)
{
    struct cx_job *j = DR_CONTAINER_OF(w, struct cx_job, work);
    struct cx_engine *e = j->engine;
    struct cx_half *h = cx_half_get(e, j->half);

    e->jobs--;
    e->job_crypto[e->n_job_crypto++] = j->crypto;
    e->now_ms = loop_now_ms(e->loop);
    if (h == NULL) {
        (void)dtls_handshake_free(j->hs);
        free(j);
        return;
    }
    h->job = NULL;
    if (err != DR_OK) {
        cx_half_fail(h, DR_ERR_CANCELED);
        free(j);
        return;
    }
    bool more = j->held_len > 0;
    if (more) {
        dtls_handshake_input(h->hs, j->held, j->held_len);
    }
    free(j);
    if (more && dtls_handshake_state(h->hs) == DTLS_HS_RUNNING) {
        cx_half_step(h);
    } else {
        cx_half_drive(h);
    }
}

static struct dtls_crypto *crypto_take(struct cx_engine *e)
{
    struct dtls_crypto *c = NULL;

    if (e->n_job_crypto > 0) {
        return e->job_crypto[--e->n_job_crypto];
    }
    return dtls_crypto_new(&c) == DR_OK ? c : NULL;
}

/* @return false: take the step here */
static bool step_in_pool(struct cx_half *h)
{
    struct cx_engine *e = h->engine;

    if (!dtls_handshake_is_heavy(h->hs) || e->jobs == CX_JOBS_MAX) {
        return false;
    }
    struct cx_job *j = malloc(sizeof(*j));
    if (j == NULL) {
        return false;
    }
    j->crypto = crypto_take(e);
    if (j->crypto == NULL) {
        free(j);
        return false;
    }
    j->engine = e;
    j->half = cx_half_handle(h);
    j->hs = h->hs;
    j->now_ms = e->now_ms;
    j->held_len = 0;
    if (loop_work_start(e->loop, &j->work, job_run, job_done) != DR_OK) {
        e->job_crypto[e->n_job_crypto++] = j->crypto;
        free(j);
        return false;
    }
    h->job = j;
    e->jobs++;
    dr_timer_cancel(loop_wheel(e->loop), &h->timer);
    return true;
}

/* Let OpenSSL work on what was put in. @p h may be gone afterwards. */
void cx_half_step(struct cx_half *h)
{
    dr_assert(h != NULL && h->job == NULL);
    struct cx_engine *e = h->engine;

    h->answered = false;
    if (step_in_pool(h)) {
        return;
    }
    uint64_t t0 = dr_mono_ns();
    (void)dtls_handshake_step(h->hs, e->crypto, e->now_ms);
    e->hs_credit_ns -= (int64_t)(dr_mono_ns() - t0);
    cx_half_drive(h);
}

static void half_timer(struct dr_timer *t, uint64_t now_ms)
{
    struct cx_half *h = DR_CONTAINER_OF(t, struct cx_half, timer);
    struct cx_engine *e = h->engine;

    dr_assert(h->job == NULL);
    e->now_ms = now_ms;
    if (now_ms >= h->give_up_ms) {
        cx_half_fail(h, DR_ERR_TIMEOUT);
        return;
    }
    (void)dtls_handshake_expire(h->hs, e->crypto, now_ms);
    cx_half_drive(h);
}

void cx_psk_answer(struct cx_engine *e, uint64_t handle, const uint8_t *key, size_t len,
                   const struct cx_identity *id)
{
    dr_assert(e != NULL);
    loop_assert_current(e->loop);
    cx_engine_touch(e);
    if (cx_conn_psk_answer(e, handle, key, len, id)) {
        return;
    }
    struct cx_half *h = cx_half_get(e, handle);

    if (h == NULL || !h->asked || h->answered || h->job != NULL ||
        dtls_handshake_state(h->hs) != DTLS_HS_ASK_PSK) {
        return; /* gave up meanwhile, or answered before */
    }
    dtls_handshake_answer_psk(h->hs, key, len, id);
    h->answered = true;
    if (!h->driving) {
        e->now_ms = loop_now_ms(e->loop);
        cx_half_step(h);
    }
}
