/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  db/device.h
 * @brief The device directory: the cold row of each device, lists, filters and counts.
 *
 * Layer: db.  Threads: in run functions (writer) or fn functions (reader).
 * Memory: borrowed as in db/account.h.  Limits: DB_TEXT_MAX, DB_BLOB_MAX.
 * Security: every function takes the account; a row of another is DR_ERR_NOT_FOUND.
 * Spec: Pelion Device Directory REST contract.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "db/filter.h"

struct db_writer;
struct db_reader;
struct db_event;

enum db_device_state {
    DB_DEVICE_UNENROLLED = 0,
    DB_DEVICE_CLOUD_ENROLLING = 1,
    DB_DEVICE_BOOTSTRAPPED = 2,
    DB_DEVICE_REGISTERED = 3,
    DB_DEVICE_DEREGISTERED = 4,
};

/** "registered" …; a constant, "" for no state. */
const char *db_device_state_name(enum db_device_state state);
/** @return false: no state has that name, @p ret is untouched */
bool db_device_state_parse(const char *name, enum db_device_state *ret);

/**
 * X(symbol, type of the member, member = name in the REST contract and column, kind).
 * Kinds: TEXT; UUID (hex digits, kept without dashes in lower case); JSON (an object of texts);
 * INT; BOOL; TIME (unix ms, 0 = none); STATE. In all of them "" and 0 stand for absent.
 */
#define DB_DEVICE_FIELDS(X)                                                                        \
    X(NAME, const char *, name, TEXT)                                                              \
    X(DESCRIPTION, const char *, description, TEXT)                                                \
    X(STATE, enum db_device_state, state, STATE)                                                   \
    X(ENDPOINT_TYPE, const char *, endpoint_type, TEXT)                                            \
    X(DEVICE_CLASS, const char *, device_class, UUID)                                              \
    X(VENDOR_ID, const char *, vendor_id, UUID)                                                    \
    X(SERIAL_NUMBER, const char *, serial_number, TEXT)                                            \
    X(DEVICE_KEY, const char *, device_key, TEXT)                                                  \
    X(CA_ID, const char *, ca_id, TEXT)                                                            \
    X(ISSUER_FINGERPRINT, const char *, issuer_fingerprint, TEXT)                                  \
    X(HOST_GATEWAY, const char *, host_gateway, TEXT)                                              \
    X(FIRMWARE_CHECKSUM, const char *, firmware_checksum, TEXT)                                    \
    X(MANIFEST, const char *, manifest, TEXT)                                                      \
    X(MANIFEST_TIMESTAMP, int64_t, manifest_timestamp, TIME)                                       \
    X(MECHANISM, const char *, mechanism, TEXT)                                                    \
    X(MECHANISM_URL, const char *, mechanism_url, TEXT)                                            \
    X(DEPLOYMENT, const char *, deployment, TEXT)                                                  \
    X(DEPLOYED_STATE, const char *, deployed_state, TEXT)                                          \
    X(NET_ID, const char *, net_id, TEXT)                                                          \
    X(DEVICE_EXECUTION_MODE, int64_t, device_execution_mode, INT)                                  \
    X(AUTO_UPDATE, bool, auto_update, BOOL)                                                        \
    X(CUSTOM_ATTRIBUTES, const char *, custom_attributes, JSON)                                    \
    X(COMPONENT_ATTRIBUTES, const char *, component_attributes, JSON)                              \
    X(BOOTSTRAP_EXPIRATION_DATE, const char *, bootstrap_expiration_date, TEXT)                    \
    X(CONNECTOR_EXPIRATION_DATE, const char *, connector_expiration_date, TEXT)                    \
    X(BOOTSTRAPPED_TIMESTAMP, int64_t, bootstrapped_timestamp, TIME)                               \
    X(ENROLMENT_LIST_TIMESTAMP, int64_t, enrolment_list_timestamp, TIME)                           \
    X(OPERATOR_SUSPENDED, bool, operator_suspended, BOOL)                                          \
    X(LAST_OPERATOR_SUSPENDED_CATEGORY, const char *, last_operator_suspended_category, TEXT)      \
    X(LAST_OPERATOR_SUSPENDED_DESCRIPTION, const char *, last_operator_suspended_description,      \
      TEXT)                                                                                        \
    X(LAST_OPERATOR_SUSPENDED_UPDATED_AT, int64_t, last_operator_suspended_updated_at, TIME)       \
    X(SYSTEM_SUSPENDED, bool, system_suspended, BOOL)                                              \
    X(LAST_SYSTEM_SUSPENDED_CATEGORY, const char *, last_system_suspended_category, TEXT)          \
    X(LAST_SYSTEM_SUSPENDED_DESCRIPTION, const char *, last_system_suspended_description, TEXT)    \
    X(LAST_SYSTEM_SUSPENDED_UPDATED_AT, int64_t, last_system_suspended_updated_at, TIME)

