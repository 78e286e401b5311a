/* SPDX-License-Identifier: Apache-2.0 */
/* Handshakes in memory: ours with ours, and ours with the library's own client and server. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/coap/dtls_fixture.h"

#define KEY "0123456789abcdef"

static struct fx_cert *ca, *other_ca, *server_cert, *device, *expired, *stranger;
static struct cx_anchor anchor;

static void certs_up(void)
{
    ca = fx_cert_new("authority", NULL, true, -10, 100);
    other_ca = fx_cert_new("other", NULL, true, -10, 100);
    server_cert = fx_cert_new("server", ca, false, -1, 50);
    device = fx_cert_new("device-1", ca, false, -1, 50);
    expired = fx_cert_new("device-2", ca, false, -5, -1);
    stranger = fx_cert_new("device-1", other_ca, false, -1, 50);
    anchor = (struct cx_anchor){.der = ca->der, .len = ca->der_len, .tag = 4711};
}

static void certs_down(void)
{
    ca = fx_cert_free(ca);
    other_ca = fx_cert_free(other_ca);
    server_cert = fx_cert_free(server_cert);
    device = fx_cert_free(device);
    expired = fx_cert_free(expired);
    stranger = fx_cert_free(stranger);
}

static const struct cx_security_config psk_only;

static struct cx_security_config with_cert(const struct fx_cert *own)
{
    return (struct cx_security_config){
        .cert_pem = own->cert_pem, .key_pem = own->key_pem, .anchors = &anchor, .n_anchors = 1};
}

static struct fx_end *psk_end(bool server, const char *suite)
{
    struct fx_end *e =
        suite == NULL ? fx_ours_new(server, &psk_only) : fx_lib_new(server, suite, NULL, NULL);

    fx_set_psk(e, "dev-1", KEY);
    return e;
}

static struct fx_end *cert_end(bool server, const char *suite)
{
    const struct fx_cert *own = server ? server_cert : device;
    struct cx_security_config config = with_cert(own);

    return suite == NULL ? fx_ours_new(server, &config) : fx_lib_new(server, suite, own, ca);
}

static void must_talk(struct fx_net *n)
{
    unsigned a = n->a->n_data, b = n->b->n_data;

    ck_assert(fx_send(n->a, "question"));
    fx_run(n);
    ck_assert(fx_send(n->b, "answer"));
    ck_assert(fx_send(n->b, "more"));
    fx_run(n);
    ck_assert(fx_send(n->a, "thanks"));
    fx_run(n);
    ck_assert_uint_eq(n->b->n_data, b + 2);
    ck_assert_uint_eq(n->a->n_data, a + 2);
    ck_assert_str_eq(n->b->data[b], "question");
    ck_assert_str_eq(n->a->data[a], "answer");
    ck_assert_str_eq(n->b->data[b + 1], "thanks");
}

static void must_be_up(struct fx_net *n, uint64_t ms)
{
    fx_settle(n, ms);
    ck_assert_msg(n->a->up && n->b->up, "client %d/%s, server %d/%s", n->a->failed,
                  dr_err_str(n->a->err), n->b->failed, dr_err_str(n->b->err));
}

/* ---- every suite, every pairing ---- */

static const struct {
    const char *suite;
    bool cert;
    int client, server; /* 0 ours, 1 the library's */
} pairs[] = {
    {"PSK-AES128-CCM8", false, 0, 0},
    {"PSK-AES128-CCM8", false, 0, 1},
    {"PSK-AES128-CCM8", false, 1, 0},
    {"PSK-AES128-CCM", false, 0, 1},
    {"PSK-AES128-CCM", false, 1, 0},
    {"PSK-AES128-GCM-SHA256", false, 0, 1},
    {"PSK-AES128-GCM-SHA256", false, 1, 0},
    {"PSK-AES256-GCM-SHA384", false, 0, 1},
    {"PSK-AES256-GCM-SHA384", false, 1, 0},
    {"ECDHE-ECDSA-AES128-CCM8", true, 0, 0},
    {"ECDHE-ECDSA-AES128-CCM8", true, 0, 1},
    {"ECDHE-ECDSA-AES128-CCM8", true, 1, 0},
    {"ECDHE-ECDSA-AES128-CCM", true, 0, 1},
    {"ECDHE-ECDSA-AES128-CCM", true, 1, 0},
    {"ECDHE-ECDSA-AES128-GCM-SHA256", true, 0, 1},
    {"ECDHE-ECDSA-AES128-GCM-SHA256", true, 1, 0},
    {"ECDHE-ECDSA-AES256-GCM-SHA384", true, 0, 1},
    {"ECDHE-ECDSA-AES256-GCM-SHA384", true, 1, 0},
};

