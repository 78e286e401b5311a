/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may have a connection. Each shard accepts on a listening socket of its own; the limits are
 * its own too. When there is no room, the connection that has been silent for longest since it was
 * accepted makes some, if it has had CX_HALF_SPARED_MS; else the new one is closed.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "coap/conn.h"
#include "coap/dtls_security.h"

#define ACCEPTS_MAX       32
/* A dead peer is found out by the kernel, long before the idle limit: silence for that long, then
 * probes; and what was sent must be acknowledged in that time. */
#define KEEPALIVE_IDLE_S  600
#define KEEPALIVE_EVERY_S 60
#define KEEPALIVE_PROBES  5
#define UNACKED_MAX_MS    120000

/* An address that connections came from; of IPv6 the upper half. */
struct host {
    uint64_t free_list; /* the slab's */
    uint8_t addr[16];
    uint32_t count;
};

static bool host_eq(void *ctx, uint32_t index, const void *key)
{
    const struct cx_engine *e = ctx;
    const struct host *h = dr_slab_get(&e->hosts, index);

    return memcmp(h->addr, key, sizeof h->addr) == 0;
}

dr_err_t cx_conns_init(struct cx_engine *e)
{
    dr_assert(e != NULL);
    uint32_t max = e->config.limits.streams_max;

    dr_list_init(&e->conns_young);
    dr_list_init(&e->conns_dirty);
    dr_list_init(&e->conns_done);
    /* as many again may be on their way out */
    dr_err_t err = dr_slab_init(&e->conns, sizeof(struct cx_conn), max * 2 + 1, DR_SLAB_KEEP);
    if (err == DR_OK) {
        err = dr_slab_init(&e->hosts, sizeof(struct host), max, 0);
    }
    if (err == DR_OK) {
        err = dr_table_init(&e->hosts_by_addr, max, host_eq, e);
    }
    return err;
}

void cx_conns_fini(struct cx_engine *e)
{
    dr_assert(e != NULL);
    if (e->conns.chunks != NULL) {
        for (uint32_t i = dr_slab_next(&e->conns, 0); i != 0; i = dr_slab_next(&e->conns, i)) {
            struct cx_conn *c = dr_slab_get(&e->conns, i);

            c->peer = 0;
            cx_conn_free(c);
        }
    }
    dr_table_fini(&e->hosts_by_addr);
    dr_slab_fini(&e->hosts);
    dr_slab_fini(&e->conns);
    free(e->stream_in);
    free(e->stream_plain);
    free(e->stream_out);
}

static dr_err_t buffers_init(struct cx_engine *e)
{
    if (e->stream_in == NULL) {
        e->stream_in = malloc(CX_CONN_READ_MAX);
        e->stream_plain = malloc(TLS_PLAIN_MAX);
        e->stream_out = malloc(CX_FRAME_HEAD_MAX + CX_STREAM_MSG_MAX);
    }
    return e->stream_in != NULL && e->stream_plain != NULL && e->stream_out != NULL ? DR_OK
                                                                                    : DR_ERR_NOMEM;
}

/* ---- addresses ---- */

/* Whoever has one address of IPv6 has all of its network of 64 bits. */
static void host_of(const struct cx_flow *flow, uint8_t ret[16])
{
    struct in6_addr a;

    memcpy(&a, flow->remote, sizeof a);
    memcpy(ret, flow->remote, 16);
    if (!IN6_IS_ADDR_V4MAPPED(&a)) {
        memset(ret + 8, 0, 8);
    }
}

static dr_err_t host_enter(struct cx_conn *c)
{
    struct cx_engine *e = c->engine;
    uint8_t addr[16];

    host_of(&c->flow, addr);
    uint32_t hash = dr_hash32(&e->peers.key, addr, sizeof addr);
    uint32_t index = dr_table_get(&e->hosts_by_addr, hash, addr);

    if (index == 0) {
        dr_err_t err = dr_slab_alloc(&e->hosts, &index);
        if (err != DR_OK) {
            return err;
        }
        struct host *fresh = dr_slab_get(&e->hosts, index);
        memcpy(fresh->addr, addr, sizeof fresh->addr);
        err = dr_table_put(&e->hosts_by_addr, hash, index);
        if (err != DR_OK) {
            dr_slab_free(&e->hosts, index);
            return err;
        }
    }
    struct host *h = dr_slab_get(&e->hosts, index);
    if (h->count >= e->config.limits.streams_per_addr_max) {
        return DR_ERR_LIMIT;
    }
    h->count++;
    c->host = index;
    return DR_OK;
}

