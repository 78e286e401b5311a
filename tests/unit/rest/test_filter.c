/* SPDX-License-Identifier: Apache-2.0 */
#include "rest/filter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

static const char *const fields[] = {"id",         "state",        "name",
                                     "created_at", "device_class", "custom_attributes__"};
static struct rest_arena arena;

static void setup(void)
{
    rest_arena_init(&arena, 1 << 20);
}
static void teardown(void)
{
    rest_arena_fini(&arena);
}

/* spec: Pelion REST list conventions, filters */
static const struct {
    const char *query;
    dr_err_t err;
    const char *want; /* field op value,value; … or the name in the error */
} cases[] = {
    {"", DR_OK, ""},
    {"filter=", DR_OK, ""},
    {"state=registered", DR_OK, "state eq registered;"},
    {"state__eq=registered", DR_OK, "state eq registered;"},
    {"name__in=a%2Cb", DR_OK, "name in a,b;"},
    {"name__nin=a,b,c", DR_OK, "name nin a,b,c;"},
    {"name__in=a,", DR_OK, "name in a,;"},
    {"name=a%2Cb", DR_OK, "name eq a,b;"},
    {"name__like=x&state__neq=y", DR_OK, "name like x;state neq y;"},
    {"state__neq=1&state__eq=1", DR_OK, "state eq 1;"},
    {"state__eq=1&state__neq=1", DR_OK, "state eq 1;"},
    {"state__neq=1&name__eq=1&state__neq=2", DR_OK, "state neq 1;name eq 1;state neq 2;"},
    {"custom_attributes__site=a&custom_attributes__site__neq=b", DR_OK,
     "custom_attributes__site eq a;"},
    {"custom_attributes__a=1&custom_attributes__b__neq=2", DR_OK,
     "custom_attributes__a eq 1;custom_attributes__b neq 2;"},
    {"custom_attributes__a__b=1", DR_OK, "custom_attributes__a__b eq 1;"},
    {"custom_attributes__a__b__in=1,2", DR_OK, "custom_attributes__a__b in 1,2;"},
    {"custom_attributes__in=1", DR_OK, "custom_attributes__in eq 1;"},
    {"state=&name__eq=", DR_OK, ""},
    {"limit=5&order=ASC&after=x&include=a&properties=&foo=1&a__b=2", DR_OK, ""},
    /* packed */
    {"filter=state%3Dregistered", DR_OK, "state eq registered;"},
    {"filter=state%3Dregistered%26name__in%3Da%2Cb", DR_OK, "state eq registered;name in a,b;"},
    {"filter=created_at__gte%3D2024-01-01T00%253A00%253A00Z", DR_OK,
     "created_at gte 2024-01-01T00:00:00Z;"},
    {"filter=created_at__gte%3D2024-01-01T00%3A00%3A00.000Z", DR_OK,
     "created_at gte 2024-01-01T00:00:00.000Z;"},
    {"filter=custom_attributes__site%3Da%2Bb", DR_OK, "custom_attributes__site eq a b;"},
    {"filter=custom_attributes__site%3Da%252Bb", DR_OK, "custom_attributes__site eq a+b;"},
    {"filter=name%3D100%25", DR_OK, "name eq 100%;"},
    {"filter=name%3Da%2500", DR_OK, "name eq a%00;"},
    {"filter=device_class__eq=A&name__eq=B", DR_OK, "device_class eq A;name eq B;"},
    {"filter=%26%26state%3Dx%26", DR_OK, "state eq x;"},
    /* refused */
    {"foo__eq=1", DR_ERR_INVAL, "foo__eq"},
    {"state__foo=1", DR_ERR_INVAL, "state__foo"},
    {"filter=foo%3D1", DR_ERR_INVAL, "foo"},
    {"filter=foo__bar%3D1", DR_ERR_INVAL, "foo__bar"},
    {"filter=limit%3D1", DR_ERR_INVAL, "limit"},
};

static void parse_target(const char *query, struct rest_target *t)
{
    char text[4096];
    (void)snprintf(text, sizeof text, "/v3/x?%s", query);
    ck_assert_int_eq(rest_target_parse(text, &arena, t), DR_OK);
}

static void show(const struct rest_filter *f, char *out)
{
    static const char *const ops[] = {"eq", "neq", "in", "nin", "lte", "gte", "like"};

    out[0] = '\0';
    for (size_t i = 0; i < f->count; i++) {
        (void)sprintf(out + strlen(out), "%s %s ", f->conds[i].field, ops[f->conds[i].op]);
        for (size_t k = 0; k < f->conds[i].n_values; k++) {
            (void)sprintf(out + strlen(out), "%s%s", k == 0 ? "" : ",", f->conds[i].values[k]);
        }
        strcat(out, ";");
    }
}

START_TEST(reads_each_query)
{
    struct rest_target t;
    struct rest_filter f = {.count = 77};
    struct rest_field_errors errors = {0};
    char text[2048];

    parse_target(cases[_i].query, &t);
    dr_err_t err = rest_filter_parse(&t, fields, DR_ARRAY_LEN(fields), &arena, &f, &errors);
    ck_assert_int_eq(err, cases[_i].err);
    if (err == DR_OK) {
        show(&f, text);
        ck_assert_str_eq(text, cases[_i].want);
        ck_assert_uint_eq(errors.count, 0);
    } else {
        ck_assert_uint_eq(f.count, 77);
        ck_assert_uint_eq(errors.count, 1);
        ck_assert_str_eq(errors.item[0].name, cases[_i].want);
    }
}
END_TEST

