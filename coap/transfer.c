/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the next message of a call is. Its payload goes out in Block1 while off grows; then its
 * response comes in by Block2 while rx grows; a call without large bodies is one message of
 * neither.
 *
 *   request, whole or block 0 --2.31--> next block ... last block --2.05 Block2 more--> GET block 1
 * ... ^ 4.13 with a smaller size, 4.08 once: from the start           ^ ETag changed once: from the
 * start 4.01 with Echo once: the same message with the Echo value. spec: RFC9175#2.3
 */
#include <string.h>

#include "coap/msg_priv.h"

/* Most bytes of Block1, Size1, Block2, Request-Tag, Echo and of the header around a request. */
#define OWN_OVERHEAD (4 + CX_TOKEN_MAX + 1 + 5 + 6 + 5 + 7 + 43)

static bool opts_have(const struct cx_call *call, uint16_t num)
{
    for (size_t i = 0; i < call->n_opts; i++) {
        if (call->opts[i].num == num) {
            return true;
        }
    }
    return false;
}

static bool observes(const struct cx_call *call)
{
    for (size_t i = 0; i < call->n_opts; i++) {
        uint32_t v;
        if (call->opts[i].num == CX_OPT_OBSERVE && cx_opt_get_uint(&call->opts[i], &v) == DR_OK) {
            return v == 0;
        }
    }
    return false;
}

static bool names_resource(uint16_t num)
{
    return num == CX_OPT_URI_PATH || num == CX_OPT_URI_QUERY;
}

static size_t overhead_of(const struct cx_call *call)
{
    size_t size = OWN_OVERHEAD;
    for (size_t i = 0; i < call->n_opts; i++) {
        const struct cx_opt *o = &call->opts[i];
        size += 3u + (o->num >= 269 ? 1u : 0u) + (o->len >= 269 ? 1u : 0u) + o->len;
    }
    return size;
}

static bool numbers_suffice(size_t len, uint16_t size)
{
    return len / size <= CX_BLOCK_NUM_MAX;
}

/* A large body of a notification stays here for the observer to fetch. */
static void notification_keep(struct cx_tx *tx)
{
    const struct cx_call *call = tx->call;
    struct cx_opt names[CX_OPTS_MAX], opts[CX_OPTS_MAX];
    size_t n_names = 0, n = 0;
    for (size_t i = 0; i < call->n_opts; i++) {
        if (names_resource(call->opts[i].num)) {
            names[n_names++] = call->opts[i];
        } else {
            opts[n++] = call->opts[i];
        }
    }
    uint8_t bytes[CX_MSG_MAX];
    struct dr_wr wr = dr_wr_of(bytes, sizeof bytes);
    struct cx_pdu view;
    if (cx_pdu_encode(&wr, CX_NON, CX_GET, 0, NULL, 0, names, n_names, NULL, 0) == DR_OK &&
        cx_pdu_decode(bytes, dr_wr_len(&wr), &view) == DR_OK) {
        struct cx_kept_key key = {.key = cx_msg_key(tx->m, CX_GET, &view), .body_hash = 0};
        cx_kept_put(tx->m, tx->w_peer, &key, call->code, opts, n, call->payload, call->payload_len);
    }
}

/* The block size that this peer has asked for, so that it need not ask again with each body. */
static uint16_t size_learned(const struct cx_mpeer *p)
{
    uint32_t szx = (p->flags & CX_MPEER_SZX_MASK) >> CX_MPEER_SZX_SHIFT;
    return (uint16_t)(szx == 0 ? CX_BLOCK_SIZE_MAX : CX_BLOCK_SIZE_MIN << (szx - 1));
}

static void size_learn(struct cx_mpeer *p, uint16_t size)
{
    uint32_t szx = (uint32_t)__builtin_ctz(size) - 4 + 1;
    p->flags = (uint16_t)((p->flags & ~CX_MPEER_SZX_MASK) | szx << CX_MPEER_SZX_SHIFT);
}

/* Bytes of the payload that go in one message. */
static size_t tx_span(const struct cx_tx *tx)
{
    return tx->count != 0 ? (size_t)tx->count * tx->size : tx->size;
}

