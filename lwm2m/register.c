/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/register.h"

#include <string.h>

#include "base/text.h"
#include "lwm2m/util_priv.h"

/* ---- binding ---- */

static const struct {
    char letter;
    uint8_t bit;
    uint8_t minor; /**< first LwM2M 1.x that has it */
} transports[] = {
    {'U', LWM2M_BIND_U, 0}, {'T', LWM2M_BIND_T, 1}, {'S', LWM2M_BIND_S, 0},
    {'N', LWM2M_BIND_N, 1}, {'M', LWM2M_BIND_M, 2}, {'H', LWM2M_BIND_H, 2},
};

static bool is_v10(struct lwm2m_version v)
{
    return v.major == 1 && v.minor == 0;
}

static uint8_t transport_bit(char letter, struct lwm2m_version version)
{
    for (size_t i = 0; i < DR_ARRAY_LEN(transports); i++) {
        if (transports[i].letter == letter &&
            (version.major > 1 || transports[i].minor <= version.minor)) {
            return transports[i].bit;
        }
    }
    return 0;
}

dr_err_t lwm2m_binding_parse(struct lwm2m_str text, struct lwm2m_version version,
                             struct lwm2m_binding *ret)
{
    dr_assert(ret != NULL);

    struct lwm2m_binding b = {.queue = false};

    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == 'Q' && is_v10(version) && !b.queue && b.transports != 0) {
            b.queue = true;
            continue;
        }
        uint8_t bit = transport_bit(text.ptr[i], version);
        if (bit == 0 || (b.transports & bit) != 0) {
            return DR_ERR_PROTO;
        }
        b.transports |= bit;
    }
    if (b.transports == 0) {
        return DR_ERR_PROTO;
    }
    *ret = b;
    return DR_OK;
}

size_t lwm2m_binding_format(struct lwm2m_binding b, struct lwm2m_version version,
                            char out[LWM2M_BINDING_STR_MAX])
{
    size_t n = 0;

    /* 1.0 has U UQ S SQ US UQS: Q stands behind the first letter */
    for (size_t i = 0; i < DR_ARRAY_LEN(transports); i++) {
        if ((b.transports & transports[i].bit) == 0) {
            continue;
        }
        out[n++] = transports[i].letter;
        if (n == 1 && b.queue && is_v10(version)) {
            out[n++] = 'Q';
        }
    }
    out[n] = '\0';
    return n;
}

/* ---- parameters ---- */

/* The raw values of all parameters that LwM2M names; ptr NULL = absent, len 0 = without value. */
enum param { EP, LT, LWM2M, B, Q, SMS, PID, PCT, PARAM_COUNT };

static const char *const param_names[PARAM_COUNT] = {"ep", "lt",  "lwm2m", "b",
                                                     "Q",  "sms", "pid",   "pct"};

struct raw {
    struct lwm2m_str value[PARAM_COUNT];
    bool has_equals[PARAM_COUNT];
    struct lwm2m_pair extra[LWM2M_REG_EXTRA_MAX];
    size_t extra_count;
};

static dr_err_t fault(struct dr_errinfo *reterr, enum param param, dr_err_t err, const char *why)
{
    dr_errinfo_set(reterr, param_names[param], 0, "%s", why);
    return err;
}

static struct lwm2m_pair pair_split(struct lwm2m_str text)
{
    const char *eq = text.len == 0 ? NULL : memchr(text.ptr, '=', text.len);
    size_t key_len = eq == NULL ? text.len : (size_t)(eq - text.ptr);
    struct lwm2m_pair pair = {.key = lwm2m_str_sub(text, 0, key_len)};

    if (eq != NULL) {
        pair.value = lwm2m_str_sub(text, key_len + 1, text.len);
    }
    return pair;
}

