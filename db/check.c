/* SPDX-License-Identifier: Apache-2.0 */
/* What `droverd check` asks of a database that nobody has open. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "db/db_priv.h"

#define CHECK_CACHE_KIB 16384

struct report {
    void (*fn)(void *data, const char *problem);
    void *data;
    uint64_t n;
};

static void problem(struct report *rep, const char *text)
{
    rep->n++;
    if (rep->fn != NULL) {
        rep->fn(rep->data, text);
    }
}

static dr_err_t check_pages(struct db_reader *c, struct report *rep)
{
    struct conn_q q = conn_q(c, "PRAGMA integrity_check(100)");

    while (conn_row(&q)) {
        const char *text = conn_col_text(&q, 0);
        if (strcmp(text, "ok") != 0) {
            problem(rep, text);
        }
    }
    return conn_end(&q);
}

static dr_err_t check_keys(struct db_reader *c, struct report *rep)
{
    char text[256];
    struct conn_q q = conn_q(c, "PRAGMA foreign_key_check");

    while (conn_row(&q)) {
        (void)snprintf(text, sizeof(text), "row %lld of %s names a row of %s that is not there",
                       (long long)conn_col_int(&q, 1), conn_col_text(&q, 0), conn_col_text(&q, 2));
        problem(rep, text);
    }
    return conn_end(&q);
}

/* Rows: account, facet, value, counted, kept. */
static const char counters_sql[] =
    "WITH real(account, facet, value, n) AS ("
    "  SELECT account, 0, '', count(*) FROM device GROUP BY account"
    "  UNION ALL SELECT account, 1, CAST(state AS TEXT), count(*) FROM device GROUP BY account,"
    "   state"
    "  UNION ALL SELECT account, 2, endpoint_type, count(*) FROM device"
    "   WHERE length(CAST(endpoint_type AS BLOB)) BETWEEN 1 AND 64 GROUP BY account, endpoint_type"
    "  UNION ALL SELECT account, 3, device_class, count(*) FROM device"
    "   WHERE length(CAST(device_class AS BLOB)) BETWEEN 1 AND 64 GROUP BY account, device_class"
    "  UNION ALL SELECT account, 4, vendor_id, count(*) FROM device"
    "   WHERE length(CAST(vendor_id AS BLOB)) BETWEEN 1 AND 64 GROUP BY account, vendor_id),"
    " both(account, facet, value, n, kept) AS ("
    "  SELECT account, facet, value, n, 0 FROM real"
    "  UNION ALL SELECT account, facet, value, 0, n FROM counter)"
    " SELECT account, facet, value, sum(n), sum(kept) FROM both"
    " GROUP BY account, facet, value HAVING sum(n) <> sum(kept) LIMIT 100";

static dr_err_t check_counters(struct db_reader *c, struct report *rep)
{
    char text[256];
    struct conn_q q = conn_q(c, counters_sql);

    while (conn_row(&q)) {
        (void)snprintf(
            text, sizeof(text), "counter %lld '%s' of account %lld says %lld, there are %lld",
            (long long)conn_col_int(&q, 1), conn_col_text(&q, 2), (long long)conn_col_int(&q, 0),
            (long long)conn_col_int(&q, 4), (long long)conn_col_int(&q, 3));
        problem(rep, text);
    }
    return conn_end(&q);
}

static dr_err_t check_file(const char *path, struct report *rep, struct dr_errinfo *reterr)
{
    struct db_reader c;
    dr_err_t err = conn_open(&c, path, CONN_WRITE, NULL, CHECK_CACHE_KIB, reterr);

    if (err != DR_OK) {
        return err;
    }
    err = db_schema_migrate(&c, true, reterr);
    if (err == DR_OK) {
        err = check_pages(&c, rep);
    }
    if (err == DR_OK) {
        err = check_keys(&c, rep);
    }
    if (err == DR_OK) {
        err = check_counters(&c, rep);
    }
    if (err != DR_OK && reterr != NULL && reterr->text[0] == '\0') {
        dr_errinfo_set(reterr, path, 0, "%s", sqlite3_errmsg(c.h));
    }
    conn_close(&c);
    return err;
}

dr_err_t db_check(const char *dir, void (*report)(void *data, const char *problem), void *data,
                  struct dr_errinfo *reterr)
{
    struct report rep = {.fn = report, .data = data};
    struct dr_errinfo info = {{0}, 0, {0}};
    char *path = NULL, *lock = NULL;
    dr_err_t err = DR_ERR_NOMEM;
    int fd = -1;

    dr_assert(dir != NULL);
    if (asprintf(&path, "%s/%s", dir, DB_FILE) < 0) {
        path = NULL;
        goto out;
    }
    if (access(path, F_OK) != 0) {
        dr_errinfo_set(&info, path, 0, "%s", strerror(errno));
        err = DR_ERR_NOT_FOUND;
        goto out;
    }
    if (asprintf(&lock, "%s.lock", path) < 0) {
        lock = NULL;
        goto out;
    }
    fd = open(lock, O_RDWR | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
        dr_errinfo_set(&info, lock, 0, "another process has the database open");
        err = DR_ERR_IN_USE;
        goto out;
    }
    err = check_file(path, &rep, &info);
    if (err == DR_OK && rep.n != 0) {
        dr_errinfo_set(&info, path, 0, "%llu problems", (unsigned long long)rep.n);
        err = DR_ERR_CORRUPT;
    }
out:
    if (fd >= 0) {
        (void)close(fd);
    }
    free(lock);
    free(path);
    if (err != DR_OK && reterr != NULL) {
        *reterr = info;
    }
    return err;
}
