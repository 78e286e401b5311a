/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  db/subscription.h
 * @brief Subscriptions of devices' resources, pre-subscriptions, and the value cache.
 *
 * Layer: db.  Threads: in run functions (writer) or fn functions (reader).
 * Memory: borrowed as in db/account.h.  Limits: DB_TEXT_MAX, DB_BLOB_MAX.
 * Security: the account is checked where a row has one.  Spec: Pelion Connect REST contract.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct db_writer;
struct db_reader;

/* ---- subscriptions: (device, path, key) is unique ---- */

struct db_subscription {
    int64_t account, device;
    int64_t key; /**< API key that subscribed */
    const char *path;
    bool presub;        /**< made by a pre-subscription */
    int64_t created_at; /**< unix ms */
};

typedef dr_err_t db_subscription_fn(void *data, const struct db_subscription *row);

/** @retval DR_ERR_EXISTS. @retval DR_ERR_NOT_FOUND  the device is not in the account */
DR_CHECK dr_err_t db_subscription_insert(struct db_writer *w, const struct db_subscription *row);
/** @param path NULL = all of the device. @param key 0 = of any key. @param ret_n may be NULL */
DR_CHECK dr_err_t db_subscription_delete(struct db_writer *w, int64_t account, int64_t device,
                                         const char *path, int64_t key, uint32_t *ret_n);
/** The manual ones of a device, at its full registration. @param ret_n may be NULL */
DR_CHECK dr_err_t db_subscription_delete_manual(struct db_writer *w, int64_t device,
                                                uint32_t *ret_n);
/** All of a key, when it is deleted. @param ret_n may be NULL */
DR_CHECK dr_err_t db_subscription_delete_key(struct db_writer *w, int64_t account, int64_t key,
                                             uint32_t *ret_n);
/** Of one device by path and key. */
DR_CHECK dr_err_t db_subscription_list(struct db_reader *r, int64_t account, int64_t device,
                                       db_subscription_fn *fn, void *data);

/* ---- pre-subscriptions: an ordered list of each key ---- */

typedef dr_err_t db_presubscription_fn(void *data, int64_t account, int64_t key, uint32_t order,
                                       const char *json);
/** Replace the list of (account, key) by @p n entries; n = 0 clears. */
DR_CHECK dr_err_t db_presubscription_replace(struct db_writer *w, int64_t account, int64_t key,
                                             const char *const *json, size_t n);
/** By account, key, order. @param account  0 = all: for the start. @param key  0 = all */
DR_CHECK dr_err_t db_presubscription_list(struct db_reader *r, int64_t account, int64_t key,
                                          db_presubscription_fn *fn, void *data);

/* ---- cache: one row a device with all its values ---- */

struct db_cache {
    int64_t device;
    int64_t generation;
    int64_t updated_at; /**< unix ms */
    struct dr_bytes blob;
};

typedef dr_err_t db_cache_fn(void *data, const struct db_cache *row);

/** Replace the rows of many devices; those whose generation is not the device's are skipped.
 * @param ret_n  how many were written; may be NULL */
DR_CHECK dr_err_t db_cache_put(struct db_writer *w, const struct db_cache *rows, size_t n,
                               size_t *ret_n);
DR_CHECK dr_err_t db_cache_delete(struct db_writer *w, int64_t device);
/** @retval DR_ERR_NOT_FOUND */
DR_CHECK dr_err_t db_cache_get(struct db_reader *r, int64_t device, db_cache_fn *fn, void *data);
