/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/ids.h"
#include "base/log.h"
#include "base/text.h"
#include "tests/unit/run.h"

static char line[DR_LOG_LINE_MAX];
static int lines;

static void keep(void *ctx, enum dr_log_level level, const char *text)
{
    (void)ctx;
    (void)level;
    (void)snprintf(line, sizeof line, "%s", text);
    lines++;
}

/* The line behind its timestamp, which must be one. */
static const char *body(void)
{
    int64_t ms;

    ck_assert_mem_eq(line, "ts=", 3);
    ck_assert_int_eq(dr_time_parse(line + 3, DR_TIME_LEN, &ms), DR_OK);
    return line + 3 + DR_TIME_LEN + 1;
}

static void setup(void)
{
    dr_log_set_hook(keep, NULL);
    dr_log_set_level(DR_LOG_INFO);
    dr_log_trace("");
    line[0] = 0;
    lines = 0;
}

static void teardown(void)
{
    dr_log_set_hook(NULL, NULL);
}

START_TEST(a_line_has_level_module_and_message)
{
    dr_log(DR_LOG_INFO, "coap", "listening on '%s' port %d", "::1", 5684);
    ck_assert_str_eq(body(), "level=info mod=coap msg=\"listening on '::1' port 5684\"");
}
END_TEST

START_TEST(fields_are_typed_and_quoted_when_needed)
{
    DR_LOG(DR_LOG_WARNING, "dtls", "refused", DR_F_STR("a", "plain-1.5"),
           DR_F_STR("b", "two words"), DR_F_STR("c", "q\"b\\n\n\r\t\x01"), DR_F_STR("d", ""),
           DR_F_STR("e", NULL), DR_F_INT("f", -5), DR_F_UINT("g", UINT64_MAX),
           DR_F_ID("h", (int64_t)1 << 20 | 7), DR_F_HEX("i", dr_bytes_of("\x01\xab", 2)),
           DR_F_BYTES("j", dr_bytes_of("x=y", 3)), DR_F_ERR(DR_ERR_BUSY), DR_F_STR("k", "\xc3\xa4"),
           DR_F_BYTES("l", dr_bytes_of("\xff", 1)));
    ck_assert_str_eq(body(), "level=warning mod=dtls msg=refused a=plain-1.5 b=\"two words\" "
                             "c=\"q\\\"b\\\\n\\n\\r\\t\\x01\" d=\"\" e=\"\" f=-5 "
                             "g=18446744073709551615 h=00000000000100000000000000000007 i=01ab "
                             "j=\"x=y\" err=ERR_BUSY k=\"\xc3\xa4\" l=\"\\xff\"");
}
END_TEST

START_TEST(levels_and_traces_are_switched)
{
    enum dr_log_level level = DR_LOG_ERROR;

    dr_log(DR_LOG_DEBUG, "m", "x");
    dr_log(DR_LOG_TRACE, "m", "x");
    ck_assert_int_eq(lines, 0);
    dr_log_set_level(DR_LOG_DEBUG);
    dr_log(DR_LOG_DEBUG, "m", "x");
    ck_assert_int_eq(lines, 1);
    dr_log_trace("mm,m");
    dr_log(DR_LOG_TRACE, "m", "x");
    dr_log(DR_LOG_TRACE, "other", "x");
    ck_assert_int_eq(lines, 2);
    dr_log_trace("all");
    dr_log(DR_LOG_TRACE, "other", "x");
    ck_assert_int_eq(lines, 3);
    dr_log_trace(NULL);
    ck_assert(!dr_log_on(DR_LOG_TRACE, "other"));
    ck_assert_int_eq(dr_log_level_find("warning", &level), DR_OK);
    ck_assert_int_eq(level, DR_LOG_WARNING);
    ck_assert_int_eq(dr_log_level_find("trace", &level), DR_ERR_NOT_FOUND);
    ck_assert_int_eq(level, DR_LOG_WARNING);
}
END_TEST

START_TEST(a_long_line_is_cut)
{
    char lots[3000];

    memset(lots, 'x', sizeof lots - 1);
    lots[sizeof lots - 1] = 0;
    DR_LOG(DR_LOG_INFO, "m", "long", DR_F_STR("v", lots));
    ck_assert_uint_lt(strlen(line), DR_LOG_LINE_MAX);
    ck_assert_str_eq(line + strlen(line) - 3, "...");
}
END_TEST

START_TEST(a_limit_counts_what_it_leaves_out)
{
    struct dr_log_limit lim = DR_LOG_LIMIT_INIT(2);
    uint64_t left = 99;

    ck_assert(dr_log_limit_take(&lim, 10000, &left) && left == 0);
    ck_assert(dr_log_limit_take(&lim, 10500, &left) && left == 0);
    for (int i = 0; i < 5; i++) {
        ck_assert(!dr_log_limit_take(&lim, 10999, &left));
    }
    ck_assert(dr_log_limit_take(&lim, 11000, &left));
    ck_assert_uint_eq(left, 5);
    ck_assert(dr_log_limit_take(&lim, 11000, &left) && left == 0);
    ck_assert(!dr_log_limit_take(&lim, 11000, &left));
}
END_TEST

START_TEST(a_flood_makes_few_lines)
{
    for (int i = 0; i < 1000; i++) {
        DR_LOG_LIMITED(DR_LOG_WARNING, "m", 3, "flood %d", i);
    }
    ck_assert_int_ge(lines, 3);
    ck_assert_int_le(lines, 6); /* a second may turn meanwhile */
}
END_TEST

static void *log_much(void *arg)
{
    for (int i = 0; i < 200; i++) {
        dr_log(DR_LOG_INFO, "thread", "line %d of '%s' abcdefghijklmnopqrstuvwxyz", i,
               (const char *)arg);
    }
    return NULL;
}

START_TEST(lines_of_several_threads_do_not_mix)
{
    int fds[2];
    int saved = dup(2);
    pthread_t t[2];

    dr_log_set_hook(NULL, NULL);
    ck_assert_int_eq(pipe(fds), 0);
    ck_assert_int_ge(dup2(fds[1], 2), 0);
    close(fds[1]);
    (void)pthread_create(&t[0], NULL, log_much, "one");
    (void)pthread_create(&t[1], NULL, log_much, "two");
    FILE *f = fdopen(fds[0], "r");
    char text[DR_LOG_LINE_MAX];
    int good = 0;
    for (int i = 0; i < 400 && fgets(text, sizeof text, f) != NULL; i++) {
        good += strncmp(text, "ts=", 3) == 0 && strcmp(text + strlen(text) - 8, "uvwxyz\"\n") == 0
                    ? 1
                    : 0;
    }
    (void)pthread_join(t[0], NULL);
    (void)pthread_join(t[1], NULL);
    (void)dup2(saved, 2);
    close(saved);
    fclose(f);
    ck_assert_int_eq(good, 400);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("base/log");
    TCase *tc = add_case(s, "log");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_line_has_level_module_and_message);
    tcase_add_test(tc, fields_are_typed_and_quoted_when_needed);
    tcase_add_test(tc, levels_and_traces_are_switched);
    tcase_add_test(tc, a_long_line_is_cut);
    tcase_add_test(tc, a_limit_counts_what_it_leaves_out);
    tcase_add_test(tc, a_flood_makes_few_lines);
    tcase_add_test(tc, lines_of_several_threads_do_not_mix);
    return run_suite(s);
}
