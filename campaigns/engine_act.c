/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs on the control loop: what operators ask for. An action finds its campaign in memory or reads
 * it first, waits until the campaign is not busy, and is answered when its change is on disk.
 */
#include <stdlib.h>
#include <string.h>

#include "campaigns/engine_priv.h"

struct act {
    struct db_job job;
    struct db_read read;
    struct camp_engine *e;
    struct camp *c; /* NULL for CREATE and while it is being read */
    struct camp_action *action;
    struct camp_text text;
    struct db_campaign_wave waves[CAMP_WAVES_MAX];
    char verdicts[CAMP_WAVES_MAX][CAMP_VERDICT_MAX + 1];
    size_t n_waves;
    struct camp_row *rows; /* owned; RETRY */
    size_t n_rows, cap_rows;
    int64_t now_ms;
};

static void act_end(struct act *a, dr_err_t err)
{
    struct camp_engine *e = a->e;
    struct camp_action *action = a->action;

    camp_text_fini(&a->text);
    free(a->rows);
    free(a);
    action->cb(action, err);
    camp_idle(e);
}

static struct act *act_new(struct camp_engine *e, struct camp_action *action)
{
    struct act *a = calloc(1, sizeof *a);

    if (a != NULL) {
        a->e = e;
        a->action = action;
    }
    return a;
}

/* ---- create ---- */

static dr_err_t create_run(struct db_writer *w, struct db_job *job)
{
    struct act *a = DR_CONTAINER_OF(job, struct act, job);
    dr_err_t err = db_campaign_insert(w, &a->text.row);

    return err == DR_OK ? db_campaign_waves_put(w, a->text.row.id, a->waves, a->n_waves) : err;
}

static void create_done(struct db_job *job, dr_err_t err)
{
    act_end(DR_CONTAINER_OF(job, struct act, job), err);
}

static void waves_set(struct act *a, const struct camp_action *action)
{
    a->n_waves = action->n_waves;
    for (size_t i = 0; i < a->n_waves; i++) {
        a->waves[i] = action->waves[i];
        a->waves[i].seq = (int64_t)i;
        a->waves[i].status = CAMP_WAVE_WAITING;
        a->waves[i].verdict = "";
    }
    if (a->n_waves == 0) {
        a->n_waves = 1;
        a->waves[0] = (struct db_campaign_wave){.kind = CAMP_WAVE_REST, .verdict = ""};
    }
}

static dr_err_t create(struct camp_engine *e, struct camp_action *action)
{
    struct act *a = act_new(e, action);
    dr_err_t err = a == NULL ? DR_ERR_NOMEM : camp_text_copy(&a->text, action->row);

    if (err == DR_OK) {
        action->id = dr_id_new(&e->ids);
        a->text.row.id = action->id;
        a->text.row.account = action->account;
        a->text.row.updated_at = camp_wall(e);
        waves_set(a, action);
        a->job = (struct db_job){.home = e->loop,
                                 .run = create_run,
                                 .done = create_done,
                                 .lane = DB_LANE_ACK,
                                 .savepoint = true};
        err = db_submit(e->db, &a->job);
    }
    if (err != DR_OK) {
        if (a != NULL) {
            camp_text_fini(&a->text);
        }
        free(a);
        return err;
    }
    e->busy++;
    return DR_OK;
}

/* ---- finding the campaign ---- */

static void action_queue(struct camp *c, struct camp_action *action)
{
    struct camp_action **at = &c->actions;

    while (*at != NULL) {
        at = &(*at)->next;
    }
    *at = action;
    action->next = NULL;
    camp_drive(c);
}

static dr_err_t find_row(void *data, const struct db_campaign *row)
{
    return camp_text_copy(&((struct act *)data)->text, row);
}

static dr_err_t find_wave(void *data, const struct db_campaign_wave *row)
{
    struct act *a = data;

    if (a->n_waves == CAMP_WAVES_MAX) {
        return DR_ERR_CORRUPT;
    }
    a->waves[a->n_waves] = *row;
    (void)strncpy(a->verdicts[a->n_waves], row->verdict, CAMP_VERDICT_MAX);
    a->n_waves++;
    return DR_OK;
}

static dr_err_t find_run(struct db_reader *r, struct db_read *read)
{
    struct act *a = DR_CONTAINER_OF(read, struct act, read);
    dr_err_t err = db_campaign_get(r, a->action->account, a->action->id, find_row, a);

    return err == DR_OK ? db_campaign_waves(r, a->action->id, find_wave, a) : err;
}

