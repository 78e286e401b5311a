/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/v2_endpoints.c
 * @brief /v2/endpoints: the resources of a registered device, and the old calls on a resource.
 *
 * The old calls are device requests whose async id the server makes. `noResp` (do not wait for an
 * answer) asks for an exchange that the device's link does not offer: 409.
 */
#include <stdlib.h>
#include <string.h>

#include "base/rand.h"
#include "base/text.h"
#include "rest/bodies.h"
#include "rest/rest_priv.h"

/* ---- links ---- */

struct links_op {
    struct dev_links_get get;
    struct rest_req *req;
};

static void text(struct rest_json *j, const char *key, const char *value)
{
    rest_json_str(j, key, value == NULL ? "" : value);
}

static void links_done(struct dev_links_get *get, dr_err_t err, const struct dev_link *links,
                       size_t n)
{
    struct links_op *op = DR_CONTAINER_OF(get, struct links_op, get);
    struct dr_dynbuf body;

    if (err != DR_OK) {
        if (err == DR_ERR_NOT_FOUND || err == DR_ERR_GONE) {
            rest_answer_text(op->req, 404, "DEVICE_NOT_FOUND");
        } else {
            rest_answer_err(op->req, err);
        }
        return;
    }
    dr_dynbuf_init(&body, REST_ANSWER_MAX);
    struct rest_json j = rest_json_of(&body);
    rest_json_array(&j, NULL);
    for (size_t i = 0; i < n; i++) {
        rest_json_object(&j, NULL);
        text(&j, "uri", links[i].path);
        text(&j, "rt", links[i].rt);
        text(&j, "type", links[i].ct);
        rest_json_bool(&j, "obs", links[i].obs);
        rest_json_object_end(&j);
    }
    rest_json_array_end(&j);
    rest_answer_json(op->req, 200, &body);
}

static bool device_id(struct rest_req *req, int64_t *ret)
{
    const char *id = rest_req_capture(req, 0);

    if (dr_id_parse(id, strlen(id), ret) == DR_OK) {
        return true;
    }
    rest_answer_text(req, 404, "DEVICE_NOT_FOUND");
    return false;
}

static void links_get(struct rest_req *req)
{
    int64_t device = 0;
    if (!device_id(req, &device)) {
        return;
    }
    struct links_op *op = rest_arena_alloc(&req->arena, sizeof *op);
    if (op == NULL) {
        rest_answer_err(req, DR_ERR_NOMEM);
        return;
    }
    op->req = req;
    op->get =
        (struct dev_links_get){.account = req->who.account, .device = device, .cb = links_done};
    dr_err_t err = dev_links_get_start(rest_of(req)->devices, &op->get);
    if (err != DR_OK) {
        rest_answer_err(req, err);
    }
}

/* ---- calls on a resource ---- */

struct call_op {
    struct dev_value_get get;
    struct dev_request request;
    struct rest_req *req;
    char async_id[DEV_ASYNC_ID_MAX + 1];
};

static bool flag(const struct rest_req *req, const char *name)
{
    const char *value = rest_target_arg(&req->target, name);

    return value != NULL && (strcmp(value, "true") == 0 || strcmp(value, "1") == 0);
}

static void call_answer(struct rest_req *req, dr_err_t err)
{
    switch (err) {
    case DR_ERR_NOT_FOUND:
    case DR_ERR_GONE:
        rest_answer_text(req, 410, "DEVICE_NOT_FOUND");
        break;
    case DR_ERR_INVAL:
        rest_answer_text(req, 404, "RESOURCE_NOT_FOUND");
        break;
    case DR_ERR_LIMIT:
        rest_answer_text(req, 429, "QUEUE_IS_FULL");
        break;
    case DR_ERR_PROTO:
    case DR_ERR_RANGE:
        rest_answer_text(req, 400, "BAD_REQUEST");
        break;
    default:
        rest_answer_err(req, err);
        break;
    }
}

static void request_done(struct dev_request *request, dr_err_t err)
{
    struct call_op *op = DR_CONTAINER_OF(request, struct call_op, request);
    struct dr_dynbuf body;

    if (err != DR_OK) {
        call_answer(op->req, err);
        return;
    }
    dr_dynbuf_init(&body, 1024);
    struct rest_json j = rest_json_of(&body);
    rest_json_object(&j, NULL);
    rest_json_str(&j, "async-response-id", op->async_id);
    rest_json_object_end(&j);
    rest_answer_json(op->req, 202, &body);
}

