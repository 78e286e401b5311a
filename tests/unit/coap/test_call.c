/* SPDX-License-Identifier: Apache-2.0 */
/* Client role of the message layer: our requests and notifications. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/coap/rig.h"

static struct rig r;
static struct rig_call a, b, c;

static void set_up(void)
{
    rig_init(&r, NULL);
    rig_call_init(&a, CX_GET, "a", NULL, 0);
    rig_call_init(&b, CX_PUT, "b", "hello", 5);
    rig_call_init(&c, CX_POST, "c", NULL, 0);
}

static void tear_down(void)
{
    rig_quiet(&r);
    rig_fini(&r);
}

static void respond(uint8_t type, uint8_t code, uint16_t mid, const struct cx_pdu *req,
                    const char *payload)
{
    char token[CX_TOKEN_MAX + 1] = "";
    memcpy(token, req->token, req->token_len);
    struct cx_pdu copy = *req;
    uint8_t buf[256];
    struct dr_wr wr = dr_wr_of(buf, sizeof buf);
    ck_assert_int_eq(cx_pdu_encode(&wr, type, code, mid, copy.token, copy.token_len, NULL, 0,
                                   (const uint8_t *)payload, strlen(payload)),
                     DR_OK);
    cx_msg_input(r.m, &r.peers[0], buf, dr_wr_len(&wr), r.now_ms);
}

static void done_ok(const struct rig_call *call, uint8_t code, const char *payload)
{
    ck_assert_uint_eq(call->done, 1);
    ck_assert_int_eq(call->err, DR_OK);
    ck_assert_uint_eq(call->pdu.code, code);
    ck_assert_uint_eq(call->len, strlen(payload));
    ck_assert_mem_eq(call->body, payload, call->len);
}

static void done_err(const struct rig_call *call, dr_err_t err)
{
    ck_assert_uint_eq(call->done, 1);
    ck_assert_int_eq(call->err, err);
}

/* ---- answers ---- */

START_TEST(a_call_is_a_con_with_a_token_of_eight_bytes)
{
    rig_start(&r, 0, &a);
    struct cx_pdu req = rig_out(&r, 0);
    ck_assert_uint_eq(req.type, CX_CON);
    ck_assert_uint_eq(req.code, CX_GET);
    ck_assert_uint_eq(req.token_len, 8);
    ck_assert_mem_eq(req.token, a.call.token, 8);
    respond(CX_ACK, CX_CONTENT, req.mid, &req, "value");
    done_ok(&a, CX_CONTENT, "value");
    ck_assert(!cx_msg_peer_busy(&r.peers[0]));
}
END_TEST

START_TEST(an_error_of_the_peer_is_an_answer)
{
    rig_start(&r, 0, &a);
    struct cx_pdu req = rig_out(&r, 0);
    respond(CX_ACK, CX_NOT_FOUND, req.mid, &req, "");
    done_ok(&a, CX_NOT_FOUND, "");
}
END_TEST

START_TEST(a_separate_response_is_acknowledged_and_its_duplicate_too)
{
    rig_start(&r, 0, &a);
    struct cx_pdu req = rig_out(&r, 0);
    rig_in_hex(&r, 0, "60 00 ff ff"); /* for something else */
    respond(CX_ACK, CX_EMPTY, req.mid, &(struct cx_pdu){0}, "");
    rig_pass(&r, 60000);
    rig_quiet(&r); /* no retransmission behind the ACK */
    respond(CX_CON, CX_CONTENT, 999, &req, "late");
    struct cx_pdu ack = rig_out(&r, 0);
    ck_assert_uint_eq(ack.type, CX_ACK);
    ck_assert_uint_eq(ack.mid, 999);
    done_ok(&a, CX_CONTENT, "late");
    respond(CX_CON, CX_CONTENT, 999, &req, "late");
    ck_assert_uint_eq(rig_out(&r, 0).type, CX_ACK);
    ck_assert_uint_eq(r.n_notified, 0);
}
END_TEST

