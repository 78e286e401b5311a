/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a session remembers of its peer:
 *
 *   02 | kind 1 | account 8 | credential 8 | version 4 | device 8 | anchor tag 8 |
 *   name 0..128
 *
 * In a ticket the library encrypts and authenticates it; a session that is kept here holds it as it
 * is.
 */
#include "coap/dtls_claim.h"

#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509.h>

#include "base/text.h"
#include "coap/dtls_security.h"

#define STORED_FORMAT    2
#define STORED_FIXED_LEN 38
#define RANDOM_PSK_LEN   16

/* ---- claims ---- */

bool dtls_claim_identity(struct dr_rd *msg, char out[CX_IDENTITY_MAX + 1])
{
    dr_assert(msg != NULL && out != NULL);
    struct dr_bytes id = dr_rd_bytes(msg, dr_rd_u16(msg));

    if (!dr_rd_ok(msg) || id.len > CX_IDENTITY_MAX || (id.len != 0 && memchr(id.p, 0, id.len))) {
        return false;
    }
    if (id.len != 0) {
        memcpy(out, id.p, id.len);
    }
    out[id.len] = '\0';
    return true;
}

void dtls_claim_cn(X509 *cert, char out[CX_IDENTITY_MAX + 1])
{
    dr_assert(cert != NULL && out != NULL);
    const X509_NAME *name = X509_get_subject_name(cert);
    int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    unsigned char *text = NULL;
    int len = at < 0 ? -1
                     : ASN1_STRING_to_UTF8(&text,
                                           X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));

    out[0] = '\0';
    if (len > 0 && len <= CX_IDENTITY_MAX && memchr(text, 0, (size_t)len) == NULL) {
        memcpy(out, text, (size_t)len);
        out[len] = '\0';
    }
    OPENSSL_free(text);
}

static bool leaf_keep(struct dtls_claim *c, X509 *leaf)
{
    uint8_t *der = NULL;
    int len = i2d_X509(leaf, &der);
    if (len <= 0) {
        return false;
    }
    OPENSSL_free(c->der);
    c->der = der;
    c->der_len = (size_t)len;
    return true;
}

dr_err_t dtls_claim_chain(struct dtls_claim *c, SSL *ssl, const struct cx_security *sec,
                          bool resumed, uint64_t wall_ms)
{
    dr_assert(c != NULL && ssl != NULL && sec != NULL);
    X509 *leaf = SSL_get0_peer_certificate(ssl);
    if (leaf == NULL) {
        return DR_ERR_AUTH;
    }
    if (resumed) {
        /* verified at the first handshake; what may have changed since is asked again */
        time_t now = (time_t)(wall_ms / 1000);
        if (X509_cmp_time(X509_get0_notAfter(leaf), &now) <= 0 ||
            !dtls_security_has_tag(sec, c->tag)) {
            return DR_ERR_AUTH;
        }
    } else {
        dr_err_t err = dtls_security_peer_tag(sec, ssl, &c->tag);
        if (err != DR_OK) {
            return DR_ERR_AUTH;
        }
    }
    dtls_claim_cn(leaf, c->identity);
    return leaf_keep(c, leaf) ? DR_OK : DR_ERR_NOMEM;
}

void dtls_claim_answer(struct dtls_claim *c, bool known, const struct cx_identity *id,
                       enum cx_id_kind kind)
{
    dr_assert(c != NULL && (!known || id != NULL));
    c->asked = known ? DTLS_ASKED_YES : DTLS_ASKED_NO;
    if (known) {
        c->id = *id;
        c->id.kind = kind;
        /* what the credential stands for, when the owner knows that; else what was claimed */
        const char *name = id->name == NULL ? c->identity : id->name;
        size_t len = strnlen(name, sizeof c->name - 1);
        memmove(c->name, name, len);
        c->name[len] = '\0';
    }
    c->id.name = c->name;
}

void dtls_claim_answer_psk(struct dtls_claim *c, const uint8_t *key, size_t len,
                           const struct cx_identity *id)
{
    dr_assert(c != NULL);
    bool known = key != NULL && len != 0 && len <= CX_CRED_KEY_MAX && id != NULL;

    if (known) {
        memcpy(c->psk, key, len);
        c->psk_len = len;
    }
    dtls_claim_answer(c, known, id, CX_ID_PSK);
}

bool dtls_claim_is_stored(const struct dtls_claim *c, const struct dtls_stored *stored)
{
    dr_assert(c != NULL && stored != NULL);
    const struct cx_identity *s = &stored->id;

    return c->asked == DTLS_ASKED_YES && c->id.account == s->account &&
           c->id.credential == s->credential && c->id.version == s->version &&
           c->id.device == s->device;
}

/*
 * spec: RFC4279#2: an identity that nobody knows runs on like one whose key is wrong. The random
 * key is always drawn, so that both take the same time.
 */
unsigned dtls_claim_key_server(const struct dtls_claim *c, const char *identity, uint8_t *psk,
                               unsigned cap)
{
    dr_assert(c != NULL && psk != NULL);
    unsigned len = RANDOM_PSK_LEN;

    if (cap < CX_CRED_KEY_MAX || RAND_bytes(psk, RANDOM_PSK_LEN) != 1) {
        return 0;
    }
    if (c->asked == DTLS_ASKED_YES && identity != NULL && strcmp(identity, c->identity) == 0) {
        memcpy(psk, c->psk, c->psk_len);
        len = (unsigned)c->psk_len;
    }
    return len;
}

