/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  db/campaign.h
 * @brief Update campaigns: the campaign, its waves, and one row for each of its devices.
 *
 * Layer: db.  Threads: in run functions (writer) or fn functions (reader).
 * Memory: borrowed as in db/account.h.  Limits: DB_TEXT_MAX, DB_CAMPAIGN_CHUNK_MAX.
 * Security: functions that REST reaches take the account; a row of another is DR_ERR_NOT_FOUND.
 * Spec: Pelion Update Service REST contract.
 *
 * Every write of a row names the version that it was read with and fails with DR_ERR_STALE when the
 * row is not that any more: so each transition happens once. What the numbers of status, phase and
 * op mean is campaigns/'s; the store knows only "live" (at most one row of a device and component
 * may be), "watch" (wanted at the start of the server) and the bucket of the statistics.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "db/filter.h"

struct db_writer;
struct db_reader;

/** Rows that one call of the bulk functions may touch. */
#define DB_CAMPAIGN_CHUNK_MAX 1000

/** X(member = column, TEXT or INT). Absent: "" and 0. */
#define DB_CAMPAIGN_FIELDS_1(X)                                                                    \
    X(name, TEXT)                                                                                  \
    X(description, TEXT)                                                                           \
    X(device_filter, TEXT) /* as given */                                                          \
    X(conditions, TEXT)    /* the same, taken apart: campaigns/ has the form */                    \
    X(root_manifest_id, INT)                                                                       \
    X(phase, INT)                                                                                  \
    X(state, INT)                                                                                  \
    X(strategy, INT)                                                                               \
    X(autostop, INT)                                                                               \
    X(autostop_mpct, INT) /* thousandths of a percent */                                           \
    X(autostop_reason, TEXT)                                                                       \
    X(approval_required, INT)                                                                      \
    X(when_at, INT)                                                                                \
    X(started_at, INT)                                                                             \
    X(starting_at, INT)                                                                            \
    X(active_at, INT)                                                                              \
    X(stopping_at, INT)                                                                            \
    X(stopped_at, INT)                                                                             \
    X(archived_at, INT)                                                                            \
    X(finished_at, INT)                                                                            \
    X(copied_to, INT) /* last device of the snapshot so far */                                     \
    X(control, INT)                                                                                \
    X(hold, INT)                                                                                   \
    X(hold_reason, TEXT)                                                                           \
    X(max_inflight, INT)                                                                           \
    X(rate_per_min, INT)                                                                           \
    X(max_devices, INT)                                                                            \
    X(retry_max, INT)                                                                              \
    X(retry_backoff_s, INT)                                                                        \
    X(deliver_s, INT)                                                                              \
    X(check_s, INT)                                                                                \
    X(consent_s, INT)                                                                              \
    X(download_s, INT)                                                                             \
    X(install_s, INT)                                                                              \
    X(soak_s, INT)                                                                                 \
    X(stop_grace_s, INT)                                                                           \
    X(end_at, INT)                                                                                 \
    X(window_days, INT) /* bits, 1 = Monday; 0 = always open */                                    \
    X(window_from, INT) /* minute of the day */                                                    \
    X(window_to, INT)                                                                              \
    X(window_offset, INT) /* minutes east of UTC */                                                \
    X(conflict, INT)
#define DB_CAMPAIGN_FIELDS_2(X)                                                                    \
    X(window_zone, TEXT)    /* of the IANA database; "" = window_offset counts */                  \
    X(bytes_per_s, INT)     /* 0 = no limit */                                                     \
    X(source_campaign, INT) /* its devices instead of those of the filter; 0 = none */             \
    X(source_buckets, INT)  /* bits: which of them */                                              \
    X(started_by, INT)      /* API key; another one has to approve */
/* Each later release adds a list and a step of the schema. */
#define DB_CAMPAIGN_FIELDS(X) DB_CAMPAIGN_FIELDS_1(X) DB_CAMPAIGN_FIELDS_2(X)

struct db_campaign {
    int64_t id, account;
    int64_t version;    /**< of the row */
    int64_t updated_at; /**< unix ms */
#define DB_FIELD_TEXT                    const char *
#define DB_FIELD_INT                     int64_t
#define DB_CAMPAIGN_MEMBER(member, kind) DB_FIELD_##kind member;
    DB_CAMPAIGN_FIELDS(DB_CAMPAIGN_MEMBER)
#undef DB_CAMPAIGN_MEMBER
};

typedef dr_err_t db_campaign_fn(void *data, const struct db_campaign *row);

