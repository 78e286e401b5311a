/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CBOR values as SenML, LwM2M CBOR and application/cbor share them, and the last one itself: a
 * single value. Examples: 87 = 18 57, "U" = 61 55, 66:1 = 64 36 36 3A 31, 21.5 = FA 41 AC 00 00,
 * time = C1 1A 65 53 F1 00
 */
#include "lwm2m/codec_priv.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "base/cbor.h"
#include "base/text.h"
#include "lwm2m/util_priv.h"

enum { TAG_DATE_TEXT = 0, TAG_EPOCH = 1, TAG_DECIMAL = 4, TAG_BIGFLOAT = 5 };

#define EXPONENT_MAX 400 /* beyond it a double is 0 or infinite anyway */

/* ---- decode ---- */

static dr_err_t int_value(const struct dr_cbor_item *item, struct lwm2m_value *ret)
{
    if (item->type == DR_CBOR_UINT) {
        *ret = item->u > INT64_MAX ? lwm2m_value_uint(item->u) : lwm2m_value_int((int64_t)item->u);
        return DR_OK;
    }
    if (item->u > INT64_MAX) {
        return DR_ERR_RANGE;
    }
    *ret = lwm2m_value_int(-1 - (int64_t)item->u);
    return DR_OK;
}

/* Pieces of an indefinite-length string are put together in scratch. */
static dr_err_t string_value(struct dr_cbor *r, const struct dr_cbor_item *item,
                             struct dr_dynbuf *scratch, struct lwm2m_value *ret)
{
    struct dr_bytes bytes = item->s;

    if (item->indefinite) {
        struct dr_cbor_item piece;
        dr_dynbuf_reset(scratch);
        for (;;) {
            dr_err_t err = dr_cbor_next(r, &piece);
            if (err != DR_OK) {
                return err;
            }
            if (piece.type == DR_CBOR_END) {
                break;
            }
            dr_dynbuf_append_bytes(scratch, piece.s);
        }
        if (dr_dynbuf_err(scratch) != DR_OK) {
            return dr_dynbuf_err(scratch);
        }
        bytes = dr_dynbuf_bytes(scratch);
    }
    *ret = lwm2m_value_opaque(bytes.p, bytes.len);
    if (item->type == DR_CBOR_TEXT && dr_utf8_valid(bytes.p, bytes.len)) {
        ret->type = LWM2M_TYPE_STRING;
    }
    return DR_OK;
}

/* [exponent, mantissa] */
static dr_err_t fraction_value(struct dr_cbor *r, double radix, struct lwm2m_value *ret)
{
    uint64_t count = 0;
    int64_t exponent = 0, mantissa = 0;
    dr_err_t err = dr_cbor_get_array(r, &count);

    err = err != DR_OK ? err : dr_cbor_get_int(r, &exponent);
    err = err != DR_OK ? err : dr_cbor_get_int(r, &mantissa);
    err = err != DR_OK ? err : dr_cbor_get_end(r);
    if (err != DR_OK) {
        return err == DR_ERR_RANGE ? DR_ERR_RANGE : DR_ERR_PROTO;
    }
    if (exponent > EXPONENT_MAX * 4 || exponent < -EXPONENT_MAX * 4) {
        return DR_ERR_RANGE;
    }
    /* dividing by an exact power gives the nearest double where multiplying with its inverse would
     * not */
    double power = pow(radix, fabs((double)exponent));
    double f = exponent < 0 ? (double)mantissa / power : (double)mantissa * power;
    if (!isfinite(f)) {
        return DR_ERR_RANGE;
    }
    *ret = lwm2m_value_float(f);
    return DR_OK;
}

static bool digits(struct dr_bytes s, size_t at, size_t n, int64_t *ret)
{
    uint64_t u = 0;

    if (at + n > s.len || dr_parse_u64((const char *)s.p + at, n, &u) != DR_OK) {
        return false;
    }
    *ret = (int64_t)u;
    return true;
}

