/* SPDX-License-Identifier: Apache-2.0 */
/* Runs on shard loops: last values of resources, and what is written behind. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "devices/rules.h"
#include "devices/shard_priv.h"
#include "lwm2m/codec.h"

#define JOBS_MAX 64 /* write-behind jobs under way of each kind */

/* ---- last-seen rows ---- */

struct touch_job {
    struct db_job job;
    struct dev_shard *s;
    size_t n;
    struct db_touch rows[];
};

static dr_err_t touch_run(struct db_writer *w, struct db_job *job)
{
    struct touch_job *t = DR_CONTAINER_OF(job, struct touch_job, job);

    return db_registration_touch(w, t->rows, t->n, NULL);
}

static void touch_done(struct db_job *job, dr_err_t err)
{
    struct touch_job *t = DR_CONTAINER_OF(job, struct touch_job, job);
    struct dev_shard *s = t->s;

    if (err != DR_OK) { /* the last-seen file has them too */
        DR_LOG_LIMITED(DR_LOG_WARNING, "devices", 1, "last-seen times not stored: %s",
                       dr_err_str(err));
    }
    free(t);
    s->touch_jobs--;
    dev_op_end_check(s);
}

static int touch_cmp(const void *a, const void *b)
{
    const struct db_touch *x = a, *y = b;

    return x->device < y->device ? -1 : x->device > y->device;
}

void dev_touch_flush(struct dev_shard *s)
{
    if (s->n_touch == 0 || s->touch_jobs >= JOBS_MAX) {
        return;
    }
    struct touch_job *t = malloc(sizeof *t + s->n_touch * sizeof t->rows[0]);
    if (t == NULL) {
        return;
    }
    t->job = (struct db_job){
        .home = s->loop, .run = touch_run, .done = touch_done, .lane = DB_LANE_BEHIND};
    t->s = s;
    t->n = s->n_touch;
    memcpy(t->rows, s->touch, s->n_touch * sizeof t->rows[0]);
    qsort(t->rows, t->n, sizeof t->rows[0], touch_cmp);
    if (db_submit(s->db, &t->job) != DR_OK) {
        free(t);
        if (s->n_touch == DEV_TOUCH_BATCH) {
            s->n_touch = 0; /* the file keeps them; the rows follow a quarter lifetime later */
        }
        return;
    }
    s->n_touch = 0;
    s->touch_jobs++;
}

/* ---- cache rows ---- */

struct cache_job {
    struct db_job job;
    struct dev_shard *s;
    size_t n;
    struct db_cache rows[DEV_CACHE_BATCH];
};

static dr_err_t cache_run(struct db_writer *w, struct db_job *job)
{
    struct cache_job *c = DR_CONTAINER_OF(job, struct cache_job, job);

    return db_cache_put(w, c->rows, c->n, NULL);
}

static void cache_job_free(struct cache_job *c)
{
    for (size_t i = 0; i < c->n; i++) {
        free((void *)(uintptr_t)c->rows[i].blob.p);
    }
    free(c);
}

static void cache_done(struct db_job *job, dr_err_t err)
{
    struct cache_job *c = DR_CONTAINER_OF(job, struct cache_job, job);
    struct dev_shard *s = c->s;

    if (err != DR_OK) {
        DR_LOG_LIMITED(DR_LOG_WARNING, "devices", 1, "cached values not stored: %s",
                       dr_err_str(err));
        for (size_t i = 0; i < c->n && !s->ending; i++) { /* with the next flush */
            uint32_t index = dev_reg_by_device(s, c->rows[i].device);
            if (index != 0) {
                dev_cache_mark(s, index);
            }
        }
    }
    cache_job_free(c);
    s->cache_jobs--;
    dev_op_end_check(s);
}

void dev_cache_mark(struct dev_shard *s, uint32_t index)
{
    struct dev_reg *reg = dev_reg_at(s, index);

    if ((reg->flags & DEV_REG_CACHE_DIRTY) != 0) {
        return;
    }
    if (s->n_dirty == s->cap_dirty) {
        uint32_t cap = s->cap_dirty == 0 ? 256 : s->cap_dirty * 2;
        uint32_t *more = realloc(s->dirty, cap * sizeof *more);
        if (more == NULL) {
            return; /* kept in memory only */
        }
        s->dirty = more;
        s->cap_dirty = cap;
    }
    s->dirty[s->n_dirty++] = index;
    reg->flags |= DEV_REG_CACHE_DIRTY;
}

