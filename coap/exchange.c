/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request of the peer and our answer to it:
 *
 *            request callback                1 s                    cx_msg_answer
 *   CON ---> OPEN ----------> WAIT --------> WAIT, empty ACK sent ---------------> SEPARATE -->
 * free | answer        | answer                                  ACK, RST or no retries left v v
 *            ACK with the answer, remembered for duplicates, free
 *
 * While an exchange lives it is what its duplicates are known by; afterwards the ring is. A NON is
 * answered by a NON.
 */
#include <stdlib.h>
#include <string.h>

#include "coap/body.h"
#include "coap/msg_priv.h"

/* Room for the longest option value that we add to an answer. */
struct added {
    uint8_t block1[4], block2[4], size2[4], etag[8];
};

/* One answer, ready to encode. */
struct answer {
    uint8_t code;
    struct cx_opt opts[CX_OPTS_MAX];
    size_t n_opts;
    const uint8_t *payload;
    size_t len;
    struct added added;
};

/* ---- identity of the resource ---- */

static bool key_option(uint16_t num)
{
    return num == CX_OPT_URI_PATH || num == CX_OPT_URI_QUERY || num == CX_OPT_PROXY_URI ||
           num == CX_OPT_REQUEST_TAG || num == CX_OPT_URI_HOST || num == CX_OPT_PROXY_SCHEME;
}

uint64_t cx_msg_key(const struct cx_msg *m, uint8_t code, const struct cx_pdu *pdu)
{
    dr_assert(m != NULL && pdu != NULL);
    struct cx_opt_iter it = cx_opt_begin(pdu);
    struct cx_opt opt;
    uint64_t h = code == CX_FETCH ? CX_GET : code; /* a notification may stand for either */

    while (cx_opt_next(&it, &opt)) {
        if (key_option(opt.num)) {
            h = dr_mix64(h ^ opt.num) ^ dr_siphash(&m->key, opt.val, opt.len);
        }
    }
    return dr_mix64(h);
}

static uint32_t body_hash(const struct cx_msg *m, const struct cx_pdu *pdu)
{
    if (pdu->payload_len == 0) {
        return 0;
    }
    return dr_hash32(&m->key, pdu->payload, pdu->payload_len) | 1u;
}

/* ---- exchanges ---- */

static cx_exchange_t exch_id(const struct cx_exch *x)
{
    return (uint64_t)x->gen << 32 | x->self;
}

static struct cx_exch *exch_get(struct cx_msg *m, cx_exchange_t id)
{
    uint32_t index = (uint32_t)id;
    if (index == 0 || !dr_slab_used(&m->exchs, index)) {
        return NULL;
    }
    struct cx_exch *x = dr_slab_get(&m->exchs, index);
    return x->gen == (uint32_t)(id >> 32) && x->peer != NULL ? x : NULL;
}

static struct cx_exch *exch_new(struct cx_msg *m, struct cx_mpeer *p, const struct cx_req *req)
{
    uint32_t self;
    if (dr_slab_alloc(&m->exchs, &self) != DR_OK) {
        return NULL;
    }
    struct cx_exch *x = dr_slab_get(&m->exchs, self);
    x->self = self;
    x->gen++; /* so that an old number means nobody */
    x->state = CX_EXCH_OPEN;
    x->acked = false;
    x->m = m;
    x->peer = p;
    x->node = (struct dr_list){0};
    x->timer = (struct dr_timer){0};
    x->req = *req;
    x->keyed = false;
    x->assembly = NULL;
    x->sent = NULL;
    m->stats->exchanges++;
    return x;
}

void cx_exch_free(struct cx_exch *x)
{
    dr_assert(x != NULL && x->state != CX_EXCH_FREE);
    struct cx_msg *m = x->m;

    dr_timer_cancel(&m->wheel, &x->timer);
    if (x->assembly != NULL) {
        x->assembly->exch = NULL;
    }
    if (dr_list_linked(&x->node)) {
        dr_list_remove(&x->node);
        x->peer->work->n_exchanges--;
    }
    free(x->sent);
    x->sent = NULL;
    x->state = CX_EXCH_FREE;
    m->stats->exchanges--;
    dr_slab_free(&m->exchs, x->self);
}