/* "2023-11-14T22:13:20Z", fraction cut off, or with +hh:mm. spec: RFC3339#5.6 */
static dr_err_t date_text(struct dr_bytes s, struct lwm2m_value *ret)
{
    int64_t y, mo, d, h, mi, sec, oh = 0, om = 0;
    size_t i = 19;

    if (!digits(s, 0, 4, &y) || !digits(s, 5, 2, &mo) || !digits(s, 8, 2, &d) ||
        !digits(s, 11, 2, &h) || !digits(s, 14, 2, &mi) || !digits(s, 17, 2, &sec) ||
        s.p[4] != '-' || s.p[7] != '-' || (s.p[10] != 'T' && s.p[10] != 't') || s.p[13] != ':' ||
        s.p[16] != ':' || mo < 1 || mo > 12 || d < 1 || d > 31 || h > 23 || mi > 59 || sec > 60) {
        return DR_ERR_PROTO;
    }
    if (i < s.len && s.p[i] == '.') {
        for (i++; i < s.len && s.p[i] >= '0' && s.p[i] <= '9'; i++) {
        }
    }
    if (i >= s.len) {
        return DR_ERR_PROTO;
    }
    int64_t sign = s.p[i] == '-' ? -1 : 1;
    if (s.p[i] == '+' || s.p[i] == '-') {
        if (s.len != i + 6 || s.p[i + 3] != ':' || !digits(s, i + 1, 2, &oh) ||
            !digits(s, i + 4, 2, &om) || oh > 23 || om > 59) {
            return DR_ERR_PROTO;
        }
    } else if ((s.p[i] != 'Z' && s.p[i] != 'z') || s.len != i + 1) {
        return DR_ERR_PROTO;
    }
    struct tm tm = {.tm_year = (int)y - 1900,
                    .tm_mon = (int)mo - 1,
                    .tm_mday = (int)d,
                    .tm_hour = (int)h,
                    .tm_min = (int)mi,
                    .tm_sec = (int)sec};
    *ret = lwm2m_value_time((int64_t)timegm(&tm) - sign * (oh * 3600 + om * 60));
    return DR_OK;
}

static dr_err_t time_value(struct dr_cbor *r, uint64_t tag, struct dr_dynbuf *scratch,
                           struct lwm2m_value *ret)
{
    struct dr_cbor_item item;
    struct lwm2m_value inner;
    dr_err_t err = dr_cbor_next(r, &item);

    if (err != DR_OK) {
        return err;
    }
    if (tag == TAG_DATE_TEXT && item.type == DR_CBOR_TEXT) {
        err = string_value(r, &item, scratch, &inner);
        return err != DR_OK ? err
                            : date_text((struct dr_bytes){inner.bytes.ptr, inner.bytes.len}, ret);
    }
    if (tag == TAG_EPOCH && item.type == DR_CBOR_FLOAT) {
        inner = lwm2m_value_float(floor(item.f));
    } else if (tag == TAG_EPOCH && (item.type == DR_CBOR_UINT || item.type == DR_CBOR_NINT)) {
        err = int_value(&item, &inner);
    } else {
        return DR_ERR_PROTO;
    }
    return err != DR_OK ? err : lwm2m_value_coerce(&inner, LWM2M_TYPE_TIME, ret);
}

