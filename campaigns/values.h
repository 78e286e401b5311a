/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  campaigns/values.h
 * @brief Values of update objects out of whatever format a device answers in.
 *
 * Layer: campaigns, pure.  Threads: reentrant.  Memory: frees what it takes.
 * Limits: CAMP_VALUES_MAX values.  Security: payloads are hostile.  Spec: none.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "lwm2m/value.h"

#define CAMP_VALUES_MAX 256

/** Decode the answer to a Read of @p path. @param ct  MIME text, "" = plain text
 * @retval DR_ERR_PROTO …  as lwm2m_decode_nodes() */
DR_CHECK dr_err_t camp_values_decode(const char *path, const char *ct, struct dr_bytes payload,
                                     struct lwm2m_nodes *nodes);
/** A number, also when it came as text or as plain octets. */
bool camp_value_int(const struct lwm2m_value *value, int64_t *ret);
/** A text into @p ret, cut at its end; numbers are written in decimal. */
bool camp_value_text(const struct lwm2m_value *value, char *ret, size_t size);
