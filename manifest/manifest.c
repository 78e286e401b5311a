/* SPDX-License-Identifier: Apache-2.0 */
#include "manifest/manifest.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "manifest/der.h"
#include "manifest/manifest_priv.h"

static const struct {
    const char *name;
    int code;
} checks[] = {
#define MANIFEST_CHECK_ROW(sym, text, code) [MANIFEST_CHECK_##sym] = {text, code},
    MANIFEST_CHECK_LIST(MANIFEST_CHECK_ROW)
#undef MANIFEST_CHECK_ROW
};

const char *manifest_check_name(enum manifest_check check)
{
    dr_assert((size_t)check < DR_ARRAY_LEN(checks));
    return checks[check].name;
}

int manifest_check_code(enum manifest_check check)
{
    dr_assert((size_t)check < DR_ARRAY_LEN(checks));
    return checks[check].code;
}

dr_err_t manifest_fail(struct manifest_scan *s, enum manifest_check check, const char *fmt, ...)
{
    va_list ap;

    dr_assert(s != NULL && check != MANIFEST_CHECK_NONE);
    if (s->fault->check == MANIFEST_CHECK_NONE) {
        s->fault->check = check;
        va_start(ap, fmt);
        (void)vsnprintf(s->fault->why, sizeof s->fault->why, fmt, ap);
        va_end(ap);
    }
    return DR_ERR_PROTO;
}

bool manifest_any_key(const struct manifest_means *means, struct dr_bytes tbs, struct dr_bytes sig)
{
    dr_assert(means != NULL && sig.len == MANIFEST_SIG_LEN);
    bool found = means->any_signer;

    for (size_t i = 0; i < means->key_count && !found; i++) {
        found = manifest_key_verify(means->keys[i], tbs, sig.p);
    }
    return found;
}

/* A DER manifest begins with a SEQUENCE whose first member tells the format. */
static dr_err_t detect_der(struct dr_bytes in, enum manifest_format *ret, const char **ret_what)
{
    struct dr_rd rd = dr_rd_bytes_of(in);
    uint8_t len = 0;

    dr_rd_skip(&rd, 1);
    len = dr_rd_u8(&rd);
    dr_rd_skip(&rd, len > 0x80 ? len & 0x7fU : 0);
    uint8_t first = dr_rd_u8(&rd);
    if (!dr_rd_ok(&rd)) {
        *ret_what = "cut short";
        return DR_ERR_UNSUPPORTED;
    }
    if (first == MANIFEST_DER_SEQUENCE) {
        *ret = MANIFEST_V1;
        return DR_OK;
    }
    if (first == MANIFEST_DER_ENUMERATED) {
        *ret = MANIFEST_V3;
        return DR_OK;
    }
    *ret_what = first == MANIFEST_DER_OID ? "a CMS container, which no device takes"
                                          : "DER, but no update manifest";
    return DR_ERR_UNSUPPORTED;
}

static const char *foreign(struct dr_bytes in)
{
    static const struct {
        const char *magic, *what;
    } known[] = {{"\x3d\xb8\xf3\x96", "an MCUboot image"},
                 {"PELION/BSDIFF", "a delta payload"},
                 {"-----BEGIN", "a PEM file"},
                 {"version", "a tar archive (Mender artifact?)"}};

    for (size_t i = 0; i < DR_ARRAY_LEN(known); i++) {
        size_t n = strlen(known[i].magic);
        if (in.len >= n && memcmp(in.p, known[i].magic, n) == 0) {
            return known[i].what;
        }
    }
    return in.len == 0 ? "empty" : "neither DER nor a SUIT envelope";
}

dr_err_t manifest_detect(struct dr_bytes in, enum manifest_format *ret, struct dr_errinfo *reterr)
{
    const char *what = NULL;

    dr_assert(ret != NULL);
    if (in.len != 0 && in.p[0] == MANIFEST_DER_SEQUENCE) {
        dr_err_t err = detect_der(in, ret, &what);
        if (err == DR_OK) {
            return DR_OK;
        }
    } else if (in.len >= 2 && ((in.p[0] == 0xd8 && in.p[1] == 0x6b) || in.p[0] >> 4 == 0xa)) {
        *ret = MANIFEST_SUIT;
        return DR_OK;
    } else {
        what = foreign(in);
    }
    dr_errinfo_set(reterr, "manifest", 0, "%s", what);
    return DR_ERR_UNSUPPORTED;
}

static const struct manifest_codec *codec_of(enum manifest_format format)
{
    return format == MANIFEST_V1   ? &manifest_codec_v1
           : format == MANIFEST_V3 ? &manifest_codec_v3
                                   : &manifest_codec_suit;
}

