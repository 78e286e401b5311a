/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  devices/standing.h
 * @brief Standing observations of Pelion clients as they are kept in the row of a registration.
 *
 * Layer: devices, pure.  Threads: reentrant.  Memory: caller's buffers; never allocates.
 * Limits: DEV_STANDING_MAX.  Security: a damaged text is refused whole.  Spec: none.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/** Standing observations of one device. */
#define DEV_STANDING_MAX       256
#define DEV_STANDING_BYTES_MAX (1 + 10 * DEV_STANDING_MAX)

struct dev_standing {
    uint64_t path; /**< lwm2m_path_pack() */
    uint16_t token;
};

/**
 * The stored form; never empty, so that a row tells a Pelion client from others.
 * @param n    more than DEV_STANDING_MAX are cut
 * @param out  room for DEV_STANDING_BYTES_MAX
 * @return bytes written
 */
size_t dev_standing_write(const struct dev_standing *list, size_t n,
                          uint8_t out[DEV_STANDING_BYTES_MAX]);

/**
 * @param ret    room for DEV_STANDING_MAX; filled on success
 * @param ret_n  how many
 * @retval DR_ERR_CORRUPT  not the stored form; an empty one is no error and has none
 */
DR_CHECK dr_err_t dev_standing_read(struct dr_bytes in, struct dev_standing ret[DEV_STANDING_MAX],
                                    size_t *ret_n);
