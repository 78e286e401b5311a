/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  coap/stream.h
 * @brief Messages in a byte stream: which framing it is, frames of RFC 8323, signalling messages.
 *
 * Layer: coap, pure.  Threads: reentrant, no state.  Memory: never allocates; views borrow from the
 * input.  Limits: CX_STREAM_MSG_MAX, CX_STREAM_DATAGRAM_MAX, CX_STREAM_BERT_MAX.
 * Security: input is hostile and never asserted on.  Spec: RFC8323#3.2, RFC8323#5.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "coap/engine.h"
#include "coap/pdu.h"

/** Blocks of 1024 bytes in one message of ours (BERT). spec: RFC8323#6 */
#define CX_STREAM_BERT_MAX     8
/** Longest frame that we take, our Max-Message-Size, and that we send. */
#define CX_STREAM_MSG_MAX      (CX_STREAM_BERT_MAX * 1024 + 1152)
/** What a peer takes that has said nothing. spec: RFC8323#5.3.1 */
#define CX_STREAM_MSG_BASE     1152
/** Longest message in the datagram form that we take. */
#define CX_STREAM_DATAGRAM_MAX 16384
/** Longest header of a frame: both nibbles, four bytes of length, code. */
#define CX_FRAME_HEAD_MAX      6
/** Room for any signalling message of ours. */
#define CX_SIGNAL_MAX          64

/** Codes of signalling messages. spec: RFC8323#5 */
enum cx_signal_code {
    CX_SIGNAL_CSM = CX_CODE(7, 1),
    CX_SIGNAL_PING = CX_CODE(7, 2),
    CX_SIGNAL_PONG = CX_CODE(7, 3),
    CX_SIGNAL_RELEASE = CX_CODE(7, 4),
    CX_SIGNAL_ABORT = CX_CODE(7, 5),
};

/**
 * Which framing the first bytes of a client are in. In the datagram form the length of a plain TCP
 * stream begins with two zero bytes, which in the other form would be an empty message; a record
 * begins with an RFC 7252 header, whose code never is that of a CSM.
 * @param records  what came is the beginning of a TLS record
 * @param ret      filled on DR_OK
 * @retval DR_ERR_AGAIN  too short to tell
 * @retval DR_ERR_PROTO  neither
 */
DR_CHECK dr_err_t cx_stream_detect(const uint8_t *in, size_t len, bool records,
                                   enum cx_framing *ret);

/** A frame that lies whole at the beginning of the input. */
struct cx_frame {
    uint8_t code;
    uint8_t token_len;
    const uint8_t *rest; /**< token, options, marker, payload */
    size_t rest_len;
    size_t total; /**< bytes to take off the stream */
};

/**
 * Look for the next frame.
 * @param max  longest frame to take
 * @retval DR_ERR_AGAIN      more bytes are needed
 * @retval DR_ERR_PROTO      no frame: a token of more than 8 bytes
 * @retval DR_ERR_TOO_LARGE  over @p max, known before it has come
 */
DR_CHECK dr_err_t cx_frame_next(const uint8_t *in, size_t len, size_t max, struct cx_frame *ret);

/**
 * Turn an encoded RFC 7252 message into a frame, in place: the header of 4 bytes at @p msg gives
 * way to one that begins up to CX_FRAME_HEAD_MAX - 4 bytes before it.
 * @param len  of the message
 * @param ret_len  of the frame
 * @return its first byte
 */
uint8_t *cx_frame_from_message(uint8_t *msg, size_t len, size_t *ret_len);

/** The next message of a plain TCP stream in the datagram form. Errors as cx_frame_next; a length
 * of 0 is DR_ERR_PROTO. */
DR_CHECK dr_err_t cx_datagram_next(const uint8_t *in, size_t len, struct dr_bytes *ret,
                                   size_t *ret_total);

/** What a signalling message says. */
struct cx_signal {
    int64_t max_message_size; /**< CSM; -1 = not said */
    bool blockwise;           /**< CSM: Block-Wise-Transfer */
    bool custody;             /**< Ping, Pong */
    uint16_t bad_option;      /**< a critical option that we do not know; 0 = none */
};

/**
 * Read a frame whose code is in class 7.
 * @retval DR_ERR_PROTO  malformed
 */
DR_CHECK dr_err_t cx_signal_parse(const struct cx_frame *frame, struct cx_signal *ret);

/**
 * A signalling message of ours as a frame.
 * @param token   of the Ping that a Pong answers; else length 0
 * @param signal  NULL = no options. bad_option goes into an Abort
 * @param buf     at least CX_SIGNAL_MAX bytes
 * @return bytes written
 */
size_t cx_signal_make(enum cx_signal_code code, const uint8_t *token, uint8_t token_len,
                      const struct cx_signal *signal, uint8_t *buf);
