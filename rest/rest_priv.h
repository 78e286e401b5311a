/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/rest_priv.h
 * @brief What the services share.
 *
 * Layer: rest.  Threads: the control loop.  Memory: struct rest is one block.
 * Limits: REST_COUNTS_MAX.  Security: see rest/rest.h.  Spec: none.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/ids.h"
#include "base/loop.h"
#include "db/db.h"
#include "devices/dev.h"
#include "rest/auth.h"
#include "rest/rest.h"
#include "rest/server.h"

struct rest_hub;

/** Counts that were computed, kept for a while. */
#define REST_COUNTS_MAX 64
#define REST_COUNT_MS   10000

struct rest_count {
    uint64_t key; /**< keyed hash of account and conditions, 0 = empty */
    int64_t count;
    uint64_t until_ms;
};

#define REST_TOLD_MAX 256

struct rest {
    struct rest_config config;
    struct loop *loop;
    struct db *db;
    struct dev_core *devices;
    struct rest_http *http;
    struct rest_http *metrics;
    struct rest_auth_cache auth;
    struct dr_idgen ids;
    struct dr_hash_key hash_key;
    struct rest_count counts[REST_COUNTS_MAX];
    struct rest_hub *hub;
    struct dr_list waits; /**< struct rest_wait */
    uint32_t n_waits;
    struct dr_list uploads; /**< jobs that get a chunk just now (v3_upload_jobs.c) */
    struct rest_told {      /**< chunks whose answer was written, the newest */
        int64_t job, seq;
    } told[REST_TOLD_MAX];
    unsigned told_next;
    bool backup_running;
    unsigned n_bulks; /**< jobs of rest/bulk.h under way */
    unsigned closing; /**< parts still open */
    struct loop_msg close_msg;
    void (*close_done)(void *data);
    void *close_data;
};

static inline struct rest *rest_of(const struct rest_req *req)
{
    return (struct rest *)req->app;
}

/** Start a read for @p req; on an error it is answered. @c read lives in the request's arena. */
void rest_read_start(struct rest_req *req, struct db_read *read, db_read_fn *fn,
                     db_read_done_fn *done);

/** The same for a write in the acknowledged lane. */
void rest_job_start(struct rest_req *req, struct db_job *job, db_job_run_fn *run,
                    db_job_done_fn *done);

/** Parse the body as one JSON object (or array). On an error the request is answered. */
bool rest_body_parse(struct rest_req *req, json_t **ret);

/** A remembered count, or -1. */
int64_t rest_count_get(const struct rest *rest, uint64_t key);
void rest_count_put(struct rest *rest, uint64_t key, int64_t count);
/** Forget all: rows came or went. */
void rest_counts_drop(struct rest *rest);

/** An id in the path; answers 404 and gives 0 when it is none. */
int64_t rest_path_id(struct rest_req *req, size_t capture);

/** A bulk job is over. */
void rest_bulk_ended(struct rest *rest);

/** An async id of our own making: 32 hex digits. */
void rest_async_id_make(char out[DEV_ASYNC_ID_MAX + 1]);

/* route tables of the services */
extern const struct rest_routes rest_health_routes;
extern const struct rest_routes rest_v3_devices_routes;
extern const struct rest_routes rest_v3_device_requests_routes;
extern const struct rest_routes rest_v3_device_events_routes;
extern const struct rest_routes rest_v3_api_keys_routes;
extern const struct rest_routes rest_v3_accounts_routes;
extern const struct rest_routes rest_v3_backup_routes;
extern const struct rest_routes rest_v3_certificates_routes;
extern const struct rest_routes rest_v3_server_credentials_routes;
extern const struct rest_routes rest_v3_device_certificates_routes;
extern const struct rest_routes rest_v3_certificate_issuers_routes;
extern const struct rest_routes rest_v3_device_enrollments_routes;
extern const struct rest_routes rest_v3_bootstrap_policies_routes;
extern const struct rest_routes rest_v3_certificate_enrollments_routes;
extern const struct rest_routes rest_v3_firmware_images_routes;
extern const struct rest_routes rest_v3_firmware_manifests_routes;
extern const struct rest_routes rest_v3_upload_jobs_routes;
extern const struct rest_routes rest_v3_update_campaigns_routes;
extern const struct rest_routes rest_v3_campaign_devices_routes;
extern const struct rest_routes rest_v3_campaign_statistics_routes;
extern const struct rest_routes rest_v2_endpoints_routes;
extern const struct rest_routes rest_v2_device_requests_routes;
extern const struct rest_routes rest_v2_subscriptions_routes;
extern const struct rest_routes rest_v2_notification_routes;
extern const struct rest_routes rest_v2_websocket_routes;
extern const struct rest_routes rest_v2_device_shared_keys_routes;
