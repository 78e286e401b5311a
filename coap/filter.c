/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bad wire between an engine and its sockets. Datagrams that are held, or repeated, lie in a list
 * in the order of their time, which is the order in which they came, as all are held equally long.
 */
#include <stdlib.h>
#include <string.h>

#include "coap/engine_priv.h"

struct held {
    struct dr_list node;
    uint64_t at_ms;
    struct cx_endpoint *ep;
    struct cx_flow flow;
    bool out;
    size_t len;
    uint8_t bytes[];
};

struct cx_filter {
    struct cx_engine *engine;
    cx_filter_fn *fn; /* NULL: everything passes */
    void *data;
    struct dr_list held;
    uint32_t count;
    struct dr_timer timer;
    bool passing; /* what goes through now has been decided on */
};

/* False when there is no room. */
static bool hold(struct cx_filter *f, struct cx_endpoint *ep, bool out, const uint8_t *bytes,
                 size_t len, const struct cx_flow *flow)
{
    struct held *h = f->count < CX_HELD_MAX ? malloc(sizeof(*h) + len) : NULL;

    if (h == NULL) {
        return false;
    }
    h->at_ms = loop_now_ms(f->engine->loop) + CX_HOLD_MS;
    h->ep = ep;
    h->flow = *flow;
    h->out = out;
    h->len = len;
    memcpy(h->bytes, bytes, len);
    dr_list_push_back(&f->held, &h->node);
    f->count++;
    if (!dr_timer_running(&f->timer)) {
        dr_timer_start(loop_wheel(f->engine->loop), &f->timer, h->at_ms);
    }
    return true;
}

/* Whether the datagram passes now. */
static bool decide(struct cx_filter *f, struct cx_endpoint *ep, bool out, const uint8_t *bytes,
                   size_t len, const struct cx_flow *flow)
{
    enum cx_verdict v = f->fn == NULL || f->passing ? CX_PASS : f->fn(f->data, out, bytes, len);

    if (v == CX_DUPLICATE) {
        (void)hold(f, ep, out, bytes, len, flow);
    }
    return v != CX_DROP && (v != CX_HOLD || !hold(f, ep, out, bytes, len, flow));
}

bool cx_filter_in(struct cx_filter *f, struct cx_endpoint *ep, const struct cx_dgram *d)
{
    return decide(f, ep, false, d->data, d->len, &d->flow);
}

bool cx_filter_out(void *filter, const uint8_t *bytes, size_t len, const struct cx_flow *flow)
{
    struct cx_filter *f = filter;

    return decide(f, &f->engine->socks[flow->sock], true, bytes, len, flow);
}

static void release_one(struct cx_filter *f, struct held *h)
{
    struct cx_engine *e = f->engine;

    if (!h->out) {
        struct cx_dgram d = {.flow = h->flow, .data = h->bytes, .len = h->len};
        cx_engine_datagram(e, h->ep, &d); /* what it brings forth is filtered as usual */
        return;
    }
    uint8_t *room = cx_sock_reserve(h->ep->sock);
    if (room != NULL) {
        memcpy(room, h->bytes, h->len);
        f->passing = true;
        cx_sock_commit(h->ep->sock, h->len, &h->flow);
        f->passing = false;
    }
}

static void release(struct dr_timer *t, uint64_t now_ms)
{
    struct cx_filter *f = DR_CONTAINER_OF(t, struct cx_filter, timer);
    struct cx_engine *e = f->engine;

    e->now_ms = loop_now_ms(e->loop);
    while (!dr_list_empty(&f->held)) {
        struct held *h = DR_CONTAINER_OF(f->held.next, struct held, node);
        if (h->at_ms > now_ms) {
            dr_timer_start(loop_wheel(e->loop), &f->timer, h->at_ms);
            return;
        }
        dr_list_remove(&h->node);
        f->count--;
        if (!e->closing) {
            release_one(f, h);
        }
        free(h);
    }
}

struct cx_filter *cx_filter_free(struct cx_filter *f)
{
    if (f == NULL) {
        return NULL;
    }
    dr_timer_cancel(loop_wheel(f->engine->loop), &f->timer);
    while (!dr_list_empty(&f->held)) {
        free(DR_CONTAINER_OF(dr_list_pop_front(&f->held), struct held, node));
    }
    for (unsigned i = 0; i < f->engine->n_socks; i++) {
        cx_sock_set_filter(f->engine->socks[i].sock, NULL, NULL);
    }
    free(f);
    return NULL;
}

dr_err_t cx_engine_set_filter(struct cx_engine *e, cx_filter_fn *fn, void *data)
{
    dr_assert(e != NULL && !e->closing);
    loop_assert_current(e->loop);
    struct cx_filter *f = e->filter;

    if (f == NULL && fn != NULL) {
        f = calloc(1, sizeof(*f));
        if (f == NULL) {
            return DR_ERR_NOMEM;
        }
        f->engine = e;
        dr_list_init(&f->held);
        dr_timer_init(&f->timer, release);
        e->filter = f;
        for (unsigned i = 0; i < e->n_socks; i++) {
            cx_sock_set_filter(e->socks[i].sock, cx_filter_out, f);
        }
    }
    if (f != NULL) {
        f->fn = fn;
        f->data = data;
    }
    return DR_OK;
}
