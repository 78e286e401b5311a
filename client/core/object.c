/* SPDX-License-Identifier: Apache-2.0 */
#include "client/core/object.h"

cl_err_t cl_object_add(struct cl_objects *all, const struct cl_obj *obj)
{
    size_t at = 0;

    if (all->count == CL_OBJECTS_MAX) {
        return CL_ERR_SPACE;
    }
    while (at < all->count && all->obj[at]->id < obj->id) {
        at++;
    }
    if (at < all->count && all->obj[at]->id == obj->id) {
        return CL_ERR_STATE;
    }
    memmove(&all->obj[at + 1], &all->obj[at], (all->count - at) * sizeof all->obj[0]);
    all->obj[at] = obj;
    all->count++;
    return CL_OK;
}

const struct cl_obj *cl_object_find(const struct cl_objects *all, uint16_t id)
{
    for (size_t i = 0; i < all->count; i++) {
        if (all->obj[i]->id == id) {
            return all->obj[i];
        }
    }
    return NULL;
}

const struct cl_res *cl_res_find(const struct cl_obj *obj, uint16_t id)
{
    for (size_t i = 0; i < obj->res_count; i++) {
        if (obj->res[i].id == id) {
            return &obj->res[i];
        }
    }
    return NULL;
}

size_t cl_obj_instances(const struct cl_obj *obj, uint16_t ret[CL_INSTANCES_MAX])
{
    if (obj->instances != NULL) {
        return obj->instances(obj, ret);
    }
    ret[0] = 0;
    return 1;
}

bool cl_obj_has(const struct cl_obj *obj, uint16_t inst)
{
    uint16_t ids[CL_INSTANCES_MAX];
    size_t n = cl_obj_instances(obj, ids);

    for (size_t i = 0; i < n; i++) {
        if (ids[i] == inst) {
            return true;
        }
    }
    return false;
}

cl_err_t cl_obj_read(const struct cl_obj *obj, uint16_t inst, const struct cl_res *res, uint16_t ri,
                     struct cl_value *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->type = (enum cl_type)res->type;
    if (obj->read == NULL || ((res->flags & CL_MULTI) == 0 && ri != 0)) {
        return CL_ERR_NOENT;
    }
    return obj->read(obj, inst, res->id, ri, ret);
}
