/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/block.h"

#include <check.h>
#include <stdlib.h>

static const struct {
    const char *why; /* spec: RFC7959#2.2 */
    int32_t raw;
    dr_err_t err;
    struct cx_block want;
} cases[] = {
    {"an empty value is block 0 of 16", 0, DR_OK, {.num = 0, .size = 16}},
    {"num 1, more, 1024 bytes", 0x1e, DR_OK, {.num = 1, .size = 1024, .more = true}},
    {"two bytes", 0x0abd, DR_OK, {.num = 0xab, .size = 512, .more = true}},
    {"the highest number", 0xfffff6, DR_OK, {.num = 0xfffff, .size = 1024}},
    {"size exponent 7 is reserved", 0x07, DR_ERR_PROTO, {.num = 99}},
    {"size exponent 7 in a long value", 0xffffff, DR_ERR_PROTO, {.num = 99}},
    {"over 24 bits", 0x1000000, DR_ERR_PROTO, {.num = 99}},
    {"no option", -1, DR_ERR_NOT_FOUND, {.num = 99}},
};

START_TEST(decodes_each_case)
{
    struct cx_block got = {.num = 99}; /* must survive an error */

    ck_assert_int_eq(cx_block_decode(cases[_i].raw, &got), cases[_i].err);
    ck_assert_msg(got.num == cases[_i].want.num && got.size == cases[_i].want.size &&
                      got.more == cases[_i].want.more,
                  "%s", cases[_i].why);
    if (cases[_i].err == DR_OK) {
        ck_assert_uint_eq(cx_block_encode(&got), (uint32_t)cases[_i].raw);
    }
}
END_TEST

static const struct {
    size_t size;
    uint16_t want;
} floors[] = {{0, 16},    {1, 16},     {16, 16},     {31, 16},     {32, 32},    {511, 256},
              {512, 512}, {1023, 512}, {1024, 1024}, {1025, 1024}, {4096, 1024}};

START_TEST(rounds_a_size_down_to_one_that_exists)
{
    ck_assert_uint_eq(cx_block_size_floor(floors[_i].size), floors[_i].want);
}
END_TEST

static const struct {
    uint32_t num;
    uint16_t size;
    size_t total;
    bool ok;
    size_t len;
    bool more;
} slices[] = {
    {0, 16, 0, true, 0, false},         {0, 16, 1, true, 1, false},
    {0, 16, 16, true, 16, false},       {0, 16, 17, true, 16, true},
    {1, 16, 17, true, 1, false},        {1, 16, 16, false, 0, false},
    {2, 16, 17, false, 0, false},       {0, 1024, 1024, true, 1024, false},
    {3, 1024, 4096, true, 1024, false}, {0xfffff, 1024, 5, false, 0, false},
};

START_TEST(cuts_a_body_and_knows_its_end)
{
    struct cx_block b = {.num = slices[_i].num, .size = slices[_i].size};
    size_t len = 777;
    ck_assert(cx_block_slice(&b, slices[_i].total, &len) == slices[_i].ok);
    ck_assert_uint_eq(len, slices[_i].ok ? slices[_i].len : 777);
    ck_assert(b.more == slices[_i].more);
    ck_assert_uint_eq(cx_block_offset(&b), (size_t)slices[_i].num * slices[_i].size);
}
END_TEST

START_TEST(blocks_of_every_size_cover_a_body_exactly)
{
    size_t total = (size_t)_i * 37;
    for (uint16_t size = 16; size <= 1024; size = (uint16_t)(size * 2)) {
        size_t covered = 0, len;
        struct cx_block b = {.size = size};
        while (cx_block_slice(&b, total, &len)) {
            ck_assert_uint_eq(cx_block_offset(&b), covered);
            covered += len;
            ck_assert(b.more == (covered < total));
            if (!b.more) {
                break;
            }
            b.num++;
        }
        ck_assert_uint_eq(covered, total);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("coap/block");
    TCase *tc = tcase_create("block");
    tcase_add_loop_test(tc, decodes_each_case, 0, (int)DR_ARRAY_LEN(cases));
    tcase_add_loop_test(tc, rounds_a_size_down_to_one_that_exists, 0, (int)DR_ARRAY_LEN(floors));
    tcase_add_loop_test(tc, cuts_a_body_and_knows_its_end, 0, (int)DR_ARRAY_LEN(slices));
    tcase_add_loop_test(tc, blocks_of_every_size_cover_a_body_exactly, 0, 60);
    suite_add_tcase(s, tc);

    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed;
}
