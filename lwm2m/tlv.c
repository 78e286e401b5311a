/* SPDX-License-Identifier: Apache-2.0 */
/*
 * application/vnd.oma.lwm2m+tlv. An item is: type byte, id (1 or 2 bytes), length (0 to 3 bytes),
 * value.
 *
 *   type byte: 7-6 kind (0 instance, 1 resource instance, 2 multiple resource, 3 resource)
 *              5   id has two bytes
 *              4-3 bytes of length; 0 = the length is in bits 2-0
 *
 * Example, /3/0/9 = 87: C1 09 57.  /3 with it: 08 00 03 C1 09 57.   spec: LWM2M-1.2-CORE#7.4.5
 */
#include "lwm2m/codec_priv.h"

#include <math.h>
#include <string.h>

#include "base/text.h"
#include "lwm2m/util_priv.h"

enum kind { KIND_INSTANCE, KIND_RES_INSTANCE, KIND_MULTIPLE, KIND_RESOURCE };

#define VALUE_MAX 0xffffffU /* three bytes of length */

struct item {
    enum kind kind;
    uint16_t id;
    struct dr_rd value;
};

/* ---- decode ---- */

static dr_err_t item_read(struct dr_rd *rd, struct item *ret)
{
    uint8_t type = dr_rd_u8(rd);
    uint16_t id = (type & 0x20) != 0 ? dr_rd_u16(rd) : dr_rd_u8(rd);
    size_t len_len = type >> 3 & 3;
    size_t len = len_len == 0 ? type & 7U : (size_t)dr_rd_be(rd, len_len);

    *ret = (struct item){.kind = (enum kind)(type >> 6), .id = id, .value = dr_rd_sub(rd, len)};
    return !dr_rd_ok(rd) || id == LWM2M_ID_RESERVED ? DR_ERR_PROTO : DR_OK;
}

static int64_t sign_extend(uint64_t v, size_t len)
{
    unsigned unused = (unsigned)(64 - 8 * len);

    return (int64_t)(v << unused) >> unused;
}

static double float_from_bits(uint64_t bits, size_t len)
{
    if (len == 4) {
        uint32_t b = (uint32_t)bits;
        float f;
        memcpy(&f, &b, sizeof(f));
        return (double)f;
    }
    double d;
    memcpy(&d, &bits, sizeof(d));
    return d;
}

static dr_err_t number_read(enum lwm2m_type type, struct dr_rd rd, struct lwm2m_value *ret)
{
    size_t len = dr_rd_left(&rd);
    bool float_len = len == 4 || len == 8, int_len = float_len || len == 1 || len == 2;

    if (type == LWM2M_TYPE_FLOAT ? !float_len : !int_len) {
        return DR_ERR_PROTO;
    }
    uint64_t bits = dr_rd_be(&rd, len);
    if (type == LWM2M_TYPE_FLOAT) {
        *ret = lwm2m_value_float(float_from_bits(bits, len));
    } else if (type == LWM2M_TYPE_UINT) {
        *ret = lwm2m_value_uint(bits);
    } else {
        *ret = (struct lwm2m_value){.type = type, .i = sign_extend(bits, len)};
    }
    return DR_OK;
}

/* Bytes of a resource of a known type; unknown ones stay bytes. */
static dr_err_t value_read(enum lwm2m_type type, struct dr_rd rd, struct lwm2m_value *ret)
{
    struct dr_bytes bytes = {.p = rd.p, .len = dr_rd_left(&rd)};

    switch (type) {
    case LWM2M_TYPE_INT:
    case LWM2M_TYPE_TIME:
    case LWM2M_TYPE_UINT:
    case LWM2M_TYPE_FLOAT:
        return number_read(type, rd, ret);
    case LWM2M_TYPE_BOOL:
        if (bytes.len != 1 || bytes.p[0] > 1) {
            return DR_ERR_PROTO;
        }
        *ret = lwm2m_value_bool(bytes.p[0] == 1);
        return DR_OK;
    case LWM2M_TYPE_OBJLNK:
        if (bytes.len != 4) {
            return DR_ERR_PROTO;
        }
        ret->objlnk.obj = dr_rd_u16(&rd);
        ret->objlnk.inst = dr_rd_u16(&rd);
        ret->type = type;
        return DR_OK;
    case LWM2M_TYPE_STRING:
    case LWM2M_TYPE_CORELNK:
        /* bytes that are no text stay bytes */
        *ret = lwm2m_value_opaque(bytes.p, bytes.len);
        ret->type = dr_utf8_valid(bytes.p, bytes.len) ? type : LWM2M_TYPE_OPAQUE;
        return DR_OK;
    case LWM2M_TYPE_OPAQUE:
    case LWM2M_TYPE_NONE:
        break;
    }
    *ret = lwm2m_value_opaque(bytes.p, bytes.len);
    return DR_OK;
}

