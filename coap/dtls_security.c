/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/dtls_security.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/clock.h"
#include "base/rand.h"
#include "base/text.h"
#include "coap/dtls_handshake_priv.h"
#include "coap/tls_conn_priv.h"

/* AEAD only, the cheap ones first: the server's order decides. spec: RFC7925#4.2, RFC7925#4.4 */
#define PSK_SUITES "PSK-AES128-CCM8:PSK-AES128-CCM:PSK-AES128-GCM-SHA256:PSK-AES256-GCM-SHA384"
#define CERT_SUITES                                                                                \
    "ECDHE-ECDSA-AES128-CCM8:ECDHE-ECDSA-AES128-CCM:ECDHE-ECDSA-AES128-GCM-SHA256:"                \
    "ECDHE-ECDSA-AES256-GCM-SHA384"
/* Over TLS (RFC 8323 and Pelion clients); the order is the server's too. */
#define TLS_PSK_SUITES "PSK-AES128-CCM8:PSK-AES128-GCM-SHA256:PSK-AES256-GCM-SHA384"
#define TLS_CERT_SUITES                                                                            \
    "ECDHE-ECDSA-AES128-CCM8:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384"
#define TICKET_LIFETIME_S (7 * 86400)
#define CHAIN_BYTES_MAX   16384
#define CHAIN_DEPTH_MAX   4
#define TICKET_KEYS_LEN   80 /* name 16, HMAC key 32, AES key 32 */

struct anchor {
    X509 *cert;
    uint64_t tag;
};

struct cx_security {
    atomic_uint refs;
    bool client;
    SSL_CTX *psk;                /* client: PSK suites; server: everything */
    SSL_CTX *cert;               /* client with a certificate */
    SSL_CTX *tls_psk, *tls_cert; /* the same for TLS */
    BIO_METHOD *bio;
    uint8_t cookie_key[32];
    size_t n_anchors;
    struct anchor *anchors;
    bool has_trust;
    struct cx_trust trust;
};

static bool is_zero(const uint8_t *p, size_t len)
{
    uint8_t any = 0;

    for (size_t i = 0; i < len; i++) {
        any |= p[i];
    }
    return any == 0;
}

static dr_err_t refuse(struct dr_errinfo *reterr, const char *field, const char *why)
{
    ERR_clear_error();
    dr_errinfo_set(reterr, field, 0, "%s", why);
    return DR_ERR_INVAL;
}

static dr_err_t ctx_use_chain(SSL_CTX *ctx, const char *pem, struct dr_errinfo *reterr)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *leaf = bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, NULL, NULL);
    bool ok = leaf != NULL && SSL_CTX_use_certificate(ctx, leaf) == 1;

    X509_free(leaf);
    while (ok) {
        X509 *ca = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        if (ca == NULL) {
            ok = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
            break;
        }
        ok = SSL_CTX_add0_chain_cert(ctx, ca) == 1;
        if (!ok) {
            X509_free(ca);
        }
    }
    BIO_free(bio);
    ERR_clear_error();
    return ok ? DR_OK : refuse(reterr, "certificate", "is no chain of PEM certificates");
}

static dr_err_t ctx_use_key(SSL_CTX *ctx, const char *pem, struct dr_errinfo *reterr)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    char group[32] = "";
    dr_err_t err = DR_OK;

    if (key == NULL) {
        err = refuse(reterr, "key", "is no private key in PEM");
    } else if (EVP_PKEY_get_group_name(key, group, sizeof group, NULL) != 1 ||
               (strcmp(group, "prime256v1") != 0 && strcmp(group, "P-256") != 0)) {
        err = refuse(reterr, "key", "is not on the curve P-256");
    } else if (SSL_CTX_use_PrivateKey(ctx, key) != 1 || SSL_CTX_check_private_key(ctx) != 1) {
        err = refuse(reterr, "key", "does not belong to the certificate");
    }
    EVP_PKEY_free(key);
    BIO_free(bio);
    return err;
}