static void exch_key_fill(struct cx_exch *x, const struct cx_pdu *pdu)
{
    if (!x->keyed) {
        x->key = cx_msg_key(x->m, x->req.code, pdu);
        x->body_hash = body_hash(x->m, pdu);
        x->keyed = true;
    }
}

/* ---- answers that are remembered beside the ring ---- */

static void stored_free(struct cx_msg *m, struct cx_stored *s)
{
    dr_list_remove(&s->node);
    m->stored_bytes -= s->len;
    free(s->bytes);
    dr_slab_free(&m->storeds, s->self);
}

void cx_stored_expire(struct cx_msg *m)
{
    DR_LIST_EACH_SAFE(it, &m->stored_list)
    {
        struct cx_stored *s = DR_CONTAINER_OF(it, struct cx_stored, node);
        if (s->until_ms > m->now_ms) {
            break;
        }
        stored_free(m, s);
    }
}

/* The stored answer with this number, if it is still there and this peer's. */
static struct cx_stored *stored_get(struct cx_msg *m, const struct cx_mpeer *p, uint32_t number)
{
    if (!dr_slab_used(&m->storeds, number)) {
        return NULL;
    }
    struct cx_stored *s = dr_slab_get(&m->storeds, number);
    return s->peer == p ? s : NULL;
}

void cx_stored_drop(struct cx_msg *m, struct cx_mpeer *p, uint32_t number)
{
    struct cx_stored *s = stored_get(m, p, number);
    if (s != NULL) {
        stored_free(m, s);
    }
}

void cx_stored_free_all(struct cx_msg *m)
{
    if (m->stored_list.next == NULL) {
        return;
    }
    DR_LIST_EACH_SAFE(it, &m->stored_list)
    {
        stored_free(m, DR_CONTAINER_OF(it, struct cx_stored, node));
    }
}

/* 0 when there is no room: the duplicate will then be met with silence, not with a second run. */
static uint32_t stored_put(struct cx_msg *m, struct cx_mpeer *p, const struct cx_req *req,
                           uint8_t code, const uint8_t *bytes, size_t len)
{
    uint32_t self;
    uint8_t *copy = m->stored_bytes + len <= CX_STORED_MAX ? malloc(len) : NULL;
    if (copy == NULL || dr_slab_alloc(&m->storeds, &self) != DR_OK) {
        free(copy);
        return 0;
    }
    memcpy(copy, bytes, len);
    struct cx_stored *s = dr_slab_get(&m->storeds, self);
    s->self = self;
    s->peer = p;
    s->hash = req->hash;
    s->mid = req->mid;
    s->code = code;
    s->bytes = copy;
    s->len = (uint16_t)len;
    s->until_ms = m->now_ms + CX_EXCHANGE_LIFETIME_MS;
    dr_list_push_back(&m->stored_list, &s->node);
    m->stored_bytes += len;
    return self;
}

static bool idempotent(uint8_t code)
{
    return code == CX_GET || code == CX_FETCH; /* others change something, or may */
}

/* @p msg is the ACK that we sent, or would have. */
static void remember_answer(struct cx_msg *m, struct cx_mpeer *p, const struct cx_req *req,
                            const uint8_t *msg, size_t len)
{
    if (cx_is_stream(p)) {
        return;
    }
    size_t head = 4u + req->token_len;
    struct cx_ring_entry e = {.mid = req->mid, .hash = req->hash, .code = msg[1]};

    if (!req->con) {
        e.kind = CX_RING_SILENT;
    } else if (len - head <= CX_RING_DATA_MAX) {
        e.kind = CX_RING_ANSWER;
        e.data = msg + head;
        e.len = (uint8_t)(len - head);
    } else if (idempotent(req->code)) {
        return; /* asked again, answered again; spec: RFC7252#4.5 */
    } else {
        e.number = stored_put(m, p, req, msg[1], msg + head, len - head);
        e.kind = e.number != 0 ? CX_RING_STORED : CX_RING_SILENT;
    }
    cx_msg_remember(m, p, &e);
}

