/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes of the stream are cut into records, and the library sees one at a time. So each record is
 * one message for whoever reads, and in the first handshake of a server we look before it does:
 *
 *   ClientKeyExchange with a PSK suite   wait for the owner's key first
 *   ChangeCipherSpec                     ask the owner about the certificate, or about whom the
 *                                        resumed session stands for
 *
 * Later handshakes (renegotiations) are encrypted, so the library has them to itself; the
 * certificate must then be the same as before.
 *
 *   record: | type 8 | 03 03 | length 16 | … |, as 14 03 03 00 01 01 = ChangeCipherSpec
 */
#include "coap/tls_conn.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509.h>

#include "base/text.h"
#include "coap/dtls_security.h"
#include "coap/tls_conn_priv.h"

#define RECORD_HEAD         5
#define TYPE_CCS            20
#define TYPE_ALERT          21
#define TYPE_HANDSHAKE      22
#define TYPE_DATA           23
#define MSG_CLIENT_KEY      16
#define ALERT_FATAL         2
#define ALERT_ACCESS_DENIED 49
#define KEPT_MAX            256

struct record {
    uint8_t type;
    const uint8_t *whole;
    size_t whole_len;
    const uint8_t *body;
    size_t len;
};

static void fail(struct tls_conn *c, dr_err_t err)
{
    if (c->state != TLS_FAILED) {
        c->state = TLS_FAILED;
        c->err = err;
    }
}

static void refuse(struct tls_conn *c, dr_err_t err)
{
    /* before our own ChangeCipherSpec nothing is encrypted; in a resumption it is too late for an
     * alert of ours, and the connection just ends */
    if (!c->resumed) {
        static const uint8_t alert[] = {TYPE_ALERT, 3, 3, 0, 2, ALERT_FATAL, ALERT_ACCESS_DENIED};
        dr_dynbuf_append(&c->pipe.raw, alert, sizeof alert);
    }
    (void)SSL_CTX_remove_session(SSL_get_SSL_CTX(c->ssl), SSL_get_session(c->ssl));
    fail(c, err);
}

/* ---- records ---- */

/* DR_ERR_AGAIN: not whole yet. */
static dr_err_t record_at(const struct tls_conn *c, size_t off, struct record *ret)
{
    struct dr_rd rd = dr_rd_of(c->in.p + off, c->in.len - off);
    struct record r = {.type = dr_rd_u8(&rd)};
    uint8_t major = dr_rd_u8(&rd);
    dr_rd_skip(&rd, 1);
    r.len = dr_rd_u16(&rd);

    if (!dr_rd_ok(&rd)) {
        return DR_ERR_AGAIN;
    }
    if (r.type < TYPE_CCS || r.type > TYPE_DATA || major != 3 ||
        r.len > TLS_RECORD_MAX - RECORD_HEAD) {
        return DR_ERR_PROTO;
    }
    r.body = dr_rd_bytes(&rd, r.len).p;
    if (!dr_rd_ok(&rd)) {
        return DR_ERR_AGAIN;
    }
    r.whole = c->in.p + off;
    r.whole_len = RECORD_HEAD + r.len;
    *ret = r;
    return DR_OK;
}

dr_err_t tls_conn_input(struct tls_conn *c, const uint8_t *bytes, size_t len)
{
    dr_assert(c != NULL && (bytes != NULL || len == 0));
    struct record r;

    if (c->in.len + len > c->in.max) {
        return DR_ERR_NOSPACE;
    }
    dr_dynbuf_append(&c->in, bytes, len);
    dr_err_t err = dr_dynbuf_err(&c->in);
    if (err != DR_OK) {
        fail(c, err);
        return err;
    }
    if (record_at(c, 0, &r) == DR_ERR_PROTO) {
        fail(c, DR_ERR_PROTO);
        return DR_ERR_PROTO;
    }
    return DR_OK;
}

/* ---- the first handshake ---- */

