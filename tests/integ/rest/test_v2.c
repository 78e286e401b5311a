/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/integ/rest/test_v2.c
 * @brief Device requests, subscriptions and the notification channel over HTTP, with the fake core.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "base/ids.h"
#include "base/loop.h"
#include "db/device.h"
#include "db/subscription.h"
#include "tests/integ/rest/fixture.h"

#define DEVICE      "0190000000010000000000000000000a"
#define DEVICE_PATH "/v2/device-requests/" DEVICE "?async-id=abc-1"

static int64_t device;

static void setup(void)
{
    fx_setup();
    ck_assert_int_eq(dr_id_parse(DEVICE, 32, &device), DR_OK);
}

/* ---- device requests ---- */

START_TEST(a_device_request_reaches_the_core)
{
    ck_assert_int_eq(
        fx_call(fx_admin, "POST", DEVICE_PATH "&retry=3&expiry-seconds=600",
                "{\"method\":\"PUT\",\"uri\":\"/1/0/1\",\"payload-b64\":\"ODY0MDE=\"}"),
        202);
    ck_assert_uint_eq(fx_reply->body_len, 0);
    ck_assert_int_eq(fake.requests, 1);
    ck_assert_str_eq(fake.async_id, "abc-1");
    ck_assert_str_eq(fake.uri, "/1/0/1");
    ck_assert_str_eq(fake.payload, "86401");
    ck_assert_str_eq(fake.content_type, "");
    ck_assert_int_eq(fake.method, DEV_PUT);
    ck_assert_int_eq(fake.retry, 3);
    ck_assert_int_eq(fake.expiry_s, 600);
    ck_assert(fake.device == device && fake.key == fx_admin_id);
    ck_assert_int_eq(
        fx_call(fx_admin, "POST", DEVICE_PATH,
                "{\"method\":\"GET\",\"uri\":\"/3303/0/5700?pmin=10\",\"accept\":\"text/"
                "plain\"}"),
        202);
    ck_assert_str_eq(fake.uri, "/3303/0/5700?pmin=10");
    ck_assert_int_eq(fake.retry, -1);
    ck_assert_int_eq(fake.expiry_s, -1);
}
END_TEST

START_TEST(refusals_have_the_exact_texts)
{
    static const struct {
        dr_err_t err;
        int status;
        const char *text;
    } cases[] = {
        {DR_ERR_INVAL, 400, "RESOURCE_NOT_FOUND"}, {DR_ERR_NOT_FOUND, 404, "DEVICE_NOT_FOUND"},
        {DR_ERR_LIMIT, 400, "QUEUE_IS_FULL"},      {DR_ERR_EXISTS, 400, "MALFORMED_ASYNC_ID"},
        {DR_ERR_READONLY, 503, "ERR_READONLY"},
    };
    for (size_t i = 0; i < DR_ARRAY_LEN(cases); i++) {
        fake.request_err = cases[i].err;
        ck_assert_int_eq(
            fx_call(fx_admin, "POST", DEVICE_PATH, "{\"method\":\"GET\",\"uri\":\"/9/9/9\"}"),
            cases[i].status);
        ck_assert_str_eq(fx_reply->body, cases[i].text);
    }
    fake.request_err = DR_OK;
    fake.requests = 0;
    const char *ok = "{\"method\":\"GET\",\"uri\":\"/1\"}";
    ck_assert_int_eq(fx_call(fx_admin, "POST", "/v2/device-requests/" DEVICE, ok), 400);
    ck_assert_str_eq(fx_reply->body, "MALFORMED_ASYNC_ID");
    ck_assert_int_eq(fx_call(fx_admin, "POST", "/v2/device-requests/" DEVICE "?async-id=a%20b", ok),
                     400);
    ck_assert_int_eq(fx_call(fx_admin, "POST", DEVICE_PATH "&retry=11", ok), 400);
    ck_assert_int_eq(fx_call(fx_admin, "POST", DEVICE_PATH "&expiry-seconds=59", ok), 400);
    static const char *const bad[] = {"",
                                      "[]",
                                      "{}",
                                      "{\"method\":\"FLY\",\"uri\":\"/1\"}",
                                      "{\"method\":\"GET\"}",
                                      "{\"method\":\"PUT\",\"uri\":\"/1\",\"payload-b64\":\"?\"}"};
    for (size_t i = 0; i < DR_ARRAY_LEN(bad); i++) {
        ck_assert_int_eq(fx_call(fx_admin, "POST", DEVICE_PATH, bad[i]), 400);
        ck_assert_str_eq(fx_reply->body, "MALFORMED_JSON_CONTENT");
    }
    ck_assert_int_eq(fx_call(fx_admin, "POST", "/v2/device-requests/zz?async-id=a", ok), 404);
    ck_assert_str_eq(fx_reply->body, "DEVICE_NOT_FOUND");
    ck_assert_int_eq(fake.requests, 0);
    ck_assert_int_eq(fx_call(fx_reader, "POST", DEVICE_PATH, ok), 403);
}
END_TEST

