/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/integ/coap/test_engine_dtls.c
 * @brief Handshakes of the engine: credentials, questions that wait, floods, certificates, reload.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "coap/half.h"
#include "tests/integ/coap/rig.h"
#include "tests/unit/coap/dtls_fixture.h"

static struct rig r;

static void set_up(void)
{
    rig_init(&r, NULL, NULL);
}

static void tear_down(void)
{
    rig_fini(&r);
}

static dr_err_t connect_result(unsigned host, const char *identity)
{
    unsigned before = r.connects;

    (void)rig_connect_start(&r, host, identity);
    RIG_UNTIL(&r, r.connects == before + 1);
    return r.connect_err;
}

START_TEST(a_wrong_key_and_an_unknown_identity_fail_alike)
{
    struct cx_stats at_start = rig_stats(r.server.engine);

    ck_assert_int_eq(connect_result(1, "wrong-1"), DR_ERR_CRYPTO);
    struct cx_stats wrong = rig_stats(r.server.engine);
    ck_assert_int_eq(connect_result(2, "nobody-1"), DR_ERR_CRYPTO);
    struct cx_stats unknown = rig_stats(r.server.engine);
    RIG_UNTIL(&r, rig_stats(r.server.engine).half_open == 0);
    ck_assert_uint_eq(wrong.handshakes_failed, at_start.handshakes_failed + 1);
    ck_assert_uint_eq(unknown.handshakes_failed, wrong.handshakes_failed + 1);
    ck_assert_uint_eq(wrong.tx_bytes - at_start.tx_bytes, unknown.tx_bytes - wrong.tx_bytes);
    ck_assert_uint_eq(unknown.peers, 0);
    ck_assert_uint_eq(rig_stats(r.client.engine).peers, 0);
    ck_assert_uint_eq(r.client.gone, 0); /* it never was */
}
END_TEST

static void answer_slow(bool known)
{
    struct cx_identity id = {.kind = CX_ID_PSK, .account = 5, .name = "slow-1"};

    cx_psk_answer(r.server.engine, r.server.psk_handle, known ? rig_key : NULL,
                  known ? sizeof(rig_key) : 0, known ? &id : NULL);
}

START_TEST(the_answer_to_a_psk_question_may_come_late)
{
    cx_peer_t peer = rig_connect_start(&r, 1, "slow-1");
    struct rig_call refused = {.call = {.peer = peer, .code = CX_GET, .cb = (cx_call_cb *)abort}};

    ck_assert_int_eq(cx_call_start(r.client.engine, &refused.call), DR_ERR_BUSY);
    RIG_UNTIL(&r, r.server.psk_asked == 1);
    rig_pause(&r, 300);
    ck_assert_uint_eq(r.connects, 0);
    ck_assert_uint_eq(rig_stats(r.server.engine).half_open, 1);
    answer_slow(true);
    RIG_UNTIL(&r, r.connects == 1);
    ck_assert_int_eq(r.connect_err, DR_OK);
    ck_assert_int_eq(rig_call(&r, r.client.engine, peer, CX_GET, "echo", NULL, 0)->err, DR_OK);
    ck_assert_str_eq(r.server.who_name, "slow-1");
    ck_assert_int_eq(r.server.who.account, 5);
    answer_slow(true); /* twice, and too late: ignored */
    ck_assert_uint_eq(r.server.psk_asked, 1);
}
END_TEST

START_TEST(a_late_no_is_a_no)
{
    (void)rig_connect_start(&r, 1, "slow-1");
    RIG_UNTIL(&r, r.server.psk_asked == 1);
    answer_slow(false);
    RIG_UNTIL(&r, r.connects == 1);
    ck_assert_int_eq(r.connect_err, DR_ERR_CRYPTO);
    RIG_UNTIL(&r, rig_stats(r.server.engine).half_open == 0);
}
END_TEST