static void repeat_bytes(struct cx_msg *m, struct cx_mpeer *p, const struct cx_req *req,
                         uint8_t code, const uint8_t *bytes, size_t len)
{
    uint8_t *buf = m->ops->out_begin(m->data, p, CX_MSG_MAX);
    if (buf == NULL) {
        return;
    }
    struct dr_wr wr = dr_wr_of(buf, CX_MSG_MAX);
    dr_err_t err =
        cx_pdu_encode(&wr, CX_ACK, code, req->mid, req->token, req->token_len, NULL, 0, NULL, 0);
    dr_assert(err == DR_OK);
    dr_wr_put(&wr, bytes, len);
    m->ops->out_end(m->data, p, dr_wr_ok(&wr) ? dr_wr_len(&wr) : 0);
}

/* The same message again, and we are through with the first one. */
static void repeat_answer(struct cx_msg *m, struct cx_mpeer *p, const struct cx_req *req,
                          const struct cx_ring_entry *e)
{
    switch (e->kind) {
    case CX_RING_RESET:
        cx_msg_send_empty(m, p, CX_RST, req->mid);
        break;
    case CX_RING_ANSWER:
        if (e->code == CX_EMPTY) {
            cx_msg_send_empty(m, p, CX_ACK, req->mid);
        } else {
            repeat_bytes(m, p, req, e->code, e->data, e->len);
        }
        break;
    case CX_RING_STORED: {
        const struct cx_stored *s = stored_get(m, p, e->number);
        if (s != NULL && s->mid == req->mid && s->hash == req->hash) {
            repeat_bytes(m, p, req, s->code, s->bytes, s->len);
        }
        break;
    }
    case CX_RING_SILENT:
        break;
    }
}

/* ---- answering ---- */

/* Where to encode: the owner's buffer, or, when nothing can be sent, one that is only remembered.
 */
static struct dr_wr out_open(struct cx_msg *m, struct cx_mpeer *p, bool *ret_sending)
{
    size_t room = cx_msg_room(m, p);
    uint8_t *buf = m->ops->out_begin(m->data, p, room);
    *ret_sending = buf != NULL;
    return dr_wr_of(buf != NULL ? buf : m->scratch, room);
}

void cx_exch_respond(struct cx_msg *m, struct cx_mpeer *p, const struct cx_req *req, uint8_t code,
                     const struct cx_opt *opts, size_t n_opts, const uint8_t *payload, size_t len)
{
    bool sending;
    struct dr_wr wr = out_open(m, p, &sending);
    uint8_t type = req->con ? CX_ACK : CX_NON;
    uint16_t mid = req->con ? req->mid : cx_msg_mid(p);

    dr_err_t err =
        cx_pdu_encode(&wr, type, code, mid, req->token, req->token_len, opts, n_opts, payload, len);
    if (err != DR_OK) { /* options of our own that do not fit */
        wr = dr_wr_of(wr.start, (size_t)(wr.end - wr.start));
        err = cx_pdu_encode(&wr, type, CX_SERVER_ERROR, mid, req->token, req->token_len, NULL, 0,
                            NULL, 0);
        dr_assert(err == DR_OK);
    }
    m->stats->responses++;
    remember_answer(m, p, req, wr.start, dr_wr_len(&wr));
    if (sending) {
        m->ops->out_end(m->data, p, dr_wr_len(&wr));
    }
}

static void option_add(struct answer *a, struct cx_opt opt)
{
    if (a->n_opts < CX_OPTS_MAX) {
        a->opts[a->n_opts++] = opt;
    }
}

static bool option_has(const struct cx_opt *opts, size_t n, uint16_t num)
{
    for (size_t i = 0; i < n; i++) {
        if (opts[i].num == num) {
            return true;
        }
    }
    return false;
}

static size_t options_size(const struct cx_opt *opts, size_t n)
{
    size_t size = 0;
    for (size_t i = 0; i < n; i++) {
        size += 5u + opts[i].len;
    }
    return size;
}

/* Body of a reply, wherever it lies. */
struct source {
    const uint8_t *p;
    size_t len;
    const uint8_t *etag;
    size_t etag_len;
    bool shared;
};

