/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/value.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "lwm2m/util_priv.h"

/* Value bytes of a list: chunks of at least this size, filled from the front, never moved. */
#define CHUNK_MIN 1024

struct lwm2m_nodes_chunk {
    struct lwm2m_nodes_chunk *next;
    size_t used, size;
    uint8_t data[];
};

bool lwm2m_str_eq(struct lwm2m_str s, const char *z)
{
    dr_assert(z != NULL);
    return strlen(z) == s.len && (s.len == 0 || memcmp(s.ptr, z, s.len) == 0);
}

const char *lwm2m_type_name(enum lwm2m_type type)
{
    static const char *const names[LWM2M_TYPE_COUNT] = {
        "none",    "string", "integer", "unsigned", "float",
        "boolean", "opaque", "time",    "objlnk",   "corelnk",
    };

    return (unsigned)type < LWM2M_TYPE_COUNT ? names[type] : "none";
}

struct lwm2m_value lwm2m_value_none(void)
{
    return (struct lwm2m_value){.type = LWM2M_TYPE_NONE};
}

struct lwm2m_value lwm2m_value_str(const char *text, size_t len)
{
    return (struct lwm2m_value){.type = LWM2M_TYPE_STRING,
                                .bytes = {.ptr = (const uint8_t *)text, .len = len}};
}

struct lwm2m_value lwm2m_value_int(int64_t i)
{
    return (struct lwm2m_value){.type = LWM2M_TYPE_INT, .i = i};
}

struct lwm2m_value lwm2m_value_uint(uint64_t u)
{
    return (struct lwm2m_value){.type = LWM2M_TYPE_UINT, .u = u};
}

struct lwm2m_value lwm2m_value_float(double f)
{
    return (struct lwm2m_value){.type = LWM2M_TYPE_FLOAT, .f = f};
}

struct lwm2m_value lwm2m_value_bool(bool b)
{
    return (struct lwm2m_value){.type = LWM2M_TYPE_BOOL, .b = b};
}

struct lwm2m_value lwm2m_value_opaque(const void *ptr, size_t len)
{
    return (struct lwm2m_value){.type = LWM2M_TYPE_OPAQUE, .bytes = {.ptr = ptr, .len = len}};
}

struct lwm2m_value lwm2m_value_time(int64_t s)
{
    return (struct lwm2m_value){.type = LWM2M_TYPE_TIME, .i = s};
}

struct lwm2m_value lwm2m_value_objlnk(uint16_t obj, uint16_t inst)
{
    return (struct lwm2m_value){.type = LWM2M_TYPE_OBJLNK, .objlnk = {.obj = obj, .inst = inst}};
}

static bool has_bytes(enum lwm2m_type type)
{
    return type == LWM2M_TYPE_STRING || type == LWM2M_TYPE_OPAQUE || type == LWM2M_TYPE_CORELNK;
}

static bool float_eq(double a, double b)
{
    return (isnan(a) && isnan(b)) || (!isnan(a) && !isnan(b) && a >= b && a <= b);
}

bool lwm2m_value_eq(const struct lwm2m_value *a, const struct lwm2m_value *b)
{
    dr_assert(a != NULL && b != NULL);

    if (a->type != b->type) {
        return false;
    }
    switch (a->type) {
    case LWM2M_TYPE_STRING:
    case LWM2M_TYPE_OPAQUE:
    case LWM2M_TYPE_CORELNK:
        return a->bytes.len == b->bytes.len &&
               (a->bytes.len == 0 || memcmp(a->bytes.ptr, b->bytes.ptr, a->bytes.len) == 0);
    case LWM2M_TYPE_INT:
    case LWM2M_TYPE_TIME:
        return a->i == b->i;
    case LWM2M_TYPE_UINT:
        return a->u == b->u;
    case LWM2M_TYPE_FLOAT:
        return float_eq(a->f, b->f);
    case LWM2M_TYPE_BOOL:
        return a->b == b->b;
    case LWM2M_TYPE_OBJLNK:
        return a->objlnk.obj == b->objlnk.obj && a->objlnk.inst == b->objlnk.inst;
    case LWM2M_TYPE_NONE:
        break;
    }
    return true;
}

/* ---- coercion ---- */

