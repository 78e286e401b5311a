/* SPDX-License-Identifier: Apache-2.0 */
/*
 * element: tag (1 octet), length (1 octet below 128, else 0x80 | n and n octets), content
 * example: 02 02 00 80 is INTEGER 128; 02 01 80 would be -128
 */
#include "manifest/der.h"

#include "base/text.h"

/* Length octets: definite, shortest form. spec: X.690#10.1 */
static size_t get_len(struct dr_rd *rd)
{
    uint8_t first = dr_rd_u8(rd);
    size_t n = first & 0x7fU;

    if (first < 0x80) {
        return first;
    }
    if (n == 0 || n > 4) {
        rd->failed = true;
        return 0;
    }
    uint64_t len = dr_rd_be(rd, n);
    if (len < 0x80 || (n > 1 && len >> (8 * (n - 1)) == 0)) {
        rd->failed = true;
        return 0;
    }
    return (size_t)len;
}

dr_err_t manifest_der_next(struct dr_rd *rd, struct manifest_der *ret)
{
    const uint8_t *start = rd->p;

    dr_assert(ret != NULL);
    uint8_t tag = dr_rd_u8(rd);
    if ((tag & 0x1f) == 0x1f) {
        rd->failed = true;
    }
    size_t len = get_len(rd);
    struct dr_bytes value = dr_rd_bytes(rd, len);
    if (!dr_rd_ok(rd)) {
        return DR_ERR_PROTO;
    }
    *ret = (struct manifest_der){
        .tag = tag, .value = value, .whole = dr_bytes_of(start, (size_t)(rd->p - start))};
    return DR_OK;
}

dr_err_t manifest_der_get(struct dr_rd *rd, uint8_t tag, struct dr_bytes *ret)
{
    struct manifest_der e;

    dr_assert(ret != NULL);
    if (manifest_der_peek(rd) != tag || manifest_der_next(rd, &e) != DR_OK) {
        rd->failed = true;
        return DR_ERR_PROTO;
    }
    *ret = e.value;
    return DR_OK;
}

uint8_t manifest_der_peek(const struct dr_rd *rd)
{
    return rd->failed || rd->p == rd->end ? 0 : *rd->p;
}

dr_err_t manifest_der_get_uint(struct dr_rd *rd, uint8_t tag, size_t octets, uint64_t *ret)
{
    struct dr_bytes b;

    dr_assert(ret != NULL);
    dr_err_t err = manifest_der_get(rd, tag, &b);
    if (err != DR_OK) {
        return err;
    }
    /* spec: X.690#8.3.2: the first nine bits are not all alike */
    bool padded =
        b.len > 1 && ((b.p[0] == 0 && b.p[1] < 0x80) || (b.p[0] == 0xff && b.p[1] >= 0x80));
    if (b.len == 0 || padded) {
        return DR_ERR_PROTO;
    }
    if (b.p[0] >= 0x80 || b.len > octets) {
        return DR_ERR_RANGE;
    }
    struct dr_rd num = dr_rd_bytes_of(b);
    if (b.len > 9 || (b.len == 9 && b.p[0] != 0)) {
        return DR_ERR_RANGE;
    }
    if (b.len == 9) {
        dr_rd_skip(&num, 1);
    }
    *ret = dr_rd_be(&num, dr_rd_left(&num));
    return DR_OK;
}

dr_err_t manifest_der_get_bool(struct dr_rd *rd, bool *ret)
{
    struct dr_bytes b;

    dr_assert(ret != NULL);
    dr_err_t err = manifest_der_get(rd, MANIFEST_DER_BOOLEAN, &b);
    if (err != DR_OK) {
        return err;
    }
    /* spec: X.690#11.1 */
    if (b.len != 1 || (b.p[0] != 0 && b.p[0] != 0xff)) {
        return DR_ERR_PROTO;
    }
    *ret = b.p[0] != 0;
    return DR_OK;
}

dr_err_t manifest_der_get_utf8(struct dr_rd *rd, struct dr_bytes *ret)
{
    struct dr_bytes b;

    dr_assert(ret != NULL);
    dr_err_t err = manifest_der_get(rd, MANIFEST_DER_UTF8, &b);
    if (err != DR_OK) {
        return err;
    }
    if (!dr_utf8_valid(b.p, b.len)) {
        return DR_ERR_PROTO;
    }
    *ret = b;
    return DR_OK;
}

/* Octets that the length itself takes beyond the first. */
static size_t extra_of(size_t len)
{
    size_t n = 0;

    for (size_t left = len < 0x80 ? 0 : len; left != 0; left >>= 8) {
        n++;
    }
    return n;
}

static void put_len(uint8_t *at, size_t len)
{
    size_t n = extra_of(len);

    if (n == 0) {
        *at = (uint8_t)len;
    } else {
        *at = (uint8_t)(0x80 | n);
        dr_store_be(at + 1, len, n);
    }
}

size_t manifest_der_begin(struct dr_wr *wr, uint8_t tag)
{
    dr_wr_u8(wr, tag);
    dr_wr_u8(wr, 0);
    return dr_wr_len(wr);
}

void manifest_der_end(struct dr_wr *wr, size_t mark)
{
    if (!dr_wr_ok(wr)) {
        return;
    }
    dr_assert(mark >= 2 && mark <= dr_wr_len(wr));
    size_t len = dr_wr_len(wr) - mark;
    size_t extra = extra_of(len);
    if (dr_wr_reserve(wr, extra) == NULL && extra != 0) {
        return;
    }
    uint8_t *content = wr->start + mark;
    memmove(content + extra, content, len);
    put_len(content - 1, len);
}

void manifest_der_put(struct dr_wr *wr, uint8_t tag, struct dr_bytes value)
{
    size_t mark = manifest_der_begin(wr, tag);

    dr_wr_put_bytes(wr, value);
    manifest_der_end(wr, mark);
}

void manifest_der_put_uint(struct dr_wr *wr, uint8_t tag, uint64_t v)
{
    uint8_t be[9] = {0};
    size_t skip = 0;

    dr_store_be(be + 1, v, 8);
    while (skip < 8 && be[skip] == 0 && be[skip + 1] < 0x80) {
        skip++;
    }
    manifest_der_put(wr, tag, dr_bytes_of(be + skip, sizeof be - skip));
}

void manifest_der_put_bool(struct dr_wr *wr, bool v)
{
    uint8_t octet = v ? 0xff : 0;

    manifest_der_put(wr, MANIFEST_DER_BOOLEAN, dr_bytes_of(&octet, 1));
}
