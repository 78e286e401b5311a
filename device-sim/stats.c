/* SPDX-License-Identifier: Apache-2.0 */
#include "device-sim/stats.h"

#include <inttypes.h>
#include <string.h>
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
    char path[40], text[1024];
    unsigned long user = 0, system = 0;

    (void)snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *f = fopen(path, "r");
    if (f == NULL) {
        return 0;
    }
    size_t n = fread(text, 1, sizeof text - 1, f);
    (void)fclose(f);
    text[n] = '\0';
    const char *at = strrchr(text, ')');
    if (at == NULL || sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
                             &system) != 2) {
        return 0;
    }
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
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
    s->cpu_s = sim_cpu_s((int)getpid()) - s->cpu_at;
    s->server_cpu_s = server_pid != 0 ? sim_cpu_s(server_pid) - s->server_cpu_at : 0;
}

static double rate(uint64_t n, uint64_t from_us, uint64_t to_us)
{
    return to_us > from_us ? (double)n * 1e6 / (double)(to_us - from_us) : 0;
}

void sim_stats_print(const struct sim_stats *s, FILE *out)
{
    double seconds =
        s->ended_us > s->measured_us ? (double)(s->ended_us - s->measured_us) / 1e6 : 0;
    uint64_t ready_us = s->registered_us != 0 ? s->registered_us : s->ended_us;

    fprintf(out,
            "{\"devices\":%" PRIu32 ",\"registered\":%" PRIu32 ",\"handshakes\":%" PRIu64
            ",\"handshakes_per_s\":%.1f,\"registrations\":%" PRIu64 ",\"registrations_per_s\":%.1f"
            ",\"requests\":%" PRIu64 ",\"requests_per_s\":%.1f,\"notifications\":%" PRIu64
            ",\"served\":%" PRIu64
            ",\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"cpu_s\":%.2f,\"server_cpu_s\":%.2f,\"saturated\":%s"
            ",\"retransmissions\":%" PRIu64 ",\"errors\":{",
            s->devices, s->registered, s->handshakes, rate(s->handshakes, s->began_us, ready_us),
            s->registrations, rate(s->registrations, s->began_us, ready_us), s->requests,
            rate(s->requests, s->measured_us, s->ended_us), s->notifications, s->served,
            sim_stats_quantile_ms(s, 0.5), sim_stats_quantile_ms(s, 0.99), s->cpu_s,
            s->server_cpu_s, seconds > 0 && s->cpu_s > 0.9 * seconds ? "true" : "false",
            s->retransmissions);
    for (unsigned i = 0; i < SIM_ERRORS_MAX && s->errors[i].what != NULL; i++) {
        fprintf(out, "%s\"%s\":%" PRIu64, i > 0 ? "," : "", s->errors[i].what, s->errors[i].count);
    }
    fprintf(out, "},\"seconds\":%.2f}\n", seconds);
}