/* A leaf; what lies outside of the request's path is skipped. */
static dr_err_t leaf_take(struct lwm2m_dec *dec, const struct lwm2m_path *path, struct dr_rd rd)
{
    const struct lwm2m_res_def *res = lwm2m_dec_res(dec, path);
    enum lwm2m_type type = res == NULL ? LWM2M_TYPE_OPAQUE : (enum lwm2m_type)res->type;
    struct lwm2m_value value;

    if (!lwm2m_path_has_prefix(path, &dec->opts->base)) {
        return DR_OK;
    }
    dr_err_t err = value_read(type, rd, &value);
    return err != DR_OK ? err : lwm2m_dec_emit_value(dec, path, &value);
}

/* Resource instances of @p path. */
static dr_err_t multiple_read(struct lwm2m_dec *dec, const struct lwm2m_path *path, struct dr_rd rd)
{
    while (dr_rd_left(&rd) > 0) {
        struct item item;
        struct lwm2m_path child;
        dr_err_t err = item_read(&rd, &item);
        if (err == DR_OK && item.kind != KIND_RES_INSTANCE) {
            err = DR_ERR_PROTO;
        }
        err = err != DR_OK ? err : lwm2m_path_child(path, item.id, &child);
        err = err != DR_OK ? err : leaf_take(dec, &child, item.value);
        if (err != DR_OK) {
            return err;
        }
    }
    return DR_OK;
}

/* A resource, single or multiple, of the instance @p parent. */
static dr_err_t resource_read(struct lwm2m_dec *dec, const struct lwm2m_path *parent,
                              const struct item *item)
{
    struct lwm2m_path path;

    if (item->kind != KIND_RESOURCE && item->kind != KIND_MULTIPLE) {
        return DR_ERR_PROTO;
    }
    dr_err_t err = lwm2m_path_child(parent, item->id, &path);
    if (err != DR_OK) {
        return err;
    }
    return item->kind == KIND_RESOURCE ? leaf_take(dec, &path, item->value)
                                       : multiple_read(dec, &path, item->value);
}

static dr_err_t instance_read(struct lwm2m_dec *dec, const struct lwm2m_path *path, struct dr_rd rd)
{
    while (dr_rd_left(&rd) > 0) {
        struct item item;
        dr_err_t err = item_read(&rd, &item);
        err = err != DR_OK ? err : resource_read(dec, path, &item);
        if (err != DR_OK) {
            return err;
        }
    }
    return DR_OK;
}

/* An item without anything around it: its place follows from its kind and from what was asked. */
static dr_err_t top_take(struct lwm2m_dec *dec, const struct item *item)
{
    const struct lwm2m_path *base = &dec->opts->base;
    struct lwm2m_path path = lwm2m_path_cut(base, LWM2M_LEVEL_OBJECT);

    if (item->kind == KIND_INSTANCE) {
        dr_err_t err = lwm2m_path_child(&path, item->id, &path);
        return err != DR_OK ? err : instance_read(dec, &path, item->value);
    }
    if (item->kind == KIND_RES_INSTANCE) {
        path = lwm2m_path_cut(base, LWM2M_LEVEL_RESOURCE);
        if (path.depth < LWM2M_LEVEL_RESOURCE) {
            return DR_ERR_PROTO;
        }
        dr_err_t err = lwm2m_path_child(&path, item->id, &path);
        return err != DR_OK ? err : leaf_take(dec, &path, item->value);
    }
    /* a single-instance object may leave the wrapper of its instance 0 out */
    uint16_t instance = base->depth >= LWM2M_LEVEL_INSTANCE ? base->id[1] : 0;
    dr_err_t err = lwm2m_path_child(&path, instance, &path);
    return err != DR_OK ? err : resource_read(dec, &path, item);
}

