/* SPDX-License-Identifier: Apache-2.0 */
#include "server/sync.h"

#include <pthread.h>
#include <stdbool.h>

struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool done;
    dr_err_t err;
};

#define WAITER_INIT                                                                                \
    {                                                                                              \
        .lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER                        \
    }

static void wake(struct waiter *w, dr_err_t err)
{
    (void)pthread_mutex_lock(&w->lock);
    w->done = true;
    w->err = err;
    (void)pthread_cond_signal(&w->cond);
    (void)pthread_mutex_unlock(&w->lock);
}

static dr_err_t wait_for(struct waiter *w)
{
    (void)pthread_mutex_lock(&w->lock);
    while (!w->done) {
        (void)pthread_cond_wait(&w->cond, &w->lock);
    }
    (void)pthread_mutex_unlock(&w->lock);
    return w->err;
}

struct write_job {
    struct db_job job;
    struct waiter waiter;
    dr_err_t (*run)(struct db_writer *w, void *data);
    void *data;
};

static dr_err_t write_run(struct db_writer *w, struct db_job *job)
{
    struct write_job *wj = DR_CONTAINER_OF(job, struct write_job, job);

    return wj->run(w, wj->data);
}

static void write_done(struct db_job *job, dr_err_t err)
{
    wake(&DR_CONTAINER_OF(job, struct write_job, job)->waiter, err);
}

dr_err_t srv_write_sync(struct db *db, dr_err_t (*run)(struct db_writer *w, void *data), void *data)
{
    dr_assert(db != NULL && run != NULL);
    struct write_job wj = {
        .job = {.run = write_run, .done = write_done, .lane = DB_LANE_ACK, .savepoint = true},
        .waiter = WAITER_INIT,
        .run = run,
        .data = data};
    dr_err_t err = db_submit(db, &wj.job);

    return err == DR_OK ? wait_for(&wj.waiter) : err;
}

struct read_job {
    struct db_read read;
    struct waiter waiter;
    dr_err_t (*fn)(struct db_reader *r, void *data);
    void *data;
};

static dr_err_t read_fn(struct db_reader *r, struct db_read *read)
{
    struct read_job *rj = DR_CONTAINER_OF(read, struct read_job, read);

    return rj->fn(r, rj->data);
}

static void read_done(struct db_read *read, dr_err_t err)
{
    wake(&DR_CONTAINER_OF(read, struct read_job, read)->waiter, err);
}

dr_err_t srv_read_sync(struct db *db, dr_err_t (*fn)(struct db_reader *r, void *data), void *data)
{
    dr_assert(db != NULL && fn != NULL);
    struct read_job rj = {
        .read = {.fn = read_fn, .done = read_done}, .waiter = WAITER_INIT, .fn = fn, .data = data};
    dr_err_t err = db_read_start(db, &rj.read);

    return err == DR_OK ? wait_for(&rj.waiter) : err;
}
