/* SPDX-License-Identifier: Apache-2.0 */
/** Device requests, subscriptions, values, links: from the operator's call to the device and back.
 */
#include "tests/integ/devices/rig.h"

#define KEY 77

static cx_peer_t peer;
static struct fe_exchange reg;
static int64_t device;

static void device_up_as(const char *query)
{
    peer = rig_peer(0, "node-1");
    reg = *rig_register(0, peer, query);
    device = rig_device(&reg);
}

static void device_up(void)
{
    device_up_as("ep=node-1&lt=300&lwm2m=1.0&b=U");
}

static dr_err_t ask(enum dev_method method, const char *uri, const char *async_id,
                    const char *payload)
{
    struct dev_request req = {.account = DBT_ACCOUNT,
                              .device = device,
                              .key = KEY,
                              .async_id = async_id,
                              .method = method,
                              .uri = uri,
                              .content_type = "",
                              .accept = "",
                              .payload =
                                  payload == NULL ? dr_bytes_of(NULL, 0) : dr_bytes_str(payload),
                              .retry = -1,
                              .expiry_s = -1};
    return rig_ask(&req);
}

static struct cx_call *next_call(unsigned shard)
{
    RIG_UNTIL(fe_call(rig.e[shard]) != NULL);
    return fe_call(rig.e[shard]);
}

static struct rig_event *answer(unsigned nth)
{
    RIG_UNTIL(rig_count(DEV_EVENT_ANSWER) > nth);
    return rig_event_of(DEV_EVENT_ANSWER, nth);
}

static struct rig_event *value(unsigned nth)
{
    RIG_UNTIL(rig_count(DEV_EVENT_VALUE) > nth);
    return rig_event_of(DEV_EVENT_VALUE, nth);
}

static const struct {
    enum dev_method method;
    const char *uri, *payload, *call;
    uint8_t code;
    int status;
} methods[] = {
    {DEV_GET, "/3/0/0", NULL, "GET 3/0/0", CX_CONTENT, 200},
    {DEV_GET, "/3", NULL, "GET 3", CX_NOT_FOUND, 404},
    {DEV_PUT, "/1/0/1", "60", "PUT 1/0/1 ct=0", CX_CHANGED, 200},
    {DEV_PUT, "/1/0/1", NULL, "PUT 1/0/1 ct=0", CX_CHANGED, 200},
    {DEV_PUT, "/3303/0/5700?pmin=10&gt=30", NULL, "PUT 3303/0/5700 ?pmin=10 ?gt=30", CX_CHANGED,
     200},
    {DEV_POST, "/3/0/4", NULL, "POST 3/0/4", CX_CHANGED, 200},
    {DEV_POST, "/3/0/4", "0", "POST 3/0/4 ct=0", CX_NOT_ALLOWED, 400},
    {DEV_POST, "/3303/7", "x", "POST 3303/7 ct=0", CX_CREATED, 200},
    {DEV_DELETE, "/3303/0", NULL, "DELETE 3303/0", CX_DELETED, 200},
    {DEV_GET, "/3/0/9", NULL, "GET 3/0/9", CX_SERVER_ERROR, 502},
    {DEV_PUT, "/1/0/1", "1", "PUT 1/0/1 ct=0", CX_TOO_LARGE, 413},
    {DEV_GET, "/3/0/9", NULL, "GET 3/0/9", CX_UNAUTHORIZED, 400},
};

START_TEST(each_method_becomes_its_operation_and_its_answer)
{
    device_up();
    ck_assert_int_eq(ask(methods[_i].method, methods[_i].uri, "id-1", methods[_i].payload), DR_OK);
    struct cx_call *call = next_call(0);
    ck_assert_str_eq(fe_call_text(call), methods[_i].call);
    ck_assert_uint_eq(call->payload_len,
                      methods[_i].payload == NULL ? 0 : strlen(methods[_i].payload));
    bool content = methods[_i].code == CX_CONTENT;
    fe_call_answer(rig.e[0], call,
                   FE_MSG(methods[_i].code, .payload = content ? "86400" : NULL,
                          .len = content ? 5 : 0, .ct = content ? FE_N(0) : 0));
    struct rig_event *ev = answer(0);
    ck_assert_int_eq(ev->status, methods[_i].status);
    ck_assert_str_eq(ev->async_id, "id-1");
    ck_assert_int_eq(ev->key, KEY);
    ck_assert_str_eq(ev->payload, content ? "86400" : "");
    ck_assert_str_eq(ev->ct, content ? "text/plain" : "");
}
END_TEST

START_TEST(what_cannot_be_asked_is_refused_at_once)
{
    device_up();
    ck_assert_int_eq(ask(DEV_GET, "/9999/0/0", "id-1", NULL), DR_ERR_INVAL);
    ck_assert_int_eq(ask(DEV_GET, "nonsense", "id-1", NULL), DR_ERR_PROTO);
    ck_assert_int_eq(ask(DEV_GET, "/3/0/0", "bad id", NULL), DR_ERR_PROTO);
    ck_assert_int_eq(ask(DEV_GET, "/3/0/0", "", NULL), DR_ERR_PROTO);
    device++;
    ck_assert_int_eq(ask(DEV_GET, "/3/0/0", "id-1", NULL), DR_ERR_NOT_FOUND);
    rig_pause(10);
    ck_assert_ptr_null(fe_call(rig.e[0]));
}
END_TEST