/* A number as int64 where it is one. */
static dr_err_t to_int(const struct lwm2m_value *v, int64_t *ret)
{
    switch (v->type) {
    case LWM2M_TYPE_INT:
    case LWM2M_TYPE_TIME:
        *ret = v->i;
        return DR_OK;
    case LWM2M_TYPE_UINT:
        if (v->u > INT64_MAX) {
            return DR_ERR_RANGE;
        }
        *ret = (int64_t)v->u;
        return DR_OK;
    case LWM2M_TYPE_FLOAT:
        /* 2^63 is the first double above INT64_MAX */
        if (!(v->f >= -9223372036854775808.0 && v->f < 9223372036854775808.0)) {
            return DR_ERR_RANGE;
        }
        if (!float_eq(v->f, trunc(v->f))) {
            return DR_ERR_INVAL;
        }
        *ret = (int64_t)v->f;
        return DR_OK;
    case LWM2M_TYPE_BOOL:
        *ret = v->b ? 1 : 0;
        return DR_OK;
    case LWM2M_TYPE_NONE:
    case LWM2M_TYPE_STRING:
    case LWM2M_TYPE_OPAQUE:
    case LWM2M_TYPE_OBJLNK:
    case LWM2M_TYPE_CORELNK:
        break;
    }
    return DR_ERR_INVAL;
}

static dr_err_t to_uint(const struct lwm2m_value *v, uint64_t *ret)
{
    int64_t i = 0;

    if (v->type == LWM2M_TYPE_UINT) {
        *ret = v->u;
        return DR_OK;
    }
    if (v->type == LWM2M_TYPE_FLOAT && v->f >= 9223372036854775808.0 &&
        v->f < 18446744073709551616.0) {
        *ret = (uint64_t)v->f; /* above 2^63 every double is whole */
        return DR_OK;
    }
    dr_err_t err = to_int(v, &i);
    if (err != DR_OK) {
        return err;
    }
    if (i < 0) {
        return DR_ERR_RANGE;
    }
    *ret = (uint64_t)i;
    return DR_OK;
}

static dr_err_t to_float(const struct lwm2m_value *v, double *ret)
{
    switch (v->type) {
    case LWM2M_TYPE_FLOAT:
        *ret = v->f;
        return DR_OK;
    case LWM2M_TYPE_INT:
    case LWM2M_TYPE_TIME:
        *ret = (double)v->i;
        return DR_OK;
    case LWM2M_TYPE_UINT:
        *ret = (double)v->u;
        return DR_OK;
    case LWM2M_TYPE_NONE:
    case LWM2M_TYPE_BOOL:
    case LWM2M_TYPE_STRING:
    case LWM2M_TYPE_OPAQUE:
    case LWM2M_TYPE_OBJLNK:
    case LWM2M_TYPE_CORELNK:
        break;
    }
    return DR_ERR_INVAL;
}

static dr_err_t to_bytes(const struct lwm2m_value *v, enum lwm2m_type type, struct lwm2m_value *ret)
{
    if (!has_bytes(v->type)) {
        return DR_ERR_INVAL;
    }
    if (v->type == LWM2M_TYPE_OPAQUE && !dr_utf8_valid(v->bytes.ptr, v->bytes.len)) {
        return DR_ERR_INVAL;
    }
    ret->type = type;
    ret->bytes = v->bytes;
    return DR_OK;
}

dr_err_t lwm2m_value_coerce(const struct lwm2m_value *v, enum lwm2m_type type,
                            struct lwm2m_value *ret)
{
    dr_assert(v != NULL && ret != NULL);

    struct lwm2m_value out = {.type = type};
    dr_err_t err = DR_ERR_INVAL;
    int64_t i = 0;

    if (v->type == type) {
        *ret = *v;
        return DR_OK;
    }
    switch (type) {
    case LWM2M_TYPE_STRING:
    case LWM2M_TYPE_OPAQUE:
    case LWM2M_TYPE_CORELNK:
        err = to_bytes(v, type, &out);
        break;
    case LWM2M_TYPE_INT:
    case LWM2M_TYPE_TIME:
        err = v->type == LWM2M_TYPE_BOOL ? DR_ERR_INVAL : to_int(v, &out.i);
        break;
    case LWM2M_TYPE_UINT:
        err = v->type == LWM2M_TYPE_BOOL ? DR_ERR_INVAL : to_uint(v, &out.u);
        break;
    case LWM2M_TYPE_FLOAT:
        err = to_float(v, &out.f);
        break;
    case LWM2M_TYPE_BOOL:
        err = to_int(v, &i);
        if (err == DR_OK && i != 0 && i != 1) {
            err = DR_ERR_RANGE;
        }
        out.b = i == 1;
        break;
    case LWM2M_TYPE_OBJLNK:
        if (v->type == LWM2M_TYPE_STRING) {
            err = lwm2m_objlnk_parse((const char *)v->bytes.ptr, v->bytes.len, &out.objlnk);
            err = err == DR_OK ? DR_OK : DR_ERR_INVAL;
        }
        break;
    case LWM2M_TYPE_NONE:
        break;
    }
    if (err == DR_OK) {
        *ret = out;
    }
    return err;
}

