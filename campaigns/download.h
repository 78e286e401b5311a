/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  campaigns/download.h
 * @brief CoAP downloads of firmware: /fw and /download on the associations of devices.
 *
 * Layer: campaigns.  Threads: handlers on the shards, lookups on the control loop.
 * Memory: a shard keeps CAMP_DOWNLOAD_IMAGES_MAX references and CAMP_DOWNLOAD_GRANTS grants,
 * nothing for a device or a download.  Limits: CAMP_DOWNLOAD_ASKS_MAX lookups of a shard at a time.
 * Security: an image is served to devices of its account only, and only to those that know its
 * address, or that a campaign is updating with it just now.  Spec: RFC7252#5.10.2, RFC7959.
 *
 * | answer | when |
 * | 2.05   | the block that was asked for; Block2, Size2, ETag (of the content), Content-Format 42
 * | | 4.00   | malformed path or address, or a block behind the end | | 4.04   | no such image for
 * this device | | 4.05   | not a GET | | 5.03   | with Max-Age: not ready (being read and checked,
 * too much at a time, damaged) | | 5.05   | the address of something else than firmware that is
 * held here |
 */
#pragma once

#include "base/err.h"

struct camp_downloads;
struct camp_images;
struct db;
struct dev_core;
struct loop;

#define CAMP_DOWNLOAD_IMAGES_MAX 64
#define CAMP_DOWNLOAD_GRANTS     4096 /**< power of two */
#define CAMP_DOWNLOAD_GRANT_MS   60000
#define CAMP_DOWNLOAD_ASKS_MAX   1024
/** Max-Age of 5.03. */
#define CAMP_DOWNLOAD_SOON_S     2
#define CAMP_DOWNLOAD_DAMAGED_S  30

struct camp_downloads_config {
    struct loop *control;
    struct db *db;
    struct camp_images *images;
    unsigned shards;
    struct loop *const *shard_loops; /**< copied */
};

DR_CHECK dr_err_t camp_downloads_new(const struct camp_downloads_config *config,
                                     struct camp_downloads **ret);
/** Take /fw and /download. On control, before dev_core_start(). @retval as dev_core_route() */
DR_CHECK dr_err_t camp_downloads_route(struct camp_downloads *downloads, struct dev_core *devices);
/** When no loop runs any more, before the images. NULL is allowed. @return NULL */
struct camp_downloads *camp_downloads_free(struct camp_downloads *downloads);
