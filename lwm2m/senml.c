/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/senml_priv.h"

#include <math.h>
#include <string.h>

#include "lwm2m/util_priv.h"

#define RELATIVE_BELOW                                                                             \
    268435456.0            /* 2^28: smaller times are relative to now. spec: RFC8428#4.5.3 */
#define SECONDS_LIMIT 1e12 /* far beyond any clock, and still exact in ms as int64 */

/* A name without the device's alternate path, brought to one leading and no trailing slash. */
static dr_err_t name_to_path(const struct lwm2m_dec *dec, struct lwm2m_str name,
                             struct lwm2m_path *ret)
{
    char text[LWM2M_SENML_NAME_MAX + 1];
    struct lwm2m_str prefix = dec->opts->prefix;

    if (prefix.len > 0 && name.len >= prefix.len && memcmp(name.ptr, prefix.ptr, prefix.len) == 0 &&
        (name.len == prefix.len || name.ptr[prefix.len] == '/')) {
        name = lwm2m_str_sub(name, prefix.len, name.len);
    }
    if (name.len > 1 && name.ptr[name.len - 1] == '/') {
        name.len--;
    }
    if (name.len > 0 && name.ptr[0] == '/') {
        return lwm2m_path_parse(name.ptr, name.len, ret);
    }
    if (name.len >= LWM2M_SENML_NAME_MAX) {
        return DR_ERR_PROTO;
    }
    text[0] = '/';
    if (name.len > 0) {
        memcpy(text + 1, name.ptr, name.len);
    }
    return lwm2m_path_parse(text, name.len + 1, ret);
}

/* bn + n, and for old JSON the path of the request where bn is missing. */
static dr_err_t record_path(struct lwm2m_dec *dec, const struct lwm2m_senml_state *state,
                            struct lwm2m_str n, struct lwm2m_path *ret)
{
    char text[2 * LWM2M_SENML_NAME_MAX + 2];
    size_t len = 0;

    if (state->slash_join && state->bn_len == 0) {
        len = lwm2m_path_format(&dec->opts->base, text);
        len = dec->opts->base.depth == 0 ? 0 : len;
    } else {
        memcpy(text, state->bn, state->bn_len);
        len = state->bn_len;
    }
    if (n.len > LWM2M_SENML_NAME_MAX) {
        return DR_ERR_PROTO;
    }
    if (state->slash_join && n.len > 0 && n.ptr[0] != '/' && (len == 0 || text[len - 1] != '/')) {
        text[len++] = '/';
    }
    if (n.len > 0) {
        memcpy(text + len, n.ptr, n.len);
    }
    return name_to_path(dec, (struct lwm2m_str){.ptr = text, .len = len + n.len}, ret);
}

static dr_err_t record_time(const struct lwm2m_dec *dec, double seconds, struct lwm2m_node *node)
{
    if (!(fabs(seconds) < SECONDS_LIMIT)) {
        return DR_ERR_PROTO;
    }
    if (fabs(seconds) < 0.0005) {
        return DR_OK; /* now */
    }
    int64_t ms = (int64_t)llround(seconds * 1000.0);
    int64_t now_ms = dec->opts->now_ms;
    node->timed = true;
    if (seconds >= RELATIVE_BELOW) {
        node->time_ms = ms;
    } else if (now_ms > INT64_MAX / 2 || now_ms < INT64_MIN / 2) {
        return DR_ERR_INVAL;
    } else {
        node->time_ms = now_ms + ms;
    }
    return DR_OK;
}

/* v = bv + v; bv alone stands for a value too. */
static struct lwm2m_value record_value(const struct lwm2m_senml_state *state,
                                       const struct lwm2m_senml_record *record)
{
    struct lwm2m_value value = record->has_value ? record->value : lwm2m_value_none();
    struct lwm2m_value f;

    if (!state->has_bv) {
        return value;
    }
    if (!record->has_value) {
        return lwm2m_value_float(state->bv);
    }
    if (lwm2m_value_coerce(&value, LWM2M_TYPE_FLOAT, &f) == DR_OK) {
        return lwm2m_value_float(f.f + state->bv);
    }
    return value;
}

dr_err_t lwm2m_senml_take(struct lwm2m_dec *dec, struct lwm2m_senml_state *state,
                          const struct lwm2m_senml_record *record)
{
    dr_assert(dec != NULL && state != NULL && record != NULL);

    struct lwm2m_node node = {.timed = false};

    if (record->has_bn) {
        if (record->bn.len > LWM2M_SENML_NAME_MAX) {
            return DR_ERR_PROTO;
        }
        if (record->bn.len > 0) {
            memcpy(state->bn, record->bn.ptr, record->bn.len);
        }
        state->bn_len = record->bn.len;
    }
    state->bt = record->has_bt ? record->bt : state->bt;
    state->bv = record->has_bv ? record->bv : state->bv;
    state->has_bv = state->has_bv || record->has_bv;
    if (!record->has_n && !record->has_value && record->has_bn == false) {
        return DR_OK; /* base fields only, or nothing we know */
    }
    dr_err_t err = record_path(dec, state, record->has_n ? record->n : (struct lwm2m_str){.len = 0},
                               &node.path);
    if (err != DR_OK) {
        return DR_ERR_PROTO;
    }
    err = record_time(dec, state->bt + (record->has_t ? record->t : 0), &node);
    if (err != DR_OK) {
        return err;
    }
    node.value = record_value(state, record);
    return lwm2m_dec_emit(dec, &node);
}

/* ---- writing ---- */

dr_err_t lwm2m_senml_names_choose(const struct lwm2m_path *base, const struct lwm2m_node *nodes,
                                  size_t count, struct lwm2m_senml_names *ret)
{
    dr_assert(base != NULL && ret != NULL && (nodes != NULL || count == 0));

    struct lwm2m_senml_names names = {.depth = base->depth, .slash = base->depth > 0};

    for (size_t i = 0; i < count; i++) {
        if (!lwm2m_path_has_prefix(&nodes[i].path, base)) {
            return DR_ERR_INVAL;
        }
        if (nodes[i].path.depth == base->depth) {
            names.slash = false;
        }
    }
    if (base->depth > 0) {
        names.bn_len = lwm2m_path_format(base, names.bn);
    }
    if (names.slash) {
        names.bn[names.bn_len++] = '/';
    }
    *ret = names;
    return DR_OK;
}

bool lwm2m_senml_name(const struct lwm2m_senml_names *names, const struct lwm2m_node *node,
                      bool has_bn, char out[LWM2M_PATH_STR_MAX], size_t *ret_len)
{
    struct lwm2m_path rest = {.depth = 0};

    for (unsigned level = names->depth; level < node->path.depth; level++) {
        rest.id[rest.depth++] = node->path.id[level];
    }
    if (rest.depth == 0 && names->depth > 0) {
        *ret_len = 0;
        return !has_bn && node->value.type == LWM2M_TYPE_NONE;
    }
    *ret_len = lwm2m_path_format(&rest, out);
    if (names->slash) {
        memmove(out, out + 1, *ret_len);
        (*ret_len)--;
    }
    return true;
}
