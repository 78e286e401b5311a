/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  coap/conn.h
 * @brief TCP and TLS connections of an engine: accepted or made, fed, flushed, and the peer of
 * each.
 *
 *   listen.c      listening sockets, admission, limits, cx_connect
 *   conn.c        bytes in and out, TLS, the life of a connection
 *   conn_msg.c    which framing it is, messages, signalling
 *
 * Layer: coap, private to the engine.  Threads: the engine's loop; handshake steps with public-key
 * operations run in the pool, and for that time tls is not touched here.  Memory: struct cx_conn, a
 * poll handle, a peer; TLS about 19 KiB; input and output only while there is some.  Limits: struct
 * cx_limits (streams_max, streams_per_addr_max, stream_hello_s, stream_idle_s, half_open_max),
 * CX_CONN_OUT_HIGH, CX_CONN_IN_MAX, CX_LISTENERS_MAX.  Security: nobody is a peer before the owner
 * has vouched for him (TLS).  Spec: RFC8323.
 */
#pragma once

#include "coap/engine_priv.h"
#include "coap/stream.h"
#include "coap/tls_conn.h"

/** Bytes read of one connection at a time. */
#define CX_CONN_READ_MAX   16384
/** Bytes of messages that are not whole yet, or not looked at because the other side does not
 * read. */
#define CX_CONN_IN_MAX     65536
/** Output that waits for the other side to read: above it nothing of it is read any more … */
#define CX_CONN_OUT_HIGH   65536
/** … until there is only that much left. */
#define CX_CONN_OUT_LOW    8192
/** Output that nobody reads, above which the connection ends. */
#define CX_CONN_OUT_MAX    (512u * 1024)
/** Shortest Max-Message-Size that we can live with. */
#define CX_CONN_ROOM_MIN   64
/** After a Release the connection is closed, at the latest. */
#define CX_CONN_RELEASE_MS 2000
/** Number of no socket, in the flow of a connection. */
#define CX_CONN_SOCK       0xff

enum cx_conn_state {
    CX_CONN_DIALING,  /**< client: connect is under way */
    CX_CONN_SHAKING,  /**< TLS */
    CX_CONN_GREETING, /**< server: nothing heard yet; client: the server's CSM is to come */
    CX_CONN_UP,       /**< its peer is live */
    CX_CONN_ENDED,    /**< closed; freed in the idle hook */
};

struct cx_conn_job;

struct cx_conn {
    uint64_t free_list;  /* the slab's */
    uint32_t generation; /* survives the item */
    uint32_t index;
    struct cx_engine *engine;
    struct loop_fd watch;
    struct tls_conn *tls;             /* owned, but for the time when a job has it; NULL for TCP */
    struct cx_conn_job *job;          /* a step runs in the pool */
    struct cx_connecting *connecting; /* owned; client role, until up */
    struct dr_timer timer;            /* until up, and after a Release */
    struct dr_list young;             /* server role, until up: the oldest first */
    struct dr_list dirty;             /* has something to be sent; once ended: to be freed */
    struct dr_dynbuf in;              /* plain bytes not worked on */
    struct dr_dynbuf out;             /* TCP; that of TLS is in tls */
    uint64_t begun_ms;
    struct cx_flow flow;
    uint32_t peer; /* index; 0 = none yet */
    uint32_t host; /* entry of its address, server role; 0 = none */
    uint32_t room; /* bytes that a message to it may have */
    uint8_t state; /* enum cx_conn_state */
    uint8_t proto; /* CX_PROTO_TCP or CX_PROTO_TLS */
    uint8_t framing;
    uint8_t renegotiations; /* counted in the statistics */
    bool shaking;           /* counts for half_open_max */
    bool csm_sent, csm_seen;
    bool asked, answered, driving; /* PSK question; cx_conn_drive is on the stack */
    bool choked;                   /* too much output waits: nothing is read */
    bool blocked;                  /* the socket takes no more */
};

/* ---- listen.c ---- */

DR_CHECK dr_err_t cx_conns_init(struct cx_engine *e);
/** After cx_conns_close; memory only. */
void cx_conns_fini(struct cx_engine *e);
/** Close accepted connections that are no peers yet, if @p match says so of whom the owner has let
 * in; as cx_engine_close_some. */
