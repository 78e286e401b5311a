/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  devices/op_priv.h
 * @brief Operations of a shard: the parts that its files share.
 *
 * Layer: devices, private.  Threads: the shard's loop alone.
 * Memory: an operation is one heap block; dev_op_finish() and dev_op_forget() free it.
 * Limits: DEV_OPS_MAX.  Security: messages are hostile.  Spec: LWM2M-1.1-CORE#6.2.
 */
#pragma once

#include "devices/shard_priv.h"

/** Answer with a bare code; 0 is no exchange. */
void dev_op_answer(struct dev_shard *s, cx_exchange_t x, uint8_t code);
/** Unix time in seconds. */
uint32_t dev_now_s(void);
/** Answer to a device whose write the store has refused. */
uint8_t dev_code_of_store(dr_err_t err);

/* ---- life of an operation (shard_op.c) ---- */

/** NULL: DEV_OPS_MAX or no memory. */
struct dev_op *dev_op_new(struct dev_shard *s, enum dev_op_kind kind, cx_exchange_t x,
                          cx_peer_t peer);
/** End without a word: the place goes if the device is not registered, or to the heir. */
void dev_op_free(struct dev_op *op);
/** End without answer: the device repeats its message when this has calmed down. */
void dev_op_forget(struct dev_op *op);
/** Keep body and query of a message. @retval DR_ERR_NOMEM */
DR_CHECK dr_err_t dev_op_keep(struct dev_op *op, const struct dev_uplink *up);
void dev_op_set_identity(struct dev_op *op, const struct cx_identity *id);
void dev_op_set_address(struct dev_op *op);
void dev_op_place_set(struct dev_op *op, uint32_t index);
/** Standing observations as they will be after op, into op->standing. @retval DR_ERR_NOMEM */
DR_CHECK dr_err_t dev_op_standing(struct dev_op *op, const struct dev_reg *reg);
/** Make the place of op->endpoint and claim the device; goes on in dev_op_claimed(). */
void dev_op_claim(struct dev_op *op);
/** Read its rows; goes on in dev_op_ready(), or ends. */
void dev_op_load(struct dev_op *op);
/** The registration is in memory and is that of the sender: do what op is for. */
void dev_op_ready(struct dev_op *op);
/** Subscriptions and cache of a device that registered anew after a restart. */
void dev_extras_load(struct dev_shard *s, uint32_t index);

/* ---- what each is for ---- */

void dev_on_register(struct dev_shard *s, const struct cx_inbound *in);
void dev_register_commit(struct dev_op *op);
void dev_update_commit(struct dev_op *op);
/** The end of every Update: association, last-seen, answer, event. */
void dev_update_finish(struct dev_shard *s, uint32_t index, cx_peer_t peer, cx_exchange_t x);
void dev_deregister_commit(struct dev_op *op);

/* ---- changes (shard_change.c) ---- */

/** Uri-Query options; false: more than LWM2M_REG_QUERY_MAX. */
bool dev_query_get(const struct cx_pdu *pdu, struct lwm2m_str out[LWM2M_REG_QUERY_MAX],
                   size_t *ret_n);
void dev_change_fini(struct dev_shard *s, struct dev_change *c);
/**
 * The object list of a body.
 * @param old  list that it adds to, or NULL
 * @param reg  of a Register, whose rules are checked; NULL for an Update
 */
DR_CHECK dr_err_t dev_change_links(struct dev_shard *s, struct dr_bytes body,
                                   const struct lwm2m_links *old, struct lwm2m_version enabler,
                                   struct dev_change *c, const struct lwm2m_register *reg);
uint8_t dev_code_of_links(dr_err_t err);
/** What an Update changes. @return 0 or the code to refuse it with */
uint8_t dev_change_diff(struct dev_shard *s, const struct dev_reg *reg, const struct dev_uplink *up,
                        struct dev_change *c);
/** Put it into the registration; what it owned is taken. */
void dev_change_apply(struct dev_shard *s, uint32_t index, struct dev_change *c);

/* ---- credentials (shard_credentials.c) ---- */

void dev_on_psk(void *data, struct cx_engine *e, const struct cx_psk_query *q);
dr_err_t dev_on_cert(void *data, struct cx_engine *e, uint64_t anchor_tag, const char *cn,
                     const uint8_t *leaf_der, size_t leaf_len, struct cx_identity *id);
