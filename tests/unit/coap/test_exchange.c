/* SPDX-License-Identifier: Apache-2.0 */
/* Server role of the message layer: requests, answers, duplicates, limits. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/coap/rig.h"

static struct rig r;
static const struct cx_reply changed = {.code = CX_CHANGED};

static void set_up(void)
{
    rig_init(&r, NULL);
}

static void tear_down(void)
{
    rig_quiet(&r);
    rig_fini(&r);
}

static void post(uint16_t mid, const char *token, const char *payload)
{
    struct cx_opt path = rig_text(CX_OPT_URI_PATH, "rd");
    rig_in(&r, 0, CX_CON, CX_POST, mid, token, &path, 1, payload, strlen(payload));
}

static void answer(const struct cx_reply *reply)
{
    ck_assert_int_eq(cx_msg_answer(r.m, r.last->x, reply, r.now_ms), DR_OK);
}

/* ---- piggybacked ---- */

START_TEST(an_answer_inside_the_callback_rides_on_the_ack)
{
    r.auto_reply = &changed;
    post(0x1234, "tok", "x");
    struct cx_pdu out = rig_out(&r, 0);
    ck_assert_uint_eq(out.type, CX_ACK);
    ck_assert_uint_eq(out.mid, 0x1234);
    ck_assert_uint_eq(out.code, CX_CHANGED);
    ck_assert_uint_eq(out.token_len, 3);
    ck_assert_mem_eq(out.token, "tok", 3);
    ck_assert_uint_eq(r.stats.requests, 1);
    ck_assert(!cx_msg_peer_busy(&r.peers[0]));
}
END_TEST

START_TEST(an_answer_within_a_second_still_rides_on_the_ack)
{
    post(1, "t", "x");
    rig_pass(&r, 900);
    rig_quiet(&r);
    ck_assert(cx_msg_peer_busy(&r.peers[0]));
    answer(&changed);
    ck_assert_uint_eq(rig_out(&r, 0).type, CX_ACK);
    rig_pass(&r, 300000);
    ck_assert(!cx_msg_peer_busy(&r.peers[0]));
}
END_TEST

START_TEST(a_second_answer_is_not_found)
{
    post(1, "t", "x");
    cx_exchange_t x = r.last->x;
    answer(&changed);
    (void)rig_out(&r, 0);
    ck_assert_int_eq(cx_msg_answer(r.m, x, &changed, r.now_ms), DR_ERR_NOT_FOUND);
    ck_assert_int_eq(cx_msg_answer(r.m, 0, &changed, r.now_ms), DR_ERR_NOT_FOUND);
    ck_assert_int_eq(cx_msg_answer(r.m, x + 12345, &changed, r.now_ms), DR_ERR_NOT_FOUND);
    post(2, "u", "y"); /* takes the same slot */
    ck_assert_int_eq(cx_msg_answer(r.m, x, &changed, r.now_ms), DR_ERR_NOT_FOUND);
    answer(&changed);
    (void)rig_out(&r, 0);
}
END_TEST

START_TEST(a_non_is_answered_by_a_non_of_our_own_id)
{
    struct cx_opt path = rig_text(CX_OPT_URI_PATH, "rd");
    r.auto_reply = &changed;
    rig_in(&r, 0, CX_NON, CX_POST, 77, "t", &path, 1, NULL, 0);
    struct cx_pdu out = rig_out(&r, 0);
    ck_assert_uint_eq(out.type, CX_NON);
    rig_in(&r, 0, CX_NON, CX_POST, 77, "t", &path, 1, NULL, 0); /* a duplicate: silence */
    rig_quiet(&r);
    ck_assert_uint_eq(r.n_requests, 1);
    rig_in(&r, 0, CX_NON, CX_POST, 78, "t", &path, 1, NULL, 0);
    ck_assert_uint_eq(rig_out(&r, 0).mid, (uint16_t)(out.mid + 1));
}
END_TEST

