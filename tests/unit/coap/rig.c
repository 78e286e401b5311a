/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/coap/rig.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* Check allocates for each passed assertion; what runs inside the layer must not. */
static void must(bool ok)
{
    if (!ok) {
        ck_abort_msg("the rig broke");
    }
}

static unsigned index_of(struct rig *r, struct cx_mpeer *p)
{
    return (unsigned)(p - r->peers);
}

static uint8_t *out_begin(void *data, struct cx_mpeer *p, size_t max)
{
    struct rig *r = data;
    (void)p;
    must(max <= sizeof r->out);
    return r->blocked ? NULL : r->out;
}

static void out_end(void *data, struct cx_mpeer *p, size_t len)
{
    struct rig *r = data;
    must(len > 0);
    must(r->n_sent - r->read < RIG_SENT);
    struct rig_msg *m = &r->sent[r->n_sent++ % RIG_SENT];
    m->peer = index_of(r, p);
    m->len = len;
    memcpy(m->bytes, r->out, len);
}

static void seen_fill(struct rig_seen *s, unsigned peer, cx_exchange_t x, const struct cx_pdu *pdu)
{
    s->peer = peer;
    s->x = x;
    s->pdu = *pdu;
    s->len = pdu->payload_len;
    must(s->len <= sizeof s->body);
    if (s->len > 0) {
        memcpy(s->body, pdu->payload, s->len);
    }
}

static void on_request(void *data, struct cx_mpeer *p, cx_exchange_t x, const struct cx_pdu *pdu)
{
    struct rig *r = data;
    r->n_requests++;
    seen_fill(r->last, index_of(r, p), x, pdu);
    if (r->end_peer) {
        cx_msg_peer_fini(r->m, p, DR_ERR_GONE);
        return;
    }
    if (r->ack) {
        cx_msg_ack(r->m, x);
    }
    if (r->forget) {
        cx_msg_forget(r->m, x);
    } else if (r->auto_reply != NULL) {
        must(cx_msg_answer(r->m, x, r->auto_reply, r->now_ms) == DR_OK);
    } else {
        return;
    }
    if (pdu->payload_len > 0) { /* still readable after the answer */
        must(memcmp(r->last->body, pdu->payload, pdu->payload_len) == 0);
    }
}

static bool on_notify(void *data, struct cx_mpeer *p, const struct cx_pdu *pdu)
{
    struct rig *r = data;
    r->n_notified++;
    seen_fill(r->notified, index_of(r, p), 0, pdu);
    return !r->refuse;
}

static bool on_observed(void *data, struct cx_mpeer *p, const struct cx_pdu *first,
                        struct cx_observed *ret)
{
    struct rig *r = data;
    (void)p;
    must(first->block2 >= 0);
    if (!r->has_observed) {
        return false;
    }
    ret->code = r->observed_code;
    memcpy(ret->buf, "obs", 3);
    ret->n_opts = 1;
    ret->opts[0] = (struct cx_opt){CX_OPT_URI_PATH, 3, ret->buf};
    if (r->observed_code == CX_FETCH) {
        ret->payload = (const uint8_t *)"which";
        ret->payload_len = 5;
    }
    return true;
}

static void random_bytes(void *data, uint8_t *buf, size_t len)
{
    struct rig *r = data;
    dr_prng_bytes(&r->rand, buf, len);
}

static const struct cx_msg_ops ops = {
    .out_begin = out_begin,
    .out_end = out_end,
    .request = on_request,
    .notify = on_notify,
    .observed = on_observed,
    .random = random_bytes,
};

const struct cx_msg_ops *rig_ops(void)
{
    return &ops;
}

void rig_init(struct rig *r, const struct cx_limits *limits)
{
    *r = (struct rig){.now_ms = 500000, .has_observed = true, .observed_code = CX_GET};
    dr_prng_init(&r->rand, 42);
    r->sent = calloc(RIG_SENT, sizeof *r->sent);
    r->last = calloc(1, sizeof *r->last);
    r->notified = calloc(1, sizeof *r->notified);
    ck_assert(r->sent != NULL && r->last != NULL && r->notified != NULL);
    struct cx_msg_config config = {.ops = &ops, .data = r, .stats = &r->stats, .now_ms = r->now_ms};
    if (limits != NULL) {
        config.limits = *limits;
    }
    ck_assert_int_eq(cx_msg_new(&config, &r->m), DR_OK);
    for (unsigned i = 0; i < RIG_PEERS; i++) {
        cx_msg_peer_init(r->m, &r->peers[i]);
    }
}

void rig_fini(struct rig *r)
{
    for (unsigned i = 0; i < RIG_PEERS; i++) {
        cx_msg_peer_fini(r->m, &r->peers[i], DR_ERR_GONE);
    }
    cx_msg_expire(r->m, r->now_ms);
    ck_assert_uint_eq(r->stats.exchanges, 0);
    ck_assert_uint_eq(r->stats.assemblies, 0);
    r->m = cx_msg_free(r->m);
    free(r->sent);
    free(r->last);
    free(r->notified);
}

