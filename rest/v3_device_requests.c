/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/v3_device_requests.c
 * @brief POST /v3/drover/devices/{device}/requests?wait=S: a device request whose result is the
 * answer.
 *
 * For the command line and scripts, which would otherwise have to share the notification channel of
 * their key with the application that polls it. The body is that of /v2/device-requests. 200 with
 * the async response; 202 with the async id when nothing came in time: the request stays queued and
 * its result goes to the channel.
 *
 * POST /v3/drover/devices/{device}/bootstrap?server=N&wait=S asks the device to bootstrap again, as
 * a request for /1/N/9.
 */
#include <stdio.h>
#include <string.h>

#include "base/list.h"
#include "base/text.h"
#include "base/timer.h"
#include "rest/bodies.h"
#include "rest/rest_priv.h"
#include "rest/wait.h"

#define WAIT_S_DEFAULT 30
#define WAIT_S_MAX     300
#define INSTANCE_MAX   65534

struct op {
    struct dev_request request;
    struct rest_wait wait;
    struct rest_req *req;
    struct dr_timer timer;
    json_t *json;
    uint64_t wait_ms;
    int64_t row; /* of the result that is being sent */
    char async_id[DEV_ASYNC_ID_MAX + 1];
};

static void op_end(struct op *op)
{
    rest_wait_cancel(rest_of(op->req), &op->wait);
    dr_timer_cancel(loop_wheel(rest_of(op->req)->loop), &op->timer);
    json_decref(op->json);
    op->json = NULL;
}

static void answer_later(struct op *op)
{
    struct dr_dynbuf body;
    struct rest_json j = rest_json_of(&body);

    dr_dynbuf_init(&body, REST_ANSWER_MAX);
    rest_json_object(&j, NULL);
    rest_json_str(&j, "async-response-id", op->async_id);
    rest_json_object_end(&j);
    op_end(op);
    rest_answer_json(op->req, 202, &body);
}

static void wait_over(struct dr_timer *t, uint64_t now_ms)
{
    (void)now_ms;
    answer_later(DR_CONTAINER_OF(t, struct op, timer));
}

static void hung_up(struct rest_req *req)
{
    answer_later(req->op);
}

/* The row goes only when its result has left; else it is told again after a restart. */
static void sent(struct rest_req *req, bool ok)
{
    struct op *op = req->op;

    if (ok && op->row != 0) {
        dev_answer_delivered(rest_of(req)->devices, op->row);
    }
}

static void result(struct rest_wait *wait, const struct dev_event *ev, struct dr_bytes json)
{
    struct op *op = DR_CONTAINER_OF(wait, struct op, wait);
    struct dr_dynbuf body;

    dr_dynbuf_init(&body, REST_ANSWER_MAX);
    dr_dynbuf_append(&body, json.p, json.len);
    op->row = ev->request;
    op_end(op);
    rest_answer_json(op->req, 200, &body);
}

static void answer_error(struct rest_req *req, dr_err_t err)
{
    switch (err) {
    case DR_ERR_INVAL:
        rest_answer_error(req, 404, NULL, "the device does not offer this resource");
        break;
    case DR_ERR_NOT_FOUND:
    case DR_ERR_GONE:
        rest_answer_error(req, 404, NULL, "no such registered device");
        break;
    case DR_ERR_PROTO:
    case DR_ERR_RANGE:
        rest_answer_error(req, 400, NULL, "not a device request: method and uri are needed");
        break;
    case DR_ERR_LIMIT:
        rest_answer_error(req, 429, NULL, "too many requests wait");
        break;
    default:
        rest_answer_err(req, err);
        break;
    }
}

static void queued(struct dev_request *request, dr_err_t err)
{
    struct op *op = DR_CONTAINER_OF(request, struct op, request);
    struct rest_req *req = op->req;

    if (err != DR_OK) {
        op_end(op);
        answer_error(req, err);
        return;
    }
    if (rest_req_answered(req)) {
        return; /* the result was faster */
    }
    struct loop *loop = rest_of(req)->loop;
    dr_timer_start(loop_wheel(loop), &op->timer, loop_now_ms(loop) + op->wait_ms);
    rest_req_on_gone(req, hung_up);
}

