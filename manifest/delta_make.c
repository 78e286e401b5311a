/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The container is drawn in delta.c. Finding what both images share:
 *  1. a suffix array of the old image (prefix doubling, each round two counting sorts);
 *  2. walk the new image; where a match is found that beats going on at the present offset by
 *     enough, it becomes an anchor;
 *  3. between two anchors, the first is stretched forward and the second backward as long as more
 *     than half of the octets agree (those become small differences); the rest is new data.
 */
#include "manifest/delta.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <lz4.h>

#include "manifest/delta_priv.h"

#define GAIN_MIN 8  /* octets that a new offset must win */
#define JUMP_MIN 32 /* shorter matches are looked at octet by octet */

struct image {
    const uint8_t *p;
    int64_t len;
};

struct maker {
    struct image old, new_image;
    int32_t *suffixes; /**< owned; places of the old image in order of what follows */
    size_t frame, largest;
    uint8_t *chunk, *packed; /**< owned, frame octets each */
    struct dr_dynbuf *out;
};

/* ---- suffix array ---- */

struct sorter {
    int32_t *sa, *rank, *next, *count;
    int32_t n, buckets;
};

/* Order next[] by rank, stable, into sa[]. */
static void sort_by_rank(struct sorter *t)
{
    memset(t->count, 0, (size_t)t->buckets * sizeof *t->count);
    for (int32_t i = 0; i < t->n; i++) {
        t->count[t->rank[i]]++;
    }
    for (int32_t b = 1; b < t->buckets; b++) {
        t->count[b] += t->count[b - 1];
    }
    for (int32_t i = t->n - 1; i >= 0; i--) {
        t->sa[--t->count[t->rank[t->next[i]]]] = t->next[i];
    }
}

static bool same_pair(const struct sorter *t, int32_t a, int32_t b, int32_t k)
{
    int32_t a2 = a + k < t->n ? t->rank[a + k] : -1;
    int32_t b2 = b + k < t->n ? t->rank[b + k] : -1;

    return t->rank[a] == t->rank[b] && a2 == b2;
}

/* One round: from order by the first k octets to order by 2k. Returns how many ranks there are. */
static int32_t double_up(struct sorter *t, int32_t k)
{
    int32_t at = 0, ranks = 0;

    for (int32_t i = t->n - k; i < t->n; i++) {
        t->next[at++] = i;
    }
    for (int32_t i = 0; i < t->n; i++) {
        if (t->sa[i] >= k) {
            t->next[at++] = t->sa[i] - k;
        }
    }
    sort_by_rank(t);
    t->next[t->sa[0]] = 0;
    for (int32_t i = 1; i < t->n; i++) {
        ranks += same_pair(t, t->sa[i - 1], t->sa[i], k) ? 0 : 1;
        t->next[t->sa[i]] = ranks;
    }
    int32_t *swap = t->rank;
    t->rank = t->next;
    t->next = swap;
    return ranks + 1;
}

static dr_err_t sort_suffixes(struct image old, int32_t **ret)
{
    size_t n = (size_t)old.len, buckets = n > 256 ? n : 256;
    struct sorter t = {.sa = malloc((n + 1) * sizeof(int32_t)),
                       .rank = malloc((n + 1) * sizeof(int32_t)),
                       .next = malloc((n + 1) * sizeof(int32_t)),
                       .count = malloc(buckets * sizeof(int32_t)),
                       .n = (int32_t)n,
                       .buckets = (int32_t)buckets};
    dr_err_t err = DR_ERR_NOMEM;

    if (t.sa != NULL && t.rank != NULL && t.next != NULL && t.count != NULL) {
        for (int32_t i = 0; i < t.n; i++) {
            t.rank[i] = old.p[i];
            t.next[i] = i;
        }
        if (t.n > 0) {
            sort_by_rank(&t);
            int32_t ranks = 0;
            for (int32_t k = 1; ranks < t.n && k < t.n; k *= 2) {
                ranks = double_up(&t, k);
            }
        }
        *ret = t.sa;
        t.sa = NULL;
        err = DR_OK;
    }
    free(t.sa);
    free(t.rank);
    free(t.next);
    free(t.count);
    return err;
}

/* ---- matches ---- */

static int64_t common(const struct maker *k, int64_t old_at, int64_t new_at)
{
    int64_t n = 0;

    while (old_at + n < k->old.len && new_at + n < k->new_image.len &&
           k->old.p[old_at + n] == k->new_image.p[new_at + n]) {
        n++;
    }
    return n;
}