START_TEST(pelions_long_empty_ack_counts)
{
    rig_start(&r, 0, &c);
    struct cx_pdu req = rig_out(&r, 0);
    char hex[16];
    snprintf(hex, sizeof hex, "6000%04xc0", req.mid);
    rig_in_hex(&r, 0, hex);
    rig_pass(&r, 10000);
    rig_quiet(&r);
    respond(CX_CON, CX_CHANGED, 4, &req, "");
    (void)rig_out(&r, 0);
    done_ok(&c, CX_CHANGED, "");
}
END_TEST

START_TEST(a_response_may_overtake_its_ack)
{
    rig_start(&r, 0, &a);
    struct cx_pdu req = rig_out(&r, 0);
    respond(CX_CON, CX_CONTENT, 999, &req, "fast");
    (void)rig_out(&r, 0);
    done_ok(&a, CX_CONTENT, "fast");
    respond(CX_ACK, CX_EMPTY, req.mid, &(struct cx_pdu){0}, "");
    rig_pass(&r, 100000);
}
END_TEST

START_TEST(an_answer_without_token_is_known_by_its_id)
{
    rig_start(&r, 0, &a);
    struct cx_pdu req = rig_out(&r, 0);
    struct cx_pdu bare = req;
    bare.token_len = 0;
    respond(CX_ACK, CX_CONTENT, (uint16_t)(req.mid + 1), &bare, "no");
    ck_assert_uint_eq(a.done, 0);
    respond(CX_ACK, CX_CONTENT, req.mid, &bare, "</1>");
    done_ok(&a, CX_CONTENT, "</1>");
}
END_TEST

START_TEST(an_ack_with_another_token_or_id_is_not_ours)
{
    rig_start(&r, 0, &a);
    struct cx_pdu req = rig_out(&r, 0);
    struct cx_pdu other = req;
    other.token[7] ^= 1;
    respond(CX_ACK, CX_CONTENT, req.mid, &other, "no");
    respond(CX_ACK, CX_CONTENT, (uint16_t)(req.mid ^ 1), &req, "no");
    ck_assert_uint_eq(a.done, 0);
    respond(CX_ACK, CX_CONTENT, req.mid, &req, "yes");
    done_ok(&a, CX_CONTENT, "yes");
}
END_TEST

START_TEST(a_non_call_takes_a_non_response)
{
    a.call.non = true;
    rig_start(&r, 0, &a);
    struct cx_pdu req = rig_out(&r, 0);
    ck_assert_uint_eq(req.type, CX_NON);
    respond(CX_NON, CX_CONTENT, 3, &req, "v");
    done_ok(&a, CX_CONTENT, "v");
    respond(CX_NON, CX_CONTENT, 3, &req, "v"); /* duplicate: silence */
}
END_TEST

/* ---- retransmission; spec: RFC7252#4.2 RFC7252#4.8 ---- */

START_TEST(a_con_is_repeated_with_doubling_pauses_and_the_same_bytes)
{
    rig_start(&r, 0, &b);
    struct rig_msg first = *rig_out_raw(&r);
    uint64_t start = r.now_ms, at[5] = {0};
    for (int i = 0; i < 4; i++) {
        while (r.read == r.n_sent) {
            rig_pass(&r, 1);
        }
        at[i] = r.now_ms - start;
        const struct rig_msg *again = rig_out_raw(&r);
        ck_assert_uint_eq(again->len, first.len);
        ck_assert_mem_eq(again->bytes, first.bytes, first.len);
    }
    ck_assert_uint_ge(at[0], 2000);
    ck_assert_uint_le(at[0], 3001);
    for (int i = 1; i < 4; i++) {
        ck_assert_uint_le(llabs((long long)(at[i] - at[i - 1]) - (long long)(at[0] << i)), 8);
    }
    while (b.done == 0) {
        rig_pass(&r, 1);
    }
    ck_assert_uint_le(llabs((long long)(r.now_ms - start) - (long long)(at[0] * 31)), 40);
    done_err(&b, DR_ERR_TIMEOUT);
    ck_assert_uint_eq(r.stats.retransmissions, 4);
    ck_assert_uint_eq(r.stats.call_timeouts, 1);
}
END_TEST

