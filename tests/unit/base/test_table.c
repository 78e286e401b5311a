/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/rand.h"
#include "base/table.h"
#include "tests/unit/run.h"

/* The items: key of index i is keys[i]. */
enum { ITEMS = 300000 };
static uint64_t keys[ITEMS + 1];

static bool key_eq(void *ctx, uint32_t index, const void *key)
{
    (void)ctx;
    return keys[index] == *(const uint64_t *)key;
}

static uint32_t hash_good(uint64_t key)
{
    return dr_mix32(key);
}

static uint32_t hash_few(uint64_t key)
{
    return (uint32_t)(key % 3000) * 7; /* many equal ones */
}

static uint32_t hash_plain(uint64_t key)
{
    return (uint32_t)key;
}

static uint32_t (*const hashes[])(uint64_t) = {hash_good, hash_few, hash_plain};

START_TEST(random_use_agrees_with_a_plain_array)
{
    enum { N = 4000 };
    uint32_t (*hash)(uint64_t) = hashes[_i];
    static bool in[N + 1];
    struct dr_table t;
    struct dr_prng r;
    uint32_t count = 0;

    dr_prng_init(&r, 21);
    memset(in, 0, sizeof in);
    ck_assert_int_eq(dr_table_init(&t, N, key_eq, NULL), DR_OK);
    for (uint32_t i = 1; i <= N; i++) {
        keys[i] = i * 3;
    }
    for (int op = 0; op < 150000; op++) {
        uint32_t i = 1 + dr_prng_below(&r, N);
        uint32_t bias = (op / 15000) % 2 == 0 ? 85 : 15;
        if (dr_prng_below(&r, 100) < bias) {
            uint32_t found = dr_table_get(&t, hash(keys[i]), &keys[i]);
            ck_assert_uint_eq(found, in[i] ? i : 0);
            if (!in[i]) {
                ck_assert_int_eq(dr_table_put(&t, hash(keys[i]), i), DR_OK);
                in[i] = true;
                count++;
            }
        } else {
            ck_assert(dr_table_del(&t, hash(keys[i]), i) == in[i]);
            count -= in[i] ? 1 : 0;
            in[i] = false;
        }
        ck_assert_uint_eq(t.count, count);
        if (op % 5000 == 0) {
            uint64_t cursor = 0;
            uint32_t walked = 0;
            uint32_t wrong = 0;
            for (uint32_t k = dr_table_next(&t, &cursor); k != 0; k = dr_table_next(&t, &cursor)) {
                wrong += in[k] ? 0 : 1;
                walked++;
            }
            for (uint32_t k = 1; k <= N; k++) {
                wrong += dr_table_get(&t, hash(keys[k]), &keys[k]) != (in[k] ? k : 0) ? 1 : 0;
            }
            ck_assert_uint_eq(walked, count);
            ck_assert_uint_eq(wrong, 0);
        }
    }
    dr_table_fini(&t);
    dr_table_fini(&t);
    dr_table_fini(NULL);
}
END_TEST

START_TEST(memory_follows_the_number_of_entries)
{
    struct dr_table t;

    ck_assert_int_eq(dr_table_init(&t, ITEMS, key_eq, NULL), DR_OK);
    ck_assert_uint_eq(dr_table_bytes(&t), 4096);
    for (uint32_t i = 1; i <= ITEMS; i++) {
        keys[i] = i;
        ck_assert_int_eq(dr_table_put(&t, hash_good(i), i), DR_OK);
        if (i > 20000 && t.old.slots == NULL) {
            double each = (double)dr_table_bytes(&t) / i;
            ck_assert_msg(each < 11.1, "%u entries: %.2f bytes each", i, each);
        }
    }
    for (uint32_t i = 1; i <= ITEMS; i++) {
        ck_assert_uint_eq(dr_table_get(&t, hash_good(i), &keys[i]), i);
    }
    for (uint32_t i = 1; i <= ITEMS; i++) {
        ck_assert(dr_table_del(&t, hash_good(i), i));
    }
    for (int i = 0; i < 100; i++) { /* the last steps of the last move */
        ck_assert_int_eq(dr_table_put(&t, hash_good(1), 1), DR_OK);
        ck_assert(dr_table_del(&t, hash_good(1), 1));
    }
    ck_assert_uint_eq(dr_table_bytes(&t), 4096);
    dr_table_fini(&t);
}
END_TEST

