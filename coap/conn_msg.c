/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages in connections. A server learns the framing from the first bytes of the client, sends
 * its CSM when it knows that one is wanted, and only then has a peer. A client sends its CSM at
 * once and is connected when the server's has come; in the datagram form it is connected at once.
 */
#include <stdlib.h>
#include <string.h>

#include "coap/conn.h"

static void send_signal(struct cx_conn *c, enum cx_signal_code code, const struct cx_frame *ping,
                        const struct cx_signal *signal)
{
    uint8_t buf[CX_SIGNAL_MAX];
    size_t len = cx_signal_make(code, ping != NULL ? ping->rest : NULL,
                                ping != NULL ? ping->token_len : 0, signal, buf);

    cx_conn_write(c, buf, len);
}

static void send_csm(struct cx_conn *c)
{
    const struct cx_signal csm = {.max_message_size = CX_STREAM_MSG_MAX, .blockwise = true};

    if (!c->csm_sent) {
        c->csm_sent = true;
        send_signal(c, CX_SIGNAL_CSM, NULL, &csm);
    }
}

/* spec: RFC8323#5.6 */
static void abort_it(struct cx_conn *c, uint16_t bad_option)
{
    const struct cx_signal why = {.bad_option = bad_option};

    c->engine->stats.malformed++;
    if (c->framing == CX_FRAMING_RFC8323 && c->csm_sent) {
        send_signal(c, CX_SIGNAL_ABORT, NULL, &why);
    }
    if (c->tls != NULL && c->state != CX_CONN_ENDED) {
        tls_conn_goodbye(c->tls);
    }
    cx_conn_lose(c, CX_GONE_FAILED, DR_ERR_PROTO);
}

/* ---- becoming a peer ---- */

static dr_err_t identify(struct cx_conn *c, struct cx_peer *p)
{
    if (c->tls == NULL) {
        return DR_OK;
    }
    const struct cx_identity *id = tls_conn_who(c->tls);
    if (id->kind != CX_ID_NONE) {
        p->ident = cx_ident_new(id);
    }
    bool ok = id->kind == CX_ID_NONE || p->ident != NULL;
    tls_conn_settle(c->tls);
    return ok ? DR_OK : DR_ERR_NOMEM;
}

static dr_err_t peer_for(struct cx_conn *c, struct cx_peer **ret)
{
    struct cx_engine *e = c->engine;

    if (c->connecting != NULL) {
        *ret = cx_conn_peer(c);
        return DR_OK;
    }
    dr_err_t err = cx_engine_new_peer(e, &c->flow, ret);
    if (err == DR_OK) {
        (*ret)->flags = CX_PEER_STREAM;
        (*ret)->assoc = c->index;
        c->peer = (*ret)->index;
    }
    return err;
}

bool cx_conn_up(struct cx_conn *c)
{
    dr_assert(c != NULL && c->state == CX_CONN_GREETING);
    struct cx_engine *e = c->engine;
    struct cx_connecting *x = c->connecting;
    struct cx_peer *p;

    dr_err_t err = peer_for(c, &p);
    if (err == DR_OK) {
        err = identify(c, p);
        if (err != DR_OK && x == NULL) {
            cx_engine_drop_peer(e, p);
        }
    }
    if (err != DR_OK) {
        cx_conn_lose(c, CX_GONE_FAILED, err);
        return false;
    }
    if (c->framing == CX_FRAMING_RFC8323) {
        cx_msg_peer_set_stream(&p->msg);
    }
    cx_peer_link_stream(&e->peers, p);
    p->last_s = (uint32_t)(e->now_ms / 1000);
    dr_list_remove(&c->young);
    dr_timer_cancel(loop_wheel(e->loop), &c->timer);
    c->state = CX_CONN_UP;
    if (x != NULL) {
        c->connecting = NULL;
        cx_engine_connected(e, x, DR_OK);
    }
    if (c->framing == CX_FRAMING_RFC8323) {
        send_csm(c);
    }
    return c->state == CX_CONN_UP;
}

void cx_conn_greet(struct cx_conn *c)
{
    dr_assert(c != NULL && c->connecting != NULL && c->state == CX_CONN_GREETING);
    if (c->framing == CX_FRAMING_RFC8323) {
        send_csm(c);
    } else {
        (void)cx_conn_up(c);
    }
}

