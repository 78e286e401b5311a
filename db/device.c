/* SPDX-License-Identifier: Apache-2.0 */
#include "db/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ids.h"
#include "db/conn_priv.h"
#include "db/device_priv.h"
#include "db/event.h"
#include "db/filter_priv.h"

static const char *const state_names[] = {
    [DB_DEVICE_UNENROLLED] = "unenrolled",     [DB_DEVICE_CLOUD_ENROLLING] = "cloud_enrolling",
    [DB_DEVICE_BOOTSTRAPPED] = "bootstrapped", [DB_DEVICE_REGISTERED] = "registered",
    [DB_DEVICE_DEREGISTERED] = "deregistered",
};

const char *db_device_state_name(enum db_device_state state)
{
    return (size_t)state < DR_ARRAY_LEN(state_names) ? state_names[state] : "";
}

bool db_device_state_parse(const char *name, enum db_device_state *ret)
{
    dr_assert(name != NULL && ret != NULL);
    for (size_t i = 0; i < DR_ARRAY_LEN(state_names); i++) {
        if (strcmp(name, state_names[i]) == 0) {
            *ret = (enum db_device_state)i;
            return true;
        }
    }
    return false;
}

/* ---- counters ---- */

dr_err_t device_count_state(struct db_writer *w, int64_t account, enum db_device_state state,
                            int64_t n)
{
    char digits[12];

    (void)snprintf(digits, sizeof(digits), "%d", (int)state);
    return db_count_add(w, account, DB_FACET_STATE, digits, n);
}

dr_err_t device_count(struct db_writer *w, int64_t account, enum db_device_state state, int64_t n)
{
    dr_err_t err = db_count_add(w, account, DB_FACET_TOTAL, "", n);

    return err == DR_OK ? device_count_state(w, account, state, n) : err;
}

dr_err_t device_count_moved(struct db_writer *w, int64_t account, enum db_facet facet,
                            const char *from, const char *to)
{
    dr_err_t err = DR_OK;

    if (strcmp(from, to) == 0) {
        return DR_OK;
    }
    if (from[0] != '\0') {
        err = db_count_add(w, account, facet, from, -1);
    }
    if (err == DR_OK && to[0] != '\0') {
        err = db_count_add(w, account, facet, to, 1);
    }
    return err;
}

/** What counters need of a row. */
struct facets {
    enum db_device_state state;
    char type[DB_COUNT_VALUE_MAX + 2], device_class[DB_COUNT_VALUE_MAX + 2],
        vendor[DB_COUNT_VALUE_MAX + 2]; /* longer ones are cut, and then not counted */
};

static void facet_set(char out[DB_COUNT_VALUE_MAX + 2], const char *value)
{
    size_t n = strnlen(value, DB_COUNT_VALUE_MAX + 1);

    memcpy(out, value, n);
    out[n] = '\0';
}

static dr_err_t facets_get(struct db_writer *w, int64_t account, int64_t device, struct facets *ret)
{
    dr_err_t err = DR_ERR_NOT_FOUND;
    struct conn_q q = conn_q(&w->conn, "SELECT state, endpoint_type, device_class, vendor_id"
                                       " FROM device WHERE id = ? AND account = ?");

    conn_put_int(&q, device);
    conn_put_int(&q, account);
    if (conn_row(&q)) {
        ret->state = (enum db_device_state)conn_col_int(&q, 0);
        facet_set(ret->type, conn_col_text(&q, 1));
        facet_set(ret->device_class, conn_col_text(&q, 2));
        facet_set(ret->vendor, conn_col_text(&q, 3));
        err = DR_OK;
    }
    dr_err_t end = conn_end(&q);
    return end != DR_OK ? end : err;
}

static dr_err_t facets_moved(struct db_writer *w, int64_t account, const struct facets *from,
                             const struct facets *to)
{
    dr_err_t err = device_count_moved(w, account, DB_FACET_ENDPOINT_TYPE, from->type, to->type);

    if (err == DR_OK) {
        err = device_count_moved(w, account, DB_FACET_DEVICE_CLASS, from->device_class,
                                 to->device_class);
    }
    if (err == DR_OK) {
        err = device_count_moved(w, account, DB_FACET_VENDOR_ID, from->vendor, to->vendor);
    }
    return err;
}

/* ---- writing ---- */

static const char *text(const char *s)
{
    return s != NULL ? s : "";
}

static void facets_of(const struct db_device *row, struct facets *ret)
{
    char uuid[FILTER_UUID_LEN + 1];

    ret->state = row->state;
    facet_set(ret->type, text(row->endpoint_type));
    facet_set(ret->device_class, filter_uuid(text(row->device_class), uuid));
    facet_set(ret->vendor, filter_uuid(text(row->vendor_id), uuid));
}

typedef char uuid_text[FILTER_UUID_LEN + 1];

