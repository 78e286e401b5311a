/* SPDX-License-Identifier: Apache-2.0 */
#include "client/core/links.h"

static void comma(struct cl_out *out)
{
    if (out->len > 0) {
        cl_out_text(out, ",");
    }
}

static void link_put(struct cl_out *out, const struct cl_path *path)
{
    comma(out);
    cl_out_text(out, "<");
    cl_out_path(out, path);
    cl_out_text(out, ">");
}

static void version_put(struct cl_out *out, const struct cl_obj *obj)
{
    if (obj->version != NULL) {
        cl_out_text(out, ";ver=");
        cl_out_text(out, obj->version);
    }
}

/* Without instances and without a way to make some: as if it were not there. */
static bool hidden(const struct cl_obj *obj, size_t instances)
{
    return instances == 0 && obj->create == NULL;
}

void cl_links_register(const struct cl_objects *all, struct cl_out *out)
{
    uint16_t ids[CL_INSTANCES_MAX];

    cl_out_text(out, "</>;rt=\"oma.lwm2m\";ct=\"112 11542\"");
    for (size_t i = 0; i < all->count; i++) {
        const struct cl_obj *obj = all->obj[i];
        size_t n = cl_obj_instances(obj, ids);
        if (obj->id == 0 || hidden(obj, n)) {
            continue;
        }
        if (n == 0 || obj->version != NULL) {
            link_put(out, &(struct cl_path){.depth = 1, .id = {obj->id}});
            version_put(out, obj);
        }
        for (size_t k = 0; k < n; k++) {
            link_put(out, &(struct cl_path){.depth = 2, .id = {obj->id, ids[k]}});
        }
    }
}

static void pelion_resource(const struct cl_obj *obj, uint16_t inst, const struct cl_res *res,
                            struct cl_observers *observers, uint16_t *token, uint64_t now_ms,
                            struct cl_out *out)
{
    struct cl_path path = {.depth = 3, .id = {obj->id, inst, res->id}};
    struct cl_value v;
    bool readable = (res->flags & CL_READ) != 0;
    cl_err_t err = readable ? cl_obj_read(obj, inst, res, 0, &v) : CL_ERR_DENIED;

    if (err == CL_ERR_NOENT && (res->flags & CL_MULTI) == 0) {
        return;
    }
    link_put(out, &path);
    if (res->rt != NULL) {
        cl_out_text(out, ";rt=\"");
        cl_out_text(out, res->rt);
        cl_out_text(out, "\"");
    }
    if (res->rt == NULL || err != CL_OK || (res->flags & CL_MULTI) != 0) {
        if (readable) {
            cl_out_text(out, ";obs");
        }
        return;
    }
    cl_out_text(out, ";v=\"");
    cl_text_put(out, &v);
    cl_out_text(out, "\"");
    uint8_t t[2] = {(uint8_t)(*token >> 8), (uint8_t)*token};
    if (cl_observe_add(observers, &path, t, sizeof t, CL_ID_NONE, now_ms) != NULL) {
        cl_out_text(out, ";aobs=\"");
        cl_out_int(out, *token);
        cl_out_text(out, "\"");
        *token = (uint16_t)(*token + 1);
    }
}

void cl_links_pelion(const struct cl_objects *all, struct cl_observers *observers, uint16_t first,
                     uint64_t now_ms, struct cl_out *out)
{
    uint16_t ids[CL_INSTANCES_MAX];

    for (size_t i = 0; i < all->count; i++) {
        const struct cl_obj *obj = all->obj[i];
        size_t n = cl_obj_instances(obj, ids);
        if (obj->id == 0 || hidden(obj, n)) {
            continue;
        }
        link_put(out, &(struct cl_path){.depth = 1, .id = {obj->id}});
        for (size_t k = 0; k < n; k++) {
            link_put(out, &(struct cl_path){.depth = 2, .id = {obj->id, ids[k]}});
            for (size_t r = 0; r < obj->res_count; r++) {
                pelion_resource(obj, ids[k], &obj->res[r], observers, &first, now_ms, out);
            }
        }
    }
}

static void number_put(struct cl_out *out, const char *name, bool has, double v)
{
    if (has) {
        cl_out_text(out, name);
        cl_out_float(out, v);
    }
}

static void attrs_put(struct cl_out *out, const struct cl_attrs *a)
{
    if (a == NULL) {
        return;
    }
    number_put(out, ";pmin=", a->has_pmin, a->pmin_s);
    number_put(out, ";pmax=", a->has_pmax, a->pmax_s);
    number_put(out, ";gt=", a->has_gt, a->gt);
    number_put(out, ";lt=", a->has_lt, a->lt);
    number_put(out, ";st=", a->has_st, a->st);
}

