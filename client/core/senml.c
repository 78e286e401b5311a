/* SPDX-License-Identifier: Apache-2.0 */
#include "client/core/codec_priv.h"

/*
 * An array of maps with small integers as keys: -2 base name, 0 name, 2 number, 3 string, 4
 * boolean, 8 bytes, and "vlo" for links. The raw bytes of a leaf are the key and the value. 82 a3
 * 21 65 "/3/0/" 00 61 "0" 03 64 "ACME" a2 00 61 "9" 02 18 57
 */
enum { KEY_BN = -2, KEY_N = 0, KEY_V = 2, KEY_VS = 3, KEY_VB = 4, KEY_VD = 8, KEY_VLO = 100 };
enum { UINT, NINT, BYTES, TEXT, ARRAY, MAP, TAG, SIMPLE };

#define NEST_MAX   8
#define INDEFINITE UINT64_MAX

/* ---- writing ---- */

static void head_put(struct cl_out *o, unsigned major, uint64_t v)
{
    size_t width = v < 24 ? 0 : v <= 0xff ? 1 : v <= 0xffff ? 2 : v <= 0xffffffff ? 4 : 8;
    uint8_t b[9] = {(uint8_t)(major << 5 | (width == 0   ? (unsigned)v
                                            : width == 1 ? 24u
                                            : width == 2 ? 25u
                                            : width == 4 ? 26u
                                                         : 27u))};

    for (size_t i = 0; i < width; i++) {
        b[1 + i] = (uint8_t)(v >> (8 * (width - 1 - i)));
    }
    cl_out_bytes(o, b, 1 + width);
}

static void int_put(struct cl_out *o, int64_t v)
{
    head_put(o, v < 0 ? NINT : UINT, v < 0 ? ~(uint64_t)v : (uint64_t)v);
}

static void string_put(struct cl_out *o, unsigned major, struct cl_bytes s)
{
    head_put(o, major, s.len);
    cl_out_bytes(o, s.p, s.len);
}

static void float_put(struct cl_out *o, double v)
{
    uint64_t bits;
    float f = (float)v;
    uint32_t short_bits;

    memcpy(&bits, &v, sizeof bits);
    memcpy(&short_bits, &f, sizeof short_bits);
    bool exact = !((double)f < v) && !((double)f > v);
    uint8_t b[9] = {exact ? 0xfa : 0xfb};
    for (size_t i = 0; i < (exact ? 4 : 8); i++) {
        b[1 + i] = (uint8_t)(exact ? short_bits >> (24 - 8 * i) : bits >> (56 - 8 * i));
    }
    cl_out_bytes(o, b, exact ? 5 : 9);
}

static void value_put(struct cl_out *o, const struct cl_value *v)
{
    uint8_t text[16];
    struct cl_out link = {.buf = text, .cap = sizeof text};

    switch (v->type) {
    case CL_STRING:
        int_put(o, KEY_VS);
        string_put(o, TEXT, v->s);
        break;
    case CL_OPAQUE:
        int_put(o, KEY_VD);
        string_put(o, BYTES, v->s);
        break;
    case CL_INT:
    case CL_TIME:
        int_put(o, KEY_V);
        int_put(o, v->i);
        break;
    case CL_UINT:
        int_put(o, KEY_V);
        head_put(o, UINT, (uint64_t)v->i);
        break;
    case CL_FLOAT:
        int_put(o, KEY_V);
        float_put(o, v->f);
        break;
    case CL_BOOL:
        int_put(o, KEY_VB);
        cl_out_bytes(o, v->b ? "\xf5" : "\xf4", 1);
        break;
    case CL_LINK:
        string_put(o, TEXT, (struct cl_bytes){(const uint8_t *)"vlo", 3});
        cl_text_put(&link, v);
        string_put(o, TEXT, (struct cl_bytes){text, link.len});
        break;
    case CL_NONE:
        break;
    }
}