/* ---- lists of nodes ---- */

void lwm2m_nodes_init(struct lwm2m_nodes *nodes, size_t max, size_t bytes_max)
{
    dr_assert(nodes != NULL);
    *nodes = (struct lwm2m_nodes){.max = max, .bytes_max = bytes_max};
}

void lwm2m_nodes_fini(struct lwm2m_nodes *nodes)
{
    if (nodes == NULL) {
        return;
    }
    while (nodes->chunks != NULL) {
        struct lwm2m_nodes_chunk *next = nodes->chunks->next;
        free(nodes->chunks);
        nodes->chunks = next;
    }
    free(nodes->items);
    *nodes = (struct lwm2m_nodes){.max = nodes->max, .bytes_max = nodes->bytes_max};
}

void lwm2m_nodes_clear(struct lwm2m_nodes *nodes)
{
    lwm2m_nodes_fini(nodes);
}

static dr_err_t items_grow(struct lwm2m_nodes *nodes)
{
    size_t max = nodes->max == 0 ? LWM2M_NODES_MAX : nodes->max;

    if (nodes->count < nodes->cap) {
        return DR_OK;
    }
    if (nodes->count >= max) {
        return DR_ERR_LIMIT;
    }
    size_t cap = nodes->cap == 0 ? 8 : nodes->cap * 2;
    cap = cap > max ? max : cap;
    struct lwm2m_node *items = realloc(nodes->items, cap * sizeof(*items));
    if (items == NULL) {
        return DR_ERR_NOMEM;
    }
    nodes->items = items;
    nodes->cap = cap;
    return DR_OK;
}

static dr_err_t bytes_copy(struct lwm2m_nodes *nodes, struct lwm2m_bytes *bytes)
{
    size_t max = nodes->bytes_max == 0 ? LWM2M_NODES_BYTES_MAX : nodes->bytes_max;
    struct lwm2m_nodes_chunk *chunk = nodes->chunks;

    if (bytes->len > max - nodes->bytes) {
        return DR_ERR_LIMIT;
    }
    if (chunk == NULL || chunk->size - chunk->used < bytes->len) {
        size_t size = bytes->len > CHUNK_MIN ? bytes->len : CHUNK_MIN;
        chunk = malloc(sizeof(*chunk) + size);
        if (chunk == NULL) {
            return DR_ERR_NOMEM;
        }
        *chunk = (struct lwm2m_nodes_chunk){.next = nodes->chunks, .size = size};
        nodes->chunks = chunk;
    }
    uint8_t *to = chunk->data + chunk->used;
    if (bytes->len > 0) {
        memcpy(to, bytes->ptr, bytes->len);
    }
    chunk->used += bytes->len;
    nodes->bytes += bytes->len;
    bytes->ptr = to;
    return DR_OK;
}

dr_err_t lwm2m_nodes_add(struct lwm2m_nodes *nodes, const struct lwm2m_node *node)
{
    dr_assert(nodes != NULL && node != NULL);

    struct lwm2m_node copy = *node;
    dr_err_t err = items_grow(nodes);

    if (err == DR_OK && has_bytes(copy.value.type)) {
        err = bytes_copy(nodes, &copy.value.bytes);
    }
    if (err == DR_OK) {
        nodes->items[nodes->count++] = copy;
    }
    return err;
}

static dr_err_t nodes_take(void *arg, const struct lwm2m_node *node)
{
    return lwm2m_nodes_add(arg, node);
}

struct lwm2m_sink lwm2m_nodes_sink(struct lwm2m_nodes *nodes)
{
    dr_assert(nodes != NULL);
    return (struct lwm2m_sink){.fn = nodes_take, .arg = nodes};
}

const struct lwm2m_node *lwm2m_nodes_find(const struct lwm2m_nodes *nodes,
                                          const struct lwm2m_path *path)
{
    dr_assert(nodes != NULL && path != NULL);

    const struct lwm2m_node *best = NULL;

    for (size_t i = 0; i < nodes->count; i++) {
        const struct lwm2m_node *node = &nodes->items[i];
        if (!lwm2m_path_eq(&node->path, path)) {
            continue;
        }
        if (!node->timed) {
            return node;
        }
        if (best == NULL || node->time_ms > best->time_ms) {
            best = node;
        }
    }
    return best;
}
