/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Block option value is an unsigned integer of 0 to 3 bytes:
 *
 *   | NUM (4, 12 or 20 bits) | M | SZX (3 bits) |      size = 2^(SZX + 4)
 *
 * Example: 1e = NUM 1, more, SZX 6: bytes 1024 to 2047, and others follow.
 */
#include "coap/block.h"

/* Over a stream: the number is that of the first of several blocks of 1024 bytes. spec: RFC8323#6
 */
#define SZX_BERT 7

dr_err_t cx_block_decode(int32_t raw, struct cx_block *ret)
{
    dr_assert(ret != NULL);
    if (raw < 0) {
        return DR_ERR_NOT_FOUND;
    }
    /* spec: RFC7959#2.2 */
    if (raw > 0xffffff || (raw & 7) == 7) {
        return DR_ERR_PROTO;
    }
    ret->num = (uint32_t)raw >> 4;
    ret->more = (raw & 8) != 0;
    ret->size = (uint16_t)(CX_BLOCK_SIZE_MIN << (raw & 7));
    ret->count = 0;
    return DR_OK;
}

dr_err_t cx_block_decode_bert(int32_t raw, struct cx_block *ret)
{
    bool bert = raw >= 0 && raw <= 0xffffff && (raw & 7) == SZX_BERT;
    dr_err_t err = cx_block_decode(bert ? raw - 1 : raw, ret);

    if (err == DR_OK && bert) {
        ret->count = 1;
    }
    return err;
}

uint32_t cx_block_encode(const struct cx_block *block)
{
    dr_assert(block != NULL && block->num <= CX_BLOCK_NUM_MAX);
    dr_assert(block->size >= CX_BLOCK_SIZE_MIN && block->size <= CX_BLOCK_SIZE_MAX);
    dr_assert((block->size & (block->size - 1)) == 0);
    uint32_t szx = block->count != 0 ? SZX_BERT : (uint32_t)__builtin_ctz(block->size) - 4;
    return block->num << 4 | (block->more ? 8u : 0u) | szx;
}

uint16_t cx_block_size_floor(size_t size)
{
    uint16_t ret = CX_BLOCK_SIZE_MAX;
    while (ret > CX_BLOCK_SIZE_MIN && ret > size) {
        ret = (uint16_t)(ret / 2);
    }
    return ret;
}

size_t cx_block_span(const struct cx_block *block)
{
    dr_assert(block != NULL);
    return block->count != 0 ? (size_t)block->count * block->size : block->size;
}

bool cx_block_holds(const struct cx_block *block, size_t len)
{
    dr_assert(block != NULL);
    if (block->count != 0) {
        return !block->more || (len > 0 && len % block->size == 0);
    }
    return block->more ? len == block->size : len <= block->size;
}

size_t cx_block_offset(const struct cx_block *block)
{
    dr_assert(block != NULL);
    return (size_t)block->num * block->size;
}

bool cx_block_slice(struct cx_block *block, size_t total, size_t *ret_len)
{
    dr_assert(block != NULL && ret_len != NULL);
    size_t at = cx_block_offset(block);
    if (at > total || (at == total && at != 0)) {
        return false;
    }
    block->more = total - at > cx_block_span(block);
    *ret_len = block->more ? cx_block_span(block) : total - at;
    return true;
}
