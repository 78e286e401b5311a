/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/campaign.h
 * @brief A campaign as JSON, out and in.
 *
 * Layer: rest.  Threads: reading on the control loop, writing wherever its rows are read.
 * Memory: what was read points into the body's JSON and the request's arena.
 * Limits: CAMP_WAVES_MAX, CAMP_CONDS_MAX.  Spec: Pelion Update Service; fields of our own begin
 * with x_ (docs/rest.md).
 */
#pragma once

#include <jansson.h>

#include "campaigns/campaign.h"
#include "rest/arena.h"
#include "rest/filter.h"
#include "rest/json.h"

/** @param progress  may be NULL */
dr_err_t rest_campaign_write(struct db_reader *r, struct rest_json *j, const struct db_campaign *c,
                             const struct camp_progress *progress);

/** What a body says; the reader fills in the first two, and what is wrong is in @c errors. */
struct rest_campaign_body {
    struct rest_arena *arena;
    const json_t *json; /**< an object */
    struct rest_field_errors errors;
    struct db_campaign_wave waves[CAMP_WAVES_MAX];
    size_t n_waves;
    bool has_waves; /**< the body names them */
    char conditions[CAMP_CONDS_MAX + 1];
};

/** The members of the body into @p row, whose texts then live as long as the body. */
void rest_campaign_apply(struct rest_campaign_body *b, struct db_campaign *row);

/** x_waves into b->waves. */
void rest_campaign_waves(struct rest_campaign_body *b);

/** The number of a summary status ("success"), or -1. */
int64_t rest_campaign_bucket(const char *name);
