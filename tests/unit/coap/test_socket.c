/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/unit/coap/test_socket.c
 * @brief Batches, addresses both ways, port in use, steering.
 */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coap/socket.h"

/* The linker sends every sendmmsg of the module through here. */
static int blocked; /* this many calls fail with EAGAIN */
static int partial; /* if set, a call sends no more than that */

int __real_sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags);
int __wrap_sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags);

int __wrap_sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags)
{
    if (blocked > 0) {
        blocked--;
        errno = EAGAIN;
        return -1;
    }
    if (partial > 0 && n > (unsigned)partial) {
        n = (unsigned)partial;
    }
    return __real_sendmmsg(fd, msgs, n, flags);
}

static union cx_addr v4(const char *addr, uint16_t port)
{
    union cx_addr a = {.in4 = {.sin_family = AF_INET, .sin_port = htons(port)}};

    ck_assert_int_eq(inet_pton(AF_INET, addr, &a.in4.sin_addr), 1);
    return a;
}

static union cx_addr v6(const char *addr, uint16_t port)
{
    union cx_addr a = {.in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)}};

    ck_assert_int_eq(inet_pton(AF_INET6, addr, &a.in6.sin6_addr), 1);
    return a;
}

static struct cx_sock *open_sock(union cx_addr *a)
{
    struct cx_sock *s;
    int fd;

    ck_assert_int_eq(cx_sockets_open(a, 1, &fd), DR_OK);
    ck_assert_int_eq(cx_sock_new(fd, 3, &s), DR_OK);
    return s;
}

static struct cx_sock_stats stats_of(const struct cx_sock *s)
{
    struct cx_sock_stats st;

    cx_sock_stats(s, &st);
    return st;
}

static void send_text(struct cx_sock *s, const struct cx_flow *flow, const char *text)
{
    uint8_t *out = cx_sock_reserve(s);

    ck_assert_ptr_nonnull(out);
    memcpy(out, text, strlen(text));
    cx_sock_commit(s, strlen(text), flow);
}

static void wait_readable(struct cx_sock *s)
{
    struct pollfd p = {.fd = cx_sock_fd(s), .events = POLLIN};

    ck_assert_int_eq(poll(&p, 1, 2000), 1);
}

static void flow_to(struct cx_flow *flow, const union cx_addr *remote, const char *local)
{
    union cx_addr l = v4(local, 0);

    cx_flow_set(flow, 3, remote, &l);
}

START_TEST(a_datagram_leaves_from_the_address_that_was_chosen)
{
    union cx_addr sa = v4("0.0.0.0", 0);
    union cx_addr ca = v4("0.0.0.0", 0);
    struct cx_sock *s = open_sock(&sa);
    struct cx_sock *c = open_sock(&ca);
    union cx_addr to = v4("127.0.0.5", ntohs(sa.in4.sin_port));
    struct cx_flow flow;
    union cx_addr got;

    flow_to(&flow, &to, "127.9.8.7");
    send_text(c, &flow, "hello");
    ck_assert(cx_sock_flush(c));
    wait_readable(s);
    ck_assert_uint_eq(cx_sock_recv(s), 1);
    struct cx_dgram *d = cx_sock_dgram(s, 0);
    ck_assert_ptr_nonnull(d);
    ck_assert_uint_eq(d->len, 5);
    ck_assert_mem_eq(d->data, "hello", 5);
    cx_flow_remote(&d->flow, &got);
    ck_assert_uint_eq(ntohl(got.in4.sin_addr.s_addr), 0x7f090807);
    ck_assert_uint_eq(got.in4.sin_port, ca.in4.sin_port);
    cx_flow_local(&d->flow, &got);
    ck_assert_uint_eq(ntohl(got.in4.sin_addr.s_addr), 0x7f000005);
    ck_assert_uint_eq(d->flow.sock, 3);

    /* The answer comes from 127.0.0.5, not from 127.0.0.1. */
    send_text(s, &d->flow, "you too");
    ck_assert(cx_sock_flush(s));
    wait_readable(c);
    ck_assert_uint_eq(cx_sock_recv(c), 1);
    d = cx_sock_dgram(c, 0);
    ck_assert_mem_eq(&d->flow, &flow, sizeof(flow));
    cx_sock_free(s);
    cx_sock_free(c);
}
END_TEST

