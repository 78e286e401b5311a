/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  coap/dtls_handshake.h
 * @brief One DTLS 1.2 handshake under way, server or client; ends in a struct dtls_assoc.
 *
 * Layer: coap, no I/O and no clock of its own.  Threads: one at a time, any thread (a struct
 * dtls_crypto of that thread comes as an argument).  Memory: about 75 KiB until it is taken over or
 * freed: the owner caps the number.  Limits: DTLS_HS_HELD_MAX, DTLS_HS_OUT_MAX, timing.
 * Security: keys are wiped at the end; an unknown identity is not told from a wrong key.
 * Spec: RFC6347#4.2, RFC5246#7.4, RFC4279, RFC5077, RFC7627.
 *
 * Use:   server  hello = dtls_hello_parse + dtls_cookie_ok  → dtls_handshake_server
 *        client  dtls_handshake_client
 *        then    for every datagram: dtls_handshake_input, dtls_handshake_step; at the deadline:
 *                dtls_handshake_expire. After each of these (and after _server, _client,
 *                _answer_…) look at the state, and send all that dtls_handshake_output gives.
 *   RUNNING     wait for a datagram or the deadline
 *   ASK_PSK     ask the owner for the key of dtls_handshake_identity, dtls_handshake_answer_psk,
 *               dtls_handshake_step. What comes in meanwhile may be put in (it is held).
 *   ASK_CERT    ask the owner about dtls_handshake_cert, dtls_handshake_answer_cert, _step
 *   DONE        send the output first, then dtls_handshake_takeover, then feed every record of
 *               dtls_handshake_leftover to dtls_assoc_input, then dtls_handshake_free
 *   FAILED      send the output (an alert, perhaps), then dtls_handshake_free
 */
#pragma once

#include "coap/dtls_assoc.h"
#include "coap/dtls_hello.h"
#include "coap/engine.h"

/** Bytes of records that wait: behind a question, or for keys (reordered datagrams). */
#define DTLS_HS_HELD_MAX   8192
/** Bytes of one flight of ours (certificate chain). */
#define DTLS_HS_OUT_MAX    32768
#define DTLS_HS_TICKET_MAX 2048
#define DTLS_HS_MTU_MIN    256

enum dtls_hs_state {
    DTLS_HS_RUNNING,
    DTLS_HS_ASK_PSK,
    DTLS_HS_ASK_CERT,
    DTLS_HS_DONE,
    DTLS_HS_FAILED,
};

struct dtls_handshake;

struct dtls_handshake_config {
    const struct cx_security *security; /**< a reference is taken */
    const struct cx_timing *timing;     /**< copied; NULL = 2 s, doubled 4 times */
    uint16_t mtu;                       /**< 0 = DTLS_MTU_DEFAULT */
    uint64_t wall_ms;                   /**< unix time: certificates must be valid then */
    /* client role; borrowed for the call */
    const char *psk_identity; /**< NULL: certificate of cx_security */
    const uint8_t *psk_key;
    size_t psk_key_len;
    const uint8_t *session; /**< from dtls_handshake_session_export, to resume; may be NULL */
    size_t session_len;
};

/**
 * Begin a server's handshake with a ClientHello whose cookie was checked.
 * @param datagram  the whole datagram that @p hello was parsed from, borrowed for the call
 * @param now_ms    monotonic
 * @param ret       the handshake, in state RUNNING or FAILED, with output
 * @retval DR_ERR_NOMEM, DR_ERR_INTERNAL
 */
DR_CHECK dr_err_t dtls_handshake_server(const struct dtls_handshake_config *config,
                                        struct dtls_crypto *c, const uint8_t *datagram, size_t len,
                                        const struct dtls_hello *hello, uint64_t now_ms,
                                        struct dtls_handshake **ret);
/**
 * Begin a client's handshake; the first ClientHello is in the output.
 * @retval DR_ERR_INVAL  neither a PSK nor a certificate; identity or key too long
 * @retval DR_ERR_NOMEM, DR_ERR_INTERNAL
 */
DR_CHECK dr_err_t dtls_handshake_client(const struct dtls_handshake_config *config,
                                        struct dtls_crypto *c, uint64_t now_ms,
                                        struct dtls_handshake **ret);