START_TEST(the_random_factor_spreads_the_first_timeout)
{
    uint64_t least = UINT64_MAX, most = 0;
    for (int i = 0; i < 200; i++) {
        rig_call_init(&a, CX_GET, "a", NULL, 0);
        rig_start(&r, 0, &a);
        struct cx_pdu req = rig_out(&r, 0);
        uint64_t start = r.now_ms;
        while (r.read == r.n_sent) {
            rig_pass(&r, 1);
        }
        (void)rig_out_raw(&r);
        uint64_t wait = r.now_ms - start;
        least = wait < least ? wait : least;
        most = wait > most ? wait : most;
        respond(CX_ACK, CX_CONTENT, req.mid, &req, "");
        ck_assert_uint_eq(a.done, 1);
    }
    ck_assert_uint_ge(least, 2000);
    ck_assert_uint_lt(least, 2100);
    ck_assert_uint_gt(most, 2900);
    ck_assert_uint_le(most, 3001);
}
END_TEST

START_TEST(a_profile_sets_the_timing)
{
    static const struct cx_timing slow = {.ack_timeout_ms = 10000,
                                          .random_factor_pct = 100,
                                          .retransmit_max = 1,
                                          .response_timeout_ms = 5000};
    a.call.timing = &slow;
    b.call.timing = &slow;
    rig_start(&r, 0, &a);
    (void)rig_out(&r, 0);
    rig_pass(&r, 9999);
    rig_quiet(&r);
    rig_pass(&r, 1);
    (void)rig_out(&r, 0);
    rig_pass(&r, 20000);
    done_err(&a, DR_ERR_TIMEOUT);
    rig_start(&r, 0, &b);
    struct cx_pdu req = rig_out(&r, 0);
    respond(CX_ACK, CX_EMPTY, req.mid, &(struct cx_pdu){0}, "");
    rig_pass(&r, 4999);
    ck_assert_uint_eq(b.done, 0);
    rig_pass(&r, 1);
    done_err(&b, DR_ERR_TIMEOUT);
}
END_TEST

START_TEST(a_message_that_cannot_be_sent_is_sent_by_its_timer)
{
    r.blocked = true;
    rig_start(&r, 0, &a);
    rig_quiet(&r);
    r.blocked = false;
    rig_pass(&r, 3001);
    struct cx_pdu req = rig_out(&r, 0);
    respond(CX_ACK, CX_CONTENT, req.mid, &req, "");
    done_ok(&a, CX_CONTENT, "");
}
END_TEST

START_TEST(a_reset_ends_the_call)
{
    rig_start(&r, 0, &a);
    struct cx_pdu req = rig_out(&r, 0);
    respond(CX_RST, CX_EMPTY, req.mid, &(struct cx_pdu){0}, "");
    done_err(&a, DR_ERR_RESET);
}
END_TEST

START_TEST(a_bad_critical_option_in_a_response_rejects_it)
{
    rig_start(&r, 0, &a);
    struct cx_pdu req = rig_out(&r, 0);
    uint8_t msg[64] = {0x48, CX_CONTENT, 0, 9};
    memcpy(msg + 4, req.token, 8);
    msg[12] = 0xd0;
    msg[13] = 0;
    cx_msg_input(r.m, &r.peers[0], msg, 14, r.now_ms);
    ck_assert_uint_eq(rig_out(&r, 0).type, CX_RST);
    done_err(&a, DR_ERR_PROTO);
    cx_msg_input(r.m, &r.peers[0], msg, 14, r.now_ms);
    ck_assert_uint_eq(rig_out(&r, 0).type, CX_RST);
}
END_TEST

/* ---- the queue ---- */

START_TEST(one_call_of_a_peer_is_in_flight_and_the_others_follow_in_order)
{
    struct rig_call *calls[] = {&a, &b, &c};
    for (int i = 0; i < 3; i++) {
        rig_start(&r, 0, calls[i]);
    }
    for (int i = 0; i < 3; i++) {
        struct cx_pdu req = rig_out(&r, 0);
        rig_quiet(&r);
        ck_assert_mem_eq(req.token, calls[i]->call.token, 8);
        respond(CX_ACK, CX_CHANGED, req.mid, &req, "");
        ck_assert_uint_eq(calls[i]->done, 1);
    }
}
END_TEST

