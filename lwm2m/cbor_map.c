/* SPDX-License-Identifier: Apache-2.0 */
/*
 * application/vnd.oma.lwm2m+cbor: maps nested by id; an array of ids as key joins levels.
 * Example, /3/0/0 = "ACME" and /3/0/9 = 87: A1 82 03 00 A2 00 64 "ACME" 09 18 57   spec:
 * LWM2M-1.2-CORE#7.4.7
 */
#include <string.h>

#include "base/cbor.h"
#include "lwm2m/codec_priv.h"

struct reader {
    struct dr_cbor cbor;
    struct lwm2m_dec *dec;
    struct dr_dynbuf scratch;
};

/* ---- decode ---- */

static dr_err_t id_append(uint64_t id, struct lwm2m_path *path)
{
    if (id > LWM2M_ID_MAX) {
        return DR_ERR_PROTO;
    }
    return lwm2m_path_child(path, (uint16_t)id, path) == DR_OK ? DR_OK : DR_ERR_PROTO;
}

/* A key: one id, or an array of at least one. */
static dr_err_t key_read(struct reader *r, const struct dr_cbor_item *key, struct lwm2m_path *path)
{
    uint8_t depth = path->depth;

    if (key->type == DR_CBOR_UINT) {
        return id_append(key->u, path);
    }
    if (key->type != DR_CBOR_ARRAY) {
        return DR_ERR_PROTO;
    }
    for (;;) {
        struct dr_cbor_item item;
        dr_err_t err = dr_cbor_next(&r->cbor, &item);
        if (err != DR_OK) {
            return err;
        }
        if (item.type == DR_CBOR_END) {
            return path->depth > depth ? DR_OK : DR_ERR_PROTO;
        }
        err = item.type == DR_CBOR_UINT ? id_append(item.u, path) : DR_ERR_PROTO;
        if (err != DR_OK) {
            return err;
        }
    }
}

static dr_err_t leaf_read(struct reader *r, const struct dr_cbor_item *item,
                          const struct lwm2m_path *path)
{
    struct lwm2m_value value;

    dr_err_t err = lwm2m_cbor_value(&r->cbor, item, &r->scratch, &value);
    if (err != DR_OK) {
        return err == DR_ERR_RANGE ? DR_ERR_PROTO : err;
    }
    if (path->depth < LWM2M_LEVEL_RESOURCE && value.type != LWM2M_TYPE_NONE) {
        return DR_ERR_PROTO;
    }
    return lwm2m_dec_emit_value(r->dec, path, &value);
}

/* The inside of a map at @p path. Ends at depth 4: a map has at least one id more than the one
 * around it. */
static dr_err_t map_read(struct reader *r, const struct lwm2m_path *path)
{
    for (;;) {
        struct dr_cbor_item item;
        struct lwm2m_path child = *path;
        dr_err_t err = dr_cbor_next(&r->cbor, &item);
        if (err != DR_OK) {
            return err;
        }
        if (item.type == DR_CBOR_END) {
            return DR_OK;
        }
        err = key_read(r, &item, &child);
        err = err != DR_OK ? err : dr_cbor_next(&r->cbor, &item);
        if (err != DR_OK) {
            return err;
        }
        if (item.type == DR_CBOR_MAP) {
            err = child.depth == LWM2M_PATH_DEPTH_MAX ? DR_ERR_PROTO : map_read(r, &child);
        } else {
            err = leaf_read(r, &item, &child);
        }
        if (err != DR_OK) {
            return err;
        }
    }
}

