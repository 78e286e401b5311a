/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  certs/vault.h
 * @brief Secrets at rest: sealed under a master key that lies outside of the database.
 *
 * Layer: certs.  Threads: sealing and opening from any thread.  Memory: 32 bytes of key, wiped when
 * freed.  Limits: CERT_SEAL_EXTRA.  Security: AES-256-GCM with a random nonce; the label (what the
 * secret is of) is authenticated, so that sealed bytes cannot be moved to another row.
 * Spec: NIST SP 800-38D.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define CERT_MASTER_LEN 32
/** Bytes that sealing adds: format, nonce, tag. */
#define CERT_SEAL_EXTRA (1 + 12 + 16)

struct cert_vault;

/** From the 32 bytes of the master key (copied). */
DR_CHECK dr_err_t cert_vault_new(const uint8_t key[CERT_MASTER_LEN], struct cert_vault **ret);
/**
 * From $CREDENTIALS_DIRECTORY/drover-master, else from @p keys_dir/master.key (64 hex digits).
 * @param make  make master.key (0600) when there is neither
 * @retval DR_ERR_NOT_FOUND  neither is there
 * @retval DR_ERR_CORRUPT    not 32 bytes in hex
 * @retval DR_ERR_READONLY, DR_ERR_NOSPACE, DR_ERR_IO
 */
DR_CHECK dr_err_t cert_vault_open(const char *keys_dir, bool make, struct cert_vault **ret,
                                  struct dr_errinfo *reterr);
/** NULL is fine. Returns NULL. */
struct cert_vault *cert_vault_free(struct cert_vault *v);

/**
 * @param label  authenticated, not stored
 * @param out    room for plain.len + CERT_SEAL_EXTRA
 */
DR_CHECK dr_err_t cert_vault_seal(const struct cert_vault *v, struct dr_bytes label,
                                  struct dr_bytes plain, uint8_t *out, size_t cap, size_t *ret_len);
/** @retval DR_ERR_CRYPTO  not sealed by this key for this label */
DR_CHECK dr_err_t cert_vault_unseal(const struct cert_vault *v, struct dr_bytes label,
                                    struct dr_bytes sealed, uint8_t *out, size_t cap,
                                    size_t *ret_len);
