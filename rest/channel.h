/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/channel.h
 * @brief The queue of one notification channel and the messages that are made of it.
 *
 * Layer: rest, pure; the time is an argument.  Threads: the owner's.
 * Memory: one block an event, up to the maximum of the channel, then the oldest go.
 * Limits: REST_CHANNEL_*_MAX, REST_MESSAGE_*.  Security: texts come as JSON that we wrote.
 * Spec: Pelion NotificationMessage.
 *
 * An event is in the queue, or in a message under way; a message ends with rest_message_done()
 * (delivered: its events go) or rest_message_return() (they are the front of the queue again).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"

#define REST_CHANNEL_BYTES_MAX    (50 * 1024 * 1024)
#define REST_CHANNEL_AGE_MS       ((uint64_t)24 * 3600 * 1000)
#define REST_MESSAGE_ENTRIES_MAX  10000
#define REST_MESSAGE_BYTES_MAX    (4 * 1024 * 1024)
/** Up to so many notifications waiting, each gets a message of its own. */
#define REST_MESSAGE_SINGLE_UP_TO 8
/** What an event costs beside its text. */
#define REST_EVENT_OVERHEAD       64

/** Lists of a message, in the order in which they are written. */
enum rest_list {
    REST_LIST_ASYNC_RESPONSES,
    REST_LIST_NOTIFICATIONS,
    REST_LIST_REGISTRATIONS,
    REST_LIST_REG_UPDATES,
    REST_LIST_DE_REGISTRATIONS,
    REST_LIST_REGISTRATIONS_EXPIRED,
    REST_LIST_COUNT
};

struct rest_queue {
    struct dr_list events; /**< oldest first */
    size_t bytes, bytes_max;
    size_t count;
    size_t notifications; /**< of these */
    size_t *total;        /**< sum over several queues, or NULL */
    uint64_t dropped;     /**< for want of room or by age */
    /** An answer (its row id) is delivered or dropped; may be NULL. */
    void (*released)(void *data, int64_t request);
    void *data;
};

struct rest_message {
    struct dr_list events;
    size_t count;
};

void rest_queue_init(struct rest_queue *q, size_t bytes_max,
                     void (*released)(void *data, int64_t request), void *data);
/** Drop everything. */
void rest_queue_fini(struct rest_queue *q);

/**
 * Append an event; the oldest go when it does not fit.
 * @param json     one entry of @p list, copied
 * @param alone    a failed answer of the kind that must not share a message
 * @param request  row id of an answer, 0 = none
 * @retval DR_ERR_TOO_LARGE  larger than the whole queue may be
 * @retval DR_ERR_NOMEM
 */
DR_CHECK dr_err_t rest_queue_push(struct rest_queue *q, enum rest_list list, struct dr_bytes json,
                                  bool alone, int64_t request, uint64_t now_ms);

/** Drop what is older than REST_CHANNEL_AGE_MS. */
void rest_queue_expire(struct rest_queue *q, uint64_t now_ms);

/**
 * Take events from the front into a message and write it.
 * @param entries_max  most entries (at least 1)
 * @param single       notifications one by one while few wait
 * @param out          gets the JSON text; on an error nothing was taken
 * @retval DR_ERR_AGAIN  the queue is empty
 * @retval DR_ERR_NOMEM, DR_ERR_TOO_LARGE
 */
DR_CHECK dr_err_t rest_message_take(struct rest_queue *q, size_t entries_max, bool single,
                                    struct rest_message *msg, struct dr_dynbuf *out);

/** Delivered. */
void rest_message_done(struct rest_queue *q, struct rest_message *msg);

/** Not delivered: back to where they were. May go over the maximum until the next push. */
void rest_message_return(struct rest_queue *q, struct rest_message *msg);
