/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/fuzz/fuzz_client_hello.c
 * @brief A datagram that may be a ClientHello: parsing, cookie check, and the answer.
 */
#include <string.h>

#include "coap/dtls_hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void inside(const uint8_t *data, size_t len, struct dtls_bytes b)
{
    dr_assert(b.len == 0 || (b.p >= data && b.p + b.len <= data + len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct dtls_crypto *c;
    static const uint8_t key[32] = {1}, addr[18] = {2};
    struct dtls_hello h;
    uint8_t out[DTLS_HELLO_VERIFY_LEN];

    if (c == NULL && dtls_crypto_new(&c) != DR_OK) {
        return 0;
    }
    if (dtls_hello_parse(data, len, &h) != DR_OK) {
        return 0;
    }
    dr_assert(dtls_hello_is(data, len));
    inside(data, len, (struct dtls_bytes){h.random, 32});
    inside(data, len, h.session_id);
    inside(data, len, h.cookie);
    inside(data, len, h.suites);
    inside(data, len, h.compressions);
    inside(data, len, h.extensions);
    inside(data, len, h.ticket);
    dr_assert(!dtls_cookie_ok(c, key, &h, addr, sizeof addr, 0)); /* nobody guesses it */
    dr_assert(dtls_hello_verify_make(c, key, &h, addr, sizeof addr, 0, out) == sizeof out);
    dr_assert(sizeof out < len);
    h.cookie = (struct dtls_bytes){out + sizeof out - DTLS_COOKIE_LEN, DTLS_COOKIE_LEN};
    dr_assert(dtls_cookie_ok(c, key, &h, addr, sizeof addr, 0));
    return 0;
}
