/* SPDX-License-Identifier: Apache-2.0 */
/* Runs on shard loops: what a Register or an Update brings, and how it changes a registration. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "devices/op_priv.h"
#include "devices/rules.h"
#include "devices/standing.h"
#include "lwm2m/codec.h"

/* Uri-Query options; false: more than LWM2M_REG_QUERY_MAX. */
bool dev_query_get(const struct cx_pdu *pdu, struct lwm2m_str out[LWM2M_REG_QUERY_MAX],
                   size_t *ret_n)
{
    struct cx_opt_iter it = cx_opt_begin(pdu);
    struct cx_opt opt;
    size_t n = 0;

    while (cx_opt_next(&it, &opt)) {
        if (opt.num != CX_OPT_URI_QUERY) {
            continue;
        }
        if (n == LWM2M_REG_QUERY_MAX) {
            return false;
        }
        out[n++] = (struct lwm2m_str){.ptr = (const char *)opt.val, .len = opt.len};
    }
    *ret_n = n;
    return true;
}

void dev_change_fini(struct dev_shard *s, struct dev_change *c)
{
    lwm2m_shape_unref(s->shapes, c->shape);
    free(c->own);
    free(c->values);
    *c = (struct dev_change){0};
}

/* A value of the link list: text, but opaque resources have theirs in base64. */
static dr_err_t start_value_put(struct dev_change *c, const struct lwm2m_schema *schema,
                                const struct lwm2m_link *l)
{
    const struct lwm2m_res_def *def =
        l->path.depth >= LWM2M_LEVEL_RESOURCE
            ? lwm2m_schema_resource(schema, l->path.id[0], l->path.id[2])
            : NULL;
    struct dev_cached v = {.path = lwm2m_path_pack(&l->path),
                           .at_ms = dr_wall_ms(),
                           .ct = LWM2M_CT_TEXT,
                           .payload = dr_bytes_of(l->value.ptr, l->value.len)};
    uint8_t raw[DEV_CACHE_VALUE_MAX];
    size_t len;

    if (def != NULL && def->type == LWM2M_TYPE_OPAQUE &&
        dr_base64_decode(l->value.ptr, l->value.len, raw, sizeof raw, &len) == DR_OK) {
        v.ct = LWM2M_CT_OPAQUE;
        v.payload = dr_bytes_of(raw, len);
    }
    dr_err_t err = dev_cache_put(&c->values, &v);
    return err == DR_ERR_TOO_LARGE ? DR_OK : err;
}

/* Standing observations (aobs) and values (v) that a payload brings. */
static dr_err_t extras_get(struct dev_change *c, const struct lwm2m_links *links,
                           const struct lwm2m_schema *schema)
{
    size_t n = 0;

    for (size_t i = 0; i < links->count; i++) {
        n += links->items[i].has_aobs && links->items[i].device.len == 0;
    }
    if (n != 0) {
        n = n < DEV_STANDING_MAX ? n : DEV_STANDING_MAX;
        c->own = calloc(n, sizeof *c->own);
        if (c->own == NULL) {
            return DR_ERR_NOMEM;
        }
    }
    for (size_t i = 0; i < links->count; i++) {
        const struct lwm2m_link *l = &links->items[i];
        if (l->device.len != 0) {
            continue;
        }
        if (l->has_aobs && c->n_own < n) {
            c->own[c->n_own++] = (struct dev_obs){.path = lwm2m_path_pack(&l->path),
                                                  .flags = DEV_OBS_OWN | DEV_OBS_ON,
                                                  .aux = l->aobs};
        }
        if (l->has_value) {
            dr_err_t err = start_value_put(c, schema, l);
            if (err != DR_OK) {
                return err;
            }
        }
    }
    return DR_OK;
}

dr_err_t dev_change_links(struct dev_shard *s, struct dr_bytes body, const struct lwm2m_links *old,
                          struct lwm2m_version enabler, struct dev_change *c,
                          const struct lwm2m_register *reg)
{
    struct lwm2m_links links, merged;
    dr_err_t err = lwm2m_links_parse((const char *)body.p, body.len, LWM2M_LINKS_REGISTER, &links);

    if (err != DR_OK) {
        return err;
    }
    if (reg != NULL) {
        err = lwm2m_register_check_links(reg, &links, NULL);
        if (err == DR_OK && links.count == 0) {
            err = DR_ERR_EXISTS; /* a profile that we do not know: send the list, 4.09 */
        }
    }
    if (err == DR_OK) {
        struct lwm2m_schema schema = {
            .models = s->core->cfg.models, .links = &links, .enabler = enabler};
        err = extras_get(c, &links, &schema);
    }
    if (err == DR_OK && old != NULL) {
        err = lwm2m_links_merge(old, &links, &merged);
        if (err == DR_OK) {
            err = lwm2m_shape_intern(s->shapes, &merged, &c->shape);
            lwm2m_links_fini(&merged);
        }
    } else if (err == DR_OK) {
        err = lwm2m_shape_intern(s->shapes, &links, &c->shape);
    }
    lwm2m_links_fini(&links);
    if (err == DR_OK) {
        c->mask |= DB_REGISTRATION_LINKS;
    }
    return err;
}

