/* SPDX-License-Identifier: Apache-2.0 */
#include "rest/filter.h"

#include <string.h>

#include "base/ids.h"
#include "base/text.h"

static const char *const op_names[] = {
    [DB_OP_EQ] = "eq",   [DB_OP_NEQ] = "neq", [DB_OP_IN] = "in",     [DB_OP_NIN] = "nin",
    [DB_OP_LTE] = "lte", [DB_OP_GTE] = "gte", [DB_OP_LIKE] = "like",
};

/* Everything that one parse needs. */
struct parse {
    const char *const *fields;
    size_t n_fields;
    struct rest_arena *arena;
    struct rest_filter *filter;
    struct rest_field_errors *errors;
};

static int op_find(const char *name)
{
    for (size_t i = 0; i < DR_ARRAY_LEN(op_names); i++) {
        if (strcmp(op_names[i], name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

/* The last "__" of the name, or NULL. */
static const char *last_separator(const char *name)
{
    const char *at = NULL;

    for (const char *p = strstr(name, "__"); p != NULL; p = strstr(p + 1, "__")) {
        at = p;
    }
    return at;
}

static bool is_map(const char *field, size_t len)
{
    return len > 2 && memcmp(field + len - 2, "__", 2) == 0;
}

static bool field_known(const struct parse *ps, const char *name, size_t len)
{
    for (size_t i = 0; i < ps->n_fields; i++) {
        const char *f = ps->fields[i];
        if (strlen(f) == len && !is_map(f, len) && memcmp(f, name, len) == 0) {
            return true;
        }
    }
    return false;
}

/* Length of the map's name that the name begins with, 0 = none. */
static size_t map_prefix(const struct parse *ps, const char *name)
{
    for (size_t i = 0; i < ps->n_fields; i++) {
        size_t len = strlen(ps->fields[i]);
        if (is_map(ps->fields[i], len) && strncmp(name, ps->fields[i], len) == 0 &&
            name[len] != '\0') {
            return len;
        }
    }
    return 0;
}

/* Name to field and operator. DR_ERR_AGAIN: outside of the grammar. */
static dr_err_t name_parse(const struct parse *ps, const char *name, struct db_cond *ret)
{
    const char *sep = last_separator(name);
    int op = sep == NULL ? DB_OP_EQ : op_find(sep + 2);
    size_t map = map_prefix(ps, name);
    size_t len = sep == NULL ? strlen(name) : (size_t)(sep - name);

    if (map != 0 && (op < 0 || len < map + 1)) {
        op = DB_OP_EQ; /* "__" within the member's name, or no operator */
        len = strlen(name);
    }
    if (map == 0 && !field_known(ps, name, len)) {
        if (sep == NULL || op < 0) {
            return DR_ERR_AGAIN;
        }
        rest_field_error_add(ps->errors, name, "unknown field");
        return DR_ERR_INVAL;
    }
    if (op < 0) {
        rest_field_error_add(ps->errors, name, "unknown operator");
        return DR_ERR_INVAL;
    }
    char *field = rest_arena_strndup(ps->arena, name, len);
    if (field == NULL) {
        return DR_ERR_NOMEM;
    }
    *ret = (struct db_cond){.field = field, .op = (enum db_op)op};
    return DR_OK;
}

static dr_err_t values_parse(const struct parse *ps, const char *name, const char *text,
                             struct db_cond *cond)
{
    bool several = cond->op == DB_OP_IN || cond->op == DB_OP_NIN;
    size_t n = 1;

    for (const char *p = text; several && *p != '\0'; p++) {
        n += *p == ',';
    }
    if (n > DB_COND_VALUES_MAX) {
        rest_field_error_add(ps->errors, name, "more than %d values", DB_COND_VALUES_MAX);
        return DR_ERR_INVAL;
    }
    const char **values = rest_arena_array(ps->arena, n, sizeof *values);
    char *copy = rest_arena_strndup(ps->arena, text, strlen(text));
    if (values == NULL || copy == NULL) {
        return DR_ERR_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        size_t len = several ? strcspn(copy, ",") : strlen(copy);
        bool last = copy[len] == '\0';
        copy[len] = '\0';
        values[i] = copy;
        copy += last ? len : len + 1;
    }
    cond->values = values;
    cond->n_values = n;
    return DR_OK;
}

/* One name and value. @p strict: it must be a condition. */
static dr_err_t cond_parse(const struct parse *ps, const char *name, const char *value, bool strict)
{
    struct db_cond cond = {0};
    dr_err_t err = name_parse(ps, name, &cond);

    if (err == DR_ERR_AGAIN) {
        if (!strict) {
            return DR_OK;
        }
        rest_field_error_add(ps->errors, name, "unknown field");
        return DR_ERR_INVAL;
    }
    if (err != DR_OK || value[0] == '\0') {
        return err;
    }
    if (ps->filter->count == DB_CONDS_MAX) {
        rest_field_error_add(ps->errors, name, "more than %d conditions", DB_CONDS_MAX);
        return DR_ERR_INVAL;
    }
    err = values_parse(ps, name, value, &cond);
    if (err == DR_OK) {
        ps->filter->conds[ps->filter->count++] = cond;
    }
    return err;
}

/* A copy with its escapes taken off; with a broken one, the text as it is. */
static char *decode_again(struct rest_arena *arena, const char *in, size_t len)
{
    char *out = rest_arena_strndup(arena, in, len);
    size_t n = 0;

    if (out == NULL) {
        return NULL;
    }
    if (dr_percent_decode(in, len, true, out, len, &n) == DR_OK && memchr(out, 0, n) == NULL &&
        dr_utf8_valid(out, n)) {
        out[n] = '\0';
    } else if (len != 0) {
        memcpy(out, in, len);
    }
    return out;
}

static dr_err_t packed_parse(const struct parse *ps, const char *text)
{
    dr_err_t err = DR_OK;

    while (*text != '\0' && err == DR_OK) {
        size_t len = strcspn(text, "&");
        const char *eq = memchr(text, '=', len);
        size_t name_len = eq == NULL ? len : (size_t)(eq - text);
        if (len != 0) {
            char *name = decode_again(ps->arena, text, name_len);
            const char *v = eq == NULL ? text + len : eq + 1;
            char *value = decode_again(ps->arena, v, (size_t)(text + len - v));
            if (name == NULL || value == NULL) {
                return DR_ERR_NOMEM;
            }
            err = cond_parse(ps, name, value, true);
        }
        text += len;
        text += *text == '&';
    }
    return err;
}

static bool has_eq(const struct rest_filter *f, const char *field)
{
    for (size_t i = 0; i < f->count; i++) {
        if (f->conds[i].op == DB_OP_EQ && strcmp(f->conds[i].field, field) == 0) {
            return true;
        }
    }
    return false;
}

/* A client sends `x__neq=1` always and adds `x__eq=1`: then only eq counts. */
static void drop_beaten(struct rest_filter *f)
{
    struct rest_filter kept = {0};

    for (size_t i = 0; i < f->count; i++) {
        if (f->conds[i].op != DB_OP_NEQ || !has_eq(f, f->conds[i].field)) {
            kept.conds[kept.count++] = f->conds[i];
        }
    }
    *f = kept;
}

dr_err_t rest_filter_parse(const struct rest_target *target, const char *const *fields,
                           size_t n_fields, struct rest_arena *arena, struct rest_filter *ret,
                           struct rest_field_errors *errors)
{
    dr_assert(target != NULL && fields != NULL && arena != NULL && ret != NULL && errors != NULL);
    struct rest_filter filter = {0};
    const struct parse ps = {.fields = fields,
                             .n_fields = n_fields,
                             .arena = arena,
                             .filter = &filter,
                             .errors = errors};
    dr_err_t err = DR_OK;

    for (size_t i = 0; i < target->n_args && err == DR_OK; i++) {
        const struct rest_arg *arg = &target->args[i];
        if (strcmp(arg->name, "filter") == 0) {
            err = packed_parse(&ps, arg->value);
        } else {
            err = cond_parse(&ps, arg->name, arg->value, false);
        }
    }
    if (err == DR_OK) {
        drop_beaten(&filter);
        *ret = filter;
    }
    return err;
}

dr_err_t rest_filter_parse_packed(const char *text, const char *const *fields, size_t n_fields,
                                  struct rest_arena *arena, struct rest_filter *ret,
                                  struct rest_field_errors *errors)
{
    dr_assert(text != NULL && fields != NULL && arena != NULL && ret != NULL && errors != NULL);
    struct rest_filter filter = {0};
    const struct parse ps = {.fields = fields,
                             .n_fields = n_fields,
                             .arena = arena,
                             .filter = &filter,
                             .errors = errors};
    dr_err_t err = packed_parse(&ps, text);

    if (err == DR_OK) {
        drop_beaten(&filter);
        *ret = filter;
    }
    return err;
}

/* ---- paging ---- */

dr_err_t rest_page_parse(const struct rest_target *target, bool text_after, struct rest_page *ret,
                         struct rest_field_errors *errors)
{
    dr_assert(target != NULL && ret != NULL && errors != NULL);
    struct rest_page page = {.limit = REST_PAGE_LIMIT_DEFAULT};
    const char *limit = rest_target_arg(target, "limit");
    const char *order = rest_target_arg(target, "order");
    int64_t n = 0;

    if (limit != NULL && dr_parse_i64(limit, strlen(limit), &n) == DR_OK) {
        page.limit = (uint32_t)(n < REST_PAGE_LIMIT_MIN   ? REST_PAGE_LIMIT_MIN
                                : n > REST_PAGE_LIMIT_MAX ? REST_PAGE_LIMIT_MAX
                                                          : n);
    }
    page.desc = order != NULL && strcasecmp(order, "DESC") == 0;
    page.after_text = rest_target_arg(target, "after");
    if (page.after_text != NULL && !text_after &&
        dr_id_parse(page.after_text, strlen(page.after_text), &page.after) != DR_OK) {
        rest_field_error_add(errors, "after", "not an id");
        return DR_ERR_INVAL;
    }
    *ret = page;
    return DR_OK;
}

bool rest_page_includes(const struct rest_target *target, const char *word)
{
    dr_assert(target != NULL && word != NULL);
    const char *p = rest_target_arg(target, "include");

    while (p != NULL && *p != '\0') {
        p += strspn(p, " ,");
        size_t len = strcspn(p, " ,");
        if (len == strlen(word) && memcmp(p, word, len) == 0) {
            return true;
        }
        p += len;
    }
    return false;
}

void rest_list_begin(struct rest_json *j, const struct rest_page *page)
{
    dr_assert(page != NULL);
    rest_json_object(j, NULL);
    rest_json_str(j, "object", "list");
    rest_json_int(j, "limit", page->limit);
    rest_json_str(j, "after", page->after_text);
    rest_json_str(j, "order", page->desc ? "DESC" : "ASC");
    rest_json_array(j, "data");
}

void rest_list_end(struct rest_json *j, bool has_more, int64_t total)
{
    rest_json_array_end(j);
    rest_json_bool(j, "has_more", has_more);
    if (total >= 0) {
        rest_json_int(j, "total_count", total);
    }
    rest_json_object_end(j);
}
