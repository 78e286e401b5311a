/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/v3_bootstrap_policies.c
 * @brief /v3/drover/bootstrap-policies: what devices get when they bootstrap.
 *
 * POST makes the policy of a scope (and pattern), or replaces the one that is there; PUT changes
 * the members that it has.
 */
#include <stdio.h>
#include <string.h>

#include "db/bootstrap.h"
#include "rest/bodies.h"
#include "rest/filter.h"
#include "rest/one.h"
#include "rest/rest_priv.h"

static void policy_write(struct rest_json *j, const struct db_boot_policy *p)
{
    char etag[24];

    rest_json_object(j, NULL);
    rest_json_str(j, "object", "bootstrap-policy");
    rest_json_id(j, "id", p->id);
    rest_json_id(j, "account_id", p->account);
    rest_json_str(j, "name", p->name);
    rest_json_str(j, "scope", rest_boot_scope_name(p->scope));
    rest_json_str(j, "endpoint_pattern", p->pattern);
    rest_json_str(j, "server_uri", p->server_uri);
    rest_json_int(j, "lifetime", p->lifetime_s);
    rest_json_str(j, "binding", p->binding);
    rest_json_str(j, "security", rest_boot_security_name(p->security));
    rest_json_int(j, "short_server_id", p->short_server_id);
    rest_json_int(j, "hold_off", p->hold_off_s);
    rest_json_int(j, "min_period", p->pmin_s);
    rest_json_int(j, "max_period", p->pmax_s);
    rest_json_bool(j, "store_notifications", p->store);
    rest_json_str(j, "reset", rest_boot_reset_name(p->reset));
    rest_json_bool(j, "verify", p->verify);
    rest_json_raw(j, "objects", dr_bytes_str(p->objects));
    rest_json_time(j, "created_at", DR_ID_MS(p->id));
    rest_json_time(j, "updated_at", p->updated_at);
    (void)snprintf(etag, sizeof etag, "%lld", (long long)p->updated_at);
    rest_json_str(j, "etag", etag);
    rest_json_object_end(j);
}

/* ---- list: an account has few ---- */

struct list {
    struct rest_one one;
    struct rest_page page;
    uint32_t rows;
    bool has_more;
};

static dr_err_t list_row(void *data, const struct db_boot_policy *row)
{
    struct list *list = data;
    struct rest_json j = rest_json_of(&list->one.out);

    if (list->rows == list->page.limit) {
        list->has_more = true;
        return DR_OK;
    }
    list->rows++;
    policy_write(&j, row);
    return DR_OK;
}

static dr_err_t list_read(struct db_reader *r, struct rest_one *one)
{
    struct list *list = DR_CONTAINER_OF(one, struct list, one);
    struct rest_json j = rest_json_of(&one->out);

    rest_list_begin(&j, &list->page);
    dr_err_t err = db_boot_policy_list(r, one->account, list->page.after, list->page.limit + 1,
                                       list_row, list);
    rest_list_end(&j, list->has_more, -1);
    return err;
}

static void policies_get(struct rest_req *req)
{
    struct rest_field_errors errors = {0};
    struct list *list = rest_one_new(req, sizeof *list, 0, "bootstrap policy");

    if (list == NULL) {
        return;
    }
    if (!rest_one_parsed(&list->one, rest_page_parse(&req->target, false, &list->page, &errors),
                         &errors)) {
        return;
    }
    list->page.desc = false;
    rest_one_read(&list->one, list_read);
}

/* ---- one ---- */

struct op {
    struct rest_one one;
    bool create;
};

static struct op *op_of(struct rest_one *one)
{
    return DR_CONTAINER_OF(one, struct op, one);
}

static dr_err_t row_write(void *data, const struct db_boot_policy *row)
{
    struct op *op = data;
    struct rest_json j = rest_json_of(&op->one.out);

    policy_write(&j, row);
    return DR_OK;
}

