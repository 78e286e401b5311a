/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/hub.h
 * @brief The notification channels of all API keys: what devices tell goes in, long polls and
 * sockets take it out.
 *
 * Layer: rest.  Threads: the control loop.
 * Memory: a channel each, its queue up to rest_config.channel_bytes_max, all queues together up to
 * REST_HUB_BYTES_MAX.  Limits: REST_CHANNELS_MAX, REST_POLL_*_MS.
 * Security: a channel belongs to one API key; events of other accounts never reach it.
 * Spec: Pelion Connect REST contract, notification channels.
 *
 * An answer for a key without channel waits in a channel of no kind, which a client's channel
 * takes over when it is made.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "base/timer.h"
#include "rest/channel.h"

#define REST_CHANNELS_MAX      4096
#define REST_HUB_BYTES_MAX     ((size_t)512 * 1024 * 1024)
#define REST_LIMBO_BYTES_MAX   (4 * 1024 * 1024)
#define REST_POLL_HOLD_MS      30000
/** A channel goes when nobody polled, was connected or came for its answers for so long. */
#define REST_POLL_IDLE_MS      600000
#define REST_WEBSOCKET_IDLE_MS ((uint64_t)24 * 3600 * 1000)

struct rest;
struct rest_req;
struct rest_hub;
struct rest_channel;

enum rest_channel_kind {
    REST_CHANNEL_NONE, /**< only answers wait here */
    REST_CHANNEL_POLL,
    REST_CHANNEL_WEBSOCKET,
    REST_CHANNEL_CALLBACK,
};

/* How events are written for a channel. */
#define REST_OPTION_DEREG_OBJECT 1U /**< objects in de-registrations and registrations-expired */
#define REST_OPTION_ORIGINAL_EP  2U /**< "original-ep" everywhere */
#define REST_OPTION_TIMESTAMP    4U /**< "timestamp": when it entered the queue */
#define REST_OPTION_UID          8U /**< "uid": an id of the event */

struct rest_channel {
    struct dr_list node, bucket, dirty;
    struct rest_hub *hub;
    int64_t account, key;
    enum rest_channel_kind kind;
    struct rest_queue queue;
    unsigned messages; /**< under way */
    bool dead;         /**< freed with its last message */
    uint64_t used_ms;  /**< last time that a client was there */
    /* long poll */
    struct rest_req *poll; /**< waits for an event */
    struct dr_timer hold;
    /* websocket */
    void *socket;       /**< connected, or NULL */
    uint32_t chunk_max; /**< most entries of a message, 0 = REST_MESSAGE_ENTRIES_MAX */
    unsigned options;   /**< REST_OPTION_* */
    int end_code;       /**< why it goes, for the close frame; 0 = 1000 */
    /** Something is in the queue (after it was empty, or a message came back). */
    void (*ready)(struct rest_channel *ch);
    /** The channel goes: let the client go. */
    void (*gone)(struct rest_channel *ch);
};

DR_CHECK dr_err_t rest_hub_new(struct rest *rest, struct rest_hub **ret);
/** The core that fed it must be stopped. NULL is allowed. @return NULL */
struct rest_hub *rest_hub_free(struct rest_hub *hub);

/** The channel of a key, of any kind but REST_CHANNEL_NONE; NULL = none. */
struct rest_channel *rest_hub_find(struct rest_hub *hub, int64_t key);

/**
 * The channel of a key, made when it has none.
 * @param ret_new  may be NULL
 * @retval DR_ERR_EXISTS  it has one of another kind
 * @retval DR_ERR_LIMIT   REST_CHANNELS_MAX
 * @retval DR_ERR_NOMEM
 */
DR_CHECK dr_err_t rest_hub_open(struct rest_hub *hub, int64_t account, int64_t key,
                                enum rest_channel_kind kind, struct rest_channel **ret,
                                bool *ret_new);

/** Remove a channel and what waits in it. */
void rest_hub_delete(struct rest_channel *ch);

/** Close all sockets with 1012: the server stops. */
void rest_hub_sockets_close(struct rest_hub *hub);

/** The key is gone: so is its channel, of any kind. */
void rest_hub_key_deleted(struct rest_hub *hub, int64_t key);

/** Call ch->ready at the end of this turn. */
void rest_hub_wake(struct rest_channel *ch);

/** A message of @p ch was taken; ends with rest_hub_message_end(). */
void rest_hub_message_begin(struct rest_channel *ch);
void rest_hub_message_end(struct rest_channel *ch, struct rest_message *msg, bool delivered);
