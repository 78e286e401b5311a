/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/integ/sim/rd_server.h
 * @brief A small registration server on our engine, for tests and for measuring the simulator.
 *
 * It knows the keys that follow from a master key, takes every Register, and does what a test sets.
 * In the first and only account there is one registration a Register; nothing expires.
 */
#pragma once

#include "base/loop.h"
#include "coap/engine.h"

#define RD_REGS_MAX 1000000
#define RD_PATH_MAX 32

struct rd_reg {
    cx_peer_t peer; /* 0: unknown */
    uint32_t lifetime_s;
    uint32_t updates;
    char ep[40];
};

struct rd_server {
    struct loop *loop;
    struct cx_engine *engine;
    struct cx_security *security;
    union cx_addr plain, secure;
    uint8_t master[32];
    struct rd_reg *regs; /* location rd/<index> */
    uint32_t n_regs;
    uint64_t registers, updates, deregisters, notifications, answers, failures;
    uint8_t last_code; /* of a device's answer */
    size_t last_len;
    uint8_t last[1024];
    bool closed;
    /* what tests set */
    const char *observe; /* path that is observed after each Register */
    const char *read;    /* path that is read after each answer of it, for ever */
    unsigned refuse;     /* so many Registers and Updates get `refusal` */
    uint8_t refusal;
    bool refuse_notify; /* RST */
    bool forgetful;     /* Updates get 4.04 once for each registration */
};

/** A Check assertion fails when it cannot. @p master may be NULL */
void rd_server_init(struct rd_server *s, struct loop *loop, const uint8_t master[32]);
void rd_server_fini(struct rd_server *s);
/** Send a request to the device of registration @p reg. @p observe -1 = none */
void rd_server_call(struct rd_server *s, uint32_t reg, uint8_t code, const char *path, int observe,
                    const char *payload);
