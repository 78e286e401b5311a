/* SPDX-License-Identifier: Apache-2.0 */
/* Runs on shard loops: Register. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "devices/op_priv.h"
#include "devices/rules.h"

static dr_err_t register_run(struct db_writer *w, struct db_job *job)
{
    struct dev_op *op = DR_CONTAINER_OF(job, struct dev_op, job);

    return db_register(w, &op->in, &op->out);
}

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

/*
 * 4.03 makes a Pelion client delete its credentials and go back to bootstrap: right for a device
 * that was deleted, wrong for one that is suspended and will be let in again.
 */
static uint8_t refusal_code(const struct dev_op *op, dr_err_t err)
{
    if (err == DR_ERR_GONE) {
        return CX_FORBIDDEN;
    }
    return err == DR_ERR_DENIED && op->pelion ? CX_UNAVAILABLE : dev_code_of_store(err);
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
        dev_op_finish(op, refusal_code(op, err));
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
    dev_obs_own_clear(reg); /* their tokens were those of the registration before */
    dev_change_apply(s, op->reg, &op->change);
    dev_reg_timer_start(s, reg);
    dev_reg_bind(s, op->reg, op->peer);
    register_answer(s, op);
    dev_news_state(s, reg, DEV_EVENT_REGISTERED, op->out.state_before != DB_DEVICE_REGISTERED);
    dev_reg_heard(s, reg, dev_now_s());

    uint32_t index = op->reg;
    int64_t device = op->out.device;
    bool created = op->out.created;
    dev_op_free(op); /* may hand the device on */
    if (dev_reg_by_device(s, device) != index) {
        return;
    }
    if (known || created) {
        dev_obs_renew(s, index);
    } else {
        dev_extras_load(s, index);
    }
}

void dev_register_commit(struct dev_op *op)
{
    struct dev_shard *s = op->shard;
    struct lwm2m_str text = lwm2m_shape_text(s->shapes, op->change.shape);

    dev_op_set_address(op);
    op->event_ids[0] = dr_id_new(&s->ids);
    op->event_ids[1] = dr_id_new(&s->ids);
    size_t len = lwm2m_binding_format(op->change.binding, op->version, op->binding_text);
    op->binding_text[len] = '\0';
    if (op->pelion && dev_op_standing(op, NULL) != DR_OK) {
        dev_op_finish(op, CX_UNAVAILABLE);
        return;
    }
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
        .standing = dr_bytes_of(op->standing, op->standing_len),
        .device = op->id.kind == CX_ID_CERT ? op->id.device : 0,
    };
    op->job = (struct db_job){
        .home = s->loop, .run = register_run, .done = register_done, .lane = DB_LANE_ACK};
    dr_err_t err = db_submit(s->db, &op->job);
    if (err != DR_OK) {
        dev_op_finish(op, dev_code_of_store(err));
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

/*
 * What a Pelion client says of its account must be what its credential says: a credential is of one
 * account, and the location that it gets names it.
 */
static bool claims_fit(const struct lwm2m_register *reg, int64_t account)
{
    static const char *const keys[] = {"aid", "d"};
    char text[DR_ID_LEN + 1];
    struct lwm2m_str v;

    dr_id_format(account, text);
    for (size_t i = 0; i < DR_ARRAY_LEN(keys); i++) {
        if (lwm2m_register_extra(reg, keys[i], &v) && v.len != 0 && !lwm2m_str_eq(v, text)) {
            return false;
        }
    }
    return true;
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

static bool is_pelion(const struct lwm2m_register *reg)
{
    return extra_is(reg, "mccv", NULL, 0) || extra_is(reg, "aid", NULL, 0);
}

static uint8_t register_fill(struct dev_op *op, const struct lwm2m_register *r,
                             struct dr_bytes body)
{
    dr_err_t err = dev_change_links(op->shard, body, NULL, r->version, &op->change, r);

    if (err != DR_OK) {
        return dev_code_of_links(err);
    }
    op->version = r->version;
    op->change.mask |= DB_REGISTRATION_LIFETIME | DB_REGISTRATION_BINDING;
    op->change.lifetime_s = r->lifetime_infinite ? LWM2M_LIFETIME_MAX : r->lifetime_s;
    op->change.infinite = r->lifetime_infinite;
    op->change.binding = r->binding;
    (void)extra_is(r, "et", op->type, sizeof op->type);
    op->pelion = is_pelion(r);
    return 0;
}

void dev_on_register(struct dev_shard *s, const struct cx_inbound *in)
{
    struct lwm2m_str query[LWM2M_REG_QUERY_MAX];
    size_t n;
    struct lwm2m_register r;
    struct cx_identity id;
    const struct cx_pdu *pdu = in->pdu;

    if (pdu->type == CX_NON || !dev_query_get(pdu, query, &n) ||
        (pdu->content_format != -1 && pdu->content_format != LWM2M_CT_LINK)) {
        dev_op_answer(s, in->exchange, CX_BAD_REQUEST);
        return;
    }
    dr_err_t err = lwm2m_register_parse(query, n, &r, NULL);
    if (err != DR_OK) {
        dev_op_answer(s, in->exchange, err == DR_ERR_VERSION ? CX_PRECONDITION : CX_BAD_REQUEST);
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
        dev_op_answer(s, in->exchange, code);
        return;
    }
    int64_t account = id.kind == CX_ID_NONE ? s->core->cfg.nosec_account : id.account;
    if (is_pelion(&r) && !claims_fit(&r, account)) {
        DR_LOG_LIMITED(DR_LOG_INFO, "devices", 5,
                       "registration of '%s' refused: its account is not the credential's",
                       endpoint);
        dev_op_answer(s, in->exchange, CX_BAD_REQUEST);
        return;
    }
    if (!dev_news_room(s)) {
        dev_op_answer(s, in->exchange, CX_UNAVAILABLE);
        return;
    }
    uint32_t index = dev_reg_by_name(s, account, endpoint);
    if (index != 0 && dev_reg_at(s, index)->op != NULL) {
        cx_forget(s->engine, in->exchange);
        return;
    }
    struct dev_op *op = dev_op_new(s, DEV_OP_REGISTER, in->exchange, in->peer);
    if (op == NULL) {
        dev_op_answer(s, in->exchange, CX_UNAVAILABLE);
        return;
    }
    memcpy(op->endpoint, endpoint, sizeof op->endpoint);
    dev_op_set_identity(op, &id);
    code = register_fill(op, &r, dr_bytes_of(pdu->payload, pdu->payload_len));
    if (code != 0) {
        dev_op_finish(op, code);
        return;
    }
    if (index == 0) {
        dev_op_claim(op);
        return;
    }
    dev_op_place_set(op, index);
    cx_peer_t peer = dev_reg_at(s, index)->peer;
    if (peer != 0) {
        cx_peer_calls_moved(s->engine, peer); /* requests of the old registration */
    }
    dev_register_commit(op);
}
