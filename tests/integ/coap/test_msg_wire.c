/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Thousands of exchanges of every kind between two message layers over a bad wire. What must hold:
 * every call completes once; an answer is the right one, whole; a request that changes something is
 * handed over at most once. spec: RFC7252#4.2 RFC7252#4.5 RFC7252#5.2 RFC7641 RFC7959
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integ/coap/wire.h"

#define BODY_MAX 6000

enum kind { SMALL, LATE, BIG_ANSWER, BIG_BODY, BOTH, FETCH, FORGOTTEN, NON_SMALL, KINDS };

/* How often each request number was handed over to its server, and how it ended. */
struct tally {
    bool changes;
    uint8_t seen, done;
    dr_err_t err;
};

struct waiting {
    struct waiting *next;
    uint64_t at_ms;
    struct wire_end *e;
    cx_exchange_t x;
    uint32_t number;
    enum kind kind;
};

struct test {
    struct wire wire;
    struct tally *tally;
    uint32_t total, started, completed, ok, canceled, incomplete;
    struct waiting *waiting;
    unsigned peers;
    bool cancels;
    bool wild; /* delays of seconds */
};

struct job {
    struct cx_call call;
    struct test *t;
    unsigned side;
    uint32_t number;
    enum kind kind;
    struct cx_opt opts[3];
    char query[24];
    uint8_t accept[4];
    uint8_t *body;
};

static size_t size_of(uint32_t number, uint32_t salt)
{
    return (number * 2654435761u + salt * 40503u) % BODY_MAX + 1;
}

static void body_fill(uint8_t *p, size_t len, uint32_t number)
{
    for (size_t k = 0; k < len; k++) {
        p[k] = (uint8_t)(number * 31 + k * 7 + (k >> 8));
    }
}

static bool body_is(const uint8_t *p, size_t len, uint32_t number)
{
    for (size_t k = 0; k < len; k++) {
        if (p[k] != (uint8_t)(number * 31 + k * 7 + (k >> 8))) {
            return false;
        }
    }
    return true;
}

static bool big_request(enum kind kind)
{
    return kind == BIG_BODY || kind == BOTH;
}

static bool big_answer(enum kind kind)
{
    return kind == BIG_ANSWER || kind == BOTH || kind == FETCH;
}

static uint8_t code_of(enum kind kind)
{
    switch (kind) {
    case BIG_ANSWER:
        return CX_GET;
    case FETCH:
        return CX_FETCH;
    case BIG_BODY:
        return CX_PUT;
    default:
        return CX_POST;
    }
}

/* ---- server ---- */

static void answer(struct wire_end *e, cx_exchange_t x, enum kind kind, uint32_t number)
{
    static uint8_t body[BODY_MAX];
    struct cx_reply reply = {.code = CX_CHANGED};
    if (big_answer(kind)) {
        reply.code = CX_CONTENT;
        reply.payload_len = size_of(number, 1);
        body_fill(body, reply.payload_len, number + 1);
        reply.payload = body;
    }
    dr_err_t err = cx_msg_answer(e->m, x, &reply, e->wire->now_ms);
    ck_assert_int_eq(err, DR_OK);
    err = cx_msg_answer(e->m, x, &reply, e->wire->now_ms);
    ck_assert_int_eq(err, DR_ERR_NOT_FOUND);
}

static void app_run(struct wire *w)
{
    struct test *t = w->data;
    struct waiting **at = &t->waiting;
    uint64_t next = UINT64_MAX;
    while (*at != NULL) {
        struct waiting *one = *at;
        if (one->at_ms <= w->now_ms) {
            *at = one->next;
            answer(one->e, one->x, one->kind, one->number);
            free(one);
        } else {
            next = one->at_ms < next ? one->at_ms : next;
            at = &one->next;
        }
    }
    w->app_at_ms = next;
}

static void answer_later(struct wire_end *e, cx_exchange_t x, enum kind kind, uint32_t number)
{
    struct test *t = e->wire->data;
    struct waiting *one = calloc(1, sizeof *one);
    ck_assert_ptr_nonnull(one);
    one->at_ms = e->wire->now_ms + dr_prng_below(&e->wire->rand, 4000);
    one->e = e;
    one->x = x;
    one->kind = kind;
    one->number = number;
    one->next = t->waiting;
    t->waiting = one;
    if (one->at_ms < e->wire->app_at_ms) {
        e->wire->app_at_ms = one->at_ms;
    }
}

