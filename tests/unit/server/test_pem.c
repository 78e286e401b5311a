/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "server/pem.h"

#define BEGIN "-----BEGIN CERTIFICATE-----\n"
#define END   "-----END CERTIFICATE-----\n"

static const struct {
    const char *why, *text;
    dr_err_t err;
    size_t count;
} cases[] = {
    {"one", BEGIN "AQID\n" END, DR_OK, 1},
    {"two with text between", "x\n" BEGIN "AQID\n" END "hello\n" BEGIN "BAUG\nBwgJ\n" END, DR_OK,
     2},
    {"carriage returns", "-----BEGIN CERTIFICATE-----\r\nAQID\r\n-----END CERTIFICATE-----\r\n",
     DR_OK, 1},
    {"another kind of block is skipped",
     "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n" BEGIN "AQID\n" END,
     DR_OK, 1},
    {"nothing", "", DR_ERR_PROTO, 0},
    {"text only", "hello", DR_ERR_PROTO, 0},
    {"no end", BEGIN "AQID\n", DR_ERR_PROTO, 0},
    {"empty block", BEGIN END, DR_ERR_PROTO, 0},
    {"bad base64", BEGIN "A*ID\n" END, DR_ERR_PROTO, 0},
    {"second one bad", BEGIN "AQID\n" END BEGIN "A\n" END, DR_ERR_PROTO, 0},
};

START_TEST(each_file_is_read_or_refused)
{
    struct srv_der_list list = {.count = 99};
    struct dr_errinfo info = {0};
    dr_err_t err = srv_pem_certs(cases[_i].text, strlen(cases[_i].text), &list, &info);

    ck_assert_msg(err == cases[_i].err, "%s: %s", cases[_i].why, dr_err_name(err));
    if (err != DR_OK) {
        ck_assert_uint_eq(list.count, 99);
        ck_assert(info.text[0] != '\0');
        return;
    }
    ck_assert_uint_eq(list.count, cases[_i].count);
    ck_assert_uint_eq(list.certs[0].len, 3);
    ck_assert_mem_eq(list.certs[0].bytes, "\x01\x02\x03", 3);
    if (list.count == 2) {
        ck_assert_uint_eq(list.certs[1].len, 6);
        ck_assert_mem_eq(list.certs[1].bytes, "\x04\x05\x06\x07\x08\x09", 6);
    }
    free(list.block);
}
END_TEST

START_TEST(more_certificates_than_the_limit_are_refused)
{
    static const char one[] = BEGIN "AQID\n" END;
    size_t len = (sizeof one - 1) * (SRV_PEM_CERTS_MAX + 1);
    char *text = malloc(len);
    struct srv_der_list *list = malloc(sizeof *list);

    ck_assert(text != NULL && list != NULL);
    for (size_t i = 0; i <= SRV_PEM_CERTS_MAX; i++) {
        memcpy(text + i * (sizeof one - 1), one, sizeof one - 1);
    }
    ck_assert_int_eq(srv_pem_certs(text, len, list, NULL), DR_ERR_LIMIT);
    ck_assert_int_eq(srv_pem_certs(text, len - (sizeof one - 1), list, NULL), DR_OK);
    ck_assert_uint_eq(list->count, SRV_PEM_CERTS_MAX);
    free(list->block);
    free(list);
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server/pem");
    TCase *tc = tcase_create("certificates");

    tcase_add_loop_test(tc, each_file_is_read_or_refused, 0, (int)DR_ARRAY_LEN(cases));
    tcase_add_test(tc, more_certificates_than_the_limit_are_refused);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
