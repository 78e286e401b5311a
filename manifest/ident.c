/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UUIDv5: SHA-1(namespace, name), first 16 octets, version 5 in octet 6, variant 10 in octet 8
 * example: "example.com" is cfbff0d1-9375-5685-968c-48ce8b15ae17
 */
#include "manifest/ident.h"

#include <stdio.h>

#include <openssl/evp.h>

#include "base/text.h"

static const uint8_t dns_namespace[MANIFEST_ID_LEN] = {
    0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8};

/* spec: RFC4122#4.3 */
static dr_err_t uuid5(const uint8_t ns[MANIFEST_ID_LEN], struct dr_bytes name, uint8_t *ret)
{
    uint8_t buf[MANIFEST_ID_LEN + MANIFEST_NAME_MAX], hash[EVP_MAX_MD_SIZE];
    struct dr_wr wr = dr_wr_of(buf, sizeof buf);

    dr_wr_put(&wr, ns, MANIFEST_ID_LEN);
    dr_wr_put_bytes(&wr, name);
    if (!dr_wr_ok(&wr)) {
        return DR_ERR_TOO_LARGE;
    }
    if (EVP_Digest(buf, dr_wr_len(&wr), hash, NULL, EVP_sha1(), NULL) != 1) {
        return DR_ERR_NOMEM;
    }
    hash[6] = (uint8_t)((hash[6] & 0x0f) | 0x50);
    hash[8] = (uint8_t)((hash[8] & 0x3f) | 0x80);
    memcpy(ret, hash, MANIFEST_ID_LEN);
    return DR_OK;
}

dr_err_t manifest_vendor_id(struct dr_bytes domain, uint8_t ret[MANIFEST_ID_LEN])
{
    dr_assert(ret != NULL);
    return uuid5(dns_namespace, domain, ret);
}

dr_err_t manifest_class_id(const uint8_t vendor[MANIFEST_ID_LEN], struct dr_bytes model,
                           uint8_t ret[MANIFEST_ID_LEN])
{
    dr_assert(vendor != NULL && ret != NULL);
    return uuid5(vendor, model, ret);
}

dr_err_t manifest_id_parse(struct dr_bytes text, uint8_t ret[MANIFEST_ID_LEN])
{
    char digits[MANIFEST_ID_LEN * 2];
    size_t n = 0;

    dr_assert(ret != NULL);
    if (text.len != sizeof digits && text.len != MANIFEST_ID_TEXT_LEN) {
        return DR_ERR_PROTO;
    }
    for (size_t i = 0; i < text.len; i++) {
        bool dash_here =
            text.len == MANIFEST_ID_TEXT_LEN && (i == 8 || i == 13 || i == 18 || i == 23);
        if (dash_here != (text.p[i] == '-')) {
            return DR_ERR_PROTO;
        }
        if (!dash_here) {
            digits[n++] = (char)text.p[i];
        }
    }
    return dr_hex_decode(digits, sizeof digits, ret, MANIFEST_ID_LEN, NULL);
}

void manifest_id_format(const uint8_t id[MANIFEST_ID_LEN], char ret[MANIFEST_ID_TEXT_LEN + 1])
{
    static const uint8_t groups[] = {4, 2, 2, 2, 6};
    char *out = ret;

    dr_assert(id != NULL && ret != NULL);
    for (size_t g = 0; g < DR_ARRAY_LEN(groups); g++) {
        if (g != 0) {
            *out++ = '-';
        }
        dr_hex_encode(id, groups[g], out);
        id += groups[g];
        out += DR_HEX_LEN(groups[g]);
    }
}

/* One to three digits without leading zero. */
static dr_err_t part(struct dr_rd *rd, uint64_t *ret)
{
    const uint8_t *start = rd->p;

    while (dr_rd_left(rd) != 0 && *rd->p >= '0' && *rd->p <= '9') {
        dr_rd_skip(rd, 1);
    }
    size_t len = (size_t)(rd->p - start);
    if (len == 0 || (len > 1 && start[0] == '0')) {
        return DR_ERR_PROTO;
    }
    return dr_parse_u64_max((const char *)start, len, 999, ret);
}

dr_err_t manifest_version_parse(struct dr_bytes text, uint64_t *ret)
{
    struct dr_rd rd = dr_rd_bytes_of(text);
    uint64_t parts[3];

    dr_assert(ret != NULL);
    for (size_t i = 0; i < 3; i++) {
        if (i != 0 && dr_rd_u8(&rd) != '.') {
            return DR_ERR_PROTO;
        }
        dr_err_t err = part(&rd, &parts[i]);
        if (err != DR_OK) {
            return err;
        }
    }
    if (!dr_rd_done(&rd)) {
        return DR_ERR_PROTO;
    }
    if (parts[0] + parts[1] + parts[2] == 0) {
        return DR_ERR_RANGE;
    }
    *ret = 1ULL << 55 | parts[0] << 40 | parts[1] << 16 | parts[2];
    return DR_OK;
}

void manifest_version_format(uint64_t version, char ret[MANIFEST_VERSION_LEN + 1])
{
    unsigned major = 0, minor = 0, split = 0;

    dr_assert(ret != NULL);
    if (version >> 55 == 1) {
        major = (unsigned)(version >> 40 & 0x7fff);
        minor = (unsigned)(version >> 16 & 0xffffff);
        split = (unsigned)(version & 0xffff);
    }
    if (major > 999 || minor > 999 || split > 999) {
        major = minor = split = 0;
    }
    (void)snprintf(ret, MANIFEST_VERSION_LEN + 1, "%u.%u.%u", major % 1000, minor % 1000,
                   split % 1000);
}
