/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/v3_firmware_manifests.c
 * @brief /v3/firmware-manifests: manifests as devices get them, read at upload.
 *
 * What no device could accept is refused with the check that it fails. Signatures are not verified:
 * which keys devices trust is known to them alone.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/rand.h"
#include "base/text.h"
#include "campaigns/image.h"
#include "db/campaign.h"
#include "manifest/manifest.h"
#include "rest/firmware.h"
#include "rest/list.h"
#include "rest/multipart.h"
#include "rest/one.h"
#include "rest/rest_priv.h"

/** Octets of a manifest and of a key table. */
#define FORM_FILE_MAX  (256UL * 1024)
#define FORM_MAX       (640UL * 1024)
#define FILE_NAME_LONG 100

static void manifest_write(struct rest_json *j, const struct db_manifest *m, const char *base)
{
    char id[DR_ID_LEN + 1], text[512];

    dr_id_format(m->id, id);
    rest_json_object(j, NULL);
    rest_json_str(j, "object", "firmware-manifest");
    rest_json_str(j, "id", id);
    rest_json_str(j, "name", m->name);
    rest_json_str(j, "description", m->description);
    (void)snprintf(text, sizeof text, "%s/fw-manifest/%s/%s", base, id, m->token);
    rest_json_str(j, "datafile", text);
    rest_json_int(j, "datafile_size", (int64_t)m->raw.len);
    if (m->key_table.len != 0) {
        (void)snprintf(text, sizeof text, "%s/fw-key-table/%s/%s", base, id, m->token);
        rest_json_str(j, "key_table", text);
    } else {
        rest_json_null(j, "key_table");
    }
    rest_json_time(j, "timestamp", m->timestamp_ms);
    rest_json_str(j, "device_class", m->class_id);
    rest_json_str(j, "device_vendor", m->vendor);
    rest_json_int(j, "manifest_schema_version", m->schema);
    if (m->priority < 0) {
        rest_json_null(j, "update_priority");
    } else {
        rest_json_int(j, "update_priority", m->priority);
    }
    rest_json_str(j, "delivered_payload_digest", m->payload_digest);
    rest_json_int(j, "delivered_payload_size", m->payload_size);
    rest_json_str(j, "delivered_payload_type", m->payload_type[0] == '\0' ? NULL : m->payload_type);
    rest_json_str(j, "delivered_payload_url", m->payload_url);
    rest_json_str(j, "precursor_payload_digest",
                  m->precursor_digest[0] == '\0' ? NULL : m->precursor_digest);
    rest_json_object(j, "parsed_raw_manifest");
    rest_json_str(j, "version", m->version);
    rest_json_str(j, "component", m->component);
    rest_json_str(j, "installed_digest", m->installed_digest);
    rest_json_object_end(j);
    rest_json_time(j, "created_at", DR_ID_MS(m->id));
    rest_json_time(j, "updated_at", m->updated_at);
    (void)snprintf(text, sizeof text, "%lld", (long long)m->updated_at);
    rest_json_str(j, "etag", text);
    rest_json_object_end(j);
}

/* ---- list ---- */

static const char *const filter_fields[] = {
    "id",           "name",      "datafile",   "datafile_size", "description",
    "device_class", "timestamp", "created_at", "updated_at",
};

static dr_err_t list_row(void *data, const struct db_manifest *row)
{
    struct rest_list_op *op = data;
    struct rest_json j = rest_json_of(&op->out);

    if (rest_list_row(op)) {
        manifest_write(&j, row, op->req->op);
    }
    return DR_OK;
}

static dr_err_t list_rows(struct db_reader *r, struct rest_list_op *op)
{
    return db_manifest_list(r, &op->query, list_row, op, &op->info);
}

static dr_err_t list_count(struct db_reader *r, struct rest_list_op *op, int64_t *ret)
{
    return db_manifest_count(r, &op->query, ret, &op->info);
}

static const struct rest_list_kind list_kind = {
    .list = DB_LIST_MANIFEST,
    .fields = filter_fields,
    .n_fields = DR_ARRAY_LEN(filter_fields),
    .rows = list_rows,
    .count = list_count,
    .conditions = rest_datafile_conditions,
};