/* NULL: answered. */
static struct op *op_new(struct rest_req *req, int64_t *ret_device)
{
    const char *text = rest_target_arg(&req->target, "wait");
    uint64_t wait_s = WAIT_S_DEFAULT;
    struct op *op = rest_arena_alloc(&req->arena, sizeof *op);

    if (op == NULL) {
        rest_answer_err(req, DR_ERR_NOMEM);
        return NULL;
    }
    if (text != NULL && dr_parse_u64_max(text, strlen(text), WAIT_S_MAX, &wait_s) != DR_OK) {
        rest_answer_error(req, 400, NULL, "wait: 0 to 300 seconds");
        return NULL;
    }
    *ret_device = rest_path_id(req, 0);
    if (*ret_device == 0) {
        return NULL;
    }
    op->req = req;
    req->op = op;
    dr_timer_init(&op->timer, wait_over);
    rest_async_id_make(op->async_id);
    op->wait_ms = wait_s * 1000;
    return op;
}

static void op_start(struct op *op, int64_t device, const struct rest_device_request *body)
{
    struct rest_req *req = op->req;

    op->request = (struct dev_request){.account = req->who.account,
                                       .device = device,
                                       .key = req->who.key,
                                       .async_id = op->async_id,
                                       .method = body->method,
                                       .uri = body->uri,
                                       .content_type = body->content_type,
                                       .accept = body->accept,
                                       .payload = body->payload,
                                       .retry = -1,
                                       .expiry_s = -1,
                                       .synchronous_cache = false,
                                       .cb = queued};
    op->wait = (struct rest_wait){
        .account = req->who.account, .key = req->who.key, .async_id = op->async_id, .fn = result};
    req->sent = sent;
    dr_err_t err = rest_wait_start(rest_of(req), &op->wait);
    if (err == DR_OK) {
        err = dev_request_start(rest_of(req)->devices, &op->request);
    }
    if (err != DR_OK) {
        op_end(op);
        answer_error(req, err);
    }
}

static void request_post(struct rest_req *req)
{
    struct rest_device_request body;
    int64_t device = 0;
    struct op *op = op_new(req, &device);

    if (op == NULL || !rest_body_parse(req, &op->json)) {
        return;
    }
    dr_err_t err = rest_device_request_parse(op->json, &req->arena, &body);
    if (err != DR_OK) {
        op_end(op);
        answer_error(req, err);
        return;
    }
    op_start(op, device, &body);
}

/* spec: LWM2M-1.1-CORE#6.1.5: Bootstrap-Request Trigger of an instance of object 1 */
static void bootstrap_post(struct rest_req *req)
{
    const char *text = rest_target_arg(&req->target, "server");
    uint64_t instance = 0;
    int64_t device = 0;
    struct op *op = op_new(req, &device);

    if (op == NULL) {
        return;
    }
    if (text != NULL && dr_parse_u64_max(text, strlen(text), INSTANCE_MAX, &instance) != DR_OK) {
        rest_answer_error(req, 400, NULL, "server: instance of object 1");
        return;
    }
    char *uri = rest_arena_alloc(&req->arena, 16);
    if (uri == NULL) {
        rest_answer_err(req, DR_ERR_NOMEM);
        return;
    }
    (void)snprintf(uri, 16, "/1/%u/9", (unsigned)instance);
    const struct rest_device_request body = {
        .method = DEV_POST, .uri = uri, .content_type = "", .accept = ""};
    op_start(op, device, &body);
}

static const struct rest_route routes[] = {
    {REST_POST, REST_WRITE, "/v3/drover/devices/{}/requests", request_post,
     REST_DEVICE_REQUEST_BODY_MAX},
    {REST_POST, REST_WRITE, "/v3/drover/devices/{}/bootstrap", bootstrap_post, 0},
};

const struct rest_routes rest_v3_device_requests_routes = {routes, DR_ARRAY_LEN(routes)};
