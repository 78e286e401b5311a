/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  db/seal.h
 * @brief Secrets in rows are sealed by functions that the owner of the master key provides.
 *
 * Layer: db.  Threads: seal on the store thread, unseal on any of the store's threads.
 * Memory: the caller's buffers.  Limits: DB_SEAL_EXTRA_MAX.
 * Security: the label binds a secret to its row.  Spec: none.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/** Most bytes that sealing may add. */
#define DB_SEAL_EXTRA_MAX 64

struct db_seal {
    dr_err_t (*seal)(void *data, struct dr_bytes label, struct dr_bytes plain, uint8_t *out,
                     size_t cap, size_t *ret_len);
    /** DR_ERR_CRYPTO: not sealed with this master key for that label. */
    dr_err_t (*unseal)(void *data, struct dr_bytes label, struct dr_bytes sealed, uint8_t *out,
                       size_t cap, size_t *ret_len);
    void *data;
};
