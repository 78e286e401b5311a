/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/v3_upload_jobs.c
 * @brief /v3/firmware-images/upload-jobs: an image in chunks; one without bytes ends the job.
 *
 * A chunk counts when its row is committed, which is after its bytes are on disk and its
 * Content-MD5 was right. One chunk of a job at a time.
 */
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/clock.h"
#include "base/rand.h"
#include "base/text.h"
#include "campaigns/upload.h"
#include "rest/firmware.h"
#include "rest/list.h"
#include "rest/one.h"
#include "rest/rest_priv.h"

#define PIECE_MAX 65536
#define MD5_LEN   16
#define EMPTY_MD5 "d41d8cd98f00b204e9800998ecf8427e"

static void job_write(struct rest_json *j, const struct db_upload *u)
{
    char text[32];

    rest_json_object(j, NULL);
    rest_json_str(j, "object", "upload-job");
    rest_json_id(j, "id", u->id);
    rest_json_str(j, "name", u->name);
    rest_json_str(j, "description", u->description);
    rest_json_str(j, "status", u->image == 0 ? "in_progress" : "success");
    rest_json_bool(j, "complete", u->image != 0);
    rest_json_id(j, "firmware_image_id", u->image);
    rest_json_time(j, "created_at", DR_ID_MS(u->id));
    rest_json_time(j, "updated_at", u->updated_at);
    (void)snprintf(text, sizeof text, "%lld", (long long)u->updated_at);
    rest_json_str(j, "etag", text);
    rest_json_object_end(j);
}

static void chunk_write(struct rest_json *j, const struct db_chunk *c)
{
    char text[32];

    rest_json_object(j, NULL);
    rest_json_str(j, "object", "upload-info");
    rest_json_int(j, "id", c->seq);
    rest_json_id(j, "upload_job_id", c->job);
    rest_json_int(j, "length", c->length);
    rest_json_str(j, "hash", c->hash);
    rest_json_time(j, "created_at", c->created_at);
    rest_json_time(j, "updated_at", c->created_at);
    (void)snprintf(text, sizeof text, "%lld", (long long)c->created_at);
    rest_json_str(j, "etag", text);
    rest_json_object_end(j);
}

/* ---- list of jobs ---- */

static const char *const filter_fields[] = {
    "id", "name", "description", "status", "complete", "created_at", "updated_at",
};

static dr_err_t list_row(void *data, const struct db_upload *row)
{
    struct rest_list_op *op = data;
    struct rest_json j = rest_json_of(&op->out);

    if (rest_list_row(op)) {
        job_write(&j, row);
    }
    return DR_OK;
}

static dr_err_t list_rows(struct db_reader *r, struct rest_list_op *op)
{
    return db_upload_list(r, &op->query, list_row, op, &op->info);
}

static dr_err_t list_count(struct db_reader *r, struct rest_list_op *op, int64_t *ret)
{
    return db_upload_count(r, &op->query, ret, &op->info);
}

static const struct rest_list_kind list_kind = {
    .list = DB_LIST_UPLOAD,
    .fields = filter_fields,
    .n_fields = DR_ARRAY_LEN(filter_fields),
    .rows = list_rows,
    .count = list_count,
};

static void jobs_get(struct rest_req *req)
{
    rest_list_start(req, &list_kind);
}

/* ---- one job ---- */

struct op {
    struct rest_one one;
    int64_t seq;
    const char *name, *description;
    struct rest_page page;
    /* a chunk */
    struct dr_list node;  /* in rest->uploads */
    struct db_upload row; /* texts are not kept */
    struct camp_upload up;
    EVP_MD_CTX *md5;
    uint8_t want[MD5_LEN];
    bool has_want;
    bool has_at;          /* Content-Range says where the chunk belongs */
    uint64_t at, at_last; /* its first and last byte */
    bool told;            /* who sent the last chunk has its answer */
    bool ends;            /* an empty chunk: the job is over */
    int64_t stored;       /* chunk whose answer this request brings */
    char hash[DR_HEX_LEN(MD5_LEN) + 1];
    char token[DB_TOKEN_LEN + 1];
    char image_name[REST_FORM_NAME_MAX * 4 + 1],
        image_description[REST_FORM_DESCRIPTION_MAX * 4 + 1];
};

#define WHAT "upload job or chunk"

