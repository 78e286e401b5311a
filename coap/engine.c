/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A turn of the loop: datagrams are read in batches and handled one by one; every message that this
 * brings forth is written straight into the send batch of its socket. Before the loop sleeps the
 * idle hook lets the message layer's time pass, ends peers that were closed, and flushes the
 * batches. Nothing here walks over peers, but for the idle sweep, which visits a few of them four
 * times a second.
 */
#include "coap/engine.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "coap/conn.h"
#include "coap/engine_priv.h"

/* Batches read at one wake-up: about 1 ms of work, then other sockets and timers have their turn.
 */
#define READ_BATCHES     2
#define SWEEP_EVERY_MS   250
/* How often the metrics hear of the counters, which takes a system call for each socket. */
#define SWEEPS_A_TELLING 4
/* A receive buffer below this loses datagrams when many devices speak at once. */
#define RCVBUF_SMALL     (2 << 20)

static const struct cx_limits limits_default = {
    .peers_max = 1200000,
    .half_open_max = 2000,
    .body_max = 65536,
    .assemblies_max = 10000,
    .exchanges_per_peer_max = 8,
    .calls_per_peer_max = 64,
    .handshake_cpu_pct = 30,
    .nosec_idle_s = 86400,
    .streams_max = 20000,
    .streams_per_addr_max = 1000,
    .stream_hello_s = 60,
    .stream_idle_s = 86400,
};

static struct cx_peer *peer_of(struct cx_mpeer *m)
{
    return DR_CONTAINER_OF(m, struct cx_peer, msg);
}

/* ---- what the message layer asks for ---- */

static uint8_t *out_begin(void *data, struct cx_mpeer *m, size_t max)
{
    struct cx_engine *e = data;
    struct cx_peer *p = peer_of(m);

    dr_assert(max <= CX_STREAM_MSG_MAX);
    if (p->state != CX_PEER_LIVE || e->closed) {
        return NULL;
    }
    if ((p->flags & CX_PEER_STREAM) != 0) {
        return cx_conn_out_begin(cx_conn_of(e, p));
    }
    e->out = cx_sock_reserve(e->socks[p->flow.sock].sock);
    if (e->out == NULL) {
        return NULL;
    }
    return p->assoc != 0 ? e->out + DTLS_SEAL_HEAD : e->out;
}

static void out_end(void *data, struct cx_mpeer *m, size_t len)
{
    struct cx_engine *e = data;
    struct cx_peer *p = peer_of(m);
    uint8_t *out = e->out;

    if ((p->flags & CX_PEER_STREAM) != 0) {
        cx_conn_out_end(cx_conn_of(e, p), len);
        return;
    }
    dr_assert(out != NULL);
    e->out = NULL;
    if (len == 0) {
        return;
    }
    if (p->assoc != 0 &&
        dtls_assoc_seal(cx_assoc_of(e, p), e->crypto, DTLS_TYPE_DATA, out, len, &len) != DR_OK) {
        /* Out of sequence numbers: the peer has to shake hands again. */
        cx_engine_end_peer(e, p, CX_GONE_FAILED);
        return;
    }
    cx_sock_commit(e->socks[p->flow.sock].sock, len, &p->flow);
}

static size_t room_for(void *data, const struct cx_mpeer *m)
{
    const struct cx_engine *e = data;
    const struct cx_peer *p = DR_CONTAINER_OF(m, const struct cx_peer, msg);

    return cx_conn_of(e, p)->room;
}

static void on_request(void *data, struct cx_mpeer *m, cx_exchange_t x, const struct cx_pdu *pdu)
{
    struct cx_engine *e = data;
    struct cx_inbound in = {
        .peer = cx_peer_handle(&e->peers, peer_of(m)), .exchange = x, .pdu = pdu};

    if (e->config.ops->request != NULL) {
        e->config.ops->request(e->config.data, e, &in);
    } else {
        struct cx_reply refuse = {.code = CX_NOT_IMPLEMENTED};

        (void)cx_answer(e, x, &refuse);
    }
}

static bool on_room(void *data)
{
    struct cx_engine *e = data;

    return e->config.ops->room == NULL || e->config.ops->room(e->config.data, e);
}

