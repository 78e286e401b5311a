/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/integ/coap/test_streams_raw.c
 * @brief The server's side of connections against bytes: OpenSSL's own client, bad behaviour, and
 * every limit.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "coap/conn.h"
#include "tests/integ/coap/rig.h"
#include "tests/unit/coap/dtls_fixture.h"
#include "tests/unit/run.h"

#define CLIENTS_MAX    64
#define DEFAULT_SUITES "ECDHE-ECDSA-AES128-CCM8"

static struct rig r;
static struct fx_cert *ca, *own, *device, *other, *stranger;

struct raw {
    int fd;
    SSL_CTX *ctx;
    SSL *ssl;
    SSL_SESSION *session; /* to offer */
    const struct fx_cert *cert;
    const char *psk_identity;
    const uint8_t *psk;
    size_t psk_len;
    const char *suites;
    bool alpn;
    uint8_t in[65536];
    size_t len;
    bool ended;
};
static struct raw clients[CLIENTS_MAX];

static void reload(const struct fx_cert *authority, uint64_t tag)
{
    struct cx_anchor anchor = {.der = authority->der, .len = authority->der_len, .tag = tag};
    struct cx_security_config sc = {
        .cert_pem = own->cert_pem, .key_pem = own->key_pem, .anchors = &anchor, .n_anchors = 1};
    struct cx_security_config cc = {.client = true};

    rig_reload(&r, &sc, &cc);
}

static void with_limits(const struct cx_limits *server)
{
    rig_init(&r, server, NULL);
    ca = fx_cert_new("test ca", NULL, true, -1, 30);
    own = fx_cert_new("server", ca, false, -1, 30);
    device = fx_cert_new("device-7", ca, false, -1, 30);
    other = fx_cert_new("device-8", ca, false, -1, 30);
    stranger = fx_cert_new("stranger", NULL, true, -1, 30);
    reload(ca, 99);
    rig_listen(&r);
}

static void set_up(void)
{
    with_limits(NULL);
}

static void raw_close(struct raw *c)
{
    SSL_SESSION_free(c->session);
    if (c->ssl != NULL) { /* else the library would not offer its session again */
        SSL_set_shutdown(c->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    }
    SSL_free(c->ssl);
    SSL_CTX_free(c->ctx);
    if (c->fd > 0) {
        (void)close(c->fd);
    }
    memset(c, 0, sizeof *c);
}

static void tear_down(void)
{
    for (unsigned i = 0; i < CLIENTS_MAX; i++) {
        raw_close(&clients[i]);
    }
    rig_fini(&r);
    ca = fx_cert_free(ca);
    own = fx_cert_free(own);
    device = fx_cert_free(device);
    other = fx_cert_free(other);
    stranger = fx_cert_free(stranger);
}

/* ---- bytes ---- */

static struct raw *dial_from(struct raw *c, const union cx_addr *to, unsigned host)
{
    union cx_addr from = {
        .in4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000100 + host)}};

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(c->fd, 0);
    /* a small window, in segments that are smaller still */
    const int window = 32768, segment = 1400;
    (void)setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &window, sizeof window);
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof segment);
    ck_assert_int_eq(bind(c->fd, &from.sa, sizeof from.in4), 0);
    ck_assert(connect(c->fd, &to->sa, sizeof to->in4) == 0 || errno == EINPROGRESS);
    return c;
}

static struct raw *dial(unsigned i, const union cx_addr *to)
{
    return dial_from(&clients[i], to, 1);
}

static void put(struct raw *c, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;

    while (len > 0) {
        ssize_t n =
            c->ssl != NULL ? SSL_write(c->ssl, at, (int)len) : send(c->fd, at, len, MSG_NOSIGNAL);
        if (n > 0) {
            at += n;
            len -= (size_t)n;
        } else {
            ck_assert(c->ssl != NULL || errno == EAGAIN || errno == ENOTCONN);
            loop_run_once(r.loop, true);
        }
    }
}

static void put_hex(struct raw *c, const char *hex)
{
    uint8_t bytes[512];
    size_t len;

    ck_assert_int_eq(dr_hex_decode(hex, strlen(hex), bytes, sizeof bytes, &len), DR_OK);
    put(c, bytes, len);
}

/* Whether something new came, or the end. */
static bool more(struct raw *c)
{
    if (c->ended) {
        return false;
    }
    uint8_t *at = c->in + c->len;
    size_t room = sizeof c->in - c->len;
    ssize_t n = c->ssl != NULL ? SSL_read(c->ssl, at, (int)room) : recv(c->fd, at, room, 0);

    if (n > 0) {
        c->len += (size_t)n;
    } else if (c->ssl != NULL) {
        c->ended = SSL_get_error(c->ssl, (int)n) != SSL_ERROR_WANT_READ;
        ERR_clear_error();
    } else {
        c->ended = n == 0 || (errno != EAGAIN && errno != ENOTCONN);
    }
    return n > 0 || c->ended;
}

static void get(struct raw *c, size_t len)
{
    RIG_UNTIL(&r, more(c) && (c->len >= len || c->ended));
    ck_assert_uint_ge(c->len, len);
}

