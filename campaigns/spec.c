/* SPDX-License-Identifier: Apache-2.0 */
/* Names, defaults, conditions as text, and the one line that says why. */
#include <stdio.h>
#include <string.h>

#include "campaigns/campaign.h"

const char *camp_phase_name(int64_t phase)
{
    static const char *const names[] = {"draft",  "awaiting_approval", "timed",   "starting",
                                        "active", "stopping",          "stopped", "archived"};

    return phase >= 0 && phase < (int64_t)DR_ARRAY_LEN(names) ? names[phase] : "draft";
}

static const char *const state_names[] = {
#define STATE_NAME(symbol, name) #name,
    CAMP_STATES(STATE_NAME)
#undef STATE_NAME
};

const char *camp_state_name(int64_t state)
{
    return state >= 0 && state < CAMP_STATE_COUNT ? state_names[state] : "draft";
}

bool camp_state_find(const char *name, int64_t *ret)
{
    for (size_t i = 0; i < DR_ARRAY_LEN(state_names); i++) {
        if (strcmp(state_names[i], name) == 0) {
            *ret = (int64_t)i;
            return true;
        }
    }
    return false;
}

void camp_spec_defaults(struct db_campaign *ret)
{
    *ret = (struct db_campaign){
        .name = "default_object_name",
        .description = "",
        .device_filter = "",
        .conditions = "",
        .autostop = 1,
        .autostop_mpct = CAMP_MPCT,
        .autostop_reason = "",
        .hold_reason = "",
        .window_zone = "",
        .max_inflight = 500,
        .rate_per_min = 6000,
        .retry_max = 3,
        .retry_backoff_s = 60,
        .deliver_s = 300,
        .check_s = 120,
        .consent_s = 7 * 86400,
        .download_s = 3600,
        .install_s = 1800,
        .stop_grace_s = 600,
    };
}

void camp_spec_again(struct db_campaign *row)
{
    row->phase = CAMP_DRAFT;
    row->state = CAMP_STATE_DRAFT;
    row->autostop_reason = row->hold_reason = "";
    row->when_at = row->started_at = row->starting_at = row->active_at = row->stopping_at = 0;
    row->stopped_at = row->archived_at = row->finished_at = row->end_at = 0;
    row->copied_to = row->control = row->hold = row->started_by = 0;
}

/* ---- conditions: field US op US value US value … RS ---- */

#define UNIT   '\x1f'
#define RECORD '\x1e'

static bool put(char *out, size_t *len, const char *text, char end)
{
    size_t n = strlen(text);

    if (*len + n + 1 > CAMP_CONDS_MAX || strchr(text, UNIT) != NULL ||
        strchr(text, RECORD) != NULL) {
        return false;
    }
    memcpy(out + *len, text, n);
    out[*len + n] = end;
    *len += n + 1;
    return true;
}

dr_err_t camp_conds_pack(const struct db_cond *conds, size_t n, char out[CAMP_CONDS_MAX + 1])
{
    size_t len = 0;
    bool ok = true;

    for (size_t i = 0; ok && i < n; i++) {
        char op[2] = {(char)('0' + conds[i].op), '\0'};
        ok = put(out, &len, conds[i].field, UNIT) &&
             put(out, &len, op, conds[i].n_values == 0 ? RECORD : UNIT);
        for (size_t v = 0; ok && v < conds[i].n_values; v++) {
            ok = put(out, &len, conds[i].values[v], v + 1 == conds[i].n_values ? RECORD : UNIT);
        }
    }
    if (!ok) {
        return DR_ERR_LIMIT;
    }
    out[len] = '\0';
    return DR_OK;
}

static char *cut(char **at, char end)
{
    char *start = *at;
    char *p = strchr(start, end);

    if (p == NULL) {
        *at = start + strlen(start);
    } else {
        *p = '\0';
        *at = p + 1;
    }
    return start;
}

