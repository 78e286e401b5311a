/* SPDX-License-Identifier: Apache-2.0 */
#include "client/core/codec.h"

#include "client/core/codec_priv.h"

void cl_out_bytes(struct cl_out *o, const void *p, size_t len)
{
    if (o->full || o->cap - o->len < len) {
        o->full = true;
        return;
    }
    if (len > 0) {
        memcpy(o->buf + o->len, p, len);
        o->len += len;
    }
}

void cl_out_text(struct cl_out *o, const char *text)
{
    cl_out_bytes(o, text, strlen(text));
}

void cl_out_insert(struct cl_out *o, size_t at, const void *p, size_t len)
{
    if (o->full || o->cap - o->len < len) {
        o->full = true;
        return;
    }
    memmove(o->buf + at + len, o->buf + at, o->len - at);
    memcpy(o->buf + at, p, len);
    o->len += len;
}

static void uint_put(struct cl_out *o, uint64_t v)
{
    char digits[20];
    size_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    cl_out_bytes(o, digits + at, sizeof digits - at);
}

void cl_out_int(struct cl_out *o, int64_t v)
{
    if (v < 0) {
        cl_out_text(o, "-");
    }
    uint_put(o, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void cl_out_float(struct cl_out *o, double v)
{
    if (v < 0) {
        cl_out_text(o, "-");
        v = -v;
    }
    if (!(v < 1e12)) { /* also not a number: no sensor of ours says that */
        cl_out_text(o, "0");
        return;
    }
    uint64_t micro = (uint64_t)(v * 1e6 + 0.5), frac = micro % 1000000;
    char digits[7] = ".";
    size_t len = 0;
    for (size_t i = 6; i > 0; i--, frac /= 10) {
        digits[i] = (char)('0' + frac % 10);
        len = len == 0 && digits[i] != '0' ? i + 1 : len;
    }
    uint_put(o, micro / 1000000);
    cl_out_bytes(o, digits, len);
}

void cl_out_path(struct cl_out *o, const struct cl_path *path)
{
    for (size_t i = 0; i < path->depth; i++) {
        cl_out_text(o, "/");
        uint_put(o, path->id[i]);
    }
}

static bool digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

cl_err_t cl_int_parse(struct cl_bytes text, int64_t *ret)
{
    bool minus = text.len > 0 && text.p[0] == '-';
    size_t at = text.len > 0 && (minus || text.p[0] == '+') ? 1 : 0;
    uint64_t v = 0, max = (uint64_t)INT64_MAX + (minus ? 1 : 0);

    if (at == text.len) {
        return CL_ERR_INVAL;
    }
    for (; at < text.len; at++) {
        unsigned d = (unsigned)text.p[at] - '0';
        if (!digit(text.p[at]) || v > (max - d) / 10) {
            return CL_ERR_INVAL;
        }
        v = v * 10 + d;
    }
    *ret = minus ? (int64_t)(0 - v) : (int64_t)v;
    return CL_OK;
}

cl_err_t cl_float_parse(struct cl_bytes text, double *ret)
{
    size_t at = 0, digits = 0;
    bool minus = text.len > 0 && text.p[0] == '-';
    double v = 0, unit = 1;
    int64_t exponent = 0;

    at += text.len > 0 && (minus || text.p[0] == '+') ? 1 : 0;
    for (; at < text.len && digit(text.p[at]); at++, digits++) {
        v = v * 10 + (text.p[at] - '0');
    }
    if (at < text.len && text.p[at] == '.') {
        for (at++; at < text.len && digit(text.p[at]); at++, digits++) {
            unit /= 10;
            v += (text.p[at] - '0') * unit;
        }
    }
    if (digits == 0) {
        return CL_ERR_INVAL;
    }
    if (at < text.len && (text.p[at] == 'e' || text.p[at] == 'E')) {
        struct cl_bytes rest = {text.p + at + 1, text.len - at - 1};
        if (cl_int_parse(rest, &exponent) != CL_OK || exponent > 300 || exponent < -300) {
            return CL_ERR_INVAL;
        }
        at = text.len;
    }
    for (; exponent > 0; exponent--) {
        v *= 10;
    }
    for (; exponent < 0; exponent++) {
        v /= 10;
    }
    if (at != text.len) {
        return CL_ERR_INVAL;
    }
    *ret = minus ? -v : v;
    return CL_OK;
}

static bool id_parse(struct cl_bytes text, uint16_t *ret)
{
    int64_t v;

    if (text.len == 0 || !digit(text.p[0]) || cl_int_parse(text, &v) != CL_OK || v >= CL_ID_NONE) {
        return false;
    }
    *ret = (uint16_t)v;
    return true;
}

cl_err_t cl_path_parse(const struct cl_list *segments, struct cl_path *ret)
{
    struct cl_path path = {0};

    if (segments->count > 4) {
        return CL_ERR_INVAL;
    }
    for (size_t i = 0; i < segments->count; i++) {
        if (!id_parse(segments->seg[i], &path.id[i])) {
            return CL_ERR_INVAL;
        }
    }
    path.depth = segments->count;
    *ret = path;
    return CL_OK;
}

cl_err_t cl_path_text(struct cl_bytes text, struct cl_path *ret)
{
    struct cl_list list = {0};

    while (text.len > 0 && text.p[0] == '/' && text.len > 1) {
        size_t n = 1;
        while (n < text.len && text.p[n] != '/') {
            n++;
        }
        if (list.count == 4) {
            return CL_ERR_INVAL;
        }
        list.seg[list.count++] = (struct cl_bytes){text.p + 1, n - 1};
        text.p += n;
        text.len -= n;
    }
    if (text.len > 0 && !(text.len == 1 && text.p[0] == '/')) {
        return CL_ERR_INVAL;
    }
    return cl_path_parse(&list, ret);
}

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void base64_put(struct cl_out *o, struct cl_bytes in)
{
    for (size_t i = 0; i < in.len; i += 3) {
        size_t n = in.len - i < 3 ? in.len - i : 3;
        uint32_t v = (uint32_t)in.p[i] << 16 | (n > 1 ? (uint32_t)in.p[i + 1] << 8 : 0) |
                     (n > 2 ? in.p[i + 2] : 0);
        char four[4] = {base64_digits[v >> 18], base64_digits[v >> 12 & 63],
                        n > 1 ? base64_digits[v >> 6 & 63] : '=',
                        n > 2 ? base64_digits[v & 63] : '='};
        cl_out_bytes(o, four, 4);
    }
}

void cl_text_put(struct cl_out *o, const struct cl_value *v)
{
    switch (v->type) {
    case CL_STRING:
        cl_out_bytes(o, v->s.p, v->s.len);
        break;
    case CL_OPAQUE:
        base64_put(o, v->s);
        break;
    case CL_INT:
    case CL_TIME:
        cl_out_int(o, v->i);
        break;
    case CL_UINT:
        uint_put(o, (uint64_t)v->i);
        break;
    case CL_FLOAT:
        cl_out_float(o, v->f);
        break;
    case CL_BOOL:
        cl_out_text(o, v->b ? "1" : "0");
        break;
    case CL_LINK:
        uint_put(o, v->link.obj);
        cl_out_text(o, ":");
        uint_put(o, v->link.inst);
        break;
    case CL_NONE:
        break;
    }
}

static cl_err_t link_parse(struct cl_bytes text, struct cl_value *ret)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] == ':') {
            int64_t obj, inst;
            if (cl_int_parse((struct cl_bytes){text.p, i}, &obj) != CL_OK ||
                cl_int_parse((struct cl_bytes){text.p + i + 1, text.len - i - 1}, &inst) != CL_OK ||
                obj < 0 || obj > 0xffff || inst < 0 || inst > 0xffff) {
                return CL_ERR_INVAL;
            }
            ret->link.obj = (uint16_t)obj;
            ret->link.inst = (uint16_t)inst;
            return CL_OK;
        }
    }
    return CL_ERR_INVAL;
}

