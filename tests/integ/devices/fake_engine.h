/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/integ/devices/fake_engine.h
 * @brief An engine without network that stands in for coap/'s at link time: the test plays devices.
 */
#pragma once

#include "base/loop.h"
#include "coap/engine.h"

#define FE_PEERS     64
#define FE_EXCHANGES 4096
#define FE_CALLS     1024

struct fe_peer {
    bool alive;
    struct cx_identity id;
    char name[CX_IDENTITY_MAX + 1];
    uint64_t user;
    bool used;
    bool closed_by_owner;
};

struct fe_exchange {
    bool open, answered, forgotten;
    uint8_t code;
    char location[256];
    cx_peer_t peer;
};

struct cx_engine {
    struct loop *loop;
    const struct cx_ops *ops;
    void *data;
    struct fe_peer peers[FE_PEERS];
    struct fe_exchange x[FE_EXCHANGES];
    uint32_t n_x;
    struct cx_call *calls[FE_CALLS]; /* in order; NULL = done */
    uint32_t n_calls, first_call;
    bool moved[FE_CALLS]; /* complete as moved at the next fe_run() */
    uint8_t psk_key[64];
    size_t psk_len;
    bool psk_answered;
    struct cx_identity psk_id;
    char psk_name[CX_IDENTITY_MAX + 1];
};

struct fe_msg {
    uint8_t code;
    uint8_t type;      /* enum cx_type */
    const char *path;  /* "rd/x" */
    const char *query; /* "ep=a&lt=60", may be NULL */
    int ct;            /* FE_N */
    const void *payload;
    size_t len;
    int observe;
    int max_age;
    const uint8_t *token;
    uint8_t token_len;
};
/** Numbers in a message: 0 means absent, FE_N(0) is the number 0. */
#define FE_N(n)            ((n) + 1)
#define FE_MSG(code_, ...) ((struct fe_msg){.code = (code_), __VA_ARGS__})

/** Run @p fn on a loop of this thread, now. */
void fe_on_loop(struct loop *loop, void (*fn)(void *ctx), void *ctx);

cx_peer_t fe_peer_new(struct cx_engine *e, enum cx_id_kind kind, int64_t account, const char *name,
                      int64_t credential, uint32_t version);
void fe_peer_gone(struct cx_engine *e, cx_peer_t peer);
bool fe_peer_alive(struct cx_engine *e, cx_peer_t peer);
/** A request of a device; what became of it is in the result. */
struct fe_exchange *fe_request(struct cx_engine *e, cx_peer_t peer, struct fe_msg m);
bool fe_notify(struct cx_engine *e, cx_peer_t peer, struct fe_msg m);
/** The oldest call that waits, or NULL. */
struct cx_call *fe_call(struct cx_engine *e);
/** "GET 3/0/0 ?a=1 obs=0 acc=0 ct=0" of a call. */
const char *fe_call_text(const struct cx_call *call);
void fe_call_answer(struct cx_engine *e, struct cx_call *call, struct fe_msg m);
void fe_call_fail(struct cx_engine *e, struct cx_call *call, dr_err_t err);
/** Complete calls that were moved, end peers that were closed. */
void fe_run(struct cx_engine *e);
void fe_psk_ask(struct cx_engine *e, const char *identity);