#define PUT_TEXT(q, v, uuid)  conn_put_text(q, v)
#define PUT_UUID(q, v, uuid)  conn_put_text(q, filter_uuid(text(v), uuid))
#define PUT_JSON(q, v, uuid)  conn_put_json(q, v, "{}")
#define PUT_INT(q, v, uuid)   conn_put_int(q, v)
#define PUT_BOOL(q, v, uuid)  conn_put_int(q, (v) ? 1 : 0)
#define PUT_TIME(q, v, uuid)  conn_put_int(q, v)
#define PUT_STATE(q, v, uuid) conn_put_int(q, v)

/* Bind one field; @p uuid must live until the statement has run. */
static void put_field(struct conn_q *q, const struct db_device *row, enum db_device_field field,
                      uuid_text uuid)
{
    switch (field) {
#define PUT_CASE(symbol, type, member, kind)                                                       \
    case DB_DEVICE_F_##symbol:                                                                     \
        PUT_##kind(q, row->member, uuid);                                                          \
        break;
        DB_DEVICE_FIELDS(PUT_CASE)
#undef PUT_CASE
    default:
        break;
    }
}

#define COMMA_NAME(symbol, type, member, kind) ", " #member
#define COMMA_MARK(symbol, type, member, kind) ", ?"

dr_err_t device_event(struct db_writer *w, int64_t id, int64_t account, int64_t device,
                      const char *type, const char *description, const char *changes)
{
    struct db_event ev = {
        .id = id,
        .account = account,
        .device = device,
        .event_type = type,
        .event_type_description = "INFO",
        .description = description,
        .state_change = true,
        .changes = changes,
    };
    return db_event_append(w, &ev);
}

dr_err_t db_device_insert(struct db_writer *w, const struct db_device *row,
                          const struct db_event *event)
{
    uuid_text uuids[DB_DEVICE_F_COUNT];
    struct facets none = {.state = row->state}, now;

    dr_assert(w != NULL && row != NULL && row->endpoint_name != NULL);
    struct conn_q q = conn_q(
        &w->conn, "INSERT INTO device (id, account, endpoint_name, updated_at" DB_DEVICE_FIELDS(
                      COMMA_NAME) ") VALUES (?, ?, ?, ?" DB_DEVICE_FIELDS(COMMA_MARK) ")");
    conn_put_int(&q, row->id);
    conn_put_int(&q, row->account);
    conn_put_text(&q, row->endpoint_name);
    conn_put_int(&q, row->updated_at);
    for (int f = 0; f < DB_DEVICE_F_COUNT; f++) {
        put_field(&q, row, (enum db_device_field)f, uuids[f]);
    }
    dr_err_t err = conn_run(&q, NULL);
    if (err == DR_OK) {
        err = device_count(w, row->account, row->state, 1);
    }
    if (err == DR_OK) {
        facets_of(row, &now);
        err = facets_moved(w, row->account, &none, &now);
    }
    if (err == DR_OK && event != NULL) {
        err = db_event_append(w, event);
    }
    return err;
}

static const char *const field_names[] = {
#define FIELD_NAME(symbol, type, member, kind) #member,
    DB_DEVICE_FIELDS(FIELD_NAME)
#undef FIELD_NAME
};

static dr_err_t update_row(struct db_writer *w, const struct db_device *row, uint64_t mask)
{
    char sql[2048];
    uuid_text uuids[DB_DEVICE_F_COUNT];
    struct dr_wr wr = dr_wr_of(sql, sizeof(sql));

    dr_wr_put_str(&wr, "UPDATE device SET updated_at = ?");
    for (int f = 0; f < DB_DEVICE_F_COUNT; f++) {
        if ((mask & (1ULL << f)) != 0) {
            dr_wr_printf(&wr, ", %s = ?", field_names[f]);
        }
    }
    dr_wr_put_str(&wr, " WHERE id = ? AND account = ?");
    dr_wr_u8(&wr, 0);
    dr_assert(dr_wr_ok(&wr));

    struct conn_q q = conn_q_dynamic(&w->conn, sql);
    conn_put_int(&q, row->updated_at);
    for (int f = 0; f < DB_DEVICE_F_COUNT; f++) {
        if ((mask & (1ULL << f)) != 0) {
            put_field(&q, row, (enum db_device_field)f, uuids[f]);
        }
    }
    conn_put_int(&q, row->id);
    conn_put_int(&q, row->account);
    return conn_run_one(&q, DR_ERR_NOT_FOUND);
}

dr_err_t db_device_update(struct db_writer *w, const struct db_device *row, uint64_t mask,
                          const struct db_event *event)
{
    struct facets before, given, after;

    dr_assert(w != NULL && row != NULL && mask < 1ULL << DB_DEVICE_F_COUNT);
    dr_err_t err = facets_get(w, row->account, row->id, &before);
    if (err == DR_OK) {
        err = update_row(w, row, mask);
    }
    if (err != DR_OK) {
        return err;
    }
    facets_of(row, &given);
    after = before;
    if ((mask & DB_DEVICE_BIT(ENDPOINT_TYPE)) != 0) {
        memcpy(after.type, given.type, sizeof(after.type));
    }
    if ((mask & DB_DEVICE_BIT(DEVICE_CLASS)) != 0) {
        memcpy(after.device_class, given.device_class, sizeof(after.device_class));
    }
    if ((mask & DB_DEVICE_BIT(VENDOR_ID)) != 0) {
        memcpy(after.vendor, given.vendor, sizeof(after.vendor));
    }
    err = facets_moved(w, row->account, &before, &after);
    if (err == DR_OK && (mask & DB_DEVICE_BIT(STATE)) != 0 && given.state != before.state) {
        err = device_count_state(w, row->account, before.state, -1);
        if (err == DR_OK) {
            err = device_count_state(w, row->account, given.state, 1);
        }
    }
    if (err == DR_OK && event != NULL) {
        err = db_event_append(w, event);
    }
    return err;
}

