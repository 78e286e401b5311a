/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/coap/dtls_fixture.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/clock.h"

#define WALL_MS ((uint64_t)dr_wall_ms())

static const uint8_t addr[] = {127, 0, 0, 1, 0x16, 0x34};

void fx_wire_put(struct fx_wire *w, const uint8_t *p, size_t len)
{
    ck_assert_uint_lt(w->tail - w->head, FX_QUEUE_MAX);
    ck_assert_uint_le(len, FX_DGRAM_MAX);
    memcpy(w->q[w->tail % FX_QUEUE_MAX].bytes, p, len);
    w->q[w->tail % FX_QUEUE_MAX].len = len;
    w->tail++;
}

/* ---- certificates ---- */

static char *pem_take(BIO *bio)
{
    char *p;
    long n = BIO_get_mem_data(bio, &p);
    char *s = strndup(p, (size_t)n);
    BIO_free(bio);
    return s;
}

struct fx_cert *fx_cert_new(const char *cn, const struct fx_cert *issuer, bool ca, int from, int to)
{
    static long serial = 1;
    struct fx_cert *c = calloc(1, sizeof *c);
    c->key = EVP_EC_gen("P-256");
    c->x509 = X509_new();
    X509_set_version(c->x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(c->x509), serial++);
    X509_gmtime_adj(X509_getm_notBefore(c->x509), (long)from * 86400);
    X509_gmtime_adj(X509_getm_notAfter(c->x509), (long)to * 86400);
    X509_NAME *name = X509_get_subject_name(c->x509);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const uint8_t *)cn, -1, -1, 0);
    X509_set_issuer_name(c->x509, issuer != NULL ? X509_get_subject_name(issuer->x509) : name);
    X509_set_pubkey(c->x509, c->key);
    if (ca) {
        X509_EXTENSION *e =
            X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:TRUE");
        X509_add_ext(c->x509, e, -1);
        X509_EXTENSION_free(e);
    }
    ck_assert_int_gt(X509_sign(c->x509, issuer != NULL ? issuer->key : c->key, EVP_sha256()), 0);
    BIO *b = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(b, c->x509);
    c->cert_pem = pem_take(b);
    b = BIO_new(BIO_s_mem());
    PEM_write_bio_PKCS8PrivateKey(b, c->key, NULL, NULL, 0, NULL, NULL);
    c->key_pem = pem_take(b);
    c->der_len = (size_t)i2d_X509(c->x509, &c->der);
    return c;
}

struct fx_cert *fx_cert_free(struct fx_cert *c)
{
    if (c != NULL) {
        X509_free(c->x509);
        EVP_PKEY_free(c->key);
        free(c->cert_pem);
        free(c->key_pem);
        OPENSSL_free(c->der);
        free(c);
    }
    return NULL;
}

/* ---- our endpoint: what the engine does, without sockets ---- */

static void flush(struct fx_end *e)
{
    uint8_t buf[FX_DGRAM_MAX];
    size_t n;

    while (e->hs != NULL && (n = dtls_handshake_output(e->hs, buf, sizeof buf)) != 0) {
        fx_wire_put(e->out, buf, n);
    }
}

static void record_input(struct fx_end *e, const struct dtls_record *rec)
{
    static struct dtls_input in;
    const uint8_t *p;
    size_t off = 0, n;

    dtls_assoc_input(&e->assoc, e->crypto, rec, e->now_ms, &in);
    switch (in.got) {
    case DTLS_GOT_DATA:
        if (e->n_data < FX_DATA_MAX) {
            snprintf(e->data[e->n_data++], sizeof e->data[0], "%.*s", (int)in.len,
                     (const char *)in.data);
        }
        break;
    case DTLS_GOT_REPEAT:
        e->repeats++;
        while ((n = dtls_assoc_flight_next(&e->assoc, &off, &p)) != 0) {
            fx_wire_put(e->out, p, n);
        }
        break;
    case DTLS_GOT_REPLAY:
        e->replays++;
        break;
    case DTLS_GOT_BAD:
        e->bad++;
        break;
    case DTLS_GOT_REPLY:
        e->no_reneg++;
        break;
    case DTLS_GOT_CLOSED:
        e->closed = true;
        break;
    case DTLS_GOT_FATAL:
        e->failed = true;
        e->alert = in.alert;
        break;
    default:
        break;
    }
    if (in.reply_len != 0) {
        fx_wire_put(e->out, in.reply, in.reply_len);
    }
}

