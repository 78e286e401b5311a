/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "device-sim/faults.h"
#include "device-sim/stats.h"
#include "tests/unit/run.h"

static struct sim_stats s;

static void begin(void)
{
    memset(&s, 0, sizeof s);
}

static void near(double got, double want)
{
    ck_assert_msg(got >= want * 0.93 && got <= want * 1.001, "%f instead of %f", got, want);
}

START_TEST(quantiles_of_a_known_distribution)
{
    for (uint64_t us = 1; us <= 10000; us++) {
        sim_stats_latency(&s, us);
    }
    near(sim_stats_quantile_ms(&s, 0.5), 5.0);
    near(sim_stats_quantile_ms(&s, 0.99), 9.9);
    near(sim_stats_quantile_ms(&s, 1), 10.0);
}
END_TEST

START_TEST(each_latency_is_at_most_seven_percent_off)
{
    for (uint64_t us = 1; us < UINT64_C(1) << 38; us = us * 5 / 4 + 1) {
        begin();
        sim_stats_latency(&s, us);
        near(sim_stats_quantile_ms(&s, 0.5), (double)us / 1000);
    }
}
END_TEST

START_TEST(the_largest_latency_is_counted)
{
    sim_stats_latency(&s, UINT64_MAX);
    sim_stats_latency(&s, 0);
    ck_assert(sim_stats_quantile_ms(&s, 0.1) == 0);
    ck_assert(sim_stats_quantile_ms(&s, 1) > 1e6);
}
END_TEST

START_TEST(no_latency_is_zero)
{
    ck_assert(sim_stats_quantile_ms(&s, 0.5) == 0);
}
END_TEST

START_TEST(errors_are_counted_by_name)
{
    char same[] = "4.04";

    sim_stats_error(&s, "timeout");
    sim_stats_error(&s, "4.04");
    sim_stats_error(&s, same); /* by text, not by pointer */
    ck_assert_uint_eq(s.errors[0].count, 1);
    ck_assert_uint_eq(s.errors[1].count, 2);
    ck_assert_uint_eq(sim_stats_errors(&s), 3);
}
END_TEST

START_TEST(more_kinds_of_errors_than_room_are_not_lost)
{
    static char names[SIM_ERRORS_MAX + 5][8];

    for (unsigned i = 0; i < DR_ARRAY_LEN(names); i++) {
        (void)snprintf(names[i], sizeof names[i], "e%u", i);
        sim_stats_error(&s, names[i]);
    }
    ck_assert_uint_eq(sim_stats_errors(&s), DR_ARRAY_LEN(names));
}
END_TEST

START_TEST(cpu_time_grows)
{
    double from = sim_cpu_s((int)getpid());
    volatile uint64_t x = 0;

    while (sim_cpu_s((int)getpid()) - from < 0.01) {
        x = x + 1;
    }
    ck_assert(sim_cpu_s(0x7ffffff0) == 0); /* no such process */
}
END_TEST

/* The summary as JSON. */
static json_t *summary(void)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    sim_stats_print(&s, f);
    (void)fclose(f);
    ck_assert_int_eq(text[len - 1], '\n');
    ck_assert_ptr_eq(strchr(text, '\n'), text + len - 1); /* one line */
    json_t *j = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    ck_assert_msg(j != NULL, "%s", text);
    free(text);
    return j;
}

static double number(const json_t *j, const char *name)
{
    ck_assert_msg(json_is_number(json_object_get(j, name)), "%s", name);
    return json_number_value(json_object_get(j, name));
}

static void a_run(void)
{
    s.devices = 100;
    s.began_us = 1000000;
    s.handshakes = 100;
    s.registrations = 100;
    s.registered = 99;
    sim_stats_ready(&s, 3000000);
    sim_stats_measure(&s, (int)getpid(), 3000000);
    s.requests = 500;
    s.handshakes = 150;
    s.registrations = 140;
    for (unsigned i = 0; i < 500; i++) {
        sim_stats_latency(&s, 2000);
    }
    sim_stats_error(&s, "4.04");
    sim_stats_end(&s, (int)getpid(), 8000000);
}

