/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every thread that updates a metric has a block of cells of its own, so an update is a plain load
 * and store of a relaxed atomic: no lock, no shared cache line. A block outlives its thread: its
 * sums stay, and the next new thread takes it over. Cell 0 belongs to nobody: metrics that were not
 * registered write there. A histogram has cells: one for each bound, one for what is above, then
 * the sum.
 */
#include "base/metrics.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

struct block {
    struct block *next;
    bool free; /**< under the lock */
    _Atomic uint64_t cells[DR_METRIC_CELLS_MAX];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct block *blocks;   /* under the lock; never freed */
static struct dr_metric *list; /* under the lock; by name */
static uint32_t cells_used = 1;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static _Thread_local struct block *mine;

static void thread_ends(void *p)
{
    struct block *b = p;

    (void)pthread_mutex_lock(&lock);
    b->free = true;
    (void)pthread_mutex_unlock(&lock);
    mine = NULL;
}

static void key_make(void)
{
    dr_assert(pthread_key_create(&key, thread_ends) == 0);
}

static struct block *block_take(void)
{
    (void)pthread_once(&key_once, key_make);
    (void)pthread_mutex_lock(&lock);
    struct block *b = blocks;
    while (b != NULL && !b->free) {
        b = b->next;
    }
    if (b == NULL) {
        b = calloc(1, sizeof *b);
        if (b != NULL) {
            b->next = blocks;
            blocks = b;
        }
    }
    if (b != NULL) {
        b->free = false;
    }
    (void)pthread_mutex_unlock(&lock);
    if (b != NULL && pthread_setspecific(key, b) == 0) {
        mine = b;
    }
    return b;
}

/* A cell of this thread, or NULL for want of memory: the update is then lost. */
static _Atomic uint64_t *cell_of(const struct dr_metric *m, uint32_t offset)
{
    dr_assert(m != NULL);
    struct block *b = mine != NULL ? mine : block_take();

    return b == NULL ? NULL : &b->cells[m->cell == 0 ? 0 : m->cell + offset];
}

static void cell_add(_Atomic uint64_t *c, uint64_t n)
{
    if (c != NULL) {
        uint64_t v = atomic_load_explicit(c, memory_order_relaxed);
        atomic_store_explicit(c, v + n, memory_order_relaxed);
    }
}

void dr_metric_add(const struct dr_metric *m, uint64_t n)
{
    cell_add(cell_of(m, 0), n);
}

void dr_metric_change(const struct dr_metric *m, int64_t by)
{
    cell_add(cell_of(m, 0), (uint64_t)by);
}

void dr_metric_set(const struct dr_metric *m, int64_t v)
{
    _Atomic uint64_t *c = cell_of(m, 0);

    if (c != NULL) {
        atomic_store_explicit(c, (uint64_t)v, memory_order_relaxed);
    }
}

void dr_metric_observe(const struct dr_metric *m, uint64_t v)
{
    uint32_t i = 0;

    dr_assert(m != NULL && m->type == DR_HISTOGRAM);
    while (i < m->bound_count && v > m->bounds[i]) {
        i++;
    }
    cell_add(cell_of(m, i), 1);
    cell_add(cell_of(m, m->bound_count + 1), v);
}

static uint32_t cells_needed(const struct dr_metric *m)
{
    if (m->fn != NULL) {
        return 0;
    }
    return m->type == DR_HISTOGRAM ? m->bound_count + 2 : 1;
}

/* Sorted by name; series of one name stay in the order of registration. */
static void list_insert(struct dr_metric *m)
{
    struct dr_metric **at = &list;

    while (*at != NULL && strcmp((*at)->name, m->name) <= 0) {
        at = &(*at)->next;
    }
    m->next = *at;
    *at = m;
}

static bool list_has(const struct dr_metric *m)
{
    for (const struct dr_metric *it = list; it != NULL; it = it->next) {
        if (it == m) {
            return true;
        }
    }
    return false;
}

dr_err_t dr_metrics_register(struct dr_metric *table, size_t count)
{
    dr_assert(table != NULL || count == 0);
    dr_err_t err = DR_OK;
    uint32_t need = 0;

    (void)pthread_mutex_lock(&lock);
    for (size_t i = 0; i < count; i++) {
        dr_assert(table[i].name != NULL && table[i].help != NULL);
        need += table[i].cell == 0 ? cells_needed(&table[i]) : 0;
    }
    if (need > DR_METRIC_CELLS_MAX - cells_used) {
        err = DR_ERR_LIMIT;
        goto out;
    }
    for (size_t i = 0; i < count; i++) {
        struct dr_metric *m = &table[i];
        if (list_has(m)) {
            continue;
        }
        if (m->cell == 0 && m->fn == NULL) {
            m->cell = cells_used;
            cells_used += cells_needed(m);
        }
        list_insert(m);
    }
out:
    (void)pthread_mutex_unlock(&lock);
    return err;
}

void dr_metrics_unregister(struct dr_metric *table, size_t count)
{
    (void)pthread_mutex_lock(&lock);
    for (struct dr_metric **at = &list; *at != NULL;) {
        if (*at >= table && *at < table + count) {
            *at = (*at)->next;
        } else {
            at = &(*at)->next;
        }
    }
    (void)pthread_mutex_unlock(&lock);
}

static uint64_t cell_sum(const struct dr_metric *m, uint32_t offset)
{
    uint64_t sum = 0;

    for (struct block *b = blocks; b != NULL && m->cell != 0; b = b->next) {
        sum += atomic_load_explicit(&b->cells[m->cell + offset], memory_order_relaxed);
    }
    return sum;
}

static uint64_t value_locked(const struct dr_metric *m)
{
    uint64_t sum = 0;
    uint32_t cells = m->type == DR_HISTOGRAM ? m->bound_count + 1 : 1;

    for (uint32_t i = 0; i < cells; i++) {
        sum += cell_sum(m, i);
    }
    return sum;
}

int64_t dr_metric_value(const struct dr_metric *m)
{
    dr_assert(m != NULL);
    (void)pthread_mutex_lock(&lock);
    uint64_t v = value_locked(m);
    (void)pthread_mutex_unlock(&lock);
    return (int64_t)v;
}

static double scale_of(const struct dr_metric *m)
{
    return m->scale > 0 ? m->scale : 1.0;
}

/* name suffix {labels,extra} value */
static void put_sample(struct dr_dynbuf *out, const struct dr_metric *m, const char *suffix,
                       const char *extra, double v)
{
    char num[32];
    bool labels = m->labels != NULL && m->labels[0] != 0;

    dr_dynbuf_printf(out, "%s%s", m->name, suffix);
    if (labels || extra != NULL) {
        dr_dynbuf_printf(out, "{%s%s%s}", labels ? m->labels : "",
                         labels && extra != NULL ? "," : "", extra != NULL ? extra : "");
    }
    (void)dr_double_format(v, num);
    dr_dynbuf_printf(out, " %s\n",
                     strcmp(num, "Infinity") == 0    ? "+Inf"
                     : strcmp(num, "-Infinity") == 0 ? "-Inf"
                                                     : num);
}

static void put_histogram(struct dr_dynbuf *out, const struct dr_metric *m)
{
    uint64_t below = 0;

    for (uint32_t i = 0; i < m->bound_count; i++) {
        char num[32];
        char le[48];
        below += cell_sum(m, i);
        (void)dr_double_format((double)m->bounds[i] * scale_of(m), num);
        (void)snprintf(le, sizeof le, "le=\"%s\"", num);
        put_sample(out, m, "_bucket", le, (double)below);
    }
    below += cell_sum(m, m->bound_count);
    put_sample(out, m, "_bucket", "le=\"+Inf\"", (double)below);
    put_sample(out, m, "_sum", NULL, (double)cell_sum(m, m->bound_count + 1) * scale_of(m));
    put_sample(out, m, "_count", NULL, (double)below);
}

static void put_help(struct dr_dynbuf *out, const struct dr_metric *m)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};

    dr_dynbuf_printf(out, "# HELP %s ", m->name);
    for (const char *p = m->help; *p != 0; p++) {
        if (*p == '\\' || *p == '\n') {
            dr_dynbuf_append_str(out, *p == '\n' ? "\\n" : "\\\\");
        } else {
            dr_dynbuf_append_char(out, *p);
        }
    }
    dr_dynbuf_printf(out, "\n# TYPE %s %s\n", m->name, types[m->type]);
}

void dr_metrics_write(struct dr_dynbuf *out)
{
    const char *name = "";

    dr_assert(out != NULL);
    (void)pthread_mutex_lock(&lock);
    for (const struct dr_metric *m = list; m != NULL; m = m->next) {
        if (strcmp(name, m->name) != 0) {
            put_help(out, m);
            name = m->name;
        }
        if (m->fn != NULL) {
            put_sample(out, m, "", NULL, m->fn(m->ctx));
        } else if (m->type == DR_HISTOGRAM) {
            put_histogram(out, m);
        } else {
            double v =
                m->type == DR_GAUGE ? (double)(int64_t)cell_sum(m, 0) : (double)cell_sum(m, 0);
            put_sample(out, m, "", NULL, v * scale_of(m));
        }
    }
    (void)pthread_mutex_unlock(&lock);
}
