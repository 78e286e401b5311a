/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/unit/client/test_coap.c
 * @brief The client's message layer on a bad wire, its messages read and written by the server's
 * codec.
 */
#include <stdio.h>

#include "base/buf.h"
#include "client/core/coap.h"
#include "client/hal.h"
#include "coap/pdu.h"
#include "tests/unit/client/net_rig.h"
#include "tests/unit/run.h"

static struct cl_coap co;

/* ---- the other side: a small server that writes with coap/pdu ---- */

static struct {
    uint8_t file[6000]; /**< what GET gives */
    uint8_t body[8000]; /**< what POST brought */
    size_t body_len;
    uint16_t block; /**< largest block it takes and gives */
    bool separate;  /**< answers apart */
    bool silent;
    uint32_t requests;
    uint16_t mid;
    uint8_t etag;
    int change_at; /**< the file changes with this block, -1 = never */
    uint8_t delivered[6000];
    size_t delivered_len;
    unsigned done;
    cl_err_t err;
    uint8_t code;
    cl_err_t stop_with;
    size_t stop_at;
    unsigned served; /**< requests that the client's handler saw */
    unsigned answered, acked, refused, timeouts;
    uint32_t answered_mids[64];
} peer;

static void peer_send(uint8_t type, uint8_t code, uint16_t mid, const struct cx_pdu *to,
                      const struct cx_opt *opts, size_t n, const uint8_t *payload, size_t len)
{
    uint8_t buf[1500];
    struct dr_wr wr = dr_wr_of(buf, sizeof buf);

    ck_assert_int_eq(cx_pdu_encode(&wr, type, code, mid, to != NULL ? to->token : NULL,
                                   to != NULL ? to->token_len : 0, opts, n, payload, len),
                     DR_OK);
    net_to_client(buf, dr_wr_len(&wr));
}

static void peer_answer(const struct cx_pdu *req, uint8_t code, const struct cx_opt *opts, size_t n,
                        const uint8_t *payload, size_t len)
{
    if (peer.separate) {
        peer_send(CX_ACK, 0, req->mid, NULL, NULL, 0, NULL, 0);
        peer_send(CX_CON, code, peer.mid++, req, opts, n, payload, len);
    } else {
        peer_send(CX_ACK, code, req->mid, req, opts, n, payload, len);
    }
}

static void peer_get(const struct cx_pdu *req)
{
    uint32_t raw = req->block2 < 0 ? 5 : (uint32_t)req->block2, szx = raw & 7, num = raw >> 4;
    uint8_t b1[4], b2[4];

    while ((16u << szx) > peer.block) {
        szx--;
        num *= 2;
    }
    size_t size = 16u << szx, from = num * size, left = sizeof peer.file - from;
    ck_assert_uint_lt(from, sizeof peer.file);
    if ((int)num == peer.change_at) {
        peer.etag++;
    }
    struct cx_opt opts[] = {{CX_OPT_ETAG, 1, &peer.etag},
                            cx_opt_uint(CX_OPT_BLOCK2, num << 4 | (left > size ? 8u : 0) | szx, b1),
                            cx_opt_uint(CX_OPT_SIZE2, sizeof peer.file, b2)};
    peer_answer(req, CX_CONTENT, opts, 3, peer.file + from, left < size ? left : size);
}

static void peer_post(const struct cx_pdu *req)
{
    uint32_t raw = req->block1 < 0 ? 6 : (uint32_t)req->block1, szx = raw & 7, num = raw >> 4;
    uint8_t b1[4];
    size_t size = 16u << szx, from = num * size;

    if (size > peer.block && num == 0 && req->block1 >= 0) {
        uint32_t s = szx;
        while ((16u << s) > peer.block) {
            s--;
        }
        struct cx_opt opt = cx_opt_uint(CX_OPT_BLOCK1, s, b1);
        peer_answer(req, CX_TOO_LARGE, &opt, 1, NULL, 0);
        return;
    }
    ck_assert_uint_le(from, peer.body_len); /* no hole ever */
    memcpy(peer.body + from, req->payload, req->payload_len);
    peer.body_len =
        from + req->payload_len > peer.body_len ? from + req->payload_len : peer.body_len;
    bool more = req->block1 >= 0 && (raw & 8) != 0;
    struct cx_opt opt = cx_opt_uint(CX_OPT_BLOCK1, raw, b1);
    peer_answer(req, more ? CX_CONTINUE : CX_CHANGED, &opt, req->block1 >= 0 ? 1 : 0, NULL, 0);
}

