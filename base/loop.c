/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One turn of a loop:
 *
 *   idle hooks -> arm the wheel's timer -> wait -> descriptors, signals -> messages (a batch) ->
 * wheel (a batch)
 *
 * What a batch leaves over makes the next wait a mere look, so I/O is seen between two batches.
 *
 * Messages: an intrusive queue with many producers and one consumer. A producer swaps itself in as
 * the tail and then links its predecessor to itself; between the two steps the consumer sees the
 * queue end early, which is harmless, because the producer wakes the loop afterwards. A loop is
 * woken only by the producer that finds it not woken yet.
 */
#include "base/loop.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "base/clock.h"
#include "base/metrics.h"

#define SLOW_TURN_US 10000U

enum { M_TURNS, M_MESSAGES, M_BUSY, M_LONGEST, M_SLOW, M_COUNT };

struct loop {
    uv_loop_t uv;
    uv_async_t wake;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t spin; /**< active: the next wait does not block */
    uv_timer_t alarm;
    uint64_t alarm_ms; /**< for when alarm is set */
    struct dr_wheel wheel;
    struct dr_list idle;
    uint32_t watchers; /**< open descriptors and signals */
    bool again;        /**< more to do than this turn did */

    _Atomic(struct loop_msg *) tail; /**< producers */
    struct loop_msg *head;           /**< consumer */
    struct loop_msg stub;
    _Atomic bool woken;
    _Atomic bool stop;
    _Atomic bool running;

    uint64_t turn_ns; /**< when the last turn ended */
    uint64_t idle_ns; /**< waited until then */
    _Atomic uint64_t turns, messages, busy_us, longest_us, slow;
    char name[LOOP_NAME_MAX + 1];
    char labels[32];
    struct dr_metric metrics[M_COUNT];
};

static _Thread_local struct loop *current;

static dr_err_t loop_err(int uv_error)
{
    switch (uv_error) {
    case 0:
        return DR_OK;
    case UV_ENOMEM:
        return DR_ERR_NOMEM;
    case UV_ECANCELED:
        return DR_ERR_CANCELED;
    default:
        return DR_ERR_IO;
    }
}

