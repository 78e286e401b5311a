/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/links.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "lwm2m/util_priv.h"

#define ROOT_TYPE "oma.lwm2m"

/* State of one lwm2m_links_parse(). */
struct builder {
    struct lwm2m_links out;
    size_t cap;
    int flags;
};

/* ---- root link ---- */

static bool has_word(struct lwm2m_str list, const char *word)
{
    size_t i = 0;

    while (i < list.len) {
        size_t start = i;
        while (i < list.len && !lwm2m_blank(list.ptr[i])) {
            i++;
        }
        if (lwm2m_str_eq(lwm2m_str_sub(list, start, i), word)) {
            return true;
        }
        i++;
    }
    return false;
}

/* An alternate path may not have a numeric segment, or it could not be told from an object, nor be
 * that of a sub-device. */
static bool root_path_ok(struct lwm2m_str path)
{
    size_t i = 1;

    if (path.len < 2 || path.ptr[0] != '/' || (path.len > 2 && memcmp(path.ptr, "/d/", 3) == 0)) {
        return false;
    }
    for (size_t k = 0; k < path.len; k++) {
        if (path.ptr[k] <= ' ' || path.ptr[k] > '~') {
            return false;
        }
    }
    while (i <= path.len) {
        const char *slash = i < path.len ? memchr(path.ptr + i, '/', path.len - i) : NULL;
        size_t end = slash == NULL ? path.len : (size_t)(slash - path.ptr);
        uint64_t n = 0;
        if (end == i || dr_parse_u64(path.ptr + i, end - i, &n) != DR_ERR_PROTO) {
            return false;
        }
        i = end + 1;
    }
    return true;
}

/* First pass: the root link may stand anywhere in the list. */
static dr_err_t find_root(void *arg, const struct lwm2m_link_entry *entry)
{
    struct builder *b = arg;
    struct lwm2m_str rt = {.len = 0}, ct = {.len = 0}, version = {.len = 0};
    struct lwm2m_str path = entry->target;

    (void)lwm2m_link_entry_attr(entry, "lwm2m", &version);
    if (version.len > 0 && (path.len == 0 || lwm2m_str_eq(path, "/")) &&
        lwm2m_version_parse(version, &b->out.enabler) != DR_OK) {
        b->out.odd = true;
    }
    bool named = lwm2m_link_entry_attr(entry, "rt", &rt) && has_word(rt, ROOT_TYPE);
    if (b->out.root_attrs.ptr != NULL || (!named && !lwm2m_str_eq(path, "/"))) {
        return DR_OK;
    }
    while (path.len > 0 && path.ptr[path.len - 1] == '/') {
        path.len--;
    }
    if (path.len > 0 && !root_path_ok(path)) {
        b->out.odd = true;
        return DR_OK;
    }
    b->out.root = path;
    b->out.root_attrs = entry->raw;
    if (lwm2m_link_entry_attr(entry, "ct", &ct)) {
        lwm2m_ct_list_parse(ct, &b->out.ct);
    }
    return DR_OK;
}

/* ---- links ---- */

/* Take `/lwm2m` off the front. */
static struct lwm2m_str strip_root(struct lwm2m_str target, struct lwm2m_str root)
{
    if (root.len > 0 && target.len >= root.len && memcmp(target.ptr, root.ptr, root.len) == 0 &&
        (target.len == root.len || target.ptr[root.len] == '/')) {
        return lwm2m_str_sub(target, root.len, target.len);
    }
    return target;
}

/* `/d/name/3/0`: the sub-device's name goes to @p device, the rest is returned. */
static struct lwm2m_str strip_device(struct lwm2m_str target, struct lwm2m_str *device)
{
    size_t start = target.len > 0 && target.ptr[0] == '/' ? 1 : 0;

    if (target.len < start + 3 || memcmp(target.ptr + start, "d/", 2) != 0) {
        return target;
    }
    start += 2;
    const char *slash = memchr(target.ptr + start, '/', target.len - start);
    size_t end = slash == NULL ? target.len : (size_t)(slash - target.ptr);
    struct lwm2m_str name = lwm2m_str_trim(lwm2m_str_sub(target, start, end));
    if (name.len == 0) {
        return target; /* not a path either, so it will be dropped */
    }
    *device = name;
    return lwm2m_str_sub(target, end, target.len);
}

