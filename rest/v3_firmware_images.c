/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/v3_firmware_images.c
 * @brief /v3/firmware-images: upload, list, delete; /fw: download by whoever knows the address.
 *
 * An image is on disk under its name before its row is committed, and its row is gone before its
 * file is. The address of an image ends in a random token, since devices have no API key.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/rand.h"
#include "base/text.h"
#include "campaigns/upload.h"
#include "rest/firmware.h"
#include "rest/list.h"
#include "rest/multipart.h"
#include "rest/one.h"
#include "rest/rest_priv.h"

/* Room that a buffer keeps for the next piece. */
#define PIECE_MAX     65536
/* Around the file: other parts and the lines between. */
#define FORM_MORE_MAX 65536
#define FILENAME_MAX_ 166

static void image_write(struct rest_json *j, const struct db_image *i, const char *base)
{
    char id[DR_ID_LEN + 1], text[512];

    dr_id_format(i->id, id);
    rest_json_object(j, NULL);
    rest_json_str(j, "object", "firmware-image");
    rest_json_str(j, "id", id);
    rest_json_str(j, "name", i->name);
    rest_json_str(j, "description", i->description);
    (void)snprintf(text, sizeof text, "%s/fw/%s/%s", base, id, i->token);
    rest_json_str(j, "datafile", text);
    rest_json_str(j, "datafile_checksum", i->sha256);
    rest_json_int(j, "datafile_size", i->size);
    rest_json_bool(j, "datafile_encryption", false);
    rest_json_time(j, "created_at", DR_ID_MS(i->id));
    rest_json_time(j, "updated_at", i->updated_at);
    (void)snprintf(text, sizeof text, "%lld", (long long)i->updated_at);
    rest_json_str(j, "etag", text);
    rest_json_object_end(j);
}

/* ---- list ---- */

static const char *const filter_fields[] = {
    "id",          "name",       "datafile",   "datafile_checksum", "datafile_size",
    "description", "created_at", "updated_at",
};

static dr_err_t list_row(void *data, const struct db_image *row)
{
    struct rest_list_op *op = data;
    struct rest_json j = rest_json_of(&op->out);

    if (rest_list_row(op)) {
        image_write(&j, row, op->req->op);
    }
    return DR_OK;
}

static dr_err_t list_rows(struct db_reader *r, struct rest_list_op *op)
{
    return db_image_list(r, &op->query, list_row, op, &op->info);
}

static dr_err_t list_count(struct db_reader *r, struct rest_list_op *op, int64_t *ret)
{
    return db_image_count(r, &op->query, ret, &op->info);
}

static const struct rest_list_kind list_kind = {
    .list = DB_LIST_IMAGE,
    .fields = filter_fields,
    .n_fields = DR_ARRAY_LEN(filter_fields),
    .rows = list_rows,
    .count = list_count,
    .conditions = rest_datafile_conditions,
};

static void images_get(struct rest_req *req)
{
    rest_list_start(req, &list_kind);
}

/* ---- one ---- */

struct op {
    struct rest_one one;
    int64_t campaign; /* that needs it */
    const char *base;
    /* upload */
    struct camp_upload up;
    struct rest_multipart form;
    struct rest_form_text name, description;
    struct rest_form_text *text; /* where the present part goes; NULL = nowhere */
    bool in_file, has_file;
    char filename[FILENAME_MAX_ + 1];
    char token[DB_TOKEN_LEN + 1];
};

static struct op *op_of(struct rest_one *one)
{
    return DR_CONTAINER_OF(one, struct op, one);
}

static struct op *op_new(struct rest_req *req, bool with_id)
{
    const char *base = rest_base_url(req);

    if (base == NULL) {
        rest_answer_err(req, DR_ERR_NOMEM);
        return NULL;
    }
    struct op *op = with_id ? rest_one_of_path(req, sizeof *op, "firmware image")
                            : rest_one_new(req, sizeof *op, 0, "firmware image");
    if (op != NULL) {
        op->base = base;
    }
    return op;
}

