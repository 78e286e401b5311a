/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs and reads of a campaign: one at a time each (c->busy), so that a step sees the one before.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "campaigns/engine_priv.h"
#include "campaigns/plan.h"
#include "db/device.h"

/* ---- texts ---- */

#define FIELD_TEXT(x) x
#define FIELD_INT(x)

dr_err_t camp_text_copy(struct camp_text *to, const struct db_campaign *from)
{
    size_t len = 1;
    struct camp_text t = {.row = *from};

#define LEN_TEXT(member) len += (from->member == NULL ? 0 : strlen(from->member)) + 1;
#define LEN_INT(member)
#define LEN(member, kind) LEN_##kind(member)
    DB_CAMPAIGN_FIELDS(LEN)
    t.block = malloc(len);
    if (t.block == NULL) {
        return DR_ERR_NOMEM;
    }
    char *at = t.block;
#define COPY_TEXT(member)                                                                          \
    {                                                                                              \
        size_t n = from->member == NULL ? 0 : strlen(from->member);                                \
        if (n != 0) {                                                                              \
            memcpy(at, from->member, n);                                                           \
        }                                                                                          \
        at[n] = '\0';                                                                              \
        t.row.member = at;                                                                         \
        at += n + 1;                                                                               \
    }
#define COPY_INT(member)
#define COPY(member, kind) COPY_##kind(member)
    DB_CAMPAIGN_FIELDS(COPY)
    free(to->block);
    *to = t;
    return DR_OK;
}

void camp_text_fini(struct camp_text *t)
{
    free(t->block);
    *t = (struct camp_text){0};
}

/* ---- one struct for all ---- */

struct camp_job {
    struct db_job job;
    struct db_read read;
    struct camp *c;
    camp_then *then;
    /* store */
    struct camp_text text;
    struct db_campaign_wave wave;
    char verdict[CAMP_VERDICT_MAX + 1];
    bool has_wave;
    int64_t wave_from;
    /* content */
    struct camp_content content;
    struct dr_errinfo info;
    /* tally: of all rows; copy: of the new ones */
    struct camp_tally tally[CAMP_WAVES_MAX];
    int64_t fill[CAMP_WAVES_MAX]; /* copy: devices of each wave before it */
    /* rows */
    struct camp_row *rows; /* owned */
    size_t n_rows, cap_rows;
    uint32_t limit;
    int64_t wave_up_to, now_ms;
    enum camp_in how;
    /* copy */
    int64_t campaign;
    int64_t ids[CAMP_COPY_BATCH];
    int64_t row_ids[CAMP_COPY_BATCH]; /* for new rows */
    size_t n_ids;
    bool last;
    int64_t conflicts;
    struct db_campaign_wave waves[CAMP_WAVES_MAX];
    char verdicts[CAMP_WAVES_MAX][CAMP_VERDICT_MAX + 1];
    size_t n_waves;
};

static struct camp_job *job_new(struct camp *c, camp_then *then)
{
    struct camp_job *j = calloc(1, sizeof *j);

    if (j != NULL) {
        j->c = c;
        j->then = then;
    }
    return j;
}

static void job_free(struct camp_job *j)
{
    camp_text_fini(&j->text);
    camp_content_fini(&j->content);
    free(j->rows);
    free(j);
}

static void job_end(struct camp_job *j, dr_err_t err)
{
    struct camp *c = j->c;
    struct camp_engine *e = c->e;
    camp_then *then = j->then;

    if (j->job.run != NULL) {
        camp_fault(&e->faults, CAMP_FAULT_DONE);
    }
    job_free(j);
    c->busy = false;
    then(c, err);
    camp_idle(e);
}

