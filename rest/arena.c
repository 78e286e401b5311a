/* SPDX-License-Identifier: Apache-2.0 */
#include "rest/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define CHUNK_SIZE 4096

struct rest_arena_chunk {
    struct rest_arena_chunk *next;
    size_t size; /* of data */
    size_t used;
    alignas(max_align_t) unsigned char data[];
};

void rest_arena_init(struct rest_arena *a, size_t max)
{
    dr_assert(a != NULL);
    *a = (struct rest_arena){.max = max};
}

void rest_arena_fini(struct rest_arena *a)
{
    dr_assert(a != NULL);
    while (a->chunks != NULL) {
        struct rest_arena_chunk *c = a->chunks;
        a->chunks = c->next;
        dr_wipe(c->data, c->used);
        free(c);
    }
    a->total = 0;
}

static struct rest_arena_chunk *chunk_add(struct rest_arena *a, size_t size)
{
    if (size > a->max || a->total > a->max - size) {
        return NULL;
    }
    struct rest_arena_chunk *c = malloc(sizeof *c + size);
    if (c == NULL) {
        return NULL;
    }
    c->size = size;
    c->used = 0;
    a->total += size;
    c->next = a->chunks;
    a->chunks = c;
    return c;
}

void *rest_arena_alloc(struct rest_arena *a, size_t size)
{
    dr_assert(a != NULL);
    const size_t align = alignof(max_align_t);
    if (size > a->max) {
        return NULL;
    }
    size = size == 0 ? align : (size + align - 1) / align * align;

    struct rest_arena_chunk *c = a->chunks;
    if (c == NULL || c->size - c->used < size) {
        c = chunk_add(a, size > CHUNK_SIZE / 2 ? size : CHUNK_SIZE);
        if (c == NULL && size <= CHUNK_SIZE / 2) {
            c = chunk_add(a, size); /* the last bytes below the maximum */
        }
        if (c == NULL) {
            return NULL;
        }
        /* a large piece fills its chunk: keep the roomier one in front */
        if (c->size == size && c->next != NULL && c->next->size - c->next->used > align) {
            struct rest_arena_chunk *front = c->next;
            c->next = front->next;
            front->next = c;
            a->chunks = front;
        }
    }
    void *p = c->data + c->used;
    c->used += size;
    memset(p, 0, size);
    return p;
}

void *rest_arena_array(struct rest_arena *a, size_t n, size_t size)
{
    size_t bytes = 0;

    if (__builtin_mul_overflow(n, size, &bytes)) {
        return NULL;
    }
    return rest_arena_alloc(a, bytes);
}

char *rest_arena_strndup(struct rest_arena *a, const char *s, size_t len)
{
    if (len == SIZE_MAX) {
        return NULL;
    }
    char *p = rest_arena_alloc(a, len + 1);
    if (p != NULL && len != 0) {
        memcpy(p, s, len);
    }
    return p;
}