static struct fx_net *pair_net(int i)
{
    const char *c = pairs[i].client ? pairs[i].suite : NULL;
    const char *s = pairs[i].server ? pairs[i].suite : NULL;

    return pairs[i].cert ? fx_net_new(cert_end(false, c), cert_end(true, s))
                         : fx_net_new(psk_end(false, c), psk_end(true, s));
}

START_TEST(every_suite_works_with_every_peer)
{
    struct fx_net *n = pair_net(_i);

    fx_start(n->a);
    must_be_up(n, 10);
    ck_assert_str_eq(n->a->suite, pairs[_i].suite);
    ck_assert_str_eq(n->b->suite, pairs[_i].suite);
    ck_assert_uint_eq(n->now_ms, 1000); /* no timer was needed */
    must_talk(n);
    if (!pairs[_i].server) {
        ck_assert_uint_eq(n->b->hello_verifies, 1);
        ck_assert_int_eq(n->b->id.kind, pairs[_i].cert ? CX_ID_CERT : CX_ID_PSK);
        ck_assert_str_eq(n->b->id.name, pairs[_i].cert ? "device-1" : "dev-1");
        ck_assert_int_eq(n->b->id.account, 7);
        ck_assert_int_eq(n->b->id.credential, 42);
        ck_assert_uint_eq(n->b->cert_asked, pairs[_i].cert ? 1 : 0);
        ck_assert_uint_eq(n->b->psk_asked, pairs[_i].cert ? 0 : 1);
        ck_assert(!pairs[_i].cert || n->b->cert_tag == 4711);
    }
    fx_net_free(n);
}
END_TEST

START_TEST(a_server_with_certificates_still_takes_a_psk)
{
    struct fx_net *n =
        fx_net_new(psk_end(false, _i ? "PSK-AES128-CCM8" : NULL), cert_end(true, NULL));

    fx_set_psk(n->b, "dev-1", KEY);
    fx_start(n->a);
    must_be_up(n, 10);
    ck_assert_int_eq(n->b->id.kind, CX_ID_PSK);
    must_talk(n);
    fx_net_free(n);
}
END_TEST

START_TEST(the_owner_may_take_its_time)
{
    struct fx_net *n = _i ? fx_net_new(cert_end(false, NULL), cert_end(true, NULL))
                          : fx_net_new(psk_end(false, NULL), psk_end(true, NULL));

    n->b->hold_answer = true;
    fx_start(n->a);
    fx_settle(n, 5000); /* the client repeats itself meanwhile */
    ck_assert(!n->b->up && !n->b->failed);
    ck_assert(n->b->hs != NULL);
    fx_answer(n->b);
    must_be_up(n, 2000);
    must_talk(n);
    ck_assert_uint_eq(n->b->psk_asked + n->b->cert_asked, 1);
    fx_net_free(n);
}
END_TEST

/* ---- what must fail ---- */

struct trace {
    size_t len[2][64];
    uint8_t type[2][64];
    unsigned n[2];
};

static enum fx_fate note(void *data, int dir, unsigned number, uint8_t *p, size_t len)
{
    struct trace *t = data;

    (void)number;
    ck_assert_uint_lt(t->n[dir], 64);
    t->type[dir][t->n[dir]] = p[0];
    t->len[dir][t->n[dir]++] = len;
    return FX_PASS;
}

START_TEST(an_unknown_identity_looks_like_a_wrong_key)
{
    static struct trace t[2];
    struct fx_end *c[2], *s[2];
    struct fx_net *n[2];

    memset(t, 0, sizeof t);
    for (int i = 0; i < 2; i++) {
        c[i] = psk_end(false, _i ? "PSK-AES128-CCM8" : NULL);
        s[i] = psk_end(true, NULL);
        n[i] = fx_net_new(c[i], s[i]);
        n[i]->filter = note;
        n[i]->data = &t[i];
    }
    fx_set_psk(c[0], "dev-1", "this key is bad!");
    fx_set_psk(c[1], "dev-9", KEY); /* of the same length */
    for (int i = 0; i < 2; i++) {
        fx_start(c[i]);
        fx_settle(n[i], 20000);
        ck_assert(c[i]->failed && s[i]->failed);
        ck_assert_int_eq(s[i]->err, DR_ERR_AUTH);
        ck_assert_uint_eq(s[i]->psk_asked, 1);
        ck_assert_int_eq(c[i]->err, _i ? DR_OK : DR_ERR_AUTH);
        ck_assert_uint_eq(c[i]->alert, _i ? DTLS_ALERT_DECRYPT_ERROR : 0);
        ck_assert_uint_eq(n[i]->now_ms, 1000); /* told at once */
    }
    ck_assert_mem_eq(&t[0], &t[1], sizeof t[0]);
    fx_net_free(n[0]);
    fx_net_free(n[1]);
}
END_TEST

