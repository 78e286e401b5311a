/* SPDX-License-Identifier: Apache-2.0 */
#include "db/bootstrap.h"

#include <string.h>

#include "db/conn_priv.h"
#include "db/device_priv.h"
#include "db/event.h"
#include "db/psk.h"

const struct db_boot_policy db_boot_policy_default = {
    .pattern = "",
    .name = "default",
    .server_uri = "",
    .lifetime_s = DB_BOOT_LIFETIME_DEFAULT,
    .binding = "U",
    .short_server_id = DB_BOOT_SSID_DEFAULT,
    .hold_off_s = -1,
    .pmin_s = -1,
    .pmax_s = -1,
    .store = true,
    .objects = "[]",
};

#define POLICY_COLS                                                                                \
    "id, account, scope, pattern, updated_at, name, server_uri, lifetime_s, binding, security,"    \
    " short_server_id, hold_off_s, pmin_s, pmax_s, store, reset, verify, objects"

static struct db_boot_policy policy_of(struct conn_q *q)
{
    return (struct db_boot_policy){
        .id = conn_col_int(q, 0),
        .account = conn_col_int(q, 1),
        .scope = (enum db_boot_scope)conn_col_int(q, 2),
        .pattern = conn_col_text(q, 3),
        .updated_at = conn_col_int(q, 4),
        .name = conn_col_text(q, 5),
        .server_uri = conn_col_text(q, 6),
        .lifetime_s = (uint32_t)conn_col_int(q, 7),
        .binding = conn_col_text(q, 8),
        .security = (enum db_boot_security)conn_col_int(q, 9),
        .short_server_id = (uint16_t)conn_col_int(q, 10),
        .hold_off_s = (int32_t)conn_col_int(q, 11),
        .pmin_s = (int32_t)conn_col_int(q, 12),
        .pmax_s = (int32_t)conn_col_int(q, 13),
        .store = conn_col_int(q, 14) != 0,
        .reset = (enum db_boot_reset)conn_col_int(q, 15),
        .verify = conn_col_int(q, 16) != 0,
        .objects = conn_col_text(q, 17),
    };
}

static dr_err_t policy_count(struct db_writer *w, int64_t account, int64_t *ret)
{
    struct conn_q q = conn_q(&w->conn, "SELECT count(*) FROM bootstrap_policy WHERE account = ?");

    conn_put_int(&q, account);
    *ret = conn_row(&q) ? conn_col_int(&q, 0) : 0;
    return conn_end(&q);
}

static dr_err_t policy_id(struct db_writer *w, const struct db_boot_policy *row, int64_t *ret)
{
    struct conn_q q = conn_q(&w->conn, "SELECT id FROM bootstrap_policy"
                                       " WHERE account = ? AND scope = ? AND pattern = ?");

    conn_put_int(&q, row->account);
    conn_put_int(&q, row->scope);
    conn_put_text(&q, row->pattern);
    *ret = conn_row(&q) ? conn_col_int(&q, 0) : 0;
    return conn_end(&q);
}

