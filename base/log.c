/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line: ts=2024-01-02T03:04:05.678000Z level=info mod=coap msg="listening on '[::]:5684'"
 * dev=sim-1 Values are bare when they consist of unreserved characters only, else quoted with \"
 * \\ \n \r \t and \xHH.
 */
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef HAVE_SYSTEMD
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#endif

#include "base/clock.h"
#include "base/ids.h"
#include "base/text.h"

#define TRACES_LEN_MAX 256

static const char *const level_names[] = {"error", "warning", "info", "debug", "trace"};

static _Atomic int log_level = DR_LOG_INFO;
static _Atomic bool tracing;
static _Atomic int log_sink = DR_LOG_STDERR;

/* The trace list and the hook are rare to change and, for the list, looked at only while tracing.
 */
static pthread_rwlock_t config_lock = PTHREAD_RWLOCK_INITIALIZER;
static char traces[TRACES_LEN_MAX];
static void (*hook_fn)(void *ctx, enum dr_log_level level, const char *line);
static void *hook_ctx;

void dr_log_set_level(enum dr_log_level level)
{
    atomic_store_explicit(&log_level, (int)level, memory_order_relaxed);
}

dr_err_t dr_log_level_find(const char *name, enum dr_log_level *ret)
{
    dr_assert(name != NULL && ret != NULL);
    for (int i = DR_LOG_ERROR; i <= DR_LOG_DEBUG; i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *ret = (enum dr_log_level)i;
            return DR_OK;
        }
    }
    return DR_ERR_NOT_FOUND;
}

void dr_log_trace(const char *modules)
{
    (void)pthread_rwlock_wrlock(&config_lock);
    (void)snprintf(traces, sizeof traces, "%s", modules == NULL ? "" : modules);
    atomic_store_explicit(&tracing, traces[0] != 0, memory_order_relaxed);
    (void)pthread_rwlock_unlock(&config_lock);
}

void dr_log_init(void)
{
    int sink = DR_LOG_STDERR;
#ifdef HAVE_SYSTEMD
    /* JOURNAL_STREAM=device:inode names the stream that our stderr was given; it may have been
     * redirected since */
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long dev;
    unsigned long long ino;
    struct stat st;
    if (stream != NULL && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
        fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino) {
        sink = DR_LOG_JOURNAL;
    }
#endif
    atomic_store_explicit(&log_sink, sink, memory_order_relaxed);
}

void dr_log_set_hook(void (*fn)(void *ctx, enum dr_log_level level, const char *line), void *ctx)
{
    (void)pthread_rwlock_wrlock(&config_lock);
    hook_fn = fn;
    hook_ctx = ctx;
    (void)pthread_rwlock_unlock(&config_lock);
}

static bool traced(const char *module)
{
    bool found = false;

    (void)pthread_rwlock_rdlock(&config_lock);
    for (const char *p = traces; *p != 0 && !found;) {
        size_t len = strcspn(p, ",");
        found = (len == strlen(module) && memcmp(p, module, len) == 0) ||
                (len == 3 && memcmp(p, "all", 3) == 0);
        p += len;
        p += *p == ',' ? 1 : 0;
    }
    (void)pthread_rwlock_unlock(&config_lock);
    return found;
}

bool dr_log_on(enum dr_log_level level, const char *module)
{
    if (level == DR_LOG_TRACE) {
        return atomic_load_explicit(&tracing, memory_order_relaxed) && traced(module);
    }
    return (int)level <= atomic_load_explicit(&log_level, memory_order_relaxed);
}

/* A line being built; what does not fit is left out and the line ends with "...". */
struct line {
    char text[DR_LOG_LINE_MAX];
    size_t len;
    bool cut;
};

static void put_char(struct line *l, char c)
{
    if (l->len < sizeof l->text - 4) { /* room for "..." and the newline or NUL */
        l->text[l->len++] = c;
    } else {
        l->cut = true;
    }
}

static void put_text(struct line *l, const char *s)
{
    while (*s != 0) {
        put_char(l, *s++);
    }
}

