/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/integ/coap/test_streams.c
 * @brief Two engines over TCP and TLS, in both framings: what layers above see is the same.
 */
#include <unistd.h>

#include "coap/conn.h"
#include "tests/integ/coap/rig.h"
#include "tests/unit/coap/dtls_fixture.h"
#include "tests/unit/run.h"

static struct rig r;
static struct fx_cert *ca, *own, *device;

static const struct {
    const char *name, *identity;
    enum cx_framing framing;
} kinds[] = {
    {"TCP, RFC 8323", NULL, CX_FRAMING_RFC8323},
    {"TCP, datagrams behind a length", NULL, CX_FRAMING_DATAGRAM},
    {"TLS with PSK, RFC 8323", "dev-1", CX_FRAMING_RFC8323},
    {"TLS with PSK, a message a record", "dev-1", CX_FRAMING_DATAGRAM},
    {"TLS with certificates, RFC 8323", RIG_CERT, CX_FRAMING_RFC8323},
    {"TLS with certificates, a message a record", RIG_CERT, CX_FRAMING_DATAGRAM},
};
#define KINDS ((int)DR_ARRAY_LEN(kinds))

static void with_limits(const struct cx_limits *server)
{
    rig_init(&r, server, NULL);
    ca = fx_cert_new("test ca", NULL, true, -1, 30);
    own = fx_cert_new("server", ca, false, -1, 30);
    device = fx_cert_new("device-7", ca, false, -1, 30);
    struct cx_anchor anchor = {.der = ca->der, .len = ca->der_len, .tag = 99};
    struct cx_security_config sc = {
        .cert_pem = own->cert_pem, .key_pem = own->key_pem, .anchors = &anchor, .n_anchors = 1};
    struct cx_security_config cc = {.cert_pem = device->cert_pem,
                                    .key_pem = device->key_pem,
                                    .anchors = &anchor,
                                    .n_anchors = 1,
                                    .client = true};
    rig_reload(&r, &sc, &cc);
    rig_listen(&r);
}

static void set_up(void)
{
    with_limits(NULL);
}

static void tear_down(void)
{
    rig_fini(&r);
    ca = fx_cert_free(ca);
    own = fx_cert_free(own);
    device = fx_cert_free(device);
}

static cx_peer_t open_kind(int i)
{
    return rig_stream(&r, 1, kinds[i].identity, kinds[i].framing);
}

static void expect(const struct rig_call *c, uint8_t code, const void *body, size_t len)
{
    ck_assert_int_eq(c->err, DR_OK);
    ck_assert_uint_eq(c->code, code);
    ck_assert_uint_eq(c->len, len);
    ck_assert(len == 0 || memcmp(c->body, body, len) == 0);
}

START_TEST(requests_small_and_large_are_answered)
{
    cx_peer_t peer = open_kind(_i);

    expect(rig_call(&r, r.client.engine, peer, CX_POST, "echo", "hello", 5), CX_CONTENT, "hello",
           5);
    expect(rig_call(&r, r.client.engine, peer, CX_GET, "big", NULL, 0), CX_CONTENT, rig_big(),
           BIG_LEN);
    expect(rig_call(&r, r.client.engine, peer, CX_POST, "echo", rig_big(), BIG_LEN), CX_CONTENT,
           rig_big(), BIG_LEN);
    expect(rig_call(&r, r.client.engine, peer, CX_GET, "nothing", NULL, 0), CX_NOT_FOUND, NULL, 0);
    ck_assert_int_eq(cx_peer_proto(r.server.engine, r.server.last_peer),
                     kinds[_i].identity != NULL ? CX_PROTO_TLS : CX_PROTO_TCP);
    struct cx_stats s = rig_stats(r.server.engine);
    ck_assert_uint_eq(s.streams, 1);
    ck_assert_uint_eq(s.streams_accepted, 1);
    ck_assert_uint_eq(s.malformed + s.duplicates + s.retransmissions, 0);
}
END_TEST

START_TEST(the_server_knows_who_it_is)
{
    cx_peer_t peer = open_kind(_i);

    rig_call(&r, r.client.engine, peer, CX_POST, "echo", "x", 1);
    if (kinds[_i].identity == NULL) {
        ck_assert_int_eq(r.server.who.kind, CX_ID_NONE);
    } else if (strcmp(kinds[_i].identity, RIG_CERT) == 0) {
        ck_assert_int_eq(r.server.who.kind, CX_ID_CERT);
        ck_assert_str_eq(r.server.who_name, "device-7");
        ck_assert_uint_eq(r.server.cert_tag, 99);
        ck_assert_int_eq(r.server.who.account, 33);
    } else {
        ck_assert_int_eq(r.server.who.kind, CX_ID_PSK);
        ck_assert_str_eq(r.server.who_name, "dev-1");
        ck_assert_int_eq(r.server.who.account, 11);
    }
}
END_TEST

