/* SPDX-License-Identifier: Apache-2.0 */
/** The client's connection: Mbed TLS 2.28 with the client's settings, and its idea of time. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <mbedtls/platform.h>

#include "tests/peers/pelion.h"

mbedtls_ctr_drbg_context rng;

static const int suites_cert[] = {MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8, 0};
static const int suites_psk[] = {MBEDTLS_TLS_PSK_WITH_AES_128_CCM_8, 0};
static const mbedtls_ecp_group_id curves[] = {MBEDTLS_ECP_DP_SECP256R1, MBEDTLS_ECP_DP_NONE};
static const int hashes[] = {MBEDTLS_MD_SHA256, MBEDTLS_MD_SHA224, MBEDTLS_MD_NONE};

void cred_init(struct cred *c)
{
    memset(c, 0, sizeof *c);
    mbedtls_x509_crt_init(&c->cert);
    mbedtls_x509_crt_init(&c->ca);
    mbedtls_pk_init(&c->key);
}

void cred_free(struct cred *c)
{
    mbedtls_x509_crt_free(&c->cert);
    mbedtls_x509_crt_free(&c->ca);
    mbedtls_pk_free(&c->key);
    cred_init(c);
}

static int64_t unix_of(const mbedtls_x509_time *t)
{
    struct tm tm = {.tm_year = t->year - 1900,
                    .tm_mon = t->mon - 1,
                    .tm_mday = t->day,
                    .tm_hour = t->hour,
                    .tm_min = t->min,
                    .tm_sec = t->sec};

    return timegm(&tm);
}

/* Dates are judged by the device's clock, not by that of the machine the test runs on. */
static int verify(void *ctx, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    const struct net *n = ctx;

    (void)depth;
    *flags &= ~(uint32_t)(MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE);
    if (unix_of(&crt->valid_from) > n->clock_s) {
        *flags |= MBEDTLS_X509_BADCERT_FUTURE;
    }
    if (unix_of(&crt->valid_to) < n->clock_s) {
        *flags |= MBEDTLS_X509_BADCERT_EXPIRED;
    }
    return 0;
}

static int keys_seen(void *ctx, const unsigned char *ms, const unsigned char *kb, size_t maclen,
                     size_t keylen, size_t ivlen, const unsigned char client_random[32],
                     const unsigned char server_random[32], mbedtls_tls_prf_types prf)
{
    struct net *n = ctx;

    (void)ms;
    (void)kb;
    (void)maclen;
    (void)keylen;
    (void)ivlen;
    (void)client_random;
    (void)prf;
    memcpy(n->server_random, server_random, sizeof n->server_random);
    return 0;
}

static int conf_make(struct net *n, struct cred *c)
{
    bool psk = c->psk_len != 0;
    int ret = mbedtls_ssl_config_defaults(&n->conf, MBEDTLS_SSL_IS_CLIENT,
                                          n->mode == M_DTLS ? MBEDTLS_SSL_TRANSPORT_DATAGRAM
                                                            : MBEDTLS_SSL_TRANSPORT_STREAM,
                                          MBEDTLS_SSL_PRESET_DEFAULT);

    mbedtls_ssl_conf_rng(&n->conf, mbedtls_ctr_drbg_random, &rng);
    mbedtls_ssl_conf_min_version(&n->conf, MBEDTLS_SSL_MAJOR_VERSION_3,
                                 MBEDTLS_SSL_MINOR_VERSION_3);
    mbedtls_ssl_conf_ciphersuites(&n->conf, n->suite[0] != 0 ? n->suite
                                            : psk            ? suites_psk
                                                             : suites_cert);
    mbedtls_ssl_conf_curves(&n->conf, curves);
    mbedtls_ssl_conf_sig_hashes(&n->conf, hashes);
    mbedtls_ssl_conf_authmode(&n->conf, MBEDTLS_SSL_VERIFY_OPTIONAL);
    mbedtls_ssl_conf_verify(&n->conf, verify, n);
    mbedtls_ssl_conf_export_keys_ext_cb(&n->conf, keys_seen, n);
    mbedtls_ssl_conf_renegotiation(&n->conf, MBEDTLS_SSL_RENEGOTIATION_ENABLED);
    mbedtls_ssl_conf_session_tickets(&n->conf, MBEDTLS_SSL_SESSION_TICKETS_ENABLED);
    mbedtls_ssl_conf_read_timeout(&n->conf, 0);
    mbedtls_ssl_conf_handshake_timeout(&n->conf, 4000, 32000);
    if (ret == 0 && psk) {
        ret = mbedtls_ssl_conf_psk(&n->conf, c->psk, c->psk_len, (const uint8_t *)c->psk_id,
                                   strlen(c->psk_id));
    }
    if (ret == 0 && c->has_ca) {
        mbedtls_ssl_conf_ca_chain(&n->conf, &c->ca, NULL);
    }
    if (ret == 0 && c->has_cert) {
        ret = mbedtls_ssl_conf_own_cert(&n->conf, &c->cert, &c->key);
    }
    return ret;
}