static void took(struct raw *c, size_t len)
{
    memmove(c->in, c->in + len, c->len - len);
    c->len -= len;
}

static void expect_hex(struct raw *c, const char *hex)
{
    uint8_t want[512];
    char got[1025];
    size_t len;

    ck_assert_int_eq(dr_hex_decode(hex, strlen(hex), want, sizeof want, &len), DR_OK);
    if (c->len < len) {
        get(c, len);
    }
    dr_hex_encode(c->in, len, got);
    ck_assert_str_eq(got, hex);
    took(c, len);
}

static void expect_end(struct raw *c)
{
    RIG_UNTIL(&r, more(c) && c->ended);
}

/* ---- OpenSSL's client ---- */

static unsigned psk_cb(SSL *ssl, const char *hint, char *identity, unsigned cap, unsigned char *psk,
                       unsigned psk_cap)
{
    const struct raw *c = SSL_get_app_data(ssl);

    (void)hint;
    ck_assert_uint_ge(psk_cap, c->psk_len);
    (void)snprintf(identity, cap, "%s", c->psk_identity);
    memcpy(psk, c->psk, c->psk_len);
    return (unsigned)c->psk_len;
}

static void tls_prepare(struct raw *c)
{
    c->ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_security_level(c->ctx, 0);
    SSL_CTX_set_max_proto_version(c->ctx, TLS1_2_VERSION);
    (void)SSL_CTX_set_mode(c->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE);
    ck_assert_int_eq(
        SSL_CTX_set_cipher_list(c->ctx, c->suites != NULL ? c->suites : DEFAULT_SUITES), 1);
    if (c->cert != NULL) {
        ck_assert_int_eq(SSL_CTX_use_certificate(c->ctx, c->cert->x509), 1);
        ck_assert_int_eq(SSL_CTX_use_PrivateKey(c->ctx, c->cert->key), 1);
    }
    if (c->psk_identity != NULL) {
        SSL_CTX_set_psk_client_callback(c->ctx, psk_cb);
    }
    c->ssl = SSL_new(c->ctx);
    SSL_set_app_data(c->ssl, c);
    if (c->alpn) {
        ck_assert_int_eq(SSL_set_alpn_protos(c->ssl,
                                             (const uint8_t *)"\x04"
                                                              "coap",
                                             5),
                         0);
    }
    if (c->session != NULL) {
        ck_assert_int_eq(SSL_set_session(c->ssl, c->session), 1);
    }
    SSL_set_fd(c->ssl, c->fd);
    SSL_set_connect_state(c->ssl);
}

/* @return whether the handshake is through; else it has failed */
static bool shake(struct raw *c)
{
    uint64_t end = dr_mono_ms() + WAIT_MS;
    int rc;

    while ((rc = SSL_do_handshake(c->ssl)) != 1) {
        int why = SSL_get_error(c->ssl, rc);
        if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
            ERR_clear_error();
            return false;
        }
        ck_assert(dr_mono_ms() < end);
        loop_run_once(r.loop, true);
    }
    return true;
}

static struct raw *tls_dial(unsigned i, const struct fx_cert *cert)
{
    struct raw *c = dial(i, &r.tls);

    c->cert = cert;
    tls_prepare(c);
    return c;
}

static struct raw *tls_open(unsigned i, const struct fx_cert *cert)
{
    struct raw *c = tls_dial(i, cert);

    ck_assert(shake(c));
    return c;
}

/* POST /echo with "hi" as a datagram, and its piggybacked answer */
#define ECHO   "4402123401020304b46563686fff6869"
#define ECHOED "6445123401020304ff6869"
/* the same as frames */
#define CSM    "00e1"
#define FRAME  "840201020304b46563686fff6869"
#define FRAMED "344501020304ff6869"
#define OUR_CSM                                                                                    \
    "40e1222480"                                                                                   \
    "20"

static unsigned refused(void)
{
    return (unsigned)rig_stats(r.server.engine).streams_refused;
}

static unsigned live(void)
{
    return rig_stats(r.server.engine).streams;
}

/* ---- TLS ---- */

static const char *const suites[] = {"ECDHE-ECDSA-AES128-CCM8", "ECDHE-ECDSA-AES128-GCM-SHA256",
                                     "ECDHE-ECDSA-AES256-GCM-SHA384"};

START_TEST(pelion_suites_with_a_certificate)
{
    struct raw *c = dial(0, &r.tls);

    c->cert = device;
    c->suites = suites[_i];
    tls_prepare(c);
    ck_assert(shake(c));
    ck_assert_str_eq(SSL_get_cipher(c->ssl), suites[_i]);
    put_hex(c, ECHO);
    expect_hex(c, ECHOED);
    ck_assert_str_eq(r.server.who_name, "device-7");
    ck_assert_int_eq(r.server.who.kind, CX_ID_CERT);
}
END_TEST

static const char *const psk_suites[] = {"PSK-AES128-CCM8", "PSK-AES128-GCM-SHA256"};

