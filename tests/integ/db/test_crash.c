/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was acknowledged survives: power cuts that lose and tear unsynced writes, and disks and
 * memory that fail at the n-th call.
 *
 * Every job makes two settings and a registration. Afterwards: a job that was acknowledged is there
 * whole; one that failed is there whole or not at all.
 */
#include "tests/integ/db/dbt.h"

#include <sqlite3.h>
#include <stdatomic.h>

#include "db/vfs_shim.h"

#define JOBS     400
#define ENDS     20 /* endpoints that the jobs share */
#define CUTS     300
#define IN_ORDER 25 /* jobs of the n-th failure runs */

struct work {
    struct db_job job;
    int i;
    dr_err_t err;
    int64_t generation;
};

static struct work works[JOBS];
static sem_t window;

static dr_err_t work_run(struct db_writer *w, struct db_job *job)
{
    struct work *k = DR_CONTAINER_OF(job, struct work, job);
    char name[32];
    static char bulk[3000];
    struct db_register_out out;

    memset(bulk, 'b', sizeof(bulk) - 1);
    snprintf(name, sizeof(name), "a.%d", k->i);
    dr_err_t err = db_setting_add(w, DBT_ACCOUNT, name, bulk);
    snprintf(name, sizeof(name), "ep-%d", k->i % ENDS);
    struct db_register_in in = {
        .account = DBT_ACCOUNT,
        .endpoint_name = name,
        .new_device = (int64_t)(k->i + 1) << 20,
        .event_ids = {((int64_t)(k->i + 1) << 20) + 1, ((int64_t)(k->i + 1) << 20) + 2},
        .lifetime_s = 60,
        .at_ms = k->i,
        .binding = "U",
    };
    if (err == DR_OK) {
        err = db_register(w, &in, &out);
        k->generation = out.generation;
    }
    snprintf(name, sizeof(name), "b.%d", k->i);
    return err == DR_OK ? db_setting_add(w, DBT_ACCOUNT, name, "x") : err;
}

static void work_done(struct db_job *job, dr_err_t err)
{
    struct work *k = DR_CONTAINER_OF(job, struct work, job);

    k->err = err;
    sem_post(&window);
}

static void submit_work(int i, bool savepoint)
{
    struct work *k = &works[i];

    *k = (struct work){.i = i, .job = {.run = work_run, .done = work_done, .savepoint = savepoint}};
    dr_err_t err = db_submit(dbt_db, &k->job);
    if (err != DR_OK) {
        work_done(&k->job, err);
    }
}

/* ---- afterwards ---- */

struct state {
    bool a[JOBS], b[JOBS];
    int64_t generation[ENDS];
};

static dr_err_t see_setting(void *data, const char *name, const char *value)
{
    struct state *s = (struct state *)data;
    int i = (int)strtol(name + 2, NULL, 10);

    (void)value;
    ck_assert(i >= 0 && i < JOBS);
    (name[0] == 'a' ? s->a : s->b)[i] = true;
    return DR_OK;
}

static dr_err_t see_registration(void *data, const struct db_registration *row)
{
    struct state *s = (struct state *)data;

    s->generation[strtol(row->endpoint_name + 3, NULL, 10)] = row->generation;
    return DR_OK;
}

static dr_err_t load_state(struct db_reader *r, void *ctx)
{
    dr_err_t err = db_setting_list(r, DBT_ACCOUNT, "a.", see_setting, ctx);

    if (err == DR_OK) {
        err = db_setting_list(r, DBT_ACCOUNT, "b.", see_setting, ctx);
    }
    return err == DR_OK ? db_registration_list(r, 0, 1000, see_registration, ctx) : err;
}

static void check_state(int n, const char *what, unsigned seed)
{
    static struct state s;
    int there[ENDS] = {0};

    memset(&s, 0, sizeof(s));
    ck_assert_int_eq(dbt_read(load_state, &s), DR_OK);
    for (int i = 0; i < n; i++) {
        ck_assert_msg(s.a[i] == s.b[i], "%s %u: job %d is there by half", what, seed, i);
        ck_assert_msg(works[i].err != DR_OK || s.a[i], "%s %u: job %d is lost", what, seed, i);
        there[i % ENDS] += s.a[i];
    }
    for (int e = 0; e < ENDS; e++) {
        ck_assert_msg(s.generation[e] == there[e], "%s %u: endpoint %d has generation %lld of %d",
                      what, seed, e, (long long)s.generation[e], there[e]);
    }
}

/* ---- power cuts ---- */

static uint32_t mix(uint32_t x)
{
    x ^= x >> 16;
    x *= 0x7feb352dU;
    x ^= x >> 15;
    x *= 0x846ca68bU;
    return x ^ (x >> 16);
}