START_TEST(no_operation_moves_many_slots)
{
    struct dr_table t;
    uint32_t most = 0;

    ck_assert_int_eq(dr_table_init(&t, ITEMS, key_eq, NULL), DR_OK);
    for (uint32_t i = 1; i <= ITEMS; i++) {
        uint32_t before = t.old.slots == NULL ? 0 : t.old_pos;
        ck_assert_int_eq(dr_table_put(&t, hash_good(i), i), DR_OK);
        uint32_t moved = t.old.slots == NULL || t.old_pos < before ? 0 : t.old_pos - before;
        most = moved > most ? moved : most;
    }
    ck_assert_uint_ge(most, DR_TABLE_STEP);
    ck_assert_uint_lt(most, 4 * DR_TABLE_STEP); /* a stretch of gaps may be passed beside */
    dr_table_fini(&t);
}
END_TEST

START_TEST(the_maximum_is_a_maximum)
{
    struct dr_table t;

    ck_assert_int_eq(dr_table_init(&t, 2, key_eq, NULL), DR_OK);
    ck_assert_int_eq(dr_table_put(&t, 1, 1), DR_OK);
    ck_assert_int_eq(dr_table_put(&t, 2, 2), DR_OK);
    ck_assert_int_eq(dr_table_put(&t, 3, 3), DR_ERR_LIMIT);
    ck_assert(dr_table_del(&t, 1, 1));
    ck_assert(!dr_table_del(&t, 1, 1));
    ck_assert(!dr_table_del(&t, 2, 1));
    ck_assert(!dr_table_del(&t, 0, 0));
    ck_assert_int_eq(dr_table_put(&t, 3, 3), DR_OK);
    dr_table_fini(&t);
}
END_TEST

START_TEST(equal_hashes_without_end_are_refused_but_lose_nothing)
{
    struct dr_table t;
    uint32_t n = 0;

    ck_assert_int_eq(dr_table_init(&t, ITEMS, key_eq, NULL), DR_OK);
    /* the inverse of the table's own multiplication puts all of them at the very end */
    uint32_t last = 4050964655U;
    ck_assert_uint_eq(last * 2654435761U, UINT32_MAX);
    for (uint32_t i = 1; i <= 5000; i++) {
        keys[i] = i;
        if (dr_table_put(&t, last, i) != DR_OK) {
            break;
        }
        n = i;
    }
    ck_assert_uint_ge(n, 100);
    ck_assert_uint_lt(n, 5000);
    ck_assert_uint_eq(t.count, n);
    for (uint32_t i = 1; i <= n; i++) {
        ck_assert_uint_eq(dr_table_get(&t, last, &keys[i]), i);
    }
    for (uint32_t i = 1; i <= n; i++) {
        ck_assert(dr_table_del(&t, last, i));
    }
    dr_table_fini(&t);
}
END_TEST

START_TEST(a_walk_sees_what_stays_while_the_table_changes)
{
    enum { STAY = 5000, N = 60000 };
    struct dr_table t;
    struct dr_prng r;
    static uint8_t seen[STAY + 1];
    uint64_t cursor = 0;
    uint32_t next = STAY + 1;
    uint32_t oldest = STAY + 1;

    dr_prng_init(&r, 4);
    memset(seen, 0, sizeof seen);
    ck_assert_int_eq(dr_table_init(&t, ITEMS, key_eq, NULL), DR_OK);
    for (uint32_t i = 1; i <= STAY; i++) {
        ck_assert_int_eq(dr_table_put(&t, hash_good(i), i), DR_OK);
    }
    for (uint32_t k = dr_table_next(&t, &cursor); k != 0; k = dr_table_next(&t, &cursor)) {
        if (k <= STAY) {
            ck_assert_uint_eq(seen[k], 0);
            seen[k] = 1;
        }
        for (int i = 0; i < 8 && next <= N; i++) { /* grows all the time, then shrinks */
            ck_assert_int_eq(dr_table_put(&t, hash_good(next), next), DR_OK);
            next++;
        }
        for (int i = 0; i < 4 && oldest < next && next > 30000; i++) {
            ck_assert(dr_table_del(&t, hash_good(oldest), oldest));
            oldest++;
        }
    }
    for (uint32_t i = 1; i <= STAY; i++) {
        ck_assert_uint_eq(seen[i], 1);
    }
    ck_assert_uint_eq(dr_table_next(&t, &cursor), 0);
    dr_table_fini(&t);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("base/table");
    TCase *tc = add_case(s, "table");

    tcase_add_loop_test(tc, random_use_agrees_with_a_plain_array, 0, DR_ARRAY_LEN(hashes));
    tcase_add_test(tc, memory_follows_the_number_of_entries);
    tcase_add_test(tc, no_operation_moves_many_slots);
    tcase_add_test(tc, the_maximum_is_a_maximum);
    tcase_add_test(tc, equal_hashes_without_end_are_refused_but_lose_nothing);
    tcase_add_test(tc, a_walk_sees_what_stays_while_the_table_changes);
    return run_suite(s);
}