static dr_err_t insert_device(struct db_writer *w, void *data)
{
    (void)data;
    const struct db_device row = {.id = device,
                                  .account = fx_account,
                                  .endpoint_name = "node-7",
                                  .state = DB_DEVICE_REGISTERED,
                                  .updated_at = 1};
    return db_device_insert(w, &row, NULL);
}

START_TEST(a_request_can_name_the_endpoint)
{
    fx_write(insert_device, NULL);
    const char *ok = "{\"method\":\"POST\",\"uri\":\"/3/0/4\"}";
    ck_assert_int_eq(fx_call(fx_admin, "POST",
                             "/v2/device-requests/node-7?async-id=x&device_reference=endpoint_name",
                             ok),
                     202);
    ck_assert(fake.device == device);
    ck_assert_int_eq(fx_call(fx_admin, "POST",
                             "/v2/device-requests/node-8?async-id=x&device_reference=endpoint_name",
                             ok),
                     404);
}
END_TEST

START_TEST(a_call_can_wait_for_its_result)
{
    static struct client c;
    const char *path = "/v3/drover/devices/" DEVICE "/requests";
    const char *body = "{\"method\":\"GET\",\"uri\":\"/1/0/1\"}";

    for (int round = 0; round < 2; round++) {
        client_open(&c, fx_loop, rest_address(fx_rest));
        client_printf(&c,
                      "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
                      "Content-Length: %zu\r\n\r\n%s",
                      path, fx_admin, strlen(body), body);
        client_run(fx_loop, 60);
        ck_assert_int_eq(fake.requests, round + 1);
        if (round == 1) {
            client_close(&c); /* hangs up: the result goes to the channel */
            client_run(fx_loop, 60);
        }
        fake_publish(&(struct dev_event){.kind = DEV_EVENT_ANSWER,
                                         .account = fx_account,
                                         .device = device,
                                         .owner_key = fx_admin_id,
                                         .endpoint = "node-7",
                                         .payload = dr_bytes_str("600"),
                                         .async_id = fake.async_id,
                                         .status = 200,
                                         .request = 40 + round});
        if (round == 0) {
            ck_assert(client_reply(&c, fx_reply, 2000));
            ck_assert_int_eq(fx_reply->status, 200);
            ck_assert_str_eq(fx_str("payload"), "NjAw");
            client_run(fx_loop, 20);
            ck_assert_int_eq(fake.n_delivered, 1);
            ck_assert_int_eq(fake.delivered[0], 40);
            client_close(&c);
        }
    }
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v2/notification/pull", NULL), 200);
    ck_assert(fx_has(fake.async_id));
    char target[128];
    (void)snprintf(target, sizeof target, "%s?wait=0", path);
    ck_assert_int_eq(fx_call(fx_admin, "POST", target, body), 202);
    ck_assert_str_eq(fx_str("async-response-id"), fake.async_id);
    fake.request_err = DR_ERR_INVAL;
    ck_assert_int_eq(fx_call(fx_admin, "POST", path, body), 404);
    ck_assert_int_eq(fx_call(fx_admin, "POST", path, "{}"), 400);
}
END_TEST

/* ---- endpoints ---- */

START_TEST(resources_of_a_device_are_listed)
{
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v2/endpoints/" DEVICE, NULL), 200);
    ck_assert_str_eq(
        fx_reply->body,
        "[{\"uri\":\"/1/0/1\",\"rt\":\"Lifetime\",\"type\":\"text/plain\",\"obs\":true},"
        "{\"uri\":\"/3/0\",\"rt\":\"\",\"type\":\"\",\"obs\":false}]");
    fake.links_err = DR_ERR_NOT_FOUND;
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v2/endpoints/" DEVICE "/", NULL), 404);
}
END_TEST

