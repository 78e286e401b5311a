/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Register of a device that was registered before costs one look-up over the endpoint index and
 * one rewrite of its narrow row. All else (cold row, events, counters) happens only when the state
 * changes.
 */
#include "db/registration.h"

#include <string.h>

#include "db/conn_priv.h"
#include "db/device_priv.h"
#include "db/event.h"
#include "db/psk.h"

/** What a Register finds. */
struct found {
    int64_t device;
    enum db_device_state state;
    bool suspended;
    bool has_row;
    int64_t generation;
    bool new_type;
    char type[DB_COUNT_VALUE_MAX + 2];
};

static void keep_type(struct found *f, const char *type)
{
    size_t n = strnlen(type, DB_COUNT_VALUE_MAX + 1);

    memcpy(f->type, type, n);
    f->type[n] = '\0';
}

static dr_err_t find(struct db_writer *w, const struct db_register_in *in, struct found *f)
{
    struct conn_q q =
        conn_q(&w->conn, "SELECT d.id, d.state, d.operator_suspended | d.system_suspended,"
                         " d.endpoint_type, r.device, r.generation"
                         " FROM device d LEFT JOIN registration r ON r.device = d.id"
                         " WHERE d.account = ? AND d.endpoint_name = ?");

    *f = (struct found){0};
    conn_put_int(&q, in->account);
    conn_put_text(&q, in->endpoint_name);
    if (conn_row(&q)) {
        f->device = conn_col_int(&q, 0);
        f->state = (enum db_device_state)conn_col_int(&q, 1);
        f->suspended = conn_col_int(&q, 2) != 0;
        const char *type = conn_col_text(&q, 3);
        f->new_type = in->endpoint_type != NULL && strcmp(type, in->endpoint_type) != 0;
        keep_type(f, type);
        f->has_row = conn_col_int(&q, 4) != 0;
        f->generation = conn_col_int(&q, 5);
    }
    return conn_end(&q);
}

static dr_err_t make_device(struct db_writer *w, const struct db_register_in *in, struct found *f)
{
    const char *type = in->endpoint_type != NULL ? in->endpoint_type : "";

    if (in->new_device == 0) {
        return DR_ERR_NOT_FOUND;
    }
    struct conn_q q =
        conn_q(&w->conn, "INSERT INTO device (id, account, endpoint_name, state, updated_at,"
                         " endpoint_type, device_execution_mode) VALUES (?, ?, ?, ?, ?, ?, ?)");
    conn_put_int(&q, in->new_device);
    conn_put_int(&q, in->account);
    conn_put_text(&q, in->endpoint_name);
    conn_put_int(&q, DB_DEVICE_REGISTERED);
    conn_put_int(&q, in->at_ms);
    conn_put_text(&q, type);
    conn_put_int(&q, in->execution_mode);
    dr_err_t err = conn_run(&q, NULL);
    if (err == DR_OK) {
        err = device_count(w, in->account, DB_DEVICE_REGISTERED, 1);
    }
    if (err == DR_OK) {
        err = device_count_moved(w, in->account, DB_FACET_ENDPOINT_TYPE, "", type);
    }
    if (err == DR_OK) {
        err = device_event(w, in->event_ids[0], in->account, in->new_device,
                           "update.device.device-created", "device created", "{}");
    }
    f->device = in->new_device;
    return err;
}

static dr_err_t set_cold(struct db_writer *w, const struct db_register_in *in,
                         const struct found *f)
{
    struct conn_q q;

    if (f->new_type) {
        q = conn_q(&w->conn, "UPDATE device SET state = 3, updated_at = ?, endpoint_type = ?"
                             " WHERE id = ?");
        conn_put_int(&q, in->at_ms);
        conn_put_text(&q, in->endpoint_type);
    } else {
        q = conn_q(&w->conn, "UPDATE device SET state = 3, updated_at = ? WHERE id = ?");
        conn_put_int(&q, in->at_ms);
    }
    conn_put_int(&q, f->device);
    dr_err_t err = conn_run(&q, NULL);
    if (err == DR_OK && f->new_type) {
        err =
            device_count_moved(w, in->account, DB_FACET_ENDPOINT_TYPE, f->type, in->endpoint_type);
    }
    if (err == DR_OK && f->state != DB_DEVICE_REGISTERED) {
        err = device_count_state(w, in->account, f->state, -1);
        if (err == DR_OK) {
            err = device_count_state(w, in->account, DB_DEVICE_REGISTERED, 1);
        }
    }
    return err;
}

