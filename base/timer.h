/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  base/timer.h
 * @brief Hierarchical timing wheel: any number of timers, 1 ms resolution, constant cost each.
 *
 * Layer: base, pure.  Threads: the owner's.  Memory: 32 bytes a timer inside the caller's struct, 8
 * KiB a wheel.  Limits: 2^48 ms ahead.  Security: none.  Spec: none. The time is an argument: works
 * with any clock. A loop has a wheel of its own: loop_wheel().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"

#define DR_WHEEL_BITS   6
#define DR_WHEEL_LEVELS 8
#define DR_WHEEL_SLOTS  (1 << DR_WHEEL_BITS)
#define DR_TIMER_NEVER  UINT64_MAX

struct dr_timer;

/**
 * The timer is off when this runs; it may be started again or its struct freed.
 * @param now_ms  the time given to dr_wheel_advance()
 */
typedef void dr_timer_fn(struct dr_timer *t, uint64_t now_ms);

/** Zero it, or call dr_timer_init(), before first use. Must not move while it runs. */
struct dr_timer {
    struct dr_list node;
    uint64_t at_ms;
    dr_timer_fn *fn;
};

struct dr_wheel {
    uint64_t now_ms;                   /**< slots up to this time have been taken out */
    uint64_t pending[DR_WHEEL_LEVELS]; /**< bit s: slot s is not empty */
    struct dr_list slots[DR_WHEEL_LEVELS][DR_WHEEL_SLOTS];
    struct dr_list due;     /**< expired, to be called */
    struct dr_list cascade; /**< to be sorted into lower levels */
    uint64_t count;         /**< timers running */
};

void dr_wheel_init(struct dr_wheel *w, uint64_t now_ms);

static inline void dr_timer_init(struct dr_timer *t, dr_timer_fn *fn)
{
    *t = (struct dr_timer){.fn = fn};
}

static inline bool dr_timer_running(const struct dr_timer *t)
{
    return dr_list_linked(&t->node);
}

/**
 * (Re)start @p t to run at @p at_ms; at once (in the next advance) when that is past. A running
 * timer is moved.
 */
void dr_timer_start(struct dr_wheel *w, struct dr_timer *t, uint64_t at_ms);

/** Stop; does nothing to a timer that is off. Its function does not run afterwards. */
void dr_timer_cancel(struct dr_wheel *w, struct dr_timer *t);

/** Move the time on and run all that is due; @p now_ms may not go back (then nothing happens). */
void dr_wheel_advance(struct dr_wheel *w, uint64_t now_ms);

/**
 * As dr_wheel_advance(), but at most @p max timers are run or carried down one level.
 * @return true when some are left for another call with the same time
 */
bool dr_wheel_advance_some(struct dr_wheel *w, uint64_t now_ms, uint32_t max);

/**
 * Time of the next dr_wheel_advance() that may have something to do (never later than the earliest
 * timer, sometimes earlier); DR_TIMER_NEVER when no timer runs.
 */
uint64_t dr_wheel_deadline(const struct dr_wheel *w);