static dr_err_t links_push(struct builder *b, const struct lwm2m_link *link)
{
    if (b->out.count == b->cap) {
        size_t cap = b->cap == 0 ? 16 : b->cap * 2;
        cap = cap > LWM2M_LINKS_MAX ? LWM2M_LINKS_MAX : cap;
        if (b->out.count == cap) {
            return DR_ERR_LIMIT;
        }
        struct lwm2m_link *items = realloc(b->out.items, cap * sizeof(*items));
        if (items == NULL) {
            return DR_ERR_NOMEM;
        }
        b->out.items = items;
        b->cap = cap;
    }
    b->out.items[b->out.count++] = *link;
    return DR_OK;
}

static void read_known_attrs(struct builder *b, const struct lwm2m_link_entry *entry,
                             struct lwm2m_link *link)
{
    struct lwm2m_str s = {.len = 0};
    uint64_t n = 0;

    link->attrs = entry->raw;
    link->observable = lwm2m_link_entry_attr(entry, "obs", &s);
    link->deleted = lwm2m_link_entry_attr(entry, "d", &s);
    link->has_value = lwm2m_link_entry_attr(entry, "v", &link->value);
    (void)lwm2m_link_entry_attr(entry, "rt", &link->rt);
    (void)lwm2m_link_entry_attr(entry, "if", &link->ifs);
    (void)lwm2m_link_entry_attr(entry, "name", &link->name);
    if (lwm2m_link_entry_attr(entry, "ver", &s) &&
        lwm2m_version_parse(s, &link->version) != DR_OK) {
        b->out.odd = true;
    }
    if (lwm2m_link_entry_attr(entry, "aobs", &s)) {
        link->has_aobs =
            dr_parse_u64_max(s.len == 0 ? "" : s.ptr, s.len, LWM2M_AOBS_MAX, &n) == DR_OK;
        link->aobs = (uint16_t)n;
        b->out.odd |= !link->has_aobs;
    }
}

static bool must_not_be_listed(const struct lwm2m_path *path)
{
    return path->depth > 0 && (path->id[0] == 0 || path->id[0] == 21 || path->id[0] == 23);
}

/* Second pass. */
static dr_err_t take_link(void *arg, const struct lwm2m_link_entry *entry)
{
    struct builder *b = arg;
    struct lwm2m_link link = {.path = {.depth = 0}};
    struct lwm2m_str rest = strip_root(entry->target, b->out.root);

    b->out.odd |= entry->odd;
    if (entry->target.len == 0 || rest.len == 0 || lwm2m_str_eq(rest, "/")) {
        return DR_OK; /* the root link, or what stands before it */
    }
    rest = strip_device(rest, &link.device);
    b->out.odd |= rest.len > 0 && (rest.ptr[0] != '/' || rest.ptr[rest.len - 1] == '/');
    if (lwm2m_path_parse_tolerant(rest.ptr, rest.len, &link.path) != DR_OK) {
        b->out.dropped++;
        return DR_OK;
    }
    if (link.path.depth == 0 && link.device.len == 0) {
        return DR_OK; /* slashes only: one more root link */
    }
    if (b->flags == LWM2M_LINKS_REGISTER && must_not_be_listed(&link.path)) {
        b->out.dropped++;
        return DR_OK;
    }
    read_known_attrs(b, entry, &link);
    return links_push(b, &link);
}

