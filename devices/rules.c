/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/rules.h"

#include <string.h>

#include "base/ids.h"
#include "devices/dev.h"

void dev_location_format(int64_t device, char out[DEV_LOCATION_ID_LEN + 1])
{
    static const char digits[] = "0123456789abcdef";
    uint64_t v = (uint64_t)device;

    for (int i = DEV_LOCATION_ID_LEN - 1; i >= 0; i--) {
        out[i] = digits[v & 15U];
        v >>= 4;
    }
    out[DEV_LOCATION_ID_LEN] = '\0';
}

dr_err_t dev_location_parse(const uint8_t *text, size_t len, int64_t *ret)
{
    if (len == DR_ID_LEN) {
        return dr_id_parse((const char *)text, len, ret);
    }
    if (len != DEV_LOCATION_ID_LEN) {
        return DR_ERR_PROTO;
    }
    uint64_t v = 0;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = text[i];
        if (c >= '0' && c <= '9') {
            v = v << 4 | (uint64_t)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            v = v << 4 | (uint64_t)(c - 'a' + 10);
        } else {
            return DR_ERR_PROTO;
        }
    }
    if (v == 0 || v > INT64_MAX) {
        return DR_ERR_PROTO;
    }
    *ret = (int64_t)v;
    return DR_OK;
}

static bool opt_is(const struct cx_opt *opt, const char *text)
{
    size_t len = strlen(text);

    return opt->len == len && memcmp(opt->val, text, len) == 0;
}

enum dev_target dev_target_of(const struct cx_pdu *pdu, int64_t *ret_device, bool *ret_query)
{
    struct cx_opt_iter it = cx_opt_begin(pdu);
    struct cx_opt opt;
    struct cx_opt seg[3];
    size_t n = 0;

    *ret_query = false;
    while (cx_opt_next(&it, &opt)) {
        if (opt.num >= CX_OPT_URI_QUERY) {
            *ret_query = opt.num == CX_OPT_URI_QUERY;
            break; /* options come in order */
        }
        if (opt.num != CX_OPT_URI_PATH) {
            continue;
        }
        if (n == DR_ARRAY_LEN(seg)) {
            return DEV_TARGET_NONE;
        }
        seg[n++] = opt;
    }
    if (n == 1 && opt_is(&seg[0], "dp")) {
        return DEV_TARGET_DP;
    }
    if (n == 0 || !opt_is(&seg[0], "rd")) {
        return DEV_TARGET_NONE;
    }
    if (n == 1) {
        return DEV_TARGET_RD;
    }
    int64_t id;
    if (dev_location_parse(seg[n - 1].val, seg[n - 1].len, &id) != DR_OK) {
        id = 0; /* a location that was never ours */
    }
    *ret_device = id;
    return DEV_TARGET_LOCATION;
}

dr_err_t dev_uri_parse(const char *uri, struct dev_uri *ret)
{
    size_t len = strnlen(uri, DEV_PATH_MAX + 1);

    if (len > DEV_PATH_MAX) {
        return DR_ERR_RANGE;
    }
    const char *query = memchr(uri, '?', len);
    size_t path_len = query == NULL ? len : (size_t)(query - uri);
    struct lwm2m_path path;
    dr_err_t err = lwm2m_path_parse(uri, path_len, &path);
    if (err != DR_OK) {
        return err;
    }
    if (path.depth == 0) {
        return DR_ERR_PROTO;
    }
    ret->path = path;
    ret->query = query == NULL ? NULL : query + 1;
    return DR_OK;
}

bool dev_path_listed(const struct lwm2m_links *links, const struct lwm2m_path *path, bool create)
{
    const struct lwm2m_link *above = NULL; /* the deepest link over path */
    bool above_has_more = false;

    if (create) {
        return lwm2m_links_has_object(links, path->id[0]);
    }
    for (size_t i = 0; i < links->count; i++) {
        const struct lwm2m_link *link = &links->items[i];
        if (link->device.len != 0 || link->deleted || link->path.depth == 0) {
            continue;
        }
        if (lwm2m_path_has_prefix(&link->path, path)) {
            return true;
        }
        /* ascending order: a parent comes before its children, a deeper parent later */
        if (lwm2m_path_has_prefix(path, &link->path)) {
            above = link;
            above_has_more = false;
        } else if (above != NULL && lwm2m_path_has_prefix(&link->path, &above->path)) {
            above_has_more = true;
        }
    }
    if (above == NULL || above_has_more) {
        return false;
    }
    /* the children of a link that stand before a deeper one were counted for the outer link only */
    return true;
}

bool dev_pattern_match(const char *pattern, const char *text)
{
    size_t len = strlen(pattern);

    if (len == 0) {
        return true;
    }
    if (pattern[len - 1] == '*') {
        return strncmp(pattern, text, len - 1) == 0;
    }
    return strcmp(pattern, text) == 0;
}

int dev_status_of_code(uint8_t code)
{
    static const struct {
        uint8_t code;
        int status;
    } rows[] = {
        {CX_NOT_FOUND, 404},          {CX_PRECONDITION, 412}, {CX_TOO_LARGE, 413},
        {CX_UNSUPPORTED_FORMAT, 415}, {CX_UNAVAILABLE, 503},  {CX_CODE(5, 4), 504},
    };

    for (size_t i = 0; i < DR_ARRAY_LEN(rows); i++) {
        if (rows[i].code == code) {
            return rows[i].status;
        }
    }
    switch (code >> 5) {
    case 2:
        return 200;
    case 4:
        return 400;
    default:
        return 502;
    }
}

int dev_status_of_err(dr_err_t err, const char **ret_error)
{
    switch (err) {
    case DR_ERR_TIMEOUT:
        *ret_error = "TIMEOUT";
        return 504;
    case DR_ERR_GONE:
    case DR_ERR_MOVED:
    case DR_ERR_ASLEEP:
        *ret_error = "NOT_CONNECTED";
        return 503;
    case DR_ERR_TOO_LARGE:
        *ret_error = "TOO_LARGE";
        return 413;
    case DR_ERR_UNSUPPORTED:
        *ret_error = "UNSUPPORTED_CONTENT_TYPE";
        return 415;
    case DR_ERR_INVAL:
    case DR_ERR_RANGE:
        *ret_error = "BAD_REQUEST";
        return 400;
    default:
        *ret_error = "CONNECTION_FAILED";
        return 502;
    }
}