START_TEST(requests_go_one_by_one_in_order_and_twenty_at_most)
{
    char id[16];

    device_up();
    for (unsigned i = 0; i < DEV_QUEUE_MAX; i++) {
        (void)snprintf(id, sizeof id, "id-%u", i);
        ck_assert_int_eq(ask(DEV_GET, "/3/0/0", id, NULL), DR_OK);
        if (i == 0) {
            ck_assert_int_eq(ask(DEV_GET, "/3/0/0", id, NULL), DR_ERR_EXISTS);
        }
    }
    ck_assert_int_eq(ask(DEV_GET, "/3/0/0", "id-x", NULL), DR_ERR_LIMIT);
    for (unsigned i = 0; i < DEV_QUEUE_MAX; i++) {
        struct cx_call *call = next_call(0);
        rig_pause(2);
        ck_assert_uint_eq(rig_shard(0)->calls, 1);
        fe_call_answer(rig.e[0], call, FE_MSG(CX_CONTENT, .payload = "1", .len = 1));
        (void)snprintf(id, sizeof id, "id-%u", i);
        ck_assert_str_eq(answer(i)->async_id, id);
    }
    ck_assert_int_eq(ask(DEV_GET, "/3/0/0", "id-x", NULL), DR_OK);
}
END_TEST

START_TEST(a_sleeping_device_gets_its_requests_when_it_wakes)
{
    rig_stop();
    rig.awake_s = 1;
    rig_start();
    device_up_as("ep=node-1&lt=300&lwm2m=1.1&b=U&Q");
    rig_pause(2600);
    ck_assert_int_eq(ask(DEV_GET, "/3/0/0", "id-1", NULL), DR_OK);
    ck_assert_int_eq(ask(DEV_PUT, "/1/0/1", "id-2", "60"), DR_OK);
    rig_pause(20);
    ck_assert_ptr_null(fe_call(rig.e[0]));
    ck_assert_uint_eq(rig_wait(rig_post(0, peer, reg.location, NULL, NULL))->code, CX_CHANGED);
    fe_call_answer(rig.e[0], next_call(0), FE_MSG(CX_CONTENT, .payload = "1", .len = 1));
    fe_call_answer(rig.e[0], next_call(0), FE_MSG(CX_CHANGED));
    ck_assert_str_eq(answer(0)->async_id, "id-1");
    ck_assert_str_eq(answer(1)->async_id, "id-2");
}
END_TEST

START_TEST(a_timeout_waits_for_the_next_uplink_until_retries_run_out)
{
    device_up_as("ep=node-1&lt=300&lwm2m=1.1&b=U&Q"); /* queue mode: two retries */
    ck_assert_int_eq(ask(DEV_GET, "/3/0/0", "id-1", NULL), DR_OK);
    for (unsigned i = 0; i < 3; i++) {
        fe_call_fail(rig.e[0], next_call(0), DR_ERR_TIMEOUT);
        rig_pause(20);
        ck_assert_ptr_null(fe_call(rig.e[0])); /* it sleeps */
        ck_assert_uint_eq(rig_count(DEV_EVENT_ANSWER), i == 2);
        (void)rig_wait(rig_post(0, peer, reg.location, NULL, NULL));
    }
    ck_assert_int_eq(answer(0)->status, 504);
    ck_assert_str_eq(answer(0)->error, "TIMEOUT");
    rig_pause(10);
    ck_assert_ptr_null(fe_call(rig.e[0]));
}
END_TEST

START_TEST(without_retries_a_lost_connection_is_told)
{
    device_up();
    fe_peer_gone(rig.e[0], peer);
    ck_assert_int_eq(ask(DEV_GET, "/3/0/0", "id-1", NULL), DR_OK);
    ck_assert_int_eq(answer(0)->status, 503);
    ck_assert_str_eq(answer(0)->error, "NOT_CONNECTED");
}
END_TEST

START_TEST(a_request_expires_while_it_waits)
{
    rig_stop();
    rig.awake_s = 1;
    rig_start();
    device_up_as("ep=node-1&lt=300&lwm2m=1.1&b=U&Q");
    rig_pause(2500);
    struct dev_request req = {.account = DBT_ACCOUNT,
                              .device = device,
                              .key = KEY,
                              .async_id = "id-1",
                              .method = DEV_GET,
                              .uri = "/3/0/0",
                              .retry = 0,
                              .expiry_s = 1};
    ck_assert_int_eq(rig_ask(&req), DR_OK);
    ck_assert_int_eq(answer(0)->status, 429);
    ck_assert_str_eq(answer(0)->error, "REQUEST_EXPIRED");
}
END_TEST

