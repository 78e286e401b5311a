/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  devices/trust.h
 * @brief Which certificates devices may come with, as the database says now.
 *
 * The anchors and revocations of all accounts are one immutable set (certs/chain.h), made from the
 * database and swapped when something has changed. Handshakes ask the current set; after a swap
 * every engine closes the peers that the new set would not let in.
 *
 * Layer: devices.  Threads: dev_trust_new, _reload_start, _free on control; dev_trust_read on a
 * reading thread; dev_trust_engine on the engine's loop; the rest from any thread.
 * Memory: some 2 KiB an anchor, 40 bytes a revoked certificate.  Limits: CERT_ANCHORS_MAX,
 * CERT_REVOKED_MAX, DEV_TRUST_FILE_MAX.
 * Security: an anchor belongs to one account, and its devices to that one; of a certificate that we
 * have signed, the account is its OU. A name that contradicts is refused.  Spec: RFC7925#4.4.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "certs/chain.h"
#include "coap/engine.h"

struct db;
struct db_reader;
struct dev_core;
struct dev_trust;
struct loop;

/** Anchors from a file of the configuration. */
#define DEV_TRUST_FILE_MAX 256

struct dev_trust_config {
    struct loop *control;
    struct db *db;
    unsigned shards;
    struct dr_bytes device_issuer;       /**< our authority for device certificates, DER */
    const struct dr_bytes *file_anchors; /**< DER; for LwM2M, of file_account */
    size_t n_file_anchors;
    int64_t file_account;
};

/** Copies what it is given; knows no anchor before dev_trust_read. */
DR_CHECK dr_err_t dev_trust_new(const struct dev_trust_config *config, struct dev_trust **ret);
/** After the last loop has stopped. NULL is fine. Returns NULL. */
struct dev_trust *dev_trust_free(struct dev_trust *t);
/** Read the database into the current set. @p data is the struct dev_trust. */
DR_CHECK dr_err_t dev_trust_read(struct db_reader *r, void *data);
/** Devices whose registrations end with a revoked credential; once, before the first reload. */
void dev_trust_set_core(struct dev_trust *t, struct dev_core *core);

/** For cx_security_config.trust: @p service is CERT_SERVICE_LWM2M or _BOOTSTRAP. Borrowed. */
const struct cx_trust *dev_trust_cx(struct dev_trust *t, unsigned service);
/** This engine has peers that may have to be closed; at its start, on its loop (at most two of a
 * shard). */
void dev_trust_engine(struct dev_trust *t, unsigned shard, struct loop *loop,
                      struct cx_engine *engine, unsigned service);

/** No reload begins any more, and nothing is closed later; before the engines close. */
void dev_trust_stop(struct dev_trust *t);

/** What a verified leaf stands for. */
struct dev_trust_id {
    int64_t account;
    int64_t anchor;        /**< id of the trusted certificate; CERT_TAG_DEVICE_ISSUER: ours */
    int64_t device;        /**< of a certificate of ours: the only device it is for; else 0 */
    bool enrollment;       /**< the device must be in the enrolment list */
    bool developer;        /**< a developer certificate */
    struct cert_info info; /**< of the leaf */
};
/**
 * @retval DR_ERR_DENIED  revoked, not trusted any more, or its OU names another account
 * @retval DR_ERR_PROTO   no certificate
 */
DR_CHECK dr_err_t dev_trust_identify(struct dev_trust *t, unsigned service, uint64_t tag,
                                     const uint8_t *leaf_der, size_t len, struct dev_trust_id *ret);

/** Read again, then close what is not trusted any more. */
struct dev_trust_reload {
    /** Also end what this device has, whatever certificate it came with: account and name, or 0 and
     * "". */
    int64_t account;
    char endpoint[65];
    void (*cb)(struct dev_trust_reload *op, dr_err_t err); /**< once, later; last touch */
    void *data;

    struct dev_trust_reload *next; /**< its own */
};
/** One reading at a time; who comes meanwhile shares the next. cb: DR_OK when the last engine has
 * closed what it had to; an error leaves the old set. */
void dev_trust_reload_start(struct dev_trust *t, struct dev_trust_reload *op);
