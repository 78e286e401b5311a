/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "device-sim/fota_faults.h"
#include "tests/unit/run.h"

#define N 100

static uint8_t faults[N], others[N];
static bool once;

static unsigned count(const uint8_t *list, uint8_t fault)
{
    unsigned n = 0;

    for (unsigned i = 0; i < N; i++) {
        n += list[i] == fault;
    }
    return n;
}

static dr_err_t assign(const char *text, uint64_t seed, uint8_t *list)
{
    memset(list, 0, N);
    return sim_fota_faults_assign(text, N, seed, list, &once);
}

START_TEST(numbers_shares_and_names_go_together)
{
    ck_assert_int_eq(
        assign("reject=3,dead=2%,corrupt=@7+9,oldversion=1,broken=1,slow=5", 1, faults), DR_OK);
    ck_assert_uint_eq(count(faults, SIM_FOTA_REJECT), 3);
    ck_assert_uint_eq(count(faults, SIM_FOTA_DEAD), 2);
    ck_assert_uint_eq(count(faults, SIM_FOTA_CORRUPT), 2);
    ck_assert_uint_eq(count(faults, SIM_FOTA_OLDVERSION), 1);
    ck_assert_uint_eq(count(faults, SIM_FOTA_BROKEN), 1);
    ck_assert_uint_eq(count(faults, SIM_FOTA_SLOW), 5);
    ck_assert_uint_eq(count(faults, SIM_FOTA_FINE), N - 14);
    ck_assert_uint_eq(faults[7], SIM_FOTA_CORRUPT);
    ck_assert_uint_eq(faults[9], SIM_FOTA_CORRUPT);
    ck_assert(!once);
}
END_TEST

START_TEST(the_seed_decides)
{
    ck_assert_int_eq(assign("reject=10,once", 5, faults), DR_OK);
    ck_assert(once);
    ck_assert_int_eq(assign("once,reject=10", 5, others), DR_OK);
    ck_assert(once);
    ck_assert_mem_eq(faults, others, N);
    ck_assert_int_eq(assign("reject=10", 6, others), DR_OK);
    ck_assert(memcmp(faults, others, N) != 0);
}
END_TEST

START_TEST(all_can_fail_but_no_more)
{
    ck_assert_int_eq(assign("dead=@0,reject=99", 1, faults), DR_OK);
    ck_assert_uint_eq(faults[0], SIM_FOTA_DEAD);
    ck_assert_uint_eq(count(faults, SIM_FOTA_REJECT), 99);
    ck_assert_int_eq(assign("dead=@0,reject=100", 1, faults), DR_ERR_RANGE);
    ck_assert_int_eq(assign("reject=101", 1, faults), DR_ERR_RANGE);
    ck_assert_int_eq(assign("reject=@100", 1, faults), DR_ERR_RANGE);
    ck_assert_int_eq(assign("reject=100%", 1, faults), DR_OK);
    ck_assert_int_eq(assign(NULL, 1, faults), DR_OK);
    ck_assert_uint_eq(count(faults, SIM_FOTA_FINE), N);
}
END_TEST

static const char *const wrong[] = {
    "",          "reject",     "reject=",         "reject=x",   "reject=@",
    "reject=1,", "nosuch=1",   "reject=-1",       "reject=@1+", "reject=101%",
    "reject=%",  "reject=1%%", "reject=1;dead=1", "twice"};

START_TEST(other_lists_are_refused)
{
    ck_assert_msg(assign(wrong[_i], 1, faults) == DR_ERR_PROTO, "'%s'", wrong[_i]);
    ck_assert_int_eq(sim_fota_faults_assign(wrong[_i], N, 1, NULL, &once), DR_ERR_PROTO);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fota_faults");
    TCase *tc = add_case(s, "assign");

    tcase_add_test(tc, numbers_shares_and_names_go_together);
    tcase_add_test(tc, the_seed_decides);
    tcase_add_test(tc, all_can_fail_but_no_more);
    tcase_add_loop_test(tc, other_lists_are_refused, 0, DR_ARRAY_LEN(wrong));
    return run_suite(s);
}
