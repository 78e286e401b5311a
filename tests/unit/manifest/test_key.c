/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/manifest/files.h"

#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/text.h"
#include "tests/unit/run.h"

static struct manifest_key *key;

static void set_up(void)
{
    ck_assert_int_eq(manifest_key_new(&key), DR_OK);
}

static void tear_down(void)
{
    key = manifest_key_free(key);
}

START_TEST(a_signature_verifies_for_its_octets_and_key_only)
{
    uint8_t sig[MANIFEST_SIG_LEN];
    struct manifest_key *other = NULL;

    ck_assert_int_eq(manifest_key_new(&other), DR_OK);
    ck_assert_int_eq(manifest_key_sign(key, dr_bytes_str("text"), sig), DR_OK);
    ck_assert(manifest_key_verify(key, dr_bytes_str("text"), sig));
    ck_assert(!manifest_key_verify(key, dr_bytes_str("texT"), sig));
    ck_assert(!manifest_key_verify(other, dr_bytes_str("text"), sig));
    for (size_t i = 0; i < sizeof sig; i++) {
        sig[i] ^= 1;
        ck_assert(!manifest_key_verify(key, dr_bytes_str("text"), sig));
        sig[i] ^= 1;
    }
    memset(sig, 0, sizeof sig);
    ck_assert(!manifest_key_verify(key, dr_bytes_str("text"), sig));
    memset(sig, 0xff, sizeof sig);
    ck_assert(!manifest_key_verify(key, dr_bytes_str("text"), sig));
    (void)manifest_key_free(other);
}
END_TEST

START_TEST(raw_and_der_signatures_are_the_same)
{
    uint8_t raw[MANIFEST_SIG_LEN], der[MANIFEST_SIG_DER_MAX], back[MANIFEST_SIG_LEN];
    static const uint8_t tops[][2] = {{0, 1}, {0, 0x80}, {0x7f, 0xff}, {0x80, 0}, {0xff, 0xff}};

    for (size_t i = 0; i < DR_ARRAY_LEN(tops); i++) { /* short and long halves */
        memset(raw, 0x11, sizeof raw);
        memcpy(raw, tops[i], 2);
        memcpy(raw + 32, tops[DR_ARRAY_LEN(tops) - 1 - i], 2);
        size_t len = manifest_sig_to_der(raw, der);
        ck_assert_int_eq(manifest_sig_from_der(dr_bytes_of(der, len), back), DR_OK);
        ck_assert_mem_eq(raw, back, sizeof raw);
        for (size_t cut = 0; cut < len; cut++) {
            ck_assert_int_ne(manifest_sig_from_der(dr_bytes_of(der, cut), back), DR_OK);
        }
    }
}
END_TEST

static const struct {
    const char *why, *in;
} bad_sigs[] = {
    {"r is zero", "3006020100020101"},
    {"r is negative", "300602018002010a"},
    {"r is padded", "30070202000102010a"},
    {"octets behind s", "300602010102010100"},
    {"octets inside", "3007020101020101"
                      "00"},
    {"three numbers", "3009020101020101020101"},
    {"one number", "3003020101"},
    {"not a sequence", "0406020101020101"},
    {"r of 33 octets",
     "3026022101000000000000000000000000000000000000000000000000000000000000000102"
     "0101"},
};

START_TEST(a_der_signature_is_strict)
{
    uint8_t buf[64], sig[MANIFEST_SIG_LEN] = {0x33};
    size_t len = 0;

    ck_assert_int_eq(dr_hex_decode(bad_sigs[_i].in, strlen(bad_sigs[_i].in), buf, sizeof buf, &len),
                     DR_OK);
    ck_assert_msg(manifest_sig_from_der(dr_bytes_of(buf, len), sig) == DR_ERR_PROTO, "%s",
                  bad_sigs[_i].why);
    ck_assert_uint_eq(sig[0], 0x33);
}
END_TEST

START_TEST(a_key_survives_its_file)
{
    struct dr_dynbuf pem;
    struct manifest_key *again = NULL;
    uint8_t point[MANIFEST_POINT_LEN];

    dr_dynbuf_init(&pem, 4096);
    ck_assert_int_eq(manifest_key_private_pem(key, &pem), DR_OK);
    ck_assert_ptr_nonnull(strstr(dr_dynbuf_str(&pem), "BEGIN EC PRIVATE KEY"));
    ck_assert_int_eq(manifest_key_load(dr_dynbuf_bytes(&pem), &again, NULL), DR_OK);
    ck_assert(manifest_key_same(key, again) && manifest_key_is_private(again));
    again = manifest_key_free(again);
    /* a private key is no public one, and the other way round */
    ck_assert_int_eq(manifest_key_load_public(dr_dynbuf_bytes(&pem), &again, NULL), DR_ERR_PROTO);
    manifest_key_point(key, point);
    ck_assert_int_eq(manifest_key_load_public(dr_bytes_of(point, sizeof point), &again, NULL),
                     DR_OK);
    ck_assert(manifest_key_same(key, again) && !manifest_key_is_private(again));
    uint8_t sig[MANIFEST_SIG_LEN];
    ck_assert_int_eq(manifest_key_sign(again, dr_bytes_str("x"), sig), DR_ERR_DENIED);
    ck_assert_int_eq(manifest_key_private_pem(again, &pem), DR_ERR_DENIED);
    again = manifest_key_free(again);
    point[40] ^= 1; /* no longer on the curve */
    ck_assert_int_eq(manifest_key_load_public(dr_bytes_of(point, sizeof point), &again, NULL),
                     DR_ERR_PROTO);
    ck_assert_ptr_null(again);
    dr_dynbuf_fini(&pem);
}
END_TEST

