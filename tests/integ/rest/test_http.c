/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/integ/rest/test_http.c
 * @brief The HTTP server against hostile and slow clients on loopback: routes of its own, no
 * database.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <check.h>

#include "base/clock.h"
#include "base/loop.h"
#include "rest/server.h"
#include "tests/integ/rest/client.h"

static struct loop *loop;
static struct rest_http *http;
static struct client *c;
static struct reply *r;
static int gone_count, sent_ok, sent_failed;
static struct rest_req *held;
static bool close_reported;

static void echo(struct rest_req *req)
{
    struct dr_dynbuf b;
    dr_dynbuf_init(&b, 1 << 20);
    dr_dynbuf_append_bytes(&b, req->body);
    if (b.len == 0) {
        dr_dynbuf_append_str(&b, "-");
    }
    rest_answer(req, 200, "text/plain", &b);
}

static void name(struct rest_req *req)
{
    rest_answer_text(req, 200, rest_req_capture(req, 0));
}

static struct loop_timer later_timer;
static void later_due(struct loop_timer *t)
{
    (void)t;
    rest_answer_text(held, 200, "later");
    held = NULL;
}
static void later(struct rest_req *req)
{
    held = req;
    loop_timer_start(loop, &later_timer, 30, 0, later_due);
}

static void hold_gone(struct rest_req *req)
{
    gone_count++;
    held = NULL;
    rest_answer_empty(req, 204);
}
static void hold_sent(struct rest_req *req, bool ok)
{
    (void)req;
    sent_ok += ok;
    sent_failed += !ok;
}
static void hold(struct rest_req *req)
{
    held = req;
    req->gone = hold_gone;
    req->sent = hold_sent;
}

static bool deny;
static struct rest_req *asked;
static void authorise_due(struct loop_timer *t)
{
    (void)t;
    struct rest_req *req = asked;
    asked = NULL;
    req->in_handler = true;
    if (deny) {
        rest_answer_error(req, 401, NULL, "no");
    }
    req->in_handler = false;
    rest_http_authorised(req);
}
static struct loop_timer auth_timer;
static bool authorise(struct rest_req *req)
{
    asked = req;
    loop_timer_start(loop, &auth_timer, 5, 0, authorise_due);
    return false;
}

static const struct rest_route table[] = {
    {REST_POST, REST_OPEN, "/v3/echo", echo, 0},   {REST_GET, REST_OPEN, "/v3/name/{}", name, 0},
    {REST_GET, REST_OPEN, "/v2/raw/{*}", name, 0}, {REST_GET, REST_OPEN, "/v3/later", later, 0},
    {REST_GET, REST_OPEN, "/v3/hold", hold, 0},    {REST_POST, REST_READ, "/v3/secret", echo, 0},
};
static const struct rest_routes routes = {table, DR_ARRAY_LEN(table)};
static const struct rest_routes *const all[] = {&routes};

static void setup_with(uint32_t header_ms, uint32_t connections)
{
    struct rest_http_config config = {.name = "test",
                                      .address = "127.0.0.1:0",
                                      .routes = all,
                                      .n_routes = 1,
                                      .authorise = authorise,
                                      .body_max = 1000,
                                      .header_ms = header_ms,
                                      .body_ms = header_ms,
                                      .connections_max = connections};
    gone_count = sent_ok = sent_failed = 0;
    deny = false;
    ck_assert_int_eq(loop_new("control", &loop), DR_OK);
    config.loop = loop;
    struct dr_errinfo info = {0};
    ck_assert_msg(rest_http_new(&config, &http, &info) == DR_OK, "%s", info.text);
    c = calloc(1, sizeof *c);
    r = calloc(1, sizeof *r);
    client_open(c, loop, rest_http_address(http));
}

static void setup(void)
{
    setup_with(0, 0);
}

static void closed(void *data)
{
    *(bool *)data = true;
}

static bool keep_client; /* it gets its answer while the server closes */