/* Does the old image from @p old_at sort before the new one from @p new_at? */
static bool before(const struct maker *k, int64_t old_at, int64_t new_at)
{
    int64_t n = common(k, old_at, new_at);

    if (old_at + n == k->old.len) {
        return new_at + n < k->new_image.len;
    }
    return new_at + n < k->new_image.len && k->old.p[old_at + n] < k->new_image.p[new_at + n];
}

/* Longest match of the new image from @p new_at anywhere in the old one. */
static int64_t longest(const struct maker *k, int64_t new_at, int64_t *ret_old)
{
    int64_t low = 0, high = k->old.len, best = 0;

    while (low < high) {
        int64_t mid = low + (high - low) / 2;
        if (before(k, k->suffixes[mid], new_at)) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    for (int64_t i = low - 1; i <= low; i++) {
        int64_t n = i >= 0 && i < k->old.len ? common(k, k->suffixes[i], new_at) : 0;
        if (n > best) {
            best = n;
            *ret_old = k->suffixes[i];
        }
    }
    return best;
}

static bool agree(const struct maker *k, int64_t old_at, int64_t new_at)
{
    return old_at >= 0 && old_at < k->old.len && k->old.p[old_at] == k->new_image.p[new_at];
}

struct anchor {
    int64_t old_at, new_at, len;
};

/* The next place from @p from where another offset than @p offset pays; len 0 at the end. */
static struct anchor next_anchor(const struct maker *k, int64_t from, int64_t offset)
{
    struct anchor a = {.new_at = from};
    int64_t kept = 0, counted = from; /* octets that agree at the present offset in the match */

    for (; a.new_at < k->new_image.len; a.new_at++) {
        a.len = longest(k, a.new_at, &a.old_at);
        for (; counted < a.new_at + a.len; counted++) {
            kept += agree(k, counted + offset, counted) ? 1 : 0;
        }
        if (a.len > kept + GAIN_MIN) {
            return a;
        }
        /* The present offset does about as well: jump over what is alike, over half of it when only
         * nearly so. Without that, long runs would be searched again from each of their octets. */
        int64_t alike = a.len < kept ? a.len : kept;
        int64_t jump = a.len == kept ? a.len : alike >= JUMP_MIN ? alike / 2 : 0;
        if (jump > 0) {
            a.new_at += jump - 1;
            kept = 0;
            counted = a.new_at + 1;
            continue;
        }
        if (counted > a.new_at) {
            kept -= agree(k, a.new_at + offset, a.new_at) ? 1 : 0;
        } else {
            counted = a.new_at + 1;
        }
    }
    a.len = 0;
    return a;
}

/* How far the match at (old, new) stretches forward, at most @p limit octets. */
static int64_t stretch_forward(const struct maker *k, int64_t old_at, int64_t new_at, int64_t limit)
{
    int64_t hits = 0, best = 0, best_len = 0;

    for (int64_t i = 0; i < limit && old_at + i < k->old.len; i++) {
        hits += agree(k, old_at + i, new_at + i) ? 1 : 0;
        if (hits * 2 - (i + 1) > best) {
            best = hits * 2 - (i + 1);
            best_len = i + 1;
        }
    }
    return best_len;
}

static int64_t stretch_backward(const struct maker *k, struct anchor a, int64_t limit)
{
    int64_t hits = 0, best = 0, best_len = 0;

    for (int64_t i = 1; i <= limit && i <= a.old_at; i++) {
        hits += agree(k, a.old_at - i, a.new_at - i) ? 1 : 0;
        if (hits * 2 - i > best) {
            best = hits * 2 - i;
            best_len = i;
        }
    }
    return best_len;
}

/* Where both stretches overlap: how many octets of the overlap the first one keeps. */
static int64_t split_overlap(const struct maker *k, int64_t old_first, int64_t old_second,
                             int64_t new_at, int64_t overlap)
{
    int64_t lead = 0, best = 0, best_len = 0;

    for (int64_t i = 0; i < overlap; i++) {
        lead += agree(k, old_first + i, new_at + i) ? 1 : 0;
        lead -= agree(k, old_second + i, new_at + i) ? 1 : 0;
        if (lead > best) {
            best = lead;
            best_len = i + 1;
        }
    }
    return best_len;
}

/* ---- output ---- */

static void put_varint(struct dr_dynbuf *out, uint64_t v)
{
    for (; v >= 0x80; v >>= 7) {
        dr_dynbuf_append_char(out, (char)(0x80 | (v & 0x7f)));
    }
    dr_dynbuf_append_char(out, (char)v);
}

static void put_signed(struct dr_dynbuf *out, int64_t v)
{
    put_varint(out, v < 0 ? (uint64_t)-v << 1 | 1 : (uint64_t)v << 1);
}

/* @p old_at < 0: new data as it is, else differences. */
static dr_err_t put_frames(struct maker *k, int64_t old_at, int64_t new_at, int64_t len)
{
    while (len > 0) {
        int take = len < (int64_t)k->frame ? (int)len : (int)k->frame;
        for (int i = 0; i < take; i++) {
            uint8_t base = old_at < 0 ? 0 : k->old.p[old_at + i];
            k->chunk[i] = (uint8_t)(k->new_image.p[new_at + i] - base);
        }
        int n =
            LZ4_compress_destSize((const char *)k->chunk, (char *)k->packed, &take, (int)k->frame);
        if (n <= 0 || take <= 0) {
            return DR_ERR_INTERNAL;
        }
        put_varint(k->out, (uint64_t)n);
        dr_dynbuf_append(k->out, k->packed, (size_t)n);
        k->largest = (size_t)n > k->largest ? (size_t)n : k->largest;
        new_at += take;
        len -= take;
        old_at += old_at < 0 ? 0 : take;
    }
    return dr_dynbuf_err(k->out);
}

static void store_number(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++) {
        p[i] = (uint8_t)(v >> (8 * i));
    }
}