/* @param known  bit set of the parameters that this request has; the others are extra pairs */
static dr_err_t raw_split(const struct lwm2m_str *query, size_t count, unsigned known,
                          struct raw *raw, struct dr_errinfo *reterr)
{
    if (count > LWM2M_REG_QUERY_MAX) {
        dr_errinfo_set(reterr, "query", 0, "more than %d parameters", LWM2M_REG_QUERY_MAX);
        return DR_ERR_LIMIT;
    }
    for (size_t i = 0; i < count; i++) {
        struct lwm2m_pair pair = pair_split(query[i]);
        unsigned p = 0;
        if (query[i].len > LWM2M_REG_VALUE_MAX) {
            dr_errinfo_set(reterr, "query", (long)i, "a parameter over %d bytes",
                           LWM2M_REG_VALUE_MAX);
            return DR_ERR_LIMIT;
        }
        if (query[i].len == 0) {
            continue;
        }
        while (p < PARAM_COUNT &&
               ((known & 1U << p) == 0 || !lwm2m_str_eq(pair.key, param_names[p]))) {
            p++;
        }
        if (p == PARAM_COUNT) {
            if (raw->extra_count == LWM2M_REG_EXTRA_MAX) {
                dr_errinfo_set(reterr, "query", (long)i, "more than %d extra parameters",
                               LWM2M_REG_EXTRA_MAX);
                return DR_ERR_LIMIT;
            }
            raw->extra[raw->extra_count++] = pair;
            continue;
        }
        if (raw->value[p].ptr != NULL) {
            return fault(reterr, p, DR_ERR_PROTO, "given twice");
        }
        raw->has_equals[p] = pair.value.ptr != NULL;
        raw->value[p] = raw->has_equals[p] ? pair.value : (struct lwm2m_str){.ptr = "", .len = 0};
    }
    return DR_OK;
}

static bool has(const struct raw *raw, enum param p)
{
    return raw->value[p].ptr != NULL;
}

/* Printable UTF-8 without control characters. */
static bool name_ok(struct lwm2m_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f) {
            return false;
        }
    }
    return s.len > 0 && dr_utf8_valid(s.ptr, s.len);
}

static dr_err_t ep_check(const struct raw *raw, struct dr_errinfo *reterr)
{
    if (!has(raw, EP)) {
        return DR_OK;
    }
    if (!name_ok(raw->value[EP])) {
        return fault(reterr, EP, DR_ERR_PROTO, "empty or not printable");
    }
    if (raw->value[EP].len > LWM2M_REG_EP_MAX) {
        return fault(reterr, EP, DR_ERR_LIMIT, "endpoint name too long");
    }
    return DR_OK;
}

/* "1.1", also "1.1.1" as some clients send. */
static dr_err_t version_read(const struct raw *raw, struct lwm2m_version *ret,
                             struct dr_errinfo *reterr)
{
    struct lwm2m_str text = lwm2m_str_unquote(raw->value[LWM2M]);
    struct lwm2m_version version = LWM2M_VERSION(1, 0);
    const char *dot = text.len < 3 ? NULL : memchr(text.ptr + 2, '.', text.len - 2);
    uint64_t patch = 0;

    if (!has(raw, LWM2M)) {
        *ret = version;
        return DR_OK;
    }
    if (dot != NULL) {
        size_t cut = (size_t)(dot - text.ptr);
        if (dr_parse_u64(dot + 1, text.len - cut - 1, &patch) != DR_OK) {
            return fault(reterr, LWM2M, DR_ERR_PROTO, "not a version");
        }
        text.len = cut;
    }
    if (lwm2m_version_parse(text, &version) != DR_OK) {
        return fault(reterr, LWM2M, DR_ERR_PROTO, "not a version");
    }
    if (version.major != 1) {
        return fault(reterr, LWM2M, DR_ERR_VERSION, "not a 1.x client");
    }
    *ret = version;
    return DR_OK;
}

static dr_err_t lifetime_read(const struct raw *raw, struct lwm2m_version version, uint32_t *ret_s,
                              bool *ret_infinite, struct dr_errinfo *reterr)
{
    uint64_t s = 0;
    dr_err_t err = dr_parse_u64(raw->value[LT].ptr, raw->value[LT].len, &s);

    if (err == DR_ERR_RANGE) {
        s = LWM2M_LIFETIME_MAX;
        err = DR_OK;
    }
    if (err != DR_OK) {
        return fault(reterr, LT, DR_ERR_PROTO, "not a number of seconds");
    }
    if (s == 0 && version.minor < 2) {
        return fault(reterr, LT, DR_ERR_PROTO, "zero needs a 1.2 client");
    }
    *ret_s = s > LWM2M_LIFETIME_MAX ? LWM2M_LIFETIME_MAX : (uint32_t)s;
    *ret_infinite = s == 0;
    return DR_OK;
}