static void teardown(void)
{
    if (!keep_client) {
        client_close(c);
    }
    close_reported = false;
    rest_http_close(http, closed, &close_reported);
    for (int i = 0; i < 10000 && !close_reported; i++) {
        client_run(loop, 1);
    }
    ck_assert(close_reported);
    if (keep_client) {
        keep_client = false;
        ck_assert(client_reply(c, r, 1000));
        ck_assert_int_eq(r->status, 204);
        client_close(c);
    }
    http = rest_http_free(http);
    client_run(loop, 5);
    loop = loop_free(loop);
    free(c);
    free(r);
}

START_TEST(answers_and_keeps_the_connection)
{
    for (int i = 0; i < 3; i++) {
        client_printf(c, "GET /v3/name/a%%20b%%2Fc HTTP/1.1\r\nHost: x\r\n\r\n");
        ck_assert(client_reply(c, r, 3000));
        ck_assert_int_eq(r->status, 200);
        ck_assert_str_eq(r->body, "a b/c");
        ck_assert_uint_eq(strlen(reply_header(r, "X-Request-Id")), 32);
    }
}
END_TEST

START_TEST(takes_slashes_as_clients_write_them)
{
    static const char *const targets[] = {"/v3/name/x", "/v3/name/x/", "//v3//name///x/",
                                          "http://host:1/v3/name/x?y=1"};
    for (size_t i = 0; i < DR_ARRAY_LEN(targets); i++) {
        client_printf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", targets[i]);
        ck_assert(client_reply(c, r, 3000));
        ck_assert_msg(r->status == 200 && strcmp(r->body, "x") == 0, "%s", targets[i]);
    }
}
END_TEST

START_TEST(answers_pipelined_requests_in_order)
{
    client_printf(c, "GET /v3/later HTTP/1.1\r\nHost: x\r\n\r\n"
                     "POST /v3/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
                     "GET /v3/name/last HTTP/1.1\r\nHost: x\r\n\r\n");
    static const char *const bodies[] = {"later", "hello", "last"};
    for (int i = 0; i < 3; i++) {
        ck_assert(client_reply(c, r, 3000));
        ck_assert_int_eq(r->status, 200);
        ck_assert_str_eq(r->body, bodies[i]);
    }
}
END_TEST

