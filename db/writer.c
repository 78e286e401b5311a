/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store thread: takes what is queued, runs it in one transaction, commits once, completes all.
 *
 *   lane ACK    -> group of up to DB_GROUP_MAX jobs   -> commit -> done, done, done …
 *   lane BEHIND -> slice of at most 20 ms, cut short as soon as an ACK job waits
 *
 * While a commit syncs, the next group gathers in the lane, so groups grow as disks get slower.
 *
 * A job that fails is undone alone. Most failures change nothing (a stale generation, a name that
 * is taken), and need no undoing. One that did change something makes the group start again with a
 * savepoint around each job; the common case pays for no savepoint.
 */
#include <errno.h>
#include <sys/statvfs.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "db/db_priv.h"

/** An ACK lane that never runs empty leaves this much to each slice of the other. */
#define SLICE_FLOOR_US 2000
#define SPACE_LOOK_MS  1000

void db_cond_init(pthread_cond_t *c)
{
    pthread_condattr_t attr;

    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(c, &attr);
    (void)pthread_condattr_destroy(&attr);
}

void db_cond_wait_ms(pthread_cond_t *c, pthread_mutex_t *m, uint64_t ms)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    ts.tv_sec += (time_t)(ms / 1000);
    ts.tv_nsec += (long)(ms % 1000) * 1000000L;
    if (ts.tv_nsec >= 1000000000L) {
        ts.tv_sec++;
        ts.tv_nsec -= 1000000000L;
    }
    (void)pthread_cond_timedwait(c, m, &ts);
}

struct db_reader *db_writer_reader(struct db_writer *w)
{
    dr_assert(w != NULL);
    return &w->conn;
}

/* ---- completion ---- */

static void job_msg(struct loop_msg *msg)
{
    struct db_job *job = DR_CONTAINER_OF(msg, struct db_job, msg);

    job->done(job, job->err); /* last touch */
}

static void complete(struct db *db, struct db_job *jobs)
{
    uint64_t ok = 0, failed = 0;

    for (const struct db_job *job = jobs; job != NULL; job = job->next) {
        ok += job->err == DR_OK ? 1 : 0;
        failed += job->err == DR_OK ? 0 : 1;
    }
    atomic_fetch_add_explicit(&db->n_jobs, ok, memory_order_relaxed);
    atomic_fetch_add_explicit(&db->n_failed, failed, memory_order_relaxed);
    for (struct db_job *job = jobs, *next; job != NULL; job = next) {
        next = job->next;
        if (job->home != NULL) {
            loop_post(job->home, &job->msg, job_msg);
        } else {
            job->done(job, job->err);
        }
    }
}

/* ---- one group ---- */

/** A slice of a lane; @c stop is asked between jobs. */
struct group {
    struct db *db;
    struct db_job *jobs;
    bool guarded;
    uint64_t began_us;
};

static void fail_all(struct db_job *jobs, dr_err_t err)
{
    for (struct db_job *job = jobs; job != NULL; job = job->next) {
        job->err = err;
    }
}

static void roll_back(struct db_writer *w)
{
    w->n_deltas = 0;
    if (sqlite3_get_autocommit(w->conn.h) == 0) {
        (void)sqlite3_exec(w->conn.h, "ROLLBACK", NULL, NULL, NULL);
    }
}

enum outcome {
    RUN_ON,    /**< done or undone: go on */
    RUN_AGAIN, /**< the group must be undone and repeated under guard */
    RUN_DEAD,  /**< SQLite has given the transaction up */
};

static enum outcome undo_one(struct db_writer *w, bool guarded, int64_t changes, size_t deltas)
{
    if (sqlite3_get_autocommit(w->conn.h) != 0) {
        return RUN_DEAD;
    }
    w->n_deltas = deltas;
    if (guarded) {
        return conn_exec(&w->conn, "ROLLBACK TO job; RELEASE job") == DR_OK ? RUN_ON : RUN_DEAD;
    }
    return sqlite3_total_changes64(w->conn.h) == changes ? RUN_ON : RUN_AGAIN;
}

static enum outcome run_one(struct db_writer *w, struct db_job *job, bool guarded)
{
    int64_t changes = sqlite3_total_changes64(w->conn.h);
    size_t deltas = w->n_deltas;
    dr_err_t err;

    guarded = guarded || job->savepoint;
    if (guarded) {
        struct conn_q q = conn_q(&w->conn, "SAVEPOINT job");
        err = conn_run(&q, NULL);
        if (err != DR_OK) {
            job->err = err;
            return RUN_DEAD;
        }
    }
    err = job->run(w, job);
    if (err == DR_OK && w->n_deltas - deltas > DB_DELTAS_MAX) {
        err = db_count_flush(w, deltas);
    }
    job->err = err;
    if (err != DR_OK) {
        return undo_one(w, guarded, changes, deltas);
    }
    if (guarded) {
        struct conn_q q = conn_q(&w->conn, "RELEASE job");
        job->err = conn_run(&q, NULL);
        return job->err == DR_OK ? RUN_ON : RUN_DEAD;
    }
    return RUN_ON;
}

