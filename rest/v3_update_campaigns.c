/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/v3_update_campaigns.c
 * @brief /v3/update-campaigns: campaigns, their devices, statistics, and what controls them.
 *
 * Fields of our own begin with x_; without them a campaign is one wave without gates.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "campaigns/campaign.h"
#include "db/device.h"
#include "db/registration.h"
#include "rest/filter.h"
#include "rest/list.h"
#include "rest/rest_priv.h"

/* ---- a campaign as JSON ---- */

static void percent(struct rest_json *j, const char *key, int64_t mpct)
{
    char text[32];

    (void)snprintf(text, sizeof text, "%lld.%03lld", (long long)(mpct / 1000),
                   (long long)(mpct % 1000));
    char *end = text + strlen(text);
    while (end[-1] == '0' && end[-2] != '.') {
        *--end = '\0';
    }
    rest_json_raw(j, key, dr_bytes_str(text));
}

static const char *const wave_kinds[] = {"percent", "count", "rest"};

static dr_err_t wave_write(void *data, const struct db_campaign_wave *w)
{
    struct rest_json *j = data;

    rest_json_object(j, NULL);
    if (w->kind == CAMP_WAVE_PERCENT) {
        percent(j, wave_kinds[CAMP_WAVE_PERCENT], w->amount);
    } else if (w->kind == CAMP_WAVE_COUNT) {
        rest_json_int(j, wave_kinds[CAMP_WAVE_COUNT], w->amount);
    } else {
        rest_json_bool(j, wave_kinds[CAMP_WAVE_REST], true);
    }
    percent(j, "success_percent", w->success_mpct);
    percent(j, "error_percent", w->error_mpct);
    percent(j, "silent_percent", w->silent_mpct);
    rest_json_int(j, "min_samples", w->min_samples);
    rest_json_int(j, "soak_seconds", w->soak_s);
    rest_json_str(j, "on_error", w->gate_action == CAMP_GATE_STOP ? "stop" : "hold");
    rest_json_str(j, "status", camp_wave_status_name(w->status));
    rest_json_time(j, "opened_at", w->opened_at);
    rest_json_str(j, "verdict", w->verdict);
    rest_json_object_end(j);
    return DR_OK;
}

static void window_write(struct rest_json *j, const struct db_campaign *c)
{
    char text[24];

    if (c->window_days == 0) {
        rest_json_null(j, "x_window");
        return;
    }
    rest_json_object(j, "x_window");
    rest_json_array(j, "days");
    for (int d = 0; d < 7; d++) {
        if ((c->window_days & (1 << d)) != 0) {
            rest_json_int(j, NULL, d + 1);
        }
    }
    rest_json_array_end(j);
    (void)snprintf(text, sizeof text, "%02d:%02d", (int)(c->window_from / 60),
                   (int)(c->window_from % 60));
    rest_json_str(j, "from", text);
    (void)snprintf(text, sizeof text, "%02d:%02d", (int)(c->window_to / 60),
                   (int)(c->window_to % 60));
    rest_json_str(j, "to", text);
    rest_json_int(j, "utc_offset_minutes", c->window_offset);
    rest_json_object_end(j);
}

static void extensions_write(struct rest_json *j, const struct db_campaign *c)
{
    static const char *const controls[] = {"run", "hold", "drain"};

    rest_json_object(j, "x_limits");
    rest_json_int(j, "max_in_flight", c->max_inflight);
    rest_json_int(j, "rate_per_minute", c->rate_per_min);
    rest_json_int(j, "max_devices", c->max_devices);
    rest_json_object_end(j);
    rest_json_object(j, "x_retry");
    rest_json_int(j, "attempts", c->retry_max);
    rest_json_int(j, "backoff_seconds", c->retry_backoff_s);
    rest_json_object_end(j);
    rest_json_object(j, "x_timeouts");
    rest_json_int(j, "deliver", c->deliver_s);
    rest_json_int(j, "check", c->check_s);
    rest_json_int(j, "consent", c->consent_s);
    rest_json_int(j, "download", c->download_s);
    rest_json_int(j, "install", c->install_s);
    rest_json_int(j, "soak", c->soak_s);
    rest_json_int(j, "stop_grace", c->stop_grace_s);
    rest_json_object_end(j);
    window_write(j, c);
    rest_json_time(j, "x_end", c->end_at);
    rest_json_str(j, "x_conflict", c->conflict == CAMP_CONFLICT_QUEUE ? "queue" : "skip");
    rest_json_str(j, "x_control",
                  c->control >= 0 && c->control < 3 ? controls[c->control] : controls[0]);
    rest_json_str(j, "x_hold_reason", c->hold_reason[0] == '\0' ? NULL : c->hold_reason);
}

static void progress_write(struct rest_json *j, const struct camp_progress *p)
{
    rest_json_object(j, "x_progress");
    rest_json_int(j, "total", p->total);
    rest_json_int(j, "in_flight", p->in_flight);
    rest_json_int(j, "waiting", p->waiting);
    rest_json_int(j, "away", p->away);
    rest_json_int(j, "succeeded", p->succeeded);
    rest_json_int(j, "failed", p->failed);
    rest_json_int(j, "skipped", p->skipped);
    rest_json_int(j, "wave", p->wave + 1);
    rest_json_object_end(j);
}

