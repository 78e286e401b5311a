/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/rand.h"
#include "base/timer.h"
#include "tests/unit/run.h"

enum { N = 500 };

struct probe {
    struct dr_timer timer;
    uint64_t at; /* what the model says; 0 = off */
    uint64_t fired_at;
    int fired;
};

static struct probe probes[N];
static int fired_total;

static void fire(struct dr_timer *t, uint64_t now_ms)
{
    struct probe *p = DR_CONTAINER_OF(t, struct probe, timer);

    ck_assert(!dr_timer_running(t));
    p->fired++;
    p->fired_at = now_ms;
    fired_total++;
}

static void probes_init(void)
{
    memset(probes, 0, sizeof probes);
    for (int i = 0; i < N; i++) {
        dr_timer_init(&probes[i].timer, fire);
    }
    fired_total = 0;
}

/* Longest delay in each round: from milliseconds to years. */
static const uint64_t spans[] = {10,       100,        5000,       300000,
                                 20000000, 4000000000, 1ULL << 38, 1ULL << 47};

START_TEST(random_use_agrees_with_a_plain_list)
{
    static struct dr_wheel w;
    struct dr_prng r;
    uint64_t now = 123456789;

    dr_prng_init(&r, (uint64_t)_i);
    probes_init();
    dr_wheel_init(&w, now);
    for (int op = 0; op < 15000; op++) {
        struct probe *p = &probes[dr_prng_below(&r, N)];
        uint32_t what = dr_prng_below(&r, 10);
        if (what < 5) {
            p->at = now + dr_prng_u64(&r) % spans[_i];
            dr_timer_start(&w, &p->timer, p->at);
        } else if (what < 7) {
            dr_timer_cancel(&w, &p->timer);
            p->at = 0;
        } else {
            /* to the deadline, a little, or a long way */
            uint64_t deadline = dr_wheel_deadline(&w);
            uint64_t least = DR_TIMER_NEVER;
            for (int i = 0; i < N; i++) {
                if (probes[i].at != 0 && probes[i].at < least) {
                    least = probes[i].at;
                }
            }
            ck_assert(deadline <= (least < now ? now : least) || least == DR_TIMER_NEVER);
            ck_assert(least != DR_TIMER_NEVER || deadline == DR_TIMER_NEVER);
            uint64_t to = what == 7   ? deadline
                          : what == 8 ? now + dr_prng_u64(&r) % (spans[_i] / 4 + 1)
                                      : now + dr_prng_below(&r, 3);
            now = to == DR_TIMER_NEVER || to < now ? now : to;
            int expect = 0;
            for (int i = 0; i < N; i++) {
                probes[i].fired = 0;
                expect += probes[i].at != 0 && probes[i].at <= now ? 1 : 0;
            }
            fired_total = 0;
            dr_wheel_advance(&w, now);
            ck_assert_int_eq(fired_total, expect);
            for (int i = 0; i < N; i++) {
                bool due = probes[i].at != 0 && probes[i].at <= now;
                if (probes[i].fired != (due ? 1 : 0)) {
                    ck_abort_msg("timer %d fired %d times", i, probes[i].fired);
                }
                probes[i].at = due ? 0 : probes[i].at;
            }
        }
        ck_assert(dr_timer_running(&p->timer) == (p->at != 0));
    }
    uint64_t running = 0;
    for (int i = 0; i < N; i++) {
        running += probes[i].at != 0 ? 1 : 0;
    }
    ck_assert_uint_eq(w.count, running);
}
END_TEST

START_TEST(a_caller_who_sleeps_until_the_deadline_is_never_late)
{
    static struct dr_wheel w;
    struct dr_prng r;
    uint64_t now = 1;
    int turns = 0;

    dr_prng_init(&r, 77);
    probes_init();
    dr_wheel_init(&w, now);
    for (int i = 0; i < N; i++) {
        probes[i].at = now + 1 + dr_prng_u64(&r) % 100000000;
        dr_timer_start(&w, &probes[i].timer, probes[i].at);
    }
    for (; dr_wheel_deadline(&w) != DR_TIMER_NEVER; turns++) {
        ck_assert_uint_ge(dr_wheel_deadline(&w), now);
        now = dr_wheel_deadline(&w);
        dr_wheel_advance(&w, now);
    }
    ck_assert_int_eq(fired_total, N);
    for (int i = 0; i < N; i++) {
        ck_assert_uint_eq(probes[i].fired_at, probes[i].at);
    }
    ck_assert_int_lt(turns, N * DR_WHEEL_LEVELS);
}
END_TEST

