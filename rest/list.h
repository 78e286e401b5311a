/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/list.h
 * @brief One way through every list: page, filters, rows, total.
 *
 * Layer: rest.  Threads: start on the control loop, rows and count on a reading thread.
 * Memory: the operation lives in the request's arena.  Limits: REST_PAGE_LIMIT_MAX rows.
 * Security: the account of the API key is in every query.  Spec: Pelion REST list conventions.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "db/db.h"
#include "db/filter.h"
#include "rest/filter.h"
#include "rest/req.h"

struct rest_list_op;

/** What is particular to a list. */
struct rest_list_kind {
    enum db_list list;
    const char *const *fields;
    size_t n_fields;
    /** Emit op->query's rows: for each one rest_list_row(), and when that is true its JSON. */
    dr_err_t (*rows)(struct db_reader *r, struct rest_list_op *op);
    dr_err_t (*count)(struct db_reader *r, struct rest_list_op *op, int64_t *ret);
    /** May the count be asked for each time? NULL: always. */
    bool (*count_is_cheap)(const struct db_query *query);
    /** Change the conditions before they are checked; false = answered. NULL: nothing to do. */
    bool (*conditions)(struct rest_req *req, struct rest_filter *filter);
};

struct rest_list_op {
    struct db_read read;
    struct rest_req *req;
    const struct rest_list_kind *kind;
    struct rest_filter filter;
    struct rest_page page;
    struct db_query query;
    struct dr_dynbuf out;
    struct dr_errinfo info;
    uint32_t rows;
    bool has_more;
    bool counted; /**< total was computed: remember it */
    int64_t total;
    uint64_t count_key;
};

/** Parse the query of @p req and answer with the list. */
void rest_list_start(struct rest_req *req, const struct rest_list_kind *kind);

/** One row came: should it be written? */
bool rest_list_row(struct rest_list_op *op);