static void peer_input(const uint8_t *msg, size_t len)
{
    struct cx_pdu pdu;

    ck_assert_int_eq(cx_pdu_decode(msg, len, &pdu), DR_OK);
    if (pdu.code == 0 || pdu.code > 31) {
        if (pdu.type == CX_ACK && pdu.code != 0) {
            peer.answered_mids[pdu.mid % 64]++;
        }
        if (pdu.type == CX_CON) {
            peer_send(CX_ACK, 0, pdu.mid, NULL, NULL, 0, NULL, 0);
        }
        return;
    }
    peer.requests++;
    if (peer.silent) {
        return;
    }
    if (pdu.code == CX_GET) {
        peer_get(&pdu);
    } else {
        peer_post(&pdu);
    }
}

/* ---- this side ---- */

static void on_send(void *ctx, const uint8_t *msg, size_t len)
{
    struct cx_pdu pdu;

    (void)ctx;
    ck_assert_int_eq(cx_pdu_decode(msg, len, &pdu), DR_OK); /* the server's codec takes it */
    (void)hal_net_send(msg, len);
}

static void on_request(void *ctx, const struct cl_msg *req, struct cl_msg *answer)
{
    (void)ctx;
    (void)req;
    peer.served++;
    answer->code = CL_CODE(2, 4);
}

static void on_delivered(void *ctx, cl_err_t err)
{
    (void)ctx;
    peer.acked += err == CL_OK;
    peer.refused += err == CL_ERR_REFUSED;
    peer.timeouts += err == CL_ERR_TIMEOUT;
}

static void on_released(void *ctx)
{
    (void)ctx;
}

static const struct cl_coap_ops ops = {on_send, on_request, on_delivered, on_released};

static void setup(void)
{
    net_reset();
    memset(&peer, 0, sizeof peer);
    peer.block = 512;
    peer.change_at = -1;
    net.server = peer_input;
    (void)hal_net_open(HAL_NET_UDP, "peer", 1);
    for (size_t i = 0; i < sizeof peer.file; i++) {
        peer.file[i] = (uint8_t)(i * 7 + i / 256);
    }
    cl_coap_init(&co, &ops, NULL, false, net.now_ms);
}

/* Let time pass until nothing is left to do, or @p ms are over. */
static void run(uint64_t ms)
{
    uint64_t end = net.now_ms + ms;

    for (;;) {
        uint8_t buf[2000];
        int n;
        net_deliver();
        while ((n = hal_net_recv(buf, sizeof buf)) > 0) {
            cl_coap_input(&co, buf, (size_t)n, net.now_ms);
        }
        uint64_t next = cl_coap_step(&co, net.now_ms), wire = net_next();
        next = wire < next ? wire : next;
        if (next > end) {
            net.now_ms = end;
            return;
        }
        net.now_ms = next > net.now_ms ? next : net.now_ms;
    }
}

static void on_done(struct cl_call *call, cl_err_t err, const struct cl_msg *answer)
{
    ck_assert(!call->active);
    peer.done++;
    peer.err = err;
    peer.code = answer != NULL ? answer->code : 0;
}

static cl_err_t on_part(struct cl_call *call, const struct cl_part *part)
{
    (void)call;
    ck_assert_uint_eq(part->offset, peer.delivered_len);
    ck_assert_uint_le(part->offset + part->len, sizeof peer.delivered);
    memcpy(peer.delivered + part->offset, part->p, part->len);
    peer.delivered_len += part->len;
    return peer.stop_at != 0 && peer.delivered_len >= peer.stop_at ? peer.stop_with : CL_OK;
}

static void get(struct cl_call *call, size_t offset)
{
    call->part = on_part;
    call->done = on_done;
    peer.delivered_len = offset;
    ck_assert_int_eq(cl_get_blocks(&co, call, "/fw", "http://host/image", offset), CL_OK);
}

static void file_is_right(size_t offset)
{
    ck_assert_uint_eq(peer.done, 1);
    ck_assert_int_eq(peer.err, CL_OK);
    ck_assert_uint_eq(peer.code, CL_CODE(2, 5));
    ck_assert_uint_eq(peer.delivered_len, sizeof peer.file);
    ck_assert_mem_eq(peer.delivered + offset, peer.file + offset, sizeof peer.file - offset);
}

