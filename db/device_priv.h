/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  db/device_priv.h
 * @brief Counters of the directory, kept by whatever changes a device.
 *
 * Layer: db, private.  Threads: store thread.  Memory: none.  Limits: none.  Security: none.
 * Spec: none.
 */
#pragma once

#include "db/db_priv.h"
#include "db/device.h"

/** @p n devices more (or fewer) in all and in @p state. */
DR_CHECK dr_err_t device_count(struct db_writer *w, int64_t account, enum db_device_state state,
                               int64_t n);
DR_CHECK dr_err_t device_count_state(struct db_writer *w, int64_t account,
                                     enum db_device_state state, int64_t n);
/** The value of a text facet changed; either may be "". */
DR_CHECK dr_err_t device_count_moved(struct db_writer *w, int64_t account, enum db_facet facet,
                                     const char *from, const char *to);
/** Note a change of state in the event log. */
DR_CHECK dr_err_t device_event(struct db_writer *w, int64_t id, int64_t account, int64_t device,
                               const char *type, const char *description, const char *changes);
