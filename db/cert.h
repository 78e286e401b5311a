/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  db/cert.h
 * @brief Rows of trusted and developer certificates, of device certificates, and of renewals.
 *
 * Layer: db.  Threads: in run functions (writer) or fn functions (reader).
 * Memory: borrowed as in db/account.h.  Limits: DB_TRUSTED_MAX an account; revoked certificates are
 * all kept in memory by others.
 * Security: an authority's key belongs to one account of the installation; private keys are sealed
 * (db/seal.h) and leave only by db_developer_get.
 * Spec: Pelion Certificates REST contract.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "db/filter.h"

struct db_writer;
struct db_reader;

/** Trusted certificates (developer certificates among them) of one account. */
#define DB_TRUSTED_MAX       1000
#define DB_CERT_HASH_LEN     32
#define DB_PRIVATE_KEY_MAX   512
#define DB_FINGERPRINT_CHARS 64

struct db_trusted {
    int64_t id;
    int64_t account;
    int64_t updated_at; /**< unix ms */
    const char *name;   /**< unique in the account */
    const char *description;
    const char *service; /**< "lwm2m" or "bootstrap" */
    bool active;
    bool enrollment_mode;
    int32_t execution_mode; /**< 1: a developer certificate */
    int64_t owner;
    const char *subject, *issuer;
    const char *fingerprint;  /**< SHA-256 in hex */
    struct dr_bytes key_hash; /**< DB_CERT_HASH_LEN bytes: unique in the installation */
    int64_t not_before, not_after;
    struct dr_bytes certificate; /**< DER */
    const char *endpoint_name;   /**< developer certificate: its CN, else "" */
};
typedef dr_err_t db_trusted_fn(void *data, const struct db_trusted *row);

/**
 * @param private_key  DER of a developer certificate's key, empty otherwise; sealed here
 * @retval DR_ERR_EXISTS     the account has that name or subject, or somebody has that key
 * @retval DR_ERR_LIMIT      DB_TRUSTED_MAX
 * @retval DR_ERR_NOT_FOUND  no such account
 */
DR_CHECK dr_err_t db_trusted_insert(struct db_writer *w, const struct db_trusted *row,
                                    struct dr_bytes private_key);
/** All but id, execution mode and private key. @retval DR_ERR_NOT_FOUND, DR_ERR_EXISTS */
DR_CHECK dr_err_t db_trusted_update(struct db_writer *w, const struct db_trusted *row);
/** @retval DR_ERR_NOT_FOUND */
DR_CHECK dr_err_t db_trusted_delete(struct db_writer *w, int64_t account, int64_t id);
/** @retval DR_ERR_NOT_FOUND */
DR_CHECK dr_err_t db_trusted_get(struct db_reader *r, int64_t account, int64_t id,
                                 db_trusted_fn *fn, void *data);
DR_CHECK dr_err_t db_trusted_list(struct db_reader *r, const struct db_query *query,
                                  db_trusted_fn *fn, void *data, struct dr_errinfo *reterr);
DR_CHECK dr_err_t db_trusted_count(struct db_reader *r, const struct db_query *query, int64_t *ret,
                                   struct dr_errinfo *reterr);
/** All active ones of all accounts: the trust anchors. */
DR_CHECK dr_err_t db_trusted_anchors(struct db_reader *r, db_trusted_fn *fn, void *data);
/**
 * @param fn  gets the row and the private key (unsealed, wiped after the call)
 * @retval DR_ERR_NOT_FOUND  no such row, or not a developer certificate
 * @retval DR_ERR_CRYPTO     sealed under another master key
 */
DR_CHECK dr_err_t db_developer_get(struct db_reader *r, int64_t account, int64_t id,
                                   dr_err_t (*fn)(void *data, const struct db_trusted *row,
                                                  struct dr_bytes private_key),
                                   void *data);

/* ---- certificates of devices ---- */

enum db_cert_state { DB_CERT_ACTIVE = 0, DB_CERT_REVOKED = 1 };

struct db_device_cert {
    int64_t id;
    int64_t account;
    int64_t updated_at;
    const char *endpoint_name;
    const char *name;   /**< "LWM2M", or of the device's own certificates */
    int64_t anchor;     /**< trusted certificate; 0: issued by us */
    const char *serial; /**< hex */
    struct dr_bytes fingerprint;
    enum db_cert_state state;
    int64_t not_after;
};
typedef dr_err_t db_device_cert_fn(void *data, const struct db_device_cert *row);

/** Note one that was issued. @retval DR_ERR_EXISTS  that certificate is known. @retval
 * DR_ERR_NOT_FOUND  no such account */
DR_CHECK dr_err_t db_device_cert_insert(struct db_writer *w, const struct db_device_cert *row);
/** Insert as revoked, or revoke the row that has the fingerprint in the account. */
DR_CHECK dr_err_t db_device_cert_revoke(struct db_writer *w, const struct db_device_cert *row);
/** Revoke all of an endpoint. @param ret_count  how many were active; may be NULL */
DR_CHECK dr_err_t db_device_cert_revoke_all(struct db_writer *w, int64_t account,
                                            const char *endpoint_name, int64_t now_ms,
                                            int64_t *ret_count);
/** By id, ascending, from after @p after; @p endpoint_name NULL = all. */
DR_CHECK dr_err_t db_device_cert_list(struct db_reader *r, int64_t account,
                                      const char *endpoint_name, int64_t after, uint32_t limit,
                                      db_device_cert_fn *fn, void *data);
/** How many of an endpoint have an id over @p after. */
DR_CHECK dr_err_t db_device_cert_count(struct db_reader *r, int64_t account,
                                       const char *endpoint_name, int64_t after, int64_t *ret);
/** Revoked ones of all accounts. */
DR_CHECK dr_err_t db_device_cert_revoked(struct db_reader *r, db_device_cert_fn *fn, void *data);

/* ---- renewals ("certificate enrollments") ---- */

struct db_cert_enrollment {
    int64_t id;
    int64_t account, device;
    int64_t updated_at;
    const char *certificate_name;
    const char *status; /**< "new", "completed" */
    const char *result; /**< "success", "failure", "" while new */
    const char *detail;
};
typedef dr_err_t db_cert_enrollment_fn(void *data, const struct db_cert_enrollment *row);

/** @retval DR_ERR_EXISTS  one of the device is under way. @retval DR_ERR_NOT_FOUND  no device */
DR_CHECK dr_err_t db_cert_enrollment_insert(struct db_writer *w,
                                            const struct db_cert_enrollment *row);
/** The open one of @p device is over; DR_ERR_NOT_FOUND if there is none. */
DR_CHECK dr_err_t db_cert_enrollment_complete(struct db_writer *w, int64_t account, int64_t device,
                                              bool success, const char *detail, int64_t now_ms);
DR_CHECK dr_err_t db_cert_enrollment_get(struct db_reader *r, int64_t account, int64_t id,
                                         db_cert_enrollment_fn *fn, void *data);
DR_CHECK dr_err_t db_cert_enrollment_list(struct db_reader *r, const struct db_query *query,
                                          db_cert_enrollment_fn *fn, void *data,
                                          struct dr_errinfo *reterr);
DR_CHECK dr_err_t db_cert_enrollment_count(struct db_reader *r, const struct db_query *query,
                                           int64_t *ret, struct dr_errinfo *reterr);
