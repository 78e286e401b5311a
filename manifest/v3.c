/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SignedResource  SEQUENCE { ENUMERATED 3, Manifest, OCTET STRING signature (64, raw r || s) }
 * Manifest        SEQUENCE { vendor-id OCTET STRING, class-id OCTET STRING, update-priority
 * INTEGER, component-name UTF8, payload-version UTF8, payload-digest OCTET STRING, payload-size
 * INTEGER, payload-uri UTF8, payload-format ENUMERATED, installed-signature OCTET STRING (64 or
 * empty), metadata SEQUENCE { installed-size INTEGER, installed-digest OCTET STRING,
 *                 precursor-digest OCTET STRING opt } opt, vendor-data OCTET STRING opt }
 * key trailer     81 10 and 16 octets, behind the SignedResource, encrypted payloads only
 * example         30 82 .. 0A 01 03 30 .. 04 10 <vendor> 04 10 <class> 02 01 01 0C 04 "MAIN" ..
 * The signature covers the Manifest with its tag and length, not the version before it.
 */
#include "base/text.h"
#include "manifest/der.h"
#include "manifest/manifest_priv.h"

#define KEY_TAG         0x81
#define KEY_LEN         16
#define SIZE_OCTETS_MAX 4 /* sizes below 2^31 */

static bool encrypted(enum manifest_payload_format format)
{
    return format == MANIFEST_PAYLOAD_ENCRYPTED_RAW ||
           format == MANIFEST_PAYLOAD_ENCRYPTED_COMBINED;
}

static dr_err_t outer(struct manifest_scan *s)
{
    struct dr_rd rd = dr_rd_bytes_of(s->in);
    struct manifest_der e;
    uint64_t version = 0;

    s->stage = MANIFEST_STAGE_OUTER;
    if (manifest_der_next(&rd, &e) != DR_OK || e.tag != MANIFEST_DER_SEQUENCE) {
        return manifest_fail(s, MANIFEST_CHECK_MALFORMED,
                             "the outer sequence is cut short or not DER");
    }
    s->m->whole = e.whole;
    s->rest = dr_rd_rest(&rd);
    struct dr_rd in = dr_rd_bytes_of(e.value);
    if (manifest_der_get_uint(&in, MANIFEST_DER_ENUMERATED, 2, &version) != DR_OK) {
        return manifest_fail(s, MANIFEST_CHECK_MALFORMED, "the version is not an ENUMERATED");
    }
    if (version != MANIFEST_V3) {
        return manifest_fail(s, MANIFEST_CHECK_SCHEMA, "schema version %llu, known is 3",
                             (unsigned long long)version);
    }
    if (manifest_der_next(&in, &e) != DR_OK || e.tag != MANIFEST_DER_SEQUENCE) {
        return manifest_fail(s, MANIFEST_CHECK_MALFORMED, "the manifest is not a SEQUENCE");
    }
    s->m->signed_part = e.whole;
    s->body = e.value;
    if (manifest_der_get(&in, MANIFEST_DER_OCTETS, &s->m->signatures[0].sig) != DR_OK) {
        return manifest_fail(s, MANIFEST_CHECK_MALFORMED, "the signature is not an OCTET STRING");
    }
    s->m->signature_count = 1;
    if (!dr_rd_done(&in)) {
        return manifest_fail(s, MANIFEST_CHECK_MALFORMED, "octets after the signature");
    }
    return DR_OK;
}

static dr_err_t authenticate(struct manifest_scan *s, const struct manifest_means *means)
{
    struct dr_bytes sig = s->m->signatures[0].sig;

    if (sig.len != MANIFEST_SIG_LEN) {
        return manifest_fail(s, MANIFEST_CHECK_SIGNATURE, "%zu octets instead of 64", sig.len);
    }
    if (!manifest_any_key(means, s->m->signed_part, sig)) {
        return manifest_fail(s, MANIFEST_CHECK_SIGNATURE, "by none of the trusted keys");
    }
    return DR_OK;
}

static dr_err_t get_identity(struct manifest_scan *s, struct dr_rd *rd)
{
    struct manifest *m = s->m;

    if (manifest_der_get(rd, MANIFEST_DER_OCTETS, &m->vendor) != DR_OK ||
        m->vendor.len != MANIFEST_ID_LEN) {
        return manifest_malformed(s, "vendor-id");
    }
    if (manifest_der_get(rd, MANIFEST_DER_OCTETS, &m->class_id) != DR_OK ||
        m->class_id.len != MANIFEST_ID_LEN) {
        return manifest_malformed(s, "class-id");
    }
    return DR_OK;
}