START_TEST(old_calls_on_resources_work)
{
    fake.value_err = DR_OK;
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v2/endpoints/" DEVICE "/1/0/1", NULL), 200);
    ck_assert_str_eq(fake.path, "/1/0/1");
    ck_assert_str_eq(fx_reply->body, "cached");
    ck_assert_str_eq(reply_header(fx_reply, "Cache-Control"), "max-age=42");
    ck_assert_str_eq(reply_header(fx_reply, "Content-Type"), "text/plain");
    fake.value_err = DR_ERR_AGAIN;
    ck_assert_int_eq(
        fx_call(fx_admin, "GET", "/v2/endpoints/" DEVICE "/1/0/1?cacheOnly=true", NULL), 205);
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v2/endpoints/" DEVICE "/1/0/1", NULL), 202);
    ck_assert_uint_eq(strlen(fx_str("async-response-id")), 32);
    ck_assert_str_eq(fx_str("async-response-id"), fake.async_id);
    ck_assert_int_eq(fx_call(fx_admin, "PUT", "/v2/endpoints/" DEVICE "/1/0/1", "77"), 202);
    ck_assert_str_eq(fake.payload, "77");
    ck_assert_int_eq(fake.method, DEV_PUT);
    ck_assert_int_eq(fx_call(fx_admin, "DELETE", "/v2/endpoints/" DEVICE "/1/0", NULL), 202);
    ck_assert_int_eq(fake.method, DEV_DELETE);
    ck_assert_int_eq(fx_call(fx_admin, "POST", "/v2/endpoints/" DEVICE "/3/0/4?noResp=true", NULL),
                     409);
    fake.request_err = DR_ERR_INVAL;
    ck_assert_int_eq(fx_call(fx_admin, "POST", "/v2/endpoints/" DEVICE "/3/0/4", NULL), 404);
    fake.request_err = DR_ERR_NOT_FOUND;
    ck_assert_int_eq(fx_call(fx_admin, "POST", "/v2/endpoints/" DEVICE "/3/0/4", NULL), 410);
}
END_TEST

/* ---- subscriptions ---- */

static dr_err_t insert_subscriptions(struct db_writer *w, void *data)
{
    static const char *const paths[] = {"/1/0/1", "/3303"};
    dr_err_t err = insert_device(w, data);

    for (size_t i = 0; i < 2 && err == DR_OK; i++) {
        const struct db_subscription row = {.account = fx_account,
                                            .device = device,
                                            .key = fx_admin_id,
                                            .path = paths[i],
                                            .created_at = 1};
        err = db_subscription_insert(w, &row);
    }
    return err;
}

START_TEST(subscriptions_follow_the_contract)
{
    ck_assert_int_eq(fx_call(fx_admin, "PUT", "/v2/subscriptions/" DEVICE "/1/0/1", NULL), 202);
    ck_assert_str_eq(fx_str("async-response-id"), fake.async_id);
    ck_assert_str_eq(fake.path, "/1/0/1");
    fake.subscribe_err = DR_ERR_EXISTS;
    ck_assert_int_eq(fx_call(fx_admin, "PUT", "/v2/subscriptions/" DEVICE "/1/0/1", NULL), 200);
    ck_assert_uint_eq(fx_reply->body_len, 0);
    fake.subscribe_err = DR_ERR_INVAL;
    ck_assert_int_eq(fx_call(fx_admin, "PUT", "/v2/subscriptions/" DEVICE "/1/0/1", NULL), 404);
    ck_assert_str_eq(fx_reply->body, "URI_PATH_DOES_NOT_EXISTS");
    fake.subscribe_err = DR_ERR_LIMIT;
    ck_assert_int_eq(fx_call(fx_admin, "PUT", "/v2/subscriptions/" DEVICE "/1/0/1", NULL), 429);

    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v2/subscriptions/" DEVICE, NULL), 404);
    fx_write(insert_subscriptions, NULL);
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v2/subscriptions/" DEVICE, NULL), 200);
    ck_assert_str_eq(fx_reply->body, "/1/0/1\n/3303\n");
    ck_assert_str_eq(reply_header(fx_reply, "Content-Type"), "text/uri-list");
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v2/subscriptions/" DEVICE "/1/0/1", NULL), 200);
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v2/subscriptions/" DEVICE "/1/0/2", NULL), 404);
    ck_assert_int_eq(fx_call(fx_reader, "GET", "/v2/subscriptions/" DEVICE "/1/0/1", NULL), 404);
    ck_assert_int_eq(fx_call(fx_admin, "DELETE", "/v2/subscriptions/" DEVICE "/1/0/1", NULL), 204);
    ck_assert_str_eq(fake.path, "/1/0/1");
    ck_assert_int_eq(fx_call(fx_admin, "DELETE", "/v2/subscriptions/" DEVICE, NULL), 204);
    ck_assert_str_eq(fake.path, "(all)");
}
END_TEST

