/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  coap/half.h
 * @brief Handshakes under way: fed with records, asked about questions, made into peers.
 *
 * Layer: coap, private to the engine.  Threads: the engine's loop; steps with public-key operations
 * run in the pool, and for that time the handshake is not touched here.  Memory: struct cx_half and
 * OpenSSL's 75 KiB each.  Limits: half_open_max, CX_HALF_OPEN_MS, CX_JOBS_MAX, CX_JOB_HELD_MAX.
 * Security: begun only behind a good cookie.  Spec: RFC6347#4.2.
 */
#pragma once

#include "coap/engine_priv.h"

struct cx_job;

/** A handshake under way. */
struct cx_half {
    uint64_t free_list;  /* the slab's */
    uint32_t generation; /* survives the item */
    uint32_t index;
    struct cx_flow flow;
    struct dtls_handshake *hs; /* owned, but for the time when a job has it */
    struct cx_job *job;        /* a step runs in the pool */
    struct dr_timer timer;
    struct cx_engine *engine;
    uint64_t give_up_ms;
    struct dr_list node;              /* of the engine's, server role: the oldest first */
    struct cx_connecting *connecting; /* owned; client role */
    bool asked;                       /* for a PSK */
    bool answered;
    bool driving; /* cx_half_drive is on the stack */
};

DR_CHECK dr_err_t cx_halves_init(struct cx_engine *e);
void cx_halves_fini(struct cx_engine *e);

/** Number for a PSK question or a job: index and generation. */
uint64_t cx_half_handle(const struct cx_half *h);
/** NULL if it has ended. */
struct cx_half *cx_half_get(const struct cx_engine *e, uint64_t handle);
struct cx_half *cx_half_find(const struct cx_engine *e, const struct cx_flow *flow);

/** Without a handshake yet. @retval DR_ERR_LIMIT, DR_ERR_NOMEM */
DR_CHECK dr_err_t cx_half_new(struct cx_engine *e, const struct cx_flow *flow,
                              struct cx_half **ret);
/**
 * A new handshake of a server has no room: give up the oldest one, if it has had CX_HALF_SPARED_MS.
 * Who holds places without going on cannot keep others out.
 * @return whether there is room now
 */
bool cx_half_make_room(struct cx_engine *e);
/** Without a word to anybody. */
void cx_half_free(struct cx_half *h);
/** Give up; the owner of a connection hears of it later. */
void cx_half_fail(struct cx_half *h, dr_err_t err);

/** Put a record in; what comes while a step runs in the pool waits for its end. */
void cx_half_feed(struct cx_half *h, const uint8_t *bytes, size_t len);
/** Let OpenSSL work on what was put in, then cx_half_drive. @p h may be gone afterwards. */
void cx_half_step(struct cx_half *h);
/**
 * Send its output, look at its state and do what that asks for, until the peer or the owner has
 * the word. @p h may be gone afterwards.
 */
void cx_half_drive(struct cx_half *h);