uint8_t dev_code_of_links(dr_err_t err)
{
    switch (err) {
    case DR_ERR_EXISTS:
        return CX_CONFLICT;
    case DR_ERR_NOMEM:
        return CX_UNAVAILABLE;
    default: /* malformed, too many, and no room for one more kind of list */
        return err == DR_ERR_LIMIT ? CX_TOO_LARGE : CX_BAD_REQUEST;
    }
}

/* What an Update changes; 0 or the code to refuse it with. */
uint8_t dev_change_diff(struct dev_shard *s, const struct dev_reg *reg, const struct dev_uplink *up,
                        struct dev_change *c)
{
    struct lwm2m_update u;

    if (up->n_query != 0) {
        if (lwm2m_update_parse(up->query, up->n_query, dev_reg_version(reg), &u, NULL) != DR_OK) {
            return CX_BAD_REQUEST;
        }
        bool infinite = (reg->flags & DEV_REG_INFINITE) != 0;
        uint32_t lifetime_s = u.lifetime_infinite ? LWM2M_LIFETIME_MAX : u.lifetime_s;
        if (u.has_lifetime && (lifetime_s != reg->lifetime_s || u.lifetime_infinite != infinite)) {
            c->mask |= DB_REGISTRATION_LIFETIME;
            c->lifetime_s = lifetime_s;
            c->infinite = u.lifetime_infinite;
        }
        bool queue = (reg->flags & DEV_REG_QUEUE) != 0;
        if (u.has_binding &&
            (u.binding.transports != reg->transports || u.binding.queue != queue)) {
            c->mask |= DB_REGISTRATION_BINDING;
            c->binding = u.binding;
        }
    }
    if (up->body.len == 0) {
        return 0;
    }
    if (up->ct != -1 && up->ct != LWM2M_CT_LINK) {
        return CX_BAD_REQUEST;
    }
    bool merges = (reg->flags & DEV_REG_PELION) != 0;
    const struct lwm2m_links *old = merges ? lwm2m_shape_links(s->shapes, reg->shape) : NULL;
    dr_err_t err = dev_change_links(s, up->body, old, dev_reg_version(reg), c, NULL);
    if (err != DR_OK) {
        return dev_code_of_links(err);
    }
    if (c->shape == reg->shape) {
        c->mask &= ~DB_REGISTRATION_LINKS;
    }
    if (merges && c->n_own != 0) {
        c->mask |= DB_REGISTRATION_STANDING;
    }
    return 0;
}

void dev_change_apply(struct dev_shard *s, uint32_t index, struct dev_change *c)
{
    struct dev_reg *reg = dev_reg_at(s, index);

    if ((c->mask & DB_REGISTRATION_LIFETIME) != 0) {
        reg->lifetime_s = c->lifetime_s;
        reg->flags &= (uint16_t)~DEV_REG_INFINITE;
        reg->flags |= c->infinite ? DEV_REG_INFINITE : 0;
    }
    if ((c->mask & DB_REGISTRATION_BINDING) != 0) {
        reg->transports = c->binding.transports;
        reg->flags &= (uint16_t)~DEV_REG_QUEUE;
        reg->flags |= c->binding.queue ? DEV_REG_QUEUE : 0;
    }
    if ((c->mask & DB_REGISTRATION_LINKS) != 0) {
        lwm2m_shape_unref(s->shapes, reg->shape);
        reg->shape = c->shape;
        c->shape = LWM2M_SHAPE_NONE;
    }
    dev_obs_own_merge(reg, c->own, c->n_own);
    struct dev_cached v;
    for (size_t i = 0; dev_cache_at(c->values, i, &v); i++) {
        if (dev_cache_put(&reg->cache, &v) == DR_OK) {
            dev_cache_mark(s, index);
        }
    }
}
