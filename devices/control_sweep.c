/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs on the control loop: ends registrations that ran out while nobody held them, deletes
 * devices, drops what a changed credential had opened, and removes old answers.
 *
 * A shard watches the lifetimes of what it holds. For a row that ran out, home is asked: held by a
 * shard, it is left alone; else claims for it wait until the row is ended, so that no Update can
 * slip in between.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "db/device.h"
#include "db/event.h"
#include "devices/control_priv.h"

#define REKEY_TRIES_MAX 100

struct gone {
    struct db_job job;
    struct dev_control *c;
    int64_t device, account, generation, event_id;
    uint64_t hash;
    char endpoint[DEV_NAME_MAX + 1];
    char type[DEV_TYPE_MAX + 1];
    bool queue_mode;
    struct dev_task *task; /* owned while it is here */
    struct dr_timer again;
    unsigned tries;
};

struct sweep {
    struct db_read read;
    struct dev_control *c;
    int64_t now_ms;
    size_t n;
    struct gone *rows[DEV_SWEEP_SLICE];
};

static void event_publish(struct dev_control *c, enum dev_event_kind kind, const struct gone *g)
{
    struct dev_event ev = {.kind = kind,
                           .account = g->account,
                           .device = g->device,
                           .endpoint = g->endpoint,
                           .endpoint_type = g->type,
                           .queue_mode = g->queue_mode,
                           .path = "",
                           .ct = "",
                           .at_ms = dr_wall_ms()};
    dev_publish(c, &ev);
}

static struct dev_task *task_for(struct gone *g, enum dev_task_kind kind,
                                 void (*done)(struct dev_task *task))
{
    struct dev_task *task = calloc(1, sizeof *task);

    if (task != NULL) {
        *task = (struct dev_task){.core = g->c->core,
                                  .kind = kind,
                                  .done = done,
                                  .data = g,
                                  .device = g->device,
                                  .account = g->account,
                                  .hash = g->hash};
    }
    return task;
}

/* ---- rows that ran out ---- */

static void gone_free(struct gone *g)
{
    struct dev_control *c = g->c;

    free(g);
    c->sweeping--;
    dev_idle(c);
}

static void claims_open(struct dev_task *task)
{
    struct gone *g = task->data;

    (void)dev_task_free(task);
    gone_free(g);
}

static dr_err_t end_run(struct db_writer *w, struct db_job *job)
{
    struct gone *g = DR_CONTAINER_OF(job, struct gone, job);

    return db_deregister(w, g->device, g->generation, DB_GONE_EXPIRED, dr_wall_ms(), g->event_id);
}

static void claims_open_start(struct dev_task *task)
{
    task->kind = DEV_TASK_EXPIRED;
    task->done = claims_open;
    dev_task_send(task);
}

static void end_done(struct db_job *job, dr_err_t err)
{
    struct gone *g = DR_CONTAINER_OF(job, struct gone, job);

    if (err == DR_OK) {
        event_publish(g->c, DEV_EVENT_EXPIRED, g);
        dev_requests_fail(g->c, g->device, "DEVICE_REMOVED_REGISTRATION");
    }
    claims_open_start(g->task);
}

static void asked(struct dev_task *task)
{
    struct gone *g = task->data;
    struct dev_control *c = g->c;

    if (task->err != DR_OK) { /* a shard holds it: its timer decides */
        (void)dev_task_free(task);
        gone_free(g);
        return;
    }
    g->task = task;
    g->event_id = dr_id_new(&c->ids);
    g->job =
        (struct db_job){.home = c->loop, .run = end_run, .done = end_done, .lane = DB_LANE_ACK};
    if (db_submit(c->db, &g->job) != DR_OK) {
        claims_open_start(task);
    }
}

