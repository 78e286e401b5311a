/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  coap/msg.h
 * @brief The message layer without I/O: exchanges, calls, deduplication, block-wise, of many peers.
 *
 * The owner (the engine) feeds decrypted datagrams in, asks for the next deadline, lets time pass,
 * and hands out buffers that messages are encoded into. It embeds one struct cx_mpeer in each of
 * its peers and finds its own again with DR_CONTAINER_OF.
 *
 * Layer: coap, no I/O.  Threads: one loop per struct cx_msg.  Memory: 16 bytes per idle peer and 48
 * more once it has sent something; all else exists while a transaction runs, from pools that keep
 * what they once had.  Limits: struct cx_limits (body_max, assemblies_max, exchanges_per_peer_max,
 * calls_per_peer_max), CX_MSG_MAX, CX_STORED_MAX, CX_KEPT_PER_PEER_MAX.  Security: input is hostile
 * and never asserted on; tokens come from the injected random source.
 * Spec: RFC7252, RFC7641, RFC7959, RFC8132, RFC8323, RFC9175.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "coap/engine.h"
#include "coap/pdu.h"

/** Longest message that we send in a datagram (or in that form), before DTLS or TLS. */
#define CX_MSG_MAX           1152
/** Answers too long for the deduplication ring, kept beside it for an exchange lifetime: bytes. */
#define CX_STORED_MAX        (64u << 20)
/** Large answers that one peer may be fetching block by block. */
#define CX_KEPT_PER_PEER_MAX 4

/** A message id is not used again, and a duplicate is known, for that long. spec: RFC7252#4.8.2 */
#define CX_EXCHANGE_LIFETIME_MS 247000u
/** A request without an answer of ours for that long gets an empty ACK. */
#define CX_ACK_DELAY_MS         1000u
/** A half assembled body without a new block for that long is forgotten. */
#define CX_ASSEMBLY_IDLE_MS     300000u
/** A large answer of which no block was asked for that long is forgotten. */
#define CX_KEPT_IDLE_MS         120000u

struct cx_msg;
struct cx_mwork;

/** What the message layer keeps with each peer. Must not move between cx_msg_peer_init and _fini.
 */
struct cx_mpeer {
    struct cx_mwork *work; /**< owned; only while something is under way */
    uint32_t ring;         /**< slab index of the deduplication ring, 0 = none yet */
    uint16_t mid;          /**< next message id of ours */
    uint16_t flags;
};

#define CX_OBSERVED_OPTS_MAX 24
/** The request that made an observation, so that the rest of a large notification can be fetched.
 */
struct cx_observed {
    uint8_t code; /**< CX_GET or CX_FETCH */
    size_t n_opts;
    struct cx_opt opts[CX_OBSERVED_OPTS_MAX]; /**< Uri-Path, Uri-Query, Accept, Content-Format; not
                                                 Observe, not Block */
    uint8_t buf[640];                         /**< room for option values; copied after the call */
    const uint8_t *payload; /**< body of a FETCH; borrowed until the call has returned */
    size_t payload_len;
};

/** Filled in by the owner; all members but `observed` and `room` must be set. None may be called
 * from another thread. */
struct cx_msg_ops {
    /**
     * Where to write a message to @p p of at most @p max bytes. The buffer is the caller's until
     * out_end, which follows before any other call.
     * @return NULL when nothing can be sent now (the message counts as lost on the way)
     */
    uint8_t *(*out_begin)(void *data, struct cx_mpeer *p, size_t max);
    /** Send the first @p len bytes of the buffer; 0 = nothing after all. Must not call back. */
    void (*out_end)(void *data, struct cx_mpeer *p, size_t len);
    /** As cx_ops.request; @p pdu is valid in the call. May answer, start calls, end the peer. */
    void (*request)(void *data, struct cx_mpeer *p, cx_exchange_t x, const struct cx_pdu *pdu);
    /** As cx_ops.notify. May start calls; must not end the peer inside the call. */
    bool (*notify)(void *data, struct cx_mpeer *p, const struct cx_pdu *pdu);
    /** As cx_ops.room; NULL = always. */
    bool (*room)(void *data);
    /** Which request made the observation of @p first's token? false: unknown; then notify gets the
     * first block alone, with pdu->block2 saying that more follow. May be NULL. */
    bool (*observed)(void *data, struct cx_mpeer *p, const struct cx_pdu *first,
                     struct cx_observed *ret);
    /** Unpredictable bytes (predictable in tests). */
    void (*random)(void *data, uint8_t *buf, size_t len);
    /** Most bytes of a message to @p p, which is a stream (cx_msg_peer_set_stream), at most
     * CX_STREAM_MSG_MAX; over CX_MSG_MAX: several blocks may go in one. NULL = CX_MSG_MAX. */
    size_t (*room_for)(void *data, const struct cx_mpeer *p);
};

