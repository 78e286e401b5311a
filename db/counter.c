/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters of devices. A group of registrations touches the same few counters again and again, so
 * changes are kept in memory until its commit and written once each. The writer cuts the list back
 * when it undoes a job.
 */
#include <stdlib.h>
#include <string.h>

#include "db/db_priv.h"

dr_err_t db_count_add(struct db_writer *w, int64_t account, enum db_facet facet, const char *value,
                      int64_t n)
{
    size_t len = strlen(value);

    if (len > DB_COUNT_VALUE_MAX || (len == 0 && facet != DB_FACET_TOTAL)) {
        return DR_OK;
    }
    if (w->n_deltas == w->cap_deltas) {
        size_t cap = w->cap_deltas == 0 ? 256 : w->cap_deltas * 2;
        struct db_delta *d = realloc(w->deltas, cap * sizeof(*d));
        if (d == NULL) {
            return DR_ERR_NOMEM;
        }
        w->deltas = d;
        w->cap_deltas = cap;
    }
    struct db_delta *d = &w->deltas[w->n_deltas++];
    d->account = account;
    d->n = n;
    d->facet = facet;
    memcpy(d->value, value, len + 1);
    return DR_OK;
}

static int delta_cmp(const void *a, const void *b)
{
    const struct db_delta *x = (const struct db_delta *)a, *y = (const struct db_delta *)b;

    if (x->account != y->account) {
        return x->account < y->account ? -1 : 1;
    }
    if (x->facet != y->facet) {
        return x->facet < y->facet ? -1 : 1;
    }
    return strcmp(x->value, y->value);
}

static dr_err_t write_one(struct db_writer *w, const struct db_delta *d, int64_t n)
{
    struct conn_q q = conn_q(&w->conn, "INSERT INTO counter (account, facet, value, n)"
                                       " VALUES (?, ?, ?, ?)"
                                       " ON CONFLICT DO UPDATE SET n = n + excluded.n");
    conn_put_int(&q, d->account);
    conn_put_int(&q, d->facet);
    conn_put_text(&q, d->value);
    conn_put_int(&q, n);
    return conn_run(&q, NULL);
}

dr_err_t db_count_flush(struct db_writer *w, size_t from)
{
    dr_err_t err = DR_OK;
    size_t i = from;

    dr_assert(from <= w->n_deltas);
    if (from == w->n_deltas) {
        return DR_OK;
    }
    qsort(w->deltas + from, w->n_deltas - from, sizeof(*w->deltas), delta_cmp);
    while (i < w->n_deltas && err == DR_OK) {
        const struct db_delta *d = &w->deltas[i];
        int64_t n = 0;
        while (i < w->n_deltas && delta_cmp(d, &w->deltas[i]) == 0) {
            n += w->deltas[i++].n;
        }
        if (n != 0) {
            err = write_one(w, d, n);
        }
    }
    w->n_deltas = from;
    return err;
}

dr_err_t db_count_get(struct db_reader *r, int64_t account, enum db_facet facet, const char *value,
                      int64_t *ret)
{
    int64_t n = 0;

    if (strlen(value) > DB_COUNT_VALUE_MAX || (value[0] == '\0' && facet != DB_FACET_TOTAL)) {
        return DR_ERR_UNSUPPORTED;
    }
    struct conn_q q =
        conn_q(r, "SELECT n FROM counter WHERE account = ? AND facet = ? AND value = ?");
    conn_put_int(&q, account);
    conn_put_int(&q, facet);
    conn_put_text(&q, value);
    if (conn_row(&q)) {
        n = conn_col_int(&q, 0);
    }
    dr_err_t err = conn_end(&q);
    if (err == DR_OK) {
        *ret = n;
    }
    return err;
}