START_TEST(a_timeout_lets_the_next_call_go)
{
    rig_start(&r, 0, &a);
    rig_start(&r, 0, &b);
    for (int i = 0; i < 5; i++) {
        (void)rig_out(&r, 0);
        while (r.read == r.n_sent) {
            rig_pass(&r, 10);
        }
    }
    done_err(&a, DR_ERR_TIMEOUT);
    struct cx_pdu req = rig_out(&r, 0);
    respond(CX_ACK, CX_CHANGED, req.mid, &req, "");
    done_ok(&b, CX_CHANGED, "");
}
END_TEST

START_TEST(a_request_of_the_peer_does_not_wait_for_ours)
{
    struct cx_opt path = rig_text(CX_OPT_URI_PATH, "rd");
    static const struct cx_reply changed = {.code = CX_CHANGED};
    r.auto_reply = &changed;
    rig_start(&r, 0, &a);
    struct cx_pdu req = rig_out(&r, 0);
    rig_in(&r, 0, CX_CON, CX_POST, 1, "t", &path, 1, NULL, 0);
    ck_assert_uint_eq(rig_out(&r, 0).code, CX_CHANGED);
    respond(CX_ACK, CX_CONTENT, req.mid, &req, "");
    done_ok(&a, CX_CONTENT, "");
}
END_TEST

START_TEST(a_callback_may_start_another_call)
{
    a.then = &b;
    rig_start(&r, 0, &a);
    struct cx_pdu req = rig_out(&r, 0);
    respond(CX_ACK, CX_CONTENT, req.mid, &req, "");
    ck_assert_uint_eq(a.done, 1);
    req = rig_out(&r, 0);
    ck_assert_uint_eq(req.code, CX_PUT);
    respond(CX_ACK, CX_CHANGED, req.mid, &req, "");
    done_ok(&b, CX_CHANGED, "");
}
END_TEST

START_TEST(calls_over_the_limit_are_refused_and_never_complete)
{
    static struct rig_call many[65];
    for (int i = 0; i < 65; i++) {
        rig_call_init(&many[i], CX_GET, "m", NULL, 0);
    }
    for (int i = 0; i < 64; i++) {
        rig_start(&r, 0, &many[i]);
    }
    (void)rig_out(&r, 0);
    ck_assert_int_eq(cx_msg_call_start(r.m, &r.peers[0], &many[64].call, r.now_ms), DR_ERR_LIMIT);
    rig_start(&r, 1, &a); /* another peer has its own queue */
    (void)rig_out(&r, 1);
    cx_msg_peer_fini(r.m, &r.peers[0], DR_ERR_GONE);
    rig_pass(&r, 0);
    for (int i = 0; i < 64; i++) {
        done_err(&many[i], DR_ERR_GONE);
    }
    ck_assert_uint_eq(many[64].done, 0);
    cx_msg_peer_init(r.m, &r.peers[0]);
}
END_TEST

/* ---- ending ---- */

START_TEST(cancelling_completes_later)
{
    rig_start(&r, 0, &a);
    rig_start(&r, 0, &b);
    rig_start(&r, 0, &c);
    struct cx_pdu req = rig_out(&r, 0);
    cx_msg_call_cancel(r.m, &b.call); /* waiting */
    ck_assert_uint_eq(b.done, 0);
    cx_msg_call_cancel(r.m, &a.call); /* in flight: the next one goes */
    ck_assert_uint_eq(a.done, 0);
    cx_msg_call_cancel(r.m, &a.call);
    struct cx_pdu next = rig_out(&r, 0);
    ck_assert_uint_eq(next.code, CX_POST);
    ck_assert_uint_eq(cx_msg_deadline(r.m), 0);
    rig_pass(&r, 0);
    done_err(&a, DR_ERR_CANCELED);
    done_err(&b, DR_ERR_CANCELED);
    r.refuse = true;
    respond(CX_CON, CX_CONTENT, 77, &req, "late"); /* nobody waits for it any more */
    ck_assert_uint_eq(rig_out(&r, 0).type, CX_RST);
    respond(CX_ACK, CX_CHANGED, next.mid, &next, "");
    done_ok(&c, CX_CHANGED, "");
}
END_TEST