static dr_err_t set_hot(struct db_writer *w, const struct db_register_in *in, const struct found *f,
                        int64_t generation)
{
    struct conn_q q = conn_q(
        &w->conn,
        f->has_row ? "UPDATE registration SET generation = ?, last_seen = ?, expires_at = ?,"
                     " lifetime_s = ?, registered_at = ?, version = ?, binding = ?, queue_mode = ?,"
                     " address = ?, credential = ?, credential_version = ?, links = ?,"
                     " standing = ?, registered = 1 WHERE device = ?"
                   : "INSERT INTO registration (generation, last_seen, expires_at, lifetime_s,"
                     " registered_at, version, binding, queue_mode, address, credential,"
                     " credential_version, links, standing, registered, device)"
                     " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?)");

    conn_put_int(&q, generation);
    conn_put_int(&q, in->at_ms);
    conn_put_int(&q, in->at_ms + (int64_t)in->lifetime_s * 1000);
    conn_put_int(&q, in->lifetime_s);
    conn_put_int(&q, in->at_ms);
    conn_put_int(&q, in->version_major << 8 | in->version_minor);
    conn_put_text(&q, in->binding);
    conn_put_int(&q, in->queue_mode ? 1 : 0);
    conn_put_text(&q, in->address);
    conn_put_int(&q, in->credential);
    conn_put_int(&q, in->credential_version);
    conn_put_blob(&q, in->links);
    conn_put_blob(&q, in->standing);
    conn_put_int(&q, f->device);
    return conn_run(&q, NULL);
}

dr_err_t db_register(struct db_writer *w, const struct db_register_in *in,
                     struct db_register_out *out)
{
    struct found f;
    bool created = false;

    dr_assert(w != NULL && in != NULL && in->endpoint_name != NULL && out != NULL);
    dr_assert(in->generation >= 0);
    dr_err_t err = find(w, in, &f);
    if (err == DR_OK && in->device != 0 && f.device != in->device) {
        return DR_ERR_GONE;
    }
    if (err == DR_OK && f.device == 0) {
        err = make_device(w, in, &f);
        created = true;
    }
    if (err != DR_OK) {
        return err;
    }
    if (f.suspended) {
        return DR_ERR_DENIED;
    }
    int64_t generation = in->generation != 0 ? in->generation : f.generation + 1;
    if (generation < f.generation) {
        return DR_ERR_STALE;
    }
    err = set_hot(w, in, &f, generation);
    if (err == DR_OK && !created && (f.state != DB_DEVICE_REGISTERED || f.new_type)) {
        err = set_cold(w, in, &f);
    }
    if (err == DR_OK && (created || f.state != DB_DEVICE_REGISTERED)) {
        err =
            device_event(w, in->event_ids[1], in->account, f.device, "update.device.device-updated",
                         "device registered", "{\"state\":\"registered\"}");
    }
    if (err == DR_OK && in->credential != 0) {
        err = db_psk_used(w, in->credential);
    }
    if (err == DR_OK) {
        *out = (struct db_register_out){.device = f.device,
                                        .generation = generation,
                                        .state_before = f.state,
                                        .created = created};
    }
    return err;
}

/* ---- later writes of a registration ---- */

dr_err_t db_registration_update(struct db_writer *w, const struct db_registration_update *in)
{
    dr_assert(w != NULL && in != NULL);
    struct conn_q q;
    bool links = (in->mask & (DB_REGISTRATION_LINKS | DB_REGISTRATION_STANDING)) != 0;

    /* Links are long: they are only bound when they are meant. */
    if (links) {
        q = conn_q(&w->conn,
                   "UPDATE registration SET last_seen = max(last_seen, ?1),"
                   " lifetime_s = iif(?2 & 1, ?3, lifetime_s),"
                   " expires_at = max(last_seen, ?1) + 1000 * iif(?2 & 1, ?3, lifetime_s),"
                   " binding = iif(?2 & 2, ?4, binding), queue_mode = iif(?2 & 2, ?5, queue_mode),"
                   " address = iif(?2 & 8, ?6, address), links = iif(?2 & 4, ?9, links),"
                   " standing = iif(?2 & 16, ?10, standing)"
                   " WHERE device = ?7 AND generation = ?8 AND registered = 1");
    } else {
        q = conn_q(&w->conn,
                   "UPDATE registration SET last_seen = max(last_seen, ?1),"
                   " lifetime_s = iif(?2 & 1, ?3, lifetime_s),"
                   " expires_at = max(last_seen, ?1) + 1000 * iif(?2 & 1, ?3, lifetime_s),"
                   " binding = iif(?2 & 2, ?4, binding), queue_mode = iif(?2 & 2, ?5, queue_mode),"
                   " address = iif(?2 & 8, ?6, address)"
                   " WHERE device = ?7 AND generation = ?8 AND registered = 1");
    }
    conn_put_int(&q, in->at_ms);
    conn_put_int(&q, in->mask);
    conn_put_int(&q, in->lifetime_s);
    conn_put_text(&q, in->binding);
    conn_put_int(&q, in->queue_mode ? 1 : 0);
    conn_put_text(&q, in->address);
    conn_put_int(&q, in->device);
    conn_put_int(&q, in->generation);
    if (links) {
        conn_put_blob(&q, in->links);
        conn_put_blob(&q, in->standing);
    }
    return conn_run_one(&q, DR_ERR_STALE);
}