static const SSL_CIPHER *cipher_of(const struct tls_conn *c)
{
    const SSL_CIPHER *pending = SSL_get_pending_cipher(c->ssl);

    return pending != NULL ? pending : SSL_get_current_cipher(c->ssl);
}

static bool is_psk(const struct tls_conn *c)
{
    const SSL_CIPHER *cipher = cipher_of(c);

    return cipher != NULL && SSL_CIPHER_get_kx_nid(cipher) == NID_kx_psk;
}

enum verdict { FEED, WAIT, OVER };

static enum verdict key_exchange_seen(struct tls_conn *c, const struct tls_scan *scan)
{
    struct tls_shake *sh = c->shake;
    struct dr_rd rd = dr_rd_of(scan->kx, scan->kx_len);

    if (!is_psk(c) || sh->claim.asked != DTLS_ASKED_NOTHING) {
        return FEED;
    }
    if (!dtls_claim_identity(&rd, sh->claim.identity)) {
        sh->claim.asked = DTLS_ASKED_NO;
        return FEED;
    }
    sh->claim.asked = DTLS_ASKED_WAIT;
    c->state = TLS_ASK_PSK;
    return WAIT;
}

/* Handshake messages of the client, as they come in pieces. */
static enum verdict messages_look(struct tls_conn *c, const struct record *r)
{
    struct tls_scan scan = c->shake->scan;
    struct dr_rd rd = dr_rd_of(r->body, r->len);
    enum verdict v = FEED;

    while (v == FEED && dr_rd_left(&rd) > 0) {
        if (scan.head_len < sizeof scan.head) {
            scan.head[scan.head_len++] = dr_rd_u8(&rd);
            if (scan.head_len == sizeof scan.head) {
                scan.left =
                    (uint32_t)scan.head[1] << 16 | (uint32_t)scan.head[2] << 8 | scan.head[3];
                scan.kx_len = 0;
            }
        } else {
            size_t n = dr_rd_left(&rd) < scan.left ? dr_rd_left(&rd) : scan.left;
            struct dr_bytes part = dr_rd_bytes(&rd, n);
            size_t room = sizeof scan.kx - scan.kx_len;
            size_t copy = part.len < room ? part.len : room;

            memcpy(scan.kx + scan.kx_len, part.p, copy);
            scan.kx_len = (uint8_t)(scan.kx_len + copy);
            scan.left -= (uint32_t)n;
        }
        if (scan.head_len == sizeof scan.head && scan.left == 0) {
            scan.head_len = 0;
            if (scan.head[0] == MSG_CLIENT_KEY) {
                v = key_exchange_seen(c, &scan);
            }
        }
    }
    if (v == FEED) {
        c->shake->scan = scan; /* else the record is looked at once more */
    }
    return v;
}

/* The client is through with what it proves; what it says from now on is encrypted. */
static enum verdict change_look(struct tls_conn *c)
{
    struct tls_shake *sh = c->shake;
    struct dtls_claim *claim = &sh->claim;

    c->resumed = SSL_session_reused(c->ssl) == 1;
    if (c->resumed && claim->asked == DTLS_ASKED_NOTHING &&
        !dtls_claim_load(claim, SSL_get_session(c->ssl), &sh->stored)) {
        refuse(c, DR_ERR_AUTH);
        return OVER;
    }
    if (claim->asked == DTLS_ASKED_NOTHING && c->resumed && sh->stored.id.kind == CX_ID_PSK) {
        memcpy(claim->identity, sh->stored.name, sizeof claim->identity);
        claim->asked = DTLS_ASKED_WAIT;
        c->state = TLS_ASK_PSK;
        return WAIT;
    }
    if (claim->asked == DTLS_ASKED_NOTHING && !is_psk(c)) {
        dr_err_t err = dtls_claim_chain(claim, c->ssl, c->sec, c->resumed, c->wall_ms);
        if (err != DR_OK) {
            refuse(c, err);
            return OVER;
        }
        claim->asked = DTLS_ASKED_WAIT;
        c->state = TLS_ASK_CERT;
        return WAIT;
    }
    if (c->resumed ? !dtls_claim_is_stored(claim, &sh->stored)
                   : claim->asked == DTLS_ASKED_NO && !is_psk(c)) {
        refuse(c, DR_ERR_DENIED);
        return OVER;
    }
    if (claim->asked == DTLS_ASKED_YES && !c->resumed &&
        !dtls_claim_store(claim, SSL_get_session(c->ssl))) {
        refuse(c, DR_ERR_NOMEM);
        return OVER;
    }
    sh->changed = true;
    return FEED;
}

