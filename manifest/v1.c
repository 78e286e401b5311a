/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SignedResource     SEQUENCE { Resource, ResourceSignature }
 * Resource           SEQUENCE { uri UTF8 opt, resourceType ENUMERATED 0, Manifest }
 * Manifest           SEQUENCE { version ENUMERATED 1, description UTF8 opt, timestamp INTEGER,
 *                    vendorId, classId, deviceId, nonce, vendorInfo OCTET STRING,
 *                    precursorDigest OCTET STRING opt, applyPeriod SEQUENCE opt,
 *                    applyImmediately BOOLEAN, priority INTEGER opt, encryptionMode ENUMERATED,
 *                    aliases SEQUENCE OF, dependencies SEQUENCE OF, payload SEQUENCE opt }
 * ResourceSignature  SEQUENCE { hash OCTET STRING, SEQUENCE OF { signature OCTET STRING (DER),
 *                    SEQUENCE OF { fingerprint OCTET STRING, uri UTF8 } }, macs SEQUENCE OF opt }
 * example            30 82 .. 30 82 .. 0A 01 00 30 82 .. 0A 01 01 02 04 65 53 F1 00 04 10 <vendor>
 * .. hash is SHA-256 over the Resource with its tag and length; the signature is over the same
 * octets.
 */
#include "base/text.h"
#include "manifest/der.h"
#include "manifest/manifest_priv.h"

#define RESOURCE_MANIFEST 0
#define FORMAT_RAW        1
#define FORMAT_BSDIFF     5
#define SIZE_OCTETS_MAX   5 /* sizes below 2^32 */

static dr_err_t get_certs(struct manifest_scan *s, struct dr_bytes list,
                          struct manifest_signature *sig)
{
    struct dr_rd rd = dr_rd_bytes_of(list);
    bool first = true;

    while (!dr_rd_done(&rd)) {
        struct dr_bytes body, fingerprint, uri;
        if (manifest_der_get(&rd, MANIFEST_DER_SEQUENCE, &body) != DR_OK) {
            return manifest_malformed(s, "certificate reference");
        }
        struct dr_rd in = dr_rd_bytes_of(body);
        if (manifest_der_get(&in, MANIFEST_DER_OCTETS, &fingerprint) != DR_OK ||
            fingerprint.len != MANIFEST_DIGEST_LEN || manifest_der_get_utf8(&in, &uri) != DR_OK ||
            !dr_rd_done(&in)) {
            return manifest_malformed(s, "certificate reference (fingerprint of 32 octets, uri)");
        }
        if (first) {
            sig->fingerprint = fingerprint;
            sig->cert_uri = uri;
            first = false;
        }
    }
    return first ? manifest_malformed(s, "certificate reference") : DR_OK;
}

static dr_err_t get_signatures(struct manifest_scan *s, struct dr_bytes list)
{
    struct dr_rd rd = dr_rd_bytes_of(list);
    struct manifest *m = s->m;

    while (!dr_rd_done(&rd)) {
        struct dr_bytes body, certs;
        if (m->signature_count == MANIFEST_SIGNATURES_MAX) {
            return manifest_fail(s, MANIFEST_CHECK_MALFORMED, "more than %d signatures",
                                 MANIFEST_SIGNATURES_MAX);
        }
        struct manifest_signature *sig = &m->signatures[m->signature_count];
        if (manifest_der_get(&rd, MANIFEST_DER_SEQUENCE, &body) != DR_OK) {
            return manifest_malformed(s, "signature block");
        }
        struct dr_rd in = dr_rd_bytes_of(body);
        if (manifest_der_get(&in, MANIFEST_DER_OCTETS, &sig->sig) != DR_OK ||
            manifest_der_get(&in, MANIFEST_DER_SEQUENCE, &certs) != DR_OK || !dr_rd_done(&in)) {
            return manifest_malformed(s, "signature block");
        }
        dr_err_t err = get_certs(s, certs, sig);
        if (err != DR_OK) {
            return err;
        }
        m->signature_count++;
    }
    return DR_OK;
}

