/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/pdu.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static size_t unhex(const char *text, uint8_t *out, size_t cap)
{
    size_t n = 0;
    for (; *text != 0; text++) {
        if (*text == ' ') {
            continue;
        }
        unsigned v;
        char pair[3] = {text[0], text[1], 0};
        v = (unsigned)strtoul(pair, NULL, 16);
        ck_assert_uint_lt(n, cap);
        out[n++] = (uint8_t)v;
        text++;
    }
    return n;
}

/* An exact copy on the heap, so that a sanitizer sees one byte too many. */
static uint8_t *exact(const uint8_t *p, size_t len)
{
    uint8_t *ret = malloc(len == 0 ? 1 : len);
    ck_assert_ptr_nonnull(ret);
    memcpy(ret, p, len);
    return ret;
}

/* ---- what decodes ---- */

static const struct {
    const char *why;
    const char *hex;
    dr_err_t err;
    uint8_t type, code;
    uint16_t mid;
    uint8_t token_len;
    size_t opts_len, payload_len;
    int32_t observe, content_format, accept, block1, block2;
    int64_t size1, size2, max_age;
} good[] = {
    {"an empty CON is a ping; spec: RFC7252#4.3", "40 00 12 34", DR_OK, CX_CON, 0, 0x1234, 0, 0, 0,
     -1, -1, -1, -1, -1, -1, -1, -1},
    {"an empty ACK", "60 00 12 34", DR_OK, CX_ACK, 0, 0x1234, 0, 0, 0, -1, -1, -1, -1, -1, -1, -1,
     -1},
    {"Pelion's empty ACK with a stray option", "60 00 ab cd c0", DR_OK, CX_ACK, 0, 0xabcd, 0, 0, 0,
     -1, -1, -1, -1, -1, -1, -1, -1},
    {"an empty RST with a token and more behind", "72 00 00 01 aa bb ff 00", DR_OK, CX_RST, 0, 1, 0,
     0, 0, -1, -1, -1, -1, -1, -1, -1, -1},
    {"an empty ACK whose token is said to have 15 bytes", "6f 00 00 01", DR_OK, CX_ACK, 0, 1, 0, 0,
     0, -1, -1, -1, -1, -1, -1, -1, -1},
    {"GET /temperature; spec: RFC7252#A", "40 01 7d 34 bb 74 65 6d 70 65 72 61 74 75 72 65", DR_OK,
     CX_CON, CX_GET, 0x7d34, 0, 12, 0, -1, -1, -1, -1, -1, -1, -1, -1},
    {"2.05 with token and payload; spec: RFC7252#A", "61 45 7d 35 20 ff 32 32 2e 33 20 43", DR_OK,
     CX_ACK, CX_CONTENT, 0x7d35, 1, 0, 6, -1, -1, -1, -1, -1, -1, -1, -1},
    {"a bootstrap request with Max-Age of no bytes",
     "44 02 00 01 01 02 03 04 b2 62 73 30 13 65 70 3d", DR_OK, CX_CON, CX_POST, 1, 4, 8, 0, -1, -1,
     -1, -1, -1, -1, -1, 0},
    {"all numbers",
     "50 45 00 01 63 01 02 03 62 ff fe 24 ff ff ff ff 31 2a 63 00 00 1e 41 06 12 04"
     " 00 d2 13 08 00",
     DR_OK, CX_NON, CX_CONTENT, 1, 0, 27, 0, 0x010203, 0xfffe, 42, 6, 0x1e, 0x0800, 0x0400,
     0xffffffff},
    {"an unknown elective option is skipped; spec: RFC7252#5.4.1", "40 01 00 01 e1 06 c3 55", DR_OK,
     CX_CON, CX_GET, 1, 0, 4, 0, -1, -1, -1, -1, -1, -1, -1, -1},
    {"an unknown critical option", "40 01 00 01 d0 00", DR_ERR_UNSUPPORTED, CX_CON, CX_GET, 1, 0, 2,
     0, -1, -1, -1, -1, -1, -1, -1, -1},
    {"a critical option of bad length: Uri-Port of 3 bytes", "40 01 00 01 73 01 02 03",
     DR_ERR_UNSUPPORTED, CX_CON, CX_GET, 1, 0, 4, 0, -1, -1, -1, -1, -1, -1, -1, -1},
    {"an elective option of bad length: Content-Format of 3 bytes", "40 02 00 01 c3 01 02 03",
     DR_OK, CX_CON, CX_POST, 1, 0, 4, 0, -1, -1, -1, -1, -1, -1, -1, -1},
    {"a critical option twice that may stand once; spec: RFC7252#5.4.5",
     "40 01 00 01 d1 04 28 01 29", DR_ERR_UNSUPPORTED, CX_CON, CX_GET, 1, 0, 5, 0, -1, -1, 40, -1,
     -1, -1, -1, -1},
    {"an elective option twice: the first counts", "40 02 00 01 c1 28 01 29", DR_OK, CX_CON,
     CX_POST, 1, 0, 4, 0, -1, 40, -1, -1, -1, -1, -1, -1},
    {"OSCORE is critical and not ours", "40 02 00 01 90", DR_ERR_UNSUPPORTED, CX_CON, CX_POST, 1, 0,
     1, 0, -1, -1, -1, -1, -1, -1, -1, -1},
    {"a reserved class decodes", "40 e1 00 01", DR_OK, CX_CON, 0xe1, 1, 0, 0, 0, -1, -1, -1, -1, -1,
     -1, -1, -1},
    {"the highest option number", "40 01 00 01 e0 fe f2", DR_ERR_UNSUPPORTED, CX_CON, CX_GET, 1, 0,
     3, 0, -1, -1, -1, -1, -1, -1, -1, -1},
};

