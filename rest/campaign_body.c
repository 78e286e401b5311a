/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "db/device.h"
#include "rest/bodies.h"
#include "rest/campaign.h"
#include "rest/rest_priv.h"

static void filter_apply(struct rest_campaign_body *b, const json_t *body, struct db_campaign *row)
{
    const char *text = NULL;
    struct rest_filter *filter = rest_arena_alloc(b->arena, sizeof *filter);
    struct dr_errinfo info = {0};

    if (!rest_body_str(body, "device_filter", (struct rest_str_rule){.min = 1, .max = 4000}, false,
                       &text, &b->errors) ||
        text == NULL) {
        return;
    }
    dr_err_t err = filter == NULL
                       ? DR_ERR_NOMEM
                       : rest_filter_parse_packed(text, rest_device_fields, REST_DEVICE_FIELDS,
                                                  b->arena, filter, &b->errors);
    if (err == DR_OK) {
        err = db_conds_check(DB_LIST_DEVICE, filter->conds, filter->count, &info);
    }
    if (err == DR_OK) {
        err = camp_conds_pack(filter->conds, filter->count, b->conditions);
    }
    if (err != DR_OK) {
        rest_field_error_add(&b->errors, "device_filter", "%.90s",
                             info.text[0] != '\0' ? info.text : "it is not a filter of devices");
        return;
    }
    row->device_filter = text;
    row->conditions = b->conditions;
    row->source_campaign = row->source_buckets = 0;
}

/* Text of a member that stands for a number; null and "" set it to 0. False: nothing to parse. */
static bool text_given(struct rest_campaign_body *b, const json_t *body, const char *name,
                       size_t max, const char **text, int64_t *ret)
{
    const json_t *v = json_object_get(body, name);

    if (v == NULL) {
        return false;
    }
    if (json_is_null(v) || (json_is_string(v) && json_string_length(v) == 0)) {
        *ret = 0;
        return false;
    }
    return rest_body_str(body, name, (struct rest_str_rule){.max = max}, false, text, &b->errors);
}

static void id_apply(struct rest_campaign_body *b, const json_t *body, const char *name,
                     int64_t *ret)
{
    const char *text = NULL;

    if (text_given(b, body, name, DR_ID_LEN, &text, ret) &&
        dr_id_parse(text, strlen(text), ret) != DR_OK) {
        rest_field_error_add(&b->errors, name, "it is not an id");
    }
}

static void time_apply(struct rest_campaign_body *b, const json_t *body, const char *name,
                       int64_t *ret)
{
    const char *text = NULL;

    if (text_given(b, body, name, 40, &text, ret) &&
        dr_time_parse(text, strlen(text), ret) != DR_OK) {
        rest_field_error_add(&b->errors, name, "it is not a time");
    }
}

static void percent_apply(struct rest_campaign_body *b, const json_t *body, const char *name,
                          int64_t *ret)
{
    const json_t *v = json_object_get(body, name);

    if (v == NULL || json_is_null(v)) {
        return;
    }
    double n = json_is_number(v) ? json_number_value(v) : -1;
    if (!(n >= 0 && n <= 100)) {
        rest_field_error_add(&b->errors, name, "it has to be a number from 0 to 100");
        return;
    }
    *ret = (int64_t)(n * 1000 + 0.5);
}

static void flag_apply(struct rest_campaign_body *b, const json_t *body, const char *name,
                       int64_t *ret)
{
    bool flag = *ret != 0;

    if (!json_is_null(json_object_get(body, name)) &&
        rest_body_bool(body, name, &flag, &b->errors)) {
        *ret = flag;
    }
}

static int64_t choice_apply(struct rest_campaign_body *b, const json_t *body, const char *name,
                            const char *const *names, size_t n, int64_t old)
{
    const char *text = NULL;

    if (!rest_body_str(body, name, (struct rest_str_rule){.max = 32}, true, &text, &b->errors) ||
        text == NULL) {
        return old;
    }
    for (size_t i = 0; i < n; i++) {
        if (strcmp(names[i], text) == 0) {
            return (int64_t)i;
        }
    }
    rest_field_error_add(&b->errors, name, "there is no such choice");
    return old;
}

