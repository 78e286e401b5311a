/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/unit/coap/test_stream.c
 * @brief Frames, signalling messages and telling the framings apart; several blocks in a message;
 * the message layer with peers that are streams.
 */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "coap/block.h"
#include "coap/stream.h"
#include "tests/unit/coap/rig.h"
#include "tests/unit/run.h"

static size_t bytes_of(const char *hex, uint8_t *out, size_t cap)
{
    size_t len;

    ck_assert_int_eq(dr_hex_decode(hex, strlen(hex), out, cap, &len), DR_OK);
    return len;
}

/* ---- which framing ---- */

static const struct {
    const char *why, *hex;
    bool records;
    dr_err_t err;
    enum cx_framing want;
} firsts[] = {
    {"the shortest CSM", "00e1", false, DR_OK, CX_FRAMING_RFC8323},
    {"a CSM with options", "40e122248020", false, DR_OK, CX_FRAMING_RFC8323},
    {"a CSM with a longer length", "d000e1", false, DR_OK, CX_FRAMING_RFC8323},
    {"its code is still to come", "d000", false, DR_ERR_AGAIN, 0},
    {"nothing yet", "", false, DR_ERR_AGAIN, 0},
    {"one byte", "00", false, DR_ERR_AGAIN, 0},
    {"a length before a datagram", "0000", false, DR_OK, CX_FRAMING_DATAGRAM},
    {"a request first", "0001", false, DR_ERR_PROTO, 0},
    {"a ping first", "00e2", false, DR_ERR_PROTO, 0},
    {"HTTP", "4745", false, DR_ERR_PROTO, 0},
    {"a token of 15 bytes", "ffff", false, DR_ERR_PROTO, 0},
    {"a CON in a record", "44021234", true, DR_OK, CX_FRAMING_DATAGRAM},
    {"a ping in a record", "40001234", true, DR_OK, CX_FRAMING_DATAGRAM},
    {"a CSM in a record", "00e1", true, DR_OK, CX_FRAMING_RFC8323},
    {"a CSM whose length looks like version 1", "40e122248020", true, DR_OK, CX_FRAMING_RFC8323},
    {"a length in a record", "00000004", true, DR_ERR_PROTO, 0},
    {"version 2", "84021234", true, DR_ERR_PROTO, 0},
    {"too short", "40", true, DR_ERR_PROTO, 0},
    {"a message cut short", "440212", true, DR_ERR_PROTO, 0},
};

START_TEST(the_first_bytes_tell)
{
    uint8_t in[16];
    size_t len = bytes_of(firsts[_i].hex, in, sizeof in);
    enum cx_framing got = 77;

    ck_assert_msg(cx_stream_detect(in, len, firsts[_i].records, &got) == firsts[_i].err, "%s",
                  firsts[_i].why);
    ck_assert_msg(got == (firsts[_i].err == DR_OK ? firsts[_i].want : 77), "%s", firsts[_i].why);
}
END_TEST

/* ---- frames ---- */

static const size_t bodies[] = {0, 1, 12, 13, 268, 269, 1024, 9000, 65804, 65805, 70000};

/* spec: RFC8323#3.2 */
START_TEST(frames_of_each_length_go_both_ways)
{
    size_t n = bodies[_i];
    uint8_t *msg = calloc(1, 70100), *copy = malloc(70100);
    struct cx_frame f;
    size_t len;

    /* a message of RFC 7252 with a token of 3 bytes and n bytes behind it */
    memcpy(msg + 8, "\x43\x02\x12\x34\x0a\x0b\x0c", 7);
    memset(msg + 15, 0x61, n);
    uint8_t *frame = cx_frame_from_message(msg + 8, 7 + n, &len);
    ck_assert(frame >= msg + 8 + 4 - CX_FRAME_HEAD_MAX);
    memcpy(copy, frame, len);
    for (size_t cut = 0; cut < len; cut += cut < 20 || cut > len - 20 ? 1 : 997) {
        ck_assert_int_eq(cx_frame_next(copy, cut, 1 << 20, &f), DR_ERR_AGAIN);
    }
    ck_assert_int_eq(cx_frame_next(copy, len, 1 << 20, &f), DR_OK);
    ck_assert_uint_eq(f.total, len);
    ck_assert_uint_eq(f.code, CX_POST);
    ck_assert_uint_eq(f.token_len, 3);
    ck_assert_uint_eq(f.rest_len, 3 + n);
    ck_assert_mem_eq(f.rest, "\x0a\x0b\x0c", 3);
    ck_assert_int_eq(cx_frame_next(copy, len, len, &f), DR_OK);
    ck_assert_int_eq(cx_frame_next(copy, len, len - 1, &f), DR_ERR_TOO_LARGE);
    free(copy);
    free(msg);
}
END_TEST