static dr_err_t row_write(void *data, const struct db_image *row)
{
    struct op *op = data;
    struct rest_json j = rest_json_of(&op->one.out);

    image_write(&j, row, op->base);
    return DR_OK;
}

static dr_err_t image_read(struct db_reader *r, struct rest_one *one)
{
    return db_image_get(r, one->account, one->id, row_write, op_of(one));
}

static void image_get(struct rest_req *req)
{
    struct op *op = op_new(req, true);

    if (op != NULL) {
        rest_one_read(&op->one, image_read);
    }
}

static dr_err_t delete_run(struct db_writer *w, struct rest_one *one)
{
    struct op *op = op_of(one);
    dr_err_t err = db_image_campaign(db_writer_reader(w), one->account, one->id, CAMP_NEEDS_FIRST,
                                     CAMP_NEEDS_LAST, &op->campaign);

    if (err == DR_OK && op->campaign != 0) {
        return DR_ERR_IN_USE;
    }
    return err == DR_OK ? db_image_delete(w, one->account, one->id) : err;
}

static void delete_done(struct rest_one *one, dr_err_t err)
{
    struct rest *rest = rest_of(one->req);

    if (err == DR_ERR_IN_USE) {
        rest_answer_needed(one, "image", op_of(one)->campaign);
        return;
    }
    if (err == DR_OK && rest->config.images != NULL) {
        camp_image_forget(rest->config.images, one->id);
    }
    rest_one_end(one, err);
}

static void image_delete(struct rest_req *req)
{
    struct op *op = op_new(req, true);

    if (op != NULL) {
        rest_one_write(&op->one, 204, delete_run, delete_done);
    }
}

/* ---- upload ---- */

static dr_err_t part_begin(void *data, const struct rest_part *part)
{
    struct op *op = data;

    op->text = NULL;
    op->in_file = false;
    if (strcmp(part->name, "datafile") == 0) {
        if (op->has_file || strlen(part->filename) > FILENAME_MAX_) {
            return DR_ERR_INVAL;
        }
        op->in_file = op->has_file = true;
        memcpy(op->filename, part->filename, strlen(part->filename) + 1);
    } else if (strcmp(part->name, "name") == 0 || strcmp(part->name, "description") == 0) {
        op->text = part->name[0] == 'n' ? &op->name : &op->description;
        if (op->text->seen) {
            return DR_ERR_INVAL;
        }
        op->text->seen = true;
    }
    return DR_OK;
}

static dr_err_t part_bytes(void *data, struct dr_bytes bytes)
{
    struct op *op = data;

    if (op->in_file) {
        if (op->up.size + bytes.len > camp_images_image_max(op->up.priv.images)) {
            return DR_ERR_TOO_LARGE;
        }
        camp_upload_put(&op->up, bytes);
    } else if (op->text != NULL) {
        rest_form_put(op->text, bytes);
    }
    return DR_OK;
}

static dr_err_t part_end(void *data)
{
    struct op *op = data;

    op->in_file = false;
    op->text = NULL;
    return DR_OK;
}

static const struct rest_multipart_ops form_ops = {part_begin, part_bytes, part_end};

/* The request is over, whatever happened: what is not finished goes. */
static void upload_over(struct rest_req *req, bool ok)
{
    struct op *op = req->op;

    (void)ok;
    camp_upload_end(&op->up);
}

static void form_refuse(struct op *op, dr_err_t err)
{
    const char *text = err == DR_ERR_PROTO   ? "the form is malformed"
                       : err == DR_ERR_INVAL ? "a part is there twice, or its file name too long"
                       : err == DR_ERR_LIMIT ? "too many or too long parts"
                       : err == DR_ERR_UNSUPPORTED ? "parts have to come without an encoding"
                       : err == DR_ERR_TOO_LARGE   ? "the image is too large: use an upload job"
                                                   : NULL;
    if (text != NULL) {
        rest_answer_error(op->one.req, err == DR_ERR_TOO_LARGE ? 413 : 400, NULL, text);
    } else {
        rest_answer_err(op->one.req, err);
    }
}

