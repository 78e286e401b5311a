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

#define DAY_S 86400

static int64_t utc_of(const struct db_campaign *c, const struct dr_zone *zone, int64_t local)
{
    return zone == NULL ? local - c->window_offset * 60 : dr_zone_utc(zone, local);
}

/* Is the window that opens on day @p day (of the zone, since 1970-01-01) open at @p now? */
static bool window_of_day(const struct db_campaign *c, const struct dr_zone *zone, int64_t day,
                          int64_t now)
{
    int64_t weekday = (day + 3) % 7; /* 1970-01-01 was a Thursday; 0 = Monday */
    int64_t from = c->window_from * 60, to = c->window_to * 60;

    if ((c->window_days & (1 << weekday)) == 0) {
        return false;
    }
    if (from == to) { /* the whole day */
        from = 0;
        to = DAY_S;
    } else if (to < from) { /* over midnight: the morning belongs to the day before */
        to += DAY_S;
    }
    int64_t opens = utc_of(c, zone, day * DAY_S + from), closes = utc_of(c, zone, day * DAY_S + to);
    if (closes <= opens) { /* it lies in what the clock skips */
        closes = opens + to - from;
    }
    return now >= opens && now < closes;
}

bool camp_window_open(const struct db_campaign *c, const struct dr_zone *zone, int64_t wall_ms)
{
    int64_t now = wall_ms / 1000;

    if (c->window_days == 0) {
        return true;
    }
    if (zone == NULL && c->window_zone != NULL && c->window_zone[0] != '\0') {
        return false;
    }
    int64_t offset = zone == NULL ? c->window_offset * 60 : dr_zone_offset(zone, now);
    int64_t today = (now + offset) / DAY_S;
    return window_of_day(c, zone, today, now) || window_of_day(c, zone, today - 1, now);
}

static bool far(int64_t a, int64_t b)
{
    return a - b > CAMP_CLOCK_STEP_MS || b - a > CAMP_CLOCK_STEP_MS;
}

bool camp_clock_look(struct camp_clock *c, int64_t wall_ms, int64_t mono_ms)
{
    int64_t offset = wall_ms - mono_ms;

    if (!c->set || !far(offset, c->offset)) {
        c->set = true;
        c->offset = offset; /* it drifts, slowly */
        c->odd_since = 0;
        return true;
    }
    if (c->odd_since == 0 || far(offset, c->odd)) {
        c->odd = offset;
        c->odd_since = mono_ms;
    }
    if (mono_ms - c->odd_since < CAMP_CLOCK_SETTLE_MS) {
        return false;
    }
    c->offset = offset;
    c->odd_since = 0;
    return true;
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
