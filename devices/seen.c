/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/seen.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"

/*
 * seen.N.a and seen.N.b, big endian, two kinds of records:
 *   time: slot 4 (below 2^28) | unix seconds 4
 *   map:  0x80000000 | slot  4 | check 4 | device 8 | generation 8
 * Slot 5 is device 0x18bcfe5680000001 with generation 2, heard at 1700000000:
 *   80000005 564e5617 18bcfe5680000001 0000000000000002   00000005 6553f100
 * (the check is a mix of the other fields, so that a torn record is not believed)
 */
#define MAP_BIT      0x80000000U
#define MAP_SIZE     24
#define PUT_SIZE     8
#define NAME_MAX_LEN 32

static uint32_t map_check(uint32_t slot, int64_t device, int64_t generation)
{
    uint64_t v = (uint64_t)device * 0x9e3779b97f4a7c15U;

    v ^= (uint64_t)generation * 0xbf58476d1ce4e5b9U;
    v ^= (uint64_t)slot << 17;
    v ^= v >> 31;
    return (uint32_t)(v ^ v >> 32);
}

static void name_of(unsigned shard, uint8_t epoch, char out[NAME_MAX_LEN])
{
    (void)snprintf(out, NAME_MAX_LEN, "seen.%u.%c", shard, (epoch & 1U) != 0 ? 'b' : 'a');
}

static int file_begin(struct dev_seen *s)
{
    char name[NAME_MAX_LEN];

    name_of(s->shard, s->epoch, name);
    return openat(s->dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
}

dr_err_t dev_seen_open(struct dev_seen *s, const char *dir, unsigned shard)
{
    dr_assert(s != NULL && dir != NULL && shard < DEV_SEEN_SHARDS_MAX);
    memset(s, 0, sizeof *s);
    s->fd = -1;
    s->shard = shard;
    s->max = DEV_SEEN_BYTES_MAX;
    s->epoch = 1;
    s->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->dir < 0) {
        return DR_ERR_IO;
    }
    s->fd = file_begin(s);
    if (s->fd < 0) {
        (void)close(s->dir);
        s->dir = -1;
        return DR_ERR_IO;
    }
    return DR_OK;
}

void dev_seen_flush(struct dev_seen *s)
{
    size_t done = 0;

    while (s->fd >= 0 && done < s->len) {
        ssize_t n = write(s->fd, s->buf + done, s->len - done);
        if (n <= 0) {
            /* last-seen times are not acknowledged to anybody: count, go on with a fresh file */
            s->lost += s->len / PUT_SIZE;
            DR_LOG_LIMITED(DR_LOG_WARNING, "devices", 1, "last-seen times could not be written");
            break;
        }
        done += (size_t)n;
    }
    s->bytes += done;
    s->len = 0;
}

void dev_seen_close(struct dev_seen *s)
{
    if (s->fd >= 0) {
        dev_seen_flush(s);
        (void)close(s->fd);
        s->fd = -1;
    }
    if (s->dir > 0) {
        (void)close(s->dir);
        s->dir = -1;
    }
}

static uint8_t *record_reserve(struct dev_seen *s, size_t size)
{
    if (s->len + size > sizeof s->buf) {
        dev_seen_flush(s);
    }
    uint8_t *p = s->buf + s->len;
    s->len += size;
    return p;
}

void dev_seen_map(struct dev_seen *s, uint32_t slot, int64_t device, int64_t generation)
{
    dr_assert(slot < DEV_SEEN_SLOTS_MAX);
    uint8_t *p = record_reserve(s, MAP_SIZE);

    dr_store_be(p, MAP_BIT | slot, 4);
    dr_store_be(p + 4, map_check(slot, device, generation), 4);
    dr_store_be(p + 8, (uint64_t)device, 8);
    dr_store_be(p + 16, (uint64_t)generation, 8);
}

void dev_seen_put(struct dev_seen *s, uint32_t slot, uint32_t unix_s)
{
    uint8_t *p = record_reserve(s, PUT_SIZE);

    dr_store_be(p, slot, 4);
    dr_store_be(p + 4, unix_s, 4);
}

bool dev_seen_full(const struct dev_seen *s)
{
    return !s->old && s->bytes + s->len >= s->max;
}

