/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  campaigns/gate.h
 * @brief Decisions over many devices: waves and their gates, rates, windows, membership.
 *
 * Layer: campaigns, pure.  Threads: reentrant.  Memory: none.  Limits: CAMP_WAVES_MAX.
 * Security: none.  Spec: none.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/zone.h"
#include "campaigns/machine.h"

#define CAMP_WAVES_MAX   32
#define CAMP_VERDICT_MAX 127
#define CAMP_MPCT        100000 /**< thousandths of a percent in all */

/** Stored in rows: numbers are fixed. */
enum camp_wave_kind { CAMP_WAVE_PERCENT = 0, CAMP_WAVE_COUNT = 1, CAMP_WAVE_REST = 2 };
enum camp_wave_status {
    CAMP_WAVE_WAITING = 0,
    CAMP_WAVE_OPEN = 1,
    CAMP_WAVE_SOAKING = 2,
    CAMP_WAVE_PASSED = 3,
    CAMP_WAVE_TRIPPED = 4,
    CAMP_WAVE_SKIPPED = 5, /**< it had no devices */
};
enum camp_gate_action { CAMP_GATE_HOLD = 0, CAMP_GATE_STOP = 1 };
const char *camp_wave_status_name(int64_t status);

/** How the devices of one wave stand. */
struct camp_tally {
    int64_t total;
    int64_t by_status[CAMP_STATUS_COUNT];
    int64_t failed_by[CAMP_FAIL_COUNT]; /**< of those in CAMP_FAILED */
};
int64_t camp_tally_slots(const struct camp_tally *t);
int64_t camp_tally_unfinished(const struct camp_tally *t);

struct camp_verdict {
    enum camp_wave_status status; /**< what it becomes, or stays */
    char text[CAMP_VERDICT_MAX + 1];
};
/**
 * Look at an open or soaking wave.
 * @param idle  no device of it can be begun with and none is under way
 */
void camp_gate_look(const struct db_campaign_wave *wave, const struct camp_tally *tally, bool idle,
                    int64_t now_ms, struct camp_verdict *ret);

/** 0..CAMP_MPCT-1: the same each time, so a larger percentage only adds devices. */
int64_t camp_wave_place(int64_t campaign, int64_t device);
/** The wave of a device. @param fill  devices that each has so far */
int64_t camp_wave_of(const struct db_campaign_wave *waves, size_t n, const int64_t *fill,
                     int64_t campaign, int64_t device);

/**
 * Is the maintenance window of the campaign open?
 * @param zone  that of c->window_zone; NULL: c->window_offset counts, and a window with a zone that
 *              is not known stays closed
 *
 * A time that the clock skips is the moment of the skip; of one that it shows twice the first
 * counts, so a window opens once a day.
 */
bool camp_window_open(const struct db_campaign *c, const struct dr_zone *zone, int64_t wall_ms);

#define CAMP_CLOCK_STEP_MS   30000  /**< the clock was moved when it is off by more than this */
#define CAMP_CLOCK_SETTLE_MS 900000 /**< a moved clock is believed after so long */

/** Was the wall clock moved? Times of day (start, window, end) wait until it is believed. */
struct camp_clock {
    bool set;
    int64_t offset; /**< wall - monotonic, believed */
    int64_t odd, odd_since;
};
/** Look at both clocks, often. @return the wall clock can be believed */
bool camp_clock_look(struct camp_clock *c, int64_t wall_ms, int64_t mono_ms);

/** So many may begin in a minute. */
struct camp_rate {
    int64_t at_ms;
    int64_t milli; /**< thousandths of a token */
};
/** Whole tokens there are now; at most a tenth of a minute's (and one) is saved up. */
int64_t camp_rate_tokens(struct camp_rate *r, int64_t per_min, int64_t now_ms);
void camp_rate_take(struct camp_rate *r, int64_t n);
