/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job: row (new) → batch, batch, … (processing; each commits its entries and the counts together)
 * → reports written → row (completed). When the server stops in between, what is left counts as
 * failed at the next start (db_bulk_interrupted).
 */
#include "rest/bulk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "db/enrollment.h"
#include "rest/rest_priv.h"

/** Entries of one commit: some milliseconds of the store. */
#define BATCH 200

struct result {
    dr_err_t err;
    int64_t id;
};

struct rest_bulk {
    struct rest_bulk_list list;
    struct rest *rest;
    int64_t account, id;
    bool deletes;
    size_t at; /* entries before it are done */
    int64_t errors;
    struct result results[BATCH];
    struct db_job job;
    struct loop_work work;
    struct dr_dynbuf full, failed;
};

dr_err_t rest_bulk_read(struct dr_bytes csv, struct rest_bulk **ret)
{
    dr_assert(ret != NULL);
    struct rest_bulk *b = calloc(1, sizeof *b);
    if (b == NULL) {
        return DR_ERR_NOMEM;
    }
    dr_dynbuf_init(&b->full, REST_BULK_REPORT_MAX);
    dr_dynbuf_init(&b->failed, REST_BULK_REPORT_MAX);
    dr_err_t err = rest_bulk_list_read(csv, &b->list);
    if (err != DR_OK) {
        rest_bulk_free(b);
        return err;
    }
    *ret = b;
    return DR_OK;
}

struct rest_bulk *rest_bulk_free(struct rest_bulk *b)
{
    if (b != NULL) {
        dr_dynbuf_fini(&b->full);
        dr_dynbuf_fini(&b->failed);
        rest_bulk_list_fini(&b->list);
        free(b);
    }
    return NULL;
}

size_t rest_bulk_count(const struct rest_bulk *b)
{
    dr_assert(b != NULL);
    return b->list.n;
}

/* ---- working it off ---- */

dr_err_t rest_bulk_report_path(const struct rest *rest, int64_t id, bool errors_only, char *buf,
                               size_t cap)
{
    char text[DR_ID_LEN + 1];

    dr_id_format(id, text);
    int n = snprintf(buf, cap, "%s/enrollments/%s-%s.csv", rest->config.data_dir, text,
                     errors_only ? "errors" : "full");
    return n < 0 || (size_t)n >= cap ? DR_ERR_RANGE : DR_OK;
}

static size_t batch_len(const struct rest_bulk *b)
{
    size_t left = b->list.n - b->at;

    return left < BATCH ? left : BATCH;
}

/* An entry that is refused is a result, not the end of the batch. */
static dr_err_t entry_run(struct db_writer *w, const struct rest_bulk *b, const char *entry,
                          struct result *res)
{
    dr_err_t err;

    if (b->deletes) {
        err = db_enrollment_delete_identity(w, b->account, entry, &res->id);
    } else {
        const struct db_enrollment row = {.id = res->id, .account = b->account, .identity = entry};
        err = db_enrollment_insert(w, &row);
    }
    res->err = err;
    return err == DR_ERR_PROTO || err == DR_ERR_EXISTS || err == DR_ERR_NOT_FOUND ? DR_OK : err;
}

static dr_err_t batch_run(struct db_writer *w, struct db_job *job)
{
    struct rest_bulk *b = DR_CONTAINER_OF(job, struct rest_bulk, job);
    size_t len = batch_len(b);
    int64_t errors = b->errors;

    for (size_t i = 0; i < len; i++) {
        dr_err_t err = entry_run(w, b, rest_bulk_list_entry(&b->list, b->at + i), &b->results[i]);
        if (err != DR_OK) {
            return err;
        }
        errors += b->results[i].err != DR_OK;
    }
    const struct db_bulk row = {.id = b->id,
                                .account = b->account,
                                .updated_at = dr_wall_ms(),
                                .status = DB_BULK_PROCESSING,
                                .total = (int64_t)b->list.n,
                                .processed = (int64_t)(b->at + len),
                                .errors = errors};
    return db_bulk_update(w, &row);
}

static void report_line(struct dr_dynbuf *out, const struct result *res, int64_t now_ms)
{
    char id[DR_ID_LEN + 1] = "", at[DR_TIME_LEN + 1] = "";
    const char *type = "", *text = "", *fields = "";
    int code = 0;

    if (res->id != 0 && res->err == DR_OK) {
        dr_id_format(res->id, id);
        dr_time_format(now_ms, at);
    } else if (res->err == DR_ERR_EXISTS) {
        code = 409, type = "duplicate", text = "claimed already";
    } else if (res->err == DR_ERR_NOT_FOUND) {
        code = 404, type = "not_found", text = "no such enrolment";
    } else {
        code = 400, type = "validation_error", text = "not an enrolment identity";
        fields = "enrollment_identity";
    }
    if (code == 0) {
        dr_dynbuf_printf(out, "%s,%s,,,,\r\n", id, at);
    } else {
        dr_dynbuf_printf(out, ",,%d,%s,%s,%s\r\n", code, type, text, fields);
    }
}

