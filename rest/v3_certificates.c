/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/v3_certificates.c
 * @brief /v3/trusted-certificates and /v3/developer-certificates.
 *
 * One id names both: a developer certificate is a trusted certificate that only it itself fulfils,
 * and whose private key is kept for its owner. A change is answered when handshakes see it and
 * what it ends has been closed.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "certs/developer.h"
#include "certs/install.h"
#include "db/cert.h"
#include "devices/trust.h"
#include "rest/list.h"
#include "rest/one.h"
#include "rest/rest_priv.h"

#define BODY_MAX 65536

static bool is_ready(struct rest_req *req)
{
    if (rest_of(req)->config.trust == NULL || rest_of(req)->config.install == NULL) {
        rest_answer_error(req, 503, NULL, "certificates are not available");
        return false;
    }
    return true;
}

static void trusted_write(struct rest_json *j, const struct db_trusted *t, int64_t now_ms)
{
    char pem[CERT_PEM_MAX], etag[24];

    (void)snprintf(etag, sizeof etag, "%lld", (long long)t->updated_at);
    rest_json_object(j, NULL);
    rest_json_str(j, "object", "trusted-cert");
    rest_json_id(j, "id", t->id);
    rest_json_id(j, "account_id", t->account);
    rest_json_str(j, "name", t->name);
    rest_json_str(j, "description", t->description);
    rest_json_str(j, "service", t->service);
    rest_json_str(j, "status", t->active ? "ACTIVE" : "INACTIVE");
    rest_json_str(j, "certificate",
                  cert_pem_write(t->certificate, pem, sizeof pem) == 0 ? "" : pem);
    rest_json_str(j, "certificate_fingerprint", t->fingerprint);
    rest_json_str(j, "issuer", t->issuer);
    rest_json_str(j, "subject", t->subject);
    rest_json_time(j, "validity", t->not_after);
    rest_json_bool(j, "valid", t->not_before <= now_ms && now_ms < t->not_after);
    rest_json_int(j, "device_execution_mode", t->execution_mode);
    rest_json_bool(j, "enrollment_mode", t->enrollment_mode);
    rest_json_id(j, "owner_id", t->owner);
    rest_json_time(j, "created_at", DR_ID_MS(t->id));
    rest_json_time(j, "updated_at", t->updated_at);
    rest_json_str(j, "etag", etag);
    rest_json_object_end(j);
}

/* ---- list ---- */

static const char *const fields[] = {
    "id",         "name",       "description", "service",         "status",
    "issuer",     "subject",    "owner",       "owner_id",        "certificate_fingerprint",
    "expire",     "validity",   "valid",       "enrollment_mode", "device_execution_mode",
    "created_at", "updated_at",
};

static dr_err_t list_row(void *data, const struct db_trusted *row)
{
    struct rest_list_op *op = data;
    struct rest_json j = rest_json_of(&op->out);

    if (rest_list_row(op)) {
        trusted_write(&j, row, dr_wall_ms());
    }
    return DR_OK;
}

static dr_err_t list_rows(struct db_reader *r, struct rest_list_op *op)
{
    return db_trusted_list(r, &op->query, list_row, op, &op->info);
}

static dr_err_t list_count(struct db_reader *r, struct rest_list_op *op, int64_t *ret)
{
    return db_trusted_count(r, &op->query, ret, &op->info);
}

static const struct rest_list_kind list_kind = {
    .list = DB_LIST_TRUSTED,
    .fields = fields,
    .n_fields = DR_ARRAY_LEN(fields),
    .rows = list_rows,
    .count = list_count,
};

static void trusted_list(struct rest_req *req)
{
    rest_list_start(req, &list_kind);
}

/* ---- one trusted certificate ---- */

