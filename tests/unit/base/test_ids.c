/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/ids.h"
#include "base/rand.h"
#include "tests/unit/run.h"

static int64_t fake_now(void *ctx)
{
    return *(int64_t *)ctx;
}

START_TEST(ids_rise_also_when_the_clock_steps_back)
{
    int64_t now = 1700000000000; /* each test has a later time: numbers remember theirs */
    struct dr_idgen g;
    int64_t last = 0;

    ck_assert_int_eq(dr_idgen_init(&g, fake_now, &now), DR_OK);
    for (int i = 0; i < 100000; i++) {
        now += i % 1000 == 999 ? -5 : i % 7 == 0 ? 1 : 0;
        int64_t id = dr_id_new(&g);
        ck_assert_int_gt(id, last);
        last = id;
    }
    dr_idgen_fini(&g);
}
END_TEST

START_TEST(a_full_millisecond_borrows_from_the_next)
{
    int64_t now = 1800000000000;
    struct dr_idgen g;
    int64_t last = 0;

    ck_assert_int_eq(dr_idgen_init(&g, fake_now, &now), DR_OK);
    for (int i = 0; i < 3 * 16384; i++) {
        int64_t id = dr_id_new(&g);
        ck_assert_int_gt(id, last);
        last = id;
    }
    ck_assert_int_eq(DR_ID_MS(last), now + 2);
    dr_idgen_fini(&g);
}
END_TEST

START_TEST(generators_differ_and_are_counted)
{
    static struct dr_idgen g[DR_IDGEN_MAX + 1];
    int64_t now = 1900000000000;
    int64_t ids[DR_IDGEN_MAX];

    for (int i = 0; i < DR_IDGEN_MAX; i++) {
        ck_assert_int_eq(dr_idgen_init(&g[i], fake_now, &now), DR_OK);
        ids[i] = dr_id_new(&g[i]);
        for (int k = 0; k < i; k++) {
            ck_assert_int_ne(ids[i], ids[k]);
        }
    }
    ck_assert_int_eq(dr_idgen_init(&g[DR_IDGEN_MAX], fake_now, &now), DR_ERR_LIMIT);
    /* a number that is taken again, in the same millisecond, must not repeat */
    dr_idgen_fini(&g[3]);
    ck_assert_int_eq(dr_idgen_init(&g[3], fake_now, &now), DR_OK);
    ck_assert_int_gt(dr_id_new(&g[3]), ids[3]);
    for (int i = 0; i < DR_IDGEN_MAX; i++) {
        dr_idgen_fini(&g[i]);
        dr_idgen_fini(&g[i]);
    }
    dr_idgen_fini(NULL);
}
END_TEST

START_TEST(an_id_has_its_wire_form)
{
    char text[DR_ID_LEN + 1];
    int64_t back = 0;
    int64_t id = (int64_t)0x18cc8164fae << 20 | 1 << 14 | 3;

    dr_id_format(id, text);
    ck_assert_str_eq(text, "018cc8164fae00000000000000004003");
    ck_assert_int_eq(dr_id_parse(text, strlen(text), &back), DR_OK);
    ck_assert_int_eq(back, id);
    dr_id_format(INT64_MAX, text);
    ck_assert_str_eq(text, "07ffffffffff000000000000000fffff");
    ck_assert_int_eq(dr_id_parse(text, strlen(text), &back), DR_OK);
    ck_assert_int_eq(back, INT64_MAX);
}
END_TEST

static const char *const bad_ids[] = {
    "",
    "018cc8164fae0000000000000000400",
    "018cc8164fae000000000000000040033",
    "018CC8164FAE00000000000000004003",
    "018cc8164fae00000000100000004003",
    "018cc8164fae0000000000000000400g",
    "00000000000000000000000000000000",
    "ffffffffffff00000000000000000001",
    "080000000000000000000000000000001",
    " 18cc8164fae00000000000000004003",
    "-18cc8164fae00000000000000004003",
};

START_TEST(other_texts_are_no_ids)
{
    int64_t id = 99;

    ck_assert_int_eq(dr_id_parse(bad_ids[_i], strlen(bad_ids[_i]), &id), DR_ERR_PROTO);
    ck_assert_int_eq(id, 99);
}
END_TEST

