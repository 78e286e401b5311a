/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/integ/devices/fake_engine.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct cx_timing cx_timing_default = {2000, 150, 4, 120000};

struct on_loop {
    struct loop_msg msg;
    void (*fn)(void *ctx);
    void *ctx;
    bool done;
};

static void on_loop_run(struct loop_msg *msg)
{
    struct on_loop *o = DR_CONTAINER_OF(msg, struct on_loop, msg);

    o->fn(o->ctx);
    o->done = true;
}

void fe_on_loop(struct loop *loop, void (*fn)(void *ctx), void *ctx)
{
    struct on_loop o = {.fn = fn, .ctx = ctx};

    if (loop_current() == loop) {
        fn(ctx);
        return;
    }
    loop_post(loop, &o.msg, on_loop_run);
    while (!o.done) {
        loop_run_once(loop, false);
    }
}

/* One thing that the network does to an engine. */
struct act {
    struct cx_engine *e;
    cx_peer_t peer;
    struct built *b;
    struct fe_exchange *x;
    struct cx_call *call;
    dr_err_t err;
    const char *identity;
    bool taken;
};

static struct fe_peer *peer_get(const struct cx_engine *e, cx_peer_t peer)
{
    struct cx_engine *w = (struct cx_engine *)(uintptr_t)e;

    if (peer == 0 || peer > FE_PEERS || !w->peers[peer - 1].alive) {
        return NULL;
    }
    return &w->peers[peer - 1];
}

cx_peer_t fe_peer_new(struct cx_engine *e, enum cx_id_kind kind, int64_t account, const char *name,
                      int64_t credential, uint32_t version)
{
    for (unsigned i = 0; i < FE_PEERS; i++) {
        struct fe_peer *p = &e->peers[i];
        if (p->used) {
            continue;
        }
        *p = (struct fe_peer){
            .alive = true,
            .used = true,
            .id = {.kind = kind, .account = account, .credential = credential, .version = version}};
        (void)snprintf(p->name, sizeof p->name, "%s", name);
        return i + 1;
    }
    ck_abort_msg("too many peers");
    return 0;
}

static void calls_end(struct cx_engine *e, cx_peer_t peer, dr_err_t err)
{
    for (uint32_t i = e->first_call; i < e->n_calls; i++) {
        struct cx_call *call = e->calls[i];
        if (call != NULL && call->peer == peer) {
            e->calls[i] = NULL;
            call->cb(call, err, NULL);
        }
    }
}

static void act_gone(void *ctx)
{
    struct act *a = ctx;
    struct cx_engine *e = a->e;
    cx_peer_t peer = a->peer;
    struct fe_peer *p = peer_get(e, peer);

    if (p != NULL) {
        uint64_t user = p->user;
        p->alive = false;
        calls_end(e, peer, DR_ERR_GONE);
        p->user = 0;
        e->ops->peer_gone(e->data, e, peer, user, CX_GONE_CLOSED);
    }
}

void fe_peer_gone(struct cx_engine *e, cx_peer_t peer)
{
    fe_on_loop(e->loop, act_gone, &(struct act){.e = e, .peer = peer});
}

bool fe_peer_alive(struct cx_engine *e, cx_peer_t peer)
{
    return peer_get(e, peer) != NULL;
}

struct built {
    uint8_t bytes[70000];
    uint8_t num[16][4];
    struct cx_pdu pdu;
};

static void build(struct built *b, uint8_t code, const struct fe_msg *m)
{
    struct cx_opt opts[CX_OPTS_MAX];
    size_t n = 0;
    unsigned k = 0;
    char path[300] = "", query[2000] = "";
    char *save = NULL;

    if (m->path != NULL) {
        (void)snprintf(path, sizeof path, "%s", m->path);
    }
    if (m->query != NULL) {
        (void)snprintf(query, sizeof query, "%s", m->query);
    }
    for (char *s = strtok_r(path, "/", &save); s != NULL; s = strtok_r(NULL, "/", &save)) {
        opts[n++] = (struct cx_opt){CX_OPT_URI_PATH, (uint16_t)strlen(s), (const uint8_t *)s};
    }
    for (char *s = strtok_r(query, "&", &save); s != NULL; s = strtok_r(NULL, "&", &save)) {
        opts[n++] = (struct cx_opt){CX_OPT_URI_QUERY, (uint16_t)strlen(s), (const uint8_t *)s};
    }
    if (m->ct != 0) {
        opts[n++] = cx_opt_uint(CX_OPT_CONTENT_FORMAT, (uint32_t)m->ct - 1, b->num[k++]);
    }
    if (m->observe != 0) {
        opts[n++] = cx_opt_uint(CX_OPT_OBSERVE, (uint32_t)m->observe - 1, b->num[k++]);
    }
    if (m->max_age != 0) {
        opts[n++] = cx_opt_uint(CX_OPT_MAX_AGE, (uint32_t)m->max_age - 1, b->num[k++]);
    }
    struct dr_wr wr = dr_wr_of(b->bytes, sizeof b->bytes);
    ck_assert_int_eq(
        cx_pdu_encode(&wr, m->type, code, 7, m->token, m->token_len, opts, n, m->payload, m->len),
        DR_OK);
    dr_err_t err = cx_pdu_decode(b->bytes, dr_wr_len(&wr), &b->pdu);
    ck_assert_int_eq(err, DR_OK);
}

