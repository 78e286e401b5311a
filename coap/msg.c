/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "coap/msg_priv.h"

#define BODY_DEFAULT       65536u
#define ASSEMBLIES_DEFAULT 10000u
#define EXCHANGES_DEFAULT  8u
#define CALLS_DEFAULT      64u
#define PEERS_DEFAULT      1200000u
/* Slabs of things that the limits above bound per peer only. */
#define SLAB_MAX           (1u << 24)

const struct cx_timing cx_timing_default = {
    .ack_timeout_ms = 2000,
    .random_factor_pct = 150,
    .retransmit_max = 4,
    .response_timeout_ms = 120000,
};

static uint32_t or_default(uint32_t value, uint32_t standard)
{
    return value != 0 ? value : standard;
}

static dr_err_t slabs_init(struct cx_msg *m)
{
    uint32_t peers = or_default(m->limits.peers_max, PEERS_DEFAULT);
    const struct {
        struct dr_slab *slab;
        size_t size;
        uint32_t max;
        uint32_t flags;
    } all[] = {
        {&m->rings, sizeof(struct cx_ring), peers, 0},
        {&m->works, sizeof(struct cx_mwork), peers, 0},
        {&m->txs, sizeof(struct cx_tx), peers, 0},
        {&m->exchs, sizeof(struct cx_exch), SLAB_MAX, DR_SLAB_KEEP},
        {&m->assemblies, sizeof(struct cx_assembly), m->limits.assemblies_max, 0},
        {&m->kepts, sizeof(struct cx_kept), m->limits.assemblies_max, 0},
        {&m->storeds, sizeof(struct cx_stored), SLAB_MAX, 0},
    };

    for (size_t i = 0; i < DR_ARRAY_LEN(all); i++) {
        dr_err_t err = dr_slab_init(all[i].slab, all[i].size, all[i].max, all[i].flags);
        if (err != DR_OK) {
            return err;
        }
    }
    return DR_OK;
}

dr_err_t cx_msg_new(const struct cx_msg_config *config, struct cx_msg **ret)
{
    dr_assert(config != NULL && config->ops != NULL && ret != NULL);
    const struct cx_msg_ops *ops = config->ops;
    dr_assert(ops->out_begin != NULL && ops->out_end != NULL && ops->request != NULL);
    dr_assert(ops->notify != NULL && ops->random != NULL);

    struct cx_msg *m = calloc(1, sizeof *m);
    if (m == NULL) {
        return DR_ERR_NOMEM;
    }
    m->ops = ops;
    m->data = config->data;
    m->limits = config->limits;
    m->limits.body_max = or_default(m->limits.body_max, BODY_DEFAULT);
    m->limits.assemblies_max = or_default(m->limits.assemblies_max, ASSEMBLIES_DEFAULT);
    m->limits.exchanges_per_peer_max =
        or_default(m->limits.exchanges_per_peer_max, EXCHANGES_DEFAULT);
    m->limits.calls_per_peer_max = or_default(m->limits.calls_per_peer_max, CALLS_DEFAULT);
    m->stats = config->stats != NULL ? config->stats : &m->own_stats;
    m->now_ms = config->now_ms;
    dr_wheel_init(&m->wheel, config->now_ms);
    dr_list_init(&m->works_list);
    dr_list_init(&m->stored_list);
    cx_msg_random(m, (uint8_t *)&m->key, sizeof m->key);

    dr_err_t err = slabs_init(m);
    if (err != DR_OK) {
        return cx_msg_free(m), err;
    }
    *ret = m;
    return DR_OK;
}

struct cx_msg *cx_msg_free(struct cx_msg *m)
{
    if (m == NULL) {
        return NULL;
    }
    dr_assert(m->n_open == 0 && m->done_head == NULL && dr_list_empty(&m->works_list));
    cx_stored_free_all(m);
    struct dr_slab *slabs[] = {&m->rings,      &m->works, &m->txs,    &m->exchs,
                               &m->assemblies, &m->kepts, &m->storeds};
    for (size_t i = 0; i < DR_ARRAY_LEN(slabs); i++) {
        dr_slab_fini(slabs[i]);
    }
    free(m);
    return NULL;
}

void cx_msg_random(struct cx_msg *m, uint8_t *buf, size_t len)
{
    dr_assert(m != NULL && len <= sizeof m->pool);
    if (m->pool_left < len) {
        m->ops->random(m->data, m->pool, sizeof m->pool);
        m->pool_left = sizeof m->pool;
    }
    m->pool_left -= len;
    memcpy(buf, m->pool + m->pool_left, len);
}

uint16_t cx_msg_mid(struct cx_mpeer *p)
{
    return p->mid++; /* 65,536 other ids lie between two uses of one; spec: RFC7252#4.4 */
}

