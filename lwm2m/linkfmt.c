/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/linkfmt.h"

#include <string.h>

#include "base/buf.h"
#include "lwm2m/util_priv.h"

/*
 * The grammar, with what is read beyond it:
 *
 *   list  = [ first ] *( "," link )
 *   first = attribute, without a link: `lwm2m=1.0,</0/0>` of old Bootstrap-Discover answers
 *   link  = "<" target ">" *( ";" attribute )
 *   attribute = name [ "=" ( quoted / plain ) ]
 *
 * Example: </>;rt="oma.lwm2m";ct=112,</3/0>;ver="1.1"
 */

struct scan {
    struct lwm2m_str text;
    size_t pos;
    bool odd;
};

static bool at_end(const struct scan *s)
{
    return s->pos >= s->text.len;
}

static char peek(const struct scan *s)
{
    return at_end(s) ? '\0' : s->text.ptr[s->pos];
}

static size_t skip_blanks(const struct scan *s, size_t pos)
{
    while (pos < s->text.len && lwm2m_blank(s->text.ptr[pos])) {
        pos++;
    }
    return pos;
}

/* Does a new link, or nothing more, come behind the comma at @p pos? */
static bool comma_ends_link(const struct scan *s, size_t pos)
{
    while (pos < s->text.len && (s->text.ptr[pos] == ',' || lwm2m_blank(s->text.ptr[pos]))) {
        pos++;
    }
    return pos == s->text.len || s->text.ptr[pos] == '<';
}

static bool quote_closes(const struct scan *s, size_t quote)
{
    size_t next = skip_blanks(s, quote + 1);

    if (next == s->text.len || s->text.ptr[next] == ';') {
        return true;
    }
    return s->text.ptr[next] == ',' && comma_ends_link(s, next);
}

static dr_err_t read_quoted(struct scan *s, struct lwm2m_str *ret)
{
    size_t start = ++s->pos;

    for (; !at_end(s); s->pos++) {
        if (peek(s) == '"' && quote_closes(s, s->pos)) {
            *ret = lwm2m_str_sub(s->text, start, s->pos);
            s->pos = skip_blanks(s, s->pos + 1);
            return DR_OK;
        }
    }
    return DR_ERR_PROTO;
}

static struct lwm2m_str read_plain(struct scan *s)
{
    size_t start = s->pos;

    for (; !at_end(s) && peek(s) != ';'; s->pos++) {
        if (peek(s) == ',') {
            if (comma_ends_link(s, s->pos)) {
                break;
            }
            s->odd = true; /* ct=110,112 */
        }
    }
    return lwm2m_str_trim(lwm2m_str_sub(s->text, start, s->pos));
}

/* One attribute; the cursor stops at `;`, `,` or the end. */
static dr_err_t read_attr(struct scan *s, struct lwm2m_link_entry *entry)
{
    struct lwm2m_link_attr attr = {.name = {.ptr = NULL}};
    size_t start = s->pos = skip_blanks(s, s->pos);

    while (!at_end(s) && peek(s) != '=' && peek(s) != ';' && peek(s) != ',') {
        s->pos++;
    }
    attr.name = lwm2m_str_trim(lwm2m_str_sub(s->text, start, s->pos));
    if (peek(s) == '=') {
        s->pos = skip_blanks(s, s->pos + 1);
        if (peek(s) == '"') {
            dr_err_t err = read_quoted(s, &attr.value);
            if (err != DR_OK) {
                return err;
            }
        } else {
            attr.value = read_plain(s);
        }
    } else if (peek(s) == ',' && !comma_ends_link(s, s->pos)) {
        return DR_ERR_PROTO;
    }
    if (attr.name.len == 0) {
        s->odd = true;
        return DR_OK;
    }
    if (entry->count == LWM2M_LINK_ATTRS_MAX) {
        return DR_ERR_LIMIT;
    }
    entry->attrs[entry->count++] = attr;
    return DR_OK;
}

/* Attributes up to the comma that ends the link, or the end; the cursor stands at the first one. */
static dr_err_t read_attrs(struct scan *s, struct lwm2m_link_entry *entry)
{
    size_t start = s->pos;

    for (;;) {
        dr_err_t err = read_attr(s, entry);
        if (err != DR_OK) {
            return err;
        }
        if (peek(s) != ';') {
            break;
        }
        s->pos++;
    }
    entry->raw = lwm2m_str_trim(lwm2m_str_sub(s->text, start, s->pos));
    return DR_OK;
}