static dr_err_t job_submit(struct camp_job *j, db_job_run_fn *run, db_job_done_fn *done)
{
    struct camp *c = j->c;

    dr_assert(!c->busy);
    j->job = (struct db_job){
        .home = c->e->loop, .run = run, .done = done, .lane = DB_LANE_ACK, .savepoint = true};
    camp_fault(&c->e->faults, CAMP_FAULT_BEGUN);
    dr_err_t err = db_submit(c->e->db, &j->job);
    if (err != DR_OK) {
        job_free(j);
        return err;
    }
    c->busy = true;
    c->e->busy++;
    return DR_OK;
}

static dr_err_t job_read(struct camp_job *j, db_read_fn *fn, db_read_done_fn *done)
{
    struct camp *c = j->c;

    dr_assert(!c->busy);
    j->read = (struct db_read){.home = c->e->loop, .fn = fn, .done = done};
    dr_err_t err = db_read_start(c->e->db, &j->read);
    if (err != DR_OK) {
        job_free(j);
        return err;
    }
    c->busy = true;
    c->e->busy++;
    return DR_OK;
}

/* ---- store ---- */

static dr_err_t store_run(struct db_writer *w, struct db_job *job)
{
    struct camp_job *j = DR_CONTAINER_OF(job, struct camp_job, job);
    dr_err_t err = db_campaign_update(w, &j->text.row);

    return err == DR_OK && j->has_wave ? db_campaign_wave_move(w, &j->wave, j->wave_from) : err;
}

static void store_done(struct db_job *job, dr_err_t err)
{
    struct camp_job *j = DR_CONTAINER_OF(job, struct camp_job, job);
    struct camp *c = j->c;

    if (err == DR_OK) {
        j->text.row.version++;
        camp_text_fini(&c->text);
        c->text = j->text;
        j->text = (struct camp_text){0};
    }
    if (err == DR_OK && j->has_wave) {
        size_t i = (size_t)j->wave.seq;
        c->waves[i] = j->wave;
        memcpy(c->verdicts[i], j->verdict, sizeof c->verdicts[i]);
        c->waves[i].verdict = c->verdicts[i];
    }
    job_end(j, err);
}

dr_err_t camp_store(struct camp *c, const struct db_campaign *row,
                    const struct db_campaign_wave *wave, int64_t wave_from, camp_then *then)
{
    struct camp_job *j = job_new(c, then);
    dr_err_t err = j == NULL ? DR_ERR_NOMEM : camp_text_copy(&j->text, row);

    if (err != DR_OK) {
        free(j);
        return err;
    }
    j->text.row.updated_at = camp_wall(c->e);
    if (wave != NULL) {
        j->has_wave = true;
        j->wave = *wave;
        (void)snprintf(j->verdict, sizeof j->verdict, "%s", wave->verdict);
        j->wave.verdict = j->verdict;
        j->wave_from = wave_from;
    }
    return job_submit(j, store_run, store_done);
}

/* ---- content ---- */

static dr_err_t content_run(struct db_reader *r, struct db_read *read)
{
    struct camp_job *j = DR_CONTAINER_OF(read, struct camp_job, read);
    const struct camp_config *cfg = &j->c->e->cfg;

    if (cfg->content == NULL) {
        return DR_ERR_NOT_FOUND;
    }
    return cfg->content(cfg->content_data, r, j->c->account, j->n_ids == 0 ? 0 : j->ids[0],
                        &j->content, &j->info);
}

static void content_done(struct db_read *read, dr_err_t err)
{
    struct camp_job *j = DR_CONTAINER_OF(read, struct camp_job, read);
    struct camp *c = j->c;

    if (err == DR_OK) {
        camp_content_fini(&c->content);
        c->content = j->content;
        j->content = (struct camp_content){0};
        c->has_content = true;
    }
    job_end(j, err);
}

dr_err_t camp_content_load(struct camp *c, camp_then *then)
{
    struct camp_job *j = job_new(c, then);

    if (j == NULL) {
        return DR_ERR_NOMEM;
    }
    j->ids[0] = c->text.row.root_manifest_id;
    j->n_ids = 1;
    return job_read(j, content_run, content_done);
}

