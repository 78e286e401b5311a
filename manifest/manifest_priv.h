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
    size_t uri_max, vendor_data_max;
    struct dr_bytes body;         /**< format's own: what inner() reads */
    struct dr_bytes rest;         /**< octets behind the manifest */
    struct dr_bytes digest_array; /**< SUIT: what the COSE signature is over */
};

/** Record the fault (the first one stays); always DR_ERR_PROTO. */
DR_CHECK dr_err_t manifest_fail(struct manifest_scan *s, enum manifest_check check, const char *fmt,
                                ...) __attribute__((format(printf, 3, 4)));

/** MALFORMED: @p field is missing or malformed. */
DR_CHECK dr_err_t manifest_malformed(struct manifest_scan *s, const char *field);

/** An OCTET STRING of 32 octets; faults with MALFORMED or DIGEST_LENGTH. */
DR_CHECK dr_err_t manifest_get_digest(struct manifest_scan *s, struct dr_rd *rd, const char *field,
                                      struct dr_bytes *ret);

/** An INTEGER of at most @p octets, 1 to 2^32 - 1; faults with MALFORMED or SIZE. */
DR_CHECK dr_err_t manifest_get_size(struct manifest_scan *s, struct dr_rd *rd, const char *field,
                                    size_t octets, uint64_t *ret);

/** Does any of the trusted keys verify a raw signature over @p tbs? */
bool manifest_any_key(const struct manifest_means *means, struct dr_bytes tbs, struct dr_bytes sig);

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

/* ---- SUIT ---- */

/** Members of the manifest map that hold command sequences. */
enum manifest_suit_phase {
    MANIFEST_SUIT_VALIDATE = 7,
    MANIFEST_SUIT_LOAD = 8,
    MANIFEST_SUIT_INVOKE = 9,
    MANIFEST_SUIT_FETCH = 16,
    MANIFEST_SUIT_INSTALL = 20,
};
#define MANIFEST_SUIT_PHASES 5
#define MANIFEST_SUIT_TEXT   23

enum manifest_suit_command {
    MANIFEST_SUIT_COND_VENDOR = 1,
    MANIFEST_SUIT_COND_CLASS = 2,
    MANIFEST_SUIT_COND_IMAGE = 3,
    MANIFEST_SUIT_COND_SLOT = 5,
    MANIFEST_SUIT_SET_INDEX = 12,
    MANIFEST_SUIT_ABORT = 14,
    MANIFEST_SUIT_TRY_EACH = 15,
    MANIFEST_SUIT_OVERRIDE = 20,
    MANIFEST_SUIT_DO_FETCH = 21,
    MANIFEST_SUIT_DO_COPY = 22,
    MANIFEST_SUIT_DO_INVOKE = 23,
    MANIFEST_SUIT_COND_DEVICE = 24,
    MANIFEST_SUIT_RUN = 32,
};

enum manifest_suit_param {
    MANIFEST_SUIT_P_VENDOR = 1,
    MANIFEST_SUIT_P_CLASS = 2,
    MANIFEST_SUIT_P_DIGEST = 3,
    MANIFEST_SUIT_P_SLOT = 5,
    MANIFEST_SUIT_P_SIZE = 14,
    MANIFEST_SUIT_P_URI = 21,
    MANIFEST_SUIT_P_SOURCE = 22,
    MANIFEST_SUIT_P_INVOKE_ARGS = 23,
    MANIFEST_SUIT_P_DEVICE = 24,
    MANIFEST_SUIT_P_FETCH_ARGS = 25,
};

#define MANIFEST_SUIT_SHA256 (-16)

struct manifest_suit_sequence {
    enum manifest_suit_phase phase;
    struct dr_bytes code; /**< encoded array, empty = absent */
};

/** SUIT_Digest array in @p in: faults with DIGEST_ALGORITHM unless it is SHA-256 of 32 octets. */
DR_CHECK dr_err_t manifest_suit_digest(struct manifest_scan *s, struct dr_bytes in,
                                       struct dr_bytes *ret);

/** Payload that the envelope holds under the text key @p name. DR_ERR_NOT_FOUND. */
DR_CHECK dr_err_t manifest_suit_integrated(struct dr_bytes envelope, struct dr_bytes name,
                                           struct dr_bytes *ret);

/**
 * Run the shared sequence before each phase, for every slot that the conditions name: fills
 * identities and images of the view, faults on what a processor would refuse. The scan's stage is
 * raised when the shared sequence is understood.
 */
DR_CHECK dr_err_t manifest_suit_run(struct manifest_scan *s, struct dr_bytes shared,
                                    const struct manifest_suit_sequence *phases);
