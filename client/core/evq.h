/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  client/core/evq.h
 * @brief The event queue that drives everything: run soon, run later, cancel.
 *
 * Layer: client/core.  Threads: one loop.  Memory: the caller's struct only.
 * Limits: CL_EVENTS_MAX events at a time.  Security: none.
 */
#pragma once

#include "client/core/common.h"

#define CL_EVENTS_MAX 24
#define CL_NEVER      UINT64_MAX

typedef void cl_event_cb(void *ctx);

struct cl_event {
    cl_event_cb *cb; /**< NULL in a free place */
    void *ctx;
    uint64_t at_ms;
    uint32_t order; /**< of posting: events of the same millisecond run in this order */
};

struct cl_evq {
    struct cl_event event[CL_EVENTS_MAX];
    uint32_t order;
    uint64_t now_ms; /**< of the turn under way */
};

void cl_evq_init(struct cl_evq *q, uint64_t now_ms);
/** Run @p cb at the next turn. @retval CL_ERR_BUSY  CL_EVENTS_MAX are waiting */
CL_CHECK cl_err_t cl_post(struct cl_evq *q, cl_event_cb *cb, void *ctx);
/** Run @p cb after @p delay_ms. @retval CL_ERR_BUSY  CL_EVENTS_MAX are waiting */
CL_CHECK cl_err_t cl_post_after(struct cl_evq *q, uint32_t delay_ms, cl_event_cb *cb, void *ctx);
/** Forget all waiting events of this callback and context; none is no error. */
void cl_cancel(struct cl_evq *q, cl_event_cb *cb, const void *ctx);
/** Run what is due, each event once; events posted meanwhile wait for the next turn. @return time
 * of the next one, or CL_NEVER */
uint64_t cl_evq_run(struct cl_evq *q, uint64_t now_ms);
/** Time of the next one, or CL_NEVER. */
uint64_t cl_evq_next(const struct cl_evq *q);
