/* SPDX-License-Identifier: Apache-2.0 */
#include "certs/authority.h"

#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "certs/certs_priv.h"

static bool root_build(X509 *cert, const char *cn, EVP_PKEY *pkey)
{
    X509_NAME *name = X509_get_subject_name(cert);

    return X509_set_version(cert, X509_VERSION_3) == 1 && certs_serial_set(cert) &&
           certs_validity_set(cert, 0) && certs_name_add(name, NID_organizationName, "Drover") &&
           certs_name_add(name, NID_commonName, cn) && X509_set_issuer_name(cert, name) == 1 &&
           X509_set_pubkey(cert, pkey) == 1 &&
           certs_extension_add(cert, cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
           certs_extension_add(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign") &&
           certs_extension_add(cert, cert, NID_subject_key_identifier, "hash") &&
           X509_sign(cert, pkey, EVP_sha256()) > 0;
}

dr_err_t cert_authority_create(const char *cn, struct cert_authority **ret)
{
    dr_assert(ret != NULL);
    struct cert_key *key = NULL;
    uint8_t *der = NULL;
    dr_err_t err = certs_text_check(cn);

    if (err != DR_OK) {
        return err;
    }
    err = cert_key_generate(&key);
    if (err != DR_OK) {
        return err;
    }
    X509 *cert = X509_new();
    int len = cert != NULL && root_build(cert, cn, key->pkey) ? i2d_X509(cert, &der) : -1;
    err = len > 0 ? cert_authority_load(dr_bytes_of(der, (size_t)len), key, ret) : DR_ERR_INTERNAL;
    if (err != DR_OK) {
        cert_key_free(key);
    }
    OPENSSL_free(der);
    X509_free(cert);
    ERR_clear_error();
    return err;
}

dr_err_t cert_authority_load(struct dr_bytes der, struct cert_key *key, struct cert_authority **ret)
{
    dr_assert(key != NULL && ret != NULL);
    struct cert_authority *a = calloc(1, sizeof *a);
    if (a == NULL) {
        return DR_ERR_NOMEM;
    }
    dr_err_t err = cert_info_read(der, &a->info);
    a->cert = err == DR_OK ? certs_x509_parse(der) : NULL;
    int len = a->cert == NULL ? -1 : i2d_X509(a->cert, &a->der);
    if (err == DR_OK && len <= 0) {
        err = DR_ERR_NOMEM;
    }
    if (err == DR_OK && (!a->info.ca || X509_check_private_key(a->cert, key->pkey) != 1)) {
        err = DR_ERR_CRYPTO;
    }
    ERR_clear_error();
    if (err != DR_OK) {
        cert_authority_free(a);
        return err;
    }
    a->der_len = (size_t)len;
    a->key = key;
    *ret = a;
    return DR_OK;
}

struct cert_authority *cert_authority_free(struct cert_authority *a)
{
    if (a != NULL) {
        X509_free(a->cert);
        cert_key_free(a->key);
        OPENSSL_free(a->der);
        free(a);
    }
    return NULL;
}

struct dr_bytes cert_authority_der(const struct cert_authority *a)
{
    dr_assert(a != NULL);
    return dr_bytes_of(a->der, a->der_len);
}

const struct cert_key *cert_authority_key(const struct cert_authority *a)
{
    dr_assert(a != NULL);
    return a->key;
}

const struct cert_info *cert_authority_info(const struct cert_authority *a)
{
    dr_assert(a != NULL);
    return &a->info;
}
