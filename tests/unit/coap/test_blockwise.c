/* SPDX-License-Identifier: Apache-2.0 */
/* Block-wise transfer in both directions and both roles. spec: RFC7959 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/coap/rig.h"

static struct rig r;
static struct rig_call a, b;

static void set_up(void)
{
    struct cx_limits limits = {.body_max = 20000, .assemblies_max = 12};
    rig_init(&r, &limits);
}

static void tear_down(void)
{
    rig_quiet(&r);
    rig_fini(&r);
}

/* A message of the peer with up to two Block or Size options and a path. */
static void say(uint8_t type, uint8_t code, uint16_t mid, const struct cx_pdu *req,
                const struct cx_opt *opts, size_t n, const uint8_t *payload, size_t len)
{
    uint8_t buf[1400];
    struct dr_wr wr = dr_wr_of(buf, sizeof buf);
    ck_assert_int_eq(
        cx_pdu_encode(&wr, type, code, mid, req->token, req->token_len, opts, n, payload, len),
        DR_OK);
    cx_msg_input(r.m, &r.peers[0], buf, dr_wr_len(&wr), r.now_ms);
}

static void respond(uint8_t code, const struct cx_pdu *req, const struct cx_opt *opts, size_t n,
                    const uint8_t *payload, size_t len)
{
    say(CX_ACK, code, req->mid, req, opts, n, payload, len);
}

static struct cx_block block_of(int32_t raw)
{
    struct cx_block blk = {.size = 1};
    ck_assert_int_eq(cx_block_decode(raw, &blk), DR_OK);
    return blk;
}

static void done(const struct rig_call *c, uint8_t code, size_t len)
{
    ck_assert_uint_eq(c->done, 1);
    ck_assert_int_eq(c->err, DR_OK);
    ck_assert_uint_eq(c->pdu.code, code);
    ck_assert_uint_eq(c->len, len);
    if (len > 0) {
        ck_assert_mem_eq(c->body, rig_bytes(len), len);
    }
}

static void failed(const struct rig_call *c, dr_err_t err)
{
    ck_assert_uint_eq(c->done, 1);
    ck_assert_int_eq(c->err, err);
}

/* ---- client, Block1 ---- */

/* Act as a server for the rest of a Block1 transfer from @p off on; returns the last request. */
static struct cx_pdu take_body(size_t off, size_t total, uint16_t size)
{
    for (;;) {
        struct cx_pdu req = rig_out(&r, 0);
        struct cx_block blk = block_of(req.block1);
        ck_assert_uint_eq(blk.size, size);
        ck_assert_uint_eq(cx_block_offset(&blk), off);
        ck_assert_mem_eq(req.payload, rig_bytes(total) + off, req.payload_len);
        ck_assert_int_eq(req.size1, off == 0 ? (int64_t)total : -1);
        off += req.payload_len;
        ck_assert(blk.more == (off < total));
        if (!blk.more) {
            return req;
        }
        uint8_t buf[4];
        struct cx_opt opt = cx_opt_uint(CX_OPT_BLOCK1, (uint32_t)req.block1, buf);
        respond(CX_CONTINUE, &req, &opt, 1, NULL, 0);
    }
}

START_TEST(a_large_body_goes_out_in_blocks_with_one_token)
{
    rig_call_init(&a, CX_PUT, "5", rig_bytes(5000), 5000);
    rig_start(&r, 0, &a);
    struct cx_pdu last = take_body(0, 5000, 1024);
    ck_assert_mem_eq(last.token, a.call.token, 8);
    ck_assert_uint_eq(last.payload_len, 5000 - 4096);
    respond(CX_CHANGED, &last, NULL, 0, NULL, 0); /* no Block1 in it: as Pelion clients do */
    done(&a, CX_CHANGED, 0);
}
END_TEST

START_TEST(a_body_of_exactly_one_block_is_one_message)
{
    rig_call_init(&a, CX_PUT, "5", rig_bytes(1024), 1024);
    rig_start(&r, 0, &a);
    struct cx_pdu req = rig_out(&r, 0);
    ck_assert_int_eq(req.block1, -1);
    ck_assert_uint_eq(req.payload_len, 1024);
    respond(CX_CHANGED, &req, NULL, 0, NULL, 0);
    done(&a, CX_CHANGED, 0);
}
END_TEST

START_TEST(the_caller_may_choose_a_smaller_size)
{
    rig_call_init(&a, CX_PUT, "5", rig_bytes(300), 300);
    a.call.block_size = 100; /* rounded down */
    rig_start(&r, 0, &a);
    struct cx_pdu last = take_body(0, 300, 64);
    respond(CX_CHANGED, &last, NULL, 0, NULL, 0);
    done(&a, CX_CHANGED, 0);
}
END_TEST

START_TEST(long_options_make_blocks_smaller)
{
    static uint8_t value[255];
    rig_call_init(&a, CX_PUT, "5", rig_bytes(2000), 2000);
    a.opts[1] = (struct cx_opt){CX_OPT_URI_QUERY, 255, value};
    a.call.n_opts = 2;
    rig_start(&r, 0, &a);
    struct cx_pdu last = take_body(0, 2000, 512);
    respond(CX_CHANGED, &last, NULL, 0, NULL, 0);
    done(&a, CX_CHANGED, 0);
}
END_TEST

START_TEST(the_peer_may_shrink_the_size_in_any_ack)
{
    rig_call_init(&a, CX_PUT, "5", rig_bytes(5000), 5000);
    rig_start(&r, 0, &a);
    uint8_t buf[4];
    struct cx_pdu req = rig_out(&r, 0);
    struct cx_opt opt = rig_block_opt(CX_OPT_BLOCK1, 0, true, 256, buf);
    respond(CX_CONTINUE, &req, &opt, 1, NULL, 0);
    req = rig_out(&r, 0); /* what was sent counts in the old size */
    struct cx_block blk = block_of(req.block1);
    ck_assert_uint_eq(blk.num, 4);
    ck_assert_uint_eq(blk.size, 256);
    opt = rig_block_opt(CX_OPT_BLOCK1, 4, true, 128, buf);
    respond(CX_CONTINUE, &req, &opt, 1, NULL, 0);
    struct cx_pdu last = take_body(1280, 5000, 128);
    respond(CX_CHANGED, &last, NULL, 0, NULL, 0);
    done(&a, CX_CHANGED, 0);
}
END_TEST

START_TEST(a_413_with_a_smaller_block_begins_again_smaller)
{
    rig_call_init(&a, CX_PUT, "5", rig_bytes(3000), 3000);
    rig_start(&r, 0, &a);
    uint8_t buf[4];
    struct cx_pdu req = rig_out(&r, 0);
    struct cx_opt opt = rig_block_opt(CX_OPT_BLOCK1, 0, true, 512, buf);
    respond(CX_TOO_LARGE, &req, &opt, 1, NULL, 0);
    struct cx_pdu last = take_body(0, 3000, 512);
    respond(CX_CHANGED, &last, NULL, 0, NULL, 0);
    done(&a, CX_CHANGED, 0);
    rig_call_init(&b, CX_PUT, "5", rig_bytes(600), 600); /* and need not say so again */
    rig_start(&r, 0, &b);
    last = take_body(0, 600, 512);
    respond(CX_CHANGED, &last, NULL, 0, NULL, 0);
    done(&b, CX_CHANGED, 0);
    rig_call_init(&a, CX_PUT, "5", rig_bytes(1024), 1024);
    rig_start(&r, 1, &a); /* another peer has its own size */
    ck_assert_uint_eq(rig_out(&r, 1).payload_len, 1024);
}
END_TEST

START_TEST(a_413_with_a_block_turns_a_single_message_into_blocks)
{
    rig_call_init(&a, CX_PUT, "5", rig_bytes(900), 900);
    rig_start(&r, 0, &a);
    uint8_t buf[4];
    struct cx_pdu req = rig_out(&r, 0);
    struct cx_opt opt = rig_block_opt(CX_OPT_BLOCK1, 0, false, 512, buf);
    respond(CX_TOO_LARGE, &req, &opt, 1, NULL, 0);
    struct cx_pdu last = take_body(0, 900, 512);
    respond(CX_CHANGED, &last, NULL, 0, NULL, 0);
    done(&a, CX_CHANGED, 0);
}
END_TEST

START_TEST(a_413_with_a_size_that_would_do_halves_the_block)
{
    rig_call_init(&a, CX_PUT, "5", rig_bytes(3000), 3000);
    rig_start(&r, 0, &a);
    uint8_t buf[4];
    struct cx_opt opt = cx_opt_uint(CX_OPT_SIZE1, 4000, buf);
    struct cx_pdu req = rig_out(&r, 0);
    respond(CX_TOO_LARGE, &req, &opt, 1, NULL, 0);
    struct cx_pdu last = take_body(0, 3000, 512);
    respond(CX_CHANGED, &last, NULL, 0, NULL, 0);
    done(&a, CX_CHANGED, 0);
}
END_TEST

