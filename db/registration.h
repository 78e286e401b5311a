/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  db/registration.h
 * @brief Registrations: the hot row of each device, and the path of a Register.
 *
 * Layer: db.  Threads: in run functions (writer) or fn functions (reader).
 * Memory: borrowed as in db/account.h.  Limits: DB_TEXT_MAX, DB_BLOB_MAX.
 * Security: every write carries the generation; one that is not the row's does nothing.
 * Spec: LWM2M-1.1-CORE#6.2.
 *
 * Generations: a counter of each device that only grows. A Register takes a new one; all later
 * writes of that registration name it. Deleting the device or its credential bumps it, so writes
 * on their way die with DR_ERR_STALE.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "db/device.h"

struct db_register_in {
    int64_t account;
    const char *endpoint_name;
    int64_t new_device;   /**< id of the device if it has to be made; 0: then DR_ERR_NOT_FOUND */
    int64_t event_ids[2]; /**< fresh ids for the events "created" and "registered" if they happen */
    /** 0: take the next one. Else the one that the caller claimed in memory: must be larger than
     * the row's, or equal (a repetition, which writes the same again). */
    int64_t generation;
    int64_t at_ms; /**< unix time: registered_at, last_seen */
    uint32_t lifetime_s;
    uint8_t version_major, version_minor;
    const char *binding; /**< "UQ" … */
    bool queue_mode;
    struct dr_bytes links; /**< as the caller likes to keep them */
    const char *address;   /**< remote address as text */
    int64_t credential;    /**< id of the PSK or trust anchor row, 0 = none */
    int64_t credential_version;
    const char *endpoint_type; /**< NULL = leave */
    int32_t execution_mode;    /**< of a new device: 0, 1 or 5 */
    struct dr_bytes standing;  /**< observations that the device makes itself, as the caller likes
                                  to keep them; empty for most */
    int64_t device;            /**< the one that the credential is bound to, 0 = any */
};

struct db_register_out {
    int64_t device;
    int64_t generation;
    enum db_device_state state_before; /**< of a new device DB_DEVICE_UNENROLLED */
    bool created;
};

/**
 * Find or make the device of (account, endpoint), take a generation, write the hot row; when the
 * state changes also the cold row, the event log and the counters.
 * @retval DR_ERR_STALE      @p in->generation is older than the row's
 * @retval DR_ERR_DENIED     the device is suspended
 * @retval DR_ERR_GONE       the endpoint is not (any more) the device that @p in->device names
 * @retval DR_ERR_NOT_FOUND  no such account, or no such device and new_device is 0
 */
DR_CHECK dr_err_t db_register(struct db_writer *w, const struct db_register_in *in,
                              struct db_register_out *out);

/** Bits of db_registration_update.mask. */
#define DB_REGISTRATION_LIFETIME 1U
#define DB_REGISTRATION_BINDING  2U /**< binding and queue_mode */
#define DB_REGISTRATION_LINKS    4U
#define DB_REGISTRATION_ADDRESS  8U
#define DB_REGISTRATION_STANDING 16U

struct db_registration_update {
    int64_t device;
    int64_t generation;
    int64_t at_ms; /**< last_seen */
    uint32_t mask;
    uint32_t lifetime_s;
    const char *binding;
    bool queue_mode;
    struct dr_bytes links;
    const char *address;
    struct dr_bytes standing;
};
/** What an Update changed. @retval DR_ERR_STALE  not registered with that generation */
DR_CHECK dr_err_t db_registration_update(struct db_writer *w,
                                         const struct db_registration_update *in);

struct db_touch {
    int64_t device;
    int64_t generation;
    int64_t last_seen_ms;
};
/** Refresh last_seen of many (sorted by device is fastest); stale ones are skipped, time never goes
 * back. @param ret_n  how many were written; may be NULL */
DR_CHECK dr_err_t db_registration_touch(struct db_writer *w, const struct db_touch *touch, size_t n,
                                        size_t *ret_n);

/** Why a registration ends; the state becomes deregistered in each case. */
enum db_gone { DB_GONE_DEREGISTERED, DB_GONE_EXPIRED, DB_GONE_SUSPENDED };
/** @param event_id  fresh id for the event. @retval DR_ERR_STALE  not registered with that
 * generation */
DR_CHECK dr_err_t db_deregister(struct db_writer *w, int64_t device, int64_t generation,
                                enum db_gone why, int64_t at_ms, int64_t event_id);
/**
 * Make all earlier generations stale.
 * @param ret  the new generation; 1 when the device never registered
 * @retval DR_ERR_NOT_FOUND  no such device
 */
DR_CHECK dr_err_t db_generation_bump(struct db_writer *w, int64_t account, int64_t device,
                                     int64_t *ret);

struct db_registration {
    int64_t device;
    int64_t account;
    const char *endpoint_name;
    const char *endpoint_type;
    int64_t generation;
    bool registered; /**< false: gone; the other fields are of the last registration */
    bool blocked;    /**< suspended */
    uint32_t lifetime_s;
    int64_t registered_at, last_seen, expires_at; /**< unix ms; expires_at without grace */
    uint8_t version_major, version_minor;
    const char *binding;
    bool queue_mode;
    struct dr_bytes links;
    const char *address;
    int64_t credential, credential_version;
    struct dr_bytes standing;
};

typedef dr_err_t db_registration_fn(void *data, const struct db_registration *row);

/** Of a device that has registered before. @param account  0 = any (own lookups by device id).
 * @retval DR_ERR_NOT_FOUND */
DR_CHECK dr_err_t db_registration_get(struct db_reader *r, int64_t account, int64_t device,
                                      db_registration_fn *fn, void *data);
/** @retval DR_ERR_NOT_FOUND */
DR_CHECK dr_err_t db_registration_find(struct db_reader *r, int64_t account,
                                       const char *endpoint_name, db_registration_fn *fn,
                                       void *data);
/** Registered ones of all accounts by device id, from after @p after. */
DR_CHECK dr_err_t db_registration_list(struct db_reader *r, int64_t after, uint32_t limit,
                                       db_registration_fn *fn, void *data);
/** Registered ones of all accounts with expires_at <= @p before_ms, earliest first. The caller ends
 * them with db_deregister(). */
DR_CHECK dr_err_t db_registration_expired(struct db_reader *r, int64_t before_ms, uint32_t limit,
                                          db_registration_fn *fn, void *data);
