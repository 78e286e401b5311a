/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  device-sim/stats.h
 * @brief Counters, latencies and CPU time of a run; progress line and JSON summary.
 *
 * Layer: device-sim.  Threads: one.  Memory: fixed.  Limits: SIM_ERRORS_MAX kinds of errors.
 * Security: none.  Spec: the summary's members are a contract.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "coap/engine.h"

#define SIM_ERRORS_MAX 16
/** Latency buckets: 16 an octave, from 1 µs up; the value is at most 6 % off. */
#define SIM_BUCKETS    (40 * 16)

struct sim_stats {
    uint32_t devices, registered;
    uint64_t requests; /**< operations of the scenario that were answered, while measured */
    uint64_t bootstraps, last_bootstrap_us;
    uint32_t updated, failed; /**< updates that ended well, and badly */
    uint64_t blocks, block_bytes, first_block_us, last_block_us;
    uint64_t handshakes, registrations, notifications, served, retransmissions;
    uint64_t buckets[SIM_BUCKETS]; /**< latency of what the scenario measures */
    struct sim_error {
        const char *what;
        uint64_t count;
    } errors[SIM_ERRORS_MAX];
    uint64_t began_us, registered_us, measured_us, ended_us; /**< monotonic */
    double cpu_at, server_cpu_at;               /**< CPU seconds where measuring began */
    double cpu_s, server_cpu_s;                 /**< while measured */
    uint64_t handshakes_at, registrations_at;   /**< how many there were when all were registered */
    uint64_t handshakes_end, registrations_end; /**< … and at the end of measuring */
    bool by_run; /**< handshakes and registrations are what is measured (churn) */
};

void sim_stats_latency(struct sim_stats *s, uint64_t us);
/** @p q 0..1; milliseconds, 0 without samples. */
double sim_stats_quantile_ms(const struct sim_stats *s, double q);
/** A block of an image has come. */
void sim_stats_block(struct sim_stats *s, size_t len, uint64_t now_us);
/** @p what is a constant. */
void sim_stats_error(struct sim_stats *s, const char *what);
uint64_t sim_stats_errors(const struct sim_stats *s);
/** All are registered, or have failed. */
void sim_stats_ready(struct sim_stats *s, uint64_t now_us);
/** CPU seconds of a process so far; 0 if there is none such. */
double sim_cpu_s(int pid);
/** Forget latencies and start the clocks of the measured phase. */
void sim_stats_measure(struct sim_stats *s, int server_pid, uint64_t now_us);
void sim_stats_end(struct sim_stats *s, int server_pid, uint64_t now_us);
void sim_stats_print(const struct sim_stats *s, FILE *out);
