/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  certs/certs_priv.h
 * @brief OpenSSL handles behind the public structs, and small steps that several files share.
 *
 * Layer: certs, private.  Threads: as of the callers.  Memory: none of its own.
 * Limits: none.  Security: every OpenSSL error queue is emptied before returning.  Spec: none.
 */
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "certs/authority.h"

struct cert_key {
    EVP_PKEY *pkey; /**< owned */
};

struct cert_authority {
    X509 *cert;           /**< owned */
    struct cert_key *key; /**< owned */
    uint8_t *der;         /**< owned, OpenSSL's */
    size_t der_len;
    struct cert_info info;
};

/** Whole input, one object. NULL (and an empty error queue) otherwise. */
X509 *certs_x509_parse(struct dr_bytes der);
/** Take ownership of @p pkey when it is on P-256, free it otherwise. */
DR_CHECK dr_err_t certs_key_adopt(EVP_PKEY *pkey, struct cert_key **ret);
bool certs_is_p256(const EVP_PKEY *pkey);
/** The one entry of @p nid as UTF-8; "" if there is none, several, a NUL inside, or too long. */
void certs_name_text(const X509_NAME *name, int nid, char out[CERT_NAME_MAX + 1]);
/** SHA-256 of the SubjectPublicKeyInfo. */
bool certs_key_hash(const X509_PUBKEY *spki, uint8_t out[CERT_SHA256_LEN]);
/** The public key of a point. NULL if it is not on P-256. */
EVP_PKEY *certs_pkey_of_point(const uint8_t point[CERT_POINT_LEN]);
/** 16 random bytes as a positive serial. */
bool certs_serial_set(X509 *cert);
/** @p ms unix time; 0 = 9999-12-31T23:59:59Z. notBefore is 1970-01-01T00:00:00Z. */
bool certs_validity_set(X509 *cert, int64_t ms);
bool certs_extension_add(X509 *cert, X509 *issuer, int nid, const char *value);
/** DR_ERR_RANGE unless 1..CERT_NAME_MAX characters of UTF-8 without controls. */
DR_CHECK dr_err_t certs_text_check(const char *text);
bool certs_name_add(X509_NAME *name, int nid, const char *text);