static dr_err_t read_link(struct scan *s, struct lwm2m_link_entry *entry)
{
    size_t start = ++s->pos;

    while (!at_end(s) && peek(s) != '>') {
        if (peek(s) == '<') {
            return DR_ERR_PROTO;
        }
        s->pos++;
    }
    if (at_end(s)) {
        return DR_ERR_PROTO;
    }
    entry->target = lwm2m_str_trim(lwm2m_str_sub(s->text, start, s->pos));
    s->pos = skip_blanks(s, s->pos + 1);
    entry->raw = lwm2m_str_sub(s->text, s->pos, s->pos);
    if (peek(s) == ';') {
        s->pos++;
        return read_attrs(s, entry);
    }
    return at_end(s) || peek(s) == ',' ? DR_OK : DR_ERR_PROTO;
}

dr_err_t lwm2m_linkfmt_read(const char *text, size_t len, lwm2m_link_fn *fn, void *arg)
{
    dr_assert(fn != NULL && (text != NULL || len == 0));

    struct scan s = {.text = {.ptr = text == NULL ? "" : text, .len = len}};
    bool first = true;

    for (;;) {
        size_t before = s.pos = skip_blanks(&s, s.pos);
        s.odd = false;
        while (!at_end(&s) && (peek(&s) == ',' || lwm2m_blank(peek(&s)))) {
            s.pos++;
        }
        /* between links one comma is the rule */
        s.odd = s.pos - before > 1;
        if (at_end(&s)) {
            return DR_OK;
        }
        struct lwm2m_link_entry entry = {.count = 0};
        dr_err_t err = DR_ERR_PROTO;
        if (peek(&s) == '<') {
            err = read_link(&s, &entry);
        } else if (first) {
            s.odd = true;
            err = read_attrs(&s, &entry);
        }
        if (err != DR_OK) {
            return err;
        }
        first = false;
        entry.odd = s.odd;
        err = fn(arg, &entry);
        if (err != DR_OK) {
            return err;
        }
    }
}

dr_err_t lwm2m_link_attrs_read(struct lwm2m_str raw, struct lwm2m_link_entry *ret)
{
    dr_assert(ret != NULL);

    struct scan s = {.text = {.ptr = raw.len == 0 ? "" : raw.ptr, .len = raw.len}};
    struct lwm2m_link_entry entry = {.count = 0};

    entry.raw = s.text;
    dr_err_t err = raw.len == 0 ? DR_OK : read_attrs(&s, &entry);
    if (err != DR_OK) {
        return err;
    }
    entry.odd = s.odd;
    *ret = entry;
    return DR_OK;
}

bool lwm2m_link_entry_attr(const struct lwm2m_link_entry *entry, const char *name,
                           struct lwm2m_str *ret)
{
    dr_assert(entry != NULL && name != NULL && ret != NULL);

    for (size_t i = entry->count; i > 0; i--) {
        if (lwm2m_str_eq(entry->attrs[i - 1].name, name)) {
            *ret = entry->attrs[i - 1].value;
            return true;
        }
    }
    return false;
}

/* ---- writer ---- */

static bool is_number(struct lwm2m_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((s.ptr[i] < '0' || s.ptr[i] > '9') && s.ptr[i] != '.') {
            return false;
        }
    }
    return s.len > 0;
}

static bool has_any(struct lwm2m_str s, const char *bad)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '\0' || strchr(bad, s.ptr[i]) != NULL) {
            return true;
        }
    }
    return false;
}

/* Would the reader take one of the quotes inside for the closing one? */
static bool quotes_clash(struct lwm2m_str value)
{
    struct scan s = {.text = value};

    for (size_t i = 0; i < value.len; i++) {
        size_t next = skip_blanks(&s, i + 1);
        if (value.ptr[i] == '"' && next < value.len && quote_closes(&s, i)) {
            return true;
        }
    }
    return false;
}

dr_err_t lwm2m_linkfmt_write(struct dr_wr *wr, const struct lwm2m_link_entry *entry)
{
    dr_assert(wr != NULL && entry != NULL && entry->count <= LWM2M_LINK_ATTRS_MAX);

    if (has_any(entry->target, "<>")) {
        return DR_ERR_INVAL;
    }
    if (dr_wr_len(wr) > 0) {
        dr_wr_put_str(wr, ",");
    }
    dr_wr_put_str(wr, "<");
    dr_wr_put(wr, entry->target.ptr, entry->target.len);
    dr_wr_put_str(wr, ">");
    for (size_t i = 0; i < entry->count; i++) {
        const struct lwm2m_link_attr *attr = &entry->attrs[i];
        if (attr->name.len == 0 || has_any(attr->name, "=;,<>\" ") || quotes_clash(attr->value)) {
            return DR_ERR_INVAL;
        }
        dr_wr_put_str(wr, ";");
        dr_wr_put(wr, attr->name.ptr, attr->name.len);
        if (attr->value.ptr == NULL) {
            continue;
        }
        const char *quote = is_number(attr->value) ? "" : "\"";
        dr_wr_put_str(wr, "=");
        dr_wr_put_str(wr, quote);
        dr_wr_put(wr, attr->value.ptr, attr->value.len);
        dr_wr_put_str(wr, quote);
    }
    return dr_wr_err(wr);
}
