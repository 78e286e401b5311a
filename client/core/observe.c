/* SPDX-License-Identifier: Apache-2.0 */
#include "client/core/observe.h"

#include "client/core/codec.h"

bool cl_path_same(const struct cl_path *a, const struct cl_path *b)
{
    for (size_t i = 0; i < a->depth; i++) {
        if (a->id[i] != b->id[i]) {
            return false;
        }
    }
    return a->depth == b->depth;
}

void cl_observe_clear(struct cl_observers *o)
{
    memset(o->observer, 0, sizeof o->observer);
}

static bool token_same(const struct cl_observer *ob, const uint8_t *token, uint8_t len)
{
    return ob->token_len == len && memcmp(ob->token, token, len) == 0;
}

struct cl_observer *cl_observe_add(struct cl_observers *o, const struct cl_path *path,
                                   const uint8_t *token, uint8_t token_len, uint16_t accept,
                                   uint64_t now_ms)
{
    struct cl_observer *place = NULL;

    for (size_t i = 0; i < CL_OBSERVERS_MAX; i++) {
        struct cl_observer *ob = &o->observer[i];
        if (ob->there && token_same(ob, token, token_len)) {
            place = ob;
            break;
        }
        if (!ob->there && place == NULL) {
            place = ob;
        }
    }
    if (place != NULL) {
        uint32_t seq = place->there ? place->seq + 1 : 1;
        *place = (struct cl_observer){.there = true,
                                      .token_len = token_len,
                                      .accept = accept,
                                      .path = *path,
                                      .seq = seq,
                                      .sent_ms = now_ms};
        memcpy(place->token, token, token_len);
    }
    return place;
}

void cl_observe_cancel(struct cl_observers *o, const struct cl_path *path, const uint8_t *token,
                       uint8_t token_len)
{
    for (size_t i = 0; i < CL_OBSERVERS_MAX; i++) {
        struct cl_observer *ob = &o->observer[i];
        if (ob->there && token_same(ob, token, token_len) && cl_path_same(&ob->path, path)) {
            ob->there = false;
        }
    }
}

/* The change is at or below the path, or the path is below it. */
static bool touches(const struct cl_path *path, const uint16_t id[3])
{
    for (size_t i = 0; i < path->depth && i < 3 && id[i] != CL_ID_NONE; i++) {
        if (path->id[i] != id[i]) {
            return false;
        }
    }
    return true;
}

void cl_observe_changed(struct cl_observers *o, uint16_t obj, uint16_t inst, uint16_t res)
{
    const uint16_t id[3] = {obj, inst, res};

    for (size_t i = 0; i < CL_OBSERVERS_MAX; i++) {
        struct cl_observer *ob = &o->observer[i];
        ob->dirty = ob->dirty || (ob->there && touches(&ob->path, id));
    }
}

bool cl_observe_unsent(const struct cl_observers *o, uint16_t obj, uint16_t inst, uint16_t res)
{
    const uint16_t id[3] = {obj, inst, res};

    for (size_t i = 0; i < CL_OBSERVERS_MAX; i++) {
        const struct cl_observer *ob = &o->observer[i];
        if (ob->there && (ob->dirty || ob->flying) && touches(&ob->path, id)) {
            return true;
        }
    }
    return false;
}

static void attrs_merge(struct cl_attrs *into, const struct cl_attrs *from)
{
    if (from->has_pmin) {
        into->has_pmin = true;
        into->pmin_s = from->pmin_s;
    }
    if (from->has_pmax) {
        into->has_pmax = true;
        into->pmax_s = from->pmax_s;
    }
    if (from->has_gt) {
        into->has_gt = true;
        into->gt = from->gt;
    }
    if (from->has_lt) {
        into->has_lt = true;
        into->lt = from->lt;
    }
    if (from->has_st) {
        into->has_st = true;
        into->st = from->st;
    }
}

const struct cl_attrs *cl_attrs_at(const struct cl_observers *o, const struct cl_path *path)
{
    for (size_t i = 0; i < CL_ATTRS_MAX; i++) {
        if (o->attrs[i].there && cl_path_same(&o->attrs[i].path, path)) {
            return &o->attrs[i];
        }
    }
    return NULL;
}

void cl_attrs_for(const struct cl_observers *o, const struct cl_path *path, struct cl_attrs *ret)
{
    struct cl_path level = *path;

    *ret = (struct cl_attrs){.pmin_s = o->pmin_s, .pmax_s = o->pmax_s};
    for (level.depth = 1; level.depth <= path->depth; level.depth++) {
        const struct cl_attrs *at = cl_attrs_at(o, &level);
        if (at != NULL) {
            attrs_merge(ret, at);
        }
    }
    if (ret->pmax_s < ret->pmin_s) { /* spec: LWM2M-1.1-CORE#5.1.2: such a pmax is ignored */
        ret->pmax_s = 0;
    }
}

