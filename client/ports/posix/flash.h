/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  client/ports/posix/flash.h
 * @brief The flash of a process: a file mapped into memory, with NOR rules.
 *
 * Layer: client port.  Threads: one.  Memory: a mapping for the life of the process.
 * Limits: one flash.  Security: the file holds keys in clear; it is made readable to its owner
 * only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "client/ports/posix/nor.h"

#define FLASH_SECTOR 4096

/**
 * Open or make the file; its size must be @p size when it is there.
 * @return the flash, or NULL with a message on stderr
 */
struct nor *flash_open(const char *path, uint32_t size);

/**
 * Lose power in write @p nth of the flash, counted over all resets since this was first called: the
 * unit or sector stays half done, the process ends with FLASH_CUT_STATUS.
 */
void flash_fault(uint32_t nth);
/** Before a reset: the count goes on behind it. */
void flash_reset(void);

#define FLASH_CUT_STATUS 9
