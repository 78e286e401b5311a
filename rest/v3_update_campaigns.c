/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/v3_update_campaigns.c
 * @brief /v3/update-campaigns: campaigns and what controls them.
 *
 * Fields of our own begin with x_; without them a campaign is one wave without gates.
 */
#include <stdio.h>
#include <string.h>

#include "campaigns/campaign.h"
#include "rest/campaign.h"
#include "rest/filter.h"
#include "rest/list.h"
#include "rest/one.h"
#include "rest/rest_priv.h"

/* ---- list ---- */

static const char *const filter_fields[] = {
    "id",    "name",       "description", "device_filter", "root_manifest_id", "phase",
    "state", "created_at", "updated_at",  "started_at",    "finished",         "when",
};

struct list_data {
    struct db_reader *r;
    struct rest_list_op *op;
};

static dr_err_t list_row(void *data, const struct db_campaign *row)
{
    struct list_data *l = data;
    struct rest_json j = rest_json_of(&l->op->out);

    return rest_list_row(l->op) ? rest_campaign_write(l->r, &j, row, NULL) : DR_OK;
}

static dr_err_t list_rows(struct db_reader *r, struct rest_list_op *op)
{
    struct list_data l = {.r = r, .op = op};

    return db_campaign_list(r, &op->query, list_row, &l, &op->info);
}

static dr_err_t list_count(struct db_reader *r, struct rest_list_op *op, int64_t *ret)
{
    return db_campaign_count(r, &op->query, ret, &op->info);
}

/* Names of phases and states as the numbers that rows have. */
static bool list_conditions(struct rest_req *req, struct rest_filter *filter)
{
    for (size_t i = 0; i < filter->count; i++) {
        struct db_cond *c = &filter->conds[i];
        bool phase = strcmp(c->field, "phase") == 0;
        if (!phase && strcmp(c->field, "state") != 0) {
            continue;
        }
        const char **values = rest_arena_alloc(&req->arena, (c->n_values + 1) * sizeof *values);
        for (size_t k = 0; values != NULL && k < c->n_values; k++) {
            char *text = rest_arena_alloc(&req->arena, 8);
            int64_t n = -1;
            for (int64_t p = CAMP_DRAFT; phase && p <= CAMP_ARCHIVED; p++) {
                n = strcmp(camp_phase_name(p), c->values[k]) == 0 ? p : n;
            }
            if (text == NULL || (n < 0 && (phase || !camp_state_find(c->values[k], &n)))) {
                struct rest_field_errors errors = {0};
                rest_field_error_add(&errors, c->field, "there is no such %s", c->field);
                rest_answer_fields(req, &errors, "");
                return false;
            }
            (void)snprintf(text, 8, "%d", (int)n);
            values[k] = text;
        }
        if (values == NULL) {
            rest_answer_err(req, DR_ERR_NOMEM);
            return false;
        }
        c->values = values;
    }
    return true;
}

static const struct rest_list_kind list_kind = {
    .list = DB_LIST_CAMPAIGN,
    .fields = filter_fields,
    .n_fields = DR_ARRAY_LEN(filter_fields),
    .rows = list_rows,
    .count = list_count,
    .conditions = list_conditions,
};

static void campaigns_get(struct rest_req *req)
{
    rest_list_start(req, &list_kind);
}

/* ---- one operation ---- */

struct op {
    struct rest_one one;
    struct camp_engine *engine;
    struct camp_action action;
    struct camp_progress progress;
    struct db_campaign row; /* CREATE */
    struct rest_campaign_body body;
    bool rollback;
    enum { THEN_NOTHING, THEN_START, THEN_STOP } then;
};

static struct op *op_new(struct rest_req *req, bool with_id)
{
    struct camp_engine *engine = rest_of(req)->config.campaigns;

    if (engine == NULL) {
        rest_answer_err(req, DR_ERR_CANCELED);
        return NULL;
    }
    struct op *op = with_id ? rest_one_of_path(req, sizeof *op, "campaign")
                            : rest_one_new(req, sizeof *op, 0, "campaign");
    if (op != NULL) {
        op->engine = engine;
        op->body.arena = &req->arena;
    }
    return op;
}

