/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The slots of a part are one sorted array with gaps. A hash's home is hash * homes / 2^32, so
 * homes rise with the hash; an entry lies at its home or, when that is taken, further right, and
 * all entries are in ascending order of (hash, index). There is no gap between an entry and its
 * home. Hence
 *
 *  - a search begins at the home and ends at a gap or at a larger entry;
 *  - a removal closes the gap by shifting left what is not at home;
 *  - a table of another size has the same order, so growing and shrinking is a merge from left to
 * right: one frontier says for every hash in which of the two parts it is, and the old part is
 * unmapped behind it.
 *
 * Because the new size may be any number, it is only an eighth larger, and memory follows the
 * number of entries.
 *
 * Example: 4 homes, hashes 0x10.., 0x20.., 0x80..: the homes are 0, 0, 2, the slots [10, 20, 80, -]
 * and the room behind them.
 */
#include "base/table.h"

#include <sys/mman.h>

#define PAGE         4096U
#define HOMES_MIN    384U /* and 128 behind: one page */
#define FRONTIER_END ((uint64_t)1 << 32)
#define FREE_LEN     ((uint32_t)(65536 / sizeof(uint64_t))) /* slots that are unmapped at a time */

static uint64_t key_of(uint32_t hash, uint32_t index)
{
    return (uint64_t)hash << 32 | index;
}

static uint32_t home_of(const struct dr_table_part *p, uint64_t key)
{
    return (uint32_t)((key >> 32) * p->homes >> 32);
}

static size_t part_bytes(const struct dr_table_part *p)
{
    return (size_t)p->len * sizeof *p->slots;
}

/* What is pushed past the last home needs room. The chance that 512 slots do not do at nine tenths
 * of load is 1 in 10^40 for hashes that are spread well; then a put is refused. */
static dr_err_t part_map(struct dr_table_part *p, uint32_t homes)
{
    uint64_t len = (uint64_t)homes + (homes <= HOMES_MIN ? 128 : 512);
    len = (len * sizeof *p->slots + PAGE - 1) / PAGE * PAGE / sizeof *p->slots;
    void *mem = mmap(NULL, (size_t)len * sizeof *p->slots, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mem == MAP_FAILED) {
        return DR_ERR_NOMEM;
    }
    *p = (struct dr_table_part){.slots = mem, .homes = homes, .len = (uint32_t)len};
    return DR_OK;
}

/* Place of the first entry that is not less than key, or of the gap where it would stand. In the
 * old part nothing is left of from, which then counts as home. */
static uint32_t part_find(const struct dr_table_part *p, uint64_t key, uint32_t from)
{
    uint32_t home = home_of(p, key);
    uint32_t i = home < from ? from : home;

    while (i < p->len && p->slots[i] != 0 && p->slots[i] < key) {
        i++;
    }
    return i;
}

static bool part_put(struct dr_table_part *p, uint64_t key, uint32_t from)
{
    uint32_t at = part_find(p, key, from);
    uint32_t gap = at;

    while (gap < p->len && p->slots[gap] != 0) {
        gap++;
    }
    if (gap >= p->len) {
        return false;
    }
    for (; gap > at; gap--) {
        p->slots[gap] = p->slots[gap - 1];
    }
    p->slots[at] = key;
    return true;
}

static bool part_del(struct dr_table_part *p, uint64_t key, uint32_t from)
{
    uint32_t i = part_find(p, key, from);

    if (i >= p->len || p->slots[i] != key) {
        return false;
    }
    while (i + 1 < p->len && p->slots[i + 1] != 0 && home_of(p, p->slots[i + 1]) <= i) {
        p->slots[i] = p->slots[i + 1];
        i++;
    }
    p->slots[i] = 0;
    return true;
}

static bool moving(const struct dr_table *t)
{
    return t->old.slots != NULL;
}

/* Sequential numbers are fine as hashes too: multiplying by an odd number only permutes them. */
static uint32_t spread(uint32_t hash)
{
    return hash * 2654435761U;
}

static void old_unmap(struct dr_table *t, uint32_t upto)
{
    if (upto > t->old_freed) {
        (void)munmap(t->old.slots + t->old_freed, (size_t)(upto - t->old_freed) * sizeof(uint64_t));
        t->old_freed = upto;
    }
}

/* Move the entries [old_pos, old_pos + n), which have one hash: all or none, so that a hash is in
 * one part only. */
