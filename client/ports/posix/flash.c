/* SPDX-License-Identifier: Apache-2.0 */
#include "client/ports/posix/flash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/hal.h"

/* of writes, in the environment of the program that follows a reset */
#define COUNT_NAME "DROVER_CLIENT_WRITES"

static struct nor flash;

/* A new file is blank flash. */
static bool size_make(int fd, uint32_t size, bool *ret_new)
{
    struct stat st;

    if (fstat(fd, &st) != 0) {
        return false;
    }
    *ret_new = st.st_size == 0;
    if (*ret_new) {
        return ftruncate(fd, size) == 0;
    }
    errno = EINVAL;
    return st.st_size == size;
}

struct nor *flash_open(const char *path, uint32_t size)
{
    bool fresh = false;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    void *mem = MAP_FAILED;

    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && size_make(fd, size, &fresh)) {
        mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    if (mem == MAP_FAILED) {
        fprintf(stderr, "drover-client: flash '%s': %s\n", path,
                errno == EINVAL ? "made with another slot size" : strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return NULL;
    }
    if (fresh) {
        memset(mem, 0xff, size);
    }
    flash = (struct nor){.mem = mem, .size = size, .sector = FLASH_SECTOR};
    return &flash; /* the descriptor stays open: it holds the lock */
}

static void on_cut(struct nor *nor)
{
    (void)nor;
    fprintf(stderr, "drover-client: power is cut\n");
    _exit(FLASH_CUT_STATUS);
}

void flash_fault(uint32_t nth)
{
    const char *before = getenv(COUNT_NAME);
    uint64_t done = before != NULL ? strtoull(before, NULL, 10) : 0;

    flash.on_cut = on_cut;
    flash.writes = done;
    flash.cut_at = nth;
    flash.tear = (enum nor_tear)(nth % NOR_TEARS);
    flash.seed = nth;
}

void flash_reset(void)
{
    char text[24];

    if (flash.cut_at != 0) {
        snprintf(text, sizeof text, "%llu", (unsigned long long)flash.writes);
        (void)setenv(COUNT_NAME, text, 1);
    }
}

void hal_flash_geometry(struct hal_flash *ret)
{
    *ret = (struct hal_flash){.size = flash.size, .sector = flash.sector};
}

bool hal_flash_read(uint32_t addr, void *buf, size_t len)
{
    return nor_read(&flash, addr, buf, len);
}

bool hal_flash_program(uint32_t addr, const void *buf, size_t len)
{
    return nor_program(&flash, addr, buf, len);
}

bool hal_flash_erase(uint32_t addr)
{
    return nor_erase(&flash, addr);
}
