/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/body.h"

#include <stdlib.h>
#include <string.h>

struct cx_body *cx_body_new(const uint8_t *bytes, size_t len, const uint8_t *etag, size_t etag_len,
                            void (*release)(void *data), void *data)
{
    dr_assert((bytes != NULL || len == 0) && etag_len <= CX_ETAG_MAX && len <= UINT32_MAX);
    struct cx_body *b = calloc(1, sizeof *b);
    if (b == NULL) {
        return NULL;
    }
    atomic_init(&b->refs, 1);
    b->bytes = bytes;
    b->len = len;
    b->etag_len = (uint8_t)etag_len;
    if (etag_len > 0) {
        memcpy(b->etag, etag, etag_len);
    }
    b->release = release;
    b->data = data;
    return b;
}

struct cx_body *cx_body_ref(struct cx_body *body)
{
    dr_assert(body != NULL);
    unsigned before = atomic_fetch_add_explicit(&body->refs, 1, memory_order_relaxed);
    dr_assert(before > 0);
    return body;
}

struct dr_bytes cx_body_bytes(const struct cx_body *body)
{
    dr_assert(body != NULL);
    return dr_bytes_of(body->bytes, body->len);
}

struct cx_body *cx_body_unref(struct cx_body *body)
{
    if (body == NULL) {
        return NULL;
    }
    unsigned before = atomic_fetch_sub_explicit(&body->refs, 1, memory_order_acq_rel);
    dr_assert(before > 0);
    if (before == 1) {
        if (body->release != NULL) {
            body->release(body->data);
        }
        free(body);
    }
    return NULL;
}
