/* SPDX-License-Identifier: Apache-2.0 */
/* Which account a chain belongs to, and which chains belong to nobody. */
#include <stdlib.h>
#include <string.h>

#include <openssl/x509v3.h>

#include "certs/chain.h"
#include "certs/issue.h"
#include "tests/unit/run.h"

#define NOW_MS INT64_C(1700000000000)
#define LWM2M  CERT_SERVICE_LWM2M
#define BOOT   CERT_SERVICE_BOOTSTRAP

/* A certificate with its key, made by the test itself: also such as we would never issue. */
struct node {
    X509 *cert;
    EVP_PKEY *key;
    uint8_t *der;
    size_t len;
};

static struct node node_new(const char *cn, const struct node *issuer, bool ca, long from_s,
                            long to_s)
{
    struct node n = {.cert = X509_new(), .key = EVP_EC_gen("P-256")};
    X509_NAME *name = X509_get_subject_name(n.cert);
    const struct node *by = issuer == NULL ? &n : issuer;

    X509_set_version(n.cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(n.cert), rand());
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const uint8_t *)cn, -1, -1, 0);
    X509_set_issuer_name(n.cert, X509_get_subject_name(by->cert));
    ASN1_TIME_set(X509_getm_notBefore(n.cert), NOW_MS / 1000 + from_s);
    ASN1_TIME_set(X509_getm_notAfter(n.cert), NOW_MS / 1000 + to_s);
    X509_set_pubkey(n.cert, n.key);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints,
                                              ca ? "critical,CA:TRUE" : "CA:FALSE");
    X509_add_ext(n.cert, ext, -1);
    X509_EXTENSION_free(ext);
    ck_assert_int_gt(X509_sign(n.cert, by->key, EVP_sha256()), 0);
    int len = i2d_X509(n.cert, &n.der);
    ck_assert_int_gt(len, 0);
    n.len = (size_t)len;
    return n;
}

static void node_free(struct node *n)
{
    X509_free(n->cert);
    EVP_PKEY_free(n->key);
    OPENSSL_free(n->der);
}

static struct dr_bytes der_of(const struct node *n)
{
    return dr_bytes_of(n->der, n->len);
}

static struct node root_a, root_b, inter_a, inter_a2, leaf_root, leaf_inter, leaf_deep, leaf_b,
    leaf_old, leaf_early, leaf_of_leaf, self_signed;

static void setup(void)
{
    root_a = node_new("root a", NULL, true, -1000, 1000);
    root_b = node_new("root b", NULL, true, -1000, 1000);
    inter_a = node_new("inter a", &root_a, true, -1000, 1000);
    inter_a2 = node_new("inter a2", &inter_a, true, -1000, 1000);
    leaf_root = node_new("d1", &root_a, false, -1000, 1000);
    leaf_inter = node_new("d2", &inter_a, false, -1000, 1000);
    leaf_deep = node_new("d3", &inter_a2, false, -1000, 1000);
    leaf_b = node_new("d4", &root_b, false, -1000, 1000);
    leaf_old = node_new("d5", &root_a, false, -1000, -10);
    leaf_early = node_new("d6", &root_a, false, 10, 1000);
    leaf_of_leaf = node_new("d7", &leaf_root, false, -1000, 1000);
    self_signed = node_new("d8", NULL, false, -1000, 1000);
}

static void teardown(void)
{
    struct node *all[] = {&root_a,    &root_b, &inter_a,  &inter_a2,   &leaf_root,    &leaf_inter,
                          &leaf_deep, &leaf_b, &leaf_old, &leaf_early, &leaf_of_leaf, &self_signed};

    for (size_t i = 0; i < DR_ARRAY_LEN(all); i++) {
        node_free(all[i]);
    }
}

static struct cert_anchors *anchors(const struct cert_anchor *list, size_t n)
{
    struct cert_anchors *a = NULL;

    ck_assert_int_eq(cert_anchors_new(list, n, NULL, 0, &a, NULL), DR_OK);
    return a;
}