START_TEST(nothing_is_remembered_of_a_non_that_waits_but_it_is_answered)
{
    struct cx_opt path = rig_text(CX_OPT_URI_PATH, "rd");
    rig_in(&r, 0, CX_NON, CX_POST, 77, "t", &path, 1, NULL, 0);
    rig_pass(&r, 5000);
    rig_quiet(&r); /* no ACK to a NON */
    rig_in(&r, 0, CX_NON, CX_POST, 77, "t", &path, 1, NULL, 0);
    ck_assert_uint_eq(r.n_requests, 1);
    answer(&changed);
    ck_assert_uint_eq(rig_out(&r, 0).type, CX_NON);
}
END_TEST

/* ---- separate; spec: RFC7252#5.2.2 ---- */

START_TEST(after_a_second_an_empty_ack_and_later_a_con)
{
    post(5, "tok", "x");
    rig_pass(&r, 1000);
    struct cx_pdu ack = rig_out(&r, 0);
    ck_assert_uint_eq(ack.type, CX_ACK);
    ck_assert_uint_eq(ack.code, CX_EMPTY);
    ck_assert_uint_eq(ack.mid, 5);
    answer(&changed);
    struct cx_pdu con = rig_out(&r, 0);
    ck_assert_uint_eq(con.type, CX_CON);
    ck_assert_uint_eq(con.code, CX_CHANGED);
    ck_assert_mem_eq(con.token, "tok", 3);
    rig_in(&r, 0, CX_ACK, CX_EMPTY, con.mid, "", NULL, 0, NULL, 0);
    ck_assert(!cx_msg_peer_busy(&r.peers[0]));
    rig_pass(&r, 300000);
}
END_TEST

static void ack_then_con(uint16_t mid)
{
    struct cx_pdu ack = rig_out(&r, 0);
    ck_assert_uint_eq(ack.type, CX_ACK);
    ck_assert_uint_eq(ack.code, CX_EMPTY);
    ck_assert_uint_eq(ack.mid, mid);
    if (r.auto_reply == NULL) {
        rig_quiet(&r);
        cx_msg_ack(r.m, r.last->x); /* once is enough */
        rig_quiet(&r);
        answer(&changed);
    }
    struct cx_pdu con = rig_out(&r, 0);
    ck_assert_uint_eq(con.type, CX_CON);
    ck_assert_uint_eq(con.code, CX_CHANGED);
    rig_in(&r, 0, CX_ACK, CX_EMPTY, con.mid, "", NULL, 0, NULL, 0);
    ck_assert(!cx_msg_peer_busy(&r.peers[0]));
    rig_pass(&r, 300000);
    rig_quiet(&r);
}

START_TEST(an_ack_asked_for_goes_out_at_once)
{
    post(5, "tok", "x"); /* after the callback */
    rig_quiet(&r);
    cx_msg_ack(r.m, r.last->x);
    ack_then_con(5);
    cx_msg_ack(r.m, r.last->x); /* no longer there */
    rig_quiet(&r);
    r.ack = true; /* inside, answered later */
    post(6, "tok", "y");
    ack_then_con(6);
    r.auto_reply = &changed; /* both inside */
    post(7, "tok", "z");
    ack_then_con(7);
}
END_TEST

START_TEST(an_ack_asked_for_keeps_the_body_readable)
{
    struct cx_opt opts[2] = {rig_text(CX_OPT_URI_PATH, "rd")};
    uint8_t raw[4];

    r.ack = true;
    r.auto_reply = &changed;
    opts[1] = cx_opt_uint(CX_OPT_BLOCK1, 8, raw); /* 0, more, 16 bytes */
    rig_in(&r, 0, CX_CON, CX_POST, 1, "a", opts, 2, "0123456789abcdef", 16);
    ck_assert_uint_eq(rig_out(&r, 0).code, CX_CONTINUE);
    opts[1] = cx_opt_uint(CX_OPT_BLOCK1, 16, raw);
    rig_in(&r, 0, CX_CON, CX_POST, 2, "b", opts, 2, "xyz", 3);
    ck_assert_uint_eq(r.last->len, 19); /* the rig compares it after the answer */
    ack_then_con(2);
}
END_TEST