/* Symmetric authentication: only that the list is well-formed. */
static dr_err_t get_macs(struct manifest_scan *s, struct dr_rd *rd)
{
    struct dr_bytes list;

    if (manifest_der_peek(rd) == 0) {
        return DR_OK;
    }
    if (manifest_der_get(rd, MANIFEST_DER_SEQUENCE, &list) != DR_OK) {
        return manifest_malformed(s, "macs");
    }
    struct dr_rd in = dr_rd_bytes_of(list);
    while (!dr_rd_done(&in)) {
        struct dr_bytes body, skip;
        uint64_t n;
        if (manifest_der_get(&in, MANIFEST_DER_SEQUENCE, &body) != DR_OK) {
            return manifest_malformed(s, "mac block");
        }
        struct dr_rd b = dr_rd_bytes_of(body);
        bool good = manifest_der_get(&b, MANIFEST_DER_OCTETS, &skip) == DR_OK &&
                    manifest_der_get_uint(&b, MANIFEST_DER_INTEGER, 8, &n) == DR_OK &&
                    (manifest_der_peek(&b) != MANIFEST_DER_OCTETS ||
                     manifest_der_get(&b, MANIFEST_DER_OCTETS, &skip) == DR_OK) &&
                    (manifest_der_peek(&b) != MANIFEST_DER_UTF8 ||
                     manifest_der_get_utf8(&b, &skip) == DR_OK) &&
                    manifest_der_get_uint(&b, MANIFEST_DER_INTEGER, 8, &n) == DR_OK &&
                    manifest_der_get_uint(&b, MANIFEST_DER_INTEGER, 8, &n) == DR_OK &&
                    dr_rd_done(&b);
        if (!good) {
            return manifest_malformed(s, "mac block");
        }
        s->m->mac_count++;
    }
    return DR_OK;
}

static dr_err_t get_resource_signature(struct manifest_scan *s, struct dr_bytes body)
{
    struct dr_rd rd = dr_rd_bytes_of(body);
    struct dr_bytes list;

    dr_err_t err = manifest_get_digest(s, &rd, "signature hash", &s->m->hash);
    if (err != DR_OK) {
        return err;
    }
    if (manifest_der_get(&rd, MANIFEST_DER_SEQUENCE, &list) != DR_OK) {
        return manifest_malformed(s, "signatures");
    }
    err = get_signatures(s, list);
    if (err == DR_OK) {
        err = get_macs(s, &rd);
    }
    if (err == DR_OK && !dr_rd_done(&rd)) {
        return manifest_malformed(s, "signature");
    }
    return err;
}

/* Version and encryption mode are looked at before the signature; skip what is between them. */
static dr_err_t get_mode(struct manifest_scan *s)
{
    struct dr_rd rd = dr_rd_bytes_of(s->body);
    struct manifest_der e = {0};
    uint64_t n = 0;

    if (manifest_der_get_uint(&rd, MANIFEST_DER_ENUMERATED, 2, &n) != DR_OK) {
        return manifest_malformed(s, "manifestVersion");
    }
    if (n != MANIFEST_V1) {
        return manifest_fail(s, MANIFEST_CHECK_VERSION, "manifestVersion %llu, known is 1",
                             (unsigned long long)n);
    }
    while (manifest_der_peek(&rd) != MANIFEST_DER_ENUMERATED) {
        if (manifest_der_next(&rd, &e) != DR_OK) {
            return manifest_malformed(s, "manifest");
        }
        if (e.tag == MANIFEST_DER_OID) {
            return manifest_fail(s, MANIFEST_CHECK_CRYPTO_MODE, "encryptionMode is an OID");
        }
    }
    if (manifest_der_get_uint(&rd, MANIFEST_DER_ENUMERATED, 2, &n) != DR_OK) {
        return manifest_malformed(s, "encryptionMode");
    }
    if (n < MANIFEST_MODE_ECC_AES || n > MANIFEST_MODE_PSK_AES) {
        return manifest_fail(s, MANIFEST_CHECK_CRYPTO_MODE, "encryptionMode %llu",
                             (unsigned long long)n);
    }
    s->m->mode = (uint32_t)n;
    return DR_OK;
}

