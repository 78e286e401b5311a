/* SPDX-License-Identifier: Apache-2.0 */
#include "rest/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>

#include "base/loop.h"
#include "base/text.h"

#define UP_SIZE   4096
#define DOWN_SIZE 16384
/* Rounds before other connections get their turn. */
#define STEP_MAX  16

struct rest_tls {
    struct loop *loop;
    SSL *ssl;
    int tcp;
    int plain; /* our end of the pair */
    struct loop_fd tcp_watch, plain_watch;
    void (*closed)(void *data);
    void (*written)(void *data);
    void *data;
    bool ready;      /* handshake done */
    bool peer_eof;   /* nothing more comes from the network */
    bool parser_eof; /* nothing more comes from the parser */
    bool deaf;       /* the parser does not read any more */
    uint32_t tcp_want, plain_want;
    size_t up_off, up_len; /* from the network to the parser */
    size_t down_off, down_len;
    uint64_t taken; /* bytes read from the parser */
    uint64_t left;  /* of these, given to the network */
    uint8_t up[UP_SIZE];
    uint8_t down[DOWN_SIZE];
};

static int alpn_select(SSL *ssl, const unsigned char **out, unsigned char *outlen,
                       const unsigned char *in, unsigned int inlen, void *arg)
{
    static const unsigned char ours[] = "\x08http/1.1";

    (void)ssl;
    (void)arg;
    unsigned char *pick = NULL;
    if (SSL_select_next_proto(&pick, outlen, ours, sizeof ours - 1, in, inlen) !=
        OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_NOACK;
    }
    *out = pick;
    return SSL_TLSEXT_ERR_OK;
}

dr_err_t rest_tls_context(const char *cert, const char *key, SSL_CTX **ret,
                          struct dr_errinfo *reterr)
{
    dr_assert(cert != NULL && key != NULL && ret != NULL);
    ERR_clear_error();
    /* OpenSSL writes to sockets without MSG_NOSIGNAL */
    (void)signal(SIGPIPE, SIG_IGN);
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (ctx == NULL) {
        return DR_ERR_NOMEM;
    }
    const char *what = NULL;
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
        SSL_CTX_use_certificate_chain_file(ctx, cert) != 1) {
        what = cert;
    } else if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1 ||
               SSL_CTX_check_private_key(ctx) != 1) {
        what = key;
    }
    if (what != NULL) {
        unsigned long code = ERR_peek_last_error();
        const char *reason = ERR_reason_error_string(code);
        dr_errinfo_set(reterr, what, 0, "%s", reason == NULL ? "cannot be read" : reason);
        ERR_clear_error();
        SSL_CTX_free(ctx);
        return DR_ERR_CRYPTO;
    }
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                       SSL_OP_CIPHER_SERVER_PREFERENCE |
                                       SSL_OP_IGNORE_UNEXPECTED_EOF);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_alpn_select_cb(ctx, alpn_select, NULL);
    *ret = ctx;
    return DR_OK;
}

static void tls_free(struct rest_tls *tls)
{
    loop_fd_close(&tls->tcp_watch);
    loop_fd_close(&tls->plain_watch);
    SSL_free(tls->ssl);
    if (tls->tcp >= 0) {
        (void)close(tls->tcp);
    }
    if (tls->plain >= 0) {
        (void)close(tls->plain);
    }
    dr_wipe(tls->up, sizeof tls->up);
    dr_wipe(tls->down, sizeof tls->down);
    free(tls);
}

static void tls_end(struct rest_tls *tls)
{
    void (*closed)(void *data) = tls->closed;
    void *data = tls->data;

    tls->closed = NULL;
    closed(data);
    tls_free(tls);
}

/* Result of an SSL call that did not go through: false = the connection is dead. */
static bool ssl_wait(struct rest_tls *tls, int result)
{
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        tls->tcp_want |= LOOP_READ;
        return true;
    case SSL_ERROR_WANT_WRITE:
        tls->tcp_want |= LOOP_WRITE;
        return true;
    default:
        ERR_clear_error();
        return false;
    }
}

static void peer_ended(struct rest_tls *tls)
{
    tls->peer_eof = true;
    (void)shutdown(tls->plain, SHUT_WR);
}

/* Network to parser. false = dead. */
static bool step_up(struct rest_tls *tls, bool *progress)
{
    if (tls->up_len == 0 && !tls->peer_eof && !tls->deaf) {
        ERR_clear_error();
        int n = SSL_read(tls->ssl, tls->up, UP_SIZE);
        if (n > 0) {
            tls->up_off = 0;
            tls->up_len = (size_t)n;
            *progress = true;
        } else if (SSL_get_error(tls->ssl, n) == SSL_ERROR_ZERO_RETURN) {
            peer_ended(tls);
            *progress = true;
        } else if (!ssl_wait(tls, n)) {
            return false;
        }
    }
    if (tls->up_len != 0) {
        ssize_t n = send(tls->plain, tls->up + tls->up_off, tls->up_len, MSG_NOSIGNAL);
        if (n > 0) {
            tls->up_off += (size_t)n;
            tls->up_len -= (size_t)n;
            *progress = true;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            tls->plain_want |= LOOP_WRITE;
        } else {
            tls->deaf = true; /* it answers without reading on */
            tls->up_len = 0;
        }
    }
    return true;
}

