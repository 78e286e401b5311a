/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  campaigns/upload.h
 * @brief Bytes of an upload on their way to a file of the image folder, hashed in passing.
 *
 * Layer: campaigns.  Threads: the control loop; the pool writes.
 * Memory: one buffer of CAMP_UPLOAD_BUFFER an upload.  Limits: the caller's and the free disk.
 * Security: nothing of the peer gets into a file name.  Spec: none.
 *
 * An image: camp_upload_image(), then camp_upload_put() and camp_upload_flush() when it is full,
 * then camp_upload_finish(): the file is on disk under its id, the caller writes the row (and, when
 * that fails, camp_image_forget()s the file). A chunk: the same with camp_upload_chunk(); a file of
 * a job counts up to the size in its row. A job becomes an image by camp_upload_join().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/loop.h"
#include "campaigns/image.h"

#define CAMP_UPLOAD_BUFFER (256UL * 1024)

struct camp_upload {
    int64_t id;                     /**< of the image; of the job for a chunk */
    char sha256[DB_DIGEST_LEN + 1]; /**< after finish of an image, or join */
    uint64_t size;                  /**< bytes so far */
    /** Sees all bytes in order, on the pool; may be NULL. */
    void (*tap)(void *data, struct dr_bytes bytes);
    void (*cb)(struct camp_upload *u, dr_err_t err);
    void *data;
    struct { /**< upload.c's */
        struct loop_work work;
        struct camp_images *images;
        int mode;
        int64_t job;
        int fd;
        uint64_t at;
        uint8_t *buf;
        size_t len;
        void *hash;
        bool busy, last;
        dr_err_t err;
    } priv;
};

/** @retval DR_ERR_NOMEM, DR_ERR_CANCELED. On an error nothing is held. */
DR_CHECK dr_err_t camp_upload_image(struct camp_images *images, struct camp_upload *u);
/** @param at  size of the job so far */
DR_CHECK dr_err_t camp_upload_chunk(struct camp_images *images, struct camp_upload *u, int64_t job,
                                    uint64_t at);
/** All @p size bytes of a job as an image with a new id: u->cb runs once, later. The job's file
 * stays until camp_upload_drop(). */
DR_CHECK dr_err_t camp_upload_join(struct camp_images *images, struct camp_upload *u, int64_t job,
                                   uint64_t size);
/** Copy bytes; at most CAMP_UPLOAD_BUFFER before the next flush or finish. */
void camp_upload_put(struct camp_upload *u, struct dr_bytes bytes);
/** Should it be flushed before @p more bytes are put? */
bool camp_upload_full(const struct camp_upload *u, size_t more);
/** Write: u->cb runs once, later. @retval DR_ERR_NOMEM */
DR_CHECK dr_err_t camp_upload_flush(struct camp_upload *u);
/** Write all, to the disk: u->cb runs once, later. @retval DR_ERR_NOMEM */
DR_CHECK dr_err_t camp_upload_finish(struct camp_upload *u);
/** Release what it holds; a file that is not finished goes. Not while cb is to come. */
void camp_upload_end(struct camp_upload *u);
/** The job is over: remove its file. */
void camp_upload_drop(struct camp_images *images, int64_t job);
