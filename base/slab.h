/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  base/slab.h
 * @brief Items of one size, addressed by a 32-bit index, never moved.
 *
 * Layer: base.  Threads: the owner's.  Memory: chunks of about 256 KiB from mmap, returned when
 * empty (but one); one bit an item beside them.  Limits: a maximum from init. Security:
 * DR_SLAB_SECRET keeps items out of core dumps and wipes them when freed.  Spec: none.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/** MADV_DONTDUMP on the chunks, and freed items are wiped. */
#define DR_SLAB_SECRET 1U
/**
 * Items keep their bytes between free and the next alloc (all but the first 8), so that the user
 * can keep a generation number in them; chunks are never returned. A fresh item is zero.
 */
#define DR_SLAB_KEEP   2U

struct dr_slab_chunk {
    uint8_t *mem;  /**< owned, NULL while not mapped; the items, then one used bit for each */
    uint32_t free; /**< first free item's index, 0 = none */
    uint32_t used;
    uint32_t next;  /**< chunk number + 1 of the next one with room */
    uint32_t prev;  /**< of the previous one */
    uint32_t fresh; /**< items never handed out begin here */
    bool listed;
};

struct dr_slab {
    struct dr_slab_chunk *chunks; /**< owned; one for each possible chunk */
    size_t item_size;             /**< rounded up to 8 */
    uint32_t shift, mask;         /**< items in a chunk: 1 << shift */
    uint32_t chunk_count;         /**< length of chunks */
    uint32_t room;                /**< chunk number + 1 of the first mapped chunk with room */
    uint32_t mapped, empty;       /**< chunks mapped, and of these wholly free */
    uint32_t count;               /**< items in use */
    uint32_t max;
    uint32_t flags;
};

/**
 * @param item_size  bytes (at least 8); the items are aligned to 8
 * @param max        most items in use at a time (1..2^31)
 * @param flags      DR_SLAB_*
 * @retval DR_ERR_NOMEM
 */
DR_CHECK dr_err_t dr_slab_init(struct dr_slab *s, size_t item_size, uint32_t max, uint32_t flags);

/** Unmap everything; items in use are lost. NULL or zeroed is allowed. */
void dr_slab_fini(struct dr_slab *s);

/**
 * A zeroed item (see DR_SLAB_KEEP).
 * @param ret_index  1..2^32-1; never 0
 * @retval DR_ERR_LIMIT  the maximum is in use
 * @retval DR_ERR_NOMEM
 */
DR_CHECK dr_err_t dr_slab_alloc(struct dr_slab *s, uint32_t *ret_index);

/** Give an item back; one that is not in use is our own bug. */
void dr_slab_free(struct dr_slab *s, uint32_t index);

/** Is @p index (any number) an item in use? */
bool dr_slab_used(const struct dr_slab *s, uint32_t index);

/** The item at an index that is in use; stays where it is until freed. */
static inline void *dr_slab_get(const struct dr_slab *s, uint32_t index)
{
    return s->chunks[index >> s->shift].mem + (size_t)(index & s->mask) * s->item_size;
}

/** The next index in use after @p index (begin with 0), or 0. Items may be freed while walking. */
uint32_t dr_slab_next(const struct dr_slab *s, uint32_t index);

/** Bytes mapped now. */
size_t dr_slab_bytes(const struct dr_slab *s);
