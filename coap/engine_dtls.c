/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a DTLS socket brings:
 *
 *   ClientHello        no cookie: answered without state; with one: admission, a new cx_half
 *   epoch 0            to the cx_half of this flow
 *   epoch 1            to the peer of this flow; while a cx_half runs beside it, only if it
 * verifies, else to the cx_half (the Finished of the new handshake)
 *
 * A cx_half is one handshake. Its state lives in struct dtls_handshake; here it is fed, its output
 * is sent, its questions are asked, and in the end it becomes a peer, replacing the one that had
 * the flow.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "coap/dtls_security.h"
#include "coap/engine_priv.h"

/* Address and port of the peer, as the cookie knows it. */
#define COOKIE_ADDR_LEN 18

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

dr_err_t cx_engine_dtls_init(struct cx_engine *e)
{
    if (e->config.security == NULL) {
        return DR_OK;
    }
    /* The count of references is all that changes in it. */
    e->security = cx_security_ref((struct cx_security *)e->config.security);
    dr_err_t err = dtls_crypto_new(&e->crypto);
    if (err == DR_OK) {
        err = dr_slab_init(&e->assocs, sizeof(struct dtls_assoc), e->config.limits.peers_max,
                           DR_SLAB_SECRET);
    }
    if (err == DR_OK) {
        err = dr_slab_init(&e->halves, sizeof(struct cx_half), e->config.limits.half_open_max,
                           DR_SLAB_KEEP);
    }
    if (err == DR_OK) {
        err = dr_table_init(&e->halves_by_flow, e->config.limits.half_open_max, half_eq, e);
    }
    return err;
}

void cx_engine_dtls_fini(struct cx_engine *e)
{
    dr_assert(e->jobs == 0);
    dr_table_fini(&e->halves_by_flow);
    dr_slab_fini(&e->halves);
    dr_slab_fini(&e->assocs);
    while (e->n_job_crypto > 0) {
        (void)dtls_crypto_free(e->job_crypto[--e->n_job_crypto]);
    }
    e->crypto = dtls_crypto_free(e->crypto);
    e->security = cx_security_unref(e->security);
}

/* ---- associations ---- */

static void send_bytes(struct cx_engine *e, const struct cx_flow *flow, const uint8_t *bytes,
                       size_t len)
{
    struct cx_sock *s = e->socks[flow->sock].sock;
    uint8_t *out = len > 0 && len <= CX_DGRAM_MAX ? cx_sock_reserve(s) : NULL;

    if (out != NULL) {
        memcpy(out, bytes, len);
        cx_sock_commit(s, len, flow);
    }
}

void cx_engine_dtls_forget(struct cx_engine *e, struct cx_peer *p)
{
    if (p->assoc != 0) {
        dtls_assoc_fini(cx_assoc_of(e, p));
        dr_slab_free(&e->assocs, p->assoc);
        p->assoc = 0;
    }
}

void cx_engine_dtls_goodbye(struct cx_engine *e, struct cx_peer *p)
{
    uint8_t bytes[DTLS_ALERT_LEN_MAX];

    send_bytes(e, &p->flow, bytes, dtls_assoc_close(cx_assoc_of(e, p), e->crypto, bytes));
}

static void repeat_flight(struct cx_engine *e, struct cx_peer *p)
{
    size_t off = 0;
    const uint8_t *bytes;

    for (size_t n; (n = dtls_assoc_flight_next(cx_assoc_of(e, p), &off, &bytes)) > 0;) {
        send_bytes(e, &p->flow, bytes, n);
    }
}

static void record_input(struct cx_engine *e, struct cx_peer *p, const struct dtls_record *rec)
{
    struct dtls_input in;

    dtls_assoc_input(cx_assoc_of(e, p), e->crypto, rec, e->now_ms, &in);
    switch (in.got) {
    case DTLS_GOT_DATA:
        cx_engine_message(e, p, in.data, in.len);
        break;
    case DTLS_GOT_REPEAT:
        repeat_flight(e, p);
        break;
    case DTLS_GOT_REPLY:
        send_bytes(e, &p->flow, in.reply, in.reply_len);
        break;
    case DTLS_GOT_CLOSED:
        send_bytes(e, &p->flow, in.reply, in.reply_len);
        cx_engine_end_peer(e, p, CX_GONE_CLOSED);
        break;
    case DTLS_GOT_FATAL:
        cx_engine_end_peer(e, p, CX_GONE_FAILED);
        break;
    case DTLS_GOT_REPLAY:
        e->stats.replays++;
        break;
    case DTLS_GOT_BAD:
        e->stats.bad_records++;
        break;
    case DTLS_GOT_NOTHING:
        break;
    }
}

