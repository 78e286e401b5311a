/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the owner of an engine asks of it: answers, calls, peers, connections.
 */
#include <stdlib.h>

#include "coap/conn.h"
#include "coap/engine_priv.h"

/* ---- requests ---- */

dr_err_t cx_answer(struct cx_engine *e, cx_exchange_t x, const struct cx_reply *reply)
{
    dr_assert(e != NULL && reply != NULL);
    loop_assert_current(e->loop);
    cx_engine_touch(e);
    return cx_msg_answer(e->msg, x, reply, loop_now_ms(e->loop));
}

void cx_ack(struct cx_engine *e, cx_exchange_t x)
{
    dr_assert(e != NULL);
    cx_engine_touch(e);
    cx_msg_ack(e->msg, x);
}

void cx_forget(struct cx_engine *e, cx_exchange_t x)
{
    dr_assert(e != NULL);
    cx_engine_touch(e);
    cx_msg_forget(e->msg, x);
}

dr_err_t cx_call_start(struct cx_engine *e, struct cx_call *call)
{
    dr_assert(e != NULL && call != NULL && call->cb != NULL);
    loop_assert_current(e->loop);
    cx_engine_touch(e);
    struct cx_peer *p = cx_peer_get(&e->peers, call->peer);

    if (p == NULL || p->state == CX_PEER_CLOSING || e->closing) {
        return DR_ERR_GONE;
    }
    if (p->state == CX_PEER_CONNECTING) {
        return DR_ERR_BUSY;
    }
    return cx_msg_call_start(e->msg, &p->msg, call, loop_now_ms(e->loop));
}

void cx_call_cancel(struct cx_engine *e, struct cx_call *call)
{
    dr_assert(e != NULL && call != NULL);
    cx_engine_touch(e);
    cx_msg_call_cancel(e->msg, call);
}

/* ---- peers, for the owner ---- */

void cx_peer_set_user(struct cx_engine *e, cx_peer_t peer, uint64_t user)
{
    dr_assert(e != NULL);
    struct cx_peer *p = cx_peer_get(&e->peers, peer);

    if (p != NULL) {
        p->user = user;
    }
}

uint64_t cx_peer_user(const struct cx_engine *e, cx_peer_t peer)
{
    dr_assert(e != NULL);
    const struct cx_peer *p = cx_peer_get(&e->peers, peer);

    return p != NULL ? p->user : 0;
}

bool cx_peer_identity(const struct cx_engine *e, cx_peer_t peer, struct cx_identity *ret)
{
    dr_assert(e != NULL && ret != NULL);
    const struct cx_peer *p = cx_peer_get(&e->peers, peer);

    if (p == NULL) {
        return false;
    }
    const struct cx_ident *id = p->ident;
    *ret = (struct cx_identity){.name = ""};
    if (id != NULL) {
        *ret = (struct cx_identity){.kind = id->kind,
                                    .account = id->account,
                                    .credential = id->credential,
                                    .version = id->version,
                                    .device = id->device,
                                    .name = id->name};
    }
    return true;
}

bool cx_peer_addr(const struct cx_engine *e, cx_peer_t peer, union cx_addr *ret)
{
    dr_assert(e != NULL && ret != NULL);
    const struct cx_peer *p = cx_peer_get(&e->peers, peer);

    if (p != NULL) {
        cx_flow_remote(&p->flow, ret);
    }
    return p != NULL;
}

enum cx_proto cx_peer_proto(const struct cx_engine *e, cx_peer_t peer)
{
    dr_assert(e != NULL);
    const struct cx_peer *p = cx_peer_get(&e->peers, peer);

    if (p == NULL) {
        return CX_PROTO_UDP;
    }
    return (p->flags & CX_PEER_STREAM) != 0 ? cx_conn_of(e, p)->proto
                                            : e->socks[p->flow.sock].proto;
}

static void end_by_owner(struct cx_engine *e, cx_peer_t peer, bool goodbye)
{
    dr_assert(e != NULL);
    loop_assert_current(e->loop);
    cx_engine_touch(e);
    struct cx_peer *p = cx_peer_get(&e->peers, peer);

    if (p == NULL || p->state == CX_PEER_CLOSING) {
        return;
    }
    bool stream = (p->flags & CX_PEER_STREAM) != 0;
    if (p->state == CX_PEER_CONNECTING && stream) {
        cx_conn_lose(cx_conn_of(e, p), CX_GONE_CLOSED, DR_ERR_CANCELED);
        return;
    }
    if (p->state == CX_PEER_CONNECTING) {
        cx_engine_dtls_cancel_peer(e, p);
        return;
    }
    if (stream && goodbye) {
        cx_conn_goodbye(cx_conn_of(e, p), false);
    } else if (p->assoc != 0 && goodbye) {
        cx_engine_dtls_goodbye(e, p);
    }
    cx_engine_end_peer(e, p, CX_GONE_CLOSED);
}

