/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables. Each step brings a database from version i to i + 1 and is never edited after a
 * release; a change is a new step.
 *
 * Shape follows the writes: `device` is the cold directory row with its indexes, `registration` the
 * narrow row that a Register rewrites. Absent text is '' and absent numbers are 0, so that no
 * comparison meets NULL. Indexes on text that is mostly absent are partial.
 *
 * created_at of devices, events and keys, and date_time of events, are not stored: they are the
 * time inside the id, so a range of them is a range of ids and a page in id order needs no sort.
 */
#include <stdio.h>

#include "db/bootstrap_schema.h"
#include "db/campaign_schema.h"
#include "db/cert_schema.h"
#include "db/db_priv.h"
#include "db/firmware_schema.h"

static const char step1[] =
    "CREATE TABLE account ("
    "  id INTEGER PRIMARY KEY,"
    "  parent INTEGER NOT NULL,"
    "  display_name TEXT NOT NULL,"
    "  status TEXT NOT NULL,"
    "  tier TEXT NOT NULL,"
    "  end_market TEXT NOT NULL,"
    "  fields TEXT NOT NULL,"
    "  updated_at INTEGER NOT NULL"
    ") STRICT;"

    "CREATE TABLE apikey ("
    "  id INTEGER PRIMARY KEY,"
    "  account INTEGER NOT NULL REFERENCES account(id),"
    "  owner INTEGER NOT NULL,"
    "  name TEXT NOT NULL,"
    "  secret_hash BLOB NOT NULL,"
    "  role INTEGER NOT NULL,"
    "  active INTEGER NOT NULL,"
    "  groups TEXT NOT NULL,"
    "  updated_at INTEGER NOT NULL,"
    "  last_login_at INTEGER NOT NULL"
    ") STRICT;"
    "CREATE INDEX apikey_account ON apikey(account);"

    "CREATE TABLE setting ("
    "  account INTEGER NOT NULL,"
    "  name TEXT NOT NULL,"
    "  value TEXT NOT NULL,"
    "  PRIMARY KEY (account, name)"
    ") STRICT, WITHOUT ROWID;"

    "CREATE TABLE psk ("
    "  id INTEGER PRIMARY KEY,"
    "  account INTEGER NOT NULL REFERENCES account(id),"
    "  use INTEGER NOT NULL,"
    "  identity BLOB NOT NULL UNIQUE,"
    "  endpoint_name TEXT NOT NULL,"
    "  key BLOB NOT NULL,"
    "  version INTEGER NOT NULL,"
    "  created_at INTEGER NOT NULL,"
    "  UNIQUE (account, endpoint_name, use)"
    ") STRICT;"
    "CREATE INDEX psk_account ON psk(account, use);"

    /* The columns that lists look at most come first: a row is read from the left. */
    "CREATE TABLE device ("
    "  id INTEGER PRIMARY KEY,"
    "  account INTEGER NOT NULL REFERENCES account(id),"
    "  endpoint_name TEXT NOT NULL,"
    "  state INTEGER NOT NULL,"
    "  updated_at INTEGER NOT NULL,"
    "  operator_suspended INTEGER NOT NULL DEFAULT 0,"
    "  system_suspended INTEGER NOT NULL DEFAULT 0,"
    "  endpoint_type TEXT NOT NULL DEFAULT '',"
    "  device_class TEXT NOT NULL DEFAULT '',"
    "  vendor_id TEXT NOT NULL DEFAULT '',"
    "  device_execution_mode INTEGER NOT NULL DEFAULT 0,"
    "  name TEXT NOT NULL DEFAULT '',"
    "  description TEXT NOT NULL DEFAULT '',"
    "  serial_number TEXT NOT NULL DEFAULT '',"
    "  device_key TEXT NOT NULL DEFAULT '',"
    "  ca_id TEXT NOT NULL DEFAULT '',"
    "  issuer_fingerprint TEXT NOT NULL DEFAULT '',"
    "  host_gateway TEXT NOT NULL DEFAULT '',"
    "  firmware_checksum TEXT NOT NULL DEFAULT '',"
    "  manifest TEXT NOT NULL DEFAULT '',"
    "  manifest_timestamp INTEGER NOT NULL DEFAULT 0,"
    "  mechanism TEXT NOT NULL DEFAULT '',"
    "  mechanism_url TEXT NOT NULL DEFAULT '',"
    "  deployment TEXT NOT NULL DEFAULT '',"
    "  deployed_state TEXT NOT NULL DEFAULT '',"
    "  net_id TEXT NOT NULL DEFAULT '',"
    "  auto_update INTEGER NOT NULL DEFAULT 0,"
    "  custom_attributes TEXT NOT NULL DEFAULT '{}',"
    "  component_attributes TEXT NOT NULL DEFAULT '{}',"
    "  bootstrap_expiration_date TEXT NOT NULL DEFAULT '',"
    "  connector_expiration_date TEXT NOT NULL DEFAULT '',"
    "  bootstrapped_timestamp INTEGER NOT NULL DEFAULT 0,"
    "  enrolment_list_timestamp INTEGER NOT NULL DEFAULT 0,"
    "  last_operator_suspended_category TEXT NOT NULL DEFAULT '',"
    "  last_operator_suspended_description TEXT NOT NULL DEFAULT '',"
    "  last_operator_suspended_updated_at INTEGER NOT NULL DEFAULT 0,"
    "  last_system_suspended_category TEXT NOT NULL DEFAULT '',"
    "  last_system_suspended_description TEXT NOT NULL DEFAULT '',"
    "  last_system_suspended_updated_at INTEGER NOT NULL DEFAULT 0"
    ") STRICT;"
    "CREATE UNIQUE INDEX device_endpoint ON device(account, endpoint_name);"
    "CREATE INDEX device_account ON device(account);"
    "CREATE INDEX device_state ON device(account, state);"
    "CREATE INDEX device_updated ON device(account, updated_at);"
    "CREATE INDEX device_type ON device(account, endpoint_type) WHERE endpoint_type <> '';"
    "CREATE INDEX device_class ON device(account, device_class) WHERE device_class <> '';"
    "CREATE INDEX device_vendor ON device(account, vendor_id) WHERE vendor_id <> '';"
    "CREATE INDEX device_name ON device(account, name) WHERE name <> '';"
    "CREATE INDEX device_serial ON device(account, serial_number) WHERE serial_number <> '';"
    "CREATE INDEX device_devkey ON device(account, device_key) WHERE device_key <> '';"
    "CREATE INDEX device_gateway ON device(account, host_gateway) WHERE host_gateway <> '';"

    "CREATE TABLE registration ("
    "  device INTEGER PRIMARY KEY REFERENCES device(id) ON DELETE CASCADE,"
    "  registered INTEGER NOT NULL,"
    "  generation INTEGER NOT NULL,"
    "  last_seen INTEGER NOT NULL,"
    "  expires_at INTEGER NOT NULL,"
    "  lifetime_s INTEGER NOT NULL,"
    "  registered_at INTEGER NOT NULL,"
    "  version INTEGER NOT NULL,"
    "  binding TEXT NOT NULL,"
    "  queue_mode INTEGER NOT NULL,"
    "  address TEXT NOT NULL,"
    "  credential INTEGER NOT NULL,"
    "  credential_version INTEGER NOT NULL,"
    "  links BLOB NOT NULL"
    ") STRICT;"
    "CREATE INDEX registration_expiry ON registration(expires_at) WHERE registered = 1;"

    "CREATE TABLE event ("
    "  account INTEGER NOT NULL,"
    "  id INTEGER NOT NULL,"
    "  device INTEGER NOT NULL,"
    "  state_change INTEGER NOT NULL,"
    "  event_type TEXT NOT NULL,"
    "  event_type_category TEXT NOT NULL,"
    "  event_type_description TEXT NOT NULL,"
    "  description TEXT NOT NULL,"
    "  changes TEXT NOT NULL,"
    "  data TEXT NOT NULL,"
    "  PRIMARY KEY (account, id)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX event_device ON event(account, device);"

    "CREATE TABLE request ("
    "  id INTEGER PRIMARY KEY,"
    "  account INTEGER NOT NULL,"
    "  device INTEGER NOT NULL,"
    "  key INTEGER NOT NULL,"
    "  async_id TEXT NOT NULL,"
    "  state INTEGER NOT NULL,"
    "  retry_left INTEGER NOT NULL,"
    "  method INTEGER NOT NULL,"
    "  uri TEXT NOT NULL,"
    "  content_type TEXT NOT NULL,"
    "  accept TEXT NOT NULL,"
    "  payload BLOB NOT NULL,"
    "  created_at INTEGER NOT NULL,"
    "  expires_at INTEGER NOT NULL,"
    "  status INTEGER NOT NULL DEFAULT 0,"
    "  result_type TEXT NOT NULL DEFAULT '',"
    "  result BLOB NOT NULL DEFAULT x'',"
    "  max_age_s INTEGER NOT NULL DEFAULT 0,"
    "  error TEXT NOT NULL DEFAULT '',"
    "  done_at INTEGER NOT NULL DEFAULT 0"
    ") STRICT;"
    "CREATE INDEX request_device ON request(device) WHERE state < 2;"
    "CREATE UNIQUE INDEX request_async ON request(key, async_id) WHERE state < 2;"
    "CREATE INDEX request_done ON request(done_at) WHERE state = 2;"

    "CREATE TABLE subscription ("
    "  device INTEGER NOT NULL REFERENCES device(id) ON DELETE CASCADE,"
    "  path TEXT NOT NULL,"
    "  key INTEGER NOT NULL,"
    "  presub INTEGER NOT NULL,"
    "  created_at INTEGER NOT NULL,"
    "  PRIMARY KEY (device, path, key)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX subscription_key ON subscription(key);"

    "CREATE TABLE presubscription ("
    "  account INTEGER NOT NULL REFERENCES account(id),"
    "  key INTEGER NOT NULL,"
    "  ord INTEGER NOT NULL,"
    "  json TEXT NOT NULL,"
    "  PRIMARY KEY (account, key, ord)"
    ") STRICT, WITHOUT ROWID;"

    "CREATE TABLE cache ("
    "  device INTEGER PRIMARY KEY REFERENCES device(id) ON DELETE CASCADE,"
    "  generation INTEGER NOT NULL,"
    "  updated_at INTEGER NOT NULL,"
    "  blob BLOB NOT NULL"
    ") STRICT;"

    "CREATE TABLE counter ("
    "  account INTEGER NOT NULL,"
    "  facet INTEGER NOT NULL,"
    "  value TEXT NOT NULL,"
    "  n INTEGER NOT NULL,"
    "  PRIMARY KEY (account, facet, value)"
    ") STRICT, WITHOUT ROWID;";

