/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of the message layer: none in the steady state, and every failure of malloc survived. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/coap/rig.h"

void *__real_malloc(size_t len);
void *__real_calloc(size_t n, size_t len);
void *__real_realloc(void *p, size_t len);
void *__wrap_malloc(size_t len);
void *__wrap_calloc(size_t n, size_t len);
void *__wrap_realloc(void *p, size_t len);

static unsigned n_allocs;
static unsigned fail_at; /* 0 = never */
static bool counting;

static bool fails(void)
{
    return counting && ++n_allocs == fail_at;
}

void *__wrap_malloc(size_t len)
{
    return fails() ? NULL : __real_malloc(len);
}

void *__wrap_calloc(size_t n, size_t len)
{
    return fails() ? NULL : __real_calloc(n, len);
}

void *__wrap_realloc(void *p, size_t len)
{
    return fails() ? NULL : __real_realloc(p, len);
}

static struct rig r;
static struct rig_call a, b;

static void read_out(void)
{
    r.read = r.n_sent;
}

/* rig_in allocates its own copy, so go straight in. */
static void in(unsigned peer, uint8_t type, uint8_t code, uint16_t mid, const uint8_t *token,
               uint8_t token_len, const struct cx_opt *opts, size_t n, size_t len)
{
    uint8_t buf[1300];
    struct dr_wr wr = dr_wr_of(buf, sizeof buf);
    if (code == CX_EMPTY) {
        token_len = 0;
    }
    if (cx_pdu_encode(&wr, type, code, mid, token, token_len, opts, n, rig_bytes(len), len) !=
        DR_OK) {
        ck_abort_msg("cannot encode");
    }
    cx_msg_input(r.m, &r.peers[peer], buf, dr_wr_len(&wr), r.now_ms);
}

START_TEST(small_requests_and_calls_cost_no_malloc_once_warm)
{
    static const struct cx_reply changed = {.code = CX_CHANGED};
    rig_init(&r, NULL);
    r.auto_reply = &changed;
    struct cx_opt path = rig_text(CX_OPT_URI_PATH, "rd");
    unsigned warm = 0;
    for (uint16_t i = 0; i < 2000; i++) {
        if (i == 100) {
            warm = n_allocs;
        }
        counting = true;
        for (unsigned peer = 0; peer < RIG_PEERS; peer++) {
            in(peer, CX_CON, CX_POST, i, (const uint8_t *)&i, 2, &path, 1, 40);
        }
        counting = false;
        rig_call_init(&a, CX_GET, "a", NULL, 0);
        counting = true;
        dr_err_t err = cx_msg_call_start(r.m, &r.peers[0], &a.call, r.now_ms);
        const struct rig_msg *m = &r.sent[(r.n_sent - 1) % RIG_SENT];
        in(0, CX_ACK, CX_CONTENT, (uint16_t)(m->bytes[2] << 8 | m->bytes[3]), a.call.token, 8, NULL,
           0, 20);
        counting = false;
        if (err != DR_OK || a.done != 1) {
            ck_abort_msg("call %u failed", i);
        }
        read_out();
        rig_pass(&r, 1000);
    }
    ck_assert_uint_eq(n_allocs, warm);
    ck_assert_uint_eq(r.n_requests, 2000 * RIG_PEERS);
    rig_fini(&r);
}
END_TEST

static struct cx_pdu newest(void)
{
    struct cx_pdu pdu = {0};
    const struct rig_msg *m = &r.sent[(r.n_sent - 1) % RIG_SENT];
    if (cx_pdu_decode(m->bytes, m->len, &pdu) != DR_OK) {
        ck_abort_msg("cannot decode");
    }
    return pdu;
}