static dr_err_t insert_run(struct db_writer *w, struct rest_one *one)
{
    struct op *op = op_of(one);
    const struct db_image row = {
        .id = op->up.id,
        .account = op->one.account,
        .name = op->name.text,
        .description = op->description.text,
        .filename = op->filename,
        .sha256 = op->up.sha256,
        .token = op->token,
        .size = (int64_t)op->up.size,
        .updated_at = op->one.now_ms,
    };
    dr_err_t err = db_image_insert(w, &row);

    return err == DR_OK ? row_write(op, &row) : err;
}

static void insert_done(struct rest_one *one, dr_err_t err)
{
    struct op *op = op_of(one);

    if (err != DR_OK) {
        camp_image_forget(rest_of(op->one.req)->config.images, op->up.id);
    }
    rest_one_end(one, err);
}

static void upload_finished(struct camp_upload *u, dr_err_t err)
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
    rest_one_write(&op->one, 201, insert_run, insert_done);
    if (rest_req_answered(op->one.req)) {
        camp_image_forget(rest_of(op->one.req)->config.images, op->up.id);
    }
}

static void upload_flushed(struct camp_upload *u, dr_err_t err)
{
    struct op *op = u->data;

    if (err != DR_OK) {
        rest_one_end(&op->one, err);
    } else {
        rest_req_more(op->one.req);
    }
}

static void upload_last(struct op *op)
{
    dr_err_t err = rest_multipart_finish(&op->form);

    if (err != DR_OK) {
        form_refuse(op, err);
    } else if (!op->has_file) {
        rest_answer_error(op->one.req, 400, NULL, "the form has no part 'datafile'");
    } else if (rest_form_check(op->one.req, &op->name, &op->description)) {
        op->up.cb = upload_finished;
        err = camp_upload_finish(&op->up);
        if (err != DR_OK) {
            rest_answer_err(op->one.req, err);
        }
    }
}

static void upload_piece(struct rest_req *req, struct dr_bytes data)
{
    struct op *op = req->op;

    if (data.len == 0) {
        upload_last(op);
        return;
    }
    dr_err_t err = data.len > PIECE_MAX ? DR_ERR_INTERNAL : rest_multipart_feed(&op->form, data);
    if (err != DR_OK) {
        form_refuse(op, err);
        return;
    }
    if (camp_upload_full(&op->up, PIECE_MAX + REST_MULTIPART_BOUNDARY_MAX + 4)) {
        op->up.cb = upload_flushed;
        err = camp_upload_flush(&op->up);
        if (err != DR_OK) {
            rest_answer_err(req, err);
            return;
        }
        rest_req_pause(req);
    }
}

static void image_post(struct rest_req *req)
{
    struct camp_images *images = rest_of(req)->config.images;
    struct op *op = images == NULL ? NULL : op_new(req, false);

    if (op == NULL) {
        if (!rest_req_answered(req)) {
            rest_answer_err(req, DR_ERR_UNSUPPORTED);
        }
        return;
    }
    op->name.max = REST_FORM_NAME_MAX;
    op->description.max = REST_FORM_DESCRIPTION_MAX;
    dr_err_t err =
        rest_multipart_init(&op->form, rest_req_header(req, "Content-Type"), &form_ops, op);
    if (err != DR_OK) {
        rest_answer_error(req, 400, NULL, "the body has to be multipart/form-data");
        return;
    }
    op->up.cb = upload_flushed;
    op->up.data = op;
    err = camp_upload_image(images, &op->up);
    if (err != DR_OK) {
        rest_answer_err(req, err);
        return;
    }
    req->op = op;
    req->sent = upload_over;
    rest_req_stream(req, camp_images_image_max(images) + FORM_MORE_MAX, upload_piece);
}

