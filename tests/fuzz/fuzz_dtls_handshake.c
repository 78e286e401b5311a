/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/fuzz/fuzz_dtls_handshake.c
 * @brief Datagrams into handshakes of both roles: true ones, bent ones, and the input's own.
 *
 * The input is a list of operations, a byte each and what follows it:
 *   0 deliver the next datagram to the server     4 owner answers (next byte: known or not)
 *   1 deliver it bent: position 2, value 1        5 time passes: next byte times 100 ms
 *   2 lose it                                     6 the input's bytes to the server: length 1
 *   3 deliver the next datagram to the client     7 the same to the client
 *   8 deliver to the client bent: position 2, value 1
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "coap/dtls_handshake.h"
#include "coap/dtls_security.h"

#define OPS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct side {
    struct dtls_handshake *hs;
    uint8_t out[2048];
    size_t out_len;
};

struct game {
    struct cx_security *server_sec, *client_sec;
    struct dtls_crypto *c;
    struct side server, client;
    uint64_t now_ms;
};

static const uint8_t psk[16] = "fuzz key 16 byte";
static const uint8_t addr[6] = {1};

/* Next datagram of a side; false if there is none. */
static bool next(struct side *s)
{
    if (s->hs != NULL && s->out_len == 0) {
        s->out_len = dtls_handshake_output(s->hs, s->out, sizeof s->out);
    }
    return s->out_len != 0;
}

static void settle(struct game *g, struct side *s)
{
    struct dtls_assoc a;
    struct cx_identity id;
    size_t len;

    if (s->hs == NULL) {
        return;
    }
    if (dtls_handshake_state(s->hs) == DTLS_HS_DONE) {
        while (next(s)) { /* the last flight */
            s->out_len = 0;
        }
        dtls_handshake_takeover(s->hs, &a, &id);
        struct dtls_record rec;
        struct dtls_input in;
        size_t off = 0;
        uint8_t *p = dtls_handshake_leftover(s->hs, &len);
        while (dtls_record_next(p, len, &off, &rec)) {
            dtls_assoc_input(&a, g->c, &rec, g->now_ms, &in);
        }
        dtls_assoc_fini(&a);
        s->hs = dtls_handshake_free(s->hs);
    } else if (dtls_handshake_state(s->hs) == DTLS_HS_FAILED) {
        dr_assert(dtls_handshake_error(s->hs) != DR_OK);
        s->hs = dtls_handshake_free(s->hs);
    }
}

static void to_server(struct game *g, const uint8_t *p, size_t len)
{
    struct side *s = &g->server;
    struct dtls_handshake_config config = {.security = g->server_sec, .wall_ms = 1};
    struct dtls_hello hello;

    if (s->hs != NULL) {
        dtls_handshake_input(s->hs, p, len);
        (void)dtls_handshake_step(s->hs, g->c, g->now_ms);
    } else if (dtls_hello_parse(p, len, &hello) == DR_OK) {
        const uint8_t *key = dtls_security_cookie_key(g->server_sec);
        if (dtls_cookie_ok(g->c, key, &hello, addr, sizeof addr, 0)) {
            if (dtls_handshake_server(&config, g->c, p, len, &hello, g->now_ms, &s->hs) != DR_OK) {
                s->hs = NULL;
            }
        } else if (s->out_len == 0) {
            s->out_len = dtls_hello_verify_make(g->c, key, &hello, addr, sizeof addr, 0, s->out);
        }
    }
    settle(g, s);
}

static void to_client(struct game *g, const uint8_t *p, size_t len)
{
    if (g->client.hs != NULL) {
        dtls_handshake_input(g->client.hs, p, len);
        (void)dtls_handshake_step(g->client.hs, g->c, g->now_ms);
        settle(g, &g->client);
    }
}

static void owner(struct game *g, uint8_t how)
{
    const struct cx_identity id = {.account = 1, .name = "x"};
    struct dtls_handshake *hs = g->server.hs;

    if (hs != NULL && dtls_handshake_state(hs) == DTLS_HS_ASK_PSK) {
        dr_assert(strlen(dtls_handshake_identity(hs)) <= CX_IDENTITY_MAX);
        dtls_handshake_answer_psk(hs, how & 1 ? NULL : psk, how & 1 ? 0 : sizeof psk, &id);
        (void)dtls_handshake_step(hs, g->c, g->now_ms);
        settle(g, &g->server);
    }
}

static void expire(struct game *g, struct side *s)
{
    if (s->hs != NULL) {
        (void)dtls_handshake_expire(s->hs, g->c, g->now_ms);
        settle(g, s);
    }
}

static void deliver(struct game *g, struct dr_rd *rd, struct side *from, bool bent)
{
    uint16_t at = bent ? dr_rd_u16(rd) : 0;
    uint8_t value = bent ? dr_rd_u8(rd) : 0;
    uint8_t copy[2048];

    if (!next(from)) {
        return;
    }
    size_t len = from->out_len;
    memcpy(copy, from->out, len);
    from->out_len = 0;
    copy[at % len] ^= value;
    if (from == &g->client) {
        to_server(g, copy, len);
    } else {
        to_client(g, copy, len);
    }
}

static void op(struct game *g, struct dr_rd *rd)
{
    uint8_t what = dr_rd_u8(rd) % 9;
    struct dr_bytes b;

    switch (what) {
    case 0:
    case 1:
        deliver(g, rd, &g->client, what == 1);
        break;
    case 2:
        if (next(&g->client)) {
            g->client.out_len = 0;
        }
        break;
    case 3:
    case 8:
        deliver(g, rd, &g->server, what == 8);
        break;
    case 4:
        owner(g, dr_rd_u8(rd));
        break;
    case 5:
        g->now_ms += 100U * dr_rd_u8(rd);
        expire(g, &g->server);
        expire(g, &g->client);
        break;
    default:
        b = dr_rd_bytes(rd, dr_rd_u8(rd));
        if (b.len != 0 && what == 6) {
            to_server(g, b.p, b.len);
        } else if (b.len != 0) {
            to_client(g, b.p, b.len);
        }
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct game g;
    struct dr_rd rd = dr_rd_of(data, len);

    if (g.c == NULL) {
        const struct cx_security_config server = {.ticket_key = {1}}, client = {.client = true};
        dr_assert(dtls_crypto_new(&g.c) == DR_OK);
        dr_assert(cx_security_new(&server, &g.server_sec, NULL) == DR_OK);
        dr_assert(cx_security_new(&client, &g.client_sec, NULL) == DR_OK);
    }
    struct dtls_handshake_config config = {.security = g.client_sec,
                                           .psk_identity = "fuzz",
                                           .psk_key = psk,
                                           .psk_key_len = sizeof psk};
    g.now_ms = 1;
    g.server.out_len = g.client.out_len = 0;
    if (dtls_handshake_client(&config, g.c, g.now_ms, &g.client.hs) != DR_OK) {
        return 0;
    }
    for (int i = 0; i < OPS_MAX && dr_rd_left(&rd) != 0 && dr_rd_ok(&rd); i++) {
        op(&g, &rd);
    }
    g.server.hs = dtls_handshake_free(g.server.hs);
    g.client.hs = dtls_handshake_free(g.client.hs);
    return 0;
}
