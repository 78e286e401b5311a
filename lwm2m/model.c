/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/model.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "lwm2m/model_priv.h"
#include "lwm2m/util_priv.h"

struct lwm2m_models {
    const struct lwm2m_obj_def **defs; /**< ascending by (id, version) */
    size_t count, cap;
    struct lwm2m_obj_def **owned; /**< those of defs that lwm2m_models_add() made */
    size_t owned_count;
};

static int def_cmp(uint16_t id, struct lwm2m_version version, const struct lwm2m_obj_def *def)
{
    return id != def->id ? (int)id - (int)def->id : lwm2m_version_cmp(version, def->version);
}

/* Place of the first definition that is not before (id, version). */
static size_t lower_bound(const struct lwm2m_models *models, uint16_t id,
                          struct lwm2m_version version)
{
    size_t from = 0, to = models->count;

    while (from < to) {
        size_t mid = from + (to - from) / 2;
        if (def_cmp(id, version, models->defs[mid]) > 0) {
            from = mid + 1;
        } else {
            to = mid;
        }
    }
    return from;
}

static void put_all(struct lwm2m_models *models, const struct lwm2m_obj_def *defs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        dr_assert(models->count == 0 ||
                  def_cmp(defs[i].id, defs[i].version, models->defs[models->count - 1]) > 0);
        models->defs[models->count++] = &defs[i];
    }
}

static void put_built_in(struct lwm2m_models *models)
{
    models->count = 0;
    put_all(models, lwm2m_core_objects, lwm2m_core_objects_count);
    put_all(models, lwm2m_ipso_objects, lwm2m_ipso_objects_count);
    put_all(models, lwm2m_pelion_objects, lwm2m_pelion_objects_count);
}

dr_err_t lwm2m_models_new(struct lwm2m_models **ret)
{
    dr_assert(ret != NULL);

    size_t cap = lwm2m_core_objects_count + lwm2m_ipso_objects_count + lwm2m_pelion_objects_count +
                 LWM2M_MODELS_MAX;
    struct lwm2m_models *models = calloc(1, sizeof(*models));

    if (models == NULL) {
        return DR_ERR_NOMEM;
    }
    models->cap = cap;
    models->defs = calloc(cap, sizeof(models->defs[0]));
    models->owned = calloc(LWM2M_MODELS_MAX, sizeof(models->owned[0]));
    if (models->defs == NULL || models->owned == NULL) {
        lwm2m_models_free(models);
        return DR_ERR_NOMEM;
    }
    put_built_in(models);
    *ret = models;
    return DR_OK;
}

struct lwm2m_models *lwm2m_models_free(struct lwm2m_models *models)
{
    if (models != NULL) {
        for (size_t i = 0; i < models->owned_count; i++) {
            free(models->owned[i]);
        }
        free(models->owned);
        free(models->defs);
        free(models);
    }
    return NULL;
}

static bool def_ok(const struct lwm2m_obj_def *def)
{
    if (def->id == LWM2M_ID_RESERVED || def->name == NULL || def->name[0] == '\0') {
        return false;
    }
    for (size_t i = 0; i < def->res_count; i++) {
        const struct lwm2m_res_def *res = &def->res[i];
        if (res->id == LWM2M_ID_RESERVED || res->name == NULL || res->type >= LWM2M_TYPE_COUNT ||
            (i > 0 && def->res[i - 1].id >= res->id)) {
            return false;
        }
    }
    return true;
}

static size_t text_size(const char *s)
{
    return s == NULL ? 0 : strlen(s) + 1;
}

static const char *text_copy(struct dr_wr *wr, const char *s)
{
    if (s == NULL) {
        return NULL;
    }
    size_t n = strlen(s) + 1;
    char *to = (char *)dr_wr_reserve(wr, n);
    dr_assert(to != NULL);
    memcpy(to, s, n);
    return to;
}

