/* SPDX-License-Identifier: Apache-2.0 */
#include "db/campaign.h"

#include "db/conn_priv.h"
#include "db/db_priv.h"
#include "db/filter_priv.h"

#define PUT_TEXT(q, v) conn_put_json((q), (v), "")
#define PUT_INT(q, v)  conn_put_int((q), (v))
#define COL_TEXT(q, i) conn_col_text((q), (i))
#define COL_INT(q, i)  conn_col_int((q), (i))

#define COLUMN(member, kind) ", " #member
#define PLACE(member, kind)  ", ?"
#define ASSIGN(member, kind) ", " #member " = ?"

/* ---- campaigns ---- */

static void campaign_put(struct conn_q *q, const struct db_campaign *row)
{
#define PUT(member, kind) PUT_##kind(q, row->member);
    DB_CAMPAIGN_FIELDS(PUT)
#undef PUT
}

dr_err_t db_campaign_insert(struct db_writer *w, const struct db_campaign *row)
{
    dr_assert(w != NULL && row != NULL);
    struct conn_q q = conn_q(
        &w->conn, "INSERT INTO campaign (id, account, version, updated_at" DB_CAMPAIGN_FIELDS(
                      COLUMN) ") VALUES (?, ?, 1, ?" DB_CAMPAIGN_FIELDS(PLACE) ")");
    conn_put_int(&q, row->id);
    conn_put_int(&q, row->account);
    conn_put_int(&q, row->updated_at);
    campaign_put(&q, row);
    return conn_run(&q, NULL);
}

dr_err_t db_campaign_update(struct db_writer *w, const struct db_campaign *row)
{
    dr_assert(w != NULL && row != NULL);
    struct conn_q q = conn_q(
        &w->conn, "UPDATE campaign SET version = version + 1, updated_at = ?" DB_CAMPAIGN_FIELDS(
                      ASSIGN) " WHERE id = ? AND account = ? AND version = ?");
    conn_put_int(&q, row->updated_at);
    campaign_put(&q, row);
    conn_put_int(&q, row->id);
    conn_put_int(&q, row->account);
    conn_put_int(&q, row->version);
    return conn_run_one(&q, DR_ERR_STALE);
}

dr_err_t db_campaign_delete(struct db_writer *w, int64_t account, int64_t id, int64_t version)
{
    dr_assert(w != NULL);
    struct conn_q q =
        conn_q(&w->conn, "DELETE FROM campaign WHERE id = ? AND account = ? AND version = ?");
    conn_put_int(&q, id);
    conn_put_int(&q, account);
    conn_put_int(&q, version);
    return conn_run_one(&q, DR_ERR_STALE);
}

#define CAMPAIGN_SELECT                                                                            \
    "SELECT id, account, version, updated_at" DB_CAMPAIGN_FIELDS(COLUMN) " FROM campaign "

static dr_err_t campaign_rows(struct conn_q *q, db_campaign_fn *fn, void *data, int64_t *ret_n)
{
    dr_err_t err = DR_OK;
    int64_t n = 0;

    while (err == DR_OK && conn_row(q)) {
        int i = 4;
        struct db_campaign row = {.id = conn_col_int(q, 0),
                                  .account = conn_col_int(q, 1),
                                  .version = conn_col_int(q, 2),
                                  .updated_at = conn_col_int(q, 3)};
#define GET(member, kind)                                                                          \
    row.member = COL_##kind(q, i);                                                                 \
    i++;
        DB_CAMPAIGN_FIELDS(GET)
        n++;
        err = fn(data, &row);
    }
    dr_err_t end = conn_end(q);
    *ret_n = n;
    return end != DR_OK ? end : err;
}

dr_err_t db_campaign_get(struct db_reader *r, int64_t account, int64_t id, db_campaign_fn *fn,
                         void *data)
{
    int64_t n;

    dr_assert(r != NULL && fn != NULL);
    struct conn_q q = conn_q(r, CAMPAIGN_SELECT "WHERE id = ? AND account = ?");
    conn_put_int(&q, id);
    conn_put_int(&q, account);
    dr_err_t err = campaign_rows(&q, fn, data, &n);
    return err == DR_OK && n == 0 ? DR_ERR_NOT_FOUND : err;
}

struct campaign_list {
    struct db_reader *r;
    int64_t account;
    db_campaign_fn *fn;
    void *data;
};

static dr_err_t campaign_id(void *data, int64_t id)
{
    struct campaign_list *l = data;

    return db_campaign_get(l->r, l->account, id, l->fn, l->data);
}