START_TEST(a_peer_that_goes_completes_its_calls_later)
{
    rig_start(&r, 0, &a);
    rig_start(&r, 0, &b);
    (void)rig_out(&r, 0);
    cx_msg_peer_fini(r.m, &r.peers[0], DR_ERR_GONE);
    ck_assert_uint_eq(a.done + b.done, 0);
    cx_msg_peer_init(r.m, &r.peers[0]);
    rig_pass(&r, 0);
    done_err(&a, DR_ERR_GONE);
    done_err(&b, DR_ERR_GONE);
}
END_TEST

START_TEST(moved_calls_complete_and_the_peer_stays)
{
    rig_start(&r, 0, &a);
    rig_start(&r, 0, &b);
    (void)rig_out(&r, 0);
    cx_msg_calls_moved(r.m, &r.peers[0]);
    rig_pass(&r, 0);
    done_err(&a, DR_ERR_MOVED);
    done_err(&b, DR_ERR_MOVED);
    rig_start(&r, 0, &c);
    struct cx_pdu req = rig_out(&r, 0);
    respond(CX_ACK, CX_CHANGED, req.mid, &req, "");
    done_ok(&c, CX_CHANGED, "");
}
END_TEST

START_TEST(options_that_leave_no_room_complete_as_too_large)
{
    static uint8_t value[255];
    for (int i = 1; i < 6; i++) {
        a.opts[i] = (struct cx_opt){CX_OPT_URI_QUERY, 255, value};
    }
    a.call.n_opts = 6;
    rig_start(&r, 0, &a);
    rig_start(&r, 0, &b);
    struct cx_pdu req = rig_out(&r, 0);
    ck_assert_uint_eq(req.code, CX_PUT);
    rig_pass(&r, 0);
    done_err(&a, DR_ERR_TOO_LARGE);
    respond(CX_ACK, CX_CHANGED, req.mid, &req, "");
    done_ok(&b, CX_CHANGED, "");
}
END_TEST

START_TEST(ids_and_tokens_do_not_come_again_soon)
{
    static uint8_t used[65536];
    uint64_t last = 0;
    for (int i = 0; i < 65536; i++) {
        rig_call_init(&a, CX_GET, "a", NULL, 0);
        rig_start(&r, 0, &a);
        struct cx_pdu req = rig_out(&r, 0);
        if (used[req.mid]++ != 0) {
            ck_abort_msg("id %u again after %d", req.mid, i);
        }
        uint64_t token;
        memcpy(&token, req.token, sizeof token);
        if (token == last || req.token_len != 8) {
            ck_abort_msg("token again");
        }
        last = token;
        respond(CX_ACK, CX_CONTENT, req.mid, &req, "");
    }
}
END_TEST

/* ---- Echo; spec: RFC9175#2.3 ---- */

START_TEST(a_401_with_echo_is_answered_by_the_request_with_it)
{
    rig_start(&r, 0, &b);
    struct cx_pdu req = rig_out(&r, 0);
    struct cx_opt echo = rig_text(CX_OPT_ECHO, "fresh");
    uint8_t buf[64];
    struct dr_wr wr = dr_wr_of(buf, sizeof buf);
    ck_assert_int_eq(
        cx_pdu_encode(&wr, CX_ACK, CX_UNAUTHORIZED, req.mid, req.token, 8, &echo, 1, NULL, 0),
        DR_OK);
    cx_msg_input(r.m, &r.peers[0], buf, dr_wr_len(&wr), r.now_ms);
    ck_assert_uint_eq(b.done, 0);
    struct cx_pdu again = rig_out(&r, 0);
    struct cx_opt got;
    ck_assert_uint_ne(again.mid, req.mid);
    ck_assert_uint_eq(again.payload_len, 5);
    ck_assert(cx_opt_find(&again, CX_OPT_ECHO, &got));
    ck_assert_uint_eq(got.len, 5);
    ck_assert_mem_eq(got.val, "fresh", 5);
    /* a second challenge is the answer */
    wr = dr_wr_of(buf, sizeof buf);
    ck_assert_int_eq(
        cx_pdu_encode(&wr, CX_ACK, CX_UNAUTHORIZED, again.mid, req.token, 8, &echo, 1, NULL, 0),
        DR_OK);
    cx_msg_input(r.m, &r.peers[0], buf, dr_wr_len(&wr), r.now_ms);
    done_ok(&b, CX_UNAUTHORIZED, "");
}
END_TEST