void dev_seen_rotate(struct dev_seen *s)
{
    dr_assert(!s->old);
    dev_seen_flush(s);
    s->epoch++;
    int fd = file_begin(s);
    if (fd < 0) {
        s->epoch--;
        s->max *= 2; /* the old file goes on; do not try at each record */
        return;
    }
    (void)close(s->fd);
    s->fd = fd;
    s->bytes = 0;
    s->old = true;
}

void dev_seen_old_drop(struct dev_seen *s)
{
    char name[NAME_MAX_LEN];

    if (!s->old) {
        return;
    }
    dev_seen_flush(s);
    name_of(s->shard, (uint8_t)(s->epoch - 1), name);
    (void)unlinkat(s->dir, name, 0);
    s->old = false;
}

struct slot_state {
    int64_t device, generation;
    uint32_t unix_s;
};

static dr_err_t file_replay(int fd, size_t size, dev_seen_fn *fn, void *data)
{
    dr_err_t err = DR_OK;
    struct slot_state *slots = NULL;
    size_t n = 0;
    uint8_t *buf = malloc(size == 0 ? 1 : size);
    size_t len = 0;

    if (buf == NULL) {
        return DR_ERR_NOMEM;
    }
    while (len < size) {
        ssize_t got = read(fd, buf + len, size - len);
        if (got <= 0) {
            break;
        }
        len += (size_t)got;
    }
    struct dr_rd rd = dr_rd_of(buf, len);
    while (dr_rd_left(&rd) >= PUT_SIZE) {
        uint32_t slot = dr_rd_u32(&rd);
        uint32_t second = dr_rd_u32(&rd);
        bool map = (slot & MAP_BIT) != 0;
        slot &= ~MAP_BIT;
        if (slot >= DEV_SEEN_SLOTS_MAX) {
            break;
        }
        if (!map) {
            if (slot >= n || slots[slot].device == 0) {
                break; /* never introduced: damaged */
            }
            slots[slot].unix_s = second;
            continue;
        }
        int64_t device = (int64_t)dr_rd_u64(&rd);
        int64_t generation = (int64_t)dr_rd_u64(&rd);
        if (!dr_rd_ok(&rd) || second != map_check(slot, device, generation) || device <= 0) {
            break;
        }
        if (slot >= n) {
            size_t more = (size_t)slot + 1 + slot / 2 + 1024;
            struct slot_state *bigger = realloc(slots, more * sizeof *slots);
            if (bigger == NULL) {
                err = DR_ERR_NOMEM;
                break;
            }
            memset(bigger + n, 0, (more - n) * sizeof *slots);
            slots = bigger;
            n = more;
        }
        if (slots[slot].unix_s != 0) {
            fn(data, slots[slot].device, slots[slot].generation, slots[slot].unix_s);
        }
        slots[slot] = (struct slot_state){.device = device, .generation = generation};
    }
    for (size_t i = 0; i < n; i++) {
        if (slots[i].unix_s != 0) {
            fn(data, slots[i].device, slots[i].generation, slots[i].unix_s);
        }
    }
    free(slots);
    free(buf);
    return err;
}

dr_err_t dev_seen_replay(const char *dir, dev_seen_fn *fn, void *data)
{
    dr_err_t err = DR_OK;
    DIR *d = opendir(dir);

    for (struct dirent *e; d != NULL && err == DR_OK && (e = readdir(d)) != NULL;) {
        if (strncmp(e->d_name, "seen.", 5) != 0) {
            continue;
        }
        int fd = openat(dirfd(d), e->d_name, O_RDONLY | O_CLOEXEC);
        struct stat st;
        if (fd < 0) {
            continue;
        }
        if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0) {
            err = file_replay(fd, (size_t)st.st_size, fn, data);
        }
        (void)close(fd);
    }
    if (d != NULL) {
        (void)closedir(d);
    }
    return err;
}

void dev_seen_remove(const char *dir)
{
    DIR *d = opendir(dir);

    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        if (strncmp(e->d_name, "seen.", 5) == 0) {
            (void)unlinkat(dirfd(d), e->d_name, 0);
        }
    }
    if (d != NULL) {
        (void)closedir(d);
    }
}