/* What went wrong. */
static void op_refuse(struct op *op, dr_err_t err)
{
    struct rest_req *req = op->one.req;

    if (err == DR_ERR_INVAL && op->body.errors.count == 0) {
        rest_field_error_add(&op->body.errors, "root_manifest_id", "the campaign has no manifest");
    }
    if (err == DR_ERR_IN_USE) {
        rest_one_drop(&op->one);
        rest_answer_error(req, 409, NULL, "the campaign is not in a phase that allows this");
    } else if (err == DR_ERR_DENIED) {
        rest_one_drop(&op->one);
        rest_answer_error(req, 403, NULL,
                          op->action.verb == CAMP_DO_APPROVE
                              ? "another API key than the one that started it has to approve"
                              : "only name and description can be changed once it is started");
    } else if (err == DR_ERR_INVAL) {
        (void)rest_one_parsed(&op->one, err, &op->body.errors);
    } else {
        rest_one_end(&op->one, err);
    }
}

struct write_data {
    struct db_reader *r;
    struct op *op;
};

static dr_err_t one_row(void *data, const struct db_campaign *row)
{
    struct write_data *d = data;
    struct rest_json j = rest_json_of(&d->op->one.out);

    return rest_campaign_write(d->r, &j, row, &d->op->progress);
}

static dr_err_t one_read(struct db_reader *r, struct rest_one *one)
{
    struct write_data d = {.r = r, .op = DR_CONTAINER_OF(one, struct op, one)};

    return db_campaign_get(r, one->account, one->id, one_row, &d);
}

static void one_start(struct op *op)
{
    camp_progress_get(op->engine, op->one.id, &op->progress);
    rest_one_read(&op->one, one_read);
}

static void campaign_get(struct rest_req *req)
{
    struct op *op = op_new(req, true);

    if (op != NULL) {
        one_start(op);
    }
}

static bool body_read(struct op *op)
{
    if (!rest_one_body(&op->one)) {
        return false;
    }
    const json_t *body = op->body.json = op->one.json;
    if (!json_is_object(body)) {
        rest_field_error_add(&op->body.errors, "body", "it has to be an object");
        op_refuse(op, DR_ERR_INVAL);
        return false;
    }
    const char *state = json_string_value(json_object_get(body, "state"));
    op->then = state == NULL                     ? THEN_NOTHING
               : strcmp(state, "scheduled") == 0 ? THEN_START
               : strcmp(state, "draft") == 0     ? THEN_STOP
                                                 : THEN_NOTHING;
    rest_campaign_waves(&op->body);
    op->action.waves = op->body.has_waves ? op->body.waves : NULL;
    op->action.n_waves = op->body.n_waves;
    return true;
}

/* ---- actions ---- */

static void action_done(struct camp_action *action, dr_err_t err);

static void action_start(struct op *op, enum camp_verb verb)
{
    op->action.verb = verb;
    op->action.account = op->one.account;
    op->action.key = op->one.req->who.key;
    op->action.id = op->one.id;
    op->action.cb = action_done;
    op->action.data = op;
    dr_err_t err = camp_action_start(op->engine, &op->action);
    if (err != DR_OK) {
        op_refuse(op, err);
    }
}

/* A body that begins or ends the campaign on its way: the old way of the contract. */
static void then_done(struct camp_action *action, dr_err_t err)
{
    struct op *op = action->data;

    if (err != DR_OK && !(action->verb == CAMP_DO_STOP && err == DR_ERR_IN_USE)) {
        op_refuse(op, err == DR_ERR_IN_USE ? DR_ERR_DENIED : err);
        return;
    }
    one_start(op);
}

static void action_done(struct camp_action *action, dr_err_t err)
{
    struct op *op = action->data;
    bool body = action->verb == CAMP_DO_CREATE || action->verb == CAMP_DO_EDIT;

    if (err != DR_OK) {
        op_refuse(op, err);
        return;
    }
    if (!body) {
        rest_one_drop(&op->one);
        rest_answer_empty(op->one.req, action->verb == CAMP_DO_DELETE ? 204 : 202);
        return;
    }
    op->one.id = action->id;
    if (op->then == THEN_START || (op->then == THEN_STOP && action->verb == CAMP_DO_EDIT)) {
        op->action =
            (struct camp_action){.verb = op->then == THEN_START ? CAMP_DO_START : CAMP_DO_STOP,
                                 .account = op->one.account,
                                 .id = op->one.id,
                                 .key = op->one.req->who.key,
                                 .cb = then_done,
                                 .data = op};
        err = camp_action_start(op->engine, &op->action);
        if (err != DR_OK) {
            op_refuse(op, err);
        }
        return;
    }
    one_start(op);
}

