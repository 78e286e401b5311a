/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/integ/coap/test_engine.c
 * @brief Two engines over loopback: requests both ways, associations, limits, ends.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/integ/coap/rig.h"

static struct rig r;

static void set_up(void)
{
    rig_init(&r, NULL, NULL);
}

static void tear_down(void)
{
    rig_fini(&r);
}

/* The linker sends every sendmmsg of the module through here. */
static bool blocked;

int __real_sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags);
int __wrap_sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags);

int __wrap_sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags)
{
    if (blocked) {
        errno = EAGAIN;
        return -1;
    }
    return __real_sendmmsg(fd, msgs, n, flags);
}

/* Each of these runs without and with DTLS. */
static const char *const identities[] = {NULL, "dev-1"};
#define ID (identities[_i])

START_TEST(a_request_is_answered)
{
    cx_peer_t peer = rig_connect(&r, 1, ID);
    struct rig_call *c = rig_call(&r, r.client.engine, peer, CX_POST, "echo", "hello", 5);

    ck_assert_int_eq(c->err, DR_OK);
    ck_assert_uint_eq(c->code, CX_CONTENT);
    ck_assert_uint_eq(c->len, 5);
    ck_assert_mem_eq(c->body, "hello", 5);
    ck_assert_uint_eq(r.server.requests, 1);
    union cx_addr addr;
    ck_assert(cx_peer_addr(r.server.engine, r.server.last_peer, &addr));
    ck_assert_uint_eq(ntohl(addr.in4.sin_addr.s_addr), 0x7f000101);
    ck_assert_int_eq(r.server.who.kind, ID == NULL ? CX_ID_NONE : CX_ID_PSK);
    ck_assert_str_eq(r.server.who_name, ID == NULL ? "" : ID);
    ck_assert_int_eq(r.server.who.account, ID == NULL ? 0 : 11);
    ck_assert_int_eq(r.server.who.credential, ID == NULL ? 0 : 22);
}
END_TEST

START_TEST(the_server_asks_the_client_too)
{
    cx_peer_t peer = rig_connect(&r, 1, ID);

    (void)rig_call(&r, r.client.engine, peer, CX_POST, "echo", "hi", 2);
    struct rig_call *c =
        rig_call(&r, r.server.engine, r.server.last_peer, CX_POST, "echo", "device", 6);
    ck_assert_int_eq(c->err, DR_OK);
    ck_assert_mem_eq(c->body, "device", 6);
    ck_assert_uint_eq(r.client.requests, 1);
    ck_assert_uint_eq(r.client.last_peer, peer);
}
END_TEST

START_TEST(a_socket_that_cannot_send_is_waited_for)
{
    cx_peer_t peer = rig_connect(&r, 1, ID);

    blocked = true;
    struct rig_call *c =
        rig_call_start(r.client.engine, &r.calls[0], peer, CX_POST, "echo", "hi", 2);
    rig_pause(&r, 50);
    ck_assert_uint_eq(r.server.requests, 0);
    ck_assert_uint_gt(rig_stats(r.client.engine).tx_blocked, 0);
    blocked = false;
    RIG_UNTIL(&r, c->done == 1);
    ck_assert_int_eq(c->err, DR_OK);
    ck_assert_uint_eq(rig_stats(r.client.engine).retransmissions, 0);
}
END_TEST

static struct rig_call *late_call;
static cx_peer_t late_peer;

static void call_in_idle(struct loop_idle *h)
{
    loop_idle_remove(h);
    (void)rig_call_start(r.client.engine, late_call, late_peer, CX_POST, "echo", "hi", 2);
}

static int by_number(const void *a, const void *b)
{
    return (int)*(const uint64_t *)a - (int)*(const uint64_t *)b;
}

START_TEST(a_request_made_in_the_last_moment_of_a_turn_goes_out_at_once)
{
    uint64_t took_ms[15];
    struct loop_idle late = {0};

    late_peer = rig_connect(&r, 1, ID);
    late_call = &r.calls[3];
    loop_timer_stop(&r.tick); /* nothing else wakes the loop soon, but the wheel now and then */
    for (size_t i = 0; i < DR_ARRAY_LEN(took_ms); i++) {
        late_call->done = 0;
        loop_on_idle(r.loop, &late, call_in_idle); /* after the engines' */
        uint64_t begin = dr_mono_ms();
        while (late_call->done == 0) {
            loop_run_once(r.loop, true);
        }
        took_ms[i] = dr_mono_ms() - begin;
    }
    qsort(took_ms, DR_ARRAY_LEN(took_ms), sizeof(took_ms[0]), by_number);
    ck_assert_uint_lt(took_ms[DR_ARRAY_LEN(took_ms) / 2], 6);
    loop_timer_start(r.loop, &r.tick, 5, 5, r.tick.fn);
}
END_TEST

