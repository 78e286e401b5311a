/* SPDX-License-Identifier: Apache-2.0 */
/*
 * header   "PELION/BSDIFF001", 3 numbers of 8 octets (little endian, sign in the top bit of the
 *          last): size of the new image, frame limit F, largest frame (not used)
 * record   varint x, varint y, signed varint z, frames holding x octets of differences, frames
 *          holding y octets of new data; the place in the old image moves by x, then by z
 * frame    varint c (1..F), c octets of one LZ4 block that yields at most F octets
 * varint   7 bits an octet, low group first, top bit = more; signed: magnitude << 1 | sign
 * example  z = -1 is 03; 300 is AC 02
 * The z of the last record means nothing: the image is complete before it is used.
 */
#include "manifest/delta.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <lz4.h>

#include "manifest/delta_priv.h"

#define VARINT_MAX 7 /* octets */
#define SIZE_LIMIT UINT32_MAX

enum state { HEADER, DIFF_LEN, EXTRA_LEN, SEEK, FRAME_LEN, FRAME, DONE };

struct manifest_delta {
    struct manifest_delta_io io;
    uint64_t new_max;
    size_t frame_max;

    enum state state;
    uint8_t header[MANIFEST_DELTA_HEADER_LEN];
    size_t header_got;

    uint64_t varint;
    unsigned varint_octets;

    uint64_t new_size, written, old_pos;
    uint64_t diff_left, extra_left;
    bool seek_back;
    uint64_t seek;

    size_t frame; /**< F */
    size_t packed_len, packed_got;
    uint8_t *packed, *plain; /**< owned, F octets each */
    uint8_t old[512];
};

dr_err_t manifest_delta_new(const struct manifest_delta_io *io, uint64_t new_max, size_t frame_max,
                            struct manifest_delta **ret)
{
    dr_assert(io != NULL && io->read_old != NULL && io->write_new != NULL && ret != NULL);
    struct manifest_delta *d = calloc(1, sizeof *d);
    if (d == NULL) {
        return DR_ERR_NOMEM;
    }
    d->io = *io;
    d->new_max = new_max;
    d->frame_max = frame_max != 0 ? frame_max : MANIFEST_DELTA_FRAME_MAX;
    *ret = d;
    return DR_OK;
}

struct manifest_delta *manifest_delta_free(struct manifest_delta *d)
{
    if (d != NULL) {
        free(d->packed);
        free(d->plain);
        free(d);
    }
    return NULL;
}

static dr_err_t get_number(const uint8_t *p, uint64_t *ret)
{
    uint64_t v = 0;

    if (p[7] >= 0x80) {
        return DR_ERR_PROTO;
    }
    for (int i = 7; i >= 0; i--) {
        v = v << 8 | p[i];
    }
    if (v > SIZE_LIMIT) {
        return DR_ERR_PROTO;
    }
    *ret = v;
    return DR_OK;
}

static dr_err_t read_header(struct manifest_delta *d)
{
    uint64_t frame = 0;

    if (memcmp(d->header, MANIFEST_DELTA_MAGIC, MANIFEST_DELTA_MAGIC_LEN) != 0 ||
        get_number(d->header + 16, &d->new_size) != DR_OK ||
        get_number(d->header + 24, &frame) != DR_OK || frame < MANIFEST_DELTA_FRAME_MIN) {
        return DR_ERR_PROTO;
    }
    if (d->new_size > d->new_max || frame > d->frame_max) {
        return DR_ERR_TOO_LARGE;
    }
    d->frame = (size_t)frame;
    d->packed = malloc(d->frame);
    d->plain = malloc(d->frame);
    if (d->packed == NULL || d->plain == NULL) {
        return DR_ERR_NOMEM;
    }
    d->state = d->new_size == 0 ? DONE : DIFF_LEN;
    return DR_OK;
}

/* One octet of a varint; *ret_done when it was the last. */
static dr_err_t add_varint(struct manifest_delta *d, uint8_t octet, bool *ret_done)
{
    if (d->varint_octets == VARINT_MAX) {
        return DR_ERR_PROTO;
    }
    d->varint |= (uint64_t)(octet & 0x7f) << (7 * d->varint_octets);
    d->varint_octets++;
    *ret_done = octet < 0x80;
    return DR_OK;
}

/* After a record head or a frame: what comes next. */
static dr_err_t next_state(struct manifest_delta *d)
{
    if (d->diff_left + d->extra_left != 0) {
        d->state = FRAME_LEN;
        return DR_OK;
    }
    if (d->written == d->new_size) {
        d->state = DONE;
        return DR_OK;
    }
    if (d->seek_back ? d->seek > d->old_pos : d->seek > d->io.old_size - d->old_pos) {
        return DR_ERR_RANGE;
    }
    d->old_pos = d->seek_back ? d->old_pos - d->seek : d->old_pos + d->seek;
    d->state = DIFF_LEN;
    return DR_OK;
}

