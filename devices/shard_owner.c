/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs on shard loops: who holds an endpoint.
 *
 * The home shard of an endpoint (by a keyed hash of account and name) has one entry for it. A shard
 * S that gets a Register or Update for a device which it does not hold claims it:
 *
 *     S --claim--> home            home notes S as the holder, whatever comes later
 *                  home --claim--> P, the holder before (if any)
 *                                  P waits for the end of its own operation on the device, ends its
 *                                  calls as moved, packs the registration into the claim
 *     S <-----------claim--------- P (or from home, with nothing inside)
 *
 * It is one block of memory that travels, so no step can fail. P may itself still wait for its
 * claim to come back: then the device is handed on when that has happened. A holder that drops a
 * registration tells home, which ignores it when somebody else holds the device by then (messages
 * between two loops keep their order). The store orders what shards write by generation.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "devices/shard_priv.h"

struct released_msg {
    struct loop_msg msg;
    struct dev_shard *from, *home;
    uint64_t hash;
};

static struct dev_owner *owner_get(struct dev_shard *home, uint64_t hash, bool make)
{
    uint32_t index = dr_table_get(&home->owner_table, (uint32_t)(hash >> 32), &hash);

    if (index == 0 && make) {
        if (dr_slab_alloc(&home->owners, &index) != DR_OK) {
            return NULL;
        }
        struct dev_owner *o = dr_slab_get(&home->owners, index);
        *o = (struct dev_owner){.hash = hash, .shard = DEV_OWNER_NONE};
        if (dr_table_put(&home->owner_table, (uint32_t)(hash >> 32), index) != DR_OK) {
            dr_slab_free(&home->owners, index);
            return NULL;
        }
    }
    return index == 0 ? NULL : dr_slab_get(&home->owners, index);
}

static void owner_drop_if_idle(struct dev_shard *home, uint64_t hash)
{
    uint32_t index = dr_table_get(&home->owner_table, (uint32_t)(hash >> 32), &hash);

    if (index == 0) {
        return;
    }
    struct dev_owner *o = dr_slab_get(&home->owners, index);
    if (o->shard == DEV_OWNER_NONE && !o->wanted) {
        (void)dr_table_del(&home->owner_table, (uint32_t)(hash >> 32), index);
        dr_slab_free(&home->owners, index);
    }
}

/* ---- claims ---- */

static struct dev_shard *shard_current(struct dev_core *core)
{
    for (unsigned i = 0; i < core->n; i++) {
        if (core->shards[i]->loop == loop_current()) {
            return core->shards[i];
        }
    }
    return NULL;
}

static void claim_back(struct loop_msg *msg)
{
    struct dev_claim *claim = DR_CONTAINER_OF(msg, struct dev_claim, msg);

    dev_op_claimed(DR_CONTAINER_OF(claim, struct dev_op, claim));
}

static void claim_return(struct dev_claim *claim)
{
    loop_post(claim->by->loop, &claim->msg, claim_back);
}

/* At the holder before. */
static void claim_at_holder(struct loop_msg *msg)
{
    struct dev_claim *claim = DR_CONTAINER_OF(msg, struct dev_claim, msg);
    struct dev_shard *s = shard_current(claim->by->core);

    dr_assert(s != NULL);
    uint32_t index = dev_reg_by_name(s, claim->account, claim->endpoint);
    if (index == 0) {
        claim_return(claim);
        return;
    }
    struct dev_reg *reg = dev_reg_at(s, index);
    if (reg->op != NULL) {
        dr_assert(reg->heir == NULL); /* home sends the next claim to the next holder */
        reg->heir = claim;
        return;
    }
    dev_claim_hand_over(s, index, claim);
}

static void claim_at_home(struct loop_msg *msg)
{
    struct dev_claim *claim = DR_CONTAINER_OF(msg, struct dev_claim, msg);
    struct dev_core *core = claim->by->core;
    struct dev_shard *home = dev_home(core, claim->hash);
    struct dev_owner *o = owner_get(home, claim->hash, true);

    if (o == NULL || o->shard == DEV_OWNER_CONTROL) {
        claim->busy = true;
        claim_return(claim);
        return;
    }
    uint16_t before = o->shard;
    o->shard = (uint16_t)claim->by->index;
    claim->wanted = o->wanted;
    o->wanted = false;
    if (before == DEV_OWNER_NONE || before == o->shard) {
        claim_return(claim);
        return;
    }
    loop_post(core->shards[before]->loop, &claim->msg, claim_at_holder);
}

void dev_claim_start(struct dev_claim *claim)
{
    claim->wanted = false;
    claim->busy = false;
    claim->got = NULL;
    loop_post(dev_home(claim->by->core, claim->hash)->loop, &claim->msg, claim_at_home);
}

struct dev_handover *dev_handover_free(struct dev_handover *h)
{
    if (h != NULL) {
        free(h->reg.obs);
        free(h->reg.cache);
        free(h->links);
        free(h->keys);
        free(h);
    }
    return NULL;
}

