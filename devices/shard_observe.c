/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs on shard loops: observations.
 *
 * A token is a keyed hash of the device, the time of its Register and the path, so it needs no
 * memory, cannot be guessed, and is the same after a restart: an observation that is created again
 * replaces itself on the device. Observations are created one at a time for each device, again
 * after each Register, and when the device can be reached.
 *
 * A Pelion client makes observations by itself (aobs): it chooses their 2-byte tokens anew for each
 * Register. Who subscribes to such a path joins the standing observation: nothing is sent, since a
 * GET with Observe would replace the client's token and a cancellation would end its reports for
 * all.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "coap/msg.h"
#include "devices/ops_priv.h"
#include "devices/rules.h"
#include "devices/shard_priv.h"
#include "devices/standing.h"
#include "lwm2m/links.h"
#include "lwm2m/report.h"

#define MAX_AGE_DEFAULT_S 60 /* spec: RFC7252#5.10.5 */

struct obs_call {
    struct cx_call call;
    struct dev_shard *s;
    int64_t device, generation;
    uint64_t path;
    struct dev_task *task; /* waits for the first value, or NULL */
    bool runner;           /* holds DEV_REG_OBS_BUSY */
    bool plain;            /* only the first value: the device notifies by itself */
    struct dev_opts opts;
};

void dev_obs_token(const struct dev_shard *s, const struct dev_reg *reg, uint64_t path,
                   uint8_t out[8])
{
    uint64_t in[3] = {(uint64_t)reg->device, (uint64_t)reg->registered_ms, path};

    dr_store_be(out, dr_siphash(&s->core->token_key, in, sizeof in), 8);
}

struct dev_obs *dev_obs_add(struct dev_reg *reg)
{
    if (reg->n_obs == reg->cap_obs) {
        if (reg->cap_obs >= DEV_OBS_MAX) {
            return NULL;
        }
        uint16_t cap = (uint16_t)(reg->cap_obs + (reg->cap_obs < 8 ? 2 : reg->cap_obs / 2));
        struct dev_obs *more = realloc(reg->obs, cap * sizeof *more);
        if (more == NULL) {
            return NULL;
        }
        reg->obs = more;
        reg->cap_obs = cap;
    }
    reg->obs[reg->n_obs] = (struct dev_obs){0};
    return &reg->obs[reg->n_obs++];
}

struct dev_obs *dev_obs_find(struct dev_reg *reg, uint64_t path, uint16_t key)
{
    for (uint16_t i = 0; i < reg->n_obs; i++) {
        struct dev_obs *o = &reg->obs[i];
        if (o->path == path && (o->flags & DEV_OBS_OWN) == 0 && o->aux == key) {
            return o;
        }
    }
    return NULL;
}

/* The standing observation of exactly this path, or NULL. */
static struct dev_obs *own_find(const struct dev_reg *reg, uint64_t path)
{
    for (uint16_t i = 0; i < reg->n_obs; i++) {
        if (reg->obs[i].path == path && (reg->obs[i].flags & DEV_OBS_OWN) != 0) {
            return &reg->obs[i];
        }
    }
    return NULL;
}

void dev_obs_own_clear(struct dev_reg *reg)
{
    uint16_t kept = 0;

    for (uint16_t i = 0; i < reg->n_obs; i++) {
        if ((reg->obs[i].flags & DEV_OBS_OWN) == 0) {
            reg->obs[kept++] = reg->obs[i];
        }
    }
    reg->n_obs = kept;
}

void dev_obs_own_merge(struct dev_reg *reg, const struct dev_obs *own, uint16_t n)
{
    for (uint16_t i = 0; i < n; i++) {
        struct dev_obs *o = own_find(reg, own[i].path);
        if (o == NULL) {
            o = dev_obs_add(reg);
        }
        if (o == NULL) {
            return;
        }
        *o = own[i];
    }
}

