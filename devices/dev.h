/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  devices/dev.h
 * @brief The domain core as rest/, campaigns/ and server/ see it: devices, requests, subscriptions,
 * cache, events.
 *
 * Layer: devices.  Threads: every function here on the control loop, unless it says otherwise;
 * callbacks too, later. Memory: operation structs are the caller's until their callback, which is
 * the last touch. Limits: DEV_*_MAX.  Security: every function takes the account; an id of another
 * account is DR_ERR_NOT_FOUND. Spec: LWM2M-1.1-CORE#6, Pelion Connect and Device Directory REST
 * contracts.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct db;
struct loop;
struct dev_core;
struct cx_body;
struct cx_engine;
struct cx_ops;
struct dev_trust;
struct lwm2m_models;

/** Owners that are parts of the server and no API key: below every id. */
#define DEV_KEY_CAMPAIGNS             1
#define DEV_KEY_DEVICE                2 /* values that a device reports unasked, by itself */
#define DEV_KEY_RENEWALS              3
#define DEV_KEY_INTERNAL_LAST         255
/** Requests that wait for one device. */
#define DEV_QUEUE_MAX                 20
#define DEV_ENDPOINT_MAX              64
#define DEV_PATH_MAX                  255
#define DEV_ASYNC_ID_MAX              40
#define DEV_CONTENT_MAX               128 /* "ct" text */
#define DEV_PAYLOAD_MAX               (1024 * 1024)
/** Subscriptions of one device. */
#define DEV_SUBSCRIPTIONS_MAX         256
#define DEV_PRESUBSCRIPTIONS_MAX      1024
#define DEV_PRESUBSCRIPTION_PATHS_MAX 256

struct dev_config {
    struct loop *control;
    struct db *db;
    const struct lwm2m_models *models;
    unsigned shards;
    struct loop *const *shard_loops; /**< borrowed */
    const char *run_dir;             /**< for seen.N */
    uint32_t grace_s;                /**< added to a lifetime before a device counts as gone: 60 */
    uint32_t awake_s; /**< how long a queue-mode device listens after an uplink: 93 */
    /** Account of devices that come without security; 0: they are refused (4.03). */
    int64_t nosec_account;
    /** What certificates stand for (devices/trust.h); NULL: the anchor's tag is the account. */
    struct dev_trust *trust;
    uint32_t sweep_ms;         /**< how often expired rows are looked for; 0: 5,000 */
    uint32_t events_keep_days; /**< older device events are removed; 0: never */
};

DR_CHECK dr_err_t dev_core_new(const struct dev_config *config, struct dev_core **ret,
                               struct dr_errinfo *reterr);
/**
 * What server/ hands to the engine of shard @p i, with data = dev_core_shard(core, i). The psk
 * member answers with struct cx_identity whose name is the endpoint name that the key belongs to;
 * the cert member asks dev_config.trust; the CN is the endpoint name.
 */
extern const struct cx_ops dev_cx_ops;
void *dev_core_shard(struct dev_core *core, unsigned i);
/** The engine of shard @p i exists now; before the first datagram. */
void dev_core_set_engine(struct dev_core *core, unsigned i, struct cx_engine *engine);
/** Load queues and pre-subscriptions from the database, replay run/seen.N, start the sweeper; @p
 * done once, later. */
void dev_core_start(struct dev_core *core, void (*done)(void *data, dr_err_t err), void *data);
/**
 * Finish what devices wait for, write the cache and last-seen times that are only in memory; @p
 * done once, later. Then close the engines, let their loops run until that is done, and free the
 * core after the last loop has stopped (what comes back meanwhile is dropped).
 */
void dev_core_stop(struct dev_core *core, void (*done)(void *data), void *data);
struct dev_core *dev_core_free(struct dev_core *core);

/* ---- events: what happens to devices, told to every sink on the control loop ---- */

