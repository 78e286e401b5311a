/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/v3_device_enrollments.c
 * @brief /v3/device-enrollments (claims of devices), their bulk uploads and deletes, and
 * /v3/device-enrollment-denials.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "db/enrollment.h"
#include "rest/bulk.h"
#include "rest/firmware.h"
#include "rest/list.h"
#include "rest/multipart.h"
#include "rest/one.h"
#include "rest/rest_priv.h"

#define UPLOADS "/v3/device-enrollments-bulk-uploads"
#define DELETES "/v3/device-enrollments-bulk-deletes"

/* ---- enrolments ---- */

static void enrollment_write(struct rest_json *j, const struct db_enrollment *e)
{
    char etag[24];

    (void)snprintf(etag, sizeof etag, "%lld",
                   (long long)(e->claimed_at != 0 ? e->claimed_at : DR_ID_MS(e->id)));
    rest_json_object(j, NULL);
    rest_json_str(j, "object", "enrollment");
    rest_json_id(j, "id", e->id);
    rest_json_id(j, "account_id", e->account);
    rest_json_str(j, "enrollment_identity", e->identity);
    rest_json_time(j, "created_at", DR_ID_MS(e->id));
    rest_json_time(j, "claimed_at", e->claimed_at);
    rest_json_time(j, "expires_at", e->expires_at);
    rest_json_id(j, "enrolled_device_id", e->device);
    rest_json_str(j, "etag", etag);
    rest_json_object_end(j);
}

static const char *const enrollment_fields[] = {"id", "enrollment_identity", "enrolled_device_id",
                                                "claimed_at", "created_at"};

static dr_err_t enrollment_row(void *data, const struct db_enrollment *row)
{
    struct rest_list_op *op = data;
    struct rest_json j = rest_json_of(&op->out);

    if (rest_list_row(op)) {
        enrollment_write(&j, row);
    }
    return DR_OK;
}

static dr_err_t enrollment_rows(struct db_reader *r, struct rest_list_op *op)
{
    return db_enrollment_list(r, &op->query, enrollment_row, op, &op->info);
}

static dr_err_t enrollment_count(struct db_reader *r, struct rest_list_op *op, int64_t *ret)
{
    return db_enrollment_count(r, &op->query, ret, &op->info);
}

static const struct rest_list_kind enrollment_kind = {
    .list = DB_LIST_ENROLLMENT,
    .fields = enrollment_fields,
    .n_fields = DR_ARRAY_LEN(enrollment_fields),
    .rows = enrollment_rows,
    .count = enrollment_count,
};

static void enrollments_get(struct rest_req *req)
{
    rest_list_start(req, &enrollment_kind);
}

struct op {
    struct rest_one one;
    const char *identity;
};

static dr_err_t one_row(void *data, const struct db_enrollment *row)
{
    struct rest_one *one = data;
    struct rest_json j = rest_json_of(&one->out);

    enrollment_write(&j, row);
    return DR_OK;
}

static dr_err_t one_read(struct db_reader *r, struct rest_one *one)
{
    return db_enrollment_get(r, one->account, one->id, one_row, one);
}

static void enrollment_get(struct rest_req *req)
{
    struct op *op = rest_one_of_path(req, sizeof *op, "enrolment");

    if (op != NULL) {
        rest_one_read(&op->one, one_read);
    }
}

static dr_err_t insert_run(struct db_writer *w, struct rest_one *one)
{
    const struct db_enrollment row = {.id = one->id,
                                      .account = one->account,
                                      .identity = DR_CONTAINER_OF(one, struct op, one)->identity};
    dr_err_t err = db_enrollment_insert(w, &row);

    return err == DR_OK ? one_read(db_writer_reader(w), one) : err;
}

static void enrollment_post(struct rest_req *req)
{
    struct rest_field_errors errors = {0};
    struct rest_str_rule rule = {.min = 1, .max = DB_ENROLLMENT_CHARS};
    uint8_t key[DB_ENROLLMENT_KEY];
    struct op *op = rest_one_new(req, sizeof *op, dr_id_new(&rest_of(req)->ids), "enrolment");

    if (op == NULL || !rest_one_body(&op->one)) {
        return;
    }
    (void)rest_body_str(op->one.json, "enrollment_identity", rule, false, &op->identity, &errors);
    if (errors.count == 0 &&
        (op->identity == NULL || db_enrollment_parse(op->identity, key) != DR_OK)) {
        rest_field_error_add(&errors, "enrollment_identity",
                             "must be A- and 32 bytes in hex with colons");
    }
    if (rest_one_parsed(&op->one, errors.count == 0 ? DR_OK : DR_ERR_INVAL, &errors)) {
        rest_one_write(&op->one, 201, insert_run, NULL);
    }
}

