/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  client/core/object.h
 * @brief The device's objects as tables: resources, their rights, callbacks.
 *
 * Layer: client/core.  Threads: one loop.  Memory: tables and contexts are the owner's, borrowed
 * for ever. Limits: CL_OBJECTS_MAX objects, CL_INSTANCES_MAX instances an object. Security: a
 * resource without CL_READ never leaves the device, whoever asks.
 *
 * Errors of callbacks become answers: CL_ERR_NOENT 4.04, CL_ERR_INVAL 4.00, CL_ERR_DENIED 4.05,
 * CL_ERR_FORMAT 4.15, CL_ERR_SPACE 4.13, CL_ERR_AUTH 4.01, CL_ERR_STATE and CL_ERR_OLD 4.00,
 * CL_ERR_BUSY 5.03, all others 5.00.
 */
#pragma once

#include "client/core/common.h"

#define CL_OBJECTS_MAX   16
#define CL_INSTANCES_MAX 8
#define CL_ID_NONE       0xffff

enum cl_type {
    CL_NONE, /**< no value: something that is only executed */
    CL_STRING,
    CL_INT,
    CL_UINT,
    CL_FLOAT,
    CL_BOOL,
    CL_OPAQUE,
    CL_TIME,
    CL_LINK,
};

struct cl_bytes {
    const uint8_t *p;
    size_t len;
};

struct cl_value {
    enum cl_type type;
    union {
        int64_t i; /**< CL_INT, CL_UINT, CL_TIME */
        double f;
        bool b;
        struct cl_bytes s; /**< CL_STRING (no end byte needed), CL_OPAQUE */
        struct {
            uint16_t obj, inst;
        } link;
    };
};

enum cl_res_flags {
    CL_READ = 1,
    CL_WRITE = 2,
    CL_EXEC = 4,
    CL_MULTI = 8,      /**< has resource instances, numbered from 0 without gaps */
    CL_STREAM = 16,    /**< writes, or execute arguments, go to cl_obj.stream block by block */
    CL_BOOTSTRAP = 32, /**< writable by the bootstrap server only */
    CL_SEPARATE = 64,  /**< execute is always acknowledged empty first */
    CL_OPTIONAL = 128, /**< may be absent: left out of lists when read says CL_ERR_NOENT */
};

struct cl_res {
    uint16_t id;
    uint8_t type;   /**< enum cl_type */
    uint8_t flags;  /**< enum cl_res_flags */
    const char *rt; /**< resource type in a Pelion registration, or NULL */
};

/** A part of a written value. Parts come in order without gaps; offset 0 starts again. */
struct cl_part {
    size_t offset;
    const uint8_t *p;
    size_t len;
    size_t total; /**< as the server announced it, 0 = not said */
    bool last;
    uint16_t format; /**< content format, CL_ID_NONE when there was none */
};

struct cl_obj {
    uint16_t id;
    const char *version; /**< "1.1"; NULL when the enabler's default is right */
    const struct cl_res *res;
    size_t res_count;
    void *ctx; /**< of the owner */

    /** Fill the ids of instances, ascending. NULL: one instance, 0. @return how many */
    size_t (*instances)(const struct cl_obj *obj, uint16_t ret[CL_INSTANCES_MAX]);
    /**
     * @param ri   resource instance, 0 for single ones
     * @param ret  type is set already; bytes stay valid until the next call of this object
     * @retval CL_ERR_NOENT  no such instance, absent optional resource, or no more resource
     *                       instances
     */
    cl_err_t (*read)(const struct cl_obj *obj, uint16_t inst, uint16_t res, uint16_t ri,
                     struct cl_value *ret);
    /** The value has the type of the resource. Bytes are borrowed. */
    cl_err_t (*write)(const struct cl_obj *obj, uint16_t inst, uint16_t res, uint16_t ri,
                      const struct cl_value *value);
    /**
     * @param args  text, borrowed
     * @retval CL_ERR_LATER  the answer follows with cl_done(); other such requests get 5.03 until
     *                       then
     */
    cl_err_t (*exec)(const struct cl_obj *obj, uint16_t inst, uint16_t res, const uint8_t *args,
                     size_t len);
    /** Writes and arguments of resources with CL_STREAM. CL_ERR_LATER only for the last part. */
    cl_err_t (*stream)(const struct cl_obj *obj, uint16_t inst, uint16_t res,
                       const struct cl_part *part);
    /** Instance @p inst shall exist (fresh) or be gone; NULL: the server may not do that. */
    cl_err_t (*create)(const struct cl_obj *obj, uint16_t inst);
    cl_err_t (*remove)(const struct cl_obj *obj, uint16_t inst);
};

struct cl_objects {
    const struct cl_obj *obj[CL_OBJECTS_MAX]; /**< ascending ids */
    size_t count;
};

/** @retval CL_ERR_SPACE  CL_OBJECTS_MAX are there  @retval CL_ERR_STATE  the id is there */
CL_CHECK cl_err_t cl_object_add(struct cl_objects *all, const struct cl_obj *obj);
/** NULL when there is none. */
const struct cl_obj *cl_object_find(const struct cl_objects *all, uint16_t id);
const struct cl_res *cl_res_find(const struct cl_obj *obj, uint16_t id);
size_t cl_obj_instances(const struct cl_obj *obj, uint16_t ret[CL_INSTANCES_MAX]);
bool cl_obj_has(const struct cl_obj *obj, uint16_t inst);
/** Reads whatever the rights are, with the type filled in. @retval CL_ERR_NOENT  as cl_obj.read */
CL_CHECK cl_err_t cl_obj_read(const struct cl_obj *obj, uint16_t inst, const struct cl_res *res,
                              uint16_t ri, struct cl_value *ret);

static inline void cl_value_text(struct cl_value *v, const char *text)
{
    v->s.p = (const uint8_t *)text;
    v->s.len = strlen(text);
}
