/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/fuzz/fuzz_table.c
 * @brief Table and slab driven by the input, beside a plain array that says what must be in them.
 *
 * Byte 0 chooses the hash. Of each further byte the upper bit says remove (else add), the others
 * choose one of 128 groups; a group has its own next item to add and to remove, so that long inputs
 * grow the table.
 */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/slab.h"
#include "base/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { KEYS = 8192 };

struct item {
    uint64_t key;
};

struct state {
    struct dr_slab slab;
    struct dr_table table;
    uint32_t index[KEYS]; /**< 0 = not in the table */
    uint32_t count;
    uint8_t hash;
};

static bool eq(void *ctx, uint32_t index, const void *key)
{
    const struct state *st = ctx;

    return ((const struct item *)dr_slab_get(&st->slab, index))->key == *(const uint64_t *)key;
}

static uint32_t hash_of(const struct state *st, uint64_t key)
{
    return st->hash == 0xff   ? (uint32_t)key
           : st->hash == 0xfe ? (uint32_t)(key % 61)
                              : dr_mix32(key);
}

static void toggle(struct state *st, uint64_t key, bool add)
{
    uint32_t hash = hash_of(st, key);

    if (dr_table_get(&st->table, hash, &key) != st->index[key]) {
        abort();
    }
    if (add && st->index[key] == 0) {
        uint32_t i;
        if (dr_slab_alloc(&st->slab, &i) != DR_OK) {
            abort();
        }
        ((struct item *)dr_slab_get(&st->slab, i))->key = key;
        if (dr_table_put(&st->table, hash, i) != DR_OK) {
            dr_slab_free(&st->slab, i); /* too many equal hashes */
            return;
        }
        st->index[key] = i;
        st->count++;
    } else if (!add) {
        bool was = dr_table_del(&st->table, hash, st->index[key]);
        if (was != (st->index[key] != 0)) {
            abort();
        }
        if (was) {
            dr_slab_free(&st->slab, st->index[key]);
            st->index[key] = 0;
            st->count--;
        }
    }
}

static void check_all(struct state *st)
{
    uint64_t cursor = 0;
    uint32_t n = 0;

    for (uint32_t i = dr_table_next(&st->table, &cursor); i != 0;
         i = dr_table_next(&st->table, &cursor)) {
        const struct item *it = dr_slab_get(&st->slab, i);
        if (st->index[it->key] != i) {
            abort();
        }
        n++;
    }
    for (uint64_t key = 0; key < KEYS; key++) {
        if (dr_table_get(&st->table, hash_of(st, key), &key) != st->index[key]) {
            abort();
        }
    }
    if (n != st->count || st->table.count != n || st->slab.count != n) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct state *st = calloc(1, sizeof *st);
    uint8_t next_add[128] = {0};
    uint8_t next_del[128] = {0};

    if (st == NULL || len == 0) {
        free(st);
        return 0;
    }
    st->hash = data[0];
    if (dr_slab_init(&st->slab, sizeof(struct item), KEYS, 0) != DR_OK ||
        dr_table_init(&st->table, KEYS, eq, st) != DR_OK) {
        abort();
    }
    for (size_t i = 1; i < len; i++) {
        uint32_t group = data[i] & 0x7f;
        bool add = (data[i] & 0x80) == 0;
        /* several keys a byte: short inputs shall make the table grow, too */
        for (int k = 0; k < 4; k++) {
            uint8_t n = (uint8_t)((add ? next_add : next_del)[group]++ & 63);
            toggle(st, group * 64U + n, add);
        }
    }
    check_all(st);
    dr_table_fini(&st->table);
    dr_slab_fini(&st->slab);
    free(st);
    return 0;
}
