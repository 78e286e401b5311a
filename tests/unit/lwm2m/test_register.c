/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/lwm2m/fixture.h"

#include "lwm2m/register.h"

#define QUERY_MAX 40

/* "ep=a&lt=60" as the options of a request. */
static size_t split(const char *text, struct lwm2m_str out[QUERY_MAX])
{
    size_t n = 0;

    while (*text != '\0') {
        size_t len = strcspn(text, "&");
        ck_assert_uint_lt(n, QUERY_MAX);
        out[n++] = (struct lwm2m_str){.ptr = text, .len = len};
        text += len + (text[len] == '&' ? 1 : 0);
    }
    return n;
}

static dr_err_t parse(const char *text, struct lwm2m_register *reg, struct dr_errinfo *err)
{
    struct lwm2m_str query[QUERY_MAX];

    return lwm2m_register_parse(query, split(text, query), reg, err);
}

static const struct {
    const char *text; /* spec: LWM2M-1.2-CORE#6.2.1 */
    dr_err_t err;
    const char *field; /* of the error */
} verdicts[] = {
    {"ep=a", DR_OK, ""},
    {"", DR_OK, ""}, /* the endpoint may come from the security identity */
    {"ep=a&lt=60&lwm2m=1.1&b=U", DR_OK, ""},
    {"ep=a&lwm2m=1.1&b=U", DR_ERR_PROTO, "lt"},
    {"ep=a&lt=abc", DR_ERR_PROTO, "lt"},
    {"ep=a&lt=-1", DR_ERR_PROTO, "lt"},
    {"ep=a&lt=", DR_ERR_PROTO, "lt"},
    {"ep=a&lt=0&lwm2m=1.1", DR_ERR_PROTO, "lt"},
    {"ep=a&lt=0&lwm2m=1.2", DR_OK, ""},
    {"ep=", DR_ERR_PROTO, "ep"},
    {"ep", DR_ERR_PROTO, "ep"},
    {"ep=a&ep=b", DR_ERR_PROTO, "ep"},
    {"ep=a\x01", DR_ERR_PROTO, "ep"},
    {"ep=\xff", DR_ERR_PROTO, "ep"},
    {"ep=a&lwm2m=2.0&lt=60", DR_ERR_VERSION, "lwm2m"},
    {"ep=a&lwm2m=0.9&lt=60", DR_ERR_VERSION, "lwm2m"},
    {"ep=a&lwm2m=1.7&lt=60", DR_OK, ""}, /* newer minors are served */
    {"ep=a&lwm2m=1.1.1&lt=60", DR_OK, ""},
    {"ep=a&lwm2m=one&lt=60", DR_ERR_PROTO, "lwm2m"},
    {"ep=a&lwm2m=1&lt=60", DR_ERR_PROTO, "lwm2m"},
    {"ep=a&b=UQ", DR_OK, ""},
    {"ep=a&b=UQS", DR_OK, ""},
    {"ep=a&b=UT", DR_ERR_PROTO, "b"},
    {"ep=a&b=", DR_ERR_PROTO, "b"},
    {"ep=a&b=X", DR_ERR_PROTO, "b"},
    {"ep=a&b=UU", DR_ERR_PROTO, "b"},
    {"ep=a&lt=60&lwm2m=1.1&b=UQ", DR_ERR_PROTO, "b"},
    {"ep=a&lt=60&lwm2m=1.1&b=UT", DR_OK, ""},
    {"ep=a&lt=60&lwm2m=1.1&b=M", DR_ERR_PROTO, "b"},
    {"ep=a&lt=60&lwm2m=1.2&b=UMH", DR_OK, ""},
    {"ep=a&lt=60&lwm2m=1.1&Q", DR_OK, ""},
    {"ep=a&lt=60&lwm2m=1.1&Q=1", DR_ERR_PROTO, "Q"},
    {"ep=a&sms=491701234567", DR_OK, ""},
    {"ep=a&sms=+491701234567", DR_OK, ""},
    {"ep=a&sms=12x", DR_ERR_PROTO, "sms"},
    {"ep=a&sms=", DR_ERR_PROTO, "sms"},
    {"ep=a&lt=60&lwm2m=1.2&pid=\"6:27354b9a,oma:x\"", DR_OK, ""},
    {"ep=a&lt=60&lwm2m=1.2&pid=", DR_ERR_PROTO, "pid"},
    {"ep=a&lt=60&lwm2m=1.2&pid=a:1,", DR_ERR_PROTO, "pid"},
    {"ep=a&lt=60&lwm2m=1.2&pid=abc", DR_ERR_PROTO, "pid"},
    {"ep=a&lt=60&lwm2m=1.2&pid=a:1,a:2,a:3,a:4,a:5,a:6,a:7,a:8,a:9", DR_ERR_LIMIT, "pid"},
};

