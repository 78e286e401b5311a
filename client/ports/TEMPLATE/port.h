/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  client/ports/TEMPLATE/port.h
 * @brief The empty port: what its own files share.
 *
 * Layer: client port.  Threads: one loop.  Memory: static.  Limits: none.
 * Security: it has no randomness and stops where some is wanted.
 */
#pragma once

#include "client/core/account.h"

#define TEMPLATE_SLOT_SIZE 262144

/** Where the empty functions end up that must not return. A board has none of it. */
_Noreturn void template_stop(void);

/**
 * The program of a board.
 * @param account   of the bootstrap server, from where the factory put it
 * @param endpoint  name of the device
 */
CL_CHECK cl_err_t template_main(const struct cl_account *account, const char *endpoint);
