/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/metrics.h"
#include "tests/unit/run.h"

static struct loop *a; /* runs on the test's thread */
static struct loop *b; /* in a thread of its own */
static struct loop_thread b_thread;
static bool b_began;

static void begin_b(struct loop *loop, void *ctx)
{
    ck_assert_ptr_eq(loop, b);
    ck_assert_ptr_eq(loop_current(), b);
    *(bool *)ctx = true;
}

static void setup(void)
{
    ck_assert_int_eq(loop_new("a", &a), DR_OK);
}

static void teardown(void)
{
    a = loop_free(a);
    ck_assert_ptr_null(a);
}

static void setup_two(void)
{
    setup();
    b_began = false;
    ck_assert_int_eq(loop_new("b-with-a-long-name", &b), DR_OK);
    ck_assert_int_eq(loop_thread_start(&b_thread, b, begin_b, &b_began), DR_OK);
}

static void teardown_two(void)
{
    loop_thread_join(&b_thread);
    loop_thread_join(&b_thread);
    ck_assert(b_began);
    b = loop_free(b);
    teardown();
}

/* ---- life and timers ---- */

START_TEST(a_loop_knows_itself)
{
    ck_assert_str_eq(loop_name(a), "a");
    ck_assert_ptr_null(loop_current());
    ck_assert_uint_ge(loop_now_ms(a) + 2, dr_mono_ms());
    ck_assert_uint_le(loop_now_ms(a), dr_mono_ms());
    ck_assert_uint_le(dr_now_ms(), dr_mono_ms());
    loop_stop(a); /* before it runs: one turn */
    loop_run(a);
    loop_stop(a);
    loop_run(a);
    ck_assert_ptr_null(loop_free(NULL));
}
END_TEST

struct ticker {
    struct loop_timer timer;
    int count;
    int stop_at;
    uint64_t last_ms;
};

static void tick(struct loop_timer *t)
{
    struct ticker *k = DR_CONTAINER_OF(t, struct ticker, timer);

    ck_assert_ptr_eq(loop_current(), a);
    loop_assert_current(a);
    ck_assert_uint_eq(dr_now_ms(), loop_now_ms(a));
    k->last_ms = loop_now_ms(a);
    if (++k->count == k->stop_at) {
        loop_stop(a);
    }
}

START_TEST(timers_run_on_time_once_or_again)
{
    struct ticker once = {.stop_at = -1};
    struct ticker again = {.stop_at = 5};
    struct ticker never = {.stop_at = -1};
    uint64_t start = loop_now_ms(a);

    loop_timer_start(a, &once.timer, 10, 0, tick);
    loop_timer_start(a, &again.timer, 5, 5, tick);
    loop_timer_start(a, &never.timer, 7, 0, tick);
    loop_timer_stop(&never.timer);
    loop_run(a);
    ck_assert_int_eq(once.count, 1);
    ck_assert_int_eq(again.count, 5);
    ck_assert_int_eq(never.count, 0);
    ck_assert_uint_ge(once.last_ms, start + 10);
    ck_assert_uint_ge(again.last_ms, start + 25);
    loop_timer_stop(&again.timer);
    loop_timer_stop(&once.timer);
    struct loop_timer zero = {0};
    loop_timer_stop(&zero);
}
END_TEST

static void wheel_cb(struct dr_timer *t, uint64_t now_ms)
{
    (void)now_ms;
    t->fn = NULL;
    loop_stop(a);
}

START_TEST(the_wheel_is_driven)
{
    struct dr_timer t;
    uint64_t start = loop_now_ms(a);

    dr_timer_init(&t, wheel_cb);
    dr_timer_start(loop_wheel(a), &t, start + 100); /* beyond level 0 */
    loop_run(a);
    ck_assert_ptr_null(t.fn);
    ck_assert_uint_ge(dr_mono_ms(), start + 100);
}
END_TEST

struct hooked {
    struct loop_idle idle;
    int runs;
    int again;
};