static void waves_take(struct camp *c, const struct act *a)
{
    c->n_waves = a->n_waves;
    for (size_t i = 0; i < a->n_waves; i++) {
        c->waves[i] = a->waves[i];
        memcpy(c->verdicts[i], a->verdicts[i], sizeof c->verdicts[i]);
        c->waves[i].verdict = c->verdicts[i];
    }
}

static void find_done(struct db_read *read, dr_err_t err)
{
    struct act *a = DR_CONTAINER_OF(read, struct act, read);
    struct camp_engine *e = a->e;
    struct camp_action *action = a->action;
    struct camp *c = err == DR_OK ? camp_find(e, action->id) : NULL;

    if (err == DR_OK && e->stopping) {
        err = DR_ERR_CANCELED;
    }
    if (err == DR_OK && c == NULL) {
        c = camp_new(e, &a->text.row);
        if (c == NULL) {
            err = DR_ERR_NOMEM;
        } else {
            waves_take(c, a);
            c->loaded = true; /* a campaign that is not in memory has no devices under way */
        }
    }
    if (err != DR_OK) {
        act_end(a, err);
        return;
    }
    camp_text_fini(&a->text);
    free(a);
    action_queue(c, action);
    camp_idle(e);
}

dr_err_t camp_action_start(struct camp_engine *e, struct camp_action *action)
{
    dr_assert(e != NULL && action != NULL && action->cb != NULL);
    dr_assert(action->n_waves <= CAMP_WAVES_MAX);
    if (e->stopping) {
        return DR_ERR_CANCELED;
    }
    if (action->verb == CAMP_DO_CREATE) {
        return create(e, action);
    }
    /* also for what is in memory: the callback is never called from here, and the account is
     * checked */
    struct act *a = act_new(e, action);
    if (a == NULL) {
        return DR_ERR_NOMEM;
    }
    a->read = (struct db_read){.home = e->loop, .fn = find_run, .done = find_done};
    dr_err_t err = db_read_start(e->db, &a->read);
    if (err != DR_OK) {
        free(a);
        return err;
    }
    e->busy++;
    return DR_OK;
}

/* ---- doing it ---- */

static bool phase_in(const struct db_campaign *row, unsigned phases)
{
    return (phases & (1U << row->phase)) != 0;
}

#define P(phase) (1U << (phase))