dr_err_t db_campaign_list(struct db_reader *r, const struct db_query *query, db_campaign_fn *fn,
                          void *data, struct dr_errinfo *reterr)
{
    dr_assert(r != NULL && query != NULL && fn != NULL);
    struct campaign_list l = {.r = r, .account = query->account, .fn = fn, .data = data};
    return filter_page(r, DB_LIST_CAMPAIGN, query, campaign_id, &l, reterr);
}

dr_err_t db_campaign_count(struct db_reader *r, const struct db_query *query, int64_t *ret,
                           struct dr_errinfo *reterr)
{
    dr_assert(r != NULL && query != NULL && ret != NULL);
    return filter_count(r, DB_LIST_CAMPAIGN, query, ret, reterr);
}

dr_err_t db_campaign_in_phase(struct db_reader *r, int64_t first, int64_t last, db_campaign_fn *fn,
                              void *data)
{
    int64_t n;

    dr_assert(r != NULL && fn != NULL);
    struct conn_q q = conn_q(r, CAMPAIGN_SELECT
                             "WHERE phase BETWEEN ?1 AND ?2 OR (phase = ?2 + 1 AND EXISTS"
                             " (SELECT 1 FROM campaign_device d WHERE d.campaign = campaign.id AND"
                             " d.watch = 1)) ORDER BY phase, id");
    conn_put_int(&q, first);
    conn_put_int(&q, last);
    return campaign_rows(&q, fn, data, &n);
}

dr_err_t db_campaign_of_manifest(struct db_reader *r, int64_t account, int64_t manifest,
                                 int64_t first, int64_t last, int64_t *ret)
{
    int64_t id = 0;

    dr_assert(r != NULL && ret != NULL);
    struct conn_q q = conn_q(r, "SELECT id FROM campaign WHERE account = ? AND root_manifest_id = ?"
                                " AND phase BETWEEN ? AND ? LIMIT 1");
    conn_put_int(&q, account);
    conn_put_int(&q, manifest);
    conn_put_int(&q, first);
    conn_put_int(&q, last);
    if (conn_row(&q)) {
        id = conn_col_int(&q, 0);
    }
    dr_err_t err = conn_end(&q);
    if (err == DR_OK) {
        *ret = id;
    }
    return err;
}

/* ---- waves ---- */