START_TEST(decodes_each_message)
{
    uint8_t bytes[256];
    size_t len = unhex(good[_i].hex, bytes, sizeof bytes);
    uint8_t *in = exact(bytes, len);
    struct cx_pdu got;

    ck_assert_msg(cx_pdu_decode(in, len, &got) == good[_i].err, "%s", good[_i].why);
    ck_assert_uint_eq(got.type, good[_i].type);
    ck_assert_uint_eq(got.code, good[_i].code);
    ck_assert_uint_eq(got.mid, good[_i].mid);
    ck_assert_uint_eq(got.token_len, good[_i].token_len);
    ck_assert_uint_eq(got.opts_len, good[_i].opts_len);
    ck_assert_uint_eq(got.payload_len, good[_i].payload_len);
    ck_assert_int_eq(got.observe, good[_i].observe);
    ck_assert_int_eq(got.content_format, good[_i].content_format);
    ck_assert_int_eq(got.accept, good[_i].accept);
    ck_assert_int_eq(got.block1, good[_i].block1);
    ck_assert_int_eq(got.block2, good[_i].block2);
    ck_assert_int_eq(got.size1, good[_i].size1);
    ck_assert_int_eq(got.size2, good[_i].size2);
    ck_assert_int_eq(got.max_age, good[_i].max_age);
    free(in);
}
END_TEST

/* ---- what does not ---- */

static const struct {
    const char *why;
    const char *hex;
} bad[] = {
    {"nothing", ""},
    {"three bytes", "40 01 00"},
    {"version 0", "00 01 00 01"},
    {"version 2; spec: RFC7252#3", "80 01 00 01"},
    {"an empty CON with a byte behind", "40 00 00 01 c0"},
    {"an empty CON with a token", "41 00 00 01 aa"},
    {"an empty NON with a payload", "50 00 00 01 ff 01"},
    {"a token of 9 bytes", "49 01 00 01 01 02 03 04 05 06 07 08 09"},
    {"a token cut short", "44 01 00 01 01 02 03"},
    {"an option length that is reserved", "40 01 00 01 bf"},
    {"an option delta that is reserved", "40 01 00 01 f1 00"},
    {"an option value cut short", "40 01 00 01 b4 74 65"},
    {"a long delta cut short", "40 01 00 01 d0"},
    {"a longer delta cut short", "40 01 00 01 e0 00"},
    {"a long length cut short", "40 01 00 01 bd"},
    {"a longer length cut short", "40 01 00 01 be 00"},
    {"an option number over 65535", "40 01 00 01 e0 fe f3"},
    {"a sum of deltas over 65535", "40 01 00 01 e0 fe f2 10"},
    {"a payload marker and nothing behind it; spec: RFC7252#3", "40 01 00 01 ff"},
    {"the same behind an option", "40 01 00 01 b1 61 ff"},
};