/* Definition, resources and texts in one piece of memory. */
static struct lwm2m_obj_def *def_copy(const struct lwm2m_obj_def *def)
{
    size_t res_size = def->res_count * sizeof(def->res[0]), size = text_size(def->name);

    for (size_t i = 0; i < def->res_count; i++) {
        size += text_size(def->res[i].name) + text_size(def->res[i].range) +
                text_size(def->res[i].units);
    }
    struct lwm2m_obj_def *copy = malloc(sizeof(*copy) + res_size + size);
    if (copy == NULL) {
        return NULL;
    }
    struct lwm2m_res_def *res = (struct lwm2m_res_def *)(copy + 1);
    struct dr_wr wr = dr_wr_of((char *)(copy + 1) + res_size, size);
    *copy = *def;
    copy->name = text_copy(&wr, def->name);
    copy->res = res;
    for (size_t i = 0; i < def->res_count; i++) {
        res[i] = def->res[i];
        res[i].name = text_copy(&wr, def->res[i].name);
        res[i].range = text_copy(&wr, def->res[i].range);
        res[i].units = text_copy(&wr, def->res[i].units);
    }
    return copy;
}

static bool is_owned(const struct lwm2m_models *models, const struct lwm2m_obj_def *def)
{
    for (size_t i = 0; i < models->owned_count; i++) {
        if (models->owned[i] == def) {
            return true;
        }
    }
    return false;
}

static bool is_at(const struct lwm2m_models *models, size_t at, const struct lwm2m_obj_def *def)
{
    return at < models->count && def_cmp(def->id, def->version, models->defs[at]) == 0;
}

/* In its place, or in place of the same version. */
static void def_insert(struct lwm2m_models *models, const struct lwm2m_obj_def *def)
{
    size_t at = lower_bound(models, def->id, def->version);

    if (!is_at(models, at, def)) {
        dr_assert(models->count < models->cap);
        memmove(&models->defs[at + 1], &models->defs[at],
                (models->count - at) * sizeof(models->defs[0]));
        models->count++;
    }
    models->defs[at] = def;
}

dr_err_t lwm2m_models_add(struct lwm2m_models *models, const struct lwm2m_obj_def *def)
{
    dr_assert(models != NULL && def != NULL);

    if (!def_ok(def)) {
        return DR_ERR_INVAL;
    }
    size_t at = lower_bound(models, def->id, def->version);
    if (is_at(models, at, def) && is_owned(models, models->defs[at])) {
        return DR_ERR_EXISTS;
    }
    if (models->owned_count == LWM2M_MODELS_MAX) {
        return DR_ERR_LIMIT;
    }
    struct lwm2m_obj_def *copy = def_copy(def);
    if (copy == NULL) {
        return DR_ERR_NOMEM;
    }
    models->owned[models->owned_count++] = copy;
    def_insert(models, copy);
    return DR_OK;
}

size_t lwm2m_models_mark(const struct lwm2m_models *models)
{
    dr_assert(models != NULL);
    return models->owned_count;
}

void lwm2m_models_rollback(struct lwm2m_models *models, size_t mark)
{
    dr_assert(models != NULL && mark <= models->owned_count);

    if (mark == models->owned_count) {
        return;
    }
    while (models->owned_count > mark) {
        free(models->owned[--models->owned_count]);
    }
    put_built_in(models);
    for (size_t i = 0; i < models->owned_count; i++) {
        def_insert(models, models->owned[i]);
    }
}

size_t lwm2m_models_count(const struct lwm2m_models *models)
{
    dr_assert(models != NULL);
    return models->count;
}

const struct lwm2m_obj_def *lwm2m_models_at(const struct lwm2m_models *models, size_t i)
{
    dr_assert(models != NULL && i < models->count);
    return models->defs[i];
}