dr_err_t cx_transfer_begin(struct cx_tx *tx)
{
    dr_assert(tx != NULL);
    struct cx_call *call = tx->call;

    tx->token_len = call->token_len;
    memcpy(tx->token, call->token, sizeof tx->token);
    tx->own_blocks = opts_have(call, CX_OPT_BLOCK1) || opts_have(call, CX_OPT_BLOCK2);
    tx->size = cx_block_size_floor(call->block_size != 0 ? call->block_size : CX_BLOCK_SIZE_MAX);
    tx->ask_size = !tx->own_blocks && tx->size < CX_BLOCK_SIZE_MAX &&
                   !cx_call_is_notification(call) &&
                   (call->code == CX_GET || call->code == CX_FETCH);
    if (!cx_call_is_notification(call) && size_learned(tx->w_peer) < tx->size) {
        tx->size = size_learned(tx->w_peer);
    }
    size_t overhead = overhead_of(call);
    if (call->n_opts > CX_OPTS_MAX - CX_OPTS_EXTRA) {
        return DR_ERR_TOO_LARGE;
    }
    size_t room = cx_msg_room(tx->m, tx->w_peer);
    if (tx->own_blocks) {
        return overhead + call->payload_len <= room ? DR_OK : DR_ERR_TOO_LARGE;
    }
    size_t part = call->payload_len < tx->size ? call->payload_len : tx->size;
    while (overhead + part > room) {
        if (tx->size == CX_BLOCK_SIZE_MIN) {
            return DR_ERR_TOO_LARGE;
        }
        tx->size = (uint16_t)(tx->size / 2);
        part = call->payload_len < tx->size ? call->payload_len : tx->size;
    }
    if (tx->size == CX_BLOCK_SIZE_MAX) {
        tx->count = cx_msg_bert(tx->m, tx->w_peer, overhead);
    }
    tx->blocks = call->payload_len > tx_span(tx);
    if (!numbers_suffice(call->payload_len, tx->size)) {
        return DR_ERR_TOO_LARGE;
    }
    if (tx->blocks && !cx_call_is_notification(call) && call->payload_from < call->payload_len) {
        tx->off = call->payload_from - call->payload_from % tx->size;
    }
    call->payload_from = tx->off;
    if (tx->blocks && cx_call_is_notification(call)) {
        notification_keep(tx);
    } else if (tx->blocks && (tx->w_peer->flags & CX_MPEER_TAG) != 0) {
        tx->tag_len = sizeof tx->tag;
        cx_msg_random(tx->m, tx->tag, sizeof tx->tag);
    }
    if (cx_call_is_fetch(call)) {
        cx_fetch_take_rx(call, &tx->rx);
    }
    return DR_OK;
}

/* ---- encoding ---- */

struct message {
    struct cx_opt opts[CX_OPTS_MAX];
    size_t n;
    const uint8_t *payload;
    size_t len;
    uint8_t block1[4], block2[4], size[4];
};

static size_t rx_len(const struct cx_rx *rx)
{
    return rx->buf.len - rx->opts_len;
}

static void opts_copy(struct message *msg, const struct cx_call *call, bool (*skip)(uint16_t num))
{
    for (size_t i = 0; i < call->n_opts; i++) {
        if (skip == NULL || !skip(call->opts[i].num)) {
            msg->opts[msg->n++] = call->opts[i];
        }
    }
}

static bool is_observe(uint16_t num)
{
    return num == CX_OPT_OBSERVE;
}

static void tag_add(const struct cx_tx *tx, struct message *msg)
{
    if (tx->tag_len > 0) {
        msg->opts[msg->n++] = (struct cx_opt){CX_OPT_REQUEST_TAG, tx->tag_len, tx->tag};
    }
}

/* The next piece of a response. spec: RFC7959#2.4 */
static void fill_next_block2(const struct cx_tx *tx, struct message *msg)
{
    const struct cx_call *call = tx->call;
    struct cx_block b = {.num = (uint32_t)(rx_len(&tx->rx) / tx->rx.size),
                         .size = tx->rx.size,
                         .count = tx->rx.bert ? 1 : 0};

    opts_copy(msg, call, is_observe);
    msg->opts[msg->n++] = cx_opt_uint(CX_OPT_BLOCK2, cx_block_encode(&b), msg->block2);
    tag_add(tx, msg);
    if (call->code == CX_FETCH && !tx->blocks) { /* part of what names the representation */
        msg->payload = call->payload;
        msg->len = call->payload_len;
    }
}

static void fill_notification(const struct cx_tx *tx, struct message *msg)
{
    const struct cx_call *call = tx->call;
    opts_copy(msg, call, names_resource);
    msg->payload = call->payload;
    msg->len = call->payload_len;
    if (tx->blocks) {
        struct cx_block b = {.num = 0, .size = tx->size, .more = true, .count = tx->count};
        msg->len = tx_span(tx);
        msg->opts[msg->n++] = cx_opt_uint(CX_OPT_BLOCK2, cx_block_encode(&b), msg->block2);
        msg->opts[msg->n++] = cx_opt_uint(CX_OPT_SIZE2, (uint32_t)call->payload_len, msg->size);
    }
}

