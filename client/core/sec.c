/* SPDX-License-Identifier: Apache-2.0 */
#include "client/core/sec.h"

#include <mbedtls/ssl_ciphersuites.h>

#include "client/hal.h"

enum {
    SHAKE_FIRST_MS = 1000, /**< first repetition of a DTLS flight */
    SHAKE_LAST_MS = 16000, /**< longest one: the handshake fails after 31 s */
    SHAKE_TCP_MS = 30000,
    NOTHING = 0,
};

static const int suites_psk[] = {MBEDTLS_TLS_PSK_WITH_AES_128_CCM_8,
                                 MBEDTLS_TLS_PSK_WITH_AES_128_GCM_SHA256, 0};
static const int suites_cert[] = {MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8,
                                  MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, 0};
static const mbedtls_ecp_group_id curves[] = {MBEDTLS_ECP_DP_SECP256R1, MBEDTLS_ECP_DP_NONE};

static int rng(void *ctx, unsigned char *buf, size_t len)
{
    (void)ctx;
    hal_random(buf, len);
    return 0;
}

static int bio_send(void *ctx, const unsigned char *buf, size_t len)
{
    (void)ctx;
    int n = hal_net_send(buf, len);
    return n > 0 ? n : n == 0 ? MBEDTLS_ERR_SSL_WANT_WRITE : MBEDTLS_ERR_SSL_CONN_EOF;
}

static int bio_recv(void *ctx, unsigned char *buf, size_t len)
{
    struct cl_sec *s = ctx;
    int n = hal_net_recv(buf, len);

    if (n > 0) {
        s->shaken = true;
        return n;
    }
    return n == 0 ? MBEDTLS_ERR_SSL_WANT_READ : MBEDTLS_ERR_SSL_CONN_EOF;
}

static void timer_set(void *ctx, uint32_t int_ms, uint32_t fin_ms)
{
    struct cl_sec *s = ctx;

    s->int_ms = fin_ms == 0 ? 0 : s->now_ms + int_ms;
    s->fin_ms = fin_ms == 0 ? 0 : s->now_ms + fin_ms;
}

static int timer_get(void *ctx)
{
    const struct cl_sec *s = ctx;

    if (s->fin_ms == 0) {
        return -1;
    }
    return s->now_ms >= s->fin_ms ? 2 : s->now_ms >= s->int_ms ? 1 : 0;
}

void cl_sec_init(struct cl_sec *s)
{
    memset(s, 0, sizeof *s);
}

static void fail(struct cl_sec *s, enum cl_sec_why why, int tls_error)
{
    s->state = CL_SEC_FAILED;
    s->why = why;
    s->tls_error = tls_error;
}

static bool own_credentials(struct cl_sec *s, const struct cl_account *a)
{
    if (a->mode == CL_MODE_PSK) {
        mbedtls_ssl_conf_ciphersuites(&s->conf, suites_psk);
        return a->key_len > 0 && a->id_len > 0 &&
               mbedtls_ssl_conf_psk(&s->conf, a->key, a->key_len, a->id, a->id_len) == 0;
    }
    mbedtls_ssl_conf_ciphersuites(&s->conf, suites_cert);
    mbedtls_ssl_conf_curves(&s->conf, curves);
    mbedtls_ssl_conf_authmode(&s->conf, MBEDTLS_SSL_VERIFY_REQUIRED);
    if (mbedtls_x509_crt_parse_der(&s->own, a->id, a->id_len) != 0 ||
        mbedtls_x509_crt_parse_der(&s->ca, a->peer, a->peer_len) != 0 ||
        mbedtls_pk_parse_key(&s->key, a->key, a->key_len, NULL, 0) != 0 ||
        mbedtls_pk_check_pair(&s->own.pk, &s->key) != 0) {
        return false;
    }
    mbedtls_ssl_conf_ca_chain(&s->conf, &s->ca, NULL);
    return mbedtls_ssl_conf_own_cert(&s->conf, &s->own, &s->key) == 0;
}

static bool tls_setup(struct cl_sec *s, const struct cl_account *a)
{
    mbedtls_ssl_init(&s->ssl);
    mbedtls_ssl_config_init(&s->conf);
    mbedtls_x509_crt_init(&s->own);
    mbedtls_x509_crt_init(&s->ca);
    mbedtls_pk_init(&s->key);
    s->setup = true;
    if (mbedtls_ssl_config_defaults(&s->conf, MBEDTLS_SSL_IS_CLIENT,
                                    s->tcp ? MBEDTLS_SSL_TRANSPORT_STREAM
                                           : MBEDTLS_SSL_TRANSPORT_DATAGRAM,
                                    MBEDTLS_SSL_PRESET_DEFAULT) != 0) {
        return false;
    }
    mbedtls_ssl_conf_rng(&s->conf, rng, NULL);
    mbedtls_ssl_conf_min_version(&s->conf, MBEDTLS_SSL_MAJOR_VERSION_3,
                                 MBEDTLS_SSL_MINOR_VERSION_3);
    mbedtls_ssl_conf_handshake_timeout(&s->conf, SHAKE_FIRST_MS, SHAKE_LAST_MS);
    if (!own_credentials(s, a) || mbedtls_ssl_setup(&s->ssl, &s->conf) != 0) {
        return false;
    }
    mbedtls_ssl_set_bio(&s->ssl, s, bio_send, bio_recv, NULL);
    if (!s->tcp) {
        mbedtls_ssl_set_timer_cb(&s->ssl, s, timer_set, timer_get);
        mbedtls_ssl_set_mtu(&s->ssl, CL_MSG_MAX);
    }
    return true;
}

