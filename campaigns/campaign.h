/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  campaigns/campaign.h
 * @brief The campaign engine as rest/ and server/ see it.
 *
 * Layer: campaigns.  Threads: everything on the control loop; content runs on a reading thread.
 * Memory: about 1 KiB for each device under way; waiting ones are rows.  Limits: CAMP_*_MAX.
 * Security: every function takes the account.  Spec: Pelion Update Service REST contract.
 *
 * What has happened is in the database: each transition is stored before it is acted on, and a
 * restart reads the rows and asks the devices. See campaigns/machine.h for one device, and
 *
 *     DRAFT -> [APPROVAL] -> [TIMED] -> STARTING -> ACTIVE -> STOPPING -> STOPPED -> ARCHIVED
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "campaigns/driver.h"
#include "campaigns/gate.h"
#include "campaigns/machine.h"
#include "db/campaign.h"

struct loop;
struct db;
struct db_reader;
struct dev_core;
struct camp_engine;

#define CAMP_OPEN_MAX    1000 /**< campaigns that run at a time */
#define CAMP_DEVICES_MAX 2000000
#define CAMP_CONDS_MAX   4000 /**< characters of db_campaign.conditions */

/** Stored in rows: numbers are fixed. */
enum camp_phase {
    CAMP_DRAFT = 0,
    CAMP_APPROVAL = 1,
    CAMP_TIMED = 2,
    CAMP_STARTING = 3,
    CAMP_ACTIVE = 4,
    CAMP_STOPPING = 5,
    CAMP_STOPPED = 6,
    CAMP_ARCHIVED = 7,
};
/** The old names of the contract. Stored in rows: numbers are fixed. */
#define CAMP_STATES(X)                                                                             \
    X(DRAFT, draft)                                                                                \
    X(SCHEDULED, scheduled)                                                                        \
    X(ALLOCATINGQUOTA, allocatingquota)                                                            \
    X(ALLOCATEDQUOTA, allocatedquota)                                                              \
    X(QUOTAALLOCATIONFAILED, quotaallocationfailed)                                                \
    X(CHECKINGMANIFEST, checkingmanifest)                                                          \
    X(CHECKEDMANIFEST, checkedmanifest)                                                            \
    X(DEVICEFETCH, devicefetch)                                                                    \
    X(DEVICECOPY, devicecopy)                                                                      \
    X(DEVICECHECK, devicecheck)                                                                    \
    X(PUBLISHING, publishing)                                                                      \
    X(DEPLOYING, deploying)                                                                        \
    X(DEPLOYED, deployed)                                                                          \
    X(MANIFESTREMOVED, manifestremoved)                                                            \
    X(EXPIRED, expired)                                                                            \
    X(STOPPING, stopping)                                                                          \
    X(AUTOSTOPPED, autostopped)                                                                    \
    X(USERSTOPPED, userstopped)                                                                    \
    X(CONFLICT, conflict)
enum camp_state {
#define CAMP_STATE_ENUM(symbol, name) CAMP_STATE_##symbol,
    CAMP_STATES(CAMP_STATE_ENUM)
#undef CAMP_STATE_ENUM
        CAMP_STATE_COUNT
};
const char *camp_phase_name(int64_t phase);
const char *camp_state_name(int64_t state);
/** @retval false  no such name */
bool camp_state_find(const char *name, int64_t *ret);

enum camp_control { CAMP_RUN = 0, CAMP_HOLD = 1, CAMP_DRAIN = 2 };
/** Bits of db_campaign.hold: the engine's own reasons. */
enum { CAMP_HOLD_GATE = 1, CAMP_HOLD_CONTENT = 2 };
enum camp_strategy { CAMP_ONE_SHOT = 0, CAMP_CONTINUOUS = 1 };
enum camp_conflict { CAMP_CONFLICT_SKIP = 0, CAMP_CONFLICT_QUEUE = 1 };

/** Everything of a new campaign at its default. Texts are constants. */
void camp_spec_defaults(struct db_campaign *ret);

/** Which devices of another campaign: bits of db_campaign.source_buckets. */
#define CAMP_SOURCE_SUCCEEDED (1 << CAMP_SUCCESS)
#define CAMP_SOURCE_FAILED    (1 << CAMP_FAIL)
#define CAMP_SOURCE_REMAINING (1 << CAMP_FAIL | 1 << CAMP_INFO)

/** Make a draft of what was run: times, control and progress of @p row go, the rules stay. */
void camp_spec_again(struct db_campaign *row);

/**
 * Conditions as one text, and back.
 * @retval DR_ERR_LIMIT  over CAMP_CONDS_MAX
 */
DR_CHECK dr_err_t camp_conds_pack(const struct db_cond *conds, size_t n,
                                  char out[CAMP_CONDS_MAX + 1]);
