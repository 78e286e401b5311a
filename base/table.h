/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  base/table.h
 * @brief Hash table from a key (kept elsewhere) to a 32-bit slab index, 8 bytes a slot.
 *
 * Layer: base.  Threads: the owner's.  Memory: mapped in pages; 9.4 to 11 bytes an entry once it
 * has some thousand entries.  Limits: a maximum from init. Security: keys that a peer chooses need
 * dr_hash32() with a secret key.  Spec: none.
 *
 * No operation ever rehashes the table: while it grows or shrinks every put and del carries over
 * about DR_TABLE_STEP slots.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/** Slots that one put or del carries over while the table changes its size. */
#define DR_TABLE_STEP 32

/** Does the item @p index have this key? Called only for equal hashes. */
typedef bool dr_table_eq_fn(void *ctx, uint32_t index, const void *key);

/** One sorted run of slots: hash << 32 | index, 0 = empty. */
struct dr_table_part {
    uint64_t *slots; /**< owned, mapped */
    uint32_t homes;  /**< places that hashes are spread over */
    uint32_t len;    /**< homes and the room behind for what is pushed past the last home */
};

struct dr_table {
    struct dr_table_part cur; /**< all entries; while moving only those with hash < frontier */
    struct dr_table_part old; /**< while moving: entries with hash >= frontier; else no slots */
    uint64_t frontier;        /**< 2^32 when not moving */
    uint32_t old_pos;         /**< slots of old before this one are empty */
    uint32_t old_freed;       /**< slots of old already unmapped */
    uint32_t count;
    uint32_t max;
    dr_table_eq_fn *eq;
    void *ctx;
};

/**
 * @param max  most entries (1..2^30)
 * @param eq   compares the key of an item, with @p ctx (borrowed)
 * @retval DR_ERR_NOMEM
 */
DR_CHECK dr_err_t dr_table_init(struct dr_table *t, uint32_t max, dr_table_eq_fn *eq, void *ctx);

/** NULL or zeroed is allowed. The items are not touched. */
void dr_table_fini(struct dr_table *t);

/** Index of the item with this key, or 0. */
uint32_t dr_table_get(const struct dr_table *t, uint32_t hash, const void *key);

/** Bring the place of @p hash into the cache ahead of dr_table_get(), when many are looked up. */
static inline void dr_table_prefetch(const struct dr_table *t, uint32_t hash)
{
    if (t->cur.slots != NULL) {
        __builtin_prefetch(&t->cur.slots[(uint64_t)hash * t->cur.homes >> 32]);
    }
}

/**
 * Add (hash, index). The key must not be in the table (call dr_table_get() first); the same index
 * may stand under several hashes.
 * @retval DR_ERR_LIMIT  the maximum is reached
 * @retval DR_ERR_NOMEM  the table is full and could not grow
 */
DR_CHECK dr_err_t dr_table_put(struct dr_table *t, uint32_t hash, uint32_t index);

/** Remove (hash, index); false when it is not there. */
bool dr_table_del(struct dr_table *t, uint32_t hash, uint32_t index);

/**
 * Walk all entries in the order of their hashes. Begin with *cursor = 0; 0 is returned at the end.
 * Everything that is in the table from the first call to the last is seen exactly once, whatever is
 * added or removed in between.
 */
uint32_t dr_table_next(const struct dr_table *t, uint64_t *cursor);

/** Bytes mapped now. */
size_t dr_table_bytes(const struct dr_table *t);
