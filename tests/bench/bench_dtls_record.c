/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/bench/bench_dtls_record.c
 * @brief CPU of a record (seal, open), of a PSK handshake's server side, and heap of a half-open
 * one.
 *
 * Usage: bench_dtls_record [ROUNDS]. One JSON object a line. Every record is of another
 * association, so that a key is set for each, and the associations do not fit the cache.
 */
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "coap/dtls_handshake.h"
#include "coap/dtls_security.h"

#define ASSOCS      100000
#define PAYLOAD_LEN 30
#define HALF_OPEN   200
#define SLICE       1000

static const uint8_t addr[6] = {127, 0, 0, 1, 0, 1};
static const uint8_t psk[16] = "sixteen bytes!!";

static void pair_set(struct dtls_assoc *a, enum dtls_suite suite)
{
    for (int i = 0; i < ASSOCS; i++) {
        struct dtls_assoc *tx = &a[i], *rx = &a[ASSOCS + i];
        tx->suite = rx->suite = (uint8_t)suite;
        memcpy(tx->tx_key, &i, sizeof i);
        memcpy(rx->rx_key, &i, sizeof i);
    }
}

/* Slices of SLICE records, each of another association; the best slice counts, since others share
 * the machine. */
static bool bench_record(struct dtls_crypto *c, enum dtls_suite suite, const char *name, int rounds)
{
    static uint8_t buf[SLICE][128];
    static size_t len[SLICE];
    struct dtls_assoc *a = calloc(2 * ASSOCS, sizeof *a);
    uint64_t seal_ns = UINT64_MAX, open_ns = UINT64_MAX;
    bool ok = a != NULL;

    if (ok) {
        pair_set(a, suite);
    }
    for (int n = 0; ok && n < rounds; n += SLICE) {
        uint64_t t0 = dr_clock_ns(CLOCK_THREAD_CPUTIME_ID);
        for (int i = 0; i < SLICE; i++) {
            struct dtls_assoc *tx = &a[(n + i) % ASSOCS];
            ok &= dtls_assoc_seal(tx, c, DTLS_TYPE_DATA, buf[i], PAYLOAD_LEN, &len[i]) == DR_OK;
        }
        uint64_t t1 = dr_clock_ns(CLOCK_THREAD_CPUTIME_ID);
        for (int i = 0; i < SLICE; i++) {
            struct dtls_record rec;
            struct dtls_input in = {.got = DTLS_GOT_BAD};
            size_t off = 0;
            if (dtls_record_next(buf[i], len[i], &off, &rec)) {
                dtls_assoc_input(&a[ASSOCS + (n + i) % ASSOCS], c, &rec, 0, &in);
            }
            ok &= in.got == DTLS_GOT_DATA;
        }
        uint64_t t2 = dr_clock_ns(CLOCK_THREAD_CPUTIME_ID);
        seal_ns = t1 - t0 < seal_ns ? t1 - t0 : seal_ns;
        open_ns = t2 - t1 < open_ns ? t2 - t1 : open_ns;
    }
    if (ok) {
        printf("{\"bench\":\"dtls_record\",\"case\":\"%s\",\"seal_ns\":%.0f,\"open_ns\":%.0f}\n",
               name, (double)seal_ns / SLICE, (double)open_ns / SLICE);
    }
    free(a);
    return ok;
}

struct pair {
    struct cx_security *server, *client;
    struct dtls_crypto *c;
    uint64_t server_ns;
};

static struct dtls_handshake *server_begin(struct pair *p, const uint8_t *d, size_t len,
                                           uint8_t *answer, size_t *answer_len)
{
    struct dtls_hello hello;
    struct dtls_handshake *hs = NULL;
    const uint8_t *key = dtls_security_cookie_key(p->server);
    struct dtls_handshake_config config = {.security = p->server, .wall_ms = 1};

    if (dtls_hello_parse(d, len, &hello) != DR_OK) {
        return NULL;
    }
    if (!dtls_cookie_ok(p->c, key, &hello, addr, sizeof addr, 0)) {
        *answer_len = dtls_hello_verify_make(p->c, key, &hello, addr, sizeof addr, 0, answer);
        return NULL;
    }
    return dtls_handshake_server(&config, p->c, d, len, &hello, 0, &hs) == DR_OK ? hs : NULL;
}

