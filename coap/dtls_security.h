/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  coap/dtls_security.h
 * @brief Inside of struct cx_security (coap/engine.h): what the handshake needs of it.
 *
 * Layer: coap.  Threads: immutable once built, shared by all; the count of references is atomic.
 * Memory: one SSL_CTX (server) or two (client), each for DTLS and for TLS.  Limits:
 * DTLS_ANCHORS_MAX.  Security: keys are wiped with the last reference.  Spec: RFC7925#4,
 * LWM2M-1.1-TRANSPORT#5.2.
 */
#pragma once

#include "coap/engine.h"

#define DTLS_ANCHORS_MAX 1024

typedef struct ssl_ctx_st SSL_CTX;
typedef struct ssl_st SSL;
typedef struct bio_method_st BIO_METHOD;

/** Key of the stateless cookies. */
const uint8_t *dtls_security_cookie_key(const struct cx_security *s);
bool dtls_security_is_client(const struct cx_security *s);
/** Context for handshakes; @p psk tells the client's two apart. NULL if there is none. */
SSL_CTX *dtls_security_ctx(const struct cx_security *s, bool psk);
/** The same for TLS. */
SSL_CTX *dtls_security_stream_ctx(const struct cx_security *s, bool psk);
/**
 * Tag of the trust anchor that the verified chain of @p ssl leads to. Not for resumed sessions.
 * @retval DR_ERR_NOT_FOUND  there is no verified chain
 */
DR_CHECK dr_err_t dtls_security_peer_tag(const struct cx_security *s, SSL *ssl, uint64_t *ret_tag);
/** Whether an anchor with this tag is still there (a ticket names the one of its first handshake).
 */
bool dtls_security_has_tag(const struct cx_security *s, uint64_t tag);
/** The record-wise BIO of handshakes and connections (struct dtls_pipe). */
const BIO_METHOD *dtls_security_bio(const struct cx_security *s);
