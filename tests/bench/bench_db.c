/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the store costs: registrations in groups, with and without a slow disk, and pages of a
 * directory of a million devices. Prints a table, and with --json FILE one object a line.
 * usage: bench_db [--devices N] [--json FILE]
 */
#include <getopt.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "db/account.h"
#include "db/db.h"
#include "db/device.h"
#include "db/registration.h"
#include "db/vfs_shim.h"

#define ACCOUNT   77LL
#define WINDOW    4096
#define CHUNK     1000
#define PAGE_REPS 200

static struct db *db;
static FILE *json;

static void die(const char *what, dr_err_t err)
{
    fprintf(stderr, "bench_db: %s: %s\n", what, dr_err_str(err));
    exit(1);
}

/* ---- one waited-for job ---- */

struct one {
    struct db_job job;
    dr_err_t (*fn)(struct db_writer *w, void *ctx);
    void *ctx;
    dr_err_t err;
    sem_t sem;
};

static dr_err_t one_run(struct db_writer *w, struct db_job *job)
{
    struct one *o = DR_CONTAINER_OF(job, struct one, job);

    return o->fn(w, o->ctx);
}

static void one_done(struct db_job *job, dr_err_t err)
{
    struct one *o = DR_CONTAINER_OF(job, struct one, job);

    o->err = err;
    sem_post(&o->sem);
}

static void write_one(const char *what, dr_err_t (*fn)(struct db_writer *, void *), void *ctx)
{
    struct one o = {.job = {.run = one_run, .done = one_done}, .fn = fn, .ctx = ctx};

    sem_init(&o.sem, 0, 0);
    dr_err_t err = db_submit(db, &o.job);
    if (err == DR_OK) {
        sem_wait(&o.sem);
        err = o.err;
    }
    sem_destroy(&o.sem);
    if (err != DR_OK) {
        die(what, err);
    }
}

static dr_err_t make_account(struct db_writer *w, void *ctx)
{
    struct db_account a = {.id = ACCOUNT, .display_name = "bench", .status = "ACTIVE"};

    (void)ctx;
    return db_account_insert(w, &a);
}

/* ---- registrations: a window of jobs of one Register each, as the server sends them ---- */

struct reg {
    struct db_job job;
    uint32_t i;
    uint32_t seq; /* ids are made in the order of arrival, names come in any order */
    uint32_t round;
};

static sem_t window;
static _Atomic uint32_t bad;
static uint32_t fleet;

static int64_t device_id(uint32_t i)
{
    return ((1700000000000LL + i / 64) << 20) | (i % 64);
}

static dr_err_t reg_run(struct db_writer *w, struct db_job *job)
{
    struct reg *r = DR_CONTAINER_OF(job, struct reg, job);
    static const char links[] = "</1/0>,</2/0>,</3/0>,</4/0>,</5/0>,</3303/0>,</3303/1>,</10252/0>";
    char name[32], address[48];
    struct db_register_out out;

    snprintf(name, sizeof(name), "bench-%09u", r->i);
    snprintf(address, sizeof(address), "127.1.%u.%u:56830", (r->i >> 8) & 255, r->i & 255);
    struct db_register_in in = {
        .account = ACCOUNT,
        .endpoint_name = name,
        .new_device = device_id(r->seq),
        .event_ids = {device_id(r->seq) + 128, device_id(r->seq) + 256},
        .at_ms = 1700000000000LL + r->round * 1000000LL + r->i,
        .lifetime_s = 86400,
        .version_major = 1,
        .version_minor = 1,
        .binding = "U",
        .links = dr_bytes_of(links, sizeof(links) - 1),
        .address = address,
        .endpoint_type = "bench",
    };
    return db_register(w, &in, &out);
}

static void reg_done(struct db_job *job, dr_err_t err)
{
    struct reg *r = DR_CONTAINER_OF(job, struct reg, job);

    if (err != DR_OK) {
        bad++;
    }
    free(r);
    sem_post(&window);
}

