/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  certs/authority.h
 * @brief A certificate authority: a P-256 key and its certificate.
 *
 * Layer: certs.  Threads: immutable once made; issuing from any thread (better the pool: signing
 * takes some 50 us).  Memory: heap.  Limits: none.  Security: the key never leaves but by
 * cert_authority_key.  Spec: RFC5280#4.1; validity from 1970 so that a device whose clock is 0
 * accepts it.
 */
#pragma once

#include "certs/key.h"
#include "certs/x509.h"

struct cert_authority;

/**
 * A self-signed root: CN = @p cn, O = Drover, 1970-01-01 .. 9999-12-31, CA, ecdsa-with-SHA256, a
 * random positive serial of 16 bytes.
 * @retval DR_ERR_RANGE  @p cn is empty or over CERT_NAME_MAX
 */
DR_CHECK dr_err_t cert_authority_create(const char *cn, struct cert_authority **ret);
/**
 * From its parts. @p key is taken on success.
 * @retval DR_ERR_PROTO   no certificate
 * @retval DR_ERR_CRYPTO  the key does not belong to the certificate, or it is no authority's
 */
DR_CHECK dr_err_t cert_authority_load(struct dr_bytes der, struct cert_key *key,
                                      struct cert_authority **ret);
/** NULL is fine. Returns NULL. */
struct cert_authority *cert_authority_free(struct cert_authority *a);

/** Its certificate, borrowed. */
struct dr_bytes cert_authority_der(const struct cert_authority *a);
/** Its key, borrowed: to be written to a key file. */
const struct cert_key *cert_authority_key(const struct cert_authority *a);
/** What is in its certificate, borrowed. */
const struct cert_info *cert_authority_info(const struct cert_authority *a);
