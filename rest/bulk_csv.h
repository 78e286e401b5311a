/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/bulk_csv.h
 * @brief The list in a CSV file of enrolments.
 *
 * Layer: rest, pure.  Threads: reentrant.  Memory: two blocks, about the size of the file.
 * Limits: REST_BULK_FILE_MAX, REST_BULK_ENTRY_MAX.  Security: files are hostile and never asserted
 * on.  Spec: Pelion Device Enrollment REST contract.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/** Octets of an uploaded file. */
#define REST_BULK_FILE_MAX  (10UL * 1024 * 1024)
/** Characters that are kept of an entry. */
#define REST_BULK_ENTRY_MAX 128

struct rest_bulk_list {
    char *text;       /**< owned: all entries, each with its NUL */
    uint32_t *starts; /**< owned */
    size_t n, cap;
};

/**
 * Read the file: the first line says nothing, the first column counts, entries may be quoted, lines
 * end in LF, CR or both, empty ones are skipped.
 * @param ret  to be ended by rest_bulk_list_fini
 * @retval DR_ERR_NOMEM
 */
DR_CHECK dr_err_t rest_bulk_list_read(struct dr_bytes csv, struct rest_bulk_list *ret);
/** Zeroed is fine. */
void rest_bulk_list_fini(struct rest_bulk_list *list);
/** Entry @p i as it was given, cut at REST_BULK_ENTRY_MAX. */
const char *rest_bulk_list_entry(const struct rest_bulk_list *list, size_t i);