START_TEST(takes_as_many_conditions_and_values_as_it_says)
{
    struct rest_target t;
    struct rest_filter f;
    struct rest_field_errors errors = {0};
    char text[4096] = "";

    for (int i = 0; i < DB_CONDS_MAX; i++) {
        (void)sprintf(text + strlen(text), "name__neq=%d&", i);
    }
    parse_target(text, &t);
    ck_assert_int_eq(rest_filter_parse(&t, fields, DR_ARRAY_LEN(fields), &arena, &f, &errors),
                     DR_OK);
    ck_assert_uint_eq(f.count, DB_CONDS_MAX);
    strcat(text, "name__neq=x");
    parse_target(text, &t);
    ck_assert_int_eq(rest_filter_parse(&t, fields, DR_ARRAY_LEN(fields), &arena, &f, &errors),
                     DR_ERR_INVAL);
    strcpy(text, "name__in=0");
    for (int i = 1; i < DB_COND_VALUES_MAX; i++) {
        strcat(text, ",1");
    }
    parse_target(text, &t);
    ck_assert_int_eq(rest_filter_parse(&t, fields, DR_ARRAY_LEN(fields), &arena, &f, &errors),
                     DR_OK);
    ck_assert_uint_eq(f.conds[0].n_values, DB_COND_VALUES_MAX);
    strcat(text, ",1");
    parse_target(text, &t);
    ck_assert_int_eq(rest_filter_parse(&t, fields, DR_ARRAY_LEN(fields), &arena, &f, &errors),
                     DR_ERR_INVAL);
}
END_TEST

START_TEST(reads_a_saved_query)
{
    struct rest_filter f;
    struct rest_field_errors errors = {0};
    char text[256];

    ck_assert_int_eq(rest_filter_parse_packed("id__eq=1&custom_attributes__site=a+b", fields,
                                              DR_ARRAY_LEN(fields), &arena, &f, &errors),
                     DR_OK);
    show(&f, text);
    ck_assert_str_eq(text, "id eq 1;custom_attributes__site eq a b;");
    ck_assert_int_eq(
        rest_filter_parse_packed("nothing", fields, DR_ARRAY_LEN(fields), &arena, &f, &errors),
        DR_ERR_INVAL);
}
END_TEST

static const struct {
    const char *query;
    uint32_t limit;
    bool desc;
    int64_t after;
    dr_err_t err;
} pages[] = {
    {"", 50, false, 0, DR_OK},
    {"limit=0", 2, false, 0, DR_OK},
    {"limit=-5", 2, false, 0, DR_OK},
    {"limit=1", 2, false, 0, DR_OK},
    {"limit=1000", 1000, false, 0, DR_OK},
    {"limit=1001", 1000, false, 0, DR_OK},
    {"limit=x", 50, false, 0, DR_OK},
    {"limit=&order=&after=", 50, false, 0, DR_OK},
    {"order=desc", 50, true, 0, DR_OK},
    {"order=ASC", 50, false, 0, DR_OK},
    {"after=0000000000010000000000000000000a", 50, false, 0x10000a, DR_OK},
    {"after=1", 0, false, 0, DR_ERR_INVAL},
};

START_TEST(reads_each_page)
{
    struct rest_target t;
    struct rest_page p = {0};
    struct rest_field_errors errors = {0};

    parse_target(pages[_i].query, &t);
    ck_assert_int_eq(rest_page_parse(&t, false, &p, &errors), pages[_i].err);
    ck_assert_uint_eq(p.limit, pages[_i].limit);
    ck_assert(p.desc == pages[_i].desc && p.after == pages[_i].after);
    ck_assert_uint_eq(errors.count, pages[_i].err == DR_OK ? 0 : 1);
}
END_TEST

START_TEST(include_may_have_blanks)
{
    struct rest_target t;

    parse_target("include=limits%2C+policies,x", &t);
    ck_assert(rest_page_includes(&t, "limits"));
    ck_assert(rest_page_includes(&t, "policies"));
    ck_assert(rest_page_includes(&t, "x"));
    ck_assert(!rest_page_includes(&t, "limit"));
    parse_target("", &t);
    ck_assert(!rest_page_includes(&t, "limits"));
}
END_TEST

START_TEST(the_envelope_has_all_members)
{
    struct dr_dynbuf b;
    dr_dynbuf_init(&b, 1000);
    struct rest_json j = rest_json_of(&b);
    struct rest_page page = {.limit = 2, .desc = true, .after_text = "x"};

    rest_list_begin(&j, &page);
    rest_json_str(&j, NULL, "a");
    rest_json_int(&j, NULL, 1);
    rest_list_end(&j, true, 7);
    ck_assert_str_eq(dr_dynbuf_str(&b),
                     "{\"object\":\"list\",\"limit\":2,\"after\":\"x\",\"order\":\"DESC\","
                     "\"data\":[\"a\",1],\"has_more\":true,\"total_count\":7}");
    dr_dynbuf_reset(&b);
    page.after_text = NULL;
    rest_list_begin(&j, &page);
    rest_list_end(&j, false, -1);
    ck_assert_str_eq(dr_dynbuf_str(&b), "{\"object\":\"list\",\"limit\":2,\"after\":null,\"order\":"
                                        "\"DESC\",\"data\":[],\"has_more\":false}");
    dr_dynbuf_fini(&b);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("rest filter");
    TCase *tc = tcase_create("filter");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, reads_each_query, 0, DR_ARRAY_LEN(cases));
    tcase_add_test(tc, takes_as_many_conditions_and_values_as_it_says);
    tcase_add_test(tc, reads_a_saved_query);
    tcase_add_loop_test(tc, reads_each_page, 0, DR_ARRAY_LEN(pages));
    tcase_add_test(tc, include_may_have_blanks);
    tcase_add_test(tc, the_envelope_has_all_members);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed;
}