static const char step2[] = DB_CAMPAIGN_SCHEMA;
static const char step3[] = DB_FIRMWARE_SCHEMA;
static const char step4[] = DB_BOOTSTRAP_SCHEMA;

/* Observations that a Pelion client makes by itself. */
static const char step_standing[] =
    "ALTER TABLE registration ADD COLUMN standing BLOB NOT NULL DEFAULT x'';";
static const char step_certs[] = DB_CERT_SCHEMA;
static const char step_campaign_2[] = DB_CAMPAIGN_SCHEMA_2;
static const char *const steps[] = {step1,         step2,      step3,          step4,
                                    step_standing, step_certs, step_campaign_2};

#define SCHEMA_VERSION ((int64_t)DR_ARRAY_LEN(steps))

static dr_err_t apply(struct db_reader *c, int64_t from)
{
    char sql[96];
    dr_err_t err = conn_exec(c, "BEGIN IMMEDIATE");

    for (int64_t i = from; i < SCHEMA_VERSION && err == DR_OK; i++) {
        err = conn_exec(c, steps[i]);
    }
    if (err == DR_OK) {
        (void)snprintf(sql, sizeof(sql), "PRAGMA user_version = %lld; PRAGMA application_id = %d",
                       (long long)SCHEMA_VERSION, DB_APPLICATION_ID);
        err = conn_exec(c, sql);
    }
    if (err == DR_OK) {
        err = conn_exec(c, "COMMIT");
    }
    if (err != DR_OK && sqlite3_get_autocommit(c->h) == 0) {
        (void)sqlite3_exec(c->h, "ROLLBACK", NULL, NULL, NULL);
    }
    return err;
}