static void idle_cb(struct loop_idle *h)
{
    struct hooked *k = DR_CONTAINER_OF(h, struct hooked, idle);

    if (++k->runs == k->again) {
        loop_idle_remove(h);
        loop_stop(a);
    } else {
        loop_again(a);
    }
}

START_TEST(idle_hooks_run_each_turn_and_may_ask_for_another)
{
    struct hooked h = {.again = 10};

    loop_on_idle(a, &h.idle, idle_cb);
    loop_run(a); /* would hang if it slept */
    ck_assert_int_eq(h.runs, 10);
    loop_run_once(a, false);
    ck_assert_int_eq(h.runs, 10);
    struct loop_stats st;
    loop_stats(a, &st);
    ck_assert_uint_ge(st.turns, 9);
}
END_TEST

/* ---- descriptors ---- */

struct pipe_end {
    struct loop_fd w;
    int fd;
    size_t got;
    uint32_t events;
};

static void readable(struct loop_fd *w, uint32_t events)
{
    struct pipe_end *p = DR_CONTAINER_OF(w, struct pipe_end, w);
    char buf[64];
    ssize_t n = read(p->fd, buf, sizeof buf);

    p->events |= events;
    if (n > 0) {
        p->got += (size_t)n;
    } else {
        loop_fd_close(w); /* in its own callback */
        loop_stop(a);
    }
}

static void writable(struct loop_fd *w, uint32_t events)
{
    struct pipe_end *p = DR_CONTAINER_OF(w, struct pipe_end, w);

    ck_assert_uint_eq(events, LOOP_WRITE);
    if (p->got == 300) {
        loop_fd_close(w);
        close(p->fd);
    } else {
        ck_assert_int_eq(write(p->fd, "0123456789", 10), 10);
        p->got += 10;
    }
}

START_TEST(descriptors_are_watched)
{
    int fds[2];
    struct pipe_end r = {0};
    struct pipe_end w = {0};

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    r.fd = fds[0];
    w.fd = fds[1];
    ck_assert_int_eq(loop_fd_open(a, &r.w, r.fd, readable), DR_OK);
    ck_assert_int_eq(loop_fd_open(a, &w.w, w.fd, writable), DR_OK);
    ck_assert_int_eq(loop_fd_set(&r.w, LOOP_READ), DR_OK);
    ck_assert_int_eq(loop_fd_set(&r.w, LOOP_READ), DR_OK);
    ck_assert_int_eq(loop_fd_set(&w.w, LOOP_WRITE), DR_OK);
    loop_run(a);
    ck_assert_uint_eq(r.got, 300);
    loop_fd_close(&r.w);
    close(fds[0]);
    /* the number of a closed descriptor may be watched again */
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    ck_assert_int_eq(loop_fd_open(a, &r.w, fds[0], readable), DR_OK);
    loop_run_once(a, false);
    loop_fd_close(&r.w);
    close(fds[0]);
    close(fds[1]);
}
END_TEST

START_TEST(a_paused_descriptor_is_silent)
{
    int fds[2];
    struct pipe_end r = {0};

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    r.fd = fds[0];
    ck_assert_int_eq(loop_fd_open(a, &r.w, r.fd, readable), DR_OK);
    ck_assert_int_eq(write(fds[1], "x", 1), 1);
    loop_run_once(a, false);
    ck_assert_uint_eq(r.got, 0);
    ck_assert_int_eq(loop_fd_set(&r.w, LOOP_READ | LOOP_HANGUP), DR_OK);
    loop_run_once(a, false);
    ck_assert_uint_eq(r.got, 1);
    ck_assert_int_eq(write(fds[1], "x", 1), 1);
    ck_assert_int_eq(loop_fd_set(&r.w, 0), DR_OK);
    loop_run_once(a, false);
    ck_assert_uint_eq(r.got, 1);
    ck_assert_int_eq(loop_fd_set(&r.w, LOOP_READ | LOOP_HANGUP), DR_OK);
    close(fds[1]);
    loop_run(a);
    ck_assert_uint_eq(r.got, 2);
    ck_assert_uint_eq(r.events, LOOP_READ | LOOP_HANGUP);
    close(fds[0]);
}
END_TEST

