/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pace and phases:
 *
 *     REGISTER --all registered once, or failed--> RUN --duration--> DRAIN --all at rest--> OVER
 *
 * pump() runs once a turn of the loop, before the engine's own idle hook sends what it queues. It
 * gives free slots to devices with something to do of their own, then to devices that never
 * registered, then to the scenario, and last to values that changed.
 */
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "device-sim/fleet_priv.h"

#define TICK_MS          5
#define NOTIFY_MS        1000 /* an observed value changes so often, in scenarios other than notify */
#define DRAIN_MS         60000
#define PROGRESS_TTY_MS  1000
#define PROGRESS_FILE_MS 10000
/* Devices looked at for one that is free. */
#define TRIES            64

/* The scenario's next device, or false when none is free. */
static bool pick(struct sim_fleet *f, uint32_t *ret)
{
    for (unsigned tries = 0; tries < TRIES; tries++) {
        uint32_t i = f->next_pick;
        f->next_pick = i + 1 < f->o->devices ? i + 1 : 0;
        if (f->devices[i].state == DEVICE_REGISTERED && !f->devices[i].busy) {
            *ret = i;
            return true;
        }
    }
    return false;
}

/* One operation of the scenario; false when there is nothing to do now. */
static bool step(struct sim_fleet *f)
{
    uint32_t i;

    if (f->o->scenario == SIM_NOTIFY) {
        return observe_notify_next(f);
    }
    if (f->o->fetch_uri != NULL) {
        return f->next_fetch < f->o->devices && update_fetch(f, f->next_fetch++);
    }
    if ((f->o->scenario != SIM_UPDATES && f->o->scenario != SIM_CHURN) || !pick(f, &i)) {
        return false;
    }
    if (f->o->reboot_rate > 0 && dr_prng_double(&f->prng) < f->o->reboot_rate) {
        fleet_reboot(f, i);
    } else if (f->o->scenario == SIM_CHURN) {
        fleet_deregister(f, i);
    } else {
        fleet_update(f, i);
    }
    return true;
}

static bool rate_allows(const struct sim_fleet *f)
{
    return f->o->rate <= 0 || f->budget >= 1;
}

static void pump_devices(struct sim_fleet *f)
{
    while (f->n_free > 0 && f->todo_count > 0) {
        uint32_t i = f->todo[f->todo_head];
        f->todo_head = f->todo_head + 1 < f->o->devices ? f->todo_head + 1 : 0;
        f->todo_count--;
        f->devices[i].queued = false;
        fleet_act(f, i);
    }
    bool paced = f->o->scenario == SIM_REGISTER;
    while (f->n_free > 0 && f->phase == PHASE_REGISTER && f->next_new < f->o->devices &&
           (!paced || rate_allows(f))) {
        f->budget -= paced ? 1 : 0;
        fleet_act(f, f->next_new++);
    }
}

static void pump(struct loop_idle *h)
{
    struct sim_fleet *f = DR_CONTAINER_OF(h, struct sim_fleet, idle);

    pump_devices(f);
    while (f->n_free > 0 && f->phase == PHASE_RUN && rate_allows(f) && step(f)) {
        f->budget -= 1;
    }
    while (f->n_free > f->o->window / 2 && f->notify_due > 0 && f->phase != PHASE_DRAIN) {
        f->notify_due = observe_notify_next(f) ? f->notify_due - 1 : 0;
    }
}

static void progress(struct sim_fleet *f, uint64_t now_ms)
{
    static const char *const phases[] = {"registering", "running", "ending", "over"};
    const struct sim_stats *s = f->stats;

    if (now_ms < f->progress_at_ms) {
        return;
    }
    f->progress_at_ms = now_ms + (f->terminal ? PROGRESS_TTY_MS : PROGRESS_FILE_MS);
    fprintf(
        stderr,
        "%s%s: %u of %u registered, %llu requests, %llu notifications, %llu served, %u updated, "
        "%llu errors%s",
        f->terminal ? "\r" : "drover-sim: ", phases[f->phase], s->registered, f->o->devices,
        (unsigned long long)s->requests, (unsigned long long)s->notifications,
        (unsigned long long)s->served, s->updated, (unsigned long long)sim_stats_errors(s),
        f->terminal ? "  " : "\n");
}

static void enter_run(struct sim_fleet *f, uint64_t now_ms)
{
    f->phase = PHASE_RUN;
    sim_stats_ready(f->stats, dr_mono_us());
    sim_stats_measure(f->stats, f->o->server_pid, f->stats->registered_us);
    f->rebind_at_ms = now_ms;
    f->deadline_ms = now_ms + (uint64_t)(f->o->duration_s * 1000);
}

static void enter_drain(struct sim_fleet *f, uint64_t now_ms)
{
    f->phase = PHASE_DRAIN;
    if (f->stats->registered_us == 0 && f->settled == f->o->devices) {
        sim_stats_ready(f->stats, dr_mono_us());
    }
    sim_stats_end(f->stats, f->o->server_pid, dr_mono_us());
    f->notify_due = 0;
    f->deadline_ms = now_ms + DRAIN_MS;
}