/* @param progress  may be NULL */
static dr_err_t campaign_write(struct db_reader *r, struct rest_json *j,
                               const struct db_campaign *c, const struct camp_progress *progress)
{
    bool held = c->phase == CAMP_ACTIVE && (c->control != CAMP_RUN || c->hold != 0);
    bool gate = c->phase == CAMP_ACTIVE && (c->hold & CAMP_HOLD_GATE) != 0;

    rest_json_object(j, NULL);
    rest_json_str(j, "object", "update-campaign");
    rest_json_id(j, "id", c->id);
    rest_json_time(j, "created_at", DR_ID_MS(c->id));
    rest_json_time(j, "updated_at", c->updated_at);
    rest_json_time(j, "etag", c->updated_at);
    rest_json_str(j, "name", c->name);
    rest_json_str(j, "description", c->description);
    rest_json_str(j, "device_filter", c->device_filter);
    rest_json_id(j, "root_manifest_id", c->root_manifest_id);
    if (c->root_manifest_id == 0) {
        rest_json_null(j, "root_manifest_url");
    } else {
        char url[80], id[DR_ID_LEN + 1];
        dr_id_format(c->root_manifest_id, id);
        (void)snprintf(url, sizeof url, "/v3/firmware-manifests/%s", id);
        rest_json_str(j, "root_manifest_url", url);
    }
    rest_json_str(j, "phase", camp_phase_name(c->phase));
    rest_json_str(j, "state", camp_state_name(c->state));
    rest_json_str(j, "campaign_strategy",
                  c->strategy == CAMP_CONTINUOUS ? "continuous" : "one-shot");
    rest_json_bool(j, "autostop", c->autostop != 0);
    percent(j, "autostop_success_percent", c->autostop_mpct);
    rest_json_str(j, "autostop_reason", c->autostop_reason);
    rest_json_bool(j, "approval_required", c->approval_required != 0);
    rest_json_str(j, "health_indicator", gate ? "error" : held ? "warning" : "ok");
    rest_json_time(j, "when", c->when_at);
    rest_json_time(j, "started_at", c->started_at);
    rest_json_time(j, "starting_at", c->starting_at);
    rest_json_time(j, "active_at", c->active_at);
    rest_json_time(j, "stopping_at", c->stopping_at);
    rest_json_time(j, "stopped_at", c->stopped_at);
    rest_json_time(j, "archived_at", c->archived_at);
    rest_json_time(j, "finished", c->finished_at);
    extensions_write(j, c);
    rest_json_array(j, "x_waves");
    dr_err_t err = db_campaign_waves(r, c->id, wave_write, j);
    rest_json_array_end(j);
    if (progress != NULL) {
        progress_write(j, progress);
    }
    rest_json_object_end(j);
    return err;
}

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

    return rest_list_row(l->op) ? campaign_write(l->r, &j, row, NULL) : DR_OK;
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
    struct db_read read;
    struct rest_req *req;
    struct camp_engine *engine;
    struct camp_action action;
    struct camp_progress progress;
    int64_t account, id, device;
    struct db_campaign row; /* CREATE */
    struct db_campaign_wave waves[CAMP_WAVES_MAX];
    struct rest_field_errors errors;
    json_t *json;
    struct dr_dynbuf out;
    int status;
    enum { THEN_NOTHING, THEN_START, THEN_STOP } then;
    struct rest_page page;
    const char *bucket, *code;
    bool found;
    char conditions[CAMP_CONDS_MAX + 1];
};

static struct op *op_new(struct rest_req *req, bool with_id)
{
    int64_t id = with_id ? rest_path_id(req, 0) : 0;

    if (with_id && id == 0) {
        return NULL;
    }
    struct camp_engine *engine = rest_of(req)->config.campaigns;
    struct op *op = engine == NULL ? NULL : rest_arena_alloc(&req->arena, sizeof *op);
    if (op == NULL) {
        rest_answer_err(req, engine == NULL ? DR_ERR_CANCELED : DR_ERR_NOMEM);
        return NULL;
    }
    op->req = req;
    op->engine = engine;
    op->account = req->who.account;
    op->id = id;
    dr_dynbuf_init(&op->out, REST_ANSWER_MAX);
    return op;
}

static void op_answer(struct op *op, dr_err_t err)
{
    json_decref(op->json);
    op->json = NULL;
    if (err == DR_OK) {
        rest_answer_json(op->req, op->status == 0 ? 200 : op->status, &op->out);
        return;
    }
    dr_dynbuf_fini(&op->out);
    if (err == DR_ERR_NOT_FOUND) {
        rest_answer_error(op->req, 404, NULL, "no such campaign");
    } else if (err == DR_ERR_IN_USE) {
        rest_answer_error(op->req, 409, NULL, "the campaign is not in a phase that allows this");
    } else if (err == DR_ERR_DENIED) {
        rest_answer_error(op->req, 403, NULL,
                          "only name and description can be changed once it is started");
    } else if (err == DR_ERR_INVAL && op->errors.count != 0) {
        rest_answer_fields(op->req, &op->errors, "");
    } else if (err == DR_ERR_INVAL) {
        rest_field_error_add(&op->errors, "root_manifest_id", "the campaign has no manifest");
        rest_answer_fields(op->req, &op->errors, "");
    } else {
        rest_answer_err(op->req, err);
    }
}

struct write_data {
    struct db_reader *r;
    struct op *op;
};

static dr_err_t one_row(void *data, const struct db_campaign *row)
{
    struct write_data *d = data;
    struct rest_json j = rest_json_of(&d->op->out);

    return campaign_write(d->r, &j, row, &d->op->progress);
}

static dr_err_t one_read(struct db_reader *r, struct db_read *read)
{
    struct op *op = DR_CONTAINER_OF(read, struct op, read);
    struct write_data d = {.r = r, .op = op};

    return db_campaign_get(r, op->account, op->id, one_row, &d);
}

