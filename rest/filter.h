/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/filter.h
 * @brief Filters and paging of list calls: query arguments to conditions.
 *
 * Layer: rest, pure.  Threads: reentrant.  Memory: results live in the request's arena.
 * Limits: DB_CONDS_MAX, DB_COND_VALUES_MAX, REST_PAGE_LIMIT_MAX.
 * Security: arguments are hostile and never asserted on.  Spec: Pelion REST list conventions.
 *
 * A condition is `field`, `field__op` or `custom_attributes__name__op`, given as an argument of the
 * query or inside of the argument `filter`, whose parts are separated by `&` and whose values are
 * percent-decoded once more.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "db/filter.h"
#include "rest/arena.h"
#include "rest/json.h"
#include "rest/router.h"

struct rest_filter {
    struct db_cond conds[DB_CONDS_MAX]; /**< names and values live in the arena */
    size_t count;
};

/**
 * Read all conditions of a target. Where a field has an `eq`, its `neq` are dropped. Arguments
 * without value are ignored, and so are names that no filter could have. Whether the values fit
 * their fields is for db_conds_check() to say.
 * @param fields  names that can be filtered by; one that ends in `__` is a map, whose member
 * follows
 * @param ret     filled on success
 * @param errors  filled with DR_ERR_INVAL
 * @retval DR_ERR_INVAL  unknown field or operator in what looks like a condition, or too much
 * @retval DR_ERR_NOMEM
 */
DR_CHECK dr_err_t rest_filter_parse(const struct rest_target *target, const char *const *fields,
                                    size_t n_fields, struct rest_arena *arena,
                                    struct rest_filter *ret, struct rest_field_errors *errors);

/**
 * The packed form alone ("state=registered&name__in=a,b"), as saved queries and device filters
 * have it. Every part must be a condition. Errors as rest_filter_parse().
 */
DR_CHECK dr_err_t rest_filter_parse_packed(const char *text, const char *const *fields,
                                           size_t n_fields, struct rest_arena *arena,
                                           struct rest_filter *ret,
                                           struct rest_field_errors *errors);

/* ---- paging ---- */

#define REST_PAGE_LIMIT_MIN     2
#define REST_PAGE_LIMIT_DEFAULT 50
#define REST_PAGE_LIMIT_MAX     1000

struct rest_page {
    uint32_t limit; /**< clamped */
    bool desc;
    const char *after_text; /**< as given, or NULL */
    int64_t after;          /**< id, 0 = from the start */
};

/**
 * limit, order and after. A limit that is no number counts as absent.
 * @param text_after  `after` is a text of the service's own: it is not read as an id
 * @retval DR_ERR_INVAL  `after` is not an id; noted in @p errors
 */
DR_CHECK dr_err_t rest_page_parse(const struct rest_target *target, bool text_after,
                                  struct rest_page *ret, struct rest_field_errors *errors);

/** Is @p word in the comma list `include` (blanks around words do not count)? */
bool rest_page_includes(const struct rest_target *target, const char *word);

/** Open the envelope up to and with `"data":[`; items follow. */
void rest_list_begin(struct rest_json *j, const struct rest_page *page);
/** Close it. @p total < 0: without total_count. */
void rest_list_end(struct rest_json *j, bool has_more, int64_t total);