dr_err_t db_device_delete(struct db_writer *w, int64_t account, int64_t device)
{
    struct facets before, none = {.state = DB_DEVICE_UNENROLLED};

    dr_assert(w != NULL);
    dr_err_t err = facets_get(w, account, device, &before);
    if (err != DR_OK) {
        return err;
    }
    struct conn_q q = conn_q(&w->conn, "DELETE FROM device WHERE id = ? AND account = ?");
    conn_put_int(&q, device);
    conn_put_int(&q, account);
    err = conn_run_one(&q, DR_ERR_NOT_FOUND);
    if (err == DR_OK) {
        err = device_count(w, account, before.state, -1);
    }
    return err == DR_OK ? facets_moved(w, account, &before, &none) : err;
}

/* ---- reading ---- */

#define DEVICE_COLS "id, account, endpoint_name, updated_at" DB_DEVICE_FIELDS(COMMA_NAME)
#define FIRST_FIELD 4

#define COL_TEXT(q, i)  conn_col_text(q, i)
#define COL_UUID(q, i)  conn_col_text(q, i)
#define COL_JSON(q, i)  conn_col_text(q, i)
#define COL_INT(q, i)   conn_col_int(q, i)
#define COL_BOOL(q, i)  (conn_col_int(q, i) != 0)
#define COL_TIME(q, i)  conn_col_int(q, i)
#define COL_STATE(q, i) (enum db_device_state) conn_col_int(q, i)

static dr_err_t device_row(struct conn_q *q, db_device_fn *fn, void *data)
{
    dr_err_t err = DR_ERR_NOT_FOUND;

    if (conn_row(q)) {
        struct db_device row = {.id = conn_col_int(q, 0),
                                .account = conn_col_int(q, 1),
                                .endpoint_name = conn_col_text(q, 2),
                                .created_at = DR_ID_MS(conn_col_int(q, 0)),
                                .updated_at = conn_col_int(q, 3),
#define READ_FIELD(symbol, type, member, kind)                                                     \
    .member = COL_##kind(q, FIRST_FIELD + DB_DEVICE_F_##symbol),
                                DB_DEVICE_FIELDS(READ_FIELD)
#undef READ_FIELD
        };
        err = fn(data, &row);
    }
    dr_err_t end = conn_end(q);
    return end != DR_OK ? end : err;
}

dr_err_t db_device_get(struct db_reader *r, int64_t account, int64_t device, db_device_fn *fn,
                       void *data)
{
    dr_assert(r != NULL && fn != NULL);
    struct conn_q q = conn_q(r, "SELECT " DEVICE_COLS " FROM device WHERE id = ? AND account = ?");
    conn_put_int(&q, device);
    conn_put_int(&q, account);
    return device_row(&q, fn, data);
}

dr_err_t db_device_find(struct db_reader *r, int64_t account, const char *endpoint_name,
                        db_device_fn *fn, void *data)
{
    dr_assert(r != NULL && endpoint_name != NULL && fn != NULL);
    struct conn_q q =
        conn_q(r, "SELECT " DEVICE_COLS " FROM device WHERE account = ? AND endpoint_name = ?");
    conn_put_int(&q, account);
    conn_put_text(&q, endpoint_name);
    return device_row(&q, fn, data);
}

struct device_list {
    struct db_reader *r;
    int64_t account;
    db_device_fn *fn;
    void *data;
};

static dr_err_t device_id(void *data, int64_t id)
{
    struct device_list *l = (struct device_list *)data;

    return db_device_get(l->r, l->account, id, l->fn, l->data);
}

dr_err_t db_device_list(struct db_reader *r, const struct db_query *query, db_device_fn *fn,
                        void *data, struct dr_errinfo *reterr)
{
    dr_assert(r != NULL && query != NULL && fn != NULL);
    struct device_list l = {.r = r, .account = query->account, .fn = fn, .data = data};
    return filter_page(r, DB_LIST_DEVICE, query, device_id, &l, reterr);
}

dr_err_t db_device_count(struct db_reader *r, const struct db_query *query, int64_t *ret,
                         struct dr_errinfo *reterr)
{
    dr_assert(r != NULL && query != NULL && ret != NULL);
    return filter_count(r, DB_LIST_DEVICE, query, ret, reterr);
}

dr_err_t db_device_ids(struct db_reader *r, const struct db_query *query, db_device_id_fn *fn,
                       void *data, struct dr_errinfo *reterr)
{
    dr_assert(r != NULL && query != NULL && fn != NULL);
    return filter_ids(r, DB_LIST_DEVICE, query, fn, data, reterr);
}