static bool on_notify(void *data, struct cx_mpeer *m, const struct cx_pdu *pdu)
{
    struct cx_engine *e = data;

    return e->config.ops->notify != NULL &&
           e->config.ops->notify(e->config.data, e, cx_peer_handle(&e->peers, peer_of(m)), pdu);
}

static bool on_observed(void *data, struct cx_mpeer *m, const struct cx_pdu *first,
                        struct cx_observed *ret)
{
    struct cx_engine *e = data;

    return e->config.ops->observed != NULL &&
           e->config.ops->observed(e->config.data, e, cx_peer_handle(&e->peers, peer_of(m)), first,
                                   ret);
}

static void random_bytes(void *data, uint8_t *buf, size_t len)
{
    (void)data;
    dr_rand_bytes(buf, len);
}

static const struct cx_msg_ops msg_ops = {
    .out_begin = out_begin,
    .out_end = out_end,
    .request = on_request,
    .notify = on_notify,
    .room = on_room,
    .observed = on_observed,
    .random = random_bytes,
    .room_for = room_for,
};

/* ---- peers ---- */

void cx_engine_end_peer(struct cx_engine *e, struct cx_peer *p, enum cx_gone why)
{
    dr_assert(e != NULL && p != NULL);
    if (p->state != CX_PEER_LIVE) {
        return;
    }
    cx_peer_unlink(&e->peers, p);
    p->why = (uint8_t)why;
    p->dying = e->dying;
    e->dying = p->index;
    loop_again(e->loop);
}

/* Association or connection of a peer that is on its way out. */
static void forget(struct cx_engine *e, struct cx_peer *p)
{
    if ((p->flags & CX_PEER_STREAM) == 0) {
        cx_engine_dtls_forget(e, p);
    } else if (p->assoc != 0) {
        struct cx_conn *c = cx_conn_of(e, p);

        c->peer = 0;
        p->assoc = 0;
        cx_conn_end(c);
    }
}

void cx_engine_drop_peer(struct cx_engine *e, struct cx_peer *p)
{
    dr_assert(p->state != CX_PEER_LIVE);
    cx_msg_peer_fini(e->msg, &p->msg, DR_ERR_GONE);
    forget(e, p);
    cx_peer_free(&e->peers, p);
}

/* End what was closed in this turn. Calls complete first, then the owner hears of it; both may
 * close more peers. */
static void reap(struct cx_engine *e)
{
    while (e->dying != 0) {
        uint32_t first = e->dying;

        e->dying = 0;
        for (uint32_t i = first; i != 0; i = cx_peer_at(&e->peers, i)->dying) {
            cx_msg_peer_fini(e->msg, &cx_peer_at(&e->peers, i)->msg, DR_ERR_GONE);
        }
        cx_msg_expire(e->msg, e->now_ms);
        for (uint32_t i = first, next; i != 0; i = next) {
            struct cx_peer *p = cx_peer_at(&e->peers, i);

            next = p->dying;
            if (e->config.ops->peer_gone != NULL) {
                e->config.ops->peer_gone(e->config.data, e, cx_peer_handle(&e->peers, p), p->user,
                                         p->why);
            }
            forget(e, p);
            cx_peer_free(&e->peers, p);
        }
    }
}

static void check_idle(void *data, struct cx_peer *p)
{
    struct cx_engine *e = data;
    const struct cx_limits *l = &e->config.limits;
    uint32_t idle_s = (uint32_t)(e->now_ms / 1000) - p->last_s;
    bool stream = (p->flags & CX_PEER_STREAM) != 0;
    uint32_t limit_s = stream          ? l->stream_idle_s
                       : p->assoc != 0 ? l->assoc_idle_s
                                       : l->nosec_idle_s;

    if (p->state != CX_PEER_LIVE || (p->flags & CX_PEER_CLIENT) != 0) {
        return;
    }
    if (!stream && p->assoc != 0 && idle_s > CX_STRANGER_S) {
        dtls_assoc_flight_drop(cx_assoc_of(e, p));
    }
    if ((stream ? p->ident == NULL : p->assoc == 0) && p->user == 0 && limit_s > CX_STRANGER_S) {
        limit_s = CX_STRANGER_S;
    }
    if (limit_s > 0 && idle_s > limit_s && !cx_msg_peer_busy(&p->msg)) {
        cx_engine_end_peer(e, p, CX_GONE_IDLE);
    }
}