static dr_err_t binding_read(const struct raw *raw, struct lwm2m_version version,
                             struct lwm2m_binding *ret, struct dr_errinfo *reterr)
{
    struct lwm2m_binding b = {.transports = LWM2M_BIND_U};

    if (has(raw, B) &&
        lwm2m_binding_parse(lwm2m_str_unquote(raw->value[B]), version, &b) != DR_OK) {
        return fault(reterr, B, DR_ERR_PROTO, "not a binding of this version");
    }
    if (has(raw, Q)) {
        if (raw->value[Q].len > 0) {
            return fault(reterr, Q, DR_ERR_PROTO, "takes no value");
        }
        b.queue = true;
    }
    *ret = b;
    return DR_OK;
}

static dr_err_t sms_check(const struct raw *raw, struct dr_errinfo *reterr)
{
    struct lwm2m_str s = raw->value[SMS];

    if (!has(raw, SMS)) {
        return DR_OK;
    }
    for (size_t i = 0; i < s.len; i++) {
        if ((s.ptr[i] < '0' || s.ptr[i] > '9') && (i > 0 || s.ptr[i] != '+' || s.len == 1)) {
            return fault(reterr, SMS, DR_ERR_PROTO, "not a number");
        }
    }
    return s.len == 0 ? fault(reterr, SMS, DR_ERR_PROTO, "empty") : DR_OK;
}

/* "6:27354b9a,oma:basic", quoted or not. */
static dr_err_t profiles_read(const struct raw *raw, struct lwm2m_str ret[LWM2M_REG_PROFILES_MAX],
                              size_t *ret_count, struct dr_errinfo *reterr)
{
    struct lwm2m_str text = lwm2m_str_unquote(raw->value[PID]);
    size_t i = 0;

    if (!has(raw, PID)) {
        return DR_OK;
    }
    for (;;) {
        const char *comma = i < text.len ? memchr(text.ptr + i, ',', text.len - i) : NULL;
        size_t end = comma == NULL ? text.len : (size_t)(comma - text.ptr);
        struct lwm2m_str id = lwm2m_str_trim(lwm2m_str_sub(text, i, end));
        if (!name_ok(id) || memchr(id.ptr, ':', id.len) == NULL) {
            return fault(reterr, PID, DR_ERR_PROTO, "not a profile id");
        }
        if (*ret_count == LWM2M_REG_PROFILES_MAX) {
            return fault(reterr, PID, DR_ERR_LIMIT, "too many profiles");
        }
        ret[(*ret_count)++] = id;
        if (comma == NULL) {
            return DR_OK;
        }
        i = end + 1;
    }
}

static void extra_copy(const struct raw *raw, struct lwm2m_pair *to, size_t *ret_count)
{
    memcpy(to, raw->extra, raw->extra_count * sizeof(raw->extra[0]));
    *ret_count = raw->extra_count;
}

/* ---- requests ---- */

static dr_err_t register_read(const struct raw *raw, struct lwm2m_register *reg,
                              struct dr_errinfo *reterr)
{
    dr_err_t err = ep_check(raw, reterr);

    err = err != DR_OK ? err : version_read(raw, &reg->version, reterr);
    if (err == DR_OK && !has(raw, LT)) {
        reg->lifetime_s = LWM2M_LIFETIME_DEFAULT;
        err = is_v10(reg->version) ? DR_OK : fault(reterr, LT, DR_ERR_PROTO, "missing");
    } else if (err == DR_OK) {
        reg->lifetime_given = true;
        err = lifetime_read(raw, reg->version, &reg->lifetime_s, &reg->lifetime_infinite, reterr);
    }
    err = err != DR_OK ? err : binding_read(raw, reg->version, &reg->binding, reterr);
    err = err != DR_OK ? err : sms_check(raw, reterr);
    err = err != DR_OK ? err : profiles_read(raw, reg->profiles, &reg->profile_count, reterr);
    if (err == DR_OK) {
        reg->ep = raw->value[EP];
        reg->sms = raw->value[SMS];
        extra_copy(raw, reg->extra, &reg->extra_count);
    }
    return err;
}

dr_err_t lwm2m_register_parse(const struct lwm2m_str *query, size_t count,
                              struct lwm2m_register *ret, struct dr_errinfo *reterr)
{
    dr_assert(ret != NULL && (query != NULL || count == 0));

