/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  coap/body.h
 * @brief Inside of a shared immutable body (struct cx_body of engine.h).
 *
 * Layer: coap.  Threads: the count is atomic, the rest never changes.  Memory: the bytes are the
 * maker's, released by its callback.  Limits: 4 GiB.  Security: none.  Spec: none.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "coap/engine.h"

#define CX_ETAG_MAX 8

struct cx_body {
    atomic_uint refs;
    const uint8_t *bytes; /**< borrowed until release */
    size_t len;
    uint8_t etag[CX_ETAG_MAX];
    uint8_t etag_len;
    void (*release)(void *data);
    void *data;
};