/* Detect the format and prepare a scan of it. */
static dr_err_t begin(struct manifest_scan *s, struct dr_bytes in, struct manifest *m,
                      struct manifest_fault *fault, size_t size_max)
{
    struct dr_errinfo info = {0};

    *m = (struct manifest){0};
    *fault = (struct manifest_fault){0};
    *s = (struct manifest_scan){.in = in,
                                .m = m,
                                .fault = fault,
                                .uri_max = MANIFEST_SIZE_MAX,
                                .vendor_data_max = MANIFEST_SIZE_MAX};
    if (in.len > size_max) {
        return manifest_fail(s, MANIFEST_CHECK_MALFORMED, "%zu octets, at most %zu are allowed",
                             in.len, size_max);
    }
    dr_err_t err = manifest_detect(in, &m->format, &info);
    if (err != DR_OK) {
        dr_err_t malformed = manifest_fail(s, MANIFEST_CHECK_MALFORMED, "%s", info.text);
        dr_assert(malformed != DR_OK);
    }
    return err;
}

dr_err_t manifest_parse(struct dr_bytes in, struct manifest *ret, struct manifest_fault *ret_fault)
{
    struct manifest m;
    struct manifest_fault fault;
    struct manifest_scan s;

    dr_assert(ret != NULL);
    dr_err_t err = begin(&s, in, &m, &fault, MANIFEST_SIZE_MAX);
    if (err == DR_OK) {
        err = codec_of(m.format)->outer(&s);
    }
    if (err == DR_OK) {
        err = codec_of(m.format)->inner(&s);
    }
    if (err != DR_OK) {
        dr_assert(fault.check != MANIFEST_CHECK_NONE);
        if (ret_fault != NULL) {
            *ret_fault = fault;
        }
        return err;
    }
    *ret = m;
    return DR_OK;
}

static dr_err_t check_id(struct manifest_scan *s, enum manifest_check check, const uint8_t *want,
                         struct dr_bytes got)
{
    char text[MANIFEST_ID_TEXT_LEN + 1], expected[MANIFEST_ID_TEXT_LEN + 1];

    if (want == NULL) {
        return DR_OK;
    }
    manifest_id_format(want, expected);
    if (got.len != MANIFEST_ID_LEN) {
        return manifest_fail(s, check, "the manifest names none, the device has %s", expected);
    }
    if (memcmp(got.p, want, MANIFEST_ID_LEN) != 0) {
        manifest_id_format(got.p, text);
        return manifest_fail(s, check, "the manifest is for %s, the device has %s", text, expected);
    }
    return DR_OK;
}

static dr_err_t check_identity(struct manifest_scan *s, const struct manifest_means *means)
{
    dr_err_t err = check_id(s, MANIFEST_CHECK_VENDOR, means->vendor, s->m->vendor);

    if (err == DR_OK) {
        err = check_id(s, MANIFEST_CHECK_CLASS, means->class_id, s->m->class_id);
    }
    if (err == DR_OK && s->m->device.len != 0) {
        err = check_id(s, MANIFEST_CHECK_DEVICE, means->device, s->m->device);
    }
    return err;
}

/* v1 and v3: strictly newer; SUIT: not older. */
static dr_err_t check_version(struct manifest_scan *s, const struct manifest_means *means)
{
    char now[MANIFEST_VERSION_LEN + 1], got[MANIFEST_VERSION_LEN + 1];
    uint64_t v = s->m->version;

    if (!means->has_current) {
        return DR_OK;
    }
    if (s->m->format == MANIFEST_SUIT) {
        return v >= means->current
                   ? DR_OK
                   : manifest_fail(s, MANIFEST_CHECK_VERSION,
                                   "sequence number %" PRIu64 " is lower than %" PRIu64, v,
                                   means->current);
    }
    if (v > means->current) {
        return DR_OK;
    }
    if (s->m->format == MANIFEST_V1) {
        return manifest_fail(s, MANIFEST_CHECK_VERSION,
                             "timestamp %" PRIu64 " is not newer than %" PRIu64, v, means->current);
    }
    manifest_version_format(v, got);
    manifest_version_format(means->current, now);
    return manifest_fail(s, MANIFEST_CHECK_VERSION, "%s is not newer than %s", got, now);
}

static dr_err_t check_component(struct manifest_scan *s, const struct manifest_means *means)
{
    if (means->component_count == 0 || s->m->format != MANIFEST_V3) {
        return DR_OK;
    }
    for (size_t i = 0; i < means->component_count; i++) {
        if (dr_bytes_eq_str(s->m->component, means->components[i])) {
            return DR_OK;
        }
    }
    return manifest_fail(s, MANIFEST_CHECK_COMPONENT, "the device has no component '%.*s'",
                         (int)s->m->component.len, (const char *)s->m->component.p);
}

