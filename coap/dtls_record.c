/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record of epoch 1 on the wire, AEAD suites (RFC5246#6.2.3.3):
 *
 *   type 1 | version 2 (fe fd) | epoch 2 | sequence 6 | length 2 | explicit nonce 8 | text n | tag
 *
 * Example, 4 bytes of application data with CCM-8 as the third record of the epoch:
 *
 *   17 fe fd 00 01 00 00 00 00 00 02 00 14  00 01 00 00 00 00 00 02  cc cc cc cc  tt*8
 *
 * The nonce is salt 4 | explicit nonce 8; the additional data is epoch, sequence, type, version and
 * the length of the plaintext. CCM needs the length of the plaintext before anything else.
 */
#include "coap/dtls_record.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "base/buf.h"
#include "base/text.h"

#define AAD_LEN        13
#define NONCE_TOTAL    12
#define VERSION_DTLS12 0xfefd
#define VERSION_MAJOR  0xfe
#define EXPANSION_MAX  2048 /* spec: RFC5246#6.2.3 */
#define WINDOW_BITS    64

static const struct {
    const char *name;
    size_t key_len;
    size_t tag_len;
    bool is_ccm;
} suites[DTLS_SUITES] = {
    [DTLS_AES128_CCM8] = {"AES-128-CCM", 16, 8, true},
    [DTLS_AES128_CCM] = {"AES-128-CCM", 16, 16, true},
    [DTLS_AES128_GCM] = {"AES-128-GCM", 16, 16, false},
    [DTLS_AES256_GCM] = {"AES-256-GCM", 32, 16, false},
};

/*
 * One context per suite and direction. Cipher, nonce length and tag length are set once; setting a
 * key for a record is then a single call that costs about 100 ns, most of it the key schedule.
 */
struct dtls_crypto {
    EVP_CIPHER_CTX *seal[DTLS_SUITES];
    EVP_CIPHER_CTX *open[DTLS_SUITES];
    EVP_MAC_CTX *hmac;
    EVP_KDF_CTX *prf;
};

bool dtls_record_next(uint8_t *datagram, size_t len, size_t *off, struct dtls_record *ret)
{
    dr_assert(off != NULL && ret != NULL);
    if (*off >= len) {
        return false;
    }
    uint8_t *p = datagram + *off;
    struct dr_rd rd = dr_rd_of(p, len - *off);
    struct dtls_record r = {.whole = p, .type = dr_rd_u8(&rd)};
    uint8_t major = dr_rd_u8(&rd);
    dr_rd_skip(&rd, 1);
    r.epoch = dr_rd_u16(&rd);
    r.seq = dr_rd_u48(&rd);
    r.len = dr_rd_u16(&rd);
    dr_rd_skip(&rd, r.len);
    /* a record with a Connection ID has another header */
    if (!dr_rd_ok(&rd) || major != VERSION_MAJOR || r.type < DTLS_TYPE_CCS ||
        r.type > DTLS_TYPE_DATA || r.len > DTLS_PLAIN_MAX + EXPANSION_MAX) {
        return false;
    }
    r.body = p + DTLS_HEADER_LEN;
    r.whole_len = DTLS_HEADER_LEN + r.len;
    *off += r.whole_len;
    *ret = r;
    return true;
}

void dtls_header_write(uint8_t out[DTLS_HEADER_LEN], uint8_t type, uint16_t epoch, uint64_t seq,
                       size_t body_len)
{
    dr_assert(seq <= DTLS_SEQ_MAX && body_len <= UINT16_MAX);
    out[0] = type;
    dr_store_be(out + 1, VERSION_DTLS12, 2);
    dr_store_be(out + 3, epoch, 2);
    dr_store_be(out + 5, seq, 6);
    dr_store_be(out + 11, body_len, 2);
}

bool dtls_window_is_new(const struct dtls_window *w, uint64_t seq)
{
    dr_assert(w != NULL);
    if (seq >= w->next) {
        return true;
    }
    uint64_t behind = w->next - 1 - seq;
    return behind < WINDOW_BITS && (w->mask >> behind & 1) == 0;
}

bool dtls_window_mark(struct dtls_window *w, uint64_t seq)
{
    dr_assert(w != NULL && seq <= DTLS_SEQ_MAX);
    if (seq >= w->next) {
        uint64_t shift = seq + 1 - w->next;
        w->mask = (shift < WINDOW_BITS ? w->mask << shift : 0) | 1;
        w->next = seq + 1;
        return true;
    }
    uint64_t behind = w->next - 1 - seq;
    if (behind < WINDOW_BITS) {
        w->mask |= (uint64_t)1 << behind;
    }
    return false;
}

size_t dtls_suite_key_len(enum dtls_suite suite)
{
    dr_assert(suite > DTLS_SUITE_NONE && suite < DTLS_SUITES);
    return suites[suite].key_len;
}

size_t dtls_suite_tag_len(enum dtls_suite suite)
{
    dr_assert(suite > DTLS_SUITE_NONE && suite < DTLS_SUITES);
    return suites[suite].tag_len;
}

static EVP_CIPHER_CTX *cipher_new(enum dtls_suite suite, bool seal)
{
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, suites[suite].name, NULL);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    size_t iv_len = NONCE_TOTAL;
    OSSL_PARAM params[3], *p = params;

    *p++ = OSSL_PARAM_construct_size_t(OSSL_CIPHER_PARAM_AEAD_IVLEN, &iv_len);
    if (suites[suite].is_ccm) {
        /* no bytes, only their number: the length of the tag */
        *p++ = OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, NULL,
                                                 suites[suite].tag_len);
    }
    *p = OSSL_PARAM_construct_end();
    if (cipher == NULL || ctx == NULL ||
        EVP_CipherInit_ex2(ctx, cipher, NULL, NULL, seal ? 1 : 0, params) != 1) {
        EVP_CIPHER_CTX_free(ctx);
        ctx = NULL;
    }
    EVP_CIPHER_free(cipher);
    return ctx;
}

