/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/auth.h
 * @brief Who asks: `Authorization: Bearer ak_…` against the stored hashes, with a short memory.
 *
 * Layer: rest.  Threads: the control loop.  Memory: a fixed table.
 * Limits: REST_AUTH_CACHE_MAX keys are remembered for REST_AUTH_CACHE_MS.
 * Security: secrets are compared as SHA-256 in constant time; of an unknown key only that it is
 * unknown is told; failures are logged at a limited rate, never with the key.  Spec: RFC6750#2.1.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "rest/apikey.h"
#include "rest/req.h"

#define REST_AUTH_CACHE_MAX 256
#define REST_AUTH_CACHE_MS  10000

/** Verified keys. */
struct rest_auth_cache {
    uint64_t drops; /**< of rest_auth_cache_drop(): what was read before one is not put after it */
    struct rest_auth_entry {
        uint8_t hash[REST_APIKEY_HASH_LEN]; /**< of the secret */
        struct rest_who who;                /**< account 0 = empty */
        uint64_t until_ms;
    } entry[REST_AUTH_CACHE_MAX];
};

/** Look up a verified key. @return false: not there or too old */
bool rest_auth_cache_get(const struct rest_auth_cache *cache, int64_t account, int64_t key,
                         const uint8_t hash[REST_APIKEY_HASH_LEN], uint64_t now_ms,
                         struct rest_who *ret);
void rest_auth_cache_put(struct rest_auth_cache *cache, const struct rest_who *who,
                         const uint8_t hash[REST_APIKEY_HASH_LEN], uint64_t now_ms);
/** The key was changed or deleted. */
void rest_auth_cache_drop(struct rest_auth_cache *cache, int64_t key);

/** For struct rest_http_config.authorise with struct rest as app. */
bool rest_auth_start(struct rest_req *req);

/**
 * The token in an Authorization header.
 * @param ret_len  its length
 * @return its start within @p header, or NULL when it is not `Bearer token`
 */
const char *rest_auth_token(const char *header, size_t *ret_len);

/** The key in a Sec-WebSocket-Protocol header (`wss,pelion_ak_…`), or NULL. */
const char *rest_auth_protocol_token(const char *header, size_t *ret_len);