START_TEST(refuses_each_malformed_message_and_leaves_the_output_alone)
{
    uint8_t bytes[64];
    size_t len = unhex(bad[_i].hex, bytes, sizeof bytes);
    uint8_t *in = exact(bytes, len);
    struct cx_pdu got, before;
    memset(&got, 0xa5, sizeof got);
    before = got;

    ck_assert_msg(cx_pdu_decode(in, len, &got) == DR_ERR_PROTO, "%s", bad[_i].why);
    ck_assert_int_eq(memcmp(&got, &before, sizeof got), 0);
    free(in);
}
END_TEST

START_TEST(peeks_at_type_and_id_of_anything_with_a_header)
{
    uint8_t type = 9;
    uint16_t mid = 9;
    ck_assert(cx_pdu_peek((const uint8_t *)"\x4f\xff\x12\x34", 4, &type, &mid));
    ck_assert_uint_eq(type, CX_CON);
    ck_assert_uint_eq(mid, 0x1234);
    type = 9;
    mid = 9;
    ck_assert(!cx_pdu_peek((const uint8_t *)"\x4f\xff\x12", 3, &type, &mid));
    ck_assert(!cx_pdu_peek((const uint8_t *)"\x8f\xff\x12\x34", 4, &type, &mid));
    ck_assert_uint_eq(type, 9);
    ck_assert_uint_eq(mid, 9);
}
END_TEST

/* ---- options ---- */

START_TEST(iterates_over_options_in_order_and_finds_the_first)
{
    uint8_t in[64];
    size_t len = unhex("40 01 00 01 b1 61 02 62 63 d1 04 64 01 65 dd 0f 00"
                       " 30 31 32 33 34 35 36 37 38 39 3a 3b 3c ff 01",
                       in, sizeof in);
    struct cx_pdu pdu;
    ck_assert_int_eq(cx_pdu_decode(in, len, &pdu), DR_OK);
    struct cx_opt_iter it = cx_opt_begin(&pdu);
    struct cx_opt opt;
    const uint16_t nums[] = {11, 11, 28, 28, 56};
    const uint16_t lens[] = {1, 2, 1, 1, 13};
    for (size_t i = 0; i < 5; i++) {
        ck_assert(cx_opt_next(&it, &opt));
        ck_assert_uint_eq(opt.num, nums[i]);
        ck_assert_uint_eq(opt.len, lens[i]);
    }
    ck_assert(!cx_opt_next(&it, &opt));
    ck_assert(!cx_opt_next(&it, &opt));
    ck_assert(cx_opt_find(&pdu, 28, &opt));
    ck_assert_uint_eq(opt.val[0], 0x64);
    opt.num = 9999;
    ck_assert(!cx_opt_find(&pdu, 12, &opt));
    ck_assert_uint_eq(opt.num, 9999);
}
END_TEST

static const struct {
    uint32_t value;
    uint16_t len;
    uint8_t bytes[4];
} uints[] = {
    {0, 0, {0}},
    {1, 1, {1}},
    {255, 1, {255}},
    {256, 2, {1, 0}},
    {65535, 2, {255, 255}},
    {65536, 3, {1, 0, 0}},
    {0xffffff, 3, {255, 255, 255}},
    {0x1000000, 4, {1, 0, 0, 0}},
    {UINT32_MAX, 4, {255, 255, 255, 255}},
};

