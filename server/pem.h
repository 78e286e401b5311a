/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  server/pem.h
 * @brief Certificates of a PEM file as DER.
 *
 * Layer: server, pure.  Threads: reentrant.  Memory: one block, free() it.
 * Limits: SRV_PEM_CERTS_MAX.  Security: only the armour is read here; OpenSSL judges the content.
 * Spec: RFC7468#2.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define SRV_PEM_CERTS_MAX 256

struct srv_der {
    const uint8_t *bytes; /**< inside of @c block of the list */
    size_t len;
};
struct srv_der_list {
    struct srv_der certs[SRV_PEM_CERTS_MAX];
    size_t count;
    uint8_t *block; /**< owned */
};

/**
 * Take every CERTIFICATE block of @p text; other text and blocks are skipped.
 * @retval DR_ERR_PROTO  no certificate, an end line is missing, or bad base64
 * @retval DR_ERR_LIMIT  over SRV_PEM_CERTS_MAX
 * @retval DR_ERR_NOMEM
 */
DR_CHECK dr_err_t srv_pem_certs(const char *text, size_t len, struct srv_der_list *ret,
                                struct dr_errinfo *reterr);