static dr_err_t check_precursor(struct manifest_scan *s, const struct manifest_means *means)
{
    if (means->precursor == NULL || s->m->image_count == 0) {
        return DR_OK;
    }
    struct dr_bytes want = s->m->images[0].precursor;
    if (want.len != 0 && memcmp(want.p, means->precursor, MANIFEST_DIGEST_LEN) != 0) {
        return manifest_fail(s, MANIFEST_CHECK_PRECURSOR,
                             "the update needs another image to be installed");
    }
    return DR_OK;
}

static dr_err_t check_installed_signature(struct manifest_scan *s,
                                          const struct manifest_means *means)
{
    struct dr_bytes sig = s->m->installed_signature;

    if (s->m->format != MANIFEST_V3) {
        return DR_OK;
    }
    if (sig.len == 0) {
        return !means->need_installed_signature
                   ? DR_OK
                   : manifest_fail(s, MANIFEST_CHECK_INSTALLED_SIGNATURE,
                                   "the device wants a signed image");
    }
    if (means->any_signer) {
        return DR_OK;
    }
    struct dr_bytes digest = s->m->has_installed ? s->m->installed_digest : s->m->images[0].digest;
    for (size_t i = 0; i < means->key_count; i++) {
        if (manifest_key_verify_digest(means->keys[i], digest.p, sig.p)) {
            return DR_OK;
        }
    }
    return manifest_fail(s, MANIFEST_CHECK_INSTALLED_SIGNATURE,
                         "the image's signature is by none of the trusted keys");
}

/* One of the images is the object that the checker has. */
static dr_err_t check_payload(struct manifest_scan *s, const struct manifest_means *means)
{
    const struct manifest *m = s->m;

    if (means->payload == NULL) {
        return DR_OK;
    }
    for (uint32_t i = 0; i < m->image_count; i++) {
        const struct manifest_image *img = &m->images[i];
        bool same = img->digest.len == MANIFEST_DIGEST_LEN &&
                    memcmp(img->digest.p, means->payload, MANIFEST_DIGEST_LEN) == 0;
        if (same && (!img->has_size || img->size == means->payload_size)) {
            return DR_OK;
        }
    }
    if (m->image_count == 1 && m->images[0].has_size && m->images[0].size != means->payload_size) {
        return manifest_fail(s, MANIFEST_CHECK_PAYLOAD_SIZE,
                             "the payload has %" PRIu64 " octets, the manifest says %" PRIu64,
                             means->payload_size, m->images[0].size);
    }
    return manifest_fail(s, MANIFEST_CHECK_PAYLOAD_DIGEST,
                         "the payload is not the one the manifest describes");
}

static void note(struct manifest_verdict *v, const char *text)
{
    if (v->note[0] == '\0') {
        (void)snprintf(v->note, sizeof v->note, "%s", text);
    }
}

static void add_notes(struct manifest_verdict *v, const struct manifest *m)
{
    if (m->format == MANIFEST_V1 &&
        (m->has_apply_period || m->alias_count != 0 || m->dependency_count != 0)) {
        note(v, "devices with the FOTA client refuse manifests with an apply period, aliases or "
                "dependencies");
    }
    if (m->format == MANIFEST_V1 && m->signature_count > 1) {
        note(v, "devices with the FOTA client refuse more than one signature");
    }
    if ((m->format == MANIFEST_V3 && m->whole.len > MANIFEST_V3_SIZE_MAX) ||
        (m->format == MANIFEST_V1 && m->whole.len > MANIFEST_V1_SIZE_MAX)) {
        note(v, "larger than a default device takes");
    }
    if (m->format == MANIFEST_V3 && m->vendor_data.len != 0) {
        note(v, "default devices take no vendor data");
    }
}

/* Everything behind the signature; inner() has left its fault, if any, in the scan. */
static dr_err_t check_rest(struct manifest_scan *s, const struct manifest_means *means,
                           dr_err_t inner, struct manifest_fault *inner_fault)
{
    static dr_err_t (*const steps[])(struct manifest_scan *, const struct manifest_means *) = {
        check_component, check_version, check_precursor, check_installed_signature, check_payload};
    dr_err_t err = DR_OK;

    if (inner != DR_OK && s->stage < MANIFEST_STAGE_FIELDS) {
        *s->fault = *inner_fault;
        return inner;
    }
    if (s->m->format == MANIFEST_SUIT) {
        err = check_version(s, means);
    }
    if (err == DR_OK) {
        err = check_identity(s, means);
    }
    if (err == DR_OK && inner != DR_OK) {
        *s->fault = *inner_fault;
        err = inner;
    }
    if (err == DR_OK && s->m->image_count == 0 && s->m->format != MANIFEST_SUIT) {
        err = manifest_fail(s, MANIFEST_CHECK_MALFORMED, "the manifest has no payload");
    }
    for (size_t i = 0; err == DR_OK && i < DR_ARRAY_LEN(steps); i++) {
        err = steps[i](s, means);
    }
    return err;
}