size_t dev_obs_own_store(const struct dev_reg *reg, const struct dev_obs *own, uint16_t n,
                         uint8_t *out)
{
    struct dev_standing list[DEV_STANDING_MAX];
    size_t k = 0;

    for (uint16_t i = 0; i < n && k < DEV_STANDING_MAX; i++) {
        list[k++] = (struct dev_standing){.path = own[i].path, .token = own[i].aux};
    }
    for (uint16_t i = 0; reg != NULL && i < reg->n_obs && k < DEV_STANDING_MAX; i++) {
        bool fresh = (reg->obs[i].flags & DEV_OBS_OWN) == 0;
        for (uint16_t j = 0; j < n && !fresh; j++) {
            fresh = own[j].path == reg->obs[i].path;
        }
        if (!fresh) {
            list[k++] = (struct dev_standing){.path = reg->obs[i].path, .token = reg->obs[i].aux};
        }
    }
    return dev_standing_write(list, k, out);
}

/* ---- values that come in ---- */

struct spread {
    struct dev_shard *s;
    uint32_t index;
    uint64_t obs_path;
    bool own;
    uint32_t max_age_s;
    int64_t only_key; /* a first value goes to nobody else: -1 */
};

static void spread_value(void *data, const struct lwm2m_path *path, uint16_t ct,
                         struct dr_bytes payload, int64_t at_ms)
{
    struct spread *sp = data;
    struct dev_shard *s = sp->s;

    dev_value_put(s, sp->index, path, ct, payload, sp->max_age_s, at_ms);
    if (sp->only_key == -1) {
        return;
    }
    struct dev_reg *reg = dev_reg_at(s, sp->index);
    if (sp->own) {
        dev_news_value(s, reg, sp->index, DEV_KEY_DEVICE, path, ct, payload, sp->max_age_s, at_ms);
    }
    for (uint16_t i = 0; i < reg->n_obs; i++) {
        const struct dev_obs *o = &reg->obs[i];
        if (o->path == sp->obs_path && (o->flags & DEV_OBS_OWN) == 0) {
            dev_news_value(s, reg, sp->index, dev_key_of(s, o->aux), path, ct, payload,
                           sp->max_age_s, at_ms);
        }
    }
}

static void value_in(struct dev_shard *s, uint32_t index, uint64_t obs_path,
                     const struct cx_pdu *pdu, bool tell, bool own)
{
    struct lwm2m_path path;
    struct spread sp = {.s = s,
                        .index = index,
                        .obs_path = obs_path,
                        .own = own,
                        .only_key = tell ? 0 : -1,
                        .max_age_s = pdu->max_age >= 0 && pdu->max_age <= UINT32_MAX
                                         ? (uint32_t)pdu->max_age
                                         : MAX_AGE_DEFAULT_S};

    if (lwm2m_path_unpack(obs_path, &path) != DR_OK) {
        return;
    }
    dr_err_t err =
        dev_values_split(s, dev_reg_at(s, index), &path, pdu->content_format,
                         dr_bytes_of(pdu->payload, pdu->payload_len), false, spread_value, &sp);
    if (err != DR_OK) {
        DR_LOG_LIMITED(DR_LOG_WARNING, "devices", 1, "value not taken: %s", dr_err_str(err));
    }
}

static struct dev_obs *by_token(const struct dev_shard *s, struct dev_reg *reg,
                                const struct cx_pdu *pdu)
{
    for (uint16_t i = 0; i < reg->n_obs; i++) {
        struct dev_obs *o = &reg->obs[i];
        bool own = (o->flags & DEV_OBS_OWN) != 0;
        if (own && pdu->token_len == 2 && o->aux == (pdu->token[0] << 8 | pdu->token[1])) {
            return o;
        }
        if (own || pdu->token_len != 8) {
            continue;
        }
        uint8_t token[8];
        dev_obs_token(s, reg, o->path, token);
        if (memcmp(token, pdu->token, sizeof token) == 0) {
            return o;
        }
    }
    return NULL;
}

