/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device is a state machine, device_states below:
 *
 *     OFF -> CONNECTING -> CONNECTED -> REGISTERING -> REGISTERED <-> Update, notification, answers
 *      ^                       |                        |      ^
 *      |                       +------> RESUMING -------|------+   the registration is still there
 *      +------ an error, a reboot, another address <----+
 *
 * After an error it tries again, from the handshake, up to SIM_ATTEMPTS_MAX times in a row, then it
 * has FAILED. The window is a fixed number of message slots; a handshake takes one too. When an
 * association is dropped, device.life grows: what was under way then only gives its slot back.
 */
#include "device-sim/fleet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/clock.h"
#include "base/sm.h"
#include "base/text.h"
#include "device-sim/fleet_priv.h"
#include "lwm2m/format.h"

#define KEY_LEN      16
#define RETRY_MS     1000
#define BOOTSTRAP_MS 60000 /* all of it, from the request on */
#define REBOOT_MS    500   /* so that the answer to the command gets out */

#define TO(state) DR_SM_TO(DEVICE_##state)

static const struct dr_sm_state device_states[] = {
    [DEVICE_OFF] = {.name = "off", .to = TO(CONNECTING) | TO(OFF) | TO(FAILED)},
    [DEVICE_CONNECTING] = {.name = "connecting", .to = TO(CONNECTED) | TO(OFF) | TO(FAILED)},
    [DEVICE_BOOTSTRAPPING] = {.name = "bootstrapping",
                              .to = TO(OFF) | TO(FAILED) | TO(BOOTSTRAPPED)},
    [DEVICE_BOOTSTRAPPED] = {.name = "bootstrapped", .final = true},
    [DEVICE_CONNECTED] = {.name = "connected",
                          .to = TO(BOOTSTRAPPING) | TO(REGISTERING) | TO(RESUMING) | TO(OFF) |
                                TO(FAILED)},
    [DEVICE_REGISTERING] = {.name = "registering", .to = TO(REGISTERED) | TO(OFF) | TO(FAILED)},
    [DEVICE_RESUMING] = {.name = "resuming",
                         .to = TO(REGISTERED) | TO(CONNECTED) | TO(OFF) | TO(FAILED)},
    [DEVICE_REGISTERED] = {.name = "registered",
                           .to = TO(CONNECTED) | TO(OFF) | TO(FAILED) | TO(DEAD)},
    [DEVICE_FAILED] = {.name = "failed", .final = true, .failure = true},
    [DEVICE_DEAD] = {.name = "dead", .final = true},
};

static const struct dr_sm device_sm = {
    .name = "device", .states = device_states, .count = DR_ARRAY_LEN(device_states)};

static void set_state(struct sim_fleet *f, struct device *d, enum device_state to)
{
    f->stats->registered -= d->state == DEVICE_REGISTERED;
    dr_sm_move(&device_sm, &d->state, (uint8_t)to, d);
    f->stats->registered += to == DEVICE_REGISTERED;
    f->failed += to == DEVICE_FAILED;
    f->dead += to == DEVICE_DEAD;
    f->bootstrapped += to == DEVICE_BOOTSTRAPPED;
    if ((to == DEVICE_REGISTERED || to == DEVICE_FAILED || to == DEVICE_BOOTSTRAPPED) && !d->ever) {
        d->ever = true;
        f->settled++;
    }
}

struct sim_name fleet_name(const struct sim_fleet *f, uint32_t i)
{
    return (struct sim_name){.prefix = f->o->prefix, .number = f->o->first + i};
}

static uint32_t now_s(const struct sim_fleet *f)
{
    return (uint32_t)(loop_now_ms(f->loop) / 1000);
}

void fleet_todo(struct sim_fleet *f, uint32_t i)
{
    if (!f->devices[i].queued) {
        uint32_t at = f->todo_head + f->todo_count++;
        dr_assert(f->todo_count <= f->o->devices);
        f->devices[i].queued = true;
        f->todo[at < f->o->devices ? at : at - f->o->devices] = i;
        loop_again(f->loop);
    }
}

/* ---- slots ---- */

struct sim_message *fleet_take_slot(struct sim_fleet *f, uint32_t device, enum message_kind kind)
{
    dr_assert(f->n_free > 0);
    struct sim_message *m = &f->slots[f->free_slots[--f->n_free]];