static dr_err_t delete_run(struct db_writer *w, struct rest_one *one)
{
    return db_enrollment_delete(w, one->account, one->id);
}

static void enrollment_delete(struct rest_req *req)
{
    struct op *op = rest_one_of_path(req, sizeof *op, "enrolment");

    if (op != NULL) {
        rest_one_write(&op->one, 204, delete_run, NULL);
    }
}

/* ---- bulk jobs ---- */

struct bulk_op {
    struct rest_one one;
    struct rest_multipart form;
    struct dr_dynbuf file;
    struct rest_bulk *bulk; /* owned until it is started */
    const char *base;
    size_t count;
    bool deletes, in_file, has_file;
};

static struct bulk_op *bulk_of(struct rest_one *one)
{
    return DR_CONTAINER_OF(one, struct bulk_op, one);
}

static void report_url(struct rest_json *j, const char *name, const struct bulk_op *op,
                       const struct db_bulk *b, const char *report)
{
    char id[DR_ID_LEN + 1], url[512];

    if (b->status != DB_BULK_COMPLETED) {
        rest_json_null(j, name);
        return;
    }
    dr_id_format(b->id, id);
    (void)snprintf(url, sizeof url, "%s%s/%s/%s", op->base, b->deletes ? DELETES : UPLOADS, id,
                   report);
    rest_json_str(j, name, url);
}

static dr_err_t bulk_row(void *data, const struct db_bulk *b)
{
    static const char *const status[] = {"new", "processing", "completed"};
    struct rest_one *one = data;
    struct rest_json j = rest_json_of(&one->out);
    char etag[24];

    (void)snprintf(etag, sizeof etag, "%lld", (long long)b->updated_at);
    rest_json_object(&j, NULL);
    rest_json_str(&j, "object", "enrollment-identity-bulk-uploads");
    rest_json_id(&j, "id", b->id);
    rest_json_id(&j, "account_id", b->account);
    rest_json_str(&j, "status", status[b->status]);
    rest_json_int(&j, "total_count", b->total);
    rest_json_int(&j, "processed_count", b->processed);
    rest_json_int(&j, "errors_count", b->errors);
    report_url(&j, "full_report_file", bulk_of(one), b, "full-report");
    report_url(&j, "errors_report_file", bulk_of(one), b, "errors-report");
    rest_json_time(&j, "created_at", DR_ID_MS(b->id));
    rest_json_time(&j, "completed_at", b->completed_at);
    rest_json_str(&j, "etag", etag);
    rest_json_object_end(&j);
    return DR_OK;
}

static dr_err_t bulk_read(struct db_reader *r, struct rest_one *one)
{
    return db_bulk_get(r, one->account, one->id, bulk_of(one)->deletes, bulk_row, one);
}

static struct bulk_op *bulk_at_path(struct rest_req *req, bool deletes)
{
    struct bulk_op *op = rest_one_of_path(req, sizeof *op, "bulk job");

    if (op != NULL) {
        op->deletes = deletes;
        op->base = rest_base_url(req);
        op->base = op->base == NULL ? "" : op->base;
    }
    return op;
}

static void bulk_get(struct rest_req *req, bool deletes)
{
    struct bulk_op *op = bulk_at_path(req, deletes);

    if (op != NULL) {
        rest_one_read(&op->one, bulk_read);
    }
}

static void upload_get(struct rest_req *req)
{
    bulk_get(req, false);
}

static void deletes_get(struct rest_req *req)
{
    bulk_get(req, true);
}

static dr_err_t part_begin(void *data, const struct rest_part *part)
{
    struct bulk_op *op = data;

    op->in_file = strcmp(part->name, "enrollment_identities") == 0;
    op->has_file = op->has_file || op->in_file;
    return DR_OK;
}

static dr_err_t part_bytes(void *data, struct dr_bytes bytes)
{
    struct bulk_op *op = data;

    if (op->in_file) {
        dr_dynbuf_append_bytes(&op->file, bytes);
    }
    return dr_dynbuf_err(&op->file);
}

static dr_err_t part_end(void *data)
{
    ((struct bulk_op *)data)->in_file = false;
    return DR_OK;
}

static const struct rest_multipart_ops form_ops = {part_begin, part_bytes, part_end};