START_TEST(a_server_with_the_wrong_key_is_no_server)
{
    struct fx_net *n = fx_net_new(psk_end(false, NULL), psk_end(true, "PSK-AES128-CCM8"));

    fx_set_psk(n->b, "dev-1", "this key is bad!");
    fx_start(n->a);
    fx_settle(n, 40000);
    ck_assert(n->a->failed && !n->a->up && !n->b->up);
    fx_net_free(n);
}
END_TEST

static const struct {
    const char *why;
    struct fx_cert **cert;
    dr_err_t verdict;
    uint8_t alert;
    dr_err_t err;
    unsigned asked;
} refused[] = {
    {"unknown authority", &stranger, DR_OK, DTLS_ALERT_UNKNOWN_CA, DR_ERR_AUTH, 0},
    {"expired", &expired, DR_OK, DTLS_ALERT_CERTIFICATE_EXPIRED, DR_ERR_AUTH, 0},
    {"the owner refuses", &device, DR_ERR_DENIED, DTLS_ALERT_ACCESS_DENIED, DR_ERR_DENIED, 1},
};

START_TEST(a_certificate_is_refused_with_the_right_alert)
{
    struct fx_end *c = fx_lib_new(false, "ECDHE-ECDSA-AES128-CCM8", *refused[_i].cert, ca);
    struct fx_net *n = fx_net_new(c, cert_end(true, NULL));

    n->b->cert_verdict = refused[_i].verdict;
    fx_start(n->a);
    fx_settle(n, 3000);
    ck_assert_msg(n->a->failed && n->b->failed && !n->b->up, "%s", refused[_i].why);
    ck_assert_uint_eq(n->a->alert, refused[_i].alert);
    ck_assert_int_eq(n->b->err, refused[_i].err);
    ck_assert_uint_eq(n->b->cert_asked, refused[_i].asked);
    fx_net_free(n);
}
END_TEST

/* ---- trust that is asked at each handshake ---- */

static struct {
    dr_err_t verdict;
    unsigned asked;
    size_t n, len;
    int64_t wall_ms;
} trust_seen;

static dr_err_t trust_verify(void *data, const struct dr_bytes *chain, size_t n, int64_t wall_ms,
                             uint64_t *ret_tag)
{
    (void)data;
    trust_seen.asked++;
    trust_seen.n = n;
    trust_seen.len = chain[0].len;
    trust_seen.wall_ms = wall_ms;
    *ret_tag = 815;
    return trust_seen.verdict;
}

static bool trust_known(void *data, uint64_t tag)
{
    (void)data;
    return tag == 815;
}

START_TEST(trust_may_be_asked_instead_of_anchors)
{
    const struct cx_trust trust = {.verify = trust_verify, .known = trust_known};
    struct cx_security_config config = with_cert(server_cert);
    struct fx_net *n;

    trust_seen.asked = 0;
    trust_seen.verdict = _i ? DR_ERR_DENIED : DR_OK;
    config.anchors = NULL;
    config.n_anchors = 0;
    config.trust = &trust;
    n = fx_net_new(cert_end(false, NULL), fx_ours_new(true, &config));
    fx_start(n->a);
    fx_settle(n, 10);
    ck_assert_uint_eq(trust_seen.asked, 1);
    ck_assert_uint_eq(trust_seen.n, 2); /* the client sends its authority, too */
    ck_assert_uint_eq(trust_seen.len, device->der_len);
    ck_assert_int_gt(trust_seen.wall_ms, 0);
    if (trust_seen.verdict == DR_OK) {
        must_be_up(n, 10);
        ck_assert_uint_eq(n->b->cert_tag, 815);
        must_talk(n);
    } else {
        ck_assert(n->b->failed && !n->a->up);
        ck_assert_int_eq(n->b->err, DR_ERR_AUTH);
        ck_assert_uint_eq(n->b->cert_asked, 0);
    }
    fx_net_free(n);
}
END_TEST

START_TEST(a_client_without_a_certificate_is_refused)
{
    struct fx_net *n =
        fx_net_new(fx_lib_new(false, "ECDHE-ECDSA-AES128-CCM8", NULL, ca), cert_end(true, NULL));

    fx_start(n->a);
    fx_settle(n, 3000);
    ck_assert(n->a->failed && n->b->failed);
    ck_assert_uint_ne(n->a->alert, 0);
    fx_net_free(n);
}
END_TEST

