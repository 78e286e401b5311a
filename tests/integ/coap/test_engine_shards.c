/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/integ/coap/test_engine_shards.c
 * @brief Two server engines on loops of their own threads behind one address, one client.
 */
#include <arpa/inet.h>
#include <check.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/loop.h"
#include "coap/engine.h"
#include "coap/socket.h"

#define SHARDS  2
#define PEERS   40
#define ROUNDS  10
#define WAIT_MS 20000

static const uint8_t key[16] = {7};

struct shard {
    unsigned number;
    int fds[2];
    struct loop *loop;
    struct loop_thread thread;
    struct loop_msg stop;
    struct cx_security *security;
    struct cx_engine *engine;
    struct cx_stats stats;
    atomic_uint requests;
    atomic_bool closed;
};

static void on_request(void *data, struct cx_engine *e, const struct cx_inbound *in)
{
    struct shard *s = data;
    uint8_t number = (uint8_t)s->number;
    struct cx_reply reply = {.code = CX_CONTENT, .payload = &number, .payload_len = 1};

    atomic_fetch_add(&s->requests, 1);
    ck_assert_int_eq(cx_answer(e, in->exchange, &reply), DR_OK);
}

static void on_psk(void *data, struct cx_engine *e, const struct cx_psk_query *q)
{
    struct cx_identity id = {.kind = CX_ID_PSK, .name = q->identity};

    (void)data;
    cx_psk_answer(e, q->handle, key, sizeof(key), &id);
}

static const struct cx_ops server_ops = {.request = on_request, .psk = on_psk};
static const struct cx_ops client_ops = {0};

static void shard_begin(struct loop *loop, void *ctx)
{
    struct shard *s = ctx;
    struct cx_engine_config config = {.loop = loop,
                                      .shard = s->number,
                                      .shards = SHARDS,
                                      .security = s->security,
                                      .ops = &server_ops,
                                      .data = s};

    ck_assert_int_eq(cx_engine_new(&config, &s->engine), DR_OK);
    ck_assert_int_eq(cx_engine_adopt(s->engine, s->fds[0], CX_PROTO_UDP), DR_OK);
    ck_assert_int_eq(cx_engine_adopt(s->engine, s->fds[1], CX_PROTO_DTLS), DR_OK);
}

static void shard_closed(void *data)
{
    struct shard *s = data;

    s->engine = cx_engine_free(s->engine);
    atomic_store(&s->closed, true);
}

static void shard_stop(struct loop_msg *m)
{
    struct shard *s = DR_CONTAINER_OF(m, struct shard, stop);

    cx_engine_stats(s->engine, &s->stats);
    cx_engine_close(s->engine, shard_closed, s);
}

struct client {
    struct loop *loop;
    struct cx_engine *engine;
    unsigned connected, answered, closed;
    unsigned misplaced;
    cx_peer_t peers[PEERS];
    struct {
        struct cx_call call;
        struct client *client;
        unsigned wanted_shard, left;
    } work[PEERS];
};

static void connect_done(void *data, cx_peer_t peer, dr_err_t err)
{
    struct client *c = data;

    (void)peer;
    ck_assert_int_eq(err, DR_OK);
    c->connected++;
}

static void call_done(struct cx_call *call, dr_err_t err, const struct cx_pdu *answer)
{
    struct client *c = call->data;
    size_t i = 0;

    ck_assert_int_eq(err, DR_OK);
    ck_assert_uint_eq(answer->payload_len, 1);
    while (&c->work[i].call != call) {
        i++;
    }
    c->misplaced += answer->payload[0] != c->work[i].wanted_shard;
    c->answered++;
    if (--c->work[i].left > 0) {
        ck_assert_int_eq(cx_call_start(c->engine, call), DR_OK);
    }
}

static void client_closed(void *data)
{
    struct client *c = data;

    c->closed++;
}

static void tick(struct loop_timer *t)
{
    (void)t;
}

