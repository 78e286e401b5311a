/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  lwm2m/codec.h
 * @brief One door to all content formats: payload bytes to nodes and back.
 *
 * Layer: lwm2m, pure.  Threads: reentrant.
 * Memory: text, TLV and CBOR decoders use the stack and, for base64 and split strings, scratch they
 * free again; the JSON ones let jansson allocate, bounded by LWM2M_JSON_BYTES_MAX. Limits:
 * LWM2M_DECODE_NODES_MAX nodes a payload, LWM2M_PAYLOAD_MAX bytes.  Security: payloads are hostile.
 * Spec: LWM2M-1.2-CORE#7.4.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "lwm2m/format.h"
#include "lwm2m/links.h"
#include "lwm2m/model.h"
#include "lwm2m/path.h"
#include "lwm2m/value.h"

struct dr_wr;

#define LWM2M_DECODE_NODES_MAX 65536
#define LWM2M_PAYLOAD_MAX      ((size_t)16 << 20)
#define LWM2M_JSON_BYTES_MAX   ((size_t)1 << 20)

/** Where types come from. All pointers are borrowed and may be NULL: values then come as the format
 * shows them. */
struct lwm2m_schema {
    const struct lwm2m_models *models;
    const struct lwm2m_links *links; /**< object versions of the device */
    struct lwm2m_version enabler;    /**< 0.0 counts as 1.0 */
};

const struct lwm2m_obj_def *lwm2m_schema_object(const struct lwm2m_schema *schema, uint16_t object);
const struct lwm2m_res_def *lwm2m_schema_resource(const struct lwm2m_schema *schema,
                                                  uint16_t object, uint16_t resource);

/** What a decoder should know besides the bytes. */
struct lwm2m_decode_opts {
    const struct lwm2m_schema *schema; /**< NULL = none */
    struct lwm2m_path base;  /**< path of the request; "/" for composite operations and Send */
    struct lwm2m_str prefix; /**< alternate or gateway path ("/lwm2m") to take off absolute names;
                                may be empty */
    bool relative;  /**< body of a Write or Create: keys of LwM2M CBOR are relative to base */
    int64_t now_ms; /**< unix ms of receipt, for relative SenML times */
};

/**
 * Decode a payload. Each leaf is one node with its full path. Without a schema (or for unknown
 * resources): text is STRING (OPAQUE when it is not UTF-8), TLV is OPAQUE, numbers of JSON and CBOR
 * are INT, UINT or FLOAT as written. With one, values are brought to the model's type where that
 * loses nothing, else they stay as they came. A path without value (null, or a record of a
 * composite request) comes with type NONE. An empty payload is no node. An empty multiple resource,
 * instance or object of TLV is no node either.
 * @param ct    content format of the message; LWM2M_CT_NONE = guess: TLV for object and instance
 * paths, text else
 * @param sink  gets nodes until the end or an error; nodes before an error were given out (use
 *              lwm2m_decode_nodes() for all or nothing)
 * @retval DR_ERR_PROTO        malformed
 * @retval DR_ERR_UNSUPPORTED  a content format that is not ours, or that cannot stand for the path
 * @retval DR_ERR_LIMIT        too many nodes, or too deep
 * @retval DR_ERR_TOO_LARGE    over LWM2M_PAYLOAD_MAX or LWM2M_JSON_BYTES_MAX
 * @retval DR_ERR_NOMEM
 * and whatever the sink returns.
 */
DR_CHECK dr_err_t lwm2m_decode(uint16_t ct, const struct lwm2m_decode_opts *opts, const void *in,
                               size_t len, struct lwm2m_sink sink);

/** lwm2m_decode() into a list; on error the list is as it was before. */
DR_CHECK dr_err_t lwm2m_decode_nodes(uint16_t ct, const struct lwm2m_decode_opts *opts,
                                     const void *in, size_t len, struct lwm2m_nodes *nodes);

/**
 * Encode nodes for a request on, or an answer from, @p base (all nodes at or below it; "/" for
 * composite and Send). Nodes with type NONE are path-only records, for SenML formats. Text, opaque
 * and CBOR take exactly one node. TLV and LwM2M CBOR take nodes in ascending order of path without
 * doubles and without times. TLV: a node at resource-instance level goes into a multiple resource;
 * base at object level gives instance wrappers.
 * @param wr  appended to; on error nothing is promised of the bytes behind the old end
 * @retval DR_ERR_INVAL        a node outside base, a level or order the format cannot show, an
 * invalid string
 * @retval DR_ERR_UNSUPPORTED  not a format that can be written (11543 and pre-IANA numbers are read
 * only)
 * @retval DR_ERR_NOSPACE      does not fit
 */
DR_CHECK dr_err_t lwm2m_encode(uint16_t ct, const struct lwm2m_path *base,
                               const struct lwm2m_node *nodes, size_t count, struct dr_wr *wr);

/** The same into a malloc'd buffer of the right size (the caller frees it). Adds DR_ERR_NOMEM. */
DR_CHECK dr_err_t lwm2m_encode_alloc(uint16_t ct, const struct lwm2m_path *base,
                                     const struct lwm2m_node *nodes, size_t count, uint8_t **ret,
                                     size_t *ret_len);

/** Never less than lwm2m_encode() writes. */
size_t lwm2m_encode_bound(const struct lwm2m_node *nodes, size_t count);

/** Body of Read- or Observe-Composite: @p ct 110, 112, 320, 322 or 11544, @p prefix as in
 * lwm2m_decode_opts. */
DR_CHECK dr_err_t lwm2m_encode_paths(uint16_t ct, const struct lwm2m_path *paths, size_t count,
                                     struct dr_wr *wr);

/**
 * A value from operator's text (REST, command line): as text/plain of @p type.
 * @param scratch  room for decoded base64, at least len bytes; the value may borrow it or @p text
 * @retval DR_ERR_PROTO, DR_ERR_RANGE
 */
DR_CHECK dr_err_t lwm2m_value_from_text(enum lwm2m_type type, const char *text, size_t len,
                                        uint8_t *scratch, size_t scratch_len,
                                        struct lwm2m_value *ret);

/** text/plain of a value. @retval DR_ERR_NOSPACE */
DR_CHECK dr_err_t lwm2m_value_to_text(const struct lwm2m_value *value, struct dr_wr *wr);
