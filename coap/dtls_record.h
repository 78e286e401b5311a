/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  coap/dtls_record.h
 * @brief DTLS 1.2 record layer: headers, splitting of datagrams, replay window, AEAD in place.
 *
 * Layer: coap, no I/O.  Threads: a struct dtls_crypto belongs to one thread at a time; all else is
 * reentrant.  Memory: only dtls_crypto_new allocates; records are opened and sealed in the caller's
 * buffer.  Limits: DTLS_PLAIN_MAX.  Security: input is hostile and never asserted on; a record that
 * does not verify leaves the window untouched.
 * Spec: RFC6347#4.1, RFC5246#6.2.3.3, RFC5288, RFC6655, RFC7251.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define DTLS_HEADER_LEN    13
#define DTLS_NONCE_LEN     8 /**< explicit part of the nonce, in front of the ciphertext */
#define DTLS_SEAL_HEAD     (DTLS_HEADER_LEN + DTLS_NONCE_LEN) /**< room before the plaintext */
#define DTLS_SEAL_TAIL_MAX 16 /**< room behind the plaintext (8 with CCM-8) */
#define DTLS_PLAIN_MAX     16384
#define DTLS_KEY_MAX       32
#define DTLS_SALT_LEN      4
#define DTLS_SEQ_MAX       (((uint64_t)1 << 48) - 1)
#define DTLS_MTU_DEFAULT   1152 /**< bytes of a datagram that we send unless the path is known */

enum dtls_type {
    DTLS_TYPE_CCS = 20,
    DTLS_TYPE_ALERT = 21,
    DTLS_TYPE_HANDSHAKE = 22,
    DTLS_TYPE_DATA = 23,
    DTLS_TYPE_CID = 25,
};

/** AEAD of an association; the key exchange does not matter here. */
enum dtls_suite {
    DTLS_SUITE_NONE,
    DTLS_AES128_CCM8,
    DTLS_AES128_CCM,
    DTLS_AES128_GCM,
    DTLS_AES256_GCM,
    DTLS_SUITES, /**< count */
};

/** One record inside a datagram; borrows from it. */
struct dtls_record {
    uint8_t type;
    uint16_t epoch;
    uint64_t seq;     /**< 48 bits */
    uint8_t *whole;   /**< header and body */
    size_t whole_len; /**< DTLS_HEADER_LEN + len */
    uint8_t *body;    /**< what the header's length covers; never NULL */
    size_t len;
};

/**
 * Take the next record of a datagram.
 * @param datagram  borrowed
 * @param off       in/out: where the next record starts, 0 at first; untouched when false
 * @return false at the end, or when the rest is no whole DTLS 1.x record (the rest is to be
 * dropped)
 */
bool dtls_record_next(uint8_t *datagram, size_t len, size_t *off, struct dtls_record *ret);

/** Write a header. @p body_len is what follows it. */
void dtls_header_write(uint8_t out[DTLS_HEADER_LEN], uint8_t type, uint16_t epoch, uint64_t seq,
                       size_t body_len);

/** Sliding window of 64 sequence numbers. All zero = nothing seen. spec: RFC6347#4.1.2.6 */
struct dtls_window {
    uint64_t next; /**< highest number seen + 1; 0 = none */
    uint64_t mask; /**< bit i: number next - 1 - i was seen */
};
/** Whether @p seq is neither seen nor left of the window. */
bool dtls_window_is_new(const struct dtls_window *w, uint64_t seq);
/** Mark @p seq, which verified. @return true if it is the newest so far */
bool dtls_window_mark(struct dtls_window *w, uint64_t seq);

/** Cipher contexts of one thread: nothing in here belongs to an association. */
struct dtls_crypto;
/** @retval DR_ERR_NOMEM; DR_ERR_UNSUPPORTED when the crypto library lacks an algorithm */
DR_CHECK dr_err_t dtls_crypto_new(struct dtls_crypto **ret);
struct dtls_crypto *dtls_crypto_free(struct dtls_crypto *c);

/** One direction of an association for the functions below. */
struct dtls_key {
    enum dtls_suite suite;
    const uint8_t *key;  /**< dtls_suite_key_len bytes */
    const uint8_t *salt; /**< DTLS_SALT_LEN bytes: implicit part of the nonce */
};
size_t dtls_suite_key_len(enum dtls_suite suite);
size_t dtls_suite_tag_len(enum dtls_suite suite);

/**
 * Verify and decrypt a record in place.
 * @param ret_plain, ret_len  plaintext inside the record; written on success only
 * @retval DR_ERR_PROTO   too short or too long for the suite
 * @retval DR_ERR_CRYPTO  does not verify; the body is garbage afterwards
 */
DR_CHECK dr_err_t dtls_record_open(struct dtls_crypto *c, const struct dtls_key *k,
                                   const struct dtls_record *rec, uint8_t **ret_plain,
                                   size_t *ret_len);

/**
 * Encrypt in place and write header, explicit nonce and tag around the plaintext.
 * @param buf    plaintext at buf + DTLS_SEAL_HEAD, DTLS_SEAL_TAIL_MAX bytes of room behind it
 * @param len    bytes of plaintext, at most DTLS_PLAIN_MAX
 * @param seq    must never have been used with this key
 * @param nonce  explicit nonce; must never have been used with this key
 * @param ret    bytes of the record
 * @retval DR_ERR_INTERNAL  the crypto library failed
 */
DR_CHECK dr_err_t dtls_record_seal(struct dtls_crypto *c, const struct dtls_key *k, uint8_t type,
                                   uint16_t epoch, uint64_t seq, uint64_t nonce, uint8_t *buf,
                                   size_t len, size_t *ret);

/**
 * HMAC-SHA256 with the thread's context. @param out  32 bytes
 * @retval DR_ERR_INTERNAL
 */
DR_CHECK dr_err_t dtls_hmac(struct dtls_crypto *c, const uint8_t key[32], const uint8_t *in,
                            size_t len, uint8_t out[32]);

/**
 * The TLS 1.2 PRF.
 * @param digest  "SHA256" or "SHA384"
 * @retval DR_ERR_INTERNAL
 */
DR_CHECK dr_err_t dtls_prf(struct dtls_crypto *c, const char *digest, const uint8_t *secret,
                           size_t secret_len, const char *label, const uint8_t *seed,
                           size_t seed_len, uint8_t *out, size_t out_len);
