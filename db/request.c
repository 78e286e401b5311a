/* SPDX-License-Identifier: Apache-2.0 */
#include "db/request.h"

#include "db/conn_priv.h"
#include "db/db_priv.h"

static dr_err_t pending_count(struct db_writer *w, int64_t device, int64_t *ret)
{
    int64_t n = 0;
    struct conn_q q =
        conn_q(&w->conn, "SELECT count(*) FROM request WHERE device = ? AND state < 2");

    conn_put_int(&q, device);
    if (conn_row(&q)) {
        n = conn_col_int(&q, 0);
    }
    dr_err_t err = conn_end(&q);
    if (err == DR_OK) {
        *ret = n;
    }
    return err;
}

dr_err_t db_request_insert(struct db_writer *w, const struct db_request *row, uint32_t queue_max)
{
    dr_assert(w != NULL && row != NULL);
    if (queue_max != 0) {
        int64_t n = 0;
        dr_err_t err = pending_count(w, row->device, &n);
        if (err != DR_OK || n >= queue_max) {
            return err != DR_OK ? err : DR_ERR_LIMIT;
        }
    }
    struct conn_q q = conn_q(
        &w->conn,
        "INSERT INTO request (id, account, device, key, async_id, state, retry_left, method, uri,"
        " content_type, accept, payload, created_at, expires_at)"
        " SELECT ?1, account, id, ?4, ?5, 0, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13 FROM device"
        " WHERE id = ?3 AND account = ?2");
    conn_put_int(&q, row->id);
    conn_put_int(&q, row->account);
    conn_put_int(&q, row->device);
    conn_put_int(&q, row->key);
    conn_put_text(&q, row->async_id);
    conn_put_int(&q, row->retry_left);
    conn_put_int(&q, row->method);
    conn_put_text(&q, row->uri);
    conn_put_text(&q, row->content_type);
    conn_put_text(&q, row->accept);
    conn_put_blob(&q, row->payload);
    conn_put_int(&q, row->created_at);
    conn_put_int(&q, row->expires_at);
    return conn_run_one(&q, DR_ERR_NOT_FOUND);
}

static dr_err_t set_state(struct db_writer *w, int64_t id, enum db_request_state state,
                          int32_t retry_left)
{
    struct conn_q q =
        conn_q(&w->conn, "UPDATE request SET state = ?, retry_left = ? WHERE id = ? AND state < 2");

    conn_put_int(&q, state);
    conn_put_int(&q, retry_left);
    conn_put_int(&q, id);
    return conn_run_one(&q, DR_ERR_STALE);
}

dr_err_t db_request_sent(struct db_writer *w, int64_t id, int32_t retry_left)
{
    dr_assert(w != NULL);
    return set_state(w, id, DB_REQUEST_SENT, retry_left);
}

dr_err_t db_request_requeue(struct db_writer *w, int64_t id, int32_t retry_left)
{
    dr_assert(w != NULL);
    return set_state(w, id, DB_REQUEST_QUEUED, retry_left);
}

static void put_answer(struct conn_q *q, const struct db_answer *a)
{
    conn_put_int(q, a->status);
    conn_put_text(q, a->result_type);
    conn_put_blob(q, a->result);
    conn_put_int(q, a->max_age_s);
    conn_put_text(q, a->error);
    conn_put_int(q, a->done_at);
}

dr_err_t db_request_done(struct db_writer *w, const struct db_answer *answer)
{
    dr_assert(w != NULL && answer != NULL);
    struct conn_q q =
        conn_q(&w->conn, "UPDATE request SET status = ?, result_type = ?, result = ?,"
                         " max_age_s = ?, error = ?, done_at = ?, state = 2, payload = x''"
                         " WHERE id = ? AND state < 2");
    put_answer(&q, answer);
    conn_put_int(&q, answer->id);
    return conn_run_one(&q, DR_ERR_STALE);
}

dr_err_t db_request_delete(struct db_writer *w, int64_t id)
{
    dr_assert(w != NULL);
    struct conn_q q = conn_q(&w->conn, "DELETE FROM request WHERE id = ?");
    conn_put_int(&q, id);
    return conn_run(&q, NULL);
}

