/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  coap/dtls_hello.h
 * @brief ClientHello before any state: pure parsing, stateless cookie, HelloVerifyRequest.
 *
 * Layer: coap, pure but for the cookie's HMAC.  Threads: reentrant.  Memory: never allocates; views
 * borrow from the datagram.  Limits: one record, one unfragmented message; cookies of
 * DTLS_COOKIE_LEN.  Security: input is hostile and never asserted on; the answer is never larger
 * than the question.  Spec: RFC6347#4.2.1, RFC5246#7.4.1.2.
 */
#pragma once

#include "coap/dtls_record.h"

#define DTLS_COOKIE_LEN       17 /**< number of the key's period, 16 bytes of HMAC */
#define DTLS_COOKIE_PERIOD_MS 60000
#define DTLS_HELLO_VERIFY_LEN (DTLS_HEADER_LEN + 12 + 3 + DTLS_COOKIE_LEN)

struct dtls_bytes {
    const uint8_t *p;
    size_t len;
};

struct dtls_hello {
    uint64_t rec_seq;      /**< of the record */
    uint16_t msg_seq;      /**< of the handshake message: 0, or 1 after a HelloVerifyRequest */
    uint16_t version;      /**< client_version, 0xfefd = DTLS 1.2 */
    const uint8_t *random; /**< 32 bytes */
    struct dtls_bytes session_id, cookie, suites, compressions, extensions;
    struct dtls_bytes ticket; /**< session_ticket extension, empty if there is none */
    bool has_psk;             /**< offers a PSK suite of ours */
    bool has_ecdsa;           /**< offers an ECDHE-ECDSA suite of ours */
};

/** Whether a datagram begins with an epoch-0 handshake record whose first message is a
 * ClientHello. */
bool dtls_hello_is(const uint8_t *datagram, size_t len);

/**
 * Parse the ClientHello at the start of a datagram.
 * @retval DR_ERR_NOT_FOUND    something else
 * @retval DR_ERR_UNSUPPORTED  fragmented, or older than DTLS 1.2
 * @retval DR_ERR_PROTO        malformed
 */
DR_CHECK dr_err_t dtls_hello_parse(const uint8_t *datagram, size_t len, struct dtls_hello *ret);

/**
 * Whether the cookie is ours, for this address and this hello, and at most two periods old.
 * @param addr     what identifies the peer: address and port bytes, at most 64 bytes
 * @param wall_ms  any clock that all users of the key share
 */
bool dtls_cookie_ok(struct dtls_crypto *c, const uint8_t key[32], const struct dtls_hello *hello,
                    const uint8_t *addr, size_t addr_len, uint64_t wall_ms);

/**
 * Make the HelloVerifyRequest datagram that answers @p hello.
 * @param out  DTLS_HELLO_VERIFY_LEN bytes
 * @return bytes to send, 0 if it failed
 */
size_t dtls_hello_verify_make(struct dtls_crypto *c, const uint8_t key[32],
                              const struct dtls_hello *hello, const uint8_t *addr, size_t addr_len,
                              uint64_t wall_ms, uint8_t out[DTLS_HELLO_VERIFY_LEN]);