/* All entries of a path (one for each key) share the state of the one observation. */
static void state_set(struct dev_reg *reg, uint64_t path, unsigned flags)
{
    for (uint16_t i = 0; i < reg->n_obs; i++) {
        struct dev_obs *o = &reg->obs[i];
        if (o->path == path && (o->flags & DEV_OBS_OWN) == 0) {
            o->flags = flags & 0xffU;
        }
    }
}

static bool is_newer(const struct dev_obs *o, uint32_t seq, uint64_t now_ms, uint32_t now_s)
{
    if (o->at_s == 0 && o->seq == 0) {
        return true;
    }
    uint16_t age_s = (uint16_t)(now_s - o->at_s);

    return lwm2m_observe_newer(o->seq, 0, seq, (uint64_t)age_s * 1000) || now_ms == 0;
}

bool dev_notify(struct dev_shard *s, cx_peer_t peer, const struct cx_pdu *pdu)
{
    uint32_t index = dev_reg_of_peer(s, peer);
    uint32_t now_s = (uint32_t)(dr_wall_ms() / 1000);

    if (index == 0) {
        return dev_notify_unknown(s, peer, pdu);
    }
    struct dev_reg *reg = dev_reg_at(s, index);
    if ((reg->flags & DEV_REG_LIVE) == 0) {
        return true; /* on its way here; its values come again */
    }
    struct dev_obs *o = by_token(s, reg, pdu);
    if (o == NULL) {
        /* its own observations end with the registration: a reset would be for nothing, and the
         * client waits for an ACK before it reports what comes next */
        return (reg->flags & DEV_REG_PELION) != 0 && pdu->token_len == 2;
    }
    if (reg->peer != peer && reg->op == NULL) {
        dev_reg_bind(s, index, peer); /* a new association of the same identity */
    }
    dev_reg_heard(s, reg, now_s);
    uint64_t path = o->path;
    bool own = (o->flags & DEV_OBS_OWN) != 0;
    if (pdu->code >> 5 != 2) { /* the device ended it */
        if (!own) {
            state_set(reg, path, DEV_OBS_ENDED);
        }
        return true;
    }
    if (pdu->observe >= 0) {
        if (!is_newer(o, (uint32_t)pdu->observe, loop_now_ms(s->loop), now_s)) {
            return true;
        }
        o->seq = (uint32_t)pdu->observe & 0xffffffU;
        o->at_s = (uint16_t)now_s;
        if (!own) {
            state_set(reg, path, DEV_OBS_ON);
        }
    } else if (!own) {
        state_set(reg, path, DEV_OBS_ENDED);
    }
    value_in(s, index, path, pdu, true, own);
    dev_obs_next(s, index);
    return true;
}

bool dev_observed(struct dev_shard *s, cx_peer_t peer, const struct cx_pdu *first,
                  struct cx_observed *ret)
{
    uint32_t index = dev_reg_of_peer(s, peer);
    struct dev_opts opts = {.n = 0};
    struct lwm2m_path path;

    if (index == 0 || (dev_reg_at(s, index)->flags & DEV_REG_LIVE) == 0) {
        return false;
    }
    struct dev_reg *reg = dev_reg_at(s, index);
    const struct dev_obs *o = by_token(s, reg, first);
    if (o == NULL || lwm2m_path_unpack(o->path, &path) != DR_OK ||
        dev_opts_path(&opts, lwm2m_shape_links(s->shapes, reg->shape), &path) != DR_OK ||
        opts.n > CX_OBSERVED_OPTS_MAX || opts.len > sizeof ret->buf) {
        return false;
    }
    ret->code = CX_GET;
    ret->n_opts = opts.n;
    ret->payload = NULL;
    ret->payload_len = 0;
    memcpy(ret->buf, opts.bytes, opts.len);
    for (size_t i = 0; i < opts.n; i++) {
        ret->opts[i] = opts.opts[i];
        ret->opts[i].val = ret->buf + (opts.opts[i].val - opts.bytes);
    }
    return true;
}