/* Change @p row as the verb says. */
static dr_err_t verb_apply(struct camp *c, struct camp_action *action, struct db_campaign *row)
{
    int64_t now = camp_wall(c->e);

    switch (action->verb) {
    case CAMP_DO_START:
        if (!phase_in(row, P(CAMP_DRAFT))) {
            return DR_ERR_IN_USE;
        }
        if (row->root_manifest_id == 0) {
            return DR_ERR_INVAL;
        }
        if (c->e->n_camps >= CAMP_OPEN_MAX) {
            return DR_ERR_LIMIT;
        }
        row->started_at = now;
        row->started_by = action->key;
        row->state = CAMP_STATE_SCHEDULED;
        row->phase = row->approval_required != 0 ? CAMP_APPROVAL
                     : row->when_at > now        ? CAMP_TIMED
                                                 : CAMP_STARTING;
        row->starting_at = row->phase == CAMP_STARTING ? now : 0;
        return DR_OK;
    case CAMP_DO_APPROVE:
        if (!phase_in(row, P(CAMP_APPROVAL))) {
            return DR_ERR_IN_USE;
        }
        if (action->key == row->started_by) {
            return DR_ERR_DENIED;
        }
        row->phase = row->when_at > now ? CAMP_TIMED : CAMP_STARTING;
        row->starting_at = row->phase == CAMP_STARTING ? now : 0;
        return DR_OK;
    case CAMP_DO_DENY:
        if (!phase_in(row, P(CAMP_APPROVAL))) {
            return DR_ERR_IN_USE;
        }
        row->phase = CAMP_DRAFT;
        row->state = CAMP_STATE_DRAFT;
        row->started_at = row->started_by = 0;
        return DR_OK;
    case CAMP_DO_STOP:
    case CAMP_DO_STOP_HARD:
        if (!phase_in(row, P(CAMP_APPROVAL) | P(CAMP_TIMED) | P(CAMP_STARTING) | P(CAMP_ACTIVE) |
                               (action->verb == CAMP_DO_STOP_HARD ? P(CAMP_STOPPING) : 0))) {
            return DR_ERR_IN_USE;
        }
        if (row->phase != CAMP_STOPPING) {
            row->hold = (row->hold & 0xff) | ((int64_t)CAMP_STATE_USERSTOPPED << 8);
            row->stopping_at = now;
            row->finished_at = now;
            row->autostop_reason = "Stopped by the operator";
        }
        row->control = action->verb == CAMP_DO_STOP_HARD ? CAMP_DRAIN : CAMP_RUN;
        row->phase = CAMP_STOPPING;
        row->state = CAMP_STATE_STOPPING;
        return DR_OK;
    case CAMP_DO_ARCHIVE:
        if (!phase_in(row, P(CAMP_STOPPED) | P(CAMP_DRAFT))) {
            return DR_ERR_IN_USE;
        }
        row->phase = CAMP_ARCHIVED;
        row->archived_at = now;
        return DR_OK;
    case CAMP_DO_HOLD:
    case CAMP_DO_DRAIN:
        if (!phase_in(row, P(CAMP_STARTING) | P(CAMP_ACTIVE) | P(CAMP_TIMED))) {
            return DR_ERR_IN_USE;
        }
        row->control = action->verb == CAMP_DO_HOLD ? CAMP_HOLD : CAMP_DRAIN;
        return DR_OK;
    case CAMP_DO_RESUME:
        if (!phase_in(row, P(CAMP_STARTING) | P(CAMP_ACTIVE) | P(CAMP_TIMED))) {
            return DR_ERR_IN_USE;
        }
        row->control = CAMP_RUN;
        row->hold &= ~(int64_t)CAMP_HOLD_GATE;
        row->hold_reason = (row->hold & CAMP_HOLD_CONTENT) != 0 ? row->hold_reason : "";
        return DR_OK;
    case CAMP_DO_EDIT:
        if ((action->mask & CAMP_EDIT_SPEC) != 0 && row->phase != CAMP_DRAFT) {
            return DR_ERR_DENIED;
        }
        return action->edit == NULL ? DR_OK : action->edit(action, row);
    case CAMP_DO_ADVANCE:
    case CAMP_DO_RETRY:
        return phase_in(row, P(CAMP_ACTIVE)) ? DR_OK : DR_ERR_IN_USE;
    case CAMP_DO_DELETE:
        return phase_in(row, P(CAMP_DRAFT) | P(CAMP_STOPPED) | P(CAMP_ARCHIVED)) ? DR_OK
                                                                                 : DR_ERR_IN_USE;
    case CAMP_DO_CREATE:
        break;
    }
    return DR_ERR_INTERNAL;
}

static dr_err_t retry_row(void *data, const struct db_campaign_device *row)
{
    struct act *a = data;

    if (a->action->device != 0 && row->device != a->action->device) {
        return DR_OK;
    }
    if (a->n_rows == a->cap_rows) {
        size_t cap = a->cap_rows == 0 ? 64 : a->cap_rows * 2;
        struct camp_row *rows = realloc(a->rows, cap * sizeof *rows);
        if (rows == NULL) {
            return DR_ERR_NOMEM;
        }
        a->rows = rows;
        a->cap_rows = cap;
    }
    camp_row_load(&a->rows[a->n_rows++], row);
    return DR_OK;
}

/* Failed rows are queued again. */
static dr_err_t retry_run(struct db_writer *w, struct act *a)
{
    a->n_rows = 0;
    dr_err_t err = db_campaign_device_with(db_writer_reader(w), a->action->id, CAMP_FAILED, 1000000,
                                           retry_row, a);
    for (size_t i = 0; err == DR_OK && i < a->n_rows; i++) {
        struct db_campaign_device *d = &a->rows[i].d;
        camp_row_bind(&a->rows[i]);
        d->status = CAMP_QUEUED;
        d->op = CAMP_OP_NONE;
        d->attempt = d->not_before = d->deadline = d->left_ms = d->delivered = 0;
        d->fail = d->watch = d->live = d->slot = d->finished_at = d->registrations = 0;
        d->bucket = CAMP_INFO;
        d->code = "SYS_100";
        d->reason = "Waits for its turn again";
        d->updated_at = a->now_ms;
        err = db_campaign_device_update(w, d);
    }
    return err;
}

static dr_err_t act_run(struct db_writer *w, struct db_job *job)
{
    struct act *a = DR_CONTAINER_OF(job, struct act, job);
    struct camp_action *action = a->action;

    if (action->verb == CAMP_DO_DELETE) {
        return db_campaign_delete(w, action->account, action->id, a->text.row.version);
    }
    dr_err_t err = db_campaign_update(w, &a->text.row);
    if (err == DR_OK && a->n_waves != 0) {
        err = db_campaign_waves_put(w, action->id, a->waves, a->n_waves);
    }
    if (err == DR_OK && action->verb == CAMP_DO_RETRY) {
        err = retry_run(w, a);
    }
    return err;
}