static void read_done(struct db_read *read, dr_err_t err)
{
    op_answer(DR_CONTAINER_OF(read, struct op, read), err);
}

static void one_start(struct op *op)
{
    camp_progress_get(op->engine, op->id, &op->progress);
    rest_read_start(op->req, &op->read, one_read, read_done);
}

static void campaign_get(struct rest_req *req)
{
    struct op *op = op_new(req, true);

    if (op != NULL) {
        one_start(op);
    }
}

/* ---- bodies ---- */

static const char *const device_fields[] = {
#define FIELD_NAME(symbol, type, member, kind) #member,
    DB_DEVICE_FIELDS(FIELD_NAME)
#undef FIELD_NAME
        "id",
    "account_id",
    "endpoint_name",
    "created_at",
    "updated_at",
    "etag",
    "lifecycle_status",
    "custom_attributes__",
};

static void filter_apply(struct op *op, const json_t *body, struct db_campaign *row)
{
    const char *text = NULL;
    struct rest_filter *filter = rest_arena_alloc(&op->req->arena, sizeof *filter);
    struct dr_errinfo info = {0};

    if (!rest_body_str(body, "device_filter", (struct rest_str_rule){.min = 1, .max = 4000}, false,
                       &text, &op->errors) ||
        text == NULL) {
        return;
    }
    dr_err_t err = filter == NULL
                       ? DR_ERR_NOMEM
                       : rest_filter_parse_packed(text, device_fields, DR_ARRAY_LEN(device_fields),
                                                  &op->req->arena, filter, &op->errors);
    if (err == DR_OK) {
        err = db_conds_check(DB_LIST_DEVICE, filter->conds, filter->count, &info);
    }
    if (err == DR_OK) {
        err = camp_conds_pack(filter->conds, filter->count, op->conditions);
    }
    if (err != DR_OK) {
        rest_field_error_add(&op->errors, "device_filter", "%.90s",
                             info.text[0] != '\0' ? info.text : "it is not a filter of devices");
        return;
    }
    row->device_filter = text;
    row->conditions = op->conditions;
}

static void id_apply(struct op *op, const json_t *body, const char *name, int64_t *ret)
{
    const char *text = NULL;
    const json_t *v = json_object_get(body, name);

    if (v == NULL) {
        return;
    }
    if (json_is_null(v) || (json_is_string(v) && json_string_length(v) == 0)) {
        *ret = 0;
        return;
    }
    if (rest_body_str(body, name, (struct rest_str_rule){.max = DR_ID_LEN}, false, &text,
                      &op->errors) &&
        dr_id_parse(text, strlen(text), ret) != DR_OK) {
        rest_field_error_add(&op->errors, name, "it is not an id");
    }
}

static void time_apply(struct op *op, const json_t *body, const char *name, int64_t *ret)
{
    const char *text = NULL;
    const json_t *v = json_object_get(body, name);

    if (v == NULL) {
        return;
    }
    if (json_is_null(v) || (json_is_string(v) && json_string_length(v) == 0)) {
        *ret = 0;
        return;
    }
    if (rest_body_str(body, name, (struct rest_str_rule){.max = 40}, false, &text, &op->errors) &&
        dr_time_parse(text, strlen(text), ret) != DR_OK) {
        rest_field_error_add(&op->errors, name, "it is not a time");
    }
}

static void percent_apply(struct op *op, const json_t *body, const char *name, int64_t *ret)
{
    const json_t *v = json_object_get(body, name);

    if (v == NULL || json_is_null(v)) {
        return;
    }
    double n = json_is_number(v) ? json_number_value(v) : -1;
    if (!(n >= 0 && n <= 100)) {
        rest_field_error_add(&op->errors, name, "it has to be a number from 0 to 100");
        return;
    }
    *ret = (int64_t)(n * 1000 + 0.5);
}

static void flag_apply(struct op *op, const json_t *body, const char *name, int64_t *ret)
{
    bool b = *ret != 0;

    if (!json_is_null(json_object_get(body, name)) && rest_body_bool(body, name, &b, &op->errors)) {
        *ret = b;
    }
}

static int64_t choice_apply(struct op *op, const json_t *body, const char *name,
                            const char *const *names, size_t n, int64_t old)
{
    const char *text = NULL;

    if (!rest_body_str(body, name, (struct rest_str_rule){.max = 32}, true, &text, &op->errors) ||
        text == NULL) {
        return old;
    }
    for (size_t i = 0; i < n; i++) {
        if (strcmp(names[i], text) == 0) {
            return (int64_t)i;
        }
    }
    rest_field_error_add(&op->errors, name, "there is no such choice");
    return old;
}

static const json_t *sub_object(struct op *op, const json_t *body, const char *name)
{
    const json_t *v = json_object_get(body, name);

    if (v != NULL && !json_is_object(v) && !json_is_null(v)) {
        rest_field_error_add(&op->errors, name, "it has to be an object");
    }
    return json_is_object(v) ? v : NULL;
}

static void minute_apply(struct op *op, const json_t *obj, const char *name, int64_t *ret)
{
    const char *text = NULL;
    int h = 0, m = 0;
    char end;

    if (rest_body_str(obj, name, (struct rest_str_rule){.min = 4, .max = 5}, false, &text,
                      &op->errors) &&
        text != NULL) {
        if (sscanf(text, "%2d:%2d%c", &h, &m, &end) != 2 || h < 0 || h > 24 || m < 0 || m > 59 ||
            h * 60 + m > 1440) {
            rest_field_error_add(&op->errors, name, "it is not a time of day");
            return;
        }
        *ret = h * 60 + m;
    }
}