void cx_peer_close(struct cx_engine *e, cx_peer_t peer)
{
    end_by_owner(e, peer, true);
}

void cx_peer_abandon(struct cx_engine *e, cx_peer_t peer)
{
    end_by_owner(e, peer, false);
}

uint32_t cx_engine_close_some(struct cx_engine *e, uint32_t from, uint32_t max,
                              bool (*match)(void *data, const struct cx_identity *id), void *data)
{
    dr_assert(e != NULL && match != NULL && max > 0);
    struct cx_identity id;
    uint32_t i = from;

    if (from == 0) {
        cx_conns_close_young(e, match, data);
    }
    for (uint32_t n = 0; n < max; n++) {
        i = dr_slab_next(&e->peers.slab, i);
        if (i == 0) {
            return 0;
        }
        cx_peer_t peer = cx_peer_handle(&e->peers, cx_peer_at(&e->peers, i));
        if (cx_peer_identity(e, peer, &id) && id.kind != CX_ID_NONE && match(data, &id)) {
            cx_peer_close(e, peer);
        }
    }
    return i;
}

void cx_peer_calls_moved(struct cx_engine *e, cx_peer_t peer)
{
    dr_assert(e != NULL);
    struct cx_peer *p = cx_peer_get(&e->peers, peer);

    if (p != NULL && p->state == CX_PEER_LIVE) {
        cx_engine_touch(e);
        cx_msg_calls_moved(e->msg, &p->msg);
    }
}

/* ---- client role ---- */

void cx_engine_connected(struct cx_engine *e, struct cx_connecting *c, dr_err_t err)
{
    c->err = err;
    dr_list_push_back(&e->connected, &c->node);
    loop_again(e->loop);
}

static struct cx_endpoint *endpoint_for(struct cx_engine *e, const struct cx_connect *c)
{
    for (unsigned i = 0; i < e->n_socks; i++) {
        if (e->socks[i].proto == c->proto &&
            (cx_sock_family(e->socks[i].sock) == c->remote.sa.sa_family ||
             cx_sock_family(e->socks[i].sock) == AF_INET6)) {
            return &e->socks[i];
        }
    }
    return NULL;
}

static dr_err_t connect_plain(struct cx_engine *e, struct cx_peer *p, struct cx_connecting *x)
{
    if (cx_peer_find(&e->peers, &p->flow) != NULL) {
        return DR_ERR_EXISTS;
    }
    dr_err_t err = cx_peer_link(&e->peers, p);
    if (err == DR_OK) {
        cx_engine_connected(e, x, DR_OK);
    }
    return err;
}

dr_err_t cx_connect(struct cx_engine *e, const struct cx_connect *c, cx_peer_t *ret)
{
    dr_assert(e != NULL && c != NULL && c->cb != NULL && ret != NULL);
    loop_assert_current(e->loop);
    cx_engine_touch(e);
    bool stream = c->proto == CX_PROTO_TCP || c->proto == CX_PROTO_TLS;
    struct cx_endpoint *ep = stream ? NULL : endpoint_for(e, c);
    struct cx_flow flow;
    struct cx_peer *p;

    if (e->closing || (c->proto == CX_PROTO_TLS ? e->crypto == NULL : !stream && ep == NULL)) {
        return DR_ERR_INVAL;
    }
    e->now_ms = loop_now_ms(e->loop);
    cx_flow_set(&flow, stream ? CX_CONN_SOCK : (uint8_t)(ep - e->socks), &c->remote, &c->local);
    if (!stream) {
        cx_sock_localize(ep->sock, &flow);
    }
    struct cx_connecting *x = calloc(1, sizeof(*x));
    if (x == NULL) {
        return DR_ERR_NOMEM;
    }
    dr_err_t err = cx_engine_new_peer(e, &flow, &p);
    if (err != DR_OK) {
        free(x);
        return err;
    }
    p->flags = CX_PEER_CLIENT;
    cx_peer_t handle = cx_peer_handle(&e->peers, p);
    *x = (struct cx_connecting){.peer = handle, .cb = c->cb, .data = c->data};
    err = stream                      ? cx_conn_dial(e, c, p, x)
          : c->proto == CX_PROTO_DTLS ? cx_engine_dtls_connect(e, c, p, x)
                                      : connect_plain(e, p, x);
    if (err != DR_OK) {
        cx_engine_drop_peer(e, p);
        free(x);
        return err;
    }
    *ret = handle;
    return DR_OK;
}