void cx_conn_leave_host(struct cx_conn *c)
{
    dr_assert(c != NULL);
    struct cx_engine *e = c->engine;

    if (c->host == 0) {
        return;
    }
    struct host *h = dr_slab_get(&e->hosts, c->host);
    if (--h->count == 0) {
        (void)dr_table_del(&e->hosts_by_addr, dr_hash32(&e->peers.key, h->addr, sizeof h->addr),
                           c->host);
        dr_slab_free(&e->hosts, c->host);
    }
    c->host = 0;
}

/* ---- new connections ---- */

static void conn_timer(struct dr_timer *t, uint64_t now_ms)
{
    struct cx_conn *c = DR_CONTAINER_OF(t, struct cx_conn, timer);

    c->engine->now_ms = now_ms;
    if (c->state == CX_CONN_UP) {
        cx_conn_lose(c, CX_GONE_CLOSED, DR_ERR_RESET); /* released */
    } else {
        cx_conn_lose(c, CX_GONE_FAILED, DR_ERR_TIMEOUT);
    }
}

static void set_int(int fd, int level, int name, int value)
{
    /* Improvements only. */
    (void)setsockopt(fd, level, name, &value, sizeof value);
}

dr_err_t cx_conn_new(struct cx_engine *e, int fd, enum cx_proto proto, const struct cx_flow *flow,
                     struct cx_conn **ret)
{
    dr_assert(e != NULL && fd >= 0 && flow != NULL && ret != NULL);
    uint32_t index;

    dr_err_t err = dr_slab_alloc(&e->conns, &index);
    if (err != DR_OK) {
        return err;
    }
    struct cx_conn *c = dr_slab_get(&e->conns, index);
    *c = (struct cx_conn){.generation = c->generation + 1,
                          .index = index,
                          .engine = e,
                          .begun_ms = e->now_ms,
                          .flow = *flow,
                          .room = CX_STREAM_MSG_BASE,
                          .proto = (uint8_t)proto};
    dr_dynbuf_init(&c->in, CX_CONN_IN_MAX);
    dr_dynbuf_init(&c->out, CX_CONN_OUT_MAX + CX_STREAM_MSG_MAX);
    dr_timer_init(&c->timer, conn_timer);
    err = loop_fd_open(e->loop, &c->watch, fd, cx_conn_ready);
    if (err != DR_OK) {
        c->generation++;
        dr_slab_free(&e->conns, index);
        return err;
    }
    set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
    set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_EVERY_S);
    set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
    set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, UNACKED_MAX_MS);
    dr_timer_start(loop_wheel(e->loop), &c->timer,
                   e->now_ms + (uint64_t)e->config.limits.stream_hello_s * 1000);
    *ret = c;
    return DR_OK;
}

static bool make_room(struct cx_engine *e)
{
    struct cx_conn *oldest = DR_LIST_FIRST(&e->conns_young, struct cx_conn, young);

    if (oldest == NULL || oldest->begun_ms + CX_HALF_SPARED_MS > e->now_ms) {
        return false;
    }
    cx_conn_lose(oldest, CX_GONE_FAILED, DR_ERR_TIMEOUT);
    return true;
}

static bool has_room(const struct cx_engine *e, enum cx_proto proto)
{
    const struct cx_limits *l = &e->config.limits;

    return e->conns.count - e->conns_ended < l->streams_max &&
           (proto != CX_PROTO_TLS || e->conns_shaking + e->halves.count < l->half_open_max);
}

static dr_err_t tls_begin(struct cx_conn *c)
{
    const struct tls_conn_config config = {.security = c->engine->security,
                                           .wall_ms = (uint64_t)dr_wall_ms()};

    dr_err_t err = tls_conn_server(&config, &c->tls);
    if (err == DR_OK) {
        c->shaking = true;
        c->engine->conns_shaking++;
        c->engine->stats.handshakes_started++;
    }
    return err;
}

static dr_err_t admit(struct cx_listener *l, int fd, const union cx_addr *remote)
{
    struct cx_engine *e = l->engine;
    union cx_addr local = {0};
    socklen_t len = sizeof local;
    struct cx_flow flow;
    struct cx_conn *c;

    if (!has_room(e, l->proto) && (!make_room(e) || !has_room(e, l->proto))) {
        return DR_ERR_LIMIT;
    }
    (void)getsockname(fd, &local.sa, &len);
    cx_flow_set(&flow, CX_CONN_SOCK, remote, &local);
    dr_err_t err = cx_conn_new(e, fd, l->proto, &flow, &c);
    if (err != DR_OK) {
        return err;
    }
    err = host_enter(c);
    if (err == DR_OK && l->proto == CX_PROTO_TLS) {
        err = tls_begin(c);
    }
    if (err != DR_OK) {
        c->state = CX_CONN_DIALING; /* nothing is to be sent */
        e->stats.streams_refused++;
        cx_conn_end(c);
        return DR_OK; /* it has closed the descriptor */
    }
    dr_list_push_back(&e->conns_young, &c->young);
    e->stats.streams_accepted++;
    cx_conn_begin(c);
    cx_conn_watch(c);
    return DR_OK;
}