size_t camp_conds_unpack(char *text, struct db_cond *conds, const char **values, size_t max_values)
{
    size_t n = 0, used = 0;
    char *at = text;

    while (*at != '\0' && n < DB_CONDS_MAX) {
        char *record = cut(&at, RECORD);
        char *field = cut(&record, UNIT);
        bool any = strchr(record, UNIT) != NULL;
        char *op = cut(&record, UNIT);
        conds[n] = (struct db_cond){
            .field = field, .op = (enum db_op)(op[0] - '0'), .values = values + used};
        while (any && used < max_values) {
            bool last = strchr(record, UNIT) == NULL;
            values[used++] = cut(&record, UNIT);
            conds[n].n_values++;
            if (last) {
                break;
            }
        }
        n++;
    }
    return n;
}

/* ---- explain ---- */

static const char *why_campaign(const struct db_campaign *c, int64_t wall_ms, char *buf, size_t len)
{
    switch (c->phase) {
    case CAMP_DRAFT:
        return "the campaign has not been started";
    case CAMP_APPROVAL:
        return "the campaign waits for approval";
    case CAMP_TIMED:
        return "the start of the campaign lies in the future";
    case CAMP_STARTING:
        return "the campaign is being started";
    case CAMP_STOPPING:
        return "the campaign is being stopped";
    case CAMP_STOPPED:
    case CAMP_ARCHIVED:
        return "the campaign has ended";
    default:
        break;
    }
    if (c->control != CAMP_RUN) {
        return "the campaign is paused";
    }
    if (c->hold != 0) {
        (void)snprintf(buf, len, "the campaign is held: %.160s", c->hold_reason);
        return buf;
    }
    if (c->window_days == 0) {
        return NULL;
    }
    struct dr_zone *zone = NULL;
    dr_err_t err = c->window_zone[0] == '\0' ? DR_OK : dr_zone_load(c->window_zone, &zone);
    const char *why = err != DR_OK ? "the time zone of the maintenance window is not known"
                      : camp_window_open(c, zone, wall_ms) ? NULL
                                                           : "the maintenance window is closed";
    (void)dr_zone_free(zone);
    return why;
}

void camp_explain(const struct db_campaign *c, const struct db_campaign_wave *waves, size_t n_waves,
                  const struct db_campaign_device *d, bool registered, int64_t wall_ms,
                  char out[CAMP_EXPLAIN_MAX + 1])
{
    char buf[CAMP_EXPLAIN_MAX + 1];
    const char *why = NULL;
    size_t size = CAMP_EXPLAIN_MAX + 1;

    dr_assert(c != NULL && d != NULL);
    if (camp_status_final(d->status)) {
        (void)snprintf(out, size, "%s: %s", camp_status_name(d->status), d->reason);
        return;
    }
    if (d->status == CAMP_QUEUED || d->status == CAMP_RETRY_WAIT) {
        why = why_campaign(c, wall_ms, buf, sizeof buf);
        if (why == NULL && !registered) {
            why = "the device is not registered";
        }
        if (why == NULL && d->wave < (int64_t)n_waves &&
            waves[d->wave].status == CAMP_WAVE_WAITING) {
            (void)snprintf(buf, sizeof buf, "its wave %lld has not been opened yet",
                           (long long)d->wave + 1);
            why = buf;
        }
        if (why == NULL && d->not_before > wall_ms) {
            (void)snprintf(buf, sizeof buf, "attempt %lld failed (%s), the next one is in %lld s",
                           (long long)d->attempt, d->reason,
                           (long long)(d->not_before - wall_ms + 999) / 1000);
            why = buf;
        }
        if (why == NULL) {
            why = "it waits for its turn: so many devices at a time, so many a minute";
        }
        (void)snprintf(out, size, "%s: %.220s", camp_status_name(d->status), why);
        return;
    }
    if (d->status == CAMP_WAIT_DEVICE) {
        (void)snprintf(out, size, "wait_device: %s",
                       registered
                           ? "the device is registered but does not answer, perhaps it sleeps"
                           : "the device is not registered");
        return;
    }
    if (d->deadline != 0) {
        int64_t left = (d->deadline - wall_ms) / 1000;
        (void)snprintf(out, size, "%s: %s, for at most %lld s more", camp_status_name(d->status),
                       d->reason, (long long)(left < 0 ? 0 : left));
        return;
    }
    (void)snprintf(out, size, "%s: %s", camp_status_name(d->status), d->reason);
}
