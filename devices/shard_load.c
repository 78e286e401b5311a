/* SPDX-License-Identifier: Apache-2.0 */
/* Runs on shard loops: rows of devices that are not in memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "db/psk.h"
#include "devices/op_priv.h"
#include "devices/rules.h"
#include "devices/standing.h"

struct dev_loaded *dev_loaded_free(struct dev_loaded *l)
{
    if (l != NULL) {
        free(l->links);
        free(l->own);
        free(l->cache);
        free(l->subs);
        free(l);
    }
    return NULL;
}

static dr_err_t sub_row(void *data, const struct db_subscription *row)
{
    struct dev_loaded *l = data;
    struct lwm2m_path path;

    if (l->n_subs == DEV_OBS_MAX ||
        lwm2m_path_parse(row->path, strlen(row->path), &path) != DR_OK) {
        return DR_OK;
    }
    if ((l->n_subs & (l->n_subs - 1)) == 0) { /* 0, 1, 2, 4, 8 … */
        size_t cap = l->n_subs == 0 ? 1 : l->n_subs * 2;
        struct dev_sub_row *subs = realloc(l->subs, cap * sizeof *subs);
        if (subs == NULL) {
            return DR_ERR_NOMEM;
        }
        l->subs = subs;
    }
    l->subs[l->n_subs++] = (struct dev_sub_row){.path = lwm2m_path_pack(&path), .key = row->key};
    return DR_OK;
}

static dr_err_t cache_row(void *data, const struct db_cache *row)
{
    struct dev_loaded *l = data;
    dr_err_t err = dev_cache_load(row->blob, &l->cache);

    return err == DR_ERR_CORRUPT ? DR_OK : err; /* values come again */
}

dr_err_t dev_loaded_extras(struct db_reader *r, int64_t account, int64_t device,
                           struct dev_loaded *l)
{
    dr_err_t err = db_subscription_list(r, account, device, sub_row, l);

    if (err == DR_OK) {
        err = db_cache_get(r, device, cache_row, l);
        err = err == DR_ERR_NOT_FOUND ? DR_OK : err;
    }
    return err;
}

/* A row with standing observations, perhaps none, is that of a Pelion client. */
static dr_err_t standing_take(struct dev_loaded *l, struct dr_bytes stored)
{
    struct dev_standing list[DEV_STANDING_MAX];

    l->reg.flags |= DEV_REG_PELION;
    if (dev_standing_read(stored, list, &l->n_own) != DR_OK) {
        l->n_own = 0; /* learned again with the next Register */
        return DR_OK;
    }
    l->own = calloc(l->n_own + 1, sizeof *l->own);
    if (l->own == NULL) {
        return DR_ERR_NOMEM;
    }
    for (size_t i = 0; i < l->n_own; i++) {
        l->own[i] = (struct dev_obs){
            .path = list[i].path, .flags = DEV_OBS_OWN | DEV_OBS_ON, .aux = list[i].token};
    }
    return DR_OK;
}

static dr_err_t registration_row(void *data, const struct db_registration *row)
{
    struct dev_loaded *l = data;
    struct lwm2m_binding b;
    struct lwm2m_version version = LWM2M_VERSION(row->version_major, row->version_minor);
    struct dev_reg *reg = &l->reg;

    if (strlen(row->endpoint_name) > DEV_NAME_MAX) {
        return DR_ERR_NOT_FOUND;
    }
    (void)snprintf(l->endpoint, sizeof l->endpoint, "%s", row->endpoint_name);
    if (row->endpoint_type != NULL) {
        (void)strncpy(l->type, row->endpoint_type, DEV_TYPE_MAX);
    }
    reg->account = row->account;
    reg->device = row->device;
    reg->generation = row->generation;
    reg->registered_ms = row->registered_at;
    reg->seen_s = reg->touched_s = (uint32_t)(row->last_seen / 1000);
    reg->lifetime_s = row->lifetime_s;
    reg->major = version.major;
    reg->minor = version.minor;
    reg->transports = LWM2M_BIND_U;
    if (row->binding != NULL &&
        lwm2m_binding_parse((struct lwm2m_str){row->binding, strlen(row->binding)}, version, &b) ==
            DR_OK) {
        reg->transports = b.transports;
    }
    reg->flags = DEV_REG_LIVE | (row->queue_mode ? DEV_REG_QUEUE : 0);
    reg->flags |= row->lifetime_s >= LWM2M_LIFETIME_MAX ? DEV_REG_INFINITE : 0;
    l->registered = row->registered;
    l->blocked = row->blocked;
    l->expires_ms = row->expires_at;
    l->credential = row->credential;
    l->credential_version = row->credential_version;
    l->links = malloc(row->links.len + 1);
    if (l->links == NULL) {
        return DR_ERR_NOMEM;
    }
    if (row->links.len != 0) {
        memcpy(l->links, row->links.p, row->links.len);
    }
    l->links_len = row->links.len;
    return row->standing.len == 0 ? DR_OK : standing_take(l, row->standing);
}

