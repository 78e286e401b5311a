/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/v3_api_keys.c
 * @brief /v3/api-keys: who may use this interface. The whole key is shown once, when it is made.
 */
#include <string.h>

#include "base/text.h"
#include "db/account.h"
#include "db/subscription.h"
#include "rest/apikey.h"
#include "rest/bodies.h"
#include "rest/hub.h"
#include "rest/list.h"
#include "rest/one.h"
#include "rest/rest_priv.h"

/* @p full: the key with its secret, or NULL. */
static void key_write(struct rest_json *j, const struct db_apikey *k, const char *full)
{
    char shown[REST_APIKEY_PUBLIC_LEN + 1];

    rest_apikey_public(k->account, k->id, shown);
    rest_json_object(j, NULL);
    rest_json_str(j, "object", "api-key");
    rest_json_id(j, "id", k->id);
    rest_json_id(j, "account_id", k->account);
    rest_json_str(j, "name", k->name);
    rest_json_str(j, "key", full == NULL ? shown : full);
    rest_json_str(j, "status", k->active ? "ACTIVE" : "INACTIVE");
    rest_json_str(j, "role", k->role == DB_ROLE_ADMIN ? "administrator" : "read-only");
    rest_json_raw(j, "groups",
                  dr_bytes_str(k->groups == NULL || k->groups[0] == '\0' ? "[]" : k->groups));
    rest_json_id(j, "owner", k->owner);
    rest_json_time(j, "created_at", k->created_at);
    rest_json_int(j, "creation_time", k->created_at);
    rest_json_time(j, "updated_at", k->updated_at);
    rest_json_int(j, "last_login_time", k->last_login_at);
    char etag[24];
    (void)snprintf(etag, sizeof etag, "%lld", (long long)k->updated_at);
    rest_json_str(j, "etag", etag);
    rest_json_object_end(j);
}

/* ---- list ---- */

static const char *const filter_fields[] = {
    "id", "name", "key", "owner", "status", "created_at", "updated_at",
};

static dr_err_t list_row(void *data, const struct db_apikey *row)
{
    struct rest_list_op *op = data;
    struct rest_json j = rest_json_of(&op->out);

    if (rest_list_row(op)) {
        key_write(&j, row, NULL);
    }
    return DR_OK;
}

static dr_err_t list_rows(struct db_reader *r, struct rest_list_op *op)
{
    return db_apikey_list(r, &op->query, list_row, op, &op->info);
}

static dr_err_t list_count(struct db_reader *r, struct rest_list_op *op, int64_t *ret)
{
    return db_apikey_count(r, &op->query, ret, &op->info);
}

/* A key is compared without its secret: that is, by its id. */
static bool key_conditions(struct rest_req *req, struct rest_filter *filter)
{
    static const char *const nobody[] = {"00000000000000000000000000000000"};

    for (size_t i = 0; i < filter->count; i++) {
        struct db_cond *c = &filter->conds[i];
        if (strcmp(c->field, "key") != 0) {
            continue;
        }
        const char **ids = rest_arena_array(&req->arena, c->n_values, sizeof *ids);
        char *texts = rest_arena_array(&req->arena, c->n_values, DR_ID_LEN + 1);
        if (ids == NULL || texts == NULL) {
            rest_answer_err(req, DR_ERR_NOMEM);
            return false;
        }
        for (size_t k = 0; k < c->n_values; k++) {
            int64_t account = 0;
            int64_t id = 0;
            ids[k] = nobody[0];
            if (rest_apikey_parse(c->values[k], strlen(c->values[k]), &account, &id, NULL) ==
                    DR_OK &&
                account == req->who.account) {
                dr_id_format(id, texts + k * (DR_ID_LEN + 1));
                ids[k] = texts + k * (DR_ID_LEN + 1);
            }
        }
        c->field = "id";
        c->values = ids;
    }
    return true;
}

static const struct rest_list_kind list_kind = {
    .list = DB_LIST_APIKEY,
    .fields = filter_fields,
    .n_fields = DR_ARRAY_LEN(filter_fields),
    .rows = list_rows,
    .count = list_count,
    .conditions = key_conditions,
};

static void keys_get(struct rest_req *req)
{
    rest_list_start(req, &list_kind);
}

/* ---- one ---- */

struct op {
    struct rest_one one;
    struct rest_apikey_body body;
    uint8_t hash[DB_SECRET_HASH_LEN];
    char full[REST_APIKEY_LEN + 1]; /* "" = not shown */
};

static struct op *op_of(struct rest_one *one)
{
    return DR_CONTAINER_OF(one, struct op, one);
}

static struct op *op_new(struct rest_req *req, int64_t id)
{
    return rest_one_new(req, sizeof(struct op), id, "API key");
}

/* The key in the path, also "me"; NULL = answered. */
static struct op *op_of_path(struct rest_req *req)
{
    if (req->match.n_captures == 0 || strcmp(rest_req_capture(req, 0), "me") == 0) {
        return op_new(req, req->who.key);
    }
    return rest_one_of_path(req, sizeof(struct op), "API key");
}

static void op_end(struct op *op, dr_err_t err)
{
    dr_wipe(op->full, sizeof op->full);
    rest_one_end(&op->one, err);
}

static dr_err_t row_write(void *data, const struct db_apikey *row)
{
    struct op *op = data;
    struct rest_json j = rest_json_of(&op->one.out);

    key_write(&j, row, op->full[0] == '\0' ? NULL : op->full);
    return DR_OK;
}

static dr_err_t key_read(struct db_reader *r, struct rest_one *one)
{
    return db_apikey_get(r, one->account, one->id, row_write, op_of(one));
}

static void key_get(struct rest_req *req)
{
    struct op *op = op_of_path(req);

    if (op != NULL) {
        rest_one_read(&op->one, key_read);
    }
}