dr_err_t lwm2m_tlv_decode(struct lwm2m_dec *dec, const uint8_t *in, size_t len)
{
    struct dr_rd rd = dr_rd_of(in, len);

    if (dec->opts->base.depth == 0) {
        return DR_ERR_UNSUPPORTED;
    }
    while (dr_rd_left(&rd) > 0) {
        struct item item;
        dr_err_t err = item_read(&rd, &item);
        err = err != DR_OK ? err : top_take(dec, &item);
        if (err != DR_OK) {
            return err;
        }
    }
    return DR_OK;
}

/* ---- encode ---- */

static size_t int_len(int64_t i)
{
    if (i >= INT8_MIN && i <= INT8_MAX) {
        return 1;
    }
    if (i >= INT16_MIN && i <= INT16_MAX) {
        return 2;
    }
    return i >= INT32_MIN && i <= INT32_MAX ? 4 : 8;
}

static size_t uint_len(uint64_t u)
{
    if (u <= UINT8_MAX) {
        return 1;
    }
    if (u <= UINT16_MAX) {
        return 2;
    }
    return u <= UINT32_MAX ? 4 : 8;
}

/* Does the number survive four bytes? */
static bool is_float32(double d)
{
    if (isnan(d) || isinf(d)) {
        return true;
    }
    if (fabs(d) > 3.4028234663852886e38) {
        return false;
    }
    double back = (double)(float)d;
    return memcmp(&back, &d, sizeof(d)) == 0;
}

static size_t value_len(const struct lwm2m_value *v)
{
    switch (v->type) {
    case LWM2M_TYPE_STRING:
    case LWM2M_TYPE_OPAQUE:
    case LWM2M_TYPE_CORELNK:
        return v->bytes.len;
    case LWM2M_TYPE_INT:
    case LWM2M_TYPE_TIME:
        return int_len(v->i);
    case LWM2M_TYPE_UINT:
        return uint_len(v->u);
    case LWM2M_TYPE_FLOAT:
        return is_float32(v->f) ? 4 : 8;
    case LWM2M_TYPE_BOOL:
        return 1;
    case LWM2M_TYPE_OBJLNK:
        return 4;
    case LWM2M_TYPE_NONE:
        break;
    }
    return 0;
}

static void value_put(struct dr_wr *wr, const struct lwm2m_value *v)
{
    size_t len = value_len(v);
    uint64_t bits = 0;

    switch (v->type) {
    case LWM2M_TYPE_STRING:
    case LWM2M_TYPE_OPAQUE:
    case LWM2M_TYPE_CORELNK:
        dr_wr_put(wr, v->bytes.ptr, len);
        break;
    case LWM2M_TYPE_INT:
    case LWM2M_TYPE_TIME:
        dr_wr_be(wr, (uint64_t)v->i, len);
        break;
    case LWM2M_TYPE_UINT:
        dr_wr_be(wr, v->u, len);
        break;
    case LWM2M_TYPE_FLOAT:
        if (len == 4) {
            float f = (float)v->f;
            uint32_t b;
            memcpy(&b, &f, sizeof(b));
            bits = b;
        } else {
            memcpy(&bits, &v->f, sizeof(bits));
        }
        dr_wr_be(wr, bits, len);
        break;
    case LWM2M_TYPE_BOOL:
        dr_wr_u8(wr, v->b ? 1 : 0);
        break;
    case LWM2M_TYPE_OBJLNK:
        dr_wr_u16(wr, v->objlnk.obj);
        dr_wr_u16(wr, v->objlnk.inst);
        break;
    case LWM2M_TYPE_NONE:
        break;
    }
}

static size_t head_len(uint16_t id, size_t len)
{
    size_t n = 1 + (id > UINT8_MAX ? 2U : 1U);

    if (len < 8) {
        return n;
    }
    return n + (len <= UINT8_MAX ? 1U : len <= UINT16_MAX ? 2U : 3U);
}

static void head_put(struct dr_wr *wr, enum kind kind, uint16_t id, size_t len)
{
    size_t id_len = id > UINT8_MAX ? 2 : 1, len_len = head_len(id, len) - 1 - id_len;
    uint8_t type = (uint8_t)((unsigned)kind << 6 | (id_len - 1) << 5 | len_len << 3);

    dr_wr_u8(wr, len_len == 0 ? (uint8_t)(type | len) : type);
    dr_wr_be(wr, id, id_len);
    if (len_len > 0) {
        dr_wr_be(wr, len, len_len);
    }
}

