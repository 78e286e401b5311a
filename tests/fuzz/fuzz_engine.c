/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Datagrams for a whole engine, plain and DTLS. The input is a script: one byte says what to do,
 * and for a datagram (low bit clear) one more says from whom, two how long it is, then come its
 * bytes.
 *
 *   b0 = 0  a datagram; b1: on the DTLS socket; b2: the callbacks close the peer; b3: never answer
 *   b0 = 1  the owner acts: b1..b2 answer, call, close, or let the loop turn
 *
 * Nothing may crash, every call must complete exactly once, and the engine must close.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "coap/engine_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define CALLS 8

struct state {
    struct cx_engine *engine;
    unsigned behave;
    cx_peer_t last;
    cx_exchange_t open;
    struct cx_call calls[CALLS];
    unsigned started, done;
    bool closed;
};

static void check(bool ok)
{
    if (!ok) {
        abort();
    }
}

static void on_request(void *data, struct cx_engine *e, const struct cx_inbound *in)
{
    struct state *s = data;
    struct cx_reply reply = {
        .code = CX_CONTENT, .payload = in->pdu->payload, .payload_len = in->pdu->payload_len};

    s->last = in->peer;
    if ((s->behave & 8) != 0) {
        s->open = in->exchange;
        return;
    }
    check(cx_answer(e, in->exchange, &reply) == DR_OK);
    if ((s->behave & 4) != 0) {
        cx_peer_close(e, in->peer);
    }
}

static bool on_notify(void *data, struct cx_engine *e, cx_peer_t peer, const struct cx_pdu *pdu)
{
    struct state *s = data;

    (void)e;
    (void)pdu;
    s->last = peer;
    return (s->behave & 4) == 0;
}

static void on_gone(void *data, struct cx_engine *e, cx_peer_t peer, uint64_t user,
                    enum cx_gone why)
{
    (void)data;
    (void)peer;
    (void)user;
    check(why == CX_GONE_CLOSED || why == CX_GONE_FAILED);
    check(e != NULL);
}

static const struct cx_ops ops = {.request = on_request, .notify = on_notify, .peer_gone = on_gone};

static void call_done(struct cx_call *call, dr_err_t err, const struct cx_pdu *answer)
{
    struct state *s = call->data;

    check((err == DR_OK) == (answer != NULL));
    s->done++;
}

static void closed(void *data)
{
    struct state *s = data;

    s->closed = true;
}

static void one_datagram(struct state *s, unsigned what, struct dr_rd *rd)
{
    uint8_t from = dr_rd_u8(rd);
    size_t len = dr_rd_u16(rd) % (CX_DGRAM_MAX + 1);
    uint8_t bytes[CX_DGRAM_MAX];
    union cx_addr remote = {.in4 = {.sin_family = AF_INET,
                                    .sin_port = htons(9),
                                    .sin_addr.s_addr = htonl(0x7f030000u + from % 4)}};
    union cx_addr local = {
        .in4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
    struct cx_endpoint *ep = &s->engine->socks[what >> 1 & 1];
    struct cx_dgram d = {.data = bytes};

    len = len < dr_rd_left(rd) ? len : dr_rd_left(rd);
    dr_rd_copy(rd, bytes, len);
    d.len = len;
    s->behave = what;
    cx_flow_set(&d.flow, (uint8_t)(what >> 1 & 1), &remote, &local);
    cx_engine_datagram(s->engine, ep, &d);
}

static void owner_acts(struct state *s, unsigned what, struct loop *loop)
{
    static const struct cx_reply reply = {.code = CX_CHANGED};
    struct cx_call *c = &s->calls[s->started % CALLS];

    switch (what >> 1 & 3) {
    case 0:
        (void)cx_answer(s->engine, s->open, &reply);
        break;
    case 1:
        if (s->started < CALLS) {
            *c = (struct cx_call){.peer = s->last, .code = CX_GET, .cb = call_done, .data = s};
            s->started += cx_call_start(s->engine, c) == DR_OK;
        }
        break;
    case 2:
        cx_peer_close(s->engine, s->last);
        break;
    case 3:
        loop_run_once(loop, false);
        break;
    }
}

/* Addresses that nobody listens at: what goes out is lost. */
static void adopt(struct cx_engine *e, enum cx_proto proto)
{
    union cx_addr a = {.in4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
    int fd;

    check(cx_sockets_open(&a, 1, &fd) == DR_OK);
    check(cx_engine_adopt(e, fd, proto) == DR_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct loop *loop;
    static struct cx_security *security;
    static const struct cx_security_config sc = {.cookie_key = {1}};
    struct state s = {0};
    struct dr_rd rd = dr_rd_of(data, len);

    if (loop == NULL) {
        check(loop_new("fuzz", &loop) == DR_OK);
        check(cx_security_new(&sc, &security, NULL) == DR_OK);
    }
    struct cx_engine_config config = {.loop = loop,
                                      .shards = 1,
                                      .security = security,
                                      .ops = &ops,
                                      .data = &s,
                                      .limits = {.peers_max = 3, .half_open_max = 2}};
    check(cx_engine_new(&config, &s.engine) == DR_OK);
    adopt(s.engine, CX_PROTO_UDP);
    adopt(s.engine, CX_PROTO_DTLS);
    for (unsigned n = 0; n < 200 && dr_rd_left(&rd) > 0; n++) {
        uint8_t what = dr_rd_u8(&rd);

        if ((what & 1) == 0) {
            one_datagram(&s, what, &rd);
        } else {
            owner_acts(&s, what, loop);
        }
    }
    cx_engine_close(s.engine, closed, &s);
    while (!s.closed) {
        loop_run_once(loop, false);
    }
    check(s.done == s.started);
    (void)cx_engine_free(s.engine);
    return 0;
}