static void fill_request(const struct cx_tx *tx, struct message *msg)
{
    const struct cx_call *call = tx->call;
    opts_copy(msg, call, NULL);
    msg->payload = call->payload;
    msg->len = call->payload_len;
    if (tx->blocks) {
        struct cx_block b = {
            .num = (uint32_t)(tx->off / tx->size), .size = tx->size, .count = tx->count};
        b.more = call->payload_len - tx->off > tx_span(tx);
        msg->payload = call->payload + tx->off;
        msg->len = b.more ? tx_span(tx) : call->payload_len - tx->off;
        msg->opts[msg->n++] = cx_opt_uint(CX_OPT_BLOCK1, cx_block_encode(&b), msg->block1);
        if (tx->off == 0) {
            msg->opts[msg->n++] = cx_opt_uint(CX_OPT_SIZE1, (uint32_t)call->payload_len, msg->size);
        }
        tag_add(tx, msg);
    }
    if (tx->ask_size) {
        struct cx_block b = {.num = 0, .size = tx->size};
        msg->opts[msg->n++] = cx_opt_uint(CX_OPT_BLOCK2, cx_block_encode(&b), msg->block2);
    }
}

dr_err_t cx_transfer_encode(struct cx_tx *tx, struct dr_wr *wr)
{
    dr_assert(tx != NULL && wr != NULL);
    const struct cx_call *call = tx->call;
    struct message msg;
    msg.n = 0;
    msg.payload = NULL;
    msg.len = 0;

    if (cx_call_is_notification(call)) {
        fill_notification(tx, &msg);
    } else if (tx->rx.active) {
        fill_next_block2(tx, &msg);
    } else {
        fill_request(tx, &msg);
    }
    if (tx->echo_len > 0) {
        msg.opts[msg.n++] = (struct cx_opt){CX_OPT_ECHO, tx->echo_len, tx->echo};
    }
    return cx_pdu_encode(wr, call->non ? CX_NON : CX_CON, call->code, tx->mid, tx->token,
                         tx->token_len, msg.opts, msg.n, msg.payload, msg.len);
}

/* ---- collecting a response ---- */

void cx_rx_fini(struct cx_rx *rx)
{
    dr_assert(rx != NULL);
    dr_dynbuf_fini(&rx->buf);
    *rx = (struct cx_rx){0};
}

static void etag_of(const struct cx_pdu *pdu, uint8_t *ret_len, uint8_t ret[8])
{
    struct cx_opt opt;
    *ret_len = 0;
    if (cx_opt_find(pdu, CX_OPT_ETAG, &opt) && opt.len <= 8) {
        *ret_len = (uint8_t)opt.len;
        memcpy(ret, opt.val, opt.len);
    }
}

dr_err_t cx_rx_begin(struct cx_msg *m, const struct cx_mpeer *p, struct cx_rx *rx,
                     const struct cx_pdu *pdu)
{
    dr_assert(m != NULL && rx != NULL && pdu != NULL && !rx->active);
    struct cx_block b;
    if (cx_msg_block(p, pdu->block2, &b) != DR_OK || b.num != 0 || !b.more ||
        !cx_block_holds(&b, pdu->payload_len)) {
        return DR_ERR_PROTO;
    }
    if (pdu->size2 > (int64_t)m->limits.body_max || pdu->payload_len > m->limits.body_max) {
        return DR_ERR_TOO_LARGE;
    }
    bool restarted = rx->restarted;
    cx_rx_fini(rx);
    rx->restarted = restarted;
    rx->first = *pdu;
    rx->opts_len = pdu->opts_len;
    rx->size = b.size;
    rx->bert = b.count != 0;
    etag_of(pdu, &rx->etag_len, rx->etag);
    dr_dynbuf_init(&rx->buf, m->limits.body_max + pdu->opts_len);
    dr_dynbuf_append(&rx->buf, pdu->opts, pdu->opts_len);
    dr_dynbuf_append(&rx->buf, pdu->payload, pdu->payload_len);
    dr_err_t err = dr_dynbuf_err(&rx->buf);
    if (err != DR_OK) {
        cx_rx_fini(rx);
        return err;
    }
    rx->active = true;
    return DR_OK;
}