static void window_apply(struct op *op, const json_t *body, struct db_campaign *row)
{
    const json_t *w = sub_object(op, body, "x_window");

    if (w == NULL) {
        if (json_is_null(json_object_get(body, "x_window"))) {
            row->window_days = 0;
        }
        return;
    }
    const json_t *days = json_object_get(w, "days");
    row->window_days = days == NULL ? 0x7f : 0;
    for (size_t i = 0; i < json_array_size(days); i++) {
        json_int_t d = json_integer_value(json_array_get(days, i));
        if (d < 1 || d > 7) {
            rest_field_error_add(&op->errors, "days", "a day is a number from 1, Monday, to 7");
            return;
        }
        row->window_days |= 1 << (d - 1);
    }
    minute_apply(op, w, "from", &row->window_from);
    minute_apply(op, w, "to", &row->window_to);
    rest_body_int(w, "utc_offset_minutes", -840, 840, &row->window_offset, &op->errors);
}

static void limits_apply(struct op *op, const json_t *body, struct db_campaign *row)
{
    const int64_t year = 366 * 86400;
    const json_t *o = sub_object(op, body, "x_limits");

    if (o != NULL) {
        rest_body_int(o, "max_in_flight", 1, 100000, &row->max_inflight, &op->errors);
        rest_body_int(o, "rate_per_minute", 0, 1000000, &row->rate_per_min, &op->errors);
        rest_body_int(o, "max_devices", 0, CAMP_DEVICES_MAX, &row->max_devices, &op->errors);
    }
    o = sub_object(op, body, "x_retry");
    if (o != NULL) {
        rest_body_int(o, "attempts", 0, 100, &row->retry_max, &op->errors);
        rest_body_int(o, "backoff_seconds", 0, 86400, &row->retry_backoff_s, &op->errors);
    }
    o = sub_object(op, body, "x_timeouts");
    if (o != NULL) {
        rest_body_int(o, "deliver", 1, year, &row->deliver_s, &op->errors);
        rest_body_int(o, "check", 1, year, &row->check_s, &op->errors);
        rest_body_int(o, "consent", 1, year, &row->consent_s, &op->errors);
        rest_body_int(o, "download", 1, year, &row->download_s, &op->errors);
        rest_body_int(o, "install", 1, year, &row->install_s, &op->errors);
        rest_body_int(o, "soak", 0, year, &row->soak_s, &op->errors);
        rest_body_int(o, "stop_grace", 0, year, &row->stop_grace_s, &op->errors);
    }
}

/* Members of @p body into @p row; what is wrong is in op->errors. */
static void body_apply(struct op *op, struct db_campaign *row)
{
    static const char *const strategies[] = {"one-shot", "continuous"};
    static const char *const conflicts[] = {"skip", "queue"};
    const json_t *body = op->json;
    const char *text = row->name;

    if (rest_body_str(body, "name", (struct rest_str_rule){.max = 128}, true, &text, &op->errors)) {
        row->name = text == NULL ? "default_object_name" : text;
    }
    text = row->description;
    if (rest_body_str(body, "description", (struct rest_str_rule){.max = 2000}, true, &text,
                      &op->errors)) {
        row->description = text == NULL ? "" : text;
    }
    filter_apply(op, body, row);
    id_apply(op, body, "root_manifest_id", &row->root_manifest_id);
    time_apply(op, body, "when", &row->when_at);
    time_apply(op, body, "x_end", &row->end_at);
    flag_apply(op, body, "autostop", &row->autostop);
    flag_apply(op, body, "approval_required", &row->approval_required);
    percent_apply(op, body, "autostop_success_percent", &row->autostop_mpct);
    row->strategy = choice_apply(op, body, "campaign_strategy", strategies,
                                 DR_ARRAY_LEN(strategies), row->strategy);
    row->conflict =
        choice_apply(op, body, "x_conflict", conflicts, DR_ARRAY_LEN(conflicts), row->conflict);
    limits_apply(op, body, row);
    window_apply(op, body, row);
}

static void wave_apply(struct op *op, const json_t *o, struct db_campaign_wave *w)
{
    static const char *const actions[] = {"hold", "stop"};

    *w = (struct db_campaign_wave){.kind = CAMP_WAVE_REST, .verdict = "", .min_samples = 1};
    if (json_object_get(o, "percent") != NULL) {
        w->kind = CAMP_WAVE_PERCENT;
        percent_apply(op, o, "percent", &w->amount);
    } else if (json_object_get(o, "count") != NULL) {
        w->kind = CAMP_WAVE_COUNT;
        rest_body_int(o, "count", 1, CAMP_DEVICES_MAX, &w->amount, &op->errors);
    }
    percent_apply(op, o, "success_percent", &w->success_mpct);
    percent_apply(op, o, "error_percent", &w->error_mpct);
    percent_apply(op, o, "silent_percent", &w->silent_mpct);
    rest_body_int(o, "min_samples", 1, 1000000, &w->min_samples, &op->errors);
    rest_body_int(o, "soak_seconds", 0, 31622400, &w->soak_s, &op->errors);
    w->gate_action =
        choice_apply(op, o, "on_error", actions, DR_ARRAY_LEN(actions), CAMP_GATE_HOLD);
}