static dr_err_t sweep_row(void *data, const struct db_registration *row)
{
    struct sweep *s = data;
    int64_t slack_ms = ((int64_t)row->lifetime_s / 4 + s->c->core->cfg.grace_s) * 1000;

    if (row->expires_at + slack_ms > s->now_ms || s->n == DEV_SWEEP_SLICE ||
        strlen(row->endpoint_name) > DEV_NAME_MAX) {
        return DR_OK;
    }
    struct gone *g = calloc(1, sizeof *g);
    if (g == NULL) {
        return DR_ERR_NOMEM;
    }
    g->c = s->c;
    g->device = row->device;
    g->account = row->account;
    g->generation = row->generation;
    g->queue_mode = row->queue_mode;
    g->hash = dev_name_hash(s->c->core, row->account, row->endpoint_name);
    (void)snprintf(g->endpoint, sizeof g->endpoint, "%s", row->endpoint_name);
    if (row->endpoint_type != NULL) {
        (void)strncpy(g->type, row->endpoint_type, DEV_TYPE_MAX);
    }
    s->rows[s->n++] = g;
    return DR_OK;
}

static dr_err_t sweep_run(struct db_reader *r, struct db_read *read)
{
    struct sweep *s = DR_CONTAINER_OF(read, struct sweep, read);

    return db_registration_expired(r, s->now_ms - (int64_t)s->c->core->cfg.grace_s * 1000,
                                   DEV_SWEEP_SLICE, sweep_row, s);
}

static void sweep_done(struct db_read *read, dr_err_t err)
{
    struct sweep *s = DR_CONTAINER_OF(read, struct sweep, read);
    struct dev_control *c = s->c;

    for (size_t i = 0; i < s->n; i++) {
        struct gone *g = s->rows[i];
        struct dev_task *task =
            err == DR_OK && !c->stopping ? task_for(g, DEV_TASK_EXPIRE, asked) : NULL;
        if (task == NULL) {
            free(g);
            continue;
        }
        c->sweeping++;
        dev_busy(c);
        dev_task_send(task);
    }
    free(s);
    dev_idle(c);
}

/* ---- old answers and events ---- */

#define PURGE_SLICE 500 /* rows of each kind in one job */
#define DAY_MS      (24LL * 3600 * 1000)

struct purge {
    struct db_job job;
    struct dev_control *c;
    uint32_t events; /* that this job removed */
};

static void purge_start(struct dev_control *c);

static dr_err_t purge_run(struct db_writer *w, struct db_job *job)
{
    struct purge *p = DR_CONTAINER_OF(job, struct purge, job);
    int64_t now_ms = dr_wall_ms(), days = p->c->core->cfg.events_keep_days;
    dr_err_t err = db_request_purge(w, now_ms - DEV_ANSWER_KEEP_MS, PURGE_SLICE, NULL);

    if (err == DR_OK && days > 0) {
        err = db_event_purge(w, 0, now_ms - days * DAY_MS, INT64_MAX, PURGE_SLICE, &p->events);
    }
    return err;
}

static void purge_done(struct db_job *job, dr_err_t err)
{
    struct purge *p = DR_CONTAINER_OF(job, struct purge, job);
    struct dev_control *c = p->c;

    if (err == DR_OK && p->events == PURGE_SLICE) {
        purge_start(c); /* there is more */
    }
    free(p);
    dev_idle(c);
}

static void purge_start(struct dev_control *c)
{
    struct purge *p = calloc(1, sizeof *p);

    if (p == NULL) {
        return;
    }
    p->c = c;
    p->job = (struct db_job){
        .home = c->loop, .run = purge_run, .done = purge_done, .lane = DB_LANE_BEHIND};
    if (db_submit(c->db, &p->job) != DR_OK) {
        free(p);
        return;
    }
    dev_busy(c);
}