/* ---- tally ---- */

static dr_err_t tally_row(void *data, int64_t wave, int64_t status, int64_t fail, int64_t n)
{
    struct camp_job *j = data;

    if (wave < 0 || wave >= CAMP_WAVES_MAX || status <= 0 || status >= CAMP_STATUS_COUNT) {
        return DR_ERR_CORRUPT;
    }
    struct camp_tally *t = &j->tally[wave];
    t->total += n;
    t->by_status[status] += n;
    if (status == CAMP_FAILED && fail >= 0 && fail < CAMP_FAIL_COUNT) {
        t->failed_by[fail] += n;
    }
    return DR_OK;
}

static dr_err_t tally_run(struct db_reader *r, struct db_read *read)
{
    struct camp_job *j = DR_CONTAINER_OF(read, struct camp_job, read);

    return db_campaign_tally(r, j->campaign, tally_row, j);
}

static void tally_done(struct db_read *read, dr_err_t err)
{
    struct camp_job *j = DR_CONTAINER_OF(read, struct camp_job, read);
    struct camp *c = j->c;
    bool moving = false;

    DR_LIST_EACH(it, &c->devs)
    {
        moving = moving || DR_CONTAINER_OF(it, struct camp_dev, node)->writing;
    }
    if (err == DR_OK && moving) {
        err = DR_ERR_BUSY; /* it may be of before or after: again when that is written */
    } else if (err == DR_OK) {
        memcpy(c->tally, j->tally, sizeof c->tally);
        c->tallied = true;
    }
    job_end(j, err);
}

dr_err_t camp_tally_load(struct camp *c, camp_then *then)
{
    struct camp_job *j = job_new(c, then);

    if (j == NULL) {
        return DR_ERR_NOMEM;
    }
    j->campaign = c->id;
    return job_read(j, tally_run, tally_done);
}

/* ---- rows ---- */

static dr_err_t row_take(void *data, const struct db_campaign_device *row)
{
    struct camp_job *j = data;

    if (j->n_rows == j->cap_rows) {
        size_t cap = j->cap_rows == 0 ? 64 : j->cap_rows * 2;
        struct camp_row *rows = realloc(j->rows, cap * sizeof *rows);
        if (rows == NULL) {
            return DR_ERR_NOMEM;
        }
        j->rows = rows;
        j->cap_rows = cap;
    }
    camp_row_load(&j->rows[j->n_rows++], row);
    return DR_OK;
}

static struct camp_dev *row_adopt(struct camp *c, struct camp_row *row)
{
    struct camp_dev *d = camp_dev_find(c->e, c->id, row->d.device);

    camp_row_bind(row); /* the array may have moved */
    return d != NULL ? d : camp_dev_new(c, &row->d);
}

static dr_err_t load_wave(void *data, const struct db_campaign_wave *row)
{
    struct camp_job *j = data;

    if (j->n_waves == CAMP_WAVES_MAX) {
        return DR_ERR_CORRUPT;
    }
    j->waves[j->n_waves] = *row;
    (void)snprintf(j->verdicts[j->n_waves], sizeof j->verdicts[0], "%s", row->verdict);
    j->n_waves++;
    return DR_OK;
}

static dr_err_t load_run(struct db_reader *r, struct db_read *read)
{
    struct camp_job *j = DR_CONTAINER_OF(read, struct camp_job, read);

    if (j->wave_up_to == 0) {
        dr_err_t err = db_campaign_waves(r, j->campaign, load_wave, j);
        if (err != DR_OK) {
            return err;
        }
    }

    return db_campaign_device_watched(r, j->campaign, j->wave_up_to, CAMP_COPY_BATCH, row_take, j);
}