START_TEST(deregistration_fails_what_waits)
{
    device_up();
    ck_assert_int_eq(ask(DEV_GET, "/3/0/0", "id-1", NULL), DR_OK);
    ck_assert_int_eq(ask(DEV_GET, "/3/0/1", "id-2", NULL), DR_OK);
    (void)next_call(0);
    ck_assert_uint_eq(
        rig_wait(fe_request(rig.e[0], peer, FE_MSG(CX_DELETE, .path = reg.location)))->code,
        CX_DELETED);
    (void)answer(1);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(answer(i)->status, 429);
        ck_assert_str_eq(answer(i)->error, "DEVICE_REMOVED_REGISTRATION");
    }
}
END_TEST

START_TEST(the_queue_survives_a_restart_in_order)
{
    rig_stop();
    rig.awake_s = 1;
    rig_start();
    device_up_as("ep=node-1&lt=300&lwm2m=1.1&b=U&Q");
    rig_pause(2500);
    ck_assert_int_eq(ask(DEV_GET, "/3/0/0", "id-1", NULL), DR_OK);
    ck_assert_int_eq(ask(DEV_PUT, "/1/0/1", "id-2", "60"), DR_OK);
    rig_restart();
    rig_pause(20);
    ck_assert_uint_eq(rig_count(DEV_EVENT_ANSWER), 0);
    peer = rig_peer(1, "node-1");
    ck_assert_uint_eq(rig_wait(rig_post(1, peer, reg.location, NULL, NULL))->code, CX_CHANGED);
    struct cx_call *call = next_call(1);
    ck_assert_ptr_nonnull(strstr(fe_call_text(call), "GET 3/0/0"));
    fe_call_answer(rig.e[1], call, FE_MSG(CX_CONTENT, .payload = "1", .len = 1));
    call = next_call(1);
    ck_assert_str_eq(fe_call_text(call), "PUT 1/0/1 ct=0");
    ck_assert_mem_eq(call->payload, "60", 2);
    fe_call_answer(rig.e[1], call, FE_MSG(CX_CHANGED));
    ck_assert_str_eq(answer(1)->async_id, "id-2");
}
END_TEST

START_TEST(an_answer_nobody_took_is_told_again_after_a_restart)
{
    device_up();
    ck_assert_int_eq(ask(DEV_GET, "/3/0/0", "id-1", NULL), DR_OK);
    fe_call_answer(rig.e[0], next_call(0),
                   FE_MSG(CX_CONTENT, .payload = "maker", .len = 5, .ct = FE_N(0)));
    (void)answer(0);
    rig_restart();
    ck_assert_uint_eq(rig_count(DEV_EVENT_ANSWER), 1);
    struct rig_event *ev = answer(0);
    ck_assert_str_eq(ev->payload, "maker");
    ck_assert_str_eq(ev->ct, "text/plain");
    ck_assert_int_eq(ev->status, 200);
    dev_answer_delivered(rig.core, ev->request);
    rig_pause(50);
    rig_restart();
    ck_assert_uint_eq(rig_count(DEV_EVENT_ANSWER), 0);
}
END_TEST

/* kill -9 while a request is on its way: the core is dropped without a stop. */
static void crash(void)
{
    fe_call_fail(rig.e[0], next_call(0), DR_ERR_CANCELED);
    rig.core->control->stopping = true; /* nothing of it may reach the store */
    rig_stop();
    dbt_reopen();
    rig_start();
}

START_TEST(after_a_crash_only_repeatable_requests_are_sent_again)
{
    device_up();
    ck_assert_int_eq(ask(_i == 0 ? DEV_GET : DEV_POST, "/3/0/4", "id-1", NULL), DR_OK);
    (void)next_call(0);
    crash();
    if (_i == 0) {
        peer = rig_peer(0, "node-1");
        (void)rig_wait(rig_post(0, peer, reg.location, NULL, NULL));
        fe_call_answer(rig.e[0], next_call(0), FE_MSG(CX_CONTENT));
        ck_assert_int_eq(answer(0)->status, 200);
        return;
    }
    ck_assert_int_eq(answer(0)->status, 504);
    peer = rig_peer(0, "node-1");
    (void)rig_wait(rig_post(0, peer, reg.location, NULL, NULL));
    rig_pause(20);
    ck_assert_ptr_null(fe_call(rig.e[0]));
}
END_TEST

static unsigned released;

static void body_release(void *data)
{
    (void)data;
    released++;
}

/* A PUT of 2 MiB that lie elsewhere. */
static void ask_body(const char *async_id)
{
    static uint8_t bytes[2 << 20];
    struct cx_body *body = cx_body_new(bytes, sizeof bytes, NULL, 0, body_release, NULL);
    struct dev_request req = {.account = DBT_ACCOUNT,
                              .device = device,
                              .key = KEY,
                              .async_id = async_id,
                              .method = DEV_PUT,
                              .uri = "/5/0/0",
                              .body = body,
                              .retry = 0,
                              .expiry_s = 600};

    released = 0;
    ck_assert_int_eq(rig_ask(&req), DR_OK);
    (void)cx_body_unref(body);
}

