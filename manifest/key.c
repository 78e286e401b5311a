/* SPDX-License-Identifier: Apache-2.0 */
#include "manifest/key.h"

#include <stdlib.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/text.h"
#include "manifest/der.h"

struct manifest_key {
    EVP_PKEY *pkey; /**< owned */
    bool is_private;
    bool has_fingerprint;
    bool has_ski;
    uint8_t fingerprint[MANIFEST_DIGEST_LEN];
    uint8_t ski[20];
    uint8_t point[MANIFEST_POINT_LEN];
};

struct manifest_hash {
    EVP_MD_CTX *ctx; /**< owned */
};

/* Take pkey over (freed on error) when it is a P-256 key. */
static dr_err_t adopt(EVP_PKEY *pkey, bool is_private, struct manifest_key **ret,
                      struct dr_errinfo *reterr)
{
    char group[32] = "";
    size_t len = 0;

    struct manifest_key *key = calloc(1, sizeof *key);
    if (key == NULL) {
        EVP_PKEY_free(pkey);
        return DR_ERR_NOMEM;
    }
    key->pkey = pkey;
    key->is_private = is_private;
    bool fits = EVP_PKEY_is_a(pkey, "EC") == 1 &&
                EVP_PKEY_get_group_name(pkey, group, sizeof group, NULL) == 1 &&
                (strcmp(group, "prime256v1") == 0 || strcmp(group, "P-256") == 0);
    if (!fits) {
        dr_errinfo_set(reterr, "key", 0, "the key is not on the curve P-256");
        (void)manifest_key_free(key);
        return DR_ERR_UNSUPPORTED;
    }
    (void)EVP_PKEY_set_utf8_string_param(pkey, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
                                         OSSL_PKEY_EC_POINT_CONVERSION_FORMAT_UNCOMPRESSED);
    if (EVP_PKEY_get_octet_string_param(pkey, OSSL_PKEY_PARAM_PUB_KEY, key->point,
                                        sizeof key->point, &len) != 1 ||
        len != MANIFEST_POINT_LEN || key->point[0] != 4) {
        dr_errinfo_set(reterr, "key", 0, "the key has no public point");
        (void)manifest_key_free(key);
        return DR_ERR_PROTO;
    }
    *ret = key;
    return DR_OK;
}

dr_err_t manifest_key_new(struct manifest_key **ret)
{
    dr_assert(ret != NULL);
    EVP_PKEY *pkey = EVP_EC_gen("P-256");
    return pkey == NULL ? DR_ERR_NOMEM : adopt(pkey, true, ret, NULL);
}

/* Encrypted keys are not asked for: a tool for build machines has nobody to ask. */
static int no_password(char *buf, int size, int rwflag, void *data)
{
    (void)buf;
    (void)size;
    (void)rwflag;
    (void)data;
    return -1;
}

static BIO *bio_of(struct dr_bytes in)
{
    return in.len == 0 || in.len > MANIFEST_KEY_FILE_MAX ? NULL
                                                         : BIO_new_mem_buf(in.p, (int)in.len);
}

dr_err_t manifest_key_load(struct dr_bytes pem, struct manifest_key **ret,
                           struct dr_errinfo *reterr)
{
    dr_assert(ret != NULL);
    BIO *bio = bio_of(pem);
    EVP_PKEY *pkey = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
    BIO_free(bio);
    ERR_clear_error();
    if (pkey == NULL) {
        dr_errinfo_set(reterr, "key", 0, "not an unencrypted private key in PEM");
        return DR_ERR_PROTO;
    }
    return adopt(pkey, true, ret, reterr);
}

static EVP_PKEY *point_key(struct dr_bytes in)
{
    OSSL_PARAM params[3];
    EVP_PKEY *pkey = NULL;
    char group[] = "prime256v1";

    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0);
    params[1] =
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)(uintptr_t)in.p, in.len);
    params[2] = OSSL_PARAM_construct_end();
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    if (ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1) {
        pkey = NULL;
    }
    EVP_PKEY_CTX_free(ctx);
    return pkey;
}

static X509 *read_cert(struct dr_bytes in)
{
    BIO *bio = bio_of(in);
    X509 *cert = bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, no_password, NULL);

    BIO_free(bio);
    if (cert == NULL) {
        const unsigned char *p = in.p;
        cert = in.len > MANIFEST_KEY_FILE_MAX ? NULL : d2i_X509(NULL, &p, (long)in.len);
        if (cert != NULL && p != in.p + in.len) {
            X509_free(cert);
            cert = NULL;
        }
    }
    return cert;
}