/* ---- creating and cancelling ---- */

static void observe_done(struct cx_call *call, dr_err_t err, const struct cx_pdu *answer)
{
    struct obs_call *c = DR_CONTAINER_OF(call, struct obs_call, call);
    struct dev_shard *s = c->s;
    uint32_t index = dev_reg_by_device(s, c->device);
    struct dev_reg *reg = index == 0 ? NULL : dev_reg_at(s, index);
    struct dev_task *task = c->task;

    if (reg != NULL && (reg->generation != c->generation || (reg->flags & DEV_REG_LIVE) == 0)) {
        reg = NULL; /* of an earlier registration */
    }
    if (reg != NULL && c->runner) {
        reg->flags &= (uint16_t)~DEV_REG_OBS_BUSY;
    }
    if (err == DR_OK && reg != NULL) {
        reg->heard_s = (uint32_t)(dr_wall_ms() / 1000);
        bool good = answer->code >> 5 == 2;
        bool on = good && (answer->observe >= 0 || c->plain);
        state_set(reg, c->path, on ? DEV_OBS_ON : DEV_OBS_ENDED);
        for (uint16_t i = 0; good && i < reg->n_obs; i++) {
            if (reg->obs[i].path == c->path && (reg->obs[i].flags & DEV_OBS_OWN) == 0) {
                reg->obs[i].seq = answer->observe >= 0 ? (uint32_t)answer->observe & 0xffffffU : 0;
                reg->obs[i].at_s = (uint16_t)reg->heard_s;
            }
        }
        if (good) {
            value_in(s, index, c->path, answer, task == NULL, false);
        }
    } else if (reg != NULL) {
        state_set(reg, c->path, DEV_OBS_WANT);
        if ((reg->flags & DEV_REG_QUEUE) != 0 && err == DR_ERR_TIMEOUT) {
            reg->heard_s = 0; /* it sleeps */
        }
    }
    if (task != NULL) {
        if (err == DR_OK) {
            dev_task_answer(s, reg, task, answer, !c->plain);
        } else {
            if (reg != NULL) {
                reg->flags |= DEV_REG_WANTED;
            }
            dev_task_return(task, err);
        }
    }
    free(c);
    s->calls--;
    if (reg != NULL && (err == DR_OK || err == DR_ERR_MOVED)) {
        dev_obs_next(s, index);
    }
}

static void cancel_done(struct cx_call *call, dr_err_t err, const struct cx_pdu *answer)
{
    struct obs_call *c = DR_CONTAINER_OF(call, struct obs_call, call);

    (void)err; /* not reached: its next notification is refused, which ends it too */
    (void)answer;
    c->s->calls--;
    free(c);
}

static dr_err_t observe_start(struct dev_shard *s, uint32_t index, uint64_t packed,
                              struct dev_task *task, bool cancel)
{
    struct dev_reg *reg = dev_reg_at(s, index);
    struct lwm2m_path path;
    struct obs_call *c = calloc(1, sizeof *c);

    if (c == NULL || lwm2m_path_unpack(packed, &path) != DR_OK) {
        free(c);
        return DR_ERR_NOMEM;
    }
    const struct lwm2m_links *links = lwm2m_shape_links(s->shapes, reg->shape);
    c->plain = !cancel && own_find(reg, packed) != NULL;
    dr_err_t err = c->plain ? DR_OK : dev_opts_uint(&c->opts, CX_OPT_OBSERVE, cancel ? 1 : 0);
    if (err == DR_OK) {
        err = dev_opts_path(&c->opts, links, &path);
    }
    if (err == DR_OK && task != NULL && task->accept != LWM2M_CT_NONE) {
        err = dev_opts_uint(&c->opts, CX_OPT_ACCEPT, task->accept);
    }
    if (err != DR_OK) {
        free(c);
        return err;
    }
    c->call = (struct cx_call){.peer = reg->peer,
                               .code = CX_GET,
                               .opts = c->opts.opts,
                               .n_opts = c->opts.n,
                               .token_len = c->plain ? 0 : 8,
                               .cb = cancel ? cancel_done : observe_done};
    if (!c->plain) {
        dev_obs_token(s, reg, packed, c->call.token);
    }
    c->s = s;
    c->device = reg->device;
    c->generation = reg->generation;
    c->path = packed;
    c->task = task;
    c->runner = task == NULL && !cancel;
    err = cx_call_start(s->engine, &c->call);
    if (err != DR_OK) {
        free(c);
        return err;
    }
    s->calls++;
    if (!cancel) {
        state_set(reg, packed, 0); /* under way */
        if (c->runner) {
            reg->flags |= DEV_REG_OBS_BUSY;
        }
    }
    return DR_OK;
}

