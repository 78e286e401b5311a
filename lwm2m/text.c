/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text/plain and application/octet-stream: one value, no path. The type of text comes from the
 * model. Examples: 87   -0.5   1   66:1   AQI= (opaque)
 */
#include "base/text.h"

#include "lwm2m/codec_priv.h"
#include <math.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "lwm2m/util_priv.h"

static dr_err_t bool_from_text(struct lwm2m_str text, struct lwm2m_value *value)
{
    if (!lwm2m_str_eq(text, "0") && !lwm2m_str_eq(text, "1") && !lwm2m_str_ieq(text, "true") &&
        !lwm2m_str_ieq(text, "false")) {
        return DR_ERR_PROTO;
    }
    value->b = lwm2m_str_eq(text, "1") || lwm2m_str_ieq(text, "true");
    return DR_OK;
}

static dr_err_t opaque_from_text(struct lwm2m_str text, uint8_t *scratch, size_t scratch_len,
                                 struct lwm2m_value *value)
{
    size_t len = 0;

    if (text.len > scratch_len) {
        return DR_ERR_NOSPACE;
    }
    dr_err_t err = text.len == 0 ? DR_OK : lwm2m_base64_any(text.ptr, text.len, scratch, &len);
    value->bytes = (struct lwm2m_bytes){.ptr = scratch, .len = len};
    return err;
}

dr_err_t lwm2m_value_from_text(enum lwm2m_type type, const char *text, size_t len, uint8_t *scratch,
                               size_t scratch_len, struct lwm2m_value *ret)
{
    dr_assert(ret != NULL && (text != NULL || len == 0));

    struct lwm2m_str whole = {.ptr = text == NULL ? "" : text, .len = len};
    struct lwm2m_str word = lwm2m_str_trim(whole);
    struct lwm2m_value value = {.type = type};
    dr_err_t err = DR_OK;

    switch (type) {
    case LWM2M_TYPE_STRING:
    case LWM2M_TYPE_CORELNK:
        value.bytes = (struct lwm2m_bytes){.ptr = (const uint8_t *)whole.ptr, .len = len};
        err = dr_utf8_valid(whole.ptr, len) ? DR_OK : DR_ERR_PROTO;
        break;
    case LWM2M_TYPE_INT:
    case LWM2M_TYPE_TIME:
        err = dr_parse_i64(word.ptr, word.len, &value.i);
        break;
    case LWM2M_TYPE_UINT:
        err = dr_parse_u64(word.ptr, word.len, &value.u);
        break;
    case LWM2M_TYPE_FLOAT:
        err = dr_parse_double(word.ptr, word.len, &value.f);
        break;
    case LWM2M_TYPE_BOOL:
        err = bool_from_text(word, &value);
        break;
    case LWM2M_TYPE_OPAQUE:
        err = opaque_from_text(word, scratch, scratch_len, &value);
        break;
    case LWM2M_TYPE_OBJLNK:
        err = lwm2m_objlnk_parse(word.ptr, word.len, &value.objlnk);
        break;
    case LWM2M_TYPE_NONE:
        err = word.len == 0 ? DR_OK : DR_ERR_PROTO;
        break;
    }
    if (err == DR_OK) {
        *ret = value;
    }
    return err;
}

static void put_base64(struct dr_wr *wr, struct lwm2m_bytes bytes)
{
    char group[DR_BASE64_LEN(3) + 1];

    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t n = bytes.len - i < 3 ? bytes.len - i : 3;
        dr_wr_put(wr, group, dr_base64_encode(bytes.ptr + i, n, group));
    }
}

dr_err_t lwm2m_value_to_text(const struct lwm2m_value *value, struct dr_wr *wr)
{
    dr_assert(value != NULL && wr != NULL);

    char text[40];

    switch (value->type) {
    case LWM2M_TYPE_STRING:
    case LWM2M_TYPE_CORELNK:
        dr_wr_put(wr, value->bytes.ptr, value->bytes.len);
        break;
    case LWM2M_TYPE_OPAQUE:
        put_base64(wr, value->bytes);
        break;
    case LWM2M_TYPE_INT:
    case LWM2M_TYPE_TIME:
        dr_wr_printf(wr, "%lld", (long long)value->i);
        break;
    case LWM2M_TYPE_UINT:
        dr_wr_printf(wr, "%llu", (unsigned long long)value->u);
        break;
    case LWM2M_TYPE_FLOAT:
        if (!isfinite(value->f)) {
            return DR_ERR_INVAL;
        }
        dr_wr_put(wr, text, dr_double_format(value->f, text));
        break;
    case LWM2M_TYPE_BOOL:
        dr_wr_put_str(wr, value->b ? "1" : "0");
        break;
    case LWM2M_TYPE_OBJLNK:
        dr_wr_put(wr, text, lwm2m_objlnk_format(value->objlnk, text));
        break;
    case LWM2M_TYPE_NONE:
        break;
    }
    return dr_wr_err(wr);
}

/* Text that does not fit the model's type is handed out as it came: device models deviate. */
static dr_err_t decode_as(struct lwm2m_dec *dec, enum lwm2m_type type, const uint8_t *in,
                          size_t len)
{
    struct lwm2m_value value;
    uint8_t *scratch = NULL;

    if (type == LWM2M_TYPE_OPAQUE) {
        scratch = malloc(len == 0 ? 1 : len);
        if (scratch == NULL) {
            return DR_ERR_NOMEM;
        }
    }
    if (lwm2m_value_from_text(type, (const char *)in, len, scratch, len, &value) != DR_OK) {
        value = dr_utf8_valid(in, len) ? lwm2m_value_str((const char *)in, len)
                                       : lwm2m_value_opaque(in, len);
        free(scratch);
        /* not through the model again: bytes that are no base64 are no opaque value */
        dec->count++;
        return dec->sink.fn(dec->sink.arg,
                            &(struct lwm2m_node){.path = dec->opts->base, .value = value});
    }
    dr_err_t err = lwm2m_dec_emit_value(dec, &dec->opts->base, &value);
    free(scratch);
    return err;
}

dr_err_t lwm2m_text_decode(struct lwm2m_dec *dec, const uint8_t *in, size_t len)
{
    if (dec->opts->base.depth < LWM2M_LEVEL_RESOURCE) {
        return len == 0 ? DR_OK : DR_ERR_UNSUPPORTED;
    }
    const struct lwm2m_res_def *res = lwm2m_dec_res(dec, &dec->opts->base);
    enum lwm2m_type type = LWM2M_TYPE_STRING;
    if (res != NULL && res->type != LWM2M_TYPE_NONE) {
        type = (enum lwm2m_type)res->type;
    }
    return decode_as(dec, type, in, len);
}

dr_err_t lwm2m_opaque_decode(struct lwm2m_dec *dec, const uint8_t *in, size_t len)
{
    const struct lwm2m_value value = lwm2m_value_opaque(in, len);

    if (dec->opts->base.depth < LWM2M_LEVEL_RESOURCE) {
        return len == 0 ? DR_OK : DR_ERR_UNSUPPORTED;
    }
    return lwm2m_dec_emit_value(dec, &dec->opts->base, &value);
}

dr_err_t lwm2m_opaque_encode(const struct lwm2m_value *value, struct dr_wr *wr)
{
    if (value->type != LWM2M_TYPE_OPAQUE && value->type != LWM2M_TYPE_STRING) {
        return DR_ERR_INVAL;
    }
    dr_wr_put(wr, value->bytes.ptr, value->bytes.len);
    return dr_wr_err(wr);
}
