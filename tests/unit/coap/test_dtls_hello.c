/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/dtls_hello.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

static const uint8_t key[32] = {1, 2, 3};
static const uint8_t addr[] = {10, 0, 0, 1, 0x16, 0x34};
#define WALL_MS 1000000000000U

static struct dtls_crypto *crypto;

static void setup(void)
{
    ck_assert_int_eq(dtls_crypto_new(&crypto), DR_OK);
}

static void teardown(void)
{
    crypto = dtls_crypto_free(crypto);
}

/* A ClientHello to be bent. Zero means as it should be, NONE means nothing there. */
#define NONE (-1)
struct shape {
    const char *why;
    dr_err_t err;
    uint16_t version;
    int record_len, msg_len, frag_off, frag_len;            /* what the headers say */
    int sid_len, cookie_len, suites_len, comp_len, ext_len; /* bytes that are really there */
    int sid_says, suites_say, ext_says;                     /* what the length fields say */
    bool no_ext;
    int junk; /* bytes behind the extensions, inside the message */
};

static int or_else(int v, int normal)
{
    return v == 0 ? normal : v == NONE ? 0 : v;
}

static size_t build(const struct shape *s, uint8_t *out, size_t cap)
{
    uint8_t body[2048], zeros[512] = {0};
    struct dr_wr b = dr_wr_of(body, sizeof body);

    const int suites_len = or_else(s->suites_len, 4), comp_len = or_else(s->comp_len, 1);

    dr_wr_u16(&b, s->version != 0 ? s->version : 0xfefd);
    for (uint8_t i = 0; i < 32; i++) {
        dr_wr_u8(&b, (uint8_t)(0x80 + i));
    }
    dr_wr_u8(&b, (uint8_t)or_else(s->sid_says, s->sid_len));
    dr_wr_put(&b, zeros, (size_t)s->sid_len);
    dr_wr_u8(&b, (uint8_t)s->cookie_len);
    dr_wr_put(&b, zeros, (size_t)s->cookie_len);
    dr_wr_u16(&b, (uint16_t)or_else(s->suites_say, suites_len));
    for (int i = 0; i < suites_len; i++) {
        dr_wr_u8(&b, (uint8_t[]){0xc0, 0xa8, 0x00, 0xff}[i % 4]);
    }
    dr_wr_u8(&b, (uint8_t)comp_len);
    dr_wr_put(&b, zeros, (size_t)comp_len);
    if (!s->no_ext) {
        dr_wr_u16(&b, (uint16_t)or_else(s->ext_says, s->ext_len + 7));
        dr_wr_put(&b, (uint8_t[]){0, 35, 0, 3, 'a', 'b', 'c'}, 7);
        dr_wr_put(&b, zeros, (size_t)s->ext_len);
    }
    dr_wr_put(&b, zeros, (size_t)s->junk);
    size_t n = dr_wr_len(&b);
    struct dr_wr w = dr_wr_of(out, cap);
    dr_wr_put(&w, (uint8_t[]){22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 5}, 11);
    dr_wr_u16(&w, (uint16_t)or_else(s->record_len, (int)n + 12));
    dr_wr_u8(&w, 1);
    dr_wr_u24(&w, (uint32_t)or_else(s->msg_len, (int)n));
    dr_wr_u16(&w, 1);
    dr_wr_u24(&w, (uint32_t)s->frag_off);
    dr_wr_u24(&w, (uint32_t)or_else(s->frag_len, (int)n));
    dr_wr_put(&w, body, n);
    ck_assert(dr_wr_ok(&w) && dr_wr_ok(&b));
    return dr_wr_len(&w);
}