START_TEST(a_dual_socket_serves_both_families)
{
    union cx_addr sa = v6("::", 0);
    union cx_addr c4 = v4("127.0.0.1", 0);
    union cx_addr c6 = v6("::1", 0);
    struct cx_sock *s = open_sock(&sa);
    struct cx_sock *clients[2] = {open_sock(&c4), open_sock(&c6)};
    union cx_addr to[2] = {v4("127.0.0.9", ntohs(sa.in6.sin6_port)),
                           v6("::1", ntohs(sa.in6.sin6_port))};
    union cx_addr none = {0};

    for (int i = 0; i < 2; i++) {
        struct cx_flow flow;
        union cx_addr got;

        cx_flow_set(&flow, 3, &to[i], &none);
        cx_sock_localize(clients[i], &flow);
        send_text(clients[i], &flow, "hello");
        ck_assert(cx_sock_flush(clients[i]));
        wait_readable(s);
        ck_assert_uint_eq(cx_sock_recv(s), 1);
        struct cx_dgram *d = cx_sock_dgram(s, 0);
        cx_flow_remote(&d->flow, &got);
        ck_assert_int_eq(got.sa.sa_family, to[i].sa.sa_family);
        send_text(s, &d->flow, "back");
        ck_assert(cx_sock_flush(s));
        wait_readable(clients[i]);
        ck_assert_uint_eq(cx_sock_recv(clients[i]), 1);
        ck_assert_mem_eq(&cx_sock_dgram(clients[i], 0)->flow, &flow, sizeof(flow));
        cx_sock_free(clients[i]);
    }
    cx_sock_free(s);
}
END_TEST

START_TEST(a_batch_is_sent_when_it_is_full_and_read_in_one_go)
{
    union cx_addr sa = v4("127.0.0.1", 0);
    union cx_addr ca = v4("127.0.0.1", 0);
    struct cx_sock *s = open_sock(&sa);
    struct cx_sock *c = open_sock(&ca);
    struct cx_flow flow;

    flow_to(&flow, &sa, "127.0.0.1");
    for (int i = 0; i < CX_BATCH; i++) {
        ck_assert_int_eq(cx_sock_pending(c), i > 0);
        send_text(c, &flow, "x");
    }
    ck_assert(!cx_sock_pending(c));
    wait_readable(s);
    ck_assert_uint_eq(cx_sock_recv(s), CX_BATCH);
    ck_assert_uint_eq(cx_sock_recv(s), 0);
    ck_assert_uint_eq(stats_of(c).tx_datagrams, CX_BATCH);
    ck_assert_uint_eq(stats_of(s).rx_bytes, CX_BATCH);
    cx_sock_free(s);
    cx_sock_free(c);
}
END_TEST

START_TEST(a_datagram_that_is_too_long_is_dropped_and_counted)
{
    union cx_addr sa = v4("127.0.0.1", 0);
    struct cx_sock *s = open_sock(&sa);
    uint8_t bytes[CX_DGRAM_MAX + 1] = {0};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    ck_assert_int_eq(sendto(fd, bytes, sizeof(bytes), 0, &sa.sa, sizeof(sa.in4)), sizeof(bytes));
    ck_assert_int_eq(sendto(fd, bytes, sizeof(bytes) - 1, 0, &sa.sa, sizeof(sa.in4)),
                     sizeof(bytes) - 1);
    wait_readable(s);
    ck_assert_uint_eq(cx_sock_recv(s), 2);
    ck_assert_ptr_null(cx_sock_dgram(s, 0));
    ck_assert_uint_eq(cx_sock_dgram(s, 1)->len, CX_DGRAM_MAX);
    ck_assert_uint_eq(stats_of(s).rx_truncated, 1);
    close(fd);
    cx_sock_free(s);
}
END_TEST

START_TEST(a_datagram_that_cannot_go_does_not_stop_the_others)
{
    union cx_addr sa = v4("127.0.0.1", 0);
    union cx_addr ca = v4("0.0.0.0", 0);
    struct cx_sock *s = open_sock(&sa);
    struct cx_sock *c = open_sock(&ca);
    struct cx_flow good;
    struct cx_flow bad;

    flow_to(&good, &sa, "127.0.0.1");
    flow_to(&bad, &sa, "203.0.113.1"); /* not an address of ours */
    send_text(c, &good, "1");
    send_text(c, &bad, "2");
    send_text(c, &good, "3");
    ck_assert(cx_sock_flush(c));
    wait_readable(s);
    ck_assert_uint_eq(cx_sock_recv(s), 2);
    ck_assert_uint_eq(cx_sock_dgram(s, 1)->data[0], '3');
    ck_assert_uint_eq(stats_of(c).tx_dropped, 1);
    cx_sock_free(s);
    cx_sock_free(c);
}
END_TEST

