/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recording is an undo list for each file: every write since the last sync with what was there
 * before. A sync of a file makes its list durable, that is, forgets it. After a cut the list is
 * undone backwards, which is the file at its last sync; then each write is redone wholly, in part
 * (by sectors of 512 bytes) or not at all. File creation counts as durable: SQLite syncs the
 * folder.
 */
#include "db/vfs_shim.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>

#define SECTOR 512

struct op {
    struct op *prev, *next;
    bool truncate;
    int64_t offset;   /* of a truncation: the new size */
    int64_t old_size; /* of the file, before */
    size_t len;       /* bytes of data: what was written */
    size_t old_len;   /* bytes of old: what the range (or the cut tail) held */
    uint8_t *old;
    uint8_t data[];
};

struct path {
    struct path *next;
    char *name;
    struct op *first, *last;
};

struct shim_file {
    sqlite3_file base;
    struct path *path;
    sqlite3_file real[]; /* the other VFS's struct */
};

static struct {
    pthread_mutex_t lock;
    sqlite3_vfs vfs;
    sqlite3_vfs *real;
    struct path *paths;
    bool record;
    uint32_t cut_in; /* with cut_armed: operations to go */
    bool cut_armed;
    atomic_bool cut;
    enum db_shim_fail fail;
    uint32_t fail_nth, fail_count;
    uint32_t calls[DB_SHIM_FAIL_READ + 1];
    _Atomic uint32_t delay_ms;
} shim = {.lock = PTHREAD_MUTEX_INITIALIZER};

static sqlite3_file *real_of(sqlite3_file *f)
{
    return ((struct shim_file *)f)->real;
}

/* Under the lock: is this call to fail? */
static bool failing(enum db_shim_fail kind)
{
    uint32_t n = ++shim.calls[kind];

    return shim.fail == kind && n >= shim.fail_nth && n - shim.fail_nth < shim.fail_count;
}

/* Under the lock: one more operation that changes the disk. */
static bool powered(void)
{
    if (shim.cut_armed && shim.cut_in-- == 0) {
        shim.cut_armed = false;
        atomic_store(&shim.cut, true);
    }
    return !atomic_load(&shim.cut);
}

/* ---- recording ---- */

static struct path *path_get(const char *name)
{
    for (struct path *p = shim.paths; p != NULL; p = p->next) {
        if (strcmp(p->name, name) == 0) {
            return p;
        }
    }
    struct path *p = calloc(1, sizeof(*p));
    char *copy = strdup(name);
    if (p == NULL || copy == NULL) {
        free(p);
        free(copy);
        return NULL;
    }
    p->name = copy;
    p->next = shim.paths;
    shim.paths = p;
    return p;
}

static void path_forget(struct path *p)
{
    for (struct op *op = p->first, *next; op != NULL; op = next) {
        next = op->next;
        free(op->old);
        free(op);
    }
    p->first = NULL;
    p->last = NULL;
}

static int note(sqlite3_file *f, bool truncate, const void *data, size_t len, int64_t offset)
{
    struct path *p = ((struct shim_file *)f)->path;
    sqlite3_file *real = real_of(f);
    sqlite3_int64 size = 0;

    if (!shim.record || p == NULL) {
        return SQLITE_OK;
    }
    int rc = real->pMethods->xFileSize(real, &size);
    if (rc != SQLITE_OK) {
        return rc;
    }
    int64_t end = truncate ? (int64_t)size : offset + (int64_t)len;
    end = end < size ? end : (int64_t)size;
    struct op *op = calloc(1, sizeof(*op) + len);
    if (op == NULL) {
        return SQLITE_NOMEM;
    }
    op->old_len = end > offset ? (size_t)(end - offset) : 0;
    op->old = malloc(op->old_len + 1);
    if (op->old == NULL) {
        free(op);
        return SQLITE_NOMEM;
    }
    if (op->old_len != 0) {
        (void)real->pMethods->xRead(real, op->old, (int)op->old_len, offset);
    }
    op->truncate = truncate;
    op->offset = offset;
    op->old_size = (int64_t)size;
    op->len = len;
    if (len != 0) {
        memcpy(op->data, data, len);
    }
    op->prev = p->last;
    if (p->last != NULL) {
        p->last->next = op;
    } else {
        p->first = op;
    }
    p->last = op;
    return SQLITE_OK;
}

/* ---- file methods ---- */

static int shim_close(sqlite3_file *f)
{
    return real_of(f)->pMethods->xClose(real_of(f));
}

static int shim_read(sqlite3_file *f, void *buf, int n, sqlite3_int64 at)
{
    (void)pthread_mutex_lock(&shim.lock);
    bool fail = failing(DB_SHIM_FAIL_READ);
    (void)pthread_mutex_unlock(&shim.lock);
    return fail ? SQLITE_IOERR_READ : real_of(f)->pMethods->xRead(real_of(f), buf, n, at);
}