static void campaign_post(struct rest_req *req)
{
    struct op *op = op_new(req, false);

    if (op == NULL || !body_read(op)) {
        return;
    }
    camp_spec_defaults(&op->row);
    if (json_object_get(op->one.json, "device_filter") == NULL &&
        json_object_get(op->one.json, "x_source") == NULL) {
        rest_field_error_add(&op->body.errors, "device_filter", "it is missing");
    }
    rest_campaign_apply(&op->body, &op->row);
    if (op->body.errors.count != 0) {
        op_refuse(op, DR_ERR_INVAL);
        return;
    }
    op->one.status = 201;
    op->action.row = &op->row;
    action_start(op, CAMP_DO_CREATE);
}

/* ---- a new one like this ---- */

static dr_err_t again_wave(void *data, const struct db_campaign_wave *row)
{
    struct op *op = data;
    struct rest_campaign_body *b = &op->body;

    if (!b->has_waves && b->n_waves < CAMP_WAVES_MAX) {
        b->waves[b->n_waves] = *row;
        b->waves[b->n_waves++].verdict = "";
    }
    return DR_OK;
}

static bool keep(struct rest_arena *arena, const char **text)
{
    *text = rest_arena_strndup(arena, *text, strlen(*text));
    return *text != NULL;
}

static dr_err_t again_row(void *data, const struct db_campaign *row)
{
    struct op *op = data;
    struct rest_arena *arena = &op->one.req->arena;
    struct db_campaign *to = &op->row;
    bool ok = true;

    *to = *row;
#define KEEP_INT(member)   (void)0
#define KEEP_TEXT(member)  ok = keep(arena, &to->member) && ok
#define KEEP(member, kind) KEEP_##kind(member);
    DB_CAMPAIGN_FIELDS(KEEP)
#undef KEEP
    return ok ? DR_OK : DR_ERR_NOMEM;
}

static dr_err_t again_read(struct db_reader *r, struct rest_one *one)
{
    struct op *op = DR_CONTAINER_OF(one, struct op, one);
    dr_err_t err = db_campaign_get(r, one->account, one->id, again_row, op);

    return err == DR_OK ? db_campaign_waves(r, one->id, again_wave, op) : err;
}

/* It is read: make the new one. */
static void again_done(struct rest_one *one, dr_err_t err)
{
    struct op *op = DR_CONTAINER_OF(one, struct op, one);

    if (err != DR_OK) {
        op_refuse(op, err);
        return;
    }
    camp_spec_again(&op->row);
    if (op->rollback) {
        op->row.source_campaign = one->id;
        op->row.source_buckets = CAMP_SOURCE_SUCCEEDED;
        op->row.device_filter = op->row.conditions = "";
        op->row.root_manifest_id = 0;
    }
    rest_campaign_apply(&op->body, &op->row);
    if (op->rollback && op->row.root_manifest_id == 0) {
        rest_field_error_add(&op->body.errors, "root_manifest_id",
                             "it is missing: what the devices go back to");
    }
    if (op->body.errors.count != 0) {
        op_refuse(op, DR_ERR_INVAL);
        return;
    }
    op->one.status = 201;
    op->action.row = &op->row;
    op->action.waves = op->body.waves;
    op->action.n_waves = op->body.n_waves;
    action_start(op, CAMP_DO_CREATE);
}

static void again(struct rest_req *req, bool rollback)
{
    struct op *op = op_new(req, true);

    if (op == NULL) {
        return;
    }
    op->rollback = rollback;
    if (req->body.len == 0) {
        op->body.json = op->one.json = json_object();
        if (op->body.json == NULL) {
            op_refuse(op, DR_ERR_NOMEM);
            return;
        }
    } else if (!body_read(op)) {
        return;
    }
    rest_one_read_then(&op->one, again_read, again_done);
}

static void campaign_clone(struct rest_req *req)
{
    again(req, false);
}

static void campaign_rollback(struct rest_req *req)
{
    again(req, true);
}

static dr_err_t edit(struct camp_action *action, struct db_campaign *row)
{
    struct op *op = action->data;

    rest_campaign_apply(&op->body, row);
    return op->body.errors.count != 0 ? DR_ERR_INVAL : DR_OK;
}

