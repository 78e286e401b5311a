/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  coap/msg_priv.h
 * @brief What the files of the message layer share; nobody else includes it.
 *
 *   msg.c       the four verbs, sending, peers
 *   exchange.c  server role: requests of the peer and our answers
 *   assembly.c  server role: bodies that come in Block1
 *   kept.c      server role: large answers fetched by Block2
 *   call.c      client role: our requests and notifications, one at a time per peer
 *   transfer.c  client role: what the next message of a block-wise call is
 *   fetch.c     client role: the rest of a large notification
 *   dedup.c     duplicates
 *
 * Layer: coap, private.  Threads: one loop.  Memory: slabs of struct cx_msg.  Limits: see msg.h.
 * Security: see msg.h.  Spec: RFC7252, RFC7959.
 */
#pragma once

#include "base/buf.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/slab.h"
#include "base/timer.h"
#include "coap/block.h"
#include "coap/dedup.h"
#include "coap/msg.h"
#include "coap/stream.h"

/** Bodies that one peer may be sending block by block at a time. */
#define CX_ASSEMBLIES_PER_PEER_MAX 8
/** Large notifications of one peer whose rest is being fetched. */
#define CX_FETCHES_PER_PEER_MAX    4
/** Room for options that the layer adds to those of a caller. */
#define CX_OPTS_EXTRA              6

/** The next call of this peer with several blocks carries a Request-Tag, because the one before it
 * broke off and blocks of it may still be on their way. spec: RFC9175#3.4 */
#define CX_MPEER_TAG       1u
/** Size exponent + 1 of the blocks that this peer wants to get, once it has said so; 0 = not yet.
 */
#define CX_MPEER_SZX_SHIFT 1
#define CX_MPEER_SZX_MASK  (15u << CX_MPEER_SZX_SHIFT)
/** See cx_msg_peer_set_stream. */
#define CX_MPEER_STREAM    (1u << 5)

struct cx_exch;
struct cx_fetch;
struct cx_tx;

/** Lists of what is under way with one peer. */
struct cx_mwork {
    struct cx_mpeer *peer;
    struct dr_list node;      /**< in cx_msg.works */
    struct dr_list exchanges; /**< of struct cx_exch, waiting for our answer or for its ACK */
    struct dr_list assemblies;
    struct dr_list kept;
    struct dr_list fetches;
    struct cx_call *head, *tail; /**< calls in order; head is in flight when tx is set */
    struct cx_tx *tx;            /**< owned */
    uint32_t self;
    uint32_t n_calls; /**< without fetches */
    uint16_t n_exchanges, n_assemblies, n_kept, n_fetches;
};

/** What an answer needs to know of its request. */
struct cx_req {
    uint32_t hash;
    uint16_t mid;
    bool con;
    uint8_t code;
    uint8_t token_len;
    uint8_t token[CX_TOKEN_MAX];
};

struct cx_assembly {
    struct dr_list node;
    struct dr_timer timer;
    struct cx_msg *m;
    struct cx_mwork *work;
    struct cx_exch *exch; /**< the body is complete and this exchange carries it; may be NULL */
    uint64_t key;
    struct dr_dynbuf body;
    size_t before_last; /**< length without the last block, while exch is set */
    uint32_t self;
};

/** A large answer, or the body of a notification, that is fetched block by block. */
struct cx_kept {
    struct dr_list node;
    struct dr_timer timer;
    struct cx_msg *m;
    struct cx_mwork *work;
    uint64_t key;
    uint32_t body_hash; /**< of the request's payload; 0 = any */
    uint32_t self;
    uint8_t code;
    uint8_t *bytes; /**< owned: options as on the wire, then the payload */
    size_t opts_len, total;
};

enum cx_exch_state {
    CX_EXCH_FREE,
    CX_EXCH_OPEN,     /**< inside the request callback, on no list */
    CX_EXCH_WAIT,     /**< the callback returned without an answer */
    CX_EXCH_SEPARATE, /**< answered by a CON of its own, which is not acknowledged yet */
};

