/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs on shard loops: operations, the slow part of Register, Update, De-register and Send.
 *
 * An Update that brings no news from a known association is answered on the spot. All else is an
 * operation (struct dev_op), one at a time for a device; meanwhile other uplinks of the device that
 * would need one are left without answer, so that the device repeats them:
 *
 *     place in the tables → claim (if new here) → rows (if nobody had it) → commit → answer
 *
 * An operation that fails before its commit takes its place away again if it made it.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "devices/op_priv.h"
#include "devices/rules.h"
#include "devices/standing.h"

void dev_op_answer(struct dev_shard *s, cx_exchange_t x, uint8_t code)
{
    if (x != 0) {
        (void)cx_answer(s->engine, x, &(struct cx_reply){.code = code});
    }
}

uint32_t dev_now_s(void)
{
    return (uint32_t)(dr_wall_ms() / 1000);
}

uint8_t dev_code_of_store(dr_err_t err)
{
    switch (err) {
    case DR_ERR_DENIED: /* suspended */
        return CX_FORBIDDEN;
    case DR_ERR_STALE:
        return CX_NOT_FOUND;
    default: /* full, busy, broken: the device tries again later */
        return CX_UNAVAILABLE;
    }
}

struct dev_op *dev_op_new(struct dev_shard *s, enum dev_op_kind kind, cx_exchange_t x,
                          cx_peer_t peer)
{
    struct dev_op *op = s->ops < DEV_OPS_MAX ? calloc(1, sizeof *op) : NULL;

    if (op != NULL) {
        op->shard = s;
        op->kind = kind;
        op->x = x;
        op->peer = peer;
        op->at_ms = dr_wall_ms();
        s->ops++;
    }
    return op;
}

/* Give up the place. The device goes to the heir, if one waits. */
void dev_op_free(struct dev_op *op)
{
    struct dev_shard *s = op->shard;
    struct dev_note *note = op->note;
    cx_peer_t peer = op->peer;
    uint32_t stays = 0;

    if (op->reg != 0) {
        struct dev_reg *reg = dev_reg_at(s, op->reg);
        struct dev_claim *heir = reg->heir;
        dr_assert(reg->op == op);
        reg->op = NULL;
        reg->heir = NULL;
        if (heir != NULL) {
            dev_claim_hand_over(s, op->reg, heir);
        } else if ((reg->flags & DEV_REG_LIVE) == 0) {
            dev_reg_remove(s, op->reg, true);
        } else if (op->kind != DEV_OP_REGISTER) {
            stays = op->reg;
        }
    }
    dev_change_fini(s, &op->change);
    op->loaded = dev_loaded_free(op->loaded);
    op->claim.got = dev_handover_free(op->claim.got);
    free(op->kept);
    free(op->blob);
    free(op->standing);
    free(op);
    s->ops--;
    if (stays != 0) {
        dev_obs_next(s, stays);
    }
    if (stays != 0 && note != NULL) {
        (void)dev_notify(s, peer, &note->pdu);
    }
    free(note);
    dev_op_end_check(s);
}

void dev_op_finish(struct dev_op *op, uint8_t code)
{
    dev_op_answer(op->shard, op->x, code);
    dev_op_free(op);
}

/* Leave the device without answer: it repeats its message when this has calmed down. */
void dev_op_forget(struct dev_op *op)
{
    if (op->x != 0) {
        cx_forget(op->shard->engine, op->x);
    }
    dev_op_free(op);
}