static bool ack_waits(struct db *db)
{
    return atomic_load_explicit(&db->lanes[DB_LANE_ACK].count, memory_order_relaxed) != 0;
}

/* Is a write-behind slice over? */
static bool slice_over(const struct group *g)
{
    uint64_t us = dr_mono_us() - g->began_us;

    return us >= DB_SLICE_US || (us >= SLICE_FLOOR_US && ack_waits(g->db));
}

/**
 * Run jobs in the open transaction.
 * @param ret_rest  first job that was not run because the slice is over, cut off from the list
 */
static enum outcome run_jobs(struct group *g, bool slice, struct db_job **ret_rest,
                             dr_err_t *ret_err)
{
    struct db_writer *w = &g->db->w;

    for (struct db_job *job = g->jobs; job != NULL; job = job->next) {
        enum outcome o = run_one(w, job, g->guarded);
        if (o != RUN_ON) {
            *ret_err = job->err;
            return o;
        }
        if (slice && job->next != NULL && slice_over(g)) {
            *ret_rest = job->next;
            job->next = NULL;
        }
    }
    return RUN_ON;
}

static dr_err_t begin(struct db_writer *w)
{
    struct conn_q q = conn_q(&w->conn, "BEGIN IMMEDIATE");

    return conn_run(&q, NULL);
}

static dr_err_t commit(struct db *db)
{
    uint64_t t0 = dr_mono_us();
    dr_err_t err = db_count_flush(&db->w, 0);

    if (err == DR_OK) {
        struct conn_q q = conn_q(&db->w.conn, "COMMIT");
        err = conn_run(&q, NULL);
    }
    uint64_t us = dr_mono_us() - t0;
    atomic_fetch_add_explicit(&db->commit_us, us, memory_order_relaxed);
    if (us > atomic_load_explicit(&db->commit_max_us, memory_order_relaxed)) {
        atomic_store_explicit(&db->commit_max_us, us, memory_order_relaxed);
    }
    return err;
}

/** @return what the commit said; jobs have their own results in any case */
static dr_err_t run_group(struct group *g, bool slice, struct db_job **ret_rest)
{
    struct db_writer *w = &g->db->w;
    dr_err_t err;

    for (;;) {
        enum outcome o = RUN_DEAD;
        err = begin(w);
        if (err == DR_OK) {
            o = run_jobs(g, slice, ret_rest, &err);
        }
        if (o == RUN_ON) {
            err = commit(g->db);
            if (err == DR_OK) {
                return DR_OK;
            }
        }
        roll_back(w);
        if (o == RUN_AGAIN && !g->guarded) {
            g->guarded = true;
            continue;
        }
        fail_all(g->jobs, err != DR_OK ? err : DR_ERR_INTERNAL);
        return err;
    }
}

/* ---- refusing writes ---- */

static void refuse(struct db *db, dr_err_t why)
{
    dr_err_t before = (dr_err_t)atomic_exchange(&db->refuse, (int)why);

    if (before == why) {
        return;
    }
    if (why == DR_OK) {
        DR_LOG_LIMITED(DR_LOG_INFO, "db", 1, "writing to '%s' again", db->path);
    } else {
        DR_LOG_LIMITED(DR_LOG_ERROR, "db", 1,
                       "cannot write to '%s': %s; refusing writes until it can", db->path,
                       dr_err_str(why));
    }
}

static bool disk_low(const struct db *db)
{
    struct statvfs vfs;

    if (statvfs(db->dir, &vfs) != 0) {
        return false;
    }
    return (uint64_t)vfs.f_bavail * vfs.f_frsize < db->config.free_min_bytes;
}

/* A write that fails if anything would: the same bytes again in a row that is always there. */
static dr_err_t try_write(struct db *db)
{
    dr_err_t err = begin(&db->w);

    if (err == DR_OK) {
        struct conn_q q = conn_q(&db->w.conn, "INSERT INTO setting (account, name, value)"
                                              " VALUES (0, 'db.probe', '')"
                                              " ON CONFLICT DO UPDATE SET value = value");
        err = conn_run(&q, NULL);
        if (err == DR_OK) {
            err = commit(db);
        }
        if (err != DR_OK) {
            roll_back(&db->w);
        }
    }
    return err;
}

static void look_at_space(struct db *db, bool force)
{
    uint64_t now = dr_mono_ms();

    if (!force && now - db->space_looked_ms < SPACE_LOOK_MS) {
        return;
    }
    db->space_looked_ms = now;
    if (disk_low(db)) {
        refuse(db, DR_ERR_NOSPACE);
    } else if (atomic_load(&db->refuse) != DR_OK && try_write(db) == DR_OK) {
        refuse(db, DR_OK);
    }
}

/* ---- lanes ---- */