dr_err_t lwm2m_cbor_value(struct dr_cbor *r, const struct dr_cbor_item *item,
                          struct dr_dynbuf *scratch, struct lwm2m_value *ret)
{
    switch (item->type) {
    case DR_CBOR_UINT:
    case DR_CBOR_NINT:
        return int_value(item, ret);
    case DR_CBOR_TEXT:
    case DR_CBOR_BYTES:
        return string_value(r, item, scratch, ret);
    case DR_CBOR_FLOAT:
        *ret = lwm2m_value_float(item->f);
        return DR_OK;
    case DR_CBOR_BOOL:
        *ret = lwm2m_value_bool(item->b);
        return DR_OK;
    case DR_CBOR_NULL:
    case DR_CBOR_UNDEFINED:
        *ret = lwm2m_value_none();
        return DR_OK;
    case DR_CBOR_TAG:
        if (item->u == TAG_DECIMAL || item->u == TAG_BIGFLOAT) {
            return fraction_value(r, item->u == TAG_DECIMAL ? 10.0 : 2.0, ret);
        }
        return time_value(r, item->u, scratch, ret);
    case DR_CBOR_ARRAY:
    case DR_CBOR_MAP:
    case DR_CBOR_SIMPLE:
    case DR_CBOR_END:
    case DR_CBOR_EOF:
        break;
    }
    return DR_ERR_PROTO;
}

dr_err_t lwm2m_cbor_decode(struct lwm2m_dec *dec, const uint8_t *in, size_t len)
{
    struct dr_cbor r;
    struct dr_cbor_item item;
    struct dr_dynbuf scratch;
    struct lwm2m_value value;

    if (dec->opts->base.depth < LWM2M_LEVEL_RESOURCE) {
        return DR_ERR_UNSUPPORTED;
    }
    dr_cbor_init(&r, in, len, 0);
    dr_dynbuf_init(&scratch, len);
    dr_err_t err = dr_cbor_next(&r, &item);
    err = err != DR_OK ? err : lwm2m_cbor_value(&r, &item, &scratch, &value);
    if (err == DR_OK && dr_cbor_pos(&r) != len) {
        err = DR_ERR_PROTO;
    }
    err = err != DR_OK ? err : lwm2m_dec_emit_value(dec, &dec->opts->base, &value);
    dr_dynbuf_fini(&scratch);
    return err;
}

/* ---- encode ---- */

/* LwM2M has no half floats in what it writes: four bytes where they hold the number, else eight. */
static void put_float(struct dr_wr *wr, double d)
{
    double back = fabs(d) > 3.4028234663852886e38 && !isinf(d) ? 0 : (double)(float)d;

    if (isnan(d) || memcmp(&back, &d, sizeof(d)) == 0) {
        dr_cbor_put_float(wr, (float)d);
    } else {
        dr_cbor_put_double(wr, d);
    }
}

dr_err_t lwm2m_cbor_put_value(struct dr_wr *wr, const struct lwm2m_value *value)
{
    char link[LWM2M_OBJLNK_STR_MAX];

    switch (value->type) {
    case LWM2M_TYPE_STRING:
    case LWM2M_TYPE_CORELNK:
        if (!dr_utf8_valid(value->bytes.ptr, value->bytes.len)) {
            return DR_ERR_INVAL;
        }
        dr_cbor_put_text(wr, (const char *)value->bytes.ptr, value->bytes.len);
        break;
    case LWM2M_TYPE_OPAQUE:
        dr_cbor_put_bytes(wr, value->bytes.ptr, value->bytes.len);
        break;
    case LWM2M_TYPE_INT:
    case LWM2M_TYPE_TIME:
        dr_cbor_put_int(wr, value->i);
        break;
    case LWM2M_TYPE_UINT:
        dr_cbor_put_uint(wr, value->u);
        break;
    case LWM2M_TYPE_FLOAT:
        put_float(wr, value->f);
        break;
    case LWM2M_TYPE_BOOL:
        dr_cbor_put_bool(wr, value->b);
        break;
    case LWM2M_TYPE_OBJLNK:
        dr_cbor_put_text(wr, link, lwm2m_objlnk_format(value->objlnk, link));
        break;
    case LWM2M_TYPE_NONE:
        dr_cbor_put_null(wr);
        break;
    }
    return dr_wr_err(wr);
}

dr_err_t lwm2m_cbor_encode(const struct lwm2m_value *value, struct dr_wr *wr)
{
    return lwm2m_cbor_put_value(wr, value);
}