/* ---- handshakes: table ---- */

static uint64_t half_handle(const struct cx_half *h)
{
    return (uint64_t)h->generation << 32 | h->index;
}

static struct cx_half *half_get(const struct cx_engine *e, uint64_t handle)
{
    uint32_t index = (uint32_t)handle;

    if (index == 0 || e->halves.chunks == NULL || !dr_slab_used(&e->halves, index)) {
        return NULL;
    }
    struct cx_half *h = dr_slab_get(&e->halves, index);
    return h->generation == (uint32_t)(handle >> 32) ? h : NULL;
}

static struct cx_half *half_find(const struct cx_engine *e, const struct cx_flow *flow)
{
    if (e->halves.count == 0) {
        return NULL;
    }
    uint32_t index = dr_table_get(&e->halves_by_flow, cx_flow_hash(&e->peers, flow), flow);

    return index != 0 ? dr_slab_get(&e->halves, index) : NULL;
}

static void half_timer(struct dr_timer *t, uint64_t now_ms);

static dr_err_t half_new(struct cx_engine *e, const struct cx_flow *flow, struct cx_half **ret)
{
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
static void half_free(struct cx_half *h)
{
    struct cx_engine *e = h->engine;

    dr_timer_cancel(loop_wheel(e->loop), &h->timer);
    if (h->job == NULL) {
        h->hs = dtls_handshake_free(h->hs);
    }
    (void)dr_table_del(&e->halves_by_flow, cx_flow_hash(&e->peers, &h->flow), h->index);
    h->generation++;
    dr_slab_free(&e->halves, h->index);
}

/* ---- handshakes: ends ---- */

static void half_fail(struct cx_half *h, dr_err_t err)
{
    struct cx_engine *e = h->engine;
    struct cx_connecting *c = h->connecting;

    h->connecting = NULL;
    half_free(h);
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
        record_input(e, p, &rec);
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
        half_fail(h, err);
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
    half_free(h);
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

static void ask_psk(struct cx_half *h)
{
    struct cx_engine *e = h->engine;
    struct cx_psk_query q = {.handle = half_handle(h), .identity = dtls_handshake_identity(h->hs)};

    h->asked = true;
    if (e->config.ops->psk != NULL) {
        e->config.ops->psk(e->config.data, e, &q);
    } else {
        h->answered = true;
        dtls_handshake_answer_psk(h->hs, NULL, 0, NULL);
    }
}

static void ask_cert(struct cx_half *h)
{
    struct cx_engine *e = h->engine;
    struct cx_identity id = {.kind = CX_ID_CERT};
    dr_err_t err = DR_ERR_DENIED;
    uint64_t tag;
    const char *cn;
    const uint8_t *der;
    size_t len;

    dtls_handshake_cert(h->hs, &tag, &cn, &der, &len);
    id.name = cn;
    if (e->config.ops->cert != NULL) {
        err = e->config.ops->cert(e->config.data, e, tag, cn, der, len, &id);
    }
    dtls_handshake_answer_cert(h->hs, err, &id);
}

static void half_arm(struct cx_half *h)
{
    uint64_t at = dtls_handshake_deadline(h->hs);

    at = at < h->give_up_ms ? at : h->give_up_ms;
    dr_timer_start(loop_wheel(h->engine->loop), &h->timer, at);
}

static void half_step(struct cx_half *h);

/* Look at the state and do what it asks for, until the peer or the owner has the word. */
static void half_drive(struct cx_half *h)
{
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
            half_step(h);
        } else {
            half_arm(h);
        }
        return;
    case DTLS_HS_ASK_CERT:
        ask_cert(h);
        half_step(h);
        return;
    case DTLS_HS_DONE:
        half_complete(h);
        return;
    case DTLS_HS_FAILED:
        break;
    }
    dr_err_t err = dtls_handshake_error(h->hs);
    half_fail(h, err == DR_ERR_TIMEOUT ? DR_ERR_TIMEOUT : DR_ERR_CRYPTO);
}

static void job_run(struct loop_work *w)
{
    struct cx_job *j = DR_CONTAINER_OF(w, struct cx_job, work);

    (void)dtls_handshake_step(j->hs, j->crypto, j->now_ms);
}

