/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs on the control loop: the durable queue of requests to devices.
 *
 * For each device with pending requests the first one goes through
 *
 *     read row → mark SENT (POST only) → task to the holder → answer into the row → event
 *
 * and the next only then. "Held" means: nothing is sent until the device is heard. After a restart
 * a request that was on its way is sent again when its method may be repeated (GET, PUT, DELETE,
 * subscriptions) or it has retries left; an Execute or Create without retries ends as TIMEOUT,
 * because the device may have done it. That is why only POST is marked before it is sent.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "devices/control_priv.h"
#include "devices/rules.h"
#include "lwm2m/format.h"

static void queue_run(struct dev_control *c, uint32_t index);

static struct dev_queue *queue_at(const struct dev_control *c, uint32_t index)
{
    return dr_slab_get(&c->queues, index);
}

static uint32_t queue_find(const struct dev_control *c, int64_t device)
{
    return dr_table_get(&c->by_device, dr_mix32((uint64_t)device), &device);
}

static void retry_due(struct dr_timer *t, uint64_t now_ms)
{
    struct dev_queue *q = DR_CONTAINER_OF(t, struct dev_queue, retry);
    struct dev_control *c = q->core->control;

    (void)now_ms;
    queue_run(c, queue_find(c, q->device));
}

static uint32_t queue_get(struct dev_control *c, int64_t account, int64_t device, uint64_t hash)
{
    uint32_t index = queue_find(c, device);

    if (index != 0) {
        return index;
    }
    if (dr_slab_alloc(&c->queues, &index) != DR_OK) {
        return 0;
    }
    struct dev_queue *q = queue_at(c, index);
    q->device = device;
    q->account = account;
    q->hash = hash;
    q->core = c->core;
    dr_list_init(&q->requests);
    dr_timer_init(&q->retry, retry_due);
    if (dr_table_put(&c->by_device, dr_mix32((uint64_t)device), index) != DR_OK) {
        dr_slab_free(&c->queues, index);
        return 0;
    }
    return index;
}

static void queue_drop_if_empty(struct dev_control *c, uint32_t index)
{
    struct dev_queue *q = queue_at(c, index);

    if (q->busy || !dr_list_empty(&q->requests)) {
        return;
    }
    dr_timer_cancel(loop_wheel(c->loop), &q->retry);
    (void)dr_table_del(&c->by_device, dr_mix32((uint64_t)q->device), index);
    dr_slab_free(&c->queues, index);
}

static void pending_free(struct dev_control *c, struct dev_pending *p)
{
    dr_list_remove(&p->node);
    dr_timer_cancel(loop_wheel(c->loop), &p->expiry);
    p->task = dev_task_free(p->task);
    p->body = cx_body_unref(p->body);
    free(p);
}

static void retry_in(struct dev_control *c, struct dev_queue *q, uint64_t ms)
{
    dr_timer_start(loop_wheel(c->loop), &q->retry, loop_now_ms(c->loop) + ms);
}

/* ---- the end of a request ---- */

struct finish {
    struct db_job job;
    struct dr_timer again;
    struct dev_control *c;
    int64_t id, device, account, key;
    struct dev_pending *p; /* borrowed: stays until this is done */
    bool first;            /* p is the busy head of its queue */
    struct db_answer answer;
    uint8_t *result; /* owned */
    const char *ct;
    char *async_id; /* owned, filled by the job */
    char *endpoint; /* owned, filled by the job */
    char type[DEV_TYPE_MAX + 1];
    bool queue_mode;
};

static dr_err_t finish_request_row(void *data, const struct db_request *row)
{
    struct finish *f = data;

    free(f->async_id);
    f->async_id = strdup(row->async_id);
    f->key = row->key;
    return f->async_id == NULL ? DR_ERR_NOMEM : DR_OK;
}