/* The rows that RETRY changed are not as in memory. */
static void retry_forget(struct camp *c)
{
    c->tallied = false;
    DR_LIST_EACH_SAFE(it, &c->devs)
    {
        struct camp_dev *d = DR_CONTAINER_OF(it, struct camp_dev, node);
        if (d->row.d.status != CAMP_FAILED) {
            continue;
        }
        d->doomed = true;
        if (!d->writing && !d->asking) {
            camp_dev_free(d);
        }
    }
}

static void act_done(struct db_job *job, dr_err_t err)
{
    struct act *a = DR_CONTAINER_OF(job, struct act, job);
    struct camp *c = a->c;
    struct camp_action *action = a->action;

    c->busy = false;
    if (err == DR_OK && action->verb != CAMP_DO_DELETE) {
        a->text.row.version++;
        camp_text_fini(&c->text);
        c->text = a->text;
        a->text = (struct camp_text){0};
        if (a->n_waves != 0) {
            waves_take(c, a);
        }
        c->cancelled = false;
        c->admitting = false;
        c->zone = dr_zone_free(c->zone); /* it may be another one now */
        c->zone_again = 0;
        if (action->verb == CAMP_DO_RETRY) {
            retry_forget(c);
        }
        dev_watch_set(c->e->cfg.devices, c->account, true);
    }
    if (err == DR_OK && action->verb == CAMP_DO_DELETE) {
        DR_LIST_EACH_SAFE(it, &c->devs)
        {
            struct camp_dev *d = DR_CONTAINER_OF(it, struct camp_dev, node);
            d->doomed = true;
            if (!d->writing && !d->asking) {
                camp_dev_free(d);
            }
        }
    }
    struct camp_engine *e = a->e;
    int64_t id = c->id;
    act_end(a, err);
    c = camp_find(e, id);
    if (c != NULL) {
        camp_drive(c);
    }
}

bool camp_act_next(struct camp *c)
{
    struct camp_action *action = c->actions;

    if (action == NULL) {
        return false;
    }
    c->actions = action->next;
    struct act *a = act_new(c->e, action);
    struct db_campaign row = c->text.row;
    dr_err_t err = a == NULL ? DR_ERR_NOMEM : verb_apply(c, action, &row);
    if (err == DR_OK) {
        err = camp_text_copy(&a->text, &row);
    }
    if (err == DR_OK) {
        a->c = c;
        a->now_ms = camp_now(c->e);
        a->text.row.updated_at = camp_wall(c->e);
        if (action->verb == CAMP_DO_EDIT && action->n_waves != 0) {
            waves_set(a, action);
        } else if (action->verb == CAMP_DO_RESUME || action->verb == CAMP_DO_ADVANCE) {
            /* the gate that tripped is passed by hand; for ADVANCE an open one, too */
            a->n_waves = c->n_waves;
            for (size_t i = 0; i < c->n_waves; i++) {
                a->waves[i] = c->waves[i];
                memcpy(a->verdicts[i], c->verdicts[i], sizeof a->verdicts[i]);
                a->waves[i].verdict = a->verdicts[i];
                bool open =
                    c->waves[i].status == CAMP_WAVE_OPEN || c->waves[i].status == CAMP_WAVE_SOAKING;
                if (c->waves[i].status == CAMP_WAVE_TRIPPED ||
                    (open && action->verb == CAMP_DO_ADVANCE)) {
                    a->waves[i].status = CAMP_WAVE_PASSED;
                }
            }
        }
        a->job = (struct db_job){.home = c->e->loop,
                                 .run = act_run,
                                 .done = act_done,
                                 .lane = DB_LANE_ACK,
                                 .savepoint = true};
        c->busy = true;
        c->e->busy++;
        err = db_submit(c->e->db, &a->job);
        if (err != DR_OK) {
            c->busy = false;
            c->e->busy--;
        }
    }
    if (err != DR_OK) {
        if (a != NULL) {
            camp_text_fini(&a->text);
            free(a);
        }
        struct camp_engine *e = c->e;
        int64_t id = c->id;
        action->cb(action, err);
        c = camp_find(e, id);
        if (c != NULL) {
            camp_drive(c);
        }
    }
    return true;
}