/* Every peer is visited at least four times in the shortest time limit. */
static void sweep(struct loop_timer *t)
{
    struct cx_engine *e = DR_CONTAINER_OF(t, struct cx_engine, sweep);
    const struct cx_limits *l = &e->config.limits;
    uint64_t shortest_s = CX_STRANGER_S;

    shortest_s = l->nosec_idle_s < shortest_s ? l->nosec_idle_s : shortest_s;
    shortest_s = l->stream_idle_s < shortest_s ? l->stream_idle_s : shortest_s;
    if (l->assoc_idle_s > 0 && l->assoc_idle_s < shortest_s) {
        shortest_s = l->assoc_idle_s;
    }
    e->now_ms = loop_now_ms(e->loop);
    uint64_t count = (uint64_t)e->peers.slab.count * 4 * SWEEP_EVERY_MS / (shortest_s * 1000) + 1;
    cx_peers_sweep(&e->peers, (uint32_t)count, check_idle, e);
    cx_conns_sweep(e);
    if (++e->sweeps % SWEEPS_A_TELLING == 0) {
        struct cx_stats now;

        cx_engine_stats(e, &now);
        cx_engine_metrics_add(e, &now);
    }
}

/* ---- datagrams ---- */

void cx_engine_message(struct cx_engine *e, struct cx_peer *p, const uint8_t *bytes, size_t len)
{
    dr_assert(p != NULL && bytes != NULL);
    p->last_s = (uint32_t)(e->now_ms / 1000);
    cx_msg_input(e->msg, &p->msg, bytes, len, e->now_ms);
}

dr_err_t cx_engine_new_peer(struct cx_engine *e, const struct cx_flow *flow, struct cx_peer **ret)
{
    dr_assert(e != NULL && flow != NULL && ret != NULL);
    struct cx_peer *p;

    dr_err_t err = cx_peer_new(&e->peers, flow, NULL, &p);
    if (err != DR_OK) {
        return err;
    }
    cx_msg_peer_init(e->msg, &p->msg);
    p->last_s = (uint32_t)(e->now_ms / 1000);
    *ret = p;
    return DR_OK;
}

/* A reset needs no peer: a ping or junk from an unknown address is answered without state. */
static void reset_stranger(struct cx_engine *e, struct cx_endpoint *ep, const struct cx_flow *flow,
                           uint16_t mid)
{
    uint8_t *out = cx_sock_reserve(ep->sock);

    if (out != NULL) {
        struct dr_wr wr = dr_wr_of(out, 4);

        dr_wr_u8(&wr, 1 << 6 | CX_RST << 4);
        dr_wr_u8(&wr, 0);
        dr_wr_u16(&wr, mid);
        cx_sock_commit(ep->sock, 4, flow);
        e->stats.resets_sent++;
    }
}

static void plain_input(struct cx_engine *e, struct cx_endpoint *ep, const struct cx_dgram *d,
                        struct cx_peer *p)
{

    if (p == NULL) {
        uint8_t type;
        uint16_t mid;

        if (!cx_pdu_peek(d->data, d->len, &type, &mid)) {
            e->stats.malformed++;
            return;
        }
        if (type == CX_ACK || type == CX_RST) {
            return; /* late, or forged: nothing of ours waits for it */
        }
        if (d->data[1] == CX_EMPTY) {
            if (type == CX_CON) {
                reset_stranger(e, ep, &d->flow, mid);
            }
            return;
        }
        if (cx_engine_new_peer(e, &d->flow, &p) != DR_OK) {
            return;
        }
        if (cx_peer_link(&e->peers, p) != DR_OK) {
            cx_engine_drop_peer(e, p);
            return;
        }
    }
    cx_engine_message(e, p, d->data, d->len);
}

