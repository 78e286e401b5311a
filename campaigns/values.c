/* SPDX-License-Identifier: Apache-2.0 */
#include "campaigns/values.h"

#include <stdio.h>
#include <string.h>

#include "lwm2m/codec.h"
#include "lwm2m/format.h"
#include "lwm2m/path.h"

dr_err_t camp_values_decode(const char *path, const char *ct, struct dr_bytes payload,
                            struct lwm2m_nodes *nodes)
{
    struct lwm2m_decode_opts opts = {.schema = NULL};
    struct lwm2m_str type = {ct, strlen(ct)};
    dr_err_t err = lwm2m_path_parse(path, strlen(path), &opts.base);

    if (err != DR_OK) {
        return err;
    }
    uint16_t number = ct[0] == '\0' ? LWM2M_CT_TEXT : lwm2m_format_number(type);
    return lwm2m_decode_nodes(number, &opts, payload.p, payload.len, nodes);
}

/* Text of digits, else big-endian two's complement: TLV does not say which. */
static bool bytes_int(struct lwm2m_bytes b, int64_t *ret)
{
    bool minus = b.len > 1 && b.ptr[0] == '-';
    uint64_t n = 0;
    size_t i = minus ? 1 : 0;

    for (; i < b.len && b.len < 19 && b.ptr[i] >= '0' && b.ptr[i] <= '9'; i++) {
        n = n * 10 + (uint64_t)(b.ptr[i] - '0');
    }
    if (i == b.len && b.len != 0) {
        *ret = minus ? -(int64_t)n : (int64_t)n;
        return true;
    }
    if (b.len != 1 && b.len != 2 && b.len != 4 && b.len != 8) {
        return false;
    }
    n = (b.ptr[0] & 0x80) != 0 ? UINT64_MAX : 0;
    for (i = 0; i < b.len; i++) {
        n = (n << 8) | b.ptr[i];
    }
    *ret = (int64_t)n;
    return true;
}

bool camp_value_int(const struct lwm2m_value *value, int64_t *ret)
{
    switch (value->type) {
    case LWM2M_TYPE_INT:
    case LWM2M_TYPE_TIME:
        *ret = value->i;
        return true;
    case LWM2M_TYPE_UINT:
        *ret = value->u > INT64_MAX ? INT64_MAX : (int64_t)value->u;
        return true;
    case LWM2M_TYPE_FLOAT:
        *ret = value->f > -1e15 && value->f < 1e15 ? (int64_t)value->f : 0;
        return true;
    case LWM2M_TYPE_STRING:
    case LWM2M_TYPE_OPAQUE:
        return bytes_int(value->bytes, ret);
    default:
        return false;
    }
}

bool camp_value_text(const struct lwm2m_value *value, char *ret, size_t size)
{
    int64_t n;

    if (value->type == LWM2M_TYPE_STRING || value->type == LWM2M_TYPE_OPAQUE) {
        size_t len = value->bytes.len < size ? value->bytes.len : size - 1;
        if (len != 0) {
            memcpy(ret, value->bytes.ptr, len);
        }
        ret[len] = '\0';
        for (size_t i = 0; i < len; i++) {
            if ((unsigned char)ret[i] < ' ') {
                ret[i] = '?';
            }
        }
        return true;
    }
    if (!camp_value_int(value, &n)) {
        return false;
    }
    (void)snprintf(ret, size, "%lld", (long long)n);
    return true;
}