static dr_err_t from_cert(X509 *cert, struct manifest_key **ret, struct dr_errinfo *reterr)
{
    unsigned len = 0;
    struct manifest_key *key = NULL;

    EVP_PKEY *pkey = X509_get_pubkey(cert);
    if (pkey == NULL) {
        dr_errinfo_set(reterr, "key", 0, "the certificate holds no key that can be read");
        return DR_ERR_PROTO;
    }
    dr_err_t err = adopt(pkey, false, &key, reterr);
    if (err != DR_OK) {
        return err;
    }
    key->has_fingerprint = X509_digest(cert, EVP_sha256(), key->fingerprint, &len) == 1;
    const ASN1_OCTET_STRING *ski = X509_get0_subject_key_id(cert);
    if (ski != NULL && ASN1_STRING_length(ski) == (int)sizeof key->ski) {
        memcpy(key->ski, ASN1_STRING_get0_data(ski), sizeof key->ski);
        key->has_ski = true;
    }
    *ret = key;
    return DR_OK;
}

dr_err_t manifest_key_load_public(struct dr_bytes in, struct manifest_key **ret,
                                  struct dr_errinfo *reterr)
{
    EVP_PKEY *pkey = NULL;

    dr_assert(ret != NULL);
    if (in.len == MANIFEST_POINT_LEN && in.p[0] == 4) {
        pkey = point_key(in);
    } else {
        X509 *cert = in.len == 0 ? NULL : read_cert(in);
        if (cert != NULL) {
            dr_err_t err = from_cert(cert, ret, reterr);
            X509_free(cert);
            ERR_clear_error();
            return err;
        }
        BIO *bio = bio_of(in);
        pkey = bio == NULL ? NULL : PEM_read_bio_PUBKEY(bio, NULL, no_password, NULL);
        BIO_free(bio);
        if (pkey == NULL && in.len != 0 && in.len <= MANIFEST_KEY_FILE_MAX) {
            const unsigned char *p = in.p;
            pkey = d2i_PUBKEY(NULL, &p, (long)in.len);
        }
    }
    ERR_clear_error();
    if (pkey == NULL) {
        dr_errinfo_set(reterr, "key", 0, "neither a certificate nor a public key");
        return DR_ERR_PROTO;
    }
    return adopt(pkey, false, ret, reterr);
}

struct manifest_key *manifest_key_free(struct manifest_key *key)
{
    if (key != NULL) {
        EVP_PKEY_free(key->pkey);
        free(key);
    }
    return NULL;
}

const uint8_t *manifest_key_fingerprint(const struct manifest_key *key)
{
    dr_assert(key != NULL);
    return key->has_fingerprint ? key->fingerprint : NULL;
}

bool manifest_key_is_private(const struct manifest_key *key)
{
    dr_assert(key != NULL);
    return key->is_private;
}

bool manifest_key_same(const struct manifest_key *a, const struct manifest_key *b)
{
    dr_assert(a != NULL && b != NULL);
    return memcmp(a->point, b->point, sizeof a->point) == 0;
}

void manifest_key_point(const struct manifest_key *key, uint8_t ret[MANIFEST_POINT_LEN])
{
    dr_assert(key != NULL && ret != NULL);
    memcpy(ret, key->point, sizeof key->point);
}

dr_err_t manifest_key_private_pem(const struct manifest_key *key, struct dr_dynbuf *ret)
{
    char *text = NULL;

    dr_assert(key != NULL && ret != NULL);
    if (!key->is_private) {
        return DR_ERR_DENIED;
    }
    BIO *bio = BIO_new(BIO_s_secmem());
    if (bio == NULL ||
        PEM_write_bio_PrivateKey_traditional(bio, key->pkey, NULL, NULL, 0, NULL, NULL) != 1) {
        BIO_free(bio);
        ERR_clear_error();
        return DR_ERR_NOMEM;
    }
    long len = BIO_get_mem_data(bio, &text);
    dr_dynbuf_append(ret, text, (size_t)len);
    dr_wipe(text, (size_t)len);
    BIO_free(bio);
    return dr_dynbuf_err(ret);
}

dr_err_t manifest_key_ski(const struct manifest_key *key, uint8_t ret[20])
{
    uint8_t digest[MANIFEST_DIGEST_LEN];
    unsigned char *der = NULL;

    dr_assert(key != NULL && ret != NULL);
    if (key->has_ski) {
        memcpy(ret, key->ski, sizeof key->ski);
        return DR_OK;
    }
    int len = i2d_PUBKEY(key->pkey, &der);
    if (len <= 0) {
        ERR_clear_error();
        return DR_ERR_NOMEM;
    }
    manifest_sha256(dr_bytes_of(der, (size_t)len), digest);
    OPENSSL_free(der);
    memcpy(ret, digest, 20);
    return DR_OK;
}

static bool add_ext(X509 *cert, int nid, const char *value)
{
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    bool good = ext != NULL && X509_add_ext(cert, ext, -1) == 1;

    X509_EXTENSION_free(ext);
    return good;
}

