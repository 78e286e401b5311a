/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/bench/bench_coap_gen.c
 * @brief Cheap load: CON POST /rd/x from many loopback source addresses through one socket.
 *
 * The whole of 127.0.0.0/8 belongs to the machine, and IP_PKTINFO names the source address of each
 * datagram; so one process is any number of peers. Every peer speaks once before the clock starts.
 * Works against anything that answers with the same message id, also against the echo.
 * Usage: bench_coap_gen PORT PEERS SECONDS [WINDOW [SERVER-PID]]. Prints one JSON object.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH      64
#define MIDS       65536
#define WINDOW_MAX 4096
#define LOST_S     1.0
#define BUCKETS    2048

static const uint8_t request[] = {0x48, 0x02, 0, 0,    1,   2,   3,    4,  5,
                                  6,    7,    8, 0xb2, 'r', 'd', 0x01, 'x'};

struct gen {
    int fd;
    uint32_t peers;
    unsigned window;
    struct sockaddr_in server;
    uint32_t next_peer;
    uint16_t next_mid, oldest_mid;
    unsigned in_flight;
    double sent_at[MIDS]; /* 0: not in flight */
    uint64_t answers, lost;
    uint64_t histogram[BUCKETS];
    bool measuring;

    uint8_t tx_bytes[BATCH][sizeof(request)];
    struct iovec tx_iov[BATCH];
    union {
        struct cmsghdr align;
        uint8_t bytes[CMSG_SPACE(sizeof(struct in_pktinfo))];
    } tx_ctl[BATCH];
    struct mmsghdr tx[BATCH];
    uint8_t rx_bytes[BATCH][64];
    struct iovec rx_iov[BATCH];
    struct mmsghdr rx[BATCH];
};