static void name_put(struct cl_out *o, const struct cl_path *path, size_t from, bool base)
{
    uint8_t text[CL_PATH_TEXT_MAX];
    struct cl_out name = {.buf = text, .cap = sizeof text};

    for (size_t i = from; i < path->depth; i++) {
        if (base || i > from) {
            cl_out_text(&name, "/");
        }
        cl_out_int(&name, path->id[i]);
    }
    if (base) {
        cl_out_text(&name, "/");
    }
    string_put(o, TEXT, (struct cl_bytes){text, name.len});
}

static void senml_leaf(struct cl_put *put, const struct cl_path *at, const struct cl_value *v)
{
    struct cl_path base = {.depth = 2, .id = {at->id[0], at->id[1]}};
    bool again =
        put->base.depth == 2 && put->base.id[0] == base.id[0] && put->base.id[1] == base.id[1];

    head_put(put->out, MAP, again ? 2 : 3);
    if (!again) {
        int_put(put->out, KEY_BN);
        name_put(put->out, &base, 0, true);
        put->base = base;
    }
    int_put(put->out, KEY_N);
    name_put(put->out, at, 2, false);
    value_put(put->out, v);
    put->records++;
}

static void senml_resource(struct cl_put *put, size_t from, const struct cl_res *res, bool only)
{
    (void)put;
    (void)from;
    (void)res;
    (void)only;
}

static void senml_instance(struct cl_put *put, size_t from, uint16_t inst)
{
    (void)put;
    (void)from;
    (void)inst;
}

static void senml_end(struct cl_put *put)
{
    uint8_t head[9];
    struct cl_out o = {.buf = head, .cap = sizeof head};

    head_put(&o, ARRAY, put->records);
    cl_out_insert(put->out, 0, head, o.len);
}

struct cl_put cl_senml_put(struct cl_out *out)
{
    return (struct cl_put){.out = out,
                           .leaf = senml_leaf,
                           .resource = senml_resource,
                           .instance = senml_instance,
                           .end = senml_end};
}

/* ---- reading ---- */

struct item {
    uint8_t major, info;
    uint64_t v; /**< number, or length; INDEFINITE */
};

static bool head_get(struct cl_bytes *in, struct item *ret)
{
    if (in->len == 0) {
        return false;
    }
    uint8_t first = *in->p;
    size_t width = (first & 31) < 24 ? 0 : (size_t)1 << ((first & 31) - 24);
    *ret = (struct item){.major = first >> 5, .info = first & 31, .v = first & 31};
    if (ret->info == 31) {
        ret->v = INDEFINITE;
        width = 0;
    } else if (ret->info > 27 || in->len < 1 + width) {
        return false;
    }
    if (width > 0) {
        ret->v = 0;
    }
    for (size_t i = 0; i < width; i++) {
        ret->v = ret->v << 8 | in->p[1 + i];
    }
    in->p += 1 + width;
    in->len -= 1 + width;
    return true;
}

static bool string_get(struct cl_bytes *in, const struct item *it, struct cl_bytes *ret)
{
    if (it->v > in->len) { /* INDEFINITE, too: strings in pieces are not for us */
        return false;
    }
    *ret = (struct cl_bytes){in->p, (size_t)it->v};
    in->p += ret->len;
    in->len -= ret->len;
    return true;
}

static bool at_break(struct cl_bytes *in)
{
    if (in->len > 0 && *in->p == 0xff) {
        in->p++;
        in->len--;
        return true;
    }
    return false;
}

