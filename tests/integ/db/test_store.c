/* SPDX-License-Identifier: Apache-2.0 */
/* The store itself: groups, undoing, lanes, refusing, opening, closing, backup, checkpoints. */
#include "tests/integ/db/dbt.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "db/vfs_shim.h"

static dr_err_t get_setting(void *data, const char *name, const char *value)
{
    (void)name;
    snprintf((char *)data, 64, "%s", value);
    return DR_OK;
}

struct setting {
    char name[32];
    char value[64];
};

static dr_err_t put_setting(struct db_writer *w, void *ctx)
{
    const struct setting *s = (const struct setting *)ctx;

    return db_setting_put(w, DBT_ACCOUNT, s->name, s->value);
}

static dr_err_t read_setting(struct db_reader *r, void *ctx)
{
    struct setting *s = (struct setting *)ctx;

    return db_setting_get(r, DBT_ACCOUNT, s->name, get_setting, s->value);
}

static dr_err_t setting(const char *name, char value[64])
{
    struct setting s = {.name = ""};

    snprintf(s.name, sizeof(s.name), "%s", name);
    dr_err_t err = dbt_read(read_setting, &s);
    if (err == DR_OK) {
        memcpy(value, s.value, 64);
    }
    return err;
}

/* ---- many jobs at once ---- */

struct many {
    struct db_job job;
    int i;
    dr_err_t want; /* what run returns after its writes */
    int runs;
    int order; /* place among the completions */
    dr_err_t err;
};

static atomic_int completions;
static sem_t all_done;

static dr_err_t many_run(struct db_writer *w, struct db_job *job)
{
    struct many *m = DR_CONTAINER_OF(job, struct many, job);
    char name[32];

    m->runs++;
    snprintf(name, sizeof(name), "many.%d", m->i);
    dr_err_t err = db_setting_add(w, DBT_ACCOUNT, name, "x");
    if (err == DR_OK) {
        err = db_setting_put(w, DBT_ACCOUNT, "many.last", name);
    }
    return err != DR_OK ? err : m->want;
}

static void many_done(struct db_job *job, dr_err_t err)
{
    struct many *m = DR_CONTAINER_OF(job, struct many, job);

    m->err = err;
    m->order = atomic_fetch_add(&completions, 1);
    sem_post(&all_done);
}

static dr_err_t slow_run(struct db_writer *w, struct db_job *job)
{
    (void)w;
    (void)job;
    usleep(50000);
    return DR_OK;
}

/* A job that holds the store thread until gate_open(): the others gather behind it. */
static struct many gate;
static sem_t gate_in, gate_out;

static dr_err_t gate_run(struct db_writer *w, struct db_job *job)
{
    (void)w;
    (void)job;
    sem_post(&gate_in);
    sem_wait(&gate_out);
    return DR_OK;
}

static void gate_close(void)
{
    sem_init(&all_done, 0, 0);
    sem_init(&gate_in, 0, 0);
    sem_init(&gate_out, 0, 0);
    atomic_store(&completions, 0);
    gate = (struct many){.job = {.run = gate_run, .done = many_done}};
    ck_assert_int_eq(db_submit(dbt_db, &gate.job), DR_OK);
    sem_wait(&gate_in);
}

static void gate_open(void)
{
    sem_post(&gate_out);
}

static void submit_many(struct many *m, int n)
{
    gate_close();
    for (int i = 0; i < n; i++) {
        m[i].i = i;
        m[i].job.run = many_run;
        m[i].job.done = many_done;
        ck_assert_int_eq(db_submit(dbt_db, &m[i].job), DR_OK);
    }
    gate_open();
    for (int i = 0; i < n + 1; i++) {
        sem_wait(&all_done);
    }
    sem_destroy(&all_done);
}

START_TEST(jobs_gather_in_groups_and_complete_in_order)
{
    static struct many m[500];
    struct db_stats s0, s1;
    char value[64];

    memset(m, 0, sizeof(m));
    db_stats(dbt_db, &s0);
    submit_many(m, 500);
    db_stats(dbt_db, &s1);
    for (int i = 0; i < 500; i++) {
        ck_assert_int_eq(m[i].err, DR_OK);
        ck_assert_int_eq(m[i].order, i + 1);
        ck_assert_int_eq(m[i].runs, 1);
    }
    ck_assert_uint_le(s1.commits - s0.commits, 4);
    ck_assert_uint_eq(s1.jobs - s0.jobs, 501);
    ck_assert_int_eq(setting("many.last", value), DR_OK);
    ck_assert_str_eq(value, "many.499");
}
END_TEST