static struct op *op_of(struct rest_one *one)
{
    return DR_CONTAINER_OF(one, struct op, one);
}

static struct op *op_of_path(struct rest_req *req)
{
    return rest_one_of_path(req, sizeof(struct op), WHAT);
}

static dr_err_t row_write(void *data, const struct db_upload *row)
{
    struct op *op = data;
    struct rest_json j = rest_json_of(&op->one.out);

    job_write(&j, row);
    return DR_OK;
}

static dr_err_t job_read(struct db_reader *r, struct rest_one *one)
{
    return db_upload_get(r, one->account, one->id, row_write, op_of(one));
}

static void job_get(struct rest_req *req)
{
    struct op *op = op_of_path(req);

    if (op != NULL) {
        rest_one_read(&op->one, job_read);
    }
}

/* name and description; false = answered */
static bool body_read(struct op *op)
{
    static const struct rest_str_rule name = {.max = REST_FORM_NAME_MAX};
    static const struct rest_str_rule description = {.max = REST_FORM_DESCRIPTION_MAX};
    struct rest_one *one = &op->one;
    struct rest_field_errors errors = {0};

    if (one->req->body.len == 0) {
        return true;
    }
    if (!rest_one_body(one)) {
        return false;
    }
    bool ok = rest_body_str(one->json, "name", name, true, &op->name, &errors);
    ok =
        rest_body_str(one->json, "description", description, true, &op->description, &errors) && ok;
    return rest_one_parsed(one, ok ? DR_OK : DR_ERR_INVAL, &errors);
}

static struct db_upload row_of(struct rest_one *one)
{
    const struct op *op = op_of(one);

    return (struct db_upload){.id = one->id,
                              .account = one->account,
                              .name = op->name,
                              .description = op->description,
                              .updated_at = one->now_ms};
}

static dr_err_t insert_run(struct db_writer *w, struct rest_one *one)
{
    const struct db_upload row = row_of(one);
    dr_err_t err = db_upload_insert(w, &row);

    return err == DR_OK ? job_read(db_writer_reader(w), one) : err;
}

static void location_put(struct rest_one *one, const char *tail)
{
    const char *base = rest_base_url(one->req);
    char id[DR_ID_LEN + 1], text[512];

    dr_id_format(one->id, id);
    (void)snprintf(text, sizeof text, "%s/v3/firmware-images/upload-jobs/%s%s",
                   base == NULL ? "" : base, id, tail);
    rest_answer_header(one->req, "Location", text);
}

static void insert_done(struct rest_one *one, dr_err_t err)
{
    rest_one_end(one, err);
    if (err == DR_OK) {
        location_put(one, "");
    }
}

static void job_post(struct rest_req *req)
{
    struct op *op = rest_one_new(req, sizeof *op, dr_id_new(&rest_of(req)->ids), WHAT);

    if (op != NULL && body_read(op)) {
        rest_one_write(&op->one, 201, insert_run, insert_done);
    }
}

static dr_err_t update_run(struct db_writer *w, struct rest_one *one)
{
    const struct db_upload row = row_of(one);
    dr_err_t err = db_upload_update(w, &row);

    return err == DR_OK ? job_read(db_writer_reader(w), one) : err;
}

static void job_put(struct rest_req *req)
{
    struct op *op = op_of_path(req);

    if (op != NULL && body_read(op)) {
        rest_one_write(&op->one, 200, update_run, NULL);
    }
}

/* Is a chunk of this job on its way? */
static bool in_use(const struct rest *rest, int64_t id)
{
    DR_LIST_EACH(it, &rest->uploads)
    {
        if (DR_CONTAINER_OF(it, struct op, node)->one.id == id) {
            return true;
        }
    }
    return false;
}

static dr_err_t delete_run(struct db_writer *w, struct rest_one *one)
{
    struct op *op = op_of(one);

    return db_upload_delete(w, op->one.account, op->one.id);
}

static void delete_done(struct rest_one *one, dr_err_t err)
{
    struct op *op = op_of(one);
    struct camp_images *images = rest_of(op->one.req)->config.images;

    if (err == DR_OK && images != NULL) {
        camp_upload_drop(images, op->one.id); /* an image that it became has a name of its own */
    }
    rest_one_end(one, err);
}

