/* SPDX-License-Identifier: Apache-2.0 */
#include "manifest/der.h"

#include "base/text.h"
#include "tests/unit/run.h"

static struct dr_bytes hex(const char *text, uint8_t *buf, size_t cap)
{
    size_t len = 0;

    ck_assert_int_eq(dr_hex_decode(text, strlen(text), buf, cap, &len), DR_OK);
    return dr_bytes_of(buf, len);
}

static const struct {
    const char *why; /* spec: X.690#10.1 */
    const char *in;
    dr_err_t err;
    size_t len; /* of the content */
} elements[] = {
    {"one content octet", "0401aa", DR_OK, 1},
    {"empty content", "0400", DR_OK, 0},
    {"no length", "04", DR_ERR_PROTO, 0},
    {"nothing", "", DR_ERR_PROTO, 0},
    {"content is cut short", "0402aa", DR_ERR_PROTO, 0},
    {"indefinite length",
     "3080020101"
     "0000",
     DR_ERR_PROTO, 0},
    {"long form for 1", "048101aa", DR_ERR_PROTO, 0},
    {"long form for 127 (0x7f)", "04817f", DR_ERR_PROTO, 0},
    {"leading zero in the length", "04820001aa", DR_ERR_PROTO, 0},
    {"reserved length 0xff", "04ff", DR_ERR_PROTO, 0},
    {"length of 5 octets", "04850000000001aa", DR_ERR_PROTO, 0},
    {"length cut short", "0482", DR_ERR_PROTO, 0},
    {"tag of several octets",
     "1f8101"
     "0100",
     DR_ERR_PROTO, 0},
};

START_TEST(an_element_has_one_form)
{
    uint8_t buf[16];
    struct dr_bytes in = hex(elements[_i].in, buf, sizeof buf);
    struct dr_rd rd = dr_rd_bytes_of(in);
    struct manifest_der got = {.tag = 0x55, .value = {.len = 99}};

    ck_assert_msg(manifest_der_next(&rd, &got) == elements[_i].err, "%s", elements[_i].why);
    if (elements[_i].err == DR_OK) {
        ck_assert_uint_eq(got.value.len, elements[_i].len);
        ck_assert_uint_eq(got.whole.len, in.len);
        ck_assert(dr_rd_done(&rd));
    } else {
        ck_assert_uint_eq(got.tag, 0x55); /* untouched */
        ck_assert_uint_eq(got.value.len, 99);
        ck_assert(!dr_rd_ok(&rd));
    }
}
END_TEST

static const struct {
    const char *why, *in;
    size_t octets;
    dr_err_t err;
    uint64_t want;
} numbers[] = {
    {"zero", "020100", 4, DR_OK, 0},
    {"127", "02017f", 4, DR_OK, 127},
    {"128 has a zero in front", "02020080", 4, DR_OK, 128},
    {"2147483647", "02047fffffff", 4, DR_OK, 2147483647},
    {"2147483648 is longer", "02050080000000", 4, DR_ERR_RANGE, 0},
    {"2147483648 where it may be", "02050080000000", 5, DR_OK, 2147483648},
    {"2^64 - 1", "020900ffffffffffffffff", 9, DR_OK, UINT64_MAX},
    {"2^64", "0209010000000000000000", 9, DR_ERR_RANGE, 0},
    {"padded", "02020001", 4, DR_ERR_PROTO, 0},
    {"negative", "0201ff", 4, DR_ERR_RANGE, 0},
    {"negative and padded", "0202ff80", 4, DR_ERR_PROTO, 0},
    {"empty", "0200", 4, DR_ERR_PROTO, 0},
    {"another tag", "0a0101", 4, DR_ERR_PROTO, 0},
};

START_TEST(an_integer_is_minimal_and_not_negative)
{
    uint8_t buf[16];
    struct dr_rd rd = dr_rd_bytes_of(hex(numbers[_i].in, buf, sizeof buf));
    uint64_t got = 77;

    ck_assert_msg(manifest_der_get_uint(&rd, MANIFEST_DER_INTEGER, numbers[_i].octets, &got) ==
                      numbers[_i].err,
                  "%s", numbers[_i].why);
    ck_assert_uint_eq(got, numbers[_i].err == DR_OK ? numbers[_i].want : 77);
}
END_TEST

