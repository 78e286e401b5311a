/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  client/core/sec.h
 * @brief The association with a server: UDP, DTLS, TCP or TLS, one message at a time.
 *
 * Layer: client/core over the network HAL and Mbed TLS.  Threads: one loop.
 * Memory: the caller's struct; Mbed TLS takes its buffers from the C library's heap on Linux.
 * Limits: messages of CL_MSG_MAX bytes.
 * Security: PSK-AES128-CCM8 and ECDHE-ECDSA-AES128-CCM8 (also GCM) of (D)TLS 1.2 only, P-256 only;
 * the server's chain must end at the account's certificate, names are not compared (accounts carry
 * an authority of their own).
 */
#pragma once

#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509_crt.h>

#include "client/core/account.h"
#include "client/core/evq.h"
#include "client/core/msg.h"

enum cl_sec_state { CL_SEC_CLOSED, CL_SEC_SHAKING, CL_SEC_OPEN, CL_SEC_FAILED };

/** Why an association failed, for policy. */
enum cl_sec_why {
    CL_SEC_NO_ANSWER, /**< nothing came in time, or no route */
    CL_SEC_REFUSED,   /**< the server sent an alert: it does not know us or our key is wrong */
    CL_SEC_UNTRUSTED, /**< the server's certificate is not of the account's authority */
    CL_SEC_BROKEN,    /**< closed in mid-session */
    CL_SEC_CONFIG,    /**< our own credentials cannot be used */
};

struct cl_sec {
    enum cl_sec_state state;
    enum cl_sec_why why;
    bool tls, tcp, records; /**< records: one datagram-form message in each TLS record */
    bool setup, shaken;     /**< shaken: a record of the server was seen in this handshake */
    uint64_t now_ms, began_ms;
    int tls_error;           /**< Mbed TLS's number behind the failure, 0 = none */
    uint64_t int_ms, fin_ms; /**< timer of the handshake, 0 = not running */
    mbedtls_ssl_context ssl;
    mbedtls_ssl_config conf;
    mbedtls_x509_crt own, ca;
    mbedtls_pk_context key;
    uint8_t in[CL_MSG_MAX + 8]; /**< bytes of a stream that are no whole frame yet */
    size_t in_len;
    uint8_t
        out[2 * CL_MSG_MAX]; /**< messages that TCP did not take yet, each behind its u16 length */
    size_t out_len;
};

void cl_sec_init(struct cl_sec *s);
/**
 * Begin to associate with the server of @p account.
 * @param records  Pelion's form of TCP; false: RFC 8323
 */
void cl_sec_open(struct cl_sec *s, const struct cl_account *account, bool records, uint64_t now_ms);
/** Drive it. @return time of the next call at the latest, or CL_NEVER */
uint64_t cl_sec_step(struct cl_sec *s, uint64_t now_ms);
/** One message. What cannot be sent is lost. */
void cl_sec_send(struct cl_sec *s, const uint8_t *msg, size_t len);
/** @return bytes of one message, 0 when there is none */
size_t cl_sec_recv(struct cl_sec *s, uint8_t *buf, size_t cap);
/** Tell the server and forget the keys. */
void cl_sec_close(struct cl_sec *s);
const char *cl_sec_why_text(enum cl_sec_why why);