START_TEST(shared_bytes_are_sent_and_gone_on_with)
{
    device_up();
    ask_body("id-1");
    struct cx_call *call = next_call(0);
    ck_assert_str_eq(fe_call_text(call), "PUT 5/0/0 ct=42");
    ck_assert_uint_eq(call->payload_len, 2 << 20);
    ck_assert_uint_eq(call->payload_from, 0);
    call->payload_from = 40960; /* so far it came */
    fe_call_fail(rig.e[0], call, DR_ERR_TIMEOUT);
    rig_pause(20);
    ck_assert_ptr_null(fe_call(rig.e[0])); /* until it is heard */
    (void)rig_wait(rig_post(0, peer, reg.location, NULL, NULL));
    call = next_call(0);
    ck_assert_uint_eq(call->payload_from, 40960);
    call->payload_from = 51200;
    fe_call_fail(rig.e[0], call, DR_ERR_TIMEOUT);
    device_up(); /* registers again: it has lost what it had */
    call = next_call(0);
    ck_assert_uint_eq(call->payload_from, 0);
    ck_assert_uint_eq(released, 0);
    fe_call_answer(rig.e[0], call, FE_MSG(CX_CHANGED));
    ck_assert_int_eq(answer(0)->status, 200);
    rig_pause(10);
    ck_assert_uint_eq(released, 1);
}
END_TEST

START_TEST(shared_bytes_without_progress_time_out)
{
    device_up();
    ask_body("id-1");
    fe_call_fail(rig.e[0], next_call(0), DR_ERR_TIMEOUT);
    ck_assert_int_eq(answer(0)->status, 504);
    rig_pause(10);
    ck_assert_uint_eq(released, 1);
}
END_TEST

START_TEST(shared_bytes_do_not_survive_a_crash)
{
    device_up();
    ask_body("id-1");
    crash();
    ck_assert_int_eq(answer(0)->status, 504);
    peer = rig_peer(0, "node-1");
    (void)rig_wait(rig_post(0, peer, reg.location, NULL, NULL));
    rig_pause(20);
    ck_assert_ptr_null(fe_call(rig.e[0])); /* above all no empty package */
}
END_TEST

START_TEST(formats_are_tried_until_the_device_understands)
{
    static const uint8_t tlv[] = {0xc4, 0x00, 'A', 'C', 'M', 'E'};

    device_up();
    ck_assert_int_eq(ask(DEV_GET, "/3/0/0", "id-1", NULL), DR_OK);
    fe_call_answer(rig.e[0], next_call(0), FE_MSG(CX_NOT_ACCEPTABLE));
    ck_assert_str_eq(fe_call_text(next_call(0)), "GET 3/0/0 acc=0");
    fe_call_answer(rig.e[0], next_call(0), FE_MSG(CX_NOT_ACCEPTABLE));
    struct cx_call *call = next_call(0);
    ck_assert_str_eq(fe_call_text(call), "GET 3/0/0 acc=11542");
    fe_call_answer(rig.e[0], call,
                   FE_MSG(CX_CONTENT, .ct = FE_N(11542), .payload = tlv, .len = sizeof tlv));
    ck_assert_str_eq(answer(0)->payload, "ACME");
    ck_assert_str_eq(answer(0)->ct, "text/plain");

    ck_assert_int_eq(ask(DEV_PUT, "/1/0/1", "id-2", "128"), DR_OK);
    fe_call_answer(rig.e[0], next_call(0), FE_MSG(CX_UNSUPPORTED_FORMAT));
    call = next_call(0);
    ck_assert_str_eq(fe_call_text(call), "PUT 1/0/1 ct=11542");
    static const uint8_t want[] = {0xc2, 0x01, 0x00, 0x80};
    ck_assert_uint_eq(call->payload_len, sizeof want);
    ck_assert_mem_eq(call->payload, want, sizeof want);
    fe_call_answer(rig.e[0], call, FE_MSG(CX_CHANGED));
    ck_assert_int_eq(answer(1)->status, 200);
}
END_TEST

/* ---- subscriptions ---- */

static dr_err_t sub_err;

static void on_sub(struct dev_subscribe *sub, dr_err_t err)
{
    (void)sub;
    sub_err = err;
}

static int64_t sub_key = KEY;

static dr_err_t subscribe(const char *path, const char *async_id)
{
    struct dev_subscribe sub = {.account = DBT_ACCOUNT,
                                .device = device,
                                .key = sub_key,
                                .path = path,
                                .async_id = async_id,
                                .cb = on_sub};

    sub_err = DR_ERR_AGAIN;
    dr_err_t err = dev_subscribe_start(rig.core, &sub);
    if (err != DR_OK) {
        return err;
    }
    RIG_UNTIL(sub_err != DR_ERR_AGAIN);
    return sub_err;
}

static uint8_t token[8];