static const size_t offsets[] = {0, 1, 511, 512, 513, 3000, 5632, 5999};

/* spec: RFC7959#2.4 */
START_TEST(a_download_goes_on_at_any_byte)
{
    struct cl_call call = {0};

    get(&call, offsets[_i]);
    run(60000);
    file_is_right(offsets[_i]);
    ck_assert_uint_eq(peer.requests, (sizeof peer.file - offsets[_i] / 512 * 512 + 511) / 512);
}
END_TEST

static const struct {
    unsigned loss, dup, jitter;
    bool separate;
} wires[] = {{0, 0, 0, false},      {0, 0, 0, true},      {20, 0, 50, false}, {20, 0, 50, true},
             {30, 30, 3000, false}, {30, 30, 3000, true}, {0, 90, 200, true}, {5, 50, 6000, true}};

static void bad_wire(int i)
{
    net.loss = wires[i].loss;
    net.dup = wires[i].dup;
    net.jitter_ms = wires[i].jitter;
    peer.separate = wires[i].separate;
}

/* An answer that comes, or a timeout: never silence, never twice, never a wrong byte. */
START_TEST(a_download_over_a_bad_wire_ends_once)
{
    unsigned good = 0;

    for (uint32_t seed = 1; seed <= 20; seed++) {
        struct cl_call call = {0};
        setup();
        net.seed = seed * 7919;
        bad_wire(_i);
        get(&call, 0);
        run(3600000);
        ck_assert_uint_eq(peer.done, 1);
        ck_assert_mem_eq(peer.delivered, peer.file, peer.delivered_len);
        good += peer.err == CL_OK;
        ck_assert(peer.err == CL_OK || peer.err == CL_ERR_TIMEOUT || peer.err == CL_ERR_REFUSED);
        ck_assert(peer.err != CL_OK || peer.delivered_len == sizeof peer.file);
    }
    /* the peer does not repeat its separate answers: a lost one is a timeout */
    ck_assert_uint_ge(good, wires[_i].separate && net.loss > 0 ? 0 : 14);
}
END_TEST

START_TEST(an_upload_over_a_bad_wire_arrives_whole)
{
    for (uint32_t seed = 1; seed <= 20; seed++) {
        static uint8_t body[3001];
        struct cl_call call = {.method = CL_POST,
                               .path = "/rd",
                               .query = {"ep=x", "lt=60"},
                               .format = CL_FMT_LINK,
                               .accept = CL_ID_NONE,
                               .body = body,
                               .body_len = sizeof body,
                               .done = on_done};
        setup();
        net.seed = seed * 104729;
        bad_wire(_i);
        for (size_t i = 0; i < sizeof body; i++) {
            body[i] = (uint8_t)(i + seed);
        }
        ck_assert_int_eq(cl_call_start(&co, &call), CL_OK);
        run(3600000);
        ck_assert_uint_eq(peer.done, 1);
        ck_assert_mem_eq(peer.body, body, peer.body_len);
        ck_assert(peer.err != CL_OK ||
                  (peer.body_len == sizeof body && peer.code == CL_CODE(2, 4)));
    }
}
END_TEST

/* spec: RFC7959#2.5: 4.13 with a smaller block, and a smaller one asked for */
START_TEST(blocks_shrink_when_the_server_says_so)
{
    static uint8_t body[1000];
    struct cl_call up = {.method = CL_PUT,
                         .path = "/x",
                         .format = CL_FMT_OPAQUE,
                         .accept = CL_ID_NONE,
                         .body = body,
                         .body_len = sizeof body,
                         .done = on_done},
                   down = {0};

    peer.block = 64;
    ck_assert_int_eq(cl_call_start(&co, &up), CL_OK);
    run(60000);
    ck_assert_int_eq(peer.err, CL_OK);
    ck_assert_uint_eq(peer.body_len, sizeof body);
    peer.done = 0;
    get(&down, 100);
    run(60000);
    file_is_right(100);
}
END_TEST

START_TEST(a_body_that_changes_is_an_error)
{
    struct cl_call call = {0};

    peer.change_at = 5;
    get(&call, 0);
    run(60000);
    ck_assert_int_eq(peer.err, CL_ERR_STATE);
    ck_assert_uint_eq(peer.delivered_len, 5 * 512);
    /* going on later with the old ETag is the same error at once */
    peer.change_at = -1;
    size_t at = peer.delivered_len;
    get(&call, at);
    run(60000);
    ck_assert_int_eq(peer.err, CL_ERR_STATE);
    ck_assert_uint_eq(peer.delivered_len, at);
}
END_TEST

