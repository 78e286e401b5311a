/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/unit/client/test_template.c
 * @brief The empty port fits the contract: the whole client links with it and refuses to run.
 */
#include "client/ports/TEMPLATE/port.h"

#include <setjmp.h>
#include <stdlib.h>

#include "client/hal.h"
#include "tests/unit/run.h"

static jmp_buf stop;
static bool may_stop;

void template_stop(void)
{
    if (!may_stop) {
        abort();
    }
    longjmp(stop, 1);
}

START_TEST(without_flash_the_program_does_not_start)
{
    static const struct cl_account account = {.there = true};

    ck_assert_int_eq(template_main(&account, "ep"), CL_ERR_INVAL);
}
END_TEST

START_TEST(without_randomness_it_stops)
{
    uint8_t b;

    may_stop = true;
    if (setjmp(stop) == 0) {
        hal_random(&b, 1);
        ck_abort_msg("predictable bytes");
    }
    may_stop = false;
}
END_TEST

START_TEST(nothing_pretends_to_work)
{
    uint8_t b = 0;

    ck_assert(!hal_flash_read(0, &b, 1));
    ck_assert(!hal_flash_program(0, &b, 8));
    ck_assert(!hal_flash_erase(0));
    ck_assert(!hal_net_open(HAL_NET_UDP, "h", 1));
    ck_assert_int_eq(hal_net_send(&b, 1), -1);
    ck_assert_int_eq(hal_net_recv(&b, 1), -1);
    ck_assert_uint_eq(hal_counter_get(), 0);
    ck_assert_int_eq(hal_wall_time(), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client/template");
    TCase *tc = add_case(suite, "port");

    tcase_add_test(tc, without_flash_the_program_does_not_start);
    tcase_add_test(tc, nothing_pretends_to_work);
    tcase_add_test(tc, without_randomness_it_stops);
    return run_suite(suite);
}
