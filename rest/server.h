/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/server.h
 * @brief An HTTP/1.1 server on a loop: accept, optional TLS, libmicrohttpd as parser, routes.
 *
 * Layer: rest.  Threads: everything on the loop of the configuration.
 * Memory: a block a connection, one a request.  Limits: struct rest_http_config and REST_*_MS.
 * Security: slow and silent clients are closed by deadlines, connections, headers and bodies have
 * maxima; errors before the body are answered without reading a large one.
 * Spec: RFC9112, RFC8446.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "rest/req.h"
#include "rest/router.h"

struct loop;
struct rest_http;

/** Memory for the header of one request. */
#define REST_HEADER_MAX      (32 * 1024)
/** Between connecting, or the last answer, and a complete header. */
#define REST_HEADER_MS       60000
/** For a body: so long, and as long again as it takes at REST_BODY_RATE bytes a second. */
#define REST_BODY_MS         30000
#define REST_BODY_RATE       (16 * 1024)
/** For taking an answer; a file gets REST_BODY_RATE on top. */
#define REST_ANSWER_MS       300000
/** For a TLS handshake. */
#define REST_HANDSHAKE_MS    10000
/** How long closing waits for answers under way. */
#define REST_CLOSE_MS        3000
#define REST_CONNECTIONS_MAX 1024
#define REST_ADDRESS_MAX     80

struct rest_http_config {
    struct loop *loop;
    const char *name;    /**< for logs: "rest", "metrics" */
    const char *address; /**< "127.0.0.1:8080", "[::]:0"; borrowed during the call */
    const char *cert;    /**< PEM chain file; NULL = no TLS */
    const char *key;     /**< PEM key file */
    const struct rest_routes *const *routes; /**< borrowed */
    size_t n_routes;
    void *app;
    /**
     * Who is it? Called for routes that are not open, once the header is there. Fills req->who or
     * answers, then true; or false, and rest_http_authorised() later.
     */
    bool (*authorise)(struct rest_req *req);
    /* 0 = default */
    uint32_t connections_max; /**< (REST_CONNECTIONS_MAX) */
    uint32_t header_ms, body_ms, handshake_ms;
    size_t body_max; /**< (REST_BODY_MAX) */
};

/**
 * Listen.
 * @retval DR_ERR_IN_USE  somebody has the address
 * @retval DR_ERR_INVAL   not an address, or not one of this machine
 * @retval DR_ERR_CRYPTO  certificate or key cannot be used
 * @retval DR_ERR_NOMEM, DR_ERR_IO
 */
DR_CHECK dr_err_t rest_http_new(const struct rest_http_config *config, struct rest_http **ret,
                                struct dr_errinfo *reterr);

/** Where it listens ("127.0.0.1:38211"); borrowed. */
const char *rest_http_address(const struct rest_http *http);

/** True when it speaks TLS. */
bool rest_http_tls(const struct rest_http *http);

/** Read certificate and key again; the old ones stay on an error. @retval DR_ERR_CRYPTO */
DR_CHECK dr_err_t rest_http_reload(struct rest_http *http, const char *cert, const char *key,
                                   struct dr_errinfo *reterr);

/** The answer of config.authorise came. */
void rest_http_authorised(struct rest_req *req);

/** Stop accepting, call req->gone of all that wait, finish answers, close; @p done once, later. */
void rest_http_close(struct rest_http *http, void (*done)(void *data), void *data);

/** Has rest_http_close() begun? */
bool rest_http_closing(const struct rest_http *http);

/** After done, or when it never got a client. NULL is allowed. @return NULL */
struct rest_http *rest_http_free(struct rest_http *http);

struct rest_http_stats {
    uint64_t requests, connections, refused; /**< refused: accepting paused at the maximum */
    uint32_t open, waiting;
};
void rest_http_stats(const struct rest_http *http, struct rest_http_stats *ret);
