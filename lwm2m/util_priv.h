/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  lwm2m/util_priv.h
 * @brief Small readers and writers that several files of this folder share.
 *
 * Layer: lwm2m, pure.  Threads: reentrant.  Memory: never allocates.  Limits: none.
 * Security: all input is hostile.  Spec: RFC4648, LWM2M-1.2-CORE#C.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "lwm2m/value.h"

/** "66:1", "65535:65535" or "FFFF:FFFF" (null). @retval DR_ERR_PROTO */
DR_CHECK dr_err_t lwm2m_objlnk_parse(const char *text, size_t len, struct lwm2m_objlnk *ret);
#define LWM2M_OBJLNK_STR_MAX 12
size_t lwm2m_objlnk_format(struct lwm2m_objlnk link, char out[LWM2M_OBJLNK_STR_MAX]);

/** Decimal without exponent, for numbers below 1e29; what 20 digits behind the point cannot show is
 * cut. Returns the length. */
#define LWM2M_FLOAT_PLAIN_MAX 32
size_t lwm2m_float_plain(double f, char out[LWM2M_FLOAT_PLAIN_MAX]);

/**
 * Base64 of either alphabet, padded or not.
 * @param out  room for @p len bytes
 * @retval DR_ERR_PROTO
 */
DR_CHECK dr_err_t lwm2m_base64_any(const char *text, size_t len, uint8_t *out, size_t *ret_len);

bool lwm2m_blank(char c);
/** Without blanks at both ends. */
struct lwm2m_str lwm2m_str_trim(struct lwm2m_str s);
/** Quotes around the whole string taken off. */
struct lwm2m_str lwm2m_str_unquote(struct lwm2m_str s);
/** ASCII letter case ignored. */
bool lwm2m_str_ieq(struct lwm2m_str s, const char *z);
/** Bytes of @p s from @p from up to @p to. */
struct lwm2m_str lwm2m_str_sub(struct lwm2m_str s, size_t from, size_t to);
