/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  devices/cache.h
 * @brief Last values of one device in one block of bytes: the same in memory and in its database
 * row.
 *
 * Layer: devices, pure.  Threads: the owner's.  Memory: one heap block a device that grows and
 * shrinks with its values; NULL = no values.  Limits: DEV_CACHE_*_MAX: the oldest value goes first.
 * Security: values are opaque; a damaged block is refused whole.  Spec: none.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define DEV_CACHE_VALUES_MAX 128
#define DEV_CACHE_VALUE_MAX  4096
#define DEV_CACHE_BYTES_MAX  (16 * 1024)

struct dev_cache {
    uint16_t len; /**< bytes in use */
    uint16_t cap;
    uint16_t count;
    uint8_t bytes[];
};

/** One value; payload borrows from the block. */
struct dev_cached {
    uint64_t path; /**< lwm2m_path_pack() */
    int64_t at_ms; /**< unix time of receipt */
    uint32_t max_age_s;
    uint16_t ct;
    struct dr_bytes payload;
};

/**
 * Put a value in, replacing the one of the same path.
 * @param cache  *cache may move; NULL at first
 * @retval DR_ERR_TOO_LARGE  over DEV_CACHE_VALUE_MAX: the old value of the path is taken out
 * @retval DR_ERR_NOMEM      an old value of the path may be gone, else nothing changed
 */
DR_CHECK dr_err_t dev_cache_put(struct dev_cache **cache, const struct dev_cached *value);

/** The value of exactly this path; false if none. */
bool dev_cache_get(const struct dev_cache *cache, uint64_t path, struct dev_cached *ret);

/** The @p i -th value in order of storage; false past the end. */
bool dev_cache_at(const struct dev_cache *cache, size_t i, struct dev_cached *ret);

/** Take values out: all at or below the packed range first..last. */
void dev_cache_drop(struct dev_cache *cache, uint64_t first, uint64_t last);

/** The block as stored; empty for NULL. */
struct dr_bytes dev_cache_bytes(const struct dev_cache *cache);

/**
 * A block from its stored form.
 * @param ret  owned by the caller (free()); NULL when @p in is empty
 * @retval DR_ERR_CORRUPT, DR_ERR_NOMEM
 */
DR_CHECK dr_err_t dev_cache_load(struct dr_bytes in, struct dev_cache **ret);