static void on_request(struct wire_end *e, unsigned peer, cx_exchange_t x, const struct cx_pdu *pdu)
{
    struct test *t = e->wire->data;
    struct cx_opt query;
    char text[24] = "";
    unsigned number, kind;

    (void)peer;
    ck_assert(cx_opt_find(pdu, CX_OPT_URI_QUERY, &query) && query.len < sizeof text);
    memcpy(text, query.val, query.len);
    ck_assert_int_eq(sscanf(text, "%u.%u", &number, &kind), 2);
    ck_assert_uint_lt(number, t->total);
    ck_assert_uint_eq(pdu->code, code_of(kind));
    if (big_request(kind)) {
        ck_assert_uint_eq(pdu->payload_len, size_of(number, 0));
        ck_assert(body_is(pdu->payload, pdu->payload_len, number));
    }
    t->tally[number].changes = kind != FORGOTTEN && pdu->code != CX_GET && pdu->code != CX_FETCH;
    if (t->tally[number].seen < 255) {
        t->tally[number].seen++;
    }
    if (kind == FORGOTTEN && t->tally[number].seen == 1) {
        cx_msg_forget(e->m, x);
    } else if (kind == LATE || (kind == BOTH && number % 3 == 0)) {
        answer_later(e, x, kind, number);
    } else {
        answer(e, x, kind, number);
    }
}

/* ---- client ---- */

static void job_done(struct cx_call *call, dr_err_t err, const struct cx_pdu *pdu)
{
    struct job *j = call->data;
    struct test *t = j->t;
    struct tally *tally = &t->tally[j->number];

    ck_assert_uint_eq(tally->done, 0);
    tally->done = 1;
    tally->err = err;
    t->completed++;
    ck_assert((pdu != NULL) == (err == DR_OK));
    if (err == DR_OK && t->wild && big_request(j->kind) && pdu->code == CX_INCOMPLETE) {
        t->incomplete++; /* blocks that overtake each other by seconds: the server may give up twice
                          */
    } else if (err == DR_OK) {
        t->ok++;
        ck_assert_uint_ge(tally->seen, 1);
        ck_assert_uint_eq(pdu->code, big_answer(j->kind) ? CX_CONTENT : CX_CHANGED);
        size_t want = big_answer(j->kind) ? size_of(j->number, 1) : 0;
        ck_assert_uint_eq(pdu->payload_len, want);
        ck_assert(body_is(pdu->payload, pdu->payload_len, j->number + 1));
    } else if (err == DR_ERR_CANCELED) {
        t->canceled++;
    } else {
        ck_assert_msg(err == DR_ERR_TIMEOUT || err == DR_ERR_MOVED, "ended by %s",
                      dr_err_name(err));
    }
    free(j->body);
    free(j);
}

static struct cx_opt text_opt(uint16_t num, const char *text)
{
    return (struct cx_opt){num, (uint16_t)strlen(text), (const uint8_t *)text};
}

static struct job *job_start(struct test *t, unsigned side, unsigned peer, enum kind kind)
{
    struct job *j = calloc(1, sizeof *j);
    ck_assert_ptr_nonnull(j);
    j->t = t;
    j->side = side;
    j->number = t->started++;
    j->kind = kind;
    snprintf(j->query, sizeof j->query, "%u.%u", (unsigned)j->number, (unsigned)kind);
    j->opts[0] = text_opt(CX_OPT_URI_QUERY, j->query);
    j->opts[1] = text_opt(CX_OPT_URI_PATH, "t");
    j->opts[2] = cx_opt_uint(CX_OPT_ACCEPT, 42, j->accept);
    j->call.opts = j->opts;
    j->call.n_opts = 3;
    j->call.code = code_of(kind);
    j->call.non = kind == NON_SMALL;
    j->call.cb = job_done;
    j->call.data = j;
    j->call.block_size = (uint16_t)(j->number % 4 == 0 ? 0 : 16u << (j->number % 7));
    if (big_request(kind) || kind == FETCH) {
        j->call.payload_len = big_request(kind) ? size_of(j->number, 0) : 12;
        j->body = malloc(j->call.payload_len);
        ck_assert_ptr_nonnull(j->body);
        body_fill(j->body, j->call.payload_len, j->number);
        j->call.payload = j->body;
    }
    struct wire_end *e = &t->wire.ends[side];
    dr_err_t err = cx_msg_call_start(e->m, &e->peers[peer], &j->call, t->wire.now_ms);
    ck_assert_int_eq(err, DR_OK);
    return j;
}

