/* SPDX-License-Identifier: Apache-2.0 */
/* The flash of a process: a file with NOR rules, and power that goes in the N-th write. */
#include "client/ports/posix/flash.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/hal.h"
#include "tests/unit/run.h"

#define SIZE (4 * FLASH_SECTOR)

static char folder[64], path[96];

static void set_up(void)
{
    (void)snprintf(folder, sizeof folder, "/tmp/drover-flash.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/flash.bin", folder);
}

static void tear_down(void)
{
    (void)unlink(path);
    ck_assert_int_eq(rmdir(folder), 0);
}

static void programs(uint32_t addr, uint8_t fill, size_t units)
{
    uint8_t buf[64 * HAL_FLASH_UNIT];

    memset(buf, fill, sizeof buf);
    ck_assert(hal_flash_program(addr, buf, units * HAL_FLASH_UNIT));
}

/* The status of a process in which body ran. */
static int in_child(void (*body)(void))
{
    int status = 0;

    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        fclose(stderr); /* what it says is expected */
        body();
        _exit(0);
    }
    ck_assert(pid > 0 && waitpid(pid, &status, 0) == pid);
    return status;
}

static void opens(void)
{
    if (flash_open(path, SIZE) == NULL) {
        _exit(1);
    }
}

static void writes_and_dies(void)
{
    opens();
    programs(0, 0x11, 2);
    ck_assert(hal_flash_erase(FLASH_SECTOR));
    programs(FLASH_SECTOR, 0x22, 3);
    (void)raise(SIGKILL);
}

START_TEST(content_outlives_the_process)
{
    struct hal_flash geo;
    struct stat st;
    uint8_t buf[HAL_FLASH_UNIT];

    ck_assert(WIFSIGNALED(in_child(writes_and_dies)));
    ck_assert_ptr_nonnull(flash_open(path, SIZE));
    hal_flash_geometry(&geo);
    ck_assert(geo.size == SIZE && geo.sector == FLASH_SECTOR);
    ck_assert(hal_flash_read(HAL_FLASH_UNIT, buf, sizeof buf) && buf[7] == 0x11);
    ck_assert(hal_flash_read(FLASH_SECTOR + 2 * HAL_FLASH_UNIT, buf, sizeof buf) && buf[0] == 0x22);
    ck_assert(hal_flash_read(SIZE - sizeof buf, buf, sizeof buf) && buf[0] == 0xff);
    ck_assert(!hal_flash_read(SIZE - 4, buf, sizeof buf));
    ck_assert(!hal_flash_erase(SIZE));
    ck_assert(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600 && st.st_size == SIZE);
}
END_TEST

START_TEST(file_belongs_to_one_process_and_one_size)
{
    ck_assert_ptr_nonnull(flash_open(path, SIZE));
    ck_assert_int_eq(WEXITSTATUS(in_child(opens)), 1); /* it is open here */
    tear_down();
    set_up();
    FILE *f = fopen(path, "w");
    ck_assert(f != NULL && fputs("short", f) >= 0 && fclose(f) == 0);
    ck_assert_int_eq(WEXITSTATUS(in_child(opens)), 1);
}
END_TEST

static void programs_twice(void)
{
    opens();
    programs(0, 0x11, 1);
    programs(0, 0x10, 1);
}

static void programs_part_of_a_unit(void)
{
    opens();
    (void)hal_flash_program(4, "abcdefgh", 8);
}

static void erases_inside_a_sector(void)
{
    opens();
    (void)hal_flash_erase(512);
}

START_TEST(breaking_a_rule_of_flash_aborts)
{
    static void (*const cases[])(void) = {programs_twice, programs_part_of_a_unit,
                                          erases_inside_a_sector};
    int status = in_child(cases[_i]);

    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}
END_TEST

static uint32_t nth;

static void is_cut(void)
{
    opens();
    flash_fault(nth);
    programs(0, 0x00, 4);
    ck_assert(hal_flash_erase(FLASH_SECTOR));
    flash_reset(); /* the board starts again, and goes on counting */
    flash_fault(nth);
    programs(2 * FLASH_SECTOR, 0x00, 4);
}

START_TEST(power_goes_in_the_nth_write)
{
    uint8_t buf[4 * HAL_FLASH_UNIT];

    for (nth = 1; nth <= 10; nth++) {
        (void)unlink(path);
        int status = in_child(is_cut);
        ck_assert_int_eq(WEXITSTATUS(status), nth <= 9 ? FLASH_CUT_STATUS : 0);
        int fd = open(path, O_RDONLY);
        uint32_t from = nth > 5 ? 2 * FLASH_SECTOR : 0, done = nth > 5 ? nth - 6 : nth - 1;
        ck_assert(fd >= 0 && pread(fd, buf, sizeof buf, from) == (ssize_t)sizeof buf);
        close(fd);
        for (uint32_t unit = 0; unit < 4; unit++) { /* whole before, blank behind, any between */
            const uint8_t *p = buf + unit * HAL_FLASH_UNIT;
            ck_assert(unit >= done || (p[0] == 0 && p[7] == 0));
            ck_assert(unit <= done || (p[0] == 0xff && p[7] == 0xff));
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client flash file");
    TCase *tc = add_case(suite, "file");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, content_outlives_the_process);
    tcase_add_test(tc, file_belongs_to_one_process_and_one_size);
    tcase_add_loop_test(tc, breaking_a_rule_of_flash_aborts, 0, 3);
    tcase_add_test(tc, power_goes_in_the_nth_write);
    return run_suite(suite);
}
