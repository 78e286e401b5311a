/* SPDX-License-Identifier: Apache-2.0 */
#include "rest/router.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

static struct rest_arena arena;
static struct rest_target target;

static void setup(void)
{
    rest_arena_init(&arena, 1 << 20);
}
static void teardown(void)
{
    rest_arena_fini(&arena);
}

static const struct {
    const char *text;
    dr_err_t err;
    const char *segments; /* joined by '|' */
    const char *args;     /* name=value joined by '|' */
} targets[] = {
    {"/", DR_OK, "", ""},
    {"/v3/devices", DR_OK, "v3|devices", ""},
    {"/v3/devices/", DR_OK, "v3|devices", ""},
    {"//v3//devices//x//", DR_OK, "v3|devices|x", ""},
    {"/ace-auth//token", DR_OK, "ace-auth|token", ""},
    {"/v2/endpoints/D//1/0/", DR_OK, "v2|endpoints|D||1|0", ""},
    {"/v3/a%2Fb%20c+d", DR_OK, "v3|a/b c+d", ""},
    {"http://h:1/v3/x?a=b", DR_OK, "v3|x", "a=b"},
    {"/v3?a=1&&b&c=%2B+d&a=%zz", DR_OK, "v3", "a=1|b=|c=+ d|a=%zz"},
    {"/v3?a=x%3Dy=z", DR_OK, "v3", "a=x=y=z"},
    {"/v3#frag", DR_OK, "v3", ""},
    {"v3", DR_ERR_PROTO, NULL, NULL},
    {"", DR_ERR_PROTO, NULL, NULL},
    {"*", DR_ERR_PROTO, NULL, NULL},
    {"/v3/%", DR_ERR_PROTO, NULL, NULL},
    {"/v3/%0", DR_ERR_PROTO, NULL, NULL},
    {"/v3/%00", DR_ERR_PROTO, NULL, NULL},
    {"/v3/%c0%af", DR_ERR_PROTO, NULL, NULL},
    {"/v3?a=%00", DR_ERR_PROTO, NULL, NULL},
    {"/v3?a=%ff", DR_ERR_PROTO, NULL, NULL},
};

START_TEST(takes_each_target_apart)
{
    target.n_segments = 99;
    ck_assert_int_eq(rest_target_parse(targets[_i].text, &arena, &target), targets[_i].err);
    if (targets[_i].err != DR_OK) {
        return;
    }
    char text[512] = "";
    for (size_t i = 0; i < target.n_segments; i++) {
        strcat(text, i == 0 ? "" : "|");
        strcat(text, target.segments[i]);
    }
    ck_assert_str_eq(text, targets[_i].segments);
    text[0] = '\0';
    for (size_t i = 0; i < target.n_args; i++) {
        (void)sprintf(text + strlen(text), "%s%s=%s", i == 0 ? "" : "|", target.args[i].name,
                      target.args[i].value);
    }
    ck_assert_str_eq(text, targets[_i].args);
}
END_TEST

START_TEST(refuses_what_goes_over_a_maximum)
{
    char *text = malloc(REST_TARGET_MAX + 16);
    memset(text, '/', REST_TARGET_MAX + 1);
    text[REST_TARGET_MAX + 1] = '\0';
    ck_assert_int_eq(rest_target_parse(text, &arena, &target), DR_ERR_TOO_LARGE);
    text[0] = '\0';
    for (int i = 0; i < REST_SEGMENTS_MAX; i++) {
        strcat(text, "/a");
    }
    ck_assert_int_eq(rest_target_parse(text, &arena, &target), DR_OK);
    strcat(text, "/a");
    ck_assert_int_eq(rest_target_parse(text, &arena, &target), DR_ERR_TOO_LARGE);
    strcpy(text, "/x?");
    for (int i = 0; i < REST_ARGS_MAX; i++) {
        strcat(text, "a=1&");
    }
    ck_assert_int_eq(rest_target_parse(text, &arena, &target), DR_OK);
    strcat(text, "a=1");
    ck_assert_int_eq(rest_target_parse(text, &arena, &target), DR_ERR_TOO_LARGE);
    free(text);
    struct rest_arena small;
    rest_arena_init(&small, 8);
    ck_assert_int_eq(rest_target_parse("/abcdefgh/abcdefgh/abcdefgh", &small, &target),
                     DR_ERR_NOMEM);
    rest_arena_fini(&small);
}
END_TEST

START_TEST(gives_the_first_value_of_an_argument)
{
    ck_assert_int_eq(rest_target_parse("/x?a=&b=1&b=2", &arena, &target), DR_OK);
    ck_assert_ptr_null(rest_target_arg(&target, "a")); /* empty counts as absent */
    ck_assert_str_eq(rest_target_arg(&target, "b"), "1");
    ck_assert_ptr_null(rest_target_arg(&target, "c"));
}
END_TEST

static void handler(struct rest_req *req)
{
    (void)req;
}

