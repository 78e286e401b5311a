/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Worked example, a CON with id 1234 answered by 2.04 without options at second 0x5678:
 *
 *   12 34 | hh hh hh hh | 56 78 | 44 | 00
 *
 * The last byte is the length of what follows, or KIND_* for entries without an answer of their
 * own. Seconds have 16 bits: an entry that nothing has pushed out for 18.2 hours could be met again
 * for 247 s, if id and hash are equal too.
 */
#include "coap/dedup.h"

#include <string.h>

#include "base/buf.h"
#include "coap/msg.h"

#define KIND_STORED 0xfe /* 4 bytes of number follow */
#define KIND_SILENT 0xfd
#define KIND_RESET  0xfc

static size_t data_len(uint8_t kind)
{
    switch (kind) {
    case KIND_STORED:
        return 4;
    case KIND_SILENT:
    case KIND_RESET:
        return 0;
    default:
        return kind;
    }
}

/* Bytes of the entries, newest first, that fit @p room. */
static size_t whole_entries(const struct cx_ring *ring, size_t room)
{
    size_t at = 0;
    while (at < ring->used) {
        size_t next = at + CX_RING_HEAD + data_len(ring->log[at + CX_RING_HEAD - 1]);
        if (next > room) {
            break;
        }
        at = next;
    }
    return at;
}

/* Numbers in the entries from byte @p at on. */
static size_t stored_from(const struct cx_ring *ring, size_t at, uint32_t ret[CX_RING_STORED_MAX])
{
    struct dr_rd rd = dr_rd_of(ring->log + at, ring->used - at);
    size_t n = 0;

    while (dr_rd_left(&rd) > 0) {
        dr_rd_skip(&rd, CX_RING_HEAD - 1);
        uint8_t kind = dr_rd_u8(&rd);
        struct dr_rd data = dr_rd_sub(&rd, data_len(kind));
        if (kind == KIND_STORED) {
            dr_assert(n < CX_RING_STORED_MAX);
            ret[n++] = dr_rd_u32(&data);
        }
    }
    return n;
}

size_t cx_ring_stored(const struct cx_ring *ring, uint32_t ret[CX_RING_STORED_MAX])
{
    dr_assert(ring != NULL && ret != NULL);
    return stored_from(ring, 0, ret);
}

size_t cx_ring_put(struct cx_ring *ring, const struct cx_ring_entry *entry, uint64_t now_ms,
                   uint32_t ret_pushed[CX_RING_STORED_MAX])
{
    dr_assert(ring != NULL && entry != NULL && ring->used <= sizeof ring->log);
    dr_assert(entry->kind != CX_RING_ANSWER || entry->len <= CX_RING_DATA_MAX);
    uint8_t bytes[sizeof ring->log];
    struct dr_wr wr = dr_wr_of(bytes, sizeof bytes);

    dr_wr_u16(&wr, entry->mid);
    dr_wr_u32(&wr, entry->hash);
    dr_wr_u16(&wr, (uint16_t)(now_ms / 1000));
    dr_wr_u8(&wr, entry->code);
    switch (entry->kind) {
    case CX_RING_ANSWER:
        dr_wr_u8(&wr, entry->len);
        dr_wr_put(&wr, entry->data, entry->len);
        break;
    case CX_RING_STORED:
        dr_wr_u8(&wr, KIND_STORED);
        dr_wr_u32(&wr, entry->number);
        break;
    case CX_RING_SILENT:
        dr_wr_u8(&wr, KIND_SILENT);
        break;
    case CX_RING_RESET:
        dr_wr_u8(&wr, KIND_RESET);
        break;
    }
    dr_assert(dr_wr_ok(&wr));

    size_t len = dr_wr_len(&wr);
    size_t keep = whole_entries(ring, sizeof ring->log - len);
    size_t pushed = stored_from(ring, keep, ret_pushed);
    memmove(ring->log + len, ring->log, keep);
    memcpy(ring->log, bytes, len);
    ring->used = (uint8_t)(len + keep);
    return pushed;
}

bool cx_ring_find(const struct cx_ring *ring, uint16_t mid, uint32_t hash, uint64_t now_ms,
                  struct cx_ring_entry *ret)
{
    dr_assert(ring != NULL && ret != NULL && ring->used <= sizeof ring->log);
    struct dr_rd rd = dr_rd_of(ring->log, ring->used);

    while (dr_rd_left(&rd) > 0) {
        struct cx_ring_entry e = {.mid = dr_rd_u16(&rd), .hash = dr_rd_u32(&rd)};
        uint16_t at = dr_rd_u16(&rd);
        e.code = dr_rd_u8(&rd);
        uint8_t kind = dr_rd_u8(&rd);
        struct dr_bytes data = dr_rd_bytes(&rd, data_len(kind));
        dr_assert(dr_rd_ok(&rd));

        if (e.mid != mid || e.hash != hash) {
            continue;
        }
        if ((uint16_t)(now_ms / 1000 - at) > CX_EXCHANGE_LIFETIME_MS / 1000) {
            return false; /* what follows is older still */
        }
        e.kind = kind == KIND_STORED   ? CX_RING_STORED
                 : kind == KIND_SILENT ? CX_RING_SILENT
                 : kind == KIND_RESET  ? CX_RING_RESET
                                       : CX_RING_ANSWER;
        if (e.kind == CX_RING_ANSWER) {
            e.data = data.p;
            e.len = (uint8_t)data.len;
        } else if (e.kind == CX_RING_STORED) {
            struct dr_rd num = dr_rd_bytes_of(data);
            e.number = dr_rd_u32(&num);
        }
        *ret = e;
        return true;
    }
    return false;
}