cl_err_t cl_text_get(enum cl_type type, struct cl_bytes text, struct cl_value *ret)
{
    struct cl_value v = {.type = type};
    cl_err_t err = CL_OK;

    switch (type) {
    case CL_STRING:
        v.s = text;
        break;
    case CL_INT:
    case CL_UINT:
    case CL_TIME:
        err = cl_int_parse(text, &v.i);
        if (err == CL_OK && type == CL_UINT && v.i < 0) {
            err = CL_ERR_INVAL;
        }
        break;
    case CL_FLOAT:
        err = cl_float_parse(text, &v.f);
        break;
    case CL_BOOL:
        v.b = text.len == 1 && text.p[0] == '1';
        err = text.len == 1 && (text.p[0] == '0' || text.p[0] == '1') ? CL_OK : CL_ERR_INVAL;
        break;
    case CL_LINK:
        err = link_parse(text, &v);
        break;
    case CL_OPAQUE: /* would be base64: nothing of ours takes it, content format 42 is there */
    case CL_NONE:
        err = CL_ERR_INVAL;
    }
    if (err == CL_OK) {
        *ret = v;
    }
    return err;
}

cl_err_t cl_leaf_value(const struct cl_leaf *leaf, enum cl_type type, struct cl_value *ret)
{
    return leaf->format == CL_FMT_TLV ? cl_tlv_value(leaf->raw, type, ret)
                                      : cl_senml_value(leaf->raw, type, ret);
}

/* ---- reading ---- */