static void manifests_get(struct rest_req *req)
{
    rest_list_start(req, &list_kind);
}

/* ---- one ---- */

/* All texts that stand in a row, made at upload. */
struct texts {
    char vendor[33], class_id[33], version[32], component[MANIFEST_COMPONENT_MAX + 1];
    char url[1025], digest[65], installed[65], precursor[65], token[DB_TOKEN_LEN + 1];
};

struct op {
    struct rest_one one;
    int64_t campaign; /* that needs it */
    const char *base;
    bool key_table; /* a download of that */
    /* upload */
    struct rest_form_text name, description, *text;
    struct dr_dynbuf file, table, *into;
    char filename[FILE_NAME_LONG + 1];
    struct texts texts;
    struct db_manifest row;
};

static struct op *op_of(struct rest_one *one)
{
    return DR_CONTAINER_OF(one, struct op, one);
}

static struct op *op_new(struct rest_req *req, int64_t id)
{
    const char *base = rest_base_url(req);

    if (base == NULL) {
        rest_answer_err(req, DR_ERR_NOMEM);
        return NULL;
    }
    struct op *op = rest_one_new(req, sizeof *op, id, "firmware manifest");
    if (op != NULL) {
        op->base = base;
        dr_dynbuf_init(&op->file, FORM_FILE_MAX);
        dr_dynbuf_init(&op->table, FORM_FILE_MAX);
    }
    return op;
}

static struct op *op_of_path(struct rest_req *req)
{
    int64_t id = rest_path_id(req, 0);

    return id == 0 ? NULL : op_new(req, id);
}

static void form_drop(struct op *op)
{
    dr_dynbuf_fini(&op->file);
    dr_dynbuf_fini(&op->table);
}

static dr_err_t row_write(void *data, const struct db_manifest *row)
{
    struct op *op = data;
    struct rest_json j = rest_json_of(&op->one.out);

    manifest_write(&j, row, op->base);
    return DR_OK;
}

static dr_err_t manifest_row_read(struct db_reader *r, struct rest_one *one)
{
    return db_manifest_get(r, one->account, one->id, row_write, op_of(one));
}

static void manifest_get(struct rest_req *req)
{
    struct op *op = op_of_path(req);

    if (op != NULL) {
        rest_one_read(&op->one, manifest_row_read);
    }
}

static dr_err_t delete_run(struct db_writer *w, struct rest_one *one)
{
    struct op *op = op_of(one);
    dr_err_t err = db_campaign_of_manifest(db_writer_reader(w), one->account, one->id,
                                           CAMP_NEEDS_FIRST, CAMP_NEEDS_LAST, &op->campaign);

    if (err == DR_OK && op->campaign != 0) {
        return DR_ERR_IN_USE;
    }
    return err == DR_OK ? db_manifest_delete(w, one->account, one->id) : err;
}

static void delete_done(struct rest_one *one, dr_err_t err)
{
    if (err == DR_ERR_IN_USE) {
        rest_answer_needed(one, "manifest", op_of(one)->campaign);
    } else {
        rest_one_end(one, err);
    }
}

static void manifest_delete(struct rest_req *req)
{
    struct op *op = op_of_path(req);

    if (op != NULL) {
        rest_one_write(&op->one, 204, delete_run, delete_done);
    }
}

/* ---- upload ---- */

