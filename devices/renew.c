/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Body of the POST, a list of one: | type 16 | length 16 | name, NUL |
 *   "LWM2M" is 0001 0006 4c574d324d00
 */
#include "devices/renew.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/ids.h"
#include "base/log.h"
#include "db/cert.h"

#define TYPE_NAME 1

struct dev_renewals {
    struct loop *control;
    struct dev_core *core;
    struct db *db;
    struct dev_sink sink;
    struct dr_idgen ids;
};

/* A row that is over, on its way to the store. */
struct ended {
    struct db_job job;
    struct dev_renewals *r;
    int64_t account, device, request;
    bool success;
    const char *detail; /* constant */
};

/* ---- pure ---- */

size_t dev_renew_body(const char *name, uint8_t *out)
{
    dr_assert(name != NULL && out != NULL);
    size_t len = strnlen(name, DEV_EST_NAME_MAX + 1);
    struct dr_wr wr = dr_wr_of(out, DEV_RENEW_BODY_MAX);

    if (len == 0 || len > DEV_EST_NAME_MAX) {
        return 0;
    }
    for (size_t i = 0; i < len; i++) {
        if (name[i] <= ' ' || name[i] > '~' || name[i] == '/') {
            return 0;
        }
    }
    dr_wr_u16(&wr, TYPE_NAME);
    dr_wr_u16(&wr, (uint16_t)(len + 1));
    dr_wr_put(&wr, name, len);
    dr_wr_u8(&wr, '\0');
    return dr_wr_len(&wr);
}

const char *dev_renew_status(const char *text, size_t len)
{
    static const struct {
        const char *status, *text;
    } rows[] = {
        {"0", "success"},
        {"1280", "the device could not renew it"},
        {"1281", "the device has no memory for it"},
        {"1284", "the device has no certificate of that name"},
        {"1285", "the device is renewing another certificate"},
        {"1286", "the device did not take the request"},
        {"1287", "the device got no new certificate"},
    };

    for (size_t i = 0; i < DR_ARRAY_LEN(rows); i++) {
        if (strlen(rows[i].status) == len && memcmp(rows[i].status, text, len) == 0) {
            return rows[i].text;
        }
    }
    return "the device answered with a status that is not known";
}

/* ---- the end of one ---- */

static dr_err_t ended_run(struct db_writer *w, struct db_job *job)
{
    const struct ended *e = DR_CONTAINER_OF(job, struct ended, job);
    dr_err_t err =
        db_cert_enrollment_complete(w, e->account, e->device, e->success, e->detail, dr_wall_ms());

    return err == DR_ERR_NOT_FOUND ? DR_OK : err;
}

static void ended_done(struct db_job *job, dr_err_t err)
{
    struct ended *e = DR_CONTAINER_OF(job, struct ended, job);

    if (err == DR_OK) {
        dev_answer_delivered(e->r->core, e->request);
    } else { /* told again at the next start */
        DR_LOG_LIMITED(DR_LOG_WARNING, "devices", 1, "end of a renewal not stored: %s",
                       dr_err_str(err));
    }
    free(e);
}

static void on_event(void *data, const struct dev_event *ev)
{
    struct dev_renewals *r = data;

    if (ev->kind != DEV_EVENT_ANSWER || ev->owner_key != DEV_KEY_RENEWALS) {
        return;
    }
    struct ended *e = calloc(1, sizeof *e);
    if (e == NULL) {
        return;
    }
    e->job = (struct db_job){
        .home = r->control, .run = ended_run, .done = ended_done, .lane = DB_LANE_ACK};
    e->r = r;
    e->account = ev->account;
    e->device = ev->device;
    e->request = ev->request;
    if (ev->status == 200) {
        e->detail = dev_renew_status((const char *)ev->payload.p, ev->payload.len);
        e->success = ev->payload.len == 1 && ev->payload.p[0] == '0';
    } else {
        e->detail = ev->status == 504 ? "the device did not answer" : "the device refused";
    }
    if (db_submit(r->db, &e->job) != DR_OK) {
        free(e);
    }
}

/* ---- the beginning ---- */

static void op_end(struct dev_renew *op, dr_err_t err)
{
    op->cb(op, err);
}

