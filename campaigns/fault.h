/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  campaigns/fault.h
 * @brief Where the process dies as if it were killed, for the test that crashes at each transition.
 *
 * Layer: campaigns, private.  Threads: the control loop.  Memory: none.  Limits: none.
 * Security: off unless the environment of the server asks for it: DROVER_TEST_DIE=stored:7 is the
 * seventh transition that is on disk.  Spec: none.
 */
#pragma once

#include <stdint.h>

enum camp_fault_point {
    CAMP_FAULT_NONE,
    CAMP_FAULT_DECIDED,  /**< a device's transition is known, nothing is written */
    CAMP_FAULT_STORED,   /**< it is on disk, nothing was done yet */
    CAMP_FAULT_ASKED,    /**< a request of an operation is in the device's queue */
    CAMP_FAULT_ANSWERED, /**< its answer came, nothing was made of it */
    CAMP_FAULT_BEGUN, /**< a campaign's own write (phase, snapshot, admission) is about to begin */
    CAMP_FAULT_DONE,  /**< it is on disk */
};

struct camp_faults {
    enum camp_fault_point point;
    uint64_t at;
    uint64_t seen;
};

/** From the environment. */
void camp_faults_init(struct camp_faults *f);
/** This is such a point: perhaps the last thing that the process does. */
void camp_fault(struct camp_faults *f, enum camp_fault_point point);
