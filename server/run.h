/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  server/run.h
 * @brief The running server: loops, threads and modules put together, start and stop.
 *
 * Layer: server.  Threads: called on the main thread, which becomes the control loop.
 * Memory: all given back before it returns.  Limits: those of the configuration.
 * Security: key files are read once, at start.  Spec: docs/architecture.md.
 */
#pragma once

#include "base/err.h"
#include "server/config.h"

/** Exit codes: a contract with scripts. */
enum srv_exit {
    SRV_EXIT_OK = 0,
    SRV_EXIT_FAILED = 1,
    SRV_EXIT_USAGE = 2,  /**< configuration or usage */
    SRV_EXIT_FOLDER = 3, /**< data folder unusable */
    SRV_EXIT_IN_USE = 4, /**< address in use */
};

/**
 * Serve until SIGTERM or SIGINT; SIGHUP reads the configuration again through @p reread.
 * @param config   borrowed; reloadable keys change
 * @param reread   fill a fresh configuration from all sources; an error keeps the old one
 * @param reterr   why it ended, unless SRV_EXIT_OK
 */
int srv_run(struct srv_config *config,
            dr_err_t (*reread)(void *data, struct srv_config *ret, struct dr_errinfo *reterr),
            void *data, struct dr_errinfo *reterr);
