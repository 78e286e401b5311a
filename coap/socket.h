/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  coap/socket.h
 * @brief One UDP socket with batched input and output, and the addresses of its datagrams.
 *
 * Layer: coap, input and output.  Threads: the loop that owns the socket.  Memory: buffers are
 * made at init and never grow.  Limits: CX_BATCH, CX_DGRAM_MAX, CX_TX_SLOTS_MAX.
 * Security: a datagram longer than CX_DGRAM_MAX is dropped, never cut.  Spec: none.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "coap/engine.h"

/** Datagrams that one system call reads or sends. */
#define CX_BATCH        64
/** Bytes of the largest datagram that is read or sent. */
#define CX_DGRAM_MAX    2048
/** Datagrams that wait while the socket cannot send; further ones are dropped. */
#define CX_TX_SLOTS_MAX 256

/**
 * Both ends of a datagram as seen from us, a table key: no padding, all bytes defined.
 * IPv4 addresses are v4-mapped, whatever the family of the socket.
 */
struct cx_flow {
    uint8_t remote[16];
    uint8_t local[16];
    uint32_t scope;       /**< interface of a link-local remote address, else 0 */
    uint16_t remote_port; /**< network order */
    uint8_t sock;         /**< number of the socket in its engine */
    uint8_t zero;
};

/** One datagram that was read; the bytes may be changed in place until the next cx_sock_recv. */
struct cx_dgram {
    struct cx_flow flow;
    uint8_t *data;
    size_t len;
};

struct cx_sock_stats {
    uint64_t rx_datagrams, rx_bytes, tx_datagrams, tx_bytes;
    uint64_t rx_truncated;      /**< longer than CX_DGRAM_MAX, dropped */
    uint64_t rx_dropped_kernel; /**< the receive buffer was full */
    uint64_t tx_blocked;        /**< flushes that ended early because the socket could not send */
    uint64_t tx_dropped;        /**< refused by the kernel, or no slot free while blocked */
};

struct cx_sock;

/**
 * Take a bound UDP socket over: makes it non-blocking, raises its buffers, asks for the address
 * that each datagram was sent to (unless the socket is bound to one address).
 * @param fd      owned by the socket from DR_OK on
 * @param number  goes into the flow of every datagram
 * @retval DR_ERR_NOMEM
 * @retval DR_ERR_IO     not a bound IPv4 or IPv6 UDP socket
 */
DR_CHECK dr_err_t cx_sock_new(int fd, uint8_t number, struct cx_sock **ret);
/** Close; unsent datagrams are lost. NULL is allowed. @return NULL */
struct cx_sock *cx_sock_free(struct cx_sock *s);

/** As cx_sock_free, but the descriptor stays open and is the caller's again. */
void cx_sock_release(struct cx_sock *s);

/** AF_INET, or AF_INET6 for a socket that speaks both. */
sa_family_t cx_sock_family(const struct cx_sock *s);
/** Replace an unspecified local address by the one that answers to @p flow will come to. */
void cx_sock_localize(const struct cx_sock *s, struct cx_flow *flow);
int cx_sock_fd(const struct cx_sock *s);
/** Bytes of the kernel's receive buffer, as the kernel reports it. */
int cx_sock_rcvbuf(const struct cx_sock *s);
/** Not for every turn: asks the kernel. */
void cx_sock_stats(const struct cx_sock *s, struct cx_sock_stats *ret);

/**
 * Read up to CX_BATCH datagrams with one system call.
 * @return  how many lie in cx_sock_dgram(s, 0..); fewer than CX_BATCH: the socket is empty
 */
unsigned cx_sock_recv(struct cx_sock *s);
/** Datagram @p i of the last batch; NULL if it was too long. Borrowed until the next cx_sock_recv.
 */
struct cx_dgram *cx_sock_dgram(struct cx_sock *s, unsigned i);

/** Ends of datagram @p i of the last batch, also of one that was too long. */
const struct cx_flow *cx_sock_flow(const struct cx_sock *s, unsigned i);

/**
 * Room for the next outgoing datagram, CX_DGRAM_MAX bytes; a second call without a commit returns
 * the same room. @return NULL when the socket cannot send and CX_TX_SLOTS_MAX wait
 */
uint8_t *cx_sock_reserve(struct cx_sock *s);
/** Queue the @p len bytes in the reserved room for @p flow; sends when CX_BATCH wait. */
void cx_sock_commit(struct cx_sock *s, size_t len, const struct cx_flow *flow);
/** May these bytes go to @p flow now? */
typedef bool cx_sock_filter_fn(void *data, const uint8_t *bytes, size_t len,
                               const struct cx_flow *flow);
/** Ask @p fn in each cx_sock_commit; NULL = no more. */
void cx_sock_set_filter(struct cx_sock *s, cx_sock_filter_fn *fn, void *data);

/**
 * Send what waits.
 * @return true when nothing waits any more; false: call again when the socket is writable
 */
bool cx_sock_flush(struct cx_sock *s);
/** Whether datagrams wait for cx_sock_flush. */
bool cx_sock_pending(const struct cx_sock *s);

/** Fill the ends of @p flow from socket addresses; @p local may have family 0. */
void cx_flow_set(struct cx_flow *flow, uint8_t sock, const union cx_addr *remote,
                 const union cx_addr *local);
/** Remote end of @p flow; a v4-mapped address comes back as IPv4. */
void cx_flow_remote(const struct cx_flow *flow, union cx_addr *ret);
/** Address of ours in @p flow; the port is 0. */
void cx_flow_local(const struct cx_flow *flow, union cx_addr *ret);

/**
 * Number of the socket of cx_sockets_open that a datagram from @p remote arrives at, as the
 * steering program computes it; a DTLS record with a connection id goes by its first byte instead.
 */
unsigned cx_steer(const union cx_addr *remote, unsigned n);