dr_err_t lwm2m_cbor_map_decode(struct lwm2m_dec *dec, const uint8_t *in, size_t len)
{
    struct reader r = {.dec = dec};
    struct lwm2m_path top = dec->opts->relative ? dec->opts->base : LWM2M_PATH_ROOT;
    struct dr_cbor_item item;

    dr_cbor_init(&r.cbor, in, len, 0);
    dr_dynbuf_init(&r.scratch, len);
    dr_err_t err = dr_cbor_next(&r.cbor, &item);
    if (err == DR_OK && item.type == DR_CBOR_MAP) {
        err = top.depth == LWM2M_PATH_DEPTH_MAX ? DR_ERR_PROTO : map_read(&r, &top);
    } else if (err == DR_OK && dec->opts->relative) {
        err = leaf_read(&r, &item, &top); /* Write of one resource: the bare value */
    } else {
        err = err != DR_OK ? err : DR_ERR_PROTO;
    }
    if (err == DR_OK && dr_cbor_pos(&r.cbor) != len) {
        err = DR_ERR_PROTO;
    }
    dr_dynbuf_fini(&r.scratch);
    return err;
}

/* ---- encode ---- */

static size_t group_end(const struct lwm2m_node *nodes, size_t from, size_t count, unsigned depth)
{
    struct lwm2m_path head = lwm2m_path_cut(&nodes[from].path, depth);
    size_t end = from + 1;

    while (end < count && lwm2m_path_has_prefix(&nodes[end].path, &head)) {
        end++;
    }
    return end;
}

static size_t group_count(const struct lwm2m_node *nodes, size_t count, unsigned depth)
{
    size_t groups = 0;

    for (size_t i = 0; i < count; i = group_end(nodes, i, count, depth)) {
        groups++;
    }
    return groups;
}

/* Object and instance are joined when the object has one instance here, or a path ends there. */
static unsigned key_depth(const struct lwm2m_node *nodes, size_t count, unsigned depth)
{
    if (depth == LWM2M_LEVEL_OBJECT && nodes[0].path.depth >= LWM2M_LEVEL_INSTANCE &&
        group_end(nodes, 0, count, LWM2M_LEVEL_INSTANCE) == count) {
        return LWM2M_LEVEL_INSTANCE;
    }
    return depth;
}

static dr_err_t map_put(struct dr_wr *wr, const struct lwm2m_node *nodes, size_t count,
                        unsigned depth)
{
    dr_cbor_put_map(wr, group_count(nodes, count, depth));
    for (size_t i = 0, end = 0; i < count; i = end) {
        end = group_end(nodes, i, count, depth);
        unsigned to = key_depth(nodes + i, end - i, depth);
        if (to > depth) {
            dr_cbor_put_array(wr, to - depth + 1);
        }
        for (unsigned level = depth; level <= to; level++) {
            dr_cbor_put_uint(wr, nodes[i].path.id[level - 1]);
        }
        dr_err_t err = nodes[i].path.depth == to ? lwm2m_cbor_put_value(wr, &nodes[i].value)
                                                 : map_put(wr, nodes + i, end - i, to + 1);
        if (err != DR_OK) {
            return err;
        }
    }
    return dr_wr_err(wr);
}

static bool node_ok(const struct lwm2m_path *base, const struct lwm2m_node *node)
{
    return lwm2m_path_has_prefix(&node->path, base) && node->path.depth > 0 && !node->timed &&
           (node->path.depth >= LWM2M_LEVEL_RESOURCE || node->value.type == LWM2M_TYPE_NONE);
}

dr_err_t lwm2m_cbor_map_encode(const struct lwm2m_path *base, const struct lwm2m_node *nodes,
                               size_t count, struct dr_wr *wr)
{
    for (size_t i = 0; i < count; i++) {
        /* ascending, and no leaf above another */
        if (!node_ok(base, &nodes[i]) ||
            (i > 0 && (lwm2m_path_cmp(&nodes[i - 1].path, &nodes[i].path) >= 0 ||
                       lwm2m_path_has_prefix(&nodes[i].path, &nodes[i - 1].path)))) {
            return DR_ERR_INVAL;
        }
    }
    if (count == 1 && lwm2m_path_eq(&nodes[0].path, base)) {
        return lwm2m_cbor_put_value(wr, &nodes[0].value);
    }
    if (base->depth == LWM2M_PATH_DEPTH_MAX) {
        return DR_ERR_INVAL; /* nothing to write, and no map can stand here */
    }
    return map_put(wr, nodes, count, base->depth + 1U);
}