static void campaign_put(struct rest_req *req)
{
    static const char *const spec[] = {
        "device_filter", "x_source",          "root_manifest_id",
        "when",          "autostop",          "autostop_success_percent",
        "x_waves",       "x_limits",          "x_retry",
        "x_window",      "approval_required", "x_timeouts",
        "x_end",         "x_conflict"};
    struct op *op = op_new(req, true);

    if (op == NULL || !body_read(op)) {
        return;
    }
    if (op->body.errors.count != 0) {
        op_refuse(op, DR_ERR_INVAL);
        return;
    }
    for (size_t i = 0; i < DR_ARRAY_LEN(spec); i++) {
        const json_t *v = json_object_get(op->one.json, spec[i]);
        if (v != NULL && !json_is_null(v)) {
            op->action.mask |= CAMP_EDIT_SPEC;
        }
    }
    op->action.edit = edit;
    action_start(op, CAMP_DO_EDIT);
}

static void verb(struct rest_req *req, enum camp_verb verb_of)
{
    struct op *op = op_new(req, true);

    if (op != NULL) {
        action_start(op, verb_of);
    }
}

#define VERB(name, which)                                                                          \
    static void name(struct rest_req *req)                                                         \
    {                                                                                              \
        verb(req, which);                                                                          \
    }
VERB(campaign_delete, CAMP_DO_DELETE)
VERB(campaign_start, CAMP_DO_START)
VERB(campaign_archive, CAMP_DO_ARCHIVE)
VERB(campaign_approve, CAMP_DO_APPROVE)
VERB(campaign_deny, CAMP_DO_DENY)
VERB(campaign_hold, CAMP_DO_HOLD)
VERB(campaign_drain, CAMP_DO_DRAIN)
VERB(campaign_resume, CAMP_DO_RESUME)
VERB(campaign_advance, CAMP_DO_ADVANCE)
VERB(campaign_retry, CAMP_DO_RETRY)

static void campaign_stop(struct rest_req *req)
{
    const char *hard = rest_target_arg(&req->target, "hard");

    verb(req, hard != NULL && strcmp(hard, "true") == 0 ? CAMP_DO_STOP_HARD : CAMP_DO_STOP);
}

static void device_retry(struct rest_req *req)
{
    struct op *op = op_new(req, true);

    if (op == NULL) {
        return;
    }
    op->action.device = rest_path_id(req, 1);
    if (op->action.device != 0) {
        action_start(op, CAMP_DO_RETRY);
    }
}

#define BASE "/v3/update-campaigns"
static const struct rest_route routes[] = {
    {REST_GET, REST_READ, BASE, campaigns_get, 0},
    {REST_POST, REST_WRITE, BASE, campaign_post, 65536},
    {REST_GET, REST_READ, BASE "/{}", campaign_get, 0},
    {REST_PUT, REST_WRITE, BASE "/{}", campaign_put, 65536},
    {REST_DELETE, REST_WRITE, BASE "/{}", campaign_delete, 0},
    {REST_POST, REST_WRITE, BASE "/{}/start", campaign_start, 0},
    {REST_POST, REST_WRITE, BASE "/{}/stop", campaign_stop, 0},
    {REST_POST, REST_WRITE, BASE "/{}/archive", campaign_archive, 0},
    {REST_POST, REST_WRITE, BASE "/{}/approve", campaign_approve, 0},
    {REST_POST, REST_WRITE, BASE "/{}/clone", campaign_clone, 65536},
    {REST_POST, REST_WRITE, BASE "/{}/rollback", campaign_rollback, 65536},
    {REST_POST, REST_WRITE, BASE "/{}/deny", campaign_deny, 0},
    {REST_POST, REST_WRITE, BASE "/{}/hold", campaign_hold, 0},
    {REST_POST, REST_WRITE, BASE "/{}/drain", campaign_drain, 0},
    {REST_POST, REST_WRITE, BASE "/{}/resume", campaign_resume, 0},
    {REST_POST, REST_WRITE, BASE "/{}/advance", campaign_advance, 0},
    {REST_POST, REST_WRITE, BASE "/{}/retry", campaign_retry, 0},
    {REST_POST, REST_WRITE, BASE "/{}/devices/{}/retry", device_retry, 0},
};

const struct rest_routes rest_v3_update_campaigns_routes = {routes, DR_ARRAY_LEN(routes)};