static struct source source_of(struct cx_msg *m, const struct cx_reply *reply, struct added *added)
{
    if (reply->body != NULL) {
        return (struct source){.p = reply->body->bytes,
                               .len = reply->body->len,
                               .etag = reply->body->etag,
                               .etag_len = reply->body->etag_len,
                               .shared = true};
    }
    struct source s = {.p = reply->payload, .len = reply->payload_len};
    if (s.len > CX_BLOCK_SIZE_MIN) { /* used only if it goes out in blocks */
        uint64_t h = dr_siphash(&m->key, s.p, s.len);
        memcpy(added->etag, &h, sizeof added->etag);
        s.etag = added->etag;
        s.etag_len = 4;
    }
    return s;
}

/* One block of a large body; a->opts has the reply's own options already. */
static void slice_fill(struct answer *a, const struct source *src, struct cx_block b)
{
    size_t len;
    if (!cx_block_slice(&b, src->len, &len)) {
        a->code = CX_BAD_REQUEST; /* behind the end */
        a->n_opts = 0;
        a->len = 0;
        return;
    }
    a->payload = len > 0 ? src->p + cx_block_offset(&b) : NULL;
    a->len = len;
    if (src->etag_len > 0 && !option_has(a->opts, a->n_opts, CX_OPT_ETAG)) {
        option_add(a, (struct cx_opt){CX_OPT_ETAG, (uint16_t)src->etag_len, src->etag});
    }
    option_add(a, cx_opt_uint(CX_OPT_BLOCK2, cx_block_encode(&b), a->added.block2));
    if (b.num == 0 || src->shared) { /* a download may begin anywhere */
        option_add(a, cx_opt_uint(CX_OPT_SIZE2, (uint32_t)src->len, a->added.size2));
    }
}

/* The block that the peer wants, or the first one in a size that fits a message. */
static struct cx_block wanted_block(const struct cx_exch *x, size_t overhead)
{
    struct cx_block b;
    uint16_t several = cx_msg_bert(x->m, x->peer, overhead);
    if (cx_msg_block(x->peer, x->block2, &b) != DR_OK) {
        b = (struct cx_block){.size = CX_BLOCK_SIZE_MAX, .count = several};
    }
    if (b.count != 0 && several != 0) {
        b.count = several;
        return b;
    }
    size_t room = cx_msg_room(x->m, x->peer);
    if (b.count != 0 && overhead + b.size > room) {
        b.count = 0;
    }
    while (b.size > CX_BLOCK_SIZE_MIN && overhead + b.size > room) {
        b.size = (uint16_t)(b.size / 2);
        b.num *= 2;
        if (b.num > CX_BLOCK_NUM_MAX) {
            b.num = CX_BLOCK_NUM_MAX;
        }
    }
    return b;
}

static void answer_fill(struct cx_exch *x, const struct cx_reply *reply, struct answer *a)
{
    size_t room = CX_OPTS_MAX - CX_OPTS_EXTRA;
    size_t n = reply->n_opts < room ? reply->n_opts : room;
    struct cx_msg *m = x->m;

    a->code = reply->code;
    a->n_opts = n;
    if (n > 0) {
        memcpy(a->opts, reply->opts, n * sizeof *a->opts);
    }
    struct cx_block b1;
    if (cx_msg_block(x->peer, x->block1, &b1) == DR_OK) {
        option_add(a, cx_opt_uint(CX_OPT_BLOCK1, (uint32_t)x->block1, a->added.block1));
    }
    size_t total = reply->body != NULL ? reply->body->len : reply->payload_len;
    size_t overhead = 4u + CX_TOKEN_MAX + 1u + options_size(a->opts, a->n_opts) + 25u;
    struct cx_block b = wanted_block(x, overhead);
    if (reply->code >> 5 != 2) {
        b.num = 0; /* an error is no block of anything */
    }
    bool own_block = option_has(a->opts, a->n_opts, CX_OPT_BLOCK2);
    if (own_block || total == 0 || (b.num == 0 && total <= cx_block_span(&b))) {
        a->payload = reply->body != NULL ? reply->body->bytes : reply->payload;
        a->len = total;
        if (!own_block && total > 0 && x->block2 >= 0) {
            option_add(a, cx_opt_uint(CX_OPT_BLOCK2, cx_block_encode(&b), a->added.block2));
        }
        return;
    }
    struct source src = source_of(m, reply, &a->added);
    slice_fill(a, &src, b);
    if (reply->body == NULL && total > cx_block_span(&b)) {
        if (!x->keyed) {
            dr_assert(m->cur == x && m->cur_pdu != NULL);
            exch_key_fill(x, m->cur_pdu);
        }
        struct cx_opt opts[CX_OPTS_MAX];
        memcpy(opts, a->opts, n * sizeof *opts);
        if (!option_has(opts, n, CX_OPT_ETAG)) {
            opts[n++] = (struct cx_opt){CX_OPT_ETAG, (uint16_t)src.etag_len, src.etag};
        }
        cx_kept_put(m, x->peer, &(struct cx_kept_key){x->key, x->body_hash}, reply->code, opts, n,
                    src.p, src.len);
    }
}

