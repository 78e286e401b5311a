/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/integ/rest/test_websocket.c
 * @brief The WebSocket channel over raw sockets, with the fake core.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <check.h>

#include "base/clock.h"
#include "base/ids.h"
#include "base/loop.h"
#include "tests/integ/rest/fixture.h"

#define DEVICE "0190000000010000000000000000000a"
#define KEY    "dGhlIHNhbXBsZSBub25jZQ==" /* spec: RFC6455#1.3 */

static int64_t device;

static void setup(void)
{
    fx_setup();
    ck_assert_int_eq(dr_id_parse(DEVICE, 32, &device), DR_OK);
}

static void value(const char *payload)
{
    fake_publish(&(struct dev_event){.kind = DEV_EVENT_VALUE,
                                     .account = fx_account,
                                     .device = device,
                                     .owner_key = fx_admin_id,
                                     .endpoint = "node-7",
                                     .path = "/1/0/1",
                                     .ct = "text/plain",
                                     .payload = dr_bytes_str(payload)});
}

static void answer(const char *id, int64_t request)
{
    fake_publish(&(struct dev_event){.kind = DEV_EVENT_ANSWER,
                                     .account = fx_account,
                                     .device = device,
                                     .owner_key = fx_admin_id,
                                     .endpoint = "node-7",
                                     .async_id = id,
                                     .status = 200,
                                     .request = request});
}

/* Send an upgrade; the answer is in fx_reply. */
static struct client *upgrade(const char *key, bool in_protocol)
{
    struct client *c = calloc(1, sizeof *c);

    ck_assert_ptr_nonnull(c);
    client_open(c, fx_loop, rest_address(fx_rest));
    client_printf(c,
                  "GET /v2/notification/websocket-connect HTTP/1.1\r\nHost: x\r\n"
                  "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
                  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\n%s%s\r\n\r\n",
                  in_protocol ? "Sec-WebSocket-Protocol: wss,pelion_" : "Authorization: Bearer ",
                  key);
    ck_assert(client_reply(c, fx_reply, 3000));
    return c;
}

/* The next frame; @return its opcode, -1 when the connection ended. Payload in @p out. */
static int frame(struct client *c, char *out, size_t cap)
{
    uint64_t end = dr_mono_ms() + 5000;

    while (dr_mono_ms() < end) {
        size_t head = 2;
        size_t len = c->len >= 2 ? (uint8_t)c->buf[1] & 127U : 0;
        if (len == 126) {
            head = 4;
            len = c->len >= 4 ? ((size_t)(uint8_t)c->buf[2] << 8 | (uint8_t)c->buf[3]) : 0;
        }
        if (c->len >= head && c->len >= head + len) {
            int opcode = c->buf[0] & 15;
            ck_assert((c->buf[0] & 0x80) != 0 && (c->buf[1] & 0x80) == 0);
            ck_assert_uint_lt(len, cap);
            memcpy(out, c->buf + head, len);
            out[len] = '\0';
            memmove(c->buf, c->buf + head + len, c->len - head - len);
            c->len -= head + len;
            return opcode;
        }
        ssize_t n = recv(c->fd, c->buf + c->len, sizeof c->buf - c->len, 0);
        if (n > 0) {
            c->len += (size_t)n;
        } else if (n == 0 || errno != EAGAIN) {
            return -1;
        }
        client_run(fx_loop, 1);
    }
    return -2;
}

/* A masked frame of a client. */
static void send_frame(struct client *c, int opcode, const char *data, size_t len)
{
    char out[140];
    static const char mask[4] = {1, 2, 3, 4};

    out[0] = (char)(0x80 | opcode);
    out[1] = (char)(0x80 | len);
    memcpy(out + 2, mask, 4);
    for (size_t i = 0; i < len; i++) {
        out[6 + i] = (char)(data[i] ^ mask[i % 4]);
    }
    client_send(c, out, 6 + len);
}

static int close_code(const char *payload)
{
    return (uint8_t)payload[0] << 8 | (uint8_t)payload[1];
}

START_TEST(the_channel_comes_and_goes)
{
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v2/notification/websocket", NULL), 404);
    ck_assert_int_eq(fx_call(fx_admin, "PUT", "/v2/notification/websocket", NULL), 201);
    ck_assert(fx_has("\"status\":\"disconnected\"") && fx_has("\"queue_size\":0"));
    ck_assert_int_eq(fx_call(fx_admin, "PUT", "/v2/notification/websocket", "{}"), 200);
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v2/notification/pull", NULL), 400);
    value("x");
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v2/notification/websocket", NULL), 200);
    ck_assert(fx_has("\"queue_size\":1") && fx_has("\"queueSize\":1"));
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v2/notification/channel", NULL), 200);
    ck_assert_str_eq(fx_str("delivery_mechanism"), "WEB_SOCKET");
    ck_assert_int_eq(fx_call(fx_admin, "DELETE", "/v2/notification/websocket", NULL), 204);
    ck_assert_int_eq(fx_call(fx_admin, "DELETE", "/v2/notification/websocket", NULL), 404);
    ck_assert_int_eq(fx_call(fx_admin, "PUT", "/v2/notification/websocket",
                             "{\"serialization\":{\"type\":\"v9\"}}"),
                     400);
    ck_assert_int_eq(
        fx_call(fx_admin, "PUT", "/v2/notification/websocket",
                "{\"serialization\":{\"type\":\"v2\",\"max_chunk_size\":\"100\",\"cfg\":{"
                "\"include_uid\":\"true\"}}}"),
        201);
    ck_assert(fx_has("\"max_chunk_size\":100") && fx_has("\"include_uid\":true"));
}
END_TEST

