/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/json.h
 * @brief JSON out: a writer into a growing buffer. JSON in: strict parsing and field readers.
 *
 * Layer: rest, pure.  Threads: reentrant.  Memory: the writer's buffer is the caller's; jansson
 * allocates for parsed trees, bounded by the size of the text.  Limits: REST_FIELD_ERRORS_MAX.
 * Security: bodies are hostile: duplicate keys, invalid UTF-8 and NUL in strings are refused.
 * Spec: RFC8259.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"

/* ---- out ---- */

/**
 * Commas come by themselves. @c key is NULL inside of arrays. Errors stick to the buffer.
 */
struct rest_json {
    struct dr_dynbuf *out; /**< borrowed */
};

static inline struct rest_json rest_json_of(struct dr_dynbuf *out)
{
    return (struct rest_json){.out = out};
}

void rest_json_object(struct rest_json *j, const char *key);
void rest_json_object_end(struct rest_json *j);
void rest_json_array(struct rest_json *j, const char *key);
void rest_json_array_end(struct rest_json *j);
/** NULL gives null; bytes that are not UTF-8 become U+FFFD. */
void rest_json_str(struct rest_json *j, const char *key, const char *value);
void rest_json_bytes(struct rest_json *j, const char *key, struct dr_bytes value);
void rest_json_base64(struct rest_json *j, const char *key, struct dr_bytes value);
void rest_json_int(struct rest_json *j, const char *key, int64_t value);
void rest_json_bool(struct rest_json *j, const char *key, bool value);
void rest_json_null(struct rest_json *j, const char *key);
/** Wire form of an object id; 0 gives null. */
void rest_json_id(struct rest_json *j, const char *key, int64_t id);
/** Timestamp with fraction; 0 gives null. */
void rest_json_time(struct rest_json *j, const char *key, int64_t unix_ms);
/** Text that is JSON already, as one value. */
void rest_json_raw(struct rest_json *j, const char *key, struct dr_bytes json);

/* ---- in ---- */

#define REST_FIELD_ERRORS_MAX 8

/** What is wrong with a body or a query, field by field. */
struct rest_field_errors {
    size_t count;
    struct rest_field_error {
        char name[64];
        char message[96];
    } item[REST_FIELD_ERRORS_MAX];
};

/** Note one (the surplus over the maximum is dropped). */
void rest_field_error_add(struct rest_field_errors *errors, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/**
 * Parse a whole body.
 * @param ret  the caller's: json_decref()
 * @retval DR_ERR_PROTO  not exactly one JSON object or array, duplicate keys, invalid UTF-8, NUL
 * @retval DR_ERR_NOMEM
 */
DR_CHECK dr_err_t rest_json_parse(struct dr_bytes text, json_t **ret, struct dr_errinfo *reterr);

/** What a string field must look like. */
struct rest_str_rule {
    size_t min, max; /**< characters; max 0 = no limit of its own */
    bool printable;  /**< only ' ' to '~' */
};

/**
 * Read an optional string member. Absent: @p ret stays. null: @p ret becomes NULL when
 * @p nullable, else an error. A refused value is noted in @p errors and false returned.
 * @param ret  borrows from @p obj
 */
bool rest_body_str(const json_t *obj, const char *name, struct rest_str_rule rule, bool nullable,
                   const char **ret, struct rest_field_errors *errors);

/** Integer within lo..hi (also as a decimal string, which some clients send). Absent: stays. */
bool rest_body_int(const json_t *obj, const char *name, int64_t lo, int64_t hi, int64_t *ret,
                   struct rest_field_errors *errors);

/** Boolean (also "true" and "false" as strings). Absent: stays. */
bool rest_body_bool(const json_t *obj, const char *name, bool *ret,
                    struct rest_field_errors *errors);
