/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/unit/client/test_credentials.c
 * @brief The C file of developer credentials is read strictly.
 */
#include <stdio.h>

#include "client/ports/posix/credentials.h"
#include "tests/unit/run.h"

#define GOOD                                                                                       \
    "/* head */\n"                                                                                 \
    "#ifndef X\n#define X\n"                                                                       \
    "#include <inttypes.h>\n"                                                                      \
    "const char MBED_CLOUD_DEV_BOOTSTRAP_ENDPOINT_NAME[] = \"ep \\\"1\\\"\"; // name\n"            \
    "const char MBED_CLOUD_DEV_ACCOUNT_ID[]=\"acc\";\n"                                            \
    "const char MBED_CLOUD_DEV_BOOTSTRAP_SERVER_URI[] = \"coaps://h:1?aid=acc\";\n"                \
    "const uint8_t MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_CERTIFICATE[] =\n{ 0x30, 0x01,\n 255 };\n"      \
    "const uint32_t MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_CERTIFICATE_SIZE = "                           \
    "sizeof(MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_CERTIFICATE);\n"                                       \
    "const uint8_t MBED_CLOUD_DEV_BOOTSTRAP_SERVER_ROOT_CA_CERTIFICATE[2] = {0x30,0};\n"           \
    "const uint32_t MBED_CLOUD_DEV_BOOTSTRAP_SERVER_ROOT_CA_CERTIFICATE_SIZE = 2;\n"               \
    "const uint8_t MBED_CLOUD_DEV_LWM2M_SERVER_ROOT_CA_CERTIFICATE[] = {9};\n"
#define KEY  "const uint8_t MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_PRIVATE_KEY[] = {1,2,3,4,};\n"
#define TAIL "const uint32_t MBED_CLOUD_DEV_MEMORY_TOTAL_KB = 1024;\n#endif\n"

static struct credentials cred;
static struct credentials_error error;

static bool parse(const char *text)
{
    memset(&error, 0, sizeof error);
    memset(&cred, 0x55, sizeof cred);
    return credentials_parse(text, strlen(text), &cred, &error);
}

START_TEST(all_is_taken)
{
    ck_assert_msg(parse(GOOD KEY TAIL), "%u: %s", error.line, error.text);
    ck_assert_str_eq(cred.endpoint, "ep \"1\"");
    ck_assert_str_eq(cred.account_id, "acc");
    ck_assert_str_eq(cred.uri, "coaps://h:1?aid=acc");
    ck_assert_uint_eq(cred.certificate_len, 3);
    ck_assert_mem_eq(cred.certificate, "\x30\x01\xff", 3);
    ck_assert_uint_eq(cred.authority_len, 2);
    ck_assert_uint_eq(cred.lwm2m_authority_len, 1);
    ck_assert_uint_eq(cred.key_len, 4);
    ck_assert_uint_eq(cred.memory_kb, 1024);
    ck_assert_str_eq(cred.manufacturer, "");
}
END_TEST

static const struct {
    const char *text, *word;
    unsigned line;
} bad[] = {
    {GOOD TAIL, "PRIVATE_KEY is missing", 0},
    {"", "is missing", 0},
    {"int main(void) { return 0; }", "'const' expected", 1},
    {"\n\nstatic const char X[] = \"\";", "'const' expected", 3},
    {"const char OTHER[] = \"x\";", "do not have", 1},
    {"const char MBED_CLOUD_DEV_OTHER[] = \"x\";", "do not have", 1},
    {"const char MBED_CLOUD_DEV_ACCOUNT_ID_SIZE = 4;", "do not have", 1},
    {"const char *MBED_CLOUD_DEV_ACCOUNT_ID = \"x\";", "do not have", 1},
    {"const uint8_t MBED_CLOUD_DEV_ACCOUNT_ID[] = {1};", "another type", 1},
    {"const char MBED_CLOUD_DEV_ACCOUNT_ID[] = {1};", "'\"' expected", 1},
    {"const char MBED_CLOUD_DEV_ACCOUNT_ID[] = \"a\" \"b\";", "';' expected", 1},
    {"const char MBED_CLOUD_DEV_ACCOUNT_ID[] = \"a\n\";", "does not end", 1},
    {"const char MBED_CLOUD_DEV_ACCOUNT_ID[] = \"\\x41\";", "understood", 1},
    {"const char MBED_CLOUD_DEV_ACCOUNT_ID[] = \"a\"", "';' expected", 1},
    {GOOD "const char MBED_CLOUD_DEV_ACCOUNT_ID[]=\"acc\";\n", "defined twice", 15},
    {"const uint8_t MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_PRIVATE_KEY[] = {1, 256};", "too large", 1},
    {"const uint8_t MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_PRIVATE_KEY[] = {1 2};", "',' expected", 1},
    {"const uint8_t MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_PRIVATE_KEY[] = {-1};", "number", 1},
    {"const uint8_t MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_PRIVATE_KEY[] = {sizeof(int)};", "number", 1},
    {"const uint8_t MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_PRIVATE_KEY[] = {1", "expected", 1},
    {KEY "const uint32_t MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_PRIVATE_KEY_SIZE = 5;", "not that", 2},
    {KEY "const uint32_t MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_PRIVATE_KEY_SIZE = sizeof(x);", "sizeof",
     2},
    {"/* no end", "comment does not end", 1},
    {"const uint32_t MBED_CLOUD_DEV_MEMORY_TOTAL_KB = 4294967296;", "too large", 1},
};

START_TEST(anything_else_is_an_error_with_its_line)
{
    struct credentials before;

    memset(&before, 0x55, sizeof before);
    ck_assert(!parse(bad[_i].text));
    ck_assert_msg(strstr(error.text, bad[_i].word) != NULL, "'%s' instead of '%s'", error.text,
                  bad[_i].word);
    ck_assert_uint_eq(error.line, bad[_i].line);
    ck_assert_mem_eq(&cred, &before, sizeof cred);
}
END_TEST

START_TEST(every_shorter_file_is_an_error)
{
    const char *whole = GOOD KEY;

    for (size_t len = 0; len + 1 < strlen(whole); len++) {
        ck_assert(!credentials_parse(whole, len, &cred, &error));
    }
    ck_assert(!credentials_parse("a\0b", 3, &cred, &error));
}
END_TEST

START_TEST(what_does_not_fit_is_an_error)
{
    static char text[20000];
    int n = snprintf(text, sizeof text,
                     "const uint8_t MBED_CLOUD_DEV_BOOTSTRAP_DEVICE_CERTIFICATE[] = {");

    for (int i = 0; i <= CL_CERT_MAX; i++) {
        n += snprintf(text + n, sizeof text - (size_t)n, "0x%02x, ", i & 0xff);
    }
    snprintf(text + n, sizeof text - (size_t)n, "};");
    ck_assert(!parse(text));
    ck_assert_ptr_nonnull(strstr(error.text, "too long"));
    n = snprintf(text, sizeof text, "const char MBED_CLOUD_DEV_ACCOUNT_ID[] = \"%0*d\";",
                 CREDENTIALS_TEXT_MAX, 0);
    ck_assert(!parse(text));
    ck_assert_ptr_nonnull(strstr(error.text, "too long"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client/credentials");
    TCase *tc = add_case(suite, "parse");

    tcase_add_test(tc, all_is_taken);
    tcase_add_loop_test(tc, anything_else_is_an_error_with_its_line, 0,
                        (int)(sizeof bad / sizeof bad[0]));
    tcase_add_test(tc, every_shorter_file_is_an_error);
    tcase_add_test(tc, what_does_not_fit_is_an_error);
    return run_suite(suite);
}
