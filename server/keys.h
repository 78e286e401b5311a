/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  server/keys.h
 * @brief The secrets of a data folder together: master key, authorities, server certificates.
 *
 * Layer: server.  Threads: open and close on the main thread, sealing on any.  Memory: one block.
 * Limits: none.  Security: see certs/install.h and certs/vault.h.  Spec: none.
 */
#pragma once

#include <stdbool.h>

#include "certs/install.h"
#include "db/seal.h"

struct srv_keys {
    struct cert_vault *vault;     /**< owned */
    struct cert_install *install; /**< owned; NULL until srv_keys_install */
};

/**
 * The master key of DIR/keys (or of the system).
 * @param make  make it if there is none
 * @retval as cert_vault_open
 */
DR_CHECK dr_err_t srv_keys_open(const char *dir, bool make, struct srv_keys *ret,
                                struct dr_errinfo *reterr);
/** Authorities and server certificates; what is missing is made. @retval as cert_install_open */
DR_CHECK dr_err_t srv_keys_install(struct srv_keys *k, const char *dir, struct dr_errinfo *reterr);
/** Zeroed is fine. */
void srv_keys_close(struct srv_keys *k);
/** Functions for db_config.seal; good as long as @p k is open. */
struct db_seal srv_keys_seal(const struct srv_keys *k);
/** Certificate and private key of one of our servers as PEM. @param key  wipe it */
DR_CHECK dr_err_t srv_keys_pem(const struct srv_keys *k, enum cert_server which,
                               char cert[CERT_PEM_MAX], char key[CERT_KEY_PEM_MAX]);