static dr_err_t finish_registration_row(void *data, const struct db_registration *row)
{
    struct finish *f = data;

    free(f->endpoint);
    f->endpoint = strdup(row->endpoint_name);
    if (row->endpoint_type != NULL) {
        (void)strncpy(f->type, row->endpoint_type, DEV_TYPE_MAX);
    }
    f->queue_mode = row->queue_mode;
    return DR_OK;
}

static dr_err_t finish_run(struct db_writer *w, struct db_job *job)
{
    struct finish *f = DR_CONTAINER_OF(job, struct finish, job);
    struct db_reader *r = db_writer_reader(w);
    dr_err_t err = db_request_get(r, f->id, finish_request_row, f);

    if (err == DR_ERR_NOT_FOUND) {
        return DR_ERR_STALE;
    }
    if (err == DR_OK) {
        err = db_registration_get(r, f->account, f->device, finish_registration_row, f);
        err = err == DR_ERR_NOT_FOUND ? DR_OK : err;
    }
    return err == DR_OK ? db_request_done(w, &f->answer) : err;
}

static void finish_free(struct finish *f)
{
    free(f->result);
    free(f->async_id);
    free(f->endpoint);
    free(f);
}

static void finish_submit(struct finish *f);

static void finish_again(struct dr_timer *t, uint64_t now_ms)
{
    (void)now_ms;
    finish_submit(DR_CONTAINER_OF(t, struct finish, again));
}

static void finish_done(struct db_job *job, dr_err_t err)
{
    struct finish *f = DR_CONTAINER_OF(job, struct finish, job);
    struct dev_control *c = f->c;
    uint32_t index = f->p->queue;

    if (err != DR_OK && err != DR_ERR_STALE && !c->stopping) {
        /* never lost: the device has answered, the row follows as soon as the store takes it */
        DR_LOG_LIMITED(DR_LOG_ERROR, "devices", 1, "answer not stored yet: %s", dr_err_str(err));
        dr_timer_init(&f->again, finish_again);
        dr_timer_start(loop_wheel(c->loop), &f->again, loop_now_ms(c->loop) + DEV_RETRY_STORE_MS);
        return;
    }
    pending_free(c, f->p);
    if (err == DR_OK) {
        struct dev_event ev = {.kind = DEV_EVENT_ANSWER,
                               .account = f->account,
                               .device = f->device,
                               .owner_key = f->key,
                               .endpoint = f->endpoint == NULL ? "" : f->endpoint,
                               .endpoint_type = f->type,
                               .queue_mode = f->queue_mode,
                               .path = "",
                               .ct = f->ct,
                               .payload = f->answer.result,
                               .max_age_s = f->answer.max_age_s,
                               .async_id = f->async_id,
                               .status = f->answer.status,
                               .error = f->answer.error,
                               .request = f->id,
                               .at_ms = f->answer.done_at};
        dev_publish(c, &ev);
    }
    bool first = f->first;
    finish_free(f);
    if (first) {
        queue_at(c, index)->busy = false;
    }
    queue_run(c, index);
    dev_idle(c);
}

static void finish_submit(struct finish *f)
{
    f->job = (struct db_job){
        .home = f->c->loop, .run = finish_run, .done = finish_done, .lane = DB_LANE_ACK};
    dr_err_t err = db_submit(f->c->db, &f->job);
    if (err != DR_OK) {
        finish_done(&f->job, err == DR_ERR_CANCELED ? DR_ERR_STALE : err);
    }
}

