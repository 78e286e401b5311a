/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  devices/ops_priv.h
 * @brief Options of requests to devices, and results in the terms of the contract.
 *
 * Layer: devices, private.  Threads: the shard's loop alone.  Memory: options live in the struct,
 * which must not move while a call uses it.  Limits: DEV_OPTS_MAX, DEV_OPTS_BYTES_MAX.
 * Security: texts come from the operator.  Spec: LWM2M-1.1-CORE#6.3.
 */
#pragma once

#include "devices/shard_priv.h"

#define DEV_OPTS_MAX       40
#define DEV_OPTS_BYTES_MAX 400

struct dev_opts {
    struct cx_opt opts[DEV_OPTS_MAX];
    size_t n;
    uint8_t bytes[DEV_OPTS_BYTES_MAX];
    size_t len;
};

/** All: @retval DR_ERR_RANGE does not fit */
DR_CHECK dr_err_t dev_opts_uint(struct dev_opts *o, uint16_t num, uint32_t value);
DR_CHECK dr_err_t dev_opts_put(struct dev_opts *o, uint16_t num, const void *val, size_t len);
/** Uri-Path, behind the alternate path that the device registered. @param links may be NULL */
DR_CHECK dr_err_t dev_opts_path(struct dev_opts *o, const struct lwm2m_links *links,
                                const struct lwm2m_path *path);
/** Uri-Query from "a=1&b". */
DR_CHECK dr_err_t dev_opts_query(struct dev_opts *o, const char *query);

/**
 * Give the device's answer back to control.
 * @param reg      may be NULL: then the payload goes as it is
 * @param observe  an answer without Observe option is "not observable"
 */
void dev_task_answer(struct dev_shard *s, struct dev_reg *reg, struct dev_task *task,
                     const struct cx_pdu *answer, bool observe);

/** A notification of a device that is not in memory: read it, if it can be known. */
bool dev_notify_unknown(struct dev_shard *s, cx_peer_t peer, const struct cx_pdu *pdu);