dr_err_t db_schema_migrate(struct db_reader *c, bool check_only, struct dr_errinfo *reterr)
{
    int64_t version = 0, app = 0, tables = 0;
    dr_err_t err = conn_int(c, "PRAGMA user_version", &version);

    if (err == DR_OK) {
        err = conn_int(c, "PRAGMA application_id", &app);
    }
    if (err == DR_OK) {
        err = conn_int(c, "SELECT count(*) FROM sqlite_schema", &tables);
    }
    if (err != DR_OK) {
        dr_errinfo_set(reterr, DB_FILE, 0, "%s", sqlite3_errmsg(c->h));
        return err;
    }
    if (app != DB_APPLICATION_ID && (tables != 0 || version != 0)) {
        dr_errinfo_set(reterr, DB_FILE, 0, "the file is a database of another program");
        return DR_ERR_CORRUPT;
    }
    if (version > SCHEMA_VERSION) {
        dr_errinfo_set(reterr, DB_FILE, 0,
                       "the database has version %lld, made by a newer program; this one knows up "
                       "to %lld",
                       (long long)version, (long long)SCHEMA_VERSION);
        return DR_ERR_VERSION;
    }
    if (version == SCHEMA_VERSION) {
        return DR_OK;
    }
    if (check_only) {
        dr_errinfo_set(
            reterr, DB_FILE, 0,
            "the database has the old version %lld; start the server once to bring it to "
            "%lld",
            (long long)version, (long long)SCHEMA_VERSION);
        return DR_ERR_VERSION;
    }
    err = apply(c, version);
    if (err != DR_OK) {
        dr_errinfo_set(reterr, DB_FILE, 0,
                       "cannot bring the database from version %lld to %lld: %s",
                       (long long)version, (long long)SCHEMA_VERSION, dr_err_str(err));
    }
    return err;
}
