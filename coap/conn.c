/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a connection:
 *
 *   client  DIALING ──┐
 *   server (accept) ──┴─ SHAKING (TLS) ── GREETING ── UP ── ENDED ── freed in the idle hook
 *
 * What is read goes at once through TLS, framing and the message layer; it stops in the middle when
 * so much output waits that the other side does not seem to read (choked), and goes on when that
 * has gone. Output is collected over a turn and sent in the idle hook.
 */
#include "coap/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

/* Reads of one connection at one event; then others have their turn. */
#define READS_MAX   2
/* Bytes that are read and thrown away at the end, so that closing does not destroy what we sent. */
#define DRAIN_MAX   65536
/* Tells the handle of a connection from that of a DTLS handshake. */
#define HANDLE_CONN 0x80000000u

/** One step of a handshake in the pool; for that time the TLS connection is its own. */
struct cx_conn_job {
    struct loop_work work;
    struct cx_engine *engine;
    uint64_t conn; /* handle; it may have gone when the step ends */
    struct tls_conn *tls;
};

uint64_t cx_conn_handle(const struct cx_conn *c)
{
    dr_assert(c != NULL);
    return (uint64_t)c->generation << 32 | HANDLE_CONN | c->index;
}

struct cx_conn *cx_conn_get(const struct cx_engine *e, uint64_t handle)
{
    dr_assert(e != NULL);
    uint32_t index = (uint32_t)handle & ~HANDLE_CONN;

    if (((uint32_t)handle & HANDLE_CONN) == 0 || index == 0 || !dr_slab_used(&e->conns, index)) {
        return NULL;
    }
    struct cx_conn *c = dr_slab_get(&e->conns, index);
    return c->generation == (uint32_t)(handle >> 32) && c->state != CX_CONN_ENDED ? c : NULL;
}

static struct dr_dynbuf *output(struct cx_conn *c)
{
    return c->tls != NULL ? tls_conn_output(c->tls) : &c->out;
}

/* ---- the end ---- */

static void not_young(struct cx_conn *c)
{
    dr_list_remove(&c->young);
    if (c->shaking) {
        c->shaking = false;
        c->engine->conns_shaking--;
    }
}

static void drain(int fd)
{
    uint8_t lost[4096];

    for (unsigned n = 0; n < DRAIN_MAX; n += sizeof lost) {
        if (recv(fd, lost, sizeof lost, MSG_DONTWAIT) <= 0) {
            return;
        }
    }
}

void cx_conn_end(struct cx_conn *c)
{
    dr_assert(c != NULL);
    struct cx_engine *e = c->engine;

    if (c->state == CX_CONN_ENDED) {
        return;
    }
    if (c->job == NULL && c->state != CX_CONN_DIALING) {
        struct dr_dynbuf *out = output(c);
        if (out->len > 0) {
            (void)send(c->watch.fd, out->p, out->len, MSG_NOSIGNAL | MSG_DONTWAIT);
        }
        (void)shutdown(c->watch.fd, SHUT_WR);
        drain(c->watch.fd);
    }
    int fd = c->watch.fd;
    loop_fd_close(&c->watch);
    (void)close(fd);
    dr_timer_cancel(loop_wheel(e->loop), &c->timer);
    not_young(c);
    dr_list_remove(&c->dirty);
    cx_conn_leave_host(c);
    c->state = CX_CONN_ENDED;
    dr_list_push_back(&e->conns_done, &c->dirty);
    e->conns_ended++;
    loop_again(e->loop);
}

void cx_conn_free(struct cx_conn *c)
{
    dr_assert(c != NULL && c->state == CX_CONN_ENDED && c->peer == 0 && c->connecting == NULL);
    struct cx_engine *e = c->engine;

    if (c->job == NULL) {
        c->tls = tls_conn_free(c->tls);
    }
    dr_dynbuf_fini(&c->in);
    dr_dynbuf_fini(&c->out);
    c->generation++;
    e->conns_ended--;
    dr_slab_free(&e->conns, c->index);
}

void cx_conn_lose(struct cx_conn *c, enum cx_gone why, dr_err_t err)
{
    dr_assert(c != NULL && err != DR_OK);
    struct cx_engine *e = c->engine;
    struct cx_peer *p = cx_conn_peer(c);
    struct cx_connecting *x = c->connecting;

    if (c->state == CX_CONN_ENDED) {
        return;
    }
    if (c->shaking) {
        e->stats.handshakes_failed++;
    }
    e->stats.streams_failed += why == CX_GONE_FAILED ? 1 : 0;
    c->connecting = NULL;
    cx_conn_end(c);
    if (x != NULL) { /* its peer is not live yet, and nobody knows it */
        dr_assert(p != NULL && p->state == CX_PEER_CONNECTING);
        cx_engine_drop_peer(e, p);
        cx_engine_connected(e, x, err);
    } else if (p != NULL) {
        cx_engine_end_peer(e, p, why);
    }
}

