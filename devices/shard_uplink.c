/* SPDX-License-Identifier: Apache-2.0 */
/* Runs on shard loops: what the engine tells us; where each uplink goes. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "devices/op_priv.h"
#include "devices/ops_priv.h"
#include "devices/rules.h"

/* A message for a device that is here. */
static void known_uplink(struct dev_shard *s, uint32_t index, const struct cx_inbound *in,
                         enum dev_op_kind kind, const struct dev_uplink *up)
{
    struct dev_reg *reg = dev_reg_at(s, index);
    struct dev_change change = {0};

    if (reg->op != NULL) {
        cx_forget(s->engine, in->exchange);
        return;
    }
    if (kind == DEV_OP_UPDATE) {
        uint8_t code = dev_change_diff(s, reg, up, &change);
        if (code != 0) {
            dev_change_fini(s, &change);
            dev_op_answer(s, in->exchange, code);
            return;
        }
        if (change.mask == 0) {
            dev_change_apply(s, index, &change);
            dev_change_fini(s, &change);
            dev_update_finish(s, index, in->peer, in->exchange);
            dev_obs_next(s, index);
            return;
        }
    }
    struct dev_op *op = dev_op_new(s, kind, in->exchange, in->peer);
    if (op == NULL) {
        dev_change_fini(s, &change);
        dev_op_answer(s, in->exchange, CX_UNAVAILABLE);
        return;
    }
    op->change = change;
    dev_op_place_set(op, index);
    if (kind == DEV_OP_UPDATE) {
        dev_update_commit(op);
        return;
    }
    if (kind == DEV_OP_SEND) {
        op->up = *up; /* processed in this call */
    }
    dev_op_ready(op);
}

/* A notification, kept until the rows are read. NULL: it is lost. */
static struct dev_note *note_new(const struct cx_pdu *pdu)
{
    struct dev_note *note = malloc(sizeof *note + pdu->payload_len);

    if (note != NULL) {
        note->pdu = *pdu;
        note->pdu.opts = NULL;
        note->pdu.opts_len = 0;
        if (pdu->payload_len != 0) {
            memcpy(note->payload, pdu->payload, pdu->payload_len);
        }
        note->pdu.payload = note->payload;
    }
    return note;
}

/* A message for a device that is not here: claim it, or read who it is. */
static void unknown_uplink(struct dev_shard *s, const struct cx_inbound *in, enum dev_op_kind kind,
                           int64_t device, const struct cx_identity *id,
                           const struct dev_uplink *up)
{
    size_t len = strlen(id->name);

    if (len > DEV_NAME_MAX || (id->kind == CX_ID_NONE && device == 0)) {
        dev_op_answer(s, in->exchange, CX_NOT_FOUND);
        return;
    }
    struct dev_op *op = dev_op_new(s, kind, in->exchange, in->peer);
    if (op == NULL || dev_op_keep(op, up) != DR_OK) {
        dev_op_answer(s, in->exchange, CX_UNAVAILABLE);
        if (op != NULL) {
            dev_op_free(op);
        }
        return;
    }
    memcpy(op->endpoint, id->name, len + 1);
    dev_op_set_identity(op, id);
    op->device = device;
    op->note = up->notification == NULL ? NULL : note_new(up->notification);
    if (op->has_identity) {
        dev_op_claim(op);
    } else {
        dev_op_load(op);
    }
}

/* May this peer speak for the registration? */
static bool identity_fits(const struct dev_shard *s, const struct cx_identity *id,
                          const struct dev_reg *reg)
{
    if (id->kind == CX_ID_NONE) {
        return s->core->cfg.nosec_account != 0 && reg->account == s->core->cfg.nosec_account;
    }
    return reg->account == id->account && strcmp(reg->name, id->name) == 0;
}

