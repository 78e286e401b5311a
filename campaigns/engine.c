/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs on the control loop: campaigns. camp_drive() looks at what is stored and starts the one next
 * thing to do; whatever ends calls it again, and so does the clock. A lost event costs time only.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "campaigns/engine_priv.h"

#define TICK_MS    1000
#define VISIBLE_MS 10000

int64_t camp_wall(const struct camp_engine *e)
{
    return e->cfg.wall_ms != NULL ? e->cfg.wall_ms(e->cfg.wall_data) : dr_wall_ms();
}

int64_t camp_now(const struct camp_engine *e)
{
    if (e->cfg.wall_ms != NULL) {
        return e->cfg.wall_ms(e->cfg.wall_data);
    }
    return e->wall0 + (int64_t)(dr_mono_ms() - e->mono0);
}

/* ---- memory ---- */

struct camp *camp_find(const struct camp_engine *e, int64_t id)
{
    DR_LIST_EACH(it, &e->camps)
    {
        struct camp *c = DR_CONTAINER_OF(it, struct camp, node);
        if (c->id == id) {
            return c;
        }
    }
    return NULL;
}

struct camp *camp_new(struct camp_engine *e, const struct db_campaign *row)
{
    struct camp *c = calloc(1, sizeof *c);

    if (c == NULL || camp_text_copy(&c->text, row) != DR_OK) {
        free(c);
        return NULL;
    }
    c->e = e;
    c->id = row->id;
    c->account = row->account;
    dr_list_init(&c->devs);
    dr_list_push_back(&e->camps, &c->node);
    e->n_camps++;
    return c;
}

void camp_free(struct camp *c)
{
    DR_LIST_EACH_SAFE(it, &c->devs)
    {
        camp_dev_free(DR_CONTAINER_OF(it, struct camp_dev, node));
    }
    dr_list_remove(&c->node);
    c->e->n_camps--;
    c->zone = dr_zone_free(c->zone);
    camp_content_fini(&c->content);
    camp_text_fini(&c->text);
    free(c);
}

struct camp_policy camp_policy_of(const struct camp *c)
{
    const struct db_campaign *r = &c->text.row;

    return (struct camp_policy){.admit_s = 60,
                                .deliver_s = r->deliver_s,
                                .check_s = r->check_s,
                                .consent_s = r->consent_s,
                                .download_s = r->download_s,
                                .install_s = r->install_s,
                                .soak_s = r->soak_s,
                                .away_poll_s = 300,
                                .resume_s = 15,
                                .retry_max = r->phase == CAMP_ACTIVE ? r->retry_max : 0,
                                .retry_backoff_s = r->retry_backoff_s};
}

bool camp_open_now(struct camp *c)
{
    const struct db_campaign *row = &c->text.row;

    if (row->window_days == 0) {
        return true;
    }
    if (c->zone == NULL && row->window_zone[0] != '\0' && camp_now(c->e) >= c->zone_again) {
        c->zone_again = camp_now(c->e) + CAMP_LOOK_AGAIN_MS;
        dr_err_t err = dr_zone_load(row->window_zone, &c->zone);
        if (err != DR_OK) {
            DR_LOG_LIMITED(DR_LOG_WARNING, "campaigns", 1, "time zone %s: %s; its window is closed",
                           row->window_zone, dr_err_str(err));
        }
    }
    return c->e->clock_ok && camp_window_open(row, c->zone, camp_wall(c->e));
}

static struct camp_tally sum(const struct camp *c)
{
    struct camp_tally all = {0};

    for (size_t w = 0; w < CAMP_WAVES_MAX; w++) {
        all.total += c->tally[w].total;
        for (size_t s = 0; s < CAMP_STATUS_COUNT; s++) {
            all.by_status[s] += c->tally[w].by_status[s];
        }
    }
    return all;
}

int64_t camp_slots(const struct camp *c)
{
    int64_t n = c->reserved;
    bool brief = camp_now(c->e) - c->asked_at < CAMP_ASK_MS;

    for (size_t w = 0; w < CAMP_WAVES_MAX; w++) {
        const struct camp_tally *t = &c->tally[w];
        n += camp_tally_slots(t);
        /* most decide at once, and would else go on beside those that took their places */
        n += brief ? t->by_status[CAMP_ASK_DOWNLOAD] + t->by_status[CAMP_ASK_INSTALL] : 0;
    }
    return n;
}