/* Write the answer of @p p, tell it, go on with the next. @param result is taken. */
static void pending_finish(struct dev_control *c, struct dev_pending *p, bool first, int status,
                           const char *error, uint16_t ct, uint8_t *result, size_t len,
                           uint32_t max_age_s)
{
    const struct dev_queue *q = queue_at(c, p->queue);
    const char *name = ct == LWM2M_CT_NONE ? NULL : lwm2m_format_name(ct);
    struct finish *f = calloc(1, sizeof *f);

    dr_assert(!p->finishing);
    if (f == NULL) { /* as if it had not been reached: later again */
        free(result);
        if (first) {
            queue_at(c, p->queue)->busy = false;
        }
        retry_in(c, queue_at(c, p->queue), DEV_RETRY_STORE_MS);
        return;
    }
    p->finishing = true;
    dr_timer_cancel(loop_wheel(c->loop), &p->expiry);
    f->c = c;
    f->id = p->id;
    f->device = q->device;
    f->account = q->account;
    f->p = p;
    f->first = first;
    f->result = result;
    f->ct = name == NULL ? "" : name;
    f->answer = (struct db_answer){.id = p->id,
                                   .status = status,
                                   .result_type = f->ct,
                                   .result = dr_bytes_of(result, len),
                                   .max_age_s = max_age_s,
                                   .error = error,
                                   .done_at = dr_wall_ms()};
    dev_busy(c);
    finish_submit(f);
}

static void pending_fail(struct dev_control *c, struct dev_pending *p, bool first, int status,
                         const char *error)
{
    pending_finish(c, p, first, status, error, LWM2M_CT_NONE, NULL, 0, 0);
}

static int doom_status(const char *error)
{
    return strcmp(error, "TIMEOUT") == 0 ? 504 : 429;
}

static void pending_fail_doomed(struct dev_control *c, struct dev_pending *p)
{
    pending_fail(c, p, true, doom_status(p->doom), p->doom);
}

static bool pending_is_busy(const struct dev_control *c, const struct dev_pending *p)
{
    const struct dev_queue *q = queue_at(c, p->queue);

    return p->finishing || (q->busy && q->requests.next == &p->node);
}

static void expired(struct dr_timer *t, uint64_t now_ms)
{
    struct dev_pending *p = DR_CONTAINER_OF(t, struct dev_pending, expiry);
    struct dev_control *c = p->core->control;

    (void)now_ms;
    if (pending_is_busy(c, p)) {
        p->doom = p->doom == NULL ? "REQUEST_EXPIRED" : p->doom;
        return;
    }
    pending_fail(c, p, false, 429, "REQUEST_EXPIRED");
}

/* ---- rows that are marked ---- */

struct mark {
    struct db_job job;
    struct dev_control *c;
    int64_t id;
    int32_t retry_left;
    bool sent;
    uint32_t queue;
    void (*then)(struct dev_control *c, uint32_t queue, dr_err_t err);
};

static dr_err_t mark_run(struct db_writer *w, struct db_job *job)
{
    struct mark *m = DR_CONTAINER_OF(job, struct mark, job);

    return m->sent ? db_request_sent(w, m->id, m->retry_left)
                   : db_request_requeue(w, m->id, m->retry_left);
}

static void mark_done(struct db_job *job, dr_err_t err)
{
    struct mark *m = DR_CONTAINER_OF(job, struct mark, job);
    struct dev_control *c = m->c;

    if (m->then != NULL) {
        m->then(c, m->queue, err);
    }
    free(m);
    dev_idle(c);
}

/* @param then  may be NULL; not called when this returns an error */
static dr_err_t mark_start(struct dev_control *c, const struct dev_pending *p, bool sent,
                           void (*then)(struct dev_control *c, uint32_t queue, dr_err_t err))
{
    struct mark *m = calloc(1, sizeof *m);

    if (m == NULL) {
        return DR_ERR_NOMEM;
    }
    *m = (struct mark){
        .job = {.home = c->loop, .run = mark_run, .done = mark_done, .lane = DB_LANE_ACK},
        .c = c,
        .id = p->id,
        .retry_left = p->retry_left,
        .sent = sent,
        .queue = p->queue,
        .then = then};
    dr_err_t err = db_submit(c->db, &m->job);
    if (err != DR_OK) {
        free(m);
        return err;
    }
    dev_busy(c);
    return DR_OK;
}

/* ---- an attempt ---- */

static struct dev_pending *queue_head(struct dev_control *c, uint32_t index)
{
    struct dev_queue *q = queue_at(c, index);

