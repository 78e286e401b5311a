/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/v3_accounts.c
 * @brief /v3/accounts/me: the account that the API key belongs to.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "db/account.h"
#include "rest/bodies.h"
#include "rest/rest_priv.h"

struct op {
    struct db_read read;
    struct db_job job;
    struct rest_req *req;
    int64_t account, now_ms;
    json_t *json;   /* the body */
    json_t *fields; /* what of it is to be put */
    const char *name, *market;
    struct dr_dynbuf out;
};

/* Members that an account always has, null where nothing was put. */
static const char *const optional[] = {
    "address_line1",
    "address_line2",
    "aliases",
    "city",
    "company",
    "contact",
    "country",
    "custom_fields",
    "email",
    "mfa_status",
    "notification_emails",
    "password_policy",
    "phone_number",
    "postal_code",
    "state",
    "expiration_warning_threshold",
    "idle_timeout",
    "password_recovery_expiration",
};

static void optional_write(struct rest_json *j, const json_t *fields)
{
    for (size_t i = 0; i < DR_ARRAY_LEN(optional); i++) {
        const json_t *v = json_object_get(fields, optional[i]);
        char *text = v == NULL ? NULL : json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
        if (text != NULL) {
            rest_json_raw(j, optional[i], dr_bytes_str(text));
        } else if (strcmp(optional[i], "aliases") == 0 ||
                   strcmp(optional[i], "notification_emails") == 0) {
            rest_json_raw(j, optional[i], dr_bytes_str("[]"));
        } else {
            rest_json_null(j, optional[i]);
        }
        free(text);
    }
}

static dr_err_t account_write(void *data, const struct db_account *a)
{
    struct op *op = data;
    struct rest_json j = rest_json_of(&op->out);
    const char *text = a->fields == NULL || a->fields[0] == '\0' ? "{}" : a->fields;
    json_t *fields = json_loads(text, 0, NULL);
    char etag[24];

    (void)snprintf(etag, sizeof etag, "%lld", (long long)a->updated_at);
    rest_json_object(&j, NULL);
    rest_json_str(&j, "object", "account");
    rest_json_id(&j, "id", a->id);
    rest_json_id(&j, "parent_id", a->parent);
    rest_json_str(&j, "display_name", a->display_name);
    rest_json_str(&j, "status", a->status);
    rest_json_str(&j, "tier", a->tier);
    rest_json_str(&j, "end_market", a->end_market);
    rest_json_str(&j, "etag", etag);
    rest_json_time(&j, "created_at", a->created_at);
    rest_json_time(&j, "updated_at", a->updated_at);
    rest_json_null(&j, "upgraded_at");
    rest_json_raw(&j, "limits", dr_bytes_str("{}"));
    rest_json_raw(&j, "limitations", dr_bytes_str("[]"));
    rest_json_raw(&j, "policies", dr_bytes_str("[]"));
    rest_json_raw(&j, "sub_accounts", dr_bytes_str("[]"));
    optional_write(&j, fields);
    rest_json_object_end(&j);
    json_decref(fields);
    return DR_OK;
}

static void op_end(struct op *op, dr_err_t err)
{
    json_decref(op->fields);
    json_decref(op->json);
    op->fields = op->json = NULL;
    if (err == DR_OK) {
        rest_answer_json(op->req, 200, &op->out);
    } else {
        dr_dynbuf_fini(&op->out);
        rest_answer_err(op->req, err);
    }
}

static struct op *op_new(struct rest_req *req)
{
    struct op *op = rest_arena_alloc(&req->arena, sizeof *op);

    if (op == NULL) {
        rest_answer_err(req, DR_ERR_NOMEM);
        return NULL;
    }
    op->req = req;
    op->account = req->who.account;
    op->now_ms = dr_wall_ms();
    dr_dynbuf_init(&op->out, REST_ANSWER_MAX);
    return op;
}

static dr_err_t get_read(struct db_reader *r, struct db_read *read)
{
    struct op *op = DR_CONTAINER_OF(read, struct op, read);

    return db_account_get(r, op->account, account_write, op);
}

static void get_done(struct db_read *read, dr_err_t err)
{
    op_end(DR_CONTAINER_OF(read, struct op, read), err);
}

/* "me", or the own id; others are not there. */
static bool is_me(struct rest_req *req)
{
    const char *text = rest_req_capture(req, 0);
    int64_t id = 0;

    if (strcmp(text, "me") == 0 ||
        (dr_id_parse(text, strlen(text), &id) == DR_OK && id == req->who.account)) {
        return true;
    }
    rest_answer_error(req, 404, NULL, "no such account");
    return false;
}

static void account_get(struct rest_req *req)
{
    struct op *op = is_me(req) ? op_new(req) : NULL;

    if (op != NULL) {
        rest_read_start(req, &op->read, get_read, get_done);
    }
}

/* ---- update ---- */

struct merge {
    struct op *op;
    struct db_writer *w;
};

static dr_err_t merge_row(void *data, const struct db_account *a)
{
    struct merge *m = data;
    struct op *op = m->op;
    json_t *fields =
        json_loads(a->fields == NULL || a->fields[0] == '\0' ? "{}" : a->fields, 0, NULL);
    if (fields == NULL) {
        fields = json_object();
    }
    char *text = fields == NULL || json_object_update(fields, op->fields) != 0
                     ? NULL
                     : json_dumps(fields, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(fields);
    if (text == NULL) {
        return DR_ERR_NOMEM;
    }
    struct db_account row = *a;
    row.fields = text;
    row.display_name = op->name == NULL ? a->display_name : op->name;
    row.end_market = op->market == NULL ? a->end_market : op->market;
    row.updated_at = op->now_ms;
    dr_err_t err = db_account_update(m->w, &row);
    free(text);
    return err;
}

static dr_err_t put_run(struct db_writer *w, struct db_job *job)
{
    struct op *op = DR_CONTAINER_OF(job, struct op, job);
    struct merge m = {.op = op, .w = w};

    dr_dynbuf_reset(&op->out);
    dr_err_t err = db_account_get(db_writer_reader(w), op->account, merge_row, &m);
    return err == DR_OK ? db_account_get(db_writer_reader(w), op->account, account_write, op) : err;
}

static void put_done(struct db_job *job, dr_err_t err)
{
    op_end(DR_CONTAINER_OF(job, struct op, job), err);
}

static void account_put(struct rest_req *req)
{
    struct rest_field_errors errors = {0};
    struct op *op = is_me(req) ? op_new(req) : NULL;

    if (op == NULL || !rest_body_parse(req, &op->json)) {
        return;
    }
    dr_err_t err = rest_account_body_parse(op->json, &req->arena, &op->fields, &op->name,
                                           &op->market, &errors);
    if (err == DR_OK) {
        rest_job_start(req, &op->job, put_run, put_done);
        if (!rest_req_answered(req)) {
            return;
        }
    } else if (err == DR_ERR_INVAL) {
        rest_answer_fields(req, &errors, "");
    } else {
        rest_answer_err(req, err);
    }
    json_decref(op->fields);
    json_decref(op->json);
}

static const struct rest_route routes[] = {
    {REST_GET, REST_READ, "/v3/accounts/{}", account_get, 0},
    {REST_PUT, REST_WRITE, "/v3/accounts/{}", account_put, 65536},
};

const struct rest_routes rest_v3_accounts_routes = {routes, DR_ARRAY_LEN(routes)};
