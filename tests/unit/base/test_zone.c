/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/unit/base/test_zone.c
 * @brief Time zones against the C library, clocks that are moved, malformed files.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/zone.h"
#include "tests/unit/run.h"

#define HOUR 3600

/* Of the time zone database: one that was moved both ways, south of the equator, by half an hour,
 * never moved, with a footer of "<+0330>-3:30", west of Greenwich, always in summer time. */
static const char *const names[] = {
    "Europe/Helsinki",
    "Australia/Sydney",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Asia/Tehran",
    "America/St_Johns",
    "Etc/GMT-14",
    "Africa/Casablanca",
    "Europe/Dublin",
    "America/Sao_Paulo",
    "UTC",
    "Pacific/Apia",
};

static struct dr_zone *load(const char *name)
{
    struct dr_zone *z = NULL;

    ck_assert_msg(dr_zone_load(name, &z) == DR_OK, "%s (Debian: tzdata)", name);
    return z;
}

START_TEST(offsets_are_those_of_the_c_library)
{
    struct dr_zone *z = load(names[_i]);
    struct tm tm;

    ck_assert_int_eq(setenv("TZ", names[_i], 1), 0);
    tzset();
    for (int64_t at = -2000000000; at < 6000000000; at += 86400 * 3 + 1234567 % 86400) {
        time_t t = (time_t)at;
        ck_assert_ptr_nonnull(localtime_r(&t, &tm));
        ck_assert_msg(dr_zone_offset(z, at) == tm.tm_gmtoff, "%s at %lld: %d, not %ld", names[_i],
                      (long long)at, dr_zone_offset(z, at), tm.tm_gmtoff);
    }
    ck_assert_ptr_null(dr_zone_free(z));
}
END_TEST

START_TEST(local_times_come_back)
{
    struct dr_zone *z = load(names[_i]);

    for (int64_t at = 0; at < 5000000000; at += 7 * HOUR + 123) {
        int64_t local = at + dr_zone_offset(z, at), utc = dr_zone_utc(z, local);
        /* the first of two, when the clock shows it twice */
        ck_assert_msg(utc <= at && at - utc <= 3 * HOUR && utc + dr_zone_offset(z, utc) == local,
                      "%s: %lld became %lld", names[_i], (long long)at, (long long)utc);
    }
    (void)dr_zone_free(z);
}
END_TEST

/* Helsinki, 2027: at 01:00 UTC of March 28th to 04:00, of October 31st back to 03:00. */
static const struct {
    int64_t local, utc;
} moved[] = {
    {1806202799, 1806195599}, /* 02:59:59, +2 */
    {1806202800, 1806195600}, /* 03:00, skipped: the moment of the skip */
    {1806206399, 1806195600}, /* 03:59:59, skipped, too */
    {1806206400, 1806195600}, /* 04:00 */
    {1824951600, 1824940800}, /* 03:00, twice: the first */
    {1824955199, 1824944399}, /* 03:59:59 */
    {1824955200, 1824948000}, /* 04:00, +2 */
};

START_TEST(a_moved_clock)
{
    struct dr_zone *z = load("Europe/Helsinki");

    ck_assert_int_eq(dr_zone_utc(z, moved[_i].local), moved[_i].utc);
    (void)dr_zone_free(z);
}
END_TEST

static const struct {
    const char *name;
    dr_err_t err;
} bad_names[] = {
    {"", DR_ERR_INVAL},
    {"/etc/passwd", DR_ERR_INVAL},
    {"../../../etc/passwd", DR_ERR_INVAL},
    {"Europe//Helsinki", DR_ERR_INVAL},
    {"Europe/", DR_ERR_INVAL},
    {"Europe/Os lo", DR_ERR_INVAL},
    {"Aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", DR_ERR_INVAL},
    {"Europe/Atlantis", DR_ERR_NOT_FOUND},
    {"Europe", DR_ERR_NOT_FOUND},
    {"UTC/more", DR_ERR_NOT_FOUND},
};

START_TEST(a_wrong_name)
{
    struct dr_zone *z = NULL;

    ck_assert_int_eq(dr_zone_load(bad_names[_i].name, &z), bad_names[_i].err);
    ck_assert_ptr_null(z);
}
END_TEST

/* No transition, one type of +1 h, a footer. */
static const uint8_t small[] = "TZif2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                               "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                               "TZif2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                               "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\4"
                               "\0\0\x0e\x10\0\0ABC\0"
                               "\nABC-1\n";

START_TEST(a_file_cut_short)
{
    struct dr_zone *z = NULL;

    ck_assert_int_eq(dr_zone_parse((struct dr_bytes){small, sizeof small - 1}, &z), DR_OK);
    ck_assert_int_eq(dr_zone_offset(z, 0), HOUR);
    z = dr_zone_free(z);
    for (size_t len = 0; len < sizeof small - 1; len++) {
        ck_assert_int_eq(dr_zone_parse((struct dr_bytes){small, len}, &z), DR_ERR_PROTO);
    }
}
END_TEST

static const struct {
    const char *footer;
    bool good;
} footers[] = {
    {"", true},
    {"ABC-1", true},
    {"<+01>-1", true},
    {"ABC-1DEF", false}, /* days have to be said */
    {"ABC-1DEF,M3.5.0,M10.5.0/3", true},
    {"ABC-1DEF-2:30:15,J60,J300/-2", true},
    {"ABC-1DEF,0/0,J365/25", true},
    {"AB-1", false},
    {"ABC", false},
    {"ABC-27", false},
    {"ABC-1DEF,M13.5.0,M10.5.0", false},
    {"ABC-1DEF,M3.6.0,M10.5.0", false},
    {"ABC-1DEF,M3.5.7,M10.5.0", false},
    {"ABC-1DEF,J0,J1", false},
    {"ABC-1DEF,J1", false},
    {"ABC-1DEF,M3.5.0,M10.5.0/168", false},
    {"ABC-1DEF,M3.5.0,M10.5.0 ", false},
    {"<+01-1", false},
};

START_TEST(a_footer)
{
    uint8_t file[256];
    size_t head = sizeof small - 1 - 7, len = strlen(footers[_i].footer);
    struct dr_zone *z = NULL;

    memcpy(file, small, head);
    file[head] = '\n';
    memcpy(file + head + 1, footers[_i].footer, len);
    file[head + 1 + len] = '\n';
    dr_err_t err = dr_zone_parse((struct dr_bytes){file, head + len + 2}, &z);
    ck_assert_int_eq(err, footers[_i].good ? DR_OK : DR_ERR_PROTO);
    (void)dr_zone_free(z);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("zone");
    TCase *t = add_case(s, "known");

    tcase_add_loop_test(t, offsets_are_those_of_the_c_library, 0, DR_ARRAY_LEN(names));
    tcase_add_loop_test(t, local_times_come_back, 0, DR_ARRAY_LEN(names));
    tcase_add_loop_test(t, a_moved_clock, 0, DR_ARRAY_LEN(moved));
    t = add_case(s, "malformed");
    tcase_add_loop_test(t, a_wrong_name, 0, DR_ARRAY_LEN(bad_names));
    tcase_add_test(t, a_file_cut_short);
    tcase_add_loop_test(t, a_footer, 0, DR_ARRAY_LEN(footers));
    return run_suite(s);
}