enum dev_event_kind {
    DEV_EVENT_REGISTERED,   /**< a full registration */
    DEV_EVENT_UPDATED,      /**< a registration update */
    DEV_EVENT_DEREGISTERED, /**< the device said goodbye, or was deleted or suspended */
    DEV_EVENT_EXPIRED,      /**< lifetime and grace are over */
    DEV_EVENT_VALUE,        /**< a notification or a Send */
    DEV_EVENT_ANSWER,       /**< a device request has its result */
};

/** One resource of a device's registration. */
struct dev_link {
    const char *path;          /**< "/3/0" or "/3/0/0" where the device lists resources */
    const char *rt, *ifd, *ct; /**< "" where absent */
    bool obs;
};

struct dev_event {
    enum dev_event_kind kind;
    int64_t account;
    int64_t device;
    int64_t owner_key;    /**< VALUE, ANSWER: API key that subscribed or asked; 0 = every channel of
                             the account */
    const char *endpoint; /**< all kinds */
    const char *endpoint_type;
    bool queue_mode;
    const struct dev_link *links; /**< REGISTERED, UPDATED */
    size_t n_links;
    const char *path;        /**< VALUE */
    const char *ct;          /**< VALUE, ANSWER: MIME text */
    struct dr_bytes payload; /**< VALUE, ANSWER: exact bytes */
    uint32_t max_age_s;
    const char *async_id; /**< ANSWER */
    int status; /**< ANSWER: 200, or the HTTP-like status of the contract (404, 429, 502, 503, 504
                   …) */
    const char *error; /**< ANSWER: token on failure ("REQUEST_EXPIRED" …), else NULL */
    int64_t
        request; /**< ANSWER: row id; hand to dev_answer_delivered when its last byte is written */
    int64_t at_ms; /**< unix time */
};

struct dev_sink {
    void (*event)(void *data,
                  const struct dev_event *ev); /**< everything in @p ev is borrowed for the call */
    void *data;
    struct dev_sink *next; /**< devices' */
};
void dev_sink_add(struct dev_core *core, struct dev_sink *sink);
/** How many channels an account has: while 0, shards do not publish updates and values of it. */
void dev_listeners_set(struct dev_core *core, int64_t account, unsigned count);
/** The same for a part of the server that wants updates and values of an account; the two do not
 * touch each other. */
void dev_watch_set(struct dev_core *core, int64_t account, bool on);
/** The result has been handed over: its row may go. Until then it survives a restart and is
 * published again. */
void dev_answer_delivered(struct dev_core *core, int64_t request);

/* ---- device requests: durable, in order, one in flight per device ---- */

enum dev_method { DEV_GET, DEV_PUT, DEV_POST, DEV_DELETE };

struct dev_request {
    int64_t account, device, key; /**< key: API key that asks, or DEV_KEY_* */
    const char *async_id;         /**< borrowed until cb, like all below */
    enum dev_method method;
    const char *uri;          /**< "/3303/0/5700?pmin=10" */
    const char *content_type; /**< "" = text/plain where a payload needs one */
    const char *accept;       /**< "" = by version and what the device has shown */
    struct dr_bytes payload;
    /**
     * Instead of payload, for bytes that are too many to be stored with the request: sent block by
     * block from where they lie (a reference is kept until the answer), and gone on with where they
     * stopped while the device stays registered. Such a request does not survive a restart: then it
     * ends as TIMEOUT. Content type application/octet-stream.
     */
    struct cx_body *body;
    int retry;              /**< -1 = default: 0, or 2 in queue mode */
    int64_t expiry_s;       /**< -1 = default: 2 h, or 3 days in queue mode */
    bool synchronous_cache; /**< a GET may be answered from the cache at once */
    /**
     * DR_OK: on disk, the answer will come as DEV_EVENT_ANSWER (perhaps before the next turn).
     * DR_ERR_NOT_FOUND: no such registered device. DR_ERR_INVAL: the path is not among its links.
     * DR_ERR_LIMIT: DEV_QUEUE_MAX. DR_ERR_EXISTS: async id pending. DR_ERR_READONLY or
     * DR_ERR_NOSPACE: database refuses writes.
     */
    void (*cb)(struct dev_request *req, dr_err_t err);
    void *data;
};
/**
 * @retval DR_ERR_PROTO        async id or uri are not of their form; body with a payload or not a
 * PUT
 * @retval DR_ERR_UNSUPPORTED  unknown content type or accept
 * @retval DR_ERR_TOO_LARGE    DEV_PAYLOAD_MAX
 * @retval DR_ERR_BUSY, DR_ERR_NOMEM, DR_ERR_CANCELED (stopping)
 */
