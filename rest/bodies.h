/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  rest/bodies.h
 * @brief Request bodies to plain structs, one function each.
 *
 * Layer: rest, pure.  Threads: reentrant.  Memory: results borrow the JSON tree and the arena.
 * Limits: those of each field.  Security: bodies are hostile and never asserted on.
 * Spec: Pelion REST contract.
 *
 * Unknown members are ignored, as clients send back what they have got.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "db/account.h"
#include "db/bootstrap.h"
#include "db/device.h"
#include "devices/dev.h"
#include "rest/arena.h"
#include "rest/json.h"

/* ---- /v3/devices ---- */

/** Fields of devices that filters may name. */
#define REST_DEVICE_FIELDS (DB_DEVICE_F_COUNT + 8)
extern const char *const rest_device_fields[REST_DEVICE_FIELDS];

enum rest_device_use { REST_DEVICE_CREATE, REST_DEVICE_UPDATE };

#define REST_ATTRIBUTES_MAX 5

/**
 * @param ret   fields that the body has (endpoint_name only when creating)
 * @param mask  DB_DEVICE_BIT() of each of them
 * @retval DR_ERR_INVAL  see @p errors
 * @retval DR_ERR_PROTO  not an object
 * @retval DR_ERR_NOMEM
 */
DR_CHECK dr_err_t rest_device_parse(const json_t *json, enum rest_device_use use,
                                    struct rest_arena *arena, struct db_device *ret, uint64_t *mask,
                                    struct rest_field_errors *errors);

/* ---- /v3/api-keys ---- */

struct rest_apikey_body {
    const char *name;   /**< NULL = absent */
    const char *groups; /**< JSON array of texts, NULL = absent */
    bool has_active, active;
    bool has_role;
    enum db_role role;
    int64_t owner; /**< 0 = absent */
};

/** @param create  `name` is required */
DR_CHECK dr_err_t rest_apikey_body_parse(const json_t *json, bool create, struct rest_arena *arena,
                                         struct rest_apikey_body *ret,
                                         struct rest_field_errors *errors);

/* ---- /v3/accounts/me ---- */

/**
 * @param ret_fields  JSON object of what may be put, checked; absent members are absent
 * @param ret_name    display_name, NULL = absent
 * @param ret_market  end_market, NULL = absent
 */
DR_CHECK dr_err_t rest_account_body_parse(const json_t *json, struct rest_arena *arena,
                                          json_t **ret_fields, const char **ret_name,
                                          const char **ret_market,
                                          struct rest_field_errors *errors);

/* ---- /v2/notification/websocket ---- */

struct rest_serialization {
    uint32_t max_chunk_size; /**< 0 = absent */
    unsigned options;        /**< REST_OPTION_* */
};

/** Numbers and truths may be strings. @retval DR_ERR_PROTO  malformed or out of range */
DR_CHECK dr_err_t rest_serialization_parse(const json_t *json, struct rest_serialization *ret);

/* ---- /v2/device-requests ---- */

/** A payload of DEV_PAYLOAD_MAX in base64 and the rest of the body. */
#define REST_DEVICE_REQUEST_BODY_MAX (DEV_PAYLOAD_MAX / 3 * 4 + 16384)

struct rest_device_request {
    enum dev_method method;
    const char *uri;
    const char *content_type; /**< "" when absent */
    const char *accept;       /**< "" when absent */
    struct dr_bytes payload;
};

/** 1 to 40 of letters, digits, `_` and `-`; NULL is not. */
bool rest_async_id_valid(const char *text);

/** @retval DR_ERR_PROTO  malformed. @retval DR_ERR_TOO_LARGE  payload or path */
DR_CHECK dr_err_t rest_device_request_parse(const json_t *json, struct rest_arena *arena,
                                            struct rest_device_request *ret);

/* ---- /v2/subscriptions ---- */

/** An array of pre-subscriptions. @retval DR_ERR_PROTO, DR_ERR_RANGE, DR_ERR_NOMEM */
DR_CHECK dr_err_t rest_presubscriptions_parse(const json_t *json, struct rest_arena *arena,
                                              struct dev_presubscription **ret, size_t *ret_n);

/* ---- /v2/device-shared-keys ---- */

#define REST_PSK_ENDPOINT_MAX 64
#define REST_PSK_SECRET_MIN   16
#define REST_PSK_SECRET_MAX   32
#define REST_PSK_IMPORT_MAX   10000

struct rest_psk_body {
    const char *endpoint;
    const char *identity; /**< the endpoint name when absent */
    struct dr_bytes secret;
};

/**
 * @param ret_text  why not: "INVALID_ENDPOINT_NAME" …; a constant, set on DR_ERR_INVAL
 * @retval DR_ERR_INVAL, DR_ERR_PROTO, DR_ERR_NOMEM
 */
DR_CHECK dr_err_t rest_psk_parse(const json_t *json, struct rest_arena *arena,
                                 struct rest_psk_body *ret, const char **ret_text);

/**
 * An array of keys, or an object with the array `keys`.
 * @param ret_at  index of the refused entry, with DR_ERR_INVAL
 * @retval DR_ERR_RANGE  none, or more than REST_PSK_IMPORT_MAX
 * and as rest_psk_parse().
 */
DR_CHECK dr_err_t rest_psk_import_parse(const json_t *json, struct rest_arena *arena,
                                        struct rest_psk_body **ret, size_t *ret_n, size_t *ret_at,
                                        const char **ret_text);

/* ---- /v3/drover/bootstrap-policies ---- */

const char *rest_boot_scope_name(enum db_boot_scope scope);
const char *rest_boot_security_name(enum db_boot_security security);
const char *rest_boot_reset_name(enum db_boot_reset reset);

/**
 * Change @p p by what the body has.
 * @param create  scope and pattern count too; else they stay
 * @retval DR_ERR_INVAL  see @p errors
 * @retval DR_ERR_PROTO  not an object
 * @retval DR_ERR_NOMEM
 */
DR_CHECK dr_err_t rest_boot_policy_parse(const json_t *json, bool create, struct rest_arena *arena,
                                         struct db_boot_policy *p,
                                         struct rest_field_errors *errors);
