/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/bench/bench_udp_echo.c
 * @brief Sends every datagram back, in batches: what this machine's UDP can do at most.
 *
 * Usage: bench_udp_echo PORT SECONDS. Prints {"bench","datagrams","cpu_us_per_op"} at the end.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#define BATCH 64
#define DGRAM 2048

static double now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double cpu(void)
{
    struct rusage u;

    (void)getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

static int open_socket(uint16_t port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int size = 8 << 20;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0) {
        perror("bind");
        exit(1);
    }
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) != 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    }
    return fd;
}

int main(int argc, char **argv)
{
    static uint8_t bytes[BATCH][DGRAM];
    static struct sockaddr_in names[BATCH];
    static struct iovec iov[BATCH];
    static struct mmsghdr msgs[BATCH];
    uint64_t count = 0;

    if (argc != 3) {
        fprintf(stderr, "usage: %s PORT SECONDS\n", argv[0]);
        return 2;
    }
    int fd = open_socket((uint16_t)strtoul(argv[1], NULL, 10));
    double end = now() + strtod(argv[2], NULL);
    double cpu0 = cpu();

    while (now() < end) {
        for (int i = 0; i < BATCH; i++) {
            iov[i] = (struct iovec){bytes[i], DGRAM};
            msgs[i].msg_hdr = (struct msghdr){.msg_name = &names[i],
                                              .msg_namelen = sizeof(names[i]),
                                              .msg_iov = &iov[i],
                                              .msg_iovlen = 1};
        }
        int n = recvmmsg(fd, msgs, BATCH, MSG_DONTWAIT, NULL);
        if (n <= 0) {
            struct pollfd p = {.fd = fd, .events = POLLIN};

            (void)poll(&p, 1, 100);
            continue;
        }
        for (int i = 0; i < n; i++) {
            iov[i].iov_len = msgs[i].msg_len;
        }
        for (int sent = 0; sent < n;) {
            int k = sendmmsg(fd, msgs + sent, (unsigned)(n - sent), 0);

            if (k > 0) {
                sent += k;
            } else if (errno != EAGAIN) {
                sent++;
            }
        }
        count += (uint64_t)n;
    }
    printf("{\"bench\":\"udp_echo\",\"datagrams\":%llu,\"cpu_us_per_op\":%.2f}\n",
           (unsigned long long)count, count > 0 ? (cpu() - cpu0) / (double)count * 1e6 : 0.0);
    return 0;
}