START_TEST(a_non_gets_no_ack)
{
    struct cx_opt path = rig_text(CX_OPT_URI_PATH, "rd");

    r.ack = true;
    rig_in(&r, 0, CX_NON, CX_POST, 77, "t", &path, 1, NULL, 0);
    rig_quiet(&r);
    answer(&changed);
    ck_assert_uint_eq(rig_out(&r, 0).type, CX_NON);
}
END_TEST

START_TEST(a_separate_answer_is_repeated_four_times_then_given_up)
{
    post(5, "tok", "x");
    rig_pass(&r, 1000);
    (void)rig_out(&r, 0);
    answer(&changed);
    struct rig_msg first = *rig_out_raw(&r);
    uint64_t before = r.now_ms;
    for (int i = 0; i < 4; i++) {
        rig_pass(&r, 3000u << i);
        const struct rig_msg *again = rig_out_raw(&r);
        ck_assert_uint_eq(again->len, first.len);
        ck_assert_mem_eq(again->bytes, first.bytes, first.len);
    }
    rig_pass(&r, 100000);
    ck_assert_uint_ge(r.now_ms - before, 45000);
    ck_assert(!cx_msg_peer_busy(&r.peers[0]));
    ck_assert_uint_eq(r.stats.retransmissions, 4);
}
END_TEST

START_TEST(a_reset_ends_a_separate_answer)
{
    post(5, "tok", "x");
    rig_pass(&r, 1000);
    (void)rig_out(&r, 0);
    answer(&changed);
    struct cx_pdu con = rig_out(&r, 0);
    rig_in(&r, 0, CX_RST, CX_EMPTY, con.mid, "", NULL, 0, NULL, 0);
    ck_assert(!cx_msg_peer_busy(&r.peers[0]));
}
END_TEST

START_TEST(a_duplicate_after_the_empty_ack_gets_another_one)
{
    post(5, "tok", "x");
    rig_pass(&r, 1000);
    (void)rig_out(&r, 0);
    post(5, "tok", "x"); /* before the answer */
    ck_assert_uint_eq(rig_out(&r, 0).code, CX_EMPTY);
    answer(&changed);
    struct cx_pdu con = rig_out(&r, 0);
    post(5, "tok", "x"); /* and behind it */
    struct cx_pdu ack = rig_out(&r, 0);
    ck_assert_uint_eq(ack.code, CX_EMPTY);
    ck_assert_uint_eq(ack.mid, 5);
    rig_in(&r, 0, CX_ACK, CX_EMPTY, con.mid, "", NULL, 0, NULL, 0);
    post(5, "tok", "x");
    ck_assert_uint_eq(rig_out(&r, 0).code, CX_EMPTY);
    ck_assert_uint_eq(r.n_requests, 1);
}
END_TEST

/* ---- duplicates; spec: RFC7252#4.5 ---- */

START_TEST(a_duplicate_gets_the_same_bytes)
{
    struct cx_opt opts[2] = {rig_text(CX_OPT_LOCATION_PATH, "rd"),
                             rig_text(CX_OPT_LOCATION_PATH, "0123456789abcdef0123456789abcdef")};
    struct cx_reply created = {.code = CX_CREATED, .opts = opts, .n_opts = 2};
    r.auto_reply = &created;
    post(9, "tok", "register");
    struct rig_msg first = *rig_out_raw(&r);
    for (int i = 0; i < 3; i++) {
        rig_pass(&r, 80000);
        post(9, "tok", "register");
        const struct rig_msg *again = rig_out_raw(&r);
        ck_assert_uint_eq(again->len, first.len);
        ck_assert_mem_eq(again->bytes, first.bytes, first.len);
    }
    ck_assert_uint_eq(r.n_requests, 1);
    ck_assert_uint_eq(r.stats.duplicates, 3);
    rig_pass(&r, 8000);
    post(9, "tok", "register"); /* an exchange lifetime is over: a new message */
    ck_assert_uint_eq(r.n_requests, 2);
    (void)rig_out(&r, 0);
}
END_TEST

