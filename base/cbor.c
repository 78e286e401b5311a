/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An item begins with one byte: major type in the upper three bits, and 0..23 the argument
 * itself, 24..27 the argument in 1, 2, 4 or 8 bytes behind, 31 indefinite length (spec: RFC8949#3).
 *
 * Example, {"a": [1, -2]}: a1 (map, 1 pair) 61 61 (text "a") 82 (array, 2 items) 01 21
 */
#include "base/cbor.h"

#include <math.h>
#include <string.h>

#include "base/text.h"

enum { MAJ_UINT, MAJ_NINT, MAJ_BYTES, MAJ_TEXT, MAJ_ARRAY, MAJ_MAP, MAJ_TAG, MAJ_SIMPLE };

#define INFO_INDEFINITE 31
#define BREAK_BYTE      0xff

/* ---- writer ---- */

static void put_head(struct dr_wr *wr, unsigned major, uint64_t v)
{
    uint8_t first = (uint8_t)(major << 5);

    if (v < 24) {
        dr_wr_u8(wr, (uint8_t)(first | v));
        return;
    }
    unsigned size = v <= UINT8_MAX ? 0 : v <= UINT16_MAX ? 1 : v <= UINT32_MAX ? 2 : 3;
    uint8_t *p = dr_wr_reserve(wr, 1 + ((size_t)1 << size));
    if (p != NULL) {
        p[0] = (uint8_t)(first | (24 + size));
        dr_store_be(p + 1, v, (size_t)1 << size);
    }
}

void dr_cbor_put_uint(struct dr_wr *wr, uint64_t v)
{
    put_head(wr, MAJ_UINT, v);
}

void dr_cbor_put_int(struct dr_wr *wr, int64_t v)
{
    put_head(wr, v < 0 ? MAJ_NINT : MAJ_UINT, v < 0 ? ~(uint64_t)v : (uint64_t)v);
}

static void put_string(struct dr_wr *wr, unsigned major, const void *p, size_t len)
{
    if (wr->failed || dr_wr_left(wr) < len) {
        wr->failed = true; /* no head without its bytes */
        return;
    }
    put_head(wr, major, len);
    dr_wr_put(wr, p, len);
}

void dr_cbor_put_bytes(struct dr_wr *wr, const void *p, size_t len)
{
    put_string(wr, MAJ_BYTES, p, len);
}

void dr_cbor_put_text(struct dr_wr *wr, const char *p, size_t len)
{
    put_string(wr, MAJ_TEXT, p, len);
}

void dr_cbor_put_str(struct dr_wr *wr, const char *s)
{
    put_string(wr, MAJ_TEXT, s, strlen(s));
}

void dr_cbor_put_array(struct dr_wr *wr, uint64_t count)
{
    put_head(wr, MAJ_ARRAY, count);
}

void dr_cbor_put_map(struct dr_wr *wr, uint64_t pairs)
{
    put_head(wr, MAJ_MAP, pairs);
}

void dr_cbor_put_tag(struct dr_wr *wr, uint64_t tag)
{
    put_head(wr, MAJ_TAG, tag);
}

void dr_cbor_put_bool(struct dr_wr *wr, bool v)
{
    put_head(wr, MAJ_SIMPLE, v ? 21 : 20);
}

void dr_cbor_put_null(struct dr_wr *wr)
{
    put_head(wr, MAJ_SIMPLE, 22);
}

void dr_cbor_put_undefined(struct dr_wr *wr)
{
    put_head(wr, MAJ_SIMPLE, 23);
}

void dr_cbor_put_simple(struct dr_wr *wr, uint8_t v)
{
    dr_assert(v < 24 || v >= 32);
    put_head(wr, MAJ_SIMPLE, v);
}

static void put_start(struct dr_wr *wr, unsigned major)
{
    dr_wr_u8(wr, (uint8_t)(major << 5 | INFO_INDEFINITE));
}

void dr_cbor_put_array_start(struct dr_wr *wr)
{
    put_start(wr, MAJ_ARRAY);
}

void dr_cbor_put_map_start(struct dr_wr *wr)
{
    put_start(wr, MAJ_MAP);
}

void dr_cbor_put_bytes_start(struct dr_wr *wr)
{
    put_start(wr, MAJ_BYTES);
}

void dr_cbor_put_text_start(struct dr_wr *wr)
{
    put_start(wr, MAJ_TEXT);
}

void dr_cbor_put_break(struct dr_wr *wr)
{
    dr_wr_u8(wr, BREAK_BYTE);
}

static void put_float_bits(struct dr_wr *wr, unsigned info, uint64_t bits, size_t len)
{
    uint8_t *p = dr_wr_reserve(wr, 1 + len);

    if (p != NULL) {
        p[0] = (uint8_t)(MAJ_SIMPLE << 5 | info);
        dr_store_be(p + 1, bits, len);
    }
}

void dr_cbor_put_float(struct dr_wr *wr, float v)
{
    uint32_t bits;

    memcpy(&bits, &v, sizeof bits);
    put_float_bits(wr, 26, bits, 4);
}

void dr_cbor_put_double(struct dr_wr *wr, double v)
{
    uint64_t bits;

    memcpy(&bits, &v, sizeof bits);
    put_float_bits(wr, 27, bits, 8);
}

/* The half with this value, if there is one. A half has 1 sign bit, 5 of exponent (bias 15), 10 of
 * fraction. */
static bool half_of(double v, uint16_t *ret)
{
    uint16_t sign = signbit(v) ? 0x8000 : 0;
    double a = fabs(v);
    int exp;

    if (isnan(v)) {
        *ret = 0x7e00;
        return true;
    }
    if (isinf(v) || a == 0) {
        *ret = (uint16_t)(sign | (a == 0 ? 0 : 0x7c00));
        return true;
    }
    (void)frexp(a, &exp); /* a = m * 2^exp, m in [0.5, 1) */
    if (exp > 16 || exp < -23) {
        return false;
    }
    int scale = exp > -14 ? exp - 11 : -24; /* value of the lowest bit; -24 for subnormal ones */
    double units = ldexp(a, -scale);
    if (units != floor(units)) {
        return false;
    }
    uint32_t fraction = (uint32_t)units; /* with the hidden bit 0x400 unless subnormal */
    uint32_t biased = exp > -14 ? (uint32_t)(exp + 14) : 0;
    *ret = (uint16_t)(sign | (biased << 10) | (fraction & 0x3ff));
    return true;
}

static double half_value(uint16_t bits)
{
    int exp = bits >> 10 & 31;
    double fraction = bits & 0x3ff;
    double v;

    if (exp == 31) {
        v = fraction == 0 ? INFINITY : NAN;
    } else {
        v = exp == 0 ? ldexp(fraction, -24) : ldexp(fraction + 1024, exp - 25);
    }
    return (bits & 0x8000) != 0 ? -v : v;
}

void dr_cbor_put_number(struct dr_wr *wr, double v)
{
    uint16_t half;

    if (half_of(v, &half)) {
        put_float_bits(wr, 25, half, 2);
    } else if ((double)(float)v == v) {
        dr_cbor_put_float(wr, (float)v);
    } else {
        dr_cbor_put_double(wr, v);
    }
}

/* ---- reader ---- */

void dr_cbor_init(struct dr_cbor *r, const void *p, size_t len, uint32_t flags)
{
    dr_assert(r != NULL && (p != NULL || len == 0));
    r->in = dr_rd_of(p, len);
    r->start = r->in.p;
    r->flags = flags;
    r->depth = 0;
    r->err = DR_OK;
}

size_t dr_cbor_pos(const struct dr_cbor *r)
{
    dr_assert(r != NULL);
    return (size_t)(r->in.p - r->start);
}

static bool canonical(const struct dr_cbor *r)
{
    return r->flags == DR_CBOR_CANONICAL;
}

static struct dr_cbor_frame *top(struct dr_cbor *r)
{
    return r->depth == 0 ? NULL : &r->stack[r->depth - 1];
}

static dr_err_t push(struct dr_cbor *r, enum dr_cbor_type type, uint64_t left, bool indefinite)
{
    if (r->depth == DR_CBOR_DEPTH_MAX) {
        return DR_ERR_TOO_LARGE;
    }
    r->stack[r->depth++] = (struct dr_cbor_frame){.type = (uint8_t)type,
                                                  .left = left,
                                                  .indefinite = indefinite,
                                                  .is_key = type == DR_CBOR_MAP};
    return DR_OK;
}

/* Keys of a map in canonical form ascend bytewise (spec: RFC8949#4.2.1). */
static dr_err_t key_done(struct dr_cbor *r, struct dr_cbor_frame *f)
{
    struct dr_bytes key = dr_bytes_of(f->key, (size_t)(r->in.p - f->key));

    if (canonical(r) && f->last_key.len != 0) {
        size_t n = key.len < f->last_key.len ? key.len : f->last_key.len;
        int c = memcmp(f->last_key.p, key.p, n);
        if (c > 0 || (c == 0 && f->last_key.len >= key.len)) {
            return DR_ERR_PROTO;
        }
    }
    f->last_key = key;
    return DR_OK;
}

/* An item is complete: count it in what encloses it, and so on outwards through tags. */
static dr_err_t item_done(struct dr_cbor *r)
{
    for (struct dr_cbor_frame *f = top(r); f != NULL; f = top(r)) {
        if (f->type == DR_CBOR_TAG) {
            r->depth--;
            continue;
        }
        f->left = f->indefinite ? f->left + 1 : f->left - 1;
        if (f->type == DR_CBOR_MAP) {
            dr_err_t err = f->is_key ? key_done(r, f) : DR_OK;
            if (err != DR_OK) {
                return err;
            }
            f->is_key = !f->is_key;
        }
        break;
    }
    return DR_OK;
}

/* Leave the innermost array, map or indefinite-length string. */
static dr_err_t leave(struct dr_cbor *r, struct dr_cbor_item *ret)
{
    ret->type = DR_CBOR_END;
    r->depth--;
    return item_done(r);
}

static dr_err_t read_argument(struct dr_cbor *r, unsigned info, uint64_t *ret)
{
    if (info < 24) {
        *ret = info;
        return DR_OK;
    }
    if (info > 27) {
        return DR_ERR_PROTO;
    }
    size_t len = (size_t)1 << (info - 24);
    uint64_t v = dr_rd_be(&r->in, len);
    uint64_t least =
        len == 1 ? 24 : (uint64_t)1 << (len * 4); /* smaller ones have a shorter form */
    if (!dr_rd_ok(&r->in) || (canonical(r) && v < least)) {
        return DR_ERR_PROTO;
    }
    *ret = v;
    return DR_OK;
}

static dr_err_t read_indefinite(struct dr_cbor *r, unsigned major, struct dr_cbor_item *ret)
{
    static const enum dr_cbor_type types[] = {DR_CBOR_BYTES, DR_CBOR_TEXT, DR_CBOR_ARRAY,
                                              DR_CBOR_MAP};

    if (major < MAJ_BYTES || major > MAJ_MAP || canonical(r)) {
        return DR_ERR_PROTO;
    }
    ret->type = types[major - MAJ_BYTES];
    ret->indefinite = true;
    return push(r, ret->type, 0, true);
}

static dr_err_t read_string(struct dr_cbor *r, unsigned major, uint64_t len,
                            struct dr_cbor_item *ret)
{
    if (len > dr_rd_left(&r->in)) {
        return DR_ERR_PROTO;
    }
    ret->type = major == MAJ_BYTES ? DR_CBOR_BYTES : DR_CBOR_TEXT;
    ret->s = dr_rd_bytes(&r->in, (size_t)len);
    if (major == MAJ_TEXT && (r->flags & DR_CBOR_STRICT) != 0 &&
        !dr_utf8_valid(ret->s.p, ret->s.len)) {
        return DR_ERR_PROTO;
    }
    return item_done(r);
}

static dr_err_t read_container(struct dr_cbor *r, unsigned major, uint64_t count,
                               struct dr_cbor_item *ret)
{
    /* each item takes a byte at least, so a count beyond the input is refused at once */
    uint64_t left = dr_rd_left(&r->in);

    if (count > left || (major == MAJ_MAP && count > left / 2)) {
        return DR_ERR_PROTO;
    }
    ret->type = major == MAJ_ARRAY ? DR_CBOR_ARRAY : DR_CBOR_MAP;
    ret->u = count;
    return push(r, ret->type, major == MAJ_MAP ? count * 2 : count, false);
}

static dr_err_t read_float(struct dr_cbor *r, unsigned info, struct dr_cbor_item *ret)
{
    size_t len = (size_t)1 << (info - 24);
    uint64_t bits = dr_rd_be(&r->in, len);
    uint32_t bits32 = (uint32_t)bits;
    float single;

    if (!dr_rd_ok(&r->in)) {
        return DR_ERR_PROTO;
    }
    if (len == 2) {
        ret->f = half_value((uint16_t)bits);
    } else if (len == 4) {
        memcpy(&single, &bits32, sizeof single);
        ret->f = single;
    } else {
        memcpy(&ret->f, &bits, sizeof ret->f);
    }
    ret->type = DR_CBOR_FLOAT;
    ret->float_len = (uint8_t)len;
    if (canonical(r)) {
        uint8_t want[9];
        struct dr_wr wr = dr_wr_of(want, sizeof want);
        dr_cbor_put_number(&wr, ret->f);
        if (dr_wr_len(&wr) != len + 1 || memcmp(want + 1, r->in.p - len, len) != 0) {
            return DR_ERR_PROTO;
        }
    }
    return item_done(r);
}

static dr_err_t read_simple(struct dr_cbor *r, unsigned info, struct dr_cbor_item *ret)
{
    if (info >= 25 && info <= 27) {
        return read_float(r, info, ret);
    }
    if (info > 24) {
        return DR_ERR_PROTO;
    }
    ret->u = info == 24 ? dr_rd_u8(&r->in) : info;
    if (!dr_rd_ok(&r->in) || (info == 24 && ret->u < 32)) {
        return DR_ERR_PROTO; /* spec: RFC8949#3.3 two-byte forms below 32 are not well-formed */
    }
    switch (ret->u) {
    case 20:
    case 21:
        ret->type = DR_CBOR_BOOL;
        ret->b = ret->u == 21;
        break;
    case 22:
        ret->type = DR_CBOR_NULL;
        break;
    case 23:
        ret->type = DR_CBOR_UNDEFINED;
        break;
    default:
        ret->type = DR_CBOR_SIMPLE;
        break;
    }
    return item_done(r);
}

/* Only definite chunks of the same type may stand in an indefinite-length string. */
static bool fits_frame(const struct dr_cbor_frame *f, unsigned major, unsigned info)
{
    if (f == NULL || !f->indefinite || (f->type != DR_CBOR_BYTES && f->type != DR_CBOR_TEXT)) {
        return true;
    }
    return major == (f->type == DR_CBOR_BYTES ? MAJ_BYTES : MAJ_TEXT) && info != INFO_INDEFINITE;
}

static dr_err_t read_item(struct dr_cbor *r, struct dr_cbor_item *ret)
{
    struct dr_cbor_frame *f = top(r);

    if (f != NULL && !f->indefinite && f->type != DR_CBOR_TAG && f->left == 0) {
        return leave(r, ret);
    }
    if (f == NULL && dr_rd_left(&r->in) == 0) {
        ret->type = DR_CBOR_EOF;
        return DR_OK;
    }
    if (f != NULL && f->type == DR_CBOR_MAP && f->is_key) {
        f->key = r->in.p;
    }
    uint8_t first = dr_rd_u8(&r->in);
    if (!dr_rd_ok(&r->in)) {
        return DR_ERR_PROTO;
    }
    if (first == BREAK_BYTE) {
        bool half_pair = f != NULL && f->type == DR_CBOR_MAP && !f->is_key;
        return f == NULL || !f->indefinite || half_pair ? DR_ERR_PROTO : leave(r, ret);
    }
    unsigned major = first >> 5;
    unsigned info = first & 31;
    if (!fits_frame(f, major, info)) {
        return DR_ERR_PROTO;
    }
    if (major == MAJ_SIMPLE) {
        return read_simple(r, info, ret);
    }
    if (info == INFO_INDEFINITE) {
        return read_indefinite(r, major, ret);
    }
    uint64_t v;
    dr_err_t err = read_argument(r, info, &v);
    if (err != DR_OK) {
        return err;
    }
    switch (major) {
    case MAJ_BYTES:
    case MAJ_TEXT:
        return read_string(r, major, v, ret);
    case MAJ_ARRAY:
    case MAJ_MAP:
        return read_container(r, major, v, ret);
    case MAJ_TAG:
        ret->type = DR_CBOR_TAG;
        ret->u = v;
        return push(r, DR_CBOR_TAG, 1, false);
    default:
        ret->type = major == MAJ_UINT ? DR_CBOR_UINT : DR_CBOR_NINT;
        ret->u = v;
        return item_done(r);
    }
}

dr_err_t dr_cbor_next(struct dr_cbor *r, struct dr_cbor_item *ret)
{
    dr_assert(r != NULL && ret != NULL);
    if (r->err != DR_OK) {
        return r->err;
    }
    struct dr_cbor_item item = {0};
    r->err = read_item(r, &item);
    if (r->err == DR_OK) {
        *ret = item;
    }
    return r->err;
}

dr_err_t dr_cbor_skip_rest(struct dr_cbor *r, const struct dr_cbor_item *item)
{
    dr_assert(r != NULL && item != NULL);
    bool opened = item->indefinite || item->type == DR_CBOR_ARRAY || item->type == DR_CBOR_MAP ||
                  item->type == DR_CBOR_TAG;

    /* its frame is the innermost one; when that is gone, the item is complete */
    for (uint32_t depth = r->depth; opened && r->depth >= depth;) {
        struct dr_cbor_item inner;
        dr_err_t err = dr_cbor_next(r, &inner);
        if (err != DR_OK) {
            return err;
        }
        dr_assert(inner.type != DR_CBOR_EOF); /* only outside of all items */
    }
    return DR_OK;
}

dr_err_t dr_cbor_skip(struct dr_cbor *r)
{
    struct dr_cbor_item item;
    dr_err_t err = dr_cbor_next(r, &item);

    if (err != DR_OK) {
        return err;
    }
    if (item.type == DR_CBOR_END || item.type == DR_CBOR_EOF) {
        return DR_ERR_NOT_FOUND;
    }
    return dr_cbor_skip_rest(r, &item);
}

/* The next item, which must be of this type. */
static dr_err_t get(struct dr_cbor *r, enum dr_cbor_type type, struct dr_cbor_item *ret)
{
    dr_err_t err = dr_cbor_next(r, ret);

    if (err == DR_OK && ret->type != type) {
        return DR_ERR_PROTO;
    }
    return err;
}

dr_err_t dr_cbor_get_uint(struct dr_cbor *r, uint64_t *ret)
{
    struct dr_cbor_item item;
    dr_err_t err = get(r, DR_CBOR_UINT, &item);

    if (err == DR_OK) {
        *ret = item.u;
    }
    return err;
}

dr_err_t dr_cbor_get_int(struct dr_cbor *r, int64_t *ret)
{
    struct dr_cbor_item item;
    dr_err_t err = dr_cbor_next(r, &item);

    if (err != DR_OK) {
        return err;
    }
    if (item.type != DR_CBOR_UINT && item.type != DR_CBOR_NINT) {
        return DR_ERR_PROTO;
    }
    if (item.u > INT64_MAX) {
        return DR_ERR_RANGE;
    }
    *ret = item.type == DR_CBOR_UINT ? (int64_t)item.u : -1 - (int64_t)item.u;
    return DR_OK;
}

static dr_err_t get_string(struct dr_cbor *r, enum dr_cbor_type type, struct dr_bytes *ret)
{
    struct dr_cbor_item item;
    dr_err_t err = get(r, type, &item);

    if (err == DR_OK && item.indefinite) {
        return DR_ERR_PROTO;
    }
    if (err == DR_OK) {
        *ret = item.s;
    }
    return err;
}

dr_err_t dr_cbor_get_bytes(struct dr_cbor *r, struct dr_bytes *ret)
{
    return get_string(r, DR_CBOR_BYTES, ret);
}

dr_err_t dr_cbor_get_text(struct dr_cbor *r, struct dr_bytes *ret)
{
    return get_string(r, DR_CBOR_TEXT, ret);
}

static dr_err_t get_count(struct dr_cbor *r, enum dr_cbor_type type, uint64_t *ret)
{
    struct dr_cbor_item item;
    dr_err_t err = get(r, type, &item);

    if (err == DR_OK) {
        *ret = item.indefinite ? UINT64_MAX : item.u;
    }
    return err;
}

dr_err_t dr_cbor_get_array(struct dr_cbor *r, uint64_t *ret_count)
{
    return get_count(r, DR_CBOR_ARRAY, ret_count);
}

dr_err_t dr_cbor_get_map(struct dr_cbor *r, uint64_t *ret_pairs)
{
    return get_count(r, DR_CBOR_MAP, ret_pairs);
}

dr_err_t dr_cbor_get_tag(struct dr_cbor *r, uint64_t *ret)
{
    return get_count(r, DR_CBOR_TAG, ret);
}

dr_err_t dr_cbor_get_end(struct dr_cbor *r)
{
    struct dr_cbor_item item;

    return get(r, DR_CBOR_END, &item);
}

dr_err_t dr_cbor_check(const void *p, size_t len, uint32_t flags)
{
    struct dr_cbor r;

    dr_cbor_init(&r, p, len, flags);
    dr_err_t err = dr_cbor_skip(&r);
    if (err == DR_ERR_NOT_FOUND) {
        return DR_ERR_PROTO; /* empty */
    }
    return err == DR_OK && dr_rd_left(&r.in) != 0 ? DR_ERR_PROTO : err;
}
