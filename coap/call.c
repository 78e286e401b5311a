/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our requests and notifications. Those of one peer stand in a queue, and only its head is in
 * flight (NSTART 1, spec: RFC7252#4.7):
 *
 *   queued --> CON sent, waits for ACK --empty ACK--> waits for the response --> done
 *                | ACK with response, response, RST, retries used up                ^
 *                +------------------------------------------------------------------+
 *
 * A block-wise call goes through this once per block. Completion happens inside cx_msg_input and
 * cx_msg_expire only; what ends in a call of the owner's is put on a list that cx_msg_expire runs.
 */
#include <string.h>

#include "coap/msg_priv.h"

enum { QUEUED = 1, FLYING = 2, DONE = 3 }; /* low byte of cx_call.priv.id; DONE: -error above it */

static const struct cx_timing *timing_of(const struct cx_call *call)
{
    return call->timing != NULL ? call->timing : &cx_timing_default;
}

bool cx_call_is_notification(const struct cx_call *call)
{
    return call->code >= 0x40;
}

/* ---- the queue of a peer ---- */

static void queue_insert_after(struct cx_mwork *w, struct cx_call *at, struct cx_call *call)
{
    call->priv.prev = at;
    call->priv.next = at != NULL ? at->priv.next : w->head;
    if (call->priv.next != NULL) {
        call->priv.next->priv.prev = call;
    } else {
        w->tail = call;
    }
    if (at != NULL) {
        at->priv.next = call;
    } else {
        w->head = call;
    }
    call->priv.id = QUEUED;
    call->priv.state = w;
    w->n_calls += cx_call_is_fetch(call) ? 0 : 1;
}

static void queue_remove(struct cx_mwork *w, struct cx_call *call)
{
    if (call->priv.prev != NULL) {
        call->priv.prev->priv.next = call->priv.next;
    } else {
        w->head = call->priv.next;
    }
    if (call->priv.next != NULL) {
        call->priv.next->priv.prev = call->priv.prev;
    } else {
        w->tail = call->priv.prev;
    }
    call->priv.next = NULL;
    call->priv.prev = NULL;
    w->n_calls -= cx_call_is_fetch(call) ? 0 : 1;
}

/* ---- completion later ---- */

void cx_call_end_later(struct cx_msg *m, struct cx_call *call, dr_err_t err)
{
    if (cx_call_is_fetch(call)) {
        call->cb(call, err, NULL); /* ours: frees itself, tells nobody */
        return;
    }
    call->priv.id = DONE | (uint64_t)(-(int)err) << 8;
    call->priv.state = NULL;
    call->priv.next = NULL;
    call->priv.prev = m->done_tail;
    if (m->done_tail != NULL) {
        m->done_tail->priv.next = call;
    } else {
        m->done_head = call;
    }
    m->done_tail = call;
}

void cx_calls_run_done(struct cx_msg *m)
{
    struct cx_call *last = m->done_tail; /* what is added meanwhile waits for the next turn */
    static const struct cx_pdu empty = {.type = CX_ACK,
                                        .observe = -1,
                                        .content_format = -1,
                                        .accept = -1,
                                        .block1 = -1,
                                        .block2 = -1,
                                        .size1 = -1,
                                        .size2 = -1,
                                        .max_age = -1};
    while (m->done_head != NULL && last != NULL) {
        struct cx_call *call = m->done_head;
        m->done_head = call->priv.next;
        if (m->done_head != NULL) {
            m->done_head->priv.prev = NULL;
        } else {
            m->done_tail = NULL;
        }
        dr_err_t err = (dr_err_t)(-(int)(call->priv.id >> 8));
        bool was_last = call == last;
        m->n_open--;
        call->cb(call, err, err == DR_OK ? &empty : NULL);
        if (was_last) {
            break;
        }
    }
}

/* ---- the call in flight ---- */

static void tx_free(struct cx_tx *tx)
{
    cx_rx_fini(&tx->rx);
    dr_slab_free(&tx->m->txs, tx->self);
}

/* Out of the queue and off the wire; tx is still to be freed. */
static void tx_detach(struct cx_tx *tx)
{
    struct cx_mpeer *p = tx->w_peer;
    dr_timer_cancel(&tx->m->wheel, &tx->timer);
    if (tx->blocks && !cx_call_is_notification(tx->call)) {
        if (!tx->body_done) {
            p->flags |= CX_MPEER_TAG;
        } else if (tx->tag_len > 0) {
            p->flags &= (uint16_t)~CX_MPEER_TAG;
        }
    }
    tx->work->tx = NULL;
    queue_remove(tx->work, tx->call);
}

static void tx_expired(struct dr_timer *t, uint64_t now_ms);

static struct cx_tx *tx_new(struct cx_msg *m, struct cx_mwork *w, struct cx_call *call)
{
    uint32_t self;
    if (dr_slab_alloc(&m->txs, &self) != DR_OK) {
        return NULL;
    }
    struct cx_tx *tx = dr_slab_get(&m->txs, self);
    tx->self = self;
    tx->m = m;
    tx->work = w;
    tx->w_peer = w->peer;
    tx->call = call;
    dr_timer_init(&tx->timer, tx_expired);
    call->priv.id = FLYING;
    call->priv.state = tx;
    w->tx = tx;
    return tx;
}

/* Send the head of the queue, if nothing is in flight. */
static void queue_run(struct cx_msg *m, struct cx_mwork *w)
{
    while (w->tx == NULL && w->head != NULL) {
        struct cx_call *call = w->head;
        struct cx_tx *tx = tx_new(m, w, call);
        if (tx == NULL) {
            queue_remove(w, call);
            cx_call_end_later(m, call, DR_ERR_NOMEM);
            continue;
        }
        dr_err_t err = cx_transfer_begin(tx);
        if (err != DR_OK) {
            tx_detach(tx);
            tx_free(tx);
            cx_call_end_later(m, call, err);
            continue;
        }
        cx_tx_send(tx);
    }
}

void cx_tx_complete(struct cx_tx *tx, dr_err_t err, const struct cx_pdu *answer)
{
    dr_assert(tx != NULL && (err == DR_OK) == (answer != NULL));
    struct cx_msg *m = tx->m;
    struct cx_call *call = tx->call;
    struct cx_mwork *w = tx->work;

    tx_detach(tx);
    queue_run(m, w);
    m->stats->call_timeouts += err == DR_ERR_TIMEOUT ? 1 : 0;
    bool fetch_failed = err != DR_OK && cx_call_is_fetch(call);
    if (!cx_call_is_fetch(call)) {
        m->n_open--;
        cx_msg_work_tidy(m, w);
    }
    call->cb(call, err, answer); /* answer may lie in tx; peer and call may go here */
    if (fetch_failed) {
        cx_msg_work_tidy(m, w); /* nobody was told, so the peer is there */
    }
    tx_free(tx);
}

static void tx_transmit(struct cx_tx *tx)
{
    struct cx_msg *m = tx->m;
    size_t room = cx_msg_room(m, tx->w_peer);
    uint8_t *buf = m->ops->out_begin(m->data, tx->w_peer, room);
    if (buf == NULL) {
        return; /* as if lost on the way */
    }
    struct dr_wr wr = dr_wr_of(buf, room);
    dr_err_t err = cx_transfer_encode(tx, &wr);
    m->ops->out_end(m->data, tx->w_peer, err == DR_OK ? dr_wr_len(&wr) : 0);
}

void cx_tx_send(struct cx_tx *tx)
{
    dr_assert(tx != NULL && tx->work->tx == tx);
    struct cx_msg *m = tx->m;
    const struct cx_timing *t = timing_of(tx->call);

    tx->mid = cx_msg_mid(tx->w_peer);
    tx->tries = 0;
    tx_transmit(tx);
    if (!tx->call->non && !cx_is_stream(tx->w_peer)) {
        tx->phase = CX_TX_ACK;
        tx->timeout_ms = cx_msg_timeout(m, t);
        dr_timer_start(&m->wheel, &tx->timer, m->now_ms + tx->timeout_ms);
        return;
    }
    tx->phase = CX_TX_RESPONSE;
    uint32_t wait = cx_call_is_notification(tx->call) ? 0 : t->response_timeout_ms;
    dr_timer_start(&m->wheel, &tx->timer, m->now_ms + wait);
}

static void complete_empty(struct cx_tx *tx)
{
    struct cx_pdu empty = {.type = CX_ACK,
                           .mid = tx->mid,
                           .observe = -1,
                           .content_format = -1,
                           .accept = -1,
                           .block1 = -1,
                           .block2 = -1,
                           .size1 = -1,
                           .size2 = -1,
                           .max_age = -1};
    cx_tx_complete(tx, DR_OK, &empty);
}

static void tx_expired(struct dr_timer *t, uint64_t now_ms)
{
    struct cx_tx *tx = DR_CONTAINER_OF(t, struct cx_tx, timer);

    if (tx->phase == CX_TX_RESPONSE) {
        if (cx_call_is_notification(tx->call)) {
            complete_empty(tx); /* a NON, sent */
        } else {
            cx_tx_complete(tx, DR_ERR_TIMEOUT, NULL);
        }
        return;
    }
    if (tx->tries >= timing_of(tx->call)->retransmit_max) {
        cx_tx_complete(tx, DR_ERR_TIMEOUT, NULL);
        return;
    }
    tx->tries++;
    tx->timeout_ms *= 2; /* spec: RFC7252#4.2 */
    tx->m->stats->retransmissions++;
    dr_timer_start(&tx->m->wheel, &tx->timer, now_ms + tx->timeout_ms);
    tx_transmit(tx);
}

static struct cx_tx *tx_of(const struct cx_mpeer *p)
{
    return p->work != NULL ? p->work->tx : NULL;
}

bool cx_tx_acked(struct cx_msg *m, struct cx_mpeer *p, uint16_t mid)
{
    struct cx_tx *tx = tx_of(p);
    if (tx == NULL || tx->mid != mid || tx->phase != CX_TX_ACK) {
        return false;
    }
    if (cx_call_is_notification(tx->call)) {
        complete_empty(tx);
        return true;
    }
    tx->phase = CX_TX_RESPONSE;
    uint32_t wait = timing_of(tx->call)->response_timeout_ms;
    dr_timer_start(&m->wheel, &tx->timer, m->now_ms + wait);
    return true;
}

bool cx_tx_reset(struct cx_msg *m, struct cx_mpeer *p, uint16_t mid)
{
    (void)m;
    struct cx_tx *tx = tx_of(p);
    if (tx == NULL || tx->mid != mid) {
        return false;
    }
    cx_tx_complete(tx, DR_ERR_RESET, NULL);
    return true;
}

/* ---- responses ---- */

/* Value of the call's Observe option, -1 without one. */
static int64_t observe_of(const struct cx_call *call)
{
    for (size_t i = 0; i < call->n_opts; i++) {
        uint32_t v;
        if (call->opts[i].num == CX_OPT_OBSERVE && cx_opt_get_uint(&call->opts[i], &v) == DR_OK) {
            return v;
        }
    }
    return -1;
}

static bool token_is(const struct cx_pdu *pdu, const uint8_t *token, uint8_t len)
{
    return pdu->token_len == len && memcmp(pdu->token, token, len) == 0;
}

enum match { NOT_OURS, RESPONSE, NEWER };

static enum match response_match(const struct cx_tx *tx, const struct cx_pdu *pdu)
{
    const struct cx_call *call = tx->call;
    bool token = token_is(pdu, tx->token, tx->token_len);

    if (cx_call_is_notification(call)) {
        return NOT_OURS;
    }
    if (pdu->type == CX_ACK) {
        /* Pelion clients answer /.well-known/core without its token */
        bool ours = tx->phase == CX_TX_ACK && pdu->mid == tx->mid;
        return ours && (token || pdu->token_len == 0) ? RESPONSE : NOT_OURS;
    }
    if (token) {
        /* An observation's token serves its cancellation too: a notification that crosses it is
         * no response. spec: RFC7641#3.6 */
        bool crosses = pdu->observe >= 0 && observe_of(call) == 1 &&
                       (tx->phase == CX_TX_ACK || cx_is_stream(tx->w_peer));
        return crosses ? NOT_OURS : RESPONSE;
    }
    if (tx->rx.active && observe_of(call) == 0 && token_is(pdu, call->token, call->token_len)) {
        return NEWER; /* spec: RFC7959#3.4: overtakes the blocks that we are fetching */
    }
    return NOT_OURS;
}

bool cx_tx_response(struct cx_msg *m, struct cx_mpeer *p, const struct cx_pdu *pdu, uint32_t hash,
                    bool bad_option)
{
    struct cx_tx *tx = tx_of(p);
    enum match match = tx != NULL ? response_match(tx, pdu) : NOT_OURS;
    if (match == NOT_OURS) {
        return false;
    }
    if (pdu->type != CX_ACK) {
        struct cx_ring_entry e = {.mid = pdu->mid, .hash = hash, .kind = CX_RING_SILENT};
        if (pdu->type == CX_CON) {
            e.kind = bad_option ? CX_RING_RESET : CX_RING_ANSWER;
            m->stats->resets_sent += bad_option && !cx_is_stream(p) ? 1 : 0;
            cx_msg_send_empty(m, p, bad_option ? CX_RST : CX_ACK, pdu->mid);
        }
        cx_msg_remember(m, p, &e);
    }
    if (bad_option) {
        cx_tx_complete(tx, DR_ERR_PROTO, NULL); /* spec: RFC7252#5.4.1 */
        return true;
    }
    if (match == NEWER) {
        cx_rx_fini(&tx->rx);
    }
    cx_transfer_response(tx, pdu);
    return true;
}

/* ---- the owner's verbs ---- */

dr_err_t cx_msg_call_start(struct cx_msg *m, struct cx_mpeer *p, struct cx_call *call,
                           uint64_t now_ms)
{
    dr_assert(m != NULL && p != NULL && call != NULL && call->cb != NULL && call->code != CX_EMPTY);
    dr_assert(call->token_len <= CX_TOKEN_MAX);
    if (now_ms > m->now_ms) {
        m->now_ms = now_ms;
    }
    struct cx_mwork *w = cx_msg_work(m, p);
    if (w == NULL) {
        return DR_ERR_NOMEM;
    }
    if (w->n_calls >= m->limits.calls_per_peer_max) {
        return DR_ERR_LIMIT;
    }
    if (call->token_len == 0 && !cx_call_is_notification(call)) {
        call->token_len = CX_TOKEN_MAX;
        cx_msg_random(m, call->token, CX_TOKEN_MAX);
    }
    queue_insert_after(w, w->tail, call);
    m->n_open++;
    m->stats->calls++;
    queue_run(m, w);
    cx_msg_work_tidy(m, w);
    return DR_OK;
}

void cx_call_push_front(struct cx_msg *m, struct cx_mwork *w, struct cx_call *call)
{
    queue_insert_after(w, w->tx != NULL ? w->head : NULL, call);
    queue_run(m, w);
}

void cx_call_withdraw(struct cx_msg *m, struct cx_mwork *w, struct cx_call *call)
{
    if ((call->priv.id & 0xff) == FLYING) {
        struct cx_tx *tx = call->priv.state;
        tx_detach(tx);
        tx_free(tx);
        queue_run(m, w);
    } else if ((call->priv.id & 0xff) == QUEUED) {
        queue_remove(w, call);
    }
}

void cx_msg_call_cancel(struct cx_msg *m, struct cx_call *call)
{
    dr_assert(m != NULL && call != NULL && call->priv.id != 0);
    struct cx_mwork *w;

    switch (call->priv.id & 0xff) {
    case QUEUED:
        w = call->priv.state;
        break;
    case FLYING:
        w = ((struct cx_tx *)call->priv.state)->work;
        break;
    default:
        return; /* completing already */
    }
    cx_call_withdraw(m, w, call);
    cx_call_end_later(m, call, DR_ERR_CANCELED);
    cx_msg_work_tidy(m, w);
}

void cx_calls_end(struct cx_msg *m, struct cx_mwork *w, dr_err_t why)
{
    if (w->tx != NULL) {
        struct cx_tx *tx = w->tx;
        struct cx_call *call = tx->call;
        tx_detach(tx);
        tx_free(tx);
        cx_call_end_later(m, call, why);
    }
    while (w->head != NULL) {
        struct cx_call *call = w->head;
        queue_remove(w, call);
        cx_call_end_later(m, call, why);
    }
}

void cx_msg_calls_moved(struct cx_msg *m, struct cx_mpeer *p)
{
    dr_assert(m != NULL && p != NULL);
    if (p->work != NULL) {
        cx_calls_end(m, p->work, DR_ERR_MOVED);
        cx_msg_work_tidy(m, p->work);
    }
}

void cx_msg_calls_end(struct cx_msg *m, dr_err_t why)
{
    dr_assert(m != NULL && why != DR_OK);
    DR_LIST_EACH_SAFE(it, &m->works_list)
    {
        struct cx_mwork *w = DR_CONTAINER_OF(it, struct cx_mwork, node);
        cx_calls_end(m, w, why);
        cx_msg_work_tidy(m, w);
    }
}