START_TEST(the_server_asks_its_client_too)
{
    cx_peer_t peer = open_kind(_i);

    rig_call(&r, r.client.engine, peer, CX_POST, "echo", "x", 1);
    cx_peer_t back = r.server.last_peer;
    expect(rig_call(&r, r.server.engine, back, CX_PUT, "echo", "from above", 10), CX_CONTENT,
           "from above", 10);
    expect(rig_call(&r, r.server.engine, back, CX_PUT, "echo", rig_big(), BIG_LEN), CX_CONTENT,
           rig_big(), BIG_LEN);
    expect(rig_call(&r, r.server.engine, back, CX_GET, "big", NULL, 0), CX_CONTENT, rig_big(),
           BIG_LEN);
}
END_TEST

START_TEST(an_answer_may_come_late)
{
    cx_peer_t peer = open_kind(_i);
    struct rig_call *c =
        rig_call_start(r.client.engine, &r.calls[0], peer, CX_GET, "later", NULL, 0);

    RIG_UNTIL(&r, r.later != 0);
    rig_pause(&r, 1100); /* over the time of the empty ACK */
    ck_assert_uint_eq(c->done, 0);
    struct cx_reply reply = {
        .code = CX_CONTENT, .payload = (const uint8_t *)"late", .payload_len = 4};
    ck_assert_int_eq(cx_answer(r.server.engine, r.later, &reply), DR_OK);
    RIG_UNTIL(&r, c->done > 0);
    expect(c, CX_CONTENT, "late", 4);
}
END_TEST

START_TEST(notifications_arrive)
{
    cx_peer_t peer = open_kind(_i);
    struct rig_call *c = &r.calls[1];

    rig_call(&r, r.client.engine, peer, CX_POST, "echo", "x", 1);
    for (unsigned i = 0; i < 3; i++) {
        memset(c, 0, sizeof *c);
        rig_call_start(r.client.engine, c, peer, CX_CONTENT, "v", "42", 2);
        RIG_UNTIL(&r, c->done > 0);
        ck_assert_int_eq(c->err, DR_OK);
        RIG_UNTIL(&r, r.server.notifications == i + 1);
        ck_assert_uint_eq(r.server.body_len, 2);
    }
}
END_TEST

START_TEST(both_sides_hear_of_the_end)
{
    cx_peer_t peer = open_kind(_i);

    rig_call(&r, r.client.engine, peer, CX_POST, "echo", "x", 1);
    cx_peer_set_user(r.server.engine, r.server.last_peer, 5);
    struct rig_call *open =
        rig_call_start(r.client.engine, &r.calls[2], peer, CX_GET, "later", NULL, 0);
    RIG_UNTIL(&r, r.later != 0);
    cx_peer_close(r.server.engine, r.server.last_peer); /* a credential is revoked */
    RIG_UNTIL(&r, r.server.gone == 1 && r.client.gone == 1 && open->done == 1);
    ck_assert_int_eq(r.server.gone_why, CX_GONE_CLOSED);
    ck_assert_uint_eq(r.server.gone_user, 5);
    ck_assert_int_eq(open->err, DR_ERR_GONE);
    ck_assert_uint_eq(rig_stats(r.server.engine).streams, 0);
    ck_assert_uint_eq(rig_stats(r.client.engine).streams, 0);
    ck_assert_uint_eq(rig_stats(r.server.engine).peers, 0);

    peer = open_kind(_i);
    rig_call(&r, r.client.engine, peer, CX_POST, "echo", "x", 1);
    cx_peer_abandon(r.client.engine, peer);
    RIG_UNTIL(&r, r.server.gone == 2);
}
END_TEST

START_TEST(a_goodbye_ends_connections)
{
    cx_peer_t peer = open_kind(_i);

    rig_call(&r, r.client.engine, peer, CX_POST, "echo", "x", 1);
    cx_engine_goodbye(r.server.engine);
    rig_close(&r.server);
    RIG_UNTIL(&r, r.client.gone == 1);
    ck_assert_int_eq(r.client.gone_why, CX_GONE_CLOSED);
}
END_TEST

static dr_err_t fails(const struct cx_connect *c, bool cancel)
{
    unsigned before = r.connects;
    cx_peer_t peer = rig_connect_with(&r, c);

    if (cancel) {
        cx_peer_close(r.client.engine, peer);
    }
    RIG_UNTIL(&r, r.connects == before + 1);
    ck_assert_uint_eq(r.client.gone, 0); /* cb has said it */
    ck_assert_uint_eq(rig_stats(r.client.engine).streams, 0);
    ck_assert_uint_eq(rig_stats(r.client.engine).peers, 0);
    return r.connect_err;
}