static void bulk_end(struct rest_bulk *b)
{
    struct rest *rest = b->rest;

    rest_bulk_free(b);
    rest_bulk_ended(rest);
}

static dr_err_t finish_run(struct db_writer *w, struct db_job *job)
{
    const struct rest_bulk *b = DR_CONTAINER_OF(job, struct rest_bulk, job);
    int64_t now_ms = dr_wall_ms();
    const struct db_bulk row = {.id = b->id,
                                .account = b->account,
                                .updated_at = now_ms,
                                .status = DB_BULK_COMPLETED,
                                .total = (int64_t)b->list.n,
                                .processed = (int64_t)b->list.n,
                                .errors = b->errors,
                                .completed_at = now_ms};
    return db_bulk_update(w, &row);
}

static void job_next(struct rest_bulk *b);

static void finish_done(struct db_job *job, dr_err_t err)
{
    if (err != DR_OK) {
        dr_log(DR_LOG_WARNING, "rest", "bulk enrolment not finished: %s", dr_err_str(err));
    }
    bulk_end(DR_CONTAINER_OF(job, struct rest_bulk, job));
}

static dr_err_t report_write(const struct rest_bulk *b, bool errors_only)
{
    char path[DR_PATH_MAX];
    const struct dr_dynbuf *text = errors_only ? &b->failed : &b->full;
    dr_err_t err = rest_bulk_report_path(b->rest, b->id, errors_only, path, sizeof path);

    err = err == DR_OK ? dr_dynbuf_err(text) : err;
    return err == DR_OK ? dr_file_write(path, text->p, text->len, NULL) : err;
}

static void reports_run(struct loop_work *work)
{
    const struct rest_bulk *b = DR_CONTAINER_OF(work, struct rest_bulk, work);
    char dir[DR_PATH_MAX];
    dr_err_t err = dr_path_join(dir, b->rest->config.data_dir, "enrollments");

    if (err == DR_OK && mkdir(dir, 0700) != 0 && errno != EEXIST) {
        err = DR_ERR_IO;
    }
    err = err == DR_OK ? report_write(b, false) : err;
    err = err == DR_OK ? report_write(b, true) : err;
    if (err != DR_OK) {
        dr_log(DR_LOG_WARNING, "rest", "report of a bulk enrolment not written: %s",
               dr_err_str(err));
    }
}

static void submit(struct rest_bulk *b, db_job_run_fn *run, db_job_done_fn *done)
{
    b->job = (struct db_job){
        .home = b->rest->loop, .run = run, .done = done, .lane = DB_LANE_BEHIND, .savepoint = true};
    dr_err_t err = db_submit(b->rest->db, &b->job);
    if (err != DR_OK) {
        dr_log(DR_LOG_WARNING, "rest", "bulk enrolment given up: %s", dr_err_str(err));
        bulk_end(b);
    }
}

static void reports_done(struct loop_work *work, dr_err_t err)
{
    (void)err;
    submit(DR_CONTAINER_OF(work, struct rest_bulk, work), finish_run, finish_done);
}

static void batch_done(struct db_job *job, dr_err_t err)
{
    struct rest_bulk *b = DR_CONTAINER_OF(job, struct rest_bulk, job);
    int64_t now_ms = dr_wall_ms();

    if (err != DR_OK) {
        dr_log(DR_LOG_WARNING, "rest", "bulk enrolment given up: %s", dr_err_str(err));
        bulk_end(b);
        return;
    }
    size_t len = batch_len(b);
    for (size_t i = 0; i < len; i++) {
        report_line(&b->full, &b->results[i], now_ms);
        if (b->results[i].err != DR_OK) {
            report_line(&b->failed, &b->results[i], now_ms);
            b->errors++;
        }
    }
    b->at += len;
    job_next(b);
}

static void job_next(struct rest_bulk *b)
{
    if (b->rest->close_done != NULL) {
        bulk_end(b); /* the server stops */
        return;
    }
    if (b->at == b->list.n) {
        if (loop_work_start(b->rest->loop, &b->work, reports_run, reports_done) != DR_OK) {
            bulk_end(b);
        }
        return;
    }
    for (size_t i = 0; i < batch_len(b); i++) {
        b->results[i] = (struct result){.id = b->deletes ? 0 : dr_id_new(&b->rest->ids)};
    }
    submit(b, batch_run, batch_done);
}

void rest_bulk_start(struct rest *rest, struct rest_bulk *b, int64_t account, int64_t id,
                     bool deletes)
{
    dr_assert(rest != NULL && b != NULL && b->rest == NULL);
    static const char head[] = "entity__id,entity__%s,error__code,error__type,error__message,"
                               "error__fields\r\n";
    b->rest = rest;
    b->account = account;
    b->id = id;
    b->deletes = deletes;
    dr_dynbuf_printf(&b->full, head, deletes ? "deleted_at" : "created_at");
    dr_dynbuf_printf(&b->failed, head, deletes ? "deleted_at" : "created_at");
    rest->n_bulks++;
    job_next(b);
}
