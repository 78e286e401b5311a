/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conditions of lists from hostile text, run against a small database: whatever the condition is,
 * it is refused by its name or answered, page and count agree, and SQLite never meets SQL that it
 * cannot run.
 *
 * Input: one condition a line: operator character (= ! i n < > ~), field, TAB, values separated by
 * TABs. The first byte of the input chooses list and order.
 */
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/account.h"
#include "db/db.h"
#include "db/device.h"
#include "db/event.h"

#define ACCOUNT 1LL
#define ROWS    40

static struct db *db;
static sem_t sem;
static dr_err_t result;

static dr_err_t fill(struct db_writer *w, struct db_job *job)
{
    struct db_account a = {.id = ACCOUNT, .display_name = "fuzz"};
    char name[32], vendor[32];
    dr_err_t err = db_account_insert(w, &a);

    (void)job;
    for (int i = 1; i <= ROWS && err == DR_OK; i++) {
        struct db_event ev = {.id = (int64_t)i << 20, .account = ACCOUNT, .device = i % 3 + 1};
        struct db_apikey key = {.id = (int64_t)i << 20, .account = ACCOUNT, .name = name};
        struct db_device d = {.id = (int64_t)i << 20,
                              .account = ACCOUNT,
                              .endpoint_name = name,
                              .name = i % 2 == 0 ? "even" : "",
                              .vendor_id = vendor,
                              .state = (enum db_device_state)(i % 5),
                              .custom_attributes = "{\"site\":\"x\"}",
                              .updated_at = i * 1000};
        snprintf(name, sizeof(name), "ep-%d", i);
        snprintf(vendor, sizeof(vendor), "v%d", i % 4);
        err = db_device_insert(w, &d, &ev);
        if (err == DR_OK) {
            err = db_apikey_insert(w, &key);
        }
    }
    return err;
}

static void job_done(struct db_job *job, dr_err_t err)
{
    (void)job;
    result = err;
    sem_post(&sem);
}

static char dir[] = "/tmp/fuzz_db.XXXXXX";

static void close_db(void)
{
    static const char *const names[] = {"", "-wal", "-shm", ".lock"};
    char path[64];

    db = db_close(db);
    for (size_t i = 0; i < DR_ARRAY_LEN(names); i++) {
        snprintf(path, sizeof(path), "%s/" DB_FILE "%s", dir, names[i]);
        (void)remove(path);
    }
    (void)remove(dir);
}

/* The fuzzer's timer signal interrupts waiting; going on early would end the life of what the
 * reader uses. */
static void wait_done(void)
{
    while (sem_wait(&sem) != 0) {
    }
}

static void open_db(void)
{
    static struct db_job job = {.run = fill, .done = job_done};

    sem_init(&sem, 0, 0);
    if (mkdtemp(dir) == NULL) {
        abort();
    }
    struct db_config config = {.dir = dir, .sync = DB_SYNC_OFF, .readers = 1, .free_min_bytes = 1};
    if (db_open(&config, &db, NULL) != DR_OK || db_submit(db, &job) != DR_OK) {
        abort();
    }
    wait_done();
    if (result != DR_OK) {
        abort();
    }
    (void)atexit(close_db);
}

/* ---- one input ---- */

struct ask {
    struct db_read read;
    enum db_list list;
    struct db_query query;
    int64_t last, rows, count;
};

static dr_err_t see(struct ask *a, int64_t id)
{
    bool in_order = a->last == 0 || (a->query.order == DB_ASC ? id > a->last : id < a->last);

    if (!in_order) {
        abort();
    }
    a->last = id;
    a->rows++;
    return DR_OK;
}

static dr_err_t see_device(void *data, const struct db_device *row)
{
    return see((struct ask *)data, row->id);
}

static dr_err_t see_event(void *data, const struct db_event *row)
{
    return see((struct ask *)data, row->id);
}

static dr_err_t see_key(void *data, const struct db_apikey *row)
{
    return see((struct ask *)data, row->id);
}

static dr_err_t run(struct db_reader *r, struct db_read *read)
{
    struct ask *a = DR_CONTAINER_OF(read, struct ask, read);
    struct dr_errinfo info;
    dr_err_t err = DR_OK, count_err = DR_OK;

    switch (a->list) {
    case DB_LIST_DEVICE:
        err = db_device_list(r, &a->query, see_device, a, &info);
        count_err = db_device_count(r, &a->query, &a->count, &info);
        break;
    case DB_LIST_EVENT:
        err = db_event_list(r, &a->query, see_event, a, &info);
        count_err = db_event_count(r, &a->query, &a->count, &info);
        break;
    default:
        err = db_apikey_list(r, &a->query, see_key, a, &info);
        count_err = db_apikey_count(r, &a->query, &a->count, &info);
        break;
    }
    return err == count_err ? err : DR_ERR_INTERNAL;
}

static void read_done(struct db_read *read, dr_err_t err)
{
    (void)read;
    result = err;
    sem_post(&sem);
}

static enum db_op op_of(char c)
{
    static const char ops[] = "=!in<>~";
    const char *p = c != '\0' ? strchr(ops, c) : NULL;

    return p != NULL ? (enum db_op)(p - ops) : (enum db_op)7;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct db_cond conds[DB_CONDS_MAX + 2];
    static const char *values[1024];
    size_t n = 0, nv = 0;

    if (db == NULL) {
        open_db();
    }
    if (len == 0 || len > 4096) {
        return 0;
    }
    char *text = malloc(len + 1);
    if (text == NULL) {
        return 0;
    }
    memcpy(text, data, len);
    text[len] = '\0';
    char *save = NULL, *rest = text + 1;
    for (char *line = strtok_r(rest, "\n", &save); line != NULL && n < DR_ARRAY_LEN(conds);
         line = strtok_r(NULL, "\n", &save)) {
        char *tab = NULL, *field = strtok_r(line + 1, "\t", &tab);
        struct db_cond *c = &conds[n];
        *c = (struct db_cond){.field = field, .op = op_of(line[0]), .values = values + nv};
        if (field == NULL) {
            continue;
        }
        for (char *v = strtok_r(NULL, "\t", &tab); v != NULL && nv < DR_ARRAY_LEN(values);
             v = strtok_r(NULL, "\t", &tab)) {
            values[nv++] = v;
            c->n_values++;
        }
        n++;
    }
    struct ask a = {
        .read = {.fn = run, .done = read_done},
        .list = (enum db_list)(data[0] % 3),
        .query = {.account = ACCOUNT,
                  .conds = conds,
                  .n_conds = n,
                  .order = (data[0] & 4) != 0 ? DB_DESC : DB_ASC,
                  .limit = ROWS + 1},
    };
    dr_err_t checked = db_conds_check(a.list, conds, n, NULL);
    if (db_read_start(db, &a.read) != DR_OK) {
        abort();
    }
    wait_done();
    if (result != checked || (result == DR_OK && a.count != a.rows) || (n == 0 && a.rows != ROWS) ||
        (result != DR_OK && result != DR_ERR_INVAL && result != DR_ERR_LIMIT)) {
        fprintf(stderr, "checked %s, run %s, %lld rows, count %lld\n", dr_err_name(checked),
                dr_err_name(result), (long long)a.rows, (long long)a.count);
        abort();
    }
    free(text);
    return 0;
}