static bool body_read(struct op *op, bool create)
{
    struct rest_one *one = &op->one;
    struct rest_field_errors errors = {0};

    return rest_one_body(one) &&
           rest_one_parsed(
               one, rest_apikey_body_parse(one->json, create, &one->req->arena, &op->body, &errors),
               &errors);
}

static dr_err_t create_run(struct db_writer *w, struct rest_one *one)
{
    struct op *op = op_of(one);
    struct db_apikey row = {
        .id = one->id,
        .account = one->account,
        .owner = op->body.owner,
        .name = op->body.name,
        .role = op->body.has_role ? op->body.role : DB_ROLE_ADMIN,
        .active = !op->body.has_active || op->body.active,
        .groups = op->body.groups == NULL ? "[]" : op->body.groups,
        .updated_at = one->now_ms,
    };

    memcpy(row.secret_hash, op->hash, sizeof row.secret_hash);
    dr_err_t err = db_apikey_insert(w, &row);
    return err == DR_OK ? key_read(db_writer_reader(w), one) : err;
}

static void create_done(struct rest_one *one, dr_err_t err)
{
    op_end(op_of(one), err);
}

static void key_post(struct rest_req *req)
{
    struct op *op = op_new(req, dr_id_new(&rest_of(req)->ids));

    if (op == NULL || !body_read(op, true)) {
        return;
    }
    rest_apikey_make(op->one.account, op->one.id, op->full, op->hash);
    rest_one_write(&op->one, 201, create_run, create_done);
}

static dr_err_t update_row(void *data, const struct db_apikey *row)
{
    struct op *op = data;
    struct rest_arena *arena = &op->one.req->arena;

    op->body.name = op->body.name == NULL ? rest_arena_strndup(arena, row->name, strlen(row->name))
                                          : op->body.name;
    op->body.groups = op->body.groups == NULL
                          ? rest_arena_strndup(arena, row->groups, strlen(row->groups))
                          : op->body.groups;
    op->body.owner = op->body.owner == 0 ? row->owner : op->body.owner;
    op->body.active = op->body.has_active ? op->body.active : row->active;
    op->body.role = op->body.has_role ? op->body.role : row->role;
    return op->body.name == NULL || op->body.groups == NULL ? DR_ERR_NOMEM : DR_OK;
}

static dr_err_t update_run(struct db_writer *w, struct rest_one *one)
{
    struct op *op = op_of(one);
    const struct rest_apikey_body asked = op->body;

    dr_err_t err = db_apikey_get(db_writer_reader(w), one->account, one->id, update_row, op);
    if (err == DR_OK) {
        const struct db_apikey row = {
            .id = one->id,
            .account = one->account,
            .owner = op->body.owner,
            .name = op->body.name,
            .role = op->body.role,
            .active = op->body.active,
            .groups = op->body.groups,
            .updated_at = one->now_ms,
        };
        err = db_apikey_update(w, &row);
    }
    op->body = asked; /* it may be run again */
    return err == DR_OK ? key_read(db_writer_reader(w), one) : err;
}

static void update_done(struct rest_one *one, dr_err_t err)
{
    struct op *op = op_of(one);
    struct rest *rest = rest_of(one->req);

    rest_auth_cache_drop(&rest->auth, one->id);
    if (err == DR_OK && op->body.has_active && !op->body.active) {
        rest_hub_key_deleted(rest->hub, one->id);
    }
    op_end(op, err);
}

static void key_put(struct rest_req *req)
{
    struct op *op = op_of_path(req);

    if (op != NULL && body_read(op, false)) {
        rest_one_write(&op->one, 200, update_run, update_done);
    }
}

/* ---- a new secret, the end ---- */

static dr_err_t reset_run(struct db_writer *w, struct rest_one *one)
{
    dr_err_t err = db_apikey_secret_set(w, one->account, one->id, op_of(one)->hash, one->now_ms);

    return err == DR_OK ? key_read(db_writer_reader(w), one) : err;
}

static void key_reset(struct rest_req *req)
{
    struct op *op = op_of_path(req);

    if (op != NULL) {
        rest_apikey_make(op->one.account, op->one.id, op->full, op->hash);
        rest_one_write(&op->one, 200, reset_run, update_done);
    }
}

static dr_err_t delete_run(struct db_writer *w, struct rest_one *one)
{
    dr_err_t err = db_apikey_delete(w, one->account, one->id);

    return err == DR_OK ? db_subscription_delete_key(w, one->account, one->id, NULL) : err;
}

static void delete_done(struct rest_one *one, dr_err_t err)
{
    struct rest *rest = rest_of(one->req);

    rest_auth_cache_drop(&rest->auth, one->id);
    if (err == DR_OK) {
        rest_hub_key_deleted(rest->hub, one->id);
    }
    rest_one_end(one, err);
}

static void key_delete(struct rest_req *req)
{
    struct op *op = op_of_path(req);

    if (op != NULL) {
        rest_one_write(&op->one, 204, delete_run, delete_done);
    }
}

static const struct rest_route routes[] = {
    {REST_GET, REST_READ, "/v3/api-keys", keys_get, 0},
    {REST_POST, REST_WRITE, "/v3/api-keys", key_post, 65536},
    {REST_GET, REST_READ, "/v3/api-keys/{}", key_get, 0}, /* "me", too */
    {REST_PUT, REST_WRITE, "/v3/api-keys/{}", key_put, 65536},
    {REST_DELETE, REST_WRITE, "/v3/api-keys/{}", key_delete, 0},
    {REST_POST, REST_WRITE, "/v3/api-keys/{}/reset-secret", key_reset, 65536},
};

const struct rest_routes rest_v3_api_keys_routes = {routes, DR_ARRAY_LEN(routes)};