/** One a field, DB_DEVICE_F_NAME …: 1ULL << it is its bit in a mask. */
enum db_device_field {
#define DB_DEVICE_ENUM(symbol, type, member, kind) DB_DEVICE_F_##symbol,
    DB_DEVICE_FIELDS(DB_DEVICE_ENUM)
#undef DB_DEVICE_ENUM
        DB_DEVICE_F_COUNT
};
#define DB_DEVICE_BIT(symbol) (1ULL << DB_DEVICE_F_##symbol)

/** lifecycle_status is "blocked" while either kind of suspension holds, else "enabled". */
struct db_device {
    int64_t id;
    int64_t account;
    const char *endpoint_name; /**< unique in the account, fixed */
    int64_t created_at;        /**< unix ms, that of the id; ignored on insert */
    int64_t updated_at;        /**< unix ms; also the etag */
#define DB_DEVICE_MEMBER(symbol, type, member, kind) type member;
    DB_DEVICE_FIELDS(DB_DEVICE_MEMBER)
#undef DB_DEVICE_MEMBER
};

/** An error ends the list and is returned by it. */
typedef dr_err_t db_device_fn(void *data, const struct db_device *row);

/**
 * A row made by an operator. A NULL text means absent.
 * @param event  NULL, or what to append to the event log
 * @retval DR_ERR_EXISTS     the id, or the endpoint name in the account, is used
 * @retval DR_ERR_NOT_FOUND  no such account
 */
DR_CHECK dr_err_t db_device_insert(struct db_writer *w, const struct db_device *row,
                                   const struct db_event *event);
/**
 * Set the fields of @p mask, and updated_at, from @p row (which has id and account).
 * @param event  NULL, or what to append to the event log
 * @retval DR_ERR_NOT_FOUND
 */
DR_CHECK dr_err_t db_device_update(struct db_writer *w, const struct db_device *row, uint64_t mask,
                                   const struct db_event *event);
/** Row, registration, cache, subscriptions; events and requests stay.
 * @retval DR_ERR_NOT_FOUND */
DR_CHECK dr_err_t db_device_delete(struct db_writer *w, int64_t account, int64_t device);

/** @p fn once, its result is returned. @retval DR_ERR_NOT_FOUND */
DR_CHECK dr_err_t db_device_get(struct db_reader *r, int64_t account, int64_t device,
                                db_device_fn *fn, void *data);
/** @retval DR_ERR_NOT_FOUND */
DR_CHECK dr_err_t db_device_find(struct db_reader *r, int64_t account, const char *endpoint_name,
                                 db_device_fn *fn, void *data);

/**
 * One page by id. Fields: id, account_id, endpoint_name, created_at, updated_at, etag,
 * lifecycle_status ("enabled", "blocked"), those of DB_DEVICE_FIELDS except maps, and
 * custom_attributes__NAME. Every operator goes with every field, but LIKE only with texts.
 * @retval DR_ERR_INVAL  unknown field, operator or value; @p reterr (may be NULL) names the field
 * @retval DR_ERR_LIMIT  too many conditions or values
 */
DR_CHECK dr_err_t db_device_list(struct db_reader *r, const struct db_query *query,
                                 db_device_fn *fn, void *data, struct dr_errinfo *reterr);
/**
 * How many rows the conditions have, paging aside. Without conditions, or with one EQ on state,
 * endpoint_type, device_class or vendor_id, from counters; anything else counts rows (time grows
 * with the directory, so keep the answer for a while).
 */
DR_CHECK dr_err_t db_device_count(struct db_reader *r, const struct db_query *query, int64_t *ret,
                                  struct dr_errinfo *reterr);
/** Ids only, for campaigns: as db_device_list(), but @p limit may be any. */
typedef dr_err_t db_device_id_fn(void *data, int64_t device);
DR_CHECK dr_err_t db_device_ids(struct db_reader *r, const struct db_query *query,
                                db_device_id_fn *fn, void *data, struct dr_errinfo *reterr);
