/* SPDX-License-Identifier: Apache-2.0 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/rand.h"
#include "base/text.h"
#include "tests/unit/run.h"

static const struct {
    const char *in;
    dr_err_t err;
    const char *want;
} hex_cases[] = {
    {"", DR_OK, ""},
    {"616263", DR_OK, "abc"},
    {"4a4B4c", DR_OK, "JKL"},
    {"6", DR_ERR_PROTO, ""},
    {"6g", DR_ERR_PROTO, ""},
    {" 61", DR_ERR_PROTO, ""},
    {"0x61", DR_ERR_PROTO, ""},
    {"61626364656667686970", DR_ERR_NOSPACE, ""},
};

START_TEST(hex_is_strict)
{
    uint8_t out[9] = "########";
    size_t len = 77;
    dr_err_t err = dr_hex_decode(hex_cases[_i].in, strlen(hex_cases[_i].in), out, 8, &len);

    ck_assert_int_eq(err, hex_cases[_i].err);
    if (err == DR_OK) {
        ck_assert_uint_eq(len, strlen(hex_cases[_i].want));
        ck_assert_mem_eq(out, hex_cases[_i].want, len);
    } else {
        ck_assert_uint_eq(len, 77);
        ck_assert_str_eq((char *)out, "########");
    }
}
END_TEST

START_TEST(hex_encodes_lower_case)
{
    char out[DR_HEX_LEN(3) + 1];

    dr_hex_encode("\x00\xfe\x1b", 3, out);
    ck_assert_str_eq(out, "00fe1b");
    dr_hex_encode(NULL, 0, out);
    ck_assert_str_eq(out, "");
}
END_TEST

static const struct {
    const char *plain;
    const char *b64; /* spec: RFC4648#10 */
} b64_cases[] = {
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
    {"\xfb\xff\xbf", "+/+/"},
};

START_TEST(base64_vectors_both_ways)
{
    char text[32];
    uint8_t out[32];
    size_t len;
    size_t plain_len = strlen(b64_cases[_i].plain);

    ck_assert_uint_eq(dr_base64_encode(b64_cases[_i].plain, plain_len, text),
                      strlen(b64_cases[_i].b64));
    ck_assert_str_eq(text, b64_cases[_i].b64);
    ck_assert_int_eq(dr_base64_decode(text, strlen(text), out, sizeof out, &len), DR_OK);
    ck_assert_uint_eq(len, plain_len);
    ck_assert_mem_eq(out, b64_cases[_i].plain, len);
}
END_TEST

static const char *const b64_bad[] = {"Z",    "Zg",       "Zg=",      "Zh==",  "Zm9=",
                                      "=",    "====",     "Zg==Zg==", "Zm9v ", "Zm 9v",
                                      "Zm9-", "Zm9vY===", "Z===",     "\nZg=="};

START_TEST(base64_refuses)
{
    uint8_t out[32];
    size_t len = 77;

    ck_assert_int_eq(dr_base64_decode(b64_bad[_i], strlen(b64_bad[_i]), out, sizeof out, &len),
                     DR_ERR_PROTO);
    ck_assert_uint_eq(len, 77);
}
END_TEST

START_TEST(base64url_pads_or_not_and_has_its_own_alphabet)
{
    char text[16];
    uint8_t out[16];
    size_t len;

    ck_assert_uint_eq(dr_base64url_encode("\xfb\xff\xbf\x01", 4, text), 6);
    ck_assert_str_eq(text, "-_-_AQ");
    ck_assert_int_eq(dr_base64url_decode("-_-_AQ", 6, out, sizeof out, &len), DR_OK);
    ck_assert_uint_eq(len, 4);
    ck_assert_int_eq(dr_base64url_decode("-_-_AQ==", 8, out, sizeof out, &len), DR_OK);
    ck_assert_int_eq(dr_base64url_decode("-_-_AQ=", 7, out, sizeof out, &len), DR_ERR_PROTO);
    ck_assert_int_eq(dr_base64url_decode("+/+/AQ", 6, out, sizeof out, &len), DR_ERR_PROTO);
    ck_assert_int_eq(dr_base64url_decode("-_-_AR", 6, out, sizeof out, &len), DR_ERR_PROTO);
    ck_assert_int_eq(dr_base64url_decode("-_-_AQ", 6, out, 3, &len), DR_ERR_NOSPACE);
}
END_TEST