struct op {
    struct rest_one one;
    struct dev_trust_reload reload;
    /* the body: NULL or -1 = leave */
    const char *name, *description, *service, *certificate;
    int active, enrollment_mode;
    bool has_description;
    /* of the certificate */
    uint8_t der[CERT_DER_MAX];
    size_t der_len;
    struct cert_info info;
    char fingerprint[2 * CERT_SHA256_LEN + 1];
    /* developer certificates */
    uint8_t key[CERT_KEY_DER_MAX];
    size_t key_len;
    char endpoint[DR_ID_LEN + 1];
};

static struct op *op_of(struct rest_one *one)
{
    return DR_CONTAINER_OF(one, struct op, one);
}

static dr_err_t row_write(void *data, const struct db_trusted *row)
{
    struct rest_one *one = data;
    struct rest_json j = rest_json_of(&one->out);

    trusted_write(&j, row, one->now_ms);
    return DR_OK;
}

static dr_err_t read_one(struct db_reader *r, struct rest_one *one)
{
    return db_trusted_get(r, one->account, one->id, row_write, one);
}

static void trusted_get(struct rest_req *req)
{
    struct op *op = rest_one_of_path(req, sizeof *op, "certificate");

    if (op != NULL) {
        rest_one_read(&op->one, read_one);
    }
}

static void choice(const json_t *json, const char *name, const char *first, const char *second,
                   const char **ret, struct rest_field_errors *errors)
{
    struct rest_str_rule rule = {.min = 1, .max = 16};

    if (rest_body_str(json, name, rule, true, ret, errors) && *ret != NULL &&
        strcmp(*ret, first) != 0 && strcmp(*ret, second) != 0) {
        rest_field_error_add(errors, name, "must be %s or %s", first, second);
    }
}

static void certificate_parse(struct op *op, struct rest_field_errors *errors)
{
    dr_err_t err =
        cert_upload_read(op->certificate, strlen(op->certificate), op->der, &op->der_len);

    if (err == DR_OK) {
        err = cert_info_read(dr_bytes_of(op->der, op->der_len), &op->info);
    }
    if (err != DR_OK) {
        rest_field_error_add(errors, "certificate",
                             "is not one X.509 certificate of at most %d bytes", CERT_DER_MAX);
        return;
    }
    dr_hex_encode(op->info.fingerprint, sizeof op->info.fingerprint, op->fingerprint);
}

static void required(const char *name, const char *value, struct rest_field_errors *errors)
{
    if (value == NULL) {
        rest_field_error_add(errors, name, "is required");
    }
}

static dr_err_t body_parse(struct op *op, bool create, struct rest_field_errors *errors)
{
    const json_t *json = op->one.json;
    struct rest_str_rule name = {.min = 1, .max = 100}, text = {.max = 500}, pem = {.min = 1};
    const char *status = NULL;
    bool enrollment = false;

    (void)rest_body_str(json, "name", name, false, &op->name, errors);
    op->has_description = json_object_get(json, "description") != NULL;
    (void)rest_body_str(json, "description", text, true, &op->description, errors);
    choice(json, "service", "lwm2m", "bootstrap", &op->service, errors);
    choice(json, "status", "ACTIVE", "INACTIVE", &status, errors);
    (void)rest_body_str(json, "certificate", pem, true, &op->certificate, errors);
    op->active = status == NULL ? -1 : strcmp(status, "ACTIVE") == 0;
    op->enrollment_mode = -1;
    json_t *mode = json_object_get(json, "enrollment_mode");
    if (mode != NULL && !json_is_null(mode) &&
        rest_body_bool(json, "enrollment_mode", &enrollment, errors)) {
        op->enrollment_mode = enrollment;
    }
    if (create) {
        required("name", op->name, errors);
        required("service", op->service, errors);
        required("certificate", op->certificate, errors);
    }
    if (errors->count == 0 && op->certificate != NULL) {
        certificate_parse(op, errors);
    }
    return errors->count == 0 ? DR_OK : DR_ERR_INVAL;
}

