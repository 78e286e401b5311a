/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/lwm2m/fixture.h"

#include "lwm2m/format.h"

static const struct {
    uint16_t ct;
    const char *name;
    bool multi;
} names[] = {
    {0, "text/plain", false},
    {40, "application/link-format", false},
    {42, "application/octet-stream", false},
    {50, "application/json", false},
    {60, "application/cbor", false},
    {110, "application/senml+json", true},
    {112, "application/senml+cbor", true},
    {320, "application/senml-etch+json", true},
    {322, "application/senml-etch+cbor", true},
    {11542, "application/vnd.oma.lwm2m+tlv", true},
    {11543, "application/vnd.oma.lwm2m+json", true},
    {11544, "application/vnd.oma.lwm2m+cbor", true},
};

START_TEST(names_and_numbers_match)
{
    ck_assert_str_eq(lwm2m_format_name(names[_i].ct), names[_i].name);
    ck_assert_uint_eq(lwm2m_format_number(str(names[_i].name)), names[_i].ct);
    ck_assert_int_eq(lwm2m_format_is_multi(names[_i].ct), names[_i].multi);
}
END_TEST

START_TEST(names_are_read_tolerantly)
{
    ck_assert_uint_eq(lwm2m_format_number(str("Text/Plain; charset=utf-8")), 0);
    ck_assert_uint_eq(lwm2m_format_number(str("image/png")), LWM2M_CT_NONE);
    ck_assert_uint_eq(lwm2m_format_number(str("")), LWM2M_CT_NONE);
    ck_assert_ptr_null(lwm2m_format_name(9));
    ck_assert_uint_eq(lwm2m_format_normal(1541), 0);
    ck_assert_uint_eq(lwm2m_format_normal(1542), 11542);
    ck_assert_uint_eq(lwm2m_format_normal(1543), 11543);
    ck_assert_uint_eq(lwm2m_format_normal(60), 60);
    ck_assert_str_eq(lwm2m_format_name(1542), "application/vnd.oma.lwm2m+tlv");
}
END_TEST

START_TEST(versions)
{
    struct lwm2m_version v = LWM2M_VERSION(9, 9);
    char text[LWM2M_VERSION_STR_MAX];

    ck_assert_int_eq(lwm2m_version_parse(str("\"1.2\""), &v), DR_OK);
    ck_assert(lwm2m_version_eq(v, LWM2M_VERSION(1, 2)));
    static const char *const bad[] = {"", "1", "1.", ".1", "1.2.3", "1.256", "a.b", "-1.0"};
    for (size_t i = 0; i < DR_ARRAY_LEN(bad); i++) {
        ck_assert_int_eq(lwm2m_version_parse(str(bad[i]), &v), DR_ERR_PROTO);
    }
    ck_assert(lwm2m_version_eq(v, LWM2M_VERSION(1, 2)));
    ck_assert_uint_eq(lwm2m_version_format(LWM2M_VERSION(255, 255), text), 7);
    ck_assert_str_eq(text, "255.255");
    ck_assert_int_lt(lwm2m_version_cmp(LWM2M_VERSION(1, 2), LWM2M_VERSION(2, 0)), 0);
}
END_TEST

/* spec: LWM2M-1.2-CORE#7.4, and what devices send */
START_TEST(ct_lists)
{
    struct lwm2m_ct_list list;

    lwm2m_ct_list_parse(str("60 110 112"), &list);
    ck_assert_uint_eq(list.count, 3);
    ck_assert_uint_eq(list.ct[2], 112);
    lwm2m_ct_list_parse(str("110,112, 11543"), &list);
    ck_assert_uint_eq(list.count, 3);
    ck_assert(lwm2m_ct_list_has(&list, 11543));
    ck_assert(!lwm2m_ct_list_has(&list, 60));
    lwm2m_ct_list_parse(str("\"110 x 70000 112\""), &list);
    ck_assert_uint_eq(list.count, 2);
    lwm2m_ct_list_parse(str("1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18"), &list);
    ck_assert_uint_eq(list.count, LWM2M_CT_MAX);
    lwm2m_ct_list_parse(str(""), &list);
    ck_assert_uint_eq(list.count, 0);
}
END_TEST

