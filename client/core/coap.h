/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  client/core/coap.h
 * @brief The client's CoAP message layer: reliable messages, duplicates, requests of ours.
 *
 * Layer: client/core.  Threads: one loop.  Memory: the caller's structs only.
 * Limits: CL_DUPS_MAX remembered messages of the server, CL_CALLS_MAX requests of ours at a time,
 * one confirmable answer or notification in flight.
 * Security: an answer counts only with the token of the request; tokens are random.
 * Spec: RFC 7252 4, RFC 7641, RFC 7959, RFC 8323.
 *
 * A request of ours lives in the caller's struct until its done callback ran, exactly once, never
 * inside the call that started it.
 */
#pragma once

#include "client/core/evq.h"
#include "client/core/msg.h"

#define CL_DUPS_MAX    16
#define CL_DUP_STORED  64 /**< longer answers (of reads) are made anew for a repeated request */
#define CL_CALLS_MAX   4
#define CL_QUERIES_MAX 8
#define CL_ACK_MS      2000
#define CL_RETRIES_MAX 4
#define CL_LIFETIME_MS 247000 /**< a message id is not used again for so long */
#define CL_RESPONSE_MS 120000 /**< an acknowledged request waits so long for its answer */

struct cl_coap;
struct cl_call;

/** The answer of a call that got none of its own error: code, location, format. */
typedef void cl_call_done(struct cl_call *call, cl_err_t err, const struct cl_msg *answer);
/** A part of the answer's body. Anything but CL_OK stops the call with that error. */
typedef cl_err_t cl_call_part(struct cl_call *call, const struct cl_part *part);

/** A request of ours. Fill the first part, leave the rest zero. */
struct cl_call {
    uint8_t method;
    const char *path;                  /**< "/rd" or "/rd/5a"; borrowed until done, as all below */
    const char *query[CL_QUERIES_MAX]; /**< NULL ends the list */
    const char *proxy_uri;             /**< or NULL */
    uint16_t format, accept;           /**< CL_ID_NONE for none */
    const uint8_t *body;
    size_t body_len;
    size_t offset;      /**< first byte of the answer that is wanted (GET) */
    bool fresh_tokens;  /**< another token for every block of the answer */
    cl_call_part *part; /**< NULL: the body is not wanted beyond the first block */
    /**
     * CL_OK: a final answer came, with its code (also 4.xx and 5.xx) in @p answer.
     * CL_ERR_TIMEOUT, CL_ERR_REFUSED (reset), CL_ERR_CLOSED, or what part said: answer is NULL.
     * CL_ERR_STATE: the ETag changed between two blocks.
     */
    cl_call_done *done;
    void *ctx;

    uint8_t etag[8]; /**< of the body so far; keep it to go on later, zero etag_len otherwise */
    uint8_t etag_len;

    /* of the engine */
    struct cl_call *next;
    cl_err_t result;
    uint8_t token[CL_TOKEN_MAX];
    uint16_t mid;
    uint8_t tries;
    bool active; /**< on one of the engine's lists */
    bool queued; /**< to be sent as soon as no other one waits for its acknowledgement */
    bool acked;
    uint64_t due_ms;
    uint32_t wait_ms;
    uint32_t num; /**< block of the body being sent or of the answer being asked for */
    uint16_t size;
    size_t sent; /**< bytes of the body that were acknowledged */
    size_t got;  /**< next byte of the answer */
    bool receiving;
};

/** What the engine needs below and above. */
struct cl_coap_ops {
    /** Send one message. What cannot be sent is lost. */
    void (*send)(void *ctx, const uint8_t *msg, size_t len);
    /** A request of the server: fill @p answer (its code is 0 for "later": then an empty ACK goes
     * out and cl_coap_answer() follows). */
    void (*request)(void *ctx, const struct cl_msg *req, struct cl_msg *answer);
    /** The confirmable message that cl_coap_answer() sent is over. @param err CL_OK,
     * CL_ERR_TIMEOUT, CL_ERR_REFUSED */
    void (*delivered)(void *ctx, cl_err_t err);
    /** RFC 8323: the peer releases or aborts the connection. */
    void (*released)(void *ctx);
};

struct cl_dup {
    uint16_t mid, len;
    bool there;
    uint32_t hash; /**< of token, code and payload: a server that began anew is not swallowed */
    uint64_t until_ms;
    uint8_t answer[CL_DUP_STORED];
};

struct cl_coap {
    const struct cl_coap_ops *ops;
    void *ctx;
    bool stream; /**< RFC 8323: no message ids, no repetition */
    uint16_t mid;
    uint16_t block; /**< largest block that the peer takes */
    struct cl_dup dup[CL_DUPS_MAX];
    uint8_t dup_next;
    struct cl_call *calls, *ended;
    uint64_t now_ms, sent_ms; /**< sent_ms: anything at all */
    /* the confirmable message of the server side in flight */
    uint8_t con[CL_MSG_MAX];
    size_t con_len; /**< 0 = none */
    bool con_done;  /**< in a stream: delivered with the next step */
    uint16_t con_mid;
    uint8_t con_tries;
    uint64_t con_due_ms;
    uint32_t con_wait_ms;
};

/** @param stream  RFC 8323 frames instead of datagrams */
void cl_coap_init(struct cl_coap *co, const struct cl_coap_ops *ops, void *ctx, bool stream,
                  uint64_t now_ms);
/** RFC 8323: our first message, as soon as the connection stands. Nothing for datagrams. */
void cl_coap_hello(struct cl_coap *co);
/** Something that makes the server answer: keeps a connection alive. */
void cl_coap_ping(struct cl_coap *co);
/** A message came. */
void cl_coap_input(struct cl_coap *co, const uint8_t *msg, size_t len, uint64_t now_ms);
/** Repetitions, timeouts and done callbacks. @return time of the next one, or CL_NEVER */
uint64_t cl_coap_step(struct cl_coap *co, uint64_t now_ms);
/** The association ended: all calls end with CL_ERR_CLOSED at the next step, all else is forgotten.
 */
void cl_coap_reset(struct cl_coap *co, bool stream);

/**
 * Start a request.
 * @retval CL_ERR_BUSY   CL_CALLS_MAX are under way
 * @retval CL_ERR_SPACE  it does not fit into a message
 */
CL_CHECK cl_err_t cl_call_start(struct cl_coap *co, struct cl_call *call);
/** Hurry: done comes at the next step, with CL_ERR_CLOSED. */
void cl_call_cancel(struct cl_coap *co, struct cl_call *call);

/**
 * GET @p path with Block2 from byte @p offset: part delivers the bytes in order, done ends it.
 * The callbacks, ctx and (to go on with the same body) etag are set in @p call already.
 * @param proxy_uri  Proxy-Uri of the request, or NULL
 */
CL_CHECK cl_err_t cl_get_blocks(struct cl_coap *co, struct cl_call *call, const char *path,
                                const char *proxy_uri, size_t offset);

/**
 * Send a separate answer or a notification; message id and type are filled in here.
 * @param con  confirmable: ops->delivered tells the end
 * @retval CL_ERR_BUSY   one is in flight
 * @retval CL_ERR_SPACE  does not fit into a message
 */
CL_CHECK cl_err_t cl_coap_answer(struct cl_coap *co, struct cl_msg *m, bool con);