/* Committed: handshakes are to see it before the caller hears of it. */
static void reloaded(struct dev_trust_reload *reload, dr_err_t err)
{
    struct op *op = DR_CONTAINER_OF(reload, struct op, reload);

    rest_one_end(&op->one, err);
}

static void changed(struct rest_one *one, dr_err_t err)
{
    struct op *op = op_of(one);

    dr_wipe(op->key, sizeof op->key);
    if (err == DR_ERR_LIMIT) {
        rest_one_drop(one);
        rest_answer_error(one->req, 403, "account_limit_exceeded", "too many certificates");
        return;
    }
    if (err != DR_OK) {
        rest_one_end(one, err);
        return;
    }
    op->reload = (struct dev_trust_reload){.cb = reloaded};
    dev_trust_reload_start(rest_of(one->req)->config.trust, &op->reload);
}

static struct db_trusted row_of(const struct op *op)
{
    return (struct db_trusted){
        .id = op->one.id,
        .account = op->one.account,
        .updated_at = op->one.now_ms,
        .name = op->name,
        .description = op->description == NULL ? "" : op->description,
        .service = op->service,
        .active = op->active != 0,
        .enrollment_mode = op->enrollment_mode == 1,
        .owner = op->one.req->who.key,
        .subject = op->info.subject,
        .issuer = op->info.issuer,
        .fingerprint = op->fingerprint,
        .key_hash = dr_bytes_of(op->info.key_hash, sizeof op->info.key_hash),
        .not_before = op->info.not_before_ms,
        .not_after = op->info.not_after_ms,
        .certificate = dr_bytes_of(op->der, op->der_len),
        .endpoint_name = op->endpoint,
    };
}

static dr_err_t create_run(struct db_writer *w, struct rest_one *one)
{
    const struct db_trusted row = row_of(op_of(one));
    dr_err_t err = db_trusted_insert(w, &row, (struct dr_bytes){0});

    return err == DR_OK ? read_one(db_writer_reader(w), one) : err;
}

static void trusted_post(struct rest_req *req)
{
    struct rest_field_errors errors = {0};
    struct op *op =
        is_ready(req) ? rest_one_new(req, sizeof *op, dr_id_new(&rest_of(req)->ids), "certificate")
                      : NULL;

    if (op != NULL && rest_one_body(&op->one) &&
        rest_one_parsed(&op->one, body_parse(op, true, &errors), &errors)) {
        rest_one_write(&op->one, 201, create_run, changed);
    }
}

struct merge {
    struct op *op;
    struct db_writer *w;
};

/* The row as it was, with what the body changes. */
static dr_err_t merge(void *data, const struct db_trusted *old)
{
    struct merge *m = data;
    struct op *op = m->op;
    struct db_trusted row = *old;

    if (op->certificate != NULL && old->execution_mode == 1) {
        return DR_ERR_INVAL;
    }
    row.updated_at = op->one.now_ms;
    row.name = op->name == NULL ? row.name : op->name;
    row.description = op->has_description ? op->description : row.description;
    row.service = op->service == NULL ? row.service : op->service;
    row.active = op->active < 0 ? row.active : op->active == 1;
    row.enrollment_mode = op->enrollment_mode < 0 ? row.enrollment_mode : op->enrollment_mode == 1;
    if (op->certificate != NULL) {
        const struct db_trusted fresh = row_of(op);
        row.subject = fresh.subject;
        row.issuer = fresh.issuer;
        row.fingerprint = fresh.fingerprint;
        row.key_hash = fresh.key_hash;
        row.not_before = fresh.not_before;
        row.not_after = fresh.not_after;
        row.certificate = fresh.certificate;
    }
    return db_trusted_update(m->w, &row);
}

static dr_err_t update_run(struct db_writer *w, struct rest_one *one)
{
    struct merge m = {op_of(one), w};
    dr_err_t err = db_trusted_get(db_writer_reader(w), one->account, one->id, merge, &m);

    return err == DR_OK ? read_one(db_writer_reader(w), one) : err;
}

