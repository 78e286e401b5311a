/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Large answers of ours that a peer fetches block by block, at random if it likes, and the bodies
 * of large notifications. One per resource; a newer one takes its place. spec: RFC7959#2.4
 */
#include <stdlib.h>
#include <string.h>

#include "coap/msg_priv.h"

/* Header, token, marker and Block2 around a block. */
#define ANSWER_HEAD_MAX (4 + CX_TOKEN_MAX + 1 + 5)

static void idle_expired(struct dr_timer *t, uint64_t now_ms)
{
    (void)now_ms;
    struct cx_kept *k = DR_CONTAINER_OF(t, struct cx_kept, timer);
    struct cx_msg *m = k->m;
    struct cx_mwork *w = k->work;

    cx_kept_free(k);
    cx_msg_work_tidy(m, w);
}

void cx_kept_free(struct cx_kept *k)
{
    dr_assert(k != NULL);
    dr_timer_cancel(&k->m->wheel, &k->timer);
    dr_list_remove(&k->node);
    k->work->n_kept--;
    free(k->bytes);
    dr_slab_free(&k->m->kepts, k->self);
}

static struct cx_kept *kept_find(const struct cx_mwork *w, const struct cx_kept_key *key)
{
    DR_LIST_EACH(it, &w->kept)
    {
        struct cx_kept *k = DR_CONTAINER_OF(it, struct cx_kept, node);
        bool same_body = k->body_hash == 0 || key->body_hash == 0 || k->body_hash == key->body_hash;
        if (k->key == key->key && same_body) {
            return k;
        }
    }
    return NULL;
}

/* Room for one more: the resource's own old one goes, else the one that was used longest ago. */
static void make_room(struct cx_mwork *w, const struct cx_kept_key *key)
{
    struct cx_kept *old = kept_find(w, key);
    if (old == NULL && w->n_kept >= CX_KEPT_PER_PEER_MAX) {
        old = DR_LIST_FIRST(&w->kept, struct cx_kept, node);
    }
    if (old != NULL) {
        cx_kept_free(old);
    }
}

/* Options as on the wire, then the payload. NULL: no memory, or options that no message can hold.
 */
static uint8_t *image_of(const struct cx_opt *opts, size_t n_opts, const uint8_t *payload,
                         size_t len, size_t *ret_opts_len)
{
    uint8_t head[CX_MSG_MAX];
    struct dr_wr wr = dr_wr_of(head, sizeof head);
    if (cx_pdu_encode(&wr, CX_NON, CX_CONTENT, 0, NULL, 0, opts, n_opts, NULL, 0) != DR_OK) {
        return NULL;
    }
    size_t opts_len = dr_wr_len(&wr) - 4;
    uint8_t *bytes = malloc(opts_len + len);
    if (bytes != NULL) {
        memcpy(bytes, head + 4, opts_len);
        memcpy(bytes + opts_len, payload, len);
        *ret_opts_len = opts_len;
    }
    return bytes;
}

void cx_kept_put(struct cx_msg *m, struct cx_mpeer *p, const struct cx_kept_key *key, uint8_t code,
                 const struct cx_opt *opts, size_t n_opts, const uint8_t *payload, size_t len)
{
    dr_assert(m != NULL && p != NULL && key != NULL && payload != NULL && len > 0);
    size_t opts_len;
    uint8_t *bytes = image_of(opts, n_opts, payload, len, &opts_len);
    struct cx_mwork *w = bytes != NULL ? cx_msg_work(m, p) : NULL;
    if (w == NULL) {
        free(bytes);
        return;
    }
    make_room(w, key);
    uint32_t self;
    if (dr_slab_alloc(&m->kepts, &self) != DR_OK) {
        free(bytes);
        cx_msg_work_tidy(m, w);
        return;
    }
    struct cx_kept *k = dr_slab_get(&m->kepts, self);
    k->self = self;
    k->m = m;
    k->work = w;
    k->key = key->key;
    k->body_hash = key->body_hash;
    k->code = code;
    k->bytes = bytes;
    k->opts_len = opts_len;
    k->total = len;
    dr_list_push_back(&w->kept, &k->node);
    w->n_kept++;
    dr_timer_init(&k->timer, idle_expired);
    dr_timer_start(&m->wheel, &k->timer, m->now_ms + CX_KEPT_IDLE_MS);
}

bool cx_kept_serve(struct cx_msg *m, struct cx_mpeer *p, const struct cx_kept_key *key,
                   const struct cx_req *req, struct cx_block block)
{
    dr_assert(m != NULL && p != NULL && key != NULL && req != NULL);
    struct cx_kept *k = p->work != NULL ? kept_find(p->work, key) : NULL;
    if (k == NULL) {
        return false;
    }
    size_t len;
    if (block.count != 0) {
        block.count = cx_msg_bert(m, p, k->opts_len + ANSWER_HEAD_MAX);
    }
    if (!cx_block_slice(&block, k->total, &len)) {
        cx_exch_respond(m, p, req, CX_BAD_REQUEST, NULL, 0, NULL, 0);
        return true;
    }
    struct cx_opt opts[CX_OPTS_MAX];
    size_t n = 0;
    struct cx_pdu view = {.opts = k->bytes, .opts_len = k->opts_len};
    struct cx_opt_iter it = cx_opt_begin(&view);
    while (n < CX_OPTS_MAX - 1 && cx_opt_next(&it, &opts[n])) {
        n += opts[n].num != CX_OPT_OBSERVE ? 1 : 0;
    }
    uint8_t buf[4];
    opts[n++] = cx_opt_uint(CX_OPT_BLOCK2, cx_block_encode(&block), buf);
    cx_exch_respond(m, p, req, k->code, opts, n, k->bytes + k->opts_len + cx_block_offset(&block),
                    len);

    dr_list_remove(&k->node);
    dr_list_push_back(&k->work->kept, &k->node);
    dr_timer_start(&m->wheel, &k->timer, m->now_ms + CX_KEPT_IDLE_MS);
    return true;
}
