/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/unit/manifest/files.h
 * @brief Files and keys for the manifest tests.
 */
#pragma once

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "manifest/key.h"

/** All of a file; an empty slice with p NULL when it cannot be read. Free p. */
static inline struct dr_bytes read_all(const char *path)
{
    FILE *f = fopen(path, "rb");

    if (f == NULL) {
        return (struct dr_bytes){0};
    }
    size_t cap = (size_t)1 << 20;
    uint8_t *buf = malloc(cap);
    ck_assert_ptr_nonnull(buf);
    size_t len = fread(buf, 1, cap, f);
    fclose(f);
    /* exact size, so that a sanitizer sees one octet too many */
    uint8_t *exact = malloc(len == 0 ? 1 : len);
    ck_assert_ptr_nonnull(exact);
    memcpy(exact, buf, len);
    free(buf);
    return dr_bytes_of(exact, len);
}

static inline void free_bytes(struct dr_bytes b)
{
    free((void *)(uintptr_t)b.p);
}
