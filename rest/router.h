/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/router.h
 * @brief Request targets taken apart, and the table of routes that they are looked up in.
 *
 * Layer: rest, pure.  Threads: reentrant; a route table is constant.  Memory: results live in the
 * request's arena.  Limits: REST_SEGMENTS_MAX, REST_ARGS_MAX, REST_CAPTURES_MAX.
 * Security: targets are hostile: broken escapes, NUL and invalid UTF-8 are refused.
 * Spec: RFC3986#2.1, RFC9110#7.1.
 *
 * A pattern is literal segments, `{}` for one segment and `{*}` at the end for all that is left
 * (at least one segment). A slash at the end does not count. In /v3 and /ace-auth repeated slashes
 * count as one. Escapes are decoded within each segment, after splitting.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "rest/arena.h"

#define REST_TARGET_MAX   (16 * 1024)
#define REST_SEGMENTS_MAX 64
#define REST_ARGS_MAX     128
#define REST_CAPTURES_MAX 4

enum rest_method {
    REST_GET = 1 << 0, /**< HEAD, too */
    REST_POST = 1 << 1,
    REST_PUT = 1 << 2,
    REST_DELETE = 1 << 3,
    REST_PATCH = 1 << 4,
    REST_METHOD_NONE = 0, /**< any other */
};

enum rest_method rest_method_find(const char *name);

/** A name and value of the query, decoded. */
struct rest_arg {
    const char *name;
    const char *value;
};

/** A target taken apart. */
struct rest_target {
    char *segments[REST_SEGMENTS_MAX]; /**< decoded, NUL-terminated */
    size_t n_segments;
    struct rest_arg args[REST_ARGS_MAX]; /**< in order; a repeated name stays repeated */
    size_t n_args;
    bool v2; /**< /v2: errors are bare text */
};

/**
 * Take `path?query` apart. Scheme and authority of an absolute form are skipped. In the query an
 * escape that is broken stays as it is.
 * @retval DR_ERR_PROTO      no leading slash, a broken escape in the path, NUL, invalid UTF-8
 * @retval DR_ERR_TOO_LARGE  REST_TARGET_MAX, REST_SEGMENTS_MAX or REST_ARGS_MAX
 * @retval DR_ERR_NOMEM
 */
DR_CHECK dr_err_t rest_target_parse(const char *text, struct rest_arena *arena,
                                    struct rest_target *ret);

/** First value of an argument; NULL when absent or empty. */
const char *rest_target_arg(const struct rest_target *t, const char *name);

enum rest_role {
    REST_OPEN,  /**< no key needed */
    REST_READ,  /**< any active key */
    REST_WRITE, /**< keys of the role administrator */
};

struct rest_req;
typedef void rest_handler(struct rest_req *req);

/** As body_max: the handler runs before the body and calls rest_req_stream(). */
#define REST_BODY_STREAM SIZE_MAX

struct rest_route {
    enum rest_method method;
    enum rest_role role;
    const char *pattern; /**< "/v3/devices/{}" */
    rest_handler *handler;
    size_t body_max; /**< 0 = REST_BODY_MAX of the server; REST_BODY_STREAM */
};

/** A list of tables, looked through in order. */
struct rest_routes {
    const struct rest_route *table;
    size_t count;
};

struct rest_match {
    const struct rest_route *route;
    const char *captures[REST_CAPTURES_MAX]; /**< `{}` in order; `{*}` with a slash before each */
    size_t n_captures;
};

/**
 * Find the route. Where a literal and a `{}` both match, the first in the tables wins.
 * @param ret_allow  methods that the path has, filled with DR_ERR_UNSUPPORTED
 * @retval DR_ERR_NOT_FOUND    no pattern matches
 * @retval DR_ERR_UNSUPPORTED  patterns match but not with this method
 * @retval DR_ERR_NOMEM
 */
DR_CHECK dr_err_t rest_route_find(const struct rest_routes *const *tables, size_t n_tables,
                                  enum rest_method method, const struct rest_target *target,
                                  struct rest_arena *arena, struct rest_match *ret,
                                  unsigned *ret_allow);

/** "GET, HEAD, PUT" for a set of methods; room for REST_ALLOW_MAX. */
#define REST_ALLOW_MAX 64
void rest_allow_format(unsigned methods, char out[REST_ALLOW_MAX]);