static void act_request(void *ctx)
{
    struct act *a = ctx;
    struct cx_inbound in = {
        .peer = a->peer, .exchange = (cx_exchange_t)(a->x - a->e->x) + 1, .pdu = &a->b->pdu};

    a->e->ops->request(a->e->data, a->e, &in);
}

struct fe_exchange *fe_request(struct cx_engine *e, cx_peer_t peer, struct fe_msg m)
{
    struct built *b = malloc(sizeof *b);

    ck_assert_ptr_nonnull(b);
    ck_assert_uint_lt(e->n_x, FE_EXCHANGES);
    struct fe_exchange *x = &e->x[e->n_x++];
    *x = (struct fe_exchange){.open = true, .peer = peer};
    build(b, m.code, &m);
    fe_on_loop(e->loop, act_request, &(struct act){.e = e, .peer = peer, .b = b, .x = x});
    free(b);
    return x;
}

static void act_notify(void *ctx)
{
    struct act *a = ctx;

    a->taken = a->e->ops->notify(a->e->data, a->e, a->peer, &a->b->pdu);
}

bool fe_notify(struct cx_engine *e, cx_peer_t peer, struct fe_msg m)
{
    struct built *b = malloc(sizeof *b);
    struct act a = {.e = e, .peer = peer, .b = b};

    ck_assert_ptr_nonnull(b);
    build(b, m.code, &m);
    fe_on_loop(e->loop, act_notify, &a);
    free(b);
    return a.taken;
}

struct cx_call *fe_call(struct cx_engine *e)
{
    while (e->first_call < e->n_calls && e->calls[e->first_call] == NULL) {
        e->first_call++;
    }
    return e->first_call < e->n_calls ? e->calls[e->first_call] : NULL;
}

const char *fe_call_text(const struct cx_call *call)
{
    static char text[1024];
    static const char *const methods[] = {"?", "GET", "POST", "PUT", "DELETE"};
    size_t len = (size_t)snprintf(text, sizeof text, "%s ", methods[call->code]);
    const char *sep = "";
    uint32_t v;

    for (size_t i = 0; i < call->n_opts; i++) {
        const struct cx_opt *o = &call->opts[i];
        if (o->num == CX_OPT_URI_PATH) {
            len += (size_t)snprintf(text + len, sizeof text - len, "%s%.*s", sep, (int)o->len,
                                    (const char *)o->val);
            sep = "/";
        }
    }
    for (size_t i = 0; i < call->n_opts; i++) {
        const struct cx_opt *o = &call->opts[i];
        const char *name = o->num == CX_OPT_OBSERVE          ? "obs"
                           : o->num == CX_OPT_ACCEPT         ? "acc"
                           : o->num == CX_OPT_CONTENT_FORMAT ? "ct"
                                                             : NULL;
        if (o->num == CX_OPT_URI_QUERY) {
            len += (size_t)snprintf(text + len, sizeof text - len, " ?%.*s", (int)o->len,
                                    (const char *)o->val);
        } else if (name != NULL && cx_opt_get_uint(o, &v) == DR_OK) {
            len += (size_t)snprintf(text + len, sizeof text - len, " %s=%u", name, v);
        }
    }
    return text;
}

static void call_take(struct cx_engine *e, struct cx_call *call)
{
    for (uint32_t i = e->first_call; i < e->n_calls; i++) {
        if (e->calls[i] == call) {
            e->calls[i] = NULL;
            return;
        }
    }
    ck_abort_msg("not a call that waits");
}

static void act_answer(void *ctx)
{
    struct act *a = ctx;

    a->call->cb(a->call, a->err, a->b == NULL ? NULL : &a->b->pdu);
}

void fe_call_answer(struct cx_engine *e, struct cx_call *call, struct fe_msg m)
{
    struct built *b = malloc(sizeof *b);

    ck_assert_ptr_nonnull(b);
    build(b, m.code, &m);
    call_take(e, call);
    fe_on_loop(e->loop, act_answer, &(struct act){.e = e, .call = call, .b = b});
    free(b);
}

void fe_call_fail(struct cx_engine *e, struct cx_call *call, dr_err_t err)
{
    call_take(e, call);
    fe_on_loop(e->loop, act_answer, &(struct act){.e = e, .call = call, .err = err});
}

static void act_run(void *ctx)
{
    struct cx_engine *e = ctx;

    for (uint32_t i = e->first_call; i < e->n_calls; i++) {
        struct cx_call *call = e->calls[i];
        if (call != NULL && e->moved[i]) {
            e->calls[i] = NULL;
            call->cb(call, DR_ERR_MOVED, NULL);
        }
    }
    for (unsigned i = 0; i < FE_PEERS; i++) {
        if (e->peers[i].alive && e->peers[i].closed_by_owner) {
            fe_peer_gone(e, i + 1);
        }
    }
}

