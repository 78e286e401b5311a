/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  client/core/boot.h
 * @brief Which slot starts: trial, confirmed image or none; confirmation of a trial.
 *
 * Layer: client/core.  Threads: one loop.  Memory: none.  Limits: CL_TRIES_MAX trials of an image.
 * Security: an image below the security counter never starts. Without a hardware counter the
 * confirmed image is the floor, which does not stop someone who can write the flash.
 *
 *   installed --request--> pending --boot--> trial --registered--> confirmed
 *                             |                 `--3 starts------> rejected
 *                             `--counter too low-----------------> rejected
 */
#pragma once

#include "client/core/slot.h"

enum cl_boot_act { CL_BOOT_NONE, CL_BOOT_RUN, CL_BOOT_TRIAL, CL_BOOT_REJECT };

struct cl_boot {
    enum cl_boot_act act;
    int slot; /**< CL_SLOT_NONE with CL_BOOT_NONE */
};

/** The decision alone: no flash, no state. @param stored  security counter of the hardware, or 0 */
struct cl_boot cl_boot_decide(const struct cl_slot_state slots[CL_SLOTS], uint32_t stored);

/** The lowest security counter that a new image may have. */
uint32_t cl_boot_floor(const struct cl_slot_state slots[CL_SLOTS], uint32_t stored);

/**
 * Read the slots, decide, write the flags that the decision needs. Never erases.
 * @param ret  RUN, TRIAL or NONE (then the board stays in its boot program)
 * @retval CL_ERR_IO  a flag could not be written
 */
CL_CHECK cl_err_t cl_boot(const struct cl_layout *lay, const struct cl_trust *trust,
                          struct cl_boot *ret);

/** The running trial is good: called once it has registered with its server. */
CL_CHECK cl_err_t cl_boot_confirm(const struct cl_layout *lay, const struct cl_trust *trust,
                                  const struct cl_boot *boot);
