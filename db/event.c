/* SPDX-License-Identifier: Apache-2.0 */
#include "db/event.h"

#include "base/ids.h"
#include "db/conn_priv.h"
#include "db/db_priv.h"
#include "db/filter_priv.h"

dr_err_t db_event_append(struct db_writer *w, const struct db_event *row)
{
    dr_assert(w != NULL && row != NULL);
    struct conn_q q =
        conn_q(&w->conn, "INSERT INTO event (account, id, device, state_change, event_type,"
                         " event_type_category, event_type_description, description, changes, data)"
                         " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    conn_put_int(&q, row->account);
    conn_put_int(&q, row->id);
    conn_put_int(&q, row->device);
    conn_put_int(&q, row->state_change ? 1 : 0);
    conn_put_text(&q, row->event_type);
    conn_put_text(&q, row->event_type_category);
    conn_put_text(&q, row->event_type_description);
    conn_put_text(&q, row->description);
    conn_put_json(&q, row->changes, "{}");
    conn_put_json(&q, row->data, "{}");
    return conn_run(&q, NULL);
}

/* The newest id of the account that must go for being too many; 0: none. */
static dr_err_t count_bound(struct db_writer *w, int64_t account, int64_t keep, int64_t *ret)
{
    int64_t id = 0;
    struct conn_q q = conn_q(
        &w->conn, "SELECT id FROM event WHERE account = ? ORDER BY id DESC LIMIT 1 OFFSET ?");

    conn_put_int(&q, account);
    conn_put_int(&q, keep);
    if (conn_row(&q)) {
        id = conn_col_int(&q, 0);
    }
    dr_err_t err = conn_end(&q);
    if (err == DR_OK) {
        *ret = id;
    }
    return err;
}

static dr_err_t purge_one(struct db_writer *w, int64_t account, int64_t before_ms, int64_t keep,
                          uint32_t limit, uint32_t *ret_n)
{
    int64_t bound = 0, n = 0;
    dr_err_t err = keep == INT64_MAX ? DR_OK : count_bound(w, account, keep, &bound);

    if (err != DR_OK) {
        return err;
    }
    int64_t old = before_ms <= 0 ? 0 : (before_ms << 20) - 1;
    struct conn_q q = conn_q(&w->conn, "DELETE FROM event WHERE account = ?1 AND id IN"
                                       " (SELECT id FROM event WHERE account = ?1 AND id <= ?2"
                                       " ORDER BY id LIMIT ?3)");
    conn_put_int(&q, account);
    conn_put_int(&q, bound > old ? bound : old);
    conn_put_int(&q, limit);
    err = conn_run(&q, &n);
    if (err == DR_OK) {
        *ret_n = (uint32_t)n;
    }
    return err;
}

/* The account after @p after that has events; 0: none. */
static dr_err_t next_account(struct db_writer *w, int64_t after, int64_t *ret)
{
    int64_t id = 0;
    struct conn_q q =
        conn_q(&w->conn, "SELECT account FROM event WHERE account > ? ORDER BY account LIMIT 1");

    conn_put_int(&q, after);
    if (conn_row(&q)) {
        id = conn_col_int(&q, 0);
    }
    dr_err_t err = conn_end(&q);
    if (err == DR_OK) {
        *ret = id;
    }
    return err;
}

dr_err_t db_event_purge(struct db_writer *w, int64_t account, int64_t before_ms, int64_t keep,
                        uint32_t limit, uint32_t *ret_n)
{
    uint32_t total = 0;
    int64_t a = account;
    dr_err_t err = DR_OK;

    dr_assert(w != NULL && keep >= 0);
    if (account == 0) {
        err = next_account(w, 0, &a);
    }
    while (err == DR_OK && a != 0 && total < limit) {
        uint32_t n = 0;
        err = purge_one(w, a, before_ms, keep, limit - total, &n);
        total += n;
        if (account != 0) {
            break;
        }
        if (err == DR_OK) {
            err = next_account(w, a, &a);
        }
    }
    if (err == DR_OK && ret_n != NULL) {
        *ret_n = total;
    }
    return err;
}

dr_err_t db_event_get(struct db_reader *r, int64_t account, int64_t id, db_event_fn *fn, void *data)
{
    dr_err_t err = DR_ERR_NOT_FOUND;

    dr_assert(r != NULL && fn != NULL);
    struct conn_q q = conn_q(r, "SELECT device, state_change, event_type, event_type_category,"
                                " event_type_description, description, changes, data FROM event"
                                " WHERE account = ? AND id = ?");
    conn_put_int(&q, account);
    conn_put_int(&q, id);
    if (conn_row(&q)) {
        struct db_event row = {
            .id = id,
            .account = account,
            .device = conn_col_int(&q, 0),
            .date_time = DR_ID_MS(id),
            .event_type = conn_col_text(&q, 2),
            .event_type_category = conn_col_text(&q, 3),
            .event_type_description = conn_col_text(&q, 4),
            .description = conn_col_text(&q, 5),
            .state_change = conn_col_int(&q, 1) != 0,
            .changes = conn_col_text(&q, 6),
            .data = conn_col_text(&q, 7),
        };
        err = fn(data, &row);
    }
    dr_err_t end = conn_end(&q);
    return end != DR_OK ? end : err;
}

struct event_list {
    struct db_reader *r;
    int64_t account;
    db_event_fn *fn;
    void *data;
};

static dr_err_t event_id(void *data, int64_t id)
{
    struct event_list *l = (struct event_list *)data;

    return db_event_get(l->r, l->account, id, l->fn, l->data);
}

dr_err_t db_event_list(struct db_reader *r, const struct db_query *query, db_event_fn *fn,
                       void *data, struct dr_errinfo *reterr)
{
    dr_assert(r != NULL && query != NULL && fn != NULL);
    struct event_list l = {.r = r, .account = query->account, .fn = fn, .data = data};
    return filter_page(r, DB_LIST_EVENT, query, event_id, &l, reterr);
}

dr_err_t db_event_count(struct db_reader *r, const struct db_query *query, int64_t *ret,
                        struct dr_errinfo *reterr)
{
    dr_assert(r != NULL && query != NULL && ret != NULL);
    return filter_count(r, DB_LIST_EVENT, query, ret, reterr);
}