/** version is ignored: it begins at 1. @retval DR_ERR_EXISTS. @retval DR_ERR_NOT_FOUND no such
 * account */
DR_CHECK dr_err_t db_campaign_insert(struct db_writer *w, const struct db_campaign *row);
/** Replace all of row->id if it has row->version; it gets the next one.
 * @retval DR_ERR_STALE  gone, of another account, or changed meanwhile */
DR_CHECK dr_err_t db_campaign_update(struct db_writer *w, const struct db_campaign *row);
/** With all its devices and waves. @retval DR_ERR_STALE  as db_campaign_update() */
DR_CHECK dr_err_t db_campaign_delete(struct db_writer *w, int64_t account, int64_t id,
                                     int64_t version);
/** @retval DR_ERR_NOT_FOUND */
DR_CHECK dr_err_t db_campaign_get(struct db_reader *r, int64_t account, int64_t id,
                                  db_campaign_fn *fn, void *data);
/** Fields: id, name, description, device_filter, root_manifest_id, phase, state (numbers),
 * created_at, updated_at, started_at, finished, when. @see db_device_list() */
DR_CHECK dr_err_t db_campaign_list(struct db_reader *r, const struct db_query *query,
                                   db_campaign_fn *fn, void *data, struct dr_errinfo *reterr);
DR_CHECK dr_err_t db_campaign_count(struct db_reader *r, const struct db_query *query, int64_t *ret,
                                    struct dr_errinfo *reterr);
/** Of all accounts with first <= phase <= last, and of the phase after it those with devices that
 * are watched: for the start. */
DR_CHECK dr_err_t db_campaign_in_phase(struct db_reader *r, int64_t first, int64_t last,
                                       db_campaign_fn *fn, void *data);
/** Is this manifest the one of a campaign with first <= phase <= last? @param ret  its id, 0 = no
 */
DR_CHECK dr_err_t db_campaign_of_manifest(struct db_reader *r, int64_t account, int64_t manifest,
                                          int64_t first, int64_t last, int64_t *ret);

/* ---- waves ---- */

struct db_campaign_wave {
    int64_t campaign;
    int64_t seq;                                   /**< 0, 1, … */
    int64_t kind;                                  /**< of amount */
    int64_t amount;                                /**< thousandths of a percent, or devices */
    int64_t success_mpct, error_mpct, silent_mpct; /**< gates; error and silent: 0 = none */
    int64_t min_samples;
    int64_t soak_s;
    int64_t gate_action;
    int64_t status;
    int64_t opened_at, soak_until; /**< unix ms */
    const char *verdict;
};
typedef dr_err_t db_campaign_wave_fn(void *data, const struct db_campaign_wave *row);
/** Replace all waves of a campaign. */
DR_CHECK dr_err_t db_campaign_waves_put(struct db_writer *w, int64_t campaign,
                                        const struct db_campaign_wave *waves, size_t n);
/** Status, times and verdict, if its status is still @p from. @retval DR_ERR_STALE */
DR_CHECK dr_err_t db_campaign_wave_move(struct db_writer *w, const struct db_campaign_wave *row,
                                        int64_t from);
/** In order. */
DR_CHECK dr_err_t db_campaign_waves(struct db_reader *r, int64_t campaign, db_campaign_wave_fn *fn,
                                    void *data);

/* ---- devices ---- */

/** X(member = column, TEXT or INT). What may change. */
#define DB_CAMPAIGN_DEVICE_FIELDS(X)                                                               \
    X(wave, INT)                                                                                   \
    X(status, INT)                                                                                 \
    X(back_to, INT) /* status to go on with once the device is there again */                      \
    X(bucket, INT)  /* of the statistics */                                                        \
    X(live, INT)                                                                                   \
    X(watch, INT)                                                                                  \
    X(slot, INT)                                                                                   \
    X(mech, INT)                                                                                   \
    X(op, INT)                                                                                     \
    X(op_seq, INT)                                                                                 \
    X(attempt, INT)                                                                                \
    X(delivered, INT)                                                                              \
    X(registrations, INT) /* seen since it began to install */                                     \
    X(fail, INT)                                                                                   \
    X(not_before, INT) /* unix ms */                                                               \
    X(deadline, INT)   /* unix ms, 0 = none */                                                     \
    X(left_ms, INT)    /* of the deadline, while the device is away */                             \
    X(result0, INT)    /* result before anything was delivered */                                  \
    X(finished_at, INT)                                                                            \
    X(code, TEXT) /* newest event code */                                                          \
    X(reason, TEXT)                                                                                \
    X(from_version, TEXT)