static dr_err_t take_varint(struct manifest_delta *d)
{
    uint64_t v = d->varint;

    d->varint = 0;
    d->varint_octets = 0;
    switch (d->state) {
    case DIFF_LEN:
        d->diff_left = v;
        d->state = EXTRA_LEN;
        return v > d->new_size - d->written ? DR_ERR_PROTO : DR_OK;
    case EXTRA_LEN:
        d->extra_left = v;
        d->state = SEEK;
        return v > d->new_size - d->written - d->diff_left ? DR_ERR_PROTO : DR_OK;
    case SEEK:
        d->seek_back = (v & 1) != 0;
        d->seek = v >> 1;
        return d->diff_left > d->io.old_size - d->old_pos ? DR_ERR_RANGE : next_state(d);
    default: /* FRAME_LEN */
        d->packed_len = (size_t)v;
        d->packed_got = 0;
        d->state = FRAME;
        return v == 0 || v > d->frame ? DR_ERR_PROTO : DR_OK;
    }
}

/* Add the old image to @p len differences in plain. */
static dr_err_t add_old(struct manifest_delta *d, size_t len)
{
    for (size_t at = 0; at < len;) {
        size_t n = len - at < sizeof d->old ? len - at : sizeof d->old;
        dr_err_t err = d->io.read_old(d->io.data, d->old_pos, d->old, n);
        if (err != DR_OK) {
            return err;
        }
        for (size_t i = 0; i < n; i++) {
            d->plain[at + i] = (uint8_t)(d->plain[at + i] + d->old[i]);
        }
        d->old_pos += n;
        at += n;
    }
    return DR_OK;
}

static dr_err_t unpack(struct manifest_delta *d)
{
    bool diff = d->diff_left != 0;
    uint64_t *left = diff ? &d->diff_left : &d->extra_left;

    int n = LZ4_decompress_safe((const char *)d->packed, (char *)d->plain, (int)d->packed_len,
                                (int)d->frame);
    if (n <= 0 || (uint64_t)n > *left) {
        return DR_ERR_PROTO;
    }
    dr_err_t err = diff ? add_old(d, (size_t)n) : DR_OK;
    if (err == DR_OK) {
        err = d->io.write_new(d->io.data, d->plain, (size_t)n);
    }
    if (err != DR_OK) {
        return err;
    }
    *left -= (uint64_t)n;
    d->written += (uint64_t)n;
    return next_state(d);
}

/* Copy up to what is missing of a part; true when it is whole. */
static bool fill(struct dr_rd *in, uint8_t *part, size_t size, size_t *got)
{
    size_t n = size - *got < dr_rd_left(in) ? size - *got : dr_rd_left(in);

    dr_rd_copy(in, part + *got, n);
    *got += n;
    return *got == size;
}

dr_err_t manifest_delta_feed(struct manifest_delta *d, struct dr_bytes in)
{
    struct dr_rd rd = dr_rd_bytes_of(in);
    dr_err_t err = DR_OK;

    dr_assert(d != NULL);
    while (err == DR_OK && dr_rd_left(&rd) != 0) {
        bool whole = false;
        switch (d->state) {
        case HEADER:
            whole = fill(&rd, d->header, sizeof d->header, &d->header_got);
            err = whole ? read_header(d) : DR_OK;
            break;
        case FRAME:
            whole = fill(&rd, d->packed, d->packed_len, &d->packed_got);
            err = whole ? unpack(d) : DR_OK;
            break;
        case DONE:
            err = DR_ERR_PROTO; /* octets behind the patch */
            break;
        default:
            err = add_varint(d, dr_rd_u8(&rd), &whole);
            if (err == DR_OK && whole) {
                err = take_varint(d);
            }
            break;
        }
    }
    return err;
}

dr_err_t manifest_delta_finish(const struct manifest_delta *d)
{
    dr_assert(d != NULL);
    return d->state == DONE ? DR_OK : DR_ERR_PROTO;
}

/* ---- all in memory ---- */

struct memory {
    struct dr_bytes old;
    struct dr_dynbuf *out;
};

static dr_err_t memory_read(void *data, uint64_t at, uint8_t *buf, size_t len)
{
    const struct memory *m = data;
    struct dr_rd rd = dr_rd_bytes_of(m->old);

    dr_rd_skip(&rd, (size_t)at);
    dr_rd_copy(&rd, buf, len);
    return dr_rd_ok(&rd) ? DR_OK : DR_ERR_RANGE;
}

static dr_err_t memory_write(void *data, const uint8_t *buf, size_t len)
{
    struct memory *m = data;

    dr_dynbuf_append(m->out, buf, len);
    return dr_dynbuf_err(m->out);
}

dr_err_t manifest_delta_apply(struct dr_bytes old, struct dr_bytes patch, struct dr_dynbuf *ret)
{
    struct memory m = {.old = old, .out = ret};
    struct manifest_delta_io io = {
        .read_old = memory_read, .write_new = memory_write, .data = &m, .old_size = old.len};
    struct manifest_delta *d = NULL;

    dr_assert(ret != NULL);
    size_t before = ret->len;
    dr_err_t err = manifest_delta_new(&io, ret->max - ret->len, 0, &d);
    if (err != DR_OK) {
        return err;
    }
    err = manifest_delta_feed(d, patch);
    if (err == DR_OK) {
        err = manifest_delta_finish(d);
    }
    (void)manifest_delta_free(d);
    if (err != DR_OK && dr_dynbuf_err(ret) == DR_OK) {
        dr_dynbuf_truncate(ret, before);
    }
    return err;
}
