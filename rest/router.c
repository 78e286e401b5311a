/* SPDX-License-Identifier: Apache-2.0 */
#include "rest/router.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

static const struct {
    const char *name;
    enum rest_method method;
} methods[] = {
    {"GET", REST_GET}, {"HEAD", REST_GET},      {"POST", REST_POST},
    {"PUT", REST_PUT}, {"DELETE", REST_DELETE}, {"PATCH", REST_PATCH},
};

enum rest_method rest_method_find(const char *name)
{
    dr_assert(name != NULL);
    for (size_t i = 0; i < DR_ARRAY_LEN(methods); i++) {
        if (strcmp(methods[i].name, name) == 0) {
            return methods[i].method;
        }
    }
    return REST_METHOD_NONE;
}

/* ---- targets ---- */

/* A decoded copy; a broken escape is an error (strict) or leaves the text as it is. */
static dr_err_t decode(const char *in, size_t len, bool query, struct rest_arena *arena, char **ret)
{
    char *out = rest_arena_strndup(arena, in, len);
    if (out == NULL) {
        return DR_ERR_NOMEM;
    }
    size_t n = len;
    dr_err_t err = dr_percent_decode(in, len, query, out, len, &n);
    if (err != DR_OK) {
        if (!query) {
            return DR_ERR_PROTO;
        }
        n = len;
        if (len != 0) {
            memcpy(out, in, len);
        }
    }
    out[n] = '\0';
    if (memchr(out, 0, n) != NULL || !dr_utf8_valid(out, n)) {
        return DR_ERR_PROTO;
    }
    *ret = out;
    return DR_OK;
}

static dr_err_t path_parse(const char *path, size_t len, struct rest_arena *arena,
                           struct rest_target *t)
{
    const char *p = path;
    const char *end = path + len;
    bool collapse = true; /* until the first segment says that it is /v2 */

    if (len == 0 || *p != '/') {
        return DR_ERR_PROTO;
    }
    while (p < end) {
        p++; /* the slash */
        const char *slash = memchr(p, '/', (size_t)(end - p));
        const char *stop = slash == NULL ? end : slash;
        if (stop == p && (collapse || stop == end)) {
            p = stop;
            continue;
        }
        if (t->n_segments == REST_SEGMENTS_MAX) {
            return DR_ERR_TOO_LARGE;
        }
        dr_err_t err = decode(p, (size_t)(stop - p), false, arena, &t->segments[t->n_segments]);
        if (err != DR_OK) {
            return err;
        }
        if (t->n_segments++ == 0) {
            t->v2 = strcmp(t->segments[0], "v2") == 0;
            collapse = !t->v2;
        }
        p = stop;
    }
    return DR_OK;
}

static dr_err_t query_parse(const char *query, struct rest_arena *arena, struct rest_target *t)
{
    const char *p = query;

    while (*p != '\0') {
        size_t len = strcspn(p, "&");
        const char *eq = memchr(p, '=', len);
        size_t name_len = eq == NULL ? len : (size_t)(eq - p);
        if (len != 0) {
            if (t->n_args == REST_ARGS_MAX) {
                return DR_ERR_TOO_LARGE;
            }
            char *name = NULL;
            char *value = NULL;
            dr_err_t err = decode(p, name_len, true, arena, &name);
            if (err == DR_OK) {
                const char *v = eq == NULL ? p + len : eq + 1;
                err = decode(v, (size_t)(p + len - v), true, arena, &value);
            }
            if (err != DR_OK) {
                return err;
            }
            t->args[t->n_args++] = (struct rest_arg){.name = name, .value = value};
        }
        p += len;
        p += *p == '&';
    }
    return DR_OK;
}

dr_err_t rest_target_parse(const char *text, struct rest_arena *arena, struct rest_target *ret)
{
    dr_assert(text != NULL && arena != NULL && ret != NULL);
    if (strnlen(text, REST_TARGET_MAX + 1) > REST_TARGET_MAX) {
        return DR_ERR_TOO_LARGE;
    }
    if (strncasecmp(text, "http://", 7) == 0 || strncasecmp(text, "https://", 8) == 0) {
        text = strchr(text, ':') + 3;
        text += strcspn(text, "/?#");
    }
    memset(ret, 0, sizeof *ret);
    size_t path_len = strcspn(text, "?#");
    dr_err_t err = path_parse(text, path_len, arena, ret);
    if (err == DR_OK && text[path_len] == '?') {
        err = query_parse(text + path_len + 1, arena, ret);
    }
    return err;
}

