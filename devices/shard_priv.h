/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  devices/shard_priv.h
 * @brief A shard: registrations it holds, its part of the owner table, operations under way.
 *
 * Layer: devices, private.  Threads: the shard's loop alone.  Memory: registrations and owner
 * entries in slabs; operations and calls on the heap while they last.  Limits: DEV_REGS_MAX …
 * Security: what a peer asks for is always checked against its proven identity.  Spec: none.
 */
#pragma once

#include "base/slab.h"
#include "base/table.h"
#include "coap/engine.h"
#include "db/db.h"
#include "db/registration.h"
#include "db/subscription.h"
#include "devices/cache.h"
#include "devices/core_priv.h"
#include "devices/psk_ask.h"
#include "devices/seen.h"
#include "lwm2m/format.h"
#include "lwm2m/register.h"
#include "lwm2m/shape.h"

#define DEV_REGS_MAX         1200000
#define DEV_SHAPES_MAX       100000
#define DEV_SHAPE_BYTES_MAX  ((size_t)256 << 20)
#define DEV_OPS_MAX          20000 /**< registrations and updates under way */
#define DEV_NEWS_MAX         65536 /**< events that wait for control; above it devices are not ACKed */
#define DEV_TYPES_MAX        4096  /**< endpoint types, each kept once */
#define DEV_KEYS_MAX         65535 /**< API keys with subscriptions */
#define DEV_OBS_MAX          512   /**< observations of one device: subscriptions and its own */
#define DEV_TOUCH_BATCH      256
#define DEV_TOUCH_WAIT_MS    1000
#define DEV_CACHE_BATCH      128
#define DEV_CACHE_WAIT_MS    5000
#define DEV_WALK_SLICE       256
#define DEV_PRESUB_LISTS_MAX 1024

/** Flags of dev_reg. */
enum {
    DEV_REG_LIVE = 1,         /**< registered; without it only an operation holds the place */
    DEV_REG_QUEUE = 2,        /**< queue mode */
    DEV_REG_WANTED = 4,       /**< control waits for an uplink */
    DEV_REG_INFINITE = 8,     /**< lt=0 */
    DEV_REG_CACHE_DIRTY = 16, /**< in shard->dirty */
    DEV_REG_PELION = 32,      /**< long location, merging updates */
    DEV_REG_OBS_BUSY = 64,    /**< an observe call is under way */
    DEV_REG_LOADING = 128,    /**< subscriptions and cache are being read */
};

/** Flags of dev_obs. */
enum {
    DEV_OBS_WANT = 1,  /**< has to be (re-)created */
    DEV_OBS_ON = 2,    /**< the device agreed */
    DEV_OBS_OWN = 4,   /**< the device notifies unasked, token aobs; key does not count */
    DEV_OBS_ENDED = 8, /**< the device refused or ended it */
};

/** One observation (of one key). 16 bytes. */
struct dev_obs {
    uint64_t path; /**< lwm2m_path_pack() */
    uint32_t seq : 24;
    uint32_t flags : 8;
    uint16_t at_s; /**< low bits of unix seconds of the last notification */
    uint16_t aux;  /**< number of the key, or aobs */
};

/** A device on this shard. */
struct dev_reg {
    struct dr_timer timer; /**< end of lifetime and grace */
    struct dev_shard *shard;
    int64_t device, account, generation;
    int64_t registered_ms;   /**< of the last Register; part of observation tokens */
    cx_peer_t peer;          /**< 0 = no association now */
    struct dev_op *op;       /**< operation under way */
    struct dev_claim *heir;  /**< claim that waits for the end of op */
    struct dev_obs *obs;     /**< owned */
    struct dev_cache *cache; /**< owned */
    char *name;              /**< owned; endpoint */
    uint32_t seen_s;         /**< unix seconds of the last uplink that counts */
    uint32_t heard_s;        /**< of any uplink */
    uint32_t touched_s;      /**< last_seen of the row */
    uint32_t lifetime_s;
    uint32_t shape;
    uint16_t n_obs, cap_obs;
    uint16_t type; /**< number of the endpoint type */
    uint16_t flags;
    struct lwm2m_format_memory formats;
    uint8_t major, minor;
    uint8_t transports;
    uint8_t seen_epoch; /**< epoch in which the slot was introduced */
};

/** Who holds an endpoint; at its home shard. */
struct dev_owner {
    uint64_t hash;
    uint16_t shard; /**< DEV_OWNER_NONE, DEV_OWNER_CONTROL or a number */
    bool wanted;    /**< control waits for it */
};
#define DEV_OWNER_NONE    0xffff
#define DEV_OWNER_CONTROL 0xfffe

