/* SPDX-License-Identifier: Apache-2.0 */
#include "db/psk.h"

#include "base/text.h"
#include "db/conn_priv.h"
#include "db/db_priv.h"
#include "db/seal_priv.h"

static bool key_fits(struct dr_bytes key)
{
    return key.len >= 1 && key.len <= DB_PSK_KEY_MAX;
}

dr_err_t db_psk_insert(struct db_writer *w, const struct db_psk *row)
{
    dr_assert(w != NULL && row != NULL);
    if (!key_fits(row->key) || row->identity.len < 1 || row->identity.len > DB_PSK_IDENTITY_MAX) {
        return DR_ERR_RANGE;
    }
    struct seal_text key;
    dr_err_t err = seal_put(&w->conn, "psk", row->id, row->key, &key);
    if (err != DR_OK) {
        return err;
    }
    struct conn_q q =
        conn_q(&w->conn, "INSERT INTO psk (id, account, use, identity, endpoint_name,"
                         " key, sealed, version, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, 1, ?)");
    conn_put_int(&q, row->id);
    conn_put_int(&q, row->account);
    conn_put_int(&q, row->use);
    conn_put_blob(&q, row->identity);
    conn_put_text(&q, row->endpoint_name);
    conn_put_blob(&q, dr_bytes_of(key.bytes, key.len));
    conn_put_int(&q, key.sealed);
    conn_put_int(&q, row->created_at);
    err = conn_run(&q, NULL);
    dr_wipe(&key, sizeof key);
    return err;
}

static dr_err_t id_of(void *data, const struct db_psk *row)
{
    *(int64_t *)data = row->id;
    return DR_OK;
}

dr_err_t db_psk_rekey(struct db_writer *w, int64_t account, const char *endpoint_name,
                      enum db_psk_use use, struct dr_bytes key)
{
    dr_assert(w != NULL && endpoint_name != NULL);
    if (!key_fits(key)) {
        return DR_ERR_RANGE;
    }
    struct seal_text text;
    int64_t id = 0;
    dr_err_t err = db_psk_get(&w->conn, account, endpoint_name, use, id_of, &id);
    err = err == DR_OK ? seal_put(&w->conn, "psk", id, key, &text) : err;
    if (err != DR_OK) {
        return err;
    }
    struct conn_q q = conn_q(&w->conn, "UPDATE psk SET key = ?, sealed = ?, version = version + 1"
                                       " WHERE id = ?");
    conn_put_blob(&q, dr_bytes_of(text.bytes, text.len));
    conn_put_int(&q, text.sealed);
    conn_put_int(&q, id);
    err = conn_run_one(&q, DR_ERR_NOT_FOUND);
    dr_wipe(&text, sizeof text);
    return err;
}

dr_err_t db_psk_delete(struct db_writer *w, int64_t account, const char *endpoint_name,
                       enum db_psk_use use, db_psk_fn *fn, void *data)
{
    dr_assert(w != NULL && endpoint_name != NULL);
    if (fn != NULL) {
        dr_err_t err = db_psk_get(&w->conn, account, endpoint_name, use, fn, data);
        if (err != DR_OK) {
            return err;
        }
    }
    struct conn_q q = conn_q(&w->conn, "DELETE FROM psk"
                                       " WHERE account = ? AND endpoint_name = ? AND use = ?");
    conn_put_int(&q, account);
    conn_put_text(&q, endpoint_name);
    conn_put_int(&q, use);
    return conn_run_one(&q, DR_ERR_NOT_FOUND);
}

static dr_err_t is_offered(struct db_writer *w, int64_t id, bool *ret)
{
    struct conn_q q = conn_q(&w->conn, "SELECT 1 FROM psk WHERE id = ? AND use = 2");

    conn_put_int(&q, id);
    *ret = conn_row(&q);
    return conn_end(&q);
}

