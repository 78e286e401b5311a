/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs on shard loops: Register, Update, De-register and Send of devices; expiry.
 *
 * An Update that brings no news from a known association is answered on the spot. All else is an
 * operation (struct dev_op), one at a time for a device; meanwhile other uplinks of the device that
 * would need one are left without answer, so that the device repeats them:
 *
 *     place in the tables → claim (if new here) → rows (if nobody had it) → commit → answer
 *
 * An operation that fails before its commit takes its place away again if it made it.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "db/psk.h"
#include "devices/ops_priv.h"
#include "devices/rules.h"
#include "devices/shard_priv.h"
#include "lwm2m/links.h"

static void answer(struct dev_shard *s, cx_exchange_t x, uint8_t code)
{
    if (x != 0) {
        (void)cx_answer(s->engine, x, &(struct cx_reply){.code = code});
    }
}

static uint32_t now_s(void)
{
    return (uint32_t)(dr_wall_ms() / 1000);
}

static uint8_t code_of_store(dr_err_t err)
{
    switch (err) {
    case DR_ERR_DENIED: /* suspended */
        return CX_FORBIDDEN;
    case DR_ERR_STALE:
        return CX_NOT_FOUND;
    default: /* full, busy, broken: the device tries again later */
        return CX_UNAVAILABLE;
    }
}

/* ---- reading a message ---- */

/* Uri-Query options; false: more than LWM2M_REG_QUERY_MAX. */
static bool query_get(const struct cx_pdu *pdu, struct lwm2m_str out[LWM2M_REG_QUERY_MAX],
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

static void change_fini(struct dev_shard *s, struct dev_change *c)
{
    lwm2m_shape_unref(s->shapes, c->shape);
    free(c->own);
    free(c->values);
    *c = (struct dev_change){0};
}

/* Standing observations (aobs) and values (v) that a payload brings. */
static dr_err_t extras_get(struct dev_change *c, const struct lwm2m_links *links)
{
    size_t n = 0;

    for (size_t i = 0; i < links->count; i++) {
        n += links->items[i].has_aobs && links->items[i].device.len == 0;
    }
    if (n != 0) {
        n = n < DEV_OBS_MAX / 2 ? n : DEV_OBS_MAX / 2;
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
            struct dev_cached v = {.path = lwm2m_path_pack(&l->path),
                                   .at_ms = dr_wall_ms(),
                                   .ct = LWM2M_CT_TEXT,
                                   .payload = dr_bytes_of(l->value.ptr, l->value.len)};
            dr_err_t err = dev_cache_put(&c->values, &v);
            if (err != DR_OK && err != DR_ERR_TOO_LARGE) {
                return err;
            }
        }
    }
    c->has_own = true;
    return DR_OK;
}

/* The object list of a body into @p c (LINKS in mask). @param old  list that it adds to, or NULL */
static dr_err_t links_get(struct dev_shard *s, struct dr_bytes body, const struct lwm2m_links *old,
                          struct dev_change *c, const struct lwm2m_register *reg)
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
        err = extras_get(c, &links);
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

static uint8_t code_of_links(dr_err_t err)
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
static uint8_t update_diff(struct dev_shard *s, const struct dev_reg *reg,
                           const struct dev_uplink *up, struct dev_change *c)
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
    const struct lwm2m_links *old =
        (reg->flags & DEV_REG_PELION) != 0 ? lwm2m_shape_links(s->shapes, reg->shape) : NULL;
    dr_err_t err = links_get(s, up->body, old, c, NULL);
    if (err != DR_OK) {
        return code_of_links(err);
    }
    if (c->shape == reg->shape) {
        c->mask &= ~DB_REGISTRATION_LINKS;
    }
    return 0;
}

/* ---- operations ---- */

static struct dev_op *op_new(struct dev_shard *s, enum dev_op_kind kind, cx_exchange_t x,
                             cx_peer_t peer)
{
    struct dev_op *op = s->ops < DEV_OPS_MAX ? calloc(1, sizeof *op) : NULL;

    if (op != NULL) {
        op->shard = s;
        op->kind = kind;
        op->x = x;
        op->peer = peer;
        op->at_ms = dr_wall_ms();
        s->ops++;
    }
    return op;
}

/* Give up the place. The device goes to the heir, if one waits. */
static void op_free(struct dev_op *op)
{
    struct dev_shard *s = op->shard;
    uint32_t stays = 0;

    if (op->reg != 0) {
        struct dev_reg *reg = dev_reg_at(s, op->reg);
        struct dev_claim *heir = reg->heir;
        dr_assert(reg->op == op);
        reg->op = NULL;
        reg->heir = NULL;
        if (heir != NULL) {
            dev_claim_hand_over(s, op->reg, heir);
        } else if ((reg->flags & DEV_REG_LIVE) == 0) {
            dev_reg_remove(s, op->reg, true);
        } else if (op->kind != DEV_OP_REGISTER) {
            stays = op->reg;
        }
    }
    change_fini(s, &op->change);
    op->loaded = dev_loaded_free(op->loaded);
    op->claim.got = dev_handover_free(op->claim.got);
    free(op->kept);
    free(op->blob);
    free(op);
    s->ops--;
    if (stays != 0) {
        dev_obs_next(s, stays);
    }
    dev_op_end_check(s);
}

static void op_fail(struct dev_op *op, uint8_t code)
{
    answer(op->shard, op->x, code);
    op_free(op);
}

/* Leave the device without answer: it repeats its message when this has calmed down. */
static void op_forget(struct dev_op *op)
{
    if (op->x != 0) {
        cx_forget(op->shard->engine, op->x);
    }
    op_free(op);
}

/* Keep body and query of a message for later. */
static dr_err_t op_keep(struct dev_op *op, const struct dev_uplink *up)
{
    size_t size = up->body.len;

    for (size_t i = 0; i < up->n_query; i++) {
        size += up->query[i].len;
    }
    op->kept = malloc(size + 1);
    if (op->kept == NULL) {
        return DR_ERR_NOMEM;
    }
    struct dr_wr wr = dr_wr_of(op->kept, size);
    dr_wr_put_bytes(&wr, up->body);
    for (size_t i = 0; i < up->n_query; i++) {
        op->query[i] = (struct lwm2m_str){.ptr = (const char *)wr.p, .len = up->query[i].len};
        dr_wr_put(&wr, up->query[i].ptr, up->query[i].len);
    }
    op->up = (struct dev_uplink){.query = op->query,
                                 .n_query = up->n_query,
                                 .body = dr_bytes_of(op->kept, up->body.len),
                                 .ct = up->ct};
    return DR_OK;
}

