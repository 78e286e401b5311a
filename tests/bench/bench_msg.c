/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU time of the message layer alone for a registration update: a CON of 60 bytes in, its 2.04 out
 * on the ACK, inside the callback; and of a read of ours: a CON out, a 2.05 in. For two numbers of
 * peers: the cost must not grow with them (cache misses aside).
 *
 *   bench_msg [--json FILE]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/rand.h"
#include "coap/msg.h"

#define OPS 1000000u

struct bench {
    struct cx_msg *m;
    struct cx_mpeer *peers;
    struct dr_prng rand;
    uint8_t out[CX_MSG_MAX];
    uint64_t sent, done;
};

static uint8_t *out_begin(void *data, struct cx_mpeer *p, size_t max)
{
    struct bench *b = data;
    (void)p;
    (void)max;
    return b->out;
}

static void out_end(void *data, struct cx_mpeer *p, size_t len)
{
    struct bench *b = data;
    (void)p;
    b->sent += len > 0 ? 1 : 0;
}

static void on_request(void *data, struct cx_mpeer *p, cx_exchange_t x, const struct cx_pdu *pdu)
{
    struct bench *b = data;
    struct cx_reply reply = {.code = CX_CHANGED};
    char path[64];
    (void)p;
    if (cx_pdu_path(pdu, path, sizeof path) == DR_OK &&
        cx_msg_answer(b->m, x, &reply, 0) == DR_OK) {
        b->done++;
    }
}

static bool on_notify(void *data, struct cx_mpeer *p, const struct cx_pdu *pdu)
{
    (void)data;
    (void)p;
    (void)pdu;
    return true;
}

static void random_bytes(void *data, uint8_t *buf, size_t len)
{
    struct bench *b = data;
    dr_prng_bytes(&b->rand, buf, len);
}

static void call_done(struct cx_call *call, dr_err_t err, const struct cx_pdu *pdu)
{
    struct bench *b = call->data;
    (void)pdu;
    b->done += err == DR_OK ? 1 : 0;
}

static const struct cx_msg_ops ops = {
    .out_begin = out_begin,
    .out_end = out_end,
    .request = on_request,
    .notify = on_notify,
    .random = random_bytes,
};

static void bench_updates(struct bench *b, unsigned n)
{
    struct cx_opt opts[3] = {
        {CX_OPT_URI_PATH, 2, (const uint8_t *)"rd"},
        {CX_OPT_URI_PATH, 32, (const uint8_t *)"0123456789abcdef0123456789abcdef"},
        {CX_OPT_URI_QUERY, 6, (const uint8_t *)"lt=300"}};
    uint8_t msg[128];
    for (unsigned i = 0; i < OPS; i++) {
        struct dr_wr wr = dr_wr_of(msg, sizeof msg);
        uint32_t token = i;
        (void)!cx_pdu_encode(&wr, CX_CON, CX_POST, (uint16_t)(i / n), (uint8_t *)&token, 4, opts, 3,
                             NULL, 0);
        cx_msg_input(b->m, &b->peers[(uint64_t)i * 7919 % n], msg, dr_wr_len(&wr), i / 100);
    }
}

static void bench_reads(struct bench *b, unsigned n)
{
    struct cx_opt path = {CX_OPT_URI_PATH, 1, (const uint8_t *)"3"};
    uint8_t msg[128];
    for (unsigned i = 0; i < OPS; i++) {
        struct cx_call call = {
            .code = CX_GET, .opts = &path, .n_opts = 1, .cb = call_done, .data = b};
        struct cx_mpeer *p = &b->peers[(uint64_t)i * 7919 % n];
        if (cx_msg_call_start(b->m, p, &call, i / 100) != DR_OK) {
            return;
        }
        uint16_t mid = (uint16_t)(b->out[2] << 8 | b->out[3]);
        struct dr_wr wr = dr_wr_of(msg, sizeof msg);
        (void)!cx_pdu_encode(&wr, CX_ACK, CX_CONTENT, mid, call.token, 8, NULL, 0,
                             (const uint8_t *)"42", 2);
        cx_msg_input(b->m, p, msg, dr_wr_len(&wr), i / 100);
    }
}

static void run(const char *name, unsigned n, void (*fn)(struct bench *, unsigned), FILE *json)
{
    struct bench b = {0};
    dr_prng_init(&b.rand, 1);
    b.peers = calloc(n, sizeof *b.peers);
    struct cx_msg_config config = {.ops = &ops, .data = &b};
    if (b.peers == NULL || cx_msg_new(&config, &b.m) != DR_OK) {
        exit(1);
    }
    for (unsigned i = 0; i < n; i++) {
        cx_msg_peer_init(b.m, &b.peers[i]);
    }
    fn(&b, n);
    uint64_t before = b.done, start = dr_thread_cpu_us();
    fn(&b, n);
    uint64_t us = dr_thread_cpu_us() - start;
    if (b.done - before != OPS && fn == bench_reads) {
        exit(1);
    }
    double per_op = (double)us / OPS;
    printf("%-8s %8u peers  %.3f us/op\n", name, n, per_op);
    if (json != NULL) {
        fprintf(json,
                "{\"bench\":\"msg\",\"case\":\"%s\",\"devices\":%u,\"server_cpu_us_per_op\":%.3f,"
                "\"ops_per_s\":%.0f}\n",
                name, n, per_op, 1e6 / per_op);
    }
    for (unsigned i = 0; i < n; i++) {
        cx_msg_peer_fini(b.m, &b.peers[i], DR_ERR_GONE);
    }
    cx_msg_expire(b.m, 1000000);
    (void)cx_msg_free(b.m);
    free(b.peers);
}

int main(int argc, char **argv)
{
    FILE *json = argc == 3 && strcmp(argv[1], "--json") == 0 ? fopen(argv[2], "a") : NULL;
    static const unsigned sizes[] = {1000, 100000};
    for (size_t i = 0; i < DR_ARRAY_LEN(sizes); i++) {
        run("update", sizes[i], bench_updates, json);
        run("read", sizes[i], bench_reads, json);
    }
    if (json != NULL) {
        fclose(json);
    }
    return 0;
}
