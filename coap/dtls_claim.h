/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  coap/dtls_claim.h
 * @brief What DTLS and TLS handshakes share: who the peer says it is and what was answered, what a
 * resumed session remembers of it, and the BIO that feeds records to the library.
 *
 * Layer: coap, private to the handshakes.  Threads: one at a time.  Memory: the leaf's DER.
 * Limits: CX_IDENTITY_MAX, CX_CRED_KEY_MAX.  Security: holds a PSK; wiped by its owner.
 * Spec: RFC4279#2, RFC5077#4.
 */
#pragma once

#include <openssl/ssl.h>

#include "base/buf.h"
#include "coap/engine.h"

enum dtls_asked {
    DTLS_ASKED_NOTHING, /* yet */
    DTLS_ASKED_WAIT,    /* the question is out */
    DTLS_ASKED_YES,
    DTLS_ASKED_NO, /* unknown or refused */
};

/** Who the peer is, asked and answered. */
struct dtls_claim {
    enum dtls_asked asked;
    struct cx_identity id;              /**< the answer */
    char name[CX_IDENTITY_MAX + 1];     /**< id.name */
    char identity[CX_IDENTITY_MAX + 1]; /**< PSK identity or CN that is claimed (server), or our
                                           PSK identity (client) */
    uint8_t psk[CX_CRED_KEY_MAX];
    size_t psk_len; /**< 0 = unknown */
    uint64_t tag;   /**< of the anchor */
    uint8_t *der;   /**< leaf, owned (OPENSSL_free) */
    size_t der_len;
};

/** What a resumed session says; id.name is name. */
struct dtls_stored {
    struct cx_identity id;
    char name[CX_IDENTITY_MAX + 1];
};

/** The identity inside a ClientKeyExchange message; false if it is no sound one. */
bool dtls_claim_identity(struct dr_rd *msg, char out[CX_IDENTITY_MAX + 1]);

/** CN as UTF-8 without NUL inside; an empty string if there is none like that. */
void dtls_claim_cn(X509 *cert, char out[CX_IDENTITY_MAX + 1]);

/**
 * Server, the peer's chain has been verified (at the first handshake, when the session is
 * @p resumed): fill in anchor, leaf and CN, if they still hold.
 * @retval DR_ERR_AUTH, DR_ERR_NOMEM
 */
DR_CHECK dr_err_t dtls_claim_chain(struct dtls_claim *c, SSL *ssl, const struct cx_security *sec,
                                   bool resumed, uint64_t wall_ms);

/** The owner's answer: @p known says whether @p id holds; it is copied. */
void dtls_claim_answer(struct dtls_claim *c, bool known, const struct cx_identity *id,
                       enum cx_id_kind kind);
/** The same with a key; an empty, missing or too long one is an unknown identity. */
void dtls_claim_answer_psk(struct dtls_claim *c, const uint8_t *key, size_t len,
                           const struct cx_identity *id);
/** Answered with yes, and for the credential that the session stands for. */
bool dtls_claim_is_stored(const struct dtls_claim *c, const struct dtls_stored *stored);

/** For the library's callback: the key of @p identity, or a random one. @return its length */
unsigned dtls_claim_key_server(const struct dtls_claim *c, const char *identity, uint8_t *psk,
                               unsigned cap);
/** @return length of the key, 0 = none */
unsigned dtls_claim_key_client(const struct dtls_claim *c, char *identity, unsigned cap,
                               uint8_t *psk, unsigned psk_cap);

/** Keep the claim with @p session. */
bool dtls_claim_store(const struct dtls_claim *c, SSL_SESSION *session);
/** Read it back, with the anchor's tag into @p c. False: nothing there, or not ours. */
bool dtls_claim_load(struct dtls_claim *c, SSL_SESSION *session, struct dtls_stored *ret);

/** Wipe, and free the leaf. */
void dtls_claim_fini(struct dtls_claim *c);

/** What went wrong in the library's last call on @p ssl. */
dr_err_t dtls_ssl_error(const SSL *ssl);

/** The library's two ends. */
struct dtls_pipe {
    const uint8_t *feed; /**< the record that is read next; borrowed within a step */
    size_t feed_len;
    bool stream;          /**< a read may take a part; else what it leaves is lost */
    struct dr_dynbuf raw; /**< what the library wrote */
};

/** A BIO whose data is a struct dtls_pipe. NULL when there is no memory. */
BIO_METHOD *dtls_bio_method_new(void);
