/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/lwm2m/fixture.h"

#include <math.h>

#include "lwm2m/value.h"

#define S(text)                                                                                    \
    {                                                                                              \
        .type = LWM2M_TYPE_STRING, .bytes = {(const uint8_t *)(text), sizeof(text) - 1 }           \
    }
#define O(text)                                                                                    \
    {                                                                                              \
        .type = LWM2M_TYPE_OPAQUE, .bytes = {(const uint8_t *)(text), sizeof(text) - 1 }           \
    }
#define I(n)                                                                                       \
    {                                                                                              \
        .type = LWM2M_TYPE_INT, .i = (n)                                                           \
    }
#define U(n)                                                                                       \
    {                                                                                              \
        .type = LWM2M_TYPE_UINT, .u = (n)                                                          \
    }
#define F(n)                                                                                       \
    {                                                                                              \
        .type = LWM2M_TYPE_FLOAT, .f = (n)                                                         \
    }
#define B(n)                                                                                       \
    {                                                                                              \
        .type = LWM2M_TYPE_BOOL, .b = (n)                                                          \
    }
#define T(n)                                                                                       \
    {                                                                                              \
        .type = LWM2M_TYPE_TIME, .i = (n)                                                          \
    }
#define L(o, n)                                                                                    \
    {                                                                                              \
        .type = LWM2M_TYPE_OBJLNK, .objlnk = {(o), (n) }                                           \
    }

static const struct {
    struct lwm2m_value from;
    enum lwm2m_type type;
    dr_err_t err;
    struct lwm2m_value want;
} coerce_cases[] = {
    {I(5), LWM2M_TYPE_UINT, DR_OK, U(5)},
    {I(-5), LWM2M_TYPE_UINT, DR_ERR_RANGE, I(0)},
    {U(UINT64_MAX), LWM2M_TYPE_INT, DR_ERR_RANGE, I(0)},
    {U(7), LWM2M_TYPE_TIME, DR_OK, T(7)},
    {F(87.0), LWM2M_TYPE_INT, DR_OK, I(87)},
    {F(87.5), LWM2M_TYPE_INT, DR_ERR_INVAL, I(0)},
    {F(1e19), LWM2M_TYPE_INT, DR_ERR_RANGE, I(0)},
    {F(1e19), LWM2M_TYPE_UINT, DR_OK, U(10000000000000000000U)},
    {F(2e19), LWM2M_TYPE_UINT, DR_ERR_RANGE, I(0)},
    {F(-1.0), LWM2M_TYPE_UINT, DR_ERR_RANGE, I(0)},
    {F(NAN), LWM2M_TYPE_INT, DR_ERR_RANGE, I(0)},
    {F(-9223372036854775808.0), LWM2M_TYPE_INT, DR_OK, I(INT64_MIN)},
    {I(21), LWM2M_TYPE_FLOAT, DR_OK, F(21.0)},
    {I(1), LWM2M_TYPE_BOOL, DR_OK, B(true)},
    {I(2), LWM2M_TYPE_BOOL, DR_ERR_RANGE, I(0)},
    {B(true), LWM2M_TYPE_INT, DR_ERR_INVAL, I(0)},
    {B(true), LWM2M_TYPE_FLOAT, DR_ERR_INVAL, I(0)},
    {S("66:1"), LWM2M_TYPE_OBJLNK, DR_OK, L(66, 1)},
    {S("FFFF:FFFF"), LWM2M_TYPE_OBJLNK, DR_OK, L(65535, 65535)},
    {S("65535:65535"), LWM2M_TYPE_OBJLNK, DR_OK, L(65535, 65535)},
    {S("66"), LWM2M_TYPE_OBJLNK, DR_ERR_INVAL, I(0)},
    {S("66:70000"), LWM2M_TYPE_OBJLNK, DR_ERR_INVAL, I(0)},
    {S("abc"), LWM2M_TYPE_OPAQUE, DR_OK, O("abc")},
    {O("abc"), LWM2M_TYPE_STRING, DR_OK, S("abc")},
    {O("\xff"), LWM2M_TYPE_STRING, DR_ERR_INVAL, I(0)},
    {S("1"), LWM2M_TYPE_INT, DR_ERR_INVAL, I(0)},
};