static void one_cut(unsigned seed)
{
    uint32_t depth = 1 + mix(seed * 3 + 1) % 40;
    int n = 0;

    dbt_db = db_close(dbt_db);
    db_shim_record(true);
    dbt_open_with(
        (struct db_config){.free_min_bytes = 1, .vfs = DB_SHIM_NAME, .log_reset_bytes = 200000});
    db_shim_cut(mix(seed * 3 + 2) % 600);
    sem_init(&window, 0, depth);
    for (; n < JOBS && !db_shim_is_cut(); n++) {
        sem_wait(&window);
        submit_work(n, n % 3 == 0);
    }
    db_shim_cut(0);
    for (uint32_t i = 0; i < depth; i++) {
        sem_wait(&window);
    }
    sem_destroy(&window);
    dbt_db = db_close(dbt_db);
    ck_assert_int_eq(db_shim_power_back(seed), DR_OK);
    dbt_open_with((struct db_config){.free_min_bytes = 1});
    check_state(n, "cut", seed);
}

START_TEST(no_acknowledged_write_is_lost_in_a_power_cut)
{
    struct dr_errinfo info;

    for (int k = 0; k < CUTS / 10; k++) {
        unsigned seed = (unsigned)(_i * CUTS / 10 + k);
        dbt_setup();
        one_cut(seed);
        dbt_db = db_close(dbt_db);
        ck_assert_msg(db_check(dbt_dir, dbt_note_problem, NULL, &info) == DR_OK, "cut %u: %s", seed,
                      info.text);
        dbt_rm(dbt_dir);
    }
}
END_TEST

START_TEST(the_shim_really_loses_what_was_not_synced)
{
    /* With syncs off, cuts must lose acknowledged writes, or the tests above prove nothing. */
    int lost = 0;

    for (unsigned seed = 0; seed < 10; seed++) {
        struct db_config config = {.free_min_bytes = 1, .vfs = DB_SHIM_NAME, .sync = DB_SYNC_OFF};
        struct db *db = NULL;
        static struct state s;
        dbt_setup();
        dbt_db = db_close(dbt_db);
        db_shim_record(true);
        dbt_open_with(config);
        sem_init(&window, 0, 1);
        for (int i = 0; i < 50; i++) {
            sem_wait(&window);
            submit_work(i, false);
        }
        sem_wait(&window);
        sem_destroy(&window);
        db_shim_cut(0);
        dbt_db = db_close(dbt_db);
        ck_assert_int_eq(db_shim_power_back(seed), DR_OK);
        config = (struct db_config){.dir = dbt_dir, .free_min_bytes = 1};
        memset(&s, 0, sizeof(s));
        if (db_open(&config, &db, NULL) != DR_OK) {
            lost++;
        } else {
            dbt_db = db;
            if (dbt_read(load_state, &s) != DR_OK || !s.b[49]) {
                lost++;
            }
            dbt_db = db_close(dbt_db);
        }
        dbt_rm(dbt_dir);
    }
    ck_assert_int_gt(lost, 0);
}
END_TEST

/* ---- the n-th call fails ---- */

static void submit_in_order(int n)
{
    sem_init(&window, 0, 1);
    for (int i = 0; i < n; i++) {
        sem_wait(&window);
        submit_work(i, i % 2 == 0);
    }
    sem_wait(&window);
    sem_destroy(&window);
}

/* Once the trouble is over the store must take writes again by itself. */
static void wait_until_writable(void)
{
    struct db_stats st;

    for (int i = 0; i < 500; i++) {
        db_stats(dbt_db, &st);
        if (!st.refusing) {
            return;
        }
        usleep(10000);
    }
    ck_abort_msg("still refusing writes");
}

static const enum db_shim_fail kinds[] = {DB_SHIM_FAIL_WRITE, DB_SHIM_FAIL_FULL, DB_SHIM_FAIL_SYNC,
                                          DB_SHIM_FAIL_READ};

START_TEST(a_failing_disk_call_loses_and_halves_nothing)
{
    enum db_shim_fail kind = kinds[_i];
    uint32_t calls = UINT32_MAX, nth;

    ck_assert_int_eq(db_shim_register(), DR_OK);
    /* A full disk is waited out, for a second each time: larger steps. */
    for (nth = 1; nth < 400; nth += 1 + nth / (kind == DB_SHIM_FAIL_FULL ? 3 : 12)) {
        int failed = 0;
        dbt_setup();
        dbt_db = db_close(dbt_db);
        db_shim_fail(DB_SHIM_FAIL_NONE, 0, 0);
        dbt_open_with((struct db_config){
            .free_min_bytes = 1, .vfs = DB_SHIM_NAME, .log_reset_bytes = 100000});
        db_shim_fail(kind, nth, 1);
        submit_in_order(IN_ORDER);
        calls = db_shim_calls(kind);
        for (int i = 0; i < IN_ORDER; i++) {
            failed += works[i].err != DR_OK;
        }
        db_shim_fail(DB_SHIM_FAIL_NONE, 0, 0);
        wait_until_writable();
        dbt_reopen();
        check_state(IN_ORDER, "call", nth);
        dbt_teardown();
        if (nth == 1 && kind != DB_SHIM_FAIL_READ) {
            ck_assert_int_gt(failed, 0);
        }
        if (calls < nth) {
            break; /* it was never reached: all have had their turn */
        }
    }
    ck_assert_uint_gt(nth, 5);
}
END_TEST