static const struct shape shapes[] = {
    /* spec: RFC5246#7.4.1.2, RFC6347#4.2.2 */
    {.why = "plain", .err = DR_OK},
    {.why = "all fields", .err = DR_OK, .sid_len = 32, .cookie_len = 255, .ext_len = 8},
    {.why = "no extensions", .err = DR_OK, .no_ext = true},
    {.why = "200 suites", .err = DR_OK, .suites_len = 400},
    {.why = "DTLS 1.0", .err = DR_ERR_UNSUPPORTED, .version = 0xfeff},
    {.why = "TLS", .err = DR_ERR_UNSUPPORTED, .version = 0x0303},
    {.why = "first fragment", .err = DR_ERR_UNSUPPORTED, .frag_len = 20},
    {.why = "later fragment", .err = DR_ERR_UNSUPPORTED, .frag_off = 1},
    {.why = "message longer than the record",
     .err = DR_ERR_PROTO,

     .msg_len = 900,
     .frag_len = 900},
    {.why = "session id of 33", .err = DR_ERR_PROTO, .sid_len = 33},
    {.why = "session id past the end", .err = DR_ERR_PROTO, .sid_says = 200},
    {.why = "odd suites", .err = DR_ERR_PROTO, .suites_len = 3},
    {.why = "no suites", .err = DR_ERR_PROTO, .suites_len = NONE},
    {.why = "suites past the end", .err = DR_ERR_PROTO, .suites_say = 60000},
    {.why = "no compression", .err = DR_ERR_PROTO, .comp_len = NONE},
    {.why = "extensions shorter than said", .err = DR_ERR_PROTO, .ext_says = 8},
    {.why = "extensions longer than said", .err = DR_ERR_PROTO, .ext_says = 3},
    {.why = "half an extension header", .err = DR_ERR_PROTO, .ext_len = 3},
    {.why = "bytes behind", .err = DR_ERR_PROTO, .junk = 1},
    {.why = "record shorter than the header says", .err = DR_ERR_PROTO, .record_len = 5},
};

START_TEST(a_hello_is_read_or_refused)
{
    const struct shape *s = &shapes[_i];
    uint8_t buf[2048];
    size_t n = build(s, buf, sizeof buf);
    uint8_t *exact = malloc(n);
    struct dtls_hello h = {.version = 7};

    memcpy(exact, buf, n);
    ck_assert_msg(dtls_hello_parse(exact, n, &h) == s->err, "%s", s->why);
    if (s->err != DR_OK) {
        ck_assert_uint_eq(h.version, 7);
    } else {
        ck_assert_uint_eq(h.version, 0xfefd);
        ck_assert_uint_eq(h.rec_seq, 5);
        ck_assert_uint_eq(h.msg_seq, 1);
        ck_assert_uint_eq(h.random[31], 0x9f);
        ck_assert_uint_eq(h.session_id.len, (size_t)s->sid_len);
        ck_assert_uint_eq(h.cookie.len, (size_t)s->cookie_len);
        ck_assert_uint_eq(h.suites.len, (size_t)or_else(s->suites_len, 4));
        ck_assert(h.has_psk && !h.has_ecdsa);
        ck_assert_uint_eq(h.ticket.len, s->no_ext ? 0 : 3);
    }
    free(exact);
}
END_TEST

START_TEST(no_cut_hello_passes)
{
    uint8_t buf[2048];
    size_t n = build(&shapes[1], buf, sizeof buf);

    for (size_t cut = 0; cut < n; cut++) {
        uint8_t *exact = malloc(cut + 1);
        struct dtls_hello h;
        memcpy(exact, buf, cut);
        ck_assert_int_ne(dtls_hello_parse(exact, cut, &h), DR_OK);
        free(exact);
    }
}
END_TEST

START_TEST(other_datagrams_are_no_hello)
{
    uint8_t buf[2048];
    size_t n = build(&shapes[0], buf, sizeof buf);
    struct dtls_hello h;

    ck_assert(dtls_hello_is(buf, n));
    buf[4] = 1; /* epoch */
    ck_assert(!dtls_hello_is(buf, n));
    ck_assert_int_eq(dtls_hello_parse(buf, n, &h), DR_ERR_NOT_FOUND);
    buf[4] = 0;
    buf[13] = 16; /* ClientKeyExchange */
    ck_assert_int_eq(dtls_hello_parse(buf, n, &h), DR_ERR_NOT_FOUND);
    buf[13] = 1;
    buf[0] = 23;
    ck_assert_int_eq(dtls_hello_parse(buf, n, &h), DR_ERR_NOT_FOUND);
    ck_assert_int_eq(dtls_hello_parse(buf, 0, &h), DR_ERR_NOT_FOUND);
}
END_TEST

/* ---- cookie ---- */

/* a hello with the cookie that the answer to it carried */
static struct dtls_hello with_cookie(uint8_t buf[2048], uint8_t hv[DTLS_HELLO_VERIFY_LEN])
{
    struct dtls_hello h;
    size_t n = build(&shapes[0], buf, 2048);

    ck_assert_int_eq(dtls_hello_parse(buf, n, &h), DR_OK);
    ck_assert_uint_eq(dtls_hello_verify_make(crypto, key, &h, addr, sizeof addr, WALL_MS, hv),
                      DTLS_HELLO_VERIFY_LEN);
    ck_assert_uint_lt(DTLS_HELLO_VERIFY_LEN, n);
    h.cookie = (struct dtls_bytes){hv + 28, DTLS_COOKIE_LEN};
    return h;
}