static void trusted_put(struct rest_req *req)
{
    struct rest_field_errors errors = {0};
    struct op *op = is_ready(req) ? rest_one_of_path(req, sizeof *op, "certificate") : NULL;

    if (op != NULL && rest_one_body(&op->one) &&
        rest_one_parsed(&op->one, body_parse(op, false, &errors), &errors)) {
        rest_one_write(&op->one, 200, update_run, changed);
    }
}

static dr_err_t delete_run(struct db_writer *w, struct rest_one *one)
{
    return db_trusted_delete(w, one->account, one->id);
}

static void trusted_delete(struct rest_req *req)
{
    struct op *op = is_ready(req) ? rest_one_of_path(req, sizeof *op, "certificate") : NULL;

    if (op != NULL) {
        rest_one_write(&op->one, 204, delete_run, changed);
    }
}

/* ---- developer certificates ---- */

static bool put_file(struct rest_json *j, const struct rest_config *config,
                     const struct db_trusted *t, struct dr_bytes key)
{
    char uri[320], account[DR_ID_LEN + 1];
    struct dr_dynbuf text;

    dr_id_format(t->account, account);
    (void)snprintf(uri, sizeof uri, "%s?aid=%s", config->bootstrap_uri, account);
    const struct cert_developer d = {
        .endpoint = t->endpoint_name,
        .account_id = account,
        .uri = uri,
        .device_der = t->certificate,
        .key_pkcs8 = key,
        .bootstrap_root_der =
            cert_authority_der(cert_install_authority(config->install, CERT_BOOTSTRAP_ROOT)),
        .server_root_der = dr_bytes_of(config->server_ca, config->server_ca_len),
    };
    dr_dynbuf_init(&text, CERT_DEVELOPER_FILE_MAX);
    cert_developer_file(&d, &text);
    bool ok = dr_dynbuf_err(&text) == DR_OK;
    rest_json_str(j, "security_file_content", dr_dynbuf_str(&text));
    if (text.p != NULL) {
        dr_wipe(text.p, text.len);
    }
    dr_dynbuf_fini(&text);
    return ok;
}

static dr_err_t developer_write(void *data, const struct db_trusted *t, struct dr_bytes private_key)
{
    struct rest_one *one = data;
    struct rest_json j = rest_json_of(&one->out);
    const struct rest_config *config = &rest_of(one->req)->config;
    char pem[CERT_PEM_MAX], key_pem[CERT_KEY_PEM_MAX], etag[24];
    struct cert_key *key = NULL;
    dr_err_t err = cert_key_from_der(private_key, &key);

    if (err != DR_OK || cert_pem_write(t->certificate, pem, sizeof pem) == 0 ||
        cert_key_pem(key, key_pem, sizeof key_pem) == 0) {
        cert_key_free(key);
        return DR_ERR_CORRUPT;
    }
    cert_key_free(key);
    (void)snprintf(etag, sizeof etag, "%lld", (long long)t->updated_at);
    rest_json_object(&j, NULL);
    rest_json_str(&j, "object", "trusted-cert");
    rest_json_id(&j, "id", t->id);
    rest_json_id(&j, "account_id", t->account);
    rest_json_str(&j, "name", t->name);
    rest_json_str(&j, "description", t->description);
    rest_json_str(&j, "developer_certificate", pem);
    rest_json_str(&j, "developer_private_key", key_pem);
    bool ok = put_file(&j, config, t, private_key);
    rest_json_time(&j, "created_at", DR_ID_MS(t->id));
    rest_json_str(&j, "etag", etag);
    rest_json_object_end(&j);
    dr_wipe(key_pem, sizeof key_pem);
    return ok ? DR_OK : DR_ERR_INTERNAL;
}

static dr_err_t developer_read(struct db_reader *r, struct rest_one *one)
{
    return db_developer_get(r, one->account, one->id, developer_write, one);
}