START_TEST(a_413_for_the_body_itself_is_the_answer)
{
    rig_call_init(&a, CX_PUT, "5", rig_bytes(3000), 3000);
    rig_start(&r, 0, &a);
    uint8_t buf[4];
    struct cx_opt opt = cx_opt_uint(CX_OPT_SIZE1, 2000, buf);
    struct cx_pdu req = rig_out(&r, 0);
    respond(CX_TOO_LARGE, &req, &opt, 1, NULL, 0);
    done(&a, CX_TOO_LARGE, 0);
}
END_TEST

START_TEST(a_408_begins_again_once)
{
    rig_call_init(&a, CX_PUT, "5", rig_bytes(3000), 3000);
    rig_start(&r, 0, &a);
    uint8_t buf[4];
    struct cx_pdu req = rig_out(&r, 0);
    struct cx_opt opt = cx_opt_uint(CX_OPT_BLOCK1, (uint32_t)req.block1, buf);
    respond(CX_CONTINUE, &req, &opt, 1, NULL, 0);
    req = rig_out(&r, 0);
    respond(CX_INCOMPLETE, &req, NULL, 0, NULL, 0);
    req = rig_out(&r, 0);
    ck_assert_uint_eq(block_of(req.block1).num, 0);
    opt = cx_opt_uint(CX_OPT_BLOCK1, (uint32_t)req.block1, buf);
    respond(CX_CONTINUE, &req, &opt, 1, NULL, 0);
    req = rig_out(&r, 0);
    respond(CX_INCOMPLETE, &req, NULL, 0, NULL, 0);
    done(&a, CX_INCOMPLETE, 0);
}
END_TEST

static const struct {
    const char *why;
    uint8_t code;
    int32_t num; /* -1: no Block1 */
} breaks[] = {
    {"2.31 for another block", CX_CONTINUE, 3},
    {"2.31 without Block1", CX_CONTINUE, -1},
    {"2.04 without Block1 in the middle", CX_CHANGED, -1},
};

START_TEST(a_peer_that_breaks_the_rules_ends_the_call)
{
    rig_call_init(&a, CX_PUT, "5", rig_bytes(3000), 3000);
    rig_start(&r, 0, &a);
    uint8_t buf[4];
    struct cx_pdu req = rig_out(&r, 0);
    struct cx_opt opt =
        rig_block_opt(CX_OPT_BLOCK1, (uint32_t)(breaks[_i].num & 0xff), true, 1024, buf);
    respond(breaks[_i].code, &req, &opt, breaks[_i].num >= 0 ? 1 : 0, NULL, 0);
    ck_assert_msg(a.done == 1 && a.err == DR_ERR_PROTO, "%s", breaks[_i].why);
}
END_TEST

START_TEST(a_231_for_the_last_block_breaks_the_rules)
{
    rig_call_init(&a, CX_PUT, "5", rig_bytes(1100), 1100);
    rig_start(&r, 0, &a);
    struct cx_pdu last = take_body(0, 1100, 1024);
    uint8_t buf[4];
    struct cx_opt opt = cx_opt_uint(CX_OPT_BLOCK1, (uint32_t)last.block1, buf);
    respond(CX_CONTINUE, &last, &opt, 1, NULL, 0);
    failed(&a, DR_ERR_PROTO);
}
END_TEST

START_TEST(progress_resets_the_response_timeout)
{
    static const struct cx_timing timing = {.ack_timeout_ms = 2000,
                                            .random_factor_pct = 150,
                                            .retransmit_max = 4,
                                            .response_timeout_ms = 10000};
    rig_call_init(&a, CX_PUT, "5", rig_bytes(10240), 10240);
    a.call.timing = &timing;
    rig_start(&r, 0, &a);
    uint8_t buf[4];
    for (uint32_t i = 0; i < 9; i++) { /* 81 s in all: each block well within its own 10 */
        struct cx_pdu req = rig_out(&r, 0);
        say(CX_ACK, CX_EMPTY, req.mid, &(struct cx_pdu){0}, NULL, 0, NULL, 0);
        rig_pass(&r, 9000);
        struct cx_opt opt = cx_opt_uint(CX_OPT_BLOCK1, (uint32_t)req.block1, buf);
        say(CX_CON, CX_CONTINUE, (uint16_t)(100 + i), &req, &opt, 1, NULL, 0);
        ck_assert_uint_eq(rig_out(&r, 0).type, CX_ACK);
    }
    ck_assert_uint_eq(a.done, 0);
    struct cx_pdu req = rig_out(&r, 0);
    say(CX_ACK, CX_EMPTY, req.mid, &(struct cx_pdu){0}, NULL, 0, NULL, 0);
    rig_pass(&r, 10000);
    failed(&a, DR_ERR_TIMEOUT);
}
END_TEST

START_TEST(a_body_after_one_that_broke_off_carries_a_request_tag)
{
    rig_call_init(&a, CX_PUT, "5", rig_bytes(3000), 3000);
    rig_start(&r, 0, &a);
    struct cx_pdu req = rig_out(&r, 0);
    struct cx_opt tag;
    ck_assert(!cx_opt_find(&req, CX_OPT_REQUEST_TAG, &tag));
    cx_msg_call_cancel(r.m, &a.call);
    rig_pass(&r, 0);
    rig_call_init(&b, CX_PUT, "5", rig_bytes(3000), 3000);
    rig_start(&r, 0, &b);
    req = rig_out(&r, 0);
    ck_assert(cx_opt_find(&req, CX_OPT_REQUEST_TAG, &tag));
    uint8_t buf[4], first[8];
    size_t first_len = tag.len;
    memcpy(first, tag.val, tag.len);
    struct cx_opt opt = cx_opt_uint(CX_OPT_BLOCK1, (uint32_t)req.block1, buf);
    respond(CX_CONTINUE, &req, &opt, 1, NULL, 0);
    req = rig_out(&r, 0);
    ck_assert(cx_opt_find(&req, CX_OPT_REQUEST_TAG, &tag));
    ck_assert(tag.len == first_len && memcmp(tag.val, first, first_len) == 0);
    opt = cx_opt_uint(CX_OPT_BLOCK1, (uint32_t)req.block1, buf);
    respond(CX_CONTINUE, &req, &opt, 1, NULL, 0);
    req = rig_out(&r, 0);
    respond(CX_CHANGED, &req, NULL, 0, NULL, 0);
    done(&b, CX_CHANGED, 0);
    rig_call_init(&a, CX_PUT, "5", rig_bytes(3000), 3000); /* all is well again */
    rig_start(&r, 0, &a);
    req = rig_out(&r, 0);
    ck_assert(!cx_opt_find(&req, CX_OPT_REQUEST_TAG, &tag));
}
END_TEST

/* ---- client, Block2 ---- */

/* Act as a server that gives @p total bytes to a GET; returns after the last block. */
static void give_body(size_t total, uint16_t size, const char *etag)
{
    for (size_t off = 0; off < total; off += size) {
        struct cx_pdu req = rig_out(&r, 0);
        if (off > 0) {
            struct cx_block want = block_of(req.block2);
            ck_assert_uint_eq(cx_block_offset(&want), off);
            ck_assert_uint_eq(req.payload_len, 0);
            ck_assert_int_eq(req.observe, -1);
        }
        size_t left = total - off;
        uint8_t buf[4];
        struct cx_opt opts[2] = {
            rig_block_opt(CX_OPT_BLOCK2, (uint32_t)(off / size), left > size, size, buf),
            rig_text(CX_OPT_ETAG, etag)};
        respond(CX_CONTENT, &req, opts, etag[0] != 0 ? 2 : 1, rig_bytes(total) + off,
                left > size ? size : left);
    }
}

START_TEST(a_large_answer_is_collected)
{
    rig_call_init(&a, CX_GET, "x", NULL, 0);
    rig_start(&r, 0, &a);
    give_body(5000, 1024, "");
    done(&a, CX_CONTENT, 5000);
    ck_assert_int_eq(a.pdu.block2, -1);
}
END_TEST

START_TEST(blocks_of_any_size_that_the_peer_likes)
{
    static const size_t totals[] = {17, 32, 33, 1000};
    for (uint16_t size = 16; size <= 1024; size = (uint16_t)(size * 2)) {
        for (size_t i = 0; i < DR_ARRAY_LEN(totals); i++) {
            rig_call_init(&a, CX_GET, "x", NULL, 0);
            rig_start(&r, 0, &a);
            give_body(totals[i], size, "etag");
            done(&a, CX_CONTENT, totals[i]);
        }
    }
}
END_TEST

START_TEST(a_size_chosen_early_is_asked_for)
{
    rig_call_init(&a, CX_GET, "x", NULL, 0);
    a.call.block_size = 128;
    rig_start(&r, 0, &a);
    struct cx_pdu req = rig_out(&r, 0);
    struct cx_block blk = block_of(req.block2);
    ck_assert(blk.num == 0 && blk.size == 128 && !blk.more);
    respond(CX_CONTENT, &req, NULL, 0, rig_bytes(100), 100);
    done(&a, CX_CONTENT, 100);
}
END_TEST