static struct dev_handover *handover_pack(struct dev_shard *s, struct dev_reg *reg)
{
    struct dev_handover *h = calloc(1, sizeof *h);

    if (h == NULL) {
        return NULL;
    }
    struct lwm2m_str text = lwm2m_shape_text(s->shapes, reg->shape);
    h->links = malloc(text.len + 1);
    h->keys = calloc((size_t)reg->n_obs + 1, sizeof *h->keys);
    if (h->links == NULL || h->keys == NULL) {
        return dev_handover_free(h);
    }
    if (text.len != 0) {
        memcpy(h->links, text.ptr, text.len);
    }
    h->links_len = text.len;
    (void)strncpy(h->type, dev_type_text(s, reg->type), DEV_TYPE_MAX);
    for (uint16_t i = 0; i < reg->n_obs; i++) {
        bool own = (reg->obs[i].flags & DEV_OBS_OWN) != 0;
        h->keys[i] = own ? 0 : dev_key_of(s, reg->obs[i].aux);
    }
    h->reg = *reg;
    h->reg.timer = (struct dr_timer){0};
    h->reg.shard = NULL;
    h->reg.name = NULL;
    h->reg.peer = 0;
    h->reg.shape = 0;
    h->reg.op = NULL;
    h->reg.heir = NULL;
    reg->obs = NULL; /* moved */
    reg->n_obs = reg->cap_obs = 0;
    reg->cache = NULL;
    return h;
}

void dev_claim_hand_over(struct dev_shard *s, uint32_t index, struct dev_claim *claim)
{
    struct dev_reg *reg = dev_reg_at(s, index);

    dr_assert(reg->op == NULL && reg->heir == NULL);
    if ((reg->flags & DEV_REG_LIVE) != 0) {
        /* without memory for the pack the new holder reads the row: only the cache may be older */
        claim->got = handover_pack(s, reg);
        claim->wanted = claim->wanted || (reg->flags & DEV_REG_WANTED) != 0;
    }
    cx_peer_t peer = reg->peer;
    struct cx_identity id;
    dev_reg_remove(s, index, false);
    if (peer != 0 && cx_peer_identity(s->engine, peer, &id) && id.kind != CX_ID_NONE) {
        cx_peer_close(s->engine, peer);
    }
    claim_return(claim);
}

dr_err_t dev_handover_install(struct dev_shard *s, uint32_t index, struct dev_handover *h)
{
    struct dev_reg *reg = dev_reg_at(s, index);
    uint32_t shape = LWM2M_SHAPE_NONE;
    dr_err_t err = DR_OK;

    if (h->links_len != 0) {
        err = lwm2m_shape_intern_text(s->shapes, h->links, h->links_len, &shape);
    }
    if (err == DR_OK) {
        err = dev_reg_set_device(s, index, h->reg.device);
    }
    if (err != DR_OK) {
        lwm2m_shape_unref(s->shapes, shape);
        (void)dev_handover_free(h);
        return err;
    }
    const struct dev_reg *from = &h->reg;
    reg->generation = from->generation;
    reg->registered_ms = from->registered_ms;
    reg->seen_s = from->seen_s;
    reg->heard_s = from->heard_s;
    reg->touched_s = from->touched_s;
    reg->lifetime_s = from->lifetime_s;
    reg->flags = from->flags & (DEV_REG_LIVE | DEV_REG_QUEUE | DEV_REG_INFINITE | DEV_REG_PELION);
    reg->formats = from->formats;
    reg->major = from->major;
    reg->minor = from->minor;
    reg->transports = from->transports;
    reg->type = dev_type_intern(s, h->type);
    reg->shape = shape;
    reg->obs = h->reg.obs;
    reg->n_obs = h->reg.n_obs;
    reg->cap_obs = h->reg.cap_obs;
    h->reg.obs = NULL;
    for (uint16_t i = 0; i < reg->n_obs; i++) {
        if ((reg->obs[i].flags & DEV_OBS_OWN) == 0) {
            reg->obs[i].aux = dev_key_intern(s, h->keys[i]);
        }
    }
    reg->cache = h->reg.cache;
    h->reg.cache = NULL;
    if ((from->flags & DEV_REG_CACHE_DIRTY) != 0) {
        dev_cache_mark(s, index);
    }
    for (uint16_t i = 0; i < reg->n_obs; i++) { /* a call that was under way ended as moved */
        if (reg->obs[i].flags == 0) {
            reg->obs[i].flags = DEV_OBS_WANT;
        }
    }
    dev_reg_timer_start(s, reg);
    (void)dev_handover_free(h);
    return DR_OK;
}

/* ---- a holder drops a registration ---- */

static void released_at_home(struct loop_msg *msg)
{
    struct released_msg *m = DR_CONTAINER_OF(msg, struct released_msg, msg);
    struct dev_owner *o = owner_get(m->home, m->hash, false);

    if (o != NULL && o->shard == m->from->index) {
        o->shard = DEV_OWNER_NONE;
        owner_drop_if_idle(m->home, m->hash);
    }
    free(m);
}