static bool symmetric(const struct manifest *m)
{
    return m->mode == MANIFEST_MODE_PSK || m->mode == MANIFEST_MODE_PSK_AES;
}

static dr_err_t get_resource(struct manifest_scan *s, struct dr_rd *rd)
{
    struct manifest_der e;
    struct dr_bytes uri;
    uint64_t type = 0;

    if (manifest_der_next(rd, &e) != DR_OK || e.tag != MANIFEST_DER_SEQUENCE) {
        return manifest_malformed(s, "resource");
    }
    s->m->signed_part = e.whole;
    struct dr_rd in = dr_rd_bytes_of(e.value);
    if (manifest_der_peek(&in) == MANIFEST_DER_UTF8 && manifest_der_get_utf8(&in, &uri) != DR_OK) {
        return manifest_malformed(s, "resource uri");
    }
    if (manifest_der_get_uint(&in, MANIFEST_DER_ENUMERATED, 2, &type) != DR_OK) {
        return manifest_malformed(s, "resourceType");
    }
    if (type != RESOURCE_MANIFEST) {
        return manifest_fail(s, MANIFEST_CHECK_MALFORMED, "resourceType %llu is not a manifest",
                             (unsigned long long)type);
    }
    if (manifest_der_get(&in, MANIFEST_DER_SEQUENCE, &s->body) != DR_OK || !dr_rd_done(&in)) {
        return manifest_malformed(s, "manifest");
    }
    return DR_OK;
}

static dr_err_t outer(struct manifest_scan *s)
{
    struct dr_rd rd = dr_rd_bytes_of(s->in);
    struct manifest_der e;
    struct dr_bytes signature;

    s->stage = MANIFEST_STAGE_OUTER;
    if (manifest_der_next(&rd, &e) != DR_OK || e.tag != MANIFEST_DER_SEQUENCE) {
        return manifest_fail(s, MANIFEST_CHECK_MALFORMED,
                             "the outer sequence is cut short or not DER");
    }
    s->m->whole = e.whole;
    s->rest = dr_rd_rest(&rd);
    struct dr_rd in = dr_rd_bytes_of(e.value);
    dr_err_t err = get_resource(s, &in);
    if (err != DR_OK) {
        return err;
    }
    if (manifest_der_get(&in, MANIFEST_DER_SEQUENCE, &signature) != DR_OK || !dr_rd_done(&in)) {
        return manifest_malformed(s, "resource signature");
    }
    err = get_mode(s);
    if (err == DR_OK) {
        err = get_resource_signature(s, signature);
    }
    if (err == DR_OK && s->rest.len != 0 && !symmetric(s->m)) {
        err = manifest_fail(s, MANIFEST_CHECK_MALFORMED, "%zu octets behind the manifest",
                            s->rest.len);
    }
    return err;
}

/* A block is by the key whose certificate it names; a key without certificate is tried as it is. */
static dr_err_t check_block(struct manifest_scan *s, const struct manifest_signature *sig,
                            const struct manifest_means *means)
{
    uint8_t raw[MANIFEST_SIG_LEN];
    bool known = false;

    bool der = manifest_sig_from_der(sig->sig, raw) == DR_OK;
    if (der && means->any_signer) {
        return DR_OK;
    }
    for (size_t i = 0; i < means->key_count; i++) {
        const uint8_t *fp = manifest_key_fingerprint(means->keys[i]);
        if (fp != NULL && memcmp(fp, sig->fingerprint.p, MANIFEST_DIGEST_LEN) != 0) {
            continue;
        }
        known = true;
        if (der && manifest_key_verify(means->keys[i], s->m->signed_part, raw)) {
            return DR_OK;
        }
    }
    if (!known && !means->any_signer) {
        return manifest_fail(s, MANIFEST_CHECK_UNKNOWN_SIGNER,
                             "a signature is by a certificate that is not trusted");
    }
    return manifest_fail(s, MANIFEST_CHECK_SIGNATURE,
                         der ? "a signature does not verify" : "a signature is not in DER form");
}

