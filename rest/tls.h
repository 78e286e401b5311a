/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/tls.h
 * @brief TLS in front of the HTTP parser: a pump between a TCP connection and a socket pair.
 *
 * Layer: rest.  Threads: the loop that it was started on.  Memory: a block of 24 KiB and the SSL.
 * Limits: one record in flight each way, so neither side can fill memory.
 * Security: TLS 1.2 and 1.3, no renegotiation; keys stay in OpenSSL.  Spec: RFC8446, RFC5246.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "base/err.h"

struct loop;
struct rest_tls;

/** Makes the process ignore SIGPIPE. @retval DR_ERR_CRYPTO  cannot be read, or they do not belong
 * together */
DR_CHECK dr_err_t rest_tls_context(const char *cert, const char *key, SSL_CTX **ret,
                                   struct dr_errinfo *reterr);

/**
 * Terminate TLS of @p tcp, which is taken on success.
 * @param ret_plain  the end for the parser: the caller's
 * @param closed     the connection is over and @p ret freed after it returns; never from within
 *                   this call
 */
DR_CHECK dr_err_t rest_tls_start(struct loop *loop, SSL_CTX *ctx, int tcp,
                                 void (*closed)(void *data), void *data, struct rest_tls **ret,
                                 int *ret_plain);

/** Has the handshake been done? */
bool rest_tls_ready(const struct rest_tls *tls);

/**
 * Count of plain bytes at which all that the parser has written until now will have left.
 * Compare with rest_tls_written().
 */
uint64_t rest_tls_mark(const struct rest_tls *tls);
/** Plain bytes that have been handed to the network. */
uint64_t rest_tls_written(const struct rest_tls *tls);
/** Call @p written after each step in which bytes left. */
void rest_tls_on_written(struct rest_tls *tls, void (*written)(void *data));

/** Cut the connection now; @c closed does not run. NULL is allowed. */
void rest_tls_kill(struct rest_tls *tls);
