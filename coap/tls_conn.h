/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  coap/tls_conn.h
 * @brief One TLS 1.2 connection, server or client: bytes in, bytes out, one record at a time.
 *
 * Layer: coap, no I/O and no clock of its own.  Threads: one at a time, any thread.  Memory: about
 * 19 KiB once up, 75 KiB while it shakes hands.  Limits: TLS_IN_MAX, TLS_RENEGOTIATIONS_MAX,
 * TLS_SESSIONS_MAX.  Security: what is read is not looked at before the owner has vouched for the
 * peer; an unknown PSK identity is not told from a wrong key.  Spec: RFC5246, RFC4279, RFC5746,
 * RFC8323#9.
 *
 * Use:   tls_conn_server or tls_conn_client, then
 *        tls_conn_input for what came, tls_conn_step, send all of tls_conn_output; look at the
 * state SHAKING     wait for more ASK_PSK     tls_conn_identity, tls_conn_answer_psk, tls_conn_step
 *   ASK_CERT    tls_conn_cert, tls_conn_answer_cert, tls_conn_step
 *   UP          tls_conn_read until it says DR_ERR_AGAIN; tls_conn_write at any time
 *   CLOSED      close_notify has come
 *   FAILED      see tls_conn_error; the output holds an alert, perhaps
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "coap/engine.h"

/** Longest record on the wire: header, 2^14 bytes and what ciphers add. spec: RFC5246#6.2.3 */
#define TLS_PLAIN_MAX          16384
#define TLS_RECORD_MAX         (5 + TLS_PLAIN_MAX + 2048)
/** Bytes that wait to be worked on. */
#define TLS_IN_MAX             (4 * TLS_RECORD_MAX)
/** Bytes of a flight, or of messages, that wait to be taken; the owner stops writing before. */
#define TLS_OUT_MAX            (1u << 20)
/** Messages of ours that wait for the end of a renegotiation: bytes. */
#define TLS_HELD_MAX           65536
/** Longest piece of a record that we send. */
#define TLS_FRAGMENT_MAX       4096
/** Renegotiations that a client may ask for in the life of a connection; then it gets a warning. */
#define TLS_RENEGOTIATIONS_MAX 4
/** Sessions kept for resumption by their ids, for all shards. */
#define TLS_SESSIONS_MAX       20000

enum tls_state { TLS_SHAKING, TLS_ASK_PSK, TLS_ASK_CERT, TLS_UP, TLS_CLOSED, TLS_FAILED };

struct tls_conn;

struct tls_conn_config {
    const struct cx_security *security; /**< a reference is taken */
    uint64_t wall_ms;                   /**< unix time: certificates must be valid then */
    /* client role; borrowed for the call */
    bool alpn;                /**< offer "coap" */
    const char *psk_identity; /**< NULL: certificate of cx_security */
    const uint8_t *psk_key;
    size_t psk_key_len;
};

/** @retval DR_ERR_NOMEM */
DR_CHECK dr_err_t tls_conn_server(const struct tls_conn_config *config, struct tls_conn **ret);
/**
 * The ClientHello is in the output.
 * @retval DR_ERR_INVAL  neither a PSK nor a certificate; identity or key too long
 * @retval DR_ERR_NOMEM
 */
DR_CHECK dr_err_t tls_conn_client(const struct tls_conn_config *config, struct tls_conn **ret);
/** Wipes and frees; NULL is fine. Returns NULL. */
struct tls_conn *tls_conn_free(struct tls_conn *c);

/**
 * Bytes of the stream, any piece of it.
 * @retval DR_ERR_NOSPACE  over TLS_IN_MAX: read less of the socket
 * @retval DR_ERR_PROTO    no TLS record; the connection has failed
 */
DR_CHECK dr_err_t tls_conn_input(struct tls_conn *c, const uint8_t *bytes, size_t len);
/** Work on what was put in or answered, until something is needed or the connection is up. */
enum tls_state tls_conn_step(struct tls_conn *c);
enum tls_state tls_conn_state(const struct tls_conn *c);
/** What is to be sent; the owner consumes it (dr_dynbuf_consume). */
struct dr_dynbuf *tls_conn_output(struct tls_conn *c);
/** Whether the next step takes public-key operations (a millisecond: worth a pool thread). */
bool tls_conn_is_heavy(const struct tls_conn *c);

/**
 * UP: the plain bytes of the next application record.
 * @param cap  at least TLS_PLAIN_MAX
 * @retval DR_ERR_AGAIN   none there; the state may have changed to CLOSED or FAILED
 */
DR_CHECK dr_err_t tls_conn_read(struct tls_conn *c, uint8_t *buf, size_t cap, size_t *ret_len);
/**
 * UP: @p len bytes as records of the output, one if it is at most TLS_FRAGMENT_MAX; during a
 * renegotiation they wait.
 * @retval DR_ERR_NOSPACE  TLS_OUT_MAX, TLS_HELD_MAX
 * @retval DR_ERR_INTERNAL, DR_ERR_GONE  the connection has failed or is closed
 */
DR_CHECK dr_err_t tls_conn_write(struct tls_conn *c, const uint8_t *bytes, size_t len);
/** Put close_notify into the output. */
void tls_conn_goodbye(struct tls_conn *c);

/** Identity that the peer claims (ASK_PSK), NUL-terminated, without NUL inside. */
const char *tls_conn_identity(const struct tls_conn *c);
/** As dtls_handshake_answer_psk. */
void tls_conn_answer_psk(struct tls_conn *c, const uint8_t *key, size_t len,
                         const struct cx_identity *id);
/** What is asked in ASK_CERT; borrowed until the answer. */
void tls_conn_cert(const struct tls_conn *c, uint64_t *ret_tag, const char **ret_cn,
                   const uint8_t **ret_der, size_t *ret_len);
/** @param err DR_OK: accepted as @p id (copied), else refused with an alert. */
void tls_conn_answer_cert(struct tls_conn *c, dr_err_t err, const struct cx_identity *id);

/** UP, before tls_conn_settle: who the peer is; borrowed until then. Client role with PSK: kind
 * CX_ID_NONE, since the server proved nothing but the key. */
const struct cx_identity *tls_conn_who(const struct tls_conn *c);

/** Server role, until tls_conn_settle: whom the owner has let in, though the handshake may still be
 * under way. NULL: nobody (yet). Borrowed. */
const struct cx_identity *tls_conn_let_in(const struct tls_conn *c);
/** Once, when UP: what only the handshake needed is freed. */
void tls_conn_settle(struct tls_conn *c);

/** UP: whether ALPN agreed on "coap". */
bool tls_conn_has_alpn(const struct tls_conn *c);
bool tls_conn_is_resumed(const struct tls_conn *c);
/** Renegotiations so far. */
unsigned tls_conn_renegotiations(const struct tls_conn *c);
/** FAILED: why. As dtls_handshake_error. */
dr_err_t tls_conn_error(const struct tls_conn *c);