static void op_set_identity(struct dev_op *op, const struct cx_identity *id)
{
    op->has_identity = id->kind != CX_ID_NONE;
    op->id = *id;
    op->id.name = op->endpoint;
    op->account = op->has_identity ? id->account : op->shard->core->cfg.nosec_account;
}

static void op_set_address(struct dev_op *op)
{
    union cx_addr a;
    char text[INET6_ADDRSTRLEN] = "";

    if (!cx_peer_addr(op->shard->engine, op->peer, &a)) {
        return;
    }
    if (a.sa.sa_family == AF_INET) {
        (void)inet_ntop(AF_INET, &a.in4.sin_addr, text, sizeof text);
        (void)snprintf(op->address, sizeof op->address, "%s:%u", text, ntohs(a.in4.sin_port));
    } else {
        (void)inet_ntop(AF_INET6, &a.in6.sin6_addr, text, sizeof text);
        (void)snprintf(op->address, sizeof op->address, "[%s]:%u", text, ntohs(a.in6.sin6_port));
    }
}

static void op_place_set(struct dev_op *op, uint32_t index)
{
    op->reg = index;
    dev_reg_at(op->shard, index)->op = op;
}

/* Make the place for op->endpoint and claim the device. */
static void op_claim(struct dev_op *op)
{
    struct dev_shard *s = op->shard;
    uint32_t index = dev_reg_by_name(s, op->account, op->endpoint);

    if (index != 0) { /* only a NoSec Update gets here with one: somebody was faster */
        op_forget(op);
        return;
    }
    if (dev_reg_new(s, op->account, op->endpoint, &index) != DR_OK) {
        op_fail(op, CX_UNAVAILABLE);
        return;
    }
    op_place_set(op, index);
    op->claimed = true;
    op->claim = (struct dev_claim){.by = s,
                                   .hash = dev_name_hash(s->core, op->account, op->endpoint),
                                   .account = op->account,
                                   .endpoint = op->endpoint};
    dev_claim_start(&op->claim);
}

/* ---- Register ---- */

static dr_err_t register_run(struct db_writer *w, struct db_job *job)
{
    struct dev_op *op = DR_CONTAINER_OF(job, struct dev_op, job);

    return db_register(w, &op->in, &op->out);
}

static void extras_load(struct dev_shard *s, uint32_t index);

static void register_answer(struct dev_shard *s, const struct dev_op *op)
{
    char account[DR_ID_LEN + 1], device[DR_ID_LEN + 1];
    struct cx_opt opts[3] = {
        {.num = CX_OPT_LOCATION_PATH, .len = 2, .val = (const uint8_t *)"rd"},
    };
    size_t n = 1;

    if (op->pelion) {
        dr_id_format(op->account, account);
        dr_id_format(op->out.device, device);
        opts[n++] = (struct cx_opt){CX_OPT_LOCATION_PATH, DR_ID_LEN, (const uint8_t *)account};
        opts[n++] = (struct cx_opt){CX_OPT_LOCATION_PATH, DR_ID_LEN, (const uint8_t *)device};
    } else {
        dev_location_format(op->out.device, device);
        opts[n++] =
            (struct cx_opt){CX_OPT_LOCATION_PATH, DEV_LOCATION_ID_LEN, (const uint8_t *)device};
    }
    (void)cx_answer(s->engine, op->x,
                    &(struct cx_reply){.code = CX_CREATED, .opts = opts, .n_opts = n});
}

static void change_apply(struct dev_shard *s, uint32_t index, struct dev_change *c)
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
    if (c->has_own && (c->n_own != 0 || (reg->flags & DEV_REG_PELION) == 0)) {
        dev_obs_own_set(reg, c->own, c->n_own);
    }
    struct dev_cached v;
    for (size_t i = 0; dev_cache_at(c->values, i, &v); i++) {
        if (dev_cache_put(&reg->cache, &v) == DR_OK) {
            dev_cache_mark(s, index);
        }
    }
}

static void register_done(struct db_job *job, dr_err_t err)
{
    struct dev_op *op = DR_CONTAINER_OF(job, struct dev_op, job);
    struct dev_shard *s = op->shard;
    struct dev_reg *reg = dev_reg_at(s, op->reg);

    if (err == DR_OK) {
        err = dev_reg_set_device(s, op->reg, op->out.device);
    }
    if (err != DR_OK) {
        DR_LOG_LIMITED(DR_LOG_WARNING, "devices", 5, "registration of '%s' refused: %s",
                       op->endpoint, dr_err_str(err));
        op_fail(op, code_of_store(err));
        return;
    }
    bool known = (reg->flags & DEV_REG_LIVE) != 0; /* its subscriptions are in memory */
    reg->generation = op->out.generation;
    reg->registered_ms = op->at_ms;
    reg->seen_s = reg->touched_s = (uint32_t)(op->at_ms / 1000);
    reg->seen_epoch = 0;
    reg->major = op->version.major;
    reg->minor = op->version.minor;
    reg->formats = (struct lwm2m_format_memory){0};
    reg->type = dev_type_intern(s, op->type);
    reg->flags &= (uint16_t) ~(DEV_REG_OBS_BUSY | DEV_REG_PELION);
    reg->flags |= DEV_REG_LIVE | (op->pelion ? DEV_REG_PELION : 0);
    reg->flags |= op->claim.wanted ? DEV_REG_WANTED : 0;
    change_apply(s, op->reg, &op->change);
    dev_reg_timer_start(s, reg);
    dev_reg_bind(s, op->reg, op->peer);
    register_answer(s, op);
    dev_news_state(s, reg, DEV_EVENT_REGISTERED, op->out.state_before != DB_DEVICE_REGISTERED);
    dev_reg_heard(s, reg, now_s());

    uint32_t index = op->reg;
    int64_t device = op->out.device;
    bool created = op->out.created;
    op_free(op); /* may hand the device on */
    if (dev_reg_by_device(s, device) != index) {
        return;
    }
    if (known || created) {
        dev_obs_renew(s, index);
    } else {
        extras_load(s, index);
    }
}

