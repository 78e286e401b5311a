/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  base/log.h
 * @brief One line an event, key=value, to stderr or the journal.
 *
 * Layer: base.  Threads: every function from any thread.  Memory: a line buffer on the stack.
 * Limits: DR_LOG_LINE_MAX bytes a line (longer ones are cut), DR_LOG_FIELDS_MAX fields.
 * Security: never log keys, tokens or payloads; values are escaped.  Spec: none.
 *
 *     dr_log(DR_LOG_INFO, "coap", "listening on '%s'", addr);
 *     DR_LOG(DR_LOG_WARNING, "dtls", "handshake failed", DR_F_STR("peer", addr), DR_F_ERR(err));
 *     DR_LOG_LIMITED(DR_LOG_WARNING, "dtls", 5, "bad record from '%s'", addr);
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define DR_LOG_LINE_MAX   2048
#define DR_LOG_FIELDS_MAX 16
#define DR_LOG_TRACES_MAX 16

enum dr_log_level {
    DR_LOG_ERROR,   /**< an operator must act */
    DR_LOG_WARNING, /**< degraded; says what we did */
    DR_LOG_INFO,
    DR_LOG_DEBUG,
    DR_LOG_TRACE, /**< only for modules that are switched on by dr_log_trace() */
};

enum dr_log_sink { DR_LOG_STDERR, DR_LOG_JOURNAL };

/** Log this level and above (default DR_LOG_INFO). */
void dr_log_set_level(enum dr_log_level level);

/** "error", "warning", "info" or "debug"; DR_ERR_NOT_FOUND otherwise. */
DR_CHECK dr_err_t dr_log_level_find(const char *name, enum dr_log_level *ret);

/** Switch tracing on for a comma-separated list of modules ("dtls,observe", "all"); "" or NULL for
 * none. */
void dr_log_trace(const char *modules);

/** The journal when JOURNAL_STREAM says that stderr goes there, else stderr. Called once at start.
 */
void dr_log_init(void);

/** Replace the sink (tests): @p fn gets the line without newline, from any thread. NULL: the normal
 * one. */
void dr_log_set_hook(void (*fn)(void *ctx, enum dr_log_level level, const char *line), void *ctx);

/** Would such a line be written? */
bool dr_log_on(enum dr_log_level level, const char *module);

/** Message in printf style. Lower case, no full stop, variable text in single quotes. */
void dr_log(enum dr_log_level level, const char *module, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

struct dr_log_field {
    const char *key;
    enum {
        DR_FIELD_STR,
        DR_FIELD_BYTES,
        DR_FIELD_INT,
        DR_FIELD_UINT,
        DR_FIELD_ID,
        DR_FIELD_HEX
    } type;
    union {
        const char *s;
        struct dr_bytes b;
        int64_t i;
        uint64_t u;
    } v;
};

#define DR_F_STR(k, val)   ((struct dr_log_field){.key = (k), .type = DR_FIELD_STR, .v.s = (val)})
/** Text that is a slice. */
#define DR_F_BYTES(k, val) ((struct dr_log_field){.key = (k), .type = DR_FIELD_BYTES, .v.b = (val)})
#define DR_F_INT(k, val)   ((struct dr_log_field){.key = (k), .type = DR_FIELD_INT, .v.i = (val)})
#define DR_F_UINT(k, val)  ((struct dr_log_field){.key = (k), .type = DR_FIELD_UINT, .v.u = (val)})
/** An object id in its wire form. */
#define DR_F_ID(k, val)    ((struct dr_log_field){.key = (k), .type = DR_FIELD_ID, .v.i = (val)})
#define DR_F_HEX(k, val)   ((struct dr_log_field){.key = (k), .type = DR_FIELD_HEX, .v.b = (val)})
#define DR_F_ERR(err)      DR_F_STR("err", dr_err_name(err))

void dr_log_fields(enum dr_log_level level, const char *module, const char *msg,
                   const struct dr_log_field *fields, size_t count);

/** A message and at least one field. */
#define DR_LOG(level, module, msg, ...)                                                            \
    do {                                                                                           \
        if (dr_log_on(level, module)) {                                                            \
            const struct dr_log_field dr_fields_[] = {__VA_ARGS__};                                \
            dr_log_fields(level, module, msg, dr_fields_, DR_ARRAY_LEN(dr_fields_));               \
        }                                                                                          \
    } while (0)

/** At most so many in a second; the first after a pause says how many were left out. */
struct dr_log_limit {
    uint32_t per_s;
    _Atomic uint64_t window; /**< second << 32 | lines in it */
    _Atomic uint64_t suppressed;
};

#define DR_LOG_LIMIT_INIT(n)                                                                       \
    {                                                                                              \
        .per_s = (n)                                                                               \
    }

/**
 * May one more line be written at @p now_ms (monotonic)?
 * @param ret_suppressed  lines left out before this one
 */
bool dr_log_limit_take(struct dr_log_limit *lim, uint64_t now_ms, uint64_t *ret_suppressed);

/** As dr_log() under @p lim; counts what it leaves out. */
void dr_log_limited(struct dr_log_limit *lim, enum dr_log_level level, const char *module,
                    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/** For whatever a packet can trigger: at most @p n lines a second from this place. */
#define DR_LOG_LIMITED(level, module, n, ...)                                                      \
    do {                                                                                           \
        static struct dr_log_limit dr_limit_ = DR_LOG_LIMIT_INIT(n);                               \
        dr_log_limited(&dr_limit_, level, module, __VA_ARGS__);                                    \
    } while (0)
