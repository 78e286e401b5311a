/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  devices/control_priv.h
 * @brief State of the domain core on the control loop.
 *
 * Layer: devices, private.  Threads: the control loop alone, but for run and read functions.
 * Memory: 100 bytes a pending request (its row has the rest), nothing for an idle device.
 * Limits: DEV_PENDING_MAX.  Security: every look-up takes the account.  Spec: none.
 */
#pragma once

#include "base/slab.h"
#include "base/table.h"
#include "db/db.h"
#include "db/registration.h"
#include "db/request.h"
#include "devices/core_priv.h"
#include "lwm2m/links.h"

#define DEV_PENDING_MAX       2000000 /**< devices with pending requests */
#define DEV_METHOD_OBSERVE    4       /**< method of a subscription in the queue */
#define DEV_RETRY_MOVED_MS    50
#define DEV_RETRY_STORE_MS    1000
#define DEV_ANSWER_KEEP_MS    (24LL * 3600 * 1000)
#define DEV_SWEEP_EVERY_MS    5000
#define DEV_SWEEP_SLICE       256
#define DEV_EXPIRY_S          7200
#define DEV_EXPIRY_QUEUE_S    (3 * 86400)
#define DEV_RETRY_QUEUE       2
#define DEV_LINK_LISTS_CACHED 16

struct dev_pending;

/** A device with pending requests. */
struct dev_queue {
    int64_t device, account;
    uint64_t hash;
    struct dr_list requests; /**< struct dev_pending by id */
    struct dr_timer retry;
    struct dev_core *core;
    bool busy; /**< the first one is being read, marked, sent or finished */
    bool held; /**< wait for the device */
};

/** A pending request: its row has the rest. */
struct dev_pending {
    struct dr_list node;
    struct dr_timer expiry;
    struct dev_core *core;
    int64_t id;
    uint32_t queue;
    uint8_t method;
    int8_t retry_left;
    bool sent;             /**< the row says SENT */
    bool finishing;        /**< its answer is being written */
    const char *doom;      /**< fail it with this once it is back; a constant or NULL */
    struct dev_task *task; /**< ready for the first attempt, or NULL; owned */
    struct cx_body *body;  /**< owned reference; NULL = the row has the payload */
    size_t body_from;      /**< as in struct dev_task */
    int64_t body_reg;
};

struct dev_link_list {
    char *text; /**< owned; canonical text it was made from */
    size_t text_len;
    struct lwm2m_links links;
    struct dev_link *items; /**< owned */
    size_t n;
    char *strings; /**< owned */
};

/** Who wants to hear of an account. */
struct dev_listen {
    int64_t account;
    unsigned channels; /**< of REST */
    bool watched;      /**< by a part of the server */
};

struct dev_control {
    struct dev_core *core;
    struct loop *loop;
    struct db *db;
    struct dr_idgen ids;
    struct dev_sink *sinks;
    struct dev_listen *listen; /**< owned */
    size_t n_listen;
    struct dr_slab queues;
    struct dr_table by_device;
    uint32_t busy; /**< reads and jobs under way */
    bool stopping;
    struct loop_timer sweep;
    uint32_t sweeping; /**< devices being ended by the sweeper */
    struct dev_link_list lists[DEV_LINK_LISTS_CACHED];
    unsigned next_list;
    struct dev_life *lives; /**< owned; one a shard */
    unsigned lives_left;
    dr_err_t life_err;
    void (*start_done)(void *data, dr_err_t err);
    void (*stop_done)(void *data);
    void *life_data;
};

static inline void dev_busy(struct dev_control *c)
{
    c->busy++;
}
/** One job or read less; the end of a stop looks at it. */
void dev_idle(struct dev_control *c);

/* ---- events (control_events.c) ---- */

void dev_publish(struct dev_control *c, const struct dev_event *ev);
/** Links as sinks like them; borrowed until the next call. @retval DR_ERR_NOMEM … */
DR_CHECK dr_err_t dev_link_list_get(struct dev_control *c, const char *text, size_t len,
                                    const struct dev_link_list **ret);
void dev_link_list_fini(struct dev_link_list *list);

/* ---- requests (control_queue.c, control_requests.c) ---- */

/** A row as a task ready to send; NULL: no memory. Any thread. */
struct dev_task *dev_task_of_row(struct dev_core *core, const struct db_request *row,
                                 uint64_t hash);
/** End the last request of a device, at once or when its attempt is back. */
void dev_requests_doom_last(struct dev_control *c, int64_t device, const char *error);

/** Load pending requests and answers that nobody took; @p done once. */
void dev_requests_load(struct dev_control *c, void (*done)(struct dev_control *c, dr_err_t err));
/** A request is in its row: queue it. @param task  ready to send, or NULL; taken */
void dev_requests_add(struct dev_control *c, const struct db_request *row, uint64_t hash,
                      struct dev_task *task);
/** The device was heard: try again what waits. */
void dev_requests_wake(struct dev_control *c, int64_t device);
/** The registration ended: all fail with this error token (429). */
void dev_requests_fail(struct dev_control *c, int64_t device, const char *error);

/* ---- subscriptions (control_subscriptions.c) ---- */

void dev_presubs_load(struct dev_control *c, void (*done)(struct dev_control *c, dr_err_t err));

/* ---- a registration as control needs it, read on the pool ---- */

struct dev_found {
    bool registered, queue_mode;
    uint64_t hash;
    bool listed; /**< dev_path_listed() of the path that was asked for */
};
/** Fill @p ret for (account, device); on a reading thread. @param uri  NULL = do not look at links.
 * @retval DR_ERR_NOT_FOUND  no such device, or never registered, or not registered now */
DR_CHECK dr_err_t dev_find(struct db_reader *r, const struct dev_core *core, int64_t account,
                           int64_t device, const char *uri, bool create, struct dev_found *ret);

/* ---- sweeper, delete (control_sweep.c) ---- */

void dev_sweep_start(struct dev_control *c);