/** State of a registration on its way from one shard to another. */
struct dev_handover {
    struct dev_reg reg; /**< plain values; pointers in it are owned */
    char *links;        /**< canonical text, owned */
    size_t links_len;
    char type[DEV_TYPE_MAX + 1];
    int64_t *keys; /**< of obs[i], owned; 0 for the device's own */
};

enum dev_op_kind { DEV_OP_REGISTER, DEV_OP_UPDATE, DEV_OP_DEREGISTER, DEV_OP_SEND, DEV_OP_EXPIRE };

/** What a Register or an Update brings. */
struct dev_change {
    uint32_t mask; /**< DB_REGISTRATION_* */
    uint32_t lifetime_s;
    bool infinite;
    struct lwm2m_binding binding;
    uint32_t shape;      /**< reference held while LINKS is in mask */
    struct dev_obs *own; /**< standing observations of the payload, owned */
    uint16_t n_own;
    struct dev_cache *values; /**< v= of the payload, owned */
};

/** A message, from the wire or kept in an operation. */
struct dev_uplink {
    const struct lwm2m_str *query;
    size_t n_query;
    struct dr_bytes body;
    int32_t ct;
    const struct cx_pdu *notification; /**< instead of all that; or NULL */
};

/** A notification that waits for the rows of its device. */
struct dev_note {
    struct cx_pdu pdu;
    uint8_t payload[];
};

/** One uplink that needs the database or another shard. */
struct dev_op {
    struct dev_shard *shard;
    enum dev_op_kind kind;
    uint32_t reg; /**< slab index of the place, 0 = none yet */
    cx_exchange_t x;
    cx_peer_t peer;
    int64_t account, device; /**< device of the location; result of a Register */
    bool has_identity;
    struct cx_identity id; /**< name points to endpoint */
    char endpoint[DEV_NAME_MAX + 1];
    struct dev_claim claim;
    bool claimed; /**< the place is new here: it goes when the operation fails */
    bool moved;   /**< it came from another shard: commit with a new generation */
    bool reread;  /**< NoSec: row read once for its name */
    /* Register and Update */
    struct dev_change change;
    bool pelion;
    struct lwm2m_version version;
    char binding_text[LWM2M_BINDING_STR_MAX + 1];
    char address[64];
    char type[DEV_TYPE_MAX + 1];
    int64_t at_ms;
    /* store */
    struct db_job job;
    struct db_read read;
    struct db_register_in in;
    struct db_register_out out;
    int64_t generation;
    int64_t event_ids[2];
    struct dr_bytes links; /**< borrowed from the shape */
    struct db_cache cache_row;
    uint8_t *blob; /**< owned; of cache_row */
    enum dev_load_verdict {
        DEV_LOAD_OK,
        DEV_LOAD_UNKNOWN,
        DEV_LOAD_OTHER,   /**< of another identity */
        DEV_LOAD_REVOKED, /**< the credential is not the one it was */
    } verdict;
    struct dev_loaded *loaded; /**< owned */
    /* the message itself, kept while the operation is under way */
    uint8_t *kept; /**< owned: body, then the query texts */
    struct dev_uplink up;
    struct lwm2m_str query[LWM2M_REG_QUERY_MAX];
    struct dev_note *note; /**< owned */
    uint8_t *standing;     /**< owned; stored form */
    size_t standing_len;
};

/** Rows of one device, as read. One heap block beside its parts. */
struct dev_loaded {
    struct dev_reg reg; /**< plain values only */
    char endpoint[DEV_NAME_MAX + 1];
    char type[DEV_TYPE_MAX + 1];
    int64_t expires_ms;
    int64_t credential, credential_version;
    bool registered, blocked;
    char *links; /**< owned */
    size_t links_len;
    struct dev_obs *own; /**< owned */
    size_t n_own;
    struct dev_cache *cache; /**< owned */
    struct dev_sub_row {
        uint64_t path;
        int64_t key;
    } * subs; /**< owned */
    size_t n_subs;
};
struct dev_loaded *dev_loaded_free(struct dev_loaded *l);
/** Read subscriptions and cache of a device into @p l; on a reading thread. */
DR_CHECK dr_err_t dev_loaded_extras(struct db_reader *r, int64_t account, int64_t device,
                                    struct dev_loaded *l);