/* Subscribe to /3303/0/5700 and let the device agree with "20.0". */
static void subscribed(void)
{
    ck_assert_int_eq(subscribe("/3303/0/5700", "sub-1"), DR_OK);
    struct cx_call *call = next_call(0);
    ck_assert_str_eq(fe_call_text(call), "GET 3303/0/5700 obs=0");
    ck_assert_uint_eq(call->token_len, 8);
    memcpy(token, call->token, 8);
    fe_call_answer(
        rig.e[0], call,
        FE_MSG(CX_CONTENT, .observe = FE_N(1), .ct = FE_N(0), .payload = "20.0", .len = 4));
    ck_assert_str_eq(answer(0)->async_id, "sub-1");
    ck_assert_str_eq(answer(0)->payload, "20.0");
    ck_assert_int_eq(answer(0)->status, 200);
}

static bool notify(unsigned shard, cx_peer_t from, int seq, const char *text)
{
    return fe_notify(rig.e[shard], from,
                     FE_MSG(CX_CONTENT, .observe = FE_N(seq), .ct = FE_N(0), .payload = text,
                            .len = strlen(text), .token = token, .token_len = 8));
}

START_TEST(a_subscription_gives_its_first_value_and_then_notifications)
{
    device_up();
    subscribed();
    ck_assert(notify(0, peer, 2, "21.0"));
    ck_assert_str_eq(value(0)->payload, "21.0");
    ck_assert_str_eq(value(0)->path, "/3303/0/5700");
    ck_assert_int_eq(value(0)->key, KEY);
    ck_assert_int_eq(subscribe("/3303/0/5700", "sub-2"), DR_ERR_EXISTS);
    ck_assert_int_eq(subscribe("/9999/0/1", "sub-2"), DR_ERR_INVAL);
}
END_TEST

START_TEST(old_notifications_are_taken_but_not_told)
{
    device_up();
    subscribed();
    ck_assert(notify(0, peer, 5, "21.0"));
    ck_assert(notify(0, peer, 4, "20.5")); /* spec: RFC7641#3.4 */
    rig_pause(10);
    ck_assert_uint_eq(rig_count(DEV_EVENT_VALUE), 1);
    ck_assert(notify(0, peer, 6, "22.0"));
    ck_assert_str_eq(value(1)->payload, "22.0");
}
END_TEST

START_TEST(unknown_tokens_and_other_identities_are_refused)
{
    device_up();
    subscribed();
    cx_peer_t other = rig_peer(0, "node-2");
    (void)rig_register(0, other, "lt=60&lwm2m=1.1&b=U");
    ck_assert(!notify(0, other, 9, "666"));
    token[3] ^= 1;
    ck_assert(!notify(0, peer, 9, "666"));
    rig_pause(10);
    ck_assert_uint_eq(rig_count(DEV_EVENT_VALUE), 0);
}
END_TEST

START_TEST(notifications_over_a_new_association_are_matched_by_identity)
{
    device_up();
    subscribed();
    cx_peer_t q = rig_peer(0, "node-1");
    ck_assert(notify(0, q, 2, "21.0"));
    ck_assert_str_eq(value(0)->payload, "21.0");
}
END_TEST

START_TEST(observations_are_created_again_after_a_register)
{
    device_up();
    subscribed();
    device_up();
    struct cx_call *call = next_call(0);
    ck_assert_str_eq(fe_call_text(call), "GET 3303/0/5700 obs=0");
    uint8_t fresh[8];
    memcpy(fresh, call->token, 8);
    fe_call_answer(
        rig.e[0], call,
        FE_MSG(CX_CONTENT, .observe = FE_N(0), .ct = FE_N(0), .payload = "19", .len = 2));
    ck_assert_str_eq(value(0)->payload, "19");
    memcpy(token, fresh, 8);
    ck_assert(notify(0, peer, 1, "18"));
    ck_assert_str_eq(value(1)->payload, "18");
}
END_TEST

START_TEST(observations_move_with_the_device_and_outlive_a_restart)
{
    device_up();
    subscribed();
    cx_peer_t q = rig_peer(1, "node-1");
    ck_assert_uint_eq(rig_wait(rig_post(1, q, reg.location, NULL, NULL))->code, CX_CHANGED);
    ck_assert(notify(1, q, 2, "21.0")); /* same token, no new observe */
    ck_assert_str_eq(value(0)->payload, "21.0");
    ck_assert_ptr_null(fe_call(rig.e[1]));
    rig_restart();
    q = rig_peer(1, "node-1");
    ck_assert_uint_eq(rig_wait(rig_post(1, q, reg.location, NULL, NULL))->code, CX_CHANGED);
    struct cx_call *call = next_call(1);
    ck_assert_str_eq(fe_call_text(call), "GET 3303/0/5700 obs=0");
    ck_assert_mem_eq(call->token, token, 8); /* it replaces itself on the device */
    ck_assert(notify(1, q, 3, "22.0"));
    ck_assert_str_eq(value(0)->payload, "22.0");
}
END_TEST

