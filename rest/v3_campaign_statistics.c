/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/v3_campaign_statistics.c
 * @brief /v3/update-campaigns/{}/statistics and /metrics: how many devices are where.
 */
#include <string.h>

#include "rest/campaign.h"
#include "rest/filter.h"
#include "rest/one.h"
#include "rest/rest_priv.h"

struct op {
    struct rest_one one;
    struct rest_page page;
    const char *bucket, *code; /* from the path; NULL = all */
    bool found;
};

struct stats_data {
    struct op *op;
    struct rest_json j;
    int64_t created_at, phase;
    int64_t count[CAMP_BUCKETS];
};

static const char *bucket_upper(enum camp_bucket b)
{
    static const char *const names[CAMP_BUCKETS] = {"INFO", "SUCCESS", "FAIL", "SKIPPED"};

    return names[b];
}

static void summary_write(struct stats_data *d, enum camp_bucket b)
{
    rest_json_object(&d->j, NULL);
    rest_json_str(&d->j, "object", "summary_status");
    rest_json_str(&d->j, "id", camp_bucket_name(b));
    rest_json_id(&d->j, "campaign_id", d->op->one.id);
    rest_json_int(&d->j, "count", d->count[b]);
    rest_json_time(&d->j, "created_at", d->created_at);
    rest_json_str(&d->j, "summary_status", bucket_upper(b));
    rest_json_object_end(&d->j);
}

static dr_err_t stats_count(void *data, int64_t bucket, const char *code, int64_t n)
{
    struct stats_data *d = data;

    (void)code;
    if (bucket >= 0 && bucket < CAMP_BUCKETS) {
        d->count[bucket] += n;
    }
    return DR_OK;
}

static dr_err_t stats_campaign(void *data, const struct db_campaign *row)
{
    struct stats_data *d = data;

    d->created_at = row->started_at != 0 ? row->started_at : DR_ID_MS(row->id);
    d->phase = row->phase;
    return DR_OK;
}

static dr_err_t stats_find(struct db_reader *r, struct stats_data *d)
{
    dr_err_t err = db_campaign_get(r, d->op->one.account, d->op->one.id, stats_campaign, d);

    return err == DR_OK ? db_campaign_codes(r, d->op->one.id, stats_count, d) : err;
}

static dr_err_t stats_read(struct db_reader *r, struct rest_one *one)
{
    struct op *op = DR_CONTAINER_OF(one, struct op, one);
    struct stats_data d = {.op = op, .j = rest_json_of(&op->one.out)};
    dr_err_t err = stats_find(r, &d);

    if (err != DR_OK) {
        return err;
    }
    if (op->bucket != NULL) {
        int64_t b = rest_campaign_bucket(op->bucket);
        if (b < 0) {
            return DR_ERR_NOT_FOUND;
        }
        summary_write(&d, (enum camp_bucket)b);
        return DR_OK;
    }
    rest_list_begin(&d.j, &op->page);
    for (int b = 0; b < CAMP_BUCKETS; b++) {
        summary_write(&d, (enum camp_bucket)b);
    }
    rest_list_end(&d.j, false, CAMP_BUCKETS);
    return DR_OK;
}

static void stats_start(struct rest_req *req, bool one)
{
    struct op *op = rest_one_of_path(req, sizeof *op, "campaign");

    if (op != NULL) {
        op->page = (struct rest_page){.limit = REST_PAGE_LIMIT_DEFAULT};
        op->bucket = one ? rest_req_capture(req, 1) : NULL;
        rest_one_read(&op->one, stats_read);
    }
}

static void statistics_get(struct rest_req *req)
{
    stats_start(req, false);
}

static void statistic_get(struct rest_req *req)
{
    stats_start(req, true);
}

static void code_lower(const char *code, char out[CAMP_CODE_MAX + 1])
{
    size_t i = 0;

    for (; i < CAMP_CODE_MAX && code[i] != '\0'; i++) {
        out[i] = code[i] >= 'A' && code[i] <= 'Z' ? (char)(code[i] + 32) : code[i];
    }
    out[i] = '\0';
}

