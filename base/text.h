/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  base/text.h
 * @brief Text encodings and numbers, strict; constant-time comparison and wiping of secrets.
 *
 * Layer: base, pure.  Threads: reentrant.  Memory: never allocates; the caller owns buffers.
 * Limits: output sizes are the caller's; numbers have at most DR_NUMBER_LEN_MAX characters.
 * Security: input is hostile and never asserted on.  Spec: RFC4648, RFC3629, RFC3986#2.1.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define DR_NUMBER_LEN_MAX 128

/** Characters that hex of @p n bytes needs, without NUL. */
#define DR_HEX_LEN(n)    ((size_t)(n)*2)
/** Characters that base64 of @p n bytes needs with padding, without NUL. */
#define DR_BASE64_LEN(n) (((size_t)(n) + 2) / 3 * 4)

/** Lower-case hex and a NUL into @p out, which has room for DR_HEX_LEN(len) + 1. */
void dr_hex_encode(const void *data, size_t len, char *out);

/**
 * Strict: an even number of hex digits (either case), nothing else.
 * @param cap      room in @p out; @p out is untouched on error
 * @param ret_len  bytes written; may be NULL when the caller knows len / 2
 * @retval DR_ERR_PROTO     another character, or an odd length
 * @retval DR_ERR_NOSPACE   more than @p cap bytes
 */
DR_CHECK dr_err_t dr_hex_decode(const char *in, size_t len, uint8_t *out, size_t cap,
                                size_t *ret_len);

/** Padded base64 (RFC4648#4) and a NUL; room for DR_BASE64_LEN(len) + 1. Returns the length. */
size_t dr_base64_encode(const void *data, size_t len, char *out);

/** Unpadded base64url (RFC4648#5) and a NUL; room for DR_BASE64_LEN(len) + 1. Returns the length.
 */
size_t dr_base64url_encode(const void *data, size_t len, char *out);

/**
 * Strict base64: the standard alphabet, padding required, unused bits zero, no white space.
 * @p out may overlap @p in only when they begin at the same place.
 * @retval DR_ERR_PROTO    not base64
 * @retval DR_ERR_NOSPACE  more than @p cap bytes
 */
DR_CHECK dr_err_t dr_base64_decode(const char *in, size_t len, uint8_t *out, size_t cap,
                                   size_t *ret_len);

/** Strict base64url: padding is optional (all of it or none). Otherwise as dr_base64_decode(). */
DR_CHECK dr_err_t dr_base64url_decode(const char *in, size_t len, uint8_t *out, size_t cap,
                                      size_t *ret_len);

/** Well-formed UTF-8: no overlong forms, no surrogates, at most U+10FFFF. NUL is a character. */
bool dr_utf8_valid(const void *data, size_t len);

/**
 * Percent decode (RFC3986#2.1). A '%' without two hex digits is an error.
 * @param plus     '+' becomes a space (forms and query strings)
 * @param ret_len  bytes written; the output is never longer than the input and may be in place
 * @retval DR_ERR_PROTO    a broken escape
 * @retval DR_ERR_NOSPACE  more than @p cap bytes
 */
DR_CHECK dr_err_t dr_percent_decode(const char *in, size_t len, bool plus, char *out, size_t cap,
                                    size_t *ret_len);

/** Append @p in with everything but unreserved characters (RFC3986#2.3) escaped. */
void dr_percent_encode(struct dr_dynbuf *out, const void *in, size_t len);

/**
 * Decimal digits only, no sign, no white space; leading zeros are allowed.
 * @retval DR_ERR_PROTO  empty or another character
 * @retval DR_ERR_RANGE  over 2^64 - 1
 */
DR_CHECK dr_err_t dr_parse_u64(const char *in, size_t len, uint64_t *ret);

/** As dr_parse_u64() and at most @p max, else DR_ERR_RANGE. */
DR_CHECK dr_err_t dr_parse_u64_max(const char *in, size_t len, uint64_t max, uint64_t *ret);

/** Optional '-' (or '+') and decimal digits; DR_ERR_RANGE outside int64. */
DR_CHECK dr_err_t dr_parse_i64(const char *in, size_t len, int64_t *ret);

/**
 * Optional sign, digits, optional fraction, optional exponent; no inf, nan or hex; '.' whatever the
 * locale.
 * @retval DR_ERR_PROTO  not a number, or over DR_NUMBER_LEN_MAX characters
 * @retval DR_ERR_RANGE  beyond a double
 */
DR_CHECK dr_err_t dr_parse_double(const char *in, size_t len, double *ret);

/**
 * Shortest decimal text that reads back as the same double, with a NUL; '.' whatever the locale.
 * Writes "NaN", "Infinity" or "-Infinity" for those.
 * @param out  room for 32 characters
 * @return length without NUL
 */
size_t dr_double_format(double v, char *out);

/** Compare @p len bytes in a time that depends on @p len only. */
bool dr_ct_equal(const void *a, const void *b, size_t len);

/** Overwrite a secret so that no compiler drops it. NULL with 0 is allowed. */
void dr_wipe(void *p, size_t len);