uint32_t cx_msg_timeout(struct cx_msg *m, const struct cx_timing *t)
{
    uint32_t r;
    cx_msg_random(m, (uint8_t *)&r, sizeof r);
    uint32_t factor = t->random_factor_pct > 100 ? t->random_factor_pct - 100u : 0;
    uint64_t spread = (uint64_t)t->ack_timeout_ms * factor / 100;

    return t->ack_timeout_ms + (uint32_t)(r % (spread + 1));
}

/* ---- streams ---- */

void cx_msg_peer_set_stream(struct cx_mpeer *p)
{
    dr_assert(p != NULL && p->work == NULL && p->ring == 0);
    p->flags |= CX_MPEER_STREAM;
}

size_t cx_stream_room(const struct cx_msg *m, const struct cx_mpeer *p)
{
    if (m->ops->room_for == NULL) {
        return CX_MSG_MAX;
    }
    size_t room = m->ops->room_for(m->data, p);

    return room < CX_STREAM_MSG_MAX ? room : CX_STREAM_MSG_MAX;
}

uint16_t cx_stream_bert(const struct cx_msg *m, const struct cx_mpeer *p, size_t overhead)
{
    size_t room = cx_stream_room(m, p);

    if (room <= CX_MSG_MAX || overhead > room) {
        return 0;
    }
    size_t n = (room - overhead) / CX_BLOCK_SIZE_MAX;

    return (uint16_t)(n < CX_STREAM_BERT_MAX ? n : CX_STREAM_BERT_MAX);
}

/* ---- sending ---- */

void cx_msg_send_empty(struct cx_msg *m, struct cx_mpeer *p, uint8_t type, uint16_t mid)
{
    uint8_t *buf = cx_is_stream(p) ? NULL : m->ops->out_begin(m->data, p, 4);
    if (buf == NULL) {
        return;
    }
    struct dr_wr wr = dr_wr_of(buf, 4);
    dr_err_t err = cx_pdu_encode(&wr, type, CX_EMPTY, mid, NULL, 0, NULL, 0, NULL, 0);
    dr_assert(err == DR_OK);
    m->ops->out_end(m->data, p, 4);
}

void cx_msg_send_copy(struct cx_msg *m, struct cx_mpeer *p, const uint8_t *bytes, size_t len)
{
    dr_assert(len <= CX_MSG_MAX);
    uint8_t *buf = m->ops->out_begin(m->data, p, len);
    if (buf != NULL) {
        memcpy(buf, bytes, len);
        m->ops->out_end(m->data, p, len);
    }
}

/* ---- peers ---- */

void cx_msg_peer_init(struct cx_msg *m, struct cx_mpeer *p)
{
    dr_assert(m != NULL && p != NULL);
    *p = (struct cx_mpeer){0};
    cx_msg_random(m, (uint8_t *)&p->mid, sizeof p->mid);
}

void cx_msg_prefetch(const struct cx_msg *m, const struct cx_mpeer *p)
{
    if (p->ring != 0) {
        __builtin_prefetch(dr_slab_get(&m->rings, p->ring));
    }
}

bool cx_msg_peer_busy(const struct cx_mpeer *p)
{
    dr_assert(p != NULL);
    return p->work != NULL;
}

struct cx_mwork *cx_msg_work(struct cx_msg *m, struct cx_mpeer *p)
{
    if (p->work != NULL) {
        return p->work;
    }
    uint32_t self;
    if (dr_slab_alloc(&m->works, &self) != DR_OK) {
        return NULL;
    }
    struct cx_mwork *w = dr_slab_get(&m->works, self);
    w->self = self;
    w->peer = p;
    dr_list_init(&w->exchanges);
    dr_list_init(&w->assemblies);
    dr_list_init(&w->kept);
    dr_list_init(&w->fetches);
    dr_list_push_back(&m->works_list, &w->node);
    p->work = w;
    return w;
}

void cx_msg_work_tidy(struct cx_msg *m, struct cx_mwork *w)
{
    dr_assert(m != NULL && w != NULL);
    if (w->head != NULL || w->tx != NULL || !dr_list_empty(&w->exchanges) ||
        !dr_list_empty(&w->assemblies) || !dr_list_empty(&w->kept) || !dr_list_empty(&w->fetches)) {
        return;
    }
    w->peer->work = NULL;
    dr_list_remove(&w->node);
    dr_slab_free(&m->works, w->self);
}