START_TEST(the_answer_has_the_form_of_a_hello_verify_request)
{
    uint8_t buf[2048], hv[DTLS_HELLO_VERIFY_LEN];
    /* spec: RFC6347#4.2.1: the record's number is the hello's */
    static const uint8_t want[] = {22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 5,  0,    32,   3,
                                   0,  0,    20,   0, 1, 0, 0, 0, 0, 0, 20, 0xfe, 0xff, 17};
    (void)with_cookie(buf, hv);
    ck_assert_mem_eq(hv, want, sizeof want);
}
END_TEST

START_TEST(a_cookie_holds_for_its_address_and_hello_only)
{
    uint8_t buf[2048], hv[DTLS_HELLO_VERIFY_LEN];
    struct dtls_hello h = with_cookie(buf, hv);
    uint8_t other_addr[] = {10, 0, 0, 1, 0x16, 0x35};
    uint8_t other_key[32] = {1, 2, 4};

    ck_assert(dtls_cookie_ok(crypto, key, &h, addr, sizeof addr, WALL_MS));
    ck_assert(!dtls_cookie_ok(crypto, key, &h, other_addr, sizeof other_addr, WALL_MS));
    ck_assert(!dtls_cookie_ok(crypto, other_key, &h, addr, sizeof addr, WALL_MS));
    buf[13 + 12 + 2] ^= 1; /* random */
    ck_assert(!dtls_cookie_ok(crypto, key, &h, addr, sizeof addr, WALL_MS));
    buf[13 + 12 + 2] ^= 1;
    buf[13 + 12 + 2 + 32 + 2 + 2] ^= 1; /* first suite */
    ck_assert(!dtls_cookie_ok(crypto, key, &h, addr, sizeof addr, WALL_MS));
    buf[13 + 12 + 2 + 32 + 2 + 2] ^= 1;
    ck_assert(dtls_cookie_ok(crypto, key, &h, addr, sizeof addr, WALL_MS));
    for (size_t i = 0; i < DTLS_COOKIE_LEN; i++) {
        hv[28 + i] ^= 0x40;
        ck_assert(!dtls_cookie_ok(crypto, key, &h, addr, sizeof addr, WALL_MS));
        hv[28 + i] ^= 0x40;
    }
    h.cookie.len--;
    ck_assert(!dtls_cookie_ok(crypto, key, &h, addr, sizeof addr, WALL_MS));
    h.cookie.len = 0;
    ck_assert(!dtls_cookie_ok(crypto, key, &h, addr, sizeof addr, WALL_MS));
}
END_TEST

START_TEST(a_cookie_lives_one_to_two_periods)
{
    uint8_t buf[2048], hv[DTLS_HELLO_VERIFY_LEN];
    struct dtls_hello h = with_cookie(buf, hv);
    uint64_t start = WALL_MS - WALL_MS % DTLS_COOKIE_PERIOD_MS;

    ck_assert(dtls_cookie_ok(crypto, key, &h, addr, sizeof addr, start));
    ck_assert(
        dtls_cookie_ok(crypto, key, &h, addr, sizeof addr, start + 2 * DTLS_COOKIE_PERIOD_MS - 1));
    ck_assert(
        !dtls_cookie_ok(crypto, key, &h, addr, sizeof addr, start + 2 * DTLS_COOKIE_PERIOD_MS));
    ck_assert(!dtls_cookie_ok(crypto, key, &h, addr, sizeof addr, start - 1));
    /* the low byte of the period's number comes round: the rest does not */
    ck_assert(
        !dtls_cookie_ok(crypto, key, &h, addr, sizeof addr, start + 256U * DTLS_COOKIE_PERIOD_MS));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("dtls_hello");
    TCase *t = tcase_create("parse");
    tcase_add_loop_test(t, a_hello_is_read_or_refused, 0, DR_ARRAY_LEN(shapes));
    tcase_add_test(t, no_cut_hello_passes);
    tcase_add_test(t, other_datagrams_are_no_hello);
    suite_add_tcase(s, t);
    t = tcase_create("cookie");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, the_answer_has_the_form_of_a_hello_verify_request);
    tcase_add_test(t, a_cookie_holds_for_its_address_and_hello_only);
    tcase_add_test(t, a_cookie_lives_one_to_two_periods);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed;
}