static void row(const char *what, uint32_t devices, double per_s, double us, double p50, double p99)
{
    printf("%-34s %9u  %10.0f /s  %7.2f us CPU", what, devices, per_s, us);
    if (p99 > 0) {
        printf("  p50 %6.2f ms  p99 %6.2f ms", p50, p99);
    }
    printf("\n");
    fflush(stdout);
    if (json != NULL) {
        fprintf(json,
                "{\"bench\":\"db\",\"case\":\"%s\",\"devices\":%u,\"ops_per_s\":%.0f,"
                "\"server_cpu_us_per_op\":%.3f,\"p50_ms\":%.3f,\"p99_ms\":%.3f}\n",
                what, devices, per_s, us, p50, p99);
    }
}

static void registrations(const char *what, uint32_t first, uint32_t n, uint32_t round,
                          unsigned in_flight)
{
    struct db_stats s0, s1;

    db_stats(db, &s0);
    bad = 0;
    sem_init(&window, 0, in_flight);
    uint64_t t0 = dr_mono_us(), c0 = dr_process_cpu_us();
    for (uint32_t k = 0; k < n; k++) {
        sem_wait(&window);
        struct reg *r = calloc(1, sizeof(*r));
        if (r == NULL) {
            die(what, DR_ERR_NOMEM);
        }
        /* devices come in any order, but each once */
        r->i = first + (uint32_t)(((uint64_t)k * 7919) % n);
        r->seq = first + k;
        r->round = round;
        r->job = (struct db_job){.run = reg_run, .done = reg_done};
        dr_err_t err = db_submit(db, &r->job);
        if (err != DR_OK) {
            die(what, err);
        }
    }
    for (unsigned i = 0; i < in_flight; i++) {
        sem_wait(&window);
    }
    uint64_t us = dr_mono_us() - t0, cpu = dr_process_cpu_us() - c0;
    sem_destroy(&window);
    db_stats(db, &s1);
    if (bad != 0) {
        die(what, DR_ERR_INTERNAL);
    }
    row(what, fleet, n * 1e6 / (double)us, (double)cpu / n, 0, 0);
    printf("%-34s %9s  %.0f jobs a commit, log %.0f MB, longest commit %.1f ms\n", "", "",
           (double)(s1.jobs - s0.jobs) / (double)(s1.commits - s0.commits),
           (double)s1.log_bytes / 1e6, (double)s1.commit_max_us / 1e3);
}

/* ---- pages ---- */

static const char *const classes[] = {"11111111111111111111111111111111",
                                      "22222222222222222222222222222222",
                                      "33333333333333333333333333333333"};

struct fill {
    uint32_t from, n;
};

static dr_err_t fill_run(struct db_writer *w, void *ctx)
{
    const struct fill *f = (const struct fill *)ctx;
    char name[32], vendor[40], attributes[64];

    for (uint32_t i = f->from; i < f->from + f->n; i++) {
        snprintf(name, sizeof(name), "bench-%09u", i);
        snprintf(vendor, sizeof(vendor), "%032x", i % 1000);
        snprintf(attributes, sizeof(attributes), "{\"site\":\"s%u\"}", i % 50);
        struct db_device d = {
            .id = device_id(i),
            .account = ACCOUNT,
            .endpoint_name = name,
            .updated_at = 1700000000000LL + (int64_t)(i * 2654435761U % 1000000000U),
            .state = i % 10 == 0 ? DB_DEVICE_DEREGISTERED : DB_DEVICE_REGISTERED,
            .device_class = classes[i % 3],
            .vendor_id = vendor,
            .endpoint_type = "bench",
            .custom_attributes = attributes,
        };
        dr_err_t err = db_device_insert(w, &d, NULL);
        if (err != DR_OK) {
            return err;
        }
    }
    return DR_OK;
}

struct page {
    struct db_read read;
    struct db_query query;
    uint32_t rows;
    uint64_t us, cpu_us;
    dr_err_t err;
    bool count;
    int64_t total;
    sem_t sem;
};

