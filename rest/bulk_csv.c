/* SPDX-License-Identifier: Apache-2.0 */
#include "rest/bulk_csv.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static dr_err_t entry_add(struct rest_bulk_list *b, size_t start)
{
    if (b->n == b->cap) {
        size_t cap = b->cap == 0 ? 256 : 2 * b->cap;
        uint32_t *more = realloc(b->starts, cap * sizeof *more);
        if (more == NULL) {
            return DR_ERR_NOMEM;
        }
        b->starts = more;
        b->cap = cap;
    }
    b->starts[b->n++] = (uint32_t)start;
    return DR_OK;
}

/* The first column of one line, trimmed, at *out; false if there is none. */
static bool column(const char *from, const char *to, char **out)
{
    while (from < to && (*from == ' ' || *from == '\t')) {
        from++;
    }
    bool quoted = from < to && *from == '"';
    from += quoted;
    const char *end = memchr(from, quoted ? '"' : ',', (size_t)(to - from));
    end = end == NULL ? to : end;
    while (!quoted && end > from && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    size_t len = (size_t)(end - from);
    len = len > REST_BULK_ENTRY_MAX ? REST_BULK_ENTRY_MAX : len;
    if (len == 0) {
        return false;
    }
    memcpy(*out, from, len);
    (*out)[len] = '\0';
    *out += len + 1;
    return true;
}

dr_err_t rest_bulk_list_read(struct dr_bytes csv, struct rest_bulk_list *ret)
{
    dr_assert(ret != NULL && csv.len <= REST_BULK_FILE_MAX);
    struct rest_bulk_list list = {.text = malloc(csv.len + 2)};
    dr_err_t err = list.text == NULL ? DR_ERR_NOMEM : DR_OK;
    const char *at = csv.len == 0 ? "" : (const char *)csv.p, *end = at + csv.len;
    char *out = list.text;

    for (bool first = true; err == DR_OK && at < end; first = false) {
        const char *stop = at;
        while (stop < end && *stop != '\n' && *stop != '\r') {
            stop++;
        }
        size_t start = (size_t)(out - list.text);
        if (!first && column(at, stop, &out)) {
            err = entry_add(&list, start);
        }
        at = stop == end ? end : stop + 1;
        at += at < end && stop[0] == '\r' && *at == '\n';
    }
    if (err != DR_OK) {
        rest_bulk_list_fini(&list);
        return err;
    }
    *ret = list;
    return DR_OK;
}

void rest_bulk_list_fini(struct rest_bulk_list *list)
{
    dr_assert(list != NULL);
    free(list->starts);
    free(list->text);
    *list = (struct rest_bulk_list){0};
}

const char *rest_bulk_list_entry(const struct rest_bulk_list *list, size_t i)
{
    dr_assert(list != NULL && i < list->n);
    return list->text + list->starts[i];
}
