/* SPDX-License-Identifier: Apache-2.0 */
#include "db/enrollment.h"

#include <string.h>

#include "base/text.h"
#include "db/conn_priv.h"
#include "db/db_priv.h"
#include "db/filter_priv.h"

dr_err_t db_enrollment_parse(const char *identity, uint8_t key[DB_ENROLLMENT_KEY])
{
    dr_assert(identity != NULL && key != NULL);
    uint8_t out[DB_ENROLLMENT_KEY];

    if (strnlen(identity, DB_ENROLLMENT_CHARS + 1) != DB_ENROLLMENT_CHARS || identity[0] != 'A' ||
        identity[1] != '-') {
        return DR_ERR_PROTO;
    }
    for (size_t i = 0; i < DB_ENROLLMENT_KEY; i++) {
        const char *at = identity + 2 + 3 * i;
        if ((i + 1 < DB_ENROLLMENT_KEY && at[2] != ':') ||
            dr_hex_decode(at, 2, &out[i], 1, NULL) != DR_OK) {
            return DR_ERR_PROTO;
        }
    }
    memcpy(key, out, sizeof out);
    return DR_OK;
}

dr_err_t db_enrollment_insert(struct db_writer *w, const struct db_enrollment *row)
{
    dr_assert(w != NULL && row != NULL && row->identity != NULL);
    uint8_t key[DB_ENROLLMENT_KEY];
    dr_err_t err = db_enrollment_parse(row->identity, key);
    if (err != DR_OK) {
        return err;
    }
    struct conn_q q =
        conn_q(&w->conn, "INSERT INTO enrollment (id, account, identity, key,"
                         " claimed_at, expires_at, device) VALUES (?, ?, ?, ?, 0, ?, 0)");
    conn_put_int(&q, row->id);
    conn_put_int(&q, row->account);
    conn_put_text(&q, row->identity);
    conn_put_blob(&q, dr_bytes_of(key, sizeof key));
    conn_put_int(&q, row->expires_at);
    return conn_run(&q, NULL);
}

dr_err_t db_enrollment_delete(struct db_writer *w, int64_t account, int64_t id)
{
    dr_assert(w != NULL);
    struct conn_q q = conn_q(&w->conn, "DELETE FROM enrollment WHERE id = ? AND account = ?");
    conn_put_int(&q, id);
    conn_put_int(&q, account);
    return conn_run_one(&q, DR_ERR_NOT_FOUND);
}

dr_err_t db_enrollment_delete_identity(struct db_writer *w, int64_t account, const char *identity,
                                       int64_t *ret_id)
{
    dr_assert(w != NULL && identity != NULL && ret_id != NULL);
    uint8_t key[DB_ENROLLMENT_KEY];
    dr_err_t err = db_enrollment_parse(identity, key);
    if (err != DR_OK) {
        return err;
    }
    struct conn_q q = conn_q(&w->conn, "SELECT id FROM enrollment WHERE key = ? AND account = ?");
    conn_put_blob(&q, dr_bytes_of(key, sizeof key));
    conn_put_int(&q, account);
    int64_t id = conn_row(&q) ? conn_col_int(&q, 0) : 0;
    err = conn_end(&q);
    if (err == DR_OK) {
        err = id == 0 ? DR_ERR_NOT_FOUND : db_enrollment_delete(w, account, id);
    }
    if (err == DR_OK) {
        *ret_id = id;
    }
    return err;
}

#define SELECT "SELECT id, account, identity, claimed_at, expires_at, device FROM enrollment "

static dr_err_t one_row(struct conn_q *q, db_enrollment_fn *fn, void *data)
{
    dr_err_t err = DR_ERR_NOT_FOUND;

    if (conn_row(q)) {
        const struct db_enrollment row = {
            .id = conn_col_int(q, 0),
            .account = conn_col_int(q, 1),
            .identity = conn_col_text(q, 2),
            .claimed_at = conn_col_int(q, 3),
            .expires_at = conn_col_int(q, 4),
            .device = conn_col_int(q, 5),
        };
        err = fn(data, &row);
    }
    dr_err_t end = conn_end(q);
    return end != DR_OK ? end : err;
}

dr_err_t db_enrollment_get(struct db_reader *r, int64_t account, int64_t id, db_enrollment_fn *fn,
                           void *data)
{
    dr_assert(r != NULL && fn != NULL);
    struct conn_q q = conn_q(r, SELECT "WHERE id = ? AND account = ?");
    conn_put_int(&q, id);
    conn_put_int(&q, account);
    return one_row(&q, fn, data);
}

