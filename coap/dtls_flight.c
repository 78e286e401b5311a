/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flights that we send. Every record that the library writes passes here and gets its final
 * sequence number, so repetition needs neither the library's timer nor its clock: records of epoch
 * 0 are repeated under fresh numbers, the one of epoch 1 (Finished) is opened and sealed again.
 */
#include <string.h>

#include "base/text.h"
#include "coap/dtls_handshake_priv.h"

#define SEALED_MAX 512 /* a Finished, or an alert */

static void set_seq(uint8_t *whole, uint64_t seq)
{
    dr_store_be(whole + 5, seq, 6);
}

static void note_epoch1(struct dtls_handshake *hs, const struct dtls_record *rec)
{
    uint64_t nonce = 0;

    for (size_t i = 0; i < DTLS_NONCE_LEN; i++) {
        nonce = nonce << 8 | rec->body[i];
    }
    /* CCM counts epoch and sequence, GCM goes on from a random number: both are a sum */
    hs->assoc.tx_nonce = nonce - rec->seq;
    hs->assoc.tx_seq = (rec->seq + 1) & DTLS_SEQ_MAX;
    hs->tx1 = true;
}

dr_err_t dtls_flight_collect(struct dtls_handshake *hs, uint64_t now_ms)
{
    dr_assert(hs != NULL);
    if (hs->pipe.raw.len == 0) {
        return dr_dynbuf_err(&hs->pipe.raw);
    }
    dr_dynbuf_reset(&hs->flight);
    hs->flight_off = 0;
    struct dtls_record rec;
    size_t off = 0;
    while (dtls_record_next(hs->pipe.raw.p, hs->pipe.raw.len, &off, &rec)) {
        if (rec.epoch == 0) {
            uint64_t seq = rec.seq > hs->tx0_next ? rec.seq : hs->tx0_next;
            set_seq(rec.whole, seq);
            hs->tx0_next = seq + 1;
        } else if (hs->tx1 && rec.seq < hs->assoc.tx_seq) {
            continue; /* its number went to a repeated Finished: never the same nonce twice */
        } else if (rec.len >= DTLS_NONCE_LEN) {
            note_epoch1(hs, &rec);
        }
        dr_dynbuf_append(&hs->flight, rec.whole, rec.whole_len);
    }
    bool whole = off == hs->pipe.raw.len;
    dr_dynbuf_reset(&hs->pipe.raw);
    hs->tries_left = hs->tries_max;
    hs->timeout_ms = hs->first_timeout_ms;
    hs->sent_ms = now_ms;
    hs->deadline_ms = now_ms + hs->timeout_ms;
    return whole ? dr_dynbuf_err(&hs->flight) : DR_ERR_INTERNAL;
}

static struct dtls_key tx_key_of(const struct dtls_assoc *a)
{
    return (struct dtls_key){
        .suite = (enum dtls_suite)a->suite, .key = a->tx_key, .salt = a->tx_salt};
}

/* Open one of our own records and append it sealed under the next number. */
static dr_err_t reseal(struct dtls_handshake *hs, struct dtls_crypto *c,
                       const struct dtls_record *rec, struct dr_dynbuf *out)
{
    uint8_t buf[SEALED_MAX];
    if (!dtls_hs_keys(hs, c) || rec->whole_len > sizeof buf - DTLS_SEAL_TAIL_MAX) {
        return DR_ERR_INTERNAL;
    }
    memcpy(buf, rec->whole, rec->whole_len);
    struct dtls_record copy = *rec;
    copy.whole = buf;
    copy.body = buf + DTLS_HEADER_LEN;
    struct dtls_key k = tx_key_of(&hs->assoc);
    uint8_t *plain;
    size_t len;
    dr_err_t err = dtls_record_open(c, &k, &copy, &plain, &len);
    if (err == DR_OK) {
        err = dtls_assoc_seal(&hs->assoc, c, rec->type, buf, len, &len);
    }
    if (err == DR_OK) {
        dr_dynbuf_append(out, buf, len);
        err = dr_dynbuf_err(out);
    }
    dr_wipe(buf, sizeof buf);
    return err;
}

