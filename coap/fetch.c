/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A large notification brings the first block only. The rest is asked for by a call of our own,
 * with a token of its own so that further notifications can be told from it; a newer notification
 * makes the fetch worthless. spec: RFC7959#2.6 RFC7959#3.4
 */
#include <stdlib.h>
#include <string.h>

#include "coap/msg_priv.h"

struct cx_fetch {
    struct cx_call call;
    struct dr_list node;
    struct cx_msg *m;
    struct cx_mwork *work; /**< NULL once off the peer's list */
    struct cx_rx rx;       /**< until the call begins */
    struct cx_pdu head;    /**< of the notification; only its header fields and numbers */
    struct cx_opt opts[CX_OBSERVED_OPTS_MAX];
    uint8_t values[sizeof((struct cx_observed *)0)->buf];
    uint8_t *payload; /**< owned; may be NULL */
};

static void fetch_free(struct cx_fetch *f)
{
    if (f->work != NULL) {
        dr_list_remove(&f->node);
        f->work->n_fetches--;
    }
    cx_rx_fini(&f->rx);
    free(f->payload);
    free(f);
}

static void fetch_done(struct cx_call *call, dr_err_t err, const struct cx_pdu *answer)
{
    struct cx_fetch *f = DR_CONTAINER_OF(call, struct cx_fetch, call);
    struct cx_msg *m = f->m;
    struct cx_mpeer *p = f->work->peer;
    struct cx_pdu whole = f->head;
    struct cx_mwork *w = f->work;

    fetch_free(f);
    if (err == DR_OK) { /* not when ending: then others look after the lists */
        cx_msg_work_tidy(m, w);
    }
    if (err == DR_OK && answer->code >> 5 == 2) {
        whole.code = answer->code;
        whole.opts = answer->opts;
        whole.opts_len = answer->opts_len;
        whole.payload = answer->payload;
        whole.payload_len = answer->payload_len;
        (void)m->ops->notify(m->data, p, &whole);
    }
}

bool cx_call_is_fetch(const struct cx_call *call)
{
    return call->cb == fetch_done;
}

void cx_fetch_take_rx(struct cx_call *call, struct cx_rx *rx)
{
    dr_assert(cx_call_is_fetch(call));
    struct cx_fetch *f = DR_CONTAINER_OF(call, struct cx_fetch, call);
    *rx = f->rx;
    f->rx = (struct cx_rx){0};
}

/* Copy the request that made the observation. */
static bool request_copy(struct cx_fetch *f, const struct cx_observed *o)
{
    struct dr_wr wr = dr_wr_of(f->values, sizeof f->values);

    for (size_t i = 0; i < o->n_opts; i++) {
        uint8_t *val = dr_wr_reserve(&wr, o->opts[i].len);
        if (val == NULL) {
            return false;
        }
        if (o->opts[i].len > 0) {
            memcpy(val, o->opts[i].val, o->opts[i].len);
        }
        f->opts[i] = (struct cx_opt){o->opts[i].num, o->opts[i].len, val};
    }
    if (o->payload_len > 0) {
        f->payload = malloc(o->payload_len);
        if (f->payload == NULL) {
            return false;
        }
        memcpy(f->payload, o->payload, o->payload_len);
    }
    f->call.code = o->code;
    f->call.opts = f->opts;
    f->call.n_opts = o->n_opts;
    f->call.payload = f->payload;
    f->call.payload_len = o->payload_len;
    return true;
}

static struct cx_fetch *fetch_make(struct cx_msg *m, const struct cx_mpeer *p,
                                   const struct cx_pdu *pdu, const struct cx_observed *o)
{
    struct cx_fetch *f = calloc(1, sizeof *f);
    if (f == NULL) {
        return NULL;
    }
    f->m = m;
    f->head = *pdu;
    f->head.block2 = -1;
    f->call.cb = fetch_done;
    f->call.token_len = CX_TOKEN_MAX;
    cx_msg_random(m, f->call.token, CX_TOKEN_MAX);
    if (!request_copy(f, o) || cx_rx_begin(m, p, &f->rx, pdu) != DR_OK) {
        fetch_free(f);
        return NULL;
    }
    return f;
}

struct cx_fetch *cx_fetch_new(struct cx_msg *m, struct cx_mpeer *p, const struct cx_pdu *pdu)
{
    struct cx_block b;
    if (cx_msg_block(p, pdu->block2, &b) != DR_OK || b.num != 0 || !b.more || pdu->code >> 5 != 2 ||
        !cx_block_holds(&b, pdu->payload_len) || m->ops->observed == NULL) {
        return NULL;
    }
    struct cx_observed o;
    o.n_opts = 0;
    o.payload = NULL;
    o.payload_len = 0;
    o.code = CX_GET;
    if (!m->ops->observed(m->data, p, pdu, &o)) {
        return NULL;
    }
    dr_assert(o.n_opts <= CX_OBSERVED_OPTS_MAX && (o.code == CX_GET || o.code == CX_FETCH));
    struct cx_mwork *w = cx_msg_work(m, p);
    if (w == NULL) {
        return NULL;
    }
    struct cx_fetch *f = w->n_fetches < CX_FETCHES_PER_PEER_MAX ? fetch_make(m, p, pdu, &o) : NULL;
    if (f == NULL) {
        cx_msg_work_tidy(m, w);
        return NULL;
    }
    f->work = w;
    dr_list_push_back(&w->fetches, &f->node);
    w->n_fetches++;
    return f;
}

void cx_fetch_start(struct cx_fetch *f)
{
    dr_assert(f != NULL && f->work != NULL);
    struct cx_msg *m = f->m;
    struct cx_mwork *w = f->work;

    cx_call_push_front(m, w, &f->call);
    cx_msg_work_tidy(m, w);
}

/* spec: RFC7641#3.4; without numbers the later arrival is the newer */
static bool newer(int32_t old, int32_t now)
{
    if (old < 0 || now < 0) {
        return true;
    }
    return (old < now && now - old < 1 << 23) || (old > now && old - now > 1 << 23);
}

void cx_fetch_abort(struct cx_msg *m, struct cx_mpeer *p, const struct cx_pdu *pdu)
{
    struct cx_mwork *w = p->work;
    if (w == NULL) {
        return;
    }
    DR_LIST_EACH_SAFE(it, &w->fetches)
    {
        struct cx_fetch *f = DR_CONTAINER_OF(it, struct cx_fetch, node);
        if (f->head.token_len == pdu->token_len &&
            memcmp(f->head.token, pdu->token, pdu->token_len) == 0 &&
            newer(f->head.observe, pdu->observe)) {
            cx_call_withdraw(m, w, &f->call);
            fetch_free(f);
            break; /* one per token, and the next one may have changed meanwhile */
        }
    }
    cx_msg_work_tidy(m, w);
}

void cx_fetch_free_all(struct cx_msg *m, struct cx_mwork *w)
{
    (void)m;
    DR_LIST_EACH_SAFE(it, &w->fetches)
    {
        fetch_free(DR_CONTAINER_OF(it, struct cx_fetch, node));
    }
}
