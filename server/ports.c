/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets of the server's ports, and the addresses that devices are told. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "server/run_priv.h"

#define TRIES_MAX 16u

static void addr_text(const union cx_addr *addr, char *buf)
{
    char host[INET6_ADDRSTRLEN];

    if (addr->sa.sa_family == AF_INET) {
        (void)inet_ntop(AF_INET, &addr->in4.sin_addr, host, sizeof host);
        (void)snprintf(buf, ADDRESS_MAX, "%s:%u", host, ntohs(addr->in4.sin_port));
    } else {
        (void)inet_ntop(AF_INET6, &addr->in6.sin6_addr, host, sizeof host);
        (void)snprintf(buf, ADDRESS_MAX, "[%s]:%u", host, ntohs(addr->in6.sin6_port));
    }
}

static void addr_from(const struct srv_addr *a, union cx_addr *ret)
{
    *ret = (union cx_addr){0};
    if (inet_pton(AF_INET, a->host, &ret->in4.sin_addr) == 1) {
        ret->in4.sin_family = AF_INET;
        ret->in4.sin_port = htons(a->port);
    } else {
        (void)inet_pton(AF_INET6, a->host, &ret->in6.sin6_addr);
        ret->in6.sin6_family = AF_INET6;
        ret->in6.sin6_port = htons(a->port);
    }
}

/* A free UDP port need not be free for TCP: then another one is tried. */
static dr_err_t open_both(const struct srv *s, const struct srv_addr *a, union cx_addr *addr,
                          int udp[SHARDS_MAX], int tcp[SHARDS_MAX])
{
    dr_err_t err = DR_ERR_IN_USE;

    for (unsigned i = 0; i < (a->port == 0 ? TRIES_MAX : 1) && err == DR_ERR_IN_USE; i++) {
        addr_from(a, addr);
        err = cx_sockets_open(addr, s->n_shards, udp);
        if (err != DR_OK) {
            return err;
        }
        err = cx_listeners_open(addr, s->n_shards, tcp);
        for (unsigned k = 0; err != DR_OK && k < s->n_shards; k++) {
            (void)close(udp[k]);
        }
    }
    return err;
}

dr_err_t srv_ports_open(struct srv *s, const char *key, const struct srv_addr *a, size_t port_at,
                        char *text)
{
    int udp[SHARDS_MAX], tcp[SHARDS_MAX];
    union cx_addr addr;

    if (a->off) {
        return DR_OK;
    }
    dr_err_t err = open_both(s, a, &addr, udp, tcp);
    if (err != DR_OK) {
        dr_errinfo_set(s->reterr, key, 0, "cannot listen on %s port %u: %s", a->host, a->port,
                       dr_err_str(err));
        return err;
    }
    addr_text(&addr, text);
    for (unsigned i = 0; i < s->n_shards; i++) {
        *(struct srv_port *)(void *)((char *)&s->shards[i] + port_at) =
            (struct srv_port){.udp = udp[i], .tcp = tcp[i]};
    }
    return DR_OK;
}

dr_err_t srv_port_adopt(struct cx_engine *e, struct srv_port *port, bool secure)
{
    dr_err_t err = DR_OK;

    if (port->udp >= 0) {
        err = cx_engine_adopt(e, port->udp, secure ? CX_PROTO_DTLS : CX_PROTO_UDP);
        port->udp = err == DR_OK ? -1 : port->udp;
    }
    if (err == DR_OK && port->tcp >= 0) {
        err = cx_engine_adopt(e, port->tcp, secure ? CX_PROTO_TLS : CX_PROTO_TCP);
        port->tcp = err == DR_OK ? -1 : port->tcp;
    }
    return err;
}

void srv_port_close(struct srv_port *port)
{
    if (port->udp >= 0) {
        (void)close(port->udp);
    }
    if (port->tcp >= 0) {
        (void)close(port->tcp);
    }
    *port = SRV_NO_PORT;
}

void srv_uri_of(const struct srv *s, const char *scheme, const struct srv_addr *a,
                const char *bound, char out[CAMP_BASE_MAX + 1])
{
    const char *host = s->config->device_host[0] != '\0' ? s->config->device_host : a->host;
    const char *port = strrchr(bound, ':');
    bool all = strcmp(host, "::") == 0 || strcmp(host, "0.0.0.0") == 0;
    bool v6 = strchr(host, ':') != NULL && host[0] != '[';

    out[0] = '\0';
    if (!a->off && port != NULL && !all) {
        (void)snprintf(out, CAMP_BASE_MAX + 1, "%s://%s%s%s%s", scheme, v6 ? "[" : "", host,
                       v6 ? "]" : "", port);
    }
}

bool srv_boots(const struct srv_config *c)
{
    return !c->bootstrap.off && (!c->coaps.off || c->public_coaps[0] != '\0');
}

/* "coaps://host:port" that devices get: @p public if configured, else what was bound. */
static bool public_uri(const struct srv *s, const char *public, const struct srv_addr *a,
                       const char *bound, char out[CAMP_BASE_MAX + 1])
{
    const char *port = strrchr(bound, ':');

    if (public[0] != '\0') {
        (void)snprintf(out, CAMP_BASE_MAX + 1, "coaps://%s", public);
        return true;
    }
    srv_uri_of(s, "coaps", a, bound, out);
    if (out[0] != '\0') {
        return true;
    }
    (void)snprintf(out, CAMP_BASE_MAX + 1, "coaps://127.0.0.1%s", port == NULL ? "" : port);
    return false;
}

void srv_make_uris(struct srv *s)
{
    const struct srv_config *c = s->config;

    if (!public_uri(s, c->public_coaps, &c->coaps, s->coaps, s->lwm2m_uri) && srv_boots(c)) {
        dr_log(DR_LOG_WARNING, "server",
               "neither public-coaps nor device-host is set: bootstrap sends devices to 127.0.0.1");
    }
    (void)public_uri(s, c->public_bootstrap, &c->bootstrap, s->bootstrap, s->bootstrap_uri);
}