static dr_err_t get_head(struct manifest_scan *s, struct dr_rd *rd)
{
    struct manifest *m = s->m;

    if (manifest_der_get_uint(rd, MANIFEST_DER_INTEGER, 4, &m->priority) != DR_OK) {
        return manifest_malformed(s, "update-priority (0 to 2147483647)");
    }
    m->has_priority = true;
    if (manifest_der_get_utf8(rd, &m->component) != DR_OK || m->component.len == 0 ||
        m->component.len > MANIFEST_COMPONENT_MAX ||
        memchr(m->component.p, 0, m->component.len) != NULL) {
        return manifest_malformed(s, "component-name (1 to 8 octets)");
    }
    if (manifest_der_get_utf8(rd, &m->version_text) != DR_OK) {
        return manifest_malformed(s, "payload-version");
    }
    if (manifest_version_parse(m->version_text, &m->version) != DR_OK) {
        return manifest_fail(s, MANIFEST_CHECK_VERSION,
                             "payload-version is not major.minor.split of 0 to 999, above 0.0.0");
    }
    return DR_OK;
}

static dr_err_t get_payload(struct manifest_scan *s, struct dr_rd *rd)
{
    struct manifest_image *img = &s->m->images[0];
    uint64_t format = 0;

    dr_err_t err = manifest_get_digest(s, rd, "payload-digest", &img->digest);
    if (err == DR_OK) {
        err = manifest_get_size(s, rd, "payload-size", SIZE_OCTETS_MAX, &img->size);
    }
    if (err != DR_OK) {
        return err;
    }
    img->has_size = true;
    img->slot = -1;
    s->m->image_count = 1;
    if (manifest_der_get_utf8(rd, &img->uri) != DR_OK) {
        return manifest_malformed(s, "payload-uri");
    }
    if (img->uri.len == 0 || img->uri.len > s->uri_max || memchr(img->uri.p, 0, img->uri.len)) {
        return manifest_fail(s, MANIFEST_CHECK_URI,
                             "payload-uri has %zu octets, 1 to %zu are allowed", img->uri.len,
                             s->uri_max);
    }
    if (manifest_der_get_uint(rd, MANIFEST_DER_ENUMERATED, 2, &format) != DR_OK) {
        return manifest_malformed(s, "payload-format");
    }
    switch (format) {
    case MANIFEST_PAYLOAD_RAW:
    case MANIFEST_PAYLOAD_DELTA:
    case MANIFEST_PAYLOAD_COMBINED:
    case MANIFEST_PAYLOAD_ENCRYPTED_RAW:
    case MANIFEST_PAYLOAD_ENCRYPTED_COMBINED:
        s->m->payload_format = (enum manifest_payload_format)format;
        return DR_OK;
    default:
        return manifest_fail(s, MANIFEST_CHECK_PAYLOAD_FORMAT, "payload-format %llu is not known",
                             (unsigned long long)format);
    }
}

static dr_err_t get_metadata(struct manifest_scan *s, struct dr_rd *rd)
{
    struct manifest *m = s->m;
    struct dr_bytes body;

    bool present = manifest_der_peek(rd) == MANIFEST_DER_SEQUENCE;
    if (present != (m->payload_format != MANIFEST_PAYLOAD_RAW)) {
        return manifest_fail(s, MANIFEST_CHECK_MALFORMED, "payload-metadata is %s",
                             present ? "there, but the payload is the image" : "missing");
    }
    if (!present) {
        return DR_OK;
    }
    if (manifest_der_get(rd, MANIFEST_DER_SEQUENCE, &body) != DR_OK) {
        return manifest_malformed(s, "payload-metadata");
    }
    struct dr_rd in = dr_rd_bytes_of(body);
    dr_err_t err = manifest_get_size(s, &in, "installed-size", SIZE_OCTETS_MAX, &m->installed_size);
    if (err == DR_OK) {
        err = manifest_get_digest(s, &in, "installed-digest", &m->installed_digest);
    }
    if (err != DR_OK) {
        return err;
    }
    m->has_installed = true;
    if (m->payload_format == MANIFEST_PAYLOAD_DELTA) {
        err = manifest_get_digest(s, &in, "precursor-digest", &m->images[0].precursor);
    }
    if (err == DR_OK && !dr_rd_done(&in)) {
        return manifest_malformed(s, "payload-metadata");
    }
    return err;
}

/* Nothing may follow but the service's key of an encrypted payload. */
static dr_err_t get_trailer(struct manifest_scan *s)
{
    static const uint8_t zero[KEY_LEN];
    struct dr_rd rd = dr_rd_bytes_of(s->rest);
    struct dr_bytes key;

    if (s->rest.len == 0) {
        return DR_OK;
    }
    if (!encrypted(s->m->payload_format)) {
        return manifest_fail(s, MANIFEST_CHECK_MALFORMED, "%zu octets behind the manifest",
                             s->rest.len);
    }
    if (manifest_der_get(&rd, KEY_TAG, &key) != DR_OK || key.len != KEY_LEN || !dr_rd_done(&rd) ||
        dr_ct_equal(key.p, zero, KEY_LEN)) {
        return manifest_fail(s, MANIFEST_CHECK_MALFORMED,
                             "what follows the manifest is not a payload key");
    }
    s->m->payload_key = key;
    return DR_OK;
}

