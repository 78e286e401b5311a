/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/integ/coap/rig.h
 * @brief A server's and a client's engine on one loop, over loopback sockets.
 *
 * The server knows the identities "dev-…" with a key of 16 digits 7, except that "slow-…" is
 * answered when the test says so and "wrong-…" gets another key. Its resources: /echo   2.05 with
 * the request's payload     /big    2.05 with BIG_LEN bytes /later  left open in rig.later
 * /end    2.04, then the peer is closed
 */
#pragma once

#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/loop.h"
#include "coap/engine.h"

#define BIG_LEN   5000
#define WAIT_MS   5000
#define RIG_CALLS 64

extern const uint8_t rig_key[16];
/** Of calls from now on; NULL is the default. */
extern const struct cx_timing *rig_timing;

struct rig_side {
    struct rig *rig;
    struct cx_engine *engine;
    struct cx_security *security;
    unsigned requests, notifications, gone, psk_asked;
    cx_peer_t last_peer;
    cx_peer_t gone_peer;
    uint64_t gone_user;
    enum cx_gone gone_why;
    uint64_t psk_handle;
    dr_err_t cert_verdict; /* of the next certificate */
    uint64_t cert_tag;
    unsigned certs_asked;
    struct cx_identity who; /* of the last request; the name is in who_name */
    char who_name[CX_IDENTITY_MAX + 1];
    bool accept_notify;
    size_t body_len; /* of the last request or notification */
    bool closed;
};

struct rig_call {
    struct cx_call call;
    unsigned done;
    dr_err_t err;
    uint8_t code;
    size_t len;
    uint8_t body[BIG_LEN + 1];
};

struct rig {
    struct loop *loop;
    struct loop_timer tick;
    struct rig_side server, client;
    union cx_addr plain, secure; /* of the server */
    union cx_addr tcp, tls;      /* the same for streams, after rig_listen */
    cx_exchange_t later;
    unsigned connects;
    dr_err_t connect_err;
    cx_peer_t connected_peer;
    struct rig_call calls[RIG_CALLS];
};

/** Both engines with their sockets; NULL limits are the defaults. */
void rig_init(struct rig *r, const struct cx_limits *server_limits,
              const struct cx_limits *client_limits);
/** New handshakes of both engines use other material from now on. */
void rig_reload(struct rig *r, const struct cx_security_config *server,
                const struct cx_security_config *client);
/** Close both engines and free everything. */
void rig_fini(struct rig *r);
/** Close one engine and free it. */
void rig_close(struct rig_side *side);

#define RIG_UNTIL(r, cond)                                                                         \
    do {                                                                                           \
        uint64_t rig_end_ = dr_mono_ms() + WAIT_MS;                                                \
        while (!(cond)) {                                                                          \
            ck_assert_msg(dr_mono_ms() < rig_end_, "waited in vain for: %s", #cond);               \
            loop_run_once((r)->loop, true);                                                        \
        }                                                                                          \
    } while (0)

/** Let @p ms pass. */
void rig_pause(struct rig *r, unsigned ms);

/** Begin a connection from 127.0.1.@p host. @p identity NULL: UDP. */
cx_peer_t rig_connect_start(struct rig *r, unsigned host, const char *identity);
/** As it would be done by rig_connect_start, for changes; identity RIG_CERT is a certificate. */
struct cx_connect rig_connect_args(struct rig *r, unsigned host, const char *identity);
#define RIG_CERT "certificate"
/** Let the server listen for streams. */
void rig_listen(struct rig *r);
/** As rig_connect_args, for a stream. */
struct cx_connect rig_stream_args(struct rig *r, unsigned host, const char *identity,
                                  enum cx_framing framing);
/** As rig_connect, for a stream. */
cx_peer_t rig_stream(struct rig *r, unsigned host, const char *identity, enum cx_framing framing);
/** Begin what @p c says. */
cx_peer_t rig_connect_with(struct rig *r, const struct cx_connect *c);
/** The same, and wait; asserts that it works. */
cx_peer_t rig_connect(struct rig *r, unsigned host, const char *identity);

/** Begin a request; @p path is one segment. */
struct rig_call *rig_call_start(struct cx_engine *e, struct rig_call *c, cx_peer_t peer,
                                uint8_t code, const char *path, const void *body, size_t len);
/** The same, and wait. */
struct rig_call *rig_call(struct rig *r, struct cx_engine *e, cx_peer_t peer, uint8_t code,
                          const char *path, const void *body, size_t len);

struct cx_stats rig_stats(const struct cx_engine *e);
/** BIG_LEN bytes of a pattern. */
const uint8_t *rig_big(void);
