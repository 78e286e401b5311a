/* SPDX-License-Identifier: Apache-2.0 */
#include "rest/firmware.h"

#include <stdio.h>
#include <string.h>

#include "base/ids.h"
#include "base/text.h"
#include "rest/rest_priv.h"

void rest_form_put(struct rest_form_text *t, struct dr_bytes bytes)
{
    dr_assert(t != NULL && t->max < sizeof t->text);
    t->seen = true;
    if (bytes.len > t->max - t->len) {
        t->too_long = true;
    } else if (bytes.len != 0) {
        memcpy(t->text + t->len, bytes.p, bytes.len);
        t->len += bytes.len;
        t->text[t->len] = '\0';
    }
}

static void form_check(struct rest_field_errors *errors, const char *name,
                       const struct rest_form_text *t)
{
    if (t->too_long) {
        rest_field_error_add(errors, name, "at most %zu octets", t->max);
    } else if (!dr_utf8_valid(t->text, t->len) || strlen(t->text) != t->len) {
        rest_field_error_add(errors, name, "not UTF-8 text");
    }
}

bool rest_form_check(struct rest_req *req, const struct rest_form_text *name,
                     const struct rest_form_text *description)
{
    struct rest_field_errors errors = {0};

    form_check(&errors, "name", name);
    form_check(&errors, "description", description);
    if (errors.count != 0) {
        rest_answer_fields(req, &errors, "BAD_REQUEST");
    }
    return errors.count == 0;
}

const char *rest_base_url(struct rest_req *req)
{
    static const char ok[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]";
    const char *host = rest_req_header(req, "Host");
    const char *scheme = rest_http_tls(req->http) ? "https://" : "http://";
    char text[300];

    if (host == NULL || host[0] == '\0' || strlen(host) > 255 || host[strspn(host, ok)] != '\0') {
        host = rest_http_address(req->http);
    }
    int n = snprintf(text, sizeof text, "%s%s", scheme, host);
    return n < 0 ? NULL : rest_arena_strndup(&req->arena, text, strlen(text));
}

/* The id in ".../fw/ID/TOKEN"; "0…" when there is none. */
static const char *datafile_id(struct rest_req *req, const char *url)
{
    const char *end = url + strlen(url);
    int64_t id = 0;

    if (end - url > DR_ID_LEN + 1 + DB_TOKEN_LEN) {
        const char *at = end - DB_TOKEN_LEN - 1 - DR_ID_LEN;
        if (*(end - DB_TOKEN_LEN - 1) == '/' && dr_id_parse(at, DR_ID_LEN, &id) == DR_OK) {
            return rest_arena_strndup(&req->arena, at, DR_ID_LEN);
        }
    }
    return "00000000000000000000000000000000";
}

bool rest_datafile_conditions(struct rest_req *req, struct rest_filter *filter)
{
    for (size_t i = 0; i < filter->count; i++) {
        struct db_cond *c = &filter->conds[i];
        if (strcmp(c->field, "datafile") != 0) {
            continue;
        }
        const char **ids = rest_arena_array(&req->arena, c->n_values, sizeof *ids);
        for (size_t k = 0; ids != NULL && k < c->n_values; k++) {
            ids[k] = datafile_id(req, c->values[k]);
            if (ids[k] == NULL) {
                ids = NULL;
            }
        }
        if (ids == NULL && c->n_values != 0) {
            rest_answer_err(req, DR_ERR_NOMEM);
            return false;
        }
        c->field = "id";
        c->values = ids;
    }
    req->op = (void *)(uintptr_t)rest_base_url(req);
    if (req->op == NULL) {
        rest_answer_err(req, DR_ERR_NOMEM);
    }
    return req->op != NULL;
}

/* spec: RFC9110#14.1.2 */
enum rest_range rest_range_parse(const char *range, uint64_t size, uint64_t *ret_at,
                                 uint64_t *ret_len)
{
    uint64_t first = 0, last = 0;

    if (range == NULL || strncmp(range, "bytes=", 6) != 0 || strchr(range, ',') != NULL) {
        return REST_RANGE_ALL;
    }
    range += 6;
    const char *dash = strchr(range, '-');
    if (dash == NULL) {
        return REST_RANGE_ALL;
    }
    size_t before = (size_t)(dash - range), after = strlen(dash + 1);
    if ((before == 0 && after == 0) ||
        (before != 0 && dr_parse_u64(range, before, &first) != DR_OK) ||
        (after != 0 && dr_parse_u64(dash + 1, after, &last) != DR_OK)) {
        return REST_RANGE_ALL; /* not understood: as if it were not there */
    }
    if (before == 0) {
        if (last == 0 || size == 0) {
            return REST_RANGE_NONE;
        }
        *ret_len = last > size ? size : last;
        *ret_at = size - *ret_len;
        return REST_RANGE_PART;
    }
    if (after != 0 && last < first) {
        return REST_RANGE_ALL;
    }
    if (first >= size) {
        return REST_RANGE_NONE;
    }
    last = after == 0 || last >= size ? size - 1 : last;
    *ret_at = first;
    *ret_len = last - first + 1;
    return REST_RANGE_PART;
}

void rest_answer_needed(struct rest_one *one, const char *noun, int64_t campaign)
{
    char text[128], id[DR_ID_LEN + 1];

    dr_id_format(campaign, id);
    (void)snprintf(text, sizeof text, "the %s is needed by campaign %s", noun, id);
    rest_one_drop(one);
    rest_answer_error(one->req, 409, "in_use", text);
}
