/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  base/loop.h
 * @brief Event loops, messages between them, and work for the thread pool.
 *
 * Layer: base.  Threads: everything on the loop's own thread, except loop_post(), loop_call_done(),
 * loop_stop() and loop_stats(), which any thread may call.
 * Memory: requests live in the caller's structs; a watched descriptor allocates once.
 * Limits: LOOP_POST_BATCH messages and LOOP_TIMER_BATCH timers a turn, then I/O is looked at again.
 * Security: none.  Spec: none.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "base/timer.h"

#define LOOP_POST_BATCH  256
#define LOOP_TIMER_BATCH 1024
#define LOOP_NAME_MAX    15

struct loop;

/**
 * @param name  for logs, metrics and the thread (at most LOOP_NAME_MAX characters)
 * @retval DR_ERR_NOMEM, DR_ERR_IO
 */
DR_CHECK dr_err_t loop_new(const char *name, struct loop **ret);

/**
 * Run on the calling thread until loop_stop(). A stop that came before makes it return at once
 * after one turn; it may be run again.
 */
void loop_run(struct loop *loop);

/** One turn: @p wait false: without blocking. For tests and tools. */
void loop_run_once(struct loop *loop, bool wait);

/** Make loop_run() return after the current turn. Any thread, also a signal watcher. */
void loop_stop(struct loop *loop);

/**
 * After loop_run() has returned, on any thread. Messages still queued are run; watchers must be
 * closed and work finished. NULL is allowed.
 * @return NULL
 */
struct loop *loop_free(struct loop *loop);

const char *loop_name(const struct loop *loop);

/** The loop that is running on this thread, or NULL. */
struct loop *loop_current(void);

/** Our own bug if this is not the thread of @p loop (a loop that does not run counts as anybody's).
 */
void loop_assert_current(const struct loop *loop);

/** Monotonic ms, read once a turn; the same clock as dr_mono_ms(). */
uint64_t loop_now_ms(const struct loop *loop);

/** loop_now_ms() of the current loop; dr_mono_ms() on a thread without one. */
uint64_t dr_now_ms(void);

/** The loop's timing wheel: dr_timer_start(loop_wheel(loop), &t, loop_now_ms(loop) + 2000). */
struct dr_wheel *loop_wheel(struct loop *loop);

/* ---- timers that repeat ---- */

struct loop_timer;
typedef void loop_timer_fn(struct loop_timer *t);

struct loop_timer {
    struct dr_timer timer;
    struct loop *loop;
    loop_timer_fn *fn;
    uint64_t repeat_ms;
};

/** Run @p fn after @p delay_ms, then every @p repeat_ms (0 = once). Restarts a running one. Zero it
 * first. */
void loop_timer_start(struct loop *loop, struct loop_timer *t, uint64_t delay_ms,
                      uint64_t repeat_ms, loop_timer_fn *fn);

/** @p fn does not run afterwards. A timer that never ran (zeroed) is allowed. */
void loop_timer_stop(struct loop_timer *t);

/* ---- descriptors ---- */

#define LOOP_READ   1U
#define LOOP_WRITE  2U
#define LOOP_HANGUP 4U /**< the other side closed (EPOLLRDHUP) */

struct loop_fd;
/** @param events  LOOP_* bits that are ready; on an error of the descriptor all that were asked for
 */
typedef void loop_fd_fn(struct loop_fd *w, uint32_t events);

struct loop_fd {
    struct loop *loop;
    loop_fd_fn *fn;
    int fd;
    uint32_t events;
    void *impl; /**< NULL when closed */
};

/**
 * Begin to watch @p fd (borrowed; made non-blocking) with no interest yet.
 * @retval DR_ERR_NOMEM
 * @retval DR_ERR_IO  not a descriptor that can be polled, or watched already
 */
DR_CHECK dr_err_t loop_fd_open(struct loop *loop, struct loop_fd *w, int fd, loop_fd_fn *fn);

/** Set the interest: LOOP_* bits, 0 = pause. Level triggered. */
DR_CHECK dr_err_t loop_fd_set(struct loop_fd *w, uint32_t events);

/**
 * Stop watching; @p fn does not run afterwards and @p w is the caller's again. The caller closes
 * the descriptor (right away if it wants). One that is closed or zeroed is allowed.
 */
void loop_fd_close(struct loop_fd *w);

/* ---- before the loop sleeps ---- */

struct loop_idle;
typedef void loop_idle_fn(struct loop_idle *h);

/**
 * A function that runs once in each turn, after all events, before the loop looks for new ones. It
 * may remove itself, but no other.
 */
struct loop_idle {
    struct dr_list node;
    loop_idle_fn *fn;
};

void loop_on_idle(struct loop *loop, struct loop_idle *h, loop_idle_fn *fn);
void loop_idle_remove(struct loop_idle *h);

/** The next wait for events does not block: there is more to do. Own thread. */
void loop_again(struct loop *loop);

/* ---- signals ---- */

struct loop_signal;
typedef void loop_signal_fn(struct loop_signal *s, int signum);

