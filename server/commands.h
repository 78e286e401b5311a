/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  server/commands.h
 * @brief What droverd does beside serving: make, check and restore a data folder.
 *
 * Layer: server.  Threads: main thread, no loop.  Memory: none kept.  Limits: none.
 * Security: init prints the first API key once, on standard output; it is stored as a hash only.
 * Spec: docs/operations.md.
 */
#pragma once

#include <stdbool.h>

/** Make a data folder with database, keys, account and first API key; prints it. Returns the exit
 * code. */
int srv_init(const char *dir, bool json);
/** Verify a data folder that no server uses; prints what is wrong. Returns the exit code. */
int srv_check(const char *dir);
/** Make a data folder from a backup. The folder must not hold a database. Returns the exit code. */
int srv_restore(const char *file, const char *dir);
/** One clear line on standard error; returns @p code. */
int srv_fail(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
