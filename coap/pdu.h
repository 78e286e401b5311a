/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  coap/pdu.h
 * @brief CoAP message codec: a decoded view of a datagram, options, and encoding.
 *
 * Layer: coap, pure.  Threads: reentrant, no state.  Memory: never allocates; views borrow from the
 * input. Limits: CX_TOKEN_MAX, CX_OPTS_MAX.  Security: input is hostile and never asserted on.
 * Spec: RFC7252#3, RFC7252#5.4, RFC7252#12.2, RFC7959#2.2, RFC7641#2, RFC8132, RFC9175.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define CX_TOKEN_MAX 8
/** Options that one outgoing message may carry. */
#define CX_OPTS_MAX  48
/** Longest path that cx_pdu_path makes, without the NUL. */
#define CX_PATH_MAX  1024

enum cx_type { CX_CON = 0, CX_NON = 1, CX_ACK = 2, CX_RST = 3 };

#define CX_CODE(class_, detail) ((uint8_t)(((class_) << 5) | (detail)))

enum cx_code {
    CX_EMPTY = 0,
    CX_GET = 1,
    CX_POST = 2,
    CX_PUT = 3,
    CX_DELETE = 4,
    CX_FETCH = 5,
    CX_PATCH = 6,
    CX_IPATCH = 7,
    CX_CREATED = CX_CODE(2, 1),
    CX_DELETED = CX_CODE(2, 2),
    CX_VALID = CX_CODE(2, 3),
    CX_CHANGED = CX_CODE(2, 4),
    CX_CONTENT = CX_CODE(2, 5),
    CX_CONTINUE = CX_CODE(2, 31),
    CX_BAD_REQUEST = CX_CODE(4, 0),
    CX_UNAUTHORIZED = CX_CODE(4, 1),
    CX_BAD_OPTION = CX_CODE(4, 2),
    CX_FORBIDDEN = CX_CODE(4, 3),
    CX_NOT_FOUND = CX_CODE(4, 4),
    CX_NOT_ALLOWED = CX_CODE(4, 5),
    CX_NOT_ACCEPTABLE = CX_CODE(4, 6),
    CX_INCOMPLETE = CX_CODE(4, 8),
    CX_CONFLICT = CX_CODE(4, 9),
    CX_PRECONDITION = CX_CODE(4, 12),
    CX_TOO_LARGE = CX_CODE(4, 13),
    CX_UNSUPPORTED_FORMAT = CX_CODE(4, 15),
    CX_SERVER_ERROR = CX_CODE(5, 0),
    CX_NOT_IMPLEMENTED = CX_CODE(5, 1),
    CX_UNAVAILABLE = CX_CODE(5, 3),
    CX_NO_PROXY = CX_CODE(5, 5),
};

enum cx_option {
    CX_OPT_IF_MATCH = 1,
    CX_OPT_URI_HOST = 3,
    CX_OPT_ETAG = 4,
    CX_OPT_IF_NONE_MATCH = 5,
    CX_OPT_OBSERVE = 6,
    CX_OPT_URI_PORT = 7,
    CX_OPT_LOCATION_PATH = 8,
    CX_OPT_OSCORE = 9,
    CX_OPT_URI_PATH = 11,
    CX_OPT_CONTENT_FORMAT = 12,
    CX_OPT_MAX_AGE = 14,
    CX_OPT_URI_QUERY = 15,
    CX_OPT_ACCEPT = 17,
    CX_OPT_LOCATION_QUERY = 20,
    CX_OPT_BLOCK2 = 23,
    CX_OPT_BLOCK1 = 27,
    CX_OPT_SIZE2 = 28,
    CX_OPT_PROXY_URI = 35,
    CX_OPT_PROXY_SCHEME = 39,
    CX_OPT_SIZE1 = 60,
    CX_OPT_ECHO = 252,
    CX_OPT_NO_RESPONSE = 258,
    CX_OPT_REQUEST_TAG = 292,
};

/** One option of an outgoing message; the value is borrowed until the call returns (or, in a
 * cx_call, until its cb). */
struct cx_opt {
    uint16_t num;
    uint16_t len;
    const uint8_t *val;
};