struct dev_shard {
    struct dev_core *core;
    unsigned index;
    struct loop *loop;
    struct cx_engine *engine;
    struct dev_route_home home; /**< of other parts' answers */
    struct db *db;
    struct dr_idgen ids;
    bool begun, ending;
    bool stop_writing; /**< the last flush has been tried */

    struct dr_slab regs;
    struct dr_table by_device;
    struct dr_table by_name;
    struct dr_slab owners;
    struct dr_table owner_table;
    struct lwm2m_shapes *shapes;
    uint32_t ops;   /**< under way */
    uint32_t reads; /**< loads of subscriptions under way */
    uint32_t calls; /**< to devices */
    struct dev_psk_asker psks;

    char *types[DEV_TYPES_MAX]; /**< owned; [0] = "" */
    uint16_t n_types;
    struct dr_hash_key type_key;
    struct dr_table type_table;
    int64_t *keys; /**< owned; number - 1 → API key */
    uint16_t n_keys;

    struct dev_seen seen;
    uint32_t walk; /**< next registration to write after a rotation, 0 = none */
    struct loop_timer second;

    struct db_touch touch[DEV_TOUCH_BATCH];
    uint32_t n_touch;
    uint32_t touch_jobs, cache_jobs;

    uint32_t *dirty; /**< owned; registrations whose cache is not in its row */
    uint32_t n_dirty, cap_dirty;
    uint32_t ticks;

    struct dr_list news; /**< waits for control */
    uint32_t n_news;
    struct dev_batch batch;
    bool batch_out;
    uint32_t batch_count; /**< news in it */

    int64_t *listening; /**< accounts with channels, owned */
    size_t n_listening;
    struct dev_presubs **presubs; /**< owned refs */
    size_t n_presubs;

    struct loop_call *end_call;
    void (*test_hook)(void *data, int point); /**< NULL but in tests */
    void *test_data;
};

/* ---- registrations (shard_reg.c) ---- */

static inline struct dev_reg *dev_reg_at(const struct dev_shard *s, uint32_t index)
{
    return dr_slab_get(&s->regs, index);
}
uint32_t dev_reg_by_device(const struct dev_shard *s, int64_t device);
uint32_t dev_reg_by_name(const struct dev_shard *s, int64_t account, const char *endpoint);
/** A place without LIVE, in by_name. @retval DR_ERR_LIMIT, DR_ERR_NOMEM */
DR_CHECK dr_err_t dev_reg_new(struct dev_shard *s, int64_t account, const char *endpoint,
                              uint32_t *ret);
/** Out of all tables, everything freed; calls of its peer end as moved; home is told. */
void dev_reg_remove(struct dev_shard *s, uint32_t index, bool tell_home);
/** Give it its device id (once). @retval DR_ERR_LIMIT, DR_ERR_NOMEM */
DR_CHECK dr_err_t dev_reg_set_device(struct dev_shard *s, uint32_t index, int64_t device);
/** Use this association from now on; an older one is closed. */
void dev_reg_bind(struct dev_shard *s, uint32_t index, cx_peer_t peer);
/** Any uplink: it is awake; control is told when it waits. */
void dev_reg_heard(struct dev_shard *s, struct dev_reg *reg, uint32_t now_s);
/** An uplink that prolongs the registration: last-seen file, row when it is time. */
void dev_reg_seen(struct dev_shard *s, uint32_t index, uint32_t now_s);
void dev_reg_timer_start(struct dev_shard *s, struct dev_reg *reg);
bool dev_reg_awake(const struct dev_shard *s, const struct dev_reg *reg);
/** The registration that a peer speaks for: by its hint, else by identity; 0 = none here. */
uint32_t dev_reg_of_peer(struct dev_shard *s, cx_peer_t peer);
uint16_t dev_type_intern(struct dev_shard *s, const char *type);
const char *dev_type_text(const struct dev_shard *s, uint16_t number);
/** 0 = no room. */
uint16_t dev_key_intern(struct dev_shard *s, int64_t key);
int64_t dev_key_of(const struct dev_shard *s, uint16_t number);
static inline struct lwm2m_version dev_reg_version(const struct dev_reg *reg)
{
    return LWM2M_VERSION(reg->major, reg->minor);
}

/* ---- operations (shard_register.c) ---- */

void dev_op_claimed(struct dev_op *op);
void dev_op_end_check(struct dev_shard *s);
/** Lifetime and grace are over. */
void dev_op_expire(struct dev_shard *s, uint32_t index);
/** Answer with @p code and end. */
void dev_op_finish(struct dev_op *op, uint8_t code);
/** Finish a Send whose registration is there. */
void dev_send_process(struct dev_op *op);

