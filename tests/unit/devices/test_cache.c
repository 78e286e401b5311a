/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/cache.h"
#include "tests/unit/devices/unit.h"

static dr_err_t put(struct dev_cache **c, uint64_t path, int64_t at_ms, const void *p, size_t len)
{
    struct dev_cached v = {
        .path = path, .at_ms = at_ms, .max_age_s = 60, .ct = 42, .payload = dr_bytes_of(p, len)};

    return dev_cache_put(c, &v);
}

START_TEST(the_last_value_of_a_path_stays)
{
    struct dev_cache *c = NULL;
    struct dev_cached v;

    ck_assert(!dev_cache_get(c, 1, &v));
    ck_assert_int_eq(put(&c, 1, 10, "abc", 3), DR_OK);
    ck_assert_int_eq(put(&c, 2, 11, "", 0), DR_OK);
    ck_assert_int_eq(put(&c, 1, 12, "xyz", 3), DR_OK); /* same length: in place */
    ck_assert_int_eq(put(&c, 2, 13, "longer", 6), DR_OK);
    ck_assert_uint_eq(c->count, 2);
    ck_assert(dev_cache_get(c, 1, &v));
    ck_assert_uint_eq(v.payload.len, 3);
    ck_assert_mem_eq(v.payload.p, "xyz", 3);
    ck_assert_int_eq(v.at_ms, 12);
    ck_assert_uint_eq(v.ct, 42);
    ck_assert(dev_cache_get(c, 2, &v));
    ck_assert_mem_eq(v.payload.p, "longer", 6);
    dev_cache_drop(c, 1, 1);
    ck_assert(!dev_cache_get(c, 1, &v));
    ck_assert_uint_eq(c->count, 1);
    free(c);
}
END_TEST

START_TEST(the_oldest_value_makes_room_at_the_limits)
{
    struct dev_cache *c = NULL;
    struct dev_cached v;
    static uint8_t big[DEV_CACHE_VALUE_MAX + 1];

    for (uint64_t i = 1; i <= DEV_CACHE_VALUES_MAX + 1; i++) {
        ck_assert_int_eq(put(&c, i, (int64_t)(1000 + i), "v", 1), DR_OK);
    }
    ck_assert_uint_eq(c->count, DEV_CACHE_VALUES_MAX);
    ck_assert(!dev_cache_get(c, 1, &v));
    ck_assert(dev_cache_get(c, 2, &v));
    for (uint64_t i = 500; i < 505; i++) {
        ck_assert_int_eq(put(&c, i, (int64_t)(5000 + i), big, DEV_CACHE_VALUE_MAX), DR_OK);
        ck_assert_uint_le(c->len, DEV_CACHE_BYTES_MAX);
    }
    ck_assert(dev_cache_get(c, 504, &v));
    ck_assert_int_eq(put(&c, 504, 9000, big, DEV_CACHE_VALUE_MAX + 1), DR_ERR_TOO_LARGE);
    ck_assert(!dev_cache_get(c, 504, &v)); /* no stale value stays behind */
    free(c);
}
END_TEST

START_TEST(a_block_is_read_back_and_a_damaged_one_refused)
{
    struct dev_cache *c = NULL, *d = NULL;
    struct dev_cached v;

    ck_assert_int_eq(put(&c, 7, 1700000000000, "87", 2), DR_OK);
    ck_assert_int_eq(put(&c, 8, 1700000000001, "x", 1), DR_OK);
    struct dr_bytes b = dev_cache_bytes(c);
    ck_assert_int_eq(dev_cache_load(b, &d), DR_OK);
    ck_assert(dev_cache_get(d, 7, &v));
    ck_assert_int_eq(v.at_ms, 1700000000000);
    ck_assert_uint_eq(v.max_age_s, 60);
    ck_assert_int_eq(put(&d, 9, 1, "more", 4), DR_OK);
    free(d);
    d = NULL;
    for (size_t cut = 1; cut < b.len; cut++) {
        bool whole = cut == 24; /* after the first value */
        ck_assert_int_eq(dev_cache_load(dr_bytes_of(b.p, cut), &d), whole ? DR_OK : DR_ERR_CORRUPT);
        free(d);
        d = NULL;
    }
    ck_assert_int_eq(dev_cache_load(dr_bytes_of(NULL, 0), &d), DR_OK);
    ck_assert_ptr_null(d);
    free(c);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("devices: cache");
    TCase *tc = tcase_create("cache");

    tcase_add_test(tc, the_last_value_of_a_path_stays);
    tcase_add_test(tc, the_oldest_value_makes_room_at_the_limits);
    tcase_add_test(tc, a_block_is_read_back_and_a_damaged_one_refused);
    suite_add_tcase(s, tc);
    return unit_main(s);
}
