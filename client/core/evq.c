/* SPDX-License-Identifier: Apache-2.0 */
#include "client/core/evq.h"

void cl_evq_init(struct cl_evq *q, uint64_t now_ms)
{
    memset(q, 0, sizeof *q);
    q->now_ms = now_ms;
}

cl_err_t cl_post_after(struct cl_evq *q, uint32_t delay_ms, cl_event_cb *cb, void *ctx)
{
    for (size_t i = 0; i < CL_EVENTS_MAX; i++) {
        if (q->event[i].cb == NULL) {
            q->event[i] = (struct cl_event){
                .cb = cb, .ctx = ctx, .at_ms = q->now_ms + delay_ms, .order = q->order++};
            return CL_OK;
        }
    }
    return CL_ERR_BUSY;
}

cl_err_t cl_post(struct cl_evq *q, cl_event_cb *cb, void *ctx)
{
    return cl_post_after(q, 0, cb, ctx);
}

void cl_cancel(struct cl_evq *q, cl_event_cb *cb, const void *ctx)
{
    for (size_t i = 0; i < CL_EVENTS_MAX; i++) {
        if (q->event[i].cb == cb && q->event[i].ctx == ctx) {
            q->event[i].cb = NULL;
        }
    }
}

/* The one that runs first; with @p limit only those posted before it. */
static const struct cl_event *first(const struct cl_evq *q, bool limited, uint32_t limit)
{
    const struct cl_event *best = NULL;

    for (size_t i = 0; i < CL_EVENTS_MAX; i++) {
        const struct cl_event *e = &q->event[i];
        if (e->cb == NULL || (limited && !cl_later(limit, e->order))) {
            continue;
        }
        if (best == NULL || e->at_ms < best->at_ms ||
            (e->at_ms == best->at_ms && cl_later(best->order, e->order))) {
            best = e;
        }
    }
    return best;
}

uint64_t cl_evq_next(const struct cl_evq *q)
{
    const struct cl_event *next = first(q, false, 0);

    return next != NULL ? next->at_ms : CL_NEVER;
}

uint64_t cl_evq_run(struct cl_evq *q, uint64_t now_ms)
{
    uint32_t limit = q->order;

    q->now_ms = now_ms;
    for (;;) {
        const struct cl_event *e = first(q, true, limit);
        if (e == NULL || e->at_ms > now_ms) {
            break;
        }
        struct cl_event run = *e;
        q->event[e - q->event].cb = NULL;
        run.cb(run.ctx);
    }
    return cl_evq_next(q);
}