START_TEST(large_bodies_go_both_ways)
{
    cx_peer_t peer = rig_connect(&r, 1, ID);
    struct rig_call *c = rig_call(&r, r.client.engine, peer, CX_GET, "big", NULL, 0);

    ck_assert_int_eq(c->err, DR_OK);
    ck_assert_uint_eq(c->len, BIG_LEN);
    ck_assert_mem_eq(c->body, rig_big(), BIG_LEN);
    c = rig_call(&r, r.client.engine, peer, CX_PUT, "echo", rig_big(), BIG_LEN);
    ck_assert_int_eq(c->err, DR_OK);
    ck_assert_mem_eq(c->body, rig_big(), BIG_LEN);
    ck_assert_uint_eq(r.server.body_len, BIG_LEN);
    c = rig_call(&r, r.server.engine, r.server.last_peer, CX_PUT, "echo", rig_big(), BIG_LEN);
    ck_assert_int_eq(c->err, DR_OK);
    ck_assert_mem_eq(c->body, rig_big(), BIG_LEN);
}
END_TEST

/* A PUT of the large body in blocks of 512 that the peer has @p from bytes of already. */
static struct rig_call *put_from(struct rig_call *c, cx_peer_t peer, size_t from)
{
    static const struct cx_opt path = {
        .num = CX_OPT_URI_PATH, .len = 4, .val = (const uint8_t *)"echo"};

    (void)rig_call_start(r.client.engine, c, peer, CX_POST, "end-of-nothing", NULL, 0);
    RIG_UNTIL(&r, c->done == 1);
    cx_call_cb *cb = c->call.cb;
    memset(c, 0, sizeof *c);
    c->call = (struct cx_call){.peer = peer,
                               .code = CX_PUT,
                               .opts = &path,
                               .n_opts = 1,
                               .payload = rig_big(),
                               .payload_len = BIG_LEN,
                               .payload_from = from,
                               .block_size = 512,
                               .cb = cb};
    ck_assert_int_eq(cx_call_start(r.client.engine, &c->call), DR_OK);
    return c;
}

/* spec: RFC7959#2.5 */
START_TEST(a_body_goes_on_where_it_stopped)
{
    cx_peer_t peer = rig_connect(&r, 1, ID);
    struct rig_call *c = put_from(&r.calls[0], peer, 0);

    RIG_UNTIL(&r, c->call.payload_from >= 1024);
    cx_call_cancel(r.client.engine, &c->call);
    RIG_UNTIL(&r, c->done == 1);
    ck_assert_int_eq(c->err, DR_ERR_CANCELED);
    size_t from = c->call.payload_from;
    ck_assert_uint_ge(from, 1024);
    ck_assert_uint_lt(from, BIG_LEN);
    uint64_t before = rig_stats(r.server.engine).rx_datagrams;
    c = put_from(&r.calls[1], peer, from);
    RIG_UNTIL(&r, c->done == 1);
    ck_assert_int_eq(c->err, DR_OK);
    ck_assert_uint_eq(r.server.body_len, BIG_LEN);
    ck_assert_mem_eq(c->body, rig_big(), BIG_LEN);
    ck_assert_uint_le(rig_stats(r.server.engine).rx_datagrams - before,
                      1 + (BIG_LEN - from + 511) / 512 + BIG_LEN / 512 + 1);
}
END_TEST

START_TEST(a_peer_that_knows_nothing_of_the_beginning_gets_it_again)
{
    cx_peer_t peer = rig_connect(&r, 1, ID);
    struct rig_call *c = put_from(&r.calls[0], peer, 2048);

    RIG_UNTIL(&r, c->done == 1);
    ck_assert_int_eq(c->err, DR_OK);
    ck_assert_uint_eq(r.server.body_len, BIG_LEN);
    ck_assert_mem_eq(c->body, rig_big(), BIG_LEN);
    c = put_from(&r.calls[1], peer, BIG_LEN + 7); /* nonsense is no beginning */
    RIG_UNTIL(&r, c->done == 1);
    ck_assert_int_eq(c->err, DR_OK);
    ck_assert_uint_eq(r.server.body_len, BIG_LEN);
}
END_TEST