/* Counters of a loop are written by its thread alone and read by others. */
static void count(_Atomic uint64_t *c, uint64_t n)
{
    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

/* ---- messages ---- */

static void queue_init(struct loop *loop)
{
    atomic_init(&loop->stub.next, NULL);
    atomic_init(&loop->tail, &loop->stub);
    loop->head = &loop->stub;
}

static void queue_push(struct loop *loop, struct loop_msg *msg)
{
    atomic_store_explicit(&msg->next, NULL, memory_order_relaxed);
    struct loop_msg *before = atomic_exchange_explicit(&loop->tail, msg, memory_order_acq_rel);
    atomic_store_explicit(&before->next, msg, memory_order_release);
}

/* A message is handed out only when its successor is known, so no producer touches it any more. */
static struct loop_msg *queue_pop(struct loop *loop)
{
    struct loop_msg *head = loop->head;
    struct loop_msg *next = atomic_load_explicit(&head->next, memory_order_acquire);

    if (head == &loop->stub) {
        if (next == NULL) {
            return NULL;
        }
        loop->head = head = next;
        next = atomic_load_explicit(&head->next, memory_order_acquire);
    }
    if (next == NULL) {
        if (head != atomic_load_explicit(&loop->tail, memory_order_acquire)) {
            return NULL; /* a producer is between its two steps */
        }
        queue_push(loop, &loop->stub);
        next = atomic_load_explicit(&head->next, memory_order_acquire);
        if (next == NULL) {
            return NULL;
        }
    }
    loop->head = next;
    return head;
}

void loop_post(struct loop *to, struct loop_msg *msg, loop_msg_fn *fn)
{
    dr_assert(to != NULL && msg != NULL && fn != NULL);
    msg->fn = fn;
    queue_push(to, msg);
    if (!atomic_exchange(&to->woken, true)) {
        dr_assert(uv_async_send(&to->wake) == 0);
    }
}

/* Run a batch. True when some may be left. */
static bool run_messages(struct loop *loop)
{
    uint32_t n = 0;

    /* cleared before looking: who posts from now on wakes us again */
    (void)atomic_exchange(&loop->woken, false);
    for (; n < LOOP_POST_BATCH; n++) {
        struct loop_msg *msg = queue_pop(loop);
        if (msg == NULL) {
            break;
        }
        msg->fn(msg); /* last touch */
    }
    count(&loop->messages, n);
    return n == LOOP_POST_BATCH;
}

/* ---- the turn ---- */

static void nothing_async(uv_async_t *h)
{
    (void)h; /* it only ends the wait */
}

static void nothing_idle(uv_idle_t *h)
{
    (void)h;
}

static void alarm_cb(uv_timer_t *h)
{
    ((struct loop *)h->data)->alarm_ms = DR_TIMER_NEVER;
}

/* The turn that ends now lasted as long as the clock ran less what was waited. */
static void count_turn(struct loop *loop)
{
    uint64_t now = uv_hrtime();
    uint64_t idle = uv_metrics_idle_time(&loop->uv);

    if (loop->turn_ns != 0) {
        uint64_t all = now - loop->turn_ns;
        uint64_t waited = idle - loop->idle_ns;
        uint64_t us = all > waited ? (all - waited) / 1000 : 0;
        count(&loop->turns, 1);
        count(&loop->busy_us, us);
        count(&loop->slow, us > SLOW_TURN_US ? 1 : 0);
        if (us > atomic_load_explicit(&loop->longest_us, memory_order_relaxed)) {
            atomic_store_explicit(&loop->longest_us, us, memory_order_relaxed);
        }
    }
    loop->turn_ns = now;
    loop->idle_ns = idle;
}

static void arm(struct loop *loop)
{
    uint64_t at = dr_wheel_deadline(&loop->wheel);

    if (at == loop->alarm_ms) {
        return;
    }
    loop->alarm_ms = at;
    if (at == DR_TIMER_NEVER) {
        (void)uv_timer_stop(&loop->alarm);
        return;
    }
    uint64_t now = uv_now(&loop->uv);
    (void)uv_timer_start(&loop->alarm, alarm_cb, at > now ? at - now : 0, 0);
}

static void prepare_cb(uv_prepare_t *h)
{
    struct loop *loop = h->data;

    DR_LIST_EACH_SAFE(it, &loop->idle)
    {
        struct loop_idle *hook = DR_CONTAINER_OF(it, struct loop_idle, node);
        hook->fn(hook);
    }
    arm(loop);
    if (loop->again) {
        (void)uv_idle_start(&loop->spin, nothing_idle);
    } else {
        (void)uv_idle_stop(&loop->spin);
    }
    loop->again = false;
    count_turn(loop);
}

static void check_cb(uv_check_t *h)
{
    struct loop *loop = h->data;

    loop->again = run_messages(loop) || loop->again;
    loop->again =
        dr_wheel_advance_some(&loop->wheel, uv_now(&loop->uv), LOOP_TIMER_BATCH) || loop->again;
    if (atomic_load(&loop->stop)) {
        uv_stop(&loop->uv);
    }
}

void loop_again(struct loop *loop)
{
    loop_assert_current(loop);
    loop->again = true;
}

/* ---- figures ---- */

static double seconds(const _Atomic uint64_t *us)
{
    return (double)atomic_load_explicit(us, memory_order_relaxed) * 1e-6;
}

static double metric_count(void *ctx)
{
    return (double)atomic_load_explicit((const _Atomic uint64_t *)ctx, memory_order_relaxed);
}

static double metric_seconds(void *ctx)
{
    return seconds(ctx);
}

/* Reading it begins a new period. */
static double metric_longest(void *ctx)
{
    return (double)atomic_exchange_explicit((_Atomic uint64_t *)ctx, 0, memory_order_relaxed) *
           1e-6;
}

static void metrics_init(struct loop *loop)
{
    const struct dr_metric rows[M_COUNT] = {
        [M_TURNS] = {.name = "drover_loop_turns_total",
                     .help = "Turns of the event loop",
                     .type = DR_COUNTER,
                     .fn = metric_count,
                     .ctx = &loop->turns},
        [M_MESSAGES] = {.name = "drover_loop_messages_total",
                        .help = "Messages from other loops that were run",
                        .type = DR_COUNTER,
                        .fn = metric_count,
                        .ctx = &loop->messages},
        [M_BUSY] = {.name = "drover_loop_busy_seconds_total",
                    .help = "Time in which the loop did not wait",
                    .type = DR_COUNTER,
                    .fn = metric_seconds,
                    .ctx = &loop->busy_us},
        [M_LONGEST] = {.name = "drover_loop_longest_turn_seconds",
                       .help = "Longest turn since the last scrape",
                       .type = DR_GAUGE,
                       .fn = metric_longest,
                       .ctx = &loop->longest_us},
        [M_SLOW] = {.name = "drover_loop_slow_turns_total",
                    .help = "Turns of more than 10 ms",
                    .type = DR_COUNTER,
                    .fn = metric_count,
                    .ctx = &loop->slow},
    };

    (void)snprintf(loop->labels, sizeof loop->labels, "loop=\"%s\"", loop->name);
    for (size_t i = 0; i < M_COUNT; i++) {
        loop->metrics[i] = rows[i];
        loop->metrics[i].labels = loop->labels;
    }
    dr_err_t err = dr_metrics_register(loop->metrics, M_COUNT);
    dr_assert(err == DR_OK); /* callbacks need no cells */
}

void loop_stats(const struct loop *loop, struct loop_stats *ret)
{
    dr_assert(loop != NULL && ret != NULL);
    *ret = (struct loop_stats){
        .turns = atomic_load_explicit(&loop->turns, memory_order_relaxed),
        .messages = atomic_load_explicit(&loop->messages, memory_order_relaxed),
        .busy_us = atomic_load_explicit(&loop->busy_us, memory_order_relaxed),
        .longest_turn_us = atomic_load_explicit(&loop->longest_us, memory_order_relaxed),
        .slow_turns = atomic_load_explicit(&loop->slow, memory_order_relaxed)};
}

void loop_stats_reset(struct loop *loop)
{
    dr_assert(loop != NULL);
    atomic_store_explicit(&loop->longest_us, 0, memory_order_relaxed);
}

/* ---- life of a loop ---- */

dr_err_t loop_new(const char *name, struct loop **ret)
{
    dr_assert(name != NULL && ret != NULL);
    struct loop *loop = calloc(1, sizeof *loop);
    if (loop == NULL) {
        return DR_ERR_NOMEM;
    }
    dr_err_t err = loop_err(uv_loop_init(&loop->uv));
    if (err != DR_OK) {
        free(loop);
        return err;
    }
    err = loop_err(uv_async_init(&loop->uv, &loop->wake, nothing_async));
    if (err != DR_OK) {
        (void)uv_loop_close(&loop->uv);
        free(loop);
        return err;
    }
    (void)uv_loop_configure(&loop->uv, UV_METRICS_IDLE_TIME);
    (void)uv_prepare_init(&loop->uv, &loop->prepare);
    (void)uv_check_init(&loop->uv, &loop->check);
    (void)uv_idle_init(&loop->uv, &loop->spin);
    (void)uv_timer_init(&loop->uv, &loop->alarm);
    loop->prepare.data = loop->check.data = loop->alarm.data = loop;
    (void)uv_prepare_start(&loop->prepare, prepare_cb);
    (void)uv_check_start(&loop->check, check_cb);
    loop->alarm_ms = DR_TIMER_NEVER;
    dr_wheel_init(&loop->wheel, uv_now(&loop->uv));
    dr_list_init(&loop->idle);
    queue_init(loop);
    (void)snprintf(loop->name, sizeof loop->name, "%s", name);
    metrics_init(loop);
    *ret = loop;
    return DR_OK;
}

static struct loop *enter(struct loop *loop)
{
    struct loop *before = current;

    dr_assert(loop != NULL && !atomic_exchange(&loop->running, true));
    current = loop;
    return before;
}

static void exit_to(struct loop *before)
{
    atomic_store(&current->running, false);
    current = before;
}

void loop_run(struct loop *loop)
{
    struct loop *before = enter(loop);

    loop->turn_ns = 0;
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    count_turn(loop);
    atomic_store(&loop->stop, false);
    exit_to(before);
}

void loop_run_once(struct loop *loop, bool wait)
{
    struct loop *before = enter(loop);

    loop->turn_ns = 0;
    (void)uv_run(&loop->uv, wait ? UV_RUN_ONCE : UV_RUN_NOWAIT);
    count_turn(loop);
    exit_to(before);
}

void loop_stop(struct loop *loop)
{
    dr_assert(loop != NULL);
    atomic_store(&loop->stop, true);
    dr_assert(uv_async_send(&loop->wake) == 0);
}

struct loop *loop_free(struct loop *loop)
{
    if (loop == NULL) {
        return NULL;
    }
    struct loop *before = enter(loop);
    while (run_messages(loop) || atomic_load(&loop->woken)) {
    }
    dr_assert(loop->watchers == 0);
    dr_metrics_unregister(loop->metrics, M_COUNT);
    uv_close((uv_handle_t *)&loop->wake, NULL);
    uv_close((uv_handle_t *)&loop->prepare, NULL);
    uv_close((uv_handle_t *)&loop->check, NULL);
    uv_close((uv_handle_t *)&loop->spin, NULL);
    uv_close((uv_handle_t *)&loop->alarm, NULL);
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    int rc = uv_loop_close(&loop->uv);
    dr_assert(rc == 0);
    exit_to(before);
    free(loop);
    return NULL;
}

const char *loop_name(const struct loop *loop)
{
    dr_assert(loop != NULL);
    return loop->name;
}

struct loop *loop_current(void)
{
    return current;
}

void loop_assert_current(const struct loop *loop)
{
    dr_assert(loop != NULL && (loop == current || !atomic_load(&loop->running)));
}

uint64_t loop_now_ms(const struct loop *loop)
{
    loop_assert_current(loop);
    if (loop != current) {
        uv_update_time((uv_loop_t *)&loop->uv); /* not running: nobody else keeps it fresh */
    }
    return uv_now(&loop->uv);
}

uint64_t dr_now_ms(void)
{
    return current == NULL ? dr_mono_ms() : uv_now(&current->uv);
}

struct dr_wheel *loop_wheel(struct loop *loop)
{
    loop_assert_current(loop);
    return &loop->wheel;
}

/* ---- timers that repeat ---- */

static void timer_fired(struct dr_timer *timer, uint64_t now_ms)
{
    struct loop_timer *t = DR_CONTAINER_OF(timer, struct loop_timer, timer);

    if (t->repeat_ms != 0) {
        uint64_t at =
            timer->at_ms + t->repeat_ms; /* no drift, unless it is late by a whole period */
        dr_timer_start(&t->loop->wheel, timer, at > now_ms ? at : now_ms + t->repeat_ms);
    }
    t->fn(t); /* last touch */
}

void loop_timer_start(struct loop *loop, struct loop_timer *t, uint64_t delay_ms,
                      uint64_t repeat_ms, loop_timer_fn *fn)
{
    dr_assert(loop != NULL && t != NULL && fn != NULL);
    loop_timer_stop(t);
    t->loop = loop;
    t->fn = fn;
    t->repeat_ms = repeat_ms;
    dr_timer_init(&t->timer, timer_fired);
    dr_timer_start(&loop->wheel, &t->timer, loop_now_ms(loop) + delay_ms);
}

void loop_timer_stop(struct loop_timer *t)
{
    dr_assert(t != NULL);
    if (t->loop != NULL) {
        loop_assert_current(t->loop);
        dr_timer_cancel(&t->loop->wheel, &t->timer);
    }
}

/* ---- descriptors ---- */

struct fd_impl {
    uv_poll_t poll;
    struct loop_fd *w; /**< NULL once closed */
};

static void impl_closed(uv_handle_t *h)
{
    free(h->data);
}

static void fd_cb(uv_poll_t *h, int status, int uv_events);

static int poll_start(struct fd_impl *impl, uint32_t events)
{
    int bits = 0;

    bits |= (events & LOOP_READ) != 0 ? UV_READABLE : 0;
    bits |= (events & LOOP_WRITE) != 0 ? UV_WRITABLE : 0;
    bits |= (events & LOOP_HANGUP) != 0 ? UV_DISCONNECT : 0;
    return bits == 0 ? uv_poll_stop(&impl->poll) : uv_poll_start(&impl->poll, bits, fd_cb);
}

static void fd_cb(uv_poll_t *h, int status, int uv_events)
{
    struct fd_impl *impl = h->data;
    struct loop_fd *w = impl->w;
    uint32_t events = 0;

    if (status < 0) {
        /* libuv has stopped it: the owner learns what is wrong by reading or writing */
        (void)poll_start(impl, w->events);
        events = w->events;
    } else {
        events |= (uv_events & UV_READABLE) != 0 ? LOOP_READ : 0;
        events |= (uv_events & UV_WRITABLE) != 0 ? LOOP_WRITE : 0;
        events |= (uv_events & UV_DISCONNECT) != 0 ? LOOP_HANGUP : 0;
    }
    if (events != 0) {
        w->fn(w, events); /* last touch */
    }
}

dr_err_t loop_fd_open(struct loop *loop, struct loop_fd *w, int fd, loop_fd_fn *fn)
{
    dr_assert(loop != NULL && w != NULL && fn != NULL);
    loop_assert_current(loop);
    struct fd_impl *impl = calloc(1, sizeof *impl);
    if (impl == NULL) {
        return DR_ERR_NOMEM;
    }
    dr_err_t err = loop_err(uv_poll_init(&loop->uv, &impl->poll, fd));
    if (err != DR_OK) {
        free(impl);
        return err;
    }
    impl->poll.data = impl;
    impl->w = w;
    *w = (struct loop_fd){.loop = loop, .fn = fn, .fd = fd, .impl = impl};
    loop->watchers++;
    return DR_OK;
}

dr_err_t loop_fd_set(struct loop_fd *w, uint32_t events)
{
    dr_assert(w != NULL && w->impl != NULL);
    loop_assert_current(w->loop);
    if (events == w->events) {
        return DR_OK;
    }
    dr_err_t err = loop_err(poll_start(w->impl, events));
    if (err == DR_OK) {
        w->events = events;
    }
    return err;
}

void loop_fd_close(struct loop_fd *w)
{
    dr_assert(w != NULL);
    struct fd_impl *impl = w->impl;
    if (impl != NULL) {
        loop_assert_current(w->loop);
        impl->w = NULL;
        w->impl = NULL;
        w->events = 0;
        w->loop->watchers--;
        uv_close((uv_handle_t *)&impl->poll, impl_closed);
    }
}

/* ---- idle hooks ---- */

void loop_on_idle(struct loop *loop, struct loop_idle *h, loop_idle_fn *fn)
{
    dr_assert(loop != NULL && h != NULL && fn != NULL);
    loop_assert_current(loop);
    h->fn = fn;
    dr_list_push_back(&loop->idle, &h->node);
}

void loop_idle_remove(struct loop_idle *h)
{
    dr_assert(h != NULL);
    dr_list_remove(&h->node);
}

/* ---- signals ---- */

struct signal_impl {
    uv_signal_t sig;
    struct loop *loop;
    struct loop_signal *s;
};

static void signal_cb(uv_signal_t *h, int signum)
{
    struct signal_impl *impl = h->data;

    if (impl->s != NULL) {
        impl->s->fn(impl->s, signum);
    }
}

dr_err_t loop_signal_start(struct loop *loop, struct loop_signal *s, int signum, loop_signal_fn *fn)
{
    dr_assert(loop != NULL && s != NULL && fn != NULL);
    loop_assert_current(loop);
    struct signal_impl *impl = calloc(1, sizeof *impl);
    if (impl == NULL) {
        return DR_ERR_NOMEM;
    }
    dr_err_t err = loop_err(uv_signal_init(&loop->uv, &impl->sig));
    if (err != DR_OK) {
        free(impl);
        return err;
    }
    impl->sig.data = impl;
    err = loop_err(uv_signal_start(&impl->sig, signal_cb, signum));
    if (err != DR_OK) {
        uv_close((uv_handle_t *)&impl->sig, impl_closed);
        return err;
    }
    impl->loop = loop;
    impl->s = s;
    *s = (struct loop_signal){.fn = fn, .impl = impl};
    loop->watchers++;
    return DR_OK;
}

void loop_signal_stop(struct loop_signal *s)
{
    dr_assert(s != NULL);
    struct signal_impl *impl = s->impl;
    if (impl != NULL) {
        loop_assert_current(impl->loop);
        impl->s = NULL;
        s->impl = NULL;
        impl->loop->watchers--;
        uv_close((uv_handle_t *)&impl->sig, impl_closed);
    }
}

/* ---- calls ---- */

void loop_chan_init(struct loop_chan *chan, struct loop *to, uint32_t capacity)
{
    dr_assert(chan != NULL && to != NULL && capacity > 0);
    *chan = (struct loop_chan){.to = to, .capacity = capacity};
}

dr_err_t loop_chan_try(struct loop_chan *chan)
{
    dr_assert(chan != NULL && chan->to != NULL);
    if (chan->in_use == chan->capacity) {
        return DR_ERR_BUSY;
    }
    chan->in_use++;
    return DR_OK;
}

void loop_chan_put(struct loop_chan *chan)
{
    dr_assert(chan != NULL && chan->in_use > 0);
    chan->in_use--;
}

static void call_arrived(struct loop_msg *msg)
{
    struct loop_call *call = DR_CONTAINER_OF(msg, struct loop_call, msg);

    call->fn(call);
}

static void call_returned(struct loop_msg *msg)
{
    struct loop_call *call = DR_CONTAINER_OF(msg, struct loop_call, msg);

    if (call->chan != NULL) {
        loop_chan_put(call->chan);
    }
    call->done(call, call->err); /* last touch */
}

static void call_post(struct loop *to, struct loop_call *call, struct loop_chan *chan,
                      loop_call_fn *fn, loop_call_done_fn *done)
{
    dr_assert(to != NULL && call != NULL && fn != NULL && done != NULL && current != NULL);
    call->from = current;
    call->chan = chan;
    call->fn = fn;
    call->done = done;
    call->err = DR_OK;
    loop_post(to, &call->msg, call_arrived);
}

void loop_call_start(struct loop *to, struct loop_call *call, loop_call_fn *fn,
                     loop_call_done_fn *done)
{
    call_post(to, call, NULL, fn, done);
}

dr_err_t loop_chan_call(struct loop_chan *chan, struct loop_call *call, loop_call_fn *fn,
                        loop_call_done_fn *done)
{
    dr_err_t err = loop_chan_try(chan);

    if (err == DR_OK) {
        call_post(chan->to, call, chan, fn, done);
    }
    return err;
}

void loop_call_done(struct loop_call *call, dr_err_t err)
{
    dr_assert(call != NULL && call->from != NULL);
    call->err = err;
    loop_post(call->from, &call->msg, call_returned);
}

/* ---- thread pool ---- */

_Static_assert(sizeof(uv_work_t) <= sizeof((struct loop_work *)0)->impl, "room for uv_work_t");

void loop_pool_init(uint32_t threads)
{
    char text[16];

    dr_assert(threads >= 1 && threads <= 128);
    (void)snprintf(text, sizeof text, "%u", threads);
    (void)setenv("UV_THREADPOOL_SIZE", text, 1);
}

static void work_cb(uv_work_t *req)
{
    struct loop_work *work = DR_CONTAINER_OF(req, struct loop_work, impl);

    work->fn(work);
}

static void work_done_cb(uv_work_t *req, int status)
{
    struct loop_work *work = DR_CONTAINER_OF(req, struct loop_work, impl);

    work->done(work, loop_err(status)); /* last touch */
}

dr_err_t loop_work_start(struct loop *loop, struct loop_work *work, loop_work_fn *fn,
                         loop_work_done_fn *done)
{
    dr_assert(loop != NULL && work != NULL && fn != NULL && done != NULL);
    loop_assert_current(loop);
    work->loop = loop;
    work->fn = fn;
    work->done = done;
    memset(work->impl, 0, sizeof work->impl);
    return loop_err(uv_queue_work(&loop->uv, (uv_work_t *)work->impl, work_cb, work_done_cb));
}

void loop_work_cancel(struct loop_work *work)
{
    dr_assert(work != NULL && work->loop != NULL);
    loop_assert_current(work->loop);
    (void)uv_cancel((uv_req_t *)work->impl); /* refused when it has begun: then it completes */
}

/* ---- threads ---- */

static void *thread_main(void *arg)
{
    struct loop_thread *t = arg;

    (void)pthread_setname_np(pthread_self(), t->loop->name);
    if (t->begin != NULL) {
        struct loop *before = enter(t->loop); /* so that it may do what the loop's own code may */
        t->begin(t->loop, t->ctx);
        exit_to(before);
    }
    loop_run(t->loop);
    return NULL;
}

dr_err_t loop_thread_start(struct loop_thread *t, struct loop *loop,
                           void (*begin)(struct loop *loop, void *ctx), void *ctx)
{
    dr_assert(t != NULL && loop != NULL && !t->running);
    *t = (struct loop_thread){.loop = loop, .begin = begin, .ctx = ctx};
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&t->id, NULL, thread_main, t);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    t->running = rc == 0;
    return rc == 0 ? DR_OK : DR_ERR_NOMEM;
}

void loop_thread_join(struct loop_thread *t)
{
    dr_assert(t != NULL);
    if (t->running) {
        loop_stop(t->loop);
        (void)pthread_join(t->id, NULL);
        t->running = false;
    }
}
