/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A handshake lets the library see one record at a time, and looks at each before it does:
 *
 *   epoch 0   ClientKeyExchange with a PSK suite   wait for the owner's key first
 *             ClientHello again                    repeat our flight, the library never sees it
 *             anything else                        to the library
 *   epoch 1   no keys yet                          kept aside until there are
 *             opened by us (on a copy), so that only authentic records get further:
 *             Finished                             ask the owner about certificate or ticket first
 *             alert                                ends the handshake
 *             application data                     kept for the association, unopened
 *
 * When the library says that the handshake is complete, keys, sequences and window move into a
 * struct dtls_assoc; whatever stands behind the Finished goes there too.
 */
#include "coap/dtls_handshake.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509.h>

#include "base/text.h"
#include "coap/dtls_handshake_priv.h"

#define MASTER_LEN         48
#define RANDOM_LEN         32
#define TIMEOUT_DEFAULT_MS 2000
#define TIMEOUT_MAX_MS     60000
#define TRIES_DEFAULT      4
#define REPEAT_MS          1000
#define EARLY_MAX          2048
#define LOOK_MAX           2048 /* the longest epoch-1 record that we open during a handshake */

void dtls_hs_fail(struct dtls_handshake *hs, dr_err_t err)
{
    hs->state = DTLS_HS_FAILED;
    hs->err = err;
    hs->deadline_ms = UINT64_MAX;
}

void dtls_hs_refuse(struct dtls_handshake *hs, struct dtls_crypto *c, uint8_t alert, dr_err_t err)
{
    dtls_flight_alert(hs, c, alert);
    dtls_hs_fail(hs, err);
}

const SSL_CIPHER *dtls_hs_cipher(const struct dtls_handshake *hs)
{
    const SSL_CIPHER *pending = SSL_get_pending_cipher(hs->ssl);

    return pending != NULL ? pending : SSL_get_current_cipher(hs->ssl);
}

static enum dtls_suite suite_of(const SSL_CIPHER *cipher)
{
    switch (SSL_CIPHER_get_protocol_id(cipher)) {
    case 0xc0a8:
    case 0xc0ae:
        return DTLS_AES128_CCM8;
    case 0xc0a4:
    case 0xc0ac:
        return DTLS_AES128_CCM;
    case 0x00a8:
    case 0xc02b:
        return DTLS_AES128_GCM;
    case 0x00a9:
    case 0xc02c:
        return DTLS_AES256_GCM;
    default:
        return DTLS_SUITE_NONE;
    }
}

/* Key block of an AEAD suite: client key, server key, client salt, server salt. spec: RFC5246#6.3
 */
static bool key_block_put(struct dtls_assoc *a, bool client, const uint8_t *block)
{
    size_t n = dtls_suite_key_len((enum dtls_suite)a->suite);
    const uint8_t *salts = block + 2 * n;

    memcpy(client ? a->tx_key : a->rx_key, block, n);
    memcpy(client ? a->rx_key : a->tx_key, block + n, n);
    memcpy(client ? a->tx_salt : a->rx_salt, salts, DTLS_SALT_LEN);
    memcpy(client ? a->rx_salt : a->tx_salt, salts + DTLS_SALT_LEN, DTLS_SALT_LEN);
    return true;
}

/* False while the library does not know the master secret (or does not support taking over). */
bool dtls_hs_keys(struct dtls_handshake *hs, struct dtls_crypto *c)
{
    const SSL_CIPHER *cipher = dtls_hs_cipher(hs);
    const SSL_SESSION *session = SSL_get_session(hs->ssl);
    if (hs->has_keys || cipher == NULL || session == NULL) {
        return hs->has_keys;
    }
    enum dtls_suite suite = suite_of(cipher);
    uint8_t master[MASTER_LEN], seed[2 * RANDOM_LEN], block[2 * (DTLS_KEY_MAX + DTLS_SALT_LEN)];
    const EVP_MD *md = SSL_CIPHER_get_handshake_digest(cipher);
    bool ok =
        suite != DTLS_SUITE_NONE && md != NULL &&
        SSL_SESSION_get_master_key(session, master, sizeof master) == MASTER_LEN &&
        SSL_get_server_random(hs->ssl, seed, RANDOM_LEN) == RANDOM_LEN &&
        SSL_get_client_random(hs->ssl, seed + RANDOM_LEN, RANDOM_LEN) == RANDOM_LEN &&
        dtls_prf(c, EVP_MD_get0_name(md), master, sizeof master, "key expansion", seed, sizeof seed,
                 block, 2 * (dtls_suite_key_len(suite) + DTLS_SALT_LEN)) == DR_OK;
    if (ok) {
        hs->assoc.suite = (uint8_t)suite;
        hs->has_keys = key_block_put(&hs->assoc, hs->client, block);
    }
    dr_wipe(master, sizeof master);
    dr_wipe(block, sizeof block);
    return hs->has_keys;
}