START_TEST(a_client_checks_its_server)
{
    struct fx_net *n = fx_net_new(cert_end(false, NULL),
                                  fx_lib_new(true, "ECDHE-ECDSA-AES128-CCM8", stranger, ca));

    fx_start(n->a);
    fx_settle(n, 3000);
    ck_assert(n->a->failed);
    ck_assert_int_eq(n->a->err, DR_ERR_AUTH);
    ck_assert_uint_eq(n->b->alert, DTLS_ALERT_UNKNOWN_CA);
    fx_net_free(n);
}
END_TEST

START_TEST(no_common_suite_fails)
{
    struct fx_net *n = fx_net_new(psk_end(false, "PSK-AES128-CBC-SHA256"), psk_end(true, NULL));

    fx_start(n->a);
    fx_settle(n, 3000);
    ck_assert(n->a->failed && n->b->failed);
    ck_assert_uint_eq(n->a->alert, DTLS_ALERT_HANDSHAKE_FAILURE);
    fx_net_free(n);
}
END_TEST

START_TEST(an_identity_with_a_nul_is_unknown)
{
    /* "dev-1\0x": the library's callback sees a string that ends early */
    struct fx_net *n = fx_net_new(psk_end(false, NULL), psk_end(true, NULL));
    struct trace t = {.n = {0}};

    (void)t;
    fx_set_psk(n->a, "dev-1Zx", KEY);
    fx_start(n->a);
    /* deliver by hand until the ClientKeyExchange */
    for (int turn = 0; turn < 3; turn++) {
        struct fx_wire *w = &n->ab;
        while (w->head != w->tail) {
            uint8_t *p = w->q[w->head % FX_QUEUE_MAX].bytes;
            size_t len = w->q[w->head % FX_QUEUE_MAX].len;
            uint8_t *z = memmem(p, len, "dev-1Zx", 7);
            if (z != NULL) {
                z[5] = '\0';
            }
            w->head++;
            n->b->input(n->b, p, len);
        }
        w = &n->ba;
        while (w->head != w->tail) {
            uint8_t *p = w->q[w->head % FX_QUEUE_MAX].bytes;
            n->a->input(n->a, p, w->q[w->head++ % FX_QUEUE_MAX].len);
        }
    }
    ck_assert(n->b->failed);
    ck_assert_uint_eq(n->b->psk_asked, 0);
    ck_assert_int_eq(n->b->err, DR_ERR_AUTH);
    fx_net_free(n);
}
END_TEST

/* ---- lossy wire, our clock ---- */

struct harm {
    enum fx_fate fate;
    unsigned at;
    bool done;
};

static enum fx_fate harm_one(void *data, int dir, unsigned number, uint8_t *p, size_t len)
{
    struct harm *h = data;

    (void)p;
    (void)len;
    /* numbers count both ways alike: from a even, from b odd */
    if (!h->done && number * 2 + (unsigned)dir == h->at) {
        h->done = true;
        return h->fate;
    }
    return FX_PASS;
}

#define HARMS 24

static void survive(struct fx_net *n, int i, uint64_t ms)
{
    struct harm h = {.fate = (enum fx_fate)(1 + i / HARMS), .at = (unsigned)(i % HARMS)};

    n->filter = harm_one;
    n->data = &h;
    fx_start(n->a);
    must_be_up(n, ms);
    n->filter = NULL;
    must_talk(n);
    ck_assert(!n->a->assoc.flight && !n->b->assoc.flight);
    fx_net_free(n);
}

START_TEST(psk_survives_harm_to_any_datagram)
{
    survive(fx_net_new(psk_end(false, NULL), psk_end(true, NULL)), _i, 20000);
}
END_TEST

START_TEST(certificates_survive_harm_to_any_datagram)
{
    struct fx_net *n = fx_net_new(cert_end(false, NULL), cert_end(true, NULL));

    n->a->mtu = n->b->mtu = 300; /* many datagrams */
    survive(n, _i, 20000);
}
END_TEST

static enum fx_fate lose_many(void *data, int dir, unsigned number, uint8_t *p, size_t len)
{
    uint32_t *r = data;

    (void)dir;
    (void)number;
    (void)p;
    (void)len;
    *r = *r * 1664525 + 1013904223;
    uint32_t v = *r >> 16 & 15;
    return v < 3 ? FX_DROP : v < 5 ? FX_DUP : v < 8 ? FX_DELAY : FX_PASS;
}

START_TEST(handshakes_end_on_a_bad_wire)
{
    struct fx_net *n = _i % 2 ? fx_net_new(cert_end(false, NULL), cert_end(true, NULL))
                              : fx_net_new(psk_end(false, NULL), psk_end(true, NULL));
    uint32_t seed = (uint32_t)_i * 7919 + 1;

    n->a->mtu = n->b->mtu = 500;
    n->a->timing.retransmit_max = n->b->timing.retransmit_max = 12;
    n->filter = lose_many;
    n->data = &seed;
    fx_start(n->a);
    must_be_up(n, 600000);
    n->filter = NULL;
    fx_run(n);
    must_talk(n);
    fx_net_free(n);
}
END_TEST

