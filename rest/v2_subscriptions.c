/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/v2_subscriptions.c
 * @brief /v2/subscriptions: observe resources of a device, and pre-subscriptions.
 */
#include <stdlib.h>
#include <string.h>

#include "db/subscription.h"
#include "rest/bodies.h"
#include "rest/rest_priv.h"

struct op {
    struct db_read read;
    struct dev_subscribe sub;
    struct dev_unsubscribe un;
    struct dev_presubscriptions_put put;
    struct rest_req *req;
    int64_t account, key, device;
    const char *path; /* NULL = all of the device */
    json_t *json;
    char async_id[DEV_ASYNC_ID_MAX + 1];
    struct dr_dynbuf out;
    bool found;
};

/* For a call on a device (capture 0) and maybe a path (capture 1); NULL = answered. */
static struct op *op_new(struct rest_req *req)
{
    struct op *op = rest_arena_alloc(&req->arena, sizeof *op);

    if (op == NULL) {
        rest_answer_err(req, DR_ERR_NOMEM);
        return NULL;
    }
    op->req = req;
    op->account = req->who.account;
    op->key = req->who.key;
    op->path = req->match.n_captures < 2 ? NULL : req->match.captures[1];
    dr_dynbuf_init(&op->out, REST_ANSWER_MAX);
    const char *id = rest_req_capture(req, 0);
    if (req->match.n_captures > 0 && dr_id_parse(id, strlen(id), &op->device) != DR_OK) {
        rest_answer_text(req, 404, "DEVICE_NOT_FOUND");
        return NULL;
    }
    if (op->path != NULL && strlen(op->path) > DEV_PATH_MAX) {
        rest_answer_text(req, 400, "BAD_REQUEST");
        return NULL;
    }
    return op;
}

static void refuse(struct rest_req *req, dr_err_t err)
{
    switch (err) {
    case DR_ERR_NOT_FOUND:
    case DR_ERR_GONE:
        rest_answer_text(req, 404, "DEVICE_NOT_FOUND");
        break;
    case DR_ERR_INVAL:
        rest_answer_text(req, 404, "URI_PATH_DOES_NOT_EXISTS");
        break;
    case DR_ERR_LIMIT:
        rest_answer_text(req, 429, "LIMITS_EXCEEDED");
        break;
    case DR_ERR_BUSY:
        rest_answer_text(req, 429, "CONGESTION_CONTROL");
        break;
    default:
        rest_answer_err(req, err);
        break;
    }
}

/* ---- one subscription ---- */

static void subscribe_done(struct dev_subscribe *sub, dr_err_t err)
{
    struct op *op = DR_CONTAINER_OF(sub, struct op, sub);

    if (err == DR_ERR_EXISTS) {
        rest_answer_empty(op->req, 200);
    } else if (err != DR_OK) {
        refuse(op->req, err);
    } else {
        struct rest_json j = rest_json_of(&op->out);
        rest_json_object(&j, NULL);
        rest_json_str(&j, "async-response-id", op->async_id);
        rest_json_object_end(&j);
        rest_answer_json(op->req, 202, &op->out);
    }
}

static void subscription_put(struct rest_req *req)
{
    struct op *op = op_new(req);
    if (op == NULL) {
        return;
    }
    rest_async_id_make(op->async_id);
    op->sub = (struct dev_subscribe){
        .account = op->account,
        .device = op->device,
        .key = op->key,
        .path = op->path,
        .async_id = op->async_id,
        .cb = subscribe_done,
    };
    dr_err_t err = dev_subscribe_start(rest_of(req)->devices, &op->sub);
    if (err != DR_OK) {
        refuse(req, err);
    }
}

static dr_err_t list_row(void *data, const struct db_subscription *row)
{
    struct op *op = data;

    if (row->key != op->key) {
        return DR_OK; /* subscriptions belong to the key that made them */
    }
    if (op->path == NULL) {
        dr_dynbuf_append_str(&op->out, row->path);
        dr_dynbuf_append_char(&op->out, '\n');
        op->found = true;
    } else if (strcmp(op->path, row->path) == 0) {
        op->found = true;
    }
    return DR_OK;
}

static dr_err_t list_read(struct db_reader *r, struct db_read *read)
{
    struct op *op = DR_CONTAINER_OF(read, struct op, read);

    return db_subscription_list(r, op->account, op->device, list_row, op);
}

static void list_done(struct db_read *read, dr_err_t err)
{
    struct op *op = DR_CONTAINER_OF(read, struct op, read);

    if (err == DR_OK && op->found && op->path == NULL) {
        rest_answer(op->req, 200, "text/uri-list", &op->out);
        return;
    }
    dr_dynbuf_fini(&op->out);
    if (err == DR_OK && op->found) {
        rest_answer_empty(op->req, 200);
    } else if (err == DR_OK || err == DR_ERR_NOT_FOUND) {
        rest_answer_text(op->req, 404, "SUBSCRIPTION_NOT_FOUND");
    } else {
        rest_answer_err(op->req, err);
    }
}

static void subscription_get(struct rest_req *req)
{
    struct op *op = op_new(req);

    if (op != NULL) {
        rest_read_start(req, &op->read, list_read, list_done);
    }
}

