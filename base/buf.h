/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  base/buf.h
 * @brief Byte slices, checked read and write cursors, and a growing buffer with a maximum.
 *
 * Layer: base, pure.  Threads: reentrant, no state.  Memory: only dr_dynbuf allocates; all else
 * borrows. Limits: dr_dynbuf has its maximum from init.  Security: input is hostile and never
 * asserted on. Spec: none; numbers are big endian.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"

/** Borrowed bytes; @c p may be NULL when @c len is 0. */
struct dr_bytes {
    const uint8_t *p;
    size_t len;
};

static inline struct dr_bytes dr_bytes_of(const void *p, size_t len)
{
    return (struct dr_bytes){.p = (const uint8_t *)p, .len = len};
}

/** The characters of a C string, without its NUL. */
static inline struct dr_bytes dr_bytes_str(const char *s)
{
    return dr_bytes_of(s, strlen(s));
}

/** Same length and bytes. Not constant time: for secrets use dr_ct_equal(). */
static inline bool dr_bytes_eq(struct dr_bytes a, struct dr_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

static inline bool dr_bytes_eq_str(struct dr_bytes a, const char *s)
{
    return dr_bytes_eq(a, dr_bytes_str(s));
}

/**
 * Reading cursor. An access past the end sets @c failed for good, moves nothing and yields 0 or an
 * empty slice, so a parser may read a whole header and look at dr_rd_ok() once.
 */
struct dr_rd {
    const uint8_t *p;   /**< next byte, borrowed */
    const uint8_t *end; /**< one past the last byte */
    bool failed;
};

static inline struct dr_rd dr_rd_of(const void *p, size_t len)
{
    const uint8_t *b = (const uint8_t *)p;

    return (struct dr_rd){.p = b, .end = len == 0 ? b : b + len};
}

static inline struct dr_rd dr_rd_bytes_of(struct dr_bytes b)
{
    return dr_rd_of(b.p, b.len);
}

static inline size_t dr_rd_left(const struct dr_rd *rd)
{
    return (size_t)(rd->end - rd->p);
}

static inline bool dr_rd_ok(const struct dr_rd *rd)
{
    return !rd->failed;
}

/** True when everything was read and nothing failed. */
static inline bool dr_rd_done(const struct dr_rd *rd)
{
    return !rd->failed && rd->p == rd->end;
}

/** DR_OK, or DR_ERR_PROTO after an access past the end. */
static inline DR_CHECK dr_err_t dr_rd_err(const struct dr_rd *rd)
{
    return rd->failed ? DR_ERR_PROTO : DR_OK;
}

/** The next @p len bytes, or an empty slice with @c failed set. */
static inline struct dr_bytes dr_rd_bytes(struct dr_rd *rd, size_t len)
{
    if (rd->failed || dr_rd_left(rd) < len) {
        rd->failed = true;
        return (struct dr_bytes){0};
    }
    struct dr_bytes b = {.p = rd->p, .len = len};
    if (len != 0) {
        rd->p += len;
    }
    return b;
}

/** All that is left. */
static inline struct dr_bytes dr_rd_rest(struct dr_rd *rd)
{
    return dr_rd_bytes(rd, rd->failed ? 0 : dr_rd_left(rd));
}

/** A cursor over the next @p len bytes, which are skipped here; failed when they are not there. */
static inline struct dr_rd dr_rd_sub(struct dr_rd *rd, size_t len)
{
    struct dr_rd sub = dr_rd_bytes_of(dr_rd_bytes(rd, len));

    sub.failed = rd->failed;
    return sub;
}

static inline void dr_rd_skip(struct dr_rd *rd, size_t len)
{
    (void)dr_rd_bytes(rd, len);
}

/** Copy @p len bytes to @p out; @p out is untouched on failure. */
static inline void dr_rd_copy(struct dr_rd *rd, void *out, size_t len)
{
    struct dr_bytes b = dr_rd_bytes(rd, len);

    if (b.len != 0) {
        memcpy(out, b.p, b.len);
    }
}

/** Big-endian number of @p n bytes (1..8). */
static inline uint64_t dr_rd_be(struct dr_rd *rd, size_t n)
{
    struct dr_bytes b = dr_rd_bytes(rd, n);
    uint64_t v = 0;

    for (size_t i = 0; i < b.len; i++) {
        v = v << 8 | b.p[i];
    }
    return v;
}

static inline uint8_t dr_rd_u8(struct dr_rd *rd)
{
    return (uint8_t)dr_rd_be(rd, 1);
}

static inline uint16_t dr_rd_u16(struct dr_rd *rd)
{
    return (uint16_t)dr_rd_be(rd, 2);
}

static inline uint32_t dr_rd_u24(struct dr_rd *rd)
{
    return (uint32_t)dr_rd_be(rd, 3);
}

static inline uint32_t dr_rd_u32(struct dr_rd *rd)
{
    return (uint32_t)dr_rd_be(rd, 4);
}

static inline uint64_t dr_rd_u48(struct dr_rd *rd)
{
    return dr_rd_be(rd, 6);
}

static inline uint64_t dr_rd_u64(struct dr_rd *rd)
{
    return dr_rd_be(rd, 8);
}

/** The next byte without taking it; 0 and @c failed at the end. */
static inline uint8_t dr_rd_peek(struct dr_rd *rd)
{
    if (rd->failed || rd->p == rd->end) {
        rd->failed = true;
        return 0;
    }
    return *rd->p;
}

/**
 * Writing cursor over a fixed buffer. A write that does not fit sets @c failed for good and writes
 * nothing, so a message may be built first and dr_wr_err() looked at once.
 */
struct dr_wr {
    uint8_t *start; /**< first byte, borrowed */
    uint8_t *p;     /**< where the next byte goes */
    uint8_t *end;   /**< one past the room */
    bool failed;
};

static inline struct dr_wr dr_wr_of(void *buf, size_t cap)
{
    uint8_t *b = (uint8_t *)buf;

    return (struct dr_wr){.start = b, .p = b, .end = cap == 0 ? b : b + cap};
}

static inline size_t dr_wr_len(const struct dr_wr *wr)
{
    return (size_t)(wr->p - wr->start);
}

static inline size_t dr_wr_left(const struct dr_wr *wr)
{
    return (size_t)(wr->end - wr->p);
}

static inline bool dr_wr_ok(const struct dr_wr *wr)
{
    return !wr->failed;
}

/** DR_OK, or DR_ERR_NOSPACE after a write that did not fit. */
static inline DR_CHECK dr_err_t dr_wr_err(const struct dr_wr *wr)
{
    return wr->failed ? DR_ERR_NOSPACE : DR_OK;
}

/** What was written so far. */
static inline struct dr_bytes dr_wr_bytes(const struct dr_wr *wr)
{
    return dr_bytes_of(wr->start, dr_wr_len(wr));
}

/** Room for @p len bytes that the caller fills (contents undefined), or NULL with @c failed set. */
static inline uint8_t *dr_wr_reserve(struct dr_wr *wr, size_t len)
{
    if (wr->failed || dr_wr_left(wr) < len) {
        wr->failed = true;
        return NULL;
    }
    uint8_t *p = wr->p;
    if (len != 0) {
        wr->p += len;
    }
    return p;
}

static inline void dr_wr_put(struct dr_wr *wr, const void *data, size_t len)
{
    uint8_t *p = dr_wr_reserve(wr, len);

    if (p != NULL && len != 0) {
        memcpy(p, data, len);
    }
}

static inline void dr_wr_put_bytes(struct dr_wr *wr, struct dr_bytes b)
{
    dr_wr_put(wr, b.p, b.len);
}

static inline void dr_wr_put_str(struct dr_wr *wr, const char *s)
{
    dr_wr_put(wr, s, strlen(s));
}

/** Store @p v big endian in @p n bytes (1..8) at @p p, which the caller has reserved. */
static inline void dr_store_be(uint8_t *p, uint64_t v, size_t n)
{
    for (size_t i = n; i > 0; i--) {
        p[i - 1] = (uint8_t)v;
        v >>= 8;
    }
}

static inline void dr_wr_be(struct dr_wr *wr, uint64_t v, size_t n)
{
    uint8_t *p = dr_wr_reserve(wr, n);

    if (p != NULL) {
        dr_store_be(p, v, n);
    }
}

static inline void dr_wr_u8(struct dr_wr *wr, uint8_t v)
{
    dr_wr_be(wr, v, 1);
}

static inline void dr_wr_u16(struct dr_wr *wr, uint16_t v)
{
    dr_wr_be(wr, v, 2);
}

static inline void dr_wr_u24(struct dr_wr *wr, uint32_t v)
{
    dr_wr_be(wr, v, 3);
}

static inline void dr_wr_u32(struct dr_wr *wr, uint32_t v)
{
    dr_wr_be(wr, v, 4);
}

static inline void dr_wr_u48(struct dr_wr *wr, uint64_t v)
{
    dr_wr_be(wr, v, 6);
}

static inline void dr_wr_u64(struct dr_wr *wr, uint64_t v)
{
    dr_wr_be(wr, v, 8);
}

/** printf into the room that is left (no NUL is counted). */
void dr_wr_printf(struct dr_wr *wr, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/**
 * Growing buffer. Errors are sticky: after one, every append does nothing and dr_dynbuf_err() tells
 * (DR_ERR_TOO_LARGE past the maximum, DR_ERR_NOMEM). Once non-empty it is always followed by a NUL
 * that is not counted.
 */
struct dr_dynbuf {
    uint8_t *p; /**< owned; NULL while empty */
    size_t len;
    size_t cap;
    size_t max; /**< most bytes @c len may reach */
    dr_err_t err;
};

/** @param max  most bytes it may ever hold (without the NUL) */
void dr_dynbuf_init(struct dr_dynbuf *b, size_t max);

/** Free the memory; the buffer may be used again with the same maximum. NULL is allowed. */
void dr_dynbuf_fini(struct dr_dynbuf *b);

/** Forget the contents and the error, keep the memory. */
void dr_dynbuf_reset(struct dr_dynbuf *b);

void dr_dynbuf_append(struct dr_dynbuf *b, const void *data, size_t len);
void dr_dynbuf_append_bytes(struct dr_dynbuf *b, struct dr_bytes data);
void dr_dynbuf_append_str(struct dr_dynbuf *b, const char *s);
void dr_dynbuf_append_char(struct dr_dynbuf *b, char c);
void dr_dynbuf_printf(struct dr_dynbuf *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void dr_dynbuf_vprintf(struct dr_dynbuf *b, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

/** Room for @p len more bytes that the caller fills at once; NULL after an error. */
uint8_t *dr_dynbuf_reserve(struct dr_dynbuf *b, size_t len);

/** Cut back to @p len bytes (no more than it holds). */
void dr_dynbuf_truncate(struct dr_dynbuf *b, size_t len);

/** Remove the first @p len bytes (no more than it holds). */
void dr_dynbuf_consume(struct dr_dynbuf *b, size_t len);

DR_CHECK dr_err_t dr_dynbuf_err(const struct dr_dynbuf *b);

static inline struct dr_bytes dr_dynbuf_bytes(const struct dr_dynbuf *b)
{
    return dr_bytes_of(b->p, b->len);
}

/** The contents as a C string, "" while empty; borrowed until the next change. */
const char *dr_dynbuf_str(const struct dr_dynbuf *b);

/**
 * Take the memory out; the buffer is empty afterwards.
 * @param ret      the caller frees it with free(); NUL follows; never NULL on success
 * @param ret_len  bytes without the NUL; may be NULL
 * @return the sticky error, if there was one (the contents are freed then)
 */
DR_CHECK dr_err_t dr_dynbuf_take(struct dr_dynbuf *b, char **ret, size_t *ret_len);
