/* SPDX-License-Identifier: Apache-2.0 */
/*
 * application/senml+cbor and senml-etch+cbor: an array of maps with small labels.
 *
 *   bver -1  bn -2  bt -3  bu -4  bv -5  bs -6  n 0  u 1  v 2  vs 3  vb 4  s 5  t 6  ut 7  vd 8
 * "vlo"
 *
 * Example, /3/0/9 = 87: 81 A3 21 65 "/3/0/" 00 61 39 02 18 57.   spec: RFC8428#6
 */
#include "lwm2m/senml_priv.h"

#include <string.h>

#include "base/cbor.h"
#include "base/text.h"
#include "lwm2m/util_priv.h"

enum label {
    L_BVER = -1,
    L_BN = -2,
    L_BT = -3,
    L_BU = -4,
    L_BV = -5,
    L_BS = -6,
    L_N = 0,
    L_U = 1,
    L_V = 2,
    L_VS = 3,
    L_VB = 4,
    L_S = 5,
    L_T = 6,
    L_UT = 7,
    L_VD = 8,
    L_VLO = 100, /* stands for the text key "vlo" */
    L_OTHER = 101,
    L_REFUSE = 102, /* a text key that ends in `_` must be understood */
};

#define BVER_MAX 10

/* One decoding; each string a record can hold has its own scratch, for strings in pieces. */
struct reader {
    struct dr_cbor cbor;
    struct lwm2m_dec *dec;
    struct lwm2m_senml_state state;
    struct dr_dynbuf bn, n, value;
};

/* ---- decode ---- */

static dr_err_t label_read(const struct dr_cbor_item *item, int *ret)
{
    if (item->type == DR_CBOR_UINT) {
        *ret = item->u <= L_VD ? (int)item->u : L_OTHER;
        return DR_OK;
    }
    if (item->type == DR_CBOR_NINT) {
        *ret = item->u <= 5 ? -1 - (int)item->u : L_OTHER;
        return DR_OK;
    }
    if (item->type != DR_CBOR_TEXT || item->indefinite) {
        return DR_ERR_PROTO;
    }
    if (dr_bytes_eq_str(item->s, "vlo")) {
        *ret = L_VLO;
    } else {
        *ret = item->s.len > 0 && item->s.p[item->s.len - 1] == '_' ? L_REFUSE : L_OTHER;
    }
    return DR_OK;
}

static dr_err_t number_field(const struct lwm2m_value *value, bool *has, double *ret)
{
    struct lwm2m_value f;

    if (*has || lwm2m_value_coerce(value, LWM2M_TYPE_FLOAT, &f) != DR_OK) {
        return DR_ERR_PROTO;
    }
    *has = true;
    *ret = f.f;
    return DR_OK;
}

static dr_err_t name_field(const struct lwm2m_value *value, bool *has, struct lwm2m_str *ret)
{
    if (*has || value->type != LWM2M_TYPE_STRING) {
        return DR_ERR_PROTO;
    }
    *has = true;
    *ret = (struct lwm2m_str){.ptr = (const char *)value->bytes.ptr, .len = value->bytes.len};
    return DR_OK;
}

/* v, vs, vb, vd, vlo; null in any of them is "no value" of ETCH. */
static dr_err_t value_field(int label, struct lwm2m_value value, struct lwm2m_senml_record *rec)
{
    bool ok = value.type == LWM2M_TYPE_NONE;

    if (rec->has_value) {
        return DR_ERR_PROTO;
    }
    switch (label) {
    case L_V:
        ok = ok || value.type == LWM2M_TYPE_INT || value.type == LWM2M_TYPE_UINT ||
             value.type == LWM2M_TYPE_FLOAT || value.type == LWM2M_TYPE_TIME;
        break;
    case L_VS:
        ok = ok || value.type == LWM2M_TYPE_STRING;
        break;
    case L_VB:
        ok = ok || value.type == LWM2M_TYPE_BOOL;
        break;
    case L_VD:
        ok = ok || value.type == LWM2M_TYPE_OPAQUE;
        break;
    default: /* L_VLO */
        ok = ok || lwm2m_value_coerce(&value, LWM2M_TYPE_OBJLNK, &value) == DR_OK;
        break;
    }
    rec->has_value = true;
    rec->value = value;
    return ok ? DR_OK : DR_ERR_PROTO;
}

static dr_err_t field_take(int label, const struct lwm2m_value *value,
                           struct lwm2m_senml_record *rec)
{
    switch (label) {
    case L_BVER:
        return value->type == LWM2M_TYPE_INT && value->i >= 0 && value->i <= BVER_MAX
                   ? DR_OK
                   : DR_ERR_PROTO;
    case L_BN:
        return name_field(value, &rec->has_bn, &rec->bn);
    case L_N:
        return name_field(value, &rec->has_n, &rec->n);
    case L_BT:
        return number_field(value, &rec->has_bt, &rec->bt);
    case L_T:
        return number_field(value, &rec->has_t, &rec->t);
    case L_BV:
        return number_field(value, &rec->has_bv, &rec->bv);
    default:
        return value_field(label, *value, rec);
    }
}

static dr_err_t field_read(struct reader *r, const struct dr_cbor_item *key,
                           struct lwm2m_senml_record *rec)
{
    int label = L_OTHER;
    struct dr_cbor_item item;
    struct lwm2m_value value;
    dr_err_t err = label_read(key, &label);

