/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/presub_json.h"
#include "tests/unit/devices/unit.h"

START_TEST(what_is_written_is_read)
{
    const char *paths[] = {"/3/*", "/3303/0/5700"};
    struct dev_presubscription in = {
        .endpoint = "a\"b\\c*", .endpoint_type = "t\x01\xc3\xa4", .paths = paths, .n_paths = 2};
    struct dr_dynbuf b;
    struct dev_presub out;

    dr_dynbuf_init(&b, 4096);
    ck_assert_int_eq(dev_presub_write(&in, &b), DR_OK);
    ck_assert_str_eq(dr_dynbuf_str(&b),
                     "{\"endpoint-name\":\"a\\\"b\\\\c*\",\"endpoint-type\":\"t\\u0001\xc3\xa4\","
                     "\"resource-path\":[\"/3/*\",\"/3303/0/5700\"]}");
    ck_assert_int_eq(dev_presub_read(dr_dynbuf_str(&b), &out), DR_OK);
    ck_assert_str_eq(out.endpoint, in.endpoint);
    ck_assert_str_eq(out.type, in.endpoint_type);
    ck_assert_uint_eq(out.n_paths, 2);
    ck_assert_str_eq(out.paths[1], paths[1]);
    dev_presub_fini(&out);
    dr_dynbuf_fini(&b);
}
END_TEST

static const struct {
    const char *json;
    dr_err_t err;
} cases[] = {
    {"{}", DR_OK},
    {" { \"resource-path\" : [ ] } ", DR_OK},
    {"", DR_ERR_CORRUPT},
    {"{", DR_ERR_CORRUPT},
    {"{}x", DR_ERR_CORRUPT},
    {"{\"resource-path\":[\"/3\"}", DR_ERR_CORRUPT},
    {"{\"resource-path\":[\"/3\"],}", DR_ERR_CORRUPT},
    {"{\"unknown\":\"x\"}", DR_ERR_CORRUPT},
    {"{\"endpoint-name\":\"a\",\"endpoint-name\":\"b\"}", DR_ERR_CORRUPT},
    {"{\"endpoint-name\":\"open", DR_ERR_CORRUPT},
    {"{\"endpoint-name\":\"\\u00zz\"}", DR_ERR_CORRUPT},
    {"{\"endpoint-name\":\"\\", DR_ERR_CORRUPT},
};

START_TEST(anything_else_is_refused)
{
    struct dev_presub out = {0};

    ck_assert_int_eq(dev_presub_read(cases[_i].json, &out), cases[_i].err);
    dev_presub_fini(&out);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("devices: pre-subscriptions");
    TCase *tc = tcase_create("json");

    tcase_add_test(tc, what_is_written_is_read);
    tcase_add_loop_test(tc, anything_else_is_refused, 0, (int)DR_ARRAY_LEN(cases));
    suite_add_tcase(s, tc);
    return unit_main(s);
}
