/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  devices/seen.h
 * @brief Append-only files of "device heard at", so that an Update without news needs no database.
 *
 * Layer: devices.  Threads: a writer belongs to one shard; dev_seen_replay() anywhere while nobody
 * writes.  Memory: one buffer a shard; replay needs 24 bytes a device.
 * Limits: DEV_SEEN_BYTES_MAX a file, then a fresh one begins; DEV_SEEN_SLOTS_MAX.
 * Security: a damaged record ends the reading of its file; times are only moved forward by the
 * store. Spec: none.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define DEV_SEEN_BYTES_MAX  (64U * 1024 * 1024)
#define DEV_SEEN_SLOTS_MAX  (1U << 28)
#define DEV_SEEN_BUFFER     16384
#define DEV_SEEN_SHARDS_MAX 256

struct dev_seen {
    int fd;         /**< -1 = closed: records are dropped and counted */
    int dir;        /**< folder, owned */
    unsigned shard; /**< number in the file name */
    uint8_t epoch;  /**< goes up with each fresh file; a slot has to be introduced in each */
    bool old;       /**< the file before is still there */
    size_t bytes;   /**< written to this file */
    size_t max;     /**< DEV_SEEN_BYTES_MAX; smaller in tests */
    size_t len;     /**< buffered */
    uint64_t lost;  /**< records not written because of an error */
    uint8_t buf[DEV_SEEN_BUFFER];
};

/** Begin with an empty file in @p dir. @retval DR_ERR_IO */
DR_CHECK dr_err_t dev_seen_open(struct dev_seen *s, const char *dir, unsigned shard);
/** Write what is buffered and close. */
void dev_seen_close(struct dev_seen *s);

/** Say which device a slot (below DEV_SEEN_SLOTS_MAX) is; before its first time in an epoch. */
void dev_seen_map(struct dev_seen *s, uint32_t slot, int64_t device, int64_t generation);
/** @param unix_s  time of the uplink */
void dev_seen_put(struct dev_seen *s, uint32_t slot, uint32_t unix_s);
void dev_seen_flush(struct dev_seen *s);

/**
 * The file is full: begin a fresh one. The caller then maps and puts every live slot once (at
 * leisure) and calls dev_seen_old_drop().
 */
bool dev_seen_full(const struct dev_seen *s);
void dev_seen_rotate(struct dev_seen *s);
void dev_seen_old_drop(struct dev_seen *s);

typedef void dev_seen_fn(void *data, int64_t device, int64_t generation, uint32_t unix_s);
/**
 * Read all files of all shards in @p dir; @p fn may get a device more than once.
 * @retval DR_ERR_NOMEM
 */
DR_CHECK dr_err_t dev_seen_replay(const char *dir, dev_seen_fn *fn, void *data);
/** Remove all files: their contents are in the store now. */
void dev_seen_remove(const char *dir);
