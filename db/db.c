/* SPDX-License-Identifier: Apache-2.0 */
#include "db/db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "db/db_priv.h"
#include "db/seal_priv.h"
#include "db/vfs_shim.h"

#define WRITER_CACHE_KIB 16384

static void set_defaults(struct db_config *c)
{
    if (c->readers == 0) {
        c->readers = 2;
    }
    if (c->ack_max == 0) {
        c->ack_max = 65536;
    }
    if (c->behind_max == 0) {
        c->behind_max = 16384;
    }
    if (c->read_max == 0) {
        c->read_max = 4096;
    }
    if (c->free_min_bytes == 0) {
        c->free_min_bytes = 64ULL << 20;
    }
    if (c->log_reset_bytes == 0) {
        c->log_reset_bytes = 64ULL << 20;
    }
    if (c->log_wait_bytes == 0) {
        c->log_wait_bytes = 512ULL << 20;
    }
}

static struct db *db_new(const struct db_config *config)
{
    struct db *db = calloc(1, sizeof(*db));

    if (db == NULL) {
        return NULL;
    }
    db->config = *config;
    db->config.dir = NULL;
    if (config->seal != NULL) {
        db->seal = *config->seal;
        db->config.seal = &db->seal;
    }
    set_defaults(&db->config);
    db->lock_fd = -1;
    db->dir = strdup(config->dir);
    if (asprintf(&db->path, "%s/%s", config->dir, DB_FILE) < 0) {
        db->path = NULL;
    }
    db->lanes[DB_LANE_ACK].tail = &db->lanes[DB_LANE_ACK].head;
    db->lanes[DB_LANE_ACK].max = db->config.ack_max;
    db->lanes[DB_LANE_BEHIND].tail = &db->lanes[DB_LANE_BEHIND].head;
    db->lanes[DB_LANE_BEHIND].max = db->config.behind_max;
    db->rd_tail = &db->rd_head;
    (void)pthread_mutex_init(&db->wr_lock, NULL);
    (void)pthread_mutex_init(&db->rd_lock, NULL);
    (void)pthread_mutex_init(&db->cp_lock, NULL);
    (void)pthread_mutex_init(&db->bk_lock, NULL);
    db_cond_init(&db->wr_cond);
    db_cond_init(&db->rd_cond);
    db_cond_init(&db->cp_cond);
    db_cond_init(&db->cp_done);
    return db->dir != NULL && db->path != NULL ? db : db_close(db);
}

static dr_err_t errno_err(int e)
{
    switch (e) {
    case ENOENT:
    case ENOTDIR:
        return DR_ERR_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
        return DR_ERR_READONLY;
    case ENOSPC:
    case EDQUOT:
        return DR_ERR_NOSPACE;
    case ENOMEM:
        return DR_ERR_NOMEM;
    default:
        return DR_ERR_IO;
    }
}

