/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/fuzz/fuzz_dev_stored.c
 * @brief What devices/ keeps in files and rows: cached values, pre-subscriptions, last-seen times,
 * standing observations.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/cache.h"
#include "devices/presub_json.h"
#include "devices/seen.h"
#include "devices/standing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void cache(const uint8_t *data, size_t len)
{
    struct dev_cache *c = NULL;
    struct dev_cached v;

    if (dev_cache_load(dr_bytes_of(data, len), &c) != DR_OK) {
        return;
    }
    for (size_t i = 0; dev_cache_at(c, i, &v); i++) {
        struct dev_cached again;
        dr_assert(dev_cache_get(c, v.path, &again));
    }
    v = (struct dev_cached){.path = len, .at_ms = 1, .payload = dr_bytes_of(data, len & 255U)};
    if (dev_cache_put(&c, &v) == DR_OK) {
        dr_assert(dev_cache_get(c, len, &v) && v.payload.len == (len & 255U));
    }
    dr_assert(c == NULL || (c->len <= DEV_CACHE_BYTES_MAX && c->count <= DEV_CACHE_VALUES_MAX));
    free(c);
}

static void presub(const uint8_t *data, size_t len)
{
    char *text = malloc(len + 1);
    struct dev_presub p;

    if (text == NULL) {
        return;
    }
    if (len != 0) {
        memcpy(text, data, len);
    }
    text[len] = '\0';
    if (dev_presub_read(text, &p) == DR_OK) { /* written and read again it is the same */
        struct dev_presubscription in = {.endpoint = p.endpoint,
                                         .endpoint_type = p.type,
                                         .paths = (const char *const *)p.paths,
                                         .n_paths = p.n_paths};
        struct dr_dynbuf b;
        struct dev_presub q;
        dr_dynbuf_init(&b, 1U << 20);
        dr_assert(dev_presub_write(&in, &b) == DR_OK);
        dr_assert(dev_presub_read(dr_dynbuf_str(&b), &q) == DR_OK);
        dr_assert(q.n_paths == p.n_paths && strcmp(q.endpoint, p.endpoint) == 0);
        dev_presub_fini(&q);
        dr_dynbuf_fini(&b);
        dev_presub_fini(&p);
    }
    free(text);
}

static void count(void *data, int64_t device, int64_t generation, uint32_t unix_s)
{
    (void)generation;
    (void)unix_s;
    dr_assert(device > 0);
    ++*(unsigned *)data;
}

static void seen(const uint8_t *data, size_t len)
{
    static char dir[64];
    char path[96];
    unsigned n = 0;

    if (dir[0] == '\0') {
        (void)snprintf(dir, sizeof dir, "/tmp/fuzz-seen.%ld", (long)getpid());
        (void)mkdir(dir, 0700);
    }
    (void)snprintf(path, sizeof path, "%s/seen.0.a", dir);
    FILE *f = fopen(path, "wb");
    if (f == NULL) {
        return;
    }
    (void)fwrite(data, 1, len, f);
    (void)fclose(f);
    dr_err_t err = dev_seen_replay(dir, count, &n);
    dr_assert(err == DR_OK || err == DR_ERR_NOMEM);
    dr_assert(n <= len / 8);
    dev_seen_remove(dir);
    if (rmdir(dir) == 0) {
        dir[0] = '\0';
    }
}

static void standing(const uint8_t *data, size_t len)
{
    static struct dev_standing list[DEV_STANDING_MAX];
    static uint8_t again[DEV_STANDING_BYTES_MAX];
    size_t n;

    if (dev_standing_read(dr_bytes_of(data, len), list, &n) != DR_OK) {
        return;
    }
    dr_assert(n <= DEV_STANDING_MAX && (len == 0 ? n == 0 : len == 1 + 10 * n));
    size_t written = dev_standing_write(list, n, again);
    dr_assert(len == 0 || (written == len && memcmp(again, data, len) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len == 0) {
        return 0;
    }
    switch (data[0] % 4) {
    case 0:
        cache(data + 1, len - 1);
        break;
    case 1:
        presub(data + 1, len - 1);
        break;
    case 2:
        seen(data + 1, len - 1);
        break;
    default:
        standing(data + 1, len - 1);
        break;
    }
    return 0;
}