START_TEST(a_long_answer_is_stored_beside_the_ring)
{
    struct cx_opt opts[2] = {rig_text(CX_OPT_LOCATION_PATH, "0123456789abcdef0123456789abcdef"),
                             rig_text(CX_OPT_LOCATION_PATH, "0123456789abcdef0123456789abcdef")};
    struct cx_reply created = {.code = CX_CREATED,
                               .opts = opts,
                               .n_opts = 2,
                               .payload = rig_bytes(300),
                               .payload_len = 300};
    r.auto_reply = &created;
    post(9, "tok", "register");
    struct rig_msg first = *rig_out_raw(&r);
    ck_assert_uint_ne(cx_msg_deadline(r.m), UINT64_MAX);
    post(9, "tok", "register");
    const struct rig_msg *again = rig_out_raw(&r);
    ck_assert_uint_eq(again->len, first.len);
    ck_assert_mem_eq(again->bytes, first.bytes, first.len);
    ck_assert_uint_eq(r.n_requests, 1);
    rig_pass(&r, CX_EXCHANGE_LIFETIME_MS);
    ck_assert_uint_eq(cx_msg_deadline(r.m), UINT64_MAX); /* and let go */
}
END_TEST

START_TEST(stored_answers_stop_at_their_limit_and_a_duplicate_then_meets_silence)
{
    struct cx_reply big = {.code = CX_CHANGED, .payload = rig_bytes(1000), .payload_len = 1000};
    unsigned fit = CX_STORED_MAX / 1001, n = fit / 3 + 2; /* three of each peer */
    struct cx_mpeer *many = calloc(n, sizeof *many);
    ck_assert_ptr_nonnull(many);
    r.auto_reply = &big;
    for (unsigned i = 0; i < n; i++) {
        cx_msg_peer_init(r.m, &many[i]);
        for (uint8_t k = 0; k < 3; k++) {
            const uint8_t msg[] = {0x41, CX_POST, 0, k, 't'};
            cx_msg_input(r.m, &many[i], msg, sizeof msg, r.now_ms);
        }
        r.read = r.n_sent;
    }
    const uint8_t first[] = {0x41, CX_POST, 0, 0, 't'}, last[] = {0x41, CX_POST, 0, 2, 't'};
    cx_msg_input(r.m, &many[0], first, sizeof first, r.now_ms);
    ck_assert_uint_eq(rig_out_raw(&r)->len, 4 + 1 + 1 + 1000);
    cx_msg_input(r.m, &many[n - 1], last, sizeof last, r.now_ms);
    rig_quiet(&r);
    ck_assert_uint_eq(r.n_requests, n * 3);
    for (unsigned i = 0; i < n; i++) {
        cx_msg_peer_fini(r.m, &many[i], DR_ERR_GONE);
    }
    ck_assert_uint_eq(cx_msg_deadline(r.m), UINT64_MAX); /* nothing stays of them */
    free(many);
}
END_TEST

START_TEST(a_peer_cannot_pile_up_stored_answers)
{
    struct cx_reply big = {.code = CX_CHANGED, .payload = rig_bytes(1000), .payload_len = 1000};
    r.auto_reply = &big;
    for (unsigned i = 0; i < CX_STORED_MAX / 1001 + 100; i++) {
        const uint8_t msg[] = {0x41, CX_POST, (uint8_t)(i >> 8), (uint8_t)i, 't'};
        cx_msg_input(r.m, &r.peers[0], msg, sizeof msg, r.now_ms);
        r.read = r.n_sent;
    }
    post(7, "other", "x"); /* there is room */
    (void)rig_out(&r, 0);
    post(7, "other", "x");
    ck_assert_uint_eq(rig_out(&r, 0).payload_len, 1000);
}
END_TEST

START_TEST(a_large_answer_to_a_get_is_made_again)
{
    struct cx_opt path = rig_text(CX_OPT_URI_PATH, "x");
    struct cx_reply big = {.code = CX_CONTENT, .payload = rig_bytes(800), .payload_len = 800};
    r.auto_reply = &big;
    rig_in(&r, 0, CX_CON, CX_GET, 9, "t", &path, 1, NULL, 0);
    struct rig_msg first = *rig_out_raw(&r);
    rig_in(&r, 0, CX_CON, CX_GET, 9, "t", &path, 1, NULL, 0);
    const struct rig_msg *again = rig_out_raw(&r);
    ck_assert_uint_eq(again->len, first.len);
    ck_assert_mem_eq(again->bytes, first.bytes, first.len);
}
END_TEST