static dr_err_t undo_run(struct db_writer *w, struct db_job *job)
{
    const struct dev_renew *op = DR_CONTAINER_OF(job, struct dev_renew, job);

    return db_cert_enrollment_complete(w, op->account, op->device, false,
                                       "the device is not registered, or cannot renew",
                                       dr_wall_ms());
}

static void undo_done(struct db_job *job, dr_err_t err)
{
    struct dev_renew *op = DR_CONTAINER_OF(job, struct dev_renew, job);

    op_end(op, err == DR_OK ? op->err : err);
}

static void request_refused(struct dev_renew *op, dr_err_t err)
{
    bool cannot = err == DR_ERR_NOT_FOUND || err == DR_ERR_INVAL || err == DR_ERR_LIMIT;

    op->err = cannot ? DR_ERR_ASLEEP : err;
    op->job = (struct db_job){
        .home = op->renewals->control, .run = undo_run, .done = undo_done, .lane = DB_LANE_ACK};
    dr_err_t start = db_submit(op->renewals->db, &op->job);
    if (start != DR_OK) {
        op_end(op, start);
    }
}

static void request_accepted(struct dev_request *req, dr_err_t err)
{
    struct dev_renew *op = DR_CONTAINER_OF(req, struct dev_renew, request);

    if (err == DR_OK) {
        op_end(op, DR_OK);
    } else {
        request_refused(op, err);
    }
}

static dr_err_t insert_run(struct db_writer *w, struct db_job *job)
{
    const struct dev_renew *op = DR_CONTAINER_OF(job, struct dev_renew, job);
    const struct db_cert_enrollment row = {.id = op->id,
                                           .account = op->account,
                                           .device = op->device,
                                           .updated_at = dr_wall_ms(),
                                           .certificate_name = op->name};

    return db_cert_enrollment_insert(w, &row);
}

static void insert_done(struct db_job *job, dr_err_t err)
{
    struct dev_renew *op = DR_CONTAINER_OF(job, struct dev_renew, job);

    if (err != DR_OK) {
        op_end(op, err);
        return;
    }
    op->request = (struct dev_request){.account = op->account,
                                       .device = op->device,
                                       .key = DEV_KEY_RENEWALS,
                                       .async_id = op->async_id,
                                       .method = DEV_POST,
                                       .uri = DEV_RENEW_PATH,
                                       .content_type = "text/plain",
                                       .accept = "",
                                       .payload = dr_bytes_of(op->body, op->request.payload.len),
                                       .retry = -1,
                                       .expiry_s = -1,
                                       .cb = request_accepted};
    dr_err_t start = dev_request_start(op->renewals->core, &op->request);
    if (start != DR_OK) {
        request_refused(op, start);
    }
}

dr_err_t dev_renew_start(struct dev_renewals *r, struct dev_renew *op)
{
    dr_assert(r != NULL && op != NULL && op->cb != NULL && op->name != NULL);
    char id[DR_ID_LEN + 1];
    size_t len = dev_renew_body(op->name, op->body);

    if (len == 0) {
        return DR_ERR_INVAL;
    }
    op->renewals = r;
    op->id = dr_id_new(&r->ids);
    dr_id_format(op->id, id);
    (void)snprintf(op->async_id, sizeof op->async_id, "renew-%s", id);
    op->request.payload.len = len;
    op->job = (struct db_job){
        .home = r->control, .run = insert_run, .done = insert_done, .lane = DB_LANE_ACK};
    return db_submit(r->db, &op->job);
}

dr_err_t dev_renewals_new(struct loop *control, struct dev_core *core, struct db *db,
                          struct dev_renewals **ret)
{
    dr_assert(control != NULL && core != NULL && db != NULL && ret != NULL);
    struct dev_renewals *r = calloc(1, sizeof *r);

    if (r == NULL) {
        return DR_ERR_NOMEM;
    }
    dr_err_t err = dr_idgen_init(&r->ids, NULL, NULL);
    if (err != DR_OK) {
        free(r);
        return err;
    }
    r->control = control;
    r->core = core;
    r->db = db;
    r->sink = (struct dev_sink){.event = on_event, .data = r};
    dev_sink_add(core, &r->sink);
    *ret = r;
    return DR_OK;
}

struct dev_renewals *dev_renewals_free(struct dev_renewals *r)
{
    if (r != NULL) {
        dr_idgen_fini(&r->ids);
        free(r);
    }
    return NULL;
}
