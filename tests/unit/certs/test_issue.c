/* SPDX-License-Identifier: Apache-2.0 */
/* Keys, authorities, issued certificates, requests, uploads, the developer's C file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "base/text.h"
#include "certs/developer.h"
#include "certs/issue.h"
#include "tests/unit/run.h"

#define OU "0123456789abcdef0123456789abcdef"
#define L  "fedcba9876543210fedcba9876543210"

static struct cert_authority *root(void)
{
    struct cert_authority *a = NULL;

    ck_assert_int_eq(cert_authority_create("Test root", &a), DR_OK);
    return a;
}

static struct cert_key *new_key(void)
{
    struct cert_key *key = NULL;

    ck_assert_int_eq(cert_key_generate(&key), DR_OK);
    return key;
}

/* ---- keys ---- */

START_TEST(a_key_survives_each_encoding)
{
    struct cert_key *key = new_key(), *back = NULL;
    uint8_t der[CERT_KEY_DER_MAX], point[CERT_POINT_LEN], again[CERT_POINT_LEN];
    char pem[CERT_KEY_PEM_MAX];

    cert_key_point(key, point);
    ck_assert_uint_eq(point[0], 4);
    size_t len = cert_key_sec1(key, der, sizeof der);
    ck_assert_uint_eq(len, 121);
    ck_assert_int_eq(cert_key_from_der(dr_bytes_of(der, len), &back), DR_OK);
    cert_key_point(back, again);
    ck_assert_mem_eq(point, again, sizeof point);
    back = cert_key_free(back);
    len = cert_key_pkcs8(key, der, sizeof der);
    ck_assert_uint_eq(len, 138);
    ck_assert_int_eq(cert_key_from_der(dr_bytes_of(der, len), &back), DR_OK);
    cert_key_point(back, again);
    ck_assert_mem_eq(point, again, sizeof point);
    back = cert_key_free(back);
    len = cert_key_pem(key, pem, sizeof pem);
    ck_assert_int_eq(cert_key_from_pem(pem, len, &back), DR_OK);
    cert_key_free(back);
    ck_assert_uint_eq(cert_key_pkcs8(key, der, 137), 0);
    cert_key_free(key);
}
END_TEST

START_TEST(a_key_that_is_none_is_refused)
{
    struct cert_key *key = new_key(), *back = NULL;
    uint8_t der[CERT_KEY_DER_MAX];
    size_t len = cert_key_pkcs8(key, der, sizeof der - 1);

    der[len] = 0;
    ck_assert_int_eq(cert_key_from_der(dr_bytes_of(der, len + 1), &back), DR_ERR_PROTO);
    ck_assert_int_eq(cert_key_from_der(dr_bytes_of(der, len - 1), &back), DR_ERR_PROTO);
    ck_assert_int_eq(cert_key_from_der((struct dr_bytes){0}, &back), DR_ERR_PROTO);
    ck_assert_int_eq(cert_key_from_pem("no key", 6, &back), DR_ERR_PROTO);
    EVP_PKEY *p384 = EVP_EC_gen("P-384");
    uint8_t *other = NULL;
    int n = i2d_PrivateKey(p384, &other);
    ck_assert_int_gt(n, 0);
    ck_assert_int_eq(cert_key_from_der(dr_bytes_of(other, (size_t)n), &back), DR_ERR_UNSUPPORTED);
    OPENSSL_free(other);
    EVP_PKEY_free(p384);
    ck_assert_ptr_null(back);
    cert_key_free(key);
}
END_TEST

/* ---- issuing ---- */

