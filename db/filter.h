/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  db/filter.h
 * @brief Conditions and paging of a list, the same for every aggregate.
 *
 * Layer: db, pure data.  Threads: reentrant.  Memory: borrowed during the call.
 * Limits: DB_CONDS_MAX conditions, DB_COND_VALUES_MAX values in one.
 * Security: field names are looked up in tables, values only ever bound.  Spec: none.
 *
 * Parsing of query strings is rest/'s; here a condition has a field name, an operator and texts.
 * Texts are read by the type of the field: an id is 32 hex digits, a time any form of
 * dr_time_parse() or a date, a truth "true"/"false"/"1"/"0", a number decimal.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define DB_CONDS_MAX       32
#define DB_COND_VALUES_MAX 256
#define DB_LIMIT_MAX       1000

enum db_op {
    DB_OP_EQ,
    DB_OP_NEQ,
    DB_OP_IN,
    DB_OP_NIN,
    DB_OP_LTE,
    DB_OP_GTE,
    DB_OP_LIKE, /**< contains, without regard to case (ASCII) */
};

struct db_cond {
    const char *field; /**< "state", "custom_attributes__site" */
    enum db_op op;
    const char *const *values; /**< one, but any number for IN and NIN */
    size_t n_values;
};

enum db_order { DB_ASC, DB_DESC };

/** Which rows of an account, from where, how many. */
struct db_query {
    int64_t account;
    const struct db_cond *conds; /**< all must hold */
    size_t n_conds;
    enum db_order order;
    int64_t after;  /**< id of the last row of the page before; 0 = from the start */
    uint32_t limit; /**< 1..DB_LIMIT_MAX; has_more is found by asking for one more: up to
                       DB_LIMIT_MAX + 1 is taken */
};

/** What a list of the kind can be filtered by. */
enum db_list {
    DB_LIST_DEVICE,
    DB_LIST_EVENT,
    DB_LIST_APIKEY,
    DB_LIST_CAMPAIGN,
    DB_LIST_IMAGE,
    DB_LIST_UPLOAD,
    DB_LIST_MANIFEST,
    DB_LIST_TRUSTED,
    DB_LIST_CERT_ENROLLMENT,
    DB_LIST_ENROLLMENT,
    DB_LIST_DENIAL,
    DB_LIST_COUNT
};

/**
 * Check conditions without a database, as when a saved query is put.
 * @retval DR_ERR_INVAL  unknown field or operator, or a value that the field cannot have; @p reterr
 * names the field
 * @retval DR_ERR_LIMIT  more than DB_CONDS_MAX or DB_COND_VALUES_MAX
 */
DR_CHECK dr_err_t db_conds_check(enum db_list list, const struct db_cond *conds, size_t n,
                                 struct dr_errinfo *reterr);