START_TEST(a_size_that_shrinks_on_the_way_is_followed)
{
    rig_call_init(&a, CX_GET, "x", NULL, 0);
    rig_start(&r, 0, &a);
    uint8_t buf[4];
    struct cx_pdu req = rig_out(&r, 0);
    struct cx_opt opt = rig_block_opt(CX_OPT_BLOCK2, 0, true, 64, buf);
    respond(CX_CONTENT, &req, &opt, 1, rig_bytes(100), 64);
    req = rig_out(&r, 0);
    opt = rig_block_opt(CX_OPT_BLOCK2, 4, true, 16, buf); /* byte 64 in blocks of 16 */
    respond(CX_CONTENT, &req, &opt, 1, rig_bytes(100) + 64, 16);
    req = rig_out(&r, 0);
    ck_assert_int_eq(req.block2, rig_block(5, false, 16));
    opt = rig_block_opt(CX_OPT_BLOCK2, 5, true, 16, buf);
    respond(CX_CONTENT, &req, &opt, 1, rig_bytes(100) + 80, 16);
    req = rig_out(&r, 0);
    opt = rig_block_opt(CX_OPT_BLOCK2, 6, false, 16, buf);
    respond(CX_CONTENT, &req, &opt, 1, rig_bytes(100) + 96, 4);
    done(&a, CX_CONTENT, 100);
}
END_TEST

START_TEST(a_body_that_changes_on_the_way_is_asked_for_again_once)
{
    rig_call_init(&a, CX_GET, "x", NULL, 0);
    rig_start(&r, 0, &a);
    uint8_t buf[4];
    for (int i = 0; i < 2; i++) {
        struct cx_pdu req = rig_out(&r, 0);
        ck_assert_int_eq(req.block2, -1);
        struct cx_opt opts[2] = {rig_block_opt(CX_OPT_BLOCK2, 0, true, 64, buf),
                                 rig_text(CX_OPT_ETAG, i == 0 ? "one" : "two")};
        respond(CX_CONTENT, &req, opts, 2, rig_bytes(64), 64);
        req = rig_out(&r, 0);
        opts[0] = rig_block_opt(CX_OPT_BLOCK2, 1, true, 64, buf);
        opts[1] = rig_text(CX_OPT_ETAG, i == 0 ? "two" : "six");
        respond(CX_CONTENT, &req, opts, 2, rig_bytes(64), 64);
    }
    failed(&a, DR_ERR_PROTO);
    rig_call_init(&a, CX_GET, "x", NULL, 0);
    rig_start(&r, 0, &a);
    give_body(200, 64, "same");
    done(&a, CX_CONTENT, 200);
}
END_TEST

START_TEST(an_answer_over_the_limit_is_too_large)
{
    rig_call_init(&a, CX_GET, "x", NULL, 0); /* by its Size2 */
    rig_start(&r, 0, &a);
    uint8_t buf[4], buf2[4];
    struct cx_pdu req = rig_out(&r, 0);
    struct cx_opt opts[2] = {rig_block_opt(CX_OPT_BLOCK2, 0, true, 1024, buf),
                             cx_opt_uint(CX_OPT_SIZE2, 20001, buf2)};
    respond(CX_CONTENT, &req, opts, 2, rig_bytes(1024), 1024);
    failed(&a, DR_ERR_TOO_LARGE);

    rig_call_init(&a, CX_GET, "x", NULL, 0); /* by what comes */
    rig_start(&r, 0, &a);
    for (uint32_t i = 0; a.done == 0; i++) {
        ck_assert_uint_lt(i, 21);
        req = rig_out(&r, 0);
        struct cx_opt opt = rig_block_opt(CX_OPT_BLOCK2, i, true, 1024, buf);
        respond(CX_CONTENT, &req, &opt, 1, rig_bytes(1024), 1024);
    }
    failed(&a, DR_ERR_TOO_LARGE);
    rig_call_init(&a, CX_GET, "x", NULL, 0);
    rig_start(&r, 0, &a);
    give_body(20000, 1024, ""); /* exactly the limit */
    done(&a, CX_CONTENT, 20000);
}
END_TEST

static const struct {
    const char *why;
    uint32_t num;
    bool more;
    size_t len;
} bad_blocks[] = {
    {"a block left out", 2, true, 64},
    {"the first block again", 0, true, 64},
    {"a short block in the middle", 1, true, 63},
    {"a last block that is too long", 1, false, 65},
};

START_TEST(a_block_that_does_not_fit_ends_the_call)
{
    rig_call_init(&a, CX_GET, "x", NULL, 0);
    rig_start(&r, 0, &a);
    uint8_t buf[4];
    struct cx_pdu req = rig_out(&r, 0);
    struct cx_opt opt = rig_block_opt(CX_OPT_BLOCK2, 0, true, 64, buf);
    respond(CX_CONTENT, &req, &opt, 1, rig_bytes(64), 64);
    req = rig_out(&r, 0);
    opt = rig_block_opt(CX_OPT_BLOCK2, bad_blocks[_i].num, bad_blocks[_i].more, 64, buf);
    respond(CX_CONTENT, &req, &opt, 1, rig_bytes(128), bad_blocks[_i].len);
    ck_assert_msg(a.done == 1 && a.err == DR_ERR_PROTO, "%s", bad_blocks[_i].why);
}
END_TEST

START_TEST(a_first_block_that_is_none_ends_the_call)
{
    uint8_t buf[4];
    struct cx_opt opts[3] = {rig_block_opt(CX_OPT_BLOCK2, 1, true, 64, buf)};
    uint8_t buf2[4], buf3[4];
    opts[1] = rig_block_opt(CX_OPT_BLOCK2, 0, true, 64, buf2);
    opts[2] = cx_opt_uint(CX_OPT_BLOCK2, 7, buf3);
    const size_t lens[] = {64, 63, 64};
    for (int i = 0; i < 3; i++) {
        rig_call_init(&a, CX_GET, "x", NULL, 0);
        rig_start(&r, 0, &a);
        struct cx_pdu req = rig_out(&r, 0);
        respond(CX_CONTENT, &req, &opts[i], 1, rig_bytes(64), lens[i]);
        failed(&a, DR_ERR_PROTO);
    }
}
END_TEST

START_TEST(an_error_in_the_middle_is_the_answer)
{
    rig_call_init(&a, CX_GET, "x", NULL, 0);
    rig_start(&r, 0, &a);
    uint8_t buf[4];
    struct cx_pdu req = rig_out(&r, 0);
    struct cx_opt opt = rig_block_opt(CX_OPT_BLOCK2, 0, true, 64, buf);
    respond(CX_CONTENT, &req, &opt, 1, rig_bytes(64), 64);
    req = rig_out(&r, 0);
    respond(CX_NOT_FOUND, &req, NULL, 0, NULL, 0);
    done(&a, CX_NOT_FOUND, 0);
}
END_TEST

START_TEST(a_fetch_with_body_and_answer_in_blocks)
{
    rig_call_init(&a, CX_FETCH, "f", rig_bytes(2500), 2500);
    rig_start(&r, 0, &a);
    struct cx_pdu last = take_body(0, 2500, 1024);
    uint8_t buf[4], buf2[4];
    struct cx_opt opts[2] = {cx_opt_uint(CX_OPT_BLOCK1, (uint32_t)last.block1, buf),
                             rig_block_opt(CX_OPT_BLOCK2, 0, true, 256, buf2)};
    respond(CX_CONTENT, &last, opts, 2, rig_bytes(300), 256);
    struct cx_pdu req = rig_out(&r, 0);
    ck_assert_int_eq(req.block1, -1);
    ck_assert_uint_eq(req.payload_len, 0);
    ck_assert_int_eq(req.block2, rig_block(1, false, 256));
    struct cx_opt opt = rig_block_opt(CX_OPT_BLOCK2, 1, false, 256, buf);
    respond(CX_CONTENT, &req, &opt, 1, rig_bytes(300) + 256, 44);
    done(&a, CX_CONTENT, 300);
}
END_TEST

START_TEST(a_fetch_with_a_small_body_repeats_it_for_each_block)
{
    rig_call_init(&a, CX_FETCH, "f", "paths", 5);
    rig_start(&r, 0, &a);
    uint8_t buf[4];
    struct cx_pdu req = rig_out(&r, 0);
    struct cx_opt opt = rig_block_opt(CX_OPT_BLOCK2, 0, true, 64, buf);
    respond(CX_CONTENT, &req, &opt, 1, rig_bytes(80), 64);
    req = rig_out(&r, 0);
    ck_assert_uint_eq(req.payload_len, 5);
    opt = rig_block_opt(CX_OPT_BLOCK2, 1, false, 64, buf);
    respond(CX_CONTENT, &req, &opt, 1, rig_bytes(80) + 64, 16);
    done(&a, CX_CONTENT, 80);
}
END_TEST