    /* texts and the body are filled when there are some */
    m->device = device;
    m->life = f->devices[device].life;
    m->kind = (uint8_t)kind;
    m->non = false;
    m->n_query = 0;
    m->content_format = -1;
    m->block2 = -1;
    m->proxy_uri = NULL;
    m->payload = NULL;
    m->len = 0;
    m->token_len = 0;
    m->started_us = dr_mono_us();
    return m;
}

void fleet_put_slot(struct sim_fleet *f, const struct sim_message *m)
{
    dr_assert(f->n_free < f->o->window);
    f->free_slots[f->n_free++] = m->slot;
}

/* ---- ends of an association ---- */

static void drop(struct sim_fleet *f, uint32_t i, enum sim_farewell how, bool resume)
{
    struct device *d = &f->devices[i];

    d->life++;
    d->busy = false;
    d->update = false;
    d->reboot = false;
    d->resume = resume;
    dr_timer_cancel(loop_wheel(f->loop), &d->timer);
    if (!resume) {
        observe_end_all(f, d);
    }
    f->ops->close(f->stack, i, how);
}

/* An attempt ended badly: once more after a while, from the handshake. */
static void fail(struct sim_fleet *f, uint32_t i, const char *what)
{
    struct device *d = &f->devices[i];

    sim_stats_error(f->stats, what);
    drop(f, i, SIM_GOODBYE, false);
    if (++d->attempts >= SIM_ATTEMPTS_MAX) {
        update_free(f, d);
        set_state(f, d, DEVICE_FAILED);
        return;
    }
    set_state(f, d, DEVICE_OFF);
    uint64_t wait = RETRY_MS * d->attempts + dr_prng_below(&f->prng, RETRY_MS);
    dr_timer_start(loop_wheel(f->loop), &d->timer, loop_now_ms(f->loop) + wait);
}

/* Off, and on again as soon as there is a slot. */
static void restart(struct sim_fleet *f, uint32_t i, enum sim_farewell how, bool resume)
{
    drop(f, i, how, resume);
    set_state(f, &f->devices[i], DEVICE_OFF);
    fleet_todo(f, i);
}

void fleet_reboot(struct sim_fleet *f, uint32_t i)
{
    update_rebooting(f, i);
    restart(f, i, SIM_SILENCE, false);
}

/* Its account is complete: goodbye to the bootstrap server. */
static void leave(struct sim_fleet *f, uint32_t i)
{
    struct device *d = &f->devices[i];

    if (f->o->bootstrap_only || d->account->certificate) {
        drop(f, i, SIM_GOODBYE, false);
        set_state(f, d, DEVICE_BOOTSTRAPPED);
    } else {
        restart(f, i, SIM_GOODBYE, false);
    }
}

void fleet_bootstrapped(struct sim_fleet *f, uint32_t i, uint32_t leave_ms)
{
    struct device *d = &f->devices[i];

    f->stats->bootstraps++;
    f->stats->last_bootstrap_us = dr_mono_us();
    if (f->o->bootstrap_only) {
        f->stats->requests++;
        sim_stats_latency(f->stats, dr_mono_us() - d->boot_us);
    }
    dr_timer_start(loop_wheel(f->loop), &d->timer, loop_now_ms(f->loop) + leave_ms);
}

void fleet_reboot_later(struct sim_fleet *f, uint32_t i)
{
    struct device *d = &f->devices[i];

    d->reboot = true;
    dr_timer_start(loop_wheel(f->loop), &d->timer, loop_now_ms(f->loop) + REBOOT_MS);
}

void fleet_die(struct sim_fleet *f, uint32_t i)
{
    drop(f, i, SIM_SILENCE, false);
    set_state(f, &f->devices[i], DEVICE_DEAD);
}

void fleet_rebind(struct sim_fleet *f, uint32_t i)
{
    struct device *d = &f->devices[i];

    d->moved = (uint16_t)((d->moved + 1) % SIM_MOVES);
    restart(f, i, SIM_SILENCE, true);
}

/* ---- messages of a device ---- */