void cx_conns_close_young(struct cx_engine *e,
                          bool (*match)(void *data, const struct cx_identity *id), void *data);
/** Stop listening and whatever is not up; connections that are stay until cx_conns_close. */
void cx_conns_cancel(struct cx_engine *e);
/** Close all descriptors. */
void cx_conns_close(struct cx_engine *e);
/** Flush, resume and free what this turn left behind. @return true when there is more to do at
 * once */
bool cx_conns_turn(struct cx_engine *e);
/** Listen again after a pause; four times a second. */
void cx_conns_sweep(struct cx_engine *e);
DR_CHECK dr_err_t cx_listener_adopt(struct cx_engine *e, int fd, enum cx_proto proto);
DR_CHECK dr_err_t cx_conn_dial(struct cx_engine *e, const struct cx_connect *c, struct cx_peer *p,
                               struct cx_connecting *x);
/** A connection of @p fd, which it owns from DR_OK on. */
DR_CHECK dr_err_t cx_conn_new(struct cx_engine *e, int fd, enum cx_proto proto,
                              const struct cx_flow *flow, struct cx_conn **ret);
/** Its address counts no more. */
void cx_conn_leave_host(struct cx_conn *c);

/* ---- conn.c ---- */

static inline struct cx_conn *cx_conn_of(const struct cx_engine *e, const struct cx_peer *p)
{
    return dr_slab_get(&e->conns, p->assoc);
}

static inline struct cx_peer *cx_conn_peer(const struct cx_conn *c)
{
    return c->peer != 0 ? cx_peer_at(&c->engine->peers, c->peer) : NULL;
}

/** For PSK questions and jobs. */
uint64_t cx_conn_handle(const struct cx_conn *c);
/** NULL if it has ended. */
struct cx_conn *cx_conn_get(const struct cx_engine *e, uint64_t handle);
/** As cx_psk_answer. @return false: the question was none of a connection */
bool cx_conn_psk_answer(struct cx_engine *e, uint64_t handle, const uint8_t *key, size_t len,
                        const struct cx_identity *id);

/** Events of its descriptor. */
void cx_conn_ready(struct loop_fd *w, uint32_t events);
/** What the descriptor is watched for, as the state asks for it. */
void cx_conn_watch(struct cx_conn *c);
/** Connected (client) or accepted: begin. */
void cx_conn_begin(struct cx_conn *c);
/** Work on what TLS has, or on what is left in the input. */
void cx_conn_drive(struct cx_conn *c);
/** Bytes to be sent: one record, or a piece of the stream. */
void cx_conn_write(struct cx_conn *c, const uint8_t *bytes, size_t len);
/** Whether input may still be worked on. */
bool cx_conn_reads(const struct cx_conn *c);
/** It is over: who waits for it hears of @p err, its peer ends for @p why. Closed at once. */
void cx_conn_lose(struct cx_conn *c, enum cx_gone why, dr_err_t err);
/** Close the descriptor, after what is still to be sent; free in the idle hook. Its peer is not
 * told. */
void cx_conn_end(struct cx_conn *c);
void cx_conn_free(struct cx_conn *c);
/** Send what waits. */
void cx_conn_flush(struct cx_conn *c);

/* ---- conn_msg.c ---- */

/** Plain bytes: a record (@p record) or a piece of the stream. */
void cx_conn_plain(struct cx_conn *c, const uint8_t *bytes, size_t len, bool record);
/** Messages that are in the input already. */
void cx_conn_pump(struct cx_conn *c);
/** Make its peer live, once the framing is known. @return false: it is over */
bool cx_conn_up(struct cx_conn *c);
/** Client, connected or through with TLS. */
void cx_conn_greet(struct cx_conn *c);
/** Where a message to the peer is encoded. */
uint8_t *cx_conn_out_begin(struct cx_conn *c);
/** Send what was encoded there. */
void cx_conn_out_end(struct cx_conn *c, size_t len);
/** Release, and close_notify. */
void cx_conn_goodbye(struct cx_conn *c, bool release);