START_TEST(suites_with_a_key)
{
    struct raw *c = dial(0, &r.tls);

    c->suites = psk_suites[_i];
    c->psk_identity = "dev-5";
    c->psk = rig_key;
    c->psk_len = sizeof rig_key;
    tls_prepare(c);
    ck_assert(shake(c));
    put_hex(c, ECHO);
    expect_hex(c, ECHOED);
    ck_assert_str_eq(r.server.who_name, "dev-5");
}
END_TEST

/* spec: RFC4279#2: both get the same alert */
START_TEST(a_wrong_key_and_a_wrong_name_look_alike)
{
    static const char *const names[] = {"wrong-1", "unknown-1"};
    int reasons[2];

    for (unsigned i = 0; i < 2; i++) {
        struct raw *c = dial(i, &r.tls);
        c->suites = psk_suites[0];
        c->psk_identity = names[i];
        c->psk = rig_key;
        c->psk_len = sizeof rig_key;
        tls_prepare(c);
        uint64_t end = dr_mono_ms() + WAIT_MS;
        int rc;
        while ((rc = SSL_do_handshake(c->ssl)) != 1 &&
               SSL_get_error(c->ssl, rc) == SSL_ERROR_WANT_READ) {
            ck_assert(dr_mono_ms() < end);
            loop_run_once(r.loop, true);
        }
        ck_assert_int_ne(rc, 1);
        reasons[i] = ERR_GET_REASON(ERR_get_error());
        ERR_clear_error();
    }
    ck_assert_int_eq(reasons[0], reasons[1]);
    RIG_UNTIL(&r, live() == 0);
    ck_assert_uint_eq(rig_stats(r.server.engine).handshakes_failed, 2);
    ck_assert_uint_eq(r.server.psk_asked, 2);
}
END_TEST

START_TEST(a_key_may_take_its_time)
{
    struct cx_identity id = {.kind = CX_ID_PSK, .account = 5, .name = "slow-1"};
    struct raw *c = dial(0, &r.tls);

    c->suites = psk_suites[0];
    c->psk_identity = "slow-1";
    c->psk = rig_key;
    c->psk_len = sizeof rig_key;
    tls_prepare(c);
    RIG_UNTIL(&r, SSL_do_handshake(c->ssl) == 1 || r.server.psk_asked == 1);
    rig_pause(&r, 50);
    cx_psk_answer(r.server.engine, r.server.psk_handle, rig_key, sizeof rig_key, &id);
    cx_psk_answer(r.server.engine, r.server.psk_handle, rig_key, sizeof rig_key, &id);
    ck_assert(shake(c));
    put_hex(c, ECHO);
    expect_hex(c, ECHOED);
    ck_assert_int_eq(r.server.who.account, 5);
    ck_assert_uint_eq(r.server.psk_asked, 1);
}
END_TEST

START_TEST(no_certificate_no_entry)
{
    ck_assert(!shake(tls_dial(0, NULL)));
    ck_assert(!shake(tls_dial(1, stranger)));
    r.server.cert_verdict = DR_ERR_DENIED; /* the owner refuses */
    ck_assert(!shake(tls_dial(2, device)));
    ck_assert_uint_eq(r.server.certs_asked, 1);
    RIG_UNTIL(&r, live() == 0);
    ck_assert_uint_eq(r.server.requests, 0);
}
END_TEST

static bool is_certificate(void *data, const struct cx_identity *id)
{
    (void)data;
    return id->kind == CX_ID_CERT && strcmp(id->name, "device-7") == 0;
}

/* Revoked between the handshake and the first message, which may take its time. */
START_TEST(who_has_said_nothing_yet_is_closed_too)
{
    struct raw *gone = tls_open(0, device), *stays = tls_open(1, other);

    RIG_UNTIL(&r, rig_stats(r.server.engine).handshakes_done == 2);
    ck_assert_uint_eq(cx_engine_close_some(r.server.engine, 0, 1000, is_certificate, NULL), 0);
    expect_end(gone);
    put_hex(stays, ECHO);
    expect_hex(stays, ECHOED);
}
END_TEST

/* Pelion clients set their clock by it */
START_TEST(server_hello_tells_the_time)
{
    struct raw *c = tls_open(0, device);
    uint8_t random[32];

    ck_assert_uint_eq(SSL_get_server_random(c->ssl, random, sizeof random), sizeof random);
    int64_t said = (int64_t)random[0] << 24 | random[1] << 16 | random[2] << 8 | random[3];
    int64_t now = (int64_t)time(NULL);
    ck_assert_int_ge(said, now - 3);
    ck_assert_int_le(said, now + 1);
}
END_TEST

START_TEST(a_session_is_resumed_by_its_id)
{
    struct raw *c = tls_open(0, device);

    put_hex(c, ECHO);
    expect_hex(c, ECHOED);
    SSL_SESSION *session = SSL_get1_session(c->ssl);
    unsigned id_len = 0;
    (void)SSL_SESSION_get_id(session, &id_len);
    ck_assert_uint_eq(id_len, 32);
    ck_assert_int_eq(SSL_SESSION_has_ticket(session), 0);
    raw_close(c); /* just breaks */
    RIG_UNTIL(&r, r.server.gone == 1);

    c = dial(1, &r.tls);
    c->session = session;
    c->cert = device;
    tls_prepare(c);
    ck_assert(shake(c));
    ck_assert_int_eq(SSL_session_reused(c->ssl), 1);
    put_hex(c, ECHO);
    expect_hex(c, ECHOED);
    ck_assert_str_eq(r.server.who_name, "device-7");
    ck_assert_int_eq(r.server.who.account, 33);
    ck_assert_uint_eq(r.server.certs_asked, 2); /* asked again */
    ck_assert_uint_eq(rig_stats(r.server.engine).resumed, 1);
}
END_TEST

