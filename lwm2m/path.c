/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/path.h"

#include <string.h>

/*
 * Text form: "/3/0/1". Key form, most significant 16 bits first, each id + 1:
 *   /3/0/1 = 0004 0001 0002 0000
 */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* One decimal id at text[*pos]; the cursor moves behind it. */
static dr_err_t id_parse(const char *text, size_t len, size_t *pos, bool strict, uint16_t *ret)
{
    size_t start = *pos, i = start;
    uint32_t n = 0;

    while (i < len && is_digit(text[i])) {
        n = n * 10 + (uint32_t)(text[i] - '0');
        if (n > LWM2M_ID_MAX) {
            return DR_ERR_RANGE;
        }
        i++;
    }
    if (i == start || (strict && text[start] == '0' && i - start > 1)) {
        return DR_ERR_PROTO;
    }
    *pos = i;
    *ret = (uint16_t)n;
    return DR_OK;
}

dr_err_t lwm2m_path_parse(const char *text, size_t len, struct lwm2m_path *ret)
{
    dr_assert(ret != NULL && (text != NULL || len == 0));

    struct lwm2m_path path = {.depth = 0};
    size_t pos = 1;

    if (len == 0 || text[0] != '/') {
        return DR_ERR_PROTO;
    }
    while (pos < len) {
        uint16_t id = 0;
        dr_err_t err = id_parse(text, len, &pos, true, &id);
        if (err != DR_OK) {
            return err;
        }
        if (path.depth == LWM2M_PATH_DEPTH_MAX) {
            return DR_ERR_RANGE;
        }
        path.id[path.depth++] = id;
        if (pos == len) {
            break;
        }
        if (text[pos] != '/' || pos + 1 == len) {
            return DR_ERR_PROTO;
        }
        pos++;
    }
    *ret = path;
    return DR_OK;
}

dr_err_t lwm2m_path_parse_tolerant(const char *text, size_t len, struct lwm2m_path *ret)
{
    dr_assert(ret != NULL && (text != NULL || len == 0));

    struct lwm2m_path path = {.depth = 0};
    size_t pos = 0;

    while (len > 0 && is_blank(text[len - 1])) {
        len--;
    }
    while (pos < len && is_blank(text[pos])) {
        pos++;
    }
    for (;;) {
        while (pos < len && text[pos] == '/') {
            pos++;
        }
        if (pos == len) {
            break;
        }
        uint16_t id = 0;
        dr_err_t err = id_parse(text, len, &pos, false, &id);
        if (err != DR_OK) {
            return err;
        }
        if (path.depth == LWM2M_PATH_DEPTH_MAX) {
            return DR_ERR_RANGE;
        }
        path.id[path.depth++] = id;
        if (pos < len && text[pos] != '/') {
            return DR_ERR_PROTO;
        }
    }
    *ret = path;
    return DR_OK;
}

size_t lwm2m_path_format(const struct lwm2m_path *path, char out[LWM2M_PATH_STR_MAX])
{
    dr_assert(path != NULL && out != NULL && path->depth <= LWM2M_PATH_DEPTH_MAX);

    size_t n = 0;

    if (path->depth == 0) {
        out[n++] = '/';
    }
    for (unsigned level = 0; level < path->depth; level++) {
        char digits[5];
        size_t k = 0;
        uint32_t id = path->id[level];

        do {
            digits[k++] = (char)('0' + id % 10);
            id /= 10;
        } while (id > 0);
        out[n++] = '/';
        while (k > 0) {
            out[n++] = digits[--k];
        }
    }
    out[n] = '\0';
    return n;
}

int lwm2m_path_cmp(const struct lwm2m_path *a, const struct lwm2m_path *b)
{
    uint64_t ka = lwm2m_path_pack(a), kb = lwm2m_path_pack(b);

    return (ka > kb) - (ka < kb);
}

bool lwm2m_path_eq(const struct lwm2m_path *a, const struct lwm2m_path *b)
{
    return lwm2m_path_pack(a) == lwm2m_path_pack(b);
}

bool lwm2m_path_has_prefix(const struct lwm2m_path *path, const struct lwm2m_path *prefix)
{
    dr_assert(path != NULL && prefix != NULL);

    if (path->depth < prefix->depth) {
        return false;
    }
    for (unsigned level = 0; level < prefix->depth; level++) {
        if (path->id[level] != prefix->id[level]) {
            return false;
        }
    }
    return true;
}

dr_err_t lwm2m_path_child(const struct lwm2m_path *path, uint16_t id, struct lwm2m_path *ret)
{
    dr_assert(path != NULL && ret != NULL && path->depth <= LWM2M_PATH_DEPTH_MAX);

    if (path->depth == LWM2M_PATH_DEPTH_MAX || id > LWM2M_ID_MAX) {
        return DR_ERR_RANGE;
    }
    struct lwm2m_path child = *path;
    child.id[child.depth++] = id;
    *ret = child;
    return DR_OK;
}

struct lwm2m_path lwm2m_path_cut(const struct lwm2m_path *path, unsigned depth)
{
    dr_assert(path != NULL);

    struct lwm2m_path cut = {.depth = 0};

    while (cut.depth < path->depth && cut.depth < depth) {
        cut.id[cut.depth] = path->id[cut.depth];
        cut.depth++;
    }
    return cut;
}

uint64_t lwm2m_path_pack(const struct lwm2m_path *path)
{
    dr_assert(path != NULL && path->depth <= LWM2M_PATH_DEPTH_MAX);

    uint64_t key = 0;

    for (unsigned level = 0; level < LWM2M_PATH_DEPTH_MAX; level++) {
        uint64_t digit = level < path->depth ? (uint64_t)path->id[level] + 1 : 0;
        key = key << 16 | (digit & 0xffff);
    }
    return key;
}

uint64_t lwm2m_path_pack_last(const struct lwm2m_path *path)
{
    uint64_t key = lwm2m_path_pack(path);

    return path->depth == LWM2M_PATH_DEPTH_MAX ? key : key | (UINT64_MAX >> (16 * path->depth));
}

dr_err_t lwm2m_path_unpack(uint64_t key, struct lwm2m_path *ret)
{
    dr_assert(ret != NULL);

    struct lwm2m_path path = {.depth = 0};

    for (unsigned level = 0; level < LWM2M_PATH_DEPTH_MAX; level++) {
        uint16_t digit = (uint16_t)(key >> (48 - 16 * level));
        if (digit == 0) {
            continue;
        }
        if (path.depth != level) {
            return DR_ERR_PROTO;
        }
        path.id[path.depth++] = (uint16_t)(digit - 1);
    }
    *ret = path;
    return DR_OK;
}