const char *rest_target_arg(const struct rest_target *t, const char *name)
{
    dr_assert(t != NULL && name != NULL);
    for (size_t i = 0; i < t->n_args; i++) {
        if (strcmp(t->args[i].name, name) == 0) {
            return t->args[i].value[0] == '\0' ? NULL : t->args[i].value;
        }
    }
    return NULL;
}

/* ---- routes ---- */

static char *join(const struct rest_target *target, size_t from, struct rest_arena *arena)
{
    size_t len = 0;
    for (size_t i = from; i < target->n_segments; i++) {
        len += 1 + strlen(target->segments[i]);
    }
    char *out = rest_arena_alloc(arena, len + 1);
    if (out == NULL) {
        return NULL;
    }
    char *p = out;
    for (size_t i = from; i < target->n_segments; i++) {
        *p++ = '/';
        p = stpcpy(p, target->segments[i]);
    }
    return out;
}

/* Does the pattern match? Captures are noted as segment numbers; *ret_tail: where {*} begins. */
static bool pattern_match(const char *pattern, const struct rest_target *target,
                          size_t captures[REST_CAPTURES_MAX], size_t *ret_n, size_t *ret_tail)
{
    size_t seg = 0;
    const char *p = pattern;

    *ret_n = 0;
    *ret_tail = 0;
    while (*p == '/') {
        p++;
        size_t len = strcspn(p, "/");
        if (len == 0) {
            break; /* "/" alone */
        }
        if (seg == target->n_segments) {
            return false;
        }
        if (len == 3 && memcmp(p, "{*}", 3) == 0) {
            *ret_tail = seg;
            return *ret_n < REST_CAPTURES_MAX;
        }
        if (len == 2 && memcmp(p, "{}", 2) == 0) {
            if (*ret_n == REST_CAPTURES_MAX) {
                return false;
            }
            captures[(*ret_n)++] = seg;
        } else if (strlen(target->segments[seg]) != len ||
                   memcmp(target->segments[seg], p, len) != 0) {
            return false;
        }
        seg++;
        p += len;
    }
    return seg == target->n_segments;
}

dr_err_t rest_route_find(const struct rest_routes *const *tables, size_t n_tables,
                         enum rest_method method, const struct rest_target *target,
                         struct rest_arena *arena, struct rest_match *ret, unsigned *ret_allow)
{
    dr_assert(tables != NULL && target != NULL && arena != NULL && ret != NULL);
    dr_assert(ret_allow != NULL);
    unsigned allow = 0;

    for (size_t t = 0; t < n_tables; t++) {
        for (size_t i = 0; i < tables[t]->count; i++) {
            const struct rest_route *route = &tables[t]->table[i];
            size_t captures[REST_CAPTURES_MAX];
            size_t n = 0;
            size_t tail = 0;
            if (!pattern_match(route->pattern, target, captures, &n, &tail)) {
                continue;
            }
            allow |= route->method;
            if (method != route->method) {
                continue;
            }
            struct rest_match m = {.route = route};
            for (size_t c = 0; c < n; c++) {
                m.captures[m.n_captures++] = target->segments[captures[c]];
            }
            if (tail != 0) {
                char *rest = join(target, tail, arena);
                if (rest == NULL) {
                    return DR_ERR_NOMEM;
                }
                m.captures[m.n_captures++] = rest;
            }
            *ret = m;
            return DR_OK;
        }
    }
    if (allow == 0) {
        return DR_ERR_NOT_FOUND;
    }
    *ret_allow = allow;
    return DR_ERR_UNSUPPORTED;
}

void rest_allow_format(unsigned set, char out[REST_ALLOW_MAX])
{
    size_t len = 0;

    out[0] = '\0';
    for (size_t i = 0; i < DR_ARRAY_LEN(methods); i++) {
        if ((set & methods[i].method) != 0) {
            int n = snprintf(out + len, REST_ALLOW_MAX - len, "%s%s", len == 0 ? "" : ", ",
                             methods[i].name);
            len += (size_t)n;
        }
    }
}
