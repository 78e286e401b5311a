/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/unit/run.h
 * @brief The end of every Check program: run a suite and say how many cases failed.
 *
 * CK_FORK=no in the environment keeps everything in one process (for sanitizers and debuggers).
 */
#pragma once

#include <check.h>

static inline int run_suite(Suite *suite)
{
    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed;
}

/** A test case of its own for one group of functions. */
static inline TCase *add_case(Suite *suite, const char *name)
{
    TCase *tc = tcase_create(name);

    tcase_set_timeout(tc, 120);
    suite_add_tcase(suite, tc);
    return tc;
}
