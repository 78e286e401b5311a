/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  device-sim/firmware.h
 * @brief The firmware that a fleet has been offered: manifests, and images as they arrive.
 *
 * Layer: device-sim.  Threads: one.  Memory: one copy of each image for the whole fleet, kept until
 * the end.  Limits: SIM_FIRMWARES_MAX, SIM_IMAGE_MAX.  Security: manifests and images come from a
 * server under test and may be anything.
 *
 * The device that is ahead writes the image; all others compare each block with it. Its SHA-256 is
 * made once, so that every byte of every device is checked at the price of a comparison.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "device-sim/object.h"
#include "manifest/key.h"

#define SIM_FIRMWARES_MAX 256
#define SIM_IMAGE_MAX     ((size_t)256 << 20)
#define SIM_URI_MAX       255
#define SIM_PUSH_MAX      ((uint32_t)4 << 20) /**< of an image that is pushed */
#define SIM_NEXT_VERSION  "1.1.0"

/** 10252/0/3 */
enum {
    SIM_RESULT_MALFORMED = 22,
    SIM_RESULT_SIGNATURE = 23,
    SIM_RESULT_DOWNLOAD = 24,
    SIM_RESULT_CORRUPTED = 26,
    SIM_RESULT_OLD = 27,
    SIM_RESULT_NO_SPACE = 33,
    SIM_RESULT_NO_MEMORY = 34,
};

struct sim_firmware {
    struct sim_firmware *next;
    struct dr_bytes manifest; /**< owned; empty: known by its URI only */
    char uri[SIM_URI_MAX + 1];
    char version[SIM_VERSION_MAX + 1];
    uint64_t number; /**< of the version, to compare */
    int reject;      /**< result that any device gives, 0 = acceptable */
    bool sized;      /**< size and digest hold */
    size_t size;
    uint8_t digest[MANIFEST_DIGEST_LEN];
    uint8_t *image; /**< owned */
    size_t filled, cap;
    bool complete, bad; /**< all is there; it is not what the manifest says */
};

struct sim_firmwares {
    const struct sim_model *model;
    const char *next_version;  /**< of an image that does not name its own */
    struct manifest_key *cert; /**< owned; NULL = signatures are not checked */
    struct sim_firmware *list; /**< owned */
    unsigned count;
};

/**
 * @param cert_file     who may sign; NULL = anybody
 * @param next_version  NULL = SIM_NEXT_VERSION
 * @retval DR_ERR_NOT_FOUND  it cannot be read; errors of manifest_key_load_public()
 */
DR_CHECK dr_err_t sim_firmwares_init(struct sim_firmwares *fs, const struct sim_model *model,
                                     const char *cert_file, const char *next_version);
void sim_firmwares_fini(struct sim_firmwares *fs);

/** The firmware of a manifest; one that is refused has a reason in reject. NULL: no memory. */
struct sim_firmware *sim_firmware_of_manifest(struct sim_firmwares *fs, struct dr_bytes manifest);
/** The firmware that lies at @p uri. NULL: no memory, or over SIM_URI_MAX. */
struct sim_firmware *sim_firmware_of_uri(struct sim_firmwares *fs, const char *uri, size_t len);
/** A whole image that was pushed. NULL: no memory, too large, or empty. */
struct sim_firmware *sim_firmware_of_image(struct sim_firmwares *fs, struct dr_bytes image);

/** What a device with this version says to the manifest: 0, or a result. */
int sim_firmware_verdict(const struct sim_firmware *fw, const char *current);

/**
 * The next block of one device's download.
 * @param more  it is not the last one
 * @return 0, or a result
 */
int sim_firmware_block(struct sim_firmwares *fs, struct sim_firmware *fw, size_t offset,
                       struct dr_bytes block, bool more);