START_TEST(a_resumed_session_is_asked_about_again)
{
    struct raw *c = tls_open(0, device);

    put_hex(c, ECHO);
    expect_hex(c, ECHOED);
    SSL_SESSION *session = SSL_get1_session(c->ssl);
    r.server.cert_verdict = DR_ERR_DENIED; /* revoked meanwhile */
    c = dial(1, &r.tls);
    c->session = session;
    c->cert = device;
    tls_prepare(c);
    if (shake(c)) { /* the client may be through before it hears of it */
        expect_end(c);
    }
    RIG_UNTIL(&r, live() == 1);
    r.server.cert_verdict = DR_OK;
    c = dial(2, &r.tls);
    SSL_SESSION_up_ref(session);
    c->session = session;
    c->cert = device;
    tls_prepare(c);
    ck_assert(shake(c)); /* the session is forgotten, the device is not */
    ck_assert_int_eq(SSL_session_reused(c->ssl), 0);
}
END_TEST

START_TEST(a_client_may_renegotiate)
{
    struct raw *c = tls_open(0, device);

    put_hex(c, ECHO);
    expect_hex(c, ECHOED);
    for (unsigned i = 1; i <= TLS_RENEGOTIATIONS_MAX; i++) {
        ck_assert_int_eq(SSL_renegotiate(c->ssl), 1);
        ck_assert(shake(c));
        put_hex(c, "4402123501020304b46563686fff6869");
        expect_hex(c, "6445123501020304ff6869"); /* from the second one on a duplicate */
        ck_assert_uint_eq(rig_stats(r.server.engine).renegotiations, i);
    }
    /* no more of that, and the connection stays */
    ck_assert_int_eq(SSL_renegotiate(c->ssl), 1);
    int rc = SSL_do_handshake(c->ssl);
    for (unsigned i = 0; i < 20 && rc != 1 && SSL_get_error(c->ssl, rc) == SSL_ERROR_WANT_READ;
         i++) {
        loop_run_once(r.loop, true);
        rc = SSL_do_handshake(c->ssl);
    }
    ck_assert_int_ne(rc, 1);
    ERR_clear_error();
    ck_assert_uint_eq(rig_stats(r.server.engine).renegotiations, TLS_RENEGOTIATIONS_MAX);
}
END_TEST

START_TEST(messages_of_ours_wait_for_a_renegotiation)
{
    struct raw *c = tls_open(0, device);

    put_hex(c, ECHO);
    expect_hex(c, ECHOED);
    ck_assert_int_eq(SSL_renegotiate(c->ssl), 1);
    ck_assert_int_ne(SSL_do_handshake(c->ssl), 1); /* its hello is on the way */
    rig_pause(&r, 30);                             /* the server has answered it */
    rig_call_start(r.server.engine, &r.calls[0], r.server.last_peer, CX_GET, "x", NULL, 0);
    rig_pause(&r, 30);
    ck_assert(shake(c));
    get(c, 4 + 8 + 2);
    ck_assert_uint_eq(c->in[0], 0x48);
    ck_assert_uint_eq(c->in[1], CX_GET);
}
END_TEST

START_TEST(renegotiation_with_another_certificate_ends_it)
{
    struct raw *c = tls_open(0, device);

    put_hex(c, ECHO);
    expect_hex(c, ECHOED);
    ck_assert_int_eq(SSL_use_certificate(c->ssl, other->x509), 1);
    ck_assert_int_eq(SSL_use_PrivateKey(c->ssl, other->key), 1);
    ck_assert_int_eq(SSL_renegotiate(c->ssl), 1);
    if (shake(c)) {
        expect_end(c);
    }
    RIG_UNTIL(&r, r.server.gone == 1);
    ck_assert_int_eq(r.server.gone_why, CX_GONE_FAILED);
}
END_TEST

START_TEST(a_session_after_renegotiation_is_resumed)
{
    struct raw *c = tls_open(0, device);

    put_hex(c, ECHO);
    expect_hex(c, ECHOED);
    ck_assert_int_eq(SSL_renegotiate(c->ssl), 1);
    ck_assert(shake(c));
    SSL_SESSION *session = SSL_get1_session(c->ssl);
    c = dial(1, &r.tls);
    c->session = session;
    c->cert = device;
    tls_prepare(c);
    ck_assert(shake(c));
    ck_assert_int_eq(SSL_session_reused(c->ssl), 1);
    put_hex(c, ECHO);
    expect_hex(c, ECHOED);
    ck_assert_int_eq(r.server.who.account, 33);
}
END_TEST