START_TEST(a_question_without_answer_ends_with_a_timeout)
{
    static const struct cx_timing hasty = {
        .ack_timeout_ms = 50, .random_factor_pct = 100, .retransmit_max = 2};
    struct cx_connect c = rig_connect_args(&r, 1, "slow-1");
    cx_peer_t peer;

    c.timing = &hasty;
    ck_assert_int_eq(cx_connect(r.client.engine, &c, &peer), DR_OK);
    RIG_UNTIL(&r, r.connects == 1);
    ck_assert_int_eq(r.connect_err, DR_ERR_TIMEOUT);
    ck_assert_uint_eq(r.server.psk_asked, 1);
    ck_assert_uint_eq(rig_stats(r.server.engine).half_open, 1);

    /* The server gives up too; the clock of the test is a minute's worth of patience. */
    struct cx_engine *e = r.server.engine;
    struct cx_half *h = dr_slab_get(&e->halves, dr_slab_next(&e->halves, 0));
    h->give_up_ms = 1;
    dr_timer_start(loop_wheel(r.loop), &h->timer, 1);
    RIG_UNTIL(&r, rig_stats(e).half_open == 0);
    answer_slow(true);
    ck_assert_uint_eq(rig_stats(e).peers, 0);
}
END_TEST

START_TEST(a_client_may_stop_connecting)
{
    cx_peer_t peer = rig_connect_start(&r, 1, "slow-1");

    RIG_UNTIL(&r, r.server.psk_asked == 1);
    cx_peer_close(r.client.engine, peer);
    ck_assert_uint_eq(r.connects, 0);
    RIG_UNTIL(&r, r.connects == 1);
    ck_assert_int_eq(r.connect_err, DR_ERR_CANCELED);
    ck_assert_uint_eq(rig_stats(r.client.engine).peers, 0);
    ck_assert_uint_eq(rig_stats(r.client.engine).half_open, 0);
}
END_TEST

START_TEST(a_new_handshake_from_the_address_replaces_the_association_when_complete)
{
    cx_peer_t first = rig_connect(&r, 1, "dev-1");
    struct rig_call *c;

    (void)rig_call(&r, r.client.engine, first, CX_GET, "echo", NULL, 0);
    cx_peer_t device = r.server.last_peer;
    cx_peer_set_user(r.server.engine, device, 41);
    cx_peer_t second = rig_connect_start(&r, 1, "slow-1");
    RIG_UNTIL(&r, r.server.psk_asked == 2);

    /* The old one lives while the new one waits. */
    c = rig_call(&r, r.client.engine, first, CX_POST, "echo", "old", 3);
    ck_assert_int_eq(c->err, DR_OK);
    ck_assert_uint_eq(r.server.last_peer, device);
    c = rig_call(&r, r.server.engine, device, CX_POST, "echo", "back", 4);
    ck_assert_int_eq(c->err, DR_OK);
    ck_assert_uint_eq(r.server.gone + r.client.gone, 0);

    answer_slow(true);
    RIG_UNTIL(&r, r.connects == 2 && r.server.gone == 1 && r.client.gone == 1);
    ck_assert_int_eq(r.connect_err, DR_OK);
    ck_assert_int_eq(r.server.gone_why, CX_GONE_REPLACED);
    ck_assert_uint_eq(r.server.gone_user, 41);
    ck_assert_uint_eq(r.client.gone_peer, first);
    c = rig_call(&r, r.client.engine, second, CX_POST, "echo", "new", 3);
    ck_assert_int_eq(c->err, DR_OK);
    ck_assert_uint_ne(r.server.last_peer, device);
    ck_assert_str_eq(r.server.who_name, "slow-1");
    ck_assert_uint_eq(rig_stats(r.server.engine).associations, 1);
}
END_TEST

START_TEST(a_failed_handshake_leaves_the_old_association_alone)
{
    cx_peer_t peer = rig_connect(&r, 1, "dev-1");

    (void)rig_call(&r, r.client.engine, peer, CX_GET, "echo", NULL, 0);
    ck_assert_int_eq(connect_result(1, "nobody-1"), DR_ERR_CRYPTO);
    struct rig_call *c = rig_call(&r, r.client.engine, peer, CX_POST, "echo", "old", 3);
    ck_assert_int_eq(c->err, DR_OK);
    ck_assert_uint_eq(r.server.gone + r.client.gone, 0);
}
END_TEST

/* ---- floods ---- */

static int socket_from(unsigned host)
{
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f020000 + host)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
    ck_assert_int_eq(connect(fd, &r.secure.sa, sizeof(r.secure.in4)), 0);
    return fd;
}