static void register_commit(struct dev_op *op)
{
    struct dev_shard *s = op->shard;
    struct lwm2m_str text = lwm2m_shape_text(s->shapes, op->change.shape);

    op_set_address(op);
    op->event_ids[0] = dr_id_new(&s->ids);
    op->event_ids[1] = dr_id_new(&s->ids);
    size_t len = lwm2m_binding_format(op->change.binding, op->version, op->binding_text);
    op->binding_text[len] = '\0';
    op->in = (struct db_register_in){
        .account = op->account,
        .endpoint_name = op->endpoint,
        .new_device = dr_id_new(&s->ids),
        .event_ids = {op->event_ids[0], op->event_ids[1]},
        .at_ms = op->at_ms,
        .lifetime_s = op->change.lifetime_s,
        .version_major = op->version.major,
        .version_minor = op->version.minor,
        .binding = op->binding_text,
        .queue_mode = op->change.binding.queue,
        .links = dr_bytes_of(text.ptr, text.len),
        .address = op->address,
        .credential = op->has_identity ? op->id.credential : 0,
        .credential_version = op->has_identity ? op->id.version : 0,
        .endpoint_type = op->type[0] == '\0' ? NULL : op->type,
    };
    op->job = (struct db_job){
        .home = s->loop, .run = register_run, .done = register_done, .lane = DB_LANE_ACK};
    dr_err_t err = db_submit(s->db, &op->job);
    if (err != DR_OK) {
        op_fail(op, code_of_store(err));
    }
}

/* Who registers under which name; 0 or the code to refuse it with. */
static uint8_t register_name(const struct dev_shard *s, const struct cx_identity *id,
                             struct lwm2m_str ep, char out[DEV_NAME_MAX + 1])
{
    if (id->kind == CX_ID_NONE) {
        if (s->core->cfg.nosec_account == 0 || ep.len == 0) {
            return CX_FORBIDDEN;
        }
        if (ep.len > DEV_NAME_MAX || memchr(ep.ptr, '\0', ep.len) != NULL ||
            !dr_utf8_valid(ep.ptr, ep.len)) {
            return CX_BAD_REQUEST;
        }
        memcpy(out, ep.ptr, ep.len);
        out[ep.len] = '\0';
        return 0;
    }
    size_t len = strlen(id->name);
    if (len == 0 || len > DEV_NAME_MAX) {
        return CX_BAD_REQUEST;
    }
    if (ep.len != 0 && (ep.len != len || memcmp(ep.ptr, id->name, len) != 0)) {
        return CX_BAD_REQUEST;
    }
    memcpy(out, id->name, len + 1);
    return 0;
}

static bool extra_is(const struct lwm2m_register *reg, const char *key, char *out, size_t cap)
{
    struct lwm2m_str v;

    if (!lwm2m_register_extra(reg, key, &v) || v.len == 0) {
        return false;
    }
    if (out != NULL && v.len < cap && memchr(v.ptr, '\0', v.len) == NULL &&
        dr_utf8_valid(v.ptr, v.len)) {
        memcpy(out, v.ptr, v.len);
        out[v.len] = '\0';
    }
    return true;
}

static uint8_t register_fill(struct dev_op *op, const struct lwm2m_register *r,
                             struct dr_bytes body)
{
    dr_err_t err = links_get(op->shard, body, NULL, &op->change, r);

    if (err != DR_OK) {
        return code_of_links(err);
    }
    op->version = r->version;
    op->change.mask |= DB_REGISTRATION_LIFETIME | DB_REGISTRATION_BINDING;
    op->change.lifetime_s = r->lifetime_infinite ? LWM2M_LIFETIME_MAX : r->lifetime_s;
    op->change.infinite = r->lifetime_infinite;
    op->change.binding = r->binding;
    (void)extra_is(r, "et", op->type, sizeof op->type);
    op->pelion = extra_is(r, "mccv", NULL, 0) || extra_is(r, "aid", NULL, 0);
    return 0;
}

static void on_register(struct dev_shard *s, const struct cx_inbound *in)
{
    struct lwm2m_str query[LWM2M_REG_QUERY_MAX];
    size_t n;
    struct lwm2m_register r;
    struct cx_identity id;
    const struct cx_pdu *pdu = in->pdu;

    if (pdu->type == CX_NON || !query_get(pdu, query, &n) ||
        (pdu->content_format != -1 && pdu->content_format != LWM2M_CT_LINK)) {
        answer(s, in->exchange, CX_BAD_REQUEST);
        return;
    }
    dr_err_t err = lwm2m_register_parse(query, n, &r, NULL);
    if (err != DR_OK) {
        answer(s, in->exchange, err == DR_ERR_VERSION ? CX_PRECONDITION : CX_BAD_REQUEST);
        return;
    }
    if (!cx_peer_identity(s->engine, in->peer, &id)) {
        return;
    }
    char endpoint[DEV_NAME_MAX + 1];
    uint8_t code = register_name(s, &id, r.ep, endpoint);
    if (code != 0) {
        DR_LOG_LIMITED(DR_LOG_INFO, "devices", 5,
                       "registration refused: name is not the credential's");
        answer(s, in->exchange, code);
        return;
    }
    if (!dev_news_room(s)) {
        answer(s, in->exchange, CX_UNAVAILABLE);
        return;
    }
    int64_t account = id.kind == CX_ID_NONE ? s->core->cfg.nosec_account : id.account;
    uint32_t index = dev_reg_by_name(s, account, endpoint);
    if (index != 0 && dev_reg_at(s, index)->op != NULL) {
        cx_forget(s->engine, in->exchange);
        return;
    }
    struct dev_op *op = op_new(s, DEV_OP_REGISTER, in->exchange, in->peer);
    if (op == NULL) {
        answer(s, in->exchange, CX_UNAVAILABLE);
        return;
    }
    memcpy(op->endpoint, endpoint, sizeof op->endpoint);
    op_set_identity(op, &id);
    code = register_fill(op, &r, dr_bytes_of(pdu->payload, pdu->payload_len));
    if (code != 0) {
        op_fail(op, code);
        return;
    }
    if (index == 0) {
        op_claim(op);
        return;
    }
    op_place_set(op, index);
    cx_peer_t peer = dev_reg_at(s, index)->peer;
    if (peer != 0) {
        cx_peer_calls_moved(s->engine, peer); /* requests of the old registration */
    }
    register_commit(op);
}

/* ---- rows of a device that is not in memory ---- */

struct dev_loaded *dev_loaded_free(struct dev_loaded *l)
{
    if (l != NULL) {
        free(l->links);
        free(l->cache);
        free(l->subs);
        free(l);
    }
    return NULL;
}