/** Wipes and frees; NULL is fine. Returns NULL. */
struct dtls_handshake *dtls_handshake_free(struct dtls_handshake *hs);

/** Whether @p hello is a repetition of the one that this (server's) handshake began with. */
bool dtls_handshake_is_same_hello(const struct dtls_handshake *hs, const struct dtls_hello *hello);
/** Whether public key operations lie ahead (a step may take a millisecond: worth a pool thread). */
bool dtls_handshake_is_heavy(const struct dtls_handshake *hs);

/** Put the records of a datagram in; cheap. What finds no room is dropped (the peer repeats). */
void dtls_handshake_input(struct dtls_handshake *hs, const uint8_t *datagram, size_t len);
/** Work on what was put in or answered. Any thread, one at a time. */
enum dtls_hs_state dtls_handshake_step(struct dtls_handshake *hs, struct dtls_crypto *c,
                                       uint64_t now_ms);
enum dtls_hs_state dtls_handshake_state(const struct dtls_handshake *hs);

/**
 * Next datagram to send.
 * @param buf  at least the MTU
 * @return its length, 0 = nothing more
 */
size_t dtls_handshake_output(struct dtls_handshake *hs, uint8_t *buf, size_t cap);
/** When dtls_handshake_expire is due, in the time of now_ms; UINT64_MAX = never. */
uint64_t dtls_handshake_deadline(const struct dtls_handshake *hs);
/** Repeat the flight, or give up (FAILED, DR_ERR_TIMEOUT). Before the deadline: nothing. */
enum dtls_hs_state dtls_handshake_expire(struct dtls_handshake *hs, struct dtls_crypto *c,
                                         uint64_t now_ms);

/** Identity that the peer claims (ASK_PSK), NUL-terminated, without NUL inside. */
const char *dtls_handshake_identity(const struct dtls_handshake *hs);
/**
 * @param key  NULL or empty: unknown. More than CX_CRED_KEY_MAX bytes count as unknown.
 * @param id   copied; may be NULL when unknown
 */
void dtls_handshake_answer_psk(struct dtls_handshake *hs, const uint8_t *key, size_t len,
                               const struct cx_identity *id);
/** What is asked in ASK_CERT; borrowed until the answer. */
void dtls_handshake_cert(const struct dtls_handshake *hs, uint64_t *ret_tag, const char **ret_cn,
                         const uint8_t **ret_der, size_t *ret_len);
/** @param err DR_OK: accepted as @p id (copied), else refused with an alert. */
void dtls_handshake_answer_cert(struct dtls_handshake *hs, dr_err_t err,
                                const struct cx_identity *id);

/** FAILED: why. DR_ERR_TIMEOUT; DR_ERR_AUTH (credential); DR_ERR_PROTO, DR_ERR_RESET (alert of the
 * peer), DR_ERR_DENIED (the owner refused), DR_ERR_INTERNAL. */
dr_err_t dtls_handshake_error(const struct dtls_handshake *hs);

/**
 * DONE: move the association out; the SSL object is freed.
 * @param ret     filled; to be ended by dtls_assoc_fini
 * @param ret_id  who the peer is; name is borrowed from the handshake until it is freed. Client
 *                role with PSK: kind CX_ID_NONE, since the server proved nothing but the key.
 */
void dtls_handshake_takeover(struct dtls_handshake *hs, struct dtls_assoc *ret,
                             struct cx_identity *ret_id);
/** Whole records that came in behind the Finished, to be split by dtls_record_next; may be NULL. */
uint8_t *dtls_handshake_leftover(struct dtls_handshake *hs, size_t *ret_len);
/** Whether the session was resumed. DONE only. */
bool dtls_handshake_is_resumed(const struct dtls_handshake *hs);
/** OpenSSL's name of the suite, for logs and tests; "" if none yet. */
const char *dtls_handshake_suite(const struct dtls_handshake *hs);
/**
 * Client, DONE, before takeover: the session with its ticket, for a later resumption. Secret!
 * @retval DR_ERR_NOT_FOUND  no ticket was given
 * @retval DR_ERR_NOSPACE
 */
DR_CHECK dr_err_t dtls_handshake_session_export(struct dtls_handshake *hs, uint8_t *buf, size_t cap,
                                                size_t *ret_len);
