/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  device-sim/options.h
 * @brief Command line of drover-sim.
 *
 * Layer: device-sim.  Threads: main.  Memory: strings are borrowed from argv.
 * Limits: SIM_DEVICES_MAX, SIM_WINDOW_MAX.  Security: the master key is read from a file and wiped
 * at the end.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "coap/engine.h"
#include "device-sim/object.h"

#define SIM_DEVICES_MAX 16000000
#define SIM_WINDOW_MAX  100000
#define SIM_MASTER_MAX  64
/** Source addresses of a device that moves (--rebind-every). */
#define SIM_MOVES       8
/** It has a descriptor for each device, and its costs grow with their number. */
#define SIM_LIBCOAP_MAX 2000

enum sim_scenario {
    SIM_REGISTER,
    SIM_UPDATES,
    SIM_NOTIFY,
    SIM_REQUEST,
    SIM_IDLE,
    SIM_CHURN,
    SIM_FOTA
};

struct sim_options {
    union cx_addr server;
    bool secure;
    bool tcp;
    enum cx_framing framing; /**< of TCP */
    uint32_t devices, first, window;
    const char *prefix;
    uint8_t master[SIM_MASTER_MAX];
    size_t master_len; /**< 0 = no PSK */
    const char *cert_file, *key_file;
    enum sim_scenario scenario;
    double rate;       /**< operations per second over the fleet, 0 = as the window allows */
    double duration_s; /**< after all are registered */
    uint32_t lifetime_s;
    uint32_t awake_s; /**< queue mode: listens so long after an uplink */
    bool queue_mode, confirmable, libcoap, json;
    double loss, duplicate, reorder, reboot_rate;
    double rebind_every_s;
    uint64_t seed;
    uint32_t source_net; /**< first source address, host order */
    int server_pid;      /**< whose CPU time is measured, 0 = none */
    struct sim_model model;
    const char *version, *next_version; /**< of the firmware; of an image that does not say */
    const char *update_cert;            /**< who may sign manifests, NULL = anybody */
    const char *fota_faults;            /**< NULL = none */
    const char *fetch_uri; /**< devices download it by themselves; NULL = they wait for manifests */
    bool has_object, has_vendor, has_class; /**< they were given */
    bool bootstrap, bootstrap_only;         /**< begin at a bootstrap server; and end there */
    bool until_updated;                     /**< end when each device is through with an update */
    uint32_t block;                         /**< size of a block that devices ask for */
};

/** @retval DR_ERR_INVAL  said why on standard error. @retval DR_ERR_AGAIN  help was asked for */
DR_CHECK dr_err_t sim_options_parse(int argc, char **argv, struct sim_options *ret);
