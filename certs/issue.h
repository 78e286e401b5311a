/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  certs/issue.h
 * @brief Certificates of devices and servers, signed by an authority of ours.
 *
 * Layer: certs.  Threads: any; about 50 us of signing, so the pool where it is many.
 * Memory: results in the caller's struct.  Limits: CERT_DEVICE_DER_MAX.
 * Security: the subject is the caller's, never a request's; 1970 .. 9999 unless said otherwise.
 * Spec: RFC5280#4, RFC7925#4.4.
 */
#pragma once

#include "certs/authority.h"
#include "certs/csr.h"

enum cert_use {
    CERT_USE_DEVICE, /**< digitalSignature, clientAuth */
    CERT_USE_SERVER, /**< digitalSignature, serverAuth */
};

/** All borrowed for the call. */
struct cert_subject {
    const char *cn; /**< endpoint name (server: its name), 1..CERT_NAME_MAX characters of UTF-8 */
    const char *ou; /**< account id, 32 hex digits; NULL = none */
    const char *l;  /**< device id, 32 hex digits; NULL = none */
};

struct cert_issued {
    uint8_t der[CERT_DEVICE_DER_MAX];
    size_t len;
    char serial[2 * CERT_SERIAL_MAX + 1];
    uint8_t fingerprint[CERT_SHA256_LEN];
    int64_t not_after_ms;
};

/**
 * Sign a certificate for the public key @p point.
 * @param not_after_ms  unix time; 0 = without end (9999-12-31)
 * @retval DR_ERR_RANGE   a name is empty, too long or not UTF-8
 * @retval DR_ERR_CRYPTO  @p point is not on P-256
 * @retval DR_ERR_NOMEM, DR_ERR_INTERNAL
 */
DR_CHECK dr_err_t cert_issue_point(const struct cert_authority *a, const struct cert_subject *s,
                                   enum cert_use use, const uint8_t point[CERT_POINT_LEN],
                                   int64_t not_after_ms, struct cert_issued *ret);
/** The same for a key of ours. */
DR_CHECK dr_err_t cert_issue_key(const struct cert_authority *a, const struct cert_subject *s,
                                 enum cert_use use, const struct cert_key *key,
                                 int64_t not_after_ms, struct cert_issued *ret);
/** The same for the key of a request that was read by cert_csr_read. */
DR_CHECK dr_err_t cert_issue_csr(const struct cert_authority *a, const struct cert_subject *s,
                                 enum cert_use use, const struct cert_csr *csr,
                                 int64_t not_after_ms, struct cert_issued *ret);