START_TEST(the_handshake_is_what_clients_compare_with)
{
    ck_assert_int_eq(fx_call(fx_admin, "PUT", "/v2/notification/websocket", NULL), 201);
    for (int i = 0; i < 2; i++) {
        struct client *c = upgrade(fx_admin, i == 0);
        ck_assert_int_eq(fx_reply->status, 101);
        ck_assert_ptr_nonnull(strstr(fx_reply->head, "\r\nConnection: Upgrade\r\n"));
        ck_assert_ptr_nonnull(strstr(fx_reply->head, "\r\nUpgrade: websocket\r\n"));
        ck_assert_str_eq(reply_header(fx_reply, "Sec-WebSocket-Accept"),
                         "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        if (i == 0) {
            ck_assert_str_eq(reply_header(fx_reply, "Sec-WebSocket-Protocol"), "wss");
        } else {
            ck_assert_ptr_null(reply_header(fx_reply, "Sec-WebSocket-Protocol"));
        }
        fx_end(c);
    }
    char wrong[128];
    (void)snprintf(wrong, sizeof wrong, "%.110s!", fx_admin);
    struct client *c = upgrade(wrong, true);
    ck_assert_int_eq(fx_reply->status, 401);
    fx_end(c);
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v2/notification/websocket-connect", NULL), 426);
}
END_TEST

START_TEST(events_are_sent_as_text_frames)
{
    char text[4096];

    ck_assert_int_eq(fx_call(fx_admin, "PUT", "/v2/notification/websocket", NULL), 201);
    answer("before", 31); /* posted before the socket is up */
    struct client *c = upgrade(fx_admin, true);
    ck_assert_int_eq(frame(c, text, sizeof text), 1);
    ck_assert_str_eq(text,
                     "{\"async-responses\":[{\"id\":\"before\",\"status\":200,\"payload\":\"\","
                     "\"ct\":\"\",\"max-age\":0}]}");
    client_run(fx_loop, 20);
    ck_assert_int_eq(fake.n_delivered, 1);
    ck_assert_int_eq(fake.delivered[0], 31);
    value("86410");
    ck_assert_int_eq(frame(c, text, sizeof text), 1);
    ck_assert_ptr_nonnull(strstr(text, "\"payload\":\"ODY0MTA=\""));
    send_frame(c, 9, "hi", 2); /* ping */
    ck_assert_int_eq(frame(c, text, sizeof text), 10);
    ck_assert_str_eq(text, "hi");
    send_frame(c, 1, "ignored", 7);
    value("again");
    ck_assert_int_eq(frame(c, text, sizeof text), 1);
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v2/notification/websocket", NULL), 200);
    ck_assert(fx_has("\"status\":\"connected\""));
    send_frame(c, 8, "\x03\xe8", 2);
    ck_assert_int_eq(frame(c, text, sizeof text), 8);
    ck_assert_int_eq(frame(c, text, sizeof text), -1);
    fx_end(c);
    value("kept");
    c = upgrade(fx_admin, false);
    ck_assert_int_eq(frame(c, text, sizeof text), 1);
    ck_assert_ptr_nonnull(strstr(text, "a2VwdA=="));
    fx_end(c);
}
END_TEST

