/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/bench/bench_cx_server.c
 * @brief Our engine alone: every request is answered 2.04 at once. What the engine itself costs.
 *
 * Usage: bench_cx_server PORT SECONDS nosec|psk [ADDRESS]. Any identity is known, its key is 16
 * bytes of 7. The address is 127.0.0.1; 0.0.0.0 and :: show what the choice of source addresses
 * costs.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/loop.h"
#include "coap/engine.h"

static const uint8_t key[16] = {7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7};

static void changed(void *data, struct cx_engine *e, const struct cx_inbound *in)
{
    static const struct cx_reply reply = {.code = CX_CHANGED};

    (void)data;
    (void)cx_answer(e, in->exchange, &reply);
}

static void know_all(void *data, struct cx_engine *e, const struct cx_psk_query *q)
{
    struct cx_identity id = {
        .kind = CX_ID_PSK, .account = 1, .credential = 1, .version = 1, .name = q->identity};

    (void)data;
    cx_psk_answer(e, q->handle, key, sizeof(key), &id);
}

static void time_over(struct loop_timer *t)
{
    loop_stop(t->loop);
}

static void closed(void *data)
{
    loop_stop(data);
}

static void must(dr_err_t err, const char *what)
{
    if (err != DR_OK) {
        fprintf(stderr, "%s: %s\n", what, dr_err_str(err));
        exit(1);
    }
}

int main(int argc, char **argv)
{
    static const struct cx_ops ops = {.request = changed, .psk = know_all};
    static const struct cx_security_config sc = {0};
    struct cx_security *security = NULL;
    struct cx_engine *e;
    struct loop *loop;
    struct loop_timer timer = {0};
    struct cx_stats st;
    int fd;

    if (argc < 4) {
        fprintf(stderr, "usage: %s PORT SECONDS nosec|psk [ADDRESS]\n", argv[0]);
        return 2;
    }
    bool psk = strcmp(argv[3], "psk") == 0;
    uint16_t port = htons((uint16_t)strtoul(argv[1], NULL, 10));
    const char *address = argc > 4 ? argv[4] : "127.0.0.1";
    union cx_addr addr = {0};
    if (inet_pton(AF_INET, address, &addr.in4.sin_addr) == 1) {
        addr.in4.sin_family = AF_INET;
        addr.in4.sin_port = port;
    } else if (inet_pton(AF_INET6, address, &addr.in6.sin6_addr) == 1) {
        addr.in6.sin6_family = AF_INET6;
        addr.in6.sin6_port = port;
    }
    must(loop_new("bench", &loop), "loop");
    if (psk) {
        must(cx_security_new(&sc, &security, NULL), "security");
    }
    struct cx_engine_config config = {.loop = loop, .shards = 1, .security = security, .ops = &ops};
    must(cx_engine_new(&config, &e), "engine");
    must(cx_sockets_open(&addr, 1, &fd), "socket");
    must(cx_engine_adopt(e, fd, psk ? CX_PROTO_DTLS : CX_PROTO_UDP), "adopt");
    loop_timer_start(loop, &timer, strtoul(argv[2], NULL, 10) * 1000, 0, time_over);
    loop_run(loop);
    cx_engine_stats(e, &st);
    printf("{\"bench\":\"cx_server\",\"requests\":%llu,\"peers\":%u,\"handshakes\":%llu,"
           "\"refused\":%llu,\"bad_records\":%llu,\"rx_dropped_kernel\":%llu,\"cpu_s\":%.2f}\n",
           (unsigned long long)st.requests, st.peers, (unsigned long long)st.handshakes_done,
           (unsigned long long)st.half_open_refused, (unsigned long long)st.bad_records,
           (unsigned long long)st.rx_dropped_kernel, (double)dr_process_cpu_us() * 1e-6);
    cx_engine_close(e, closed, loop);
    loop_run(loop);
    (void)cx_engine_free(e);
    (void)cx_security_unref(security);
    (void)loop_free(loop);
    return 0;
}
