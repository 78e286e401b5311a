/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/unit/coap/dtls_fixture.h
 * @brief Two DTLS endpoints and a wire between them, in memory: ours and the library's own.
 *
 * Certificates are made at run time. Time is a number that the test moves; the library's own
 * endpoint has a clock of its own, so its timers are real:
 * out of the way unless a test sets timer_us to FX_SHORT_US.
 */
#pragma once

#include <openssl/ssl.h>

#include "coap/dtls_handshake.h"
#include "coap/dtls_security.h"

#define FX_QUEUE_MAX 256
#define FX_DGRAM_MAX 4096
#define FX_DATA_MAX  16
#define FX_SHORT_US  30000

/* A datagram queue: one direction of the wire. */
struct fx_wire {
    struct {
        size_t len;
        uint8_t bytes[FX_DGRAM_MAX];
    } q[FX_QUEUE_MAX];
    unsigned head, tail;
    unsigned count; /* ever sent */
};

void fx_wire_put(struct fx_wire *w, const uint8_t *p, size_t len);

/* A certificate authority or a leaf, with its key. */
struct fx_cert {
    X509 *x509;
    EVP_PKEY *key;
    char *cert_pem; /* leaf, then the rest of the chain */
    char *key_pem;
    uint8_t *der;
    size_t der_len;
};

/* issuer NULL = self-signed; from and to are days relative to now */
struct fx_cert *fx_cert_new(const char *cn, const struct fx_cert *issuer, bool ca, int from,
                            int to);
struct fx_cert *fx_cert_free(struct fx_cert *c);

struct fx_end {
    bool server;
    struct fx_wire *out;
    void (*input)(struct fx_end *e, uint8_t *p, size_t len);
    void (*tick)(struct fx_end *e);
    uint64_t now_ms;

    /* state */
    bool up;
    bool failed;
    dr_err_t err;
    bool closed;
    uint8_t alert; /* fatal alert that came in (library's endpoint: description) */
    unsigned repeats, replays, bad, no_reneg, hello_verifies;
    char data[FX_DATA_MAX][64]; /* application data that came in */
    unsigned n_data;

    /* ours */
    struct cx_security *sec;
    struct dtls_crypto *crypto;
    struct dtls_handshake *hs;
    struct dtls_assoc assoc;
    struct cx_identity id;
    char name[CX_IDENTITY_MAX + 1];
    bool resumed;
    char suite[48];
    uint16_t mtu;
    uint8_t session[4096]; /* client */
    size_t session_len;
    bool use_session;
    struct cx_timing timing;
    bool hold_answer; /* the owner takes its time: answer by fx_answer */

    /* credentials: what a server's owner knows, what a client uses */
    const char *psk_identity;
    const char *answer_name; /* what the owner makes of it; NULL = what was claimed */
    uint8_t psk_key[32];
    size_t psk_len;
    uint32_t version;
    dr_err_t cert_verdict;
    unsigned psk_asked, cert_asked;
    uint64_t cert_tag;
    char cert_cn[CX_IDENTITY_MAX + 1];

    /* the library's */
    SSL_CTX *ctx;
    SSL *ssl;
    BIO_METHOD *bio;
    const uint8_t *feed;
    size_t feed_len;
    SSL_SESSION *ssl_session;
    unsigned timer_us; /* real time */
};

struct fx_end *fx_ours_new(bool server, const struct cx_security_config *config);
/* suites in the library's syntax; own and trusted may be NULL */
struct fx_end *fx_lib_new(bool server, const char *suites, const struct fx_cert *own,
                          const struct fx_cert *trusted);
struct fx_end *fx_end_free(struct fx_end *e);
/* Forget the connection, keep the credentials (a new handshake can begin). */
void fx_end_reset(struct fx_end *e);
void fx_set_psk(struct fx_end *e, const char *identity, const char *key);

/* Client: begin. */
void fx_start(struct fx_end *e);
void fx_answer(struct fx_end *e);
bool fx_send(struct fx_end *e, const char *text);
void fx_close(struct fx_end *e);

/* What the wire does to a datagram, by direction (0: from a) and number. */
enum fx_fate { FX_PASS, FX_DROP, FX_DUP, FX_DELAY };
typedef enum fx_fate fx_filter(void *data, int dir, unsigned number, uint8_t *p, size_t len);

struct fx_net {
    struct fx_end *a, *b;
    struct fx_wire ab, ba;
    uint64_t now_ms;
    fx_filter *filter;
    void *data;
};

struct fx_net *fx_net_new(struct fx_end *a, struct fx_end *b);
struct fx_net *fx_net_free(struct fx_net *n);
/* Deliver until nothing is under way. */
void fx_run(struct fx_net *n);
/* Deliver and let time pass until both are up, one has failed, or max_ms have gone by. */
void fx_settle(struct fx_net *n, uint64_t max_ms);