static void sweep_tick(struct loop_timer *t)
{
    struct dev_control *c = DR_CONTAINER_OF(t, struct dev_control, sweep);

    purge_start(c);
    if (c->sweeping != 0) {
        return;
    }
    struct sweep *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return;
    }
    s->read = (struct db_read){.home = c->loop, .fn = sweep_run, .done = sweep_done};
    s->c = c;
    s->now_ms = dr_wall_ms();
    if (db_read_start(c->db, &s->read) != DR_OK) {
        free(s);
        return;
    }
    dev_busy(c);
}

void dev_sweep_start(struct dev_control *c)
{
    uint64_t every_ms = c->core->cfg.sweep_ms != 0 ? c->core->cfg.sweep_ms : DEV_SWEEP_EVERY_MS;

    loop_timer_start(c->loop, &c->sweep, every_ms, every_ms, sweep_tick);
}

/* ---- delete ---- */

struct delete
{
    struct gone g;
    struct dev_delete *del;
    bool registered;
};

static dr_err_t delete_registration(void *data, const struct db_registration *row)
{
    struct delete *d = data;

    d->registered = row->registered;
    d->g.queue_mode = row->queue_mode;
    return DR_OK;
}

static dr_err_t delete_device(void *data, const struct db_device *row)
{
    struct delete *d = data;

    if (strlen(row->endpoint_name) <= DEV_NAME_MAX) {
        (void)snprintf(d->g.endpoint, sizeof d->g.endpoint, "%s", row->endpoint_name);
    }
    if (row->endpoint_type != NULL) {
        (void)strncpy(d->g.type, row->endpoint_type, DEV_TYPE_MAX);
    }
    return DR_OK;
}

static dr_err_t delete_run(struct db_writer *w, struct db_job *job)
{
    struct delete *d = DR_CONTAINER_OF(DR_CONTAINER_OF(job, struct gone, job), struct delete, g);
    struct db_reader *r = db_writer_reader(w);
    dr_err_t err = db_device_get(r, d->g.account, d->g.device, delete_device, d);

    d->registered = false;
    if (err == DR_OK) {
        err = db_registration_get(r, d->g.account, d->g.device, delete_registration, d);
        err = err == DR_ERR_NOT_FOUND ? DR_OK : err;
    }
    return err == DR_OK ? db_device_delete(w, d->g.account, d->g.device) : err;
}

static void delete_end(struct delete *d, dr_err_t err)
{
    struct dev_control *c = d->g.c;
    struct dev_delete *del = d->del;

    (void)dev_task_free(d->g.task);
    free(d);
    del->cb(del, err);
    dev_idle(c);
}

static void delete_dropped(struct dev_task *task)
{
    struct delete *d = DR_CONTAINER_OF((struct gone *)task->data, struct delete, g);

    /* a holder has told it; a row without holder was still a registration */
    if (task->err != DR_OK && d->registered) {
        event_publish(d->g.c, DEV_EVENT_DEREGISTERED, &d->g);
    }
    dev_requests_fail(d->g.c, d->g.device, "DEVICE_REMOVED_REGISTRATION");
    delete_end(d, DR_OK);
}

static void delete_done(struct db_job *job, dr_err_t err)
{
    struct delete *d = DR_CONTAINER_OF(DR_CONTAINER_OF(job, struct gone, job), struct delete, g);

    if (err != DR_OK) {
        delete_end(d, err);
        return;
    }
    struct dev_task *task = d->g.task;
    d->g.task = NULL;
    task->data = &d->g;
    task->hash = dev_name_hash(d->g.c->core, d->g.account, d->g.endpoint);
    dev_task_send(task);
}

static void dropped_free(struct dev_task *task)
{
    delete_dropped(task);
    (void)dev_task_free(task);
}