/* One process may write. The lock is a file beside the database: SQLite's own locks come and go. */
static dr_err_t lock_dir(struct db *db, struct dr_errinfo *reterr)
{
    char *name;

    if (asprintf(&name, "%s.lock", db->path) < 0) {
        return DR_ERR_NOMEM;
    }
    db->lock_fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    dr_err_t err = DR_OK;
    if (db->lock_fd < 0) {
        err = errno_err(errno);
        dr_errinfo_set(reterr, name, 0, "%s", strerror(errno));
    } else if (flock(db->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        err = errno == EWOULDBLOCK ? DR_ERR_IN_USE : errno_err(errno);
        dr_errinfo_set(reterr, name, 0, "another process has the database open");
    }
    free(name);
    return err;
}

static dr_err_t start_journal(struct db *db, struct dr_errinfo *reterr)
{
    struct db_reader *c = &db->w.conn;
    sqlite3_stmt *st = NULL;
    dr_err_t err = db_err(sqlite3_prepare_v2(c->h, "PRAGMA journal_mode = WAL", -1, &st, NULL));

    if (err == DR_OK) {
        int rc = sqlite3_step(st);
        err = rc == SQLITE_ROW ? DR_OK : db_err(rc);
        if (err == DR_OK && sqlite3_stricmp((const char *)sqlite3_column_text(st, 0), "wal") != 0) {
            err = DR_ERR_IO;
        }
    }
    (void)sqlite3_finalize(st);
    if (err == DR_OK) {
        err = conn_exec(c, db->config.sync == DB_SYNC_OFF ? "PRAGMA synchronous = OFF"
                                                          : "PRAGMA synchronous = FULL");
    }
    if (err == DR_OK) {
        /* A backup can make the log long; when it begins anew it gives the room back. */
        char sql[64];
        (void)snprintf(sql, sizeof(sql), "PRAGMA journal_size_limit = %lld",
                       2 * (long long)db->config.log_reset_bytes);
        err = conn_exec(c, sql);
    }
    if (err != DR_OK) {
        dr_errinfo_set(reterr, db->path, 0, "cannot start the write-ahead log: %s",
                       sqlite3_errmsg(c->h));
    }
    return err;
}

static dr_err_t open_writer(struct db *db, struct dr_errinfo *reterr)
{
    dr_err_t err = lock_dir(db, reterr);

    if (err == DR_OK) {
        err =
            conn_open(&db->w.conn, db->path, CONN_CREATE, db->config.vfs, WRITER_CACHE_KIB, reterr);
    }
    if (err == DR_OK && sqlite3_db_readonly(db->w.conn.h, "main") == 1) {
        dr_errinfo_set(reterr, db->path, 0, "the file cannot be written");
        err = DR_ERR_READONLY;
    }
    /* The version first: nothing is changed in a file that is not ours to change. */
    int64_t pages = 0;
    if (err == DR_OK) {
        err = conn_int(&db->w.conn, "PRAGMA page_count", &pages);
    }
    if (err == DR_OK && pages == 0) {
        err = start_journal(db, reterr);
    }
    if (err == DR_OK) {
        err = db_schema_migrate(&db->w.conn, false, reterr);
    }
    if (err == DR_OK && pages != 0) {
        err = start_journal(db, reterr);
    }
    if (err == DR_OK && db->config.seal != NULL) {
        db->w.conn.seal = db->config.seal;
        err = seal_begin(&db->w.conn, reterr);
    }
    return err;
}

static dr_err_t open_read_only(struct db *db, struct dr_errinfo *reterr)
{
    struct db_reader c;

    if (access(db->path, R_OK) != 0) {
        dr_errinfo_set(reterr, db->path, 0, "%s", strerror(errno));
        return errno_err(errno);
    }
    dr_err_t err = conn_open(&c, db->path, CONN_READ, db->config.vfs, 256, reterr);
    if (err == DR_OK) {
        err = db_schema_migrate(&c, true, reterr);
        conn_close(&c);
    }
    return err;
}

static dr_err_t use_shim(struct db *db)
{
    if (db->config.vfs == NULL && db->config.fsync_delay_ms == 0) {
        return DR_OK;
    }
    if (db->config.vfs == NULL) {
        dr_err_t err = db_shim_register();
        if (err != DR_OK) {
            return err;
        }
        db_shim_sync_delay(db->config.fsync_delay_ms);
        db->config.vfs = DB_SHIM_NAME;
    }
    return DR_OK;
}

static dr_err_t open_all(struct db *db, struct dr_errinfo *reterr)
{
    dr_err_t err = use_shim(db);

    if (err != DR_OK) {
        return err;
    }
    if (db->config.read_only) {
        err = open_read_only(db, reterr);
        return err == DR_OK ? db_readers_start(db) : err;
    }
    err = open_writer(db, reterr);
    if (err == DR_OK) {
        err = db_checkpoint_start(db);
    }
    if (err == DR_OK) {
        err = db_readers_start(db);
    }
    if (err == DR_OK) {
        err = db_writer_start(db);
    }
    return err;
}

dr_err_t db_open(const struct db_config *config, struct db **ret, struct dr_errinfo *reterr)
{
    struct dr_errinfo info = {{0}, 0, {0}};

    dr_assert(config != NULL && config->dir != NULL && ret != NULL);
    if (config->readers > DB_READERS_MAX) {
        dr_errinfo_set(reterr, "readers", 0, "more than %d reading threads", DB_READERS_MAX);
        return DR_ERR_RANGE;
    }
    struct db *db = db_new(config);
    if (db == NULL) {
        return DR_ERR_NOMEM;
    }
    dr_err_t err = open_all(db, &info);
    if (err != DR_OK) {
        if (info.text[0] == '\0') {
            dr_errinfo_set(&info, db->path, 0, "cannot open the database: %s", dr_err_str(err));
        }
        if (reterr != NULL) {
            *reterr = info;
        }
        (void)db_close(db);
        return err == DR_ERR_BUSY ? DR_ERR_IN_USE : err;
    }
    *ret = db;
    return DR_OK;
}

struct db *db_close(struct db *db)
{
    if (db == NULL) {
        return NULL;
    }
    (void)pthread_mutex_lock(&db->wr_lock);
    (void)pthread_mutex_lock(&db->rd_lock);
    (void)pthread_mutex_lock(&db->bk_lock);
    atomic_store(&db->closing, true);
    (void)pthread_mutex_unlock(&db->bk_lock);
    (void)pthread_mutex_unlock(&db->rd_lock);
    (void)pthread_mutex_unlock(&db->wr_lock);

    db_backup_stop(db);
    db_writer_stop(db);
    db_readers_stop(db);
    db_checkpoint_stop(db);
    conn_close(&db->w.conn); /* the last one: folds the log in */
    free(db->w.deltas);
    if (db->lock_fd >= 0) {
        (void)close(db->lock_fd);
    }
    (void)pthread_cond_destroy(&db->cp_done);
    (void)pthread_cond_destroy(&db->cp_cond);
    (void)pthread_cond_destroy(&db->rd_cond);
    (void)pthread_cond_destroy(&db->wr_cond);
    (void)pthread_mutex_destroy(&db->bk_lock);
    (void)pthread_mutex_destroy(&db->cp_lock);
    (void)pthread_mutex_destroy(&db->rd_lock);
    (void)pthread_mutex_destroy(&db->wr_lock);
    free(db->path);
    free(db->dir);
    free(db);
    return NULL;
}

static uint64_t get(const _Atomic uint64_t *v)
{
    return atomic_load_explicit(v, memory_order_relaxed);
}

void db_stats(struct db *db, struct db_stats *ret)
{
    struct stat st;

    dr_assert(db != NULL && ret != NULL);
    *ret = (struct db_stats){
        .log_bytes = get(&db->log_frames) * DB_FRAME_SIZE,
        .file_bytes = stat(db->path, &st) == 0 ? (uint64_t)st.st_size : 0,
        .ack_waiting = atomic_load(&db->lanes[DB_LANE_ACK].count),
        .behind_waiting = atomic_load(&db->lanes[DB_LANE_BEHIND].count),
        .jobs = get(&db->n_jobs),
        .commits = get(&db->n_commits),
        .failed = get(&db->n_failed),
        .refused = get(&db->n_refused),
        .reads = get(&db->n_reads),
        .checkpoints = get(&db->n_checkpoints),
        .busy_us = get(&db->busy_us),
        .commit_us = get(&db->commit_us),
        .commit_max_us = get(&db->commit_max_us),
        .refusing = atomic_load(&db->refuse) != DR_OK,
    };
}