/* ---- observations; spec: RFC7641 ---- */

static void notification(uint8_t type, uint16_t mid, uint32_t seq, const char *payload)
{
    uint8_t buf[4];
    struct cx_opt observe = cx_opt_uint(CX_OPT_OBSERVE, seq, buf);
    rig_in(&r, 0, type, CX_CONTENT, mid, "ob", &observe, 1, payload, strlen(payload));
}

START_TEST(a_notification_is_acknowledged_when_taken_and_reset_when_not)
{
    notification(CX_CON, 1, 5, "v");
    ck_assert_uint_eq(rig_out(&r, 0).type, CX_ACK);
    ck_assert_uint_eq(r.n_notified, 1);
    ck_assert_int_eq(r.notified->pdu.observe, 5);
    notification(CX_CON, 1, 5, "v");
    ck_assert_uint_eq(rig_out(&r, 0).type, CX_ACK);
    ck_assert_uint_eq(r.n_notified, 1);
    notification(CX_NON, 2, 6, "w");
    rig_quiet(&r);
    ck_assert_uint_eq(r.n_notified, 2);
    r.refuse = true;
    notification(CX_CON, 3, 7, "x");
    ck_assert_uint_eq(rig_out(&r, 0).type, CX_RST);
    notification(CX_CON, 3, 7, "x");
    ck_assert_uint_eq(rig_out(&r, 0).type, CX_RST);
    ck_assert_uint_eq(r.n_notified, 3);
}
END_TEST

START_TEST(a_notification_that_crosses_a_cancellation_is_not_its_answer)
{
    uint8_t buf[4];
    a.opts[1] = cx_opt_uint(CX_OPT_OBSERVE, 1, buf);
    a.call.n_opts = 2;
    a.call.token_len = 2;
    memcpy(a.call.token, "ob", 2);
    rig_start(&r, 0, &a);
    struct cx_pdu req = rig_out(&r, 0);
    ck_assert_uint_eq(req.token_len, 2);
    notification(CX_CON, 9, 6, "crossing");
    (void)rig_out(&r, 0);
    ck_assert_uint_eq(a.done, 0);
    ck_assert_uint_eq(r.n_notified, 1);
    respond(CX_ACK, CX_CONTENT, req.mid, &req, "last");
    done_ok(&a, CX_CONTENT, "last");
}
END_TEST

START_TEST(our_notification_completes_when_acknowledged)
{
    uint8_t buf[4];
    rig_call_init(&a, CX_CONTENT, "res", "v", 1);
    a.opts[1] = cx_opt_uint(CX_OPT_OBSERVE, 12, buf);
    a.call.n_opts = 2;
    a.call.token_len = 2;
    memcpy(a.call.token, "ob", 2);
    rig_start(&r, 0, &a);
    struct cx_pdu out = rig_out(&r, 0);
    struct cx_opt path;
    ck_assert_uint_eq(out.type, CX_CON);
    ck_assert_uint_eq(out.code, CX_CONTENT);
    ck_assert_int_eq(out.observe, 12);
    ck_assert(!cx_opt_find(&out, CX_OPT_URI_PATH, &path));
    respond(CX_ACK, CX_EMPTY, out.mid, &(struct cx_pdu){0}, "");
    done_ok(&a, CX_EMPTY, "");
}
END_TEST

