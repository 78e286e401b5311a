/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  db/request.h
 * @brief The durable queue of requests to devices, and their answers until delivered.
 *
 * Layer: db.  Threads: in run functions (writer) or fn functions (reader).
 * Memory: borrowed as in db/account.h.  Limits: DB_TEXT_MAX, DB_BLOB_MAX.
 * Security: transitions are compare-and-set by state.  Spec: Pelion Connect REST contract.
 *
 *     QUEUED <-> SENT -> DONE -> (deleted when delivered or too old)
 *        `----------------^
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct db_writer;
struct db_reader;

enum db_request_state { DB_REQUEST_QUEUED = 0, DB_REQUEST_SENT = 1, DB_REQUEST_DONE = 2 };

struct db_request {
    int64_t id; /**< order in the queue */
    int64_t account, device;
    int64_t key;          /**< API key that asked */
    const char *async_id; /**< unique of the key while not DONE */
    uint8_t method;       /**< enum dev_method */
    const char *uri;
    const char *content_type;
    const char *accept;
    struct dr_bytes payload;
    int32_t retry_left;
    int64_t created_at, expires_at; /**< unix ms */
    enum db_request_state state;
    /* DONE only */
    int32_t status;
    const char *result_type; /**< MIME text */
    struct dr_bytes result;
    uint32_t max_age_s;
    const char *error;
    int64_t done_at;
};

typedef dr_err_t db_request_fn(void *data, const struct db_request *row);

/**
 * State, result fields are ignored: it begins QUEUED.
 * @param queue_max  most pending ones of the device, 0 = no limit
 * @retval DR_ERR_EXISTS     the async id is pending, or the id is used
 * @retval DR_ERR_LIMIT      queue_max are pending
 * @retval DR_ERR_NOT_FOUND  the device is not in the account
 */
DR_CHECK dr_err_t db_request_insert(struct db_writer *w, const struct db_request *row,
                                    uint32_t queue_max);
/** An attempt begins: QUEUED or SENT -> SENT. @retval DR_ERR_STALE  it is DONE or gone */
DR_CHECK dr_err_t db_request_sent(struct db_writer *w, int64_t id, int32_t retry_left);
/** An attempt failed, wait for the device: SENT or QUEUED -> QUEUED. @retval DR_ERR_STALE */
DR_CHECK dr_err_t db_request_requeue(struct db_writer *w, int64_t id, int32_t retry_left);

struct db_answer {
    int64_t id;
    int32_t status;
    const char *result_type;
    struct dr_bytes result;
    uint32_t max_age_s;
    const char *error; /**< NULL or "" on success */
    int64_t done_at;   /**< unix ms */
};
/** -> DONE. The payload of the request is dropped. @retval DR_ERR_STALE  DONE before, or gone */
DR_CHECK dr_err_t db_request_done(struct db_writer *w, const struct db_answer *answer);
/** Delivered: the row goes. Not an error when it is gone. */
DR_CHECK dr_err_t db_request_delete(struct db_writer *w, int64_t id);
/** All pending of the device -> DONE with this answer (id is ignored). @param ret_n may be NULL */
DR_CHECK dr_err_t db_request_fail_device(struct db_writer *w, int64_t device,
                                         const struct db_answer *answer, uint32_t *ret_n);
/** Remove DONE ones with done_at before @p before_ms, at most @p limit. @param ret_n may be NULL */
DR_CHECK dr_err_t db_request_purge(struct db_writer *w, int64_t before_ms, uint32_t limit,
                                   uint32_t *ret_n);

/** All of all accounts by id from after @p after, DONE ones too: for the start. */
DR_CHECK dr_err_t db_request_list(struct db_reader *r, int64_t after, uint32_t limit,
                                  db_request_fn *fn, void *data);
/** Pending ones of one device in order. */
DR_CHECK dr_err_t db_request_queue(struct db_reader *r, int64_t device, db_request_fn *fn,
                                   void *data);
/** @retval DR_ERR_NOT_FOUND */
DR_CHECK dr_err_t db_request_get(struct db_reader *r, int64_t id, db_request_fn *fn, void *data);