static enum verdict look(struct tls_conn *c, const struct record *r)
{
    if (c->client || c->shake->changed) {
        return FEED;
    }
    switch (r->type) {
    case TYPE_HANDSHAKE:
        return messages_look(c, r);
    case TYPE_CCS:
        return change_look(c);
    default:
        return FEED;
    }
}

static bool leaf_digest(const struct tls_conn *c, uint8_t out[TLS_DIGEST_LEN])
{
    X509 *leaf = SSL_get0_peer_certificate(c->ssl);
    unsigned len = 0;

    return leaf != NULL && X509_digest(leaf, EVP_sha256(), out, &len) == 1 && len == TLS_DIGEST_LEN;
}

static void completed(struct tls_conn *c)
{
    const unsigned char *proto = NULL;
    unsigned proto_len = 0;
    struct dtls_claim *claim = &c->shake->claim;

    c->resumed = SSL_session_reused(c->ssl) == 1;
    SSL_get0_alpn_selected(c->ssl, &proto, &proto_len);
    c->alpn = proto_len == 4 && memcmp(proto, "coap", 4) == 0;
    c->psk = is_psk(c);
    c->has_leaf = leaf_digest(c, c->leaf);
    if (c->client && c->has_leaf) {
        dtls_claim_cn(SSL_get0_peer_certificate(c->ssl), claim->name);
        claim->id.kind = CX_ID_CERT;
    }
    if (!c->client && claim->asked != DTLS_ASKED_YES) {
        fail(c, DR_ERR_AUTH); /* cannot be: an unknown key does not get that far */
        return;
    }
    if (c->psk) {
        /* its key is not kept for longer */
        SSL_set_options(c->ssl, SSL_OP_NO_RENEGOTIATION);
    }
    c->state = TLS_UP;
}

static void shake_run(struct tls_conn *c, const struct record *r)
{
    c->pipe.feed = r != NULL ? r->whole : NULL;
    c->pipe.feed_len = r != NULL ? r->whole_len : 0;
    ERR_clear_error();
    int rc = SSL_do_handshake(c->ssl);
    int why = rc == 1 ? SSL_ERROR_NONE : SSL_get_error(c->ssl, rc);

    c->pipe.feed = NULL;
    c->pipe.feed_len = 0;
    if (rc == 1) {
        completed(c);
    } else if (why != SSL_ERROR_WANT_READ) {
        fail(c, dtls_ssl_error(c->ssl));
    }
    ERR_clear_error();
}

enum tls_state tls_conn_step(struct tls_conn *c)
{
    dr_assert(c != NULL);
    struct record r;
    size_t off = 0;

    while (c->state == TLS_SHAKING) {
        dr_err_t err = record_at(c, off, &r);
        if (err == DR_ERR_AGAIN) {
            break;
        }
        if (err != DR_OK) {
            fail(c, err);
            break;
        }
        enum verdict v = look(c, &r);
        if (v == WAIT) {
            break;
        }
        off += r.whole_len;
        if (v == FEED) {
            shake_run(c, &r);
        }
    }
    dr_dynbuf_consume(&c->in, off);
    return c->state;
}

/* ---- afterwards ---- */

static void held_send(struct tls_conn *c)
{
    struct dr_rd rd = dr_rd_of(c->held.p, c->held.len);

    while (dr_rd_left(&rd) > 0 && c->state == TLS_UP) {
        struct dr_bytes msg = dr_rd_bytes(&rd, dr_rd_u16(&rd));
        if (!dr_rd_ok(&rd) || SSL_write(c->ssl, msg.p, (int)msg.len) <= 0) {
            fail(c, DR_ERR_INTERNAL);
        }
    }
    dr_dynbuf_fini(&c->held);
}

