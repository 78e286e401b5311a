/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs on the control loop: start and stop of the domain core.
 *
 * Start: last-seen files into rows → shards begin (fresh files) → pre-subscriptions → requests →
 * done. Stop: shards end → jobs under way finish → done.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "devices/control_priv.h"
#include "devices/rules.h"
#include "devices/seen.h"

static bool queue_eq(void *ctx, uint32_t index, const void *key)
{
    const struct dev_control *c = ctx;
    const struct dev_queue *q = dr_slab_get(&c->queues, index);

    return q->device == *(const int64_t *)key;
}

dr_err_t dev_control_new(struct dev_core *core)
{
    struct dev_control *c = calloc(1, sizeof *c);

    if (c == NULL) {
        return DR_ERR_NOMEM;
    }
    core->control = c;
    c->core = core;
    c->loop = core->cfg.control;
    c->db = core->cfg.db;
    c->lives = calloc(core->n, sizeof *c->lives);
    if (c->lives == NULL) {
        return DR_ERR_NOMEM;
    }
    dr_err_t err = dr_idgen_init(&c->ids, NULL, NULL);
    if (err == DR_OK) {
        err = dr_slab_init(&c->queues, sizeof(struct dev_queue), DEV_PENDING_MAX, 0);
    }
    if (err == DR_OK) {
        err = dr_table_init(&c->by_device, DEV_PENDING_MAX, queue_eq, c);
    }
    return err;
}

void dev_control_free(struct dev_core *core)
{
    struct dev_control *c = core->control;

    if (c == NULL) {
        return;
    }
    for (uint32_t i = dr_slab_next(&c->queues, 0); i != 0; i = dr_slab_next(&c->queues, i)) {
        struct dev_queue *q = dr_slab_get(&c->queues, i);
        DR_LIST_EACH_SAFE(it, &q->requests)
        {
            struct dev_pending *p = DR_CONTAINER_OF(it, struct dev_pending, node);
            dr_list_remove(it);
            p->task = dev_task_free(p->task);
            p->body = cx_body_unref(p->body);
            free(p);
        }
    }
    for (size_t i = 0; i < DEV_LINK_LISTS_CACHED; i++) {
        dev_link_list_fini(&c->lists[i]);
    }
    dr_slab_fini(&c->queues);
    dr_table_fini(&c->by_device);
    dr_idgen_fini(&c->ids);
    free(c->lives);
    free(c->listen);
    free(c);
    core->control = NULL;
}

void dev_sink_add(struct dev_core *core, struct dev_sink *sink)
{
    loop_assert_current(core->cfg.control);
    sink->next = core->control->sinks;
    core->control->sinks = sink;
}

static struct dev_listen *listen_get(struct dev_control *c, int64_t account)
{
    for (size_t i = 0; i < c->n_listen; i++) {
        if (c->listen[i].account == account) {
            return &c->listen[i];
        }
    }
    struct dev_listen *more = realloc(c->listen, (c->n_listen + 1) * sizeof *more);
    if (more == NULL) {
        DR_LOG_LIMITED(DR_LOG_ERROR, "devices", 1, "events will be missed: out of memory");
        return NULL;
    }
    c->listen = more;
    c->listen[c->n_listen] = (struct dev_listen){.account = account};
    return &c->listen[c->n_listen++];
}

static void listen_tell(struct dev_core *core, const struct dev_listen *l)
{
    for (unsigned i = 0; i < core->n; i++) {
        dev_shard_set_listeners(core->shards[i], l->account, l->channels + l->watched);
    }
}

void dev_listeners_set(struct dev_core *core, int64_t account, unsigned count)
{
    loop_assert_current(core->cfg.control);
    struct dev_listen *l = listen_get(core->control, account);
    if (l != NULL) {
        l->channels = count;
        listen_tell(core, l);
    }
}

void dev_watch_set(struct dev_core *core, int64_t account, bool on)
{
    loop_assert_current(core->cfg.control);
    struct dev_listen *l = listen_get(core->control, account);
    if (l != NULL && l->watched != on) {
        l->watched = on;
        listen_tell(core, l);
    }
}

/* ---- start ---- */

static void start_end(struct dev_control *c, dr_err_t err)
{
    void (*done)(void *data, dr_err_t err) = c->start_done;

    c->start_done = NULL;
    if (err == DR_OK) {
        dev_sweep_start(c);
    }
    dev_idle(c);
    done(c->life_data, err);
}