static EVP_MAC_CTX *hmac_new(void)
{
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *ctx = mac == NULL ? NULL : EVP_MAC_CTX_new(mac);
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };

    if (ctx != NULL && EVP_MAC_CTX_set_params(ctx, params) != 1) {
        EVP_MAC_CTX_free(ctx);
        ctx = NULL;
    }
    EVP_MAC_free(mac);
    return ctx;
}

static EVP_KDF_CTX *prf_new(void)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "TLS1-PRF", NULL);
    EVP_KDF_CTX *ctx = kdf == NULL ? NULL : EVP_KDF_CTX_new(kdf);

    EVP_KDF_free(kdf);
    return ctx;
}

dr_err_t dtls_crypto_new(struct dtls_crypto **ret)
{
    dr_assert(ret != NULL);
    struct dtls_crypto *c = OPENSSL_zalloc(sizeof *c);
    if (c == NULL) {
        return DR_ERR_NOMEM;
    }
    c->hmac = hmac_new();
    c->prf = prf_new();
    bool ok = c->hmac != NULL && c->prf != NULL;
    for (int s = DTLS_SUITE_NONE + 1; ok && s < DTLS_SUITES; s++) {
        c->seal[s] = cipher_new((enum dtls_suite)s, true);
        c->open[s] = cipher_new((enum dtls_suite)s, false);
        ok = c->seal[s] != NULL && c->open[s] != NULL;
    }
    if (!ok) {
        dtls_crypto_free(c);
        return DR_ERR_UNSUPPORTED;
    }
    *ret = c;
    return DR_OK;
}

struct dtls_crypto *dtls_crypto_free(struct dtls_crypto *c)
{
    if (c != NULL) {
        for (int s = 0; s < DTLS_SUITES; s++) {
            EVP_CIPHER_CTX_free(c->seal[s]); /* these cleanse the key that was set last */
            EVP_CIPHER_CTX_free(c->open[s]);
        }
        EVP_MAC_CTX_free(c->hmac);
        EVP_KDF_CTX_free(c->prf);
        OPENSSL_free(c);
    }
    return NULL;
}

/* header: the record's 13 bytes, of which the additional data takes type, version and sequence */
static void aad_write(uint8_t aad[AAD_LEN], const uint8_t *header, size_t plain_len)
{
    memcpy(aad, header + 3, 8);
    memcpy(aad + 8, header, 3);
    dr_store_be(aad + 11, plain_len, 2);
}

static void nonce_write(uint8_t nonce[NONCE_TOTAL], const struct dtls_key *k, const uint8_t *part)
{
    memcpy(nonce, k->salt, DTLS_SALT_LEN);
    memcpy(nonce + DTLS_SALT_LEN, part, DTLS_NONCE_LEN);
}

static bool set_tag(EVP_CIPHER_CTX *ctx, uint8_t *tag, size_t len)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag, len),
        OSSL_PARAM_construct_end(),
    };

    return EVP_CIPHER_CTX_set_params(ctx, params) == 1;
}

static bool get_tag(EVP_CIPHER_CTX *ctx, uint8_t *tag, size_t len)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag, len),
        OSSL_PARAM_construct_end(),
    };

    return EVP_CIPHER_CTX_get_params(ctx, params) == 1;
}

