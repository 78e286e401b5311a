/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sealed secret:
 *
 *     01 | nonce 12 | AES-256-GCM(secret) | tag 16          AAD: 01 | label
 *
 * Random nonces: 2^32 secrets under one key are far beyond what an installation seals.
 */
#include "certs/vault.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "base/file.h"
#include "base/rand.h"
#include "base/text.h"

#define FORMAT          1
#define NONCE_LEN       12
#define TAG_LEN         16
#define MASTER_FILE     "master.key"
#define CREDENTIAL      "drover-master"
#define MASTER_FILE_MAX 256

struct cert_vault {
    uint8_t key[CERT_MASTER_LEN];
};

dr_err_t cert_vault_new(const uint8_t key[CERT_MASTER_LEN], struct cert_vault **ret)
{
    dr_assert(key != NULL && ret != NULL);
    struct cert_vault *v = calloc(1, sizeof *v);
    if (v == NULL) {
        return DR_ERR_NOMEM;
    }
    memcpy(v->key, key, sizeof v->key);
    *ret = v;
    return DR_OK;
}

struct cert_vault *cert_vault_free(struct cert_vault *v)
{
    if (v != NULL) {
        dr_wipe(v, sizeof *v);
        free(v);
    }
    return NULL;
}

static dr_err_t master_read(const char *path, struct cert_vault **ret, struct dr_errinfo *reterr)
{
    uint8_t key[CERT_MASTER_LEN];
    char *text;
    size_t len, n = 0;
    dr_err_t err = dr_file_read(path, MASTER_FILE_MAX, &text, &len, reterr);

    if (err != DR_OK) {
        return err;
    }
    err = dr_hex_decode(text, strcspn(text, "\r\n"), key, sizeof key, &n);
    if (err != DR_OK || n != sizeof key) {
        dr_errinfo_set(reterr, path, 0, "is not %d bytes in hex", CERT_MASTER_LEN);
        err = DR_ERR_CORRUPT;
    } else {
        err = cert_vault_new(key, ret);
    }
    dr_wipe(key, sizeof key);
    dr_wipe(text, len);
    free(text);
    return err;
}

static dr_err_t master_make(const char *path, struct cert_vault **ret, struct dr_errinfo *reterr)
{
    uint8_t key[CERT_MASTER_LEN];
    char hex[DR_HEX_LEN(CERT_MASTER_LEN) + 2];

    dr_rand_bytes(key, sizeof key);
    dr_hex_encode(key, sizeof key, hex);
    hex[DR_HEX_LEN(CERT_MASTER_LEN)] = '\n';
    dr_err_t err = dr_file_write(path, hex, DR_HEX_LEN(CERT_MASTER_LEN) + 1, reterr);
    err = err == DR_OK ? cert_vault_new(key, ret) : err;
    dr_wipe(key, sizeof key);
    dr_wipe(hex, sizeof hex);
    return err;
}

dr_err_t cert_vault_open(const char *keys_dir, bool make, struct cert_vault **ret,
                         struct dr_errinfo *reterr)
{
    dr_assert(keys_dir != NULL && ret != NULL);
    const char *credentials = getenv("CREDENTIALS_DIRECTORY");
    char path[DR_PATH_MAX];

    if (credentials != NULL && credentials[0] == '/') {
        dr_err_t err = dr_path_join(path, credentials, CREDENTIAL);
        err = err == DR_OK ? master_read(path, ret, reterr) : err;
        if (err != DR_ERR_NOT_FOUND) {
            return err;
        }
    }
    dr_err_t err = dr_path_join(path, keys_dir, MASTER_FILE);
    err = err == DR_OK ? master_read(path, ret, reterr) : err;
    return err == DR_ERR_NOT_FOUND && make ? master_make(path, ret, reterr) : err;
}

static EVP_CIPHER_CTX *begin(const struct cert_vault *v, struct dr_bytes label,
                             const uint8_t *nonce, int seal)
{
    static const uint8_t format[] = {FORMAT};
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n;

    if (ctx != NULL && EVP_CipherInit_ex2(ctx, EVP_aes_256_gcm(), v->key, nonce, seal, NULL) == 1 &&
        EVP_CipherUpdate(ctx, NULL, &n, format, sizeof format) == 1 &&
        (label.len == 0 || EVP_CipherUpdate(ctx, NULL, &n, label.p, (int)label.len) == 1)) {
        return ctx;
    }
    EVP_CIPHER_CTX_free(ctx);
    return NULL;
}

dr_err_t cert_vault_seal(const struct cert_vault *v, struct dr_bytes label, struct dr_bytes plain,
                         uint8_t *out, size_t cap, size_t *ret_len)
{
    dr_assert(v != NULL && out != NULL && ret_len != NULL && plain.len <= INT32_MAX);
    if (cap < plain.len + CERT_SEAL_EXTRA) {
        return DR_ERR_NOSPACE;
    }
    uint8_t *nonce = out + 1, *text = nonce + NONCE_LEN, *tag = text + plain.len;
    out[0] = FORMAT;
    EVP_CIPHER_CTX *ctx = RAND_bytes(nonce, NONCE_LEN) == 1 ? begin(v, label, nonce, 1) : NULL;
    int n = 0;
    bool ok = ctx != NULL &&
              (plain.len == 0 || EVP_CipherUpdate(ctx, text, &n, plain.p, (int)plain.len) == 1) &&
              EVP_CipherFinal_ex(ctx, text + n, &n) == 1 &&
              EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_LEN, tag) == 1;

    EVP_CIPHER_CTX_free(ctx);
    ERR_clear_error();
    if (!ok) {
        dr_wipe(out, plain.len + CERT_SEAL_EXTRA);
        return DR_ERR_INTERNAL;
    }
    *ret_len = plain.len + CERT_SEAL_EXTRA;
    return DR_OK;
}

dr_err_t cert_vault_unseal(const struct cert_vault *v, struct dr_bytes label,
                           struct dr_bytes sealed, uint8_t *out, size_t cap, size_t *ret_len)
{
    dr_assert(v != NULL && out != NULL && ret_len != NULL);
    if (sealed.len < CERT_SEAL_EXTRA || sealed.p[0] != FORMAT || sealed.len > INT32_MAX) {
        return DR_ERR_CRYPTO;
    }
    size_t len = sealed.len - CERT_SEAL_EXTRA;
    if (len > cap) {
        return DR_ERR_NOSPACE;
    }
    const uint8_t *nonce = sealed.p + 1, *text = nonce + NONCE_LEN;
    uint8_t tag[TAG_LEN];
    memcpy(tag, text + len, TAG_LEN);
    EVP_CIPHER_CTX *ctx = begin(v, label, nonce, 0);
    int n = 0;
    bool ok = ctx != NULL && (len == 0 || EVP_CipherUpdate(ctx, out, &n, text, (int)len) == 1) &&
              EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_LEN, tag) == 1 &&
              EVP_CipherFinal_ex(ctx, out + n, &n) == 1;

    EVP_CIPHER_CTX_free(ctx);
    ERR_clear_error();
    if (!ok) {
        dr_wipe(out, len);
        return DR_ERR_CRYPTO;
    }
    *ret_len = len;
    return DR_OK;
}
