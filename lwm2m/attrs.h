/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  lwm2m/attrs.h
 * @brief Notification attributes (pmin, pmax, gt …): parse, validate, format.
 *
 * Layer: lwm2m, pure.  Threads: reentrant.  Memory: never allocates.
 * Limits: LWM2M_ATTRS_STR_MAX of text.  Security: text is hostile and never asserted on.
 * Spec: LWM2M-1.2-CORE#7.3.2.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "lwm2m/format.h"
#include "lwm2m/model.h"
#include "lwm2m/path.h"
#include "lwm2m/value.h"

enum lwm2m_attr {
    LWM2M_ATTR_PMIN,
    LWM2M_ATTR_PMAX,
    LWM2M_ATTR_GT,
    LWM2M_ATTR_LT,
    LWM2M_ATTR_ST,
    LWM2M_ATTR_EPMIN,
    LWM2M_ATTR_EPMAX,
    LWM2M_ATTR_EDGE,
    LWM2M_ATTR_CON,
    LWM2M_ATTR_HQMAX,
};
#define LWM2M_ATTR_COUNT    10
#define LWM2M_ATTRS_STR_MAX 320 /**< room for all of them and the NUL */

struct lwm2m_attrs {
    uint16_t set;                   /**< bit 1 << LWM2M_ATTR_*: has a value */
    uint16_t unset;                 /**< written without value: take it away at this level */
    double value[LWM2M_ATTR_COUNT]; /**< whole numbers but for gt, lt, st */
};

const char *lwm2m_attr_name(enum lwm2m_attr attr);

/**
 * Put one "pmin=10" or "pmin" into @p attrs.
 * @retval DR_ERR_NOT_FOUND  not one of ours
 * @retval DR_ERR_PROTO      not a number of the attribute's kind, or given twice
 * @retval DR_ERR_RANGE      negative seconds, edge or con not 0 or 1
 * @p attrs is untouched on error.
 */
DR_CHECK dr_err_t lwm2m_attrs_add(struct lwm2m_attrs *attrs, struct lwm2m_str pair);

/** A whole query string "pmin=10&pmax=60" (also with `;` between). @p ret untouched on error. */
DR_CHECK dr_err_t lwm2m_attrs_parse(struct lwm2m_str text, struct lwm2m_attrs *ret,
                                    struct dr_errinfo *reterr);

/**
 * Rules among the attributes and with the target: lt < gt, lt + 2 st < gt, epmin < epmax, gt lt st
 * on numeric resources, edge on booleans, and what the version knows. pmax < pmin is legal (the
 * device ignores pmax).
 * @param res  definition of the target resource; NULL = unknown or a higher level
 * @retval DR_ERR_INVAL        attributes contradict each other or the target's level or type
 * @retval DR_ERR_UNSUPPORTED  the version does not have one of them
 */
DR_CHECK dr_err_t lwm2m_attrs_check(const struct lwm2m_attrs *attrs, const struct lwm2m_path *path,
                                    const struct lwm2m_res_def *res, struct lwm2m_version version,
                                    struct dr_errinfo *reterr);

/** "pmin=10&pmax=60&gt" and NUL; no exponents. Returns the length. */
size_t lwm2m_attrs_format(const struct lwm2m_attrs *attrs, char out[LWM2M_ATTRS_STR_MAX]);

/** @p over put over @p base (what a further Write-Attributes leaves behind). */
struct lwm2m_attrs lwm2m_attrs_merge(const struct lwm2m_attrs *base,
                                     const struct lwm2m_attrs *over);
