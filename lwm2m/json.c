/* SPDX-License-Identifier: Apache-2.0 */
/*
 * application/vnd.oma.lwm2m+json of LwM2M 1.0, read only; also seen as a bare array of its entries.
 * Example: {"bn":"/3/0/","bt":1700000000,"e":[{"n":"0","sv":"ACME"},{"n":"9","v":87,"t":-5}]}
 */
#include "lwm2m/json_priv.h"

#include <string.h>

#include "lwm2m/codec_priv.h"
#include "lwm2m/senml_priv.h"
#include "lwm2m/util_priv.h"

/* ---- fields ---- */

dr_err_t lwm2m_json_load(const uint8_t *in, size_t len, json_t **ret)
{
    const size_t flags = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL;

    if (len > LWM2M_JSON_BYTES_MAX) {
        return DR_ERR_TOO_LARGE;
    }
    json_t *root = json_loadb((const char *)in, len, flags, NULL);
    if (root == NULL) {
        /* jansson has no integers beyond 63 bits: then take them all as floats */
        root = json_loadb((const char *)in, len, flags | JSON_DECODE_INT_AS_REAL, NULL);
    }
    if (root == NULL) {
        return DR_ERR_PROTO;
    }
    *ret = root;
    return DR_OK;
}

dr_err_t lwm2m_json_number(const json_t *field, struct lwm2m_value *ret)
{
    if (json_is_integer(field)) {
        *ret = lwm2m_value_int(json_integer_value(field));
        return DR_OK;
    }
    if (json_is_real(field)) {
        *ret = lwm2m_value_float(json_real_value(field));
        return DR_OK;
    }
    return DR_ERR_PROTO;
}

dr_err_t lwm2m_json_seconds(const json_t *field, bool *has, double *ret)
{
    if (*has || !json_is_number(field)) {
        return DR_ERR_PROTO;
    }
    *has = true;
    *ret = json_number_value(field);
    return DR_OK;
}

dr_err_t lwm2m_json_name(const json_t *field, bool *has, struct lwm2m_str *ret)
{
    if (*has || !json_is_string(field)) {
        return DR_ERR_PROTO;
    }
    *has = true;
    *ret = (struct lwm2m_str){.ptr = json_string_value(field), .len = json_string_length(field)};
    return DR_OK;
}

dr_err_t lwm2m_json_base64(const json_t *field, struct dr_dynbuf *scratch, struct lwm2m_value *ret)
{
    size_t text_len = json_string_length(field), len = 0;

    if (!json_is_string(field)) {
        return DR_ERR_PROTO;
    }
    dr_dynbuf_reset(scratch);
    uint8_t *to = dr_dynbuf_reserve(scratch, text_len);
    if (dr_dynbuf_err(scratch) != DR_OK) {
        return dr_dynbuf_err(scratch);
    }
    if (text_len > 0) {
        dr_err_t err = lwm2m_base64_any(json_string_value(field), text_len, to, &len);
        if (err != DR_OK) {
            return err;
        }
    }
    *ret = lwm2m_value_opaque(to, len);
    return DR_OK;
}

/* ---- entries ---- */

/* `sv` holds base64 when the resource is opaque. */
static dr_err_t sv_take(struct lwm2m_dec *dec, const struct lwm2m_path *path, const json_t *field,
                        struct dr_dynbuf *scratch, struct lwm2m_value *ret)
{
    const struct lwm2m_res_def *res = lwm2m_dec_res(dec, path);

    if (!json_is_string(field)) {
        return DR_ERR_PROTO;
    }
    if (res != NULL && res->type == LWM2M_TYPE_OPAQUE &&
        lwm2m_json_base64(field, scratch, ret) == DR_OK) {
        return DR_OK;
    }
    *ret = lwm2m_value_str(json_string_value(field), json_string_length(field));
    return DR_OK;
}

/* State of the entry that is being read: sv needs the path, so the record is taken in two steps. */
struct entry_sink {
    struct lwm2m_dec *dec;
    const json_t *sv;
    struct dr_dynbuf *scratch;
};

