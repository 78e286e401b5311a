/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  db/firmware.h
 * @brief Firmware images (their bytes are files), jobs that upload one in chunks, and manifests.
 *
 * Layer: db.  Threads: in run functions (writer) or fn functions (reader).
 * Memory: borrowed as in db/account.h.  Limits: DB_TEXT_MAX, DB_BLOB_MAX.
 * Security: functions that REST reaches take the account; a row of another is DR_ERR_NOT_FOUND.
 * Spec: Pelion Update Service REST contract.
 *
 * An image is needed by a campaign whose manifest has its digest: nothing else has to be kept.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "db/filter.h"

struct db_writer;
struct db_reader;

/** Hex digits of a download token and of a digest, without NUL. */
#define DB_TOKEN_LEN  32
#define DB_DIGEST_LEN 64

/* ---- images ---- */

struct db_image {
    int64_t id, account;
    const char *name, *description, *filename;
    const char *sha256; /**< hex */
    const char *token;  /**< hex: who knows it may download */
    int64_t size;
    int64_t updated_at; /**< unix ms */
};
typedef dr_err_t db_image_fn(void *data, const struct db_image *row);

/** @retval DR_ERR_EXISTS. @retval DR_ERR_NOT_FOUND  no such account */
DR_CHECK dr_err_t db_image_insert(struct db_writer *w, const struct db_image *row);
/** @param account  0 = whoever's. @retval DR_ERR_NOT_FOUND */
DR_CHECK dr_err_t db_image_get(struct db_reader *r, int64_t account, int64_t id, db_image_fn *fn,
                               void *data);
/** The newest with this digest. @retval DR_ERR_NOT_FOUND */
DR_CHECK dr_err_t db_image_of_digest(struct db_reader *r, int64_t account, const char *sha256,
                                     db_image_fn *fn, void *data);
/** Fields: id, name, description, datafile_checksum, datafile_size, created_at, updated_at. */
DR_CHECK dr_err_t db_image_list(struct db_reader *r, const struct db_query *query, db_image_fn *fn,
                                void *data, struct dr_errinfo *reterr);
DR_CHECK dr_err_t db_image_count(struct db_reader *r, const struct db_query *query, int64_t *ret,
                                 struct dr_errinfo *reterr);
/** A campaign with first <= phase <= last that brings this image. @param ret  its id, 0 = none */
DR_CHECK dr_err_t db_image_campaign(struct db_reader *r, int64_t account, int64_t id, int64_t first,
                                    int64_t last, int64_t *ret);
/** The newest whose digest a manifest of the account names together with this address.
 * @retval DR_ERR_NOT_FOUND */
DR_CHECK dr_err_t db_image_of_url(struct db_reader *r, int64_t account, const char *url,
                                  db_image_fn *fn, void *data);
/** Does a campaign with first <= phase <= last bring this image to the device, and has begun with
 * it (its row is live)? The device is named by its endpoint. */
DR_CHECK dr_err_t db_image_for_device(struct db_reader *r, int64_t account, int64_t id,
                                      const char *endpoint, int64_t first, int64_t last, bool *ret);
/** @retval DR_ERR_NOT_FOUND */
DR_CHECK dr_err_t db_image_delete(struct db_writer *w, int64_t account, int64_t id);

typedef dr_err_t db_firmware_id_fn(void *data, int64_t id);
/** Ids of all accounts: which files belong to somebody. */
DR_CHECK dr_err_t db_image_ids(struct db_reader *r, db_firmware_id_fn *fn, void *data);

/* ---- upload jobs ---- */

struct db_upload {
    int64_t id, account;
    const char *name, *description;
    int64_t size;       /**< bytes in all chunks */
    int64_t chunks;     /**< how many */
    int64_t image;      /**< 0 = not complete */
    int64_t updated_at; /**< unix ms */
};
typedef dr_err_t db_upload_fn(void *data, const struct db_upload *row);

DR_CHECK dr_err_t db_upload_insert(struct db_writer *w, const struct db_upload *row);
/** Name and description (NULL = stays). @retval DR_ERR_NOT_FOUND */
DR_CHECK dr_err_t db_upload_update(struct db_writer *w, const struct db_upload *row);
/** It has become this image. @retval DR_ERR_STALE  gone, complete, or not of @p size bytes */
DR_CHECK dr_err_t db_upload_complete(struct db_writer *w, int64_t account, int64_t id, int64_t size,
                                     int64_t image, int64_t now_ms);
