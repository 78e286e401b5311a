/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  certs/csr.h
 * @brief Certificate signing requests: strict PKCS#10.
 *
 * Layer: certs, pure.  Threads: reentrant.  Memory: the result is the caller's, without pointers.
 * Limits: CERT_CSR_MAX.  Security: hostile input; nothing of a request but its key is ever copied
 * into a certificate, the names serve to compare.  Spec: RFC2986#4, RFC7030#4.2.1.
 */
#pragma once

#include "certs/x509.h"

#define CERT_CSR_MAX 2048

struct cert_csr {
    uint8_t point[CERT_POINT_LEN];
    uint8_t key_hash[CERT_SHA256_LEN]; /**< of the SubjectPublicKeyInfo */
    char cn[CERT_NAME_MAX + 1];        /**< "" = absent (or more than one) */
    char ou[CERT_NAME_MAX + 1];
    char l[CERT_NAME_MAX + 1];
};

/**
 * Parse and check the proof of possession.
 * @retval DR_ERR_PROTO        no PKCS#10 in DER, or bytes behind it
 * @retval DR_ERR_TOO_LARGE    over CERT_CSR_MAX
 * @retval DR_ERR_UNSUPPORTED  key not on P-256, or not signed by ECDSA with SHA-256
 * @retval DR_ERR_CRYPTO       the signature is not by that key
 */
DR_CHECK dr_err_t cert_csr_read(struct dr_bytes der, struct cert_csr *ret);