static dr_err_t ctx_use_anchors(const struct cx_security *s, SSL_CTX *ctx)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);

    for (size_t i = 0; i < s->n_anchors; i++) {
        if (X509_STORE_add_cert(store, s->anchors[i].cert) != 1) {
            return DR_ERR_NOMEM;
        }
    }
    /* an anchor may be an intermediate authority */
    return X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) == 1 ? DR_OK : DR_ERR_NOMEM;
}

/* ---- trust that is asked ---- */

/* The tag of a connection, found by the verify callback, is freed with its SSL. */
static void tag_free(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
    (void)parent;
    (void)ad;
    (void)idx;
    (void)argl;
    (void)argp;
    OPENSSL_free(ptr);
}

/* The library hands out such a number once in a process. */
static int tag_slot;

static void tag_slot_make(void)
{
    tag_slot = SSL_get_ex_new_index(0, NULL, NULL, NULL, tag_free);
}

static int tag_index(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, tag_slot_make);
    return tag_slot;
}

static dr_err_t trust_ask(const struct cx_security *s, STACK_OF(X509) * sent, int64_t wall_ms,
                          uint64_t *ret_tag)
{
    struct dr_bytes chain[CHAIN_DEPTH_MAX + 2] = {0};
    uint8_t *ders[CHAIN_DEPTH_MAX + 2] = {0};
    int n = sent == NULL ? 0 : sk_X509_num(sent);
    dr_err_t err = n == 0 || n > (int)DR_ARRAY_LEN(chain) ? DR_ERR_PROTO : DR_OK;

    for (int i = 0; i < n && err == DR_OK; i++) {
        int len = i2d_X509(sk_X509_value(sent, i), &ders[i]);
        err = len > 0 ? DR_OK : DR_ERR_NOMEM;
        chain[i] = dr_bytes_of(ders[i], len > 0 ? (size_t)len : 0);
    }
    err = err == DR_OK ? s->trust.verify(s->trust.data, chain, (size_t)n, wall_ms, ret_tag) : err;
    for (size_t i = 0; i < DR_ARRAY_LEN(ders); i++) {
        OPENSSL_free(ders[i]);
    }
    return err;
}

static int trust_verify(X509_STORE_CTX *ctx, void *arg)
{
    const struct cx_security *s = arg;
    SSL *ssl = X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
    bool has_time = (X509_VERIFY_PARAM_get_flags(param) & X509_V_FLAG_USE_CHECK_TIME) != 0;
    int64_t wall_ms = has_time ? (int64_t)X509_VERIFY_PARAM_get_time(param) * 1000 : dr_wall_ms();
    uint64_t *tag = OPENSSL_zalloc(sizeof *tag);

    if (tag == NULL || trust_ask(s, X509_STORE_CTX_get0_untrusted(ctx), wall_ms, tag) != DR_OK) {
        OPENSSL_free(tag);
        X509_STORE_CTX_set_error(ctx, X509_V_ERR_CERT_UNTRUSTED);
        return 0;
    }
    OPENSSL_free(SSL_get_ex_data(ssl, tag_index()));
    if (SSL_set_ex_data(ssl, tag_index(), tag) != 1) {
        OPENSSL_free(tag);
        X509_STORE_CTX_set_error(ctx, X509_V_ERR_OUT_OF_MEM);
        return 0;
    }
    X509_STORE_CTX_set_error(ctx, X509_V_OK);
    return 1;
}

/* 80 bytes in the form that the library wants from the 48 of the configuration. */
static bool ctx_use_tickets(SSL_CTX *ctx, const uint8_t key[48])
{
    uint8_t out[96];
    bool ok = true;

    for (uint8_t i = 0; i < 3 && ok; i++) {
        const uint8_t label[] = {'d', 't', 'l', 's', ' ', 't', 'i', 'c', 'k', 'e', 't', i};
        size_t n = 0;
        /* 16 bytes of the first for the name, then two keys of 32 */
        ok = EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key, 48, label, sizeof label,
                       out + (i == 0 ? 0 : 16 + 32 * (i - 1)), 32, &n) != NULL;
    }
    ok = ok && SSL_CTX_set_tlsext_ticket_keys(ctx, out, TICKET_KEYS_LEN) == 1;
    dr_wipe(out, sizeof out);
    return ok;
}