static dr_err_t sub_row(void *data, const struct db_subscription *row)
{
    struct dev_loaded *l = data;
    struct lwm2m_path path;

    if (l->n_subs == DEV_OBS_MAX ||
        lwm2m_path_parse(row->path, strlen(row->path), &path) != DR_OK) {
        return DR_OK;
    }
    if ((l->n_subs & (l->n_subs - 1)) == 0) { /* 0, 1, 2, 4, 8 … */
        size_t cap = l->n_subs == 0 ? 1 : l->n_subs * 2;
        struct dev_sub_row *subs = realloc(l->subs, cap * sizeof *subs);
        if (subs == NULL) {
            return DR_ERR_NOMEM;
        }
        l->subs = subs;
    }
    l->subs[l->n_subs++] = (struct dev_sub_row){.path = lwm2m_path_pack(&path), .key = row->key};
    return DR_OK;
}

static dr_err_t cache_row(void *data, const struct db_cache *row)
{
    struct dev_loaded *l = data;
    dr_err_t err = dev_cache_load(row->blob, &l->cache);

    return err == DR_ERR_CORRUPT ? DR_OK : err; /* values come again */
}

dr_err_t dev_loaded_extras(struct db_reader *r, int64_t account, int64_t device,
                           struct dev_loaded *l)
{
    dr_err_t err = db_subscription_list(r, account, device, sub_row, l);

    if (err == DR_OK) {
        err = db_cache_get(r, device, cache_row, l);
        err = err == DR_ERR_NOT_FOUND ? DR_OK : err;
    }
    return err;
}

static dr_err_t registration_row(void *data, const struct db_registration *row)
{
    struct dev_loaded *l = data;
    struct lwm2m_binding b;
    struct lwm2m_version version = LWM2M_VERSION(row->version_major, row->version_minor);
    struct dev_reg *reg = &l->reg;

    if (strlen(row->endpoint_name) > DEV_NAME_MAX) {
        return DR_ERR_NOT_FOUND;
    }
    (void)snprintf(l->endpoint, sizeof l->endpoint, "%s", row->endpoint_name);
    if (row->endpoint_type != NULL) {
        (void)strncpy(l->type, row->endpoint_type, DEV_TYPE_MAX);
    }
    reg->account = row->account;
    reg->device = row->device;
    reg->generation = row->generation;
    reg->registered_ms = row->registered_at;
    reg->seen_s = reg->touched_s = (uint32_t)(row->last_seen / 1000);
    reg->lifetime_s = row->lifetime_s;
    reg->major = version.major;
    reg->minor = version.minor;
    reg->transports = LWM2M_BIND_U;
    if (row->binding != NULL &&
        lwm2m_binding_parse((struct lwm2m_str){row->binding, strlen(row->binding)}, version, &b) ==
            DR_OK) {
        reg->transports = b.transports;
    }
    reg->flags = DEV_REG_LIVE | (row->queue_mode ? DEV_REG_QUEUE : 0);
    reg->flags |= row->lifetime_s >= LWM2M_LIFETIME_MAX ? DEV_REG_INFINITE : 0;
    l->registered = row->registered;
    l->blocked = row->blocked;
    l->expires_ms = row->expires_at;
    l->credential = row->credential;
    l->credential_version = row->credential_version;
    l->links = malloc(row->links.len + 1);
    if (l->links == NULL) {
        return DR_ERR_NOMEM;
    }
    if (row->links.len != 0) {
        memcpy(l->links, row->links.p, row->links.len);
    }
    l->links_len = row->links.len;
    return DR_OK;
}

struct psk_check {
    int64_t id, version;
    bool found;
};

static dr_err_t psk_row(void *data, const struct db_psk *row)
{
    struct psk_check *c = data;

    c->found = c->found || (row->id == c->id && row->version == c->version);
    return DR_OK;
}

/* Is the key that the association was made with still the one in the store? */
static dr_err_t credential_check(struct db_reader *r, const struct dev_op *op, bool *ret)
{
    struct psk_check c = {.id = op->id.credential, .version = op->id.version};

    for (int use = DB_PSK_OPERATOR; use <= DB_PSK_BOOTSTRAPPED; use++) {
        dr_err_t err =
            db_psk_get(r, op->id.account, op->endpoint, (enum db_psk_use)use, psk_row, &c);
        if (err != DR_OK && err != DR_ERR_NOT_FOUND) {
            return err;
        }
    }
    *ret = c.found;
    return DR_OK;
}

static dr_err_t load_run(struct db_reader *r, struct db_read *read)
{
    struct dev_op *op = DR_CONTAINER_OF(read, struct dev_op, read);
    struct dev_loaded *l = op->loaded;
    dr_err_t err = op->device != 0
                       ? db_registration_get(r, 0, op->device, registration_row, l)
                       : db_registration_find(r, op->account, op->endpoint, registration_row, l);

    op->verdict = DEV_LOAD_UNKNOWN;
    if (err == DR_ERR_NOT_FOUND) {
        return DR_OK;
    }
    if (err != DR_OK) {
        return err;
    }
    bool same = l->reg.account == op->account;
    if (op->has_identity) {
        same = same && strcmp(l->endpoint, op->endpoint) == 0;
    }
    if (!same) {
        op->verdict = DEV_LOAD_OTHER;
        return DR_OK;
    }
    if (op->has_identity && op->id.kind == CX_ID_PSK) {
        bool good;
        err = credential_check(r, op, &good);
        if (err != DR_OK) {
            return err;
        }
        if (!good) {
            op->verdict = DEV_LOAD_REVOKED;
            return DR_OK;
        }
    }
    int64_t slack_ms = ((int64_t)l->reg.lifetime_s / 4 + op->shard->core->cfg.grace_s) * 1000;
    if (!l->registered ||
        ((l->reg.flags & DEV_REG_INFINITE) == 0 && l->expires_ms + slack_ms < op->at_ms)) {
        return DR_OK;
    }
    op->verdict = DEV_LOAD_OK;
    return dev_loaded_extras(r, l->reg.account, l->reg.device, l);
}

static void subs_install(struct dev_shard *s, struct dev_reg *reg, const struct dev_loaded *l)
{
    for (size_t i = 0; i < l->n_subs; i++) {
        uint16_t key = dev_key_intern(s, l->subs[i].key);
        if (key == 0 || dev_obs_find(reg, l->subs[i].path, key) != NULL) {
            continue;
        }
        struct dev_obs *o = dev_obs_add(reg);
        if (o != NULL) {
            *o = (struct dev_obs){.path = l->subs[i].path, .flags = DEV_OBS_WANT, .aux = key};
        }
    }
}

