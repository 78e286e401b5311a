/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A script of datagrams, time, calls and answers for the message layer. Each command is a byte and
 * its arguments; what is left at the end is closed. Every call must complete exactly once, every
 * message that is sent must decode, and nothing may be left behind.
 */
#include <stdlib.h>
#include <string.h>

#include "base/rand.h"
#include "coap/msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define PEERS 2
#define CALLS 16
#define OPEN  32

struct state {
    struct cx_msg *m;
    struct cx_mpeer peers[PEERS];
    struct cx_stats stats;
    struct dr_prng rand;
    uint64_t now_ms;
    uint8_t out[CX_MSG_MAX];
    struct cx_pdu last[PEERS]; /* header of the newest message to each peer */
    bool blocked;
    unsigned behave; /* of the request and notify callbacks */
    cx_exchange_t open[OPEN];
    unsigned n_open;
    struct cx_call calls[CALLS];
    struct cx_opt opts[CALLS][3];
    uint8_t numbers[CALLS][4];
    bool running[CALLS];
    unsigned n_started, n_done;
};

static uint8_t body[6000];

static void check(bool ok)
{
    if (!ok) {
        abort();
    }
}

static uint8_t *out_begin(void *data, struct cx_mpeer *p, size_t max)
{
    struct state *s = data;
    (void)p;
    check(max <= sizeof s->out);
    return s->blocked ? NULL : s->out;
}

static void out_end(void *data, struct cx_mpeer *p, size_t len)
{
    struct state *s = data;
    struct cx_pdu pdu;
    check(len >= 4 && len <= CX_MSG_MAX);
    dr_err_t err = cx_pdu_decode(s->out, len, &pdu);
    check(err == DR_OK);
    s->last[p - s->peers] = pdu;
}

static void answer(struct state *s, cx_exchange_t x, unsigned how)
{
    static const size_t sizes[] = {0, 3, 900, 5000};
    struct cx_opt opt = {CX_OPT_LOCATION_PATH, 20, body};
    struct cx_reply reply = {.code = how & 4 ? CX_NOT_FOUND : CX_CONTENT,
                             .opts = &opt,
                             .n_opts = how >> 3 & 1,
                             .payload = body,
                             .payload_len = sizes[how & 3]};
    (void)cx_msg_answer(s->m, x, &reply, s->now_ms);
}

static void on_request(void *data, struct cx_mpeer *p, cx_exchange_t x, const struct cx_pdu *pdu)
{
    struct state *s = data;
    uint8_t sum = 0;
    for (size_t i = 0; i < pdu->payload_len; i++) {
        sum ^= pdu->payload[i];
    }
    switch (s->behave & 3) {
    case 0:
        answer(s, x, s->behave >> 2);
        break;
    case 1:
        cx_msg_forget(s->m, x);
        break;
    case 2:
        if (s->n_open < OPEN) {
            s->open[s->n_open++] = x;
        }
        break;
    default:
        if (sum & 1) {
            cx_msg_peer_fini(s->m, p, DR_ERR_GONE);
            cx_msg_peer_init(s->m, p);
        }
        break;
    }
}

static bool on_notify(void *data, struct cx_mpeer *p, const struct cx_pdu *pdu)
{
    struct state *s = data;
    (void)p;
    uint8_t sum = 0;
    for (size_t i = 0; i < pdu->payload_len; i++) {
        sum ^= pdu->payload[i];
    }
    return ((s->behave ^ sum) & 1) == 0;
}

static bool on_observed(void *data, struct cx_mpeer *p, const struct cx_pdu *first,
                        struct cx_observed *ret)
{
    struct state *s = data;
    (void)p;
    (void)first;
    ret->code = s->behave & 8 ? CX_FETCH : CX_GET;
    ret->n_opts = 1;
    ret->buf[0] = 'o';
    ret->opts[0] = (struct cx_opt){CX_OPT_URI_PATH, 1, ret->buf};
    ret->payload = body;
    ret->payload_len = s->behave & 8 ? 7 : 0;
    return (s->behave & 16) == 0;
}

static void random_bytes(void *data, uint8_t *buf, size_t len)
{
    struct state *s = data;
    dr_prng_bytes(&s->rand, buf, len);
}