static void test_init(struct test *t, uint32_t total, const struct wire_faults *faults,
                      uint64_t seed)
{
    *t = (struct test){.total = total, .peers = 8};
    t->tally = calloc(total, sizeof *t->tally);
    ck_assert_ptr_nonnull(t->tally);
    struct cx_limits limits = {.calls_per_peer_max = 100000};
    wire_init(&t->wire, t->peers, faults, &limits, seed);
    t->wire.data = t;
    t->wire.app = app_run;
    t->wire.ends[0].request = on_request;
    t->wire.ends[1].request = on_request;
}

static void test_run(struct test *t)
{
    struct dr_prng *r = &t->wire.rand;
    while (t->completed < t->total) {
        if (t->started < t->total && t->started - t->completed < 64) {
            struct job *j = job_start(t, dr_prng_below(r, 2), dr_prng_below(r, t->peers),
                                      dr_prng_below(r, KINDS));
            if (t->cancels && dr_prng_below(r, 8) == 0) {
                cx_msg_call_cancel(t->wire.ends[j->side].m, &j->call);
            }
            continue;
        }
        ck_assert_msg(wire_step(&t->wire, UINT64_MAX), "nothing happens with %u of %u calls done",
                      t->completed, t->total);
    }
}

static void test_fini(struct test *t)
{
    while (wire_step(&t->wire, t->wire.now_ms + 400000)) {
    }
    ck_assert_ptr_null(t->waiting);
    for (unsigned side = 0; side < 2; side++) {
        for (unsigned i = 0; i < t->peers; i++) {
            ck_assert_msg(!cx_msg_peer_busy(&t->wire.ends[side].peers[i]), "peer %u still busy", i);
        }
    }
    wire_fini(&t->wire, t->peers);
    free(t->tally);
}

/* Of the requests that change something and were answered the first time. */
static uint32_t handed_over_twice(const struct test *t)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->total; i++) {
        n += t->tally[i].changes && t->tally[i].seen > 1 ? 1 : 0;
    }
    return n;
}

START_TEST(on_a_good_wire_every_call_is_answered_with_one_delivery)
{
    struct test t;
    struct wire_faults none = {.delay_min_ms = 5, .delay_max_ms = 5};
    test_init(&t, 3000, &none, (uint64_t)_i + 1);
    test_run(&t);
    ck_assert_uint_eq(t.ok, t.total);
    for (uint32_t i = 0; i < t.total; i++) {
        ck_assert_uint_le(t.tally[i].seen, 2); /* 2: the forgotten ones */
    }
    ck_assert_uint_eq(t.wire.ends[0].stats.malformed + t.wire.ends[1].stats.malformed, 0);
    test_fini(&t);
}
END_TEST

/* A copy comes at most 40 ms after its twin, so the ring has not moved on. */
START_TEST(on_a_bad_wire_what_changes_something_is_handed_over_at_most_once)
{
    struct test t;
    struct wire_faults bad = {.loss = 0.15, .dup = 0.15, .delay_min_ms = 20, .delay_max_ms = 60};
    test_init(&t, 2000, &bad, (uint64_t)_i + 100);
    t.cancels = _i % 2 == 1;
    test_run(&t);
    for (uint32_t i = 0; i < t.total; i++) {
        ck_assert_uint_eq(t.tally[i].done, 1);
    }
    ck_assert_uint_gt(t.ok, t.total / 2);
    ck_assert(t.cancels == (t.canceled > 0));
    ck_assert_uint_eq(handed_over_twice(&t), 0);
    ck_assert_uint_gt(t.wire.ends[0].stats.duplicates, 50);
    ck_assert_uint_gt(t.wire.ends[0].stats.retransmissions, 50);
    test_fini(&t);
}
END_TEST

START_TEST(with_delays_of_seconds_every_call_still_completes_once)
{
    struct test t;
    struct wire_faults wild = {.loss = 0.1, .dup = 0.2, .delay_min_ms = 1, .delay_max_ms = 6000};
    test_init(&t, 600, &wild, (uint64_t)_i + 200);
    t.cancels = t.wild = true;
    test_run(&t);
    for (uint32_t i = 0; i < t.total; i++) {
        ck_assert_uint_eq(t.tally[i].done, 1);
    }
    ck_assert_uint_gt(t.ok, t.total / 4);
    test_fini(&t);
}
END_TEST

