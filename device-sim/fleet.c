/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device is a small state machine:
 *
 *     IDLE → CONNECTING → CONNECTED → REGISTERING → REGISTERED ⇄ (Update, notification, answers)
 *       ↑________________________________|  error: again, up to SIM_ATTEMPTS_MAX times, then FAILED
 *
 * The window is a fixed number of message slots; a handshake takes one too. pump() runs once a turn
 * of the loop and gives free slots to: devices with something to do of their own (todo ring),
 * devices that never registered, the scenario.
 */
#include "device-sim/fleet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/rand.h"
#include "base/text.h"
#include "device-sim/stack.h"

#define KEY_LEN  16
#define TICK_MS  5
#define RETRY_MS 1000
#define NOTIFY_MS                                                                                  \
    1000 /* an observed resource changes so often, unless the scenario notifies at its own pace */
#define DRAIN_MS 5000

enum state { IDLE, CONNECTING, CONNECTED, REGISTERING, REGISTERED, FAILED };
enum kind { KIND_HANDSHAKE, KIND_REGISTER, KIND_UPDATE, KIND_DEREGISTER, KIND_NOTIFY };
enum phase { PHASE_REGISTER, PHASE_RUN, PHASE_DRAIN, PHASE_OVER };

struct observation {
    struct observation *next;  /* of the device */
    uint32_t device, position; /* in fleet->observations */
    uint32_t sequence;
    int32_t content_format;
    uint16_t path[4];
    uint8_t depth, token_len;
    uint8_t token[CX_TOKEN_MAX];
    bool busy;
};

struct device {
    struct sim_fleet *fleet;
    struct dr_timer timer; /* next Update, or next attempt */
    struct observation *observations;
    char *location;
    struct sim_values values;
    uint32_t moved; /* times it took a new source address */
    uint32_t awake_until_s;
    uint8_t state, attempts, n_observations;
    bool busy;   /* a message or handshake of its own is under way */
    bool queued; /* in the todo ring */
    bool update; /* an Update is due */
    bool ever;   /* counted as registered once */
};

struct sim_fleet {
    struct loop *loop;
    const struct sim_options *o;
    struct sim_stats *stats;
    const struct sim_stack_ops *ops;
    void *stack;
    void (*done)(void *data);
    void *data;
    struct device *devices;
    struct sim_message *slots;
    uint32_t *free_slots, n_free;
    uint32_t *todo, todo_head, todo_count; /* ring of devices */
    uint32_t *handshake_slot;              /* by device: slot its handshake holds */
    struct observation **observations;
    uint32_t n_observations, cap_observations;
    uint32_t next_new, next_pick, settled; /* settled: registered once, or failed */
    enum phase phase;
    double budget; /* operations that the rate allows now */
    uint64_t last_us, deadline_ms, notify_at_ms, rebind_at_ms, progress_at_ms;
    struct loop_timer tick;
    struct loop_idle idle;
    struct dr_prng prng;
    bool failed;
};

static uint32_t now_s(const struct sim_fleet *f)
{
    return (uint32_t)(loop_now_ms(f->loop) / 1000);
}

static void name_of(const struct sim_fleet *f, uint32_t device, char *buf)
{
    (void)snprintf(buf, SIM_NAME_MAX, "%s%u", f->o->prefix, f->o->first + device);
}

static void todo(struct sim_fleet *f, uint32_t i)
{
    if (!f->devices[i].queued) {
        f->devices[i].queued = true;
        f->todo[(f->todo_head + f->todo_count++) % f->o->devices] = i;
    }
}

/* ---- slots ---- */

static struct sim_message *take_slot(struct sim_fleet *f, uint32_t device, enum kind kind)
{
    struct sim_message *m = &f->slots[f->free_slots[--f->n_free]];
    uint32_t slot = m->slot;

    /* the body is filled when there is one */
    memset(m, 0, offsetof(struct sim_message, body));
    m->slot = slot;
    m->device = device;
    m->kind = kind;
    m->content_format = -1;
    m->started_us = dr_mono_us();
    return m;
}

static void put_slot(struct sim_fleet *f, const struct sim_message *m)
{
    f->free_slots[f->n_free++] = m->slot;
}

/* ---- observations ---- */