START_TEST(coerces_without_loss_or_not_at_all)
{
    struct lwm2m_value got = lwm2m_value_int(0);

    ck_assert_int_eq(lwm2m_value_coerce(&coerce_cases[_i].from, coerce_cases[_i].type, &got),
                     coerce_cases[_i].err);
    ck_assert(lwm2m_value_eq(&got, &coerce_cases[_i].want));
}
END_TEST

START_TEST(equality_is_by_type_and_content)
{
    struct lwm2m_value nan = lwm2m_value_float(NAN), nan2 = lwm2m_value_float(NAN);
    struct lwm2m_value a = lwm2m_value_int(1), b = lwm2m_value_uint(1), none = lwm2m_value_none();
    struct lwm2m_value l1 = lwm2m_value_objlnk(1, 2), l2 = lwm2m_value_objlnk(1, 3);

    ck_assert(lwm2m_value_eq(&nan, &nan2));
    ck_assert(!lwm2m_value_eq(&a, &b));
    ck_assert(lwm2m_value_eq(&none, &none));
    ck_assert(!lwm2m_value_eq(&l1, &l2));
    ck_assert_str_eq(lwm2m_type_name(LWM2M_TYPE_UINT), "unsigned");
}
END_TEST

START_TEST(lists_own_their_bytes)
{
    struct lwm2m_nodes nodes;
    char text[8];

    lwm2m_nodes_init(&nodes, 0, 0);
    for (int i = 0; i < 500; i++) {
        int n = snprintf(text, sizeof(text), "v%d", i);
        struct lwm2m_node node = {.path = LWM2M_PATH(3, 0, (uint16_t)i),
                                  .value = lwm2m_value_str(text, (size_t)n)};
        ck_assert_int_eq(lwm2m_nodes_add(&nodes, &node), DR_OK);
    }
    const struct lwm2m_path p = LWM2M_PATH(3, 0, 123), q = LWM2M_PATH(3, 1);
    const struct lwm2m_node *found = lwm2m_nodes_find(&nodes, &p);
    ck_assert_ptr_nonnull(found);
    ck_assert_mem_eq(found->value.bytes.ptr, "v123", 4);
    ck_assert_ptr_null(lwm2m_nodes_find(&nodes, &q));
    lwm2m_nodes_clear(&nodes);
    ck_assert_uint_eq(nodes.count, 0);
    lwm2m_nodes_fini(&nodes);
    lwm2m_nodes_fini(NULL);
}
END_TEST

START_TEST(lists_stop_at_their_maxima)
{
    struct lwm2m_nodes nodes;
    struct lwm2m_node node = {.value = lwm2m_value_str("abcd", 4)};

    lwm2m_nodes_init(&nodes, 3, 100);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(lwm2m_nodes_add(&nodes, &node), DR_OK);
    }
    ck_assert_int_eq(lwm2m_nodes_add(&nodes, &node), DR_ERR_LIMIT);
    ck_assert_uint_eq(nodes.count, 3);
    lwm2m_nodes_fini(&nodes);

    lwm2m_nodes_init(&nodes, 0, 10);
    ck_assert_int_eq(lwm2m_nodes_add(&nodes, &node), DR_OK);
    ck_assert_int_eq(lwm2m_nodes_add(&nodes, &node), DR_OK);
    ck_assert_int_eq(lwm2m_nodes_add(&nodes, &node), DR_ERR_LIMIT);
    ck_assert_uint_eq(nodes.count, 2);
    lwm2m_nodes_fini(&nodes);
}
END_TEST

START_TEST(finds_current_value_before_history)
{
    struct lwm2m_nodes nodes;
    const struct lwm2m_path p = LWM2M_PATH(3303, 0, 5700);
    struct lwm2m_node node = {.path = p, .timed = true, .time_ms = 10};

    lwm2m_nodes_init(&nodes, 0, 0);
    ck_assert_int_eq(lwm2m_nodes_add(&nodes, &node), DR_OK);
    node.time_ms = 30;
    ck_assert_int_eq(lwm2m_nodes_add(&nodes, &node), DR_OK);
    node.time_ms = 20;
    ck_assert_int_eq(lwm2m_nodes_add(&nodes, &node), DR_OK);
    ck_assert_int_eq(lwm2m_nodes_find(&nodes, &p)->time_ms, 30);
    node.timed = false;
    ck_assert_int_eq(lwm2m_nodes_add(&nodes, &node), DR_OK);
    ck_assert(!lwm2m_nodes_find(&nodes, &p)->timed);
    lwm2m_nodes_fini(&nodes);
}
END_TEST