static bool add_ski(X509 *cert, const struct manifest_key *key)
{
    uint8_t ski[20];
    ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();
    bool good = octets != NULL && manifest_key_ski(key, ski) == DR_OK &&
                ASN1_OCTET_STRING_set(octets, ski, (int)sizeof ski) == 1 &&
                X509_add1_ext_i2d(cert, NID_subject_key_identifier, octets, 0, 0) == 1;

    ASN1_OCTET_STRING_free(octets);
    return good;
}

static bool set_serial(X509 *cert)
{
    BIGNUM *bn = BN_new();
    bool good = bn != NULL && BN_rand(bn, 126, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
                BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(cert)) != NULL;

    BN_free(bn);
    return good;
}

static bool fill_cert(X509 *cert, const struct manifest_key *key, const char *name, unsigned days,
                      int64_t now)
{
    X509_NAME *subject = X509_get_subject_name(cert);

    return X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert) &&
           ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)now) != NULL &&
           ASN1_TIME_adj(X509_getm_notAfter(cert), (time_t)now, (int)days, 0) != NULL &&
           X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1,
                                      -1, 0) == 1 &&
           X509_set_issuer_name(cert, subject) == 1 && X509_set_pubkey(cert, key->pkey) == 1 &&
           add_ext(cert, NID_key_usage, "critical,digitalSignature") &&
           add_ext(cert, NID_ext_key_usage, "critical,codeSigning") &&
           add_ext(cert, NID_subject_alt_name, "DNS:localhost") && add_ski(cert, key) &&
           X509_sign(cert, key->pkey, EVP_sha256()) > 0;
}

dr_err_t manifest_key_certificate(const struct manifest_key *key, const char *name, unsigned days,
                                  int64_t now, struct dr_dynbuf *ret_der)
{
    unsigned char *der = NULL;

    dr_assert(key != NULL && name != NULL && ret_der != NULL);
    if (!key->is_private) {
        return DR_ERR_DENIED;
    }
    X509 *cert = X509_new();
    if (cert == NULL) {
        return DR_ERR_NOMEM;
    }
    bool good = fill_cert(cert, key, name, days, now);
    int len = good ? i2d_X509(cert, &der) : -1;
    X509_free(cert);
    ERR_clear_error();
    if (len <= 0) {
        return DR_ERR_INVAL;
    }
    dr_dynbuf_append(ret_der, der, (size_t)len);
    OPENSSL_free(der);
    return dr_dynbuf_err(ret_der);
}

dr_err_t manifest_key_sign_digest(const struct manifest_key *key,
                                  const uint8_t digest[MANIFEST_DIGEST_LEN],
                                  uint8_t ret[MANIFEST_SIG_LEN])
{
    uint8_t der[MANIFEST_SIG_DER_MAX + 8];
    size_t len = sizeof der;

    dr_assert(key != NULL && digest != NULL && ret != NULL);
    if (!key->is_private) {
        return DR_ERR_DENIED;
    }
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key->pkey, NULL);
    bool good = ctx != NULL && EVP_PKEY_sign_init(ctx) == 1 &&
                EVP_PKEY_sign(ctx, der, &len, digest, MANIFEST_DIGEST_LEN) == 1;
    EVP_PKEY_CTX_free(ctx);
    ERR_clear_error();
    return good ? manifest_sig_from_der(dr_bytes_of(der, len), ret) : DR_ERR_CRYPTO;
}

dr_err_t manifest_key_sign(const struct manifest_key *key, struct dr_bytes tbs,
                           uint8_t ret[MANIFEST_SIG_LEN])
{
    uint8_t digest[MANIFEST_DIGEST_LEN];

    manifest_sha256(tbs, digest);
    return manifest_key_sign_digest(key, digest, ret);
}

bool manifest_key_verify_digest(const struct manifest_key *key,
                                const uint8_t digest[MANIFEST_DIGEST_LEN],
                                const uint8_t sig[MANIFEST_SIG_LEN])
{
    uint8_t der[MANIFEST_SIG_DER_MAX];

    dr_assert(key != NULL && digest != NULL && sig != NULL);
    size_t len = manifest_sig_to_der(sig, der);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key->pkey, NULL);
    bool good = ctx != NULL && EVP_PKEY_verify_init(ctx) == 1 &&
                EVP_PKEY_verify(ctx, der, len, digest, MANIFEST_DIGEST_LEN) == 1;
    EVP_PKEY_CTX_free(ctx);
    ERR_clear_error();
    return good;
}

bool manifest_key_verify(const struct manifest_key *key, struct dr_bytes tbs,
                         const uint8_t sig[MANIFEST_SIG_LEN])
{
    uint8_t digest[MANIFEST_DIGEST_LEN];

    manifest_sha256(tbs, digest);
    return manifest_key_verify_digest(key, digest, sig);
}