static cl_err_t read_one(const struct cl_value *v, uint16_t format, struct cl_out *out)
{
    if (format == CL_FMT_OPAQUE) {
        if (v->type != CL_OPAQUE) {
            return CL_ERR_FORMAT;
        }
        cl_out_bytes(out, v->s.p, v->s.len);
    } else {
        cl_text_put(out, v);
    }
    return CL_OK;
}

static cl_err_t put_resource(const struct cl_obj *obj, uint16_t inst, const struct cl_res *res,
                             const struct cl_path *path, struct cl_put *put)
{
    struct cl_value v;
    bool only = path->depth == 4;
    uint16_t ri = only ? path->id[3] : 0;
    size_t from = put->out->len, count = 0;

    for (;; ri++) {
        cl_err_t err = cl_obj_read(obj, inst, res, ri, &v);
        if (err == CL_ERR_NOENT && (count > 0 || ((res->flags & CL_MULTI) != 0 && !only))) {
            break;
        }
        if (err != CL_OK) {
            return err;
        }
        count++;
        struct cl_path at = {.depth = (res->flags & CL_MULTI) != 0 ? 4 : 3,
                             .id = {obj->id, inst, res->id, ri}};
        put->leaf(put, &at, &v);
        if (only || (res->flags & CL_MULTI) == 0) {
            break;
        }
    }
    put->resource(put, from, res, only);
    return CL_OK;
}

static cl_err_t put_instance(const struct cl_obj *obj, uint16_t inst, const struct cl_path *path,
                             struct cl_put *put)
{
    size_t from = put->out->len;

    for (size_t i = 0; i < obj->res_count; i++) {
        const struct cl_res *res = &obj->res[i];
        if (path->depth > 2 && res->id != path->id[2]) {
            continue;
        }
        if ((res->flags & CL_READ) == 0) {
            if (path->depth > 2) {
                return CL_ERR_DENIED;
            }
            continue;
        }
        cl_err_t err = put_resource(obj, inst, res, path, put);
        if (err != CL_OK && (path->depth > 2 || err != CL_ERR_NOENT)) {
            return err;
        }
    }
    if (path->depth == 1) {
        put->instance(put, from, inst);
    }
    return CL_OK;
}

static cl_err_t put_object(const struct cl_obj *obj, const struct cl_path *path, struct cl_put *put)
{
    uint16_t ids[CL_INSTANCES_MAX];
    size_t n = cl_obj_instances(obj, ids);

    for (size_t i = 0; i < n; i++) {
        cl_err_t err =
            path->depth > 1 && path->id[1] != ids[i] ? CL_OK : put_instance(obj, ids[i], path, put);
        if (err != CL_OK) {
            return err;
        }
    }
    put->end(put);
    return CL_OK;
}

static cl_err_t read_check(const struct cl_objects *all, const struct cl_path *path,
                           const struct cl_obj **ret_obj, const struct cl_res **ret_res)
{
    const struct cl_obj *obj = path->depth > 0 ? cl_object_find(all, path->id[0]) : NULL;
    const struct cl_res *res = NULL;

    if (obj == NULL) {
        return CL_ERR_NOENT;
    }
    if (obj->id == 0) {
        return CL_ERR_AUTH;
    }
    if (path->depth > 1 && !cl_obj_has(obj, path->id[1])) {
        return CL_ERR_NOENT;
    }
    if (path->depth > 2) {
        res = cl_res_find(obj, path->id[2]);
        if (res == NULL) {
            return CL_ERR_NOENT;
        }
        if ((res->flags & CL_READ) == 0) {
            return CL_ERR_DENIED;
        }
    }
    *ret_obj = obj;
    *ret_res = res;
    return CL_OK;
}

cl_err_t cl_read(const struct cl_objects *all, const struct cl_path *path, uint16_t accept,
                 struct cl_out *out, uint16_t *ret_format)
{
    const struct cl_obj *obj;
    const struct cl_res *res;
    struct cl_value v;
    cl_err_t err = read_check(all, path, &obj, &res);

    if (err != CL_OK) {
        return err;
    }
    bool single = path->depth == 4 || (path->depth == 3 && (res->flags & CL_MULTI) == 0);
    if (accept == CL_ID_NONE) {
        accept = !single ? CL_FMT_TLV : res->type == CL_OPAQUE ? CL_FMT_OPAQUE : CL_FMT_TEXT;
    }
    *ret_format = accept;
    if (accept == CL_FMT_TEXT || accept == CL_FMT_OPAQUE) {
        if (!single) {
            return CL_ERR_FORMAT;
        }
        err = cl_obj_read(obj, path->id[1], res, path->depth == 4 ? path->id[3] : 0, &v);
        err = err == CL_OK ? read_one(&v, accept, out) : err;
    } else if (accept == CL_FMT_TLV || accept == CL_FMT_TLV_OLD) {
        struct cl_put put = cl_tlv_put(out);
        err = put_object(obj, path, &put);
    } else if (accept == CL_FMT_SENML_CBOR) {
        struct cl_put put = cl_senml_put(out);
        err = put_object(obj, path, &put);
    } else {
        return CL_ERR_FORMAT;
    }
    return err == CL_OK && out->full ? CL_ERR_SPACE : err;
}