/* ---- the library's turn ---- */

static void hs_complete(struct dtls_handshake *hs, struct dtls_crypto *c, bool wrote)
{
    hs->resumed = SSL_session_reused(hs->ssl) == 1;
    if (!dtls_hs_keys(hs, c) || !hs->tx1) {
        dtls_hs_refuse(hs, c, DTLS_ALERT_INTERNAL_ERROR, DR_ERR_INTERNAL);
        return;
    }
    /* the side that spoke last must be able to repeat itself */
    if (wrote && dtls_flight_keep(hs) != DR_OK) {
        dtls_hs_refuse(hs, c, DTLS_ALERT_INTERNAL_ERROR, DR_ERR_NOMEM);
        return;
    }
    hs->assoc.flags = hs->client ? DTLS_ASSOC_CLIENT : 0;
    hs->state = DTLS_HS_DONE;
    hs->deadline_ms = UINT64_MAX;
}

static void ssl_run(struct dtls_handshake *hs, struct dtls_crypto *c, const uint8_t *record,
                    size_t len, uint64_t now_ms)
{
    hs->pipe.feed = record;
    hs->pipe.feed_len = len;
    ERR_clear_error();
    int rc = SSL_do_handshake(hs->ssl);
    int why = rc == 1 ? SSL_ERROR_NONE : SSL_get_error(hs->ssl, rc);
    hs->pipe.feed = NULL;
    hs->pipe.feed_len = 0;
    bool wrote = hs->pipe.raw.len != 0;
    dr_err_t err = dtls_flight_collect(hs, now_ms);
    if (err != DR_OK) {
        dtls_hs_fail(hs, err);
    } else if (rc == 1) {
        hs_complete(hs, c, wrote);
    } else if (why != SSL_ERROR_WANT_READ) {
        dtls_hs_fail(hs, dtls_ssl_error(hs->ssl));
    }
    ERR_clear_error();
}

/* ---- what comes in ---- */

static enum dtls_verdict authentic_look(struct dtls_handshake *hs, struct dtls_crypto *c,
                                        const struct dtls_record *rec, const uint8_t *plain,
                                        size_t len)
{
    if (rec->type == DTLS_TYPE_ALERT) {
        if (len == 2 && (plain[0] != 1 || plain[1] == DTLS_ALERT_CLOSE_NOTIFY)) {
            dtls_hs_fail(hs, plain[1] == DTLS_ALERT_DECRYPT_ERROR ? DR_ERR_AUTH : DR_ERR_RESET);
            return DTLS_OVER;
        }
        return DTLS_DROP;
    }
    if (!hs->client && len != 0 && plain[0] == DTLS_MSG_FINISHED) {
        return dtls_owner_finished(hs, c);
    }
    return DTLS_FEED;
}

