/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  campaigns/image_priv.h
 * @brief What image.c (serving) and upload.c (writing) share.
 *
 * Layer: campaigns, private.  Threads: the control loop; pool functions read @c dir_fd only.
 * Memory: one object.  Limits: see campaigns/image.h.  Security: none.  Spec: none.
 */
#pragma once

#include "base/list.h"
#include "base/loop.h"
#include "campaigns/image.h"

/** "ID" and the longest ending. */
#define CAMP_FILE_NAME_MAX (DR_ID_LEN + 8)

struct camp_images {
    struct loop *loop;
    struct db *db;
    int dir_fd;
    uint64_t image_max, upload_max, chunk_max, free_min_bytes;
    char bases[CAMP_BASES_MAX][CAMP_BASE_MAX + 1]; /**< never change: any thread */
    struct dr_idgen ids;
    struct dr_list slots; /**< newest use first */
    unsigned n_slots;
    uint32_t pending; /**< operations under way, uploads included */
    bool stopping;
    void (*stopped)(void *data);
    void *stopped_data;
    struct loop_timer later;
    void (*forgotten)(void *data);
    void *forgotten_data;
};

/**
 * Map an image's file and check its digest; on any thread that may block.
 * @param ret  a reference; its row's token and account are not filled
 * @retval DR_ERR_CORRUPT  not there, or not the bytes of the row
 */
DR_CHECK dr_err_t camp_image_map(struct camp_images *images, int64_t id, uint64_t size,
                                 const char *sha256, struct camp_image **ret);
void camp_file_name(int64_t id, const char *ending, char out[CAMP_FILE_NAME_MAX + 1]);
/** Unlink in the pool; what stays is swept at the next start. */
void camp_images_remove(struct camp_images *images, int64_t id, const char *ending);
/** One operation less; may be the last one that stop waits for. */
void camp_images_release(struct camp_images *images);
