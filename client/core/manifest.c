/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SEQUENCE { ENUMERATED 3, Manifest, OCTET STRING r || s }, perhaps followed by 81 10 <key>.
 * Manifest = SEQUENCE { vendor OCTET STRING, class OCTET STRING, priority INTEGER, component UTF8,
 *   version UTF8, digest OCTET STRING, size INTEGER, uri UTF8, format ENUMERATED, installed
 *   signature OCTET STRING (may be empty), [SEQUENCE { installed size INTEGER, installed digest
 *   OCTET STRING, [precursor OCTET STRING] }], [vendor data OCTET STRING] }
 * e.g. 30 81 cd  0a 01 03  30 81 87 04 10 <vendor> 04 10 <class> 02 01 01 0c 04 "MAIN" ...
 * The signature covers the Manifest with its tag and length.
 */
#include "client/core/manifest.h"

enum { TAG_INTEGER = 0x02, TAG_OCTETS = 0x04, TAG_ENUM = 0x0a, TAG_UTF8 = 0x0c, TAG_SEQ = 0x30 };

#define TAG_KEY 0x81
#define KEY_LEN 16

/* What is left to read. */
struct rd {
    const uint8_t *p;
    size_t len;
};

struct element {
    const uint8_t *whole; /* with tag and length */
    const uint8_t *p;
    size_t len;
};

/* The next element, which must have this tag: definite, minimal length of at most two octets. */
static bool take(struct rd *rd, uint8_t tag, struct element *ret)
{
    size_t head = 2, len;

    if (rd->len < 2 || rd->p[0] != tag) {
        return false;
    }
    len = rd->p[1];
    if (len == 0x81 && rd->len >= 3 && rd->p[2] >= 0x80) {
        head = 3;
        len = rd->p[2];
    } else if (len == 0x82 && rd->len >= 4 && rd->p[2] != 0) {
        head = 4;
        len = (size_t)rd->p[2] << 8 | rd->p[3];
    } else if (len >= 0x80) {
        return false;
    }
    if (len > rd->len - head) {
        return false;
    }
    *ret = (struct element){rd->p, rd->p + head, len};
    rd->p += head + len;
    rd->len -= head + len;
    return true;
}

/* INTEGER from 0 to 2^31 - 1 or ENUMERATED from 0 to 2^15 - 1, minimal. */
static bool take_uint(struct rd *rd, uint8_t tag, uint32_t *ret)
{
    struct element e;
    uint32_t v = 0;

    if (!take(rd, tag, &e) || e.len == 0 || e.len > (tag == TAG_ENUM ? 2 : 4) || e.p[0] >= 0x80 ||
        (e.len > 1 && e.p[0] == 0 && e.p[1] < 0x80)) {
        return false;
    }
    for (size_t i = 0; i < e.len; i++) {
        v = v << 8 | e.p[i];
    }
    *ret = v;
    return true;
}

/* Well-formed UTF-8 without U+0000: shortest form, no surrogates, up to U+10FFFF. */
static bool is_text(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len;) {
        uint8_t c = p[i++];
        size_t more = c < 0x80 ? 0 : c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
        if (c == 0 || (c >= 0x80 && c < 0xc2) || c > 0xf4 || more > len - i) {
            return false;
        }
        if (more > 0 && ((c == 0xe0 && p[i] < 0xa0) || (c == 0xed && p[i] > 0x9f) ||
                         (c == 0xf0 && p[i] < 0x90) || (c == 0xf4 && p[i] > 0x8f))) {
            return false;
        }
        for (; more > 0; more--) {
            if ((p[i++] & 0xc0) != 0x80) {
                return false;
            }
        }
    }
    return true;
}

static bool take_text(struct rd *rd, struct element *ret)
{
    return take(rd, TAG_UTF8, ret) && is_text(ret->p, ret->len);
}

static enum cl_result take_digest(struct rd *rd, const uint8_t **ret)
{
    struct element e;

    if (!take(rd, TAG_OCTETS, &e)) {
        return CL_RESULT_MALFORMED;
    }
    *ret = e.p;
    return e.len == CL_HASH_LEN ? CL_RESULT_OK : CL_RESULT_CRYPTO;
}

cl_err_t cl_version_parse(const char *text, size_t len, uint32_t *ret)
{
    uint32_t v = 0, part = 0;
    unsigned dots = 0, digits = 0;

    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '.') {
            if (digits == 0 || ++dots > 2) {
                return CL_ERR_INVAL;
            }
            v = v << 10 | part;
            part = digits = 0;
        } else if (c >= '0' && c <= '9' && digits < 3 && (digits == 0 || part != 0)) {
            part = part * 10 + (uint32_t)(c - '0');
            digits++;
        } else {
            return CL_ERR_INVAL;
        }
    }
    v = v << 10 | part;
    if (dots != 2 || digits == 0 || v == 0) {
        return CL_ERR_INVAL;
    }
    *ret = v;
    return CL_OK;
}

