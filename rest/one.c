/* SPDX-License-Identifier: Apache-2.0 */
#include "rest/one.h"

#include <stdio.h>

#include "base/clock.h"
#include "rest/rest_priv.h"

void *rest_one_new(struct rest_req *req, size_t size, int64_t id, const char *what)
{
    dr_assert(size >= sizeof(struct rest_one));
    struct rest_one *one = rest_arena_alloc(&req->arena, size);

    if (one == NULL) {
        rest_answer_err(req, DR_ERR_NOMEM);
        return NULL;
    }
    one->req = req;
    one->account = req->who.account;
    one->id = id;
    one->now_ms = dr_wall_ms();
    one->what = what;
    dr_dynbuf_init(&one->out, REST_ANSWER_MAX);
    return one;
}

void *rest_one_of_path(struct rest_req *req, size_t size, const char *what)
{
    int64_t id = rest_path_id(req, 0);

    return id == 0 ? NULL : rest_one_new(req, size, id, what);
}

bool rest_one_body(struct rest_one *one)
{
    return rest_body_parse(one->req, &one->json);
}

void rest_one_drop(struct rest_one *one)
{
    json_decref(one->json);
    one->json = NULL;
    dr_dynbuf_fini(&one->out);
}

bool rest_one_parsed(struct rest_one *one, dr_err_t err, const struct rest_field_errors *errors)
{
    if (err == DR_OK) {
        return true;
    }
    rest_one_drop(one);
    if (err == DR_ERR_INVAL) {
        rest_answer_fields(one->req, errors, "BAD_REQUEST");
    } else {
        rest_answer_err(one->req, err);
    }
    return false;
}

void rest_one_end(struct rest_one *one, dr_err_t err)
{
    struct rest_req *req = one->req;
    char text[80];

    json_decref(one->json);
    one->json = NULL;
    if (err == DR_OK && one->status != 204) {
        rest_answer_json(req, one->status, &one->out);
        return;
    }
    dr_dynbuf_fini(&one->out);
    if (err == DR_OK) {
        rest_answer_empty(req, 204);
    } else if (err == DR_ERR_NOT_FOUND) {
        (void)snprintf(text, sizeof text, "no such %s", one->what);
        rest_answer_error(req, 404, NULL, text);
    } else {
        rest_answer_err(req, err);
    }
}

static dr_err_t one_read(struct db_reader *r, struct db_read *read)
{
    struct rest_one *one = DR_CONTAINER_OF(read, struct rest_one, read);

    return one->read_fn(r, one);
}

static void one_read_done(struct db_read *read, dr_err_t err)
{
    struct rest_one *one = DR_CONTAINER_OF(read, struct rest_one, read);

    one->done(one, err);
}

void rest_one_read_then(struct rest_one *one, rest_one_read_fn *fn, rest_one_done_fn *done)
{
    one->read_fn = fn;
    one->done = done;
    one->status = one->status == 0 ? 200 : one->status;
    rest_read_start(one->req, &one->read, one_read, one_read_done);
    if (rest_req_answered(one->req)) { /* it did not start */
        rest_one_drop(one);
    }
}

void rest_one_read(struct rest_one *one, rest_one_read_fn *fn)
{
    rest_one_read_then(one, fn, rest_one_end);
}

static dr_err_t one_write(struct db_writer *w, struct db_job *job)
{
    struct rest_one *one = DR_CONTAINER_OF(job, struct rest_one, job);

    dr_dynbuf_reset(&one->out);
    return one->write_fn(w, one);
}

static void one_write_done(struct db_job *job, dr_err_t err)
{
    struct rest_one *one = DR_CONTAINER_OF(job, struct rest_one, job);

    one->done(one, err);
}

void rest_one_write(struct rest_one *one, int status, rest_one_write_fn *fn, rest_one_done_fn *done)
{
    one->write_fn = fn;
    one->done = done == NULL ? rest_one_end : done;
    one->status = status;
    rest_job_start(one->req, &one->job, one_write, one_write_done);
    if (rest_req_answered(one->req)) { /* it did not start */
        rest_one_drop(one);
    }
}