#define UNTIL(c, cond)                                                                             \
    do {                                                                                           \
        uint64_t end_ = dr_mono_ms() + WAIT_MS;                                                    \
        while (!(cond)) {                                                                          \
            ck_assert_msg(dr_mono_ms() < end_, "waited in vain for: %s", #cond);                   \
            loop_run_once((c)->loop, true);                                                        \
        }                                                                                          \
    } while (0)

static void talk(struct client *c, enum cx_proto proto, const union cx_addr *server,
                 const union cx_addr *own)
{
    static const struct cx_opt path = {
        .num = CX_OPT_URI_PATH, .len = 1, .val = (const uint8_t *)"x"};

    c->connected = c->answered = 0;
    for (unsigned i = 0; i < PEERS; i++) {
        struct cx_connect x = {
            .proto = proto,
            .remote = *server,
            .local = {.in4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000201 + i)}},
            .psk_identity = "dev",
            .psk_key = key,
            .psk_key_len = sizeof(key),
            .cb = connect_done,
            .data = c};
        union cx_addr from = x.local;

        from.in4.sin_port = own->in4.sin_port;
        ck_assert_int_eq(cx_connect(c->engine, &x, &c->peers[i]), DR_OK);
        c->work[i].wanted_shard = cx_steer(&from, SHARDS);
    }
    UNTIL(c, c->connected == PEERS);
    for (unsigned i = 0; i < PEERS; i++) {
        c->work[i].left = ROUNDS;
        c->work[i].call = (struct cx_call){.peer = c->peers[i],
                                           .code = CX_GET,
                                           .opts = &path,
                                           .n_opts = 1,
                                           .cb = call_done,
                                           .data = c};
        ck_assert_int_eq(cx_call_start(c->engine, &c->work[i].call), DR_OK);
    }
    UNTIL(c, c->answered == PEERS * ROUNDS);
    ck_assert_uint_eq(c->misplaced, 0);
}

static void listen_on(struct client *c, enum cx_proto proto, union cx_addr *own)
{
    int fd;

    *own = (union cx_addr){.in4 = {.sin_family = AF_INET}};
    ck_assert_int_eq(cx_sockets_open(own, 1, &fd), DR_OK);
    ck_assert_int_eq(cx_engine_adopt(c->engine, fd, proto), DR_OK);
}

START_TEST(each_peer_is_served_by_the_shard_it_is_steered_to)
{
    static struct shard shards[SHARDS];
    static struct client c;
    struct cx_security_config sc = {0};
    struct cx_security_config cc = {.client = true};
    struct cx_security *server_security;
    struct cx_security *client_security;
    struct loop_timer timer = {0};
    union cx_addr addr[2];
    union cx_addr own[2];

    ck_assert_int_eq(cx_security_new(&sc, &server_security, NULL), DR_OK);
    ck_assert_int_eq(cx_security_new(&cc, &client_security, NULL), DR_OK);
    for (int p = 0; p < 2; p++) {
        int fds[SHARDS];

        addr[p] = (union cx_addr){
            .in4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
        ck_assert_int_eq(cx_sockets_open(&addr[p], SHARDS, fds), DR_OK);
        for (unsigned i = 0; i < SHARDS; i++) {
            shards[i].fds[p] = fds[i];
        }
    }
    for (unsigned i = 0; i < SHARDS; i++) {
        shards[i].number = i;
        shards[i].security = server_security;
        ck_assert_int_eq(loop_new("shard", &shards[i].loop), DR_OK);
        ck_assert_int_eq(
            loop_thread_start(&shards[i].thread, shards[i].loop, shard_begin, &shards[i]), DR_OK);
    }

    ck_assert_int_eq(loop_new("client", &c.loop), DR_OK);
    struct cx_engine_config config = {
        .loop = c.loop, .shards = 1, .security = client_security, .ops = &client_ops};
    ck_assert_int_eq(cx_engine_new(&config, &c.engine), DR_OK);
    listen_on(&c, CX_PROTO_UDP, &own[0]);
    listen_on(&c, CX_PROTO_DTLS, &own[1]);
    loop_timer_start(c.loop, &timer, 5, 5, tick);
    talk(&c, CX_PROTO_UDP, &addr[0], &own[0]);
    talk(&c, CX_PROTO_DTLS, &addr[1], &own[1]);
    cx_engine_close(c.engine, client_closed, &c);
    UNTIL(&c, c.closed == 1);
    (void)cx_engine_free(c.engine);
    loop_timer_stop(&timer);
    (void)loop_free(c.loop);

    unsigned requests = 0;
    uint32_t peers = 0;
    for (unsigned i = 0; i < SHARDS; i++) {
        loop_post(shards[i].loop, &shards[i].stop, shard_stop);
        while (!atomic_load(&shards[i].closed)) {
            (void)poll(NULL, 0, 1);
        }
        loop_thread_join(&shards[i].thread);
        (void)loop_free(shards[i].loop);
        ck_assert_uint_gt(shards[i].stats.peers, PEERS / 4);
        requests += atomic_load(&shards[i].requests);
        peers += shards[i].stats.peers;
    }
    ck_assert_uint_eq(requests, 2 * PEERS * ROUNDS);
    ck_assert_uint_eq(peers, 2 * PEERS);
    (void)cx_security_unref(server_security);
    (void)cx_security_unref(client_security);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("coap/engine on two shards");
    TCase *tc = tcase_create("shards");

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, each_peer_is_served_by_the_shard_it_is_steered_to);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed;
}