struct cx_msg_config {
    const struct cx_msg_ops *ops; /**< borrowed for life */
    void *data;
    struct cx_limits limits; /**< zero = default */
    uint64_t now_ms;         /**< monotonic time at the start */
    struct cx_stats *stats;  /**< borrowed for life; counts malformed, duplicates, resets_sent,
                                retransmissions, requests, responses, notifications, calls,
                                call_timeouts, exchanges, assemblies */
};

/** @retval DR_ERR_NOMEM */
DR_CHECK dr_err_t cx_msg_new(const struct cx_msg_config *config, struct cx_msg **ret);
/** All peers must be gone and every call completed (cx_msg_expire after the last _fini). NULL is
 * fine. */
struct cx_msg *cx_msg_free(struct cx_msg *m);

void cx_msg_peer_init(struct cx_msg *m, struct cx_mpeer *p);
/**
 * @p p is reached by a stream that loses nothing: no types, message ids, acknowledgements,
 * duplicates or repetitions; what was to be rejected by silence is answered. Messages to it are
 * still encoded with the header of RFC 7252, which means nothing. spec: RFC8323#2.2
 */
void cx_msg_peer_set_stream(struct cx_mpeer *p);
/**
 * Forget all about @p p: exchanges, assemblies, kept answers. Its calls complete with @p why in the
 * next cx_msg_expire (the deadline is "now" until then); the memory of @p p is the caller's again
 * at once.
 */
void cx_msg_peer_fini(struct cx_msg *m, struct cx_mpeer *p, dr_err_t why);
/** Something is under way with @p p (so it is not idle). */
bool cx_msg_peer_busy(const struct cx_mpeer *p);

/** Bring what cx_msg_input of @p p will read into the cache. */
void cx_msg_prefetch(const struct cx_msg *m, const struct cx_mpeer *p);
/**
 * One datagram of @p p, decrypted. Callbacks run inside; the layer does not touch @p p after the
 * last of them.
 * @param bytes   borrowed for the call; any content
 * @param now_ms  monotonic time; must not go back between calls
 */
void cx_msg_input(struct cx_msg *m, struct cx_mpeer *p, const uint8_t *bytes, size_t len,
                  uint64_t now_ms);
/**
 * One message of @p p, which is a stream.
 * @param pdu         from cx_pdu_decode_frame, of no signalling code; borrowed for the call
 * @param bad_option  that said DR_ERR_UNSUPPORTED
 */
void cx_msg_input_frame(struct cx_msg *m, struct cx_mpeer *p, const struct cx_pdu *pdu,
                        bool bad_option, uint64_t now_ms);
/** When cx_msg_expire is due: absolute ms; 0 = at once, UINT64_MAX = not before something happens.
 */
uint64_t cx_msg_deadline(const struct cx_msg *m);
/** Let time pass: retransmissions, timeouts, completions. Callbacks run inside. */
void cx_msg_expire(struct cx_msg *m, uint64_t now_ms);

/** As cx_answer. @retval DR_ERR_NOT_FOUND answered already, or never was, or its peer has gone */
dr_err_t cx_msg_answer(struct cx_msg *m, cx_exchange_t x, const struct cx_reply *reply,
                       uint64_t now_ms);
/** As cx_ack. */
void cx_msg_ack(struct cx_msg *m, cx_exchange_t x);
/** As cx_forget: the repeated request will be taken as new. */
void cx_msg_forget(struct cx_msg *m, cx_exchange_t x);

/**
 * As cx_call_start, to peer @p p (call->peer is not looked at). May send inside.
 *
 * A call whose code is a response code (2.05, 4.04 …) is a notification of ours: the caller gives
 * the token and the Observe option; Uri-Path and Uri-Query options are not sent but name the
 * resource, so that the rest of a large body can be served. It completes with DR_OK and an empty
 * answer (code 0.00) once acknowledged (NON: once sent), with DR_ERR_RESET when the observer does
 * not want it any more.
 * @retval DR_ERR_LIMIT  calls_per_peer_max
 * @retval DR_ERR_NOMEM
 */
DR_CHECK dr_err_t cx_msg_call_start(struct cx_msg *m, struct cx_mpeer *p, struct cx_call *call,
                                    uint64_t now_ms);
/** As cx_call_cancel: cb comes in the next cx_msg_expire, unless the call is completing already. */
void cx_msg_call_cancel(struct cx_msg *m, struct cx_call *call);
/** As cx_peer_calls_moved. */
void cx_msg_calls_moved(struct cx_msg *m, struct cx_mpeer *p);
/** Complete every call of every peer with @p why in the next cx_msg_expire (stop of the engine). */
void cx_msg_calls_end(struct cx_msg *m, dr_err_t why);