static const struct {
    const char *in;
    dr_err_t err;
    int64_t ms;
} time_cases[] = {
    {"1970-01-01T00:00:00Z", DR_OK, 0},
    {"2024-01-02T03:04:05.000000Z", DR_OK, 1704164645000},
    {"2024-01-02T03:04:05Z", DR_OK, 1704164645000},
    {"2024-01-02t03:04:05z", DR_OK, 1704164645000},
    {"2024-01-02T03:04:05.6Z", DR_OK, 1704164645600},
    {"2024-01-02T03:04:05.6789999Z", DR_OK, 1704164645678},
    {"2024-01-02T05:04:05+02:00", DR_OK, 1704164645000},
    {"2024-01-01T21:34:05-05:30", DR_OK, 1704164645000},
    {"20161130T162512Z", DR_OK, 1480523112000},
    {"2016-11-30T16:25:12.012Z", DR_OK, 1480523112012},
    {"2000-02-29T00:00:00Z", DR_OK, 951782400000},
    {"1969-12-31T23:59:59.999Z", DR_OK, -1},
    {"2016-12-31T23:59:60Z", DR_OK, 1483228800000},
    {"0001-01-01T00:00:00Z", DR_OK, -62135596800000},
    {"9999-12-31T23:59:59.999Z", DR_OK, 253402300799999},
    {"1900-02-29T00:00:00Z", DR_ERR_RANGE, 0},
    {"2023-02-29T00:00:00Z", DR_ERR_RANGE, 0},
    {"2024-13-01T00:00:00Z", DR_ERR_RANGE, 0},
    {"2024-00-01T00:00:00Z", DR_ERR_RANGE, 0},
    {"2024-01-00T00:00:00Z", DR_ERR_RANGE, 0},
    {"2024-04-31T00:00:00Z", DR_ERR_RANGE, 0},
    {"2024-01-01T24:00:00Z", DR_ERR_RANGE, 0},
    {"2024-01-01T00:60:00Z", DR_ERR_RANGE, 0},
    {"2024-01-01T00:00:61Z", DR_ERR_RANGE, 0},
    {"2024-01-01T00:00:00+24:00", DR_ERR_RANGE, 0},
    {"0000-01-01T00:00:00Z", DR_ERR_RANGE, 0},
    {"", DR_ERR_PROTO, 0},
    {"2024-01-02", DR_ERR_PROTO, 0},
    {"2024-01-02T03:04:05", DR_ERR_PROTO, 0},
    {"2024-01-02T03:04:05.Z", DR_ERR_PROTO, 0},
    {"2024-01-02T03:04:05Zx", DR_ERR_PROTO, 0},
    {"2024-01-02T03:04:05+0200", DR_ERR_PROTO, 0},
    {"2024-01-02 03:04:05Z", DR_ERR_PROTO, 0},
    {"2024-1-2T03:04:05Z", DR_ERR_PROTO, 0},
    {"20161130T162512", DR_ERR_PROTO, 0},
    {"20161130162512Z", DR_ERR_PROTO, 0},
    {"+024-01-02T03:04:05Z", DR_ERR_PROTO, 0},
};

START_TEST(timestamps_are_read) /* spec: RFC3339#5.6 */
{
    int64_t ms = 4711;

    ck_assert_int_eq(dr_time_parse(time_cases[_i].in, strlen(time_cases[_i].in), &ms),
                     time_cases[_i].err);
    ck_assert_int_eq(ms, time_cases[_i].err == DR_OK ? time_cases[_i].ms : 4711);
}
END_TEST

START_TEST(timestamps_are_written)
{
    char text[DR_TIME_LEN + 1];

    dr_time_format(1704164645678, text);
    ck_assert_str_eq(text, "2024-01-02T03:04:05.678000Z");
    dr_time_format(-1, text);
    ck_assert_str_eq(text, "1969-12-31T23:59:59.999000Z");
    dr_time_format(INT64_MIN, text);
    ck_assert_str_eq(text, "0001-01-01T00:00:00.000000Z");
    dr_time_format(INT64_MAX, text);
    ck_assert_str_eq(text, "9999-12-31T23:59:59.999000Z");
}
END_TEST

START_TEST(every_moment_comes_back)
{
    struct dr_prng r;
    char text[DR_TIME_LEN + 1];

    dr_prng_init(&r, 3);
    for (int i = 0; i < 50000; i++) {
        int64_t ms = (int64_t)(dr_prng_double(&r) * 315537897600000.0) - 62135596800000;
        int64_t back = 0;
        dr_time_format(ms, text);
        ck_assert_int_eq(dr_time_parse(text, DR_TIME_LEN, &back), DR_OK);
        ck_assert_int_eq(back, ms);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("base/ids");
    TCase *tc = add_case(s, "ids");

    tcase_add_test(tc, ids_rise_also_when_the_clock_steps_back);
    tcase_add_test(tc, a_full_millisecond_borrows_from_the_next);
    tcase_add_test(tc, generators_differ_and_are_counted);
    tcase_add_test(tc, an_id_has_its_wire_form);
    tcase_add_loop_test(tc, other_texts_are_no_ids, 0, DR_ARRAY_LEN(bad_ids));
    tc = add_case(s, "time");
    tcase_add_loop_test(tc, timestamps_are_read, 0, DR_ARRAY_LEN(time_cases));
    tcase_add_test(tc, timestamps_are_written);
    tcase_add_test(tc, every_moment_comes_back);
    return run_suite(s);
}