START_TEST(a_root_is_valid_for_a_clock_at_zero)
{
    struct cert_authority *a = root();
    const struct cert_info *info = cert_authority_info(a);

    ck_assert_int_eq(info->not_before_ms, 0);
    ck_assert_int_eq(info->not_after_ms, 253402300799000);
    ck_assert(info->ca && info->self_issued && info->p256);
    ck_assert_str_eq(info->cn, "Test root");
    ck_assert_uint_eq(strlen(info->serial), 32);
    ck_assert_uint_le(cert_authority_der(a).len, CERT_DEVICE_DER_MAX);
    ck_assert(memmem(cert_authority_der(a).p, cert_authority_der(a).len, "700101000000Z", 13) !=
              NULL);
    ck_assert(memmem(cert_authority_der(a).p, cert_authority_der(a).len, "99991231235959Z", 15) !=
              NULL);
    cert_authority_free(a);
}
END_TEST

START_TEST(an_issued_certificate_says_who_and_whose)
{
    struct cert_authority *a = root();
    struct cert_key *key = new_key();
    const struct cert_subject s = {.cn = "dev-0001", .ou = OU, .l = L};
    struct cert_issued out;
    struct cert_info info;

    ck_assert_int_eq(cert_issue_key(a, &s, CERT_USE_DEVICE, key, 0, &out), DR_OK);
    ck_assert_int_eq(cert_info_read(dr_bytes_of(out.der, out.len), &info), DR_OK);
    ck_assert_str_eq(info.cn, "dev-0001");
    ck_assert_str_eq(info.ou, OU);
    ck_assert_str_eq(info.l, L);
    ck_assert_str_eq(info.issuer, cert_authority_info(a)->subject);
    ck_assert_str_eq(info.serial, out.serial);
    ck_assert_mem_eq(info.fingerprint, out.fingerprint, sizeof out.fingerprint);
    ck_assert(!info.ca && info.p256);
    ck_assert_int_eq(info.not_before_ms, 0);

    const uint8_t *p = out.der;
    X509 *cert = d2i_X509(NULL, &p, (long)out.len);
    EVP_PKEY *pub = NULL;
    p = cert_authority_der(a).p;
    X509 *ca = d2i_X509(NULL, &p, (long)cert_authority_der(a).len);
    pub = X509_get0_pubkey(ca);
    ck_assert_int_eq(X509_verify(cert, pub), 1);
    ck_assert_int_eq(X509_get_signature_nid(cert), NID_ecdsa_with_SHA256);
    ck_assert_int_eq((int)(X509_get_extended_key_usage(cert) & XKU_SSL_CLIENT), XKU_SSL_CLIENT);
    X509_free(cert);
    X509_free(ca);
    cert_key_free(key);
    cert_authority_free(a);
}
END_TEST

START_TEST(two_serials_are_never_the_same)
{
    struct cert_authority *a = root();
    struct cert_key *key = new_key();
    const struct cert_subject s = {.cn = "d"};
    struct cert_issued one, two;

    ck_assert_int_eq(cert_issue_key(a, &s, CERT_USE_DEVICE, key, 0, &one), DR_OK);
    ck_assert_int_eq(cert_issue_key(a, &s, CERT_USE_DEVICE, key, 0, &two), DR_OK);
    ck_assert_str_ne(one.serial, two.serial);
    cert_key_free(key);
    cert_authority_free(a);
}
END_TEST

static const struct {
    const char *cn, *ou;
    dr_err_t err;
} subjects[] = {
    {"", NULL, DR_ERR_RANGE},
    {NULL, NULL, DR_ERR_RANGE},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", OU, DR_OK},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", OU, DR_ERR_RANGE},
    {"a\nb", NULL, DR_ERR_RANGE},
    {"\xff", NULL, DR_ERR_RANGE},
    {"d", "", DR_ERR_RANGE},
    {"d\xc3\xa9", NULL, DR_OK},
};

START_TEST(subjects_have_limits)
{
    struct cert_authority *a = root();
    struct cert_key *key = new_key();
    const struct cert_subject s = {.cn = subjects[_i].cn, .ou = subjects[_i].ou, .l = L};
    struct cert_issued out = {.len = 7};

    ck_assert_int_eq(cert_issue_key(a, &s, CERT_USE_DEVICE, key, 0, &out), subjects[_i].err);
    if (subjects[_i].err != DR_OK) {
        ck_assert_uint_eq(out.len, 7);
    } else {
        ck_assert_uint_le(out.len, CERT_DEVICE_DER_MAX);
    }
    cert_key_free(key);
    cert_authority_free(a);
}
END_TEST

