/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/unit/coap/rig.h
 * @brief One message layer, some peers, a fake clock, and everything it sends or says kept in
 * lists.
 */
#pragma once

#include "base/rand.h"
#include "coap/block.h"
#include "coap/msg.h"

#define RIG_PEERS 3
#define RIG_SENT  4096
#define RIG_SEEN  4096

struct rig_msg {
    unsigned peer;
    size_t len;
    uint8_t bytes[CX_MSG_MAX];
};

struct rig_seen {
    unsigned peer;
    cx_exchange_t x;
    struct cx_pdu pdu; /**< header fields and numbers only */
    size_t len;
    uint8_t body[70000];
};

struct rig_call {
    struct cx_call call;
    unsigned done;
    dr_err_t err;
    struct cx_pdu pdu; /**< header fields and numbers only */
    size_t len;
    uint8_t body[70000];
    struct cx_opt opts[8];
    struct rig *rig;
    struct rig_call *then; /**< started by the callback */
};

struct rig {
    struct cx_msg *m;
    struct cx_mpeer peers[RIG_PEERS];
    struct cx_stats stats;
    struct dr_prng rand;
    uint64_t now_ms;
    bool blocked; /**< out_begin gives nothing */
    uint8_t out[CX_MSG_MAX];
    struct rig_msg *sent; /**< ring of what went out */
    size_t n_sent, read;
    struct rig_seen *last; /**< newest request or notification */
    unsigned n_requests, n_notified;
    struct rig_seen *notified;
    bool refuse;                       /**< notify says false */
    const struct cx_reply *auto_reply; /**< answers inside the request callback */
    bool ack;                          /**< acknowledges inside the request callback */
    bool forget;                       /**< forgets inside the request callback */
    bool end_peer;                     /**< ends the peer inside the request callback */
    bool has_observed;
    uint8_t observed_code;
};

const struct cx_msg_ops *rig_ops(void);
void rig_init(struct rig *r, const struct cx_limits *limits);
void rig_fini(struct rig *r);

/** Bytes to the layer; "44 02 …". */
void rig_in_hex(struct rig *r, unsigned peer, const char *hex);
void rig_in(struct rig *r, unsigned peer, uint8_t type, uint8_t code, uint16_t mid,
            const char *token, const struct cx_opt *opts, size_t n, const void *payload,
            size_t len);
/** Let @p ms pass, in the steps of the deadlines. */
void rig_pass(struct rig *r, uint64_t ms);

/** The next message that went out, decoded; fails the test when there is none. */
struct cx_pdu rig_out(struct rig *r, unsigned peer);
/** Its bytes. */
const struct rig_msg *rig_out_raw(struct rig *r);
/** Nothing more went out. */
void rig_quiet(struct rig *r);

/** A call with a path of one segment; payload may be NULL. */
void rig_call_init(struct rig_call *c, uint8_t code, const char *path, const void *payload,
                   size_t len);
void rig_start(struct rig *r, unsigned peer, struct rig_call *c);

struct cx_opt rig_text(uint16_t num, const char *text);
int32_t rig_block(uint32_t num, bool more, uint16_t size);
/** A Block option with storage in @p buf. */
struct cx_opt rig_block_opt(uint16_t num, uint32_t n, bool more, uint16_t size, uint8_t buf[4]);
/** Predictable bytes. */
const uint8_t *rig_bytes(size_t len);