void camp_progress_get(struct camp_engine *e, int64_t id, struct camp_progress *ret)
{
    const struct camp *c = camp_find(e, id);

    *ret = (struct camp_progress){0};
    if (c == NULL || !c->tallied) {
        return;
    }
    struct camp_tally t = sum(c);
    ret->total = t.total;
    ret->in_flight = camp_slots(c);
    ret->waiting = t.by_status[CAMP_QUEUED] + t.by_status[CAMP_RETRY_WAIT];
    ret->away = t.by_status[CAMP_WAIT_DEVICE];
    ret->succeeded = t.by_status[CAMP_SUCCEEDED];
    ret->failed = t.by_status[CAMP_FAILED];
    ret->skipped = t.by_status[CAMP_SKIPPED] + t.by_status[CAMP_REMOVED];
    for (size_t w = 0; w < c->n_waves; w++) {
        if (c->waves[w].status != CAMP_WAVE_WAITING) {
            ret->wave = (int64_t)w;
        }
    }
}

/* ---- one campaign ---- */

/* What a step ends with; the next look at the campaign comes at once, unless the store refuses. */
static void stepped(struct camp *c, dr_err_t err)
{
    if (err == DR_OK || err == DR_ERR_AGAIN) {
        camp_drive(c);
        return;
    }
    if (err == DR_ERR_BUSY) {
        return; /* what is being written comes back here */
    }
    if (err == DR_ERR_STALE) {
        DR_LOG_LIMITED(DR_LOG_ERROR, "campaigns", 1, "a campaign was changed behind the engine");
    } else {
        DR_LOG_LIMITED(DR_LOG_WARNING, "campaigns", 1, "a step of a campaign failed: %s",
                       dr_err_str(err));
    }
}

/* A step that could not be begun is tried at the next tick. */
static void begun(dr_err_t err)
{
    if (err != DR_OK) {
        DR_LOG_LIMITED(DR_LOG_WARNING, "campaigns", 1, "a step of a campaign waits: %s",
                       dr_err_str(err));
    }
}

static void store_row(struct camp *c, const struct db_campaign *row)
{
    begun(camp_store(c, row, NULL, 0, stepped));
}

/* To STOPPING or, with nothing to withdraw, STOPPED. */
static void stop_row(struct camp *c, struct db_campaign *row, enum camp_state state,
                     const char *reason, bool at_once)
{
    int64_t now = camp_wall(c->e);

    row->autostop_reason = reason;
    row->finished_at = now;
    if (at_once) {
        row->phase = CAMP_STOPPED;
        row->state = state;
        row->stopped_at = now;
        row->stopping_at = row->stopping_at == 0 ? now : row->stopping_at;
    } else {
        row->phase = CAMP_STOPPING;
        row->state = CAMP_STATE_STOPPING;
        row->stopping_at = now;
        row->hold = (row->hold & 0xff) | ((int64_t)state << 8); /* what it becomes */
    }
}

static void drive_timed(struct camp *c)
{
    struct db_campaign row = c->text.row;

    if (c->e->clock_ok && row.when_at <= camp_wall(c->e)) {
        row.phase = CAMP_STARTING;
        row.starting_at = camp_wall(c->e);
        store_row(c, &row);
    }
}

static void content_loaded(struct camp *c, dr_err_t err)
{
    struct db_campaign row = c->text.row;

    if (err == DR_OK) {
        DR_LIST_EACH_SAFE(it, &c->devs)
        {
            camp_dev_act(DR_CONTAINER_OF(it, struct camp_dev, node));
        }
        if ((row.hold & CAMP_HOLD_CONTENT) != 0) {
            row.hold &= ~(int64_t)CAMP_HOLD_CONTENT;
            row.hold_reason = "";
            store_row(c, &row);
        } else {
            camp_drive(c);
        }
        return;
    }
    c->content_again = camp_now(c->e) + CAMP_CONTENT_AGAIN_MS;
    if (err != DR_ERR_NOT_FOUND && err != DR_ERR_INVAL && err != DR_ERR_CORRUPT) {
        stepped(c, err);
        return;
    }
    if (row.phase == CAMP_STARTING) {
        stop_row(c, &row, CAMP_STATE_MANIFESTREMOVED,
                 err == DR_ERR_NOT_FOUND ? "The manifest or its image does not exist"
                                         : "The manifest cannot be used",
                 true);
        store_row(c, &row);
    } else if (row.phase == CAMP_ACTIVE && (row.hold & CAMP_HOLD_CONTENT) == 0) {
        row.hold |= CAMP_HOLD_CONTENT;
        row.hold_reason = "The manifest or its image is missing";
        store_row(c, &row);
    }
}