static const struct cx_msg_ops ops = {
    .out_begin = out_begin,
    .out_end = out_end,
    .request = on_request,
    .notify = on_notify,
    .observed = on_observed,
    .random = random_bytes,
};

static void call_done(struct cx_call *call, dr_err_t err, const struct cx_pdu *pdu)
{
    struct state *s = call->data;
    size_t i = (size_t)(call - s->calls);
    check(s->running[i]);
    check((err == DR_OK) == (pdu != NULL));
    if (pdu != NULL) {
        struct cx_opt opt;
        for (struct cx_opt_iter it = cx_opt_begin(pdu); cx_opt_next(&it, &opt);) {
        }
        check(pdu->payload_len == 0 || pdu->payload != NULL);
    }
    s->running[i] = false;
    s->n_done++;
}

static void call_start(struct state *s, unsigned peer, uint8_t how)
{
    static const uint8_t codes[] = {CX_GET, CX_PUT, CX_FETCH, CX_CONTENT};
    static const size_t sizes[] = {0, 10, 700, 4000};
    size_t i = 0;
    while (i < CALLS && s->running[i]) {
        i++;
    }
    if (i == CALLS) {
        return;
    }
    s->opts[i][0] = (struct cx_opt){CX_OPT_URI_PATH, 1, (const uint8_t *)"o"};
    s->opts[i][1] = cx_opt_uint(CX_OPT_OBSERVE, how >> 7, s->numbers[i]);
    s->calls[i] = (struct cx_call){.code = codes[how & 3],
                                   .opts = s->opts[i],
                                   .n_opts = how & 0x40 ? 2 : 1,
                                   .payload = body,
                                   .payload_len = sizes[how >> 2 & 3],
                                   .non = (how & 0x10) != 0,
                                   .block_size = how & 0x20 ? 64 : 0,
                                   .cb = call_done,
                                   .data = s};
    if (how & 0x40) {
        s->calls[i].token_len = 1;
        s->calls[i].token[0] = 'o';
    }
    if (cx_msg_call_start(s->m, &s->peers[peer], &s->calls[i], s->now_ms) == DR_OK) {
        s->running[i] = true;
        s->n_started++;
    }
}

/* A message of the peer that fits what we sent it last. */
static void reply_in(struct state *s, unsigned peer, struct dr_rd *rd)
{
    uint8_t how = dr_rd_u8(rd);
    uint8_t code = dr_rd_u8(rd);
    uint8_t head = dr_rd_u8(rd);
    const struct cx_pdu *last = &s->last[peer];
    uint8_t msg[1500], b1[4], b2[4], obs[4];
    struct cx_opt opts[5];
    size_t n = 0;
    if (how & 1) {
        opts[n++] =
            cx_opt_uint(CX_OPT_BLOCK1,
                        how & 2 && last->block1 >= 0 ? (uint32_t)last->block1 : dr_rd_u16(rd), b1);
    }
    if (how & 4) {
        uint32_t value =
            how & 8 && last->block2 >= 0 ? (uint32_t)last->block2 | (head & 8) : dr_rd_u16(rd);
        opts[n++] = cx_opt_uint(CX_OPT_BLOCK2, value, b2);
    }
    if (how & 16) {
        opts[n++] = cx_opt_uint(CX_OPT_OBSERVE, dr_rd_u8(rd), obs);
    }
    if (how & 32) {
        opts[n++] = (struct cx_opt){CX_OPT_ECHO, 8, body};
    }
    if (how & 64) {
        opts[n++] = (struct cx_opt){CX_OPT_ETAG, 1, body + (head & 1)};
    }
    static const size_t sizes[] = {0, 16, 64, 1024};
    struct dr_wr wr = dr_wr_of(msg, sizeof msg);
    uint16_t mid = (head & 4) != 0 ? dr_rd_u16(rd) : last->mid;
    uint8_t type = head & 3;
    if (code == 0) {
        dr_wr_u32(&wr, 0x40000000u | (uint32_t)type << 28 | mid);
    } else if (cx_pdu_encode(&wr, type, code, mid, last->token, how & 128 ? 0 : last->token_len,
                             opts, n, body, sizes[head >> 4 & 3]) != DR_OK) {
        return;
    }
    uint8_t *exact = malloc(dr_wr_len(&wr));
    check(exact != NULL);
    memcpy(exact, msg, dr_wr_len(&wr));
    cx_msg_input(s->m, &s->peers[peer], exact, dr_wr_len(&wr), s->now_ms);
    free(exact);
}