static void unsubscribe_done(struct dev_unsubscribe *un, dr_err_t err)
{
    struct op *op = DR_CONTAINER_OF(un, struct op, un);

    if (err == DR_OK || err == DR_ERR_NOT_FOUND || err == DR_ERR_GONE) {
        rest_answer_empty(op->req, 204);
    } else {
        refuse(op->req, err);
    }
}

static void subscription_delete(struct rest_req *req)
{
    struct op *op = op_new(req);
    if (op == NULL) {
        return;
    }
    op->un = (struct dev_unsubscribe){.account = op->account,
                                      .device = op->device,
                                      .key = op->key,
                                      .path = op->path,
                                      .cb = unsubscribe_done};
    dr_err_t err = dev_unsubscribe_start(rest_of(req)->devices, &op->un);
    if (err != DR_OK) {
        refuse(req, err);
    }
}

/* ---- pre-subscriptions ---- */

static dr_err_t presub_row(void *data, int64_t account, int64_t key, uint32_t order,
                           const char *json)
{
    struct rest_json j = rest_json_of(data);
    (void)account;
    (void)key;
    (void)order;

    rest_json_raw(&j, NULL, dr_bytes_str(json));
    return DR_OK;
}

static dr_err_t presub_read(struct db_reader *r, struct db_read *read)
{
    struct op *op = DR_CONTAINER_OF(read, struct op, read);
    struct rest_json j = rest_json_of(&op->out);

    rest_json_array(&j, NULL);
    dr_err_t err = db_presubscription_list(r, op->account, op->key, presub_row, &op->out);
    rest_json_array_end(&j);
    return err;
}

static void presub_read_done(struct db_read *read, dr_err_t err)
{
    struct op *op = DR_CONTAINER_OF(read, struct op, read);

    if (err == DR_OK) {
        rest_answer_json(op->req, 200, &op->out);
    } else {
        dr_dynbuf_fini(&op->out);
        rest_answer_err(op->req, err);
    }
}

static void presubs_get(struct rest_req *req)
{
    struct op *op = op_new(req);

    if (op != NULL) {
        rest_read_start(req, &op->read, presub_read, presub_read_done);
    }
}

static void presub_put_done(struct dev_presubscriptions_put *put, dr_err_t err)
{
    struct op *op = DR_CONTAINER_OF(put, struct op, put);

    json_decref(op->json);
    op->json = NULL;
    if (err == DR_OK) {
        rest_answer_empty(op->req, 204);
    } else if (err == DR_ERR_INVAL || err == DR_ERR_PROTO || err == DR_ERR_RANGE) {
        rest_answer_text(op->req, 400, "BAD_REQUEST");
    } else {
        rest_answer_err(op->req, err);
    }
}

static void presub_put_start(struct op *op, const struct dev_presubscription *list, size_t n)
{
    op->put = (struct dev_presubscriptions_put){
        .account = op->account, .key = op->key, .list = list, .n = n, .cb = presub_put_done};
    dr_err_t err = dev_presubscriptions_put_start(rest_of(op->req)->devices, &op->put);
    if (err != DR_OK) {
        presub_put_done(&op->put, err);
    }
}

static void presubs_put(struct rest_req *req)
{
    struct op *op = op_new(req);
    struct dev_presubscription *list = NULL;
    size_t n = 0;

    if (op == NULL || !rest_body_parse(req, &op->json)) {
        return;
    }
    dr_err_t err = rest_presubscriptions_parse(op->json, &req->arena, &list, &n);
    if (err == DR_OK) {
        presub_put_start(op, list, n);
        return;
    }
    json_decref(op->json);
    if (err == DR_ERR_NOMEM) {
        rest_answer_err(req, err);
    } else {
        rest_answer_text(req, 400, err == DR_ERR_RANGE ? "LIMITS_EXCEEDED" : "BAD_REQUEST");
    }
}

static void presubs_delete(struct rest_req *req)
{
    struct op *op = op_new(req);

    if (op != NULL) {
        presub_put_start(op, NULL, 0);
    }
}

/* 1024 entries of some paths each; the rest of the limits bind first for all practical lists. */
#define PRESUBS_BODY_MAX (4 * 1024 * 1024)

static const struct rest_route routes[] = {
    {REST_GET, REST_READ, "/v2/subscriptions", presubs_get, 0},
    {REST_PUT, REST_WRITE, "/v2/subscriptions", presubs_put, PRESUBS_BODY_MAX},
    {REST_DELETE, REST_WRITE, "/v2/subscriptions", presubs_delete, 0},
    {REST_GET, REST_READ, "/v2/subscriptions/{}", subscription_get, 0},
    {REST_DELETE, REST_WRITE, "/v2/subscriptions/{}", subscription_delete, 0},
    {REST_GET, REST_READ, "/v2/subscriptions/{}/{*}", subscription_get, 0},
    {REST_PUT, REST_WRITE, "/v2/subscriptions/{}/{*}", subscription_put, 0},
    {REST_DELETE, REST_WRITE, "/v2/subscriptions/{}/{*}", subscription_delete, 0},
};

const struct rest_routes rest_v2_subscriptions_routes = {routes, DR_ARRAY_LEN(routes)};