static void copied(struct camp *c, dr_err_t err)
{
    struct db_campaign row = c->text.row;

    if (err != DR_OK) {
        stepped(c, err);
        return;
    }
    row.phase = CAMP_ACTIVE;
    row.state = CAMP_STATE_PUBLISHING;
    row.active_at = camp_wall(c->e);
    store_row(c, &row);
}

static void drive_starting(struct camp *c)
{
    struct db_campaign row = c->text.row;

    if (!c->has_content) {
        if (row.state != CAMP_STATE_CHECKINGMANIFEST) {
            row.state = CAMP_STATE_CHECKINGMANIFEST;
            store_row(c, &row);
        } else if (camp_now(c->e) >= c->content_again) {
            begun(camp_content_load(c, content_loaded));
        }
    } else if (!c->tallied) {
        begun(camp_tally_load(c, stepped));
    } else if (row.state == CAMP_STATE_SCHEDULED || row.state == CAMP_STATE_CHECKINGMANIFEST) {
        row.state = CAMP_STATE_CHECKEDMANIFEST;
        store_row(c, &row);
    } else {
        begun(camp_copy(c, copied));
    }
}

/* ---- active ---- */

static int64_t wave_open_last(const struct camp *c)
{
    int64_t last = -1;

    for (size_t w = 0; w < c->n_waves; w++) {
        if (c->waves[w].status != CAMP_WAVE_WAITING) {
            last = (int64_t)w;
        }
    }
    return last;
}

static bool wave_idle(const struct camp *c, size_t w)
{
    const struct camp_tally *t = &c->tally[w];

    return c->ready_none && t->by_status[CAMP_RETRY_WAIT] == 0 && camp_tally_slots(t) == 0 &&
           t->by_status[CAMP_VERIFYING] == 0 && c->reserved == 0;
}

/* Open a wave, or move the gate of one that is open. True: a job was begun. */
static bool drive_waves(struct camp *c)
{
    int64_t now = camp_now(c->e);

    for (size_t w = 0; w < c->n_waves; w++) {
        struct db_campaign_wave next = c->waves[w];
        struct db_campaign row = c->text.row;
        struct camp_verdict v;

        if (next.status == CAMP_WAVE_PASSED || next.status == CAMP_WAVE_SKIPPED) {
            continue;
        }
        if (next.status == CAMP_WAVE_TRIPPED) {
            return false;
        }
        if (next.status == CAMP_WAVE_WAITING) {
            if (row.control != CAMP_RUN || row.hold != 0) {
                return false;
            }
            next.status = CAMP_WAVE_OPEN;
            next.opened_at = now;
            next.verdict = "";
            begun(camp_store(c, &row, &next, CAMP_WAVE_WAITING, stepped));
            return true;
        }
        camp_gate_look(&next, &c->tally[w], wave_idle(c, w), now, &v);
        if ((int64_t)v.status == next.status) {
            return false;
        }
        next.status = v.status;
        next.verdict = v.text;
        if (v.status == CAMP_WAVE_SOAKING) {
            next.soak_until = now + next.soak_s * 1000;
        }
        char reason[CAMP_VERDICT_MAX + 64];
        if (v.status == CAMP_WAVE_TRIPPED) {
            (void)snprintf(reason, sizeof reason, "Wave %zu was stopped by its gate: %s", w + 1,
                           v.text);
            bool last = w + 1 == c->n_waves;
            if (next.gate_action == CAMP_GATE_STOP) {
                stop_row(c, &row, CAMP_STATE_AUTOSTOPPED, reason, false);
            } else if (!last || camp_tally_unfinished(&c->tally[w]) != 0) {
                row.hold |= CAMP_HOLD_GATE;
                row.hold_reason = reason;
            }
        }
        begun(camp_store(c, &row, &next, c->waves[w].status, stepped));
        return true;
    }
    return false;
}