dr_err_t db_registration_touch(struct db_writer *w, const struct db_touch *touch, size_t n,
                               size_t *ret_n)
{
    size_t written = 0;
    dr_err_t err = DR_OK;

    dr_assert(w != NULL && (touch != NULL || n == 0));
    for (size_t i = 0; i < n && err == DR_OK; i++) {
        int64_t changed = 0;
        struct conn_q q =
            conn_q(&w->conn, "UPDATE registration SET last_seen = ?1,"
                             " expires_at = ?1 + 1000 * lifetime_s"
                             " WHERE device = ?2 AND generation = ?3 AND registered = 1"
                             " AND last_seen < ?1");
        conn_put_int(&q, touch[i].last_seen_ms);
        conn_put_int(&q, touch[i].device);
        conn_put_int(&q, touch[i].generation);
        err = conn_run(&q, &changed);
        written += changed != 0 ? 1 : 0;
    }
    if (err == DR_OK && ret_n != NULL) {
        *ret_n = written;
    }
    return err;
}

static dr_err_t end_cold(struct db_writer *w, int64_t device, int64_t at_ms, int64_t *ret_account)
{
    int64_t account = 0;
    enum db_device_state state = DB_DEVICE_DEREGISTERED;
    struct conn_q q = conn_q(&w->conn, "SELECT account, state FROM device WHERE id = ?");

    conn_put_int(&q, device);
    if (conn_row(&q)) {
        account = conn_col_int(&q, 0);
        state = (enum db_device_state)conn_col_int(&q, 1);
    }
    dr_err_t err = conn_end(&q);
    if (err != DR_OK) {
        return err;
    }
    *ret_account = account;
    if (state == DB_DEVICE_DEREGISTERED) {
        return DR_OK;
    }
    q = conn_q(&w->conn, "UPDATE device SET state = 4, updated_at = ? WHERE id = ?");
    conn_put_int(&q, at_ms);
    conn_put_int(&q, device);
    err = conn_run(&q, NULL);
    if (err == DR_OK) {
        err = device_count_state(w, account, state, -1);
    }
    return err == DR_OK ? device_count_state(w, account, DB_DEVICE_DEREGISTERED, 1) : err;
}

dr_err_t db_deregister(struct db_writer *w, int64_t device, int64_t generation, enum db_gone why,
                       int64_t at_ms, int64_t event_id)
{
    static const char *const texts[] = {
        [DB_GONE_DEREGISTERED] = "device deregistered",
        [DB_GONE_EXPIRED] = "registration expired",
        [DB_GONE_SUSPENDED] = "device suspended",
    };
    int64_t account = 0;

    dr_assert(w != NULL && why <= DB_GONE_SUSPENDED);
    struct conn_q q = conn_q(&w->conn, "UPDATE registration SET registered = 0"
                                       " WHERE device = ? AND generation = ? AND registered = 1");
    conn_put_int(&q, device);
    conn_put_int(&q, generation);
    dr_err_t err = conn_run_one(&q, DR_ERR_STALE);
    if (err == DR_OK) {
        err = end_cold(w, device, at_ms, &account);
    }
    if (err == DR_OK) {
        err = device_event(w, event_id, account, device, "update.device.device-updated", texts[why],
                           "{\"state\":\"deregistered\"}");
    }
    return err;
}

dr_err_t db_generation_bump(struct db_writer *w, int64_t account, int64_t device, int64_t *ret)
{
    int64_t generation = 0;
    dr_err_t err = DR_ERR_NOT_FOUND;

    dr_assert(w != NULL && ret != NULL);
    struct conn_q q =
        conn_q(&w->conn, "INSERT INTO registration (device, registered, generation, last_seen,"
                         " expires_at, lifetime_s, registered_at, version, binding, queue_mode,"
                         " address, credential, credential_version, links)"
                         " SELECT id, 0, 1, 0, 0, 0, 0, 0, '', 0, '', 0, 0, x'' FROM device"
                         " WHERE id = ? AND account = ?"
                         " ON CONFLICT DO UPDATE SET generation = generation + 1"
                         " RETURNING generation");
    conn_put_int(&q, device);
    conn_put_int(&q, account);
    while (conn_row(&q)) {
        generation = conn_col_int(&q, 0);
        err = DR_OK;
    }
    dr_err_t end = conn_end(&q);
    if (end != DR_OK) {
        return end;
    }
    if (err == DR_OK) {
        *ret = generation;
    }
    return err;
}