/* ---- writing ---- */

struct apply {
    const struct cl_write *w;
    const struct cl_obj *obj;
    bool commit;
};

static cl_err_t leaf_instance(struct apply *a, uint16_t inst)
{
    if (cl_obj_has(a->obj, inst)) {
        return CL_OK;
    }
    if (!a->w->bootstrap || a->obj->create == NULL) {
        return CL_ERR_NOENT;
    }
    return a->commit ? a->obj->create(a->obj, inst) : CL_OK;
}

static cl_err_t leaf_apply(void *ctx, const struct cl_leaf *leaf)
{
    struct apply *a = ctx;
    struct cl_value v;
    cl_err_t err = leaf_instance(a, leaf->inst);

    if (err != CL_OK || leaf->res == CL_ID_NONE) {
        return err;
    }
    const struct cl_res *res = cl_res_find(a->obj, leaf->res);
    if (res == NULL) { /* a resource that is not known here is no error of an instance write */
        return a->w->path.depth > 2 ? CL_ERR_NOENT : CL_OK;
    }
    if ((res->flags & (a->w->bootstrap ? CL_WRITE | CL_BOOTSTRAP : CL_WRITE)) == 0 ||
        (res->flags & CL_STREAM) != 0 || a->obj->write == NULL) {
        return a->w->create || a->w->bootstrap ? CL_OK : CL_ERR_DENIED;
    }
    err = cl_leaf_value(leaf, (enum cl_type)res->type, &v);
    if (err != CL_OK || !a->commit) {
        return err;
    }
    return a->obj->write(a->obj, leaf->inst, leaf->res, leaf->ri, &v);
}

static cl_err_t write_single(const struct cl_write *w, const struct cl_obj *obj)
{
    struct cl_value v;
    const struct cl_res *res = w->path.depth >= 3 ? cl_res_find(obj, w->path.id[2]) : NULL;

    if (w->path.depth < 3) {
        return CL_ERR_FORMAT;
    }
    if (res == NULL) {
        return CL_ERR_NOENT;
    }
    if ((res->flags & (w->bootstrap ? CL_WRITE | CL_BOOTSTRAP : CL_WRITE)) == 0 ||
        obj->write == NULL) {
        return CL_ERR_DENIED;
    }
    if ((res->flags & CL_MULTI) != 0 && w->path.depth == 3) {
        return CL_ERR_FORMAT;
    }
    if (res->type == CL_OPAQUE) {
        v = (struct cl_value){.type = CL_OPAQUE, .s = w->body};
    } else if (w->format == CL_FMT_OPAQUE) {
        return CL_ERR_FORMAT;
    } else if (cl_text_get((enum cl_type)res->type, w->body, &v) != CL_OK) {
        return CL_ERR_INVAL;
    }
    return obj->write(obj, w->path.id[1], w->path.id[2], w->path.depth == 4 ? w->path.id[3] : 0,
                      &v);
}

cl_err_t cl_write(const struct cl_write *w)
{
    const struct cl_obj *obj = w->path.depth > 0 ? cl_object_find(w->objects, w->path.id[0]) : NULL;

    if (obj == NULL) {
        return CL_ERR_NOENT;
    }
    if (obj->id == 0 && !w->bootstrap) {
        return CL_ERR_AUTH;
    }
    if (w->path.depth > 1 && !w->bootstrap && !cl_obj_has(obj, w->path.id[1])) {
        return CL_ERR_NOENT;
    }
    if (w->format == CL_ID_NONE || w->format == CL_FMT_TEXT || w->format == CL_FMT_OPAQUE) {
        return write_single(w, obj);
    }
    bool tlv = w->format == CL_FMT_TLV || w->format == CL_FMT_TLV_OLD;
    if (!tlv && w->format != CL_FMT_SENML_CBOR) {
        return CL_ERR_FORMAT;
    }
    struct apply a = {.w = w, .obj = obj};
    for (int pass = 0; pass < 2; pass++) {
        a.commit = pass == 1;
        cl_err_t err = tlv ? cl_tlv_walk(&w->path, w->body, leaf_apply, &a)
                           : cl_senml_walk(&w->path, w->body, leaf_apply, &a);
        if (err != CL_OK) {
            return err;
        }
    }
    return CL_OK;
}