START_TEST(a_number_takes_the_fewest_bytes_and_comes_back)
{
    uint8_t buf[4] = {9, 9, 9, 9};
    struct cx_opt opt = cx_opt_uint(60, uints[_i].value, buf);
    ck_assert_uint_eq(opt.num, 60);
    ck_assert_uint_eq(opt.len, uints[_i].len);
    ck_assert_int_eq(memcmp(opt.val, uints[_i].bytes, opt.len), 0);
    uint32_t back = 7;
    ck_assert_int_eq(cx_opt_get_uint(&opt, &back), DR_OK);
    ck_assert_uint_eq(back, uints[_i].value);
}
END_TEST

START_TEST(a_number_of_five_bytes_is_refused)
{
    struct cx_opt opt = {60, 5, (const uint8_t *)"\0\0\0\0\1"};
    uint32_t back = 7;
    ck_assert_int_eq(cx_opt_get_uint(&opt, &back), DR_ERR_PROTO);
    ck_assert_uint_eq(back, 7);
}
END_TEST

/* ---- encoding ---- */

START_TEST(encodes_options_in_any_order_and_keeps_equal_ones)
{
    uint8_t buf[128], want[128], num[4];
    struct dr_wr wr = dr_wr_of(buf, sizeof buf);
    struct cx_opt opts[] = {
        {CX_OPT_URI_QUERY, 5, (const uint8_t *)"ep=ab"},
        {CX_OPT_URI_PATH, 2, (const uint8_t *)"rd"},
        cx_opt_uint(CX_OPT_CONTENT_FORMAT, 40, num),
        {CX_OPT_URI_PATH, 1, (const uint8_t *)"x"},
        {CX_OPT_REQUEST_TAG, 0, NULL},
    };
    ck_assert_int_eq(cx_pdu_encode(&wr, CX_CON, CX_POST, 0x1234, (const uint8_t *)"\xaa\xbb", 2,
                                   opts, 5, (const uint8_t *)"</1>", 4),
                     DR_OK);
    size_t len = unhex("42 02 12 34 aa bb b2 72 64 01 78 11 28 35 65 70 3d 61 62 e0 00 08 ff"
                       " 3c 2f 31 3e",
                       want, sizeof want);
    ck_assert_uint_eq(dr_wr_len(&wr), len);
    ck_assert_mem_eq(buf, want, len);
}
END_TEST

START_TEST(each_length_of_delta_and_value_goes_both_ways)
{
    static const uint16_t sizes[] = {0, 1, 12, 13, 14, 268, 269, 270, 1000};
    static uint8_t value[1000];
    uint8_t buf[1400];
    for (size_t i = 0; i < DR_ARRAY_LEN(sizes); i++) {
        for (size_t k = 0; k < DR_ARRAY_LEN(sizes); k++) {
            struct cx_opt opt = {(uint16_t)(sizes[i] * 2), sizes[k], value};
            struct dr_wr wr = dr_wr_of(buf, sizeof buf);
            ck_assert_int_eq(cx_pdu_encode(&wr, CX_NON, CX_GET, 1, NULL, 0, &opt, 1, NULL, 0),
                             DR_OK);
            struct cx_pdu pdu;
            ck_assert_int_eq(cx_pdu_decode(buf, dr_wr_len(&wr), &pdu), DR_OK);
            struct cx_opt got;
            ck_assert(cx_opt_find(&pdu, opt.num, &got));
            ck_assert_uint_eq(got.len, opt.len);
        }
    }
}
END_TEST

START_TEST(a_buffer_one_byte_too_small_is_refused_at_every_length)
{
    uint8_t buf[64];
    struct cx_opt opt = {CX_OPT_URI_PATH, 14, (const uint8_t *)"abcdefghijklmn"};
    size_t whole = 4 + 8 + 2 + 14 + 1 + 3;
    for (size_t cap = 0; cap <= whole; cap++) {
        uint8_t *out = exact(buf, cap);
        struct dr_wr wr = dr_wr_of(out, cap);
        dr_err_t err = cx_pdu_encode(&wr, CX_CON, CX_GET, 1, (const uint8_t *)"12345678", 8, &opt,
                                     1, (const uint8_t *)"abc", 3);
        ck_assert_int_eq(err, cap < whole ? DR_ERR_NOSPACE : DR_OK);
        free(out);
    }
}
END_TEST

