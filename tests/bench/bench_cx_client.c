/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/bench/bench_cx_client.c
 * @brief Load on our engine in its client role: N associations, then CON POST /rd/x over them.
 *
 * Usage: bench_cx_client PORT PEERS SECONDS WINDOW SERVER-PID nosec|psk. One JSON object.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"
#include "coap/engine.h"

#define SHAKING_MAX 256
#define WINDOW_MAX  4096
#define BUCKETS     4096 /* of 16 us */

static const uint8_t key[16] = {7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7};

struct slot {
    struct cx_call call;
    struct gen *gen;
    uint64_t began_us;
};

struct gen {
    struct loop *loop;
    struct cx_engine *engine;
    struct loop_timer timer;
    union cx_addr server;
    bool psk;
    uint32_t peers, begun, connected, next;
    unsigned window;
    cx_peer_t *handles;
    struct slot slots[WINDOW_MAX];
    uint64_t answers, failures, connect_failures;
    uint64_t histogram[BUCKETS];
    bool running;
};

static void must(dr_err_t err, const char *what)
{
    if (err != DR_OK) {
        fprintf(stderr, "%s: %s\n", what, dr_err_str(err));
        exit(1);
    }
}

/* Field of /proc/PID/stat: user and system time in seconds, resident bytes. */
static void look_at(long pid, double *cpu_s, double *rss)
{
    char path[64];
    char line[1024] = "";
    unsigned long user = 0;
    unsigned long system = 0;
    long pages = 0;

    (void)snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
    FILE *f = fopen(path, "r");
    if (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        const char *tail = strrchr(line, ')');

        if (tail == NULL ||
            sscanf(tail + 1,
                   " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %*d %*d "
                   "%*u %*u %ld",
                   &user, &system, &pages) != 3) {
            fprintf(stderr, "cannot read '%s'\n", path);
        }
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    *cpu_s = (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
    *rss = (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static void connect_next(struct gen *g);

static void connect_done(void *data, cx_peer_t peer, dr_err_t err)
{
    struct gen *g = data;

    (void)peer;
    if (err != DR_OK) {
        g->connect_failures++;
    }
    g->connected++;
    connect_next(g);
    if (g->connected == g->peers) {
        loop_stop(g->loop);
    }
}

static void connect_next(struct gen *g)
{
    if (g->begun == g->peers) {
        return;
    }
    char identity[32];
    struct cx_connect c = {
        .proto = g->psk ? CX_PROTO_DTLS : CX_PROTO_UDP,
        .remote = g->server,
        .local = {.in4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f010000u + g->begun)}},
        .cb = connect_done,
        .data = g};
    if (g->psk) {
        (void)snprintf(identity, sizeof(identity), "dev-%06u", g->begun);
        c.psk_identity = identity;
        c.psk_key = key;
        c.psk_key_len = sizeof(key);
    }
    must(cx_connect(g->engine, &c, &g->handles[g->begun]), "connect");
    g->begun++;
}

static const struct cx_opt path[] = {
    {.num = CX_OPT_URI_PATH, .len = 2, .val = (const uint8_t *)"rd"},
    {.num = CX_OPT_URI_PATH, .len = 1, .val = (const uint8_t *)"x"},
};

static void call_next(struct gen *g, struct slot *s);

static void call_done(struct cx_call *call, dr_err_t err, const struct cx_pdu *answer)
{
    struct slot *s = call->data;
    struct gen *g = s->gen;

    if (err == DR_OK && answer->code == CX_CHANGED) {
        uint64_t bucket = (dr_mono_us() - s->began_us) / 16;

        g->answers++;
        g->histogram[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
    } else {
        g->failures++;
    }
    if (g->running) {
        call_next(g, s);
    }
}

static void call_next(struct gen *g, struct slot *s)
{
    s->gen = g;
    s->call = (struct cx_call){.peer = g->handles[g->next],
                               .code = CX_POST,
                               .opts = path,
                               .n_opts = 2,
                               .cb = call_done,
                               .data = s};
    s->began_us = dr_mono_us();
    g->next = (g->next + 1) % g->peers;
    must(cx_call_start(g->engine, &s->call), "call");
}

static double percentile(const struct gen *g, double p)
{
    uint64_t total = 0;
    uint64_t seen = 0;

    for (unsigned i = 0; i < BUCKETS; i++) {
        total += g->histogram[i];
    }
    for (unsigned i = 0; i < BUCKETS; i++) {
        seen += g->histogram[i];
        if ((double)seen >= (double)total * p) {
            return i * 16.0;
        }
    }
    return 0;
}

static void time_over(struct loop_timer *t)
{
    loop_stop(t->loop);
}

static void closed(void *data)
{
    loop_stop(data);
}

static void run_for(struct gen *g, double seconds)
{
    loop_timer_start(g->loop, &g->timer, (uint64_t)(seconds * 1000), 0, time_over);
    loop_run(g->loop);
}

int main(int argc, char **argv)
{
    static const struct cx_ops ops = {0};
    static const struct cx_security_config sc = {.client = true};
    struct cx_security *security = NULL;
    double cpu[4];
    double rss[4];
    union cx_addr any = {.in4 = {.sin_family = AF_INET}};
    int fd;

    if (argc != 7) {
        fprintf(stderr, "usage: %s PORT PEERS SECONDS WINDOW SERVER-PID nosec|psk\n", argv[0]);
        return 2;
    }
    struct gen *g = calloc(1, sizeof(*g));
    if (g == NULL) {
        return 1;
    }
    g->server = (union cx_addr){.in4 = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10)),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
    g->peers = (uint32_t)strtoul(argv[2], NULL, 10);
    g->window = (unsigned)strtoul(argv[4], NULL, 10);
    g->window = g->window < WINDOW_MAX ? g->window : WINDOW_MAX;
    g->window = g->window < g->peers ? g->window : g->peers;
    long pid = strtol(argv[5], NULL, 10);
    g->psk = strcmp(argv[6], "psk") == 0;
    g->handles = calloc(g->peers, sizeof(*g->handles));
    must(loop_new("gen", &g->loop), "loop");
    if (g->psk) {
        must(cx_security_new(&sc, &security, NULL), "security");
    }
    struct cx_engine_config config = {.loop = g->loop,
                                      .shards = 1,
                                      .security = security,
                                      .ops = &ops,
                                      .limits.half_open_max = SHAKING_MAX + 1};
    must(cx_engine_new(&config, &g->engine), "engine");
    must(cx_sockets_open(&any, 1, &fd), "socket");
    must(cx_engine_adopt(g->engine, fd, g->psk ? CX_PROTO_DTLS : CX_PROTO_UDP), "adopt");

    look_at(pid, &cpu[0], &rss[0]);
    uint64_t t0 = dr_mono_us();
    for (unsigned i = 0; i < SHAKING_MAX && i < g->peers; i++) {
        connect_next(g);
    }
    loop_run(g->loop);
    double connect_s = (double)(dr_mono_us() - t0) * 1e-6;
    look_at(pid, &cpu[1], &rss[1]);
    g->running = true;
    for (unsigned i = 0; i < g->window; i++) {
        call_next(g, &g->slots[i]);
    }
    while (g->answers + g->failures < g->peers) { /* every peer once */
        run_for(g, 0.2);
    }
    uint64_t before = g->answers;
    uint64_t failed = g->failures;
    memset(g->histogram, 0, sizeof(g->histogram));
    look_at(pid, &cpu[2], &rss[2]);
    uint64_t own0 = dr_process_cpu_us();
    t0 = dr_mono_us();
    run_for(g, strtod(argv[3], NULL));
    double seconds = (double)(dr_mono_us() - t0) * 1e-6;
    look_at(pid, &cpu[3], &rss[3]);
    double ops_done = (double)(g->answers - before);
    printf("{\"bench\":\"cx_client\",\"mode\":\"%s\",\"peers\":%u,\"connects_per_s\":%.0f,"
           "\"connect_failures\":%llu,\"server_cpu_us_per_connect\":%.1f,"
           "\"server_rss_per_peer\":%.0f,\"ops_per_s\":%.0f,\"p50_us\":%.0f,\"p99_us\":%.0f,"
           "\"failures\":%llu,\"gen_cpu_us_per_op\":%.2f,\"server_cpu_us_per_op\":%.2f}\n",
           argv[6], g->peers, g->peers / connect_s, (unsigned long long)g->connect_failures,
           (cpu[1] - cpu[0]) * 1e6 / g->peers, (rss[2] - rss[0]) / g->peers, ops_done / seconds,
           percentile(g, 0.5), percentile(g, 0.99), (unsigned long long)(g->failures - failed),
           (double)(dr_process_cpu_us() - own0) / ops_done, (cpu[3] - cpu[2]) * 1e6 / ops_done);
    g->running = false;
    cx_engine_close(g->engine, closed, g->loop);
    loop_run(g->loop);
    (void)cx_engine_free(g->engine);
    (void)cx_security_unref(security);
    (void)loop_free(g->loop);
    free(g->handles);
    free(g);
    return 0;
}
