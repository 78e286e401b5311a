/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  db/db_priv.h
 * @brief What the parts of the store share: threads, queues, counters of the writer.
 *
 * Layer: db, private.  Threads: as said at each member.  Memory: owned by struct db.
 * Limits: caps of struct db_config.  Security: none.  Spec: none.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "db/conn_priv.h"
#include "db/db.h"

#define DB_PAGE_SIZE       4096
/** Bytes of a page in the log: with its frame header. */
#define DB_FRAME_SIZE      (DB_PAGE_SIZE + 24)
#define DB_APPLICATION_ID  0x44525652 /* "DRVR" */
/** Most jobs in one commit: bounds how long the first of them waits. */
#define DB_GROUP_MAX       1024
#define DB_SLICE_US        20000
#define DB_COUNT_VALUE_MAX 64
#define DB_DELTAS_MAX      65536

/** What a counter counts. */
enum db_facet {
    DB_FACET_TOTAL = 0,
    DB_FACET_STATE = 1,
    DB_FACET_ENDPOINT_TYPE = 2,
    DB_FACET_DEVICE_CLASS = 3,
    DB_FACET_VENDOR_ID = 4,
};

/** A change of a counter that the transaction has still to write. */
struct db_delta {
    int64_t account;
    int64_t n;
    enum db_facet facet;
    char value[DB_COUNT_VALUE_MAX + 1];
};

struct db_writer {
    struct db_reader conn;   /**< first: db_writer_reader() */
    struct db_delta *deltas; /**< owned */
    size_t n_deltas, cap_deltas;
};

struct db_queue {
    struct db_job *head, **tail;
    _Atomic uint32_t count;
    uint32_t max;
};

struct db {
    struct db_config config;
    struct db_seal seal; /**< copy; used when config.seal is set */
    char *path;          /**< owned */
    char *dir;           /**< owned */
    int lock_fd;

    /* Writing: lanes under wr_lock. */
    pthread_mutex_t wr_lock;
    pthread_cond_t wr_cond;
    struct db_queue lanes[2];
    bool wr_waiting;
    pthread_t wr_thread;
    bool wr_started;
    struct db_writer w; /**< the store thread's */
    uint64_t space_looked_ms;

    /* Reading: queue under rd_lock. */
    pthread_mutex_t rd_lock;
    pthread_cond_t rd_cond;
    struct db_read *rd_head, **rd_tail;
    uint32_t rd_count;
    pthread_t rd_threads[DB_READERS_MAX];
    uint32_t rd_started;
    struct db_reader *readers; /**< owned, one a thread */

    /* Checkpoints: under cp_lock. */
    pthread_mutex_t cp_lock;
    pthread_cond_t cp_cond; /**< there is something to do, or the end */
    pthread_cond_t cp_done; /**< a checkpoint was made */
    pthread_t cp_thread;
    bool cp_started;
    bool cp_wanted;
    struct db_reader cp; /**< the checkpoint thread's */

    /* Backup: under bk_lock. */
    pthread_mutex_t bk_lock;
    pthread_t bk_thread;
    bool bk_running; /**< a thread to join */
    bool bk_busy;
    sqlite3 *bk_handle; /**< to interrupt */

    atomic_bool closing;
    _Atomic int refuse; /**< dr_err_t that db_submit() gives, DR_OK when all is well */
    _Atomic uint64_t log_frames;
    _Atomic uint64_t n_jobs, n_commits, n_failed, n_refused, n_reads, n_checkpoints;
    _Atomic uint64_t busy_us, commit_us, commit_max_us;
};

/* schema.c */
/** Make or migrate. @param check_only  refuse what is not the current version instead */
DR_CHECK dr_err_t db_schema_migrate(struct db_reader *c, bool check_only,
                                    struct dr_errinfo *reterr);

/* writer.c */
DR_CHECK dr_err_t db_writer_start(struct db *db);
/** Runs what is queued, then ends the thread. */
void db_writer_stop(struct db *db);

/* reader.c */
DR_CHECK dr_err_t db_readers_start(struct db *db);
void db_readers_stop(struct db *db);

/* checkpoint.c */
DR_CHECK dr_err_t db_checkpoint_start(struct db *db);
void db_checkpoint_stop(struct db *db);
/** After a commit: wake the thread when the log is long. Store thread. */
void db_checkpoint_poke(struct db *db);
/** Before a group: wait while the log is too long. Store thread. */
void db_checkpoint_wait(struct db *db);

/* kept.c */
/** Put the key files of a folder into the copy at @p path. */
DR_CHECK dr_err_t db_kept_put(const char *path, const char *keys_dir, struct dr_errinfo *info);

/* backup.c */
void db_backup_stop(struct db *db);

/* counter.c */
/** Count @p n more of (account, facet, value); values over DB_COUNT_VALUE_MAX are not counted. */
DR_CHECK dr_err_t db_count_add(struct db_writer *w, int64_t account, enum db_facet facet,
                               const char *value, int64_t n);
/** Write the changes from @p from on. */
DR_CHECK dr_err_t db_count_flush(struct db_writer *w, size_t from);
/** 0 when there is no such counter. @retval DR_ERR_UNSUPPORTED the value is too long to be counted
 */
DR_CHECK dr_err_t db_count_get(struct db_reader *r, int64_t account, enum db_facet facet,
                               const char *value, int64_t *ret);

/** Monotonic condition variables for timed waits. */
void db_cond_init(pthread_cond_t *c);
void db_cond_wait_ms(pthread_cond_t *c, pthread_mutex_t *m, uint64_t ms);
