/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/v2_device_shared_keys.c
 * @brief /v2/device-shared-keys: pre-shared keys of devices, one or thousands at a time.
 *
 * A key goes in and never comes out. Beside the four calls of the contract, an array of keys (or
 * POST /v3/drover/psk-imports with {"keys": […]}) is put in one transaction: all of them or none.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "db/psk.h"
#include "rest/bodies.h"
#include "rest/filter.h"
#include "rest/rest_priv.h"

/* Keys of one import in JSON: names, identity and secret of each. */
#define IMPORT_BODY_MAX (6 * 1024 * 1024)

struct op {
    struct db_read read;
    struct db_job job;
    struct loop_work work;
    struct rest_req *req;
    int64_t account, now_ms;
    const char *endpoint;
    struct rest_page page;
    int64_t last;
    uint32_t rows;
    bool has_more;
    struct dr_dynbuf out;
    /* import */
    struct rest_psk_body *keys;
    int64_t *ids;
    size_t n_keys, at;
    dr_err_t err;
    const char *why;
    /* delete */
    char identity[DB_PSK_IDENTITY_MAX + 1];
};

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
    op->endpoint = rest_req_capture(req, 0);
    dr_dynbuf_init(&op->out, REST_ANSWER_MAX);
    return op;
}

/* ---- read ---- */

static void psk_write(struct rest_json *j, const struct db_psk *row)
{
    rest_json_object(j, NULL);
    rest_json_str(j, "endpoint_name", row->endpoint_name);
    rest_json_time(j, "created_at", row->created_at);
    rest_json_object_end(j);
}

static dr_err_t list_row(void *data, const struct db_psk *row)
{
    struct op *op = data;
    struct rest_json j = rest_json_of(&op->out);

    if (op->rows == op->page.limit) {
        op->has_more = true;
        return DR_OK;
    }
    op->rows++;
    op->last = row->id;
    psk_write(&j, row);
    return DR_OK;
}

static dr_err_t list_read(struct db_reader *r, struct db_read *read)
{
    struct op *op = DR_CONTAINER_OF(read, struct op, read);
    struct rest_json j = rest_json_of(&op->out);

    rest_list_begin(&j, &op->page);
    dr_err_t err = db_psk_list(r, op->account, op->page.after, op->page.limit + 1, list_row, op);
    rest_json_array_end(&j);
    rest_json_bool(&j, "has_more", op->has_more);
    rest_json_id(&j, "continuation_marker", op->has_more ? op->last : 0);
    rest_json_object_end(&j);
    return err;
}

static void read_done(struct db_read *read, dr_err_t err)
{
    struct op *op = DR_CONTAINER_OF(read, struct op, read);

    if (err == DR_OK) {
        rest_answer_json(op->req, 200, &op->out);
        return;
    }
    dr_dynbuf_fini(&op->out);
    if (err == DR_ERR_NOT_FOUND) {
        rest_answer_text(op->req, 404, "KEY_NOT_FOUND");
    } else {
        rest_answer_err(op->req, err);
    }
}

static void keys_get(struct rest_req *req)
{
    struct rest_field_errors errors = {0};
    const char *limit = rest_target_arg(&req->target, "limit");
    uint64_t n = 0;
    struct op *op = op_new(req);

    if (op == NULL) {
        return;
    }
    if (limit != NULL && (dr_parse_u64(limit, strlen(limit), &n) != DR_OK || n == 0)) {
        rest_answer_text(req, 400, "INVALID_LIMIT");
        return;
    }
    if (rest_page_parse(&req->target, false, &op->page, &errors) != DR_OK) {
        rest_answer_text(req, 400, "TOKEN_NOT_FOUND");
        return;
    }
    op->page.desc = false;
    rest_read_start(req, &op->read, list_read, read_done);
}

static dr_err_t one_row(void *data, const struct db_psk *row)
{
    struct rest_json j = rest_json_of(data);

    psk_write(&j, row);
    return DR_OK;
}

static dr_err_t one_read(struct db_reader *r, struct db_read *read)
{
    struct op *op = DR_CONTAINER_OF(read, struct op, read);

    return db_psk_get(r, op->account, op->endpoint, DB_PSK_OPERATOR, one_row, &op->out);
}

static void key_get(struct rest_req *req)
{
    struct op *op = op_new(req);

    if (op != NULL) {
        rest_read_start(req, &op->read, one_read, read_done);
    }
}

