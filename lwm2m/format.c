/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/format.h"

#include <string.h>

#include "base/text.h"
#include "lwm2m/util_priv.h"

/* The place in this table is the format's bit in lwm2m_format_memory. */
static const struct {
    uint16_t ct;
    bool multi;
    const char *name;
} formats[] = {
    {LWM2M_CT_TEXT, false, "text/plain"},
    {LWM2M_CT_LINK, false, "application/link-format"},
    {LWM2M_CT_XML, false, "application/xml"},
    {LWM2M_CT_OPAQUE, false, "application/octet-stream"},
    {LWM2M_CT_JSON_PLAIN, false, "application/json"},
    {LWM2M_CT_CBOR, false, "application/cbor"},
    {LWM2M_CT_SENML_JSON, true, "application/senml+json"},
    {LWM2M_CT_SENML_CBOR, true, "application/senml+cbor"},
    {LWM2M_CT_SENML_ETCH_JSON, true, "application/senml-etch+json"},
    {LWM2M_CT_SENML_ETCH_CBOR, true, "application/senml-etch+cbor"},
    {LWM2M_CT_TLV, true, "application/vnd.oma.lwm2m+tlv"},
    {LWM2M_CT_JSON, true, "application/vnd.oma.lwm2m+json"},
    {LWM2M_CT_CBOR_MAP, true, "application/vnd.oma.lwm2m+cbor"},
};

_Static_assert(DR_ARRAY_LEN(formats) <= 16, "lwm2m_format_memory has 16 bits");

bool lwm2m_version_eq(struct lwm2m_version a, struct lwm2m_version b)
{
    return a.major == b.major && a.minor == b.minor;
}

int lwm2m_version_cmp(struct lwm2m_version a, struct lwm2m_version b)
{
    return (int)(a.major << 8 | a.minor) - (int)(b.major << 8 | b.minor);
}

dr_err_t lwm2m_version_parse(struct lwm2m_str text, struct lwm2m_version *ret)
{
    dr_assert(ret != NULL);

    struct lwm2m_str s = lwm2m_str_unquote(lwm2m_str_trim(text));
    const char *dot = s.len == 0 ? NULL : memchr(s.ptr, '.', s.len);
    uint64_t major = 0, minor = 0;

    if (dot == NULL) {
        return DR_ERR_PROTO;
    }
    size_t left = (size_t)(dot - s.ptr);
    if (dr_parse_u64_max(s.ptr, left, UINT8_MAX, &major) != DR_OK ||
        dr_parse_u64_max(dot + 1, s.len - left - 1, UINT8_MAX, &minor) != DR_OK) {
        return DR_ERR_PROTO;
    }
    *ret = LWM2M_VERSION((uint8_t)major, (uint8_t)minor);
    return DR_OK;
}

size_t lwm2m_version_format(struct lwm2m_version v, char out[LWM2M_VERSION_STR_MAX])
{
    struct dr_wr wr = dr_wr_of(out, LWM2M_VERSION_STR_MAX - 1);

    dr_wr_printf(&wr, "%u.%u", v.major, v.minor);
    out[dr_wr_len(&wr)] = '\0';
    return dr_wr_len(&wr);
}

uint16_t lwm2m_format_normal(uint16_t ct)
{
    switch (ct) {
    case LWM2M_CT_OLD_TEXT:
        return LWM2M_CT_TEXT;
    case LWM2M_CT_OLD_TLV:
        return LWM2M_CT_TLV;
    case LWM2M_CT_OLD_JSON:
        return LWM2M_CT_JSON;
    default:
        return ct;
    }
}

/* Place in formats[], or -1. */
static int format_index(uint16_t ct)
{
    ct = lwm2m_format_normal(ct);
    for (size_t i = 0; i < DR_ARRAY_LEN(formats); i++) {
        if (formats[i].ct == ct) {
            return (int)i;
        }
    }
    return -1;
}

const char *lwm2m_format_name(uint16_t ct)
{
    int i = format_index(ct);

    return i < 0 ? NULL : formats[i].name;
}

uint16_t lwm2m_format_number(struct lwm2m_str name)
{
    const char *semicolon = name.len == 0 ? NULL : memchr(name.ptr, ';', name.len);

    if (semicolon != NULL) {
        name.len = (size_t)(semicolon - name.ptr);
    }
    name = lwm2m_str_trim(name);
    for (size_t i = 0; i < DR_ARRAY_LEN(formats); i++) {
        if (lwm2m_str_ieq(name, formats[i].name)) {
            return formats[i].ct;
        }
    }
    return LWM2M_CT_NONE;
}

bool lwm2m_format_is_multi(uint16_t ct)
{
    int i = format_index(ct);

    return i >= 0 && formats[i].multi;
}

void lwm2m_ct_list_parse(struct lwm2m_str text, struct lwm2m_ct_list *ret)
{
    dr_assert(ret != NULL);

    size_t i = 0;

    *ret = (struct lwm2m_ct_list){.count = 0};
    while (i < text.len) {
        size_t start = i;
        while (i < text.len && !lwm2m_blank(text.ptr[i]) && text.ptr[i] != ',' &&
               text.ptr[i] != '"') {
            i++;
        }
        uint64_t ct = 0;
        if (i > start && ret->count < LWM2M_CT_MAX &&
            dr_parse_u64_max(text.ptr + start, i - start, UINT16_MAX - 1, &ct) == DR_OK) {
            ret->ct[ret->count++] = (uint16_t)ct;
        }
        i += i == start ? 1 : 0;
    }
}

bool lwm2m_ct_list_has(const struct lwm2m_ct_list *list, uint16_t ct)
{
    dr_assert(list != NULL);

    for (unsigned i = 0; i < list->count; i++) {
        if (list->ct[i] == ct) {
            return true;
        }
    }
    return false;
}