START_TEST(closed_ports_of_peers_do_no_harm)
{
    union cx_addr gone = v4("127.0.0.1", 0);
    union cx_addr ca = v4("127.0.0.1", 0);
    struct cx_sock *c = open_sock(&ca);
    struct cx_flow flow;
    int fd;

    ck_assert_int_eq(cx_sockets_open(&gone, 1, &fd), DR_OK);
    close(fd); /* the kernel answers with ICMP port unreachable now */
    flow_to(&flow, &gone, "127.0.0.1");
    for (int i = 0; i < 3; i++) {
        send_text(c, &flow, "x");
        ck_assert(cx_sock_flush(c));
        ck_assert_uint_eq(cx_sock_recv(c), 0);
    }
    ck_assert_uint_eq(stats_of(c).tx_datagrams, 3);
    ck_assert_uint_eq(stats_of(c).tx_dropped, 0);
    cx_sock_free(c);
}
END_TEST

START_TEST(drops_of_the_kernel_are_counted)
{
    union cx_addr sa = v4("127.0.0.1", 0);
    struct cx_sock *s = open_sock(&sa);
    int small = 4096;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    char byte = 0;

    ck_assert_int_eq(setsockopt(cx_sock_fd(s), SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    for (int i = 0; i < 200; i++) {
        (void)sendto(fd, &byte, 1, 0, &sa.sa, sizeof(sa.in4));
    }
    while (cx_sock_recv(s) > 0) {
    }
    uint64_t got = stats_of(s).rx_datagrams;
    ck_assert_uint_gt(stats_of(s).rx_dropped_kernel, 0);
    ck_assert_uint_eq(got + stats_of(s).rx_dropped_kernel, 200);
    close(fd);
    cx_sock_free(s);
}
END_TEST

START_TEST(what_cannot_be_sent_waits_in_order_up_to_a_limit)
{
    union cx_addr sa = v4("127.0.0.1", 0);
    union cx_addr ca = v4("127.0.0.1", 0);
    struct cx_sock *s = open_sock(&sa);
    struct cx_sock *c = open_sock(&ca);
    struct cx_flow flow;
    unsigned next = 0;

    flow_to(&flow, &sa, "127.0.0.1");
    send_text(c, &flow, "x"); /* so that the ring does not begin at its start */
    ck_assert(cx_sock_flush(c));
    partial = 10;
    blocked = 1000;
    for (unsigned i = 0; i < CX_TX_SLOTS_MAX; i++) {
        uint8_t *out = cx_sock_reserve(c);

        ck_assert_ptr_nonnull(out);
        out[0] = (uint8_t)i;
        cx_sock_commit(c, 1, &flow);
    }
    ck_assert_ptr_null(cx_sock_reserve(c));
    ck_assert_uint_eq(stats_of(c).tx_dropped, 1);
    ck_assert(!cx_sock_flush(c));
    ck_assert(cx_sock_pending(c));
    blocked = 0;
    ck_assert(cx_sock_flush(c));
    ck_assert(!cx_sock_pending(c));
    ck_assert_ptr_nonnull(cx_sock_reserve(c));
    ck_assert_uint_gt(stats_of(c).tx_blocked, 0);
    wait_readable(s);
    for (unsigned n = cx_sock_recv(s), first = 1; n > 0; n = cx_sock_recv(s), first = 0) {
        for (unsigned i = first; i < n; i++) {
            ck_assert_uint_eq(cx_sock_dgram(s, i)->data[0], (uint8_t)next++);
        }
    }
    ck_assert_uint_eq(next, CX_TX_SLOTS_MAX);
    partial = 0;
    cx_sock_free(s);
    cx_sock_free(c);
}
END_TEST

START_TEST(a_second_server_finds_the_port_in_use)
{
    union cx_addr a = v4("127.0.0.1", 0);
    int fds[2];
    int again[2] = {-7, -7};

    ck_assert_int_eq(cx_sockets_open(&a, 2, fds), DR_OK);
    ck_assert_uint_ne(a.in4.sin_port, 0);
    union cx_addr b = a;
    ck_assert_int_eq(cx_sockets_open(&b, 2, again), DR_ERR_IN_USE);
    ck_assert_int_eq(cx_sockets_open(&b, 1, again), DR_ERR_IN_USE);
    close(fds[0]);
    close(fds[1]);
    ck_assert_int_eq(cx_sockets_open(&b, 1, again), DR_OK);
    close(again[0]);
}
END_TEST

START_TEST(an_address_that_is_not_ours_is_reported)
{
    union cx_addr a = v4("203.0.113.1", 0);
    int fd;

    ck_assert_int_eq(cx_sockets_open(&a, 1, &fd), DR_ERR_NOT_FOUND);
}
END_TEST

#define SHARDS 3
#define PEERS  60

static void each_arrives_where_steered(union cx_addr *a, union cx_addr (*peer)(int))
{
    int fds[SHARDS];
    unsigned seen[SHARDS] = {0};

    ck_assert_int_eq(cx_sockets_open(a, SHARDS, fds), DR_OK);
    for (int i = 0; i < PEERS; i++) {
        union cx_addr p = peer(i);
        socklen_t len = sizeof(p);
        char byte = 0x40;
        int fd = socket(p.sa.sa_family, SOCK_DGRAM, 0);

        ck_assert_int_eq(bind(fd, &p.sa, sizeof(p)), 0);
        ck_assert_int_eq(getsockname(fd, &p.sa, &len), 0);
        ck_assert_int_eq(sendto(fd, &byte, 1, 0, &a->sa,
                                a->sa.sa_family == AF_INET ? sizeof(a->in4) : sizeof(a->in6)),
                         1);
        unsigned shard = cx_steer(&p, SHARDS);
        struct pollfd w = {.fd = fds[shard], .events = POLLIN};
        ck_assert_int_eq(poll(&w, 1, 2000), 1);
        ck_assert_int_eq(recv(fds[shard], &byte, 1, 0), 1);
        seen[shard]++;
        close(fd);
    }
    for (int i = 0; i < SHARDS; i++) {
        ck_assert_uint_gt(seen[i], PEERS / SHARDS / 3);
        close(fds[i]);
    }
}

static union cx_addr peer4(int i)
{
    char text[32];

    snprintf(text, sizeof(text), "127.1.%d.%d", i / 8, i);
    return v4(text, 0);
}

static union cx_addr peer6(int i)
{
    (void)i;
    return v6("::1", 0);
}

START_TEST(the_program_steers_as_the_function_says)
{
    union cx_addr a4 = v4("127.0.0.1", 0);
    union cx_addr a6 = v6("::1", 0);

    each_arrives_where_steered(&a4, peer4);
    each_arrives_where_steered(&a6, peer6);
}
END_TEST

START_TEST(a_connection_id_steers_by_its_first_byte)
{
    union cx_addr a = v4("127.0.0.1", 0);
    int fds[SHARDS];
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    ck_assert_int_eq(cx_sockets_open(&a, SHARDS, fds), DR_OK);
    for (uint8_t slot = 0; slot < 30; slot++) {
        uint8_t rec[21] = {25, 0xfe, 0xfd, [11] = slot};
        struct pollfd w = {.fd = fds[slot % SHARDS], .events = POLLIN};

        ck_assert_int_eq(sendto(fd, rec, sizeof(rec), 0, &a.sa, sizeof(a.in4)), sizeof(rec));
        ck_assert_int_eq(poll(&w, 1, 2000), 1);
        ck_assert_int_eq(recv(w.fd, rec, sizeof(rec), 0), sizeof(rec));
    }
    close(fd);
    for (int i = 0; i < SHARDS; i++) {
        close(fds[i]);
    }
}
END_TEST

START_TEST(something_else_than_a_bound_udp_socket_is_refused)
{
    struct cx_sock *s = NULL;
    int tcp = socket(AF_INET, SOCK_STREAM, 0);

    ck_assert_int_eq(cx_sock_new(tcp, 0, &s), DR_ERR_IO);
    ck_assert_ptr_null(s);
    close(tcp);
    ck_assert_ptr_null(cx_sock_free(NULL));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("coap/socket");
    TCase *io = tcase_create("datagrams");
    TCase *set_up = tcase_create("opening and steering");

    tcase_add_test(io, a_datagram_leaves_from_the_address_that_was_chosen);
    tcase_add_test(io, a_dual_socket_serves_both_families);
    tcase_add_test(io, a_batch_is_sent_when_it_is_full_and_read_in_one_go);
    tcase_add_test(io, a_datagram_that_is_too_long_is_dropped_and_counted);
    tcase_add_test(io, a_datagram_that_cannot_go_does_not_stop_the_others);
    tcase_add_test(io, closed_ports_of_peers_do_no_harm);
    tcase_add_test(io, what_cannot_be_sent_waits_in_order_up_to_a_limit);
    tcase_add_test(io, drops_of_the_kernel_are_counted);
    suite_add_tcase(suite, io);
    tcase_add_test(set_up, a_second_server_finds_the_port_in_use);
    tcase_add_test(set_up, an_address_that_is_not_ours_is_reported);
    tcase_add_test(set_up, the_program_steers_as_the_function_says);
    tcase_add_test(set_up, a_connection_id_steers_by_its_first_byte);
    tcase_add_test(set_up, something_else_than_a_bound_udp_socket_is_refused);
    suite_add_tcase(suite, set_up);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed;
}