static const struct {
    const char *why;
    const struct node *chain[3];
    unsigned service;
    dr_err_t err;
    uint64_t tag;
} cases[] = {
    {"signed by the root", {&leaf_root}, LWM2M, DR_OK, 11},
    {"by an intermediate that was sent", {&leaf_inter, &inter_a}, LWM2M, DR_OK, 11},
    {"by an intermediate that was not", {&leaf_inter}, LWM2M, DR_ERR_CRYPTO, 0},
    {"two intermediates, wrong order", {&leaf_deep, &inter_a, &inter_a2}, LWM2M, DR_OK, 11},
    {"the other account", {&leaf_b}, LWM2M, DR_OK, 22},
    {"the root itself sent, too", {&leaf_root, &root_a}, LWM2M, DR_OK, 11},
    {"a root of another service", {&leaf_root}, BOOT, DR_ERR_CRYPTO, 0},
    {"an anchor of both services", {&leaf_b}, BOOT, DR_OK, 22},
    {"expired", {&leaf_old}, LWM2M, DR_ERR_CRYPTO, 0},
    {"not yet valid", {&leaf_early}, LWM2M, DR_ERR_CRYPTO, 0},
    {"signed by a device", {&leaf_of_leaf, &leaf_root}, LWM2M, DR_ERR_CRYPTO, 0},
    {"self-signed and unknown", {&self_signed}, LWM2M, DR_ERR_CRYPTO, 0},
    {"the authority's certificate is not the device's", {&leaf_of_leaf}, LWM2M, DR_ERR_CRYPTO, 0},
};

START_TEST(each_chain_has_one_verdict)
{
    const struct cert_anchor list[] = {
        {.der = der_of(&root_a), .tag = 11, .account = 1, .services = LWM2M},
        {.der = der_of(&root_b), .tag = 22, .account = 2, .services = LWM2M | BOOT},
    };
    struct cert_anchors *a = anchors(list, 2);
    struct dr_bytes chain[3];
    size_t n = 0;
    uint64_t tag = 99;

    for (; n < 3 && cases[_i].chain[n] != NULL; n++) {
        chain[n] = der_of(cases[_i].chain[n]);
    }
    dr_err_t err = cert_chain_verify(a, cases[_i].service, chain, n, NOW_MS, &tag);
    ck_assert_msg(err == cases[_i].err, "%s: %s", cases[_i].why, dr_err_str(err));
    ck_assert_msg(tag == (err == DR_OK ? cases[_i].tag : 99), "%s", cases[_i].why);
    cert_anchors_unref(a);
}
END_TEST

START_TEST(an_intermediate_may_be_an_anchor)
{
    const struct cert_anchor list[] = {
        {.der = der_of(&inter_a), .tag = 33, .account = 1, .services = LWM2M}};
    struct cert_anchors *a = anchors(list, 1);
    const struct dr_bytes chain[] = {der_of(&leaf_inter)}, other[] = {der_of(&leaf_root)};
    uint64_t tag = 0;

    ck_assert_int_eq(cert_chain_verify(a, LWM2M, chain, 1, NOW_MS, &tag), DR_OK);
    ck_assert_uint_eq(tag, 33);
    ck_assert_int_eq(cert_chain_verify(a, LWM2M, other, 1, NOW_MS, &tag), DR_ERR_CRYPTO);
    cert_anchors_unref(a);
}
END_TEST

START_TEST(a_leaf_may_be_its_own_anchor)
{
    const struct cert_anchor list[] = {
        {.der = der_of(&leaf_root), .tag = 44, .account = 1, .services = BOOT},
        {.der = der_of(&self_signed), .tag = 45, .account = 2, .services = BOOT}};
    struct cert_anchors *a = anchors(list, 2);
    const struct dr_bytes leaf[] = {der_of(&leaf_root)}, self[] = {der_of(&self_signed)};
    const struct dr_bytes below[] = {der_of(&leaf_of_leaf)};
    uint64_t tag = 0;

    ck_assert_int_eq(cert_chain_verify(a, BOOT, leaf, 1, NOW_MS, &tag), DR_OK);
    ck_assert_uint_eq(tag, 44);
    ck_assert_int_eq(cert_chain_verify(a, BOOT, self, 1, NOW_MS, &tag), DR_OK);
    ck_assert_uint_eq(tag, 45);
    ck_assert_int_eq(cert_chain_verify(a, BOOT, below, 1, NOW_MS, &tag), DR_ERR_CRYPTO);
    cert_anchors_unref(a);
}
END_TEST