static dr_err_t authenticate(struct manifest_scan *s, const struct manifest_means *means)
{
    const struct manifest *m = s->m;
    uint8_t digest[MANIFEST_DIGEST_LEN];

    manifest_sha256(m->signed_part, digest);
    if (!dr_ct_equal(digest, m->hash.p, sizeof digest)) {
        return manifest_fail(s, MANIFEST_CHECK_HASH,
                             "the hash field is not the SHA-256 of the resource");
    }
    if (m->mode == MANIFEST_MODE_NONE) {
        return manifest_fail(s, MANIFEST_CHECK_CRYPTO_MODE, "the manifest is not signed");
    }
    if (symmetric(m)) {
        return manifest_fail(s, MANIFEST_CHECK_CRYPTO_MODE,
                             "symmetric modes need the device's own key");
    }
    if (m->signature_count == 0) {
        return manifest_fail(s, MANIFEST_CHECK_UNAUTHENTICATED, "no signature");
    }
    for (uint32_t i = 0; i < m->signature_count; i++) {
        dr_err_t err = check_block(s, &m->signatures[i], means);
        if (err != DR_OK) {
            return err;
        }
    }
    return DR_OK;
}

static dr_err_t get_id(struct manifest_scan *s, struct dr_rd *rd, const char *field,
                       struct dr_bytes *ret)
{
    struct dr_bytes b;

    if (manifest_der_get(rd, MANIFEST_DER_OCTETS, &b) != DR_OK ||
        (b.len != 0 && b.len != MANIFEST_ID_LEN)) {
        return manifest_malformed(s, field);
    }
    *ret = b;
    return DR_OK;
}

static dr_err_t get_identity(struct manifest_scan *s, struct dr_rd *rd)
{
    struct manifest *m = s->m;
    struct dr_bytes skip;

    if (manifest_der_get(rd, MANIFEST_DER_ENUMERATED, &skip) != DR_OK ||
        (manifest_der_peek(rd) == MANIFEST_DER_UTF8 &&
         manifest_der_get_utf8(rd, &m->description) != DR_OK)) {
        return manifest_malformed(s, "description");
    }
    if (manifest_der_get_uint(rd, MANIFEST_DER_INTEGER, 8, &m->version) != DR_OK) {
        return manifest_malformed(s, "timestamp");
    }
    dr_err_t err = get_id(s, rd, "vendorId", &m->vendor);
    if (err == DR_OK) {
        err = get_id(s, rd, "classId", &m->class_id);
    }
    if (err == DR_OK) {
        err = get_id(s, rd, "deviceId", &m->device);
    }
    return err;
}

static dr_err_t get_period(struct manifest_scan *s, struct dr_rd *rd)
{
    struct manifest *m = s->m;
    struct dr_bytes body;

    if (manifest_der_peek(rd) != MANIFEST_DER_SEQUENCE) {
        return DR_OK;
    }
    if (manifest_der_get(rd, MANIFEST_DER_SEQUENCE, &body) != DR_OK) {
        return manifest_malformed(s, "applyPeriod");
    }
    struct dr_rd in = dr_rd_bytes_of(body);
    if (manifest_der_get_uint(&in, MANIFEST_DER_INTEGER, 8, &m->valid_from) != DR_OK ||
        manifest_der_get_uint(&in, MANIFEST_DER_INTEGER, 8, &m->valid_to) != DR_OK ||
        !dr_rd_done(&in)) {
        return manifest_malformed(s, "applyPeriod");
    }
    m->has_apply_period = true;
    return DR_OK;
}