/* Step over one item. The nesting is bounded, so is the recursion. */
static bool skip(struct cl_bytes *in, unsigned depth)
{
    struct item it;
    struct cl_bytes s;

    if (depth == NEST_MAX || !head_get(in, &it)) {
        return false;
    }
    if (it.major == BYTES || it.major == TEXT) {
        return string_get(in, &it, &s);
    }
    if (it.major == TAG) {
        return skip(in, depth + 1);
    }
    if (it.major == ARRAY || it.major == MAP) {
        uint64_t per = it.major == MAP ? 2 : 1;
        if (it.v != INDEFINITE && it.v > in->len) {
            return false;
        }
        for (uint64_t n = it.v == INDEFINITE ? INDEFINITE : it.v * per; n > 0; n--) {
            if (it.v == INDEFINITE && at_break(in)) {
                return true;
            }
            if (!skip(in, depth + 1)) {
                return false;
            }
        }
        return true;
    }
    return it.v != INDEFINITE;
}

static bool key_get(struct cl_bytes *in, int64_t *ret)
{
    struct item it;
    struct cl_bytes s;

    if (!head_get(in, &it)) {
        return false;
    }
    if (it.major == TEXT) {
        bool ok = string_get(in, &it, &s);
        *ret = ok && cl_bytes_are(s, "vlo") ? KEY_VLO : INT64_MAX;
        return ok;
    }
    if (it.major > NINT || it.v > 1000) {
        return false;
    }
    *ret = it.major == UINT ? (int64_t)it.v : -1 - (int64_t)it.v;
    return true;
}

struct record {
    struct cl_bytes n, raw;
};

static bool record_get(struct cl_bytes *in, struct cl_bytes *bn, struct record *ret)
{
    struct item it;

    *ret = (struct record){0};
    if (!head_get(in, &it) || it.major != MAP || (it.v != INDEFINITE && it.v > in->len)) {
        return false;
    }
    for (uint64_t i = 0; i < it.v; i++) {
        int64_t key;
        const uint8_t *from = in->p;
        struct item s;
        if (it.v == INDEFINITE && at_break(in)) {
            return true;
        }
        if (!key_get(in, &key)) {
            return false;
        }
        if (key == KEY_BN || key == KEY_N) {
            if (!head_get(in, &s) || s.major != TEXT ||
                !string_get(in, &s, key == KEY_BN ? bn : &ret->n)) {
                return false;
            }
            continue;
        }
        if (!skip(in, 0)) {
            return false;
        }
        if (key == KEY_V || key == KEY_VS || key == KEY_VB || key == KEY_VD || key == KEY_VLO) {
            ret->raw = (struct cl_bytes){from, (size_t)(in->p - from)};
        }
    }
    return true;
}

static bool within(const struct cl_path *outer, const struct cl_path *inner)
{
    for (size_t i = 0; i < outer->depth; i++) {
        if (i >= inner->depth || inner->id[i] != outer->id[i]) {
            return false;
        }
    }
    return true;
}

static cl_err_t record_emit(const struct cl_path *target, struct cl_bytes bn,
                            const struct record *rec, cl_leaf_cb *cb, void *ctx)
{
    uint8_t text[CL_PATH_TEXT_MAX];
    struct cl_out name = {.buf = text, .cap = sizeof text};
    struct cl_path path;

    cl_out_bytes(&name, bn.p, bn.len);
    cl_out_bytes(&name, rec->n.p, rec->n.len);
    if (name.full || cl_path_text((struct cl_bytes){text, name.len}, &path) != CL_OK ||
        path.depth < 3 || !within(target, &path) || rec->raw.p == NULL) {
        return CL_ERR_INVAL;
    }
    struct cl_leaf leaf = {.inst = path.id[1],
                           .res = path.id[2],
                           .ri = path.depth == 4 ? path.id[3] : 0,
                           .format = CL_FMT_SENML_CBOR,
                           .raw = rec->raw};
    return cb(ctx, &leaf);
}

