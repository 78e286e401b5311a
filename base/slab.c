/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A chunk is one mapping: the items, then a bit for each that says "in use". A free item holds the
 * index of the next free one of its chunk in its first four bytes. Chunks with room form a list; an
 * empty chunk is unmapped as soon as there is a second one (DR_SLAB_KEEP: never).
 */
#include "base/slab.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define CHUNK_LEN ((size_t)256 << 10)

#if defined(__SANITIZE_ADDRESS__)
#define SLAB_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLAB_ASAN 1
#endif
#endif
#ifdef SLAB_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(p, n)   ASAN_POISON_MEMORY_REGION(p, n)
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#else
#define POISON(p, n)   ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#endif

static uint32_t per_chunk(const struct dr_slab *s)
{
    return s->mask + 1;
}

static size_t items_len(const struct dr_slab *s)
{
    return s->item_size << s->shift;
}

static size_t chunk_len(const struct dr_slab *s)
{
    return items_len(s) + (per_chunk(s) + 7) / 8;
}

static uint8_t *used_byte(const struct dr_slab *s, uint32_t index)
{
    return s->chunks[index >> s->shift].mem + items_len(s) + (index & s->mask) / 8;
}

dr_err_t dr_slab_init(struct dr_slab *s, size_t item_size, uint32_t max, uint32_t flags)
{
    dr_assert(s != NULL && item_size >= 8 && item_size <= CHUNK_LEN && max > 0 &&
              max <= (uint32_t)1 << 31);
    *s = (struct dr_slab){.item_size = (item_size + 7) & ~(size_t)7, .max = max, .flags = flags};
    s->shift = 1; /* index 0 is no item, so two a chunk at least */
    while (s->shift < 16 && s->item_size << (s->shift + 1) <= CHUNK_LEN) {
        s->shift++;
    }
    s->mask = (1U << s->shift) - 1;
    s->chunk_count = (uint32_t)(((uint64_t)max + 1 + s->mask) >> s->shift);
    s->chunks = calloc(s->chunk_count, sizeof *s->chunks);
    return s->chunks == NULL ? DR_ERR_NOMEM : DR_OK;
}

static void list_add(struct dr_slab *s, uint32_t c)
{
    struct dr_slab_chunk *ch = &s->chunks[c];

    ch->listed = true;
    ch->prev = 0;
    ch->next = s->room;
    if (s->room != 0) {
        s->chunks[s->room - 1].prev = c + 1;
    }
    s->room = c + 1;
}

static void list_del(struct dr_slab *s, uint32_t c)
{
    struct dr_slab_chunk *ch = &s->chunks[c];

    ch->listed = false;
    if (ch->prev != 0) {
        s->chunks[ch->prev - 1].next = ch->next;
    } else {
        s->room = ch->next;
    }
    if (ch->next != 0) {
        s->chunks[ch->next - 1].prev = ch->prev;
    }
}

static void unmap_chunk(struct dr_slab *s, uint32_t c)
{
    struct dr_slab_chunk *ch = &s->chunks[c];

    if (ch->listed) {
        list_del(s, c);
    }
    UNPOISON(ch->mem, chunk_len(s));
    (void)munmap(ch->mem, chunk_len(s));
    *ch = (struct dr_slab_chunk){0};
    s->mapped--;
}

void dr_slab_fini(struct dr_slab *s)
{
    if (s == NULL || s->chunks == NULL) {
        return;
    }
    for (uint32_t c = 0; c < s->chunk_count; c++) {
        if (s->chunks[c].mem != NULL) {
            if ((s->flags & DR_SLAB_SECRET) != 0) {
                UNPOISON(s->chunks[c].mem, chunk_len(s));
                explicit_bzero(s->chunks[c].mem, chunk_len(s));
            }
            unmap_chunk(s, c);
        }
    }
    free(s->chunks);
    *s = (struct dr_slab){0};
}

/* The lowest chunk that is not mapped; the search costs nothing beside the 256 KiB that it is
 * followed by. */
