/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  device-sim/stack.h
 * @brief What the fleet wants of a CoAP and DTLS stack, so that the same scenarios run through ours
 * and through libcoap.
 *
 * Layer: device-sim.  Threads: one loop.  Memory: messages are the fleet's; see each member.
 * Limits: SIM_QUERY_MAX, SIM_LOCATION_MAX.  Security: none.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "coap/engine.h"
#include "coap/pdu.h"
#include "device-sim/object.h"
#include "device-sim/options.h"
#include "device-sim/stats.h"

struct loop;
struct sim_fleet;

#define SIM_QUERY_MAX    5
#define SIM_QUERY_LEN    80
#define SIM_LOCATION_MAX 64

/** A message of a device on its way: one of a fixed number of slots, which is the window. */
struct sim_message {
    uint32_t slot, device;
    uint16_t life; /**< the fleet's */
    uint8_t kind;  /**< the fleet's */
    uint8_t code;  /**< POST, DELETE, or 2.05 for a notification */
    bool non;
    const char *path; /**< "rd", "rd/5a"; borrowed until answered */
    char path_buf[24];
    char query[SIM_QUERY_MAX][SIM_QUERY_LEN];
    unsigned n_query;
    int32_t content_format; /**< -1 = none */
    int32_t block2;         /**< raw value of the option, -1 = none: the stack looks after blocks */
    const char *proxy_uri;  /**< NULL = none; borrowed until answered */
    const uint8_t *payload; /**< borrowed until answered */
    size_t len;
    uint32_t observe; /**< notification: sequence number */
    uint8_t token[CX_TOKEN_MAX], token_len;
    uint64_t started_us;
    struct sim_answer body; /**< notification: the value; otherwise room for texts */
};

/** An answer of the server. Everything is borrowed for the call. */
struct sim_reply {
    uint8_t code;
    const char *location; /**< "" if none */
    const uint8_t *payload;
    size_t len;
    int32_t block2; /**< raw value of the option, -1 = none */
};

/** How an association ends. */
enum sim_farewell {
    SIM_GOODBYE, /**< with close_notify */
    SIM_SILENCE, /**< as after a power cut */
};

/** A stack. Functions that can fail call nothing back then. */
struct sim_stack_ops {
    dr_err_t (*open)(struct sim_fleet *fleet, struct loop *loop, const struct sim_options *options,
                     void **ret);
    /**
     * Shake hands for device m->device; sim_fleet_connected comes once, later.
     * @param server  borrowed for the call
     * @param source  address, host order
     * @param name, key  borrowed for the call; @p key_len 0 = none
     */
    dr_err_t (*connect)(void *stack, struct sim_message *m, const union cx_addr *server,
                        uint32_t source, const char *name, const uint8_t *key, size_t key_len);
    /** Send; sim_fleet_answered comes once, later (a NON notification: when it was handed on). */
    dr_err_t (*send)(void *stack, struct sim_message *m);
    /** Forget the association of a device, if it has one; what was under way ends as gone, later.
     */
    void (*close)(void *stack, uint32_t device, enum sim_farewell how);
    uint64_t (*retransmissions)(const void *stack);
    void (*free)(void *stack);
};

extern const struct sim_stack_ops sim_stack_own;
/** NULL when built without libcoap. */
extern const struct sim_stack_ops *const sim_stack_libcoap;

/* ---- what a stack tells the fleet ---- */

void sim_fleet_connected(struct sim_fleet *f, struct sim_message *m, dr_err_t err);
/** @p reply  with DR_OK, except of a notification */
void sim_fleet_answered(struct sim_fleet *f, struct sim_message *m, dr_err_t err,
                        const struct sim_reply *reply);
/** A request of the server; false: the device sleeps, there is no answer at all. */
bool sim_fleet_request(struct sim_fleet *f, uint32_t device, const struct cx_pdu *request,
                       struct sim_answer *ret);
/** The server refused a notification (RST). */
void sim_fleet_unobserved(struct sim_fleet *f, uint32_t device, const uint8_t *token, uint8_t len);
/** The server ended the association. */
void sim_fleet_gone(struct sim_fleet *f, uint32_t device);
