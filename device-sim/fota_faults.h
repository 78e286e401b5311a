/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  device-sim/fota_faults.h
 * @brief Which devices fail at an update, and how: chosen by a seed, or named.
 *
 * Layer: device-sim, pure.  Threads: one.  Memory: fixed.  Limits: none.  Security: none.
 *
 * A list such as "reject=2,dead=1%,corrupt=@7+9,once": a number of devices, a share of them, or
 * their positions in the fleet; "once": only at a device's first update.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum sim_fota_fault {
    SIM_FOTA_FINE,
    SIM_FOTA_REJECT,     /**< the manifest: bad signature */
    SIM_FOTA_BROKEN,     /**< the download fails in the middle */
    SIM_FOTA_CORRUPT,    /**< the image is not what the manifest says */
    SIM_FOTA_DEAD,       /**< never comes back after it installed */
    SIM_FOTA_OLDVERSION, /**< comes back with what it had */
    SIM_FOTA_SLOW,       /**< a pause after each block */
    SIM_FOTA_FAULTS
};

/**
 * @param text    NULL = no faults
 * @param faults  @p devices bytes, enum sim_fota_fault each, all SIM_FOTA_FINE before; NULL: only
 *                check the text
 * @retval DR_ERR_PROTO  not such a list
 * @retval DR_ERR_RANGE  more faults than devices, or a device that is not there
 */
DR_CHECK dr_err_t sim_fota_faults_assign(const char *text, uint32_t devices, uint64_t seed,
                                         uint8_t *faults, bool *ret_once);