struct cx_exch {
    uint64_t slab_link; /**< the slab's while free */
    uint32_t gen;       /**< survives free; part of cx_exchange_t */
    uint32_t self;
    enum cx_exch_state state;
    bool acked; /**< the empty ACK has gone out */
    struct cx_msg *m;
    struct cx_mpeer *peer;
    struct dr_list node;
    struct dr_timer timer;
    struct cx_req req;
    int32_t block1, block2; /**< raw values of the request */
    bool keyed;             /**< key and body_hash are filled */
    uint64_t key;
    uint32_t body_hash;
    struct cx_assembly *assembly; /**< whose body this request is; may be NULL */
    uint8_t *sent;                /**< CX_EXCH_SEPARATE: owned copy of the answer */
    uint16_t sent_len, sent_mid;
    uint8_t tries;
    uint32_t timeout_ms;
};

/** An answer too long for its ring. All have the same life, so the list is in order of expiry. */
struct cx_stored {
    struct dr_list node;
    struct cx_mpeer *peer; /**< only compared */
    uint64_t until_ms;
    uint32_t self, hash;
    uint16_t mid, len;
    uint8_t code;
    uint8_t *bytes; /**< owned */
};

enum cx_tx_phase { CX_TX_ACK, CX_TX_RESPONSE };

/** A response whose body is being collected, block after block. */
struct cx_rx {
    bool active;
    bool bert;           /**< ask for several blocks at once */
    bool restarted;      /**< the representation changed once and we began again */
    struct cx_pdu first; /**< of block 0; its options are the first opts_len bytes of buf */
    struct dr_dynbuf buf;
    size_t opts_len;
    uint16_t size; /**< block size to ask for */
    uint8_t etag_len, etag[8];
};

/** The call in flight of one peer. */
struct cx_tx {
    struct dr_timer timer;
    struct cx_msg *m;
    struct cx_mwork *work;
    struct cx_mpeer *w_peer;
    struct cx_call *call;
    uint32_t self;
    enum cx_tx_phase phase;
    uint16_t mid;
    uint8_t tries;
    uint32_t timeout_ms;
    uint8_t token_len, token[CX_TOKEN_MAX]; /**< on the wire; not the call's while we fetch blocks
                                               of an observed resource */
    bool blocks;     /**< the payload goes in Block1 (or, a notification, its first block) */
    bool own_blocks; /**< the caller gave Block options: no block-wise work of ours */
    bool body_done;  /**< the last block was answered */
    bool restarted;  /**< began again after 4.08 */
    bool ask_size;   /**< Block2 in the first request, for a smaller size */
    uint16_t size;   /**< block size of the payload */
    uint16_t count;  /**< BERT: blocks that go in one message; 0 = one */
    size_t off;      /**< bytes that the peer has */
    uint8_t tag_len, tag[4];
    uint8_t echo_len, echo[40];
    bool echoed;
    struct cx_rx rx;
};

struct cx_msg {
    const struct cx_msg_ops *ops;
    void *data;
    struct cx_limits limits;
    struct cx_stats *stats;
    struct cx_stats own_stats; /**< when the owner gave none */
    uint64_t now_ms;
    struct dr_wheel wheel;
    struct dr_hash_key key;
    struct dr_slab rings, works, exchs, txs, assemblies, kepts, storeds;
    struct dr_list works_list, stored_list;
    size_t stored_bytes;
    struct cx_call *done_head, *done_tail;
    uint32_t n_open;               /**< calls not completed */
    struct cx_exch *cur;           /**< inside the request callback */
    const struct cx_exch *reading; /**< whose callback is running, acknowledged or not */
    const struct cx_pdu *cur_pdu;
    struct dr_dynbuf cur_body; /**< body of cur, when its assembly went before the callback ended */
    size_t pool_left;
    uint8_t pool[256];                  /**< random bytes not used yet: the first pool_left */
    uint8_t scratch[CX_STREAM_MSG_MAX]; /**< for what cannot be sent but must be remembered */
};

/* ---- msg.c ---- */

