/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  device-sim/fleet.h
 * @brief A fleet of simulated devices that goes through a scenario.
 *
 * Layer: device-sim.  Threads: one loop.  Memory: about 150 bytes a device beside the stack's.
 * Limits: those of struct sim_options; SIM_OBSERVATIONS_MAX a device.  Security: none.
 */
#pragma once

#include "device-sim/options.h"
#include "device-sim/stats.h"

struct loop;
struct sim_fleet;

/** Observations that a device keeps; a further one is answered without Observe. */
#define SIM_OBSERVATIONS_MAX 32
/** How often a device tries to come to the state that it should have. */
#define SIM_ATTEMPTS_MAX     5

/** @param done  the scenario is over; once */
DR_CHECK dr_err_t sim_fleet_start(struct loop *loop, const struct sim_options *options,
                                  struct sim_stats *stats, void (*done)(void *data), void *data,
                                  struct sim_fleet **ret);
/** End early: the scenario counts as over. */
void sim_fleet_stop(struct sim_fleet *f);
struct sim_fleet *sim_fleet_free(struct sim_fleet *f);
/** Did every device reach what the scenario asks for? */
bool sim_fleet_good(const struct sim_fleet *f);