START_TEST(a_handshake_may_come_byte_by_byte)
{
    struct raw *c = dial(0, &r.tls);

    c->cert = device;
    tls_prepare(c);
    BIO *to = BIO_new(BIO_s_mem()), *from = BIO_new(BIO_s_mem());
    SSL_set_bio(c->ssl, from, to);
    uint64_t end = dr_mono_ms() + WAIT_MS;
    while (SSL_do_handshake(c->ssl) != 1) {
        uint8_t byte, buf[4096];
        while (BIO_read(to, &byte, 1) == 1) {
            ck_assert_int_eq(send(c->fd, &byte, 1, MSG_NOSIGNAL), 1);
            loop_run_once(r.loop, true);
        }
        ssize_t n = recv(c->fd, buf, sizeof buf, 0);
        if (n > 0) {
            BIO_write(from, buf, (int)n);
        } else {
            loop_run_once(r.loop, true);
        }
        ck_assert(dr_mono_ms() < end);
    }
    ERR_clear_error();
}
END_TEST

/* ---- the datagram form ---- */

START_TEST(a_ping_is_reset)
{
    struct raw *c = tls_open(0, device);

    put_hex(c, ECHO);
    expect_hex(c, ECHOED);
    put_hex(c, "40001f2e");
    expect_hex(c, "70001f2e");
    put_hex(c, "60001f2ec0"); /* an empty ACK with a stray option, as Pelion clients send */
    put_hex(c, ECHO);         /* a duplicate gets the same answer */
    expect_hex(c, ECHOED);
    ck_assert_uint_eq(rig_stats(r.server.engine).duplicates, 1);
    ck_assert_uint_eq(r.server.requests, 1);
}
END_TEST

START_TEST(the_first_message_may_be_a_ping)
{
    struct raw *c = tls_open(0, device);

    put_hex(c, "40001f2e");
    expect_hex(c, "70001f2e");
}
END_TEST

START_TEST(one_message_a_record_and_none_is_long)
{
    struct raw *c = tls_open(0, device);
    static const uint8_t big[] = {0x44, 1, 0x12, 0x36, 1, 2, 3, 4, 0xb3, 'b', 'i', 'g'};
    uint8_t record[20000];
    struct cx_pdu pdu;

    put_hex(c, ECHO);
    put(c, big, sizeof big);
    unsigned messages = 0;
    uint64_t end = dr_mono_ms() + WAIT_MS;
    while (messages < 2) {
        int n = SSL_read(c->ssl, record, sizeof record); /* never over the end of a record */
        if (n > 0) {
            ck_assert_int_le(n, CX_MSG_MAX);
            ck_assert_int_eq(cx_pdu_decode(record, (size_t)n, &pdu), DR_OK);
            ck_assert_int_eq(pdu.type, CX_ACK);
            ck_assert_int_eq(SSL_pending(c->ssl), 0);
            messages++;
        } else {
            ck_assert(dr_mono_ms() < end);
            loop_run_once(r.loop, true);
        }
    }
    ck_assert_uint_eq(pdu.payload_len, 1024);
    ck_assert_int_ge(pdu.block2, 0);
}
END_TEST

START_TEST(two_messages_in_a_record_are_none)
{
    struct raw *c = tls_open(0, device);

    put_hex(c, ECHO ECHO);
    expect_hex(c, "6445123401020304ff6869"
                  "4402123401020304b46563686fff6869");
    ck_assert_uint_eq(r.server.requests, 1); /* the rest was payload */
}
END_TEST

START_TEST(datagrams_over_tcp_have_a_length)
{
    struct raw *c = dial(0, &r.tcp);

    put_hex(c, "00000010" ECHO);
    expect_hex(c, "0000000b" ECHOED);
    put_hex(c, "00000004400012"); /* a ping, cut in the middle of its id */
    rig_pause(&r, 20);
    put_hex(c, "34");
    expect_hex(c, "0000000470001234");
    put_hex(c, "00000000"); /* no message at all */
    expect_end(c);
}
END_TEST

/* ---- RFC 8323 ---- */

static struct raw *framed(unsigned i)
{
    struct raw *c = dial(i, &r.tcp);

    put_hex(c, CSM);
    expect_hex(c, OUR_CSM);
    return c;
}

START_TEST(csm_answers_csm)
{
    struct raw *c = framed(0);

    put_hex(c, FRAME);
    expect_hex(c, FRAMED);
}
END_TEST

START_TEST(alpn_means_rfc8323_at_once)
{
    struct raw *c = dial(0, &r.tls);

    c->cert = device;
    c->alpn = true;
    tls_prepare(c);
    ck_assert(shake(c));
    expect_hex(c, OUR_CSM); /* before ours */
    put_hex(c, CSM);
    put_hex(c, FRAME);
    expect_hex(c, FRAMED);
}
END_TEST