/* What a context is for. */
struct ctx_kind {
    SSL_CTX **ret; /* freed with the rest on error */
    const char *suites;
    bool psk, cert, stream;
};

/* Sessions by id, in one cache for all shards: Pelion clients ask for tickets but keep none. Only
 * here may a client renegotiate: one whose clock was wrong does so at once. */
static bool ctx_set_stream(const struct cx_security *s, SSL_CTX *ctx)
{
    uint64_t options = SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_TICKET;

    options |= s->client ? SSL_OP_NO_RENEGOTIATION
                         : SSL_OP_ALLOW_CLIENT_RENEGOTIATION |
                               SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION;
    SSL_CTX_set_options(ctx, options);
    (void)SSL_CTX_set_session_cache_mode(ctx,
                                         s->client ? SSL_SESS_CACHE_OFF : SSL_SESS_CACHE_SERVER);
    (void)SSL_CTX_sess_set_cache_size(ctx, TLS_SESSIONS_MAX);
    return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION) == 1 &&
           /* what constrained clients take; a buffer is that large */
           SSL_CTX_set_max_send_fragment(ctx, TLS_FRAGMENT_MAX) == 1;
}

static bool ctx_set_datagram(const struct cx_security *s, SSL_CTX *ctx,
                             const struct cx_security_config *config)
{
    bool tickets = s->client || !is_zero(config->ticket_key, sizeof config->ticket_key);
    uint64_t options = SSL_OP_NO_QUERY_MTU | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                       SSL_OP_CIPHER_SERVER_PREFERENCE;
    options |= s->client ? 0 : SSL_OP_COOKIE_EXCHANGE;
    options |= tickets ? 0 : SSL_OP_NO_TICKET;
    SSL_CTX_set_options(ctx, options);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    return SSL_CTX_set_min_proto_version(ctx, DTLS1_2_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(ctx, DTLS1_2_VERSION) == 1 &&
           (s->client || !tickets || ctx_use_tickets(ctx, config->ticket_key));
}

static const SSL_METHOD *method_of(bool client, bool stream)
{
    if (stream) {
        return client ? TLS_client_method() : TLS_server_method();
    }
    return client ? DTLS_client_method() : DTLS_server_method();
}

static dr_err_t ctx_new(const struct cx_security *s, const struct cx_security_config *config,
                        const struct ctx_kind *kind, struct dr_errinfo *reterr)
{
    SSL_CTX *ctx = SSL_CTX_new(method_of(s->client, kind->stream));
    if (ctx == NULL) {
        return DR_ERR_NOMEM;
    }
    *kind->ret = ctx;
    /* level 0: later versions of the library call CCM-8 weak */
    SSL_CTX_set_security_level(ctx, 0);
    long mode = SSL_MODE_RELEASE_BUFFERS | (s->client ? 0 : SSL_MODE_SEND_SERVERHELLO_TIME);
    SSL_CTX_set_mode(ctx, mode);
    SSL_CTX_set_timeout(ctx, TICKET_LIFETIME_S);
    SSL_CTX_set_max_cert_list(ctx, CHAIN_BYTES_MAX);
    SSL_CTX_set_verify_depth(ctx, CHAIN_DEPTH_MAX);
    static const uint8_t context[] = "drover";
    bool ok = SSL_CTX_set_cipher_list(ctx, kind->suites) == 1 &&
              SSL_CTX_set1_groups_list(ctx, "P-256") == 1 &&
              SSL_CTX_set_session_id_context(ctx, context, sizeof context - 1) == 1 &&
              (kind->stream ? ctx_set_stream(s, ctx) : ctx_set_datagram(s, ctx, config));
    if (!ok) {
        ERR_clear_error();
        return DR_ERR_UNSUPPORTED;
    }
    if (kind->stream) {
        tls_hooks_install(ctx, s->client, kind->psk);
    } else {
        dtls_hooks_install(ctx, s->client, kind->psk);
    }
    if (!kind->cert) {
        return DR_OK;
    }
    /* a server always wants a certificate with these suites; a client checks if it has anchors */
    int verify = !s->client          ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
                 : s->n_anchors != 0 ? SSL_VERIFY_PEER
                                     : SSL_VERIFY_NONE;
    SSL_CTX_set_verify(ctx, verify, NULL);
    dr_err_t err = ctx_use_chain(ctx, config->cert_pem, reterr);
    err = err != DR_OK ? err : ctx_use_key(ctx, config->key_pem, reterr);
    if (err == DR_OK && s->has_trust) {
        SSL_CTX_set_cert_verify_callback(ctx, trust_verify, (void *)s);
        return DR_OK;
    }
    return err != DR_OK ? err : ctx_use_anchors(s, ctx);
}

static dr_err_t anchors_read(struct cx_security *s, const struct cx_security_config *config,
                             struct dr_errinfo *reterr)
{
    if (config->n_anchors == 0) {
        return DR_OK;
    }
    s->anchors = OPENSSL_zalloc(config->n_anchors * sizeof *s->anchors);
    if (s->anchors == NULL) {
        return DR_ERR_NOMEM;
    }
    for (size_t i = 0; i < config->n_anchors; i++) {
        const uint8_t *p = config->anchors[i].der;
        X509 *cert = d2i_X509(NULL, &p, (long)config->anchors[i].len);
        if (cert == NULL || p != config->anchors[i].der + config->anchors[i].len) {
            X509_free(cert);
            (void)refuse(NULL, "", "");
            dr_errinfo_set(reterr, "anchor", (long)i, "is no certificate in DER");
            return DR_ERR_INVAL;
        }
        s->anchors[i] = (struct anchor){.cert = cert, .tag = config->anchors[i].tag};
        s->n_anchors++;
    }
    return DR_OK;
}

static struct cx_security *security_free(struct cx_security *s)
{
    SSL_CTX_free(s->psk);
    SSL_CTX_free(s->cert);
    SSL_CTX_free(s->tls_psk);
    SSL_CTX_free(s->tls_cert);
    BIO_meth_free(s->bio);
    for (size_t i = 0; i < s->n_anchors; i++) {
        X509_free(s->anchors[i].cert);
    }
    OPENSSL_free(s->anchors);
    dr_wipe(s->cookie_key, sizeof s->cookie_key);
    OPENSSL_free(s);
    return NULL;
}

/* A client's two kinds of suites need a context each, since it has to say which it means. */
static dr_err_t ctxs_new(struct cx_security *s, const struct cx_security_config *config,
                         bool stream, struct dr_errinfo *reterr)
{
    bool cert = config->cert_pem != NULL;
    struct ctx_kind psk = {.ret = stream ? &s->tls_psk : &s->psk,
                           .suites = stream ? TLS_PSK_SUITES : PSK_SUITES,
                           .psk = true,
                           .stream = stream};
    const struct ctx_kind with_cert = {.ret = stream ? &s->tls_cert : &s->cert,
                                       .suites = stream ? TLS_CERT_SUITES : CERT_SUITES,
                                       .cert = true,
                                       .stream = stream};

    if (!s->client && cert) {
        psk.cert = true;
        psk.suites = stream ? TLS_PSK_SUITES ":" TLS_CERT_SUITES : PSK_SUITES ":" CERT_SUITES;
    }
    dr_err_t err = ctx_new(s, config, &psk, reterr);
    if (err == DR_OK && s->client && cert) {
        err = ctx_new(s, config, &with_cert, reterr);
    }
    return err;
}

dr_err_t cx_security_new(const struct cx_security_config *config, struct cx_security **ret,
                         struct dr_errinfo *reterr)
{
    dr_assert(config != NULL && ret != NULL);
    bool cert = config->cert_pem != NULL;
    if (cert != (config->key_pem != NULL)) {
        return refuse(reterr, "key", "certificate and key go together");
    }
    if (config->n_anchors > DTLS_ANCHORS_MAX) {
        return refuse(reterr, "anchor", "too many trust anchors");
    }
    struct cx_security *s = OPENSSL_zalloc(sizeof *s);
    if (s == NULL) {
        return DR_ERR_NOMEM;
    }
    atomic_init(&s->refs, 1);
    s->client = config->client;
    if (config->trust != NULL && !s->client) {
        s->has_trust = true;
        s->trust = *config->trust;
    }
    if (is_zero(config->cookie_key, sizeof config->cookie_key)) {
        dr_rand_bytes(s->cookie_key, sizeof s->cookie_key);
    } else {
        memcpy(s->cookie_key, config->cookie_key, sizeof s->cookie_key);
    }
    s->bio = dtls_bio_method_new();
    dr_err_t err = s->bio == NULL ? DR_ERR_NOMEM : anchors_read(s, config, reterr);
    for (int stream = 0; stream < 2 && err == DR_OK; stream++) {
        err = ctxs_new(s, config, stream == 1, reterr);
    }
    if (err != DR_OK) {
        security_free(s);
        return err;
    }
    *ret = s;
    return DR_OK;
}

struct cx_security *cx_security_ref(struct cx_security *s)
{
    dr_assert(s != NULL);
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

struct cx_security *cx_security_unref(struct cx_security *s)
{
    if (s != NULL && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1) {
        security_free(s);
    }
    return NULL;
}

const uint8_t *dtls_security_cookie_key(const struct cx_security *s)
{
    dr_assert(s != NULL);
    return s->cookie_key;
}

bool dtls_security_is_client(const struct cx_security *s)
{
    dr_assert(s != NULL);
    return s->client;
}

SSL_CTX *dtls_security_ctx(const struct cx_security *s, bool psk)
{
    dr_assert(s != NULL);
    return psk || !s->client ? s->psk : s->cert;
}

SSL_CTX *dtls_security_stream_ctx(const struct cx_security *s, bool psk)
{
    dr_assert(s != NULL);
    return psk || !s->client ? s->tls_psk : s->tls_cert;
}

const BIO_METHOD *dtls_security_bio(const struct cx_security *s)
{
    dr_assert(s != NULL);
    return s->bio;
}

dr_err_t dtls_security_peer_tag(const struct cx_security *s, SSL *ssl, uint64_t *ret_tag)
{
    dr_assert(s != NULL && ssl != NULL && ret_tag != NULL);
    if (s->has_trust) {
        const uint64_t *tag = SSL_get_ex_data(ssl, tag_index());
        if (tag == NULL || SSL_get_verify_result(ssl) != X509_V_OK) {
            return DR_ERR_NOT_FOUND;
        }
        *ret_tag = *tag;
        return DR_OK;
    }
    STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
    int n = chain == NULL ? 0 : sk_X509_num(chain);
    for (size_t i = 0; n > 0 && i < s->n_anchors; i++) {
        if (X509_cmp(s->anchors[i].cert, sk_X509_value(chain, n - 1)) == 0) {
            *ret_tag = s->anchors[i].tag;
            return DR_OK;
        }
    }
    return DR_ERR_NOT_FOUND;
}

bool dtls_security_has_tag(const struct cx_security *s, uint64_t tag)
{
    dr_assert(s != NULL);
    if (s->has_trust) {
        return s->trust.known(s->trust.data, tag);
    }
    for (size_t i = 0; i < s->n_anchors; i++) {
        if (s->anchors[i].tag == tag) {
            return true;
        }
    }
    return false;
}