static bool cache_job_add(struct cache_job *c, struct dev_reg *reg)
{
    struct dr_bytes blob = dev_cache_bytes(reg->cache);
    uint8_t *copy = malloc(blob.len + 1);

    if (copy == NULL) {
        return false;
    }
    if (blob.len != 0) {
        memcpy(copy, blob.p, blob.len);
    }
    c->rows[c->n++] = (struct db_cache){.device = reg->device,
                                        .generation = reg->generation,
                                        .updated_at = dr_wall_ms(),
                                        .blob = dr_bytes_of(copy, blob.len)};
    return true;
}

/* One job with as many rows as fit; false: nothing more can be done now. */
static bool cache_flush_some(struct dev_shard *s)
{
    if (s->n_dirty == 0 || s->cache_jobs >= JOBS_MAX) {
        return false;
    }
    struct cache_job *c = malloc(sizeof *c);
    if (c == NULL) {
        return false;
    }
    c->n = 0;
    c->s = s;
    uint32_t left = s->n_dirty;
    while (left > 0 && c->n < DEV_CACHE_BATCH) {
        uint32_t index = s->dirty[left - 1];
        if (dr_slab_used(&s->regs, index)) {
            struct dev_reg *reg = dev_reg_at(s, index);
            bool write =
                (reg->flags & DEV_REG_CACHE_DIRTY) != 0 && (reg->flags & DEV_REG_LIVE) != 0;
            if (write && !cache_job_add(c, reg)) {
                break;
            }
        }
        left--;
    }
    c->job = (struct db_job){
        .home = s->loop, .run = cache_run, .done = cache_done, .lane = DB_LANE_BEHIND};
    if (c->n != 0 && db_submit(s->db, &c->job) != DR_OK) {
        cache_job_free(c);
        return false;
    }
    while (s->n_dirty > left) {
        uint32_t index = s->dirty[--s->n_dirty];
        if (dr_slab_used(&s->regs, index)) {
            dev_reg_at(s, index)->flags &= (uint16_t)~DEV_REG_CACHE_DIRTY;
        }
    }
    if (c->n == 0) {
        free(c);
        return left > 0;
    }
    s->cache_jobs++;
    return true;
}

void dev_cache_flush(struct dev_shard *s)
{
    while (cache_flush_some(s)) {
    }
}

/* ---- values ---- */

void dev_value_put(struct dev_shard *s, uint32_t index, const struct lwm2m_path *path, uint16_t ct,
                   struct dr_bytes payload, uint32_t max_age_s, int64_t at_ms)
{
    struct dev_reg *reg = dev_reg_at(s, index);
    struct dev_cached v = {.path = lwm2m_path_pack(path),
                           .at_ms = at_ms,
                           .max_age_s = max_age_s,
                           .ct = ct,
                           .payload = payload};

    if (dev_cache_put(&reg->cache, &v) == DR_OK) {
        dev_cache_mark(s, index);
    }
}

struct split {
    dev_value_fn *fn;
    void *data;
    int64_t now_ms;
};

static dr_err_t split_node(void *arg, const struct lwm2m_node *node)
{
    struct split *sp = arg;
    uint8_t text[1024];
    int64_t at_ms = node->timed ? node->time_ms : sp->now_ms;
    const struct lwm2m_value *v = &node->value;

    if (v->type == LWM2M_TYPE_NONE) {
        return DR_OK;
    }
    if (v->type == LWM2M_TYPE_OPAQUE) {
        sp->fn(sp->data, &node->path, LWM2M_CT_OPAQUE, dr_bytes_of(v->bytes.ptr, v->bytes.len),
               at_ms);
        return DR_OK;
    }
    if (v->type == LWM2M_TYPE_STRING || v->type == LWM2M_TYPE_CORELNK) {
        sp->fn(sp->data, &node->path, LWM2M_CT_TEXT, dr_bytes_of(v->bytes.ptr, v->bytes.len),
               at_ms);
        return DR_OK;
    }
    struct dr_wr wr = dr_wr_of(text, sizeof text);
    dr_err_t err = lwm2m_value_to_text(v, &wr);
    if (err == DR_OK) {
        sp->fn(sp->data, &node->path, LWM2M_CT_TEXT, dr_wr_bytes(&wr), at_ms);
    }
    return err;
}