static void connect_device(struct sim_fleet *f, uint32_t i)
{
    struct device *d = &f->devices[i];
    struct sim_name name = fleet_name(f, i);
    char text[SIM_NAME_MAX];
    uint8_t key[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    sim_name_text(&name, text);
    if (f->o->secure && f->o->master_len > 0) {
        (void)HMAC(EVP_sha256(), f->o->master, (int)f->o->master_len, (const unsigned char *)text,
                   strlen(text), key, &len);
    }
    struct sim_message *m = fleet_take_slot(f, i, KIND_HANDSHAKE);
    uint32_t source = f->o->source_net + i + d->moved * f->o->devices;
    d->boot_us = f->o->bootstrap_only ? m->started_us : 0;
    set_state(f, d, DEVICE_CONNECTING);
    dr_err_t err =
        d->account != NULL && d->account->complete
            ? bootstrap_connect(f, m, source)
            : f->ops->connect(f->stack, m, &f->o->server, source, text, key, len > 0 ? KEY_LEN : 0);
    dr_wipe(key, sizeof key);
    d->busy = err == DR_OK;
    if (err != DR_OK) {
        fleet_put_slot(f, m);
        fail(f, i, dr_err_name(err));
    }
}

void fleet_send(struct sim_fleet *f, struct sim_message *m)
{
    dr_err_t err = f->ops->send(f->stack, m);

    f->devices[m->device].busy = err == DR_OK;
    if (err != DR_OK) {
        fleet_put_slot(f, m);
        fail(f, m->device, dr_err_name(err));
    }
}

static void add_query(struct sim_message *m, const char *name, const char *value)
{
    (void)snprintf(m->query[m->n_query++], SIM_QUERY_LEN, "%s%s%s", name,
                   value[0] != '\0' ? "=" : "", value);
}

static void add_lifetime(struct sim_message *m, struct device *d)
{
    char text[16];

    (void)snprintf(text, sizeof text, "%u", d->values.lifetime_s);
    add_query(m, "lt", text);
    d->lifetime_sent = d->values.lifetime_s;
}

static void register_device(struct sim_fleet *f, uint32_t i)
{
    struct device *d = &f->devices[i];
    struct sim_message *m = fleet_take_slot(f, i, KIND_REGISTER);
    struct sim_name name = fleet_name(f, i);
    char text[SIM_NAME_MAX];

    observe_end_all(f, d);
    sim_name_text(&name, text);
    m->code = CX_POST;
    m->path = "rd";
    add_query(m, "ep", text);
    add_lifetime(m, d);
    add_query(m, "lwm2m", "1.1");
    add_query(m, "b", "U");
    if (f->o->queue_mode) {
        add_query(m, "Q", "");
    }
    m->content_format = LWM2M_CT_LINK;
    m->payload = m->body.payload;
    m->len = sim_links(&d->values, (char *)m->body.payload, sizeof m->body.payload);
    d->update = false;
    set_state(f, d, DEVICE_REGISTERING);
    fleet_send(f, m);
}

void fleet_update(struct sim_fleet *f, uint32_t i)
{
    struct device *d = &f->devices[i];
    struct sim_message *m = fleet_take_slot(f, i, KIND_UPDATE);

    m->code = CX_POST;
    m->path = d->location;
    if (d->values.lifetime_s != d->lifetime_sent) {
        add_lifetime(m, d);
    }
    d->update = false;
    fleet_send(f, m);
}

void fleet_deregister(struct sim_fleet *f, uint32_t i)
{
    struct sim_message *m = fleet_take_slot(f, i, KIND_DEREGISTER);

    m->code = CX_DELETE;
    m->path = f->devices[i].location;
    fleet_send(f, m);
}

void fleet_act(struct sim_fleet *f, uint32_t i)
{
    struct device *d = &f->devices[i];

    if (d->busy) {
        return; /* comes again when that is through */
    }
    if (d->state == DEVICE_OFF) {
        connect_device(f, i);
    } else if (d->state == DEVICE_CONNECTED && d->resume) {
        set_state(f, d, DEVICE_RESUMING);
        fleet_update(f, i);
    } else if (d->state == DEVICE_CONNECTED && bootstrap_wanted(f, d)) {
        set_state(f, d, DEVICE_BOOTSTRAPPING);
        dr_timer_start(loop_wheel(f->loop), &d->timer, loop_now_ms(f->loop) + BOOTSTRAP_MS);
        bootstrap_begin(f, i);
    } else if (d->state == DEVICE_CONNECTED) {
        register_device(f, i);
    } else if (d->state == DEVICE_REGISTERED && d->update) {
        fleet_update(f, i);
    } else if (d->state == DEVICE_REGISTERED) {
        update_act(f, i);
    }
}

/* ---- the device's timer ---- */

static void on_device_timer(struct dr_timer *t, uint64_t now_ms)
{
    struct device *d = DR_CONTAINER_OF(t, struct device, timer);
    struct sim_fleet *f = d->fleet;
    uint32_t i = (uint32_t)(d - f->devices);

    (void)now_ms;
    if (d->reboot) {
        fleet_reboot(f, i);
        return;
    }
    if (d->state == DEVICE_BOOTSTRAPPING) {
        if (d->account != NULL && d->account->complete) {
            leave(f, i);
        } else {
            fail(f, i, "bootstrap timeout");
        }
        return;
    }
    d->update = d->state == DEVICE_REGISTERED;
    fleet_todo(f, i);
}

static void arm_update(struct sim_fleet *f, struct device *d)
{
    /* between half and nine tenths of the lifetime, so that a fleet spreads itself */
    double part = 0.5 + 0.4 * dr_prng_double(&f->prng);
    uint64_t wait = (uint64_t)(part * 1000 * d->values.lifetime_s);

    if (!d->reboot) {
        dr_timer_start(loop_wheel(f->loop), &d->timer, loop_now_ms(f->loop) + wait);
    }
}

/* ---- what the stack tells ---- */

void sim_fleet_connected(struct sim_fleet *f, struct sim_message *m, dr_err_t err)
{
    dr_assert(f != NULL && m != NULL && m->kind == KIND_HANDSHAKE);
    uint32_t i = m->device;
    struct device *d = &f->devices[i];
    bool stale = m->life != d->life || f->phase == PHASE_OVER;

    fleet_put_slot(f, m);
    if (stale) {
        return;
    }
    d->busy = false;
    if (err != DR_OK) {
        fail(f, i, err == DR_ERR_TIMEOUT ? "handshake timeout" : "handshake failed");
        return;
    }
    f->stats->handshakes += f->o->secure;
    set_state(f, d, DEVICE_CONNECTED);
    fleet_todo(f, i);
}

static void registered(struct sim_fleet *f, uint32_t i, const char *location)
{
    struct device *d = &f->devices[i];
    char *copy = location[0] != '\0' ? strdup(location) : NULL;

    if (copy == NULL) {
        fail(f, i, "no location");
        return;
    }
    free(d->location);
    d->location = copy;
    d->attempts = 0;
    set_state(f, d, DEVICE_REGISTERED);
    f->stats->registrations++;
    arm_update(f, d);
    update_online(f, i);
}

const char *fleet_code_error(uint8_t code)
{
    static char texts[256][8]; /* statistics keep the pointer */

    (void)snprintf(texts[code], sizeof texts[code], "%d.%02d", code >> 5, code & 31);
    return texts[code];
}

static void answered_update(struct sim_fleet *f, uint32_t i, uint8_t code)
{
    struct device *d = &f->devices[i];

    if (code == CX_CHANGED) {
        if (d->state == DEVICE_RESUMING) {
            d->resume = false;
            d->attempts = 0;
            set_state(f, d, DEVICE_REGISTERED);
        }
        arm_update(f, d);
    } else if (code == CX_NOT_FOUND) {
        /* the server does not know the registration: once more over the same association */
        sim_stats_error(f->stats, fleet_code_error(code));
        dr_timer_cancel(loop_wheel(f->loop), &d->timer);
        d->resume = false;
        set_state(f, d, DEVICE_CONNECTED);
        fleet_todo(f, i);
    } else if (code == CX_UNAVAILABLE && d->state == DEVICE_REGISTERED) {
        sim_stats_error(f->stats, fleet_code_error(code)); /* not now: at the next time */
        arm_update(f, d);
    } else {
        fail(f, i, fleet_code_error(code));
    }
}

static bool is_measured(const struct sim_fleet *f, unsigned kind)
{
    switch (f->o->scenario) {
    case SIM_REGISTER:
        return kind == KIND_REGISTER;
    case SIM_NOTIFY:
        return kind == KIND_NOTIFY;
    case SIM_CHURN:
        return kind == KIND_REGISTER || kind == KIND_DEREGISTER;
    case SIM_REQUEST:
        return false; /* those of the server are */
    case SIM_FOTA:
        return kind == KIND_BLOCK;
    case SIM_UPDATES:
    case SIM_IDLE:
        break;
    }
    return kind == KIND_UPDATE;
}

void fleet_measure(struct sim_fleet *f, const struct sim_message *m)
{
    if (f->phase == PHASE_DRAIN) {
        return; /* the figures are taken */
    }
    if (is_measured(f, m->kind)) {
        sim_stats_latency(f->stats, dr_mono_us() - m->started_us);
        f->stats->requests++;
    }
    f->stats->notifications += m->kind == KIND_NOTIFY;
}

static void own_message_done(struct sim_fleet *f, const struct sim_message *m,
                             const struct sim_reply *reply)
{
    uint32_t i = m->device;
    uint8_t code = reply != NULL ? reply->code : CX_EMPTY;

    f->devices[i].awake_until_s = now_s(f) + f->o->awake_s;
    if (m->kind == KIND_BOOTSTRAP) {
        if (code != CX_CHANGED) {
            fail(f, i, fleet_code_error(code)); /* else the server goes on */
        }
    } else if (m->kind == KIND_STATE || m->kind == KIND_BLOCK) {
        update_answered(f, m, reply);
    } else if (m->kind == KIND_UPDATE) {
        answered_update(f, i, code);
    } else if (m->kind == KIND_REGISTER && code == CX_CREATED) {
        registered(f, i, reply->location);
    } else if (m->kind == KIND_DEREGISTER && code == CX_DELETED) {
        restart(f, i, SIM_GOODBYE, false);
    } else {
        fail(f, i, fleet_code_error(code));
    }
}

void sim_fleet_answered(struct sim_fleet *f, struct sim_message *m, dr_err_t err,
                        const struct sim_reply *reply)
{
    dr_assert(f != NULL && m != NULL && m->kind != KIND_HANDSHAKE);
    struct device *d = &f->devices[m->device];

    if (f->phase == PHASE_OVER) {
        /* the end of everything */
    } else if (m->kind == KIND_NOTIFY) {
        observe_notified(f, m, err);
        loop_again(f->loop); /* a NON ends after this turn's pump */
    } else if (m->life == d->life) {
        d->busy = false;
        if (err == DR_OK || (err == DR_ERR_RESET && m->kind == KIND_STATE)) {
            fleet_measure(f, m);
            own_message_done(f, m, reply); /* a state that nobody wants to know counts as told */
        } else {
            fail(f, m->device, dr_err_name(err));
        }
        if ((d->update && d->state == DEVICE_REGISTERED) || update_wants(d)) {
            fleet_todo(f, m->device);
        }
    }
    fleet_put_slot(f, m);
}

static void take_effect(struct sim_fleet *f, uint32_t i, const struct cx_pdu *request,
                        struct sim_answer *answer)
{
    struct device *d = &f->devices[i];

    switch (answer->effect) {
    case SIM_OBSERVE:
        if (!observe_add(f, i, request, answer)) {
            answer->effect = SIM_NOTHING;
        }
        break;
    case SIM_CANCEL:
        observe_end(f, i, request->token, request->token_len);
        break;
    case SIM_UPDATE:
        d->update = true;
        fleet_todo(f, i);
        break;
    case SIM_REBOOT:
        fleet_reboot_later(f, i);
        break;
    case SIM_MANIFEST:
    case SIM_PACKAGE:
    case SIM_PACKAGE_URI:
    case SIM_INSTALL:
        update_take(f, i, request, answer);
        break;
    case SIM_NOTHING:
        break;
    }
}

bool sim_fleet_request(struct sim_fleet *f, uint32_t i, const struct cx_pdu *request,
                       struct sim_answer *ret)
{
    dr_assert(f != NULL && request != NULL && ret != NULL);
    if (i >= f->o->devices || f->phase == PHASE_OVER) {
        return false;
    }
    struct device *d = &f->devices[i];
    if (f->o->queue_mode && now_s(f) > d->awake_until_s) {
        return false;
    }
    struct sim_name name = fleet_name(f, i);
    d->awake_until_s = now_s(f) + f->o->awake_s;
    if (d->state == DEVICE_BOOTSTRAPPING) {
        bootstrap_operate(f, i, request, ret);
        f->stats->served++;
        return true;
    }
    sim_operate(&d->values, &name, request, ret);
    if (ret->code == CX_EMPTY) {
        return false;
    }
    f->stats->served++;
    f->stats->requests += f->o->scenario == SIM_REQUEST && f->phase < PHASE_DRAIN;
    take_effect(f, i, request, ret);
    return true;
}

void sim_fleet_unobserved(struct sim_fleet *f, uint32_t i, const uint8_t *token, uint8_t len)
{
    dr_assert(f != NULL && i < f->o->devices);
    observe_end(f, i, token, len);
}

void sim_fleet_gone(struct sim_fleet *f, uint32_t i)
{
    dr_assert(f != NULL && i < f->o->devices);
    struct device *d = &f->devices[i];

    if (f->phase == PHASE_OVER || d->state < DEVICE_CONNECTED || d->state >= DEVICE_FAILED) {
        return;
    }
    sim_stats_error(f->stats, "association ended");
    restart(f, i, SIM_SILENCE, d->state == DEVICE_REGISTERED);
}

/* ---- life of the fleet ---- */

static dr_err_t make_arrays(struct sim_fleet *f)
{
    bool pelion = f->o->model.update == SIM_UPDATE_PELION;

    f->devices = calloc(f->o->devices, sizeof *f->devices);
    f->todo = calloc(f->o->devices, sizeof *f->todo);
    f->slots = calloc(f->o->window, sizeof *f->slots);
    f->free_slots = calloc(f->o->window, sizeof *f->free_slots);
    if (f->devices == NULL || f->todo == NULL || f->slots == NULL || f->free_slots == NULL) {
        return DR_ERR_NOMEM;
    }
    for (uint32_t i = f->o->window; i > 0; i--) {
        f->slots[i - 1].slot = i - 1;
        f->free_slots[f->n_free++] = i - 1;
    }
    for (uint32_t i = 0; i < f->o->devices; i++) {
        struct device *d = &f->devices[i];
        dr_timer_init(&d->timer, on_device_timer);
        d->fleet = f;
        d->values =
            (struct sim_values){.model = &f->o->model,
                                .version = f->o->version != NULL ? f->o->version : SIM_VERSION,
                                .lifetime_s = f->o->lifetime_s,
                                .temperature = 20,
                                .low = 20,
                                .high = 20,
                                .update_result = SIM_NO_RESULT,
                                .update_state = pelion ? SIM_PELION_IDLE : SIM_OBJ5_IDLE};
    }
    return DR_OK;
}

static dr_err_t give_faults(struct sim_fleet *f)
{
    const struct sim_options *o = f->o;
    uint8_t *faults = calloc(o->devices, 1);
    dr_err_t err = faults == NULL ? DR_ERR_NOMEM
                                  : sim_fota_faults_assign(o->fota_faults, o->devices, o->seed,
                                                           faults, &f->fault_once);

    for (uint32_t i = 0; err == DR_OK && i < o->devices; i++) {
        f->devices[i].fault = faults[i];
    }
    free(faults);
    return err;
}

static dr_err_t make_updates(struct sim_fleet *f)
{
    const struct sim_options *o = f->o;
    dr_err_t err = give_faults(f);

    return err != DR_OK
               ? err
               : sim_firmwares_init(&f->firmwares, &o->model, o->update_cert, o->next_version);
}

dr_err_t sim_fleet_start(struct loop *loop, const struct sim_options *options,
                         struct sim_stats *stats, void (*done)(void *data), void *data,
                         struct sim_fleet **ret)
{
    dr_assert(loop != NULL && options != NULL && stats != NULL && done != NULL && ret != NULL);
    dr_assert(options->devices > 0 && options->window > 0);
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
    f->ops = options->libcoap ? sim_stack_libcoap : &sim_stack_own;
    f->phase = PHASE_OVER; /* until all is there */
    dr_err_t err = f->ops == NULL ? DR_ERR_UNSUPPORTED : make_arrays(f);
    err = err == DR_OK ? make_updates(f) : err;
    if (err == DR_OK) {
        scenario_start(f); /* its hook comes before the engine's */
        err = f->ops->open(f, loop, options, &f->stack);
    }
    if (err != DR_OK) {
        sim_fleet_free(f);
        return err;
    }
    f->phase = PHASE_REGISTER;
    *ret = f;
    return DR_OK;
}

struct sim_fleet *sim_fleet_free(struct sim_fleet *f)
{
    if (f == NULL) {
        return NULL;
    }
    scenario_halt(f);
    for (uint32_t i = 0; f->devices != NULL && i < f->o->devices; i++) {
        dr_timer_cancel(loop_wheel(f->loop), &f->devices[i].timer);
    }
    if (f->stack != NULL) {
        f->ops->free(f->stack);
    }
    for (uint32_t i = 0; f->devices != NULL && i < f->o->devices; i++) {
        observe_end_all(f, &f->devices[i]);
        update_free(f, &f->devices[i]);
        bootstrap_free(&f->devices[i]);
        free(f->devices[i].location);
    }
    free(f->devices);
    free(f->todo);
    free(f->slots);
    free(f->free_slots);
    free(f->observations);
    sim_firmwares_fini(&f->firmwares);
    free(f);
    return NULL;
}
