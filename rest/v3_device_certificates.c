/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/v3_device_certificates.c
 * @brief /v3/drover/device-certificates: certificates that devices have from us, and revocation of
 * any certificate of a device of the account.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "db/cert.h"
#include "devices/trust.h"
#include "rest/one.h"
#include "rest/rest_priv.h"

#define PAGE_MAX 1000
#define BODY_MAX 65536

struct op {
    struct rest_one one;
    struct dev_trust_reload reload;
    struct rest_json j;
    int64_t after;
    uint32_t limit, count;
    const char *endpoint;
    bool has_certificate;
    struct cert_info info;
};

static struct op *op_of(struct rest_one *one)
{
    return DR_CONTAINER_OF(one, struct op, one);
}

static void row_write(struct rest_json *j, const struct db_device_cert *row)
{
    char hex[2 * CERT_SHA256_LEN + 1] = "";

    if (row->fingerprint.len == CERT_SHA256_LEN) {
        dr_hex_encode(row->fingerprint.p, row->fingerprint.len, hex);
    }
    rest_json_object(j, NULL);
    rest_json_str(j, "object", "device-certificate");
    rest_json_id(j, "id", row->id);
    rest_json_str(j, "endpoint_name", row->endpoint_name);
    rest_json_str(j, "name", row->name);
    rest_json_str(j, "serial", row->serial);
    rest_json_str(j, "fingerprint", hex);
    rest_json_str(j, "status", row->state == DB_CERT_REVOKED ? "revoked" : "active");
    rest_json_time(j, "validity", row->not_after);
    rest_json_time(j, "created_at", DR_ID_MS(row->id));
    rest_json_time(j, "updated_at", row->updated_at);
    rest_json_object_end(j);
}

/* ---- list ---- */

static dr_err_t list_row(void *data, const struct db_device_cert *row)
{
    struct op *op = data;

    if (op->count++ < op->limit) {
        row_write(&op->j, row);
    }
    return DR_OK;
}

static dr_err_t list_read(struct db_reader *r, struct rest_one *one)
{
    struct op *op = op_of(one);

    op->count = 0;
    op->j = rest_json_of(&one->out);
    rest_json_object(&op->j, NULL);
    rest_json_str(&op->j, "object", "list");
    rest_json_int(&op->j, "limit", op->limit);
    rest_json_array(&op->j, "data");
    dr_err_t err =
        db_device_cert_list(r, one->account, op->endpoint, op->after, op->limit + 1, list_row, op);
    rest_json_array_end(&op->j);
    rest_json_bool(&op->j, "has_more", op->count > op->limit);
    rest_json_object_end(&op->j);
    return err;
}

static void list_get(struct rest_req *req)
{
    struct op *op = rest_one_new(req, sizeof *op, 0, "certificate");
    const char *after = rest_target_arg(&req->target, "after");
    const char *limit = rest_target_arg(&req->target, "limit");
    uint64_t n = 50;

    if (op == NULL) {
        return;
    }
    op->endpoint = rest_target_arg(&req->target, "endpoint_name__eq");
    if ((after != NULL && dr_id_parse(after, strlen(after), &op->after) != DR_OK) ||
        (limit != NULL && dr_parse_u64(limit, strlen(limit), &n) != DR_OK)) {
        rest_one_drop(&op->one);
        rest_answer_error(req, 400, NULL, "after is an id and limit a number");
        return;
    }
    op->limit = n < 2 ? 2 : n > PAGE_MAX ? PAGE_MAX : (uint32_t)n;
    rest_one_read(&op->one, list_read);
}

/* ---- revocation ---- */

static dr_err_t revoke_run(struct db_writer *w, struct rest_one *one)
{
    struct op *op = op_of(one);
    struct rest_json j = rest_json_of(&one->out);
    int64_t count = 1;
    dr_err_t err;

    if (op->has_certificate) {
        const struct db_device_cert row = {
            .id = one->id,
            .account = one->account,
            .updated_at = one->now_ms,
            .endpoint_name = op->info.cn,
            .name = "",
            .serial = op->info.serial,
            .fingerprint = dr_bytes_of(op->info.fingerprint, sizeof op->info.fingerprint),
            .not_after = op->info.not_after_ms,
        };
        err = db_device_cert_revoke(w, &row);
    } else {
        err = db_device_cert_revoke_all(w, one->account, op->endpoint, one->now_ms, &count);
    }
    rest_json_object(&j, NULL);
    rest_json_str(&j, "endpoint_name", op->has_certificate ? op->info.cn : op->endpoint);
    rest_json_int(&j, "revoked", count);
    rest_json_object_end(&j);
    return err;
}

static void reloaded(struct dev_trust_reload *reload, dr_err_t err)
{
    struct op *op = DR_CONTAINER_OF(reload, struct op, reload);

    rest_one_end(&op->one, err);
}

static void revoked(struct rest_one *one, dr_err_t err)
{
    struct op *op = op_of(one);

    if (err != DR_OK) {
        rest_one_end(one, err);
        return;
    }
    op->reload = (struct dev_trust_reload){.cb = reloaded, .account = one->account};
    (void)snprintf(op->reload.endpoint, sizeof op->reload.endpoint, "%s",
                   op->has_certificate ? op->info.cn : op->endpoint);
    dev_trust_reload_start(rest_of(one->req)->config.trust, &op->reload);
}

static dr_err_t body_parse(struct op *op, struct rest_field_errors *errors)
{
    struct rest_str_rule name = {.min = 1, .max = CERT_NAME_MAX}, pem = {.min = 1};
    const char *text = NULL;
    uint8_t der[CERT_DER_MAX];
    size_t len = 0;

    (void)rest_body_str(op->one.json, "endpoint_name", name, true, &op->endpoint, errors);
    (void)rest_body_str(op->one.json, "certificate", pem, true, &text, errors);
    if (errors->count == 0 && (op->endpoint == NULL) == (text == NULL)) {
        rest_field_error_add(errors, "certificate", "or endpoint_name is required, one of them");
    }
    if (errors->count == 0 && text != NULL) {
        op->has_certificate = true;
        if (cert_upload_read(text, strlen(text), der, &len) != DR_OK ||
            cert_info_read(dr_bytes_of(der, len), &op->info) != DR_OK) {
            rest_field_error_add(errors, "certificate", "is not one X.509 certificate");
        }
    }
    return errors->count == 0 ? DR_OK : DR_ERR_INVAL;
}

static void revoke_post(struct rest_req *req)
{
    struct rest_field_errors errors = {0};
    struct op *op = rest_one_new(req, sizeof *op, dr_id_new(&rest_of(req)->ids), "certificate");

    if (op == NULL) {
        return;
    }
    if (rest_of(req)->config.trust == NULL) {
        rest_one_drop(&op->one);
        rest_answer_error(req, 503, NULL, "certificates are not available");
        return;
    }
    if (rest_one_body(&op->one) && rest_one_parsed(&op->one, body_parse(op, &errors), &errors)) {
        rest_one_write(&op->one, 200, revoke_run, revoked);
    }
}

static const struct rest_route routes[] = {
    {REST_GET, REST_READ, "/v3/drover/device-certificates", list_get, 0},
    {REST_POST, REST_WRITE, "/v3/drover/device-certificates/revoke", revoke_post, BODY_MAX},
};

const struct rest_routes rest_v3_device_certificates_routes = {routes, DR_ARRAY_LEN(routes)};
