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

static void ask_psk(struct dtls_handshake *hs)
{
    hs->claim.asked = DTLS_ASKED_WAIT;
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
        if (type == DTLS_MSG_CLIENT_KEY_EXCHANGE && psk && hs->claim.asked == DTLS_ASKED_NOTHING) {
            if (frag_off != 0 || frag_len != len) {
                return DTLS_DROP; /* 130 bytes fit any datagram */
            }
            if (!dtls_claim_identity(&msg, hs->claim.identity)) {
                hs->claim.asked = DTLS_ASKED_NO;
                return DTLS_FEED;
            }
            ask_psk(hs);
            return DTLS_WAIT;
        }
    }
    return DTLS_FEED;
}

/* Server, the client's Finished is here and authentic: whom do we still have to ask about? */
enum dtls_verdict dtls_owner_finished(struct dtls_handshake *hs, struct dtls_crypto *c)
{
    hs->resumed = SSL_session_reused(hs->ssl) == 1;
    if (hs->claim.asked == DTLS_ASKED_YES || (hs->claim.asked == DTLS_ASKED_NO && !hs->resumed)) {
        return DTLS_FEED;
    }
    if (hs->resumed && hs->ticket.id.kind == CX_ID_PSK) {
        memcpy(hs->claim.identity, hs->ticket.name, sizeof hs->claim.identity);
        ask_psk(hs);
        return DTLS_WAIT;
    }
    dr_err_t err = dtls_claim_chain(&hs->claim, hs->ssl, hs->sec, hs->resumed, hs->wall_ms);
    if (err != DR_OK) {
        dtls_hs_refuse(hs, c, DTLS_ALERT_ACCESS_DENIED, err);
        return DTLS_OVER;
    }
    hs->claim.asked = DTLS_ASKED_WAIT;
    hs->state = DTLS_HS_ASK_CERT;
    return DTLS_WAIT;
}

/* The owner's answer, before the library goes on. */
void dtls_owner_answered(struct dtls_handshake *hs, struct dtls_crypto *c)
{
    if (!hs->resumed) {
        if (hs->claim.asked == DTLS_ASKED_NO && dtls_hs_cipher(hs) != NULL &&
            SSL_CIPHER_get_kx_nid(dtls_hs_cipher(hs)) != NID_kx_psk) {
            dtls_hs_refuse(hs, c, DTLS_ALERT_ACCESS_DENIED, DR_ERR_DENIED);
        }
        return;
    }
    if (hs->claim.asked != DTLS_ASKED_NOTHING && !dtls_claim_is_stored(&hs->claim, &hs->ticket)) {
        dtls_hs_refuse(hs, c, DTLS_ALERT_ACCESS_DENIED, DR_ERR_DENIED);
    }
}

const char *dtls_handshake_identity(const struct dtls_handshake *hs)
{
    dr_assert(hs != NULL);
    return hs->claim.identity;
}

void dtls_handshake_answer_psk(struct dtls_handshake *hs, const uint8_t *key, size_t len,
                               const struct cx_identity *id)
{
    dr_assert(hs != NULL && hs->state == DTLS_HS_ASK_PSK);
    dtls_claim_answer_psk(&hs->claim, key, len, id);
    hs->state = DTLS_HS_RUNNING;
}

void dtls_handshake_cert(const struct dtls_handshake *hs, uint64_t *ret_tag, const char **ret_cn,
                         const uint8_t **ret_der, size_t *ret_len)
{
    dr_assert(hs != NULL && hs->state == DTLS_HS_ASK_CERT);
    *ret_tag = hs->claim.tag;
    *ret_cn = hs->claim.identity;
    *ret_der = hs->claim.der;
    *ret_len = hs->claim.der_len;
}

void dtls_handshake_answer_cert(struct dtls_handshake *hs, dr_err_t err,
                                const struct cx_identity *id)
{
    dr_assert(hs != NULL && hs->state == DTLS_HS_ASK_CERT);
    dtls_claim_answer(&hs->claim, err == DR_OK && id != NULL, id, CX_ID_CERT);
    hs->state = DTLS_HS_RUNNING;
}
