/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/lwm2m/fixture.h"

#include "lwm2m/attrs.h"
#include "lwm2m/exec.h"
#include "lwm2m/report.h"

/* ---- attributes ---- */

static const struct {
    const char *text; /* spec: LWM2M-1.2-CORE#7.3.2 */
    dr_err_t err;
    const char *back;
} parse_cases[] = {
    {"pmin=10&pmax=60", DR_OK, "pmin=10&pmax=60"},
    {"pmax=60;pmin=10", DR_OK, "pmin=10&pmax=60"},
    {"gt=20.5&lt=-3&st=0.25", DR_OK, "gt=20.5&lt=-3&st=0.25"},
    {"epmin=1&epmax=2&edge=1&con=0&hqmax=5", DR_OK, "epmin=1&epmax=2&edge=1&con=0&hqmax=5"},
    {"pmin", DR_OK, "pmin"},
    {"", DR_OK, ""},
    {"pmin=1&pmin=2", DR_ERR_PROTO, NULL},
    {"pmin&pmin=2", DR_ERR_PROTO, NULL},
    {"pmin=", DR_ERR_PROTO, NULL},
    {"pmin=1.5", DR_ERR_PROTO, NULL},
    {"pmin=-1", DR_ERR_RANGE, NULL},
    {"pmin=99999999999", DR_ERR_RANGE, NULL},
    {"gt=1e5", DR_ERR_PROTO, NULL},
    {"gt=100000000000000000000", DR_OK, "gt=100000000000000000000"},
    {"gt=200000000000000000000", DR_ERR_RANGE, NULL},
    {"gt=abc", DR_ERR_PROTO, NULL},
    {"st=-1", DR_ERR_RANGE, NULL},
    {"edge=2", DR_ERR_RANGE, NULL},
    {"con=3", DR_ERR_RANGE, NULL},
    {"ssid=5", DR_ERR_NOT_FOUND, NULL},
};

START_TEST(attributes_are_parsed_and_written)
{
    struct lwm2m_attrs attrs = {.set = 0xabc};
    char out[LWM2M_ATTRS_STR_MAX];

    ck_assert_int_eq(lwm2m_attrs_parse(str(parse_cases[_i].text), &attrs, NULL),
                     parse_cases[_i].err);
    if (parse_cases[_i].err != DR_OK) {
        ck_assert_uint_eq(attrs.set, 0xabc);
        return;
    }
    ck_assert_uint_eq(lwm2m_attrs_format(&attrs, out), strlen(parse_cases[_i].back));
    ck_assert_str_eq(out, parse_cases[_i].back);
}
END_TEST

static const struct lwm2m_res_def number = {.type = LWM2M_TYPE_FLOAT},
                                  text_res = {.type = LWM2M_TYPE_STRING},
                                  flag = {.type = LWM2M_TYPE_BOOL};

static const struct {
    const char *text, *path;
    const struct lwm2m_res_def *res;
    uint8_t minor;
    dr_err_t err;
} check_cases[] = {
    {"pmin=10&pmax=5", "/3", NULL, 0, DR_OK}, /* the device then ignores pmax */
    {"pmin=10", "/", NULL, 0, DR_ERR_INVAL},
    {"gt=10", "/3303/0/5700", &number, 0, DR_OK},
    {"gt=10", "/3303/0", NULL, 0, DR_ERR_INVAL},
    {"gt=10", "/3/0/0", &text_res, 0, DR_ERR_INVAL},
    {"gt=10", "/9999/0/0", NULL, 0, DR_OK},
    {"gt=5&lt=10", "/3303/0/5700", &number, 0, DR_ERR_INVAL},
    {"gt=10&lt=10", "/3303/0/5700", &number, 0, DR_ERR_INVAL},
    {"gt=10&lt=5&st=2", "/3303/0/5700", &number, 0, DR_OK},
    {"gt=10&lt=5&st=2.5", "/3303/0/5700", &number, 0, DR_ERR_INVAL},
    {"epmin=5&epmax=10", "/3", NULL, 1, DR_OK},
    {"epmin=10&epmax=10", "/3", NULL, 1, DR_ERR_INVAL},
    {"epmin=5", "/3", NULL, 0, DR_ERR_UNSUPPORTED},
    {"edge=1", "/3200/0/5500", &flag, 2, DR_OK},
    {"edge=1", "/3200/0/5500", &number, 2, DR_ERR_INVAL},
    {"edge=1", "/3200/0/5500", &flag, 1, DR_ERR_UNSUPPORTED},
    {"con=1&hqmax=3", "/3", NULL, 2, DR_OK},
    {"hqmax", "/3", NULL, 1, DR_ERR_UNSUPPORTED},
};