static int str_cmp(struct lwm2m_str a, struct lwm2m_str b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n == 0 ? 0 : memcmp(a.ptr, b.ptr, n);

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int key_cmp(const struct lwm2m_link *a, const struct lwm2m_link *b)
{
    int order = str_cmp(a->device, b->device);

    return order != 0 ? order : lwm2m_path_cmp(&a->path, &b->path);
}

/* By key, then by place in the text: attrs always points into it. */
static int sort_cmp(const void *pa, const void *pb)
{
    const struct lwm2m_link *a = pa, *b = pb;
    int order = key_cmp(a, b);

    return order != 0 ? order : (a->attrs.ptr > b->attrs.ptr) - (a->attrs.ptr < b->attrs.ptr);
}

static void sort_and_merge_doubles(struct lwm2m_links *links)
{
    size_t kept = 0;

    if (links->count == 0) {
        return;
    }
    qsort(links->items, links->count, sizeof(links->items[0]), sort_cmp);
    for (size_t i = 0; i < links->count; i++) {
        if (kept > 0 && key_cmp(&links->items[kept - 1], &links->items[i]) == 0) {
            kept--; /* the last one stays */
        }
        links->items[kept++] = links->items[i];
    }
    links->count = kept;
}

dr_err_t lwm2m_links_parse(const char *text, size_t len, int flags, struct lwm2m_links *ret)
{
    dr_assert(ret != NULL && (text != NULL || len == 0));

    struct builder b = {.flags = flags};

    if (len > LWM2M_LINKS_BYTES_MAX) {
        return DR_ERR_TOO_LARGE;
    }
    b.out.text = malloc(len + 1);
    if (b.out.text == NULL) {
        return DR_ERR_NOMEM;
    }
    if (len > 0) {
        memcpy(b.out.text, text, len);
    }
    b.out.text[len] = '\0';
    dr_err_t err = lwm2m_linkfmt_read(b.out.text, len, find_root, &b);
    if (err == DR_OK) {
        err = lwm2m_linkfmt_read(b.out.text, len, take_link, &b);
    }
    if (err != DR_OK) {
        lwm2m_links_fini(&b.out);
        return err;
    }
    sort_and_merge_doubles(&b.out);
    *ret = b.out;
    return DR_OK;
}

void lwm2m_links_fini(struct lwm2m_links *links)
{
    if (links != NULL) {
        free(links->items);
        free(links->text);
        *links = (struct lwm2m_links){.count = 0};
    }
}

/* ---- look-ups ---- */

/* Place of the first link that is not before (own device, path). */
static size_t lower_bound(const struct lwm2m_links *links, const struct lwm2m_path *path)
{
    const struct lwm2m_link key = {.path = *path};
    size_t from = 0, to = links->count;

    while (from < to) {
        size_t mid = from + (to - from) / 2;
        if (key_cmp(&links->items[mid], &key) < 0) {
            from = mid + 1;
        } else {
            to = mid;
        }
    }
    return from;
}

const struct lwm2m_link *lwm2m_links_find(const struct lwm2m_links *links,
                                          const struct lwm2m_path *path)
{
    dr_assert(links != NULL && path != NULL);

    size_t i = lower_bound(links, path);
    if (i == links->count || links->items[i].device.len > 0 ||
        !lwm2m_path_eq(&links->items[i].path, path)) {
        return NULL;
    }
    return &links->items[i];
}

bool lwm2m_links_has_object(const struct lwm2m_links *links, uint16_t object)
{
    dr_assert(links != NULL);

    const struct lwm2m_path path = LWM2M_PATH(object);
    size_t i = lower_bound(links, &path);

    return i < links->count && links->items[i].device.len == 0 &&
           lwm2m_path_has_prefix(&links->items[i].path, &path);
}

struct lwm2m_version lwm2m_links_version(const struct lwm2m_links *links, uint16_t object)
{
    dr_assert(links != NULL);

    const struct lwm2m_path path = LWM2M_PATH(object);

    for (size_t i = lower_bound(links, &path);
         i < links->count && links->items[i].device.len == 0 &&
         lwm2m_path_has_prefix(&links->items[i].path, &path);
         i++) {
        if (links->items[i].version.major != 0 || links->items[i].version.minor != 0) {
            return links->items[i].version;
        }
    }
    return LWM2M_VERSION(0, 0);
}

/* ---- writing ---- */

static void put_target(struct dr_dynbuf *out, const struct lwm2m_links *links,
                       const struct lwm2m_link *link)
{
    char path[LWM2M_PATH_STR_MAX];

    dr_dynbuf_append_str(out, out->len > 0 ? ",<" : "<");
    dr_dynbuf_append(out, links->root.ptr, links->root.len);
    if (link->device.len > 0) {
        dr_dynbuf_append_str(out, "/d/");
        dr_dynbuf_append(out, link->device.ptr, link->device.len);
    }
    if (link->path.depth > 0) {
        (void)lwm2m_path_format(&link->path, path);
        dr_dynbuf_append_str(out, path);
    }
    dr_dynbuf_append_str(out, ">");
}

static void put_root(struct dr_dynbuf *out, const struct lwm2m_links *links)
{
    if (links->root_attrs.ptr == NULL) {
        return;
    }
    dr_dynbuf_append_str(out, "<");
    if (links->root.len > 0) {
        dr_dynbuf_append(out, links->root.ptr, links->root.len);
    } else {
        dr_dynbuf_append_str(out, "/");
    }
    dr_dynbuf_append_str(out, ">");
    if (links->root_attrs.len > 0) {
        dr_dynbuf_append_str(out, ";");
        dr_dynbuf_append(out, links->root_attrs.ptr, links->root_attrs.len);
    }
}

/* What differs from device to device, or is an event and no property, is not part of a shape. */
static bool is_canonical_attr(struct lwm2m_str name)
{
    return !lwm2m_str_eq(name, "v") && !lwm2m_str_eq(name, "aobs") && !lwm2m_str_eq(name, "d");
}

static void put_attr(struct dr_dynbuf *out, const struct lwm2m_link_attr *attr)
{
    dr_dynbuf_append_str(out, ";");
    dr_dynbuf_append(out, attr->name.ptr, attr->name.len);
    if (attr->value.ptr == NULL) {
        return;
    }
    dr_dynbuf_append_str(out, "=\"");
    dr_dynbuf_append(out, attr->value.ptr, attr->value.len);
    dr_dynbuf_append_str(out, "\"");
}

dr_err_t lwm2m_links_canonical(const struct lwm2m_links *links, char **ret, size_t *ret_len)
{
    dr_assert(links != NULL && ret != NULL && ret_len != NULL);

    struct dr_dynbuf out;

    /* quotes and slashes put in may make it a little longer than what was parsed */
    dr_dynbuf_init(&out, 2 * LWM2M_LINKS_BYTES_MAX);
    put_root(&out, links);
    for (size_t i = 0; i < links->count; i++) {
        struct lwm2m_link_entry entry = {.count = 0};
        put_target(&out, links, &links->items[i]);
        dr_err_t err = lwm2m_link_attrs_read(links->items[i].attrs, &entry);
        for (size_t k = 0; err == DR_OK && k < entry.count; k++) {
            if (is_canonical_attr(entry.attrs[k].name)) {
                put_attr(&out, &entry.attrs[k]);
            }
        }
    }
    if (out.len == 0) { /* an empty list has a text too */
        dr_dynbuf_append_str(&out, ",");
    }
    return dr_dynbuf_take(&out, ret, ret_len);
}

/* A link under one that was deleted, or itself. */
static bool is_under(const struct lwm2m_link *link, const struct lwm2m_link *gone)
{
    return str_cmp(link->device, gone->device) == 0 &&
           lwm2m_path_has_prefix(&link->path, &gone->path);
}

/* Links are sorted: all that goes with a deleted one stands right behind it. */
static void remove_deleted(struct lwm2m_links *links)
{
    const struct lwm2m_link *gone = NULL;
    struct lwm2m_link last;
    size_t kept = 0;

    for (size_t i = 0; i < links->count; i++) {
        const struct lwm2m_link *link = &links->items[i];
        if (gone != NULL && is_under(link, gone)) {
            continue;
        }
        if (link->deleted) {
            last = *link;
            gone = &last;
            continue;
        }
        links->items[kept++] = *link;
    }
    links->count = kept;
}

static void put_all(struct dr_dynbuf *out, const struct lwm2m_links *links)
{
    for (size_t i = 0; i < links->count; i++) {
        put_target(out, links, &links->items[i]);
        if (links->items[i].attrs.len > 0) {
            dr_dynbuf_append_str(out, ";");
            dr_dynbuf_append(out, links->items[i].attrs.ptr, links->items[i].attrs.len);
        }
    }
}

dr_err_t lwm2m_links_merge(const struct lwm2m_links *old, const struct lwm2m_links *add,
                           struct lwm2m_links *ret)
{
    dr_assert(old != NULL && add != NULL && ret != NULL);

    struct dr_dynbuf out;
    struct lwm2m_links merged = {.count = 0};

    dr_dynbuf_init(&out, LWM2M_LINKS_BYTES_MAX);
    put_root(&out, add->root_attrs.ptr != NULL ? add : old);
    put_all(&out, old);
    put_all(&out, add);
    dr_err_t err = dr_dynbuf_err(&out);
    if (err == DR_OK) {
        err = lwm2m_links_parse((const char *)out.p, out.len, LWM2M_LINKS_DISCOVER, &merged);
    }
    if (err == DR_OK) {
        remove_deleted(&merged);
        *ret = merged;
    }
    dr_dynbuf_fini(&out);
    return err;
}