dr_err_t db_boot_policy_put(struct db_writer *w, const struct db_boot_policy *row, int64_t *ret_id)
{
    dr_assert(w != NULL && row != NULL && ret_id != NULL);
    int64_t id = 0, count = 0;
    dr_err_t err = policy_id(w, row, &id);

    if (err == DR_OK && id == 0) {
        err = policy_count(w, row->account, &count);
        if (err == DR_OK && count >= DB_BOOT_POLICIES_MAX) {
            err = DR_ERR_LIMIT;
        }
        id = row->id;
    }
    if (err != DR_OK) {
        return err;
    }
    struct conn_q q = conn_q(&w->conn, "INSERT OR REPLACE INTO bootstrap_policy (" POLICY_COLS
                                       ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
    conn_put_int(&q, id);
    conn_put_int(&q, row->account);
    conn_put_int(&q, row->scope);
    conn_put_text(&q, row->pattern);
    conn_put_int(&q, row->updated_at);
    conn_put_text(&q, row->name);
    conn_put_text(&q, row->server_uri);
    conn_put_int(&q, row->lifetime_s);
    conn_put_text(&q, row->binding);
    conn_put_int(&q, row->security);
    conn_put_int(&q, row->short_server_id);
    conn_put_int(&q, row->hold_off_s);
    conn_put_int(&q, row->pmin_s);
    conn_put_int(&q, row->pmax_s);
    conn_put_int(&q, row->store ? 1 : 0);
    conn_put_int(&q, row->reset);
    conn_put_int(&q, row->verify ? 1 : 0);
    conn_put_json(&q, row->objects, "[]");
    err = conn_run(&q, NULL);
    if (err == DR_OK) {
        *ret_id = id;
    }
    return err;
}

dr_err_t db_boot_policy_delete(struct db_writer *w, int64_t account, int64_t id)
{
    dr_assert(w != NULL);
    struct conn_q q = conn_q(&w->conn, "DELETE FROM bootstrap_policy WHERE account = ? AND id = ?");

    conn_put_int(&q, account);
    conn_put_int(&q, id);
    return conn_run_one(&q, DR_ERR_NOT_FOUND);
}

static dr_err_t policy_rows(struct conn_q *q, db_boot_policy_fn *fn, void *data, bool *ret_any)
{
    dr_err_t err = DR_OK;

    while (err == DR_OK && conn_row(q)) {
        const struct db_boot_policy row = policy_of(q);
        *ret_any = true;
        err = fn(data, &row);
    }
    dr_err_t end = conn_end(q);
    return end != DR_OK ? end : err;
}

dr_err_t db_boot_policy_get(struct db_reader *r, int64_t account, int64_t id, db_boot_policy_fn *fn,
                            void *data)
{
    dr_assert(r != NULL && fn != NULL);
    bool any = false;
    struct conn_q q =
        conn_q(r, "SELECT " POLICY_COLS " FROM bootstrap_policy WHERE account = ? AND id = ?");

    conn_put_int(&q, account);
    conn_put_int(&q, id);
    dr_err_t err = policy_rows(&q, fn, data, &any);
    return err == DR_OK && !any ? DR_ERR_NOT_FOUND : err;
}

dr_err_t db_boot_policy_list(struct db_reader *r, int64_t account, int64_t after, uint32_t limit,
                             db_boot_policy_fn *fn, void *data)
{
    dr_assert(r != NULL && fn != NULL);
    bool any = false;
    struct conn_q q = conn_q(r, "SELECT " POLICY_COLS " FROM bootstrap_policy"
                                " WHERE account = ? AND id > ? ORDER BY id LIMIT ?");

    conn_put_int(&q, account);
    conn_put_int(&q, after);
    conn_put_int(&q, limit);
    return policy_rows(&q, fn, data, &any);
}

bool db_boot_pattern_match(const char *pattern, const char *text)
{
    dr_assert(pattern != NULL && text != NULL);
    const char *star = NULL, *retry = NULL;

    while (*text != '\0') {
        if (*pattern == '*') {
            star = pattern++;
            retry = text;
        } else if (*pattern == *text) {
            pattern++;
            text++;
        } else if (star != NULL) {
            pattern = star + 1;
            text = ++retry;
        } else {
            return false;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return *pattern == '\0';
}

dr_err_t db_boot_policy_find(struct db_reader *r, int64_t account, const char *endpoint_name,
                             bool enrolled, db_boot_policy_fn *fn, void *data)
{
    dr_assert(r != NULL && endpoint_name != NULL && fn != NULL);
    /* strongest first, so that the first that fits is the one */
    struct conn_q q = conn_q(r, "SELECT " POLICY_COLS " FROM bootstrap_policy WHERE account = ?"
                                " ORDER BY scope DESC, length(pattern) DESC, pattern");
    dr_err_t err = DR_OK;
    bool found = false;

    conn_put_int(&q, account);
    while (!found && conn_row(&q)) {
        const struct db_boot_policy row = policy_of(&q);
        found = row.scope == DB_BOOT_SCOPE_ACCOUNT ||
                (row.scope == DB_BOOT_SCOPE_ENROLLED && enrolled) ||
                (row.scope == DB_BOOT_SCOPE_ENDPOINT &&
                 db_boot_pattern_match(row.pattern, endpoint_name));
        if (found) {
            err = fn(data, &row);
        }
    }
    dr_err_t end = conn_end(&q);
    if (end != DR_OK) {
        return end;
    }
    return found ? err : fn(data, &db_boot_policy_default);
}

/* ---- the directory ---- */

struct found {
    int64_t device;
    enum db_device_state state;
    bool suspended;
};

static dr_err_t device_find(struct db_writer *w, int64_t account, const char *endpoint_name,
                            struct found *f)
{
    struct conn_q q = conn_q(&w->conn, "SELECT id, state, operator_suspended | system_suspended"
                                       " FROM device WHERE account = ? AND endpoint_name = ?");

    *f = (struct found){0};
    conn_put_int(&q, account);
    conn_put_text(&q, endpoint_name);
    if (conn_row(&q)) {
        f->device = conn_col_int(&q, 0);
        f->state = (enum db_device_state)conn_col_int(&q, 1);
        f->suspended = conn_col_int(&q, 2) != 0;
    }
    return conn_end(&q);
}

static dr_err_t state_set(struct db_writer *w, int64_t account, int64_t device,
                          enum db_device_state from, enum db_device_state to, int64_t at_ms)
{
    struct conn_q q = conn_q(&w->conn, "UPDATE device SET state = ?, updated_at = ? WHERE id = ?");

    conn_put_int(&q, to);
    conn_put_int(&q, at_ms);
    conn_put_int(&q, device);
    dr_err_t err = conn_run_one(&q, DR_ERR_NOT_FOUND);
    if (err == DR_OK) {
        err = device_count_state(w, account, from, -1);
    }
    if (err == DR_OK) {
        err = device_count_state(w, account, to, 1);
    }
    return err;
}

dr_err_t db_boot_begin(struct db_writer *w, const struct db_boot_begin *in, int64_t *ret)
{
    dr_assert(w != NULL && in != NULL && in->endpoint_name != NULL && ret != NULL);
    struct found f;
    dr_err_t err = device_find(w, in->account, in->endpoint_name, &f);

    if (err == DR_OK && f.suspended) {
        return DR_ERR_DENIED;
    }
    if (err == DR_OK && f.device == 0) {
        const struct db_device row = {
            .id = in->new_device,
            .account = in->account,
            .endpoint_name = in->endpoint_name,
            .updated_at = in->at_ms,
            .state = DB_DEVICE_CLOUD_ENROLLING,
            .device_execution_mode = in->execution_mode,
        };
        f.device = in->new_device;
        err = db_device_insert(w, &row, NULL);
        if (err == DR_OK) {
            err = device_event(w, in->event_ids[0], in->account, f.device,
                               "update.device.device-created", "device created", "{}");
        }
        if (err == DR_OK) {
            err = device_event(w, in->event_ids[1], in->account, f.device,
                               "update.device.device-updated", "bootstrap began",
                               "{\"state\":\"cloud_enrolling\"}");
        }
    } else if (err == DR_OK && f.state == DB_DEVICE_UNENROLLED) {
        err = state_set(w, in->account, f.device, f.state, DB_DEVICE_CLOUD_ENROLLING, in->at_ms);
        if (err == DR_OK) {
            err = device_event(w, in->event_ids[1], in->account, f.device,
                               "update.device.device-updated", "bootstrap began",
                               "{\"state\":\"cloud_enrolling\"}");
        }
    }
    if (err == DR_OK) {
        *ret = f.device;
    }
    return err;
}

dr_err_t db_boot_offer(struct db_writer *w, int64_t device, const struct db_psk *row)
{
    dr_assert(w != NULL && row != NULL && row->use == DB_PSK_OFFERED);
    struct found f;
    dr_err_t err = device_find(w, row->account, row->endpoint_name, &f);

    if (err == DR_OK && f.suspended) {
        err = DR_ERR_DENIED;
    }
    if (err == DR_OK && f.device != device) {
        err = DR_ERR_NOT_FOUND;
    }
    if (err == DR_OK) {
        err = db_psk_delete(w, row->account, row->endpoint_name, DB_PSK_OFFERED, NULL, NULL);
        err = err == DR_ERR_NOT_FOUND ? DR_OK : err;
    }
    return err == DR_OK ? db_psk_insert(w, row) : err;
}

static dr_err_t finish_row(struct db_writer *w, const struct db_boot_finish *in)
{
    struct conn_q q = conn_q(
        &w->conn, "UPDATE device SET updated_at = ?1,"
                  " bootstrapped_timestamp = max(bootstrapped_timestamp + 1, ?1),"
                  " device_key = iif(?2 <> '', ?2, device_key),"
                  " ca_id = iif(?3 <> '', ?3, ca_id),"
                  " issuer_fingerprint = iif(?4 <> '', ?4, issuer_fingerprint),"
                  " bootstrap_expiration_date = iif(?5 <> '', ?5, bootstrap_expiration_date),"
                  " connector_expiration_date = iif(?6 <> '', ?6, connector_expiration_date),"
                  " device_execution_mode = iif(?7 >= 0, ?7, device_execution_mode)"
                  " WHERE id = ?8 AND account = ?9");

    conn_put_int(&q, in->at_ms);
    conn_put_text(&q, in->device_key);
    conn_put_text(&q, in->ca_id);
    conn_put_text(&q, in->issuer_fingerprint);
    conn_put_text(&q, in->bootstrap_expiration_date);
    conn_put_text(&q, in->connector_expiration_date);
    conn_put_int(&q, in->execution_mode);
    conn_put_int(&q, in->device);
    conn_put_int(&q, in->account);
    return conn_run_one(&q, DR_ERR_NOT_FOUND);
}

static dr_err_t state_get(struct db_writer *w, int64_t account, int64_t device,
                          enum db_device_state *ret)
{
    struct conn_q q = conn_q(&w->conn, "SELECT state FROM device WHERE id = ? AND account = ?");

    conn_put_int(&q, device);
    conn_put_int(&q, account);
    bool row = conn_row(&q);
    *ret = row ? (enum db_device_state)conn_col_int(&q, 0) : DB_DEVICE_UNENROLLED;
    dr_err_t err = conn_end(&q);
    return err == DR_OK && !row ? DR_ERR_NOT_FOUND : err;
}

dr_err_t db_boot_finish(struct db_writer *w, const struct db_boot_finish *in)
{
    dr_assert(w != NULL && in != NULL);
    enum db_device_state state;
    dr_err_t err = state_get(w, in->account, in->device, &state);

    if (err == DR_OK) {
        err = finish_row(w, in);
    }
    bool changes = state != DB_DEVICE_REGISTERED && state != DB_DEVICE_BOOTSTRAPPED;
    if (err == DR_OK && changes) {
        err = state_set(w, in->account, in->device, state, DB_DEVICE_BOOTSTRAPPED, in->at_ms);
    }
    if (err == DR_OK) {
        const struct db_event ev = {
            .id = in->event_id,
            .account = in->account,
            .device = in->device,
            .event_type = "update.device.device-updated",
            .event_type_description = "INFO",
            .description = "device bootstrapped",
            .state_change = changes,
            .changes = changes ? "{\"state\":\"bootstrapped\"}" : "{}",
        };
        err = db_event_append(w, &ev);
    }
    return err;
}