dr_err_t dtls_record_open(struct dtls_crypto *c, const struct dtls_key *k,
                          const struct dtls_record *rec, uint8_t **ret_plain, size_t *ret_len)
{
    dr_assert(c != NULL && k != NULL && rec != NULL);
    size_t tag_len = dtls_suite_tag_len(k->suite);
    if (rec->len < DTLS_NONCE_LEN + tag_len ||
        rec->len - DTLS_NONCE_LEN - tag_len > DTLS_PLAIN_MAX) {
        return DR_ERR_PROTO;
    }
    int len = (int)(rec->len - DTLS_NONCE_LEN - tag_len);
    uint8_t *text = rec->body + DTLS_NONCE_LEN;
    EVP_CIPHER_CTX *ctx = c->open[k->suite];
    uint8_t aad[AAD_LEN], nonce[NONCE_TOTAL], none[1] = {0};
    int n = 0;

    aad_write(aad, rec->whole, (size_t)len);
    nonce_write(nonce, k, rec->body);
    bool ok;
    if (suites[k->suite].is_ccm) {
        ok = set_tag(ctx, text + len, tag_len) &&
             EVP_DecryptInit_ex(ctx, NULL, NULL, k->key, nonce) == 1 &&
             EVP_DecryptUpdate(ctx, NULL, &n, NULL, len) == 1 &&
             EVP_DecryptUpdate(ctx, NULL, &n, aad, AAD_LEN) == 1 &&
             EVP_DecryptUpdate(ctx, len == 0 ? none : text, &n, len == 0 ? none : text, len) == 1;
    } else {
        ok = EVP_DecryptInit_ex(ctx, NULL, NULL, k->key, nonce) == 1 &&
             set_tag(ctx, text + len, tag_len) &&
             EVP_DecryptUpdate(ctx, NULL, &n, aad, AAD_LEN) == 1 &&
             (len == 0 || EVP_DecryptUpdate(ctx, text, &n, text, len) == 1) &&
             EVP_DecryptFinal_ex(ctx, none, &n) == 1;
    }
    if (!ok) {
        return DR_ERR_CRYPTO;
    }
    *ret_plain = text;
    *ret_len = (size_t)len;
    return DR_OK;
}

dr_err_t dtls_record_seal(struct dtls_crypto *c, const struct dtls_key *k, uint8_t type,
                          uint16_t epoch, uint64_t seq, uint64_t nonce_part, uint8_t *buf,
                          size_t len, size_t *ret)
{
    dr_assert(c != NULL && k != NULL && buf != NULL && len <= DTLS_PLAIN_MAX);
    size_t tag_len = dtls_suite_tag_len(k->suite);
    EVP_CIPHER_CTX *ctx = c->seal[k->suite];
    uint8_t *text = buf + DTLS_SEAL_HEAD;
    uint8_t aad[AAD_LEN], nonce[NONCE_TOTAL], none[1] = {0};
    int n = 0;

    dtls_header_write(buf, type, epoch, seq, DTLS_NONCE_LEN + len + tag_len);
    dr_store_be(buf + DTLS_HEADER_LEN, nonce_part, DTLS_NONCE_LEN);
    aad_write(aad, buf, len);
    nonce_write(nonce, k, buf + DTLS_HEADER_LEN);
    bool ok = EVP_EncryptInit_ex(ctx, NULL, NULL, k->key, nonce) == 1;
    if (suites[k->suite].is_ccm) {
        ok = ok && EVP_EncryptUpdate(ctx, NULL, &n, NULL, (int)len) == 1 &&
             EVP_EncryptUpdate(ctx, NULL, &n, aad, AAD_LEN) == 1 &&
             EVP_EncryptUpdate(ctx, text, &n, text, (int)len) == 1;
    } else {
        ok = ok && EVP_EncryptUpdate(ctx, NULL, &n, aad, AAD_LEN) == 1 &&
             (len == 0 || EVP_EncryptUpdate(ctx, text, &n, text, (int)len) == 1) &&
             EVP_EncryptFinal_ex(ctx, none, &n) == 1;
    }
    if (!ok || !get_tag(ctx, text + len, tag_len)) {
        dr_wipe(text, len); /* may be plaintext still */
        return DR_ERR_INTERNAL;
    }
    *ret = DTLS_SEAL_HEAD + len + tag_len;
    return DR_OK;
}

dr_err_t dtls_hmac(struct dtls_crypto *c, const uint8_t key[32], const uint8_t *in, size_t len,
                   uint8_t out[32])
{
    dr_assert(c != NULL && key != NULL && out != NULL);
    size_t n = 0;

    if (EVP_MAC_init(c->hmac, key, 32, NULL) != 1 || EVP_MAC_update(c->hmac, in, len) != 1 ||
        EVP_MAC_final(c->hmac, out, &n, 32) != 1 || n != 32) {
        return DR_ERR_INTERNAL;
    }
    return DR_OK;
}

dr_err_t dtls_prf(struct dtls_crypto *c, const char *digest, const uint8_t *secret,
                  size_t secret_len, const char *label, const uint8_t *seed, size_t seed_len,
                  uint8_t *out, size_t out_len)
{
    dr_assert(c != NULL && digest != NULL && label != NULL && out != NULL);
    /* the library reads through these pointers only, whatever their type says */
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)(uintptr_t)digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, (void *)(uintptr_t)secret,
                                          secret_len),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, (void *)(uintptr_t)label,
                                          strlen(label)),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, (void *)(uintptr_t)seed, seed_len),
        OSSL_PARAM_construct_end(),
    };

    EVP_KDF_CTX_reset(c->prf); /* also forgets the secret of the call before */
    int ok = EVP_KDF_derive(c->prf, out, out_len, params);
    EVP_KDF_CTX_reset(c->prf);
    return ok == 1 ? DR_OK : DR_ERR_INTERNAL;
}
