/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/cache.h"

#include <stdlib.h>
#include <string.h>

/*
 * A value, big endian: path 8 | unix ms 6 | max-age 4 | content format 2 | length 2 | bytes.
 * /3/0/9 = "87", text, at 1700000000000, max-age 60:
 *   0004 0001 000a 0000  018bcfe56800  0000003c  0000  0002  3837
 */
#define HEAD 22

static void entry_read(const uint8_t *p, struct dev_cached *ret)
{
    struct dr_rd rd = dr_rd_of(p, HEAD);

    ret->path = dr_rd_u64(&rd);
    ret->at_ms = (int64_t)dr_rd_u48(&rd);
    ret->max_age_s = dr_rd_u32(&rd);
    ret->ct = dr_rd_u16(&rd);
    ret->payload = dr_bytes_of(p + HEAD, dr_rd_u16(&rd));
}

/* Offset of the value of @p path, or cache->len. */
static size_t entry_find(const struct dev_cache *cache, uint64_t path, struct dev_cached *ret)
{
    size_t at = 0;

    while (at < cache->len) {
        entry_read(cache->bytes + at, ret);
        if (ret->path == path) {
            return at;
        }
        at += HEAD + ret->payload.len;
    }
    return at;
}

static void entry_remove(struct dev_cache *cache, size_t at, size_t size)
{
    dr_assert(at + size <= cache->len);
    memmove(cache->bytes + at, cache->bytes + at + size, cache->len - at - size);
    cache->len = (uint16_t)(cache->len - size);
    cache->count--;
}

static void oldest_remove(struct dev_cache *cache)
{
    size_t oldest = 0;
    size_t size = 0;
    int64_t oldest_ms = INT64_MAX;

    for (size_t at = 0; at < cache->len;) {
        struct dev_cached v;
        entry_read(cache->bytes + at, &v);
        if (v.at_ms < oldest_ms) {
            oldest_ms = v.at_ms;
            oldest = at;
            size = HEAD + v.payload.len;
        }
        at += HEAD + v.payload.len;
    }
    if (size != 0) {
        entry_remove(cache, oldest, size);
    }
}

static dr_err_t room_make(struct dev_cache **cache, size_t need)
{
    struct dev_cache *c = *cache;
    size_t len = c == NULL ? 0 : c->len;

    if (c != NULL && len + need <= c->cap) {
        return DR_OK;
    }
    size_t cap = len + need + (len >= 256 ? 64 : 0);
    if (cap > DEV_CACHE_BYTES_MAX) {
        cap = DEV_CACHE_BYTES_MAX;
    }
    struct dev_cache *bigger = realloc(c, sizeof *c + cap);
    if (bigger == NULL) {
        return DR_ERR_NOMEM;
    }
    if (c == NULL) {
        *bigger = (struct dev_cache){0};
    }
    bigger->cap = (uint16_t)cap;
    *cache = bigger;
    return DR_OK;
}

dr_err_t dev_cache_put(struct dev_cache **cache, const struct dev_cached *value)
{
    dr_assert(cache != NULL && value != NULL);
    size_t size = HEAD + value->payload.len;
    struct dev_cached old = {0};

    if (value->payload.len > DEV_CACHE_VALUE_MAX) {
        if (*cache != NULL) {
            dev_cache_drop(*cache, value->path, value->path);
        }
        return DR_ERR_TOO_LARGE;
    }
    if (*cache != NULL) {
        size_t at = entry_find(*cache, value->path, &old);
        if (at < (*cache)->len && old.payload.len == value->payload.len) {
            struct dr_wr wr = dr_wr_of((*cache)->bytes + at, size);
            dr_wr_u64(&wr, value->path);
            dr_wr_u48(&wr, (uint64_t)value->at_ms);
            dr_wr_u32(&wr, value->max_age_s);
            dr_wr_u16(&wr, value->ct);
            dr_wr_u16(&wr, (uint16_t)value->payload.len);
            dr_wr_put_bytes(&wr, value->payload);
            return DR_OK;
        }
        if (at < (*cache)->len) {
            entry_remove(*cache, at, HEAD + old.payload.len);
        }
        while ((*cache)->count >= DEV_CACHE_VALUES_MAX ||
               (*cache)->len + size > DEV_CACHE_BYTES_MAX) {
            oldest_remove(*cache);
        }
    }
    dr_err_t err = room_make(cache, size);
    if (err != DR_OK) {
        return err;
    }
    struct dev_cache *c = *cache;
    struct dr_wr wr = dr_wr_of(c->bytes + c->len, size);
    dr_wr_u64(&wr, value->path);
    dr_wr_u48(&wr, (uint64_t)value->at_ms);
    dr_wr_u32(&wr, value->max_age_s);
    dr_wr_u16(&wr, value->ct);
    dr_wr_u16(&wr, (uint16_t)value->payload.len);
    dr_wr_put_bytes(&wr, value->payload);
    dr_assert(dr_wr_ok(&wr));
    c->len = (uint16_t)(c->len + size);
    c->count++;
    return DR_OK;
}

bool dev_cache_get(const struct dev_cache *cache, uint64_t path, struct dev_cached *ret)
{
    struct dev_cached v;

    if (cache == NULL || entry_find(cache, path, &v) == cache->len) {
        return false;
    }
    *ret = v;
    return true;
}

bool dev_cache_at(const struct dev_cache *cache, size_t i, struct dev_cached *ret)
{
    struct dev_cached v;

    for (size_t at = 0; cache != NULL && at < cache->len; at += HEAD + v.payload.len) {
        entry_read(cache->bytes + at, &v);
        if (i-- == 0) {
            *ret = v;
            return true;
        }
    }
    return false;
}

void dev_cache_drop(struct dev_cache *cache, uint64_t first, uint64_t last)
{
    for (size_t at = 0; cache != NULL && at < cache->len;) {
        struct dev_cached v;
        entry_read(cache->bytes + at, &v);
        if (v.path >= first && v.path <= last) {
            entry_remove(cache, at, HEAD + v.payload.len);
        } else {
            at += HEAD + v.payload.len;
        }
    }
}

struct dr_bytes dev_cache_bytes(const struct dev_cache *cache)
{
    if (cache == NULL) {
        return dr_bytes_of(NULL, 0);
    }
    return dr_bytes_of(cache->bytes, cache->len);
}

dr_err_t dev_cache_load(struct dr_bytes in, struct dev_cache **ret)
{
    struct dr_rd rd = dr_rd_bytes_of(in);
    uint16_t count = 0;

    if (in.len == 0) {
        *ret = NULL;
        return DR_OK;
    }
    if (in.len > DEV_CACHE_BYTES_MAX) {
        return DR_ERR_CORRUPT;
    }
    while (dr_rd_ok(&rd) && dr_rd_left(&rd) > 0) {
        dr_rd_skip(&rd, HEAD - 2);
        dr_rd_skip(&rd, dr_rd_u16(&rd));
        count++;
    }
    if (!dr_rd_ok(&rd) || count > DEV_CACHE_VALUES_MAX) {
        return DR_ERR_CORRUPT;
    }
    struct dev_cache *c = malloc(sizeof *c + in.len);
    if (c == NULL) {
        return DR_ERR_NOMEM;
    }
    *c = (struct dev_cache){
        .len = (uint16_t)in.len,
        .cap = (uint16_t)in.len,
        .count = count,
    };
    memcpy(c->bytes, in.p, in.len);
    *ret = c;
    return DR_OK;
}
