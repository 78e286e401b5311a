/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  client/ports/posix/firmware.h
 * @brief Firmware of a process that plays a board: boot decision, trust, faults of images.
 *
 * An image is data in the flash, never code: the process stays the same, and what runs is the
 * version of the slot that the boot decision chose, or "1.0.0" while no slot holds an image. The
 * first bytes of an image's body may make it a bad one, for demonstrations and tests:
 *   "#fault:crash"  it resets as soon as it starts
 *   "#fault:deaf"   it never contacts the server
 *
 * Layer: client port.  Threads: one.  Memory: static.  Limits: one client.
 * Security: the update key is a public key; without one there are no update objects.
 */
#pragma once

#include "client/core/update.h"
#include "client/ports/posix/options.h"

/** Decide what runs; resets when that is an image which crashes. @retval false  said why */
bool firmware_boot(const struct options *options, const struct cl_layout *layout);
/** The running image never contacts the server: do not start the client, call firmware_wait(). */
bool firmware_is_deaf(void);
/** Sleep until the trial is over, then reset. */
_Noreturn void firmware_wait(void);
/** The update objects on @p client, if there is a key. Before cl_start(). */
CL_CHECK cl_err_t firmware_start(struct cl_client *client, struct cl_kvs *store);
/** For cl_hooks.state. */
void firmware_state(enum cl_state state);
/** The console's word about the update that waits for it. @retval false  none does */
bool firmware_answer(bool yes);
/** Of what runs. */
const char *firmware_version(void);
/** Go on with a download. @return when to call again, or CL_NEVER */
uint64_t firmware_poll(uint64_t now_ms);
