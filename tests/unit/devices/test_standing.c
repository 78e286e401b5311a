/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/standing.h"
#include "lwm2m/path.h"
#include "tests/unit/devices/unit.h"

START_TEST(what_is_written_is_read)
{
    struct lwm2m_path state = LWM2M_PATH(10252, 0, 2);
    static const uint8_t want[] = {1, 0x28, 0x0d, 0, 1, 0, 3, 0, 0, 0, 10};
    struct dev_standing in[DEV_STANDING_MAX + 1], out[DEV_STANDING_MAX];
    uint8_t bytes[DEV_STANDING_BYTES_MAX];
    size_t n = 99;

    in[0] = (struct dev_standing){.path = lwm2m_path_pack(&state), .token = 10};
    ck_assert_uint_eq(dev_standing_write(in, 1, bytes), sizeof want);
    ck_assert_mem_eq(bytes, want, sizeof want);
    ck_assert_int_eq(dev_standing_read(dr_bytes_of(want, sizeof want), out, &n), DR_OK);
    ck_assert_uint_eq(n, 1);
    ck_assert(out[0].path == in[0].path && out[0].token == 10);
    for (size_t i = 0; i < DR_ARRAY_LEN(in); i++) {
        in[i] = (struct dev_standing){.path = i + 1, .token = (uint16_t)(1000 - i)};
    }
    size_t len = dev_standing_write(in, DR_ARRAY_LEN(in), bytes);
    ck_assert_uint_eq(len, DEV_STANDING_BYTES_MAX);
    ck_assert_int_eq(dev_standing_read(dr_bytes_of(bytes, len), out, &n), DR_OK);
    ck_assert_uint_eq(n, DEV_STANDING_MAX);
    ck_assert_uint_eq(out[DEV_STANDING_MAX - 1].token, in[DEV_STANDING_MAX - 1].token);
}
END_TEST

START_TEST(no_observations_are_not_an_empty_text)
{
    uint8_t bytes[DEV_STANDING_BYTES_MAX];
    struct dev_standing out[DEV_STANDING_MAX];
    size_t n = 99;

    ck_assert_uint_eq(dev_standing_write(NULL, 0, bytes), 1);
    ck_assert_int_eq(dev_standing_read(dr_bytes_of(bytes, 1), out, &n), DR_OK);
    ck_assert_uint_eq(n, 0);
    n = 99;
    ck_assert_int_eq(dev_standing_read(dr_bytes_of(NULL, 0), out, &n), DR_OK);
    ck_assert_uint_eq(n, 0);
}
END_TEST

START_TEST(damage_is_refused)
{
    static const struct {
        uint8_t bytes[16];
        size_t len;
    } rows[] = {{{2}, 1}, {{1, 0, 0}, 3}, {{1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 12}};
    struct dev_standing out[DEV_STANDING_MAX];
    size_t n = 99;

    for (size_t i = 0; i < DR_ARRAY_LEN(rows); i++) {
        ck_assert_int_eq(dev_standing_read(dr_bytes_of(rows[i].bytes, rows[i].len), out, &n),
                         DR_ERR_CORRUPT);
        ck_assert_uint_eq(n, 99);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("devices: standing observations");
    TCase *tc = tcase_create("stored form");

    tcase_add_test(tc, what_is_written_is_read);
    tcase_add_test(tc, no_observations_are_not_an_empty_text);
    tcase_add_test(tc, damage_is_refused);
    suite_add_tcase(s, tc);
    return unit_main(s);
}