    if (err != DR_OK || label == L_REFUSE) {
        return DR_ERR_PROTO;
    }
    if (label == L_OTHER || label == L_BU || label == L_BS || label == L_U || label == L_S ||
        label == L_UT) {
        return dr_cbor_skip(&r->cbor);
    }
    struct dr_dynbuf *scratch = label == L_BN ? &r->bn : label == L_N ? &r->n : &r->value;
    err = dr_cbor_next(&r->cbor, &item);
    err = err != DR_OK ? err : lwm2m_cbor_value(&r->cbor, &item, scratch, &value);
    return err != DR_OK ? err : field_take(label, &value, rec);
}

static dr_err_t record_read(struct reader *r)
{
    struct lwm2m_senml_record rec = {.has_bn = false};

    for (;;) {
        struct dr_cbor_item key;
        dr_err_t err = dr_cbor_next(&r->cbor, &key);
        if (err != DR_OK) {
            return err;
        }
        if (key.type == DR_CBOR_END) {
            break;
        }
        err = field_read(r, &key, &rec);
        if (err != DR_OK) {
            return err;
        }
    }
    return lwm2m_senml_take(r->dec, &r->state, &rec);
}

static dr_err_t pack_read(struct reader *r, size_t len)
{
    struct dr_cbor_item item;
    dr_err_t err = dr_cbor_next(&r->cbor, &item);

    if (err == DR_OK && item.type != DR_CBOR_ARRAY) {
        err = DR_ERR_PROTO;
    }
    while (err == DR_OK) {
        err = dr_cbor_next(&r->cbor, &item);
        if (err != DR_OK || item.type == DR_CBOR_END) {
            break;
        }
        err = item.type == DR_CBOR_MAP ? record_read(r) : DR_ERR_PROTO;
    }
    if (err == DR_OK && dr_cbor_pos(&r->cbor) != len) {
        err = DR_ERR_PROTO;
    }
    return err == DR_ERR_RANGE ? DR_ERR_PROTO : err;
}

dr_err_t lwm2m_senml_cbor_decode(struct lwm2m_dec *dec, const uint8_t *in, size_t len)
{
    struct reader r = {.dec = dec};

    dr_cbor_init(&r.cbor, in, len, 0);
    dr_dynbuf_init(&r.bn, LWM2M_SENML_NAME_MAX);
    dr_dynbuf_init(&r.n, LWM2M_SENML_NAME_MAX);
    dr_dynbuf_init(&r.value, len);
    dr_err_t err = pack_read(&r, len);
    dr_dynbuf_fini(&r.bn);
    dr_dynbuf_fini(&r.n);
    dr_dynbuf_fini(&r.value);
    return err;
}

/* ---- encode ---- */

static void put_label(struct dr_wr *wr, int label)
{
    if (label == L_VLO) {
        dr_cbor_put_str(wr, "vlo");
    } else {
        dr_cbor_put_int(wr, label);
    }
}

static int value_label(enum lwm2m_type type)
{
    switch (type) {
    case LWM2M_TYPE_STRING:
    case LWM2M_TYPE_CORELNK:
        return L_VS;
    case LWM2M_TYPE_BOOL:
        return L_VB;
    case LWM2M_TYPE_OPAQUE:
        return L_VD;
    case LWM2M_TYPE_OBJLNK:
        return L_VLO;
    case LWM2M_TYPE_INT:
    case LWM2M_TYPE_UINT:
    case LWM2M_TYPE_FLOAT:
    case LWM2M_TYPE_TIME:
    case LWM2M_TYPE_NONE:
        break;
    }
    return L_V;
}

static void put_time(struct dr_wr *wr, int64_t ms)
{
    put_label(wr, L_T);
    if (ms % 1000 == 0) {
        dr_cbor_put_int(wr, ms / 1000);
    } else {
        dr_cbor_put_double(wr, (double)ms / 1000.0);
    }
}

static dr_err_t record_put(struct dr_wr *wr, const struct lwm2m_senml_names *names, bool first,
                           const struct lwm2m_node *node)
{
    char n[LWM2M_PATH_STR_MAX];
    size_t n_len = 0;
    bool has_bn = first && names->bn_len > 0, has_value = node->value.type != LWM2M_TYPE_NONE;
    bool has_n = lwm2m_senml_name(names, node, has_bn, n, &n_len);

    dr_cbor_put_map(wr, (has_bn ? 1U : 0U) + (has_n ? 1U : 0U) + (node->timed ? 1U : 0U) +
                            (has_value ? 1U : 0U));
    if (has_bn) {
        put_label(wr, L_BN);
        dr_cbor_put_text(wr, names->bn, names->bn_len);
    }
    if (has_n) {
        put_label(wr, L_N);
        dr_cbor_put_text(wr, n, n_len);
    }
    if (node->timed) {
        put_time(wr, node->time_ms);
    }
    if (!has_value) {
        return dr_wr_err(wr);
    }
    put_label(wr, value_label(node->value.type));
    return lwm2m_cbor_put_value(wr, &node->value);
}

dr_err_t lwm2m_senml_cbor_encode(const struct lwm2m_path *base, const struct lwm2m_node *nodes,
                                 size_t count, struct dr_wr *wr)
{
    struct lwm2m_senml_names names;

    dr_err_t err = lwm2m_senml_names_choose(base, nodes, count, &names);
    if (err == DR_OK) {
        dr_cbor_put_array(wr, count);
    }
    for (size_t i = 0; err == DR_OK && i < count; i++) {
        err = record_put(wr, &names, i == 0, &nodes[i]);
    }
    return err != DR_OK ? err : dr_wr_err(wr);
}