struct db_campaign_device {
    int64_t id, account, campaign, device;
    const char *component;
    int64_t version;    /**< of the row */
    int64_t updated_at; /**< unix ms */
#define DB_CAMPAIGN_DEVICE_MEMBER(member, kind) DB_FIELD_##kind member;
    DB_CAMPAIGN_DEVICE_FIELDS(DB_CAMPAIGN_DEVICE_MEMBER)
#undef DB_CAMPAIGN_DEVICE_MEMBER
};
typedef dr_err_t db_campaign_device_fn(void *data, const struct db_campaign_device *row);

/** Not an error when (campaign, device) is there: then nothing changes. @param ret_new  may be NULL
 */
DR_CHECK dr_err_t db_campaign_device_insert(struct db_writer *w,
                                            const struct db_campaign_device *row, bool *ret_new);
/**
 * Replace what may change of row->id if it has row->version; it gets the next one.
 * @retval DR_ERR_STALE   gone, or changed meanwhile
 * @retval DR_ERR_EXISTS  another row of the device and component is live
 */
DR_CHECK dr_err_t db_campaign_device_update(struct db_writer *w,
                                            const struct db_campaign_device *row);
/** @retval DR_ERR_NOT_FOUND */
DR_CHECK dr_err_t db_campaign_device_get(struct db_reader *r, int64_t account, int64_t campaign,
                                         int64_t id, db_campaign_device_fn *fn, void *data);
/** By the device's id. @retval DR_ERR_NOT_FOUND */
DR_CHECK dr_err_t db_campaign_device_find(struct db_reader *r, int64_t account, int64_t campaign,
                                          int64_t device, db_campaign_device_fn *fn, void *data);
/** One page by id; conditions are not looked at. @param bucket  -1 = all */
DR_CHECK dr_err_t db_campaign_device_list(struct db_reader *r, int64_t campaign,
                                          const struct db_query *query, int64_t bucket,
                                          db_campaign_device_fn *fn, void *data);
/** Rows with watch set, by id, from after @p after. */
DR_CHECK dr_err_t db_campaign_device_watched(struct db_reader *r, int64_t campaign, int64_t after,
                                             uint32_t limit, db_campaign_device_fn *fn, void *data);
/** Rows of waves up to @p wave with @p status, not_before passed, whose device is registered now:
 * earliest wave first. */
DR_CHECK dr_err_t db_campaign_device_ready(struct db_reader *r, int64_t campaign, int64_t wave,
                                           int64_t status, int64_t now_ms, uint32_t limit,
                                           db_campaign_device_fn *fn, void *data);
/** Devices of the rows whose bucket is in the bits @p buckets, by the id of the device, from after
 * @p after. */
DR_CHECK dr_err_t db_campaign_device_ids(struct db_reader *r, int64_t account, int64_t campaign,
                                         int64_t buckets, int64_t after, uint32_t limit,
                                         dr_err_t (*fn)(void *data, int64_t device), void *data);
/** Rows with @p status by id: for bulk changes. */
DR_CHECK dr_err_t db_campaign_device_with(struct db_reader *r, int64_t campaign, int64_t status,
                                          uint32_t limit, db_campaign_device_fn *fn, void *data);
/** Rows with status in first..last whose device does not exist any more. */
DR_CHECK dr_err_t db_campaign_device_orphans(struct db_reader *r, int64_t campaign, int64_t first,
                                             int64_t last, uint32_t limit,
                                             db_campaign_device_fn *fn, void *data);
/** The unfinished row (status in first..last) of the device and component in another campaign.
 * @param ret  its campaign, 0 = none */
DR_CHECK dr_err_t db_campaign_device_other(struct db_reader *r, int64_t campaign, int64_t device,
                                           const char *component, int64_t first, int64_t last,
                                           int64_t *ret);
/** How many rows of each wave, status and kind of failure. */
typedef dr_err_t db_campaign_tally_fn(void *data, int64_t wave, int64_t status, int64_t fail,
                                      int64_t n);
DR_CHECK dr_err_t db_campaign_tally(struct db_reader *r, int64_t campaign, db_campaign_tally_fn *fn,
                                    void *data);
/** How many rows of each bucket and event code. */
typedef dr_err_t db_campaign_codes_fn(void *data, int64_t bucket, const char *code, int64_t n);
DR_CHECK dr_err_t db_campaign_codes(struct db_reader *r, int64_t campaign, db_campaign_codes_fn *fn,
                                    void *data);
