/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/arena.h
 * @brief Memory of one HTTP request: many small allocations, freed together.
 *
 * Layer: rest, pure.  Threads: one owner at a time.  Memory: chunks from malloc up to a maximum.
 * Limits: the maximum from init.  Security: contents are wiped on fini (bodies may hold secrets).
 * Spec: none.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"

struct rest_arena_chunk;

struct rest_arena {
    struct rest_arena_chunk *chunks; /**< owned, newest first */
    size_t total;                    /**< bytes asked from malloc */
    size_t max;
};

/** @param max  most bytes it may hold */
void rest_arena_init(struct rest_arena *a, size_t max);

/** Wipe and free everything; the arena may be used again. */
void rest_arena_fini(struct rest_arena *a);

/** Zeroed memory, aligned for any type; NULL past the maximum or without memory. */
void *rest_arena_alloc(struct rest_arena *a, size_t size);

/** As rest_arena_alloc() for @p n items of @p size bytes; NULL also when the product overflows. */
void *rest_arena_array(struct rest_arena *a, size_t n, size_t size);

/** A copy of @p len bytes with a NUL behind; NULL as above. */
char *rest_arena_strndup(struct rest_arena *a, const char *s, size_t len);