static void waves_apply(struct op *op)
{
    const json_t *list = json_object_get(op->json, "x_waves");
    size_t n = json_array_size(list);

    if (list == NULL || json_is_null(list)) {
        return;
    }
    if (!json_is_array(list) || n > CAMP_WAVES_MAX - 1) {
        rest_field_error_add(&op->errors, "x_waves", "it has to be a list of at most %d waves",
                             CAMP_WAVES_MAX - 1);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *o = json_array_get(list, i);
        if (!json_is_object(o)) {
            rest_field_error_add(&op->errors, "x_waves", "a wave has to be an object");
            return;
        }
        wave_apply(op, o, &op->waves[i]);
    }
    if (n != 0 && op->waves[n - 1].kind != CAMP_WAVE_REST) {
        op->waves[n++] = (struct db_campaign_wave){.kind = CAMP_WAVE_REST, .verdict = ""};
    }
    op->action.waves = op->waves;
    op->action.n_waves = n;
}

static bool body_read(struct op *op)
{
    if (!rest_body_parse(op->req, &op->json)) {
        return false;
    }
    if (!json_is_object(op->json)) {
        rest_field_error_add(&op->errors, "body", "it has to be an object");
        op_answer(op, DR_ERR_INVAL);
        return false;
    }
    const char *state = json_string_value(json_object_get(op->json, "state"));
    op->then = state == NULL                     ? THEN_NOTHING
               : strcmp(state, "scheduled") == 0 ? THEN_START
               : strcmp(state, "draft") == 0     ? THEN_STOP
                                                 : THEN_NOTHING;
    waves_apply(op);
    return true;
}

/* ---- actions ---- */

static void action_done(struct camp_action *action, dr_err_t err);

static void action_start(struct op *op, enum camp_verb verb)
{
    op->action.verb = verb;
    op->action.account = op->account;
    op->action.id = op->id;
    op->action.cb = action_done;
    op->action.data = op;
    dr_err_t err = camp_action_start(op->engine, &op->action);
    if (err != DR_OK) {
        op_answer(op, err);
    }
}

/* A body that begins or ends the campaign on its way: the old way of the contract. */
static void then_done(struct camp_action *action, dr_err_t err)
{
    struct op *op = action->data;

    if (err != DR_OK && !(action->verb == CAMP_DO_STOP && err == DR_ERR_IN_USE)) {
        op_answer(op, err == DR_ERR_IN_USE ? DR_ERR_DENIED : err);
        return;
    }
    one_start(op);
}

