/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/dtls_assoc.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"

#define REPEAT_MS        1000
#define ALERT_WARNING    1
#define ALERT_FATAL      2
#define MSG_HELLO_REQ    0
#define MSG_CLIENT_HELLO 1
#define MSG_FINISHED     20

struct dtls_flight {
    uint64_t sent_ms; /**< last repetition, 0 = none yet */
    size_t len;
    uint8_t bytes[]; /**< datagrams, each behind its length in two bytes */
};

static struct dtls_key rx_key_of(const struct dtls_assoc *a)
{
    return (struct dtls_key){
        .suite = (enum dtls_suite)a->suite, .key = a->rx_key, .salt = a->rx_salt};
}

static void reply_alert(struct dtls_assoc *a, struct dtls_crypto *c, uint8_t level, uint8_t desc,
                        uint8_t *out, size_t *ret_len)
{
    out[DTLS_SEAL_HEAD] = level;
    out[DTLS_SEAL_HEAD + 1] = desc;
    size_t n = 0;
    *ret_len = dtls_assoc_seal(a, c, DTLS_TYPE_ALERT, out, 2, &n) == DR_OK ? n : 0;
}

static void alert_input(struct dtls_assoc *a, struct dtls_crypto *c, const uint8_t *plain,
                        size_t len, struct dtls_input *ret)
{
    if (len != 2) {
        return;
    }
    if (plain[1] == DTLS_ALERT_CLOSE_NOTIFY) {
        ret->got = DTLS_GOT_CLOSED;
        ret->reply_len = dtls_assoc_close(a, c, ret->reply);
    } else if (plain[0] != ALERT_WARNING) {
        ret->got = DTLS_GOT_FATAL;
        ret->alert = plain[1];
        a->flags |= DTLS_ASSOC_CLOSED;
    }
}

static bool flight_may_go(struct dtls_assoc *a, uint64_t now_ms)
{
    struct dtls_flight *f = a->flight;

    if (f == NULL || (f->sent_ms != 0 && now_ms - f->sent_ms < REPEAT_MS)) {
        return false;
    }
    f->sent_ms = now_ms == 0 ? 1 : now_ms;
    return true;
}

/* spec: RFC6347#4.2.4 (repeated Finished), RFC5746#4.5, RFC5246#7.4.1.1 (no renegotiation) */
static void handshake_input(struct dtls_assoc *a, struct dtls_crypto *c, const uint8_t *plain,
                            size_t len, uint64_t now_ms, struct dtls_input *ret)
{
    uint8_t unwanted = a->flags & DTLS_ASSOC_CLIENT ? MSG_HELLO_REQ : MSG_CLIENT_HELLO;

    if (len == 0) {
        return;
    }
    if (plain[0] == MSG_FINISHED && flight_may_go(a, now_ms)) {
        ret->got = DTLS_GOT_REPEAT;
    } else if (plain[0] == unwanted) {
        reply_alert(a, c, ALERT_WARNING, DTLS_ALERT_NO_RENEGOTIATION, ret->reply, &ret->reply_len);
        ret->got = DTLS_GOT_REPLY;
    }
}

void dtls_assoc_input(struct dtls_assoc *a, struct dtls_crypto *c, const struct dtls_record *rec,
                      uint64_t now_ms, struct dtls_input *ret)
{
    dr_assert(a != NULL && c != NULL && rec != NULL && ret != NULL);
    dr_assert(a->suite != DTLS_SUITE_NONE);
    ret->got = DTLS_GOT_BAD;
    ret->newest = false;
    ret->alert = 0;
    ret->data = NULL;
    ret->len = 0;
    ret->reply_len = 0;

    if (rec->epoch != 1 || rec->type == DTLS_TYPE_CCS || a->flags & DTLS_ASSOC_CLOSED) {
        return;
    }
    if (!dtls_window_is_new(&a->window, rec->seq)) {
        ret->got = DTLS_GOT_REPLAY;
        return;
    }
    struct dtls_key k = rx_key_of(a);
    uint8_t *plain;
    size_t len;
    if (dtls_record_open(c, &k, rec, &plain, &len) != DR_OK) {
        return;
    }
    ret->newest = dtls_window_mark(&a->window, rec->seq);
    ret->got = DTLS_GOT_NOTHING;
    switch (rec->type) {
    case DTLS_TYPE_DATA:
        dtls_assoc_flight_drop(a);
        if (len != 0) {
            ret->got = DTLS_GOT_DATA;
            ret->data = plain;
            ret->len = len;
        }
        break;
    case DTLS_TYPE_ALERT:
        alert_input(a, c, plain, len, ret);
        break;
    default:
        handshake_input(a, c, plain, len, now_ms, ret);
        break;
    }
}