START_TEST(the_receiver_may_stop_a_download)
{
    struct cl_call call = {0};

    peer.stop_at = 1000;
    peer.stop_with = CL_ERR_AUTH;
    get(&call, 0);
    run(60000);
    ck_assert_uint_eq(peer.done, 1);
    ck_assert_int_eq(peer.err, CL_ERR_AUTH);
    ck_assert_uint_eq(peer.requests, 2);
}
END_TEST

/* spec: RFC7252#4.2 */
START_TEST(silence_is_a_timeout_after_four_repetitions)
{
    struct cl_call call = {0};
    uint64_t began = net.now_ms;

    peer.silent = true;
    get(&call, 0);
    run(44000);
    ck_assert_uint_eq(peer.done, 0);
    run(60000);
    ck_assert_uint_eq(peer.done, 1);
    ck_assert_int_eq(peer.err, CL_ERR_TIMEOUT);
    ck_assert_uint_eq(peer.requests, 5);
    ck_assert_uint_le(net.now_ms - began, 104000);
}
END_TEST

START_TEST(cancelled_calls_end_later_and_once)
{
    struct cl_call call[CL_CALLS_MAX] = {0}, more = {.part = on_part, .done = on_done};

    peer.silent = true;
    for (size_t i = 0; i < CL_CALLS_MAX; i++) {
        get(&call[i], 0);
    }
    ck_assert_int_eq(cl_get_blocks(&co, &more, "/fw", NULL, 0), CL_ERR_BUSY);
    run(1000);
    ck_assert_uint_eq(peer.requests,
                      1); /* spec: RFC7252#4.7: one waits for its ACK, the others queue */
    cl_call_cancel(&co, &call[2]);
    ck_assert_uint_eq(peer.done, 0);
    run(1);
    ck_assert_uint_eq(peer.done, 1);
    ck_assert_int_eq(peer.err, CL_ERR_CLOSED);
    cl_coap_reset(&co, false);
    ck_assert_uint_eq(peer.done, 1);
    run(1);
    ck_assert_uint_eq(peer.done, CL_CALLS_MAX);
}
END_TEST

/* spec: RFC7252#4.5 */
START_TEST(a_repeated_request_is_answered_again_and_served_once)
{
    static const uint8_t put[] = {0x42, 0x03, 0x12, 0x34, 0xaa, 0xbb, 0xb1, '3', 0xff, 'x'};

    for (int i = 0; i < 5; i++) {
        net_to_client(put, sizeof put);
        run(500);
    }
    ck_assert_uint_eq(peer.served, 1);
    ck_assert_uint_eq(peer.answered_mids[0x1234 % 64], 5);
    /* another server program with the same message id is not swallowed */
    uint8_t other[sizeof put];
    memcpy(other, put, sizeof put);
    other[4] = 0xcc;
    net_to_client(other, sizeof other);
    run(500);
    ck_assert_uint_eq(peer.served, 2);
}
END_TEST

START_TEST(the_ring_remembers_sixteen)
{
    uint8_t put[] = {0x40, 0x03, 0, 0, 0xb1, '3'};

    for (uint8_t i = 0; i < CL_DUPS_MAX + 1; i++) {
        put[3] = i;
        net_to_client(put, sizeof put);
        run(20);
    }
    ck_assert_uint_eq(peer.served, CL_DUPS_MAX + 1);
    put[3] = 1;
    net_to_client(put, sizeof put);
    run(20);
    ck_assert_uint_eq(peer.served, CL_DUPS_MAX + 1);
    put[3] = 0; /* pushed out */
    net_to_client(put, sizeof put);
    run(20);
    ck_assert_uint_eq(peer.served, CL_DUPS_MAX + 2);
}
END_TEST

static uint8_t last[64];
static size_t last_len;

static void keep_last(const uint8_t *msg, size_t len)
{
    last_len = len < sizeof last ? len : sizeof last;
    memcpy(last, msg, last_len);
}

