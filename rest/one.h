/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/one.h
 * @brief One object of a service: read or written by one job, answered with its JSON.
 *
 * Layer: rest.  Threads: start and answer on the control loop; a read function on a reading thread,
 * a write function on the store thread.
 * Memory: lives in the request's arena; the body's JSON is released with the answer.
 * Security: @c account is that of the API key; every query has to take it.
 *
 * A service makes its own struct with a struct rest_one as its first member.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "db/db.h"
#include "rest/req.h"

struct rest_one;

/** Write the JSON of the object into one->out. */
typedef dr_err_t rest_one_read_fn(struct db_reader *r, struct rest_one *one);
/** Change the object, and write its JSON into one->out. May run again: one->out is empty then. */
typedef dr_err_t rest_one_write_fn(struct db_writer *w, struct rest_one *one);
/** Read or committed, or failed: has to end in rest_one_end(), or go on. */
typedef void rest_one_done_fn(struct rest_one *one, dr_err_t err);

struct rest_one {
    struct rest_req *req;
    int64_t account, id, now_ms;
    const char *what; /**< "API key": for "no such API key" */
    json_t *json;     /**< the body, from rest_one_body(); NULL before */
    struct dr_dynbuf out;
    int status; /**< of the answer when all went well */

    /* its own from here */
    struct db_read read;
    struct db_job job;
    rest_one_read_fn *read_fn;
    rest_one_write_fn *write_fn;
    rest_one_done_fn *done;
};

/**
 * Zeroed memory of @p size bytes that begins with a struct rest_one.
 * @param what  borrowed for the life of the request
 * @return NULL: answered
 */
void *rest_one_new(struct rest_req *req, size_t size, int64_t id, const char *what);

/** The same for the id in path capture 0. NULL: answered, with 404 when that is no id. */
void *rest_one_of_path(struct rest_req *req, size_t size, const char *what);

/** The request's body as JSON in one->json. False: answered. */
bool rest_one_body(struct rest_one *one);

/** Was the body's content right? False: answered with what was not, and dropped. */
bool rest_one_parsed(struct rest_one *one, dr_err_t err, const struct rest_field_errors *errors);

/** Read, then answer with one->status (0: 200). */
void rest_one_read(struct rest_one *one, rest_one_read_fn *fn);

/** Read, then go on in @p done. */
void rest_one_read_then(struct rest_one *one, rest_one_read_fn *fn, rest_one_done_fn *done);

/**
 * Write in the acknowledged lane, then answer with @p status (204: without a body).
 * @param done  NULL: rest_one_end()
 */
void rest_one_write(struct rest_one *one, int status, rest_one_write_fn *fn,
                    rest_one_done_fn *done);

/** Answer: the JSON, or what @p err stands for; DR_ERR_NOT_FOUND is "no such …". */
void rest_one_end(struct rest_one *one, dr_err_t err);

/** The request was answered otherwise: give back what the object holds. */
void rest_one_drop(struct rest_one *one);