/* A renegotiation is through. */
static void renegotiated(struct tls_conn *c)
{
    uint8_t digest[TLS_DIGEST_LEN];

    c->renegotiating = false;
    dr_dynbuf_fini(&c->kept);
    if (!leaf_digest(c, digest) || !c->has_leaf || !dr_ct_equal(digest, c->leaf, sizeof digest)) {
        (void)SSL_CTX_remove_session(SSL_get_SSL_CTX(c->ssl), SSL_get_session(c->ssl));
        fail(c, DR_ERR_AUTH);
        return;
    }
    if (c->renegotiations >= TLS_RENEGOTIATIONS_MAX) {
        SSL_set_options(c->ssl, SSL_OP_NO_RENEGOTIATION);
    }
    held_send(c);
}

static void read_failed(struct tls_conn *c, int why)
{
    if (why == SSL_ERROR_ZERO_RETURN) {
        c->state = TLS_CLOSED;
    } else if (why != SSL_ERROR_WANT_READ) {
        fail(c, dtls_ssl_error(c->ssl));
    }
}

dr_err_t tls_conn_read(struct tls_conn *c, uint8_t *buf, size_t cap, size_t *ret_len)
{
    dr_assert(c != NULL && buf != NULL && cap >= TLS_PLAIN_MAX && ret_len != NULL);
    struct record r;
    int n = 0;

    while (n <= 0 && c->state == TLS_UP) {
        dr_err_t err = record_at(c, c->in_off, &r);
        if (err != DR_OK) {
            if (err != DR_ERR_AGAIN) {
                fail(c, err);
            }
            break;
        }
        c->pipe.feed = r.whole;
        c->pipe.feed_len = r.whole_len;
        ERR_clear_error();
        n = SSL_read(c->ssl, buf, (int)cap);
        int why = n > 0 ? SSL_ERROR_NONE : SSL_get_error(c->ssl, n);
        c->pipe.feed = NULL;
        c->pipe.feed_len = 0;
        c->in_off += r.whole_len;
        if (n <= 0) {
            read_failed(c, why);
        }
        if (c->renegotiating && SSL_is_init_finished(c->ssl) && c->state == TLS_UP) {
            renegotiated(c);
        }
        ERR_clear_error();
    }
    if (n > 0 && c->state == TLS_UP) {
        *ret_len = (size_t)n;
        return DR_OK;
    }
    dr_dynbuf_consume(&c->in, c->in_off);
    c->in_off = 0;
    if (c->in.len == 0) {
        dr_dynbuf_fini(&c->in);
    }
    return DR_ERR_AGAIN;
}

dr_err_t tls_conn_write(struct tls_conn *c, const uint8_t *bytes, size_t len)
{
    dr_assert(c != NULL && bytes != NULL && len > 0 && len <= TLS_PLAIN_MAX);
    if (c->state != TLS_UP) {
        return DR_ERR_GONE;
    }
    if (!SSL_is_init_finished(c->ssl)) {
        uint8_t head[2];
        dr_store_be(head, len, sizeof head);
        if (c->held.len + sizeof head + len > c->held.max) {
            return DR_ERR_NOSPACE;
        }
        dr_dynbuf_append(&c->held, head, sizeof head);
        dr_dynbuf_append(&c->held, bytes, len);
        return dr_dynbuf_err(&c->held);
    }
    if (c->pipe.raw.len + len + TLS_RECORD_MAX > c->pipe.raw.max) {
        return DR_ERR_NOSPACE;
    }
    ERR_clear_error();
    if (SSL_write(c->ssl, bytes, (int)len) != (int)len) {
        fail(c, DR_ERR_INTERNAL);
    }
    ERR_clear_error();
    return c->state == TLS_UP ? DR_OK : DR_ERR_INTERNAL;
}