static void developer_get(struct rest_req *req)
{
    struct op *op =
        is_ready(req) ? rest_one_of_path(req, sizeof *op, "developer certificate") : NULL;

    if (op != NULL) {
        rest_one_read(&op->one, developer_read);
    }
}

static dr_err_t developer_run(struct db_writer *w, struct rest_one *one)
{
    const struct op *op = op_of(one);
    struct db_trusted row = row_of(op);

    row.service = "bootstrap";
    row.active = true;
    row.execution_mode = 1;
    dr_err_t err = db_trusted_insert(w, &row, dr_bytes_of(op->key, op->key_len));
    return err == DR_OK ? developer_read(db_writer_reader(w), one) : err;
}

/* Its endpoint name is its own id: unique, and no longer than a certificate can hold. */
static dr_err_t developer_make(struct op *op)
{
    char account[DR_ID_LEN + 1];
    const struct cert_install *install = rest_of(op->one.req)->config.install;
    struct cert_key *key = NULL;
    struct cert_issued cert;

    dr_id_format(op->one.account, account);
    dr_id_format(op->one.id, op->endpoint);
    const struct cert_subject subject = {.cn = op->endpoint, .ou = account};
    dr_err_t err = cert_key_generate(&key);
    if (err == DR_OK) {
        err = cert_issue_key(cert_install_authority(install, CERT_DEVELOPER_ISSUER), &subject,
                             CERT_USE_DEVICE, key, 0, &cert);
    }
    if (err == DR_OK) {
        op->key_len = cert_key_pkcs8(key, op->key, sizeof op->key);
        memcpy(op->der, cert.der, cert.len);
        op->der_len = cert.len;
        err = op->key_len == 0 ? DR_ERR_INTERNAL
                               : cert_info_read(dr_bytes_of(cert.der, cert.len), &op->info);
        dr_hex_encode(op->info.fingerprint, sizeof op->info.fingerprint, op->fingerprint);
    }
    cert_key_free(key);
    return err;
}

static void developer_post(struct rest_req *req)
{
    struct rest_field_errors errors = {0};
    struct rest_str_rule name = {.min = 1, .max = 100}, text = {.max = 500};
    struct op *op = is_ready(req) ? rest_one_new(req, sizeof *op, dr_id_new(&rest_of(req)->ids),
                                                 "developer certificate")
                                  : NULL;

    if (op == NULL || !rest_one_body(&op->one)) {
        return;
    }
    (void)rest_body_str(op->one.json, "name", name, false, &op->name, &errors);
    (void)rest_body_str(op->one.json, "description", text, true, &op->description, &errors);
    required("name", op->name, &errors);
    if (!rest_one_parsed(&op->one, errors.count == 0 ? DR_OK : DR_ERR_INVAL, &errors)) {
        return;
    }
    dr_err_t err = developer_make(op); /* 0.1 ms: not worth a pool thread */
    if (err != DR_OK) {
        dr_wipe(op->key, sizeof op->key);
        rest_one_drop(&op->one);
        rest_answer_err(req, err);
        return;
    }
    rest_one_write(&op->one, 201, developer_run, changed);
}

static const struct rest_route routes[] = {
    {REST_GET, REST_READ, "/v3/trusted-certificates", trusted_list, 0},
    {REST_POST, REST_WRITE, "/v3/trusted-certificates", trusted_post, BODY_MAX},
    {REST_GET, REST_READ, "/v3/trusted-certificates/{}", trusted_get, 0},
    {REST_PUT, REST_WRITE, "/v3/trusted-certificates/{}", trusted_put, BODY_MAX},
    {REST_DELETE, REST_WRITE, "/v3/trusted-certificates/{}", trusted_delete, 0},
    {REST_POST, REST_WRITE, "/v3/developer-certificates", developer_post, BODY_MAX},
    {REST_GET, REST_WRITE, "/v3/developer-certificates/{}", developer_get, 0},
};

const struct rest_routes rest_v3_certificates_routes = {routes, DR_ARRAY_LEN(routes)};