START_TEST(work_comes_in_portions)
{
    static struct dr_wheel w;
    enum { MANY = 5000 };
    static struct probe many[MANY];
    int calls = 0;

    dr_wheel_init(&w, 0);
    fired_total = 0;
    for (int i = 0; i < MANY; i++) {
        dr_timer_init(&many[i].timer, fire);
        dr_timer_start(&w, &many[i].timer, 300000 + (uint64_t)(i % 1000));
    }
    bool more = true;
    while (more) {
        int before = fired_total;
        more = dr_wheel_advance_some(&w, 302000, 100);
        ck_assert_int_le(fired_total - before, 100);
        ck_assert_uint_eq(dr_wheel_deadline(&w), more ? 302000 : DR_TIMER_NEVER);
        calls++;
    }
    ck_assert_int_eq(fired_total, MANY);
    ck_assert_int_ge(calls, MANY / 100);
    ck_assert_int_le(calls, MANY / 100 * DR_WHEEL_LEVELS);
}
END_TEST

START_TEST(time_does_not_go_back)
{
    static struct dr_wheel w;

    probes_init();
    dr_wheel_init(&w, 1000);
    dr_timer_start(&w, &probes[0].timer, 1010);
    dr_wheel_advance(&w, 500);
    ck_assert_int_eq(fired_total, 0);
    dr_timer_start(&w, &probes[1].timer, 700); /* past already: at once */
    ck_assert_uint_eq(dr_wheel_deadline(&w), 1000);
    dr_wheel_advance(&w, 1000);
    ck_assert_int_eq(probes[1].fired, 1);
    dr_timer_start(&w, &probes[2].timer, DR_TIMER_NEVER);
    dr_wheel_advance(&w, (uint64_t)1 << 49);
    ck_assert_int_eq(probes[0].fired, 1);
    ck_assert_int_eq(probes[2].fired, 0);
    dr_timer_cancel(&w, &probes[2].timer);
    dr_timer_cancel(&w, &probes[2].timer);
    ck_assert_uint_eq(w.count, 0);
    ck_assert_uint_eq(dr_wheel_deadline(&w), DR_TIMER_NEVER);
}
END_TEST

static struct dr_wheel callback_wheel;
static struct dr_timer second;
static int self_runs;

static void restart_self(struct dr_timer *t, uint64_t now_ms)
{
    self_runs++;
    dr_timer_start(&callback_wheel, t, now_ms); /* at once again: in the next advance */
    dr_timer_cancel(&callback_wheel, &second);
}

static void must_not_run(struct dr_timer *t, uint64_t now_ms)
{
    (void)t;
    ck_abort_msg("cancelled timer ran at %llu", (unsigned long long)now_ms);
}

START_TEST(callbacks_may_restart_and_cancel)
{
    struct dr_timer first;

    dr_wheel_init(&callback_wheel, 0);
    dr_timer_init(&first, restart_self);
    dr_timer_init(&second, must_not_run);
    dr_timer_start(&callback_wheel, &first, 5);
    dr_timer_start(&callback_wheel, &second, 5);
    dr_wheel_advance(&callback_wheel, 5);
    ck_assert_int_eq(self_runs, 1);
    ck_assert(dr_timer_running(&first) && !dr_timer_running(&second));
    ck_assert_uint_eq(dr_wheel_deadline(&callback_wheel), 5);
    dr_wheel_advance(&callback_wheel, 5);
    ck_assert_int_eq(self_runs, 2);
    ck_assert(dr_wheel_advance_some(&callback_wheel, 6, 10));
    ck_assert_int_eq(self_runs, 12);
    dr_timer_cancel(&callback_wheel, &first);
    ck_assert_uint_eq(callback_wheel.count, 0);
}
END_TEST

START_TEST(a_timer_is_small)
{
    ck_assert_uint_le(sizeof(struct dr_timer), 32);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("base/timer");
    TCase *tc = add_case(s, "wheel");

    tcase_add_loop_test(tc, random_use_agrees_with_a_plain_list, 0, DR_ARRAY_LEN(spans));
    tcase_add_test(tc, a_caller_who_sleeps_until_the_deadline_is_never_late);
    tcase_add_test(tc, work_comes_in_portions);
    tcase_add_test(tc, time_does_not_go_back);
    tcase_add_test(tc, callbacks_may_restart_and_cancel);
    tcase_add_test(tc, a_timer_is_small);
    return run_suite(s);
}