START_TEST(while_the_answer_is_pending_a_duplicate_is_dropped)
{
    post(5, "tok", "x");
    post(5, "tok", "x");
    rig_quiet(&r);
    ck_assert_uint_eq(r.n_requests, 1);
    ck_assert_uint_eq(r.stats.duplicates, 1);
    answer(&changed);
    (void)rig_out(&r, 0);
}
END_TEST

START_TEST(a_rebooted_device_that_uses_an_id_again_is_heard)
{
    r.auto_reply = &changed;
    post(1, "aaaa", "x");
    (void)rig_out(&r, 0);
    post(1, "bbbb", "x"); /* other token */
    ck_assert_mem_eq(rig_out(&r, 0).token, "bbbb", 4);
    post(1, "bbbb", "y"); /* other payload */
    (void)rig_out(&r, 0);
    ck_assert_uint_eq(r.n_requests, 3);
}
END_TEST

START_TEST(the_same_message_of_another_peer_is_no_duplicate)
{
    struct cx_opt path = rig_text(CX_OPT_URI_PATH, "rd");
    r.auto_reply = &changed;
    for (unsigned peer = 0; peer < RIG_PEERS; peer++) {
        rig_in(&r, peer, CX_CON, CX_POST, 1, "t", &path, 1, NULL, 0);
        (void)rig_out(&r, peer);
    }
    ck_assert_uint_eq(r.n_requests, RIG_PEERS);
}
END_TEST

START_TEST(a_forgotten_request_is_new_when_it_comes_again)
{
    r.forget = true;
    post(5, "tok", "x");
    rig_quiet(&r);
    r.forget = false;
    post(5, "tok", "x");
    ck_assert_uint_eq(r.n_requests, 2);
    cx_msg_forget(r.m, r.last->x);
    ck_assert(!cx_msg_peer_busy(&r.peers[0]));
    post(5, "tok", "x");
    ck_assert_uint_eq(r.n_requests, 3);
    rig_pass(&r, 1000);
    (void)rig_out(&r, 0);
    cx_msg_forget(r.m, r.last->x); /* even behind the empty ACK */
    cx_msg_forget(r.m, r.last->x);
    cx_msg_forget(r.m, 12345);
}
END_TEST

START_TEST(an_answer_that_cannot_be_sent_is_given_to_the_duplicate)
{
    r.auto_reply = &changed;
    r.blocked = true;
    post(5, "tok", "x");
    rig_quiet(&r);
    r.blocked = false;
    post(5, "tok", "x");
    ck_assert_uint_eq(rig_out(&r, 0).code, CX_CHANGED);
    ck_assert_uint_eq(r.n_requests, 1);
}
END_TEST

/* ---- what is rejected; spec: RFC7252#4.2 RFC7252#4.3 RFC7252#5.4.1 ---- */

START_TEST(a_ping_is_reset)
{
    rig_in_hex(&r, 0, "40 00 ab cd");
    struct cx_pdu out = rig_out(&r, 0);
    ck_assert_uint_eq(out.type, CX_RST);
    ck_assert_uint_eq(out.mid, 0xabcd);
    ck_assert_uint_eq(r.stats.resets_sent, 1);
}
END_TEST

static const struct {
    const char *why, *hex;
    bool reset;
} rejects[] = {
    {"a malformed CON", "40 01 00 07 ff", true},
    {"a malformed NON", "50 01 00 07 ff", false},
    {"a malformed ACK", "60 45 00 07 ff", false},
    {"a CON of a reserved class", "40 21 00 07", true},
    {"a NON of a reserved class", "50 e1 00 07", false},
    {"a signal of TCP in a CON", "40 e1 00 07", true},
    {"an ACK with a request in it", "60 01 00 07", false},
    {"a RST with a response in it", "70 45 00 07", false},
    {"another version", "80 01 00 07", false},
    {"a short datagram", "40 01", false},
    {"an ACK for nothing", "60 00 00 07", false},
    {"Pelion's ACK for nothing", "60 00 00 07 c0", false},
    {"a RST for nothing", "70 00 00 07", false},
    {"a response in an ACK for nothing", "61 45 00 07 aa", false},
    {"an empty NON", "50 00 00 07", false},
};

