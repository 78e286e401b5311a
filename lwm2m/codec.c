/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/codec.h"

#include <stdlib.h>

#include "base/buf.h"
#include "lwm2m/codec_priv.h"

/* ---- types from models ---- */

const struct lwm2m_obj_def *lwm2m_schema_object(const struct lwm2m_schema *schema, uint16_t object)
{
    struct lwm2m_version version = LWM2M_VERSION(0, 0), enabler = LWM2M_VERSION(1, 0);

    if (schema == NULL || schema->models == NULL) {
        return NULL;
    }
    if (schema->links != NULL) {
        version = lwm2m_links_version(schema->links, object);
    }
    if (schema->enabler.major != 0) {
        enabler = schema->enabler;
    }
    return lwm2m_models_get(schema->models, object, version, enabler);
}

const struct lwm2m_res_def *lwm2m_schema_resource(const struct lwm2m_schema *schema,
                                                  uint16_t object, uint16_t resource)
{
    return lwm2m_obj_res(lwm2m_schema_object(schema, object), resource);
}

const struct lwm2m_res_def *lwm2m_dec_res(struct lwm2m_dec *dec, const struct lwm2m_path *path)
{
    if (path->depth < LWM2M_LEVEL_RESOURCE) {
        return NULL;
    }
    if (!dec->has_obj || dec->obj_id != path->id[0]) {
        dec->has_obj = true;
        dec->obj_id = path->id[0];
        dec->obj = lwm2m_schema_object(dec->opts->schema, path->id[0]);
    }
    return lwm2m_obj_res(dec->obj, path->id[2]);
}

dr_err_t lwm2m_dec_emit(struct lwm2m_dec *dec, const struct lwm2m_node *node)
{
    struct lwm2m_node typed = *node;
    const struct lwm2m_res_def *res = lwm2m_dec_res(dec, &node->path);

    if (dec->count == LWM2M_DECODE_NODES_MAX) {
        return DR_ERR_LIMIT;
    }
    dec->count++;
    if (res != NULL && node->value.type != LWM2M_TYPE_NONE && res->type != LWM2M_TYPE_NONE) {
        /* the model of a device may differ from ours: then its value stays as it came */
        if (lwm2m_value_coerce(&node->value, (enum lwm2m_type)res->type, &typed.value) != DR_OK) {
            typed.value = node->value;
        }
    }
    return dec->sink.fn(dec->sink.arg, &typed);
}

dr_err_t lwm2m_dec_emit_value(struct lwm2m_dec *dec, const struct lwm2m_path *path,
                              const struct lwm2m_value *value)
{
    return lwm2m_dec_emit(dec, &(struct lwm2m_node){.path = *path, .value = *value});
}

/* ---- decode ---- */

/* Link format shows what is there, without values. */
static dr_err_t link_decode(struct lwm2m_dec *dec, const uint8_t *in, size_t len)
{
    struct lwm2m_links links;

    dr_err_t err = lwm2m_links_parse((const char *)in, len, LWM2M_LINKS_DISCOVER, &links);
    if (err != DR_OK) {
        return err;
    }
    for (size_t i = 0; err == DR_OK && i < links.count; i++) {
        const struct lwm2m_value none = lwm2m_value_none();
        if (links.items[i].device.len == 0) {
            err = lwm2m_dec_emit_value(dec, &links.items[i].path, &none);
        }
    }
    lwm2m_links_fini(&links);
    return err;
}

static uint16_t guess_format(const struct lwm2m_path *base)
{
    return base->depth >= LWM2M_LEVEL_RESOURCE ? LWM2M_CT_TEXT : LWM2M_CT_TLV;
}

dr_err_t lwm2m_decode(uint16_t ct, const struct lwm2m_decode_opts *opts, const void *in, size_t len,
                      struct lwm2m_sink sink)
{
    dr_assert(opts != NULL && sink.fn != NULL && (in != NULL || len == 0));
    dr_assert(opts->base.depth <= LWM2M_PATH_DEPTH_MAX);

    struct lwm2m_dec dec = {.opts = opts, .sink = sink};

    if (len > LWM2M_PAYLOAD_MAX) {
        return DR_ERR_TOO_LARGE;
    }
    if (len == 0 && ct == LWM2M_CT_NONE) {
        return DR_OK;
    }
    ct = ct == LWM2M_CT_NONE ? guess_format(&opts->base) : lwm2m_format_normal(ct);
    if (len == 0 && ct != LWM2M_CT_TEXT && ct != LWM2M_CT_OPAQUE) {
        return DR_OK;
    }
    switch (ct) {
    case LWM2M_CT_TEXT:
        return lwm2m_text_decode(&dec, in, len);
    case LWM2M_CT_OPAQUE:
        return lwm2m_opaque_decode(&dec, in, len);
    case LWM2M_CT_LINK:
        return link_decode(&dec, in, len);
    case LWM2M_CT_CBOR:
        return lwm2m_cbor_decode(&dec, in, len);
    case LWM2M_CT_TLV:
        return lwm2m_tlv_decode(&dec, in, len);
    case LWM2M_CT_SENML_JSON:
    case LWM2M_CT_SENML_ETCH_JSON:
        return lwm2m_senml_json_decode(&dec, in, len);
    case LWM2M_CT_SENML_CBOR:
    case LWM2M_CT_SENML_ETCH_CBOR:
        return lwm2m_senml_cbor_decode(&dec, in, len);
    case LWM2M_CT_JSON:
        return lwm2m_json_decode(&dec, in, len);
    case LWM2M_CT_CBOR_MAP:
        return lwm2m_cbor_map_decode(&dec, in, len);
    default:
        return DR_ERR_UNSUPPORTED;
    }
}