static dr_err_t part_begin(void *data, const struct rest_part *part)
{
    struct op *op = data;
    bool file = strcmp(part->name, "datafile") == 0;
    bool table = strcmp(part->name, "key_table") == 0;

    op->text = NULL;
    op->into = file ? &op->file : table ? &op->table : NULL;
    if (op->into != NULL &&
        (dr_dynbuf_bytes(op->into).len != 0 || strlen(part->filename) > FILE_NAME_LONG)) {
        return DR_ERR_INVAL;
    }
    if (file) {
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

    if (op->into != NULL) {
        dr_dynbuf_append_bytes(op->into, bytes);
        return dr_dynbuf_err(op->into);
    }
    if (op->text != NULL) {
        rest_form_put(op->text, bytes);
    }
    return DR_OK;
}

static dr_err_t part_end(void *data)
{
    (void)data;
    return DR_OK;
}

static const struct rest_multipart_ops form_ops = {part_begin, part_bytes, part_end};

static void hex_put(char *out, size_t size, struct dr_bytes in)
{
    if (in.len * 2 < size) {
        dr_hex_encode(in.p, in.len, out);
    }
}

static void text_put(char *out, size_t size, struct dr_bytes in)
{
    if (in.len < size && dr_utf8_valid(in.p, in.len) && memchr(in.p, '\0', in.len) == NULL) {
        memcpy(out, in.p, in.len);
        out[in.len] = '\0';
    }
}

static void row_fill(struct op *op, const struct manifest *m)
{
    struct texts *t = &op->texts;
    const struct manifest_image *image = m->image_count == 0 ? NULL : &m->images[0];
    struct dr_bytes nothing = {0};

    hex_put(t->vendor, sizeof t->vendor, m->vendor);
    hex_put(t->class_id, sizeof t->class_id, m->class_id);
    hex_put(t->digest, sizeof t->digest, image == NULL ? nothing : image->digest);
    hex_put(t->precursor, sizeof t->precursor, image == NULL ? nothing : image->precursor);
    hex_put(t->installed, sizeof t->installed, m->has_installed ? m->installed_digest : nothing);
    text_put(t->component, sizeof t->component, m->component);
    if (image != NULL && image->uri.len != 0) {
        text_put(t->url, sizeof t->url, image->uri);
    }
    if (m->version_text.len != 0) {
        text_put(t->version, sizeof t->version, m->version_text);
    } else {
        (void)snprintf(t->version, sizeof t->version, "%llu", (unsigned long long)m->version);
    }
    uint8_t raw[DB_TOKEN_LEN / 2];
    dr_rand_bytes(raw, sizeof raw);
    dr_hex_encode(raw, sizeof raw, t->token);
    bool delta = image != NULL && image->precursor.len != 0;
    bool timed = m->format == MANIFEST_V1 && m->version <= (uint64_t)INT64_MAX / 1000;
    op->row = (struct db_manifest){
        .id = op->one.id,
        .account = op->one.account,
        .name = op->name.text,
        .description = op->description.text,
        .filename = op->filename,
        .token = t->token,
        .raw = dr_dynbuf_bytes(&op->file),
        .key_table = dr_dynbuf_bytes(&op->table),
        .schema = m->format,
        .timestamp_ms = timed ? (int64_t)m->version * 1000 : DR_ID_MS(op->one.id),
        .priority = m->has_priority && m->priority <= INT64_MAX ? (int64_t)m->priority : -1,
        .version = t->version,
        .vendor = t->vendor,
        .class_id = t->class_id,
        .component = t->component,
        .payload_type = image == NULL ? ""
                        : delta       ? "delta"
                                      : "full",
        .payload_url = t->url,
        .payload_digest = t->digest,
        .installed_digest = t->installed,
        .precursor_digest = t->precursor,
        .payload_size =
            image != NULL && image->has_size && image->size <= INT64_MAX ? (int64_t)image->size : 0,
        .updated_at = op->one.now_ms,
    };
}

/* Read it; false = answered. */
static bool manifest_read(struct op *op)
{
    /* whose keys its devices trust is not known here */
    static const struct manifest_means means = {.any_signer = true, .upload = true};
    struct manifest m;
    struct manifest_verdict verdict;

    manifest_check(dr_dynbuf_bytes(&op->file), &means, &verdict, &m);
    if (verdict.accepted) {
        row_fill(op, &m);
        return true;
    }
    char text[256];
    (void)snprintf(text, sizeof text, "no device can accept this manifest: %s: %s",
                   manifest_check_name(verdict.fault.check), verdict.fault.why);
    form_drop(op);
    rest_answer_error(op->one.req, 400, "validation_error", text);
    return false;
}

static dr_err_t insert_run(struct db_writer *w, struct rest_one *one)
{
    struct op *op = op_of(one);
    dr_err_t err = db_manifest_insert(w, &op->row);

    return err == DR_OK ? row_write(op, &op->row) : err;
}

static void insert_done(struct rest_one *one, dr_err_t err)
{
    form_drop(op_of(one));
    rest_one_end(one, err);
}

static bool form_read(struct op *op)
{
    struct rest_req *req = op->one.req;
    struct rest_multipart *form = rest_arena_alloc(&req->arena, sizeof *form);
    dr_err_t err = form == NULL ? DR_ERR_NOMEM
                                : rest_multipart_init(form, rest_req_header(req, "Content-Type"),
                                                      &form_ops, op);

    if (err == DR_OK) {
        err = rest_multipart_feed(form, req->body);
    }
    if (err == DR_OK) {
        err = rest_multipart_finish(form);
    }
    if (err == DR_ERR_TOO_LARGE) {
        rest_answer_error(req, 413, NULL, "the manifest is too large");
    } else if (err == DR_ERR_NOMEM) {
        rest_answer_err(req, err);
    } else if (err != DR_OK) {
        rest_answer_error(req, 400, NULL, "the body is not a form that can be read");
    } else if (dr_dynbuf_bytes(&op->file).len == 0) {
        rest_answer_error(req, 400, NULL, "the form has no part 'datafile', or an empty one");
    } else {
        return rest_form_check(req, &op->name, &op->description);
    }
    return false;
}

static void manifest_post(struct rest_req *req)
{
    struct op *op = op_new(req, dr_id_new(&rest_of(req)->ids));

    if (op == NULL) {
        return;
    }
    op->name.max = REST_FORM_NAME_MAX;
    op->description.max = REST_FORM_DESCRIPTION_MAX;
    if (!form_read(op)) {
        form_drop(op);
        return;
    }
    if (manifest_read(op)) {
        rest_one_write(&op->one, 201, insert_run, insert_done);
        if (rest_req_answered(req)) {
            form_drop(op);
        }
    }
}

/* ---- download ---- */

static dr_err_t bytes_take(void *data, const struct db_manifest *row)
{
    struct op *op = data;
    const char *token = rest_req_capture(op->one.req, 1);

    if (strlen(token) != DB_TOKEN_LEN || strlen(row->token) != DB_TOKEN_LEN ||
        !dr_ct_equal(token, row->token, DB_TOKEN_LEN)) {
        return DR_ERR_NOT_FOUND;
    }
    struct dr_bytes bytes = op->key_table ? row->key_table : row->raw;
    dr_dynbuf_append_bytes(&op->one.out, bytes);
    return bytes.len == 0 ? DR_ERR_NOT_FOUND : dr_dynbuf_err(&op->one.out);
}

static dr_err_t bytes_read(struct db_reader *r, struct rest_one *one)
{
    return db_manifest_get(r, 0, one->id, bytes_take, op_of(one));
}

static void bytes_done(struct rest_one *one, dr_err_t err)
{
    if (err != DR_OK) {
        rest_one_end(one, err);
    } else {
        rest_answer(one->req, 200, "application/octet-stream", &one->out);
    }
}

static void download(struct rest_req *req, bool key_table)
{
    struct op *op = op_of_path(req);

    if (op != NULL) {
        op->key_table = key_table;
        rest_one_read_then(&op->one, bytes_read, bytes_done);
    }
}

static void raw_get(struct rest_req *req)
{
    download(req, false);
}

static void table_get(struct rest_req *req)
{
    download(req, true);
}

static const struct rest_route routes[] = {
    {REST_GET, REST_READ, "/v3/firmware-manifests", manifests_get, 0},
    {REST_POST, REST_WRITE, "/v3/firmware-manifests", manifest_post, FORM_MAX},
    {REST_GET, REST_READ, "/v3/firmware-manifests/{}", manifest_get, 0},
    {REST_DELETE, REST_WRITE, "/v3/firmware-manifests/{}", manifest_delete, 0},
    {REST_GET, REST_OPEN, "/fw-manifest/{}/{}", raw_get, 0},
    {REST_GET, REST_OPEN, "/fw-key-table/{}/{}", table_get, 0},
};

const struct rest_routes rest_v3_firmware_manifests_routes = {routes, DR_ARRAY_LEN(routes)};