dr_err_t dev_values_split(struct dev_shard *s, const struct dev_reg *reg,
                          const struct lwm2m_path *path, int32_t ct, struct dr_bytes payload,
                          bool strict, dev_value_fn *fn, void *data)
{
    int64_t now_ms = dr_wall_ms();
    uint16_t format = ct < 0 ? LWM2M_CT_NONE : lwm2m_format_normal((uint16_t)ct);
    bool plain = format == LWM2M_CT_TEXT || format == LWM2M_CT_OPAQUE ||
                 (format == LWM2M_CT_NONE && path->depth >= LWM2M_LEVEL_RESOURCE);

    if (plain && !strict) {
        fn(data, path, format == LWM2M_CT_NONE ? LWM2M_CT_TEXT : format, payload, now_ms);
        return DR_OK;
    }
    const struct lwm2m_links *links = lwm2m_shape_links(s->shapes, reg->shape);
    struct lwm2m_schema schema = {
        .models = s->core->cfg.models, .links = links, .enabler = dev_reg_version(reg)};
    struct lwm2m_decode_opts opts = {.schema = &schema, .base = *path, .now_ms = now_ms};
    if (links != NULL) {
        opts.prefix = links->root;
    }
    struct lwm2m_nodes nodes;
    lwm2m_nodes_init(&nodes, 0, 0);
    dr_err_t err = lwm2m_decode_nodes(format, &opts, payload.p, payload.len, &nodes);
    if (err == DR_OK) {
        struct split sp = {.fn = fn, .data = data, .now_ms = now_ms};
        for (size_t i = 0; i < nodes.count && err == DR_OK; i++) {
            err = split_node(&sp, &nodes.items[i]);
        }
    } else if (!strict) {
        fn(data, path, format == LWM2M_CT_NONE ? LWM2M_CT_TEXT : format, payload, now_ms);
        err = DR_OK;
    }
    lwm2m_nodes_fini(&nodes);
    return err;
}

bool dev_value_fresh(struct dev_shard *s, const struct dev_reg *reg, struct dev_task *task)
{
    struct dev_uri uri;
    struct dev_cached v;
    bool observed = false;

    (void)s;
    if (dev_uri_parse(task->uri, &uri) != DR_OK ||
        !dev_cache_get(reg->cache, lwm2m_path_pack(&uri.path), &v) ||
        (task->accept != LWM2M_CT_NONE && task->accept != v.ct)) {
        return false;
    }
    for (uint16_t i = 0; i < reg->n_obs && !observed; i++) {
        struct lwm2m_path op;
        observed = (reg->obs[i].flags & DEV_OBS_ON) != 0 &&
                   lwm2m_path_unpack(reg->obs[i].path, &op) == DR_OK &&
                   lwm2m_path_has_prefix(&uri.path, &op);
    }
    int64_t age_ms = dr_wall_ms() - v.at_ms;
    if (!observed && age_ms > (int64_t)v.max_age_s * 1000) {
        return false;
    }
    task->result = malloc(v.payload.len + 1);
    if (task->result == NULL) {
        return false;
    }
    if (v.payload.len != 0) {
        memcpy(task->result, v.payload.p, v.payload.len);
    }
    task->result_len = v.payload.len;
    task->ct = v.ct;
    int64_t left_s = (int64_t)v.max_age_s - age_ms / 1000;
    task->max_age_s = left_s > 0 ? (uint32_t)left_s : 0;
    task->status = 200;
    return true;
}

void dev_value_task(struct dev_shard *s, uint32_t index, struct dev_task *task)
{
    dev_task_return(task, dev_value_fresh(s, dev_reg_at(s, index), task) ? DR_OK : DR_ERR_AGAIN);
}

/* ---- Send ---- */

struct send_put {
    struct dev_shard *s;
    uint32_t reg;
    dr_err_t err;
    const struct lwm2m_links *links;
    bool store; /* second pass */
};

static void send_value(void *data, const struct lwm2m_path *path, uint16_t ct,
                       struct dr_bytes payload, int64_t at_ms)
{
    struct send_put *p = data;

    if (!p->store) {
        struct lwm2m_path instance = lwm2m_path_cut(path, LWM2M_LEVEL_INSTANCE);
        if (p->links == NULL || (lwm2m_links_find(p->links, &instance) == NULL &&
                                 !dev_path_listed(p->links, path, false))) {
            p->err = DR_ERR_NOT_FOUND;
        }
        return;
    }
    dev_value_put(p->s, p->reg, path, ct, payload, 0, at_ms);
}

static dr_err_t send_run(struct db_writer *w, struct db_job *job)
{
    struct dev_op *op = DR_CONTAINER_OF(job, struct dev_op, job);
    size_t n = 0;
    dr_err_t err = db_cache_put(w, &op->cache_row, 1, &n);

    return err == DR_OK && n == 0 ? DR_ERR_STALE : err;
}