static const struct rest_route table[] = {
    {REST_GET, REST_READ, "/v3/things", handler, 0},
    {REST_POST, REST_WRITE, "/v3/things", handler, 0},
    {REST_GET, REST_READ, "/v3/things/me", handler, 0},
    {REST_GET, REST_READ, "/v3/things/{}", handler, 0},
    {REST_DELETE, REST_READ, "/v3/things/{}", handler, 0},
    {REST_GET, REST_READ, "/v2/sub/{}", handler, 0},
    {REST_PUT, REST_READ, "/v2/sub/{}/{*}", handler, 0},
};
static const struct rest_routes routes = {table, DR_ARRAY_LEN(table)};
static const struct rest_routes *const tables[] = {&routes};

static const struct {
    const char *path;
    enum rest_method method;
    int route; /* index, or -1 */
    dr_err_t err;
    const char *first, *second;
    const char *allow;
} finds[] = {
    {"/v3/things", REST_GET, 0, DR_OK, NULL, NULL, NULL},
    {"/v3/things/", REST_POST, 1, DR_OK, NULL, NULL, NULL},
    {"/v3/things/me", REST_GET, 2, DR_OK, NULL, NULL, NULL},
    {"/v3/things/me", REST_DELETE, 4, DR_OK, "me", NULL, NULL},
    {"/v3/things/you", REST_GET, 3, DR_OK, "you", NULL, NULL},
    {"/v2/sub/D", REST_GET, 5, DR_OK, "D", NULL, NULL},
    {"/v2/sub/D/1/0/1", REST_PUT, 6, DR_OK, "D", "/1/0/1", NULL},
    {"/v2/sub/D/1%2f2/3/", REST_PUT, 6, DR_OK, "D", "/1/2/3", NULL},
    {"/v3/things", REST_PUT, -1, DR_ERR_UNSUPPORTED, NULL, NULL, "GET, HEAD, POST"},
    {"/v3/things/x", REST_METHOD_NONE, -1, DR_ERR_UNSUPPORTED, NULL, NULL, "GET, HEAD, DELETE"},
    {"/v2/sub/D", REST_PUT, -1, DR_ERR_UNSUPPORTED, NULL, NULL, "GET, HEAD"},
    {"/v3/things/x/y", REST_GET, -1, DR_ERR_NOT_FOUND, NULL, NULL, NULL},
    {"/v3/thing", REST_GET, -1, DR_ERR_NOT_FOUND, NULL, NULL, NULL},
    {"/", REST_GET, -1, DR_ERR_NOT_FOUND, NULL, NULL, NULL},
};

START_TEST(finds_each_route)
{
    struct rest_match m = {0};
    unsigned allow = 0;

    ck_assert_int_eq(rest_target_parse(finds[_i].path, &arena, &target), DR_OK);
    ck_assert_int_eq(rest_route_find(tables, 1, finds[_i].method, &target, &arena, &m, &allow),
                     finds[_i].err);
    if (finds[_i].err == DR_OK) {
        ck_assert_ptr_eq(m.route, &table[finds[_i].route]);
        size_t n = (finds[_i].first != NULL) + (size_t)(finds[_i].second != NULL);
        ck_assert_uint_eq(m.n_captures, n);
        if (n > 0) {
            ck_assert_str_eq(m.captures[0], finds[_i].first);
        }
        if (n > 1) {
            ck_assert_str_eq(m.captures[1], finds[_i].second);
        }
    } else if (finds[_i].allow != NULL) {
        char text[REST_ALLOW_MAX];
        rest_allow_format(allow, text);
        ck_assert_str_eq(text, finds[_i].allow);
    } else {
        ck_assert_uint_eq(allow, 0);
    }
}
END_TEST

START_TEST(an_arena_ends_at_its_maximum)
{
    struct rest_arena a;
    rest_arena_init(&a, 10000);
    ck_assert_ptr_nonnull(rest_arena_alloc(&a, 0));
    ck_assert_ptr_nonnull(rest_arena_alloc(&a, 3000));
    char *s = rest_arena_strndup(&a, "abc", 2);
    ck_assert_str_eq(s, "ab");
    ck_assert_ptr_null(rest_arena_alloc(&a, 10001));
    ck_assert_ptr_null(rest_arena_array(&a, SIZE_MAX, 2));
    size_t n = 0;
    while (rest_arena_alloc(&a, 16) != NULL) {
        n++;
    }
    ck_assert_uint_gt(n, 100);
    ck_assert_uint_le(a.total, 10000);
    rest_arena_fini(&a);
    ck_assert_ptr_nonnull(rest_arena_alloc(&a, 16));
    rest_arena_fini(&a);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("rest router");
    TCase *tc = tcase_create("router");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, takes_each_target_apart, 0, DR_ARRAY_LEN(targets));
    tcase_add_test(tc, refuses_what_goes_over_a_maximum);
    tcase_add_test(tc, gives_the_first_value_of_an_argument);
    tcase_add_loop_test(tc, finds_each_route, 0, DR_ARRAY_LEN(finds));
    tcase_add_test(tc, an_arena_ends_at_its_maximum);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed;
}
