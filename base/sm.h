/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  base/sm.h
 * @brief State machines as tables: names, allowed moves, final states.
 *
 * Layer: base.  Threads: the owner's.  Memory: the state is one byte of the caller's struct.
 * Limits: DR_SM_STATES_MAX.  Security: a move that the table does not allow is our own bug.  Spec:
 * none.
 *
 *     static const struct dr_sm_state wave_states[] = {
 *         [WAVE_IDLE] = {"idle", DR_SM_TO(WAVE_RUNNING)},
 *         [WAVE_RUNNING] = {"running", DR_SM_TO(WAVE_DONE) | DR_SM_TO(WAVE_FAILED)},
 *         [WAVE_DONE] = {.name = "done", .final = true}, ...};
 *     static const struct dr_sm wave_sm = {"wave", wave_states, DR_ARRAY_LEN(wave_states),
 * wave_invariant};
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define DR_SM_STATES_MAX 32
#define DR_SM_TO(state)  (1U << (state))

struct dr_sm_state {
    const char *name;
    uint32_t to;  /**< DR_SM_TO() of every state that may follow */
    bool final;   /**< nothing follows */
    bool failure; /**< a final state that means failure */
};

struct dr_sm {
    const char *name;
    const struct dr_sm_state *states;
    uint32_t count;
    bool (*invariant)(const void *obj, uint8_t state); /**< NULL, or must hold after each move */
};

/** May @p from be followed by @p to? */
bool dr_sm_allowed(const struct dr_sm *sm, uint8_t from, uint8_t to);

/**
 * Set *state to @p to; a move that is not allowed, or a broken invariant, is our own bug. Traced as
 * module sm->name when that trace is on.
 * @param obj  what the invariant looks at; may be NULL when there is none
 */
void dr_sm_move(const struct dr_sm *sm, uint8_t *state, uint8_t to, const void *obj);

const char *dr_sm_state_name(const struct dr_sm *sm, uint8_t state);
bool dr_sm_is_final(const struct dr_sm *sm, uint8_t state);
bool dr_sm_is_failure(const struct dr_sm *sm, uint8_t state);

/** The state with this name; DR_ERR_NOT_FOUND when there is none. */
DR_CHECK dr_err_t dr_sm_state_find(const struct dr_sm *sm, const char *name, uint8_t *ret);