void cx_msg_random(struct cx_msg *m, uint8_t *buf, size_t len);
uint16_t cx_msg_mid(struct cx_mpeer *p);
/** First retransmission timeout, drawn between 1 and random_factor times ack_timeout. */
uint32_t cx_msg_timeout(struct cx_msg *m, const struct cx_timing *t);
/** Nothing for a stream. */
void cx_msg_send_empty(struct cx_msg *m, struct cx_mpeer *p, uint8_t type, uint16_t mid);
void cx_msg_send_copy(struct cx_msg *m, struct cx_mpeer *p, const uint8_t *bytes, size_t len);
static inline bool cx_is_stream(const struct cx_mpeer *p)
{
    return (p->flags & CX_MPEER_STREAM) != 0;
}
size_t cx_stream_room(const struct cx_msg *m, const struct cx_mpeer *p);
uint16_t cx_stream_bert(const struct cx_msg *m, const struct cx_mpeer *p, size_t overhead);
/** Most bytes of a message to @p p. */
static inline size_t cx_msg_room(const struct cx_msg *m, const struct cx_mpeer *p)
{
    return cx_is_stream(p) ? cx_stream_room(m, p) : CX_MSG_MAX;
}
/** Blocks of 1024 bytes in one message to @p p with @p overhead bytes of other things; 0 = ordinary
 * blocks only. */
static inline uint16_t cx_msg_bert(const struct cx_msg *m, const struct cx_mpeer *p,
                                   size_t overhead)
{
    return cx_is_stream(p) ? cx_stream_bert(m, p, overhead) : 0;
}
/** cx_block_decode or cx_block_decode_bert, as @p p speaks. */
static inline DR_CHECK dr_err_t cx_msg_block(const struct cx_mpeer *p, int32_t raw,
                                             struct cx_block *ret)
{
    return cx_is_stream(p) ? cx_block_decode_bert(raw, ret) : cx_block_decode(raw, ret);
}
/** Lists of @p p, made if needed; NULL when there is no memory. */
struct cx_mwork *cx_msg_work(struct cx_msg *m, struct cx_mpeer *p);
/** Free the lists of a peer when all are empty. */
void cx_msg_work_tidy(struct cx_msg *m, struct cx_mwork *w);
/** Remember a handled message of @p p. */
void cx_msg_remember(struct cx_msg *m, struct cx_mpeer *p, const struct cx_ring_entry *entry);
bool cx_msg_recall(struct cx_msg *m, struct cx_mpeer *p, uint16_t mid, uint32_t hash,
                   struct cx_ring_entry *ret);

/* ---- exchange.c ---- */

void cx_exch_input(struct cx_msg *m, struct cx_mpeer *p, const struct cx_pdu *pdu, uint32_t hash,
                   bool bad_option);
/** The peer acknowledged or reset message @p mid; true when it was an answer of ours. */
bool cx_exch_acked(struct cx_msg *m, struct cx_mpeer *p, uint16_t mid);
void cx_exch_free(struct cx_exch *x);
/** Answer a request at once: piggybacked, or NON. Remembered for duplicates. */
void cx_exch_respond(struct cx_msg *m, struct cx_mpeer *p, const struct cx_req *req, uint8_t code,
                     const struct cx_opt *opts, size_t n_opts, const uint8_t *payload, size_t len);
void cx_stored_expire(struct cx_msg *m);
/** The ring of @p p has lost this number. */
void cx_stored_drop(struct cx_msg *m, struct cx_mpeer *p, uint32_t number);
void cx_stored_free_all(struct cx_msg *m);
/** Which resource: a keyed hash of path, query, Proxy-Uri, Request-Tag and the method. */
uint64_t cx_msg_key(const struct cx_msg *m, uint8_t code, const struct cx_pdu *pdu);

/* ---- assembly.c ---- */

/**
 * A request with Block1. Answers it by itself (2.31 or an error), or gives the whole body.
 * @param ret  filled when true: the assembly, or NULL when the one block is the body
 */
bool cx_assembly_input(struct cx_msg *m, struct cx_mpeer *p, const struct cx_pdu *pdu,
                       const struct cx_req *req, struct cx_assembly **ret);