void dev_obs_next(struct dev_shard *s, uint32_t index)
{
    struct dev_reg *reg = dev_reg_at(s, index);

    if (reg->n_obs == 0 || reg->peer == 0 || reg->op != NULL ||
        (reg->flags & DEV_REG_OBS_BUSY) != 0) {
        return;
    }
    for (uint16_t i = 0; i < reg->n_obs; i++) {
        if ((reg->obs[i].flags & DEV_OBS_WANT) == 0) {
            continue;
        }
        if (own_find(reg, reg->obs[i].path) != NULL) {
            state_set(reg, reg->obs[i].path, DEV_OBS_ON);
            continue;
        }
        if (s->ending || !dev_reg_awake(s, reg)) {
            return;
        }
        if (observe_start(s, index, reg->obs[i].path, NULL, false) != DR_OK) {
            return; /* with the next uplink */
        }
        return;
    }
}

void dev_obs_renew(struct dev_shard *s, uint32_t index)
{
    struct dev_reg *reg = dev_reg_at(s, index);

    for (uint16_t i = 0; i < reg->n_obs; i++) {
        if ((reg->obs[i].flags & DEV_OBS_OWN) == 0) {
            reg->obs[i] = (struct dev_obs){
                .path = reg->obs[i].path, .aux = reg->obs[i].aux, .flags = DEV_OBS_WANT};
        }
    }
    dev_obs_presubs_apply(s, index);
    dev_obs_next(s, index);
}

/* ---- subscriptions from control ---- */

static bool path_state(const struct dev_reg *reg, uint64_t path, unsigned *ret)
{
    for (uint16_t i = 0; i < reg->n_obs; i++) {
        if (reg->obs[i].path == path && (reg->obs[i].flags & DEV_OBS_OWN) == 0) {
            *ret = reg->obs[i].flags;
            return true;
        }
    }
    return false;
}

static void subscribe(struct dev_shard *s, uint32_t index, const struct lwm2m_path *path,
                      struct dev_task *task)
{
    struct dev_reg *reg = dev_reg_at(s, index);
    uint64_t packed = lwm2m_path_pack(path);
    uint16_t key = dev_key_intern(s, task->key);
    unsigned flags = DEV_OBS_WANT;

    if (key == 0) {
        dev_task_return(task, DR_ERR_LIMIT);
        return;
    }
    bool known = path_state(reg, packed, &flags);
    if (dev_obs_find(reg, packed, key) == NULL) {
        struct dev_obs *o = dev_obs_add(reg);
        if (o == NULL) {
            dev_task_return(task, DR_ERR_LIMIT);
            return;
        }
        *o = (struct dev_obs){.path = packed, .aux = key, .flags = flags & 0xffU};
    }
    if (known && flags == 0) { /* being created this moment */
        dev_task_return(task, DR_ERR_MOVED);
        return;
    }
    struct dev_cached v;
    if (own_find(reg, packed) != NULL) {
        state_set(reg, packed, DEV_OBS_ON);
        known = true;
        flags = DEV_OBS_ON;
    }
    if (known && (flags & DEV_OBS_ON) != 0 && dev_cache_get(reg->cache, packed, &v)) {
        task->cache_ok = true;
        dev_value_task(s, index, task);
        return;
    }
    if (reg->peer == 0 || !dev_reg_awake(s, reg)) {
        reg->flags |= DEV_REG_WANTED;
        dev_task_return(task, reg->peer == 0 && (reg->flags & DEV_REG_QUEUE) == 0 ? DR_ERR_GONE
                                                                                  : DR_ERR_ASLEEP);
        return;
    }
    dr_err_t err = observe_start(s, index, packed, task, false);
    if (err != DR_OK) {
        dev_task_return(task, err);
    }
}