static dr_err_t put_record(struct maker *k, struct anchor last, int64_t diff, int64_t extra,
                           int64_t seek)
{
    put_varint(k->out, (uint64_t)diff);
    put_varint(k->out, (uint64_t)extra);
    put_signed(k->out, seek);
    dr_err_t err = put_frames(k, last.old_at, last.new_at, diff);
    if (err == DR_OK) {
        err = put_frames(k, -1, last.new_at + diff, extra);
    }
    return err;
}

static dr_err_t put_records(struct maker *k)
{
    struct anchor last = {0}; /* len: what of it is known to agree exactly */
    dr_err_t err = DR_OK;

    while (err == DR_OK && last.new_at < k->new_image.len) {
        struct anchor a = next_anchor(k, last.new_at + last.len, last.old_at - last.new_at);
        int64_t room = a.new_at - last.new_at;
        int64_t diff = stretch_forward(k, last.old_at, last.new_at, room);
        int64_t back = a.len == 0 ? 0 : stretch_backward(k, a, room);
        int64_t overlap = diff + back - room;
        if (overlap > 0) {
            int64_t keep = split_overlap(k, last.old_at + diff - overlap, a.old_at - back,
                                         last.new_at + diff - overlap, overlap);
            diff += keep - overlap;
            back -= keep;
        }
        int64_t seek = a.len == 0 ? 0 : a.old_at - back - (last.old_at + diff);
        err = put_record(k, last, diff, room - back - diff, seek);
        last = (struct anchor){
            .old_at = a.old_at - back, .new_at = a.new_at - back, .len = a.len + back};
    }
    return err;
}

static dr_err_t make(struct maker *k)
{
    uint8_t header[MANIFEST_DELTA_HEADER_LEN] = {0};
    size_t start = k->out->len;

    memcpy(header, MANIFEST_DELTA_MAGIC, MANIFEST_DELTA_MAGIC_LEN);
    store_number(header + 16, (uint64_t)k->new_image.len);
    store_number(header + 24, k->frame);
    dr_dynbuf_append(k->out, header, sizeof header);
    dr_err_t err = dr_dynbuf_err(k->out);
    if (err == DR_OK) {
        err = put_records(k);
    }
    if (err == DR_OK) {
        store_number(k->out->p + start + 32, k->largest);
    }
    return err;
}

dr_err_t manifest_delta_create(struct dr_bytes old, struct dr_bytes new_image, size_t frame,
                               struct dr_dynbuf *ret)
{
    struct maker k = {.old = {old.p, (int64_t)old.len},
                      .new_image = {new_image.p, (int64_t)new_image.len},
                      .frame = frame,
                      .out = ret};

    dr_assert(ret != NULL);
    if (new_image.len == 0 || frame < MANIFEST_DELTA_FRAME_MIN ||
        frame > MANIFEST_DELTA_FRAME_MAX) {
        return DR_ERR_INVAL;
    }
    if (old.len > MANIFEST_DELTA_IMAGE_MAX || new_image.len > MANIFEST_DELTA_IMAGE_MAX) {
        return DR_ERR_TOO_LARGE;
    }
    dr_err_t err = sort_suffixes(k.old, &k.suffixes);
    if (err == DR_OK) {
        k.chunk = malloc(frame);
        k.packed = malloc(frame);
        err = k.chunk == NULL || k.packed == NULL ? DR_ERR_NOMEM : make(&k);
    }
    free(k.suffixes);
    free(k.chunk);
    free(k.packed);
    return err;
}