START_TEST(a_point_off_the_curve_gets_no_certificate)
{
    struct cert_authority *a = root();
    const struct cert_subject s = {.cn = "d"};
    uint8_t point[CERT_POINT_LEN] = {4, 1, 2, 3};
    struct cert_issued out;

    ck_assert_int_eq(cert_issue_point(a, &s, CERT_USE_DEVICE, point, 0, &out), DR_ERR_CRYPTO);
    cert_authority_free(a);
}
END_TEST

START_TEST(an_authority_needs_its_own_key)
{
    struct cert_authority *a = root(), *b = NULL;
    struct cert_key *key = new_key();
    const struct cert_subject s = {.cn = "d"};
    struct cert_issued leaf;

    ck_assert_int_eq(cert_authority_load(cert_authority_der(a), key, &b), DR_ERR_CRYPTO);
    ck_assert_int_eq(cert_issue_key(a, &s, CERT_USE_DEVICE, key, 0, &leaf), DR_OK);
    ck_assert_int_eq(cert_authority_load(dr_bytes_of(leaf.der, leaf.len), key, &b), DR_ERR_CRYPTO);
    ck_assert_int_eq(cert_authority_load(dr_bytes_str("x"), key, &b), DR_ERR_PROTO);
    ck_assert_ptr_null(b);
    cert_key_free(key);
    cert_authority_free(a);
}
END_TEST

/* ---- requests ---- */

static size_t make_csr(EVP_PKEY *key, const EVP_MD *md, uint8_t *out, size_t cap)
{
    X509_REQ *req = X509_REQ_new();
    X509_NAME *name = X509_REQ_get_subject_name(req);
    uint8_t *der = NULL;

    X509_NAME_add_entry_by_txt(name, "L", MBSTRING_UTF8, (const uint8_t *)L, -1, -1, 0);
    X509_NAME_add_entry_by_txt(name, "OU", MBSTRING_UTF8, (const uint8_t *)OU, -1, -1, 0);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const uint8_t *)"dev-1", -1, -1, 0);
    ck_assert_int_eq(X509_REQ_set_pubkey(req, key), 1);
    ck_assert_int_gt(X509_REQ_sign(req, key, md), 0);
    int len = i2d_X509_REQ(req, &der);
    ck_assert_int_gt(len, 0);
    ck_assert_uint_le((size_t)len, cap);
    memcpy(out, der, (size_t)len);
    OPENSSL_free(der);
    X509_REQ_free(req);
    return (size_t)len;
}

START_TEST(a_request_gives_key_and_names)
{
    struct cert_authority *a = root();
    EVP_PKEY *key = EVP_EC_gen("P-256");
    uint8_t der[CERT_CSR_MAX];
    size_t len = make_csr(key, EVP_sha256(), der, sizeof der);
    struct cert_csr csr;
    struct cert_issued out;
    struct cert_info info;
    const struct cert_subject s = {.cn = "other", .ou = OU, .l = L};

    ck_assert_int_eq(cert_csr_read(dr_bytes_of(der, len), &csr), DR_OK);
    ck_assert_str_eq(csr.cn, "dev-1");
    ck_assert_str_eq(csr.ou, OU);
    ck_assert_str_eq(csr.l, L);
    ck_assert_int_eq(cert_issue_csr(a, &s, CERT_USE_DEVICE, &csr, 0, &out), DR_OK);
    ck_assert_int_eq(cert_info_read(dr_bytes_of(out.der, out.len), &info), DR_OK);
    ck_assert_str_eq(info.cn, "other"); /* ours, not the request's */
    ck_assert_mem_eq(info.key_hash, csr.key_hash, sizeof csr.key_hash);
    EVP_PKEY_free(key);
    cert_authority_free(a);
}
END_TEST