START_TEST(close_codes_say_why)
{
    char text[4096];

    struct client *c = upgrade(fx_admin, true); /* no channel */
    ck_assert_int_eq(fx_reply->status, 101);
    ck_assert_int_eq(frame(c, text, sizeof text), 8);
    ck_assert_int_eq(close_code(text), 1011);
    fx_end(c);
    ck_assert_int_eq(fx_call(fx_admin, "PUT", "/v2/notification/websocket", NULL), 201);
    c = upgrade(fx_admin, true);
    struct client *d = upgrade(fx_admin, true); /* replaces it */
    ck_assert_int_eq(frame(c, text, sizeof text), 8);
    ck_assert_int_eq(close_code(text), 1001);
    fx_end(c);
    ck_assert_int_eq(fx_call(fx_admin, "DELETE", "/v2/notification/websocket", NULL), 204);
    ck_assert_int_eq(frame(d, text, sizeof text), 8);
    ck_assert_int_eq(close_code(text), 1000);
    ck_assert_int_eq(frame(d, text, sizeof text), -1); /* closed although we do not answer */
    fx_end(d);
    char key[128], path[80];
    ck_assert_int_eq(fx_call(fx_admin, "POST", "/v3/api-keys", "{\"name\":\"k\"}"), 201);
    (void)snprintf(key, sizeof key, "%s", fx_str("key"));
    (void)snprintf(path, sizeof path, "/v3/api-keys/%s", fx_str("id"));
    ck_assert_int_eq(fx_call(key, "PUT", "/v2/notification/websocket", NULL), 201);
    c = upgrade(key, true);
    ck_assert_int_eq(fx_call(fx_admin, "DELETE", path, NULL), 204);
    ck_assert_int_eq(frame(c, text, sizeof text), 8);
    ck_assert_int_eq(close_code(text), 1008);
    fx_end(c);
}
END_TEST

START_TEST(stopping_closes_sockets)
{
    ck_assert_int_eq(fx_call(fx_admin, "PUT", "/v2/notification/websocket", NULL), 201);
    struct client *c = upgrade(fx_admin, true);
    ck_assert_int_eq(fx_reply->status, 101);
    free(c); /* stays connected; teardown must come to its end */
}
END_TEST

START_TEST(bad_frames_end_the_connection)
{
    char text[4096];

    ck_assert_int_eq(fx_call(fx_admin, "PUT", "/v2/notification/websocket", NULL), 201);
    struct client *c = upgrade(fx_admin, true);
    client_send(c, "\x81\x01x", 3); /* not masked */
    int opcode = frame(c, text, sizeof text);
    ck_assert_msg(opcode == 8 || opcode == -1, "opcode %d", opcode);
    if (opcode == 8) {
        ck_assert_int_eq(frame(c, text, sizeof text), -1);
    }
    fx_end(c);
    c = upgrade(fx_admin, true);
    /* 2^63 - 1 bytes announced, one sent */
    client_send(c, "\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x01\x02\x03\x04x", 15);
    opcode = frame(c, text, sizeof text);
    ck_assert_msg(opcode == 8 || opcode == -1, "opcode %d", opcode);
    fx_end(c);
    value("after");
    c = upgrade(fx_admin, true);
    ck_assert_int_eq(frame(c, text, sizeof text), 1);
    fx_end(c);
}
END_TEST

START_TEST(events_have_what_the_channel_asked_for)
{
    char text[4096];

    ck_assert_int_eq(
        fx_call(fx_admin, "PUT", "/v2/notification/websocket",
                "{\"serialization\":{\"type\":\"v2\",\"cfg\":{\"deregistrations_as_object\":true,"
                "\"include_original_ep\":true}}}"),
        201);
    fake_publish(&(struct dev_event){.kind = DEV_EVENT_DEREGISTERED,
                                     .account = fx_account,
                                     .device = device,
                                     .endpoint = "node-7"});
    struct client *c = upgrade(fx_admin, true);
    ck_assert_int_eq(frame(c, text, sizeof text), 1);
    ck_assert_str_eq(text,
                     "{\"de-registrations\":[{\"ep\":\"" DEVICE "\",\"original-ep\":\"node-7\"}]}");
    fx_end(c);
}
END_TEST

START_TEST(a_flood_arrives_whole_and_in_order)
{
    char *text = malloc(1 << 20);
    int got = 0;

    ck_assert_int_eq(fx_call(fx_admin, "PUT", "/v2/notification/websocket",
                             "{\"serialization\":{\"max_chunk_size\":100}}"),
                     201);
    struct client *c = upgrade(fx_admin, true);
    for (int i = 0; i < 5000; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "n%d", i);
        answer(id, i + 1);
    }
    while (got < 5000) {
        ck_assert_int_eq(frame(c, text, 1 << 20), 1);
        for (char *p = strstr(text, "\"id\":\"n"); p != NULL; p = strstr(p, "\"id\":\"n")) {
            p += 7;
            ck_assert_int_eq(atoi(p), got);
            got++;
        }
    }
    fx_end(c);
    free(text);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("rest websocket");
    TCase *tc = tcase_create("socket");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, fx_teardown);
    tcase_add_test(tc, the_channel_comes_and_goes);
    tcase_add_test(tc, the_handshake_is_what_clients_compare_with);
    tcase_add_test(tc, events_are_sent_as_text_frames);
    tcase_add_test(tc, close_codes_say_why);
    tcase_add_test(tc, stopping_closes_sockets);
    tcase_add_test(tc, bad_frames_end_the_connection);
    tcase_add_test(tc, events_have_what_the_channel_asked_for);
    tcase_add_test(tc, a_flood_arrives_whole_and_in_order);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed;
}
