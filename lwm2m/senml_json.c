/* SPDX-License-Identifier: Apache-2.0 */
/*
 * application/senml+json and senml-etch+json: an array of objects.
 * Example: [{"bn":"/3/0/","n":"0","vs":"ACME"},{"n":"9","v":87}]   spec: RFC8428#5
 */
#include "lwm2m/senml_priv.h"

#include <math.h>
#include <string.h>

#include "base/text.h"
#include "lwm2m/json_priv.h"
#include "lwm2m/util_priv.h"

#define BVER_MAX 10

/* ---- decode ---- */

static dr_err_t value_take(const char *key, const json_t *field, struct dr_dynbuf *scratch,
                           struct lwm2m_value *ret)
{
    if (json_is_null(field)) {
        *ret = lwm2m_value_none();
        return DR_OK;
    }
    if (strcmp(key, "v") == 0) {
        return lwm2m_json_number(field, ret);
    }
    if (strcmp(key, "vb") == 0) {
        *ret = lwm2m_value_bool(json_is_true(field));
        return json_is_boolean(field) ? DR_OK : DR_ERR_PROTO;
    }
    if (!json_is_string(field)) {
        return DR_ERR_PROTO;
    }
    if (strcmp(key, "vd") == 0) {
        return lwm2m_json_base64(field, scratch, ret);
    }
    *ret = lwm2m_value_str(json_string_value(field), json_string_length(field));
    return strcmp(key, "vs") == 0 ? DR_OK : lwm2m_value_coerce(ret, LWM2M_TYPE_OBJLNK, ret);
}

static bool is_value_key(const char *key)
{
    return strcmp(key, "v") == 0 || strcmp(key, "vs") == 0 || strcmp(key, "vb") == 0 ||
           strcmp(key, "vd") == 0 || strcmp(key, "vlo") == 0;
}

static dr_err_t field_take(const char *key, const json_t *field, struct dr_dynbuf *scratch,
                           struct lwm2m_senml_record *rec)
{
    double bver = 0;
    bool has_bver = false;

    if (is_value_key(key)) {
        if (rec->has_value) {
            return DR_ERR_PROTO;
        }
        rec->has_value = true;
        return value_take(key, field, scratch, &rec->value) == DR_OK ? DR_OK : DR_ERR_PROTO;
    }
    if (strcmp(key, "bn") == 0) {
        return lwm2m_json_name(field, &rec->has_bn, &rec->bn);
    }
    if (strcmp(key, "n") == 0) {
        return lwm2m_json_name(field, &rec->has_n, &rec->n);
    }
    if (strcmp(key, "bt") == 0) {
        return lwm2m_json_seconds(field, &rec->has_bt, &rec->bt);
    }
    if (strcmp(key, "t") == 0) {
        return lwm2m_json_seconds(field, &rec->has_t, &rec->t);
    }
    if (strcmp(key, "bv") == 0) {
        return lwm2m_json_seconds(field, &rec->has_bv, &rec->bv);
    }
    if (strcmp(key, "bver") == 0) {
        dr_err_t err = lwm2m_json_seconds(field, &has_bver, &bver);
        return err == DR_OK && bver >= 0 && bver <= BVER_MAX ? DR_OK : DR_ERR_PROTO;
    }
    size_t len = strlen(key);
    return len > 0 && key[len - 1] == '_' ? DR_ERR_PROTO : DR_OK; /* unknown fields are skipped */
}

static dr_err_t record_take(struct lwm2m_dec *dec, struct lwm2m_senml_state *state,
                            const json_t *object, struct dr_dynbuf *scratch)
{
    struct lwm2m_senml_record rec = {.has_bn = false};
    const char *key;
    json_t *field;

    json_object_foreach((json_t *)object, key, field)
    {
        dr_err_t err = field_take(key, field, scratch, &rec);
        if (err != DR_OK) {
            return err;
        }
    }
    return lwm2m_senml_take(dec, state, &rec);
}

dr_err_t lwm2m_senml_json_decode(struct lwm2m_dec *dec, const uint8_t *in, size_t len)
{
    struct lwm2m_senml_state state = {.bn_len = 0};
    struct dr_dynbuf scratch;
    json_t *root = NULL, *record;
    size_t i;

    dr_err_t err = lwm2m_json_load(in, len, &root);
    if (err != DR_OK) {
        return err;
    }
    dr_dynbuf_init(&scratch, len);
    err = json_is_array(root) ? DR_OK : DR_ERR_PROTO;
    if (err == DR_OK) {
        json_array_foreach(root, i, record)
        {
            err =
                json_is_object(record) ? record_take(dec, &state, record, &scratch) : DR_ERR_PROTO;
            if (err != DR_OK) {
                break;
            }
        }
    }
    dr_dynbuf_fini(&scratch);
    json_decref(root);
    return err;
}