static void datagram(struct cx_engine *e, struct cx_endpoint *ep, struct cx_dgram *d,
                     struct cx_peer *p)
{
    if (ep->proto == CX_PROTO_DTLS) {
        cx_engine_dtls_input(e, ep, d, p);
    } else {
        plain_input(e, ep, d, p);
    }
}

void cx_engine_datagram(struct cx_engine *e, struct cx_endpoint *ep, struct cx_dgram *d)
{
    datagram(e, ep, d, cx_peer_find(&e->peers, &d->flow));
}

/* Handshakes may use all the time that the loop would sleep, and their share of the rest. */
void cx_engine_turn_begin(struct cx_engine *e)
{
    dr_assert(e != NULL);
    e->now_ms = loop_now_ms(e->loop);
    e->in_turn = true;
    if (e->turn_ended_ns == 0) {
        return; /* this turn has begun already */
    }
    uint64_t now = dr_mono_ns();
    uint64_t busy = e->turn_ended_ns - e->turn_began_ns;
    uint64_t idle = now > e->turn_ended_ns ? now - e->turn_ended_ns : 0;
    uint64_t credit = idle + busy * e->config.limits.handshake_cpu_pct / 100;

    e->hs_credit_ns += (int64_t)(credit < CX_HS_CREDIT_NS ? credit : CX_HS_CREDIT_NS);
    if (e->hs_credit_ns > CX_HS_CREDIT_NS) {
        e->hs_credit_ns = CX_HS_CREDIT_NS;
    }
    e->turn_began_ns = now;
    e->turn_ended_ns = 0;
}

/* With very many peers each datagram meets cold memory: table, peer, association. So the whole
 * batch is looked up first, in steps that let the misses overlap. */
static void look_up(struct cx_engine *e, struct cx_endpoint *ep, unsigned n,
                    struct cx_peer *peers[CX_BATCH])
{
    uint32_t hashes[CX_BATCH];

    for (unsigned i = 0; i < n; i++) {
        hashes[i] = cx_flow_hash(&e->peers, cx_sock_flow(ep->sock, i));
        dr_table_prefetch(&e->peers.by_flow, hashes[i]);
    }
    for (unsigned i = 0; i < n; i++) {
        struct cx_peer *p = cx_peer_find_hashed(&e->peers, hashes[i], cx_sock_flow(ep->sock, i));

        peers[i] = p;
        if (p != NULL && p->assoc != 0) {
            const char *assoc = (const char *)cx_assoc_of(e, p);

            __builtin_prefetch(assoc, 1);
            __builtin_prefetch(assoc + 64, 1);
        }
        if (p != NULL) {
            cx_msg_prefetch(e->msg, &p->msg);
        }
    }
}

/* Whatever the datagrams before have done: peers are freed in the idle hook only, so the memory is
 * still that of the same peer. */
static struct cx_peer *still_live(struct cx_engine *e, struct cx_peer *p,
                                  const struct cx_flow *flow)
{
    return p != NULL && p->state == CX_PEER_LIVE ? p : cx_peer_find(&e->peers, flow);
}

static void read_batches(struct cx_engine *e, struct cx_endpoint *ep)
{
    struct cx_peer *peers[CX_BATCH];
    unsigned n = CX_BATCH;

    for (unsigned round = 0; round < READ_BATCHES && n == CX_BATCH; round++) {
        n = cx_sock_recv(ep->sock);
        look_up(e, ep, n, peers);
        for (unsigned i = 0; i < n && !e->closing; i++) {
            struct cx_dgram *d = cx_sock_dgram(ep->sock, i);

            if (d == NULL) {
                continue;
            }
            if (e->filter == NULL || cx_filter_in(e->filter, ep, d)) {
                datagram(e, ep, d, still_live(e, peers[i], &d->flow));
            }
        }
    }
}

static void set_interest(struct cx_endpoint *ep)
{
    uint32_t want = (ep->engine->closing ? 0U : LOOP_READ) | (ep->waits ? LOOP_WRITE : 0U);

    if (loop_fd_set(&ep->watch, want) != DR_OK) {
        dr_log(DR_LOG_DEBUG, "coap", "cannot watch a socket");
    }
}

