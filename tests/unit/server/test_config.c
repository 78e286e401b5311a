/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "server/config.h"

static struct srv_config config;
static struct dr_errinfo info;

static void setup(void)
{
    srv_config_init(&config);
    info = (struct dr_errinfo){0};
}

static dr_err_t parse(const char *text)
{
    return srv_config_parse(&config, text, strlen(text), &info);
}

START_TEST(defaults_are_those_of_the_contract)
{
    ck_assert(config.coap.off);
    ck_assert(!config.coaps.off);
    ck_assert_str_eq(config.coaps.host, "::");
    ck_assert_uint_eq(config.coaps.port, 5684);
    ck_assert_str_eq(config.http.host, "127.0.0.1");
    ck_assert_uint_eq(config.http.port, 8080);
    ck_assert_uint_eq(config.metrics.port, 9464);
}
END_TEST

static const struct {
    const char *why, *key, *value;
    dr_err_t err;
} values[] = {
    {"a number in range", "shards", "4", DR_OK},
    {"the upper bound", "shards", "64", DR_OK},
    {"one too many", "shards", "65", DR_ERR_RANGE},
    {"far too many", "shards", "99999999999999999999999", DR_ERR_RANGE},
    {"negative", "shards", "-1", DR_ERR_INVAL},
    {"blank before the number", "shards", " 1", DR_ERR_INVAL},
    {"letters behind", "shards", "4x", DR_ERR_INVAL},
    {"empty", "shards", "", DR_ERR_INVAL},
    {"IPv4", "coap", "10.0.0.1:5683", DR_OK},
    {"IPv6", "coap", "[fe80::1]:5683", DR_OK},
    {"off where allowed", "coap", "off", DR_OK},
    {"off where not", "http", "off", DR_ERR_INVAL},
    {"IPv6 without brackets", "coap", "fe80::1:5683", DR_ERR_INVAL},
    {"a name instead of an address", "coap", "localhost:5683", DR_ERR_INVAL},
    {"port too high", "coap", "1.2.3.4:65536", DR_ERR_INVAL},
    {"no port", "coap", "1.2.3.4:", DR_ERR_INVAL},
    {"no colon", "coap", "1.2.3.4", DR_ERR_INVAL},
    {"only a port", "coap", ":5683", DR_ERR_INVAL},
    {"half a bracket", "coap", "[::1:5683", DR_ERR_INVAL},
    {"a choice", "log-level", "debug", DR_OK},
    {"no choice", "log-level", "de", DR_ERR_INVAL},
    {"empty choice", "log-level", "", DR_ERR_INVAL},
    {"unknown key", "shard", "1", DR_ERR_NOT_FOUND},
};

START_TEST(each_value_is_taken_or_refused_with_a_reason)
{
    struct srv_config before = config;

    ck_assert_msg(srv_config_set(&config, values[_i].key, values[_i].value, &info) ==
                      values[_i].err,
                  "%s: %s", values[_i].why, info.text);
    if (values[_i].err != DR_OK) {
        ck_assert_msg(memcmp(&before, &config, sizeof before) == 0, "%s", values[_i].why);
        ck_assert_str_eq(info.field, values[_i].key);
        ck_assert(info.text[0] != '\0');
    }
}
END_TEST

START_TEST(a_path_longer_than_the_limit_is_refused)
{
    char path[SRV_CONFIG_VALUE_MAX + 2];

    memset(path, 'a', sizeof path);
    path[SRV_CONFIG_VALUE_MAX + 1] = '\0';
    ck_assert_int_eq(srv_config_set(&config, "data", path, &info), DR_ERR_RANGE);
    path[SRV_CONFIG_VALUE_MAX] = '\0';
    ck_assert_int_eq(srv_config_set(&config, "data", path, &info), DR_OK);
}
END_TEST

START_TEST(a_file_sets_keys_and_ignores_comments)
{
    ck_assert_int_eq(parse("# a comment\nshards = 2\n\nhttp=127.0.0.1:0\n; another\n"), DR_OK);
    ck_assert_uint_eq(config.shards, 2);
    ck_assert_uint_eq(config.http.port, 0);
}
END_TEST

static const struct {
    const char *why, *text;
    dr_err_t err;
    long line;
} files[] = {
    {"unknown key", "shards = 2\nfoo = 1\n", DR_ERR_NOT_FOUND, 2},
    {"double key", "shards = 2\nshards = 3\n", DR_ERR_EXISTS, 2},
    {"section", "[server]\nshards = 2\n", DR_ERR_INVAL, 2},
    {"no equals sign", "shards = 2\nfoo\n", DR_ERR_INVAL, 2},
    {"bad value", "\n\nshards = x\n", DR_ERR_INVAL, 3},
};