static void load_done(struct db_read *read, dr_err_t err)
{
    struct camp_job *j = DR_CONTAINER_OF(read, struct camp_job, read);
    struct camp *c = j->c;

    for (size_t i = 0; i < j->n_waves; i++) {
        c->waves[i] = j->waves[i];
        memcpy(c->verdicts[i], j->verdicts[i], sizeof c->verdicts[i]);
        c->waves[i].verdict = c->verdicts[i];
        c->n_waves = j->n_waves;
    }
    for (size_t i = 0; err == DR_OK && i < j->n_rows; i++) {
        struct camp_dev *d = row_adopt(c, &j->rows[i]);
        c->load_after = j->rows[i].d.id;
        err = d == NULL ? DR_ERR_NOMEM : DR_OK;
    }
    if (err == DR_OK && j->n_rows == CAMP_COPY_BATCH) {
        err = DR_ERR_AGAIN;
    }
    job_end(j, err);
}

dr_err_t camp_devs_load(struct camp *c, camp_then *then)
{
    struct camp_job *j = job_new(c, then);

    if (j == NULL) {
        return DR_ERR_NOMEM;
    }
    j->campaign = c->id;
    j->wave_up_to = c->load_after;
    return job_read(j, load_run, load_done);
}

/* ---- admission ---- */

static dr_err_t admit_run(struct db_reader *r, struct db_read *read)
{
    struct camp_job *j = DR_CONTAINER_OF(read, struct camp_job, read);
    dr_err_t err = db_campaign_device_ready(r, j->campaign, CAMP_WAVES_MAX, CAMP_RETRY_WAIT,
                                            j->now_ms, j->limit, row_take, j);

    if (err == DR_OK && j->n_rows < j->limit) {
        err = db_campaign_device_ready(r, j->campaign, j->wave_up_to, CAMP_QUEUED, j->now_ms,
                                       j->limit - (uint32_t)j->n_rows, row_take, j);
    }
    return err;
}

static void admit_done(struct db_read *read, dr_err_t err)
{
    struct camp_job *j = DR_CONTAINER_OF(read, struct camp_job, read);
    struct camp *c = j->c;
    int64_t n = 0;

    c->ready_none = err == DR_OK && j->n_rows == 0;
    for (size_t i = 0; err == DR_OK && i < j->n_rows; i++) {
        struct camp_dev *d = row_adopt(c, &j->rows[i]);
        struct camp_input in = {.kind = CAMP_IN_ADMIT};
        if (d == NULL) {
            err = DR_ERR_NOMEM;
        } else if (!d->writing && !d->write_again && !d->doomed) {
            camp_dev_input(d, &in);
            n++;
            if (!d->writing && d->row.d.watch == 0 && !d->write_again && !d->asking) {
                camp_dev_free(d); /* the store refused */
            }
        }
    }
    camp_rate_take(&c->rate, n);
    camp_rate_take(&c->bytes, n * (int64_t)c->content.size);
    job_end(j, err);
}

dr_err_t camp_admit(struct camp *c, uint32_t budget, int64_t wave, camp_then *then)
{
    struct camp_job *j = job_new(c, then);

    if (j == NULL) {
        return DR_ERR_NOMEM;
    }
    j->campaign = c->id;
    j->wave_up_to = wave;
    j->now_ms = camp_now(c->e);
    j->limit = budget < CAMP_ADMIT_BATCH ? budget : CAMP_ADMIT_BATCH;
    return job_read(j, admit_run, admit_done);
}

/* ---- devices that are gone ---- */

static dr_err_t orphans_run(struct db_reader *r, struct db_read *read)
{
    struct camp_job *j = DR_CONTAINER_OF(read, struct camp_job, read);

    return db_campaign_device_orphans(r, j->campaign, CAMP_STATUS_UNFINISHED_FIRST,
                                      CAMP_STATUS_UNFINISHED_LAST, CAMP_COPY_BATCH, row_take, j);
}