START_TEST(a_failing_opening_leaves_a_good_database)
{
    enum db_shim_fail kind = kinds[_i];
    struct db_config config = {.free_min_bytes = 1, .vfs = DB_SHIM_NAME};
    int failures = 0;

    ck_assert_int_eq(db_shim_register(), DR_OK);
    for (uint32_t nth = 1; nth < 60; nth++) {
        struct db *db = NULL;
        struct dr_errinfo info;
        dbt_make_dir();
        config.dir = dbt_dir;
        db_shim_fail(kind, nth, 1);
        dr_err_t err = db_open(&config, &db, &info);
        db_shim_fail(DB_SHIM_FAIL_NONE, 0, 0);
        if (err == DR_OK) {
            db = db_close(db);
        } else {
            failures++;
            ck_assert_ptr_null(db);
            ck_assert_str_ne(info.text, "");
        }
        dbt_open_with((struct db_config){.free_min_bytes = 1});
        dbt_teardown();
    }
    ck_assert_int_gt(failures, 0);
}
END_TEST

/* ---- memory ---- */

static sqlite3_mem_methods real_mem;
static _Atomic uint32_t mem_calls, mem_fail_at;

static bool mem_fails(void)
{
    uint32_t at = atomic_load(&mem_fail_at);

    return atomic_fetch_add(&mem_calls, 1) + 1 == at;
}

static void *mem_alloc(int n)
{
    return mem_fails() ? NULL : real_mem.xMalloc(n);
}

static void *mem_realloc(void *p, int n)
{
    return mem_fails() ? NULL : real_mem.xRealloc(p, n);
}

static bool wrap_memory(void)
{
    sqlite3_mem_methods mine;

    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_mem) != SQLITE_OK) {
        return false;
    }
    mine = real_mem;
    mine.xMalloc = mem_alloc;
    mine.xRealloc = mem_realloc;
    return sqlite3_config(SQLITE_CONFIG_MALLOC, &mine) == SQLITE_OK;
}

START_TEST(a_failing_allocation_loses_and_halves_nothing)
{
    uint32_t calls = UINT32_MAX;
    int failed = 0;

    for (uint32_t nth = 1 + (uint32_t)_i; nth <= calls; nth += 4 + nth / 20) {
        dbt_setup();
        atomic_store(&mem_calls, 0);
        atomic_store(&mem_fail_at, nth);
        submit_in_order(IN_ORDER);
        calls = atomic_load(&mem_calls);
        atomic_store(&mem_fail_at, 0);
        for (int i = 0; i < IN_ORDER; i++) {
            failed += works[i].err != DR_OK;
        }
        check_state(IN_ORDER, "allocation", nth);
        dbt_teardown();
    }
    ck_assert_int_gt(failed, 0);
}
END_TEST

START_TEST(an_opening_without_memory_fails_cleanly)
{
    struct db_config config = {.free_min_bytes = 1};
    uint32_t calls = UINT32_MAX;

    for (uint32_t nth = 1 + (uint32_t)_i; nth <= calls; nth += 4 + nth / 20) {
        struct db *db = NULL;
        dbt_make_dir();
        config.dir = dbt_dir;
        atomic_store(&mem_calls, 0);
        atomic_store(&mem_fail_at, nth);
        dr_err_t err = db_open(&config, &db, NULL);
        calls = atomic_load(&mem_calls);
        atomic_store(&mem_fail_at, 0);
        ck_assert(err == DR_OK || db == NULL);
        db = db_close(db);
        dbt_open_with((struct db_config){.free_min_bytes = 1});
        dbt_teardown();
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("db/crash");
    TCase *tc = tcase_create("power");

    if (!wrap_memory() || db_shim_register() != DR_OK) {
        return 1;
    }
    tcase_set_timeout(tc, 300);
    tcase_add_loop_test(tc, no_acknowledged_write_is_lost_in_a_power_cut, 0, 10);
    tcase_add_test(tc, the_shim_really_loses_what_was_not_synced);
    suite_add_tcase(s, tc);

    tc = tcase_create("n-th call");
    tcase_set_timeout(tc, 300);
    tcase_add_loop_test(tc, a_failing_disk_call_loses_and_halves_nothing, 0, 4);
    tcase_add_loop_test(tc, a_failing_opening_leaves_a_good_database, 0, 4);
    tcase_add_loop_test(tc, a_failing_allocation_loses_and_halves_nothing, 0, 4);
    tcase_add_loop_test(tc, an_opening_without_memory_fails_cleanly, 0, 4);
    suite_add_tcase(s, tc);
    return dbt_main(s);
}
