/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  manifest/manifest_priv.h
 * @brief What the three formats offer to manifest.c.
 *
 * Layer: manifest, pure.  Threads: reentrant.  Memory: never allocates.  Limits: as manifest.h.
 * Security: input is hostile and never asserted on.  Spec: as manifest.h.
 */
#pragma once

#include "manifest/manifest.h"

/** How far parsing came before the fault: decides whether vendor and class can still be compared
 * first, as a device does. */
enum manifest_stage {
    MANIFEST_STAGE_OUTER,    /**< what is looked at before the signature */
    MANIFEST_STAGE_IDENTITY, /**< vendor or class cannot be read */
    MANIFEST_STAGE_FIELDS,   /**< vendor and class are there */
};

struct manifest_scan {
    struct dr_bytes in;
    struct manifest *m; /**< filled as far as it went */
    struct manifest_fault *fault;
    enum manifest_stage stage;
    struct dr_bytes body; /**< format's own: what inner() reads */
};

/** Record the fault (the first one stays); always DR_ERR_PROTO. */
DR_CHECK dr_err_t manifest_fail(struct manifest_scan *s, enum manifest_check check, const char *fmt,
                                ...) __attribute__((format(printf, 3, 4)));

/** One format: outer() finds what the signature needs, inner() reads all other fields. */
struct manifest_codec {
    dr_err_t (*outer)(struct manifest_scan *s);
    dr_err_t (*inner)(struct manifest_scan *s);
    /** Signature(s) over the octets received; fills the fault. */
    dr_err_t (*authenticate)(struct manifest_scan *s, const struct manifest_means *means);
    dr_err_t (*build)(const struct manifest *m, const struct manifest_signer *signer,
                      enum manifest_alg alg, struct dr_wr *wr);
};

extern const struct manifest_codec manifest_codec_v1, manifest_codec_v3, manifest_codec_suit;

/** SUIT: run the command sequences and list images, identities and conditions. */
DR_CHECK dr_err_t manifest_suit_run(struct manifest_scan *s, struct dr_bytes shared,
                                    const struct dr_bytes *phases, size_t phase_count);
