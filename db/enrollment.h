/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  db/enrollment.h
 * @brief Rows of device enrolments (claims of devices by their key), bulk jobs, and denials.
 *
 * Layer: db.  Threads: in run functions (writer) or fn functions (reader).
 * Memory: borrowed as in db/account.h.  Limits: DB_DENIALS_MAX an account.
 * Security: an identity is claimed by one account of the installation.
 * Spec: Pelion Device Enrollment REST contract.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "db/filter.h"

struct db_writer;
struct db_reader;

/** "A-" and 32 bytes in hex with colons. */
#define DB_ENROLLMENT_CHARS 97
#define DB_ENROLLMENT_KEY   32
/** Denied attempts kept for one account; later ones are not noted. */
#define DB_DENIALS_MAX      10000

struct db_enrollment {
    int64_t id;
    int64_t account;
    const char *identity; /**< as it was given */
    int64_t claimed_at;   /**< unix ms; 0: no device came yet */
    int64_t expires_at;   /**< 0 = never */
    int64_t device;       /**< 0: none yet */
};
typedef dr_err_t db_enrollment_fn(void *data, const struct db_enrollment *row);

/** The 32 bytes of an identity. @retval DR_ERR_PROTO  not of its form */
DR_CHECK dr_err_t db_enrollment_parse(const char *identity, uint8_t key[DB_ENROLLMENT_KEY]);

/** @retval DR_ERR_PROTO  identity. @retval DR_ERR_EXISTS  claimed, here or by another account */
DR_CHECK dr_err_t db_enrollment_insert(struct db_writer *w, const struct db_enrollment *row);
/** @retval DR_ERR_NOT_FOUND */
DR_CHECK dr_err_t db_enrollment_delete(struct db_writer *w, int64_t account, int64_t id);
/** @retval DR_ERR_NOT_FOUND, DR_ERR_PROTO */
DR_CHECK dr_err_t db_enrollment_delete_identity(struct db_writer *w, int64_t account,
                                                const char *identity, int64_t *ret_id);
DR_CHECK dr_err_t db_enrollment_get(struct db_reader *r, int64_t account, int64_t id,
                                    db_enrollment_fn *fn, void *data);
DR_CHECK dr_err_t db_enrollment_list(struct db_reader *r, const struct db_query *query,
                                     db_enrollment_fn *fn, void *data, struct dr_errinfo *reterr);
DR_CHECK dr_err_t db_enrollment_count(struct db_reader *r, const struct db_query *query,
                                      int64_t *ret, struct dr_errinfo *reterr);
/**
 * Who claimed this device? By either hash of its certificate (whole, or its public key).
 * @retval DR_ERR_NOT_FOUND  nobody, or the claim has expired
 */
DR_CHECK dr_err_t db_enrollment_find(struct db_reader *r, struct dr_bytes fingerprint,
                                     struct dr_bytes key_hash, int64_t now_ms, db_enrollment_fn *fn,
                                     void *data);
/** The device has come: note it, and enrolment_list_timestamp of the device. A later device takes
 * the place of an earlier one. @retval DR_ERR_NOT_FOUND */
DR_CHECK dr_err_t db_enrollment_claim(struct db_writer *w, int64_t account, int64_t id,
                                      int64_t device, int64_t now_ms);

/* ---- bulk jobs ---- */

enum db_bulk_status { DB_BULK_NEW = 0, DB_BULK_PROCESSING = 1, DB_BULK_COMPLETED = 2 };

struct db_bulk {
    int64_t id;
    int64_t account;
    int64_t updated_at;
    bool deletes; /**< a bulk delete, else an upload */
    enum db_bulk_status status;
    int64_t total, processed, errors;
    int64_t completed_at; /**< 0: not yet */
};
typedef dr_err_t db_bulk_fn(void *data, const struct db_bulk *row);

DR_CHECK dr_err_t db_bulk_insert(struct db_writer *w, const struct db_bulk *row);
/** Status and counts. @retval DR_ERR_NOT_FOUND */
DR_CHECK dr_err_t db_bulk_update(struct db_writer *w, const struct db_bulk *row);
/** @retval DR_ERR_NOT_FOUND  also when it is of the other kind */
DR_CHECK dr_err_t db_bulk_get(struct db_reader *r, int64_t account, int64_t id, bool deletes,
                              db_bulk_fn *fn, void *data);
/** At a start: jobs that were under way are over; what was not processed counts as failed. */
DR_CHECK dr_err_t db_bulk_interrupted(struct db_writer *w, int64_t now_ms);

/* ---- denials ---- */

struct db_denial {
    int64_t id;
    int64_t account;
    const char *endpoint_name;
    int64_t trusted_cert;
};
typedef dr_err_t db_denial_fn(void *data, const struct db_denial *row);

/** Note a refused bootstrap; the same device again changes nothing, nor does DB_DENIALS_MAX. */
DR_CHECK dr_err_t db_denial_note(struct db_writer *w, const struct db_denial *row);
DR_CHECK dr_err_t db_denial_get(struct db_reader *r, int64_t account, int64_t id, db_denial_fn *fn,
                                void *data);
DR_CHECK dr_err_t db_denial_list(struct db_reader *r, const struct db_query *query,
                                 db_denial_fn *fn, void *data, struct dr_errinfo *reterr);
DR_CHECK dr_err_t db_denial_count(struct db_reader *r, const struct db_query *query, int64_t *ret,
                                  struct dr_errinfo *reterr);
