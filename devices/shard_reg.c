/* SPDX-License-Identifier: Apache-2.0 */
/* Runs on shard loops: the registrations that a shard holds. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "devices/shard_priv.h"

struct name_ref {
    int64_t account;
    const char *endpoint;
};

static bool device_eq(void *ctx, uint32_t index, const void *key)
{
    const struct dev_shard *s = ctx;

    return dev_reg_at(s, index)->device == *(const int64_t *)key;
}

static bool name_eq(void *ctx, uint32_t index, const void *key)
{
    const struct dev_shard *s = ctx;
    const struct dev_reg *reg = dev_reg_at(s, index);
    const struct name_ref *ref = key;

    return reg->account == ref->account && strcmp(reg->name, ref->endpoint) == 0;
}

static bool owner_eq(void *ctx, uint32_t index, const void *key)
{
    const struct dev_shard *s = ctx;
    const struct dev_owner *o = dr_slab_get(&s->owners, index);

    return o->hash == *(const uint64_t *)key;
}

static bool type_eq(void *ctx, uint32_t index, const void *key)
{
    const struct dev_shard *s = ctx;

    return strcmp(s->types[index], key) == 0;
}

static uint32_t device_hash(int64_t device)
{
    return dr_mix32((uint64_t)device);
}

static uint32_t name_hash(const struct dev_shard *s, int64_t account, const char *endpoint)
{
    return (uint32_t)(dev_name_hash(s->core, account, endpoint) >> 32);
}

/* ---- look-up, making, removing ---- */

uint32_t dev_reg_by_device(const struct dev_shard *s, int64_t device)
{
    return dr_table_get(&s->by_device, device_hash(device), &device);
}

uint32_t dev_reg_by_name(const struct dev_shard *s, int64_t account, const char *endpoint)
{
    struct name_ref ref = {.account = account, .endpoint = endpoint};

    if (strlen(endpoint) > DEV_NAME_MAX) {
        return 0; /* the name in a certificate may be longer than any that registers */
    }
    return dr_table_get(&s->by_name, name_hash(s, account, endpoint), &ref);
}

static void lifetime_over(struct dr_timer *t, uint64_t now_ms)
{
    struct dev_reg *reg = DR_CONTAINER_OF(t, struct dev_reg, timer);
    struct dev_shard *s = reg->shard;
    uint32_t now_s = (uint32_t)(dr_wall_ms() / 1000);
    uint64_t end_s = (uint64_t)reg->seen_s + reg->lifetime_s + s->core->cfg.grace_s;

    if (end_s > now_s) { /* updates only note their time; the timer follows when it runs */
        dr_timer_start(loop_wheel(s->loop), t, now_ms + (end_s - now_s) * 1000);
        return;
    }
    if (reg->op != NULL) { /* an uplink decides in a moment */
        dr_timer_start(loop_wheel(s->loop), t, now_ms + 1000);
        return;
    }
    uint32_t index = dev_reg_by_device(s, reg->device);
    dr_assert(index != 0);
    dev_op_expire(s, index);
}

void dev_reg_timer_start(struct dev_shard *s, struct dev_reg *reg)
{
    if ((reg->flags & DEV_REG_INFINITE) != 0) {
        dr_timer_cancel(loop_wheel(s->loop), &reg->timer);
        return;
    }
    uint32_t now_s = (uint32_t)(dr_wall_ms() / 1000);
    uint64_t end_s = (uint64_t)reg->seen_s + reg->lifetime_s + s->core->cfg.grace_s;
    uint64_t left_s = end_s > now_s ? end_s - now_s : 0;

    dr_timer_start(loop_wheel(s->loop), &reg->timer, loop_now_ms(s->loop) + left_s * 1000);
}

dr_err_t dev_reg_new(struct dev_shard *s, int64_t account, const char *endpoint, uint32_t *ret)
{
    uint32_t index;
    char *name = strdup(endpoint);

    if (name == NULL) {
        return DR_ERR_NOMEM;
    }
    dr_err_t err = dr_slab_alloc(&s->regs, &index);
    if (err != DR_OK) {
        free(name);
        return err;
    }
    struct dev_reg *reg = dev_reg_at(s, index);
    reg->shard = s;
    reg->account = account;
    reg->name = name;
    reg->major = 1;
    dr_timer_init(&reg->timer, lifetime_over);
    err = dr_table_put(&s->by_name, name_hash(s, account, endpoint), index);
    if (err != DR_OK) {
        free(name);
        dr_slab_free(&s->regs, index);
        return err;
    }
    *ret = index;
    return DR_OK;
}