START_TEST(what_is_no_message_gets_a_reset_if_it_is_a_con)
{
    rig_in_hex(&r, 0, rejects[_i].hex);
    if (rejects[_i].reset) {
        struct cx_pdu out = rig_out(&r, 0);
        ck_assert_msg(out.type == CX_RST && out.mid == 7, "%s", rejects[_i].why);
    }
    rig_quiet(&r);
    ck_assert_uint_eq(r.n_requests + r.n_notified, 0);
    ck_assert(!cx_msg_peer_busy(&r.peers[0]));
}
END_TEST

START_TEST(a_bad_critical_option_is_402_in_a_con_and_silence_in_a_non)
{
    rig_in_hex(&r, 0, "41 01 00 07 aa d0 00");
    ck_assert_uint_eq(rig_out(&r, 0).code, CX_BAD_OPTION);
    rig_in_hex(&r, 0, "41 01 00 07 aa d0 00");
    ck_assert_uint_eq(rig_out(&r, 0).code, CX_BAD_OPTION);
    rig_in_hex(&r, 0, "51 01 00 08 aa d0 00");
    rig_quiet(&r);
    ck_assert_uint_eq(r.n_requests, 0);
}
END_TEST

START_TEST(a_reserved_block_size_is_400)
{
    uint8_t buf[4];
    struct cx_opt opt = cx_opt_uint((uint16_t)(_i == 0 ? CX_OPT_BLOCK1 : CX_OPT_BLOCK2), 7, buf);
    rig_in(&r, 0, CX_CON, CX_POST, 1, "t", &opt, 1, NULL, 0);
    ck_assert_uint_eq(rig_out(&r, 0).code, CX_BAD_REQUEST);
    ck_assert_uint_eq(r.n_requests, 0);
}
END_TEST

/* ---- limits and life ---- */

START_TEST(more_pending_requests_than_the_limit_get_503)
{
    for (uint16_t i = 0; i < 8; i++) {
        post(i, "tok", "x");
    }
    rig_quiet(&r);
    post(8, "tok", "x");
    ck_assert_uint_eq(rig_out(&r, 0).code, CX_UNAVAILABLE);
    ck_assert_uint_eq(r.n_requests, 8);
    ck_assert_uint_eq(r.stats.exchanges, 8);
    struct cx_opt path = rig_text(CX_OPT_URI_PATH, "rd");
    rig_in(&r, 1, CX_CON, CX_POST, 1, "t", &path, 1, NULL, 0); /* another peer has its own */
    rig_quiet(&r);
    ck_assert_uint_eq(r.n_requests, 9);
    cx_msg_peer_fini(r.m, &r.peers[0], DR_ERR_GONE);
    cx_msg_peer_init(r.m, &r.peers[0]);
    ck_assert_uint_eq(r.stats.exchanges, 1);
}
END_TEST

START_TEST(a_peer_may_end_inside_its_own_request)
{
    r.end_peer = true;
    post(1, "tok", "x");
    rig_quiet(&r);
    ck_assert_int_eq(cx_msg_answer(r.m, r.last->x, &changed, r.now_ms), DR_ERR_NOT_FOUND);
    ck_assert_uint_eq(r.stats.exchanges, 0);
    cx_msg_peer_init(r.m, &r.peers[0]);
}
END_TEST

START_TEST(an_answer_to_a_peer_that_has_gone_is_not_found)
{
    post(1, "tok", "x");
    cx_msg_peer_fini(r.m, &r.peers[0], DR_ERR_GONE);
    ck_assert_int_eq(cx_msg_answer(r.m, r.last->x, &changed, r.now_ms), DR_ERR_NOT_FOUND);
    cx_msg_peer_init(r.m, &r.peers[0]);
    rig_pass(&r, 10000);
}
END_TEST

