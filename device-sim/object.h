/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  device-sim/object.h
 * @brief What a simulated device offers: objects 1, 3 and 3303, those of updates, and how it
 * answers operations on them.
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

/** Which objects a device has for updates. */
enum sim_update_object {
    SIM_UPDATE_NONE,
    SIM_UPDATE_PELION,  /**< 10252, 10255 and 14 */
    SIM_UPDATE_OBJECT5, /**< 5 */
};

/** What all devices of a fleet have in common. */
struct sim_model {
    enum sim_update_object update;
    bool push;    /**< object 5: images can only be pushed */
    bool has_ids; /**< vendor and class_id are shown */
    uint8_t vendor[16], class_id[16];
};

#define SIM_VERSION_MAX 31
#define SIM_VERSION     "1.0.0" /**< of a device that has taken no update */
/** 10252/0/3 and 5/0/5 when there is nothing to tell. */
#define SIM_NO_RESULT   (-1)

/** The changing part of a device. */
struct sim_values {
    const struct sim_model *model; /**< borrowed; NULL = no objects for updates */
    const char *version;           /**< of the firmware; borrowed; NULL = SIM_VERSION */
    uint32_t lifetime_s;           /**< /1/0/1 */
    float temperature;             /**< /3303/0/5700 */
    float low, high;               /**< /3303/0/5601, 5602 */
    int16_t update_result;         /**< 10252/0/3, 5/0/5 */
    uint8_t update_state;          /**< 10252/0/2, 5/0/3 */
};

/** 10252/0/2; the numbers are those of the object. */
enum {
    SIM_PELION_IDLE = 1,
    SIM_PELION_CHECKING = 2,
    SIM_PELION_ASK_DOWNLOAD = 3,
    SIM_PELION_DOWNLOADING = 4,
    SIM_PELION_ASK_INSTALL = 6,
    SIM_PELION_INSTALLING = 7,
    SIM_PELION_REBOOTING = 8,
};
/** 5/0/3 */
enum { SIM_OBJ5_IDLE, SIM_OBJ5_DOWNLOADING, SIM_OBJ5_DOWNLOADED, SIM_OBJ5_UPDATING };
/** Tokens of the notifications that a device sends unasked (aobs=): state, result. */
#define SIM_AOBS_STATE  11
#define SIM_AOBS_RESULT 12

/** What the fleet has to do after an operation. */
enum sim_effect {
    SIM_NOTHING,
    SIM_UPDATE,      /**< /1/0/8 was executed, or the lifetime was written: send an Update */
    SIM_REBOOT,      /**< /3/0/4 was executed */
    SIM_OBSERVE,     /**< begin or go on: remember the token */
    SIM_CANCEL,      /**< end of an observation */
    SIM_MANIFEST,    /**< 10252/0/1: a manifest */
    SIM_PACKAGE,     /**< 5/0/0: a whole image */
    SIM_PACKAGE_URI, /**< 5/0/1: where an image is */
    SIM_INSTALL,     /**< 5/0/2 */
};

struct sim_answer {
    uint8_t code;           /**< CX_EMPTY = no answer, ever */
    int32_t content_format; /**< -1 = no payload format */
    size_t len;
    uint8_t payload[SIM_ANSWER_MAX];
    enum sim_effect effect;
    bool separate;    /**< acknowledge at once, answer in a message of its own */
    uint16_t path[4]; /**< what was asked, for observations */
    uint8_t depth;
};

/** Body of Register: the link list, with values and tokens where Pelion devices have them. */
size_t sim_links(const struct sim_values *v, char *buf, size_t cap);

/** Answer one request of the server. @p name is the endpoint name (serial number). */
void sim_operate(struct sim_values *v, const struct sim_name *name, const struct cx_pdu *request,
                 struct sim_answer *ret);

/** The value of an observed path, for a notification. @retval as of a read */
void sim_value(const struct sim_values *v, const struct sim_name *name, const uint16_t *path,
               uint8_t depth, int32_t content_format, struct sim_answer *ret);