static enum dtls_verdict epoch1_look(struct dtls_handshake *hs, struct dtls_crypto *c,
                                     const struct dtls_record *rec)
{
    if (rec->type == DTLS_TYPE_DATA) {
        return DTLS_LATER;
    }
    if (rec->epoch != 1 || rec->type == DTLS_TYPE_CCS || rec->whole_len > LOOK_MAX) {
        return DTLS_DROP;
    }
    if (!dtls_hs_keys(hs, c)) {
        return DTLS_ASIDE;
    }
    if (!dtls_window_is_new(&hs->assoc.window, rec->seq)) {
        return DTLS_DROP;
    }
    uint8_t copy[LOOK_MAX];
    memcpy(copy, rec->whole, rec->whole_len);
    struct dtls_record r = *rec;
    r.whole = copy;
    r.body = copy + DTLS_HEADER_LEN;
    struct dtls_key k = {.suite = (enum dtls_suite)hs->assoc.suite,
                         .key = hs->assoc.rx_key,
                         .salt = hs->assoc.rx_salt};
    uint8_t *plain;
    size_t len;
    if (dtls_record_open(c, &k, &r, &plain, &len) != DR_OK) {
        if (!hs->client && rec->type == DTLS_TYPE_HANDSHAKE) {
            /* a wrong key, most likely; spec: RFC4279#2 */
            dtls_hs_refuse(hs, c, DTLS_ALERT_DECRYPT_ERROR, DR_ERR_AUTH);
            return DTLS_OVER;
        }
        return DTLS_DROP;
    }
    enum dtls_verdict v = authentic_look(hs, c, rec, plain, len);
    if (v != DTLS_WAIT) {
        (void)dtls_window_mark(&hs->assoc.window, rec->seq);
    }
    dr_wipe(copy, sizeof copy);
    return v;
}

static enum dtls_verdict look(struct dtls_handshake *hs, struct dtls_crypto *c,
                              const struct dtls_record *rec, uint64_t now_ms)
{
    if (hs->state == DTLS_HS_DONE) {
        return DTLS_LATER;
    }
    if (rec->epoch != 0) {
        return epoch1_look(hs, c, rec);
    }
    if (rec->type == DTLS_TYPE_DATA) {
        return DTLS_DROP;
    }
    if (rec->type == DTLS_TYPE_HANDSHAKE && !hs->client) {
        return dtls_owner_epoch0(hs, c, rec, now_ms);
    }
    return DTLS_FEED;
}

static void early_back(struct dtls_handshake *hs, struct dtls_crypto *c)
{
    if (hs->early.len != 0 && hs->state == DTLS_HS_RUNNING && dtls_hs_keys(hs, c)) {
        if (hs->in.len + hs->early.len <= hs->in.max) {
            dr_dynbuf_append(&hs->in, hs->early.p, hs->early.len);
        }
        dr_dynbuf_reset(&hs->early);
    }
}

/* Records that find no room are dropped; the peer repeats them. */
static void keep(struct dr_dynbuf *b, const struct dtls_record *rec)
{
    if (b->len + rec->whole_len <= b->max) {
        dr_dynbuf_append(b, rec->whole, rec->whole_len);
    }
}

static void hs_pump(struct dtls_handshake *hs, struct dtls_crypto *c, uint64_t now_ms)
{
    size_t off = 0;
    struct dtls_record rec;
    enum dtls_verdict v = DTLS_DROP;

    while ((hs->state == DTLS_HS_RUNNING || hs->state == DTLS_HS_DONE) &&
           dtls_record_next(hs->in.p, hs->in.len, &off, &rec)) {
        v = look(hs, c, &rec, now_ms);
        switch (v) {
        case DTLS_FEED:
            ssl_run(hs, c, rec.whole, rec.whole_len, now_ms);
            early_back(hs, c);
            break;
        case DTLS_ASIDE:
            keep(&hs->early, &rec);
            break;
        case DTLS_LATER:
            keep(&hs->leftover, &rec);
            break;
        case DTLS_WAIT:
            off -= rec.whole_len;
            break;
        default:
            break;
        }
    }
    dr_dynbuf_consume(&hs->in, off);
}

void dtls_handshake_input(struct dtls_handshake *hs, const uint8_t *datagram, size_t len)
{
    dr_assert(hs != NULL);
    if (hs->in.len + len <= hs->in.max && hs->state != DTLS_HS_FAILED && len != 0) {
        struct dtls_record rec;
        size_t off = 0, at = hs->in.len;
        dr_dynbuf_append(&hs->in, datagram, len);
        if (dr_dynbuf_err(&hs->in) != DR_OK) {
            dr_dynbuf_reset(&hs->in);
            return;
        }
        /* whole records only, so that the next datagram starts at a header */
        while (dtls_record_next(hs->in.p + at, len, &off, &rec)) {
        }
        dr_dynbuf_truncate(&hs->in, at + off);
    }
}

