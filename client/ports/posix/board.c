/* SPDX-License-Identifier: Apache-2.0 */
#include "client/ports/posix/board.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "client/hal.h"
#include "client/ports/posix/flash.h"

static char **command;
static int64_t wall_offset_s; /* set time against the machine's clock, which stays as it is */

void board_init(char **argv)
{
    command = argv;
}

static uint64_t clock_ms(clockid_t id)
{
    struct timespec t;

    if (clock_gettime(id, &t) != 0) {
        abort();
    }
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

uint64_t hal_time_ms(void)
{
    return clock_ms(CLOCK_BOOTTIME);
}

int64_t hal_wall_time(void)
{
    return (int64_t)(clock_ms(CLOCK_REALTIME) / 1000) + wall_offset_s;
}

void hal_wall_time_set(int64_t unix_s)
{
    wall_offset_s += unix_s - hal_wall_time();
}

void hal_random(void *buf, size_t len)
{
    uint8_t *p = buf;

    while (len > 0) {
        ssize_t n = getrandom(p, len, 0);
        if (n <= 0) {
            fprintf(stderr, "drover-client: no randomness\n");
            abort();
        }
        p += n;
        len -= (size_t)n;
    }
}

void hal_reset(void)
{
    fflush(NULL);
    hal_net_close();
    flash_reset();
    if (command != NULL) {
        execv("/proc/self/exe", command);
    }
    perror("drover-client: cannot start again");
    _exit(1);
}

uint32_t hal_counter_get(void)
{
    return 0;
}

void hal_counter_raise(uint32_t value)
{
    (void)value;
}

/* A slow saw: between 20 and 24 degrees and back, a step of 0.1 every two seconds. */
int32_t hal_temperature_milli(void)
{
    int32_t step = (int32_t)(hal_time_ms() / 2000 % 80);

    return 20000 + 100 * (step < 40 ? step : 80 - step);
}

void hal_log(const char *line)
{
    fprintf(stderr, "drover-client: %s\n", line);
}
