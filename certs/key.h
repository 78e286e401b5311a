/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  certs/key.h
 * @brief One P-256 key pair, and its encodings.
 *
 * Layer: certs.  Threads: immutable once made; reading and signing from any thread.  Memory: heap,
 * freed by cert_key_free.  Limits: CERT_KEY_DER_MAX.  Security: private bytes are written only into
 * buffers of the caller, who wipes them; the key itself is wiped when freed.
 * Spec: RFC5915 (SEC1), RFC5958 (PKCS#8), FIPS 186-4 D.1.2.3.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/** Room for either DER form of a private key. */
#define CERT_KEY_DER_MAX 256
/** Room for the PEM of PKCS#8, with NUL. */
#define CERT_KEY_PEM_MAX 512
#define CERT_POINT_LEN   65 /* 04 | X | Y */
#define CERT_SHA256_LEN  32

struct cert_key;

/** A new key. @retval DR_ERR_NOMEM, DR_ERR_INTERNAL */
DR_CHECK dr_err_t cert_key_generate(struct cert_key **ret);
/**
 * Read SEC1 or PKCS#8 DER.
 * @retval DR_ERR_PROTO        neither, or bytes behind it
 * @retval DR_ERR_UNSUPPORTED  not on P-256
 */
DR_CHECK dr_err_t cert_key_from_der(struct dr_bytes der, struct cert_key **ret);
/** Read the first private key of a PEM text (SEC1 or PKCS#8, not encrypted). Errors as above. */
DR_CHECK dr_err_t cert_key_from_pem(const char *pem, size_t len, struct cert_key **ret);
/** NULL is fine. Returns NULL. */
struct cert_key *cert_key_free(struct cert_key *key);

/** RFC5915, 121 bytes. @return length; 0 = no room */
size_t cert_key_sec1(const struct cert_key *key, uint8_t *out, size_t cap);
/** RFC5958, 138 bytes. @return length; 0 = no room */
size_t cert_key_pkcs8(const struct cert_key *key, uint8_t *out, size_t cap);
/** PEM of PKCS#8 and a NUL. @return length; 0 = no room */
size_t cert_key_pem(const struct cert_key *key, char *out, size_t cap);
/** The public point, uncompressed. */
void cert_key_point(const struct cert_key *key, uint8_t out[CERT_POINT_LEN]);
