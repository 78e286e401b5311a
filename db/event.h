/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  db/event.h
 * @brief The device event log.
 *
 * Layer: db.  Threads: in run functions (writer) or fn functions (reader).
 * Memory: borrowed as in db/account.h.  Limits: DB_TEXT_MAX; retention by age and by count.
 * Security: every function takes the account.  Spec: Pelion Device Directory REST contract.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "db/filter.h"

struct db_writer;
struct db_reader;

struct db_event {
    int64_t id;
    int64_t account;
    int64_t device;
    int64_t date_time;      /**< unix ms: that of the id; ignored by db_event_append() */
    const char *event_type; /**< "update.device.device-created" … */
    const char *event_type_category;
    const char *event_type_description; /**< "SUCCESS", "FAIL", "SKIPPED", "INFO" */
    const char *description;
    bool state_change;
    const char *changes; /**< JSON object, "" = {} */
    const char *data;    /**< JSON object, "" = {} */
};

typedef dr_err_t db_event_fn(void *data, const struct db_event *row);

/** Texts may be NULL. @retval DR_ERR_EXISTS */
DR_CHECK dr_err_t db_event_append(struct db_writer *w, const struct db_event *row);
/**
 * Remove what is older than @p before_ms and all but the newest @p keep of the account, at most
 * @p limit rows in this call.
 * @param account  0 = all (then @p keep is of each account)
 * @param keep     INT64_MAX = by age only; any other number costs a walk over so many rows
 * @param ret_n    how many went; fewer than @p limit: nothing is left to do; may be NULL
 */
DR_CHECK dr_err_t db_event_purge(struct db_writer *w, int64_t account, int64_t before_ms,
                                 int64_t keep, uint32_t limit, uint32_t *ret_n);
/** @retval DR_ERR_NOT_FOUND */
DR_CHECK dr_err_t db_event_get(struct db_reader *r, int64_t account, int64_t id, db_event_fn *fn,
                               void *data);
/** Fields: id, device_id, date_time, created_at (of the id), description, event_type,
 * event_type_category, event_type_description, state_change. @see db_device_list() for errors. */
DR_CHECK dr_err_t db_event_list(struct db_reader *r, const struct db_query *query, db_event_fn *fn,
                                void *data, struct dr_errinfo *reterr);
DR_CHECK dr_err_t db_event_count(struct db_reader *r, const struct db_query *query, int64_t *ret,
                                 struct dr_errinfo *reterr);