void rig_in_hex(struct rig *r, unsigned peer, const char *hex)
{
    size_t n = 0;
    uint8_t *bytes = malloc(strlen(hex) / 2 + 1);
    ck_assert_ptr_nonnull(bytes);
    for (const char *p = hex; *p != 0; p++) {
        if (*p == ' ') {
            continue;
        }
        char pair[3] = {p[0], p[1], 0};
        bytes[n++] = (uint8_t)strtoul(pair, NULL, 16);
        p++;
    }
    uint8_t *exact = malloc(n == 0 ? 1 : n);
    ck_assert_ptr_nonnull(exact);
    memcpy(exact, bytes, n);
    free(bytes);
    cx_msg_input(r->m, &r->peers[peer], exact, n, r->now_ms);
    free(exact);
}

void rig_in(struct rig *r, unsigned peer, uint8_t type, uint8_t code, uint16_t mid,
            const char *token, const struct cx_opt *opts, size_t n, const void *payload, size_t len)
{
    uint8_t buf[2048];
    struct dr_wr wr = dr_wr_of(buf, sizeof buf);
    dr_err_t err = cx_pdu_encode(&wr, type, code, mid, (const uint8_t *)token,
                                 (uint8_t)strlen(token), opts, n, payload, len);
    ck_assert_int_eq(err, DR_OK);
    uint8_t *exact = malloc(dr_wr_len(&wr));
    ck_assert_ptr_nonnull(exact);
    memcpy(exact, buf, dr_wr_len(&wr));
    cx_msg_input(r->m, &r->peers[peer], exact, dr_wr_len(&wr), r->now_ms);
    free(exact);
}

void rig_pass(struct rig *r, uint64_t ms)
{
    uint64_t until = r->now_ms + ms;
    while (cx_msg_deadline(r->m) <= until) {
        uint64_t at = cx_msg_deadline(r->m);
        r->now_ms = at > r->now_ms ? at : r->now_ms;
        cx_msg_expire(r->m, r->now_ms);
    }
    r->now_ms = until;
}

const struct rig_msg *rig_out_raw(struct rig *r)
{
    ck_assert_msg(r->read < r->n_sent, "nothing was sent");
    return &r->sent[r->read++ % RIG_SENT];
}

struct cx_pdu rig_out(struct rig *r, unsigned peer)
{
    const struct rig_msg *m = rig_out_raw(r);
    struct cx_pdu pdu;
    ck_assert_uint_eq(m->peer, peer);
    ck_assert_int_eq(cx_pdu_decode(m->bytes, m->len, &pdu), DR_OK);
    return pdu;
}

void rig_quiet(struct rig *r)
{
    ck_assert_msg(r->read == r->n_sent, "%zu messages too many", r->n_sent - r->read);
}

static void call_done(struct cx_call *call, dr_err_t err, const struct cx_pdu *pdu)
{
    struct rig_call *c = call->data;
    c->done++;
    c->err = err;
    must((err == DR_OK) == (pdu != NULL));
    if (pdu != NULL) {
        c->pdu = *pdu;
        c->len = pdu->payload_len;
        must(c->len <= sizeof c->body);
        if (c->len > 0) {
            memcpy(c->body, pdu->payload, c->len);
        }
    }
    if (c->then != NULL) {
        rig_start(c->rig, 0, c->then);
    }
}

void rig_call_init(struct rig_call *c, uint8_t code, const char *path, const void *payload,
                   size_t len)
{
    memset(c, 0, offsetof(struct rig_call, body));
    memset(c->opts, 0, sizeof c->opts);
    c->then = NULL;
    c->opts[0] = rig_text(CX_OPT_URI_PATH, path);
    c->call = (struct cx_call){.code = code,
                               .opts = c->opts,
                               .n_opts = 1,
                               .payload = payload,
                               .payload_len = len,
                               .cb = call_done,
                               .data = c};
}

void rig_start(struct rig *r, unsigned peer, struct rig_call *c)
{
    c->rig = r;
    ck_assert_int_eq(cx_msg_call_start(r->m, &r->peers[peer], &c->call, r->now_ms), DR_OK);
    ck_assert_uint_eq(c->done, 0);
}

struct cx_opt rig_text(uint16_t num, const char *text)
{
    return (struct cx_opt){num, (uint16_t)strlen(text), (const uint8_t *)text};
}

int32_t rig_block(uint32_t num, bool more, uint16_t size)
{
    struct cx_block b = {.num = num, .more = more, .size = size};
    return (int32_t)cx_block_encode(&b);
}

struct cx_opt rig_block_opt(uint16_t num, uint32_t n, bool more, uint16_t size, uint8_t buf[4])
{
    return cx_opt_uint(num, (uint32_t)rig_block(n, more, size), buf);
}

const uint8_t *rig_bytes(size_t len)
{
    static uint8_t bytes[140000];
    must(len <= sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 7 + (i >> 8) + 3);
    }
    return bytes;
}