START_TEST(a_caller_with_block_options_of_its_own_gets_single_blocks)
{
    rig_call_init(&a, CX_GET, "fw", NULL, 0);
    uint8_t buf[4], buf2[4];
    a.opts[1] = rig_block_opt(CX_OPT_BLOCK2, 7, false, 512, buf);
    a.call.n_opts = 2;
    rig_start(&r, 0, &a);
    struct cx_pdu req = rig_out(&r, 0);
    ck_assert_int_eq(req.block2, rig_block(7, false, 512));
    struct cx_opt opt = rig_block_opt(CX_OPT_BLOCK2, 7, true, 512, buf2);
    respond(CX_CONTENT, &req, &opt, 1, rig_bytes(512), 512);
    done(&a, CX_CONTENT, 512);
    ck_assert_int_eq(a.pdu.block2, rig_block(7, true, 512));
}
END_TEST

/* ---- server, Block1 ---- */

static void put_block(uint16_t mid, uint32_t num, bool more, uint16_t size, size_t off, size_t len,
                      const char *path, const char *tag)
{
    uint8_t buf[4];
    struct cx_opt opts[3] = {rig_text(CX_OPT_URI_PATH, path),
                             rig_block_opt(CX_OPT_BLOCK1, num, more, size, buf),
                             rig_text(CX_OPT_REQUEST_TAG, tag != NULL ? tag : "")};
    rig_in(&r, 0, CX_CON, CX_PUT, mid, "t", opts, tag != NULL ? 3 : 2, rig_bytes(off + len) + off,
           len);
}

static void expect(uint8_t code, int32_t block1)
{
    struct cx_pdu out = rig_out(&r, 0);
    ck_assert_uint_eq(out.code, code);
    ck_assert_int_eq(out.block1, block1);
}

static const struct cx_reply changed = {.code = CX_CHANGED};

START_TEST(a_body_in_blocks_is_handed_over_whole)
{
    r.auto_reply = &changed;
    put_block(1, 0, true, 512, 0, 512, "rd", NULL);
    expect(CX_CONTINUE, rig_block(0, true, 512));
    put_block(2, 1, true, 512, 512, 512, "rd", NULL);
    expect(CX_CONTINUE, rig_block(1, true, 512));
    put_block(2, 1, true, 512, 512, 512, "rd", NULL); /* duplicate */
    expect(CX_CONTINUE, rig_block(1, true, 512));
    ck_assert_uint_eq(r.stats.assemblies, 1);
    put_block(3, 2, false, 512, 1024, 80, "rd", NULL);
    expect(CX_CHANGED, rig_block(2, false, 512));
    ck_assert_uint_eq(r.n_requests, 1);
    ck_assert_uint_eq(r.last->len, 1104);
    ck_assert_mem_eq(r.last->body, rig_bytes(1104), 1104);
    put_block(3, 2, false, 512, 1024, 80, "rd", NULL);
    expect(CX_CHANGED, rig_block(2, false, 512));
    ck_assert_uint_eq(r.n_requests, 1);
    ck_assert(!cx_msg_peer_busy(&r.peers[0]));
}
END_TEST

START_TEST(a_body_of_one_block_needs_no_assembly)
{
    r.auto_reply = &changed;
    put_block(1, 0, false, 512, 0, 100, "rd", NULL);
    expect(CX_CHANGED, rig_block(0, false, 512));
    ck_assert_uint_eq(r.last->len, 100);
}
END_TEST

START_TEST(a_size_may_shrink_between_blocks_of_the_peer)
{
    r.auto_reply = &changed;
    put_block(1, 0, true, 512, 0, 512, "rd", NULL);
    expect(CX_CONTINUE, rig_block(0, true, 512));
    put_block(2, 4, true, 128, 512, 128, "rd", NULL);
    expect(CX_CONTINUE, rig_block(4, true, 128));
    put_block(3, 5, false, 128, 640, 7, "rd", NULL);
    expect(CX_CHANGED, rig_block(5, false, 128));
    ck_assert_uint_eq(r.last->len, 647);
    ck_assert_mem_eq(r.last->body, rig_bytes(647), 647);
}
END_TEST

START_TEST(a_gap_is_408_and_ends_the_assembly)
{
    put_block(1, 0, true, 64, 0, 64, "rd", NULL);
    expect(CX_CONTINUE, rig_block(0, true, 64));
    put_block(2, 2, true, 64, 128, 64, "rd", NULL);
    expect(CX_INCOMPLETE, -1);
    ck_assert_uint_eq(r.stats.assemblies, 0);
    put_block(3, 1, false, 64, 64, 64, "rd", NULL);
    expect(CX_INCOMPLETE, -1);
    put_block(4, 9, true, 64, 576, 64, "other", NULL);
    expect(CX_INCOMPLETE, -1);
    ck_assert_uint_eq(r.n_requests, 0);
}
END_TEST

START_TEST(the_newest_block_under_a_new_id_is_welcome)
{
    r.auto_reply = &changed;
    put_block(1, 0, true, 64, 0, 64, "rd", NULL);
    expect(CX_CONTINUE, rig_block(0, true, 64));
    put_block(2, 1, true, 64, 64, 64, "rd", NULL);
    expect(CX_CONTINUE, rig_block(1, true, 64));
    put_block(3, 1, true, 64, 64, 64, "rd", NULL);
    expect(CX_CONTINUE, rig_block(1, true, 64));
    put_block(4, 2, false, 64, 128, 1, "rd", NULL);
    expect(CX_CHANGED, rig_block(2, false, 64));
    ck_assert_uint_eq(r.last->len, 129);
}
END_TEST

START_TEST(block_zero_begins_again)
{
    r.auto_reply = &changed;
    put_block(1, 0, true, 64, 0, 64, "rd", NULL);
    expect(CX_CONTINUE, rig_block(0, true, 64));
    put_block(2, 1, true, 64, 64, 64, "rd", NULL);
    expect(CX_CONTINUE, rig_block(1, true, 64));
    put_block(3, 0, true, 64, 0, 64, "rd", NULL);
    expect(CX_CONTINUE, rig_block(0, true, 64));
    put_block(4, 1, false, 64, 64, 10, "rd", NULL);
    expect(CX_CHANGED, rig_block(1, false, 64));
    ck_assert_uint_eq(r.last->len, 74);
    put_block(5, 0, true, 64, 0, 64, "rd", NULL);
    expect(CX_CONTINUE, rig_block(0, true, 64));
    put_block(6, 0, false, 64, 0, 9, "rd", NULL); /* a small one ends the half-done one too */
    expect(CX_CHANGED, rig_block(0, false, 64));
    ck_assert_uint_eq(r.stats.assemblies, 0);
}
END_TEST

START_TEST(bodies_of_different_path_or_request_tag_do_not_mix)
{
    r.auto_reply = &changed;
    put_block(1, 0, true, 64, 0, 64, "a", NULL);
    put_block(2, 0, true, 64, 0, 64, "b", NULL);
    put_block(3, 0, true, 64, 0, 64, "a", "t1");
    put_block(4, 0, true, 64, 0, 64, "a", "t2");
    for (int i = 0; i < 4; i++) {
        expect(CX_CONTINUE, rig_block(0, true, 64));
    }
    ck_assert_uint_eq(r.stats.assemblies, 4);
    put_block(5, 1, false, 64, 64, 4, "a", "t2");
    put_block(6, 1, false, 64, 64, 3, "a", "t1");
    put_block(7, 1, false, 64, 64, 2, "b", NULL);
    put_block(8, 1, false, 64, 64, 1, "a", NULL);
    for (int i = 0; i < 4; i++) {
        expect(CX_CHANGED, rig_block(1, false, 64));
    }
    ck_assert_uint_eq(r.last->len, 65);
    ck_assert_uint_eq(r.n_requests, 4);
}
END_TEST

START_TEST(a_body_over_the_limit_is_413_with_the_limit)
{
    uint8_t buf[4], buf2[4];
    struct cx_opt opts[3] = {rig_text(CX_OPT_URI_PATH, "rd"),
                             rig_block_opt(CX_OPT_BLOCK1, 0, true, 1024, buf),
                             cx_opt_uint(CX_OPT_SIZE1, 20001, buf2)};
    rig_in(&r, 0, CX_CON, CX_PUT, 1, "t", opts, 3, rig_bytes(1024), 1024); /* by its Size1 */
    struct cx_pdu out = rig_out(&r, 0);
    ck_assert_uint_eq(out.code, CX_TOO_LARGE);
    ck_assert_int_eq(out.size1, 20000);
    for (uint32_t i = 0; i < 19; i++) { /* by what comes */
        put_block((uint16_t)(2 + i), i, true, 1024, i * 1024u, 1024, "rd", NULL);
        expect(CX_CONTINUE, rig_block(i, true, 1024));
    }
    put_block(40, 19, true, 1024, 19 * 1024, 1024, "rd", NULL);
    out = rig_out(&r, 0);
    ck_assert_uint_eq(out.code, CX_TOO_LARGE);
    ck_assert_int_eq(out.size1, 20000);
    ck_assert_uint_eq(r.stats.assemblies, 0);
    ck_assert_uint_eq(r.n_requests, 0);
}
END_TEST