dr_err_t dev_delete_start(struct dev_core *core, struct dev_delete *del)
{
    struct dev_control *c = core->control;
    struct delete *d = calloc(1, sizeof *d);

    loop_assert_current(c->loop);
    dr_assert(del != NULL && del->cb != NULL);
    if (d == NULL) {
        return DR_ERR_NOMEM;
    }
    d->del = del;
    d->g.c = c;
    d->g.account = del->account;
    d->g.device = del->device;
    d->g.task = task_for(&d->g, DEV_TASK_DROP, dropped_free);
    d->g.job = (struct db_job){.home = c->loop,
                               .run = delete_run,
                               .done = delete_done,
                               .lane = DB_LANE_ACK,
                               .savepoint = true};
    dr_err_t err = d->g.task == NULL ? DR_ERR_NOMEM : db_submit(c->db, &d->g.job);
    if (err != DR_OK) {
        (void)dev_task_free(d->g.task);
        free(d);
        return err;
    }
    dev_busy(c);
    return DR_OK;
}

/* ---- changed credentials ---- */

static dr_err_t bump_device(void *data, const struct db_device *row)
{
    ((struct gone *)data)->device = row->id;
    return DR_OK;
}

static dr_err_t bump_run(struct db_writer *w, struct db_job *job)
{
    struct gone *g = DR_CONTAINER_OF(job, struct gone, job);
    dr_err_t err = db_device_find(db_writer_reader(w), g->account, g->endpoint, bump_device, g);

    return err == DR_OK ? db_generation_bump(w, g->account, g->device, &g->generation) : err;
}

static void bump_again(struct dr_timer *t, uint64_t now_ms)
{
    struct gone *g = DR_CONTAINER_OF(t, struct gone, again);
    struct dev_task *task = g->task;

    (void)now_ms;
    g->task = NULL;
    dev_task_send(task);
}

static void bump_dropped(struct dev_task *task)
{
    struct gone *g = task->data;
    struct dev_control *c = g->c;

    if (task->err == DR_ERR_MOVED && g->tries++ < REKEY_TRIES_MAX && !c->stopping) {
        g->task = task; /* it registers this moment: drop it when that is through */
        dr_timer_init(&g->again, bump_again);
        dr_timer_start(loop_wheel(c->loop), &g->again, loop_now_ms(c->loop) + DEV_RETRY_MOVED_MS);
        return;
    }
    (void)dev_task_free(task);
    free(g);
    dev_idle(c);
}

static void bump_done(struct db_job *job, dr_err_t err)
{
    struct gone *g = DR_CONTAINER_OF(job, struct gone, job);
    struct dev_control *c = g->c;

    if (err == DR_OK) {
        struct dev_task *task = g->task;
        g->task = NULL;
        task->device = g->device;
        dev_task_send(task);
        return;
    }
    if (err != DR_ERR_NOT_FOUND) {
        dr_log(DR_LOG_ERROR, "devices", "associations of a changed credential stay: %s",
               dr_err_str(err));
    }
    (void)dev_task_free(g->task);
    free(g);
    dev_idle(c);
}

void dev_credential_changed(struct dev_core *core, int64_t account, const char *endpoint)
{
    struct dev_control *c = core->control;
    struct gone *g = calloc(1, sizeof *g);

    loop_assert_current(c->loop);
    dr_assert(endpoint != NULL);
    if (g == NULL || strlen(endpoint) > DEV_NAME_MAX) {
        free(g);
        return;
    }
    g->c = c;
    g->account = account;
    (void)snprintf(g->endpoint, sizeof g->endpoint, "%s", endpoint);
    g->hash = dev_name_hash(core, account, endpoint);
    g->task = task_for(g, DEV_TASK_REKEYED, bump_dropped);
    g->job =
        (struct db_job){.home = c->loop, .run = bump_run, .done = bump_done, .lane = DB_LANE_ACK};
    dr_err_t err = g->task == NULL ? DR_ERR_NOMEM : db_submit(c->db, &g->job);
    if (err != DR_OK) {
        dr_log(DR_LOG_ERROR, "devices", "associations of a changed credential stay: %s",
               dr_err_str(err));
        (void)dev_task_free(g->task);
        free(g);
        return;
    }
    dev_busy(c);
}