struct psk_check {
    int64_t id, version;
    bool found;
};

static dr_err_t psk_row(void *data, const struct db_psk *row)
{
    struct psk_check *c = data;

    c->found = c->found || (row->id == c->id && row->version == c->version);
    return DR_OK;
}

/* Is the key that the association was made with still the one in the store? */
static dr_err_t credential_check(struct db_reader *r, const struct dev_op *op, bool *ret)
{
    struct psk_check c = {.id = op->id.credential, .version = op->id.version};

    for (int use = DB_PSK_OPERATOR; use <= DB_PSK_OFFERED; use++) {
        dr_err_t err =
            db_psk_get(r, op->id.account, op->endpoint, (enum db_psk_use)use, psk_row, &c);
        if (err != DR_OK && err != DR_ERR_NOT_FOUND) {
            return err;
        }
    }
    *ret = c.found;
    return DR_OK;
}

static dr_err_t load_run(struct db_reader *r, struct db_read *read)
{
    struct dev_op *op = DR_CONTAINER_OF(read, struct dev_op, read);
    struct dev_loaded *l = op->loaded;
    dr_err_t err = op->device != 0
                       ? db_registration_get(r, 0, op->device, registration_row, l)
                       : db_registration_find(r, op->account, op->endpoint, registration_row, l);

    op->verdict = DEV_LOAD_UNKNOWN;
    if (err == DR_ERR_NOT_FOUND) {
        return DR_OK;
    }
    if (err != DR_OK) {
        return err;
    }
    bool same = l->reg.account == op->account;
    if (op->has_identity) {
        same = same && strcmp(l->endpoint, op->endpoint) == 0;
    }
    if (!same) {
        op->verdict = DEV_LOAD_OTHER;
        return DR_OK;
    }
    if (op->has_identity && op->id.kind == CX_ID_PSK) {
        bool good;
        err = credential_check(r, op, &good);
        if (err != DR_OK) {
            return err;
        }
        if (!good) {
            op->verdict = DEV_LOAD_REVOKED;
            return DR_OK;
        }
    }
    int64_t slack_ms = ((int64_t)l->reg.lifetime_s / 4 + op->shard->core->cfg.grace_s) * 1000;
    if (!l->registered ||
        ((l->reg.flags & DEV_REG_INFINITE) == 0 && l->expires_ms + slack_ms < op->at_ms)) {
        return DR_OK;
    }
    op->verdict = DEV_LOAD_OK;
    return dev_loaded_extras(r, l->reg.account, l->reg.device, l);
}

static void subs_install(struct dev_shard *s, struct dev_reg *reg, const struct dev_loaded *l)
{
    for (size_t i = 0; i < l->n_subs; i++) {
        uint16_t key = dev_key_intern(s, l->subs[i].key);
        if (key == 0 || dev_obs_find(reg, l->subs[i].path, key) != NULL) {
            continue;
        }
        struct dev_obs *o = dev_obs_add(reg);
        if (o != NULL) {
            *o = (struct dev_obs){.path = l->subs[i].path, .flags = DEV_OBS_WANT, .aux = key};
        }
    }
}

static dr_err_t loaded_install(struct dev_op *op)
{
    struct dev_shard *s = op->shard;
    struct dev_loaded *l = op->loaded;
    struct dev_reg *reg = dev_reg_at(s, op->reg);
    uint32_t shape = LWM2M_SHAPE_NONE;
    dr_err_t err = DR_OK;

    if (l->links_len != 0) {
        err = lwm2m_shape_intern_text(s->shapes, l->links, l->links_len, &shape);
    }
    if (err == DR_OK) {
        err = dev_reg_set_device(s, op->reg, l->reg.device);
    }
    if (err != DR_OK) {
        lwm2m_shape_unref(s->shapes, shape);
        return err;
    }
    reg->generation = l->reg.generation;
    reg->registered_ms = l->reg.registered_ms;
    reg->seen_s = l->reg.seen_s;
    reg->touched_s = l->reg.touched_s;
    reg->lifetime_s = l->reg.lifetime_s;
    reg->flags = l->reg.flags | (op->claim.wanted ? DEV_REG_WANTED : 0);
    reg->major = l->reg.major;
    reg->minor = l->reg.minor;
    reg->transports = l->reg.transports;
    reg->type = dev_type_intern(s, l->type);
    reg->shape = shape;
    reg->cache = l->cache;
    l->cache = NULL;
    subs_install(s, reg, l);
    dev_obs_own_merge(reg, l->own, (uint16_t)l->n_own);
    dev_obs_presubs_apply(s, op->reg);
    dev_reg_timer_start(s, reg);
    return DR_OK;
}