static void records_input(struct fx_end *e, uint8_t *p, size_t len)
{
    struct dtls_record rec;
    size_t off = 0;

    while (dtls_record_next(p, len, &off, &rec)) {
        record_input(e, &rec);
    }
}

static void look(struct fx_end *e);

void fx_answer(struct fx_end *e)
{
    const struct cx_identity id = {
        .account = 7, .credential = 42, .version = e->version, .name = e->answer_name};

    if (dtls_handshake_state(e->hs) == DTLS_HS_ASK_PSK) {
        e->psk_asked++;
        bool known =
            e->psk_identity != NULL && strcmp(dtls_handshake_identity(e->hs), e->psk_identity) == 0;
        dtls_handshake_answer_psk(e->hs, known ? e->psk_key : NULL, known ? e->psk_len : 0,
                                  known ? &id : NULL);
    } else {
        const char *cn;
        const uint8_t *der;
        size_t len;
        e->cert_asked++;
        dtls_handshake_cert(e->hs, &e->cert_tag, &cn, &der, &len);
        ck_assert_uint_gt(len, 100);
        snprintf(e->cert_cn, sizeof e->cert_cn, "%s", cn);
        dtls_handshake_answer_cert(e->hs, e->cert_verdict, &id);
    }
    (void)dtls_handshake_step(e->hs, e->crypto, e->now_ms);
    look(e);
}

static void look(struct fx_end *e)
{
    flush(e);
    switch (dtls_handshake_state(e->hs)) {
    case DTLS_HS_ASK_PSK:
    case DTLS_HS_ASK_CERT:
        if (!e->hold_answer) {
            fx_answer(e);
        }
        break;
    case DTLS_HS_DONE: {
        e->resumed = dtls_handshake_is_resumed(e->hs);
        snprintf(e->suite, sizeof e->suite, "%s", dtls_handshake_suite(e->hs));
        if (!e->server) {
            if (dtls_handshake_session_export(e->hs, e->session, sizeof e->session,
                                              &e->session_len) != DR_OK) {
                e->session_len = 0;
            }
        }
        dtls_handshake_takeover(e->hs, &e->assoc, &e->id);
        snprintf(e->name, sizeof e->name, "%s", e->id.name);
        e->id.name = e->name;
        e->up = true;
        size_t len;
        uint8_t *p = dtls_handshake_leftover(e->hs, &len);
        records_input(e, p, len);
        e->hs = dtls_handshake_free(e->hs);
        break;
    }
    case DTLS_HS_FAILED:
        e->failed = true;
        e->err = dtls_handshake_error(e->hs);
        e->hs = dtls_handshake_free(e->hs);
        break;
    default:
        break;
    }
}

static struct dtls_handshake_config hs_config(const struct fx_end *e)
{
    return (struct dtls_handshake_config){
        .security = e->sec, .timing = &e->timing, .mtu = e->mtu, .wall_ms = WALL_MS};
}

static void hello_input(struct fx_end *e, const uint8_t *p, size_t len)
{
    struct dtls_hello hello;
    const uint64_t wall = WALL_MS;
    uint8_t out[DTLS_HELLO_VERIFY_LEN];
    const uint8_t *key = dtls_security_cookie_key(e->sec);

    if (dtls_hello_parse(p, len, &hello) != DR_OK) {
        return;
    }
    if (!dtls_cookie_ok(e->crypto, key, &hello, addr, sizeof addr, wall)) {
        size_t n = dtls_hello_verify_make(e->crypto, key, &hello, addr, sizeof addr, wall, out);
        e->hello_verifies++;
        fx_wire_put(e->out, out, n);
        return;
    }
    struct dtls_handshake_config c = hs_config(e);
    if (dtls_handshake_server(&c, e->crypto, p, len, &hello, e->now_ms, &e->hs) == DR_OK) {
        look(e);
    }
}

static void ours_input(struct fx_end *e, uint8_t *p, size_t len)
{
    if (e->up) {
        records_input(e, p, len);
    } else if (e->hs != NULL) {
        dtls_handshake_input(e->hs, p, len);
        (void)dtls_handshake_step(e->hs, e->crypto, e->now_ms);
        look(e);
    } else if (e->server && !e->failed) {
        hello_input(e, p, len);
    }
}

static void ours_tick(struct fx_end *e)
{
    if (e->hs != NULL && dtls_handshake_deadline(e->hs) <= e->now_ms) {
        (void)dtls_handshake_expire(e->hs, e->crypto, e->now_ms);
        look(e);
    }
}

struct fx_end *fx_ours_new(bool server, const struct cx_security_config *config)
{
    struct fx_end *e = calloc(1, sizeof *e);
    struct cx_security_config c = *config;
    struct dr_errinfo info = {0};