static bool same_path(const struct dev_obs *a, const struct dev_obs *b)
{
    return a->path == b->path && ((a->flags | b->flags) & DEV_OBS_OWN) == 0;
}

/* @param path  NULL = all. @param key  0 = of all keys */
static void forget(struct dev_shard *s, uint32_t index, const struct lwm2m_path *path, int64_t key)
{
    struct dev_reg *reg = dev_reg_at(s, index);
    uint64_t packed = path == NULL ? 0 : lwm2m_path_pack(path);
    uint16_t kept = 0;

    for (uint16_t i = 0; i < reg->n_obs; i++) {
        struct dev_obs o = reg->obs[i];
        if ((o.flags & DEV_OBS_OWN) != 0 || (path != NULL && o.path != packed) ||
            (key != 0 && dev_key_of(s, o.aux) != key)) {
            reg->obs[kept++] = o;
            continue;
        }
        bool last = true; /* of several keys */
        for (uint16_t j = 0; j < reg->n_obs; j++) {
            last = last && ((j >= kept && j <= i) || !same_path(&reg->obs[j], &o));
        }
        if (last && (o.flags & DEV_OBS_ON) != 0 && own_find(reg, o.path) == NULL &&
            reg->peer != 0 && dev_reg_awake(s, reg)) {
            dr_err_t err = observe_start(s, index, o.path, NULL, true);
            (void)err; /* not sent: the next notification is refused */
        }
    }
    reg->n_obs = kept;
}

void dev_obs_task(struct dev_shard *s, uint32_t index, struct dev_task *task)
{
    struct dev_uri uri;

    if (task->kind == DEV_TASK_FORGET && task->uri == NULL) {
        forget(s, index, NULL, task->key);
        dev_task_return(task, DR_OK);
        return;
    }
    if (dev_uri_parse(task->uri, &uri) != DR_OK) {
        dev_task_return(task, DR_ERR_INVAL);
        return;
    }
    if (task->kind == DEV_TASK_FORGET) {
        forget(s, index, &uri.path, task->key);
        dev_task_return(task, DR_OK);
        return;
    }
    subscribe(s, index, &uri.path, task);
}

/* ---- pre-subscriptions ---- */

static void presub_path_apply(struct dev_shard *s, struct dev_reg *reg, int64_t api_key,
                              const struct lwm2m_path *path)
{
    uint16_t key = dev_key_intern(s, api_key);
    uint64_t packed = lwm2m_path_pack(path);
    unsigned flags = DEV_OBS_WANT;

    if (key == 0 || path->depth == 0 || dev_obs_find(reg, packed, key) != NULL) {
        return;
    }
    (void)path_state(reg, packed, &flags);
    struct dev_obs *o = dev_obs_add(reg);
    if (o != NULL) {
        *o = (struct dev_obs){.path = packed, .aux = key, .flags = flags & 0xffU};
    }
}