START_TEST(a_notification_after_a_restart_brings_the_registration_back)
{
    device_up();
    subscribed();
    rig_restart();
    peer = rig_peer(0, "node-1");
    ck_assert(notify(0, peer, 3, "22.0")); /* not refused: that would cancel it */
    RIG_UNTIL(rig_held(0) == 1);
    struct cx_call *call = next_call(0);
    ck_assert_str_eq(fe_call_text(call), "GET 3303/0/5700 obs=0");
    fe_call_answer(
        rig.e[0], call,
        FE_MSG(CX_CONTENT, .observe = FE_N(4), .ct = FE_N(0), .payload = "23", .len = 2));
    ck_assert_str_eq(value(0)->payload, "22.0"); /* kept while the rows were read */
    ck_assert_str_eq(value(1)->payload, "23");
}
END_TEST

START_TEST(an_observe_under_way_is_repeated_where_the_device_went)
{
    device_up();
    ck_assert_int_eq(subscribe("/3303/0/5700", "sub-1"), DR_OK);
    (void)next_call(0);
    cx_peer_t q = rig_peer(1, "node-1");
    ck_assert_uint_eq(rig_wait(rig_post(1, q, reg.location, NULL, NULL))->code, CX_CHANGED);
    struct cx_call *call = next_call(1);
    ck_assert_str_eq(fe_call_text(call), "GET 3303/0/5700 obs=0");
    fe_call_answer(
        rig.e[1], call,
        FE_MSG(CX_CONTENT, .observe = FE_N(1), .ct = FE_N(0), .payload = "20.0", .len = 4));
    ck_assert_str_eq(answer(0)->payload, "20.0");
    ck_assert_int_eq(answer(0)->status, 200);
}
END_TEST

START_TEST(not_observable_is_412)
{
    device_up();
    ck_assert_int_eq(subscribe("/3/0/0", "sub-1"), DR_OK);
    fe_call_answer(rig.e[0], next_call(0), FE_MSG(CX_CONTENT, .payload = "x", .len = 1));
    ck_assert_int_eq(answer(0)->status, 412);
}
END_TEST

static dr_err_t unsub_err;

static void on_unsub(struct dev_unsubscribe *un, dr_err_t err)
{
    (void)un;
    unsub_err = err;
}

static int64_t unsub_key;

static dr_err_t unsubscribe(const char *path)
{
    struct dev_unsubscribe un = {
        .account = DBT_ACCOUNT, .device = device, .key = unsub_key, .path = path, .cb = on_unsub};

    unsub_err = DR_ERR_AGAIN;
    ck_assert_int_eq(dev_unsubscribe_start(rig.core, &un), DR_OK);
    RIG_UNTIL(unsub_err != DR_ERR_AGAIN);
    return unsub_err;
}

START_TEST(unsubscribing_cancels_on_the_device)
{
    device_up();
    subscribed();
    ck_assert_int_eq(unsubscribe(_i == 0 ? "/3303/0/5700" : NULL), DR_OK);
    struct cx_call *call = next_call(0);
    ck_assert_str_eq(fe_call_text(call), "GET 3303/0/5700 obs=1");
    ck_assert_mem_eq(call->token, token, 8);
    ck_assert(!notify(0, peer, 9, "1"));
    ck_assert_int_eq(unsubscribe("/3303/0/5700"), DR_ERR_NOT_FOUND);
}
END_TEST

START_TEST(unsubscribing_leaves_what_other_keys_have)
{
    device_up();
    sub_key = KEY;
    subscribed();
    sub_key = KEY + 1;
    ck_assert_int_eq(subscribe("/3303/0/5700", "sub-2"), DR_OK);
    ck_assert_str_eq(answer(1)->async_id, "sub-2"); /* from the cache */
    unsub_key = _i == 0 ? KEY : KEY + 1;
    ck_assert_int_eq(unsubscribe("/3303/0/5700"), DR_OK);
    ck_assert_int_eq(unsubscribe(NULL), DR_ERR_NOT_FOUND);
    ck_assert_ptr_null(fe_call(rig.e[0]));
    ck_assert(notify(0, peer, 2, "21.0"));
    ck_assert_int_eq(value(0)->key, _i == 0 ? KEY + 1 : KEY);
    unsub_key = _i == 0 ? KEY + 1 : KEY;
    ck_assert_int_eq(unsubscribe("/3303/0/5700"), DR_OK);
    ck_assert_str_eq(fe_call_text(next_call(0)), "GET 3303/0/5700 obs=1");
    sub_key = KEY; /* tests may share one process */
    unsub_key = 0;
}
END_TEST

static dr_err_t put_err;

static void on_put(struct dev_presubscriptions_put *put, dr_err_t err)
{
    (void)put;
    put_err = err;
}

static void presubscribe(const char *endpoint, const char *type, const char *path)
{
    const char *paths[] = {path};
    struct dev_presubscription one = {
        .endpoint = endpoint, .endpoint_type = type, .paths = paths, .n_paths = 1};
    struct dev_presubscriptions_put put = {
        .account = DBT_ACCOUNT, .key = KEY, .list = &one, .n = 1, .cb = on_put};

    put_err = DR_ERR_AGAIN;
    ck_assert_int_eq(dev_presubscriptions_put_start(rig.core, &put), DR_OK);
    RIG_UNTIL(put_err != DR_ERR_AGAIN);
    ck_assert_int_eq(put_err, DR_OK);
}

