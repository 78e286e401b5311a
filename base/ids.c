/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wire form of an id, example 2024-01-02T03:04:05.678Z (0x18cc8164fae ms), generator 1, counter 3:
 *
 *   018cc8164fae 000000000000000 04003
 *   time in ms   always zero     generator << 14 | counter
 */
#include "base/ids.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#define COUNTER_BITS 14
#define COUNTER_MAX  ((1U << COUNTER_BITS) - 1)
#define ID_MS_MAX    (((int64_t)1 << 43) - 1)
#define YEAR_1_MS    (-62135596800000LL)
#define YEAR_9999_MS 253402300799999LL

/* Which instance numbers are taken, and the last ms that each has used: a number that is taken
 * again must not repeat ids. */
static _Atomic uint64_t instances_used;
static _Atomic int64_t instance_last_ms[DR_IDGEN_MAX];

static int64_t wall(void *ctx)
{
    (void)ctx;
    return dr_wall_ms();
}

dr_err_t dr_idgen_init(struct dr_idgen *g, int64_t (*now_ms)(void *ctx), void *ctx)
{
    dr_assert(g != NULL);
    uint64_t used = atomic_load(&instances_used);
    uint32_t i;
    do {
        if (used == UINT64_MAX) {
            return DR_ERR_LIMIT;
        }
        i = (uint32_t)__builtin_ctzll(~used);
    } while (!atomic_compare_exchange_weak(&instances_used, &used, used | 1ULL << i));

    *g = (struct dr_idgen){.instance = i,
                           .last_ms = atomic_load(&instance_last_ms[i]),
                           .counter = COUNTER_MAX + 1,
                           .now_ms = now_ms == NULL ? wall : now_ms,
                           .ctx = ctx};
    return DR_OK;
}

void dr_idgen_fini(struct dr_idgen *g)
{
    if (g != NULL && g->now_ms != NULL) {
        atomic_store(&instance_last_ms[g->instance], g->last_ms);
        atomic_fetch_and(&instances_used, ~(1ULL << g->instance));
        g->now_ms = NULL;
    }
}

int64_t dr_id_new(struct dr_idgen *g)
{
    dr_assert(g != NULL && g->now_ms != NULL);
    int64_t now = g->now_ms(g->ctx);

    if (now > g->last_ms) {
        g->last_ms = now;
        g->counter = 0;
    } else if (g->counter > COUNTER_MAX) {
        g->last_ms++; /* all ids of this ms are used: borrow from the next */
        g->counter = 0;
    }
    dr_assert(g->last_ms > 0 && g->last_ms <= ID_MS_MAX);
    return g->last_ms << 20 | (int64_t)g->instance << COUNTER_BITS | (int64_t)g->counter++;
}

void dr_id_format(int64_t id, char out[DR_ID_LEN + 1])
{
    (void)snprintf(out, DR_ID_LEN + 1, "%012llx%015d%05x", (unsigned long long)id >> 20, 0,
                   (unsigned)(id & 0xfffff));
}

static bool hex_field(const char *in, size_t len, uint64_t *ret)
{
    uint64_t v = 0;

    for (size_t i = 0; i < len; i++) {
        char c = in[i];
        if (c >= '0' && c <= '9') {
            v = v << 4 | (uint64_t)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            v = v << 4 | (uint64_t)(c - 'a' + 10);
        } else {
            return false;
        }
    }
    *ret = v;
    return true;
}

dr_err_t dr_id_parse(const char *in, size_t len, int64_t *ret)
{
    uint64_t ms;
    uint64_t zero;
    uint64_t low;

    dr_assert(ret != NULL);
    if (len != DR_ID_LEN || !hex_field(in, 12, &ms) || !hex_field(in + 12, 15, &zero) ||
        !hex_field(in + 27, 5, &low)) {
        return DR_ERR_PROTO;
    }
    if (zero != 0 || ms > (uint64_t)ID_MS_MAX || (ms == 0 && low == 0)) {
        return DR_ERR_PROTO;
    }
    *ret = (int64_t)(ms << 20 | low);
    return DR_OK;
}

/* Days since 1970-01-01 of a date of the Gregorian calendar; eras of 400 years that begin in March.
 */
static int64_t days_from_date(int64_t y, int64_t m, int64_t d)
{
    y -= m <= 2 ? 1 : 0;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year = y - era * 400;
    int64_t day = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + year * 365 + year / 4 - year / 100 + day - 719468;
}