static enum fx_fate lose_all(void *data, int dir, unsigned number, uint8_t *p, size_t len)
{
    unsigned *count = data;

    (void)number;
    (void)p;
    (void)len;
    if (dir == 0) {
        (*count)++;
    }
    return FX_DROP;
}

START_TEST(a_client_gives_up_in_time)
{
    struct fx_net *n = fx_net_new(psk_end(false, NULL), psk_end(true, NULL));
    unsigned count = 0;

    n->filter = lose_all;
    n->data = &count;
    fx_start(n->a);
    fx_settle(n, 100000);
    ck_assert(n->a->failed);
    ck_assert_int_eq(n->a->err, DR_ERR_TIMEOUT);
    ck_assert_uint_eq(count, 5); /* at 0, 1, 3, 7 and 15 s */
    fx_net_free(n);
}
END_TEST

/* ---- after the handshake ---- */

static enum fx_fate lose_last(void *data, int dir, unsigned number, uint8_t *p, size_t len)
{
    unsigned *left = data;

    (void)number;
    /* the server's last flight: CCS, then an epoch-1 record, in one datagram */
    if (dir == 1 && p[0] == DTLS_TYPE_CCS && *left > 0) {
        ck_assert_uint_gt(len, 14 + DTLS_HEADER_LEN);
        ck_assert_uint_eq(p[14], DTLS_TYPE_HANDSHAKE);
        (*left)--;
        return FX_DROP;
    }
    return FX_PASS;
}

START_TEST(the_last_flight_is_repeated_when_lost)
{
    struct fx_net *n =
        fx_net_new(psk_end(false, _i ? "PSK-AES128-GCM-SHA256" : NULL), psk_end(true, NULL));
    unsigned left = 2;

    n->a->timer_us = FX_SHORT_US;
    n->filter = lose_last;
    n->data = &left;
    fx_start(n->a);
    fx_run(n);
    ck_assert(n->b->up && !n->a->up);
    ck_assert(dtls_assoc_has_flight(&n->b->assoc));
    must_be_up(n, 20000);
    ck_assert_uint_eq(left, 0);
    ck_assert_uint_ge(n->b->repeats, 2);
    must_talk(n);
    ck_assert(!dtls_assoc_has_flight(&n->b->assoc));
    fx_net_free(n);
}
END_TEST

START_TEST(a_replayed_finished_repeats_nothing)
{
    struct fx_net *n = fx_net_new(psk_end(false, NULL), psk_end(true, NULL));
    static uint8_t saved[FX_DGRAM_MAX];
    size_t len = 0;

    fx_start(n->a);
    must_be_up(n, 10);
    /* the datagram with the Finished still lies in the ring */
    len = n->ab.q[(n->ab.tail - 1) % FX_QUEUE_MAX].len;
    memcpy(saved, n->ab.q[(n->ab.tail - 1) % FX_QUEUE_MAX].bytes, len);
    unsigned sent = n->ba.tail;
    for (int i = 0; i < 5; i++) {
        n->b->now_ms += 5000;
        uint8_t copy[FX_DGRAM_MAX];
        memcpy(copy, saved, len);
        n->b->input(n->b, copy, len);
    }
    ck_assert_uint_eq(n->ba.tail, sent);
    ck_assert_uint_eq(n->b->repeats, 0);
    ck_assert_uint_ge(n->b->replays, 5);
    fx_net_free(n);
}
END_TEST

START_TEST(a_library_client_that_renegotiates_is_warned)
{
    struct fx_net *n = fx_net_new(psk_end(false, "PSK-AES128-CCM8"), psk_end(true, NULL));

    fx_start(n->a);
    must_be_up(n, 10);
    must_talk(n);
    ck_assert_int_eq(SSL_renegotiate(n->a->ssl), 1);
    (void)SSL_do_handshake(n->a->ssl);
    ck_assert_uint_ne(n->ab.tail, n->ab.head);
    fx_run(n);
    ck_assert_uint_eq(n->b->no_reneg, 1);
    ck_assert_uint_eq(n->a->no_reneg, 1); /* this client then gives up by itself */
    fx_net_free(n);
}
END_TEST