enum dtls_hs_state dtls_handshake_step(struct dtls_handshake *hs, struct dtls_crypto *c,
                                       uint64_t now_ms)
{
    dr_assert(hs != NULL && c != NULL);
    if (hs->state == DTLS_HS_RUNNING) {
        dtls_owner_answered(hs, c);
    }
    hs_pump(hs, c, now_ms);
    return hs->state;
}

enum dtls_hs_state dtls_handshake_expire(struct dtls_handshake *hs, struct dtls_crypto *c,
                                         uint64_t now_ms)
{
    dr_assert(hs != NULL && c != NULL);
    if (now_ms < hs->deadline_ms) {
        return hs->state;
    }
    if (hs->tries_left == 0) {
        dr_dynbuf_reset(&hs->flight);
        dtls_hs_fail(hs, DR_ERR_TIMEOUT);
        return hs->state;
    }
    hs->tries_left--;
    hs->timeout_ms = hs->timeout_ms * 2 < TIMEOUT_MAX_MS ? hs->timeout_ms * 2 : TIMEOUT_MAX_MS;
    hs->deadline_ms = now_ms + hs->timeout_ms;
    /* while the owner is asked the ball is in our own court */
    if (hs->state == DTLS_HS_RUNNING) {
        dr_err_t err = dtls_flight_repeat(hs, c, now_ms);
        if (err != DR_OK) {
            dtls_hs_fail(hs, err);
        }
    }
    return hs->state;
}

/* ---- begin and end ---- */

static dr_err_t hs_new(const struct dtls_handshake_config *config, bool psk, uint64_t now_ms,
                       struct dtls_handshake **ret)
{
    SSL_CTX *ctx = dtls_security_ctx(config->security, psk);
    if (ctx == NULL) {
        return DR_ERR_INVAL;
    }
    struct dtls_handshake *hs = calloc(1, sizeof *hs);
    if (hs == NULL) {
        return DR_ERR_NOMEM;
    }
    hs->sec = cx_security_ref((struct cx_security *)(uintptr_t)config->security);
    hs->client = dtls_security_is_client(hs->sec);
    hs->mtu = config->mtu != 0 ? config->mtu : DTLS_MTU_DEFAULT;
    hs->mtu = hs->mtu < DTLS_HS_MTU_MIN ? DTLS_HS_MTU_MIN : hs->mtu;
    hs->wall_ms = config->wall_ms;
    hs->first_timeout_ms = TIMEOUT_DEFAULT_MS;
    hs->tries_max = TRIES_DEFAULT;
    if (config->timing != NULL && config->timing->ack_timeout_ms != 0) {
        hs->first_timeout_ms = config->timing->ack_timeout_ms;
        hs->tries_max = config->timing->retransmit_max;
    }
    hs->timeout_ms = hs->first_timeout_ms;
    hs->tries_left = hs->tries_max;
    hs->deadline_ms = now_ms + hs->timeout_ms;
    hs->sent_ms = now_ms;
    hs->claim.id.name = hs->claim.name;
    hs->ticket.id.name = hs->ticket.name;
    dr_dynbuf_init(&hs->in, DTLS_HS_HELD_MAX);
    dr_dynbuf_init(&hs->early, EARLY_MAX);
    dr_dynbuf_init(&hs->leftover, DTLS_HS_HELD_MAX);
    dr_dynbuf_init(&hs->pipe.raw, DTLS_HS_OUT_MAX);
    dr_dynbuf_init(&hs->flight, DTLS_HS_OUT_MAX);

    hs->ssl = SSL_new(ctx);
    BIO *bio = BIO_new(dtls_security_bio(hs->sec));
    if (hs->ssl == NULL || bio == NULL || SSL_set_app_data(hs->ssl, hs) != 1) {
        BIO_free(bio);
        dtls_handshake_free(hs);
        ERR_clear_error();
        return DR_ERR_NOMEM;
    }
    BIO_set_data(bio, &hs->pipe);
    SSL_set_bio(hs->ssl, bio, bio);
    (void)SSL_set_mtu(hs->ssl, hs->mtu);
    X509_VERIFY_PARAM_set_time(SSL_get0_param(hs->ssl), (time_t)(hs->wall_ms / 1000));
    DTLS_set_timer_cb(hs->ssl, dtls_timer_never);
    *ret = hs;
    return DR_OK;
}