static void flush_socket(struct cx_endpoint *ep)
{
    bool waits = cx_sock_pending(ep->sock) && !cx_sock_flush(ep->sock);

    if (waits != ep->waits) {
        ep->waits = waits;
        set_interest(ep);
    }
}

static void socket_ready(struct loop_fd *w, uint32_t events)
{
    struct cx_endpoint *ep = DR_CONTAINER_OF(w, struct cx_endpoint, watch);
    struct cx_engine *e = ep->engine;

    cx_engine_turn_begin(e);
    if ((events & LOOP_READ) != 0) {
        read_batches(e, ep);
    }
    /* Writable: the idle hook flushes. */
}

/* ---- the end of a turn ---- */

static void woken(struct dr_timer *t, uint64_t now_ms)
{
    (void)t;
    (void)now_ms; /* the idle hook of this turn does the work */
}

static void deliver_connected(struct cx_engine *e)
{
    struct dr_list now;

    dr_list_init(&now);
    dr_list_splice(&now, &e->connected);
    for (struct dr_list *n = dr_list_pop_front(&now); n != NULL; n = dr_list_pop_front(&now)) {
        struct cx_connecting *c = DR_CONTAINER_OF(n, struct cx_connecting, node);

        c->cb(c->data, c->peer, c->err);
        free(c);
    }
}

static void pass_time(struct cx_engine *e)
{
    uint64_t deadline = cx_msg_deadline(e->msg);

    if (deadline <= e->now_ms) {
        cx_msg_expire(e->msg, e->now_ms);
    }
    deliver_connected(e);
    reap(e);
    deadline = cx_msg_deadline(e->msg);
    if (deadline <= e->now_ms || e->dying != 0 || !dr_list_empty(&e->connected)) {
        loop_again(e->loop);
    } else if (deadline != UINT64_MAX &&
               (!dr_timer_running(&e->wake) || e->wake.at_ms > deadline)) {
        dr_timer_start(loop_wheel(e->loop), &e->wake, deadline);
    }
}

static void close_report(struct loop_msg *m)
{
    struct cx_engine *e = DR_CONTAINER_OF(m, struct cx_engine, close_msg);

    e->close_done(e->close_data); /* last touch: may free the engine */
}

/* Nothing of it is left to be seen. */
static void tell_the_end(struct cx_engine *e)
{
    struct cx_stats last;

    cx_engine_stats(e, &last);
    last.peers = last.associations = last.half_open = last.streams = 0;
    cx_engine_metrics_add(e, &last);
}

static void finish_close(struct cx_engine *e)
{
    if (e->jobs > 0 || e->dying != 0 || !dr_list_empty(&e->connected) ||
        cx_msg_deadline(e->msg) <= e->now_ms) {
        return;
    }
    e->closed = true;
    for (unsigned i = 0; i < e->n_socks; i++) {
        loop_fd_close(&e->socks[i].watch);
    }
    cx_conns_close(e);
    loop_idle_remove(&e->idle);
    loop_timer_stop(&e->sweep);
    tell_the_end(e);
    dr_timer_cancel(loop_wheel(e->loop), &e->wake);
    e->filter = cx_filter_free(e->filter);
    loop_post(e->loop, &e->close_msg, close_report);
}

static void turn_end(struct loop_idle *h)
{
    struct cx_engine *e = DR_CONTAINER_OF(h, struct cx_engine, idle);

    e->now_ms = loop_now_ms(e->loop);
    pass_time(e);
    for (unsigned i = 0; i < e->n_socks; i++) {
        flush_socket(&e->socks[i]);
    }
    if (cx_conns_turn(e)) {
        loop_again(e->loop);
    }
    if (e->closing) {
        finish_close(e);
    }
    if (e->turn_ended_ns == 0) {
        e->turn_ended_ns = dr_mono_ns();
    }
    e->in_turn = false;
}

/* ---- lifecycle ---- */