static const json_t *sub_object(struct rest_campaign_body *b, const json_t *body, const char *name)
{
    const json_t *v = json_object_get(body, name);

    if (v != NULL && !json_is_object(v) && !json_is_null(v)) {
        rest_field_error_add(&b->errors, name, "it has to be an object");
    }
    return json_is_object(v) ? v : NULL;
}

static void minute_apply(struct rest_campaign_body *b, const json_t *obj, const char *name,
                         int64_t *ret)
{
    const char *text = NULL;
    int h = 0, m = 0;
    char end;

    if (rest_body_str(obj, name, (struct rest_str_rule){.min = 4, .max = 5}, false, &text,
                      &b->errors) &&
        text != NULL) {
        if (sscanf(text, "%2d:%2d%c", &h, &m, &end) != 2 || h < 0 || h > 24 || m < 0 || m > 59 ||
            h * 60 + m > 1440) {
            rest_field_error_add(&b->errors, name, "it is not a time of day");
            return;
        }
        *ret = h * 60 + m;
    }
}

static void window_apply(struct rest_campaign_body *b, const json_t *body, struct db_campaign *row)
{
    const json_t *w = sub_object(b, body, "x_window");

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
            rest_field_error_add(&b->errors, "days", "a day is a number from 1, Monday, to 7");
            return;
        }
        row->window_days |= 1 << (d - 1);
    }
    minute_apply(b, w, "from", &row->window_from);
    minute_apply(b, w, "to", &row->window_to);
    rest_body_int(w, "utc_offset_minutes", -840, 840, &row->window_offset, &b->errors);
    const char *zone = "";
    struct dr_zone *known = NULL;
    if (rest_body_str(w, "time_zone", (struct rest_str_rule){.max = DR_ZONE_NAME_MAX}, true, &zone,
                      &b->errors)) {
        row->window_zone = zone == NULL ? "" : zone;
        if (row->window_zone[0] != '\0' && dr_zone_load(row->window_zone, &known) != DR_OK) {
            rest_field_error_add(&b->errors, "time_zone", "there is no such time zone");
        }
        (void)dr_zone_free(known);
    }
}

/* Devices of another campaign instead of those of a filter. */
static void source_apply(struct rest_campaign_body *b, const json_t *body, struct db_campaign *row)
{
    static const char *const choices[] = {"succeeded", "failed", "remaining"};
    static const int64_t buckets[] = {CAMP_SOURCE_SUCCEEDED, CAMP_SOURCE_FAILED,
                                      CAMP_SOURCE_REMAINING};
    const json_t *o = sub_object(b, body, "x_source");

    if (o == NULL) {
        return;
    }
    id_apply(b, o, "campaign_id", &row->source_campaign);
    if (row->source_campaign == 0) {
        rest_field_error_add(&b->errors, "campaign_id", "it is missing");
    } else if (json_object_get(body, "device_filter") != NULL) {
        rest_field_error_add(&b->errors, "device_filter", "x_source says which devices");
    }
    row->source_buckets = buckets[choice_apply(b, o, "devices", choices, DR_ARRAY_LEN(choices), 2)];
    row->device_filter = row->conditions = "";
}

static void limits_apply(struct rest_campaign_body *b, const json_t *body, struct db_campaign *row)
{
    const int64_t year = 366 * 86400;
    const json_t *o = sub_object(b, body, "x_limits");

    if (o != NULL) {
        rest_body_int(o, "max_in_flight", 1, 100000, &row->max_inflight, &b->errors);
        rest_body_int(o, "rate_per_minute", 0, 1000000, &row->rate_per_min, &b->errors);
        rest_body_int(o, "bytes_per_second", 0, 1LL << 40, &row->bytes_per_s, &b->errors);
        rest_body_int(o, "max_devices", 0, CAMP_DEVICES_MAX, &row->max_devices, &b->errors);
    }
    o = sub_object(b, body, "x_retry");
    if (o != NULL) {
        rest_body_int(o, "attempts", 0, 100, &row->retry_max, &b->errors);
        rest_body_int(o, "backoff_seconds", 0, 86400, &row->retry_backoff_s, &b->errors);
    }
    o = sub_object(b, body, "x_timeouts");
    if (o != NULL) {
        rest_body_int(o, "deliver", 1, year, &row->deliver_s, &b->errors);
        rest_body_int(o, "check", 1, year, &row->check_s, &b->errors);
        rest_body_int(o, "consent", 1, year, &row->consent_s, &b->errors);
        rest_body_int(o, "download", 1, year, &row->download_s, &b->errors);
        rest_body_int(o, "install", 1, year, &row->install_s, &b->errors);
        rest_body_int(o, "soak", 0, year, &row->soak_s, &b->errors);
        rest_body_int(o, "stop_grace", 0, year, &row->stop_grace_s, &b->errors);
    }
}