/* Account 2 uploads an intermediate of account 1's authority, which is no secret. */
START_TEST(a_chain_with_two_owners_has_none)
{
    const struct cert_anchor list[] = {
        {.der = der_of(&root_a), .tag = 11, .account = 1, .services = LWM2M},
        {.der = der_of(&inter_a2), .tag = 22, .account = 2, .services = LWM2M}};
    struct cert_anchors *a = anchors(list, 2);
    const struct dr_bytes chain[] = {der_of(&leaf_deep), der_of(&inter_a2), der_of(&inter_a)};
    uint64_t tag = 7;

    ck_assert_int_eq(cert_chain_verify(a, LWM2M, chain, 3, NOW_MS, &tag), DR_ERR_DENIED);
    ck_assert_uint_eq(tag, 7);
    cert_anchors_unref(a);
    const struct cert_anchor same[] = {
        {.der = der_of(&root_a), .tag = 11, .account = 1, .services = LWM2M},
        {.der = der_of(&inter_a2), .tag = 22, .account = 1, .services = LWM2M}};
    a = anchors(same, 2);
    ck_assert_int_eq(cert_chain_verify(a, LWM2M, chain, 3, NOW_MS, &tag), DR_OK);
    ck_assert_uint_eq(tag, 22);
    cert_anchors_unref(a);
}
END_TEST

START_TEST(revoked_certificates_are_refused)
{
    const struct cert_anchor list[] = {
        {.der = der_of(&root_a), .tag = 11, .account = 1, .services = LWM2M}};
    struct cert_info leaf, inter;
    struct cert_revoked revoked[3] = {{.account = 1}, {.account = 1}, {.account = 2}};
    struct cert_anchors *a = NULL;
    const struct dr_bytes one[] = {der_of(&leaf_root)};
    const struct dr_bytes two[] = {der_of(&leaf_inter), der_of(&inter_a)};
    uint64_t tag = 7;

    ck_assert_int_eq(cert_info_read(der_of(&leaf_root), &leaf), DR_OK);
    ck_assert_int_eq(cert_info_read(der_of(&inter_a), &inter), DR_OK);
    memcpy(revoked[0].fingerprint, leaf.fingerprint, CERT_SHA256_LEN);
    memcpy(revoked[1].fingerprint, inter.fingerprint, CERT_SHA256_LEN);
    memcpy(revoked[2].fingerprint, leaf.fingerprint, CERT_SHA256_LEN);
    /* what another account has revoked is of no account here */
    ck_assert_int_eq(cert_anchors_new(list, 1, &revoked[2], 1, &a, NULL), DR_OK);
    ck_assert_int_eq(cert_chain_verify(a, LWM2M, one, 1, NOW_MS, &tag), DR_OK);
    cert_anchors_unref(a);
    tag = 7;
    ck_assert_int_eq(cert_anchors_new(list, 1, revoked, 2, &a, NULL), DR_OK);
    ck_assert(cert_anchors_is_revoked(a, 1, leaf.fingerprint));
    ck_assert(!cert_anchors_is_revoked(a, 2, leaf.fingerprint));
    ck_assert_int_eq(cert_chain_verify(a, LWM2M, one, 1, NOW_MS, &tag), DR_ERR_DENIED);
    ck_assert_int_eq(cert_chain_verify(a, LWM2M, two, 2, NOW_MS, &tag), DR_ERR_DENIED);
    ck_assert_uint_eq(tag, 7);
    cert_anchors_unref(a);
}
END_TEST