dr_err_t db_psk_used(struct db_writer *w, int64_t id)
{
    dr_assert(w != NULL);
    bool offered = false;
    dr_err_t err = is_offered(w, id, &offered);

    if (err != DR_OK || !offered) {
        return err;
    }
    struct conn_q q = conn_q(&w->conn, "DELETE FROM psk WHERE use = 1 AND (account, endpoint_name)"
                                       " = (SELECT account, endpoint_name FROM psk WHERE id = ?)");
    conn_put_int(&q, id);
    err = conn_run(&q, NULL);
    if (err == DR_OK) {
        q = conn_q(&w->conn, "UPDATE psk SET use = 1 WHERE id = ?");
        conn_put_int(&q, id);
        err = conn_run(&q, NULL);
    }
    if (err == DR_OK) {
        q = conn_q(&w->conn, "UPDATE device SET bootstrapped_timestamp ="
                             " max(device.bootstrapped_timestamp, psk.created_at) FROM psk"
                             " WHERE psk.id = ? AND device.account = psk.account"
                             " AND device.endpoint_name = psk.endpoint_name");
        conn_put_int(&q, id);
        err = conn_run(&q, NULL);
    }
    return err;
}

#define PSK_COLS "id, account, use, identity, endpoint_name, version, created_at"

static dr_err_t psk_rows(struct conn_q *q, bool one, db_psk_fn *fn, void *data)
{
    dr_err_t err = one ? DR_ERR_NOT_FOUND : DR_OK;

    while (conn_row(q)) {
        struct seal_text key = {.len = 0};
        struct db_psk row = {
            .id = conn_col_int(q, 0),
            .account = conn_col_int(q, 1),
            .use = (enum db_psk_use)conn_col_int(q, 2),
            .identity = conn_col_blob(q, 3),
            .endpoint_name = conn_col_text(q, 4),
            .version = conn_col_int(q, 5),
            .created_at = conn_col_int(q, 6),
        };
        err =
            one ? seal_get(q->c, "psk", row.id, conn_col_int(q, 8) != 0, conn_col_blob(q, 7), &key)
                : DR_OK;
        if (err == DR_OK) {
            row.key = one ? dr_bytes_of(key.bytes, key.len) : (struct dr_bytes){0};
            err = fn(data, &row);
        }
        dr_wipe(key.bytes, key.len);
        if (err != DR_OK || one) {
            break;
        }
    }
    dr_err_t end = conn_end(q);
    return end != DR_OK ? end : err;
}

dr_err_t db_psk_find(struct db_reader *r, struct dr_bytes identity, db_psk_fn *fn, void *data)
{
    dr_assert(r != NULL && fn != NULL);
    struct conn_q q = conn_q(r, "SELECT " PSK_COLS ", key, sealed FROM psk WHERE identity = ?");
    conn_put_blob(&q, identity);
    return psk_rows(&q, true, fn, data);
}

dr_err_t db_psk_get(struct db_reader *r, int64_t account, const char *endpoint_name,
                    enum db_psk_use use, db_psk_fn *fn, void *data)
{
    dr_assert(r != NULL && endpoint_name != NULL && fn != NULL);
    struct conn_q q = conn_q(r, "SELECT " PSK_COLS ", key, sealed FROM psk"
                                " WHERE account = ? AND endpoint_name = ? AND use = ?");
    conn_put_int(&q, account);
    conn_put_text(&q, endpoint_name);
    conn_put_int(&q, use);
    return psk_rows(&q, true, fn, data);
}

dr_err_t db_psk_list(struct db_reader *r, int64_t account, int64_t after, uint32_t limit,
                     db_psk_fn *fn, void *data)
{
    dr_assert(r != NULL && fn != NULL);
    struct conn_q q = conn_q(r, "SELECT " PSK_COLS " FROM psk"
                                " WHERE account = ? AND use = 0 AND id > ? ORDER BY id LIMIT ?");
    conn_put_int(&q, account);
    conn_put_int(&q, after);
    conn_put_int(&q, limit);
    return psk_rows(&q, false, fn, data);
}