START_TEST(two_frames_in_one_piece_and_one_in_many)
{
    struct raw *c = framed(0);

    put_hex(c, FRAME FRAME);
    expect_hex(c, FRAMED FRAMED);
    for (const char *at = FRAME; *at != '\0'; at += 2) {
        char byte[3] = {at[0], at[1], '\0'};
        put_hex(c, byte);
        loop_run_once(r.loop, true);
        loop_run_once(r.loop, true);
    }
    expect_hex(c, FRAMED);
    ck_assert_uint_eq(r.server.requests, 3);
}
END_TEST

START_TEST(ping_gets_pong_with_its_token)
{
    struct raw *c = framed(0);

    put_hex(c, "02e2abcd");
    expect_hex(c, "02e3abcd");
    put_hex(c, "11e20120"); /* with Custody */
    expect_hex(c, "11e30120");
    put_hex(c, "0000"); /* an empty message means nothing. spec: RFC8323#3.4 */
    put_hex(c, "01e301");
    put_hex(c, FRAME);
    expect_hex(c, FRAMED);
}
END_TEST

START_TEST(release_and_abort_end_it)
{
    put_hex(framed(0), "00e4");
    expect_end(&clients[0]);
    put_hex(framed(1), "00e5");
    expect_end(&clients[1]);
    RIG_UNTIL(&r, r.server.gone == 2);
    ck_assert_int_eq(r.server.gone_why, CX_GONE_CLOSED);
}
END_TEST

START_TEST(release_waits_for_what_is_under_way)
{
    struct raw *c = framed(0);

    put_hex(c, "610201b56c61746572"); /* POST /later */
    RIG_UNTIL(&r, r.later != 0);
    put_hex(c, "00e4");
    rig_pause(&r, 50);
    ck_assert_uint_eq(live(), 1);
    struct cx_reply reply = {.code = CX_CHANGED};
    ck_assert_int_eq(cx_answer(r.server.engine, r.later, &reply), DR_OK);
    expect_hex(c, "014401");
    RIG_UNTIL(&r, live() == 0); /* CX_CONN_RELEASE_MS */
}
END_TEST

/* What is wrong → an Abort and the end. */
static const struct {
    const char *why, *hex, *abort;
} wrong[] = {
    {"a token of 9 bytes", "0902", "00e5"},
    {"longer than our Max-Message-Size",
     "f000100000"
     "02",
     "00e5"},
    {"options that are none", "1001f0", "00e5"},
    {"a payload marker and nothing behind", "1001ff", "00e5"},
    {"a critical option in a CSM", "10e110", "20e52101"},
    {"a Max-Message-Size of 16", "20e12110", "00e5"},
};

START_TEST(what_is_wrong_is_aborted)
{
    struct raw *c = framed(0);

    put_hex(c, wrong[_i].hex);
    expect_hex(c, wrong[_i].abort);
    expect_end(c);
    RIG_UNTIL(&r, r.server.gone == 1);
    ck_assert_int_eq(r.server.gone_why, CX_GONE_FAILED);
    ck_assert_uint_eq(rig_stats(r.server.engine).streams_failed, 1);
}
END_TEST

START_TEST(bad_options_are_answered)
{
    struct raw *c = framed(0);

    put_hex(c, "11"
               "01"
               "07"
               "90"); /* GET with the critical option 9, which we do not know */
    expect_hex(c, "018207");
}
END_TEST

static const char *const strangers[] = {"474554202f20485454502f312e31", "160301020001", "ffffffff",
                                        "40011234"};

START_TEST(other_protocols_are_hung_up_on)
{
    struct raw *c = dial(0, &r.tcp);

    put_hex(c, strangers[_i]);
    expect_end(c);
    ck_assert_uint_eq(c->len, 0); /* told nothing */
    ck_assert_uint_eq(r.server.requests, 0);
    ck_assert_uint_eq(rig_stats(r.server.engine).peers, 0);
}
END_TEST

START_TEST(plain_bytes_on_the_tls_port_are_hung_up_on)
{
    struct raw *c = dial(0, &r.tls);

    put_hex(c, "00e1");
    put_hex(c, "474554202f20485454502f312e310d0a0d0a");
    expect_end(c);
}
END_TEST

/* ---- limits ---- */

static void set_up_few(void)
{
    static const struct cx_limits few = {
        .streams_max = 8, .streams_per_addr_max = 3, .half_open_max = 4, .stream_hello_s = 1};

    with_limits(&few);
}

START_TEST(connections_of_one_address_are_limited)
{
    for (unsigned i = 0; i < 3; i++) {
        (void)framed(i);
    }
    expect_end(dial(3, &r.tcp));
    ck_assert_uint_eq(refused(), 1);
    dial_from(&clients[4], &r.tcp, 2); /* from elsewhere */
    put_hex(&clients[4], CSM);
    expect_hex(&clients[4], OUR_CSM);
    raw_close(&clients[0]);
    RIG_UNTIL(&r, live() == 3);
    (void)framed(5);
}
END_TEST

START_TEST(connections_are_limited)
{
    for (unsigned i = 0; i < 8; i++) {
        dial_from(&clients[i], &r.tcp, 1 + i);
        put_hex(&clients[i], CSM);
        expect_hex(&clients[i], OUR_CSM);
    }
    expect_end(dial_from(&clients[8], &r.tcp, 20));
    ck_assert_uint_eq(refused(), 1);
    ck_assert_uint_eq(live(), 8);
}
END_TEST