START_TEST(base64_round_trip_of_random_bytes)
{
    struct dr_prng r;
    uint8_t in[100];
    uint8_t out[100];
    char text[DR_BASE64_LEN(100) + 1];
    size_t len;

    dr_prng_init(&r, 5);
    for (size_t n = 0; n <= sizeof in; n++) {
        dr_prng_bytes(&r, in, n);
        size_t chars = dr_base64_encode(in, n, text);
        ck_assert_uint_eq(chars, DR_BASE64_LEN(n));
        ck_assert_int_eq(dr_base64_decode(text, chars, (uint8_t *)text, sizeof text, &len), DR_OK);
        ck_assert(len == n && memcmp(text, in, n) == 0); /* in place */
        chars = dr_base64url_encode(in, n, text);
        ck_assert_int_eq(dr_base64url_decode(text, chars, out, sizeof out, &len), DR_OK);
        ck_assert(len == n && memcmp(out, in, n) == 0);
    }
}
END_TEST

static const struct {
    const char *in;
    bool valid;
} utf8_cases[] = {
    {"", true},
    {"plain", true},
    {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", true},
    {"\xf4\x8f\xbf\xbf", true},
    {"\xed\x9f\xbf", true},
    {"\xee\x80\x80", true},
    {"\x80", false},
    {"\xc0\x80", false},         /* overlong NUL */
    {"\xc1\xbf", false},         /* overlong */
    {"\xe0\x9f\xbf", false},     /* overlong */
    {"\xf0\x8f\xbf\xbf", false}, /* overlong */
    {"\xed\xa0\x80", false},     /* surrogate */
    {"\xf4\x90\x80\x80", false}, /* past U+10FFFF */
    {"\xf5\x80\x80\x80", false},
    {"\xff", false},
    {"a\xc3", false},
    {"\xe2\x82", false},
    {"\xe2\x28\xa1", false},
    {"\xf0\x9f\x98", false},
};

START_TEST(utf8_is_checked_by_the_book) /* spec: RFC3629#4 */
{
    ck_assert(dr_utf8_valid(utf8_cases[_i].in, strlen(utf8_cases[_i].in)) == utf8_cases[_i].valid);
}
END_TEST

START_TEST(percent_decoding)
{
    char out[32];
    size_t len = 0;

    ck_assert_int_eq(dr_percent_decode("a%20b%2Fc+%c3", 13, false, out, sizeof out, &len), DR_OK);
    ck_assert_uint_eq(len, 7);
    ck_assert_mem_eq(out, "a b/c+\xc3", 7);
    ck_assert_int_eq(dr_percent_decode("a+b", 3, true, out, sizeof out, &len), DR_OK);
    ck_assert_mem_eq(out, "a b", 3);
    len = 77;
    ck_assert_int_eq(dr_percent_decode("a%2", 3, false, out, sizeof out, &len), DR_ERR_PROTO);
    ck_assert_int_eq(dr_percent_decode("a%", 2, false, out, sizeof out, &len), DR_ERR_PROTO);
    ck_assert_int_eq(dr_percent_decode("a%zz", 4, false, out, sizeof out, &len), DR_ERR_PROTO);
    ck_assert_int_eq(dr_percent_decode("abc", 3, false, out, 2, &len), DR_ERR_NOSPACE);
    ck_assert_uint_eq(len, 77);
}
END_TEST

START_TEST(percent_encoding_comes_back)
{
    struct dr_dynbuf b;
    uint8_t in[256];
    char out[256];
    size_t len;

    for (size_t i = 0; i < sizeof in; i++) {
        in[i] = (uint8_t)i;
    }
    dr_dynbuf_init(&b, 1000);
    dr_percent_encode(&b, in, sizeof in);
    ck_assert_ptr_nonnull(strstr(dr_dynbuf_str(&b), "%20"));
    ck_assert_ptr_nonnull(strstr(dr_dynbuf_str(&b), "-._~") == NULL ? strstr(dr_dynbuf_str(&b), "~")
                                                                    : "x");
    ck_assert_int_eq(dr_percent_decode(dr_dynbuf_str(&b), b.len, true, out, sizeof out, &len),
                     DR_OK);
    ck_assert_uint_eq(len, 256);
    ck_assert_mem_eq(out, in, 256);
    dr_dynbuf_fini(&b);
}
END_TEST

static const struct {
    const char *in;
    dr_err_t err;
    int64_t want;
} int_cases[] = {
    {"0", DR_OK, 0},
    {"007", DR_OK, 7},
    {"-0", DR_OK, 0},
    {"+5", DR_OK, 5},
    {"9223372036854775807", DR_OK, INT64_MAX},
    {"-9223372036854775808", DR_OK, INT64_MIN},
    {"9223372036854775808", DR_ERR_RANGE, 0},
    {"-9223372036854775809", DR_ERR_RANGE, 0},
    {"99999999999999999999999999999999", DR_ERR_RANGE, 0},
    {"", DR_ERR_PROTO, 0},
    {"-", DR_ERR_PROTO, 0},
    {"--1", DR_ERR_PROTO, 0},
    {" 1", DR_ERR_PROTO, 0},
    {"1 ", DR_ERR_PROTO, 0},
    {"0x1", DR_ERR_PROTO, 0},
    {"99999999999999999999999x", DR_ERR_PROTO, 0},
};

START_TEST(signed_numbers)
{
    int64_t v = 4711;

    ck_assert_int_eq(dr_parse_i64(int_cases[_i].in, strlen(int_cases[_i].in), &v),
                     int_cases[_i].err);
    ck_assert_int_eq(v, int_cases[_i].err == DR_OK ? int_cases[_i].want : 4711);
}
END_TEST

START_TEST(unsigned_numbers)
{
    uint64_t v = 4711;

    ck_assert_int_eq(dr_parse_u64("18446744073709551616", 20, &v), DR_ERR_RANGE);
    ck_assert_int_eq(dr_parse_u64("+1", 2, &v), DR_ERR_PROTO);
    ck_assert_int_eq(dr_parse_u64("-1", 2, &v), DR_ERR_PROTO);
    ck_assert_int_eq(dr_parse_u64_max("256", 3, 255, &v), DR_ERR_RANGE);
    ck_assert_uint_eq(v, 4711);
    ck_assert_int_eq(dr_parse_u64("18446744073709551615", 20, &v), DR_OK);
    ck_assert_uint_eq(v, UINT64_MAX);
    ck_assert_int_eq(dr_parse_u64("123456", 3, &v), DR_OK);
    ck_assert_uint_eq(v, 123);
}
END_TEST

static const struct {
    const char *in;
    dr_err_t err;
    double want;
} double_cases[] = {
    {"0", DR_OK, 0},
    {"-1.5", DR_OK, -1.5},
    {"+2", DR_OK, 2},
    {"1e3", DR_OK, 1000},
    {"1.25E-2", DR_OK, 0.0125},
    {"1e-400", DR_OK, 0},
    {"1e400", DR_ERR_RANGE, 0},
    {"-1e400", DR_ERR_RANGE, 0},
    {"", DR_ERR_PROTO, 0},
    {".", DR_ERR_PROTO, 0},
    {".5", DR_ERR_PROTO, 0},
    {"5.", DR_ERR_PROTO, 0},
    {"1e", DR_ERR_PROTO, 0},
    {"1e+", DR_ERR_PROTO, 0},
    {"0x10", DR_ERR_PROTO, 0},
    {"inf", DR_ERR_PROTO, 0},
    {"nan", DR_ERR_PROTO, 0},
    {"1,5", DR_ERR_PROTO, 0},
    {" 1", DR_ERR_PROTO, 0},
    {"1 ", DR_ERR_PROTO, 0},
};

START_TEST(floating_numbers)
{
    double v = 47;

    ck_assert_int_eq(dr_parse_double(double_cases[_i].in, strlen(double_cases[_i].in), &v),
                     double_cases[_i].err);
    ck_assert(v == (double_cases[_i].err == DR_OK ? double_cases[_i].want : 47));
}
END_TEST

START_TEST(a_number_has_a_longest_form)
{
    char text[DR_NUMBER_LEN_MAX + 1];
    double v = 0;

    memset(text, '0', sizeof text);
    text[0] = '1';
    ck_assert_int_eq(dr_parse_double(text, DR_NUMBER_LEN_MAX, &v), DR_OK);
    ck_assert_int_eq(dr_parse_double(text, DR_NUMBER_LEN_MAX + 1, &v), DR_ERR_PROTO);
    ck_assert_int_eq(dr_parse_double("1\0", 2, &v), DR_ERR_PROTO);
}
END_TEST

START_TEST(doubles_come_back_from_their_text)
{
    struct dr_prng r;
    char text[32];
    double back;

    ck_assert_uint_eq(dr_double_format(0.1, text), 3);
    ck_assert_str_eq(text, "0.1");
    (void)dr_double_format(NAN, text);
    ck_assert_str_eq(text, "NaN");
    (void)dr_double_format(-INFINITY, text);
    ck_assert_str_eq(text, "-Infinity");
    (void)dr_double_format(-DBL_MAX, text);
    ck_assert_uint_lt(strlen(text), 32);
    dr_prng_init(&r, 9);
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = dr_prng_u64(&r);
        double v;
        memcpy(&v, &bits, sizeof v);
        if (!isfinite(v)) {
            continue;
        }
        size_t len = dr_double_format(v, text);
        ck_assert_uint_lt(len, 32);
        ck_assert_int_eq(dr_parse_double(text, len, &back), DR_OK);
        ck_assert_mem_eq(&back, &v, sizeof v);
    }
}
END_TEST

