/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  devices/boot.h
 * @brief The bootstrap server: who gets which account, server and keys.
 *
 * It has engines of its own (one a shard, on its own port) and shares with the LwM2M server nothing
 * but the store: a key that was delivered here is no key here, and a registered device has no
 * session here. One session is strictly serial: Discover, Delete, Write, (Read,) Finish. Nothing of
 * a session outlives it until just before Finish, when the fresh key is committed, so a session
 * that is cut anywhere leaves the device's old key valid and is simply begun again.
 *
 * Layer: devices.  Threads: dev_boot_new, _route, _stop, _free on control; the callbacks of
 * dev_boot_cx_ops on the shard's loop; the issuer on the pool.
 * Memory: some 2 KiB and the credentials for each session under way, nothing for others.
 * Limits: DEV_BOOT_*.  Security: the account comes from the credential alone; aid and d are claims
 * that must agree. Keys are wiped when a session ends.
 * Spec: LWM2M-1.2-CORE#6.1, Pelion's bootstrap.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "coap/engine.h"
#include "devices/route.h"

struct db;
struct dev_boot;
struct dev_core;
struct loop;
struct lwm2m_models;

/** Sessions under way on one shard; above it 5.03. */
#define DEV_BOOT_SESSIONS_MAX      2000
/** From the answer to Bootstrap-Request to Finish; devices give up after 247 s. */
#define DEV_BOOT_SESSION_MS        240000
/** From the Bootstrap-Request to its answer: store and pool. */
#define DEV_BOOT_PREPARE_MS        20000
/** From an acknowledged request of ours to its response. */
#define DEV_BOOT_RESPONSE_MS       60000
/** Times that a whole configuration is written again, in another format. */
#define DEV_BOOT_REPAIRS_MAX       3
/** Bootstrap-Requests of one device at once, and how fast further ones become possible. */
#define DEV_BOOT_BURST             5
#define DEV_BOOT_REFILL_MS         10000
/** Associations without traffic are forgotten. */
#define DEV_BOOT_ASSOC_IDLE_S      120
/** Certificates of associations that a shard remembers; above it the oldest has to come anew. */
#define DEV_BOOT_LEAVES_MAX        8192
/** Bytes of a fresh PSK. */
#define DEV_BOOT_PSK_LEN           16
#define DEV_BOOT_CERT_MAX          1024
#define DEV_BOOT_KEY_MAX           256
#define DEV_BOOT_URI_MAX           255
/** Further resources of a policy. */
#define DEV_BOOT_OBJECTS_MAX       64
#define DEV_BOOT_OBJECTS_BYTES_MAX 8192

/** For whom a certificate is made. */
struct dev_boot_subject {
    int64_t account, device;
    const char *endpoint;
};
/** A certificate and its private key (SEC1), both DER; wiped by whoever has it. */
struct dev_boot_issued {
    uint8_t cert[DEV_BOOT_CERT_MAX];
    size_t cert_len;
    uint8_t key[DEV_BOOT_KEY_MAX];
    size_t key_len;
    int64_t not_after_ms; /**< unix time; 0 = unknown */
};

/** What a device's bootstrap certificate stands for. */
struct dev_boot_cert {
    int64_t account;
    int64_t credential;     /**< id of the trust anchor */
    int32_t execution_mode; /**< 0, 1 (developer) or 5 (production) */
    int64_t not_after_ms;   /**< of the leaf; 0 = unknown */
    /** It has to be in an enrolment list, which also says whose it is (first to claim). */
    bool enrollment;
    bool has_fingerprint;    /**< the next two are there */
    uint8_t fingerprint[32]; /**< SHA-256 of the leaf */
    uint8_t key_hash[32];    /**< SHA-256 of its SubjectPublicKeyInfo */
};

struct dev_boot_config {
    struct loop *control;
    struct db *db;
    struct dev_core *core; /**< whose shards' id generators are used; NULL: own ones */
    const struct lwm2m_models *models;
    unsigned shards;
    struct loop *const *shard_loops; /**< borrowed for the call */
    const char *server_uri;          /**< "coaps://host:port" that devices get; copied */
    struct dr_bytes server_ca;       /**< authority of the LwM2M server, DER; copied */
    struct dr_bytes server_cert;     /**< its own certificate, for 1.0 clients; copied */
    /** Make a key and a certificate; any thread of the pool. NULL: no certificates here.
     * @retval DR_ERR_LIMIT …  what it returns ends the session */
    dr_err_t (*issue)(void *data, const struct dev_boot_subject *subject,
                      struct dev_boot_issued *ret);
    /** What a verified chain stands for; shard loops. NULL: the tag is the account.
     * @retval DR_ERR_DENIED  not this one */
    dr_err_t (*identify)(void *data, uint64_t anchor_tag, const uint8_t *leaf_der, size_t len,
                         struct dev_boot_cert *ret);
    void *data;
    uint32_t burst, refill_ms; /**< 0: DEV_BOOT_BURST, DEV_BOOT_REFILL_MS */
    uint32_t session_ms;       /**< 0: DEV_BOOT_SESSION_MS */
};

/** @retval DR_ERR_RANGE  the uri is longer than DEV_BOOT_URI_MAX. @retval DR_ERR_NOMEM */
DR_CHECK dr_err_t dev_boot_new(const struct dev_boot_config *config, struct dev_boot **ret);
/** What server/ hands to the bootstrap engine of shard @p i, with data = dev_boot_shard(boot, i).
 */
extern const struct cx_ops dev_boot_cx_ops;
void *dev_boot_shard(struct dev_boot *boot, unsigned i);
/** The engine of shard @p i exists now; before the first datagram, on its loop. */
void dev_boot_set_engine(struct dev_boot *boot, unsigned i, struct cx_engine *engine);
/** As dev_core_route(), for requests on bootstrap associations; before the engines exist. The
 * device of a request is that of the last session on the association, 0 before one. */
DR_CHECK dr_err_t dev_boot_route(struct dev_boot *boot, const char *prefix, dev_route_fn *fn,
                                 void *ctx);
/** End all sessions; @p done once, later, when none waits for the store or the pool. Then close the
 * engines. */
void dev_boot_stop(struct dev_boot *boot, void (*done)(void *data), void *data);
/** After the last loop has stopped. NULL is fine. */
struct dev_boot *dev_boot_free(struct dev_boot *boot);