static void forget_observation(struct sim_fleet *f, struct observation **at)
{
    struct observation *ob = *at;
    struct observation *last = f->observations[--f->n_observations];

    f->observations[ob->position] = last;
    last->position = ob->position;
    *at = ob->next;
    f->devices[ob->device].n_observations--;
    free(ob);
}

static void forget_observations(struct sim_fleet *f, struct device *d)
{
    while (d->observations != NULL) {
        forget_observation(f, &d->observations);
    }
}

static struct observation **find_observation(struct device *d, const uint8_t *token, uint8_t len)
{
    struct observation **at = &d->observations;

    while (*at != NULL && ((*at)->token_len != len || memcmp((*at)->token, token, len) != 0)) {
        at = &(*at)->next;
    }
    return at;
}

/* False when there is no room: the answer then goes out without Observe. */
static bool remember(struct sim_fleet *f, uint32_t i, const struct cx_pdu *request,
                     const struct sim_answer *answer)
{
    struct device *d = &f->devices[i];
    struct observation **at = find_observation(d, request->token, request->token_len);

    if (*at != NULL) {
        return true;
    }
    if (d->n_observations == SIM_OBSERVATIONS_MAX) {
        return false;
    }
    if (f->n_observations == f->cap_observations) {
        uint32_t cap = f->cap_observations == 0 ? 64 : f->cap_observations * 2;
        void *grown = realloc(f->observations, cap * sizeof *f->observations);
        if (grown == NULL) {
            return false;
        }
        f->observations = grown;
        f->cap_observations = cap;
    }
    struct observation *ob = calloc(1, sizeof *ob);
    if (ob == NULL) {
        return false;
    }
    *ob = (struct observation){.next = d->observations,
                               .device = i,
                               .position = f->n_observations,
                               .sequence = 1,
                               .content_format = answer->content_format,
                               .depth = answer->depth,
                               .token_len = request->token_len};
    memcpy(ob->path, answer->path, sizeof ob->path);
    memcpy(ob->token, request->token, sizeof ob->token);
    d->observations = ob;
    d->n_observations++;
    f->observations[f->n_observations++] = ob;
    return true;
}

/* ---- what devices do ---- */

static void fail(struct sim_fleet *f, uint32_t i, const char *what);

