/* SPDX-License-Identifier: Apache-2.0 */
/* The store, cut in every write: a key has its last acknowledged value or the one in flight. */
#include "tests/unit/client/rig.h"
#include "tests/unit/run.h"

#define BASE  (2 * RIG_SLOT)
#define AREA  1024 /* small: compacts every few writes */
#define KEYS  5
#define STEPS 24
#define LONG  80

struct value {
    bool there;
    uint8_t len;
    uint8_t bytes[LONG];
};

static struct value known[KEYS], flight;
static int flight_key; /* -1: nothing in flight */

static void step_value(unsigned step, struct value *ret)
{
    *ret = (struct value){.there = step % 7 != 3, .len = (uint8_t)(step * 13 % LONG)};
    for (unsigned i = 0; i < ret->len; i++) {
        ret->bytes[i] = (uint8_t)(step + i);
    }
}

static bool holds(const struct cl_kvs *kvs, int key, const struct value *want)
{
    uint8_t buf[LONG];
    size_t len = 0;
    cl_err_t err = cl_kvs_get(kvs, (uint64_t)key, buf, sizeof buf, &len, NULL);

    if (!want->there) {
        return err == CL_ERR_NOENT;
    }
    return err == CL_OK && len == want->len && memcmp(buf, want->bytes, len) == 0;
}

static void check_all(const struct cl_kvs *kvs)
{
    for (int key = 0; key < KEYS; key++) {
        if (key == flight_key && holds(kvs, key, &flight)) {
            known[key] = flight;
            continue;
        }
        REQUIRE(holds(kvs, key, &known[key]), "a key keeps its acknowledged value");
    }
    flight_key = -1;
}

static void work(unsigned first)
{
    struct cl_kvs kvs;

    REQUIRE(cl_kvs_open(&kvs, BASE, AREA) == CL_OK, "open");
    check_all(&kvs);
    for (unsigned step = first; step < first + STEPS; step++) {
        int key = (int)(step * 5 % KEYS);
        step_value(step, &flight);
        if (!flight.there && !known[key].there) {
            continue;
        }
        flight_key = key;
        cl_err_t err = flight.there ? cl_kvs_set(&kvs, (uint64_t)key, flight.bytes, flight.len, 0)
                                    : cl_kvs_remove(&kvs, (uint64_t)key);
        REQUIRE(err == CL_OK, "a write is acknowledged");
        known[key] = flight;
        flight_key = -1;
    }
    check_all(&kvs);
}

static bool one_life(uint64_t n, enum nor_tear tear, uint64_t again)
{
    rig_reset();
    memset(known, 0, sizeof known);
    flight_key = -1;
    rig_cut(n, tear, 0, (uint32_t)n);
    if (setjmp(rig.off) == 0) {
        work(1);
    }
    bool hit = rig.nor.cut_at == 0;
    if (hit && again != 0) {
        rig_cut(again, tear, 0, (uint32_t)n * 3);
    }
    if (setjmp(rig.off) == 0) {
        work(4);
    }
    rig.nor.cut_at = 0;
    if (setjmp(rig.off) == 0) {
        work(9);
    }
    return hit;
}

static void every_cut(void)
{
    for (int tear = 0; tear < NOR_TEARS; tear++) {
        for (uint64_t again = 0; again < 2; again++) {
            uint64_t n = 1;
            while (one_life(n, (enum nor_tear)tear, again * (n % 40 + 1))) {
                n++;
            }
            REQUIRE(n > 150, "the cuts reach the end");
        }
    }
}

START_TEST(no_cut_loses_an_acknowledged_value)
{
    every_cut();
}
END_TEST

START_TEST(write_once_is_kept)
{
    struct cl_kvs kvs;
    uint8_t buf[4];
    size_t len;
    uint16_t flags;

    rig_reset();
    ck_assert_int_eq(cl_kvs_open(&kvs, BASE, AREA), CL_OK);
    ck_assert_int_eq(cl_kvs_set(&kvs, 7, "abc", 3, CL_KVS_WRITE_ONCE), CL_OK);
    ck_assert_int_eq(cl_kvs_set(&kvs, 7, "x", 1, 0), CL_ERR_DENIED);
    ck_assert_int_eq(cl_kvs_remove(&kvs, 7), CL_ERR_DENIED);
    ck_assert_int_eq(cl_kvs_open(&kvs, BASE, AREA), CL_OK);
    ck_assert_int_eq(cl_kvs_get(&kvs, 7, buf, sizeof buf, &len, &flags), CL_OK);
    ck_assert(len == 3 && memcmp(buf, "abc", 3) == 0 && flags == CL_KVS_WRITE_ONCE);
}
END_TEST

START_TEST(limits_are_errors_and_change_nothing)
{
    struct cl_kvs kvs;
    uint8_t big[CL_KVS_VALUE_MAX + 1] = {1};
    size_t len = 77;

    rig_reset();
    ck_assert_int_eq(cl_kvs_open(&kvs, BASE, 100), CL_ERR_INVAL);
    ck_assert_int_eq(cl_kvs_open(&kvs, RIG_FLASH - AREA, AREA), CL_ERR_INVAL);
    ck_assert_int_eq(cl_kvs_open(&kvs, BASE, AREA), CL_OK);
    ck_assert_int_eq(cl_kvs_set(&kvs, 1, big, sizeof big, 0), CL_ERR_SPACE);
    ck_assert_int_eq(cl_kvs_set(&kvs, 1, big, CL_KVS_VALUE_MAX, 0), CL_OK);
    ck_assert_int_eq(cl_kvs_set(&kvs, 2, big, CL_KVS_VALUE_MAX, 0), CL_ERR_SPACE);
    ck_assert_int_eq(cl_kvs_get(&kvs, 2, big, 1, &len, NULL), CL_ERR_NOENT);
    ck_assert_uint_eq(len, 77);
    ck_assert_int_eq(cl_kvs_get(&kvs, 1, big, 1, &len, NULL), CL_OK);
    ck_assert_uint_eq(len, CL_KVS_VALUE_MAX);
    ck_assert_int_eq(cl_kvs_remove(&kvs, 2), CL_ERR_NOENT);
}
END_TEST

static const enum cl_rule mutants[] = {CL_RULE_STORE_NEWEST, CL_RULE_STORE_TAIL,
                                       CL_RULE_STORE_COMMIT};

START_TEST(each_rule_is_needed)
{
    ck_assert_msg(rig_turns_red(mutants[_i], every_cut), "rule %d", mutants[_i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client store");
    TCase *tc = add_case(suite, "store");

    tcase_add_test(tc, no_cut_loses_an_acknowledged_value);
    tcase_add_test(tc, write_once_is_kept);
    tcase_add_test(tc, limits_are_errors_and_change_nothing);
    tcase_add_loop_test(tc, each_rule_is_needed, 0, sizeof mutants / sizeof *mutants);
    return run_suite(suite);
}