/* Keep body and query of a message for later. */
dr_err_t dev_op_keep(struct dev_op *op, const struct dev_uplink *up)
{
    size_t size = up->body.len;

    for (size_t i = 0; i < up->n_query; i++) {
        size += up->query[i].len;
    }
    op->kept = malloc(size + 1);
    if (op->kept == NULL) {
        return DR_ERR_NOMEM;
    }
    struct dr_wr wr = dr_wr_of(op->kept, size);
    dr_wr_put_bytes(&wr, up->body);
    for (size_t i = 0; i < up->n_query; i++) {
        op->query[i] = (struct lwm2m_str){.ptr = (const char *)wr.p, .len = up->query[i].len};
        dr_wr_put(&wr, up->query[i].ptr, up->query[i].len);
    }
    op->up = (struct dev_uplink){.query = op->query,
                                 .n_query = up->n_query,
                                 .body = dr_bytes_of(op->kept, up->body.len),
                                 .ct = up->ct};
    return DR_OK;
}

dr_err_t dev_op_standing(struct dev_op *op, const struct dev_reg *reg)
{
    op->standing = malloc(DEV_STANDING_BYTES_MAX);
    if (op->standing == NULL) {
        return DR_ERR_NOMEM;
    }
    op->standing_len = dev_obs_own_store(reg, op->change.own, op->change.n_own, op->standing);
    return DR_OK;
}

void dev_op_set_identity(struct dev_op *op, const struct cx_identity *id)
{
    op->has_identity = id->kind != CX_ID_NONE;
    op->id = *id;
    op->id.name = op->endpoint;
    op->account = op->has_identity ? id->account : op->shard->core->cfg.nosec_account;
}

void dev_op_set_address(struct dev_op *op)
{
    union cx_addr a;
    char text[INET6_ADDRSTRLEN] = "";

    if (!cx_peer_addr(op->shard->engine, op->peer, &a)) {
        return;
    }
    if (a.sa.sa_family == AF_INET) {
        (void)inet_ntop(AF_INET, &a.in4.sin_addr, text, sizeof text);
        (void)snprintf(op->address, sizeof op->address, "%s:%u", text, ntohs(a.in4.sin_port));
    } else {
        (void)inet_ntop(AF_INET6, &a.in6.sin6_addr, text, sizeof text);
        (void)snprintf(op->address, sizeof op->address, "[%s]:%u", text, ntohs(a.in6.sin6_port));
    }
}

void dev_op_place_set(struct dev_op *op, uint32_t index)
{
    op->reg = index;
    dev_reg_at(op->shard, index)->op = op;
}

/* Make the place for op->endpoint and claim the device. */
void dev_op_claim(struct dev_op *op)
{
    struct dev_shard *s = op->shard;
    uint32_t index = dev_reg_by_name(s, op->account, op->endpoint);

    if (index != 0) { /* only a NoSec Update gets here with one: somebody was faster */
        dev_op_forget(op);
        return;
    }
    if (dev_reg_new(s, op->account, op->endpoint, &index) != DR_OK) {
        dev_op_finish(op, CX_UNAVAILABLE);
        return;
    }
    dev_op_place_set(op, index);
    op->claimed = true;
    op->claim = (struct dev_claim){.by = s,
                                   .hash = dev_name_hash(s->core, op->account, op->endpoint),
                                   .account = op->account,
                                   .endpoint = op->endpoint};
    dev_claim_start(&op->claim);
}

/* ---- the claim is through ---- */

void dev_op_claimed(struct dev_op *op)
{
    if (op->claim.busy) {
        dev_op_forget(op);
        return;
    }
    if (op->claim.got != NULL) {
        struct dev_handover *h = op->claim.got;
        op->claim.got = NULL;
        dr_err_t err = dev_handover_install(op->shard, op->reg, h);
        if (err == DR_OK) {
            op->moved = true;
        } else if (op->kind != DEV_OP_REGISTER) {
            dev_op_finish(op, CX_UNAVAILABLE);
            return;
        }
    }
    if (op->kind == DEV_OP_REGISTER) {
        dev_register_commit(op);
        return;
    }
    const struct dev_reg *reg = dev_reg_at(op->shard, op->reg);
    if ((reg->flags & DEV_REG_LIVE) == 0 || (op->device != 0 && reg->device != op->device)) {
        dev_op_load(op);
        return;
    }
    dev_op_ready(op);
}
