/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/unit/manifest/scene.h
 * @brief A device, a key, and a manifest of each format for it.
 */
#pragma once

#include "tests/unit/manifest/files.h"

#include "manifest/manifest.h"

#define OUT_CAP 8192

struct scene {
    struct manifest_key *key, *cert, *other;
    struct manifest_signer signer;
    const struct manifest_key *keys[2];
    struct manifest_means means;
    uint8_t vendor[16], class_id[16], digest[32], installed[32], precursor[32];
    uint8_t out[OUT_CAP];
    size_t len;
};

static inline void scene_init(struct scene *s)
{
    struct dr_dynbuf der;

    memset(s, 0, sizeof *s);
    ck_assert_int_eq(manifest_key_new(&s->key), DR_OK);
    ck_assert_int_eq(manifest_key_new(&s->other), DR_OK);
    dr_dynbuf_init(&der, 4096);
    ck_assert_int_eq(manifest_key_certificate(s->key, "test", 1, 1700000000, &der), DR_OK);
    ck_assert_int_eq(manifest_key_load_public(dr_dynbuf_bytes(&der), &s->cert, NULL), DR_OK);
    dr_dynbuf_fini(&der);
    s->signer = manifest_key_signer(s->key);
    memset(s->vendor, 1, sizeof s->vendor);
    memset(s->class_id, 2, sizeof s->class_id);
    memset(s->digest, 3, sizeof s->digest);
    memset(s->installed, 4, sizeof s->installed);
    memset(s->precursor, 5, sizeof s->precursor);
    s->keys[0] = s->cert;
    s->means = (struct manifest_means){
        .keys = s->keys, .key_count = 1, .vendor = s->vendor, .class_id = s->class_id};
}

static inline void scene_fini(struct scene *s)
{
    s->key = manifest_key_free(s->key);
    s->cert = manifest_key_free(s->cert);
    s->other = manifest_key_free(s->other);
}

/* What scene_build() makes, to be changed by a test first. */
static inline struct manifest scene_manifest(struct scene *s, enum manifest_format format)
{
    struct manifest m = {.format = format,
                         .vendor = dr_bytes_of(s->vendor, 16),
                         .class_id = dr_bytes_of(s->class_id, 16),
                         .payload_format = MANIFEST_PAYLOAD_RAW,
                         .version = 1700000000,
                         .image_count = 1};

    m.images[0] = (struct manifest_image){.digest = dr_bytes_of(s->digest, 32),
                                          .has_size = true,
                                          .size = 1000,
                                          .uri = dr_bytes_str("http://u.example/fw"),
                                          .slot = -1};
    if (format == MANIFEST_V3) {
        m.component = dr_bytes_str("MAIN");
        m.version_text = dr_bytes_str("1.2.3");
    } else if (format == MANIFEST_V1) {
        m.signatures[0].fingerprint = dr_bytes_of(manifest_key_fingerprint(s->cert), 32);
        m.signature_count = 1;
    }
    return m;
}

static inline dr_err_t scene_build(struct scene *s, const struct manifest *m,
                                   struct manifest_fault *fault)
{
    return manifest_build(m, &s->signer, MANIFEST_ESP256, s->out, sizeof s->out, &s->len, fault);
}

static inline struct manifest_verdict scene_check(struct scene *s)
{
    struct manifest_verdict v;

    manifest_check(dr_bytes_of(s->out, s->len), &s->means, &v, NULL);
    return v;
}