static size_t make_hello(uint8_t *buf, size_t cap)
{
    struct dtls_handshake_config config = {.security = r.client.security,
                                           .psk_identity = "dev-1",
                                           .psk_key = rig_key,
                                           .psk_key_len = sizeof(rig_key)};
    struct dtls_handshake *hs;

    ck_assert_int_eq(dtls_handshake_client(&config, r.client.engine->crypto, dr_mono_ms(), &hs),
                     DR_OK);
    size_t n = dtls_handshake_output(hs, buf, cap);
    (void)dtls_handshake_free(hs);
    return n;
}

START_TEST(hellos_without_a_cookie_make_no_state)
{
    uint8_t hello[CX_DGRAM_MAX];
    size_t len = make_hello(hello, sizeof(hello));

    for (unsigned i = 0; i < 500; i++) {
        int fd = socket_from(i);

        ck_assert_int_eq(send(fd, hello, len, 0), len);
        close(fd);
        if (i % 50 == 49) {
            loop_run_once(r.loop, true);
        }
    }
    RIG_UNTIL(&r, rig_stats(r.server.engine).rx_datagrams == 500);
    struct cx_stats st = rig_stats(r.server.engine);
    ck_assert_uint_eq(st.hello_verify_sent, 500);
    ck_assert_uint_eq(st.handshakes_started, 0);
    ck_assert_uint_eq(st.half_open, 0);
    ck_assert_uint_le(st.tx_bytes, st.rx_bytes); /* no amplifier */
    ck_assert_uint_eq(r.server.engine->halves.chunks != NULL && r.server.engine->halves.count, 0);
}
END_TEST

START_TEST(half_open_handshakes_are_bounded)
{
    struct cx_limits limits = {.half_open_max = 10};

    rig_fini(&r);
    rig_init(&r, &limits, NULL);
    for (unsigned i = 0; i < 30; i++) {
        (void)rig_connect_start(&r, i + 1, "slow-1");
    }
    RIG_UNTIL(&r, rig_stats(r.server.engine).half_open_refused >= 20);
    ck_assert_uint_eq(rig_stats(r.server.engine).half_open, 10);
    ck_assert_uint_eq(rig_stats(r.server.engine).handshakes_started, 10);
}
END_TEST

START_TEST(those_who_hold_places_without_going_on_make_room)
{
    struct cx_limits limits = {.half_open_max = 3};
    struct cx_engine *e;

    rig_fini(&r);
    rig_init(&r, &limits, NULL);
    e = r.server.engine;
    for (unsigned i = 0; i < 3; i++) {
        (void)rig_connect_start(&r, i + 1, "slow-1");
        RIG_UNTIL(&r, r.server.psk_asked == i + 1);
    }
    (void)rig_connect_start(&r, 9, "dev-9");
    RIG_UNTIL(&r, rig_stats(e).half_open_refused == 1);
    /* The first one has been there for long. */
    struct cx_half *first = DR_LIST_FIRST(&e->served, struct cx_half, node);
    first->give_up_ms -= CX_HALF_SPARED_MS;
    RIG_UNTIL(&r, r.connects == 1); /* the hello is repeated */
    ck_assert_int_eq(r.connect_err, DR_OK);
    ck_assert_uint_eq(rig_stats(e).half_open, 2);
    ck_assert_uint_eq(rig_stats(e).handshakes_failed, 1);
}
END_TEST

START_TEST(the_client_may_not_shake_more_hands_than_its_limit)
{
    struct cx_limits limits = {.half_open_max = 2};
    cx_peer_t peer = 0;

    rig_fini(&r);
    rig_init(&r, NULL, &limits);
    (void)rig_connect_start(&r, 1, "slow-1");
    (void)rig_connect_start(&r, 2, "slow-1");
    struct cx_connect c = rig_connect_args(&r, 3, "slow-1");
    ck_assert_int_eq(cx_connect(r.client.engine, &c, &peer), DR_ERR_LIMIT);
    c = rig_connect_args(&r, 2, "slow-1");
    ck_assert_int_eq(cx_connect(r.client.engine, &c, &peer), DR_ERR_EXISTS);
    ck_assert_uint_eq(peer, 0);
}
END_TEST

