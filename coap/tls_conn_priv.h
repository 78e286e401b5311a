/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  coap/tls_conn_priv.h
 * @brief Inside of a TLS connection, shared by tls_conn.c and tls_hooks.c.
 *
 * Layer: coap.  Threads: as tls_conn.h.  Memory: as tls_conn.h.  Limits: see there.
 * Security: struct tls_shake holds a PSK.  Spec: RFC5246#7.
 */
#pragma once

#include <openssl/ssl.h>

#include "coap/dtls_claim.h"
#include "coap/tls_conn.h"

#define TLS_DIGEST_LEN 32

/** Where we stand in the client's handshake messages, which records may cut anywhere. */
struct tls_scan {
    uint8_t head[4];
    uint8_t head_len;
    uint8_t kx_len;
    uint8_t kx[2 + CX_IDENTITY_MAX]; /**< beginning of a ClientKeyExchange */
    uint32_t left;                   /**< bytes of the message that are to come */
};

/** What only the first handshake needs. */
struct tls_shake {
    struct tls_scan scan; /**< server, up to the ChangeCipherSpec */
    bool changed;         /**< the client's ChangeCipherSpec has been let through */
    struct dtls_claim claim;
    struct dtls_stored stored; /**< of a resumed session */
};

struct tls_conn {
    SSL *ssl;                /**< owned */
    struct cx_security *sec; /**< referenced */
    enum tls_state state;
    dr_err_t err; /**< of FAILED */
    bool client, psk, resumed, alpn;
    bool renegotiating;
    uint8_t renegotiations;
    uint64_t wall_ms;
    struct dtls_pipe pipe;   /**< its raw is the output */
    struct dr_dynbuf in;     /**< records, and a part of one */
    size_t in_off;           /**< read up to here */
    struct dr_dynbuf held;   /**< messages of ours behind a renegotiation: length 16, bytes */
    struct dr_dynbuf kept;   /**< what the session says of the peer, for the one that replaces it */
    struct tls_shake *shake; /**< owned; NULL once settled */
    uint8_t leaf[TLS_DIGEST_LEN]; /**< of the peer's certificate */
    bool has_leaf;
};

/** Callbacks of a context for TLS. */
void tls_hooks_install(SSL_CTX *ctx, bool client, bool psk);