static void connect_device(struct sim_fleet *f, uint32_t i)
{
    struct device *d = &f->devices[i];
    char name[SIM_NAME_MAX];
    uint8_t key[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    name_of(f, i, name);
    if (f->o->secure && f->o->master_len > 0) {
        (void)HMAC(EVP_sha256(), f->o->master, (int)f->o->master_len, (const unsigned char *)name,
                   strlen(name), key, &len);
    }
    struct sim_message *m = take_slot(f, i, KIND_HANDSHAKE);
    uint32_t source = f->o->source_net + i + d->moved * f->o->devices;
    dr_err_t err = f->ops->connect(f->stack, i, source, name, key, len > 0 ? KEY_LEN : 0);
    dr_wipe(key, sizeof key);
    if (err != DR_OK) {
        put_slot(f, m);
        fail(f, i, dr_err_name(err));
        return;
    }
    f->handshake_slot[i] = m->slot;
    d->state = CONNECTING;
    d->busy = true;
}

static void send_message(struct sim_fleet *f, struct sim_message *m)
{
    struct device *d = &f->devices[m->device];
    dr_err_t err = f->ops->send(f->stack, m);

    d->busy = err == DR_OK;
    if (err != DR_OK) {
        put_slot(f, m);
        fail(f, m->device, dr_err_name(err));
    }
}

static void add_query(struct sim_message *m, const char *name, const char *value)
{
    (void)snprintf(m->query[m->n_query++], SIM_QUERY_LEN, "%s%s%s", name, value[0] ? "=" : "",
                   value);
}

static void register_device(struct sim_fleet *f, uint32_t i)
{
    struct device *d = &f->devices[i];
    struct sim_message *m = take_slot(f, i, KIND_REGISTER);
    char text[SIM_NAME_MAX];

    forget_observations(f, d);
    m->code = CX_POST;
    (void)snprintf(m->path, sizeof m->path, "rd");
    name_of(f, i, text);
    add_query(m, "ep", text);
    (void)snprintf(text, sizeof text, "%u", d->values.lifetime_s);
    add_query(m, "lt", text);
    add_query(m, "lwm2m", "1.1");
    add_query(m, "b", "U");
    if (f->o->queue_mode) {
        add_query(m, "Q", "");
    }
    m->content_format = 40;
    m->payload = (const uint8_t *)sim_links();
    m->len = strlen(sim_links());
    d->state = REGISTERING;
    send_message(f, m);
}

static void update_device(struct sim_fleet *f, uint32_t i)
{
    struct device *d = &f->devices[i];
    struct sim_message *m = take_slot(f, i, KIND_UPDATE);

    m->code = CX_POST;
    (void)snprintf(m->path, sizeof m->path, "%s", d->location);
    if (d->update && d->values.lifetime_s != f->o->lifetime_s) {
        char text[16];
        (void)snprintf(text, sizeof text, "%u", d->values.lifetime_s);
        add_query(m, "lt", text);
    }
    d->update = false;
    send_message(f, m);
}

static void deregister_device(struct sim_fleet *f, uint32_t i)
{
    struct sim_message *m = take_slot(f, i, KIND_DEREGISTER);

    m->code = CX_DELETE;
    (void)snprintf(m->path, sizeof m->path, "%s", f->devices[i].location);
    send_message(f, m);
}

static void notify(struct sim_fleet *f, struct observation *ob)
{
    struct device *d = &f->devices[ob->device];
    struct sim_message *m = take_slot(f, ob->device, KIND_NOTIFY);
    char name[SIM_NAME_MAX];

    name_of(f, ob->device, name);
    d->values.temperature += (float)(dr_prng_double(&f->prng) - 0.5);
    d->values.low = d->values.temperature < d->values.low ? d->values.temperature : d->values.low;
    d->values.high =
        d->values.temperature > d->values.high ? d->values.temperature : d->values.high;
    sim_value(&d->values, name, ob->path, ob->depth, ob->content_format, &m->body);
    m->code = m->body.code;
    m->non = !f->o->confirmable;
    m->content_format = m->body.content_format;
    m->payload = m->body.payload;
    m->len = m->body.len;
    m->observe = ++ob->sequence & 0xffffff;
    m->token_len = ob->token_len;
    memcpy(m->token, ob->token, sizeof m->token);
    (void)snprintf(m->path, sizeof m->path, "%u/%u/%u", ob->path[0], ob->path[1], ob->path[2]);
    ob->busy = true;
    dr_err_t err = f->ops->send(f->stack, m);
    if (err != DR_OK) {
        ob->busy = false;
        put_slot(f, m);
        sim_stats_error(f->stats, dr_err_name(err));
    }
}

/* The device lost its state: association, registration and observations are no more; nobody is
 * told. */
static void reboot(struct sim_fleet *f, uint32_t i)
{
    struct device *d = &f->devices[i];

    forget_observations(f, d);
    f->ops->close(f->stack, i, false);
    dr_timer_cancel(loop_wheel(f->loop), &d->timer);
    d->state = IDLE;
    todo(f, i);
}

static void settle(struct sim_fleet *f, struct device *d)
{
    if (!d->ever) {
        d->ever = true;
        f->settled++;
    }
}

/* An attempt ended badly: once more after a while, from the handshake. */
static void fail(struct sim_fleet *f, uint32_t i, const char *what)
{
    struct device *d = &f->devices[i];

    sim_stats_error(f->stats, what);
    if (d->state == REGISTERED) {
        f->stats->registered--;
    }
    f->ops->close(f->stack, i, true);
    forget_observations(f, d);
    d->busy = false;
    if (++d->attempts >= SIM_ATTEMPTS_MAX) {
        d->state = FAILED;
        f->failed = true;
        settle(f, d);
        return;
    }
    d->state = IDLE;
    uint64_t wait = RETRY_MS * d->attempts + dr_prng_below(&f->prng, RETRY_MS);
    dr_timer_start(loop_wheel(f->loop), &d->timer, loop_now_ms(f->loop) + wait);
}

/* Something is due: an Update before the lifetime ends, or the next attempt. */
static void on_device_timer(struct dr_timer *t, uint64_t now_ms)
{
    struct device *d = DR_CONTAINER_OF(t, struct device, timer);
    struct sim_fleet *f = d->fleet;

    (void)now_ms;
    d->update = d->state == REGISTERED;
    todo(f, (uint32_t)(d - f->devices));
}

static void arm_update(struct sim_fleet *f, struct device *d)
{
    uint64_t life_ms = (uint64_t)d->values.lifetime_s * 1000;
    /* between half and nine tenths of the lifetime, so that a fleet spreads itself */
    uint64_t wait = life_ms / 2 + dr_prng_below(&f->prng, (uint32_t)(life_ms * 2 / 5 + 1));

    dr_timer_start(loop_wheel(f->loop), &d->timer, loop_now_ms(f->loop) + wait);
}

static void heard(struct sim_fleet *f, struct device *d)
{
    d->awake_until_s = now_s(f) + f->o->awake_s;
}

/* Whatever the device itself wants next; a slot is free. */
static void act(struct sim_fleet *f, uint32_t i)
{
    struct device *d = &f->devices[i];

    if (d->busy) {
        return; /* comes again when that is through */
    }
    if (d->state == IDLE) {
        connect_device(f, i);
    } else if (d->state == CONNECTED) {
        register_device(f, i);
    } else if (d->state == REGISTERED && d->update) {
        update_device(f, i);
    }
}

/* ---- what the stack tells ---- */

void sim_fleet_connected(struct sim_fleet *f, uint32_t i, dr_err_t err)
{
    struct device *d = &f->devices[i];

    put_slot(f, &f->slots[f->handshake_slot[i]]);
    d->busy = false;
    if (f->phase == PHASE_OVER) {
        return;
    }
    if (err != DR_OK) {
        fail(f, i, err == DR_ERR_TIMEOUT ? "handshake timeout" : "handshake failed");
        return;
    }
    f->stats->handshakes += f->o->secure;
    d->state = CONNECTED;
    todo(f, i);
}

static void registered(struct sim_fleet *f, uint32_t i, const char *location)
{
    struct device *d = &f->devices[i];
    char *copy = strdup(location);

    if (copy == NULL || copy[0] == '\0') {
        free(copy);
        fail(f, i, "no location");
        return;
    }
    free(d->location);
    d->location = copy;
    d->state = REGISTERED;
    d->attempts = 0;
    f->stats->registered++;
    f->stats->registrations++;
    settle(f, d);
    arm_update(f, d);
}

static const char *code_error(uint8_t code)
{
    static char texts[256][8];

    (void)snprintf(texts[code], sizeof texts[code], "%u.%02u", code >> 5, code & 31U);
    return texts[code];
}

static void answered_update(struct sim_fleet *f, uint32_t i, uint8_t code)
{
    struct device *d = &f->devices[i];

    if (code == CX_CHANGED) {
        arm_update(f, d);
    } else if (code == CX_NOT_FOUND) {
        sim_stats_error(f->stats, code_error(code));
        f->stats->registered--;
        d->state = CONNECTED;
        todo(f, i);
    } else if (code == CX_UNAVAILABLE) {
        sim_stats_error(f->stats, code_error(code)); /* not now: at the next time */
        arm_update(f, d);
    } else {
        fail(f, i, code_error(code));
    }
}

static void answered_notify(struct sim_fleet *f, const struct sim_message *m, dr_err_t err)
{
    struct observation **at = find_observation(&f->devices[m->device], m->token, m->token_len);

    if (*at == NULL) {
        return;
    }
    (*at)->busy = false;
    if (err == DR_ERR_RESET) {
        forget_observation(f, at);
    }
}

static void measure_op(struct sim_fleet *f, const struct sim_message *m)
{
    sim_stats_latency(f->stats, dr_mono_us() - m->started_us);
    f->stats->requests += m->kind != KIND_NOTIFY;
    f->stats->notifications += m->kind == KIND_NOTIFY;
}

static void own_message_done(struct sim_fleet *f, struct sim_message *m, uint8_t code,
                             const char *location)
{
    uint32_t i = m->device;
    struct device *d = &f->devices[i];

    heard(f, d);
    if (m->kind == KIND_UPDATE) {
        answered_update(f, i, code);
    } else if (m->kind == KIND_REGISTER && code == CX_CREATED) {
        registered(f, i, location);
    } else if (m->kind == KIND_DEREGISTER && code == CX_DELETED) {
        f->stats->registered--;
        f->ops->close(f->stack, i, true);
        forget_observations(f, d);
        dr_timer_cancel(loop_wheel(f->loop), &d->timer);
        d->state = IDLE;
        todo(f, i);
    } else {
        fail(f, i, code_error(code));
    }
}

void sim_fleet_answered(struct sim_fleet *f, struct sim_message *m, dr_err_t err, uint8_t code,
                        const char *location)
{
    struct device *d = &f->devices[m->device];

    if (f->phase == PHASE_OVER) {
        put_slot(f, m);
        return;
    }
    if (err == DR_OK) {
        measure_op(f, m);
    }
    if (m->kind == KIND_NOTIFY) {
        answered_notify(f, m, err);
        if (err != DR_OK && err != DR_ERR_RESET && err != DR_ERR_GONE) {
            sim_stats_error(f->stats, dr_err_name(err));
        }
    } else {
        d->busy = false;
        if (d->state == IDLE || d->state == FAILED) {
            /* it rebooted or was closed meanwhile */
        } else if (err != DR_OK) {
            fail(f, m->device, dr_err_name(err));
        } else {
            own_message_done(f, m, code, location);
        }
        if (d->update || d->state == IDLE) {
            todo(f, m->device);
        }
    }
    put_slot(f, m);
}

bool sim_fleet_request(struct sim_fleet *f, uint32_t i, const struct cx_pdu *request,
                       struct sim_answer *ret)
{
    char name[SIM_NAME_MAX];

    if (i >= f->o->devices) {
        return false;
    }
    struct device *d = &f->devices[i];
    if (f->o->queue_mode && now_s(f) > d->awake_until_s) {
        return false;
    }
    heard(f, d);
    name_of(f, i, name);
    sim_operate(&d->values, name, request, ret);
    f->stats->served++;
    if (ret->effect == SIM_OBSERVE && !remember(f, i, request, ret)) {
        ret->effect = SIM_NOTHING;
    } else if (ret->effect == SIM_CANCEL) {
        sim_fleet_unobserved(f, i, request->token, request->token_len);
    } else if (ret->effect == SIM_UPDATE) {
        d->update = true;
        todo(f, i);
    } else if (ret->effect == SIM_REBOOT) {
        /* after the answer is out */
        dr_timer_start(loop_wheel(f->loop), &d->timer, loop_now_ms(f->loop) + RETRY_MS);
        d->update = true;
    }
    return true;
}

void sim_fleet_unobserved(struct sim_fleet *f, uint32_t i, const uint8_t *token, uint8_t len)
{
    struct observation **at = find_observation(&f->devices[i], token, len);

    if (*at != NULL) {
        forget_observation(f, at);
    }
}

void sim_fleet_gone(struct sim_fleet *f, uint32_t i)
{
    struct device *d = &f->devices[i];

    if (d->state == REGISTERED && !d->busy) {
        f->stats->registered--;
        forget_observations(f, d);
        dr_timer_cancel(loop_wheel(f->loop), &d->timer);
        d->state = IDLE;
        todo(f, i);
    }
}

/* ---- pace ---- */

static bool registering(const struct sim_fleet *f)
{
    return f->phase == PHASE_REGISTER && f->next_new < f->o->devices;
}

/* The scenario's next device, or false when none is free. Looks at a bounded number. */
static bool pick(struct sim_fleet *f, uint32_t *ret)
{
    for (unsigned tries = 0; tries < 64; tries++) {
        uint32_t i = f->next_pick++ % f->o->devices;
        if (f->devices[i].state == REGISTERED && !f->devices[i].busy) {
            *ret = i;
            return true;
        }
    }
    return false;
}

static bool scenario_notify(struct sim_fleet *f)
{
    for (unsigned tries = 0; tries < 64 && f->n_observations > 0; tries++) {
        struct observation *ob = f->observations[f->next_pick++ % f->n_observations];
        if (!ob->busy && f->devices[ob->device].state == REGISTERED) {
            notify(f, ob);
            return true;
        }
    }
    return false;
}

/* One operation of the scenario; false when there is nothing to do now. */
static bool scenario_step(struct sim_fleet *f)
{
    uint32_t i;

    if (f->o->scenario == SIM_NOTIFY) {
        return scenario_notify(f);
    }
    if ((f->o->scenario != SIM_UPDATES && f->o->scenario != SIM_CHURN) || !pick(f, &i)) {
        return false;
    }
    if (f->o->reboot_rate > 0 && dr_prng_double(&f->prng) < f->o->reboot_rate) {
        f->stats->registered--;
        reboot(f, i);
    } else if (f->o->scenario == SIM_CHURN) {
        deregister_device(f, i);
    } else {
        update_device(f, i);
    }
    return true;
}

static bool rate_allows(struct sim_fleet *f)
{
    return f->o->rate <= 0 || f->budget >= 1;
}

static void pump(struct loop_idle *h)
{
    struct sim_fleet *f = DR_CONTAINER_OF(h, struct sim_fleet, idle);

    while (f->n_free > 0 && f->todo_count > 0 && f->phase < PHASE_OVER) {
        uint32_t i = f->todo[f->todo_head];
        f->todo_head = (f->todo_head + 1) % f->o->devices;
        f->todo_count--;
        f->devices[i].queued = false;
        act(f, i);
    }
    bool paced = f->o->scenario == SIM_REGISTER;
    while (f->n_free > 0 && registering(f) && (!paced || rate_allows(f))) {
        f->budget -= 1;
        act(f, f->next_new++);
    }
    while (f->n_free > 0 && f->phase == PHASE_RUN && rate_allows(f) && scenario_step(f)) {
        f->budget -= 1;
    }
}

/* Observed values change once in a while. */
static void change_values(struct sim_fleet *f)
{
    for (uint32_t i = 0; i < f->n_observations && f->n_free > f->o->window / 2; i++) {
        struct observation *ob = f->observations[i];
        if (!ob->busy && f->devices[ob->device].state == REGISTERED) {
            notify(f, ob);
        }
    }
}

static void rebind_one(struct sim_fleet *f)
{
    uint32_t i;

    if (pick(f, &i)) {
        f->devices[i].moved = (f->devices[i].moved + 1) % 8;
        f->stats->registered--;
        reboot(f, i);
    }
}

static void progress(struct sim_fleet *f)
{
    static const char *const phases[] = {"registering", "running", "ending", "over"};

    fprintf(
        stderr,
        "\r%s: %u of %u registered, %llu requests, %llu notifications, %llu served, %llu errors ",
        phases[f->phase], f->stats->registered, f->o->devices,
        (unsigned long long)f->stats->requests, (unsigned long long)f->stats->notifications,
        (unsigned long long)f->stats->served, (unsigned long long)sim_stats_errors(f->stats));
}

static void enter(struct sim_fleet *f, enum phase phase, uint64_t now_ms)
{
    f->phase = phase;
    if (phase == PHASE_RUN) {
        f->stats->registered_us = dr_mono_us();
        if (f->o->scenario == SIM_REGISTER) {
            enter(f, PHASE_DRAIN, now_ms);
            return;
        }
        sim_stats_measure(f->stats, f->o->server_pid, dr_mono_us());
        f->deadline_ms = now_ms + (uint64_t)(f->o->duration_s * 1000);
    } else if (phase == PHASE_DRAIN) {
        sim_stats_end(f->stats, f->o->server_pid, dr_mono_us());
        f->deadline_ms = now_ms + DRAIN_MS;
    } else if (phase == PHASE_OVER) {
        f->stats->retransmissions = f->ops->retransmissions(f->stack);
        loop_timer_stop(&f->tick);
        loop_idle_remove(&f->idle);
        fputc('\n', stderr);
        f->done(f->data);
    }
}

static void on_tick(struct loop_timer *t)
{
    struct sim_fleet *f = DR_CONTAINER_OF(t, struct sim_fleet, tick);
    uint64_t now_ms = loop_now_ms(f->loop), now_us = dr_mono_us();

    double most = f->o->rate / 10 < 1 ? 1 : f->o->rate / 10;
    f->budget += f->o->rate * (double)(now_us - f->last_us) / 1e6;
    f->budget = f->budget > most ? most : f->budget < 0 ? 0 : f->budget;
    f->last_us = now_us;
    if (now_ms >= f->progress_at_ms) {
        f->progress_at_ms = now_ms + 1000;
        progress(f);
    }
    if (f->o->scenario != SIM_NOTIFY && now_ms >= f->notify_at_ms) {
        f->notify_at_ms = now_ms + NOTIFY_MS;
        change_values(f);
    }
    if (f->o->rebind_every_s > 0 && f->phase == PHASE_RUN && now_ms >= f->rebind_at_ms) {
        f->rebind_at_ms = now_ms + (uint64_t)(f->o->rebind_every_s * 1000);
        rebind_one(f);
    }
    if (f->phase == PHASE_REGISTER && f->settled == f->o->devices) {
        enter(f, PHASE_RUN, now_ms);
    } else if (f->phase == PHASE_RUN && now_ms >= f->deadline_ms) {
        enter(f, PHASE_DRAIN, now_ms);
    } else if (f->phase == PHASE_DRAIN &&
               ((f->n_free == f->o->window && f->todo_count == 0) || now_ms >= f->deadline_ms)) {
        enter(f, PHASE_OVER, now_ms);
    }
}

static dr_err_t make_arrays(struct sim_fleet *f)
{
    f->devices = calloc(f->o->devices, sizeof *f->devices);
    f->todo = calloc(f->o->devices, sizeof *f->todo);
    f->handshake_slot = calloc(f->o->devices, sizeof *f->handshake_slot);
    f->slots = calloc(f->o->window, sizeof *f->slots);
    f->free_slots = calloc(f->o->window, sizeof *f->free_slots);
    if (f->devices == NULL || f->todo == NULL || f->handshake_slot == NULL || f->slots == NULL ||
        f->free_slots == NULL) {
        return DR_ERR_NOMEM;
    }
    for (uint32_t i = 0; i < f->o->window; i++) {
        f->slots[i].slot = i;
        f->free_slots[f->n_free++] = i;
    }
    for (uint32_t i = 0; i < f->o->devices; i++) {
        struct device *d = &f->devices[i];
        dr_timer_init(&d->timer, on_device_timer);
        d->fleet = f;
        d->values = (struct sim_values){
            .lifetime_s = f->o->lifetime_s, .temperature = 20, .low = 20, .high = 20};
    }
    return DR_OK;
}

dr_err_t sim_fleet_start(struct loop *loop, const struct sim_options *options,
                         struct sim_stats *stats, void (*done)(void *data), void *data,
                         struct sim_fleet **ret)
{
    dr_assert(loop != NULL && options != NULL && stats != NULL && done != NULL && ret != NULL);
    struct sim_fleet *f = calloc(1, sizeof *f);
    if (f == NULL) {
        return DR_ERR_NOMEM;
    }
    f->loop = loop;
    f->o = options;
    f->stats = stats;
    f->done = done;
    f->data = data;
    dr_prng_init(&f->prng, options->seed);
    f->ops = &sim_stack_own;
    dr_err_t err = make_arrays(f);
    if (err == DR_OK) {
        err = f->ops->open(f, loop, options, &f->stack);
    }
    if (err != DR_OK) {
        sim_fleet_free(f);
        return err;
    }
    stats->devices = options->devices;
    stats->began_us = f->last_us = dr_mono_us();
    sim_stats_measure(stats, options->server_pid, stats->began_us);
    loop_timer_start(loop, &f->tick, TICK_MS, TICK_MS, on_tick);
    loop_on_idle(loop, &f->idle, pump);
    *ret = f;
    return DR_OK;
}

void sim_fleet_stop(struct sim_fleet *f)
{
    if (f->phase < PHASE_DRAIN) {
        enter(f, PHASE_DRAIN, loop_now_ms(f->loop));
    }
    if (f->phase == PHASE_DRAIN) {
        f->deadline_ms = 0;
    }
}

struct sim_fleet *sim_fleet_free(struct sim_fleet *f)
{
    if (f == NULL) {
        return NULL;
    }
    if (f->stack != NULL) {
        f->ops->free(f->stack);
    }
    for (uint32_t i = 0; f->devices != NULL && i < f->o->devices; i++) {
        dr_timer_cancel(loop_wheel(f->loop), &f->devices[i].timer);
        forget_observations(f, &f->devices[i]);
        free(f->devices[i].location);
    }
    free(f->devices);
    free(f->todo);
    free(f->handshake_slot);
    free(f->slots);
    free(f->free_slots);
    free(f->observations);
    free(f);
    return NULL;
}

bool sim_fleet_good(const struct sim_fleet *f)
{
    bool all = !f->failed && f->settled == f->o->devices;

    if (f->o->scenario == SIM_UPDATES || f->o->scenario == SIM_CHURN) {
        all = all && f->stats->requests > 0;
    } else if (f->o->scenario == SIM_NOTIFY) {
        all = all && f->stats->notifications > 0;
    } else if (f->o->scenario == SIM_REQUEST) {
        all = all && f->stats->served > 0;
    }
    return all;
}
