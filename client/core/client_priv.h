/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  client/core/client_priv.h
 * @brief What the files of the client need of each other.
 *
 * Layer: client/core, private.  Threads: one loop.  Memory: in struct cl_client.  Limits: none.
 * Security: none of its own.
 */
#pragma once

#include "client/core/client.h"
#include "client/core/codec.h"

/** Objects 0 and 1 over the accounts. */
CL_CHECK cl_err_t cl_core_objects(struct cl_client *cl);

/** Object 35011 beside them: renewal of the certificate when the server asks. */
CL_CHECK cl_err_t cl_renewal_object(struct cl_client *cl);

/** cl_coap_ops.request: the server's requests. */
void cl_serve(void *ctx, const struct cl_msg *req, struct cl_msg *answer);
/** The part of it that the bootstrap server may do. */
void cl_serve_bootstrap(struct cl_client *cl, const struct cl_msg *req, struct cl_msg *answer);
/** Take one block of a body. @return 0 when @p ret_body is whole, else the code to answer */
uint8_t cl_body_in(struct cl_client *cl, const struct cl_msg *req, struct cl_msg *answer,
                   struct cl_bytes *ret_body);
/** The answer to a read: payload, format, block of it. */
void cl_body_out(struct cl_client *cl, const struct cl_msg *req, struct cl_msg *answer,
                 const struct cl_out *body, uint16_t format);
uint8_t cl_code_of(cl_err_t err, bool reading);

/** Send what is due: an answer that was late, then notifications. @return time of the next one */
uint64_t cl_report(struct cl_client *cl);
/** The number that gt, lt and st look at; false when the path is no number. */
bool cl_number_of(const struct cl_client *cl, const struct cl_path *path, double *ret);
/** cl_coap_ops.delivered */
void cl_report_delivered(void *ctx, cl_err_t err);

/** Start the bootstrap on the open association. */
void cl_bootstrap_start(struct cl_client *cl);
/** The association ended while bootstrapping. */
void cl_bootstrap_closed(struct cl_client *cl, const char *why);
/** What it wrote does not make sense: 4.06. */
bool cl_bootstrap_consistent(const struct cl_client *cl);
/** Forget what an unfinished bootstrap wrote. */
void cl_bootstrap_undo(struct cl_client *cl);

/** Begin a request of cl->call (method, path, format and body are set) with the queries so far. */
CL_CHECK cl_err_t cl_request(struct cl_client *cl, uint8_t method, const char *path,
                             cl_call_done *done);
void cl_query_clear(struct cl_client *cl);
/** "name=value"; too long ones and those beyond CL_QUERIES_MAX are left out: false. */
bool cl_query_add(struct cl_client *cl, const char *name, const char *value);

/** The association is of no use any more: close, wait, connect again. */
void cl_retry(struct cl_client *cl, const char *why);
/** The same without waiting: after a bootstrap. */
void cl_connect_soon(struct cl_client *cl, uint32_t delay_ms);
void cl_trouble(struct cl_client *cl, const char *what, const char *detail);
void cl_state_set(struct cl_client *cl, enum cl_state state);
