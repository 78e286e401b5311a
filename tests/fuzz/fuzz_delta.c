/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/fuzz/fuzz_delta.c
 * @brief First octet 0: a patch on a fixed image, fed whole and octet by octet, with one result.
 *        Else: two images; the patch that is made of them applies.
 */
#include <stdlib.h>

#include "manifest/delta.h"

#define OUT_MAX (64 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void require(bool good)
{
    if (!good) {
        abort();
    }
}

static dr_err_t read_old(void *data, uint64_t at, uint8_t *buf, size_t len)
{
    (void)data;
    require(at <= 1024 && len <= 1024 - at);
    for (size_t i = 0; i < len; i++) {
        buf[i] = (uint8_t)((at + i) * 7);
    }
    return DR_OK;
}

static dr_err_t write_new(void *data, const uint8_t *buf, size_t len)
{
    struct dr_dynbuf *out = data;

    dr_dynbuf_append(out, buf, len);
    return dr_dynbuf_err(out);
}

static dr_err_t apply(struct dr_bytes patch, size_t step, struct dr_dynbuf *out)
{
    struct manifest_delta_io io = {
        .read_old = read_old, .write_new = write_new, .data = out, .old_size = 1024};
    struct manifest_delta *d = NULL;

    require(manifest_delta_new(&io, OUT_MAX, 4096, &d) == DR_OK);
    dr_err_t err = DR_OK;
    for (size_t at = 0; err == DR_OK && at < patch.len; at += step) {
        size_t n = patch.len - at < step ? patch.len - at : step;
        err = manifest_delta_feed(d, dr_bytes_of(patch.p + at, n));
    }
    if (err == DR_OK) {
        err = manifest_delta_finish(d);
    }
    (void)manifest_delta_free(d);
    return err;
}

static void fuzz_apply(struct dr_bytes patch)
{
    struct dr_dynbuf whole, single;

    dr_dynbuf_init(&whole, OUT_MAX);
    dr_dynbuf_init(&single, OUT_MAX);
    dr_err_t a = apply(patch, patch.len == 0 ? 1 : patch.len, &whole);
    dr_err_t b = apply(patch, 1, &single);
    require(a == b && dr_bytes_eq(dr_dynbuf_bytes(&whole), dr_dynbuf_bytes(&single)));
    dr_dynbuf_fini(&whole);
    dr_dynbuf_fini(&single);
}

static void fuzz_make(struct dr_bytes in)
{
    struct dr_dynbuf patch, again;
    struct dr_rd rd = dr_rd_bytes_of(in);

    size_t frame = MANIFEST_DELTA_FRAME_MIN + dr_rd_u8(&rd);
    if (!dr_rd_ok(&rd) || in.len > 4096) {
        return;
    }
    struct dr_bytes old = dr_rd_bytes(&rd, dr_rd_left(&rd) / 2), image = dr_rd_rest(&rd);
    dr_dynbuf_init(&patch, 4 * OUT_MAX);
    dr_dynbuf_init(&again, OUT_MAX);
    dr_err_t err = manifest_delta_create(old, image, frame, &patch);
    require(err == (image.len == 0 ? DR_ERR_INVAL : DR_OK));
    if (err == DR_OK) {
        require(manifest_delta_apply(old, dr_dynbuf_bytes(&patch), &again) == DR_OK);
        require(dr_bytes_eq(dr_dynbuf_bytes(&again), image));
    }
    dr_dynbuf_fini(&patch);
    dr_dynbuf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len == 0) {
        return 0;
    }
    struct dr_bytes rest = dr_bytes_of(data + 1, len - 1);
    if (data[0] == 0) {
        fuzz_apply(rest);
    } else {
        fuzz_make(rest);
    }
    return 0;
}
