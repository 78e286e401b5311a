/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/text.h"
#include "device-sim/fleet.h"
#include "device-sim/options.h"
#include "device-sim/stats.h"

struct sim {
    struct sim_options options;
    struct sim_stats stats;
    struct loop *loop;
    struct sim_fleet *fleet;
    struct loop_signal on_term, on_int;
};

static struct sim sim;

static void over(void *data)
{
    (void)data;
    loop_stop(sim.loop);
}

static void on_signal(struct loop_signal *s, int signum)
{
    (void)s;
    (void)signum;
    sim_fleet_stop(sim.fleet);
}

/* Over TCP, and with libcoap, each device has a descriptor. */
static void raise_descriptors(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

static int run(void)
{
    dr_err_t err = loop_new("sim", &sim.loop);

    if (err == DR_OK) {
        err = sim_fleet_start(sim.loop, &sim.options, &sim.stats, over, NULL, &sim.fleet);
    }
    if (err == DR_OK) {
        err = loop_signal_start(sim.loop, &sim.on_term, SIGTERM, on_signal);
    }
    if (err == DR_OK) {
        err = loop_signal_start(sim.loop, &sim.on_int, SIGINT, on_signal);
    }
    if (err != DR_OK) {
        fprintf(stderr, "drover-sim: cannot start: %s\n", dr_err_str(err));
        return 1;
    }
    loop_run(sim.loop);
    sim_stats_print(&sim.stats, stdout);
    int code = sim_fleet_good(sim.fleet) ? 0 : 1;
    sim.fleet = sim_fleet_free(sim.fleet);
    loop_signal_stop(&sim.on_term);
    loop_signal_stop(&sim.on_int);
    sim.loop = loop_free(sim.loop);
    return code;
}

int main(int argc, char **argv)
{
    dr_err_t err = sim_options_parse(argc, argv, &sim.options);

    if (err != DR_OK) {
        return err == DR_ERR_AGAIN ? 0 : 2;
    }
    dr_log_set_level(DR_LOG_WARNING);
    raise_descriptors();
    int code = run();
    dr_wipe(&sim.options.master, sizeof sim.options.master);
    return code;
}
