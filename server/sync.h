/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  server/sync.h
 * @brief Database jobs that the caller waits for: before the loops run, and in the offline
 * commands.
 *
 * Layer: server.  Threads: main thread, no loop running on it.  Memory: none kept.  Limits: none.
 * Security: none.  Spec: none.
 */
#pragma once

#include "base/err.h"
#include "db/db.h"

/** Run @p run on the store thread and wait for the commit; what db_submit() or done would give. */
DR_CHECK dr_err_t srv_write_sync(struct db *db, dr_err_t (*run)(struct db_writer *w, void *data),
                                 void *data);
/** Run @p fn on a reading thread and wait for it. */
DR_CHECK dr_err_t srv_read_sync(struct db *db, dr_err_t (*fn)(struct db_reader *r, void *data),
                                void *data);
