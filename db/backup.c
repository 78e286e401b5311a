/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Online copy by VACUUM INTO on a connection and a thread of its own, and the offline check.
 * The copy goes to NAME.part first and is renamed when it is whole and on disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "db/db_priv.h"

#define BACKUP_CACHE_KIB 2048

static void backup_msg(struct loop_msg *msg)
{
    struct db_backup *b = DR_CONTAINER_OF(msg, struct db_backup, msg);

    b->done(b, b->err); /* last touch */
}

static dr_err_t copy(struct db *db, const char *to, struct dr_errinfo *info)
{
    struct db_reader c;
    dr_err_t err = conn_open(&c, db->path, CONN_WRITE, db->config.vfs, BACKUP_CACHE_KIB, info);

    if (err != DR_OK) {
        return err;
    }
    (void)pthread_mutex_lock(&db->bk_lock);
    db->bk_handle = c.h;
    bool closing = atomic_load(&db->closing);
    (void)pthread_mutex_unlock(&db->bk_lock);
    if (closing) {
        err = DR_ERR_CANCELED;
    } else {
        struct conn_q q = conn_q(&c, "VACUUM INTO ?");
        conn_put_text(&q, to);
        err = conn_run(&q, NULL);
        if (err != DR_OK) {
            dr_errinfo_set(info, to, 0, "%s", sqlite3_errmsg(c.h));
        }
    }
    (void)pthread_mutex_lock(&db->bk_lock);
    db->bk_handle = NULL;
    (void)pthread_mutex_unlock(&db->bk_lock);
    conn_close(&c);
    return err;
}

static bool sync_path(const char *path, int flags)
{
    int fd = open(path, flags | O_RDONLY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;

    if (fd >= 0) {
        (void)close(fd);
    }
    return ok;
}

/* Put the finished copy in place: it must not replace anything. */
static dr_err_t publish(const char *part, const char *path, struct dr_errinfo *info)
{
    if (!sync_path(part, 0)) {
        dr_errinfo_set(info, part, 0, "%s", strerror(errno));
        return errno == ENOSPC ? DR_ERR_NOSPACE : DR_ERR_IO;
    }
    if (link(part, path) != 0) {
        dr_errinfo_set(info, path, 0, "%s", strerror(errno));
        return errno == EEXIST ? DR_ERR_EXISTS : DR_ERR_IO;
    }
    (void)unlink(part);
    char *name = strdup(path);
    if (name != NULL) {
        (void)sync_path(dirname(name), O_DIRECTORY);
        free(name);
    }
    return DR_OK;
}

static dr_err_t run_backup(struct db_backup *b)
{
    struct stat st;
    char *part;

    if (lstat(b->path, &st) == 0) {
        dr_errinfo_set(&b->info, b->path, 0, "the file exists");
        return DR_ERR_EXISTS;
    }
    if (asprintf(&part, "%s.part", b->path) < 0) {
        return DR_ERR_NOMEM;
    }
    int fd = open(part, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0600);
    dr_err_t err = fd >= 0 ? DR_OK : DR_ERR_IO;
    if (fd < 0) {
        dr_errinfo_set(&b->info, part, 0, "%s", strerror(errno));
    } else {
        (void)close(fd);
        err = copy(b->db, part, &b->info);
        if (err == DR_OK && b->keys_dir != NULL) {
            err = db_kept_put(part, b->keys_dir, &b->info);
        }
        if (err == DR_OK) {
            err = publish(part, b->path, &b->info);
        }
        if (err != DR_OK) {
            (void)unlink(part);
        }
    }
    free(part);
    return err;
}

static void *backup_thread(void *ctx)
{
    struct db_backup *b = (struct db_backup *)ctx;
    struct db *db = b->db;

    b->err = run_backup(b);
    (void)pthread_mutex_lock(&db->bk_lock);
    db->bk_busy = false;
    (void)pthread_mutex_unlock(&db->bk_lock);
    if (b->home != NULL) {
        loop_post(b->home, &b->msg, backup_msg);
    } else {
        b->done(b, b->err);
    }
    return NULL;
}

dr_err_t db_backup_start(struct db *db, struct db_backup *b)
{
    dr_err_t err = DR_OK;

    dr_assert(db != NULL && b != NULL && b->path != NULL && b->done != NULL);
    b->db = db;
    b->info = (struct dr_errinfo){{0}, 0, {0}};
    (void)pthread_mutex_lock(&db->bk_lock);
    if (atomic_load(&db->closing)) {
        err = DR_ERR_CANCELED;
    } else if (db->bk_busy) {
        err = DR_ERR_BUSY;
    } else {
        if (db->bk_running) {
            (void)pthread_join(db->bk_thread, NULL); /* has ended: it is not busy */
            db->bk_running = false;
        }
        if (pthread_create(&db->bk_thread, NULL, backup_thread, b) != 0) {
            err = DR_ERR_NOMEM;
        } else {
            (void)pthread_setname_np(db->bk_thread, "db-backup");
            db->bk_running = true;
            db->bk_busy = true;
        }
    }
    (void)pthread_mutex_unlock(&db->bk_lock);
    return err;
}

void db_backup_stop(struct db *db)
{
    (void)pthread_mutex_lock(&db->bk_lock);
    if (db->bk_handle != NULL) {
        sqlite3_interrupt(db->bk_handle);
    }
    bool join = db->bk_running;
    db->bk_running = false;
    (void)pthread_mutex_unlock(&db->bk_lock);
    if (join) {
        (void)pthread_join(db->bk_thread, NULL);
    }
}