dr_err_t db_submit(struct db *db, struct db_job *job)
{
    dr_assert(db != NULL && job != NULL && job->run != NULL && job->done != NULL);
    dr_assert(job->lane == DB_LANE_ACK || job->lane == DB_LANE_BEHIND);
    struct db_queue *lane = &db->lanes[job->lane];
    dr_err_t err = (dr_err_t)atomic_load_explicit(&db->refuse, memory_order_relaxed);

    job->next = NULL;
    job->err = DR_OK;
    if (db->config.read_only) {
        err = DR_ERR_READONLY;
    }
    (void)pthread_mutex_lock(&db->wr_lock);
    if (atomic_load(&db->closing)) {
        err = DR_ERR_CANCELED;
    } else if (err == DR_OK && lane->count >= lane->max) {
        err = DR_ERR_BUSY;
    }
    if (err == DR_OK) {
        *lane->tail = job;
        lane->tail = &job->next;
        lane->count++;
        if (db->wr_waiting) {
            db->wr_waiting = false;
            (void)pthread_cond_signal(&db->wr_cond);
        }
    }
    (void)pthread_mutex_unlock(&db->wr_lock);
    if (err != DR_OK) {
        atomic_fetch_add_explicit(&db->n_refused, 1, memory_order_relaxed);
    }
    return err;
}

/* Under wr_lock. */
static struct db_job *take(struct db_queue *lane, uint32_t max)
{
    struct db_job *first = lane->head, *last = lane->head;

    if (first == NULL) {
        return NULL;
    }
    uint32_t n = 1;
    while (n < max && last->next != NULL) {
        last = last->next;
        n++;
    }
    lane->head = last->next;
    if (lane->head == NULL) {
        lane->tail = &lane->head;
    }
    last->next = NULL;
    lane->count -= n;
    return first;
}

static void give_back(struct db *db, struct db_queue *lane, struct db_job *rest)
{
    uint32_t n = 1;
    struct db_job *last = rest;

    for (; last->next != NULL; last = last->next) {
        n++;
    }
    (void)pthread_mutex_lock(&db->wr_lock);
    last->next = lane->head;
    if (lane->head == NULL) {
        lane->tail = &last->next;
    }
    lane->head = rest;
    lane->count += n;
    (void)pthread_mutex_unlock(&db->wr_lock);
}

static void do_lane(struct db *db, enum db_lane which)
{
    struct db_queue *lane = &db->lanes[which];
    struct db_job *rest = NULL;

    (void)pthread_mutex_lock(&db->wr_lock);
    struct group g = {.db = db, .jobs = take(lane, DB_GROUP_MAX)};
    (void)pthread_mutex_unlock(&db->wr_lock);
    if (g.jobs == NULL) {
        return;
    }
    db_checkpoint_wait(db);
    g.began_us = dr_mono_us();
    dr_err_t err = run_group(&g, which == DB_LANE_BEHIND, &rest);
    if (rest != NULL) {
        give_back(db, lane, rest);
    }
    atomic_fetch_add_explicit(&db->n_commits, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&db->busy_us, dr_mono_us() - g.began_us, memory_order_relaxed);
    complete(db, g.jobs);
    if (err == DR_ERR_NOSPACE || err == DR_ERR_READONLY) {
        refuse(db, err);
    } else if (err != DR_OK) {
        DR_LOG_LIMITED(DR_LOG_ERROR, "db", 1, "a commit to '%s' failed: %s", db->path,
                       dr_err_str(err));
    }
    db_checkpoint_poke(db);
}

/* False: nothing is queued and the end has come. */
static bool wait_for_work(struct db *db)
{
    bool more = true;

    (void)pthread_mutex_lock(&db->wr_lock);
    if (db->lanes[DB_LANE_ACK].head == NULL && db->lanes[DB_LANE_BEHIND].head == NULL) {
        if (atomic_load(&db->closing)) {
            more = false;
        } else {
            db->wr_waiting = true;
            db_cond_wait_ms(&db->wr_cond, &db->wr_lock, SPACE_LOOK_MS);
            db->wr_waiting = false;
        }
    }
    (void)pthread_mutex_unlock(&db->wr_lock);
    return more;
}

static void *store_thread(void *ctx)
{
    struct db *db = (struct db *)ctx;

    while (wait_for_work(db)) {
        look_at_space(db, false);
        do_lane(db, DB_LANE_ACK);
        do_lane(db, DB_LANE_BEHIND);
    }
    return NULL;
}

dr_err_t db_writer_start(struct db *db)
{
    look_at_space(db, true);
    if (pthread_create(&db->wr_thread, NULL, store_thread, db) != 0) {
        return DR_ERR_NOMEM;
    }
    (void)pthread_setname_np(db->wr_thread, "db-store");
    db->wr_started = true;
    return DR_OK;
}

void db_writer_stop(struct db *db)
{
    if (!db->wr_started) {
        return;
    }
    (void)pthread_mutex_lock(&db->wr_lock);
    (void)pthread_cond_signal(&db->wr_cond);
    (void)pthread_mutex_unlock(&db->wr_lock);
    (void)pthread_join(db->wr_thread, NULL);
    db->wr_started = false;
}
