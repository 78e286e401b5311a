/* SPDX-License-Identifier: Apache-2.0 */
#include "client/core/codec_priv.h"

/*
 * Type byte: kind(2) long id(1) length of length(2) length(3) | id 1 or 2 | length 0..3 | value
 * kinds: 0 instance, 1 resource instance, 2 multiple resource, 3 resource
 * c1 09 57  = resource 9 with the integer 87
 */
enum { KIND_INSTANCE, KIND_RES_INSTANCE, KIND_MULTIPLE, KIND_RESOURCE };

static size_t head_make(uint8_t head[6], uint8_t kind, uint16_t id, size_t len)
{
    size_t n = 1;

    head[0] = (uint8_t)(kind << 6 | (id > 0xff ? 0x20 : 0));
    if (id > 0xff) {
        head[n++] = (uint8_t)(id >> 8);
    }
    head[n++] = (uint8_t)id;
    size_t width = len < 8 ? 0 : len <= 0xff ? 1 : len <= 0xffff ? 2 : 3;
    head[0] = (uint8_t)(head[0] | width << 3 | (width == 0 ? len : 0));
    for (size_t i = width; i > 0; i--) {
        head[n++] = (uint8_t)(len >> (8 * (i - 1)));
    }
    return n;
}

static void be_put(struct cl_out *o, uint64_t v, size_t width)
{
    for (size_t i = width; i > 0; i--) {
        uint8_t b = (uint8_t)(v >> (8 * (i - 1)));
        cl_out_bytes(o, &b, 1);
    }
}

static void int_put(struct cl_out *o, int64_t v)
{
    be_put(o, (uint64_t)v,
           v >= INT8_MIN && v <= INT8_MAX     ? 1
           : v >= INT16_MIN && v <= INT16_MAX ? 2
           : v >= INT32_MIN && v <= INT32_MAX ? 4
                                              : 8);
}

static void float_put(struct cl_out *o, double v)
{
    float f = (float)v;
    uint32_t b4;
    uint64_t b8;

    memcpy(&b4, &f, sizeof b4);
    memcpy(&b8, &v, sizeof b8);
    bool exact = !((double)f < v) && !((double)f > v);
    be_put(o, exact ? b4 : b8, exact ? 4 : 8);
}

static void value_put(struct cl_out *o, const struct cl_value *v)
{
    switch (v->type) {
    case CL_STRING:
    case CL_OPAQUE:
        cl_out_bytes(o, v->s.p, v->s.len);
        break;
    case CL_INT:
    case CL_TIME:
        int_put(o, v->i);
        break;
    case CL_UINT:
        be_put(o, (uint64_t)v->i,
               v->i <= UINT8_MAX    ? 1
               : v->i <= UINT16_MAX ? 2
               : v->i <= UINT32_MAX ? 4
                                    : 8);
        break;
    case CL_FLOAT:
        float_put(o, v->f);
        break;
    case CL_BOOL:
        be_put(o, v->b ? 1 : 0, 1);
        break;
    case CL_LINK:
        be_put(o, (uint32_t)v->link.obj << 16 | v->link.inst, 4);
        break;
    case CL_NONE:
        break;
    }
}

/* Put a head in front of what was written since @p from. */
static void wrap(struct cl_out *o, size_t from, uint8_t kind, uint16_t id)
{
    uint8_t head[6];

    if (!o->full) {
        cl_out_insert(o, from, head, head_make(head, kind, id, o->len - from));
    }
}

static void tlv_leaf(struct cl_put *put, const struct cl_path *at, const struct cl_value *v)
{
    size_t from = put->out->len;

    value_put(put->out, v);
    wrap(put->out, from, at->depth == 4 ? KIND_RES_INSTANCE : KIND_RESOURCE, at->id[at->depth - 1]);
}

static void tlv_resource(struct cl_put *put, size_t from, const struct cl_res *res, bool only)
{
    if ((res->flags & CL_MULTI) != 0 && !only) {
        wrap(put->out, from, KIND_MULTIPLE, res->id);
    }
}

static void tlv_instance(struct cl_put *put, size_t from, uint16_t inst)
{
    wrap(put->out, from, KIND_INSTANCE, inst);
}

static void tlv_end(struct cl_put *put)
{
    (void)put;
}

struct cl_put cl_tlv_put(struct cl_out *out)
{
    return (struct cl_put){.out = out,
                           .leaf = tlv_leaf,
                           .resource = tlv_resource,
                           .instance = tlv_instance,
                           .end = tlv_end};
}

struct tlv {
    uint8_t kind;
    uint16_t id;
    struct cl_bytes value;
};

static bool tlv_next(struct cl_bytes *in, struct tlv *ret)
{
    const uint8_t *p = in->p;
    size_t id_len = (p[0] & 0x20) != 0 ? 2 : 1, width = p[0] >> 3 & 3, at = 1 + id_len + width;
    size_t len = width == 0 ? p[0] & 7 : 0;

    if (in->len < at) {
        return false;
    }
    ret->kind = p[0] >> 6;
    ret->id = (uint16_t)(id_len == 1 ? p[1] : p[1] << 8 | p[2]);
    for (size_t i = 0; i < width; i++) {
        len = len << 8 | p[1 + id_len + i];
    }
    if (in->len - at < len || ret->id == CL_ID_NONE) {
        return false;
    }
    ret->value = (struct cl_bytes){p + at, len};
    in->p += at + len;
    in->len -= at + len;
    return true;
}