/* Both sides through; stops half-way if ret is not NULL. False on failure. */
static bool shake(struct pair *p, struct dtls_handshake **ret)
{
    const struct cx_identity id = {.account = 1, .name = "dev"};
    struct dtls_handshake_config config = {
        .security = p->client, .psk_identity = "dev", .psk_key = psk, .psk_key_len = 16};
    struct dtls_handshake *cl, *sv = NULL;
    struct dtls_assoc a;
    struct cx_identity who;
    uint8_t d[2048];
    size_t n;
    bool done = false;

    if (dtls_handshake_client(&config, p->c, 0, &cl) != DR_OK) {
        return false;
    }
    for (int turn = 0; turn < 8 && !done; turn++) {
        while ((n = dtls_handshake_output(cl, d, sizeof d)) != 0) {
            uint8_t answer[DTLS_HELLO_VERIFY_LEN];
            size_t answer_len = 0;
            uint64_t ns = dr_clock_ns(CLOCK_THREAD_CPUTIME_ID);
            if (sv == NULL) {
                sv = server_begin(p, d, n, answer, &answer_len);
            } else {
                dtls_handshake_input(sv, d, n);
                if (dtls_handshake_step(sv, p->c, 0) == DTLS_HS_ASK_PSK) {
                    dtls_handshake_answer_psk(sv, psk, sizeof psk, &id);
                    (void)dtls_handshake_step(sv, p->c, 0);
                }
            }
            p->server_ns += dr_clock_ns(CLOCK_THREAD_CPUTIME_ID) - ns;
            if (answer_len != 0) {
                dtls_handshake_input(cl, answer, answer_len);
            }
        }
        if (ret != NULL && sv != NULL) {
            *ret = sv;
            dtls_handshake_free(cl);
            return true;
        }
        uint64_t ns = dr_clock_ns(CLOCK_THREAD_CPUTIME_ID);
        while (sv != NULL && (n = dtls_handshake_output(sv, d, sizeof d)) != 0) {
            dtls_handshake_input(cl, d, n);
        }
        p->server_ns += dr_clock_ns(CLOCK_THREAD_CPUTIME_ID) - ns;
        done = dtls_handshake_step(cl, p->c, 0) == DTLS_HS_DONE;
    }
    done = done && sv != NULL && dtls_handshake_state(sv) == DTLS_HS_DONE;
    uint64_t ns = dr_clock_ns(CLOCK_THREAD_CPUTIME_ID);
    if (done) {
        dtls_handshake_takeover(sv, &a, &who);
        dtls_assoc_fini(&a);
    }
    dtls_handshake_free(sv);
    p->server_ns += dr_clock_ns(CLOCK_THREAD_CPUTIME_ID) - ns;
    dtls_handshake_free(cl);
    return done;
}

static void bench_handshake(struct dtls_crypto *c, int rounds)
{
    struct cx_security_config config = {.client = false};
    struct pair p = {.c = c};
    static struct dtls_handshake *half[HALF_OPEN];
    int n = 0;

    if (cx_security_new(&config, &p.server, NULL) != DR_OK) {
        return;
    }
    config.client = true;
    if (cx_security_new(&config, &p.client, NULL) == DR_OK) {
        while (n < rounds && shake(&p, NULL)) {
            n++;
        }
        if (n == rounds) {
            printf("{\"bench\":\"dtls_handshake\",\"case\":\"psk server side\",\"us\":%.1f}\n",
                   (double)p.server_ns / n / 1000);
        }
        struct mallinfo2 before = mallinfo2();
        for (n = 0; n < HALF_OPEN && shake(&p, &half[n]); n++) {
        }
        struct mallinfo2 after = mallinfo2();
        printf("{\"bench\":\"dtls_handshake\",\"case\":\"half open\",\"heap_bytes\":%zu}\n",
               (after.uordblks - before.uordblks) / HALF_OPEN);
        while (n > 0) {
            n--;
            half[n] = dtls_handshake_free(half[n]);
        }
    }
    p.client = cx_security_unref(p.client);
    p.server = cx_security_unref(p.server);
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 300000;
    struct dtls_crypto *c;

    if (rounds <= 0 || dtls_crypto_new(&c) != DR_OK) {
        return 1;
    }
    bool ok = bench_record(c, DTLS_AES128_CCM8, "AES-128-CCM-8", rounds) &&
              bench_record(c, DTLS_AES128_CCM, "AES-128-CCM", rounds) &&
              bench_record(c, DTLS_AES128_GCM, "AES-128-GCM", rounds) &&
              bench_record(c, DTLS_AES256_GCM, "AES-256-GCM", rounds);
    bench_handshake(c, rounds / 100);
    dtls_crypto_free(c);
    return ok ? 0 : 1;
}
