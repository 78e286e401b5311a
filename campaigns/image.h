/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  campaigns/image.h
 * @brief The folder of firmware images: read-only mappings that are shared by all who download.
 *
 * Layer: campaigns.  Threads: the control loop; camp_image_ref(), camp_image_unref(),
 * camp_image_gone() and the members of struct camp_image from any thread.
 * Memory: an image is counted; its bytes are mapped once, whatever the number of downloads.
 * Limits: CAMP_IMAGES_OPEN_MAX mappings are kept.  Security: the digest is checked over the whole
 * file before its first byte is served by this process; files are 0600.  Spec: none.
 *
 * Files of the folder, ids as 32 hex digits:
 *
 *     ID       an image: complete, on disk before its row is
 *     ID.tmp   an upload that is not complete; removed at the next start
 *     ID.part  chunks of an upload job, up to the size in its row; bytes behind that do not count
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/ids.h"
#include "base/list.h"
#include "db/firmware.h"

struct camp_images;
struct cx_body;
struct db;
struct loop;

/** Mappings that stay while nobody downloads. */
#define CAMP_IMAGES_OPEN_MAX 64
/** An upload in one request; larger ones come in chunks. */
#define CAMP_IMAGE_MAX       (100ULL * 1024 * 1024)
/** An image in chunks: what block numbers of 1 KiB reach. */
#define CAMP_UPLOAD_MAX      (1024ULL * 1024 * 1024)
#define CAMP_CHUNK_MAX       (100ULL * 1024 * 1024)
#define CAMP_CHUNKS_MAX      10000
/** Characters of a base address. */
#define CAMP_BASE_MAX        300
#define CAMP_BASES_MAX       2
/** Phases (enum camp_phase) of campaigns that need their image: approval to stopping. */
#define CAMP_NEEDS_FIRST     1
#define CAMP_NEEDS_LAST      5

/** One image as it is served; immutable. */
struct camp_image {
    int64_t id, account;
    uint64_t size;
    int fd; /**< for reading by position */
    struct cx_body *body;
    char token[DB_TOKEN_LEN + 1];
    char sha256[DB_DIGEST_LEN + 1];
    atomic_uint refs; /**< image.c's from here */
    atomic_bool gone;
    void *map;
};

struct camp_images_config {
    struct loop *control;
    struct db *db;
    const char *dir;         /**< made when it is not there; borrowed during the call */
    uint64_t image_max;      /**< 0 = CAMP_IMAGE_MAX */
    uint64_t upload_max;     /**< 0 = CAMP_UPLOAD_MAX, which is also the most */
    uint64_t chunk_max;      /**< 0 = CAMP_CHUNK_MAX */
    uint64_t free_min_bytes; /**< below that much free disk, uploads are refused */
    /** Where devices fetch images by CoAP: "coaps://host:port", best first; NULL = nowhere; copied
     */
    const char *bases[CAMP_BASES_MAX];
};

/**
 * Open the folder and remove what belongs to no row. Blocks: before the loops run.
 * @retval DR_ERR_IO, DR_ERR_NOMEM, DR_ERR_NOSPACE  or as the database says
 */
DR_CHECK dr_err_t camp_images_new(const struct camp_images_config *config, struct camp_images **ret,
                                  struct dr_errinfo *reterr);
/** Nothing new; @p done once, later, when nothing is under way. */
void camp_images_stop(struct camp_images *images, void (*done)(void *data), void *data);
/** After stop, or when no loop has run. NULL is allowed. @return NULL */
struct camp_images *camp_images_free(struct camp_images *images);

uint64_t camp_images_image_max(const struct camp_images *images);
uint64_t camp_images_upload_max(const struct camp_images *images);
uint64_t camp_images_chunk_max(const struct camp_images *images);

/** A question for one image, in the caller's memory until cb. */
struct camp_image_get {
    int64_t account; /**< 0 = whoever's */
    int64_t id;
    /**
     * Last touch. DR_OK: @p image is borrowed for the call (camp_image_ref() to keep it).
     * DR_ERR_NOT_FOUND, DR_ERR_CORRUPT (file missing, or not the bytes that were uploaded),
     * DR_ERR_IO, DR_ERR_NOMEM, DR_ERR_BUSY, DR_ERR_CANCELED (stopped)
     */
    void (*cb)(struct camp_image_get *get, dr_err_t err, struct camp_image *image);
    void *data;
    struct dr_list node; /**< ours */
};
void camp_image_get_start(struct camp_images *images, struct camp_image_get *get);

struct camp_image *camp_image_ref(struct camp_image *image);
/** NULL is allowed. @return NULL */
struct camp_image *camp_image_unref(struct camp_image *image);
/** Its row was deleted: serve it to nobody else. */
bool camp_image_gone(const struct camp_image *image);

/** Call @p fn on control after each camp_image_forget(); NULL: no more. */
void camp_images_on_forget(struct camp_images *images, void (*fn)(void *data), void *data);
/** The row of @p id is gone: so will be its file, and those who download over HTTP finish. */
void camp_image_forget(struct camp_images *images, int64_t id);
