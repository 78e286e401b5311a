/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  device-sim/faults.h
 * @brief A bad wire: which datagrams are lost, doubled or overtaken, by a seeded generator.
 *
 * Layer: device-sim, pure.  Threads: one.  Memory: fixed.  Limits: none.  Security: none.
 */
#pragma once

#include "base/rand.h"
#include "coap/engine.h"
#include "device-sim/options.h"

struct sim_faults {
    struct dr_prng prng;
    double loss, duplicate, reorder;
};

/** @return false when @p options ask for no faults of the wire */
bool sim_faults_init(struct sim_faults *faults, const struct sim_options *options);
/** A cx_filter_fn over a struct sim_faults. The same seed gives the same verdicts. */
enum cx_verdict sim_faults_decide(void *faults, bool out, const uint8_t *bytes, size_t len);