void cx_assembly_free(struct cx_assembly *a);
/** The exchange with this body is forgotten: take the last block back, so that it may come again.
 */
void cx_assembly_reopen(struct cx_assembly *a);

/* ---- kept.c ---- */

struct cx_kept_key {
    uint64_t key;
    uint32_t body_hash;
};
/** Keep a large answer of ours, replacing an older one of the same resource; may fail silently. */
void cx_kept_put(struct cx_msg *m, struct cx_mpeer *p, const struct cx_kept_key *key, uint8_t code,
                 const struct cx_opt *opts, size_t n_opts, const uint8_t *payload, size_t len);
/** Answer a request for block 1 or later from what was kept; false: nothing there. */
bool cx_kept_serve(struct cx_msg *m, struct cx_mpeer *p, const struct cx_kept_key *key,
                   const struct cx_req *req, struct cx_block block);
void cx_kept_free(struct cx_kept *k);

/* ---- call.c ---- */

bool cx_call_is_notification(const struct cx_call *call);
/** Empty ACK or RST of the peer; false: not for the call in flight. */
bool cx_tx_acked(struct cx_msg *m, struct cx_mpeer *p, uint16_t mid);
bool cx_tx_reset(struct cx_msg *m, struct cx_mpeer *p, uint16_t mid);
/** A response; false: no call waits for it. */
bool cx_tx_response(struct cx_msg *m, struct cx_mpeer *p, const struct cx_pdu *pdu, uint32_t hash,
                    bool bad_option);
/** End the call in flight; its cb runs inside (last touch of the peer). @p answer NULL on error. */
void cx_tx_complete(struct cx_tx *tx, dr_err_t err, const struct cx_pdu *answer);
/** Send the next message of the call: a new id, timers from the start. */
void cx_tx_send(struct cx_tx *tx);
/** Let the call complete later. */
void cx_call_end_later(struct cx_msg *m, struct cx_call *call, dr_err_t err);
/** All calls of the peer complete later. */
void cx_calls_end(struct cx_msg *m, struct cx_mwork *w, dr_err_t why);
void cx_calls_run_done(struct cx_msg *m);
/** Queue a call of the layer itself in front of those that wait. */
void cx_call_push_front(struct cx_msg *m, struct cx_mwork *w, struct cx_call *call);
/** Take a call out, in flight or not, without completing it. */
void cx_call_withdraw(struct cx_msg *m, struct cx_mwork *w, struct cx_call *call);

/* ---- transfer.c ---- */

/** Decide how the payload goes out. @retval DR_ERR_TOO_LARGE the options leave no room */
DR_CHECK dr_err_t cx_transfer_begin(struct cx_tx *tx);
/** Encode the message that is due. */
DR_CHECK dr_err_t cx_transfer_encode(struct cx_tx *tx, struct dr_wr *wr);
/** A response to the message in flight: go on, or complete. */
void cx_transfer_response(struct cx_tx *tx, const struct cx_pdu *pdu);
/** Start collecting a body with its first block. */
DR_CHECK dr_err_t cx_rx_begin(struct cx_msg *m, const struct cx_mpeer *p, struct cx_rx *rx,
                              const struct cx_pdu *pdu);
void cx_rx_fini(struct cx_rx *rx);

/* ---- fetch.c ---- */

/** A notification that is the first block of its body; NULL: deliver it as it is. */
struct cx_fetch *cx_fetch_new(struct cx_msg *m, struct cx_mpeer *p, const struct cx_pdu *pdu);
/** Ask for the rest; @p f is the layer's from then on. */
void cx_fetch_start(struct cx_fetch *f);
/** A newer notification with this token has come. */
void cx_fetch_abort(struct cx_msg *m, struct cx_mpeer *p, const struct cx_pdu *pdu);
/** Free the fetches of a peer that goes; their calls have been withdrawn. */
void cx_fetch_free_all(struct cx_msg *m, struct cx_mwork *w);
bool cx_call_is_fetch(const struct cx_call *call);
/** The half-collected body that a fetch goes on with; moved into @p rx. */
void cx_fetch_take_rx(struct cx_call *call, struct cx_rx *rx);