/* ---- reading ---- */

#define REGISTRATION_SELECT                                                                        \
    "SELECT d.id, d.account, d.endpoint_name, d.endpoint_type,"                                    \
    " d.operator_suspended | d.system_suspended, r.registered, r.generation, r.lifetime_s,"        \
    " r.registered_at, r.last_seen, r.expires_at, r.version, r.binding, r.queue_mode, r.links,"    \
    " r.address, r.credential, r.credential_version, r.standing"

static void read_row(struct conn_q *q, struct db_registration *row)
{
    int64_t version = conn_col_int(q, 11);

    *row = (struct db_registration){
        .device = conn_col_int(q, 0),
        .account = conn_col_int(q, 1),
        .endpoint_name = conn_col_text(q, 2),
        .endpoint_type = conn_col_text(q, 3),
        .generation = conn_col_int(q, 6),
        .registered = conn_col_int(q, 5) != 0,
        .blocked = conn_col_int(q, 4) != 0,
        .lifetime_s = (uint32_t)conn_col_int(q, 7),
        .registered_at = conn_col_int(q, 8),
        .last_seen = conn_col_int(q, 9),
        .expires_at = conn_col_int(q, 10),
        .version_major = (uint8_t)(version >> 8),
        .version_minor = (uint8_t)version,
        .binding = conn_col_text(q, 12),
        .queue_mode = conn_col_int(q, 13) != 0,
        .links = conn_col_blob(q, 14),
        .address = conn_col_text(q, 15),
        .credential = conn_col_int(q, 16),
        .credential_version = conn_col_int(q, 17),
        .standing = conn_col_blob(q, 18),
    };
}

static dr_err_t registration_rows(struct conn_q *q, bool one, db_registration_fn *fn, void *data)
{
    dr_err_t err = one ? DR_ERR_NOT_FOUND : DR_OK;

    while (conn_row(q)) {
        struct db_registration row;
        read_row(q, &row);
        err = fn(data, &row);
        if (err != DR_OK || one) {
            break;
        }
    }
    dr_err_t end = conn_end(q);
    return end != DR_OK ? end : err;
}

dr_err_t db_registration_get(struct db_reader *r, int64_t account, int64_t device,
                             db_registration_fn *fn, void *data)
{
    dr_assert(r != NULL && fn != NULL);
    struct conn_q q =
        conn_q(r, REGISTRATION_SELECT " FROM registration r JOIN device d ON d.id = r.device"
                                      " WHERE r.device = ?1 AND (?2 = 0 OR d.account = ?2)");
    conn_put_int(&q, device);
    conn_put_int(&q, account);
    return registration_rows(&q, true, fn, data);
}

dr_err_t db_registration_find(struct db_reader *r, int64_t account, const char *endpoint_name,
                              db_registration_fn *fn, void *data)
{
    dr_assert(r != NULL && endpoint_name != NULL && fn != NULL);
    struct conn_q q =
        conn_q(r, REGISTRATION_SELECT " FROM device d JOIN registration r ON r.device = d.id"
                                      " WHERE d.account = ? AND d.endpoint_name = ?");
    conn_put_int(&q, account);
    conn_put_text(&q, endpoint_name);
    return registration_rows(&q, true, fn, data);
}

dr_err_t db_registration_list(struct db_reader *r, int64_t after, uint32_t limit,
                              db_registration_fn *fn, void *data)
{
    dr_assert(r != NULL && fn != NULL);
    struct conn_q q = conn_q(r, REGISTRATION_SELECT
                             " FROM registration r CROSS JOIN device d ON d.id = r.device"
                             " WHERE r.device > ? AND +r.registered = 1 ORDER BY r.device LIMIT ?");
    conn_put_int(&q, after);
    conn_put_int(&q, limit);
    return registration_rows(&q, false, fn, data);
}

dr_err_t db_registration_expired(struct db_reader *r, int64_t before_ms, uint32_t limit,
                                 db_registration_fn *fn, void *data)
{
    dr_assert(r != NULL && fn != NULL);
    struct conn_q q =
        conn_q(r, REGISTRATION_SELECT " FROM registration r INDEXED BY registration_expiry"
                                      " CROSS JOIN device d ON d.id = r.device"
                                      " WHERE r.registered = 1 AND r.expires_at <= ?"
                                      " ORDER BY r.expires_at LIMIT ?");
    conn_put_int(&q, before_ms);
    conn_put_int(&q, limit);
    return registration_rows(&q, false, fn, data);
}