void lwm2m_format_learn(struct lwm2m_format_memory *mem, uint16_t ct, bool refused)
{
    dr_assert(mem != NULL);

    int i = format_index(ct);
    if (i < 0) {
        return;
    }
    uint16_t bit = (uint16_t)(1U << i);
    if (refused) {
        mem->refused |= bit;
        mem->worked &= (uint16_t)~bit;
    } else {
        mem->worked |= bit;
        mem->refused &= (uint16_t)~bit;
    }
}

/* ---- choice ---- */

/* Formats that can serve a use, best first, ended by LWM2M_CT_NONE; v10: of a 1.0 client. */
static const uint16_t single_v10[] = {LWM2M_CT_TEXT, LWM2M_CT_TLV, LWM2M_CT_JSON, LWM2M_CT_NONE};
static const uint16_t opaque_v10[] = {LWM2M_CT_OPAQUE, LWM2M_CT_TLV, LWM2M_CT_JSON, LWM2M_CT_TEXT,
                                      LWM2M_CT_NONE};
static const uint16_t multi_v10[] = {LWM2M_CT_TLV, LWM2M_CT_JSON, LWM2M_CT_NONE};
static const uint16_t single_v11[] = {LWM2M_CT_TEXT,       LWM2M_CT_CBOR, LWM2M_CT_SENML_CBOR,
                                      LWM2M_CT_SENML_JSON, LWM2M_CT_TLV,  LWM2M_CT_NONE};
static const uint16_t opaque_v11[] = {LWM2M_CT_OPAQUE,     LWM2M_CT_CBOR, LWM2M_CT_SENML_CBOR,
                                      LWM2M_CT_SENML_JSON, LWM2M_CT_TLV,  LWM2M_CT_NONE};
static const uint16_t multi_v11[] = {LWM2M_CT_SENML_CBOR, LWM2M_CT_SENML_JSON, LWM2M_CT_TLV,
                                     LWM2M_CT_NONE};
static const uint16_t multi_v12[] = {LWM2M_CT_SENML_CBOR, LWM2M_CT_SENML_JSON, LWM2M_CT_CBOR_MAP,
                                     LWM2M_CT_TLV, LWM2M_CT_NONE};
static const uint16_t composite_v11[] = {LWM2M_CT_SENML_CBOR, LWM2M_CT_SENML_JSON, LWM2M_CT_NONE};
static const uint16_t composite_v12[] = {LWM2M_CT_SENML_CBOR, LWM2M_CT_SENML_JSON,
                                         LWM2M_CT_CBOR_MAP, LWM2M_CT_NONE};
static const uint16_t paths_v12[] = {LWM2M_CT_SENML_ETCH_CBOR, LWM2M_CT_SENML_ETCH_JSON,
                                     LWM2M_CT_SENML_CBOR,      LWM2M_CT_SENML_JSON,
                                     LWM2M_CT_CBOR_MAP,        LWM2M_CT_NONE};
static const uint16_t nothing[] = {LWM2M_CT_NONE};

/* Rows: LWM2M_USE_*. Columns: clients of 1.0, 1.1, 1.2 and later. */
static const uint16_t *const usable[][3] = {
    [LWM2M_USE_SINGLE] = {single_v10, single_v11, single_v11},
    [LWM2M_USE_SINGLE_OPAQUE] = {opaque_v10, opaque_v11, opaque_v11},
    [LWM2M_USE_MULTI] = {multi_v10, multi_v11, multi_v12},
    [LWM2M_USE_COMPOSITE] = {nothing, composite_v11, composite_v12},
    [LWM2M_USE_COMPOSITE_PATHS] = {nothing, composite_v11, paths_v12},
};

static bool is_refused(const struct lwm2m_format_memory *mem, uint16_t ct)
{
    int i = format_index(ct);

    return mem != NULL && i >= 0 && (mem->refused & 1U << i) != 0;
}

static bool has_worked(const struct lwm2m_format_memory *mem, uint16_t ct)
{
    int i = format_index(ct);

    return mem != NULL && i >= 0 && (mem->worked & 1U << i) != 0;
}

static bool can_serve(const uint16_t *set, uint16_t ct)
{
    for (; *set != LWM2M_CT_NONE; set++) {
        if (*set == ct) {
            return true;
        }
    }
    return false;
}

uint16_t lwm2m_format_pick(struct lwm2m_version version, const struct lwm2m_ct_list *list,
                           const struct lwm2m_format_memory *mem, enum lwm2m_use use)
{
    dr_assert((unsigned)use < DR_ARRAY_LEN(usable));

    unsigned column = version.major > 1 || version.minor >= 2 ? 2 : version.minor;
    const uint16_t *set = usable[use][version.major == 0 ? 0 : column];

    /* text and opaque need no announcing: every client has them */
    if ((use == LWM2M_USE_SINGLE || use == LWM2M_USE_SINGLE_OPAQUE) && !is_refused(mem, set[0])) {
        return set[0];
    }
    for (unsigned i = 0; list != NULL && i < list->count; i++) {
        uint16_t ct = lwm2m_format_normal(list->ct[i]);
        if (can_serve(set, ct) && !is_refused(mem, ct)) {
            return ct;
        }
    }
    for (const uint16_t *ct = set; *ct != LWM2M_CT_NONE; ct++) {
        if (has_worked(mem, *ct)) {
            return *ct;
        }
    }
    for (const uint16_t *ct = set; *ct != LWM2M_CT_NONE; ct++) {
        if (!is_refused(mem, *ct)) {
            return *ct;
        }
    }
    return LWM2M_CT_NONE;
}
