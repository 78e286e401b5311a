/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a DTLS socket brings:
 *
 *   ClientHello   no cookie: answered without state; with one: admission, a new cx_half
 *   epoch 0       to the cx_half of this flow (coap/half.h)
 *   epoch 1       to the peer of this flow; while a cx_half runs beside it, only if it verifies,
 *                 else to the cx_half: the Finished of the new handshake
 */
#include <string.h>

#include "base/clock.h"
#include "coap/dtls_security.h"
#include "coap/half.h"

/* Address and port of the peer, as the cookie knows it. */
#define COOKIE_ADDR_LEN 18

dr_err_t cx_engine_dtls_init(struct cx_engine *e)
{
    dr_assert(e != NULL);
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
    return err == DR_OK ? cx_halves_init(e) : err;
}

void cx_engine_dtls_fini(struct cx_engine *e)
{
    dr_assert(e != NULL);
    cx_halves_fini(e);
    dr_slab_fini(&e->assocs);
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
    dr_assert(e != NULL && p != NULL);
    if (p->assoc != 0) {
        dtls_assoc_fini(cx_assoc_of(e, p));
        dr_slab_free(&e->assocs, p->assoc);
        p->assoc = 0;
    }
}

void cx_engine_dtls_goodbye(struct cx_engine *e, struct cx_peer *p)
{
    dr_assert(e != NULL && p != NULL && p->assoc != 0);
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

void cx_engine_record(struct cx_engine *e, struct cx_peer *p, const struct dtls_record *rec)
{
    dr_assert(p != NULL && p->assoc != 0 && rec != NULL);
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

    dr_err_t err = cx_half_new(e, &d->flow, &h);
    if (err == DR_ERR_LIMIT && cx_half_make_room(e)) {
        err = cx_half_new(e, &d->flow, &h);
    }
    if (err != DR_OK) {
        e->stats.half_open_refused++;
        return;
    }
    dr_list_push_back(&e->served, &h->node);
    uint64_t t0 = dr_mono_ns();
    err = dtls_handshake_server(&config, e->crypto, d->data, d->len, hello, e->now_ms, &h->hs);
    e->hs_credit_ns -= (int64_t)(dr_mono_ns() - t0);
    if (err != DR_OK) {
        cx_half_free(h);
        e->stats.handshakes_failed++;
        return;
    }
    e->stats.handshakes_started++;
    cx_half_drive(h);
}

static void hello_input(struct cx_engine *e, struct cx_endpoint *ep, const struct cx_dgram *d)
{
    struct dtls_hello hello;
    uint8_t addr[COOKIE_ADDR_LEN];
    struct cx_half *h = cx_half_find(e, &d->flow);

    if (dtls_security_is_client(e->security) ||
        dtls_hello_parse(d->data, d->len, &hello) != DR_OK) {
        e->stats.malformed++;
        return;
    }
    if (h != NULL && h->job == NULL && dtls_handshake_is_same_hello(h->hs, &hello)) {
        dtls_handshake_input(h->hs, d->data, d->len);
        cx_half_step(h);
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
        cx_half_fail(h, DR_ERR_RESET); /* the peer has begun anew */
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
    dr_assert(e != NULL && ep != NULL && d != NULL && e->crypto != NULL);
    struct dtls_record rec;
    size_t off = 0;
    bool fed = false;

    if (dtls_hello_is(d->data, d->len)) {
        hello_input(e, ep, d);
        return;
    }
    struct cx_half *h = cx_half_find(e, &d->flow);
    uint64_t handle = h != NULL ? cx_half_handle(h) : 0;
    while (dtls_record_next(d->data, d->len, &off, &rec)) {
        bool alive = p != NULL && p->state == CX_PEER_LIVE;

        if (alive && rec.epoch > 0 && (h == NULL || is_of_old(e, p, &rec))) {
            cx_engine_record(e, p, &rec);
            h = cx_half_get(e, handle); /* the callbacks may have ended it */
        } else if (h != NULL) {
            cx_half_feed(h, rec.whole, rec.whole_len);
            fed = true;
        } else {
            e->stats.bad_records++;
        }
    }
    if (off == 0) {
        e->stats.malformed++;
    }
    if (fed && h != NULL && h->job == NULL) {
        cx_half_step(h);
    }
}

/* ---- client ---- */

dr_err_t cx_engine_dtls_connect(struct cx_engine *e, const struct cx_connect *c, struct cx_peer *p,
                                struct cx_connecting *x)
{
    dr_assert(e->crypto != NULL && p->state == CX_PEER_CONNECTING);
    struct dtls_handshake_config config = {.security = e->security,
                                           .timing = c->timing,
                                           .wall_ms = (uint64_t)dr_wall_ms(),
                                           .psk_identity = c->psk_identity,
                                           .psk_key = c->psk_key,
                                           .psk_key_len = c->psk_key_len};
    struct cx_half *h = cx_half_find(e, &p->flow);

    if (h != NULL) {
        return DR_ERR_EXISTS;
    }
    dr_err_t err = cx_half_new(e, &p->flow, &h);
    if (err != DR_OK) {
        return err;
    }
    err = dtls_handshake_client(&config, e->crypto, e->now_ms, &h->hs);
    if (err != DR_OK) {
        cx_half_free(h);
        return err;
    }
    h->connecting = x;
    e->stats.handshakes_started++;
    cx_half_drive(h);
    return DR_OK;
}

void cx_engine_dtls_cancel(struct cx_engine *e)
{
    dr_assert(e != NULL);
    if (e->halves.chunks == NULL) {
        return;
    }
    for (uint32_t i = dr_slab_next(&e->halves, 0); i != 0; i = dr_slab_next(&e->halves, i)) {
        cx_half_fail(dr_slab_get(&e->halves, i), DR_ERR_CANCELED);
    }
}

void cx_engine_dtls_cancel_peer(struct cx_engine *e, const struct cx_peer *p)
{
    struct cx_half *h = cx_half_find(e, &p->flow);

    dr_assert(h != NULL && h->connecting != NULL);
    cx_half_fail(h, DR_ERR_CANCELED);
}
