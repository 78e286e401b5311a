/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/shape.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/slab.h"
#include "base/table.h"

struct shape {
    char *text; /**< owned, canonical */
    size_t len;
    struct lwm2m_links links; /**< parsed from text */
    uint32_t refs;
    uint32_t hash;
};

struct lwm2m_shapes {
    struct dr_slab slab;
    struct dr_table table;
    struct dr_hash_key key;
    size_t bytes, bytes_max;
    uint32_t count;
};

static struct shape *shape_at(const struct lwm2m_shapes *shapes, uint32_t index)
{
    dr_assert(shapes != NULL && dr_slab_used(&shapes->slab, index));
    return dr_slab_get(&shapes->slab, index);
}

static bool shape_eq(void *ctx, uint32_t index, const void *key)
{
    const struct shape *shape = shape_at(ctx, index);
    const struct lwm2m_str *text = key;

    return shape->len == text->len && memcmp(shape->text, text->ptr, text->len) == 0;
}

dr_err_t lwm2m_shapes_new(uint32_t max, size_t bytes_max, uint64_t seed, struct lwm2m_shapes **ret)
{
    dr_assert(max > 0 && ret != NULL);

    struct lwm2m_shapes *shapes = calloc(1, sizeof(*shapes));
    if (shapes == NULL) {
        return DR_ERR_NOMEM;
    }
    shapes->bytes_max = bytes_max;
    shapes->key = (struct dr_hash_key){.k0 = seed, .k1 = dr_mix64(seed + 1)};
    dr_err_t err = dr_slab_init(&shapes->slab, sizeof(struct shape), max, 0);
    if (err == DR_OK) {
        err = dr_table_init(&shapes->table, max, shape_eq, shapes);
    }
    if (err != DR_OK) {
        lwm2m_shapes_free(shapes);
        return err;
    }
    *ret = shapes;
    return DR_OK;
}

static void shape_fini(struct shape *shape)
{
    lwm2m_links_fini(&shape->links);
    free(shape->text);
}

struct lwm2m_shapes *lwm2m_shapes_free(struct lwm2m_shapes *shapes)
{
    if (shapes == NULL) {
        return NULL;
    }
    for (uint32_t i = shapes->count == 0 ? 0 : dr_slab_next(&shapes->slab, 0); i != 0;
         i = dr_slab_next(&shapes->slab, i)) {
        shape_fini(dr_slab_get(&shapes->slab, i));
    }
    dr_table_fini(&shapes->table);
    dr_slab_fini(&shapes->slab);
    free(shapes);
    return NULL;
}

/* Put a new shape in; takes @p text over on success only. */
static dr_err_t shape_add(struct lwm2m_shapes *shapes, char *text, size_t len, uint32_t hash,
                          uint32_t *ret)
{
    struct lwm2m_links links = {.count = 0};
    uint32_t index = 0;

    if (len > shapes->bytes_max - shapes->bytes) {
        return DR_ERR_LIMIT;
    }
    dr_err_t err = lwm2m_links_parse(text, len, LWM2M_LINKS_DISCOVER, &links);
    if (err != DR_OK) {
        return err;
    }
    err = dr_slab_alloc(&shapes->slab, &index);
    if (err == DR_OK) {
        err = dr_table_put(&shapes->table, hash, index);
        if (err != DR_OK) {
            dr_slab_free(&shapes->slab, index);
        }
    }
    if (err != DR_OK) {
        lwm2m_links_fini(&links);
        return err;
    }
    struct shape *shape = shape_at(shapes, index);
    *shape = (struct shape){.text = text, .len = len, .links = links, .refs = 1, .hash = hash};
    shapes->bytes += len;
    shapes->count++;
    *ret = index;
    return DR_OK;
}

dr_err_t lwm2m_shape_intern(struct lwm2m_shapes *shapes, const struct lwm2m_links *links,
                            uint32_t *ret)
{
    dr_assert(shapes != NULL && links != NULL && ret != NULL);

    char *text = NULL;
    size_t len = 0;

    dr_err_t err = lwm2m_links_canonical(links, &text, &len);
    if (err != DR_OK) {
        return err;
    }
    const struct lwm2m_str key = {.ptr = text, .len = len};
    uint32_t hash = dr_hash32(&shapes->key, text, len);
    uint32_t index = dr_table_get(&shapes->table, hash, &key);
    if (index == 0) {
        err = shape_add(shapes, text, len, hash, ret);
        if (err == DR_OK) {
            return DR_OK;
        }
    } else {
        lwm2m_shape_ref(shapes, index);
        *ret = index;
    }
    free(text);
    return err;
}

dr_err_t lwm2m_shape_intern_text(struct lwm2m_shapes *shapes, const char *text, size_t len,
                                 uint32_t *ret)
{
    struct lwm2m_links links = {.count = 0};

    dr_err_t err = lwm2m_links_parse(text, len, LWM2M_LINKS_DISCOVER, &links);
    if (err == DR_OK) {
        err = lwm2m_shape_intern(shapes, &links, ret);
    }
    lwm2m_links_fini(&links);
    return err;
}

void lwm2m_shape_ref(struct lwm2m_shapes *shapes, uint32_t shape)
{
    struct shape *s = shape_at(shapes, shape);

    dr_assert(s->refs > 0 && s->refs < UINT32_MAX);
    s->refs++;
}

void lwm2m_shape_unref(struct lwm2m_shapes *shapes, uint32_t shape)
{
    if (shape == LWM2M_SHAPE_NONE) {
        return;
    }
    struct shape *s = shape_at(shapes, shape);
    dr_assert(s->refs > 0);
    if (--s->refs > 0) {
        return;
    }
    bool was_there = dr_table_del(&shapes->table, s->hash, shape);
    dr_assert(was_there);
    shapes->bytes -= s->len;
    shapes->count--;
    shape_fini(s);
    dr_slab_free(&shapes->slab, shape);
}

const struct lwm2m_links *lwm2m_shape_links(const struct lwm2m_shapes *shapes, uint32_t shape)
{
    return shape == LWM2M_SHAPE_NONE ? NULL : &shape_at(shapes, shape)->links;
}

struct lwm2m_str lwm2m_shape_text(const struct lwm2m_shapes *shapes, uint32_t shape)
{
    if (shape == LWM2M_SHAPE_NONE) {
        return (struct lwm2m_str){.len = 0};
    }
    const struct shape *s = shape_at(shapes, shape);
    return (struct lwm2m_str){.ptr = s->text, .len = s->len};
}

uint32_t lwm2m_shapes_count(const struct lwm2m_shapes *shapes)
{
    dr_assert(shapes != NULL);
    return shapes->count;
}

size_t lwm2m_shapes_bytes(const struct lwm2m_shapes *shapes)
{
    dr_assert(shapes != NULL);
    return shapes->bytes;
}