START_TEST(presubscriptions_apply_at_once_at_register_and_after_a_restart)
{
    device_up();
    presubscribe("", "", "/3303/*");
    struct cx_call *call = next_call(0);
    ck_assert_str_eq(fe_call_text(call), "GET 3303/0 obs=0"); /* registered before */
    fe_call_answer(rig.e[0], call, FE_MSG(CX_CONTENT, .observe = FE_N(0)));
    cx_peer_t p = rig_peer(1, "node-2");
    (void)rig_register(1, p, "lt=60&lwm2m=1.1&b=U");
    ck_assert_str_eq(fe_call_text(next_call(1)), "GET 3303/0 obs=0");
    rig_restart();
    p = rig_peer(1, "node-3");
    (void)rig_register(1, p, "lt=60&lwm2m=1.1&b=U");
    ck_assert_str_eq(fe_call_text(next_call(1)), "GET 3303/0 obs=0");
}
END_TEST

START_TEST(presubscriptions_look_at_name_and_type)
{
    presubscribe("ffff*", "", "/3303/*");
    device_up();
    rig_pause(10);
    ck_assert_ptr_null(fe_call(rig.e[0]));
    presubscribe("", "meter", "/3303/0/5700");
    rig_pause(10);
    ck_assert_ptr_null(fe_call(rig.e[0]));
    device_up_as("ep=node-1&lt=300&lwm2m=1.0&b=U&et=meter");
    ck_assert_str_eq(fe_call_text(next_call(0)), "GET 3303/0/5700 obs=0");
}
END_TEST

/* ---- values and links ---- */

static struct {
    unsigned done;
    dr_err_t err;
    char ct[64], payload[64];
    size_t n;
    char path[64];
} got;

static void on_value(struct dev_value_get *get, dr_err_t err, const char *ct,
                     struct dr_bytes payload, uint32_t max_age_s)
{
    (void)get;
    (void)max_age_s;
    got.done++;
    got.err = err;
    (void)snprintf(got.ct, sizeof got.ct, "%s", ct);
    (void)snprintf(got.payload, sizeof got.payload, "%.*s", (int)payload.len,
                   (const char *)payload.p);
}

static dr_err_t value_get(const char *path)
{
    struct dev_value_get get = {
        .account = DBT_ACCOUNT, .device = device, .path = path, .cb = on_value};

    got.done = 0;
    ck_assert_int_eq(dev_value_get_start(rig.core, &get), DR_OK);
    RIG_UNTIL(got.done == 1);
    return got.err;
}

START_TEST(values_come_from_the_cache_while_observed_or_fresh)
{
    device_up();
    ck_assert_int_eq(value_get("/3303/0/5700"), DR_ERR_AGAIN);
    subscribed();
    ck_assert(notify(0, peer, 2, "21.0"));
    ck_assert_int_eq(value_get("/3303/0/5700"), DR_OK);
    ck_assert_str_eq(got.payload, "21.0");
    ck_assert_str_eq(got.ct, "text/plain");
    ck_assert_int_eq(ask(DEV_GET, "/3/0/0", "id-1", NULL), DR_OK);
    fe_call_answer(
        rig.e[0], next_call(0),
        FE_MSG(CX_CONTENT, .ct = FE_N(0), .payload = "maker", .len = 5, .max_age = FE_N(60)));
    (void)answer(1);
    ck_assert_int_eq(value_get("/3/0/0"), DR_OK);
    rig_restart(); /* the rows have them, too */
    ck_assert_int_eq(value_get("/3/0/0"), DR_OK);
    ck_assert_str_eq(got.payload, "maker");
    device++;
    ck_assert_int_eq(value_get("/3/0/0"), DR_ERR_NOT_FOUND);
}
END_TEST

static void on_links(struct dev_links_get *get, dr_err_t err, const struct dev_link *links,
                     size_t n)
{
    (void)get;
    got.done++;
    got.err = err;
    got.n = n;
    if (n != 0) {
        (void)snprintf(got.path, sizeof got.path, "%s%s", links[n - 2].path,
                       links[n - 1].obs ? " obs" : "");
    }
}

START_TEST(links_are_those_of_the_registration)
{
    device_up();
    struct dev_links_get get = {.account = DBT_ACCOUNT, .device = device, .cb = on_links};

    got.done = 0;
    ck_assert_int_eq(dev_links_get_start(rig.core, &get), DR_OK);
    RIG_UNTIL(got.done == 1);
    ck_assert_int_eq(got.err, DR_OK);
    ck_assert_uint_eq(got.n, 4);
    ck_assert_str_eq(got.path, "/5 obs"); /* before it; the last is /3303/0 */
    get.account = DBT_OTHER;
    ck_assert_int_eq(dev_links_get_start(rig.core, &get), DR_OK);
    RIG_UNTIL(got.done == 2);
    ck_assert_int_eq(got.err, DR_ERR_NOT_FOUND);
}
END_TEST