static dr_err_t get_tail(struct manifest_scan *s, struct dr_rd *rd)
{
    struct manifest *m = s->m;

    if (manifest_der_get(rd, MANIFEST_DER_OCTETS, &m->installed_signature) != DR_OK) {
        return manifest_malformed(s, "installed-signature");
    }
    if (m->installed_signature.len != 0 && m->installed_signature.len != MANIFEST_SIG_LEN) {
        return manifest_fail(s, MANIFEST_CHECK_INSTALLED_SIGNATURE,
                             "%zu octets instead of 64 or none", m->installed_signature.len);
    }
    dr_err_t err = get_metadata(s, rd);
    if (err != DR_OK) {
        return err;
    }
    if (manifest_der_peek(rd) != 0 &&
        manifest_der_get(rd, MANIFEST_DER_OCTETS, &m->vendor_data) != DR_OK) {
        return manifest_malformed(s, "vendor-data");
    }
    if (m->vendor_data.len > s->vendor_data_max) {
        return manifest_fail(s, MANIFEST_CHECK_VENDOR_DATA, "%zu octets, the device takes %zu",
                             m->vendor_data.len, s->vendor_data_max);
    }
    if (!dr_rd_done(rd)) {
        return manifest_fail(s, MANIFEST_CHECK_MALFORMED, "unknown members in the manifest");
    }
    return get_trailer(s);
}

static dr_err_t inner(struct manifest_scan *s)
{
    struct dr_rd rd = dr_rd_bytes_of(s->body);

    s->stage = MANIFEST_STAGE_IDENTITY;
    dr_err_t err = get_identity(s, &rd);
    if (err == DR_OK) {
        s->stage = MANIFEST_STAGE_FIELDS;
        err = get_head(s, &rd);
    }
    if (err == DR_OK) {
        err = get_payload(s, &rd);
    }
    if (err == DR_OK) {
        err = get_tail(s, &rd);
    }
    return err;
}

static void put_manifest(const struct manifest *m, struct dr_wr *wr)
{
    const struct manifest_image *img = &m->images[0];
    size_t mark = manifest_der_begin(wr, MANIFEST_DER_SEQUENCE);

    manifest_der_put(wr, MANIFEST_DER_OCTETS, m->vendor);
    manifest_der_put(wr, MANIFEST_DER_OCTETS, m->class_id);
    manifest_der_put_uint(wr, MANIFEST_DER_INTEGER, m->priority);
    manifest_der_put(wr, MANIFEST_DER_UTF8, m->component);
    manifest_der_put(wr, MANIFEST_DER_UTF8, m->version_text);
    manifest_der_put(wr, MANIFEST_DER_OCTETS, img->digest);
    manifest_der_put_uint(wr, MANIFEST_DER_INTEGER, img->size);
    manifest_der_put(wr, MANIFEST_DER_UTF8, img->uri);
    manifest_der_put_uint(wr, MANIFEST_DER_ENUMERATED, m->payload_format);
    manifest_der_put(wr, MANIFEST_DER_OCTETS, m->installed_signature);
    if (m->has_installed) {
        size_t meta = manifest_der_begin(wr, MANIFEST_DER_SEQUENCE);
        manifest_der_put_uint(wr, MANIFEST_DER_INTEGER, m->installed_size);
        manifest_der_put(wr, MANIFEST_DER_OCTETS, m->installed_digest);
        if (img->precursor.len != 0) {
            manifest_der_put(wr, MANIFEST_DER_OCTETS, img->precursor);
        }
        manifest_der_end(wr, meta);
    }
    if (m->vendor_data.len != 0) {
        manifest_der_put(wr, MANIFEST_DER_OCTETS, m->vendor_data);
    }
    manifest_der_end(wr, mark);
}

static dr_err_t build(const struct manifest *m, const struct manifest_signer *signer,
                      enum manifest_alg alg, struct dr_wr *wr)
{
    uint8_t sig[MANIFEST_SIG_LEN];

    (void)alg;
    size_t mark = manifest_der_begin(wr, MANIFEST_DER_SEQUENCE);
    manifest_der_put_uint(wr, MANIFEST_DER_ENUMERATED, MANIFEST_V3);
    size_t from = dr_wr_len(wr);
    put_manifest(m, wr);
    if (!dr_wr_ok(wr)) {
        return dr_wr_err(wr);
    }
    dr_err_t err =
        signer->sign(signer->data, dr_bytes_of(wr->start + from, dr_wr_len(wr) - from), sig);
    if (err != DR_OK) {
        return err;
    }
    manifest_der_put(wr, MANIFEST_DER_OCTETS, dr_bytes_of(sig, sizeof sig));
    manifest_der_end(wr, mark);
    return DR_OK;
}

const struct manifest_codec manifest_codec_v3 = {
    .outer = outer, .inner = inner, .authenticate = authenticate, .build = build};
