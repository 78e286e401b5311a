/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  client/core/observe.h
 * @brief Observations and notification attributes: which are due, and when.
 *
 * Layer: client/core, pure.  Threads: one loop.  Memory: the caller's struct only.
 * Limits: CL_OBSERVERS_MAX observations, CL_ATTRS_MAX paths with attributes.
 * Security: none.  Spec: RFC 7641; LwM2M 1.1 core 5.1.2, 6.4.
 */
#pragma once

#include "client/core/evq.h"
#include "client/core/msg.h"

#define CL_OBSERVERS_MAX 16
#define CL_ATTRS_MAX     16

/** depth ids are used: 1 object, 2 instance, 3 resource, 4 resource instance */
struct cl_path {
    uint8_t depth;
    uint16_t id[4];
};

struct cl_attrs {
    bool there;
    struct cl_path path;
    bool has_pmin, has_pmax, has_gt, has_lt, has_st;
    uint32_t pmin_s, pmax_s;
    double gt, lt, st;
};

struct cl_observer {
    bool there;
    bool dirty;  /**< changed since the last notification */
    bool flying; /**< its notification waits for the acknowledgement */
    bool has_last;
    uint8_t token_len;
    uint8_t token[CL_TOKEN_MAX];
    uint16_t accept;
    struct cl_path path;
    uint32_t seq;
    double last; /**< number last notified */
    uint64_t sent_ms;
};

struct cl_observers {
    struct cl_observer observer[CL_OBSERVERS_MAX];
    struct cl_attrs attrs[CL_ATTRS_MAX];
    uint32_t pmin_s, pmax_s; /**< defaults of object 1 */
};

/** All observations of the association are over; attributes stay until the next registration. */
void cl_observe_clear(struct cl_observers *o);
/** New, or the same token again. NULL when CL_OBSERVERS_MAX are there. */
struct cl_observer *cl_observe_add(struct cl_observers *o, const struct cl_path *path,
                                   const uint8_t *token, uint8_t token_len, uint16_t accept,
                                   uint64_t now_ms);
/** None with that token and path is no error. */
void cl_observe_cancel(struct cl_observers *o, const struct cl_path *path, const uint8_t *token,
                       uint8_t token_len);
/** A value changed; CL_ID_NONE stands for all of the level. */
void cl_observe_changed(struct cl_observers *o, uint16_t obj, uint16_t inst, uint16_t res);
bool cl_observe_unsent(const struct cl_observers *o, uint16_t obj, uint16_t inst, uint16_t res);
/** When it is to be sent, as far as time and changes tell: CL_NEVER, or perhaps in the past. */
uint64_t cl_observe_due(const struct cl_observers *o, const struct cl_observer *ob);
/** With the value that would be sent: does it pass gt, lt and st? Always once pmax is over. */
bool cl_observe_passes(const struct cl_observers *o, const struct cl_observer *ob, double value,
                       uint64_t now_ms);

/**
 * Write-Attributes: the queries of one request, all or none.
 * @retval CL_ERR_INVAL  unknown name, bad value, or values that contradict each other
 * @retval CL_ERR_SPACE  CL_ATTRS_MAX paths have some
 */
CL_CHECK cl_err_t cl_attrs_write(struct cl_observers *o, const struct cl_path *path,
                                 const struct cl_list *query);
/** Those set at exactly this path, or NULL. */
const struct cl_attrs *cl_attrs_at(const struct cl_observers *o, const struct cl_path *path);
/** Those in force: the lowest level that sets one wins. */
void cl_attrs_for(const struct cl_observers *o, const struct cl_path *path, struct cl_attrs *ret);

bool cl_path_same(const struct cl_path *a, const struct cl_path *b);
