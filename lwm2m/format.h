/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  lwm2m/format.h
 * @brief Content-Format numbers, their media type names, and which one to ask a device for.
 *
 * Layer: lwm2m, pure.  Threads: reentrant, no state.  Memory: never allocates; names are constants.
 * Limits: LWM2M_CT_MAX formats of a root link are kept.  Security: names from outside are compared
 * only. Spec: LWM2M-1.2-CORE#7.4.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "lwm2m/value.h"

enum {
    LWM2M_CT_TEXT = 0,
    LWM2M_CT_LINK = 40,
    LWM2M_CT_XML = 41,
    LWM2M_CT_OPAQUE = 42,
    LWM2M_CT_JSON_PLAIN = 50,
    LWM2M_CT_CBOR = 60,
    LWM2M_CT_SENML_JSON = 110,
    LWM2M_CT_SENML_CBOR = 112,
    LWM2M_CT_SENML_ETCH_JSON = 320,
    LWM2M_CT_SENML_ETCH_CBOR = 322,
    LWM2M_CT_OLD_TEXT = 1541,
    LWM2M_CT_OLD_TLV = 1542,
    LWM2M_CT_OLD_JSON = 1543,
    LWM2M_CT_TLV = 11542,
    LWM2M_CT_JSON = 11543,
    LWM2M_CT_CBOR_MAP = 11544, /**< application/vnd.oma.lwm2m+cbor */
    LWM2M_CT_NONE = 65535,     /**< option absent; not a real number */
};

#define LWM2M_CT_MAX 16

/** LwM2M enabler or object version. 0.0 = not given. */
struct lwm2m_version {
    uint8_t major, minor;
};

#define LWM2M_VERSION(ma, mi) ((struct lwm2m_version){.major = (ma), .minor = (mi)})

bool lwm2m_version_eq(struct lwm2m_version a, struct lwm2m_version b);
int lwm2m_version_cmp(struct lwm2m_version a, struct lwm2m_version b);
/** "1.1" with or without quotes. @retval DR_ERR_PROTO  not digits, dot, digits, or over 255 */
DR_CHECK dr_err_t lwm2m_version_parse(struct lwm2m_str text, struct lwm2m_version *ret);
#define LWM2M_VERSION_STR_MAX 8
size_t lwm2m_version_format(struct lwm2m_version v, char out[LWM2M_VERSION_STR_MAX]);

/** Media type of @p ct ("application/senml+json"); NULL for an unknown number. */
const char *lwm2m_format_name(uint16_t ct);

/** Number of a media type (parameters and letter case ignored); LWM2M_CT_NONE if unknown. */
uint16_t lwm2m_format_number(struct lwm2m_str name);

/** Pre-IANA numbers to today's: 1541 → 0, 1542 → 11542, 1543 → 11543, others as they are. */
uint16_t lwm2m_format_normal(uint16_t ct);

/** True when the format can carry several resources (TLV, SenML, LwM2M JSON and CBOR). */
bool lwm2m_format_is_multi(uint16_t ct);

/** Content formats of a root link (`ct=`), in the device's order. */
struct lwm2m_ct_list {
    uint16_t ct[LWM2M_CT_MAX];
    uint8_t count;
};

/** Numbers separated by blanks or commas, quoted or not; unknown words are skipped, the surplus
 * dropped. */
void lwm2m_ct_list_parse(struct lwm2m_str text, struct lwm2m_ct_list *ret);
bool lwm2m_ct_list_has(const struct lwm2m_ct_list *list, uint16_t ct);

/** What an operation needs of a format. */
enum lwm2m_use {
    LWM2M_USE_SINGLE,          /**< one resource or resource instance with a plain type */
    LWM2M_USE_SINGLE_OPAQUE,   /**< one opaque resource or resource instance */
    LWM2M_USE_MULTI,           /**< object, instance, or a multiple resource */
    LWM2M_USE_COMPOSITE,       /**< answers and bodies with values of composite operations, Send */
    LWM2M_USE_COMPOSITE_PATHS, /**< bodies of Read- and Observe-Composite */
};

/** What a device has taught us, 0 = nothing: kept by the caller beside the device, updated by
 * lwm2m_format_learn(). */
struct lwm2m_format_memory {
    uint16_t refused; /**< bit set of formats that gave 4.06 or 4.15 */
    uint16_t worked;  /**< bit set of formats seen in a successful answer */
};

void lwm2m_format_learn(struct lwm2m_format_memory *mem, uint16_t ct, bool refused);

/**
 * The format to use: device's `ct` list, then what worked, then the default of the version (TLV
 * for 1.0, SenML CBOR then SenML JSON for 1.1 and later), without those that were refused.
 * @param list  the root link's formats; NULL or empty = unknown
 * @param mem   may be NULL
 * @return LWM2M_CT_NONE when all that would do were refused
 */
uint16_t lwm2m_format_pick(struct lwm2m_version version, const struct lwm2m_ct_list *list,
                           const struct lwm2m_format_memory *mem, enum lwm2m_use use);