DR_CHECK dr_err_t db_upload_get(struct db_reader *r, int64_t account, int64_t id, db_upload_fn *fn,
                                void *data);
/** Fields: id, name, description, status, complete, created_at, updated_at. */
DR_CHECK dr_err_t db_upload_list(struct db_reader *r, const struct db_query *query,
                                 db_upload_fn *fn, void *data, struct dr_errinfo *reterr);
DR_CHECK dr_err_t db_upload_count(struct db_reader *r, const struct db_query *query, int64_t *ret,
                                  struct dr_errinfo *reterr);
/** With its chunks. @retval DR_ERR_NOT_FOUND */
DR_CHECK dr_err_t db_upload_delete(struct db_writer *w, int64_t account, int64_t id);
/** Ids of all accounts that are not complete. */
DR_CHECK dr_err_t db_upload_ids(struct db_reader *r, db_firmware_id_fn *fn, void *data);

struct db_chunk {
    int64_t job;
    int64_t seq; /**< 1, 2, … */
    int64_t length;
    const char *hash;   /**< hex */
    int64_t created_at; /**< unix ms */
};
typedef dr_err_t db_chunk_fn(void *data, const struct db_chunk *row);

/**
 * The next chunk of a job: its size and number of chunks grow.
 * @param row   seq is ignored
 * @param size  of the job before it
 * @retval DR_ERR_STALE  gone, complete, or not of @p size bytes (any more)
 */
DR_CHECK dr_err_t db_chunk_insert(struct db_writer *w, int64_t account, const struct db_chunk *row,
                                  int64_t size);
/** By seq from after @p after. */
DR_CHECK dr_err_t db_chunk_list(struct db_reader *r, int64_t job, int64_t after, bool desc,
                                uint32_t limit, db_chunk_fn *fn, void *data);
/** @param seq  0 = the last. @retval DR_ERR_NOT_FOUND */
DR_CHECK dr_err_t db_chunk_get(struct db_reader *r, int64_t job, int64_t seq, db_chunk_fn *fn,
                               void *data);

/* ---- manifests ---- */

struct db_manifest {
    int64_t id, account;
    const char *name, *description, *filename;
    const char *token; /**< hex: who knows it may download */
    struct dr_bytes raw, key_table;
    int64_t schema;                /**< 1, 3, 4 = SUIT */
    int64_t timestamp_ms;          /**< of the manifest; 0 = it has none */
    int64_t priority;              /**< -1 = not said */
    const char *version;           /**< as text; "" = none */
    const char *vendor, *class_id; /**< hex without dashes, "" = any */
    const char *component;
    const char *payload_type; /**< "full", "delta", "" */
    const char *payload_url;
    const char *payload_digest;   /**< hex */
    const char *installed_digest; /**< hex, "" = that of the payload */
    const char *precursor_digest;
    int64_t payload_size;
    int64_t updated_at; /**< unix ms */
};
typedef dr_err_t db_manifest_fn(void *data, const struct db_manifest *row);

DR_CHECK dr_err_t db_manifest_insert(struct db_writer *w, const struct db_manifest *row);
/** @param account  0 = whoever's. @retval DR_ERR_NOT_FOUND */
DR_CHECK dr_err_t db_manifest_get(struct db_reader *r, int64_t account, int64_t id,
                                  db_manifest_fn *fn, void *data);
/** Fields: id, name, description, device_class, datafile_size, timestamp, created_at, updated_at.
 */
DR_CHECK dr_err_t db_manifest_list(struct db_reader *r, const struct db_query *query,
                                   db_manifest_fn *fn, void *data, struct dr_errinfo *reterr);
DR_CHECK dr_err_t db_manifest_count(struct db_reader *r, const struct db_query *query, int64_t *ret,
                                    struct dr_errinfo *reterr);
/** @retval DR_ERR_NOT_FOUND */
DR_CHECK dr_err_t db_manifest_delete(struct db_writer *w, int64_t account, int64_t id);
