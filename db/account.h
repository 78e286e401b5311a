/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  db/account.h
 * @brief Rows of accounts, API keys and settings.
 *
 * Layer: db.  Threads: in run functions (writer) or fn functions (reader).
 * Memory: strings are borrowed: from the caller during a call, from the store during a row
 * callback. Limits: DB_TEXT_MAX, DB_BLOB_MAX.  Security: secrets of API keys come as hashes; every
 * function but the authentication lookup takes the account.  Spec: none.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "db/filter.h"

struct db_writer;
struct db_reader;

#define DB_SECRET_HASH_LEN 32

/* ---- accounts ---- */

struct db_account {
    int64_t id;
    int64_t parent; /**< 0 = none */
    const char *display_name;
    const char *status; /**< "ACTIVE" … */
    const char *tier;   /**< "1" … */
    const char *end_market;
    const char *fields;             /**< JSON object: all the rest that can be put */
    int64_t created_at, updated_at; /**< unix ms; created_at is that of the id */
};

typedef dr_err_t db_account_fn(void *data, const struct db_account *row);

/** @retval DR_ERR_EXISTS  the id is used */
DR_CHECK dr_err_t db_account_insert(struct db_writer *w, const struct db_account *row);
/** Replace all but id, parent and created_at. @retval DR_ERR_NOT_FOUND */
DR_CHECK dr_err_t db_account_update(struct db_writer *w, const struct db_account *row);
/** @p fn once, its result is returned. @retval DR_ERR_NOT_FOUND */
DR_CHECK dr_err_t db_account_get(struct db_reader *r, int64_t account, db_account_fn *fn,
                                 void *data);
/** By id, ascending, from after @p after. */
DR_CHECK dr_err_t db_account_list(struct db_reader *r, int64_t after, uint32_t limit,
                                  db_account_fn *fn, void *data);

/* ---- API keys ---- */

enum db_role { DB_ROLE_ADMIN = 0, DB_ROLE_READONLY = 1 };

struct db_apikey {
    int64_t id;
    int64_t account;
    int64_t owner; /**< user id, 0 = none */
    const char *name;
    uint8_t secret_hash[DB_SECRET_HASH_LEN]; /**< SHA-256 of the secret */
    enum db_role role;
    bool active;
    const char *groups;             /**< JSON array of text, "[]" */
    int64_t created_at, updated_at; /**< unix ms; created_at is that of the id */
    int64_t last_login_at;          /**< 0 = never */
};

typedef dr_err_t db_apikey_fn(void *data, const struct db_apikey *row);

/** @retval DR_ERR_EXISTS  the id is used. @retval DR_ERR_NOT_FOUND  no such account */
DR_CHECK dr_err_t db_apikey_insert(struct db_writer *w, const struct db_apikey *row);
/** Replace name, owner, role, active, groups and updated_at. @retval DR_ERR_NOT_FOUND */
DR_CHECK dr_err_t db_apikey_update(struct db_writer *w, const struct db_apikey *row);
/** @retval DR_ERR_NOT_FOUND */
DR_CHECK dr_err_t db_apikey_secret_set(struct db_writer *w, int64_t account, int64_t id,
                                       const uint8_t hash[DB_SECRET_HASH_LEN], int64_t now_ms);
/** Not an error when the key is gone. */
DR_CHECK dr_err_t db_apikey_login(struct db_writer *w, int64_t account, int64_t id, int64_t now_ms);
/** @retval DR_ERR_NOT_FOUND */
DR_CHECK dr_err_t db_apikey_delete(struct db_writer *w, int64_t account, int64_t id);

/** @retval DR_ERR_NOT_FOUND */
DR_CHECK dr_err_t db_apikey_get(struct db_reader *r, int64_t account, int64_t id, db_apikey_fn *fn,
                                void *data);
/** For authentication: the account is what is asked for. @retval DR_ERR_NOT_FOUND */
DR_CHECK dr_err_t db_apikey_find(struct db_reader *r, int64_t id, db_apikey_fn *fn, void *data);
/** Fields: id, name, owner, status ("ACTIVE"/"INACTIVE"), created_at, updated_at. @see
 * db_device_list() for paging and errors. */
DR_CHECK dr_err_t db_apikey_list(struct db_reader *r, const struct db_query *query,
                                 db_apikey_fn *fn, void *data, struct dr_errinfo *reterr);
DR_CHECK dr_err_t db_apikey_count(struct db_reader *r, const struct db_query *query, int64_t *ret,
                                  struct dr_errinfo *reterr);

/* ---- settings: name and value, by account (0 = the installation) ---- */

/** @param value  text up to DB_BLOB_MAX; NULL removes it */
DR_CHECK dr_err_t db_setting_put(struct db_writer *w, int64_t account, const char *name,
                                 const char *value);
/** Create it if it is not there, else leave it. @retval DR_ERR_EXISTS */
DR_CHECK dr_err_t db_setting_add(struct db_writer *w, int64_t account, const char *name,
                                 const char *value);
typedef dr_err_t db_setting_fn(void *data, const char *name, const char *value);
/** @retval DR_ERR_NOT_FOUND */
DR_CHECK dr_err_t db_setting_get(struct db_reader *r, int64_t account, const char *name,
                                 db_setting_fn *fn, void *data);
/** All whose name begins with @p prefix, in order. */
DR_CHECK dr_err_t db_setting_list(struct db_reader *r, int64_t account, const char *prefix,
                                  db_setting_fn *fn, void *data);
