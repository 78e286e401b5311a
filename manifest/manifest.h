/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  manifest/manifest.h
 * @brief Update manifests of all three formats behind one view: parse, check as a device does,
 * build.
 *
 * Layer: manifest, pure.  Threads: reentrant, no state.  Memory: a view borrows the octets it was
 * parsed from; building writes into the caller's buffer.  Limits: MANIFEST_*_MAX.  Security: input
 * is hostile and never asserted on; signatures are verified over the octets received. Spec:
 * SUIT-MANIFEST, RFC9052#4.2; the ASN.1 formats are those of the update client (v1, v3).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "manifest/ident.h"
#include "manifest/key.h"

#define MANIFEST_SIZE_MAX       (256UL * 1024) /**< of a whole manifest, integrated payloads included */
#define MANIFEST_SIGNATURES_MAX 4
#define MANIFEST_IMAGES_MAX     8
#define MANIFEST_COMPONENTS_MAX 8
#define MANIFEST_COMPONENT_MAX  8   /**< octets of a v3 component name */
#define MANIFEST_URI_MAX        255 /**< of v3: what a default device takes */
#define MANIFEST_V3_SIZE_MAX    503 /**< octets that a default v3 device has room for */
#define MANIFEST_V1_SIZE_MAX    640

enum manifest_format { MANIFEST_V1 = 1, MANIFEST_V3 = 3, MANIFEST_SUIT = 4 };

/** NAME, text in messages and output, result code of the FOTA client (negative) */
#define MANIFEST_CHECK_LIST(X)                                                                     \
    X(NONE, "none", 0)                                                                             \
    X(MALFORMED, "malformed", -22)                                                                 \
    X(SCHEMA, "schema", -28)                                                                       \
    X(CRYPTO_MODE, "crypto-mode", -43)                                                             \
    X(HASH, "manifest-hash", -23)                                                                  \
    X(DIGEST_ALGORITHM, "digest-algorithm", -43)                                                   \
    X(DIGEST, "manifest-digest", -23)                                                              \
    X(UNAUTHENTICATED, "unauthenticated", -23)                                                     \
    X(ALGORITHM, "algorithm", -43)                                                                 \
    X(UNKNOWN_SIGNER, "unknown-signer", -23)                                                       \
    X(SIGNATURE, "signature", -23)                                                                 \
    X(SEVERED, "severed-digest", -22)                                                              \
    X(VENDOR, "vendor", -30)                                                                       \
    X(CLASS, "class", -31)                                                                         \
    X(DEVICE, "device", -22)                                                                       \
    X(VERSION, "version", -27)                                                                     \
    X(DIGEST_LENGTH, "digest-length", -43)                                                         \
    X(SIZE, "size", -22)                                                                           \
    X(URI, "uri", -21)                                                                             \
    X(PAYLOAD_FORMAT, "payload-format", -25)                                                       \
    X(INSTALLED_SIGNATURE, "installed-signature", -23)                                             \
    X(VENDOR_DATA, "custom-data-too-big", -29)                                                     \
    X(COMMAND, "unknown-command", -22)                                                             \
    X(CONDITION, "condition", -22)                                                                 \
    X(UNSUPPORTED, "unsupported", -22)                                                             \
    X(COMPONENT, "component", -39)                                                                 \
    X(PRECURSOR, "precursor", -32)                                                                 \
    X(PAYLOAD_SIZE, "payload-size", -26)                                                           \
    X(PAYLOAD_DIGEST, "payload-digest", -26)

enum manifest_check {
#define MANIFEST_CHECK_ENUM(name, text, code) MANIFEST_CHECK_##name,
    MANIFEST_CHECK_LIST(MANIFEST_CHECK_ENUM)
#undef MANIFEST_CHECK_ENUM
};

/** Name of a check in output ("vendor"); a constant. */
const char *manifest_check_name(enum manifest_check check);
/** What the FOTA client would report for it (10252/0/3 shows it without the sign). */
int manifest_check_code(enum manifest_check check);

