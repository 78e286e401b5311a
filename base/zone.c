/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TZif, version 2 and later:
 *   header  44 octets: "TZif", version, 15 reserved, six counts (isutcnt isstdcnt leapcnt timecnt
 *           typecnt charcnt), big-endian
 *   v1 data timecnt * 4 + timecnt + typecnt * 6 + charcnt + leapcnt * 8 + isstdcnt + isutcnt
 *   header  again, then the same data with times of 8 octets (leap seconds of 12)
 *   footer  "\n" TZ "\n": the rule for all later times
 * Before the first transition the first type that is not daylight saving counts, else type 0.
 */
#include "base/zone.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEADER_LEN 44
#define TYPES_MAX  256
#define OFFSET_MAX (26 * 3600)
#define DAY        86400

/* A day on which the clock is moved: Mm.w.d, Jn or n of the TZ form, at a second of local time. */
struct rule {
    enum { RULE_MONTH, RULE_JULIAN, RULE_DAY } kind;
    int month, week, day;
    int32_t time;
};

struct dr_zone {
    int32_t first; /* offset before all transitions */
    bool has_dst;
    int32_t std, dst; /* of the footer; std alone without has_dst */
    bool has_rule;    /* there is a footer */
    struct rule from, to;
    size_t n;
    struct change {
        int64_t at;
        int32_t offset;
    } changes[];
};

/* ---- the TZ form ---- */

static bool tz_name(const char **p)
{
    const char *s = *p;

    if (*s == '<') {
        do {
            s++;
        } while (isalnum((unsigned char)*s) || *s == '+' || *s == '-');
        if (*s != '>' || s - *p < 4) {
            return false;
        }
        *p = s + 1;
        return true;
    }
    while (isalpha((unsigned char)*s)) {
        s++;
    }
    bool ok = s - *p >= 3;
    *p = s;
    return ok;
}

static bool tz_number(const char **p, int max, int *ret)
{
    int n = 0, digits = 0;

    while (isdigit((unsigned char)**p) && digits < 4) {
        n = n * 10 + (**p - '0');
        (*p)++;
        digits++;
    }
    *ret = n;
    return digits > 0 && n <= max;
}

/* [+-]h[hh][:mm[:ss]] */
static bool tz_time(const char **p, int32_t *ret)
{
    int sign = 1, h = 0, m = 0, s = 0;

    if (**p == '+' || **p == '-') {
        sign = **p == '-' ? -1 : 1;
        (*p)++;
    }
    if (!tz_number(p, 167, &h)) {
        return false;
    }
    if (**p == ':') {
        (*p)++;
        if (!tz_number(p, 59, &m)) {
            return false;
        }
    }
    if (**p == ':') {
        (*p)++;
        if (!tz_number(p, 59, &s)) {
            return false;
        }
    }
    *ret = sign * (h * 3600 + m * 60 + s);
    return true;
}

static bool tz_rule(const char **p, struct rule *ret)
{
    *ret = (struct rule){.time = 2 * 3600};
    if (**p != ',') {
        return false;
    }
    (*p)++;
    if (**p == 'M') {
        (*p)++;
        ret->kind = RULE_MONTH;
        if (!tz_number(p, 12, &ret->month) || ret->month == 0 || *(*p)++ != '.' ||
            !tz_number(p, 5, &ret->week) || ret->week == 0 || *(*p)++ != '.' ||
            !tz_number(p, 6, &ret->day)) {
            return false;
        }
    } else {
        ret->kind = **p == 'J' ? RULE_JULIAN : RULE_DAY;
        *p += **p == 'J';
        if (!tz_number(p, 365, &ret->day) || (ret->kind == RULE_JULIAN && ret->day == 0)) {
            return false;
        }
    }
    if (**p == '/') {
        (*p)++;
        return tz_time(p, &ret->time);
    }
    return true;
}

static bool tz_parse(const char *p, struct dr_zone *z)
{
    if (!tz_name(&p) || !tz_time(&p, &z->std) || abs(z->std) > OFFSET_MAX) {
        return false;
    }
    z->std = -z->std; /* TZ counts west */
    if (*p == '\0') {
        return true;
    }
    z->has_dst = true;
    z->dst = z->std + 3600;
    if (!tz_name(&p)) {
        return false;
    }
    if (*p != ',') {
        if (!tz_time(&p, &z->dst) || abs(z->dst) > OFFSET_MAX) {
            return false;
        }
        z->dst = -z->dst;
    }
    return tz_rule(&p, &z->from) && tz_rule(&p, &z->to) && *p == '\0';
}

/* ---- days ---- */

static bool leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Days from 1970-01-01 to January 1st of @p year. */
static int64_t year_day(int64_t year)
{
    int64_t y = year - 1;

    return 365 * (year - 1970) + (y / 4 - 1969 / 4) - (y / 100 - 1969 / 100) +
           (y / 400 - 1969 / 400);
}

