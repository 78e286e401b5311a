/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  lwm2m/links.h
 * @brief The object list of a registration (or a Discover answer) as an array, with Pelion's values
 * and standing observations.
 *
 * Layer: lwm2m, pure.  Threads: one owner at a time; reading is free once parsed.
 * Memory: a lwm2m_links owns one copy of the text, its links point into that.
 * Limits: LWM2M_LINKS_MAX links, LWM2M_LINKS_BYTES_MAX bytes of text.  Security: text is hostile.
 * Spec: LWM2M-1.2-CORE#6.2.1.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "lwm2m/format.h"
#include "lwm2m/linkfmt.h"
#include "lwm2m/path.h"
#include "lwm2m/value.h"

#define LWM2M_LINKS_MAX       2048
#define LWM2M_LINKS_BYTES_MAX ((size_t)64 * 1024)
#define LWM2M_AOBS_MAX        65535

/** One link. Strings are empty when the attribute is absent (see flags for v). */
struct lwm2m_link {
    struct lwm2m_path path;
    struct lwm2m_version version; /**< ver=, 0.0 = absent; of the object, wherever it stood */
    bool observable;              /**< obs */
    bool deleted;                 /**< d: gone (updates of Pelion Edge) */
    bool has_value;               /**< v= was there, maybe empty */
    bool has_aobs;
    uint16_t aobs; /**< token (2 bytes, big-endian) of the notifications that come unasked */
    struct lwm2m_str rt, ifs, name;
    struct lwm2m_str value;  /**< v=, text as sent: opaque is base64 */
    struct lwm2m_str device; /**< Edge: `a` of </d/a/3/0>; else empty */
    struct lwm2m_str attrs;  /**< all attributes as sent, without the leading `;` */
};

struct lwm2m_links {
    struct lwm2m_link *items; /**< ascending by (device, path), no doubles (the last one stays) */
    size_t count;
    struct lwm2m_str
        root; /**< alternate path with leading and without trailing slash; empty = "/" */
    struct lwm2m_str root_attrs;  /**< of the root link, as sent */
    struct lwm2m_ct_list ct;      /**< of the root link */
    struct lwm2m_version enabler; /**< lwm2m= of a Bootstrap-Discover answer, else 0.0 */
    uint32_t dropped; /**< links of objects 0, 21, 23, or with targets that are no paths */
    bool odd;         /**< something was taken in spite of the grammar */
    char *text;       /**< owned */
};

enum {
    LWM2M_LINKS_REGISTER = 0, /**< drop objects 0, 21 and 23 */
    LWM2M_LINKS_DISCOVER = 1, /**< keep them */
};

/**
 * Parse a whole list.
 * @param ret  filled on success (fini it), untouched on error
 * @retval DR_ERR_PROTO      see lwm2m_linkfmt_read(); a target that is no path is dropped, not an
 * error
 * @retval DR_ERR_LIMIT      LWM2M_LINKS_MAX, LWM2M_LINK_ATTRS_MAX
 * @retval DR_ERR_TOO_LARGE  LWM2M_LINKS_BYTES_MAX
 * @retval DR_ERR_NOMEM
 */
DR_CHECK dr_err_t lwm2m_links_parse(const char *text, size_t len, int flags,
                                    struct lwm2m_links *ret);
void lwm2m_links_fini(struct lwm2m_links *links);

/** The link of exactly this path (of the device itself, not of an Edge sub-device); NULL if none.
 */
const struct lwm2m_link *lwm2m_links_find(const struct lwm2m_links *links,
                                          const struct lwm2m_path *path);

/** True when a link at, above or below @p path exists (`</3>` alone says object 3 is there). */
bool lwm2m_links_has_object(const struct lwm2m_links *links, uint16_t object);

/** ver= of an object, wherever a link of it carried one; 0.0 if none or the object is absent. */
struct lwm2m_version lwm2m_links_version(const struct lwm2m_links *links, uint16_t object);

/**
 * Pelion updates bring only new or changed links: the old list with the new links put over it, `d`
 * taking away.
 * @param ret  an owned list of its own; untouched on error
 */
DR_CHECK dr_err_t lwm2m_links_merge(const struct lwm2m_links *old, const struct lwm2m_links *add,
                                    struct lwm2m_links *ret);

/**
 * Canonical text: sorted, root link first, without v=, aobs= and d. Equal lists give equal bytes,
 * and parsing it gives the same list. What shapes are made of.
 * @param ret      malloc'd, not NUL-terminated, the caller frees it; written on success only
 */
DR_CHECK dr_err_t lwm2m_links_canonical(const struct lwm2m_links *links, char **ret,
                                        size_t *ret_len);