START_TEST(the_example_of_the_header_is_read)
{
    uint8_t in[16];
    size_t len = bytes_of("4301a1a2a3b3666f6f", in, sizeof in);
    struct cx_frame f;
    struct cx_pdu pdu;
    char path[16];

    ck_assert_int_eq(cx_frame_next(in, len, 1152, &f), DR_OK);
    ck_assert_int_eq(cx_pdu_decode_frame(f.code, f.token_len, f.rest, f.rest_len, &pdu), DR_OK);
    ck_assert_int_eq(cx_pdu_path(&pdu, path, sizeof path), DR_OK);
    ck_assert_str_eq(path, "/foo");
    ck_assert_int_eq(pdu.type, CX_CON);
    ck_assert_mem_eq(pdu.token, "\xa1\xa2\xa3", 3);
}
END_TEST

START_TEST(frames_that_are_none)
{
    const uint8_t token9[] = {0x09, 0x01}, huge[] = {0xf0, 0xff, 0xff, 0xff, 0xff, 0x01};
    struct cx_frame f = {.code = 99};

    ck_assert_int_eq(cx_frame_next(token9, 1, 1152, &f), DR_ERR_PROTO);
    ck_assert_int_eq(cx_frame_next(token9, 2, 1152, &f), DR_ERR_PROTO);
    ck_assert_int_eq(cx_frame_next(huge, sizeof huge, 1152, &f), DR_ERR_TOO_LARGE);
    ck_assert_int_eq(cx_frame_next(huge, sizeof huge, SIZE_MAX / 2, &f), DR_ERR_AGAIN);
    ck_assert_uint_eq(f.code, 99);
}
END_TEST

START_TEST(datagrams_behind_a_length)
{
    uint8_t in[16];
    size_t len = bytes_of("0000000440001234", in, sizeof in), total = 0;
    struct dr_bytes msg = {0};

    for (size_t cut = 0; cut < len; cut++) {
        ck_assert_int_eq(cx_datagram_next(in, cut, &msg, &total), DR_ERR_AGAIN);
        ck_assert_uint_eq(total, 0);
    }
    ck_assert_int_eq(cx_datagram_next(in, len, &msg, &total), DR_OK);
    ck_assert_uint_eq(total, 8);
    ck_assert_uint_eq(msg.len, 4);
    memset(in, 0, 4);
    ck_assert_int_eq(cx_datagram_next(in, len, &msg, &total), DR_ERR_PROTO);
    dr_store_be(in, CX_STREAM_DATAGRAM_MAX + 1, 4);
    ck_assert_int_eq(cx_datagram_next(in, len, &msg, &total), DR_ERR_TOO_LARGE);
    dr_store_be(in, CX_STREAM_DATAGRAM_MAX, 4);
    ck_assert_int_eq(cx_datagram_next(in, len, &msg, &total), DR_ERR_AGAIN);
}
END_TEST

/* ---- signalling ---- */

static struct cx_signal read_signal(const char *hex, dr_err_t want)
{
    uint8_t in[64];
    size_t len = bytes_of(hex, in, sizeof in);
    struct cx_frame f;
    struct cx_signal s = {.max_message_size = 77};

    ck_assert_int_eq(cx_frame_next(in, len, 1152, &f), DR_OK);
    ck_assert_int_eq(cx_signal_parse(&f, &s), want);
    return s;
}

