/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  coap/dedup.h
 * @brief The short memory of what one peer sent and what we said to it.
 *
 * A ring holds the newest messages that fit 48 bytes: about four answers without options, or one
 * registration with its location. What is too long for it lies elsewhere, and the ring keeps a
 * number of it.
 *
 * Layer: coap, pure.  Threads: reentrant.  Memory: the caller's 48 bytes.  Limits:
 * CX_RING_DATA_MAX. Security: input is hostile; the content hash is keyed by the caller.  Spec:
 * RFC7252#4.5.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define CX_RING_HEAD     10
#define CX_RING_DATA_MAX (47 - CX_RING_HEAD)

/** Entries, newest first: id 2, hash 4, second 2, code 1, kind or length 1, then the bytes. */
struct cx_ring {
    uint8_t used; /**< bytes of log in use */
    uint8_t log[47];
};

enum cx_ring_kind {
    CX_RING_ANSWER, /**< bytes of the answer behind its token */
    CX_RING_STORED, /**< the answer lies elsewhere, under a number */
    CX_RING_SILENT, /**< nothing is said to a duplicate (it was a NON) */
    CX_RING_RESET,  /**< answered by RST */
};

struct cx_ring_entry {
    enum cx_ring_kind kind;
    uint16_t mid;
    uint32_t hash;       /**< of everything but the message id */
    uint8_t code;        /**< of the answer; 0 is an empty ACK */
    uint8_t len;         /**< CX_RING_ANSWER: bytes at data */
    const uint8_t *data; /**< borrowed from the ring, or from the caller of cx_ring_put */
    uint32_t number;     /**< CX_RING_STORED */
};

/** Numbers of stored answers that one ring can hold. */
#define CX_RING_STORED_MAX (47 / (CX_RING_HEAD + 4))

/**
 * Remember a message; the oldest make room.
 * @param entry       with at most CX_RING_DATA_MAX bytes of data
 * @param ret_pushed  numbers of stored answers that were pushed out
 * @return how many of them
 */
size_t cx_ring_put(struct cx_ring *ring, const struct cx_ring_entry *entry, uint64_t now_ms,
                   uint32_t ret_pushed[CX_RING_STORED_MAX]);

/** Numbers of all stored answers; returns how many. */
size_t cx_ring_stored(const struct cx_ring *ring, uint32_t ret[CX_RING_STORED_MAX]);

/**
 * Was this message here before, within an exchange lifetime?
 * @param ret  filled when true; data is borrowed until the next cx_ring_put
 */
bool cx_ring_find(const struct cx_ring *ring, uint16_t mid, uint32_t hash, uint64_t now_ms,
                  struct cx_ring_entry *ret);
