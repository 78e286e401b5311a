/* SPDX-License-Identifier: Apache-2.0 */
#include "rest/json.h"

#include <string.h>

#include <check.h>

static struct dr_dynbuf out;
static struct rest_json j;

static void setup(void)
{
    dr_dynbuf_init(&out, 4096);
    j = rest_json_of(&out);
}
static void teardown(void)
{
    dr_dynbuf_fini(&out);
}

START_TEST(writes_every_kind)
{
    rest_json_object(&j, NULL);
    rest_json_str(&j, "s", "x");
    rest_json_str(&j, "n", NULL);
    rest_json_int(&j, "i", INT64_MIN);
    rest_json_bool(&j, "t", true);
    rest_json_array(&j, "a");
    rest_json_array(&j, NULL);
    rest_json_array_end(&j);
    rest_json_object(&j, NULL);
    rest_json_object_end(&j);
    rest_json_null(&j, NULL);
    rest_json_array_end(&j);
    rest_json_base64(&j, "b", dr_bytes_of("86400", 5));
    rest_json_base64(&j, "e", dr_bytes_of(NULL, 0));
    rest_json_id(&j, "id", (int64_t)1 << 20 | 10);
    rest_json_id(&j, "no", 0);
    rest_json_time(&j, "at", 1704164645000);
    rest_json_time(&j, "never", 0);
    rest_json_raw(&j, "raw", dr_bytes_str("{\"x\":[1]}"));
    rest_json_object_end(&j);
    ck_assert_str_eq(
        dr_dynbuf_str(&out),
        "{\"s\":\"x\",\"n\":null,\"i\":-9223372036854775808,\"t\":true,\"a\":[[],{},null],"
        "\"b\":\"ODY0MDA=\",\"e\":\"\",\"id\":\"0000000000010000000000000000000a\",\"no\":null,"
        "\"at\":\"2024-01-02T03:04:05.000000Z\",\"never\":null,\"raw\":{\"x\":[1]}}");
}
END_TEST

static const struct {
    const char *in;
    size_t len;
    const char *want;
} strings[] = {
    {"", 0, "\"\""},
    {"plain", 5, "\"plain\""},
    {"a\"b\\c", 5, "\"a\\\"b\\\\c\""},
    {"\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\""},
    {"\0\x01\x1f\x7f", 4, "\"\\u0000\\u0001\\u001f\\u007f\""},
    {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\""},
    {"a\xff\x62", 3, "\"a\xef\xbf\xbd\x62\""},
    {"\xc3", 1, "\"\xef\xbf\xbd\""},
    {"\xc0\xaf", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\""},
    {"\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
};

START_TEST(strings_are_always_valid)
{
    rest_json_bytes(&j, NULL, dr_bytes_of(strings[_i].in, strings[_i].len));
    ck_assert_str_eq(dr_dynbuf_str(&out), strings[_i].want);
    json_t *back = json_loadb((const char *)out.p, out.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    ck_assert_ptr_nonnull(back);
    json_decref(back);
}
END_TEST

START_TEST(bodies_are_one_valid_value)
{
    static const char *const good[] = {"{}", "[]", " {\"a\":[1,2.5,null]} \n"};
    static const char *const bad[] = {"",
                                      "x",
                                      "1",
                                      "\"a\"",
                                      "{\"a\":1,\"a\":1}",
                                      "{}x",
                                      "{\"a\"}",
                                      "[1,]",
                                      "\xff",
                                      "{\"a\":\"\\u0000\"}",
                                      "{\"a\":\"\xc0\xaf\"}"};
    json_t *json = NULL;
    struct dr_errinfo info = {0};

    for (size_t i = 0; i < DR_ARRAY_LEN(good); i++) {
        ck_assert_int_eq(rest_json_parse(dr_bytes_str(good[i]), &json, &info), DR_OK);
        json_decref(json);
        json = NULL;
    }
    for (size_t i = 0; i < DR_ARRAY_LEN(bad); i++) {
        ck_assert_msg(rest_json_parse(dr_bytes_str(bad[i]), &json, &info) == DR_ERR_PROTO, "%s",
                      bad[i]);
        ck_assert_ptr_null(json);
        ck_assert_str_ne(info.text, "");
    }
}
END_TEST

START_TEST(members_are_read_by_rule)
{
    json_t *json = json_loads("{\"s\":\"abc\",\"u\":\"\xc3\xa4\xc3\xa4\",\"n\":null,\"i\":5,\"d\":"
                              "\"7\",\"t\":true,\"f\":\"false\"}",
                              0, NULL);
    struct rest_field_errors e = {0};
    const char *s = "before";
    int64_t n = 1;
    bool b = false;
    const struct rest_str_rule three = {.min = 1, .max = 3};

    ck_assert(rest_body_str(json, "none", three, false, &s, &e));
    ck_assert_str_eq(s, "before");
    ck_assert(rest_body_str(json, "s", three, false, &s, &e));
    ck_assert_str_eq(s, "abc");
    ck_assert(rest_body_str(json, "u", (struct rest_str_rule){.max = 2}, false, &s, &e));
    ck_assert(rest_body_str(json, "n", three, true, &s, &e));
    ck_assert_ptr_null(s);
    ck_assert(rest_body_int(json, "i", 5, 5, &n, &e));
    ck_assert_int_eq(n, 5);
    ck_assert(rest_body_int(json, "d", 0, 9, &n, &e));
    ck_assert_int_eq(n, 7);
    ck_assert(rest_body_bool(json, "t", &b, &e));
    ck_assert(b);
    ck_assert(rest_body_bool(json, "f", &b, &e));
    ck_assert(!b);
    ck_assert_uint_eq(e.count, 0);
    ck_assert(!rest_body_str(json, "s", (struct rest_str_rule){.max = 2}, false, &s, &e));
    ck_assert(!rest_body_str(json, "s", (struct rest_str_rule){.min = 4}, false, &s, &e));
    ck_assert(!rest_body_str(json, "u", (struct rest_str_rule){.printable = true}, false, &s, &e));
    ck_assert(!rest_body_str(json, "n", three, false, &s, &e));
    ck_assert(!rest_body_str(json, "i", three, false, &s, &e));
    ck_assert(!rest_body_int(json, "i", 6, 9, &n, &e));
    ck_assert(!rest_body_int(json, "s", 0, 9, &n, &e));
    ck_assert(!rest_body_bool(json, "i", &b, &e));
    ck_assert_uint_eq(e.count, 8);
    ck_assert(!rest_body_bool(json, "s", &b, &e)); /* one more than is kept */
    ck_assert_uint_eq(e.count, REST_FIELD_ERRORS_MAX);
    json_decref(json);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("rest json");
    TCase *tc = tcase_create("json");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, writes_every_kind);
    tcase_add_loop_test(tc, strings_are_always_valid, 0, DR_ARRAY_LEN(strings));
    tcase_add_test(tc, bodies_are_one_valid_value);
    tcase_add_test(tc, members_are_read_by_rule);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed;
}