/* spec: RFC7252#4.3 */
START_TEST(what_is_no_request_gets_the_right_refusal)
{
    static const struct {
        uint8_t in[8];
        size_t len;
        uint8_t type, code;
    } cases[] = {{{0x40, 0, 1, 2}, 4, CX_RST, 0},
                 {{0x49, 1, 1, 3}, 4, CX_RST, 0},
                 {{0x40, 0x01, 1, 4, 0xd1, 0xf0, 'x'}, 7, CX_ACK, CX_BAD_OPTION},
                 {{0x40, 0x45, 1, 5}, 4, CX_RST, 0},
                 {{0x40, 0x25, 1, 6}, 4, CX_RST, 0}};
    struct cx_pdu pdu;

    net.server = keep_last;
    net_to_client(cases[_i].in, cases[_i].len);
    run(100);
    ck_assert_int_eq(cx_pdu_decode(last, last_len, &pdu), DR_OK);
    ck_assert_uint_eq(pdu.type, cases[_i].type);
    ck_assert_uint_eq(pdu.code, cases[_i].code);
    ck_assert_uint_eq(pdu.mid, cases[_i].in[2] << 8 | cases[_i].in[3]);
}
END_TEST

START_TEST(a_notification_is_repeated_until_acknowledged)
{
    struct cl_msg m, again;

    cl_msg_init(&m);
    m.code = CL_CODE(2, 5);
    m.observe = 7;
    again = m;
    net.loss = 100;
    ck_assert_int_eq(cl_coap_answer(&co, &m, true), CL_OK);
    ck_assert_int_eq(cl_coap_answer(&co, &again, true), CL_ERR_BUSY);
    run(2500);
    net.loss = 0;
    run(5000);
    ck_assert_uint_eq(peer.acked, 1);
    net.loss = 100;
    ck_assert_int_eq(cl_coap_answer(&co, &again, true), CL_OK);
    run(120000);
    ck_assert_uint_eq(peer.timeouts, 1);
}
END_TEST

/* ---- the codec against the server's ---- */

static struct cl_bytes text(const char *s)
{
    return (struct cl_bytes){(const uint8_t *)s, strlen(s)};
}

static void random_message(struct cl_msg *m)
{
    static const char *const words[] = {
        "", "rd", "3303", "a-long-segment-of-a-path-that-needs-an-extension", "0123456789abc"};

    cl_msg_init(m);
    m->type = (uint8_t)(net_random() % 4);
    m->code = (uint8_t)(1 + net_random() % 4);
    m->mid = (uint16_t)net_random();
    m->token_len = (uint8_t)(net_random() % 9);
    for (size_t i = 0; i < m->token_len; i++) {
        m->token[i] = (uint8_t)net_random();
    }
    for (unsigned i = net_random() % 4; i > 0; i--) {
        m->path.seg[m->path.count++] = text(words[net_random() % 5]);
        m->query.seg[m->query.count++] = text(words[net_random() % 5]);
    }
    m->format = net_random() % 2 ? (uint16_t)(net_random() % 0xffff) : CL_ID_NONE;
    m->accept = net_random() % 2 ? (uint16_t)(net_random() % 0xffff) : CL_ID_NONE;
    m->observe = net_random() % 2 ? (int32_t)(net_random() & 0xffffff) : -1;
    m->size1 = net_random() % 2 ? (int64_t)net_random() : -1;
    m->size2 = net_random() % 2 ? (int64_t)net_random() : -1;
    m->block1 = (struct cl_block){.there = net_random() % 2,
                                  .more = net_random() % 2,
                                  .size = (uint16_t)(16u << net_random() % 7),
                                  .num = net_random() & 0xfffff};
    m->payload = net_random() % 2 ? text("payload") : text("");
}

static void same(const struct cl_msg *a, const struct cl_msg *b)
{
    ck_assert_uint_eq(a->code, b->code);
    ck_assert_mem_eq(a->token, b->token, a->token_len);
    ck_assert_uint_eq(a->path.count, b->path.count);
    ck_assert_uint_eq(a->query.count, b->query.count);
    for (size_t i = 0; i < a->path.count; i++) {
        ck_assert_uint_eq(a->path.seg[i].len, b->path.seg[i].len);
        ck_assert_uint_eq(a->query.seg[i].len, b->query.seg[i].len);
    }
    ck_assert_uint_eq(a->format, b->format);
    ck_assert_uint_eq(a->accept, b->accept);
    ck_assert_int_eq(a->observe, b->observe);
    ck_assert_int_eq(a->size1, b->size1);
    ck_assert_int_eq(a->size2, b->size2);
    ck_assert_int_eq(a->block1.there, b->block1.there);
    ck_assert(!a->block1.there ||
              (a->block1.num == b->block1.num && a->block1.size == b->block1.size &&
               a->block1.more == b->block1.more));
    ck_assert_uint_eq(a->payload.len, b->payload.len);
}

