/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  lwm2m/linkfmt.h
 * @brief Link format (CoRE): tolerant reader of what devices register and answer to Discover, exact
 * writer.
 *
 * Layer: lwm2m, pure.  Threads: reentrant.  Memory: the reader never allocates, entries borrow the
 * text. Limits: LWM2M_LINK_ATTRS_MAX attributes a link.  Security: text is hostile and never
 * asserted on. Spec: RFC6690#2, LWM2M-1.2-CORE#6.2.1.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "lwm2m/value.h"

struct dr_wr;

#define LWM2M_LINK_ATTRS_MAX 24

struct lwm2m_link_attr {
    struct lwm2m_str name;
    struct lwm2m_str
        value; /**< quotes taken off, no unescaping; ptr NULL = attribute without value */
};

struct lwm2m_link_entry {
    struct lwm2m_str target; /**< between < and > */
    struct lwm2m_link_attr attrs[LWM2M_LINK_ATTRS_MAX];
    size_t count;
    struct lwm2m_str raw; /**< all attributes as sent, without the first `;`; ptr is never NULL in
                             what the reader gives */
    bool odd;             /**< something here was taken in spite of the grammar; worth a log line */
};

typedef dr_err_t lwm2m_link_fn(void *arg, const struct lwm2m_link_entry *entry);

/**
 * Read links one after the other. Taken beyond the grammar: blanks and line ends around separators,
 * empty entries, attributes without name or value, a `ct` list with commas but no quotes, blanks in
 * unquoted values, and an entry without angle brackets before the first one (Bootstrap-Discover of
 * old clients: `lwm2m=1.0`), delivered with an empty target. A quoted value ends at the first quote
 * that a `,`, `;` or the end follows (Pelion does not escape).
 * @param fn  an error of it ends the reading and is returned
 * @retval DR_ERR_PROTO  `<` without `>`, an open quote at the end, or text after `>` that is no
 * attribute
 * @retval DR_ERR_LIMIT  more than LWM2M_LINK_ATTRS_MAX attributes on a link
 */
DR_CHECK dr_err_t lwm2m_linkfmt_read(const char *text, size_t len, lwm2m_link_fn *fn, void *arg);

/** Value of an attribute, the last one if repeated; false if absent. */
bool lwm2m_link_entry_attr(const struct lwm2m_link_entry *entry, const char *name,
                           struct lwm2m_str *ret);

/**
 * Write one link, preceded by `,` unless the writer is empty. Values that are not plain numbers or
 * tokens get quotes.
 * @retval DR_ERR_NOSPACE  does not fit; nothing is promised of the bytes behind the old end
 * @retval DR_ERR_INVAL    a target or a value has characters that cannot be written
 */
DR_CHECK dr_err_t lwm2m_linkfmt_write(struct dr_wr *wr, const struct lwm2m_link_entry *entry);

/**
 * Read the attributes of one link, as in lwm2m_link_entry.raw.
 * @param ret  its target stays empty; untouched on error
 * Errors as lwm2m_linkfmt_read().
 */
DR_CHECK dr_err_t lwm2m_link_attrs_read(struct lwm2m_str raw, struct lwm2m_link_entry *ret);