struct walk {
    cl_leaf_cb *cb;
    void *ctx;
    struct cl_leaf leaf;
    const struct cl_path *path;
};

static cl_err_t leaf_emit(struct walk *w, uint16_t res, uint16_t ri, struct cl_bytes raw)
{
    w->leaf.res = res;
    w->leaf.ri = ri;
    w->leaf.raw = raw;
    return w->cb(w->ctx, &w->leaf);
}

static cl_err_t multiple_walk(struct walk *w, uint16_t res, struct cl_bytes body)
{
    struct tlv t;

    while (body.len > 0) {
        if (!tlv_next(&body, &t) || t.kind != KIND_RES_INSTANCE) {
            return CL_ERR_INVAL;
        }
        cl_err_t err = leaf_emit(w, res, t.id, t.value);
        if (err != CL_OK) {
            return err;
        }
    }
    return CL_OK;
}

/* Resources, inside an instance or bare. */
static cl_err_t resource_walk(struct walk *w, const struct tlv *t)
{
    const struct cl_path *path = w->path;

    if (t->kind == KIND_RES_INSTANCE) { /* bare ones belong to the resource of the path */
        return path->depth < 3 ? CL_ERR_INVAL : leaf_emit(w, path->id[2], t->id, t->value);
    }
    if (path->depth >= 3 && t->id != path->id[2]) {
        return CL_ERR_INVAL;
    }
    return t->kind == KIND_MULTIPLE ? multiple_walk(w, t->id, t->value)
                                    : leaf_emit(w, t->id, 0, t->value);
}

static cl_err_t instance_walk(struct walk *w, const struct tlv *outer)
{
    struct cl_bytes body = outer->value;
    struct tlv t;

    if (w->path->depth >= 2 && outer->id != w->path->id[1]) {
        return CL_ERR_INVAL;
    }
    w->leaf.inst = outer->id;
    cl_err_t err = leaf_emit(w, CL_ID_NONE, 0, (struct cl_bytes){NULL, 0});
    while (err == CL_OK && body.len > 0) {
        err = tlv_next(&body, &t) && t.kind != KIND_INSTANCE ? resource_walk(w, &t) : CL_ERR_INVAL;
    }
    return err;
}

cl_err_t cl_tlv_walk(const struct cl_path *path, struct cl_bytes body, cl_leaf_cb *cb, void *ctx)
{
    struct walk w = {.cb = cb, .ctx = ctx, .path = path, .leaf.format = CL_FMT_TLV};
    struct tlv t;
    cl_err_t err = CL_OK;

    while (err == CL_OK && body.len > 0) {
        if (!tlv_next(&body, &t)) {
            return CL_ERR_INVAL;
        }
        if (t.kind == KIND_INSTANCE) {
            err = instance_walk(&w, &t);
        } else if (path->depth >= 2) {
            w.leaf.inst = path->id[1];
            err = resource_walk(&w, &t);
        } else {
            /* spec: LWM2M-1.1-CORE#7.4.4: at object level the instance must be named */
            return CL_ERR_INVAL;
        }
    }
    return err;
}

static int64_t be_signed(struct cl_bytes raw)
{
    uint64_t v = raw.len > 0 && (raw.p[0] & 0x80) != 0 ? UINT64_MAX : 0;

    for (size_t i = 0; i < raw.len; i++) {
        v = v << 8 | raw.p[i];
    }
    return (int64_t)v;
}

static uint64_t be_unsigned(struct cl_bytes raw)
{
    uint64_t v = 0;

    for (size_t i = 0; i < raw.len; i++) {
        v = v << 8 | raw.p[i];
    }
    return v;
}

static cl_err_t number_value(struct cl_bytes raw, enum cl_type type, struct cl_value *v)
{
    if (raw.len != 1 && raw.len != 2 && raw.len != 4 && raw.len != 8) {
        return CL_ERR_INVAL;
    }
    v->i = type == CL_UINT ? (int64_t)be_unsigned(raw) : be_signed(raw);
    return type == CL_UINT && v->i < 0 ? CL_ERR_INVAL : CL_OK;
}

cl_err_t cl_tlv_value(struct cl_bytes raw, enum cl_type type, struct cl_value *ret)
{
    struct cl_value v = {.type = type};
    cl_err_t err = CL_OK;
    uint32_t b4 = (uint32_t)be_unsigned(raw);
    uint64_t b8 = be_unsigned(raw);
    float f;

    switch (type) {
    case CL_STRING:
    case CL_OPAQUE:
        v.s = raw;
        break;
    case CL_INT:
    case CL_UINT:
    case CL_TIME:
        err = number_value(raw, type, &v);
        break;
    case CL_FLOAT:
        memcpy(&f, &b4, sizeof f);
        memcpy(&v.f, &b8, sizeof v.f);
        v.f = raw.len == 4 ? (double)f : v.f;
        err = raw.len == 4 || raw.len == 8 ? CL_OK : CL_ERR_INVAL;
        break;
    case CL_BOOL:
        v.b = b4 == 1;
        err = raw.len == 1 && b4 <= 1 ? CL_OK : CL_ERR_INVAL;
        break;
    case CL_LINK:
        v.link.obj = (uint16_t)(b4 >> 16);
        v.link.inst = (uint16_t)b4;
        err = raw.len == 4 ? CL_OK : CL_ERR_INVAL;
        break;
    case CL_NONE:
        err = CL_ERR_INVAL;
    }
    if (err == CL_OK) {
        *ret = v;
    }
    return err;
}
