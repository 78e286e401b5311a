/* SPDX-License-Identifier: Apache-2.0 */
#include "db/firmware.h"

#include "db/conn_priv.h"
#include "db/db_priv.h"
#include "db/filter_priv.h"

/* A row of any kind to its receiver. */
typedef dr_err_t row_fn(struct conn_q *q, void *ctx);

/* Hand on all rows; @p none when there is none. */
static dr_err_t rows(struct conn_q *q, row_fn *fn, void *ctx, dr_err_t none)
{
    dr_err_t err = none;

    while (conn_row(q)) {
        err = fn(q, ctx);
        if (err != DR_OK) {
            break;
        }
    }
    dr_err_t end = conn_end(q);
    return end != DR_OK ? end : err;
}

static dr_err_t delete_one(struct conn_q q, int64_t account, int64_t id)
{
    conn_put_int(&q, id);
    conn_put_int(&q, account);
    return conn_run_one(&q, DR_ERR_NOT_FOUND);
}

struct ids {
    db_firmware_id_fn *fn;
    void *data;
};

static dr_err_t id_row(struct conn_q *q, void *ctx)
{
    const struct ids *ids = ctx;

    return ids->fn(ids->data, conn_col_int(q, 0));
}

/* ---- images ---- */

dr_err_t db_image_insert(struct db_writer *w, const struct db_image *row)
{
    dr_assert(w != NULL && row != NULL);
    struct conn_q q = conn_q(&w->conn, "INSERT INTO firmware_image (id, account, updated_at, size,"
                                       " sha256, token, name, description, filename)"
                                       " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
    conn_put_int(&q, row->id);
    conn_put_int(&q, row->account);
    conn_put_int(&q, row->updated_at);
    conn_put_int(&q, row->size);
    conn_put_text(&q, row->sha256);
    conn_put_text(&q, row->token);
    conn_put_text(&q, row->name);
    conn_put_json(&q, row->description, "");
    conn_put_text(&q, row->filename);
    return conn_run(&q, NULL);
}

#define IMAGE_SELECT                                                                               \
    "SELECT id, account, updated_at, size, sha256, token, name, description, filename"             \
    " FROM firmware_image "

struct image_ctx {
    struct db_reader *r;
    int64_t account;
    db_image_fn *fn;
    void *data;
};

static dr_err_t image_row(struct conn_q *q, void *ctx)
{
    const struct image_ctx *c = ctx;
    const struct db_image row = {
        .id = conn_col_int(q, 0),
        .account = conn_col_int(q, 1),
        .updated_at = conn_col_int(q, 2),
        .size = conn_col_int(q, 3),
        .sha256 = conn_col_text(q, 4),
        .token = conn_col_text(q, 5),
        .name = conn_col_text(q, 6),
        .description = conn_col_text(q, 7),
        .filename = conn_col_text(q, 8),
    };
    return c->fn(c->data, &row);
}

dr_err_t db_image_get(struct db_reader *r, int64_t account, int64_t id, db_image_fn *fn, void *data)
{
    dr_assert(r != NULL && fn != NULL);
    struct image_ctx c = {.fn = fn, .data = data};
    struct conn_q q = conn_q(r, IMAGE_SELECT "WHERE id = ?1 AND (account = ?2 OR ?2 = 0)");
    conn_put_int(&q, id);
    conn_put_int(&q, account);
    return rows(&q, image_row, &c, DR_ERR_NOT_FOUND);
}

dr_err_t db_image_of_digest(struct db_reader *r, int64_t account, const char *sha256,
                            db_image_fn *fn, void *data)
{
    dr_assert(r != NULL && sha256 != NULL && fn != NULL);
    struct image_ctx c = {.fn = fn, .data = data};
    struct conn_q q =
        conn_q(r, IMAGE_SELECT "WHERE account = ? AND sha256 = ? ORDER BY id DESC LIMIT 1");
    conn_put_int(&q, account);
    conn_put_text(&q, sha256);
    return rows(&q, image_row, &c, DR_ERR_NOT_FOUND);
}

static dr_err_t image_id(void *data, int64_t id)
{
    struct image_ctx *c = data;

    return db_image_get(c->r, c->account, id, c->fn, c->data);
}

dr_err_t db_image_list(struct db_reader *r, const struct db_query *query, db_image_fn *fn,
                       void *data, struct dr_errinfo *reterr)
{
    dr_assert(r != NULL && query != NULL && fn != NULL);
    struct image_ctx c = {.r = r, .account = query->account, .fn = fn, .data = data};
    return filter_page(r, DB_LIST_IMAGE, query, image_id, &c, reterr);
}

dr_err_t db_image_count(struct db_reader *r, const struct db_query *query, int64_t *ret,
                        struct dr_errinfo *reterr)
{
    dr_assert(r != NULL && query != NULL && ret != NULL);
    return filter_count(r, DB_LIST_IMAGE, query, ret, reterr);
}

dr_err_t db_image_campaign(struct db_reader *r, int64_t account, int64_t id, int64_t first,
                           int64_t last, int64_t *ret)
{
    dr_assert(r != NULL && ret != NULL);
    struct conn_q q = conn_q(r, "SELECT c.id FROM firmware_image i"
                                " JOIN firmware_manifest m ON m.account = i.account"
                                "  AND m.payload_digest = i.sha256"
                                " JOIN campaign c ON c.account = i.account"
                                "  AND c.root_manifest_id = m.id"
                                " WHERE i.id = ? AND i.account = ? AND c.phase BETWEEN ? AND ?"
                                " LIMIT 1");
    conn_put_int(&q, id);
    conn_put_int(&q, account);
    conn_put_int(&q, first);
    conn_put_int(&q, last);
    int64_t found = conn_row(&q) ? conn_col_int(&q, 0) : 0;
    dr_err_t err = conn_end(&q);
    if (err == DR_OK) {
        *ret = found;
    }
    return err;
}

dr_err_t db_image_of_url(struct db_reader *r, int64_t account, const char *url, db_image_fn *fn,
                         void *data)
{
    dr_assert(r != NULL && url != NULL && fn != NULL);
    struct image_ctx c = {.fn = fn, .data = data};
    struct conn_q q =
        conn_q(r, IMAGE_SELECT "WHERE account = ?1 AND sha256 IN (SELECT payload_digest"
                               "  FROM firmware_manifest WHERE account = ?1 AND payload_url = ?2)"
                               " ORDER BY id DESC LIMIT 1");
    conn_put_int(&q, account);
    conn_put_text(&q, url);
    return rows(&q, image_row, &c, DR_ERR_NOT_FOUND);
}

dr_err_t db_image_for_device(struct db_reader *r, int64_t account, int64_t id, const char *endpoint,
                             int64_t first, int64_t last, bool *ret)
{
    dr_assert(r != NULL && endpoint != NULL && ret != NULL);
    struct conn_q q = conn_q(r, "SELECT 1 FROM device e"
                                " JOIN campaign_device d ON d.device = e.id AND d.live = 1"
                                " JOIN campaign c ON c.id = d.campaign AND c.account = e.account"
                                " JOIN firmware_manifest m ON m.id = c.root_manifest_id"
                                "  AND m.account = c.account"
                                " JOIN firmware_image i ON i.account = m.account"
                                "  AND i.sha256 = m.payload_digest"
                                " WHERE e.account = ? AND e.endpoint_name = ? AND i.id = ?"
                                "  AND c.phase BETWEEN ? AND ? LIMIT 1");
    conn_put_int(&q, account);
    conn_put_text(&q, endpoint);
    conn_put_int(&q, id);
    conn_put_int(&q, first);
    conn_put_int(&q, last);
    bool found = conn_row(&q);
    dr_err_t err = conn_end(&q);
    if (err == DR_OK) {
        *ret = found;
    }
    return err;
}

dr_err_t db_image_delete(struct db_writer *w, int64_t account, int64_t id)
{
    dr_assert(w != NULL);
    return delete_one(conn_q(&w->conn, "DELETE FROM firmware_image WHERE id = ? AND account = ?"),
                      account, id);
}

dr_err_t db_image_ids(struct db_reader *r, db_firmware_id_fn *fn, void *data)
{
    dr_assert(r != NULL && fn != NULL);
    struct ids ids = {fn, data};
    struct conn_q q = conn_q(r, "SELECT id FROM firmware_image ORDER BY id");
    return rows(&q, id_row, &ids, DR_OK);
}

/* ---- upload jobs ---- */

dr_err_t db_upload_insert(struct db_writer *w, const struct db_upload *row)
{
    dr_assert(w != NULL && row != NULL);
    struct conn_q q =
        conn_q(&w->conn, "INSERT INTO firmware_upload (id, account, updated_at, name, description,"
                         " size, chunks, image) VALUES (?, ?, ?, ?, ?, 0, 0, 0)");
    conn_put_int(&q, row->id);
    conn_put_int(&q, row->account);
    conn_put_int(&q, row->updated_at);
    conn_put_text(&q, row->name);
    conn_put_json(&q, row->description, "");
    return conn_run(&q, NULL);
}

dr_err_t db_upload_update(struct db_writer *w, const struct db_upload *row)
{
    dr_assert(w != NULL && row != NULL);
    struct conn_q q = conn_q(
        &w->conn, "UPDATE firmware_upload SET updated_at = ?, name = CASE ? WHEN 0 THEN name ELSE ?"
                  " END, description = CASE ? WHEN 0 THEN description ELSE ? END"
                  " WHERE id = ? AND account = ?");
    conn_put_int(&q, row->updated_at);
    conn_put_int(&q, row->name != NULL);
    conn_put_text(&q, row->name);
    conn_put_int(&q, row->description != NULL);
    conn_put_json(&q, row->description, "");
    conn_put_int(&q, row->id);
    conn_put_int(&q, row->account);
    return conn_run_one(&q, DR_ERR_NOT_FOUND);
}

dr_err_t db_upload_complete(struct db_writer *w, int64_t account, int64_t id, int64_t size,
                            int64_t image, int64_t now_ms)
{
    dr_assert(w != NULL && image != 0);
    struct conn_q q = conn_q(&w->conn, "UPDATE firmware_upload SET image = ?, updated_at = ?"
                                       " WHERE id = ? AND account = ? AND image = 0 AND size = ?");
    conn_put_int(&q, image);
    conn_put_int(&q, now_ms);
    conn_put_int(&q, id);
    conn_put_int(&q, account);
    conn_put_int(&q, size);
    return conn_run_one(&q, DR_ERR_STALE);
}

struct upload_ctx {
    struct db_reader *r;
    int64_t account;
    db_upload_fn *fn;
    void *data;
};

static dr_err_t upload_row(struct conn_q *q, void *ctx)
{
    const struct upload_ctx *c = ctx;
    const struct db_upload row = {
        .id = conn_col_int(q, 0),
        .account = conn_col_int(q, 1),
        .updated_at = conn_col_int(q, 2),
        .size = conn_col_int(q, 3),
        .chunks = conn_col_int(q, 4),
        .image = conn_col_int(q, 5),
        .name = conn_col_text(q, 6),
        .description = conn_col_text(q, 7),
    };
    return c->fn(c->data, &row);
}

dr_err_t db_upload_get(struct db_reader *r, int64_t account, int64_t id, db_upload_fn *fn,
                       void *data)
{
    dr_assert(r != NULL && fn != NULL);
    struct upload_ctx c = {.fn = fn, .data = data};
    struct conn_q q = conn_q(r, "SELECT id, account, updated_at, size, chunks, image, name,"
                                " description FROM firmware_upload WHERE id = ? AND account = ?");
    conn_put_int(&q, id);
    conn_put_int(&q, account);
    return rows(&q, upload_row, &c, DR_ERR_NOT_FOUND);
}

static dr_err_t upload_id(void *data, int64_t id)
{
    struct upload_ctx *c = data;

    return db_upload_get(c->r, c->account, id, c->fn, c->data);
}

dr_err_t db_upload_list(struct db_reader *r, const struct db_query *query, db_upload_fn *fn,
                        void *data, struct dr_errinfo *reterr)
{
    dr_assert(r != NULL && query != NULL && fn != NULL);
    struct upload_ctx c = {.r = r, .account = query->account, .fn = fn, .data = data};
    return filter_page(r, DB_LIST_UPLOAD, query, upload_id, &c, reterr);
}

dr_err_t db_upload_count(struct db_reader *r, const struct db_query *query, int64_t *ret,
                         struct dr_errinfo *reterr)
{
    dr_assert(r != NULL && query != NULL && ret != NULL);
    return filter_count(r, DB_LIST_UPLOAD, query, ret, reterr);
}

dr_err_t db_upload_delete(struct db_writer *w, int64_t account, int64_t id)
{
    dr_assert(w != NULL);
    return delete_one(conn_q(&w->conn, "DELETE FROM firmware_upload WHERE id = ? AND account = ?"),
                      account, id);
}

dr_err_t db_upload_ids(struct db_reader *r, db_firmware_id_fn *fn, void *data)
{
    dr_assert(r != NULL && fn != NULL);
    struct ids ids = {fn, data};
    struct conn_q q = conn_q(r, "SELECT id FROM firmware_upload WHERE image = 0 ORDER BY id");
    return rows(&q, id_row, &ids, DR_OK);
}

/* ---- chunks ---- */

dr_err_t db_chunk_insert(struct db_writer *w, int64_t account, const struct db_chunk *row,
                         int64_t size)
{
    dr_assert(w != NULL && row != NULL);
    struct conn_q q = conn_q(
        &w->conn, "UPDATE firmware_upload SET size = size + ?, chunks = chunks + 1, updated_at = ?"
                  " WHERE id = ? AND account = ? AND image = 0 AND size = ?");
    conn_put_int(&q, row->length);
    conn_put_int(&q, row->created_at);
    conn_put_int(&q, row->job);
    conn_put_int(&q, account);
    conn_put_int(&q, size);
    dr_err_t err = conn_run_one(&q, DR_ERR_STALE);
    if (err != DR_OK) {
        return err;
    }
    q = conn_q(&w->conn, "INSERT INTO firmware_chunk (job, seq, length, hash, created_at)"
                         " SELECT id, chunks, ?, ?, ? FROM firmware_upload WHERE id = ?");
    conn_put_int(&q, row->length);
    conn_put_text(&q, row->hash);
    conn_put_int(&q, row->created_at);
    conn_put_int(&q, row->job);
    return conn_run_one(&q, DR_ERR_STALE);
}

struct chunk_ctx {
    db_chunk_fn *fn;
    void *data;
};

static dr_err_t chunk_row(struct conn_q *q, void *ctx)
{
    const struct chunk_ctx *c = ctx;
    const struct db_chunk row = {
        .job = conn_col_int(q, 0),
        .seq = conn_col_int(q, 1),
        .length = conn_col_int(q, 2),
        .hash = conn_col_text(q, 3),
        .created_at = conn_col_int(q, 4),
    };
    return c->fn(c->data, &row);
}

#define CHUNK_SELECT "SELECT job, seq, length, hash, created_at FROM firmware_chunk "

dr_err_t db_chunk_list(struct db_reader *r, int64_t job, int64_t after, bool desc, uint32_t limit,
                       db_chunk_fn *fn, void *data)
{
    dr_assert(r != NULL && fn != NULL);
    struct chunk_ctx c = {fn, data};
    struct conn_q q =
        desc ? conn_q(r, CHUNK_SELECT "WHERE job = ? AND seq < ? ORDER BY seq DESC LIMIT ?")
             : conn_q(r, CHUNK_SELECT "WHERE job = ? AND seq > ? ORDER BY seq LIMIT ?");
    conn_put_int(&q, job);
    conn_put_int(&q, desc && after == 0 ? INT64_MAX : after);
    conn_put_int(&q, limit);
    return rows(&q, chunk_row, &c, DR_OK);
}

dr_err_t db_chunk_get(struct db_reader *r, int64_t job, int64_t seq, db_chunk_fn *fn, void *data)
{
    dr_assert(r != NULL && fn != NULL);
    struct chunk_ctx c = {fn, data};
    struct conn_q q =
        conn_q(r, CHUNK_SELECT "WHERE job = ?1 AND (seq = ?2 OR ?2 = 0) ORDER BY seq DESC LIMIT 1");
    conn_put_int(&q, job);
    conn_put_int(&q, seq);
    return rows(&q, chunk_row, &c, DR_ERR_NOT_FOUND);
}

/* ---- manifests ---- */

#define MANIFEST_COLS                                                                              \
    "id, account, updated_at, schema, timestamp_ms, priority, payload_size, name, description,"    \
    " filename, token, version, vendor, class_id, component, payload_type, payload_url,"           \
    " payload_digest, installed_digest, precursor_digest, raw, key_table"

dr_err_t db_manifest_insert(struct db_writer *w, const struct db_manifest *row)
{
    dr_assert(w != NULL && row != NULL);
    struct conn_q q = conn_q(&w->conn, "INSERT INTO firmware_manifest (" MANIFEST_COLS ") VALUES"
                                       " (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,"
                                       " ?, ?, ?)");
    conn_put_int(&q, row->id);
    conn_put_int(&q, row->account);
    conn_put_int(&q, row->updated_at);
    conn_put_int(&q, row->schema);
    conn_put_int(&q, row->timestamp_ms);
    conn_put_int(&q, row->priority);
    conn_put_int(&q, row->payload_size);
    conn_put_text(&q, row->name);
    conn_put_json(&q, row->description, "");
    conn_put_text(&q, row->filename);
    conn_put_text(&q, row->token);
    conn_put_text(&q, row->version);
    conn_put_text(&q, row->vendor);
    conn_put_text(&q, row->class_id);
    conn_put_text(&q, row->component);
    conn_put_text(&q, row->payload_type);
    conn_put_text(&q, row->payload_url);
    conn_put_text(&q, row->payload_digest);
    conn_put_text(&q, row->installed_digest);
    conn_put_text(&q, row->precursor_digest);
    conn_put_blob(&q, row->raw);
    conn_put_blob(&q, row->key_table);
    return conn_run(&q, NULL);
}

struct manifest_ctx {
    struct db_reader *r;
    int64_t account;
    db_manifest_fn *fn;
    void *data;
};

static dr_err_t manifest_row(struct conn_q *q, void *ctx)
{
    const struct manifest_ctx *c = ctx;
    const struct db_manifest row = {
        .id = conn_col_int(q, 0),
        .account = conn_col_int(q, 1),
        .updated_at = conn_col_int(q, 2),
        .schema = conn_col_int(q, 3),
        .timestamp_ms = conn_col_int(q, 4),
        .priority = conn_col_int(q, 5),
        .payload_size = conn_col_int(q, 6),
        .name = conn_col_text(q, 7),
        .description = conn_col_text(q, 8),
        .filename = conn_col_text(q, 9),
        .token = conn_col_text(q, 10),
        .version = conn_col_text(q, 11),
        .vendor = conn_col_text(q, 12),
        .class_id = conn_col_text(q, 13),
        .component = conn_col_text(q, 14),
        .payload_type = conn_col_text(q, 15),
        .payload_url = conn_col_text(q, 16),
        .payload_digest = conn_col_text(q, 17),
        .installed_digest = conn_col_text(q, 18),
        .precursor_digest = conn_col_text(q, 19),
        .raw = conn_col_blob(q, 20),
        .key_table = conn_col_blob(q, 21),
    };
    return c->fn(c->data, &row);
}

dr_err_t db_manifest_get(struct db_reader *r, int64_t account, int64_t id, db_manifest_fn *fn,
                         void *data)
{
    dr_assert(r != NULL && fn != NULL);
    struct manifest_ctx c = {.fn = fn, .data = data};
    struct conn_q q = conn_q(r, "SELECT " MANIFEST_COLS " FROM firmware_manifest"
                                " WHERE id = ?1 AND (account = ?2 OR ?2 = 0)");
    conn_put_int(&q, id);
    conn_put_int(&q, account);
    return rows(&q, manifest_row, &c, DR_ERR_NOT_FOUND);
}

static dr_err_t manifest_id(void *data, int64_t id)
{
    struct manifest_ctx *c = data;

    return db_manifest_get(c->r, c->account, id, c->fn, c->data);
}

dr_err_t db_manifest_list(struct db_reader *r, const struct db_query *query, db_manifest_fn *fn,
                          void *data, struct dr_errinfo *reterr)
{
    dr_assert(r != NULL && query != NULL && fn != NULL);
    struct manifest_ctx c = {.r = r, .account = query->account, .fn = fn, .data = data};
    return filter_page(r, DB_LIST_MANIFEST, query, manifest_id, &c, reterr);
}

dr_err_t db_manifest_count(struct db_reader *r, const struct db_query *query, int64_t *ret,
                           struct dr_errinfo *reterr)
{
    dr_assert(r != NULL && query != NULL && ret != NULL);
    return filter_count(r, DB_LIST_MANIFEST, query, ret, reterr);
}

dr_err_t db_manifest_delete(struct db_writer *w, int64_t account, int64_t id)
{
    dr_assert(w != NULL);
    return delete_one(
        conn_q(&w->conn, "DELETE FROM firmware_manifest WHERE id = ? AND account = ?"), account,
        id);
}