/* ---- out ---- */

static void touch(struct cx_conn *c)
{
    if (!dr_list_linked(&c->dirty)) {
        dr_list_push_back(&c->engine->conns_dirty, &c->dirty);
    }
}

void cx_conn_write(struct cx_conn *c, const uint8_t *bytes, size_t len)
{
    dr_assert(c != NULL && bytes != NULL && len > 0);
    dr_err_t err = DR_OK;

    if (c->state == CX_CONN_ENDED || c->job != NULL) {
        return;
    }
    if (output(c)->len + len > CX_CONN_OUT_MAX) {
        err = DR_ERR_NOSPACE;
    } else if (c->tls != NULL) {
        err = tls_conn_write(c->tls, bytes, len);
    } else {
        dr_dynbuf_append(&c->out, bytes, len);
        err = dr_dynbuf_err(&c->out);
    }
    if (err != DR_OK) {
        cx_conn_lose(c, CX_GONE_FAILED, err);
        return;
    }
    if (output(c)->len > CX_CONN_OUT_HIGH) {
        c->choked = true;
    }
    touch(c);
}

/* @return false: it was lost */
static bool send_some(struct cx_conn *c)
{
    struct dr_dynbuf *out = output(c);
    size_t off = 0;

    c->blocked = false;
    while (off < out->len) {
        ssize_t n = send(c->watch.fd, out->p + off, out->len - off, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0) {
            off += (size_t)n;
        } else if (errno == EAGAIN || errno == ENOBUFS) {
            c->blocked = true;
            c->engine->stats.tx_blocked++;
            break;
        } else if (errno != EINTR) {
            cx_conn_lose(c, CX_GONE_FAILED, DR_ERR_IO);
            return false;
        }
    }
    c->engine->stats.tx_bytes += off;
    dr_dynbuf_consume(out, off);
    if (out->len == 0) {
        dr_dynbuf_fini(out);
    }
    return true;
}

void cx_conn_flush(struct cx_conn *c)
{
    dr_assert(c != NULL);
    if (c->state == CX_CONN_ENDED || c->state == CX_CONN_DIALING || c->job != NULL ||
        !send_some(c)) {
        return;
    }
    if (c->choked && output(c)->len <= CX_CONN_OUT_LOW) {
        c->choked = false;
        cx_conn_drive(c);
    }
    if (c->state != CX_CONN_ENDED) {
        cx_conn_watch(c);
    }
}

/* ---- in ---- */

bool cx_conn_reads(const struct cx_conn *c)
{
    dr_assert(c != NULL);
    const struct cx_peer *p = cx_conn_peer(c);

    return c->state != CX_CONN_ENDED && c->job == NULL && !c->choked && !c->engine->closing &&
           (c->state != CX_CONN_UP || p->state == CX_PEER_LIVE);
}

void cx_conn_watch(struct cx_conn *c)
{
    dr_assert(c != NULL && c->state != CX_CONN_ENDED);
    bool asks = c->asked && !c->answered && c->state == CX_CONN_SHAKING;
    uint32_t want = c->state == CX_CONN_DIALING || c->blocked ? LOOP_WRITE : 0U;

    if (c->state != CX_CONN_DIALING && cx_conn_reads(c) && !asks) {
        want |= LOOP_READ;
    }
    if (want != c->watch.events && loop_fd_set(&c->watch, want) != DR_OK) {
        cx_conn_lose(c, CX_GONE_FAILED, DR_ERR_IO);
    }
}

static void take_bytes(struct cx_conn *c, const uint8_t *bytes, size_t len)
{
    c->engine->stats.rx_bytes += len;
    if (c->tls == NULL) {
        cx_conn_plain(c, bytes, len, false);
        return;
    }
    dr_err_t err = tls_conn_input(c->tls, bytes, len);
    if (err != DR_OK) {
        cx_conn_lose(c, CX_GONE_FAILED, err == DR_ERR_PROTO ? DR_ERR_CRYPTO : err);
        return;
    }
    cx_conn_drive(c);
}