START_TEST(judges_each_query)
{
    struct lwm2m_register reg = {.lifetime_s = 12345};
    struct dr_errinfo err = {.field = ""};

    ck_assert_msg(parse(verdicts[_i].text, &reg, &err) == verdicts[_i].err, "%s",
                  verdicts[_i].text);
    ck_assert_str_eq(err.field, verdicts[_i].field);
    if (verdicts[_i].err != DR_OK) {
        ck_assert_uint_eq(reg.lifetime_s, 12345);
    }
}
END_TEST

START_TEST(error_codes_are_the_legal_ones)
{
    ck_assert_uint_eq(dr_err_coap(DR_ERR_PROTO), 0x80);       /* 4.00 */
    ck_assert_uint_eq(dr_err_coap(DR_ERR_VERSION), 0x8c);     /* 4.12 */
    ck_assert_uint_eq(dr_err_coap(DR_ERR_UNSUPPORTED), 0x8f); /* 4.15 */
}
END_TEST

START_TEST(pelion_registration)
{
    struct lwm2m_register reg;
    struct lwm2m_str v;

    ck_assert_int_eq(parse("ep=dev-0001&et=default&lt=7200&lwm2m=1.0&d=0168aa&b=U&aid=0168aa&"
                           "mccv=4.13.2",
                           &reg, NULL),
                     DR_OK);
    ck_assert(lwm2m_str_eq(reg.ep, "dev-0001"));
    ck_assert_uint_eq(reg.lifetime_s, 7200);
    ck_assert(reg.lifetime_given && !reg.lifetime_infinite);
    ck_assert_uint_eq(reg.binding.transports, LWM2M_BIND_U);
    ck_assert(!reg.binding.queue);
    ck_assert_uint_eq(reg.extra_count, 4);
    ck_assert(lwm2m_register_extra(&reg, "mccv", &v) && lwm2m_str_eq(v, "4.13.2"));
    ck_assert(!lwm2m_register_extra(&reg, "x", &v));
}
END_TEST

START_TEST(defaults_and_details)
{
    struct lwm2m_register reg;

    ck_assert_int_eq(parse("ep=a", &reg, NULL), DR_OK);
    ck_assert_uint_eq(reg.lifetime_s, LWM2M_LIFETIME_DEFAULT);
    ck_assert(!reg.lifetime_given);
    ck_assert(lwm2m_version_eq(reg.version, LWM2M_VERSION(1, 0)));
    ck_assert_int_eq(parse("b=UQS&ep=a&lt=99999999999999999999999", &reg, NULL), DR_OK);
    ck_assert_uint_eq(reg.lifetime_s, LWM2M_LIFETIME_MAX);
    ck_assert(reg.binding.queue);
    ck_assert_uint_eq(reg.binding.transports, LWM2M_BIND_U | LWM2M_BIND_S);
    ck_assert_int_eq(parse("Q&b=UT&ep=a&lt=0&lwm2m=1.2&pid=6:aa, oma:b", &reg, NULL), DR_OK);
    ck_assert(reg.binding.queue && reg.lifetime_infinite);
    ck_assert_uint_eq(reg.profile_count, 2);
    ck_assert(lwm2m_str_eq(reg.profiles[1], "oma:b"));
}
END_TEST

