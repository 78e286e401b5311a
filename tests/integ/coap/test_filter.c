/* SPDX-License-Identifier: Apache-2.0 */
/* Two engines with a bad wire between them. */
#include "tests/integ/coap/rig.h"
#include "tests/unit/run.h"

static struct rig r;

struct wire {
    enum cx_verdict out, in; /* of the next `count` datagrams */
    unsigned count, asked;
};

static enum cx_verdict verdict(void *data, bool out, const uint8_t *bytes, size_t len)
{
    struct wire *w = data;

    ck_assert_ptr_nonnull(bytes);
    ck_assert_uint_gt(len, 0);
    w->asked++;
    if (w->count == 0) {
        return CX_PASS;
    }
    w->count--;
    return out ? w->out : w->in;
}

static void begin(void)
{
    rig_init(&r, NULL, NULL);
}

static void end(void)
{
    rig_fini(&r);
}

static struct rig_call *ask(const char *identity, struct wire *w)
{
    cx_peer_t peer = rig_connect(&r, 1, identity);

    ck_assert_int_eq(cx_engine_set_filter(r.client.engine, verdict, w), DR_OK);
    return rig_call(&r, r.client.engine, peer, CX_POST, "echo", "hello", 5);
}

START_TEST(a_dropped_request_is_sent_again)
{
    struct wire w = {.out = CX_DROP, .count = 1};
    struct rig_call *c = ask(_i == 0 ? NULL : "dev-1", &w);

    ck_assert_int_eq(c->err, DR_OK);
    ck_assert_uint_eq(rig_stats(r.client.engine).retransmissions, 1);
    ck_assert_uint_eq(r.server.requests, 1);
}
END_TEST

START_TEST(a_dropped_answer_is_given_again_without_a_second_request)
{
    struct wire w = {.out = CX_PASS, .in = CX_DROP, .count = 2};
    struct rig_call *c = ask(_i == 0 ? NULL : "dev-1", &w);

    ck_assert_int_eq(c->err, DR_OK);
    ck_assert_uint_eq(r.server.requests, 1);
}
END_TEST

START_TEST(a_doubled_request_is_served_once)
{
    struct wire w = {.out = CX_DUPLICATE, .count = 1};
    struct rig_call *c = ask(_i == 0 ? NULL : "dev-1", &w);

    ck_assert_int_eq(c->err, DR_OK);
    rig_pause(&r, 3 * CX_HOLD_MS);
    struct cx_stats s = rig_stats(r.server.engine);
    ck_assert_uint_eq(r.server.requests, 1);
    ck_assert_uint_eq(s.duplicates + s.replays, 1); /* a doubled record does not reach CoAP */
}
END_TEST

START_TEST(a_held_request_comes_later)
{
    struct wire w = {.out = CX_HOLD, .count = 1};
    uint64_t from = dr_mono_ms();
    struct rig_call *c = ask(_i == 0 ? NULL : "dev-1", &w);

    ck_assert_int_eq(c->err, DR_OK);
    ck_assert_uint_ge(dr_mono_ms() - from, CX_HOLD_MS - 2);
    ck_assert_uint_eq(rig_stats(r.client.engine).retransmissions, 0);
}
END_TEST

START_TEST(a_held_answer_comes_later)
{
    struct wire w = {.out = CX_PASS, .in = CX_HOLD, .count = 2};
    struct rig_call *c = ask(_i == 0 ? NULL : "dev-1", &w);

    ck_assert_int_eq(c->err, DR_OK);
    ck_assert_uint_eq(rig_stats(r.client.engine).retransmissions, 0);
}
END_TEST

START_TEST(without_a_filter_nobody_is_asked)
{
    struct wire w = {0};
    struct rig_call *c = ask(NULL, &w);
    unsigned asked = w.asked;

    ck_assert_int_eq(c->err, DR_OK);
    ck_assert_uint_eq(asked, 2);
    ck_assert_int_eq(cx_engine_set_filter(r.client.engine, NULL, NULL), DR_OK);
    c = rig_call(&r, r.client.engine, c->call.peer, CX_POST, "echo", "hello", 5);
    ck_assert_int_eq(c->err, DR_OK);
    ck_assert_uint_eq(w.asked, asked);
}
END_TEST

START_TEST(what_is_held_at_the_end_is_freed)
{
    struct wire w = {.out = CX_HOLD, .count = 1};
    cx_peer_t peer = rig_connect(&r, 1, "dev-1");

    ck_assert_int_eq(cx_engine_set_filter(r.client.engine, verdict, &w), DR_OK);
    struct rig_call *c =
        rig_call_start(r.client.engine, &r.calls[0], peer, CX_POST, "echo", "hello", 5);
    rig_close(&r.client);
    ck_assert_int_eq(c->err, DR_ERR_CANCELED);
}
END_TEST

START_TEST(an_abandoned_peer_tells_the_server_nothing)
{
    cx_peer_t peer = rig_connect(&r, 1, "dev-1");

    cx_peer_abandon(r.client.engine, peer);
    RIG_UNTIL(&r, r.client.gone == 1);
    rig_pause(&r, 50);
    ck_assert_uint_eq(r.server.gone, 0);
    (void)rig_connect(&r, 1, "dev-1"); /* the same address may come again */
    RIG_UNTIL(&r, r.server.gone == 1);
    ck_assert_int_eq(r.server.gone_why, CX_GONE_REPLACED);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("filter");
    TCase *tc = add_case(s, "wire");

    tcase_add_checked_fixture(tc, begin, end);
    tcase_add_loop_test(tc, a_dropped_request_is_sent_again, 0, 2);
    tcase_add_loop_test(tc, a_dropped_answer_is_given_again_without_a_second_request, 0, 2);
    tcase_add_loop_test(tc, a_doubled_request_is_served_once, 0, 2);
    tcase_add_loop_test(tc, a_held_request_comes_later, 0, 2);
    tcase_add_loop_test(tc, a_held_answer_comes_later, 0, 2);
    tcase_add_test(tc, without_a_filter_nobody_is_asked);
    tcase_add_test(tc, what_is_held_at_the_end_is_freed);
    tcase_add_test(tc, an_abandoned_peer_tells_the_server_nothing);
    return run_suite(s);
}