static void raw_in(struct state *s, unsigned peer, struct dr_rd *rd)
{
    size_t len = dr_rd_u8(rd);
    len = len < dr_rd_left(rd) ? len : dr_rd_left(rd);
    struct dr_bytes b = dr_rd_bytes(rd, len);
    uint8_t *exact = malloc(len + 1);
    check(exact != NULL);
    if (len > 0) {
        memcpy(exact, b.p, len);
    }
    cx_msg_input(s->m, &s->peers[peer], exact, len, s->now_ms);
    free(exact);
}

static void time_pass(struct state *s, uint64_t ms)
{
    uint64_t until = s->now_ms + ms;
    while (cx_msg_deadline(s->m) <= until) {
        uint64_t at = cx_msg_deadline(s->m);
        s->now_ms = at > s->now_ms ? at : s->now_ms;
        cx_msg_expire(s->m, s->now_ms);
    }
    s->now_ms = until;
}

static void command(struct state *s, struct dr_rd *rd)
{
    uint8_t op = dr_rd_u8(rd);
    unsigned peer = op >> 7;

    switch (op & 15) {
    case 0:
    case 1:
        raw_in(s, peer, rd);
        break;
    case 2:
    case 3:
    case 4:
    case 5:
        reply_in(s, peer, rd);
        break;
    case 6:
        call_start(s, peer, dr_rd_u8(rd));
        break;
    case 7:
        time_pass(s, (uint64_t)dr_rd_u8(rd) * 20);
        break;
    case 8:
        time_pass(s, (uint64_t)dr_rd_u8(rd) * 2000);
        break;
    case 9:
        s->behave = dr_rd_u8(rd);
        break;
    case 10:
        if (s->n_open > 0) {
            answer(s, s->open[--s->n_open], dr_rd_u8(rd));
        }
        break;
    case 11:
        if (s->n_open > 0) {
            cx_msg_forget(s->m, s->open[--s->n_open]);
        }
        break;
    case 12: {
        unsigned i = dr_rd_u8(rd) % CALLS;
        if (s->running[i]) {
            cx_msg_call_cancel(s->m, &s->calls[i]);
        }
        break;
    }
    case 13:
        cx_msg_calls_moved(s->m, &s->peers[peer]);
        break;
    case 14:
        cx_msg_peer_fini(s->m, &s->peers[peer], DR_ERR_GONE);
        cx_msg_peer_init(s->m, &s->peers[peer]);
        break;
    default:
        s->blocked = !s->blocked;
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct state s;
    memset(&s, 0, sizeof s);
    dr_prng_init(&s.rand, 1);
    s.now_ms = 1000;
    struct cx_msg_config config = {.ops = &ops,
                                   .data = &s,
                                   .stats = &s.stats,
                                   .now_ms = s.now_ms,
                                   .limits = {.body_max = 5000,
                                              .assemblies_max = 3,
                                              .exchanges_per_peer_max = 3,
                                              .calls_per_peer_max = 5,
                                              .peers_max = 16}};
    check(cx_msg_new(&config, &s.m) == DR_OK);
    for (unsigned i = 0; i < PEERS; i++) {
        cx_msg_peer_init(s.m, &s.peers[i]);
    }
    struct dr_rd rd = dr_rd_of(data, len);
    while (dr_rd_ok(&rd) && dr_rd_left(&rd) > 0) {
        command(&s, &rd);
    }
    for (unsigned i = 0; i < PEERS; i++) {
        cx_msg_peer_fini(s.m, &s.peers[i], DR_ERR_GONE);
    }
    cx_msg_expire(s.m, s.now_ms);
    check(s.n_started == s.n_done);
    check(s.stats.exchanges == 0 && s.stats.assemblies == 0);
    (void)cx_msg_free(s.m);
    return 0;
}
