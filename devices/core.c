/* SPDX-License-Identifier: Apache-2.0 */
/* Runs on the control loop, but for the small functions that both sides share. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/rand.h"
#include "base/text.h"
#include "devices/control_priv.h"
#include "devices/core_priv.h"
#include "devices/presub_json.h"
#include "devices/seen.h"

uint64_t dev_name_hash(const struct dev_core *core, int64_t account, const char *endpoint)
{
    uint8_t in[8 + DEV_NAME_MAX];
    size_t len = strlen(endpoint);

    dr_assert(len <= DEV_NAME_MAX);
    dr_store_be(in, (uint64_t)account, 8);
    memcpy(in + 8, endpoint, len);
    return dr_siphash(&core->name_key, in, 8 + len);
}

struct dev_presubs *dev_presubs_ref(struct dev_presubs *p)
{
    (void)atomic_fetch_add(&p->refs, 1);
    return p;
}

struct dev_presubs *dev_presubs_unref(struct dev_presubs *p)
{
    if (p != NULL && atomic_fetch_sub(&p->refs, 1) == 1) {
        for (size_t i = 0; i < p->n; i++) {
            dev_presub_fini(&p->items[i]);
        }
        free(p->items);
        free(p);
    }
    return NULL;
}

/* The key of observation tokens outlives the process: devices keep their observations, too. */
static dr_err_t token_key_load(struct dev_core *core)
{
    uint8_t key[16];
    int dir = open(core->cfg.run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (dir < 0) {
        return DR_ERR_IO;
    }
    int fd = openat(dir, "observe.key", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    dr_err_t err = fd < 0 ? DR_ERR_IO : DR_OK;
    if (err == DR_OK && read(fd, key, sizeof key) != (ssize_t)sizeof key) {
        dr_rand_bytes(key, sizeof key);
        if (pwrite(fd, key, sizeof key, 0) != (ssize_t)sizeof key || fsync(fd) != 0) {
            err = DR_ERR_IO;
        }
    }
    if (err == DR_OK) {
        struct dr_rd rd = dr_rd_of(key, sizeof key);
        core->token_key.k0 = dr_rd_u64(&rd);
        core->token_key.k1 = dr_rd_u64(&rd);
    }
    dr_wipe(key, sizeof key);
    if (fd >= 0) {
        (void)close(fd);
    }
    (void)close(dir);
    return err;
}

dr_err_t dev_core_new(const struct dev_config *config, struct dev_core **ret,
                      struct dr_errinfo *reterr)
{
    dr_assert(config != NULL && ret != NULL && config->control != NULL && config->db != NULL);
    if (config->shards == 0 || config->shards > DEV_SHARDS_MAX) {
        dr_errinfo_set(reterr, "shards", 0, "has to be 1 to %d", DEV_SHARDS_MAX);
        return DR_ERR_RANGE;
    }
    struct dev_core *core = calloc(1, sizeof *core);
    if (core == NULL) {
        return DR_ERR_NOMEM;
    }
    core->cfg = *config;
    core->n = config->shards;
    dr_hash_key_init(&core->name_key);
    core->shards = calloc(core->n, sizeof *core->shards);
    struct loop **loops = calloc(core->n, sizeof *loops);
    char *run_dir = strdup(config->run_dir);
    core->cfg.run_dir = run_dir;
    core->cfg.shard_loops = loops;
    dr_err_t err = core->shards == NULL || loops == NULL || run_dir == NULL ? DR_ERR_NOMEM : DR_OK;
    if (err == DR_OK) {
        memcpy(loops, config->shard_loops, core->n * sizeof *loops);
        err = token_key_load(core);
        if (err != DR_OK) {
            dr_errinfo_set(reterr, "run_dir", 0, "cannot keep a key in '%s'", run_dir);
        }
    }
    if (err == DR_OK) {
        err = dev_control_new(core);
    }
    for (unsigned i = 0; err == DR_OK && i < core->n; i++) {
        err = dev_shard_new(core, i, &core->shards[i]);
    }
    if (err != DR_OK) {
        (void)dev_core_free(core);
        return err;
    }
    *ret = core;
    return DR_OK;
}

struct dev_core *dev_core_free(struct dev_core *core)
{
    if (core == NULL) {
        return NULL;
    }
    for (unsigned i = 0; core->shards != NULL && i < core->n; i++) {
        core->shards[i] = dev_shard_free(core->shards[i]);
    }
    dev_control_free(core);
    free(core->shards);
    free((void *)(uintptr_t)core->cfg.shard_loops);
    free((void *)(uintptr_t)core->cfg.run_dir);
    dr_wipe(core, sizeof *core);
    free(core);
    return NULL;
}

dr_err_t dev_core_route(struct dev_core *core, const char *prefix, dev_route_fn *fn, void *ctx)
{
    dr_assert(core != NULL);
    loop_assert_current(core->cfg.control);
    return dev_routes_add(&core->routes, prefix, fn, ctx);
}

void *dev_core_shard(struct dev_core *core, unsigned i)
{
    dr_assert(i < core->n);
    return core->shards[i];
}

void dev_core_set_engine(struct dev_core *core, unsigned i, struct cx_engine *engine)
{
    dr_assert(i < core->n);
    dev_shard_set_engine(core->shards[i], engine);
}