START_TEST(above_the_share_of_time_new_hellos_wait)
{
    struct cx_engine *e = r.server.engine;
    cx_peer_t old = rig_connect(&r, 1, "dev-1");

    e->hs_credit_ns = INT64_MIN / 2;
    (void)rig_connect_start(&r, 2, "dev-2");
    RIG_UNTIL(&r, rig_stats(e).half_open_refused >= 1);
    ck_assert_int_eq(rig_call(&r, r.client.engine, old, CX_GET, "echo", NULL, 0)->err, DR_OK);
    ck_assert_uint_eq(r.connects, 1);
    e->hs_credit_ns = 0;
    RIG_UNTIL(&r, r.connects == 2); /* its hello is repeated */
    ck_assert_int_eq(r.connect_err, DR_OK);
}
END_TEST

START_TEST(time_is_credited_and_bounded)
{
    struct cx_engine *e = r.server.engine;

    e->hs_credit_ns = -1000;
    (void)rig_connect(&r, 1, NULL);
    rig_pause(&r, 20);
    (void)rig_call(&r, r.client.engine, r.connected_peer, CX_GET, "echo", NULL, 0);
    ck_assert_int_gt(e->hs_credit_ns, 0);
    e->turn_ended_ns = e->turn_began_ns = 1; /* asleep for ages */
    (void)rig_call(&r, r.client.engine, r.connected_peer, CX_GET, "echo", NULL, 0);
    ck_assert_int_le(e->hs_credit_ns, CX_HS_CREDIT_NS);
}
END_TEST

/* ---- junk ---- */

START_TEST(junk_does_no_harm)
{
    cx_peer_t secure = rig_connect(&r, 1, "dev-1");
    uint8_t hello[CX_DGRAM_MAX];
    size_t len = make_hello(hello, sizeof(hello));
    unsigned seed = 4711;

    for (unsigned i = 0; i < 3000; i++) {
        uint8_t bytes[CX_DGRAM_MAX];
        size_t n = i % 3 == 0 ? (size_t)(rand_r(&seed) % 200) : len;
        int fd = socket_from(i % 7);

        memcpy(bytes, hello, len);
        for (unsigned k = 0; k < 1 + i % 20; k++) {
            bytes[(unsigned)rand_r(&seed) % (k % 2 == 0 ? 30 : len)] = (uint8_t)rand_r(&seed);
        }
        ck_assert_int_ge(send(fd, bytes, n, 0), 0);
        close(fd);
        if (i % 32 == 31) {
            loop_run_once(r.loop, true);
        }
    }
    RIG_UNTIL(&r, rig_stats(r.server.engine).rx_datagrams >= 3000);
    ck_assert_uint_eq(rig_stats(r.server.engine).half_open, 0);
    ck_assert_int_eq(rig_call(&r, r.client.engine, secure, CX_GET, "echo", NULL, 0)->err, DR_OK);
}
END_TEST

START_TEST(forged_records_do_not_disturb_an_association)
{
    cx_peer_t peer = rig_connect(&r, 1, "dev-1");
    union cx_addr client;
    union cx_addr from = {0};
    socklen_t len = sizeof(from);

    (void)rig_call(&r, r.client.engine, peer, CX_GET, "echo", NULL, 0);
    ck_assert(cx_peer_addr(r.server.engine, r.server.last_peer, &client));
    /* A datagram with the client's own address, sent through its socket behind its back. */
    int fd = cx_sock_fd(r.client.engine->socks[1].sock);
    ck_assert_int_eq(getsockname(fd, &from.sa, &len), 0);
    static const uint8_t types[] = {20, 21, 22, 23, 24, 25, 26};
    for (size_t i = 0; i < sizeof(types); i++) {
        struct cx_flow flow;
        uint8_t rec[40] = {types[i], 0xfe, 0xfd, 0, 1, [10] = (uint8_t)(50 + i), [12] = 27};

        cx_flow_set(&flow, 1, &r.secure, &client);
        uint8_t *out = cx_sock_reserve(r.client.engine->socks[1].sock);
        memcpy(out, rec, sizeof(rec));
        cx_sock_commit(r.client.engine->socks[1].sock, sizeof(rec), &flow);
    }
    uint64_t before = rig_stats(r.server.engine).bad_records;
    struct rig_call *c = rig_call(&r, r.client.engine, peer, CX_POST, "echo", "on", 2);
    ck_assert_int_eq(c->err, DR_OK);
    ck_assert_uint_ge(rig_stats(r.server.engine).bad_records, before + 4);
    ck_assert_uint_eq(r.server.gone, 0);
}
END_TEST