static int shim_write(sqlite3_file *f, const void *data, int n, sqlite3_int64 at)
{
    int rc;

    (void)pthread_mutex_lock(&shim.lock);
    bool full = failing(DB_SHIM_FAIL_FULL);
    bool fail = failing(DB_SHIM_FAIL_WRITE);
    if (!powered() || fail) {
        rc = SQLITE_IOERR_WRITE;
    } else if (full) {
        rc = SQLITE_FULL;
    } else {
        rc = note(f, false, data, (size_t)n, at);
        if (rc == SQLITE_OK) {
            rc = real_of(f)->pMethods->xWrite(real_of(f), data, n, at);
        }
    }
    (void)pthread_mutex_unlock(&shim.lock);
    return rc;
}

static int shim_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    int rc = SQLITE_IOERR_TRUNCATE;

    (void)pthread_mutex_lock(&shim.lock);
    if (powered()) {
        rc = note(f, true, NULL, 0, size);
        if (rc == SQLITE_OK) {
            rc = real_of(f)->pMethods->xTruncate(real_of(f), size);
        }
    }
    (void)pthread_mutex_unlock(&shim.lock);
    return rc;
}

static int shim_sync(sqlite3_file *f, int flags)
{
    uint32_t ms = atomic_load(&shim.delay_ms);
    struct path *p = ((struct shim_file *)f)->path;
    int rc = SQLITE_IOERR_FSYNC;

    if (ms != 0) {
        struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000L};
        (void)nanosleep(&ts, NULL);
    }
    (void)pthread_mutex_lock(&shim.lock);
    if (!failing(DB_SHIM_FAIL_SYNC) && powered()) {
        if (shim.record && p != NULL) {
            path_forget(p); /* durable in the recording; a real one would only slow tests down */
            rc = SQLITE_OK;
        } else {
            rc = -1;
        }
    }
    (void)pthread_mutex_unlock(&shim.lock);
    return rc == -1 ? real_of(f)->pMethods->xSync(real_of(f), flags) : rc;
}

static int shim_size(sqlite3_file *f, sqlite3_int64 *size)
{
    return real_of(f)->pMethods->xFileSize(real_of(f), size);
}

static int shim_lock(sqlite3_file *f, int level)
{
    return real_of(f)->pMethods->xLock(real_of(f), level);
}

static int shim_unlock(sqlite3_file *f, int level)
{
    return real_of(f)->pMethods->xUnlock(real_of(f), level);
}

static int shim_reserved(sqlite3_file *f, int *out)
{
    return real_of(f)->pMethods->xCheckReservedLock(real_of(f), out);
}

static int shim_control(sqlite3_file *f, int op, void *arg)
{
    return real_of(f)->pMethods->xFileControl(real_of(f), op, arg);
}

static int shim_sector(sqlite3_file *f)
{
    return real_of(f)->pMethods->xSectorSize(real_of(f));
}

static int shim_traits(sqlite3_file *f)
{
    return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));
}

static int shim_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
    return real_of(f)->pMethods->xShmMap(real_of(f), page, size, extend, out);
}

static int shim_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
    return real_of(f)->pMethods->xShmLock(real_of(f), offset, n, flags);
}

static void shim_shm_barrier(sqlite3_file *f)
{
    real_of(f)->pMethods->xShmBarrier(real_of(f));
}

static int shim_shm_unmap(sqlite3_file *f, int remove)
{
    return real_of(f)->pMethods->xShmUnmap(real_of(f), remove);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = shim_close,
    .xRead = shim_read,
    .xWrite = shim_write,
    .xTruncate = shim_truncate,
    .xSync = shim_sync,
    .xFileSize = shim_size,
    .xLock = shim_lock,
    .xUnlock = shim_unlock,
    .xCheckReservedLock = shim_reserved,
    .xFileControl = shim_control,
    .xSectorSize = shim_sector,
    .xDeviceCharacteristics = shim_traits,
    .xShmMap = shim_shm_map,
    .xShmLock = shim_shm_lock,
    .xShmBarrier = shim_shm_barrier,
    .xShmUnmap = shim_shm_unmap,
};

/* ---- VFS methods that are not passed on as they are ---- */

static int shim_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out)
{
    struct shim_file *sf = (struct shim_file *)f;

    (void)vfs;
    f->pMethods = NULL;
    sf->path = NULL;
    int rc = shim.real->xOpen(shim.real, name, sf->real, flags, out);
    if (rc != SQLITE_OK) {
        return rc;
    }
    if (name != NULL) {
        (void)pthread_mutex_lock(&shim.lock);
        sf->path = path_get(name);
        (void)pthread_mutex_unlock(&shim.lock);
    }
    f->pMethods = &methods;
    return SQLITE_OK;
}

static int shim_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    (void)vfs;
    (void)pthread_mutex_lock(&shim.lock);
    bool on = powered();
    if (on && shim.record) {
        struct path *p = path_get(name);
        if (p != NULL) {
            path_forget(p);
        }
    }
    (void)pthread_mutex_unlock(&shim.lock);
    return on ? shim.real->xDelete(shim.real, name, sync) : SQLITE_IOERR_DELETE;
}