START_TEST(handshakes_under_way_are_limited)
{
    for (unsigned i = 0; i < 4; i++) {
        dial_from(&clients[i], &r.tls, 1 + i);
    }
    RIG_UNTIL(&r, rig_stats(r.server.engine).half_open == 4);
    expect_end(dial_from(&clients[4], &r.tls, 20));
    ck_assert_uint_eq(refused(), 1);
}
END_TEST

START_TEST(who_says_nothing_is_hung_up_on)
{
    uint64_t begun = dr_mono_ms();

    dial(0, &r.tcp);
    dial_from(&clients[1], &r.tls, 2);
    put_hex(&clients[1], "1603"); /* half a record */
    clients[2].cert = device;
    dial_from(&clients[2], &r.tls, 3);
    tls_prepare(&clients[2]);
    ck_assert(shake(&clients[2])); /* and then no message */
    for (unsigned i = 0; i < 3; i++) {
        expect_end(&clients[i]);
    }
    ck_assert_uint_ge(dr_mono_ms() - begun, 900);
    ck_assert_uint_eq(rig_stats(r.server.engine).streams_failed, 3);
    ck_assert_uint_eq(live(), 0);
}
END_TEST

START_TEST(bytes_now_and_then_do_not_prolong_it)
{
    struct raw *c = dial(0, &r.tls);
    static const char hello[] = "160301ffff";

    for (unsigned i = 0; i < 5; i++) {
        char byte[3] = {hello[2 * i], hello[2 * i + 1], '\0'};
        put_hex(c, byte);
        rig_pause(&r, 100);
    }
    expect_end(c); /* by its length, or after a second */
}
END_TEST

START_TEST(who_does_not_read_is_not_read_from)
{
    struct raw *c = framed(0);
    /* POST /big with 1,000 bytes: Len 1005 = 269 + 736 */
    static const uint8_t head[] = {0xe1, 0x02, 0xe0, 2, 7, 0xb3, 'b', 'i', 'g', 0xff};
    static uint8_t big[sizeof head + 1000];
    memcpy(big, head, sizeof head);
    uint64_t end = dr_mono_ms() + WAIT_MS;
    uint64_t asked = 0, seen;

    /* Ask until nobody takes our questions any more. */
    size_t off = 0;
    for (unsigned still = 0; still < 50;) {
        ssize_t n = send(c->fd, big + off, sizeof big - off, MSG_NOSIGNAL);
        ck_assert(n > 0 || errno == EAGAIN);
        off += n > 0 ? (size_t)n : 0;
        asked += off == sizeof big ? 1 : 0;
        off = off == sizeof big ? 0 : off;
        still = n > 0 ? 0 : still + 1;
        if (asked % 64 == 0 || n < 0) {
            loop_run_once(r.loop, n < 0);
        }
        ck_assert(dr_mono_ms() < end + 20000);
    }
    seen = r.server.requests;
    ck_assert_uint_lt(seen, asked);
    ck_assert_uint_eq(live(), 1);
    ck_assert_uint_gt(rig_stats(r.server.engine).tx_blocked, 0);
    rig_pause(&r, 50);
    ck_assert_uint_eq(r.server.requests, seen);
    /* When it reads again, all are answered in the end. */
    uint64_t got = 0;
    end = dr_mono_ms() + 60000;
    while (r.server.requests < asked && dr_mono_ms() < end) {
        uint8_t buf[65536];
        ssize_t n = recv(c->fd, buf, sizeof buf, 0);
        got += n > 0 ? (uint64_t)n : 0;
        if (n <= 0) {
            loop_run_once(r.loop, true);
        }
    }
    ck_assert_uint_eq(r.server.requests, asked);
    ck_assert_uint_gt(got, asked * 1024 / 2);
}
END_TEST

START_TEST(output_that_nobody_reads_ends_it)
{
    struct raw *c = framed(0);
    unsigned i = 0;

    put_hex(c, FRAME);
    expect_hex(c, FRAMED);
    /* Notifications of ours are ready as soon as they are written, so only the limit stops them. */
    while (r.server.gone == 0 && i < 20000) {
        struct rig_call *call = &r.calls[i++ % RIG_CALLS];
        if (call->done == 0 && call->call.cb != NULL) {
            loop_run_once(r.loop, true);
            continue;
        }
        rig_call_start(r.server.engine, call, r.server.last_peer, CX_CONTENT, "v", rig_big(), 900);
        loop_run_once(r.loop, false);
    }
    ck_assert_uint_eq(r.server.gone, 1);
    ck_assert_int_eq(r.server.gone_why, CX_GONE_FAILED);
    RIG_UNTIL(&r, live() == 0);
}
END_TEST

/* When the process has no descriptor left, connections wait in the kernel. */
START_TEST(without_descriptors_it_waits)
{
    struct rlimit was, now;

    (void)framed(0);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &was), 0);
    dial(1, &r.tcp);
    put_hex(&clients[1], CSM); /* and its socket is there already */
    now = was;
    now.rlim_cur = (rlim_t)clients[1].fd + 1;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &now), 0);
    rig_pause(&r, 300);
    unsigned open = live();
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &was), 0);
    ck_assert_uint_eq(open, 1);
    expect_hex(&clients[1], OUR_CSM);
    ck_assert_uint_eq(refused(), 0);
}
END_TEST