static void rx_start(struct cx_tx *tx, const struct cx_pdu *pdu)
{
    dr_err_t err = cx_rx_begin(tx->m, tx->w_peer, &tx->rx, pdu);
    if (err != DR_OK) {
        cx_tx_complete(tx, err, NULL);
        return;
    }
    if (observes(tx->call)) { /* notifications with the call's token may come in between */
        tx->token_len = CX_TOKEN_MAX;
        cx_msg_random(tx->m, tx->token, CX_TOKEN_MAX);
    }
    cx_tx_send(tx);
}

static void rx_complete(struct cx_tx *tx)
{
    struct cx_rx *rx = &tx->rx;
    struct cx_pdu whole = rx->first;
    whole.opts = rx->buf.p;
    whole.opts_len = rx->opts_len;
    whole.payload = rx->buf.p + rx->opts_len;
    whole.payload_len = rx_len(rx);
    whole.block2 = -1;
    cx_tx_complete(tx, DR_OK, &whole);
}

/* The representation changed under our hands: once more from its start. */
static void rx_restart(struct cx_tx *tx)
{
    uint8_t code = tx->call->code;
    if (tx->rx.restarted || (code != CX_GET && code != CX_FETCH)) {
        cx_tx_complete(tx, DR_ERR_PROTO, NULL);
        return;
    }
    cx_rx_fini(&tx->rx);
    tx->rx.restarted = true;
    tx->off = 0;
    tx->body_done = false;
    tx->token_len = tx->call->token_len;
    memcpy(tx->token, tx->call->token, sizeof tx->token);
    cx_tx_send(tx);
}

static void rx_next(struct cx_tx *tx, const struct cx_pdu *pdu)
{
    struct cx_rx *rx = &tx->rx;
    struct cx_block b;
    uint8_t etag_len, etag[8];

    if (pdu->code >> 5 != 2) {
        cx_tx_complete(tx, DR_OK, pdu);
        return;
    }
    dr_err_t err = cx_msg_block(tx->w_peer, pdu->block2, &b);
    if (err == DR_ERR_NOT_FOUND) { /* the whole body after all */
        cx_tx_complete(tx, DR_OK, pdu);
        return;
    }
    if (err != DR_OK || cx_block_offset(&b) != rx_len(rx) ||
        !cx_block_holds(&b, pdu->payload_len)) {
        cx_tx_complete(tx, DR_ERR_PROTO, NULL);
        return;
    }
    etag_of(pdu, &etag_len, etag);
    if (etag_len != rx->etag_len || memcmp(etag, rx->etag, etag_len) != 0) {
        rx_restart(tx);
        return;
    }
    dr_dynbuf_append(&rx->buf, pdu->payload, pdu->payload_len);
    err = dr_dynbuf_err(&rx->buf);
    if (err == DR_OK && rx_len(rx) > tx->m->limits.body_max) {
        err = DR_ERR_TOO_LARGE;
    }
    if (err != DR_OK) {
        cx_tx_complete(tx, err, NULL);
        return;
    }
    if (!b.more) {
        rx_complete(tx);
        return;
    }
    rx->size = b.size < rx->size ? b.size : rx->size;
    rx->bert = rx->bert && b.count != 0;
    if (!numbers_suffice(rx_len(rx), rx->size)) {
        cx_tx_complete(tx, DR_ERR_TOO_LARGE, NULL);
        return;
    }
    cx_tx_send(tx);
}

/* The request, or the last of its blocks, has its answer. */
static void answered(struct cx_tx *tx, const struct cx_pdu *pdu)
{
    struct cx_block b;
    dr_err_t err = cx_msg_block(tx->w_peer, pdu->block2, &b);

    if (tx->own_blocks || err == DR_ERR_NOT_FOUND || (err == DR_OK && !b.more && b.num == 0)) {
        cx_tx_complete(tx, DR_OK, pdu);
    } else if (err != DR_OK || b.num != 0) {
        cx_tx_complete(tx, DR_ERR_PROTO, NULL);
    } else {
        rx_start(tx, pdu);
    }
}

/* ---- sending a body ---- */

static void body_again(struct cx_tx *tx, uint16_t size)
{
    tx->blocks = true;
    tx->size = size;
    tx->off = 0;
    tx->call->payload_from = 0;
    if (!numbers_suffice(tx->call->payload_len, size)) {
        cx_tx_complete(tx, DR_ERR_TOO_LARGE, NULL);
        return;
    }
    cx_tx_send(tx);
}

