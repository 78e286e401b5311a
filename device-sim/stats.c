/* SPDX-License-Identifier: Apache-2.0 */
#include "device-sim/stats.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static unsigned bucket_of(uint64_t us)
{
    if (us < 16) {
        return (unsigned)us;
    }
    unsigned octave = 63U - (unsigned)__builtin_clzll(us);
    unsigned b = (octave - 3) * 16 + (unsigned)((us >> (octave - 4)) & 15);

    return b < SIM_BUCKETS ? b : SIM_BUCKETS - 1;
}

static double bucket_us(unsigned b)
{
    if (b < 16) {
        return (double)b;
    }
    unsigned octave = b / 16 + 3;

    return (double)((uint64_t)(16 + b % 16) << (octave - 4));
}

void sim_stats_latency(struct sim_stats *s, uint64_t us)
{
    s->buckets[bucket_of(us)]++;
}

double sim_stats_quantile_ms(const struct sim_stats *s, double q)
{
    uint64_t total = 0, seen = 0;

    for (unsigned i = 0; i < SIM_BUCKETS; i++) {
        total += s->buckets[i];
    }
    for (unsigned i = 0; i < SIM_BUCKETS && total > 0; i++) {
        seen += s->buckets[i];
        if ((double)seen >= q * (double)total) {
            return bucket_us(i) / 1000;
        }
    }
    return 0;
}

void sim_stats_error(struct sim_stats *s, const char *what)
{
    for (unsigned i = 0; i < SIM_ERRORS_MAX; i++) {
        struct sim_error *e = &s->errors[i];
        if (e->what == NULL || strcmp(e->what, what) == 0 || i == SIM_ERRORS_MAX - 1) {
            e->what = e->what == NULL ? what : e->what;
            e->count++;
            return;
        }
    }
}

void sim_stats_block(struct sim_stats *s, size_t len, uint64_t now_us)
{
    s->blocks++;
    s->block_bytes += len;
    s->first_block_us = s->first_block_us == 0 ? now_us : s->first_block_us;
    s->last_block_us = now_us;
}

uint64_t sim_stats_errors(const struct sim_stats *s)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < SIM_ERRORS_MAX; i++) {
        n += s->errors[i].count;
    }
    return n;
}

double sim_cpu_s(int pid)
{
    struct timespec t;
    clockid_t id;

    if (clock_getcpuclockid(pid, &id) != 0 || clock_gettime(id, &t) != 0) {
        return 0;
    }
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void sim_stats_ready(struct sim_stats *s, uint64_t now_us)
{
    s->registered_us = now_us;
    s->handshakes_at = s->handshakes;
    s->registrations_at = s->registrations;
}

void sim_stats_measure(struct sim_stats *s, int server_pid, uint64_t now_us)
{
    memset(s->buckets, 0, sizeof s->buckets);
    s->requests = 0;
    s->notifications = 0;
    s->measured_us = now_us;
    s->cpu_at = sim_cpu_s((int)getpid());
    s->server_cpu_at = server_pid != 0 ? sim_cpu_s(server_pid) : 0;
}

void sim_stats_end(struct sim_stats *s, int server_pid, uint64_t now_us)
{
    s->ended_us = now_us;
    s->handshakes_end = s->handshakes;
    s->registrations_end = s->registrations;
    s->cpu_s = sim_cpu_s((int)getpid()) - s->cpu_at;
    s->server_cpu_s = server_pid != 0 ? sim_cpu_s(server_pid) - s->server_cpu_at : 0;
}

static double rate(uint64_t n, uint64_t from_us, uint64_t to_us)
{
    return to_us > from_us ? (double)n * 1e6 / (double)(to_us - from_us) : 0;
}

/* Of the phase in which all register; in a scenario that goes on registering, of the run. */
static double connect_rate(const struct sim_stats *s, uint64_t at, uint64_t end)
{
    if (s->registered_us == 0) {
        return rate(end, s->began_us, s->ended_us);
    }
    return s->by_run ? rate(end - at, s->measured_us, s->ended_us)
                     : rate(at, s->began_us, s->registered_us);
}

void sim_stats_print(const struct sim_stats *s, FILE *out)
{
    double seconds =
        s->ended_us > s->measured_us ? (double)(s->ended_us - s->measured_us) / 1e6 : 0;

    fprintf(out,
            "{\"devices\":%" PRIu32 ",\"registered\":%" PRIu32 ",\"handshakes\":%" PRIu64
            ",\"handshakes_per_s\":%.1f,\"registrations\":%" PRIu64 ",\"registrations_per_s\":%.1f"
            ",\"requests\":%" PRIu64 ",\"requests_per_s\":%.1f,\"notifications\":%" PRIu64
            ",\"served\":%" PRIu64
            ",\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"cpu_s\":%.2f,\"server_cpu_s\":%.2f,\"saturated\":%s"
            ",\"retransmissions\":%" PRIu64 ",\"updated\":%" PRIu32 ",\"failed\":%" PRIu32
            ",\"blocks\":%" PRIu64 ",\"blocks_per_s\":%.1f,\"bootstraps\":%" PRIu64
            ",\"bootstraps_per_s\":%.1f,\"errors\":{",
            s->devices, s->registered, s->handshakes,
            connect_rate(s, s->handshakes_at, s->handshakes_end), s->registrations,
            connect_rate(s, s->registrations_at, s->registrations_end), s->requests,
            rate(s->requests, s->measured_us, s->ended_us), s->notifications, s->served,
            sim_stats_quantile_ms(s, 0.5), sim_stats_quantile_ms(s, 0.99), s->cpu_s,
            s->server_cpu_s, seconds > 0 && s->cpu_s > 0.9 * seconds ? "true" : "false",
            s->retransmissions, s->updated, s->failed, s->blocks,
            rate(s->blocks, s->first_block_us, s->last_block_us), s->bootstraps,
            rate(s->bootstraps, s->began_us, s->last_bootstrap_us));
    for (unsigned i = 0; i < SIM_ERRORS_MAX && s->errors[i].what != NULL; i++) {
        fprintf(out, "%s\"%s\":%" PRIu64, i > 0 ? "," : "", s->errors[i].what, s->errors[i].count);
    }
    fprintf(out, "},\"seconds\":%.2f}\n", seconds);
}
