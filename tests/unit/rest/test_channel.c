/* SPDX-License-Identifier: Apache-2.0 */
#include "rest/channel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

static struct rest_queue q;
static size_t total;
static int64_t released[64];
static int n_released;

static void on_released(void *data, int64_t request)
{
    ck_assert_ptr_eq(data, &q);
    released[n_released++] = request;
}

static void setup(void)
{
    n_released = 0;
    total = 0;
    rest_queue_init(&q, 1000, on_released, &q);
    q.total = &total;
}

static void teardown(void)
{
    rest_queue_fini(&q);
    ck_assert_uint_eq(total, 0);
    ck_assert_uint_eq(q.bytes, 0);
}

static void push(enum rest_list list, const char *json, bool alone, int64_t request, uint64_t now)
{
    ck_assert_int_eq(rest_queue_push(&q, list, dr_bytes_str(json), alone, request, now), DR_OK);
}

/* Take a message and compare its text. */
static void expect(struct rest_message *m, size_t max, bool single, const char *want)
{
    struct dr_dynbuf b;
    dr_dynbuf_init(&b, 8 << 20);
    ck_assert_int_eq(rest_message_take(&q, max, single, m, &b), DR_OK);
    ck_assert_str_eq(dr_dynbuf_str(&b), want);
    dr_dynbuf_fini(&b);
}

START_TEST(lists_are_grouped_in_one_message)
{
    struct rest_message m;

    push(REST_LIST_REGISTRATIONS, "{\"r\":1}", false, 0, 0);
    push(REST_LIST_NOTIFICATIONS, "{\"n\":1}", false, 0, 0);
    push(REST_LIST_ASYNC_RESPONSES, "{\"a\":1}", false, 5, 0);
    push(REST_LIST_DE_REGISTRATIONS, "\"d\"", false, 0, 0);
    push(REST_LIST_ASYNC_RESPONSES, "{\"a\":2}", false, 6, 0);
    expect(&m, 100, false,
           "{\"async-responses\":[{\"a\":1},{\"a\":2}],\"notifications\":[{\"n\":1}],"
           "\"registrations\":[{\"r\":1}],\"de-registrations\":[\"d\"]}");
    ck_assert_uint_eq(q.count, 0);
    ck_assert_uint_eq(m.count, 5);
    ck_assert_int_eq(n_released, 0);
    rest_message_done(&q, &m);
    ck_assert_int_eq(n_released, 2);
    ck_assert(released[0] == 5 && released[1] == 6);
}
END_TEST

START_TEST(what_was_not_delivered_comes_again_first)
{
    struct rest_message m, n;

    push(REST_LIST_ASYNC_RESPONSES, "1", false, 1, 0);
    push(REST_LIST_ASYNC_RESPONSES, "2", false, 2, 0);
    expect(&m, 100, false, "{\"async-responses\":[1,2]}");
    push(REST_LIST_ASYNC_RESPONSES, "3", false, 3, 0);
    size_t bytes = q.bytes;
    rest_message_return(&q, &m);
    ck_assert_uint_eq(q.bytes, 3 * bytes);
    ck_assert_uint_eq(total, q.bytes);
    expect(&n, 2, false, "{\"async-responses\":[1,2]}");
    rest_message_done(&q, &n);
    expect(&n, 2, false, "{\"async-responses\":[3]}");
    rest_message_done(&q, &n);
    ck_assert_int_eq(n_released, 3);
    struct dr_dynbuf b;
    dr_dynbuf_init(&b, 100);
    ck_assert_int_eq(rest_message_take(&q, 1, false, &m, &b), DR_ERR_AGAIN);
    ck_assert_uint_eq(b.len, 0);
}
END_TEST

START_TEST(a_lone_event_shares_no_message)
{
    struct rest_message m;

    push(REST_LIST_ASYNC_RESPONSES, "1", false, 0, 0);
    push(REST_LIST_ASYNC_RESPONSES, "504", true, 0, 0);
    push(REST_LIST_ASYNC_RESPONSES, "503", true, 0, 0);
    push(REST_LIST_NOTIFICATIONS, "2", false, 0, 0);
    static const char *const want[] = {"{\"async-responses\":[1]}", "{\"async-responses\":[504]}",
                                       "{\"async-responses\":[503]}", "{\"notifications\":[2]}"};
    for (size_t i = 0; i < DR_ARRAY_LEN(want); i++) {
        expect(&m, 100, false, want[i]);
        rest_message_done(&q, &m);
    }
}
END_TEST