dr_err_t db_request_fail_device(struct db_writer *w, int64_t device, const struct db_answer *answer,
                                uint32_t *ret_n)
{
    int64_t n = 0;

    dr_assert(w != NULL && answer != NULL);
    struct conn_q q =
        conn_q(&w->conn, "UPDATE request SET status = ?, result_type = ?, result = ?,"
                         " max_age_s = ?, error = ?, done_at = ?, state = 2, payload = x''"
                         " WHERE device = ? AND state < 2");
    put_answer(&q, answer);
    conn_put_int(&q, device);
    dr_err_t err = conn_run(&q, &n);
    if (err == DR_OK && ret_n != NULL) {
        *ret_n = (uint32_t)n;
    }
    return err;
}

dr_err_t db_request_purge(struct db_writer *w, int64_t before_ms, uint32_t limit, uint32_t *ret_n)
{
    int64_t n = 0;

    dr_assert(w != NULL);
    struct conn_q q = conn_q(&w->conn, "DELETE FROM request WHERE id IN (SELECT id FROM request"
                                       " WHERE state = 2 AND done_at < ? LIMIT ?)");
    conn_put_int(&q, before_ms);
    conn_put_int(&q, limit);
    dr_err_t err = conn_run(&q, &n);
    if (err == DR_OK && ret_n != NULL) {
        *ret_n = (uint32_t)n;
    }
    return err;
}

#define REQUEST_COLS                                                                               \
    "id, account, device, key, async_id, state, retry_left, method, uri, content_type, accept,"    \
    " payload, created_at, expires_at, status, result_type, result, max_age_s, error, done_at"

static void read_row(struct conn_q *q, struct db_request *row)
{
    *row = (struct db_request){
        .id = conn_col_int(q, 0),
        .account = conn_col_int(q, 1),
        .device = conn_col_int(q, 2),
        .key = conn_col_int(q, 3),
        .async_id = conn_col_text(q, 4),
        .method = (uint8_t)conn_col_int(q, 7),
        .uri = conn_col_text(q, 8),
        .content_type = conn_col_text(q, 9),
        .accept = conn_col_text(q, 10),
        .payload = conn_col_blob(q, 11),
        .retry_left = (int32_t)conn_col_int(q, 6),
        .created_at = conn_col_int(q, 12),
        .expires_at = conn_col_int(q, 13),
        .state = (enum db_request_state)conn_col_int(q, 5),
        .status = (int32_t)conn_col_int(q, 14),
        .result_type = conn_col_text(q, 15),
        .result = conn_col_blob(q, 16),
        .max_age_s = (uint32_t)conn_col_int(q, 17),
        .error = conn_col_text(q, 18),
        .done_at = conn_col_int(q, 19),
    };
}

static dr_err_t request_rows(struct conn_q *q, bool one, db_request_fn *fn, void *data)
{
    dr_err_t err = one ? DR_ERR_NOT_FOUND : DR_OK;

    while (conn_row(q)) {
        struct db_request row;
        read_row(q, &row);
        err = fn(data, &row);
        if (err != DR_OK || one) {
            break;
        }
    }
    dr_err_t end = conn_end(q);
    return end != DR_OK ? end : err;
}

dr_err_t db_request_list(struct db_reader *r, int64_t after, uint32_t limit, db_request_fn *fn,
                         void *data)
{
    dr_assert(r != NULL && fn != NULL);
    struct conn_q q =
        conn_q(r, "SELECT " REQUEST_COLS " FROM request WHERE id > ? ORDER BY id LIMIT ?");
    conn_put_int(&q, after);
    conn_put_int(&q, limit);
    return request_rows(&q, false, fn, data);
}

dr_err_t db_request_queue(struct db_reader *r, int64_t device, db_request_fn *fn, void *data)
{
    dr_assert(r != NULL && fn != NULL);
    struct conn_q q = conn_q(r, "SELECT " REQUEST_COLS
                                " FROM request WHERE device = ? AND state < 2 ORDER BY id");
    conn_put_int(&q, device);
    return request_rows(&q, false, fn, data);
}

dr_err_t db_request_get(struct db_reader *r, int64_t id, db_request_fn *fn, void *data)
{
    dr_assert(r != NULL && fn != NULL);
    struct conn_q q = conn_q(r, "SELECT " REQUEST_COLS " FROM request WHERE id = ?");
    conn_put_int(&q, id);
    return request_rows(&q, true, fn, data);
}
