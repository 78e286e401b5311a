/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  coap/dtls_assoc.h
 * @brief A live DTLS 1.2 association: keys, sequences and window in 112 bytes, and the rules for
 * what comes in after the handshake.
 *
 * Layer: coap, no I/O.  Threads: an association belongs to one thread at a time.  Memory: embedded
 * by the caller; owns at most one block (the last flight) until the first application record.
 * Limits: DTLS_SEQ_MAX records.  Security: nothing counts before it has verified; keys are wiped by
 * dtls_assoc_fini.  Spec: RFC6347#4.1, RFC6347#4.2.4, RFC5246#7.2.
 */
#pragma once

#include "coap/dtls_record.h"

struct dtls_flight; /* the last flight of a handshake, kept for repetition */

/** Both directions of epoch 1. Zeroed = empty. Fields are for dtls_*.c and for saving only. */
struct dtls_assoc {
    struct dtls_flight *flight; /**< owned; NULL once the peer has sent application data */
    struct dtls_window window;  /**< receive side */
    uint64_t tx_nonce;          /**< explicit nonce = tx_nonce + sequence number */
    uint64_t tx_seq : 48;       /**< next to send */
    uint64_t suite : 8;         /**< enum dtls_suite */
    uint64_t flags : 8;         /**< DTLS_ASSOC_* */
    uint8_t rx_key[DTLS_KEY_MAX];
    uint8_t tx_key[DTLS_KEY_MAX];
    uint8_t rx_salt[DTLS_SALT_LEN];
    uint8_t tx_salt[DTLS_SALT_LEN];
};
_Static_assert(sizeof(struct dtls_assoc) <= 112, "an association is kept for each device");

#define DTLS_ASSOC_CLIENT 1 /**< we are the client */
#define DTLS_ASSOC_CLOSED 2 /**< close_notify or a fatal alert was sent or received */

enum dtls_alert {
    DTLS_ALERT_CLOSE_NOTIFY = 0,
    DTLS_ALERT_UNEXPECTED_MESSAGE = 10,
    DTLS_ALERT_BAD_RECORD_MAC = 20,
    DTLS_ALERT_HANDSHAKE_FAILURE = 40,
    DTLS_ALERT_CERTIFICATE_EXPIRED = 45,
    DTLS_ALERT_UNKNOWN_CA = 48,
    DTLS_ALERT_ACCESS_DENIED = 49,
    DTLS_ALERT_DECRYPT_ERROR = 51,
    DTLS_ALERT_INTERNAL_ERROR = 80,
    DTLS_ALERT_NO_RENEGOTIATION = 100,
};

enum dtls_got {
    DTLS_GOT_NOTHING, /**< authentic, nothing to do (warning alert, empty record, other handshake
                         message) */
    DTLS_GOT_DATA,    /**< application data: data, len */
    DTLS_GOT_REPEAT,  /**< the peer repeats its Finished: send dtls_assoc_flight_next's datagrams */
    DTLS_GOT_REPLY,   /**< send the record in reply (a warning alert); the association lives on */
    DTLS_GOT_CLOSED,  /**< authentic close_notify: send the record in reply, forget the association
                       */
    DTLS_GOT_FATAL,   /**< authentic fatal alert in alert: forget the association */
    DTLS_GOT_REPLAY,  /**< dropped: seen before, or too old */
    DTLS_GOT_BAD,     /**< dropped: not of this association (or forged, damaged, not epoch 1) */
};

/** Bytes of the longest alert record that we make. */
#define DTLS_ALERT_LEN_MAX (DTLS_SEAL_HEAD + 2 + DTLS_SEAL_TAIL_MAX)

struct dtls_input {
    enum dtls_got got;
    bool newest;   /**< authentic, and newer than all before (DATA, NOTHING, REPEAT …) */
    uint8_t alert; /**< FATAL: description */
    uint8_t *data; /**< DATA: inside the datagram */
    size_t len;
    uint8_t reply[DTLS_ALERT_LEN_MAX]; /**< REPLY, CLOSED */
    size_t reply_len;                  /**< 0 = nothing to send */
};

/**
 * Handle one record of a datagram (dtls_record_next).
 * @param rec     its body is overwritten, even when the record turns out to be of another
 *                association: where two may be meant, look at dtls_assoc_probe first
 * @param now_ms  monotonic; limits repetition of the last flight to once a second
 * @param ret     filled always
 */
void dtls_assoc_input(struct dtls_assoc *a, struct dtls_crypto *c, const struct dtls_record *rec,
                      uint64_t now_ms, struct dtls_input *ret);

/**
 * Whether @p rec verifies under @p a; works on a copy and changes nothing. For the short time in
 * which two associations of one address live.
 * @param scratch  at least rec->whole_len bytes
 */
bool dtls_assoc_probe(const struct dtls_assoc *a, struct dtls_crypto *c,
                      const struct dtls_record *rec, uint8_t *scratch, size_t cap);

/**
 * Seal a record in place.
 * @param buf  plaintext at buf + DTLS_SEAL_HEAD; DTLS_SEAL_TAIL_MAX bytes of room behind it
 * @param ret  bytes to send from buf
 * @retval DR_ERR_LIMIT  no sequence numbers left: shake hands again
 * @retval DR_ERR_GONE   closed
 */
DR_CHECK dr_err_t dtls_assoc_seal(struct dtls_assoc *a, struct dtls_crypto *c, uint8_t type,
                                  uint8_t *buf, size_t len, size_t *ret);

/** Bytes that sealing adds to a payload. */
size_t dtls_assoc_overhead(const struct dtls_assoc *a);

/** Make a close_notify (to be sent once); the association is closed from then on. 0 = cannot. */
size_t dtls_assoc_close(struct dtls_assoc *a, struct dtls_crypto *c,
                        uint8_t out[DTLS_ALERT_LEN_MAX]);

/**
 * Datagrams of the last flight, after DTLS_GOT_REPEAT.
 * @param off  in/out cursor, 0 at first
 * @return bytes of the next datagram at *ret (borrowed until the next input), 0 at the end
 */
size_t dtls_assoc_flight_next(const struct dtls_assoc *a, size_t *off, const uint8_t **ret);

/** Whether a flight is kept (it costs heap); drop it, for an association that never speaks. */
bool dtls_assoc_has_flight(const struct dtls_assoc *a);
void dtls_assoc_flight_drop(struct dtls_assoc *a);

/** Wipe keys, free the flight; the struct is empty (all zero) afterwards. */
void dtls_assoc_fini(struct dtls_assoc *a);

/* ---- for dtls_handshake.c ---- */

/** Keep @p len bytes (whole datagrams, each preceded by its length in two bytes, big endian). */
DR_CHECK dr_err_t dtls_assoc_flight_put(struct dtls_assoc *a, const uint8_t *bytes, size_t len);
