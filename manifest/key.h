/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  manifest/key.h
 * @brief Update keys: P-256 keys and certificates, ECDSA over SHA-256, signature forms, digests.
 *
 * Layer: manifest.  Threads: a key may be used by one thread at a time.  Memory: keys are heap
 * objects of the caller.  Limits: P-256 only; MANIFEST_KEY_FILE_MAX.  Security: input is hostile
 * and never asserted on; a private key leaves only through manifest_key_private_pem().
 * Spec: FIPS186-4, RFC5915, RFC5480.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define MANIFEST_DIGEST_LEN   32
#define MANIFEST_SIG_LEN      64 /**< raw r || s */
#define MANIFEST_SIG_DER_MAX  72
#define MANIFEST_POINT_LEN    65 /**< 04 || X || Y */
#define MANIFEST_KEY_FILE_MAX (64UL * 1024)

struct manifest_key;

/** A new key pair. */
DR_CHECK dr_err_t manifest_key_new(struct manifest_key **ret);

/**
 * An unencrypted private key in PEM (SEC1 or PKCS#8).
 * @param reterr  may be NULL; never holds key material
 * @retval DR_ERR_PROTO        no such key in it
 * @retval DR_ERR_UNSUPPORTED  not on P-256
 */
DR_CHECK dr_err_t manifest_key_load(struct dr_bytes pem, struct manifest_key **ret,
                                    struct dr_errinfo *reterr);

/**
 * A public key: certificate (PEM or DER), SubjectPublicKeyInfo (PEM or DER) or the 65-octet point.
 * From a certificate the key also knows its fingerprint. Errors as manifest_key_load().
 */
DR_CHECK dr_err_t manifest_key_load_public(struct dr_bytes in, struct manifest_key **ret,
                                           struct dr_errinfo *reterr);

/** NULL is allowed. Returns NULL. */
struct manifest_key *manifest_key_free(struct manifest_key *key);

/** SHA-256 of the certificate that the key came from, or NULL. */
const uint8_t *manifest_key_fingerprint(const struct manifest_key *key);
bool manifest_key_is_private(const struct manifest_key *key);
/** Same public point? */
bool manifest_key_same(const struct manifest_key *a, const struct manifest_key *b);
void manifest_key_point(const struct manifest_key *key, uint8_t ret[MANIFEST_POINT_LEN]);

/** The private key as SEC1 PEM ("EC PRIVATE KEY"), appended to @p ret; the caller wipes it. */
DR_CHECK dr_err_t manifest_key_private_pem(const struct manifest_key *key, struct dr_dynbuf *ret);

/**
 * A self-signed certificate of the key (digitalSignature, codeSigning, SAN dns:localhost).
 * @param name     common name, at most 64 octets
 * @param days     how long it is valid from now on
 * @param now      unix seconds
 * @param ret_der  DER is appended
 */
DR_CHECK dr_err_t manifest_key_certificate(const struct manifest_key *key, const char *name,
                                           unsigned days, int64_t now, struct dr_dynbuf *ret_der);

/** Subject key identifier of the certificate in @p der, or of the key if it names none: 20 octets.
 */
DR_CHECK dr_err_t manifest_key_ski(const struct manifest_key *key, uint8_t ret[20]);

/** Raw signature over the SHA-256 of @p tbs. DR_ERR_DENIED when the key is public only. */
DR_CHECK dr_err_t manifest_key_sign(const struct manifest_key *key, struct dr_bytes tbs,
                                    uint8_t ret[MANIFEST_SIG_LEN]);
DR_CHECK dr_err_t manifest_key_sign_digest(const struct manifest_key *key,
                                           const uint8_t digest[MANIFEST_DIGEST_LEN],
                                           uint8_t ret[MANIFEST_SIG_LEN]);

bool manifest_key_verify(const struct manifest_key *key, struct dr_bytes tbs,
                         const uint8_t sig[MANIFEST_SIG_LEN]);
bool manifest_key_verify_digest(const struct manifest_key *key,
                                const uint8_t digest[MANIFEST_DIGEST_LEN],
                                const uint8_t sig[MANIFEST_SIG_LEN]);

/** DER SEQUENCE { r, s } of a raw signature; returns its length. */
size_t manifest_sig_to_der(const uint8_t sig[MANIFEST_SIG_LEN], uint8_t ret[MANIFEST_SIG_DER_MAX]);

/** Strict; r and s are non-zero and at most 32 octets. @retval DR_ERR_PROTO not that. */
DR_CHECK dr_err_t manifest_sig_from_der(struct dr_bytes der, uint8_t ret[MANIFEST_SIG_LEN]);

/** Who signs: a key, an external tool, a hardware module. */
struct manifest_signer {
    /**
     * Raw signature over SHA-256(@p tbs).
     * @param tbs  the octets to be signed, borrowed
     */
    dr_err_t (*sign)(void *data, struct dr_bytes tbs, uint8_t ret[MANIFEST_SIG_LEN]);
    void *data;
};

/** A signer that uses @p key, which has to stay. */
struct manifest_signer manifest_key_signer(const struct manifest_key *key);

void manifest_sha256(struct dr_bytes in, uint8_t ret[MANIFEST_DIGEST_LEN]);

/** SHA-256 in pieces. */
struct manifest_hash;
DR_CHECK dr_err_t manifest_hash_new(struct manifest_hash **ret);
void manifest_hash_add(struct manifest_hash *h, struct dr_bytes in);
/** The digest; the object is freed. */
void manifest_hash_end(struct manifest_hash *h, uint8_t ret[MANIFEST_DIGEST_LEN]);