static void tls_free(struct cl_sec *s)
{
    if (s->setup) {
        mbedtls_ssl_free(&s->ssl);
        mbedtls_ssl_config_free(&s->conf);
        mbedtls_x509_crt_free(&s->own);
        mbedtls_x509_crt_free(&s->ca);
        mbedtls_pk_free(&s->key);
        s->setup = false;
    }
}

void cl_sec_open(struct cl_sec *s, const struct cl_account *account, bool records, uint64_t now_ms)
{
    struct cl_uri uri;

    cl_sec_close(s);
    s->now_ms = s->began_ms = now_ms;
    s->state = CL_SEC_SHAKING;
    if (cl_uri_parse(account->uri, &uri) != CL_OK) {
        fail(s, CL_SEC_CONFIG, NOTHING);
        return;
    }
    s->tls = uri.scheme == CL_COAPS || uri.scheme == CL_COAPS_TCP;
    s->tcp = uri.scheme == CL_COAP_TCP || uri.scheme == CL_COAPS_TCP;
    if (records && uri.scheme == CL_COAPS) {
        s->tcp = true; /* Pelion's accounts say coaps:// for TLS too */
    }
    s->records = records && s->tls && s->tcp;
    if (s->tls && !tls_setup(s, account)) {
        fail(s, CL_SEC_CONFIG, NOTHING);
        return;
    }
    if (!hal_net_open(s->tcp ? HAL_NET_TCP : HAL_NET_UDP, uri.host, uri.port)) {
        fail(s, CL_SEC_NO_ANSWER, NOTHING);
        return;
    }
    if (!s->tls) {
        s->state = CL_SEC_OPEN;
    }
}

static void shake_failed(struct cl_sec *s, int rc)
{
    enum cl_sec_why why = CL_SEC_REFUSED;

    if (rc == MBEDTLS_ERR_SSL_TIMEOUT) {
        /* a server that answers the first flights and then falls silent did not take our Finished:
         * wrong keys look like that, since records that cannot be opened are dropped */
        why = s->shaken && s->ssl.state > MBEDTLS_SSL_SERVER_HELLO_DONE ? CL_SEC_REFUSED
                                                                        : CL_SEC_NO_ANSWER;
    } else if (rc == MBEDTLS_ERR_SSL_CONN_EOF) {
        why = s->shaken ? CL_SEC_REFUSED : CL_SEC_NO_ANSWER;
    } else if (rc == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED) {
        why = CL_SEC_UNTRUSTED;
    }
    fail(s, why, rc);
}

static void shake(struct cl_sec *s)
{
    int rc = mbedtls_ssl_handshake(&s->ssl);

    if (rc == 0) {
        s->state = CL_SEC_OPEN;
    } else if (rc != MBEDTLS_ERR_SSL_WANT_READ && rc != MBEDTLS_ERR_SSL_WANT_WRITE) {
        shake_failed(s, rc);
    } else if (s->tcp && s->now_ms - s->began_ms >= SHAKE_TCP_MS) {
        fail(s, s->shaken ? CL_SEC_REFUSED : CL_SEC_NO_ANSWER, NOTHING);
    }
}

/* Give @p len bytes to the layer below: bytes taken, 0 = later, -1 = broken. */
static int give(struct cl_sec *s, const uint8_t *p, size_t len)
{
    if (!s->tls) {
        return hal_net_send(p, len);
    }
    int n = mbedtls_ssl_write(&s->ssl, p, len);
    if (n == MBEDTLS_ERR_SSL_WANT_WRITE || n == MBEDTLS_ERR_SSL_WANT_READ) {
        return 0;
    }
    return n < 0 ? -1 : n;
}

/* Messages wait in s->out in order; the first may be partly sent. */
static void flush(struct cl_sec *s)
{
    while (s->out_len > 0 && s->state == CL_SEC_OPEN) {
        size_t len = cl_get16(s->out);
        int n = give(s, s->out + 2, len);
        if (n < 0) {
            fail(s, CL_SEC_BROKEN, NOTHING);
        }
        if (n <= 0) {
            return;
        }
        size_t left = len - (size_t)n, drop = left == 0 ? 2 + len : (size_t)n;
        memmove(s->out, s->out + drop, s->out_len - drop);
        s->out_len -= drop;
        if (left > 0) {
            cl_put16(s->out, (uint16_t)left);
        }
    }
}