START_TEST(what_is_no_chain_is_refused)
{
    const struct cert_anchor list[] = {
        {.der = der_of(&root_a), .tag = 11, .account = 1, .services = LWM2M}};
    struct cert_anchors *a = anchors(list, 1), *none = NULL;
    struct dr_bytes chain[CERT_DEPTH_MAX + 2];
    uint64_t tag = 7;

    ck_assert_int_eq(cert_chain_verify(a, LWM2M, chain, 0, NOW_MS, &tag), DR_ERR_PROTO);
    chain[0] = dr_bytes_of(leaf_root.der, leaf_root.len - 1);
    ck_assert_int_eq(cert_chain_verify(a, LWM2M, chain, 1, NOW_MS, &tag), DR_ERR_PROTO);
    for (size_t i = 0; i < DR_ARRAY_LEN(chain); i++) {
        chain[i] = der_of(&leaf_root);
    }
    ck_assert_int_eq(cert_chain_verify(a, LWM2M, chain, DR_ARRAY_LEN(chain), NOW_MS, &tag),
                     DR_ERR_PROTO);
    const struct cert_anchor bad[] = {{.der = dr_bytes_str("x"), .tag = 1}};
    ck_assert_int_eq(cert_anchors_new(bad, 1, NULL, 0, &none, NULL), DR_ERR_PROTO);
    ck_assert_ptr_null(none);
    ck_assert_int_eq(cert_anchors_new(bad, CERT_ANCHORS_MAX + 1, NULL, 0, &none, NULL),
                     DR_ERR_LIMIT);
    cert_anchors_unref(a);
}
END_TEST

START_TEST(anchors_are_found_by_tag_and_service)
{
    const struct cert_anchor list[] = {
        {.der = der_of(&root_a), .tag = 11, .account = 1, .services = LWM2M, .enrollment = true},
        {.der = der_of(&root_b), .tag = 5, .account = 2, .services = BOOT}};
    struct cert_anchors *a = anchors(list, 2);
    struct cert_anchor got = {0};

    ck_assert(cert_anchors_find(a, LWM2M, 11, &got));
    ck_assert_int_eq((int)got.account, 1);
    ck_assert(got.enrollment);
    ck_assert(!cert_anchors_find(a, BOOT, 11, &got));
    ck_assert(cert_anchors_find(a, BOOT, 5, &got));
    ck_assert(!cert_anchors_find(a, LWM2M, 12, &got));
    cert_anchors_unref(a);
}
END_TEST

/* Our own certificates are good for a device issuer among the anchors. */
START_TEST(what_we_issue_verifies)
{
    struct cert_authority *ca = NULL;
    struct cert_key *key = NULL;
    struct cert_issued out;
    const struct cert_subject s = {.cn = "d", .ou = "0123456789abcdef0123456789abcdef"};
    uint64_t tag = 0;

    ck_assert_int_eq(cert_authority_create("issuer", &ca), DR_OK);
    ck_assert_int_eq(cert_key_generate(&key), DR_OK);
    const struct cert_anchor list[] = {
        {.der = cert_authority_der(ca), .tag = 1, .services = LWM2M}};
    struct cert_anchors *a = anchors(list, 1);
    for (int use = CERT_USE_DEVICE; use <= CERT_USE_SERVER; use++) {
        ck_assert_int_eq(cert_issue_key(ca, &s, (enum cert_use)use, key, 0, &out), DR_OK);
        const struct dr_bytes chain[] = {dr_bytes_of(out.der, out.len)};
        ck_assert_int_eq(cert_chain_verify(a, LWM2M, chain, 1, NOW_MS, &tag),
                         use == CERT_USE_DEVICE ? DR_OK : DR_ERR_CRYPTO);
    }
    ck_assert_int_eq(cert_issue_key(ca, &s, CERT_USE_DEVICE, key, NOW_MS - 1000, &out), DR_OK);
    const struct dr_bytes old[] = {dr_bytes_of(out.der, out.len)};
    ck_assert_int_eq(cert_chain_verify(a, LWM2M, old, 1, NOW_MS, &tag), DR_ERR_CRYPTO);
    cert_anchors_unref(a);
    cert_key_free(key);
    cert_authority_free(ca);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("certs chain");
    TCase *tc = add_case(s, "verify");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, each_chain_has_one_verdict, 0, (int)DR_ARRAY_LEN(cases));
    tcase_add_test(tc, an_intermediate_may_be_an_anchor);
    tcase_add_test(tc, a_leaf_may_be_its_own_anchor);
    tcase_add_test(tc, a_chain_with_two_owners_has_none);
    tcase_add_test(tc, revoked_certificates_are_refused);
    tcase_add_test(tc, what_is_no_chain_is_refused);
    tcase_add_test(tc, anchors_are_found_by_tag_and_service);
    tcase_add_test(tc, what_we_issue_verifies);
    return run_suite(s);
}