START_TEST(secrets_are_compared_and_wiped)
{
    uint8_t a[4] = {1, 2, 3, 4};
    uint8_t b[4] = {1, 2, 3, 5};

    ck_assert(dr_ct_equal(a, b, 3));
    ck_assert(!dr_ct_equal(a, b, 4));
    ck_assert(dr_ct_equal(a, b, 0));
    dr_wipe(a, sizeof a);
    ck_assert_mem_eq(a, "\0\0\0\0", 4);
    dr_wipe(NULL, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("base/text");
    TCase *tc = add_case(s, "hex and base64");

    tcase_add_loop_test(tc, hex_is_strict, 0, DR_ARRAY_LEN(hex_cases));
    tcase_add_test(tc, hex_encodes_lower_case);
    tcase_add_loop_test(tc, base64_vectors_both_ways, 0, DR_ARRAY_LEN(b64_cases));
    tcase_add_loop_test(tc, base64_refuses, 0, DR_ARRAY_LEN(b64_bad));
    tcase_add_test(tc, base64url_pads_or_not_and_has_its_own_alphabet);
    tcase_add_test(tc, base64_round_trip_of_random_bytes);
    tc = add_case(s, "characters");
    tcase_add_loop_test(tc, utf8_is_checked_by_the_book, 0, DR_ARRAY_LEN(utf8_cases));
    tcase_add_test(tc, percent_decoding);
    tcase_add_test(tc, percent_encoding_comes_back);
    tc = add_case(s, "numbers");
    tcase_add_loop_test(tc, signed_numbers, 0, DR_ARRAY_LEN(int_cases));
    tcase_add_test(tc, unsigned_numbers);
    tcase_add_loop_test(tc, floating_numbers, 0, DR_ARRAY_LEN(double_cases));
    tcase_add_test(tc, a_number_has_a_longest_form);
    tcase_add_test(tc, doubles_come_back_from_their_text);
    tc = add_case(s, "secrets");
    tcase_add_test(tc, secrets_are_compared_and_wiped);
    return run_suite(s);
}
