/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/v3_campaign_devices.c
 * @brief /v3/update-campaigns/{}: its devices, why one is where it is, who would be taken.
 */
#include <string.h>

#include "base/clock.h"
#include "campaigns/plan.h"
#include "db/registration.h"
#include "rest/campaign.h"
#include "rest/filter.h"
#include "rest/one.h"
#include "rest/rest_priv.h"

struct op {
    struct rest_one one;
    int64_t device;
    struct rest_page page;
    const char *bucket; /* only devices of that summary; NULL = all */
    const struct camp_engine *engine;
};

struct phase_of {
    int64_t phase;
};

static dr_err_t phase_row(void *data, const struct db_campaign *row)
{
    ((struct phase_of *)data)->phase = row->phase;
    return DR_OK;
}

static void device_write(struct rest_json *j, const struct db_campaign_device *d, bool stopped)
{
    rest_json_object(j, NULL);
    rest_json_str(j, "object", "update-campaign-device-metadata");
    rest_json_id(j, "id", d->id);
    rest_json_id(j, "campaign", d->campaign);
    rest_json_id(j, "device_id", d->device);
    rest_json_time(j, "created_at", DR_ID_MS(d->id));
    rest_json_time(j, "updated_at", d->updated_at);
    rest_json_time(j, "etag", d->updated_at);
    rest_json_str(j, "name", "default_object_name");
    rest_json_str(j, "description", "");
    rest_json_str(j, "deployment_state", camp_deployment_state(d, stopped));
    rest_json_str(j, "mechanism", "connector");
    rest_json_str(j, "mechanism_url", "");
    rest_json_str(j, "x_status", camp_status_name(d->status));
    rest_json_str(j, "x_summary", camp_bucket_name((enum camp_bucket)d->bucket));
    rest_json_str(j, "x_code", d->code);
    rest_json_str(j, "x_reason", d->reason);
    rest_json_int(j, "x_attempts", d->attempt);
    rest_json_int(j, "x_wave", d->wave + 1);
    rest_json_str(j, "x_from_version", d->from_version[0] == '\0' ? NULL : d->from_version);
    rest_json_time(j, "x_not_before", d->not_before);
    rest_json_object_end(j);
}

struct devices_data {
    struct op *op;
    struct rest_json j;
    bool stopped, has_more;
    uint32_t n;
    int64_t total;
};

static dr_err_t devices_row(void *data, const struct db_campaign_device *row)
{
    struct devices_data *d = data;

    if (d->n == d->op->page.limit) {
        d->has_more = true;
        return DR_OK;
    }
    d->n++;
    device_write(&d->j, row, d->stopped);
    return DR_OK;
}

static dr_err_t devices_count(void *data, int64_t bucket, const char *code, int64_t n)
{
    struct devices_data *d = data;
    int64_t only = rest_campaign_bucket(d->op->bucket);

    (void)code;
    d->total += only < 0 || only == bucket ? n : 0;
    return DR_OK;
}

static dr_err_t devices_read(struct db_reader *r, struct rest_one *one)
{
    struct op *op = DR_CONTAINER_OF(one, struct op, one);
    struct devices_data d = {.op = op, .j = rest_json_of(&op->one.out)};
    struct phase_of phase = {0};
    const struct db_query query = {.account = op->one.account,
                                   .order = op->page.desc ? DB_DESC : DB_ASC,
                                   .after = op->page.after,
                                   .limit = op->page.limit + 1};
    dr_err_t err = db_campaign_get(r, op->one.account, op->one.id, phase_row, &phase);

    if (err != DR_OK) {
        return err;
    }
    d.stopped = phase.phase >= CAMP_STOPPED;
    rest_list_begin(&d.j, &op->page);
    err = db_campaign_device_list(r, op->one.id, &query, rest_campaign_bucket(op->bucket),
                                  devices_row, &d);
    if (err == DR_OK) {
        err = db_campaign_codes(r, op->one.id, devices_count, &d);
    }
    rest_list_end(&d.j, d.has_more, d.total);
    return err != DR_OK ? err : dr_dynbuf_err(&op->one.out);
}

static void devices_get(struct rest_req *req)
{
    struct rest_field_errors errors = {0};
    struct op *op = rest_one_of_path(req, sizeof *op, "campaign");

    if (op == NULL) {
        return;
    }
    if (!rest_one_parsed(&op->one, rest_page_parse(&req->target, false, &op->page, &errors),
                         &errors)) {
        return;
    }
    op->bucket = rest_target_arg(&req->target, "x_summary__eq");
    rest_one_read(&op->one, devices_read);
}

