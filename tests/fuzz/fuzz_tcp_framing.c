/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes for a server's connection, once in one piece and once cut as the input says; both ways must
 * bring the same requests. The first byte: b0 = the pieces are TLS records (then they are not
 * compared), b1 = close the peer in the first request, b2 = never answer. The second: how long the
 * pieces are.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "coap/conn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct state {
    unsigned behave, requests, notifications;
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

    s->requests++;
    if ((s->behave & 2) != 0) {
        cx_peer_close(e, in->peer);
    }
    if ((s->behave & 4) == 0) {
        check(cx_answer(e, in->exchange, &reply) == DR_OK);
    }
}

static bool on_notify(void *data, struct cx_engine *e, cx_peer_t peer, const struct cx_pdu *pdu)
{
    struct state *s = data;

    (void)e;
    (void)peer;
    (void)pdu;
    s->notifications++;
    return true;
}

static const struct cx_ops ops = {.request = on_request, .notify = on_notify};

static void closed(void *data)
{
    struct state *s = data;

    s->closed = true;
}

static void drain(int fd)
{
    uint8_t lost[65536];

    while (recv(fd, lost, sizeof lost, MSG_DONTWAIT) > 0) {
    }
}

/* What the engine makes of it. */
static struct state run(struct loop *loop, unsigned behave, const uint8_t *bytes, size_t len,
                        size_t piece)
{
    struct state s = {.behave = behave};
    const struct cx_engine_config config = {
        .loop = loop, .shards = 1, .ops = &ops, .data = &s, .limits = {.streams_max = 2}};
    const struct cx_flow flow = {.sock = CX_CONN_SOCK};
    struct cx_engine *e;
    struct cx_conn *c;
    int fds[2];

    check(cx_engine_new(&config, &e) == DR_OK);
    e->stream_in = malloc(CX_CONN_READ_MAX);
    e->stream_plain = malloc(TLS_PLAIN_MAX);
    e->stream_out = malloc(CX_FRAME_HEAD_MAX + CX_STREAM_MSG_MAX);
    check(e->stream_in != NULL && e->stream_plain != NULL && e->stream_out != NULL);
    check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    check(cx_conn_new(e, fds[0], CX_PROTO_TCP, &flow, &c) == DR_OK);
    uint64_t handle = cx_conn_handle(c);
    cx_conn_begin(c);
    for (size_t off = 0; off < len && cx_conn_get(e, handle) != NULL;) {
        size_t n = len - off < piece ? len - off : piece;
        if (cx_conn_reads(c)) {
            cx_conn_plain(c, bytes + off, n, (behave & 1) != 0);
            off += n;
        }
        loop_run_once(loop, false);
        drain(fds[1]);
        if (cx_conn_get(e, handle) != NULL && !cx_conn_reads(c)) {
            break; /* it waits for somebody to read, or its peer ends */
        }
    }
    cx_engine_close(e, closed, &s);
    while (!s.closed) {
        loop_run_once(loop, false);
    }
    (void)cx_engine_free(e);
    (void)close(fds[1]);
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct loop *loop;

    if (loop == NULL) {
        check(loop_new("fuzz", &loop) == DR_OK);
    }
    if (len < 3 || len > 4096) {
        return 0;
    }
    unsigned behave = data[0] & 7;
    size_t piece = 1 + data[1] % 64;
    struct state pieces = run(loop, behave, data + 2, len - 2, piece);
    if ((behave & 1) == 0) {
        struct state whole = run(loop, behave, data + 2, len - 2, len);

        check(whole.requests == pieces.requests);
        check(whole.notifications == pieces.notifications);
    }
    return 0;
}
