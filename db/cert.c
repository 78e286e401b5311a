/* SPDX-License-Identifier: Apache-2.0 */
#include "db/cert.h"

#include "base/text.h"
#include "db/conn_priv.h"
#include "db/db_priv.h"
#include "db/filter_priv.h"
#include "db/seal_priv.h"

/* ---- trusted certificates ---- */

#define TRUSTED_SELECT                                                                             \
    "SELECT id, account, updated_at, name, description, service, status, enrollment_mode,"         \
    " execution_mode, owner, subject, issuer, fingerprint, key_hash, not_before, not_after,"       \
    " certificate, endpoint_name, private_key, sealed FROM trusted_cert "

struct trusted_ctx {
    struct db_reader *r;
    int64_t account;
    db_trusted_fn *fn;
    void *data;
};

static struct db_trusted trusted_of(struct conn_q *q)
{
    return (struct db_trusted){
        .id = conn_col_int(q, 0),
        .account = conn_col_int(q, 1),
        .updated_at = conn_col_int(q, 2),
        .name = conn_col_text(q, 3),
        .description = conn_col_text(q, 4),
        .service = conn_col_text(q, 5),
        .active = conn_col_text(q, 6)[0] == 'A',
        .enrollment_mode = conn_col_int(q, 7) != 0,
        .execution_mode = (int32_t)conn_col_int(q, 8),
        .owner = conn_col_int(q, 9),
        .subject = conn_col_text(q, 10),
        .issuer = conn_col_text(q, 11),
        .fingerprint = conn_col_text(q, 12),
        .key_hash = conn_col_blob(q, 13),
        .not_before = conn_col_int(q, 14),
        .not_after = conn_col_int(q, 15),
        .certificate = conn_col_blob(q, 16),
        .endpoint_name = conn_col_text(q, 17),
    };
}

static dr_err_t trusted_rows(struct conn_q *q, db_trusted_fn *fn, void *data, dr_err_t none)
{
    dr_err_t err = none;

    while (conn_row(q)) {
        const struct db_trusted row = trusted_of(q);
        err = fn(data, &row);
        if (err != DR_OK) {
            break;
        }
    }
    dr_err_t end = conn_end(q);
    return end != DR_OK ? end : err;
}

/* Name and subject are unique in an account; the key is, in the installation (by its index). */
static dr_err_t trusted_check(struct db_writer *w, const struct db_trusted *row)
{
    struct conn_q q = conn_q(&w->conn, "SELECT count(*), max(id <> ?1 AND subject = ?2)"
                                       " FROM trusted_cert WHERE account = ?3");
    conn_put_int(&q, row->id);
    conn_put_text(&q, row->subject);
    conn_put_int(&q, row->account);
    bool any = conn_row(&q);
    int64_t count = any ? conn_col_int(&q, 0) : 0;
    bool same = any && conn_col_int(&q, 1) != 0;
    dr_err_t err = conn_end(&q);

    if (err != DR_OK) {
        return err;
    }
    return same ? DR_ERR_EXISTS : count > DB_TRUSTED_MAX ? DR_ERR_LIMIT : DR_OK;
}

/* What may change, in the order of both statements. */
static void trusted_put(struct conn_q *q, const struct db_trusted *row)
{
    conn_put_int(q, row->updated_at);
    conn_put_text(q, row->name);
    conn_put_text(q, row->description);
    conn_put_text(q, row->service);
    conn_put_text(q, row->active ? "ACTIVE" : "INACTIVE");
    conn_put_int(q, row->enrollment_mode);
    conn_put_int(q, row->owner);
    conn_put_text(q, row->subject);
    conn_put_text(q, row->issuer);
    conn_put_text(q, row->fingerprint);
    conn_put_blob(q, row->key_hash);
    conn_put_int(q, row->not_before);
    conn_put_int(q, row->not_after);
    conn_put_blob(q, row->certificate);
}