struct ctx {
    struct db_reader *r;
    int64_t account;
    db_enrollment_fn *fn;
    db_denial_fn *denial;
    void *data;
};

static dr_err_t enrollment_id(void *data, int64_t id)
{
    struct ctx *c = data;

    return db_enrollment_get(c->r, c->account, id, c->fn, c->data);
}

dr_err_t db_enrollment_list(struct db_reader *r, const struct db_query *query, db_enrollment_fn *fn,
                            void *data, struct dr_errinfo *reterr)
{
    dr_assert(r != NULL && query != NULL && fn != NULL);
    struct ctx c = {.r = r, .account = query->account, .fn = fn, .data = data};
    return filter_page(r, DB_LIST_ENROLLMENT, query, enrollment_id, &c, reterr);
}

dr_err_t db_enrollment_count(struct db_reader *r, const struct db_query *query, int64_t *ret,
                             struct dr_errinfo *reterr)
{
    dr_assert(r != NULL && query != NULL && ret != NULL);
    return filter_count(r, DB_LIST_ENROLLMENT, query, ret, reterr);
}

dr_err_t db_enrollment_find(struct db_reader *r, struct dr_bytes fingerprint,
                            struct dr_bytes key_hash, int64_t now_ms, db_enrollment_fn *fn,
                            void *data)
{
    dr_assert(r != NULL && fn != NULL);
    struct conn_q q = conn_q(r, SELECT "WHERE key IN (?, ?) AND (expires_at = 0 OR expires_at > ?)"
                                       " ORDER BY id LIMIT 1");
    conn_put_blob(&q, fingerprint);
    conn_put_blob(&q, key_hash);
    conn_put_int(&q, now_ms);
    return one_row(&q, fn, data);
}

dr_err_t db_enrollment_claim(struct db_writer *w, int64_t account, int64_t id, int64_t device,
                             int64_t now_ms)
{
    dr_assert(w != NULL);
    struct conn_q q = conn_q(&w->conn, "UPDATE enrollment SET claimed_at = ?, device = ?"
                                       " WHERE id = ? AND account = ?");
    conn_put_int(&q, now_ms);
    conn_put_int(&q, device);
    conn_put_int(&q, id);
    conn_put_int(&q, account);
    dr_err_t err = conn_run_one(&q, DR_ERR_NOT_FOUND);
    if (err == DR_OK) {
        q = conn_q(&w->conn, "UPDATE device SET enrolment_list_timestamp = ?"
                             " WHERE id = ? AND account = ?");
        conn_put_int(&q, now_ms);
        conn_put_int(&q, device);
        conn_put_int(&q, account);
        err = conn_run(&q, NULL);
    }
    return err;
}

/* ---- bulk jobs ---- */