dr_err_t dtls_flight_repeat(struct dtls_handshake *hs, struct dtls_crypto *c, uint64_t now_ms)
{
    dr_assert(hs != NULL && c != NULL);
    struct dr_dynbuf out;
    struct dtls_record rec;
    size_t off = 0;
    dr_err_t err = DR_OK;

    dr_dynbuf_init(&out, DTLS_HS_OUT_MAX);
    while (err == DR_OK && dtls_record_next(hs->flight.p, hs->flight.len, &off, &rec)) {
        if (rec.epoch == 0) {
            set_seq(rec.whole, hs->tx0_next++);
            dr_dynbuf_append(&out, rec.whole, rec.whole_len);
            err = dr_dynbuf_err(&out);
        } else {
            err = reseal(hs, c, &rec, &out);
        }
    }
    if (err != DR_OK) {
        dr_dynbuf_fini(&out);
        return err;
    }
    dr_dynbuf_fini(&hs->flight);
    hs->flight = out;
    hs->flight_off = 0;
    hs->sent_ms = now_ms;
    return DR_OK;
}

void dtls_flight_alert(struct dtls_handshake *hs, struct dtls_crypto *c, uint8_t description)
{
    dr_assert(hs != NULL && c != NULL);
    uint8_t buf[DTLS_ALERT_LEN_MAX];
    size_t len = 0;

    dr_dynbuf_reset(&hs->flight);
    hs->flight_off = 0;
    if (hs->tx1) {
        if (!dtls_hs_keys(hs, c)) {
            return; /* a plain alert would count for nothing now */
        }
        buf[DTLS_SEAL_HEAD] = 2;
        buf[DTLS_SEAL_HEAD + 1] = description;
        if (dtls_assoc_seal(&hs->assoc, c, DTLS_TYPE_ALERT, buf, 2, &len) != DR_OK) {
            return;
        }
    } else {
        dtls_header_write(buf, DTLS_TYPE_ALERT, 0, hs->tx0_next++, 2);
        buf[DTLS_HEADER_LEN] = 2;
        buf[DTLS_HEADER_LEN + 1] = description;
        len = DTLS_HEADER_LEN + 2;
    }
    dr_dynbuf_append(&hs->flight, buf, len);
}

/* Bytes from off that belong in the next datagram: whole records, as many as fit, at least one. A
 * ChangeCipherSpec stays with the Finished behind it. */
static size_t datagram_len(struct dr_dynbuf *flight, size_t from, size_t limit)
{
    struct dtls_record rec;
    size_t off = from, end = from;

    while (dtls_record_next(flight->p, flight->len, &off, &rec)) {
        if (rec.type == DTLS_TYPE_CCS) {
            (void)dtls_record_next(flight->p, flight->len, &off, &rec);
        }
        if (end != from && off - from > limit) {
            break;
        }
        end = off;
    }
    return end - from;
}

size_t dtls_handshake_output(struct dtls_handshake *hs, uint8_t *buf, size_t cap)
{
    dr_assert(hs != NULL && buf != NULL);
    size_t limit = hs->mtu < cap ? hs->mtu : cap;
    size_t len = datagram_len(&hs->flight, hs->flight_off, limit);

    if (len == 0 || len > cap) {
        return 0;
    }
    memcpy(buf, hs->flight.p + hs->flight_off, len);
    hs->flight_off += len;
    return len;
}

dr_err_t dtls_flight_keep(struct dtls_handshake *hs)
{
    dr_assert(hs != NULL);
    struct dr_dynbuf out;
    size_t off = 0, len;

    dr_dynbuf_init(&out, DTLS_HS_OUT_MAX);
    while ((len = datagram_len(&hs->flight, off, hs->mtu)) != 0) {
        uint8_t head[2];
        dr_store_be(head, len, 2);
        dr_dynbuf_append(&out, head, sizeof head);
        dr_dynbuf_append(&out, hs->flight.p + off, len);
        off += len;
    }
    dr_err_t err = dr_dynbuf_err(&out);
    if (err == DR_OK && out.len != 0) {
        err = dtls_assoc_flight_put(&hs->assoc, out.p, out.len);
    }
    dr_dynbuf_fini(&out);
    return err;
}