/* Nodes behind @p from that share its first @p depth ids. */
static size_t group_end(const struct lwm2m_node *nodes, size_t from, size_t count, unsigned depth)
{
    struct lwm2m_path head = lwm2m_path_cut(&nodes[from].path, depth);
    size_t end = from + 1;

    while (end < count && lwm2m_path_has_prefix(&nodes[end].path, &head)) {
        end++;
    }
    return end;
}

static enum kind group_kind(const struct lwm2m_node *node, unsigned depth)
{
    if (depth == LWM2M_LEVEL_INSTANCE) {
        return KIND_INSTANCE;
    }
    if (depth == LWM2M_LEVEL_RESOURCE_INSTANCE) {
        return KIND_RES_INSTANCE;
    }
    bool multiple =
        node->path.depth == LWM2M_LEVEL_RESOURCE_INSTANCE || node->value.type == LWM2M_TYPE_NONE;
    return multiple ? KIND_MULTIPLE : KIND_RESOURCE;
}

static size_t body_len(const struct lwm2m_node *nodes, size_t count, unsigned depth);

/* Bytes of one item's value: the nodes share their first @p depth ids. */
static size_t group_len(const struct lwm2m_node *nodes, size_t count, unsigned depth)
{
    if (nodes[0].path.depth == depth) {
        return value_len(&nodes[0].value);
    }
    return body_len(nodes, count, depth + 1);
}

/* Bytes of the items at @p depth that the nodes make. */
static size_t body_len(const struct lwm2m_node *nodes, size_t count, unsigned depth)
{
    size_t sum = 0;

    for (size_t i = 0, end = 0; i < count; i = end) {
        end = group_end(nodes, i, count, depth);
        size_t len = group_len(nodes + i, end - i, depth);
        sum += head_len(nodes[i].path.id[depth - 1], len) + len;
    }
    return sum;
}

static dr_err_t body_put(struct dr_wr *wr, const struct lwm2m_node *nodes, size_t count,
                         unsigned depth)
{
    for (size_t i = 0, end = 0; i < count; i = end) {
        end = group_end(nodes, i, count, depth);
        size_t len = group_len(nodes + i, end - i, depth);
        if (len > VALUE_MAX) {
            return DR_ERR_TOO_LARGE;
        }
        head_put(wr, group_kind(&nodes[i], depth), nodes[i].path.id[depth - 1], len);
        if (nodes[i].path.depth == depth) {
            value_put(wr, &nodes[i].value);
            continue;
        }
        dr_err_t err = body_put(wr, nodes + i, end - i, depth + 1);
        if (err != DR_OK) {
            return err;
        }
    }
    return dr_wr_err(wr);
}

static bool node_ok(const struct lwm2m_path *base, const struct lwm2m_node *node)
{
    if (!lwm2m_path_has_prefix(&node->path, base) || node->timed ||
        node->path.depth < LWM2M_LEVEL_INSTANCE) {
        return false;
    }
    if (node->value.type == LWM2M_TYPE_STRING &&
        !dr_utf8_valid(node->value.bytes.ptr, node->value.bytes.len)) {
        return false;
    }
    /* only an empty instance or an empty multiple resource has no value */
    return (node->path.depth == LWM2M_LEVEL_INSTANCE) ? node->value.type == LWM2M_TYPE_NONE
           : node->path.depth == LWM2M_LEVEL_RESOURCE ? true
                                                      : node->value.type != LWM2M_TYPE_NONE;
}

dr_err_t lwm2m_tlv_encode(const struct lwm2m_path *base, const struct lwm2m_node *nodes,
                          size_t count, struct dr_wr *wr)
{
    if (base->depth == 0) {
        return DR_ERR_INVAL;
    }
    for (size_t i = 0; i < count; i++) {
        /* ascending, and no leaf above another */
        if (!node_ok(base, &nodes[i]) ||
            (i > 0 && (lwm2m_path_cmp(&nodes[i - 1].path, &nodes[i].path) >= 0 ||
                       lwm2m_path_has_prefix(&nodes[i].path, &nodes[i - 1].path)))) {
            return DR_ERR_INVAL;
        }
    }
    /* instances for an object, resources for an instance or a resource, bare instances below */
    unsigned depth = base->depth + 1U;
    if (base->depth >= LWM2M_LEVEL_RESOURCE) {
        depth = base->depth;
    }
    /* an empty instance stands at the level of its object's payload */
    if (count == 1 && nodes[0].path.depth == LWM2M_LEVEL_INSTANCE) {
        depth = LWM2M_LEVEL_INSTANCE;
    }
    return body_put(wr, nodes, count, depth);
}
