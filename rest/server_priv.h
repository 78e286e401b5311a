/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/server_priv.h
 * @brief What server.c (connections) and req.c (requests) share.
 *
 * Layer: rest.  Threads: the loop of the server.  Memory: see the two files.
 * Limits: rest/server.h.  Security: see there.  Spec: none.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <microhttpd.h>
#include <openssl/ssl.h>

#include "base/list.h"
#include "base/loop.h"
#include "rest/req.h"
#include "rest/server.h"
#include "rest/tls.h"

struct rest_conn {
    struct dr_list node;
    struct rest_http *http;
    int fd;                    /**< the parser's end: TCP, or one of a pair; the parser closes it */
    struct rest_tls *tls;      /**< NULL without TLS or once it is over */
    bool ready;                /**< its TLS handshake was seen to be done */
    bool parsing;              /**< the parser has it (and has not closed it) */
    uint64_t deadline_ms;      /**< 0 = none: a handler has it */
    struct rest_req *upgraded; /**< the request that it left HTTP with */
    struct dr_list flush;      /**< requests whose answer is still in the TLS pump */
};

struct rest_http {
    struct rest_http_config config;
    struct loop *loop;
    char name[16];
    char address[REST_ADDRESS_MAX];
    int fd;
    struct loop_fd accept_watch, daemon_watch;
    bool accepting, running, kick, closing;
    struct MHD_Daemon *daemon;
    SSL_CTX *tls;
    struct loop_idle idle;
    struct loop_timer sweep, timer;
    struct dr_list conns;
    struct dr_list reqs; /**< all requests */
    struct rest_http_stats stats;
    uint32_t suspended, answering, upgraded;
    uint64_t close_at_ms;
    void (*close_done)(void *data);
    void *close_data;
};

/** The parser has something to do: run it at the end of this turn. */
void rest_http_kick(struct rest_http *http);

/* callbacks of libmicrohttpd in req.c */
void *rest_req_begin(void *cls, const char *uri, struct MHD_Connection *mhd);
enum MHD_Result rest_req_access(void *cls, struct MHD_Connection *mhd, const char *url,
                                const char *method, const char *version, const char *upload_data,
                                size_t *upload_size, void **con_cls);
void rest_req_completed(void *cls, struct MHD_Connection *mhd, void **con_cls,
                        enum MHD_RequestTerminationCode toe);

/** Answers that have left (or, @p ok false, never will). */
void rest_req_flushed(struct rest_conn *conn, bool ok);

/** Once or more. */
void rest_req_metrics_register(void);

/** Call req->gone if the handler wants to know. */
void rest_req_gone(struct rest_req *req);