static void separate_expired(struct dr_timer *t, uint64_t now_ms)
{
    struct cx_exch *x = DR_CONTAINER_OF(t, struct cx_exch, timer);
    struct cx_msg *m = x->m;
    struct cx_mwork *w = x->peer->work;

    if (x->tries >= cx_timing_default.retransmit_max) {
        cx_exch_free(x);
        cx_msg_work_tidy(m, w);
        return;
    }
    x->tries++;
    x->timeout_ms *= 2;
    m->stats->retransmissions++;
    dr_timer_start(&m->wheel, &x->timer, now_ms + x->timeout_ms);
    cx_msg_send_copy(m, x->peer, x->sent, x->sent_len);
}

/* The empty ACK has gone out: the answer is a CON of its own. spec: RFC7252#5.2.2 */
static void answer_separately(struct cx_exch *x, const struct answer *a)
{
    struct cx_msg *m = x->m;
    struct cx_mpeer *p = x->peer;
    struct dr_wr wr = dr_wr_of(m->scratch, CX_MSG_MAX);
    uint16_t mid = cx_msg_mid(p);
    dr_err_t err = cx_pdu_encode(&wr, CX_CON, a->code, mid, x->req.token, x->req.token_len, a->opts,
                                 a->n_opts, a->payload, a->len);
    if (err != DR_OK) {
        wr = dr_wr_of(m->scratch, CX_MSG_MAX);
        err = cx_pdu_encode(&wr, CX_CON, CX_SERVER_ERROR, mid, x->req.token, x->req.token_len, NULL,
                            0, NULL, 0);
        dr_assert(err == DR_OK);
    }
    m->stats->responses++;
    struct cx_ring_entry e = {.kind = CX_RING_ANSWER, .mid = x->req.mid, .hash = x->req.hash};
    cx_msg_remember(m, p, &e);
    x->sent_len = (uint16_t)dr_wr_len(&wr);
    x->sent = malloc(x->sent_len);
    if (x->sent == NULL) {
        cx_msg_send_copy(m, p, m->scratch, x->sent_len);
        cx_exch_free(x);
        return;
    }
    memcpy(x->sent, m->scratch, x->sent_len);
    x->sent_mid = mid;
    x->state = CX_EXCH_SEPARATE;
    x->tries = 0;
    x->timeout_ms = cx_msg_timeout(m, &cx_timing_default);
    dr_timer_cancel(&m->wheel, &x->timer);
    x->timer.fn = separate_expired;
    dr_timer_start(&m->wheel, &x->timer, m->now_ms + x->timeout_ms);
    cx_msg_send_copy(m, p, x->sent, x->sent_len);
}

