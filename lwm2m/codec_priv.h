/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  lwm2m/codec_priv.h
 * @brief What the codecs of this folder share: the decoding context, and one encode/decode pair for
 * each format.
 *
 * Layer: lwm2m, pure.  Threads: a context belongs to one call.  Memory: see codec.h.
 * Limits: LWM2M_DECODE_NODES_MAX.  Security: payloads are hostile.  Spec: LWM2M-1.2-CORE#7.4.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "lwm2m/codec.h"

/** One decoding. */
struct lwm2m_dec {
    const struct lwm2m_decode_opts *opts;
    struct lwm2m_sink sink;
    size_t count;
    bool has_obj; /**< obj holds the definition of obj_id (maybe NULL) */
    uint16_t obj_id;
    const struct lwm2m_obj_def *obj;
};

/** Definition of the resource at @p path, NULL if unknown or a higher level; remembers the last
 * object. */
const struct lwm2m_res_def *lwm2m_dec_res(struct lwm2m_dec *dec, const struct lwm2m_path *path);

/** Bring the node to the model's type where that works, count it, hand it out. */
DR_CHECK dr_err_t lwm2m_dec_emit(struct lwm2m_dec *dec, const struct lwm2m_node *node);

/** The same for an untimed value. */
DR_CHECK dr_err_t lwm2m_dec_emit_value(struct lwm2m_dec *dec, const struct lwm2m_path *path,
                                       const struct lwm2m_value *value);

/* text/plain and application/octet-stream: one value at the base path */
DR_CHECK dr_err_t lwm2m_text_decode(struct lwm2m_dec *dec, const uint8_t *in, size_t len);
DR_CHECK dr_err_t lwm2m_opaque_decode(struct lwm2m_dec *dec, const uint8_t *in, size_t len);
DR_CHECK dr_err_t lwm2m_opaque_encode(const struct lwm2m_value *value, struct dr_wr *wr);

DR_CHECK dr_err_t lwm2m_tlv_decode(struct lwm2m_dec *dec, const uint8_t *in, size_t len);
DR_CHECK dr_err_t lwm2m_tlv_encode(const struct lwm2m_path *base, const struct lwm2m_node *nodes,
                                   size_t count, struct dr_wr *wr);

DR_CHECK dr_err_t lwm2m_senml_json_decode(struct lwm2m_dec *dec, const uint8_t *in, size_t len);
DR_CHECK dr_err_t lwm2m_senml_json_encode(const struct lwm2m_path *base,
                                          const struct lwm2m_node *nodes, size_t count,
                                          struct dr_wr *wr);
DR_CHECK dr_err_t lwm2m_senml_cbor_decode(struct lwm2m_dec *dec, const uint8_t *in, size_t len);
DR_CHECK dr_err_t lwm2m_senml_cbor_encode(const struct lwm2m_path *base,
                                          const struct lwm2m_node *nodes, size_t count,
                                          struct dr_wr *wr);

/** LwM2M 1.0 JSON, read only. */
DR_CHECK dr_err_t lwm2m_json_decode(struct lwm2m_dec *dec, const uint8_t *in, size_t len);

/* application/cbor: one value */
DR_CHECK dr_err_t lwm2m_cbor_decode(struct lwm2m_dec *dec, const uint8_t *in, size_t len);
DR_CHECK dr_err_t lwm2m_cbor_encode(const struct lwm2m_value *value, struct dr_wr *wr);

DR_CHECK dr_err_t lwm2m_cbor_map_decode(struct lwm2m_dec *dec, const uint8_t *in, size_t len);
DR_CHECK dr_err_t lwm2m_cbor_map_encode(const struct lwm2m_path *base,
                                        const struct lwm2m_node *nodes, size_t count,
                                        struct dr_wr *wr);

struct dr_cbor;
struct dr_cbor_item;

/**
 * The value that begins with @p item, as it stands in all three CBOR formats: text, bytes,
 * integers, floats, decimal fractions, tagged times, booleans, null.
 * @param scratch  gets the pieces of an indefinite-length string; the value may borrow from it
 * until its next use
 * @retval DR_ERR_PROTO  an array, a map, or a tag that no value has
 */
DR_CHECK dr_err_t lwm2m_cbor_value(struct dr_cbor *r, const struct dr_cbor_item *item,
                                   struct dr_dynbuf *scratch, struct lwm2m_value *ret);

/** A scalar as all three CBOR formats write it. @retval DR_ERR_INVAL  a string that is not UTF-8 */
DR_CHECK dr_err_t lwm2m_cbor_put_value(struct dr_wr *wr, const struct lwm2m_value *value);
