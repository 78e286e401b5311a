/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies that a peer sends in Block1, one per resource and Request-Tag. Blocks come in order, each
 * answered by 2.31 until the last; block 0 begins again whatever was there. spec: RFC7959#2.5
 */
#include "coap/msg_priv.h"

static void idle_expired(struct dr_timer *t, uint64_t now_ms)
{
    (void)now_ms;
    struct cx_assembly *a = DR_CONTAINER_OF(t, struct cx_assembly, timer);
    struct cx_msg *m = a->m;
    struct cx_mwork *w = a->work;

    cx_assembly_free(a);
    cx_msg_work_tidy(m, w);
}

static struct cx_assembly *assembly_new(struct cx_msg *m, struct cx_mpeer *p, uint64_t key)
{
    uint32_t self;
    struct cx_mwork *w = cx_msg_work(m, p);
    if (w == NULL) {
        return NULL;
    }
    if (w->n_assemblies >= CX_ASSEMBLIES_PER_PEER_MAX ||
        dr_slab_alloc(&m->assemblies, &self) != DR_OK) {
        cx_msg_work_tidy(m, w);
        return NULL;
    }
    struct cx_assembly *a = dr_slab_get(&m->assemblies, self);
    a->self = self;
    a->m = m;
    a->work = w;
    a->key = key;
    dr_dynbuf_init(&a->body, m->limits.body_max);
    dr_timer_init(&a->timer, idle_expired);
    dr_list_push_back(&w->assemblies, &a->node);
    w->n_assemblies++;
    m->stats->assemblies++;
    return a;
}

void cx_assembly_free(struct cx_assembly *a)
{
    dr_assert(a != NULL);
    struct cx_msg *m = a->m;

    if (a->exch != NULL) {
        a->exch->assembly = NULL;
    }
    if (a->exch != NULL && a->exch == m->reading) {
        m->cur_body = a->body; /* its callback is reading */
    } else {
        dr_dynbuf_fini(&a->body);
    }
    dr_timer_cancel(&m->wheel, &a->timer);
    dr_list_remove(&a->node);
    a->work->n_assemblies--;
    m->stats->assemblies--;
    dr_slab_free(&m->assemblies, a->self);
}

void cx_assembly_reopen(struct cx_assembly *a)
{
    dr_assert(a != NULL && a->before_last <= a->body.len);
    if (a->exch != NULL) {
        a->exch->assembly = NULL;
        a->exch = NULL;
    }
    a->body.len = a->before_last; /* the bytes stay: a callback may still be reading them */
}

static struct cx_assembly *assembly_find(const struct cx_mpeer *p, uint64_t key)
{
    if (p->work == NULL) {
        return NULL;
    }
    DR_LIST_EACH(it, &p->work->assemblies)
    {
        struct cx_assembly *a = DR_CONTAINER_OF(it, struct cx_assembly, node);
        if (a->key == key) {
            return a;
        }
    }
    return NULL;
}

static void drop(struct cx_msg *m, struct cx_assembly *a)
{
    struct cx_mwork *w = a->work;
    cx_assembly_free(a);
    cx_msg_work_tidy(m, w);
}

static void refuse(struct cx_msg *m, struct cx_mpeer *p, const struct cx_req *req, uint8_t code)
{
    cx_exch_respond(m, p, req, code, NULL, 0, NULL, 0);
}

static void refuse_large(struct cx_msg *m, struct cx_mpeer *p, const struct cx_req *req,
                         int32_t block1)
{
    uint8_t buf1[4], buf2[4];
    struct cx_opt opts[2] = {cx_opt_uint(CX_OPT_SIZE1, m->limits.body_max, buf1),
                             cx_opt_uint(CX_OPT_BLOCK1, (uint32_t)block1, buf2)};
    cx_exch_respond(m, p, req, CX_TOO_LARGE, opts, 2, NULL, 0);
}

static void go_on(struct cx_msg *m, struct cx_mpeer *p, const struct cx_req *req, int32_t block1)
{
    uint8_t buf[4];
    struct cx_opt opt = cx_opt_uint(CX_OPT_BLOCK1, (uint32_t)block1, buf);
    cx_exch_respond(m, p, req, CX_CONTINUE, &opt, 1, NULL, 0);
}

/* The assembly that the block belongs to, or NULL and the request has been answered. */
static struct cx_assembly *place(struct cx_msg *m, struct cx_mpeer *p, const struct cx_pdu *pdu,
                                 const struct cx_req *req, const struct cx_block *b, uint64_t key)
{
    struct cx_assembly *a = assembly_find(p, key);

    if (b->num == 0) {
        if (a != NULL) {
            drop(m, a);
        }
        a = assembly_new(m, p, key);
        if (a == NULL) {
            refuse(m, p, req, CX_UNAVAILABLE);
        }
        return a;
    }
    if (a == NULL || a->exch != NULL) {
        refuse(m, p, req, CX_INCOMPLETE);
        return NULL;
    }
    size_t at = cx_block_offset(b);
    if (at < a->body.len && at + pdu->payload_len == a->body.len && b->more) {
        /* the newest block under a new id: our 2.31 was given up on */
        dr_timer_start(&m->wheel, &a->timer, m->now_ms + CX_ASSEMBLY_IDLE_MS);
        go_on(m, p, req, pdu->block1);
        return NULL;
    }
    if (at != a->body.len) {
        drop(m, a);
        refuse(m, p, req, CX_INCOMPLETE);
        return NULL;
    }
    return a;
}

bool cx_assembly_input(struct cx_msg *m, struct cx_mpeer *p, const struct cx_pdu *pdu,
                       const struct cx_req *req, struct cx_assembly **ret)
{
    dr_assert(m != NULL && p != NULL && pdu != NULL && req != NULL && ret != NULL);
    struct cx_block b;
    dr_err_t err = cx_msg_block(p, pdu->block1, &b);
    dr_assert(err == DR_OK);

    uint64_t key = cx_msg_key(m, pdu->code, pdu);
    if (!cx_block_holds(&b, pdu->payload_len)) {
        refuse(m, p, req, CX_BAD_REQUEST);
        return false;
    }
    if (b.num == 0 && !b.more) {
        struct cx_assembly *old = assembly_find(p, key);
        if (old != NULL) {
            drop(m, old);
        }
        *ret = NULL;
        return true;
    }
    size_t end = cx_block_offset(&b) + pdu->payload_len;
    if (end > m->limits.body_max || pdu->size1 > (int64_t)m->limits.body_max) {
        struct cx_assembly *old = assembly_find(p, key);
        if (old != NULL) {
            drop(m, old);
        }
        refuse_large(m, p, req, pdu->block1);
        return false;
    }
    struct cx_assembly *a = place(m, p, pdu, req, &b, key);
    if (a == NULL) {
        return false;
    }
    a->before_last = a->body.len;
    dr_dynbuf_append(&a->body, pdu->payload, pdu->payload_len);
    if (dr_dynbuf_err(&a->body) != DR_OK) {
        drop(m, a);
        refuse(m, p, req, CX_UNAVAILABLE);
        return false;
    }
    dr_timer_start(&m->wheel, &a->timer, m->now_ms + CX_ASSEMBLY_IDLE_MS);
    if (b.more) {
        go_on(m, p, req, pdu->block1);
        return false;
    }
    *ret = a;
    return true;
}