START_TEST(more_options_than_the_limit_are_refused)
{
    uint8_t buf[256];
    struct cx_opt opts[CX_OPTS_MAX + 1];
    for (size_t i = 0; i <= CX_OPTS_MAX; i++) {
        opts[i] = (struct cx_opt){CX_OPT_URI_PATH, 1, (const uint8_t *)"a"};
    }
    struct dr_wr wr = dr_wr_of(buf, sizeof buf);
    ck_assert_int_eq(cx_pdu_encode(&wr, CX_CON, CX_GET, 1, NULL, 0, opts, CX_OPTS_MAX + 1, NULL, 0),
                     DR_ERR_LIMIT);
    wr = dr_wr_of(buf, sizeof buf);
    ck_assert_int_eq(cx_pdu_encode(&wr, CX_CON, CX_GET, 1, NULL, 0, opts, CX_OPTS_MAX, NULL, 0),
                     DR_OK);
}
END_TEST

/* ---- paths ---- */

static const struct {
    const char *hex, *want;
    size_t cap;
    dr_err_t err;
} paths[] = {
    {"40 01 00 01 b2 72 64 01 78", "/rd/x", 64, DR_OK},
    {"40 01 00 01 b2 72 64 01 78", "/rd/x", 6, DR_OK},
    {"40 01 00 01 b2 72 64 01 78", "", 5, DR_ERR_NOSPACE},
    {"40 01 00 01", "/", 64, DR_OK},
    {"40 01 00 01 b0", "/", 64, DR_OK},
    {"40 01 00 01 b1 61 00 01 62", "/a//b", 64, DR_OK},
    {"40 01 00 01 b3 61 2f 62", "", 64, DR_ERR_PROTO},
    {"40 01 00 01 b3 61 00 62", "", 64, DR_ERR_PROTO},
    {"40 01 00 01 41 78 71 61 41 71", "/a", 64, DR_OK},
};

START_TEST(joins_the_path)
{
    uint8_t in[64];
    size_t len = unhex(paths[_i].hex, in, sizeof in);
    struct cx_pdu pdu;
    char buf[64] = "untouched";
    ck_assert_int_eq(cx_pdu_decode(in, len, &pdu), DR_OK);
    ck_assert_int_eq(cx_pdu_path(&pdu, buf, paths[_i].cap), paths[_i].err);
    ck_assert_str_eq(buf, paths[_i].err == DR_OK ? paths[_i].want : "untouched");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("coap/pdu");
    TCase *decode = tcase_create("decode");
    tcase_add_loop_test(decode, decodes_each_message, 0, (int)DR_ARRAY_LEN(good));
    tcase_add_loop_test(decode, refuses_each_malformed_message_and_leaves_the_output_alone, 0,
                        (int)DR_ARRAY_LEN(bad));
    tcase_add_test(decode, peeks_at_type_and_id_of_anything_with_a_header);
    suite_add_tcase(s, decode);
    TCase *options = tcase_create("options");
    tcase_add_test(options, iterates_over_options_in_order_and_finds_the_first);
    tcase_add_loop_test(options, a_number_takes_the_fewest_bytes_and_comes_back, 0,
                        (int)DR_ARRAY_LEN(uints));
    tcase_add_test(options, a_number_of_five_bytes_is_refused);
    tcase_add_loop_test(options, joins_the_path, 0, (int)DR_ARRAY_LEN(paths));
    suite_add_tcase(s, options);
    TCase *encode = tcase_create("encode");
    tcase_add_test(encode, encodes_options_in_any_order_and_keeps_equal_ones);
    tcase_add_test(encode, each_length_of_delta_and_value_goes_both_ways);
    tcase_add_test(encode, a_buffer_one_byte_too_small_is_refused_at_every_length);
    tcase_add_test(encode, more_options_than_the_limit_are_refused);
    suite_add_tcase(s, encode);

    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed;
}