static dr_err_t bulk_insert(struct db_writer *w, struct rest_one *one)
{
    const struct bulk_op *op = bulk_of(one);
    const struct db_bulk row = {.id = one->id,
                                .account = one->account,
                                .updated_at = one->now_ms,
                                .deletes = op->deletes,
                                .total = (int64_t)op->count};
    dr_err_t err = db_bulk_insert(w, &row);

    return err == DR_OK ? bulk_read(db_writer_reader(w), one) : err;
}

static void bulk_inserted(struct rest_one *one, dr_err_t err)
{
    struct bulk_op *op = bulk_of(one);

    if (err == DR_OK) {
        rest_bulk_start(rest_of(one->req), op->bulk, one->account, one->id, op->deletes);
        op->bulk = NULL;
    }
    rest_one_end(one, err);
}

/* After the answer, whatever it was. */
static void bulk_over(struct rest_req *req, bool ok)
{
    struct bulk_op *op = req->op;

    (void)ok;
    dr_dynbuf_fini(&op->file);
    op->bulk = rest_bulk_free(op->bulk);
}

static void bulk_refuse(struct bulk_op *op, dr_err_t err)
{
    rest_one_drop(&op->one);
    if (err == DR_ERR_NOSPACE || err == DR_ERR_TOO_LARGE) {
        rest_answer_error(op->one.req, 413, NULL, "the file is larger than 10 MB");
    } else if (err == DR_ERR_NOMEM) {
        rest_answer_err(op->one.req, err);
    } else {
        rest_answer_error(op->one.req, 400, NULL,
                          "the body is no form with a part 'enrollment_identities'");
    }
}

static void bulk_last(struct bulk_op *op)
{
    dr_err_t err = rest_multipart_finish(&op->form);

    if (err == DR_OK && !op->has_file) {
        err = DR_ERR_PROTO;
    }
    if (err == DR_OK) {
        err = rest_bulk_read(dr_dynbuf_bytes(&op->file), &op->bulk);
    }
    if (err != DR_OK) {
        bulk_refuse(op, err);
        return;
    }
    op->count = rest_bulk_count(op->bulk);
    rest_one_write(&op->one, 201, bulk_insert, bulk_inserted);
}

static void bulk_piece(struct rest_req *req, struct dr_bytes data)
{
    struct bulk_op *op = req->op;

    if (data.len == 0) {
        bulk_last(op);
        return;
    }
    dr_err_t err = rest_multipart_feed(&op->form, data);
    if (err != DR_OK) {
        bulk_refuse(op, err);
    }
}

static void bulk_post(struct rest_req *req, bool deletes)
{
    struct rest *rest = rest_of(req);

    if (rest->n_bulks >= REST_BULKS_MAX || rest->config.data_dir == NULL) {
        rest_answer_error(req, 503, NULL, "too many bulk jobs are under way");
        return;
    }
    struct bulk_op *op = rest_one_new(req, sizeof *op, dr_id_new(&rest->ids), "bulk job");
    if (op == NULL) {
        return;
    }
    op->deletes = deletes;
    op->base = rest_base_url(req);
    op->base = op->base == NULL ? "" : op->base;
    dr_dynbuf_init(&op->file, REST_BULK_FILE_MAX);
    req->op = op;
    req->sent = bulk_over;
    if (rest_multipart_init(&op->form, rest_req_header(req, "Content-Type"), &form_ops, op) !=
        DR_OK) {
        bulk_refuse(op, DR_ERR_PROTO);
        return;
    }
    rest_req_stream(req, REST_BULK_FILE_MAX + 65536, bulk_piece);
}

static void upload_post(struct rest_req *req)
{
    bulk_post(req, false);
}

static void deletes_post(struct rest_req *req)
{
    bulk_post(req, true);
}

/* The row says whether it is this account's; then the file is sent. */
static void report_send(struct rest_one *one, dr_err_t err)
{
    struct rest_req *req = one->req;
    bool errors_only = strcmp(rest_req_capture(req, 1), "errors-report") == 0;
    char path[DR_PATH_MAX];
    struct stat st;
    int fd = -1;

    if (err == DR_OK) {
        err = rest_bulk_report_path(rest_of(req), one->id, errors_only, path, sizeof path);
    }
    if (err == DR_OK) {
        fd = open(path, O_RDONLY | O_CLOEXEC);
        err = fd < 0 || fstat(fd, &st) != 0 ? DR_ERR_NOT_FOUND : DR_OK;
    }
    if (err != DR_OK) {
        if (fd >= 0) {
            (void)close(fd);
        }
        rest_one_end(one, err);
        return;
    }
    rest_one_drop(one);
    rest_answer_file(req, fd, (uint64_t)st.st_size, "text/csv");
}