static dr_err_t loaded_install(struct dev_op *op)
{
    struct dev_shard *s = op->shard;
    struct dev_loaded *l = op->loaded;
    struct dev_reg *reg = dev_reg_at(s, op->reg);
    uint32_t shape = LWM2M_SHAPE_NONE;
    dr_err_t err = DR_OK;

    if (l->links_len != 0) {
        err = lwm2m_shape_intern_text(s->shapes, l->links, l->links_len, &shape);
    }
    if (err == DR_OK) {
        err = dev_reg_set_device(s, op->reg, l->reg.device);
    }
    if (err != DR_OK) {
        lwm2m_shape_unref(s->shapes, shape);
        return err;
    }
    reg->generation = l->reg.generation;
    reg->registered_ms = l->reg.registered_ms;
    reg->seen_s = l->reg.seen_s;
    reg->touched_s = l->reg.touched_s;
    reg->lifetime_s = l->reg.lifetime_s;
    reg->flags = l->reg.flags | (op->claim.wanted ? DEV_REG_WANTED : 0);
    reg->flags |= op->pelion ? DEV_REG_PELION : 0;
    reg->major = l->reg.major;
    reg->minor = l->reg.minor;
    reg->transports = l->reg.transports;
    reg->type = dev_type_intern(s, l->type);
    reg->shape = shape;
    reg->cache = l->cache;
    l->cache = NULL;
    subs_install(s, reg, l);
    dev_obs_presubs_apply(s, op->reg);
    dev_reg_timer_start(s, reg);
    return DR_OK;
}

static void op_ready(struct dev_op *op);

static void load_done(struct db_read *read, dr_err_t err)
{
    struct dev_op *op = DR_CONTAINER_OF(read, struct dev_op, read);

    if (err != DR_OK) {
        op_fail(op, CX_UNAVAILABLE);
        return;
    }
    switch (op->verdict) {
    case DEV_LOAD_OTHER:
        op_fail(op, CX_BAD_REQUEST);
        return;
    case DEV_LOAD_REVOKED:
        op_fail(op, CX_FORBIDDEN);
        return;
    case DEV_LOAD_UNKNOWN:
        op_fail(op, CX_NOT_FOUND);
        return;
    case DEV_LOAD_OK:
        break;
    }
    if (op->loaded->blocked) {
        op_fail(op, CX_FORBIDDEN);
        return;
    }
    if (op->reg == 0) { /* NoSec: now the name is known; claim, then read again */
        (void)snprintf(op->endpoint, sizeof op->endpoint, "%s", op->loaded->endpoint);
        op->loaded = dev_loaded_free(op->loaded);
        op_claim(op);
        return;
    }
    if (loaded_install(op) != DR_OK) {
        op_fail(op, CX_UNAVAILABLE);
        return;
    }
    op_ready(op);
}

static void op_load(struct dev_op *op)
{
    op->loaded = calloc(1, sizeof *op->loaded);
    op->read = (struct db_read){.home = op->shard->loop, .fn = load_run, .done = load_done};
    if (op->loaded == NULL || db_read_start(op->shard->db, &op->read) != DR_OK) {
        op_fail(op, CX_UNAVAILABLE);
    }
}

/* Subscriptions and cache of a device that registered anew after a restart. */
struct extras {
    struct db_read read;
    struct dev_shard *s;
    int64_t account, device, generation;
    struct dev_loaded *loaded;
};

static dr_err_t extras_run(struct db_reader *r, struct db_read *read)
{
    struct extras *x = DR_CONTAINER_OF(read, struct extras, read);

    return dev_loaded_extras(r, x->account, x->device, x->loaded);
}

static void extras_done(struct db_read *read, dr_err_t err)
{
    struct extras *x = DR_CONTAINER_OF(read, struct extras, read);
    struct dev_shard *s = x->s;
    uint32_t index = dev_reg_by_device(s, x->device);

    if (index != 0 && dev_reg_at(s, index)->generation == x->generation) {
        struct dev_reg *reg = dev_reg_at(s, index);
        if (err == DR_OK) {
            if (reg->cache == NULL) {
                reg->cache = x->loaded->cache;
                x->loaded->cache = NULL;
            }
            subs_install(s, reg, x->loaded);
        } else {
            DR_LOG_LIMITED(DR_LOG_WARNING, "devices", 1,
                           "subscriptions of a device could not be read: %s", dr_err_str(err));
        }
        dev_obs_renew(s, index);
    }
    x->loaded = dev_loaded_free(x->loaded);
    free(x);
    s->reads--;
    dev_op_end_check(s);
}

static void extras_load(struct dev_shard *s, uint32_t index)
{
    const struct dev_reg *reg = dev_reg_at(s, index);
    struct extras *x = calloc(1, sizeof *x);

    if (x == NULL) {
        return;
    }
    *x = (struct extras){.read = {.home = s->loop, .fn = extras_run, .done = extras_done},
                         .s = s,
                         .account = reg->account,
                         .device = reg->device,
                         .generation = reg->generation,
                         .loaded = calloc(1, sizeof *x->loaded)};
    if (x->loaded == NULL || db_read_start(s->db, &x->read) != DR_OK) {
        x->loaded = dev_loaded_free(x->loaded);
        free(x);
        dev_obs_renew(s, index);
        return;
    }
    s->reads++;
}

/* ---- the claim is through ---- */

void dev_op_claimed(struct dev_op *op)
{
    if (op->claim.busy) {
        op_forget(op);
        return;
    }
    if (op->claim.got != NULL) {
        struct dev_handover *h = op->claim.got;
        op->claim.got = NULL;
        dr_err_t err = dev_handover_install(op->shard, op->reg, h);
        if (err == DR_OK) {
            op->moved = true;
        } else if (op->kind != DEV_OP_REGISTER) {
            op_fail(op, CX_UNAVAILABLE);
            return;
        }
    }
    if (op->kind == DEV_OP_REGISTER) {
        register_commit(op);
        return;
    }
    const struct dev_reg *reg = dev_reg_at(op->shard, op->reg);
    if ((reg->flags & DEV_REG_LIVE) == 0 || (op->device != 0 && reg->device != op->device)) {
        op_load(op);
        return;
    }
    op_ready(op);
}

/* ---- Update ---- */