/** Which check failed and why. */
struct manifest_fault {
    enum manifest_check check;
    char why[160]; /**< one sentence without full stop */
};

enum manifest_payload_format {
    MANIFEST_PAYLOAD_NONE = 0,
    MANIFEST_PAYLOAD_RAW = 1,
    MANIFEST_PAYLOAD_DELTA = 5, /**< v1 bsdiff-stream, v3 arm-patch-stream */
    MANIFEST_PAYLOAD_COMBINED = 6,
    MANIFEST_PAYLOAD_ENCRYPTED_RAW = 257,
    MANIFEST_PAYLOAD_ENCRYPTED_COMBINED = 262,
};

/** v1 encryptionMode */
enum manifest_mode {
    MANIFEST_MODE_ECC_AES = 1,
    MANIFEST_MODE_ECC = 2, /**< signed, payload in clear: the one in use */
    MANIFEST_MODE_NONE = 3,
    MANIFEST_MODE_PSK = 4,
    MANIFEST_MODE_PSK_AES = 5,
};

/** COSE algorithms */
enum manifest_alg { MANIFEST_ES256 = -7, MANIFEST_ESP256 = -9 };

struct manifest_signature {
    struct dr_bytes sig;         /**< v1: DER; v3, SUIT: raw */
    struct dr_bytes fingerprint; /**< v1: SHA-256 of the signing certificate */
    struct dr_bytes cert_uri;    /**< v1, may be empty */
    struct dr_bytes prot;        /**< SUIT: protected header */
    struct dr_bytes key_id;      /**< SUIT, may be empty */
    int64_t alg;                 /**< SUIT: 0 when the block is not a Sign1 */
};

/** An object to fetch. v1 and v3 have one; SUIT one for each component and slot. */
struct manifest_image {
    struct dr_bytes digest; /**< SHA-256 of the object fetched, 32 octets; may be empty in SUIT */
    bool has_size;          /**< always in v1 and v3 */
    uint64_t size;          /**< octets to fetch */
    struct dr_bytes uri;    /**< empty: nothing is fetched */
    struct dr_bytes precursor; /**< digest that must be installed before, or empty */
    uint64_t precursor_size;   /**< SUIT: 0 = not stated */
    uint32_t component;        /**< SUIT: index into components */
    int64_t slot;              /**< SUIT: the slot this holds for, -1 = any */
};

/** The view. Slices are empty when the member is absent. */
struct manifest {
    enum manifest_format format;
    struct dr_bytes whole; /**< all octets, without a key trailer */
    struct dr_bytes
        signed_part; /**< v1: Resource; v3: Manifest; SUIT: the manifest bstr, head included */

    struct dr_bytes vendor, class_id, device; /**< 16 octets each, or empty */
    uint64_t version; /**< v1: timestamp; v3: comparison number; SUIT: sequence number */
    struct dr_bytes version_text; /**< v3 */
    struct dr_bytes component;    /**< v3 name; empty in v1 */
    bool has_priority;
    uint64_t priority;
    struct dr_bytes description; /**< v1; SUIT: manifest description of the first language */
    struct dr_bytes vendor_data; /**< v1 vendorInfo, v3 vendor-data */
    enum manifest_payload_format payload_format;

    struct manifest_image images[MANIFEST_IMAGES_MAX];
    uint32_t image_count;
    bool has_installed;
    uint64_t installed_size;
    struct dr_bytes installed_digest;
    struct dr_bytes installed_signature; /**< v3: 64 octets or empty */
    struct dr_bytes payload_key; /**< v3: the service's key trailer, outside the signature */

    struct manifest_signature signatures[MANIFEST_SIGNATURES_MAX];
    uint32_t signature_count;

    /* v1 only */
    uint32_t mode; /**< enum manifest_mode */
    struct dr_bytes nonce, hash, storage_id, payload_version;
    bool apply_immediately;
    bool has_apply_period;
    uint64_t valid_from, valid_to;
    uint32_t alias_count, dependency_count, mac_count;
    struct dr_bytes device_record; /**< symmetric modes: the element after the manifest */