/* ---- put ---- */

static dr_err_t import_run(struct db_writer *w, struct db_job *job)
{
    struct op *op = DR_CONTAINER_OF(job, struct op, job);

    for (size_t i = 0; i < op->n_keys; i++) {
        const struct rest_psk_body *k = &op->keys[i];
        const struct db_psk row = {
            .id = op->ids[i],
            .account = op->account,
            .use = DB_PSK_OPERATOR,
            .identity = dr_bytes_str(k->identity),
            .endpoint_name = k->endpoint,
            .key = k->secret,
            .created_at = op->now_ms,
        };
        dr_err_t err = db_psk_insert(w, &row);
        if (err != DR_OK) {
            op->at = i;
            return err;
        }
    }
    return DR_OK;
}

static bool is_v2(const struct op *op)
{
    return op->req->target.v2;
}

/* A refusal names the entry: bare text in /v2, a field in /v3. */
static void refuse(struct op *op, int status, const char *type, const char *text)
{
    struct dr_dynbuf body;
    char name[48];

    if (is_v2(op)) {
        rest_answer_text(op->req, status, text);
        return;
    }
    (void)snprintf(name, sizeof name, "keys[%zu]", op->at);
    dr_dynbuf_init(&body, 4096);
    struct rest_json j = rest_json_of(&body);
    rest_json_object(&j, NULL);
    rest_json_str(&j, "object", "error");
    rest_json_int(&j, "code", status);
    rest_json_str(&j, "type", type);
    rest_json_str(&j, "message", "no key was imported");
    rest_json_str(&j, "request_id", op->req->id);
    rest_json_array(&j, "fields");
    rest_json_object(&j, NULL);
    rest_json_str(&j, "name", name);
    rest_json_str(&j, "message", text);
    rest_json_object_end(&j);
    rest_json_array_end(&j);
    rest_json_object_end(&j);
    rest_answer_json(op->req, status, &body);
}

static void import_done(struct db_job *job, dr_err_t err)
{
    struct op *op = DR_CONTAINER_OF(job, struct op, job);

    if (err == DR_ERR_EXISTS) {
        refuse(op, 409, "duplicate", "KEY_ALREADY_EXISTS_FOR_ENDPOINT");
    } else if (err != DR_OK) {
        rest_answer_err(op->req, err);
    } else if (is_v2(op)) {
        rest_answer_empty(op->req, 201);
    } else {
        struct rest_json j = rest_json_of(&op->out);
        rest_json_object(&j, NULL);
        rest_json_str(&j, "object", "psk-import");
        rest_json_int(&j, "imported", (int64_t)op->n_keys);
        rest_json_object_end(&j);
        rest_answer_json(op->req, 201, &op->out);
    }
}

static void import_start(struct op *op)
{
    op->ids = rest_arena_array(&op->req->arena, op->n_keys, sizeof *op->ids);
    if (op->ids == NULL) {
        rest_answer_err(op->req, DR_ERR_NOMEM);
        return;
    }
    for (size_t i = 0; i < op->n_keys; i++) {
        op->ids[i] = dr_id_new(&rest_of(op->req)->ids);
    }
    rest_job_start(op->req, &op->job, import_run, import_done);
}

/* The texts that the keys point to must outlive the tree: they are copied. */
static dr_err_t keys_own(struct op *op)
{
    for (size_t i = 0; i < op->n_keys; i++) {
        struct rest_psk_body *k = &op->keys[i];
        bool same = k->identity == k->endpoint;
        k->endpoint = rest_arena_strndup(&op->req->arena, k->endpoint, strlen(k->endpoint));
        k->identity = same ? k->endpoint
                           : rest_arena_strndup(&op->req->arena, k->identity, strlen(k->identity));
        if (k->endpoint == NULL || k->identity == NULL) {
            return DR_ERR_NOMEM;
        }
    }
    return DR_OK;
}

static dr_err_t parse(struct op *op)
{
    json_t *json = NULL;
    dr_err_t err = rest_json_parse(op->req->body, &json, NULL);
    if (err != DR_OK) {
        return err;
    }
    bool several = json_is_array(json) || !is_v2(op);
    if (several) {
        err =
            rest_psk_import_parse(json, &op->req->arena, &op->keys, &op->n_keys, &op->at, &op->why);
    } else {
        op->keys = rest_arena_alloc(&op->req->arena, sizeof *op->keys);
        op->n_keys = 1;
        err = op->keys == NULL ? DR_ERR_NOMEM
                               : rest_psk_parse(json, &op->req->arena, op->keys, &op->why);
    }
    if (err == DR_OK) {
        err = keys_own(op);
    }
    json_decref(json);
    return err;
}

