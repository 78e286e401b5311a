/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a device certificate looks like (about 450 bytes with the longest names 600):
 *
 *     v3, serial 16 bytes, ecdsa-with-SHA256, issuer = subject of the authority
 *     validity 700101000000Z .. 99991231235959Z
 *     subject L=<device id>, OU=<account id>, CN=<endpoint name>       each UTF8String or printable
 *     P-256 key
 *     basicConstraints CA:FALSE; keyUsage digitalSignature; extKeyUsage clientAuth | serverAuth;
 *     authorityKeyIdentifier
 */
#include "certs/issue.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "certs/certs_priv.h"

static dr_err_t subject_check(const struct cert_subject *s)
{
    dr_err_t err = certs_text_check(s->cn);

    if (err == DR_OK && s->ou != NULL) {
        err = certs_text_check(s->ou);
    }
    if (err == DR_OK && s->l != NULL) {
        err = certs_text_check(s->l);
    }
    return err;
}

static bool leaf_build(X509 *cert, const struct cert_authority *a, const struct cert_subject *s,
                       enum cert_use use, EVP_PKEY *pkey, int64_t not_after_ms)
{
    X509_NAME *name = X509_get_subject_name(cert);
    const char *eku = use == CERT_USE_DEVICE ? "clientAuth" : "serverAuth";

    return X509_set_version(cert, X509_VERSION_3) == 1 && certs_serial_set(cert) &&
           certs_validity_set(cert, not_after_ms) &&
           (s->l == NULL || certs_name_add(name, NID_localityName, s->l)) &&
           (s->ou == NULL || certs_name_add(name, NID_organizationalUnitName, s->ou)) &&
           certs_name_add(name, NID_commonName, s->cn) &&
           X509_set_issuer_name(cert, X509_get_subject_name(a->cert)) == 1 &&
           X509_set_pubkey(cert, pkey) == 1 &&
           certs_extension_add(cert, a->cert, NID_basic_constraints, "critical,CA:FALSE") &&
           certs_extension_add(cert, a->cert, NID_key_usage, "critical,digitalSignature") &&
           certs_extension_add(cert, a->cert, NID_ext_key_usage, eku) &&
           certs_extension_add(cert, a->cert, NID_authority_key_identifier, "keyid") &&
           X509_sign(cert, a->key->pkey, EVP_sha256()) > 0;
}

static dr_err_t issue(const struct cert_authority *a, const struct cert_subject *s,
                      enum cert_use use, EVP_PKEY *pkey, int64_t not_after_ms,
                      struct cert_issued *ret)
{
    X509 *cert = X509_new();
    uint8_t *der = NULL;
    int len =
        cert != NULL && leaf_build(cert, a, s, use, pkey, not_after_ms) ? i2d_X509(cert, &der) : -1;
    struct cert_info info;
    dr_err_t err = len <= 0 ? DR_ERR_INTERNAL
                   : len > CERT_DEVICE_DER_MAX
                       ? DR_ERR_RANGE
                       : cert_info_read(dr_bytes_of(der, (size_t)len), &info);

    if (err == DR_OK) {
        memcpy(ret->der, der, (size_t)len);
        ret->len = (size_t)len;
        memcpy(ret->serial, info.serial, sizeof ret->serial);
        memcpy(ret->fingerprint, info.fingerprint, sizeof ret->fingerprint);
        ret->not_after_ms = info.not_after_ms;
    }
    OPENSSL_free(der);
    X509_free(cert);
    ERR_clear_error();
    return err;
}

dr_err_t cert_issue_key(const struct cert_authority *a, const struct cert_subject *s,
                        enum cert_use use, const struct cert_key *key, int64_t not_after_ms,
                        struct cert_issued *ret)
{
    dr_assert(a != NULL && s != NULL && key != NULL && ret != NULL);
    dr_err_t err = subject_check(s);

    return err == DR_OK ? issue(a, s, use, key->pkey, not_after_ms, ret) : err;
}

dr_err_t cert_issue_point(const struct cert_authority *a, const struct cert_subject *s,
                          enum cert_use use, const uint8_t point[CERT_POINT_LEN],
                          int64_t not_after_ms, struct cert_issued *ret)
{
    dr_assert(a != NULL && s != NULL && point != NULL && ret != NULL);
    dr_err_t err = subject_check(s);
    if (err != DR_OK) {
        return err;
    }
    EVP_PKEY *pkey = certs_pkey_of_point(point);
    if (pkey == NULL) {
        return DR_ERR_CRYPTO;
    }
    err = issue(a, s, use, pkey, not_after_ms, ret);
    EVP_PKEY_free(pkey);
    return err;
}

dr_err_t cert_issue_csr(const struct cert_authority *a, const struct cert_subject *s,
                        enum cert_use use, const struct cert_csr *csr, int64_t not_after_ms,
                        struct cert_issued *ret)
{
    dr_assert(csr != NULL);
    return cert_issue_point(a, s, use, csr->point, not_after_ms, ret);
}
