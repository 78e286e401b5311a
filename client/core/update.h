/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  client/core/update.h
 * @brief The update objects (5, 14, 10252, 10255) and the engine behind them, on a client.
 *
 * Layer: client/core, between client and fw.  Threads: one loop.  Memory: the caller's struct only.
 * Limits: those of fw.h; one download at a time.
 * Security: payloads come over the association with the server (GET /fw with the address in
 * Proxy-Uri, or the path of an address of that server), or by what the program adds; wherever they
 * come from, what counts is the signature.
 * Spec: LwM2M 1.1 core E.6 (object 5); the reference client's objects 10252, 10255 and 14.
 */
#pragma once

#include "client/core/client.h"
#include "client/core/fw.h"

/** Another way to fetch payloads, of the port. */
struct cl_fetcher {
    const char *scheme; /**< "http://" */
    /** As cl_fw_ops.fetch; cl_update_bytes() and cl_update_end() follow, later. */
    cl_err_t (*start)(void *ctx, const char *uri, size_t uri_len, uint32_t offset);
    /** Hurry: cl_update_end() comes soon. */
    void (*stop)(void *ctx);
    void *ctx;
};

struct cl_update {
    struct cl_client *client;
    struct cl_fw fw;
    struct cl_fw_ops ops;
    const struct cl_fetcher *fetcher; /**< borrowed, or NULL */
    struct cl_obj firmware, component, package, support;
    struct cl_call call;
    bool kicked;
    bool by_fetcher; /**< the fetch under way is the port's */
    char path[CL_PAYLOAD_URI_MAX + 1], uri[CL_PAYLOAD_URI_MAX + 1];
    uint8_t manifest[CL_MANIFEST_MAX]; /**< as it comes in */
    size_t manifest_len;
    char text[CL_VERSION_MAX];
};

/**
 * Read the store, add the objects. Before cl_start().
 * @param fetcher  borrowed, or NULL
 * @retval CL_ERR_IO, CL_ERR_SPACE, CL_ERR_STATE  as cl_fw_init() and cl_object_add()
 */
CL_CHECK cl_err_t cl_update_init(struct cl_update *up, struct cl_client *client,
                                 const struct cl_fw_config *config,
                                 const struct cl_fetcher *fetcher);
/** Who decides about updates; before cl_start(), otherwise all are accepted. */
void cl_update_on_ask(struct cl_update *up,
                      enum cl_fw_answer (*ask)(void *ctx, enum cl_fw_ask what, uint32_t version,
                                               uint32_t priority));
/** The client reached this state: call it from cl_hooks.state. */
void cl_update_state(struct cl_update *up, enum cl_state state);

/** Of the fetcher: bytes in order. Anything but CL_OK: no more are wanted. */
CL_CHECK cl_err_t cl_update_bytes(struct cl_update *up, uint32_t offset, const uint8_t *data,
                                  size_t len);
/** Of the fetcher, once: as cl_fw_fetched(). */
void cl_update_end(struct cl_update *up, cl_err_t err);
