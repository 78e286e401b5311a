/* SPDX-License-Identifier: Apache-2.0 */
#include "certs/key.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/encoder.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

#include "base/text.h"
#include "certs/certs_priv.h"

bool certs_is_p256(const EVP_PKEY *pkey)
{
    char group[32] = "";

    bool is = pkey != NULL && EVP_PKEY_is_a(pkey, "EC") == 1 &&
              EVP_PKEY_get_group_name(pkey, group, sizeof group, NULL) == 1 &&
              (strcmp(group, "prime256v1") == 0 || strcmp(group, "P-256") == 0);
    ERR_clear_error();
    return is;
}

dr_err_t certs_key_adopt(EVP_PKEY *pkey, struct cert_key **ret)
{
    if (!certs_is_p256(pkey)) {
        EVP_PKEY_free(pkey);
        return DR_ERR_UNSUPPORTED;
    }
    struct cert_key *key = calloc(1, sizeof *key);
    if (key == NULL) {
        EVP_PKEY_free(pkey);
        return DR_ERR_NOMEM;
    }
    key->pkey = pkey;
    *ret = key;
    return DR_OK;
}

dr_err_t cert_key_generate(struct cert_key **ret)
{
    dr_assert(ret != NULL);
    EVP_PKEY *pkey = EVP_EC_gen("P-256");

    if (pkey == NULL) {
        ERR_clear_error();
        return DR_ERR_INTERNAL;
    }
    return certs_key_adopt(pkey, ret);
}

/* The library guesses between the two forms; it takes no other kind since the group is checked. */
dr_err_t cert_key_from_der(struct dr_bytes der, struct cert_key **ret)
{
    dr_assert(ret != NULL);
    const uint8_t *p = der.p;
    EVP_PKEY *pkey = der.len == 0 || der.len > CERT_KEY_DER_MAX
                         ? NULL
                         : d2i_AutoPrivateKey(NULL, &p, (long)der.len);

    ERR_clear_error();
    if (pkey == NULL || p != der.p + der.len) {
        EVP_PKEY_free(pkey);
        return DR_ERR_PROTO;
    }
    return certs_key_adopt(pkey, ret);
}

/* Never ask for a passphrase on a terminal. */
static int no_passphrase(char *buf, int size, int rw, void *data)
{
    (void)buf;
    (void)size;
    (void)rw;
    (void)data;
    return -1;
}

dr_err_t cert_key_from_pem(const char *pem, size_t len, struct cert_key **ret)
{
    dr_assert(pem != NULL && ret != NULL);
    BIO *bio = len > CERT_PEM_MAX ? NULL : BIO_new_mem_buf(pem, (int)len);
    EVP_PKEY *pkey = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);

    BIO_free(bio);
    ERR_clear_error();
    return pkey == NULL ? DR_ERR_PROTO : certs_key_adopt(pkey, ret);
}

struct cert_key *cert_key_free(struct cert_key *key)
{
    if (key != NULL) {
        EVP_PKEY_free(key->pkey);
        free(key);
    }
    return NULL;
}

static size_t encode(const struct cert_key *key, const char *format, const char *structure,
                     void *out, size_t cap)
{
    OSSL_ENCODER_CTX *ctx =
        OSSL_ENCODER_CTX_new_for_pkey(key->pkey, EVP_PKEY_KEYPAIR, format, structure, NULL);
    unsigned char *data = NULL;
    size_t len = 0;

    if (ctx == NULL || OSSL_ENCODER_to_data(ctx, &data, &len) != 1 || len > cap) {
        if (data != NULL) {
            OPENSSL_clear_free(data, len);
        }
        len = 0;
    } else {
        memcpy(out, data, len);
        OPENSSL_clear_free(data, len);
    }
    OSSL_ENCODER_CTX_free(ctx);
    ERR_clear_error();
    return len;
}

size_t cert_key_sec1(const struct cert_key *key, uint8_t *out, size_t cap)
{
    dr_assert(key != NULL && out != NULL);
    return encode(key, "DER", "type-specific", out, cap);
}

size_t cert_key_pkcs8(const struct cert_key *key, uint8_t *out, size_t cap)
{
    dr_assert(key != NULL && out != NULL);
    return encode(key, "DER", "PrivateKeyInfo", out, cap);
}

size_t cert_key_pem(const struct cert_key *key, char *out, size_t cap)
{
    dr_assert(key != NULL && out != NULL && cap > 0);
    size_t len = encode(key, "PEM", "PrivateKeyInfo", out, cap - 1);

    out[len] = '\0';
    return len;
}

void cert_key_point(const struct cert_key *key, uint8_t out[CERT_POINT_LEN])
{
    dr_assert(key != NULL && out != NULL);
    size_t len = 0;
    int ok = EVP_PKEY_get_octet_string_param(key->pkey, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, out,
                                             CERT_POINT_LEN, &len);

    dr_assert(ok == 1 && len == CERT_POINT_LEN);
}

EVP_PKEY *certs_pkey_of_point(const uint8_t point[CERT_POINT_LEN])
{
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY *pkey = NULL;

    if (bld != NULL && ctx != NULL &&
        OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point, CERT_POINT_LEN) ==
            1) {
        params = OSSL_PARAM_BLD_to_param(bld);
    }
    if (params != NULL && EVP_PKEY_fromdata_init(ctx) == 1) {
        (void)EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params);
    }
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(bld);
    EVP_PKEY_CTX_free(ctx);
    ERR_clear_error();
    return pkey;
}