dr_err_t dtls_handshake_server(const struct dtls_handshake_config *config, struct dtls_crypto *c,
                               const uint8_t *datagram, size_t len, const struct dtls_hello *hello,
                               uint64_t now_ms, struct dtls_handshake **ret)
{
    dr_assert(config != NULL && c != NULL && datagram != NULL && hello != NULL && ret != NULL);
    dr_assert(!dtls_security_is_client(config->security));
    if (hello->msg_seq != 1) {
        return DR_ERR_UNSUPPORTED; /* the library goes on from one HelloVerifyRequest */
    }
    struct dtls_handshake *hs;
    dr_err_t err = hs_new(config, true, now_ms, &hs);
    if (err != DR_OK) {
        return err;
    }
    memcpy(hs->client_random, hello->random, RANDOM_LEN);
    hs->heavy = !hello->has_psk;
    SSL_set_accept_state(hs->ssl);
    dtls_handshake_input(hs, datagram, len);
    BIO_ADDR *nobody = BIO_ADDR_new();
    struct dtls_record rec;
    size_t off = 0;
    if (nobody == NULL || !dtls_record_next(hs->in.p, hs->in.len, &off, &rec)) {
        BIO_ADDR_free(nobody);
        dtls_handshake_free(hs);
        return DR_ERR_NOMEM;
    }
    hs->pipe.feed = rec.whole;
    hs->pipe.feed_len = rec.whole_len;
    ERR_clear_error();
    int rc = DTLSv1_listen(hs->ssl, nobody);
    BIO_ADDR_free(nobody);
    if (rc != 1) {
        dtls_hs_fail(hs, DR_ERR_PROTO);
    } else {
        ssl_run(hs, c, NULL, 0, now_ms);
    }
    ERR_clear_error();
    dr_dynbuf_consume(&hs->in, off);
    hs_pump(hs, c, now_ms);
    *ret = hs;
    return DR_OK;
}

static dr_err_t client_resume(struct dtls_handshake *hs, const uint8_t *session, size_t len)
{
    SSL_SESSION *s = d2i_SSL_SESSION(NULL, &session, (long)len);
    bool ok = s != NULL && SSL_set_session(hs->ssl, s) == 1;

    SSL_SESSION_free(s);
    ERR_clear_error();
    return ok ? DR_OK : DR_ERR_INVAL;
}

dr_err_t dtls_handshake_client(const struct dtls_handshake_config *config, struct dtls_crypto *c,
                               uint64_t now_ms, struct dtls_handshake **ret)
{
    dr_assert(config != NULL && c != NULL && ret != NULL);
    dr_assert(dtls_security_is_client(config->security));
    bool psk = config->psk_identity != NULL;
    size_t id_len = psk ? strlen(config->psk_identity) : 0;
    if (psk && (id_len > CX_IDENTITY_MAX || config->psk_key_len == 0 ||
                config->psk_key_len > CX_CRED_KEY_MAX)) {
        return DR_ERR_INVAL;
    }
    struct dtls_handshake *hs;
    dr_err_t err = hs_new(config, psk, now_ms, &hs);
    if (err != DR_OK) {
        return err;
    }
    hs->heavy = !psk;
    if (psk) {
        memcpy(hs->claim.identity, config->psk_identity, id_len + 1);
        memcpy(hs->claim.psk, config->psk_key, config->psk_key_len);
        hs->claim.psk_len = config->psk_key_len;
    }
    if (config->session != NULL && config->session_len != 0) {
        err = client_resume(hs, config->session, config->session_len);
        if (err != DR_OK) {
            dtls_handshake_free(hs);
            return err;
        }
    }
    SSL_set_connect_state(hs->ssl);
    ssl_run(hs, c, NULL, 0, now_ms);
    *ret = hs;
    return DR_OK;
}