static double now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double own_cpu(void)
{
    struct rusage u;

    (void)getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

/* User and system time of another process, seconds. */
static double cpu_of(long pid)
{
    char path[64];
    char line[1024];
    unsigned long user = 0;
    unsigned long system = 0;
    double ret = 0;

    (void)snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
    FILE *f = fopen(path, "r");
    if (f == NULL) {
        return 0;
    }
    if (fgets(line, sizeof(line), f) != NULL) {
        const char *tail = strrchr(line, ')');

        if (tail != NULL && sscanf(tail + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                                   &user, &system) == 2) {
            ret = (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
        }
    }
    (void)fclose(f);
    return ret;
}

/* Buckets of 1 us up to 1024 us, then of 256 us. */
static unsigned bucket_of(double seconds)
{
    double us = seconds * 1e6;
    double b = us < 1024 ? us : 1024 + us / 256;

    return b >= BUCKETS ? BUCKETS - 1 : (unsigned)b;
}

static double percentile(const struct gen *g, double p)
{
    uint64_t total = 0;
    uint64_t seen = 0;

    for (unsigned i = 0; i < BUCKETS; i++) {
        total += g->histogram[i];
    }
    for (unsigned i = 0; i < BUCKETS; i++) {
        seen += g->histogram[i];
        if ((double)seen >= (double)total * p) {
            return i < 1024 ? i : (i - 1024) * 256.0;
        }
    }
    return 0;
}

static void gen_init(struct gen *g, uint16_t port)
{
    struct sockaddr_in any = {.sin_family = AF_INET};
    int size = 8 << 20;

    g->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (g->fd < 0 || bind(g->fd, (struct sockaddr *)&any, sizeof(any)) != 0) {
        perror("bind");
        exit(1);
    }
    if (setsockopt(g->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) != 0) {
        (void)setsockopt(g->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    }
    g->server = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (int i = 0; i < BATCH; i++) {
        memcpy(g->tx_bytes[i], request, sizeof(request));
        g->tx_iov[i] = (struct iovec){g->tx_bytes[i], sizeof(request)};
        g->tx[i].msg_hdr = (struct msghdr){.msg_name = &g->server,
                                           .msg_namelen = sizeof(g->server),
                                           .msg_iov = &g->tx_iov[i],
                                           .msg_iovlen = 1,
                                           .msg_control = &g->tx_ctl[i],
                                           .msg_controllen = sizeof(g->tx_ctl[i])};
        struct cmsghdr *c = &g->tx_ctl[i].align;
        c->cmsg_level = IPPROTO_IP;
        c->cmsg_type = IP_PKTINFO;
        c->cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo));
        g->rx_iov[i] = (struct iovec){g->rx_bytes[i], sizeof(g->rx_bytes[i])};
        g->rx[i].msg_hdr = (struct msghdr){.msg_iov = &g->rx_iov[i], .msg_iovlen = 1};
    }
}

static void send_some(struct gen *g, double t)
{
    unsigned n = 0;

    for (; n < BATCH && g->in_flight < g->window && g->sent_at[g->next_mid] == 0; n++) {
        struct in_pktinfo info = {.ipi_spec_dst.s_addr = htonl(0x7f010000u + g->next_peer)};

        g->next_peer = (g->next_peer + 1) % g->peers;
        memcpy(CMSG_DATA(&g->tx_ctl[n].align), &info, sizeof(info));
        g->tx_bytes[n][2] = (uint8_t)(g->next_mid >> 8);
        g->tx_bytes[n][3] = (uint8_t)g->next_mid;
        g->sent_at[g->next_mid++] = t;
        g->in_flight++;
    }
    for (unsigned done = 0; done < n;) {
        int k = sendmmsg(g->fd, g->tx + done, n - done, 0);

        if (k > 0) {
            done += (unsigned)k;
        } else if (errno != EAGAIN) {
            perror("sendmmsg");
            exit(1);
        }
    }
}

static void receive_some(struct gen *g, double t)
{
    int n = recvmmsg(g->fd, g->rx, BATCH, MSG_DONTWAIT, NULL);

    for (int i = 0; i < n; i++) {
        unsigned mid = (unsigned)g->rx_bytes[i][2] << 8 | g->rx_bytes[i][3];

        if (g->rx[i].msg_len < 4 || g->sent_at[mid] == 0) {
            continue;
        }
        if (g->measuring) {
            g->histogram[bucket_of(t - g->sent_at[mid])]++;
        }
        g->sent_at[mid] = 0;
        g->in_flight--;
        g->answers++;
    }
}

/* Ids go out in order, so the oldest in flight is found from the front. */
static void expire(struct gen *g, double t)
{
    while (g->oldest_mid != g->next_mid) {
        double sent = g->sent_at[g->oldest_mid];

        if (sent != 0 && t - sent < LOST_S) {
            break;
        }
        if (sent != 0) {
            g->sent_at[g->oldest_mid] = 0;
            g->in_flight--;
            g->lost++;
        }
        g->oldest_mid++;
    }
}

static void run(struct gen *g, uint64_t answers_wanted, double seconds)
{
    double end = now() + seconds;
    uint64_t goal = g->answers + answers_wanted;

    for (double t = now(); t < end && g->answers < goal; t = now()) {
        send_some(g, t);
        struct pollfd p = {.fd = g->fd, .events = POLLIN};
        if (poll(&p, 1, 100) > 0) {
            receive_some(g, now());
        }
        expire(g, now());
    }
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: %s PORT PEERS SECONDS [WINDOW [SERVER-PID]]\n", argv[0]);
        return 2;
    }
    struct gen *g = calloc(1, sizeof(*g));
    if (g == NULL) {
        return 1;
    }
    g->peers = (uint32_t)strtoul(argv[2], NULL, 10);
    g->window = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 256;
    g->window = g->window > WINDOW_MAX ? WINDOW_MAX : g->window;
    long pid = argc > 5 ? strtol(argv[5], NULL, 10) : 0;
    gen_init(g, (uint16_t)strtoul(argv[1], NULL, 10));

    run(g, g->peers, 60); /* every peer once */
    uint64_t warm = g->answers;
    uint64_t lost = g->lost;
    g->measuring = true;
    double t0 = now();
    double cpu0 = own_cpu();
    double server0 = pid > 0 ? cpu_of(pid) : 0;
    run(g, UINT64_MAX - warm, strtod(argv[3], NULL));
    double t = now() - t0;
    double ops = (double)(g->answers - warm);
    double per_op = ops > 0 ? 1e6 / ops : 0;
    printf("{\"bench\":\"coap_gen\",\"peers\":%u,\"warm\":%llu,\"window\":%u,\"ops_per_s\":%.0f,"
           "\"p50_us\":%.0f,\"p99_us\":%.0f,\"lost\":%llu,\"gen_cpu_us_per_op\":%.2f",
           g->peers, (unsigned long long)warm, g->window, ops / t, percentile(g, 0.5),
           percentile(g, 0.99), (unsigned long long)(g->lost - lost), (own_cpu() - cpu0) * per_op);
    if (pid > 0) {
        printf(",\"server_cpu_us_per_op\":%.2f", (cpu_of(pid) - server0) * per_op);
    }
    printf("}\n");
    (void)close(g->fd);
    free(g);
    return 0;
}