START_TEST(a_bad_file_changes_nothing_and_names_the_line)
{
    struct srv_config before = config;

    ck_assert_msg(parse(files[_i].text) == files[_i].err, "%s: %s", files[_i].why, info.text);
    ck_assert_msg(info.line == files[_i].line, "%s: line %ld", files[_i].why, info.line);
    ck_assert(memcmp(&before, &config, sizeof before) == 0);
}
END_TEST

START_TEST(a_file_over_the_limit_or_with_nul_is_refused)
{
    char *text = calloc(1, SRV_CONFIG_FILE_MAX + 1);

    ck_assert_ptr_nonnull(text);
    ck_assert_int_eq(srv_config_parse(&config, text, SRV_CONFIG_FILE_MAX + 1, &info),
                     DR_ERR_TOO_LARGE);
    ck_assert_int_eq(srv_config_parse(&config, text, 16, &info), DR_ERR_INVAL);
    memset(text, '\n', SRV_CONFIG_FILE_MAX);
    ck_assert_int_eq(srv_config_parse(&config, text, SRV_CONFIG_FILE_MAX, &info), DR_OK);
    free(text);
}
END_TEST

START_TEST(the_environment_is_stronger_than_the_file)
{
    ck_assert_int_eq(parse("shards = 2\npool-threads = 3\n"), DR_OK);
    setenv("DROVER_SHARDS", "5", 1);
    setenv("DROVER_POOL_THREADS", "nine", 1);
    ck_assert_int_eq(srv_config_environment(&config, &info), DR_ERR_INVAL);
    ck_assert_str_eq(info.field, "pool-threads");
    unsetenv("DROVER_POOL_THREADS");
    ck_assert_int_eq(srv_config_environment(&config, &info), DR_OK);
    unsetenv("DROVER_SHARDS");
    ck_assert_uint_eq(config.shards, 5);
    ck_assert_uint_eq(config.pool_threads, 3);
}
END_TEST

START_TEST(keys_that_need_each_other_are_checked_together)
{
    ck_assert_int_eq(srv_config_check(&config, &info), DR_ERR_INVAL); /* no data folder */
    ck_assert_int_eq(srv_config_set(&config, "data", "/d", &info), DR_OK);
    ck_assert_int_eq(srv_config_check(&config, &info), DR_OK);
    ck_assert_int_eq(srv_config_set(&config, "http-cert", "c.pem", &info), DR_OK);
    ck_assert_int_eq(srv_config_check(&config, &info), DR_ERR_INVAL);
    ck_assert_int_eq(srv_config_set(&config, "http-key", "k.pem", &info), DR_OK);
    ck_assert_int_eq(srv_config_check(&config, &info), DR_OK);
    ck_assert_int_eq(srv_config_set(&config, "coaps", "off", &info), DR_OK);
    ck_assert_int_eq(srv_config_check(&config, &info), DR_ERR_INVAL);
}
END_TEST

START_TEST(a_reload_takes_what_may_change_and_counts_the_rest)
{
    struct srv_config next = config;

    ck_assert_int_eq(srv_config_set(&next, "log-level", "debug", &info), DR_OK);
    ck_assert_int_eq(srv_config_set(&next, "shards", "7", &info), DR_OK);
    ck_assert_uint_eq(srv_config_reload(&config, &next), 1);
    ck_assert_str_eq(config.log_level, "debug");
    ck_assert_uint_eq(config.shards, 0);
}
END_TEST

START_TEST(what_is_printed_can_be_read_again)
{
    char *text = NULL;
    size_t len = 0;
    struct srv_config again;

    ck_assert_int_eq(srv_config_set(&config, "coap", "[::1]:0", &info), DR_OK);
    FILE *f = open_memstream(&text, &len);
    srv_config_print(&config, f);
    (void)fclose(f);
    srv_config_init(&again);
    ck_assert_msg(srv_config_parse(&again, text, len, &info) == DR_OK, "%s: %s", info.field,
                  info.text);
    ck_assert(memcmp(&again, &config, sizeof config) == 0);
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server/config");
    TCase *tc = tcase_create("values");

    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, defaults_are_those_of_the_contract);
    tcase_add_loop_test(tc, each_value_is_taken_or_refused_with_a_reason, 0,
                        (int)DR_ARRAY_LEN(values));
    tcase_add_test(tc, a_path_longer_than_the_limit_is_refused);
    suite_add_tcase(suite, tc);
    tc = tcase_create("files");
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, a_file_sets_keys_and_ignores_comments);
    tcase_add_loop_test(tc, a_bad_file_changes_nothing_and_names_the_line, 0,
                        (int)DR_ARRAY_LEN(files));
    tcase_add_test(tc, a_file_over_the_limit_or_with_nul_is_refused);
    tcase_add_test(tc, the_environment_is_stronger_than_the_file);
    tcase_add_test(tc, keys_that_need_each_other_are_checked_together);
    tcase_add_test(tc, a_reload_takes_what_may_change_and_counts_the_rest);
    tcase_add_test(tc, what_is_printed_can_be_read_again);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