struct loop_signal {
    loop_signal_fn *fn;
    void *impl;
};

/** Watch @p signum; @p fn runs on the loop. @retval DR_ERR_NOMEM, DR_ERR_IO */
DR_CHECK dr_err_t loop_signal_start(struct loop *loop, struct loop_signal *s, int signum,
                                    loop_signal_fn *fn);
void loop_signal_stop(struct loop_signal *s);

/* ---- messages ---- */

struct loop_msg;
typedef void loop_msg_fn(struct loop_msg *msg);

/** Embed it. In the queue from loop_post() until @c fn is called, which is the queue's last touch.
 */
struct loop_msg {
    _Atomic(struct loop_msg *) next;
    loop_msg_fn *fn;
};

/**
 * Run msg->fn(msg) on loop @p to, later, exactly once; in the order of posting for each sender.
 * Never blocks, fails or allocates. Any thread.
 */
void loop_post(struct loop *to, struct loop_msg *msg, loop_msg_fn *fn);

/* ---- requests that cannot lose their answer ---- */

struct loop_call;
/** Runs on the loop that was called; it or a later function ends with loop_call_done(). */
typedef void loop_call_fn(struct loop_call *call);
/** Runs on the caller's loop, last touch: may free @p call. */
typedef void loop_call_done_fn(struct loop_call *call, dr_err_t err);

/** Credits of one direction between two loops; belongs to the calling loop. */
struct loop_chan {
    struct loop *to;
    uint32_t capacity;
    uint32_t in_use;
};

/** The slot of the request and, the same memory, of its completion. */
struct loop_call {
    struct loop_msg msg;
    struct loop *from;
    struct loop_chan *chan; /**< credit to return, or NULL */
    loop_call_fn *fn;
    loop_call_done_fn *done;
    dr_err_t err;
};

void loop_chan_init(struct loop_chan *chan, struct loop *to, uint32_t capacity);

/** Take a credit. @retval DR_ERR_BUSY  none left */
DR_CHECK dr_err_t loop_chan_try(struct loop_chan *chan);

/** Return a credit taken by loop_chan_try() that no call used. */
void loop_chan_put(struct loop_chan *chan);

/** Ask loop @p to without credits (for what is bounded otherwise). From a running loop; cannot
 * fail. */
void loop_call_start(struct loop *to, struct loop_call *call, loop_call_fn *fn,
                     loop_call_done_fn *done);

/**
 * Ask over @p chan: takes a credit, which comes back just before @p done runs.
 * @retval DR_ERR_BUSY  no credit: nothing was started
 */
DR_CHECK dr_err_t loop_chan_call(struct loop_chan *chan, struct loop_call *call, loop_call_fn *fn,
                                 loop_call_done_fn *done);

/** Complete: @p done runs on the caller's loop. Once for each call; any thread. */
void loop_call_done(struct loop_call *call, dr_err_t err);

/* ---- thread pool ---- */

struct loop_work;
/** On a thread of the pool: may block and compute, touches only what its struct owns. */
typedef void loop_work_fn(struct loop_work *work);
/** On the loop; DR_ERR_CANCELED when the work function never ran. Last touch. */
typedef void loop_work_done_fn(struct loop_work *work, dr_err_t err);

struct loop_work {
    _Alignas(16) unsigned char impl[160];
    struct loop *loop;
    loop_work_fn *fn;
    loop_work_done_fn *done;
};

/** Number of pool threads (1..128); once, before anything is started. */
void loop_pool_init(uint32_t threads);

/** Queue work. @retval DR_ERR_NOMEM */
DR_CHECK dr_err_t loop_work_start(struct loop *loop, struct loop_work *work, loop_work_fn *fn,
                                  loop_work_done_fn *done);

/** Take it out of the queue if it has not begun; done runs in any case. */
void loop_work_cancel(struct loop_work *work);

/* ---- a loop in a thread of its own ---- */

struct loop_thread {
    pthread_t id;
    struct loop *loop;
    void (*begin)(struct loop *loop, void *ctx);
    void *ctx;
    bool running;
};

/**
 * Run @p loop in a new thread that has the loop's name and all signals blocked.
 * @param begin  runs first in that thread; may be NULL
 * @retval DR_ERR_NOMEM
 */
DR_CHECK dr_err_t loop_thread_start(struct loop_thread *t, struct loop *loop,
                                    void (*begin)(struct loop *loop, void *ctx), void *ctx);

/** Stop the loop and wait for its thread. One that never started (zeroed) is allowed. */
void loop_thread_join(struct loop_thread *t);

/* ---- figures ---- */

struct loop_stats {
    uint64_t turns;
    uint64_t messages;        /**< posts run */
    uint64_t busy_us;         /**< time outside of waiting */
    uint64_t longest_turn_us; /**< since the last loop_stats_reset() */
    uint64_t slow_turns;      /**< turns over 10 ms */
};

/** Any thread; the figures are of slightly different moments. */
void loop_stats(const struct loop *loop, struct loop_stats *ret);

/** Begin a new longest_turn_us. Any thread. */
void loop_stats_reset(struct loop *loop);