START_TEST(a_body_of_exactly_the_limit_is_taken)
{
    r.auto_reply = &changed;
    for (uint32_t i = 0; i < 19; i++) {
        put_block((uint16_t)(2 + i), i, true, 1024, i * 1024u, 1024, "rd", NULL);
        expect(CX_CONTINUE, rig_block(i, true, 1024));
    }
    put_block(40, 19, false, 1024, 19 * 1024, 20000 - 19 * 1024, "rd", NULL);
    expect(CX_CHANGED, rig_block(19, false, 1024));
    ck_assert_uint_eq(r.last->len, 20000);
}
END_TEST

START_TEST(half_done_bodies_are_forgotten_when_idle)
{
    put_block(1, 0, true, 64, 0, 64, "rd", NULL);
    expect(CX_CONTINUE, rig_block(0, true, 64));
    rig_pass(&r, CX_ASSEMBLY_IDLE_MS - 1);
    ck_assert_uint_eq(r.stats.assemblies, 1);
    put_block(2, 1, true, 64, 64, 64, "rd", NULL); /* progress */
    expect(CX_CONTINUE, rig_block(1, true, 64));
    rig_pass(&r, CX_ASSEMBLY_IDLE_MS - 1);
    ck_assert_uint_eq(r.stats.assemblies, 1);
    rig_pass(&r, 1);
    ck_assert_uint_eq(r.stats.assemblies, 0);
    ck_assert(!cx_msg_peer_busy(&r.peers[0]));
}
END_TEST

START_TEST(assemblies_stop_at_their_limits)
{
    char path[8];
    uint8_t buf[4];
    for (uint16_t i = 0; i < 8; i++) { /* of one peer: 8 */
        path[0] = (char)('a' + i);
        path[1] = 0;
        put_block(i, 0, true, 16, 0, 16, path, NULL);
        expect(CX_CONTINUE, rig_block(0, true, 16));
    }
    put_block(9, 0, true, 16, 0, 16, "z", NULL);
    expect(CX_UNAVAILABLE, -1);
    for (uint16_t i = 0; i < 5; i++) { /* of all: 12 */
        struct cx_opt opts[2] = {{CX_OPT_URI_PATH, 1, (const uint8_t *)&"abcde"[i]},
                                 rig_block_opt(CX_OPT_BLOCK1, 0, true, 16, buf)};
        rig_in(&r, 1, CX_CON, CX_PUT, i, "t", opts, 2, rig_bytes(16), 16);
        ck_assert_uint_eq(rig_out(&r, 1).code, i < 4 ? CX_CONTINUE : CX_UNAVAILABLE);
    }
    ck_assert_uint_eq(r.stats.assemblies, 12);
}
END_TEST

static const struct {
    const char *why;
    bool more;
    size_t len;
} bad_sizes[] = {
    {"a short block with more to come", true, 63},
    {"a long block with more to come", true, 65},
    {"a last block over its size", false, 65},
    {"an empty block with more to come", true, 0},
};

START_TEST(a_block_whose_length_is_wrong_is_400)
{
    put_block(1, 0, bad_sizes[_i].more, 64, 0, bad_sizes[_i].len, "rd", NULL);
    expect(CX_BAD_REQUEST, -1);
    ck_assert_uint_eq(r.n_requests, 0);
    ck_assert_uint_eq(r.stats.assemblies, 0);
}
END_TEST

START_TEST(a_forgotten_body_may_end_again)
{
    r.forget = true;
    put_block(1, 0, true, 64, 0, 64, "rd", NULL);
    expect(CX_CONTINUE, rig_block(0, true, 64));
    put_block(2, 1, false, 64, 64, 5, "rd", NULL);
    ck_assert_uint_eq(r.n_requests, 1);
    r.forget = false;
    r.auto_reply = &changed;
    put_block(2, 1, false, 64, 64, 5, "rd", NULL);
    expect(CX_CHANGED, rig_block(1, false, 64));
    ck_assert_uint_eq(r.n_requests, 2);
    ck_assert_uint_eq(r.last->len, 69);
}
END_TEST

START_TEST(a_body_that_finds_no_room_may_end_again)
{
    struct cx_opt path = rig_text(CX_OPT_URI_PATH, "x");
    for (uint16_t i = 0; i < 8; i++) {
        rig_in(&r, 0, CX_CON, CX_POST, (uint16_t)(100 + i), "t", &path, 1, NULL, 0);
    }
    put_block(1, 0, true, 64, 0, 64, "rd", NULL);
    expect(CX_CONTINUE, rig_block(0, true, 64));
    put_block(2, 1, false, 64, 64, 5, "rd", NULL);
    expect(CX_UNAVAILABLE, -1);
    ck_assert_int_eq(cx_msg_answer(r.m, r.last->x, &changed, r.now_ms), DR_OK);
    (void)rig_out(&r, 0);
    r.auto_reply = &changed;
    put_block(3, 1, false, 64, 64, 5, "rd", NULL);
    expect(CX_CHANGED, rig_block(1, false, 64));
    ck_assert_uint_eq(r.last->len, 69);
}
END_TEST

START_TEST(a_body_that_is_answered_later_keeps_its_block_option)
{
    put_block(1, 0, true, 64, 0, 64, "rd", NULL);
    expect(CX_CONTINUE, rig_block(0, true, 64));
    put_block(2, 1, false, 64, 64, 5, "rd", NULL);
    rig_pass(&r, 1000);
    ck_assert_uint_eq(rig_out(&r, 0).code, CX_EMPTY);
    ck_assert_int_eq(cx_msg_answer(r.m, r.last->x, &changed, r.now_ms), DR_OK);
    expect(CX_CHANGED, rig_block(1, false, 64));
    ck_assert_uint_eq(r.stats.assemblies, 0);
}
END_TEST

START_TEST(a_peer_may_end_while_its_body_is_handed_over)
{
    put_block(1, 0, true, 64, 0, 64, "rd", NULL);
    expect(CX_CONTINUE, rig_block(0, true, 64));
    r.end_peer = true;
    put_block(2, 1, false, 64, 64, 5, "rd", NULL);
    ck_assert_uint_eq(r.stats.assemblies, 0);
    cx_msg_peer_init(r.m, &r.peers[0]);
}
END_TEST

/* ---- server, Block2 ---- */

static void get(uint16_t mid, uint8_t code, int32_t block2, const char *token, const char *payload)
{
    uint8_t buf[4];
    struct cx_opt opts[2] = {rig_text(CX_OPT_URI_PATH, "big"),
                             cx_opt_uint(CX_OPT_BLOCK2, (uint32_t)block2, buf)};
    rig_in(&r, 0, CX_CON, code, mid, token, opts, block2 >= 0 ? 2 : 1, payload, strlen(payload));
}

static void expect_slice(size_t total, uint32_t num, uint16_t size)
{
    struct cx_pdu out = rig_out(&r, 0);
    struct cx_block blk = {.num = num, .size = size};
    size_t len;
    ck_assert(cx_block_slice(&blk, total, &len));
    ck_assert_uint_eq(out.code, CX_CONTENT);
    ck_assert_int_eq(out.block2, (int32_t)cx_block_encode(&blk));
    ck_assert_uint_eq(out.payload_len, len);
    ck_assert_mem_eq(out.payload, rig_bytes(total) + cx_block_offset(&blk), len);
    ck_assert_int_eq(out.size2, num == 0 ? (int64_t)total : -1);
    struct cx_opt etag;
    ck_assert(cx_opt_find(&out, CX_OPT_ETAG, &etag));
    ck_assert_uint_ge(etag.len, 1);
}

START_TEST(a_large_answer_is_kept_and_served_at_random)
{
    struct cx_reply reply = {.code = CX_CONTENT, .payload = rig_bytes(5000), .payload_len = 5000};
    r.auto_reply = &reply;
    get(1, CX_GET, -1, "t1", "");
    expect_slice(5000, 0, 1024);
    get(2, CX_GET, rig_block(3, false, 1024), "t2", ""); /* a fresh token, out of order */
    expect_slice(5000, 3, 1024);
    get(3, CX_GET, rig_block(1, false, 1024), "t3", "");
    expect_slice(5000, 1, 1024);
    get(4, CX_GET, rig_block(8, false, 512), "t4", "");
    expect_slice(5000, 8, 512);
    get(5, CX_GET, rig_block(4, false, 1024), "t5", "");
    expect_slice(5000, 4, 1024);
    ck_assert_uint_eq(r.n_requests, 1);
    get(6, CX_GET, rig_block(5, false, 1024), "t6", "");
    ck_assert_uint_eq(rig_out(&r, 0).code, CX_BAD_REQUEST);
    rig_pass(&r, CX_KEPT_IDLE_MS);
    ck_assert(!cx_msg_peer_busy(&r.peers[0]));
    get(7, CX_GET, rig_block(2, false, 1024), "t7", ""); /* asked for anew, sliced all the same */
    expect_slice(5000, 2, 1024);
    ck_assert_uint_eq(r.n_requests, 2);
}
END_TEST

