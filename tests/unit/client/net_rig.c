/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/client/net_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/hal.h"

#define PACKETS_MAX 512
#define PACKET_MAX  20000

struct packet {
    bool there, to_client;
    uint64_t at_ms;
    size_t len;
    uint8_t *bytes;
};

struct net_rig net;
static struct packet wire[PACKETS_MAX];

uint32_t net_random(void)
{
    net.seed = net.seed * 1664525u + 1013904223u;
    return net.seed >> 8;
}

void net_reset(void)
{
    for (size_t i = 0; i < PACKETS_MAX; i++) {
        free(wire[i].bytes);
    }
    memset(wire, 0, sizeof wire);
    net = (struct net_rig){.now_ms = 3600000, .seed = 1};
}

static void put(bool to_client, const void *msg, size_t len)
{
    unsigned copies = net_random() % 100 < net.loss ? 0 : net_random() % 100 < net.dup ? 2 : 1;

    for (size_t i = 0; i < PACKETS_MAX && copies > 0; i++) {
        struct packet *p = &wire[i];
        if (p->there) {
            continue;
        }
        *p = (struct packet){.there = true,
                             .to_client = to_client,
                             .at_ms = net.now_ms + 10 +
                                      (net.jitter_ms > 0 ? net_random() % net.jitter_ms : 0),
                             .len = len,
                             .bytes = malloc(len)};
        memcpy(p->bytes, msg, len);
        copies--;
    }
}

void net_to_client(const void *msg, size_t len)
{
    put(true, msg, len);
}

static struct packet *first(bool to_client)
{
    struct packet *best = NULL;

    for (size_t i = 0; i < PACKETS_MAX; i++) {
        struct packet *p = &wire[i];
        if (p->there && p->to_client == to_client && (best == NULL || p->at_ms < best->at_ms)) {
            best = p;
        }
    }
    return best;
}

uint64_t net_next(void)
{
    const struct packet *a = first(true), *b = first(false);
    uint64_t at = a != NULL ? a->at_ms : UINT64_MAX;

    return b != NULL && b->at_ms < at ? b->at_ms : at;
}

void net_deliver(void)
{
    struct packet *p;

    while ((p = first(false)) != NULL && p->at_ms <= net.now_ms) {
        uint8_t *bytes = p->bytes;
        size_t len = p->len;
        *p = (struct packet){0};
        if (net.server != NULL) {
            net.server(bytes, len);
        }
        free(bytes);
    }
}

bool hal_net_open(enum hal_net kind, const char *host, uint16_t port)
{
    (void)host;
    (void)port;
    hal_net_close();
    net.tcp = kind == HAL_NET_TCP;
    net.open = true;
    net.broken = false;
    net.opened++;
    return true;
}

void hal_net_close(void)
{
    net.open = false;
    for (size_t i = 0; i < PACKETS_MAX; i++) {
        if (wire[i].to_client) {
            free(wire[i].bytes);
            wire[i] = (struct packet){0};
        }
    }
}

int hal_net_send(const void *buf, size_t len)
{
    if (!net.open || net.broken) {
        return -1;
    }
    put(false, buf, len);
    return (int)len;
}

int hal_net_recv(void *buf, size_t cap)
{
    struct packet *p = first(true);

    if (!net.open || net.broken) {
        return -1;
    }
    if (p == NULL || p->at_ms > net.now_ms) {
        return 0;
    }
    size_t n = p->len < cap ? p->len : cap;
    memcpy(buf, p->bytes, n);
    if (net.tcp && n < p->len) { /* the rest of a stream stays */
        memmove(p->bytes, p->bytes + n, p->len - n);
        p->len -= n;
    } else {
        free(p->bytes);
        *p = (struct packet){0};
    }
    return (int)n;
}

void hal_idle(uint32_t ms)
{
    net.now_ms += ms;
}

void hal_net_address(char *buf, size_t cap)
{
    snprintf(buf, cap, "192.0.2.7");
}

uint64_t hal_time_ms(void)
{
    return net.now_ms;
}

int64_t hal_wall_time(void)
{
    return 1800000000 + (int64_t)(net.now_ms / 1000);
}

void hal_wall_time_set(int64_t unix_s)
{
    (void)unix_s;
}

void hal_random(void *buf, size_t len)
{
    for (uint8_t *p = buf; len > 0; len--) {
        *p++ = (uint8_t)net_random();
    }
}

void hal_reset(void)
{
    fprintf(stderr, "hal_reset()\n");
    abort();
}

int32_t hal_temperature_milli(void)
{
    return 21500;
}

void hal_log(const char *line)
{
    (void)line;
}