static dr_err_t map_chunk(struct dr_slab *s)
{
    uint32_t c = 0;

    while (c < s->chunk_count && s->chunks[c].mem != NULL) {
        c++;
    }
    dr_assert(c < s->chunk_count);
    size_t len = chunk_len(s);
    uint8_t *mem = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mem == MAP_FAILED) {
        return DR_ERR_NOMEM;
    }
    if ((s->flags & DR_SLAB_SECRET) != 0) {
        (void)madvise(mem, len, MADV_DONTDUMP);
    }
    POISON(mem, items_len(s));
    s->chunks[c] = (struct dr_slab_chunk){.mem = mem, .fresh = c == 0 ? 1 : 0};
    s->mapped++;
    s->empty++;
    list_add(s, c);
    return DR_OK;
}

dr_err_t dr_slab_alloc(struct dr_slab *s, uint32_t *ret_index)
{
    dr_assert(s != NULL && s->chunks != NULL && ret_index != NULL);
    if (s->count == s->max) {
        return DR_ERR_LIMIT;
    }
    if (s->room == 0) {
        dr_err_t err = map_chunk(s);
        if (err != DR_OK) {
            return err;
        }
    }
    uint32_t c = s->room - 1;
    struct dr_slab_chunk *ch = &s->chunks[c];
    uint32_t index = ch->free;
    bool fresh = index == 0;
    if (fresh) {
        index = (c << s->shift) + ch->fresh++;
    }
    uint8_t *item = dr_slab_get(s, index);
    UNPOISON(item, s->item_size);
    if (!fresh) { /* a fresh one is zero as mapped */
        memcpy(&ch->free, item, sizeof ch->free);
        memset(item, 0, (s->flags & DR_SLAB_KEEP) != 0 ? 8 : s->item_size);
    }
    *used_byte(s, index) |= (uint8_t)(1U << (index & 7));
    s->empty -= ch->used == 0 ? 1 : 0;
    ch->used++;
    s->count++;
    if (ch->free == 0 && ch->fresh == per_chunk(s)) {
        list_del(s, c);
    }
    *ret_index = index;
    return DR_OK;
}

bool dr_slab_used(const struct dr_slab *s, uint32_t index)
{
    dr_assert(s != NULL);
    uint32_t c = index >> s->shift;

    return index != 0 && c < s->chunk_count && s->chunks[c].mem != NULL &&
           (*used_byte(s, index) & 1U << (index & 7)) != 0;
}

void dr_slab_free(struct dr_slab *s, uint32_t index)
{
    dr_assert(s != NULL && dr_slab_used(s, index));
    uint32_t c = index >> s->shift;
    struct dr_slab_chunk *ch = &s->chunks[c];
    uint8_t *item = dr_slab_get(s, index);

    if ((s->flags & DR_SLAB_SECRET) != 0) {
        size_t keep = (s->flags & DR_SLAB_KEEP) != 0 ? 8 : s->item_size;
        explicit_bzero(item, keep);
    }
    memcpy(item, &ch->free, sizeof ch->free);
    POISON(item, s->item_size);
    ch->free = index;
    ch->used--;
    s->count--;
    *used_byte(s, index) &= (uint8_t) ~(1U << (index & 7));
    if (!ch->listed) {
        list_add(s, c);
    }
    if (ch->used == 0) {
        s->empty++;
        if (s->empty > 1 && (s->flags & DR_SLAB_KEEP) == 0) {
            s->empty--;
            unmap_chunk(s, c);
        }
    }
}

uint32_t dr_slab_next(const struct dr_slab *s, uint32_t index)
{
    dr_assert(s != NULL);
    uint64_t end = (uint64_t)s->chunk_count << s->shift;

    for (uint64_t i = (uint64_t)index + 1; i < end; i++) {
        if (s->chunks[i >> s->shift].mem == NULL) {
            i |= s->mask; /* to the last one of the chunk */
        } else if (dr_slab_used(s, (uint32_t)i)) {
            return (uint32_t)i;
        }
    }
    return 0;
}

size_t dr_slab_bytes(const struct dr_slab *s)
{
    dr_assert(s != NULL);
    return s->mapped * ((chunk_len(s) + 4095) & ~(size_t)4095);
}