dr_err_t cx_msg_answer(struct cx_msg *m, cx_exchange_t id, const struct cx_reply *reply,
                       uint64_t now_ms)
{
    dr_assert(m != NULL && reply != NULL && reply->code >= 0x40);
    struct cx_exch *x = exch_get(m, id);
    if (x == NULL || x->state == CX_EXCH_SEPARATE || x->state == CX_EXCH_FREE) {
        return DR_ERR_NOT_FOUND;
    }
    if (now_ms > m->now_ms) {
        m->now_ms = now_ms;
    }
    struct answer a;
    answer_fill(x, reply, &a);
    if (x->assembly != NULL) {
        struct cx_assembly *done = x->assembly;
        x->assembly = NULL;
        cx_assembly_free(done);
    }
    struct cx_mpeer *p = x->peer;
    if (x->acked) {
        answer_separately(x, &a);
    } else {
        cx_exch_respond(m, p, &x->req, a.code, a.opts, a.n_opts, a.payload, a.len);
        if (x == m->cur) {
            m->cur = NULL;
        }
        cx_exch_free(x);
    }
    if (p->work != NULL) {
        cx_msg_work_tidy(m, p->work);
    }
    return DR_OK;
}

void cx_msg_forget(struct cx_msg *m, cx_exchange_t id)
{
    dr_assert(m != NULL);
    struct cx_exch *x = exch_get(m, id);
    if (x == NULL || x->state == CX_EXCH_SEPARATE || x->state == CX_EXCH_FREE) {
        return;
    }
    struct cx_mpeer *p = x->peer;
    if (cx_is_stream(p)) { /* it would wait for ever */
        (void)cx_msg_answer(m, id, &(struct cx_reply){.code = CX_UNAVAILABLE}, m->now_ms);
        return;
    }
    if (x->assembly != NULL) {
        cx_assembly_reopen(x->assembly);
        x->assembly = NULL;
    }
    if (x == m->cur) {
        m->cur = NULL;
    }
    cx_exch_free(x);
    if (p->work != NULL) {
        cx_msg_work_tidy(m, p->work);
    }
}

bool cx_exch_acked(struct cx_msg *m, struct cx_mpeer *p, uint16_t mid)
{
    struct cx_mwork *w = p->work;
    if (w == NULL) {
        return false;
    }
    DR_LIST_EACH(it, &w->exchanges)
    {
        struct cx_exch *x = DR_CONTAINER_OF(it, struct cx_exch, node);
        if (x->state == CX_EXCH_SEPARATE && x->sent_mid == mid) {
            cx_exch_free(x);
            cx_msg_work_tidy(m, w);
            return true;
        }
    }
    return false;
}

/* ---- requests ---- */

static void ack_due(struct dr_timer *t, uint64_t now_ms)
{
    (void)now_ms;
    struct cx_exch *x = DR_CONTAINER_OF(t, struct cx_exch, timer);
    x->acked = true;
    cx_msg_send_empty(x->m, x->peer, CX_ACK, x->req.mid);
}

/* The callback has returned without an answer. */
static void exch_wait(struct cx_exch *x, const struct cx_pdu *pdu)
{
    struct cx_msg *m = x->m;
    struct cx_mwork *w = cx_msg_work(m, x->peer);
    if (w == NULL) {
        cx_exch_free(x); /* no memory: as if the request was lost on its way */
        return;
    }
    exch_key_fill(x, pdu);
    x->state = CX_EXCH_WAIT;
    dr_list_push_back(&w->exchanges, &x->node);
    w->n_exchanges++;
    if (x->req.con) {
        x->timer.fn = ack_due;
        dr_timer_start(&m->wheel, &x->timer, m->now_ms + CX_ACK_DELAY_MS);
    }
}

void cx_msg_ack(struct cx_msg *m, cx_exchange_t id)
{
    dr_assert(m != NULL);
    struct cx_exch *x = exch_get(m, id);

    if (x != NULL && x == m->cur && x->req.con) {
        /* in the callback: from now on as if it had returned */
        m->cur = NULL;
        exch_wait(x, m->cur_pdu);
        x = exch_get(m, id);
    }
    if (x != NULL && x->state == CX_EXCH_WAIT && x->req.con && !x->acked) {
        dr_timer_cancel(&m->wheel, &x->timer);
        ack_due(&x->timer, m->now_ms);
    }
}

