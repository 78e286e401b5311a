/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the library calls during a handshake: PSK and cookie callbacks, which only read what is
 * known already, and those for tickets.
 */
#include "coap/dtls_handshake_priv.h"

/* The library's timer never fires: repetition is ours (dtls_flight.c), on the caller's clock. */
#define NEVER_US 4000000000U

static unsigned int psk_server(SSL *ssl, const char *identity, unsigned char *psk, unsigned int cap)
{
    const struct dtls_handshake *hs = SSL_get_app_data(ssl);

    return dtls_claim_key_server(&hs->claim, identity, psk, cap);
}

static unsigned int psk_client(SSL *ssl, const char *hint, char *identity, unsigned int cap,
                               unsigned char *psk, unsigned int psk_cap)
{
    const struct dtls_handshake *hs = SSL_get_app_data(ssl);

    (void)hint;
    return dtls_claim_key_client(&hs->claim, identity, cap, psk, psk_cap);
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

    (void)arg;
    return dtls_claim_store(&hs->claim, SSL_get_session(ssl));
}

static SSL_TICKET_RETURN ticket_read(SSL *ssl, SSL_SESSION *session, const unsigned char *key_name,
                                     size_t key_name_len, SSL_TICKET_STATUS status, void *arg)
{
    struct dtls_handshake *hs = SSL_get_app_data(ssl);

    (void)key_name;
    (void)key_name_len;
    (void)arg;
    if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW) {
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    }
    if (!dtls_claim_load(&hs->claim, session, &hs->ticket)) {
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