/* Is it over? True: a job was begun. */
static bool drive_end(struct camp *c)
{
    struct db_campaign row = c->text.row;
    struct camp_tally t = sum(c);
    int64_t now = camp_wall(c->e);
    int64_t end = row.end_at != 0 ? row.end_at : row.active_at + CAMP_END_DEFAULT_MS;
    int64_t unfinished = camp_tally_unfinished(&t);
    char reason[160];

    if (now - row.starting_at < (int64_t)c->e->cfg.visible_ms) {
        return false;
    }
    if (row.strategy == CAMP_ONE_SHOT && unfinished == 0) {
        bool clash = t.total > 0 && c->conflicts == t.total;
        (void)snprintf(reason, sizeof reason, "%s",
                       t.total == 0 ? "No device matches the filter"
                       : clash      ? "Every device is in another campaign"
                                    : "All devices are done");
        stop_row(c, &row, clash ? CAMP_STATE_CONFLICT : CAMP_STATE_AUTOSTOPPED, reason, true);
    } else if (row.autostop != 0 && t.total > 0 && row.autostop_mpct < CAMP_MPCT &&
               t.by_status[CAMP_SUCCEEDED] * CAMP_MPCT >= row.autostop_mpct * t.total) {
        (void)snprintf(reason, sizeof reason, "%lld of %lld devices succeeded",
                       (long long)t.by_status[CAMP_SUCCEEDED], (long long)t.total);
        stop_row(c, &row, CAMP_STATE_AUTOSTOPPED, reason, false);
    } else if (now >= end && c->e->clock_ok) {
        stop_row(c, &row, CAMP_STATE_EXPIRED, "The end time was reached", false);
    } else {
        return false;
    }
    store_row(c, &row);
    return true;
}

static void admitted(struct camp *c, dr_err_t err)
{
    if (err != DR_OK) {
        stepped(c, err);
        return;
    }
    if (!c->ready_none) {
        camp_drive(c);
    }
}

static void drive_admit(struct camp *c)
{
    const struct db_campaign *row = &c->text.row;
    int64_t wave = wave_open_last(c), now = camp_now(c->e);
    int64_t room = row->max_inflight - camp_slots(c);
    int64_t tokens =
        row->rate_per_min == 0 ? room : camp_rate_tokens(&c->rate, row->rate_per_min, now);

    room = room < tokens ? room : tokens;
    if (row->bytes_per_s != 0 && room > 0) {
        /* whole images: the last one may borrow from what comes */
        int64_t bytes = camp_rate_tokens(&c->bytes, row->bytes_per_s * 60, now);
        int64_t size = c->content.size == 0 ? 1 : (int64_t)c->content.size;
        int64_t images = bytes <= 0 ? 0 : 1 + (bytes - 1) / size;
        room = room < images ? room : images;
    }
    if (wave < 0 || room <= 0 || row->control != CAMP_RUN || row->hold != 0 || !camp_open_now(c) ||
        c->admitting) {
        return;
    }
    if (sum(c).by_status[CAMP_QUEUED] == 0 && sum(c).by_status[CAMP_RETRY_WAIT] == 0) {
        c->ready_none = true;
        return;
    }
    c->admitting = true; /* until the round is stored, or the next tick */
    begun(camp_admit(c, (uint32_t)(room > CAMP_ADMIT_BATCH ? CAMP_ADMIT_BATCH : room), wave,
                     admitted));
}

static void scanned(struct camp *c, dr_err_t err)
{
    c->scanning = err == DR_ERR_AGAIN;
    if (err == DR_OK) {
        c->scan_at = camp_now(c->e) + CAMP_LOOK_AGAIN_MS;
    }
    stepped(c, err);
}

void camp_orphans_soon(struct camp *c)
{
    int64_t soon = camp_now(c->e) + CAMP_LOOK_SOON_MS;

    if (c->n_devs <= CAMP_LOOK_SOON_MAX && c->orphans_at > soon) {
        c->orphans_at = soon;
    }
}

/* Devices that match by now, devices that are gone. True: a job was begun. */
static bool drive_look(struct camp *c)
{
    int64_t now = camp_now(c->e);

    if (c->orphans_at == 0 || c->scan_at == 0) {
        c->orphans_at = now + CAMP_LOOK_AGAIN_MS;
        c->scan_at = now + CAMP_LOOK_AGAIN_MS;
    }
    if (now >= c->orphans_at) {
        c->orphans_at = now + CAMP_LOOK_AGAIN_MS;
        begun(camp_orphans_end(c, stepped));
        return true;
    }
    if (c->text.row.strategy == CAMP_CONTINUOUS && c->has_content && now >= c->scan_at) {
        begun(camp_copy(c, scanned));
        return true;
    }
    return false;
}

