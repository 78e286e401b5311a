/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  db/filter_priv.h
 * @brief Lists and counts under conditions: from field tables to SQL, choosing the index.
 *
 * Layer: db, private.  Threads: reading threads.  Memory: frees what it takes.
 * Limits: FILTER_VALUES_MAX values in all conditions.
 * Security: only names from the tables get into SQL text.  Spec: none.
 */
#pragma once

#include "db/conn_priv.h"
#include "db/filter.h"

#define FILTER_VALUES_MAX 1024
#define FILTER_UUID_LEN   32

enum filter_kind {
    FILTER_TEXT,
    FILTER_UUID,
    FILTER_JSON, /**< a map: only its members can be asked for */
    FILTER_INT,
    FILTER_BOOL,
    FILTER_TIME,
    FILTER_STATE,
    FILTER_ID,
    FILTER_IDTIME,  /**< time inside the id: ranges become ranges of ids */
    FILTER_BLOCKED, /**< lifecycle_status */
    FILTER_ACTIVE,  /**< status of an API key */
};

typedef dr_err_t filter_id_fn(void *data, int64_t id);

/** @p fn for each id of the page. */
DR_CHECK dr_err_t filter_page(struct db_reader *r, enum db_list list, const struct db_query *query,
                              filter_id_fn *fn, void *data, struct dr_errinfo *reterr);
/** As filter_page() without a bound on query->limit; rows come while the statement is open. */
DR_CHECK dr_err_t filter_ids(struct db_reader *r, enum db_list list, const struct db_query *query,
                             filter_id_fn *fn, void *data, struct dr_errinfo *reterr);
DR_CHECK dr_err_t filter_count(struct db_reader *r, enum db_list list, const struct db_query *query,
                               int64_t *ret, struct dr_errinfo *reterr);

/**
 * A UUID without dashes in lower case into @p out; a text that is no UUID stays as it is.
 * @return @p out or @p in
 */
const char *filter_uuid(const char *in, char out[FILTER_UUID_LEN + 1]);