START_TEST(presubscriptions_are_replaced_whole)
{
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v2/subscriptions", NULL), 200);
    ck_assert_str_eq(fx_reply->body, "[]");
    ck_assert_int_eq(fx_call(fx_admin, "PUT", "/v2/subscriptions",
                             "[{\"endpoint-name\":\"abc*\",\"resource-path\":[\"/3/*\"]},"
                             "{\"resource-path\":[\"/1/0/1\"]}]"),
                     204);
    ck_assert_uint_eq(fake.n_presubs, 2);
    ck_assert_str_eq(fake.presub_endpoint, "abc*");
    ck_assert_str_eq(fake.presub_path, "/3/*");
    ck_assert_int_eq(fx_call(fx_admin, "PUT", "/v2/subscriptions", "[]"), 204);
    ck_assert_uint_eq(fake.n_presubs, 0);
    ck_assert_int_eq(fx_call(fx_admin, "DELETE", "/v2/subscriptions", NULL), 204);
    ck_assert_int_eq(fake.presubs, 3);
    ck_assert_int_eq(fx_call(fx_admin, "PUT", "/v2/subscriptions", "{}"), 400);
    ck_assert_int_eq(fx_call(fx_admin, "PUT", "/v2/subscriptions", "[{\"resource-path\":[1]}]"),
                     400);
}
END_TEST

/* ---- channel ---- */

static void answer(const char *id, int status, const char *payload, int64_t request)
{
    fake_publish(&(struct dev_event){.kind = DEV_EVENT_ANSWER,
                                     .account = fx_account,
                                     .device = device,
                                     .owner_key = fx_admin_id,
                                     .endpoint = "node-7",
                                     .ct = "text/plain",
                                     .payload = dr_bytes_str(payload),
                                     .async_id = id,
                                     .status = status,
                                     .error = status >= 400 ? "TIMEOUT" : NULL,
                                     .request = request});
}

static void value(int64_t key, const char *payload)
{
    fake_publish(&(struct dev_event){.kind = DEV_EVENT_VALUE,
                                     .account = fx_account,
                                     .device = device,
                                     .owner_key = key,
                                     .endpoint = "node-7",
                                     .path = "/1/0/1",
                                     .ct = "text/plain",
                                     .payload = dr_bytes_str(payload),
                                     .max_age_s = 7});
}

static void registration(enum dev_event_kind kind, int64_t account)
{
    static const struct dev_link links[] = {{"/1/0/1", "", "", "text/plain", true}};

    fake_publish(&(struct dev_event){.kind = kind,
                                     .account = account,
                                     .device = device,
                                     .endpoint = "node-7",
                                     .endpoint_type = "meter",
                                     .queue_mode = true,
                                     .links = links,
                                     .n_links = 1});
}

START_TEST(a_poll_waits_for_an_event)
{
    struct client *c = fx_begin(fx_admin, "GET", "/v2/notification/pull");
    ck_assert_uint_eq(fake.listeners, 1);
    value(fx_admin_id, "86410");
    ck_assert(client_reply(c, fx_reply, 2000));
    ck_assert_int_eq(fx_reply->status, 200);
    ck_assert_str_eq(fx_reply->body,
                     "{\"notifications\":[{\"ep\":\"" DEVICE "\",\"path\":\"/1/0/1\",\"ct\":"
                     "\"text/plain\",\"payload\":\"ODY0MTA=\",\"max-age\":7}]}");
    fx_end(c);
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v2/notification/pull", NULL), 204);
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v2/notification/channel", NULL), 200);
    ck_assert_str_eq(fx_str("delivery_mechanism"), "LONG_POLLING");
}
END_TEST