static enum cx_verdict bad_wire(void *data, bool out, const uint8_t *bytes, size_t len)
{
    unsigned *seed = data;

    (void)out;
    (void)bytes;
    (void)len;
    switch (rand_r(seed) % 12) {
    case 0:
    case 1:
        return CX_DROP;
    case 2:
        return CX_DUPLICATE;
    case 3:
        return CX_HOLD;
    default:
        return CX_PASS;
    }
}

START_TEST(a_bad_wire_is_survived)
{
    static const struct cx_timing hasty = {.ack_timeout_ms = 150,
                                           .random_factor_pct = 120,
                                           .retransmit_max = 8,
                                           .response_timeout_ms = 20000};
    unsigned seed = 20;
    cx_peer_t peers[12];

    ck_assert_int_eq(cx_engine_set_filter(r.client.engine, bad_wire, &seed), DR_OK);
    for (unsigned i = 0; i < DR_ARRAY_LEN(peers); i++) {
        struct cx_connect c = rig_connect_args(&r, i + 1, "dev-1");

        c.timing = &hasty;
        ck_assert_int_eq(cx_connect(r.client.engine, &c, &peers[i]), DR_OK);
    }
    uint64_t end = dr_mono_ms() + 25000;
    while (r.connects < DR_ARRAY_LEN(peers) && dr_mono_ms() < end) {
        loop_run_once(r.loop, true);
    }
    ck_assert_uint_eq(r.connects, DR_ARRAY_LEN(peers));
    ck_assert_int_eq(r.connect_err, DR_OK);
    rig_timing = &hasty;
    for (unsigned i = 0; i < DR_ARRAY_LEN(peers); i++) {
        (void)rig_call_start(r.client.engine, &r.calls[i], peers[i], CX_PUT, "echo", rig_big(),
                             3000);
    }
    for (unsigned i = 0; i < DR_ARRAY_LEN(peers); i++) {
        while (r.calls[i].done == 0 && dr_mono_ms() < end) {
            loop_run_once(r.loop, true);
        }
        ck_assert_uint_eq(r.calls[i].done, 1);
        ck_assert_int_eq(r.calls[i].err, DR_OK);
        ck_assert_uint_eq(r.calls[i].len, 3000);
        ck_assert_mem_eq(r.calls[i].body, rig_big(), 3000);
    }
    rig_timing = NULL;
    ck_assert_uint_eq(r.server.requests, DR_ARRAY_LEN(peers)); /* none came twice */
    ck_assert_uint_gt(rig_stats(r.client.engine).retransmissions, 0);
}
END_TEST

/* ---- certificates ---- */

static struct fx_cert *ca, *own, *device;

static void use_certificates(void)
{
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
}

static void drop_certificates(void)
{
    ca = fx_cert_free(ca);
    own = fx_cert_free(own);
    device = fx_cert_free(device);
}

START_TEST(certificates_work_on_both_sides_with_steps_in_the_pool)
{
    cx_peer_t peers[8];

    use_certificates();
    for (unsigned i = 0; i < 8; i++) {
        peers[i] = rig_connect_start(&r, i + 1, RIG_CERT);
    }
    unsigned jobs_seen = 0;
    uint64_t end = dr_mono_ms() + WAIT_MS;
    while (r.connects < 8 && dr_mono_ms() < end) {
        jobs_seen = r.server.engine->jobs > jobs_seen ? r.server.engine->jobs : jobs_seen;
        loop_run_once(r.loop, true);
    }
    ck_assert_uint_eq(r.connects, 8);
    ck_assert_int_eq(r.connect_err, DR_OK);
    ck_assert_uint_gt(jobs_seen, 0);
    for (unsigned i = 0; i < 8; i++) {
        struct rig_call *c =
            rig_call(&r, r.client.engine, peers[i], CX_POST, "echo", &i, sizeof(i));

        ck_assert_int_eq(c->err, DR_OK);
        ck_assert_int_eq(r.server.who.kind, CX_ID_CERT);
        ck_assert_str_eq(r.server.who_name, "device-7");
        ck_assert_int_eq(r.server.who.account, 33);
    }
    ck_assert_uint_eq(r.server.cert_tag, 99);
    ck_assert_uint_eq(r.server.certs_asked, 8);
    /* PSK goes on working beside them. */
    cx_peer_t psk = rig_connect(&r, 20, "dev-20");
    ck_assert_int_eq(rig_call(&r, r.client.engine, psk, CX_GET, "echo", NULL, 0)->err, DR_OK);
    drop_certificates();
}
END_TEST