void rest_async_id_make(char out[DEV_ASYNC_ID_MAX + 1])
{
    uint8_t raw[16];

    dr_rand_bytes(raw, sizeof raw);
    dr_hex_encode(raw, sizeof raw, out);
}

static void request_start(struct call_op *op)
{
    rest_async_id_make(op->async_id);
    op->request.async_id = op->async_id;
    op->request.cb = request_done;
    dr_err_t err = dev_request_start(rest_of(op->req)->devices, &op->request);
    if (err != DR_OK) {
        call_answer(op->req, err);
    }
}

static void value_done(struct dev_value_get *get, dr_err_t err, const char *ct,
                       struct dr_bytes payload, uint32_t max_age_s)
{
    struct call_op *op = DR_CONTAINER_OF(get, struct call_op, get);

    if (err == DR_OK) {
        struct dr_dynbuf body;
        char age[32];
        dr_dynbuf_init(&body, DEV_PAYLOAD_MAX);
        dr_dynbuf_append_bytes(&body, payload);
        (void)snprintf(age, sizeof age, "max-age=%u", max_age_s);
        rest_answer_cached(op->req, ct == NULL || ct[0] == '\0' ? "text/plain" : ct, &body, age);
    } else if (err != DR_ERR_AGAIN) {
        call_answer(op->req, err);
    } else if (flag(op->req, "cacheOnly")) {
        rest_answer_empty(op->req, 205);
    } else {
        request_start(op);
    }
}

static void resource_call(struct rest_req *req)
{
    static const struct {
        enum rest_method http;
        enum dev_method device;
    } methods[] = {
        {REST_GET, DEV_GET}, {REST_PUT, DEV_PUT}, {REST_POST, DEV_POST}, {REST_DELETE, DEV_DELETE}};
    int64_t device = 0;
    const char *path = rest_req_capture(req, 1);
    if (!device_id(req, &device)) {
        return;
    }
    if (strlen(path) > DEV_PATH_MAX) {
        rest_answer_text(req, 400, "BAD_REQUEST");
        return;
    }
    if (flag(req, "noResp")) {
        rest_answer_text(req, 409, "NO_RESPONSE_NOT_SUPPORTED");
        return;
    }
    struct call_op *op = rest_arena_alloc(&req->arena, sizeof *op);
    if (op == NULL) {
        rest_answer_err(req, DR_ERR_NOMEM);
        return;
    }
    const char *type = rest_req_header(req, "Content-Type");
    const char *accept = rest_req_header(req, "Accept");
    bool json_only = type == NULL || strncasecmp(type, "application/json", 16) == 0;
    op->req = req;
    op->request = (struct dev_request){
        .account = req->who.account,
        .device = device,
        .key = req->who.key,
        .uri = path,
        .content_type = json_only || strlen(type) > DEV_CONTENT_MAX ? "" : type,
        .accept = accept == NULL || strchr(accept, '*') != NULL || strchr(accept, ',') != NULL ||
                          strncasecmp(accept, "application/json", 16) == 0 ||
                          strlen(accept) > DEV_CONTENT_MAX
                      ? ""
                      : accept,
        .payload = req->body,
        .retry = -1,
        .expiry_s = -1,
    };
    for (size_t i = 0; i < DR_ARRAY_LEN(methods); i++) {
        if (methods[i].http == req->method) {
            op->request.method = methods[i].device;
        }
    }
    if (req->method != REST_GET) {
        request_start(op);
        return;
    }
    op->get = (struct dev_value_get){
        .account = req->who.account, .device = device, .path = path, .cb = value_done};
    dr_err_t err = dev_value_get_start(rest_of(req)->devices, &op->get);
    if (err != DR_OK) {
        call_answer(req, err);
    }
}

static const struct rest_route routes[] = {
    {REST_GET, REST_READ, "/v2/endpoints/{}", links_get, 0},
    {REST_GET, REST_READ, "/v2/endpoints/{}/{*}", resource_call, 0},
    {REST_PUT, REST_WRITE, "/v2/endpoints/{}/{*}", resource_call, DEV_PAYLOAD_MAX},
    {REST_POST, REST_WRITE, "/v2/endpoints/{}/{*}", resource_call, DEV_PAYLOAD_MAX},
    {REST_DELETE, REST_WRITE, "/v2/endpoints/{}/{*}", resource_call, 0},
};

const struct rest_routes rest_v2_endpoints_routes = {routes, DR_ARRAY_LEN(routes)};
