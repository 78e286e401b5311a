/* SPDX-License-Identifier: Apache-2.0 */
#include "rest/apikey.h"

#include <string.h>

#include <openssl/sha.h>

#include "base/ids.h"
#include "base/rand.h"
#include "base/text.h"

#define PREFIX      "ak_1"
#define PREFIX_LEN  4
#define ACCOUNT_LEN 43

void rest_apikey_public(int64_t account, int64_t id, char out[REST_APIKEY_PUBLIC_LEN + 1])
{
    char hex[DR_ID_LEN + 1];
    char base64[DR_BASE64_LEN(DR_ID_LEN) + 1];

    dr_assert(account > 0 && id > 0);
    dr_id_format(account, hex);
    size_t n = dr_base64url_encode(hex, DR_ID_LEN, base64);
    dr_assert(n == ACCOUNT_LEN);
    memcpy(out, PREFIX, PREFIX_LEN);
    memcpy(out + PREFIX_LEN, base64, ACCOUNT_LEN);
    dr_id_format(id, out + PREFIX_LEN + ACCOUNT_LEN);
}

/* 32 letters and digits with 5 random bits each. */
static void secret_make(char out[REST_APIKEY_SECRET_LEN])
{
    static const char alphabet[33] = "abcdefghijklmnopqrstuvwxyz234567";
    uint8_t raw[REST_APIKEY_SECRET_LEN];

    dr_rand_bytes(raw, sizeof raw);
    for (size_t i = 0; i < sizeof raw; i++) {
        out[i] = alphabet[raw[i] & 31];
    }
    dr_wipe(raw, sizeof raw);
}

void rest_apikey_make(int64_t account, int64_t id, char out[REST_APIKEY_LEN + 1],
                      uint8_t hash[REST_APIKEY_HASH_LEN])
{
    char *secret = out + REST_APIKEY_PUBLIC_LEN;

    rest_apikey_public(account, id, out);
    secret_make(secret);
    out[REST_APIKEY_LEN] = '\0';
    (void)SHA256((const unsigned char *)secret, REST_APIKEY_SECRET_LEN, hash);
}

dr_err_t rest_apikey_parse(const char *text, size_t len, int64_t *ret_account, int64_t *ret_id,
                           uint8_t ret_hash[REST_APIKEY_HASH_LEN])
{
    dr_assert(text != NULL && ret_account != NULL && ret_id != NULL);
    char hex[DR_ID_LEN];
    size_t n = 0;
    int64_t account = 0;
    int64_t id = 0;

    if ((len != REST_APIKEY_LEN && len != REST_APIKEY_PUBLIC_LEN) ||
        memcmp(text, PREFIX, PREFIX_LEN) != 0 ||
        dr_base64url_decode(text + PREFIX_LEN, ACCOUNT_LEN, (uint8_t *)hex, sizeof hex, &n) !=
            DR_OK ||
        dr_id_parse(hex, n, &account) != DR_OK ||
        dr_id_parse(text + PREFIX_LEN + ACCOUNT_LEN, DR_ID_LEN, &id) != DR_OK) {
        return DR_ERR_PROTO;
    }
    if (len == REST_APIKEY_LEN && ret_hash != NULL) {
        (void)SHA256((const unsigned char *)text + REST_APIKEY_PUBLIC_LEN, REST_APIKEY_SECRET_LEN,
                     ret_hash);
    }
    *ret_account = account;
    *ret_id = id;
    return DR_OK;
}
