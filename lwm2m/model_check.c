/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks before something is sent: value against type and range, operation against rights.
 *
 * Ranges are free text in the registry. Read here: `LO..HI` and `LO-HI`, with or without "bytes"
 * behind. Everything else
 * ("16,32,48", "16-bit", sentences) passes.
 */
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "lwm2m/model.h"
#include "lwm2m/util_priv.h"

/* ---- ranges ---- */

/* Digits, sign and point at text[*pos]. */
static bool number_at(struct lwm2m_str text, size_t *pos, double *ret)
{
    size_t start = *pos, i = start;

    if (i < text.len && (text.ptr[i] == '-' || text.ptr[i] == '+')) {
        i++;
    }
    while (i < text.len && ((text.ptr[i] >= '0' && text.ptr[i] <= '9') ||
                            (text.ptr[i] == '.' && i + 1 < text.len && text.ptr[i + 1] != '.'))) {
        i++;
    }
    if (i == start || dr_parse_double(text.ptr + start, i - start, ret) != DR_OK) {
        return false;
    }
    *pos = i;
    return true;
}

static bool range_read(const char *range, double *ret_lo, double *ret_hi)
{
    struct lwm2m_str text = lwm2m_str_trim((struct lwm2m_str){.ptr = range, .len = strlen(range)});
    size_t pos = 0;

    if (!number_at(text, &pos, ret_lo)) {
        return false;
    }
    if (pos + 2 < text.len && memcmp(text.ptr + pos, "..", 2) == 0) {
        pos += 2;
    } else if (pos + 1 < text.len && text.ptr[pos] == '-') {
        pos += 1;
    } else {
        return false;
    }
    if (!number_at(text, &pos, ret_hi) || *ret_hi < *ret_lo) {
        return false;
    }
    struct lwm2m_str rest = lwm2m_str_trim(lwm2m_str_sub(text, pos, text.len));
    return rest.len == 0 || lwm2m_str_ieq(rest, "bytes");
}

/* The figure that the range is about; false if the type has none. */
static bool measure(const struct lwm2m_value *value, double *ret)
{
    switch (value->type) {
    case LWM2M_TYPE_INT:
    case LWM2M_TYPE_TIME:
        *ret = (double)value->i;
        return true;
    case LWM2M_TYPE_UINT:
        *ret = (double)value->u;
        return true;
    case LWM2M_TYPE_FLOAT:
        *ret = value->f;
        return true;
    case LWM2M_TYPE_STRING:
    case LWM2M_TYPE_OPAQUE:
        *ret = (double)value->bytes.len;
        return true;
    case LWM2M_TYPE_NONE:
    case LWM2M_TYPE_BOOL:
    case LWM2M_TYPE_OBJLNK:
    case LWM2M_TYPE_CORELNK:
        break;
    }
    return false;
}

static bool is_number(enum lwm2m_type type)
{
    return type == LWM2M_TYPE_INT || type == LWM2M_TYPE_UINT || type == LWM2M_TYPE_FLOAT ||
           type == LWM2M_TYPE_TIME;
}

dr_err_t lwm2m_value_check(const struct lwm2m_res_def *res, const struct lwm2m_value *value,
                           struct dr_errinfo *reterr)
{
    dr_assert(value != NULL);

    struct lwm2m_value as_typed = *value;
    double lo = 0, hi = 0, n = 0;

    if (res == NULL) {
        return DR_OK;
    }
    if (value->type != res->type && (!(is_number(value->type) && is_number(res->type)) ||
                                     lwm2m_value_coerce(value, res->type, &as_typed) != DR_OK)) {
        dr_errinfo_set(reterr, res->name, 0, "%s expected, got %s", lwm2m_type_name(res->type),
                       lwm2m_type_name(value->type));
        return DR_ERR_INVAL;
    }
    if (res->range == NULL || !range_read(res->range, &lo, &hi) || !measure(&as_typed, &n)) {
        return DR_OK;
    }
    if (isnan(n) || n < lo || n > hi) {
        dr_errinfo_set(reterr, res->name, 0, "outside of %s", res->range);
        return DR_ERR_RANGE;
    }
    return DR_OK;
}

/* ---- operations ---- */

/* Levels each operation has, and the right it needs of a known resource. */
static const struct {
    uint8_t depth_min, depth_max;
    uint8_t right;
} rules[] = {
    [LWM2M_OPER_READ] = {1, 4, LWM2M_OP_R},    [LWM2M_OPER_DISCOVER] = {1, 3, 0},
    [LWM2M_OPER_WRITE] = {2, 4, LWM2M_OP_W},   [LWM2M_OPER_WRITE_PARTIAL] = {2, 3, LWM2M_OP_W},
    [LWM2M_OPER_WRITE_ATTRS] = {1, 4, 0},      [LWM2M_OPER_EXECUTE] = {3, 3, LWM2M_OP_E},
    [LWM2M_OPER_CREATE] = {1, 1, 0},           [LWM2M_OPER_DELETE] = {2, 4, 0},
    [LWM2M_OPER_OBSERVE] = {1, 4, LWM2M_OP_R},
};

static const char *level_fault(const struct lwm2m_path *path, enum lwm2m_operation operation)
{
    if (path->depth < rules[operation].depth_min || path->depth > rules[operation].depth_max) {
        return "the operation has no meaning at this level";
    }
    if (operation == LWM2M_OPER_DELETE && path->depth == LWM2M_LEVEL_RESOURCE) {
        return "a resource cannot be deleted, only its instances";
    }
    return NULL;
}

dr_err_t lwm2m_operation_check(const struct lwm2m_obj_def *obj, const struct lwm2m_path *path,
                               enum lwm2m_operation operation, struct dr_errinfo *reterr)
{
    dr_assert(path != NULL && (unsigned)operation < DR_ARRAY_LEN(rules));

    const char *fault = level_fault(path, operation);

    if (fault != NULL) {
        dr_errinfo_set(reterr, "path", 0, "%s", fault);
        return DR_ERR_INVAL;
    }
    if (path->id[0] == 0 || path->id[0] == 21) {
        dr_errinfo_set(reterr, "path", 0, "object %u belongs to the bootstrap server", path->id[0]);
        return DR_ERR_DENIED;
    }
    if (operation == LWM2M_OPER_DELETE && path->depth == LWM2M_LEVEL_INSTANCE && path->id[0] == 3) {
        dr_errinfo_set(reterr, "path", 0, "the Device instance cannot be deleted");
        return DR_ERR_DENIED;
    }
    const struct lwm2m_res_def *res =
        path->depth >= LWM2M_LEVEL_RESOURCE ? lwm2m_obj_res(obj, path->id[2]) : NULL;
    if (res != NULL && rules[operation].right != 0 && (res->ops & rules[operation].right) == 0) {
        dr_errinfo_set(reterr, res->name, 0, "the resource does not have this right");
        return DR_ERR_DENIED;
    }
    return DR_OK;
}