/* spec: RFC8323#5.3 */
START_TEST(capabilities_are_read)
{
    struct cx_signal s = read_signal("00e1", DR_OK);
    ck_assert_int_eq(s.max_message_size, -1);
    ck_assert(!s.blockwise);
    s = read_signal("40e122248020", DR_OK);
    ck_assert_int_eq(s.max_message_size, 0x2480);
    ck_assert(s.blockwise);
    ck_assert_uint_eq(s.bad_option, 0);
    s = read_signal("10e110", DR_OK);
    ck_assert_uint_eq(s.bad_option, 1);
    s = read_signal("10e130", DR_OK); /* option 3 */
    ck_assert_uint_eq(s.bad_option, 3);
    s = read_signal("10e160", DR_OK); /* elective ones are left alone */
    ck_assert_uint_eq(s.bad_option, 0);
    s = read_signal("60e1250102030405", DR_ERR_PROTO); /* a number of 5 bytes */
    ck_assert_int_eq(s.max_message_size, 77);
    (void)read_signal("10e1f0", DR_ERR_PROTO);
    s = read_signal("11e20120", DR_OK);
    ck_assert(s.custody);
}
END_TEST

static const struct {
    enum cx_signal_code code;
    struct cx_signal signal;
    const char *token, *want;
} made[] = {
    {CX_SIGNAL_CSM, {.max_message_size = 0x2480, .blockwise = true}, "", "40e122248020"},
    {CX_SIGNAL_CSM, {.max_message_size = -1}, "", "00e1"},
    {CX_SIGNAL_PONG, {.custody = true}, "abcd", "12e3abcd20"},
    {CX_SIGNAL_PONG, {0}, "01", "01e301"},
    {CX_SIGNAL_RELEASE, {0}, "", "00e4"},
    {CX_SIGNAL_ABORT, {.bad_option = 3}, "", "20e52103"},
    {CX_SIGNAL_ABORT, {0}, "", "00e5"},
};

START_TEST(signals_are_made)
{
    uint8_t token[8], buf[CX_SIGNAL_MAX];
    char got[2 * CX_SIGNAL_MAX + 1];
    size_t token_len = bytes_of(made[_i].token, token, sizeof token);
    size_t len = cx_signal_make(made[_i].code, token, (uint8_t)token_len, &made[_i].signal, buf);

    dr_hex_encode(buf, len, got);
    ck_assert_str_eq(got, made[_i].want);
}
END_TEST

/* ---- several blocks in a message ---- */

/* spec: RFC8323#6 */
START_TEST(exponent_7_means_several_blocks)
{
    struct cx_block b = {.num = 99};
    size_t len;

    ck_assert_int_eq(cx_block_decode(0x1f, &b), DR_ERR_PROTO);
    ck_assert_uint_eq(b.num, 99);
    ck_assert_int_eq(cx_block_decode_bert(0x2f, &b), DR_OK);
    ck_assert_uint_eq(b.num, 2);
    ck_assert_uint_eq(b.size, 1024);
    ck_assert_uint_eq(b.count, 1);
    ck_assert(b.more);
    ck_assert(cx_block_holds(&b, 3072) && !cx_block_holds(&b, 1000) && !cx_block_holds(&b, 0));
    b.more = false;
    ck_assert(cx_block_holds(&b, 1000) && cx_block_holds(&b, 5000));
    b.count = 8;
    ck_assert_uint_eq(cx_block_encode(&b), 0x27);
    ck_assert(cx_block_slice(&b, 20000, &len));
    ck_assert_uint_eq(len, 8192);
    ck_assert(b.more);
    ck_assert(cx_block_slice(&b, 5000, &len));
    ck_assert_uint_eq(len, 5000 - 2048);
    ck_assert(!b.more);
    ck_assert_int_eq(cx_block_decode_bert(0x1e, &b), DR_OK);
    ck_assert_uint_eq(b.count, 0);
    ck_assert_int_eq(cx_block_decode_bert(-1, &b), DR_ERR_NOT_FOUND);
    ck_assert_int_eq(cx_block_decode_bert(0x1000007, &b), DR_ERR_PROTO);
}
END_TEST

/* ---- the message layer ---- */

static struct rig r;
static size_t room;

static size_t room_for(void *data, const struct cx_mpeer *p)
{
    (void)data;
    (void)p;
    return room;
}