static const struct {
    enum lwm2m_type type;
    const char *text;
    dr_err_t err;
    const char *back; /* text of the value that it became */
} text_cases[] = {
    {LWM2M_TYPE_INT, "-12", DR_OK, "-12"},
    {LWM2M_TYPE_INT, " 7 ", DR_OK, "7"},
    {LWM2M_TYPE_INT, "7.5", DR_ERR_PROTO, NULL},
    {LWM2M_TYPE_INT, "", DR_ERR_PROTO, NULL},
    {LWM2M_TYPE_INT, "9223372036854775808", DR_ERR_RANGE, NULL},
    {LWM2M_TYPE_UINT, "18446744073709551615", DR_OK, "18446744073709551615"},
    {LWM2M_TYPE_UINT, "-1", DR_ERR_PROTO, NULL},
    {LWM2M_TYPE_FLOAT, "21.5", DR_OK, "21.5"},
    {LWM2M_TYPE_FLOAT, "1e3", DR_OK, "1000"},
    {LWM2M_TYPE_FLOAT, "nan", DR_ERR_PROTO, NULL},
    {LWM2M_TYPE_BOOL, "1", DR_OK, "1"},
    {LWM2M_TYPE_BOOL, "false", DR_OK, "0"},
    {LWM2M_TYPE_BOOL, "2", DR_ERR_PROTO, NULL},
    {LWM2M_TYPE_TIME, "1700000000", DR_OK, "1700000000"},
    {LWM2M_TYPE_OPAQUE, "AQI=", DR_OK, "AQI="},
    {LWM2M_TYPE_OPAQUE, "AQI", DR_OK, "AQI="},
    {LWM2M_TYPE_OPAQUE, "-_8", DR_OK, "+/8="},
    {LWM2M_TYPE_OPAQUE, "+/8", DR_OK, "+/8="},
    {LWM2M_TYPE_OPAQUE, "A", DR_ERR_PROTO, NULL},
    {LWM2M_TYPE_OPAQUE, "", DR_OK, ""},
    {LWM2M_TYPE_OBJLNK, "66:1", DR_OK, "66:1"},
    {LWM2M_TYPE_OBJLNK, "66-1", DR_ERR_PROTO, NULL},
    {LWM2M_TYPE_STRING, " a b ", DR_OK, " a b "},
    {LWM2M_TYPE_STRING, "\xc3\x28", DR_ERR_PROTO, NULL},
    {LWM2M_TYPE_CORELNK, "</3>", DR_OK, "</3>"},
    {LWM2M_TYPE_NONE, "", DR_OK, ""},
    {LWM2M_TYPE_NONE, "x", DR_ERR_PROTO, NULL},
};

START_TEST(text_becomes_value_and_back)
{
    const char *text = text_cases[_i].text;
    uint8_t scratch[64];
    char out[64];
    struct lwm2m_value v = lwm2m_value_objlnk(9, 9), marker = v;

    ck_assert_int_eq(lwm2m_value_from_text(text_cases[_i].type, text, strlen(text), scratch,
                                           sizeof(scratch), &v),
                     text_cases[_i].err);
    if (text_cases[_i].err != DR_OK) {
        ck_assert(lwm2m_value_eq(&v, &marker));
        return;
    }
    struct dr_wr wr = dr_wr_of(out, sizeof(out));
    ck_assert_int_eq(lwm2m_value_to_text(&v, &wr), DR_OK);
    ck_assert_uint_eq(dr_wr_len(&wr), strlen(text_cases[_i].back));
    ck_assert_mem_eq(out, text_cases[_i].back, dr_wr_len(&wr));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("lwm2m value");
    TCase *t = tcase_create("values");
    tcase_add_loop_test(t, coerces_without_loss_or_not_at_all, 0, (int)DR_ARRAY_LEN(coerce_cases));
    tcase_add_test(t, equality_is_by_type_and_content);
    tcase_add_loop_test(t, text_becomes_value_and_back, 0, (int)DR_ARRAY_LEN(text_cases));
    suite_add_tcase(s, t);
    t = tcase_create("lists");
    tcase_add_test(t, lists_own_their_bytes);
    tcase_add_test(t, lists_stop_at_their_maxima);
    tcase_add_test(t, finds_current_value_before_history);
    suite_add_tcase(s, t);
    return run_suite(s);
}