static uint32_t server_time(const struct net *n)
{
    return (uint32_t)n->server_random[0] << 24 | (uint32_t)n->server_random[1] << 16 |
           (uint32_t)n->server_random[2] << 8 | n->server_random[3];
}

static int handshake(struct net *n)
{
    int ret;

    do {
        ret = mbedtls_ssl_handshake(&n->ssl);
    } while (ret == MBEDTLS_ERR_SSL_WANT_READ || ret == MBEDTLS_ERR_SSL_WANT_WRITE);
    return ret;
}

static int secure_time(struct net *n)
{
    int ret = 0;

    n->flags = mbedtls_ssl_get_verify_result(&n->ssl);
    if (n->flags == MBEDTLS_X509_BADCERT_FUTURE) {
        n->clock_s = server_time(n);
        n->renegotiated = true;
        do {
            ret = mbedtls_ssl_renegotiate(&n->ssl);
        } while (ret == MBEDTLS_ERR_SSL_WANT_READ || ret == MBEDTLS_ERR_SSL_WANT_WRITE);
        if (ret == 0) {
            n->flags = mbedtls_ssl_get_verify_result(&n->ssl);
        }
    }
    if (ret == 0 && n->flags != 0) {
        ret = MBEDTLS_ERR_X509_CERT_VERIFY_FAILED;
    }
    if (ret == 0) {
        n->clock_s = server_time(n);
    }
    return ret;
}

/* The session id serves, tickets are offered but never kept. */
static void session_keep(struct net *n)
{
    mbedtls_ssl_session_free(&n->session);
    mbedtls_ssl_session_init(&n->session);
    n->has_session = mbedtls_ssl_get_session(&n->ssl, &n->session) == 0;
    if (n->has_session && n->session.ticket != NULL) {
        mbedtls_free(n->session.ticket);
        n->session.ticket = NULL;
        n->session.ticket_len = 0;
    }
    n->has_session = n->has_session && n->session.id_len != 0;
}

static int secure_open(struct net *n, struct cred *c)
{
    uint8_t before[32];
    bool offers = n->mode == M_TLS && n->has_session;
    int ret = conf_make(n, c);

    if (ret == 0) {
        ret = mbedtls_ssl_setup(&n->ssl, &n->conf);
    }
    if (ret == 0 && offers) {
        memcpy(before, n->session.id, sizeof before);
        ret = mbedtls_ssl_set_session(&n->ssl, &n->session);
    }
    if (ret != 0) {
        return ret;
    }
    mbedtls_ssl_set_bio(&n->ssl, &n->fd, mbedtls_net_send, mbedtls_net_recv,
                        mbedtls_net_recv_timeout);
    if (n->mode == M_DTLS) {
        mbedtls_ssl_set_timer_cb(&n->ssl, &n->timer, mbedtls_timing_set_delay,
                                 mbedtls_timing_get_delay);
    }
    ret = handshake(n);
    if (ret == 0 && c->psk_len == 0) {
        ret = secure_time(n);
    }
    if (ret == 0) {
        session_keep(n);
        n->resumed = offers && n->has_session && memcmp(before, n->session.id, 32) == 0;
    }
    return ret;
}

static void told_open(const struct net *n)
{
    static const char *const names[] = {"udp", "dtls", "tcp", "tls"};

    ev("connected");
    ev_str("mode", names[n->mode]);
    if (n->mode == M_DTLS || n->mode == M_TLS) {
        const mbedtls_x509_crt *crt = mbedtls_ssl_get_peer_cert(&n->ssl);
        ev_str("suite", mbedtls_ssl_get_ciphersuite(&n->ssl));
        ev_num("server_time", (long)server_time(n));
        ev_num("renegotiated", n->renegotiated);
        ev_num("resumed", n->resumed);
        ev_num("not_before", crt == NULL ? -1 : (long)unix_of(&crt->valid_from));
    }
    ev_end();
}

bool net_open(struct net *n, const char *host, const char *port, enum mode mode, struct cred *c)
{
    bool secure = mode == M_DTLS || mode == M_TLS;
    bool stream = mode == M_TCP || mode == M_TLS;

    n->mode = mode;
    n->renegotiated = n->resumed = n->oversize = false;
    n->rx_len = 0;
    snprintf(n->host, sizeof n->host, "%s", host);
    snprintf(n->port, sizeof n->port, "%s", port);
    mbedtls_net_init(&n->fd);
    mbedtls_ssl_init(&n->ssl);
    mbedtls_ssl_config_init(&n->conf);
    int ret = mbedtls_net_connect(&n->fd, host, port,
                                  stream ? MBEDTLS_NET_PROTO_TCP : MBEDTLS_NET_PROTO_UDP);
    n->open = ret == 0;
    if (ret == 0 && secure) {
        ret = secure_open(n, c);
        n->handshaken = ret == 0;
    }
    if (ret != 0) {
        ev("failed");
        ev_str("what", "connect");
        ev_num("error", -ret);
        ev_num("flags", (long)n->flags);
        ev_num("renegotiated", n->renegotiated);
        ev_end();
        net_close(n, false);
        return false;
    }
    mbedtls_net_set_nonblock(&n->fd);
    if (secure) {
        mbedtls_ssl_set_bio(&n->ssl, &n->fd, mbedtls_net_send, mbedtls_net_recv, NULL);
    }
    told_open(n);
    return true;
}