/* INTEGER of 32 big-endian octets, minimal. */
static void put_half(struct dr_wr *wr, const uint8_t half[32])
{
    uint8_t buf[33] = {0};
    size_t skip = 0;

    memcpy(buf + 1, half, 32);
    while (skip < 32 && buf[skip] == 0 && buf[skip + 1] < 0x80) {
        skip++;
    }
    manifest_der_put(wr, MANIFEST_DER_INTEGER, dr_bytes_of(buf + skip, sizeof buf - skip));
}

size_t manifest_sig_to_der(const uint8_t sig[MANIFEST_SIG_LEN], uint8_t ret[MANIFEST_SIG_DER_MAX])
{
    struct dr_wr wr = dr_wr_of(ret, MANIFEST_SIG_DER_MAX);

    dr_assert(sig != NULL && ret != NULL);
    size_t mark = manifest_der_begin(&wr, MANIFEST_DER_SEQUENCE);
    put_half(&wr, sig);
    put_half(&wr, sig + 32);
    manifest_der_end(&wr, mark);
    dr_assert(dr_wr_ok(&wr));
    return dr_wr_len(&wr);
}

static dr_err_t get_half(struct dr_rd *rd, uint8_t ret[32])
{
    struct dr_bytes b;

    dr_err_t err = manifest_der_get(rd, MANIFEST_DER_INTEGER, &b);
    if (err != DR_OK || b.len == 0 || b.p[0] >= 0x80) {
        return DR_ERR_PROTO;
    }
    if (b.p[0] == 0) {
        if (b.len == 1 || b.p[1] < 0x80) { /* zero, or padded */
            return DR_ERR_PROTO;
        }
        b = dr_bytes_of(b.p + 1, b.len - 1);
    }
    if (b.len > 32) {
        return DR_ERR_PROTO;
    }
    memset(ret, 0, 32 - b.len);
    memcpy(ret + 32 - b.len, b.p, b.len);
    return DR_OK;
}

dr_err_t manifest_sig_from_der(struct dr_bytes der, uint8_t ret[MANIFEST_SIG_LEN])
{
    struct dr_rd rd = dr_rd_bytes_of(der);
    struct dr_bytes body;
    uint8_t sig[MANIFEST_SIG_LEN];

    dr_assert(ret != NULL);
    if (manifest_der_get(&rd, MANIFEST_DER_SEQUENCE, &body) != DR_OK || !dr_rd_done(&rd)) {
        return DR_ERR_PROTO;
    }
    struct dr_rd in = dr_rd_bytes_of(body);
    if (get_half(&in, sig) != DR_OK || get_half(&in, sig + 32) != DR_OK || !dr_rd_done(&in)) {
        return DR_ERR_PROTO;
    }
    memcpy(ret, sig, sizeof sig);
    return DR_OK;
}

static dr_err_t sign_with_key(void *data, struct dr_bytes tbs, uint8_t ret[MANIFEST_SIG_LEN])
{
    return manifest_key_sign(data, tbs, ret);
}

struct manifest_signer manifest_key_signer(const struct manifest_key *key)
{
    dr_assert(key != NULL);
    return (struct manifest_signer){.sign = sign_with_key, .data = (void *)(uintptr_t)key};
}

void manifest_sha256(struct dr_bytes in, uint8_t ret[MANIFEST_DIGEST_LEN])
{
    dr_assert(ret != NULL);
    int good =
        EVP_Digest(in.len == 0 ? "" : (const void *)in.p, in.len, ret, NULL, EVP_sha256(), NULL);
    dr_assert(good == 1);
}

dr_err_t manifest_hash_new(struct manifest_hash **ret)
{
    dr_assert(ret != NULL);
    struct manifest_hash *h = calloc(1, sizeof *h);
    EVP_MD_CTX *ctx = h == NULL ? NULL : EVP_MD_CTX_new();
    if (ctx == NULL || EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(ctx);
        free(h);
        return DR_ERR_NOMEM;
    }
    h->ctx = ctx;
    *ret = h;
    return DR_OK;
}

void manifest_hash_add(struct manifest_hash *h, struct dr_bytes in)
{
    dr_assert(h != NULL);
    if (in.len != 0) {
        int good = EVP_DigestUpdate(h->ctx, in.p, in.len);
        dr_assert(good == 1);
    }
}

void manifest_hash_end(struct manifest_hash *h, uint8_t ret[MANIFEST_DIGEST_LEN])
{
    dr_assert(h != NULL && ret != NULL);
    int good = EVP_DigestFinal_ex(h->ctx, ret, NULL);
    dr_assert(good == 1);
    EVP_MD_CTX_free(h->ctx);
    free(h);
}