void cl_version_text(uint32_t version, char ret[CL_VERSION_MAX])
{
    char *out = ret;

    for (unsigned shift = 20;; shift -= 10) {
        uint32_t part = version >> shift & 0x3ff;
        part = part > 999 ? 999 : part;
        if (part >= 100) {
            *out++ = (char)('0' + part / 100);
        }
        if (part >= 10) {
            *out++ = (char)('0' + part / 10 % 10);
        }
        *out++ = (char)('0' + part % 10);
        if (shift == 0) {
            break;
        }
        *out++ = '.';
    }
    *out = '\0';
}

static enum cl_result take_head(struct rd *rd, struct cl_manifest *m)
{
    struct element e;

    if (!take_uint(rd, TAG_INTEGER, &m->priority)) {
        return CL_RESULT_MALFORMED;
    }
    if (!take_text(rd, &e) || e.len == 0 || e.len > CL_COMPONENT_MAX) {
        return CL_RESULT_MALFORMED;
    }
    memcpy(m->component, e.p, e.len); /* its end is there: *m began as zeros */
    if (!take_text(rd, &e)) {
        return CL_RESULT_MALFORMED;
    }
    return cl_version_parse((const char *)e.p, e.len, &m->version) == CL_OK ? CL_RESULT_OK
                                                                            : CL_RESULT_INTERNAL;
}

static bool known_format(const struct cl_manifest_means *means, uint32_t format)
{
    return format == CL_FORMAT_RAW ||
           (means->all_formats &&
            (format == CL_FORMAT_DELTA || format == CL_FORMAT_COMBINED ||
             format == CL_FORMAT_ENCRYPTED_RAW || format == CL_FORMAT_ENCRYPTED_COMBINED));
}

static enum cl_result take_payload(struct rd *rd, const struct cl_manifest_means *means,
                                   struct cl_manifest *m)
{
    struct element e;
    enum cl_result res = take_digest(rd, &m->digest);

    if (res != CL_RESULT_OK) {
        return res;
    }
    if (!take_uint(rd, TAG_INTEGER, &m->size) || m->size == 0) {
        return CL_RESULT_MALFORMED;
    }
    if (!take_text(rd, &e)) {
        return CL_RESULT_MALFORMED;
    }
    if (e.len == 0 || e.len > CL_PAYLOAD_URI_MAX) {
        return CL_RESULT_URI;
    }
    m->uri = (const char *)e.p;
    m->uri_len = e.len;
    if (!take_uint(rd, TAG_ENUM, &m->format)) {
        return CL_RESULT_MALFORMED;
    }
    return known_format(means, m->format) ? CL_RESULT_OK : CL_RESULT_FORMAT;
}

static enum cl_result take_metadata(struct rd *rd, struct cl_manifest *m)
{
    struct element e;

    if (m->format == CL_FORMAT_RAW) {
        return CL_RESULT_OK; /* a SEQUENCE that is there all the same is found at the end */
    }
    if (!take(rd, TAG_SEQ, &e)) {
        return CL_RESULT_MALFORMED;
    }
    struct rd in = {e.p, e.len};
    if (!take_uint(&in, TAG_INTEGER, &m->installed_size) || m->installed_size == 0) {
        return CL_RESULT_MALFORMED;
    }
    enum cl_result res = take_digest(&in, &m->installed_digest);
    if (res == CL_RESULT_OK && m->format == CL_FORMAT_DELTA) {
        res = take_digest(&in, &m->precursor);
    }
    return res == CL_RESULT_OK && in.len != 0 ? CL_RESULT_MALFORMED : res;
}

static enum cl_result take_tail(struct rd *rd, const struct cl_manifest_means *means,
                                struct cl_manifest *m)
{
    struct element e;

    if (!take(rd, TAG_OCTETS, &e)) {
        return CL_RESULT_MALFORMED;
    }
    if (e.len != 0 && e.len != CL_SIG_LEN) {
        return CL_RESULT_SIGNATURE;
    }
    m->installed_signature = e.len != 0 ? e.p : NULL;
    enum cl_result res = take_metadata(rd, m);
    if (res != CL_RESULT_OK) {
        return res;
    }
    if (rd->len != 0) {
        if (!take(rd, TAG_OCTETS, &e)) {
            return CL_RESULT_MALFORMED;
        }
        m->vendor_data = e.p;
        m->vendor_data_len = e.len;
    }
    if (m->vendor_data_len > means->vendor_data_max) {
        return CL_RESULT_VENDOR_DATA;
    }
    return rd->len == 0 ? CL_RESULT_OK : CL_RESULT_MALFORMED;
}

