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
#include "device-sim/firmware.h"
#include "device-sim/fleet.h"
#include "device-sim/fota_faults.h"
#include "device-sim/stack.h"

enum device_state {
    DEVICE_OFF,           /**< no association; waits for a slot or for its next attempt */
    DEVICE_CONNECTING,    /**< shakes hands */
    DEVICE_CONNECTED,     /**< waits for a slot */
    DEVICE_BOOTSTRAPPING, /**< asked for its account, and is being told */
    DEVICE_REGISTERING,   /**< Register under way */
    DEVICE_RESUMING,      /**< Update after a new association under way */
    DEVICE_REGISTERED,
    DEVICE_FAILED,       /**< gave up */
    DEVICE_BOOTSTRAPPED, /**< through, and not to register */
    DEVICE_DEAD,         /**< an update killed it, as was asked for */
};

enum message_kind {
    KIND_HANDSHAKE,
    KIND_REGISTER,
    KIND_UPDATE,
    KIND_DEREGISTER,
    KIND_NOTIFY,
    KIND_BOOTSTRAP,
    KIND_STATE, /**< of an update, told to the server */
    KIND_BLOCK, /**< of an image */
};
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

struct sim_update;

/** What a bootstrap server has given. */
struct sim_account {
    union cx_addr server;
    char identity[CX_IDENTITY_MAX + 1];
    uint8_t key[CX_CRED_KEY_MAX];
    size_t key_len;
    bool certificate; /**< instead of a PSK */
    bool named, keyed, complete;
};

struct device {
    struct sim_fleet *fleet;
    struct sim_account *account; /**< owned; NULL = nothing of a bootstrap server */
    struct sim_update *up;       /**< owned; NULL = no update under way */
    struct dr_timer timer;       /**< next Update, next attempt, or the reboot */
    struct observation *observations;
    char *location; /**< owned; of the last registration */
    struct sim_values values;
    uint64_t boot_us;       /**< when its handshake with the bootstrap server began */
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
    bool tried : 1;  /**< an update is behind it */
    bool installed : 1;    /**< it restarts with another image */
    bool came_old : 1;     /**< … which is the old one */
    bool updated : 1;      /**< counted as updated */
    bool update_ended : 1; /**< counted as ended */
    uint8_t fault;         /**< enum sim_fota_fault */
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
    uint32_t notify_due;                 /**< observed values that have changed */
    uint32_t settled;                    /**< devices that registered once, or failed */
    uint32_t failed, dead, bootstrapped; /**< devices in these states */
    uint32_t n_updated, n_ended; /**< devices that took an update; that are through with one */
    uint32_t next_fetch, sequence;
    bool fault_once;
    struct sim_firmwares firmwares;
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
/** Send; an error fails the device. */
void fleet_send(struct sim_fleet *f, struct sim_message *m);
/** The name of an answer that is no success; a constant. */
const char *fleet_code_error(uint8_t code);
/** The device gets a slot as soon as one is free. */
void fleet_todo(struct sim_fleet *f, uint32_t i);
/** Whatever the device itself wants next; a slot is free. */
void fleet_act(struct sim_fleet *f, uint32_t i);
void fleet_update(struct sim_fleet *f, uint32_t i);
void fleet_deregister(struct sim_fleet *f, uint32_t i);
/** It loses its state; nobody is told. */
void fleet_reboot(struct sim_fleet *f, uint32_t i);
/** … in a moment. */
void fleet_reboot_later(struct sim_fleet *f, uint32_t i);
/** Gone for good, without a word. */
void fleet_die(struct sim_fleet *f, uint32_t i);
/** The bootstrap server is through with it: it leaves in a moment. */
void fleet_bootstrapped(struct sim_fleet *f, uint32_t i, uint32_t leave_ms);
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

/** The observation of exactly this path; NULL if none. */
struct observation *observe_find(const struct device *d, const uint16_t *path, uint8_t depth);
/**
 * A message with the value of a path, in the observation's format if there is one.
 * @param ob  may be NULL: the token is then still to be set
 */
struct sim_message *observe_message(struct sim_fleet *f, uint32_t i, enum message_kind kind,
                                    const uint16_t *path, uint8_t depth, struct observation *ob);

/* ---- bootstrap.c ---- */

/** It still has to go to the bootstrap server. */
bool bootstrap_wanted(const struct sim_fleet *f, const struct device *d);
void bootstrap_begin(struct sim_fleet *f, uint32_t i);
/** A request of the bootstrap server. */
void bootstrap_operate(struct sim_fleet *f, uint32_t i, const struct cx_pdu *request,
                       struct sim_answer *ret);
/** Shake hands with the server that it was told, with the key that it was given. */
dr_err_t bootstrap_connect(struct sim_fleet *f, struct sim_message *m, uint32_t source);
void bootstrap_free(struct device *d);

/* ---- update.c ---- */

/** A manifest, an image, or the command to install: sets the answer's code. */
void update_take(struct sim_fleet *f, uint32_t i, const struct cx_pdu *request,
                 struct sim_answer *answer);
/** Download --fetch, without being asked. False: no memory, or one is under way. */
bool update_fetch(struct sim_fleet *f, uint32_t i);
/** What an update wants to send next; a slot is free. */
void update_act(struct sim_fleet *f, uint32_t i);
bool update_wants(const struct device *d);
/** The end of a message of an update. */
void update_answered(struct sim_fleet *f, const struct sim_message *m,
                     const struct sim_reply *reply);
/** The device has registered. */
void update_online(struct sim_fleet *f, uint32_t i);
/** It restarts now: with the new image, if one is installed. */
void update_rebooting(struct sim_fleet *f, uint32_t i);
void update_free(struct sim_fleet *f, struct device *d);

/* ---- scenario.c ---- */

void scenario_start(struct sim_fleet *f);
/** Nothing runs any more; for the end of the fleet. */
void scenario_halt(struct sim_fleet *f);