void tls_conn_goodbye(struct tls_conn *c)
{
    dr_assert(c != NULL);
    if ((c->state == TLS_UP || c->state == TLS_CLOSED) && SSL_is_init_finished(c->ssl)) {
        ERR_clear_error();
        (void)SSL_shutdown(c->ssl);
        ERR_clear_error();
    }
}

/* ---- begin and end ---- */

static dr_err_t conn_new(const struct tls_conn_config *config, bool psk, struct tls_conn **ret)
{
    SSL_CTX *ctx = dtls_security_stream_ctx(config->security, psk);
    if (ctx == NULL) {
        return DR_ERR_INVAL;
    }
    struct tls_conn *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return DR_ERR_NOMEM;
    }
    c->sec = cx_security_ref((struct cx_security *)(uintptr_t)config->security);
    c->client = dtls_security_is_client(c->sec);
    c->wall_ms = config->wall_ms;
    c->pipe.stream = true;
    dr_dynbuf_init(&c->pipe.raw, TLS_OUT_MAX);
    dr_dynbuf_init(&c->in, TLS_IN_MAX);
    dr_dynbuf_init(&c->held, TLS_HELD_MAX);
    dr_dynbuf_init(&c->kept, KEPT_MAX);
    c->shake = calloc(1, sizeof *c->shake);
    c->ssl = SSL_new(ctx);
    BIO *bio = BIO_new(dtls_security_bio(c->sec));
    if (c->shake == NULL || c->ssl == NULL || bio == NULL || SSL_set_app_data(c->ssl, c) != 1) {
        BIO_free(bio);
        tls_conn_free(c);
        ERR_clear_error();
        return DR_ERR_NOMEM;
    }
    c->shake->claim.id.name = c->shake->claim.name;
    BIO_set_data(bio, &c->pipe);
    SSL_set_bio(c->ssl, bio, bio);
    X509_VERIFY_PARAM_set_time(SSL_get0_param(c->ssl), (time_t)(c->wall_ms / 1000));
    *ret = c;
    return DR_OK;
}

dr_err_t tls_conn_server(const struct tls_conn_config *config, struct tls_conn **ret)
{
    dr_assert(config != NULL && ret != NULL && !dtls_security_is_client(config->security));
    dr_err_t err = conn_new(config, true, ret);

    if (err == DR_OK) {
        SSL_set_accept_state((*ret)->ssl);
    }
    return err;
}

dr_err_t tls_conn_client(const struct tls_conn_config *config, struct tls_conn **ret)
{
    static const uint8_t alpn[] = {4, 'c', 'o', 'a', 'p'};
    dr_assert(config != NULL && ret != NULL && dtls_security_is_client(config->security));
    bool psk = config->psk_identity != NULL;
    size_t id_len = psk ? strlen(config->psk_identity) : 0;
    if (psk && (id_len > CX_IDENTITY_MAX || config->psk_key_len == 0 ||
                config->psk_key_len > CX_CRED_KEY_MAX)) {
        return DR_ERR_INVAL;
    }
    struct tls_conn *c;
    dr_err_t err = conn_new(config, psk, &c);
    if (err != DR_OK) {
        return err;
    }
    if (psk) {
        memcpy(c->shake->claim.identity, config->psk_identity, id_len + 1);
        memcpy(c->shake->claim.psk, config->psk_key, config->psk_key_len);
        c->shake->claim.psk_len = config->psk_key_len;
    }
    if (config->alpn && SSL_set_alpn_protos(c->ssl, alpn, sizeof alpn) != 0) {
        tls_conn_free(c);
        return DR_ERR_NOMEM;
    }
    SSL_set_connect_state(c->ssl);
    shake_run(c, NULL);
    *ret = c;
    return DR_OK;
}

static void shake_free(struct tls_conn *c)
{
    if (c->shake != NULL) {
        dtls_claim_fini(&c->shake->claim);
        dr_wipe(c->shake, sizeof *c->shake);
        free(c->shake);
        c->shake = NULL;
    }
}

