/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  devices/boot_priv.h
 * @brief Inside of the bootstrap server: sessions, and the plan of what is written.
 *
 * Layer: devices, private.  Threads: struct boot_shard and its sessions belong to the shard's loop;
 * struct dev_boot is read-only once the engines run.
 * Memory: a session is one heap block and what it points to.  Limits: BOOT_*_MAX, DEV_BOOT_*.
 * Security: see devices/boot.h.  Spec: LWM2M-1.2-CORE#6.1.
 */
#pragma once

#include <stdatomic.h>

#include "base/hash.h"
#include "base/ids.h"
#include "base/list.h"
#include "base/loop.h"
#include "base/metrics.h"
#include "db/bootstrap.h"
#include "db/db.h"
#include "db/enrollment.h"
#include "db/psk.h"
#include "devices/boot.h"
#include "devices/dev.h"
#include "devices/psk_ask.h"
#include "lwm2m/bootstrap.h"
#include "lwm2m/register.h"
#include "lwm2m/value.h"

#define BOOT_BUCKETS             1024 /* power of two */
#define BOOT_LEAF_BUCKETS        4096 /* power of two */
#define BOOT_RATE_SLOTS          4096 /* power of two */
/** Discover, Deletes, Writes, Read. */
#define BOOT_STEPS_MAX           (DEV_BOOT_OBJECTS_MAX + 8)
/** Where our account goes on a device that cannot be asked: beside the bootstrap account at 0. */
#define BOOT_SECURITY_ID_DEFAULT 1
/** Pelion's clients take no larger blocks. */
#define BOOT_PELION_BLOCK        512
#define BOOT_PSK_IDENTITY_MAX    (DEV_ENDPOINT_MAX + 20)

enum boot_metric {
    BOOT_M_STARTED,
    BOOT_M_DONE,
    BOOT_M_FAILED,
    BOOT_M_REFUSED,
    BOOT_M_LIMITED,
    BOOT_M_REPAIRS,
    BOOT_M_SESSIONS,
    BOOT_M_COUNT
};
extern struct dr_metric boot_metrics[BOOT_M_COUNT];

struct boot_session;

/** When an identity may ask again: token bucket. A collision only shares it. */
struct boot_rate {
    uint32_t key;   /**< upper half of the hash */
    uint32_t at_ms; /**< low bits of the time of the last refill */
    uint32_t left;
};

/** What a certificate stands for, from its handshake on; found again by its fingerprint. */
struct boot_leaf {
    struct dr_list bucket, age;
    struct dev_boot_cert cert;
    int64_t claimed; /**< account of the enrolment that has let it in; 0 = none yet */
};

struct boot_shard {
    struct dev_boot *boot;
    unsigned index;
    struct loop *loop;
    struct cx_engine *engine;
    struct dev_route_home home;
    struct dr_idgen *ids; /**< own_ids, or those of the same shard of the domain core */
    struct dr_idgen own_ids;
    struct dev_psk_asker psks;
    struct dr_list buckets[BOOT_BUCKETS]; /**< live sessions by hash of the identity */
    struct boot_rate rates[BOOT_RATE_SLOTS];
    struct dr_list leaves[BOOT_LEAF_BUCKETS]; /**< struct boot_leaf, owned */
    struct dr_list leaf_ages;                 /**< the oldest first */
    uint32_t n_leaves;
    uint32_t n_sessions; /**< live, and dead ones that wait for a callback */
    bool ending;
    struct loop_call stop_call;
    bool stop_waits;
    char name[CX_IDENTITY_MAX + 1]; /**< what the certificate callback hands to the engine */
    void (*test_hook)(void *data, const struct boot_session *s); /**< each state; NULL but in tests
                                                                  */
    void *test_data;
};

struct dev_boot {
    struct dev_boot_config cfg; /**< pointers in it are owned or live longer */
    struct dr_hash_key key;
    struct dev_routes routes;
    struct boot_shard **shards; /**< owned */
    unsigned n;
    unsigned stopping; /**< shards that have not ended */
    void (*stop_done)(void *data);
    void *stop_data;
};

/**
 *  LOOKING → MAKING → TALKING → STORING → FINISHING → NOTING → DONE
 *                ↘ (pack) STORING → PACKED → NOTING
 *  each → FAILED; STORING and FINISHING → TALKING (repair)
 */
enum boot_state {
    BOOT_LOOKING,   /**< policy and directory are read, the device's row is made */
    BOOT_MAKING,    /**< keys are made */
    BOOT_TALKING,   /**< Discover, Delete, Write, Read */
    BOOT_STORING,   /**< the fresh key is committed */
    BOOT_FINISHING, /**< Finish is under way */
    BOOT_NOTING,    /**< the directory is written */
    BOOT_DONE,
    BOOT_FAILED,
};
extern const struct dr_sm boot_sm;

enum boot_step_kind { BOOT_DISCOVER, BOOT_DELETE, BOOT_WRITE, BOOT_READ };

