/* SPDX-License-Identifier: Apache-2.0 */
#include "db/subscription.h"

#include "db/conn_priv.h"
#include "db/db_priv.h"

static dr_err_t run_counted(struct conn_q *q, uint32_t *ret_n)
{
    int64_t n = 0;
    dr_err_t err = conn_run(q, &n);

    if (err == DR_OK && ret_n != NULL) {
        *ret_n = (uint32_t)n;
    }
    return err;
}

dr_err_t db_subscription_insert(struct db_writer *w, const struct db_subscription *row)
{
    dr_assert(w != NULL && row != NULL && row->path != NULL);
    struct conn_q q =
        conn_q(&w->conn, "INSERT INTO subscription (device, path, key, presub, created_at)"
                         " SELECT id, ?3, ?4, ?5, ?6 FROM device WHERE id = ?2 AND account = ?1");
    conn_put_int(&q, row->account);
    conn_put_int(&q, row->device);
    conn_put_text(&q, row->path);
    conn_put_int(&q, row->key);
    conn_put_int(&q, row->presub ? 1 : 0);
    conn_put_int(&q, row->created_at);
    return conn_run_one(&q, DR_ERR_NOT_FOUND);
}

dr_err_t db_subscription_delete(struct db_writer *w, int64_t account, int64_t device,
                                const char *path, int64_t key, uint32_t *ret_n)
{
    dr_assert(w != NULL);
    struct conn_q q = conn_q(&w->conn, "DELETE FROM subscription WHERE device = ?2"
                                       " AND (?3 = '' OR path = ?3) AND (?4 = 0 OR key = ?4)"
                                       " AND EXISTS (SELECT 1 FROM device"
                                       " WHERE id = ?2 AND account = ?1)");
    conn_put_int(&q, account);
    conn_put_int(&q, device);
    conn_put_text(&q, path);
    conn_put_int(&q, key);
    return run_counted(&q, ret_n);
}

dr_err_t db_subscription_delete_manual(struct db_writer *w, int64_t device, uint32_t *ret_n)
{
    dr_assert(w != NULL);
    struct conn_q q = conn_q(&w->conn, "DELETE FROM subscription WHERE device = ? AND presub = 0");
    conn_put_int(&q, device);
    return run_counted(&q, ret_n);
}

dr_err_t db_subscription_delete_key(struct db_writer *w, int64_t account, int64_t key,
                                    uint32_t *ret_n)
{
    dr_assert(w != NULL);
    struct conn_q q =
        conn_q(&w->conn, "DELETE FROM subscription WHERE key = ? AND EXISTS"
                         " (SELECT 1 FROM device WHERE id = subscription.device AND account = ?)");
    conn_put_int(&q, key);
    conn_put_int(&q, account);
    return run_counted(&q, ret_n);
}

dr_err_t db_subscription_list(struct db_reader *r, int64_t account, int64_t device,
                              db_subscription_fn *fn, void *data)
{
    dr_err_t err = DR_OK;

    dr_assert(r != NULL && fn != NULL);
    struct conn_q q = conn_q(r, "SELECT s.path, s.key, s.presub, s.created_at"
                                " FROM device d JOIN subscription s ON s.device = d.id"
                                " WHERE d.id = ? AND d.account = ? ORDER BY s.path, s.key");
    conn_put_int(&q, device);
    conn_put_int(&q, account);
    while (err == DR_OK && conn_row(&q)) {
        struct db_subscription row = {
            .account = account,
            .device = device,
            .key = conn_col_int(&q, 1),
            .path = conn_col_text(&q, 0),
            .presub = conn_col_int(&q, 2) != 0,
            .created_at = conn_col_int(&q, 3),
        };
        err = fn(data, &row);
    }
    dr_err_t end = conn_end(&q);
    return end != DR_OK ? end : err;
}

/* ---- pre-subscriptions ---- */