    dr_assert(!dr_list_empty(&q->requests));
    return DR_CONTAINER_OF(q->requests.next, struct dev_pending, node);
}

static void attempt_hold(struct dev_control *c, uint32_t index, struct dev_pending *p)
{
    struct dev_queue *q = queue_at(c, index);

    if (p->sent) { /* it was not: so that a restart does not take it for sent */
        if (mark_start(c, p, false, NULL) == DR_OK) {
            p->sent = false;
        }
    }
    q->held = true;
    q->busy = false;
}

static void attempt_failed(struct dev_control *c, uint32_t index, struct dev_pending *p,
                           dr_err_t err)
{
    const char *error;
    int status = dev_status_of_err(err, &error);
    bool may_again = err == DR_ERR_TIMEOUT || err == DR_ERR_GONE || err == DR_ERR_RESET;

    if (!may_again || p->retry_left <= 0) {
        pending_fail(c, p, true, status, error);
        return;
    }
    p->retry_left--;
    p->sent = false;
    if (mark_start(c, p, false, NULL) != DR_OK) {
        DR_LOG_LIMITED(DR_LOG_WARNING, "devices", 1, "attempt not noted: store refuses writes");
    }
    struct dev_queue *q = queue_at(c, index);
    q->held = true;
    q->busy = false;
}

/* A large body that got on since the last attempt: it goes on when the device is heard. */
static bool body_progress(struct dev_pending *p, const struct dev_task *task)
{
    bool more = p->body != NULL && task->body_from != 0 &&
                (task->body_reg != p->body_reg || task->body_from > p->body_from);

    if (more) {
        p->body_from = task->body_from;
        p->body_reg = task->body_reg;
    }
    return more;
}

static void task_done(struct dev_task *task)
{
    struct dev_control *c = task->core->control;
    uint32_t index = queue_find(c, task->device);

    if (index == 0 || c->stopping) {
        (void)dev_task_free(task);
        return;
    }
    struct dev_queue *q = queue_at(c, index);
    struct dev_pending *p = queue_head(c, index);
    dr_err_t err = task->err;

    dr_assert(q->busy && !p->finishing);
    if (err == DR_OK) {
        uint8_t *result = task->result;
        task->result = NULL;
        pending_finish(c, p, true, task->status, task->error, task->ct, result, task->result_len,
                       task->max_age_s);
    } else if (p->doom != NULL) {
        pending_fail_doomed(c, p);
    } else if (err == DR_ERR_ASLEEP || err == DR_ERR_AGAIN ||
               (err == DR_ERR_TIMEOUT && body_progress(p, task))) {
        attempt_hold(c, index, p);
    } else if (err == DR_ERR_MOVED || err == DR_ERR_BUSY || err == DR_ERR_NOMEM ||
               err == DR_ERR_CANCELED) {
        attempt_hold(c, index, p);
        q->held = false;
        retry_in(c, q, err == DR_ERR_MOVED ? DEV_RETRY_MOVED_MS : DEV_RETRY_STORE_MS);
    } else {
        attempt_failed(c, index, p, err);
    }
    (void)dev_task_free(task);
}

static void attempt_send(struct dev_control *c, uint32_t index)
{
    struct dev_pending *p = queue_head(c, index);
    struct dev_task *task = p->task;

    p->task = NULL;
    task->done = task_done; /* a stop does not wait for devices */
    dev_task_send(task);
}

static void attempt_marked(struct dev_control *c, uint32_t index, dr_err_t err)
{
    struct dev_queue *q = queue_at(c, index);
    struct dev_pending *p = queue_head(c, index);

    if (c->stopping) {
        q->busy = false;
        return;
    }
    if (err == DR_ERR_STALE) { /* the row is gone or done: nothing to do any more */
        q->busy = false;
        pending_free(c, p);
        queue_run(c, index);
        return;
    }
    if (err != DR_OK) {
        q->busy = false;
        retry_in(c, q, DEV_RETRY_STORE_MS);
        return;
    }
    p->sent = true;
    attempt_send(c, index);
}

