/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/integ/coap/wire.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* Check writes each passed assertion down, which is too slow for what runs per datagram. */
static void must(bool ok)
{
    if (!ok) {
        ck_abort_msg("the wire broke");
    }
}

static unsigned peer_index(const struct wire_end *e, const struct cx_mpeer *p)
{
    return (unsigned)(p - e->peers);
}

static bool earlier(const struct wire_item *a, const struct wire_item *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static void heap_push(struct wire *w, struct wire_item item)
{
    if (w->n_items == w->cap_items) {
        w->cap_items = w->cap_items * 2 + 64;
        w->items = realloc(w->items, w->cap_items * sizeof *w->items);
        ck_assert_ptr_nonnull(w->items);
    }
    size_t i = w->n_items++;
    while (i > 0 && earlier(&item, &w->items[(i - 1) / 2])) {
        w->items[i] = w->items[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    w->items[i] = item;
}

static struct wire_item heap_pop(struct wire *w)
{
    struct wire_item top = w->items[0];
    struct wire_item last = w->items[--w->n_items];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= w->n_items) {
            break;
        }
        if (child + 1 < w->n_items && earlier(&w->items[child + 1], &w->items[child])) {
            child++;
        }
        if (!earlier(&w->items[child], &last)) {
            break;
        }
        w->items[i] = w->items[child];
        i = child;
    }
    if (w->n_items > 0) {
        w->items[i] = last;
    }
    return top;
}

static void wire_put(struct wire *w, unsigned to, unsigned peer, const uint8_t *bytes, size_t len)
{
    uint32_t span = w->faults.delay_max_ms - w->faults.delay_min_ms + 1;
    struct wire_item item = {.at_ms =
                                 w->now_ms + w->faults.delay_min_ms + dr_prng_below(&w->rand, span),
                             .order = w->order++,
                             .to = to,
                             .peer = peer,
                             .len = (uint16_t)len,
                             .bytes = malloc(len)};
    must(item.bytes != NULL);
    memcpy(item.bytes, bytes, len);
    heap_push(w, item);
}

static uint8_t *out_begin(void *data, struct cx_mpeer *p, size_t max)
{
    struct wire_end *e = data;
    (void)p;
    must(max <= sizeof e->out);
    return e->out;
}

static void out_end(void *data, struct cx_mpeer *p, size_t len)
{
    struct wire_end *e = data;
    struct wire *w = e->wire;
    must(len > 0 && len <= CX_MSG_MAX);
    e->sent++;
    if (dr_prng_double(&w->rand) >= w->faults.loss) {
        wire_put(w, 1 - e->side, peer_index(e, p), e->out, len);
    }
    if (dr_prng_double(&w->rand) < w->faults.dup) {
        wire_put(w, 1 - e->side, peer_index(e, p), e->out, len);
    }
}

static void on_request(void *data, struct cx_mpeer *p, cx_exchange_t x, const struct cx_pdu *pdu)
{
    struct wire_end *e = data;
    e->request(e, peer_index(e, p), x, pdu);
}

static bool on_notify(void *data, struct cx_mpeer *p, const struct cx_pdu *pdu)
{
    struct wire_end *e = data;
    return e->notify != NULL && e->notify(e, peer_index(e, p), pdu);
}

static bool on_observed(void *data, struct cx_mpeer *p, const struct cx_pdu *first,
                        struct cx_observed *ret)
{
    struct wire_end *e = data;
    return e->observed != NULL && e->observed(e, peer_index(e, p), first, ret);
}

static void random_bytes(void *data, uint8_t *buf, size_t len)
{
    struct wire_end *e = data;
    dr_prng_bytes(&e->wire->rand, buf, len);
}

static const struct cx_msg_ops ops = {
    .out_begin = out_begin,
    .out_end = out_end,
    .request = on_request,
    .notify = on_notify,
    .observed = on_observed,
    .random = random_bytes,
};

void wire_init(struct wire *w, unsigned peers, const struct wire_faults *faults,
               const struct cx_limits *limits, uint64_t seed)
{
    *w = (struct wire){.faults = *faults, .now_ms = 1000000, .app_at_ms = UINT64_MAX};
    dr_prng_init(&w->rand, seed);
    for (unsigned side = 0; side < 2; side++) {
        struct wire_end *e = &w->ends[side];
        e->wire = w;
        e->side = side;
        struct cx_msg_config config = {
            .ops = &ops, .data = e, .now_ms = w->now_ms, .stats = &e->stats};
        if (limits != NULL) {
            config.limits = *limits;
        }
        ck_assert_int_eq(cx_msg_new(&config, &e->m), DR_OK);
        for (unsigned i = 0; i < peers; i++) {
            cx_msg_peer_init(e->m, &e->peers[i]);
        }
    }
}

void wire_fini(struct wire *w, unsigned peers)
{
    for (unsigned side = 0; side < 2; side++) {
        struct wire_end *e = &w->ends[side];
        for (unsigned i = 0; i < peers; i++) {
            cx_msg_peer_fini(e->m, &e->peers[i], DR_ERR_GONE);
        }
        cx_msg_expire(e->m, w->now_ms);
        ck_assert_uint_eq(e->stats.exchanges, 0);
        ck_assert_uint_eq(e->stats.assemblies, 0);
        e->m = cx_msg_free(e->m);
    }
    for (size_t i = 0; i < w->n_items; i++) {
        free(w->items[i].bytes);
    }
    free(w->items);
}

bool wire_step(struct wire *w, uint64_t until_ms)
{
    uint64_t at = w->n_items > 0 ? w->items[0].at_ms : UINT64_MAX;
    uint64_t d[2] = {cx_msg_deadline(w->ends[0].m), cx_msg_deadline(w->ends[1].m)};
    uint64_t next = at < w->app_at_ms ? at : w->app_at_ms;
    next = d[0] < next ? d[0] : next;
    next = d[1] < next ? d[1] : next;
    if (next == UINT64_MAX || next > until_ms) {
        return false;
    }
    if (next > w->now_ms) {
        w->now_ms = next;
    }
    if (d[0] <= w->now_ms || d[1] <= w->now_ms) {
        unsigned side = d[0] <= d[1] ? 0 : 1;
        cx_msg_expire(w->ends[side].m, w->now_ms);
    } else if (w->app_at_ms <= w->now_ms) {
        w->app_at_ms = UINT64_MAX;
        w->app(w);
    } else {
        struct wire_item item = heap_pop(w);
        struct wire_end *e = &w->ends[item.to];
        cx_msg_input(e->m, &e->peers[item.peer], item.bytes, item.len, w->now_ms);
        free(item.bytes);
    }
    return true;
}