START_TEST(ending_peers_and_moving_calls_completes_each_once)
{
    struct test t;
    struct wire_faults bad = {.loss = 0.3, .dup = 0.1, .delay_min_ms = 5, .delay_max_ms = 500};
    test_init(&t, 400, &bad, (uint64_t)_i + 300);
    struct dr_prng *r = &t.wire.rand;
    uint32_t gone = 0;
    while (t.started < t.total) {
        (void)job_start(&t, dr_prng_below(r, 2), dr_prng_below(r, t.peers), dr_prng_below(r, 3));
        for (unsigned k = 0; k < 5; k++) {
            (void)wire_step(&t.wire, UINT64_MAX);
        }
        if (dr_prng_below(r, 20) == 0) {
            struct wire_end *e = &t.wire.ends[dr_prng_below(r, 2)];
            cx_msg_calls_moved(e->m, &e->peers[dr_prng_below(r, t.peers)]);
            gone++;
        }
    }
    ck_assert_uint_gt(gone, 0);
    for (unsigned side = 0; side < 2; side++) {
        cx_msg_calls_end(t.wire.ends[side].m, DR_ERR_CANCELED);
        cx_msg_expire(t.wire.ends[side].m, t.wire.now_ms);
    }
    ck_assert_uint_eq(t.completed, t.total);
    test_fini(&t);
}
END_TEST

/* ---- observations: end 0 is the device, end 1 observes ---- */

struct watch {
    struct wire wire;
    uint32_t latest[WIRE_PEERS_MAX]; /**< number of the newest notification seen */
    uint32_t sent[WIRE_PEERS_MAX];
    uint32_t got, done, open, unwanted;
    bool refuse;
};

struct note {
    struct cx_call call;
    struct watch *w;
    struct cx_opt opts[3];
    uint8_t observe[4], format[4];
    uint8_t *body;
};

static void note_done(struct cx_call *call, dr_err_t err, const struct cx_pdu *pdu)
{
    struct note *n = call->data;
    n->w->done++;
    n->w->open--;
    if (err == DR_OK) {
        ck_assert_uint_eq(pdu->code, CX_EMPTY);
    } else if (err == DR_ERR_RESET) {
        n->w->unwanted++;
    } else {
        ck_assert_int_eq(err, DR_ERR_TIMEOUT);
    }
    free(n->body);
    free(n);
}

static size_t note_size(uint32_t number)
{
    return number % 3 == 0 ? size_of(number, 5) : number % 40 + 1;
}

static void note_start(struct watch *w, unsigned peer)
{
    struct note *n = calloc(1, sizeof *n);
    ck_assert_ptr_nonnull(n);
    uint32_t number = ++w->sent[peer];
    n->w = w;
    n->opts[0] = cx_opt_uint(CX_OPT_OBSERVE, number, n->observe);
    n->opts[1] = text_opt(CX_OPT_URI_PATH, "o");
    n->opts[2] = cx_opt_uint(CX_OPT_CONTENT_FORMAT, 42, n->format);
    n->call = (struct cx_call){.code = CX_CONTENT,
                               .non = dr_prng_below(&w->wire.rand, 4) == 0,
                               .opts = n->opts,
                               .n_opts = 3,
                               .token_len = 2,
                               .token = {0x11, (uint8_t)peer},
                               .cb = note_done,
                               .data = n};
    n->call.payload_len = note_size(number);
    n->body = malloc(n->call.payload_len);
    ck_assert_ptr_nonnull(n->body);
    body_fill(n->body, n->call.payload_len, number);
    n->call.payload = n->body;
    struct wire_end *e = &w->wire.ends[0];
    w->open++;
    ck_assert_int_eq(cx_msg_call_start(e->m, &e->peers[peer], &n->call, w->wire.now_ms), DR_OK);
}

static bool watch_notify(struct wire_end *e, unsigned peer, const struct cx_pdu *pdu)
{
    struct watch *w = e->wire->data;
    if (w->refuse) {
        return false;
    }
    ck_assert_uint_eq(pdu->token_len, 2);
    ck_assert_uint_eq(pdu->token[1], peer);
    ck_assert_int_eq(pdu->content_format, 42);
    ck_assert_int_gt(pdu->observe, 0);
    uint32_t number = (uint32_t)pdu->observe;
    ck_assert_uint_eq(pdu->payload_len, note_size(number));
    ck_assert(body_is(pdu->payload, pdu->payload_len, number));
    w->latest[peer] = number > w->latest[peer] ? number : w->latest[peer];
    w->got++;
    return true;
}

