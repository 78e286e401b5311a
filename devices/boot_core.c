/* SPDX-License-Identifier: Apache-2.0 */
/* Runs on the control loop. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "devices/boot_priv.h"
#include "devices/shard_priv.h"

struct dr_metric boot_metrics[BOOT_M_COUNT] = {
    [BOOT_M_STARTED] = {.name = "drover_bootstrap_started_total",
                        .type = DR_COUNTER,
                        .help = "Bootstrap sessions begun"},
    [BOOT_M_DONE] = {.name = "drover_bootstrap_done_total",
                     .type = DR_COUNTER,
                     .help = "Bootstrap sessions that ended with Finish"},
    [BOOT_M_FAILED] = {.name = "drover_bootstrap_failed_total",
                       .type = DR_COUNTER,
                       .help = "Bootstrap sessions that ended otherwise"},
    [BOOT_M_REFUSED] = {.name = "drover_bootstrap_refused_total",
                        .type = DR_COUNTER,
                        .help = "Bootstrap requests that were answered with an error"},
    [BOOT_M_LIMITED] = {.name = "drover_bootstrap_limited_total",
                        .type = DR_COUNTER,
                        .help = "Bootstrap requests above the rate of one device"},
    [BOOT_M_REPAIRS] = {.name = "drover_bootstrap_repairs_total",
                        .type = DR_COUNTER,
                        .help = "Configurations written again in another format"},
    [BOOT_M_SESSIONS] = {.name = "drover_bootstrap_sessions",
                         .type = DR_GAUGE,
                         .help = "Bootstrap sessions under way"},
};

static dr_err_t bytes_copy(struct dr_bytes in, struct dr_bytes *ret)
{
    *ret = (struct dr_bytes){0};
    if (in.len == 0) {
        return DR_OK;
    }
    uint8_t *copy = malloc(in.len);
    if (copy == NULL) {
        return DR_ERR_NOMEM;
    }
    memcpy(copy, in.p, in.len);
    *ret = dr_bytes_of(copy, in.len);
    return DR_OK;
}

static struct boot_shard *shard_new(struct dev_boot *boot, unsigned i, struct loop *loop)
{
    struct boot_shard *sh = calloc(1, sizeof *sh);

    if (sh == NULL) {
        return NULL;
    }
    if (boot->cfg.core != NULL) {
        sh->ids = &boot->cfg.core->shards[i]->ids;
    } else if (dr_idgen_init(&sh->own_ids, NULL, NULL) == DR_OK) {
        sh->ids = &sh->own_ids;
    } else {
        free(sh);
        return NULL;
    }
    sh->boot = boot;
    sh->index = i;
    sh->loop = loop;
    sh->home.loop = loop;
    sh->psks = (struct dev_psk_asker){
        .loop = loop, .db = boot->cfg.db, .uses = 1U << DB_PSK_OPERATOR, .ended = boot_psk_ended};
    for (unsigned b = 0; b < BOOT_BUCKETS; b++) {
        dr_list_init(&sh->buckets[b]);
    }
    for (unsigned b = 0; b < BOOT_LEAF_BUCKETS; b++) {
        dr_list_init(&sh->leaves[b]);
    }
    dr_list_init(&sh->leaf_ages);
    return sh;
}

dr_err_t dev_boot_new(const struct dev_boot_config *config, struct dev_boot **ret)
{
    dr_assert(config != NULL && ret != NULL && config->db != NULL && config->server_uri != NULL);
    dr_assert(config->shards > 0 && config->models != NULL);
    if (strlen(config->server_uri) > DEV_BOOT_URI_MAX) {
        return DR_ERR_RANGE;
    }
    struct dev_boot *boot = calloc(1, sizeof *boot);
    if (boot == NULL) {
        return DR_ERR_NOMEM;
    }
    boot->cfg = *config;
    boot->cfg.shard_loops = NULL;
    boot->cfg.burst = config->burst != 0 ? config->burst : DEV_BOOT_BURST;
    boot->cfg.refill_ms = config->refill_ms != 0 ? config->refill_ms : DEV_BOOT_REFILL_MS;
    boot->cfg.session_ms = config->session_ms != 0 ? config->session_ms : DEV_BOOT_SESSION_MS;
    boot->cfg.server_uri = strdup(config->server_uri);
    dr_hash_key_init(&boot->key);
    dr_err_t err = bytes_copy(config->server_ca, &boot->cfg.server_ca);
    dr_err_t err2 = bytes_copy(config->server_cert, &boot->cfg.server_cert);
    boot->shards = calloc(config->shards, sizeof *boot->shards);
    if (err != DR_OK || err2 != DR_OK || boot->cfg.server_uri == NULL || boot->shards == NULL) {
        (void)dev_boot_free(boot);
        return DR_ERR_NOMEM;
    }
    for (boot->n = 0; boot->n < config->shards; boot->n++) {
        boot->shards[boot->n] = shard_new(boot, boot->n, config->shard_loops[boot->n]);
        if (boot->shards[boot->n] == NULL) {
            (void)dev_boot_free(boot);
            return DR_ERR_NOMEM;
        }
    }
    if (dr_metrics_register(boot_metrics, BOOT_M_COUNT) != DR_OK) {
        dr_log(DR_LOG_WARNING, "bootstrap", "no room for metrics");
    }
    *ret = boot;
    return DR_OK;
}

void *dev_boot_shard(struct dev_boot *boot, unsigned i)
{
    dr_assert(boot != NULL && i < boot->n);
    return boot->shards[i];
}

void dev_boot_set_engine(struct dev_boot *boot, unsigned i, struct cx_engine *engine)
{
    dr_assert(boot != NULL && i < boot->n && engine != NULL);
    struct boot_shard *sh = boot->shards[i];

    sh->engine = engine;
    sh->home.engine = engine;
    sh->psks.engine = engine;
}

dr_err_t dev_boot_route(struct dev_boot *boot, const char *prefix, dev_route_fn *fn, void *ctx)
{
    dr_assert(boot != NULL);
    loop_assert_current(boot->cfg.control);
    return dev_routes_add(&boot->routes, prefix, fn, ctx);
}

static void shard_stopped(struct loop_call *call, dr_err_t err)
{
    struct dev_boot *boot = DR_CONTAINER_OF(call, struct boot_shard, stop_call)->boot;

    (void)err;
    if (--boot->stopping == 0) {
        boot->stop_done(boot->stop_data);
    }
}

void dev_boot_stop(struct dev_boot *boot, void (*done)(void *data), void *data)
{
    dr_assert(boot != NULL && done != NULL && boot->stop_done == NULL);
    boot->stop_done = done;
    boot->stop_data = data;
    boot->stopping = boot->n;
    for (unsigned i = 0; i < boot->n; i++) {
        loop_call_start(boot->shards[i]->loop, &boot->shards[i]->stop_call, boot_shard_stop,
                        shard_stopped);
    }
}

struct dev_boot *dev_boot_free(struct dev_boot *boot)
{
    if (boot == NULL) {
        return NULL;
    }
    for (unsigned i = 0; i < boot->n; i++) {
        boot_leaves_free(boot->shards[i]);
        if (boot->shards[i]->ids == &boot->shards[i]->own_ids) {
            dr_idgen_fini(&boot->shards[i]->own_ids);
        }
        free(boot->shards[i]);
    }
    free(boot->shards);
    free((void *)(uintptr_t)boot->cfg.server_uri);
    free((void *)(uintptr_t)boot->cfg.server_ca.p);
    free((void *)(uintptr_t)boot->cfg.server_cert.p);
    free(boot);
    return NULL;
}