static void load_done(struct db_read *read, dr_err_t err)
{
    struct dev_op *op = DR_CONTAINER_OF(read, struct dev_op, read);

    if (err != DR_OK) {
        dev_op_finish(op, CX_UNAVAILABLE);
        return;
    }
    switch (op->verdict) {
    case DEV_LOAD_REVOKED:
        dev_op_finish(op, CX_FORBIDDEN);
        return;
    case DEV_LOAD_OTHER: /* see on_location() */
    case DEV_LOAD_UNKNOWN:
        dev_op_finish(op, CX_NOT_FOUND);
        return;
    case DEV_LOAD_OK:
        break;
    }
    if (op->loaded->blocked) { /* a Pelion client would wipe its credentials */
        bool pelion = (op->loaded->reg.flags & DEV_REG_PELION) != 0;
        dev_op_finish(op, pelion ? CX_UNAVAILABLE : CX_FORBIDDEN);
        return;
    }
    if (op->reg == 0) { /* NoSec: now the name is known; claim, then read again */
        (void)snprintf(op->endpoint, sizeof op->endpoint, "%s", op->loaded->endpoint);
        op->loaded = dev_loaded_free(op->loaded);
        dev_op_claim(op);
        return;
    }
    if (loaded_install(op) != DR_OK) {
        dev_op_finish(op, CX_UNAVAILABLE);
        return;
    }
    dev_op_ready(op);
}

void dev_op_load(struct dev_op *op)
{
    op->loaded = calloc(1, sizeof *op->loaded);
    op->read = (struct db_read){.home = op->shard->loop, .fn = load_run, .done = load_done};
    if (op->loaded == NULL || db_read_start(op->shard->db, &op->read) != DR_OK) {
        dev_op_finish(op, CX_UNAVAILABLE);
    }
}

/* Subscriptions and cache of a device that registered anew after a restart. */
struct extras {
    struct db_read read;
    struct dev_shard *s;
    int64_t account, device, generation;
    struct dev_loaded *loaded;
};

static dr_err_t extras_run(struct db_reader *r, struct db_read *read)
{
    struct extras *x = DR_CONTAINER_OF(read, struct extras, read);

    return dev_loaded_extras(r, x->account, x->device, x->loaded);
}

static void extras_done(struct db_read *read, dr_err_t err)
{
    struct extras *x = DR_CONTAINER_OF(read, struct extras, read);
    struct dev_shard *s = x->s;
    uint32_t index = dev_reg_by_device(s, x->device);

    if (index != 0 && dev_reg_at(s, index)->generation == x->generation) {
        struct dev_reg *reg = dev_reg_at(s, index);
        if (err == DR_OK) {
            if (reg->cache == NULL) {
                reg->cache = x->loaded->cache;
                x->loaded->cache = NULL;
            }
            subs_install(s, reg, x->loaded);
        } else {
            DR_LOG_LIMITED(DR_LOG_WARNING, "devices", 1,
                           "subscriptions of a device could not be read: %s", dr_err_str(err));
        }
        dev_obs_renew(s, index);
    }
    x->loaded = dev_loaded_free(x->loaded);
    free(x);
    s->reads--;
    dev_op_end_check(s);
}

void dev_extras_load(struct dev_shard *s, uint32_t index)
{
    const struct dev_reg *reg = dev_reg_at(s, index);
    struct extras *x = calloc(1, sizeof *x);

    if (x == NULL) {
        return;
    }
    *x = (struct extras){.read = {.home = s->loop, .fn = extras_run, .done = extras_done},
                         .s = s,
                         .account = reg->account,
                         .device = reg->device,
                         .generation = reg->generation,
                         .loaded = calloc(1, sizeof *x->loaded)};
    if (x->loaded == NULL || db_read_start(s->db, &x->read) != DR_OK) {
        x->loaded = dev_loaded_free(x->loaded);
        free(x);
        dev_obs_renew(s, index);
        return;
    }
    s->reads++;
}
