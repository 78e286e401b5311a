/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sm.h"

#include <string.h>

#include "base/log.h"

static const struct dr_sm_state *state_of(const struct dr_sm *sm, uint8_t state)
{
    dr_assert(sm != NULL && sm->count <= DR_SM_STATES_MAX && state < sm->count);
    return &sm->states[state];
}

bool dr_sm_allowed(const struct dr_sm *sm, uint8_t from, uint8_t to)
{
    dr_assert(sm != NULL && to < sm->count);
    return (state_of(sm, from)->to & DR_SM_TO(to)) != 0;
}

void dr_sm_move(const struct dr_sm *sm, uint8_t *state, uint8_t to, const void *obj)
{
    dr_assert(state != NULL);
    dr_assert(dr_sm_allowed(sm, *state, to));
    if (dr_log_on(DR_LOG_TRACE, sm->name)) {
        DR_LOG(DR_LOG_TRACE, sm->name, "moves", DR_F_STR("from", dr_sm_state_name(sm, *state)),
               DR_F_STR("to", dr_sm_state_name(sm, to)), DR_F_UINT("obj", (uintptr_t)obj));
    }
    *state = to;
    dr_assert(sm->invariant == NULL || sm->invariant(obj, to));
}

const char *dr_sm_state_name(const struct dr_sm *sm, uint8_t state)
{
    return state_of(sm, state)->name;
}

bool dr_sm_is_final(const struct dr_sm *sm, uint8_t state)
{
    return state_of(sm, state)->final;
}

bool dr_sm_is_failure(const struct dr_sm *sm, uint8_t state)
{
    return state_of(sm, state)->failure;
}

dr_err_t dr_sm_state_find(const struct dr_sm *sm, const char *name, uint8_t *ret)
{
    dr_assert(sm != NULL && name != NULL && ret != NULL);
    for (uint8_t i = 0; i < sm->count; i++) {
        if (sm->states[i].name != NULL && strcmp(sm->states[i].name, name) == 0) {
            *ret = i;
            return DR_OK;
        }
    }
    return DR_ERR_NOT_FOUND;
}