static void tell_all(struct camp *c, unsigned news)
{
    DR_LIST_EACH_SAFE(it, &c->devs)
    {
        camp_dev_news(DR_CONTAINER_OF(it, struct camp_dev, node), news);
    }
}

static void drive_active(struct camp *c)
{
    struct db_campaign row = c->text.row;

    if (!c->has_content && camp_now(c->e) >= c->content_again) {
        begun(camp_content_load(c, content_loaded));
        return;
    }
    if (!c->tallied) {
        begun(camp_tally_load(c, stepped));
        return;
    }
    if (drive_waves(c) || drive_end(c) || drive_look(c)) {
        return;
    }
    struct camp_tally t = sum(c);
    bool sent = t.by_status[CAMP_QUEUED] + t.by_status[CAMP_RETRY_WAIT] +
                    t.by_status[CAMP_ADMITTED] + t.by_status[CAMP_DELIVERING] ==
                0;
    int64_t state = sent ? CAMP_STATE_DEPLOYING : CAMP_STATE_PUBLISHING;
    if (state != row.state) {
        row.state = state;
        store_row(c, &row);
        return;
    }
    if (row.control == CAMP_DRAIN && !c->recalled) {
        c->recalled = true;
        tell_all(c, CAMP_NEWS_RECALL);
    }
    if (c->has_content) {
        drive_admit(c);
    }
}

/* ---- stopping ---- */

static void drive_stopping(struct camp *c)
{
    struct db_campaign row = c->text.row;
    bool expired = (row.hold >> 8) == CAMP_STATE_EXPIRED;
    bool hard =
        row.control == CAMP_DRAIN || camp_wall(c->e) >= row.stopping_at + row.stop_grace_s * 1000;

    if (!c->tallied) {
        begun(camp_tally_load(c, stepped));
        return;
    }
    if (!c->cancelled || (hard && !c->cancelled_hard)) {
        c->cancelled = true;
        c->cancelled_hard = hard;
        tell_all(c, expired ? CAMP_NEWS_EXPIRE : hard ? CAMP_NEWS_CANCEL_HARD : CAMP_NEWS_CANCEL);
    }
    struct camp_tally t = sum(c);
    if (t.by_status[CAMP_QUEUED] != 0) {
        begun(camp_queue_end(c, expired ? CAMP_IN_EXPIRE : CAMP_IN_CANCEL, stepped));
        return;
    }
    if (camp_tally_unfinished(&t) != 0) {
        if (t.by_status[CAMP_RETRY_WAIT] + t.by_status[CAMP_WAIT_DEVICE] != 0) {
            c->cancelled = false; /* some came into these since */
        }
        return;
    }
    if (c->reserved != 0) {
        return;
    }
    int64_t state = row.hold >> 8;
    row.phase = CAMP_STOPPED;
    row.state = state > 0 && state < CAMP_STATE_COUNT ? state : CAMP_STATE_USERSTOPPED;
    row.hold = 0;
    row.stopped_at = camp_wall(c->e);
    store_row(c, &row);
}

void camp_drive(struct camp *c)
{
    struct camp_engine *e = c->e;

    if (c->busy || e->stopping) {
        return;
    }
    if (camp_act_next(c)) {
        return;
    }
    if (!c->loaded) {
        return;
    }
    if (c->text.row.phase == CAMP_DRAFT || c->text.row.phase >= CAMP_STOPPED) {
        if (c->n_devs == 0 && c->actions == NULL) {
            camp_free(c);
        } else if (!c->has_content && c->text.row.phase == CAMP_STOPPED &&
                   camp_now(e) >= c->content_again && e->running) {
            begun(camp_content_load(c, content_loaded));
        }
        return;
    }
    if (!e->running) {
        return;
    }
    switch (c->text.row.phase) {
    case CAMP_TIMED:
        drive_timed(c);
        break;
    case CAMP_STARTING:
        drive_starting(c);
        break;
    case CAMP_ACTIVE:
        drive_active(c);
        break;
    case CAMP_STOPPING:
        drive_stopping(c);
        break;
    default:
        break;
    }
}

