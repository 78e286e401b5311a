/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/integ/coap/wire.h
 * @brief Two message layers joined by a wire that loses, repeats and reorders, in virtual time.
 */
#pragma once

#include "base/rand.h"
#include "coap/msg.h"

#define WIRE_PEERS_MAX 64

struct wire;

/** One end: a message layer whose peer i talks to peer i of the other end. */
struct wire_end {
    struct wire *wire;
    unsigned side; /**< 0 or 1 */
    struct cx_msg *m;
    struct cx_mpeer peers[WIRE_PEERS_MAX];
    struct cx_stats stats;
    uint8_t out[CX_MSG_MAX];
    uint64_t sent;
    /* what the test does with its end */
    void (*request)(struct wire_end *e, unsigned peer, cx_exchange_t x, const struct cx_pdu *pdu);
    bool (*notify)(struct wire_end *e, unsigned peer, const struct cx_pdu *pdu);
    bool (*observed)(struct wire_end *e, unsigned peer, const struct cx_pdu *first,
                     struct cx_observed *ret);
    void *data;
};

struct wire_faults {
    double loss, dup;
    uint32_t delay_min_ms, delay_max_ms; /**< each copy draws its own */
};

struct wire_item {
    uint64_t at_ms, order;
    unsigned to, peer;
    uint16_t len;
    uint8_t *bytes;
};

struct wire {
    struct wire_end ends[2];
    struct wire_faults faults;
    struct dr_prng rand;
    uint64_t now_ms, order;
    struct wire_item *items; /**< a heap, earliest first */
    size_t n_items, cap_items;
    uint64_t app_at_ms; /**< when `app` wants to run; UINT64_MAX never */
    void (*app)(struct wire *w);
    void *data;
};

void wire_init(struct wire *w, unsigned peers, const struct wire_faults *faults,
               const struct cx_limits *limits, uint64_t seed);
/** Ends all peers and checks that nothing is left behind. */
void wire_fini(struct wire *w, unsigned peers);
/** One event; false when nothing will ever happen again, or not until @p until_ms. */
bool wire_step(struct wire *w, uint64_t until_ms);
