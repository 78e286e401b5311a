/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/v3_certificate_issuers.c
 * @brief /v3/certificate-enrollments (renewals on devices), /v3/certificate-issuers and
 * /v3/certificate-issuer-configurations: the built-in issuer is the only one, so there are no
 * others to list, and none can be made.
 */
#include <stdio.h>
#include <string.h>

#include "db/cert.h"
#include "rest/list.h"
#include "rest/one.h"
#include "rest/rest_priv.h"

static void enrollment_write(struct rest_json *j, const struct db_cert_enrollment *e)
{
    char etag[24];

    (void)snprintf(etag, sizeof etag, "%lld", (long long)e->updated_at);
    rest_json_object(j, NULL);
    rest_json_str(j, "object", "certificate-enrollment");
    rest_json_id(j, "id", e->id);
    rest_json_id(j, "device_id", e->device);
    rest_json_str(j, "certificate_name", e->certificate_name);
    rest_json_str(j, "enroll_status", e->status);
    if (e->result[0] != '\0') {
        rest_json_str(j, "enroll_result", e->result);
        rest_json_str(j, "enroll_result_detail", e->detail);
    }
    rest_json_time(j, "created_at", DR_ID_MS(e->id));
    rest_json_time(j, "updated_at", e->updated_at);
    rest_json_str(j, "etag", etag);
    rest_json_object_end(j);
}

static const char *const fields[] = {
    "id",         "device_id", "certificate_name", "enroll_status", "enroll_result",
    "created_at", "updated_at"};

static dr_err_t list_row(void *data, const struct db_cert_enrollment *row)
{
    struct rest_list_op *op = data;
    struct rest_json j = rest_json_of(&op->out);

    if (rest_list_row(op)) {
        enrollment_write(&j, row);
    }
    return DR_OK;
}

static dr_err_t list_rows(struct db_reader *r, struct rest_list_op *op)
{
    return db_cert_enrollment_list(r, &op->query, list_row, op, &op->info);
}

static dr_err_t list_count(struct db_reader *r, struct rest_list_op *op, int64_t *ret)
{
    return db_cert_enrollment_count(r, &op->query, ret, &op->info);
}

static const struct rest_list_kind list_kind = {
    .list = DB_LIST_CERT_ENROLLMENT,
    .fields = fields,
    .n_fields = DR_ARRAY_LEN(fields),
    .rows = list_rows,
    .count = list_count,
};

static void enrollments_get(struct rest_req *req)
{
    rest_list_start(req, &list_kind);
}

static dr_err_t one_row(void *data, const struct db_cert_enrollment *row)
{
    struct rest_one *one = data;
    struct rest_json j = rest_json_of(&one->out);

    enrollment_write(&j, row);
    return DR_OK;
}

static dr_err_t one_read(struct db_reader *r, struct rest_one *one)
{
    return db_cert_enrollment_get(r, one->account, one->id, one_row, one);
}

static void enrollment_get(struct rest_req *req)
{
    struct rest_one *one = rest_one_of_path(req, sizeof *one, "certificate enrolment");

    if (one != NULL) {
        rest_one_read(one, one_read);
    }
}

/* ---- issuers ---- */

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
    {REST_GET, REST_READ, "/v3/certificate-enrollments", enrollments_get, 0},
    {REST_GET, REST_READ, "/v3/certificate-enrollments/{}", enrollment_get, 0},
    {REST_GET, REST_READ, "/v3/certificate-issuers", issuers_get, 0},
    {REST_POST, REST_WRITE, "/v3/certificate-issuers", refuse, 65536},
    {REST_GET, REST_READ, "/v3/certificate-issuers/{}", nothing_there, 0},
    {REST_GET, REST_READ, "/v3/certificate-issuer-configurations", configurations_get, 0},
    {REST_POST, REST_WRITE, "/v3/certificate-issuer-configurations", refuse, 65536},
    {REST_GET, REST_READ, "/v3/certificate-issuer-configurations/lwm2m", lwm2m_get, 0},
    {REST_GET, REST_READ, "/v3/certificate-issuer-configurations/{}", nothing_there, 0},
};

const struct rest_routes rest_v3_certificate_issuers_routes = {routes, DR_ARRAY_LEN(routes)};