/* What each enabler ships; 0.0 = it does not have the object. spec: LWM2M-1.2-CORE#E */
static const struct {
    uint16_t id;
    struct lwm2m_version in[3]; /**< 1.0, 1.1, 1.2 */
} core_versions[] = {
    {0, {{1, 0}, {1, 1}, {1, 2}}}, {1, {{1, 0}, {1, 1}, {1, 2}}}, {2, {{1, 0}, {1, 0}, {1, 1}}},
    {3, {{1, 0}, {1, 1}, {1, 2}}}, {4, {{1, 0}, {1, 2}, {1, 3}}}, {5, {{1, 0}, {1, 0}, {1, 1}}},
    {6, {{1, 0}, {1, 0}, {1, 0}}}, {7, {{1, 0}, {1, 0}, {1, 0}}}, {21, {{1, 0}, {1, 0}, {2, 0}}},
};

struct lwm2m_version lwm2m_object_default_version(uint16_t id, struct lwm2m_version enabler)
{
    unsigned column = enabler.major > 1 || enabler.minor > 2 ? 2 : enabler.minor;

    for (size_t i = 0; i < DR_ARRAY_LEN(core_versions); i++) {
        if (core_versions[i].id == id) {
            return core_versions[i].in[enabler.major == 0 ? 0 : column];
        }
    }
    return LWM2M_VERSION(1, 0);
}

const struct lwm2m_obj_def *lwm2m_models_get(const struct lwm2m_models *models, uint16_t id,
                                             struct lwm2m_version version,
                                             struct lwm2m_version enabler)
{
    dr_assert(models != NULL);

    const struct lwm2m_obj_def *best = NULL;
    int best_distance = 0;

    if (version.major == 0 && version.minor == 0) {
        version = lwm2m_object_default_version(id, enabler);
    }
    for (size_t i = lower_bound(models, id, LWM2M_VERSION(version.major, 0));
         i < models->count && models->defs[i]->id == id &&
         models->defs[i]->version.major == version.major;
         i++) {
        int distance = abs((int)models->defs[i]->version.minor - (int)version.minor);
        if (best == NULL || distance <= best_distance) {
            best = models->defs[i];
            best_distance = distance;
        }
    }
    return best;
}

const struct lwm2m_res_def *lwm2m_obj_res(const struct lwm2m_obj_def *obj, uint16_t res)
{
    size_t from = 0, to = obj == NULL ? 0 : obj->res_count;

    while (from < to) {
        size_t mid = from + (to - from) / 2;
        if (obj->res[mid].id == res) {
            return &obj->res[mid];
        }
        if (obj->res[mid].id < res) {
            from = mid + 1;
        } else {
            to = mid;
        }
    }
    return NULL;
}

dr_err_t lwm2m_type_parse(struct lwm2m_str text, enum lwm2m_type *ret)
{
    dr_assert(ret != NULL);

    static const struct {
        const char *name;
        enum lwm2m_type type;
    } names[] = {
        {"", LWM2M_TYPE_NONE},           {"none", LWM2M_TYPE_NONE},
        {"string", LWM2M_TYPE_STRING},   {"integer", LWM2M_TYPE_INT},
        {"float", LWM2M_TYPE_FLOAT},     {"unsigned integer", LWM2M_TYPE_UINT},
        {"unsigned", LWM2M_TYPE_UINT},   {"boolean", LWM2M_TYPE_BOOL},
        {"opaque", LWM2M_TYPE_OPAQUE},   {"time", LWM2M_TYPE_TIME},
        {"objlnk", LWM2M_TYPE_OBJLNK},   {"corelnk", LWM2M_TYPE_CORELNK},
        {"corelnk", LWM2M_TYPE_CORELNK}, {"object link", LWM2M_TYPE_OBJLNK},
    };

    text = lwm2m_str_trim(text);
    for (size_t i = 0; i < DR_ARRAY_LEN(names); i++) {
        if (lwm2m_str_ieq(text, names[i].name)) {
            *ret = names[i].type;
            return DR_OK;
        }
    }
    return DR_ERR_INVAL;
}
