/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  db/bootstrap_schema.h
 * @brief Table of db/bootstrap.h, as one step of the schema.
 *
 * Layer: db, private.  Threads: none.  Memory: none.  Limits: none.  Security: none.  Spec: none.
 */
#pragma once

#define DB_BOOTSTRAP_SCHEMA                                                                        \
    "CREATE TABLE bootstrap_policy ("                                                              \
    "  id INTEGER PRIMARY KEY,"                                                                    \
    "  account INTEGER NOT NULL REFERENCES account(id),"                                           \
    "  scope INTEGER NOT NULL, pattern TEXT NOT NULL,"                                             \
    "  updated_at INTEGER NOT NULL,"                                                               \
    "  name TEXT NOT NULL, server_uri TEXT NOT NULL,"                                              \
    "  lifetime_s INTEGER NOT NULL, binding TEXT NOT NULL, security INTEGER NOT NULL,"             \
    "  short_server_id INTEGER NOT NULL, hold_off_s INTEGER NOT NULL,"                             \
    "  pmin_s INTEGER NOT NULL, pmax_s INTEGER NOT NULL, store INTEGER NOT NULL,"                  \
    "  reset INTEGER NOT NULL, verify INTEGER NOT NULL, objects TEXT NOT NULL,"                    \
    "  UNIQUE (account, scope, pattern)"                                                           \
    ") STRICT;"
