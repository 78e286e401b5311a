/* SPDX-License-Identifier: Apache-2.0 */
#include "rest/rest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/metrics.h"
#include "rest/hub.h"
#include "rest/rest_priv.h"

/* ---- helpers of the services ---- */

void rest_read_start(struct rest_req *req, struct db_read *read, db_read_fn *fn,
                     db_read_done_fn *done)
{
    dr_assert(req != NULL && read != NULL && fn != NULL && done != NULL);
    *read = (struct db_read){.home = rest_of(req)->loop, .fn = fn, .done = done};
    dr_err_t err = db_read_start(rest_of(req)->db, read);
    if (err != DR_OK) {
        rest_answer_err(req, err);
    }
}

void rest_job_start(struct rest_req *req, struct db_job *job, db_job_run_fn *run,
                    db_job_done_fn *done)
{
    dr_assert(req != NULL && job != NULL && run != NULL && done != NULL);
    *job =
        (struct db_job){.home = rest_of(req)->loop, .run = run, .done = done, .lane = DB_LANE_ACK};
    dr_err_t err = db_submit(rest_of(req)->db, job);
    if (err != DR_OK) {
        rest_answer_err(req, err);
    }
}

bool rest_body_parse(struct rest_req *req, json_t **ret)
{
    dr_assert(req != NULL && ret != NULL);
    struct dr_errinfo info = {0};
    dr_err_t err = rest_json_parse(req->body, ret, &info);

    if (err == DR_ERR_NOMEM) {
        rest_answer_err(req, err);
    } else if (err != DR_OK) {
        char text[256];
        (void)snprintf(text, sizeof text, "the body is not valid JSON: %s", info.text);
        rest_answer_error(req, 400, NULL, req->target.v2 ? "MALFORMED_JSON_CONTENT" : text);
    }
    return err == DR_OK;
}

int64_t rest_path_id(struct rest_req *req, size_t capture)
{
    const char *text = rest_req_capture(req, capture);
    int64_t id = 0;

    if (dr_id_parse(text, strlen(text), &id) != DR_OK) {
        rest_answer_error(req, 404, NULL, "no such id");
        return 0;
    }
    return id;
}

static size_t count_slot(uint64_t key)
{
    return (size_t)(key % REST_COUNTS_MAX);
}

int64_t rest_count_get(const struct rest *rest, uint64_t key)
{
    dr_assert(rest != NULL);
    const struct rest_count *c = &rest->counts[count_slot(key)];

    return c->key == key && c->until_ms > loop_now_ms(rest->loop) ? c->count : -1;
}

void rest_count_put(struct rest *rest, uint64_t key, int64_t count)
{
    dr_assert(rest != NULL);
    rest->counts[count_slot(key)] = (struct rest_count){
        .key = key, .count = count, .until_ms = loop_now_ms(rest->loop) + REST_COUNT_MS};
}

void rest_counts_drop(struct rest *rest)
{
    dr_assert(rest != NULL);
    memset(rest->counts, 0, sizeof rest->counts);
}

/* ---- metrics ---- */

#define METRICS_MAX (8 * 1024 * 1024)

static void metrics_get(struct rest_req *req)
{
    struct dr_dynbuf body;

    dr_dynbuf_init(&body, METRICS_MAX);
    dr_metrics_write(&body);
    rest_answer(req, 200, "text/plain; version=0.0.4; charset=utf-8", &body);
}

static const struct rest_route metrics_table[] = {
    {REST_GET, REST_OPEN, "/metrics", metrics_get, 0},
};
static const struct rest_routes metrics_routes = {metrics_table, DR_ARRAY_LEN(metrics_table)};
static const struct rest_routes *const metrics_all[] = {&metrics_routes};

/* ---- start and stop ---- */

static const struct rest_routes *const all_routes[] = {
    &rest_v2_notification_routes,
    &rest_v2_websocket_routes,
    &rest_v2_device_requests_routes,
    &rest_v3_devices_routes,
    &rest_v3_device_requests_routes,
    &rest_v3_bootstrap_policies_routes,
    &rest_v3_certificate_enrollments_routes,
    &rest_v2_subscriptions_routes,
    &rest_v2_endpoints_routes,
    &rest_v3_device_events_routes,
    &rest_v2_device_shared_keys_routes,
    &rest_v3_api_keys_routes,
    &rest_v3_accounts_routes,
    &rest_v3_backup_routes,
    &rest_v3_certificates_routes,
    &rest_v3_server_credentials_routes,
    &rest_v3_device_certificates_routes,
    &rest_v3_certificate_issuers_routes,
    &rest_v3_device_enrollments_routes,
    &rest_health_routes,
    &rest_v3_update_campaigns_routes,
    &rest_v3_campaign_devices_routes,
    &rest_v3_campaign_statistics_routes,
    &rest_v3_upload_jobs_routes,
    &rest_v3_firmware_images_routes,
    &rest_v3_firmware_manifests_routes,
};