static bool bare(struct dr_bytes v)
{
    for (size_t i = 0; i < v.len; i++) {
        if (v.p[i] <= ' ' || v.p[i] == '"' || v.p[i] == '=' || v.p[i] == '\\' || v.p[i] >= 0x7f) {
            return false;
        }
    }
    return v.len != 0;
}

static void put_escaped(struct line *l, uint8_t c)
{
    char hex[5];

    switch (c) {
    case '"':
    case '\\':
        put_char(l, '\\');
        put_char(l, (char)c);
        break;
    case '\n':
        put_text(l, "\\n");
        break;
    case '\r':
        put_text(l, "\\r");
        break;
    case '\t':
        put_text(l, "\\t");
        break;
    default:
        (void)snprintf(hex, sizeof hex, "\\x%02x", c);
        put_text(l, hex);
        break;
    }
}

static void put_value(struct line *l, struct dr_bytes v)
{
    if (bare(v)) {
        for (size_t i = 0; i < v.len; i++) {
            put_char(l, (char)v.p[i]);
        }
        return;
    }
    bool utf8 = dr_utf8_valid(v.p, v.len);
    put_char(l, '"');
    for (size_t i = 0; i < v.len; i++) {
        uint8_t c = v.p[i];
        if (c < ' ' || c == '"' || c == '\\' || c == 0x7f || (c >= 0x80 && !utf8)) {
            put_escaped(l, c);
        } else {
            put_char(l, (char)c);
        }
    }
    put_char(l, '"');
}

static void put_pair(struct line *l, const char *key, struct dr_bytes v)
{
    if (l->len != 0) {
        put_char(l, ' ');
    }
    put_text(l, key);
    put_char(l, '=');
    put_value(l, v);
}

static void put_hex(struct line *l, struct dr_bytes b)
{
    for (size_t i = 0; i < b.len; i++) {
        char hex[3];
        dr_hex_encode(b.p + i, 1, hex);
        put_text(l, hex);
    }
}

static void put_field(struct line *l, const struct dr_log_field *f)
{
    char text[DR_ID_LEN + 1] = "";

    switch (f->type) {
    case DR_FIELD_STR:
        put_pair(l, f->key, dr_bytes_str(f->v.s == NULL ? "" : f->v.s));
        return;
    case DR_FIELD_BYTES:
        put_pair(l, f->key, f->v.b);
        return;
    case DR_FIELD_HEX:
        put_char(l, ' ');
        put_text(l, f->key);
        put_char(l, '=');
        put_hex(l, f->v.b);
        return;
    case DR_FIELD_INT:
        (void)snprintf(text, sizeof text, "%lld", (long long)f->v.i);
        break;
    case DR_FIELD_UINT:
        (void)snprintf(text, sizeof text, "%llu", (unsigned long long)f->v.u);
        break;
    case DR_FIELD_ID:
        dr_id_format(f->v.i, text);
        break;
    }
    put_pair(l, f->key, dr_bytes_str(text));
}

static void finish(struct line *l)
{
    if (l->cut) {
        memcpy(l->text + l->len, "...", 3);
        l->len += 3;
    }
    l->text[l->len] = 0;
}

static void write_stderr(struct line *l)
{
    size_t done = 0;

    /* one write a line, so that lines of several threads do not mix */
    l->text[l->len++] = '\n';
    while (done < l->len) {
        ssize_t n = write(STDERR_FILENO, l->text + done, l->len - done);
        if (n < 0 && errno != EINTR) {
            break; /* nowhere to complain */
        }
        done += n > 0 ? (size_t)n : 0;
    }
}