void rest_campaign_apply(struct rest_campaign_body *b, struct db_campaign *row)
{
    static const char *const strategies[] = {"one-shot", "continuous"};
    static const char *const conflicts[] = {"skip", "queue"};
    const json_t *body = b->json;
    const char *text = row->name;

    if (rest_body_str(body, "name", (struct rest_str_rule){.max = 128}, true, &text, &b->errors)) {
        row->name = text == NULL ? "default_object_name" : text;
    }
    text = row->description;
    if (rest_body_str(body, "description", (struct rest_str_rule){.max = 2000}, true, &text,
                      &b->errors)) {
        row->description = text == NULL ? "" : text;
    }
    filter_apply(b, body, row);
    source_apply(b, body, row);
    id_apply(b, body, "root_manifest_id", &row->root_manifest_id);
    time_apply(b, body, "when", &row->when_at);
    time_apply(b, body, "x_end", &row->end_at);
    flag_apply(b, body, "autostop", &row->autostop);
    flag_apply(b, body, "approval_required", &row->approval_required);
    percent_apply(b, body, "autostop_success_percent", &row->autostop_mpct);
    row->strategy = choice_apply(b, body, "campaign_strategy", strategies, DR_ARRAY_LEN(strategies),
                                 row->strategy);
    row->conflict =
        choice_apply(b, body, "x_conflict", conflicts, DR_ARRAY_LEN(conflicts), row->conflict);
    limits_apply(b, body, row);
    window_apply(b, body, row);
}

static void wave_apply(struct rest_campaign_body *b, const json_t *o, struct db_campaign_wave *w)
{
    static const char *const actions[] = {"hold", "stop"};

    *w = (struct db_campaign_wave){.kind = CAMP_WAVE_REST, .verdict = "", .min_samples = 1};
    if (json_object_get(o, "percent") != NULL) {
        w->kind = CAMP_WAVE_PERCENT;
        percent_apply(b, o, "percent", &w->amount);
    } else if (json_object_get(o, "count") != NULL) {
        w->kind = CAMP_WAVE_COUNT;
        rest_body_int(o, "count", 1, CAMP_DEVICES_MAX, &w->amount, &b->errors);
    }
    percent_apply(b, o, "success_percent", &w->success_mpct);
    percent_apply(b, o, "error_percent", &w->error_mpct);
    percent_apply(b, o, "silent_percent", &w->silent_mpct);
    rest_body_int(o, "min_samples", 1, 1000000, &w->min_samples, &b->errors);
    rest_body_int(o, "soak_seconds", 0, 31622400, &w->soak_s, &b->errors);
    w->gate_action = choice_apply(b, o, "on_error", actions, DR_ARRAY_LEN(actions), CAMP_GATE_HOLD);
}

void rest_campaign_waves(struct rest_campaign_body *b)
{
    const json_t *list = json_object_get(b->json, "x_waves");
    size_t n = json_array_size(list);

    if (list == NULL || json_is_null(list)) {
        return;
    }
    if (!json_is_array(list) || n > CAMP_WAVES_MAX - 1) {
        rest_field_error_add(&b->errors, "x_waves", "it has to be a list of at most %d waves",
                             CAMP_WAVES_MAX - 1);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *o = json_array_get(list, i);
        if (!json_is_object(o)) {
            rest_field_error_add(&b->errors, "x_waves", "a wave has to be an object");
            return;
        }
        wave_apply(b, o, &b->waves[i]);
    }
    if (n == 0 || b->waves[n - 1].kind != CAMP_WAVE_REST) {
        b->waves[n++] = (struct db_campaign_wave){.kind = CAMP_WAVE_REST, .verdict = ""};
    }
    b->has_waves = true;
    b->n_waves = n;
}