bool dtls_assoc_probe(const struct dtls_assoc *a, struct dtls_crypto *c,
                      const struct dtls_record *rec, uint8_t *scratch, size_t cap)
{
    dr_assert(a != NULL && c != NULL && rec != NULL && scratch != NULL);
    if (rec->epoch != 1 || rec->whole_len > cap) {
        return false;
    }
    memcpy(scratch, rec->whole, rec->whole_len);
    struct dtls_record copy = *rec;
    copy.whole = scratch;
    copy.body = scratch + DTLS_HEADER_LEN;
    struct dtls_key k = rx_key_of(a);
    uint8_t *plain;
    size_t len;
    bool ok = dtls_record_open(c, &k, &copy, &plain, &len) == DR_OK;
    dr_wipe(scratch, rec->whole_len);
    return ok;
}

dr_err_t dtls_assoc_seal(struct dtls_assoc *a, struct dtls_crypto *c, uint8_t type, uint8_t *buf,
                         size_t len, size_t *ret)
{
    dr_assert(a != NULL && c != NULL && buf != NULL && ret != NULL);
    dr_assert(a->suite != DTLS_SUITE_NONE);
    if (a->flags & DTLS_ASSOC_CLOSED) {
        return DR_ERR_GONE;
    }
    uint64_t seq = a->tx_seq;
    if (seq == DTLS_SEQ_MAX) {
        return DR_ERR_LIMIT;
    }
    struct dtls_key k = {.suite = (enum dtls_suite)a->suite, .key = a->tx_key, .salt = a->tx_salt};
    /* taken before it is used: a failure burns the number, never the nonce */
    a->tx_seq = (seq + 1) & DTLS_SEQ_MAX;
    return dtls_record_seal(c, &k, type, 1, seq, a->tx_nonce + seq, buf, len, ret);
}

size_t dtls_assoc_overhead(const struct dtls_assoc *a)
{
    dr_assert(a != NULL);
    return DTLS_SEAL_HEAD + dtls_suite_tag_len((enum dtls_suite)a->suite);
}

size_t dtls_assoc_close(struct dtls_assoc *a, struct dtls_crypto *c,
                        uint8_t out[DTLS_ALERT_LEN_MAX])
{
    dr_assert(a != NULL && c != NULL && out != NULL);
    size_t len = 0;

    reply_alert(a, c, ALERT_WARNING, DTLS_ALERT_CLOSE_NOTIFY, out, &len);
    a->flags |= DTLS_ASSOC_CLOSED;
    return len;
}

size_t dtls_assoc_flight_next(const struct dtls_assoc *a, size_t *off, const uint8_t **ret)
{
    dr_assert(a != NULL && off != NULL && ret != NULL);
    const struct dtls_flight *f = a->flight;

    if (f == NULL || *off >= f->len) {
        return 0;
    }
    size_t len = (size_t)f->bytes[*off] << 8 | f->bytes[*off + 1];
    *ret = f->bytes + *off + 2;
    *off += 2 + len;
    return len;
}

bool dtls_assoc_has_flight(const struct dtls_assoc *a)
{
    dr_assert(a != NULL);
    return a->flight != NULL;
}

void dtls_assoc_flight_drop(struct dtls_assoc *a)
{
    dr_assert(a != NULL);
    free(a->flight);
    a->flight = NULL;
}

dr_err_t dtls_assoc_flight_put(struct dtls_assoc *a, const uint8_t *bytes, size_t len)
{
    dr_assert(a != NULL && bytes != NULL);
    struct dtls_flight *f = malloc(sizeof *f + len);
    if (f == NULL) {
        return DR_ERR_NOMEM;
    }
    f->sent_ms = 0;
    f->len = len;
    memcpy(f->bytes, bytes, len);
    dtls_assoc_flight_drop(a);
    a->flight = f;
    return DR_OK;
}

void dtls_assoc_fini(struct dtls_assoc *a)
{
    if (a != NULL) {
        dtls_assoc_flight_drop(a);
        dr_wipe(a, sizeof *a);
    }
}
