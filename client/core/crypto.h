/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  client/core/crypto.h
 * @brief The two primitives of an update: SHA-256 and the check of an ES256 signature.
 *
 * Layer: client/core.  Threads: one loop.
 * Memory: none of ours; Debian's Mbed TLS binary takes its big numbers from the C library's heap.
 * Limits: P-256 only.  Security: the key is public.  Spec: RFC 8152 8.1 (raw r || s).
 */
#pragma once

#include "client/core/common.h"

#define CL_HASH_LEN 32
#define CL_SIG_LEN  64
#define CL_PUB_LEN  65 /**< 04 || x || y */

/** Who may sign. Tests put a cheap check here; the device uses cl_verify_es256(). */
struct cl_trust {
    bool (*verify)(const struct cl_trust *trust, const uint8_t hash[CL_HASH_LEN],
                   const uint8_t sig[CL_SIG_LEN]);
    uint8_t pub[CL_PUB_LEN];
};

void cl_sha256(const void *data, size_t len, uint8_t ret[CL_HASH_LEN]);

/** SHA-256 of flash from @p addr. @retval CL_ERR_IO  a read failed */
CL_CHECK cl_err_t cl_sha256_flash(uint32_t addr, uint32_t len, uint8_t ret[CL_HASH_LEN]);

/** SHA-256 of @p head, then flash, then @p tail. @retval CL_ERR_IO  a read failed */
CL_CHECK cl_err_t cl_sha256_parts(const void *head, size_t head_len, uint32_t addr, uint32_t len,
                                  const void *tail, size_t tail_len, uint8_t ret[CL_HASH_LEN]);

/** cl_trust.verify with trust->pub: the raw signature r || s over a SHA-256 value. */
bool cl_verify_es256(const struct cl_trust *trust, const uint8_t hash[CL_HASH_LEN],
                     const uint8_t sig[CL_SIG_LEN]);

/** The same through PSA, for programs that called psa_crypto_init(). */
bool cl_verify_psa(const struct cl_trust *trust, const uint8_t hash[CL_HASH_LEN],
                   const uint8_t sig[CL_SIG_LEN]);
