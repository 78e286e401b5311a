/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/dev.h"
#include "devices/rules.h"
#include "tests/unit/devices/unit.h"

static const struct {
    const char *links, *path;
    bool create, listed;
} paths[] = {
    {"</3/0>", "/3/0", false, true},
    {"</3/0>", "/3/0/9", false, true}, /* a device that lists instances */
    {"</3/0>", "/3/0/11/0", false, true},
    {"</3/0>", "/3", false, true}, /* something lies below */
    {"</3/0>", "/3/1", false, false},
    {"</3/0>", "/4/0", false, false},
    {"</5>", "/5/0/3", false, true}, /* object alone */
    {"</5>,</5/1>", "/5/0/3", false, false},
    {"</3/0/0>,</3/0/5>", "/3/0/5", false, true}, /* a device that lists resources */
    {"</3/0/0>,</3/0/5>", "/3/0/9", false, false},
    {"</3/0/0>,</3/0/5>", "/3/0", false, true},
    {"</3>,</3/0>,</3/0/5>", "/3/0/9", false, false},
    {"</3>,</3/0>,</3/0/5>", "/3/0/5/1", false, true},
    {"</35011>,</35011/0>", "/35011/7", true, true},
    {"</35011>,</35011/0>", "/35011/7", false, false},
    {"</3/0>", "/9/7", true, false},
};

START_TEST(a_path_is_listed_when_the_device_has_it)
{
    struct lwm2m_links links;
    struct lwm2m_path path;

    ck_assert_int_eq(lwm2m_links_parse(paths[_i].links, strlen(paths[_i].links), 0, &links), DR_OK);
    ck_assert_int_eq(lwm2m_path_parse(paths[_i].path, strlen(paths[_i].path), &path), DR_OK);
    ck_assert_msg(dev_path_listed(&links, &path, paths[_i].create) == paths[_i].listed, "%s in %s",
                  paths[_i].path, paths[_i].links);
    lwm2m_links_fini(&links);
}
END_TEST

static const struct {
    const char *segments[5];
    enum dev_target target;
    int64_t device;
} targets[] = {
    {{"rd"}, DEV_TARGET_RD, -1},
    {{"dp"}, DEV_TARGET_DP, -1},
    {{"rd", "0000000000000012"}, DEV_TARGET_LOCATION, 0x12},
    {{"rd", "0000000000000012", "00000000000000ff"}, DEV_TARGET_LOCATION, 0xff},
    {{"rd", "12"}, DEV_TARGET_LOCATION, 0},
    {{"rd", "8000000000000012"}, DEV_TARGET_LOCATION, 0},
    {{"rd", "000000000000001G"}, DEV_TARGET_LOCATION, 0},
    {{"rd", "a", "b", "c"}, DEV_TARGET_NONE, -1},
    {{"rdx"}, DEV_TARGET_NONE, -1},
    {{"dp", "1"}, DEV_TARGET_NONE, -1},
    {{NULL}, DEV_TARGET_NONE, -1},
};

START_TEST(uri_paths_lead_to_their_target)
{
    struct cx_opt opts[6];
    size_t n = 0;
    uint8_t buf[256];
    struct cx_pdu pdu;

    for (size_t i = 0; targets[_i].segments[i] != NULL; i++) {
        const char *s = targets[_i].segments[i];
        opts[n++] = (struct cx_opt){CX_OPT_URI_PATH, (uint16_t)strlen(s), (const uint8_t *)s};
    }
    opts[n++] = (struct cx_opt){CX_OPT_URI_QUERY, 4, (const uint8_t *)"lt=1"};
    struct dr_wr wr = dr_wr_of(buf, sizeof buf);
    ck_assert_int_eq(cx_pdu_encode(&wr, CX_CON, CX_POST, 1, NULL, 0, opts, n, NULL, 0), DR_OK);
    ck_assert_int_eq(cx_pdu_decode(buf, dr_wr_len(&wr), &pdu), DR_OK);
    int64_t device = -1;
    bool query;
    ck_assert_int_eq(dev_target_of(&pdu, &device, &query), targets[_i].target);
    ck_assert_int_eq(device, targets[_i].device);
    ck_assert(query || targets[_i].target == DEV_TARGET_NONE);
}
END_TEST