static void orphans_done(struct db_read *read, dr_err_t err)
{
    struct camp_job *j = DR_CONTAINER_OF(read, struct camp_job, read);
    struct camp *c = j->c;

    for (size_t i = 0; err == DR_OK && i < j->n_rows; i++) {
        struct camp_dev *d = row_adopt(c, &j->rows[i]);
        if (d == NULL) {
            err = DR_ERR_NOMEM;
            break;
        }
        camp_dev_news(d, CAMP_NEWS_REMOVED);
        if (!d->writing && d->row.d.watch == 0 && !d->write_again && !d->asking) {
            camp_dev_free(d); /* the store refused */
        }
    }
    job_end(j, err);
}

dr_err_t camp_orphans_end(struct camp *c, camp_then *then)
{
    struct camp_job *j = job_new(c, then);

    if (j == NULL) {
        return DR_ERR_NOMEM;
    }
    j->campaign = c->id;
    return job_read(j, orphans_run, orphans_done);
}

/* ---- the end of what waits ---- */

static dr_err_t end_run(struct db_writer *w, struct db_job *job)
{
    struct camp_job *j = DR_CONTAINER_OF(job, struct camp_job, job);
    struct camp_policy policy = {0};
    struct camp_input in = {.kind = j->how, .now_ms = j->now_ms, .hard = true};

    j->n_rows = 0;
    dr_err_t err = db_campaign_device_with(db_writer_reader(w), j->campaign, CAMP_QUEUED,
                                           CAMP_COPY_BATCH, row_take, j);
    for (size_t i = 0; err == DR_OK && i < j->n_rows; i++) {
        camp_row_bind(&j->rows[i]);
        if (camp_machine(&policy, &in, &j->rows[i])) {
            err = db_campaign_device_update(w, &j->rows[i].d);
        }
    }
    return err;
}

static void end_done(struct db_job *job, dr_err_t err)
{
    struct camp_job *j = DR_CONTAINER_OF(job, struct camp_job, job);
    struct camp *c = j->c;

    if (err == DR_OK && j->n_rows != 0) {
        c->tallied = false;
        err = DR_ERR_AGAIN;
    }
    job_end(j, err);
}

dr_err_t camp_queue_end(struct camp *c, enum camp_in how, camp_then *then)
{
    struct camp_job *j = job_new(c, then);

    if (j == NULL) {
        return DR_ERR_NOMEM;
    }
    j->campaign = c->id;
    j->how = how;
    j->now_ms = camp_now(c->e);
    return job_submit(j, end_run, end_done);
}

/* ---- the snapshot ---- */

static dr_err_t copy_id(void *data, int64_t device)
{
    struct camp_job *j = data;

    j->ids[j->n_ids++] = device;
    return DR_OK;
}

static dr_err_t copy_one(struct db_writer *w, struct camp_job *j, int64_t device, int64_t id,
                         int64_t *fill)
{
    struct camp *c = j->c; /* waves and content stand still while c is busy */
    struct camp_verdict_of_device verdict;
    struct camp_row row = {0};
    struct camp_policy policy = {0};
    struct camp_input in = {.kind = CAMP_IN_SKIP, .now_ms = j->now_ms};
    bool fresh = false;
    dr_err_t err = camp_precheck(db_writer_reader(w), &j->text.row, &c->content, device, &verdict);

    if (err != DR_OK) {
        return err == DR_ERR_NOT_FOUND ? DR_OK : err; /* of another campaign, deleted since */
    }
    row.d = (struct db_campaign_device){
        .id = id,
        .account = c->account,
        .campaign = c->id,
        .device = device,
        .status = CAMP_QUEUED,
        .updated_at = j->now_ms,
        .wave = camp_wave_of(c->waves, c->n_waves, fill, c->id, device)};
    (void)snprintf(row.component, sizeof row.component, "%s", c->content.component);
    (void)snprintf(row.code, sizeof row.code, "SYS_100");
    (void)snprintf(row.reason, sizeof row.reason, "%s", camp_code_text("SYS_100"));
    camp_row_bind(&row);
    if (verdict.code != NULL) {
        in.code = verdict.code;
        (void)camp_machine(&policy, &in, &row);
    }
    err = db_campaign_device_insert(w, &row.d, &fresh);
    if (err == DR_OK && fresh) {
        j->conflicts += verdict.conflict;
        j->tally[row.d.wave].total++;
        j->tally[row.d.wave].by_status[row.d.status]++;
        fill[row.d.wave]++;
    }
    return err;
}