START_TEST(the_peer_chooses_the_block_size)
{
    struct cx_reply reply = {.code = CX_CONTENT, .payload = rig_bytes(500), .payload_len = 500};
    r.auto_reply = &reply;
    for (uint16_t size = 16; size <= 256; size = (uint16_t)(size * 2)) {
        get(size, CX_GET, rig_block(0, false, size), "t", "");
        expect_slice(500, 0, size);
        get((uint16_t)(size + 1), CX_GET, rig_block(1, false, size), "t", "");
        expect_slice(500, 1, size);
    }
    get(7, CX_GET, rig_block(0, false, 512), "t", "");
    struct cx_pdu out = rig_out(&r, 0);
    ck_assert_int_eq(out.block2, rig_block(0, false, 512));
    ck_assert_uint_eq(out.payload_len, 500);
}
END_TEST

START_TEST(the_rest_of_a_post_comes_by_posts_without_body)
{
    struct cx_reply reply = {.code = CX_CONTENT, .payload = rig_bytes(900), .payload_len = 900};
    r.auto_reply = &reply;
    get(1, CX_POST, rig_block(0, false, 512), "t", "csr");
    expect_slice(900, 0, 512);
    get(2, CX_POST, rig_block(1, false, 512), "u", "");
    expect_slice(900, 1, 512);
    ck_assert_uint_eq(r.n_requests, 1);
    get(3, CX_GET, rig_block(1, false, 512), "u", ""); /* another method */
    expect_slice(900, 1, 512);
    ck_assert_uint_eq(r.n_requests, 2);
}
END_TEST

START_TEST(a_fetch_for_other_things_is_another_request)
{
    struct cx_reply reply = {.code = CX_CONTENT, .payload = rig_bytes(900), .payload_len = 900};
    r.auto_reply = &reply;
    get(1, CX_FETCH, -1, "t", "these");
    struct cx_pdu out = rig_out(&r, 0);
    ck_assert_int_eq(out.block2, -1); /* fits one message */
    get(2, CX_FETCH, rig_block(0, false, 512), "t", "these");
    expect_slice(900, 0, 512);
    get(3, CX_FETCH, rig_block(1, false, 512), "t", "these");
    expect_slice(900, 1, 512);
    get(4, CX_FETCH, rig_block(1, false, 512), "t", "");
    expect_slice(900, 1, 512);
    ck_assert_uint_eq(r.n_requests, 2);
    get(5, CX_FETCH, rig_block(1, false, 512), "t", "those");
    expect_slice(900, 1, 512);
    ck_assert_uint_eq(r.n_requests, 3);
}
END_TEST

START_TEST(kept_answers_of_a_peer_stop_at_their_limit)
{
    struct cx_reply reply = {.code = CX_CONTENT, .payload = rig_bytes(2000), .payload_len = 2000};
    r.auto_reply = &reply;
    uint8_t buf[4];
    for (uint16_t i = 0; i <= CX_KEPT_PER_PEER_MAX; i++) {
        struct cx_opt path = {CX_OPT_URI_PATH, 1, (const uint8_t *)&"abcdefgh"[i]};
        rig_in(&r, 0, CX_CON, CX_GET, i, "t", &path, 1, NULL, 0);
        expect_slice(2000, 0, 1024);
    }
    ck_assert_uint_eq(r.n_requests, CX_KEPT_PER_PEER_MAX + 1);
    for (uint16_t i = 1; i <= CX_KEPT_PER_PEER_MAX; i++) {
        struct cx_opt opts[2] = {{CX_OPT_URI_PATH, 1, (const uint8_t *)&"abcdefgh"[i]},
                                 rig_block_opt(CX_OPT_BLOCK2, 1, false, 1024, buf)};
        rig_in(&r, 0, CX_CON, CX_GET, (uint16_t)(20 + i), "t", opts, 2, NULL, 0);
        expect_slice(2000, 1, 1024);
    }
    ck_assert_uint_eq(r.n_requests, CX_KEPT_PER_PEER_MAX + 1);
    struct cx_opt opts[2] = {rig_text(CX_OPT_URI_PATH, "a"),
                             rig_block_opt(CX_OPT_BLOCK2, 1, false, 1024, buf)};
    rig_in(&r, 0, CX_CON, CX_GET, 40, "t", opts, 2, NULL, 0); /* the oldest had to go */
    expect_slice(2000, 1, 1024);
    ck_assert_uint_eq(r.n_requests, CX_KEPT_PER_PEER_MAX + 2);
}
END_TEST

START_TEST(an_error_is_never_a_block)
{
    struct cx_reply reply = {.code = CX_NOT_FOUND};
    r.auto_reply = &reply;
    get(1, CX_GET, rig_block(3, false, 64), "t", "");
    struct cx_pdu out = rig_out(&r, 0);
    ck_assert_uint_eq(out.code, CX_NOT_FOUND);
    ck_assert_int_eq(out.block2, -1);
}
END_TEST

static unsigned released;

static void on_release(void *data)
{
    (void)data;
    released++;
}

START_TEST(a_shared_body_is_served_without_a_copy)
{
    released = 0;
    struct cx_body *body =
        cx_body_new(rig_bytes(100000), 100000, (const uint8_t *)"ET", 2, on_release, NULL);
    ck_assert_ptr_nonnull(body);
    struct cx_reply reply = {.code = CX_CONTENT, .body = body};
    r.auto_reply = &reply;
    for (uint32_t num = 0; num < 196; num += 39) {
        get((uint16_t)num, CX_GET, rig_block(num, false, 512), "t", "");
        struct cx_pdu out = rig_out(&r, 0);
        struct cx_opt etag;
        ck_assert(cx_opt_find(&out, CX_OPT_ETAG, &etag));
        ck_assert_uint_eq(etag.len, 2);
        ck_assert_mem_eq(out.payload, rig_bytes(100000) + num * 512, out.payload_len);
        ck_assert_uint_eq(out.payload_len, num == 195 ? 100000 - 195 * 512 : 512);
        ck_assert(!cx_msg_peer_busy(&r.peers[0])); /* nothing is kept */
    }
    ck_assert_uint_eq(r.n_requests, 6);
    get(999, CX_GET, rig_block(196, false, 512), "t", "");
    ck_assert_uint_eq(rig_out(&r, 0).code, CX_BAD_REQUEST);
    ck_assert_ptr_eq(cx_body_ref(body), body);
    ck_assert_ptr_null(cx_body_unref(body));
    ck_assert_uint_eq(released, 0);
    ck_assert_ptr_null(cx_body_unref(body));
    ck_assert_uint_eq(released, 1);
    ck_assert_ptr_null(cx_body_unref(NULL));
}
END_TEST

START_TEST(body_and_answer_in_blocks_go_together)
{
    struct cx_reply reply = {.code = CX_CONTENT, .payload = rig_bytes(300), .payload_len = 300};
    r.auto_reply = &reply;
    uint8_t buf[4], buf2[4];
    struct cx_opt opts[3] = {rig_text(CX_OPT_URI_PATH, "f"),
                             rig_block_opt(CX_OPT_BLOCK1, 0, true, 64, buf),
                             rig_block_opt(CX_OPT_BLOCK2, 0, false, 128, buf2)};
    rig_in(&r, 0, CX_CON, CX_FETCH, 1, "t", opts, 3, rig_bytes(64), 64);
    expect(CX_CONTINUE, rig_block(0, true, 64));
    opts[1] = rig_block_opt(CX_OPT_BLOCK1, 1, false, 64, buf);
    rig_in(&r, 0, CX_CON, CX_FETCH, 2, "t", opts, 3, rig_bytes(74) + 64, 10);
    struct cx_pdu out = rig_out(&r, 0);
    ck_assert_uint_eq(r.last->len, 74);
    ck_assert_int_eq(out.block1, rig_block(1, false, 64));
    ck_assert_int_eq(out.block2, rig_block(0, true, 128));
    opts[1] = rig_block_opt(CX_OPT_BLOCK2, 1, false, 128, buf);
    rig_in(&r, 0, CX_CON, CX_FETCH, 3, "t", opts, 2, NULL, 0);
    expect_slice(300, 1, 128);
    ck_assert_uint_eq(r.n_requests, 1);
}
END_TEST

/* ---- large notifications ---- */