static dr_err_t device_row(void *data, const struct db_campaign_device *row)
{
    struct devices_data *d = data;

    device_write(&d->j, row, d->stopped);
    return DR_OK;
}

static dr_err_t device_read(struct db_reader *r, struct rest_one *one)
{
    struct op *op = DR_CONTAINER_OF(one, struct op, one);
    struct devices_data d = {.op = op, .j = rest_json_of(&op->one.out)};
    struct phase_of phase = {0};
    dr_err_t err = db_campaign_get(r, op->one.account, op->one.id, phase_row, &phase);

    d.stopped = phase.phase >= CAMP_STOPPED;
    return err == DR_OK
               ? db_campaign_device_get(r, op->one.account, op->one.id, op->device, device_row, &d)
               : err;
}

static void device_get(struct rest_req *req)
{
    struct op *op = rest_one_of_path(req, sizeof *op, "campaign");

    if (op != NULL && (op->device = rest_path_id(req, 1)) != 0) {
        rest_one_read(&op->one, device_read);
    }
}

/* ---- explain ---- */

struct explain_data {
    struct db_reader *r;
    struct op *op;
    const struct db_campaign *campaign;
    struct db_campaign_wave waves[CAMP_WAVES_MAX];
    size_t n_waves;
    bool registered;
};

static dr_err_t explain_registration(void *data, const struct db_registration *row)
{
    ((struct explain_data *)data)->registered = row->registered;
    return DR_OK;
}

static dr_err_t explain_wave(void *data, const struct db_campaign_wave *row)
{
    struct explain_data *d = data;

    if (d->n_waves < CAMP_WAVES_MAX) {
        d->waves[d->n_waves++] = *row;
    }
    return DR_OK;
}

static dr_err_t explain_device(void *data, const struct db_campaign_device *row)
{
    struct explain_data *d = data;
    struct rest_json j = rest_json_of(&d->op->one.out);
    char text[CAMP_EXPLAIN_MAX + 1];

    camp_explain(d->campaign, d->waves, d->n_waves, row, d->registered, dr_wall_ms(), text);
    rest_json_object(&j, NULL);
    rest_json_str(&j, "object", "update-campaign-explanation");
    rest_json_id(&j, "campaign_id", d->op->one.id);
    rest_json_id(&j, "device_id", d->op->device);
    rest_json_str(&j, "status", camp_status_name(row->status));
    rest_json_str(&j, "code", row->code);
    rest_json_str(&j, "explanation", text);
    rest_json_object_end(&j);
    return DR_OK;
}

static dr_err_t explain_campaign(void *data, const struct db_campaign *row)
{
    struct explain_data *d = data;
    struct op *op = d->op;

    d->campaign = row;
    dr_err_t err = db_registration_get(d->r, op->one.account, op->device, explain_registration, d);
    if (err == DR_OK || err == DR_ERR_NOT_FOUND) {
        err = db_campaign_waves(d->r, op->one.id, explain_wave, d);
    }
    if (err == DR_OK) {
        err = db_campaign_device_find(d->r, op->one.account, op->one.id, op->device, explain_device,
                                      d);
    }
    if (err == DR_ERR_NOT_FOUND) {
        struct rest_json j = rest_json_of(&op->one.out);
        rest_json_object(&j, NULL);
        rest_json_str(&j, "object", "update-campaign-explanation");
        rest_json_id(&j, "campaign_id", op->one.id);
        rest_json_id(&j, "device_id", op->device);
        rest_json_str(&j, "status", "absent");
        rest_json_null(&j, "code");
        rest_json_str(&j, "explanation",
                      row->phase < CAMP_ACTIVE
                          ? "the campaign has not looked for its devices yet"
                          : "the device did not match the filter when the campaign began");
        rest_json_object_end(&j);
        err = DR_OK;
    }
    return err;
}

static dr_err_t explain_read(struct db_reader *r, struct rest_one *one)
{
    struct op *op = DR_CONTAINER_OF(one, struct op, one);
    struct explain_data d = {.r = r, .op = op};

    return db_campaign_get(r, op->one.account, op->one.id, explain_campaign, &d);
}

