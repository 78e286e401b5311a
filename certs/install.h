/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  certs/install.h
 * @brief The authorities of this installation and the certificates of its servers.
 *
 * Layer: certs.  Threads: open and renew on one thread; everything else from any, what is borrowed
 * stays until the installation is freed.  Memory: some 20 KiB.  Limits: none.
 * Security: keys are files of mode 0600, sealed under the master key.  Spec: none.
 *
 *     KEYS/master.key             unless the system hands the master key over (certs/vault.h)
 *     KEYS/bootstrap-root.crt     its certificate is compiled into devices: never made anew
 *     KEYS/server-root.crt        devices get it at bootstrap (0/x/4)
 *     KEYS/device-issuer.crt      signs what we give to devices
 *     KEYS/developer-issuer.crt   signs developer certificates
 *     KEYS/bootstrap-server.crt, KEYS/lwm2m-server.crt   our own, by the two roots
 *     KEYS/….key                  the private key of each, sealed
 */
#pragma once

#include <stdbool.h>

#include "certs/issue.h"
#include "certs/vault.h"

enum cert_role {
    CERT_BOOTSTRAP_ROOT,
    CERT_SERVER_ROOT,
    CERT_DEVICE_ISSUER,
    CERT_DEVELOPER_ISSUER,
    CERT_N_ROLES,
};
enum cert_server { CERT_SERVER_BOOTSTRAP, CERT_SERVER_LWM2M, CERT_N_SERVERS };

/** Tag of CERT_DEVICE_ISSUER among the anchors: below every id. */
#define CERT_TAG_DEVICE_ISSUER 1U

struct cert_install;

/**
 * Read what is there and make what is missing.
 * @param vault  borrowed for the life of the installation
 * @param made   NULL, or told what was made
 * @retval DR_ERR_CRYPTO   a key was sealed under another master key
 * @retval DR_ERR_CORRUPT  a file is damaged; @p reterr names it
 * @retval DR_ERR_READONLY, DR_ERR_NOSPACE, DR_ERR_IO
 */
DR_CHECK dr_err_t cert_install_open(const char *keys_dir, const struct cert_vault *vault,
                                    struct cert_install **ret, bool *made,
                                    struct dr_errinfo *reterr);
/** NULL is fine. Returns NULL. */
struct cert_install *cert_install_free(struct cert_install *in);

/** Borrowed. */
const struct cert_authority *cert_install_authority(const struct cert_install *in,
                                                    enum cert_role role);
const char *cert_role_name(enum cert_role role); /**< "bootstrap-root" */

/** Certificate of one of our servers (it alone: devices have the root). */
struct dr_bytes cert_install_server_der(const struct cert_install *in, enum cert_server which);
const struct cert_key *cert_install_server_key(const struct cert_install *in,
                                               enum cert_server which);
const char *cert_server_name(enum cert_server which); /**< "bootstrap-server" */
/** A new key and certificate for one of our servers. Whoever has borrowed the old ones reads them
 * again. */
DR_CHECK dr_err_t cert_install_renew(struct cert_install *in, enum cert_server which,
                                     struct dr_errinfo *reterr);