    c.client = !server;
    ck_assert_msg(cx_security_new(&c, &e->sec, &info) == DR_OK, "%s %s", info.field, info.text);
    ck_assert_int_eq(dtls_crypto_new(&e->crypto), DR_OK);
    e->server = server;
    e->input = ours_input;
    e->tick = ours_tick;
    e->timing = (struct cx_timing){.ack_timeout_ms = 1000, .retransmit_max = 4};
    e->version = 1;
    return e;
}

/* ---- the library's endpoint ---- */

static int lib_read(BIO *bio, char *out, int cap)
{
    struct fx_end *e = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (e->feed_len == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    int n = (int)e->feed_len < cap ? (int)e->feed_len : cap;
    memcpy(out, e->feed, (size_t)n);
    e->feed_len = 0;
    return n;
}

static int lib_write(BIO *bio, const char *in, int len)
{
    struct fx_end *e = BIO_get_data(bio);
    fx_wire_put(e->out, (const uint8_t *)in, (size_t)len);
    return len;
}

static long lib_ctrl(BIO *bio, int cmd, long arg, void *ptr)
{
    (void)bio;
    (void)arg;
    (void)ptr;
    return cmd == BIO_CTRL_FLUSH;
}

static int lib_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

static unsigned int lib_timer(SSL *ssl, unsigned int us)
{
    const struct fx_end *e = SSL_get_app_data(ssl);
    (void)us;
    return e->timer_us;
}

static unsigned int lib_psk_client(SSL *ssl, const char *hint, char *id, unsigned int id_max,
                                   unsigned char *key, unsigned int key_max)
{
    struct fx_end *e = SSL_get_app_data(ssl);
    (void)hint;
    (void)key_max;
    if (e->psk_identity == NULL) {
        return 0;
    }
    snprintf(id, id_max, "%s", e->psk_identity);
    memcpy(key, e->psk_key, e->psk_len);
    return (unsigned int)e->psk_len;
}

static unsigned int lib_psk_server(SSL *ssl, const char *id, unsigned char *key,
                                   unsigned int key_max)
{
    struct fx_end *e = SSL_get_app_data(ssl);
    (void)key_max;
    if (e->psk_identity == NULL || strcmp(id, e->psk_identity) != 0) {
        return 0;
    }
    memcpy(key, e->psk_key, e->psk_len);
    return (unsigned int)e->psk_len;
}

static int lib_cookie(SSL *ssl, unsigned char *cookie, unsigned int *len)
{
    (void)ssl;
    memcpy(cookie, "cookie", 6);
    *len = 6;
    return 1;
}

static int lib_cookie_ok(SSL *ssl, const unsigned char *cookie, unsigned int len)
{
    (void)ssl;
    return len == 6 && memcmp(cookie, "cookie", 6) == 0;
}

static void lib_info(const SSL *ssl, int where, int ret)
{
    struct fx_end *e = SSL_get_app_data(ssl);
    if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT) {
        if (ret >> 8 == 2) {
            e->alert = (uint8_t)ret;
        } else if ((ret & 0xff) == DTLS_ALERT_NO_RENEGOTIATION) {
            e->no_reneg++;
        }
    }
}

static void lib_ssl_new(struct fx_end *e)
{
    e->ssl = SSL_new(e->ctx);
    SSL_set_app_data(e->ssl, e);
    BIO *bio = BIO_new(e->bio);
    BIO_set_data(bio, e);
    SSL_set_bio(e->ssl, bio, bio);
    SSL_set_mtu(e->ssl, e->mtu != 0 ? e->mtu : 1152);
    DTLS_set_timer_cb(e->ssl, lib_timer);
    if (e->server) {
        SSL_set_accept_state(e->ssl);
    } else {
        SSL_set_connect_state(e->ssl);
        if (e->use_session && e->ssl_session != NULL) {
            SSL_set_session(e->ssl, e->ssl_session);
        }
    }
}