dr_err_t rest_new(const struct rest_config *config, struct rest **ret)
{
    dr_assert(config != NULL && config->control != NULL && config->db != NULL && ret != NULL);
    struct rest *rest = calloc(1, sizeof *rest);
    if (rest == NULL) {
        return DR_ERR_NOMEM;
    }
    rest->config = *config;
    rest->loop = config->control;
    rest->db = config->db;
    rest->devices = config->devices;
    dr_list_init(&rest->waits);
    dr_list_init(&rest->uploads);
    dr_hash_key_init(&rest->hash_key);
    dr_err_t err = dr_idgen_init(&rest->ids, NULL, NULL);
    if (err != DR_OK) {
        free(rest);
        return err;
    }
    err = rest_hub_new(rest, &rest->hub);
    if (err != DR_OK) {
        (void)rest_free(rest);
        return err;
    }
    *ret = rest;
    return DR_OK;
}

dr_err_t rest_listen(struct rest *rest, const struct rest_listen *listen, struct dr_errinfo *reterr)
{
    dr_assert(rest != NULL && rest->http == NULL && listen != NULL && listen->http != NULL);
    dr_assert((listen->cert == NULL) == (listen->key == NULL));
    const struct rest_http_config http = {
        .loop = rest->loop,
        .name = "http",
        .address = listen->http,
        .cert = listen->cert,
        .key = listen->key,
        .routes = all_routes,
        .n_routes = DR_ARRAY_LEN(all_routes),
        .app = rest,
        .authorise = rest_auth_start,
        .connections_max = rest->config.connections_max,
    };
    dr_err_t err = rest_http_new(&http, &rest->http, reterr);

    if (err != DR_OK || listen->metrics == NULL || strcmp(listen->metrics, "off") == 0) {
        return err;
    }
    const struct rest_http_config metrics = {
        .loop = rest->loop,
        .name = "metrics",
        .address = listen->metrics,
        .routes = metrics_all,
        .n_routes = 1,
        .app = rest,
        .connections_max = 32,
    };
    return rest_http_new(&metrics, &rest->metrics, reterr);
}

const char *rest_address(const struct rest *rest)
{
    dr_assert(rest != NULL && rest->http != NULL);
    return rest_http_address(rest->http);
}

const char *rest_metrics_address(const struct rest *rest)
{
    dr_assert(rest != NULL);
    return rest->metrics == NULL ? "" : rest_http_address(rest->metrics);
}

dr_err_t rest_reload(struct rest *rest, const char *cert, const char *key,
                     struct dr_errinfo *reterr)
{
    dr_assert(rest != NULL && rest->http != NULL && cert != NULL && key != NULL);
    if (!rest_http_tls(rest->http)) {
        dr_errinfo_set(reterr, "http-cert", 0, "http cannot become https without a restart");
        return DR_ERR_CRYPTO;
    }
    return rest_http_reload(rest->http, cert, key, reterr);
}

static void http_closed(void *data)
{
    struct rest *rest = data;

    if (--rest->closing == 0) {
        rest->close_done(rest->close_data);
    }
}

void rest_bulk_ended(struct rest *rest)
{
    dr_assert(rest != NULL && rest->n_bulks > 0);
    if (--rest->n_bulks == 0 && rest->close_done != NULL) {
        http_closed(rest);
    }
}

static void hub_closed(struct loop_msg *msg)
{
    http_closed(DR_CONTAINER_OF(msg, struct rest, close_msg));
}

void rest_close(struct rest *rest, void (*done)(void *data), void *data)
{
    dr_assert(rest != NULL && done != NULL && rest->close_done == NULL);
    rest->close_done = done;
    rest->close_data = data;
    rest->closing = 1U + (rest->http != NULL) + (rest->metrics != NULL) + (rest->n_bulks != 0);
    rest_hub_sockets_close(rest->hub);
    loop_post(rest->loop, &rest->close_msg, hub_closed);
    if (rest->http != NULL) {
        rest_http_close(rest->http, http_closed, rest);
    }
    if (rest->metrics != NULL) {
        rest_http_close(rest->metrics, http_closed, rest);
    }
}

struct rest *rest_free(struct rest *rest)
{
    if (rest == NULL) {
        return NULL;
    }
    rest->http = rest_http_free(rest->http);
    rest->metrics = rest_http_free(rest->metrics);
    rest->hub = rest_hub_free(rest->hub);
    dr_idgen_fini(&rest->ids);
    free(rest);
    return NULL;
}
