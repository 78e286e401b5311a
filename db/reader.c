/* SPDX-License-Identifier: Apache-2.0 */
/* Reading threads: one connection each, one snapshot for each read. */
#include <stdlib.h>

#include "db/db_priv.h"

#define READER_CACHE_KIB 4096

static void read_msg(struct loop_msg *msg)
{
    struct db_read *read = DR_CONTAINER_OF(msg, struct db_read, msg);

    read->done(read, read->err); /* last touch */
}

static dr_err_t run_read(struct db_reader *r, struct db_read *read)
{
    struct conn_q q = conn_q(r, "BEGIN");
    dr_err_t err = conn_run(&q, NULL);

    if (err != DR_OK) {
        return err;
    }
    err = read->fn(r, read);
    q = conn_q(r, "COMMIT");
    dr_err_t end = conn_run(&q, NULL);
    return err != DR_OK ? err : end;
}

struct thread_arg {
    struct db *db;
    struct db_reader *r;
};

static void *read_thread(void *ctx)
{
    struct thread_arg *arg = (struct thread_arg *)ctx;
    struct db *db = arg->db;
    struct db_reader *r = arg->r;

    free(arg);
    (void)pthread_mutex_lock(&db->rd_lock);
    for (;;) {
        struct db_read *read = db->rd_head;
        if (read == NULL) {
            if (atomic_load(&db->closing)) {
                break;
            }
            (void)pthread_cond_wait(&db->rd_cond, &db->rd_lock);
            continue;
        }
        db->rd_head = read->next;
        if (db->rd_head == NULL) {
            db->rd_tail = &db->rd_head;
        }
        db->rd_count--;
        (void)pthread_mutex_unlock(&db->rd_lock);

        read->err = run_read(r, read);
        atomic_fetch_add_explicit(&db->n_reads, 1, memory_order_relaxed);
        if (read->home != NULL) {
            loop_post(read->home, &read->msg, read_msg);
        } else {
            read->done(read, read->err);
        }
        (void)pthread_mutex_lock(&db->rd_lock);
    }
    (void)pthread_mutex_unlock(&db->rd_lock);
    return NULL;
}

dr_err_t db_read_start(struct db *db, struct db_read *read)
{
    dr_err_t err = DR_OK;

    dr_assert(db != NULL && read != NULL && read->fn != NULL && read->done != NULL);
    read->next = NULL;
    read->err = DR_OK;
    (void)pthread_mutex_lock(&db->rd_lock);
    if (atomic_load(&db->closing)) {
        err = DR_ERR_CANCELED;
    } else if (db->rd_count >= db->config.read_max) {
        err = DR_ERR_BUSY;
    } else {
        *db->rd_tail = read;
        db->rd_tail = &read->next;
        db->rd_count++;
        (void)pthread_cond_signal(&db->rd_cond);
    }
    (void)pthread_mutex_unlock(&db->rd_lock);
    return err;
}

dr_err_t db_readers_start(struct db *db)
{
    db->readers = calloc(db->config.readers, sizeof(*db->readers));
    if (db->readers == NULL) {
        return DR_ERR_NOMEM;
    }
    for (uint32_t i = 0; i < db->config.readers; i++) {
        dr_err_t err =
            conn_open(&db->readers[i], db->path, CONN_READ, db->config.vfs, READER_CACHE_KIB, NULL);
        if (err != DR_OK) {
            return err;
        }
        db->readers[i].seal = db->config.seal;
        struct thread_arg *arg = malloc(sizeof(*arg));
        if (arg == NULL) {
            return DR_ERR_NOMEM;
        }
        *arg = (struct thread_arg){.db = db, .r = &db->readers[i]};
        if (pthread_create(&db->rd_threads[i], NULL, read_thread, arg) != 0) {
            free(arg);
            return DR_ERR_NOMEM;
        }
        (void)pthread_setname_np(db->rd_threads[i], "db-read");
        db->rd_started++;
    }
    return DR_OK;
}

void db_readers_stop(struct db *db)
{
    (void)pthread_mutex_lock(&db->rd_lock);
    (void)pthread_cond_broadcast(&db->rd_cond);
    (void)pthread_mutex_unlock(&db->rd_lock);
    for (uint32_t i = 0; i < db->rd_started; i++) {
        (void)pthread_join(db->rd_threads[i], NULL);
    }
    db->rd_started = 0;
    for (uint32_t i = 0; db->readers != NULL && i < db->config.readers; i++) {
        conn_close(&db->readers[i]);
    }
    free(db->readers);
    db->readers = NULL;
}