static void notify_block(uint16_t mid, uint32_t seq, size_t total)
{
    uint8_t buf[4], buf2[4], buf3[4];
    struct cx_opt opts[3] = {cx_opt_uint(CX_OPT_OBSERVE, seq, buf),
                             cx_opt_uint(CX_OPT_CONTENT_FORMAT, 42, buf2),
                             rig_block_opt(CX_OPT_BLOCK2, 0, total > 64, 64, buf3)};
    rig_in(&r, 0, CX_CON, CX_CONTENT, mid, "ob", opts, 3, rig_bytes(total),
           total > 64 ? 64 : total);
}

static void notified(size_t total, int32_t seq)
{
    ck_assert_uint_eq(r.notified->len, total);
    ck_assert_mem_eq(r.notified->body, rig_bytes(total), total);
    ck_assert_int_eq(r.notified->pdu.observe, seq);
    ck_assert_int_eq(r.notified->pdu.content_format, 42);
    ck_assert_uint_eq(r.notified->pdu.token_len, 2);
    ck_assert_mem_eq(r.notified->pdu.token, "ob", 2);
    ck_assert(r.notified->pdu.block2 < 0 || !block_of(r.notified->pdu.block2).more);
}

START_TEST(the_rest_of_a_large_notification_is_fetched)
{
    notify_block(1, 7, 150);
    ck_assert_uint_eq(rig_out(&r, 0).type, CX_ACK);
    ck_assert_uint_eq(r.n_notified, 0);
    for (uint32_t num = 1; num <= 2; num++) {
        struct cx_pdu req = rig_out(&r, 0);
        struct cx_opt path;
        ck_assert_uint_eq(req.code, CX_GET);
        ck_assert_int_eq(req.observe, -1);
        ck_assert_int_eq(req.block2, rig_block(num, false, 64));
        ck_assert_uint_eq(req.token_len, 8);
        ck_assert(cx_opt_find(&req, CX_OPT_URI_PATH, &path));
        ck_assert_uint_eq(path.len, 3);
        uint8_t buf[4];
        struct cx_opt opt = rig_block_opt(CX_OPT_BLOCK2, num, num == 1, 64, buf);
        respond(CX_CONTENT, &req, &opt, 1, rig_bytes(150) + num * 64, num == 1 ? 64 : 22);
    }
    ck_assert_uint_eq(r.n_notified, 1);
    notified(150, 7);
    ck_assert(!cx_msg_peer_busy(&r.peers[0]));
}
END_TEST

START_TEST(a_fetch_of_a_composite_observation_repeats_its_paths)
{
    r.observed_code = CX_FETCH;
    notify_block(1, 7, 100);
    (void)rig_out(&r, 0);
    struct cx_pdu req = rig_out(&r, 0);
    ck_assert_uint_eq(req.code, CX_FETCH);
    ck_assert_uint_eq(req.payload_len, 5);
    ck_assert_mem_eq(req.payload, "which", 5);
    uint8_t buf[4];
    struct cx_opt opt = rig_block_opt(CX_OPT_BLOCK2, 1, false, 64, buf);
    respond(CX_CONTENT, &req, &opt, 1, rig_bytes(100) + 64, 36);
    notified(100, 7);
}
END_TEST

START_TEST(a_newer_notification_ends_the_fetch_of_an_older_one)
{
    notify_block(1, 7, 150);
    (void)rig_out(&r, 0);
    struct cx_pdu old = rig_out(&r, 0);
    notify_block(2, 8, 50); /* whole */
    (void)rig_out(&r, 0);
    ck_assert_uint_eq(r.n_notified, 1);
    notified(50, 8);
    ck_assert(!cx_msg_peer_busy(&r.peers[0]));
    uint8_t buf[4];
    struct cx_opt opt = rig_block_opt(CX_OPT_BLOCK2, 1, true, 64, buf);
    respond(CX_CONTENT, &old, &opt, 1, rig_bytes(150) + 64, 64); /* nobody waits */
    ck_assert_uint_eq(r.n_notified, 1);

    notify_block(3, 9, 150);
    (void)rig_out(&r, 0);
    (void)rig_out(&r, 0);
    notify_block(4, 10, 100); /* large as well */
    (void)rig_out(&r, 0);
    struct cx_pdu req = rig_out(&r, 0);
    opt = rig_block_opt(CX_OPT_BLOCK2, 1, false, 64, buf);
    respond(CX_CONTENT, &req, &opt, 1, rig_bytes(100) + 64, 36);
    ck_assert_uint_eq(r.n_notified, 2);
    notified(100, 10);
}
END_TEST

START_TEST(a_fetch_waits_for_the_call_in_flight_and_goes_before_the_others)
{
    rig_call_init(&a, CX_GET, "a", NULL, 0);
    rig_call_init(&b, CX_PUT, "b", "v", 1);
    rig_start(&r, 0, &a);
    rig_start(&r, 0, &b);
    struct cx_pdu first = rig_out(&r, 0);
    notify_block(1, 7, 100);
    ck_assert_uint_eq(rig_out(&r, 0).type, CX_ACK);
    rig_quiet(&r);
    respond(CX_CONTENT, &first, NULL, 0, NULL, 0);
    done(&a, CX_CONTENT, 0);
    struct cx_pdu req = rig_out(&r, 0);
    ck_assert_int_eq(req.block2, rig_block(1, false, 64));
    uint8_t buf[4];
    struct cx_opt opt = rig_block_opt(CX_OPT_BLOCK2, 1, false, 64, buf);
    respond(CX_CONTENT, &req, &opt, 1, rig_bytes(100) + 64, 36);
    notified(100, 7);
    req = rig_out(&r, 0);
    ck_assert_uint_eq(req.code, CX_PUT);
    respond(CX_CHANGED, &req, NULL, 0, NULL, 0);
    done(&b, CX_CHANGED, 0);
}
END_TEST

START_TEST(a_fetch_that_fails_leaves_nothing_behind)
{
    notify_block(1, 7, 150);
    (void)rig_out(&r, 0);
    (void)rig_out(&r, 0);
    rig_pass(&r, 200000);
    for (int i = 0; i < 4; i++) {
        (void)rig_out(&r, 0);
    }
    ck_assert_uint_eq(r.n_notified, 0);
    ck_assert(!cx_msg_peer_busy(&r.peers[0]));
    notify_block(2, 8, 150);
    (void)rig_out(&r, 0);
    struct cx_pdu req = rig_out(&r, 0);
    respond(CX_NOT_FOUND, &req, NULL, 0, NULL, 0);
    ck_assert_uint_eq(r.n_notified, 0);
    notify_block(3, 9, 150);
    (void)rig_out(&r, 0);
    (void)rig_out(&r, 0);
    cx_msg_calls_moved(r.m, &r.peers[0]);
    ck_assert(!cx_msg_peer_busy(&r.peers[0]));
    notify_block(4, 10, 150);
    (void)rig_out(&r, 0);
    (void)rig_out(&r, 0);
    cx_msg_peer_fini(r.m, &r.peers[0], DR_ERR_GONE);
    cx_msg_peer_init(r.m, &r.peers[0]);
}
END_TEST

START_TEST(of_an_unknown_observation_the_first_block_is_delivered)
{
    r.has_observed = false;
    notify_block(1, 7, 150);
    ck_assert_uint_eq(rig_out(&r, 0).type, CX_ACK);
    ck_assert_uint_eq(r.n_notified, 1);
    ck_assert_uint_eq(r.notified->len, 64);
    ck_assert_int_eq(r.notified->pdu.block2, rig_block(0, true, 64));
}
END_TEST

START_TEST(fetches_of_a_peer_stop_at_their_limit)
{
    for (uint16_t i = 0; i < 5; i++) {
        uint8_t buf[4], buf2[4];
        char token[2] = {(char)('a' + i), 0};
        struct cx_opt opts[2] = {cx_opt_uint(CX_OPT_OBSERVE, 3, buf),
                                 rig_block_opt(CX_OPT_BLOCK2, 0, true, 64, buf2)};
        rig_in(&r, 0, CX_CON, CX_CONTENT, i, token, opts, 2, rig_bytes(64), 64);
        ck_assert_uint_eq(rig_out(&r, 0).type, CX_ACK);
        if (i == 0) {
            (void)rig_out(&r, 0);
        }
    }
    ck_assert_uint_eq(r.n_notified, 1); /* the fifth: its first block alone */
    cx_msg_calls_moved(r.m, &r.peers[0]);
}
END_TEST

static void observe_call(void)
{
    static uint8_t buf[4];
    rig_call_init(&a, CX_GET, "obs", NULL, 0);
    a.opts[1] = cx_opt_uint(CX_OPT_OBSERVE, 0, buf);
    a.call.n_opts = 2;
    a.call.token_len = 2;
    memcpy(a.call.token, "ob", 2);
    rig_start(&r, 0, &a);
}