static int64_t year_of(int64_t day)
{
    int64_t year = 1970 + day / 366;

    while (year_day(year + 1) <= day) {
        year++;
    }
    while (year_day(year) > day) {
        year--;
    }
    return year;
}

/* Local second at which @p r happens in @p year, as the clock before it counts. */
static int64_t rule_at(const struct rule *r, int64_t year)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t day = year_day(year);

    if (r->kind == RULE_DAY) {
        day += r->day;
    } else if (r->kind == RULE_JULIAN) { /* February 29th is never counted */
        day += r->day - 1 + (leap(year) && r->day >= 60);
    } else {
        int length = lengths[r->month - 1] + (r->month == 2 && leap(year));
        for (int m = 1; m < r->month; m++) {
            day += lengths[m - 1] + (m == 2 && leap(year));
        }
        int64_t weekday = ((day + 4) % 7 + 7) % 7; /* of the 1st; 1970-01-01 was a Thursday */
        int64_t date = (r->day - weekday + 7) % 7 + 7 * (r->week - 1);
        day += date >= length ? date - 7 : date;
    }
    return day * DAY + r->time;
}

/* ---- the file ---- */

struct counts {
    uint32_t isutc, isstd, leap, time, type, chars;
};

static bool header_read(struct dr_rd *rd, uint8_t *version, struct counts *ret)
{
    struct dr_bytes head = dr_rd_bytes(rd, HEADER_LEN);

    if (rd->failed || memcmp(head.p, "TZif", 4) != 0) {
        return false;
    }
    struct dr_rd in = dr_rd_bytes_of(head);
    (void)dr_rd_bytes(&in, 20);
    *version = head.p[4];
    ret->isutc = dr_rd_u32(&in);
    ret->isstd = dr_rd_u32(&in);
    ret->leap = dr_rd_u32(&in);
    ret->time = dr_rd_u32(&in);
    ret->type = dr_rd_u32(&in);
    ret->chars = dr_rd_u32(&in);
    return ret->isutc <= TYPES_MAX && ret->isstd <= TYPES_MAX && ret->leap <= DR_ZONE_FILE_MAX &&
           ret->time <= DR_ZONE_FILE_MAX && ret->type <= TYPES_MAX &&
           ret->chars <= DR_ZONE_FILE_MAX;
}

static bool changes_read(struct dr_rd *rd, const struct counts *n, struct dr_zone *z)
{
    struct dr_bytes index;
    struct {
        int32_t offset;
        bool dst;
    } types[TYPES_MAX];

    for (uint32_t i = 0; i < n->time; i++) {
        z->changes[i].at = (int64_t)dr_rd_u64(rd);
        if (i > 0 && z->changes[i].at <= z->changes[i - 1].at) {
            return false;
        }
    }
    index = dr_rd_bytes(rd, n->time);
    z->n = n->time;
    bool found = false;
    for (uint32_t i = 0; i < n->type; i++) {
        types[i].offset = (int32_t)dr_rd_u32(rd);
        types[i].dst = dr_rd_u8(rd) != 0;
        (void)dr_rd_u8(rd);
        if (types[i].offset > OFFSET_MAX || types[i].offset < -OFFSET_MAX) {
            return false;
        }
        if (i == 0 || (!found && !types[i].dst)) {
            z->first = types[i].offset;
            found = !types[i].dst;
        }
    }
    (void)dr_rd_bytes(rd, (size_t)n->chars + (size_t)n->leap * 12 + n->isstd + n->isutc);
    if (rd->failed) {
        return false;
    }
    for (uint32_t i = 0; i < n->time; i++) {
        if (index.p[i] >= n->type) {
            return false;
        }
        z->changes[i].offset = types[index.p[i]].offset;
    }
    return true;
}

static bool footer_read(struct dr_rd *rd, struct dr_zone *z)
{
    struct dr_bytes rest = dr_rd_rest(rd);
    char text[128];

    if (rest.len < 2 || rest.len > sizeof text || rest.p[0] != '\n' ||
        rest.p[rest.len - 1] != '\n') {
        return false;
    }
    memcpy(text, rest.p + 1, rest.len - 2);
    text[rest.len - 2] = '\0';
    if (strlen(text) != rest.len - 2) {
        return false;
    }
    z->has_rule = text[0] != '\0';
    return !z->has_rule || tz_parse(text, z);
}

