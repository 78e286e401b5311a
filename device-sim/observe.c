/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Observations: a short list for each device, and one array over the fleet, from which scenarios
 * pick. An observation ends with the registration, not with the association.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device-sim/fleet_priv.h"

/* Observations looked at for one that can be notified. */
#define TRIES 64

static void forget(struct sim_fleet *f, struct observation **at)
{
    struct observation *ob = *at;
    struct observation *last = f->observations[--f->n_observations];

    f->observations[ob->position] = last;
    last->position = ob->position;
    *at = ob->next;
    f->devices[ob->device].n_observations--;
    free(ob);
}

void observe_end_all(struct sim_fleet *f, struct device *d)
{
    while (d->observations != NULL) {
        forget(f, &d->observations);
    }
}

static struct observation **find(struct device *d, const uint8_t *token, uint8_t len)
{
    struct observation **at = &d->observations;

    while (*at != NULL && ((*at)->token_len != len || memcmp((*at)->token, token, len) != 0)) {
        at = &(*at)->next;
    }
    return at;
}

void observe_end(struct sim_fleet *f, uint32_t i, const uint8_t *token, uint8_t len)
{
    struct observation **at = find(&f->devices[i], token, len);

    if (*at != NULL) {
        forget(f, at);
    }
}

static bool make_room(struct sim_fleet *f)
{
    if (f->n_observations < f->cap_observations) {
        return true;
    }
    uint32_t cap = f->cap_observations == 0 ? 64 : f->cap_observations * 2;
    void *grown = realloc(f->observations, cap * sizeof *f->observations);
    if (grown == NULL) {
        return false;
    }
    f->observations = grown;
    f->cap_observations = cap;
    return true;
}

bool observe_add(struct sim_fleet *f, uint32_t i, const struct cx_pdu *request,
                 const struct sim_answer *answer)
{
    struct device *d = &f->devices[i];

    if (*find(d, request->token, request->token_len) != NULL) {
        return true;
    }
    if (d->n_observations == SIM_OBSERVATIONS_MAX || !make_room(f)) {
        return false;
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

static void change_temperature(struct sim_fleet *f, struct sim_values *v)
{
    v->temperature += (float)(dr_prng_double(&f->prng) - 0.5);
    v->low = v->temperature < v->low ? v->temperature : v->low;
    v->high = v->temperature > v->high ? v->temperature : v->high;
}

/* The resource's own path: its later blocks are asked for by it. */
static void name_path(struct sim_message *m, const uint16_t *path, uint8_t depth)
{
    size_t n = 0;

    m->path_buf[0] = '\0';
    for (unsigned i = 0; i < depth; i++) {
        n += (size_t)snprintf(m->path_buf + n, sizeof m->path_buf - n, "%s%u", i > 0 ? "/" : "",
                              path[i]);
    }
    m->path = m->path_buf;
}

struct observation *observe_find(const struct device *d, const uint16_t *path, uint8_t depth)
{
    struct observation *ob = d->observations;

    while (ob != NULL &&
           (ob->depth != depth || memcmp(ob->path, path, depth * sizeof *path) != 0)) {
        ob = ob->next;
    }
    return ob;
}

struct sim_message *observe_message(struct sim_fleet *f, uint32_t i, enum message_kind kind,
                                    const uint16_t *path, uint8_t depth, struct observation *ob)
{
    struct device *d = &f->devices[i];
    struct sim_message *m = fleet_take_slot(f, i, kind);
    struct sim_name name = fleet_name(f, i);

    sim_value(&d->values, &name, path, depth, ob != NULL ? ob->content_format : -1, &m->body);
    m->code = m->body.code;
    m->content_format = m->body.content_format;
    m->payload = m->body.payload;
    m->len = m->body.len;
    if (ob != NULL) {
        m->observe = ++ob->sequence & 0xffffff;
        m->token_len = ob->token_len;
        memcpy(m->token, ob->token, sizeof m->token);
    } else {
        m->observe = ++f->sequence & 0xffffff;
    }
    name_path(m, path, depth);
    return m;
}

static void notify(struct sim_fleet *f, struct observation *ob)
{
    change_temperature(f, &f->devices[ob->device].values);
    struct sim_message *m = observe_message(f, ob->device, KIND_NOTIFY, ob->path, ob->depth, ob);

    m->non = !f->o->confirmable;
    ob->busy = true;
    dr_err_t err = f->ops->send(f->stack, m);
    if (err != DR_OK) {
        ob->busy = false;
        fleet_put_slot(f, m);
        sim_stats_error(f->stats, dr_err_name(err));
    }
}

bool observe_notify_next(struct sim_fleet *f)
{
    for (unsigned tries = 0; tries < TRIES && f->n_observations > 0; tries++) {
        struct observation *ob = f->observations[f->next_observation++ % f->n_observations];
        bool told = ob->path[0] == 5 || ob->path[0] == 10252; /* update.c does, when it changes */
        if (!ob->busy && !told && f->devices[ob->device].state == DEVICE_REGISTERED) {
            notify(f, ob);
            return true;
        }
    }
    return false;
}

void observe_notified(struct sim_fleet *f, const struct sim_message *m, dr_err_t err)
{
    struct observation **at = find(&f->devices[m->device], m->token, m->token_len);

    if (*at != NULL) {
        (*at)->busy = false;
    }
    if (err == DR_OK) {
        fleet_measure(f, m);
    } else if (err == DR_ERR_RESET && *at != NULL) {
        forget(f, at); /* the observer does not want it; spec: RFC7641#3.6 */
    } else if (err != DR_ERR_GONE && err != DR_ERR_RESET) {
        sim_stats_error(f->stats, dr_err_name(err));
    }
}
