/* SPDX-License-Identifier: Apache-2.0 */
#include "campaigns/gate.h"

#include <stdio.h>

#include "base/hash.h"

const char *camp_wave_status_name(int64_t status)
{
    static const char *const names[] = {"waiting", "open",    "soaking",
                                        "passed",  "tripped", "skipped"};

    return status >= 0 && status < (int64_t)DR_ARRAY_LEN(names) ? names[status] : "unknown";
}

int64_t camp_tally_slots(const struct camp_tally *t)
{
    int64_t n = 0;

    for (int64_t s = 0; s < CAMP_STATUS_COUNT; s++) {
        n += camp_status_slot(s) ? t->by_status[s] : 0;
    }
    return n;
}

int64_t camp_tally_unfinished(const struct camp_tally *t)
{
    int64_t n = 0;

    for (int64_t s = CAMP_STATUS_UNFINISHED_FIRST; s <= CAMP_STATUS_UNFINISHED_LAST; s++) {
        n += t->by_status[s];
    }
    return n;
}

static bool over(int64_t part, int64_t whole, int64_t mpct)
{
    return whole > 0 && part * CAMP_MPCT > mpct * whole;
}

void camp_gate_look(const struct db_campaign_wave *wave, const struct camp_tally *t, bool idle,
                    int64_t now_ms, struct camp_verdict *ret)
{
    int64_t ok = t->by_status[CAMP_SUCCEEDED];
    int64_t bad = t->by_status[CAMP_FAILED];
    int64_t silent = t->failed_by[CAMP_FAIL_SILENT];
    int64_t finished = ok + bad;
    int64_t skipped = t->by_status[CAMP_SKIPPED] + t->by_status[CAMP_REMOVED] +
                      t->by_status[CAMP_CANCELLED] + t->by_status[CAMP_EXPIRED];
    int64_t wanted = t->total - skipped;
    bool enough = finished >= (wave->min_samples < 1 ? 1 : wave->min_samples);

    *ret = (struct camp_verdict){.status = (enum camp_wave_status)wave->status};
    if (wave->error_mpct != 0 && enough && over(bad, finished, wave->error_mpct)) {
        ret->status = CAMP_WAVE_TRIPPED;
        (void)snprintf(ret->text, sizeof ret->text, "%lld of %lld devices failed", (long long)bad,
                       (long long)finished);
        return;
    }
    if (wave->silent_mpct != 0 && enough && over(silent, finished, wave->silent_mpct)) {
        ret->status = CAMP_WAVE_TRIPPED;
        (void)snprintf(ret->text, sizeof ret->text,
                       "%lld of %lld devices were not heard again after installing",
                       (long long)silent, (long long)finished);
        return;
    }
    if (wanted <= 0) {
        ret->status = CAMP_WAVE_SKIPPED;
        (void)snprintf(ret->text, sizeof ret->text, "no device has to be updated");
        return;
    }
    if (wave->status == CAMP_WAVE_SOAKING) {
        if (now_ms >= wave->soak_until) {
            ret->status = CAMP_WAVE_PASSED;
            (void)snprintf(ret->text, sizeof ret->text, "%lld of %lld devices succeeded",
                           (long long)ok, (long long)finished);
        }
        return;
    }
    bool all = camp_tally_unfinished(t) == 0 || (idle && finished > 0);
    bool success = ok * CAMP_MPCT >= wave->success_mpct * (all ? finished : wanted);
    if (!success && !all) {
        return;
    }
    if (!success) {
        ret->status = CAMP_WAVE_TRIPPED;
        (void)snprintf(ret->text, sizeof ret->text, "only %lld of %lld devices succeeded",
                       (long long)ok, (long long)finished);
        return;
    }
    if (!all && !enough) {
        return;
    }
    ret->status = wave->soak_s > 0 ? CAMP_WAVE_SOAKING : CAMP_WAVE_PASSED;
    (void)snprintf(ret->text, sizeof ret->text, "%lld of %lld devices succeeded", (long long)ok,
                   (long long)finished);
}

int64_t camp_wave_place(int64_t campaign, int64_t device)
{
    uint64_t h = dr_mix64(dr_mix64((uint64_t)campaign) ^ (uint64_t)device);

    return (int64_t)(h % CAMP_MPCT);
}

int64_t camp_wave_of(const struct db_campaign_wave *waves, size_t n, const int64_t *fill,
                     int64_t campaign, int64_t device)
{
    int64_t place = camp_wave_place(campaign, device), up_to = 0;

    for (size_t i = 0; i < n; i++) {
        if (waves[i].kind == CAMP_WAVE_REST) {
            return (int64_t)i;
        }
        if (waves[i].kind == CAMP_WAVE_COUNT) {
            if (fill[i] < waves[i].amount) {
                return (int64_t)i;
            }
            continue;
        }
        up_to += waves[i].amount;
        /* a wave of a share is never empty while there are devices for it */
        if (place < up_to || (waves[i].amount > 0 && fill[i] == 0)) {
            return (int64_t)i;
        }
    }
    return n == 0 ? 0 : (int64_t)n - 1;
}

bool camp_window_open(const struct db_campaign *c, int64_t wall_ms)
{
    if (c->window_days == 0) {
        return true;
    }
    int64_t minute = wall_ms / 60000 + c->window_offset;
    int64_t day = minute / 1440, of_day = minute % 1440;
    int64_t weekday = (day + 3) % 7; /* 1970-01-01 was a Thursday; 0 = Monday */
    int64_t before = (weekday + 6) % 7;

    if (c->window_from == c->window_to) {
        return (c->window_days & (1 << weekday)) != 0;
    }
    if (c->window_from < c->window_to) {
        return (c->window_days & (1 << weekday)) != 0 && of_day >= c->window_from &&
               of_day < c->window_to;
    }
    /* over midnight: the morning belongs to the day before */
    return (of_day >= c->window_from && (c->window_days & (1 << weekday)) != 0) ||
           (of_day < c->window_to && (c->window_days & (1 << before)) != 0);
}

int64_t camp_rate_tokens(struct camp_rate *r, int64_t per_min, int64_t now_ms)
{
    int64_t most = (per_min / 10 < 1 ? 1 : per_min / 10) * 1000;

    if (r->at_ms == 0 || now_ms < r->at_ms) {
        r->at_ms = now_ms;
        r->milli = most;
    }
    int64_t passed = now_ms - r->at_ms > 60000 ? 60000 : now_ms - r->at_ms;
    int64_t more = per_min * passed / 60;
    if (more > 0) {
        r->milli = r->milli + more > most ? most : r->milli + more;
        r->at_ms = now_ms;
    }
    return r->milli / 1000;
}

void camp_rate_take(struct camp_rate *r, int64_t n)
{
    r->milli -= n * 1000;
}