START_TEST(attributes_are_checked)
{
    struct lwm2m_attrs attrs;
    struct lwm2m_path path = path_of(check_cases[_i].path);

    ck_assert_int_eq(lwm2m_attrs_parse(str(check_cases[_i].text), &attrs, NULL), DR_OK);
    ck_assert_int_eq(lwm2m_attrs_check(&attrs, &path, check_cases[_i].res,
                                       LWM2M_VERSION(1, check_cases[_i].minor), NULL),
                     check_cases[_i].err);
}
END_TEST

START_TEST(attributes_are_merged)
{
    struct lwm2m_attrs base, over, out;
    char text[LWM2M_ATTRS_STR_MAX];

    ck_assert_int_eq(lwm2m_attrs_parse(str("pmin=1&pmax=2&gt=3"), &base, NULL), DR_OK);
    ck_assert_int_eq(lwm2m_attrs_parse(str("pmin=9&pmax&st=1"), &over, NULL), DR_OK);
    out = lwm2m_attrs_merge(&base, &over);
    (void)lwm2m_attrs_format(&out, text);
    ck_assert_str_eq(text, "pmin=9&gt=3&st=1");
}
END_TEST

START_TEST(the_longest_attributes_fit_and_have_no_exponent)
{
    struct lwm2m_attrs attrs = {.set = (1U << LWM2M_ATTR_COUNT) - 1};
    static const double values[] = {-1e20, 4294967295.0, 1e-7, -0.1234567890123456, 1e20, -5e-324};
    char text[LWM2M_ATTRS_STR_MAX];

    for (size_t k = 0; k < DR_ARRAY_LEN(values); k++) {
        for (unsigned i = 0; i < LWM2M_ATTR_COUNT; i++) {
            attrs.value[i] = values[k];
        }
        ck_assert_uint_eq(lwm2m_attrs_format(&attrs, text), strlen(text));
        ck_assert_ptr_null(strpbrk(text, "E+"));
    }
    attrs = (struct lwm2m_attrs){.set = 1U << LWM2M_ATTR_GT, .value = {[LWM2M_ATTR_GT] = 1e-7}};
    (void)lwm2m_attrs_format(&attrs, text);
    ck_assert_str_eq(text, "gt=0.0000001");
}
END_TEST

/* ---- Execute ---- */

static const struct {
    const char *text; /* spec: LWM2M-1.2-CORE#6.3.5 */
    dr_err_t err;
    size_t count;
} exec_cases[] = {
    {"", DR_OK, 0},
    {"5", DR_OK, 1},
    {"2='10.3'", DR_OK, 1},
    {"0='</33629/1>,</33629/2>'", DR_OK, 1},
    {"0='T',7,9=''", DR_OK, 3},
    {"0,1,2,3,4,5,6,7,8,9", DR_OK, 10},
    {"0,0", DR_ERR_PROTO, 0},
    {"0,", DR_ERR_PROTO, 0},
    {",0", DR_ERR_PROTO, 0},
    {"a", DR_ERR_PROTO, 0},
    {"10", DR_ERR_PROTO, 0},
    {"0=x", DR_ERR_PROTO, 0},
    {"0='x", DR_ERR_PROTO, 0},
    {"0=", DR_ERR_PROTO, 0},
    {"0='", DR_ERR_PROTO, 0},
    {"0='a b'", DR_ERR_PROTO, 0},
    {"0='a\"b'", DR_ERR_PROTO, 0},
    {"0='a\\b'", DR_ERR_PROTO, 0},
    {"0='a\x7f'", DR_ERR_PROTO, 0},
};