static void parse_work(struct loop_work *work)
{
    struct op *op = DR_CONTAINER_OF(work, struct op, work);

    op->err = parse(op);
}

static void parsed(struct op *op, dr_err_t err)
{
    switch (err) {
    case DR_OK:
        import_start(op);
        break;
    case DR_ERR_INVAL:
        refuse(op, 400, "validation_error", op->why);
        break;
    case DR_ERR_PROTO:
        rest_answer_error(op->req, 400, NULL,
                          is_v2(op) ? "MALFORMED_JSON_CONTENT" : "the body is not valid");
        break;
    case DR_ERR_RANGE:
        rest_answer_error(op->req, 400, NULL,
                          is_v2(op) ? "LIMITS_EXCEEDED" : "1 to 10000 keys can be imported");
        break;
    default:
        rest_answer_err(op->req, err);
        break;
    }
}

static void parse_done(struct loop_work *work, dr_err_t err)
{
    struct op *op = DR_CONTAINER_OF(work, struct op, work);

    parsed(op, err == DR_OK ? op->err : err);
}

/* What is parsed at once; more goes to the pool. */
#define PARSE_AT_ONCE 16384

static void keys_post(struct rest_req *req)
{
    struct op *op = op_new(req);

    if (op == NULL) {
        return;
    }
    if (req->body.len <= PARSE_AT_ONCE) {
        parsed(op, parse(op));
        return;
    }
    dr_err_t err = loop_work_start(rest_of(req)->loop, &op->work, parse_work, parse_done);
    if (err != DR_OK) {
        rest_answer_err(req, err);
    }
}

/* ---- delete ---- */

static dr_err_t deleted_row(void *data, const struct db_psk *row)
{
    struct op *op = data;
    size_t len = row->identity.len < sizeof op->identity ? row->identity.len : 0;

    memcpy(op->identity, row->identity.p, len);
    op->identity[len] = '\0';
    return DR_OK;
}

static dr_err_t delete_run(struct db_writer *w, struct db_job *job)
{
    struct op *op = DR_CONTAINER_OF(job, struct op, job);
    dr_err_t err = db_psk_delete(w, op->account, op->endpoint, DB_PSK_OPERATOR, deleted_row, op);

    if (err == DR_OK) { /* and what a bootstrap has delivered by it */
        err = db_psk_delete(w, op->account, op->endpoint, DB_PSK_OFFERED, NULL, NULL);
        if (err == DR_OK || err == DR_ERR_NOT_FOUND) {
            err = db_psk_delete(w, op->account, op->endpoint, DB_PSK_BOOTSTRAPPED, NULL, NULL);
        }
    }
    return err == DR_ERR_NOT_FOUND ? DR_OK : err;
}

static void delete_done(struct db_job *job, dr_err_t err)
{
    struct op *op = DR_CONTAINER_OF(job, struct op, job);
    struct rest *rest = rest_of(op->req);

    if (err != DR_OK) {
        rest_answer_err(op->req, err);
        return;
    }
    if (op->identity[0] != '\0' && rest->devices != NULL) {
        dev_credential_changed(rest->devices, op->account, op->endpoint);
    }
    rest_answer_empty(op->req, 204);
}

static void key_delete(struct rest_req *req)
{
    struct op *op = op_new(req);

    if (op != NULL) {
        rest_job_start(req, &op->job, delete_run, delete_done);
    }
}

static const struct rest_route routes[] = {
    {REST_GET, REST_READ, "/v2/device-shared-keys", keys_get, 0},
    {REST_POST, REST_WRITE, "/v2/device-shared-keys", keys_post, IMPORT_BODY_MAX},
    {REST_GET, REST_READ, "/v2/device-shared-keys/{}", key_get, 0},
    {REST_DELETE, REST_WRITE, "/v2/device-shared-keys/{}", key_delete, 0},
    {REST_POST, REST_WRITE, "/v3/drover/psk-imports", keys_post, IMPORT_BODY_MAX},
};

const struct rest_routes rest_v2_device_shared_keys_routes = {routes, DR_ARRAY_LEN(routes)};