static dr_err_t type_row(void *data, int64_t bucket, const char *code, int64_t n)
{
    struct stats_data *d = data;
    struct op *op = d->op;
    char id[CAMP_CODE_MAX + 1];

    code_lower(code, id);
    if (bucket != rest_campaign_bucket(op->bucket) ||
        (op->code != NULL && strcasecmp(op->code, id) != 0)) {
        return DR_OK;
    }
    op->found = true;
    d->count[0]++;
    rest_json_object(&d->j, NULL);
    rest_json_str(&d->j, "object", "event-type");
    rest_json_str(&d->j, "id", id);
    rest_json_id(&d->j, "campaign_id", op->one.id);
    rest_json_int(&d->j, "count", n);
    rest_json_time(&d->j, "created_at", d->created_at);
    rest_json_str(&d->j, "event_type", code);
    rest_json_str(&d->j, "description", camp_code_text(code));
    rest_json_str(&d->j, "summary_status", bucket_upper((enum camp_bucket)bucket));
    rest_json_str(&d->j, "summary_status_id", camp_bucket_name((enum camp_bucket)bucket));
    rest_json_object_end(&d->j);
    return DR_OK;
}

static dr_err_t types_read(struct db_reader *r, struct rest_one *one)
{
    struct op *op = DR_CONTAINER_OF(one, struct op, one);
    struct stats_data d = {.op = op, .j = rest_json_of(&op->one.out)};
    dr_err_t err = db_campaign_get(r, op->one.account, op->one.id, stats_campaign, &d);

    if (err == DR_OK && rest_campaign_bucket(op->bucket) < 0) {
        err = DR_ERR_NOT_FOUND;
    }
    if (err != DR_OK) {
        return err;
    }
    if (op->code == NULL) {
        rest_list_begin(&d.j, &op->page);
    }
    err = db_campaign_codes(r, op->one.id, type_row, &d);
    if (op->code == NULL) {
        rest_list_end(&d.j, false, d.count[0]);
    } else if (err == DR_OK && !op->found) {
        err = DR_ERR_NOT_FOUND;
    }
    return err;
}

static void types_start(struct rest_req *req, bool one)
{
    struct op *op = rest_one_of_path(req, sizeof *op, "campaign");

    if (op != NULL) {
        op->page = (struct rest_page){.limit = REST_PAGE_LIMIT_MAX};
        op->bucket = rest_req_capture(req, 1);
        op->code = one ? rest_req_capture(req, 2) : NULL;
        rest_one_read(&op->one, types_read);
    }
}

static void event_types_get(struct rest_req *req)
{
    types_start(req, false);
}

static void event_type_get(struct rest_req *req)
{
    types_start(req, true);
}

static dr_err_t metrics_read(struct db_reader *r, struct rest_one *one)
{
    struct op *op = DR_CONTAINER_OF(one, struct op, one);
    struct stats_data d = {.op = op, .j = rest_json_of(&op->one.out)};
    dr_err_t err = stats_find(r, &d);

    if (err == DR_OK && d.phase < CAMP_STARTING) {
        err = DR_ERR_NOT_FOUND; /* not started */
    }
    if (err != DR_OK) {
        return err;
    }
    rest_json_object(&d.j, NULL);
    rest_json_str(&d.j, "object", "update-campaign-metrics");
    rest_json_time(&d.j, "created_at", d.created_at);
    rest_json_int(&d.j, "total_count",
                  d.count[CAMP_INFO] + d.count[CAMP_SUCCESS] + d.count[CAMP_FAIL] +
                      d.count[CAMP_SKIP]);
    rest_json_int(&d.j, "pending_count", d.count[CAMP_INFO]);
    rest_json_int(&d.j, "success_count", d.count[CAMP_SUCCESS]);
    rest_json_int(&d.j, "failed_count", d.count[CAMP_FAIL]);
    rest_json_int(&d.j, "skipped_count", d.count[CAMP_SKIP]);
    rest_json_object_end(&d.j);
    return DR_OK;
}

static void metrics_get(struct rest_req *req)
{
    struct op *op = rest_one_of_path(req, sizeof *op, "campaign");

    if (op != NULL) {
        rest_one_read(&op->one, metrics_read);
    }
}

#define BASE "/v3/update-campaigns/{}"
static const struct rest_route routes[] = {
    {REST_GET, REST_READ, BASE "/metrics", metrics_get, 0},
    {REST_GET, REST_READ, BASE "/statistics", statistics_get, 0},
    {REST_GET, REST_READ, BASE "/statistics/{}", statistic_get, 0},
    {REST_GET, REST_READ, BASE "/statistics/{}/event_types", event_types_get, 0},
    {REST_GET, REST_READ, BASE "/statistics/{}/event_types/{}", event_type_get, 0},
};

const struct rest_routes rest_v3_campaign_statistics_routes = {routes, DR_ARRAY_LEN(routes)};