START_TEST(a_boolean_is_00_or_ff)
{
    for (unsigned v = 0; v < 256; v++) {
        uint8_t in[] = {1, 1, (uint8_t)v};
        struct dr_rd rd = dr_rd_of(in, sizeof in);
        bool got = v != 0xff;
        dr_err_t err = manifest_der_get_bool(&rd, &got);
        ck_assert_int_eq(err, v == 0 || v == 0xff ? DR_OK : DR_ERR_PROTO);
        ck_assert(err != DR_OK || got == (v == 0xff));
    }
}
END_TEST

START_TEST(text_is_utf8)
{
    static const uint8_t good[] = {0x0c, 2, 0xc3, 0xa9}, overlong[] = {0x0c, 2, 0xc0, 0x80};
    struct dr_bytes got = {.len = 5};
    struct dr_rd rd = dr_rd_of(overlong, sizeof overlong);

    ck_assert_int_eq(manifest_der_get_utf8(&rd, &got), DR_ERR_PROTO);
    ck_assert_uint_eq(got.len, 5);
    rd = dr_rd_of(good, sizeof good);
    ck_assert_int_eq(manifest_der_get_utf8(&rd, &got), DR_OK);
    ck_assert_uint_eq(got.len, 2);
}
END_TEST

START_TEST(what_is_written_is_read_again)
{
    static const uint64_t values[] = {0,   1,     127,   128,        255,
                                      256, 32767, 32768, UINT32_MAX, UINT64_MAX};
    uint8_t buf[64];

    for (size_t i = 0; i < DR_ARRAY_LEN(values); i++) {
        struct dr_wr wr = dr_wr_of(buf, sizeof buf);
        uint64_t got = 0;
        manifest_der_put_uint(&wr, MANIFEST_DER_ENUMERATED, values[i]);
        struct dr_rd rd = dr_rd_bytes_of(dr_wr_bytes(&wr));
        ck_assert_int_eq(manifest_der_get_uint(&rd, MANIFEST_DER_ENUMERATED, 9, &got), DR_OK);
        ck_assert_uint_eq(got, values[i]);
        ck_assert(dr_rd_done(&rd));
    }
}
END_TEST

START_TEST(a_sequence_grows_its_length)
{
    static const size_t sizes[] = {0, 1, 127, 128, 255, 256, 65535, 65536};
    static uint8_t buf[70000], content[65536];

    for (size_t i = 0; i < DR_ARRAY_LEN(sizes); i++) {
        struct dr_wr wr = dr_wr_of(buf, sizeof buf);
        struct manifest_der got;
        size_t mark = manifest_der_begin(&wr, MANIFEST_DER_SEQUENCE);
        content[0] = (uint8_t)i;
        dr_wr_put(&wr, content, sizes[i]);
        manifest_der_end(&wr, mark);
        struct dr_rd rd = dr_rd_bytes_of(dr_wr_bytes(&wr));
        ck_assert_int_eq(manifest_der_next(&rd, &got), DR_OK);
        ck_assert_uint_eq(got.value.len, sizes[i]);
        ck_assert(sizes[i] == 0 || got.value.p[0] == (uint8_t)i);
        ck_assert(dr_rd_done(&rd));
    }
}
END_TEST

START_TEST(no_room_is_an_error_and_writes_nothing_outside)
{
    uint8_t buf[132];

    for (size_t cap = 0; cap <= 131; cap++) {
        memset(buf, 0xee, sizeof buf);
        struct dr_wr wr = dr_wr_of(buf, cap);
        size_t mark = manifest_der_begin(&wr, MANIFEST_DER_SEQUENCE);
        for (int i = 0; i < 128; i++) {
            dr_wr_u8(&wr, 1);
        }
        manifest_der_end(&wr, mark);
        ck_assert_int_eq(dr_wr_err(&wr), cap < 131 ? DR_ERR_NOSPACE : DR_OK);
        for (size_t i = cap; i < sizeof buf; i++) {
            ck_assert_uint_eq(buf[i], 0xee);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("manifest der");
    TCase *tc = add_case(suite, "read");

    tcase_add_loop_test(tc, an_element_has_one_form, 0, DR_ARRAY_LEN(elements));
    tcase_add_loop_test(tc, an_integer_is_minimal_and_not_negative, 0, DR_ARRAY_LEN(numbers));
    tcase_add_test(tc, a_boolean_is_00_or_ff);
    tcase_add_test(tc, text_is_utf8);
    tc = add_case(suite, "write");
    tcase_add_test(tc, what_is_written_is_read_again);
    tcase_add_test(tc, a_sequence_grows_its_length);
    tcase_add_test(tc, no_room_is_an_error_and_writes_nothing_outside);
    return run_suite(suite);
}
