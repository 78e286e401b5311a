/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/integ/coap/test_streams_shards.c
 * @brief Two engines on loops of their own threads behind one TLS port: clients in four threads,
 * handshakes in the pool, one cache of sessions for all. For the thread sanitizer.
 */
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "coap/engine.h"
#include "tests/integ/coap/rig.h"
#include "tests/unit/coap/dtls_fixture.h"
#include "tests/unit/run.h"

#define SHARDS  2
#define CLIENTS 4
#define ROUNDS  15

struct shard {
    unsigned number;
    int fd;
    struct loop *loop;
    struct loop_thread thread;
    struct loop_msg stop;
    struct cx_security *security;
    struct cx_engine *engine;
    struct cx_stats stats;
    atomic_uint requests;
    atomic_bool closed;
};

static struct shard shards[SHARDS];
static union cx_addr where;
static struct fx_cert *device;

static void on_request(void *data, struct cx_engine *e, const struct cx_inbound *in)
{
    struct shard *s = data;
    uint8_t number = (uint8_t)s->number;
    struct cx_reply reply = {.code = CX_CONTENT, .payload = &number, .payload_len = 1};

    atomic_fetch_add(&s->requests, 1);
    ck_assert_int_eq(cx_answer(e, in->exchange, &reply), DR_OK);
}

static dr_err_t on_cert(void *data, struct cx_engine *e, uint64_t tag, const char *cn,
                        const uint8_t *der, size_t len, struct cx_identity *id)
{
    (void)data;
    (void)e;
    (void)tag;
    (void)der;
    (void)len;
    *id = (struct cx_identity){.kind = CX_ID_CERT, .account = 1, .name = cn};
    return DR_OK;
}

static const struct cx_ops ops = {.request = on_request, .cert = on_cert};

static void shard_begin(struct loop *loop, void *ctx)
{
    struct shard *s = ctx;
    const struct cx_engine_config config = {.loop = loop,
                                            .shard = s->number,
                                            .shards = SHARDS,
                                            .security = s->security,
                                            .ops = &ops,
                                            .data = s};

    ck_assert_int_eq(cx_engine_new(&config, &s->engine), DR_OK);
    ck_assert_int_eq(cx_engine_adopt(s->engine, s->fd, CX_PROTO_TLS), DR_OK);
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
    pthread_t thread;
    unsigned resumed, failed;
    unsigned by_shard[SHARDS];
};

static void one_round(struct client *c, SSL_CTX *ctx, SSL_SESSION **session)
{
    /* a GET, and its piggybacked answer with one byte of payload */
    static const uint8_t get[] = {0x41, 1, 0x12, 0x34, 7};
    uint8_t answer[64];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    SSL *ssl = SSL_new(ctx);
    bool ok = connect(fd, &where.sa, sizeof where.in4) == 0 && SSL_set_fd(ssl, fd) == 1;

    if (*session != NULL) {
        ok = ok && SSL_set_session(ssl, *session) == 1;
    }
    ok = ok && SSL_connect(ssl) == 1 && SSL_write(ssl, get, sizeof get) == sizeof get;
    int n = ok ? SSL_read(ssl, answer, sizeof answer) : 0;
    if (n == 7 && answer[1] == CX_CONTENT && answer[6] < SHARDS) {
        c->by_shard[answer[6]]++;
        c->resumed += SSL_session_reused(ssl) == 1;
    } else {
        c->failed++;
    }
    SSL_SESSION_free(*session);
    *session = SSL_get1_session(ssl);
    SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(ssl);
    (void)close(fd);
}

static void *client_run(void *data)
{
    struct client *c = data;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL_SESSION *session = NULL;

    SSL_CTX_set_security_level(ctx, 0);
    (void)SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
    (void)SSL_CTX_set_cipher_list(ctx, "ECDHE-ECDSA-AES128-CCM8");
    (void)SSL_CTX_use_certificate(ctx, device->x509);
    (void)SSL_CTX_use_PrivateKey(ctx, device->key);
    for (unsigned i = 0; i < ROUNDS; i++) {
        one_round(c, ctx, &session);
    }
    SSL_SESSION_free(session);
    SSL_CTX_free(ctx);
    return NULL;
}

START_TEST(each_shard_accepts_and_knows_all_sessions)
{
    struct fx_cert *ca = fx_cert_new("test ca", NULL, true, -1, 30);
    struct fx_cert *own = fx_cert_new("server", ca, false, -1, 30);
    struct cx_anchor anchor = {.der = ca->der, .len = ca->der_len, .tag = 1};
    const struct cx_security_config sc = {
        .cert_pem = own->cert_pem, .key_pem = own->key_pem, .anchors = &anchor, .n_anchors = 1};
    struct cx_security *security;
    struct client clients[CLIENTS] = {0};
    unsigned resumed = 0, answered[SHARDS] = {0};
    int fds[SHARDS], extra;

    device = fx_cert_new("device-7", ca, false, -1, 30);
    where =
        (union cx_addr){.in4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
    ck_assert_int_eq(cx_security_new(&sc, &security, NULL), DR_OK);
    ck_assert_int_eq(cx_listeners_open(&where, SHARDS, fds), DR_OK);
    union cx_addr same = where;
    ck_assert_int_eq(cx_listeners_open(&same, 1, &extra), DR_ERR_IN_USE);
    for (unsigned i = 0; i < SHARDS; i++) {
        shards[i] = (struct shard){.number = i, .fd = fds[i], .security = security};
        ck_assert_int_eq(loop_new("shard", &shards[i].loop), DR_OK);
        ck_assert_int_eq(
            loop_thread_start(&shards[i].thread, shards[i].loop, shard_begin, &shards[i]), DR_OK);
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        ck_assert_int_eq(pthread_create(&clients[i].thread, NULL, client_run, &clients[i]), 0);
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        ck_assert_int_eq(pthread_join(clients[i].thread, NULL), 0);
        ck_assert_uint_eq(clients[i].failed, 0);
        resumed += clients[i].resumed;
        answered[0] += clients[i].by_shard[0];
        answered[1] += clients[i].by_shard[1];
    }
    ck_assert_uint_eq(answered[0] + answered[1], CLIENTS * ROUNDS);
    ck_assert_uint_gt(answered[0], 0);
    ck_assert_uint_gt(answered[1], 0);
    ck_assert_uint_eq(resumed, CLIENTS * (ROUNDS - 1)); /* wherever they came to */
    for (unsigned i = 0; i < SHARDS; i++) {
        struct shard *s = &shards[i];

        loop_post(s->loop, &s->stop, shard_stop);
        while (!atomic_load(&s->closed)) {
            (void)usleep(1000);
        }
        loop_thread_join(&s->thread);
        s->loop = loop_free(s->loop);
        ck_assert_uint_eq(s->stats.requests, answered[i]);
    }
    (void)cx_security_unref(security);
    device = fx_cert_free(device);
    fx_cert_free(own);
    fx_cert_free(ca);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("streams, shards");
    TCase *tc = add_case(s, "two loops");

    tcase_add_test(tc, each_shard_accepts_and_knows_all_sessions);
    return run_suite(s);
}
