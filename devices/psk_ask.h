/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  devices/psk_ask.h
 * @brief An engine's question for the key of a PSK identity, answered from the store.
 *
 * Layer: devices, private.  Threads: the engine's loop.  Memory: one block for each question under
 * way, wiped.  Limits: those of the engine's handshakes.  Security: an identity that is unknown, or
 * whose key is for something else, is answered like a wrong key.  Spec: RFC4279#2.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "coap/engine.h"
#include "db/psk.h"

struct db;
struct loop;

struct dev_psk_asker {
    struct loop *loop;
    struct db *db;
    struct cx_engine *engine;
    uint32_t uses;                          /**< bits 1 << enum db_psk_use: keys that count here */
    uint32_t under_way;                     /**< questions that wait for the store */
    bool ending;                            /**< no new ones */
    void (*ended)(struct dev_psk_asker *a); /**< after each answer; may be NULL */
};

void dev_psk_ask(struct dev_psk_asker *a, const struct cx_psk_query *q);
