/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  db/vfs_shim.h
 * @brief A VFS over SQLite's own for tests and benches: slow syncs, failing calls, power cuts.
 *
 * Layer: db.  Threads: settings from any thread; one power-cut recording at a time.
 * Memory: with recording on, keeps a copy of everything that was written since the last sync.
 * Limits: none.  Security: never registered unless asked for.  Spec: none.
 *
 * It is used by naming it: struct db_config.vfs = DB_SHIM_NAME.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define DB_SHIM_NAME "drover-shim"

/** Make the VFS known to SQLite; may be called again. */
DR_CHECK dr_err_t db_shim_register(void);

/** Each xSync of a file takes @p ms longer. */
void db_shim_sync_delay(uint32_t ms);

enum db_shim_fail {
    DB_SHIM_FAIL_NONE,
    DB_SHIM_FAIL_WRITE, /**< SQLITE_IOERR_WRITE */
    DB_SHIM_FAIL_FULL,  /**< a write that finds the disk full */
    DB_SHIM_FAIL_SYNC,  /**< SQLITE_IOERR_FSYNC */
    DB_SHIM_FAIL_READ,  /**< SQLITE_IOERR_READ */
};

/**
 * Let calls of a kind fail.
 * @param nth    the first that fails, 1 = the next
 * @param count  how many fail from there on; UINT32_MAX = all until the next call of this function
 */
void db_shim_fail(enum db_shim_fail kind, uint32_t nth, uint32_t count);
/** Calls of the kind since db_shim_fail() was called last. */
uint32_t db_shim_calls(enum db_shim_fail kind);

/** Begin to remember what a power cut would undo. Before db_open(), with the database closed. */
void db_shim_record(bool on);
/**
 * The power goes: from now on every write and sync fails. Then close the database and call
 * db_shim_power_back().
 * @param after_ops  let so many more writes and syncs through first
 */
void db_shim_cut(uint32_t after_ops);
bool db_shim_is_cut(void);
/**
 * With everything closed: make the files on disk what a cut may have left, from the state at each
 * file's last sync: of the writes after it some are there, some are not, some are torn; @p seed
 * decides. Then recording is off and writes work again.
 */
DR_CHECK dr_err_t db_shim_power_back(uint64_t seed);