static void read_some(struct cx_conn *c)
{
    struct cx_engine *e = c->engine;

    for (unsigned i = 0; i < READS_MAX && cx_conn_reads(c); i++) {
        ssize_t n = recv(c->watch.fd, e->stream_in, CX_CONN_READ_MAX, MSG_DONTWAIT);
        if (n > 0) {
            take_bytes(c, e->stream_in, (size_t)n);
        } else if (n == 0) {
            cx_conn_lose(c, c->connecting != NULL ? CX_GONE_FAILED : CX_GONE_CLOSED, DR_ERR_RESET);
        } else if (errno != EINTR) {
            if (errno != EAGAIN) {
                cx_conn_lose(c, CX_GONE_FAILED, DR_ERR_IO);
            }
            return;
        }
        if (n < CX_CONN_READ_MAX) {
            return;
        }
    }
}

static void dialled(struct cx_conn *c)
{
    int error = 0;
    socklen_t len = sizeof error;

    if (getsockopt(c->watch.fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0) {
        cx_conn_lose(c, CX_GONE_FAILED, error == ETIMEDOUT ? DR_ERR_TIMEOUT : DR_ERR_RESET);
        return;
    }
    cx_conn_begin(c);
}

void cx_conn_ready(struct loop_fd *w, uint32_t events)
{
    struct cx_conn *c = DR_CONTAINER_OF(w, struct cx_conn, watch);

    cx_engine_turn_begin(c->engine);
    if (c->state == CX_CONN_DIALING) {
        dialled(c);
    } else {
        if ((events & LOOP_WRITE) != 0) {
            touch(c); /* the idle hook flushes */
        }
        if ((events & LOOP_READ) != 0) {
            read_some(c);
        }
    }
    if (c->state != CX_CONN_ENDED) {
        cx_conn_watch(c);
    }
}

/* ---- TLS ---- */

static void ask_psk(struct cx_conn *c)
{
    c->asked = true;
    if (!cx_engine_ask_psk(c->engine, cx_conn_handle(c), tls_conn_identity(c->tls))) {
        c->answered = true;
        tls_conn_answer_psk(c->tls, NULL, 0, NULL);
    }
}

static void ask_cert(struct cx_conn *c)
{
    struct cx_identity id;
    struct dr_bytes leaf;
    uint64_t tag;
    const char *cn;

    tls_conn_cert(c->tls, &tag, &cn, &leaf.p, &leaf.len);
    dr_err_t err = cx_engine_ask_cert(c->engine, tag, cn, leaf, &id);
    tls_conn_answer_cert(c->tls, err, &id);
}

static void job_run(struct loop_work *w)
{
    struct cx_conn_job *j = DR_CONTAINER_OF(w, struct cx_conn_job, work);

    (void)tls_conn_step(j->tls);
}

static void job_done(struct loop_work *w, dr_err_t err)
{
    struct cx_conn_job *j = DR_CONTAINER_OF(w, struct cx_conn_job, work);
    struct cx_engine *e = j->engine;
    struct cx_conn *c = cx_conn_get(e, j->conn);

    e->jobs--;
    cx_engine_turn_begin(e);
    if (c == NULL) {
        j->tls = tls_conn_free(j->tls);
    } else {
        c->job = NULL;
        if (err != DR_OK) {
            cx_conn_lose(c, CX_GONE_FAILED, DR_ERR_CANCELED);
        } else {
            touch(c);
            if (tls_conn_state(c->tls) != TLS_SHAKING) { /* else all was used: it waits for more */
                cx_conn_drive(c);
            }
        }
        if (c->state != CX_CONN_ENDED) {
            cx_conn_watch(c);
        }
    }
    free(j);
}

/* @return false: take the step here */
static bool step_in_pool(struct cx_conn *c)
{
    struct cx_engine *e = c->engine;
    struct cx_conn_job *j;

    if (!tls_conn_is_heavy(c->tls) || e->jobs == CX_JOBS_MAX || (j = malloc(sizeof *j)) == NULL) {
        return false;
    }
    j->engine = e;
    j->conn = cx_conn_handle(c);
    j->tls = c->tls;
    if (loop_work_start(e->loop, &j->work, job_run, job_done) != DR_OK) {
        free(j);
        return false;
    }
    c->job = j;
    e->jobs++;
    return true;
}

/* @return false: it runs in the pool */
static bool step(struct cx_conn *c)
{
    if (step_in_pool(c)) {
        return false;
    }
    uint64_t t0 = dr_mono_ns();

    (void)tls_conn_step(c->tls);
    c->engine->hs_credit_ns -= (int64_t)(dr_mono_ns() - t0);
    touch(c);
    return true;
}

static void shaken(struct cx_conn *c)
{
    struct cx_engine *e = c->engine;

    e->stats.handshakes_done++;
    e->stats.resumed += tls_conn_is_resumed(c->tls) ? 1 : 0;
    c->shaking = false;
    e->conns_shaking--;
    c->state = CX_CONN_GREETING;
    if (c->connecting != NULL) {
        cx_conn_greet(c);
    } else if (tls_conn_has_alpn(c->tls)) {
        c->framing = CX_FRAMING_RFC8323;
        (void)cx_conn_up(c);
    }
}

static void failed(struct cx_conn *c)
{
    dr_err_t err = tls_conn_error(c->tls);

    cx_conn_lose(c, CX_GONE_FAILED, c->state == CX_CONN_SHAKING ? DR_ERR_CRYPTO : err);
}

/* Up: one record after the other. */
static void read_records(struct cx_conn *c)
{
    struct cx_engine *e = c->engine;
    size_t len;

    while (cx_conn_reads(c) &&
           tls_conn_read(c->tls, e->stream_plain, TLS_PLAIN_MAX, &len) == DR_OK) {
        cx_conn_plain(c, e->stream_plain, len, true);
    }
    if (c->state == CX_CONN_ENDED) {
        return;
    }
    touch(c); /* an alert, or the messages of a renegotiation */
    uint8_t renegotiations = (uint8_t)tls_conn_renegotiations(c->tls);
    e->stats.renegotiations += (uint8_t)(renegotiations - c->renegotiations);
    c->renegotiations = renegotiations;
    if (tls_conn_state(c->tls) == TLS_CLOSED) {
        cx_conn_goodbye(c, false);
        cx_conn_lose(c, c->connecting != NULL ? CX_GONE_FAILED : CX_GONE_CLOSED, DR_ERR_RESET);
    } else if (tls_conn_state(c->tls) == TLS_FAILED) {
        failed(c);
    }
}

static void shake(struct cx_conn *c)
{
    while (c->state == CX_CONN_SHAKING) {
        switch (tls_conn_state(c->tls)) {
        case TLS_SHAKING:
            if (!step(c) || tls_conn_state(c->tls) == TLS_SHAKING) {
                return;
            }
            break;
        case TLS_ASK_PSK:
            if (!c->asked) {
                c->driving = true;
                ask_psk(c);
                c->driving = false;
            }
            if (!c->answered) {
                return;
            }
            break;
        case TLS_ASK_CERT:
            ask_cert(c);
            break;
        case TLS_UP:
            shaken(c);
            return;
        case TLS_CLOSED:
        case TLS_FAILED:
            failed(c);
            return;
        }
    }
}

void cx_conn_drive(struct cx_conn *c)
{
    dr_assert(c != NULL);
    if (c->job != NULL) {
        return;
    }
    if (c->state == CX_CONN_SHAKING) {
        shake(c);
    }
    if (c->state != CX_CONN_GREETING && c->state != CX_CONN_UP) {
        return;
    }
    cx_conn_pump(c);
    if (c->tls != NULL && c->state != CX_CONN_ENDED) {
        read_records(c);
    }
}

bool cx_conn_psk_answer(struct cx_engine *e, uint64_t handle, const uint8_t *key, size_t len,
                        const struct cx_identity *id)
{
    dr_assert(e != NULL);
    struct cx_conn *c = cx_conn_get(e, handle);

    if (((uint32_t)handle & HANDLE_CONN) == 0) {
        return false;
    }
    if (c == NULL || !c->asked || c->answered || c->job != NULL || c->tls == NULL ||
        tls_conn_state(c->tls) != TLS_ASK_PSK) {
        return true; /* it has gone meanwhile, or was answered before */
    }
    c->answered = true;
    tls_conn_answer_psk(c->tls, key, len, id);
    if (!c->driving) {
        e->now_ms = loop_now_ms(e->loop);
        cx_conn_drive(c);
        if (c->state != CX_CONN_ENDED) {
            cx_conn_watch(c);
        }
    }
    return true;
}

void cx_conn_begin(struct cx_conn *c)
{
    dr_assert(c != NULL && c->state != CX_CONN_ENDED);
    if (c->tls != NULL) {
        c->state = CX_CONN_SHAKING;
        touch(c); /* a client's hello */
    } else {
        c->state = CX_CONN_GREETING;
        if (c->connecting != NULL) {
            cx_conn_greet(c);
        }
    }
}