static void attempt_ready(struct dev_control *c, uint32_t index)
{
    struct dev_queue *q = queue_at(c, index);
    struct dev_pending *p = queue_head(c, index);

    if (p->doom != NULL) {
        pending_fail_doomed(c, p);
        return;
    }
    if (p->method == DEV_POST && !p->sent) {
        if (mark_start(c, p, true, attempt_marked) != DR_OK) {
            q->busy = false;
            retry_in(c, q, DEV_RETRY_STORE_MS);
        }
        return;
    }
    attempt_send(c, index);
}

struct dev_task *dev_task_of_row(struct dev_core *core, const struct db_request *row, uint64_t hash)
{
    struct dev_task *task = calloc(1, sizeof *task);

    if (task == NULL) {
        return NULL;
    }
    struct lwm2m_str type = {row->content_type, row->content_type ? strlen(row->content_type) : 0};
    struct lwm2m_str accept = {row->accept, row->accept ? strlen(row->accept) : 0};
    *task = (struct dev_task){
        .core = core,
        .kind = row->method == DEV_METHOD_OBSERVE ? DEV_TASK_SUBSCRIBE : DEV_TASK_REQUEST,
        .device = row->device,
        .account = row->account,
        .key = row->key,
        .hash = hash,
        .method = row->method == DEV_METHOD_OBSERVE ? DEV_GET : (enum dev_method)row->method,
        .content_type = type.len == 0                                   ? LWM2M_CT_NONE
                        : strcmp(row->content_type, DEV_TYPE_BODY) == 0 ? LWM2M_CT_OPAQUE
                                                                        : lwm2m_format_number(type),
        .accept = accept.len == 0 ? LWM2M_CT_NONE : lwm2m_format_number(accept),
        .ct = LWM2M_CT_NONE,
        .uri = strdup(row->uri),
        .payload = malloc(row->payload.len + 1),
        .payload_len = row->payload.len};
    if (task->uri == NULL || task->payload == NULL) {
        return dev_task_free(task);
    }
    if (row->payload.len != 0) {
        memcpy(task->payload, row->payload.p, row->payload.len);
    }
    return task;
}

struct row_read {
    struct db_read read;
    struct dev_control *c;
    int64_t id;
    uint64_t hash;
    uint32_t queue;
    struct dev_task *task;
    bool done; /* the row has an answer */
};

static dr_err_t row_take(void *data, const struct db_request *row)
{
    struct row_read *rr = data;

    rr->done = row->state == DB_REQUEST_DONE;
    rr->task = dev_task_of_row(rr->c->core, row, rr->hash);
    return rr->task == NULL ? DR_ERR_NOMEM : DR_OK;
}

static dr_err_t row_read_run(struct db_reader *r, struct db_read *read)
{
    struct row_read *rr = DR_CONTAINER_OF(read, struct row_read, read);

    return db_request_get(r, rr->id, row_take, rr);
}

static void row_read_done(struct db_read *read, dr_err_t err)
{
    struct row_read *rr = DR_CONTAINER_OF(read, struct row_read, read);
    struct dev_control *c = rr->c;
    struct dev_queue *q = queue_at(c, rr->queue);
    struct dev_pending *p = queue_head(c, rr->queue);
    uint32_t index = rr->queue;

    dr_assert(q->busy && p->id == rr->id);
    if (err == DR_ERR_NOT_FOUND || (err == DR_OK && rr->done)) {
        (void)dev_task_free(rr->task);
        q->busy = false;
        pending_free(c, p);
        free(rr);
        queue_run(c, index);
        dev_idle(c);
        return;
    }
    if (err != DR_OK || c->stopping) {
        (void)dev_task_free(rr->task);
        q->busy = false;
        retry_in(c, q, DEV_RETRY_STORE_MS);
    } else {
        p->task = rr->task;
        if (p->body != NULL) {
            p->task->body = cx_body_ref(p->body);
            p->task->body_from = p->body_from;
            p->task->body_reg = p->body_reg;
        }
        attempt_ready(c, index);
    }
    free(rr);
    dev_idle(c);
}

