/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  coap/block.h
 * @brief Block1/Block2 option values and the arithmetic of blocks: pure.
 *
 * Layer: coap, pure.  Threads: reentrant, no state.  Memory: never allocates.
 * Limits: CX_BLOCK_NUM_MAX.  Security: input is hostile and never asserted on.
 * Spec: RFC7959#2.2, RFC8323#6.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define CX_BLOCK_NUM_MAX  0xfffffu
#define CX_BLOCK_SIZE_MIN 16u
#define CX_BLOCK_SIZE_MAX 1024u

struct cx_block {
    uint32_t num;   /**< block number, 0..CX_BLOCK_NUM_MAX */
    uint16_t size;  /**< block size in bytes (16..1024), not the raw exponent */
    bool more;      /**< further blocks follow */
    uint16_t count; /**< BERT: blocks of 1024 bytes in the message (decoded: 1, the payload has the
                       true number); 0 = one ordinary block */
};

/**
 * Take apart the value of a Block option, as struct cx_pdu holds it.
 * @param raw  option value; a negative one stands for "no such option"
 * @param ret  filled on success, untouched on error
 * @retval DR_ERR_NOT_FOUND  @p raw is negative
 * @retval DR_ERR_PROTO      over 24 bits, or the reserved size exponent 7
 */
DR_CHECK dr_err_t cx_block_decode(int32_t raw, struct cx_block *ret);

/** The same over a stream, where exponent 7 means several blocks of 1024 bytes in one message. */
DR_CHECK dr_err_t cx_block_decode_bert(int32_t raw, struct cx_block *ret);

/** Option value of @p block, whose size must be one of 16, 32 … 1024 and whose num in range. */
uint32_t cx_block_encode(const struct cx_block *block);

/** Largest block size that is not over @p size; 16 for anything below. */
uint16_t cx_block_size_floor(size_t size);

/** Bytes of body that the message may carry. */
size_t cx_block_span(const struct cx_block *block);

/** Whether a message with this option may have @p len bytes of payload. */
bool cx_block_holds(const struct cx_block *block, size_t len);

/** Byte offset of the block. */
size_t cx_block_offset(const struct cx_block *block);

/**
 * What part of a body of @p total bytes the block covers; sets @p block->more.
 * @param ret_len  bytes of the block; 0 only for block 0 of an empty body
 * @return false when the block lies behind the end (@p block and @p ret_len are then untouched)
 */
bool cx_block_slice(struct cx_block *block, size_t total, size_t *ret_len);
