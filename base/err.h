/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  base/err.h
 * @brief The one list of error codes, with text, HTTP status and CoAP code of each.
 *
 * Layer: base, pure.  Threads: reentrant.  Memory: never allocates.
 * Limits: none.  Security: texts are constants.  Spec: RFC7252#5.9 for the CoAP codes.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdnoreturn.h>

/** A result that the caller has to look at. */
#define DR_CHECK __attribute__((warn_unused_result))

/** CODE(name, value, text, HTTP status, CoAP code byte) */
#define DR_ERR_LIST(X)                                                                             \
    X(OK, 0, "ok", 200, 0x44)                                                                      \
    X(ERR_NOMEM, -1, "out of memory", 503, 0xa3)                                                   \
    X(ERR_BUSY, -2, "no room, try again later", 503, 0xa3)                                         \
    X(ERR_PROTO, -3, "malformed input", 400, 0x80)                                                 \
    X(ERR_RANGE, -4, "value out of range", 400, 0x80)                                              \
    X(ERR_INVAL, -5, "invalid argument", 400, 0x80)                                                \
    X(ERR_NOT_FOUND, -6, "not found", 404, 0x84)                                                   \
    X(ERR_EXISTS, -7, "exists already", 409, 0x89)                                                 \
    X(ERR_DENIED, -8, "not permitted", 403, 0x83)                                                  \
    X(ERR_AUTH, -9, "not authenticated", 401, 0x81)                                                \
    X(ERR_TOO_LARGE, -10, "too large", 413, 0x8d)                                                  \
    X(ERR_UNSUPPORTED, -11, "not supported", 415, 0x8f)                                            \
    X(ERR_TIMEOUT, -12, "timed out", 504, 0xa4)                                                    \
    X(ERR_RESET, -13, "reset by the peer", 502, 0xa2)                                              \
    X(ERR_CANCELED, -14, "cancelled", 503, 0xa3)                                                   \
    X(ERR_MOVED, -15, "moved to another shard", 503, 0xa3)                                         \
    X(ERR_GONE, -16, "device is gone", 410, 0x84)                                                  \
    X(ERR_ASLEEP, -17, "device sleeps", 503, 0xa3)                                                 \
    X(ERR_STALE, -18, "stale generation", 409, 0x89)                                               \
    X(ERR_NOSPACE, -19, "buffer or disk full", 503, 0xa3)                                          \
    X(ERR_IO, -20, "input or output failed", 500, 0xa0)                                            \
    X(ERR_CORRUPT, -21, "stored data is damaged", 500, 0xa0)                                       \
    X(ERR_VERSION, -22, "version not supported", 500, 0x8c)                                        \
    X(ERR_IN_USE, -23, "in use", 409, 0x89)                                                        \
    X(ERR_AGAIN, -24, "nothing now", 503, 0xa3)                                                    \
    X(ERR_CRYPTO, -25, "cryptographic check failed", 400, 0x80)                                    \
    X(ERR_LIMIT, -26, "limit reached", 429, 0xa3)                                                  \
    X(ERR_INTERNAL, -27, "internal error", 500, 0xa0)                                              \
    X(ERR_READONLY, -28, "read-only", 503, 0xa3)

typedef enum dr_err {
#define DR_ERR_ENUM(name, value, text, http, coap) DR_##name = (value),
    DR_ERR_LIST(DR_ERR_ENUM)
#undef DR_ERR_ENUM
} dr_err_t;

/** English text of @p err; a constant, never NULL. */
const char *dr_err_str(dr_err_t err);

/** Symbol of @p err without the prefix ("ERR_BUSY"); a constant, never NULL. */
const char *dr_err_name(dr_err_t err);

/** HTTP status that stands for @p err. */
int dr_err_http(dr_err_t err);

/** CoAP response code byte (class * 32 + detail) that stands for @p err. */
uint8_t dr_err_coap(dr_err_t err);

/** Where and why an operator's or a client's input was refused; a fixed size, kept by the caller.
 */
struct dr_errinfo {
    char field[64]; /**< option, JSON field or file name; may be empty */
    long line;      /**< line or byte position, 0 = none */
    char text[192]; /**< one sentence without full stop */
};

/** Fill @p reterr (may be NULL) in printf style. */
void dr_errinfo_set(struct dr_errinfo *reterr, const char *field, long line, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/** Our own bug if @p cond is false: log and abort; stays in release builds. Never for input. */
#define dr_assert(cond)                                                                            \
    do {                                                                                           \
        if (__builtin_expect(!(cond), 0)) {                                                        \
            dr_assert_failed(#cond, __FILE__, __LINE__);                                           \
        }                                                                                          \
    } while (0)

noreturn void dr_assert_failed(const char *cond, const char *file, int line);

#define DR_CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define DR_ARRAY_LEN(a)                    (sizeof(a) / sizeof((a)[0]))