START_TEST(close_notify_goes_both_ways)
{
    struct fx_net *n = fx_net_new(psk_end(false, _i & 1 ? "PSK-AES128-CCM8" : NULL),
                                  psk_end(true, _i & 2 ? "PSK-AES128-CCM8" : NULL));

    if ((_i & 3) == 3) {
        fx_net_free(n);
        return;
    }
    fx_start(n->a);
    must_be_up(n, 10);
    must_talk(n);
    fx_close(_i & 4 ? n->b : n->a);
    fx_run(n);
    ck_assert(_i & 4 ? n->a->closed : n->b->closed);
    fx_net_free(n);
}
END_TEST

START_TEST(data_right_behind_the_finished_is_ours)
{
    /* a resuming client may send data in the datagram of its Finished */
    struct cx_security_config config = {.ticket_key = {1}};
    struct fx_end *s = fx_ours_new(true, &config);
    struct fx_net *n = fx_net_new(psk_end(false, NULL), s);

    fx_set_psk(s, "dev-1", KEY);
    fx_start(n->a);
    must_be_up(n, 10);
    must_talk(n);
    fx_end_reset(n->a);
    fx_end_reset(n->b);
    n->a->use_session = true;
    fx_start(n->a);
    while (!n->a->up) {
        ck_assert(n->ab.head != n->ab.tail || n->ba.head != n->ba.tail);
        if (n->ab.head != n->ab.tail) {
            struct fx_wire *w = &n->ab;
            n->b->input(n->b, w->q[w->head % FX_QUEUE_MAX].bytes, w->q[w->head % FX_QUEUE_MAX].len);
            w->head++;
        }
        if (n->ba.head != n->ba.tail) {
            struct fx_wire *w = &n->ba;
            n->a->input(n->a, w->q[w->head % FX_QUEUE_MAX].bytes, w->q[w->head % FX_QUEUE_MAX].len);
            w->head++;
        }
    }
    ck_assert(fx_send(n->a, "at once"));
    /* join the datagrams that wait */
    uint8_t joined[FX_DGRAM_MAX];
    size_t len = 0;
    while (n->ab.head != n->ab.tail) {
        unsigned at = n->ab.head++ % FX_QUEUE_MAX;
        memcpy(joined + len, n->ab.q[at].bytes, n->ab.q[at].len);
        len += n->ab.q[at].len;
    }
    n->b->input(n->b, joined, len);
    ck_assert(n->b->up && n->b->resumed);
    ck_assert_uint_eq(n->b->n_data, 1);
    ck_assert_str_eq(n->b->data[0], "at once");
    must_talk(n);
    fx_net_free(n);
}
END_TEST

/* ---- tickets ---- */

static struct fx_net *ticket_net(int i)
{
    struct cx_security_config config = {.ticket_key = {1, 2, 3}};
    bool cert = i & 1;
    struct fx_end *s, *c;

    if (cert) {
        config = with_cert(server_cert);
        config.ticket_key[0] = 1;
    }
    s = fx_ours_new(true, &config);
    fx_set_psk(s, "dev-1", KEY);
    if (cert) {
        c = cert_end(false, i & 2 ? "ECDHE-ECDSA-AES128-CCM8" : NULL);
    } else {
        c = psk_end(false, i & 2 ? "PSK-AES128-CCM8" : NULL);
    }
    return fx_net_new(c, s);
}

static void again(struct fx_net *n)
{
    n->a->use_session = true;
    fx_end_reset(n->a);
    fx_end_reset(n->b);
    fx_start(n->a);
}

START_TEST(a_ticket_resumes)
{
    struct fx_net *n = ticket_net(_i);

    fx_start(n->a);
    must_be_up(n, 10);
    ck_assert(!n->b->resumed);
    must_talk(n);
    for (int i = 0; i < 3; i++) {
        again(n);
        must_be_up(n, 10);
        ck_assert(n->a->resumed && n->b->resumed);
        ck_assert_int_eq(n->b->id.account, 7);
        ck_assert_str_eq(n->b->id.name, _i & 1 ? "device-1" : "dev-1");
        ck_assert_uint_eq(n->b->psk_asked + n->b->cert_asked, 1); /* checked again */
        must_talk(n);
    }
    fx_net_free(n);
}
END_TEST

START_TEST(the_owner_says_whom_a_credential_stands_for)
{
    struct fx_net *n = ticket_net(_i);

    n->b->answer_name = "node-7";
    fx_start(n->a);
    must_be_up(n, 10);
    ck_assert_str_eq(n->b->id.name, "node-7");
    again(n);
    must_be_up(n, 10);
    ck_assert(n->b->resumed); /* it was asked by the claimed identity */
    ck_assert_str_eq(n->b->id.name, "node-7");
    fx_net_free(n);
}
END_TEST