static void enter_over(struct sim_fleet *f)
{
    f->phase = PHASE_OVER;
    f->stats->retransmissions = f->ops->retransmissions(f->stack);
    f->progress_at_ms = 0;
    progress(f, 0);
    if (f->terminal) {
        fputc('\n', stderr);
    }
    scenario_halt(f);
    f->done(f->data);
}

static bool at_rest(const struct sim_fleet *f)
{
    return f->n_free == f->o->window && f->todo_count == 0 &&
           f->stats->registered + f->failed + f->dead + f->bootstrapped == f->o->devices;
}

static void next_phase(struct sim_fleet *f, uint64_t now_ms)
{
    if (f->phase == PHASE_REGISTER && f->settled == f->o->devices) {
        if (f->o->scenario == SIM_REGISTER) {
            enter_drain(f, now_ms);
        } else {
            enter_run(f, now_ms);
        }
    } else if (f->phase == PHASE_RUN &&
               (now_ms >= f->deadline_ms || (f->o->until_updated && f->n_ended == f->o->devices))) {
        enter_drain(f, now_ms);
    } else if (f->phase == PHASE_DRAIN && (at_rest(f) || now_ms >= f->deadline_ms)) {
        enter_over(f);
    }
}

static void fill_budget(struct sim_fleet *f)
{
    uint64_t now_us = dr_mono_us();
    double most = f->o->rate / 10 < 1 ? 1 : f->o->rate / 10;

    f->budget += f->o->rate * (double)(now_us - f->last_us) / 1e6;
    f->budget = f->budget > most ? most : f->budget < 0 ? 0 : f->budget;
    f->last_us = now_us;
}

static void on_tick(struct loop_timer *t)
{
    struct sim_fleet *f = DR_CONTAINER_OF(t, struct sim_fleet, tick);
    uint64_t now_ms = loop_now_ms(f->loop);
    uint32_t i;

    fill_budget(f);
    progress(f, now_ms);
    if (f->o->scenario != SIM_NOTIFY && now_ms >= f->notify_at_ms && f->phase != PHASE_DRAIN) {
        f->notify_at_ms = now_ms + NOTIFY_MS;
        f->notify_due = f->n_observations;
    }
    if (f->o->rebind_every_s > 0 && f->phase == PHASE_RUN && now_ms >= f->rebind_at_ms &&
        pick(f, &i)) {
        f->rebind_at_ms += (uint64_t)(f->o->rebind_every_s * 1000);
        fleet_rebind(f, i);
    }
    next_phase(f, now_ms);
}

void scenario_start(struct sim_fleet *f)
{
    f->terminal = isatty(STDERR_FILENO) == 1;
    f->stats->devices = f->o->devices;
    f->stats->by_run = f->o->scenario == SIM_CHURN;
    f->stats->began_us = f->last_us = dr_mono_us();
    f->progress_at_ms = loop_now_ms(f->loop) + (f->terminal ? 0 : PROGRESS_FILE_MS);
    sim_stats_measure(f->stats, f->o->server_pid, f->stats->began_us);
    loop_timer_start(f->loop, &f->tick, TICK_MS, TICK_MS, on_tick);
    loop_on_idle(f->loop, &f->idle, pump);
}

void scenario_halt(struct sim_fleet *f)
{
    f->phase = PHASE_OVER;
    loop_timer_stop(&f->tick);
    loop_idle_remove(&f->idle);
}

void sim_fleet_stop(struct sim_fleet *f)
{
    dr_assert(f != NULL);
    if (f->phase < PHASE_DRAIN) {
        enter_drain(f, loop_now_ms(f->loop));
    }
    if (f->phase == PHASE_DRAIN) {
        f->deadline_ms = 0;
    }
}

/* All that are not made to fail run something new; with --fetch and a time limit it is enough that
 * they download. */
static bool took_updates(const struct sim_fleet *f)
{
    uint32_t able = 0;

    if (f->o->fetch_uri != NULL && !f->o->until_updated) {
        return f->stats->blocks > 0;
    }
    for (uint32_t i = 0; i < f->o->devices; i++) {
        const struct device *d = &f->devices[i];
        bool fine = d->fault == SIM_FOTA_FINE || d->fault == SIM_FOTA_SLOW;
        able += fine ? 1 : 0;
        if (fine && !d->updated) {
            return false;
        }
    }
    return able == 0 || f->n_updated >= able;
}

static bool did_something(const struct sim_fleet *f)
{
    switch (f->o->scenario) {
    case SIM_UPDATES:
    case SIM_CHURN:
        return f->stats->requests > 0;
    case SIM_NOTIFY:
        return f->stats->notifications > 0;
    case SIM_REQUEST:
        return f->stats->served > 0;
    case SIM_FOTA:
        return took_updates(f);
    case SIM_REGISTER:
    case SIM_IDLE:
        break;
    }
    return true;
}

bool sim_fleet_good(const struct sim_fleet *f)
{
    dr_assert(f != NULL);
    return f->failed == 0 && f->stats->registered + f->dead + f->bootstrapped == f->o->devices &&
           did_something(f);
}