START_TEST(a_large_first_answer_of_an_observation_is_fetched_by_another_token)
{
    observe_call();
    struct cx_pdu req = rig_out(&r, 0);
    ck_assert_mem_eq(req.token, "ob", 2);
    uint8_t buf[4], buf2[4];
    struct cx_opt opts[2] = {cx_opt_uint(CX_OPT_OBSERVE, 3, buf),
                             rig_block_opt(CX_OPT_BLOCK2, 0, true, 64, buf2)};
    respond(CX_CONTENT, &req, opts, 2, rig_bytes(100), 64);
    req = rig_out(&r, 0);
    ck_assert_int_eq(req.observe, -1);
    ck_assert_uint_eq(req.token_len, 8);
    opts[0] = rig_block_opt(CX_OPT_BLOCK2, 1, false, 64, buf2);
    respond(CX_CONTENT, &req, opts, 1, rig_bytes(100) + 64, 36);
    done(&a, CX_CONTENT, 100);
    ck_assert_int_eq(a.pdu.observe, 3);
    ck_assert_uint_eq(a.pdu.token_len, 2);
}
END_TEST

START_TEST(a_notification_overtakes_the_blocks_of_the_first_answer)
{
    observe_call();
    struct cx_pdu req = rig_out(&r, 0);
    uint8_t buf[4], buf2[4];
    struct cx_opt opts[2] = {cx_opt_uint(CX_OPT_OBSERVE, 3, buf),
                             rig_block_opt(CX_OPT_BLOCK2, 0, true, 64, buf2)};
    respond(CX_CONTENT, &req, opts, 2, rig_bytes(100), 64);
    (void)rig_out(&r, 0);
    notify_block(5, 4, 200); /* large: begins again with it */
    ck_assert_uint_eq(rig_out(&r, 0).type, CX_ACK);
    (void)rig_out(&r, 0);
    notify_block(6, 5, 30); /* whole: is the answer */
    ck_assert_uint_eq(rig_out(&r, 0).type, CX_ACK);
    done(&a, CX_CONTENT, 30);
    ck_assert_int_eq(a.pdu.observe, 5);
}
END_TEST

START_TEST(our_large_notification_is_kept_for_the_observer)
{
    uint8_t buf[4];
    rig_call_init(&a, CX_CONTENT, "big", rig_bytes(2500), 2500);
    a.opts[1] = cx_opt_uint(CX_OPT_OBSERVE, 12, buf);
    a.opts[2] = rig_text(CX_OPT_ETAG, "e1");
    a.call.n_opts = 3;
    a.call.token_len = 2;
    memcpy(a.call.token, "ob", 2);
    rig_start(&r, 0, &a);
    struct cx_pdu out = rig_out(&r, 0);
    ck_assert_int_eq(out.block2, rig_block(0, true, 1024));
    ck_assert_int_eq(out.size2, 2500);
    ck_assert_int_eq(out.observe, 12);
    ck_assert_uint_eq(out.payload_len, 1024);
    say(CX_ACK, CX_EMPTY, out.mid, &(struct cx_pdu){0}, NULL, 0, NULL, 0);
    done(&a, CX_EMPTY, 0);
    get(2, CX_GET, rig_block(1, false, 1024), "x", "");
    out = rig_out(&r, 0);
    ck_assert_int_eq(out.block2, rig_block(1, true, 1024));
    ck_assert_int_eq(out.observe, -1);
    ck_assert_mem_eq(out.payload, rig_bytes(2500) + 1024, 1024);
    get(3, CX_FETCH, rig_block(2, false, 1024), "x", "paths");
    out = rig_out(&r, 0);
    ck_assert_int_eq(out.block2, rig_block(2, false, 1024));
    ck_assert_uint_eq(out.payload_len, 2500 - 2048);
    ck_assert_uint_eq(r.n_requests, 0);
}
END_TEST

#define ADD(tc, test) tcase_add_test(tc, test)

static TCase *tcase(Suite *s, const char *name)
{
    TCase *tc = tcase_create(name);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    suite_add_tcase(s, tc);
    return tc;
}

int main(void)
{
    Suite *s = suite_create("coap/blockwise");
    TCase *tc = tcase(s, "client, Block1");
    ADD(tc, a_large_body_goes_out_in_blocks_with_one_token);
    ADD(tc, a_body_of_exactly_one_block_is_one_message);
    ADD(tc, the_caller_may_choose_a_smaller_size);
    ADD(tc, long_options_make_blocks_smaller);
    ADD(tc, the_peer_may_shrink_the_size_in_any_ack);
    ADD(tc, a_413_with_a_smaller_block_begins_again_smaller);
    ADD(tc, a_413_with_a_block_turns_a_single_message_into_blocks);
    ADD(tc, a_413_with_a_size_that_would_do_halves_the_block);
    ADD(tc, a_413_for_the_body_itself_is_the_answer);
    ADD(tc, a_408_begins_again_once);
    tcase_add_loop_test(tc, a_peer_that_breaks_the_rules_ends_the_call, 0,
                        (int)DR_ARRAY_LEN(breaks));
    ADD(tc, a_231_for_the_last_block_breaks_the_rules);
    ADD(tc, progress_resets_the_response_timeout);
    ADD(tc, a_body_after_one_that_broke_off_carries_a_request_tag);

    tc = tcase(s, "client, Block2");
    ADD(tc, a_large_answer_is_collected);
    ADD(tc, blocks_of_any_size_that_the_peer_likes);
    ADD(tc, a_size_chosen_early_is_asked_for);
    ADD(tc, a_size_that_shrinks_on_the_way_is_followed);
    ADD(tc, a_body_that_changes_on_the_way_is_asked_for_again_once);
    ADD(tc, an_answer_over_the_limit_is_too_large);
    tcase_add_loop_test(tc, a_block_that_does_not_fit_ends_the_call, 0,
                        (int)DR_ARRAY_LEN(bad_blocks));
    ADD(tc, a_first_block_that_is_none_ends_the_call);
    ADD(tc, an_error_in_the_middle_is_the_answer);
    ADD(tc, a_fetch_with_body_and_answer_in_blocks);
    ADD(tc, a_fetch_with_a_small_body_repeats_it_for_each_block);
    ADD(tc, a_caller_with_block_options_of_its_own_gets_single_blocks);

    tc = tcase(s, "server, Block1");
    ADD(tc, a_body_in_blocks_is_handed_over_whole);
    ADD(tc, a_body_of_one_block_needs_no_assembly);
    ADD(tc, a_size_may_shrink_between_blocks_of_the_peer);
    ADD(tc, a_gap_is_408_and_ends_the_assembly);
    ADD(tc, the_newest_block_under_a_new_id_is_welcome);
    ADD(tc, block_zero_begins_again);
    ADD(tc, bodies_of_different_path_or_request_tag_do_not_mix);
    ADD(tc, a_body_over_the_limit_is_413_with_the_limit);
    ADD(tc, a_body_of_exactly_the_limit_is_taken);
    ADD(tc, half_done_bodies_are_forgotten_when_idle);
    ADD(tc, assemblies_stop_at_their_limits);
    tcase_add_loop_test(tc, a_block_whose_length_is_wrong_is_400, 0, (int)DR_ARRAY_LEN(bad_sizes));
    ADD(tc, a_forgotten_body_may_end_again);
    ADD(tc, a_body_that_finds_no_room_may_end_again);
    ADD(tc, a_body_that_is_answered_later_keeps_its_block_option);
    ADD(tc, a_peer_may_end_while_its_body_is_handed_over);

    tc = tcase(s, "server, Block2");
    ADD(tc, a_large_answer_is_kept_and_served_at_random);
    ADD(tc, the_peer_chooses_the_block_size);
    ADD(tc, the_rest_of_a_post_comes_by_posts_without_body);
    ADD(tc, a_fetch_for_other_things_is_another_request);
    ADD(tc, kept_answers_of_a_peer_stop_at_their_limit);
    ADD(tc, an_error_is_never_a_block);
    ADD(tc, a_shared_body_is_served_without_a_copy);
    ADD(tc, body_and_answer_in_blocks_go_together);

    tc = tcase(s, "observe");
    ADD(tc, the_rest_of_a_large_notification_is_fetched);
    ADD(tc, a_fetch_of_a_composite_observation_repeats_its_paths);
    ADD(tc, a_newer_notification_ends_the_fetch_of_an_older_one);
    ADD(tc, a_fetch_waits_for_the_call_in_flight_and_goes_before_the_others);
    ADD(tc, a_fetch_that_fails_leaves_nothing_behind);
    ADD(tc, of_an_unknown_observation_the_first_block_is_delivered);
    ADD(tc, fetches_of_a_peer_stop_at_their_limit);
    ADD(tc, a_large_first_answer_of_an_observation_is_fetched_by_another_token);
    ADD(tc, a_notification_overtakes_the_blocks_of_the_first_answer);
    ADD(tc, our_large_notification_is_kept_for_the_observer);

    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed_count = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed_count;
}