uint64_t cl_observe_due(const struct cl_observers *o, const struct cl_observer *ob)
{
    struct cl_attrs a;

    if (!ob->there || ob->flying) {
        return CL_NEVER;
    }
    cl_attrs_for(o, &ob->path, &a);
    if (ob->dirty) {
        return ob->sent_ms + a.pmin_s * UINT64_C(1000);
    }
    return a.pmax_s > 0 ? ob->sent_ms + a.pmax_s * UINT64_C(1000) : CL_NEVER;
}

bool cl_observe_passes(const struct cl_observers *o, const struct cl_observer *ob, double value,
                       uint64_t now_ms)
{
    struct cl_attrs a;
    double step = value > ob->last ? value - ob->last : ob->last - value;

    cl_attrs_for(o, &ob->path, &a);
    if (!ob->has_last || (a.pmax_s > 0 && now_ms >= ob->sent_ms + a.pmax_s * UINT64_C(1000)) ||
        (!a.has_gt && !a.has_lt && !a.has_st)) {
        return true;
    }
    return (a.has_gt && (value > a.gt) != (ob->last > a.gt)) ||
           (a.has_lt && (value < a.lt) != (ob->last < a.lt)) || (a.has_st && step >= a.st);
}

static bool name_is(struct cl_bytes query, const char *name, struct cl_bytes *ret_value)
{
    size_t n = strlen(name);

    if (query.len < n || memcmp(query.p, name, n) != 0 || (query.len > n && query.p[n] != '=')) {
        return false;
    }
    *ret_value = query.len > n ? (struct cl_bytes){query.p + n + 1, query.len - n - 1}
                               : (struct cl_bytes){NULL, 0};
    return true;
}

/* A name without value takes the attribute away. */
static cl_err_t seconds_set(struct cl_bytes text, bool *has, uint32_t *ret)
{
    int64_t v;

    *has = text.p != NULL;
    if (text.p == NULL) {
        return CL_OK;
    }
    if (cl_int_parse(text, &v) != CL_OK || v < 0 || v > UINT32_MAX) {
        return CL_ERR_INVAL;
    }
    *ret = (uint32_t)v;
    return CL_OK;
}

static cl_err_t number_set(const struct cl_path *path, struct cl_bytes text, bool *has, double *ret)
{
    *has = text.p != NULL;
    if (path->depth < 3) {
        return CL_ERR_INVAL;
    }
    return text.p == NULL ? CL_OK : cl_float_parse(text, ret);
}

static cl_err_t attr_set(struct cl_attrs *a, struct cl_bytes query)
{
    struct cl_bytes v;

    if (name_is(query, "pmin", &v)) {
        return seconds_set(v, &a->has_pmin, &a->pmin_s);
    }
    if (name_is(query, "pmax", &v)) {
        return seconds_set(v, &a->has_pmax, &a->pmax_s);
    }
    if (name_is(query, "gt", &v)) {
        return number_set(&a->path, v, &a->has_gt, &a->gt);
    }
    if (name_is(query, "lt", &v)) {
        return number_set(&a->path, v, &a->has_lt, &a->lt);
    }
    return name_is(query, "st", &v) ? number_set(&a->path, v, &a->has_st, &a->st) : CL_ERR_INVAL;
}

cl_err_t cl_attrs_write(struct cl_observers *o, const struct cl_path *path,
                        const struct cl_list *query)
{
    const struct cl_attrs *old = cl_attrs_at(o, path);
    struct cl_attrs a = {.there = true, .path = *path};
    size_t place = 0;

    if (old != NULL) {
        a = *old;
        place = (size_t)(old - o->attrs);
    } else {
        while (place < CL_ATTRS_MAX && o->attrs[place].there) {
            place++;
        }
    }
    for (size_t i = 0; i < query->count; i++) {
        if (attr_set(&a, query->seg[i]) != CL_OK) {
            return CL_ERR_INVAL;
        }
    }
    if (a.has_gt && a.has_lt && !(a.lt + 2 * (a.has_st ? a.st : 0) < a.gt)) {
        return CL_ERR_INVAL;
    }
    if (place == CL_ATTRS_MAX) {
        return CL_ERR_SPACE;
    }
    a.there = a.has_pmin || a.has_pmax || a.has_gt || a.has_lt || a.has_st;
    o->attrs[place] = a;
    return CL_OK;
}
