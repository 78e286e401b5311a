/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  client/core/kvs.h
 * @brief Power-loss-safe store of small values in two flash areas.
 *
 * Layer: client/core over the flash HAL.  Threads: one loop.  Memory: the caller's struct only.
 * Limits: CL_KVS_VALUE_MAX bytes a value; what fits into one area in all.
 * Security: values lie in clear; read-out protection is the board's duty.
 *
 * A set or remove that returned CL_OK survives any cut; one that was cut is wholly there or not at
 * all.
 */
#pragma once

#include "client/core/common.h"

#define CL_KVS_VALUE_MAX  512
#define CL_KVS_WRITE_ONCE 1u

struct cl_kvs {
    uint32_t base;      /**< flash address of the first area */
    uint32_t area_size; /**< bytes of each of the two areas, a multiple of the sector */
    uint32_t seq;       /**< of the active area */
    uint32_t tail;      /**< offset where the next record goes */
    uint8_t active;     /**< 0 or 1 */
    bool dirty; /**< a torn record lies at the tail: the next write moves to the other area */
};

/**
 * Find the newest area, or format blank flash.
 * @retval CL_ERR_INVAL  area_size is no multiple of the sector
 * @retval CL_ERR_IO     flash failed
 */
CL_CHECK cl_err_t cl_kvs_open(struct cl_kvs *kvs, uint32_t base, uint32_t area_size);

/**
 * @param ret_len    whole length of the value, also when it is longer than @p cap
 * @param ret_flags  may be NULL
 * @retval CL_ERR_NOENT  no such key
 */
CL_CHECK cl_err_t cl_kvs_get(const struct cl_kvs *kvs, uint64_t id, void *buf, size_t cap,
                             size_t *ret_len, uint16_t *ret_flags);

/**
 * @retval CL_ERR_SPACE   over CL_KVS_VALUE_MAX, or the areas are full of other keys
 * @retval CL_ERR_DENIED  the key was set with CL_KVS_WRITE_ONCE
 */
CL_CHECK cl_err_t cl_kvs_set(struct cl_kvs *kvs, uint64_t id, const void *data, size_t len,
                             uint16_t flags);

/** @retval CL_ERR_NOENT, CL_ERR_DENIED  as above */
CL_CHECK cl_err_t cl_kvs_remove(struct cl_kvs *kvs, uint64_t id);