START_TEST(a_ticket_of_an_older_credential_is_refused)
{
    struct fx_net *n = ticket_net(_i);

    fx_start(n->a);
    must_be_up(n, 10);
    n->b->version = 2;
    again(n);
    fx_settle(n, 5000);
    ck_assert(!n->b->up && n->b->failed);
    ck_assert_int_eq(n->b->err, DR_ERR_DENIED);
    ck_assert(n->a->failed);
    /* without the ticket all is well */
    n->a->use_session = false;
    fx_end_reset(n->a);
    fx_end_reset(n->b);
    fx_start(n->a);
    must_be_up(n, 10);
    ck_assert_uint_eq(n->b->id.version, 2);
    must_talk(n);
    fx_net_free(n);
}
END_TEST

START_TEST(a_ticket_of_a_deleted_credential_is_refused)
{
    struct fx_net *n = ticket_net(_i);

    fx_start(n->a);
    must_be_up(n, 10);
    n->b->psk_identity = NULL;
    n->b->cert_verdict = DR_ERR_NOT_FOUND;
    again(n);
    fx_settle(n, 5000);
    ck_assert(!n->b->up && n->b->failed && n->a->failed);
    fx_net_free(n);
}
END_TEST

START_TEST(a_ticket_of_another_key_means_a_full_handshake)
{
    struct fx_net *n = ticket_net(_i), *m;

    fx_start(n->a);
    must_be_up(n, 10);
    m = ticket_net(_i);
    struct cx_security_config config = {.ticket_key = {9}};
    if (_i & 1) {
        config = with_cert(server_cert);
        config.ticket_key[0] = 9;
    }
    struct fx_end *s = fx_ours_new(true, &config);
    fx_set_psk(s, "dev-1", KEY);
    struct fx_net *k = fx_net_new(n->a, s);
    n->a->use_session = true;
    fx_end_reset(n->a);
    fx_start(n->a);
    must_be_up(k, 10);
    ck_assert(!k->a->resumed && !k->b->resumed);
    must_talk(k);
    k->a = NULL;
    fx_net_free(k);
    fx_net_free(n);
    fx_net_free(m);
}
END_TEST

START_TEST(the_last_flight_of_a_resuming_client_is_kept)
{
    struct fx_net *n = ticket_net(0);

    fx_start(n->a);
    must_be_up(n, 10);
    struct harm h = {.fate = FX_DROP, .at = 0};
    unsigned dropped = 0;
    for (unsigned at = 0; at < 12; at++) {
        again(n);
        h.at = 2 * n->ab.count + at; /* counts go on: aim from the client's side */
        h.done = false;
        n->filter = harm_one;
        n->data = &h;
        must_be_up(n, 20000);
        n->filter = NULL;
        must_talk(n);
        ck_assert(n->b->resumed);
        dropped += h.done;
    }
    ck_assert_uint_ge(dropped, 3);
    fx_net_free(n);
}
END_TEST

START_TEST(a_repeated_hello_repeats_a_sealed_finished)
{
    struct fx_net *n = ticket_net(0);
    struct harm h = {.fate = FX_DROP};

    fx_start(n->a);
    must_be_up(n, 10);
    n->b->timing.ack_timeout_ms = 50000; /* only the client's clock repeats anything */
    again(n);
    h.at = 2 * n->ba.count + 3; /* the flight with the server's Finished */
    n->filter = harm_one;
    n->data = &h;
    fx_run(n);
    ck_assert(h.done && !n->a->up && !n->b->up && n->b->hs != NULL);
    must_be_up(n, 3000);
    ck_assert(n->b->resumed);
    must_talk(n);
    fx_net_free(n);
}
END_TEST

/* ---- material ---- */

START_TEST(bad_material_is_refused)
{
    struct cx_security *s = NULL;
    struct dr_errinfo info;
    const struct cx_anchor junk = {.der = (const uint8_t *)"junk", .len = 4};
    const struct cx_security_config configs[] = {
        {.cert_pem = server_cert->cert_pem},
        {.cert_pem = "nonsense", .key_pem = server_cert->key_pem},
        {.cert_pem = server_cert->cert_pem, .key_pem = "nonsense"},
        {.cert_pem = server_cert->cert_pem, .key_pem = device->key_pem},
        {.anchors = &junk, .n_anchors = 1},
    };

    for (size_t i = 0; i < DR_ARRAY_LEN(configs); i++) {
        memset(&info, 0, sizeof info);
        ck_assert_int_eq(cx_security_new(&configs[i], &s, &info), DR_ERR_INVAL);
        ck_assert_ptr_null(s);
        ck_assert_str_ne(info.text, "");
    }
}
END_TEST