static void work_drop(struct cx_msg *m, struct cx_mwork *w, dr_err_t why)
{
    cx_calls_end(m, w, why);
    cx_fetch_free_all(m, w);
    DR_LIST_EACH_SAFE(it, &w->exchanges)
    {
        cx_exch_free(DR_CONTAINER_OF(it, struct cx_exch, node));
    }
    DR_LIST_EACH_SAFE(it, &w->kept)
    {
        cx_kept_free(DR_CONTAINER_OF(it, struct cx_kept, node));
    }
    DR_LIST_EACH_SAFE(it, &w->assemblies)
    {
        cx_assembly_free(DR_CONTAINER_OF(it, struct cx_assembly, node));
    }
    cx_msg_work_tidy(m, w);
}

void cx_msg_peer_fini(struct cx_msg *m, struct cx_mpeer *p, dr_err_t why)
{
    dr_assert(m != NULL && p != NULL && why != DR_OK);
    if (m->cur != NULL && m->cur->peer == p) {
        m->cur->peer = NULL; /* its callback is running: cx_exch_input frees it */
    }
    if (p->work != NULL) {
        work_drop(m, p->work, why);
    }
    dr_assert(p->work == NULL);
    if (p->ring != 0) {
        uint32_t stored[CX_RING_STORED_MAX];
        size_t n = cx_ring_stored(dr_slab_get(&m->rings, p->ring), stored);
        for (size_t i = 0; i < n; i++) {
            cx_stored_drop(m, p, stored[i]);
        }
        dr_slab_free(&m->rings, p->ring);
        p->ring = 0;
    }
}

/* ---- duplicates ---- */

void cx_msg_remember(struct cx_msg *m, struct cx_mpeer *p, const struct cx_ring_entry *entry)
{
    if (cx_is_stream(p)) {
        return; /* nothing comes twice */
    }
    if (p->ring == 0 && dr_slab_alloc(&m->rings, &p->ring) != DR_OK) {
        p->ring = 0;
        if (entry->kind == CX_RING_STORED) {
            cx_stored_drop(m, p, entry->number);
        }
        return;
    }
    uint32_t pushed[CX_RING_STORED_MAX];
    size_t n = cx_ring_put(dr_slab_get(&m->rings, p->ring), entry, m->now_ms, pushed);
    for (size_t i = 0; i < n; i++) {
        cx_stored_drop(m, p, pushed[i]);
    }
}

bool cx_msg_recall(struct cx_msg *m, struct cx_mpeer *p, uint16_t mid, uint32_t hash,
                   struct cx_ring_entry *ret)
{
    return p->ring != 0 && cx_ring_find(dr_slab_get(&m->rings, p->ring), mid, hash, m->now_ms, ret);
}

/* ---- the four verbs ---- */

/* Says whether two messages with one id are the same message: everything but the id counts. */
static uint32_t content_hash(const struct cx_msg *m, const uint8_t *bytes, size_t len)
{
    uint64_t h = dr_siphash(&m->key, bytes + 4, len - 4);
    return dr_mix32(h ^ ((uint64_t)bytes[0] << 8 | bytes[1]));
}

static void malformed(struct cx_msg *m, struct cx_mpeer *p, const uint8_t *bytes, size_t len)
{
    uint8_t type;
    uint16_t mid;

    m->stats->malformed++;
    if (cx_pdu_peek(bytes, len, &type, &mid) && type == CX_CON) {
        m->stats->resets_sent++;
        cx_msg_send_empty(m, p, CX_RST, mid); /* spec: RFC7252#4.2 */
    }
}

static void empty_input(struct cx_msg *m, struct cx_mpeer *p, const struct cx_pdu *pdu)
{
    switch (pdu->type) {
    case CX_CON: /* a ping; spec: RFC7252#4.3 */
        m->stats->resets_sent++;
        cx_msg_send_empty(m, p, CX_RST, pdu->mid);
        break;
    case CX_ACK:
        if (!cx_exch_acked(m, p, pdu->mid)) {
            (void)cx_tx_acked(m, p, pdu->mid);
        }
        break;
    case CX_RST:
        if (!cx_exch_acked(m, p, pdu->mid)) {
            (void)cx_tx_reset(m, p, pdu->mid);
        }
        break;
    default:
        break;
    }
}

static void acknowledge(struct cx_msg *m, struct cx_mpeer *p, const struct cx_pdu *pdu,
                        uint32_t hash, bool taken)
{
    struct cx_ring_entry e = {.mid = pdu->mid, .hash = hash, .kind = CX_RING_SILENT};

    if (pdu->type == CX_CON) {
        e.kind = taken ? CX_RING_ANSWER : CX_RING_RESET;
        m->stats->resets_sent += taken || cx_is_stream(p) ? 0 : 1;
        cx_msg_send_empty(m, p, taken ? CX_ACK : CX_RST, pdu->mid);
    } else if (!taken) {
        m->stats->resets_sent++;
        cx_msg_send_empty(m, p, CX_RST, pdu->mid); /* ends an observation; spec: RFC7641#3.6 */
    }
    cx_msg_remember(m, p, &e);
}

