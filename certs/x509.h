/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  certs/x509.h
 * @brief What is written in a certificate; PEM armour on and off.
 *
 * Layer: certs, pure.  Threads: reentrant.  Memory: results in the caller's structs.
 * Limits: CERT_*_MAX.  Security: certificates come from outside: strict DER, one certificate and
 * nothing behind it.  Spec: RFC5280#4, RFC7468.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "certs/key.h"

/** A certificate that devices have to hold (their buffer). spec: pelion-device (1,024 bytes) */
#define CERT_DEVICE_DER_MAX 1024
/** Any other certificate. */
#define CERT_DER_MAX        4096
/** A PEM text of one certificate of CERT_DER_MAX, with NUL. */
#define CERT_PEM_MAX        6144
/** Text of a distinguished name, with NUL. */
#define CERT_DN_MAX         512
#define CERT_NAME_MAX       64 /* CN, OU, L: characters. spec: RFC5280#A.1 ub-common-name */
#define CERT_SERIAL_MAX     20
/** Certificates of one PEM file. */
#define CERT_CHAIN_FILE_MAX 16

struct cert_info {
    char subject[CERT_DN_MAX]; /**< "CN=a,OU=b,L=c": RFC 2253 */
    char issuer[CERT_DN_MAX];
    char cn[CERT_NAME_MAX + 1]; /**< "" = none, more than one, or not usable */
    char ou[CERT_NAME_MAX + 1];
    char l[CERT_NAME_MAX + 1];
    char serial[2 * CERT_SERIAL_MAX + 1]; /**< hex */
    int64_t not_before_ms, not_after_ms;  /**< unix time */
    uint8_t fingerprint[CERT_SHA256_LEN]; /**< of the DER */
    uint8_t key_hash[CERT_SHA256_LEN];    /**< of the SubjectPublicKeyInfo */
    bool ca;                              /**< basicConstraints say so */
    bool self_issued;                     /**< subject = issuer */
    bool p256;                            /**< key on P-256 */
};

/**
 * @retval DR_ERR_PROTO      no certificate, or bytes behind it
 * @retval DR_ERR_TOO_LARGE  over CERT_DER_MAX
 */
DR_CHECK dr_err_t cert_info_read(struct dr_bytes der, struct cert_info *ret);

/**
 * One certificate out of an upload: PEM, base64 of DER, or DER.
 * @param out  room for CERT_DER_MAX
 * @retval DR_ERR_PROTO      none, or more than one
 * @retval DR_ERR_TOO_LARGE
 */
DR_CHECK dr_err_t cert_upload_read(const char *text, size_t len, uint8_t out[CERT_DER_MAX],
                                   size_t *ret_len);

/**
 * Every certificate of a PEM text, in its order; other blocks are skipped.
 * @param fn  borrowed bytes; what it returns (not DR_OK) ends the walk
 * @retval DR_ERR_PROTO  none, a broken armour
 * @retval DR_ERR_LIMIT  over @p max certificates
 */
DR_CHECK dr_err_t cert_pem_each(const char *text, size_t len, size_t max,
                                dr_err_t (*fn)(void *data, struct dr_bytes der), void *data);

/** PEM and a NUL. @return length; 0 = no room */
size_t cert_pem_write(struct dr_bytes der, char *out, size_t cap);
/** "AB:CD:…" of @p len bytes and a NUL; room for 3 * len. */
void cert_hex_colons(const uint8_t *bytes, size_t len, char *out);
