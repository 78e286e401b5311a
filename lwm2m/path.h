/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  lwm2m/path.h
 * @brief A path of up to four numbers: object, object instance, resource, resource instance.
 *
 * Layer: lwm2m, pure.  Threads: reentrant, no state.  Memory: never allocates.
 * Limits: depth 4, ids 0..65534 (65535 is reserved).  Security: text is hostile and never asserted
 * on. Spec: LWM2M-1.2-CORE#7.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define LWM2M_PATH_DEPTH_MAX 4
#define LWM2M_PATH_STR_MAX   25 /**< room for "/65534/65534/65534/65534" and the NUL */
#define LWM2M_ID_MAX         65534
#define LWM2M_ID_RESERVED    65535

/** Levels; also the values of lwm2m_path.depth. */
enum lwm2m_level {
    LWM2M_LEVEL_ROOT = 0,
    LWM2M_LEVEL_OBJECT = 1,
    LWM2M_LEVEL_INSTANCE = 2,
    LWM2M_LEVEL_RESOURCE = 3,
    LWM2M_LEVEL_RESOURCE_INSTANCE = 4,
};

struct lwm2m_path {
    uint16_t id[LWM2M_PATH_DEPTH_MAX]; /**< ids beyond depth are 0 */
    uint8_t depth;                     /**< 0 = "/" */
};

/** A path constant: LWM2M_PATH(3, 0, 9). */
#define LWM2M_PATH(...)                                                                            \
    ((struct lwm2m_path){                                                                          \
        .id = {__VA_ARGS__},                                                                       \
        .depth = (uint8_t)(sizeof((const uint16_t[]){__VA_ARGS__}) / sizeof(uint16_t))})
#define LWM2M_PATH_ROOT ((struct lwm2m_path){.depth = 0})

/**
 * Parse exactly "/", "/3", "/3/0", "/3/0/1" or "/3/0/1/2": leading slash, no trailing one, decimal
 * ids without sign or leading zeros.
 * @param text  borrowed, need not end in NUL; may be NULL when @p len is 0
 * @param ret   filled on success, untouched on error
 * @retval DR_ERR_PROTO  not of that form
 * @retval DR_ERR_RANGE  an id over 65534, or more than four ids
 */
DR_CHECK dr_err_t lwm2m_path_parse(const char *text, size_t len, struct lwm2m_path *ret);

/**
 * As lwm2m_path_parse(), but takes what devices in the field send: no leading slash, a trailing
 * slash, doubled slashes, leading zeros, blanks around. An empty text is "/".
 */
DR_CHECK dr_err_t lwm2m_path_parse_tolerant(const char *text, size_t len, struct lwm2m_path *ret);

/** Write the canonical text and its NUL; returns its length without the NUL. */
size_t lwm2m_path_format(const struct lwm2m_path *path, char out[LWM2M_PATH_STR_MAX]);

/** Order: a parent before its children, else by the first differing id. <0, 0, >0. */
int lwm2m_path_cmp(const struct lwm2m_path *a, const struct lwm2m_path *b);

bool lwm2m_path_eq(const struct lwm2m_path *a, const struct lwm2m_path *b);

/** True when @p path is @p prefix or lies below it. */
bool lwm2m_path_has_prefix(const struct lwm2m_path *path, const struct lwm2m_path *prefix);

/** @p path one level down. @retval DR_ERR_RANGE already at depth 4, or the id is 65535 */
DR_CHECK dr_err_t lwm2m_path_child(const struct lwm2m_path *path, uint16_t id,
                                   struct lwm2m_path *ret);

/** @p path cut to @p depth levels (no change when it is shorter). */
struct lwm2m_path lwm2m_path_cut(const struct lwm2m_path *path, unsigned depth);

/**
 * A 64-bit key, 16 bits a level from the top, each holding id + 1 (0 = level absent). Unsigned
 * order of keys is lwm2m_path_cmp() order, so all below P lie in [pack(P), pack_last(P)].
 */
uint64_t lwm2m_path_pack(const struct lwm2m_path *path);
uint64_t lwm2m_path_pack_last(const struct lwm2m_path *path);

/** @retval DR_ERR_PROTO  a present level under an absent one */
DR_CHECK dr_err_t lwm2m_path_unpack(uint64_t key, struct lwm2m_path *ret);
