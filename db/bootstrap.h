/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  db/bootstrap.h
 * @brief Bootstrap policies, and what a bootstrap writes into the directory.
 *
 * Layer: db.  Threads: in run functions (writer) or fn functions (reader).
 * Memory: borrowed as in db/account.h.  Limits: DB_BOOT_POLICIES_MAX, DB_TEXT_MAX.
 * Security: every function takes the account; a row of another is DR_ERR_NOT_FOUND.
 * Spec: Pelion Device Directory REST contract for the states.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "db/device.h"

struct db_writer;
struct db_reader;
struct db_psk;

/** Policies of one account: all are looked through at each bootstrap. */
#define DB_BOOT_POLICIES_MAX 256

/** For whom a policy is; a later one is stronger. */
enum db_boot_scope {
    DB_BOOT_SCOPE_ACCOUNT = 0,  /**< every device */
    DB_BOOT_SCOPE_ENROLLED = 1, /**< devices that came by the enrolment list */
    DB_BOOT_SCOPE_ENDPOINT = 2, /**< endpoint names that a pattern matches; the longest one wins */
};

/** What keys a device gets. */
enum db_boot_security {
    DB_BOOT_AUTO = 0, /**< what it came with: a PSK for a PSK, a certificate for a certificate */
    DB_BOOT_PSK = 1,
    DB_BOOT_X509 = 2, /**< key made by the server */
    DB_BOOT_EST = 3,  /**< key made by the device */
    DB_BOOT_NOSEC = 4,
};

/** What is deleted on the device before the writes. */
enum db_boot_reset {
    DB_BOOT_RESET_SERVERS = 0, /**< /0, /1 */
    DB_BOOT_RESET_ALL = 1,     /**< all that the device lets go of */
    DB_BOOT_RESET_NONE = 2,    /**< nothing: accounts of other servers stay */
};

struct db_boot_policy {
    int64_t id;
    int64_t account;
    enum db_boot_scope scope;
    const char *pattern; /**< DB_BOOT_SCOPE_ENDPOINT: name, '*' stands for any text; else "" */
    int64_t updated_at;  /**< unix ms */
    const char *name;
    const char *server_uri; /**< "" = the public address of this server */
    uint32_t lifetime_s;
    const char *binding;
    enum db_boot_security security;
    uint16_t short_server_id;
    int32_t hold_off_s; /**< negative = not written, like the next two */
    int32_t pmin_s, pmax_s;
    bool store;
    enum db_boot_reset reset;
    bool verify;         /**< read /1 back before Finish */
    const char *objects; /**< JSON array of further resources */
};

/** The values of an account without policies. */
#define DB_BOOT_LIFETIME_DEFAULT 86400
#define DB_BOOT_SSID_DEFAULT     101
extern const struct db_boot_policy db_boot_policy_default;

typedef dr_err_t db_boot_policy_fn(void *data, const struct db_boot_policy *row);

/**
 * Insert, or replace the policy that the account has for that scope and pattern (its id stays).
 * @param ret_id  id of the row
 * @retval DR_ERR_LIMIT      DB_BOOT_POLICIES_MAX
 * @retval DR_ERR_NOT_FOUND  no such account
 */
DR_CHECK dr_err_t db_boot_policy_put(struct db_writer *w, const struct db_boot_policy *row,
                                     int64_t *ret_id);
/** @retval DR_ERR_NOT_FOUND */
DR_CHECK dr_err_t db_boot_policy_delete(struct db_writer *w, int64_t account, int64_t id);
/** @retval DR_ERR_NOT_FOUND */
DR_CHECK dr_err_t db_boot_policy_get(struct db_reader *r, int64_t account, int64_t id,
                                     db_boot_policy_fn *fn, void *data);
/** By id, ascending, from after @p after. */
DR_CHECK dr_err_t db_boot_policy_list(struct db_reader *r, int64_t account, int64_t after,
                                      uint32_t limit, db_boot_policy_fn *fn, void *data);
/** The strongest policy for a device, or db_boot_policy_default; @p fn once. */
DR_CHECK dr_err_t db_boot_policy_find(struct db_reader *r, int64_t account,
                                      const char *endpoint_name, bool enrolled,
                                      db_boot_policy_fn *fn, void *data);
/** Does @p text match @p pattern, in which each '*' stands for any text? */
bool db_boot_pattern_match(const char *pattern, const char *text);

/* ---- the directory ---- */

struct db_boot_begin {
    int64_t account;
    const char *endpoint_name;
    int64_t new_device;   /**< id of the device if it has to be made */
    int64_t event_ids[2]; /**< for "created" and for the change of state */
    int64_t at_ms;
    int32_t execution_mode; /**< of a new device: 0, 1 or 5 */
};

/**
 * A device begins to bootstrap: find or make its row; one that was never connected becomes
 * "cloud_enrolling".
 * @param ret  id of the device
 * @retval DR_ERR_DENIED     suspended
 * @retval DR_ERR_NOT_FOUND  no such account
 */
DR_CHECK dr_err_t db_boot_begin(struct db_writer *w, const struct db_boot_begin *in, int64_t *ret);

/**
 * Store a key that is about to be confirmed by Finish, as DB_PSK_OFFERED; one offered before goes.
 * @retval DR_ERR_NOT_FOUND  the device has been deleted meanwhile
 * @retval DR_ERR_EXISTS     the identity is used
 */
DR_CHECK dr_err_t db_boot_offer(struct db_writer *w, int64_t device, const struct db_psk *row);

struct db_boot_finish {
    int64_t account, device;
    int64_t event_id;
    int64_t at_ms;
    /* "" = leave */
    const char *device_key, *ca_id, *issuer_fingerprint;
    const char *bootstrap_expiration_date, *connector_expiration_date;
    int32_t execution_mode; /**< -1 = leave */
};
/**
 * A device has all it needs: state "bootstrapped" unless its registration is alive, and
 * bootstrapped_timestamp, which only grows.
 * @retval DR_ERR_NOT_FOUND
 */
DR_CHECK dr_err_t db_boot_finish(struct db_writer *w, const struct db_boot_finish *in);