dr_err_t db_shim_register(void)
{
    dr_err_t err = DR_OK;

    (void)pthread_mutex_lock(&shim.lock);
    if (shim.real == NULL) {
        sqlite3_vfs *real = sqlite3_vfs_find(NULL);
        if (real == NULL) {
            err = DR_ERR_INTERNAL;
        } else {
            shim.vfs = *real;
            shim.vfs.pNext = NULL;
            shim.vfs.zName = DB_SHIM_NAME;
            shim.vfs.szOsFile = (int)sizeof(struct shim_file) + real->szOsFile;
            shim.vfs.xOpen = shim_open;
            shim.vfs.xDelete = shim_delete;
            shim.real = real;
            if (sqlite3_vfs_register(&shim.vfs, 0) != SQLITE_OK) {
                shim.real = NULL;
                err = DR_ERR_INTERNAL;
            }
        }
    }
    (void)pthread_mutex_unlock(&shim.lock);
    return err;
}

void db_shim_sync_delay(uint32_t ms)
{
    atomic_store(&shim.delay_ms, ms);
}

void db_shim_fail(enum db_shim_fail kind, uint32_t nth, uint32_t count)
{
    (void)pthread_mutex_lock(&shim.lock);
    shim.fail = kind;
    shim.fail_nth = nth;
    shim.fail_count = count;
    memset(shim.calls, 0, sizeof(shim.calls));
    (void)pthread_mutex_unlock(&shim.lock);
}

uint32_t db_shim_calls(enum db_shim_fail kind)
{
    (void)pthread_mutex_lock(&shim.lock);
    uint32_t n = shim.calls[kind];
    (void)pthread_mutex_unlock(&shim.lock);
    return n;
}

static void forget_all(void)
{
    for (struct path *p = shim.paths, *next; p != NULL; p = next) {
        next = p->next;
        path_forget(p);
        free(p->name);
        free(p);
    }
    shim.paths = NULL;
}

void db_shim_record(bool on)
{
    (void)pthread_mutex_lock(&shim.lock);
    forget_all();
    shim.record = on;
    shim.cut_armed = false;
    atomic_store(&shim.cut, false);
    (void)pthread_mutex_unlock(&shim.lock);
}

void db_shim_cut(uint32_t after_ops)
{
    (void)pthread_mutex_lock(&shim.lock);
    shim.cut_in = after_ops;
    shim.cut_armed = true;
    (void)pthread_mutex_unlock(&shim.lock);
}

bool db_shim_is_cut(void)
{
    return atomic_load(&shim.cut);
}

/* ---- after a cut ---- */

static uint64_t dice(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15ULL);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

static bool put(int fd, const uint8_t *data, size_t len, int64_t at)
{
    return len == 0 || pwrite(fd, data, len, at) == (ssize_t)len;
}

static bool undo(int fd, const struct path *p)
{
    for (const struct op *op = p->last; op != NULL; op = op->prev) {
        if (!put(fd, op->old, op->old_len, op->offset) || ftruncate(fd, op->old_size) != 0) {
            return false;
        }
    }
    return true;
}

static bool redo_write(int fd, const struct op *op, uint64_t *state)
{
    uint64_t how = dice(state) % 3;

    if (how == 0) {
        return true; /* lost */
    }
    if (how == 1) {
        return put(fd, op->data, op->len, op->offset);
    }
    for (size_t at = 0; at < op->len; at += SECTOR) { /* torn */
        size_t n = op->len - at < SECTOR ? op->len - at : SECTOR;
        if (dice(state) % 2 == 0 && !put(fd, op->data + at, n, op->offset + (int64_t)at)) {
            return false;
        }
    }
    return true;
}

static bool redo_some(int fd, const struct path *p, uint64_t *state)
{
    for (const struct op *op = p->first; op != NULL; op = op->next) {
        if (op->truncate) {
            if (dice(state) % 2 == 0 && ftruncate(fd, op->offset) != 0) {
                return false;
            }
        } else if (!redo_write(fd, op, state)) {
            return false;
        }
    }
    return true;
}

dr_err_t db_shim_power_back(uint64_t seed)
{
    dr_err_t err = DR_OK;
    uint64_t state = seed;

    (void)pthread_mutex_lock(&shim.lock);
    for (struct path *p = shim.paths; p != NULL; p = p->next) {
        if (p->first == NULL) {
            continue;
        }
        int fd = open(p->name, O_RDWR | O_CLOEXEC);
        if (fd < 0) {
            err = DR_ERR_IO;
            continue;
        }
        if (!undo(fd, p) || !redo_some(fd, p, &state)) {
            err = DR_ERR_IO;
        }
        (void)close(fd);
    }
    forget_all();
    shim.record = false;
    shim.cut_armed = false;
    atomic_store(&shim.cut, false);
    (void)pthread_mutex_unlock(&shim.lock);
    return err;
}