static void presub_item_apply(struct dev_shard *s, struct dev_reg *reg, int64_t key,
                              const struct dev_presub *item, const char *device)
{
    const struct lwm2m_links *links = lwm2m_shape_links(s->shapes, reg->shape);

    if (links == NULL || !dev_pattern_match(item->endpoint, device) ||
        !dev_pattern_match(item->type, dev_type_text(s, reg->type))) {
        return;
    }
    for (size_t p = 0; p < item->n_paths; p++) {
        const char *pattern = item->paths[p];
        size_t len = strlen(pattern);
        struct lwm2m_path path;
        if (len == 0 || pattern[len - 1] != '*') {
            if (lwm2m_path_parse(pattern, len, &path) == DR_OK &&
                dev_path_listed(links, &path, false)) {
                presub_path_apply(s, reg, key, &path);
            }
            continue;
        }
        for (size_t i = 0; i < links->count; i++) {
            char text[LWM2M_PATH_STR_MAX];
            const struct lwm2m_link *l = &links->items[i];
            (void)lwm2m_path_format(&l->path, text);
            if (l->device.len == 0 && l->path.depth >= LWM2M_LEVEL_INSTANCE &&
                dev_pattern_match(pattern, text)) {
                presub_path_apply(s, reg, key, &l->path);
            }
        }
    }
}

void dev_obs_presubs_apply(struct dev_shard *s, uint32_t index)
{
    struct dev_reg *reg = dev_reg_at(s, index);
    char device[DR_ID_LEN + 1];

    for (size_t i = 0; i < s->n_presubs; i++) {
        const struct dev_presubs *list = s->presubs[i];
        if (list->account != reg->account) {
            continue;
        }
        dr_id_format(reg->device, device);
        for (size_t j = 0; j < list->n; j++) {
            presub_item_apply(s, reg, list->key, &list->items[j], device);
        }
    }
}

struct presub_msg {
    struct loop_msg msg;
    struct dev_shard *s;
    struct dev_presubs *list;
    uint32_t next; /* registration to look at */
};

/* Every registration of the account, a slice at a time: an operator's change, not a peer's. */
static void presub_walk(struct loop_msg *msg)
{
    struct presub_msg *m = DR_CONTAINER_OF(msg, struct presub_msg, msg);
    struct dev_shard *s = m->s;

    for (uint32_t n = 0; n < DEV_WALK_SLICE && m->next != 0; n++) {
        struct dev_reg *reg = dev_reg_at(s, m->next);
        if (dr_slab_used(&s->regs, m->next) && reg->account == m->list->account &&
            (reg->flags & DEV_REG_LIVE) != 0) {
            dev_obs_presubs_apply(s, m->next);
            dev_obs_next(s, m->next);
        }
        m->next = dr_slab_next(&s->regs, m->next);
    }
    if (m->next != 0 && !s->ending) {
        loop_post(s->loop, &m->msg, presub_walk);
        return;
    }
    (void)dev_presubs_unref(m->list);
    free(m);
}

static void presub_run(struct loop_msg *msg)
{
    struct presub_msg *m = DR_CONTAINER_OF(msg, struct presub_msg, msg);
    struct dev_shard *s = m->s;
    size_t i = 0;

    while (i < s->n_presubs &&
           (s->presubs[i]->key != m->list->key || s->presubs[i]->account != m->list->account)) {
        i++;
    }
    if (i < s->n_presubs) {
        (void)dev_presubs_unref(s->presubs[i]);
        s->presubs[i] = s->presubs[--s->n_presubs];
    }
    if (m->list->n != 0) {
        struct dev_presubs **more = realloc(s->presubs, (s->n_presubs + 1) * sizeof(void *));
        if (more != NULL) {
            s->presubs = more;
            more[s->n_presubs++] = dev_presubs_ref(m->list);
        }
    }
    m->next = m->list->n == 0 ? 0 : dr_slab_next(&s->regs, 0);
    presub_walk(&m->msg);
}

void dev_shard_set_presubs(struct dev_shard *s, struct dev_presubs *p)
{
    struct presub_msg *m = malloc(sizeof *m);

    if (m == NULL) {
        DR_LOG_LIMITED(DR_LOG_ERROR, "devices", 1, "pre-subscriptions not applied: out of memory");
        (void)dev_presubs_unref(p);
        return;
    }
    *m = (struct presub_msg){.s = s, .list = p};
    loop_post(s->loop, &m->msg, presub_run);
}