START_TEST(our_notification_may_be_reset_time_out_or_be_a_non)
{
    rig_call_init(&a, CX_CONTENT, "res", "v", 1);
    rig_call_init(&b, CX_CONTENT, "res", "v", 1);
    rig_call_init(&c, CX_CONTENT, "res", "v", 1);
    c.call.non = true;
    rig_start(&r, 0, &a);
    struct cx_pdu out = rig_out(&r, 0);
    respond(CX_RST, CX_EMPTY, out.mid, &(struct cx_pdu){0}, "");
    done_err(&a, DR_ERR_RESET);
    rig_start(&r, 0, &b);
    rig_pass(&r, 100000);
    for (int i = 0; i < 5; i++) {
        (void)rig_out(&r, 0);
    }
    done_err(&b, DR_ERR_TIMEOUT);
    rig_start(&r, 0, &c);
    ck_assert_uint_eq(rig_out(&r, 0).type, CX_NON);
    ck_assert_uint_eq(c.done, 0);
    rig_pass(&r, 1);
    done_ok(&c, CX_EMPTY, "");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("coap/call");
    TCase *tc = tcase_create("answers");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, a_call_is_a_con_with_a_token_of_eight_bytes);
    tcase_add_test(tc, an_error_of_the_peer_is_an_answer);
    tcase_add_test(tc, a_separate_response_is_acknowledged_and_its_duplicate_too);
    tcase_add_test(tc, pelions_long_empty_ack_counts);
    tcase_add_test(tc, a_response_may_overtake_its_ack);
    tcase_add_test(tc, an_answer_without_token_is_known_by_its_id);
    tcase_add_test(tc, an_ack_with_another_token_or_id_is_not_ours);
    tcase_add_test(tc, a_non_call_takes_a_non_response);
    suite_add_tcase(s, tc);
    TCase *again = tcase_create("retransmission");
    tcase_add_checked_fixture(again, set_up, tear_down);
    tcase_add_test(again, a_con_is_repeated_with_doubling_pauses_and_the_same_bytes);
    tcase_add_test(again, the_random_factor_spreads_the_first_timeout);
    tcase_add_test(again, a_profile_sets_the_timing);
    tcase_add_test(again, a_message_that_cannot_be_sent_is_sent_by_its_timer);
    tcase_add_test(again, a_reset_ends_the_call);
    tcase_add_test(again, a_bad_critical_option_in_a_response_rejects_it);
    suite_add_tcase(s, again);
    TCase *queue = tcase_create("queue");
    tcase_add_checked_fixture(queue, set_up, tear_down);
    tcase_set_timeout(queue, 60);
    tcase_add_test(queue, one_call_of_a_peer_is_in_flight_and_the_others_follow_in_order);
    tcase_add_test(queue, a_timeout_lets_the_next_call_go);
    tcase_add_test(queue, a_request_of_the_peer_does_not_wait_for_ours);
    tcase_add_test(queue, a_callback_may_start_another_call);
    tcase_add_test(queue, calls_over_the_limit_are_refused_and_never_complete);
    tcase_add_test(queue, cancelling_completes_later);
    tcase_add_test(queue, a_peer_that_goes_completes_its_calls_later);
    tcase_add_test(queue, moved_calls_complete_and_the_peer_stays);
    tcase_add_test(queue, options_that_leave_no_room_complete_as_too_large);
    tcase_add_test(queue, ids_and_tokens_do_not_come_again_soon);
    suite_add_tcase(s, queue);
    TCase *observe = tcase_create("observe and echo");
    tcase_add_checked_fixture(observe, set_up, tear_down);
    tcase_add_test(observe, a_401_with_echo_is_answered_by_the_request_with_it);
    tcase_add_test(observe, a_notification_is_acknowledged_when_taken_and_reset_when_not);
    tcase_add_test(observe, a_notification_that_crosses_a_cancellation_is_not_its_answer);
    tcase_add_test(observe, our_notification_completes_when_acknowledged);
    tcase_add_test(observe, our_notification_may_be_reset_time_out_or_be_a_non);
    suite_add_tcase(s, observe);

    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed;
}