/* 4.13: a block size that may do better, or 0 when the body itself is too large for the peer. */
static uint16_t smaller_size(const struct cx_tx *tx, const struct cx_pdu *pdu)
{
    size_t len = tx->call->payload_len;
    uint16_t now = tx->blocks ? tx->size : cx_block_size_floor(len);
    struct cx_block b;

    if (cx_msg_block(tx->w_peer, pdu->block1, &b) == DR_OK) {
        bool less = tx->blocks ? b.size < tx->size : b.size < len;
        return less ? b.size : 0; /* spec: RFC7959#2.9.3 */
    }
    if (pdu->size1 < 0 || (uint64_t)pdu->size1 < len || now == CX_BLOCK_SIZE_MIN) {
        return 0;
    }
    return (uint16_t)(now / 2); /* the body is welcome, so the message was too long */
}

static void too_large(struct cx_tx *tx, const struct cx_pdu *pdu)
{
    uint16_t size = smaller_size(tx, pdu);
    if (tx->blocks && tx->count != 0 && size == 0) {
        size = tx->size; /* one block at a time, perhaps */
    }
    tx->count = 0;
    if (size == 0 || tx->own_blocks) {
        cx_tx_complete(tx, DR_OK, pdu);
    } else {
        size_learn(tx->w_peer, size);
        body_again(tx, size);
    }
}

static void block1_next(struct cx_tx *tx, const struct cx_pdu *pdu)
{
    size_t left = tx->call->payload_len - tx->off;
    bool more = left > tx_span(tx);
    struct cx_block b;
    bool has = cx_msg_block(tx->w_peer, pdu->block1, &b) == DR_OK;
    bool same = has && (b.num == tx->off / tx->size || cx_block_offset(&b) == tx->off);

    if (pdu->code == CX_INCOMPLETE && !tx->restarted) {
        tx->restarted = true;
        body_again(tx, tx->size);
        return;
    }
    if (pdu->code >> 5 != 2) {
        cx_tx_complete(tx, DR_OK, pdu);
        return;
    }
    if (!more) {
        if (pdu->code == CX_CONTINUE) {
            cx_tx_complete(tx, DR_ERR_PROTO, NULL);
            return;
        }
        tx->body_done = true;
        answered(tx, pdu);
        return;
    }
    if (!same) {
        cx_tx_complete(tx, DR_ERR_PROTO, NULL);
        return;
    }
    tx->off += tx_span(tx);
    tx->count = b.count != 0 ? tx->count : 0;
    tx->call->payload_from = tx->off;
    if (b.size < tx->size) {
        tx->size = b.size; /* what was sent counts in the old size. spec: RFC7959#2.3 */
        size_learn(tx->w_peer, b.size);
    }
    if (!numbers_suffice(tx->call->payload_len, tx->size)) {
        cx_tx_complete(tx, DR_ERR_TOO_LARGE, NULL);
        return;
    }
    cx_tx_send(tx);
}

/* spec: RFC9175#2.3: true when the message goes out again with what the peer gave us */
static bool echo_again(struct cx_tx *tx, const struct cx_pdu *pdu)
{
    struct cx_opt echo;
    if (pdu->code != CX_UNAUTHORIZED || tx->echoed || !cx_opt_find(pdu, CX_OPT_ECHO, &echo) ||
        echo.len == 0 || echo.len > sizeof tx->echo) {
        return false;
    }
    memcpy(tx->echo, echo.val, echo.len);
    tx->echo_len = (uint8_t)echo.len;
    tx->echoed = true;
    cx_tx_send(tx);
    return true;
}

/*
 * All blocks go by one token, so a separate response to a block before this one may come again
 * after the ring has lost it. An ACK is known by its id and never is stale.
 */
static bool stale(const struct cx_tx *tx, const struct cx_pdu *pdu)
{
    struct cx_block b;
    if (pdu->type == CX_ACK) {
        return false;
    }
    if (tx->rx.active) {
        return cx_msg_block(tx->w_peer, pdu->block2, &b) == DR_OK &&
               cx_block_offset(&b) < rx_len(&tx->rx);
    }
    return tx->blocks && !tx->body_done && cx_msg_block(tx->w_peer, pdu->block1, &b) == DR_OK &&
           cx_block_offset(&b) < tx->off;
}

void cx_transfer_response(struct cx_tx *tx, const struct cx_pdu *pdu)
{
    dr_assert(tx != NULL && pdu != NULL);
    if (stale(tx, pdu) || echo_again(tx, pdu)) {
        return;
    }
    if (tx->rx.active) {
        rx_next(tx, pdu);
    } else if (!tx->body_done && pdu->code == CX_TOO_LARGE && tx->call->payload_len > 0) {
        too_large(tx, pdu);
    } else if (tx->blocks && !tx->body_done) {
        block1_next(tx, pdu);
    } else {
        answered(tx, pdu);
    }
}
