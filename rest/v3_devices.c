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
#include "rest/one.h"
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
    .fields = rest_device_fields,
    .n_fields = REST_DEVICE_FIELDS,
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
    struct rest_one one;
    struct dev_delete del;
    struct db_device row; /* its texts point into the body */
    uint64_t mask;
    struct db_event event;
};

static struct op *op_of(struct rest_one *one)
{
    return DR_CONTAINER_OF(one, struct op, one);
}

static struct op *op_of_path(struct rest_req *req)
{
    return rest_one_of_path(req, sizeof(struct op), "device");
}

static dr_err_t device_read(struct db_reader *r, struct rest_one *one)
{
    return db_device_get(r, one->account, one->id, device_row, &one->out);
}

static void device_get(struct rest_req *req)
{
    struct op *op = op_of_path(req);

    if (op != NULL) {
        rest_one_read(&op->one, device_read);
    }
}

/* ---- create and update ---- */

static bool body_read(struct op *op, enum rest_device_use use)
{
    struct rest_one *one = &op->one;
    struct rest_field_errors errors = {0};

    return rest_one_body(one) && rest_one_parsed(one,
                                                 rest_device_parse(one->json, use, &one->req->arena,
                                                                   &op->row, &op->mask, &errors),
                                                 &errors);
}

/* The row's own fields, and the event that tells of it. */
static void row_finish(struct op *op, const char *type, const char *description)
{
    op->row.id = op->one.id;
    op->row.account = op->one.account;
    op->row.updated_at = op->one.now_ms;
    op->event = (struct db_event){
        .id = dr_id_new(&rest_of(op->one.req)->ids),
        .account = op->one.account,
        .device = op->one.id,
        .date_time = op->one.now_ms,
        .event_type = type,
        .event_type_category = "",
        .event_type_description = "INFO",
        .description = description,
        .changes = "",
        .data = "",
    };
}

static void change_done(struct rest_one *one, dr_err_t err)
{
    rest_counts_drop(rest_of(one->req));
    if (err == DR_ERR_EXISTS) {
        rest_one_drop(one);
        rest_answer_error(one->req, 409, NULL, "a device of that endpoint name exists");
    } else {
        rest_one_end(one, err);
    }
}

static dr_err_t create_run(struct db_writer *w, struct rest_one *one)
{
    struct op *op = op_of(one);
    dr_err_t err = db_device_insert(w, &op->row, &op->event);

    return err == DR_OK ? device_read(db_writer_reader(w), one) : err;
}

static void device_post(struct rest_req *req)
{
    struct op *op = rest_one_new(req, sizeof *op, dr_id_new(&rest_of(req)->ids), "device");

    if (op == NULL || !body_read(op, REST_DEVICE_CREATE)) {
        return;
    }
    op->row.state = DB_DEVICE_UNENROLLED;
    if (op->row.endpoint_name == NULL) {
        char *name = rest_arena_alloc(&req->arena, DR_ID_LEN + 1);
        if (name == NULL) {
            rest_one_end(&op->one, DR_ERR_NOMEM);
            return;
        }
        dr_id_format(op->one.id, name);
        op->row.endpoint_name = name;
    }
    row_finish(op, "update.device.device-created", "Device record created");
    rest_one_write(&op->one, 201, create_run, change_done);
}

static dr_err_t update_run(struct db_writer *w, struct rest_one *one)
{
    struct op *op = op_of(one);
    dr_err_t err = op->mask == 0 ? DR_OK : db_device_update(w, &op->row, op->mask, &op->event);

    return err == DR_OK ? device_read(db_writer_reader(w), one) : err;
}

static void device_put(struct rest_req *req)
{
    struct op *op = op_of_path(req);

    if (op != NULL && body_read(op, REST_DEVICE_UPDATE)) {
        row_finish(op, "update.device.device-updated", "Device record updated");
        rest_one_write(&op->one, 200, update_run, change_done);
    }
}

/* ---- delete ---- */

static void delete_done(struct dev_delete *del, dr_err_t err)
{
    struct op *op = DR_CONTAINER_OF(del, struct op, del);

    op->one.status = 204;
    change_done(&op->one, err);
}

static void device_delete(struct rest_req *req)
{
    struct op *op = op_of_path(req);

    if (op == NULL) {
        return;
    }
    op->del =
        (struct dev_delete){.account = op->one.account, .device = op->one.id, .cb = delete_done};
    dr_err_t err = dev_delete_start(rest_of(req)->devices, &op->del);
    if (err != DR_OK) {
        rest_one_end(&op->one, err);
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