static void pause_it(struct cx_listener *l)
{
    l->paused = loop_fd_set(&l->watch, 0) == DR_OK;
}

static void listener_ready(struct loop_fd *w, uint32_t events)
{
    struct cx_listener *l = DR_CONTAINER_OF(w, struct cx_listener, watch);
    struct cx_engine *e = l->engine;

    (void)events;
    cx_engine_turn_begin(e);
    for (unsigned i = 0; i < ACCEPTS_MAX && !e->closing; i++) {
        union cx_addr remote = {0};
        socklen_t len = sizeof remote;

        if (l->proto == CX_PROTO_TLS && e->hs_credit_ns < 0) {
            pause_it(l); /* over the share: they wait in the kernel */
            return;
        }
        int fd = accept4(w->fd, &remote.sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
            if (!l->starved) {
                dr_log(DR_LOG_WARNING, "coap",
                       "no descriptors or memory for connections, they have to wait");
            }
            l->starved = true;
            pause_it(l);
            return;
        }
        if (fd < 0 && errno == EAGAIN) {
            return;
        }
        l->starved = false;
        if (fd >= 0 && admit(l, fd, &remote) != DR_OK) {
            e->stats.streams_refused++;
            (void)close(fd);
        }
    }
}

dr_err_t cx_listener_adopt(struct cx_engine *e, int fd, enum cx_proto proto)
{
    dr_assert(e != NULL && fd >= 0);
    int listens = 0;
    socklen_t len = sizeof listens;

    if (e->n_listeners == CX_LISTENERS_MAX) {
        return DR_ERR_LIMIT;
    }
    if (proto == CX_PROTO_TLS && dtls_security_is_client(e->security)) {
        return DR_ERR_INVAL;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) != 0 || listens == 0) {
        return DR_ERR_IO;
    }
    struct cx_listener *l = &e->listeners[e->n_listeners];
    *l = (struct cx_listener){.engine = e, .proto = proto};
    dr_err_t err = buffers_init(e);
    if (err == DR_OK) {
        err = loop_fd_open(e->loop, &l->watch, fd, listener_ready);
    }
    if (err == DR_OK) {
        err = loop_fd_set(&l->watch, LOOP_READ);
    }
    if (err != DR_OK) {
        loop_fd_close(&l->watch);
        return err;
    }
    e->n_listeners++;
    return DR_OK;
}

/* ---- client ---- */

