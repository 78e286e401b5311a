/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/bulk.h
 * @brief Enrolments of many devices at once: the list of a CSV file, worked off in small commits.
 *
 * Layer: rest.  Threads: the control loop; commits on the store thread, reports in the pool.
 * Memory: the list and the reports of one job while it runs.  Limits: REST_BULK_*_MAX.
 * Security: files are hostile and never asserted on; an identity is checked before it is used.
 * Spec: Pelion Device Enrollment REST contract.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "rest/bulk_csv.h"

struct rest;

/** Jobs under way. */
#define REST_BULKS_MAX       16
/** Octets of one report. */
#define REST_BULK_REPORT_MAX (128UL * 1024 * 1024)

/** One list; a heap block. */
struct rest_bulk;

/** A job for the list in @p csv, owned by the caller until rest_bulk_start or rest_bulk_free.
 * @retval DR_ERR_NOMEM */
DR_CHECK dr_err_t rest_bulk_read(struct dr_bytes csv, struct rest_bulk **ret);
struct rest_bulk *rest_bulk_free(struct rest_bulk *b);
size_t rest_bulk_count(const struct rest_bulk *b);
/** Work it off; its row is in the database. Takes @p b. */
void rest_bulk_start(struct rest *rest, struct rest_bulk *b, int64_t account, int64_t id,
                     bool deletes);
/** Path of a report of a finished job. @retval DR_ERR_RANGE */
DR_CHECK dr_err_t rest_bulk_report_path(const struct rest *rest, int64_t id, bool errors_only,
                                        char *buf, size_t cap);