START_TEST(a_failing_job_is_undone_alone)
{
    static struct many m[50];
    char value[64], name[32];

    memset(m, 0, sizeof(m));
    for (int i = 0; i < 50; i++) {
        m[i].want = i % 7 == 3 ? DR_ERR_DENIED : DR_OK;
        m[i].job.savepoint = _i == 1;
    }
    submit_many(m, 50);
    for (int i = 0; i < 50; i++) {
        ck_assert_int_eq(m[i].err, m[i].want);
        ck_assert_int_le(m[i].runs, _i == 1 ? 1 : 2);
        snprintf(name, sizeof(name), "many.%d", i);
        ck_assert_int_eq(setting(name, value), m[i].want == DR_OK ? DR_OK : DR_ERR_NOT_FOUND);
    }
    ck_assert_int_eq(setting("many.last", value), DR_OK);
    ck_assert_str_eq(value, "many.49");
}
END_TEST

static dr_err_t half_device(struct db_writer *w, void *ctx)
{
    struct db_device d = {.id = 5LL << 20, .account = DBT_ACCOUNT, .endpoint_name = "half"};

    (void)ctx;
    dr_err_t err = db_device_insert(w, &d, NULL);
    return err == DR_OK ? DR_ERR_DENIED : err;
}

static dr_err_t count_all(struct db_reader *r, void *ctx)
{
    struct db_query q = {.account = DBT_ACCOUNT};

    return db_device_count(r, &q, (int64_t *)ctx, NULL);
}

START_TEST(counters_of_an_undone_job_are_undone)
{
    int64_t n = -1;

    ck_assert_int_eq(dbt_write(half_device, NULL), DR_ERR_DENIED);
    ck_assert_int_eq(dbt_read(count_all, &n), DR_OK);
    ck_assert_int_eq(n, 0);
}
END_TEST

START_TEST(an_error_that_changed_nothing_runs_once)
{
    static struct many m[2];

    memset(m, 0, sizeof(m));
    submit_many(m, 1);
    submit_many(m, 1); /* the name is taken */
    ck_assert_int_eq(m[0].err, DR_ERR_EXISTS);
    ck_assert_int_eq(m[0].runs, 2);
}
END_TEST

/* ---- lanes ---- */

START_TEST(acknowledged_writes_overtake_write_behind)
{
    static struct many behind[200], ack;

    memset(behind, 0, sizeof(behind));
    gate_close();
    for (int i = 0; i < 200; i++) {
        behind[i] = (struct many){.i = i,
                                  .job = {.run = i == 0 ? slow_run : many_run,
                                          .done = many_done,
                                          .lane = DB_LANE_BEHIND}};
        ck_assert_int_eq(db_submit(dbt_db, &behind[i].job), DR_OK);
    }
    ack = (struct many){.i = 1000, .job = {.run = many_run, .done = many_done}};
    ck_assert_int_eq(db_submit(dbt_db, &ack.job), DR_OK);
    gate_open();
    for (int i = 0; i < 202; i++) {
        sem_wait(&all_done);
    }
    /* A slice has its turn after each group, but ends as soon as somebody waits. */
    ck_assert_int_eq(behind[0].order, 1);
    ck_assert_int_eq(ack.order, 2);
    for (int i = 1; i < 200; i++) {
        ck_assert_int_eq(behind[i].order, i + 2);
    }
    sem_destroy(&all_done);
}
END_TEST

START_TEST(a_full_lane_is_busy)
{
    static struct many m[8];
    dr_err_t err = DR_OK;
    int n = 0;

    dbt_db = db_close(dbt_db);
    dbt_open_with((struct db_config){.ack_max = 4, .free_min_bytes = 1});
    memset(m, 0, sizeof(m));
    gate_close();
    for (; n < 8; n++) {
        m[n] = (struct many){.i = n, .job = {.run = many_run, .done = many_done}};
        err = db_submit(dbt_db, &m[n].job);
        if (err != DR_OK) {
            break;
        }
    }
    ck_assert_int_eq(err, DR_ERR_BUSY);
    ck_assert_int_eq(n, 4);
    gate_open();
    for (int i = 0; i < n + 1; i++) {
        sem_wait(&all_done);
    }
    sem_destroy(&all_done);
}
END_TEST