static dr_err_t get_head(struct manifest_scan *s, struct dr_rd *rd, struct dr_bytes *ret_precursor)
{
    struct manifest *m = s->m;
    struct dr_bytes skip;

    if (manifest_der_get(rd, MANIFEST_DER_OCTETS, &m->nonce) != DR_OK) {
        return manifest_malformed(s, "nonce");
    }
    if (manifest_der_get(rd, MANIFEST_DER_OCTETS, &m->vendor_data) != DR_OK) {
        return manifest_malformed(s, "vendorInfo");
    }
    if (m->vendor_data.len > s->vendor_data_max) {
        return manifest_fail(s, MANIFEST_CHECK_VENDOR_DATA, "%zu octets, the device takes %zu",
                             m->vendor_data.len, s->vendor_data_max);
    }
    if (manifest_der_peek(rd) == MANIFEST_DER_OCTETS) {
        dr_err_t err = manifest_get_digest(s, rd, "precursorDigest", ret_precursor);
        if (err != DR_OK) {
            return err;
        }
    }
    dr_err_t err = get_period(s, rd);
    if (err != DR_OK) {
        return err;
    }
    if (manifest_der_get_bool(rd, &m->apply_immediately) != DR_OK) {
        return manifest_malformed(s, "applyImmediately");
    }
    if (manifest_der_peek(rd) == MANIFEST_DER_INTEGER) {
        if (manifest_der_get_uint(rd, MANIFEST_DER_INTEGER, 8, &m->priority) != DR_OK) {
            return manifest_malformed(s, "priority");
        }
        m->has_priority = true;
    }
    return manifest_der_get(rd, MANIFEST_DER_ENUMERATED, &skip) == DR_OK
               ? DR_OK
               : manifest_malformed(s, "encryptionMode");
}

/* ResourceReference SEQUENCE { hash OCTET STRING, uri UTF8 opt, size INTEGER } */
static dr_err_t get_reference(struct manifest_scan *s, struct dr_rd *rd, struct manifest_image *img)
{
    struct dr_bytes body;

    if (manifest_der_get(rd, MANIFEST_DER_SEQUENCE, &body) != DR_OK) {
        return manifest_malformed(s, "reference");
    }
    struct dr_rd in = dr_rd_bytes_of(body);
    dr_err_t err = manifest_get_digest(s, &in, "reference hash", &img->digest);
    if (err == DR_OK && manifest_der_peek(&in) == MANIFEST_DER_UTF8 &&
        manifest_der_get_utf8(&in, &img->uri) != DR_OK) {
        err = manifest_malformed(s, "reference uri");
    }
    if (err == DR_OK) {
        err = manifest_get_size(s, &in, "reference size", SIZE_OCTETS_MAX, &img->size);
    }
    if (err == DR_OK && !dr_rd_done(&in)) {
        err = manifest_malformed(s, "reference");
    }
    return err;
}

static dr_err_t get_lists(struct manifest_scan *s, struct dr_rd *rd)
{
    struct dr_bytes list;

    if (manifest_der_get(rd, MANIFEST_DER_SEQUENCE, &list) != DR_OK) {
        return manifest_malformed(s, "aliases");
    }
    struct dr_rd in = dr_rd_bytes_of(list);
    while (!dr_rd_done(&in)) {
        struct dr_bytes body, digest, uri;
        if (manifest_der_get(&in, MANIFEST_DER_SEQUENCE, &body) != DR_OK) {
            return manifest_malformed(s, "alias");
        }
        struct dr_rd b = dr_rd_bytes_of(body);
        dr_err_t err = manifest_get_digest(s, &b, "alias hash", &digest);
        if (err != DR_OK) {
            return err;
        }
        if (manifest_der_get_utf8(&b, &uri) != DR_OK || !dr_rd_done(&b)) {
            return manifest_malformed(s, "alias");
        }
        s->m->alias_count++;
    }
    if (manifest_der_get(rd, MANIFEST_DER_SEQUENCE, &list) != DR_OK) {
        return manifest_malformed(s, "dependencies");
    }
    in = dr_rd_bytes_of(list);
    while (!dr_rd_done(&in)) {
        struct manifest_image dep = {0};
        dr_err_t err = get_reference(s, &in, &dep);
        if (err != DR_OK) {
            return err;
        }
        s->m->dependency_count++;
    }
    return DR_OK;
}

