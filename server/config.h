/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  server/config.h
 * @brief The configuration of droverd: one table for file, environment, options, check and
 * documentation.
 *
 * Layer: server.  Threads: main thread before the loops start; then read-only.  Memory: strings
 * live in the struct. Limits: SRV_CONFIG_FILE_MAX, SRV_CONFIG_VALUE_MAX.  Security: values are
 * operator input; never a secret itself, only names of files that hold one.  Spec:
 * docs/configuration.md is generated from the table.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

#define SRV_CONFIG_FILE_MAX  (256 * 1024)
#define SRV_CONFIG_VALUE_MAX 255

/** An address "host:port", "[v6]:port" or "off". */
struct srv_addr {
    bool off;
    char host[64]; /**< numeric address without brackets */
    uint16_t port; /**< 0 = any free one */
};

struct srv_config {
    char data[SRV_CONFIG_VALUE_MAX + 1];
    struct srv_addr coap, coaps, bootstrap, http, metrics;
    char http_cert[SRV_CONFIG_VALUE_MAX + 1], http_key[SRV_CONFIG_VALUE_MAX + 1];
    char coaps_cert[SRV_CONFIG_VALUE_MAX + 1], coaps_key[SRV_CONFIG_VALUE_MAX + 1];
    char coaps_ca[SRV_CONFIG_VALUE_MAX + 1];
    char public_coaps[SRV_CONFIG_VALUE_MAX + 1], public_bootstrap[SRV_CONFIG_VALUE_MAX + 1];
    char objects[SRV_CONFIG_VALUE_MAX + 1];
    char log_level[SRV_CONFIG_VALUE_MAX + 1];
    char trace[SRV_CONFIG_VALUE_MAX + 1];
    uint64_t shards;
    uint64_t pool_threads;
    uint64_t grace_s, awake_s;
    uint64_t peers_max, half_open_max, handshake_cpu_pct, body_max, nosec_idle_s;
    uint64_t tcp_max, tcp_per_address, tcp_hello_s, tcp_idle_s;
    uint64_t disk_min_free_mb, events_keep_days;
    uint64_t image_max_mb, upload_max_mb, chunk_max_mb;
    char device_host[SRV_CONFIG_VALUE_MAX + 1];
    uint64_t test_fsync_delay_ms;
};

/** Where a value comes from, weakest first. */
enum srv_source { SRV_FROM_DEFAULT, SRV_FROM_FILE, SRV_FROM_ENVIRONMENT, SRV_FROM_OPTION };

/** Every key at its default. */
void srv_config_init(struct srv_config *ret);

/**
 * Set one key from text.
 * @retval DR_ERR_NOT_FOUND  unknown key
 * @retval DR_ERR_RANGE      a number outside its range
 * @retval DR_ERR_INVAL      not of the key's form
 * @param reterr  filled on error: field = key, text = what would be right
 */
DR_CHECK dr_err_t srv_config_set(struct srv_config *c, const char *key, const char *value,
                                 struct dr_errinfo *reterr);

/**
 * Read "key = value" lines (inih syntax, no sections) from @p text of @p len bytes; unknown keys
 * and double keys are errors. On error nothing of @p c has changed. @p name stands in messages.
 */
DR_CHECK dr_err_t srv_config_parse(struct srv_config *c, const char *text, size_t len,
                                   struct dr_errinfo *reterr);
/** srv_config_parse on a file. @retval DR_ERR_NOT_FOUND, DR_ERR_IO, DR_ERR_TOO_LARGE */
DR_CHECK dr_err_t srv_config_file(struct srv_config *c, const char *path,
                                  struct dr_errinfo *reterr);

/** Take DROVER_… variables; an unknown DROVER_ name is not an error, since drover(1) has its own.
 */
DR_CHECK dr_err_t srv_config_environment(struct srv_config *c, struct dr_errinfo *reterr);

/** Checks that need more than one key (certificate without key …). */
DR_CHECK dr_err_t srv_config_check(const struct srv_config *c, struct dr_errinfo *reterr);

/** Is there such a key, and does it take effect on SIGHUP? */
bool srv_config_has(const char *key);
bool srv_config_reloadable(const char *key);

/** Take over the reloadable keys of @p from. Returns how many other keys differ (they need a
 * restart). */
unsigned srv_config_reload(struct srv_config *to, const struct srv_config *from);

/** Write "key = value" for every key (what --check-config shows). */
void srv_config_print(const struct srv_config *c, FILE *out);
/** Write docs/configuration.md's table. */
void srv_config_doc(FILE *out);