static dr_err_t copy_run(struct db_writer *w, struct db_job *job)
{
    struct camp_job *j = DR_CONTAINER_OF(job, struct camp_job, job);
    struct camp *c = j->c;
    const struct db_campaign *spec = &j->text.row;
    int64_t fill[CAMP_WAVES_MAX], total = 0;

    for (size_t i = 0; i < CAMP_WAVES_MAX; i++) {
        j->tally[i] = (struct camp_tally){0};
        fill[i] = j->fill[i];
        total += fill[i];
    }
    j->n_ids = 0;
    j->conflicts = 0;
    int64_t limit = CAMP_COPY_BATCH;
    if (spec->max_devices != 0 && spec->max_devices - total < limit) {
        limit = spec->max_devices - total;
    }
    dr_err_t err = camp_candidates(db_writer_reader(w), spec, c->text.row.copied_to,
                                   (uint32_t)(limit < 0 ? 0 : limit), copy_id, j);
    for (size_t i = 0; err == DR_OK && i < j->n_ids; i++) {
        err = copy_one(w, j, j->ids[i], j->row_ids[i], fill);
    }
    j->last = j->n_ids < CAMP_COPY_BATCH;
    if (err == DR_OK) {
        j->text.row.copied_to = j->n_ids == 0 ? c->text.row.copied_to : j->ids[j->n_ids - 1];
        err = db_campaign_update(w, &j->text.row);
    }
    return err;
}

static void copy_done(struct db_job *job, dr_err_t err)
{
    struct camp_job *j = DR_CONTAINER_OF(job, struct camp_job, job);
    struct camp *c = j->c;

    if (err == DR_OK) {
        j->text.row.version++;
        camp_text_fini(&c->text);
        c->text = j->text;
        j->text = (struct camp_text){0};
        for (size_t i = 0; i < CAMP_WAVES_MAX; i++) {
            c->tally[i].total += j->tally[i].total;
            c->tally[i].by_status[CAMP_QUEUED] += j->tally[i].by_status[CAMP_QUEUED];
            c->tally[i].by_status[CAMP_SKIPPED] += j->tally[i].by_status[CAMP_SKIPPED];
        }
        err = j->last ? DR_OK : DR_ERR_AGAIN;
        c->conflicts += j->conflicts;
    }
    job_end(j, err);
}

dr_err_t camp_copy(struct camp *c, camp_then *then)
{
    struct camp_job *j = job_new(c, then);
    dr_err_t err = j == NULL ? DR_ERR_NOMEM : camp_text_copy(&j->text, &c->text.row);

    if (err != DR_OK) {
        free(j);
        return err;
    }
    if (j->text.row.phase == CAMP_STARTING) {
        j->text.row.state = CAMP_STATE_DEVICECOPY;
    } else if (!c->scanning) { /* from the first device on again */
        c->scanning = true;
        c->text.row.copied_to = 0;
    }
    j->text.row.updated_at = camp_wall(c->e);
    j->now_ms = camp_now(c->e);
    for (size_t i = 0; i < CAMP_WAVES_MAX; i++) {
        j->fill[i] = c->tally[i].total;
    }
    for (size_t i = 0; i < CAMP_COPY_BATCH; i++) {
        j->row_ids[i] = dr_id_new(&c->e->ids);
    }
    return job_submit(j, copy_run, copy_done);
}