uint64_t cl_sec_step(struct cl_sec *s, uint64_t now_ms)
{
    s->now_ms = now_ms;
    if (s->state == CL_SEC_SHAKING) {
        shake(s);
    }
    if (s->state == CL_SEC_SHAKING) {
        return s->tcp ? s->began_ms + SHAKE_TCP_MS : s->fin_ms != 0 ? s->fin_ms : CL_NEVER;
    }
    flush(s);
    return s->out_len > 0 ? now_ms + 10 : CL_NEVER;
}

void cl_sec_send(struct cl_sec *s, const uint8_t *msg, size_t len)
{
    if (s->state != CL_SEC_OPEN) {
        return;
    }
    if (!s->tcp) {
        if (give(s, msg, len) < 0 && s->tls) {
            fail(s, CL_SEC_BROKEN, NOTHING);
        }
        return;
    }
    if (sizeof s->out - s->out_len < len + 2) { /* it takes nothing any more */
        fail(s, CL_SEC_BROKEN, NOTHING);
        return;
    }
    cl_put16(s->out + s->out_len, (uint16_t)len);
    memcpy(s->out + s->out_len + 2, msg, len);
    s->out_len += len + 2;
    flush(s);
}

/* Is the rest of the record in the way? It is read and forgotten. */
static bool rest_drop(struct cl_sec *s)
{
    uint8_t rest[64];
    bool any = false;

    while (mbedtls_ssl_get_bytes_avail(&s->ssl) > 0 &&
           mbedtls_ssl_read(&s->ssl, rest, sizeof rest) > 0) {
        any = true;
    }
    return any;
}

/* One read of the layer below: bytes, 0 = none. */
static size_t take(struct cl_sec *s, uint8_t *buf, size_t cap)
{
    int n;

    if (!s->tls) {
        n = hal_net_recv(buf, cap);
        if (n < 0 && s->tcp) {
            fail(s, CL_SEC_BROKEN, NOTHING);
        }
        return n > 0 ? (size_t)n : 0;
    }
    n = mbedtls_ssl_read(&s->ssl, buf, cap);
    if (n == MBEDTLS_ERR_SSL_WANT_READ || n == MBEDTLS_ERR_SSL_WANT_WRITE) {
        return 0;
    }
    if (n <= 0) {
        fail(s, CL_SEC_BROKEN, n);
        return 0;
    }
    return (size_t)n;
}

/* The next whole frame of the stream. */
static size_t frame_take(struct cl_sec *s, uint8_t *buf)
{
    for (;;) {
        size_t len = cl_frame_len(s->in, s->in_len);
        if (len == SIZE_MAX) {
            fail(s, CL_SEC_BROKEN, NOTHING);
            return 0;
        }
        if (len > 0 && len <= s->in_len) {
            memcpy(buf, s->in, len);
            memmove(s->in, s->in + len, s->in_len - len);
            s->in_len -= len;
            return len;
        }
        size_t n = take(s, s->in + s->in_len, sizeof s->in - s->in_len);
        if (n == 0) {
            return 0;
        }
        s->in_len += n;
    }
}

size_t cl_sec_recv(struct cl_sec *s, uint8_t *buf, size_t cap)
{
    if (s->state != CL_SEC_OPEN || cap < CL_MSG_MAX) {
        return 0;
    }
    if (s->tcp && !s->records) {
        return frame_take(s, buf);
    }
    size_t n = take(s, buf, cap);
    return s->tls && n > 0 && rest_drop(s) ? 0 : n; /* a message that is too long is none */
}

void cl_sec_close(struct cl_sec *s)
{
    if (s->setup && s->state == CL_SEC_OPEN) {
        (void)mbedtls_ssl_close_notify(&s->ssl);
    }
    tls_free(s);
    if (s->state != CL_SEC_CLOSED) {
        hal_net_close();
    }
    s->state = CL_SEC_CLOSED;
    s->tls = s->tcp = s->records = s->shaken = false;
    s->in_len = s->out_len = 0;
    s->int_ms = s->fin_ms = 0;
    s->tls_error = 0;
}

const char *cl_sec_why_text(enum cl_sec_why why)
{
    static const char *const text[] = {
        [CL_SEC_NO_ANSWER] = "no answer",
        [CL_SEC_REFUSED] = "refused: the server does not know this identity, or the key is wrong",
        [CL_SEC_UNTRUSTED] = "the server's certificate is not to be trusted",
        [CL_SEC_BROKEN] = "connection lost",
        [CL_SEC_CONFIG] = "the device's own credentials or address cannot be used",
    };
    return text[why];
}