/* ---- on loops ---- */

struct looped {
    struct db_job job;
    struct loop *loop;
    int left;
    pthread_t done_on;
};

static dr_err_t looped_run(struct db_writer *w, struct db_job *job)
{
    (void)job;
    return db_setting_put(w, DBT_ACCOUNT, "loop", "y");
}

static void looped_done(struct db_job *job, dr_err_t err)
{
    struct looped *l = DR_CONTAINER_OF(job, struct looped, job);

    ck_assert_int_eq(err, DR_OK);
    loop_assert_current(l->loop);
    if (--l->left == 0) {
        loop_stop(l->loop);
        return;
    }
    ck_assert_int_eq(db_submit(dbt_db, &l->job), DR_OK); /* done was the last touch */
}

static void looped_begin(struct loop *loop, void *ctx)
{
    struct looped *l = (struct looped *)ctx;

    l->loop = loop;
    l->job = (struct db_job){.home = loop, .run = looped_run, .done = looped_done};
    l->left = 300;
    ck_assert_int_eq(db_submit(dbt_db, &l->job), DR_OK);
}

START_TEST(completions_come_to_the_home_loop)
{
    struct loop_thread t[3] = {{0}};
    static struct looped l[3];
    struct loop *loops[3];

    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(loop_new("shard", &loops[i]), DR_OK);
        ck_assert_int_eq(loop_thread_start(&t[i], loops[i], looped_begin, &l[i]), DR_OK);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(t[i].id, NULL);
        t[i].running = false;
        ck_assert_int_eq(l[i].left, 0);
        loop_free(loops[i]);
    }
}
END_TEST

struct read_many {
    struct db_read read;
    int64_t n;
};

static atomic_int reads_bad;

static dr_err_t read_many_fn(struct db_reader *r, struct db_read *read)
{
    struct read_many *m = DR_CONTAINER_OF(read, struct read_many, read);
    struct db_query q = {.account = DBT_ACCOUNT};
    int64_t again = 0;
    dr_err_t err = db_device_count(r, &q, &m->n, NULL);

    usleep(1000);
    if (err == DR_OK) {
        err = db_device_count(r, &q, &again, NULL);
    }
    if (again != m->n) {
        reads_bad++; /* not one snapshot */
    }
    return err;
}

static void read_many_done(struct db_read *read, dr_err_t err)
{
    (void)read;
    if (err != DR_OK) {
        reads_bad++;
    }
    sem_post(&all_done);
}

struct device_n {
    int64_t n;
};

static dr_err_t add_device(struct db_writer *w, void *ctx)
{
    const struct device_n *d = (const struct device_n *)ctx;
    char name[32];

    snprintf(name, sizeof(name), "dev-%lld", (long long)d->n);
    struct db_device row = {.id = d->n << 20, .account = DBT_ACCOUNT, .endpoint_name = name};
    return db_device_insert(w, &row, NULL);
}

START_TEST(a_read_is_one_snapshot_and_sees_what_was_acknowledged)
{
    static struct read_many r[100];
    int64_t n = 0;

    sem_init(&all_done, 0, 0);
    atomic_store(&reads_bad, 0);
    for (int i = 0; i < 100; i++) {
        struct device_n d = {i + 1};
        r[i] = (struct read_many){.read = {.fn = read_many_fn, .done = read_many_done}};
        ck_assert_int_eq(db_read_start(dbt_db, &r[i].read), DR_OK);
        ck_assert_int_eq(dbt_write(add_device, &d), DR_OK);
    }
    ck_assert_int_eq(dbt_read(count_all, &n), DR_OK);
    ck_assert_int_eq(n, 100);
    for (int i = 0; i < 100; i++) {
        sem_wait(&all_done);
    }
    sem_destroy(&all_done);
    ck_assert_int_eq(atomic_load(&reads_bad), 0);
}
END_TEST

/* ---- opening ---- */

static dr_err_t open_again(struct dr_errinfo *info)
{
    struct db *second = NULL;
    struct db_config config = {.dir = dbt_dir, .free_min_bytes = 1};
    dr_err_t err = db_open(&config, &second, info);

    ck_assert_ptr_null(db_close(second));
    return err;
}

