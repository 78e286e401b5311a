/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  db/db.h
 * @brief The store: one SQLite database with one writing thread, reading threads, checkpoints and
 * backups.
 *
 * Layer: db.  Threads: db_submit(), db_read_start(), db_backup_start(), db_stats() from any thread;
 * run and fn functions on the store's threads; done functions on the home loop. What a run or fn
 * function uses (the aggregates in the other headers) is synchronous.
 * Memory: jobs and reads live in the caller's structs until their done function.
 * Limits: DB_*_MAX and the caps in struct db_config.  Security: every value is a bound parameter.
 * Spec: none.
 *
 * How to write:
 *
 *     struct my_job { struct db_job job; int64_t device; ... };
 *     static dr_err_t my_run(struct db_writer *w, struct db_job *job);   store thread, in a
 *                                                                        transaction
 *     static void my_done(struct db_job *job, dr_err_t err);             home loop, DR_OK = on disk
 *     db_submit(db, &my->job);
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/loop.h"
#include "db/seal.h"

struct db;
/** The connection of the store thread, inside a transaction; valid during a run function only. */
struct db_writer;
/** A connection for reading, one consistent snapshot; valid during a fn function only. */
struct db_reader;

/** Name of the database file in struct db_config.dir. */
#define DB_FILE        "drover.db"
#define DB_READERS_MAX 8
/** Longest text that the store takes in a name, path or address; longer ones are DR_ERR_RANGE. */
#define DB_TEXT_MAX    4096
/** Largest blob or JSON text. */
#define DB_BLOB_MAX    (4 * 1024 * 1024)

/** How much is flushed when. */
enum db_sync {
    DB_SYNC_FULL, /**< each commit is on disk before it is acknowledged */
    DB_SYNC_OFF,  /**< the operating system decides: for throw-away data only */
};

/** Zero means the default in brackets. */
struct db_config {
    const char *dir;          /**< existing folder; borrowed during db_open() */
    enum db_sync sync;        /**< (FULL) */
    uint32_t readers;         /**< reading threads, 1..DB_READERS_MAX (2) */
    uint32_t ack_max;         /**< jobs that may wait in DB_LANE_ACK (65,536) */
    uint32_t behind_max;      /**< jobs that may wait in DB_LANE_BEHIND (16,384) */
    uint32_t read_max;        /**< reads that may wait (4,096) */
    uint64_t free_min_bytes;  /**< below that much free disk, writes are refused (64 MiB) */
    uint64_t log_reset_bytes; /**< the log begins anew when it is larger (64 MiB) */
    uint64_t log_wait_bytes; /**< the writer waits for the checkpoint when it is larger (512 MiB) */
    uint32_t fsync_delay_ms; /**< added to each sync; benches and tests (0) */
    const struct db_seal *seal; /**< functions that seal secrets; copied (NULL = stored plain) */
    const char *vfs;            /**< name of a registered VFS; tests (NULL = SQLite's own) */
    bool read_only;             /**< open an existing database for reading; db_submit() refuses */
};

/**
 * Open the database in config->dir, making or migrating it as needed, and start the threads.
 * @param config  read during the call only
 * @param reterr  may be NULL
 * @retval DR_ERR_VERSION   made by a newer program
 * @retval DR_ERR_CRYPTO    sealed under another master key
 * @retval DR_ERR_CORRUPT   not a database, or damaged
 * @retval DR_ERR_IN_USE    another process has it open for writing
 * @retval DR_ERR_READONLY  folder or file cannot be written
 * @retval DR_ERR_NOSPACE, DR_ERR_IO, DR_ERR_NOMEM, DR_ERR_RANGE, DR_ERR_NOT_FOUND (read_only)
 */
DR_CHECK dr_err_t db_open(const struct db_config *config, struct db **ret,
                          struct dr_errinfo *reterr);

/**
 * Run what is queued, stop the threads, fold the log into the database, free. Blocks. Completions
 * are posted to their loops as usual, so those must still be run (or be freed) afterwards. From any
 * thread but the store's. NULL is allowed.
 * @return NULL
 */
struct db *db_close(struct db *db);

/* ---- writing ---- */

enum db_lane {
    DB_LANE_ACK,    /**< somebody waits: first, a group of them in each commit */
    DB_LANE_BEHIND, /**< nobody waits (cache, last seen, retention): slices of at most 20 ms between
                     */
};

struct db_job;
/**
 * On the store thread, inside a transaction. What it returns is what done gets, unless the commit
 * fails. On an error everything it changed is undone, and nothing of the others' in the same group.
 * It may be called again (after the group was rolled back because of another job), so it must
 * give the same result from the same struct: set outputs, never count them up. It must not block
 * and should take well under 20 ms.
 */
typedef dr_err_t db_job_run_fn(struct db_writer *w, struct db_job *job);
/** On the home loop, after the commit is on disk (DR_OK) or the change undone. Last touch. */
typedef void db_job_done_fn(struct db_job *job, dr_err_t err);