#ifdef HAVE_SYSTEMD
static void write_journal(enum dr_log_level level, const char *module, const struct line *l)
{
    static const int priorities[] = {3, 4, 6, 7, 7};
    char msg[DR_LOG_LINE_MAX + 16];
    char prio[16];
    char mod[64];

    (void)snprintf(msg, sizeof msg, "MESSAGE=%s", l->text);
    (void)snprintf(prio, sizeof prio, "PRIORITY=%d", priorities[level]);
    (void)snprintf(mod, sizeof mod, "DROVER_MODULE=%s", module);
    struct iovec iov[] = {{msg, strlen(msg)}, {prio, strlen(prio)}, {mod, strlen(mod)}};
    (void)sd_journal_sendv(iov, 3);
}
#endif

static void emit(enum dr_log_level level, const char *module, struct line *l)
{
    finish(l);
    (void)pthread_rwlock_rdlock(&config_lock);
    void (*fn)(void *, enum dr_log_level, const char *) = hook_fn;
    void *ctx = hook_ctx;
    if (fn != NULL) {
        fn(ctx, level, l->text);
    }
    (void)pthread_rwlock_unlock(&config_lock);
    if (fn != NULL) {
        return;
    }
#ifdef HAVE_SYSTEMD
    if (atomic_load_explicit(&log_sink, memory_order_relaxed) == DR_LOG_JOURNAL) {
        write_journal(level, module, l);
        return;
    }
#endif
    (void)module;
    write_stderr(l);
}

void dr_log_fields(enum dr_log_level level, const char *module, const char *msg,
                   const struct dr_log_field *fields, size_t count)
{
    dr_assert(module != NULL && msg != NULL && count <= DR_LOG_FIELDS_MAX);
    dr_assert(level <= DR_LOG_TRACE);
    if (!dr_log_on(level, module)) {
        return;
    }
    int saved = errno;
    struct line l;
    l.len = 0;
    l.cut = false;
    if (atomic_load_explicit(&log_sink, memory_order_relaxed) == DR_LOG_STDERR) {
        char ts[DR_TIME_LEN + 1]; /* the journal has its own */
        dr_time_format(dr_wall_ms(), ts);
        put_pair(&l, "ts", dr_bytes_str(ts));
    }
    put_pair(&l, "level", dr_bytes_str(level_names[level]));
    put_pair(&l, "mod", dr_bytes_str(module));
    put_pair(&l, "msg", dr_bytes_str(msg));
    for (size_t i = 0; i < count; i++) {
        put_field(&l, &fields[i]);
    }
    emit(level, module, &l);
    errno = saved;
}

void dr_log(enum dr_log_level level, const char *module, const char *fmt, ...)
{
    if (!dr_log_on(level, module)) {
        return;
    }
    char msg[DR_LOG_LINE_MAX];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    dr_log_fields(level, module, msg, NULL, 0);
}

bool dr_log_limit_take(struct dr_log_limit *lim, uint64_t now_ms, uint64_t *ret_suppressed)
{
    dr_assert(lim != NULL && ret_suppressed != NULL);
    uint64_t second = (now_ms / 1000) & UINT32_MAX;
    uint64_t old = atomic_load_explicit(&lim->window, memory_order_relaxed);
    uint64_t now;

    do {
        uint64_t lines = old >> 32 == second ? old & UINT32_MAX : 0;
        if (lines >= lim->per_s) {
            atomic_fetch_add_explicit(&lim->suppressed, 1, memory_order_relaxed);
            return false;
        }
        now = second << 32 | (lines + 1);
    } while (!atomic_compare_exchange_weak_explicit(&lim->window, &old, now, memory_order_relaxed,
                                                    memory_order_relaxed));
    *ret_suppressed = atomic_exchange_explicit(&lim->suppressed, 0, memory_order_relaxed);
    return true;
}

void dr_log_limited(struct dr_log_limit *lim, enum dr_log_level level, const char *module,
                    const char *fmt, ...)
{
    uint64_t left_out;

    if (!dr_log_on(level, module) || !dr_log_limit_take(lim, dr_mono_ms(), &left_out)) {
        return;
    }
    char msg[DR_LOG_LINE_MAX];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    struct dr_log_field f = DR_F_UINT("suppressed", left_out);
    dr_log_fields(level, module, msg, &f, left_out == 0 ? 0 : 1);
}
