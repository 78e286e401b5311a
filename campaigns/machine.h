/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  campaigns/machine.h
 * @brief The states of one device in a campaign: which input leads where, and what is done next.
 *
 * Layer: campaigns, pure.  Threads: reentrant, no state.  Memory: works on a copy of the row.
 * Limits: CAMP_REASON_MAX.  Security: reports come from devices and are never asserted on.
 * Spec: none.
 *
 *     QUEUED -> ADMITTED -> DELIVERING -> DELIVERED -> CHECKING -> ASK_DOWNLOAD -> DOWNLOADING ->
 *     DOWNLOADED -> ASK_INSTALL -> INSTALLING -> REBOOTING -> VERIFYING -> SUCCEEDED
 *
 *     ADMITTED ... ASK_INSTALL <-> WAIT_DEVICE     away: no slot, deadlines stand still
 *     any attempt that failed  -> RETRY_WAIT -> ADMITTED ..., or FAILED
 *     -> SKIPPED, EXPIRED, CANCELLED, REMOVED
 *     FAILED, EXPIRED, CANCELLED -> SUCCEEDED      the device reports the target after all
 *
 * An input never acts: it changes the row, the row is stored, and only then is row.op done.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "campaigns/driver.h"
#include "db/campaign.h"

/** Stored in rows: numbers are fixed, and in order of progress up to CAMP_VERIFYING. */
enum camp_status {
    CAMP_QUEUED = 1,
    CAMP_RETRY_WAIT = 2,
    CAMP_WAIT_DEVICE = 3,
    CAMP_ADMITTED = 4,
    CAMP_DELIVERING = 5,
    CAMP_DELIVERED = 6,
    CAMP_CHECKING = 7,
    CAMP_ASK_DOWNLOAD = 8,
    CAMP_DOWNLOADING = 9,
    CAMP_DOWNLOADED = 10,
    CAMP_ASK_INSTALL = 11,
    CAMP_INSTALLING = 12,
    CAMP_REBOOTING = 13,
    CAMP_VERIFYING = 14,
    CAMP_SUCCEEDED = 20,
    CAMP_SKIPPED = 21,
    CAMP_FAILED = 22,
    CAMP_EXPIRED = 23,
    CAMP_CANCELLED = 24,
    CAMP_REMOVED = 25,
    CAMP_STATUS_COUNT = 26,
};
#define CAMP_STATUS_UNFINISHED_FIRST CAMP_QUEUED
#define CAMP_STATUS_UNFINISHED_LAST  CAMP_VERIFYING

enum camp_bucket {
    CAMP_INFO = 0,
    CAMP_SUCCESS = 1,
    CAMP_FAIL = 2,
    CAMP_SKIP = 3,
    CAMP_BUCKETS = 4
};

/** A row with room for its texts. */
struct camp_row {
    struct db_campaign_device d; /**< its texts are those below after camp_row_bind() */
    char component[CAMP_COMPONENT_MAX + 1];
    char code[CAMP_CODE_MAX + 1];
    char reason[CAMP_REASON_MAX + 1];
    char from_version[CAMP_VERSION_MAX + 1];
};
void camp_row_load(struct camp_row *row, const struct db_campaign_device *from);
void camp_row_bind(struct camp_row *row);

/** What a campaign says about times and retries; all in seconds, 0 = none. */
struct camp_policy {
    int64_t admit_s, deliver_s, check_s, consent_s, download_s, install_s, soak_s;
    int64_t away_poll_s; /**< how often a device is asked that is registered and does not answer */
    int64_t resume_s;    /**< a device that went idle may go on by itself for so long */
    int64_t retry_max;   /**< further attempts */
    int64_t retry_backoff_s;
};

enum camp_in {
    CAMP_IN_ADMIT,     /**< it is the device's turn */
    CAMP_IN_READ,      /**< READ is over: report is what the device said, all of it */
    CAMP_IN_NOTE,      /**< a notification: report is a part */
    CAMP_IN_OP_OK,     /**< DELIVER, EXECUTE or RESET was taken by the device */
    CAMP_IN_OP_FAILED, /**< op was refused (fail, code, reason) or the device is away */
    CAMP_IN_ONLINE,    /**< it registered; or, while waited for, was heard */
    CAMP_IN_OFFLINE,   /**< its registration ended */
    CAMP_IN_DEADLINE,
    CAMP_IN_CANCEL,  /**< the campaign stops */
    CAMP_IN_RECALL,  /**< the campaign pauses: what has not begun to download waits again */
    CAMP_IN_EXPIRE,  /**< the campaign ends */
    CAMP_IN_REMOVED, /**< the device was deleted */
    CAMP_IN_SKIP,    /**< with code and reason */
    CAMP_IN_RESTART, /**< the server began anew */
};

struct camp_input {
    enum camp_in kind;
    int64_t now_ms;
    const struct camp_report *report; /**< READ, NOTE */
    enum camp_mech mech;              /**< READ */
    enum camp_fail fail;              /**< OP_FAILED */
    bool away;                        /**< OP_FAILED: no answer, not a refusal */
    bool hard;                        /**< CANCEL: also what downloads */
    bool slot_free;                   /**< a device that comes back may go on at once */
    bool may_install;                 /**< the window is open */
    uint32_t jitter_ms;               /**< added to a retry */
    const char *code, *reason;        /**< OP_FAILED, SKIP; reason: text of a bad result, too */
};

/**
 * One input. @p row is changed only when the result is true.
 * @return the row changed and has to be stored
 */
bool camp_machine(const struct camp_policy *policy, const struct camp_input *in,
                  struct camp_row *row);

bool camp_status_final(int64_t status);
bool camp_status_slot(int64_t status);
enum camp_bucket camp_bucket_of(const struct db_campaign_device *row);
/** "queued" …; a constant. */
const char *camp_status_name(int64_t status);
/** "success" …; a constant. */
const char *camp_bucket_name(enum camp_bucket bucket);

/** deployment_state of the contract. */
const char *camp_deployment_state(const struct db_campaign_device *row, bool stopped);

/** What an event code stands for; a constant. */
const char *camp_code_text(const char *code);