/* A duplicate of a request that we have not answered yet. */
static bool pending_duplicate(struct cx_msg *m, struct cx_mpeer *p, const struct cx_req *req)
{
    if (p->work == NULL) {
        return false;
    }
    DR_LIST_EACH(it, &p->work->exchanges)
    {
        const struct cx_exch *x = DR_CONTAINER_OF(it, struct cx_exch, node);
        if (x->req.mid == req->mid && x->req.hash == req->hash) {
            if (x->acked) {
                cx_msg_send_empty(m, p, CX_ACK, req->mid);
            }
            return true;
        }
    }
    return false;
}

static void plain(struct cx_msg *m, struct cx_mpeer *p, const struct cx_req *req, uint8_t code)
{
    cx_exch_respond(m, p, req, code, NULL, 0, NULL, 0);
}

static bool bad_block(const struct cx_mpeer *p, int32_t raw)
{
    struct cx_block b;
    return cx_msg_block(p, raw, &b) == DR_ERR_PROTO;
}

static void exch_run(struct cx_msg *m, struct cx_mpeer *p, const struct cx_pdu *pdu,
                     const struct cx_req *req, struct cx_assembly *assembly)
{
    if (p->work != NULL && p->work->n_exchanges >= m->limits.exchanges_per_peer_max) {
        if (assembly != NULL) {
            cx_assembly_reopen(assembly);
        }
        plain(m, p, req, CX_UNAVAILABLE);
        return;
    }
    struct cx_exch *x = exch_new(m, p, req);
    if (x == NULL) {
        return;
    }
    x->block1 = pdu->block1;
    x->block2 = pdu->block2;
    struct cx_pdu whole = *pdu;
    if (assembly != NULL) {
        x->assembly = assembly;
        assembly->exch = x;
        whole.payload = assembly->body.p;
        whole.payload_len = assembly->body.len;
    }
    m->stats->requests++;
    m->cur = x;
    m->reading = x;
    m->cur_pdu = &whole;
    cx_exchange_t id = exch_id(x);
    m->ops->request(m->data, p, id, &whole);

    bool open = m->cur == x;
    m->cur = NULL;
    m->reading = NULL;
    m->cur_pdu = NULL;
    dr_dynbuf_fini(&m->cur_body);
    if (!open) {
        return; /* answered or forgotten; p may have gone */
    }
    if (x->peer == NULL) {
        cx_exch_free(x);
        return;
    }
    exch_wait(x, &whole);
}

void cx_exch_input(struct cx_msg *m, struct cx_mpeer *p, const struct cx_pdu *pdu, uint32_t hash,
                   bool bad_option)
{
    bool stream = cx_is_stream(p);
    struct cx_req req = {.hash = hash,
                         .mid = pdu->mid,
                         .con = pdu->type == CX_CON && !stream,
                         .code = pdu->code,
                         .token_len = pdu->token_len};
    memcpy(req.token, pdu->token, sizeof req.token);

    struct cx_ring_entry e;
    bool handled = !stream && cx_msg_recall(m, p, req.mid, hash, &e);
    if (handled) {
        m->stats->duplicates++;
        repeat_answer(m, p, &req, &e);
        return;
    }
    if (!stream && pending_duplicate(m, p, &req)) {
        m->stats->duplicates++;
        return;
    }
    if (bad_option) { /* spec: RFC7252#5.4.1: a NON is silently rejected */
        if (req.con || stream) {
            plain(m, p, &req, CX_BAD_OPTION);
        }
        return;
    }
    if (bad_block(p, pdu->block1) || bad_block(p, pdu->block2)) {
        plain(m, p, &req, CX_BAD_REQUEST);
        return;
    }
    struct cx_block b2;
    if (pdu->block1 < 0 && cx_msg_block(p, pdu->block2, &b2) == DR_OK && b2.num > 0) {
        struct cx_kept_key key = {cx_msg_key(m, pdu->code, pdu), body_hash(m, pdu)};
        if (cx_kept_serve(m, p, &key, &req, b2)) {
            return;
        }
    }
    struct cx_assembly *assembly = NULL;
    if (pdu->block1 >= 0 && !cx_assembly_input(m, p, pdu, &req, &assembly)) {
        return;
    }
    exch_run(m, p, pdu, &req, assembly);
}