START_TEST(messages_have_the_shapes_that_clients_read)
{
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v2/notification/pull", NULL), 204);
    registration(DEV_EVENT_REGISTERED, fx_account);
    registration(DEV_EVENT_UPDATED, fx_account);
    registration(DEV_EVENT_DEREGISTERED, fx_account);
    registration(DEV_EVENT_EXPIRED, fx_account);
    registration(DEV_EVENT_REGISTERED, fx_account + 1); /* not ours */
    answer("id-1", 200, "", 11);
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v2/notification/pull", NULL), 200);
    const char *ep =
        "{\"ep\":\"" DEVICE "\",\"original-ep\":\"node-7\",\"ept\":\"meter\",\"q\":true,"
        "\"resources\":[{\"path\":\"/1/0/1\",\"rt\":\"\",\"if\":\"\",\"ct\":\"text/"
        "plain\",\"obs\":true}]}";
    char want[1500];
    (void)snprintf(want, sizeof want,
                   "{\"async-responses\":[{\"id\":\"id-1\",\"status\":200,\"payload\":\"\",\"ct\":"
                   "\"text/plain\",\"max-age\":0}],\"registrations\":[%s],\"reg-updates\":[%s],"
                   "\"de-registrations\":[\"" DEVICE "\"],\"registrations-expired\":[\"" DEVICE
                   "\"]}",
                   ep, ep);
    ck_assert_str_eq(fx_reply->body, want);
    client_run(fx_loop, 20);
    ck_assert_int_eq(fake.n_delivered, 1);
    ck_assert_int_eq(fake.delivered[0], 11);
}
END_TEST

START_TEST(a_server_failure_travels_alone)
{
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v2/notification/pull", NULL), 204);
    answer("ok", 200, "1", 1);
    answer("late", 504, "", 2);
    answer("next", 404, "", 3);
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v2/notification/pull", NULL), 200);
    ck_assert(fx_has("\"ok\"") && !fx_has("\"late\""));
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v2/notification/pull", NULL), 200);
    ck_assert(fx_has("\"late\"") && !fx_has("\"next\"") && fx_has("\"error\":\"TIMEOUT\""));
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v2/notification/pull", NULL), 200);
    ck_assert(fx_has("\"next\""));
}
END_TEST

START_TEST(events_go_to_the_key_they_belong_to)
{
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v2/notification/pull", NULL), 204);
    ck_assert_int_eq(fx_call(fx_reader, "GET", "/v2/notification/pull", NULL), 204);
    ck_assert_int_eq(fx_call(fx_foreign, "GET", "/v2/notification/pull", NULL), 204);
    value(fx_admin_id, "mine");
    value(0, "all");
    ck_assert_int_eq(fx_call(fx_foreign, "GET", "/v2/notification/pull", NULL), 204);
    ck_assert_int_eq(fx_call(fx_reader, "GET", "/v2/notification/pull", NULL), 200);
    ck_assert(fx_has("YWxs"));
    ck_assert(!fx_has("bWluZQ=="));
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v2/notification/pull", NULL), 200);
    ck_assert(fx_has("bWluZQ==") && !fx_has("YWxs")); /* few wait: one notification a message */
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v2/notification/pull", NULL), 200);
    ck_assert(fx_has("YWxs"));
}
END_TEST

START_TEST(a_second_poll_is_refused_and_the_first_goes_on)
{
    struct client *c = fx_begin(fx_admin, "GET", "/v2/notification/pull");
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v2/notification/pull", NULL), 409);
    value(fx_admin_id, "x");
    ck_assert(client_reply(c, fx_reply, 2000));
    ck_assert_int_eq(fx_reply->status, 200);
    fx_end(c);
}
END_TEST

