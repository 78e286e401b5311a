/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The counters of all engines of the process, as metrics: each engine adds what is new in its own
 * once a second.
 */
#include <stddef.h>
#include <string.h>

#include "base/log.h"
#include "base/metrics.h"
#include "coap/engine_priv.h"

/* Member of struct cx_stats, name, what it counts. */
#define COUNTERS(X)                                                                                \
    X(rx_datagrams, "datagrams_received", "Datagrams from devices")                                \
    X(tx_datagrams, "datagrams_sent", "Datagrams to devices")                                      \
    X(rx_bytes, "bytes_received", "Bytes from devices")                                            \
    X(tx_bytes, "bytes_sent", "Bytes to devices")                                                  \
    X(rx_dropped_kernel, "datagrams_dropped", "Datagrams lost as a receive buffer was full")       \
    X(malformed, "malformed", "Messages that are none")                                            \
    X(duplicates, "duplicates", "Messages that came again")                                        \
    X(retransmissions, "retransmissions", "Messages sent again")                                   \
    X(requests, "requests", "Requests of devices")                                                 \
    X(notifications, "notifications", "Notifications of devices")                                  \
    X(calls, "calls", "Requests to devices")                                                       \
    X(call_timeouts, "call_timeouts", "Requests to devices without an answer")                     \
    X(handshakes_done, "handshakes", "DTLS and TLS handshakes")                                    \
    X(handshakes_failed, "handshakes_failed", "DTLS and TLS handshakes that failed")               \
    X(half_open_refused, "handshakes_refused", "DTLS handshakes put off for room or time")         \
    X(resumed, "handshakes_resumed", "Handshakes that resumed a session")                          \
    X(renegotiations, "renegotiations", "TLS renegotiations")                                      \
    X(streams_accepted, "connections_accepted", "TCP connections of devices")                      \
    X(streams_refused, "connections_refused", "TCP connections closed at once at a limit")         \
    X(streams_failed, "connections_failed", "TCP connections ended for what they did or not")

#define GAUGES(X)                                                                                  \
    X(peers, "peers", "Addresses and connections of devices")                                      \
    X(associations, "associations", "DTLS associations")                                           \
    X(half_open, "half_open", "Handshakes under way")                                              \
    X(streams, "connections", "TCP connections open")

#define INDEX(member, name, help) M_##member,
#define COUNTER(member, name_, help_)                                                              \
    [M_##member] = {.name = "drover_coap_" name_ "_total", .type = DR_COUNTER, .help = help_},
#define GAUGE(member, name_, help_)                                                                \
    [M_##member] = {.name = "drover_coap_" name_, .type = DR_GAUGE, .help = help_},

enum { COUNTERS(INDEX) GAUGES(INDEX) M_COUNT };

static struct dr_metric metrics[M_COUNT] = {COUNTERS(COUNTER) GAUGES(GAUGE)};

void cx_engine_metrics_init(void)
{
    if (dr_metrics_register(metrics, M_COUNT) != DR_OK) {
        dr_log(DR_LOG_WARNING, "coap", "no room for metrics");
    }
}

#define ADD(member, name, help) dr_metric_add(&metrics[M_##member], now->member - before->member);
#define CHANGE(member, name, help)                                                                 \
    dr_metric_change(&metrics[M_##member], (int64_t)now->member - before->member);

void cx_engine_metrics_add(struct cx_engine *e, const struct cx_stats *now)
{
    dr_assert(e != NULL && now != NULL);
    const struct cx_stats *before = &e->told;

    COUNTERS(ADD)
    GAUGES(CHANGE)
    e->told = *now;
}
