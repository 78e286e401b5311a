/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/rest.h
 * @brief The REST interface as server/ sees it: services of /v2 and /v3, health, metrics.
 *
 * Layer: rest.  Threads: everything on the control loop.
 * Memory: one object.  Limits: struct rest_config, rest/server.h, REST_CHANNEL_*_MAX.
 * Security: every call but health needs an API key; metrics have an address of their own.
 * Spec: Pelion Device Management REST contract.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct loop;
struct db;
struct dev_core;
struct camp_engine;
struct camp_images;
struct cert_install;
struct dev_trust;
struct dev_renewals;
struct rest;

struct rest_config {
    struct loop *control;
    struct db *db;
    struct dev_core *devices;
    struct camp_images *images;    /**< NULL: no uploads, no downloads */
    struct camp_engine *campaigns; /**< NULL: /v3/update-campaigns answers 503 */
    /* certificates; NULL: those services answer 503 */
    struct cert_install *install; /**< changed by renewals of our own certificates only */
    struct dev_trust *trust;
    /** New keys for our servers, used from now on. On control. NULL: not to be had. */
    dr_err_t (*renew)(void *data);
    void *renew_data;
    const char *bootstrap_uri; /**< "coaps://host:port"; borrowed for ever, like the next */
    const char *lwm2m_uri;
    const uint8_t *server_ca; /**< DER: what devices check the LwM2M server against */
    size_t server_ca_len;
    struct dev_renewals *renewals; /**< NULL: certificates are not renewed (503) */
    const char *data_dir; /**< where a backup is put before it is sent; borrowed for ever */
    const char *version;  /**< of the program; borrowed for ever */
    /** Is the server ready for traffic (GET /readyz)? NULL: once rest_new() has returned. */
    bool (*ready)(void *data);
    void *ready_data;
    uint32_t connections_max;   /**< 0 = REST_CONNECTIONS_MAX */
    uint64_t channel_bytes_max; /**< queued for one channel; 0 = REST_CHANNEL_BYTES_MAX */
    uint32_t poll_hold_ms;      /**< 0 = REST_POLL_HOLD_MS */
};

/** Where to listen. */
struct rest_listen {
    const char *http; /**< address, "127.0.0.1:8080" */
    const char *cert; /**< PEM files; NULL = plain http */
    const char *key;
    const char *metrics; /**< address; NULL or "off" = none */
};

/**
 * Become a sink of @c devices: before dev_core_start(), which tells again what was not delivered.
 * @retval DR_ERR_NOMEM, DR_ERR_LIMIT
 */
DR_CHECK dr_err_t rest_new(const struct rest_config *config, struct rest **ret);

/**
 * Open the addresses, once. After an error rest_close() or rest_free().
 * @param listen  borrowed during the call
 * @retval DR_ERR_IN_USE, DR_ERR_INVAL, DR_ERR_DENIED, DR_ERR_CRYPTO, DR_ERR_NOMEM, DR_ERR_IO  as
 * rest_http_new()
 */
DR_CHECK dr_err_t rest_listen(struct rest *rest, const struct rest_listen *listen,
                              struct dr_errinfo *reterr);

/** Where it listens, for ready.json; borrowed. "" for metrics without an address. */
const char *rest_address(const struct rest *rest);
const char *rest_metrics_address(const struct rest *rest);

/** New certificate and key for the http address. @retval DR_ERR_CRYPTO  the old ones stay */
DR_CHECK dr_err_t rest_reload(struct rest *rest, const char *cert, const char *key,
                              struct dr_errinfo *reterr);

/** Answer what waits, take nothing new; @p done once, later. Database and devices still run. Also
 * without rest_listen(). */
void rest_close(struct rest *rest, void (*done)(void *data), void *data);

/** After done of rest_close(), or when it never listened; the core tells nothing any more. NULL is
 * allowed. @return NULL */
struct rest *rest_free(struct rest *rest);