START_TEST(reads_chunked_bodies_and_expect)
{
    client_printf(c, "POST /v3/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                     "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    ck_assert(client_reply(c, r, 3000));
    ck_assert_str_eq(r->body, "abcde");
    client_printf(c, "POST /v3/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
                     "Expect: 100-continue\r\n\r\n");
    ck_assert(client_reply(c, r, 3000));
    ck_assert_int_eq(r->status, 100);
    client_printf(c, "hi");
    ck_assert(client_reply(c, r, 3000));
    ck_assert_int_eq(r->status, 200);
    ck_assert_str_eq(r->body, "hi");
}
END_TEST

START_TEST(tells_unknown_paths_and_methods_apart)
{
    client_printf(c, "GET /v3/nothing HTTP/1.1\r\nHost: x\r\n\r\n");
    ck_assert(client_reply(c, r, 3000));
    ck_assert_int_eq(r->status, 404);
    ck_assert_ptr_nonnull(strstr(r->body, "\"type\":\"not_found\""));
    ck_assert_ptr_nonnull(strstr(r->body, reply_header(r, "X-Request-Id")));
    client_printf(c, "PATCH /v3/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}");
    ck_assert(client_reply(c, r, 3000));
    ck_assert_int_eq(r->status, 405);
    ck_assert_str_eq(reply_header(r, "Allow"), "POST");
    client_printf(c, "POST /v2/raw/3/0 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    ck_assert(client_reply(c, r, 3000));
    ck_assert_int_eq(r->status, 405);
    ck_assert_str_eq(reply_header(r, "Allow"), "GET, HEAD");
    ck_assert_str_eq(r->body, "METHOD_NOT_ALLOWED");
    client_printf(c, "BREW /v3/echo HTTP/1.1\r\nHost: x\r\n\r\n");
    ck_assert(client_reply(c, r, 3000));
    ck_assert_int_eq(r->status, 405);
}
END_TEST

START_TEST(answers_head_without_a_body)
{
    client_printf(c, "HEAD /v3/name/abc HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    client_run(loop, 50);
    ssize_t n = recv(c->fd, c->buf, sizeof c->buf - 1, 0);
    ck_assert_int_gt(n, 4);
    c->buf[n] = '\0';
    ck_assert_ptr_nonnull(strstr(c->buf, "Content-Length: 3\r\n"));
    ck_assert_str_eq(c->buf + n - 4, "\r\n\r\n");
    ck_assert(client_closed(c, 1000));
}
END_TEST

START_TEST(refuses_bodies_over_the_limit)
{
    client_printf(c, "POST /v3/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n");
    char big[1001];
    memset(big, 'x', sizeof big);
    client_send(c, big, sizeof big);
    ck_assert(client_reply(c, r, 3000));
    ck_assert_int_eq(r->status, 413);
    /* a small surplus is read, so the connection lives on */
    client_printf(c,
                  "POST /v3/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n");
    client_send(c, big, sizeof big);
    client_printf(c, "\r\n0\r\n\r\n");
    ck_assert(client_reply(c, r, 3000));
    ck_assert_int_eq(r->status, 413);
    /* one that is announced as huge is not waited for */
    client_printf(c, "POST /v3/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n");
    ck_assert(client_reply(c, r, 3000));
    ck_assert_int_eq(r->status, 413);
    ck_assert(client_closed(c, 3000));
}
END_TEST

START_TEST(closes_an_endless_chunked_body)
{
    client_printf(c, "POST /v3/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    char chunk[4096 + 16];
    int n = snprintf(chunk, sizeof chunk, "1000\r\n%04096d\r\n", 0);
    for (int i = 0; i < 64; i++) {
        client_send(c, chunk, (size_t)n);
    }
    ck_assert(client_closed(c, 3000));
}
END_TEST

START_TEST(refuses_a_header_over_the_limit)
{
    client_printf(c, "GET /v3/name/x HTTP/1.1\r\nHost: x\r\n");
    for (int i = 0; i < 40; i++) {
        client_printf(c, "X-%d: %01000d\r\n", i, 0);
    }
    client_printf(c, "\r\n");
    bool answered = client_reply(c, r, 3000);
    ck_assert(!answered || r->status == 431 || r->status == 413 || r->status == 400);
    ck_assert(client_closed(c, 3000));
}
END_TEST

START_TEST(closes_a_client_that_trickles_its_header)
{
    teardown();
    setup_with(1500, 0);
    uint64_t start = dr_mono_ms();
    client_printf(c, "GET /v3/name/x HTTP/1.1\r\n");
    bool over = false;
    while (!over && dr_mono_ms() < start + 6000) {
        client_printf(c, "X");
        over = client_closed(c, 100);
    }
    ck_assert(over);
    ck_assert_uint_ge(dr_mono_ms() - start, 1400);
}
END_TEST

START_TEST(closes_a_client_that_trickles_its_body)
{
    teardown();
    setup_with(1500, 0);
    uint64_t start = dr_mono_ms();
    client_printf(c, "POST /v3/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n");
    bool over = false;
    while (!over && dr_mono_ms() < start + 6000) {
        client_printf(c, "X");
        over = client_closed(c, 100);
    }
    ck_assert(over);
}
END_TEST

START_TEST(takes_no_more_connections_than_its_maximum)
{
    teardown();
    setup_with(0, 2);
    static struct client more[3];
    client_printf(c, "GET /v3/name/x HTTP/1.1\r\nHost: x\r\n\r\n");
    ck_assert(client_reply(c, r, 3000));
    for (int i = 0; i < 3; i++) {
        client_open(&more[i], loop, rest_http_address(http));
        client_printf(&more[i], "GET /v3/name/x HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    ck_assert(client_reply(&more[0], r, 3000));
    ck_assert(!client_reply(&more[1], r, 100));
    struct rest_http_stats stats;
    rest_http_stats(http, &stats);
    ck_assert_uint_eq(stats.open, 2);
    client_close(&more[0]);
    ck_assert(client_reply(&more[1], r, 3000)); /* it had waited in the backlog */
    ck_assert_int_eq(r->status, 200);
    client_close(&more[1]);
    client_close(&more[2]);
}
END_TEST

START_TEST(a_hang_up_is_told_to_a_waiting_handler)
{
    client_printf(c, "GET /v3/hold HTTP/1.1\r\nHost: x\r\n\r\n");
    client_run(loop, 30);
    ck_assert_ptr_nonnull(held);
    client_close(c);
    client_run(loop, 50);
    ck_assert_int_eq(gone_count, 1);
    ck_assert_int_eq(sent_ok + sent_failed, 1);
    struct rest_http_stats stats;
    rest_http_stats(http, &stats);
    ck_assert_uint_eq(stats.open, 0);
    ck_assert_uint_eq(stats.waiting, 0);
}
END_TEST

START_TEST(sent_is_told_when_the_answer_is_out)
{
    client_printf(c, "GET /v3/hold HTTP/1.1\r\nHost: x\r\n\r\n");
    client_run(loop, 30);
    ck_assert_ptr_nonnull(held);
    rest_answer_text(held, 200, "now");
    ck_assert(client_reply(c, r, 3000));
    ck_assert_str_eq(r->body, "now");
    client_run(loop, 10);
    ck_assert_int_eq(sent_ok, 1);
    ck_assert_int_eq(gone_count, 0);
}
END_TEST

START_TEST(closing_releases_waiting_handlers)
{
    client_printf(c, "GET /v3/hold HTTP/1.1\r\nHost: x\r\n\r\n");
    client_run(loop, 30);
    ck_assert_ptr_nonnull(held);
    keep_client = true; /* teardown closes: gone must be called and the answer sent */
}
END_TEST

START_TEST(asks_for_the_key_before_the_body)
{
    deny = true;
    client_printf(c, "POST /v3/secret HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n");
    ck_assert(client_reply(c, r, 3000));
    ck_assert_int_eq(r->status, 401);
    ck_assert(client_closed(c, 3000));
    client_open(c, loop, rest_http_address(http));
    deny = false;
    client_printf(c, "POST /v3/secret HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok");
    ck_assert(client_reply(c, r, 3000));
    ck_assert_str_eq(r->body, "ok");
    deny = true;
    client_printf(c, "POST /v3/secret HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok");
    ck_assert(client_reply(c, r, 3000));
    ck_assert_int_eq(r->status, 401); /* and this time the connection stays */
    client_printf(c, "GET /v3/name/x HTTP/1.1\r\nHost: x\r\n\r\n");
    ck_assert(client_reply(c, r, 3000));
    ck_assert_int_eq(r->status, 200);
}
END_TEST

START_TEST(refuses_malformed_targets)
{
    static const char *const targets[] = {"/v3/name/%zz", "/v3/name/%00", "/v3/name/%ff", "x"};
    for (size_t i = 0; i < DR_ARRAY_LEN(targets); i++) {
        ck_assert(client_call(loop, rest_http_address(http), "GET", targets[i], "", NULL, r));
        ck_assert_msg(r->status == 400, "%s gave %d", targets[i], r->status);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("rest http");
    TCase *tc = tcase_create("server");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, answers_and_keeps_the_connection);
    tcase_add_test(tc, takes_slashes_as_clients_write_them);
    tcase_add_test(tc, answers_pipelined_requests_in_order);
    tcase_add_test(tc, reads_chunked_bodies_and_expect);
    tcase_add_test(tc, tells_unknown_paths_and_methods_apart);
    tcase_add_test(tc, answers_head_without_a_body);
    tcase_add_test(tc, refuses_bodies_over_the_limit);
    tcase_add_test(tc, closes_an_endless_chunked_body);
    tcase_add_test(tc, refuses_a_header_over_the_limit);
    tcase_add_test(tc, closes_a_client_that_trickles_its_header);
    tcase_add_test(tc, closes_a_client_that_trickles_its_body);
    tcase_add_test(tc, takes_no_more_connections_than_its_maximum);
    tcase_add_test(tc, a_hang_up_is_told_to_a_waiting_handler);
    tcase_add_test(tc, sent_is_told_when_the_answer_is_out);
    tcase_add_test(tc, closing_releases_waiting_handlers);
    tcase_add_test(tc, asks_for_the_key_before_the_body);
    tcase_add_test(tc, refuses_malformed_targets);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed;
}
