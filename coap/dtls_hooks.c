/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the library calls during a handshake: a BIO that hands over one record per read, the PSK
 * callbacks, which only read what the owner has answered, and the contents of tickets:
 *
 *   01 | kind 1 | account 8 | credential 8 | version 4 | anchor tag 8 | name 0..128
 *
 * The library encrypts and authenticates it as part of the ticket.
 */
#include <string.h>

#include <openssl/bio.h>
#include <openssl/rand.h>

#include "base/text.h"
#include "coap/dtls_handshake_priv.h"

#define TICKET_FORMAT    2
#define TICKET_FIXED_LEN 38
#define RANDOM_PSK_LEN   16
/* The library's timer never fires: repetition is ours (dtls_flight.c), on the caller's clock. */
#define NEVER_US         4000000000U

static int bio_read(BIO *bio, char *out, int cap)
{
    struct dtls_handshake *hs = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (hs->feed_len == 0 || cap <= 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t n = hs->feed_len < (size_t)cap ? hs->feed_len : (size_t)cap;
    memcpy(out, hs->feed, n);
    hs->feed_len = 0;
    return (int)n;
}

static int bio_write(BIO *bio, const char *in, int len)
{
    struct dtls_handshake *hs = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (len <= 0) {
        return 0;
    }
    dr_dynbuf_append(&hs->raw, in, (size_t)len);
    return dr_dynbuf_err(&hs->raw) == DR_OK ? len : -1;
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
    BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "dtls records");

    if (m != NULL) {
        (void)BIO_meth_set_read(m, bio_read);
        (void)BIO_meth_set_write(m, bio_write);
        (void)BIO_meth_set_ctrl(m, bio_ctrl);
        (void)BIO_meth_set_create(m, bio_create);
    }
    return m;
}

/*
 * spec: RFC4279#2: an identity that nobody knows runs on like one whose key is wrong. The random
 * key is always drawn, so that both take the same time.
 */
static unsigned int psk_server(SSL *ssl, const char *identity, unsigned char *psk, unsigned int cap)
{
    struct dtls_handshake *hs = SSL_get_app_data(ssl);
    unsigned int len = RANDOM_PSK_LEN;

    if (cap < CX_CRED_KEY_MAX || RAND_bytes(psk, RANDOM_PSK_LEN) != 1) {
        return 0;
    }
    if (hs->asked == DTLS_ASKED_YES && identity != NULL && strcmp(identity, hs->identity) == 0) {
        memcpy(psk, hs->psk, hs->psk_len);
        len = (unsigned int)hs->psk_len;
    }
    return len;
}

static unsigned int psk_client(SSL *ssl, const char *hint, char *identity, unsigned int cap,
                               unsigned char *psk, unsigned int psk_cap)
{
    struct dtls_handshake *hs = SSL_get_app_data(ssl);
    size_t len = strlen(hs->identity);

    (void)hint;
    if (len >= cap || hs->psk_len > psk_cap) {
        return 0;
    }
    memcpy(identity, hs->identity, len + 1);
    memcpy(psk, hs->psk, hs->psk_len);
    return (unsigned int)hs->psk_len;
}

/* Our own pre-parse has checked the cookie before there was an SSL. */
static int cookie_verify(SSL *ssl, const unsigned char *cookie, unsigned int len)
{
    (void)ssl;
    (void)cookie;
    return len == DTLS_COOKIE_LEN;
}

static int cookie_generate(SSL *ssl, unsigned char *cookie, unsigned int *len)
{
    (void)ssl;
    (void)cookie;
    (void)len;
    return 0;
}

static int ticket_write(SSL *ssl, void *arg)
{
    const struct dtls_handshake *hs = SSL_get_app_data(ssl);
    uint8_t out[TICKET_FIXED_LEN + CX_IDENTITY_MAX];
    struct dr_wr wr = dr_wr_of(out, sizeof out);

    (void)arg;
    dr_wr_u8(&wr, TICKET_FORMAT);
    dr_wr_u8(&wr, (uint8_t)hs->id.kind);
    dr_wr_u64(&wr, (uint64_t)hs->id.account);
    dr_wr_u64(&wr, (uint64_t)hs->id.credential);
    dr_wr_u32(&wr, hs->id.version);
    dr_wr_u64(&wr, (uint64_t)hs->id.device);
    dr_wr_u64(&wr, hs->tag);
    dr_wr_put_str(&wr, hs->identity); /* the claim: it is asked about again */
    return dr_wr_ok(&wr) &&
           SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), out, dr_wr_len(&wr)) == 1;
}

static bool ticket_parse(struct dtls_handshake *hs, const uint8_t *data, size_t len)
{
    struct dr_rd rd = dr_rd_of(data, len);
    uint8_t format = dr_rd_u8(&rd);
    struct cx_identity id = {.kind = (enum cx_id_kind)dr_rd_u8(&rd)};

    id.account = (int64_t)dr_rd_u64(&rd);
    id.credential = (int64_t)dr_rd_u64(&rd);
    id.version = dr_rd_u32(&rd);
    id.device = (int64_t)dr_rd_u64(&rd);
    uint64_t tag = dr_rd_u64(&rd);
    struct dr_bytes name = dr_rd_rest(&rd);
    if (!dr_rd_ok(&rd) || format != TICKET_FORMAT || name.len > CX_IDENTITY_MAX ||
        (id.kind != CX_ID_PSK && id.kind != CX_ID_CERT)) {
        return false;
    }
    if (name.len != 0) {
        memcpy(hs->ticket_name, name.p, name.len);
    }
    hs->ticket_name[name.len] = '\0';
    id.name = hs->ticket_name;
    hs->ticket_id = id;
    hs->tag = tag;
    return true;
}

static SSL_TICKET_RETURN ticket_read(SSL *ssl, SSL_SESSION *session, const unsigned char *key_name,
                                     size_t key_name_len, SSL_TICKET_STATUS status, void *arg)
{
    struct dtls_handshake *hs = SSL_get_app_data(ssl);
    void *data = NULL;
    size_t len = 0;

    (void)key_name;
    (void)key_name_len;
    (void)arg;
    if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW) {
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    }
    if (SSL_SESSION_get0_ticket_appdata(session, &data, &len) != 1 ||
        !ticket_parse(hs, data, len)) {
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    }
    return SSL_TICKET_RETURN_USE;
}

void dtls_hooks_install(SSL_CTX *ctx, bool client, bool psk)
{
    dr_assert(ctx != NULL);
    if (client) {
        if (psk) {
            SSL_CTX_set_psk_client_callback(ctx, psk_client);
        }
        return;
    }
    if (psk) {
        SSL_CTX_set_psk_server_callback(ctx, psk_server);
    }
    SSL_CTX_set_cookie_verify_cb(ctx, cookie_verify);
    SSL_CTX_set_cookie_generate_cb(ctx, cookie_generate);
    (void)SSL_CTX_set_session_ticket_cb(ctx, ticket_write, ticket_read, NULL);
}

unsigned int dtls_timer_never(SSL *ssl, unsigned int us)
{
    (void)ssl;
    (void)us;
    return NEVER_US;
}