static void fill_limits(struct cx_limits *l)
{
    const struct cx_limits *d = &limits_default;

    l->peers_max = l->peers_max != 0 ? l->peers_max : d->peers_max;
    l->half_open_max = l->half_open_max != 0 ? l->half_open_max : d->half_open_max;
    l->body_max = l->body_max != 0 ? l->body_max : d->body_max;
    l->assemblies_max = l->assemblies_max != 0 ? l->assemblies_max : d->assemblies_max;
    l->exchanges_per_peer_max =
        l->exchanges_per_peer_max != 0 ? l->exchanges_per_peer_max : d->exchanges_per_peer_max;
    l->calls_per_peer_max =
        l->calls_per_peer_max != 0 ? l->calls_per_peer_max : d->calls_per_peer_max;
    l->handshake_cpu_pct = l->handshake_cpu_pct != 0 ? l->handshake_cpu_pct : d->handshake_cpu_pct;
    l->nosec_idle_s = l->nosec_idle_s != 0 ? l->nosec_idle_s : d->nosec_idle_s;
    l->streams_max = l->streams_max != 0 ? l->streams_max : d->streams_max;
    l->streams_per_addr_max =
        l->streams_per_addr_max != 0 ? l->streams_per_addr_max : d->streams_per_addr_max;
    l->stream_hello_s = l->stream_hello_s != 0 ? l->stream_hello_s : d->stream_hello_s;
    l->stream_idle_s = l->stream_idle_s != 0 ? l->stream_idle_s : d->stream_idle_s;
}

dr_err_t cx_engine_new(const struct cx_engine_config *config, struct cx_engine **ret)
{
    dr_assert(config != NULL && config->loop != NULL && config->ops != NULL && ret != NULL);
    struct cx_engine *e = calloc(1, sizeof(*e));

    if (e == NULL) {
        return DR_ERR_NOMEM;
    }
    e->loop = config->loop;
    e->config = *config;
    fill_limits(&e->config.limits);
    dr_list_init(&e->connected);
    e->now_ms = loop_now_ms(e->loop);
    dr_err_t err = cx_peers_init(&e->peers, e->config.limits.peers_max);
    if (err != DR_OK) {
        goto out;
    }
    struct cx_msg_config mc = {
        .ops = &msg_ops, .data = e, .limits = e->config.limits, .stats = &e->stats};
    err = cx_msg_new(&mc, &e->msg);
    if (err != DR_OK) {
        goto out;
    }
    err = cx_engine_dtls_init(e);
    if (err == DR_OK) {
        err = cx_conns_init(e);
    }
    if (err != DR_OK) {
        goto out;
    }
    cx_engine_metrics_init();
    dr_timer_init(&e->wake, woken);
    loop_on_idle(e->loop, &e->idle, turn_end);
    loop_timer_start(e->loop, &e->sweep, SWEEP_EVERY_MS, SWEEP_EVERY_MS, sweep);
    e->turn_ended_ns = e->turn_began_ns = dr_mono_ns();
    *ret = e;
    return DR_OK;
out:
    e->closed = true; /* nothing runs */
    (void)cx_engine_free(e);
    return err;
}

void cx_engine_close(struct cx_engine *e, void (*done)(void *data), void *data)
{
    dr_assert(e != NULL && done != NULL && !e->closing);
    loop_assert_current(e->loop);
    e->closing = true;
    e->close_done = done;
    e->close_data = data;
    e->now_ms = loop_now_ms(e->loop);
    for (unsigned i = 0; i < e->n_socks; i++) {
        set_interest(&e->socks[i]);
    }
    cx_engine_dtls_cancel(e);
    cx_conns_cancel(e);
    cx_msg_calls_end(e->msg, DR_ERR_CANCELED);
    loop_again(e->loop);
}

void cx_engine_goodbye(struct cx_engine *e)
{
    dr_assert(e != NULL);
    for (uint32_t i = dr_slab_next(&e->peers.slab, 0); i != 0;
         i = dr_slab_next(&e->peers.slab, i)) {
        struct cx_peer *p = cx_peer_at(&e->peers, i);

        if (p->state == CX_PEER_LIVE && (p->flags & CX_PEER_STREAM) != 0) {
            cx_conn_goodbye(cx_conn_of(e, p), true);
        } else if (p->state == CX_PEER_LIVE && p->assoc != 0) {
            cx_engine_dtls_goodbye(e, p);
        }
    }
}