static dr_err_t dial(const struct cx_connect *c, int *ret)
{
    const union cx_addr *to = &c->remote;
    socklen_t len = to->sa.sa_family == AF_INET ? sizeof to->in4 : sizeof to->in6;
    int fd = socket(to->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return errno == EMFILE || errno == ENFILE ? DR_ERR_LIMIT : DR_ERR_IO;
    }
    if (c->local.sa.sa_family != AF_UNSPEC) {
        set_int(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
        if (bind(fd, &c->local.sa, len) != 0) {
            (void)close(fd);
            return DR_ERR_IO;
        }
    }
    if (connect(fd, &to->sa, len) != 0 && errno != EINPROGRESS) {
        (void)close(fd);
        return DR_ERR_IO;
    }
    *ret = fd;
    return DR_OK;
}

static dr_err_t tls_dial(struct cx_engine *e, const struct cx_connect *c, struct tls_conn **ret)
{
    const struct tls_conn_config config = {.security = e->security,
                                           .wall_ms = (uint64_t)dr_wall_ms(),
                                           .alpn = c->framing == CX_FRAMING_RFC8323,
                                           .psk_identity = c->psk_identity,
                                           .psk_key = c->psk_key,
                                           .psk_key_len = c->psk_key_len};

    if (c->proto != CX_PROTO_TLS) {
        return DR_OK;
    }
    return dtls_security_is_client(e->security) ? tls_conn_client(&config, ret) : DR_ERR_INVAL;
}

dr_err_t cx_conn_dial(struct cx_engine *e, const struct cx_connect *c, struct cx_peer *p,
                      struct cx_connecting *x)
{
    dr_assert(e != NULL && c != NULL && p != NULL && x != NULL);
    struct tls_conn *tls = NULL;
    struct cx_conn *conn;
    int fd = -1;

    if (e->conns.count - e->conns_ended >= e->config.limits.streams_max) {
        return DR_ERR_LIMIT;
    }
    dr_err_t err = buffers_init(e);
    if (err == DR_OK) {
        err = tls_dial(e, c, &tls);
    }
    if (err == DR_OK) {
        err = dial(c, &fd);
    }
    if (err == DR_OK) {
        err = cx_conn_new(e, fd, c->proto, &p->flow, &conn);
    }
    if (err == DR_OK && loop_fd_set(&conn->watch, LOOP_WRITE) != DR_OK) {
        cx_conn_end(conn); /* closes it */
        fd = -1;
        err = DR_ERR_IO;
    }
    if (err != DR_OK) {
        (void)tls_conn_free(tls);
        if (fd >= 0) {
            (void)close(fd);
        }
        return err;
    }
    conn->tls = tls;
    conn->framing = (uint8_t)c->framing;
    conn->connecting = x;
    conn->peer = p->index;
    p->flags |= CX_PEER_STREAM;
    p->assoc = conn->index;
    if (tls != NULL) {
        conn->shaking = true;
        e->conns_shaking++;
        e->stats.handshakes_started++;
    }
    return DR_OK;
}

/* ---- the engine's turns ---- */

bool cx_conns_turn(struct cx_engine *e)
{
    dr_assert(e != NULL);
    struct dr_list now;

    dr_list_init(&now);
    dr_list_splice(&now, &e->conns_dirty);
    for (struct dr_list *n = dr_list_pop_front(&now); n != NULL; n = dr_list_pop_front(&now)) {
        cx_conn_flush(DR_CONTAINER_OF(n, struct cx_conn, dirty));
    }
    dr_list_splice(&now, &e->conns_done);
    for (struct dr_list *n = dr_list_pop_front(&now); n != NULL; n = dr_list_pop_front(&now)) {
        struct cx_conn *c = DR_CONTAINER_OF(n, struct cx_conn, dirty);

        if (c->peer == 0) {
            cx_conn_free(c);
        } else { /* its peer ends in the next turn */
            dr_list_push_back(&e->conns_done, n);
        }
    }
    return !dr_list_empty(&e->conns_dirty) || e->dying != 0;
}

void cx_conns_sweep(struct cx_engine *e)
{
    dr_assert(e != NULL);
    for (unsigned i = 0; i < e->n_listeners && !e->closing; i++) {
        struct cx_listener *l = &e->listeners[i];

        if (l->paused && loop_fd_set(&l->watch, LOOP_READ) == DR_OK) {
            l->paused = false;
        }
    }
}

void cx_conns_close_young(struct cx_engine *e,
                          bool (*match)(void *data, const struct cx_identity *id), void *data)
{
    dr_assert(e != NULL && match != NULL);
    DR_LIST_EACH_SAFE(it, &e->conns_young)
    {
        struct cx_conn *c = DR_CONTAINER_OF(it, struct cx_conn, young);
        const struct cx_identity *id =
            c->tls != NULL && c->job == NULL ? tls_conn_let_in(c->tls) : NULL;

        if (id != NULL && id->kind != CX_ID_NONE && match(data, id)) {
            cx_conn_lose(c, CX_GONE_CLOSED, DR_ERR_DENIED);
        }
    }
}

void cx_conns_cancel(struct cx_engine *e)
{
    dr_assert(e != NULL);
    for (unsigned i = 0; i < e->n_listeners; i++) {
        pause_it(&e->listeners[i]);
    }
    for (uint32_t i = dr_slab_next(&e->conns, 0); i != 0; i = dr_slab_next(&e->conns, i)) {
        struct cx_conn *c = dr_slab_get(&e->conns, i);

        if (c->state == CX_CONN_UP) {
            cx_conn_watch(c); /* only to send what is left */
        } else if (c->state != CX_CONN_ENDED) {
            cx_conn_lose(c, CX_GONE_CLOSED, DR_ERR_CANCELED);
        }
    }
}

void cx_conns_close(struct cx_engine *e)
{
    dr_assert(e != NULL);
    for (unsigned i = 0; i < e->n_listeners; i++) {
        int fd = e->listeners[i].watch.fd;

        loop_fd_close(&e->listeners[i].watch);
        (void)close(fd);
    }
    e->n_listeners = 0;
    for (uint32_t i = dr_slab_next(&e->conns, 0); i != 0; i = dr_slab_next(&e->conns, i)) {
        cx_conn_end(dr_slab_get(&e->conns, i));
    }
}
