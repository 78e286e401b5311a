/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/v3_certificate_issuers.c
 * @brief /v3/certificate-issuers and /v3/certificate-issuer-configurations: the built-in issuer is
 * the only one, so there are no others to list, and none can be made.
 */
#include "rest/rest_priv.h"

/* The configuration of the certificate "LWM2M": our own issuer. */
static void builtin_write(struct rest_json *j, int64_t account)
{
    rest_json_object(j, NULL);
    rest_json_str(j, "object", "certificate-issuer-configuration");
    rest_json_id(j, "id", account);
    rest_json_str(j, "reference", "LWM2M");
    rest_json_null(j, "certificate_issuer_id");
    rest_json_bool(j, "is_custom", false);
    rest_json_time(j, "created_at", DR_ID_MS(account));
    rest_json_time(j, "updated_at", DR_ID_MS(account));
    rest_json_str(j, "etag", "1");
    rest_json_object_end(j);
}

static void list_answer(struct rest_req *req, bool builtin)
{
    struct dr_dynbuf out;

    dr_dynbuf_init(&out, REST_ANSWER_MAX);
    struct rest_json j = rest_json_of(&out);
    rest_json_object(&j, NULL);
    rest_json_str(&j, "object", "list");
    rest_json_int(&j, "limit", 50);
    rest_json_null(&j, "after");
    rest_json_str(&j, "order", "ASC");
    rest_json_bool(&j, "has_more", false);
    rest_json_int(&j, "total_count", builtin);
    rest_json_array(&j, "data");
    if (builtin) {
        builtin_write(&j, req->who.account);
    }
    rest_json_array_end(&j);
    rest_json_object_end(&j);
    rest_answer_json(req, 200, &out);
}

static void issuers_get(struct rest_req *req)
{
    list_answer(req, false);
}

static void configurations_get(struct rest_req *req)
{
    list_answer(req, true);
}

static void lwm2m_get(struct rest_req *req)
{
    struct dr_dynbuf out;

    dr_dynbuf_init(&out, REST_ANSWER_MAX);
    struct rest_json j = rest_json_of(&out);
    builtin_write(&j, req->who.account);
    rest_answer_json(req, 200, &out);
}

static void nothing_there(struct rest_req *req)
{
    rest_answer_error(req, 404, NULL, "no such issuer");
}

static void refuse(struct rest_req *req)
{
    rest_answer_error(req, 400, NULL, "only the built-in issuer is supported");
}

static const struct rest_route routes[] = {
    {REST_GET, REST_READ, "/v3/certificate-issuers", issuers_get, 0},
    {REST_POST, REST_WRITE, "/v3/certificate-issuers", refuse, 65536},
    {REST_GET, REST_READ, "/v3/certificate-issuers/{}", nothing_there, 0},
    {REST_GET, REST_READ, "/v3/certificate-issuer-configurations", configurations_get, 0},
    {REST_POST, REST_WRITE, "/v3/certificate-issuer-configurations", refuse, 65536},
    {REST_GET, REST_READ, "/v3/certificate-issuer-configurations/lwm2m", lwm2m_get, 0},
    {REST_GET, REST_READ, "/v3/certificate-issuer-configurations/{}", nothing_there, 0},
};

const struct rest_routes rest_v3_certificate_issuers_routes = {routes, DR_ARRAY_LEN(routes)};