static void presubs_loaded(struct dev_control *c, dr_err_t err)
{
    if (err != DR_OK) {
        start_end(c, err);
        return;
    }
    dev_requests_load(c, start_end);
}

static void shard_begun(struct loop_call *call, dr_err_t err)
{
    struct dev_life *life = DR_CONTAINER_OF(call, struct dev_life, call);
    struct dev_control *c = life->core->control;

    if (err != DR_OK) {
        c->life_err = err;
    }
    if (--c->lives_left != 0) {
        return;
    }
    if (c->life_err != DR_OK) {
        start_end(c, c->life_err);
        return;
    }
    dev_presubs_load(c, presubs_loaded);
}

static void shards_begin(struct dev_control *c)
{
    c->lives_left = c->core->n;
    c->life_err = DR_OK;
    for (unsigned i = 0; i < c->core->n; i++) {
        c->lives[i] = (struct dev_life){.core = c->core, .shard = i};
        dev_shard_begin(c->core->shards[i], &c->lives[i].call, shard_begun);
    }
}

/* Times of the last-seen files, read on the pool, written in jobs of TOUCH_SLICE rows. */
#define TOUCH_SLICE 2000

struct replay {
    struct loop_work work;
    struct db_job job;
    struct dev_control *c;
    struct db_touch *rows;
    size_t n, cap, at;
    dr_err_t err;
};

static void replay_row(void *data, int64_t device, int64_t generation, uint32_t unix_s)
{
    struct replay *r = data;

    if (r->n == r->cap) {
        size_t cap = r->cap == 0 ? 1024 : r->cap * 2;
        struct db_touch *rows = realloc(r->rows, cap * sizeof *rows);
        if (rows == NULL) {
            r->err = DR_ERR_NOMEM;
            return;
        }
        r->rows = rows;
        r->cap = cap;
    }
    r->rows[r->n++] = (struct db_touch){
        .device = device, .generation = generation, .last_seen_ms = (int64_t)unix_s * 1000};
}

static int touch_cmp(const void *a, const void *b)
{
    const struct db_touch *x = a, *y = b;

    if (x->device != y->device) {
        return x->device < y->device ? -1 : 1;
    }
    if (x->generation != y->generation) {
        return x->generation < y->generation ? -1 : 1;
    }
    return x->last_seen_ms < y->last_seen_ms ? -1 : x->last_seen_ms > y->last_seen_ms;
}

static void replay_run(struct loop_work *work)
{
    struct replay *r = DR_CONTAINER_OF(work, struct replay, work);
    dr_err_t err = dev_seen_replay(r->c->core->cfg.run_dir, replay_row, r);

    if (r->err == DR_OK) {
        r->err = err;
    }
    if (r->n != 0) {
        qsort(r->rows, r->n, sizeof r->rows[0], touch_cmp);
    }
    size_t n = 0; /* keys are unique in a batch: the last of each device stays */
    for (size_t i = 0; i < r->n; i++) {
        if (i + 1 == r->n || r->rows[i + 1].device != r->rows[i].device) {
            r->rows[n++] = r->rows[i];
        }
    }
    r->n = n;
}

static void replay_next(struct replay *r);

static dr_err_t replay_write(struct db_writer *w, struct db_job *job)
{
    struct replay *r = DR_CONTAINER_OF(job, struct replay, job);
    size_t n = r->n - r->at < TOUCH_SLICE ? r->n - r->at : TOUCH_SLICE;

    return db_registration_touch(w, r->rows + r->at, n, NULL);
}

static void replay_end(struct replay *r, dr_err_t err)
{
    struct dev_control *c = r->c;

    if (r->n != 0 && err == DR_OK) {
        dr_log(DR_LOG_INFO, "devices", "took over %zu last-seen times", r->n);
    }
    free(r->rows);
    free(r);
    if (err != DR_OK) {
        start_end(c, err);
        return;
    }
    dev_seen_remove(c->core->cfg.run_dir);
    shards_begin(c);
}

static void replay_written(struct db_job *job, dr_err_t err)
{
    struct replay *r = DR_CONTAINER_OF(job, struct replay, job);

    if (err != DR_OK) {
        replay_end(r, err);
        return;
    }
    r->at += TOUCH_SLICE;
    replay_next(r);
}