static void explain_get(struct rest_req *req)
{
    struct op *op = rest_one_of_path(req, sizeof *op, "campaign");

    if (op != NULL && (op->device = rest_path_id(req, 1)) != 0) {
        rest_one_read(&op->one, explain_read);
    }
}

/* ---- dry run ---- */

struct dry {
    struct op *op;
    struct rest_json j;
    uint32_t n;
    bool has_more;
};

static dr_err_t dry_device(void *data, const struct camp_verdict_of_device *v)
{
    struct dry *d = data;

    if (v->device <= d->op->page.after) {
        return DR_OK;
    }
    if (d->n == d->op->page.limit) {
        d->has_more = true; /* the rest is only counted */
        return DR_OK;
    }
    d->n++;
    rest_json_object(&d->j, NULL);
    rest_json_str(&d->j, "object", "update-campaign-dry-run-device");
    rest_json_id(&d->j, "id", v->device);
    rest_json_int(&d->j, "wave", v->wave + 1);
    rest_json_bool(&d->j, "would_update", v->code == NULL);
    rest_json_str(&d->j, "code", v->code);
    rest_json_str(&d->j, "reason", v->code == NULL ? NULL : camp_code_text(v->code));
    rest_json_bool(&d->j, "registered", v->registered);
    rest_json_object_end(&d->j);
    return DR_OK;
}

static dr_err_t dry_read(struct db_reader *r, struct rest_one *one)
{
    struct op *op = DR_CONTAINER_OF(one, struct op, one);
    struct dry d = {.op = op, .j = rest_json_of(&one->out)};
    struct camp_plan plan;

    rest_json_object(&d.j, NULL);
    rest_json_str(&d.j, "object", "update-campaign-dry-run");
    rest_json_id(&d.j, "campaign_id", one->id);
    rest_json_int(&d.j, "limit", op->page.limit);
    rest_json_array(&d.j, "data");
    dr_err_t err = camp_plan(op->engine, r, one->account, one->id, dry_device, &d, &plan);
    rest_json_array_end(&d.j);
    rest_json_bool(&d.j, "has_more", d.has_more);
    rest_json_int(&d.j, "total_count", plan.total);
    rest_json_int(&d.j, "other_campaign_count", plan.conflicts);
    rest_json_int(&d.j, "wrong_kind_count", plan.wrong_kind);
    rest_json_int(&d.j, "unregistered_count", plan.unregistered);
    rest_json_array(&d.j, "waves");
    for (size_t w = 0; w < plan.n_waves; w++) {
        rest_json_object(&d.j, NULL);
        rest_json_int(&d.j, "wave", (int64_t)w + 1);
        rest_json_int(&d.j, "total_count", plan.devices[w]);
        rest_json_int(&d.j, "update_count", plan.updated[w]);
        rest_json_object_end(&d.j);
    }
    rest_json_array_end(&d.j);
    rest_json_object_end(&d.j);
    return err != DR_OK ? err : dr_dynbuf_err(&one->out);
}

static void dry_done(struct rest_one *one, dr_err_t err)
{
    struct rest_field_errors errors = {0};

    if (err == DR_ERR_INVAL) {
        rest_field_error_add(&errors, "root_manifest_id",
                             "the campaign has no manifest, or one that cannot be used");
        (void)rest_one_parsed(one, err, &errors);
    } else {
        rest_one_end(one, err);
    }
}

static void dry_get(struct rest_req *req)
{
    struct rest_field_errors errors = {0};
    struct op *op = rest_one_of_path(req, sizeof *op, "campaign");

    if (op == NULL ||
        !rest_one_parsed(&op->one, rest_page_parse(&req->target, false, &op->page, &errors),
                         &errors)) {
        return;
    }
    op->engine = rest_of(req)->config.campaigns;
    if (op->engine == NULL) {
        rest_one_end(&op->one, DR_ERR_CANCELED);
        return;
    }
    rest_one_read_then(&op->one, dry_read, dry_done);
}

#define BASE "/v3/update-campaigns/{}"
static const struct rest_route routes[] = {
    {REST_GET, REST_READ, BASE "/campaign-device-metadata", devices_get, 0},
    {REST_GET, REST_READ, BASE "/campaign-device-metadata/{}", device_get, 0},
    {REST_GET, REST_READ, BASE "/devices/{}/explain", explain_get, 0},
    {REST_GET, REST_READ, BASE "/dry-run", dry_get, 0},
};

const struct rest_routes rest_v3_campaign_devices_routes = {routes, DR_ARRAY_LEN(routes)};