START_TEST(arguments_are_checked)
{
    struct lwm2m_exec_arg args[LWM2M_EXEC_ARGS_MAX] = {{.digit = 77}};
    size_t count = 99;

    ck_assert_int_eq(lwm2m_exec_parse(str(exec_cases[_i].text), args, &count), exec_cases[_i].err);
    ck_assert_uint_eq(count, exec_cases[_i].err == DR_OK ? exec_cases[_i].count : 99);
    if (exec_cases[_i].err != DR_OK) {
        ck_assert_uint_eq(args[0].digit, 77);
    }
}
END_TEST

START_TEST(arguments_are_given_out)
{
    struct lwm2m_exec_arg args[LWM2M_EXEC_ARGS_MAX];
    size_t count = 0;

    ck_assert_int_eq(lwm2m_exec_parse(str("3,0='on'"), args, &count), DR_OK);
    ck_assert(args[0].digit == 3 && !args[0].has_value);
    ck_assert(args[1].digit == 0 && args[1].has_value && lwm2m_str_eq(args[1].value, "on"));
}
END_TEST

/* ---- reporting ---- */

/* spec: RFC7641#3.4 */
START_TEST(newer_notifications)
{
    ck_assert(lwm2m_observe_newer(1, 0, 2, 0));
    ck_assert(!lwm2m_observe_newer(2, 0, 1, 0));
    ck_assert(!lwm2m_observe_newer(2, 0, 2, 0));
    ck_assert(lwm2m_observe_newer(0xffffff, 0, 0, 0));
    ck_assert(!lwm2m_observe_newer(0, 0, 0xffffff, 0));
    ck_assert(lwm2m_observe_newer(0, 0, (1U << 23) - 1, 0));
    ck_assert(!lwm2m_observe_newer(0, 0, 1U << 23, 0));
    ck_assert(!lwm2m_observe_newer(5, 1000, 4, 1000 + 128000));
    ck_assert(lwm2m_observe_newer(5, 1000, 4, 1000 + 128001));
    ck_assert(!lwm2m_observe_newer(5, 200000, 4, 1000)); /* a clock that went back proves nothing */
}
END_TEST

START_TEST(awake_times)
{
    struct lwm2m_binding b = {.transports = LWM2M_BIND_U};

    ck_assert_uint_eq(lwm2m_awake_ms(b, 5000, 2000, 150, 4), UINT32_MAX);
    b.queue = true;
    ck_assert_uint_eq(lwm2m_awake_ms(b, 0, 2000, 150, 4), LWM2M_AWAKE_MS);
    ck_assert_uint_eq(lwm2m_awake_ms(b, LWM2M_AWAKE_PELION_MS, 2000, 150, 4), 4000);
    ck_assert_uint_eq(lwm2m_awake_ms(b, 0, 2000, 100, 0), 2000);
    ck_assert_uint_eq(lwm2m_awake_ms(b, 0, UINT32_MAX, UINT32_MAX, UINT32_MAX), UINT32_MAX - 1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("lwm2m attributes, execute, reporting");
    TCase *t = tcase_create("attributes");
    tcase_add_loop_test(t, attributes_are_parsed_and_written, 0, (int)DR_ARRAY_LEN(parse_cases));
    tcase_add_loop_test(t, attributes_are_checked, 0, (int)DR_ARRAY_LEN(check_cases));
    tcase_add_test(t, attributes_are_merged);
    tcase_add_test(t, the_longest_attributes_fit_and_have_no_exponent);
    suite_add_tcase(s, t);
    t = tcase_create("execute");
    tcase_add_loop_test(t, arguments_are_checked, 0, (int)DR_ARRAY_LEN(exec_cases));
    tcase_add_test(t, arguments_are_given_out);
    suite_add_tcase(s, t);
    t = tcase_create("reporting");
    tcase_add_test(t, newer_notifications);
    tcase_add_test(t, awake_times);
    suite_add_tcase(s, t);
    return run_suite(s);
}