static dr_err_t get_format(struct manifest_scan *s, struct dr_rd *rd)
{
    uint64_t n = 0;

    if (manifest_der_peek(rd) == MANIFEST_DER_OID) {
        return manifest_fail(s, MANIFEST_CHECK_PAYLOAD_FORMAT, "the format is an OID");
    }
    if (manifest_der_get_uint(rd, MANIFEST_DER_ENUMERATED, 2, &n) != DR_OK) {
        return manifest_malformed(s, "payload format");
    }
    if (n != FORMAT_RAW && n != FORMAT_BSDIFF) {
        return manifest_fail(s, MANIFEST_CHECK_PAYLOAD_FORMAT, "format %llu is not known",
                             (unsigned long long)n);
    }
    s->m->payload_format = n == FORMAT_RAW ? MANIFEST_PAYLOAD_RAW : MANIFEST_PAYLOAD_DELTA;
    return DR_OK;
}

static dr_err_t get_installed(struct manifest_scan *s, struct dr_rd *rd)
{
    struct manifest *m = s->m;
    dr_err_t err = DR_OK;

    bool size = manifest_der_peek(rd) == MANIFEST_DER_INTEGER;
    if (size) {
        err = manifest_get_size(s, rd, "installedSize", SIZE_OCTETS_MAX, &m->installed_size);
    }
    bool digest = manifest_der_peek(rd) == MANIFEST_DER_OCTETS;
    if (err == DR_OK && digest) {
        err = manifest_get_digest(s, rd, "installedDigest", &m->installed_digest);
    }
    m->has_installed = size && digest;
    if (err == DR_OK && manifest_der_peek(rd) == MANIFEST_DER_UTF8 &&
        manifest_der_get_utf8(rd, &m->payload_version) != DR_OK) {
        err = manifest_malformed(s, "payload version");
    }
    return err;
}

static dr_err_t get_payload(struct manifest_scan *s, struct dr_bytes body)
{
    struct manifest *m = s->m;
    struct manifest_image *img = &m->images[0];
    struct dr_rd rd = dr_rd_bytes_of(body);
    struct dr_bytes skip;

    dr_err_t err = get_format(s, &rd);
    if (err != DR_OK) {
        return err;
    }
    if (manifest_der_peek(&rd) == MANIFEST_DER_SEQUENCE) { /* encryptionInfo */
        if (manifest_der_get(&rd, MANIFEST_DER_SEQUENCE, &skip) != DR_OK) {
            return manifest_malformed(s, "encryptionInfo");
        }
        return manifest_fail(s, MANIFEST_CHECK_UNSUPPORTED, "encrypted payloads of v1");
    }
    if (manifest_der_get_utf8(&rd, &m->storage_id) != DR_OK) {
        return manifest_malformed(s, "storageIdentifier");
    }
    err = get_reference(s, &rd, img);
    if (err != DR_OK) {
        return err;
    }
    img->has_size = true;
    img->slot = -1;
    m->image_count = 1;
    if (img->uri.len == 0 || memchr(img->uri.p, 0, img->uri.len) != NULL) {
        return manifest_fail(s, MANIFEST_CHECK_URI, "the payload has no uri");
    }
    err = get_installed(s, &rd);
    if (err == DR_OK && !dr_rd_done(&rd)) {
        err = manifest_malformed(s, "payload");
    }
    return err;
}