static bool move_run(struct dr_table *t, uint32_t n)
{
    uint64_t *run = t->old.slots + t->old_pos;

    for (uint32_t i = 0; i < n; i++) {
        if (!part_put(&t->cur, run[i], 0)) {
            while (i-- > 0) {
                dr_assert(part_del(&t->cur, run[i], 0));
            }
            return false;
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        run[i] = 0;
    }
    return true;
}

/* Carry about DR_TABLE_STEP slots over. */
static void step(struct dr_table *t)
{
    uint32_t n = 0;

    while (t->old_pos < t->old.len) {
        uint64_t key = t->old.slots[t->old_pos];
        uint32_t run = 1;
        if (key != 0) {
            while (t->old_pos + run < t->old.len &&
                   t->old.slots[t->old_pos + run] >> 32 == key >> 32 &&
                   t->old.slots[t->old_pos + run] != 0) {
                run++;
            }
            /* no room past the last home: it stays, and the next step tries again */
            if (n >= DR_TABLE_STEP || !move_run(t, run)) {
                t->frontier = key >> 32;
                break;
            }
        }
        t->old_pos += run;
        n += run;
    }
    if (t->old_pos >= t->old.len) {
        old_unmap(t, t->old.len);
        t->old = (struct dr_table_part){0};
        t->old_pos = 0;
        t->frontier = FRONTIER_END;
        return;
    }
    old_unmap(t, t->old_pos / FREE_LEN * FREE_LEN);
}

static dr_err_t resize(struct dr_table *t, uint32_t homes)
{
    struct dr_table_part part;
    dr_err_t err = part_map(&part, homes);

    if (err != DR_OK) {
        return err;
    }
    t->old = t->cur;
    t->cur = part;
    t->old_pos = 0;
    t->old_freed = 0;
    t->frontier = 0;
    step(t);
    return DR_OK;
}

static bool over(uint32_t count, uint32_t homes, uint32_t percent)
{
    return (uint64_t)count * 100 > (uint64_t)homes * percent;
}

/* After each change: go on with a move, or begin one. */
static dr_err_t balance(struct dr_table *t)
{
    uint32_t homes = t->cur.homes;

    if (moving(t)) {
        step(t);
        return DR_OK;
    }
    if (over(t->count, homes, 85)) {
        return resize(t, homes + homes / 8);
    }
    if (homes > HOMES_MIN && !over(t->count, homes, 55)) {
        uint32_t less = (uint32_t)((uint64_t)homes * 3 / 4);
        return resize(t, less < HOMES_MIN ? HOMES_MIN : less);
    }
    return DR_OK;
}

dr_err_t dr_table_init(struct dr_table *t, uint32_t max, dr_table_eq_fn *eq, void *ctx)
{
    dr_assert(t != NULL && eq != NULL && max > 0 && max <= (uint32_t)1 << 30);
    *t = (struct dr_table){.frontier = FRONTIER_END, .max = max, .eq = eq, .ctx = ctx};
    return part_map(&t->cur, HOMES_MIN);
}

void dr_table_fini(struct dr_table *t)
{
    if (t == NULL || t->cur.slots == NULL) {
        return;
    }
    if (moving(t)) {
        old_unmap(t, t->old.len);
    }
    (void)munmap(t->cur.slots, part_bytes(&t->cur));
    *t = (struct dr_table){0};
}

uint32_t dr_table_get(const struct dr_table *t, uint32_t hash, const void *key)
{
    dr_assert(t != NULL && t->cur.slots != NULL);
    hash = spread(hash);
    bool in_cur = hash < t->frontier;
    const struct dr_table_part *p = in_cur ? &t->cur : &t->old;
    uint32_t i = part_find(p, key_of(hash, 0), in_cur ? 0 : t->old_pos);

    for (; i < p->len && p->slots[i] >> 32 == hash; i++) {
        uint32_t index = (uint32_t)p->slots[i];
        if (index == 0) {
            break; /* a gap, when hash is 0 */
        }
        if (t->eq(t->ctx, index, key)) {
            return index;
        }
    }
    return 0;
}

dr_err_t dr_table_put(struct dr_table *t, uint32_t hash, uint32_t index)
{
    dr_assert(t != NULL && t->cur.slots != NULL && index != 0);
    if (t->count >= t->max) {
        return DR_ERR_LIMIT;
    }
    /* growing may fail for want of memory: go on until the slots are nearly full */
    dr_err_t err = balance(t);
    if (err != DR_OK && over(t->count, t->cur.homes, 95)) {
        return err;
    }
    uint64_t key = key_of(spread(hash), index);
    bool in_cur = key >> 32 < t->frontier;
    if (!part_put(in_cur ? &t->cur : &t->old, key, in_cur ? 0 : t->old_pos)) {
        return DR_ERR_NOMEM;
    }
    t->count++;
    return DR_OK;
}

bool dr_table_del(struct dr_table *t, uint32_t hash, uint32_t index)
{
    dr_assert(t != NULL && t->cur.slots != NULL);
    uint64_t key = key_of(spread(hash), index);
    bool in_cur = key >> 32 < t->frontier;

    if (index == 0 || !part_del(in_cur ? &t->cur : &t->old, key, in_cur ? 0 : t->old_pos)) {
        return false;
    }
    t->count--;
    (void)balance(t); /* a table that cannot shrink is no error */
    return true;
}

/* The first entry after a key; from limit on a gap means that there is none. */
static uint64_t part_next(const struct dr_table_part *p, uint64_t after, uint32_t from,
                          uint32_t limit)
{
    uint32_t i = home_of(p, after);

    for (i = i < from ? from : i; i < p->len; i++) {
        if (p->slots[i] > after) {
            return p->slots[i];
        }
        if (p->slots[i] == 0 && i >= limit) {
            break;
        }
    }
    return 0;
}

uint32_t dr_table_next(const struct dr_table *t, uint64_t *cursor)
{
    dr_assert(t != NULL && t->cur.slots != NULL && cursor != NULL);
    uint64_t key = 0;

    if (!moving(t)) {
        key = part_next(&t->cur, *cursor, 0, t->cur.len);
    } else {
        if (*cursor >> 32 < t->frontier) {
            key = part_next(&t->cur, *cursor, 0, home_of(&t->cur, t->frontier << 32));
        }
        if (key == 0) {
            key = part_next(&t->old, *cursor, t->old_pos, t->old.len);
        }
    }
    *cursor = key == 0 ? *cursor : key;
    return (uint32_t)key;
}

size_t dr_table_bytes(const struct dr_table *t)
{
    dr_assert(t != NULL);
    return part_bytes(&t->cur) +
           (moving(t) ? part_bytes(&t->old) - (size_t)t->old_freed * sizeof(uint64_t) : 0);
}