    /* SUIT only */
    struct dr_bytes manifest_digest; /**< as the envelope states it */
    int64_t digest_alg;              /**< COSE label, -16 = SHA-256 */
    struct dr_bytes reference_uri;
    struct dr_bytes components[MANIFEST_COMPONENTS_MAX]; /**< encoded component ids */
    uint32_t component_count;
    bool has_text, text_severed, install_severed, has_invoke;
    uint32_t integrated_count; /**< payloads inside the envelope */
};

/** Which format the octets claim to be; DR_ERR_UNSUPPORTED with a word about it in @p reterr. */
DR_CHECK dr_err_t manifest_detect(struct dr_bytes in, enum manifest_format *ret,
                                  struct dr_errinfo *reterr);

/**
 * Parse and validate all fields; no signature is looked at.
 * @param in         borrowed; the view points into it
 * @param ret        untouched on error
 * @param ret_fault  may be NULL; filled on error
 * @retval DR_ERR_UNSUPPORTED  none of the formats
 * @retval DR_ERR_PROTO        a format's rule is broken, see @p ret_fault
 */
DR_CHECK dr_err_t manifest_parse(struct dr_bytes in, struct manifest *ret,
                                 struct manifest_fault *ret_fault);

/** What the checker knows; what is NULL or zero is not checked. All borrowed. */
struct manifest_means {
    const struct manifest_key *const *keys; /**< trusted; none: no signature is good */
    size_t key_count;
    const uint8_t *vendor, *class_id, *device; /**< 16 octets */
    const char *const *components;             /**< names that the device knows (v3) */
    size_t component_count;
    bool has_current;         /**< current is valid */
    uint64_t current;         /**< v1: timestamp; v3: comparison number; SUIT: sequence number */
    const uint8_t *precursor; /**< SHA-256 of the running image */
    const uint8_t *payload;   /**< SHA-256 of the object behind the URI */
    uint64_t payload_size;    /**< with payload */
    bool has_vendor_data_max;
    size_t vendor_data_max;
    size_t uri_max;                /**< 0 = MANIFEST_URI_MAX (v3 only) */
    size_t manifest_max;           /**< 0 = MANIFEST_SIZE_MAX */
    bool need_installed_signature; /**< v3 devices whose bootloader checks images */
    /** There are no keys: every check but that of who signed it. Only for what a device checks
     * later. */
    bool any_signer;
    bool upload; /**< from an author: no key trailer, no device record after the manifest */
};

struct manifest_verdict {
    bool accepted;
    struct manifest_fault fault; /**< when refused */
    char note[160]; /**< accepted, but some clients will refuse it: why; may be empty */
};

/**
 * Make every check that @p means allow, in the device's order; the first failure decides.
 * @param ret           always filled
 * @param ret_manifest  may be NULL; filled when accepted, else untouched
 */
void manifest_check(struct dr_bytes in, const struct manifest_means *means,
                    struct manifest_verdict *ret, struct manifest *ret_manifest);

/**
 * Build and sign. The view says what to write (m->format and the members of that format); v1 takes
 * fingerprint and cert_uri from signatures[0]. What a device would refuse is refused here.
 * @param alg        SUIT: COSE algorithm to name
 * @param ret        written on success; room for the whole, see MANIFEST_SIZE_MAX
 * @param ret_fault  may be NULL; filled on DR_ERR_INVAL
 * @retval DR_ERR_INVAL    a member breaks a rule
 * @retval DR_ERR_NOSPACE  @p cap is too small
 * @return also the error of the signer
 */
DR_CHECK dr_err_t manifest_build(const struct manifest *m, const struct manifest_signer *signer,
                                 enum manifest_alg alg, uint8_t *ret, size_t cap, size_t *ret_len,
                                 struct manifest_fault *ret_fault);
