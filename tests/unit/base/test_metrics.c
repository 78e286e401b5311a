/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/metrics.h"
#include "tests/unit/run.h"

static double answer(void *ctx)
{
    return *(double *)ctx;
}

enum { M_RX_TLS, M_RX_UDP, M_LIVE, M_TIME, M_FN, M_COUNT };

static const uint64_t bounds[] = {10, 100, 1000};
static double fn_value = 0.25;
static struct dr_metric metrics[M_COUNT] = {
    [M_RX_TLS] = {.name = "t_rx_total", .help = "Got\\\n", .labels = "tr=\"tls\""},
    [M_LIVE] = {.name = "t_live", .help = "Live", .type = DR_GAUGE},
    [M_RX_UDP] = {.name = "t_rx_total", .help = "Got\\\n", .labels = "tr=\"udp\""},
    [M_TIME] = {.name = "t_time_seconds",
                .help = "Time",
                .type = DR_HISTOGRAM,
                .scale = 0.001,
                .bounds = bounds,
                .bound_count = 3},
    [M_FN] = {.name = "t_a_fn", .help = "Fn", .type = DR_GAUGE, .fn = answer, .ctx = &fn_value},
};

START_TEST(the_exposition_is_prometheus_text)
{
    struct dr_dynbuf out;

    ck_assert_int_eq(dr_metrics_register(metrics, M_COUNT), DR_OK);
    ck_assert_int_eq(dr_metrics_register(metrics, M_COUNT), DR_OK); /* again: nothing */
    dr_metric_add(&metrics[M_RX_TLS], 41);
    dr_metric_inc(&metrics[M_RX_TLS]);
    dr_metric_set(&metrics[M_LIVE], 5);
    dr_metric_change(&metrics[M_LIVE], -7);
    dr_metric_observe(&metrics[M_TIME], 10);
    dr_metric_observe(&metrics[M_TIME], 11);
    dr_metric_observe(&metrics[M_TIME], 5000);
    dr_dynbuf_init(&out, 10000);
    dr_metrics_write(&out);
    ck_assert_int_eq(dr_dynbuf_err(&out), DR_OK);
    ck_assert_str_eq(dr_dynbuf_str(&out), "# HELP t_a_fn Fn\n"
                                          "# TYPE t_a_fn gauge\n"
                                          "t_a_fn 0.25\n"
                                          "# HELP t_live Live\n"
                                          "# TYPE t_live gauge\n"
                                          "t_live -2\n"
                                          "# HELP t_rx_total Got\\\\\\n\n"
                                          "# TYPE t_rx_total counter\n"
                                          "t_rx_total{tr=\"tls\"} 42\n"
                                          "t_rx_total{tr=\"udp\"} 0\n"
                                          "# HELP t_time_seconds Time\n"
                                          "# TYPE t_time_seconds histogram\n"
                                          "t_time_seconds_bucket{le=\"0.01\"} 1\n"
                                          "t_time_seconds_bucket{le=\"0.1\"} 2\n"
                                          "t_time_seconds_bucket{le=\"1\"} 2\n"
                                          "t_time_seconds_bucket{le=\"+Inf\"} 3\n"
                                          "t_time_seconds_sum 5.021\n"
                                          "t_time_seconds_count 3\n");
    ck_assert_int_eq(dr_metric_value(&metrics[M_LIVE]), -2);
    ck_assert_int_eq(dr_metric_value(&metrics[M_TIME]), 3);
    dr_metrics_unregister(metrics, M_COUNT);
    dr_dynbuf_reset(&out);
    dr_metrics_write(&out);
    ck_assert_str_eq(dr_dynbuf_str(&out), "");
    dr_dynbuf_fini(&out);
}
END_TEST

static void *count_much(void *arg)
{
    for (int i = 0; i < 100000; i++) {
        dr_metric_inc(arg);
    }
    return NULL;
}

START_TEST(threads_count_without_losing_any)
{
    static struct dr_metric m = {.name = "t_many_total", .help = "Many"};
    pthread_t t[4];

    ck_assert_int_eq(dr_metrics_register(&m, 1), DR_OK);
    for (int round = 1; round <= 3; round++) { /* blocks of ended threads are taken over */
        for (int i = 0; i < 4; i++) {
            ck_assert_int_eq(pthread_create(&t[i], NULL, count_much, &m), 0);
        }
        ck_assert_int_ge(dr_metric_value(&m), (round - 1) * 400000);
        for (int i = 0; i < 4; i++) {
            (void)pthread_join(t[i], NULL);
        }
        ck_assert_int_eq(dr_metric_value(&m), round * 400000);
    }
    dr_metrics_unregister(&m, 1);
}
END_TEST

START_TEST(an_unregistered_metric_counts_nothing)
{
    struct dr_metric m = {.name = "t_none", .help = "None"};

    dr_metric_inc(&m);
    ck_assert_int_eq(dr_metric_value(&m), 0);
}
END_TEST

START_TEST(cells_have_an_end)
{
    enum { MANY = DR_METRIC_CELLS_MAX };
    static struct dr_metric many[MANY];

    for (int i = 0; i < MANY; i++) {
        many[i] = (struct dr_metric){.name = "t_m", .help = "M"};
    }
    ck_assert_int_eq(dr_metrics_register(many, MANY), DR_ERR_LIMIT); /* cell 0 is nobody's */
    ck_assert_uint_eq(many[0].cell, 0);
    ck_assert_int_eq(dr_metrics_register(many, 100), DR_OK);
    dr_metrics_unregister(many, 100);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("base/metrics");
    TCase *tc = add_case(s, "metrics");

    tcase_add_test(tc, the_exposition_is_prometheus_text);
    tcase_add_test(tc, threads_count_without_losing_any);
    tcase_add_test(tc, an_unregistered_metric_counts_nothing);
    tcase_add_test(tc, cells_have_an_end);
    return run_suite(s);
}
