/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/dedup.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "coap/msg.h"

static uint32_t pushed[CX_RING_STORED_MAX];

static struct cx_ring_entry plain(uint16_t mid, uint8_t code)
{
    return (struct cx_ring_entry){
        .kind = CX_RING_ANSWER, .mid = mid, .hash = mid * 77u, .code = code};
}

START_TEST(a_ring_takes_48_bytes)
{
    ck_assert_uint_eq(sizeof(struct cx_ring), 48);
}
END_TEST

START_TEST(remembers_the_newest_four_short_answers)
{
    struct cx_ring ring = {0};
    struct cx_ring_entry got;
    for (uint16_t mid = 1; mid <= 10; mid++) {
        struct cx_ring_entry e = plain(mid, (uint8_t)(0x40 + mid));
        (void)cx_ring_put(&ring, &e, 5000, pushed);
        for (uint16_t k = 1; k <= 10; k++) {
            bool want = k <= mid && k + 4 > mid;
            ck_assert(cx_ring_find(&ring, k, k * 77u, 5000, &got) == want);
            if (want) {
                ck_assert_int_eq(got.kind, CX_RING_ANSWER);
                ck_assert_uint_eq(got.code, 0x40 + k);
                ck_assert_uint_eq(got.len, 0);
            }
        }
    }
}
END_TEST

START_TEST(the_location_of_a_registration_fits)
{
    uint8_t data[CX_RING_DATA_MAX];
    memset(data, 0x5a, sizeof data);
    struct cx_ring ring = {0};
    struct cx_ring_entry old = plain(1, 0x44), got;
    (void)cx_ring_put(&ring, &old, 0, pushed);
    struct cx_ring_entry e = {.kind = CX_RING_ANSWER,
                              .mid = 2,
                              .hash = 9,
                              .code = 0x41,
                              .len = CX_RING_DATA_MAX,
                              .data = data};
    (void)cx_ring_put(&ring, &e, 0, pushed);
    ck_assert(cx_ring_find(&ring, 2, 9, 0, &got));
    ck_assert_uint_eq(got.len, sizeof data);
    ck_assert_mem_eq(got.data, data, sizeof data);
    ck_assert(!cx_ring_find(&ring, 1, 77, 0, &got));
    ck_assert_uint_ge(CX_RING_DATA_MAX, 37); /* Location-Path "rd" and 32 digits */
}
END_TEST

START_TEST(an_id_with_other_content_is_another_message)
{
    struct cx_ring ring = {0};
    struct cx_ring_entry e = plain(1, 0x44), got = {.mid = 4711};
    (void)cx_ring_put(&ring, &e, 0, pushed);
    ck_assert(!cx_ring_find(&ring, 1, 78, 0, &got));
    ck_assert_uint_eq(got.mid, 4711);
}
END_TEST

START_TEST(forgets_after_an_exchange_lifetime)
{
    struct cx_ring ring = {0};
    struct cx_ring_entry e = plain(1, 0x44), got;
    uint64_t at = 65530000; /* seconds wrap at 16 bits just behind */
    (void)cx_ring_put(&ring, &e, at, pushed);
    ck_assert(cx_ring_find(&ring, 1, 77, at + CX_EXCHANGE_LIFETIME_MS, &got));
    ck_assert(!cx_ring_find(&ring, 1, 77, at + CX_EXCHANGE_LIFETIME_MS + 1000, &got));
}
END_TEST

START_TEST(every_kind_comes_back)
{
    struct cx_ring ring = {0};
    struct cx_ring_entry stored = {
        .kind = CX_RING_STORED, .mid = 1, .hash = 1, .number = 0xfedcba98};
    struct cx_ring_entry silent = {.kind = CX_RING_SILENT, .mid = 2, .hash = 2};
    struct cx_ring_entry reset = {.kind = CX_RING_RESET, .mid = 3, .hash = 3};
    struct cx_ring_entry got;
    (void)cx_ring_put(&ring, &stored, 0, pushed);
    (void)cx_ring_put(&ring, &silent, 0, pushed);
    (void)cx_ring_put(&ring, &reset, 0, pushed);
    ck_assert(cx_ring_find(&ring, 1, 1, 0, &got));
    ck_assert_int_eq(got.kind, CX_RING_STORED);
    ck_assert_uint_eq(got.number, 0xfedcba98);
    ck_assert(cx_ring_find(&ring, 2, 2, 0, &got));
    ck_assert_int_eq(got.kind, CX_RING_SILENT);
    ck_assert(cx_ring_find(&ring, 3, 3, 0, &got));
    ck_assert_int_eq(got.kind, CX_RING_RESET);
}
END_TEST

START_TEST(numbers_that_are_pushed_out_are_told)
{
    struct cx_ring ring = {0};
    for (uint32_t i = 1; i <= 10; i++) {
        struct cx_ring_entry e = {
            .kind = CX_RING_STORED, .mid = (uint16_t)i, .hash = i, .number = 100 + i};
        size_t n = cx_ring_put(&ring, &e, 0, pushed);
        ck_assert_uint_eq(n, i > CX_RING_STORED_MAX ? 1 : 0);
        if (n == 1) {
            ck_assert_uint_eq(pushed[0], 100 + i - CX_RING_STORED_MAX);
        }
    }
    ck_assert_uint_eq(cx_ring_stored(&ring, pushed), CX_RING_STORED_MAX);
    ck_assert_uint_eq(pushed[0], 110);
    static const uint8_t data[CX_RING_DATA_MAX];
    struct cx_ring_entry large = {.kind = CX_RING_ANSWER, .len = sizeof data, .data = data};
    ck_assert_uint_eq(cx_ring_put(&ring, &large, 0, pushed), CX_RING_STORED_MAX);
    ck_assert_uint_eq(cx_ring_stored(&ring, pushed), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("coap/dedup");
    TCase *tc = tcase_create("ring");
    tcase_add_test(tc, a_ring_takes_48_bytes);
    tcase_add_test(tc, remembers_the_newest_four_short_answers);
    tcase_add_test(tc, the_location_of_a_registration_fits);
    tcase_add_test(tc, an_id_with_other_content_is_another_message);
    tcase_add_test(tc, forgets_after_an_exchange_lifetime);
    tcase_add_test(tc, every_kind_comes_back);
    tcase_add_test(tc, numbers_that_are_pushed_out_are_told);
    suite_add_tcase(s, tc);

    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed;
}
