/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  base/clock.h
 * @brief The clocks: monotonic, wall and CPU time of this thread.
 *
 * Layer: base.  Threads: reentrant.  Memory: none.  Limits: none.  Security: none.  Spec: none.
 * On a loop prefer loop_now_ms(): it is read once a turn. Code under test takes its time as an
 * argument.
 */
#pragma once

#include <stdint.h>
#include <time.h>

static inline uint64_t dr_clock_ns(clockid_t id)
{
    struct timespec ts;

    (void)clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

/** Monotonic time; its zero is arbitrary. The same clock as loop_now_ms(). */
static inline uint64_t dr_mono_ns(void)
{
    return dr_clock_ns(CLOCK_MONOTONIC);
}

static inline uint64_t dr_mono_us(void)
{
    return dr_mono_ns() / 1000U;
}

static inline uint64_t dr_mono_ms(void)
{
    return dr_mono_ns() / 1000000U;
}

/** Unix time in milliseconds. */
static inline int64_t dr_wall_ms(void)
{
    return (int64_t)(dr_clock_ns(CLOCK_REALTIME) / 1000000U);
}

/** CPU time that this thread has used. */
static inline uint64_t dr_thread_cpu_us(void)
{
    return dr_clock_ns(CLOCK_THREAD_CPUTIME_ID) / 1000U;
}

/** CPU time that this process has used. */
static inline uint64_t dr_process_cpu_us(void)
{
    return dr_clock_ns(CLOCK_PROCESS_CPUTIME_ID) / 1000U;
}