/* No call waits for it. */
static void notification_input(struct cx_msg *m, struct cx_mpeer *p, const struct cx_pdu *pdu,
                               uint32_t hash, bool bad_option)
{
    if (bad_option) {
        acknowledge(m, p, pdu, hash, false);
        return;
    }
    if (m->ops->room != NULL && !m->ops->room(m->data)) {
        return; /* as if it had been lost */
    }
    m->stats->notifications++;
    cx_fetch_abort(m, p, pdu);
    struct cx_fetch *fetch = cx_fetch_new(m, p, pdu);
    if (fetch != NULL) {
        acknowledge(m, p, pdu, hash, true);
        cx_fetch_start(fetch);
        return;
    }
    bool taken = m->ops->notify(m->data, p, pdu);
    acknowledge(m, p, pdu, hash, taken);
}

static void response_input(struct cx_msg *m, struct cx_mpeer *p, const struct cx_pdu *pdu,
                           uint32_t hash, bool bad_option)
{
    if (pdu->type == CX_ACK) {
        (void)cx_tx_response(m, p, pdu, hash, bad_option);
        return;
    }
    struct cx_ring_entry e;
    if (cx_msg_recall(m, p, pdu->mid, hash, &e)) {
        m->stats->duplicates++;
        if (pdu->type == CX_CON) {
            cx_msg_send_empty(m, p, e.kind == CX_RING_RESET ? CX_RST : CX_ACK, pdu->mid);
        }
        return;
    }
    if (!cx_tx_response(m, p, pdu, hash, bad_option)) {
        notification_input(m, p, pdu, hash, bad_option);
    }
}

static void now_set(struct cx_msg *m, uint64_t now_ms)
{
    if (now_ms > m->now_ms) {
        m->now_ms = now_ms;
    }
}

void cx_msg_input(struct cx_msg *m, struct cx_mpeer *p, const uint8_t *bytes, size_t len,
                  uint64_t now_ms)
{
    dr_assert(m != NULL && p != NULL && m->cur == NULL && (bytes != NULL || len == 0));
    struct cx_pdu pdu;
    now_set(m, now_ms);

    dr_err_t err = cx_pdu_decode(bytes, len, &pdu);
    if (err == DR_ERR_PROTO) {
        malformed(m, p, bytes, len);
        return;
    }
    if (pdu.code == CX_EMPTY) {
        empty_input(m, p, &pdu);
        return;
    }
    bool bad_option = err == DR_ERR_UNSUPPORTED;
    uint8_t class = pdu.code >> 5;
    if (class == 0 && (pdu.type == CX_CON || pdu.type == CX_NON)) {
        cx_exch_input(m, p, &pdu, content_hash(m, bytes, len), bad_option);
    } else if ((class == 2 || class == 4 || class == 5) && pdu.type != CX_RST) {
        response_input(m, p, &pdu, content_hash(m, bytes, len), bad_option);
    } else {
        malformed(m, p, bytes, len); /* a reserved class; spec: RFC7252#4.2 */
    }
}

void cx_msg_input_frame(struct cx_msg *m, struct cx_mpeer *p, const struct cx_pdu *pdu,
                        bool bad_option, uint64_t now_ms)
{
    dr_assert(m != NULL && p != NULL && pdu != NULL && m->cur == NULL && cx_is_stream(p));
    now_set(m, now_ms);
    switch (pdu->code >> 5) {
    case 0:
        if (pdu->code != CX_EMPTY) { /* an empty one is to be ignored. spec: RFC8323#3.4 */
            cx_exch_input(m, p, pdu, 0, bad_option);
        }
        break;
    case 2:
    case 4:
    case 5:
        response_input(m, p, pdu, 0, bad_option);
        break;
    default:
        m->stats->malformed++;
        break;
    }
}

uint64_t cx_msg_deadline(const struct cx_msg *m)
{
    dr_assert(m != NULL);
    if (m->done_head != NULL) {
        return 0;
    }
    uint64_t at = dr_wheel_deadline(&m->wheel);
    const struct cx_stored *oldest = DR_LIST_FIRST(&m->stored_list, struct cx_stored, node);
    return oldest != NULL && oldest->until_ms < at ? oldest->until_ms : at;
}

void cx_msg_expire(struct cx_msg *m, uint64_t now_ms)
{
    dr_assert(m != NULL && m->cur == NULL);
    now_set(m, now_ms);
    dr_wheel_advance(&m->wheel, m->now_ms);
    cx_stored_expire(m);
    cx_calls_run_done(m);
}