static void update_finish(struct dev_shard *s, uint32_t index, cx_peer_t peer, cx_exchange_t x)
{
    struct dev_reg *reg = dev_reg_at(s, index);

    dev_reg_bind(s, index, peer);
    if (x == 0) { /* read because of a notification */
        dev_reg_heard(s, reg, now_s());
        return;
    }
    dev_reg_seen(s, index, now_s());
    answer(s, x, CX_CHANGED);
    dev_news_state(s, reg, DEV_EVENT_UPDATED, false);
}

static dr_err_t update_run(struct db_writer *w, struct db_job *job)
{
    struct dev_op *op = DR_CONTAINER_OF(job, struct dev_op, job);
    struct db_registration_update u = {
        .device = op->device,
        .generation = op->generation,
        .at_ms = op->at_ms,
        .mask = op->change.mask | (op->address[0] != '\0' ? DB_REGISTRATION_ADDRESS : 0),
        .lifetime_s = op->change.lifetime_s,
        .binding = op->binding_text,
        .queue_mode = op->change.binding.queue,
        .links = op->links,
        .address = op->address,
    };
    dr_err_t err = db_registration_update(w, &u);

    if (err == DR_OK && op->moved) {
        err = db_generation_bump(w, op->account, op->device, &op->out.generation);
    }
    return err;
}

static void update_done(struct db_job *job, dr_err_t err)
{
    struct dev_op *op = DR_CONTAINER_OF(job, struct dev_op, job);
    struct dev_shard *s = op->shard;
    struct dev_reg *reg = dev_reg_at(s, op->reg);

    if (err != DR_OK) {
        if (err == DR_ERR_STALE) {
            reg->flags &= (uint16_t)~DEV_REG_LIVE; /* deleted meanwhile: the place goes */
        }
        op_fail(op, code_of_store(err));
        return;
    }
    if (op->moved) {
        reg->generation = op->out.generation;
        reg->seen_epoch = 0;
    }
    reg->touched_s = (uint32_t)(op->at_ms / 1000);
    change_apply(s, op->reg, &op->change);
    reg->flags |= op->claim.wanted ? DEV_REG_WANTED : 0;
    update_finish(s, op->reg, op->peer, op->x);
    dev_reg_timer_start(s, reg);
    op_free(op);
}

static void update_commit(struct dev_op *op)
{
    struct dev_shard *s = op->shard;
    const struct dev_reg *reg = dev_reg_at(s, op->reg);
    struct lwm2m_str text = lwm2m_shape_text(s->shapes, op->change.shape);

    op_set_address(op);
    op->links = dr_bytes_of(text.ptr, text.len);
    op->device = reg->device;
    op->account = reg->account;
    op->generation = reg->generation;
    if ((op->change.mask & DB_REGISTRATION_BINDING) != 0) {
        size_t len =
            lwm2m_binding_format(op->change.binding, dev_reg_version(reg), op->binding_text);
        op->binding_text[len] = '\0';
    }
    op->job = (struct db_job){
        .home = s->loop, .run = update_run, .done = update_done, .lane = DB_LANE_ACK};
    dr_err_t err = db_submit(s->db, &op->job);
    if (err != DR_OK) {
        op_fail(op, code_of_store(err));
    }
}

/* ---- De-register, expiry ---- */

static dr_err_t deregister_run(struct db_writer *w, struct db_job *job)
{
    struct dev_op *op = DR_CONTAINER_OF(job, struct dev_op, job);

    return db_deregister(w, op->device, op->generation,
                         op->kind == DEV_OP_EXPIRE ? DB_GONE_EXPIRED : DB_GONE_DEREGISTERED,
                         op->at_ms, op->event_ids[0]);
}

static void deregister_done(struct db_job *job, dr_err_t err)
{
    struct dev_op *op = DR_CONTAINER_OF(job, struct dev_op, job);
    struct dev_shard *s = op->shard;
    struct dev_reg *reg = dev_reg_at(s, op->reg);
    bool expire = op->kind == DEV_OP_EXPIRE;

    if (err == DR_OK) {
        dev_news_state(s, reg, expire ? DEV_EVENT_EXPIRED : DEV_EVENT_DEREGISTERED, false);
        reg->flags &= (uint16_t)~DEV_REG_LIVE;
        op_fail(op, CX_DELETED);
        return;
    }
    if (err == DR_ERR_STALE) {
        reg->flags &= (uint16_t)~DEV_REG_LIVE;
    } else if (expire) { /* the store is full or broken: later again */
        dr_timer_start(loop_wheel(s->loop), &reg->timer, loop_now_ms(s->loop) + 10000);
    }
    op_fail(op, code_of_store(err));
}

static void deregister_commit(struct dev_op *op)
{
    struct dev_shard *s = op->shard;
    const struct dev_reg *reg = dev_reg_at(s, op->reg);

    op->device = reg->device;
    op->generation = reg->generation;
    op->event_ids[0] = dr_id_new(&s->ids);
    op->job = (struct db_job){
        .home = s->loop, .run = deregister_run, .done = deregister_done, .lane = DB_LANE_ACK};
    dr_err_t err = db_submit(s->db, &op->job);
    if (err != DR_OK) {
        deregister_done(&op->job, err);
    }
}

void dev_op_expire(struct dev_shard *s, uint32_t index)
{
    struct dev_op *op = op_new(s, DEV_OP_EXPIRE, 0, 0);
    struct dev_reg *reg = dev_reg_at(s, index);

    if (op == NULL || s->ending) {
        if (op != NULL) {
            op_free(op);
        }
        dr_timer_start(loop_wheel(s->loop), &reg->timer, loop_now_ms(s->loop) + 1000);
        return;
    }
    op_place_set(op, index);
    deregister_commit(op);
}

/* ---- all uplinks to a location, and Send ---- */

/* The registration is in memory and is that of the sender. */
static void op_ready(struct dev_op *op)
{
    struct dev_shard *s = op->shard;
    const struct dev_reg *reg = dev_reg_at(s, op->reg);

    switch (op->kind) {
    case DEV_OP_UPDATE: {
        uint8_t code = update_diff(s, reg, &op->up, &op->change);
        if (code != 0) {
            op_fail(op, code);
            return;
        }
        if (op->change.mask != 0 || op->moved) {
            update_commit(op);
            return;
        }
        change_apply(s, op->reg, &op->change);
        update_finish(s, op->reg, op->peer, op->x);
        op_free(op);
        return;
    }
    case DEV_OP_DEREGISTER:
        deregister_commit(op);
        return;
    case DEV_OP_SEND:
        dev_reg_bind(s, op->reg, op->peer);
        dev_send_process(op);
        return;
    case DEV_OP_REGISTER:
    case DEV_OP_EXPIRE:
        break;
    }
    dr_assert(false);
}