START_TEST(a_certificate_holds_the_key_and_its_fingerprint)
{
    struct dr_dynbuf der;
    struct manifest_key *cert = NULL;
    uint8_t digest[MANIFEST_DIGEST_LEN], a[20], b[20];

    dr_dynbuf_init(&der, 4096);
    ck_assert_int_eq(manifest_key_certificate(key, "example.com", 90, 1700000000, &der), DR_OK);
    ck_assert_int_eq(manifest_key_load_public(dr_dynbuf_bytes(&der), &cert, NULL), DR_OK);
    ck_assert(manifest_key_same(key, cert));
    manifest_sha256(dr_dynbuf_bytes(&der), digest);
    ck_assert_mem_eq(manifest_key_fingerprint(cert), digest, sizeof digest);
    ck_assert_ptr_null(manifest_key_fingerprint(key));
    ck_assert_int_eq(manifest_key_ski(key, a), DR_OK);
    ck_assert_int_eq(manifest_key_ski(cert, b), DR_OK);
    ck_assert_mem_eq(a, b, sizeof a);
    cert = manifest_key_free(cert);
    /* octets behind it */
    dr_dynbuf_append_char(&der, 'x');
    ck_assert_int_eq(manifest_key_load_public(dr_dynbuf_bytes(&der), &cert, NULL), DR_ERR_PROTO);
    dr_dynbuf_fini(&der);
}
END_TEST

START_TEST(only_p256_is_taken)
{
    struct dr_errinfo info = {0};
    struct manifest_key *got = NULL;
    char *text = NULL;

    EVP_PKEY *p384 = EVP_EC_gen("P-384");
    BIO *bio = BIO_new(BIO_s_mem());
    ck_assert(PEM_write_bio_PrivateKey(bio, p384, NULL, NULL, 0, NULL, NULL) == 1);
    long len = BIO_get_mem_data(bio, &text);
    ck_assert_int_eq(manifest_key_load(dr_bytes_of(text, (size_t)len), &got, &info),
                     DR_ERR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(info.text, "P-256"));
    BIO_free(bio);
    bio = BIO_new(BIO_s_mem());
    ck_assert(PEM_write_bio_PUBKEY(bio, p384) == 1);
    len = BIO_get_mem_data(bio, &text);
    ck_assert_int_eq(manifest_key_load_public(dr_bytes_of(text, (size_t)len), &got, &info),
                     DR_ERR_UNSUPPORTED);
    ck_assert_ptr_null(got);
    BIO_free(bio);
    EVP_PKEY_free(p384);
}
END_TEST

START_TEST(garbage_is_no_key)
{
    static const char *const texts[] = {"", "x", "-----BEGIN EC PRIVATE KEY-----\n", "\x30\x80",
                                        "\x04"};
    struct manifest_key *got = NULL;

    for (size_t i = 0; i < DR_ARRAY_LEN(texts); i++) {
        ck_assert_int_eq(manifest_key_load(dr_bytes_str(texts[i]), &got, NULL), DR_ERR_PROTO);
        ck_assert_int_eq(manifest_key_load_public(dr_bytes_str(texts[i]), &got, NULL),
                         DR_ERR_PROTO);
    }
    ck_assert_ptr_null(got);
}
END_TEST

START_TEST(a_digest_in_pieces_is_the_same)
{
    struct manifest_hash *h = NULL;
    uint8_t a[MANIFEST_DIGEST_LEN], b[MANIFEST_DIGEST_LEN];

    ck_assert_int_eq(manifest_hash_new(&h), DR_OK);
    manifest_hash_add(h, dr_bytes_str("ab"));
    manifest_hash_add(h, dr_bytes_str(""));
    manifest_hash_add(h, dr_bytes_str("c"));
    manifest_hash_end(h, a);
    manifest_sha256(dr_bytes_str("abc"), b);
    ck_assert_mem_eq(a, b, sizeof a);
    ck_assert_uint_eq(a[0], 0xba); /* FIPS 180-2 example */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("manifest key");
    TCase *tc = add_case(suite, "signature");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, a_signature_verifies_for_its_octets_and_key_only);
    tcase_add_test(tc, raw_and_der_signatures_are_the_same);
    tcase_add_loop_test(tc, a_der_signature_is_strict, 0, DR_ARRAY_LEN(bad_sigs));
    tc = add_case(suite, "files");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, a_key_survives_its_file);
    tcase_add_test(tc, a_certificate_holds_the_key_and_its_fingerprint);
    tcase_add_test(tc, only_p256_is_taken);
    tcase_add_test(tc, garbage_is_no_key);
    tcase_add_test(tc, a_digest_in_pieces_is_the_same);
    return run_suite(suite);
}