static uint8_t wide[CX_STREAM_MSG_MAX], last[CX_STREAM_MSG_MAX];
static size_t last_len;
static unsigned n_sent;

static uint8_t *wide_begin(void *data, struct cx_mpeer *p, size_t max)
{
    (void)data;
    (void)p;
    ck_assert_uint_le(max, sizeof wide);
    return wide;
}

static void wide_end(void *data, struct cx_mpeer *p, size_t len)
{
    (void)data;
    (void)p;
    if (len > 0) {
        memcpy(last, wide, len);
        last_len = len;
        n_sent++;
    }
}

/* The rig's buffers are for datagrams, so it gets another layer, whose first peer is a stream. */
static void set_up(void)
{
    static struct cx_msg_ops ops;

    rig_init(&r, NULL);
    for (unsigned i = 0; i < RIG_PEERS; i++) {
        cx_msg_peer_fini(r.m, &r.peers[i], DR_ERR_GONE);
    }
    r.m = cx_msg_free(r.m);
    ops = *rig_ops();
    ops.out_begin = wide_begin;
    ops.out_end = wide_end;
    ops.room_for = room_for;
    r.now_ms = 1;
    const struct cx_msg_config config = {.ops = &ops, .data = &r, .stats = &r.stats, .now_ms = 1};
    ck_assert_int_eq(cx_msg_new(&config, &r.m), DR_OK);
    for (unsigned i = 0; i < RIG_PEERS; i++) {
        cx_msg_peer_init(r.m, &r.peers[i]);
    }
    cx_msg_peer_set_stream(&r.peers[0]);
    room = CX_STREAM_MSG_MAX;
    n_sent = 0;
}

static void tear_down(void)
{
    rig_fini(&r);
}

static void input(uint8_t code, const struct cx_opt *opts, size_t n, const void *payload,
                  size_t len)
{
    uint8_t *buf = malloc(CX_STREAM_MSG_MAX);
    struct dr_wr wr = dr_wr_of(buf, CX_STREAM_MSG_MAX);
    struct cx_pdu pdu;

    ck_assert_int_eq(
        cx_pdu_encode(&wr, CX_CON, code, 0, (const uint8_t *)"\x07", 1, opts, n, payload, len),
        DR_OK);
    dr_err_t err = cx_pdu_decode_frame(code, 1, buf + 4, dr_wr_len(&wr) - 4, &pdu);
    ck_assert_int_ne(err, DR_ERR_PROTO);
    cx_msg_input_frame(r.m, &r.peers[0], &pdu, err == DR_ERR_UNSUPPORTED, 1);
    free(buf);
}

static struct cx_pdu answer(uint8_t code)
{
    struct cx_pdu pdu;

    ck_assert_uint_gt(last_len, 0);
    ck_assert_int_eq(cx_pdu_decode(last, last_len, &pdu), DR_OK);
    ck_assert_uint_eq(pdu.code, code);
    return pdu;
}

START_TEST(a_large_answer_goes_in_several_blocks_at_once)
{
    struct cx_reply reply = {.code = CX_CONTENT, .payload = rig_bytes(20000), .payload_len = 20000};
    struct cx_opt opts[2] = {rig_text(CX_OPT_URI_PATH, "big")};
    uint8_t buf[4];
    size_t got = 0;
    struct cx_block b;

    r.auto_reply = &reply;
    for (unsigned i = 0; got < 20000; i++) {
        size_t n = 1;
        if (i > 0) {
            opts[n++] = cx_opt_uint(CX_OPT_BLOCK2, (uint32_t)(got / 1024) << 4 | 7, buf);
        }
        input(CX_GET, opts, n, NULL, 0);
        struct cx_pdu pdu = answer(CX_CONTENT);
        ck_assert_int_eq(cx_block_decode_bert(pdu.block2, &b), DR_OK);
        ck_assert_uint_eq(b.count, 1);
        ck_assert_uint_eq(b.num, got / 1024);
        ck_assert_mem_eq(pdu.payload, rig_bytes(20000) + got, pdu.payload_len);
        got += pdu.payload_len;
        ck_assert(b.more == (got < 20000));
        ck_assert_uint_le(last_len, CX_STREAM_MSG_MAX);
    }
    ck_assert_uint_eq(n_sent, 3); /* 8, 8 and the rest */
    /* who asks for ordinary blocks gets them */
    opts[1] = cx_opt_uint(CX_OPT_BLOCK2, 2 << 4 | 5, buf);
    input(CX_GET, opts, 2, NULL, 0);
    struct cx_pdu pdu = answer(CX_CONTENT);
    ck_assert_uint_eq(pdu.payload_len, 512);
    ck_assert_int_eq(pdu.block2, 2 << 4 | 8 | 5);
}
END_TEST