START_TEST(a_client_without_credentials_cannot_begin)
{
    struct cx_security_config config = {.client = true};
    struct cx_security *s = NULL;
    struct dtls_crypto *c = NULL;
    struct dtls_handshake *hs = NULL;

    ck_assert_int_eq(cx_security_new(&config, &s, NULL), DR_OK);
    ck_assert_int_eq(dtls_crypto_new(&c), DR_OK);
    struct dtls_handshake_config hc = {.security = s};
    ck_assert_int_eq(dtls_handshake_client(&hc, c, 0, &hs), DR_ERR_INVAL);
    hc.psk_identity = "x";
    ck_assert_int_eq(dtls_handshake_client(&hc, c, 0, &hs), DR_ERR_INVAL);
    ck_assert_ptr_null(hs);
    dtls_crypto_free(c);
    cx_security_unref(s);
}
END_TEST

START_TEST(the_server_says_the_time)
{
    /* spec: RFC5246#7.4.1.2: a device without a clock takes it from ServerHello.random */
    struct fx_net *n = fx_net_new(psk_end(false, "PSK-AES128-CCM8"), psk_end(true, NULL));
    uint8_t random[32];

    fx_start(n->a);
    must_be_up(n, 10);
    ck_assert_uint_eq(SSL_get_server_random(n->a->ssl, random, 32), 32);
    int64_t said = (int64_t)random[0] << 24 | random[1] << 16 | random[2] << 8 | random[3];
    ck_assert_int_le(llabs(said - (int64_t)time(NULL)), 5);
    fx_net_free(n);
}
END_TEST

static TCase *tcase(Suite *s, const char *name)
{
    TCase *t = tcase_create(name);

    tcase_add_checked_fixture(t, certs_up, certs_down);
    tcase_set_timeout(t, 60);
    suite_add_tcase(s, t);
    return t;
}

int main(void)
{
    Suite *s = suite_create("dtls_handshake");
    TCase *t = tcase(s, "peers");
    tcase_add_loop_test(t, every_suite_works_with_every_peer, 0, DR_ARRAY_LEN(pairs));
    tcase_add_loop_test(t, a_server_with_certificates_still_takes_a_psk, 0, 2);
    tcase_add_loop_test(t, the_owner_may_take_its_time, 0, 2);
    tcase_add_test(t, the_server_says_the_time);
    t = tcase(s, "refused");
    tcase_add_loop_test(t, an_unknown_identity_looks_like_a_wrong_key, 0, 2);
    tcase_add_test(t, a_server_with_the_wrong_key_is_no_server);
    tcase_add_loop_test(t, a_certificate_is_refused_with_the_right_alert, 0, DR_ARRAY_LEN(refused));
    tcase_add_test(t, a_client_without_a_certificate_is_refused);
    tcase_add_loop_test(t, trust_may_be_asked_instead_of_anchors, 0, 2);
    tcase_add_test(t, a_client_checks_its_server);
    tcase_add_test(t, no_common_suite_fails);
    tcase_add_test(t, an_identity_with_a_nul_is_unknown);
    t = tcase(s, "wire");
    tcase_add_loop_test(t, psk_survives_harm_to_any_datagram, 0, 3 * HARMS);
    tcase_add_loop_test(t, certificates_survive_harm_to_any_datagram, 0, 3 * HARMS);
    tcase_add_loop_test(t, handshakes_end_on_a_bad_wire, 0, 40);
    tcase_add_test(t, a_client_gives_up_in_time);
    t = tcase(s, "after");
    tcase_add_loop_test(t, the_last_flight_is_repeated_when_lost, 0, 2);
    tcase_add_test(t, a_replayed_finished_repeats_nothing);
    tcase_add_test(t, a_library_client_that_renegotiates_is_warned);
    tcase_add_loop_test(t, close_notify_goes_both_ways, 0, 8);
    tcase_add_test(t, data_right_behind_the_finished_is_ours);
    t = tcase(s, "tickets");
    tcase_add_loop_test(t, a_ticket_resumes, 0, 4);
    tcase_add_loop_test(t, the_owner_says_whom_a_credential_stands_for, 0, 4);
    tcase_add_loop_test(t, a_ticket_of_an_older_credential_is_refused, 0, 4);
    tcase_add_loop_test(t, a_ticket_of_a_deleted_credential_is_refused, 0, 4);
    tcase_add_loop_test(t, a_ticket_of_another_key_means_a_full_handshake, 0, 4);
    tcase_add_test(t, the_last_flight_of_a_resuming_client_is_kept);
    tcase_add_test(t, a_repeated_hello_repeats_a_sealed_finished);
    t = tcase(s, "material");
    tcase_add_test(t, bad_material_is_refused);
    tcase_add_test(t, a_client_without_credentials_cannot_begin);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed;
}
