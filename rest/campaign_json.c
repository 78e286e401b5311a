/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/ids.h"
#include "rest/campaign.h"

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
    rest_json_str(j, "time_zone", c->window_zone[0] == '\0' ? NULL : c->window_zone);
    rest_json_object_end(j);
}

static void source_write(struct rest_json *j, const struct db_campaign *c)
{
    if (c->source_campaign == 0) {
        rest_json_null(j, "x_source");
        return;
    }
    rest_json_object(j, "x_source");
    rest_json_id(j, "campaign_id", c->source_campaign);
    rest_json_str(j, "devices",
                  c->source_buckets == CAMP_SOURCE_SUCCEEDED ? "succeeded"
                  : c->source_buckets == CAMP_SOURCE_FAILED  ? "failed"
                                                             : "remaining");
    rest_json_object_end(j);
}

static void extensions_write(struct rest_json *j, const struct db_campaign *c)
{
    static const char *const controls[] = {"run", "hold", "drain"};

    rest_json_object(j, "x_limits");
    rest_json_int(j, "max_in_flight", c->max_inflight);
    rest_json_int(j, "rate_per_minute", c->rate_per_min);
    rest_json_int(j, "bytes_per_second", c->bytes_per_s);
    rest_json_int(j, "max_devices", c->max_devices);
    rest_json_object_end(j);
    source_write(j, c);
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

dr_err_t rest_campaign_write(struct db_reader *r, struct rest_json *j, const struct db_campaign *c,
                             const struct camp_progress *progress)
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

int64_t rest_campaign_bucket(const char *name)
{
    for (int i = 0; name != NULL && i < CAMP_BUCKETS; i++) {
        if (strcmp(camp_bucket_name((enum camp_bucket)i), name) == 0) {
            return i;
        }
    }
    return -1;
}