START_TEST(a_peer_with_little_room_gets_small_blocks)
{
    struct cx_reply reply = {.code = CX_CONTENT, .payload = rig_bytes(2000), .payload_len = 2000};
    struct cx_opt opt = rig_text(CX_OPT_URI_PATH, "big");

    r.auto_reply = &reply;
    room = 300;
    input(CX_GET, &opt, 1, NULL, 0);
    struct cx_pdu pdu = answer(CX_CONTENT);
    ck_assert_uint_le(last_len, 300);
    ck_assert_uint_eq(pdu.payload_len, 256);
}
END_TEST

START_TEST(a_body_in_several_blocks_is_assembled)
{
    struct cx_reply reply = {.code = CX_CHANGED};
    struct cx_opt opts[2] = {rig_text(CX_OPT_URI_PATH, "rd")};
    uint8_t buf[4];

    r.auto_reply = &reply;
    opts[1] = cx_opt_uint(CX_OPT_BLOCK1, 0 << 4 | 8 | 7, buf);
    input(CX_POST, opts, 2, rig_bytes(10000), 4096);
    ck_assert_int_eq(answer(CX_CONTINUE).block1, 0xf);
    opts[1] = cx_opt_uint(CX_OPT_BLOCK1, 4 << 4 | 7, buf);
    input(CX_POST, opts, 2, rig_bytes(10000) + 4096, 1904);
    ck_assert_int_eq(answer(CX_CHANGED).block1, 0x47);
    ck_assert_uint_eq(r.last->len, 6000);
    ck_assert_mem_eq(r.last->body, rig_bytes(10000), 6000);
    /* a part of a block is no block */
    opts[1] = cx_opt_uint(CX_OPT_BLOCK1, 0 << 4 | 8 | 7, buf);
    input(CX_POST, opts, 2, rig_bytes(10000), 1000);
    (void)answer(CX_BAD_REQUEST);
}
END_TEST

START_TEST(what_would_be_met_with_silence_is_answered)
{
    struct cx_opt opts[2] = {rig_text(CX_OPT_URI_PATH, "rd"), {.num = 9}};

    input(CX_GET, opts, 2, NULL, 0);
    (void)answer(CX_BAD_OPTION);
    r.forget = true;
    input(CX_GET, opts, 1, NULL, 0);
    (void)answer(CX_UNAVAILABLE);
    r.forget = false;
    ck_assert_uint_eq(n_sent, 2);
    /* the same message again is another message */
    struct cx_reply reply = {.code = CX_CHANGED};
    r.auto_reply = &reply;
    unsigned before = r.n_requests;
    input(CX_POST, opts, 1, NULL, 0);
    input(CX_POST, opts, 1, NULL, 0);
    ck_assert_uint_eq(r.n_requests, before + 2);
    ck_assert_uint_eq(r.stats.duplicates, 0);
    /* nor is there anything to acknowledge */
    unsigned sent = n_sent;
    r.refuse = true;
    input(CX_CONTENT, NULL, 0, "x", 1);
    r.refuse = false;
    input(CX_CONTENT, NULL, 0, "x", 1);
    struct cx_pdu empty;
    ck_assert_int_eq(cx_pdu_decode_frame(CX_EMPTY, 0, NULL, 0, &empty), DR_OK);
    cx_msg_input_frame(r.m, &r.peers[0], &empty, false, 1);
    ck_assert_uint_eq(n_sent, sent);
    ck_assert_uint_eq(r.stats.resets_sent, 0);
}
END_TEST

