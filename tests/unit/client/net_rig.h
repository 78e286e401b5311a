/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/unit/client/net_rig.h
 * @brief Network and clock of the client's tests: virtual time, a wire that loses, doubles and
 * reorders.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct net_rig {
    uint64_t now_ms;
    uint32_t seed;
    unsigned loss, dup; /**< percent */
    unsigned jitter_ms; /**< a message takes 10 ms and up to this more */
    bool tcp, open, broken;
    unsigned opened;                                /**< times */
    void (*server)(const uint8_t *msg, size_t len); /**< a message of the client arrives */
};

extern struct net_rig net;

/** Quiet wire, time at one hour. */
void net_reset(void);
/** Send to the client. */
void net_to_client(const void *msg, size_t len);
/** Deliver what is due up to the present time. */
void net_deliver(void);
/** Time of the next arrival, UINT64_MAX when there is none. */
uint64_t net_next(void);
uint32_t net_random(void);