/* ---- signalling ---- */

static void csm_input(struct cx_conn *c, const struct cx_signal *s)
{
    size_t room = CX_STREAM_MSG_BASE;

    if (s->max_message_size >= 0 && s->max_message_size < CX_CONN_ROOM_MIN) {
        abort_it(c, 0);
        return;
    }
    if (s->max_message_size >= 0) {
        room = s->max_message_size < CX_STREAM_MSG_MAX ? (size_t)s->max_message_size
                                                       : CX_STREAM_MSG_MAX;
    }
    /* several blocks in one message only for those who know blocks. spec: RFC8323#6 */
    if (!s->blockwise && room > CX_STREAM_MSG_BASE) {
        room = CX_STREAM_MSG_BASE;
    }
    c->room = (uint32_t)room;
    c->csm_seen = true;
    if (c->state == CX_CONN_GREETING) {
        (void)cx_conn_up(c);
    }
}

static void released(struct cx_conn *c)
{
    struct cx_engine *e = c->engine;

    if (!cx_msg_peer_busy(&cx_conn_peer(c)->msg)) {
        cx_conn_lose(c, CX_GONE_CLOSED, DR_ERR_RESET);
        return;
    }
    dr_timer_start(loop_wheel(e->loop), &c->timer, e->now_ms + CX_CONN_RELEASE_MS);
}

static void signal_input(struct cx_conn *c, const struct cx_frame *f)
{
    struct cx_signal s;

    dr_err_t err = cx_signal_parse(f, &s);
    if (f->code == CX_SIGNAL_ABORT) {
        cx_conn_lose(c, c->connecting != NULL ? CX_GONE_FAILED : CX_GONE_CLOSED, DR_ERR_RESET);
        return;
    }
    if (err != DR_OK || s.bad_option != 0 || (!c->csm_seen && f->code != CX_SIGNAL_CSM)) {
        abort_it(c, err == DR_OK && f->code == CX_SIGNAL_CSM ? s.bad_option : 0);
        return;
    }
    switch (f->code) {
    case CX_SIGNAL_CSM:
        csm_input(c, &s);
        break;
    case CX_SIGNAL_PING:
        send_signal(c, CX_SIGNAL_PONG, f, &s);
        break;
    case CX_SIGNAL_RELEASE:
        released(c);
        break;
    default:
        break; /* a Pong, or one that we do not know */
    }
}

/* ---- messages ---- */

static void frame_input(struct cx_conn *c, const struct cx_frame *f)
{
    struct cx_engine *e = c->engine;
    struct cx_pdu pdu;

    if (c->peer != 0) {
        cx_conn_peer(c)->last_s = (uint32_t)(e->now_ms / 1000);
    }
    if (f->code >> 5 == 7) {
        signal_input(c, f);
        return;
    }
    if (!c->csm_seen) {
        abort_it(c, 0); /* spec: RFC8323#5.3: the first message is a CSM */
        return;
    }
    dr_err_t err = cx_pdu_decode_frame(f->code, f->token_len, f->rest, f->rest_len, &pdu);
    if (err == DR_ERR_PROTO) {
        abort_it(c, 0);
        return;
    }
    cx_msg_input_frame(e->msg, &cx_conn_peer(c)->msg, &pdu, err == DR_ERR_UNSUPPORTED, e->now_ms);
}

static void datagram_input(struct cx_conn *c, const uint8_t *bytes, size_t len)
{
    cx_engine_message(c->engine, cx_conn_peer(c), bytes, len);
}

/* One message off the front of the stream. @return bytes taken, 0 = more are needed or it is over
 */
static size_t next_message(struct cx_conn *c, const uint8_t *in, size_t len)
{
    struct cx_frame f;
    struct dr_bytes msg;
    size_t total = 0;
    dr_err_t err;

    if (c->framing == CX_FRAMING_RFC8323) {
        err = cx_frame_next(in, len, CX_STREAM_MSG_MAX, &f);
        if (err == DR_OK) {
            total = f.total;
            frame_input(c, &f);
        }
    } else {
        err = cx_datagram_next(in, len, &msg, &total);
        if (err == DR_OK) {
            datagram_input(c, msg.p, msg.len);
        }
    }
    if (err != DR_OK && err != DR_ERR_AGAIN) {
        abort_it(c, 0);
    }
    return total;
}

