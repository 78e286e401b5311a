/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the library calls in a TLS connection: the keys of the handshake, ALPN, and what tells us of
 * renegotiations. The session that a renegotiation makes has to remember the peer as the one before
 * did, and before it gets into the cache: so what is remembered is taken along when one begins, and
 * handed over when the library asks whether the new session may be resumed.
 */
#include <string.h>

#include "coap/tls_conn_priv.h"

/* spec: RFC8323#8.2 */
static const uint8_t ALPN[] = {4, 'c', 'o', 'a', 'p'};

static unsigned int psk_server(SSL *ssl, const char *identity, unsigned char *psk, unsigned int cap)
{
    const struct tls_conn *c = SSL_get_app_data(ssl);

    return c->shake != NULL ? dtls_claim_key_server(&c->shake->claim, identity, psk, cap) : 0;
}

static unsigned int psk_client(SSL *ssl, const char *hint, char *identity, unsigned int cap,
                               unsigned char *psk, unsigned int psk_cap)
{
    const struct tls_conn *c = SSL_get_app_data(ssl);

    (void)hint;
    return c->shake != NULL ? dtls_claim_key_client(&c->shake->claim, identity, cap, psk, psk_cap)
                            : 0;
}

static int alpn_select(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                       const unsigned char *in, unsigned int in_len, void *arg)
{
    unsigned char *found = NULL;

    (void)ssl;
    (void)arg;
    if (SSL_select_next_proto(&found, out_len, ALPN, sizeof ALPN, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_NOACK;
    }
    *out = found;
    return SSL_TLSEXT_ERR_OK;
}

static void on_info(const SSL *ssl, int where, int ret)
{
    struct tls_conn *c = SSL_get_app_data(ssl);
    void *data = NULL;
    size_t len = 0;

    (void)ret;
    if ((where & SSL_CB_HANDSHAKE_START) == 0 || c == NULL || c->state != TLS_UP ||
        c->renegotiating) {
        return;
    }
    c->renegotiating = true; /* or it is refused at once */
    dr_dynbuf_reset(&c->kept);
    if (SSL_SESSION_get0_ticket_appdata(SSL_get_session(ssl), &data, &len) == 1) {
        dr_dynbuf_append(&c->kept, data, len);
    }
}

static int session_made(SSL *ssl, int is_forward_secure)
{
    struct tls_conn *c = SSL_get_app_data(ssl);
    SSL_SESSION *session = SSL_get_session(ssl);

    (void)is_forward_secure;
    if (!c->renegotiating) {
        return 0;
    }
    c->renegotiations++;
    return c->kept.len == 0 || session == NULL ||
           SSL_SESSION_set1_ticket_appdata(session, c->kept.p, c->kept.len) != 1;
}

void tls_hooks_install(SSL_CTX *ctx, bool client, bool psk)
{
    dr_assert(ctx != NULL);
    if (client && psk) {
        SSL_CTX_set_psk_client_callback(ctx, psk_client);
    }
    if (client) {
        return;
    }
    if (psk) {
        SSL_CTX_set_psk_server_callback(ctx, psk_server);
    }
    SSL_CTX_set_alpn_select_cb(ctx, alpn_select, NULL);
    SSL_CTX_set_info_callback(ctx, on_info);
    SSL_CTX_set_not_resumable_session_callback(ctx, session_made);
}