dr_err_t db_trusted_insert(struct db_writer *w, const struct db_trusted *row,
                           struct dr_bytes private_key)
{
    dr_assert(w != NULL && row != NULL);
    if (row->key_hash.len != DB_CERT_HASH_LEN || private_key.len > DB_PRIVATE_KEY_MAX) {
        return DR_ERR_RANGE;
    }
    struct seal_text key;
    dr_err_t err = seal_put(&w->conn, "developer", row->id, private_key, &key);
    if (err != DR_OK) {
        return err;
    }
    struct conn_q q =
        conn_q(&w->conn, "INSERT INTO trusted_cert (id, account, execution_mode, endpoint_name,"
                         " private_key, sealed, updated_at, name, description, service, status,"
                         " enrollment_mode, owner, subject, issuer, fingerprint, key_hash,"
                         " not_before, not_after, certificate)"
                         " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    conn_put_int(&q, row->id);
    conn_put_int(&q, row->account);
    conn_put_int(&q, row->execution_mode);
    conn_put_text(&q, row->endpoint_name);
    conn_put_blob(&q, dr_bytes_of(key.bytes, key.len));
    conn_put_int(&q, key.sealed);
    trusted_put(&q, row);
    err = conn_run(&q, NULL);
    dr_wipe(&key, sizeof key);
    return err == DR_OK ? trusted_check(w, row) : err;
}

dr_err_t db_trusted_update(struct db_writer *w, const struct db_trusted *row)
{
    dr_assert(w != NULL && row != NULL);
    struct conn_q q =
        conn_q(&w->conn, "UPDATE trusted_cert SET updated_at = ?, name = ?, description = ?,"
                         " service = ?, status = ?, enrollment_mode = ?, owner = ?, subject = ?,"
                         " issuer = ?, fingerprint = ?, key_hash = ?, not_before = ?,"
                         " not_after = ?, certificate = ? WHERE id = ? AND account = ?");
    trusted_put(&q, row);
    conn_put_int(&q, row->id);
    conn_put_int(&q, row->account);
    dr_err_t err = conn_run_one(&q, DR_ERR_NOT_FOUND);
    return err == DR_OK ? trusted_check(w, row) : err;
}

static dr_err_t delete_one(struct conn_q q, int64_t account, int64_t id)
{
    conn_put_int(&q, id);
    conn_put_int(&q, account);
    return conn_run_one(&q, DR_ERR_NOT_FOUND);
}

dr_err_t db_trusted_delete(struct db_writer *w, int64_t account, int64_t id)
{
    dr_assert(w != NULL);
    struct conn_q q =
        conn_q(&w->conn, "DELETE FROM enrollment_denial WHERE trusted_cert = ? AND account = ?");
    conn_put_int(&q, id);
    conn_put_int(&q, account);
    dr_err_t err = conn_run(&q, NULL);
    return err != DR_OK ? err
                        : delete_one(conn_q(&w->conn, "DELETE FROM trusted_cert"
                                                      " WHERE id = ? AND account = ?"),
                                     account, id);
}

dr_err_t db_trusted_get(struct db_reader *r, int64_t account, int64_t id, db_trusted_fn *fn,
                        void *data)
{
    dr_assert(r != NULL && fn != NULL);
    struct conn_q q = conn_q(r, TRUSTED_SELECT "WHERE id = ? AND account = ?");
    conn_put_int(&q, id);
    conn_put_int(&q, account);
    return trusted_rows(&q, fn, data, DR_ERR_NOT_FOUND);
}

static dr_err_t trusted_id(void *data, int64_t id)
{
    struct trusted_ctx *c = data;

    return db_trusted_get(c->r, c->account, id, c->fn, c->data);
}

dr_err_t db_trusted_list(struct db_reader *r, const struct db_query *query, db_trusted_fn *fn,
                         void *data, struct dr_errinfo *reterr)
{
    dr_assert(r != NULL && query != NULL && fn != NULL);
    struct trusted_ctx c = {.r = r, .account = query->account, .fn = fn, .data = data};
    return filter_page(r, DB_LIST_TRUSTED, query, trusted_id, &c, reterr);
}

dr_err_t db_trusted_count(struct db_reader *r, const struct db_query *query, int64_t *ret,
                          struct dr_errinfo *reterr)
{
    dr_assert(r != NULL && query != NULL && ret != NULL);
    return filter_count(r, DB_LIST_TRUSTED, query, ret, reterr);
}

dr_err_t db_trusted_anchors(struct db_reader *r, db_trusted_fn *fn, void *data)
{
    dr_assert(r != NULL && fn != NULL);
    struct conn_q q = conn_q(r, TRUSTED_SELECT "WHERE status = 'ACTIVE' ORDER BY id");
    return trusted_rows(&q, fn, data, DR_OK);
}

dr_err_t db_developer_get(struct db_reader *r, int64_t account, int64_t id,
                          dr_err_t (*fn)(void *data, const struct db_trusted *row,
                                         struct dr_bytes private_key),
                          void *data)
{
    dr_assert(r != NULL && fn != NULL);
    struct conn_q q =
        conn_q(r, TRUSTED_SELECT "WHERE id = ? AND account = ? AND length(private_key) > 0");
    conn_put_int(&q, id);
    conn_put_int(&q, account);
    dr_err_t err = DR_ERR_NOT_FOUND;
    if (conn_row(&q)) {
        const struct db_trusted row = trusted_of(&q);
        struct seal_text key;
        err = seal_get(r, "developer", row.id, conn_col_int(&q, 19) != 0, conn_col_blob(&q, 18),
                       &key);
        err = err == DR_OK ? fn(data, &row, dr_bytes_of(key.bytes, key.len)) : err;
        dr_wipe(&key, sizeof key);
    }
    dr_err_t end = conn_end(&q);
    return end != DR_OK ? end : err;
}

/* ---- certificates of devices ---- */

static void device_cert_put(struct conn_q *q, const struct db_device_cert *row, int state)
{
    conn_put_int(q, row->id);
    conn_put_int(q, row->account);
    conn_put_int(q, row->updated_at);
    conn_put_text(q, row->endpoint_name);
    conn_put_text(q, row->name);
    conn_put_int(q, row->anchor);
    conn_put_text(q, row->serial);
    conn_put_blob(q, row->fingerprint);
    conn_put_int(q, state);
    conn_put_int(q, row->not_after);
}

#define DEVICE_CERT_INSERT                                                                         \
    "INSERT INTO device_cert (id, account, updated_at, endpoint_name, name, anchor, serial,"       \
    " fingerprint, state, not_after) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

dr_err_t db_device_cert_insert(struct db_writer *w, const struct db_device_cert *row)
{
    dr_assert(w != NULL && row != NULL);
    if (row->fingerprint.len != DB_CERT_HASH_LEN) {
        return DR_ERR_RANGE;
    }
    struct conn_q q = conn_q(&w->conn, DEVICE_CERT_INSERT);
    device_cert_put(&q, row, row->state);
    return conn_run(&q, NULL);
}

dr_err_t db_device_cert_revoke(struct db_writer *w, const struct db_device_cert *row)
{
    dr_assert(w != NULL && row != NULL);
    if (row->fingerprint.len != DB_CERT_HASH_LEN) {
        return DR_ERR_RANGE;
    }
    struct conn_q q =
        conn_q(&w->conn, DEVICE_CERT_INSERT " ON CONFLICT (account, fingerprint) DO UPDATE"
                                            " SET state = 1, updated_at = excluded.updated_at");
    device_cert_put(&q, row, DB_CERT_REVOKED);
    return conn_run(&q, NULL);
}

dr_err_t db_device_cert_revoke_all(struct db_writer *w, int64_t account, const char *endpoint_name,
                                   int64_t now_ms, int64_t *ret_count)
{
    dr_assert(w != NULL && endpoint_name != NULL);
    struct conn_q q = conn_q(&w->conn, "UPDATE device_cert SET state = 1, updated_at = ?"
                                       " WHERE account = ? AND endpoint_name = ? AND state = 0");
    conn_put_int(&q, now_ms);
    conn_put_int(&q, account);
    conn_put_text(&q, endpoint_name);
    return conn_run(&q, ret_count);
}

#define DEVICE_CERT_SELECT                                                                         \
    "SELECT id, account, updated_at, endpoint_name, name, anchor, serial, fingerprint, state,"     \
    " not_after FROM device_cert "

static dr_err_t device_cert_rows(struct conn_q *q, db_device_cert_fn *fn, void *data)
{
    dr_err_t err = DR_OK;

    while (err == DR_OK && conn_row(q)) {
        const struct db_device_cert row = {
            .id = conn_col_int(q, 0),
            .account = conn_col_int(q, 1),
            .updated_at = conn_col_int(q, 2),
            .endpoint_name = conn_col_text(q, 3),
            .name = conn_col_text(q, 4),
            .anchor = conn_col_int(q, 5),
            .serial = conn_col_text(q, 6),
            .fingerprint = conn_col_blob(q, 7),
            .state = (enum db_cert_state)conn_col_int(q, 8),
            .not_after = conn_col_int(q, 9),
        };
        err = fn(data, &row);
    }
    dr_err_t end = conn_end(q);
    return end != DR_OK ? end : err;
}

dr_err_t db_device_cert_list(struct db_reader *r, int64_t account, const char *endpoint_name,
                             int64_t after, uint32_t limit, db_device_cert_fn *fn, void *data)
{
    dr_assert(r != NULL && fn != NULL);
    struct conn_q q = conn_q(r, DEVICE_CERT_SELECT "WHERE account = ?1 AND id > ?2 AND (?3 = '' OR"
                                                   " endpoint_name = ?3) ORDER BY id LIMIT ?4");
    conn_put_int(&q, account);
    conn_put_int(&q, after);
    conn_put_text(&q, endpoint_name);
    conn_put_int(&q, limit);
    return device_cert_rows(&q, fn, data);
}

dr_err_t db_device_cert_count(struct db_reader *r, int64_t account, const char *endpoint_name,
                              int64_t after, int64_t *ret)
{
    dr_assert(r != NULL && endpoint_name != NULL && ret != NULL);
    int64_t n = 0;
    struct conn_q q = conn_q(r, "SELECT count(*) FROM device_cert"
                                " WHERE account = ? AND endpoint_name = ? AND id > ?");

    conn_put_int(&q, account);
    conn_put_text(&q, endpoint_name);
    conn_put_int(&q, after);
    while (conn_row(&q)) {
        n = conn_col_int(&q, 0);
    }
    dr_err_t err = conn_end(&q);
    if (err == DR_OK) {
        *ret = n;
    }
    return err;
}

dr_err_t db_device_cert_revoked(struct db_reader *r, db_device_cert_fn *fn, void *data)
{
    dr_assert(r != NULL && fn != NULL);
    struct conn_q q = conn_q(r, DEVICE_CERT_SELECT "WHERE state = 1");
    return device_cert_rows(&q, fn, data);
}

/* ---- renewals ---- */

dr_err_t db_cert_enrollment_insert(struct db_writer *w, const struct db_cert_enrollment *row)
{
    dr_assert(w != NULL && row != NULL);
    struct conn_q q =
        conn_q(&w->conn, "INSERT INTO cert_enrollment (id, account, updated_at, device,"
                         " certificate_name, status, result, detail)"
                         " SELECT ?1, ?2, ?3, id, ?5, 'new', '', '' FROM device"
                         " WHERE id = ?4 AND account = ?2");
    conn_put_int(&q, row->id);
    conn_put_int(&q, row->account);
    conn_put_int(&q, row->updated_at);
    conn_put_int(&q, row->device);
    conn_put_text(&q, row->certificate_name);
    return conn_run_one(&q, DR_ERR_NOT_FOUND);
}

dr_err_t db_cert_enrollment_complete(struct db_writer *w, int64_t account, int64_t device,
                                     bool success, const char *detail, int64_t now_ms)
{
    dr_assert(w != NULL && detail != NULL);
    struct conn_q q = conn_q(&w->conn, "UPDATE cert_enrollment SET status = 'completed',"
                                       " result = ?, detail = ?, updated_at = ?"
                                       " WHERE account = ? AND device = ? AND status = 'new'");
    conn_put_text(&q, success ? "success" : "failure");
    conn_put_text(&q, detail);
    conn_put_int(&q, now_ms);
    conn_put_int(&q, account);
    conn_put_int(&q, device);
    return conn_run_one(&q, DR_ERR_NOT_FOUND);
}

dr_err_t db_cert_enrollment_get(struct db_reader *r, int64_t account, int64_t id,
                                db_cert_enrollment_fn *fn, void *data)
{
    dr_assert(r != NULL && fn != NULL);
    struct conn_q q =
        conn_q(r, "SELECT id, account, updated_at, device, certificate_name, status,"
                  " result, detail FROM cert_enrollment WHERE id = ? AND account = ?");
    conn_put_int(&q, id);
    conn_put_int(&q, account);
    dr_err_t err = DR_ERR_NOT_FOUND;
    if (conn_row(&q)) {
        const struct db_cert_enrollment row = {
            .id = conn_col_int(&q, 0),
            .account = conn_col_int(&q, 1),
            .updated_at = conn_col_int(&q, 2),
            .device = conn_col_int(&q, 3),
            .certificate_name = conn_col_text(&q, 4),
            .status = conn_col_text(&q, 5),
            .result = conn_col_text(&q, 6),
            .detail = conn_col_text(&q, 7),
        };
        err = fn(data, &row);
    }
    dr_err_t end = conn_end(&q);
    return end != DR_OK ? end : err;
}

struct renewal_ctx {
    struct db_reader *r;
    int64_t account;
    db_cert_enrollment_fn *fn;
    void *data;
};

static dr_err_t renewal_id(void *data, int64_t id)
{
    struct renewal_ctx *c = data;

    return db_cert_enrollment_get(c->r, c->account, id, c->fn, c->data);
}

dr_err_t db_cert_enrollment_list(struct db_reader *r, const struct db_query *query,
                                 db_cert_enrollment_fn *fn, void *data, struct dr_errinfo *reterr)
{
    dr_assert(r != NULL && query != NULL && fn != NULL);
    struct renewal_ctx c = {.r = r, .account = query->account, .fn = fn, .data = data};
    return filter_page(r, DB_LIST_CERT_ENROLLMENT, query, renewal_id, &c, reterr);
}

dr_err_t db_cert_enrollment_count(struct db_reader *r, const struct db_query *query, int64_t *ret,
                                  struct dr_errinfo *reterr)
{
    dr_assert(r != NULL && query != NULL && ret != NULL);
    return filter_count(r, DB_LIST_CERT_ENROLLMENT, query, ret, reterr);
}
