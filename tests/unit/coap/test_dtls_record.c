/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/dtls_record.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

static struct dtls_crypto *crypto;

static void setup(void)
{
    ck_assert_int_eq(dtls_crypto_new(&crypto), DR_OK);
}

static void teardown(void)
{
    crypto = dtls_crypto_free(crypto);
}

/* ---- headers ---- */

static const struct {
    const char *why; /* spec: RFC6347#4.1 */
    uint8_t in[16];
    size_t len;
    bool ok;
    uint8_t type;
    uint16_t epoch;
    uint64_t seq;
    size_t body;
} headers[] = {
    {"empty datagram", {0}, 0, false, 0, 0, 0, 0},
    {"half a header", {22, 0xfe, 0xfd, 0, 0, 0}, 6, false, 0, 0, 0, 0},
    {"no body", {22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 13, true, 22, 0, 0, 0},
    {"three bytes",
     {23, 0xfe, 0xfd, 0, 1, 1, 2, 3, 4, 5, 6, 0, 3},
     16,
     true,
     23,
     1,
     0x010203040506,
     3},
    {"old version in a hello",
     {22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 9, 0, 1},
     14,
     true,
     22,
     0,
     9,
     1},
    {"length one over", {23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 0, 0, 4}, 16, false, 0, 0, 0, 0},
    {"TLS version", {22, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 13, false, 0, 0, 0, 0},
    {"type 19", {19, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 13, false, 0, 0, 0, 0},
    {"type 24 (heartbeat)", {24, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 13, false, 0, 0, 0, 0},
    {"type 25 has another header",
     {25, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0},
     13,
     false,
     0,
     0,
     0,
     0},
};

START_TEST(a_header_is_read_or_refused)
{
    struct dtls_record rec = {.type = 99};
    size_t off = 0;
    uint8_t *p = malloc(headers[_i].len + 1);
    memcpy(p, headers[_i].in, headers[_i].len);
    bool ok = dtls_record_next(p, headers[_i].len, &off, &rec);

    ck_assert_msg(ok == headers[_i].ok, "%s", headers[_i].why);
    if (ok) {
        ck_assert_uint_eq(rec.type, headers[_i].type);
        ck_assert_uint_eq(rec.epoch, headers[_i].epoch);
        ck_assert_uint_eq(rec.seq, headers[_i].seq);
        ck_assert_uint_eq(rec.len, headers[_i].body);
        ck_assert_ptr_eq(rec.body, p + DTLS_HEADER_LEN);
        ck_assert_uint_eq(off, headers[_i].len);
        ck_assert(!dtls_record_next(p, headers[_i].len, &off, &rec));
    } else {
        ck_assert_uint_eq(rec.type, 99);
        ck_assert_uint_eq(off, 0);
    }
    free(p);
}
END_TEST

START_TEST(a_datagram_is_split_until_the_first_bad_record)
{
    uint8_t d[3 * DTLS_HEADER_LEN + 5];
    struct dtls_record rec;
    size_t off = 0;

    dtls_header_write(d, 22, 0, 7, 3);
    dtls_header_write(d + 16, 20, 0, 8, 1);
    dtls_header_write(d + 30, 22, 1, 0, 4000); /* longer than what is left */
    ck_assert(dtls_record_next(d, sizeof d, &off, &rec));
    ck_assert_uint_eq(rec.seq, 7);
    ck_assert(dtls_record_next(d, sizeof d, &off, &rec));
    ck_assert_uint_eq(rec.type, 20);
    ck_assert(!dtls_record_next(d, sizeof d, &off, &rec));
    ck_assert_uint_eq(off, 30);
}
END_TEST

/* ---- window ---- */

static const struct {
    const char *why; /* spec: RFC6347#4.1.2.6 */
    uint64_t seen[4];
    size_t n;
    uint64_t seq;
    bool is_new;
} windows[] = {
    {"nothing seen", {0}, 0, 0, true},
    {"nothing seen, far", {0}, 0, DTLS_SEQ_MAX, true},
    {"the same", {0}, 1, 0, false},
    {"the next", {0}, 1, 1, true},
    {"a gap", {0, 5}, 2, 3, true},
    {"the gap's end", {0, 5}, 2, 5, false},
    {"the gap's begin", {0, 5}, 2, 0, false},
    {"left edge inside", {100}, 1, 37, true},
    {"left of the window", {100}, 1, 36, false},
    {"a jump forgets what was seen but is still inside", {10, 40}, 2, 10, false},
    {"a jump of 64 clears the window", {10, 74}, 2, 11, true},
    {"a jump of 64 leaves the old one outside", {10, 74}, 2, 10, false},
    {"a jump of thousands", {10, 5000}, 2, 4990, true},
    {"late one is remembered", {50, 20}, 2, 20, false},
    {"late one does not move the window", {50, 20}, 2, 51, true},
    {"the last number", {DTLS_SEQ_MAX}, 1, DTLS_SEQ_MAX, false},
    {"before the last", {DTLS_SEQ_MAX}, 1, DTLS_SEQ_MAX - 1, true},
};

START_TEST(the_window_knows_what_is_new)
{
    struct dtls_window w = {0};

    for (size_t i = 0; i < windows[_i].n; i++) {
        ck_assert(dtls_window_is_new(&w, windows[_i].seen[i]));
        (void)dtls_window_mark(&w, windows[_i].seen[i]);
    }
    ck_assert_msg(dtls_window_is_new(&w, windows[_i].seq) == windows[_i].is_new, "%s",
                  windows[_i].why);
}
END_TEST

START_TEST(the_window_agrees_with_a_set)
{
    static bool seen[4096];
    struct dtls_window w = {0};
    uint64_t top = 0;
    uint32_t r = 12345;

    for (int i = 0; i < 20000; i++) {
        r = r * 1664525 + 1013904223;
        int64_t at = (int64_t)top + (int64_t)(r >> 24) % 90 - 70;
        if (at < 0 || at >= 4096) {
            continue;
        }
        uint64_t seq = (uint64_t)at;
        bool want = !seen[seq] && seq + 64 >= top;
        ck_assert_int_eq(dtls_window_is_new(&w, seq), want);
        if (want) {
            ck_assert_int_eq(dtls_window_mark(&w, seq), seq >= top);
            seen[seq] = true;
            top = seq >= top ? seq + 1 : top;
        }
    }
    ck_assert_uint_gt(top, 1000);
}
END_TEST

/* ---- AEAD against another path ---- */

static void ecb(const uint8_t *key, const uint8_t in[16], uint8_t out[16])
{
    EVP_CIPHER_CTX *x = EVP_CIPHER_CTX_new();
    int n;
    EVP_EncryptInit_ex(x, EVP_aes_128_ecb(), NULL, key, NULL);
    EVP_CIPHER_CTX_set_padding(x, 0);
    EVP_EncryptUpdate(x, out, &n, in, 16);
    EVP_CIPHER_CTX_free(x);
}

static void xor16(uint8_t *a, const uint8_t *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        a[i] ^= b[i];
    }
}

/* CCM by its definition over single blocks, nonce of 12 bytes. spec: RFC3610#2 */
static void ccm(const uint8_t *key, const uint8_t nonce[12], const uint8_t aad[13],
                const uint8_t *in, size_t len, size_t tag_len, uint8_t *out, uint8_t *tag)
{
    uint8_t b[16] = {0}, mac[16], s[16], a[16] = {2};

    b[0] = (uint8_t)(0x40 | (tag_len - 2) / 2 << 3 | 2);
    memcpy(b + 1, nonce, 12);
    b[14] = (uint8_t)(len >> 8);
    b[15] = (uint8_t)len;
    ecb(key, b, mac);
    memset(b, 0, 16);
    b[1] = 13;
    memcpy(b + 2, aad, 13);
    xor16(mac, b, 16);
    ecb(key, mac, mac);
    for (size_t i = 0; i < len; i += 16) {
        xor16(mac, in + i, len - i < 16 ? len - i : 16);
        ecb(key, mac, mac);
    }
    memcpy(a + 1, nonce, 12);
    ecb(key, a, s);
    memcpy(tag, mac, tag_len);
    xor16(tag, s, tag_len);
    memmove(out, in, len);
    for (size_t i = 0, n = 1; i < len; i += 16, n++) {
        a[14] = (uint8_t)(n >> 8);
        a[15] = (uint8_t)n;
        ecb(key, a, s);
        xor16(out + i, s, len - i < 16 ? len - i : 16);
    }
}

static void gcm(const EVP_CIPHER *cipher, const uint8_t *key, const uint8_t nonce[12],
                const uint8_t aad[13], const uint8_t *in, size_t len, uint8_t *out, uint8_t *tag)
{
    EVP_CIPHER_CTX *x = EVP_CIPHER_CTX_new();
    int n;
    EVP_EncryptInit_ex(x, cipher, NULL, NULL, NULL);
    EVP_CIPHER_CTX_ctrl(x, EVP_CTRL_GCM_SET_IVLEN, 12, NULL);
    EVP_EncryptInit_ex(x, NULL, NULL, key, nonce);
    EVP_EncryptUpdate(x, NULL, &n, aad, 13);
    EVP_EncryptUpdate(x, out, &n, in, (int)len);
    EVP_EncryptFinal_ex(x, out + n, &n);
    EVP_CIPHER_CTX_ctrl(x, EVP_CTRL_GCM_GET_TAG, 16, tag);
    EVP_CIPHER_CTX_free(x);
}

static const size_t lengths[] = {0, 1, 2, 15, 16, 17, 30, 31, 32, 33, 255, 1024, 1151};

START_TEST(a_record_is_what_another_implementation_makes)
{
    enum dtls_suite suite = (enum dtls_suite)(_i / (int)DR_ARRAY_LEN(lengths) + 1);
    size_t len = lengths[_i % (int)DR_ARRAY_LEN(lengths)];
    uint8_t key[32], salt[4] = {9, 8, 7, 6}, plain[1200], want[1200 + 16];
    uint8_t buf[DTLS_SEAL_HEAD + 1200 + DTLS_SEAL_TAIL_MAX];
    size_t tag_len = dtls_suite_tag_len(suite), n = 0;

    for (size_t i = 0; i < sizeof key; i++) {
        key[i] = (uint8_t)(i * 7 + len);
    }
    for (size_t i = 0; i < sizeof plain; i++) {
        plain[i] = (uint8_t)(i * 13 + 1);
    }
    struct dtls_key k = {.suite = suite, .key = key, .salt = salt};
    memcpy(buf + DTLS_SEAL_HEAD, plain, len);
    ck_assert_int_eq(
        dtls_record_seal(crypto, &k, 23, 1, 0x010203040506, 0x1122334455667788, buf, len, &n),
        DR_OK);
    ck_assert_uint_eq(n, DTLS_SEAL_HEAD + len + tag_len);

    const uint8_t nonce[12] = {9, 8, 7, 6, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88};
    const uint8_t aad[13] = {0,           1, 1, 2, 3, 4, 5, 6, 23, 0xfe, 0xfd, (uint8_t)(len >> 8),
                             (uint8_t)len};
    if (suite == DTLS_AES128_CCM8 || suite == DTLS_AES128_CCM) {
        ccm(key, nonce, aad, plain, len, tag_len, want, want + len);
    } else {
        gcm(suite == DTLS_AES128_GCM ? EVP_aes_128_gcm() : EVP_aes_256_gcm(), key, nonce, aad,
            plain, len, want, want + len);
    }
    const uint8_t head[] = {23, 0xfe, 0xfd, 0, 1, 1, 2, 3, 4, 5, 6};
    ck_assert_mem_eq(buf, head, sizeof head);
    ck_assert_mem_eq(buf + DTLS_HEADER_LEN, nonce + 4, 8);
    ck_assert_mem_eq(buf + DTLS_SEAL_HEAD, want, len + tag_len);

    struct dtls_record rec;
    size_t off = 0, got = 0;
    uint8_t *p = NULL;
    ck_assert(dtls_record_next(buf, n, &off, &rec));
    ck_assert_uint_eq(off, n);
    ck_assert_int_eq(dtls_record_open(crypto, &k, &rec, &p, &got), DR_OK);
    ck_assert_uint_eq(got, len);
    ck_assert(len == 0 || memcmp(p, plain, len) == 0);
}
END_TEST

START_TEST(every_byte_counts)
{
    enum dtls_suite suite = (enum dtls_suite)(_i + 1);
    uint8_t key[32] = {1}, salt[4] = {2}, sealed[128], buf[128];
    struct dtls_key k = {.suite = suite, .key = key, .salt = salt};
    size_t n = 0;

    memcpy(sealed + DTLS_SEAL_HEAD, "some text", 9);
    ck_assert_int_eq(dtls_record_seal(crypto, &k, 23, 1, 5, 6, sealed, 9, &n), DR_OK);
    for (size_t i = 0; i < n; i++) {
        struct dtls_record rec;
        uint8_t *p = NULL;
        size_t off = 0, len = 77;
        memcpy(buf, sealed, n);
        buf[i] ^= 1;
        if (!dtls_record_next(buf, n, &off, &rec)) {
            continue; /* the version, or a longer record */
        }
        ck_assert_int_ne(dtls_record_open(crypto, &k, &rec, &p, &len), DR_OK);
        ck_assert_ptr_null(p);
        ck_assert_uint_eq(len, 77);
    }
    /* and the right one still opens: nothing of the failures stays in the contexts */
    struct dtls_record rec;
    uint8_t *p;
    size_t off = 0, len;
    ck_assert(dtls_record_next(sealed, n, &off, &rec));
    ck_assert_int_eq(dtls_record_open(crypto, &k, &rec, &p, &len), DR_OK);
    ck_assert_mem_eq(p, "some text", 9);
}
END_TEST

START_TEST(a_record_too_short_for_its_suite_is_refused)
{
    enum dtls_suite suite = (enum dtls_suite)(_i + 1);
    uint8_t key[32] = {1}, salt[4] = {2}, buf[64] = {0};
    struct dtls_key k = {.suite = suite, .key = key, .salt = salt};
    struct dtls_record rec;
    uint8_t *p;
    size_t off = 0, len, body = DTLS_NONCE_LEN + dtls_suite_tag_len(suite) - 1;

    dtls_header_write(buf, 23, 1, 0, body);
    ck_assert(dtls_record_next(buf, DTLS_HEADER_LEN + body, &off, &rec));
    ck_assert_int_eq(dtls_record_open(crypto, &k, &rec, &p, &len), DR_ERR_PROTO);
}
END_TEST

/* ---- HMAC and PRF ---- */

START_TEST(hmac_gives_the_published_value)
{
    /* spec: RFC4231#4.2; a key shorter than a block is as good as one filled up with zeros */
    uint8_t key[32] = {0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b,
                       0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b};
    static const uint8_t want[32] = {0xb0, 0x34, 0x4c, 0x61, 0xd8, 0xdb, 0x38, 0x53,
                                     0x5c, 0xa8, 0xaf, 0xce, 0xaf, 0x0b, 0xf1, 0x2b,
                                     0x88, 0x1d, 0xc2, 0x00, 0xc9, 0x83, 0x3d, 0xa7,
                                     0x26, 0xe9, 0x37, 0x6c, 0x2e, 0x32, 0xcf, 0xf7};
    uint8_t out[32];

    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(dtls_hmac(crypto, key, (const uint8_t *)"Hi There", 8, out), DR_OK);
        ck_assert_mem_eq(out, want, 32);
    }
}
END_TEST

START_TEST(prf_gives_the_published_value)
{
    /* the test vector for SHA-256 that went round the TLS working group */
    static const uint8_t secret[16] = {0x9b, 0xbe, 0x43, 0x6b, 0xa9, 0x40, 0xf0, 0x17,
                                       0xb1, 0x76, 0x52, 0x84, 0x9a, 0x71, 0xdb, 0x35};
    static const uint8_t seed[16] = {0xa0, 0xba, 0x9f, 0x93, 0x6c, 0xda, 0x31, 0x18,
                                     0x27, 0xa6, 0xf7, 0x96, 0xff, 0xd5, 0x19, 0x8c};
    static const uint8_t want[32] = {0xe3, 0xf2, 0x29, 0xba, 0x72, 0x7b, 0xe1, 0x7b,
                                     0x8d, 0x12, 0x26, 0x20, 0x55, 0x7c, 0xd4, 0x53,
                                     0xc2, 0xaa, 0xb2, 0x1d, 0x07, 0xc3, 0xd4, 0x95,
                                     0x32, 0x9b, 0x52, 0xd4, 0xe6, 0x1e, 0xdb, 0x5a};
    uint8_t out[100];

    ck_assert_int_eq(dtls_prf(crypto, "SHA256", secret, sizeof secret, "test label", seed,
                              sizeof seed, out, sizeof out),
                     DR_OK);
    ck_assert_mem_eq(out, want, sizeof want);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("dtls_record");
    TCase *t = tcase_create("header");
    tcase_add_loop_test(t, a_header_is_read_or_refused, 0, DR_ARRAY_LEN(headers));
    tcase_add_test(t, a_datagram_is_split_until_the_first_bad_record);
    suite_add_tcase(s, t);
    t = tcase_create("window");
    tcase_add_loop_test(t, the_window_knows_what_is_new, 0, DR_ARRAY_LEN(windows));
    tcase_add_test(t, the_window_agrees_with_a_set);
    suite_add_tcase(s, t);
    t = tcase_create("aead");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, a_record_is_what_another_implementation_makes, 0,
                        4 * DR_ARRAY_LEN(lengths));
    tcase_add_loop_test(t, every_byte_counts, 0, 4);
    tcase_add_loop_test(t, a_record_too_short_for_its_suite_is_refused, 0, 4);
    tcase_add_test(t, hmac_gives_the_published_value);
    tcase_add_test(t, prf_gives_the_published_value);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed;
}