static void date_from_days(int64_t days, int *y, int *m, int *d)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t of_era = days - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153;
    *d = (int)(of_year - (153 * month + 2) / 5 + 1);
    *m = (int)(month < 10 ? month + 3 : month - 9);
    *y = (int)(year + era * 400 + (*m <= 2 ? 1 : 0));
}

void dr_time_format(int64_t unix_ms, char out[DR_TIME_LEN + 1])
{
    int64_t t = unix_ms < YEAR_1_MS ? YEAR_1_MS : unix_ms > YEAR_9999_MS ? YEAR_9999_MS : unix_ms;
    int64_t days = (t >= 0 ? t : t - 86399999) / 86400000;
    unsigned ms = (unsigned)(t - days * 86400000);
    int y;
    int m;
    int d;

    date_from_days(days, &y, &m, &d);
    char text[64];
    (void)snprintf(text, sizeof text, "%04d-%02d-%02dT%02u:%02u:%02u.%03u000Z", y, m, d,
                   ms / 3600000, ms / 60000 % 60, ms / 1000 % 60, ms % 1000);
    memcpy(out, text, DR_TIME_LEN);
    out[DR_TIME_LEN] = 0;
}

struct cursor {
    const char *p, *end;
    bool bad;
};

static int take_digits(struct cursor *c, int count)
{
    int v = 0;

    for (int i = 0; i < count; i++) {
        if (c->p == c->end || *c->p < '0' || *c->p > '9') {
            c->bad = true;
            return 0;
        }
        v = v * 10 + (*c->p++ - '0');
    }
    return v;
}

static bool take_any(struct cursor *c, const char *set)
{
    if (c->p != c->end && *c->p != 0 && strchr(set, *c->p) != NULL) {
        c->p++;
        return true;
    }
    return false;
}

static void expect(struct cursor *c, const char *set)
{
    c->bad = !take_any(c, set) || c->bad;
}

static int take_fraction_ms(struct cursor *c)
{
    int ms = 0;
    int digits = 0;

    while (c->p != c->end && *c->p >= '0' && *c->p <= '9') {
        if (digits < 3) {
            ms = ms * 10 + (*c->p - '0');
        }
        digits++;
        c->p++;
    }
    c->bad = digits == 0 || c->bad;
    for (; digits < 3; digits++) {
        ms *= 10;
    }
    return ms;
}

/* Minutes east of UTC; spec: RFC3339#5.6 time-offset */
static int take_offset_min(struct cursor *c, dr_err_t *err)
{
    if (take_any(c, "Zz")) {
        return 0;
    }
    bool west = take_any(c, "-");
    if (!west) {
        expect(c, "+");
    }
    int h = take_digits(c, 2);
    expect(c, ":");
    int m = take_digits(c, 2);
    if (h > 23 || m > 59) {
        *err = DR_ERR_RANGE;
    }
    return (west ? -1 : 1) * (h * 60 + m);
}

static int month_days(int y, int m)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;

    return m == 2 && leap ? 29 : days[m - 1];
}

dr_err_t dr_time_parse(const char *in, size_t len, int64_t *ret_ms)
{
    struct cursor c = {.p = in, .end = len == 0 ? in : in + len};
    dr_err_t err = DR_OK;
    int ms = 0;
    int offset = 0;

    dr_assert(ret_ms != NULL);
    int y = take_digits(&c, 4);
    bool compact = !take_any(&c, "-");
    int m = take_digits(&c, 2);
    if (!compact) {
        expect(&c, "-");
    }
    int d = take_digits(&c, 2);
    expect(&c, compact ? "T" : "Tt");
    int h = take_digits(&c, 2);
    if (!compact) {
        expect(&c, ":");
    }
    int min = take_digits(&c, 2);
    if (!compact) {
        expect(&c, ":");
    }
    int s = take_digits(&c, 2);
    if (compact) {
        expect(&c, "Z");
    } else {
        if (take_any(&c, ".")) {
            ms = take_fraction_ms(&c);
        }
        offset = take_offset_min(&c, &err);
    }
    if (c.bad || c.p != c.end) {
        return DR_ERR_PROTO;
    }
    if (err != DR_OK || y < 1 || m < 1 || m > 12 || d < 1 || d > month_days(y, m) || h > 23 ||
        min > 59 || s > 60) {
        return DR_ERR_RANGE;
    }
    *ret_ms = ((days_from_date(y, m, d) * 24 + h) * 60 + min - offset) * 60000 + s * 1000 + ms;
    return DR_OK;
}