/* Start the first request of the queue if nothing is in its way; drop an empty queue. */
static void queue_run(struct dev_control *c, uint32_t index)
{
    if (index == 0) {
        return;
    }
    struct dev_queue *q = queue_at(c, index);
    if (q->busy) {
        return;
    }
    if (dr_list_empty(&q->requests)) {
        queue_drop_if_empty(c, index);
        return;
    }
    struct dev_pending *p = queue_head(c, index);
    if (q->held || c->stopping || p->finishing) {
        return;
    }
    dr_timer_cancel(loop_wheel(c->loop), &q->retry);
    q->busy = true;
    if (p->task != NULL) {
        attempt_ready(c, index);
        return;
    }
    struct row_read *rr = calloc(1, sizeof *rr);
    if (rr != NULL) {
        *rr =
            (struct row_read){.read = {.home = c->loop, .fn = row_read_run, .done = row_read_done},
                              .c = c,
                              .id = p->id,
                              .hash = q->hash,
                              .queue = index};
    }
    if (rr == NULL || db_read_start(c->db, &rr->read) != DR_OK) {
        free(rr);
        q->busy = false;
        retry_in(c, q, DEV_RETRY_STORE_MS);
        return;
    }
    dev_busy(c);
}

void dev_requests_add(struct dev_control *c, const struct db_request *row, uint64_t hash,
                      struct dev_task *task)
{
    uint32_t index = queue_get(c, row->account, row->device, hash);
    struct dev_pending *p = index == 0 ? NULL : calloc(1, sizeof *p);

    if (p == NULL) {
        DR_LOG_LIMITED(DR_LOG_ERROR, "devices", 1,
                       "no memory for a request; it is tried after the next start");
        (void)dev_task_free(task);
        if (index != 0) {
            queue_drop_if_empty(c, index);
        }
        return;
    }
    p->core = c->core;
    p->id = row->id;
    p->queue = index;
    p->method = row->method;
    p->retry_left = (int8_t)row->retry_left;
    p->task = task;
    p->body = task == NULL || task->body == NULL ? NULL : cx_body_ref(task->body);
    dr_timer_init(&p->expiry, expired);
    int64_t left_ms = row->expires_at - dr_wall_ms();
    dr_timer_start(loop_wheel(c->loop), &p->expiry,
                   loop_now_ms(c->loop) + (left_ms > 0 ? (uint64_t)left_ms : 0));
    dr_list_push_back(&queue_at(c, index)->requests, &p->node);
    queue_run(c, index);
}

void dev_requests_wake(struct dev_control *c, int64_t device)
{
    uint32_t index = queue_find(c, device);

    if (index != 0) {
        queue_at(c, index)->held = false;
        queue_run(c, index);
    }
}

void dev_requests_fail(struct dev_control *c, int64_t device, const char *error)
{
    uint32_t index = queue_find(c, device);

    if (index == 0) {
        return;
    }
    struct dev_queue *q = queue_at(c, index);
    DR_LIST_EACH_SAFE(it, &q->requests)
    {
        struct dev_pending *p = DR_CONTAINER_OF(it, struct dev_pending, node);
        if (pending_is_busy(c, p)) {
            p->doom = error;
        } else {
            pending_fail(c, p, false, 429, error);
        }
    }
}

void dev_requests_doom_last(struct dev_control *c, int64_t device, const char *error)
{
    uint32_t index = queue_find(c, device);

    if (index == 0) {
        return;
    }
    struct dev_queue *q = queue_at(c, index);
    if (dr_list_empty(&q->requests)) {
        return;
    }
    struct dev_pending *p = DR_CONTAINER_OF(q->requests.prev, struct dev_pending, node);
    if (pending_is_busy(c, p)) {
        p->doom = error;
    } else {
        pending_fail(c, p, false, doom_status(error), error);
    }
}