struct cx_engine *cx_engine_free(struct cx_engine *e)
{
    if (e == NULL) {
        return NULL;
    }
    dr_assert(e->closed);
    if (e->peers.slab.chunks != NULL && e->msg != NULL) {
        for (uint32_t i = dr_slab_next(&e->peers.slab, 0); i != 0;
             i = dr_slab_next(&e->peers.slab, i)) {
            struct cx_peer *p = cx_peer_at(&e->peers, i);

            cx_msg_peer_fini(e->msg, &p->msg, DR_ERR_GONE);
            forget(e, p);
        }
        cx_msg_expire(e->msg, e->now_ms);
    }
    e->msg = cx_msg_free(e->msg);
    cx_conns_fini(e);
    cx_engine_dtls_fini(e);
    cx_peers_fini(&e->peers);
    for (unsigned i = 0; i < e->n_socks; i++) {
        e->socks[i].sock = cx_sock_free(e->socks[i].sock);
    }
    free(e);
    return NULL;
}

dr_err_t cx_engine_adopt(struct cx_engine *e, int fd, enum cx_proto proto)
{
    dr_assert(e != NULL && fd >= 0);
    loop_assert_current(e->loop);
    if ((proto == CX_PROTO_DTLS || proto == CX_PROTO_TLS) && e->crypto == NULL) {
        return DR_ERR_INVAL;
    }
    if (proto == CX_PROTO_TCP || proto == CX_PROTO_TLS) {
        return cx_listener_adopt(e, fd, proto);
    }
    if (e->n_socks == CX_SOCKS_MAX) {
        return DR_ERR_LIMIT;
    }
    struct cx_endpoint *ep = &e->socks[e->n_socks];
    *ep = (struct cx_endpoint){.engine = e, .proto = proto};
    dr_err_t err = cx_sock_new(fd, (uint8_t)e->n_socks, &ep->sock);
    if (err != DR_OK) {
        return err;
    }
    err = loop_fd_open(e->loop, &ep->watch, fd, socket_ready);
    if (err == DR_OK) {
        err = loop_fd_set(&ep->watch, LOOP_READ);
    }
    if (err != DR_OK) {
        loop_fd_close(&ep->watch);
        cx_sock_release(ep->sock);
        return err;
    }
    e->n_socks++;
    if (e->filter != NULL) {
        cx_sock_set_filter(ep->sock, cx_filter_out, e->filter);
    }
    if (cx_sock_rcvbuf(ep->sock) < RCVBUF_SMALL) {
        dr_log(DR_LOG_WARNING, "coap",
               "receive buffer is only %d bytes, raise net.core.rmem_max or give CAP_NET_ADMIN",
               cx_sock_rcvbuf(ep->sock));
    }
    return DR_OK;
}

void cx_engine_reload(struct cx_engine *e, struct cx_security *security)
{
    dr_assert(e != NULL && security != NULL && e->crypto != NULL);
    struct cx_security *old = e->security;

    e->security = cx_security_ref(security);
    (void)cx_security_unref(old);
}

void cx_engine_stats(const struct cx_engine *e, struct cx_stats *ret)
{
    dr_assert(e != NULL && ret != NULL);
    *ret = e->stats;
    for (unsigned i = 0; i < e->n_socks; i++) {
        struct cx_sock_stats s;

        cx_sock_stats(e->socks[i].sock, &s);
        ret->rx_datagrams += s.rx_datagrams;
        ret->rx_bytes += s.rx_bytes;
        ret->tx_datagrams += s.tx_datagrams;
        ret->tx_bytes += s.tx_bytes;
        ret->rx_dropped_kernel += s.rx_dropped_kernel;
        ret->tx_blocked += s.tx_blocked;
        ret->malformed += s.rx_truncated;
    }
    ret->peers = e->peers.linked;
    ret->associations = e->assocs.count;
    ret->half_open = e->halves.count + e->conns_shaking;
    ret->streams = e->conns.count - e->conns_ended;
}
