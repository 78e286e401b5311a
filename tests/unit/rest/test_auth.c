/* SPDX-License-Identifier: Apache-2.0 */
#include "rest/auth.h"

#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "base/text.h"

#define ACCOUNT ((int64_t)0x19000000001 << 20 | 5)
#define KEY     ((int64_t)0x19000000002 << 20 | 9)

START_TEST(a_key_has_the_shape_of_the_contract)
{
    char text[REST_APIKEY_LEN + 1];
    char shown[REST_APIKEY_PUBLIC_LEN + 1];
    uint8_t hash[REST_APIKEY_HASH_LEN];
    uint8_t again[REST_APIKEY_HASH_LEN];
    int64_t account = 0;
    int64_t id = 0;

    rest_apikey_make(ACCOUNT, KEY, text, hash);
    ck_assert_uint_eq(strlen(text), 111);
    ck_assert_int_eq(memcmp(text, "ak_1", 4), 0);
    ck_assert_int_eq(memcmp(text + 47, "019000000002", 12), 0);
    ck_assert_int_eq(rest_apikey_parse(text, 111, &account, &id, again), DR_OK);
    ck_assert(account == ACCOUNT && id == KEY);
    ck_assert_int_eq(memcmp(hash, again, sizeof hash), 0);
    rest_apikey_public(ACCOUNT, KEY, shown);
    ck_assert_uint_eq(strlen(shown), 79);
    ck_assert_int_eq(memcmp(shown, text, 79), 0);
    ck_assert_int_eq(rest_apikey_parse(shown, 79, &account, &id, NULL), DR_OK);
}
END_TEST

START_TEST(two_keys_differ)
{
    char a[REST_APIKEY_LEN + 1], b[REST_APIKEY_LEN + 1];
    uint8_t ha[REST_APIKEY_HASH_LEN], hb[REST_APIKEY_HASH_LEN];

    rest_apikey_make(ACCOUNT, KEY, a, ha);
    rest_apikey_make(ACCOUNT, KEY, b, hb);
    ck_assert_str_ne(a + 79, b + 79);
    ck_assert_int_ne(memcmp(ha, hb, sizeof ha), 0);
}
END_TEST

START_TEST(a_wrong_shape_is_refused)
{
    char text[REST_APIKEY_LEN + 2] = {0};
    char bad[REST_APIKEY_LEN + 2];
    uint8_t hash[REST_APIKEY_HASH_LEN];
    int64_t account = 77;
    int64_t id = 77;

    rest_apikey_make(ACCOUNT, KEY, text, hash);
    for (size_t len = 0; len < 111; len++) {
        if (len != 79) {
            ck_assert_int_eq(rest_apikey_parse(text, len, &account, &id, hash), DR_ERR_PROTO);
        }
    }
    ck_assert_int_eq(rest_apikey_parse(text, 112, &account, &id, hash), DR_ERR_PROTO);
    static const size_t places[] = {0, 3, 4, 46, 47, 78};
    for (size_t i = 0; i < DR_ARRAY_LEN(places); i++) {
        memcpy(bad, text, sizeof bad);
        bad[places[i]] = '!';
        ck_assert_int_eq(rest_apikey_parse(bad, 111, &account, &id, hash), DR_ERR_PROTO);
    }
    ck_assert(account == 77 && id == 77);
}
END_TEST

START_TEST(the_header_is_bearer_and_one_word)
{
    static const struct {
        const char *header, *token;
    } cases[] = {
        {"Bearer abc", "abc"}, {"bearer   abc", "abc"}, {"Bearer ", NULL}, {"Bearer", NULL},
        {"Bearer a b", NULL},  {"Basic abc", NULL},     {"abc", NULL},     {NULL, NULL},
    };
    for (size_t i = 0; i < DR_ARRAY_LEN(cases); i++) {
        size_t len = 0;
        const char *token = rest_auth_token(cases[i].header, &len);
        ck_assert_msg((token == NULL) == (cases[i].token == NULL), "%zu", i);
        if (token != NULL) {
            ck_assert_uint_eq(len, strlen(cases[i].token));
            ck_assert_int_eq(memcmp(token, cases[i].token, len), 0);
        }
    }
}
END_TEST

START_TEST(the_memory_ends_with_time_and_revocation)
{
    struct rest_auth_cache *cache = calloc(1, sizeof *cache);
    const struct rest_who who = {.account = ACCOUNT, .key = KEY, .admin = true};
    uint8_t hash[REST_APIKEY_HASH_LEN] = {1};
    uint8_t other[REST_APIKEY_HASH_LEN] = {2};
    struct rest_who got = {0};

    ck_assert(!rest_auth_cache_get(cache, ACCOUNT, KEY, hash, 0, &got));
    rest_auth_cache_put(cache, &who, hash, 1000);
    ck_assert(rest_auth_cache_get(cache, ACCOUNT, KEY, hash, 1000, &got));
    ck_assert(got.account == ACCOUNT && got.key == KEY && got.admin);
    ck_assert(!rest_auth_cache_get(cache, ACCOUNT, KEY, other, 1000, &got));
    ck_assert(!rest_auth_cache_get(cache, ACCOUNT + 1, KEY, hash, 1000, &got));
    ck_assert(!rest_auth_cache_get(cache, ACCOUNT, KEY + 1, hash, 1000, &got));
    ck_assert(rest_auth_cache_get(cache, ACCOUNT, KEY, hash, 999 + REST_AUTH_CACHE_MS, &got));
    ck_assert(!rest_auth_cache_get(cache, ACCOUNT, KEY, hash, 1000 + REST_AUTH_CACHE_MS, &got));
    rest_auth_cache_put(cache, &who, hash, 1000);
    rest_auth_cache_drop(cache, KEY + 1);
    ck_assert(rest_auth_cache_get(cache, ACCOUNT, KEY, hash, 1000, &got));
    rest_auth_cache_drop(cache, KEY);
    ck_assert(!rest_auth_cache_get(cache, ACCOUNT, KEY, hash, 1000, &got));
    ck_assert_uint_eq(cache->drops, 2);
    free(cache);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("rest auth");
    TCase *tc = tcase_create("keys");
    tcase_add_test(tc, a_key_has_the_shape_of_the_contract);
    tcase_add_test(tc, two_keys_differ);
    tcase_add_test(tc, a_wrong_shape_is_refused);
    tcase_add_test(tc, the_header_is_bearer_and_one_word);
    tcase_add_test(tc, the_memory_ends_with_time_and_revocation);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed;
}
