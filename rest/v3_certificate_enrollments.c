/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/v3_certificate_enrollments.c
 * @brief /v3/certificate-enrollments, and the renewal of a device's certificate that makes one.
 */
#include <stdio.h>

#include "base/clock.h"
#include "db/cert.h"
#include "devices/renew.h"
#include "rest/list.h"
#include "rest/one.h"
#include "rest/rest_priv.h"

static void enrollment_write(struct rest_json *j, const struct db_cert_enrollment *e)
{
    char etag[24];

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
    (void)snprintf(etag, sizeof etag, "%lld", (long long)e->updated_at);
    rest_json_str(j, "etag", etag);
    rest_json_object_end(j);
}

/* ---- list, one ---- */

static const char *const filter_fields[] = {"certificate_name", "device_id",     "created_at",
                                            "updated_at",       "enroll_result", "enroll_status"};

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

static bool count_is_cheap(const struct db_query *query)
{
    (void)query;
    return false;
}

static const struct rest_list_kind list_kind = {
    .list = DB_LIST_CERT_ENROLLMENT,
    .fields = filter_fields,
    .n_fields = DR_ARRAY_LEN(filter_fields),
    .rows = list_rows,
    .count = list_count,
    .count_is_cheap = count_is_cheap,
};

static void enrollments_get(struct rest_req *req)
{
    rest_list_start(req, &list_kind);
}

static dr_err_t row_write(void *data, const struct db_cert_enrollment *row)
{
    struct rest_json j = rest_json_of(data);

    enrollment_write(&j, row);
    return DR_OK;
}

static dr_err_t enrollment_read(struct db_reader *r, struct rest_one *one)
{
    return db_cert_enrollment_get(r, one->account, one->id, row_write, &one->out);
}

static void enrollment_get(struct rest_req *req)
{
    struct rest_one *one = rest_one_of_path(req, sizeof *one, "certificate enrollment");

    if (one != NULL) {
        rest_one_read(one, enrollment_read);
    }
}

/* ---- renewal ---- */

struct op {
    struct rest_one one; /* id: of the device */
    struct dev_renew renew;
};

static void refuse(struct op *op, int status, const char *text)
{
    struct rest_req *req = op->one.req;

    rest_one_drop(&op->one);
    rest_answer_error(req, status, NULL, text);
}

static void renew_begun(struct dev_renew *renew, dr_err_t err)
{
    struct op *op = DR_CONTAINER_OF(renew, struct op, renew);

    if (err == DR_ERR_EXISTS) {
        refuse(op, 409, "a renewal of this device is under way");
    } else if (err == DR_ERR_ASLEEP) {
        refuse(op, 423, "the device is not registered, or cannot renew certificates");
    } else if (err != DR_OK) {
        rest_one_end(&op->one, err);
    } else {
        struct rest_json j = rest_json_of(&op->one.out);
        const struct db_cert_enrollment row = {.id = renew->id,
                                               .account = renew->account,
                                               .device = renew->device,
                                               .updated_at = DR_ID_MS(renew->id),
                                               .certificate_name = renew->name,
                                               .status = "new",
                                               .result = "",
                                               .detail = ""};
        enrollment_write(&j, &row);
        op->one.status = 201;
        rest_one_end(&op->one, DR_OK);
    }
}

static void certificate_renew(struct rest_req *req)
{
    struct op *op = rest_one_of_path(req, sizeof *op, "device");

    if (op == NULL) {
        return;
    }
    op->renew = (struct dev_renew){.account = op->one.account,
                                   .device = op->one.id,
                                   .name = rest_req_capture(req, 1),
                                   .cb = renew_begun};
    dr_err_t err = rest_of(req)->config.renewals == NULL
                       ? DR_ERR_BUSY
                       : dev_renew_start(rest_of(req)->config.renewals, &op->renew);
    if (err == DR_ERR_INVAL) {
        refuse(op, 400, "no name of a certificate");
    } else if (err != DR_OK) {
        rest_one_end(&op->one, err);
    }
}

static const struct rest_route routes[] = {
    {REST_GET, REST_READ, "/v3/certificate-enrollments", enrollments_get, 0},
    {REST_GET, REST_READ, "/v3/certificate-enrollments/{}", enrollment_get, 0},
    {REST_POST, REST_WRITE, "/v3/devices/{}/certificates/{}/renew", certificate_renew, 0},
};

const struct rest_routes rest_v3_certificate_enrollments_routes = {routes, DR_ARRAY_LEN(routes)};
