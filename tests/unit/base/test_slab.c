/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/rand.h"
#include "base/slab.h"
#include "tests/unit/run.h"

struct item {
    uint64_t first;
    uint32_t generation;
    uint32_t owner;
};

START_TEST(items_are_zero_distinct_and_stay)
{
    struct dr_slab s;
    enum { N = 20000 };
    static uint32_t index[N];
    static struct item *at[N];

    ck_assert_int_eq(dr_slab_init(&s, sizeof(struct item), N, 0), DR_OK);
    for (uint32_t i = 0; i < N; i++) {
        ck_assert_int_eq(dr_slab_alloc(&s, &index[i]), DR_OK);
        ck_assert_uint_ne(index[i], 0);
        at[i] = dr_slab_get(&s, index[i]);
        ck_assert(at[i]->first == 0 && at[i]->owner == 0);
        ck_assert_uint_eq((uintptr_t)at[i] % 8, 0);
        *at[i] = (struct item){.first = UINT64_MAX, .owner = i};
    }
    for (uint32_t i = 0; i < N; i++) {
        ck_assert_ptr_eq(dr_slab_get(&s, index[i]), at[i]);
        ck_assert_uint_eq(at[i]->owner, i);
        ck_assert(dr_slab_used(&s, index[i]));
    }
    uint32_t none = 77;
    ck_assert_int_eq(dr_slab_alloc(&s, &none), DR_ERR_LIMIT);
    ck_assert_uint_eq(none, 77);
    ck_assert(!dr_slab_used(&s, 0) && !dr_slab_used(&s, UINT32_MAX));
    ck_assert_uint_eq(s.count, N);
    dr_slab_fini(&s);
    dr_slab_fini(&s);
    dr_slab_fini(NULL);
}
END_TEST

START_TEST(empty_chunks_go_back_and_come_again)
{
    struct dr_slab s;
    enum { N = 50000 };
    static uint32_t index[N];

    ck_assert_int_eq(dr_slab_init(&s, 64, N, 0), DR_OK);
    for (int round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < N; i++) {
            ck_assert_int_eq(dr_slab_alloc(&s, &index[i]), DR_OK);
            memset(dr_slab_get(&s, index[i]), 0xee, 64);
        }
        ck_assert_uint_gt(dr_slab_bytes(&s), (size_t)N * 64);
        ck_assert_uint_lt(dr_slab_bytes(&s), (size_t)N * 64 * 11 / 10 + 600000);
        for (uint32_t i = 0; i < N; i++) {
            dr_slab_free(&s, index[(i * 7919U) % N]);
        }
        ck_assert_uint_eq(s.count, 0);
        ck_assert_uint_eq(s.mapped, 1);
    }
    dr_slab_fini(&s);
}
END_TEST

START_TEST(keep_leaves_a_generation_in_place)
{
    struct dr_slab s;
    uint32_t a;
    uint32_t b;

    ck_assert_int_eq(dr_slab_init(&s, sizeof(struct item), 10, DR_SLAB_KEEP), DR_OK);
    ck_assert_int_eq(dr_slab_alloc(&s, &a), DR_OK);
    struct item *it = dr_slab_get(&s, a);
    ck_assert_uint_eq(it->generation, 0);
    it->generation = 5;
    it->first = 1;
    dr_slab_free(&s, a);
    ck_assert_int_eq(dr_slab_alloc(&s, &b), DR_OK);
    ck_assert_uint_eq(a, b);
    ck_assert(it->first == 0 && it->generation == 5);
    dr_slab_fini(&s);
}
END_TEST

START_TEST(secret_items_are_wiped)
{
    struct dr_slab s;
    uint32_t a;

    ck_assert_int_eq(dr_slab_init(&s, 100, 10, DR_SLAB_SECRET), DR_OK);
    ck_assert_int_eq(dr_slab_alloc(&s, &a), DR_OK);
    memset(dr_slab_get(&s, a), 0x55, 100);
    dr_slab_free(&s, a);
    ck_assert_int_eq(dr_slab_alloc(&s, &a), DR_OK);
    const uint8_t *p = dr_slab_get(&s, a);
    for (int i = 0; i < 100; i++) {
        ck_assert_uint_eq(p[i], 0);
    }
    dr_slab_fini(&s);
}
END_TEST

START_TEST(large_items_have_chunks_too)
{
    struct dr_slab s;
    uint32_t a[3];

    ck_assert_int_eq(dr_slab_init(&s, 200000, 3, 0), DR_OK);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(dr_slab_alloc(&s, &a[i]), DR_OK);
        memset(dr_slab_get(&s, a[i]), i, 200000);
    }
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_eq(((uint8_t *)dr_slab_get(&s, a[i]))[199999], i);
    }
    dr_slab_fini(&s);
}
END_TEST

START_TEST(random_use_agrees_with_a_plain_array)
{
    enum { MAX = 3000 };
    static uint8_t used[2 * MAX + 20000];
    struct dr_slab s;
    struct dr_prng r;
    static uint32_t live[MAX];
    uint32_t n = 0;

    dr_prng_init(&r, 11);
    ck_assert_int_eq(dr_slab_init(&s, 300, MAX, 0), DR_OK);
    for (int op = 0; op < 200000; op++) {
        bool grow = dr_prng_below(&r, 100) < ((op / 20000) % 2 == 0 ? 60U : 40U);
        if (grow && n < MAX) {
            uint32_t i;
            ck_assert_int_eq(dr_slab_alloc(&s, &i), DR_OK);
            ck_assert_uint_lt(i, sizeof used);
            ck_assert_uint_eq(used[i], 0);
            used[i] = 1;
            live[n++] = i;
            uint64_t *p = dr_slab_get(&s, i);
            ck_assert_uint_eq(p[10], 0);
            p[10] = i;
        } else if (!grow && n > 0) {
            uint32_t k = dr_prng_below(&r, n);
            uint64_t *p = dr_slab_get(&s, live[k]);
            ck_assert_uint_eq(p[10], live[k]);
            dr_slab_free(&s, live[k]);
            used[live[k]] = 0;
            live[k] = live[--n];
        }
        ck_assert_uint_eq(s.count, n);
        if (op % 10000 == 0) {
            uint32_t walked = 0;
            for (uint32_t i = dr_slab_next(&s, 0); i != 0; i = dr_slab_next(&s, i)) {
                ck_assert_uint_eq(used[i], 1);
                walked++;
            }
            ck_assert_uint_eq(walked, n);
        }
    }
    dr_slab_fini(&s);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("base/slab");
    TCase *tc = add_case(s, "slab");

    tcase_add_test(tc, items_are_zero_distinct_and_stay);
    tcase_add_test(tc, empty_chunks_go_back_and_come_again);
    tcase_add_test(tc, keep_leaves_a_generation_in_place);
    tcase_add_test(tc, secret_items_are_wiped);
    tcase_add_test(tc, large_items_have_chunks_too);
    tcase_add_test(tc, random_use_agrees_with_a_plain_array);
    return run_suite(s);
}