static dr_err_t inner(struct manifest_scan *s)
{
    struct dr_rd rd = dr_rd_bytes_of(s->body);
    struct dr_bytes precursor = {0}, payload;

    s->stage = MANIFEST_STAGE_IDENTITY;
    dr_err_t err = get_identity(s, &rd);
    if (err == DR_OK) {
        s->stage = MANIFEST_STAGE_FIELDS;
        err = get_head(s, &rd, &precursor);
    }
    if (err == DR_OK) {
        err = get_lists(s, &rd);
    }
    if (err == DR_OK && manifest_der_peek(&rd) != 0) {
        err = manifest_der_get(&rd, MANIFEST_DER_SEQUENCE, &payload) == DR_OK
                  ? get_payload(s, payload)
                  : manifest_malformed(s, "payload");
    }
    if (err == DR_OK && !dr_rd_done(&rd)) {
        err = manifest_fail(s, MANIFEST_CHECK_MALFORMED, "unknown members in the manifest");
    }
    if (err != DR_OK) {
        return err;
    }
    s->m->images[0].precursor = precursor;
    s->m->device_record = s->rest;
    if (s->m->payload_format == MANIFEST_PAYLOAD_DELTA &&
        (precursor.len == 0 || !s->m->has_installed)) {
        return manifest_fail(s, MANIFEST_CHECK_MALFORMED,
                             "a delta needs precursorDigest, installedSize and installedDigest");
    }
    return DR_OK;
}

static void put_payload(const struct manifest *m, struct dr_wr *wr)
{
    const struct manifest_image *img = &m->images[0];
    size_t mark = manifest_der_begin(wr, MANIFEST_DER_SEQUENCE);

    manifest_der_put_uint(wr, MANIFEST_DER_ENUMERATED,
                          m->payload_format == MANIFEST_PAYLOAD_DELTA ? FORMAT_BSDIFF : FORMAT_RAW);
    manifest_der_put(wr, MANIFEST_DER_UTF8,
                     m->storage_id.len != 0 ? m->storage_id : dr_bytes_str("default"));
    size_t ref = manifest_der_begin(wr, MANIFEST_DER_SEQUENCE);
    manifest_der_put(wr, MANIFEST_DER_OCTETS, img->digest);
    manifest_der_put(wr, MANIFEST_DER_UTF8, img->uri);
    manifest_der_put_uint(wr, MANIFEST_DER_INTEGER, img->size);
    manifest_der_end(wr, ref);
    if (m->has_installed) {
        manifest_der_put_uint(wr, MANIFEST_DER_INTEGER, m->installed_size);
        manifest_der_put(wr, MANIFEST_DER_OCTETS, m->installed_digest);
    }
    manifest_der_end(wr, mark);
}