static dr_err_t entry_emit(void *arg, const struct lwm2m_node *node)
{
    struct entry_sink *sink = arg;
    struct lwm2m_node full = *node;

    if (sink->sv != NULL) {
        dr_err_t err = sv_take(sink->dec, &node->path, sink->sv, sink->scratch, &full.value);
        if (err != DR_OK) {
            return err;
        }
    }
    return lwm2m_dec_emit(sink->dec, &full);
}

static dr_err_t value_take(const json_t *object, struct lwm2m_senml_record *rec,
                           const json_t **ret_sv)
{
    const json_t *v = json_object_get(object, "v"), *bv = json_object_get(object, "bv");
    const json_t *ov = json_object_get(object, "ov"), *sv = json_object_get(object, "sv");
    int values = (v != NULL) + (bv != NULL) + (ov != NULL) + (sv != NULL);

    if (values > 1) {
        return DR_ERR_PROTO;
    }
    rec->has_value = values == 1;
    *ret_sv = sv;
    if (v != NULL) {
        return lwm2m_json_number(v, &rec->value);
    }
    if (bv != NULL) {
        rec->value = lwm2m_value_bool(json_is_true(bv));
        return json_is_boolean(bv) ? DR_OK : DR_ERR_PROTO;
    }
    if (ov != NULL) {
        rec->value.type = LWM2M_TYPE_OBJLNK;
        return json_is_string(ov) ? lwm2m_objlnk_parse(json_string_value(ov),
                                                       json_string_length(ov), &rec->value.objlnk)
                                  : DR_ERR_PROTO;
    }
    return DR_OK;
}

static dr_err_t entry_take(struct lwm2m_dec *dec, struct lwm2m_senml_state *state,
                           const json_t *object, struct dr_dynbuf *scratch)
{
    struct lwm2m_senml_record rec = {.has_n = false};
    const json_t *n = json_object_get(object, "n"), *t = json_object_get(object, "t");
    struct entry_sink sink = {.dec = dec, .scratch = scratch};
    struct lwm2m_dec inner = {.opts = dec->opts, .sink = {.fn = entry_emit, .arg = &sink}};

    if (!json_is_object(object) || value_take(object, &rec, &sink.sv) != DR_OK ||
        (n != NULL && lwm2m_json_name(n, &rec.has_n, &rec.n) != DR_OK) ||
        (t != NULL && lwm2m_json_seconds(t, &rec.has_t, &rec.t) != DR_OK)) {
        return DR_ERR_PROTO;
    }
    if (!rec.has_value) {
        return DR_OK;
    }
    return lwm2m_senml_take(&inner, state, &rec);
}

static dr_err_t document_take(struct lwm2m_dec *dec, const json_t *root, struct dr_dynbuf *scratch)
{
    struct lwm2m_senml_state state = {.slash_join = true};
    const json_t *entries = root;
    struct lwm2m_str bn = {.len = 0};
    bool has_bn = false, has_bt = false;

    if (json_is_object(root)) {
        const json_t *name = json_object_get(root, "bn"), *time = json_object_get(root, "bt");
        entries = json_object_get(root, "e");
        if ((name != NULL && lwm2m_json_name(name, &has_bn, &bn) != DR_OK) ||
            (time != NULL && lwm2m_json_seconds(time, &has_bt, &state.bt) != DR_OK) ||
            bn.len > LWM2M_SENML_NAME_MAX) {
            return DR_ERR_PROTO;
        }
    }
    if (!json_is_array(entries)) {
        return DR_ERR_PROTO;
    }
    memcpy(state.bn, bn.len == 0 ? "" : bn.ptr, bn.len);
    state.bn_len = bn.len;
    for (size_t i = 0; i < json_array_size(entries); i++) {
        dr_err_t err = entry_take(dec, &state, json_array_get(entries, i), scratch);
        if (err != DR_OK) {
            return err;
        }
    }
    return DR_OK;
}

dr_err_t lwm2m_json_decode(struct lwm2m_dec *dec, const uint8_t *in, size_t len)
{
    struct dr_dynbuf scratch;
    json_t *root = NULL;

    dr_err_t err = lwm2m_json_load(in, len, &root);
    if (err != DR_OK) {
        return err;
    }
    dr_dynbuf_init(&scratch, len);
    err = document_take(dec, root, &scratch);
    dr_dynbuf_fini(&scratch);
    json_decref(root);
    return err;
}
