/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  coap/engine_priv.h
 * @brief Inside of the engine: what engine.c (datagrams, peers) and engine_dtls.c (handshakes,
 * records) share; handshakes have coap/half.h, connections coap/conn.h.
 *
 * Layer: coap.  Threads: the engine's loop, but for a struct cx_job in the pool.  Memory: one
 * struct cx_half (and OpenSSL's 75 KiB) a handshake.  Limits: CX_SOCKS_MAX, struct cx_limits.
 * Security: associations lie in pages that core dumps leave out.  Spec: none.
 */
#pragma once

#include "base/list.h"
#include "base/loop.h"
#include "base/slab.h"
#include "base/table.h"
#include "base/timer.h"
#include "coap/dtls_assoc.h"
#include "coap/dtls_handshake.h"
#include "coap/engine.h"
#include "coap/msg.h"
#include "coap/peer.h"
#include "coap/socket.h"

#define CX_SOCKS_MAX      16
#define CX_LISTENERS_MAX  4
/** A handshake that is not through after that long is given up, whoever is waited for. */
#define CX_HALF_OPEN_MS   60000u
/** When there is no room for a new one, a handshake that has taken that long makes room. */
#define CX_HALF_SPARED_MS 5000u
/** A peer without a credential to whom the owner gave no value is forgotten sooner. */
#define CX_STRANGER_S     300u
/** Handshake time that may be saved up for a burst. */
#define CX_HS_CREDIT_NS   50000000
/** Handshake steps in the pool at a time. */
#define CX_JOBS_MAX       64
/** Bytes of datagrams kept for a handshake whose step is in the pool. */
#define CX_JOB_HELD_MAX   8192

struct cx_endpoint {
    struct cx_engine *engine;
    struct cx_sock *sock;
    struct loop_fd watch;
    enum cx_proto proto;
    bool waits; /* for the socket to become writable */
};

struct cx_listener {
    struct cx_engine *engine;
    struct loop_fd watch;
    enum cx_proto proto;
    bool paused;  /* until the next sweep */
    bool starved; /* nothing to accept with; said once */
};

/** Result of cx_connect on its way to the caller. */
struct cx_connecting {
    struct dr_list node;
    cx_peer_t peer;
    dr_err_t err;
    void (*cb)(void *data, cx_peer_t peer, dr_err_t err);
    void *data;
};

struct cx_filter;

struct cx_engine {
    struct loop *loop;
    struct cx_engine_config config; /* limits filled in */
    struct cx_security *security;   /* a reference of ours, or NULL */
    struct cx_msg *msg;
    struct cx_peers peers;
    struct cx_stats stats, told; /* told: what the metrics have */
    unsigned sweeps;
    struct cx_endpoint socks[CX_SOCKS_MAX];
    unsigned n_socks;
    uint64_t now_ms; /* of this turn */

    struct cx_filter *filter; /* owned; NULL but in simulators and tests */
    uint8_t *out;             /* room reserved between out_begin and out_end */

    /* connections, see coap/conn.h */
    struct cx_listener listeners[CX_LISTENERS_MAX];
    unsigned n_listeners;
    struct dr_slab conns;
    struct dr_list conns_young, conns_dirty;
    struct dr_list conns_done; /* to be freed in the idle hook */
    uint32_t conns_ended;      /* how many these are */
    uint32_t conns_shaking;
    struct dr_slab hosts; /* addresses that connections came from */
    struct dr_table hosts_by_addr;
    uint8_t *stream_in, *stream_plain, *stream_out; /* owned; once there are connections */

    struct loop_idle idle;
    struct dr_timer wake; /* for the message layer's deadline */
    struct loop_timer sweep;
    uint32_t dying;           /* peers to be ended in the idle hook */
    struct dr_list connected; /* results of cx_connect to be delivered */

    struct dr_slab assocs;
    struct dr_slab halves;
    struct dr_table halves_by_flow;
    struct dr_list served;      /* handshakes of the server role, in order of their begin */
    struct dtls_crypto *crypto; /* NULL when there is no security */
    struct dtls_crypto *job_crypto[CX_JOBS_MAX];
    unsigned n_job_crypto;
    unsigned jobs;
    int64_t hs_credit_ns;
    uint64_t turn_began_ns, turn_ended_ns;
    bool in_turn; /* the idle hook of this turn is still to come, for certain */

    bool closing, closed;
    void (*close_done)(void *data);
    void *close_data;
    struct loop_msg close_msg;
};

/**
 * The owner may call from a place where the idle hook of this turn is over already (its own idle
 * hook): then there has to be another turn, or what was written would wait for the next event.
 */
static inline void cx_engine_touch(struct cx_engine *e)
{
    if (!e->in_turn) {
        loop_again(e->loop);
    }
}

void cx_engine_metrics_init(void);
/** Let the metrics know how the engine's counters stand. */
void cx_engine_metrics_add(struct cx_engine *e, const struct cx_stats *now);
/** An event: the time, and what handshakes may take of it. */
void cx_engine_turn_begin(struct cx_engine *e);
/** A peer of @p flow that is not found by it yet. */
DR_CHECK dr_err_t cx_engine_new_peer(struct cx_engine *e, const struct cx_flow *flow,
                                     struct cx_peer **ret);
/** Unlink @p p and end it in the idle hook. Does nothing to one that is closing already. */
void cx_engine_end_peer(struct cx_engine *e, struct cx_peer *p, enum cx_gone why);
/** Hand a decrypted message to the message layer. */
void cx_engine_message(struct cx_engine *e, struct cx_peer *p, const uint8_t *bytes, size_t len);
/** Deliver @p c in the idle hook. Takes it. */
void cx_engine_connected(struct cx_engine *e, struct cx_connecting *c, dr_err_t err);
/** Free a peer that was never live. */
void cx_engine_drop_peer(struct cx_engine *e, struct cx_peer *p);

/** One datagram that was read; its bytes may be changed. */
void cx_engine_datagram(struct cx_engine *e, struct cx_endpoint *ep, struct cx_dgram *d);

/** Filter of what is read: false = not now. */
bool cx_filter_in(struct cx_filter *f, struct cx_endpoint *ep, const struct cx_dgram *d);
/** Filter of what is sent, a cx_sock_filter_fn. */
bool cx_filter_out(void *filter, const uint8_t *bytes, size_t len, const struct cx_flow *flow);
/** What is held is lost. NULL is allowed. @return NULL */
struct cx_filter *cx_filter_free(struct cx_filter *f);

/** Ask the owner for the key of @p identity; he may answer inside. @return false: he knows none */
bool cx_engine_ask_psk(struct cx_engine *e, uint64_t handle, const char *identity);
/**
 * Ask the owner what a certificate stands for.
 * @param ret  filled in any case
 * @return as cx_ops.cert; without that DR_ERR_DENIED
 */
dr_err_t cx_engine_ask_cert(struct cx_engine *e, uint64_t tag, const char *cn, struct dr_bytes leaf,
                            struct cx_identity *ret);

DR_CHECK dr_err_t cx_engine_dtls_init(struct cx_engine *e);
void cx_engine_dtls_fini(struct cx_engine *e);
/** One datagram of a DTLS socket. @param p  live peer of its flow, or NULL */
void cx_engine_dtls_input(struct cx_engine *e, struct cx_endpoint *ep, struct cx_dgram *d,
                          struct cx_peer *p);
DR_CHECK dr_err_t cx_engine_dtls_connect(struct cx_engine *e, const struct cx_connect *c,
                                         struct cx_peer *p, struct cx_connecting *x);
/** One record of epoch 1 of the association of @p p. */
void cx_engine_record(struct cx_engine *e, struct cx_peer *p, const struct dtls_record *rec);
/** Stop all handshakes; those in the pool end on their own. */
void cx_engine_dtls_cancel(struct cx_engine *e);
/** Stop the handshake that @p p, which is connecting, waits for. */
void cx_engine_dtls_cancel_peer(struct cx_engine *e, const struct cx_peer *p);
/** Send close_notify on the association of @p p. */
void cx_engine_dtls_goodbye(struct cx_engine *e, struct cx_peer *p);
/** Wipe and free the association of @p p, if it has one. */
void cx_engine_dtls_forget(struct cx_engine *e, struct cx_peer *p);

static inline struct dtls_assoc *cx_assoc_of(const struct cx_engine *e, const struct cx_peer *p)
{
    return dr_slab_get(&e->assocs, p->assoc);
}
