/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "tests/unit/run.h"

static const struct {
    dr_err_t err;
    const char *name;
    int http;
    uint8_t coap;
} cases[] = {
    {DR_OK, "OK", 200, 0x44},
    {DR_ERR_BUSY, "ERR_BUSY", 503, 0xa3},
    {DR_ERR_NOT_FOUND, "ERR_NOT_FOUND", 404, 0x84},
    {DR_ERR_READONLY, "ERR_READONLY", 503, 0xa3},
    {(dr_err_t)-999, "ERR_INTERNAL", 500, 0xa0},
    {(dr_err_t)5, "ERR_INTERNAL", 500, 0xa0},
};

START_TEST(each_code_has_its_row)
{
    ck_assert_str_eq(dr_err_name(cases[_i].err), cases[_i].name);
    ck_assert_int_eq(dr_err_http(cases[_i].err), cases[_i].http);
    ck_assert_uint_eq(dr_err_coap(cases[_i].err), cases[_i].coap);
    ck_assert_uint_gt(strlen(dr_err_str(cases[_i].err)), 1);
}
END_TEST

START_TEST(errinfo_is_cut_to_its_size_and_may_be_absent)
{
    struct dr_errinfo info;
    char lots[500];

    memset(lots, 'x', sizeof lots - 1);
    lots[sizeof lots - 1] = 0;
    dr_errinfo_set(&info, lots, 7, "%s", lots);
    ck_assert_uint_eq(strlen(info.field), sizeof info.field - 1);
    ck_assert_uint_eq(strlen(info.text), sizeof info.text - 1);
    ck_assert_int_eq(info.line, 7);
    dr_errinfo_set(NULL, "f", 0, "nothing");
}
END_TEST

START_TEST(a_broken_assertion_aborts)
{
    volatile int one = 1;

    dr_assert(one == 2);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("base/err");
    TCase *tc = add_case(s, "err");

    tcase_add_loop_test(tc, each_code_has_its_row, 0, DR_ARRAY_LEN(cases));
    tcase_add_test(tc, errinfo_is_cut_to_its_size_and_may_be_absent);
    const char *fork_mode = getenv("CK_FORK");
    if (fork_mode == NULL || strcmp(fork_mode, "no") != 0) {
        tcase_add_test_raise_signal(tc, a_broken_assertion_aborts, SIGABRT);
    }
    return run_suite(s);
}
