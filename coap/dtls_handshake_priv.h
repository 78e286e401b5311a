/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  coap/dtls_handshake_priv.h
 * @brief Inside of a handshake, shared by dtls_handshake.c, dtls_flight.c and dtls_hooks.c.
 *
 * Layer: coap.  Threads: as dtls_handshake.h.  Memory: as dtls_handshake.h.  Limits: see there.
 * Security: holds a PSK and the keys of epoch 1.  Spec: RFC6347#4.2.
 */
#pragma once

#include <openssl/ssl.h>

#include "base/buf.h"
#include "coap/dtls_claim.h"
#include "coap/dtls_handshake.h"
#include "coap/dtls_security.h"

#define DTLS_MSG_CLIENT_HELLO        1
#define DTLS_MSG_CLIENT_KEY_EXCHANGE 16
#define DTLS_MSG_FINISHED            20
#define DTLS_MSG_HEADER_LEN          12

struct dtls_handshake {
    SSL *ssl;                /* owned */
    struct cx_security *sec; /* referenced */
    enum dtls_hs_state state;
    dr_err_t err; /* of FAILED */
    bool client;
    bool heavy;
    bool resumed;
    uint16_t mtu;
    uint64_t wall_ms;

    /* in */
    struct dtls_pipe pipe;     /* one record at a time */
    struct dr_dynbuf in;       /* whole records, not looked at yet */
    struct dr_dynbuf early;    /* records of epoch 1 that came before the keys */
    struct dr_dynbuf leftover; /* application records, and all behind the Finished */
    uint8_t client_random[32];

    /* out */
    struct dr_dynbuf flight; /* records of the current flight */
    size_t flight_off;       /* sent up to here */
    uint64_t tx0_next;       /* next sequence number of epoch 0 */
    bool tx1;                /* something of epoch 1 was sent */

    /* time */
    uint64_t deadline_ms;
    uint64_t sent_ms; /* when the flight was made or repeated */
    uint64_t timeout_ms;
    uint32_t first_timeout_ms;
    unsigned tries_left;
    unsigned tries_max;

    /* keys */
    bool has_keys;
    struct dtls_assoc assoc;

    /* who */
    struct dtls_claim claim;
    struct dtls_stored ticket;
};

/* ---- dtls_hooks.c: what the library calls ---- */

void dtls_hooks_install(SSL_CTX *ctx, bool client, bool psk);
unsigned int dtls_timer_never(SSL *ssl, unsigned int us);

/* ---- dtls_flight.c: what goes out ---- */

/** Take what the library has written as a new flight (if it wrote anything). */
DR_CHECK dr_err_t dtls_flight_collect(struct dtls_handshake *hs, uint64_t now_ms);
/** Make the flight anew with fresh sequence numbers, to be sent again. */
DR_CHECK dr_err_t dtls_flight_repeat(struct dtls_handshake *hs, struct dtls_crypto *c,
                                     uint64_t now_ms);
/** A fatal alert of ours becomes the flight; best effort. */
void dtls_flight_alert(struct dtls_handshake *hs, struct dtls_crypto *c, uint8_t description);
/** Hand the current flight to the association, as datagrams. */
DR_CHECK dr_err_t dtls_flight_keep(struct dtls_handshake *hs);

/* ---- dtls_owner.c: who the peer is ---- */

enum dtls_verdict {
    DTLS_FEED, /* the library may have it */
    DTLS_DROP,
    DTLS_ASIDE, /* kept until there are keys */
    DTLS_LATER, /* for the association */
    DTLS_WAIT,  /* a question is out: leave it where it is */
    DTLS_OVER,  /* the handshake has ended */
};

/** Server: a handshake record of epoch 0. Asks for the PSK, repeats our flight for a ClientHello.
 */
enum dtls_verdict dtls_owner_epoch0(struct dtls_handshake *hs, struct dtls_crypto *c,
                                    const struct dtls_record *rec, uint64_t now_ms);
/** Server: the client's Finished is here and authentic. Asks about certificate or ticket. */
enum dtls_verdict dtls_owner_finished(struct dtls_handshake *hs, struct dtls_crypto *c);
/** What the owner's answer means, before the library goes on. */
void dtls_owner_answered(struct dtls_handshake *hs, struct dtls_crypto *c);

/* ---- dtls_handshake.c ---- */

void dtls_hs_fail(struct dtls_handshake *hs, dr_err_t err);
/** Fail with an alert of ours. */
void dtls_hs_refuse(struct dtls_handshake *hs, struct dtls_crypto *c, uint8_t alert, dr_err_t err);
/** The suite that was agreed on; NULL before. */
const SSL_CIPHER *dtls_hs_cipher(const struct dtls_handshake *hs);
/** Whether the keys of epoch 1 are there, derived now if need be. False while the library does not
 * know the master secret, or the suite is none that we take over. */
bool dtls_hs_keys(struct dtls_handshake *hs, struct dtls_crypto *c);