dr_err_t db_bulk_insert(struct db_writer *w, const struct db_bulk *row)
{
    dr_assert(w != NULL && row != NULL);
    struct conn_q q =
        conn_q(&w->conn, "INSERT INTO enrollment_bulk (id, account, updated_at, deletes, status,"
                         " total, processed, errors, completed_at)"
                         " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
    conn_put_int(&q, row->id);
    conn_put_int(&q, row->account);
    conn_put_int(&q, row->updated_at);
    conn_put_int(&q, row->deletes);
    conn_put_int(&q, row->status);
    conn_put_int(&q, row->total);
    conn_put_int(&q, row->processed);
    conn_put_int(&q, row->errors);
    conn_put_int(&q, row->completed_at);
    return conn_run(&q, NULL);
}

dr_err_t db_bulk_update(struct db_writer *w, const struct db_bulk *row)
{
    dr_assert(w != NULL && row != NULL);
    struct conn_q q =
        conn_q(&w->conn, "UPDATE enrollment_bulk SET updated_at = ?, status = ?, total = ?,"
                         " processed = ?, errors = ?, completed_at = ?"
                         " WHERE id = ? AND account = ?");
    conn_put_int(&q, row->updated_at);
    conn_put_int(&q, row->status);
    conn_put_int(&q, row->total);
    conn_put_int(&q, row->processed);
    conn_put_int(&q, row->errors);
    conn_put_int(&q, row->completed_at);
    conn_put_int(&q, row->id);
    conn_put_int(&q, row->account);
    return conn_run_one(&q, DR_ERR_NOT_FOUND);
}

#define BULK_SELECT                                                                                \
    "SELECT id, account, updated_at, deletes, status, total, processed, errors, completed_at"      \
    " FROM enrollment_bulk "

static dr_err_t bulk_rows(struct conn_q *q, db_bulk_fn *fn, void *data, dr_err_t none)
{
    dr_err_t err = none;

    while (conn_row(q)) {
        const struct db_bulk row = {
            .id = conn_col_int(q, 0),
            .account = conn_col_int(q, 1),
            .updated_at = conn_col_int(q, 2),
            .deletes = conn_col_int(q, 3) != 0,
            .status = (enum db_bulk_status)conn_col_int(q, 4),
            .total = conn_col_int(q, 5),
            .processed = conn_col_int(q, 6),
            .errors = conn_col_int(q, 7),
            .completed_at = conn_col_int(q, 8),
        };
        err = fn(data, &row);
        if (err != DR_OK) {
            break;
        }
    }
    dr_err_t end = conn_end(q);
    return end != DR_OK ? end : err;
}

dr_err_t db_bulk_get(struct db_reader *r, int64_t account, int64_t id, bool deletes, db_bulk_fn *fn,
                     void *data)
{
    dr_assert(r != NULL && fn != NULL);
    struct conn_q q = conn_q(r, BULK_SELECT "WHERE id = ? AND account = ? AND deletes = ?");
    conn_put_int(&q, id);
    conn_put_int(&q, account);
    conn_put_int(&q, deletes);
    return bulk_rows(&q, fn, data, DR_ERR_NOT_FOUND);
}

dr_err_t db_bulk_interrupted(struct db_writer *w, int64_t now_ms)
{
    dr_assert(w != NULL);
    struct conn_q q =
        conn_q(&w->conn, "UPDATE enrollment_bulk SET errors = errors + total - processed,"
                         " processed = total, status = 2, completed_at = ?1, updated_at = ?1"
                         " WHERE status < 2");
    conn_put_int(&q, now_ms);
    return conn_run(&q, NULL);
}

/* ---- denials ---- */

dr_err_t db_denial_note(struct db_writer *w, const struct db_denial *row)
{
    dr_assert(w != NULL && row != NULL);
    struct conn_q q =
        conn_q(&w->conn, "INSERT OR IGNORE INTO enrollment_denial (id, account, endpoint_name,"
                         " trusted_cert) SELECT ?1, ?2, ?3, ?4 WHERE (SELECT count(*)"
                         " FROM enrollment_denial WHERE account = ?2) < ?5");
    conn_put_int(&q, row->id);
    conn_put_int(&q, row->account);
    conn_put_text(&q, row->endpoint_name);
    conn_put_int(&q, row->trusted_cert);
    conn_put_int(&q, DB_DENIALS_MAX);
    return conn_run(&q, NULL);
}

dr_err_t db_denial_get(struct db_reader *r, int64_t account, int64_t id, db_denial_fn *fn,
                       void *data)
{
    dr_assert(r != NULL && fn != NULL);
    struct conn_q q = conn_q(r, "SELECT id, account, endpoint_name, trusted_cert"
                                " FROM enrollment_denial WHERE id = ? AND account = ?");
    conn_put_int(&q, id);
    conn_put_int(&q, account);
    dr_err_t err = DR_ERR_NOT_FOUND;
    if (conn_row(&q)) {
        const struct db_denial row = {
            .id = conn_col_int(&q, 0),
            .account = conn_col_int(&q, 1),
            .endpoint_name = conn_col_text(&q, 2),
            .trusted_cert = conn_col_int(&q, 3),
        };
        err = fn(data, &row);
    }
    dr_err_t end = conn_end(&q);
    return end != DR_OK ? end : err;
}

static dr_err_t denial_id(void *data, int64_t id)
{
    struct ctx *c = data;

    return db_denial_get(c->r, c->account, id, c->denial, c->data);
}

dr_err_t db_denial_list(struct db_reader *r, const struct db_query *query, db_denial_fn *fn,
                        void *data, struct dr_errinfo *reterr)
{
    dr_assert(r != NULL && query != NULL && fn != NULL);
    struct ctx c = {.r = r, .account = query->account, .denial = fn, .data = data};
    return filter_page(r, DB_LIST_DENIAL, query, denial_id, &c, reterr);
}

dr_err_t db_denial_count(struct db_reader *r, const struct db_query *query, int64_t *ret,
                         struct dr_errinfo *reterr)
{
    dr_assert(r != NULL && query != NULL && ret != NULL);
    return filter_count(r, DB_LIST_DENIAL, query, ret, reterr);
}