    struct raw raw = {.extra_count = 0};
    struct lwm2m_register reg = {.extra_count = 0};
    unsigned known = 1U << EP | 1U << LT | 1U << LWM2M | 1U << B | 1U << Q | 1U << SMS | 1U << PID;

    dr_err_t err = raw_split(query, count, known, &raw, reterr);
    if (err == DR_OK) {
        err = register_read(&raw, &reg, reterr);
    }
    if (err == DR_OK) {
        *ret = reg;
    }
    return err;
}

bool lwm2m_register_extra(const struct lwm2m_register *reg, const char *key, struct lwm2m_str *ret)
{
    dr_assert(reg != NULL && key != NULL && ret != NULL);

    for (size_t i = 0; i < reg->extra_count; i++) {
        if (lwm2m_str_eq(reg->extra[i].key, key)) {
            *ret = reg->extra[i].value;
            return true;
        }
    }
    return false;
}

dr_err_t lwm2m_register_check_links(const struct lwm2m_register *reg,
                                    const struct lwm2m_links *links, struct dr_errinfo *reterr)
{
    dr_assert(reg != NULL && links != NULL);

    if (links->count > 0 || (reg->version.minor >= 2 && reg->profile_count > 0)) {
        return DR_OK;
    }
    dr_errinfo_set(reterr, "payload", 0, "no objects listed");
    return DR_ERR_PROTO;
}

static dr_err_t update_read(const struct raw *raw, struct lwm2m_version version,
                            struct lwm2m_update *up, struct dr_errinfo *reterr)
{
    dr_err_t err = DR_OK;

    up->has_lifetime = has(raw, LT);
    up->has_binding = has(raw, B) || has(raw, Q);
    up->has_sms = has(raw, SMS);
    if (up->has_lifetime) {
        err = lifetime_read(raw, version, &up->lifetime_s, &up->lifetime_infinite, reterr);
    }
    if (err == DR_OK && up->has_binding) {
        err = binding_read(raw, version, &up->binding, reterr);
    }
    err = err != DR_OK ? err : sms_check(raw, reterr);
    err = err != DR_OK ? err : profiles_read(raw, up->profiles, &up->profile_count, reterr);
    if (err == DR_OK) {
        up->sms = raw->value[SMS];
        extra_copy(raw, up->extra, &up->extra_count);
    }
    return err;
}

dr_err_t lwm2m_update_parse(const struct lwm2m_str *query, size_t count,
                            struct lwm2m_version version, struct lwm2m_update *ret,
                            struct dr_errinfo *reterr)
{
    dr_assert(ret != NULL && (query != NULL || count == 0));

    struct raw raw = {.extra_count = 0};
    struct lwm2m_update up = {.extra_count = 0};
    unsigned known = 1U << LT | 1U << B | 1U << Q | 1U << SMS | 1U << PID;

    dr_err_t err = raw_split(query, count, known, &raw, reterr);
    if (err == DR_OK) {
        err = update_read(&raw, version, &up, reterr);
    }
    if (err == DR_OK) {
        *ret = up;
    }
    return err;
}

dr_err_t lwm2m_bootstrap_parse(const struct lwm2m_str *query, size_t count,
                               struct lwm2m_bootstrap *ret, struct dr_errinfo *reterr)
{
    dr_assert(ret != NULL && (query != NULL || count == 0));

    struct raw raw = {.extra_count = 0};
    struct lwm2m_bootstrap bs = {.pct = LWM2M_CT_NONE};
    uint64_t pct = 0;

    dr_err_t err = raw_split(query, count, 1U << EP | 1U << PCT, &raw, reterr);
    err = err != DR_OK ? err : ep_check(&raw, reterr);
    if (err != DR_OK) {
        return err;
    }
    if (has(&raw, PCT)) {
        if (dr_parse_u64_max(raw.value[PCT].ptr, raw.value[PCT].len, UINT16_MAX, &pct) != DR_OK ||
            (pct != LWM2M_CT_SENML_JSON && pct != LWM2M_CT_SENML_CBOR && pct != LWM2M_CT_TLV &&
             pct != LWM2M_CT_CBOR_MAP)) {
            return fault(reterr, PCT, DR_ERR_UNSUPPORTED, "not a format for bootstrap writes");
        }
        bs.pct = (uint16_t)pct;
    }
    bs.ep = raw.value[EP];
    extra_copy(&raw, bs.extra, &bs.extra_count);
    *ret = bs;
    return DR_OK;
}