START_TEST(deleting_the_channel_answers_its_poll)
{
    struct client *c = fx_begin(fx_admin, "GET", "/v2/notification/pull");
    ck_assert_int_eq(fx_call(fx_admin, "DELETE", "/v2/notification/pull", NULL), 200);
    ck_assert_str_eq(fx_reply->body, "REMOVED");
    ck_assert(client_reply(c, fx_reply, 2000));
    ck_assert_int_eq(fx_reply->status, 204);
    ck_assert_uint_eq(fake.listeners, 0);
    fx_end(c);
    ck_assert_int_eq(fx_call(fx_admin, "DELETE", "/v2/notification/pull", NULL), 200);
    ck_assert_str_eq(fx_reply->body, "ALREADY_DELETED");
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v2/notification/channel", NULL), 404);
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v2/notification/callback", NULL), 404);
    value(fx_admin_id, "lost"); /* nobody listens */
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v2/notification/pull", NULL), 204);
}
END_TEST

START_TEST(a_hang_up_loses_no_event)
{
    struct client *c = fx_begin(fx_admin, "GET", "/v2/notification/pull");
    fx_end(c);
    client_run(fx_loop, 50);
    value(fx_admin_id, "kept");
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v2/notification/pull", NULL), 200);
    ck_assert(fx_has("a2VwdA=="));
}
END_TEST

START_TEST(answers_wait_for_a_channel)
{
    answer("early", 200, "1", 21);
    registration(DEV_EVENT_REGISTERED, fx_account); /* this one is lost */
    client_run(fx_loop, 20);
    ck_assert_int_eq(fake.n_delivered, 0);
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v2/notification/pull", NULL), 200);
    ck_assert(fx_has("\"early\"") && !fx_has("registrations"));
    client_run(fx_loop, 20);
    ck_assert_int_eq(fake.n_delivered, 1);
}
END_TEST

START_TEST(the_end_of_a_key_ends_its_channel)
{
    char key[128], path[80];

    ck_assert_int_eq(fx_call(fx_admin, "POST", "/v3/api-keys", "{\"name\":\"k\"}"), 201);
    (void)snprintf(key, sizeof key, "%s", fx_str("key"));
    (void)snprintf(path, sizeof path, "/v3/api-keys/%s", fx_str("id"));
    struct client *c = fx_begin(key, "GET", "/v2/notification/pull");
    ck_assert_int_eq(fx_call(fx_admin, "DELETE", path, NULL), 204);
    ck_assert(client_reply(c, fx_reply, 2000));
    ck_assert_int_eq(fx_reply->status, 204);
    ck_assert_int_eq(fx_call(key, "GET", "/v2/notification/pull", NULL), 401);
    fx_end(c);
}
END_TEST

START_TEST(many_events_come_in_few_messages)
{
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v2/notification/pull", NULL), 204);
    for (int i = 0; i < 1000; i++) {
        value(fx_admin_id, "x");
    }
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v2/notification/pull", NULL), 200);
    int n = 0;
    for (const char *p = strstr(fx_reply->body, "\"ep\""); p != NULL; p = strstr(p + 1, "\"ep\"")) {
        n++;
    }
    ck_assert_int_eq(n, 1000);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("rest v2");
    TCase *tc = tcase_create("services");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, fx_teardown);
    tcase_add_test(tc, a_device_request_reaches_the_core);
    tcase_add_test(tc, refusals_have_the_exact_texts);
    tcase_add_test(tc, a_request_can_name_the_endpoint);
    tcase_add_test(tc, a_call_can_wait_for_its_result);
    tcase_add_test(tc, resources_of_a_device_are_listed);
    tcase_add_test(tc, old_calls_on_resources_work);
    tcase_add_test(tc, subscriptions_follow_the_contract);
    tcase_add_test(tc, presubscriptions_are_replaced_whole);
    suite_add_tcase(s, tc);
    tc = tcase_create("channel");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, fx_teardown);
    tcase_add_test(tc, a_poll_waits_for_an_event);
    tcase_add_test(tc, messages_have_the_shapes_that_clients_read);
    tcase_add_test(tc, a_server_failure_travels_alone);
    tcase_add_test(tc, events_go_to_the_key_they_belong_to);
    tcase_add_test(tc, a_second_poll_is_refused_and_the_first_goes_on);
    tcase_add_test(tc, deleting_the_channel_answers_its_poll);
    tcase_add_test(tc, a_hang_up_loses_no_event);
    tcase_add_test(tc, answers_wait_for_a_channel);
    tcase_add_test(tc, the_end_of_a_key_ends_its_channel);
    tcase_add_test(tc, many_events_come_in_few_messages);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed;
}
