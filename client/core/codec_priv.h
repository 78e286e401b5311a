/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  client/core/codec_priv.h
 * @brief What codec.c needs of the two structured formats.
 *
 * Layer: client/core, private.  Threads: reentrant.  Memory: callers' buffers.  Limits: none.
 * Security: as codec.h.
 */
#pragma once

#include "client/core/codec.h"

/** A structured format being written: the reader of the tables calls these as it goes. */
struct cl_put {
    struct cl_out *out;
    size_t records;
    struct cl_path base; /**< SenML: of the records so far */
    void (*leaf)(struct cl_put *put, const struct cl_path *at, const struct cl_value *v);
    /** The leaves of a resource are written, from @p from on. @param only one of its instances */
    void (*resource)(struct cl_put *put, size_t from, const struct cl_res *res, bool only);
    void (*instance)(struct cl_put *put, size_t from, uint16_t inst);
    void (*end)(struct cl_put *put);
};

struct cl_put cl_tlv_put(struct cl_out *out);
struct cl_put cl_senml_put(struct cl_out *out);
CL_CHECK cl_err_t cl_tlv_value(struct cl_bytes raw, enum cl_type type, struct cl_value *ret);
CL_CHECK cl_err_t cl_senml_value(struct cl_bytes raw, enum cl_type type, struct cl_value *ret);
/** "/3/0/1", perhaps with a slash at its end. */
CL_CHECK cl_err_t cl_path_text(struct cl_bytes text, struct cl_path *ret);
