/* SPDX-License-Identifier: Apache-2.0 */
/* Runs on the control loop: how requests come into the queues, at their start and at ours, and
 * leave. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "devices/control_priv.h"
#include "devices/rules.h"
#include "lwm2m/format.h"

#define LOAD_PAGE 500

/* ---- a new request ---- */

struct request_start {
    struct db_read read;
    struct db_job job;
    struct dev_control *c;
    struct dev_request *req;
    struct dev_found found;
    struct db_request row;
    struct dev_task *task;
};

static void request_start_end(struct request_start *s, dr_err_t err)
{
    struct dev_control *c = s->c;
    struct dev_request *req = s->req;

    (void)dev_task_free(s->task);
    free(s);
    req->cb(req, err);
    dev_idle(c);
}

static dr_err_t request_insert_run(struct db_writer *w, struct db_job *job)
{
    struct request_start *s = DR_CONTAINER_OF(job, struct request_start, job);

    return db_request_insert(w, &s->row, DEV_QUEUE_MAX);
}

static void request_insert_done(struct db_job *job, dr_err_t err)
{
    struct request_start *s = DR_CONTAINER_OF(job, struct request_start, job);

    if (err != DR_OK) {
        request_start_end(s, err);
        return;
    }
    struct dev_control *c = s->c;
    struct db_request row = s->row; /* its texts are the caller's: not used below */
    uint64_t hash = s->found.hash;
    struct dev_task *task = s->task;
    s->task = NULL;
    request_start_end(s, DR_OK);
    dev_requests_add(c, &row, hash, task);
}

static dr_err_t request_find_run(struct db_reader *r, struct db_read *read)
{
    struct request_start *s = DR_CONTAINER_OF(read, struct request_start, read);
    const struct dev_request *req = s->req;
    dr_err_t err = dev_find(r, s->c->core, req->account, req->device, req->uri,
                            req->method == DEV_POST, &s->found);

    if (err == DR_OK && !s->found.listed) {
        err = DR_ERR_INVAL;
    }
    return err;
}

static void request_find_done(struct db_read *read, dr_err_t err)
{
    struct request_start *s = DR_CONTAINER_OF(read, struct request_start, read);
    const struct dev_request *req = s->req;
    bool sleepy = s->found.queue_mode;

    if (err != DR_OK) {
        request_start_end(s, err);
        return;
    }
    int64_t expiry_s =
        req->expiry_s >= 0 ? req->expiry_s : (sleepy ? DEV_EXPIRY_QUEUE_S : DEV_EXPIRY_S);
    int retry = req->retry >= 0 ? req->retry : (sleepy ? DEV_RETRY_QUEUE : 0);
    int64_t now_ms = dr_wall_ms();
    s->row =
        (struct db_request){.id = dr_id_new(&s->c->ids),
                            .account = req->account,
                            .device = req->device,
                            .key = req->key,
                            .async_id = req->async_id,
                            .method = (uint8_t)req->method,
                            .uri = req->uri,
                            .content_type = req->body != NULL ? DEV_TYPE_BODY : req->content_type,
                            .accept = req->accept,
                            .payload = req->payload,
                            .retry_left = retry > 100 ? 100 : retry,
                            .created_at = now_ms,
                            .expires_at = now_ms + expiry_s * 1000};
    s->task = dev_task_of_row(s->c->core, &s->row, s->found.hash);
    if (s->task == NULL) {
        request_start_end(s, DR_ERR_NOMEM);
        return;
    }
    s->task->body = req->body == NULL ? NULL : cx_body_ref(req->body);
    s->task->cache_ok = req->synchronous_cache;
    s->job = (struct db_job){.home = s->c->loop,
                             .run = request_insert_run,
                             .done = request_insert_done,
                             .lane = DB_LANE_ACK};
    err = db_submit(s->c->db, &s->job);
    if (err != DR_OK) {
        request_start_end(s, err);
    }
}

static bool async_id_valid(const char *id)
{
    size_t n = strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");

    return n >= 1 && n <= DEV_ASYNC_ID_MAX && id[n] == '\0';
}

