/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whom the owner has to vouch for: the identity of a ClientKeyExchange before the library sees it
 * (it wants the key at once), a certificate or a ticket when the client's Finished is here.
 */
#include <string.h>

#include <openssl/x509.h>

#include "base/text.h"
#include "coap/dtls_handshake_priv.h"

#define REPEAT_MS 1000

/* The identity inside a ClientKeyExchange message; false if it is no sound one. spec: RFC4279#2 */
static bool identity_parse(struct dr_rd *msg, char out[CX_IDENTITY_MAX + 1])
{
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

static void ask_psk(struct dtls_handshake *hs)
{
    hs->asked = DTLS_ASKED_WAIT;
    hs->state = DTLS_HS_ASK_PSK;
}

/* A handshake record on its way to the server: its messages one by one. */
enum dtls_verdict dtls_owner_epoch0(struct dtls_handshake *hs, struct dtls_crypto *c,
                                    const struct dtls_record *rec, uint64_t now_ms)
{
    const SSL_CIPHER *cipher = dtls_hs_cipher(hs);
    bool psk = cipher != NULL && SSL_CIPHER_get_kx_nid(cipher) == NID_kx_psk;
    struct dr_rd rd = dr_rd_of(rec->body, rec->len);

    while (dr_rd_left(&rd) != 0) {
        uint8_t type = dr_rd_u8(&rd);
        uint32_t len = dr_rd_u24(&rd);
        dr_rd_skip(&rd, 2);
        uint32_t frag_off = dr_rd_u24(&rd);
        uint32_t frag_len = dr_rd_u24(&rd);
        struct dr_rd msg = dr_rd_sub(&rd, frag_len);
        if (!dr_rd_ok(&rd)) {
            return DTLS_DROP;
        }
        if (type == DTLS_MSG_CLIENT_HELLO) {
            /* our flight may be lost: repeat it, at most once a second */
            if (now_ms - hs->sent_ms >= REPEAT_MS && dtls_flight_repeat(hs, c, now_ms) != DR_OK) {
                dtls_hs_fail(hs, DR_ERR_NOMEM);
                return DTLS_OVER;
            }
            return DTLS_DROP;
        }
        if (type == DTLS_MSG_CLIENT_KEY_EXCHANGE && psk && hs->asked == DTLS_ASKED_NOTHING) {
            if (frag_off != 0 || frag_len != len) {
                return DTLS_DROP; /* 130 bytes fit any datagram */
            }
            if (!identity_parse(&msg, hs->identity)) {
                hs->asked = DTLS_ASKED_NO;
                return DTLS_FEED;
            }
            ask_psk(hs);
            return DTLS_WAIT;
        }
    }
    return DTLS_FEED;
}

static bool leaf_keep(struct dtls_handshake *hs, X509 *leaf)
{
    uint8_t *der = NULL;
    int len = i2d_X509(leaf, &der);
    if (len <= 0) {
        return false;
    }
    OPENSSL_free(hs->der);
    hs->der = der;
    hs->der_len = (size_t)len;
    return true;
}

/* CN as UTF-8 without NUL inside; an empty string if there is none like that. */
void dtls_owner_cn(X509 *cert, char out[CX_IDENTITY_MAX + 1])
{
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

static dr_err_t chain_look(struct dtls_handshake *hs)
{
    X509 *leaf = SSL_get0_peer_certificate(hs->ssl);
    if (leaf == NULL) {
        return DR_ERR_AUTH;
    }
    if (hs->resumed) {
        /* verified at the first handshake; what may have changed since is asked again */
        time_t now = (time_t)(hs->wall_ms / 1000);
        if (X509_cmp_time(X509_get0_notAfter(leaf), &now) <= 0 ||
            !dtls_security_has_tag(hs->sec, hs->tag)) {
            return DR_ERR_AUTH;
        }
    } else {
        STACK_OF(X509) *chain = SSL_get0_verified_chain(hs->ssl);
        int n = chain == NULL ? 0 : sk_X509_num(chain);
        dr_err_t err = n == 0
                           ? DR_ERR_AUTH
                           : dtls_security_anchor(hs->sec, sk_X509_value(chain, n - 1), &hs->tag);
        if (err != DR_OK) {
            return DR_ERR_AUTH;
        }
    }
    dtls_owner_cn(leaf, hs->identity);
    return leaf_keep(hs, leaf) ? DR_OK : DR_ERR_NOMEM;
}

/* Server, the client's Finished is here and authentic: whom do we still have to ask about? */
enum dtls_verdict dtls_owner_finished(struct dtls_handshake *hs, struct dtls_crypto *c)
{
    hs->resumed = SSL_session_reused(hs->ssl) == 1;
    if (hs->asked == DTLS_ASKED_YES || (hs->asked == DTLS_ASKED_NO && !hs->resumed)) {
        return DTLS_FEED;
    }
    if (hs->resumed && hs->ticket_id.kind == CX_ID_PSK) {
        memcpy(hs->identity, hs->ticket_name, sizeof hs->identity);
        ask_psk(hs);
        return DTLS_WAIT;
    }
    dr_err_t err = chain_look(hs);
    if (err != DR_OK) {
        dtls_hs_refuse(hs, c, DTLS_ALERT_ACCESS_DENIED, err);
        return DTLS_OVER;
    }
    hs->asked = DTLS_ASKED_WAIT;
    hs->state = DTLS_HS_ASK_CERT;
    return DTLS_WAIT;
}

/* The owner's answer, before the library goes on. */
void dtls_owner_answered(struct dtls_handshake *hs, struct dtls_crypto *c)
{
    if (!hs->resumed) {
        if (hs->asked == DTLS_ASKED_NO && dtls_hs_cipher(hs) != NULL &&
            SSL_CIPHER_get_kx_nid(dtls_hs_cipher(hs)) != NID_kx_psk) {
            dtls_hs_refuse(hs, c, DTLS_ALERT_ACCESS_DENIED, DR_ERR_DENIED);
        }
        return;
    }
    const struct cx_identity *t = &hs->ticket_id;
    bool same = hs->asked == DTLS_ASKED_YES && hs->id.account == t->account &&
                hs->id.credential == t->credential && hs->id.version == t->version &&
                hs->id.device == t->device;
    if (!same && hs->asked != DTLS_ASKED_NOTHING) {
        dtls_hs_refuse(hs, c, DTLS_ALERT_ACCESS_DENIED, DR_ERR_DENIED);
    }
}

const char *dtls_handshake_identity(const struct dtls_handshake *hs)
{
    dr_assert(hs != NULL);
    return hs->identity;
}

static void answer(struct dtls_handshake *hs, bool yes, const struct cx_identity *id,
                   enum cx_id_kind kind)
{
    hs->asked = yes ? DTLS_ASKED_YES : DTLS_ASKED_NO;
    hs->state = DTLS_HS_RUNNING;
    if (yes) {
        hs->id = *id;
        hs->id.kind = kind;
        /* what the credential stands for, when the owner knows that; else what was claimed */
        const char *name = id->name == NULL ? hs->identity : id->name;
        size_t len = strnlen(name, sizeof hs->name - 1);
        memmove(hs->name, name, len);
        hs->name[len] = '\0';
    }
    hs->id.name = hs->name;
}

void dtls_handshake_answer_psk(struct dtls_handshake *hs, const uint8_t *key, size_t len,
                               const struct cx_identity *id)
{
    dr_assert(hs != NULL && hs->state == DTLS_HS_ASK_PSK);
    bool known = key != NULL && len != 0 && len <= CX_CRED_KEY_MAX && id != NULL;

    if (known) {
        memcpy(hs->psk, key, len);
        hs->psk_len = len;
    }
    answer(hs, known, id, CX_ID_PSK);
}

void dtls_handshake_cert(const struct dtls_handshake *hs, uint64_t *ret_tag, const char **ret_cn,
                         const uint8_t **ret_der, size_t *ret_len)
{
    dr_assert(hs != NULL && hs->state == DTLS_HS_ASK_CERT);
    *ret_tag = hs->tag;
    *ret_cn = hs->identity;
    *ret_der = hs->der;
    *ret_len = hs->der_len;
}

void dtls_handshake_answer_cert(struct dtls_handshake *hs, dr_err_t err,
                                const struct cx_identity *id)
{
    dr_assert(hs != NULL && hs->state == DTLS_HS_ASK_CERT);
    answer(hs, err == DR_OK && id != NULL, id, CX_ID_CERT);
}
