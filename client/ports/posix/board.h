/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  client/ports/posix/board.h
 * @brief Clock, randomness, reset and sensor of a process that plays a board.
 *
 * Layer: client port.  Threads: one.  Memory: borrows the command line.  Limits: none.
 * Security: randomness is the kernel's.
 */
#pragma once

/** A reset runs the same command line again. Borrowed for ever. */
void board_init(char **argv);