START_TEST(the_summary_has_every_member)
{
    a_run();
    json_t *j = summary();
    ck_assert(number(j, "devices") == 100);
    ck_assert(number(j, "registered") == 99);
    ck_assert(number(j, "handshakes") == 150);
    ck_assert(number(j, "handshakes_per_s") == 50); /* until all were registered */
    ck_assert(number(j, "registrations") == 140);
    ck_assert(number(j, "registrations_per_s") == 50);
    ck_assert(number(j, "requests") == 500);
    ck_assert(number(j, "requests_per_s") == 100);
    near(number(j, "p50_ms"), 2);
    near(number(j, "p99_ms"), 2);
    ck_assert(number(j, "cpu_s") >= 0);
    ck_assert(number(j, "server_cpu_s") >= 0);
    ck_assert(json_is_false(json_object_get(j, "saturated")));
    ck_assert(number(j, "retransmissions") == 0);
    ck_assert(number(j, "seconds") == 5);
    ck_assert(number(json_object_get(j, "errors"), "4.04") == 1);
    json_decref(j);
}
END_TEST

START_TEST(a_scenario_of_registrations_has_its_own_rates)
{
    s.by_run = true;
    a_run();
    json_t *j = summary();
    ck_assert(number(j, "handshakes_per_s") == 10); /* while it ran */
    ck_assert(number(j, "registrations_per_s") == 8);
    json_decref(j);
}
END_TEST

START_TEST(a_simulator_that_uses_all_its_time_is_saturated)
{
    a_run();
    s.cpu_s = 4.6;
    json_t *j = summary();
    ck_assert(json_is_true(json_object_get(j, "saturated")));
    json_decref(j);
}
END_TEST

START_TEST(faults_come_as_often_as_asked_and_the_same_for_a_seed)
{
    const struct sim_options o = {.loss = 0.1, .duplicate = 0.2, .reorder = 0.3, .seed = 7};
    struct sim_faults a, b;
    unsigned counts[4] = {0};

    ck_assert(sim_faults_init(&a, &o));
    ck_assert(sim_faults_init(&b, &o));
    for (unsigned i = 0; i < 100000; i++) {
        enum cx_verdict v = sim_faults_decide(&a, i % 2 == 0, (const uint8_t *)"x", 1);
        ck_assert_int_eq(v, sim_faults_decide(&b, i % 2 == 0, (const uint8_t *)"x", 1));
        counts[v]++;
    }
    ck_assert(counts[CX_DROP] > 9500 && counts[CX_DROP] < 10500);
    ck_assert(counts[CX_DUPLICATE] > 19500 && counts[CX_DUPLICATE] < 20500);
    ck_assert(counts[CX_HOLD] > 29500 && counts[CX_HOLD] < 30500);
    const struct sim_options none = {.seed = 7};
    ck_assert(!sim_faults_init(&a, &none));
    ck_assert_int_eq(sim_faults_decide(&a, true, (const uint8_t *)"x", 1), CX_PASS);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stats");
    TCase *tc = add_case(suite, "latencies");

    tcase_add_checked_fixture(tc, begin, NULL);
    tcase_add_test(tc, quantiles_of_a_known_distribution);
    tcase_add_test(tc, each_latency_is_at_most_seven_percent_off);
    tcase_add_test(tc, the_largest_latency_is_counted);
    tcase_add_test(tc, no_latency_is_zero);

    tc = add_case(suite, "counters");
    tcase_add_checked_fixture(tc, begin, NULL);
    tcase_add_test(tc, errors_are_counted_by_name);
    tcase_add_test(tc, more_kinds_of_errors_than_room_are_not_lost);
    tcase_add_test(tc, cpu_time_grows);

    tc = add_case(suite, "summary");
    tcase_add_checked_fixture(tc, begin, NULL);
    tcase_add_test(tc, the_summary_has_every_member);
    tcase_add_test(tc, a_scenario_of_registrations_has_its_own_rates);
    tcase_add_test(tc, a_simulator_that_uses_all_its_time_is_saturated);

    tc = add_case(suite, "faults");
    tcase_add_test(tc, faults_come_as_often_as_asked_and_the_same_for_a_seed);
    return run_suite(suite);
}