static enum cl_result take_key(struct rd *rd, struct cl_manifest *m)
{
    static const uint8_t zero[KEY_LEN];
    struct element e;

    if (m->format != CL_FORMAT_ENCRYPTED_RAW && m->format != CL_FORMAT_ENCRYPTED_COMBINED) {
        return CL_RESULT_OK;
    }
    if (!take(rd, TAG_KEY, &e) || e.len != KEY_LEN || rd->len != 0 ||
        memcmp(e.p, zero, KEY_LEN) == 0) {
        return CL_RESULT_MALFORMED;
    }
    m->key = e.p;
    return CL_RESULT_OK;
}

static enum cl_result check_signature(const struct cl_trust *trust, const struct element *manifest,
                                      const struct element *sig)
{
    uint8_t hash[CL_HASH_LEN];

    if (sig->len != CL_SIG_LEN) {
        return CL_RESULT_SIGNATURE;
    }
    cl_sha256(manifest->whole, (size_t)(manifest->p - manifest->whole) + manifest->len, hash);
    return !CL_RULE(CL_RULE_MANIFEST_SIGNATURE) || trust->verify(trust, hash, sig->p)
               ? CL_RESULT_OK
               : CL_RESULT_SIGNATURE;
}

static enum cl_result take_identity(struct rd *rd, const struct cl_manifest_means *means,
                                    struct cl_manifest *m)
{
    struct element vendor, class_id;

    if (!take(rd, TAG_OCTETS, &vendor) || vendor.len != CL_UUID_LEN ||
        !take(rd, TAG_OCTETS, &class_id) || class_id.len != CL_UUID_LEN) {
        return CL_RESULT_MALFORMED;
    }
    m->vendor = vendor.p;
    m->class_id = class_id.p;
    if (memcmp(vendor.p, means->vendor, CL_UUID_LEN) != 0 && CL_RULE(CL_RULE_VENDOR)) {
        return CL_RESULT_VENDOR;
    }
    return memcmp(class_id.p, means->class_id, CL_UUID_LEN) == 0 || !CL_RULE(CL_RULE_VENDOR)
               ? CL_RESULT_OK
               : CL_RESULT_CLASS;
}

static enum cl_result applies(const struct cl_manifest *m, const struct cl_manifest_means *means)
{
    size_t i = 0;

    while (i < means->component_count && strcmp(m->component, means->components[i]) != 0) {
        i++;
    }
    if (i == means->component_count) {
        return CL_RESULT_COMPONENT;
    }
    if (m->version <= means->versions[i] && CL_RULE(CL_RULE_VERSION)) {
        return CL_RESULT_VERSION;
    }
    if (m->format != CL_FORMAT_DELTA) {
        return CL_RESULT_OK;
    }
    if (means->precursor == NULL) {
        return CL_RESULT_FORMAT;
    }
    return memcmp(m->precursor, means->precursor, CL_HASH_LEN) == 0 ? CL_RESULT_OK
                                                                    : CL_RESULT_PRECURSOR;
}

enum cl_result cl_manifest_check(const uint8_t *in, size_t len,
                                 const struct cl_manifest_means *means, struct cl_manifest *ret)
{
    struct rd all = {in, len};
    struct element outer, body, sig;
    struct cl_manifest m = {0};
    uint32_t schema = 0;

    if (len > CL_MANIFEST_MAX || !take(&all, TAG_SEQ, &outer)) {
        return CL_RESULT_MALFORMED;
    }
    struct rd rd = {outer.p, outer.len};
    if (rd.len > 0 && rd.p[0] == TAG_SEQ) {
        return CL_RESULT_SCHEMA; /* version 1 begins so */
    }
    if (!take_uint(&rd, TAG_ENUM, &schema)) {
        return CL_RESULT_MALFORMED;
    }
    if (schema != 3) {
        return CL_RESULT_SCHEMA;
    }
    if (!take(&rd, TAG_SEQ, &body) || !take(&rd, TAG_OCTETS, &sig) || rd.len != 0) {
        return CL_RESULT_MALFORMED;
    }
    enum cl_result res = check_signature(means->trust, &body, &sig);
    rd = (struct rd){body.p, body.len};
    if (res == CL_RESULT_OK) {
        res = take_identity(&rd, means, &m);
    }
    if (res == CL_RESULT_OK) {
        res = take_head(&rd, &m);
    }
    if (res == CL_RESULT_OK) {
        res = take_payload(&rd, means, &m);
    }
    if (res == CL_RESULT_OK) {
        res = take_tail(&rd, means, &m);
    }
    if (res == CL_RESULT_OK) {
        res = take_key(&all, &m);
    }
    if (res == CL_RESULT_OK) {
        res = applies(&m, means);
    }
    if (res == CL_RESULT_OK) {
        *ret = m;
    }
    return res;
}