START_TEST(an_answer_may_come_later)
{
    cx_peer_t peer = rig_connect(&r, 1, ID);
    struct rig_call *c =
        rig_call_start(r.client.engine, &r.calls[0], peer, CX_GET, "later", NULL, 0);
    struct cx_reply reply = {.code = CX_CONTENT, .payload = (const uint8_t *)"x", .payload_len = 1};

    RIG_UNTIL(&r, r.later != 0);
    rig_pause(&r, 1200); /* the empty ACK goes out meanwhile */
    ck_assert_uint_eq(c->done, 0);
    ck_assert_int_eq(cx_answer(r.server.engine, r.later, &reply), DR_OK);
    RIG_UNTIL(&r, c->done == 1);
    ck_assert_int_eq(c->err, DR_OK);
    ck_assert_uint_eq(c->len, 1);
    ck_assert_int_eq(cx_answer(r.server.engine, r.later, &reply), DR_ERR_NOT_FOUND);
    ck_assert_uint_eq(rig_stats(r.client.engine).retransmissions, 0);
}
END_TEST

static struct rig_call *notify(cx_peer_t peer, bool non)
{
    static const uint8_t seq[1] = {5};
    static const struct cx_opt observe = {.num = CX_OPT_OBSERVE, .len = 1, .val = seq};
    struct rig_call *c = &r.calls[1];

    (void)rig_call_start(r.client.engine, &r.calls[0], peer, CX_POST, "echo", NULL, 0);
    RIG_UNTIL(&r, r.calls[0].done == 1);
    cx_call_cb *cb = r.calls[0].call.cb;
    memset(c, 0, sizeof(*c));
    c->call = (struct cx_call){.peer = peer,
                               .code = CX_CONTENT,
                               .non = non,
                               .opts = &observe,
                               .n_opts = 1,
                               .payload = (const uint8_t *)"22.5",
                               .payload_len = 4,
                               .token_len = 2,
                               .token = {1, 2},
                               .cb = cb};
    ck_assert_int_eq(cx_call_start(r.client.engine, &c->call), DR_OK);
    RIG_UNTIL(&r, c->done == 1);
    return c;
}

START_TEST(a_notification_is_acknowledged_when_it_is_wanted)
{
    cx_peer_t peer = rig_connect(&r, 1, ID);

    ck_assert_int_eq(notify(peer, false)->err, DR_OK);
    ck_assert_uint_eq(r.server.notifications, 1);
    ck_assert_uint_eq(r.server.body_len, 4);
    ck_assert_int_eq(notify(peer, true)->err, DR_OK);
    RIG_UNTIL(&r, r.server.notifications == 2);
    r.server.accept_notify = false;
    ck_assert_int_eq(notify(peer, false)->err, DR_ERR_RESET);
}
END_TEST

START_TEST(many_peers_are_served_from_one_socket)
{
    cx_peer_t peers[40];
    unsigned done = 0;

    for (unsigned i = 0; i < 40; i++) {
        char id[16];

        (void)snprintf(id, sizeof(id), "dev-%u", i);
        peers[i] = rig_connect(&r, 10 + i, ID != NULL ? id : NULL);
    }
    for (unsigned i = 0; i < 40; i++) {
        (void)rig_call_start(r.client.engine, &r.calls[i], peers[i], CX_POST, "echo", &peers[i],
                             sizeof(peers[i]));
    }
    while (done < 40) {
        RIG_UNTIL(&r, r.calls[done].done == 1);
        ck_assert_int_eq(r.calls[done].err, DR_OK);
        ck_assert_mem_eq(r.calls[done].body, &peers[done], sizeof(peers[done]));
        done++;
    }
    ck_assert_uint_eq(rig_stats(r.server.engine).peers, 40);
    ck_assert_uint_eq(rig_stats(r.server.engine).associations, ID != NULL ? 40 : 0);
    ck_assert_uint_eq(rig_stats(r.server.engine).half_open, 0);
}
END_TEST