START_TEST(limits_of_parameters)
{
    struct lwm2m_register reg;
    char text[1024], *p;
    struct lwm2m_str query[QUERY_MAX];

    memset(text, 'x', sizeof(text));
    struct lwm2m_str one = {.ptr = text, .len = LWM2M_REG_VALUE_MAX};
    ck_assert_int_eq(lwm2m_register_parse(&one, 1, &reg, NULL), DR_OK);
    one.len++;
    ck_assert_int_eq(lwm2m_register_parse(&one, 1, &reg, NULL), DR_ERR_LIMIT);

    memcpy(text, "ep=", 3);
    one.len = 3 + LWM2M_REG_EP_MAX;
    ck_assert_int_eq(lwm2m_register_parse(&one, 1, &reg, NULL), DR_OK);
    one.len++;
    ck_assert_int_eq(lwm2m_register_parse(&one, 1, &reg, NULL), DR_ERR_LIMIT);

    p = text;
    for (int i = 0; i < LWM2M_REG_EXTRA_MAX; i++) {
        p += snprintf(p, sizeof(text) - (size_t)(p - text), "k%d=1&", i);
    }
    ck_assert_int_eq(lwm2m_register_parse(query, split(text, query), &reg, NULL), DR_OK);
    ck_assert_uint_eq(reg.extra_count, LWM2M_REG_EXTRA_MAX);
    p += snprintf(p, sizeof(text) - (size_t)(p - text), "one");
    ck_assert_int_eq(lwm2m_register_parse(query, split(text, query), &reg, NULL), DR_ERR_LIMIT);
    for (int i = 0; i < LWM2M_REG_QUERY_MAX + 1; i++) {
        query[i] = str("a");
    }
    ck_assert_int_eq(lwm2m_register_parse(query, LWM2M_REG_QUERY_MAX + 1, &reg, NULL),
                     DR_ERR_LIMIT);
}
END_TEST

START_TEST(object_list_is_needed)
{
    struct lwm2m_register reg;
    struct lwm2m_links none, some;

    ck_assert_int_eq(lwm2m_links_parse("</0>", 4, LWM2M_LINKS_REGISTER, &none), DR_OK);
    ck_assert_int_eq(lwm2m_links_parse("</1>", 4, LWM2M_LINKS_REGISTER, &some), DR_OK);
    ck_assert_int_eq(parse("ep=a", &reg, NULL), DR_OK);
    ck_assert_int_eq(lwm2m_register_check_links(&reg, &none, NULL), DR_ERR_PROTO);
    ck_assert_int_eq(lwm2m_register_check_links(&reg, &some, NULL), DR_OK);
    ck_assert_int_eq(parse("ep=a&lt=60&lwm2m=1.2", &reg, NULL), DR_OK);
    ck_assert_int_eq(lwm2m_register_check_links(&reg, &none, NULL), DR_ERR_PROTO);
    ck_assert_int_eq(parse("ep=a&lt=60&lwm2m=1.2&pid=6:27354b9a", &reg, NULL), DR_OK);
    ck_assert_int_eq(lwm2m_register_check_links(&reg, &none, NULL), DR_OK);
    lwm2m_links_fini(&none);
    lwm2m_links_fini(&some);
}
END_TEST