/* ---- encode ---- */

static void put_string(struct dr_wr *wr, const void *ptr, size_t len)
{
    const unsigned char *s = ptr;

    dr_wr_u8(wr, '"');
    for (size_t i = 0; i < len; i++) {
        if (s[i] == '"' || s[i] == '\\') {
            dr_wr_u8(wr, '\\');
            dr_wr_u8(wr, s[i]);
        } else if (s[i] < 0x20) {
            dr_wr_printf(wr, "\\u%04x", s[i]);
        } else {
            dr_wr_u8(wr, s[i]);
        }
    }
    dr_wr_u8(wr, '"');
}

static void put_base64url(struct dr_wr *wr, struct lwm2m_bytes bytes)
{
    char group[DR_BASE64_LEN(3) + 1];

    dr_wr_u8(wr, '"');
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t n = bytes.len - i < 3 ? bytes.len - i : 3;
        dr_wr_put(wr, group, dr_base64url_encode(bytes.ptr + i, n, group));
    }
    dr_wr_u8(wr, '"');
}

static dr_err_t put_value(struct dr_wr *wr, const struct lwm2m_value *v)
{
    char link[LWM2M_OBJLNK_STR_MAX];

    switch (v->type) {
    case LWM2M_TYPE_STRING:
    case LWM2M_TYPE_CORELNK:
        if (!dr_utf8_valid(v->bytes.ptr, v->bytes.len)) {
            return DR_ERR_INVAL;
        }
        dr_wr_put_str(wr, "\"vs\":");
        put_string(wr, v->bytes.ptr, v->bytes.len);
        break;
    case LWM2M_TYPE_OPAQUE:
        dr_wr_put_str(wr, "\"vd\":");
        put_base64url(wr, v->bytes);
        break;
    case LWM2M_TYPE_BOOL:
        dr_wr_put_str(wr, v->b ? "\"vb\":true" : "\"vb\":false");
        break;
    case LWM2M_TYPE_OBJLNK:
        dr_wr_put_str(wr, "\"vlo\":\"");
        dr_wr_put(wr, link, lwm2m_objlnk_format(v->objlnk, link));
        dr_wr_u8(wr, '"');
        break;
    case LWM2M_TYPE_INT:
    case LWM2M_TYPE_UINT:
    case LWM2M_TYPE_FLOAT:
    case LWM2M_TYPE_TIME:
        dr_wr_put_str(wr, "\"v\":");
        return lwm2m_value_to_text(v, wr);
    case LWM2M_TYPE_NONE:
        break;
    }
    return dr_wr_err(wr);
}

static void put_time(struct dr_wr *wr, int64_t ms)
{
    if (ms % 1000 == 0) {
        dr_wr_printf(wr, "\"t\":%lld", (long long)(ms / 1000));
    } else {
        dr_wr_printf(wr, "\"t\":%.3f", (double)ms / 1000.0);
    }
}

static dr_err_t put_record(struct dr_wr *wr, const struct lwm2m_senml_names *names, bool first,
                           const struct lwm2m_node *node)
{
    char n[LWM2M_PATH_STR_MAX];
    size_t n_len = 0;
    bool has_bn = first && names->bn_len > 0;
    bool has_n = lwm2m_senml_name(names, node, has_bn, n, &n_len);
    const char *comma = "";

    dr_wr_put_str(wr, first ? "{" : ",{");
    if (has_bn) {
        dr_wr_put_str(wr, "\"bn\":");
        put_string(wr, names->bn, names->bn_len);
        comma = ",";
    }
    if (has_n) {
        dr_wr_put_str(wr, comma);
        dr_wr_put_str(wr, "\"n\":");
        put_string(wr, n, n_len);
        comma = ",";
    }
    if (node->timed) {
        dr_wr_put_str(wr, comma);
        put_time(wr, node->time_ms);
        comma = ",";
    }
    if (node->value.type != LWM2M_TYPE_NONE) {
        dr_wr_put_str(wr, comma);
        dr_err_t err = put_value(wr, &node->value);
        if (err != DR_OK) {
            return err;
        }
    }
    dr_wr_u8(wr, '}');
    return dr_wr_err(wr);
}

dr_err_t lwm2m_senml_json_encode(const struct lwm2m_path *base, const struct lwm2m_node *nodes,
                                 size_t count, struct dr_wr *wr)
{
    struct lwm2m_senml_names names;

    dr_err_t err = lwm2m_senml_names_choose(base, nodes, count, &names);
    if (err != DR_OK) {
        return err;
    }
    dr_wr_u8(wr, '[');
    for (size_t i = 0; err == DR_OK && i < count; i++) {
        err = put_record(wr, &names, i == 0, &nodes[i]);
    }
    dr_wr_u8(wr, ']');
    return err != DR_OK ? err : dr_wr_err(wr);
}