START_TEST(what_cannot_be_polled_is_refused)
{
    struct loop_fd w = {0};
    char name[] = "/tmp/dr-test-loop-XXXXXX";
    int fd = mkstemp(name);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(unlink(name), 0);
    ck_assert_int_eq(loop_fd_open(a, &w, fd, readable), DR_ERR_IO);
    ck_assert_int_eq(loop_fd_open(a, &w, -1, readable), DR_ERR_IO);
    loop_fd_close(&w);
    close(fd);
}
END_TEST

static int signals;

static void on_signal(struct loop_signal *s, int signum)
{
    ck_assert_int_eq(signum, SIGUSR1);
    signals++;
    loop_signal_stop(s);
    loop_stop(a);
}

START_TEST(signals_arrive_on_the_loop)
{
    struct loop_signal s;

    signals = 0;
    ck_assert_int_eq(loop_signal_start(a, &s, SIGUSR1, on_signal), DR_OK);
    (void)raise(SIGUSR1);
    loop_run(a);
    ck_assert_int_eq(signals, 1);
    loop_signal_stop(&s);
    ck_assert_int_eq(loop_signal_start(a, &s, 4711, on_signal), DR_ERR_IO);
}
END_TEST

/* ---- messages ---- */

enum { SENDERS = 3, EACH = 20000 };

struct note {
    struct loop_msg msg;
    int sender;
    int n;
};

static struct note notes[SENDERS][EACH];
static int next_n[SENDERS];
static int received;
static int most_in_a_turn;
static int in_this_turn;

static void receive(struct loop_msg *msg)
{
    struct note *note = DR_CONTAINER_OF(msg, struct note, msg);

    if (note->n != next_n[note->sender] || loop_current() != a) {
        ck_abort_msg("sender %d: message %d came instead of %d", note->sender, note->n,
                     next_n[note->sender]);
    }
    next_n[note->sender]++;
    in_this_turn++;
    if (++received == SENDERS * EACH) {
        loop_stop(a);
    }
}

static void count_turn(struct loop_idle *h)
{
    (void)h;
    most_in_a_turn = in_this_turn > most_in_a_turn ? in_this_turn : most_in_a_turn;
    in_this_turn = 0;
}

static void *send_all(void *arg)
{
    struct note *mine = arg;

    for (int i = 0; i < EACH; i++) {
        loop_post(a, &mine[i].msg, receive);
    }
    return NULL;
}

START_TEST(posts_of_several_threads_all_arrive_in_order)
{
    pthread_t t[SENDERS];
    struct loop_idle hook = {0};

    memset(next_n, 0, sizeof next_n);
    received = in_this_turn = most_in_a_turn = 0;
    loop_on_idle(a, &hook, count_turn);
    for (int s = 0; s < SENDERS; s++) {
        for (int i = 0; i < EACH; i++) {
            notes[s][i].sender = s;
            notes[s][i].n = i;
        }
        ck_assert_int_eq(pthread_create(&t[s], NULL, send_all, notes[s]), 0);
    }
    loop_run(a);
    for (int s = 0; s < SENDERS; s++) {
        (void)pthread_join(t[s], NULL);
    }
    loop_idle_remove(&hook);
    ck_assert_int_eq(received, SENDERS * EACH);
    ck_assert_int_le(most_in_a_turn, LOOP_POST_BATCH);
}
END_TEST

static void repost(struct loop_msg *msg)
{
    struct note *note = DR_CONTAINER_OF(msg, struct note, msg);

    if (++note->n < 1000) {
        loop_post(a, msg, repost); /* the message is ours again while it runs */
    } else {
        loop_stop(a);
    }
}

START_TEST(a_message_may_post_itself_again)
{
    struct note note = {.n = 0};

    loop_post(a, &note.msg, repost);
    loop_run(a);
    ck_assert_int_eq(note.n, 1000);
}
END_TEST

static void count_only(struct loop_msg *msg)
{
    DR_CONTAINER_OF(msg, struct note, msg)->n++;
}