static void clock_look(struct camp_engine *e)
{
    bool ok = camp_clock_look(&e->clock, camp_wall(e), camp_now(e));

    if (e->clock_ok && !ok) {
        dr_log(DR_LOG_WARNING, "campaigns",
               "the clock was moved: starts, windows and ends of campaigns wait %d minutes",
               CAMP_CLOCK_SETTLE_MS / 60000);
    }
    e->clock_ok = ok;
}

void camp_tick(struct camp_engine *e)
{
    if (!e->running || e->stopping) {
        return;
    }
    clock_look(e);
    dr_wheel_advance(&e->wheel, (uint64_t)camp_now(e));
    DR_LIST_EACH_SAFE(it, &e->camps)
    {
        struct camp *c = DR_CONTAINER_OF(it, struct camp, node);
        c->admitting = false;
        c->recalled = false;
        c->ready_none = c->ready_none && c->text.row.phase == CAMP_ACTIVE;
        camp_drive(c);
    }
}

static void tick_due(struct loop_timer *t)
{
    camp_tick(DR_CONTAINER_OF(t, struct camp_engine, tick));
}

/* ---- life ---- */

dr_err_t camp_engine_new(const struct camp_config *config, struct camp_engine **ret)
{
    struct camp_engine *e = calloc(1, sizeof *e);

    dr_assert(config != NULL && ret != NULL);
    if (e == NULL) {
        return DR_ERR_NOMEM;
    }
    e->cfg = *config;
    e->loop = config->control;
    e->db = config->db;
    e->cfg.visible_ms = config->visible_ms == 0 ? VISIBLE_MS : config->visible_ms;
    e->mono0 = dr_mono_ms();
    e->wall0 = dr_wall_ms();
    e->clock_ok = true;
    camp_faults_init(&e->faults);
    dr_list_init(&e->camps);
    dr_wheel_init(&e->wheel, (uint64_t)camp_now(e));
    e->buckets = calloc(CAMP_BUCKETS_OF_DEVICES, sizeof *e->buckets);
    dr_err_t err = e->buckets == NULL ? DR_ERR_NOMEM : dr_idgen_init(&e->ids, NULL, NULL);
    if (err != DR_OK) {
        free(e->buckets);
        free(e);
        return err;
    }
    for (size_t i = 0; i < CAMP_BUCKETS_OF_DEVICES; i++) {
        dr_list_init(&e->buckets[i]);
    }
    e->sink = (struct dev_sink){.event = camp_sink_event, .data = e};
    dev_sink_add(config->devices, &e->sink);
    *ret = e;
    return DR_OK;
}

struct camp_engine *camp_engine_free(struct camp_engine *e)
{
    if (e == NULL) {
        return NULL;
    }
    DR_LIST_EACH_SAFE(it, &e->camps)
    {
        camp_free(DR_CONTAINER_OF(it, struct camp, node));
    }
    dr_idgen_fini(&e->ids);
    free(e->buckets);
    free(e);
    return NULL;
}

static void stop_run(struct loop_msg *msg)
{
    struct camp_engine *e = DR_CONTAINER_OF(msg, struct camp_engine, stop_msg);

    e->stop_done(e->stop_data);
}

void camp_idle(struct camp_engine *e)
{
    e->busy--;
    if (e->stopping && e->busy == 0 && !e->stop_posted) {
        e->stop_posted = true;
        loop_post(e->loop, &e->stop_msg, stop_run);
    }
}

void camp_engine_stop(struct camp_engine *e, void (*done)(void *data), void *data)
{
    dr_assert(e != NULL && done != NULL && !e->stopping);
    e->stopping = true;
    e->stop_done = done;
    e->stop_data = data;
    loop_timer_stop(&e->tick);
    DR_LIST_EACH(it, &e->camps)
    {
        struct camp *c = DR_CONTAINER_OF(it, struct camp, node);
        while (c->actions != NULL) {
            struct camp_action *a = c->actions;
            c->actions = a->next;
            a->cb(a, DR_ERR_CANCELED);
        }
    }
    e->busy++;
    camp_idle(e);
}

/* ---- load ---- */

struct load {
    struct db_read read;
    struct camp_engine *e;
    struct camp_text *rows; /* owned */
    size_t n;
};

