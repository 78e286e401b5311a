/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/v3_devices.c
 * @brief /v3/devices: the device directory.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "db/device.h"
#include "db/event.h"
#include "rest/bodies.h"
#include "rest/filter.h"
#include "rest/list.h"
#include "rest/rest_priv.h"

/* ---- one device as JSON ---- */

static void text_or_empty(struct rest_json *j, const char *key, const char *value)
{
    rest_json_str(j, key, value == NULL ? "" : value);
}

static void text_or_null(struct rest_json *j, const char *key, const char *value)
{
    rest_json_str(j, key, value == NULL || value[0] == '\0' ? NULL : value);
}

static void map(struct rest_json *j, const char *key, const char *json)
{
    rest_json_raw(j, key, dr_bytes_str(json == NULL || json[0] == '\0' ? "{}" : json));
}

static void suspension(struct rest_json *j, const struct db_device *d)
{
    bool blocked = d->operator_suspended || d->system_suspended;

    rest_json_str(j, "lifecycle_status", blocked ? "blocked" : "enabled");
    rest_json_bool(j, "operator_suspended", d->operator_suspended);
    text_or_empty(j, "last_operator_suspended_category", d->last_operator_suspended_category);
    text_or_empty(j, "last_operator_suspended_description", d->last_operator_suspended_description);
    rest_json_time(j, "last_operator_suspended_updated_at", d->last_operator_suspended_updated_at);
    rest_json_bool(j, "system_suspended", d->system_suspended);
    text_or_empty(j, "last_system_suspended_category", d->last_system_suspended_category);
    text_or_empty(j, "last_system_suspended_description", d->last_system_suspended_description);
    rest_json_time(j, "last_system_suspended_updated_at", d->last_system_suspended_updated_at);
}

static void device_write(struct rest_json *j, const struct db_device *d)
{
    rest_json_object(j, NULL);
    rest_json_str(j, "object", "device");
    rest_json_id(j, "id", d->id);
    rest_json_id(j, "account_id", d->account);
    rest_json_time(j, "created_at", d->created_at);
    rest_json_time(j, "updated_at", d->updated_at);
    rest_json_time(j, "etag", d->updated_at);
    text_or_empty(j, "name", d->name);
    text_or_empty(j, "description", d->description);
    text_or_empty(j, "endpoint_name", d->endpoint_name);
    text_or_empty(j, "endpoint_type", d->endpoint_type);
    rest_json_str(j, "state", db_device_state_name(d->state));
    rest_json_int(j, "device_execution_mode", d->device_execution_mode);
    text_or_empty(j, "device_class", d->device_class);
    text_or_empty(j, "vendor_id", d->vendor_id);
    text_or_empty(j, "serial_number", d->serial_number);
    text_or_empty(j, "device_key", d->device_key);
    text_or_empty(j, "ca_id", d->ca_id);
    text_or_null(j, "issuer_fingerprint", d->issuer_fingerprint);
    text_or_empty(j, "host_gateway", d->host_gateway);
    text_or_empty(j, "net_id", d->net_id);
    text_or_empty(j, "firmware_checksum", d->firmware_checksum);
    text_or_empty(j, "manifest", d->manifest);
    rest_json_time(j, "manifest_timestamp", d->manifest_timestamp);
    rest_json_str(j, "mechanism",
                  d->mechanism == NULL || d->mechanism[0] == '\0' ? "connector" : d->mechanism);
    text_or_empty(j, "mechanism_url", d->mechanism_url);
    text_or_empty(j, "deployment", d->deployment);
    text_or_null(j, "deployed_state", d->deployed_state);
    rest_json_bool(j, "auto_update", d->auto_update);
    map(j, "custom_attributes", d->custom_attributes);
    map(j, "component_attributes", d->component_attributes);
    rest_json_raw(j, "groups", dr_bytes_str("[]"));
    text_or_null(j, "bootstrap_expiration_date", d->bootstrap_expiration_date);
    text_or_null(j, "connector_expiration_date", d->connector_expiration_date);
    rest_json_time(j, "bootstrapped_timestamp", d->bootstrapped_timestamp);
    rest_json_time(j, "enrolment_list_timestamp", d->enrolment_list_timestamp);
    suspension(j, d);
    rest_json_object_end(j);
}

static dr_err_t device_row(void *data, const struct db_device *row)
{
    struct rest_json j = rest_json_of(data);

    device_write(&j, row);
    return DR_OK;
}

/* ---- list ---- */

