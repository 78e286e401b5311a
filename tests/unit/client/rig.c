/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/client/rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <check.h>
#include <sys/wait.h>

#include "client/hal.h"

enum cl_rule cl_rule_off;
struct rig rig;
static bool in_child;

static bool cheap_verify(const struct cl_trust *trust, const uint8_t hash[CL_HASH_LEN],
                         const uint8_t sig[CL_SIG_LEN])
{
    (void)trust;
    return memcmp(sig, hash, CL_HASH_LEN) == 0 && memcmp(sig + CL_HASH_LEN, hash, CL_HASH_LEN) == 0;
}

const struct cl_trust rig_trust = {.verify = cheap_verify};

static void power_off(struct nor *nor)
{
    nor->cut_at = 0;
    longjmp(rig.off, 1);
}

void rig_reset(void)
{
    memset(&rig, 0, sizeof rig);
    memset(rig.mem, 0xff, sizeof rig.mem);
    rig.nor =
        (struct nor){.mem = rig.mem, .size = RIG_FLASH, .sector = RIG_SECTOR, .on_cut = power_off};
}

void rig_cut(uint64_t nth, enum nor_tear tear, uint32_t tear_from, uint32_t seed)
{
    rig.nor.cut_at = rig.nor.writes + nth;
    rig.nor.tear = tear;
    rig.nor.tear_from = tear_from;
    rig.nor.seed = seed;
}

void rig_image_make(struct rig_image *img, uint32_t version, uint32_t counter, uint32_t body_len,
                    uint32_t flags)
{
    memset(img, 0, sizeof *img);
    img->len = CL_HEADER_LEN + body_len;
    for (uint32_t i = 0; i < body_len; i++) {
        img->raw[CL_HEADER_LEN + i] = (uint8_t)(i * 7 + version * 31 + (i >> 8));
    }
    cl_put32(img->raw, 0x314d4944u);
    cl_put32(img->raw + 4, CL_HEADER_LEN);
    cl_put32(img->raw + 12, body_len);
    cl_put32(img->raw + 16, version);
    cl_put32(img->raw + 20, counter);
    cl_put32(img->raw + 24, flags);
    cl_sha256(img->raw + CL_HEADER_LEN, body_len, img->raw + 32);
    cl_sha256(img->raw, 448, img->raw + 448);
    memcpy(img->raw + 480, img->raw + 448, 32);
}

void rig_require(bool ok, const char *what, const char *file, int line)
{
    if (!ok && in_child) {
        _exit(9);
    }
    ck_assert_msg(ok, "%s:%d: %s", file, line, what);
}

bool rig_turns_red(enum cl_rule rule, void (*scenario)(void))
{
    pid_t pid = fork();

    if (pid == 0) {
        in_child = true;
        cl_rule_off = rule;
        fclose(stderr); /* an abort is what we hope for */
        scenario();
        _exit(0);
    }
    int status = 0;
    ck_assert(pid > 0 && waitpid(pid, &status, 0) == pid);
    return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

/* volatile: they live across a longjmp */
void rig_live(bool (*power_on)(void), int boots_max)
{
    volatile int boots = 0;
    volatile bool done = false;

    while (!done) {
        boots++;
        REQUIRE(boots <= boots_max, "a device comes to rest");
        if (setjmp(rig.off) == 0) {
            done = power_on();
        }
    }
}

void hal_flash_geometry(struct hal_flash *ret)
{
    *ret = (struct hal_flash){RIG_FLASH, RIG_SECTOR};
}

bool hal_flash_read(uint32_t addr, void *buf, size_t len)
{
    return nor_read(&rig.nor, addr, buf, len);
}

bool hal_flash_program(uint32_t addr, const void *buf, size_t len)
{
    return nor_program(&rig.nor, addr, buf, len);
}

bool hal_flash_erase(uint32_t addr)
{
    return nor_erase(&rig.nor, addr);
}

uint32_t hal_counter_get(void)
{
    return rig.counter;
}

void hal_counter_raise(uint32_t value)
{
    if (value > rig.counter) {
        rig.counter = value;
    }
}