struct tls_conn *tls_conn_free(struct tls_conn *c)
{
    if (c != NULL) {
        /* a connection that just breaks does not make its session worthless. spec: RFC5246#7.2.1 */
        if (c->ssl != NULL && c->state != TLS_FAILED) {
            SSL_set_shutdown(c->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        }
        SSL_free(c->ssl);
        (void)cx_security_unref(c->sec);
        dr_dynbuf_fini(&c->pipe.raw);
        dr_dynbuf_fini(&c->in);
        dr_dynbuf_fini(&c->held);
        dr_dynbuf_fini(&c->kept);
        shake_free(c);
        free(c);
    }
    return NULL;
}

const struct cx_identity *tls_conn_who(const struct tls_conn *c)
{
    dr_assert(c != NULL && c->state == TLS_UP && c->shake != NULL);
    return &c->shake->claim.id;
}

const struct cx_identity *tls_conn_let_in(const struct tls_conn *c)
{
    dr_assert(c != NULL);
    return c->shake != NULL && c->shake->claim.asked == DTLS_ASKED_YES ? &c->shake->claim.id : NULL;
}

void tls_conn_settle(struct tls_conn *c)
{
    dr_assert(c != NULL && c->state == TLS_UP && c->shake != NULL);
    shake_free(c);
    /* certificates of later handshakes must be valid then */
    (void)X509_VERIFY_PARAM_clear_flags(SSL_get0_param(c->ssl), X509_V_FLAG_USE_CHECK_TIME);
}

/* ---- questions ---- */

const char *tls_conn_identity(const struct tls_conn *c)
{
    dr_assert(c != NULL && c->shake != NULL);
    return c->shake->claim.identity;
}

void tls_conn_answer_psk(struct tls_conn *c, const uint8_t *key, size_t len,
                         const struct cx_identity *id)
{
    dr_assert(c != NULL && c->state == TLS_ASK_PSK);
    dtls_claim_answer_psk(&c->shake->claim, key, len, id);
    c->state = TLS_SHAKING;
}

void tls_conn_cert(const struct tls_conn *c, uint64_t *ret_tag, const char **ret_cn,
                   const uint8_t **ret_der, size_t *ret_len)
{
    dr_assert(c != NULL && c->state == TLS_ASK_CERT);
    *ret_tag = c->shake->claim.tag;
    *ret_cn = c->shake->claim.identity;
    *ret_der = c->shake->claim.der;
    *ret_len = c->shake->claim.der_len;
}

void tls_conn_answer_cert(struct tls_conn *c, dr_err_t err, const struct cx_identity *id)
{
    dr_assert(c != NULL && c->state == TLS_ASK_CERT);
    dtls_claim_answer(&c->shake->claim, err == DR_OK && id != NULL, id, CX_ID_CERT);
    c->state = TLS_SHAKING;
}

/* ---- small ones ---- */

enum tls_state tls_conn_state(const struct tls_conn *c)
{
    dr_assert(c != NULL);
    return c->state;
}

struct dr_dynbuf *tls_conn_output(struct tls_conn *c)
{
    dr_assert(c != NULL);
    return &c->pipe.raw;
}

bool tls_conn_is_heavy(const struct tls_conn *c)
{
    dr_assert(c != NULL);
    struct record r;

    return c->state == TLS_SHAKING && c->shake != NULL && !c->shake->changed &&
           record_at(c, 0, &r) == DR_OK && cipher_of(c) != NULL && !is_psk(c);
}

bool tls_conn_has_alpn(const struct tls_conn *c)
{
    dr_assert(c != NULL);
    return c->alpn;
}

bool tls_conn_is_resumed(const struct tls_conn *c)
{
    dr_assert(c != NULL);
    return c->resumed;
}

unsigned tls_conn_renegotiations(const struct tls_conn *c)
{
    dr_assert(c != NULL);
    return c->renegotiations;
}

dr_err_t tls_conn_error(const struct tls_conn *c)
{
    dr_assert(c != NULL);
    return c->err;
}