void dev_op_finish(struct dev_op *op, uint8_t code)
{
    op_fail(op, code);
}

/* A message for a device that is here. */
static void known_uplink(struct dev_shard *s, uint32_t index, const struct cx_inbound *in,
                         enum dev_op_kind kind, const struct dev_uplink *up)
{
    struct dev_reg *reg = dev_reg_at(s, index);
    struct dev_change change = {0};

    if (reg->op != NULL) {
        cx_forget(s->engine, in->exchange);
        return;
    }
    if (kind == DEV_OP_UPDATE) {
        uint8_t code = update_diff(s, reg, up, &change);
        if (code != 0) {
            change_fini(s, &change);
            answer(s, in->exchange, code);
            return;
        }
        if (change.mask == 0) {
            change_apply(s, index, &change);
            change_fini(s, &change);
            update_finish(s, index, in->peer, in->exchange);
            dev_obs_next(s, index);
            return;
        }
    }
    struct dev_op *op = op_new(s, kind, in->exchange, in->peer);
    if (op == NULL) {
        change_fini(s, &change);
        answer(s, in->exchange, CX_UNAVAILABLE);
        return;
    }
    op->change = change;
    op_place_set(op, index);
    if (kind == DEV_OP_UPDATE) {
        update_commit(op);
        return;
    }
    if (kind == DEV_OP_SEND) {
        op->up = *up; /* processed in this call */
    }
    op_ready(op);
}

/* A message for a device that is not here: claim it, or read who it is. */
static void unknown_uplink(struct dev_shard *s, const struct cx_inbound *in, enum dev_op_kind kind,
                           int64_t device, const struct cx_identity *id,
                           const struct dev_uplink *up)
{
    size_t len = strlen(id->name);

    if (len > DEV_NAME_MAX || (id->kind == CX_ID_NONE && device == 0)) {
        answer(s, in->exchange, CX_NOT_FOUND);
        return;
    }
    struct dev_op *op = op_new(s, kind, in->exchange, in->peer);
    if (op == NULL || op_keep(op, up) != DR_OK) {
        answer(s, in->exchange, CX_UNAVAILABLE);
        if (op != NULL) {
            op_free(op);
        }
        return;
    }
    memcpy(op->endpoint, id->name, len + 1);
    op_set_identity(op, id);
    op->device = device;
    if (op->has_identity) {
        op_claim(op);
    } else {
        op_load(op);
    }
}

/* May this peer speak for the registration? */
static bool identity_fits(const struct dev_shard *s, const struct cx_identity *id,
                          const struct dev_reg *reg)
{
    if (id->kind == CX_ID_NONE) {
        return s->core->cfg.nosec_account != 0 && reg->account == s->core->cfg.nosec_account;
    }
    return reg->account == id->account && strcmp(reg->name, id->name) == 0;
}

static void on_location(struct dev_shard *s, const struct cx_inbound *in, int64_t device,
                        bool has_query)
{
    const struct cx_pdu *pdu = in->pdu;
    struct lwm2m_str query[LWM2M_REG_QUERY_MAX];
    struct dev_uplink up = {.query = query,
                            .body = dr_bytes_of(pdu->payload, pdu->payload_len),
                            .ct = pdu->content_format};
    struct cx_identity id;

    if (pdu->code != CX_POST && pdu->code != CX_DELETE) {
        answer(s, in->exchange, CX_NOT_ALLOWED);
        return;
    }
    enum dev_op_kind kind = pdu->code == CX_POST ? DEV_OP_UPDATE : DEV_OP_DEREGISTER;
    if (has_query && !query_get(pdu, query, &up.n_query)) {
        answer(s, in->exchange, CX_BAD_REQUEST);
        return;
    }
    if (device == 0 || !cx_peer_identity(s->engine, in->peer, &id)) {
        answer(s, in->exchange, CX_NOT_FOUND);
        return;
    }
    uint32_t index = dev_reg_by_device(s, device);
    if (index != 0) {
        if (!identity_fits(s, &id, dev_reg_at(s, index))) {
            answer(s, in->exchange, CX_BAD_REQUEST); /* spec: LWM2M-1.1-CORE#6.2.2 */
            return;
        }
        known_uplink(s, index, in, kind, &up);
        return;
    }
    if (id.kind == CX_ID_NONE && s->core->cfg.nosec_account == 0) {
        answer(s, in->exchange, CX_NOT_FOUND);
        return;
    }
    if (id.kind != CX_ID_NONE) {
        index = dev_reg_by_name(s, id.account, id.name);
        if (index != 0) {
            if (dev_reg_at(s, index)->op != NULL) {
                cx_forget(s->engine, in->exchange);
            } else { /* registered, but not as that: an old location */
                answer(s, in->exchange, CX_NOT_FOUND);
            }
            return;
        }
    }
    unknown_uplink(s, in, kind, device, &id, &up);
}

static void on_send(struct dev_shard *s, const struct cx_inbound *in)
{
    const struct cx_pdu *pdu = in->pdu;
    struct dev_uplink up = {.body = dr_bytes_of(pdu->payload, pdu->payload_len),
                            .ct = pdu->content_format};
    struct cx_identity id;

    if (pdu->code != CX_POST) {
        answer(s, in->exchange, CX_NOT_ALLOWED);
        return;
    }
    if (!cx_peer_identity(s->engine, in->peer, &id)) {
        return;
    }
    uint32_t index = dev_reg_of_peer(s, in->peer);
    if (index != 0) {
        known_uplink(s, index, in, DEV_OP_SEND, &up);
        return;
    }
    unknown_uplink(s, in, DEV_OP_SEND, 0, &id, &up);
}

/* The common case: an Update without news from the association that we know. */
static bool quick_update(struct dev_shard *s, const struct cx_inbound *in, int64_t device)
{
    uint64_t user = cx_peer_user(s->engine, in->peer);

    if (user == 0 || user > UINT32_MAX || !dr_slab_used(&s->regs, (uint32_t)user)) {
        return false;
    }
    struct dev_reg *reg = dev_reg_at(s, (uint32_t)user);
    if (reg->peer != in->peer || reg->device != device || reg->op != NULL ||
        (reg->flags & DEV_REG_LIVE) == 0) {
        return false;
    }
    dev_reg_seen(s, (uint32_t)user, now_s());
    answer(s, in->exchange, CX_CHANGED);
    if (s->n_listening != 0) {
        dev_news_state(s, reg, DEV_EVENT_UPDATED, false);
    }
    if (reg->n_obs != 0) {
        dev_obs_next(s, (uint32_t)user);
    }
    return true;
}