START_TEST(messages_read_the_same_here_and_in_the_server)
{
    for (int i = 0; i < 3000; i++) {
        struct cl_msg m, back;
        struct cx_pdu pdu;
        uint8_t buf[CL_MSG_MAX], frame[CL_MSG_MAX];
        random_message(&m);
        size_t len = cl_msg_write(&m, buf, sizeof buf), n = cl_frame_write(&m, frame, sizeof frame);
        ck_assert_uint_gt(len, 0);
        ck_assert_int_eq(cl_msg_parse(buf, len, &back), CL_OK);
        same(&m, &back);
        ck_assert_int_eq(cx_pdu_decode(buf, len, &pdu), DR_OK);
        ck_assert_uint_eq(pdu.code, m.code);
        ck_assert_uint_eq(pdu.mid, m.mid);
        ck_assert_int_eq(pdu.observe, m.observe);
        ck_assert_int_eq(pdu.content_format, m.format == CL_ID_NONE ? -1 : m.format);
        ck_assert_int_eq(pdu.size1, m.size1);
        ck_assert_uint_eq(pdu.payload_len, m.payload.len);
        /* the form of streams: length known as soon as its head is there */
        ck_assert_uint_eq(cl_frame_len(frame, n), n);
        ck_assert_int_eq(cl_frame_parse(frame, n, &back), CL_OK);
        same(&m, &back);
        ck_assert_int_ne(cl_frame_parse(frame, n - 1, &back), CL_OK);
    }
}
END_TEST

/* spec: RFC8323#3.2 */
START_TEST(frames_have_the_bytes_of_the_standard)
{
    static const uint8_t csm[] = {0x00, 0xe1}, get_rd[] = {0x31, 0x01, 0x7f, 0xb2, 'r', 'd'};
    struct cl_msg m;
    uint8_t buf[16];

    cl_msg_init(&m);
    m.code = 0xe1;
    ck_assert_uint_eq(cl_frame_write(&m, buf, sizeof buf), sizeof csm);
    ck_assert_mem_eq(buf, csm, sizeof csm);
    ck_assert_int_eq(cl_frame_parse(get_rd, sizeof get_rd, &m), CL_OK);
    ck_assert(cl_bytes_are(m.path.seg[0], "rd") && m.token[0] == 0x7f);
    ck_assert_uint_eq(cl_frame_len((const uint8_t *)"\xf0\x00\x00\x00\x00", 5), SIZE_MAX);
    ck_assert_uint_eq(cl_frame_len((const uint8_t *)"\xe0\xff", 2), 0);
    ck_assert_uint_eq(cl_frame_len((const uint8_t *)"\xe0\xff\xff", 3), SIZE_MAX);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client/coap");
    TCase *tc = add_case(suite, "calls");

    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_loop_test(tc, a_download_goes_on_at_any_byte, 0, 8);
    tcase_add_loop_test(tc, a_download_over_a_bad_wire_ends_once, 0, 8);
    tcase_add_loop_test(tc, an_upload_over_a_bad_wire_arrives_whole, 0, 8);
    tcase_add_test(tc, blocks_shrink_when_the_server_says_so);
    tcase_add_test(tc, a_body_that_changes_is_an_error);
    tcase_add_test(tc, the_receiver_may_stop_a_download);
    tcase_add_test(tc, silence_is_a_timeout_after_four_repetitions);
    tcase_add_test(tc, cancelled_calls_end_later_and_once);
    tc = add_case(suite, "requests of the server");
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, a_repeated_request_is_answered_again_and_served_once);
    tcase_add_test(tc, the_ring_remembers_sixteen);
    tcase_add_loop_test(tc, what_is_no_request_gets_the_right_refusal, 0, 5);
    tcase_add_test(tc, a_notification_is_repeated_until_acknowledged);
    tc = add_case(suite, "messages");
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, messages_read_the_same_here_and_in_the_server);
    tcase_add_test(tc, frames_have_the_bytes_of_the_standard);
    return run_suite(suite);
}
