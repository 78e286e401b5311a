/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  device-sim/fleet_priv.h
 * @brief Inside of the fleet: what fleet.c (devices), observe.c (observations) and scenario.c (pace
 * and phases) share.
 *
 * Layer: device-sim.  Threads: one loop.  Memory: see fleet.h.  Limits: those of fleet.h.
 * Security: none.  Spec: none.
 */
#pragma once

#include "base/loop.h"
#include "base/rand.h"
#include "device-sim/fleet.h"
#include "device-sim/stack.h"

enum device_state {
    DEVICE_OFF,         /**< no association; waits for a slot or for its next attempt */
    DEVICE_CONNECTING,  /**< shakes hands */
    DEVICE_CONNECTED,   /**< waits for a slot */
    DEVICE_REGISTERING, /**< Register under way */
    DEVICE_RESUMING,    /**< Update after a new association under way */
    DEVICE_REGISTERED,
    DEVICE_FAILED, /**< gave up */
};

enum message_kind { KIND_HANDSHAKE, KIND_REGISTER, KIND_UPDATE, KIND_DEREGISTER, KIND_NOTIFY };
enum fleet_phase { PHASE_REGISTER, PHASE_RUN, PHASE_DRAIN, PHASE_OVER };

struct observation {
    struct observation *next;  /**< of the device */
    uint32_t device, position; /**< in fleet->observations */
    uint32_t sequence;
    int32_t content_format;
    uint16_t path[4];
    uint8_t depth, token_len;
    uint8_t token[CX_TOKEN_MAX];
    bool busy; /**< a notification is under way */
};

struct device {
    struct sim_fleet *fleet;
    struct dr_timer timer; /**< next Update, next attempt, or the reboot */
    struct observation *observations;
    char *location; /**< owned; of the last registration */
    struct sim_values values;
    uint32_t lifetime_sent; /**< what the server knows */
    uint32_t awake_until_s;
    uint16_t life;  /**< grows whenever the association is dropped: messages from before are void */
    uint16_t moved; /**< times it took a new source address */
    uint8_t state, attempts, n_observations;
    bool busy : 1;   /**< a message or handshake of its own is under way */
    bool queued : 1; /**< in the todo ring */
    bool update : 1; /**< an Update is due */
    bool resume : 1; /**< the registration outlived the association: Update instead of Register */
    bool reboot : 1; /**< the timer is for a reboot */
    bool ever : 1;   /**< counted as settled */
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
    uint32_t *todo, todo_head, todo_count; /**< ring of devices, each at most once */
    struct observation **observations;
    uint32_t n_observations, cap_observations;
    uint32_t next_new, next_pick, next_observation;
    uint32_t notify_due; /**< observed values that have changed */
    uint32_t settled;    /**< devices that registered once, or failed */
    uint32_t failed;
    enum fleet_phase phase;
    double budget; /**< operations that the rate allows now */
    uint64_t last_us, deadline_ms, notify_at_ms, rebind_at_ms, progress_at_ms;
    struct loop_timer tick;
    struct loop_idle idle;
    struct dr_prng prng;
    bool terminal; /**< standard error is one */
};

/* ---- fleet.c ---- */

/** A free slot; there must be one. */
struct sim_message *fleet_take_slot(struct sim_fleet *f, uint32_t device, enum message_kind kind);
void fleet_put_slot(struct sim_fleet *f, const struct sim_message *m);
/** The device gets a slot as soon as one is free. */
void fleet_todo(struct sim_fleet *f, uint32_t i);
/** Whatever the device itself wants next; a slot is free. */
void fleet_act(struct sim_fleet *f, uint32_t i);
void fleet_update(struct sim_fleet *f, uint32_t i);
void fleet_deregister(struct sim_fleet *f, uint32_t i);
/** It loses its state; nobody is told. */
void fleet_reboot(struct sim_fleet *f, uint32_t i);
/** It gets another address, keeps its registration and goes on. */
void fleet_rebind(struct sim_fleet *f, uint32_t i);
struct sim_name fleet_name(const struct sim_fleet *f, uint32_t i);
/** An operation of the scenario is through. */
void fleet_measure(struct sim_fleet *f, const struct sim_message *m);

/* ---- observe.c ---- */

/** False when there is no room: the answer then goes out without Observe. */
bool observe_add(struct sim_fleet *f, uint32_t i, const struct cx_pdu *request,
                 const struct sim_answer *answer);
void observe_end(struct sim_fleet *f, uint32_t i, const uint8_t *token, uint8_t len);
void observe_end_all(struct sim_fleet *f, struct device *d);
/** Notify the next observation that can be; a slot is free. False when there is none. */
bool observe_notify_next(struct sim_fleet *f);
/** The end of a notification. */
void observe_notified(struct sim_fleet *f, const struct sim_message *m, dr_err_t err);

/* ---- scenario.c ---- */

void scenario_start(struct sim_fleet *f);
/** Nothing runs any more; for the end of the fleet. */
void scenario_halt(struct sim_fleet *f);