static void half_feed(struct cx_half *h, const uint8_t *bytes, size_t len)
{
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
    struct cx_half *h = half_get(e, j->half);

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
        half_fail(h, DR_ERR_CANCELED);
        free(j);
        return;
    }
    bool more = j->held_len > 0;
    if (more) {
        dtls_handshake_input(h->hs, j->held, j->held_len);
    }
    free(j);
    if (more && dtls_handshake_state(h->hs) == DTLS_HS_RUNNING) {
        half_step(h);
    } else {
        half_drive(h);
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
    j->half = half_handle(h);
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
static void half_step(struct cx_half *h)
{
    struct cx_engine *e = h->engine;

    h->answered = false;
    if (step_in_pool(h)) {
        return;
    }
    uint64_t t0 = dr_mono_ns();
    (void)dtls_handshake_step(h->hs, e->crypto, e->now_ms);
    e->hs_credit_ns -= (int64_t)(dr_mono_ns() - t0);
    half_drive(h);
}

static void half_timer(struct dr_timer *t, uint64_t now_ms)
{
    struct cx_half *h = DR_CONTAINER_OF(t, struct cx_half, timer);
    struct cx_engine *e = h->engine;

    dr_assert(h->job == NULL);
    e->now_ms = now_ms;
    if (now_ms >= h->give_up_ms) {
        half_fail(h, DR_ERR_TIMEOUT);
        return;
    }
    (void)dtls_handshake_expire(h->hs, e->crypto, now_ms);
    half_drive(h);
}

void cx_psk_answer(struct cx_engine *e, uint64_t handle, const uint8_t *key, size_t len,
                   const struct cx_identity *id)
{
    dr_assert(e != NULL);
    loop_assert_current(e->loop);
    cx_engine_touch(e);
    struct cx_half *h = half_get(e, handle);

    if (h == NULL || !h->asked || h->answered || h->job != NULL ||
        dtls_handshake_state(h->hs) != DTLS_HS_ASK_PSK) {
        return; /* gave up meanwhile, or answered before */
    }
    dtls_handshake_answer_psk(h->hs, key, len, id);
    h->answered = true;
    if (!h->driving) {
        e->now_ms = loop_now_ms(e->loop);
        half_step(h);
    }
}

/* ---- server: admission ---- */

static void cookie_addr(const struct cx_flow *flow, uint8_t out[COOKIE_ADDR_LEN])
{
    memcpy(out, flow->remote, 16);
    memcpy(out + 16, &flow->remote_port, 2);
}

static void hello_verify(struct cx_engine *e, struct cx_endpoint *ep, const struct cx_flow *flow,
                         const struct dtls_hello *hello, const uint8_t *addr)
{
    uint8_t *out = cx_sock_reserve(ep->sock);

    if (out == NULL) {
        return;
    }
    size_t n = dtls_hello_verify_make(e->crypto, dtls_security_cookie_key(e->security), hello, addr,
                                      COOKIE_ADDR_LEN, (uint64_t)dr_wall_ms(), out);
    if (n > 0) {
        cx_sock_commit(ep->sock, n, flow);
        e->stats.hello_verify_sent++;
    }
}

static void half_begin(struct cx_engine *e, const struct cx_dgram *d,
                       const struct dtls_hello *hello)
{
    struct dtls_handshake_config config = {.security = e->security,
                                           .wall_ms = (uint64_t)dr_wall_ms()};
    struct cx_half *h;

    if (half_new(e, &d->flow, &h) != DR_OK) {
        e->stats.half_open_refused++;
        return;
    }
    uint64_t t0 = dr_mono_ns();
    dr_err_t err =
        dtls_handshake_server(&config, e->crypto, d->data, d->len, hello, e->now_ms, &h->hs);
    e->hs_credit_ns -= (int64_t)(dr_mono_ns() - t0);
    if (err != DR_OK) {
        half_free(h);
        e->stats.handshakes_failed++;
        return;
    }
    e->stats.handshakes_started++;
    half_drive(h);
}

static void hello_input(struct cx_engine *e, struct cx_endpoint *ep, const struct cx_dgram *d)
{
    struct dtls_hello hello;
    uint8_t addr[COOKIE_ADDR_LEN];
    struct cx_half *h = half_find(e, &d->flow);

    if (dtls_security_is_client(e->security) ||
        dtls_hello_parse(d->data, d->len, &hello) != DR_OK) {
        e->stats.malformed++;
        return;
    }
    if (h != NULL && h->job == NULL && dtls_handshake_is_same_hello(h->hs, &hello)) {
        dtls_handshake_input(h->hs, d->data, d->len);
        half_step(h);
        return;
    }
    if (h != NULL && h->job != NULL) {
        return; /* its step may just be ending; the peer repeats the hello */
    }
    if (e->hs_credit_ns < 0) {
        e->stats.half_open_refused++; /* over the share: the peer repeats the hello */
        return;
    }
    cookie_addr(&d->flow, addr);
    if (!dtls_cookie_ok(e->crypto, dtls_security_cookie_key(e->security), &hello, addr,
                        sizeof(addr), (uint64_t)dr_wall_ms())) {
        hello_verify(e, ep, &d->flow, &hello, addr);
        return;
    }
    if (h != NULL) {
        half_fail(h, DR_ERR_RESET); /* the peer has begun anew */
    }
    half_begin(e, d, &hello);
}

/* ---- datagrams ---- */

/* Whether @p rec belongs to the association that the flow has, although a handshake runs beside. */
static bool is_of_old(struct cx_engine *e, struct cx_peer *p, const struct dtls_record *rec)
{
    uint8_t scratch[CX_DGRAM_MAX];

    return dtls_assoc_probe(cx_assoc_of(e, p), e->crypto, rec, scratch, sizeof(scratch));
}

void cx_engine_dtls_input(struct cx_engine *e, struct cx_endpoint *ep, struct cx_dgram *d,
                          struct cx_peer *p)
{
    struct dtls_record rec;
    size_t off = 0;
    bool fed = false;

    if (dtls_hello_is(d->data, d->len)) {
        hello_input(e, ep, d);
        return;
    }
    struct cx_half *h = half_find(e, &d->flow);
    uint64_t handle = h != NULL ? half_handle(h) : 0;
    while (dtls_record_next(d->data, d->len, &off, &rec)) {
        bool alive = p != NULL && p->state == CX_PEER_LIVE;

        if (alive && rec.epoch > 0 && (h == NULL || is_of_old(e, p, &rec))) {
            record_input(e, p, &rec);
            h = half_get(e, handle); /* the callbacks may have ended it */
        } else if (h != NULL) {
            half_feed(h, rec.whole, rec.whole_len);
            fed = true;
        } else {
            e->stats.bad_records++;
        }
    }
    if (off == 0) {
        e->stats.malformed++;
    }
    if (fed && h != NULL && h->job == NULL) {
        half_step(h);
    }
}

/* ---- client ---- */

dr_err_t cx_engine_dtls_connect(struct cx_engine *e, const struct cx_connect *c, struct cx_peer *p,
                                struct cx_connecting *x)
{
    struct dtls_handshake_config config = {.security = e->security,
                                           .timing = c->timing,
                                           .wall_ms = (uint64_t)dr_wall_ms(),
                                           .psk_identity = c->psk_identity,
                                           .psk_key = c->psk_key,
                                           .psk_key_len = c->psk_key_len};
    struct cx_half *h = half_find(e, &p->flow);

    if (h != NULL) {
        return DR_ERR_EXISTS;
    }
    dr_err_t err = half_new(e, &p->flow, &h);
    if (err != DR_OK) {
        return err;
    }
    err = dtls_handshake_client(&config, e->crypto, e->now_ms, &h->hs);
    if (err != DR_OK) {
        half_free(h);
        return err;
    }
    h->connecting = x;
    e->stats.handshakes_started++;
    half_drive(h);
    return DR_OK;
}

static void cancel_half(struct cx_half *h)
{
    half_fail(h, DR_ERR_CANCELED);
}

void cx_engine_dtls_cancel(struct cx_engine *e)
{
    if (e->halves.chunks == NULL) {
        return;
    }
    for (uint32_t i = dr_slab_next(&e->halves, 0); i != 0; i = dr_slab_next(&e->halves, i)) {
        cancel_half(dr_slab_get(&e->halves, i));
    }
}

void cx_engine_dtls_cancel_peer(struct cx_engine *e, const struct cx_peer *p)
{
    struct cx_half *h = half_find(e, &p->flow);

    dr_assert(h != NULL && h->connecting != NULL);
    cancel_half(h);
}
