/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/bench/rest_client.c
 * @brief Latency of HTTP calls as a client sees it: one keep-alive connection, one call at a time.
 *
 * Usage: rest_client --address A:P --key-file F|- [--requests N] [--warmup N] TARGET…
 * Each target is asked for N times (1000); one JSON object a target is printed:
 * {"target":,"requests":,"errors":,"bytes":,"p50_ms":,"p90_ms":,"p99_ms":,"max_ms":,"ops_per_s":}.
 * The time is from the first byte sent to the last byte of the answer. Exit 1 when a call failed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MAX (64 * 1024 * 1024)

static int sock = -1;
static char *buf;
static char host[64], key[256];
static struct sockaddr_in peer;

static void die(const char *what)
{
    fprintf(stderr, "rest_client: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now_ms(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static void open_connection(void)
{
    int one = 1;

    sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (sock < 0 || connect(sock, (struct sockaddr *)&peer, sizeof peer) != 0) {
        die("connect");
    }
    (void)setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

/* One call; its status, or -1 when the connection failed. */
static int call(const char *target, size_t *ret_bytes)
{
    char out[16384];
    int n =
        snprintf(out, sizeof out, "GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n",
                 target, host, key);
    if (n < 0 || (size_t)n >= sizeof out || send(sock, out, (size_t)n, MSG_NOSIGNAL) != n) {
        return -1;
    }
    size_t len = 0;
    size_t want = 0;
    while (want == 0 || len < want) {
        ssize_t got = recv(sock, buf + len, ANSWER_MAX - len - 1, 0);
        if (got <= 0) {
            return -1;
        }
        len += (size_t)got;
        buf[len] = '\0';
        char *end = want == 0 ? strstr(buf, "\r\n\r\n") : NULL;
        if (end != NULL) {
            const char *length = strcasestr(buf, "\r\nContent-Length:");
            if (length == NULL || length > end) {
                return -1;
            }
            want = (size_t)(end - buf) + 4 + strtoul(length + 17, NULL, 10);
        }
    }
    *ret_bytes = len;
    return atoi(buf + 9);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

static bool measure(const char *target, int requests, int warmup)
{
    double *times = calloc((size_t)requests, sizeof *times);
    int errors = 0;
    size_t bytes = 0;

    if (times == NULL) {
        die("memory");
    }
    for (int i = 0; i < warmup; i++) {
        if (call(target, &bytes) < 0) {
            close(sock);
            open_connection();
        }
    }
    double begin = now_ms();
    for (int i = 0; i < requests; i++) {
        double start = now_ms();
        int status = call(target, &bytes);
        times[i] = now_ms() - start;
        if (status != 200) {
            errors++;
        }
        if (status < 0) {
            close(sock);
            open_connection();
        }
    }
    double took = now_ms() - begin;
    size_t n = (size_t)requests;
    qsort(times, n, sizeof *times, compare);
    printf("{\"target\":\"%s\",\"requests\":%d,\"errors\":%d,\"bytes\":%zu,\"p50_ms\":%.3f,"
           "\"p90_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f,\"ops_per_s\":%.0f}\n",
           target, requests, errors, bytes, times[n / 2], times[n * 90 / 100], times[n * 99 / 100],
           times[n - 1], requests / took * 1e3);
    fflush(stdout);
    free(times);
    return errors == 0;
}

static void read_key(const char *path)
{
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");

    if (f == NULL || fgets(key, sizeof key, f) == NULL) {
        die(path);
    }
    key[strcspn(key, "\r\n")] = '\0';
    if (f != stdin) {
        fclose(f);
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"address", required_argument, NULL, 'a'},
                                            {"key-file", required_argument, NULL, 'k'},
                                            {"requests", required_argument, NULL, 'n'},
                                            {"warmup", required_argument, NULL, 'w'},
                                            {NULL, 0, NULL, 0}};
    int requests = 1000;
    int warmup = 20;
    bool ok = true;

    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'a') {
            (void)snprintf(host, sizeof host, "%s", optarg);
        } else if (c == 'k') {
            read_key(optarg);
        } else if (c == 'n') {
            requests = atoi(optarg);
        } else if (c == 'w') {
            warmup = atoi(optarg);
        } else {
            return 2;
        }
    }
    char *colon = strrchr(host, ':');
    if (colon == NULL || key[0] == '\0' || optind == argc || requests <= 0) {
        fprintf(stderr, "usage: rest_client --address A:P --key-file F|- [--requests N] "
                        "[--warmup N] TARGET…\n");
        return 2;
    }
    *colon = '\0';
    peer =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(colon + 1))};
    if (inet_pton(AF_INET, host, &peer.sin_addr) != 1) {
        fprintf(stderr, "rest_client: '%s' is not an IPv4 address\n", host);
        return 2;
    }
    buf = malloc(ANSWER_MAX);
    if (buf == NULL) {
        die("memory");
    }
    open_connection();
    for (int i = optind; i < argc; i++) {
        ok = measure(argv[i], requests, warmup) && ok;
    }
    close(sock);
    free(buf);
    return ok ? 0 : 1;
}
