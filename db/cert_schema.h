/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  db/cert_schema.h
 * @brief Tables of db/cert.h and db/enrollment.h, and sealed keys, as one step of the schema.
 *
 * Layer: db, private.  Threads: none.  Memory: none.  Limits: none.  Security: none.  Spec: none.
 */
#pragma once

#define DB_CERT_SCHEMA                                                                             \
    "ALTER TABLE psk ADD COLUMN sealed INTEGER NOT NULL DEFAULT 0;"                                \
    "CREATE INDEX psk_plain ON psk(id) WHERE sealed = 0;"                                          \
                                                                                                   \
    "CREATE TABLE trusted_cert ("                                                                  \
    "  id INTEGER PRIMARY KEY,"                                                                    \
    "  account INTEGER NOT NULL REFERENCES account(id),"                                           \
    "  updated_at INTEGER NOT NULL, name TEXT NOT NULL, description TEXT NOT NULL,"                \
    "  service TEXT NOT NULL, status TEXT NOT NULL, enrollment_mode INTEGER NOT NULL,"             \
    "  execution_mode INTEGER NOT NULL, owner INTEGER NOT NULL,"                                   \
    "  subject TEXT NOT NULL, issuer TEXT NOT NULL, fingerprint TEXT NOT NULL,"                    \
    "  key_hash BLOB NOT NULL UNIQUE,"                                                             \
    "  not_before INTEGER NOT NULL, not_after INTEGER NOT NULL, certificate BLOB NOT NULL,"        \
    "  endpoint_name TEXT NOT NULL, private_key BLOB NOT NULL, sealed INTEGER NOT NULL,"           \
    "  UNIQUE (account, name)"                                                                     \
    ") STRICT;"                                                                                    \
    "CREATE INDEX trusted_cert_account ON trusted_cert(account);"                                  \
    "CREATE INDEX trusted_cert_fingerprint ON trusted_cert(fingerprint);"                          \
                                                                                                   \
    "CREATE TABLE device_cert ("                                                                   \
    "  id INTEGER PRIMARY KEY,"                                                                    \
    "  account INTEGER NOT NULL REFERENCES account(id),"                                           \
    "  updated_at INTEGER NOT NULL, endpoint_name TEXT NOT NULL, name TEXT NOT NULL,"              \
    "  anchor INTEGER NOT NULL, serial TEXT NOT NULL, fingerprint BLOB NOT NULL,"                  \
    "  state INTEGER NOT NULL, not_after INTEGER NOT NULL,"                                        \
    "  UNIQUE (account, fingerprint)"                                                              \
    ") STRICT;"                                                                                    \
    "CREATE INDEX device_cert_endpoint ON device_cert(account, endpoint_name);"                    \
    "CREATE INDEX device_cert_revoked ON device_cert(state) WHERE state = 1;"                      \
                                                                                                   \
    "CREATE TABLE cert_enrollment ("                                                               \
    "  id INTEGER PRIMARY KEY,"                                                                    \
    "  account INTEGER NOT NULL REFERENCES account(id),"                                           \
    "  updated_at INTEGER NOT NULL, device INTEGER NOT NULL, certificate_name TEXT NOT NULL,"      \
    "  status TEXT NOT NULL, result TEXT NOT NULL, detail TEXT NOT NULL"                           \
    ") STRICT;"                                                                                    \
    "CREATE INDEX cert_enrollment_account ON cert_enrollment(account);"                            \
    "CREATE UNIQUE INDEX cert_enrollment_open ON cert_enrollment(device) WHERE status = 'new';"    \
                                                                                                   \
    "CREATE TABLE enrollment ("                                                                    \
    "  id INTEGER PRIMARY KEY,"                                                                    \
    "  account INTEGER NOT NULL REFERENCES account(id),"                                           \
    "  identity TEXT NOT NULL, key BLOB NOT NULL UNIQUE,"                                          \
    "  claimed_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, device INTEGER NOT NULL"          \
    ") STRICT;"                                                                                    \
    "CREATE INDEX enrollment_account ON enrollment(account);"                                      \
                                                                                                   \
    "CREATE TABLE enrollment_bulk ("                                                               \
    "  id INTEGER PRIMARY KEY,"                                                                    \
    "  account INTEGER NOT NULL REFERENCES account(id),"                                           \
    "  updated_at INTEGER NOT NULL, deletes INTEGER NOT NULL, status INTEGER NOT NULL,"            \
    "  total INTEGER NOT NULL, processed INTEGER NOT NULL, errors INTEGER NOT NULL,"               \
    "  completed_at INTEGER NOT NULL"                                                              \
    ") STRICT;"                                                                                    \
    "CREATE INDEX enrollment_bulk_open ON enrollment_bulk(status) WHERE status < 2;"               \
                                                                                                   \
    "CREATE TABLE enrollment_denial ("                                                             \
    "  id INTEGER PRIMARY KEY,"                                                                    \
    "  account INTEGER NOT NULL REFERENCES account(id),"                                           \
    "  endpoint_name TEXT NOT NULL, trusted_cert INTEGER NOT NULL,"                                \
    "  UNIQUE (account, trusted_cert, endpoint_name)"                                              \
    ") STRICT;"                                                                                    \
    "CREATE INDEX enrollment_denial_account ON enrollment_denial(account);"