static dr_err_t page_row(void *data, const struct db_device *d)
{
    struct page *p = (struct page *)data;

    p->rows += d->id != 0;
    return DR_OK;
}

static dr_err_t page_run(struct db_reader *r, struct db_read *read)
{
    struct page *p = DR_CONTAINER_OF(read, struct page, read);
    uint64_t t0 = dr_mono_us(), c0 = dr_thread_cpu_us();
    dr_err_t err = p->count ? db_device_count(r, &p->query, &p->total, NULL)
                            : db_device_list(r, &p->query, page_row, p, NULL);

    p->us = dr_mono_us() - t0;
    p->cpu_us = dr_thread_cpu_us() - c0;
    return err;
}

static void page_done(struct db_read *read, dr_err_t err)
{
    struct page *p = DR_CONTAINER_OF(read, struct page, read);

    p->err = err;
    sem_post(&p->sem);
}

static int by_size(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static void pages(const char *what, const struct db_cond *conds, size_t n, bool count, int reps)
{
    static uint64_t us[PAGE_REPS];
    uint64_t cpu = 0, sum = 0;
    struct page p = {.count = count};

    for (int i = 0; i < reps; i++) {
        uint64_t mix = (uint64_t)i * 2654435761U;
        p.read = (struct db_read){.fn = page_run, .done = page_done};
        p.query = (struct db_query){
            .account = ACCOUNT,
            .conds = conds,
            .n_conds = n,
            .after = i == 0 ? 0 : device_id((uint32_t)(mix % (fleet * 9ULL / 10))),
            .limit = 100,
        };
        p.rows = 0;
        sem_init(&p.sem, 0, 0);
        dr_err_t err = db_read_start(db, &p.read);
        if (err == DR_OK) {
            sem_wait(&p.sem);
            err = p.err;
        }
        if (err != DR_OK) {
            die(what, err);
        }
        us[i] = p.us;
        sum += p.us;
        cpu += p.cpu_us;
    }
    qsort(us, (size_t)reps, sizeof(us[0]), by_size);
    row(what, fleet, reps * 1e6 / (double)sum, (double)cpu / reps, (double)us[reps / 2] / 1e3,
        (double)us[reps - 1 - reps / 100] / 1e3);
}

static void all_pages(void)
{
    static const char *const registered[] = {"registered"}, *const gone[] = {"deregistered"};
    static const char *const vendor[] = {"00000000000000000000000000000007"};
    static const char *const late[] = {"2023-11-26T00:00:00Z"}, *const any[] = {"2023-01-01"};
    static const char *const site[] = {"s7"}, *const name[] = {"bench-000004711"};
    static const char *const two_classes[] = {"11111111111111111111111111111111",
                                              "33333333333333333333333333333333"};
    const struct db_cond state = {"state", DB_OP_EQ, registered, 1};
    const struct db_cond rare_state = {"state", DB_OP_EQ, gone, 1};
    const struct db_cond not_registered = {"state", DB_OP_NEQ, registered, 1};
    const struct db_cond klass = {"device_class", DB_OP_EQ, classes, 1};
    const struct db_cond class_in = {"device_class", DB_OP_IN, two_classes, 2};
    const struct db_cond by_vendor = {"vendor_id", DB_OP_EQ, vendor, 1};
    const struct db_cond endpoint = {"endpoint_name", DB_OP_EQ, name, 1};
    const struct db_cond updated_late = {"updated_at", DB_OP_GTE, late, 1};
    const struct db_cond updated_any = {"updated_at", DB_OP_GTE, any, 1};
    const struct db_cond created = {"created_at", DB_OP_GTE, any, 1};
    const struct db_cond at_site = {"custom_attributes__site", DB_OP_EQ, site, 1};
    const struct db_cond both[] = {klass, by_vendor};
    const struct db_cond three[] = {state, class_in, updated_any};

    pages("page: all", NULL, 0, false, PAGE_REPS);
    pages("page: state=registered", &state, 1, false, PAGE_REPS);
    pages("page: state=deregistered", &rare_state, 1, false, PAGE_REPS);
    pages("page: state__neq=registered", &not_registered, 1, false, PAGE_REPS);
    pages("page: device_class", &klass, 1, false, PAGE_REPS);
    pages("page: device_class__in two", &class_in, 1, false, PAGE_REPS);
    pages("page: vendor_id", &by_vendor, 1, false, PAGE_REPS);
    pages("page: class and vendor", both, 2, false, PAGE_REPS);
    pages("page: endpoint_name", &endpoint, 1, false, PAGE_REPS);
    pages("page: updated_at late", &updated_late, 1, false, PAGE_REPS);
    pages("page: updated_at all", &updated_any, 1, false, PAGE_REPS);
    pages("page: created_at", &created, 1, false, PAGE_REPS);
    pages("page: state, class in, updated", three, 3, false, PAGE_REPS);
    pages("page: custom attribute", &at_site, 1, false, PAGE_REPS);
    pages("count: all", NULL, 0, true, PAGE_REPS);
    pages("count: state", &state, 1, true, PAGE_REPS);
    pages("count: class and vendor", both, 2, true, 20);
    pages("count: updated_at (computed)", &updated_any, 1, true, 3);
}

static void open_db(const char *dir, uint32_t delay_ms)
{
    struct dr_errinfo info;
    struct db_config config = {.dir = dir, .fsync_delay_ms = delay_ms};

    if (delay_ms == 0) {
        db_shim_sync_delay(0);
    }
    dr_err_t err = db_open(&config, &db, &info);
    if (err != DR_OK) {
        die(info.text, err);
    }
}

static void remove_files(const char *dir)
{
    static const char *const names[] = {"", "-wal", "-shm", ".lock"};
    char path[128];

    for (size_t i = 0; i < DR_ARRAY_LEN(names); i++) {
        snprintf(path, sizeof(path), "%s/" DB_FILE "%s", dir, names[i]);
        (void)unlink(path);
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"devices", required_argument, NULL, 'd'},
                                            {"json", required_argument, NULL, 'j'},
                                            {NULL, 0, NULL, 0}};
    uint32_t big = 1000000;
    char dir[] = "/tmp/bench_db.XXXXXX";
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'd') {
            big = (uint32_t)strtoul(optarg, NULL, 10);
        } else if (c == 'j') {
            json = fopen(optarg, "a");
        } else {
            return 2;
        }
    }
    if (mkdtemp(dir) == NULL) {
        return 1;
    }
    open_db(dir, 0);
    write_one("account", make_account, NULL);
    fleet = 100000;
    registrations("register: new", 0, fleet, 0, WINDOW);
    registrations("register: again", 0, fleet, 1, WINDOW);
    registrations("register: again, 100 in flight", 0, fleet, 2, 100);
    db = db_close(db);
    open_db(dir, 10);
    registrations("register: again, fsync +10 ms", 0, 50000, 3, WINDOW);
    registrations("register: new, fsync +10 ms", fleet, 50000, 4, WINDOW);
    db = db_close(db);

    remove_files(dir);
    open_db(dir, 0);
    write_one("account", make_account, NULL);
    fleet = big;
    uint64_t t0 = dr_mono_us(), c0 = dr_process_cpu_us();
    for (uint32_t i = 0; i < big; i += CHUNK) {
        struct fill f = {.from = i, .n = CHUNK};
        write_one("fill", fill_run, &f);
    }
    row("device row: insert", big, big * 1e6 / (double)(dr_mono_us() - t0),
        (double)(dr_process_cpu_us() - c0) / big, 0, 0);
    all_pages();
    db = db_close(db);

    remove_files(dir);
    (void)rmdir(dir);
    if (json != NULL) {
        fclose(json);
    }
    return 0;
}