dr_err_t dev_request_start(struct dev_core *core, struct dev_request *req)
{
    struct dev_control *c = core->control;
    struct dev_uri uri;

    loop_assert_current(c->loop);
    dr_assert(req != NULL && req->cb != NULL && req->async_id != NULL && req->uri != NULL);
    if (c->stopping) {
        return DR_ERR_CANCELED;
    }
    if (!async_id_valid(req->async_id) || dev_uri_parse(req->uri, &uri) != DR_OK ||
        (req->content_type != NULL && strlen(req->content_type) > DEV_CONTENT_MAX) ||
        (req->accept != NULL && strlen(req->accept) > DEV_CONTENT_MAX)) {
        return DR_ERR_PROTO;
    }
    if (req->body != NULL && (req->payload.len != 0 || req->method != DEV_PUT)) {
        return DR_ERR_PROTO;
    }
    if (req->payload.len > DEV_PAYLOAD_MAX) {
        return DR_ERR_TOO_LARGE;
    }
    struct lwm2m_str type = {req->content_type, req->content_type ? strlen(req->content_type) : 0};
    struct lwm2m_str accept = {req->accept, req->accept ? strlen(req->accept) : 0};
    if ((type.len != 0 && lwm2m_format_number(type) == LWM2M_CT_NONE) ||
        (accept.len != 0 && lwm2m_format_number(accept) == LWM2M_CT_NONE)) {
        return DR_ERR_UNSUPPORTED;
    }
    struct request_start *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return DR_ERR_NOMEM;
    }
    s->read = (struct db_read){.home = c->loop, .fn = request_find_run, .done = request_find_done};
    s->c = c;
    s->req = req;
    dr_err_t err = db_read_start(c->db, &s->read);
    if (err != DR_OK) {
        free(s);
        return err;
    }
    dev_busy(c);
    return DR_OK;
}

/* ---- delivered answers ---- */

struct delivered {
    struct db_job job;
    struct dev_control *c;
    int64_t id;
};

static dr_err_t delivered_run(struct db_writer *w, struct db_job *job)
{
    return db_request_delete(w, DR_CONTAINER_OF(job, struct delivered, job)->id);
}

static void delivered_done(struct db_job *job, dr_err_t err)
{
    struct delivered *d = DR_CONTAINER_OF(job, struct delivered, job);
    struct dev_control *c = d->c;

    (void)err; /* it is told again after a restart, or purged when it is old */
    free(d);
    dev_idle(c);
}

void dev_answer_delivered(struct dev_core *core, int64_t request)
{
    struct dev_control *c = core->control;
    struct delivered *d = calloc(1, sizeof *d);

    loop_assert_current(c->loop);
    if (d == NULL || request == 0) {
        free(d);
        return;
    }
    *d = (struct delivered){.job = {.home = c->loop,
                                    .run = delivered_run,
                                    .done = delivered_done,
                                    .lane = DB_LANE_BEHIND},
                            .c = c,
                            .id = request};
    if (db_submit(c->db, &d->job) != DR_OK) {
        free(d);
        return;
    }
    dev_busy(c);
}

/* ---- the start ---- */

struct load_row {
    struct db_request row; /* texts below are owned */
    char *async_id, *type, *error;
    uint8_t *result;
    uint64_t hash;
    char endpoint[DEV_NAME_MAX + 1];
    char ep_type[DEV_TYPE_MAX + 1];
    bool queue_mode;
    bool lost; /* its bytes were not stored */
};

struct load {
    struct db_read read;
    struct dev_control *c;
    void (*done)(struct dev_control *c, dr_err_t err);
    int64_t after;
    size_t n;
    struct load_row rows[LOAD_PAGE];
};

static dr_err_t load_take(void *data, const struct db_request *row)
{
    struct load *l = data;
    struct load_row *out = &l->rows[l->n];

    out->row = *row;
    out->async_id = strdup(row->async_id);
    out->lost = strcmp(row->content_type, DEV_TYPE_BODY) == 0;
    out->type = strdup(row->result_type == NULL ? "" : row->result_type);
    out->error = row->error == NULL || row->error[0] == '\0' ? NULL : strdup(row->error);
    out->result = malloc(row->result.len + 1);
    l->n++;
    if (out->async_id == NULL || out->type == NULL || out->result == NULL) {
        return DR_ERR_NOMEM;
    }
    if (row->result.len != 0) {
        memcpy(out->result, row->result.p, row->result.len);
    }
    return DR_OK;
}

