/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/v2_device_requests.c
 * @brief POST /v2/device-requests/{device}: read, write, execute and delete on a device.
 *
 * The answer of the device comes through the notification channel of the API key.
 */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "db/device.h"
#include "rest/bodies.h"
#include "rest/rest_priv.h"

struct op {
    struct dev_request request;
    struct rest_req *req;
    struct db_read find;
    json_t *json;
    const char *endpoint;
};

static void op_end(struct op *op)
{
    json_decref(op->json);
    op->json = NULL;
}

/* The texts are what clients compare with. */
static void answer(struct rest_req *req, dr_err_t err)
{
    switch (err) {
    case DR_OK:
        rest_answer_empty(req, 202);
        break;
    case DR_ERR_INVAL:
        rest_answer_text(req, 400, "RESOURCE_NOT_FOUND");
        break;
    case DR_ERR_NOT_FOUND:
    case DR_ERR_GONE:
        rest_answer_text(req, 404, "DEVICE_NOT_FOUND");
        break;
    case DR_ERR_LIMIT:
        rest_answer_text(req, 400, "QUEUE_IS_FULL");
        break;
    case DR_ERR_EXISTS:
        rest_answer_text(req, 400, "MALFORMED_ASYNC_ID");
        break;
    case DR_ERR_PROTO:
    case DR_ERR_RANGE:
        rest_answer_text(req, 400, "MALFORMED_JSON_CONTENT");
        break;
    case DR_ERR_TOO_LARGE:
        rest_answer_text(req, 413, "PAYLOAD_TOO_LARGE");
        break;
    default:
        rest_answer_err(req, err);
        break;
    }
}

static void request_done(struct dev_request *request, dr_err_t err)
{
    struct op *op = DR_CONTAINER_OF(request, struct op, request);

    op_end(op);
    answer(op->req, err);
}

static void op_start(struct op *op)
{
    op->request.cb = request_done;
    dr_err_t err = dev_request_start(rest_of(op->req)->devices, &op->request);
    if (err != DR_OK) {
        op_end(op);
        answer(op->req, err);
    }
}

/* A whole number argument; false = present and not within lo..hi. */
static bool int_arg(const struct rest_req *req, const char *name, int64_t lo, int64_t hi,
                    int64_t *ret)
{
    const char *text = rest_target_arg(&req->target, name);

    return text == NULL ||
           (dr_parse_i64(text, strlen(text), ret) == DR_OK && *ret >= lo && *ret <= hi);
}

static dr_err_t found(void *data, const struct db_device *row)
{
    struct op *op = data;

    op->request.device = row->id;
    return DR_OK;
}

static dr_err_t find(struct db_reader *r, struct db_read *read)
{
    struct op *op = DR_CONTAINER_OF(read, struct op, find);

    return db_device_find(r, op->request.account, op->endpoint, found, op);
}

static void find_done(struct db_read *read, dr_err_t err)
{
    struct op *op = DR_CONTAINER_OF(read, struct op, find);

    if (err == DR_OK) {
        op_start(op);
    } else {
        op_end(op);
        answer(op->req, err);
    }
}

static void request_post(struct rest_req *req)
{
    const char *async_id = rest_target_arg(&req->target, "async-id");
    int64_t retry = -1;
    int64_t expiry = -1;
    struct op *op = rest_arena_alloc(&req->arena, sizeof *op);

    if (op == NULL) {
        rest_answer_err(req, DR_ERR_NOMEM);
        return;
    }
    if (!rest_async_id_valid(async_id)) {
        rest_answer_text(req, 400, "MALFORMED_ASYNC_ID");
        return;
    }
    if (!int_arg(req, "retry", 0, 10, &retry) ||
        !int_arg(req, "expiry-seconds", 60, 2592000, &expiry)) {
        rest_answer_text(req, 400, "LIMITS_EXCEEDED");
        return;
    }
    if (!rest_body_parse(req, &op->json)) {
        return;
    }
    struct rest_device_request body;
    dr_err_t err = rest_device_request_parse(op->json, &req->arena, &body);
    if (err != DR_OK) {
        op_end(op);
        answer(req, err);
        return;
    }
    op->req = req;
    op->request = (struct dev_request){
        .account = req->who.account,
        .key = req->who.key,
        .async_id = async_id,
        .method = body.method,
        .uri = body.uri,
        .content_type = body.content_type,
        .accept = body.accept,
        .payload = body.payload,
        .retry = (int)retry,
        .expiry_s = expiry,
        .synchronous_cache = body.method == DEV_GET,
    };
    const char *reference = rest_target_arg(&req->target, "device_reference");
    if (reference != NULL && strcmp(reference, "endpoint_name") == 0) {
        op->endpoint = rest_req_capture(req, 0);
        op->find = (struct db_read){.home = rest_of(req)->loop, .fn = find, .done = find_done};
        err = db_read_start(rest_of(req)->db, &op->find);
        if (err != DR_OK) {
            op_end(op);
            rest_answer_err(req, err);
        }
        return;
    }
    const char *id = rest_req_capture(req, 0);
    if (dr_id_parse(id, strlen(id), &op->request.device) != DR_OK) {
        op_end(op);
        answer(req, DR_ERR_NOT_FOUND);
        return;
    }
    op_start(op);
}

static const struct rest_route routes[] = {
    {REST_POST, REST_WRITE, "/v2/device-requests/{}", request_post, REST_DEVICE_REQUEST_BODY_MAX},
};

const struct rest_routes rest_v2_device_requests_routes = {routes, DR_ARRAY_LEN(routes)};