static const char *const filter_fields[] = {
#define FIELD_NAME(symbol, type, member, kind) #member,
    DB_DEVICE_FIELDS(FIELD_NAME)
#undef FIELD_NAME
        "id",
    "account_id",
    "endpoint_name",
    "created_at",
    "updated_at",
    "etag",
    "lifecycle_status",
    "custom_attributes__",
};

static dr_err_t list_row(void *data, const struct db_device *row)
{
    struct rest_list_op *op = data;
    struct rest_json j = rest_json_of(&op->out);

    if (rest_list_row(op)) {
        device_write(&j, row);
    }
    return DR_OK;
}

static dr_err_t list_rows(struct db_reader *r, struct rest_list_op *op)
{
    return db_device_list(r, &op->query, list_row, op, &op->info);
}

static dr_err_t list_count(struct db_reader *r, struct rest_list_op *op, int64_t *ret)
{
    return db_device_count(r, &op->query, ret, &op->info);
}

/* Counts that the store keeps: all devices, or one condition on a counted field. */
static bool count_is_cheap(const struct db_query *q)
{
    static const char *const counted[] = {"state", "endpoint_type", "device_class", "vendor_id"};

    for (size_t i = 0; q->n_conds == 1 && i < DR_ARRAY_LEN(counted); i++) {
        if (q->conds[0].op == DB_OP_EQ && strcmp(q->conds[0].field, counted[i]) == 0) {
            return true;
        }
    }
    return q->n_conds == 0;
}

static const struct rest_list_kind list_kind = {
    .list = DB_LIST_DEVICE,
    .fields = filter_fields,
    .n_fields = DR_ARRAY_LEN(filter_fields),
    .rows = list_rows,
    .count = list_count,
    .count_is_cheap = count_is_cheap,
};

static void devices_get(struct rest_req *req)
{
    rest_list_start(req, &list_kind);
}

/* ---- one ---- */

struct op {
    struct db_read read;
    struct db_job job;
    struct dev_delete del;
    struct rest_req *req;
    int64_t account, id;
    struct db_device row;
    uint64_t mask;
    struct db_event event;
    struct dr_dynbuf out;
    json_t *json; /* the body: row points into it */
};

static struct op *op_new(struct rest_req *req, int64_t id)
{
    struct op *op = rest_arena_alloc(&req->arena, sizeof *op);

    if (op == NULL) {
        rest_answer_err(req, DR_ERR_NOMEM);
        return NULL;
    }
    op->req = req;
    op->account = req->who.account;
    op->id = id;
    dr_dynbuf_init(&op->out, REST_ANSWER_MAX);
    return op;
}

static void op_answer(struct op *op, dr_err_t err, int status)
{
    json_decref(op->json);
    op->json = NULL;
    if (err == DR_OK) {
        rest_answer_json(op->req, status, &op->out);
        return;
    }
    dr_dynbuf_fini(&op->out);
    if (err == DR_ERR_NOT_FOUND) {
        rest_answer_error(op->req, 404, NULL, "no such device");
    } else if (err == DR_ERR_EXISTS) {
        rest_answer_error(op->req, 409, NULL, "a device of that endpoint name exists");
    } else {
        rest_answer_err(op->req, err);
    }
}

static dr_err_t get_read(struct db_reader *r, struct db_read *read)
{
    struct op *op = DR_CONTAINER_OF(read, struct op, read);

    return db_device_get(r, op->account, op->id, device_row, &op->out);
}

static void get_done(struct db_read *read, dr_err_t err)
{
    op_answer(DR_CONTAINER_OF(read, struct op, read), err, 200);
}

static void device_get(struct rest_req *req)
{
    int64_t id = rest_path_id(req, 0);
    struct op *op = id == 0 ? NULL : op_new(req, id);

    if (op != NULL) {
        rest_read_start(req, &op->read, get_read, get_done);
    }
}

/* ---- create and update ---- */

static bool body_read(struct op *op, enum rest_device_use use)
{
    struct rest_field_errors errors = {0};

    if (!rest_body_parse(op->req, &op->json)) {
        return false;
    }
    dr_err_t err = rest_device_parse(op->json, use, &op->req->arena, &op->row, &op->mask, &errors);
    if (err == DR_OK) {
        return true;
    }
    json_decref(op->json);
    op->json = NULL;
    if (err == DR_ERR_INVAL) {
        rest_answer_fields(op->req, &errors, "");
    } else {
        rest_answer_err(op->req, err);
    }
    return false;
}

