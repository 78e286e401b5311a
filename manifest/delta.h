/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  manifest/delta.h
 * @brief Delta payloads (container PELION/BSDIFF001): apply in pieces, and create.
 *
 * Layer: manifest.  Threads: an object belongs to one thread.  Memory: applying takes two frames
 * and never more, whatever the images' sizes; creating takes about 16 octets for each of the old
 * image.  Limits: MANIFEST_DELTA_*.  Security: patches are hostile and never asserted on; reads
 * outside the old image, overlong segments and trailing octets are refused.  Spec: bsdiff, LZ4
 * block.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define MANIFEST_DELTA_HEADER_LEN 40
#define MANIFEST_DELTA_FRAME_MIN  64
#define MANIFEST_DELTA_FRAME_MAX  (1UL << 20)
#define MANIFEST_DELTA_FRAME_STD  512
#define MANIFEST_DELTA_IMAGE_MAX  (64UL * 1024 * 1024)

/** Where a patch's input comes from and its output goes to. */
struct manifest_delta_io {
    /** Exactly @p len octets of the old image from @p at; an error stops the patch. */
    dr_err_t (*read_old)(void *data, uint64_t at, uint8_t *buf, size_t len);
    /** The next @p len octets of the new image. */
    dr_err_t (*write_new)(void *data, const uint8_t *buf, size_t len);
    void *data;
    uint64_t old_size;
};

struct manifest_delta;

/**
 * Begin to apply a patch.
 * @param new_max    most octets the new image may have
 * @param frame_max  most octets of a frame that this side takes (0 = MANIFEST_DELTA_FRAME_MAX)
 */
DR_CHECK dr_err_t manifest_delta_new(const struct manifest_delta_io *io, uint64_t new_max,
                                     size_t frame_max, struct manifest_delta **ret);

/**
 * Feed the next octets of the patch, any number of them.
 * @retval DR_ERR_PROTO      the patch is malformed
 * @retval DR_ERR_TOO_LARGE  image or frame beyond the limits of manifest_delta_new()
 * @retval DR_ERR_RANGE      the patch reads outside the old image
 * @return also the errors of the io functions; after an error only manifest_delta_free() is allowed
 */
DR_CHECK dr_err_t manifest_delta_feed(struct manifest_delta *d, struct dr_bytes in);

/** The patch is over: DR_OK when the new image is complete, DR_ERR_PROTO when octets are missing.
 */
DR_CHECK dr_err_t manifest_delta_finish(const struct manifest_delta *d);

/** NULL is allowed. Returns NULL. */
struct manifest_delta *manifest_delta_free(struct manifest_delta *d);

/** All at once, in memory: @p patch on @p old, appended to @p ret (whose maximum bounds the image).
 */
DR_CHECK dr_err_t manifest_delta_apply(struct dr_bytes old, struct dr_bytes patch,
                                       struct dr_dynbuf *ret);

/**
 * Create a patch that turns @p old into @p new_image.
 * @param frame  most octets of a frame, compressed and not (MANIFEST_DELTA_FRAME_MIN.._MAX)
 * @param ret    the patch is appended
 * @retval DR_ERR_INVAL      frame size, or an empty new image
 * @retval DR_ERR_TOO_LARGE  an image over MANIFEST_DELTA_IMAGE_MAX
 */
DR_CHECK dr_err_t manifest_delta_create(struct dr_bytes old, struct dr_bytes new_image,
                                        size_t frame, struct dr_dynbuf *ret);
