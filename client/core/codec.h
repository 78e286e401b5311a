/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  client/core/codec.h
 * @brief Values and whole reads and writes in text, opaque, TLV and SenML CBOR.
 *
 * Layer: client/core, pure over the object tables.  Threads: reentrant.  Memory: callers' buffers.
 * Limits: paths of CL_PATH_TEXT_MAX characters in SenML.
 * Security: bodies are hostile input: checked against their length, values against the type of the
 * resource, before anything is written.
 * Spec: LwM2M 1.1 core 7.4, RFC 8428, RFC 8949.
 */
#pragma once

#include "client/core/observe.h"

#define CL_PATH_TEXT_MAX 40

/** A buffer that fills up; full once something did not fit. */
struct cl_out {
    uint8_t *buf;
    size_t cap, len;
    bool full;
};

void cl_out_bytes(struct cl_out *o, const void *p, size_t len);
void cl_out_text(struct cl_out *o, const char *text);
void cl_out_int(struct cl_out *o, int64_t v);
/** Up to six decimals, none of them a trailing zero. */
void cl_out_float(struct cl_out *o, double v);
/** "/3/0/1" */
void cl_out_path(struct cl_out *o, const struct cl_path *path);
/** Make room at @p at for what belongs in front of it. */
void cl_out_insert(struct cl_out *o, size_t at, const void *p, size_t len);

/** Decimal number, optional sign. @retval CL_ERR_INVAL  not one, or out of range */
CL_CHECK cl_err_t cl_int_parse(struct cl_bytes text, int64_t *ret);
/** Decimal, perhaps with a fraction and an exponent. */
CL_CHECK cl_err_t cl_float_parse(struct cl_bytes text, double *ret);
/** Segments of a request path as ids. @retval CL_ERR_INVAL  not numbers, or more than four */
CL_CHECK cl_err_t cl_path_parse(const struct cl_list *segments, struct cl_path *ret);

/** A value as text; opaque ones as base64. */
void cl_text_put(struct cl_out *o, const struct cl_value *v);
/** @retval CL_ERR_INVAL  not a value of that type */
CL_CHECK cl_err_t cl_text_get(enum cl_type type, struct cl_bytes text, struct cl_value *ret);

/** One leaf of a body: which resource, and its undecoded value. */
struct cl_leaf {
    uint16_t inst, res, ri;
    uint16_t format; /**< CL_FMT_TLV or CL_FMT_SENML_CBOR */
    struct cl_bytes raw;
};
typedef cl_err_t cl_leaf_cb(void *ctx, const struct cl_leaf *leaf);

/** @retval CL_ERR_INVAL  not a value of that type */
CL_CHECK cl_err_t cl_leaf_value(const struct cl_leaf *leaf, enum cl_type type,
                                struct cl_value *ret);
/**
 * Walk the leaves of a body for @p path. Stops at the first error of @p cb.
 * An instance without resources gives one leaf with res CL_ID_NONE.
 */
CL_CHECK cl_err_t cl_tlv_walk(const struct cl_path *path, struct cl_bytes body, cl_leaf_cb *cb,
                              void *ctx);
CL_CHECK cl_err_t cl_senml_walk(const struct cl_path *path, struct cl_bytes body, cl_leaf_cb *cb,
                                void *ctx);

/**
 * Read what @p path names.
 * @param accept      CL_ID_NONE: text or opaque for one value, TLV for more
 * @param ret_format  of what was written
 * @retval CL_ERR_NOENT   no such thing     @retval CL_ERR_DENIED  not readable
 * @retval CL_ERR_AUTH    object 0          @retval CL_ERR_FORMAT  not in that format
 * @retval CL_ERR_SPACE   @p out is full
 */
CL_CHECK cl_err_t cl_read(const struct cl_objects *all, const struct cl_path *path, uint16_t accept,
                          struct cl_out *out, uint16_t *ret_format);

struct cl_write {
    const struct cl_objects *objects;
    struct cl_path path;
    uint16_t format; /**< CL_ID_NONE: text */
    struct cl_bytes body;
    bool bootstrap; /**< by the bootstrap server: any right, instances come into being */
    bool create;    /**< the instance was just made: read-only resources are skipped */
};
/**
 * Check all, then write all.
 * @retval CL_ERR_NOENT, CL_ERR_DENIED, CL_ERR_AUTH  as above
 * @retval CL_ERR_FORMAT  not in that format   @retval CL_ERR_INVAL  malformed or wrong type
 */
CL_CHECK cl_err_t cl_write(const struct cl_write *w);
