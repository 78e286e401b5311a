/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/integ/db/dbt.h
 * @brief A store in a temporary folder, used synchronously.
 */
#pragma once

#include <check.h>
#include <ftw.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "db/account.h"
#include "db/db.h"
#include "db/device.h"
#include "db/event.h"
#include "db/psk.h"
#include "db/registration.h"
#include "db/request.h"
#include "db/subscription.h"

#define DBT_ACCOUNT 1000LL
#define DBT_OTHER   2000LL

static char dbt_dir[64];
static struct db *dbt_db;

static int dbt_rm_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static inline void dbt_rm(const char *dir)
{
    (void)nftw(dir, dbt_rm_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void dbt_make_dir(void)
{
    /* In memory where there is such a place: these tests sync thousands of times. */
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

    (void)snprintf(dbt_dir, sizeof(dbt_dir), "%s/dbt.XXXXXX", base);
    ck_assert_ptr_nonnull(mkdtemp(dbt_dir));
}

/* ---- one job or read, waited for ---- */

typedef dr_err_t dbt_write_fn(struct db_writer *w, void *ctx);
typedef dr_err_t dbt_read_fn(struct db_reader *r, void *ctx);

struct dbt_job {
    struct db_job job;
    dbt_write_fn *fn;
    void *ctx;
    dr_err_t err;
    sem_t sem;
};

static dr_err_t dbt_job_run(struct db_writer *w, struct db_job *job)
{
    struct dbt_job *j = DR_CONTAINER_OF(job, struct dbt_job, job);

    return j->fn(w, j->ctx);
}

static void dbt_job_done(struct db_job *job, dr_err_t err)
{
    struct dbt_job *j = DR_CONTAINER_OF(job, struct dbt_job, job);

    j->err = err;
    sem_post(&j->sem);
}

static inline dr_err_t dbt_write(dbt_write_fn *fn, void *ctx)
{
    struct dbt_job j = {.job = {.run = dbt_job_run, .done = dbt_job_done}, .fn = fn, .ctx = ctx};

    sem_init(&j.sem, 0, 0);
    dr_err_t err = db_submit(dbt_db, &j.job);
    if (err == DR_OK) {
        sem_wait(&j.sem);
        err = j.err;
    }
    sem_destroy(&j.sem);
    return err;
}

struct dbt_read {
    struct db_read read;
    dbt_read_fn *fn;
    void *ctx;
    dr_err_t err;
    sem_t sem;
};

static dr_err_t dbt_read_run(struct db_reader *r, struct db_read *read)
{
    struct dbt_read *j = DR_CONTAINER_OF(read, struct dbt_read, read);

    return j->fn(r, j->ctx);
}

static void dbt_read_done(struct db_read *read, dr_err_t err)
{
    struct dbt_read *j = DR_CONTAINER_OF(read, struct dbt_read, read);

    j->err = err;
    sem_post(&j->sem);
}

static inline dr_err_t dbt_read(dbt_read_fn *fn, void *ctx)
{
    struct dbt_read j = {.read = {.fn = dbt_read_run, .done = dbt_read_done}, .fn = fn, .ctx = ctx};

    sem_init(&j.sem, 0, 0);
    dr_err_t err = db_read_start(dbt_db, &j.read);
    if (err == DR_OK) {
        sem_wait(&j.sem);
        err = j.err;
    }
    sem_destroy(&j.sem);
    return err;
}

/* ---- a store with two accounts ---- */

static dr_err_t dbt_two_accounts(struct db_writer *w, void *ctx)
{
    struct db_account a = {.id = DBT_ACCOUNT, .display_name = "one", .status = "ACTIVE"};
    struct db_account b = {.id = DBT_OTHER, .display_name = "two", .status = "ACTIVE"};

    (void)ctx;
    dr_err_t err = db_account_insert(w, &a);
    return err == DR_OK ? db_account_insert(w, &b) : err;
}

static inline void dbt_open_with(struct db_config config)
{
    struct dr_errinfo info;

    config.dir = dbt_dir;
    dr_err_t err = db_open(&config, &dbt_db, &info);
    ck_assert_msg(err == DR_OK, "%s: %s: %s", dr_err_name(err), info.field, info.text);
}

static inline void dbt_setup(void)
{
    dbt_make_dir();
    dbt_open_with((struct db_config){.free_min_bytes = 1});
    ck_assert_int_eq(dbt_write(dbt_two_accounts, NULL), DR_OK);
}

static inline void dbt_reopen(void)
{
    dbt_db = db_close(dbt_db);
    dbt_open_with((struct db_config){.free_min_bytes = 1});
}

static inline void dbt_note_problem(void *data, const char *problem)
{
    (void)data;
    fprintf(stderr, "check: %s\n", problem);
}

/** Each test ends with a clean bill of health. */
static inline void dbt_teardown(void)
{
    struct dr_errinfo info = {{0}, 0, {0}};

    dbt_db = db_close(dbt_db);
    dr_err_t err = db_check(dbt_dir, dbt_note_problem, NULL, &info);
    ck_assert_msg(err == DR_OK, "%s: %s: %s", dr_err_name(err), info.field, info.text);
    dbt_rm(dbt_dir);
}

static inline int dbt_main(Suite *s)
{
    SRunner *sr = srunner_create(s);

    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? 0 : 1;
}