START_TEST(calls_complete_before_a_closed_peer_is_gone)
{
    cx_peer_t peer = rig_connect(&r, 1, ID);

    (void)rig_call(&r, r.client.engine, peer, CX_POST, "echo", NULL, 0);
    cx_peer_t device = r.server.last_peer;
    cx_peer_set_user(r.server.engine, device, 77);
    ck_assert_uint_eq(cx_peer_user(r.server.engine, device), 77);
    struct rig_call *first =
        rig_call_start(r.server.engine, &r.calls[1], device, CX_GET, "later", NULL, 0);
    struct rig_call *second =
        rig_call_start(r.server.engine, &r.calls[2], device, CX_GET, "echo", NULL, 0);
    cx_peer_close(r.server.engine, device);
    ck_assert_uint_eq(first->done + second->done + r.server.gone, 0); /* later, never inside */
    struct rig_call refused = {.call = {.peer = device, .code = CX_GET, .cb = first->call.cb}};
    ck_assert_int_eq(cx_call_start(r.server.engine, &refused.call), DR_ERR_GONE);
    RIG_UNTIL(&r, r.server.gone == 1);
    ck_assert_int_eq(first->done, 1);
    ck_assert_int_eq(first->err, DR_ERR_GONE);
    ck_assert_int_eq(second->done, 1);
    ck_assert_int_eq(second->err, DR_ERR_GONE);
    ck_assert_uint_eq(r.server.gone_peer, device);
    ck_assert_uint_eq(r.server.gone_user, 77);
    ck_assert_int_eq(r.server.gone_why, CX_GONE_CLOSED);
    struct cx_identity id;
    ck_assert(!cx_peer_identity(r.server.engine, device, &id));
    ck_assert_uint_eq(cx_peer_user(r.server.engine, device), 0);
    if (ID != NULL) { /* close_notify tells the client */
        RIG_UNTIL(&r, r.client.gone == 1);
        ck_assert_int_eq(r.client.gone_why, CX_GONE_CLOSED);
    }
}
END_TEST

START_TEST(a_handler_may_close_its_peer)
{
    cx_peer_t peer = rig_connect(&r, 1, ID);
    struct rig_call *c = rig_call(&r, r.client.engine, peer, CX_POST, "end", NULL, 0);

    ck_assert_int_eq(c->err, DR_OK);
    ck_assert_uint_eq(c->code, CX_CHANGED);
    RIG_UNTIL(&r, r.server.gone == 1);
    ck_assert_uint_eq(rig_stats(r.server.engine).peers, 0);
}
END_TEST

START_TEST(an_answer_to_a_peer_that_has_gone_is_ignored)
{
    cx_peer_t peer = rig_connect(&r, 1, ID);
    struct cx_reply reply = {.code = CX_CONTENT};

    (void)rig_call_start(r.client.engine, &r.calls[0], peer, CX_GET, "later", NULL, 0);
    RIG_UNTIL(&r, r.later != 0);
    cx_peer_close(r.server.engine, r.server.last_peer);
    RIG_UNTIL(&r, r.server.gone == 1);
    ck_assert_int_eq(cx_answer(r.server.engine, r.later, &reply), DR_ERR_NOT_FOUND);
    cx_peer_close(r.client.engine, peer);
    RIG_UNTIL(&r, r.calls[0].done == 1);
    ck_assert_int_eq(r.calls[0].err, DR_ERR_GONE);
}
END_TEST

START_TEST(calls_are_moved_and_the_peer_stays)
{
    cx_peer_t peer = rig_connect(&r, 1, ID);

    (void)rig_call_start(r.client.engine, &r.calls[0], peer, CX_GET, "later", NULL, 0);
    (void)rig_call_start(r.client.engine, &r.calls[1], peer, CX_GET, "echo", NULL, 0);
    RIG_UNTIL(&r, r.later != 0);
    cx_peer_calls_moved(r.client.engine, peer);
    RIG_UNTIL(&r, r.calls[0].done == 1 && r.calls[1].done == 1);
    ck_assert_int_eq(r.calls[0].err, DR_ERR_MOVED);
    ck_assert_int_eq(r.calls[1].err, DR_ERR_MOVED);
    ck_assert_int_eq(rig_call(&r, r.client.engine, peer, CX_POST, "echo", "still", 5)->err, DR_OK);
    ck_assert_uint_eq(r.client.gone, 0);
}
END_TEST