START_TEST(an_idle_peer_takes_sixteen_bytes)
{
    ck_assert_uint_le(sizeof(struct cx_mpeer), 16);
}
END_TEST

START_TEST(options_that_no_message_can_hold_become_500)
{
    static uint8_t value[255];
    struct cx_opt opts[6];
    for (int i = 0; i < 6; i++) {
        opts[i] = (struct cx_opt){CX_OPT_LOCATION_PATH, 255, value};
    }
    struct cx_reply reply = {.code = CX_CREATED, .opts = opts, .n_opts = 6};
    r.auto_reply = &reply;
    post(1, "tok", "x");
    ck_assert_uint_eq(rig_out(&r, 0).code, CX_SERVER_ERROR);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("coap/exchange");
    TCase *tc = tcase_create("answers");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, an_answer_inside_the_callback_rides_on_the_ack);
    tcase_add_test(tc, an_answer_within_a_second_still_rides_on_the_ack);
    tcase_add_test(tc, a_second_answer_is_not_found);
    tcase_add_test(tc, a_non_is_answered_by_a_non_of_our_own_id);
    tcase_add_test(tc, nothing_is_remembered_of_a_non_that_waits_but_it_is_answered);
    tcase_add_test(tc, after_a_second_an_empty_ack_and_later_a_con);
    tcase_add_test(tc, an_ack_asked_for_goes_out_at_once);
    tcase_add_test(tc, an_ack_asked_for_keeps_the_body_readable);
    tcase_add_test(tc, a_non_gets_no_ack);
    tcase_add_test(tc, a_separate_answer_is_repeated_four_times_then_given_up);
    tcase_add_test(tc, a_reset_ends_a_separate_answer);
    tcase_add_test(tc, a_duplicate_after_the_empty_ack_gets_another_one);
    tcase_add_test(tc, options_that_no_message_can_hold_become_500);
    suite_add_tcase(s, tc);
    TCase *dup = tcase_create("duplicates");
    tcase_add_checked_fixture(dup, set_up, tear_down);
    tcase_add_test(dup, a_duplicate_gets_the_same_bytes);
    tcase_add_test(dup, a_long_answer_is_stored_beside_the_ring);
    tcase_add_test(dup, stored_answers_stop_at_their_limit_and_a_duplicate_then_meets_silence);
    tcase_add_test(dup, a_peer_cannot_pile_up_stored_answers);
    tcase_add_test(dup, a_large_answer_to_a_get_is_made_again);
    tcase_add_test(dup, while_the_answer_is_pending_a_duplicate_is_dropped);
    tcase_add_test(dup, a_rebooted_device_that_uses_an_id_again_is_heard);
    tcase_add_test(dup, the_same_message_of_another_peer_is_no_duplicate);
    tcase_add_test(dup, a_forgotten_request_is_new_when_it_comes_again);
    tcase_add_test(dup, an_answer_that_cannot_be_sent_is_given_to_the_duplicate);
    suite_add_tcase(s, dup);
    TCase *bad = tcase_create("rejected");
    tcase_add_checked_fixture(bad, set_up, tear_down);
    tcase_add_test(bad, a_ping_is_reset);
    tcase_add_loop_test(bad, what_is_no_message_gets_a_reset_if_it_is_a_con, 0,
                        (int)DR_ARRAY_LEN(rejects));
    tcase_add_test(bad, a_bad_critical_option_is_402_in_a_con_and_silence_in_a_non);
    tcase_add_loop_test(bad, a_reserved_block_size_is_400, 0, 2);
    suite_add_tcase(s, bad);
    TCase *life = tcase_create("limits and life");
    tcase_add_checked_fixture(life, set_up, tear_down);
    tcase_add_test(life, more_pending_requests_than_the_limit_get_503);
    tcase_add_test(life, a_peer_may_end_inside_its_own_request);
    tcase_add_test(life, an_answer_to_a_peer_that_has_gone_is_not_found);
    tcase_add_test(life, an_idle_peer_takes_sixteen_bytes);
    suite_add_tcase(s, life);

    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed;
}