/* ---- download ---- */

struct download {
    struct camp_image_get get;
    struct rest_req *req;
};

static bool etag_listed(const char *list, const char *etag)
{
    return list != NULL && (strcmp(list, "*") == 0 || strstr(list, etag) != NULL);
}

/* spec: RFC9110#14.2 */
static void download_answer(struct rest_req *req, const struct camp_image *image)
{
    char etag[DB_DIGEST_LEN + 3], range[80];
    uint64_t at = 0, len = image->size;

    (void)snprintf(etag, sizeof etag, "\"%s\"", image->sha256);
    if (etag_listed(rest_req_header(req, "If-None-Match"), etag)) {
        rest_answer_empty(req, 304);
        rest_answer_header(req, "ETag", etag);
        return;
    }
    const char *same = rest_req_header(req, "If-Range");
    const char *wanted =
        same == NULL || strcmp(same, etag) == 0 ? rest_req_header(req, "Range") : NULL;
    enum rest_range kind = rest_range_parse(wanted, image->size, &at, &len);
    if (kind == REST_RANGE_NONE) {
        rest_answer_error(req, 416, "range_not_satisfiable", "the image is shorter");
        (void)snprintf(range, sizeof range, "bytes */%llu", (unsigned long long)image->size);
        rest_answer_header(req, "Content-Range", range);
        return;
    }
    int fd = fcntl(image->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) {
        rest_answer_err(req, DR_ERR_BUSY);
        return;
    }
    rest_answer_part(req, kind == REST_RANGE_PART ? 206 : 200, fd, at, len,
                     "application/octet-stream");
    rest_answer_header(req, "ETag", etag);
    rest_answer_header(req, "Accept-Ranges", "bytes");
    if (kind == REST_RANGE_PART) {
        (void)snprintf(range, sizeof range, "bytes %llu-%llu/%llu", (unsigned long long)at,
                       (unsigned long long)(at + len - 1), (unsigned long long)image->size);
        rest_answer_header(req, "Content-Range", range);
    }
}

static void download_got(struct camp_image_get *get, dr_err_t err, struct camp_image *image)
{
    struct download *d = DR_CONTAINER_OF(get, struct download, get);
    const char *token = rest_req_capture(d->req, 1);

    bool known = err == DR_OK && strlen(token) == DB_TOKEN_LEN &&
                 dr_ct_equal(token, image->token, DB_TOKEN_LEN);
    if (err == DR_ERR_NOT_FOUND || (err == DR_OK && !known)) {
        rest_answer_error(d->req, 404, NULL, "no such file");
    } else if (err != DR_OK) {
        rest_answer_err(d->req, err);
    } else {
        download_answer(d->req, image);
    }
}

static void download_get(struct rest_req *req)
{
    int64_t id = rest_path_id(req, 0);
    struct download *d = id == 0 ? NULL : rest_arena_alloc(&req->arena, sizeof *d);
    struct camp_images *images = rest_of(req)->config.images;

    if (d == NULL || images == NULL) {
        if (!rest_req_answered(req)) {
            rest_answer_err(req, DR_ERR_BUSY);
        }
        return;
    }
    d->req = req;
    d->get = (struct camp_image_get){.id = id, .cb = download_got};
    camp_image_get_start(images, &d->get);
}

static const struct rest_route routes[] = {
    {REST_GET, REST_READ, "/v3/firmware-images", images_get, 0},
    {REST_POST, REST_WRITE, "/v3/firmware-images", image_post, REST_BODY_STREAM},
    {REST_GET, REST_READ, "/v3/firmware-images/{}", image_get, 0},
    {REST_DELETE, REST_WRITE, "/v3/firmware-images/{}", image_delete, 0},
    {REST_GET, REST_OPEN, "/fw/{}/{}", download_get, 0},
};

const struct rest_routes rest_v3_firmware_images_routes = {routes, DR_ARRAY_LEN(routes)};