static void set_up_idle(void)
{
    static const struct cx_limits idle = {.stream_idle_s = 1};

    with_limits(&idle);
}

START_TEST(idle_connections_are_closed)
{
    struct raw *c = framed(0);

    expect_end(c);
    RIG_UNTIL(&r, r.server.gone == 1);
    ck_assert_int_eq(r.server.gone_why, CX_GONE_IDLE);
}
END_TEST

START_TEST(hundreds_of_idle_connections_cost_little)
{
    enum { N = 300 };
    int fds[N];

    for (unsigned i = 0; i < N; i++) {
        struct raw one = {0};
        dial_from(&one, &r.tcp, 1);
        put_hex(&one, CSM);
        fds[i] = one.fd;
    }
    RIG_UNTIL(&r, live() == N);
    uint64_t cpu = dr_thread_cpu_us();
    rig_pause(&r, 200);
    ck_assert_uint_lt(dr_thread_cpu_us() - cpu, 100000);
    for (unsigned i = 0; i < N; i++) {
        (void)close(fds[i]);
    }
    RIG_UNTIL(&r, live() == 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("streams, raw");
    TCase *tls = add_case(s, "TLS");
    tcase_add_checked_fixture(tls, set_up, tear_down);
    tcase_add_loop_test(tls, pelion_suites_with_a_certificate, 0, (int)DR_ARRAY_LEN(suites));
    tcase_add_loop_test(tls, suites_with_a_key, 0, (int)DR_ARRAY_LEN(psk_suites));
    tcase_add_test(tls, a_wrong_key_and_a_wrong_name_look_alike);
    tcase_add_test(tls, a_key_may_take_its_time);
    tcase_add_test(tls, no_certificate_no_entry);
    tcase_add_test(tls, who_has_said_nothing_yet_is_closed_too);
    tcase_add_test(tls, server_hello_tells_the_time);
    tcase_add_test(tls, a_session_is_resumed_by_its_id);
    tcase_add_test(tls, a_resumed_session_is_asked_about_again);
    tcase_add_test(tls, a_client_may_renegotiate);
    tcase_add_test(tls, messages_of_ours_wait_for_a_renegotiation);
    tcase_add_test(tls, renegotiation_with_another_certificate_ends_it);
    tcase_add_test(tls, a_session_after_renegotiation_is_resumed);
    tcase_add_test(tls, a_handshake_may_come_byte_by_byte);
    TCase *datagrams = add_case(s, "datagram form");
    tcase_add_checked_fixture(datagrams, set_up, tear_down);
    tcase_add_test(datagrams, a_ping_is_reset);
    tcase_add_test(datagrams, the_first_message_may_be_a_ping);
    tcase_add_test(datagrams, one_message_a_record_and_none_is_long);
    tcase_add_test(datagrams, two_messages_in_a_record_are_none);
    tcase_add_test(datagrams, datagrams_over_tcp_have_a_length);
    TCase *frames = add_case(s, "RFC 8323");
    tcase_add_checked_fixture(frames, set_up, tear_down);
    tcase_add_test(frames, csm_answers_csm);
    tcase_add_test(frames, alpn_means_rfc8323_at_once);
    tcase_add_test(frames, two_frames_in_one_piece_and_one_in_many);
    tcase_add_test(frames, ping_gets_pong_with_its_token);
    tcase_add_test(frames, release_and_abort_end_it);
    tcase_add_test(frames, release_waits_for_what_is_under_way);
    tcase_add_loop_test(frames, what_is_wrong_is_aborted, 0, (int)DR_ARRAY_LEN(wrong));
    tcase_add_test(frames, bad_options_are_answered);
    tcase_add_loop_test(frames, other_protocols_are_hung_up_on, 0, (int)DR_ARRAY_LEN(strangers));
    tcase_add_test(frames, plain_bytes_on_the_tls_port_are_hung_up_on);
    tcase_add_test(frames, who_does_not_read_is_not_read_from);
    tcase_add_test(frames, output_that_nobody_reads_ends_it);
    tcase_add_test(frames, without_descriptors_it_waits);
    tcase_add_test(frames, hundreds_of_idle_connections_cost_little);
    TCase *few = add_case(s, "limits");
    tcase_add_checked_fixture(few, set_up_few, tear_down);
    tcase_add_test(few, connections_of_one_address_are_limited);
    tcase_add_test(few, connections_are_limited);
    tcase_add_test(few, handshakes_under_way_are_limited);
    tcase_add_test(few, who_says_nothing_is_hung_up_on);
    tcase_add_test(few, bytes_now_and_then_do_not_prolong_it);
    TCase *idle = add_case(s, "idle");
    tcase_add_checked_fixture(idle, set_up_idle, tear_down);
    tcase_add_test(idle, idle_connections_are_closed);
    return run_suite(s);
}