cl_err_t cl_senml_walk(const struct cl_path *path, struct cl_bytes body, cl_leaf_cb *cb, void *ctx)
{
    struct cl_bytes bn = {NULL, 0};
    struct record rec;
    struct item it;

    if (!head_get(&body, &it) || it.major != ARRAY || (it.v != INDEFINITE && it.v > body.len)) {
        return CL_ERR_INVAL;
    }
    for (uint64_t i = 0; i < it.v; i++) {
        if (it.v == INDEFINITE && at_break(&body)) {
            break;
        }
        if (!record_get(&body, &bn, &rec)) {
            return CL_ERR_INVAL;
        }
        cl_err_t err = record_emit(path, bn, &rec, cb, ctx);
        if (err != CL_OK) {
            return err;
        }
    }
    return body.len == 0 ? CL_OK : CL_ERR_INVAL;
}

static double half_value(uint16_t h)
{
    int exponent = h >> 10 & 31;
    double v = h & 1023;

    if (exponent == 31) {
        return 0; /* no number that we could use */
    }
    v = exponent == 0 ? v / 1024 : 1 + v / 1024;
    for (exponent = exponent == 0 ? -14 : exponent - 15; exponent > 0; exponent--) {
        v *= 2;
    }
    for (; exponent < 0; exponent++) {
        v /= 2;
    }
    return (h & 0x8000) != 0 ? -v : v;
}

/* A number as integer and as float; false when it is none. */
static bool number_get(const struct item *it, bool *ret_whole, int64_t *ret_i, double *ret_f)
{
    if (it->major == UINT || it->major == NINT) {
        if (it->v > INT64_MAX) {
            return false;
        }
        *ret_i = it->major == UINT ? (int64_t)it->v : -1 - (int64_t)it->v;
        *ret_f = (double)*ret_i;
        *ret_whole = true;
        return true;
    }
    if (it->major != SIMPLE || it->info < 25 || it->info > 27) {
        return false;
    }
    uint32_t b4 = (uint32_t)it->v;
    float f;
    memcpy(&f, &b4, sizeof f);
    memcpy(ret_f, &it->v, sizeof *ret_f);
    *ret_f = it->info == 25 ? half_value((uint16_t)it->v) : it->info == 26 ? (double)f : *ret_f;
    *ret_whole = *ret_f > -9e15 && *ret_f < 9e15;
    if (*ret_whole) {
        *ret_i = (int64_t)*ret_f;
        *ret_whole = !((double)*ret_i < *ret_f) && !((double)*ret_i > *ret_f);
    }
    return true;
}

cl_err_t cl_senml_value(struct cl_bytes raw, enum cl_type type, struct cl_value *ret)
{
    struct cl_value v = {.type = type};
    struct cl_bytes s = {NULL, 0};
    struct item it;
    int64_t key, whole = 0;
    double f = 0;
    bool is_whole = false, ok = key_get(&raw, &key) && head_get(&raw, &it);

    if (ok && it.major == TAG) {
        ok = head_get(&raw, &it);
    }
    if (!ok) {
        return CL_ERR_INVAL;
    }
    bool number = key == KEY_V && number_get(&it, &is_whole, &whole, &f);
    bool text = it.major == TEXT && string_get(&raw, &it, &s);
    bool bytes = it.major == BYTES && string_get(&raw, &it, &s);
    switch (type) {
    case CL_STRING:
        v.s = s;
        ok = text && key == KEY_VS;
        break;
    case CL_OPAQUE:
        v.s = s;
        ok = bytes && key == KEY_VD;
        break;
    case CL_INT:
    case CL_UINT:
    case CL_TIME:
        v.i = whole;
        ok = number && is_whole && (type != CL_UINT || whole >= 0);
        break;
    case CL_FLOAT:
        v.f = f;
        ok = number;
        break;
    case CL_BOOL:
        v.b = it.info == 21;
        ok = key == KEY_VB && it.major == SIMPLE && (it.info == 20 || it.info == 21);
        break;
    case CL_LINK:
        return text && key == KEY_VLO ? cl_text_get(CL_LINK, s, ret) : CL_ERR_INVAL;
    case CL_NONE:
        ok = false;
    }
    if (!ok) {
        return CL_ERR_INVAL;
    }
    *ret = v;
    return CL_OK;
}
