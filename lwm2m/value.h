/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  lwm2m/value.h
 * @brief Typed values, (path, value, time) nodes, and where decoders put them.
 *
 * Layer: lwm2m, pure.  Threads: reentrant; one lwm2m_nodes belongs to one thread.
 * Memory: values borrow their bytes; lwm2m_nodes is the one owner type, it copies what it is given.
 * Limits: lwm2m_nodes takes its maxima at init.  Security: contents are hostile and never asserted
 * on. Spec: LWM2M-1.2-CORE#C.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "lwm2m/path.h"

/** Borrowed text, need not end in NUL. ptr may be NULL when len is 0. */
struct lwm2m_str {
    const char *ptr;
    size_t len;
};

/** A literal as lwm2m_str. */
#define LWM2M_STR(lit) ((struct lwm2m_str){.ptr = (lit), .len = sizeof(lit) - 1})

bool lwm2m_str_eq(struct lwm2m_str s, const char *z);

enum lwm2m_type {
    LWM2M_TYPE_NONE = 0, /**< no value: executable resource, null, or a path-only record */
    LWM2M_TYPE_STRING,
    LWM2M_TYPE_INT,
    LWM2M_TYPE_UINT,
    LWM2M_TYPE_FLOAT,
    LWM2M_TYPE_BOOL,
    LWM2M_TYPE_OPAQUE,
    LWM2M_TYPE_TIME, /**< whole seconds since 1970 */
    LWM2M_TYPE_OBJLNK,
    LWM2M_TYPE_CORELNK,
};
#define LWM2M_TYPE_COUNT 10

/** "none", "string", "integer", "unsigned", "float", "boolean", "opaque", "time", "objlnk",
 * "corelnk". */
const char *lwm2m_type_name(enum lwm2m_type type);

struct lwm2m_bytes {
    const uint8_t *ptr;
    size_t len;
};

struct lwm2m_objlnk {
    uint16_t obj, inst; /**< 65535, 65535 = null link */
};

struct lwm2m_value {
    enum lwm2m_type type;
    union {
        struct lwm2m_bytes bytes;   /**< STRING, OPAQUE, CORELNK; borrowed */
        int64_t i;                  /**< INT, TIME */
        uint64_t u;                 /**< UINT */
        double f;                   /**< FLOAT */
        bool b;                     /**< BOOL */
        struct lwm2m_objlnk objlnk; /**< OBJLNK */
    };
};

struct lwm2m_value lwm2m_value_none(void);
struct lwm2m_value lwm2m_value_str(const char *text, size_t len);
struct lwm2m_value lwm2m_value_int(int64_t i);
struct lwm2m_value lwm2m_value_uint(uint64_t u);
struct lwm2m_value lwm2m_value_float(double f);
struct lwm2m_value lwm2m_value_bool(bool b);
struct lwm2m_value lwm2m_value_opaque(const void *ptr, size_t len);
struct lwm2m_value lwm2m_value_time(int64_t s);
struct lwm2m_value lwm2m_value_objlnk(uint16_t obj, uint16_t inst);

/** Same type and same content (floats by value, NaN equals NaN). */
bool lwm2m_value_eq(const struct lwm2m_value *a, const struct lwm2m_value *b);

/**
 * The same value as another type where nothing is lost: whole floats and integers into each other,
 * integer 0/1 to boolean, "66:1" to objlnk, string to corelnk or opaque and back when it is UTF-8.
 * @param ret  filled on success, untouched on error; borrows the bytes of @p v
 * @retval DR_ERR_INVAL  no such conversion
 * @retval DR_ERR_RANGE  the number does not fit
 */
DR_CHECK dr_err_t lwm2m_value_coerce(const struct lwm2m_value *v, enum lwm2m_type type,
                                     struct lwm2m_value *ret);

/** One decoded or to-be-encoded item. */
struct lwm2m_node {
    struct lwm2m_path path;
    struct lwm2m_value value;
    bool timed;      /**< time_ms holds; else "now", the current value */
    int64_t time_ms; /**< unix ms, absolute */
};

/** Receives nodes in payload order; value bytes are valid during the call only. An error ends the
 * decoding. */
typedef dr_err_t lwm2m_node_fn(void *arg, const struct lwm2m_node *node);

struct lwm2m_sink {
    lwm2m_node_fn *fn;
    void *arg;
};

#define LWM2M_NODES_MAX       4096              /**< the usual node limit of one payload */
#define LWM2M_NODES_BYTES_MAX ((size_t)1 << 20) /**< the usual limit of all value bytes */

/** A growing list of nodes that owns copies of their value bytes. Zero bytes are a valid empty
 * list. */
struct lwm2m_nodes {
    struct lwm2m_node *items;
    size_t count;
    size_t cap, max;
    struct lwm2m_nodes_chunk *chunks; /**< value bytes; they never move */
    size_t bytes, bytes_max;
};

/** @p max nodes with @p bytes_max value bytes altogether at most (0 = LWM2M_NODES_MAX, _BYTES_MAX).
 */
void lwm2m_nodes_init(struct lwm2m_nodes *nodes, size_t max, size_t bytes_max);
void lwm2m_nodes_fini(struct lwm2m_nodes *nodes);
/** Forget the nodes, keep the limits. */
void lwm2m_nodes_clear(struct lwm2m_nodes *nodes);

/**
 * Append a copy of @p node.
 * @retval DR_ERR_LIMIT  a maximum is reached; the list is as before
 * @retval DR_ERR_NOMEM
 */
DR_CHECK dr_err_t lwm2m_nodes_add(struct lwm2m_nodes *nodes, const struct lwm2m_node *node);

/** A sink that appends to @p nodes. */
struct lwm2m_sink lwm2m_nodes_sink(struct lwm2m_nodes *nodes);

/** The first untimed node (or, failing that, the newest timed one) at exactly @p path; NULL if
 * none. */
const struct lwm2m_node *lwm2m_nodes_find(const struct lwm2m_nodes *nodes,
                                          const struct lwm2m_path *path);