unsigned dtls_claim_key_client(const struct dtls_claim *c, char *identity, unsigned cap,
                               uint8_t *psk, unsigned psk_cap)
{
    dr_assert(c != NULL && identity != NULL && psk != NULL);
    size_t len = strlen(c->identity);

    if (len >= cap || c->psk_len > psk_cap) {
        return 0;
    }
    memcpy(identity, c->identity, len + 1);
    memcpy(psk, c->psk, c->psk_len);
    return (unsigned)c->psk_len;
}

void dtls_claim_fini(struct dtls_claim *c)
{
    dr_assert(c != NULL);
    OPENSSL_free(c->der);
    dr_wipe(c, sizeof *c);
}

/* ---- sessions ---- */

bool dtls_claim_store(const struct dtls_claim *c, SSL_SESSION *session)
{
    dr_assert(c != NULL && session != NULL);
    uint8_t out[STORED_FIXED_LEN + CX_IDENTITY_MAX];
    struct dr_wr wr = dr_wr_of(out, sizeof out);

    dr_wr_u8(&wr, STORED_FORMAT);
    dr_wr_u8(&wr, (uint8_t)c->id.kind);
    dr_wr_u64(&wr, (uint64_t)c->id.account);
    dr_wr_u64(&wr, (uint64_t)c->id.credential);
    dr_wr_u32(&wr, c->id.version);
    dr_wr_u64(&wr, (uint64_t)c->id.device);
    dr_wr_u64(&wr, c->tag);
    dr_wr_put_str(&wr, c->identity); /* the claim: it is asked about again */
    return dr_wr_ok(&wr) && SSL_SESSION_set1_ticket_appdata(session, out, dr_wr_len(&wr)) == 1;
}

bool dtls_claim_load(struct dtls_claim *c, SSL_SESSION *session, struct dtls_stored *ret)
{
    dr_assert(c != NULL && session != NULL && ret != NULL);
    void *data = NULL;
    size_t len = 0;

    if (SSL_SESSION_get0_ticket_appdata(session, &data, &len) != 1) {
        return false;
    }
    struct dr_rd rd = dr_rd_of(data, len);
    uint8_t format = dr_rd_u8(&rd);
    struct cx_identity id = {.kind = (enum cx_id_kind)dr_rd_u8(&rd)};

    id.account = (int64_t)dr_rd_u64(&rd);
    id.credential = (int64_t)dr_rd_u64(&rd);
    id.version = dr_rd_u32(&rd);
    id.device = (int64_t)dr_rd_u64(&rd);
    uint64_t tag = dr_rd_u64(&rd);
    struct dr_bytes name = dr_rd_rest(&rd);
    if (!dr_rd_ok(&rd) || format != STORED_FORMAT || name.len > CX_IDENTITY_MAX ||
        (id.kind != CX_ID_PSK && id.kind != CX_ID_CERT)) {
        return false;
    }
    if (name.len != 0) {
        memcpy(ret->name, name.p, name.len);
    }
    ret->name[name.len] = '\0';
    id.name = ret->name;
    ret->id = id;
    c->tag = tag;
    return true;
}

/* ---- the library ---- */

dr_err_t dtls_ssl_error(const SSL *ssl)
{
    int reason = ERR_GET_REASON(ERR_peek_error());

    if (reason == SSL_AD_REASON_OFFSET + SSL_AD_DECRYPT_ERROR ||
        SSL_get_verify_result(ssl) != X509_V_OK || reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
        return DR_ERR_AUTH;
    }
    return reason >= SSL_AD_REASON_OFFSET ? DR_ERR_RESET : DR_ERR_PROTO;
}

static int bio_read(BIO *bio, char *out, int cap)
{
    struct dtls_pipe *pipe = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (pipe->feed_len == 0 || cap <= 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t n = pipe->feed_len < (size_t)cap ? pipe->feed_len : (size_t)cap;
    memcpy(out, pipe->feed, n);
    pipe->feed += n;
    pipe->feed_len = pipe->stream ? pipe->feed_len - n : 0;
    return (int)n;
}

static int bio_write(BIO *bio, const char *in, int len)
{
    struct dtls_pipe *pipe = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (len <= 0) {
        return 0;
    }
    dr_dynbuf_append(&pipe->raw, in, (size_t)len);
    return dr_dynbuf_err(&pipe->raw) == DR_OK ? len : -1;
}

static long bio_ctrl(BIO *bio, int cmd, long arg, void *ptr)
{
    (void)bio;
    (void)arg;
    (void)ptr;
    return cmd == BIO_CTRL_FLUSH || cmd == BIO_CTRL_DGRAM_SET_NEXT_TIMEOUT ? 1 : 0;
}

static int bio_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

BIO_METHOD *dtls_bio_method_new(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "records");

    if (m != NULL) {
        (void)BIO_meth_set_read(m, bio_read);
        (void)BIO_meth_set_write(m, bio_write);
        (void)BIO_meth_set_ctrl(m, bio_ctrl);
        (void)BIO_meth_set_create(m, bio_create);
    }
    return m;
}
