/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/bench/bench_rows.c
 * @brief Fills the directory of a stopped server's data folder with devices, for ./dev bench rest.
 *
 * Usage: bench_rows DIR COUNT. The devices belong to the first account: "bench-0" and so on, nine
 * of ten registered, class "class-0" to "class-99", vendor of a thousand.
 */
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "db/account.h"
#include "db/db.h"
#include "db/device.h"

#define BATCH    1000
#define BEGAN_MS 1700000000000LL

struct fill {
    struct db_job job;
    struct db_read read;
    sem_t sem;
    dr_err_t err;
    int64_t account;
    uint32_t from, n;
};

static dr_err_t take_account(void *data, const struct db_account *row)
{
    struct fill *f = data;

    f->account = row->id;
    return DR_OK;
}

static dr_err_t account_fn(struct db_reader *r, struct db_read *read)
{
    return db_account_list(r, 0, 1, take_account, DR_CONTAINER_OF(read, struct fill, read));
}

static void read_done(struct db_read *read, dr_err_t err)
{
    struct fill *f = DR_CONTAINER_OF(read, struct fill, read);

    f->err = err;
    (void)sem_post(&f->sem);
}

static dr_err_t fill_run(struct db_writer *w, struct db_job *job)
{
    const struct fill *f = DR_CONTAINER_OF(job, struct fill, job);

    for (uint32_t i = f->from; i < f->from + f->n; i++) {
        char name[32], class[32], vendor[40];
        (void)snprintf(name, sizeof name, "bench-%u", i);
        (void)snprintf(class, sizeof class, "class-%u", i % 100);
        (void)snprintf(vendor, sizeof vendor, "%032x", i % 1000);
        const struct db_device row = {
            .id = (int64_t)(((uint64_t)BEGAN_MS + i) << 20),
            .account = f->account,
            .endpoint_name = name,
            .updated_at = BEGAN_MS + (int64_t)(i * 2654435761U % 1000000000U),
            .state = i % 10 == 0 ? DB_DEVICE_DEREGISTERED : DB_DEVICE_REGISTERED,
            .device_class = class,
            .vendor_id = vendor,
            .endpoint_type = "bench",
            .custom_attributes = "{}",
        };
        dr_err_t err = db_device_insert(w, &row, NULL);
        if (err != DR_OK) {
            return err;
        }
    }
    return DR_OK;
}

static void fill_done(struct db_job *job, dr_err_t err)
{
    struct fill *f = DR_CONTAINER_OF(job, struct fill, job);

    f->err = err;
    (void)sem_post(&f->sem);
}

static dr_err_t fill_all(struct db *db, uint32_t count)
{
    struct fill f = {.read = {.fn = account_fn, .done = read_done}};

    (void)sem_init(&f.sem, 0, 0);
    dr_err_t err = db_read_start(db, &f.read);
    if (err == DR_OK) {
        (void)sem_wait(&f.sem);
        err = f.err;
    }
    for (uint32_t i = 0; err == DR_OK && i < count; i += BATCH) {
        f.from = i;
        f.n = count - i < BATCH ? count - i : BATCH;
        f.job = (struct db_job){.run = fill_run, .done = fill_done};
        err = db_submit(db, &f.job);
        if (err == DR_OK) {
            (void)sem_wait(&f.sem);
            err = f.err;
        }
    }
    (void)sem_destroy(&f.sem);
    return err;
}

int main(int argc, char **argv)
{
    struct dr_errinfo info = {0};
    struct db *db = NULL;
    uint64_t count;

    if (argc != 3 || dr_parse_u64_max(argv[2], strlen(argv[2]), 100000000, &count) != DR_OK) {
        fprintf(stderr, "usage: bench_rows DIR COUNT\n");
        return 2;
    }
    const struct db_config config = {.dir = argv[1], .sync = DB_SYNC_OFF};
    dr_err_t err = db_open(&config, &db, &info);
    if (err == DR_OK) {
        err = fill_all(db, (uint32_t)count);
    }
    db = db_close(db);
    if (err != DR_OK) {
        fprintf(stderr, "bench_rows: %s: %s\n", dr_err_str(err), info.text);
        return 1;
    }
    return 0;
}
