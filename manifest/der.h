/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  manifest/der.h
 * @brief Strict DER over dr_rd and dr_wr: the few types that update manifests use.
 *
 * Layer: manifest, pure.  Threads: reentrant, no state.  Memory: never allocates; slices point into
 * the input.  Limits: lengths below 2^32, one-octet tags.  Security: input is hostile and never
 * asserted on; every encoding has exactly one accepted form.  Spec: X.690#10, X.690#11.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum manifest_der_tag {
    MANIFEST_DER_BOOLEAN = 0x01,
    MANIFEST_DER_INTEGER = 0x02,
    MANIFEST_DER_OCTETS = 0x04,
    MANIFEST_DER_OID = 0x06,
    MANIFEST_DER_ENUMERATED = 0x0a,
    MANIFEST_DER_UTF8 = 0x0c,
    MANIFEST_DER_SEQUENCE = 0x30,
};

struct manifest_der {
    uint8_t tag;
    struct dr_bytes value; /**< content octets, borrowed */
    struct dr_bytes whole; /**< with tag and length, borrowed */
};

/**
 * The next element.
 * @param rd   moves behind it on success; its failed flag is set otherwise
 * @param ret  untouched on error
 * @retval DR_ERR_PROTO  cut short, indefinite or non-minimal length, or a multi-octet tag
 */
DR_CHECK dr_err_t manifest_der_next(struct dr_rd *rd, struct manifest_der *ret);

/** As manifest_der_next(), and the tag must be @p tag. @param ret content octets. */
DR_CHECK dr_err_t manifest_der_get(struct dr_rd *rd, uint8_t tag, struct dr_bytes *ret);

/** Tag of the next element, or 0 at the end or after a failure; takes nothing. */
uint8_t manifest_der_peek(const struct dr_rd *rd);

/**
 * A non-negative INTEGER or ENUMERATED (@p tag) of at most @p octets content octets.
 * @retval DR_ERR_PROTO  another tag, empty, not minimal
 * @retval DR_ERR_RANGE  negative, longer than @p octets, or over 2^64 - 1
 */
DR_CHECK dr_err_t manifest_der_get_uint(struct dr_rd *rd, uint8_t tag, size_t octets,
                                        uint64_t *ret);

/** BOOLEAN: 00 or FF, nothing else. */
DR_CHECK dr_err_t manifest_der_get_bool(struct dr_rd *rd, bool *ret);

/** UTF8String that is well-formed UTF-8. */
DR_CHECK dr_err_t manifest_der_get_utf8(struct dr_rd *rd, struct dr_bytes *ret);

/* ---- writer: errors are those of the dr_wr ---- */

/** Begin a constructed element; returns a mark for manifest_der_end(). */
size_t manifest_der_begin(struct dr_wr *wr, uint8_t tag);
/** Fill in the length of the element begun at @p mark (moves its content when it needs room). */
void manifest_der_end(struct dr_wr *wr, size_t mark);
void manifest_der_put(struct dr_wr *wr, uint8_t tag, struct dr_bytes value);
void manifest_der_put_uint(struct dr_wr *wr, uint8_t tag, uint64_t v);
void manifest_der_put_bool(struct dr_wr *wr, bool v);
