/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "tests/unit/run.h"

START_TEST(numbers_are_big_endian_both_ways)
{
    uint8_t buf[26];
    struct dr_wr wr = dr_wr_of(buf, sizeof buf);

    dr_wr_u8(&wr, 0x12);
    dr_wr_u16(&wr, 0x3456);
    dr_wr_u24(&wr, 0x789abc);
    dr_wr_u32(&wr, 0xdef01234);
    dr_wr_u48(&wr, 0x56789abcdef0);
    dr_wr_u64(&wr, 0x0102030405060708);
    dr_wr_put(&wr, "xy", 2);
    ck_assert(dr_wr_ok(&wr) && dr_wr_left(&wr) == 0);
    static const uint8_t want[] = {0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 0x12,
                                   0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 1,    2,
                                   3,    4,    5,    6,    7,    8,    'x',  'y'};
    ck_assert_mem_eq(buf, want, sizeof want);

    struct dr_rd rd = dr_rd_bytes_of(dr_wr_bytes(&wr));
    ck_assert_uint_eq(dr_rd_peek(&rd), 0x12);
    ck_assert_uint_eq(dr_rd_u8(&rd), 0x12);
    ck_assert_uint_eq(dr_rd_u16(&rd), 0x3456);
    ck_assert_uint_eq(dr_rd_u24(&rd), 0x789abc);
    ck_assert_uint_eq(dr_rd_u32(&rd), 0xdef01234);
    ck_assert_uint_eq(dr_rd_u48(&rd), 0x56789abcdef0);
    ck_assert_uint_eq(dr_rd_u64(&rd), 0x0102030405060708);
    ck_assert(dr_bytes_eq_str(dr_rd_rest(&rd), "xy"));
    ck_assert(dr_rd_done(&rd));
}
END_TEST

START_TEST(reading_past_the_end_sticks_and_moves_nothing)
{
    uint8_t out[4] = {9, 9, 9, 9};
    struct dr_rd rd = dr_rd_of("\x01\x02\x03", 3);

    ck_assert_uint_eq(dr_rd_u32(&rd), 0);
    ck_assert(!dr_rd_ok(&rd));
    ck_assert_int_eq(dr_rd_err(&rd), DR_ERR_PROTO);
    ck_assert_uint_eq(dr_rd_left(&rd), 3);
    ck_assert_uint_eq(dr_rd_u8(&rd), 0);
    ck_assert_uint_eq(dr_rd_bytes(&rd, 0).len, 0);
    dr_rd_copy(&rd, out, 1);
    ck_assert_uint_eq(out[0], 9);
    ck_assert_uint_eq(dr_rd_rest(&rd).len, 0);
    ck_assert(!dr_rd_done(&rd));
}
END_TEST

START_TEST(a_sub_cursor_ends_where_it_should)
{
    struct dr_rd rd = dr_rd_of("abcdef", 6);
    struct dr_rd sub = dr_rd_sub(&rd, 4);

    ck_assert_uint_eq(dr_rd_left(&sub), 4);
    ck_assert_uint_eq(dr_rd_left(&rd), 2);
    dr_rd_skip(&sub, 4);
    ck_assert(dr_rd_done(&sub));
    sub = dr_rd_sub(&rd, 3);
    ck_assert(!dr_rd_ok(&sub) && !dr_rd_ok(&rd));
}
END_TEST

START_TEST(empty_input_may_be_null)
{
    struct dr_rd rd = dr_rd_of(NULL, 0);

    ck_assert(dr_rd_done(&rd));
    ck_assert_uint_eq(dr_rd_peek(&rd), 0);
    ck_assert(!dr_rd_ok(&rd));
    struct dr_wr wr = dr_wr_of(NULL, 0);
    dr_wr_put(&wr, NULL, 0);
    ck_assert(dr_wr_ok(&wr));
    dr_wr_u8(&wr, 1);
    ck_assert_int_eq(dr_wr_err(&wr), DR_ERR_NOSPACE);
}
END_TEST

START_TEST(a_write_that_does_not_fit_writes_nothing_and_sticks)
{
    uint8_t buf[4] = {7, 7, 7, 7};
    struct dr_wr wr = dr_wr_of(buf, 3);

    dr_wr_u16(&wr, 0);
    dr_wr_u16(&wr, 0);
    ck_assert(!dr_wr_ok(&wr));
    dr_wr_u8(&wr, 1);
    ck_assert_uint_eq(dr_wr_len(&wr), 2);
    ck_assert_uint_eq(buf[2], 7);
    ck_assert_ptr_null(dr_wr_reserve(&wr, 0));
}
END_TEST