dr_err_t dr_zone_parse(struct dr_bytes file, struct dr_zone **ret)
{
    struct dr_rd rd = dr_rd_bytes_of(file);
    struct counts n;
    uint8_t version = 0;

    dr_assert(ret != NULL);
    if (!header_read(&rd, &version, &n)) {
        return DR_ERR_PROTO;
    }
    if (version < '2') {
        return DR_ERR_UNSUPPORTED;
    }
    (void)dr_rd_bytes(&rd, (size_t)n.time * 5 + (size_t)n.type * 6 + n.chars + (size_t)n.leap * 8 +
                               n.isstd + n.isutc);
    if (!header_read(&rd, &version, &n) || n.type == 0) {
        return DR_ERR_PROTO;
    }
    struct dr_zone *z = calloc(1, sizeof *z + n.time * sizeof z->changes[0]);
    if (z == NULL) {
        return DR_ERR_NOMEM;
    }
    if (!changes_read(&rd, &n, z) || !footer_read(&rd, z)) {
        free(z);
        return DR_ERR_PROTO;
    }
    *ret = z;
    return DR_OK;
}

bool dr_zone_name_valid(const char *name)
{
    size_t len = strlen(name);
    bool part = false; /* something since the last slash */

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)name[i];
        if (c == '/') {
            if (!part) {
                return false;
            }
            part = false;
        } else if (isalnum(c) || c == '_' || c == '+' || c == '-') {
            part = true;
        } else {
            return false;
        }
    }
    return part && len <= DR_ZONE_NAME_MAX;
}

static dr_err_t file_read(int fd, uint8_t *buf, size_t *len)
{
    *len = 0;
    while (*len <= DR_ZONE_FILE_MAX) {
        ssize_t n = read(fd, buf + *len, DR_ZONE_FILE_MAX + 1 - *len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return errno == EISDIR ? DR_ERR_NOT_FOUND : DR_ERR_IO;
        }
        if (n == 0) {
            return DR_OK;
        }
        *len += (size_t)n;
    }
    return DR_ERR_PROTO;
}

dr_err_t dr_zone_load(const char *name, struct dr_zone **ret)
{
    char path[sizeof DR_ZONE_FOLDER + DR_ZONE_NAME_MAX + 1];
    size_t len = 0;

    dr_assert(name != NULL && ret != NULL);
    if (!dr_zone_name_valid(name)) {
        return DR_ERR_INVAL;
    }
    (void)snprintf(path, sizeof path, "%s/%s", DR_ZONE_FOLDER, name);
    uint8_t *buf = malloc(DR_ZONE_FILE_MAX + 1);
    int fd = buf == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    dr_err_t err = buf == NULL                                       ? DR_ERR_NOMEM
                   : fd < 0 && (errno == ENOENT || errno == ENOTDIR) ? DR_ERR_NOT_FOUND
                   : fd < 0                                          ? DR_ERR_IO
                                                                     : file_read(fd, buf, &len);
    if (err == DR_OK) {
        err = dr_zone_parse((struct dr_bytes){.p = buf, .len = len}, ret);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    free(buf);
    return err;
}

struct dr_zone *dr_zone_free(struct dr_zone *zone)
{
    free(zone);
    return NULL;
}

/* ---- asking ---- */

/* By the footer. */
static int32_t rule_offset(const struct dr_zone *z, int64_t at)
{
    if (!z->has_dst) {
        return z->std;
    }
    int64_t day = (at + z->std) / DAY - ((at + z->std) % DAY < 0);
    int64_t year = year_of(day);
    int64_t from = rule_at(&z->from, year) - z->std, to = rule_at(&z->to, year) - z->dst;
    bool summer = from < to ? at >= from && at < to : at >= from || at < to;

    return summer ? z->dst : z->std;
}

int32_t dr_zone_offset(const struct dr_zone *zone, int64_t at)
{
    size_t lo = 0, hi = zone->n;

    if (zone->has_rule && (zone->n == 0 || at >= zone->changes[zone->n - 1].at)) {
        return rule_offset(zone, at);
    }
    while (lo < hi) { /* first change after at */
        size_t mid = lo + (hi - lo) / 2;
        if (zone->changes[mid].at <= at) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo == 0 ? zone->first : zone->changes[lo - 1].offset;
}

int64_t dr_zone_utc(const struct dr_zone *zone, int64_t local)
{
    int32_t before = dr_zone_offset(zone, local - DAY), after = dr_zone_offset(zone, local + DAY);
    int64_t first = local - (before > after ? before : after);
    int64_t second = local - (before > after ? after : before);

    if (first + dr_zone_offset(zone, first) == local) {
        return first;
    }
    if (second + dr_zone_offset(zone, second) == local) {
        return second;
    }
    /* skipped: between the two the clock was moved */
    int64_t lo = first, hi = second;
    int32_t old = dr_zone_offset(zone, lo);
    while (hi - lo > 1) {
        int64_t mid = lo + (hi - lo) / 2;
        if (dr_zone_offset(zone, mid) == old) {
            lo = mid;
        } else {
            hi = mid;
        }
    }
    return hi;
}