dr_err_t lwm2m_decode_nodes(uint16_t ct, const struct lwm2m_decode_opts *opts, const void *in,
                            size_t len, struct lwm2m_nodes *nodes)
{
    dr_assert(nodes != NULL);

    size_t before = nodes->count;
    dr_err_t err = lwm2m_decode(ct, opts, in, len, lwm2m_nodes_sink(nodes));

    if (err != DR_OK) {
        nodes->count = before;
    }
    return err;
}

/* ---- encode ---- */

static dr_err_t encode_single(uint16_t ct, const struct lwm2m_path *base,
                              const struct lwm2m_node *nodes, size_t count, struct dr_wr *wr)
{
    if (count != 1 || !lwm2m_path_eq(&nodes[0].path, base) || base->depth < LWM2M_LEVEL_RESOURCE) {
        return DR_ERR_INVAL;
    }
    if (ct == LWM2M_CT_TEXT) {
        return lwm2m_value_to_text(&nodes[0].value, wr);
    }
    return ct == LWM2M_CT_OPAQUE ? lwm2m_opaque_encode(&nodes[0].value, wr)
                                 : lwm2m_cbor_encode(&nodes[0].value, wr);
}

dr_err_t lwm2m_encode(uint16_t ct, const struct lwm2m_path *base, const struct lwm2m_node *nodes,
                      size_t count, struct dr_wr *wr)
{
    dr_assert(base != NULL && wr != NULL && (nodes != NULL || count == 0));

    switch (ct) {
    case LWM2M_CT_TEXT:
    case LWM2M_CT_OPAQUE:
    case LWM2M_CT_CBOR:
        return encode_single(ct, base, nodes, count, wr);
    case LWM2M_CT_TLV:
        return lwm2m_tlv_encode(base, nodes, count, wr);
    case LWM2M_CT_SENML_JSON:
    case LWM2M_CT_SENML_ETCH_JSON:
        return lwm2m_senml_json_encode(base, nodes, count, wr);
    case LWM2M_CT_SENML_CBOR:
    case LWM2M_CT_SENML_ETCH_CBOR:
        return lwm2m_senml_cbor_encode(base, nodes, count, wr);
    case LWM2M_CT_CBOR_MAP:
        return lwm2m_cbor_map_encode(base, nodes, count, wr);
    default:
        return DR_ERR_UNSUPPORTED;
    }
}

size_t lwm2m_encode_bound(const struct lwm2m_node *nodes, size_t count)
{
    dr_assert(nodes != NULL || count == 0);

    size_t bound = 64;

    for (size_t i = 0; i < count; i++) {
        const struct lwm2m_value *v = &nodes[i].value;
        bound += 160; /* path twice, time, number, punctuation */
        if (v->type == LWM2M_TYPE_STRING || v->type == LWM2M_TYPE_OPAQUE ||
            v->type == LWM2M_TYPE_CORELNK) {
            bound += 6 * v->bytes.len; /* a character as \u00xx */
        }
    }
    return bound;
}

dr_err_t lwm2m_encode_alloc(uint16_t ct, const struct lwm2m_path *base,
                            const struct lwm2m_node *nodes, size_t count, uint8_t **ret,
                            size_t *ret_len)
{
    dr_assert(ret != NULL && ret_len != NULL);

    size_t cap = lwm2m_encode_bound(nodes, count);
    uint8_t *buf = malloc(cap);

    if (buf == NULL) {
        return DR_ERR_NOMEM;
    }
    struct dr_wr wr = dr_wr_of(buf, cap);
    dr_err_t err = lwm2m_encode(ct, base, nodes, count, &wr);
    if (err != DR_OK) {
        free(buf);
        return err;
    }
    uint8_t *fit = realloc(buf, dr_wr_len(&wr) == 0 ? 1 : dr_wr_len(&wr));
    *ret = fit == NULL ? buf : fit;
    *ret_len = dr_wr_len(&wr);
    return DR_OK;
}

static int node_cmp(const void *a, const void *b)
{
    return lwm2m_path_cmp(&((const struct lwm2m_node *)a)->path,
                          &((const struct lwm2m_node *)b)->path);
}

dr_err_t lwm2m_encode_paths(uint16_t ct, const struct lwm2m_path *paths, size_t count,
                            struct dr_wr *wr)
{
    dr_assert(wr != NULL && (paths != NULL || count == 0));

    if (!lwm2m_format_is_multi(ct) || ct == LWM2M_CT_TLV) {
        return DR_ERR_UNSUPPORTED;
    }
    struct lwm2m_node *nodes = calloc(count == 0 ? 1 : count, sizeof(*nodes));
    if (nodes == NULL) {
        return DR_ERR_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        nodes[i].path = paths[i];
    }
    if (ct == LWM2M_CT_CBOR_MAP) { /* a map has no order of its own */
        qsort(nodes, count, sizeof(*nodes), node_cmp);
    }
    const struct lwm2m_path root = LWM2M_PATH_ROOT;
    dr_err_t err = lwm2m_encode(ct, &root, nodes, count, wr);
    free(nodes);
    return err;
}
