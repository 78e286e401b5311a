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
