/* SPDX-License-Identifier: Apache-2.0 */
/* The CSV of bulk enrolments. */
#include <string.h>

#include "rest/bulk_csv.h"
#include "tests/unit/run.h"

static const struct {
    const char *csv;
    size_t n;
    const char *entries[4];
} cases[] = {
    {"", 0, {0}},
    {"title only", 0, {0}},
    {"title\none\ntwo\n", 2, {"one", "two"}},
    {"title\r\none\r\ntwo", 2, {"one", "two"}},
    {"title\rone\rtwo\r", 2, {"one", "two"}},
    {"title\n\n  \nA\n\n", 1, {"A"}},
    {"title\n  spaced out  ,second,third\n", 1, {"spaced out"}},
    {"title\n\"quoted , text\",x\n\" kept \"\n", 2, {"quoted , text", " kept "}},
    {"title\n\"no end\n,empty first\nlast", 2, {"no end", "last"}},
};

START_TEST(the_first_column_counts)
{
    struct rest_bulk_list b;

    ck_assert_int_eq(rest_bulk_list_read(dr_bytes_str(cases[_i].csv), &b), DR_OK);
    ck_assert_uint_eq(b.n, cases[_i].n);
    for (size_t i = 0; i < cases[_i].n; i++) {
        ck_assert_str_eq(rest_bulk_list_entry(&b, i), cases[_i].entries[i]);
    }
    rest_bulk_list_fini(&b);
}
END_TEST

START_TEST(long_entries_are_cut)
{
    char csv[REST_BULK_ENTRY_MAX * 3] = "t\n";
    struct rest_bulk_list b;

    memset(csv + 2, 'x', sizeof csv - 3);
    ck_assert_int_eq(rest_bulk_list_read(dr_bytes_str(csv), &b), DR_OK);
    ck_assert_uint_eq(b.n, 1);
    ck_assert_uint_eq(strlen(rest_bulk_list_entry(&b, 0)), REST_BULK_ENTRY_MAX);
    rest_bulk_list_fini(&b);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("rest bulk");
    TCase *tc = add_case(s, "csv");

    tcase_add_loop_test(tc, the_first_column_counts, 0, (int)DR_ARRAY_LEN(cases));
    tcase_add_test(tc, long_entries_are_cut);
    return run_suite(s);
}
