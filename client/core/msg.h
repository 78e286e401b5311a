/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  client/core/msg.h
 * @brief One CoAP message: parse and write, in the form of datagrams and in that of RFC 8323.
 *
 * Layer: client/core, pure.  Threads: reentrant.  Memory: slices point into the input.
 * Limits: CL_MSG_MAX bytes, CL_SEGMENTS_MAX segments of a path, query or location.
 * Security: input is hostile; everything is checked against its length.
 * Spec: RFC 7252 3, RFC 7959 2.2, RFC 8323 3.2.
 */
#pragma once

#include "client/core/object.h"

#define CL_MSG_MAX      1152
#define CL_TOKEN_MAX    8
#define CL_SEGMENTS_MAX 10
#define CL_BLOCK_MAX    1024
#define CL_BLOCK_NORMAL 512 /**< what we offer and ask for */

enum cl_msg_type { CL_CON, CL_NON, CL_ACK, CL_RST };

#define CL_CODE(class, detail) ((uint8_t)((class) << 5 | (detail)))
enum {
    CL_EMPTY = 0,
    CL_GET = 1,
    CL_POST,
    CL_PUT,
    CL_DELETE,
    CL_FETCH,
    CL_PATCH,
    CL_IPATCH,
};

enum {
    CL_FMT_TEXT = 0,
    CL_FMT_LINK = 40,
    CL_FMT_OPAQUE = 42,
    CL_FMT_CBOR = 60,
    CL_FMT_SENML_JSON = 110,
    CL_FMT_SENML_CBOR = 112,
    CL_FMT_TLV_OLD = 1542,
    CL_FMT_TLV = 11542,
};

struct cl_block {
    bool there;
    bool more;
    uint16_t size;
    uint32_t num;
};

struct cl_list {
    uint8_t count;
    struct cl_bytes seg[CL_SEGMENTS_MAX];
};

struct cl_msg {
    uint8_t type; /**< enum cl_msg_type; CL_CON in a stream */
    uint8_t code;
    uint8_t token_len;
    bool bad_option;         /**< parsed: a critical option that is not known here */
    uint16_t mid;            /**< 0 in a stream */
    uint16_t format, accept; /**< CL_ID_NONE when absent */
    uint8_t token[CL_TOKEN_MAX];
    int32_t observe;               /**< -1 when absent */
    int64_t max_age, size1, size2; /**< -1 when absent */
    struct cl_block block1, block2;
    struct cl_list path, query, location;
    struct cl_bytes etag, proxy_uri; /**< p == NULL when absent */
    struct cl_bytes payload;         /**< p is never NULL */
};

/** All absent. */
void cl_msg_init(struct cl_msg *m);
/** @retval CL_ERR_INVAL  not a message; m->type and m->mid are set when len >= 4 (for a Reset) */
CL_CHECK cl_err_t cl_msg_parse(const uint8_t *in, size_t len, struct cl_msg *m);
/** @return bytes, 0 when it does not fit into @p cap */
size_t cl_msg_write(const struct cl_msg *m, uint8_t *out, size_t cap);

/**
 * Length of the RFC 8323 frame at the begin of a stream.
 * @return bytes of the whole frame, 0 when more bytes are needed to tell, SIZE_MAX when over
 *         CL_MSG_MAX or malformed
 */
size_t cl_frame_len(const uint8_t *in, size_t len);
/** One whole frame. */
CL_CHECK cl_err_t cl_frame_parse(const uint8_t *in, size_t len, struct cl_msg *m);
size_t cl_frame_write(const struct cl_msg *m, uint8_t *out, size_t cap);

static inline bool cl_bytes_are(struct cl_bytes b, const char *text)
{
    return b.len == strlen(text) && memcmp(b.p, text, b.len) == 0;
}
