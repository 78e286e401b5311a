/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  coap/peer.h
 * @brief The peers of one engine: by handle and by flow, with identity and idle times.
 *
 * Layer: coap, no I/O.  Threads: the engine's loop.  Memory: sizeof(struct cx_peer) and about ten
 * bytes of table each, and the identity of an association.  Limits: peers_max of the init.
 * Security: the table is keyed, peers cannot make it collide.  Spec: none.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/slab.h"
#include "base/table.h"
#include "coap/engine.h"
#include "coap/msg.h"
#include "coap/socket.h"

/** Who a peer is, as kept: one allocation with the name behind. */
struct cx_ident {
    int64_t account;
    int64_t credential;
    int64_t device;
    uint32_t version;
    uint8_t kind; /**< enum cx_id_kind */
    char name[];  /**< NUL-terminated */
};

enum cx_peer_state {
    CX_PEER_CONNECTING, /**< client role, the handshake runs; not found by flow */
    CX_PEER_LIVE,
    CX_PEER_CLOSING, /**< unlinked and mute, waits for peer_gone */
};

#define CX_PEER_CLIENT 1u /**< made by cx_connect: lives until its owner closes it */
#define CX_PEER_STREAM 4u /**< a connection: never found by its flow */

/** One peer; at most one live one has a flow. */
struct cx_peer {
    uint32_t dying; /**< next of the engine's list of closing peers; the slab uses these 8 bytes of
                       a free item */
    uint32_t index; /**< own number in the slab */
    uint32_t generation; /**< survives the item; odd while in use */
    uint32_t last_s;     /**< second of the last authentic datagram */
    struct cx_flow flow;
    struct cx_mpeer msg;
    uint64_t user;
    struct cx_ident *ident; /**< owned; NULL for NoSec */
    uint32_t assoc;         /**< number of the association in the engine, 0 for NoSec; with
                               CX_PEER_STREAM that of its connection */
    uint8_t state;          /**< enum cx_peer_state */
    uint8_t why;            /**< enum cx_gone, once closing */
    uint8_t flags;          /**< the engine's */
};

struct cx_peers {
    struct dr_slab slab;
    struct dr_table by_flow;
    struct dr_hash_key key;
    uint32_t sweep;  /**< where the idle sweep stands */
    uint32_t linked; /**< live ones */
};

/** @retval DR_ERR_NOMEM */
DR_CHECK dr_err_t cx_peers_init(struct cx_peers *t, uint32_t peers_max);
/** Frees identities too; the rest of each peer must have been ended. Zeroed is allowed. */
void cx_peers_fini(struct cx_peers *t);

/**
 * A new peer of @p flow, not yet found by it.
 * @param ident  taken; may be NULL
 * @retval DR_ERR_LIMIT  peers_max (@p ident stays the caller's)
 * @retval DR_ERR_NOMEM
 */
DR_CHECK dr_err_t cx_peer_new(struct cx_peers *t, const struct cx_flow *flow,
                              struct cx_ident *ident, struct cx_peer **ret);
/** Let @p p be found by its flow, which no other live peer may have. @retval DR_ERR_NOMEM */
DR_CHECK dr_err_t cx_peer_link(struct cx_peers *t, struct cx_peer *p);
/** Make @p p, a stream, live. */
void cx_peer_link_stream(struct cx_peers *t, struct cx_peer *p);
/** Not found by flow any more; its handle stays good until cx_peer_free. */
void cx_peer_unlink(struct cx_peers *t, struct cx_peer *p);
/** Forget it; the handle is never made again (but after 2^31 uses of the item). */
void cx_peer_free(struct cx_peers *t, struct cx_peer *p);

uint32_t cx_flow_hash(const struct cx_peers *t, const struct cx_flow *flow);
/** The live peer of @p flow, or NULL. */
struct cx_peer *cx_peer_find(const struct cx_peers *t, const struct cx_flow *flow);

static inline struct cx_peer *cx_peer_at(const struct cx_peers *t, uint32_t index)
{
    return dr_slab_get(&t->slab, index);
}

/** The live peer that has @p flow and @p hash, which is cx_flow_hash of it. */
static inline struct cx_peer *cx_peer_find_hashed(const struct cx_peers *t, uint32_t hash,
                                                  const struct cx_flow *flow)
{
    uint32_t index = dr_table_get(&t->by_flow, hash, flow);

    return index != 0 ? cx_peer_at(t, index) : NULL;
}

/** The peer of a handle, also when it is closing; NULL if it has gone. */
struct cx_peer *cx_peer_get(const struct cx_peers *t, cx_peer_t handle);
uint32_t cx_peer_index(const struct cx_peers *t, const struct cx_peer *p);
cx_peer_t cx_peer_handle(const struct cx_peers *t, const struct cx_peer *p);

/**
 * The next few peers in the order of the slab, for the idle check: each call goes on where the last
 * one ended and looks at @p count peers. @p fn may close and free the peer.
 */
void cx_peers_sweep(struct cx_peers *t, uint32_t count, void (*fn)(void *data, struct cx_peer *p),
                    void *data);

/** @return NULL when out of memory. @p id->name may be NULL. */
struct cx_ident *cx_ident_new(const struct cx_identity *id);
/** NULL is allowed. @return NULL */
struct cx_ident *cx_ident_free(struct cx_ident *id);
