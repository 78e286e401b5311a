/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/v3_device_events.c
 * @brief /v3/device-events, and the same under its old name /v3/devicelog.
 */
#include "db/event.h"
#include "rest/list.h"
#include "rest/one.h"
#include "rest/rest_priv.h"

static void text(struct rest_json *j, const char *key, const char *value)
{
    rest_json_str(j, key, value == NULL ? "" : value);
}

static void map(struct rest_json *j, const char *key, const char *json)
{
    rest_json_raw(j, key, dr_bytes_str(json == NULL || json[0] == '\0' ? "{}" : json));
}

static void event_write(struct rest_json *j, const struct db_event *e)
{
    rest_json_object(j, NULL);
    rest_json_str(j, "object", "device-event");
    rest_json_id(j, "id", e->id);
    rest_json_id(j, "device_id", e->device);
    rest_json_time(j, "date_time", e->date_time);
    rest_json_time(j, "created_at", DR_ID_MS(e->id));
    rest_json_time(j, "etag", DR_ID_MS(e->id));
    text(j, "event_type", e->event_type);
    text(j, "event_type_category", e->event_type_category);
    text(j, "event_type_description", e->event_type_description);
    text(j, "description", e->description);
    rest_json_bool(j, "state_change", e->state_change);
    map(j, "changes", e->changes);
    map(j, "data", e->data);
    rest_json_object_end(j);
}

static const char *const filter_fields[] = {
    "id",           "device_id",  "date_time",           "created_at",
    "description",  "event_type", "event_type_category", "event_type_description",
    "state_change",
};

static dr_err_t list_row(void *data, const struct db_event *row)
{
    struct rest_list_op *op = data;
    struct rest_json j = rest_json_of(&op->out);

    if (rest_list_row(op)) {
        event_write(&j, row);
    }
    return DR_OK;
}

static dr_err_t list_rows(struct db_reader *r, struct rest_list_op *op)
{
    return db_event_list(r, &op->query, list_row, op, &op->info);
}

static dr_err_t list_count(struct db_reader *r, struct rest_list_op *op, int64_t *ret)
{
    return db_event_count(r, &op->query, ret, &op->info);
}

static bool count_is_cheap(const struct db_query *query)
{
    (void)query;
    return false; /* the log is long: count at most each REST_COUNT_MS */
}

static const struct rest_list_kind list_kind = {
    .list = DB_LIST_EVENT,
    .fields = filter_fields,
    .n_fields = DR_ARRAY_LEN(filter_fields),
    .rows = list_rows,
    .count = list_count,
    .count_is_cheap = count_is_cheap,
};

static void events_get(struct rest_req *req)
{
    rest_list_start(req, &list_kind);
}

static dr_err_t event_row(void *data, const struct db_event *row)
{
    struct rest_json j = rest_json_of(data);

    event_write(&j, row);
    return DR_OK;
}

static dr_err_t event_read(struct db_reader *r, struct rest_one *one)
{
    return db_event_get(r, one->account, one->id, event_row, &one->out);
}

static void event_get(struct rest_req *req)
{
    struct rest_one *one = rest_one_of_path(req, sizeof *one, "event");

    if (one != NULL) {
        rest_one_read(one, event_read);
    }
}

static const struct rest_route routes[] = {
    {REST_GET, REST_READ, "/v3/device-events", events_get, 0},
    {REST_GET, REST_READ, "/v3/device-events/{}", event_get, 0},
    {REST_GET, REST_READ, "/v3/devicelog", events_get, 0},
    {REST_GET, REST_READ, "/v3/devicelog/{}", event_get, 0},
};

const struct rest_routes rest_v3_device_events_routes = {routes, DR_ARRAY_LEN(routes)};
