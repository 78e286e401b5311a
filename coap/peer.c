/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/peer.h"

#include <stdlib.h>
#include <string.h>

static bool flow_eq(void *ctx, uint32_t index, const void *key)
{
    const struct cx_peers *t = ctx;

    return memcmp(&cx_peer_at(t, index)->flow, key, sizeof(struct cx_flow)) == 0;
}

dr_err_t cx_peers_init(struct cx_peers *t, uint32_t peers_max)
{
    dr_assert(t != NULL && peers_max > 0);
    memset(t, 0, sizeof(*t));
    dr_hash_key_init(&t->key);
    dr_err_t err = dr_slab_init(&t->slab, sizeof(struct cx_peer), peers_max, DR_SLAB_KEEP);
    if (err != DR_OK) {
        return err;
    }
    err = dr_table_init(&t->by_flow, peers_max, flow_eq, t);
    if (err != DR_OK) {
        dr_slab_fini(&t->slab);
    }
    return err;
}

void cx_peers_fini(struct cx_peers *t)
{
    dr_assert(t != NULL);
    if (t->slab.chunks != NULL) {
        for (uint32_t i = dr_slab_next(&t->slab, 0); i != 0; i = dr_slab_next(&t->slab, i)) {
            struct cx_peer *p = cx_peer_at(t, i);

            p->ident = cx_ident_free(p->ident);
        }
    }
    dr_table_fini(&t->by_flow);
    dr_slab_fini(&t->slab);
}

dr_err_t cx_peer_new(struct cx_peers *t, const struct cx_flow *flow, struct cx_ident *ident,
                     struct cx_peer **ret)
{
    dr_assert(t != NULL && flow != NULL && ret != NULL);
    uint32_t index;

    dr_err_t err = dr_slab_alloc(&t->slab, &index);
    if (err != DR_OK) {
        return err;
    }
    struct cx_peer *p = cx_peer_at(t, index);
    uint32_t generation = p->generation + 1;
    dr_assert((generation & 1) == 1);
    memset(p, 0, sizeof(*p));
    p->generation = generation;
    p->index = index;
    p->flow = *flow;
    p->ident = ident;
    *ret = p;
    return DR_OK;
}

uint32_t cx_flow_hash(const struct cx_peers *t, const struct cx_flow *flow)
{
    return dr_hash32(&t->key, flow, sizeof(*flow));
}

struct cx_peer *cx_peer_find(const struct cx_peers *t, const struct cx_flow *flow)
{
    dr_assert(t != NULL && flow != NULL);
    return cx_peer_find_hashed(t, cx_flow_hash(t, flow), flow);
}

dr_err_t cx_peer_link(struct cx_peers *t, struct cx_peer *p)
{
    dr_assert(t != NULL && p != NULL && p->state == CX_PEER_CONNECTING);
    uint32_t hash = cx_flow_hash(t, &p->flow);

    dr_assert(dr_table_get(&t->by_flow, hash, &p->flow) == 0);
    dr_err_t err = dr_table_put(&t->by_flow, hash, p->index);
    if (err == DR_OK) {
        p->state = CX_PEER_LIVE;
        t->linked++;
    }
    return err;
}

void cx_peer_link_stream(struct cx_peers *t, struct cx_peer *p)
{
    dr_assert(t != NULL && p != NULL && p->state == CX_PEER_CONNECTING);
    dr_assert((p->flags & CX_PEER_STREAM) != 0);
    p->state = CX_PEER_LIVE;
    t->linked++;
}

void cx_peer_unlink(struct cx_peers *t, struct cx_peer *p)
{
    dr_assert(t != NULL && p != NULL && p->state == CX_PEER_LIVE);
    bool found = (p->flags & CX_PEER_STREAM) != 0 ||
                 dr_table_del(&t->by_flow, cx_flow_hash(t, &p->flow), p->index);

    dr_assert(found);
    p->state = CX_PEER_CLOSING;
    t->linked--;
}

void cx_peer_free(struct cx_peers *t, struct cx_peer *p)
{
    dr_assert(t != NULL && p != NULL && p->state != CX_PEER_LIVE);
    p->ident = cx_ident_free(p->ident);
    p->generation++;
    dr_slab_free(&t->slab, cx_peer_index(t, p));
}

struct cx_peer *cx_peer_get(const struct cx_peers *t, cx_peer_t handle)
{
    dr_assert(t != NULL);
    uint32_t index = (uint32_t)handle;

    if (index == 0 || !dr_slab_used(&t->slab, index)) {
        return NULL;
    }
    struct cx_peer *p = cx_peer_at(t, index);
    return p->generation == (uint32_t)(handle >> 32) ? p : NULL;
}

uint32_t cx_peer_index(const struct cx_peers *t, const struct cx_peer *p)
{
    (void)t;
    return p->index;
}

cx_peer_t cx_peer_handle(const struct cx_peers *t, const struct cx_peer *p)
{
    return (uint64_t)p->generation << 32 | cx_peer_index(t, p);
}

void cx_peers_sweep(struct cx_peers *t, uint32_t count, void (*fn)(void *data, struct cx_peer *p),
                    void *data)
{
    dr_assert(t != NULL && fn != NULL);
    while (count > 0) {
        t->sweep = dr_slab_next(&t->slab, t->sweep);
        if (t->sweep == 0) {
            return; /* the end; from the beginning next time */
        }
        fn(data, cx_peer_at(t, t->sweep));
        count--;
    }
}

struct cx_ident *cx_ident_new(const struct cx_identity *id)
{
    dr_assert(id != NULL);
    const char *name = id->name != NULL ? id->name : "";
    size_t len = strlen(name);
    struct cx_ident *x = malloc(sizeof(*x) + len + 1);

    if (x != NULL) {
        x->account = id->account;
        x->credential = id->credential;
        x->device = id->device;
        x->version = id->version;
        x->kind = (uint8_t)id->kind;
        memcpy(x->name, name, len + 1);
    }
    return x;
}

struct cx_ident *cx_ident_free(struct cx_ident *id)
{
    free(id);
    return NULL;
}
