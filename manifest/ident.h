/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  manifest/ident.h
 * @brief Vendor, class and device identifiers, and version numbers of components.
 *
 * Layer: manifest, pure.  Threads: reentrant.  Memory: never allocates.  Limits: names of
 * MANIFEST_NAME_MAX octets.  Security: input is hostile and never asserted on.  Spec: RFC4122#4.3.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define MANIFEST_ID_LEN      16
#define MANIFEST_ID_TEXT_LEN 36
#define MANIFEST_NAME_MAX    1024
#define MANIFEST_VERSION_LEN 11 /**< most characters of "999.999.999" */

/** UUIDv5 of a vendor's domain name (namespace DNS), taken as it is. DR_ERR_TOO_LARGE. */
DR_CHECK dr_err_t manifest_vendor_id(struct dr_bytes domain, uint8_t ret[MANIFEST_ID_LEN]);
/** UUIDv5 of a model name in the namespace of its vendor. DR_ERR_TOO_LARGE. */
DR_CHECK dr_err_t manifest_class_id(const uint8_t vendor[MANIFEST_ID_LEN], struct dr_bytes model,
                                    uint8_t ret[MANIFEST_ID_LEN]);

/** 32 hex digits, or the 8-4-4-4-12 form. DR_ERR_PROTO otherwise. */
DR_CHECK dr_err_t manifest_id_parse(struct dr_bytes text, uint8_t ret[MANIFEST_ID_LEN]);
/** The 8-4-4-4-12 form and a NUL. */
void manifest_id_format(const uint8_t id[MANIFEST_ID_LEN], char ret[MANIFEST_ID_TEXT_LEN + 1]);

/**
 * "major.minor.split", each 0..999 without leading zeros, not 0.0.0, as the number that devices
 * compare: 2^55 + major * 2^40 + minor * 2^16 + split.
 * @retval DR_ERR_PROTO  another form
 * @retval DR_ERR_RANGE  a part over 999, or 0.0.0
 */
DR_CHECK dr_err_t manifest_version_parse(struct dr_bytes text, uint64_t *ret);
/** The text of such a number; "0.0.0" for one without bit 55. */
void manifest_version_format(uint64_t version, char ret[MANIFEST_VERSION_LEN + 1]);