/* Something of everything that allocates. */
static unsigned scenario(void)
{
    uint8_t b1[4], b2[4];
    struct cx_reply big = {.code = CX_CONTENT, .payload = rig_bytes(3000), .payload_len = 3000};
    struct cx_opt opts[2] = {rig_text(CX_OPT_URI_PATH, "x")};
    unsigned calls = 0;

    r.auto_reply = &big; /* kept, and (a POST) stored beside the ring */
    in(0, CX_CON, CX_POST, 1, (const uint8_t *)"t", 1, opts, 1, 10);
    opts[1] = rig_block_opt(CX_OPT_BLOCK2, 1, false, 1024, b2);
    in(0, CX_CON, CX_POST, 2, (const uint8_t *)"t", 1, opts, 2, 0);
    for (uint32_t i = 0; i < 5; i++) { /* an assembly */
        opts[1] = rig_block_opt(CX_OPT_BLOCK1, i, i < 4, 1024, b1);
        in(0, CX_CON, CX_PUT, (uint16_t)(10 + i), (const uint8_t *)"u", 1, opts, 2, 1024);
    }
    r.auto_reply = NULL; /* a separate answer */
    in(1, CX_CON, CX_POST, 3, (const uint8_t *)"v", 1, opts, 1, 10);
    rig_pass(&r, 1500);
    (void)cx_msg_answer(r.m, r.last->x, &big, r.now_ms);
    rig_pass(&r, 3000);

    rig_call_init(&a, CX_GET, "a", NULL, 0); /* a body collected */
    if (cx_msg_call_start(r.m, &r.peers[2], &a.call, r.now_ms) == DR_OK) {
        calls++;
        for (uint32_t i = 0; i < 4 && a.done == 0; i++) {
            struct cx_pdu req = newest();
            struct cx_opt opt = rig_block_opt(CX_OPT_BLOCK2, i, i < 3, 1024, b2);
            in(2, CX_ACK, CX_CONTENT, req.mid, req.token, req.token_len, &opt, 1, 1024);
        }
    }
    struct cx_opt note[2] = {cx_opt_uint(CX_OPT_OBSERVE, 3, b1),
                             rig_block_opt(CX_OPT_BLOCK2, 0, true, 1024, b2)};
    r.observed_code = CX_FETCH; /* a large notification */
    in(2, CX_CON, CX_CONTENT, 77, (const uint8_t *)"ob", 2, note, 2, 1024);

    rig_call_init(&b, CX_CONTENT, "n", rig_bytes(4000), 4000); /* and one of ours */
    b.call.token_len = 1;
    if (cx_msg_call_start(r.m, &r.peers[1], &b.call, r.now_ms) == DR_OK) {
        calls++;
    }
    return calls;
}

START_TEST(every_malloc_may_fail)
{
    unsigned total = 0;
    for (unsigned n = 0; n == 0 || n <= total; n++) {
        rig_init(&r, NULL);
        a.done = 0;
        b.done = 0;
        n_allocs = 0;
        fail_at = n;
        counting = true;
        unsigned calls = scenario();
        counting = false;
        total = n == 0 ? n_allocs : total;
        rig_pass(&r, 400000);
        for (unsigned i = 0; i < RIG_PEERS; i++) {
            ck_assert(!cx_msg_peer_busy(&r.peers[i]));
        }
        ck_assert_uint_eq(a.done + b.done, calls);
        read_out();
        rig_fini(&r);
    }
    ck_assert_uint_ge(total, 10);
}
END_TEST

START_TEST(a_layer_that_cannot_be_made_says_so)
{
    for (unsigned n = 1; n <= 8; n++) {
        n_allocs = 0;
        fail_at = 0;
        rig_init(&r, NULL);
        struct cx_msg *m = (struct cx_msg *)&r; /* must survive an error */
        struct cx_msg_config config = {.ops = rig_ops(), .data = &r};
        n_allocs = 0;
        fail_at = n;
        counting = true;
        dr_err_t err = cx_msg_new(&config, &m);
        counting = false;
        ck_assert_int_eq(err, DR_ERR_NOMEM);
        ck_assert_ptr_eq(m, (struct cx_msg *)&r);
        rig_fini(&r);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("coap/msg memory");
    TCase *tc = tcase_create("memory");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, small_requests_and_calls_cost_no_malloc_once_warm);
    tcase_add_test(tc, every_malloc_may_fail);
    tcase_add_test(tc, a_layer_that_cannot_be_made_says_so);
    suite_add_tcase(s, tc);

    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed;
}