static void event_make(struct op *op, const char *type, const char *description)
{
    op->event = (struct db_event){
        .id = dr_id_new(&rest_of(op->req)->ids),
        .account = op->account,
        .device = op->id,
        .date_time = dr_wall_ms(),
        .event_type = type,
        .event_type_category = "",
        .event_type_description = "INFO",
        .description = description,
        .changes = "",
        .data = "",
    };
}

static dr_err_t create_run(struct db_writer *w, struct db_job *job)
{
    struct op *op = DR_CONTAINER_OF(job, struct op, job);
    dr_err_t err = db_device_insert(w, &op->row, &op->event);

    dr_dynbuf_reset(&op->out);
    return err == DR_OK
               ? db_device_get(db_writer_reader(w), op->account, op->id, device_row, &op->out)
               : err;
}

static void create_done(struct db_job *job, dr_err_t err)
{
    struct op *op = DR_CONTAINER_OF(job, struct op, job);

    rest_counts_drop(rest_of(op->req));
    op_answer(op, err, 201);
}

static void job_start(struct op *op, db_job_run_fn *run, db_job_done_fn *done)
{
    rest_job_start(op->req, &op->job, run, done);
    if (rest_req_answered(op->req)) { /* it did not start */
        json_decref(op->json);
        op->json = NULL;
    }
}

static void device_post(struct rest_req *req)
{
    struct op *op = op_new(req, dr_id_new(&rest_of(req)->ids));

    if (op == NULL || !body_read(op, REST_DEVICE_CREATE)) {
        return;
    }
    op->row.id = op->id;
    op->row.account = op->account;
    op->row.state = DB_DEVICE_UNENROLLED;
    op->row.updated_at = dr_wall_ms();
    if (op->row.endpoint_name == NULL) {
        char *name = rest_arena_alloc(&req->arena, DR_ID_LEN + 1);
        if (name == NULL) {
            op_answer(op, DR_ERR_NOMEM, 0);
            return;
        }
        dr_id_format(op->id, name);
        op->row.endpoint_name = name;
    }
    event_make(op, "update.device.device-created", "Device record created");
    job_start(op, create_run, create_done);
}

static dr_err_t update_run(struct db_writer *w, struct db_job *job)
{
    struct op *op = DR_CONTAINER_OF(job, struct op, job);
    dr_err_t err = op->mask == 0 ? DR_OK : db_device_update(w, &op->row, op->mask, &op->event);

    dr_dynbuf_reset(&op->out);
    return err == DR_OK
               ? db_device_get(db_writer_reader(w), op->account, op->id, device_row, &op->out)
               : err;
}

static void update_done(struct db_job *job, dr_err_t err)
{
    struct op *op = DR_CONTAINER_OF(job, struct op, job);

    rest_counts_drop(rest_of(op->req));
    op_answer(op, err, 200);
}

static void device_put(struct rest_req *req)
{
    int64_t id = rest_path_id(req, 0);
    struct op *op = id == 0 ? NULL : op_new(req, id);

    if (op == NULL || !body_read(op, REST_DEVICE_UPDATE)) {
        return;
    }
    op->row.id = id;
    op->row.account = op->account;
    op->row.updated_at = dr_wall_ms();
    event_make(op, "update.device.device-updated", "Device record updated");
    job_start(op, update_run, update_done);
}

/* ---- delete ---- */

static void delete_done(struct dev_delete *del, dr_err_t err)
{
    struct op *op = DR_CONTAINER_OF(del, struct op, del);

    rest_counts_drop(rest_of(op->req));
    if (err == DR_OK) {
        rest_answer_empty(op->req, 204);
    } else {
        op_answer(op, err, 0);
    }
}

static void device_delete(struct rest_req *req)
{
    int64_t id = rest_path_id(req, 0);
    struct op *op = id == 0 ? NULL : op_new(req, id);

    if (op == NULL) {
        return;
    }
    op->del = (struct dev_delete){.account = op->account, .device = id, .cb = delete_done};
    dr_err_t err = dev_delete_start(rest_of(req)->devices, &op->del);
    if (err != DR_OK) {
        op_answer(op, err, 0);
    }
}

static const struct rest_route routes[] = {
    {REST_GET, REST_READ, "/v3/devices", devices_get, 0},
    {REST_POST, REST_WRITE, "/v3/devices", device_post, 65536},
    {REST_GET, REST_READ, "/v3/devices/{}", device_get, 0},
    {REST_PUT, REST_WRITE, "/v3/devices/{}", device_put, 65536},
    {REST_DELETE, REST_WRITE, "/v3/devices/{}", device_delete, 0},
};

const struct rest_routes rest_v3_devices_routes = {routes, DR_ARRAY_LEN(routes)};
