/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/req.h
 * @brief One HTTP request as a handler sees it, and the ways to answer it.
 *
 * Layer: rest.  Threads: the loop of the server; a pool function may only use what it was given.
 * Memory: a request lives until its answer is written or its connection is gone; its arena and body
 * live as long.  Limits: REST_ARENA_MAX; the body limit of the route.
 * Security: everything but @c who and @c id came from the peer.  Spec: RFC9110.
 *
 * A handler answers exactly once, at once or later; the request stays valid until then, also when
 * the client hangs up meanwhile.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "base/loop.h"
#include "rest/arena.h"
#include "rest/json.h"
#include "rest/router.h"

#define REST_ARENA_MAX      (8 * 1024 * 1024)
#define REST_BODY_MAX       (1024 * 1024)
/** Most bytes of a generated answer. */
#define REST_ANSWER_MAX     (64 * 1024 * 1024)
#define REST_REQUEST_ID_LEN 32

struct MHD_Connection;
struct MHD_Response;
struct rest_http;
struct rest_conn;

/** Who asks. */
struct rest_who {
    int64_t account; /**< 0 = nobody */
    int64_t key;
    bool admin;
};

struct rest_req {
    struct rest_http *http;
    void *app; /**< of the server's configuration */
    struct rest_arena arena;
    enum rest_method method;
    struct rest_target target;
    struct rest_match match;
    struct rest_who who;
    char id[REST_REQUEST_ID_LEN + 1];
    struct dr_bytes body; /**< followed by a NUL; empty when the body is streamed */

    /** The handler's own. */
    void *op;
    /** The client hung up or the server stops. Set before the handler returns without an answer, or
     * by rest_req_on_gone() later. Called once at most; the handler then answers soon (nobody may
     * read it). */
    void (*gone)(struct rest_req *req);
    /** Last call of all, once: @p ok when the last byte of the answer was handed to the network. */
    void (*sent)(struct rest_req *req, bool ok);

    /* the server's own from here */
    struct dr_list node;
    struct MHD_Connection *mhd;
    struct rest_conn *conn;
    int phase;
    dr_err_t parse_err;
    bool suspended, in_handler, swallow, gone_called;
    struct dr_dynbuf in;
    uint64_t swallowed;
    void (*piece)(struct rest_req *req, struct dr_bytes data);
    uint64_t stream_max, streamed;
    uint64_t body_from_ms; /**< since when the body is waited for, pauses taken off */
    struct loop_fd watch;
    struct MHD_Response *response; /**< owned: the answer */
    int status;
    uint64_t begin_us;
    uint64_t file_size;
    void *upgrade; /**< handle of an upgraded connection */
    void (*upgraded)(struct rest_req *req, int fd, struct dr_bytes extra);
    void (*drained)(struct rest_req *req);
    uint64_t flush_at; /**< TLS: sent is called when so many bytes have left */
};

/** Set req->gone of a request that may be waiting already. */
void rest_req_on_gone(struct rest_req *req, void (*gone)(struct rest_req *req));

/**
 * For a handler of a route with body_max REST_BODY_STREAM, which runs before the body, instead of
 * an answer (at once, or later): take the body in pieces.
 * @param max    bytes; a larger body gets 413
 * @param piece  for each piece (borrowed), at last once with none: then answer as a handler does.
 *               An answer before that makes the rest of the body disappear. When the body breaks
 *               off there is no such last call, only req->sent (if no pause is on; else after it).
 */
void rest_req_stream(struct rest_req *req, uint64_t max,
                     void (*piece)(struct rest_req *req, struct dr_bytes data));
/** From a piece function: no more pieces until rest_req_more(), or an answer. */
void rest_req_pause(struct rest_req *req);
void rest_req_more(struct rest_req *req);
/** Content-Length. False: there is none (or it is no number). */
bool rest_req_length(const struct rest_req *req, uint64_t *ret);

/** Value of a request header, or NULL. */
const char *rest_req_header(const struct rest_req *req, const char *name);

/** Path capture @p i ("" when there is none). */
const char *rest_req_capture(const struct rest_req *req, size_t i);

/** Is the answer given already? */
bool rest_req_answered(const struct rest_req *req);

/** Take the memory of @p body (reset afterwards); an error in it gives 500 or 503. */
void rest_answer(struct rest_req *req, int status, const char *type, struct dr_dynbuf *body);

/** As rest_answer() with application/json. */
void rest_answer_json(struct rest_req *req, int status, struct dr_dynbuf *body);

void rest_answer_empty(struct rest_req *req, int status);

/** text/plain; @p text is copied. */
void rest_answer_text(struct rest_req *req, int status, const char *text);

/**
 * An error: JSON envelope, in /v2 the bare @p message.
 * @param type  "not_found" …; NULL = the usual one of the status
 */
void rest_answer_error(struct rest_req *req, int status, const char *type, const char *message);

/** 400 validation_error with the fields; in /v2 the bare @p v2_text. */
void rest_answer_fields(struct rest_req *req, const struct rest_field_errors *errors,
                        const char *v2_text);

/** What @p err stands for. */
void rest_answer_err(struct rest_req *req, dr_err_t err);

/** The @p size bytes of @p fd from its start; the descriptor is taken. */
void rest_answer_file(struct rest_req *req, int fd, uint64_t size, const char *type);

/** @p len bytes of @p fd from @p at on; the descriptor is taken. */
void rest_answer_part(struct rest_req *req, int status, int fd, uint64_t at, uint64_t len,
                      const char *type);

/** 200 with the body of @p type that may be kept as @p cache_control says. */
void rest_answer_cached(struct rest_req *req, const char *type, struct dr_dynbuf *body,
                        const char *cache_control);

/**
 * 101: leave HTTP. @p upgraded runs later with the descriptor, which stays the server's, and what
 * the client sent already; the request lives until rest_upgrade_end().
 */
void rest_answer_upgrade(struct rest_req *req,
                         void (*upgraded)(struct rest_req *req, int fd, struct dr_bytes extra));
/** Close an upgraded connection; req->sent follows, later. Watchers must be closed before. */
void rest_upgrade_end(struct rest_req *req);
/** Has all that was written to the descriptor left? If not, @p drained runs once when it has. */
bool rest_upgrade_flush(struct rest_req *req, void (*drained)(struct rest_req *req));

/** A header for the answer that was just given (does nothing before). */
void rest_answer_header(struct rest_req *req, const char *name, const char *value);