/** A decoded message. Pointers borrow from the datagram. Numbers are -1 where the option is absent.
 */
struct cx_pdu {
    uint8_t type; /**< enum cx_type */
    uint8_t code;
    uint16_t mid;
    uint8_t token_len;
    uint8_t token[CX_TOKEN_MAX];
    const uint8_t *opts; /**< raw option bytes, for cx_opt_iter */
    size_t opts_len;
    const uint8_t *payload; /**< the whole body where the message layer assembled blocks */
    size_t payload_len;
    int32_t observe;        /**< 24-bit value */
    int32_t content_format; /**< 0..65535 */
    int32_t accept;
    int32_t block1; /**< raw option value, see cx_block_decode */
    int32_t block2;
    int64_t size1;
    int64_t size2;
    int64_t max_age; /**< seconds */
};

/**
 * Decode one datagram.
 * A non-empty "empty" ACK or RST (code 0.00 with stray bytes behind the header) is accepted and its
 * tail dropped. A malformed elective option is skipped; spec: RFC7252#5.4.1.
 * @param ret  filled on success, untouched on error
 * @retval DR_ERR_PROTO        not a CoAP message: drop, or answer RST when cx_pdu_peek says it is a
 * CON
 * @retval DR_ERR_UNSUPPORTED  well formed, but an unknown or malformed critical option: @p ret IS
 * filled, answer 4.02 to a request, reject a response
 */
DR_CHECK dr_err_t cx_pdu_decode(const uint8_t *in, size_t len, struct cx_pdu *ret);

/**
 * The same for what a frame of a stream holds behind its code: token, options, payload. Its type is
 * CX_CON, since it is as reliable; its message id is 0. spec: RFC8323#3.2
 */
DR_CHECK dr_err_t cx_pdu_decode_frame(uint8_t code, uint8_t token_len, const uint8_t *rest,
                                      size_t len, struct cx_pdu *ret);

/** Type and message id of anything with four bytes and version 1; false otherwise. For RST to
 * malformed CONs. */
bool cx_pdu_peek(const uint8_t *in, size_t len, uint8_t *ret_type, uint16_t *ret_mid);

/** Iterate over options in wire order. */
struct cx_opt_iter {
    const uint8_t *pos, *end;
    uint32_t num;
};
struct cx_opt_iter cx_opt_begin(const struct cx_pdu *pdu);
/** Next option into @p ret; false at the end. The pdu was decoded, so this cannot meet malformed
 * bytes. */
bool cx_opt_next(struct cx_opt_iter *it, struct cx_opt *ret);
/** First option @p num; false if absent. */
bool cx_opt_find(const struct cx_pdu *pdu, uint16_t num, struct cx_opt *ret);

/** Encode @p value in the fewest bytes into @p buf (at least 4 bytes) and make an option of it. */
struct cx_opt cx_opt_uint(uint16_t num, uint32_t value, uint8_t buf[4]);
/** Value of a uint option. @retval DR_ERR_PROTO over 4 bytes */
DR_CHECK dr_err_t cx_opt_get_uint(const struct cx_opt *opt, uint32_t *ret);

/**
 * Encode a message. Options may come in any order; those with equal numbers keep theirs.
 * @retval DR_ERR_NOSPACE  @p wr is full (its content is then undefined)
 * @retval DR_ERR_LIMIT    over CX_OPTS_MAX options
 */
DR_CHECK dr_err_t cx_pdu_encode(struct dr_wr *wr, uint8_t type, uint8_t code, uint16_t mid,
                                const uint8_t *token, uint8_t token_len, const struct cx_opt *opts,
                                size_t n_opts, const uint8_t *payload, size_t payload_len);

/**
 * Join the Uri-Path options as "/a/b" (unescaped), or "/" when there is none.
 * @param buf  filled on success, NUL-terminated; untouched on error
 * @retval DR_ERR_PROTO    a '/' or NUL inside a segment
 * @retval DR_ERR_NOSPACE  longer than @p cap, or than CX_PATH_MAX
 */
DR_CHECK dr_err_t cx_pdu_path(const struct cx_pdu *pdu, char *buf, size_t cap);