START_TEST(a_call_is_sent_once_and_waits)
{
    struct rig_call *c = calloc(1, sizeof *c);

    rig_call_init(c, CX_PUT, "5", rig_bytes(20000), 20000);
    c->rig = &r;
    ck_assert_int_eq(cx_msg_call_start(r.m, &r.peers[0], &c->call, 1), DR_OK);
    struct cx_pdu pdu = answer(CX_PUT);
    struct cx_block b;
    ck_assert_int_eq(cx_block_decode_bert(pdu.block1, &b), DR_OK);
    ck_assert(b.more && b.count == 1 && pdu.payload_len == 8192);
    cx_msg_expire(r.m, 60000);
    ck_assert_uint_eq(n_sent, 1); /* nothing is repeated */
    uint8_t token[8];
    memcpy(token, pdu.token, sizeof token);
    for (unsigned i = 0; i < 3; i++) {
        uint8_t buf[64], val[4];
        struct cx_opt opt = cx_opt_uint(CX_OPT_BLOCK1, (uint32_t)pdu.block1, val);
        struct dr_wr wr = dr_wr_of(buf, sizeof buf);
        struct cx_pdu resp;
        ck_assert_int_eq(cx_pdu_encode(&wr, CX_CON, i < 2 ? CX_CONTINUE : CX_CHANGED, 0, token, 8,
                                       &opt, 1, NULL, 0),
                         DR_OK);
        ck_assert_int_eq(cx_pdu_decode_frame(buf[1], 8, buf + 4, dr_wr_len(&wr) - 4, &resp), DR_OK);
        cx_msg_input_frame(r.m, &r.peers[0], &resp, false, 60001);
        if (i < 2) {
            pdu = answer(CX_PUT);
        }
    }
    ck_assert_uint_eq(pdu.payload_len, 20000 - 2 * 8192);
    ck_assert_uint_eq(c->done, 1);
    ck_assert_int_eq(c->err, DR_OK);
    ck_assert_uint_eq(n_sent, 3);
    free(c);
}
END_TEST

START_TEST(a_call_without_an_answer_times_out)
{
    struct rig_call *c = calloc(1, sizeof *c);

    rig_call_init(c, CX_GET, "5", NULL, 0);
    c->rig = &r;
    ck_assert_int_eq(cx_msg_call_start(r.m, &r.peers[0], &c->call, 1), DR_OK);
    cx_msg_expire(r.m, cx_timing_default.response_timeout_ms);
    ck_assert_uint_eq(c->done, 0);
    cx_msg_expire(r.m, cx_timing_default.response_timeout_ms + 2);
    ck_assert_uint_eq(c->done, 1);
    ck_assert_int_eq(c->err, DR_ERR_TIMEOUT);
    ck_assert_uint_eq(n_sent, 1);
    free(c);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("stream");
    TCase *tc = add_case(s, "framing");
    tcase_add_loop_test(tc, the_first_bytes_tell, 0, (int)DR_ARRAY_LEN(firsts));
    tcase_add_loop_test(tc, frames_of_each_length_go_both_ways, 0, (int)DR_ARRAY_LEN(bodies));
    tcase_add_test(tc, the_example_of_the_header_is_read);
    tcase_add_test(tc, frames_that_are_none);
    tcase_add_test(tc, datagrams_behind_a_length);
    tc = add_case(s, "signalling");
    tcase_add_test(tc, capabilities_are_read);
    tcase_add_loop_test(tc, signals_are_made, 0, (int)DR_ARRAY_LEN(made));
    tc = add_case(s, "blocks");
    tcase_add_test(tc, exponent_7_means_several_blocks);
    tc = add_case(s, "messages");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, a_large_answer_goes_in_several_blocks_at_once);
    tcase_add_test(tc, a_peer_with_little_room_gets_small_blocks);
    tcase_add_test(tc, a_body_in_several_blocks_is_assembled);
    tcase_add_test(tc, what_would_be_met_with_silence_is_answered);
    tcase_add_test(tc, a_call_is_sent_once_and_waits);
    tcase_add_test(tc, a_call_without_an_answer_times_out);
    return run_suite(s);
}