START_TEST(what_is_queued_when_a_loop_ends_is_still_run)
{
    static struct note many[1000];
    struct loop *c;

    ck_assert_int_eq(loop_new("c", &c), DR_OK);
    for (int i = 0; i < 1000; i++) {
        many[i].n = 0;
        loop_post(c, &many[i].msg, count_only);
    }
    c = loop_free(c);
    for (int i = 0; i < 1000; i++) {
        ck_assert_int_eq(many[i].n, 1);
    }
}
END_TEST

/* ---- calls ---- */

enum { CALLS = 5000, CREDITS = 16 };

struct add_call {
    struct loop_call call;
    int x; /**< in; out: x + 1 */
};

static struct add_call slots[CREDITS];
static struct loop_chan chan;
static int calls_started;
static int calls_done;
static int calls_busy;

static void add_run(struct loop_call *call)
{
    struct add_call *c = DR_CONTAINER_OF(call, struct add_call, call);

    if (loop_current() != b) {
        ck_abort_msg("ran on the wrong loop");
    }
    c->x++;
    loop_call_done(call, c->x % 2 == 0 ? DR_OK : DR_ERR_NOT_FOUND);
}

static void add_done(struct loop_call *call, dr_err_t err);

static void start_one(struct add_call *c)
{
    struct add_call extra;

    c->x = calls_started++;
    ck_assert_int_eq(loop_chan_call(&chan, &c->call, add_run, add_done), DR_OK);
    if (chan.in_use == CREDITS) {
        ck_assert_int_eq(loop_chan_call(&chan, &extra.call, add_run, add_done), DR_ERR_BUSY);
        ck_assert_int_eq(loop_chan_try(&chan), DR_ERR_BUSY);
        calls_busy++;
    }
}

static void add_done(struct loop_call *call, dr_err_t err)
{
    struct add_call *c = DR_CONTAINER_OF(call, struct add_call, call);

    ck_assert_ptr_eq(loop_current(), a);
    ck_assert_int_eq(err, c->x % 2 == 0 ? DR_OK : DR_ERR_NOT_FOUND);
    calls_done++;
    if (calls_started < CALLS) {
        start_one(c);
    } else if (calls_done == CALLS) {
        loop_stop(a);
    }
}

static void start_calls(struct loop_msg *msg)
{
    (void)msg;
    for (int i = 0; i < CREDITS; i++) {
        start_one(&slots[i]);
    }
}

START_TEST(calls_always_complete_and_credits_come_back)
{
    struct loop_msg go;

    calls_started = calls_done = calls_busy = 0;
    loop_chan_init(&chan, b, CREDITS);
    loop_post(a, &go, start_calls);
    loop_run(a);
    ck_assert_int_eq(calls_done, CALLS);
    ck_assert_int_gt(calls_busy, 0);
    ck_assert_uint_eq(chan.in_use, 0);
    ck_assert_int_eq(loop_chan_try(&chan), DR_OK);
    loop_chan_put(&chan);
    ck_assert_uint_eq(chan.in_use, 0);
}
END_TEST

static bool plain_is_done;

static void plain_done(struct loop_call *call, dr_err_t err)
{
    ck_assert_int_eq(err, DR_OK);
    ck_assert_int_eq(DR_CONTAINER_OF(call, struct add_call, call)->x, 2);
    plain_is_done = true;
    loop_stop(a);
}

static struct add_call plain = {.x = 1};

static void start_plain(struct loop_msg *msg)
{
    (void)msg;
    loop_call_start(b, &plain.call, add_run, plain_done);
    ck_assert(!plain_is_done); /* later, never inside */
}

START_TEST(a_call_without_credits)
{
    struct loop_msg go;

    plain.x = 1;
    plain_is_done = false;
    loop_post(a, &go, start_plain);
    loop_run(a);
    ck_assert(plain_is_done);
}
END_TEST

/* ---- pool ---- */

struct job {
    struct loop_work work;
    int result;
    dr_err_t err;
    bool done;
};

static _Atomic int jobs_left;
static _Atomic bool hold;