START_TEST(the_owner_may_refuse_a_certificate)
{
    use_certificates();
    r.server.cert_verdict = DR_ERR_DENIED;
    ck_assert_int_eq(connect_result(1, RIG_CERT), DR_ERR_CRYPTO);
    ck_assert_uint_eq(r.server.certs_asked, 1);
    RIG_UNTIL(&r, rig_stats(r.server.engine).half_open == 0);
    ck_assert_uint_eq(rig_stats(r.server.engine).peers, 0);
    drop_certificates();
}
END_TEST

START_TEST(an_engine_closes_while_steps_are_in_the_pool)
{
    use_certificates();
    for (unsigned i = 0; i < 20; i++) {
        (void)rig_connect_start(&r, i + 1, RIG_CERT);
    }
    RIG_UNTIL(&r, r.server.engine->jobs > 0);
    rig_close(&r.server);
    rig_close(&r.client);
    ck_assert_uint_eq(r.connects, 20);
    drop_certificates();
}
END_TEST

START_TEST(associations_survive_a_reload)
{
    cx_peer_t peer = rig_connect(&r, 1, "dev-1");

    use_certificates();
    ck_assert_int_eq(rig_call(&r, r.client.engine, peer, CX_GET, "echo", NULL, 0)->err, DR_OK);
    cx_peer_t other = rig_connect(&r, 2, "dev-2");
    ck_assert_int_eq(rig_call(&r, r.client.engine, other, CX_GET, "echo", NULL, 0)->err, DR_OK);
    drop_certificates();
}
END_TEST

START_TEST(goodbye_ends_the_associations_of_all_peers)
{
    for (unsigned i = 1; i <= 5; i++) {
        (void)rig_connect(&r, i, "dev-1");
    }
    cx_engine_goodbye(r.server.engine);
    rig_close(&r.server);
    RIG_UNTIL(&r, r.client.gone == 5);
    ck_assert_int_eq(r.client.gone_why, CX_GONE_CLOSED);
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *const *tests, size_t n)
{
    TCase *tc = tcase_create(name);

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    for (size_t i = 0; i < n; i++) {
        tcase_add_test(tc, tests[i]);
    }
    suite_add_tcase(suite, tc);
}

int main(void)
{
    const TTest *const psk[] = {
        a_wrong_key_and_an_unknown_identity_fail_alike,
        the_answer_to_a_psk_question_may_come_late,
        a_late_no_is_a_no,
        a_question_without_answer_ends_with_a_timeout,
        a_client_may_stop_connecting,
        a_new_handshake_from_the_address_replaces_the_association_when_complete,
        a_failed_handshake_leaves_the_old_association_alone,
    };
    const TTest *const hostile[] = {
        hellos_without_a_cookie_make_no_state,
        half_open_handshakes_are_bounded,
        those_who_hold_places_without_going_on_make_room,
        the_client_may_not_shake_more_hands_than_its_limit,
        above_the_share_of_time_new_hellos_wait,
        time_is_credited_and_bounded,
        junk_does_no_harm,
        forged_records_do_not_disturb_an_association,
        a_bad_wire_is_survived,
    };
    const TTest *const material[] = {
        certificates_work_on_both_sides_with_steps_in_the_pool,
        the_owner_may_refuse_a_certificate,
        an_engine_closes_while_steps_are_in_the_pool,
        associations_survive_a_reload,
        goodbye_ends_the_associations_of_all_peers,
    };
    Suite *suite = suite_create("coap/engine over DTLS");

    add(suite, "PSK", psk, DR_ARRAY_LEN(psk));
    add(suite, "hostile peers", hostile, DR_ARRAY_LEN(hostile));
    add(suite, "certificates and reload", material, DR_ARRAY_LEN(material));
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed;
}