/* Parser to network. false = dead. */
static bool step_down(struct rest_tls *tls, bool *progress)
{
    if (tls->down_len == 0 && !tls->parser_eof) {
        ssize_t n = recv(tls->plain, tls->down, DOWN_SIZE, 0);
        if (n > 0) {
            tls->down_off = 0;
            tls->down_len = (size_t)n;
            tls->taken += (size_t)n;
            *progress = true;
        } else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            tls->plain_want |= LOOP_READ;
        } else {
            tls->parser_eof = true;
        }
    }
    if (tls->down_len != 0) {
        ERR_clear_error();
        int n = SSL_write(tls->ssl, tls->down + tls->down_off, (int)tls->down_len);
        if (n > 0) {
            tls->down_off += (size_t)n;
            tls->down_len -= (size_t)n;
            tls->left += (size_t)n;
            *progress = true;
        } else if (!ssl_wait(tls, n)) {
            return false;
        }
    }
    return true;
}

static bool handshake(struct rest_tls *tls)
{
    ERR_clear_error();
    int n = SSL_accept(tls->ssl);
    if (n == 1) {
        tls->ready = true;
        return true;
    }
    return ssl_wait(tls, n);
}

/* false = over. */
static bool step(struct rest_tls *tls)
{
    tls->tcp_want = 0;
    tls->plain_want = 0;
    if (!tls->ready && !handshake(tls)) {
        return false;
    }
    bool progress = tls->ready;
    for (int i = 0; progress && i < STEP_MAX; i++) {
        progress = false;
        if (!step_up(tls, &progress) || !step_down(tls, &progress)) {
            return false;
        }
    }
    if (progress) { /* more to do: come back in the next turn */
        tls->tcp_want |= LOOP_WRITE;
    }
    if (tls->parser_eof && tls->down_len == 0) {
        ERR_clear_error();
        (void)SSL_shutdown(tls->ssl);
        (void)shutdown(tls->tcp, SHUT_WR);
        return false;
    }
    return true;
}

static void run(struct rest_tls *tls)
{
    uint64_t before = tls->left;
    bool alive = step(tls);

    if (tls->left != before && tls->written != NULL) {
        tls->written(tls->data);
    }
    if (!alive || loop_fd_set(&tls->tcp_watch, tls->tcp_want) != DR_OK ||
        loop_fd_set(&tls->plain_watch, tls->plain_want) != DR_OK) {
        tls_end(tls);
    }
}

static void tcp_ready(struct loop_fd *w, uint32_t events)
{
    (void)events;
    run(DR_CONTAINER_OF(w, struct rest_tls, tcp_watch));
}

static void plain_ready(struct loop_fd *w, uint32_t events)
{
    (void)events;
    run(DR_CONTAINER_OF(w, struct rest_tls, plain_watch));
}

dr_err_t rest_tls_start(struct loop *loop, SSL_CTX *ctx, int tcp, void (*closed)(void *data),
                        void *data, struct rest_tls **ret, int *ret_plain)
{
    dr_assert(loop != NULL && ctx != NULL && closed != NULL && ret != NULL && ret_plain != NULL);
    int pair[2];
    struct rest_tls *tls = calloc(1, sizeof *tls);
    if (tls == NULL) {
        return DR_ERR_NOMEM;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0) {
        free(tls);
        return DR_ERR_LIMIT;
    }
    tls->loop = loop;
    tls->closed = closed;
    tls->data = data;
    tls->tcp = -1; /* the caller's until all went well */
    tls->plain = pair[0];
    tls->ssl = SSL_new(ctx);
    if (tls->ssl == NULL || SSL_set_fd(tls->ssl, tcp) != 1 ||
        loop_fd_open(loop, &tls->tcp_watch, tcp, tcp_ready) != DR_OK ||
        loop_fd_open(loop, &tls->plain_watch, tls->plain, plain_ready) != DR_OK ||
        loop_fd_set(&tls->tcp_watch, LOOP_READ) != DR_OK) {
        tls_free(tls);
        (void)close(pair[1]);
        return DR_ERR_NOMEM;
    }
    tls->tcp = tcp;
    *ret = tls;
    *ret_plain = pair[1];
    return DR_OK;
}

bool rest_tls_ready(const struct rest_tls *tls)
{
    dr_assert(tls != NULL);
    return tls->ready;
}

uint64_t rest_tls_mark(const struct rest_tls *tls)
{
    dr_assert(tls != NULL);
    int waiting = 0;

    (void)ioctl(tls->plain, FIONREAD, &waiting);
    return tls->taken + (waiting > 0 ? (uint64_t)waiting : 0);
}

uint64_t rest_tls_written(const struct rest_tls *tls)
{
    dr_assert(tls != NULL);
    return tls->left;
}

void rest_tls_on_written(struct rest_tls *tls, void (*written)(void *data))
{
    dr_assert(tls != NULL);
    tls->written = written;
}

void rest_tls_kill(struct rest_tls *tls)
{
    if (tls != NULL) {
        tls_free(tls);
    }
}
