/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/fuzz/manifest_check.h
 * @brief What all manifest fuzz targets do: parse, check, and rebuild what was parsed.
 */
#pragma once

#include <stdlib.h>

#include "manifest/manifest.h"

/* A signature that is well-formed and belongs to nobody. */
static inline dr_err_t no_signer(void *data, struct dr_bytes tbs, uint8_t ret[MANIFEST_SIG_LEN])
{
    (void)data;
    (void)tbs;
    memset(ret, 0x11, MANIFEST_SIG_LEN);
    return DR_OK;
}

static inline void require(bool good)
{
    if (!good) {
        abort();
    }
}

/* What is parsed and built again says the same. */
static inline void rebuild(const struct manifest *m)
{
    static uint8_t out[64 * 1024];
    const struct manifest_signer signer = {.sign = no_signer};
    struct manifest_fault fault = {0};
    struct manifest again;
    size_t len = 0;

    dr_err_t err = manifest_build(m, &signer, MANIFEST_ESP256, out, sizeof out, &len, &fault);
    if (err != DR_OK) { /* longer than a default device takes, or an empty member */
        require(err == DR_ERR_NOSPACE || fault.check != MANIFEST_CHECK_NONE);
        return;
    }
    require(manifest_parse(dr_bytes_of(out, len), &again, NULL) == DR_OK);
    require(again.version == m->version && again.images[0].size == m->images[0].size &&
            dr_bytes_eq(again.vendor, m->vendor) && dr_bytes_eq(again.class_id, m->class_id) &&
            dr_bytes_eq(again.images[0].digest, m->images[0].digest) &&
            dr_bytes_eq(again.images[0].uri, m->images[0].uri));
    bool lossless =
        m->format == MANIFEST_V3 && (m->vendor_data.p == NULL || m->vendor_data.len != 0);
    require(!lossless || dr_bytes_eq(again.signed_part, m->signed_part));
}

static inline int fuzz_manifest(const uint8_t *data, size_t len, enum manifest_format format)
{
    static struct manifest_key *key;
    static const uint8_t id[MANIFEST_ID_LEN];
    struct manifest m;
    struct manifest_fault fault = {0};
    struct manifest_verdict verdict;

    if (key == NULL) {
        require(manifest_key_new(&key) == DR_OK);
    }
    const struct manifest_key *keys[] = {key};
    const struct manifest_means means = {.keys = keys, .key_count = 1, .vendor = id};
    manifest_check(dr_bytes_of(data, len), &means, &verdict, NULL);
    require(!verdict.accepted && verdict.fault.check != MANIFEST_CHECK_NONE);

    dr_err_t err = manifest_parse(dr_bytes_of(data, len), &m, &fault);
    require((err == DR_OK) == (fault.check == MANIFEST_CHECK_NONE));
    if (err != DR_OK || m.format != format) {
        return 0;
    }
    /* v1 needs a signer's fingerprint, SUIT a shape that the builder writes */
    bool whole = m.image_count != 0 && m.vendor.len != 0 && m.class_id.len != 0 &&
                 m.images[0].digest.len != 0;
    bool one = m.image_count == 1 && m.images[0].uri.len != 0 && m.images[0].has_size &&
               m.component_count <= 1;
    if (whole && one && (format != MANIFEST_V1 || m.signature_count != 0)) {
        rebuild(&m);
    }
    return 0;
}