dr_err_t db_presubscription_replace(struct db_writer *w, int64_t account, int64_t key,
                                    const char *const *json, size_t n)
{
    dr_assert(w != NULL && (json != NULL || n == 0));
    struct conn_q q = conn_q(&w->conn, "DELETE FROM presubscription WHERE account = ? AND key = ?");
    conn_put_int(&q, account);
    conn_put_int(&q, key);
    dr_err_t err = conn_run(&q, NULL);
    for (size_t i = 0; i < n && err == DR_OK; i++) {
        q = conn_q(&w->conn, "INSERT INTO presubscription (account, key, ord, json)"
                             " VALUES (?, ?, ?, ?)");
        conn_put_int(&q, account);
        conn_put_int(&q, key);
        conn_put_int(&q, (int64_t)i);
        conn_put_json(&q, json[i], "{}");
        err = conn_run(&q, NULL);
    }
    return err;
}

dr_err_t db_presubscription_list(struct db_reader *r, int64_t account, int64_t key,
                                 db_presubscription_fn *fn, void *data)
{
    dr_err_t err = DR_OK;

    dr_assert(r != NULL && fn != NULL);
    struct conn_q q = conn_q(r, "SELECT account, key, ord, json FROM presubscription"
                                " WHERE (?1 = 0 OR account = ?1) AND (?2 = 0 OR key = ?2)"
                                " ORDER BY account, key, ord");
    conn_put_int(&q, account);
    conn_put_int(&q, key);
    while (err == DR_OK && conn_row(&q)) {
        err = fn(data, conn_col_int(&q, 0), conn_col_int(&q, 1), (uint32_t)conn_col_int(&q, 2),
                 conn_col_text(&q, 3));
    }
    dr_err_t end = conn_end(&q);
    return end != DR_OK ? end : err;
}

/* ---- cache ---- */

dr_err_t db_cache_put(struct db_writer *w, const struct db_cache *rows, size_t n, size_t *ret_n)
{
    size_t written = 0;
    dr_err_t err = DR_OK;

    dr_assert(w != NULL && (rows != NULL || n == 0));
    for (size_t i = 0; i < n && err == DR_OK; i++) {
        int64_t changed = 0;
        struct conn_q q =
            conn_q(&w->conn, "INSERT INTO cache (device, generation, updated_at, blob)"
                             " SELECT device, generation, ?3, ?4 FROM registration"
                             " WHERE device = ?1 AND generation = ?2"
                             " ON CONFLICT DO UPDATE SET generation = excluded.generation,"
                             " updated_at = excluded.updated_at, blob = excluded.blob");
        conn_put_int(&q, rows[i].device);
        conn_put_int(&q, rows[i].generation);
        conn_put_int(&q, rows[i].updated_at);
        conn_put_blob(&q, rows[i].blob);
        err = conn_run(&q, &changed);
        written += changed != 0 ? 1 : 0;
    }
    if (err == DR_OK && ret_n != NULL) {
        *ret_n = written;
    }
    return err;
}

dr_err_t db_cache_delete(struct db_writer *w, int64_t device)
{
    dr_assert(w != NULL);
    struct conn_q q = conn_q(&w->conn, "DELETE FROM cache WHERE device = ?");
    conn_put_int(&q, device);
    return conn_run(&q, NULL);
}

dr_err_t db_cache_get(struct db_reader *r, int64_t device, db_cache_fn *fn, void *data)
{
    dr_err_t err = DR_ERR_NOT_FOUND;

    dr_assert(r != NULL && fn != NULL);
    struct conn_q q = conn_q(r, "SELECT generation, updated_at, blob FROM cache WHERE device = ?");
    conn_put_int(&q, device);
    if (conn_row(&q)) {
        struct db_cache row = {
            .device = device,
            .generation = conn_col_int(&q, 0),
            .updated_at = conn_col_int(&q, 1),
            .blob = conn_col_blob(&q, 2),
        };
        err = fn(data, &row);
    }
    dr_err_t end = conn_end(&q);
    return end != DR_OK ? end : err;
}