static void on_location(struct dev_shard *s, const struct cx_inbound *in, int64_t device,
                        bool has_query)
{
    const struct cx_pdu *pdu = in->pdu;
    struct lwm2m_str query[LWM2M_REG_QUERY_MAX];
    struct dev_uplink up = {.query = query,
                            .body = dr_bytes_of(pdu->payload, pdu->payload_len),
                            .ct = pdu->content_format};
    struct cx_identity id;

    if (pdu->code != CX_POST && pdu->code != CX_DELETE) {
        dev_op_answer(s, in->exchange, CX_NOT_ALLOWED);
        return;
    }
    enum dev_op_kind kind = pdu->code == CX_POST ? DEV_OP_UPDATE : DEV_OP_DEREGISTER;
    if (has_query && !dev_query_get(pdu, query, &up.n_query)) {
        dev_op_answer(s, in->exchange, CX_BAD_REQUEST);
        return;
    }
    if (device == 0 || !cx_peer_identity(s->engine, in->peer, &id)) {
        dev_op_answer(s, in->exchange, CX_NOT_FOUND);
        return;
    }
    uint32_t index = dev_reg_by_device(s, device);
    if (index != 0) {
        if (!identity_fits(s, &id, dev_reg_at(s, index))) {
            /* as a location that is not there: its own registration is not this one, and a code
             * that sends a Pelion client back to bootstrap would wipe its credentials */
            dev_op_answer(s, in->exchange, CX_NOT_FOUND);
            return;
        }
        known_uplink(s, index, in, kind, &up);
        return;
    }
    if (id.kind == CX_ID_NONE && s->core->cfg.nosec_account == 0) {
        dev_op_answer(s, in->exchange, CX_NOT_FOUND);
        return;
    }
    if (id.kind != CX_ID_NONE) {
        index = dev_reg_by_name(s, id.account, id.name);
        if (index != 0) {
            if (dev_reg_at(s, index)->op != NULL) {
                cx_forget(s->engine, in->exchange);
            } else { /* registered, but not as that: an old location */
                dev_op_answer(s, in->exchange, CX_NOT_FOUND);
            }
            return;
        }
    }
    unknown_uplink(s, in, kind, device, &id, &up);
}

static void on_send(struct dev_shard *s, const struct cx_inbound *in)
{
    const struct cx_pdu *pdu = in->pdu;
    struct dev_uplink up = {.body = dr_bytes_of(pdu->payload, pdu->payload_len),
                            .ct = pdu->content_format};
    struct cx_identity id;

    if (pdu->code != CX_POST) {
        dev_op_answer(s, in->exchange, CX_NOT_ALLOWED);
        return;
    }
    if (!cx_peer_identity(s->engine, in->peer, &id)) {
        return;
    }
    uint32_t index = dev_reg_of_peer(s, in->peer);
    if (index != 0) {
        known_uplink(s, index, in, DEV_OP_SEND, &up);
        return;
    }
    unknown_uplink(s, in, DEV_OP_SEND, 0, &id, &up);
}

/* The common case: an Update without news from the association that we know. */
static bool quick_update(struct dev_shard *s, const struct cx_inbound *in, int64_t device)
{
    uint64_t user = cx_peer_user(s->engine, in->peer);

    if (user == 0 || user > UINT32_MAX || !dr_slab_used(&s->regs, (uint32_t)user)) {
        return false;
    }
    struct dev_reg *reg = dev_reg_at(s, (uint32_t)user);
    if (reg->peer != in->peer || reg->device != device || reg->op != NULL ||
        (reg->flags & DEV_REG_LIVE) == 0) {
        return false;
    }
    dev_reg_seen(s, (uint32_t)user, dev_now_s());
    dev_op_answer(s, in->exchange, CX_CHANGED);
    if (s->n_listening != 0) {
        dev_news_state(s, reg, DEV_EVENT_UPDATED, false);
    }
    if (reg->n_obs != 0) {
        dev_obs_next(s, (uint32_t)user);
    }
    return true;
}