START_TEST(connections_that_fail_say_why)
{
    struct cx_connect c = rig_stream_args(&r, 1, NULL, CX_FRAMING_RFC8323);

    c.remote.in4.sin_port = htons(9); /* nobody there */
    ck_assert_int_eq(fails(&c, false), DR_ERR_RESET);
    c = rig_stream_args(&r, 1, NULL, CX_FRAMING_RFC8323);
    ck_assert_int_eq(fails(&c, true), DR_ERR_CANCELED);
    c = rig_stream_args(&r, 1, "unknown-1", CX_FRAMING_RFC8323);
    ck_assert_int_eq(fails(&c, false), DR_ERR_CRYPTO);
    c = rig_stream_args(&r, 1, RIG_CERT, CX_FRAMING_DATAGRAM);
    c.remote = r.tcp; /* no TLS there */
    ck_assert_int_ne(fails(&c, false), DR_OK);
    c = rig_stream_args(&r, 1, "dev-1", CX_FRAMING_RFC8323);
    c.psk_key_len = CX_CRED_KEY_MAX + 1;
    cx_peer_t peer;
    ck_assert_int_eq(cx_connect(r.client.engine, &c, &peer), DR_ERR_INVAL);
    ck_assert_uint_eq(r.server.requests, 0);
}
END_TEST

START_TEST(closing_the_engine_cancels_what_connects)
{
    struct cx_connect c = rig_stream_args(&r, 1, RIG_CERT, CX_FRAMING_RFC8323);

    (void)rig_connect_with(&r, &c);
    loop_run_once(r.loop, true);
    rig_close(&r.client);
    ck_assert_uint_eq(r.connects, 1);
    ck_assert_int_eq(r.connect_err, DR_ERR_CANCELED);
}
END_TEST

static void set_up_one(void)
{
    static const struct cx_limits one = {.streams_max = 1};

    rig_init(&r, NULL, &one);
    rig_listen(&r);
}

START_TEST(a_client_has_limits_too)
{
    struct cx_connect c = rig_stream_args(&r, 1, NULL, CX_FRAMING_RFC8323);
    cx_peer_t first = rig_stream(&r, 1, NULL, CX_FRAMING_RFC8323), peer;

    ck_assert_int_eq(cx_connect(r.client.engine, &c, &peer), DR_ERR_LIMIT);
    cx_peer_close(r.client.engine, first);
    RIG_UNTIL(&r, r.client.gone == 1);
    (void)rig_stream(&r, 1, NULL, CX_FRAMING_RFC8323);
}
END_TEST

START_TEST(only_listening_sockets_are_adopted)
{
    union cx_addr any = {.in4 = {.sin_family = AF_INET}};
    int fd;

    ck_assert_int_eq(cx_sockets_open(&any, 1, &fd), DR_OK);
    ck_assert_int_eq(cx_engine_adopt(r.server.engine, fd, CX_PROTO_TCP), DR_ERR_IO);
    ck_assert_int_eq(close(fd), 0);                    /* it is still ours */
    for (unsigned i = 2; i <= CX_LISTENERS_MAX; i++) { /* the rig has two already */
        any = (union cx_addr){.in4 = {.sin_family = AF_INET}};
        ck_assert_int_eq(cx_listeners_open(&any, 1, &fd), DR_OK);
        ck_assert_int_eq(cx_engine_adopt(r.client.engine, fd, CX_PROTO_TLS), DR_ERR_INVAL);
        ck_assert_int_eq(cx_engine_adopt(r.server.engine, fd, CX_PROTO_TCP),
                         i < CX_LISTENERS_MAX ? DR_OK : DR_ERR_LIMIT);
    }
    ck_assert_int_eq(close(fd), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("streams");
    TCase *tc = add_case(s, "each kind");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, requests_small_and_large_are_answered, 0, KINDS);
    tcase_add_loop_test(tc, the_server_knows_who_it_is, 0, KINDS);
    tcase_add_loop_test(tc, the_server_asks_its_client_too, 0, KINDS);
    tcase_add_loop_test(tc, an_answer_may_come_late, 0, KINDS);
    tcase_add_loop_test(tc, notifications_arrive, 0, KINDS);
    tcase_add_loop_test(tc, both_sides_hear_of_the_end, 0, KINDS);
    tcase_add_loop_test(tc, a_goodbye_ends_connections, 0, KINDS);
    tc = add_case(s, "failures");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, connections_that_fail_say_why);
    tcase_add_test(tc, closing_the_engine_cancels_what_connects);
    tcase_add_test(tc, only_listening_sockets_are_adopted);
    tc = add_case(s, "one connection");
    tcase_add_checked_fixture(tc, set_up_one, tear_down);
    tcase_add_test(tc, a_client_has_limits_too);
    return run_suite(s);
}