dr_err_t dev_reg_set_device(struct dev_shard *s, uint32_t index, int64_t device)
{
    struct dev_reg *reg = dev_reg_at(s, index);

    dr_assert(device > 0);
    if (reg->device == device) {
        return DR_OK;
    }
    if (reg->device != 0) { /* deleted and made anew while we held it */
        (void)dr_table_del(&s->by_device, device_hash(reg->device), index);
        reg->device = 0;
    }
    dr_assert(dev_reg_by_device(s, device) == 0);
    dr_err_t err = dr_table_put(&s->by_device, device_hash(device), index);
    if (err == DR_OK) {
        reg->device = device;
        reg->seen_epoch = 0;
    }
    return err;
}

static void peer_leave(struct dev_shard *s, uint32_t index, cx_peer_t peer)
{
    struct cx_identity id;

    if (peer == 0 || !cx_peer_identity(s->engine, peer, &id)) {
        return;
    }
    if (cx_peer_user(s->engine, peer) == index) {
        cx_peer_set_user(s->engine, peer, 0);
    }
    cx_peer_calls_moved(s->engine, peer);
}

void dev_reg_bind(struct dev_shard *s, uint32_t index, cx_peer_t peer)
{
    struct dev_reg *reg = dev_reg_at(s, index);
    struct cx_identity id;
    cx_peer_t old = reg->peer;

    if (old == peer) {
        return;
    }
    reg->peer = cx_peer_identity(s->engine, peer, &id) ? peer : 0;
    if (reg->peer != 0) {
        cx_peer_set_user(s->engine, peer, index);
    }
    if (old != 0 && cx_peer_identity(s->engine, old, &id)) {
        peer_leave(s, index, old);
        if (id.kind != CX_ID_NONE) {
            cx_peer_close(s->engine, old); /* a NoSec address may speak for others too */
        }
    }
}

void dev_reg_remove(struct dev_shard *s, uint32_t index, bool tell_home)
{
    struct dev_reg *reg = dev_reg_at(s, index);
    uint64_t hash = dev_name_hash(s->core, reg->account, reg->name);
    cx_peer_t peer = reg->peer;

    dr_assert(reg->op == NULL && reg->heir == NULL);
    (void)dr_table_del(&s->by_name, (uint32_t)(hash >> 32), index);
    if (reg->device != 0) {
        (void)dr_table_del(&s->by_device, device_hash(reg->device), index);
    }
    dr_timer_cancel(loop_wheel(s->loop), &reg->timer);
    lwm2m_shape_unref(s->shapes, reg->shape);
    free(reg->name);
    free(reg->obs);
    free(reg->cache);
    reg->peer = 0;
    dr_slab_free(&s->regs, index);
    peer_leave(s, index, peer); /* callbacks find the registration gone */
    if (tell_home) {
        dev_owner_released(s, hash);
    }
}

uint32_t dev_reg_of_peer(struct dev_shard *s, cx_peer_t peer)
{
    uint64_t user = cx_peer_user(s->engine, peer);

    if (user != 0 && user <= UINT32_MAX && dr_slab_used(&s->regs, (uint32_t)user) &&
        dev_reg_at(s, (uint32_t)user)->peer == peer) {
        return (uint32_t)user;
    }
    struct cx_identity id;
    if (!cx_peer_identity(s->engine, peer, &id) || id.kind == CX_ID_NONE) {
        return 0;
    }
    return dev_reg_by_name(s, id.account, id.name);
}

/* ---- uplinks ---- */

bool dev_reg_awake(const struct dev_shard *s, const struct dev_reg *reg)
{
    if ((reg->flags & DEV_REG_QUEUE) == 0) {
        return true;
    }
    return (uint32_t)(dr_wall_ms() / 1000) - reg->heard_s <= s->core->cfg.awake_s;
}

void dev_reg_heard(struct dev_shard *s, struct dev_reg *reg, uint32_t now_s)
{
    reg->heard_s = now_s;
    if ((reg->flags & DEV_REG_WANTED) != 0) {
        reg->flags &= (uint16_t)~DEV_REG_WANTED;
        dev_news_wake(s, reg);
    }
}

static void touch_add(struct dev_shard *s, const struct dev_reg *reg, uint32_t now_s)
{
    if (s->n_touch == DEV_TOUCH_BATCH) {
        dev_touch_flush(s);
    }
    if (s->n_touch < DEV_TOUCH_BATCH) {
        s->touch[s->n_touch++] = (struct db_touch){.device = reg->device,
                                                   .generation = reg->generation,
                                                   .last_seen_ms = (int64_t)now_s * 1000};
    }
}

static void seen_note(struct dev_shard *s, uint32_t index, struct dev_reg *reg)
{
    if (reg->seen_epoch != s->seen.epoch) {
        reg->seen_epoch = s->seen.epoch;
        dev_seen_map(&s->seen, index, reg->device, reg->generation);
    }
    dev_seen_put(&s->seen, index, reg->seen_s);
}