static void discover_resource(const struct cl_obj *obj, const struct cl_observers *o,
                              const struct cl_res *res, const struct cl_path *at, bool detail,
                              struct cl_out *out)
{
    struct cl_value v;
    uint16_t count = 0;

    if ((res->flags & CL_OPTIONAL) != 0 && (res->flags & CL_READ) != 0 &&
        cl_obj_read(obj, at->id[1], res, 0, &v) == CL_ERR_NOENT) {
        return;
    }
    link_put(out, at);
    if ((res->flags & (CL_MULTI | CL_READ)) == (CL_MULTI | CL_READ)) {
        while (cl_obj_read(obj, at->id[1], res, count, &v) == CL_OK) {
            count++;
        }
        cl_out_text(out, ";dim=");
        cl_out_int(out, count);
    }
    if (detail) {
        attrs_put(out, cl_attrs_at(o, at));
    }
}

static void discover_instance(const struct cl_obj *obj, const struct cl_observers *o, uint16_t inst,
                              const struct cl_path *path, struct cl_out *out)
{
    struct cl_path at = {.depth = 2, .id = {obj->id, inst}};

    if (path->depth < 3) {
        link_put(out, &at);
        attrs_put(out, cl_attrs_at(o, &at));
    }
    for (size_t i = 0; i < obj->res_count; i++) {
        if (path->depth < 3 || obj->res[i].id == path->id[2]) {
            at = (struct cl_path){.depth = 3, .id = {obj->id, inst, obj->res[i].id}};
            discover_resource(obj, o, &obj->res[i], &at, path->depth > 1, out);
        }
    }
}

cl_err_t cl_links_discover(const struct cl_objects *all, const struct cl_observers *o,
                           const struct cl_path *path, struct cl_out *out)
{
    const struct cl_obj *obj = path->depth > 0 ? cl_object_find(all, path->id[0]) : NULL;
    uint16_t ids[CL_INSTANCES_MAX];

    if (obj == NULL || (path->depth > 1 && !cl_obj_has(obj, path->id[1])) ||
        (path->depth > 2 && cl_res_find(obj, path->id[2]) == NULL)) {
        return CL_ERR_NOENT;
    }
    if (obj->id == 0) {
        return CL_ERR_AUTH;
    }
    if (path->depth == 1) {
        link_put(out, path);
        version_put(out, obj);
        attrs_put(out, cl_attrs_at(o, path));
    }
    size_t n = cl_obj_instances(obj, ids);
    for (size_t i = 0; i < n; i++) {
        if (path->depth == 1 || path->id[1] == ids[i]) {
            discover_instance(obj, o, ids[i], path, out);
        }
    }
    return out->full ? CL_ERR_SPACE : CL_OK;
}

static void security_put(const struct cl_accounts *a, uint16_t inst, struct cl_out *out)
{
    for (size_t i = 0; i < CL_ACCOUNTS_MAX; i++) {
        const struct cl_account *acc = &a->account[i];
        if (acc->there && acc->inst == inst && i != CL_BOOTSTRAPPER) {
            cl_out_text(out, ";ssid=");
            cl_out_int(out, acc->ssid);
            cl_out_text(out, ";uri=\"");
            cl_out_text(out, acc->uri);
            cl_out_text(out, "\"");
        }
    }
}

static void bootstrap_object(const struct cl_obj *obj, const struct cl_accounts *a,
                             struct cl_out *out)
{
    uint16_t ids[CL_INSTANCES_MAX];
    size_t n = cl_obj_instances(obj, ids);

    if (hidden(obj, n)) {
        return;
    }
    if (n == 0 || obj->version != NULL) {
        link_put(out, &(struct cl_path){.depth = 1, .id = {obj->id}});
        version_put(out, obj);
    }
    for (size_t k = 0; k < n; k++) {
        link_put(out, &(struct cl_path){.depth = 2, .id = {obj->id, ids[k]}});
        if (obj->id == 0) {
            security_put(a, ids[k], out);
        } else if (obj->id == 1) {
            cl_out_text(out, ";ssid=");
            cl_out_int(out, a->server.ssid);
        }
    }
}

cl_err_t cl_links_bootstrap(const struct cl_objects *all, const struct cl_accounts *a,
                            const struct cl_path *path, struct cl_out *out)
{
    if (path->depth > 1 || (path->depth == 1 && cl_object_find(all, path->id[0]) == NULL)) {
        return CL_ERR_NOENT;
    }
    cl_out_text(out, "</>;lwm2m=1.1");
    for (size_t i = 0; i < all->count; i++) {
        if (path->depth == 0 || all->obj[i]->id == path->id[0]) {
            bootstrap_object(all->obj[i], a, out);
        }
    }
    return out->full ? CL_ERR_SPACE : CL_OK;
}