START_TEST(a_request_must_be_strict_and_signed)
{
    EVP_PKEY *key = EVP_EC_gen("P-256"), *p384 = EVP_EC_gen("P-384");
    uint8_t der[CERT_CSR_MAX + 1];
    size_t len = make_csr(key, EVP_sha256(), der, sizeof der);
    struct cert_csr csr = {.cn = "kept"};

    der[len] = 0;
    ck_assert_int_eq(cert_csr_read(dr_bytes_of(der, len + 1), &csr), DR_ERR_PROTO);
    for (size_t i = 0; i < len; i++) {
        ck_assert_int_ne(cert_csr_read(dr_bytes_of(der, i), &csr), DR_OK);
    }
    der[len - 1] ^= 1;
    ck_assert_int_ne(cert_csr_read(dr_bytes_of(der, len), &csr), DR_OK);
    der[len - 1] ^= 1;
    uint8_t *cn = memmem(der, len, "dev-1", 5);
    ck_assert_ptr_nonnull(cn);
    cn[4] = '2';
    ck_assert_int_eq(cert_csr_read(dr_bytes_of(der, len), &csr), DR_ERR_CRYPTO);
    len = make_csr(key, EVP_sha384(), der, sizeof der);
    ck_assert_int_eq(cert_csr_read(dr_bytes_of(der, len), &csr), DR_ERR_UNSUPPORTED);
    len = make_csr(p384, EVP_sha256(), der, sizeof der);
    ck_assert_int_eq(cert_csr_read(dr_bytes_of(der, len), &csr), DR_ERR_UNSUPPORTED);
    ck_assert_int_eq(cert_csr_read(dr_bytes_of(der, CERT_CSR_MAX + 1), &csr), DR_ERR_TOO_LARGE);
    ck_assert_str_eq(csr.cn, "kept");
    EVP_PKEY_free(key);
    EVP_PKEY_free(p384);
}
END_TEST

/* ---- uploads ---- */

START_TEST(an_upload_may_be_pem_base64_or_der)
{
    struct cert_authority *a = root();
    struct dr_bytes der = cert_authority_der(a);
    char pem[CERT_PEM_MAX], two[2 * CERT_PEM_MAX], base64[CERT_PEM_MAX];
    uint8_t out[CERT_DER_MAX];
    size_t len = 0, n = cert_pem_write(der, pem, sizeof pem);

    ck_assert_uint_eq(n, strlen(pem));
    ck_assert_int_eq(cert_upload_read(pem, n, out, &len), DR_OK);
    ck_assert_uint_eq(len, der.len);
    ck_assert_mem_eq(out, der.p, len);
    dr_base64_encode(der.p, der.len, base64);
    ck_assert_int_eq(cert_upload_read(base64, strlen(base64), out, &len), DR_OK);
    ck_assert_int_eq(cert_upload_read((const char *)der.p, der.len, out, &len), DR_OK);
    snprintf(two, sizeof two, "%s%s", pem, pem);
    ck_assert_int_eq(cert_upload_read(two, strlen(two), out, &len), DR_ERR_PROTO);
    pem[60] = '*';
    ck_assert_int_eq(cert_upload_read(pem, n, out, &len), DR_ERR_PROTO);
    ck_assert_int_eq(cert_upload_read("", 0, out, &len), DR_ERR_PROTO);
    ck_assert_int_eq(cert_upload_read((const char *)der.p, der.len - 1, out, &len), DR_ERR_PROTO);
    char *big = malloc(3 * CERT_DER_MAX);
    memset(big, 'A', 3 * CERT_DER_MAX);
    ck_assert_int_eq(cert_upload_read(big, 3 * CERT_DER_MAX, out, &len), DR_ERR_TOO_LARGE);
    free(big);
    cert_authority_free(a);
}
END_TEST

/* ---- the developer's file ---- */