void fe_run(struct cx_engine *e)
{
    fe_on_loop(e->loop, act_run, e);
}

static void act_psk(void *ctx)
{
    struct act *a = ctx;
    struct cx_psk_query q = {.handle = 77, .identity = a->identity};

    a->e->ops->psk(a->e->data, a->e, &q);
}

void fe_psk_ask(struct cx_engine *e, const char *identity)
{
    e->psk_answered = false;
    e->psk_len = 0;
    fe_on_loop(e->loop, act_psk, &(struct act){.e = e, .identity = identity});
}

/* ---- what devices/ calls ---- */

dr_err_t cx_answer(struct cx_engine *e, cx_exchange_t x, const struct cx_reply *reply)
{
    ck_assert_uint_gt(x, 0);
    ck_assert_uint_le(x, e->n_x);
    struct fe_exchange *ex = &e->x[x - 1];
    ck_assert_msg(ex->open, "answered twice");
    ex->open = false;
    ex->answered = true;
    ex->code = reply->code;
    size_t len = 0;
    for (size_t i = 0; i < reply->n_opts; i++) {
        if (reply->opts[i].num == CX_OPT_LOCATION_PATH) {
            len += (size_t)snprintf(ex->location + len, sizeof ex->location - len, "%s%.*s",
                                    len == 0 ? "" : "/", (int)reply->opts[i].len,
                                    (const char *)reply->opts[i].val);
        }
    }
    return DR_OK;
}

void cx_forget(struct cx_engine *e, cx_exchange_t x)
{
    ck_assert_uint_gt(x, 0);
    struct fe_exchange *ex = &e->x[x - 1];
    ck_assert_msg(ex->open, "answered already");
    ex->open = false;
    ex->forgotten = true;
}

dr_err_t cx_call_start(struct cx_engine *e, struct cx_call *call)
{
    if (peer_get(e, call->peer) == NULL) {
        return DR_ERR_GONE;
    }
    ck_assert_uint_lt(e->n_calls, FE_CALLS);
    e->moved[e->n_calls] = false;
    e->calls[e->n_calls++] = call;
    return DR_OK;
}

void cx_call_cancel(struct cx_engine *e, struct cx_call *call)
{
    (void)e;
    (void)call;
    ck_abort_msg("not expected");
}

void cx_psk_answer(struct cx_engine *e, uint64_t handle, const uint8_t *key, size_t len,
                   const struct cx_identity *id)
{
    ck_assert_uint_eq(handle, 77);
    e->psk_answered = true;
    e->psk_len = len;
    if (len != 0) {
        memcpy(e->psk_key, key, len);
        e->psk_id = *id;
        (void)snprintf(e->psk_name, sizeof e->psk_name, "%s", id->name);
    }
}

void cx_peer_set_user(struct cx_engine *e, cx_peer_t peer, uint64_t user)
{
    struct fe_peer *p = peer_get(e, peer);

    if (p != NULL) {
        p->user = user;
    }
}

uint64_t cx_peer_user(const struct cx_engine *e, cx_peer_t peer)
{
    const struct fe_peer *p = peer_get(e, peer);

    return p == NULL ? 0 : p->user;
}

bool cx_peer_identity(const struct cx_engine *e, cx_peer_t peer, struct cx_identity *ret)
{
    const struct fe_peer *p = peer_get(e, peer);

    if (p != NULL) {
        *ret = p->id;
        ret->name = p->name;
    }
    return p != NULL;
}

bool cx_peer_addr(const struct cx_engine *e, cx_peer_t peer, union cx_addr *ret)
{
    if (peer_get(e, peer) == NULL) {
        return false;
    }
    memset(ret, 0, sizeof *ret);
    ret->in4.sin_family = AF_INET;
    ret->in4.sin_port = (in_port_t)peer;
    return true;
}

void cx_peer_close(struct cx_engine *e, cx_peer_t peer)
{
    struct fe_peer *p = peer_get(e, peer);

    if (p != NULL) {
        p->closed_by_owner = true;
    }
}

uint32_t cx_engine_close_some(struct cx_engine *e, uint32_t from, uint32_t max,
                              bool (*match)(void *data, const struct cx_identity *id), void *data)
{
    (void)from;
    (void)max;
    for (uint32_t i = 0; i < FE_PEERS; i++) {
        if (e->peers[i].alive && match(data, &e->peers[i].id)) {
            e->peers[i].closed_by_owner = true;
        }
    }
    return 0;
}

void cx_peer_calls_moved(struct cx_engine *e, cx_peer_t peer)
{
    for (uint32_t i = e->first_call; i < e->n_calls; i++) {
        if (e->calls[i] != NULL && e->calls[i]->peer == peer) {
            e->moved[i] = true;
        }
    }
}