void dev_owner_released(struct dev_shard *s, uint64_t hash)
{
    struct released_msg *m = malloc(sizeof *m);

    if (m == NULL) {
        return; /* the entry stays: the next claim asks us in vain, no harm */
    }
    *m = (struct released_msg){.from = s, .home = dev_home(s->core, hash), .hash = hash};
    loop_post(m->home->loop, &m->msg, released_at_home);
}

/* ---- tasks of control ---- */

static void task_at_control(struct loop_msg *msg)
{
    struct dev_task *task = DR_CONTAINER_OF(msg, struct dev_task, msg);

    task->done(task);
}

void dev_task_return(struct dev_task *task, dr_err_t err)
{
    task->err = err;
    loop_post(task->core->cfg.control, &task->msg, task_at_control);
}

static void task_drop(struct dev_shard *s, uint32_t index, struct dev_task *task)
{
    struct dev_reg *reg = dev_reg_at(s, index);
    cx_peer_t peer = reg->peer;
    struct cx_identity id;

    if (reg->op == NULL) {
        if (task->kind == DEV_TASK_DROP) {
            dev_news_state(s, reg, DEV_EVENT_DEREGISTERED, false);
        }
        dev_reg_remove(s, index, true);
    } else if (reg->op->peer != 0 && reg->op->peer != peer) {
        /* the operation ends as stale, or anew; not over an association of before */
        cx_peer_close(s->engine, reg->op->peer);
    }
    if (peer != 0 && cx_peer_identity(s->engine, peer, &id)) {
        cx_peer_close(s->engine, peer);
    }
    dev_task_return(task, DR_OK);
}

static void task_at_holder(struct loop_msg *msg)
{
    struct dev_task *task = DR_CONTAINER_OF(msg, struct dev_task, msg);
    struct dev_shard *s = shard_current(task->core);

    dr_assert(s != NULL);
    uint32_t index = dev_reg_by_device(s, task->device);
    if (index == 0) {
        dev_task_return(task, DR_ERR_MOVED); /* on its way elsewhere: control asks again */
        return;
    }
    struct dev_reg *reg = dev_reg_at(s, index);
    if (task->kind == DEV_TASK_DROP || task->kind == DEV_TASK_REKEYED) {
        task_drop(s, index, task);
        return;
    }
    if ((reg->flags & DEV_REG_LIVE) == 0) {
        dev_task_return(task, DR_ERR_MOVED);
        return;
    }
    switch (task->kind) {
    case DEV_TASK_REQUEST:
        dev_exec_start(s, index, task);
        break;
    case DEV_TASK_VALUE:
        dev_value_task(s, index, task);
        break;
    case DEV_TASK_SUBSCRIBE:
    case DEV_TASK_FORGET:
        dev_obs_task(s, index, task);
        break;
    case DEV_TASK_DROP:
    case DEV_TASK_REKEYED:
    case DEV_TASK_EXPIRE:
    case DEV_TASK_EXPIRED:
        dr_assert(false);
        break;
    }
}

static void task_at_home(struct loop_msg *msg)
{
    struct dev_task *task = DR_CONTAINER_OF(msg, struct dev_task, msg);
    struct dev_shard *home = dev_home(task->core, task->hash);
    bool want = task->kind == DEV_TASK_REQUEST;
    struct dev_owner *o = owner_get(home, task->hash, want || task->kind == DEV_TASK_EXPIRE);

    if (task->kind == DEV_TASK_EXPIRE) {
        if (o == NULL || o->shard != DEV_OWNER_NONE) {
            dev_task_return(task, DR_ERR_IN_USE);
            return;
        }
        o->shard = DEV_OWNER_CONTROL;
        dev_task_return(task, DR_OK);
        return;
    }
    if (task->kind == DEV_TASK_EXPIRED) {
        if (o != NULL && o->shard == DEV_OWNER_CONTROL) {
            o->shard = DEV_OWNER_NONE;
            owner_drop_if_idle(home, task->hash);
        }
        dev_task_return(task, DR_OK);
        return;
    }
    if (o == NULL || o->shard == DEV_OWNER_NONE || o->shard == DEV_OWNER_CONTROL) {
        if (o != NULL && want) {
            o->wanted = true;
        }
        dev_task_return(task, o == NULL && want ? DR_ERR_MOVED : DR_ERR_AGAIN);
        return;
    }
    loop_post(task->core->shards[o->shard]->loop, &task->msg, task_at_holder);
}

void dev_task_send(struct dev_task *task)
{
    loop_post(dev_home(task->core, task->hash)->loop, &task->msg, task_at_home);
}

struct dev_task *dev_task_free(struct dev_task *task)
{
    if (task != NULL) {
        free(task->uri);
        free(task->payload);
        task->body = cx_body_unref(task->body);
        free(task->result);
        free(task);
    }
    return NULL;
}
