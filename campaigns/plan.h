/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  campaigns/plan.h
 * @brief Which devices a campaign takes, and into which wave: when it starts, or as a dry run.
 *
 * Layer: campaigns.  Threads: camp_precheck() on the store thread or a reading thread, camp_plan()
 * on a reading thread.  Memory: what is emitted is borrowed during the call.
 * Limits: CAMP_DEVICES_MAX.  Security: every function takes the account.  Spec: none.
 */
#pragma once

#include "campaigns/campaign.h"

struct camp_verdict_of_device {
    int64_t device;
    const char *endpoint_name;
    const char *code; /**< why it is skipped, an event code; NULL = it would be updated */
    int64_t wave;
    bool registered, conflict;
};

/**
 * What is known of a device before it is asked: vendor and class, other campaigns.
 * @param ret  all but wave; endpoint_name is NULL
 * @retval DR_ERR_NOT_FOUND  no such device in the account
 */
DR_CHECK dr_err_t camp_precheck(struct db_reader *r, const struct db_campaign *c,
                                const struct camp_content *content, int64_t device,
                                struct camp_verdict_of_device *ret);

/**
 * The next devices for the campaign, in the order of their ids.
 * @param after  id of the last one so far, 0 = none
 */
DR_CHECK dr_err_t camp_candidates(struct db_reader *r, const struct db_campaign *c, int64_t after,
                                  uint32_t limit, dr_err_t (*fn)(void *data, int64_t device),
                                  void *data);

struct camp_plan {
    size_t n_waves;
    int64_t devices[CAMP_WAVES_MAX], updated[CAMP_WAVES_MAX]; /**< of each wave */
    int64_t total, wrong_kind, conflicts, unregistered;       /**< the last: of those to update */
};
typedef dr_err_t camp_plan_fn(void *data, const struct camp_verdict_of_device *verdict);

/**
 * What a start of the campaign would do now; changes nothing, and says the same each time as long
 * as the directory is the same. Takes about 10 us a device.
 * @param fn  for each device, by id
 * @retval DR_ERR_NOT_FOUND  no such campaign
 * @retval DR_ERR_INVAL      it has no manifest, or one that cannot be used
 */
DR_CHECK dr_err_t camp_plan(const struct camp_engine *e, struct db_reader *r, int64_t account,
                            int64_t id, camp_plan_fn *fn, void *data, struct camp_plan *ret);