START_TEST(few_notifications_come_one_by_one)
{
    struct rest_message m;

    push(REST_LIST_NOTIFICATIONS, "1", false, 0, 0);
    push(REST_LIST_ASYNC_RESPONSES, "9", false, 0, 0);
    push(REST_LIST_NOTIFICATIONS, "2", false, 0, 0);
    expect(&m, 100, true, "{\"async-responses\":[9],\"notifications\":[1]}");
    rest_message_done(&q, &m);
    expect(&m, 100, true, "{\"notifications\":[2]}");
    rest_message_done(&q, &m);
    for (int i = 0; i <= REST_MESSAGE_SINGLE_UP_TO; i++) {
        push(REST_LIST_NOTIFICATIONS, "3", false, 0, 0);
    }
    expect(&m, 100, true, "{\"notifications\":[3,3,3,3,3,3,3,3,3]}");
    rest_message_done(&q, &m);
}
END_TEST

START_TEST(the_oldest_go_when_it_is_full)
{
    struct rest_message m;
    char text[101];

    memset(text, '7', 100);
    text[100] = '\0';
    for (int i = 0; i < 7; i++) { /* 164 each: six fit into 1000 */
        text[0] = (char)('0' + i);
        push(REST_LIST_ASYNC_RESPONSES, text, false, 10 + i, 0);
    }
    ck_assert_uint_eq(q.count, 6);
    ck_assert_uint_le(q.bytes, 1000);
    ck_assert_uint_eq(q.dropped, 1);
    ck_assert(n_released == 1 && released[0] == 10);
    struct dr_dynbuf b;
    dr_dynbuf_init(&b, 4096);
    ck_assert_int_eq(rest_message_take(&q, 1, false, &m, &b), DR_OK);
    ck_assert_int_eq(b.p[strlen("{\"async-responses\":[")], '1');
    rest_message_done(&q, &m);
    dr_dynbuf_fini(&b);
    char big[1001];
    memset(big, '1', 1000);
    big[1000] = '\0';
    ck_assert_int_eq(rest_queue_push(&q, REST_LIST_NOTIFICATIONS, dr_bytes_str(big), false, 0, 0),
                     DR_ERR_TOO_LARGE);
    ck_assert_uint_eq(q.count, 5);
}
END_TEST

START_TEST(events_grow_old)
{
    push(REST_LIST_ASYNC_RESPONSES, "1", false, 1, 1000);
    push(REST_LIST_ASYNC_RESPONSES, "2", false, 2, 2000);
    rest_queue_expire(&q, 999 + REST_CHANNEL_AGE_MS);
    ck_assert_uint_eq(q.count, 2);
    rest_queue_expire(&q, 1000 + REST_CHANNEL_AGE_MS);
    ck_assert_uint_eq(q.count, 1);
    ck_assert(n_released == 1 && released[0] == 1);
    rest_queue_expire(&q, 2000 + REST_CHANNEL_AGE_MS);
    ck_assert_uint_eq(q.count, 0);
}
END_TEST

START_TEST(a_message_has_a_maximum)
{
    struct rest_message m;
    size_t half = REST_MESSAGE_BYTES_MAX / 2 + 10;
    char *text = malloc(half + 1);

    memset(text, '1', half);
    text[half] = '\0';
    q.bytes_max = (size_t)100 << 20;
    for (int i = 0; i < 3; i++) {
        push(REST_LIST_ASYNC_RESPONSES, text, false, 0, 0);
    }
    struct dr_dynbuf b;
    dr_dynbuf_init(&b, (size_t)100 << 20);
    for (int i = 0; i < 3; i++) {
        dr_dynbuf_reset(&b);
        ck_assert_int_eq(rest_message_take(&q, 100, false, &m, &b), DR_OK);
        ck_assert_uint_eq(m.count, 1);
        rest_message_done(&q, &m);
    }
    push(REST_LIST_ASYNC_RESPONSES, "1", false, 0, 0);
    struct dr_dynbuf tiny;
    dr_dynbuf_init(&tiny, 5);
    ck_assert_int_eq(rest_message_take(&q, 100, false, &m, &tiny), DR_ERR_TOO_LARGE);
    ck_assert_uint_eq(q.count, 1); /* nothing was taken */
    dr_dynbuf_fini(&tiny);
    dr_dynbuf_fini(&b);
    free(text);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("rest channel");
    TCase *tc = tcase_create("queue");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, lists_are_grouped_in_one_message);
    tcase_add_test(tc, what_was_not_delivered_comes_again_first);
    tcase_add_test(tc, a_lone_event_shares_no_message);
    tcase_add_test(tc, few_notifications_come_one_by_one);
    tcase_add_test(tc, the_oldest_go_when_it_is_full);
    tcase_add_test(tc, events_grow_old);
    tcase_add_test(tc, a_message_has_a_maximum);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed;
}
