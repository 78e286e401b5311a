/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  base/zone.h
 * @brief A time zone of the IANA database: its offset at any moment.
 *
 * Layer: base.  Threads: a zone does not change after dr_zone_parse(); dr_zone_load() reads a file.
 * Memory: one block per zone, owned by the caller.  Limits: DR_ZONE_FILE_MAX, DR_ZONE_NAME_MAX.
 * Security: the name may come from a peer and never leaves the folder of the database.
 * Spec: RFC8536 (TZif), POSIX.1-2017 XBD 8.3 (TZ).
 *
 * The C library knows one zone per process; a server has one per campaign.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define DR_ZONE_FOLDER   "/usr/share/zoneinfo"
#define DR_ZONE_FILE_MAX (64 * 1024)
#define DR_ZONE_NAME_MAX 64

struct dr_zone;

/** Letters, digits, "_", "+", "-" and single "/" between parts: "Europe/Helsinki". */
bool dr_zone_name_valid(const char *name);

/**
 * Read a zone of the system's database.
 * @retval DR_ERR_INVAL      not a name of a zone
 * @retval DR_ERR_NOT_FOUND  there is no such file
 * @retval DR_ERR_PROTO      the file is malformed
 * @retval DR_ERR_IO, DR_ERR_NOMEM
 */
DR_CHECK dr_err_t dr_zone_load(const char *name, struct dr_zone **ret);

/**
 * A zone from the bytes of its file, which may go afterwards.
 * @retval DR_ERR_PROTO        malformed
 * @retval DR_ERR_UNSUPPORTED  version 1: without 64-bit times
 * @retval DR_ERR_NOMEM
 */
DR_CHECK dr_err_t dr_zone_parse(struct dr_bytes file, struct dr_zone **ret);

/** NULL is allowed. @return NULL */
struct dr_zone *dr_zone_free(struct dr_zone *zone);

/** Seconds east of UTC at unix time @p at (seconds). */
int32_t dr_zone_offset(const struct dr_zone *zone, int64_t at);

/**
 * The first moment at which a clock in the zone shows @p local (seconds since 1970-01-01 as the
 * clock counts them). One that it skips stands for the moment of the skip.
 */
int64_t dr_zone_utc(const struct dr_zone *zone, int64_t local);
