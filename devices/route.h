/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  devices/route.h
 * @brief Requests of devices for other parts of the server (/fw, /est …), on the association that
 * they have already.
 *
 * Layer: devices.  Threads: handlers and every function with a struct dev_route_to run on the loop
 * of its home; routes are added before the first request and only read afterwards, by all loops.
 * Memory: a table is plain memory of its owner; nothing is kept for a request.
 * Limits: DEV_ROUTES_MAX; bodies of requests as the engine assembles them (body_max).
 * Security: the sender of each request is who the credential says, never who the message says; what
 * a handler gives is its own decision.  Spec: RFC7252#5.10.1, RFC7959.
 *
 * A server with an engine of its own (bootstrap) has its own struct dev_routes and one home for
 * each engine, and calls dev_routes_run() from its request callback; handlers cannot tell the
 * difference.
 *
 * A handler answers once, in the call or later. What takes longer than a moment leaves the shard:
 * copy req->to into a message, post it, work elsewhere, post back to to.home->loop and answer
 * there:
 *
 *     static void on_est(void *ctx, const struct dev_route_req *req)
 *     {
 *         struct job *job = calloc(1, sizeof *job);
 *         if (job == NULL || !job_take(job, req)) {
 *             free(job);
 *             dev_route_later(&req->to, 5);
 *             return;
 *         }
 *         job->to = req->to;
 *         loop_post(ctx_loop(ctx), &job->msg, job_on_control);  … then
 *         loop_post(job->to.home->loop, &job->msg, job_back);   … there dev_route_answer()
 *     }
 *
 * The engine sends an empty ACK after 1 s, repeats nothing that is under way, and drops an answer
 * whose peer has gone. A request that is never answered holds one of the peer's exchanges.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "coap/engine.h"

struct dev_core;
struct loop;

#define DEV_ROUTES_MAX       16
#define DEV_ROUTE_PREFIX_MAX 31

/** An engine and its loop. Lives as long as its owner, which is longer than the loop. */
struct dev_route_home {
    struct loop *loop;
    unsigned number;          /**< of the shard; of another owner's engine: behind all shards */
    struct cx_engine *engine; /**< NULL: nothing is answered any more */
};

/** Where an answer goes: plain values, free to be copied and kept. */
struct dev_route_to {
    const struct dev_route_home *home;
    cx_exchange_t exchange;
};

/** One request, whole (blocks assembled) and not a duplicate. All of it is borrowed for the call,
 * but @c to. */
struct dev_route_req {
    struct dev_route_to to;
    cx_peer_t peer;
    const struct cx_pdu *pdu; /**< code, options, payload: the whole body */
    struct cx_identity id;    /**< of the association; kind CX_ID_NONE over plain CoAP */
    int64_t account;          /**< whose device it is; 0 = plain CoAP where that is not let in */
    /**
     * The device, while it is registered with this shard; 0 for one that has proved who it is but
     * is not (not yet, not any more, or with another shard): then (account, endpoint) names it.
     */
    int64_t device;
    const char *endpoint; /**< what the credential stands for, or the registered name; "" = none */
};

typedef void dev_route_fn(void *ctx, const struct dev_route_req *req);

struct dev_routes {
    struct dev_route {
        char prefix[DEV_ROUTE_PREFIX_MAX + 1];
        dev_route_fn *fn;
        void *ctx;
    } items[DEV_ROUTES_MAX];
    unsigned n;
};

/**
 * Give every request whose first path segment is @p prefix to @p fn.
 * @param prefix  "fw", without slashes; copied
 * @param ctx     borrowed for the life of the table
 * @retval DR_ERR_INVAL   empty, longer than DEV_ROUTE_PREFIX_MAX, or with a slash
 * @retval DR_ERR_EXISTS  "rd", "dp", or there already
 * @retval DR_ERR_LIMIT   DEV_ROUTES_MAX
 */
DR_CHECK dr_err_t dev_routes_add(struct dev_routes *routes, const char *prefix, dev_route_fn *fn,
                                 void *ctx);
/** False: there is no such route, and nothing was called. */
bool dev_routes_run(const struct dev_routes *routes, const struct dev_route_req *req);

/** dev_routes_add() for the devices of @p core. On control, before dev_core_start(). */
DR_CHECK dr_err_t dev_core_route(struct dev_core *core, const char *prefix, dev_route_fn *fn,
                                 void *ctx);

/** @p reply is borrowed for the call. Its body (cx_reply.body) is served by block, without a copy:
 * the handler is called for every block that a device asks for. */
void dev_route_answer(const struct dev_route_to *to, const struct cx_reply *reply);
/** A bare code: 4.04 … */
void dev_route_refuse(const struct dev_route_to *to, uint8_t code);
/** 5.03 with Max-Age: come again in @p seconds. */
void dev_route_later(const struct dev_route_to *to, uint32_t seconds);
/** No answer: the device repeats its request. */
void dev_route_forget(const struct dev_route_to *to);

/**
 * A segment of the path of @p pdu, counted from 0; the first one is the prefix.
 * @return false  there is no such segment
 */
bool dev_route_segment(const struct cx_pdu *pdu, unsigned i, struct cx_opt *ret);