START_TEST(a_cancelled_call_completes_once_later)
{
    cx_peer_t peer = rig_connect(&r, 1, ID);

    (void)rig_call_start(r.client.engine, &r.calls[0], peer, CX_GET, "later", NULL, 0);
    RIG_UNTIL(&r, r.later != 0);
    cx_call_cancel(r.client.engine, &r.calls[0].call);
    ck_assert_uint_eq(r.calls[0].done, 0);
    RIG_UNTIL(&r, r.calls[0].done == 1);
    ck_assert_int_eq(r.calls[0].err, DR_ERR_CANCELED);
}
END_TEST

START_TEST(closing_the_engine_completes_what_is_pending)
{
    cx_peer_t peer = rig_connect(&r, 1, ID);

    (void)rig_call_start(r.client.engine, &r.calls[0], peer, CX_GET, "later", NULL, 0);
    (void)rig_call_start(r.client.engine, &r.calls[1], peer, CX_GET, "echo", NULL, 0);
    RIG_UNTIL(&r, r.later != 0);
    (void)rig_connect_start(&r, 2, "slow-1");
    unsigned connects = r.connects;
    rig_close(&r.client);
    ck_assert_uint_eq(r.connects, connects + 1);
    ck_assert_int_eq(r.connect_err, DR_ERR_CANCELED);
    ck_assert_int_eq(r.calls[0].done, 1);
    ck_assert_int_eq(r.calls[0].err, DR_ERR_CANCELED);
    ck_assert_int_eq(r.calls[1].done, 1);
    ck_assert_int_eq(r.calls[1].err, DR_ERR_CANCELED);
    ck_assert_uint_eq(r.client.gone, 0);
    rig_pause(&r, 50);
    ck_assert_uint_eq(r.server.gone, 0); /* nobody was told */
}
END_TEST

START_TEST(a_peer_without_traffic_is_forgotten)
{
    struct cx_limits limits = {.nosec_idle_s = 1, .assoc_idle_s = 1};

    rig_fini(&r);
    rig_init(&r, &limits, NULL);
    cx_peer_t peer = rig_connect(&r, 1, ID);
    (void)rig_call(&r, r.client.engine, peer, CX_POST, "echo", NULL, 0);
    cx_peer_set_user(r.server.engine, r.server.last_peer, 9);
    RIG_UNTIL(&r, r.server.gone == 1);
    ck_assert_int_eq(r.server.gone_why, CX_GONE_IDLE);
    ck_assert_uint_eq(r.server.gone_user, 9);
    ck_assert_uint_eq(rig_stats(r.server.engine).peers, 0);
    ck_assert_uint_eq(rig_stats(r.server.engine).associations, 0);
}
END_TEST

START_TEST(the_limit_of_peers_holds)
{
    struct cx_limits limits = {.peers_max = 3};

    rig_fini(&r);
    rig_init(&r, &limits, NULL);
    for (unsigned i = 1; i <= 3; i++) {
        cx_peer_t peer = rig_connect(&r, i, ID);

        (void)rig_call(&r, r.client.engine, peer, CX_POST, "echo", NULL, 0);
    }
    if (ID == NULL) {
        cx_peer_t peer = rig_connect(&r, 4, NULL);

        (void)rig_call_start(r.client.engine, &r.calls[0], peer, CX_POST, "echo", NULL, 0);
    } else {
        (void)rig_connect_start(&r, 4, ID);
    }
    rig_pause(&r, 100);
    ck_assert_uint_eq(rig_stats(r.server.engine).peers, 3);
    ck_assert_uint_eq(r.server.requests, 3);
}
END_TEST

/* ---- plain UDP only ---- */

static int raw_socket(const union cx_addr *to)
{
    struct timeval patience = {.tv_sec = 2};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    ck_assert_int_eq(connect(fd, &to->sa, sizeof(to->in4)), 0);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    return fd;
}

START_TEST(a_ping_from_a_stranger_is_answered_without_state)
{
    static const uint8_t ping[] = {0x40, 0, 0x12, 0x34};
    uint8_t got[16];
    int fd = raw_socket(&r.plain);

    ck_assert_int_eq(send(fd, ping, sizeof(ping), 0), sizeof(ping));
    RIG_UNTIL(&r, rig_stats(r.server.engine).tx_datagrams == 1);
    ck_assert_uint_eq(rig_stats(r.server.engine).resets_sent, 1);
    ck_assert_int_eq(recv(fd, got, sizeof(got), 0), 4);
    ck_assert_uint_eq(got[0], 0x70);
    ck_assert_mem_eq(got + 2, ping + 2, 2);
    ck_assert_uint_eq(rig_stats(r.server.engine).peers, 0);
    close(fd);
}
END_TEST

