/* SPDX-License-Identifier: Apache-2.0 */
#include "db/account.h"

#include <string.h>

#include "base/ids.h"
#include "db/conn_priv.h"
#include "db/db_priv.h"
#include "db/filter_priv.h"

/* ---- accounts ---- */

dr_err_t db_account_insert(struct db_writer *w, const struct db_account *row)
{
    dr_assert(w != NULL && row != NULL);
    struct conn_q q =
        conn_q(&w->conn, "INSERT INTO account (id, parent, display_name, status, tier,"
                         " end_market, fields, updated_at)"
                         " VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
    conn_put_int(&q, row->id);
    conn_put_int(&q, row->parent);
    conn_put_text(&q, row->display_name);
    conn_put_text(&q, row->status);
    conn_put_text(&q, row->tier);
    conn_put_text(&q, row->end_market);
    conn_put_json(&q, row->fields, "{}");
    conn_put_int(&q, row->updated_at);
    return conn_run(&q, NULL);
}

dr_err_t db_account_update(struct db_writer *w, const struct db_account *row)
{
    dr_assert(w != NULL && row != NULL);
    struct conn_q q = conn_q(&w->conn, "UPDATE account SET display_name = ?, status = ?, tier = ?,"
                                       " end_market = ?, fields = ?, updated_at = ? WHERE id = ?");
    conn_put_text(&q, row->display_name);
    conn_put_text(&q, row->status);
    conn_put_text(&q, row->tier);
    conn_put_text(&q, row->end_market);
    conn_put_json(&q, row->fields, "{}");
    conn_put_int(&q, row->updated_at);
    conn_put_int(&q, row->id);
    return conn_run_one(&q, DR_ERR_NOT_FOUND);
}

#define ACCOUNT_COLS "id, parent, display_name, status, tier, end_market, fields, updated_at"

static dr_err_t account_rows(struct conn_q *q, bool one, db_account_fn *fn, void *data)
{
    dr_err_t err = one ? DR_ERR_NOT_FOUND : DR_OK;

    while (conn_row(q)) {
        struct db_account row = {
            .id = conn_col_int(q, 0),
            .parent = conn_col_int(q, 1),
            .display_name = conn_col_text(q, 2),
            .status = conn_col_text(q, 3),
            .tier = conn_col_text(q, 4),
            .end_market = conn_col_text(q, 5),
            .fields = conn_col_text(q, 6),
            .created_at = DR_ID_MS(conn_col_int(q, 0)),
            .updated_at = conn_col_int(q, 7),
        };
        err = fn(data, &row);
        if (err != DR_OK || one) {
            break;
        }
    }
    dr_err_t end = conn_end(q);
    return end != DR_OK ? end : err;
}

dr_err_t db_account_get(struct db_reader *r, int64_t account, db_account_fn *fn, void *data)
{
    dr_assert(r != NULL && fn != NULL);
    struct conn_q q = conn_q(r, "SELECT " ACCOUNT_COLS " FROM account WHERE id = ?");
    conn_put_int(&q, account);
    return account_rows(&q, true, fn, data);
}

dr_err_t db_account_list(struct db_reader *r, int64_t after, uint32_t limit, db_account_fn *fn,
                         void *data)
{
    dr_assert(r != NULL && fn != NULL);
    struct conn_q q =
        conn_q(r, "SELECT " ACCOUNT_COLS " FROM account WHERE id > ? ORDER BY id LIMIT ?");
    conn_put_int(&q, after);
    conn_put_int(&q, limit);
    return account_rows(&q, false, fn, data);
}

/* ---- API keys ---- */

dr_err_t db_apikey_insert(struct db_writer *w, const struct db_apikey *row)
{
    dr_assert(w != NULL && row != NULL);
    struct conn_q q = conn_q(
        &w->conn, "INSERT INTO apikey (id, account, owner, name, secret_hash, role, active,"
                  " groups, updated_at, last_login_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    conn_put_int(&q, row->id);
    conn_put_int(&q, row->account);
    conn_put_int(&q, row->owner);
    conn_put_text(&q, row->name);
    conn_put_blob(&q, dr_bytes_of(row->secret_hash, DB_SECRET_HASH_LEN));
    conn_put_int(&q, row->role);
    conn_put_int(&q, row->active ? 1 : 0);
    conn_put_json(&q, row->groups, "[]");
    conn_put_int(&q, row->updated_at);
    conn_put_int(&q, row->last_login_at);
    return conn_run(&q, NULL);
}

dr_err_t db_apikey_update(struct db_writer *w, const struct db_apikey *row)
{
    dr_assert(w != NULL && row != NULL);
    struct conn_q q =
        conn_q(&w->conn, "UPDATE apikey SET name = ?, owner = ?, role = ?, active = ?, groups = ?,"
                         " updated_at = ? WHERE id = ? AND account = ?");
    conn_put_text(&q, row->name);
    conn_put_int(&q, row->owner);
    conn_put_int(&q, row->role);
    conn_put_int(&q, row->active ? 1 : 0);
    conn_put_json(&q, row->groups, "[]");
    conn_put_int(&q, row->updated_at);
    conn_put_int(&q, row->id);
    conn_put_int(&q, row->account);
    return conn_run_one(&q, DR_ERR_NOT_FOUND);
}

dr_err_t db_apikey_secret_set(struct db_writer *w, int64_t account, int64_t id,
                              const uint8_t hash[DB_SECRET_HASH_LEN], int64_t now_ms)
{
    dr_assert(w != NULL && hash != NULL);
    struct conn_q q = conn_q(&w->conn, "UPDATE apikey SET secret_hash = ?, updated_at = ?"
                                       " WHERE id = ? AND account = ?");
    conn_put_blob(&q, dr_bytes_of(hash, DB_SECRET_HASH_LEN));
    conn_put_int(&q, now_ms);
    conn_put_int(&q, id);
    conn_put_int(&q, account);
    return conn_run_one(&q, DR_ERR_NOT_FOUND);
}

dr_err_t db_apikey_login(struct db_writer *w, int64_t account, int64_t id, int64_t now_ms)
{
    dr_assert(w != NULL);
    struct conn_q q =
        conn_q(&w->conn, "UPDATE apikey SET last_login_at = ? WHERE id = ? AND account = ?");
    conn_put_int(&q, now_ms);
    conn_put_int(&q, id);
    conn_put_int(&q, account);
    return conn_run(&q, NULL);
}

dr_err_t db_apikey_delete(struct db_writer *w, int64_t account, int64_t id)
{
    dr_assert(w != NULL);
    struct conn_q q = conn_q(&w->conn, "DELETE FROM apikey WHERE id = ? AND account = ?");
    conn_put_int(&q, id);
    conn_put_int(&q, account);
    return conn_run_one(&q, DR_ERR_NOT_FOUND);
}

#define APIKEY_COLS                                                                                \
    "id, account, owner, name, secret_hash, role, active, groups, updated_at, last_login_at"

static dr_err_t apikey_row(struct conn_q *q, db_apikey_fn *fn, void *data)
{
    dr_err_t err = DR_ERR_NOT_FOUND;

    if (conn_row(q)) {
        struct dr_bytes hash = conn_col_blob(q, 4);
        struct db_apikey row = {
            .id = conn_col_int(q, 0),
            .account = conn_col_int(q, 1),
            .owner = conn_col_int(q, 2),
            .name = conn_col_text(q, 3),
            .role = (enum db_role)conn_col_int(q, 5),
            .active = conn_col_int(q, 6) != 0,
            .groups = conn_col_text(q, 7),
            .created_at = DR_ID_MS(conn_col_int(q, 0)),
            .updated_at = conn_col_int(q, 8),
            .last_login_at = conn_col_int(q, 9),
        };
        if (hash.len != DB_SECRET_HASH_LEN) {
            err = DR_ERR_CORRUPT;
        } else {
            memcpy(row.secret_hash, hash.p, DB_SECRET_HASH_LEN);
            err = fn(data, &row);
        }
    }
    dr_err_t end = conn_end(q);
    return end != DR_OK ? end : err;
}

dr_err_t db_apikey_get(struct db_reader *r, int64_t account, int64_t id, db_apikey_fn *fn,
                       void *data)
{
    dr_assert(r != NULL && fn != NULL);
    struct conn_q q = conn_q(r, "SELECT " APIKEY_COLS " FROM apikey WHERE id = ? AND account = ?");
    conn_put_int(&q, id);
    conn_put_int(&q, account);
    return apikey_row(&q, fn, data);
}

dr_err_t db_apikey_find(struct db_reader *r, int64_t id, db_apikey_fn *fn, void *data)
{
    dr_assert(r != NULL && fn != NULL);
    struct conn_q q = conn_q(r, "SELECT " APIKEY_COLS " FROM apikey WHERE id = ?");
    conn_put_int(&q, id);
    return apikey_row(&q, fn, data);
}

struct apikey_list {
    struct db_reader *r;
    int64_t account;
    db_apikey_fn *fn;
    void *data;
};

static dr_err_t apikey_id(void *data, int64_t id)
{
    struct apikey_list *l = (struct apikey_list *)data;

    return db_apikey_get(l->r, l->account, id, l->fn, l->data);
}

dr_err_t db_apikey_list(struct db_reader *r, const struct db_query *query, db_apikey_fn *fn,
                        void *data, struct dr_errinfo *reterr)
{
    dr_assert(r != NULL && query != NULL && fn != NULL);
    struct apikey_list l = {.r = r, .account = query->account, .fn = fn, .data = data};
    return filter_page(r, DB_LIST_APIKEY, query, apikey_id, &l, reterr);
}

dr_err_t db_apikey_count(struct db_reader *r, const struct db_query *query, int64_t *ret,
                         struct dr_errinfo *reterr)
{
    dr_assert(r != NULL && query != NULL && ret != NULL);
    return filter_count(r, DB_LIST_APIKEY, query, ret, reterr);
}

/* ---- settings ---- */

dr_err_t db_setting_put(struct db_writer *w, int64_t account, const char *name, const char *value)
{
    dr_assert(w != NULL && name != NULL);
    struct conn_q q;
    if (value == NULL) {
        q = conn_q(&w->conn, "DELETE FROM setting WHERE account = ? AND name = ?");
        conn_put_int(&q, account);
        conn_put_text(&q, name);
    } else {
        q = conn_q(&w->conn, "INSERT INTO setting (account, name, value) VALUES (?, ?, ?)"
                             " ON CONFLICT DO UPDATE SET value = excluded.value");
        conn_put_int(&q, account);
        conn_put_text(&q, name);
        conn_put_json(&q, value, "");
    }
    return conn_run(&q, NULL);
}

dr_err_t db_setting_add(struct db_writer *w, int64_t account, const char *name, const char *value)
{
    dr_assert(w != NULL && name != NULL && value != NULL);
    struct conn_q q =
        conn_q(&w->conn, "INSERT INTO setting (account, name, value) VALUES (?, ?, ?)");
    conn_put_int(&q, account);
    conn_put_text(&q, name);
    conn_put_json(&q, value, "");
    return conn_run(&q, NULL);
}

dr_err_t db_setting_get(struct db_reader *r, int64_t account, const char *name, db_setting_fn *fn,
                        void *data)
{
    dr_err_t err = DR_ERR_NOT_FOUND;

    dr_assert(r != NULL && name != NULL && fn != NULL);
    struct conn_q q = conn_q(r, "SELECT value FROM setting WHERE account = ? AND name = ?");
    conn_put_int(&q, account);
    conn_put_text(&q, name);
    if (conn_row(&q)) {
        err = fn(data, name, conn_col_text(&q, 0));
    }
    dr_err_t end = conn_end(&q);
    return end != DR_OK ? end : err;
}

dr_err_t db_setting_list(struct db_reader *r, int64_t account, const char *prefix,
                         db_setting_fn *fn, void *data)
{
    dr_err_t err = DR_OK;

    dr_assert(r != NULL && prefix != NULL && fn != NULL);
    struct conn_q q = conn_q(r, "SELECT name, value FROM setting WHERE account = ?1 AND name >= ?2"
                                " AND substr(name, 1, length(?2)) = ?2 ORDER BY name");
    conn_put_int(&q, account);
    conn_put_text(&q, prefix);
    while (err == DR_OK && conn_row(&q)) {
        err = fn(data, conn_col_text(&q, 0), conn_col_text(&q, 1));
    }
    dr_err_t end = conn_end(&q);
    return end != DR_OK ? end : err;
}
