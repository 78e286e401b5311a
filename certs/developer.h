/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  certs/developer.h
 * @brief The C file that a developer compiles into a Pelion client.
 *
 * Layer: certs, pure.  Threads: reentrant.  Memory: writes into the caller's buffer.
 * Limits: CERT_DEVELOPER_FILE_MAX.  Security: the text holds a private key: the caller wipes it.
 * Spec: Pelion client credentials (symbols of mbed_cloud_dev_credentials.c).
 */
#pragma once

#include "base/buf.h"

#define CERT_DEVELOPER_FILE_MAX 65536

struct cert_developer {
    const char *endpoint;   /**< CN of the certificate */
    const char *account_id; /**< 32 hex digits */
    const char *uri;        /**< "coaps://host:port?aid=…" */
    struct dr_bytes device_der;
    struct dr_bytes key_pkcs8;
    struct dr_bytes bootstrap_root_der;
    struct dr_bytes server_root_der;
};

/** Append the file. Texts are escaped as C strings. Errors stay in @p out. */
void cert_developer_file(const struct cert_developer *d, struct dr_dynbuf *out);