static void job_run(struct loop_work *work)
{
    struct job *j = DR_CONTAINER_OF(work, struct job, work);

    while (atomic_load(&hold)) {
        (void)usleep(1000);
    }
    j->result = 42;
}

static void job_done(struct loop_work *work, dr_err_t err)
{
    struct job *j = DR_CONTAINER_OF(work, struct job, work);

    ck_assert_ptr_eq(loop_current(), a);
    j->err = err;
    j->done = true;
    if (--jobs_left == 0) {
        loop_stop(a);
    }
}

START_TEST(work_runs_elsewhere_and_can_be_cancelled)
{
    static struct job jobs[8];

    memset(jobs, 0, sizeof jobs);
    loop_pool_init(2);
    atomic_store(&hold, true);
    jobs_left = 8;
    for (int i = 0; i < 8; i++) {
        ck_assert_int_eq(loop_work_start(a, &jobs[i].work, job_run, job_done), DR_OK);
    }
    loop_work_cancel(&jobs[7].work); /* two threads are held up: it cannot have begun */
    ck_assert(!jobs[7].done);
    atomic_store(&hold, false);
    loop_run(a);
    for (int i = 0; i < 8; i++) {
        ck_assert(jobs[i].done);
        ck_assert_int_eq(jobs[i].err, i == 7 ? DR_ERR_CANCELED : DR_OK);
        ck_assert_int_eq(jobs[i].result, i == 7 ? 0 : 42);
    }
}
END_TEST

/* ---- figures ---- */

static void slow_tick(struct loop_timer *t)
{
    (void)t;
    (void)usleep(15000);
    loop_stop(a);
}

START_TEST(a_long_turn_is_noticed)
{
    struct loop_timer t = {0};
    struct loop_stats st;
    struct dr_dynbuf out;

    loop_run_once(a, false);
    loop_stats(a, &st);
    ck_assert_uint_eq(st.slow_turns, 0);
    loop_timer_start(a, &t, 50, 0, slow_tick);
    loop_run(a);
    loop_stats(a, &st);
    ck_assert_uint_eq(st.slow_turns, 1);
    ck_assert_uint_ge(st.longest_turn_us, 15000);
    ck_assert_uint_lt(st.longest_turn_us, 45000); /* waiting does not count */
    ck_assert_uint_ge(st.busy_us, st.longest_turn_us);
    loop_stats_reset(a);
    loop_stats(a, &st);
    ck_assert_uint_eq(st.longest_turn_us, 0);
    dr_dynbuf_init(&out, 100000);
    dr_metrics_write(&out);
    ck_assert_ptr_nonnull(strstr(dr_dynbuf_str(&out), "drover_loop_turns_total{loop=\"a\"} "));
    ck_assert_ptr_nonnull(
        strstr(dr_dynbuf_str(&out), "drover_loop_longest_turn_seconds{loop=\"a\"}"));
    dr_dynbuf_fini(&out);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("base/loop");
    TCase *tc = add_case(s, "one loop");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_loop_knows_itself);
    tcase_add_test(tc, timers_run_on_time_once_or_again);
    tcase_add_test(tc, the_wheel_is_driven);
    tcase_add_test(tc, idle_hooks_run_each_turn_and_may_ask_for_another);
    tcase_add_test(tc, descriptors_are_watched);
    tcase_add_test(tc, a_paused_descriptor_is_silent);
    tcase_add_test(tc, what_cannot_be_polled_is_refused);
    tcase_add_test(tc, signals_arrive_on_the_loop);
    tcase_add_test(tc, a_message_may_post_itself_again);
    tcase_add_test(tc, what_is_queued_when_a_loop_ends_is_still_run);
    tcase_add_test(tc, work_runs_elsewhere_and_can_be_cancelled);
    tcase_add_test(tc, a_long_turn_is_noticed);
    tc = add_case(s, "several threads");
    tcase_add_checked_fixture(tc, setup_two, teardown_two);
    tcase_add_test(tc, posts_of_several_threads_all_arrive_in_order);
    tcase_add_test(tc, calls_always_complete_and_credits_come_back);
    tcase_add_test(tc, a_call_without_credits);
    return run_suite(s);
}
