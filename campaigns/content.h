/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  campaigns/content.h
 * @brief From a manifest's row and its image to what a campaign brings to devices.
 *
 * Layer: campaigns.  Threads: a reading thread of the database.  Memory: the content owns a copy of
 * the manifest and a reference to the mapped image. Limits: none of its own: the image is mapped,
 * not copied. Security: the image is checked against the digest of its row.  Spec: none.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "campaigns/driver.h"

struct camp_images;
struct db_reader;

/** The content member of struct camp_config. @param data  struct camp_images */
dr_err_t camp_content_read(void *data, struct db_reader *r, int64_t account, int64_t manifest,
                           struct camp_content *ret, struct dr_errinfo *reterr);