struct send_tell {
    struct dev_shard *s;
    uint32_t reg;
};

static void send_tell(void *data, const struct lwm2m_path *path, uint16_t ct,
                      struct dr_bytes payload, int64_t at_ms)
{
    struct send_tell *t = data;
    const struct dev_reg *reg = dev_reg_at(t->s, t->reg);
    bool told = false;

    for (uint16_t i = 0; i < reg->n_obs; i++) {
        struct lwm2m_path op;
        if ((reg->obs[i].flags & DEV_OBS_OWN) == 0 &&
            lwm2m_path_unpack(reg->obs[i].path, &op) == DR_OK && lwm2m_path_has_prefix(path, &op)) {
            dev_news_value(t->s, reg, t->reg, dev_key_of(t->s, reg->obs[i].aux), path, ct, payload,
                           0, at_ms);
            told = true;
        }
    }
    if (!told) {
        dev_news_value(t->s, reg, t->reg, 0, path, ct, payload, 0, at_ms);
    }
}

static void send_done(struct db_job *job, dr_err_t err)
{
    struct dev_op *op = DR_CONTAINER_OF(job, struct dev_op, job);
    struct dev_shard *s = op->shard;
    struct dev_reg *reg = dev_reg_at(s, op->reg);
    struct lwm2m_path root = LWM2M_PATH_ROOT;

    if (err != DR_OK) {
        if (err == DR_ERR_STALE) {
            reg->flags &= (uint16_t)~DEV_REG_LIVE;
        }
        dev_op_finish(op, err == DR_ERR_STALE ? CX_NOT_FOUND : CX_UNAVAILABLE);
        return;
    }
    struct send_tell tell = {.s = s, .reg = op->reg};
    dr_err_t told = dev_values_split(s, reg, &root, op->up.ct, op->up.body, true, send_tell, &tell);
    dr_assert(told == DR_OK || told == DR_ERR_NOMEM);
    dev_reg_heard(s, reg, (uint32_t)(dr_wall_ms() / 1000));
    dev_op_finish(op, CX_CHANGED);
}

void dev_send_process(struct dev_op *op)
{
    struct dev_shard *s = op->shard;
    struct dev_reg *reg = dev_reg_at(s, op->reg);
    struct lwm2m_path root = LWM2M_PATH_ROOT;
    struct send_put put = {
        .s = s, .reg = op->reg, .links = lwm2m_shape_links(s->shapes, reg->shape)};

    if (op->up.ct != LWM2M_CT_SENML_JSON && op->up.ct != LWM2M_CT_SENML_CBOR &&
        op->up.ct != LWM2M_CT_CBOR_MAP) {
        dev_op_finish(op, CX_BAD_REQUEST);
        return;
    }
    dr_err_t err = dev_values_split(s, reg, &root, op->up.ct, op->up.body, true, send_value, &put);
    if (err != DR_OK || put.err != DR_OK) {
        dev_op_finish(op, err != DR_OK ? CX_BAD_REQUEST : CX_NOT_FOUND);
        return;
    }
    if (op->kept == NULL) { /* the body is needed again after the commit */
        op->kept = malloc(op->up.body.len + 1);
        if (op->kept == NULL) {
            dev_op_finish(op, CX_UNAVAILABLE);
            return;
        }
        if (op->up.body.len != 0) {
            memcpy(op->kept, op->up.body.p, op->up.body.len);
        }
        op->up.body.p = op->kept;
    }
    put.store = true;
    err = dev_values_split(s, reg, &root, op->up.ct, op->up.body, true, send_value, &put);
    struct dr_bytes blob = dev_cache_bytes(reg->cache);
    op->blob = err == DR_OK ? malloc(blob.len + 1) : NULL;
    if (op->blob == NULL) {
        dev_op_finish(op, CX_UNAVAILABLE);
        return;
    }
    if (blob.len != 0) {
        memcpy(op->blob, blob.p, blob.len);
    }
    op->cache_row = (struct db_cache){.device = reg->device,
                                      .generation = reg->generation,
                                      .updated_at = op->at_ms,
                                      .blob = dr_bytes_of(op->blob, blob.len)};
    op->job =
        (struct db_job){.home = s->loop, .run = send_run, .done = send_done, .lane = DB_LANE_ACK};
    if (db_submit(s->db, &op->job) != DR_OK) {
        dev_op_finish(op, CX_UNAVAILABLE);
    }
}
