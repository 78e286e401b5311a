/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  lwm2m/register.h
 * @brief Query parameters of Register, Update and Bootstrap-Request, and the rules between them.
 *
 * Layer: lwm2m, pure.  Threads: reentrant.  Memory: results borrow the query strings.
 * Limits: LWM2M_REG_*_MAX.  Security: input is hostile and never asserted on; ep is data, not an
 * identity. Spec: LWM2M-1.2-CORE#6.2.1, #6.2.2, #6.1.7.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "lwm2m/format.h"
#include "lwm2m/links.h"
#include "lwm2m/value.h"

#define LWM2M_REG_QUERY_MAX    32  /**< query parameters */
#define LWM2M_REG_EXTRA_MAX    24  /**< of them, those that LwM2M does not name */
#define LWM2M_REG_VALUE_MAX    255 /**< bytes of one parameter */
#define LWM2M_REG_EP_MAX       128
#define LWM2M_REG_PROFILES_MAX 8
#define LWM2M_LIFETIME_DEFAULT 86400
#define LWM2M_LIFETIME_MAX     315360000 /**< ten years; longer ones are cut to it */

/** Bits of struct lwm2m_binding.transports. */
enum {
    LWM2M_BIND_U = 1,  /**< UDP */
    LWM2M_BIND_T = 2,  /**< TCP */
    LWM2M_BIND_S = 4,  /**< SMS */
    LWM2M_BIND_N = 8,  /**< non-IP */
    LWM2M_BIND_M = 16, /**< MQTT */
    LWM2M_BIND_H = 32, /**< HTTP */
};

struct lwm2m_binding {
    uint8_t transports; /**< LWM2M_BIND_*; never 0 */
    bool queue;         /**< device sleeps */
};

/**
 * `b` of a given version, without `Q` as a separate flag.
 * @retval DR_ERR_PROTO  a letter the version does not have, a letter twice, Q inside b from 1.1 on,
 * or empty
 */
DR_CHECK dr_err_t lwm2m_binding_parse(struct lwm2m_str text, struct lwm2m_version version,
                                      struct lwm2m_binding *ret);
#define LWM2M_BINDING_STR_MAX 8
/** "UQ" style for 1.0; letters only for later versions (Q is a flag of its own). Returns the
 * length. */
size_t lwm2m_binding_format(struct lwm2m_binding b, struct lwm2m_version version,
                            char out[LWM2M_BINDING_STR_MAX]);

struct lwm2m_pair {
    struct lwm2m_str key;
    struct lwm2m_str value; /**< ptr NULL = key without `=` */
};

/** A parsed Register. */
struct lwm2m_register {
    struct lwm2m_str ep; /**< empty = absent: take the authenticated name, else answer 4.03 */
    struct lwm2m_version version; /**< 1.0 when absent */
    uint32_t lifetime_s;          /**< 0 = infinite (1.2), only when lifetime_infinite */
    bool lifetime_given;
    bool lifetime_infinite;
    struct lwm2m_binding binding;
    struct lwm2m_str sms;                              /**< empty = absent */
    struct lwm2m_str profiles[LWM2M_REG_PROFILES_MAX]; /**< pid */
    size_t profile_count;
    struct lwm2m_pair
        extra[LWM2M_REG_EXTRA_MAX]; /**< in order; d, et, aid, mccv … of Pelion are here */
    size_t extra_count;
};

/**
 * Parse the query of a Register.
 * @param query   one string per Uri-Query option ("ep=node-1"), borrowed by @p ret
 * @param ret     filled on success, untouched on error
 * @param reterr  names the parameter; may be NULL
 * @retval DR_ERR_PROTO    4.00: bad or doubled ep, lt, lwm2m, b, Q, sms, pid; lt missing in 1.1 or
 * later (strict)
 * @retval DR_ERR_VERSION  4.12: a major version that is not 1
 * @retval DR_ERR_LIMIT    4.00 to answer: over LWM2M_REG_QUERY_MAX, _EXTRA_MAX, _VALUE_MAX or
 * _PROFILES_MAX
 */
DR_CHECK dr_err_t lwm2m_register_parse(const struct lwm2m_str *query, size_t count,
                                       struct lwm2m_register *ret, struct dr_errinfo *reterr);

/** The first extra parameter of that name; false if none. */
bool lwm2m_register_extra(const struct lwm2m_register *reg, const char *key, struct lwm2m_str *ret);

/**
 * Does the object list go with the request? No links at all: 4.00 for 1.0 and 1.1 (DR_ERR_PROTO),
 * allowed for 1.2 when profiles were named (their lists are the caller's to add; unknown ones
 * are 4.09, DR_ERR_EXISTS, also the caller's).
 */
DR_CHECK dr_err_t lwm2m_register_check_links(const struct lwm2m_register *reg,
                                             const struct lwm2m_links *links,
                                             struct dr_errinfo *reterr);

/** A parsed Update: what is absent stays as it was. */
struct lwm2m_update {
    bool has_lifetime, lifetime_infinite;
    uint32_t lifetime_s;
    bool has_binding;
    struct lwm2m_binding
        binding; /**< queue comes from `b` (1.0) or `Q` (later; absent with b = off) */
    bool has_sms;
    struct lwm2m_str sms;
    struct lwm2m_str profiles[LWM2M_REG_PROFILES_MAX];
    size_t profile_count;
    struct lwm2m_pair
        extra[LWM2M_REG_EXTRA_MAX]; /**< also ep, when someone repeats it; it identifies nothing */
    size_t extra_count;
};

/**
 * Parse the query of an Update.
 * @param version  of the registration that is being updated
 * Errors as lwm2m_register_parse(), without DR_ERR_VERSION.
 */
DR_CHECK dr_err_t lwm2m_update_parse(const struct lwm2m_str *query, size_t count,
                                     struct lwm2m_version version, struct lwm2m_update *ret,
                                     struct dr_errinfo *reterr);

/** A parsed Bootstrap-Request or Bootstrap-Pack-Request. */
struct lwm2m_bootstrap {
    struct lwm2m_str ep; /**< empty = absent */
    uint16_t pct;        /**< preferred format of the writes; LWM2M_CT_NONE = absent */
    struct lwm2m_pair extra[LWM2M_REG_EXTRA_MAX]; /**< iep, aid, mccv, acc … */
    size_t extra_count;
};

/**
 * @retval DR_ERR_PROTO        bad or doubled ep
 * @retval DR_ERR_UNSUPPORTED  4.15: a pct that is not 110, 112, 11542 or 11544
 * @retval DR_ERR_LIMIT
 */
DR_CHECK dr_err_t lwm2m_bootstrap_parse(const struct lwm2m_str *query, size_t count,
                                        struct lwm2m_bootstrap *ret, struct dr_errinfo *reterr);