START_TEST(a_second_opening_is_refused)
{
    struct dr_errinfo info;

    ck_assert_int_eq(open_again(&info), DR_ERR_IN_USE);
    ck_assert_int_eq(db_check(dbt_dir, NULL, NULL, &info), DR_ERR_IN_USE);
}
END_TEST

static void raw(const char *sql)
{
    char path[128];
    sqlite3 *h;

    snprintf(path, sizeof(path), "%s/" DB_FILE, dbt_dir);
    ck_assert_int_eq(sqlite3_open(path, &h), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(h, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(h);
}

/* The version of the schema, read past the store. */
static int version_get(void)
{
    char path[128];
    sqlite3 *h = NULL;
    sqlite3_stmt *st = NULL;

    snprintf(path, sizeof(path), "%s/" DB_FILE, dbt_dir);
    ck_assert_int_eq(sqlite3_open(path, &h), SQLITE_OK);
    ck_assert_int_eq(sqlite3_prepare_v2(h, "PRAGMA user_version", -1, &st, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(st), SQLITE_ROW);
    int version = sqlite3_column_int(st, 0);
    sqlite3_finalize(st);
    sqlite3_close(h);
    return version;
}

START_TEST(a_newer_database_is_refused_and_left_alone)
{
    struct dr_errinfo info;
    char back[64];

    dbt_db = db_close(dbt_db);
    snprintf(back, sizeof(back), "PRAGMA user_version = %d", version_get());
    raw("PRAGMA user_version = 999");
    ck_assert_int_eq(open_again(&info), DR_ERR_VERSION);
    ck_assert_ptr_nonnull(strstr(info.text, "newer"));
    ck_assert_int_eq(db_check(dbt_dir, NULL, NULL, &info), DR_ERR_VERSION);
    raw(back);
    ck_assert_int_eq(open_again(&info), DR_OK);
}
END_TEST

START_TEST(a_foreign_or_broken_file_is_refused)
{
    struct dr_errinfo info;
    char path[128];

    dbt_db = db_close(dbt_db);
    raw("PRAGMA application_id = 7");
    ck_assert_int_eq(open_again(&info), DR_ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(info.text, "another program"));
    raw("PRAGMA application_id = 0x44525652");
    snprintf(path, sizeof(path), "%s/" DB_FILE, dbt_dir);
    FILE *f = fopen(path, "r+");
    ck_assert_ptr_nonnull(f);
    char first[100];
    ck_assert_uint_eq(fread(first, 1, 100, f), 100);
    rewind(f);
    fputs("this is not a database, is it?", f);
    fclose(f);
    ck_assert_int_eq(open_again(&info), DR_ERR_CORRUPT);
    f = fopen(path, "r+");
    fwrite(first, 1, 100, f);
    fclose(f);
}
END_TEST

START_TEST(a_missing_folder_is_not_found)
{
    struct db *none = NULL;
    struct dr_errinfo info;
    struct db_config config = {.dir = "/nonexistent/drover"};

    ck_assert_int_eq(db_open(&config, &none, &info), DR_ERR_NOT_FOUND);
    ck_assert_ptr_null(none);
    config.dir = dbt_dir;
    config.readers = DB_READERS_MAX + 1;
    ck_assert_int_eq(db_open(&config, &none, &info), DR_ERR_RANGE);
    ck_assert_int_eq(db_check("/nonexistent/drover", NULL, NULL, &info), DR_ERR_NOT_FOUND);
}
END_TEST

START_TEST(a_file_that_cannot_be_written_is_read_only)
{
    struct dr_errinfo info;
    char path[128];

    if (geteuid() == 0) {
        /* root writes everywhere; opening for reading shows the other half */
        char value[64];
        struct setting s = {"k", "v"};
        ck_assert_int_eq(dbt_write(put_setting, &s), DR_OK);
        dbt_db = db_close(dbt_db);
        dbt_open_with((struct db_config){.read_only = true});
        ck_assert_int_eq(dbt_write(put_setting, &s), DR_ERR_READONLY);
        ck_assert_int_eq(setting("k", value), DR_OK);
        return;
    }
    dbt_db = db_close(dbt_db);
    snprintf(path, sizeof(path), "%s/" DB_FILE, dbt_dir);
    ck_assert_int_eq(chmod(path, 0400), 0);
    ck_assert_int_eq(open_again(&info), DR_ERR_READONLY);
    ck_assert_int_eq(chmod(path, 0600), 0);
}
END_TEST

START_TEST(everything_is_there_after_a_restart)
{
    static struct many m[100];
    char value[64];

    memset(m, 0, sizeof(m));
    submit_many(m, 100);
    dbt_reopen();
    ck_assert_int_eq(setting("many.57", value), DR_OK);
    ck_assert_int_eq(setting("many.99", value), DR_OK);
}
END_TEST

START_TEST(closing_runs_what_is_queued)
{
    static struct many m[300];

    memset(m, 0, sizeof(m));
    sem_init(&all_done, 0, 0);
    for (int i = 0; i < 300; i++) {
        m[i] = (struct many){.i = i,
                             .err = DR_ERR_AGAIN,
                             .job = {.run = many_run,
                                     .done = many_done,
                                     .lane = i % 2 == 0 ? DB_LANE_ACK : DB_LANE_BEHIND}};
        ck_assert_int_eq(db_submit(dbt_db, &m[i].job), DR_OK);
    }
    dbt_reopen();
    for (int i = 0; i < 300; i++) {
        ck_assert_int_eq(m[i].err, DR_OK);
    }
    sem_destroy(&all_done);
}
END_TEST

/* ---- trouble ---- */

START_TEST(low_disk_refuses_writes_until_there_is_room)
{
    struct setting s = {"k", "v"};
    struct db_stats st;
    char value[64];

    dbt_db = db_close(dbt_db);
    dbt_open_with((struct db_config){.free_min_bytes = UINT64_MAX});
    ck_assert_int_eq(dbt_write(put_setting, &s), DR_ERR_NOSPACE);
    db_stats(dbt_db, &st);
    ck_assert(st.refusing);
    ck_assert_uint_ge(st.refused, 1);
    ck_assert_int_eq(setting("k", value), DR_ERR_NOT_FOUND); /* reading goes on */
}
END_TEST

static void open_on_shim(void)
{
    dbt_db = db_close(dbt_db);
    ck_assert_int_eq(db_shim_register(), DR_OK);
    db_shim_fail(DB_SHIM_FAIL_NONE, 0, 0);
    dbt_open_with((struct db_config){.free_min_bytes = 1, .vfs = DB_SHIM_NAME});
}

START_TEST(a_full_disk_fails_the_write_and_heals)
{
    struct setting s = {"k", "v"};
    dr_err_t err = DR_ERR_NOSPACE;
    struct db_stats st;

    open_on_shim();
    db_shim_fail(DB_SHIM_FAIL_FULL, 1, UINT32_MAX);
    ck_assert_int_eq(dbt_write(put_setting, &s), DR_ERR_NOSPACE);
    usleep(10000);
    ck_assert_int_eq(dbt_write(put_setting, &s), DR_ERR_NOSPACE);
    db_stats(dbt_db, &st);
    ck_assert(st.refusing);
    db_shim_fail(DB_SHIM_FAIL_NONE, 0, 0);
    for (int i = 0; i < 400 && err != DR_OK; i++) {
        usleep(10000);
        err = dbt_write(put_setting, &s);
    }
    ck_assert_int_eq(err, DR_OK);
    db_stats(dbt_db, &st);
    ck_assert(!st.refusing);
}
END_TEST

/* ---- care ---- */

static void backup_done(struct db_backup *b, dr_err_t err)
{
    (void)b;
    ck_assert_int_eq(err, b->err);
    sem_post(&all_done);
}

START_TEST(a_backup_is_a_whole_database)
{
    char path[128], copy_dir[80], moved[128];
    struct setting s = {"k", "before"};
    struct db_backup b = {.path = path, .done = backup_done};

    ck_assert_int_eq(dbt_write(put_setting, &s), DR_OK);
    snprintf(copy_dir, sizeof(copy_dir), "%s/copy", dbt_dir);
    ck_assert_int_eq(mkdir(copy_dir, 0700), 0);
    snprintf(path, sizeof(path), "%s/backup", copy_dir);
    sem_init(&all_done, 0, 0);
    ck_assert_int_eq(db_backup_start(dbt_db, &b), DR_OK);
    sem_wait(&all_done);
    ck_assert_msg(b.err == DR_OK, "%s", b.info.text);

    b = (struct db_backup){.path = path, .done = backup_done};
    ck_assert_int_eq(db_backup_start(dbt_db, &b), DR_OK);
    sem_wait(&all_done);
    ck_assert_int_eq(b.err, DR_ERR_EXISTS);
    snprintf(moved, sizeof(moved), "%s/backup.part", copy_dir);
    ck_assert_int_ne(access(moved, F_OK), 0);

    snprintf(moved, sizeof(moved), "%s/" DB_FILE, copy_dir);
    ck_assert_int_eq(rename(path, moved), 0);
    ck_assert_int_eq(db_check(copy_dir, dbt_note_problem, NULL, NULL), DR_OK);
    sem_destroy(&all_done);
}
END_TEST

START_TEST(a_wrong_counter_is_found)
{
    struct device_n d = {4};
    struct dr_errinfo info;

    ck_assert_int_eq(dbt_write(add_device, &d), DR_OK);
    dbt_db = db_close(dbt_db);
    raw("UPDATE counter SET n = n + 1 WHERE facet = 1");
    ck_assert_int_eq(db_check(dbt_dir, NULL, NULL, &info), DR_ERR_CORRUPT);
    raw("UPDATE counter SET n = n - 1 WHERE facet = 1");
}
END_TEST

struct bulk {
    int round;
};

static dr_err_t bulk_run(struct db_writer *w, void *ctx)
{
    const struct bulk *b = (const struct bulk *)ctx;
    static char value[4000];
    char name[32];
    dr_err_t err = DR_OK;

    memset(value, 'a' + b->round % 26, sizeof(value) - 1);
    for (int i = 0; i < 100 && err == DR_OK; i++) {
        snprintf(name, sizeof(name), "bulk.%d", i);
        err = db_setting_put(w, DBT_ACCOUNT, name, value);
    }
    return err;
}

START_TEST(the_log_begins_anew)
{
    struct db_stats st;
    char path[128];
    struct stat sb;

    dbt_db = db_close(dbt_db);
    dbt_open_with((struct db_config){
        .log_reset_bytes = 1 << 20, .log_wait_bytes = 3 << 20, .free_min_bytes = 1});
    for (int i = 0; i < 200; i++) { /* 80 MB in all */
        struct bulk b = {i};
        ck_assert_int_eq(dbt_write(bulk_run, &b), DR_OK);
    }
    db_stats(dbt_db, &st);
    ck_assert_uint_ge(st.checkpoints, 5);
    snprintf(path, sizeof(path), "%s/" DB_FILE "-wal", dbt_dir);
    ck_assert_int_eq(stat(path, &sb), 0);
    ck_assert_int_lt(sb.st_size, 12 << 20);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("db/store");
    TCase *tc = tcase_create("groups");

    tcase_add_checked_fixture(tc, dbt_setup, dbt_teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, jobs_gather_in_groups_and_complete_in_order);
    tcase_add_loop_test(tc, a_failing_job_is_undone_alone, 0, 2);
    tcase_add_test(tc, counters_of_an_undone_job_are_undone);
    tcase_add_test(tc, an_error_that_changed_nothing_runs_once);
    tcase_add_test(tc, acknowledged_writes_overtake_write_behind);
    tcase_add_test(tc, a_full_lane_is_busy);
    tcase_add_test(tc, completions_come_to_the_home_loop);
    tcase_add_test(tc, a_read_is_one_snapshot_and_sees_what_was_acknowledged);
    suite_add_tcase(s, tc);

    tc = tcase_create("opening");
    tcase_add_checked_fixture(tc, dbt_setup, dbt_teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, a_second_opening_is_refused);
    tcase_add_test(tc, a_newer_database_is_refused_and_left_alone);
    tcase_add_test(tc, a_foreign_or_broken_file_is_refused);
    tcase_add_test(tc, a_missing_folder_is_not_found);
    tcase_add_test(tc, a_file_that_cannot_be_written_is_read_only);
    tcase_add_test(tc, everything_is_there_after_a_restart);
    tcase_add_test(tc, closing_runs_what_is_queued);
    suite_add_tcase(s, tc);

    tc = tcase_create("trouble and care");
    tcase_add_checked_fixture(tc, dbt_setup, dbt_teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, low_disk_refuses_writes_until_there_is_room);
    tcase_add_test(tc, a_full_disk_fails_the_write_and_heals);
    tcase_add_test(tc, a_backup_is_a_whole_database);
    tcase_add_test(tc, a_wrong_counter_is_found);
    tcase_add_test(tc, the_log_begins_anew);
    suite_add_tcase(s, tc);
    return dbt_main(s);
}