START_TEST(updates)
{
    struct lwm2m_str query[QUERY_MAX];
    struct lwm2m_update up = {.lifetime_s = 5};
    struct lwm2m_version v10 = LWM2M_VERSION(1, 0), v11 = LWM2M_VERSION(1, 1);

    ck_assert_int_eq(lwm2m_update_parse(NULL, 0, v11, &up, NULL), DR_OK);
    ck_assert(!up.has_lifetime && !up.has_binding && !up.has_sms);
    size_t n = split("lt=300&b=U&sms=4917&et=default&ep=a", query);
    ck_assert_int_eq(lwm2m_update_parse(query, n, v10, &up, NULL), DR_OK);
    ck_assert(up.has_lifetime && up.lifetime_s == 300 && up.has_binding && up.has_sms);
    ck_assert_uint_eq(up.extra_count, 2);
    n = split("b=UQ", query);
    ck_assert_int_eq(lwm2m_update_parse(query, n, v11, &up, NULL), DR_ERR_PROTO);
    ck_assert_int_eq(lwm2m_update_parse(query, n, v10, &up, NULL), DR_OK);
    ck_assert(up.binding.queue);
    n = split("b=UT", query);
    ck_assert_int_eq(lwm2m_update_parse(query, n, v10, &up, NULL), DR_ERR_PROTO);
    n = split("lt=x", query);
    up.lifetime_s = 77;
    ck_assert_int_eq(lwm2m_update_parse(query, n, v10, &up, NULL), DR_ERR_PROTO);
    ck_assert_uint_eq(up.lifetime_s, 77);
}
END_TEST

START_TEST(bootstrap_requests)
{
    struct lwm2m_str query[QUERY_MAX];
    struct lwm2m_bootstrap bs = {.pct = 1};

    size_t n = split("ep=dev-0001&aid=0168&iep=016a&mccv=4.13.2", query);
    ck_assert_int_eq(lwm2m_bootstrap_parse(query, n, &bs, NULL), DR_OK);
    ck_assert(lwm2m_str_eq(bs.ep, "dev-0001"));
    ck_assert_uint_eq(bs.pct, LWM2M_CT_NONE);
    ck_assert_uint_eq(bs.extra_count, 3);
    n = split("ep=a&pct=112", query);
    ck_assert_int_eq(lwm2m_bootstrap_parse(query, n, &bs, NULL), DR_OK);
    ck_assert_uint_eq(bs.pct, 112);
    static const char *const bad[] = {"ep=a&pct=60", "ep=a&pct=x", "ep=a&pct=99999999"};
    for (size_t i = 0; i < DR_ARRAY_LEN(bad); i++) {
        n = split(bad[i], query);
        ck_assert_int_eq(lwm2m_bootstrap_parse(query, n, &bs, NULL), DR_ERR_UNSUPPORTED);
    }
    n = split("ep=", query);
    ck_assert_int_eq(lwm2m_bootstrap_parse(query, n, &bs, NULL), DR_ERR_PROTO);
    ck_assert_uint_eq(bs.pct, 112);
}
END_TEST

START_TEST(bindings_are_written)
{
    char out[LWM2M_BINDING_STR_MAX];
    struct lwm2m_binding b = {.transports = LWM2M_BIND_U | LWM2M_BIND_S, .queue = true};

    ck_assert_uint_eq(lwm2m_binding_format(b, LWM2M_VERSION(1, 0), out), 3);
    ck_assert_str_eq(out, "UQS");
    (void)lwm2m_binding_format(b, LWM2M_VERSION(1, 1), out);
    ck_assert_str_eq(out, "US");
    b.transports = 63;
    ck_assert_uint_eq(lwm2m_binding_format(b, LWM2M_VERSION(1, 2), out), 6);
    ck_assert_str_eq(out, "UTSNMH");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("lwm2m register");
    TCase *t = tcase_create("register");
    tcase_add_loop_test(t, judges_each_query, 0, (int)DR_ARRAY_LEN(verdicts));
    tcase_add_test(t, error_codes_are_the_legal_ones);
    tcase_add_test(t, pelion_registration);
    tcase_add_test(t, defaults_and_details);
    tcase_add_test(t, limits_of_parameters);
    tcase_add_test(t, object_list_is_needed);
    suite_add_tcase(s, t);
    t = tcase_create("others");
    tcase_add_test(t, updates);
    tcase_add_test(t, bootstrap_requests);
    tcase_add_test(t, bindings_are_written);
    suite_add_tcase(s, t);
    return run_suite(s);
}