START_TEST(answers_from_strangers_make_no_peers)
{
    static const uint8_t ack[] = {0x60, 0, 0x12, 0x34};
    static const uint8_t reset[] = {0x70, 0, 0x12, 0x34};
    static const uint8_t junk[] = {0xff, 0xff};
    int fd = raw_socket(&r.plain);

    ck_assert_int_eq(send(fd, ack, sizeof(ack), 0), sizeof(ack));
    ck_assert_int_eq(send(fd, reset, sizeof(reset), 0), sizeof(reset));
    ck_assert_int_eq(send(fd, junk, sizeof(junk), 0), sizeof(junk));
    ck_assert_int_eq(send(fd, junk, 0, 0), 0);
    RIG_UNTIL(&r, rig_stats(r.server.engine).rx_datagrams == 4);
    ck_assert_uint_eq(rig_stats(r.server.engine).peers, 0);
    ck_assert_uint_eq(rig_stats(r.server.engine).malformed, 2);
    ck_assert_uint_eq(rig_stats(r.server.engine).tx_datagrams, 0);
    close(fd);
}
END_TEST

START_TEST(the_same_addresses_are_one_plain_peer)
{
    cx_peer_t again = 0;
    struct cx_connect c = {
        .proto = CX_PROTO_UDP,
        .remote = r.plain,
        .local = {.in4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000101)}},
        .cb = (void (*)(void *, cx_peer_t, dr_err_t))abort};

    (void)rig_connect(&r, 1, NULL);
    ck_assert_int_eq(cx_connect(r.client.engine, &c, &again), DR_ERR_EXISTS);
    ck_assert_uint_eq(again, 0);
}
END_TEST

static unsigned connected;

static void count_connected(void *data, cx_peer_t peer, dr_err_t err)
{
    *(cx_peer_t *)data = peer;
    ck_assert_int_eq(err, DR_OK);
    connected++;
}

START_TEST(the_source_address_may_be_left_to_the_kernel)
{
    cx_peer_t got = 0;
    cx_peer_t peer;
    struct cx_connect c = {
        .proto = CX_PROTO_UDP, .remote = r.plain, .cb = count_connected, .data = &got};

    connected = 0;
    ck_assert_int_eq(cx_connect(r.client.engine, &c, &peer), DR_OK);
    RIG_UNTIL(&r, connected == 1);
    ck_assert_uint_eq(got, peer);
    ck_assert_int_eq(rig_call(&r, r.client.engine, peer, CX_GET, "echo", NULL, 0)->err, DR_OK);
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *const *tests, size_t n, int kinds)
{
    TCase *tc = tcase_create(name);

    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    for (size_t i = 0; i < n; i++) {
        tcase_add_loop_test(tc, tests[i], 0, kinds);
    }
    suite_add_tcase(suite, tc);
}

int main(void)
{
    const TTest *const both[] = {
        a_request_is_answered,
        the_server_asks_the_client_too,
        a_socket_that_cannot_send_is_waited_for,
        a_request_made_in_the_last_moment_of_a_turn_goes_out_at_once,
        large_bodies_go_both_ways,
        a_body_goes_on_where_it_stopped,
        a_peer_that_knows_nothing_of_the_beginning_gets_it_again,
        an_answer_may_come_later,
        a_notification_is_acknowledged_when_it_is_wanted,
        many_peers_are_served_from_one_socket,
        calls_complete_before_a_closed_peer_is_gone,
        a_handler_may_close_its_peer,
        an_answer_to_a_peer_that_has_gone_is_ignored,
        calls_are_moved_and_the_peer_stays,
        a_cancelled_call_completes_once_later,
        closing_the_engine_completes_what_is_pending,
        a_peer_without_traffic_is_forgotten,
        the_limit_of_peers_holds,
    };
    const TTest *const plain[] = {
        a_ping_from_a_stranger_is_answered_without_state,
        answers_from_strangers_make_no_peers,
        the_same_addresses_are_one_plain_peer,
        the_source_address_may_be_left_to_the_kernel,
    };
    Suite *suite = suite_create("coap/engine");

    add(suite, "without and with DTLS", both, DR_ARRAY_LEN(both), 2);
    add(suite, "plain UDP", plain, DR_ARRAY_LEN(plain), 1);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed;
}