/* A message for another part of the server. */
static void on_route(struct dev_shard *s, const struct cx_inbound *in)
{
    struct dev_route_req req = {.to = {.home = &s->home, .exchange = in->exchange},
                                .peer = in->peer,
                                .pdu = in->pdu,
                                .endpoint = ""};

    if (s->core->routes.n == 0 || !cx_peer_identity(s->engine, in->peer, &req.id)) {
        dev_op_answer(s, in->exchange, CX_NOT_FOUND);
        return;
    }
    bool open = req.id.kind == CX_ID_NONE;
    req.account = open ? s->core->cfg.nosec_account : req.id.account;
    req.endpoint = open || req.id.name == NULL ? "" : req.id.name;
    uint32_t index = dev_reg_of_peer(s, in->peer);
    if (index != 0 && (dev_reg_at(s, index)->flags & DEV_REG_LIVE) != 0) {
        struct dev_reg *reg = dev_reg_at(s, index);
        req.device = reg->device;
        req.endpoint = reg->name;
        dev_reg_heard(s, reg, dev_now_s());
    }
    if (!dev_routes_run(&s->core->routes, &req)) {
        dev_op_answer(s, in->exchange, CX_NOT_FOUND);
    }
}

static void on_request(void *data, struct cx_engine *e, const struct cx_inbound *in)
{
    struct dev_shard *s = data;
    int64_t device = 0;
    bool has_query;
    enum dev_target target = dev_target_of(in->pdu, &device, &has_query);

    if (target == DEV_TARGET_LOCATION && in->pdu->code == CX_POST && in->pdu->payload_len == 0 &&
        !has_query && quick_update(s, in, device)) {
        return;
    }
    if (s->ending || !s->begun) {
        cx_forget(e, in->exchange);
        return;
    }
    switch (target) {
    case DEV_TARGET_RD:
        if (in->pdu->code != CX_POST) {
            dev_op_answer(s, in->exchange, CX_NOT_ALLOWED);
            return;
        }
        dev_on_register(s, in);
        return;
    case DEV_TARGET_LOCATION:
        on_location(s, in, device, has_query);
        return;
    case DEV_TARGET_DP:
        on_send(s, in);
        return;
    case DEV_TARGET_NONE:
        on_route(s, in);
        return;
    }
}

bool dev_notify_unknown(struct dev_shard *s, cx_peer_t peer, const struct cx_pdu *pdu)
{
    struct cx_identity id;
    struct dev_uplink up = {.notification = pdu};
    struct cx_inbound in = {.peer = peer};

    if (s->ending || !s->begun || !cx_peer_identity(s->engine, peer, &id) ||
        id.kind == CX_ID_NONE) {
        return false;
    }
    unknown_uplink(s, &in, DEV_OP_UPDATE, 0, &id, &up);
    return true;
}

static bool on_notify(void *data, struct cx_engine *e, cx_peer_t peer, const struct cx_pdu *pdu)
{
    (void)e;
    return dev_notify(data, peer, pdu);
}

static bool on_observed(void *data, struct cx_engine *e, cx_peer_t peer, const struct cx_pdu *first,
                        struct cx_observed *ret)
{
    (void)e;
    return dev_observed(data, peer, first, ret);
}

static bool on_room(void *data, struct cx_engine *e)
{
    (void)e;
    return dev_news_room(data);
}

static void on_peer_gone(void *data, struct cx_engine *e, cx_peer_t peer, uint64_t user,
                         enum cx_gone why)
{
    struct dev_shard *s = data;

    (void)e;
    (void)why;
    if (user != 0 && user <= UINT32_MAX && dr_slab_used(&s->regs, (uint32_t)user) &&
        dev_reg_at(s, (uint32_t)user)->peer == peer) {
        dev_reg_at(s, (uint32_t)user)->peer = 0;
    }
}

const struct cx_ops dev_cx_ops = {
    .request = on_request,
    .notify = on_notify,
    .room = on_room,
    .observed = on_observed,
    .psk = dev_on_psk,
    .cert = dev_on_cert,
    .peer_gone = on_peer_gone,
};
