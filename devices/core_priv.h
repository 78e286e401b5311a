/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  devices/core_priv.h
 * @brief What shards and control share, and the messages between them.
 *
 * Layer: devices, private.  Threads: struct dev_core is read-only for the shards but for what says
 * otherwise; a message belongs to the loop that has it.  Memory: a message is one heap block that
 * travels and comes back to its maker.  Limits: DEV_*_MAX.  Security: the keys are secrets of this
 * process or folder.  Spec: none.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/ids.h"
#include "base/list.h"
#include "base/loop.h"
#include "devices/dev.h"
#include "devices/route.h"
#include "lwm2m/path.h"

struct dev_shard;
struct dev_reg;
struct dev_obs;
struct dev_cache;
struct dev_control;

/** Endpoint names that LwM2M allows are longer than those the directory shows. */
#define DEV_NAME_MAX   DEV_ENDPOINT_MAX
#define DEV_SHARDS_MAX 64
#define DEV_TYPE_MAX   64
/** Content type of a stored request whose bytes are not stored: what no request can ask for. */
#define DEV_TYPE_BODY  "body"

struct dev_core {
    struct dev_config cfg;
    struct dr_hash_key name_key;  /**< (account, endpoint) → home shard and table hashes */
    struct dr_hash_key token_key; /**< observation tokens; kept in run_dir across restarts */
    struct dev_shard **shards;    /**< owned */
    struct dev_routes routes;     /**< other parts' paths; never changes once started */
    unsigned n;
    struct dev_control *control; /**< owned; touched on control only */
};

/** 64-bit name of (account, endpoint): nobody outside can choose two that collide. */
uint64_t dev_name_hash(const struct dev_core *core, int64_t account, const char *endpoint);

static inline struct dev_shard *dev_home(const struct dev_core *core, uint64_t hash)
{
    return core->shards[(hash >> 8) % core->n];
}

/* ---- claims: who holds a device (shard_owner.c) ---- */

struct dev_handover;

/** The message of a claim; part of an operation of the shard that claims. */
struct dev_claim {
    struct loop_msg msg;
    struct dev_shard *by; /**< who claims */
    uint64_t hash;
    int64_t account;
    const char *endpoint;     /**< borrowed from the operation */
    bool wanted;              /**< out: control has requests for it */
    bool busy;                /**< out: being expired right now; nothing was claimed */
    struct dev_handover *got; /**< out: owned; NULL = nobody had it */
};

/* ---- things for the shard that holds a device, sent by way of its home ---- */

enum dev_task_kind {
    DEV_TASK_REQUEST,   /**< run one device request */
    DEV_TASK_VALUE,     /**< look into the cache */
    DEV_TASK_SUBSCRIBE, /**< add an observation; its first value is the answer */
    DEV_TASK_FORGET,    /**< remove observations of path (or all) */
    DEV_TASK_DROP,      /**< the device was deleted: drop the registration, close its peer */
    DEV_TASK_REKEYED,   /**< as DROP, the row stays: credential changed */
    DEV_TASK_EXPIRE,    /**< may control end it? DR_ERR_IN_USE if a shard holds it; blocks claims */
    DEV_TASK_EXPIRED,   /**< the end of that: claims are welcome again */
};

/**
 * One question to the holder of a device; made by control, comes back to control exactly once.
 * err: DR_OK with the outputs, DR_ERR_ASLEEP (it sleeps; control will be told when it wakes),
 * DR_ERR_AGAIN (nobody holds it; control will be told when it registers), and what dev_exec says.
 */
struct dev_task {
    struct loop_msg msg;
    struct dev_core *core;
    enum dev_task_kind kind;
    void (*done)(struct dev_task *task); /**< on control; last touch */
    void *data;
    int64_t device, account, key;
    uint64_t hash;
    /* REQUEST, SUBSCRIBE, VALUE, FORGET */
    enum dev_method method;
    bool observe;
    bool cache_ok;         /**< a fresh cached value will do */
    char *uri;             /**< owned */
    uint16_t content_type; /**< LWM2M_CT_NONE = not given */
    uint16_t accept;
    uint8_t *payload; /**< owned */
    size_t payload_len;
    struct cx_body *body; /**< instead of payload, an owned reference; NULL = none */
    size_t body_from;     /**< bytes of it that the device has, now and afterwards … */
    int64_t body_reg;     /**< … since this Register */
    /* results */
    dr_err_t err;
    int status;
    const char *error; /**< a constant */
    uint16_t ct;       /**< LWM2M_CT_NONE = none */
    uint8_t *result;   /**< owned */
    size_t result_len;
    uint32_t max_age_s;
};

/** Send to whoever holds the device. From control. */
void dev_task_send(struct dev_task *task);
/** Back to control. From a shard. */
void dev_task_return(struct dev_task *task, dr_err_t err);
struct dev_task *dev_task_free(struct dev_task *task);

/* ---- news from shards ---- */

/** One event on its way to control; one block with its texts behind it. */
struct dev_news {
    struct dr_list node;
    uint64_t merge_key; /**< values: (registration, path); 0 = never merged */
    bool wake;          /**< no event: the device was heard and control has requests for it */
    enum dev_event_kind kind;
    int64_t account, device, key;
    int64_t at_ms;
    bool queue_mode;
    bool first; /**< REGISTERED: of a device that was not registered before */
    uint16_t ct;
    uint32_t max_age_s;
    char path[LWM2M_PATH_STR_MAX];
    const char *endpoint, *type; /**< into the block */
    const char *links;           /**< canonical text, into the block; may be NULL */
    size_t links_len;
    uint8_t *payload; /**< owned */
    size_t payload_len;
};

/** A list of news; posted to control and back, one under way for each shard. */
struct dev_batch {
    struct loop_call call;
    struct dev_core *core;
    struct dr_list news;
};
void dev_control_batch(struct loop_call *call);

/* ---- settings that control sends to all shards ---- */

/** Pre-subscriptions of one key, immutable and counted. */
struct dev_presub {
    char *endpoint, *type;
    char **paths;
    size_t n_paths;
};
struct dev_presubs {
    _Atomic uint32_t refs;
    int64_t account, key;
    struct dev_presub *items;
    size_t n;
};
struct dev_presubs *dev_presubs_ref(struct dev_presubs *p);
struct dev_presubs *dev_presubs_unref(struct dev_presubs *p);

void dev_shard_set_presubs(struct dev_shard *s, struct dev_presubs *p); /**< control; takes a ref */
void dev_shard_set_listeners(struct dev_shard *s, int64_t account, unsigned count); /**< control */

/* ---- life of a shard (all from control) ---- */

/** A call to shard @c shard that begins or ends it. */
struct dev_life {
    struct loop_call call;
    struct dev_core *core;
    unsigned shard;
};

DR_CHECK dr_err_t dev_shard_new(struct dev_core *core, unsigned i, struct dev_shard **ret);
struct dev_shard *dev_shard_free(struct dev_shard *s);
/** Open run/seen.N and start timers, on the shard's loop; then @p done on control. */
void dev_shard_begin(struct dev_shard *s, struct loop_call *call /**< of a struct dev_life */,
                     loop_call_done_fn *done);
/** Finish operations, write what is only in memory; then @p done on control. */
void dev_shard_end(struct dev_shard *s, struct loop_call *call, loop_call_done_fn *done);
struct loop *dev_shard_loop(const struct dev_shard *s);
void dev_shard_set_engine(struct dev_shard *s, struct cx_engine *engine);

/* ---- control's parts ---- */

DR_CHECK dr_err_t dev_control_new(struct dev_core *core);
void dev_control_free(struct dev_core *core);