/** The text again as conditions, which borrow @p text (it is cut up). @return how many */
size_t camp_conds_unpack(char *text, struct db_cond *conds, const char **values, size_t max_values);

struct camp_config {
    struct loop *control;
    struct db *db;
    struct dev_core *devices;
    /**
     * Fill @p ret with what the manifest brings; on a reading thread. NULL: there are none.
     * @retval DR_ERR_NOT_FOUND  no such manifest, or its image is gone
     * @retval DR_ERR_INVAL      it cannot be used
     */
    dr_err_t (*content)(void *data, struct db_reader *r, int64_t account, int64_t manifest,
                        struct camp_content *ret, struct dr_errinfo *reterr);
    void *content_data;
    int64_t (*wall_ms)(void *data); /**< NULL = the clock */
    void *wall_data;
    uint32_t tick_ms;    /**< 0 = 1,000; CAMP_TICK_NEVER: camp_tick() is called by hand */
    uint32_t visible_ms; /**< a campaign is seen running for so long at least (0 = 10,000) */
};
#define CAMP_TICK_NEVER UINT32_MAX

DR_CHECK dr_err_t camp_engine_new(const struct camp_config *config, struct camp_engine **ret);
/** Read what was under way; @p done once, later. Before dev_core_start(). */
void camp_engine_load(struct camp_engine *e, void (*done)(void *data, dr_err_t err), void *data);
/** Go on with it. After devices have started. */
void camp_engine_run(struct camp_engine *e);
/** Finish writing; @p done once, later. Before dev_core_stop(). */
void camp_engine_stop(struct camp_engine *e, void (*done)(void *data), void *data);
/** NULL is allowed. @return NULL */
struct camp_engine *camp_engine_free(struct camp_engine *e);
/** One round. */
void camp_tick(struct camp_engine *e);

/** What can be asked of a campaign. */
enum camp_verb {
    CAMP_DO_CREATE, /**< row, waves */
    CAMP_DO_EDIT,   /**< row, waves, by mask */
    CAMP_DO_DELETE,
    CAMP_DO_START,
    CAMP_DO_STOP,
    CAMP_DO_STOP_HARD,
    CAMP_DO_ARCHIVE,
    CAMP_DO_APPROVE, /**< with another key than it was started with */
    CAMP_DO_DENY,    /**< back to draft */
    CAMP_DO_HOLD,
    CAMP_DO_DRAIN,
    CAMP_DO_RESUME,
    CAMP_DO_ADVANCE, /**< open the next wave, whatever the gate says */
    CAMP_DO_RETRY,   /**< what failed is tried again (device 0 = all) */
};

/** Bits of camp_action.mask. */
enum {
    CAMP_EDIT_NAME = 1,
    CAMP_EDIT_DESCRIPTION = 2,
    CAMP_EDIT_SPEC = 4, /**< all the rest, only of a draft */
};

struct camp_action {
    enum camp_verb verb;
    int64_t account, id, device;
    int64_t key; /**< the API key that asks */
    uint32_t mask;
    /**
     * CREATE: the row (id is given by the engine). EDIT: change the row as stored, on the control
     * loop; what it returns ends the action if it is an error.
     */
    const struct db_campaign *row;
    dr_err_t (*edit)(struct camp_action *action, struct db_campaign *row);
    const struct db_campaign_wave *waves; /**< NULL = as they are (CREATE: one) */
    size_t n_waves;
    /**
     * DR_OK: stored. DR_ERR_NOT_FOUND, DR_ERR_IN_USE (not in this phase), DR_ERR_DENIED (EDIT of
     * what is no draft; APPROVE by who started it), DR_ERR_INVAL (START without manifest),
     * DR_ERR_STALE, errors of the store.
     */
    void (*cb)(struct camp_action *action, dr_err_t err);
    void *data;
    struct camp_action *next; /**< engine's own */
};
/** Borrowed until cb. @retval DR_ERR_NOMEM, DR_ERR_LIMIT, DR_ERR_BUSY, DR_ERR_CANCELED */
DR_CHECK dr_err_t camp_action_start(struct camp_engine *e, struct camp_action *action);

#define CAMP_EXPLAIN_MAX 255
/** Why a device is not done, in one line. Reads the file of the time zone. */
void camp_explain(const struct db_campaign *c, const struct db_campaign_wave *waves, size_t n_waves,
                  const struct db_campaign_device *d, bool registered, int64_t wall_ms,
                  char out[CAMP_EXPLAIN_MAX + 1]);

/** How far a campaign has come. Zero when it is not in memory. */
struct camp_progress {
    int64_t total, in_flight, waiting, away, succeeded, failed, skipped;
    int64_t wave;
};
void camp_progress_get(struct camp_engine *e, int64_t id, struct camp_progress *ret);
