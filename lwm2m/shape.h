/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  lwm2m/shape.h
 * @brief Interning of link lists: devices with equal lists share one, and keep its 32-bit number.
 *
 * Layer: lwm2m, pure.  Threads: a table belongs to one loop.
 * Memory: one canonical text and one parsed list per shape; freed with its last reference.
 * Limits: number of shapes and bytes, given at init.  Security: hash keyed by the caller's seed, so
 * lists cannot be chosen to collide.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "lwm2m/links.h"

#define LWM2M_SHAPE_NONE 0 /**< never the number of a shape */

struct lwm2m_shapes;

/** @param max shapes and @param bytes_max canonical bytes at most. @retval DR_ERR_NOMEM */
DR_CHECK dr_err_t lwm2m_shapes_new(uint32_t max, size_t bytes_max, uint64_t seed,
                                   struct lwm2m_shapes **ret);
struct lwm2m_shapes *lwm2m_shapes_free(struct lwm2m_shapes *shapes); /**< returns NULL */

/**
 * The shape of @p links, made if new; one reference more.
 * @retval DR_ERR_LIMIT  it is new and a maximum is reached
 * @retval DR_ERR_NOMEM
 */
DR_CHECK dr_err_t lwm2m_shape_intern(struct lwm2m_shapes *shapes, const struct lwm2m_links *links,
                                     uint32_t *ret);

/** The same from canonical text (as stored). Adds the errors of lwm2m_links_parse(). */
DR_CHECK dr_err_t lwm2m_shape_intern_text(struct lwm2m_shapes *shapes, const char *text, size_t len,
                                          uint32_t *ret);

/** One reference more. @p shape must be live. */
void lwm2m_shape_ref(struct lwm2m_shapes *shapes, uint32_t shape);
/** One reference less; LWM2M_SHAPE_NONE does nothing. */
void lwm2m_shape_unref(struct lwm2m_shapes *shapes, uint32_t shape);

/** The parsed list (without v= and aobs=); borrowed while a reference is held. NULL for
 * LWM2M_SHAPE_NONE. */
const struct lwm2m_links *lwm2m_shape_links(const struct lwm2m_shapes *shapes, uint32_t shape);
/** The canonical text; borrowed likewise. */
struct lwm2m_str lwm2m_shape_text(const struct lwm2m_shapes *shapes, uint32_t shape);

uint32_t lwm2m_shapes_count(const struct lwm2m_shapes *shapes);
size_t lwm2m_shapes_bytes(const struct lwm2m_shapes *shapes);