static const struct {
    uint8_t minor;
    const char *ct;
    enum lwm2m_use use;
    uint16_t want;
} picks[] = {
    {0, "", LWM2M_USE_MULTI, 11542},
    {1, "", LWM2M_USE_MULTI, 112},
    {2, "", LWM2M_USE_MULTI, 112},
    {3, "", LWM2M_USE_MULTI, 112},
    {1, "110 112", LWM2M_USE_MULTI, 110},
    {1, "11544 112", LWM2M_USE_MULTI, 112}, /* 1.1 has no 11544 */
    {2, "11544 112", LWM2M_USE_MULTI, 11544},
    {1, "60", LWM2M_USE_MULTI, 112},
    {0, "1542", LWM2M_USE_MULTI, 11542},
    {0, "", LWM2M_USE_SINGLE, 0},
    {1, "110", LWM2M_USE_SINGLE, 0},
    {1, "", LWM2M_USE_SINGLE_OPAQUE, 42},
    {0, "110", LWM2M_USE_COMPOSITE, LWM2M_CT_NONE},
    {1, "", LWM2M_USE_COMPOSITE_PATHS, 112},
    {2, "", LWM2M_USE_COMPOSITE_PATHS, 322},
    {2, "320", LWM2M_USE_COMPOSITE_PATHS, 320},
};

START_TEST(picks_by_list_then_version)
{
    struct lwm2m_ct_list list;

    lwm2m_ct_list_parse(str(picks[_i].ct), &list);
    ck_assert_uint_eq(
        lwm2m_format_pick(LWM2M_VERSION(1, picks[_i].minor), &list, NULL, picks[_i].use),
        picks[_i].want);
}
END_TEST

START_TEST(learns_from_answers)
{
    struct lwm2m_format_memory mem = {.refused = 0};
    struct lwm2m_version v = LWM2M_VERSION(1, 1);

    lwm2m_format_learn(&mem, 112, true);
    ck_assert_uint_eq(lwm2m_format_pick(v, NULL, &mem, LWM2M_USE_MULTI), 110);
    lwm2m_format_learn(&mem, 11542, false);
    ck_assert_uint_eq(lwm2m_format_pick(v, NULL, &mem, LWM2M_USE_MULTI), 11542);
    lwm2m_format_learn(&mem, 11542, true);
    lwm2m_format_learn(&mem, 110, true);
    ck_assert_uint_eq(lwm2m_format_pick(v, NULL, &mem, LWM2M_USE_MULTI), LWM2M_CT_NONE);
    lwm2m_format_learn(&mem, 112, false);
    ck_assert_uint_eq(lwm2m_format_pick(v, NULL, &mem, LWM2M_USE_MULTI), 112);
    lwm2m_format_learn(&mem, 0, true);
    ck_assert_uint_eq(lwm2m_format_pick(v, NULL, &mem, LWM2M_USE_SINGLE), 112);
    lwm2m_format_learn(&mem, 9999, true); /* not ours: nothing happens */
}
END_TEST

int main(void)
{
    Suite *s = suite_create("lwm2m format");
    TCase *t = tcase_create("names");
    tcase_add_loop_test(t, names_and_numbers_match, 0, (int)DR_ARRAY_LEN(names));
    tcase_add_test(t, names_are_read_tolerantly);
    tcase_add_test(t, versions);
    tcase_add_test(t, ct_lists);
    suite_add_tcase(s, t);
    t = tcase_create("choice");
    tcase_add_loop_test(t, picks_by_list_then_version, 0, (int)DR_ARRAY_LEN(picks));
    tcase_add_test(t, learns_from_answers);
    suite_add_tcase(s, t);
    return run_suite(s);
}