/* ---- ownership (shard_owner.c) ---- */

void dev_claim_start(struct dev_claim *claim);
/** The holder gives up @p index to @p claim. */
void dev_claim_hand_over(struct dev_shard *s, uint32_t index, struct dev_claim *claim);
void dev_owner_released(struct dev_shard *s, uint64_t hash);
struct dev_handover *dev_handover_free(struct dev_handover *h);
/** Put the state of @p h into the place @p index; frees @p h. @retval DR_ERR_NOMEM, DR_ERR_LIMIT */
DR_CHECK dr_err_t dev_handover_install(struct dev_shard *s, uint32_t index, struct dev_handover *h);

/* ---- observations (shard_observe.c) ---- */

bool dev_notify(struct dev_shard *s, cx_peer_t peer, const struct cx_pdu *pdu);
/** Which request made the observation of a large notification. */
bool dev_observed(struct dev_shard *s, cx_peer_t peer, const struct cx_pdu *first,
                  struct cx_observed *ret);
/** Room for one more entry; NULL: DEV_OBS_MAX or no memory. */
struct dev_obs *dev_obs_add(struct dev_reg *reg);
struct dev_obs *dev_obs_find(struct dev_reg *reg, uint64_t path, uint16_t key);
void dev_obs_token(const struct dev_shard *s, const struct dev_reg *reg, uint64_t path,
                   uint8_t out[8]);
/** All of a new registration have to be created again; pre-subscriptions are added. */
void dev_obs_renew(struct dev_shard *s, uint32_t index);
/** Create the next one that waits, if the device can be reached. */
void dev_obs_next(struct dev_shard *s, uint32_t index);
void dev_obs_task(struct dev_shard *s, uint32_t index, struct dev_task *task);
void dev_obs_presubs_apply(struct dev_shard *s, uint32_t index);
/** The device's own (aobs) entries: those of the same paths are replaced. */
void dev_obs_own_merge(struct dev_reg *reg, const struct dev_obs *own, uint16_t n);
void dev_obs_own_clear(struct dev_reg *reg);
/** Stored form of @p own, merged over those of @p reg (may be NULL); out has room for
 * DEV_STANDING_BYTES_MAX. */
size_t dev_obs_own_store(const struct dev_reg *reg, const struct dev_obs *own, uint16_t n,
                         uint8_t *out);

/* ---- calls to the device (shard_ops.c) ---- */

void dev_exec_start(struct dev_shard *s, uint32_t index, struct dev_task *task);

/* ---- values (shard_cache.c) ---- */

typedef void dev_value_fn(void *data, const struct lwm2m_path *path, uint16_t ct,
                          struct dr_bytes payload, int64_t at_ms);
/**
 * A payload as one value for each resource, text where it can be said as text. Falls back to the
 * payload as it is, under @p path.
 * @retval DR_ERR_PROTO …  only when @p strict
 */
DR_CHECK dr_err_t dev_values_split(struct dev_shard *s, const struct dev_reg *reg,
                                   const struct lwm2m_path *path, int32_t ct,
                                   struct dr_bytes payload, bool strict, dev_value_fn *fn,
                                   void *data);
void dev_value_put(struct dev_shard *s, uint32_t index, const struct lwm2m_path *path, uint16_t ct,
                   struct dr_bytes payload, uint32_t max_age_s, int64_t at_ms);
void dev_cache_mark(struct dev_shard *s, uint32_t index);
void dev_cache_flush(struct dev_shard *s);
void dev_touch_flush(struct dev_shard *s);
/** Answer @p task from the cache: the value is observed or not older than its max-age. */
bool dev_value_fresh(struct dev_shard *s, const struct dev_reg *reg, struct dev_task *task);
void dev_value_task(struct dev_shard *s, uint32_t index, struct dev_task *task);

/* ---- news (shard_events.c) ---- */

bool dev_listening(const struct dev_shard *s, int64_t account);
bool dev_news_room(const struct dev_shard *s);
void dev_news_state(struct dev_shard *s, const struct dev_reg *reg, enum dev_event_kind kind,
                    bool first);
void dev_news_value(struct dev_shard *s, const struct dev_reg *reg, uint32_t index, int64_t key,
                    const struct lwm2m_path *path, uint16_t ct, struct dr_bytes payload,
                    uint32_t max_age_s, int64_t at_ms);
void dev_news_wake(struct dev_shard *s, const struct dev_reg *reg);
void dev_news_push(struct dev_shard *s);