static void replay_next(struct replay *r)
{
    if (r->at >= r->n) {
        replay_end(r, DR_OK);
        return;
    }
    r->job = (struct db_job){
        .home = r->c->loop, .run = replay_write, .done = replay_written, .lane = DB_LANE_ACK};
    dr_err_t err = db_submit(r->c->db, &r->job);
    if (err != DR_OK) {
        replay_end(r, err);
    }
}

static void replay_done(struct loop_work *work, dr_err_t err)
{
    struct replay *r = DR_CONTAINER_OF(work, struct replay, work);

    if (err == DR_OK) {
        err = r->err;
    }
    if (err != DR_OK) {
        replay_end(r, err);
        return;
    }
    replay_next(r);
}

struct start_fail {
    struct loop_msg msg;
    struct dev_control *c;
};

static void start_failed(struct loop_msg *msg)
{
    struct start_fail *f = DR_CONTAINER_OF(msg, struct start_fail, msg);
    struct dev_control *c = f->c;

    free(f);
    start_end(c, DR_ERR_NOMEM);
}

void dev_core_start(struct dev_core *core, void (*done)(void *data, dr_err_t err), void *data)
{
    struct dev_control *c = core->control;
    struct replay *r = calloc(1, sizeof *r);

    dr_assert(c->start_done == NULL && done != NULL);
    dev_busy(c);
    c->start_done = done;
    c->life_data = data;
    if (r != NULL) {
        r->c = c;
    }
    if (r == NULL || loop_work_start(c->loop, &r->work, replay_run, replay_done) != DR_OK) {
        free(r);
        struct start_fail *f = calloc(1, sizeof *f);
        dr_assert(f != NULL); /* nothing runs yet: there is nothing to save */
        f->c = c;
        loop_post(c->loop, &f->msg, start_failed);
    }
}

/* ---- stop ---- */

void dev_idle(struct dev_control *c)
{
    dr_assert(c->busy > 0);
    c->busy--;
    if (c->busy == 0 && c->stop_done != NULL) {
        void (*done)(void *data) = c->stop_done;
        c->stop_done = NULL;
        done(c->life_data);
    }
}

static void shard_ended(struct loop_call *call, dr_err_t err)
{
    struct dev_life *life = DR_CONTAINER_OF(call, struct dev_life, call);

    (void)err;
    dev_idle(life->core->control);
}

void dev_core_stop(struct dev_core *core, void (*done)(void *data), void *data)
{
    struct dev_control *c = core->control;

    dr_assert(done != NULL && c->stop_done == NULL);
    c->stopping = true;
    c->stop_done = done;
    c->life_data = data;
    loop_timer_stop(&c->sweep);
    for (unsigned i = 0; i < core->n; i++) {
        dev_busy(c);
        c->lives[i] = (struct dev_life){.core = core, .shard = i};
        dev_shard_end(core->shards[i], &c->lives[i].call, shard_ended);
    }
}

/* ---- a registration as control needs it ---- */

struct find {
    const struct dev_core *core;
    const char *uri;
    bool create;
    struct dev_found *ret;
};

static dr_err_t find_row(void *data, const struct db_registration *row)
{
    struct find *f = data;
    struct dev_uri uri;
    struct lwm2m_links links;

    if (strlen(row->endpoint_name) > DEV_NAME_MAX) {
        return DR_ERR_NOT_FOUND;
    }
    *f->ret = (struct dev_found){.registered = row->registered,
                                 .queue_mode = row->queue_mode,
                                 .hash = dev_name_hash(f->core, row->account, row->endpoint_name)};
    if (f->uri == NULL || !row->registered) {
        return DR_OK;
    }
    dr_err_t err = dev_uri_parse(f->uri, &uri);
    if (err == DR_OK) {
        err = lwm2m_links_parse((const char *)row->links.p, row->links.len, LWM2M_LINKS_REGISTER,
                                &links);
    }
    if (err == DR_OK) {
        f->ret->listed =
            dev_path_listed(&links, &uri.path, f->create && uri.path.depth <= LWM2M_LEVEL_INSTANCE);
        lwm2m_links_fini(&links);
    }
    return err == DR_ERR_NOMEM ? err : DR_OK;
}

dr_err_t dev_find(struct db_reader *r, const struct dev_core *core, int64_t account, int64_t device,
                  const char *uri, bool create, struct dev_found *ret)
{
    struct find f = {.core = core, .uri = uri, .create = create, .ret = ret};
    dr_err_t err = db_registration_get(r, account, device, find_row, &f);

    if (err == DR_OK && !ret->registered) {
        err = DR_ERR_NOT_FOUND;
    }
    return err;
}
