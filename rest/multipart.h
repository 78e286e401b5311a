/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/multipart.h
 * @brief multipart/form-data as it streams in: parts, their names, their bytes.
 *
 * Layer: rest, pure.  Threads: one owner.  Memory: never allocates; the parser is the caller's.
 * Limits: REST_MULTIPART_*_MAX.  Security: input is hostile and never asserted on; a part's bytes
 * are never kept.  Spec: RFC7578, RFC2046#5.1.1.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define REST_MULTIPART_BOUNDARY_MAX 70
#define REST_MULTIPART_PARTS_MAX    32
/** All header lines of one part. */
#define REST_MULTIPART_HEADER_MAX   2048
#define REST_MULTIPART_NAME_MAX     127
#define REST_MULTIPART_FILE_MAX     255

/** What is known of a part when it begins. */
struct rest_part {
    char name[REST_MULTIPART_NAME_MAX + 1];
    char filename[REST_MULTIPART_FILE_MAX + 1]; /**< the last segment, "" when there is none */
    bool has_filename;
};

struct rest_multipart_ops {
    /** An error ends the parsing with it. */
    dr_err_t (*begin)(void *data, const struct rest_part *part);
    dr_err_t (*bytes)(void *data, struct dr_bytes bytes); /**< any number of times, never empty */
    dr_err_t (*end)(void *data);
};

enum rest_multipart_state {
    REST_MULTIPART_PREAMBLE,
    REST_MULTIPART_AFTER, /**< behind a delimiter, before the end of its line */
    REST_MULTIPART_HEADER,
    REST_MULTIPART_BODY,
    REST_MULTIPART_DONE, /**< the closing delimiter was there; what follows is skipped */
};

struct rest_multipart {
    const struct rest_multipart_ops *ops; /**< borrowed */
    void *data;
    enum rest_multipart_state state;
    dr_err_t err;                                    /**< sticky */
    char delimiter[REST_MULTIPART_BOUNDARY_MAX + 5]; /**< CR LF - - boundary */
    size_t delimiter_len;
    size_t matched; /**< of the delimiter */
    unsigned parts;
    char after[2]; /**< what stands behind the delimiter so far */
    size_t after_len;
    char header[REST_MULTIPART_HEADER_MAX];
    size_t header_len;
    struct rest_part part;
};

/**
 * @param content_type  of the request; NULL is allowed
 * @retval DR_ERR_UNSUPPORTED  not multipart/form-data
 * @retval DR_ERR_PROTO        boundary missing or not allowed
 */
DR_CHECK dr_err_t rest_multipart_init(struct rest_multipart *m, const char *content_type,
                                      const struct rest_multipart_ops *ops, void *data);

/**
 * The next piece of the body, cut anywhere.
 * @retval DR_ERR_PROTO        not of the form
 * @retval DR_ERR_LIMIT        REST_MULTIPART_PARTS_MAX, REST_MULTIPART_HEADER_MAX
 * @retval DR_ERR_UNSUPPORTED  a part in base64 or quoted-printable
 * and what the functions return. After an error only the same again.
 */
DR_CHECK dr_err_t rest_multipart_feed(struct rest_multipart *m, struct dr_bytes piece);

/** The body is over. @retval DR_ERR_PROTO  in the middle of a part, or no closing delimiter */
DR_CHECK dr_err_t rest_multipart_finish(const struct rest_multipart *m);