static dr_err_t policy_read(struct db_reader *r, struct rest_one *one)
{
    return db_boot_policy_get(r, one->account, one->id, row_write, op_of(one));
}

static void policy_get(struct rest_req *req)
{
    struct op *op = rest_one_of_path(req, sizeof *op, "bootstrap policy");

    if (op != NULL) {
        rest_one_read(&op->one, policy_read);
    }
}

/* The row as it is, kept beyond its query. */
struct kept {
    struct rest_arena *arena;
    struct db_boot_policy row;
};

static dr_err_t keep_row(void *data, const struct db_boot_policy *row)
{
    struct kept *k = data;
    const char **texts[] = {&k->row.pattern, &k->row.name, &k->row.server_uri, &k->row.binding,
                            &k->row.objects};

    k->row = *row;
    for (size_t i = 0; i < DR_ARRAY_LEN(texts); i++) {
        *texts[i] = rest_arena_strndup(k->arena, *texts[i], strlen(*texts[i]));
        if (*texts[i] == NULL) {
            return DR_ERR_NOMEM;
        }
    }
    return DR_OK;
}

static dr_err_t put_run(struct db_writer *w, struct rest_one *one)
{
    struct op *op = op_of(one);
    struct kept k = {.arena = &one->req->arena, .row = db_boot_policy_default};
    struct rest_field_errors errors = {0};
    dr_err_t err = DR_OK;

    if (!op->create) {
        err = db_boot_policy_get(db_writer_reader(w), one->account, one->id, keep_row, &k);
    }
    if (err == DR_OK) { /* it was read once before: this cannot fail for what it says */
        err = rest_boot_policy_parse(one->json, op->create, k.arena, &k.row, &errors);
    }
    if (err == DR_OK) {
        k.row.id = one->id;
        k.row.account = one->account;
        k.row.updated_at = one->now_ms;
        err = db_boot_policy_put(w, &k.row, &one->id);
    }
    return err == DR_OK ? policy_read(db_writer_reader(w), one) : err;
}

static void put(struct op *op)
{
    struct db_boot_policy row = db_boot_policy_default;
    struct rest_field_errors errors = {0};

    if (op == NULL || !rest_one_body(&op->one) ||
        !rest_one_parsed(
            &op->one,
            rest_boot_policy_parse(op->one.json, op->create, &op->one.req->arena, &row, &errors),
            &errors)) {
        return;
    }
    rest_one_write(&op->one, op->create ? 201 : 200, put_run, NULL);
}

static void policy_post(struct rest_req *req)
{
    struct op *op =
        rest_one_new(req, sizeof *op, dr_id_new(&rest_of(req)->ids), "bootstrap policy");

    if (op != NULL) {
        op->create = true;
    }
    put(op);
}

static void policy_put(struct rest_req *req)
{
    put(rest_one_of_path(req, sizeof(struct op), "bootstrap policy"));
}

static dr_err_t delete_run(struct db_writer *w, struct rest_one *one)
{
    return db_boot_policy_delete(w, one->account, one->id);
}

static void policy_delete(struct rest_req *req)
{
    struct op *op = rest_one_of_path(req, sizeof *op, "bootstrap policy");

    if (op != NULL) {
        rest_one_write(&op->one, 204, delete_run, NULL);
    }
}

static const struct rest_route routes[] = {
    {REST_GET, REST_READ, "/v3/drover/bootstrap-policies", policies_get, 0},
    {REST_POST, REST_WRITE, "/v3/drover/bootstrap-policies", policy_post, 0},
    {REST_GET, REST_READ, "/v3/drover/bootstrap-policies/{}", policy_get, 0},
    {REST_PUT, REST_WRITE, "/v3/drover/bootstrap-policies/{}", policy_put, 0},
    {REST_DELETE, REST_WRITE, "/v3/drover/bootstrap-policies/{}", policy_delete, 0},
};

const struct rest_routes rest_v3_bootstrap_policies_routes = {routes, DR_ARRAY_LEN(routes)};
