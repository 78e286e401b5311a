/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  db/campaign_schema.h
 * @brief Tables of update campaigns: a step of the schema.
 *
 * Layer: db, private.  Threads: none.  Memory: constant.  Limits: none.  Security: none.
 * Spec: none.
 */
#pragma once

#include "db/campaign.h"

#define DB_CAMPAIGN_COLUMN_TEXT(member)  "," #member " TEXT NOT NULL"
#define DB_CAMPAIGN_COLUMN_INT(member)   "," #member " INTEGER NOT NULL"
#define DB_CAMPAIGN_COLUMN(member, kind) DB_CAMPAIGN_COLUMN_##kind(member)

/* The lists of fields are those of the release that the step belongs to: a field that comes later
 * is a step of its own, and leaves the list that this one uses. */
#define DB_CAMPAIGN_SCHEMA                                                                         \
    "CREATE TABLE campaign ("                                                                      \
    "  id INTEGER PRIMARY KEY,"                                                                    \
    "  account INTEGER NOT NULL REFERENCES account(id),"                                           \
    "  version INTEGER NOT NULL,"                                                                  \
    "  updated_at INTEGER NOT NULL" DB_CAMPAIGN_FIELDS_1(                                          \
        DB_CAMPAIGN_COLUMN) ") STRICT;"                                                            \
                            "CREATE INDEX campaign_account ON campaign(account);"                  \
                            "CREATE INDEX campaign_phase ON campaign(phase);"                      \
                            "CREATE INDEX campaign_manifest ON campaign(account, "                 \
                            "root_manifest_id);"                                                   \
                            "CREATE TABLE campaign_wave ("                                         \
                            "  campaign INTEGER NOT NULL REFERENCES campaign(id) ON DELETE "       \
                            "CASCADE,"                                                             \
                            "  seq INTEGER NOT NULL, kind INTEGER NOT NULL, amount INTEGER NOT "   \
                            "NULL,"                                                                \
                            "  success_mpct INTEGER NOT NULL, error_mpct INTEGER NOT NULL, "       \
                            "silent_mpct INTEGER NOT NULL,"                                        \
                            "  min_samples INTEGER NOT NULL, soak_s INTEGER NOT NULL, "            \
                            "gate_action INTEGER NOT NULL,"                                        \
                            "  status INTEGER NOT NULL, opened_at INTEGER NOT NULL, soak_until "   \
                            "INTEGER NOT NULL,"                                                    \
                            "  verdict TEXT NOT NULL, PRIMARY KEY (campaign, seq)"                 \
                            ") STRICT, WITHOUT ROWID;"                                             \
                            "CREATE TABLE campaign_device ("                                       \
                            "  id INTEGER PRIMARY KEY,"                                            \
                            "  account INTEGER NOT NULL,"                                          \
                            "  campaign INTEGER NOT NULL REFERENCES campaign(id) ON DELETE "       \
                            "CASCADE,"                                                             \
                            "  device INTEGER NOT NULL,"                                           \
                            "  component TEXT NOT NULL,"                                           \
                            "  version INTEGER NOT NULL,"                                          \
                            "  updated_at INTEGER NOT NULL" DB_CAMPAIGN_DEVICE_FIELDS(             \
                                DB_CAMPAIGN_COLUMN) ") STRICT;"                                    \
                                                    "CREATE UNIQUE INDEX campaign_device_of ON "   \
                                                    "campaign_device(campaign, device);"           \
                                                    "CREATE UNIQUE INDEX campaign_device_live ON " \
                                                    "campaign_device(device, component)"           \
                                                    "  WHERE live = 1;"                            \
                                                    "CREATE INDEX campaign_device_page ON "        \
                                                    "campaign_device(campaign, id);"               \
                                                    "CREATE INDEX campaign_device_status ON "      \
                                                    "campaign_device(campaign, status, wave);"     \
                                                    "CREATE INDEX campaign_device_code ON "        \
                                                    "campaign_device(campaign, bucket, code);"     \
                                                    "CREATE INDEX campaign_device_watch ON "       \
                                                    "campaign_device(campaign, id) WHERE watch = " \
                                                    "1;"                                           \
                                                    "CREATE INDEX campaign_device_other ON "       \
                                                    "campaign_device(device, component, status);"

#define DB_CAMPAIGN_SCHEMA_2                                                                       \
    "ALTER TABLE campaign ADD COLUMN window_zone TEXT NOT NULL DEFAULT '';"                        \
    "ALTER TABLE campaign ADD COLUMN bytes_per_s INTEGER NOT NULL DEFAULT 0;"                      \
    "ALTER TABLE campaign ADD COLUMN source_campaign INTEGER NOT NULL DEFAULT 0;"                  \
    "ALTER TABLE campaign ADD COLUMN source_buckets INTEGER NOT NULL DEFAULT 0;"                   \
    "ALTER TABLE campaign ADD COLUMN started_by INTEGER NOT NULL DEFAULT 0;"
