/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/attrs.h"

#include <math.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "lwm2m/util_priv.h"

#define SECONDS_MAX 4294967295.0
#define DECIMAL_MAX 1e20 /* no sensor has more, and it can be written without exponent */
#define TEXT_MAX    64   /**< bytes of one value; more is no sane number */

static const struct {
    const char *name;
    bool flag;     /**< 0 or 1 */
    bool decimal;  /**< fractions and signs allowed, numeric resources only */
    uint8_t minor; /**< first LwM2M 1.x that has it */
} table[LWM2M_ATTR_COUNT] = {
    [LWM2M_ATTR_PMIN] = {"pmin", false, false, 0},
    [LWM2M_ATTR_PMAX] = {"pmax", false, false, 0},
    [LWM2M_ATTR_GT] = {"gt", false, true, 0},
    [LWM2M_ATTR_LT] = {"lt", false, true, 0},
    [LWM2M_ATTR_ST] = {"st", false, true, 0},
    [LWM2M_ATTR_EPMIN] = {"epmin", false, false, 1},
    [LWM2M_ATTR_EPMAX] = {"epmax", false, false, 1},
    [LWM2M_ATTR_EDGE] = {"edge", true, false, 2},
    [LWM2M_ATTR_CON] = {"con", true, false, 2},
    [LWM2M_ATTR_HQMAX] = {"hqmax", false, false, 2},
};

static uint16_t bit(enum lwm2m_attr attr)
{
    return (uint16_t)(1U << attr);
}

static bool is_set(const struct lwm2m_attrs *attrs, enum lwm2m_attr attr)
{
    return (attrs->set & bit(attr)) != 0;
}

const char *lwm2m_attr_name(enum lwm2m_attr attr)
{
    dr_assert((unsigned)attr < LWM2M_ATTR_COUNT);
    return table[attr].name;
}

static dr_err_t number_parse(struct lwm2m_str text, bool decimal, double *ret)
{
    double f = 0;

    if (text.len == 0 || text.len > TEXT_MAX || memchr(text.ptr, 'e', text.len) != NULL ||
        memchr(text.ptr, 'E', text.len) != NULL) {
        return DR_ERR_PROTO;
    }
    if (!decimal && memchr(text.ptr, '.', text.len) != NULL) {
        return DR_ERR_PROTO;
    }
    dr_err_t err = dr_parse_double(text.ptr, text.len, &f);
    if (err != DR_OK) {
        return err;
    }
    if (fabs(f) > DECIMAL_MAX || (!decimal && (f < 0 || f > SECONDS_MAX))) {
        return DR_ERR_RANGE;
    }
    *ret = f;
    return DR_OK;
}

dr_err_t lwm2m_attrs_add(struct lwm2m_attrs *attrs, struct lwm2m_str pair)
{
    dr_assert(attrs != NULL);

    const char *eq = pair.len == 0 ? NULL : memchr(pair.ptr, '=', pair.len);
    size_t name_len = eq == NULL ? pair.len : (size_t)(eq - pair.ptr);
    struct lwm2m_str name = lwm2m_str_sub(pair, 0, name_len);
    unsigned attr = 0;
    double value = 0;

    while (attr < LWM2M_ATTR_COUNT && !lwm2m_str_eq(name, table[attr].name)) {
        attr++;
    }
    if (attr == LWM2M_ATTR_COUNT) {
        return DR_ERR_NOT_FOUND;
    }
    if (((attrs->set | attrs->unset) & bit(attr)) != 0) {
        return DR_ERR_PROTO;
    }
    if (eq == NULL) {
        attrs->unset |= bit(attr);
        return DR_OK;
    }
    dr_err_t err =
        number_parse(lwm2m_str_sub(pair, name_len + 1, pair.len), table[attr].decimal, &value);
    if (err == DR_OK && table[attr].flag && value > 0 && (value < 1 || value > 1)) {
        err = DR_ERR_RANGE;
    }
    if (err == DR_OK && attr == LWM2M_ATTR_ST && value < 0) {
        err = DR_ERR_RANGE; /* a distance */
    }
    if (err != DR_OK) {
        return err;
    }
    attrs->set |= bit(attr);
    attrs->value[attr] = value;
    return DR_OK;
}

dr_err_t lwm2m_attrs_parse(struct lwm2m_str text, struct lwm2m_attrs *ret,
                           struct dr_errinfo *reterr)
{
    dr_assert(ret != NULL);

    struct lwm2m_attrs attrs = {.set = 0};
    size_t i = 0;

    while (i < text.len) {
        size_t start = i;
        while (i < text.len && text.ptr[i] != '&' && text.ptr[i] != ';') {
            i++;
        }
        struct lwm2m_str pair = lwm2m_str_sub(text, start, i++);
        dr_err_t err = lwm2m_attrs_add(&attrs, pair);
        if (err != DR_OK) {
            dr_errinfo_set(reterr, "attributes", (long)start, "cannot take '%.*s'",
                           (int)(pair.len > TEXT_MAX ? TEXT_MAX : pair.len), pair.ptr);
            return err;
        }
    }
    *ret = attrs;
    return DR_OK;
}

