/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/health.c
 * @brief GET /healthz and /readyz.
 */
#include "rest/rest_priv.h"

static void health_get(struct rest_req *req)
{
    struct dr_dynbuf body;
    dr_dynbuf_init(&body, 1024);
    struct rest_json j = rest_json_of(&body);

    rest_json_object(&j, NULL);
    rest_json_str(&j, "status", "ok");
    rest_json_str(&j, "version", rest_of(req)->config.version);
    rest_json_object_end(&j);
    rest_answer_json(req, 200, &body);
}

static void ready_get(struct rest_req *req)
{
    struct rest *rest = rest_of(req);
    bool ready = rest->config.ready == NULL || rest->config.ready(rest->config.ready_data);
    struct db_stats stats = {0};
    db_stats(rest->db, &stats);

    struct dr_dynbuf body;
    dr_dynbuf_init(&body, 1024);
    struct rest_json j = rest_json_of(&body);
    rest_json_object(&j, NULL);
    rest_json_bool(&j, "ready", ready && !stats.refusing);
    rest_json_bool(&j, "writes", !stats.refusing);
    rest_json_object_end(&j);
    rest_answer_json(req, ready && !stats.refusing ? 200 : 503, &body);
}

static const struct rest_route routes[] = {
    {REST_GET, REST_OPEN, "/healthz", health_get, 0},
    {REST_GET, REST_OPEN, "/readyz", ready_get, 0},
};

const struct rest_routes rest_health_routes = {routes, DR_ARRAY_LEN(routes)};
