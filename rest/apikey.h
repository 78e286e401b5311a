/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/apikey.h
 * @brief The text of an API key: made once, taken apart, shown without its secret.
 *
 * Layer: rest, pure but for randomness.  Threads: reentrant.  Memory: never allocates.
 * Limits: REST_APIKEY_LEN.  Security: 160 random bits; only SHA-256 of the secret is ever stored.
 * Spec: Pelion API keys.
 *
 *     ak_1 | 43: base64url of the 32 hex digits of the account | 32: key id in hex | 32: secret
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define REST_APIKEY_LEN        111
#define REST_APIKEY_PUBLIC_LEN 79 /**< without the secret */
#define REST_APIKEY_SECRET_LEN 32
#define REST_APIKEY_HASH_LEN   32

/**
 * A new key.
 * @param out   the text and a NUL; the caller wipes it after use
 * @param hash  SHA-256 of the secret: what is stored
 */
void rest_apikey_make(int64_t account, int64_t id, char out[REST_APIKEY_LEN + 1],
                      uint8_t hash[REST_APIKEY_HASH_LEN]);

/** The text without its secret, and a NUL. */
void rest_apikey_public(int64_t account, int64_t id, char out[REST_APIKEY_PUBLIC_LEN + 1]);

/**
 * Take a text apart.
 * @param len       REST_APIKEY_LEN, or REST_APIKEY_PUBLIC_LEN for one without secret
 * @param ret_hash  SHA-256 of the secret; untouched when there is none; may be NULL
 * @retval DR_ERR_PROTO  not the shape
 */
DR_CHECK dr_err_t rest_apikey_parse(const char *text, size_t len, int64_t *ret_account,
                                    int64_t *ret_id, uint8_t ret_hash[REST_APIKEY_HASH_LEN]);