static void job_delete(struct rest_req *req)
{
    struct op *op = op_of_path(req);

    if (op != NULL && in_use(rest_of(req), op->one.id)) {
        rest_answer_error(req, 409, "in_use", "a chunk is being uploaded");
    } else if (op != NULL) {
        rest_one_write(&op->one, 204, delete_run, delete_done);
    }
}

/* ---- chunks: list, one ---- */

static dr_err_t row_ignore(void *data, const struct db_upload *row)
{
    *(int64_t *)data = row->chunks;
    return DR_OK;
}

struct page_ctx {
    struct op *op;
    uint32_t n;
};

static dr_err_t page_row(void *data, const struct db_chunk *row)
{
    struct page_ctx *c = data;
    struct rest_json j = rest_json_of(&c->op->one.out);

    if (c->n++ < c->op->page.limit) {
        chunk_write(&j, row);
    }
    return DR_OK;
}

static dr_err_t chunks_read(struct db_reader *r, struct rest_one *one)
{
    struct op *op = op_of(one);
    struct rest_json j = rest_json_of(&op->one.out);
    struct page_ctx c = {.op = op};
    int64_t total = 0;
    dr_err_t err = db_upload_get(r, op->one.account, op->one.id, row_ignore, &total);

    if (err != DR_OK) {
        return err;
    }
    rest_list_begin(&j, &op->page);
    err = db_chunk_list(r, op->one.id, op->seq, op->page.desc, op->page.limit + 1, page_row, &c);
    rest_list_end(&j, c.n > op->page.limit, total);
    return err;
}

static void chunks_get(struct rest_req *req)
{
    struct op *op = op_of_path(req);
    struct rest_field_errors errors = {0};
    uint64_t after = 0;

    if (op == NULL) {
        return;
    }
    dr_err_t err = rest_page_parse(&req->target, true, &op->page, &errors);
    if (err == DR_OK && op->page.after_text != NULL) {
        err = dr_parse_u64_max(op->page.after_text, strlen(op->page.after_text), CAMP_CHUNKS_MAX,
                               &after);
    }
    if (err != DR_OK) {
        rest_answer_error(req, 400, NULL, "'after' is not the id of a chunk");
        return;
    }
    op->seq = (int64_t)after;
    rest_one_read(&op->one, chunks_read);
}

static dr_err_t chunk_row(void *data, const struct db_chunk *row)
{
    struct op *op = data;
    struct rest_json j = rest_json_of(&op->one.out);

    chunk_write(&j, row);
    return DR_OK;
}

static dr_err_t chunk_read(struct db_reader *r, struct rest_one *one)
{
    struct op *op = op_of(one);
    int64_t total = 0;
    dr_err_t err = db_upload_get(r, op->one.account, op->one.id, row_ignore, &total);

    return err == DR_OK ? db_chunk_get(r, op->one.id, op->seq, chunk_row, op) : err;
}

static void chunk_get(struct rest_req *req)
{
    struct op *op = op_of_path(req);
    const char *text = rest_req_capture(req, 1);
    uint64_t seq = 0;

    if (op == NULL) {
        return;
    }
    if (dr_parse_u64_max(text, strlen(text), CAMP_CHUNKS_MAX, &seq) != DR_OK || seq == 0) {
        rest_answer_error(req, 404, NULL, "no such chunk");
        return;
    }
    op->seq = (int64_t)seq;
    rest_one_read(&op->one, chunk_read);
}

/* ---- a chunk comes ---- */

static void chunk_over(struct rest_req *req, bool ok)
{
    struct op *op = req->op;

    if (ok && op->stored != 0) {
        struct rest *rest = rest_of(req);
        rest->told[rest->told_next++ % REST_TOLD_MAX] =
            (struct rest_told){.job = op->one.id, .seq = op->stored};
    }
    camp_upload_end(&op->up);
    EVP_MD_CTX_free(op->md5);
    op->md5 = NULL;
    dr_list_remove(&op->node);
}

/* On the pool. */
static void chunk_tap(void *data, struct dr_bytes bytes)
{
    struct op *op = data;

    (void)EVP_DigestUpdate(op->md5, bytes.p, bytes.len);
}