static bool is_numeric(const struct lwm2m_res_def *res)
{
    return res->type == LWM2M_TYPE_INT || res->type == LWM2M_TYPE_UINT ||
           res->type == LWM2M_TYPE_FLOAT || res->type == LWM2M_TYPE_TIME;
}

/* What the target must be like. */
static const char *target_fault(const struct lwm2m_attrs *attrs, const struct lwm2m_path *path,
                                const struct lwm2m_res_def *res)
{
    uint16_t all = attrs->set | attrs->unset;
    uint16_t numeric = bit(LWM2M_ATTR_GT) | bit(LWM2M_ATTR_LT) | bit(LWM2M_ATTR_ST);

    if (path->depth == 0) {
        return "attributes need an object, an instance or a resource";
    }
    if ((all & (numeric | bit(LWM2M_ATTR_EDGE))) != 0 && path->depth < LWM2M_LEVEL_RESOURCE) {
        return "gt, lt, st and edge need a resource";
    }
    if (res != NULL && (attrs->set & numeric) != 0 && !is_numeric(res)) {
        return "gt, lt and st need a numeric resource";
    }
    if (res != NULL && is_set(attrs, LWM2M_ATTR_EDGE) && res->type != LWM2M_TYPE_BOOL) {
        return "edge needs a boolean resource";
    }
    return NULL;
}

static const char *value_fault(const struct lwm2m_attrs *attrs)
{
    const double *v = attrs->value;
    bool both = is_set(attrs, LWM2M_ATTR_GT) && is_set(attrs, LWM2M_ATTR_LT);

    if (both && !(v[LWM2M_ATTR_LT] < v[LWM2M_ATTR_GT])) {
        return "lt must be less than gt";
    }
    if (both && is_set(attrs, LWM2M_ATTR_ST) &&
        !(v[LWM2M_ATTR_LT] + 2 * v[LWM2M_ATTR_ST] < v[LWM2M_ATTR_GT])) {
        return "lt + 2 st must be less than gt";
    }
    if (is_set(attrs, LWM2M_ATTR_EPMIN) && is_set(attrs, LWM2M_ATTR_EPMAX) &&
        !(v[LWM2M_ATTR_EPMIN] < v[LWM2M_ATTR_EPMAX])) {
        return "epmin must be less than epmax";
    }
    return NULL;
}

dr_err_t lwm2m_attrs_check(const struct lwm2m_attrs *attrs, const struct lwm2m_path *path,
                           const struct lwm2m_res_def *res, struct lwm2m_version version,
                           struct dr_errinfo *reterr)
{
    dr_assert(attrs != NULL && path != NULL);

    for (unsigned i = 0; i < LWM2M_ATTR_COUNT; i++) {
        if (((attrs->set | attrs->unset) & bit(i)) != 0 && version.major == 1 &&
            version.minor < table[i].minor) {
            dr_errinfo_set(reterr, table[i].name, 0, "a LwM2M 1.%u device does not have it",
                           version.minor);
            return DR_ERR_UNSUPPORTED;
        }
    }
    const char *fault = target_fault(attrs, path, res);
    fault = fault == NULL ? value_fault(attrs) : fault;
    if (fault != NULL) {
        dr_errinfo_set(reterr, "attributes", 0, "%s", fault);
        return DR_ERR_INVAL;
    }
    return DR_OK;
}

size_t lwm2m_attrs_format(const struct lwm2m_attrs *attrs, char out[LWM2M_ATTRS_STR_MAX])
{
    dr_assert(attrs != NULL && out != NULL);

    struct dr_wr wr = dr_wr_of(out, LWM2M_ATTRS_STR_MAX - 1);
    char number[LWM2M_FLOAT_PLAIN_MAX];

    for (unsigned i = 0; i < LWM2M_ATTR_COUNT; i++) {
        bool set = (attrs->set & bit(i)) != 0;
        if (!set && (attrs->unset & bit(i)) == 0) {
            continue;
        }
        dr_wr_put_str(&wr, dr_wr_len(&wr) > 0 ? "&" : "");
        dr_wr_put_str(&wr, table[i].name);
        if (set) {
            dr_wr_put_str(&wr, "=");
            dr_wr_put(&wr, number, lwm2m_float_plain(attrs->value[i], number));
        }
    }
    dr_assert(dr_wr_ok(&wr)); /* ten times ten bytes and a number */
    out[dr_wr_len(&wr)] = '\0';
    return dr_wr_len(&wr);
}

struct lwm2m_attrs lwm2m_attrs_merge(const struct lwm2m_attrs *base, const struct lwm2m_attrs *over)
{
    dr_assert(base != NULL && over != NULL);

    struct lwm2m_attrs out = *base;

    out.unset = 0;
    out.set = (uint16_t)((base->set & ~over->unset) | over->set);
    for (unsigned i = 0; i < LWM2M_ATTR_COUNT; i++) {
        if ((over->set & bit(i)) != 0) {
            out.value[i] = over->value[i];
        }
    }
    return out;
}