struct db_job {
    struct loop *home; /**< where done runs; NULL: on the store thread itself (must not block) */
    db_job_run_fn *run;
    db_job_done_fn *done;
    enum db_lane lane;
    /** It changes several rows and often fails half-way: guard it from the start. Without, a
     * failure after a change costs a repetition of its group, but is undone all the same. */
    bool savepoint;

    struct loop_msg msg; /**< store's own, like all below */
    struct db_job *next;
    dr_err_t err;
};

/**
 * Queue @p job; any thread. Jobs of one lane run in the order of submission.
 * @retval DR_ERR_BUSY      the lane is full
 * @retval DR_ERR_NOSPACE   too little free disk: writes are refused until there is more
 * @retval DR_ERR_READONLY  opened for reading, or the disk refuses writes
 * @retval DR_ERR_CANCELED  db_close() has begun
 * On an error done never runs.
 * Errors that done may get beside those of run: DR_ERR_NOSPACE, DR_ERR_READONLY, DR_ERR_IO,
 * DR_ERR_CORRUPT (the commit failed; nothing was changed).
 */
DR_CHECK dr_err_t db_submit(struct db *db, struct db_job *job);

/** Read inside the writer's transaction, its own changes included (but not in counts, which come
 * from counters that are written at the commit). */
struct db_reader *db_writer_reader(struct db_writer *w);

/* ---- reading ---- */

struct db_read;
/** On a reading thread, one snapshot for the whole call. */
typedef dr_err_t db_read_fn(struct db_reader *r, struct db_read *read);
/** On the home loop. Last touch. */
typedef void db_read_done_fn(struct db_read *read, dr_err_t err);

struct db_read {
    struct loop *home; /**< NULL: done runs on the reading thread */
    db_read_fn *fn;
    db_read_done_fn *done;

    struct loop_msg msg; /**< store's own, like all below */
    struct db_read *next;
    dr_err_t err;
};

/**
 * Queue @p read; any thread. It sees every job whose done has run.
 * @retval DR_ERR_BUSY      read_max waiting
 * @retval DR_ERR_CANCELED  db_close() has begun
 */
DR_CHECK dr_err_t db_read_start(struct db *db, struct db_read *read);

/* ---- care ---- */

struct db_backup;
typedef void db_backup_done_fn(struct db_backup *backup, dr_err_t err);

/** A copy of one moment, made while the store goes on. */
struct db_backup {
    struct loop *home;
    const char *path;     /**< file to make, must not exist; borrowed until done */
    const char *keys_dir; /**< put its key files into the copy, too; NULL = no keys */
    db_backup_done_fn *done;
    struct dr_errinfo info; /**< out, on failure */

    struct loop_msg msg; /**< store's own, like all below */
    struct db *db;
    dr_err_t err;
};

/**
 * @retval DR_ERR_BUSY      one is running
 * @retval DR_ERR_NOMEM     no thread
 * @retval DR_ERR_CANCELED  db_close() has begun
 * done: DR_ERR_EXISTS, DR_ERR_NOSPACE, DR_ERR_IO, DR_ERR_CANCELED (closed meanwhile). A failed one
 * leaves no file.
 */
DR_CHECK dr_err_t db_backup_start(struct db *db, struct db_backup *backup);

typedef dr_err_t db_kept_fn(void *data, const char *name, struct dr_bytes bytes);
/**
 * For `droverd restore`: take the key files out of the backup at @p path; they are gone from it
 * afterwards. Blocks.
 * @param ret  how many there were
 * @retval DR_ERR_CORRUPT  a name that is none of a key file
 */
DR_CHECK dr_err_t db_kept_take(const char *path, db_kept_fn *fn, void *data, unsigned *ret,
                               struct dr_errinfo *reterr);

/**
 * For `droverd check`: verify pages, indexes, foreign keys and counters of the database in @p dir,
 * which nobody has open. Blocks.
 * @param report  called for each problem found; may be NULL
 * @retval DR_ERR_CORRUPT    problems were found
 * @retval DR_ERR_NOT_FOUND  no database there
 * @retval as db_open()
 */
DR_CHECK dr_err_t db_check(const char *dir, void (*report)(void *data, const char *problem),
                           void *data, struct dr_errinfo *reterr);

/** Figures; all but the first four count from db_open(). */
struct db_stats {
    uint64_t log_bytes;   /**< size of the write-ahead log */
    uint64_t file_bytes;  /**< size of the database file */
    uint64_t ack_waiting; /**< jobs queued */
    uint64_t behind_waiting;
    uint64_t jobs;    /**< jobs committed */
    uint64_t commits; /**< groups committed */
    uint64_t failed;  /**< jobs that ended with an error */
    uint64_t refused; /**< DR_ERR_BUSY, NOSPACE, READONLY at db_submit() */
    uint64_t reads;
    uint64_t checkpoints;
    uint64_t busy_us;       /**< time of the store thread outside of waiting, syncs included */
    uint64_t commit_us;     /**< part of busy_us in commits */
    uint64_t commit_max_us; /**< longest commit */
    bool refusing;          /**< low disk or read-only: writes are refused now */
};
void db_stats(struct db *db, struct db_stats *ret);
