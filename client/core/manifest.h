/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  client/core/manifest.h
 * @brief Update manifest of version 3: strict parse and the device's checks, in the device's order.
 *
 * Layer: client/core.  Threads: reentrant.  Memory: none; a manifest borrows the bytes it was read
 * from.  Limits: CL_MANIFEST_MAX, CL_PAYLOAD_URI_MAX, CL_COMPONENT_MAX.
 * Security: input is hostile. The signature is checked over the bytes received, before any field
 * behind the outer frame is looked at. Manifests of version 1 are refused (CL_RESULT_SCHEMA).
 * Spec: X.690#10 (DER), X.690#11.
 */
#pragma once

#include "client/core/crypto.h"

#define CL_MANIFEST_MAX    512 /**< bytes, key trailer included: what one value of the store holds */
#define CL_PAYLOAD_URI_MAX 255
#define CL_COMPONENT_MAX   8
#define CL_UUID_LEN        16
#define CL_VERSION_MAX     12 /**< of the text "999.999.999" with its end */

/** What went wrong with an update; the numbers are those of 10252/0/3. */
enum cl_result {
    CL_RESULT_OK = 0,
    CL_RESULT_URI = 21,
    CL_RESULT_MALFORMED = 22,
    CL_RESULT_SIGNATURE = 23,
    CL_RESULT_FETCH = 24,
    CL_RESULT_FORMAT = 25,
    CL_RESULT_PAYLOAD = 26, /**< not the payload that the manifest names */
    CL_RESULT_VERSION = 27, /**< not newer */
    CL_RESULT_SCHEMA = 28,
    CL_RESULT_VENDOR_DATA = 29,
    CL_RESULT_VENDOR = 30,
    CL_RESULT_CLASS = 31,
    CL_RESULT_PRECURSOR = 32,
    CL_RESULT_SPACE = 33,
    CL_RESULT_WRITE = 35,
    CL_RESULT_READ = 36,
    CL_RESULT_INSTALL_DENIED = 37,
    CL_RESULT_DOWNLOAD_DENIED = 38,
    CL_RESULT_COMPONENT = 39,
    CL_RESULT_INSTALL = 40,  /**< the new image did not make it through its trial */
    CL_RESULT_INTERNAL = 41, /**< also: a version that is none */
    CL_RESULT_CRYPTO = 43,   /**< a digest of another length */
};

enum cl_format {
    CL_FORMAT_RAW = 1,
    CL_FORMAT_DELTA = 5,
    CL_FORMAT_COMBINED = 6,
    CL_FORMAT_ENCRYPTED_RAW = 257,
    CL_FORMAT_ENCRYPTED_COMBINED = 262,
};

/** Pointers go into the bytes that were parsed. */
struct cl_manifest {
    const uint8_t *vendor, *class_id; /**< CL_UUID_LEN each */
    uint32_t priority;
    char component[CL_COMPONENT_MAX + 1];
    uint32_t version;      /**< as cl_version_parse() */
    const uint8_t *digest; /**< SHA-256 of the payload */
    uint32_t size;         /**< bytes of the payload, at least 1 */
    const char *uri;       /**< without an end byte */
    size_t uri_len;
    uint32_t format;                    /**< enum cl_format */
    const uint8_t *installed_signature; /**< CL_SIG_LEN, or NULL */
    uint32_t installed_size;            /**< 0 with CL_FORMAT_RAW */
    const uint8_t *installed_digest;    /**< NULL with CL_FORMAT_RAW */
    const uint8_t *precursor;           /**< digest that must be running, or NULL */
    const uint8_t *vendor_data;
    size_t vendor_data_len;
    const uint8_t *key; /**< of an encrypted payload, 16 bytes outside the signature, or NULL */
};

/** What the device is. */
struct cl_manifest_means {
    const struct cl_trust *trust;
    uint8_t vendor[CL_UUID_LEN], class_id[CL_UUID_LEN];
    const char *const *components; /**< names */
    const uint32_t *versions;      /**< of the components */
    size_t component_count;
    size_t vendor_data_max;
    bool all_formats;         /**< false: CL_FORMAT_RAW only */
    const uint8_t *precursor; /**< digest of the running image; NULL: deltas are refused */
};

/**
 * "a.b.c", each 0 to 999 without leading zeros, not 0.0.0.
 * @param ret  a << 20 | b << 10 | c, which sorts as versions do; untouched on error
 * @retval CL_ERR_INVAL  anything else
 */
CL_CHECK cl_err_t cl_version_parse(const char *text, size_t len, uint32_t *ret);
/** The text of a version, "0.0.0" for 0. */
void cl_version_text(uint32_t version, char ret[CL_VERSION_MAX]);

/**
 * Parse and check: frame, schema, signature, vendor, class, fields, component, version, precursor.
 * Bytes behind the outer sequence are ignored unless the payload is encrypted: then they are its
 * key.
 * @param ret  filled when CL_RESULT_OK, else untouched
 */
CL_CHECK enum cl_result cl_manifest_check(const uint8_t *in, size_t len,
                                          const struct cl_manifest_means *means,
                                          struct cl_manifest *ret);
