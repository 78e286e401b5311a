/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  base/metrics.h
 * @brief Counters, gauges and histograms in tables, with cells per thread; Prometheus text.
 *
 * Layer: base.  Threads: updating from any thread, without locks; registering and writing take a
 * lock. Memory: DR_METRIC_CELLS_MAX cells for each thread that updates one, reused after it ends.
 * Limits: DR_METRIC_CELLS_MAX.  Security: names and labels are ours.  Spec: Prometheus text format
 * 0.0.4.
 *
 *     enum { M_RX, M_TURN, M_COUNT };
 *     static struct dr_metric metrics[M_COUNT] = {
 *         [M_RX] = {.name = "drover_coap_rx_total", .type = DR_COUNTER, .help = "Datagrams
 * received", .labels = "transport=\"udp\""}, [M_TURN] = {.name = "drover_turn_seconds", .type =
 * DR_HISTOGRAM, .scale = 1e-6, .bounds = ...},
 *     };
 *     err = dr_metrics_register(metrics, M_COUNT);   then   dr_metric_inc(&metrics[M_RX]);
 *
 * A metric that was never registered may be updated too: nothing comes of it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define DR_METRIC_CELLS_MAX 4096

enum dr_metric_type { DR_COUNTER, DR_GAUGE, DR_HISTOGRAM };

struct dr_metric {
    const char *name; /**< with its unit, as Prometheus has it; borrowed for ever */
    const char *help;
    const char *labels; /**< inside of the braces, escaped, or NULL */
    enum dr_metric_type type;
    double scale;           /**< exposed value = cell * scale; 0 stands for 1 */
    const uint64_t *bounds; /**< histogram: upper bounds, ascending, in cell units; borrowed */
    uint32_t bound_count;
    double (*fn)(void *ctx); /**< value on demand instead of cells; called by the thread that
                                writes; must not call into this file */
    void *ctx;
    uint32_t cell;          /**< set by registration; 0 = not registered */
    struct dr_metric *next; /**< set by registration: by name */
};

/**
 * Add a table. It stays where it is until unregistered. One that is registered already is left
 * alone.
 * @retval DR_ERR_LIMIT  no cells left; then none of the table is registered
 */
DR_CHECK dr_err_t dr_metrics_register(struct dr_metric *table, size_t count);

/** Take a table out (its cells are not used again). */
void dr_metrics_unregister(struct dr_metric *table, size_t count);

void dr_metric_add(const struct dr_metric *m, uint64_t n);

static inline void dr_metric_inc(const struct dr_metric *m)
{
    dr_metric_add(m, 1);
}

/** Gauge: this thread's part of it; the sum over all threads is exposed. */
void dr_metric_set(const struct dr_metric *m, int64_t v);
/** Gauge: change it from any thread. */
void dr_metric_change(const struct dr_metric *m, int64_t by);
/** Histogram: one observation in cell units. */
void dr_metric_observe(const struct dr_metric *m, uint64_t v);

/** Sum over all threads in cell units: counter or gauge value, number of observations of a
 * histogram. */
int64_t dr_metric_value(const struct dr_metric *m);

/** Append all metrics in Prometheus text format, sorted by name. */
void dr_metrics_write(struct dr_dynbuf *out);