struct dtls_handshake *dtls_handshake_free(struct dtls_handshake *hs)
{
    if (hs != NULL) {
        SSL_free(hs->ssl);
        (void)cx_security_unref(hs->sec);
        dr_dynbuf_fini(&hs->in);
        dr_dynbuf_fini(&hs->early);
        dr_dynbuf_fini(&hs->leftover);
        dr_dynbuf_fini(&hs->pipe.raw);
        dr_dynbuf_fini(&hs->flight);
        dtls_assoc_fini(&hs->assoc);
        dtls_claim_fini(&hs->claim);
        dr_wipe(hs, sizeof *hs);
        free(hs);
    }
    return NULL;
}

void dtls_handshake_takeover(struct dtls_handshake *hs, struct dtls_assoc *ret,
                             struct cx_identity *ret_id)
{
    dr_assert(hs != NULL && hs->state == DTLS_HS_DONE && ret != NULL && ret_id != NULL);
    dr_assert(hs->assoc.suite != DTLS_SUITE_NONE);
    *ret = hs->assoc;
    dr_wipe(&hs->assoc, sizeof hs->assoc); /* the flight is the association's now */
    if (hs->client && hs->claim.id.kind == CX_ID_NONE) {
        X509 *leaf = SSL_get0_peer_certificate(hs->ssl);
        if (leaf != NULL) {
            dtls_claim_cn(leaf, hs->claim.name);
            hs->claim.id.kind = CX_ID_CERT;
        }
    }
    hs->claim.id.name = hs->claim.name;
    *ret_id = hs->claim.id;
    SSL_free(hs->ssl);
    hs->ssl = NULL;
}

uint8_t *dtls_handshake_leftover(struct dtls_handshake *hs, size_t *ret_len)
{
    dr_assert(hs != NULL && ret_len != NULL);
    *ret_len = hs->leftover.len;
    return hs->leftover.p;
}

/* ---- small ones ---- */

bool dtls_handshake_is_same_hello(const struct dtls_handshake *hs, const struct dtls_hello *hello)
{
    dr_assert(hs != NULL && hello != NULL);
    return memcmp(hs->client_random, hello->random, RANDOM_LEN) == 0;
}

bool dtls_handshake_is_heavy(const struct dtls_handshake *hs)
{
    dr_assert(hs != NULL);
    return hs->heavy;
}

enum dtls_hs_state dtls_handshake_state(const struct dtls_handshake *hs)
{
    dr_assert(hs != NULL);
    return hs->state;
}

uint64_t dtls_handshake_deadline(const struct dtls_handshake *hs)
{
    dr_assert(hs != NULL);
    return hs->deadline_ms;
}

dr_err_t dtls_handshake_error(const struct dtls_handshake *hs)
{
    dr_assert(hs != NULL);
    return hs->err;
}

bool dtls_handshake_is_resumed(const struct dtls_handshake *hs)
{
    dr_assert(hs != NULL);
    return hs->resumed;
}

const char *dtls_handshake_suite(const struct dtls_handshake *hs)
{
    dr_assert(hs != NULL);
    const SSL_CIPHER *cipher = hs->ssl == NULL ? NULL : dtls_hs_cipher(hs);

    return cipher == NULL ? "" : SSL_CIPHER_get_name(cipher);
}

dr_err_t dtls_handshake_session_export(struct dtls_handshake *hs, uint8_t *buf, size_t cap,
                                       size_t *ret_len)
{
    dr_assert(hs != NULL && hs->ssl != NULL && buf != NULL && ret_len != NULL);
    SSL_SESSION *s = SSL_get_session(hs->ssl);
    if (s == NULL || SSL_SESSION_has_ticket(s) != 1) {
        return DR_ERR_NOT_FOUND;
    }
    int len = i2d_SSL_SESSION(s, NULL);
    if (len <= 0 || (size_t)len > cap) {
        return DR_ERR_NOSPACE;
    }
    uint8_t *p = buf;
    (void)i2d_SSL_SESSION(s, &p);
    *ret_len = (size_t)len;
    return DR_OK;
}