START_TEST(locations_are_read_back)
{
    static const int64_t ids[] = {1, 0x18bcfe5680000001, INT64_MAX};
    char text[DEV_LOCATION_ID_LEN + 1];
    int64_t got;

    for (size_t i = 0; i < DR_ARRAY_LEN(ids); i++) {
        dev_location_format(ids[i], text);
        ck_assert_uint_eq(strlen(text), DEV_LOCATION_ID_LEN);
        ck_assert_int_eq(dev_location_parse((const uint8_t *)text, strlen(text), &got), DR_OK);
        ck_assert_int_eq(got, ids[i]);
    }
}
END_TEST

START_TEST(uris_have_a_path_and_perhaps_a_query)
{
    struct dev_uri uri = {.query = "untouched"};
    char longest[DEV_PATH_MAX + 10];

    ck_assert_int_eq(dev_uri_parse("/", &uri), DR_ERR_PROTO);
    ck_assert_int_eq(dev_uri_parse("3/0", &uri), DR_ERR_PROTO);
    ck_assert_int_eq(dev_uri_parse("/3/0/", &uri), DR_ERR_PROTO);
    ck_assert_str_eq(uri.query, "untouched");
    ck_assert_int_eq(dev_uri_parse("/3303/0/5700?pmin=1&gt=2", &uri), DR_OK);
    ck_assert_uint_eq(uri.path.depth, 3);
    ck_assert_str_eq(uri.query, "pmin=1&gt=2");
    ck_assert_int_eq(dev_uri_parse("/3", &uri), DR_OK);
    ck_assert_ptr_null(uri.query);
    memset(longest, 'a', sizeof longest);
    memcpy(longest, "/3/0?", 5);
    longest[DEV_PATH_MAX] = '\0';
    ck_assert_int_eq(dev_uri_parse(longest, &uri), DR_OK);
    longest[DEV_PATH_MAX] = 'a';
    longest[DEV_PATH_MAX + 1] = '\0';
    ck_assert_int_eq(dev_uri_parse(longest, &uri), DR_ERR_RANGE);
}
END_TEST

START_TEST(patterns_end_in_a_star_or_are_exact)
{
    ck_assert(dev_pattern_match("", "anything"));
    ck_assert(dev_pattern_match("*", "anything"));
    ck_assert(dev_pattern_match("/3303/*", "/3303/0"));
    ck_assert(!dev_pattern_match("/3303/*", "/3303"));
    ck_assert(!dev_pattern_match("/33*3/0", "/3303/0"));
    ck_assert(dev_pattern_match("abc", "abc"));
    ck_assert(!dev_pattern_match("abc", "abcd"));
}
END_TEST

START_TEST(every_code_has_a_status)
{
    const char *error = NULL;

    ck_assert_int_eq(dev_status_of_code(CX_CREATED), 200);
    ck_assert_int_eq(dev_status_of_code(CX_CODE(2, 31)), 200);
    ck_assert_int_eq(dev_status_of_code(CX_NOT_ALLOWED), 400);
    ck_assert_int_eq(dev_status_of_code(CX_CODE(4, 29)), 400);
    ck_assert_int_eq(dev_status_of_code(CX_CODE(5, 29)), 502);
    ck_assert_int_eq(dev_status_of_code(CX_CODE(7, 1)), 502);
    ck_assert_int_eq(dev_status_of_err(DR_ERR_RESET, &error), 502);
    ck_assert_str_eq(error, "CONNECTION_FAILED");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("devices: rules");
    TCase *tc = tcase_create("rules");

    tcase_add_loop_test(tc, a_path_is_listed_when_the_device_has_it, 0, (int)DR_ARRAY_LEN(paths));
    tcase_add_loop_test(tc, uri_paths_lead_to_their_target, 0, (int)DR_ARRAY_LEN(targets));
    tcase_add_test(tc, locations_are_read_back);
    tcase_add_test(tc, uris_have_a_path_and_perhaps_a_query);
    tcase_add_test(tc, patterns_end_in_a_star_or_are_exact);
    tcase_add_test(tc, every_code_has_a_status);
    suite_add_tcase(s, tc);
    return unit_main(s);
}