START_TEST(the_developer_file_has_every_symbol)
{
    static const char *const wanted[] = {
        "const char MBED_CLOUD_DEV_BOOTSTRAP_ENDPOINT_NAME[] = \"a\\042b\";",
        "const char MBED_CLOUD_DEV_ACCOUNT_ID[] = \"" OU "\";",
        "const char MBED_CLOUD_DEV_BOOTSTRAP_SERVER_URI[] = \"coaps://h:1?aid=" OU "\";",
        "const uint8_t MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_CERTIFICATE[] =",
        "BOOTSTRAP_DEVICE_CERTIFICATE_SIZE = sizeof(MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_CERTIFICATE);",
        "const uint8_t MBED_CLOUD_DEV_BOOTSTRAP_SERVER_ROOT_CA_CERTIFICATE[] =",
        "MBED_CLOUD_DEV_BOOTSTRAP_SERVER_ROOT_CA_CERTIFICATE_SIZE",
        "const uint8_t MBED_CLOUD_DEV_LWM2M_SERVER_ROOT_CA_CERTIFICATE[] =",
        "MBED_CLOUD_DEV_LWM2M_SERVER_ROOT_CA_CERTIFICATE_SIZE",
        "const uint8_t MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_PRIVATE_KEY[] =",
        "MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_PRIVATE_KEY_SIZE",
        "const char MBED_CLOUD_DEV_MANUFACTURER[] = \"dev_manufacturer\";",
        "const char MBED_CLOUD_DEV_MODEL_NUMBER[] = \"dev_model_num\";",
        "const char MBED_CLOUD_DEV_SERIAL_NUMBER[] = \"0\";",
        "const char MBED_CLOUD_DEV_DEVICE_TYPE[] = \"dev_device_type\";",
        "const char MBED_CLOUD_DEV_HARDWARE_VERSION[] = \"dev_hardware_version\";",
        "const uint32_t MBED_CLOUD_DEV_MEMORY_TOTAL_KB = 0;",
        "#include <inttypes.h>",
    };
    const struct cert_developer d = {
        .endpoint = "a\"b",
        .account_id = OU,
        .uri = "coaps://h:1?aid=" OU,
        .device_der = dr_bytes_str("0123456789abc"),
        .key_pkcs8 = dr_bytes_str("k"),
        .bootstrap_root_der = dr_bytes_str("b"),
        .server_root_der = dr_bytes_str("s"),
    };
    struct dr_dynbuf out;

    dr_dynbuf_init(&out, CERT_DEVELOPER_FILE_MAX);
    cert_developer_file(&d, &out);
    ck_assert_int_eq(dr_dynbuf_err(&out), DR_OK);
    for (size_t i = 0; i < DR_ARRAY_LEN(wanted); i++) {
        ck_assert_msg(strstr(dr_dynbuf_str(&out), wanted[i]) != NULL, "%s", wanted[i]);
    }
    ck_assert_ptr_nonnull(strstr(dr_dynbuf_str(&out), "0x30, 0x31, 0x32"));
    dr_dynbuf_fini(&out);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("certs issue");
    TCase *keys = add_case(s, "keys"), *issue = add_case(s, "issue"), *csr = add_case(s, "csr");
    TCase *up = add_case(s, "upload"), *dev = add_case(s, "developer");

    tcase_add_test(keys, a_key_survives_each_encoding);
    tcase_add_test(keys, a_key_that_is_none_is_refused);
    tcase_add_test(issue, a_root_is_valid_for_a_clock_at_zero);
    tcase_add_test(issue, an_issued_certificate_says_who_and_whose);
    tcase_add_test(issue, two_serials_are_never_the_same);
    tcase_add_loop_test(issue, subjects_have_limits, 0, (int)DR_ARRAY_LEN(subjects));
    tcase_add_test(issue, a_point_off_the_curve_gets_no_certificate);
    tcase_add_test(issue, an_authority_needs_its_own_key);
    tcase_add_test(csr, a_request_gives_key_and_names);
    tcase_add_test(csr, a_request_must_be_strict_and_signed);
    tcase_add_test(up, an_upload_may_be_pem_base64_or_der);
    tcase_add_test(dev, the_developer_file_has_every_symbol);
    return run_suite(s);
}