static bool watch_observed(struct wire_end *e, unsigned peer, const struct cx_pdu *first,
                           struct cx_observed *ret)
{
    (void)e;
    (void)peer;
    ck_assert_int_ge(first->block2, 0);
    ret->code = CX_GET;
    ret->n_opts = 1;
    ret->buf[0] = 'o';
    ret->opts[0] = (struct cx_opt){CX_OPT_URI_PATH, 1, ret->buf};
    return true;
}

static void no_request(struct wire_end *e, unsigned peer, cx_exchange_t x, const struct cx_pdu *pdu)
{
    (void)peer;
    (void)pdu; /* a block of a body that a newer one has replaced */
    struct cx_reply reply = {.code = CX_NOT_FOUND};
    ck_assert_int_eq(cx_msg_answer(e->m, x, &reply, e->wire->now_ms), DR_OK);
}

static void watch_init(struct watch *w, const struct wire_faults *faults, uint64_t seed)
{
    *w = (struct watch){0};
    wire_init(&w->wire, 8, faults, NULL, seed);
    w->wire.data = w;
    w->wire.ends[0].request = no_request;
    w->wire.ends[1].request = no_request;
    w->wire.ends[1].notify = watch_notify;
    w->wire.ends[1].observed = watch_observed;
}

START_TEST(the_last_notification_arrives_whole_whatever_was_lost)
{
    struct watch w;
    struct wire_faults bad = {.loss = 0.15, .dup = 0.15, .delay_min_ms = 5, .delay_max_ms = 300};
    watch_init(&w, &bad, (uint64_t)_i + 400);
    for (unsigned k = 0; k < 300; k++) {
        note_start(&w, dr_prng_below(&w.wire.rand, 8));
        uint64_t until = w.wire.now_ms + dr_prng_below(&w.wire.rand, 3000);
        while (wire_step(&w.wire, until)) {
        }
        w.wire.now_ms = until;
    }
    while (w.open > 0) {
        ck_assert(wire_step(&w.wire, UINT64_MAX));
    }
    w.wire.faults.loss = 0;
    for (unsigned peer = 0; peer < 8; peer++) {
        w.sent[peer] += 2 - w.sent[peer] % 3; /* the next number is a large one */
        note_start(&w, peer);
    }
    while (wire_step(&w.wire, w.wire.now_ms + 400000)) {
    }
    ck_assert_uint_eq(w.open, 0);
    ck_assert_uint_eq(w.done, 308);
    ck_assert_uint_gt(w.got, 200);
    for (unsigned peer = 0; peer < 8; peer++) {
        ck_assert_uint_eq(w.latest[peer], w.sent[peer]);
        ck_assert(!cx_msg_peer_busy(&w.wire.ends[0].peers[peer]));
        ck_assert(!cx_msg_peer_busy(&w.wire.ends[1].peers[peer]));
    }
    wire_fini(&w.wire, 8);
}
END_TEST

START_TEST(an_observer_that_refuses_resets_the_notification)
{
    struct watch w;
    struct wire_faults none = {.delay_min_ms = 5, .delay_max_ms = 5};
    watch_init(&w, &none, 7);
    w.wire.ends[1].observed = NULL;
    w.refuse = true;
    for (unsigned k = 0; k < 20; k++) {
        note_start(&w, 0);
    }
    while (wire_step(&w.wire, UINT64_MAX)) {
    }
    ck_assert_uint_eq(w.open, 0);
    ck_assert_uint_gt(w.unwanted, 8);
    wire_fini(&w.wire, 8);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("coap message layer over a bad wire");
    TCase *calls = tcase_create("calls");
    tcase_set_timeout(calls, 120);
    tcase_add_loop_test(calls, on_a_good_wire_every_call_is_answered_with_one_delivery, 0, 2);
    tcase_add_loop_test(calls, on_a_bad_wire_what_changes_something_is_handed_over_at_most_once, 0,
                        4);
    tcase_add_loop_test(calls, with_delays_of_seconds_every_call_still_completes_once, 0, 3);
    tcase_add_loop_test(calls, ending_peers_and_moving_calls_completes_each_once, 0, 4);
    suite_add_tcase(s, calls);
    TCase *observe = tcase_create("observe");
    tcase_set_timeout(observe, 120);
    tcase_add_loop_test(observe, the_last_notification_arrives_whole_whatever_was_lost, 0, 4);
    tcase_add_test(observe, an_observer_that_refuses_resets_the_notification);
    suite_add_tcase(s, observe);

    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed;
}