static void lib_go(struct fx_end *e)
{
    ERR_clear_error();
    if (!e->up) {
        int rc = SSL_do_handshake(e->ssl);
        if (rc == 1) {
            e->up = true;
            e->resumed = SSL_session_reused(e->ssl) == 1;
            snprintf(e->suite, sizeof e->suite, "%s", SSL_get_cipher(e->ssl));
            if (!e->server) {
                SSL_SESSION_free(e->ssl_session);
                e->ssl_session = SSL_get1_session(e->ssl);
            }
        } else if (SSL_get_error(e->ssl, rc) != SSL_ERROR_WANT_READ) {
            e->failed = true;
        }
    }
    while (e->up) {
        char buf[1500];
        int n = SSL_read(e->ssl, buf, sizeof buf);
        if (n <= 0) {
            int why = SSL_get_error(e->ssl, n);
            e->closed |= why == SSL_ERROR_ZERO_RETURN;
            e->failed |= why == SSL_ERROR_SSL;
            break;
        }
        if (e->n_data < FX_DATA_MAX) {
            snprintf(e->data[e->n_data++], sizeof e->data[0], "%.*s", n, buf);
        }
    }
    ERR_clear_error();
}

static void lib_input(struct fx_end *e, uint8_t *p, size_t len)
{
    if (e->failed || e->closed) {
        return;
    }
    e->feed = p;
    e->feed_len = len;
    lib_go(e);
    e->feed_len = 0;
}

static void lib_tick(struct fx_end *e)
{
    if (e->ssl != NULL && !e->up && !e->failed && e->timer_us <= FX_SHORT_US) {
        usleep(2000);
        if (DTLSv1_handle_timeout(e->ssl) < 0) {
            e->failed = true;
        }
    }
}

struct fx_end *fx_lib_new(bool server, const char *suites, const struct fx_cert *own,
                          const struct fx_cert *trusted)
{
    struct fx_end *e = calloc(1, sizeof *e);

    e->server = server;
    e->input = lib_input;
    e->tick = lib_tick;
    e->timer_us = 1000000000;
    e->bio = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "fixture");
    BIO_meth_set_read(e->bio, lib_read);
    BIO_meth_set_write(e->bio, lib_write);
    BIO_meth_set_ctrl(e->bio, lib_ctrl);
    BIO_meth_set_create(e->bio, lib_create);
    e->ctx = SSL_CTX_new(server ? DTLS_server_method() : DTLS_client_method());
    SSL_CTX_set_min_proto_version(e->ctx, DTLS1_2_VERSION);
    SSL_CTX_set_security_level(e->ctx, 0);
    ck_assert_int_eq(SSL_CTX_set_cipher_list(e->ctx, suites), 1);
    SSL_CTX_set_options(e->ctx, SSL_OP_NO_QUERY_MTU);
    SSL_CTX_set_info_callback(e->ctx, lib_info);
    if (strstr(suites, "PSK") != NULL) {
        if (server) {
            SSL_CTX_set_psk_server_callback(e->ctx, lib_psk_server);
        } else {
            SSL_CTX_set_psk_client_callback(e->ctx, lib_psk_client);
        }
    }
    if (server) {
        SSL_CTX_set_options(e->ctx, SSL_OP_COOKIE_EXCHANGE);
        SSL_CTX_set_cookie_generate_cb(e->ctx, lib_cookie);
        SSL_CTX_set_cookie_verify_cb(e->ctx, lib_cookie_ok);
        SSL_CTX_set_session_id_context(e->ctx, (const uint8_t *)"fx", 2);
    }
    if (own != NULL) {
        ck_assert_int_eq(SSL_CTX_use_certificate(e->ctx, own->x509), 1);
        ck_assert_int_eq(SSL_CTX_use_PrivateKey(e->ctx, own->key), 1);
    }
    if (trusted != NULL) {
        X509_STORE_add_cert(SSL_CTX_get_cert_store(e->ctx), trusted->x509);
        SSL_CTX_set_verify(e->ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    }
    lib_ssl_new(e);
    return e;
}

/* ---- both ---- */