/* Content-MD5 was right, if there was one. */
static bool md5_right(struct op *op)
{
    uint8_t got[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    if (EVP_DigestFinal_ex(op->md5, got, &len) != 1 || len != MD5_LEN) {
        return false;
    }
    dr_hex_encode(got, MD5_LEN, op->hash);
    return !op->has_want || memcmp(got, op->want, MD5_LEN) == 0;
}

static bool was_told(const struct rest *rest, int64_t job, int64_t seq)
{
    for (size_t i = 0; i < REST_TOLD_MAX; i++) {
        if (rest->told[i].job == job && rest->told[i].seq == seq) {
            return true;
        }
    }
    return false;
}

struct last_chunk {
    const struct op *op;
    bool same;
};

static dr_err_t chunk_compare(void *data, const struct db_chunk *row)
{
    struct last_chunk *last = data;

    last->same =
        row->length == (int64_t)last->op->up.size && strcmp(row->hash, last->op->hash) == 0;
    return DR_OK;
}

/*
 * Is it the last chunk once more, because its answer was lost? The same bytes, and by their place
 * they lie before the end; or, without a place, nobody has had the answer.
 */
static dr_err_t chunk_repeated(struct db_reader *r, const struct op *op, bool *ret)
{
    struct last_chunk last = {.op = op};
    uint64_t size = (uint64_t)op->row.size;
    bool before = op->has_at && op->at_last + 1 == size;

    *ret = false;
    if (op->row.chunks == 0 || (op->has_at ? !before : op->told)) {
        return DR_OK;
    }
    dr_err_t err = db_chunk_get(r, op->one.id, op->row.chunks, chunk_compare, &last);
    *ret = err == DR_OK && last.same;
    return err;
}

static dr_err_t stored_run(struct db_writer *w, struct rest_one *one)
{
    struct op *op = op_of(one);
    bool again;
    dr_err_t err = chunk_repeated(db_writer_reader(w), op, &again);

    op->stored = op->row.chunks + (again ? 0 : 1);
    if (err == DR_OK && !again && op->has_at && op->at != (uint64_t)op->row.size) {
        return DR_ERR_EXISTS; /* neither the next bytes nor the last ones */
    }
    const struct db_chunk row = {.job = op->one.id,
                                 .length = (int64_t)op->up.size,
                                 .hash = op->hash,
                                 .created_at = op->one.now_ms};
    if (err == DR_OK && !again) {
        err = db_chunk_insert(w, op->one.account, &row, op->row.size);
    }
    return err == DR_OK ? db_chunk_get(db_writer_reader(w), op->one.id, 0, chunk_row, op) : err;
}

static void stored_done(struct rest_one *one, dr_err_t err)
{
    struct op *op = op_of(one);

    if (err == DR_ERR_EXISTS) {
        char text[96];
        (void)snprintf(text, sizeof text, "the next byte of the job is %lld",
                       (long long)op->row.size);
        op->stored = 0;
        dr_dynbuf_fini(&op->one.out);
        rest_answer_error(op->one.req, 409, "precondition_failed", text);
        return;
    }
    op->stored = err == DR_OK ? op->stored : 0;
    rest_one_end(one, err);
    if (err == DR_OK) {
        char tail[48];
        (void)snprintf(tail, sizeof tail, "/chunks/%lld", (long long)op->stored);
        location_put(one, tail);
    }
}

static void chunk_finished(struct camp_upload *u, dr_err_t err)
{
    struct op *op = u->data;

    if (err != DR_OK) {
        rest_one_end(&op->one, err);
    } else if (!md5_right(op)) {
        rest_answer_error(op->one.req, 400, NULL, "Content-MD5 is not that of the chunk");
    } else if (op->has_at && op->at_last - op->at + 1 != u->size) {
        rest_answer_error(op->one.req, 400, NULL, "Content-Range is not that of the chunk");
    } else {
        op->one.now_ms = dr_wall_ms();
        rest_one_write(&op->one, 201, stored_run, stored_done);
    }
}

static void chunk_flushed(struct camp_upload *u, dr_err_t err)
{
    struct op *op = u->data;

    if (err != DR_OK) {
        rest_one_end(&op->one, err);
    } else {
        rest_req_more(op->one.req);
    }
}

/* ---- the last one: an image ---- */

static dr_err_t joined_run(struct db_writer *w, struct rest_one *one)
{
    struct op *op = op_of(one);
    struct rest_json j = rest_json_of(&op->one.out);
    const struct db_image row = {
        .id = op->up.id,
        .account = op->one.account,
        .name = op->image_name,
        .description = op->image_description,
        .sha256 = op->up.sha256,
        .token = op->token,
        .size = op->row.size,
        .updated_at = op->one.now_ms,
    };
    const struct db_chunk end = {.job = op->one.id,
                                 .seq = op->row.chunks + 1,
                                 .hash = op->hash,
                                 .created_at = op->one.now_ms};
    dr_err_t err =
        db_upload_complete(w, op->one.account, op->one.id, op->row.size, op->up.id, op->one.now_ms);

    chunk_write(&j, &end);
    return err == DR_OK ? db_image_insert(w, &row) : err;
}

static void joined_done(struct rest_one *one, dr_err_t err)
{
    struct op *op = op_of(one);
    struct camp_images *images = rest_of(op->one.req)->config.images;

    if (err == DR_OK) {
        camp_upload_drop(images, op->one.id);
    } else {
        camp_image_forget(images, op->up.id);
    }
    rest_one_end(one, err);
}

static void joined(struct camp_upload *u, dr_err_t err)
{
    struct op *op = u->data;

    if (err != DR_OK) {
        rest_one_end(&op->one, err);
        return;
    }
    uint8_t raw[DB_TOKEN_LEN / 2];
    dr_rand_bytes(raw, sizeof raw);
    dr_hex_encode(raw, sizeof raw, op->token);
    op->one.now_ms = dr_wall_ms();
    rest_one_write(&op->one, 201, joined_run, joined_done);
    if (rest_req_answered(op->one.req)) {
        camp_image_forget(rest_of(op->one.req)->config.images, op->up.id);
    }
}

static void job_finish(struct op *op)
{
    struct camp_images *images = rest_of(op->one.req)->config.images;

    if (!md5_right(op)) {
        rest_answer_error(op->one.req, 400, NULL, "Content-MD5 is not that of the chunk");
        return;
    }
    if (op->row.size == 0) {
        rest_answer_error(op->one.req, 400, NULL, "the job has no bytes yet");
        return;
    }
    camp_upload_end(&op->up);
    op->up = (struct camp_upload){.cb = joined, .data = op};
    dr_err_t err = camp_upload_join(images, &op->up, op->one.id, (uint64_t)op->row.size);
    if (err != DR_OK) {
        rest_answer_err(op->one.req, err);
    }
}

static void chunk_piece(struct rest_req *req, struct dr_bytes data)
{
    struct op *op = req->op;
    dr_err_t err = DR_OK;

    if (data.len == 0 && op->up.size == 0) {
        job_finish(op);
    } else if (data.len == 0) {
        op->up.cb = chunk_finished;
        err = camp_upload_finish(&op->up);
    } else if (data.len > PIECE_MAX) {
        err = DR_ERR_INTERNAL;
    } else {
        camp_upload_put(&op->up, data);
        if (camp_upload_full(&op->up, PIECE_MAX)) {
            op->up.cb = chunk_flushed;
            err = camp_upload_flush(&op->up);
            if (err == DR_OK) {
                rest_req_pause(req);
            }
        }
    }
    if (err != DR_OK) {
        rest_answer_err(req, err);
    }
}

static dr_err_t job_take(void *data, const struct db_upload *row)
{
    struct op *op = data;

    op->row = *row;
    op->row.name = op->row.description = NULL;
    (void)snprintf(op->image_name, sizeof op->image_name, "%s", row->name);
    (void)snprintf(op->image_description, sizeof op->image_description, "%s", row->description);
    return DR_OK;
}

static dr_err_t known_read(struct db_reader *r, struct rest_one *one)
{
    struct op *op = op_of(one);

    return db_upload_get(r, op->one.account, op->one.id, job_take, op);
}

static void job_known(struct rest_one *one, dr_err_t err)
{
    struct op *op = op_of(one);
    struct camp_images *images = rest_of(op->one.req)->config.images;

    if (err != DR_OK) {
        rest_one_end(&op->one, err);
        return;
    }
    if (op->row.image != 0 && op->ends) { /* said before, and the answer was lost */
        const struct db_chunk end = {.job = op->one.id,
                                     .seq = op->row.chunks + 1,
                                     .hash = EMPTY_MD5,
                                     .created_at = op->row.updated_at};
        struct rest_json j = rest_json_of(&op->one.out);
        chunk_write(&j, &end);
        one->status = 201;
        rest_one_end(one, DR_OK);
        return;
    }
    if (op->row.image != 0) {
        rest_answer_error(op->one.req, 409, "precondition_failed", "the job is complete");
        return;
    }
    op->told = was_told(rest_of(op->one.req), op->one.id, op->row.chunks);
    if (op->row.chunks >= CAMP_CHUNKS_MAX) {
        rest_answer_error(op->one.req, 409, "limit_exceeded", "the job has too many chunks");
        return;
    }
    uint64_t max = camp_images_upload_max(images), chunk = camp_images_chunk_max(images);
    uint64_t left = max > (uint64_t)op->row.size ? max - (uint64_t)op->row.size : 0;
    op->up = (struct camp_upload){.cb = chunk_flushed, .tap = chunk_tap, .data = op};
    err = camp_upload_chunk(images, &op->up, op->one.id, (uint64_t)op->row.size);
    if (err != DR_OK) {
        rest_answer_err(op->one.req, err);
        return;
    }
    rest_req_stream(op->one.req, left < chunk ? left : chunk, chunk_piece);
}

/* "bytes 0-99/1000" or "bytes 0-99/" and a star; none is fine. */
static bool range_take(const char *text, struct op *op)
{
    if (text == NULL) {
        return true;
    }
    const char *dash = strchr(text, '-'), *slash = strchr(text, '/');
    op->has_at = strncmp(text, "bytes ", 6) == 0 && dash != NULL && slash != NULL && dash < slash &&
                 dr_parse_u64(text + 6, (size_t)(dash - text - 6), &op->at) == DR_OK &&
                 dr_parse_u64(dash + 1, (size_t)(slash - dash - 1), &op->at_last) == DR_OK &&
                 op->at <= op->at_last && op->at_last < INT64_MAX;
    return op->has_at;
}

static void chunk_post(struct rest_req *req)
{
    struct rest *rest = rest_of(req);
    struct op *op = op_of_path(req);
    const char *md5 = rest_req_header(req, "Content-MD5");
    size_t len = 0;

    if (op == NULL) {
        return;
    }
    if (rest->config.images == NULL) {
        rest_answer_err(req, DR_ERR_BUSY);
        return;
    }
    if (md5 != NULL &&
        (dr_base64_decode(md5, strlen(md5), op->want, MD5_LEN, &len) != DR_OK || len != MD5_LEN)) {
        rest_answer_error(req, 400, NULL, "Content-MD5 is not the base64 of 16 bytes");
        return;
    }
    op->has_want = md5 != NULL;
    if (!range_take(rest_req_header(req, "Content-Range"), op)) {
        rest_answer_error(req, 400, NULL, "Content-Range is not of the form 'bytes FIRST-LAST/*'");
        return;
    }
    const char *length = rest_req_header(req, "Content-Length");
    op->ends = length != NULL && strcmp(length, "0") == 0;
    if (in_use(rest, op->one.id)) {
        rest_answer_error(req, 409, "in_use", "another chunk is being uploaded");
        return;
    }
    op->md5 = EVP_MD_CTX_new();
    if (op->md5 == NULL || EVP_DigestInit_ex(op->md5, EVP_md5(), NULL) != 1) {
        EVP_MD_CTX_free(op->md5);
        rest_answer_err(req, DR_ERR_NOMEM);
        return;
    }
    dr_list_push_back(&rest->uploads, &op->node);
    req->op = op;
    req->sent = chunk_over;
    rest_one_read_then(&op->one, known_read, job_known);
}

#define JOBS "/v3/firmware-images/upload-jobs"

static const struct rest_route routes[] = {
    {REST_GET, REST_READ, JOBS, jobs_get, 0},
    {REST_POST, REST_WRITE, JOBS, job_post, 65536},
    {REST_GET, REST_READ, JOBS "/{}", job_get, 0},
    {REST_PUT, REST_WRITE, JOBS "/{}", job_put, 65536},
    {REST_DELETE, REST_WRITE, JOBS "/{}", job_delete, 0},
    {REST_GET, REST_READ, JOBS "/{}/chunks", chunks_get, 0},
    {REST_POST, REST_WRITE, JOBS "/{}/chunks", chunk_post, REST_BODY_STREAM},
    {REST_GET, REST_READ, JOBS "/{}/chunks/{}", chunk_get, 0},
};

const struct rest_routes rest_v3_upload_jobs_routes = {routes, DR_ARRAY_LEN(routes)};
