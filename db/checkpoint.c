/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies the log into the database on a thread of its own, so that no commit ever does.
 *
 * A passive pass copies what it can without stopping anybody. Under constant writing it never
 * catches up wholly, so the log would never begin anew; when it is over log_reset_bytes and a pass
 * has left little, a second pass (RESTART) takes the writer's lock for the short rest. The store
 * thread waits for that lock in BEGIN. A reader that is slow, or a backup, can hold the log; then
 * it grows, and over log_wait_bytes each group of the store thread waits a while.
 */
#include "base/clock.h"
#include "db/db_priv.h"

#define IDLE_MS        2000
/** Between passes that could not reset the log, since somebody reads from it. */
#define PAUSE_MS       100
#define THROTTLE_MS    1000
#define CHECKPOINT_KIB 1024
/** A reset holds the writer up for at most this long waiting for readers. */
#define RESET_WAIT_MS  50

static uint64_t log_bytes(const struct db *db)
{
    return atomic_load_explicit(&db->log_frames, memory_order_relaxed) * DB_FRAME_SIZE;
}

/* False: the log is still long. */
static bool one_pass(struct db *db)
{
    int frames = 0, copied = 0;
    int rc = sqlite3_wal_checkpoint_v2(db->cp.h, NULL, SQLITE_CHECKPOINT_PASSIVE, &frames, &copied);

    if (rc == SQLITE_OK && frames > 0 && log_bytes(db) >= db->config.log_reset_bytes &&
        (uint64_t)(frames - copied) * DB_FRAME_SIZE < db->config.log_reset_bytes / 4) {
        (void)sqlite3_busy_timeout(db->cp.h, RESET_WAIT_MS);
        rc = sqlite3_wal_checkpoint_v2(db->cp.h, NULL, SQLITE_CHECKPOINT_RESTART, &frames, &copied);
    }
    if (rc == SQLITE_OK && frames == copied) {
        /* The next commit begins the log anew; its hook sets the figure again. */
        atomic_store_explicit(&db->log_frames, 0, memory_order_relaxed);
    }
    atomic_fetch_add_explicit(&db->n_checkpoints, 1, memory_order_relaxed);
    return log_bytes(db) < db->config.log_reset_bytes;
}

static void *checkpoint_thread(void *ctx)
{
    struct db *db = (struct db *)ctx;
    uint64_t seen = 0;

    (void)pthread_mutex_lock(&db->cp_lock);
    while (!atomic_load(&db->closing)) {
        if (!db->cp_wanted) {
            db_cond_wait_ms(&db->cp_cond, &db->cp_lock, IDLE_MS);
        }
        uint64_t commits = atomic_load_explicit(&db->n_commits, memory_order_relaxed);
        bool idle = commits == seen && log_bytes(db) != 0;
        seen = commits;
        if (!db->cp_wanted && !idle) {
            continue;
        }
        db->cp_wanted = false;
        (void)pthread_mutex_unlock(&db->cp_lock);
        bool short_now = one_pass(db);
        (void)pthread_mutex_lock(&db->cp_lock);
        (void)pthread_cond_broadcast(&db->cp_done);
        if (!short_now && !atomic_load(&db->closing)) {
            db_cond_wait_ms(&db->cp_cond, &db->cp_lock, PAUSE_MS);
        }
    }
    (void)pthread_cond_broadcast(&db->cp_done);
    (void)pthread_mutex_unlock(&db->cp_lock);
    return NULL;
}

/* On the store thread, inside its COMMIT. */
static int on_commit(void *ctx, sqlite3 *h, const char *name, int frames)
{
    struct db *db = (struct db *)ctx;

    (void)h;
    (void)name;
    atomic_store_explicit(&db->log_frames, (uint64_t)frames, memory_order_relaxed);
    return SQLITE_OK;
}

dr_err_t db_checkpoint_start(struct db *db)
{
    dr_err_t err = conn_open(&db->cp, db->path, CONN_WRITE, db->config.vfs, CHECKPOINT_KIB, NULL);

    if (err != DR_OK) {
        return err;
    }
    (void)sqlite3_wal_hook(db->w.conn.h, on_commit, db);
    if (pthread_create(&db->cp_thread, NULL, checkpoint_thread, db) != 0) {
        return DR_ERR_NOMEM;
    }
    (void)pthread_setname_np(db->cp_thread, "db-checkpoint");
    db->cp_started = true;
    return DR_OK;
}

void db_checkpoint_stop(struct db *db)
{
    if (db->cp_started) {
        (void)pthread_mutex_lock(&db->cp_lock);
        (void)pthread_cond_broadcast(&db->cp_cond);
        (void)pthread_mutex_unlock(&db->cp_lock);
        (void)pthread_join(db->cp_thread, NULL);
        db->cp_started = false;
    }
    conn_close(&db->cp);
}

void db_checkpoint_poke(struct db *db)
{
    if (log_bytes(db) < db->config.log_reset_bytes) {
        return;
    }
    (void)pthread_mutex_lock(&db->cp_lock);
    if (!db->cp_wanted) {
        db->cp_wanted = true;
        (void)pthread_cond_signal(&db->cp_cond);
    }
    (void)pthread_mutex_unlock(&db->cp_lock);
}

void db_checkpoint_wait(struct db *db)
{
    if (log_bytes(db) < db->config.log_wait_bytes) {
        return;
    }
    (void)pthread_mutex_lock(&db->cp_lock);
    if (!atomic_load(&db->closing)) {
        db->cp_wanted = true;
        (void)pthread_cond_signal(&db->cp_cond);
        db_cond_wait_ms(&db->cp_done, &db->cp_lock, THROTTLE_MS);
    }
    (void)pthread_mutex_unlock(&db->cp_lock);
}