static void put_manifest(const struct manifest *m, struct dr_wr *wr)
{
    size_t mark = manifest_der_begin(wr, MANIFEST_DER_SEQUENCE);

    manifest_der_put_uint(wr, MANIFEST_DER_ENUMERATED, MANIFEST_V1);
    if (m->description.len != 0) {
        manifest_der_put(wr, MANIFEST_DER_UTF8, m->description);
    }
    manifest_der_put_uint(wr, MANIFEST_DER_INTEGER, m->version);
    manifest_der_put(wr, MANIFEST_DER_OCTETS, m->vendor);
    manifest_der_put(wr, MANIFEST_DER_OCTETS, m->class_id);
    manifest_der_put(wr, MANIFEST_DER_OCTETS, m->device);
    manifest_der_put(wr, MANIFEST_DER_OCTETS, m->nonce);
    manifest_der_put(wr, MANIFEST_DER_OCTETS, m->vendor_data);
    if (m->images[0].precursor.len != 0) {
        manifest_der_put(wr, MANIFEST_DER_OCTETS, m->images[0].precursor);
    }
    if (m->has_apply_period) {
        size_t period = manifest_der_begin(wr, MANIFEST_DER_SEQUENCE);
        manifest_der_put_uint(wr, MANIFEST_DER_INTEGER, m->valid_from);
        manifest_der_put_uint(wr, MANIFEST_DER_INTEGER, m->valid_to);
        manifest_der_end(wr, period);
    }
    manifest_der_put_bool(wr, m->apply_immediately);
    if (m->has_priority) {
        manifest_der_put_uint(wr, MANIFEST_DER_INTEGER, m->priority);
    }
    manifest_der_put_uint(wr, MANIFEST_DER_ENUMERATED, MANIFEST_MODE_ECC);
    manifest_der_put(wr, MANIFEST_DER_SEQUENCE, (struct dr_bytes){0}); /* aliases */
    manifest_der_put(wr, MANIFEST_DER_SEQUENCE, (struct dr_bytes){0}); /* dependencies */
    put_payload(m, wr);
    manifest_der_end(wr, mark);
}

static void put_signature(const struct manifest *m, const uint8_t digest[MANIFEST_DIGEST_LEN],
                          const uint8_t raw[MANIFEST_SIG_LEN], struct dr_wr *wr)
{
    uint8_t der[MANIFEST_SIG_DER_MAX];
    size_t len = manifest_sig_to_der(raw, der);
    size_t sig = manifest_der_begin(wr, MANIFEST_DER_SEQUENCE);

    manifest_der_put(wr, MANIFEST_DER_OCTETS, dr_bytes_of(digest, MANIFEST_DIGEST_LEN));
    size_t list = manifest_der_begin(wr, MANIFEST_DER_SEQUENCE);
    size_t block = manifest_der_begin(wr, MANIFEST_DER_SEQUENCE);
    manifest_der_put(wr, MANIFEST_DER_OCTETS, dr_bytes_of(der, len));
    size_t certs = manifest_der_begin(wr, MANIFEST_DER_SEQUENCE);
    size_t cert = manifest_der_begin(wr, MANIFEST_DER_SEQUENCE);
    manifest_der_put(wr, MANIFEST_DER_OCTETS, m->signatures[0].fingerprint);
    manifest_der_put(wr, MANIFEST_DER_UTF8, m->signatures[0].cert_uri);
    manifest_der_end(wr, cert);
    manifest_der_end(wr, certs);
    manifest_der_end(wr, block);
    manifest_der_end(wr, list);
    manifest_der_end(wr, sig);
}

static dr_err_t build(const struct manifest *m, const struct manifest_signer *signer,
                      enum manifest_alg alg, struct dr_wr *wr)
{
    uint8_t raw[MANIFEST_SIG_LEN], digest[MANIFEST_DIGEST_LEN];

    (void)alg;
    size_t mark = manifest_der_begin(wr, MANIFEST_DER_SEQUENCE);
    size_t from = dr_wr_len(wr);
    size_t resource = manifest_der_begin(wr, MANIFEST_DER_SEQUENCE);
    manifest_der_put_uint(wr, MANIFEST_DER_ENUMERATED, RESOURCE_MANIFEST);
    put_manifest(m, wr);
    manifest_der_end(wr, resource);
    if (!dr_wr_ok(wr)) {
        return dr_wr_err(wr);
    }
    struct dr_bytes tbs = dr_bytes_of(wr->start + from, dr_wr_len(wr) - from);
    dr_err_t err = signer->sign(signer->data, tbs, raw);
    if (err != DR_OK) {
        return err;
    }
    manifest_sha256(tbs, digest);
    put_signature(m, digest, raw, wr);
    manifest_der_end(wr, mark);
    return DR_OK;
}

const struct manifest_codec manifest_codec_v1 = {
    .outer = outer, .inner = inner, .authenticate = authenticate, .build = build};
