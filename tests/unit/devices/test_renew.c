/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/renew.h"
#include "tests/unit/devices/unit.h"

START_TEST(the_body_is_a_list_of_one_name)
{
    static const uint8_t want[] = {0, 1, 0, 6, 'L', 'W', 'M', '2', 'M', 0};
    uint8_t out[DEV_RENEW_BODY_MAX];

    ck_assert_uint_eq(dev_renew_body("LWM2M", out), sizeof want);
    ck_assert_mem_eq(out, want, sizeof want);
}
END_TEST

START_TEST(names_have_a_form)
{
    static const char *const bad[] = {"", "a b", "a/b", "\xc3\xa4",
                                      "12345678901234567890123456789012"};
    uint8_t out[DEV_RENEW_BODY_MAX];

    for (size_t i = 0; i < DR_ARRAY_LEN(bad); i++) {
        ck_assert_msg(dev_renew_body(bad[i], out) == 0, "%s", bad[i]);
    }
    ck_assert_uint_eq(dev_renew_body("1234567890123456789012345678901", out), DEV_RENEW_BODY_MAX);
}
END_TEST

START_TEST(statuses_are_texts)
{
    ck_assert_str_eq(dev_renew_status("0", 1), "success");
    ck_assert_ptr_nonnull(strstr(dev_renew_status("1284", 4), "no certificate of that name"));
    ck_assert_ptr_nonnull(strstr(dev_renew_status("12840", 5), "not known"));
    ck_assert_ptr_nonnull(strstr(dev_renew_status("", 0), "not known"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("devices: renewal of certificates");
    TCase *tc = tcase_create("pure");

    tcase_add_test(tc, the_body_is_a_list_of_one_name);
    tcase_add_test(tc, names_have_a_form);
    tcase_add_test(tc, statuses_are_texts);
    suite_add_tcase(s, tc);
    return unit_main(s);
}