START_TEST(nothing_is_published_while_nobody_listens)
{
    device_up();
    subscribed();
    dev_listeners_set(rig.core, DBT_ACCOUNT, 0);
    rig_pause(5);
    unsigned updates = rig_count(DEV_EVENT_UPDATED);
    ck_assert(notify(0, peer, 2, "21.0"));
    (void)rig_wait(rig_post(0, peer, reg.location, NULL, NULL));
    rig_pause(10);
    ck_assert_uint_eq(rig_count(DEV_EVENT_VALUE), 0);
    ck_assert_uint_eq(rig_count(DEV_EVENT_UPDATED), updates);
    ck_assert_int_eq(value_get("/3303/0/5700"), DR_OK);
}
END_TEST

START_TEST(standing_observations_of_pelion_clients_are_known_by_their_short_token)
{
    uint8_t aobs[2] = {0, 18};

    peer = rig_peer(0, "node-1");
    reg = *rig_wait(rig_post(0, peer, "rd", "ep=node-1&lt=7200&lwm2m=1.0&b=U&mccv=4",
                             "</3/0/0>;v=\"maker\";aobs=\"18\",</3/0/1>"));
    device = rig_device(&reg);
    ck_assert_int_eq(value_get("/3/0/0"), DR_OK);
    ck_assert_str_eq(got.payload, "maker");
    ck_assert(fe_notify(rig.e[0], peer,
                        FE_MSG(CX_CONTENT, .observe = FE_N(2), .ct = FE_N(0), .payload = "new",
                               .len = 3, .token = aobs, .token_len = 2)));
    ck_assert_int_eq(value_get("/3/0/0"), DR_OK);
    ck_assert_str_eq(got.payload, "new");
}
END_TEST

static TCase *tcase(Suite *s, const char *name)
{
    TCase *tc = tcase_create(name);

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, rig_setup, rig_teardown);
    suite_add_tcase(s, tc);
    return tc;
}

int main(void)
{
    Suite *s = suite_create("devices: requests");
    TCase *tc = tcase(s, "requests");

    tcase_add_loop_test(tc, each_method_becomes_its_operation_and_its_answer, 0,
                        (int)DR_ARRAY_LEN(methods));
    tcase_add_test(tc, what_cannot_be_asked_is_refused_at_once);
    tcase_add_test(tc, requests_go_one_by_one_in_order_and_twenty_at_most);
    tcase_add_test(tc, formats_are_tried_until_the_device_understands);
    tc = tcase(s, "queue");
    tcase_add_test(tc, a_sleeping_device_gets_its_requests_when_it_wakes);
    tcase_add_test(tc, a_timeout_waits_for_the_next_uplink_until_retries_run_out);
    tcase_add_test(tc, without_retries_a_lost_connection_is_told);
    tcase_add_test(tc, a_request_expires_while_it_waits);
    tcase_add_test(tc, deregistration_fails_what_waits);
    tcase_add_test(tc, the_queue_survives_a_restart_in_order);
    tcase_add_test(tc, an_answer_nobody_took_is_told_again_after_a_restart);
    tcase_add_loop_test(tc, after_a_crash_only_repeatable_requests_are_sent_again, 0, 2);
    tcase_add_test(tc, shared_bytes_are_sent_and_gone_on_with);
    tcase_add_test(tc, shared_bytes_without_progress_time_out);
    tcase_add_test(tc, shared_bytes_do_not_survive_a_crash);
    tc = tcase(s, "subscriptions");
    tcase_add_test(tc, a_subscription_gives_its_first_value_and_then_notifications);
    tcase_add_test(tc, old_notifications_are_taken_but_not_told);
    tcase_add_test(tc, unknown_tokens_and_other_identities_are_refused);
    tcase_add_test(tc, notifications_over_a_new_association_are_matched_by_identity);
    tcase_add_test(tc, observations_are_created_again_after_a_register);
    tcase_add_test(tc, observations_move_with_the_device_and_outlive_a_restart);
    tcase_add_test(tc, a_notification_after_a_restart_brings_the_registration_back);
    tcase_add_test(tc, an_observe_under_way_is_repeated_where_the_device_went);
    tcase_add_test(tc, not_observable_is_412);
    tcase_add_loop_test(tc, unsubscribing_cancels_on_the_device, 0, 2);
    tcase_add_loop_test(tc, unsubscribing_leaves_what_other_keys_have, 0, 2);
    tcase_add_test(tc, presubscriptions_apply_at_once_at_register_and_after_a_restart);
    tcase_add_test(tc, presubscriptions_look_at_name_and_type);
    tc = tcase(s, "values");
    tcase_add_test(tc, values_come_from_the_cache_while_observed_or_fresh);
    tcase_add_test(tc, links_are_those_of_the_registration);
    tcase_add_test(tc, nothing_is_published_while_nobody_listens);
    tcase_add_test(tc, standing_observations_of_pelion_clients_are_known_by_their_short_token);
    return dbt_main(s);
}
