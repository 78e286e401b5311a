/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  device-sim/object.h
 * @brief What a simulated device offers: objects 1, 3 and 3303, and how it answers operations on
 * them.
 *
 * Layer: device-sim, pure.  Threads: reentrant.  Memory: a few bytes a device; answers go into the
 * caller's buffer. Limits: SIM_ANSWER_MAX.  Security: requests come from a server under test and
 * may be anything. Spec: LWM2M-1.1-CORE#6.3, #6.4.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "coap/pdu.h"

#define SIM_ANSWER_MAX 1024
#define SIM_NAME_MAX   64

/** An endpoint name: the prefix and the number in decimal. */
struct sim_name {
    const char *prefix; /**< borrowed */
    uint32_t number;
};
/** @param buf  of SIM_NAME_MAX bytes */
void sim_name_text(const struct sim_name *name, char *buf);

/** The changing part of a device. */
struct sim_values {
    uint32_t lifetime_s; /**< /1/0/1 */
    float temperature;   /**< /3303/0/5700 */
    float low, high;     /**< /3303/0/5601, 5602 */
};

/** What the fleet has to do after an operation. */
enum sim_effect {
    SIM_NOTHING,
    SIM_UPDATE,  /**< /1/0/8 was executed, or the lifetime was written: send an Update */
    SIM_REBOOT,  /**< /3/0/4 was executed */
    SIM_OBSERVE, /**< begin or go on: remember the token */
    SIM_CANCEL,  /**< end of an observation */
};

struct sim_answer {
    uint8_t code;
    int32_t content_format; /**< -1 = no payload format */
    size_t len;
    uint8_t payload[SIM_ANSWER_MAX];
    enum sim_effect effect;
    uint16_t path[4]; /**< what was asked, for observations */
    uint8_t depth;
};

/** Body of Register: the link list. A constant. */
const char *sim_links(void);

/** Answer one request of the server. @p name is the endpoint name (serial number). */
void sim_operate(struct sim_values *v, const struct sim_name *name, const struct cx_pdu *request,
                 struct sim_answer *ret);

/** The value of an observed path, for a notification. @retval as of a read */
void sim_value(const struct sim_values *v, const struct sim_name *name, const uint16_t *path,
               uint8_t depth, int32_t content_format, struct sim_answer *ret);
