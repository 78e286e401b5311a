/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  base/cbor.h
 * @brief CBOR: streaming writer and pull reader.
 *
 * Layer: base, pure.  Threads: reentrant.  Memory: never allocates; slices point into the input.
 * Limits: DR_CBOR_DEPTH_MAX nested items.  Security: input is hostile and never asserted on.
 * Spec: RFC8949.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define DR_CBOR_DEPTH_MAX 16

/* ---- writer: always the shortest form; room and errors are those of the dr_wr ---- */

void dr_cbor_put_uint(struct dr_wr *wr, uint64_t v);
void dr_cbor_put_int(struct dr_wr *wr, int64_t v);
void dr_cbor_put_bytes(struct dr_wr *wr, const void *p, size_t len);
void dr_cbor_put_text(struct dr_wr *wr, const char *p, size_t len);
void dr_cbor_put_str(struct dr_wr *wr, const char *s);
/** Head of an array of @p count items, which follow. */
void dr_cbor_put_array(struct dr_wr *wr, uint64_t count);
/** Head of a map of @p pairs keys and values, which follow. */
void dr_cbor_put_map(struct dr_wr *wr, uint64_t pairs);
void dr_cbor_put_tag(struct dr_wr *wr, uint64_t tag);
void dr_cbor_put_bool(struct dr_wr *wr, bool v);
void dr_cbor_put_null(struct dr_wr *wr);
void dr_cbor_put_undefined(struct dr_wr *wr);
/** 0..23 or 32..255. */
void dr_cbor_put_simple(struct dr_wr *wr, uint8_t v);
/** Head of an indefinite-length item; dr_cbor_put_break() ends it. */
void dr_cbor_put_array_start(struct dr_wr *wr);
void dr_cbor_put_map_start(struct dr_wr *wr);
void dr_cbor_put_bytes_start(struct dr_wr *wr);
void dr_cbor_put_text_start(struct dr_wr *wr);
void dr_cbor_put_break(struct dr_wr *wr);
void dr_cbor_put_float(struct dr_wr *wr, float v);
/** Always 8 bytes. */
void dr_cbor_put_double(struct dr_wr *wr, double v);
/** The shortest of half, single and double that keeps the value; a NaN is the half 0x7e00. */
void dr_cbor_put_number(struct dr_wr *wr, double v);

/* ---- reader ---- */

enum dr_cbor_type {
    DR_CBOR_UINT,
    DR_CBOR_NINT, /**< value is -1 - u */
    DR_CBOR_BYTES,
    DR_CBOR_TEXT,
    DR_CBOR_ARRAY,
    DR_CBOR_MAP,
    DR_CBOR_TAG, /**< the tagged item follows */
    DR_CBOR_BOOL,
    DR_CBOR_NULL,
    DR_CBOR_UNDEFINED,
    DR_CBOR_SIMPLE,
    DR_CBOR_FLOAT,
    DR_CBOR_END, /**< of an array, map or indefinite-length string: always comes, also for definite
                    ones */
    DR_CBOR_EOF, /**< end of the input outside of all items */
};

struct dr_cbor_item {
    enum dr_cbor_type type;
    bool indefinite; /**< string: definite chunks and an END follow; array, map: u means nothing */
    uint8_t float_len; /**< FLOAT: 2, 4 or 8 */
    bool b;            /**< BOOL */
    uint64_t u; /**< UINT, NINT, tag number, simple value, items of an array, pairs of a map */
    double f;   /**< FLOAT */
    struct dr_bytes s; /**< definite BYTES and TEXT; points into the input */
};

/** TEXT must be UTF-8. */
#define DR_CBOR_STRICT    1U
/** Core deterministic encoding (RFC8949#4.2.1) or DR_ERR_PROTO; includes strict. */
#define DR_CBOR_CANONICAL 3U

struct dr_cbor_frame {
    uint64_t left; /**< items still to come (pairs count two); of an indefinite one: items seen */
    uint8_t type;  /**< DR_CBOR_ARRAY, MAP, TAG, BYTES or TEXT */
    bool indefinite;
    bool is_key;        /**< map: the item to come is a key */
    const uint8_t *key; /**< canonical: where the current key began */
    struct dr_bytes last_key;
};

struct dr_cbor {
    struct dr_rd in;
    const uint8_t *start;
    uint32_t flags;
    uint32_t depth;
    dr_err_t err; /**< sticky */
    struct dr_cbor_frame stack[DR_CBOR_DEPTH_MAX];
};

/** @param flags  0 (tolerant), DR_CBOR_STRICT or DR_CBOR_CANONICAL */
void dr_cbor_init(struct dr_cbor *r, const void *p, size_t len, uint32_t flags);

/**
 * The next item.
 * @retval DR_ERR_PROTO      not well-formed, or against the flags
 * @retval DR_ERR_TOO_LARGE  deeper than DR_CBOR_DEPTH_MAX
 */
DR_CHECK dr_err_t dr_cbor_next(struct dr_cbor *r, struct dr_cbor_item *ret);

/** Read past the whole next item with all that is in it; DR_ERR_NOT_FOUND when an END or the end is
 * next. */
DR_CHECK dr_err_t dr_cbor_skip(struct dr_cbor *r);

/** After dr_cbor_next() gave @p item: read past what is inside of it (nothing for a plain one). */
DR_CHECK dr_err_t dr_cbor_skip_rest(struct dr_cbor *r, const struct dr_cbor_item *item);

/** Bytes read so far: the place in the input where the next item begins. */
size_t dr_cbor_pos(const struct dr_cbor *r);

/* The next item must have this type; DR_ERR_PROTO otherwise (the item is then consumed). */
DR_CHECK dr_err_t dr_cbor_get_uint(struct dr_cbor *r, uint64_t *ret);
/** DR_ERR_RANGE outside int64. */
DR_CHECK dr_err_t dr_cbor_get_int(struct dr_cbor *r, int64_t *ret);
/** Definite length only. */
DR_CHECK dr_err_t dr_cbor_get_bytes(struct dr_cbor *r, struct dr_bytes *ret);
DR_CHECK dr_err_t dr_cbor_get_text(struct dr_cbor *r, struct dr_bytes *ret);
/** @param ret_count  items, or UINT64_MAX when the length is indefinite; END follows in both cases
 */
DR_CHECK dr_err_t dr_cbor_get_array(struct dr_cbor *r, uint64_t *ret_count);
DR_CHECK dr_err_t dr_cbor_get_map(struct dr_cbor *r, uint64_t *ret_pairs);
DR_CHECK dr_err_t dr_cbor_get_tag(struct dr_cbor *r, uint64_t *ret);
DR_CHECK dr_err_t dr_cbor_get_end(struct dr_cbor *r);

/** Exactly one well-formed item and nothing behind it? */
DR_CHECK dr_err_t dr_cbor_check(const void *p, size_t len, uint32_t flags);