dr_err_t db_campaign_waves_put(struct db_writer *w, int64_t campaign,
                               const struct db_campaign_wave *waves, size_t n)
{
    dr_assert(w != NULL && (waves != NULL || n == 0));
    struct conn_q q = conn_q(&w->conn, "DELETE FROM campaign_wave WHERE campaign = ?");
    conn_put_int(&q, campaign);
    dr_err_t err = conn_run(&q, NULL);
    for (size_t i = 0; err == DR_OK && i < n; i++) {
        const struct db_campaign_wave *v = &waves[i];
        q = conn_q(&w->conn,
                   "INSERT INTO campaign_wave (campaign, seq, kind, amount, success_mpct,"
                   " error_mpct, silent_mpct, min_samples, soak_s, gate_action, status, opened_at,"
                   " soak_until, verdict) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
        conn_put_int(&q, campaign);
        conn_put_int(&q, v->seq);
        conn_put_int(&q, v->kind);
        conn_put_int(&q, v->amount);
        conn_put_int(&q, v->success_mpct);
        conn_put_int(&q, v->error_mpct);
        conn_put_int(&q, v->silent_mpct);
        conn_put_int(&q, v->min_samples);
        conn_put_int(&q, v->soak_s);
        conn_put_int(&q, v->gate_action);
        conn_put_int(&q, v->status);
        conn_put_int(&q, v->opened_at);
        conn_put_int(&q, v->soak_until);
        conn_put_text(&q, v->verdict);
        err = conn_run(&q, NULL);
    }
    return err;
}

dr_err_t db_campaign_wave_move(struct db_writer *w, const struct db_campaign_wave *row,
                               int64_t from)
{
    dr_assert(w != NULL && row != NULL);
    struct conn_q q = conn_q(&w->conn, "UPDATE campaign_wave SET status = ?, opened_at = ?,"
                                       " soak_until = ?, verdict = ? WHERE campaign = ? AND"
                                       " seq = ? AND status = ?");
    conn_put_int(&q, row->status);
    conn_put_int(&q, row->opened_at);
    conn_put_int(&q, row->soak_until);
    conn_put_text(&q, row->verdict);
    conn_put_int(&q, row->campaign);
    conn_put_int(&q, row->seq);
    conn_put_int(&q, from);
    return conn_run_one(&q, DR_ERR_STALE);
}

dr_err_t db_campaign_waves(struct db_reader *r, int64_t campaign, db_campaign_wave_fn *fn,
                           void *data)
{
    dr_err_t err = DR_OK;

    dr_assert(r != NULL && fn != NULL);
    struct conn_q q =
        conn_q(r, "SELECT seq, kind, amount, success_mpct, error_mpct, silent_mpct, min_samples,"
                  " soak_s, gate_action, status, opened_at, soak_until, verdict FROM campaign_wave"
                  " WHERE campaign = ? ORDER BY seq");
    conn_put_int(&q, campaign);
    while (err == DR_OK && conn_row(&q)) {
        struct db_campaign_wave row = {
            .campaign = campaign,
            .seq = conn_col_int(&q, 0),
            .kind = conn_col_int(&q, 1),
            .amount = conn_col_int(&q, 2),
            .success_mpct = conn_col_int(&q, 3),
            .error_mpct = conn_col_int(&q, 4),
            .silent_mpct = conn_col_int(&q, 5),
            .min_samples = conn_col_int(&q, 6),
            .soak_s = conn_col_int(&q, 7),
            .gate_action = conn_col_int(&q, 8),
            .status = conn_col_int(&q, 9),
            .opened_at = conn_col_int(&q, 10),
            .soak_until = conn_col_int(&q, 11),
            .verdict = conn_col_text(&q, 12),
        };
        err = fn(data, &row);
    }
    dr_err_t end = conn_end(&q);
    return end != DR_OK ? end : err;
}

/* ---- devices ---- */

static void device_put(struct conn_q *q, const struct db_campaign_device *row)
{
#define PUT(member, kind) PUT_##kind(q, row->member);
    DB_CAMPAIGN_DEVICE_FIELDS(PUT)
#undef PUT
}

dr_err_t db_campaign_device_insert(struct db_writer *w, const struct db_campaign_device *row,
                                   bool *ret_new)
{
    int64_t n = 0;

    dr_assert(w != NULL && row != NULL);
    struct conn_q q = conn_q(
        &w->conn, "INSERT INTO campaign_device (id, account, campaign, device, component, version,"
                  " updated_at" DB_CAMPAIGN_DEVICE_FIELDS(
                      COLUMN) ") VALUES (?, ?, ?, ?, ?, 1, "
                              "?" DB_CAMPAIGN_DEVICE_FIELDS(PLACE) ") ON CONFLICT (campaign, "
                                                                   "device) DO NOTHING");
    conn_put_int(&q, row->id);
    conn_put_int(&q, row->account);
    conn_put_int(&q, row->campaign);
    conn_put_int(&q, row->device);
    conn_put_text(&q, row->component);
    conn_put_int(&q, row->updated_at);
    device_put(&q, row);
    dr_err_t err = conn_run(&q, &n);
    if (err == DR_OK && ret_new != NULL) {
        *ret_new = n != 0;
    }
    return err;
}

dr_err_t db_campaign_device_update(struct db_writer *w, const struct db_campaign_device *row)
{
    dr_assert(w != NULL && row != NULL);
    struct conn_q q =
        conn_q(&w->conn, "UPDATE campaign_device SET version = version + 1,"
                         " updated_at = ?" DB_CAMPAIGN_DEVICE_FIELDS(
                             ASSIGN) " WHERE id = ? AND campaign = ? AND version = ?");
    conn_put_int(&q, row->updated_at);
    device_put(&q, row);
    conn_put_int(&q, row->id);
    conn_put_int(&q, row->campaign);
    conn_put_int(&q, row->version);
    return conn_run_one(&q, DR_ERR_STALE);
}

#define DEVICE_COLUMNS(prefix)                                                                     \
    "SELECT " prefix "id, " prefix "account, " prefix "campaign, " prefix "device, " prefix        \
    "component, " prefix "version, " prefix "updated_at" DB_CAMPAIGN_DEVICE_FIELDS(COLUMN)

#define DEVICE_SELECT DEVICE_COLUMNS("") " FROM campaign_device "

static dr_err_t device_rows(struct conn_q *q, db_campaign_device_fn *fn, void *data, int64_t *ret_n)
{
    dr_err_t err = DR_OK;
    int64_t n = 0;

    while (err == DR_OK && conn_row(q)) {
        int i = 7;
        struct db_campaign_device row = {.id = conn_col_int(q, 0),
                                         .account = conn_col_int(q, 1),
                                         .campaign = conn_col_int(q, 2),
                                         .device = conn_col_int(q, 3),
                                         .component = conn_col_text(q, 4),
                                         .version = conn_col_int(q, 5),
                                         .updated_at = conn_col_int(q, 6)};
        DB_CAMPAIGN_DEVICE_FIELDS(GET)
        n++;
        err = fn(data, &row);
    }
    dr_err_t end = conn_end(q);
    if (ret_n != NULL) {
        *ret_n = n;
    }
    return end != DR_OK ? end : err;
}

static dr_err_t device_one(struct conn_q *q, db_campaign_device_fn *fn, void *data)
{
    int64_t n = 0;
    dr_err_t err = device_rows(q, fn, data, &n);

    return err == DR_OK && n == 0 ? DR_ERR_NOT_FOUND : err;
}

dr_err_t db_campaign_device_get(struct db_reader *r, int64_t account, int64_t campaign, int64_t id,
                                db_campaign_device_fn *fn, void *data)
{
    dr_assert(r != NULL && fn != NULL);
    struct conn_q q = conn_q(r, DEVICE_SELECT "WHERE campaign = ? AND id = ? AND account = ?");
    conn_put_int(&q, campaign);
    conn_put_int(&q, id);
    conn_put_int(&q, account);
    return device_one(&q, fn, data);
}

dr_err_t db_campaign_device_find(struct db_reader *r, int64_t account, int64_t campaign,
                                 int64_t device, db_campaign_device_fn *fn, void *data)
{
    dr_assert(r != NULL && fn != NULL);
    struct conn_q q = conn_q(r, DEVICE_SELECT "WHERE campaign = ? AND device = ? AND account = ?");
    conn_put_int(&q, campaign);
    conn_put_int(&q, device);
    conn_put_int(&q, account);
    return device_one(&q, fn, data);
}

dr_err_t db_campaign_device_list(struct db_reader *r, int64_t campaign,
                                 const struct db_query *query, int64_t bucket,
                                 db_campaign_device_fn *fn, void *data)
{
    dr_assert(r != NULL && query != NULL && fn != NULL);
    bool desc = query->order == DB_DESC;
    int64_t after = query->after != 0 ? query->after : desc ? INT64_MAX : 0;
    struct conn_q q =
        desc ? conn_q(r, DEVICE_SELECT "WHERE campaign = ?1 AND id < ?2 AND account = ?3 AND"
                                       " (?4 < 0 OR bucket = ?4) ORDER BY id DESC LIMIT ?5")
             : conn_q(r, DEVICE_SELECT "WHERE campaign = ?1 AND id > ?2 AND account = ?3 AND"
                                       " (?4 < 0 OR bucket = ?4) ORDER BY id LIMIT ?5");
    conn_put_int(&q, campaign);
    conn_put_int(&q, after);
    conn_put_int(&q, query->account);
    conn_put_int(&q, bucket);
    conn_put_int(&q, query->limit);
    return device_rows(&q, fn, data, NULL);
}

dr_err_t db_campaign_device_watched(struct db_reader *r, int64_t campaign, int64_t after,
                                    uint32_t limit, db_campaign_device_fn *fn, void *data)
{
    dr_assert(r != NULL && fn != NULL);
    struct conn_q q =
        conn_q(r, DEVICE_SELECT "WHERE campaign = ? AND watch = 1 AND id > ? ORDER BY id LIMIT ?");
    conn_put_int(&q, campaign);
    conn_put_int(&q, after);
    conn_put_int(&q, limit);
    return device_rows(&q, fn, data, NULL);
}

dr_err_t db_campaign_device_ready(struct db_reader *r, int64_t campaign, int64_t wave,
                                  int64_t status, int64_t now_ms, uint32_t limit,
                                  db_campaign_device_fn *fn, void *data)
{
    dr_assert(r != NULL && fn != NULL);
    /* walked by (status, wave): CROSS JOIN keeps the order of the two tables */
    struct conn_q q = conn_q(
        r, DEVICE_COLUMNS("c.") " FROM campaign_device AS c INDEXED BY campaign_device_status"
                                " CROSS JOIN registration AS g ON g.device = c.device WHERE"
                                " c.campaign = ? AND c.status = ? AND c.wave <= ? AND"
                                " c.not_before <= ? AND g.registered = 1"
                                " ORDER BY c.wave LIMIT ?");
    conn_put_int(&q, campaign);
    conn_put_int(&q, status);
    conn_put_int(&q, wave);
    conn_put_int(&q, now_ms);
    conn_put_int(&q, limit);
    return device_rows(&q, fn, data, NULL);
}

dr_err_t db_campaign_device_ids(struct db_reader *r, int64_t account, int64_t campaign,
                                int64_t buckets, int64_t after, uint32_t limit,
                                dr_err_t (*fn)(void *data, int64_t device), void *data)
{
    dr_err_t err = DR_OK;

    dr_assert(r != NULL && fn != NULL);
    struct conn_q q =
        conn_q(r, "SELECT device FROM campaign_device WHERE campaign = ? AND device > ?"
                  " AND account = ? AND (1 << bucket) & ? <> 0 ORDER BY device LIMIT ?");
    conn_put_int(&q, campaign);
    conn_put_int(&q, after);
    conn_put_int(&q, account);
    conn_put_int(&q, buckets);
    conn_put_int(&q, limit);
    while (err == DR_OK && conn_row(&q)) {
        err = fn(data, conn_col_int(&q, 0));
    }
    dr_err_t end = conn_end(&q);
    return end != DR_OK ? end : err;
}

dr_err_t db_campaign_device_with(struct db_reader *r, int64_t campaign, int64_t status,
                                 uint32_t limit, db_campaign_device_fn *fn, void *data)
{
    dr_assert(r != NULL && fn != NULL);
    struct conn_q q = conn_q(r, DEVICE_SELECT "WHERE campaign = ? AND status = ? LIMIT ?");
    conn_put_int(&q, campaign);
    conn_put_int(&q, status);
    conn_put_int(&q, limit);
    return device_rows(&q, fn, data, NULL);
}

dr_err_t db_campaign_device_orphans(struct db_reader *r, int64_t campaign, int64_t first,
                                    int64_t last, uint32_t limit, db_campaign_device_fn *fn,
                                    void *data)
{
    dr_assert(r != NULL && fn != NULL);
    struct conn_q q = conn_q(
        r, DEVICE_SELECT "WHERE campaign = ? AND status BETWEEN ? AND ? AND NOT EXISTS (SELECT 1"
                         " FROM device WHERE device.id = campaign_device.device) LIMIT ?");
    conn_put_int(&q, campaign);
    conn_put_int(&q, first);
    conn_put_int(&q, last);
    conn_put_int(&q, limit);
    return device_rows(&q, fn, data, NULL);
}

dr_err_t db_campaign_device_other(struct db_reader *r, int64_t campaign, int64_t device,
                                  const char *component, int64_t first, int64_t last, int64_t *ret)
{
    int64_t id = 0;

    dr_assert(r != NULL && ret != NULL);
    struct conn_q q = conn_q(r, "SELECT campaign FROM campaign_device WHERE device = ? AND"
                                " component = ? AND status BETWEEN ? AND ? AND campaign <> ?"
                                " LIMIT 1");
    conn_put_int(&q, device);
    conn_put_text(&q, component);
    conn_put_int(&q, first);
    conn_put_int(&q, last);
    conn_put_int(&q, campaign);
    if (conn_row(&q)) {
        id = conn_col_int(&q, 0);
    }
    dr_err_t err = conn_end(&q);
    if (err == DR_OK) {
        *ret = id;
    }
    return err;
}

dr_err_t db_campaign_tally(struct db_reader *r, int64_t campaign, db_campaign_tally_fn *fn,
                           void *data)
{
    dr_err_t err = DR_OK;

    dr_assert(r != NULL && fn != NULL);
    struct conn_q q = conn_q(r, "SELECT wave, status, fail, count(*) FROM campaign_device WHERE"
                                " campaign = ? GROUP BY wave, status, fail");
    conn_put_int(&q, campaign);
    while (err == DR_OK && conn_row(&q)) {
        err = fn(data, conn_col_int(&q, 0), conn_col_int(&q, 1), conn_col_int(&q, 2),
                 conn_col_int(&q, 3));
    }
    dr_err_t end = conn_end(&q);
    return end != DR_OK ? end : err;
}

dr_err_t db_campaign_codes(struct db_reader *r, int64_t campaign, db_campaign_codes_fn *fn,
                           void *data)
{
    dr_err_t err = DR_OK;

    dr_assert(r != NULL && fn != NULL);
    struct conn_q q = conn_q(r, "SELECT bucket, code, count(*) FROM campaign_device WHERE"
                                " campaign = ? GROUP BY bucket, code");
    conn_put_int(&q, campaign);
    while (err == DR_OK && conn_row(&q)) {
        err = fn(data, conn_col_int(&q, 0), conn_col_text(&q, 1), conn_col_int(&q, 2));
    }
    dr_err_t end = conn_end(&q);
    return end != DR_OK ? end : err;
}