static dr_err_t load_row(void *data, const struct db_campaign *row)
{
    struct load *l = data;

    if (l->n == CAMP_OPEN_MAX && row->phase == CAMP_STOPPED) {
        return DR_OK; /* late successes of these are not noticed */
    }
    if (l->n == CAMP_OPEN_MAX) {
        return DR_ERR_LIMIT;
    }
    dr_err_t err = camp_text_copy(&l->rows[l->n], row);
    l->n += err == DR_OK;
    return err;
}

static dr_err_t load_run(struct db_reader *r, struct db_read *read)
{
    struct load *l = DR_CONTAINER_OF(read, struct load, read);

    return db_campaign_in_phase(r, CAMP_APPROVAL, CAMP_STOPPING, load_row, l);
}

static void load_end(struct camp_engine *e, dr_err_t err)
{
    void (*done)(void *data, dr_err_t err) = e->load_done;

    e->load_done = NULL;
    done(e->load_data, err);
}

static void load_part(struct camp *c, dr_err_t err);

static void load_more(struct camp *c)
{
    dr_err_t err = camp_devs_load(c, load_part);

    if (err != DR_OK) {
        load_part(c, err);
    }
}

static void load_part(struct camp *c, dr_err_t err)
{
    struct camp_engine *e = c->e;

    if (err == DR_ERR_AGAIN) {
        load_more(c);
        return;
    }
    if (err != DR_OK && e->load_err == DR_OK) {
        e->load_err = err;
    }
    c->loaded = err == DR_OK;
    if (--e->load_left == 0) {
        load_end(e, e->load_err);
    }
}

static void load_done(struct db_read *read, dr_err_t err)
{
    struct load *l = DR_CONTAINER_OF(read, struct load, read);
    struct camp_engine *e = l->e;

    for (size_t i = 0; i < l->n; i++) {
        if (err == DR_OK && camp_new(e, &l->rows[i].row) == NULL) {
            err = DR_ERR_NOMEM;
        }
        camp_text_fini(&l->rows[i]);
    }
    free(l->rows);
    free(l);
    e->load_err = err;
    e->load_left = 1;
    if (err == DR_OK) {
        DR_LIST_EACH_SAFE(it, &e->camps)
        {
            e->load_left++;
            load_more(DR_CONTAINER_OF(it, struct camp, node));
        }
    }
    if (--e->load_left == 0) {
        load_end(e, e->load_err);
    }
    camp_idle(e);
}

void camp_engine_load(struct camp_engine *e, void (*done)(void *data, dr_err_t err), void *data)
{
    struct load *l = calloc(1, sizeof *l);
    dr_err_t err = DR_ERR_NOMEM;

    dr_assert(e != NULL && done != NULL && e->load_done == NULL);
    e->load_done = done;
    e->load_data = data;
    if (l != NULL) {
        l->e = e;
        l->rows = calloc(CAMP_OPEN_MAX, sizeof *l->rows);
        l->read = (struct db_read){.home = e->loop, .fn = load_run, .done = load_done};
        err = l->rows == NULL ? DR_ERR_NOMEM : db_read_start(e->db, &l->read);
    }
    if (err != DR_OK) {
        free(l == NULL ? NULL : l->rows);
        free(l);
        load_end(e, err);
        return;
    }
    e->busy++;
}

void camp_engine_run(struct camp_engine *e)
{
    dr_assert(e != NULL && !e->running);
    e->running = true;
    DR_LIST_EACH_SAFE(it, &e->camps)
    {
        struct camp *c = DR_CONTAINER_OF(it, struct camp, node);
        dev_watch_set(e->cfg.devices, c->account, true);
        DR_LIST_EACH_SAFE(jt, &c->devs)
        {
            struct camp_dev *d = DR_CONTAINER_OF(jt, struct camp_dev, node);
            struct camp_input in = {.kind = CAMP_IN_RESTART};
            if (d->row.d.deadline != 0) {
                dr_timer_start(&e->wheel, &d->timer, (uint64_t)d->row.d.deadline);
            }
            camp_dev_input(d, &in);
        }
        camp_drive(c);
    }
    if (e->cfg.tick_ms != CAMP_TICK_NEVER) {
        uint32_t ms = e->cfg.tick_ms == 0 ? TICK_MS : e->cfg.tick_ms;
        loop_timer_start(e->loop, &e->tick, ms, ms, tick_due);
    }
}
