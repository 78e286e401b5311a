/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  db/psk.h
 * @brief Rows of pre-shared keys.
 *
 * Layer: db.  Threads: in run functions (writer) or fn functions (reader).
 * Memory: borrowed as in db/account.h; the caller wipes keys it has copied.
 * Limits: DB_PSK_*_MAX.  Security: an identity is unique in the installation, so it names the
 * account; keys never leave through a list.  Spec: RFC4279#5.1 for identity lengths.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct db_writer;
struct db_reader;

#define DB_PSK_IDENTITY_MAX 256
#define DB_PSK_KEY_MAX      64

/** What a key is for. An endpoint has at most one of each. */
enum db_psk_use {
    DB_PSK_OPERATOR = 0,     /**< put by the operator: bootstrap and, when used there, LwM2M */
    DB_PSK_BOOTSTRAPPED = 1, /**< made by us and delivered by bootstrap: LwM2M */
    DB_PSK_OFFERED = 2,      /**< the same, but the device has not registered with it yet */
};

struct db_psk {
    int64_t id;
    int64_t account;
    enum db_psk_use use;
    struct dr_bytes identity; /**< 1..DB_PSK_IDENTITY_MAX bytes */
    const char *endpoint_name;
    struct dr_bytes key; /**< 1..DB_PSK_KEY_MAX bytes; empty in lists */
    int64_t version;     /**< 1, and one more with each new key */
    int64_t created_at;  /**< unix ms */
};

typedef dr_err_t db_psk_fn(void *data, const struct db_psk *row);

/** row->version is ignored: it begins at 1. @retval DR_ERR_EXISTS  identity, or endpoint of the
 * account with that use, has a key. @retval DR_ERR_NOT_FOUND no such account */
DR_CHECK dr_err_t db_psk_insert(struct db_writer *w, const struct db_psk *row);
/** A new key for the identity that the endpoint has; the version goes up. @retval DR_ERR_NOT_FOUND
 */
DR_CHECK dr_err_t db_psk_rekey(struct db_writer *w, int64_t account, const char *endpoint_name,
                               enum db_psk_use use, struct dr_bytes key);
/** @p fn (may be NULL) gets the row before it goes. @retval DR_ERR_NOT_FOUND */
DR_CHECK dr_err_t db_psk_delete(struct db_writer *w, int64_t account, const char *endpoint_name,
                                enum db_psk_use use, db_psk_fn *fn, void *data);

/**
 * A device has registered with the key of row @p id: if that was only offered, it takes the place
 * of the delivered one before, and the device's bootstrapped_timestamp is not older than it.
 * Nothing happens for any other key.
 */
DR_CHECK dr_err_t db_psk_used(struct db_writer *w, int64_t id);

/** By identity, for a handshake: the account is what is asked for. @retval DR_ERR_NOT_FOUND */
DR_CHECK dr_err_t db_psk_find(struct db_reader *r, struct dr_bytes identity, db_psk_fn *fn,
                              void *data);
/** @retval DR_ERR_NOT_FOUND */
DR_CHECK dr_err_t db_psk_get(struct db_reader *r, int64_t account, const char *endpoint_name,
                             enum db_psk_use use, db_psk_fn *fn, void *data);
/** Operator keys of the account by id, ascending, from after @p after; without keys. */
DR_CHECK dr_err_t db_psk_list(struct db_reader *r, int64_t account, int64_t after, uint32_t limit,
                              db_psk_fn *fn, void *data);