void dev_reg_seen(struct dev_shard *s, uint32_t index, uint32_t now_s)
{
    struct dev_reg *reg = dev_reg_at(s, index);

    reg->seen_s = now_s;
    seen_note(s, index, reg);
    if (now_s - reg->touched_s > reg->lifetime_s / 4) {
        reg->touched_s = now_s;
        touch_add(s, reg, now_s);
    }
    if (dev_seen_full(&s->seen)) {
        dev_seen_rotate(&s->seen);
        s->walk = dr_slab_next(&s->regs, 0);
        if (s->walk == 0) {
            dev_seen_old_drop(&s->seen);
        }
    }
    dev_reg_heard(s, reg, now_s);
}

/* After a rotation: every registration once into the fresh file, a slice at a time. */
static void walk_slice(struct dev_shard *s)
{
    if (!s->seen.old) {
        return;
    }
    for (uint32_t n = 0; n < DEV_WALK_SLICE * 16 && s->walk != 0; n++) {
        if (dr_slab_used(&s->regs, s->walk)) {
            struct dev_reg *reg = dev_reg_at(s, s->walk);
            if ((reg->flags & DEV_REG_LIVE) != 0 && reg->seen_epoch != s->seen.epoch) {
                seen_note(s, s->walk, reg);
            }
        }
        s->walk = dr_slab_next(&s->regs, s->walk);
    }
    if (s->walk == 0) {
        dev_seen_old_drop(&s->seen);
    }
}

/* ---- texts and keys kept once ---- */

uint16_t dev_type_intern(struct dev_shard *s, const char *type)
{
    if (type[0] == '\0') {
        return 0;
    }
    uint32_t hash = dr_hash32(&s->type_key, type, strlen(type));
    uint32_t index = dr_table_get(&s->type_table, hash, type);
    if (index != 0) {
        return (uint16_t)index;
    }
    if (s->n_types == DEV_TYPES_MAX) {
        DR_LOG_LIMITED(DR_LOG_WARNING, "devices", 1,
                       "more than %d endpoint types, '%s' is not kept", DEV_TYPES_MAX, type);
        return 0;
    }
    char *copy = strdup(type);
    if (copy == NULL || dr_table_put(&s->type_table, hash, s->n_types) != DR_OK) {
        free(copy);
        return 0;
    }
    s->types[s->n_types] = copy;
    return s->n_types++;
}

const char *dev_type_text(const struct dev_shard *s, uint16_t number)
{
    return number == 0 ? "" : s->types[number];
}

uint16_t dev_key_intern(struct dev_shard *s, int64_t key)
{
    for (uint16_t i = 0; i < s->n_keys; i++) { /* operators' keys are few */
        if (s->keys[i] == key) {
            return (uint16_t)(i + 1);
        }
    }
    if (s->n_keys == DEV_KEYS_MAX) {
        return 0;
    }
    int64_t *keys = realloc(s->keys, ((size_t)s->n_keys + 1) * sizeof *keys);
    if (keys == NULL) {
        return 0;
    }
    s->keys = keys;
    keys[s->n_keys++] = key;
    return s->n_keys;
}

int64_t dev_key_of(const struct dev_shard *s, uint16_t number)
{
    return number == 0 || number > s->n_keys ? 0 : s->keys[number - 1];
}

/* ---- life of the shard ---- */

static void second_tick(struct loop_timer *t)
{
    struct dev_shard *s = DR_CONTAINER_OF(t, struct dev_shard, second);

    s->ticks++;
    dev_touch_flush(s);
    dev_seen_flush(&s->seen);
    walk_slice(s);
    if (s->ticks % (DEV_CACHE_WAIT_MS / 1000) == 0) {
        dev_cache_flush(s);
    }
    dev_op_end_check(s);
}

