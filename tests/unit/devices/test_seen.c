/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "devices/seen.h"
#include "tests/unit/devices/unit.h"

static char dir[64];
static struct dev_seen seen;
static struct {
    int64_t device, generation;
    uint32_t unix_s;
} got[64];
static unsigned n_got;

static void note(void *data, int64_t device, int64_t generation, uint32_t unix_s)
{
    (void)data;
    for (unsigned i = 0; i < n_got; i++) {
        if (got[i].device == device) {
            if (unix_s > got[i].unix_s) {
                got[i].unix_s = unix_s;
                got[i].generation = generation;
            }
            return;
        }
    }
    ck_assert_uint_lt(n_got, 64);
    got[n_got].device = device;
    got[n_got].generation = generation;
    got[n_got++].unix_s = unix_s;
}

static uint32_t last_of(int64_t device)
{
    for (unsigned i = 0; i < n_got; i++) {
        if (got[i].device == device) {
            return got[i].unix_s;
        }
    }
    return 0;
}

static void setup(void)
{
    (void)snprintf(dir, sizeof dir, "/tmp/seen.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    n_got = 0;
    ck_assert_int_eq(dev_seen_open(&seen, dir, 0), DR_OK);
}

static void teardown(void)
{
    dev_seen_close(&seen);
    dev_seen_remove(dir);
    ck_assert_int_eq(rmdir(dir), 0);
}

static unsigned files(void)
{
    unsigned n = 0;
    DIR *d = opendir(dir);

    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        n += strncmp(e->d_name, "seen.", 5) == 0;
    }
    closedir(d);
    return n;
}

START_TEST(the_last_time_of_each_device_comes_back)
{
    dev_seen_map(&seen, 5, 500, 2);
    dev_seen_put(&seen, 5, 1000);
    dev_seen_map(&seen, 9, 900, 1);
    for (uint32_t i = 0; i < 10000; i++) { /* beyond the buffer */
        dev_seen_put(&seen, 9, 1000 + i);
    }
    dev_seen_put(&seen, 5, 1001);
    dev_seen_map(&seen, 5, 501, 1); /* the slot was given to another device */
    dev_seen_put(&seen, 5, 2000);
    dev_seen_flush(&seen);
    ck_assert_int_eq(dev_seen_replay(dir, note, NULL), DR_OK);
    ck_assert_uint_eq(n_got, 3);
    ck_assert_uint_eq(last_of(500), 1001);
    ck_assert_uint_eq(last_of(501), 2000);
    ck_assert_uint_eq(last_of(900), 10999);
}
END_TEST

START_TEST(a_torn_file_gives_what_is_whole)
{
    dev_seen_map(&seen, 1, 100, 1);
    dev_seen_put(&seen, 1, 1000);
    dev_seen_map(&seen, 2, 200, 1);
    dev_seen_put(&seen, 2, 2000);
    dev_seen_flush(&seen);
    char path[96];
    (void)snprintf(path, sizeof path, "%s/seen.0.b", dir);
    for (off_t size = 63; size >= 32; size--) { /* down to within the second map */
        ck_assert_int_eq(truncate(path, size), 0);
        n_got = 0;
        ck_assert_int_eq(dev_seen_replay(dir, note, NULL), DR_OK);
        ck_assert_uint_eq(last_of(100), 1000);
        ck_assert_uint_eq(last_of(200), 0);
    }
    int fd = open(path, O_WRONLY | O_APPEND);
    uint8_t junk[24] = {0x80, 0, 0, 2, 1, 2, 3, 4, 5}; /* a map with a wrong check */
    ck_assert_int_eq(write(fd, junk, sizeof junk), sizeof junk);
    close(fd);
    n_got = 0;
    ck_assert_int_eq(dev_seen_replay(dir, note, NULL), DR_OK);
    ck_assert_uint_eq(n_got, 1);
}
END_TEST

START_TEST(a_full_file_is_replaced_without_a_gap)
{
    seen.max = 4096;
    dev_seen_map(&seen, 1, 100, 1);
    dev_seen_map(&seen, 2, 200, 1);
    dev_seen_put(&seen, 2, 5);
    uint32_t t = 10;
    while (!dev_seen_full(&seen)) {
        dev_seen_put(&seen, 1, t++);
    }
    uint8_t epoch = seen.epoch;
    dev_seen_rotate(&seen);
    ck_assert_uint_ne(seen.epoch, epoch);
    ck_assert_uint_eq(files(), 2); /* a crash now finds both */
    ck_assert_int_eq(dev_seen_replay(dir, note, NULL), DR_OK);
    ck_assert_uint_eq(last_of(100), t - 1);
    dev_seen_map(&seen, 1, 100, 1);
    dev_seen_put(&seen, 1, t);
    dev_seen_map(&seen, 2, 200, 1);
    dev_seen_put(&seen, 2, 5);
    dev_seen_old_drop(&seen);
    ck_assert_uint_eq(files(), 1);
    n_got = 0;
    ck_assert_int_eq(dev_seen_replay(dir, note, NULL), DR_OK);
    ck_assert_uint_eq(last_of(100), t);
    ck_assert_uint_eq(last_of(200), 5);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("devices: last-seen files");
    TCase *tc = tcase_create("seen");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, the_last_time_of_each_device_comes_back);
    tcase_add_test(tc, a_torn_file_gives_what_is_whole);
    tcase_add_test(tc, a_full_file_is_replaced_without_a_gap);
    suite_add_tcase(s, tc);
    return unit_main(s);
}