static dr_err_t load_registration(void *data, const struct db_registration *reg)
{
    struct load_row *row = data;

    (void)strncpy(row->endpoint, reg->endpoint_name, DEV_NAME_MAX);
    if (reg->endpoint_type != NULL) {
        (void)strncpy(row->ep_type, reg->endpoint_type, DEV_TYPE_MAX);
    }
    row->queue_mode = reg->queue_mode;
    return DR_OK;
}

static dr_err_t load_run(struct db_reader *r, struct db_read *read)
{
    struct load *l = DR_CONTAINER_OF(read, struct load, read);
    dr_err_t err = db_request_list(r, l->after, LOAD_PAGE, load_take, l);

    for (size_t i = 0; err == DR_OK && i < l->n; i++) {
        struct load_row *row = &l->rows[i];
        err = db_registration_get(r, row->row.account, row->row.device, load_registration, row);
        err = err == DR_ERR_NOT_FOUND ? DR_OK : err;
        row->hash = dev_name_hash(l->c->core, row->row.account, row->endpoint);
    }
    return err;
}

static void load_answer(struct dev_control *c, const struct load_row *row)
{
    struct dev_event ev = {.kind = DEV_EVENT_ANSWER,
                           .account = row->row.account,
                           .device = row->row.device,
                           .owner_key = row->row.key,
                           .endpoint = row->endpoint,
                           .endpoint_type = row->ep_type,
                           .queue_mode = row->queue_mode,
                           .path = "",
                           .ct = row->type,
                           .payload = dr_bytes_of(row->result, row->row.result.len),
                           .max_age_s = row->row.max_age_s,
                           .async_id = row->async_id,
                           .status = row->row.status,
                           .error = row->error,
                           .request = row->row.id,
                           .at_ms = row->row.done_at};
    dev_publish(c, &ev);
}

static void load_pending(struct dev_control *c, const struct load_row *row)
{
    struct db_request copy = row->row;
    bool lost = row->lost;
    bool unsure = lost || (row->row.state == DB_REQUEST_SENT && row->row.method == DEV_POST);

    if (unsure && !lost && copy.retry_left > 0) {
        copy.retry_left--;
        unsure = false;
    }
    dev_requests_add(c, &copy, row->hash, NULL);
    if (unsure) {
        dev_requests_doom_last(c, copy.device, "TIMEOUT");
    }
}

static dr_err_t load_next(struct load *l);

static void load_done(struct db_read *read, dr_err_t err)
{
    struct load *l = DR_CONTAINER_OF(read, struct load, read);
    struct dev_control *c = l->c;
    bool more = l->n == LOAD_PAGE;

    for (size_t i = 0; i < l->n; i++) {
        struct load_row *row = &l->rows[i];
        l->after = row->row.id;
        if (err == DR_OK && row->row.state == DB_REQUEST_DONE) {
            load_answer(c, row);
        } else if (err == DR_OK) {
            load_pending(c, row);
        }
        free(row->async_id);
        free(row->type);
        free(row->error);
        free(row->result);
    }
    if (err == DR_OK && more) {
        err = load_next(l);
        if (err == DR_OK) {
            return;
        }
    }
    void (*done)(struct dev_control * c, dr_err_t err) = l->done;
    free(l);
    done(c, err);
}

static dr_err_t load_next(struct load *l)
{
    l->n = 0;
    memset(l->rows, 0, sizeof l->rows);
    l->read = (struct db_read){.home = l->c->loop, .fn = load_run, .done = load_done};
    return db_read_start(l->c->db, &l->read);
}

void dev_requests_load(struct dev_control *c, void (*done)(struct dev_control *c, dr_err_t err))
{
    struct load *l = calloc(1, sizeof *l);
    dr_err_t err = DR_ERR_NOMEM;

    if (l != NULL) {
        l->c = c;
        l->done = done;
        err = load_next(l);
    }
    if (err != DR_OK) {
        free(l);
        done(c, err);
    }
}