static size_t split(struct cx_conn *c, const uint8_t *in, size_t len)
{
    size_t off = 0;

    while (off < len && cx_conn_reads(c)) {
        size_t n = next_message(c, in + off, len - off);
        if (n == 0) {
            break;
        }
        off += n;
    }
    return off;
}

/* Server: which framing? @return false: not known yet, or it is over */
static bool detect(struct cx_conn *c, const uint8_t *in, size_t len, bool record)
{
    enum cx_framing framing;

    dr_err_t err = cx_stream_detect(in, len, record, &framing);
    if (err == DR_OK) {
        c->framing = (uint8_t)framing;
        return cx_conn_up(c);
    }
    if (err != DR_ERR_AGAIN) {
        abort_it(c, 0);
    }
    return false;
}

static bool known(struct cx_conn *c, const uint8_t *in, size_t len, bool record)
{
    return c->state == CX_CONN_UP || c->connecting != NULL || detect(c, in, len, record);
}

void cx_conn_pump(struct cx_conn *c)
{
    dr_assert(c != NULL);
    if (c->in.len == 0 || !cx_conn_reads(c) || !known(c, c->in.p, c->in.len, false)) {
        return;
    }
    size_t n = split(c, c->in.p, c->in.len);

    dr_dynbuf_consume(&c->in, n);
    if (c->in.len == 0) {
        dr_dynbuf_fini(&c->in);
    }
}

static void keep(struct cx_conn *c, const uint8_t *bytes, size_t len)
{
    if (c->in.len + len > CX_CONN_IN_MAX) {
        abort_it(c, 0);
        return;
    }
    dr_dynbuf_append(&c->in, bytes, len);
    if (dr_dynbuf_err(&c->in) != DR_OK) {
        cx_conn_lose(c, CX_GONE_FAILED, DR_ERR_NOMEM);
    }
}

void cx_conn_plain(struct cx_conn *c, const uint8_t *bytes, size_t len, bool record)
{
    dr_assert(c != NULL && bytes != NULL && c->state != CX_CONN_ENDED);
    if (c->in.len > 0) {
        keep(c, bytes, len);
        if (c->state != CX_CONN_ENDED) {
            cx_conn_pump(c);
        }
        return;
    }
    size_t n = 0;
    if (known(c, bytes, len, record)) {
        if (record && c->framing == CX_FRAMING_DATAGRAM) {
            datagram_input(c, bytes, len);
            return;
        }
        n = split(c, bytes, len);
    }
    if (n < len && c->state != CX_CONN_ENDED) {
        keep(c, bytes + n, len - n);
    }
}

/* ---- out ---- */

uint8_t *cx_conn_out_begin(struct cx_conn *c)
{
    dr_assert(c != NULL);
    return c->state == CX_CONN_UP ? c->engine->stream_out + CX_FRAME_HEAD_MAX : NULL;
}

void cx_conn_out_end(struct cx_conn *c, size_t len)
{
    dr_assert(c != NULL);
    uint8_t *msg = c->engine->stream_out + CX_FRAME_HEAD_MAX;

    if (len == 0) {
        return;
    }
    if (c->framing == CX_FRAMING_RFC8323) {
        const uint8_t *frame = cx_frame_from_message(msg, len, &len);
        cx_conn_write(c, frame, len);
    } else if (c->tls != NULL) {
        cx_conn_write(c, msg, len);
    } else {
        dr_store_be(msg - 4, len, 4);
        cx_conn_write(c, msg - 4, len + 4);
    }
}

void cx_conn_goodbye(struct cx_conn *c, bool release)
{
    dr_assert(c != NULL);
    if (c->state == CX_CONN_ENDED || c->job != NULL) {
        return;
    }
    if (release && c->framing == CX_FRAMING_RFC8323 && c->csm_sent) {
        send_signal(c, CX_SIGNAL_RELEASE, NULL, NULL);
    }
    if (c->tls != NULL && c->state != CX_CONN_ENDED) {
        tls_conn_goodbye(c->tls);
    }
    if (c->state != CX_CONN_ENDED && !dr_list_linked(&c->dirty)) {
        dr_list_push_back(&c->engine->conns_dirty, &c->dirty);
    }
}