dr_err_t dev_shard_new(struct dev_core *core, unsigned i, struct dev_shard **ret)
{
    struct dev_shard *s = calloc(1, sizeof *s);

    if (s == NULL) {
        return DR_ERR_NOMEM;
    }
    s->core = core;
    s->index = i;
    s->loop = core->cfg.shard_loops[i];
    s->db = core->cfg.db;
    s->seen.fd = -1;
    s->n_types = 1;
    dr_list_init(&s->news);
    dr_hash_key_init(&s->type_key);
    struct dr_hash_key seed;
    dr_hash_key_init(&seed);
    dr_err_t err = dr_idgen_init(&s->ids, NULL, NULL);
    if (err != DR_OK) {
        free(s);
        return err;
    }
    if ((err = dr_slab_init(&s->regs, sizeof(struct dev_reg), DEV_REGS_MAX, 0)) != DR_OK ||
        (err = dr_slab_init(&s->owners, sizeof(struct dev_owner), DEV_REGS_MAX, 0)) != DR_OK ||
        (err = dr_table_init(&s->by_device, DEV_REGS_MAX, device_eq, s)) != DR_OK ||
        (err = dr_table_init(&s->by_name, DEV_REGS_MAX, name_eq, s)) != DR_OK ||
        (err = dr_table_init(&s->owner_table, DEV_REGS_MAX, owner_eq, s)) != DR_OK ||
        (err = dr_table_init(&s->type_table, DEV_TYPES_MAX, type_eq, s)) != DR_OK ||
        (err = lwm2m_shapes_new(DEV_SHAPES_MAX, DEV_SHAPE_BYTES_MAX, seed.k0, &s->shapes)) !=
            DR_OK) {
        (void)dev_shard_free(s);
        return err;
    }
    *ret = s;
    return DR_OK;
}

struct dev_shard *dev_shard_free(struct dev_shard *s)
{
    if (s == NULL) {
        return NULL;
    }
    for (uint32_t i = dr_slab_next(&s->regs, 0); i != 0; i = dr_slab_next(&s->regs, i)) {
        struct dev_reg *reg = dev_reg_at(s, i);
        free(reg->name);
        free(reg->obs);
        free(reg->cache);
    }
    DR_LIST_EACH_SAFE(it, &s->news)
    {
        struct dev_news *n = DR_CONTAINER_OF(it, struct dev_news, node);
        dr_list_remove(it);
        free(n->payload);
        free(n);
    }
    for (size_t i = 0; i < s->n_presubs; i++) {
        (void)dev_presubs_unref(s->presubs[i]);
    }
    for (uint16_t i = 1; i < s->n_types; i++) {
        free(s->types[i]);
    }
    free(s->presubs);
    free(s->keys);
    free(s->listening);
    free(s->dirty);
    dr_slab_fini(&s->regs);
    dr_slab_fini(&s->owners);
    dr_table_fini(&s->by_device);
    dr_table_fini(&s->by_name);
    dr_table_fini(&s->owner_table);
    dr_table_fini(&s->type_table);
    s->shapes = lwm2m_shapes_free(s->shapes);
    dr_idgen_fini(&s->ids);
    free(s);
    return NULL;
}

struct loop *dev_shard_loop(const struct dev_shard *s)
{
    return s->loop;
}

void dev_shard_set_engine(struct dev_shard *s, struct cx_engine *engine)
{
    s->engine = engine;
    s->home = (struct dev_route_home){.loop = s->loop, .number = s->index, .engine = engine};
}

/* The shard of the loop that runs: a loop_call carries no argument of ours. */
static struct dev_shard *shard_here(struct loop_call *call)
{
    struct dev_life *life = DR_CONTAINER_OF(call, struct dev_life, call);

    return life->core->shards[life->shard];
}

static void begin_run(struct loop_call *call)
{
    struct dev_shard *s = shard_here(call);
    dr_err_t err = dev_seen_open(&s->seen, s->core->cfg.run_dir, s->index);

    if (err == DR_OK) {
        s->begun = true;
        loop_timer_start(s->loop, &s->second, 1000, 1000, second_tick);
    }
    loop_call_done(call, err);
}

void dev_shard_begin(struct dev_shard *s, struct loop_call *call, loop_call_done_fn *done)
{
    loop_call_start(s->loop, call, begin_run, done);
}

static void end_run(struct loop_call *call)
{
    struct dev_shard *s = shard_here(call);

    s->ending = true;
    s->home.engine = NULL;
    s->end_call = call;
    dev_touch_flush(s);
    dev_cache_flush(s);
    dev_op_end_check(s);
}

void dev_shard_end(struct dev_shard *s, struct loop_call *call, loop_call_done_fn *done)
{
    loop_call_start(s->loop, call, end_run, done);
}

void dev_op_end_check(struct dev_shard *s)
{
    if (!s->ending || s->end_call == NULL || s->ops != 0 || s->reads != 0 ||
        s->psks.under_way != 0 || s->touch_jobs != 0 || s->cache_jobs != 0 || s->batch_out) {
        return;
    }
    if (s->n_dirty != 0 && !s->stop_writing) {
        s->stop_writing = true; /* once more for what the last operations brought */
        dev_cache_flush(s);
        if (s->cache_jobs != 0) {
            return;
        }
    }
    struct loop_call *call = s->end_call;
    s->end_call = NULL;
    loop_timer_stop(&s->second);
    dev_seen_close(&s->seen);
    loop_call_done(call, DR_OK);
}