DR_CHECK dr_err_t dev_request_start(struct dev_core *core, struct dev_request *req);

/* ---- cache ---- */

struct dev_value_get {
    int64_t account, device;
    const char *path; /**< borrowed until cb */
    /** DR_OK with value, DR_ERR_AGAIN nothing fresh cached, DR_ERR_NOT_FOUND no such device or not
     * registered. */
    void (*cb)(struct dev_value_get *get, dr_err_t err, const char *ct, struct dr_bytes payload,
               uint32_t max_age_s);
    void *data;
};
DR_CHECK dr_err_t dev_value_get_start(struct dev_core *core, struct dev_value_get *get);

/* ---- links of a registered device ---- */

struct dev_links_get {
    int64_t account, device;
    /** DR_OK, or DR_ERR_NOT_FOUND when it is not registered. Links are borrowed for the call. */
    void (*cb)(struct dev_links_get *get, dr_err_t err, const struct dev_link *links, size_t n);
    void *data;
};
DR_CHECK dr_err_t dev_links_get_start(struct dev_core *core, struct dev_links_get *get);

/* ---- subscriptions ---- */

struct dev_subscribe {
    int64_t account, device, key;
    const char *path; /**< borrowed until cb; object, instance, resource or resource instance */
    const char
        *async_id; /**< made by the caller; the first value comes as DEV_EVENT_ANSWER with it */
    /** DR_OK: new, the answer follows. DR_ERR_EXISTS: subscribed already (200). DR_ERR_NOT_FOUND,
     * DR_ERR_INVAL, DR_ERR_LIMIT. */
    void (*cb)(struct dev_subscribe *sub, dr_err_t err);
    void *data;
};
DR_CHECK dr_err_t dev_subscribe_start(struct dev_core *core, struct dev_subscribe *sub);

struct dev_unsubscribe {
    int64_t account, device;
    int64_t key;      /**< whose; 0 = everybody's */
    const char *path; /**< NULL = all of the device */
    void (*cb)(struct dev_unsubscribe *un, dr_err_t err);
    void *data;
};
DR_CHECK dr_err_t dev_unsubscribe_start(struct dev_core *core, struct dev_unsubscribe *un);

/** One pre-subscription: which devices, which paths; a trailing '*' is a wildcard. */
struct dev_presubscription {
    const char *endpoint;      /**< device id (32 hex) or its prefix with '*', "" = any */
    const char *endpoint_type; /**< "" = any */
    const char *const *paths;
    size_t n_paths;
};
struct dev_presubscriptions_put {
    int64_t account, key;
    const struct dev_presubscription *list; /**< borrowed until cb; n = 0 clears */
    size_t n;
    void (*cb)(struct dev_presubscriptions_put *put, dr_err_t err);
    void *data;
};
DR_CHECK dr_err_t dev_presubscriptions_put_start(struct dev_core *core,
                                                 struct dev_presubscriptions_put *put);

/* ---- directory writes that touch live devices ---- */

struct dev_delete {
    int64_t account, device;
    /** DR_OK: row gone, live registration dropped, association closed, its PSK kept.
     * DR_ERR_NOT_FOUND. */
    void (*cb)(struct dev_delete *del, dr_err_t err);
    void *data;
};
DR_CHECK dr_err_t dev_delete_start(struct dev_core *core, struct dev_delete *del);

/**
 * A credential of this endpoint was deleted or re-keyed (the write is done): the generation goes up
 * and live associations of the device are closed. It has to come back with the new one.
 */
void dev_credential_changed(struct dev_core *core, int64_t account, const char *endpoint);
