/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

#define DYNBUF_FIRST 64U

void dr_wr_printf(struct dr_wr *wr, const char *fmt, ...)
{
    if (wr->failed) {
        return;
    }
    /* vsnprintf ends with a NUL, for which an exactly full buffer has no room: format beside it
     * then */
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n > dr_wr_left(wr)) {
        wr->failed = true;
        return;
    }
    va_start(ap, fmt);
    if ((size_t)n < dr_wr_left(wr)) {
        (void)vsnprintf((char *)wr->p, (size_t)n + 1, fmt, ap);
        wr->p += n;
    } else {
        char *text = NULL;
        if (vasprintf(&text, fmt, ap) < 0) {
            wr->failed = true;
        } else {
            dr_wr_put(wr, text, (size_t)n);
            free(text);
        }
    }
    va_end(ap);
}

void dr_dynbuf_init(struct dr_dynbuf *b, size_t max)
{
    dr_assert(b != NULL && max < SIZE_MAX / 2);
    *b = (struct dr_dynbuf){.max = max};
}

void dr_dynbuf_fini(struct dr_dynbuf *b)
{
    if (b != NULL) {
        free(b->p);
        *b = (struct dr_dynbuf){.max = b->max};
    }
}

void dr_dynbuf_reset(struct dr_dynbuf *b)
{
    dr_assert(b != NULL);
    b->err = DR_OK;
    dr_dynbuf_truncate(b, 0);
}

/* Room for len more bytes and the NUL behind them. */
static bool grow(struct dr_dynbuf *b, size_t len)
{
    if (b->err != DR_OK) {
        return false;
    }
    if (len > b->max - b->len) {
        b->err = DR_ERR_TOO_LARGE;
        return false;
    }
    size_t need = b->len + len + 1;
    if (need <= b->cap) {
        return true;
    }
    size_t cap = b->cap == 0 ? DYNBUF_FIRST : b->cap;
    while (cap < need) {
        cap *= 2;
    }
    if (cap > b->max + 1) {
        cap = b->max + 1;
    }
    uint8_t *p = realloc(b->p, cap);
    if (p == NULL) {
        b->err = DR_ERR_NOMEM;
        return false;
    }
    b->p = p;
    b->cap = cap;
    return true;
}

uint8_t *dr_dynbuf_reserve(struct dr_dynbuf *b, size_t len)
{
    dr_assert(b != NULL);
    if (!grow(b, len)) {
        return NULL;
    }
    uint8_t *p = b->p + b->len;
    b->len += len;
    b->p[b->len] = 0;
    return p;
}

void dr_dynbuf_append(struct dr_dynbuf *b, const void *data, size_t len)
{
    uint8_t *p = dr_dynbuf_reserve(b, len);

    if (p != NULL && len != 0) {
        memcpy(p, data, len);
    }
}

void dr_dynbuf_append_bytes(struct dr_dynbuf *b, struct dr_bytes data)
{
    dr_dynbuf_append(b, data.p, data.len);
}

void dr_dynbuf_append_str(struct dr_dynbuf *b, const char *s)
{
    dr_dynbuf_append(b, s, strlen(s));
}

void dr_dynbuf_append_char(struct dr_dynbuf *b, char c)
{
    dr_dynbuf_append(b, &c, 1);
}

void dr_dynbuf_vprintf(struct dr_dynbuf *b, const char *fmt, va_list ap)
{
    dr_assert(b != NULL && fmt != NULL);
    va_list again;
    va_copy(again, ap);
    size_t room = b->cap - b->len;
    int n = vsnprintf(room == 0 ? NULL : (char *)b->p + b->len, room, fmt, ap);
    dr_assert(n >= 0);
    if (grow(b, (size_t)n)) {
        if ((size_t)n >= room) {
            (void)vsnprintf((char *)b->p + b->len, (size_t)n + 1, fmt, again);
        }
        b->len += (size_t)n;
    } else if (b->cap != 0) {
        b->p[b->len] = 0; /* nothing half written may show */
    }
    va_end(again);
}

void dr_dynbuf_printf(struct dr_dynbuf *b, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    dr_dynbuf_vprintf(b, fmt, ap);
    va_end(ap);
}

void dr_dynbuf_truncate(struct dr_dynbuf *b, size_t len)
{
    dr_assert(b != NULL && len <= b->len);
    b->len = len;
    if (b->cap != 0) {
        b->p[len] = 0;
    }
}

void dr_dynbuf_consume(struct dr_dynbuf *b, size_t len)
{
    dr_assert(b != NULL && len <= b->len);
    if (len != 0) {
        memmove(b->p, b->p + len, b->len - len);
        dr_dynbuf_truncate(b, b->len - len);
    }
}

dr_err_t dr_dynbuf_err(const struct dr_dynbuf *b)
{
    dr_assert(b != NULL);
    return b->err;
}

const char *dr_dynbuf_str(const struct dr_dynbuf *b)
{
    dr_assert(b != NULL);
    return b->p == NULL ? "" : (const char *)b->p;
}

dr_err_t dr_dynbuf_take(struct dr_dynbuf *b, char **ret, size_t *ret_len)
{
    dr_assert(b != NULL && ret != NULL);
    (void)grow(b, 0); /* an empty text is memory too */
    dr_err_t err = b->err;
    if (err != DR_OK) {
        dr_dynbuf_fini(b);
        return err;
    }
    b->p[b->len] = 0;
    *ret = (char *)b->p;
    if (ret_len != NULL) {
        *ret_len = b->len;
    }
    dr_dynbuf_init(b, b->max);
    return DR_OK;
}
