/* SPDX-License-Identifier: Apache-2.0 */
/* Runs on shard loops: Update, De-register and expiry of registrations that are in memory. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "devices/op_priv.h"
#include "devices/rules.h"

/* ---- Update ---- */

void dev_update_finish(struct dev_shard *s, uint32_t index, cx_peer_t peer, cx_exchange_t x)
{
    struct dev_reg *reg = dev_reg_at(s, index);

    dev_reg_bind(s, index, peer);
    if (x == 0) { /* read because of a notification */
        dev_reg_heard(s, reg, dev_now_s());
        return;
    }
    dev_reg_seen(s, index, dev_now_s());
    dev_op_answer(s, x, CX_CHANGED);
    dev_news_state(s, reg, DEV_EVENT_UPDATED, false);
}

static dr_err_t update_run(struct db_writer *w, struct db_job *job)
{
    struct dev_op *op = DR_CONTAINER_OF(job, struct dev_op, job);
    struct db_registration_update u = {
        .device = op->device,
        .generation = op->generation,
        .at_ms = op->at_ms,
        .mask = op->change.mask | (op->address[0] != '\0' ? DB_REGISTRATION_ADDRESS : 0),
        .lifetime_s = op->change.lifetime_s,
        .binding = op->binding_text,
        .queue_mode = op->change.binding.queue,
        .links = op->links,
        .address = op->address,
        .standing = dr_bytes_of(op->standing, op->standing_len),
    };
    dr_err_t err = db_registration_update(w, &u);

    if (err == DR_OK && op->moved) {
        err = db_generation_bump(w, op->account, op->device, &op->out.generation);
    }
    return err;
}

static void update_done(struct db_job *job, dr_err_t err)
{
    struct dev_op *op = DR_CONTAINER_OF(job, struct dev_op, job);
    struct dev_shard *s = op->shard;
    struct dev_reg *reg = dev_reg_at(s, op->reg);

    if (err != DR_OK) {
        if (err == DR_ERR_STALE) {
            reg->flags &= (uint16_t)~DEV_REG_LIVE; /* deleted meanwhile: the place goes */
        }
        dev_op_finish(op, dev_code_of_store(err));
        return;
    }
    if (op->moved) {
        reg->generation = op->out.generation;
        reg->seen_epoch = 0;
    }
    reg->touched_s = (uint32_t)(op->at_ms / 1000);
    dev_change_apply(s, op->reg, &op->change);
    reg->flags |= op->claim.wanted ? DEV_REG_WANTED : 0;
    dev_update_finish(s, op->reg, op->peer, op->x);
    dev_reg_timer_start(s, reg);
    dev_op_free(op);
}

void dev_update_commit(struct dev_op *op)
{
    struct dev_shard *s = op->shard;
    const struct dev_reg *reg = dev_reg_at(s, op->reg);
    struct lwm2m_str text = lwm2m_shape_text(s->shapes, op->change.shape);

    dev_op_set_address(op);
    op->links = dr_bytes_of(text.ptr, text.len);
    op->device = reg->device;
    op->account = reg->account;
    op->generation = reg->generation;
    if ((op->change.mask & DB_REGISTRATION_STANDING) != 0 && dev_op_standing(op, reg) != DR_OK) {
        dev_op_finish(op, CX_UNAVAILABLE);
        return;
    }
    if ((op->change.mask & DB_REGISTRATION_BINDING) != 0) {
        size_t len =
            lwm2m_binding_format(op->change.binding, dev_reg_version(reg), op->binding_text);
        op->binding_text[len] = '\0';
    }
    op->job = (struct db_job){
        .home = s->loop, .run = update_run, .done = update_done, .lane = DB_LANE_ACK};
    dr_err_t err = db_submit(s->db, &op->job);
    if (err != DR_OK) {
        dev_op_finish(op, dev_code_of_store(err));
    }
}

/* ---- De-register, expiry ---- */

static dr_err_t deregister_run(struct db_writer *w, struct db_job *job)
{
    struct dev_op *op = DR_CONTAINER_OF(job, struct dev_op, job);

    return db_deregister(w, op->device, op->generation,
                         op->kind == DEV_OP_EXPIRE ? DB_GONE_EXPIRED : DB_GONE_DEREGISTERED,
                         op->at_ms, op->event_ids[0]);
}

static void deregister_done(struct db_job *job, dr_err_t err)
{
    struct dev_op *op = DR_CONTAINER_OF(job, struct dev_op, job);
    struct dev_shard *s = op->shard;
    struct dev_reg *reg = dev_reg_at(s, op->reg);
    bool expire = op->kind == DEV_OP_EXPIRE;

    if (err == DR_OK) {
        dev_news_state(s, reg, expire ? DEV_EVENT_EXPIRED : DEV_EVENT_DEREGISTERED, false);
        reg->flags &= (uint16_t)~DEV_REG_LIVE;
        dev_op_finish(op, CX_DELETED);
        return;
    }
    if (err == DR_ERR_STALE) {
        reg->flags &= (uint16_t)~DEV_REG_LIVE;
    } else if (expire) { /* the store is full or broken: later again */
        dr_timer_start(loop_wheel(s->loop), &reg->timer, loop_now_ms(s->loop) + 10000);
    }
    dev_op_finish(op, dev_code_of_store(err));
}

void dev_deregister_commit(struct dev_op *op)
{
    struct dev_shard *s = op->shard;
    const struct dev_reg *reg = dev_reg_at(s, op->reg);

    op->device = reg->device;
    op->generation = reg->generation;
    op->event_ids[0] = dr_id_new(&s->ids);
    op->job = (struct db_job){
        .home = s->loop, .run = deregister_run, .done = deregister_done, .lane = DB_LANE_ACK};
    dr_err_t err = db_submit(s->db, &op->job);
    if (err != DR_OK) {
        deregister_done(&op->job, err);
    }
}

void dev_op_expire(struct dev_shard *s, uint32_t index)
{
    struct dev_op *op = dev_op_new(s, DEV_OP_EXPIRE, 0, 0);
    struct dev_reg *reg = dev_reg_at(s, index);

    if (op == NULL || s->ending) {
        if (op != NULL) {
            dev_op_free(op);
        }
        dr_timer_start(loop_wheel(s->loop), &reg->timer, loop_now_ms(s->loop) + 1000);
        return;
    }
    dev_op_place_set(op, index);
    dev_deregister_commit(op);
}

/* ---- what the operation was made for ---- */

/* The registration is in memory and is that of the sender. */
void dev_op_ready(struct dev_op *op)
{
    struct dev_shard *s = op->shard;
    const struct dev_reg *reg = dev_reg_at(s, op->reg);

    switch (op->kind) {
    case DEV_OP_UPDATE: {
        uint8_t code = dev_change_diff(s, reg, &op->up, &op->change);
        if (code != 0) {
            dev_op_finish(op, code);
            return;
        }
        if (op->change.mask != 0 || op->moved) {
            dev_update_commit(op);
            return;
        }
        dev_change_apply(s, op->reg, &op->change);
        dev_update_finish(s, op->reg, op->peer, op->x);
        dev_op_free(op);
        return;
    }
    case DEV_OP_DEREGISTER:
        dev_deregister_commit(op);
        return;
    case DEV_OP_SEND:
        dev_reg_bind(s, op->reg, op->peer);
        dev_send_process(op);
        return;
    case DEV_OP_REGISTER:
    case DEV_OP_EXPIRE:
        break;
    }
    dr_assert(false);
}
