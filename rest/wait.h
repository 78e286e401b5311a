/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/wait.h
 * @brief Requests that wait for the result of one device request, ahead of the key's channel.
 *
 * Layer: rest.  Threads: the control loop.  Memory: the caller's.
 * Limits: REST_WAITS_MAX.  Security: a result goes only to the account and key that asked.  Spec:
 * none.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"

/** Waiting at once. */
#define REST_WAITS_MAX 256

struct rest;
struct dev_event;
struct rest_wait;

/** Once, and not after rest_wait_cancel(). @param json  the async response, borrowed */
typedef void rest_wait_fn(struct rest_wait *wait, const struct dev_event *ev, struct dr_bytes json);

struct rest_wait {
    int64_t account, key;
    const char *async_id; /**< borrowed while waiting */
    rest_wait_fn *fn;
    struct dr_list node; /**< ours */
};

/** @retval DR_ERR_LIMIT  REST_WAITS_MAX wait already */
DR_CHECK dr_err_t rest_wait_start(struct rest *rest, struct rest_wait *wait);
/** Does nothing when it does not wait. */
void rest_wait_cancel(struct rest *rest, struct rest_wait *wait);
/** Hand an answer to who waits for it. @return false: nobody does */
bool rest_wait_take(struct rest *rest, const struct dev_event *ev, struct dr_bytes json);
