/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  base/ids.h
 * @brief Time-ordered object ids and timestamps, and their text forms.
 *
 * Layer: base.  Threads: a generator belongs to one thread; parsing and formatting are reentrant.
 * Memory: never allocates.  Limits: DR_IDGEN_MAX generators in a process at a time.
 * Security: text is hostile and never asserted on.  Spec: RFC3339#5.6.
 *
 * id = unix time in ms << 20 | generator (6 bits) << 14 | counter (14 bits); 63 bits, never 0.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define DR_IDGEN_MAX 64
/** Characters of an id on the wire, without NUL. */
#define DR_ID_LEN    32
/** Characters of a formatted timestamp, without NUL. */
#define DR_TIME_LEN  27

/** Unix time of an id in milliseconds. */
#define DR_ID_MS(id) ((int64_t)(id) >> 20)

struct dr_idgen {
    int64_t last_ms;
    uint32_t counter;  /**< next in last_ms */
    uint32_t instance; /**< 0..DR_IDGEN_MAX-1, ours alone in this process */
    int64_t (*now_ms)(void *ctx);
    void *ctx;
};

/**
 * Take a free instance number.
 * @param now_ms  wall clock in ms, NULL for dr_wall_ms()
 * @retval DR_ERR_LIMIT  DR_IDGEN_MAX generators live
 */
DR_CHECK dr_err_t dr_idgen_init(struct dr_idgen *g, int64_t (*now_ms)(void *ctx), void *ctx);

/** Give the instance number back. */
void dr_idgen_fini(struct dr_idgen *g);

/**
 * The next id: larger than all earlier ones of this generator, different from those of all others
 * in this process, also when the clock steps back (it then runs ahead of the clock).
 */
int64_t dr_id_new(struct dr_idgen *g);

/** 32 lower-case hex digits and a NUL: 12 of the time in ms, fifteen '0', 5 of the low 20 bits. */
void dr_id_format(int64_t id, char out[DR_ID_LEN + 1]);

/**
 * Strict reverse of dr_id_format().
 * @retval DR_ERR_PROTO  not exactly that form, or not an id (0, or over 63 bits)
 */
DR_CHECK dr_err_t dr_id_parse(const char *in, size_t len, int64_t *ret);

/** `2024-01-02T03:04:05.000000Z` and a NUL; years 1 to 9999, others are clamped. */
void dr_time_format(int64_t unix_ms, char out[DR_TIME_LEN + 1]);

/**
 * RFC 3339 with or without fraction, 'Z' or an offset; or the compact form 20161130T162512Z.
 * A leap second (60) is the first of the next minute. Digits beyond milliseconds are cut off.
 * @retval DR_ERR_PROTO  not such a text
 * @retval DR_ERR_RANGE  no such date or time of day
 */
DR_CHECK dr_err_t dr_time_parse(const char *in, size_t len, int64_t *ret_ms);
