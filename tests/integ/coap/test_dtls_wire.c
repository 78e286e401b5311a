/* SPDX-License-Identifier: Apache-2.0 */
/* The library's own DTLS client and server against ours on a wire that harms one datagram after the
 * other. Their timers run on real time (16 ms), ours on the test's. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/coap/dtls_fixture.h"

#define KEY       "0123456789abcdef"
#define POSITIONS 14

static struct fx_cert *ca, *server_cert, *device;
static struct cx_anchor anchor;

static void up(void)
{
    ca = fx_cert_new("authority", NULL, true, -10, 100);
    server_cert = fx_cert_new("server", ca, false, -1, 50);
    device = fx_cert_new("device-1", ca, false, -1, 50);
    anchor = (struct cx_anchor){.der = ca->der, .len = ca->der_len, .tag = 1};
}

static void down(void)
{
    ca = fx_cert_free(ca);
    server_cert = fx_cert_free(server_cert);
    device = fx_cert_free(device);
}

static struct fx_end *end_new(bool server, bool lib, bool cert)
{
    const struct fx_cert *own = server ? server_cert : device;
    struct cx_security_config config = {0};
    struct fx_end *e;

    if (cert) {
        config = (struct cx_security_config){
            .cert_pem = own->cert_pem, .key_pem = own->key_pem, .anchors = &anchor, .n_anchors = 1};
    }
    if (lib) {
        e = fx_lib_new(server, cert ? "ECDHE-ECDSA-AES128-CCM8" : "PSK-AES128-CCM8",
                       cert ? own : NULL, cert ? ca : NULL);
        e->timer_us = FX_SHORT_US;
    } else {
        e = fx_ours_new(server, &config);
        e->timing = (struct cx_timing){.ack_timeout_ms = 1000, .retransmit_max = 8};
    }
    if (!cert) {
        fx_set_psk(e, "dev-1", KEY);
    }
    return e;
}

struct harm {
    enum fx_fate fate;
    int dir;
    unsigned at, count;
};

static enum fx_fate harm_one(void *data, int dir, unsigned number, uint8_t *p, size_t len)
{
    struct harm *h = data;

    (void)number;
    (void)p;
    (void)len;
    return dir == h->dir && h->count++ == h->at ? h->fate : FX_PASS;
}

/* _i: position, fate, direction, who is the library's, PSK or certificate */
START_TEST(harm_to_one_datagram_is_survived)
{
    int i = _i;
    struct harm h = {.at = (unsigned)(i % POSITIONS)};
    i /= POSITIONS;
    h.fate = (enum fx_fate)(1 + i % 3);
    i /= 3;
    h.dir = i % 2;
    i /= 2;
    bool lib_client = i % 2, cert = i / 2 % 2;
    struct fx_net *n =
        fx_net_new(end_new(false, lib_client, cert), end_new(true, !lib_client, cert));

    n->a->mtu = n->b->mtu = cert ? 400 : 0;
    n->filter = harm_one;
    n->data = &h;
    fx_start(n->a);
    fx_settle(n, 60000);
    ck_assert_msg(n->a->up && n->b->up, "client %d/%d, server %d/%d", n->a->up, n->a->failed,
                  n->b->up, n->b->failed);
    n->filter = NULL;
    ck_assert(fx_send(n->a, "question"));
    fx_run(n);
    ck_assert(fx_send(n->b, "answer"));
    fx_run(n);
    ck_assert_str_eq(n->b->data[0], "question");
    ck_assert_str_eq(n->a->data[0], "answer");
    fx_net_free(n);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("dtls_wire");
    TCase *t = tcase_create("harm");
    tcase_add_checked_fixture(t, up, down);
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, harm_to_one_datagram_is_survived, 0, POSITIONS * 3 * 2 * 2 * 2);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed;
}
