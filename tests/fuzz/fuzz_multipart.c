/* SPDX-License-Identifier: Apache-2.0 */
/*
 * First byte: length of the pieces; the first line: Content-Type; the rest: body. However it is
 * cut, the parser says the same, hands out the same bytes, and calls its functions in order.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "rest/multipart.h"

struct seen {
    uint64_t hash;
    size_t bytes;
    unsigned parts;
    bool open;
};

static dr_err_t on_begin(void *data, const struct rest_part *part)
{
    struct seen *s = data;

    dr_assert(!s->open && part->name[0] != '\0' && strchr(part->filename, '/') == NULL);
    s->open = true;
    s->parts++;
    for (const char *p = part->name; *p != '\0'; p++) {
        s->hash = dr_mix64(s->hash + (uint8_t)*p);
    }
    return DR_OK;
}

static dr_err_t on_bytes(void *data, struct dr_bytes bytes)
{
    struct seen *s = data;

    dr_assert(s->open && bytes.len > 0);
    for (size_t i = 0; i < bytes.len; i++) {
        s->hash = dr_mix64(s->hash + bytes.p[i] + 1);
    }
    s->bytes += bytes.len;
    return DR_OK;
}

static dr_err_t on_end(void *data)
{
    struct seen *s = data;

    dr_assert(s->open);
    s->open = false;
    return DR_OK;
}

static const struct rest_multipart_ops ops = {on_begin, on_bytes, on_end};

static dr_err_t parse(const char *type, const uint8_t *body, size_t len, size_t step,
                      struct seen *s)
{
    static struct rest_multipart m;

    *s = (struct seen){0};
    dr_err_t err = rest_multipart_init(&m, type, &ops, s);
    for (size_t at = 0; err == DR_OK && at < len; at += step) {
        err = rest_multipart_feed(&m, dr_bytes_of(body + at, len - at < step ? len - at : step));
    }
    err = err == DR_OK ? rest_multipart_finish(&m) : err;
    dr_assert(err != DR_OK || !s->open);
    dr_assert(s->parts <= REST_MULTIPART_PARTS_MAX && s->bytes <= len);
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen whole, cut;
    char type[256];

    if (size < 1) {
        return 0;
    }
    size_t step = (size_t)data[0] + 1;
    data++;
    size--;
    const uint8_t *line = size == 0 ? NULL : memchr(data, '\n', size);
    size_t n = line == NULL ? 0 : (size_t)(line - data);
    if (line == NULL || n >= sizeof type) {
        return 0;
    }
    memcpy(type, data, n);
    type[n] = '\0';
    size_t left = size - n - 1;
    dr_err_t a = parse(type, line + 1, left, left + 1, &whole);
    dr_err_t b = parse(type, line + 1, left, step, &cut);
    dr_assert(a == b && whole.hash == cut.hash && whole.bytes == cut.bytes &&
              whole.parts == cut.parts && whole.open == cut.open);
    return 0;
}