bool net_rebind(struct net *n)
{
    mbedtls_net_context fresh;

    mbedtls_net_init(&fresh);
    if (!n->open || mbedtls_net_connect(&fresh, n->host, n->port, MBEDTLS_NET_PROTO_UDP) != 0) {
        return false;
    }
    mbedtls_net_free(&n->fd);
    n->fd = fresh;
    mbedtls_net_set_nonblock(&n->fd);
    return true;
}

void net_close(struct net *n, bool notify)
{
    if (!n->open) {
        return;
    }
    if (notify && n->handshaken) {
        (void)mbedtls_ssl_close_notify(&n->ssl);
    }
    mbedtls_net_free(&n->fd);
    mbedtls_ssl_free(&n->ssl);
    mbedtls_ssl_config_free(&n->conf);
    n->open = n->handshaken = false;
}

static bool tcp_write(struct net *n, const uint8_t *p, size_t len)
{
    while (len != 0) {
        int ret = mbedtls_net_send(&n->fd, p, len);
        if (ret == MBEDTLS_ERR_SSL_WANT_WRITE) {
            struct pollfd pfd = {.fd = n->fd.fd, .events = POLLOUT};
            (void)poll(&pfd, 1, 1000);
            continue;
        }
        if (ret <= 0) {
            return false;
        }
        p += ret;
        len -= (size_t)ret;
    }
    return true;
}

int net_send(struct net *n, const uint8_t *p, size_t len)
{
    int ret;

    if (!n->open) {
        return -1;
    }
    if (n->mode == M_UDP) {
        return mbedtls_net_send(&n->fd, p, len) > 0 ? 0 : -1;
    }
    if (n->mode == M_TCP) {
        uint8_t head[4] = {0, 0, (uint8_t)(len >> 8), (uint8_t)len};
        return tcp_write(n, head, sizeof head) && tcp_write(n, p, len) ? 0 : -1;
    }
    do {
        ret = mbedtls_ssl_write(&n->ssl, p, len); /* one record */
    } while (ret == MBEDTLS_ERR_SSL_WANT_READ || ret == MBEDTLS_ERR_SSL_WANT_WRITE);
    return ret == (int)len ? 0 : -1;
}

static int tcp_recv(struct net *n, uint8_t out[RX_MAX])
{
    for (;;) {
        size_t want = 4;
        if (n->rx_len >= 4) {
            want = 4 + ((size_t)n->rx[2] << 8 | n->rx[3]);
        }
        if (want > sizeof n->rx) {
            return -1;
        }
        if (n->rx_len >= 4 && n->rx_len == want) {
            memcpy(out, n->rx + 4, want - 4);
            n->rx_len = 0;
            return (int)(want - 4);
        }
        int ret = mbedtls_net_recv(&n->fd, n->rx + n->rx_len, want - n->rx_len);
        if (ret == MBEDTLS_ERR_SSL_WANT_READ) {
            return 0;
        }
        if (ret <= 0) {
            return -1;
        }
        n->rx_len += (size_t)ret;
    }
}

int net_recv(struct net *n, uint8_t out[RX_MAX])
{
    int ret;

    if (!n->open) {
        return 0;
    }
    if (n->mode == M_TCP) {
        return tcp_recv(n, out);
    }
    if (n->mode == M_UDP) {
        ssize_t got = recv(n->fd.fd, out, RX_MAX, MSG_TRUNC);
        if (got > RX_MAX) {
            n->oversize = true;
            return 0;
        }
        return got < 0 ? 0 : (int)got;
    }
    ret = mbedtls_ssl_read(&n->ssl, out, RX_MAX);
    if (ret == MBEDTLS_ERR_SSL_WANT_READ || ret == MBEDTLS_ERR_SSL_WANT_WRITE ||
        ret == MBEDTLS_ERR_SSL_TIMEOUT) {
        return 0;
    }
    if (ret <= 0) {
        return -1;
    }
    if (mbedtls_ssl_get_bytes_avail(&n->ssl) != 0) { /* more than the buffer holds: thrown away */
        uint8_t rest[RX_MAX];
        n->oversize = true;
        while (mbedtls_ssl_get_bytes_avail(&n->ssl) != 0 &&
               mbedtls_ssl_read(&n->ssl, rest, sizeof rest) > 0) {
        }
        return 0;
    }
    return ret;
}