static void on_request(void *data, struct cx_engine *e, const struct cx_inbound *in)
{
    struct dev_shard *s = data;
    int64_t device = 0;
    bool has_query;
    enum dev_target target = dev_target_of(in->pdu, &device, &has_query);

    if (target == DEV_TARGET_LOCATION && in->pdu->code == CX_POST && in->pdu->payload_len == 0 &&
        !has_query && quick_update(s, in, device)) {
        return;
    }
    if (s->ending || !s->begun) {
        cx_forget(e, in->exchange);
        return;
    }
    switch (target) {
    case DEV_TARGET_RD:
        if (in->pdu->code != CX_POST) {
            answer(s, in->exchange, CX_NOT_ALLOWED);
            return;
        }
        on_register(s, in);
        return;
    case DEV_TARGET_LOCATION:
        on_location(s, in, device, has_query);
        return;
    case DEV_TARGET_DP:
        on_send(s, in);
        return;
    case DEV_TARGET_NONE:
        answer(s, in->exchange, CX_NOT_FOUND);
        return;
    }
}

bool dev_notify_unknown(struct dev_shard *s, cx_peer_t peer)
{
    struct cx_identity id;
    struct dev_uplink up = {0};
    struct cx_inbound in = {.peer = peer};

    if (s->ending || !s->begun || !cx_peer_identity(s->engine, peer, &id) ||
        id.kind == CX_ID_NONE) {
        return false;
    }
    /* this value is lost; its observation is created again as soon as the rows are read */
    unknown_uplink(s, &in, DEV_OP_UPDATE, 0, &id, &up);
    return true;
}

static bool on_notify(void *data, struct cx_engine *e, cx_peer_t peer, const struct cx_pdu *pdu)
{
    (void)e;
    return dev_notify(data, peer, pdu);
}

static bool on_observed(void *data, struct cx_engine *e, cx_peer_t peer, const struct cx_pdu *first,
                        struct cx_observed *ret)
{
    (void)e;
    return dev_observed(data, peer, first, ret);
}

static bool on_room(void *data, struct cx_engine *e)
{
    (void)e;
    return dev_news_room(data);
}

static void on_peer_gone(void *data, struct cx_engine *e, cx_peer_t peer, uint64_t user,
                         enum cx_gone why)
{
    struct dev_shard *s = data;

    (void)e;
    (void)why;
    if (user != 0 && user <= UINT32_MAX && dr_slab_used(&s->regs, (uint32_t)user) &&
        dev_reg_at(s, (uint32_t)user)->peer == peer) {
        dev_reg_at(s, (uint32_t)user)->peer = 0;
    }
}

/* ---- credentials ---- */

struct psk_ask {
    struct db_read read;
    struct dev_shard *s;
    uint64_t handle;
    char identity[CX_IDENTITY_MAX + 1];
    bool found;
    struct cx_identity id;
    char endpoint[DEV_NAME_MAX + 1];
    uint8_t key[DB_PSK_KEY_MAX];
    size_t key_len;
};

static dr_err_t psk_copy(void *data, const struct db_psk *row)
{
    struct psk_ask *ask = data;

    if (strlen(row->endpoint_name) > DEV_NAME_MAX || row->key.len > sizeof ask->key) {
        return DR_OK; /* cannot register: as unknown */
    }
    (void)snprintf(ask->endpoint, sizeof ask->endpoint, "%s", row->endpoint_name);
    memcpy(ask->key, row->key.p, row->key.len);
    ask->key_len = row->key.len;
    ask->id = (struct cx_identity){.kind = CX_ID_PSK,
                                   .account = row->account,
                                   .credential = row->id,
                                   .version = (uint32_t)row->version,
                                   .name = ask->endpoint};
    ask->found = true;
    return DR_OK;
}

static dr_err_t psk_run(struct db_reader *r, struct db_read *read)
{
    struct psk_ask *ask = DR_CONTAINER_OF(read, struct psk_ask, read);

    return db_psk_find(r, dr_bytes_str(ask->identity), psk_copy, ask);
}

static void psk_done(struct db_read *read, dr_err_t err)
{
    struct psk_ask *ask = DR_CONTAINER_OF(read, struct psk_ask, read);
    struct dev_shard *s = ask->s;

    if (err == DR_OK && ask->found) {
        cx_psk_answer(s->engine, ask->handle, ask->key, ask->key_len, &ask->id);
    } else {
        cx_psk_answer(s->engine, ask->handle, NULL, 0, NULL);
    }
    dr_wipe(ask, sizeof *ask);
    free(ask);
    s->reads--;
    dev_op_end_check(s);
}

static void on_psk(void *data, struct cx_engine *e, const struct cx_psk_query *q)
{
    struct dev_shard *s = data;
    struct psk_ask *ask = s->ending ? NULL : calloc(1, sizeof *ask);

    if (ask == NULL || strlen(q->identity) > CX_IDENTITY_MAX) {
        free(ask);
        cx_psk_answer(e, q->handle, NULL, 0, NULL);
        return;
    }
    ask->read = (struct db_read){.home = s->loop, .fn = psk_run, .done = psk_done};
    ask->s = s;
    ask->handle = q->handle;
    (void)snprintf(ask->identity, sizeof ask->identity, "%s", q->identity);
    if (db_read_start(s->db, &ask->read) != DR_OK) {
        free(ask); /* no answer: the device repeats its hello, the handshake times out here */
        return;
    }
    s->reads++;
}

static dr_err_t on_cert(void *data, struct cx_engine *e, uint64_t anchor_tag, const char *cn,
                        const uint8_t *leaf_der, size_t leaf_len, struct cx_identity *id)
{
    (void)data;
    (void)e;
    (void)cn;
    (void)leaf_der;
    (void)leaf_len;
    if (anchor_tag == 0 || anchor_tag > INT64_MAX) {
        return DR_ERR_DENIED;
    }
    id->account = (int64_t)anchor_tag;
    id->credential = 0;
    id->version = 0;
    return DR_OK;
}

const struct cx_ops dev_cx_ops = {
    .request = on_request,
    .notify = on_notify,
    .room = on_room,
    .observed = on_observed,
    .psk = on_psk,
    .cert = on_cert,
    .peer_gone = on_peer_gone,
};