void fx_end_reset(struct fx_end *e)
{
    e->hs = dtls_handshake_free(e->hs);
    dtls_assoc_fini(&e->assoc);
    e->up = e->failed = e->closed = e->resumed = false;
    e->err = DR_OK;
    e->alert = 0;
    e->n_data = e->repeats = e->replays = e->bad = e->no_reneg = e->hello_verifies = 0;
    e->psk_asked = e->cert_asked = 0;
    if (e->ctx != NULL) {
        if (e->ssl != NULL) {
            /* as after an orderly end: the session stays good for resumption */
            SSL_set_shutdown(e->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        }
        SSL_free(e->ssl);
        lib_ssl_new(e);
    }
}

struct fx_end *fx_end_free(struct fx_end *e)
{
    if (e != NULL) {
        e->hs = dtls_handshake_free(e->hs);
        dtls_assoc_fini(&e->assoc);
        e->crypto = dtls_crypto_free(e->crypto);
        e->sec = cx_security_unref(e->sec);
        SSL_free(e->ssl);
        SSL_SESSION_free(e->ssl_session);
        SSL_CTX_free(e->ctx);
        BIO_meth_free(e->bio);
        free(e);
    }
    return NULL;
}

void fx_set_psk(struct fx_end *e, const char *identity, const char *key)
{
    e->psk_identity = identity;
    e->psk_len = strlen(key);
    ck_assert_uint_le(e->psk_len, sizeof e->psk_key);
    memcpy(e->psk_key, key, e->psk_len);
}

void fx_start(struct fx_end *e)
{
    if (e->ctx != NULL) {
        lib_go(e);
        return;
    }
    struct dtls_handshake_config c = hs_config(e);
    c.psk_identity = e->psk_identity;
    c.psk_key = e->psk_key;
    c.psk_key_len = e->psk_len;
    c.session = e->use_session ? e->session : NULL;
    c.session_len = e->use_session ? e->session_len : 0;
    ck_assert_int_eq(dtls_handshake_client(&c, e->crypto, e->now_ms, &e->hs), DR_OK);
    look(e);
}

bool fx_send(struct fx_end *e, const char *text)
{
    size_t len = strlen(text);

    if (e->ctx != NULL) {
        return SSL_write(e->ssl, text, (int)len) == (int)len;
    }
    uint8_t buf[FX_DGRAM_MAX];
    size_t n;
    memcpy(buf + DTLS_SEAL_HEAD, text, len);
    if (dtls_assoc_seal(&e->assoc, e->crypto, DTLS_TYPE_DATA, buf, len, &n) != DR_OK) {
        return false;
    }
    fx_wire_put(e->out, buf, n);
    return true;
}

void fx_close(struct fx_end *e)
{
    if (e->ctx != NULL) {
        SSL_shutdown(e->ssl);
        return;
    }
    uint8_t buf[DTLS_ALERT_LEN_MAX];
    size_t n = dtls_assoc_close(&e->assoc, e->crypto, buf);
    fx_wire_put(e->out, buf, n);
}

struct fx_net *fx_net_new(struct fx_end *a, struct fx_end *b)
{
    struct fx_net *n = calloc(1, sizeof *n);
    n->a = a;
    n->b = b;
    a->out = &n->ab;
    b->out = &n->ba;
    n->now_ms = 1000;
    a->now_ms = b->now_ms = n->now_ms;
    return n;
}

struct fx_net *fx_net_free(struct fx_net *n)
{
    if (n != NULL) {
        fx_end_free(n->a);
        fx_end_free(n->b);
        free(n);
    }
    return NULL;
}

static bool deliver(struct fx_net *n, struct fx_wire *w, struct fx_end *to, int dir)
{
    if (w->head == w->tail) {
        return false;
    }
    uint8_t buf[FX_DGRAM_MAX];
    size_t len = w->q[w->head % FX_QUEUE_MAX].len;
    memcpy(buf, w->q[w->head % FX_QUEUE_MAX].bytes, len);
    w->head++;
    enum fx_fate fate = n->filter == NULL ? FX_PASS : n->filter(n->data, dir, w->count, buf, len);
    w->count++;
    if (fate == FX_DELAY && w->head != w->tail) {
        /* behind the next one */
        size_t at = w->head % FX_QUEUE_MAX;
        uint8_t next[FX_DGRAM_MAX];
        size_t next_len = w->q[at].len;
        memcpy(next, w->q[at].bytes, next_len);
        memcpy(w->q[at].bytes, buf, len);
        w->q[at].len = len;
        w->count++;
        to->input(to, next, next_len);
        return true;
    }
    if (fate == FX_DUP) {
        uint8_t twice[FX_DGRAM_MAX];
        memcpy(twice, buf, len);
        to->input(to, twice, len);
    }
    if (fate != FX_DROP) {
        to->input(to, buf, len);
    }
    return true;
}

void fx_run(struct fx_net *n)
{
    bool any = true;

    while (any) {
        any = deliver(n, &n->ab, n->b, 0);
        any |= deliver(n, &n->ba, n->a, 1);
    }
}

void fx_settle(struct fx_net *n, uint64_t max_ms)
{
    uint64_t end = n->now_ms + max_ms;

    fx_run(n);
    while (n->now_ms < end && !(n->a->up && n->b->up) && !(n->a->failed && n->b->failed)) {
        n->now_ms += 100;
        n->a->now_ms = n->b->now_ms = n->now_ms;
        n->a->tick(n->a);
        n->b->tick(n->b);
        fx_run(n);
    }
}