struct boot_step {
    uint8_t kind;
    struct lwm2m_path path;
    uint16_t first, count; /**< of the nodes that a Write carries */
};

/** A copy of the row. */
struct boot_policy {
    char server_uri[DEV_BOOT_URI_MAX + 1];
    char binding[LWM2M_BINDING_STR_MAX + 1];
    uint32_t lifetime_s;
    enum db_boot_security security;
    uint16_t ssid;
    int32_t hold_off_s, pmin_s, pmax_s;
    bool store, verify;
    enum db_boot_reset reset;
    char *objects; /**< owned; NULL = none */
};

struct boot_session {
    struct dr_list node; /**< bucket */
    struct boot_shard *sh;
    uint64_t hash;
    uint8_t state; /**< enum boot_state */
    bool waiting;  /**< for one callback */
    bool dead;     /**< ended; that callback frees it */
    struct dr_timer timer;
    uint64_t until_ms;

    /* who asks, and how */
    cx_peer_t peer;
    cx_exchange_t x; /**< not answered yet; 0 = answered */
    enum cx_id_kind kind;
    int64_t account, credential;
    uint32_t version_of_credential;
    char endpoint[DEV_ENDPOINT_MAX + 1];
    struct dev_boot_cert cert; /**< kind CX_ID_CERT */
    int64_t claimed;           /**< in enrolment mode: as of the last session, 0 = none */
    char claim[DR_ID_LEN + 1]; /**< account that it names; "" = none */
    bool pelion, pack;
    uint16_t pct; /**< or what a pack is wanted as */

    /* what the store knows */
    struct boot_policy policy;
    int64_t device; /**< 0 = no row yet */
    enum db_device_state device_state;
    bool suspended, revoked;
    int64_t enrollment; /**< row that let it in; 0 = none */
    bool unclaimed;     /**< it would have needed one */

    /* what it gets */
    enum lwm2m_security_mode mode;
    char psk_identity[BOOT_PSK_IDENTITY_MAX + 1];
    uint8_t psk[DEV_BOOT_PSK_LEN];
    struct dev_boot_issued *issued; /**< owned */
    dr_err_t issue_err;

    /* the talk */
    int64_t now_s; /**< unix time of the plan */
    struct lwm2m_boot_found found;
    bool discovered;
    struct lwm2m_boot_server server; /**< as planned */
    uint16_t server_instance;
    uint16_t formats[LWM2M_BOOT_FORMATS_MAX];
    size_t n_formats, format;
    struct lwm2m_nodes nodes;
    struct boot_step steps[BOOT_STEPS_MAX];
    size_t n_steps, step;
    unsigned repairs;
    struct cx_call call;
    struct cx_opt opts[8];
    char segments[3][6];
    char query[8 + DR_ID_LEN];
    uint8_t numbers[2][4];
    uint8_t *body; /**< owned */
    size_t body_len;

    /* the store */
    struct db_read read;
    struct db_job job;
    struct loop_work work;
    struct db_boot_begin begin;
    struct db_psk offer;
    struct db_boot_finish finish;
    struct db_denial denial;
    char texts[3][100]; /**< device_key, ca_id, date */
    char connector_date[12];
};

/* ---- the plan (boot_plan.c): pure ---- */

/** What kind of keys the device gets. @retval DR_ERR_UNSUPPORTED  not with what it came with */
DR_CHECK dr_err_t boot_plan_mode(const struct boot_session *s, enum lwm2m_security_mode *ret);
/** The first steps: ask what is there, or nothing (Pelion). */
void boot_plan_begin(struct boot_session *s);
/** After Discover: Deletes, Writes, Read, and the nodes that they carry.
 * @retval DR_ERR_LIMIT  no instance can be told to be free, or too many objects
 * @retval DR_ERR_PROTO …  the policy's objects do not fit the models */
DR_CHECK dr_err_t boot_plan_rest(struct boot_session *s);
/** The nodes of a whole configuration, ascending. */
DR_CHECK dr_err_t boot_plan_nodes(struct boot_session *s);

/* ---- sessions (shard_boot.c) ---- */

void boot_state_set(struct boot_session *s, enum boot_state state);
/** At the start of every callback. True: the session had ended meanwhile and is gone now. */
bool boot_back(struct boot_session *s);
/** End: answer with @p code if nothing was yet (0 = no answer), and free. */
void boot_fail(struct boot_session *s, uint8_t code, const char *why);
/** boot_fail() for what the store has refused. */
void boot_fail_store(struct boot_session *s, dr_err_t err);
void boot_end(struct boot_session *s);

/** Of struct loop_call in the shard: ends all sessions. */
void boot_shard_stop(struct loop_call *call);
void boot_leaves_free(struct boot_shard *sh);
void boot_psk_ended(struct dev_psk_asker *a);

/* ---- the talk (shard_boot_steps.c) ---- */

/** Everything is made: answer the request and begin, or hand out the pack. */
void boot_talk(struct boot_session *s);