static void report_get(struct rest_req *req, bool deletes)
{
    const char *name = rest_req_capture(req, 1);
    struct bulk_op *op = bulk_at_path(req, deletes);

    if (op == NULL) {
        return;
    }
    if (strcmp(name, "full-report") != 0 && strcmp(name, "errors-report") != 0) {
        rest_one_drop(&op->one);
        rest_answer_error(req, 404, NULL, "no such report");
        return;
    }
    rest_one_read_then(&op->one, bulk_read, report_send);
}

static void upload_report(struct rest_req *req)
{
    report_get(req, false);
}

static void deletes_report(struct rest_req *req)
{
    report_get(req, true);
}

/* ---- denials ---- */

static void denial_write(struct rest_json *j, const struct db_denial *d)
{
    rest_json_object(j, NULL);
    rest_json_str(j, "object", "denied_device");
    rest_json_id(j, "id", d->id);
    rest_json_id(j, "account_id", d->account);
    rest_json_str(j, "endpoint_name", d->endpoint_name);
    rest_json_id(j, "trusted_certificate_id", d->trusted_cert);
    rest_json_time(j, "created_at", DR_ID_MS(d->id));
    rest_json_object_end(j);
}

static const char *const denial_fields[] = {"id", "endpoint_name", "trusted_certificate_id",
                                            "created_at"};

static dr_err_t denial_row(void *data, const struct db_denial *row)
{
    struct rest_list_op *op = data;
    struct rest_json j = rest_json_of(&op->out);

    if (rest_list_row(op)) {
        denial_write(&j, row);
    }
    return DR_OK;
}

static dr_err_t denial_rows(struct db_reader *r, struct rest_list_op *op)
{
    return db_denial_list(r, &op->query, denial_row, op, &op->info);
}

static dr_err_t denial_count(struct db_reader *r, struct rest_list_op *op, int64_t *ret)
{
    return db_denial_count(r, &op->query, ret, &op->info);
}

static const struct rest_list_kind denial_kind = {
    .list = DB_LIST_DENIAL,
    .fields = denial_fields,
    .n_fields = DR_ARRAY_LEN(denial_fields),
    .rows = denial_rows,
    .count = denial_count,
};

static void denials_get(struct rest_req *req)
{
    rest_list_start(req, &denial_kind);
}

static dr_err_t denial_one(void *data, const struct db_denial *row)
{
    struct rest_one *one = data;
    struct rest_json j = rest_json_of(&one->out);

    denial_write(&j, row);
    return DR_OK;
}

static dr_err_t denial_read(struct db_reader *r, struct rest_one *one)
{
    return db_denial_get(r, one->account, one->id, denial_one, one);
}

static void denial_get(struct rest_req *req)
{
    struct op *op = rest_one_of_path(req, sizeof *op, "denial");

    if (op != NULL) {
        rest_one_read(&op->one, denial_read);
    }
}

static const struct rest_route routes[] = {
    {REST_GET, REST_READ, "/v3/device-enrollments", enrollments_get, 0},
    {REST_POST, REST_WRITE, "/v3/device-enrollments", enrollment_post, 65536},
    {REST_GET, REST_READ, "/v3/device-enrollments/{}", enrollment_get, 0},
    {REST_DELETE, REST_WRITE, "/v3/device-enrollments/{}", enrollment_delete, 0},
    {REST_POST, REST_WRITE, UPLOADS, upload_post, REST_BODY_STREAM},
    {REST_GET, REST_READ, UPLOADS "/{}", upload_get, 0},
    {REST_GET, REST_READ, UPLOADS "/{}/{}", upload_report, 0},
    {REST_POST, REST_WRITE, DELETES, deletes_post, REST_BODY_STREAM},
    {REST_GET, REST_READ, DELETES "/{}", deletes_get, 0},
    {REST_GET, REST_READ, DELETES "/{}/{}", deletes_report, 0},
    {REST_GET, REST_READ, "/v3/device-enrollment-denials", denials_get, 0},
    {REST_GET, REST_READ, "/v3/device-enrollment-denials/{}", denial_get, 0},
};

const struct rest_routes rest_v3_device_enrollments_routes = {routes, DR_ARRAY_LEN(routes)};