static void action_done(struct camp_action *action, dr_err_t err)
{
    struct op *op = action->data;
    bool body = action->verb == CAMP_DO_CREATE || action->verb == CAMP_DO_EDIT;

    if (err != DR_OK) {
        op_answer(op, err);
        return;
    }
    if (!body) {
        dr_dynbuf_fini(&op->out);
        rest_answer_empty(op->req, action->verb == CAMP_DO_DELETE ? 204 : 202);
        return;
    }
    op->id = action->id;
    if (op->then == THEN_START || (op->then == THEN_STOP && action->verb == CAMP_DO_EDIT)) {
        op->action =
            (struct camp_action){.verb = op->then == THEN_START ? CAMP_DO_START : CAMP_DO_STOP,
                                 .account = op->account,
                                 .id = op->id,
                                 .cb = then_done,
                                 .data = op};
        err = camp_action_start(op->engine, &op->action);
        if (err != DR_OK) {
            op_answer(op, err);
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
    if (json_object_get(op->json, "device_filter") == NULL) {
        rest_field_error_add(&op->errors, "device_filter", "it is missing");
    }
    body_apply(op, &op->row);
    if (op->errors.count != 0) {
        op_answer(op, DR_ERR_INVAL);
        return;
    }
    op->status = 201;
    op->action.row = &op->row;
    action_start(op, CAMP_DO_CREATE);
}

static dr_err_t edit(struct camp_action *action, struct db_campaign *row)
{
    struct op *op = action->data;

    body_apply(op, row);
    return op->errors.count != 0 ? DR_ERR_INVAL : DR_OK;
}

static void campaign_put(struct rest_req *req)
{
    static const char *const spec[] = {"device_filter",
                                       "root_manifest_id",
                                       "when",
                                       "autostop",
                                       "autostop_success_percent",
                                       "x_waves",
                                       "x_limits",
                                       "x_retry",
                                       "x_window",
                                       "approval_required",
                                       "x_timeouts",
                                       "x_end",
                                       "x_conflict"};
    struct op *op = op_new(req, true);

    if (op == NULL || !body_read(op)) {
        return;
    }
    if (op->errors.count != 0) {
        op_answer(op, DR_ERR_INVAL);
        return;
    }
    for (size_t i = 0; i < DR_ARRAY_LEN(spec); i++) {
        const json_t *v = json_object_get(op->json, spec[i]);
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

/* ---- devices ---- */

struct phase_of {
    int64_t phase;
};

static dr_err_t phase_row(void *data, const struct db_campaign *row)
{
    ((struct phase_of *)data)->phase = row->phase;
    return DR_OK;
}

static void device_write(struct rest_json *j, const struct db_campaign_device *d, bool stopped)
{
    rest_json_object(j, NULL);
    rest_json_str(j, "object", "update-campaign-device-metadata");
    rest_json_id(j, "id", d->id);
    rest_json_id(j, "campaign", d->campaign);
    rest_json_id(j, "device_id", d->device);
    rest_json_time(j, "created_at", DR_ID_MS(d->id));
    rest_json_time(j, "updated_at", d->updated_at);
    rest_json_time(j, "etag", d->updated_at);
    rest_json_str(j, "name", "default_object_name");
    rest_json_str(j, "description", "");
    rest_json_str(j, "deployment_state", camp_deployment_state(d, stopped));
    rest_json_str(j, "mechanism", "connector");
    rest_json_str(j, "mechanism_url", "");
    rest_json_str(j, "x_status", camp_status_name(d->status));
    rest_json_str(j, "x_summary", camp_bucket_name((enum camp_bucket)d->bucket));
    rest_json_str(j, "x_code", d->code);
    rest_json_str(j, "x_reason", d->reason);
    rest_json_int(j, "x_attempts", d->attempt);
    rest_json_int(j, "x_wave", d->wave + 1);
    rest_json_str(j, "x_from_version", d->from_version[0] == '\0' ? NULL : d->from_version);
    rest_json_time(j, "x_not_before", d->not_before);
    rest_json_object_end(j);
}

struct devices_data {
    struct op *op;
    struct rest_json j;
    bool stopped, has_more;
    uint32_t n;
    int64_t total;
};

static dr_err_t devices_row(void *data, const struct db_campaign_device *row)
{
    struct devices_data *d = data;

    if (d->n == d->op->page.limit) {
        d->has_more = true;
        return DR_OK;
    }
    d->n++;
    device_write(&d->j, row, d->stopped);
    return DR_OK;
}

static int64_t bucket_find(const char *name)
{
    for (int i = 0; name != NULL && i < CAMP_BUCKETS; i++) {
        if (strcmp(camp_bucket_name((enum camp_bucket)i), name) == 0) {
            return i;
        }
    }
    return -1;
}

static dr_err_t devices_count(void *data, int64_t bucket, const char *code, int64_t n)
{
    struct devices_data *d = data;
    int64_t only = bucket_find(d->op->bucket);

    (void)code;
    d->total += only < 0 || only == bucket ? n : 0;
    return DR_OK;
}

static dr_err_t devices_read(struct db_reader *r, struct db_read *read)
{
    struct op *op = DR_CONTAINER_OF(read, struct op, read);
    struct devices_data d = {.op = op, .j = rest_json_of(&op->out)};
    struct phase_of phase = {0};
    const struct db_query query = {.account = op->account,
                                   .order = op->page.desc ? DB_DESC : DB_ASC,
                                   .after = op->page.after,
                                   .limit = op->page.limit + 1};
    dr_err_t err = db_campaign_get(r, op->account, op->id, phase_row, &phase);

    if (err != DR_OK) {
        return err;
    }
    d.stopped = phase.phase >= CAMP_STOPPED;
    rest_list_begin(&d.j, &op->page);
    err = db_campaign_device_list(r, op->id, &query, bucket_find(op->bucket), devices_row, &d);
    if (err == DR_OK) {
        err = db_campaign_codes(r, op->id, devices_count, &d);
    }
    rest_list_end(&d.j, d.has_more, d.total);
    return err != DR_OK ? err : dr_dynbuf_err(&op->out);
}

static void devices_get(struct rest_req *req)
{
    struct op *op = op_new(req, true);

    if (op == NULL) {
        return;
    }
    if (rest_page_parse(&req->target, false, &op->page, &op->errors) != DR_OK) {
        op_answer(op, DR_ERR_INVAL);
        return;
    }
    op->bucket = rest_target_arg(&req->target, "x_summary__eq");
    rest_read_start(req, &op->read, devices_read, read_done);
}

static dr_err_t device_row(void *data, const struct db_campaign_device *row)
{
    struct devices_data *d = data;

    device_write(&d->j, row, d->stopped);
    return DR_OK;
}

static dr_err_t device_read(struct db_reader *r, struct db_read *read)
{
    struct op *op = DR_CONTAINER_OF(read, struct op, read);
    struct devices_data d = {.op = op, .j = rest_json_of(&op->out)};
    struct phase_of phase = {0};
    dr_err_t err = db_campaign_get(r, op->account, op->id, phase_row, &phase);

    d.stopped = phase.phase >= CAMP_STOPPED;
    return err == DR_OK ? db_campaign_device_get(r, op->account, op->id, op->device, device_row, &d)
                        : err;
}

static void device_get(struct rest_req *req)
{
    struct op *op = op_new(req, true);

    if (op != NULL && (op->device = rest_path_id(req, 1)) != 0) {
        rest_read_start(req, &op->read, device_read, read_done);
    }
}

/* ---- explain ---- */

struct explain_data {
    struct db_reader *r;
    struct op *op;
    const struct db_campaign *campaign;
    struct db_campaign_wave waves[CAMP_WAVES_MAX];
    size_t n_waves;
    bool registered;
};

static dr_err_t explain_registration(void *data, const struct db_registration *row)
{
    ((struct explain_data *)data)->registered = row->registered;
    return DR_OK;
}

static dr_err_t explain_wave(void *data, const struct db_campaign_wave *row)
{
    struct explain_data *d = data;

    if (d->n_waves < CAMP_WAVES_MAX) {
        d->waves[d->n_waves++] = *row;
    }
    return DR_OK;
}

static dr_err_t explain_device(void *data, const struct db_campaign_device *row)
{
    struct explain_data *d = data;
    struct rest_json j = rest_json_of(&d->op->out);
    char text[CAMP_EXPLAIN_MAX + 1];

    camp_explain(d->campaign, d->waves, d->n_waves, row, d->registered, dr_wall_ms(), text);
    rest_json_object(&j, NULL);
    rest_json_str(&j, "object", "update-campaign-explanation");
    rest_json_id(&j, "campaign_id", d->op->id);
    rest_json_id(&j, "device_id", d->op->device);
    rest_json_str(&j, "status", camp_status_name(row->status));
    rest_json_str(&j, "code", row->code);
    rest_json_str(&j, "explanation", text);
    rest_json_object_end(&j);
    return DR_OK;
}

static dr_err_t explain_campaign(void *data, const struct db_campaign *row)
{
    struct explain_data *d = data;
    struct op *op = d->op;

    d->campaign = row;
    dr_err_t err = db_registration_get(d->r, op->account, op->device, explain_registration, d);
    if (err == DR_OK || err == DR_ERR_NOT_FOUND) {
        err = db_campaign_waves(d->r, op->id, explain_wave, d);
    }
    if (err == DR_OK) {
        err = db_campaign_device_find(d->r, op->account, op->id, op->device, explain_device, d);
    }
    if (err == DR_ERR_NOT_FOUND) {
        struct rest_json j = rest_json_of(&op->out);
        rest_json_object(&j, NULL);
        rest_json_str(&j, "object", "update-campaign-explanation");
        rest_json_id(&j, "campaign_id", op->id);
        rest_json_id(&j, "device_id", op->device);
        rest_json_str(&j, "status", "absent");
        rest_json_null(&j, "code");
        rest_json_str(&j, "explanation",
                      row->phase < CAMP_ACTIVE
                          ? "the campaign has not looked for its devices yet"
                          : "the device did not match the filter when the campaign began");
        rest_json_object_end(&j);
        err = DR_OK;
    }
    return err;
}

static dr_err_t explain_read(struct db_reader *r, struct db_read *read)
{
    struct op *op = DR_CONTAINER_OF(read, struct op, read);
    struct explain_data d = {.r = r, .op = op};

    return db_campaign_get(r, op->account, op->id, explain_campaign, &d);
}

static void explain_get(struct rest_req *req)
{
    struct op *op = op_new(req, true);

    if (op != NULL && (op->device = rest_path_id(req, 1)) != 0) {
        rest_read_start(req, &op->read, explain_read, read_done);
    }
}

/* ---- statistics ---- */

struct stats_data {
    struct op *op;
    struct rest_json j;
    int64_t created_at, phase;
    int64_t count[CAMP_BUCKETS];
};

static const char *bucket_upper(enum camp_bucket b)
{
    static const char *const names[CAMP_BUCKETS] = {"INFO", "SUCCESS", "FAIL", "SKIPPED"};

    return names[b];
}

static void summary_write(struct stats_data *d, enum camp_bucket b)
{
    rest_json_object(&d->j, NULL);
    rest_json_str(&d->j, "object", "summary_status");
    rest_json_str(&d->j, "id", camp_bucket_name(b));
    rest_json_id(&d->j, "campaign_id", d->op->id);
    rest_json_int(&d->j, "count", d->count[b]);
    rest_json_time(&d->j, "created_at", d->created_at);
    rest_json_str(&d->j, "summary_status", bucket_upper(b));
    rest_json_object_end(&d->j);
}

static dr_err_t stats_count(void *data, int64_t bucket, const char *code, int64_t n)
{
    struct stats_data *d = data;

    (void)code;
    if (bucket >= 0 && bucket < CAMP_BUCKETS) {
        d->count[bucket] += n;
    }
    return DR_OK;
}

static dr_err_t stats_campaign(void *data, const struct db_campaign *row)
{
    struct stats_data *d = data;

    d->created_at = row->started_at != 0 ? row->started_at : DR_ID_MS(row->id);
    d->phase = row->phase;
    return DR_OK;
}

static dr_err_t stats_find(struct db_reader *r, struct stats_data *d)
{
    dr_err_t err = db_campaign_get(r, d->op->account, d->op->id, stats_campaign, d);

    return err == DR_OK ? db_campaign_codes(r, d->op->id, stats_count, d) : err;
}

static dr_err_t stats_read(struct db_reader *r, struct db_read *read)
{
    struct op *op = DR_CONTAINER_OF(read, struct op, read);
    struct stats_data d = {.op = op, .j = rest_json_of(&op->out)};
    dr_err_t err = stats_find(r, &d);

    if (err != DR_OK) {
        return err;
    }
    if (op->bucket != NULL) {
        int64_t b = bucket_find(op->bucket);
        if (b < 0) {
            return DR_ERR_NOT_FOUND;
        }
        summary_write(&d, (enum camp_bucket)b);
        return DR_OK;
    }
    rest_list_begin(&d.j, &op->page);
    for (int b = 0; b < CAMP_BUCKETS; b++) {
        summary_write(&d, (enum camp_bucket)b);
    }
    rest_list_end(&d.j, false, CAMP_BUCKETS);
    return DR_OK;
}

static void stats_start(struct rest_req *req, bool one)
{
    struct op *op = op_new(req, true);

    if (op != NULL) {
        op->page = (struct rest_page){.limit = REST_PAGE_LIMIT_DEFAULT};
        op->bucket = one ? rest_req_capture(req, 1) : NULL;
        rest_read_start(req, &op->read, stats_read, read_done);
    }
}

static void statistics_get(struct rest_req *req)
{
    stats_start(req, false);
}

static void statistic_get(struct rest_req *req)
{
    stats_start(req, true);
}

static void code_lower(const char *code, char out[CAMP_CODE_MAX + 1])
{
    size_t i = 0;

    for (; i < CAMP_CODE_MAX && code[i] != '\0'; i++) {
        out[i] = code[i] >= 'A' && code[i] <= 'Z' ? (char)(code[i] + 32) : code[i];
    }
    out[i] = '\0';
}

static dr_err_t type_row(void *data, int64_t bucket, const char *code, int64_t n)
{
    struct stats_data *d = data;
    struct op *op = d->op;
    char id[CAMP_CODE_MAX + 1];

    code_lower(code, id);
    if (bucket != bucket_find(op->bucket) || (op->code != NULL && strcasecmp(op->code, id) != 0)) {
        return DR_OK;
    }
    op->found = true;
    d->count[0]++;
    rest_json_object(&d->j, NULL);
    rest_json_str(&d->j, "object", "event-type");
    rest_json_str(&d->j, "id", id);
    rest_json_id(&d->j, "campaign_id", op->id);
    rest_json_int(&d->j, "count", n);
    rest_json_time(&d->j, "created_at", d->created_at);
    rest_json_str(&d->j, "event_type", code);
    rest_json_str(&d->j, "description", camp_code_text(code));
    rest_json_str(&d->j, "summary_status", bucket_upper((enum camp_bucket)bucket));
    rest_json_str(&d->j, "summary_status_id", camp_bucket_name((enum camp_bucket)bucket));
    rest_json_object_end(&d->j);
    return DR_OK;
}

static dr_err_t types_read(struct db_reader *r, struct db_read *read)
{
    struct op *op = DR_CONTAINER_OF(read, struct op, read);
    struct stats_data d = {.op = op, .j = rest_json_of(&op->out)};
    dr_err_t err = db_campaign_get(r, op->account, op->id, stats_campaign, &d);

    if (err == DR_OK && bucket_find(op->bucket) < 0) {
        err = DR_ERR_NOT_FOUND;
    }
    if (err != DR_OK) {
        return err;
    }
    if (op->code == NULL) {
        rest_list_begin(&d.j, &op->page);
    }
    err = db_campaign_codes(r, op->id, type_row, &d);
    if (op->code == NULL) {
        rest_list_end(&d.j, false, d.count[0]);
    } else if (err == DR_OK && !op->found) {
        err = DR_ERR_NOT_FOUND;
    }
    return err;
}

static void types_start(struct rest_req *req, bool one)
{
    struct op *op = op_new(req, true);

    if (op != NULL) {
        op->page = (struct rest_page){.limit = REST_PAGE_LIMIT_MAX};
        op->bucket = rest_req_capture(req, 1);
        op->code = one ? rest_req_capture(req, 2) : NULL;
        rest_read_start(req, &op->read, types_read, read_done);
    }
}

static void event_types_get(struct rest_req *req)
{
    types_start(req, false);
}

static void event_type_get(struct rest_req *req)
{
    types_start(req, true);
}

static dr_err_t metrics_read(struct db_reader *r, struct db_read *read)
{
    struct op *op = DR_CONTAINER_OF(read, struct op, read);
    struct stats_data d = {.op = op, .j = rest_json_of(&op->out)};
    dr_err_t err = stats_find(r, &d);

    if (err == DR_OK && d.phase < CAMP_STARTING) {
        err = DR_ERR_NOT_FOUND; /* not started */
    }
    if (err != DR_OK) {
        return err;
    }
    rest_json_object(&d.j, NULL);
    rest_json_str(&d.j, "object", "update-campaign-metrics");
    rest_json_time(&d.j, "created_at", d.created_at);
    rest_json_int(&d.j, "total_count",
                  d.count[CAMP_INFO] + d.count[CAMP_SUCCESS] + d.count[CAMP_FAIL] +
                      d.count[CAMP_SKIP]);
    rest_json_int(&d.j, "pending_count", d.count[CAMP_INFO]);
    rest_json_int(&d.j, "success_count", d.count[CAMP_SUCCESS]);
    rest_json_int(&d.j, "failed_count", d.count[CAMP_FAIL]);
    rest_json_int(&d.j, "skipped_count", d.count[CAMP_SKIP]);
    rest_json_object_end(&d.j);
    return DR_OK;
}

static void metrics_get(struct rest_req *req)
{
    struct op *op = op_new(req, true);

    if (op != NULL) {
        rest_read_start(req, &op->read, metrics_read, read_done);
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
    {REST_POST, REST_WRITE, BASE "/{}/hold", campaign_hold, 0},
    {REST_POST, REST_WRITE, BASE "/{}/drain", campaign_drain, 0},
    {REST_POST, REST_WRITE, BASE "/{}/resume", campaign_resume, 0},
    {REST_POST, REST_WRITE, BASE "/{}/advance", campaign_advance, 0},
    {REST_POST, REST_WRITE, BASE "/{}/retry", campaign_retry, 0},
    {REST_GET, REST_READ, BASE "/{}/campaign-device-metadata", devices_get, 0},
    {REST_GET, REST_READ, BASE "/{}/campaign-device-metadata/{}", device_get, 0},
    {REST_GET, REST_READ, BASE "/{}/devices/{}/explain", explain_get, 0},
    {REST_POST, REST_WRITE, BASE "/{}/devices/{}/retry", device_retry, 0},
    {REST_GET, REST_READ, BASE "/{}/metrics", metrics_get, 0},
    {REST_GET, REST_READ, BASE "/{}/statistics", statistics_get, 0},
    {REST_GET, REST_READ, BASE "/{}/statistics/{}", statistic_get, 0},
    {REST_GET, REST_READ, BASE "/{}/statistics/{}/event_types", event_types_get, 0},
    {REST_GET, REST_READ, BASE "/{}/statistics/{}/event_types/{}", event_type_get, 0},
};

const struct rest_routes rest_v3_update_campaigns_routes = {routes, DR_ARRAY_LEN(routes)};
