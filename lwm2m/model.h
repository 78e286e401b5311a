/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  lwm2m/model.h
 * @brief Object models: what objects and resources are called, typed and allowed; built-in table
 * plus loaded ones.
 *
 * Layer: lwm2m, pure.  Threads: a lwm2m_models is read by any number of threads once it is filled.
 * Memory: definitions are constants or owned by the lwm2m_models; all pointers live as long as it
 * does. Limits: LWM2M_MODELS_MAX loaded object versions.  Security: lookups take any number. Spec:
 * LWM2M-1.2-CORE#7.2, #E.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "lwm2m/format.h"
#include "lwm2m/path.h"
#include "lwm2m/value.h"

#define LWM2M_MODELS_MAX 4096

enum {
    LWM2M_OP_R = 1,
    LWM2M_OP_W = 2,
    LWM2M_OP_E = 4,
};

/** One resource of one object version. */
struct lwm2m_res_def {
    uint16_t id;
    uint8_t type; /**< enum lwm2m_type */
    uint8_t ops;  /**< LWM2M_OP_*; 0 = bootstrap interface only */
    bool multiple;
    bool mandatory;
    const char *name;
    const char *range; /**< free text as registered ("0..7"); NULL = none */
    const char *units; /**< NULL = none */
};

/** One version of one object. */
struct lwm2m_obj_def {
    uint16_t id;
    struct lwm2m_version version;
    bool multiple;
    bool mandatory;
    const char *name;
    const struct lwm2m_res_def *res; /**< ascending by id */
    uint16_t res_count;
};

struct lwm2m_models;

/** A registry that holds the built-in objects. @retval DR_ERR_NOMEM */
DR_CHECK dr_err_t lwm2m_models_new(struct lwm2m_models **ret);
struct lwm2m_models *
lwm2m_models_free(struct lwm2m_models *models); /**< returns NULL; NULL is fine */

/**
 * Put a copy of @p def in. The same (id, version) replaces a built-in definition.
 * @retval DR_ERR_EXISTS  the same (id, version) was added before
 * @retval DR_ERR_INVAL   ids not ascending, a reserved id, or no name
 * @retval DR_ERR_LIMIT   LWM2M_MODELS_MAX
 * @retval DR_ERR_NOMEM
 */
DR_CHECK dr_err_t lwm2m_models_add(struct lwm2m_models *models, const struct lwm2m_obj_def *def);

/** Number of object versions, and the i-th in order of (id, version). */
size_t lwm2m_models_count(const struct lwm2m_models *models);
const struct lwm2m_obj_def *lwm2m_models_at(const struct lwm2m_models *models, size_t i);

/**
 * Definition of an object that a device has listed.
 * @param version  as given with the object link; 0.0 = not given: the version that the enabler
 * ships for core objects, 1.0 for others
 * @param enabler  the `lwm2m` parameter of the registration (1.0 when in doubt)
 * @return exact version; else same major and nearest minor; else NULL (values stay untyped)
 */
const struct lwm2m_obj_def *lwm2m_models_get(const struct lwm2m_models *models, uint16_t id,
                                             struct lwm2m_version version,
                                             struct lwm2m_version enabler);

/** Default version of an object without `ver` for a client of @p enabler. */
struct lwm2m_version lwm2m_object_default_version(uint16_t id, struct lwm2m_version enabler);

/** NULL if the object has no such resource (or @p obj is NULL). */
const struct lwm2m_res_def *lwm2m_obj_res(const struct lwm2m_obj_def *obj, uint16_t res);

/** Type names of the registry ("Integer", "Unsigned Integer", "Objlnk", "" …), letter case ignored.
 */
DR_CHECK dr_err_t lwm2m_type_parse(struct lwm2m_str text, enum lwm2m_type *ret);

/**
 * Check a value before it is written.
 * @param res  NULL = unknown resource: everything passes
 * @retval DR_ERR_INVAL  wrong type (integers pass for unsigned and time when they are not negative,
 * and for float)
 * @retval DR_ERR_RANGE  outside the registered range or length; ranges that cannot be read pass
 */
DR_CHECK dr_err_t lwm2m_value_check(const struct lwm2m_res_def *res,
                                    const struct lwm2m_value *value, struct dr_errinfo *reterr);

/** What a request asks for; the CoAP method and path depth that stand for each are in codec users'
 * hands. */
enum lwm2m_operation {
    LWM2M_OPER_READ,
    LWM2M_OPER_DISCOVER,
    LWM2M_OPER_WRITE,         /**< replace (PUT) */
    LWM2M_OPER_WRITE_PARTIAL, /**< update (POST on an instance) */
    LWM2M_OPER_WRITE_ATTRS,
    LWM2M_OPER_EXECUTE,
    LWM2M_OPER_CREATE,
    LWM2M_OPER_DELETE,
    LWM2M_OPER_OBSERVE,
};

/**
 * May the DM server ask this of this path? Unknown objects and resources pass (models deviate),
 * levels that the operation does not have and a known resource without the right do not.
 * @retval DR_ERR_INVAL   the operation has no meaning at this level (4.05 by any client)
 * @retval DR_ERR_DENIED  the resource lacks R, W or E; objects 0 and 21; Delete of /3/0
 */
DR_CHECK dr_err_t lwm2m_operation_check(const struct lwm2m_obj_def *obj,
                                        const struct lwm2m_path *path,
                                        enum lwm2m_operation operation, struct dr_errinfo *reterr);