void manifest_check(struct dr_bytes in, const struct manifest_means *means,
                    struct manifest_verdict *ret, struct manifest *ret_manifest)
{
    struct manifest m;
    struct manifest_verdict v = {0};
    struct manifest_scan s;

    dr_assert(means != NULL && ret != NULL && (means->key_count == 0 || means->keys != NULL));
    dr_err_t err = begin(&s, in, &m, &v.fault,
                         means->manifest_max != 0 ? means->manifest_max : MANIFEST_SIZE_MAX);
    s.uri_max = means->uri_max != 0 ? means->uri_max : MANIFEST_URI_MAX;
    if (means->has_vendor_data_max) {
        s.vendor_data_max = means->vendor_data_max;
    }
    if (err == DR_OK) {
        err = codec_of(m.format)->outer(&s);
    }
    if (err == DR_OK && means->upload && s.rest.len != 0) {
        err = manifest_fail(&s, MANIFEST_CHECK_MALFORMED, "%zu octets behind the manifest",
                            s.rest.len);
    }
    if (err == DR_OK) {
        err = codec_of(m.format)->authenticate(&s, means);
    }
    if (err == DR_OK) {
        struct manifest_fault inner_fault = {0};
        s.fault = &inner_fault;
        dr_err_t inner = codec_of(m.format)->inner(&s);
        s.fault = &v.fault;
        err = check_rest(&s, means, inner, &inner_fault);
    }
    v.accepted = err == DR_OK;
    dr_assert(v.accepted == (v.fault.check == MANIFEST_CHECK_NONE));
    if (v.accepted) {
        add_notes(&v, &m);
        if (ret_manifest != NULL) {
            *ret_manifest = m;
        }
    }
    *ret = v;
}

/* What was built must pass our own parser under a default device's limits. */
static dr_err_t recheck(struct dr_bytes out, struct manifest_fault *ret_fault)
{
    struct manifest m;
    struct manifest_fault fault;
    struct manifest_scan s;

    dr_err_t err = begin(&s, out, &m, &fault, MANIFEST_SIZE_MAX);
    s.uri_max = m.format == MANIFEST_V3 ? MANIFEST_URI_MAX : MANIFEST_SIZE_MAX;
    if (err == DR_OK) {
        err = codec_of(m.format)->outer(&s);
    }
    if (err == DR_OK) {
        err = codec_of(m.format)->inner(&s);
    }
    if (err != DR_OK && ret_fault != NULL) {
        *ret_fault = fault;
    }
    return err == DR_OK ? DR_OK : DR_ERR_INVAL;
}

static dr_err_t refuse(struct manifest_fault *ret_fault, enum manifest_check check, const char *why)
{
    if (ret_fault != NULL) {
        ret_fault->check = check;
        (void)snprintf(ret_fault->why, sizeof ret_fault->why, "%s", why);
    }
    return DR_ERR_INVAL;
}

dr_err_t manifest_build(const struct manifest *m, const struct manifest_signer *signer,
                        enum manifest_alg alg, uint8_t *ret, size_t cap, size_t *ret_len,
                        struct manifest_fault *ret_fault)
{
    dr_assert(m != NULL && signer != NULL && signer->sign != NULL && ret != NULL &&
              ret_len != NULL);
    dr_assert(m->image_count >= 1 && m->image_count <= MANIFEST_IMAGES_MAX);
    for (uint32_t i = 0; i < m->image_count; i++) {
        if (m->images[i].digest.len != MANIFEST_DIGEST_LEN) {
            return refuse(ret_fault, MANIFEST_CHECK_DIGEST_LENGTH,
                          "a payload digest has 32 octets");
        }
    }
    if (m->images[0].precursor.len != 0 && m->images[0].precursor.len != MANIFEST_DIGEST_LEN) {
        return refuse(ret_fault, MANIFEST_CHECK_DIGEST_LENGTH, "a precursor digest has 32 octets");
    }
    uint8_t *scratch = malloc(cap == 0 ? 1 : cap);
    if (scratch == NULL) {
        return DR_ERR_NOMEM;
    }
    struct dr_wr wr = dr_wr_of(scratch, cap);
    dr_err_t err = codec_of(m->format)->build(m, signer, alg, &wr);
    if (err == DR_OK) {
        err = dr_wr_err(&wr);
    }
    if (err == DR_OK) {
        err = recheck(dr_wr_bytes(&wr), ret_fault);
    }
    if (err == DR_OK) {
        *ret_len = dr_wr_len(&wr);
        memcpy(ret, scratch, *ret_len);
    }
    free(scratch);
    return err;
}
