/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  db/firmware_schema.h
 * @brief Tables of db/firmware.h, as one step of the schema.
 *
 * Layer: db, private.  Threads: none.  Memory: none.  Limits: none.  Security: none.  Spec: none.
 */
#pragma once

#define DB_FIRMWARE_SCHEMA                                                                         \
    "CREATE TABLE firmware_image ("                                                                \
    "  id INTEGER PRIMARY KEY,"                                                                    \
    "  account INTEGER NOT NULL REFERENCES account(id),"                                           \
    "  updated_at INTEGER NOT NULL,"                                                               \
    "  size INTEGER NOT NULL,"                                                                     \
    "  sha256 TEXT NOT NULL, token TEXT NOT NULL,"                                                 \
    "  name TEXT NOT NULL, description TEXT NOT NULL, filename TEXT NOT NULL"                      \
    ") STRICT;"                                                                                    \
    "CREATE INDEX firmware_image_account ON firmware_image(account);"                              \
    "CREATE INDEX firmware_image_digest ON firmware_image(account, sha256);"                       \
                                                                                                   \
    "CREATE TABLE firmware_upload ("                                                               \
    "  id INTEGER PRIMARY KEY,"                                                                    \
    "  account INTEGER NOT NULL REFERENCES account(id),"                                           \
    "  updated_at INTEGER NOT NULL,"                                                               \
    "  size INTEGER NOT NULL, chunks INTEGER NOT NULL, image INTEGER NOT NULL,"                    \
    "  name TEXT NOT NULL, description TEXT NOT NULL"                                              \
    ") STRICT;"                                                                                    \
    "CREATE INDEX firmware_upload_account ON firmware_upload(account);"                            \
                                                                                                   \
    "CREATE TABLE firmware_chunk ("                                                                \
    "  job INTEGER NOT NULL REFERENCES firmware_upload(id) ON DELETE CASCADE,"                     \
    "  seq INTEGER NOT NULL, length INTEGER NOT NULL, hash TEXT NOT NULL,"                         \
    "  created_at INTEGER NOT NULL, PRIMARY KEY (job, seq)"                                        \
    ") STRICT, WITHOUT ROWID;"                                                                     \
                                                                                                   \
    "CREATE TABLE firmware_manifest ("                                                             \
    "  id INTEGER PRIMARY KEY,"                                                                    \
    "  account INTEGER NOT NULL REFERENCES account(id),"                                           \
    "  updated_at INTEGER NOT NULL,"                                                               \
    "  schema INTEGER NOT NULL, timestamp_ms INTEGER NOT NULL, priority INTEGER NOT NULL,"         \
    "  payload_size INTEGER NOT NULL,"                                                             \
    "  name TEXT NOT NULL, description TEXT NOT NULL, filename TEXT NOT NULL,"                     \
    "  token TEXT NOT NULL, version TEXT NOT NULL, vendor TEXT NOT NULL, class_id TEXT NOT NULL,"  \
    "  component TEXT NOT NULL, payload_type TEXT NOT NULL, payload_url TEXT NOT NULL,"            \
    "  payload_digest TEXT NOT NULL, installed_digest TEXT NOT NULL,"                              \
    "  precursor_digest TEXT NOT NULL,"                                                            \
    "  raw BLOB NOT NULL, key_table BLOB NOT NULL"                                                 \
    ") STRICT;"                                                                                    \
    "CREATE INDEX firmware_manifest_account ON firmware_manifest(account);"                        \
    "CREATE INDEX firmware_manifest_payload ON firmware_manifest(account, payload_digest);"