START_TEST(printf_fills_a_buffer_to_the_last_byte)
{
    char buf[6] = "zzzzzz";
    struct dr_wr wr = dr_wr_of(buf, 5);

    dr_wr_printf(&wr, "%d-%s", 12, "ab");
    ck_assert(dr_wr_ok(&wr));
    ck_assert_mem_eq(buf, "12-abz", 6);
    dr_wr_printf(&wr, "%s", "");
    ck_assert(dr_wr_ok(&wr));
    dr_wr_printf(&wr, "%c", 'x');
    ck_assert(!dr_wr_ok(&wr));
    ck_assert_mem_eq(buf, "12-abz", 6);
}
END_TEST

START_TEST(a_dynbuf_grows_to_its_maximum_and_no_further)
{
    struct dr_dynbuf b;

    dr_dynbuf_init(&b, 1000);
    for (int i = 0; i < 100; i++) {
        dr_dynbuf_printf(&b, "%010d", i);
    }
    ck_assert_int_eq(dr_dynbuf_err(&b), DR_OK);
    ck_assert_uint_eq(b.len, 1000);
    ck_assert_str_eq(dr_dynbuf_str(&b) + 990, "0000000099");
    dr_dynbuf_append_char(&b, 'x');
    ck_assert_int_eq(dr_dynbuf_err(&b), DR_ERR_TOO_LARGE);
    ck_assert_uint_eq(b.len, 1000);
    ck_assert_ptr_null(dr_dynbuf_reserve(&b, 0));

    char *text = NULL;
    ck_assert_int_eq(dr_dynbuf_take(&b, &text, NULL), DR_ERR_TOO_LARGE);
    ck_assert_ptr_null(text);
    ck_assert_int_eq(dr_dynbuf_err(&b), DR_OK);
    ck_assert_uint_eq(b.len, 0);
    dr_dynbuf_fini(&b);
}
END_TEST

START_TEST(a_printf_beyond_the_maximum_leaves_no_trace)
{
    struct dr_dynbuf b;

    dr_dynbuf_init(&b, 10);
    dr_dynbuf_append_str(&b, "12345");
    dr_dynbuf_printf(&b, "%s", "abcdefgh");
    ck_assert_int_eq(dr_dynbuf_err(&b), DR_ERR_TOO_LARGE);
    ck_assert_str_eq(dr_dynbuf_str(&b), "12345");
    dr_dynbuf_reset(&b);
    ck_assert_str_eq(dr_dynbuf_str(&b), "");
    dr_dynbuf_printf(&b, "%s", "abcdefghij");
    ck_assert_str_eq(dr_dynbuf_str(&b), "abcdefghij");
    dr_dynbuf_fini(&b);
    dr_dynbuf_fini(NULL);
}
END_TEST

START_TEST(taking_consuming_and_truncating)
{
    struct dr_dynbuf b;
    char *text = NULL;
    size_t len = 99;

    dr_dynbuf_init(&b, 100);
    ck_assert_str_eq(dr_dynbuf_str(&b), "");
    ck_assert_int_eq(dr_dynbuf_take(&b, &text, &len), DR_OK);
    ck_assert_str_eq(text, "");
    ck_assert_uint_eq(len, 0);
    free(text);

    dr_dynbuf_append_bytes(&b, dr_bytes_str("hello world"));
    dr_dynbuf_consume(&b, 6);
    ck_assert_str_eq(dr_dynbuf_str(&b), "world");
    dr_dynbuf_truncate(&b, 3);
    dr_dynbuf_consume(&b, 0);
    ck_assert_int_eq(dr_dynbuf_take(&b, &text, &len), DR_OK);
    ck_assert_str_eq(text, "wor");
    ck_assert_uint_eq(len, 3);
    ck_assert_uint_eq(b.len, 0);
    free(text);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("base/buf");
    TCase *tc = add_case(s, "cursors");

    tcase_add_test(tc, numbers_are_big_endian_both_ways);
    tcase_add_test(tc, reading_past_the_end_sticks_and_moves_nothing);
    tcase_add_test(tc, a_sub_cursor_ends_where_it_should);
    tcase_add_test(tc, empty_input_may_be_null);
    tcase_add_test(tc, a_write_that_does_not_fit_writes_nothing_and_sticks);
    tcase_add_test(tc, printf_fills_a_buffer_to_the_last_byte);
    tc = add_case(s, "dynbuf");
    tcase_add_test(tc, a_dynbuf_grows_to_its_maximum_and_no_further);
    tcase_add_test(tc, a_printf_beyond_the_maximum_leaves_no_trace);
    tcase_add_test(tc, taking_consuming_and_truncating);
    return run_suite(s);
}
