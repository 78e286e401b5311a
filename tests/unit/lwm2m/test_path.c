/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/lwm2m/fixture.h"

#include "lwm2m/path.h"

static const struct {
    const char *text;
    dr_err_t strict, tolerant;
    struct lwm2m_path want; /* of the tolerant one, and of the strict one when it takes it */
} cases[] = {
    {"/", DR_OK, DR_OK, {.depth = 0}},
    {"/3", DR_OK, DR_OK, {{3}, 1}},
    {"/3/0", DR_OK, DR_OK, {{3, 0}, 2}},
    {"/3/0/9", DR_OK, DR_OK, {{3, 0, 9}, 3}},
    {"/65534/65534/65534/65534", DR_OK, DR_OK, {{65534, 65534, 65534, 65534}, 4}},
    {"", DR_ERR_PROTO, DR_OK, {.depth = 0}},
    {"3/0", DR_ERR_PROTO, DR_OK, {{3, 0}, 2}},
    {"/3/", DR_ERR_PROTO, DR_OK, {{3}, 1}},
    {"//3//0", DR_ERR_PROTO, DR_OK, {{3, 0}, 2}},
    {" /3/0 ", DR_ERR_PROTO, DR_OK, {{3, 0}, 2}},
    {"/03", DR_ERR_PROTO, DR_OK, {{3}, 1}},
    {"/65535", DR_ERR_RANGE, DR_ERR_RANGE, {.depth = 9}},
    {"/4294967297", DR_ERR_RANGE, DR_ERR_RANGE, {.depth = 9}},
    {"/1/2/3/4/5", DR_ERR_RANGE, DR_ERR_RANGE, {.depth = 9}},
    {"/a", DR_ERR_PROTO, DR_ERR_PROTO, {.depth = 9}},
    {"/3x", DR_ERR_PROTO, DR_ERR_PROTO, {.depth = 9}},
    {"/-3", DR_ERR_PROTO, DR_ERR_PROTO, {.depth = 9}},
    {"/3/ 0", DR_ERR_PROTO, DR_ERR_PROTO, {.depth = 9}},
};

static bool same(const struct lwm2m_path *a, const struct lwm2m_path *b)
{
    return memcmp(a->id, b->id, sizeof(a->id)) == 0 && a->depth == b->depth;
}

START_TEST(parses_each_case)
{
    const struct lwm2m_path untouched = {.depth = 9};
    struct lwm2m_path got = untouched;
    const char *text = cases[_i].text;

    ck_assert_int_eq(lwm2m_path_parse(text, strlen(text), &got), cases[_i].strict);
    ck_assert(same(&got, cases[_i].strict == DR_OK ? &cases[_i].want : &untouched));
    got = untouched;
    ck_assert_int_eq(lwm2m_path_parse_tolerant(text, strlen(text), &got), cases[_i].tolerant);
    ck_assert(same(&got, &cases[_i].want));
}
END_TEST

START_TEST(formats_what_it_parsed)
{
    char text[LWM2M_PATH_STR_MAX];

    if (cases[_i].strict == DR_OK) {
        ck_assert_uint_eq(lwm2m_path_format(&cases[_i].want, text), strlen(cases[_i].text));
        ck_assert_str_eq(text, cases[_i].text);
    }
}
END_TEST

START_TEST(key_order_is_path_order)
{
    static const char *const sorted[] = {"/",        "/0",      "/0/0",      "/3",        "/3/0",
                                         "/3/0/9",   "/3/0/11", "/3/0/11/0", "/3/0/11/1", "/3/0/12",
                                         "/3/65534", "/4",      "/65534"};

    for (size_t i = 0; i < DR_ARRAY_LEN(sorted); i++) {
        struct lwm2m_path a = path_of(sorted[i]), back;
        ck_assert_int_eq(lwm2m_path_unpack(lwm2m_path_pack(&a), &back), DR_OK);
        ck_assert(same(&a, &back));
        for (size_t k = 0; k < DR_ARRAY_LEN(sorted); k++) {
            struct lwm2m_path b = path_of(sorted[k]);
            ck_assert_int_eq(lwm2m_path_cmp(&a, &b), (i > k) - (i < k));
            bool below = lwm2m_path_pack(&b) >= lwm2m_path_pack(&a) &&
                         lwm2m_path_pack(&b) <= lwm2m_path_pack_last(&a);
            ck_assert_int_eq(below, lwm2m_path_has_prefix(&b, &a));
        }
    }
}
END_TEST

START_TEST(broken_keys_are_refused)
{
    struct lwm2m_path got = {.depth = 9};

    ck_assert_int_eq(lwm2m_path_unpack(0x0000000100000000U, &got), DR_ERR_PROTO);
    ck_assert_int_eq(lwm2m_path_unpack(0x0001000000010000U, &got), DR_ERR_PROTO);
    ck_assert_uint_eq(got.depth, 9);
}
END_TEST

START_TEST(children_and_cuts)
{
    struct lwm2m_path p = path_of("/3/0/11"), child = {.depth = 9};

    ck_assert_int_eq(lwm2m_path_child(&p, 2, &child), DR_OK);
    ck_assert(same(&child, &LWM2M_PATH(3, 0, 11, 2)));
    ck_assert_int_eq(lwm2m_path_child(&child, 2, &p), DR_ERR_RANGE);
    ck_assert_int_eq(lwm2m_path_child(&p, 65535, &child), DR_ERR_RANGE);
    ck_assert(same(&p, &LWM2M_PATH(3, 0, 11)));
    p = lwm2m_path_cut(&child, 2);
    ck_assert(same(&p, &LWM2M_PATH(3, 0)));
    p = lwm2m_path_cut(&p, 4);
    ck_assert(same(&p, &LWM2M_PATH(3, 0)));
    ck_assert(lwm2m_path_eq(&p, &LWM2M_PATH(3, 0)));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("lwm2m path");
    TCase *t = tcase_create("text");
    tcase_add_loop_test(t, parses_each_case, 0, (int)DR_ARRAY_LEN(cases));
    tcase_add_loop_test(t, formats_what_it_parsed, 0, (int)DR_ARRAY_LEN(cases));
    suite_add_tcase(s, t);
    t = tcase_create("keys and relations");
    tcase_add_test(t, key_order_is_path_order);
    tcase_add_test(t, broken_keys_are_refused);
    tcase_add_test(t, children_and_cuts);
    suite_add_tcase(s, t);
    return run_suite(s);
}
