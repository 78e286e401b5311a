/* SPDX-License-Identifier: Apache-2.0 */
#include "rest/bodies.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/ids.h"
#include "base/text.h"
#include "rest/hub.h"

const char *const rest_device_fields[REST_DEVICE_FIELDS] = {
#define FIELD_NAME(symbol, type, member, kind) #member,
    DB_DEVICE_FIELDS(FIELD_NAME)
#undef FIELD_NAME
        "id",
    "account_id",
    "endpoint_name",
    "created_at",
    "updated_at",
    "etag",
    "lifecycle_status",
    "custom_attributes__",
};

#define ATTRIBUTE_MAX 128

/* ---- /v3/devices ---- */

static const struct text_field {
    const char *name;
    size_t offset; /* of a const char * in struct db_device */
    size_t max;    /* characters */
    uint64_t bit;
    bool update; /* may be changed later */
} text_fields[] = {
#define TEXT_FIELD(member, symbol, max, update)                                                    \
    {                                                                                              \
#member, offsetof(struct db_device, member), max, DB_DEVICE_BIT(symbol), update            \
    }
    TEXT_FIELD(name, NAME, 128, true),
    TEXT_FIELD(description, DESCRIPTION, 2000, true),
    TEXT_FIELD(device_key, DEVICE_KEY, 512, true),
    TEXT_FIELD(ca_id, CA_ID, 500, true),
    TEXT_FIELD(endpoint_type, ENDPOINT_TYPE, 64, true),
    TEXT_FIELD(host_gateway, HOST_GATEWAY, 64, true),
    TEXT_FIELD(device_class, DEVICE_CLASS, 36, false),
    TEXT_FIELD(vendor_id, VENDOR_ID, 255, false),
    TEXT_FIELD(serial_number, SERIAL_NUMBER, 64, false),
    TEXT_FIELD(issuer_fingerprint, ISSUER_FINGERPRINT, 64, false),
    TEXT_FIELD(manifest, MANIFEST, 2000, false),
    TEXT_FIELD(mechanism, MECHANISM, 16, false),
    TEXT_FIELD(mechanism_url, MECHANISM_URL, 2000, false),
    TEXT_FIELD(deployment, DEPLOYMENT, 128, false),
    TEXT_FIELD(bootstrap_expiration_date, BOOTSTRAP_EXPIRATION_DATE, 10, false),
    TEXT_FIELD(connector_expiration_date, CONNECTOR_EXPIRATION_DATE, 10, false),
#undef TEXT_FIELD
};

static void text_fields_read(const json_t *json, bool create, struct db_device *dev, uint64_t *mask,
                             struct rest_field_errors *errors)
{
    for (size_t i = 0; i < DR_ARRAY_LEN(text_fields); i++) {
        const struct text_field *f = &text_fields[i];
        if ((!create && !f->update) || json_object_get(json, f->name) == NULL) {
            continue;
        }
        const char *value = NULL;
        const struct rest_str_rule rule = {.max = f->max};
        if (rest_body_str(json, f->name, rule, true, &value, errors)) {
            memcpy((char *)dev + f->offset, &value, sizeof value);
            *mask |= f->bit;
        }
    }
}

static void date_check(const char *name, const char *text, struct rest_field_errors *errors)
{
    char whole[32];
    int64_t ms = 0;

    if (text == NULL || text[0] == '\0') {
        return;
    }
    (void)snprintf(whole, sizeof whole, "%sT00:00:00Z", text);
    if (strlen(text) != 10 || dr_time_parse(whole, strlen(whole), &ms) != DR_OK) {
        rest_field_error_add(errors, name, "must be YYYY-MM-DD");
    }
}

static bool attribute_valid(const char *key, const json_t *value, struct rest_field_errors *errors)
{
    if (!isalpha((unsigned char)key[0]) || strlen(key) > ATTRIBUTE_MAX) {
        rest_field_error_add(errors, "custom_attributes",
                             "a name must begin with a letter and have at most %d bytes",
                             ATTRIBUTE_MAX);
        return false;
    }
    if (!json_is_string(value) || json_string_length(value) > ATTRIBUTE_MAX) {
        rest_field_error_add(errors, "custom_attributes",
                             "a value must be a string of at most %d bytes", ATTRIBUTE_MAX);
        return false;
    }
    return true;
}

/* jansson's text of a tree, as a string of the arena; NULL without memory. */
static char *dump(const json_t *json, struct rest_arena *arena)
{
    char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
    char *copy = text == NULL ? NULL : rest_arena_strndup(arena, text, strlen(text));

    free(text);
    return copy;
}

static dr_err_t attributes_read(const json_t *json, struct rest_arena *arena, struct db_device *dev,
                                uint64_t *mask, struct rest_field_errors *errors)
{
    json_t *map = json_object_get(json, "custom_attributes");
    const char *key;
    json_t *value;

    if (map == NULL) {
        return DR_OK;
    }
    if (json_is_null(map)) {
        dev->custom_attributes = "{}";
        *mask |= DB_DEVICE_BIT(CUSTOM_ATTRIBUTES);
        return DR_OK;
    }
    if (!json_is_object(map) || json_object_size(map) > REST_ATTRIBUTES_MAX) {
        rest_field_error_add(errors, "custom_attributes", "must be an object of at most %d members",
                             REST_ATTRIBUTES_MAX);
        return DR_OK;
    }
    json_object_foreach(map, key, value)
    {
        if (!attribute_valid(key, value, errors)) {
            return DR_OK;
        }
    }
    dev->custom_attributes = dump(map, arena);
    *mask |= DB_DEVICE_BIT(CUSTOM_ATTRIBUTES);
    return dev->custom_attributes == NULL ? DR_ERR_NOMEM : DR_OK;
}

static void mode_read(const json_t *json, struct db_device *dev, uint64_t *mask,
                      struct rest_field_errors *errors)
{
    int64_t mode = 0;

    if (!json_object_get(json, "device_execution_mode") ||
        !rest_body_int(json, "device_execution_mode", 0, 5, &mode, errors)) {
        return;
    }
    if (mode != 0 && mode != 1 && mode != 5) {
        rest_field_error_add(errors, "device_execution_mode", "must be 0, 1 or 5");
        return;
    }
    dev->device_execution_mode = mode;
    *mask |= DB_DEVICE_BIT(DEVICE_EXECUTION_MODE);
}

dr_err_t rest_device_parse(const json_t *json, enum rest_device_use use, struct rest_arena *arena,
                           struct db_device *ret, uint64_t *mask, struct rest_field_errors *errors)
{
    dr_assert(json != NULL && arena != NULL && ret != NULL && mask != NULL && errors != NULL);
    struct db_device dev = {0};
    uint64_t set = 0;
    bool create = use == REST_DEVICE_CREATE;

    if (!json_is_object(json)) {
        return DR_ERR_PROTO;
    }
    text_fields_read(json, create, &dev, &set, errors);
    if (json_object_get(json, "auto_update") != NULL &&
        rest_body_bool(json, "auto_update", &dev.auto_update, errors)) {
        set |= DB_DEVICE_BIT(AUTO_UPDATE);
    }
    if (create) {
        const struct rest_str_rule rule = {.min = 1, .max = DEV_ENDPOINT_MAX, .printable = true};
        (void)rest_body_str(json, "endpoint_name", rule, true, &dev.endpoint_name, errors);
        mode_read(json, &dev, &set, errors);
        date_check("bootstrap_expiration_date", dev.bootstrap_expiration_date, errors);
        date_check("connector_expiration_date", dev.connector_expiration_date, errors);
    }
    dr_err_t err = attributes_read(json, arena, &dev, &set, errors);
    if (err != DR_OK || errors->count != 0) {
        return err != DR_OK ? err : DR_ERR_INVAL;
    }
    *ret = dev;
    *mask = set;
    return DR_OK;
}

/* ---- /v3/api-keys ---- */

static dr_err_t groups_read(const json_t *json, struct rest_arena *arena,
                            struct rest_apikey_body *body, struct rest_field_errors *errors)
{
    json_t *groups = json_object_get(json, "groups");
    size_t i;
    json_t *item;

    if (groups == NULL || json_is_null(groups)) {
        return DR_OK;
    }
    if (!json_is_array(groups) || json_array_size(groups) > 100) {
        rest_field_error_add(errors, "groups", "must be an array of at most 100 ids");
        return DR_OK;
    }
    json_array_foreach(groups, i, item)
    {
        if (!json_is_string(item) || json_string_length(item) > DR_ID_LEN) {
            rest_field_error_add(errors, "groups", "must be an array of ids");
            return DR_OK;
        }
    }
    body->groups = dump(groups, arena);
    return body->groups == NULL ? DR_ERR_NOMEM : DR_OK;
}

static void status_read(const json_t *json, struct rest_apikey_body *body,
                        struct rest_field_errors *errors)
{
    const char *status = NULL;
    const char *role = NULL;
    const struct rest_str_rule rule = {.max = 32};

    if (rest_body_str(json, "status", rule, true, &status, errors) && status != NULL) {
        body->has_active = true;
        body->active = strcmp(status, "ACTIVE") == 0;
        if (!body->active && strcmp(status, "INACTIVE") != 0) {
            rest_field_error_add(errors, "status", "must be ACTIVE or INACTIVE");
        }
    }
    if (rest_body_str(json, "role", rule, true, &role, errors) && role != NULL) {
        bool readonly = strcmp(role, "read-only") == 0;
        body->has_role = true;
        body->role = readonly ? DB_ROLE_READONLY : DB_ROLE_ADMIN;
        if (!readonly && strcmp(role, "administrator") != 0) {
            rest_field_error_add(errors, "role", "must be administrator or read-only");
        }
    }
}

dr_err_t rest_apikey_body_parse(const json_t *json, bool create, struct rest_arena *arena,
                                struct rest_apikey_body *ret, struct rest_field_errors *errors)
{
    dr_assert(json != NULL && arena != NULL && ret != NULL && errors != NULL);
    struct rest_apikey_body body = {0};
    const char *owner = NULL;

    if (!json_is_object(json)) {
        return DR_ERR_PROTO;
    }
    (void)rest_body_str(json, "name", (struct rest_str_rule){.min = 1, .max = 100}, false,
                        &body.name, errors);
    if (create && body.name == NULL && errors->count == 0) {
        rest_field_error_add(errors, "name", "is required");
    }
    if (rest_body_str(json, "owner", (struct rest_str_rule){.max = DR_ID_LEN}, true, &owner,
                      errors) &&
        owner != NULL && owner[0] != '\0' &&
        dr_id_parse(owner, strlen(owner), &body.owner) != DR_OK) {
        rest_field_error_add(errors, "owner", "must be an id");
    }
    status_read(json, &body, errors);
    dr_err_t err = groups_read(json, arena, &body, errors);
    if (err != DR_OK || errors->count != 0) {
        return err != DR_OK ? err : DR_ERR_INVAL;
    }
    *ret = body;
    return DR_OK;
}

/* ---- /v3/accounts/me ---- */

static const struct {
    const char *name;
    size_t max;
} account_texts[] = {
    {"address_line1", 100}, {"address_line2", 100}, {"city", 100},      {"company", 100},
    {"contact", 100},       {"country", 100},       {"email", 254},     {"phone_number", 100},
    {"postal_code", 100},   {"state", 100},         {"mfa_status", 16},
};

static const struct {
    const char *name;
    int64_t lo, hi;
} account_numbers[] = {
    {"expiration_warning_threshold", 1, 180},
    {"idle_timeout", 1, 120},
    {"password_recovery_expiration", 1, 45},
};

static bool copy_member(json_t *to, const json_t *from, const char *name)
{
    json_t *v = json_object_get(from, name);

    return v == NULL || json_object_set(to, name, v) == 0;
}

/* Members that are kept as they are, once their kind is right. */
static bool copy_container(json_t *to, const json_t *from, const char *name, bool array,
                           struct rest_field_errors *errors)
{
    const json_t *v = json_object_get(from, name);

    if (v != NULL && !json_is_null(v) && !(array ? json_is_array(v) : json_is_object(v))) {
        rest_field_error_add(errors, name, array ? "must be an array" : "must be an object");
        return true;
    }
    return copy_member(to, from, name);
}

dr_err_t rest_account_body_parse(const json_t *json, struct rest_arena *arena, json_t **ret_fields,
                                 const char **ret_name, const char **ret_market,
                                 struct rest_field_errors *errors)
{
    dr_assert(json != NULL && arena != NULL && ret_fields != NULL && errors != NULL);
    dr_assert(ret_name != NULL && ret_market != NULL);
    const char *name = NULL;
    const char *market = NULL;

    if (!json_is_object(json)) {
        return DR_ERR_PROTO;
    }
    json_t *fields = json_object();
    bool ok = fields != NULL;
    const char *ignored = NULL;
    for (size_t i = 0; ok && i < DR_ARRAY_LEN(account_texts); i++) {
        if (rest_body_str(json, account_texts[i].name,
                          (struct rest_str_rule){.max = account_texts[i].max}, true, &ignored,
                          errors)) {
            ok = copy_member(fields, json, account_texts[i].name);
        }
    }
    for (size_t i = 0; ok && i < DR_ARRAY_LEN(account_numbers); i++) {
        int64_t n = 0;
        if (json_is_null(json_object_get(json, account_numbers[i].name)) ||
            rest_body_int(json, account_numbers[i].name, account_numbers[i].lo,
                          account_numbers[i].hi, &n, errors)) {
            ok = copy_member(fields, json, account_numbers[i].name);
        }
    }
    ok = ok && copy_container(fields, json, "aliases", true, errors) &&
         copy_container(fields, json, "notification_emails", true, errors) &&
         copy_container(fields, json, "custom_fields", false, errors) &&
         copy_container(fields, json, "password_policy", false, errors);
    (void)rest_body_str(json, "display_name", (struct rest_str_rule){.max = 100}, true, &name,
                        errors);
    (void)rest_body_str(json, "end_market", (struct rest_str_rule){.max = 100}, true, &market,
                        errors);
    if (!ok || errors->count != 0) {
        json_decref(fields);
        return ok ? DR_ERR_INVAL : DR_ERR_NOMEM;
    }
    *ret_fields = fields;
    *ret_name = name;
    *ret_market = market;
    return DR_OK;
}

/* ---- /v2/notification/websocket ---- */

dr_err_t rest_serialization_parse(const json_t *json, struct rest_serialization *ret)
{
    static const struct {
        const char *name;
        unsigned option;
    } flags[] = {{"deregistrations_as_object", REST_OPTION_DEREG_OBJECT},
                 {"include_original_ep", REST_OPTION_ORIGINAL_EP},
                 {"include_timestamp", REST_OPTION_TIMESTAMP},
                 {"include_uid", REST_OPTION_UID}};
    dr_assert(json != NULL && ret != NULL);
    const json_t *s = json_object_get(json, "serialization");
    const json_t *cfg = json_object_get(s, "cfg");
    struct rest_field_errors errors = {0};
    struct rest_serialization r = {0};
    const char *type = "v2";
    int64_t chunk = 0;

    if (!json_is_object(json) || (s != NULL && !json_is_object(s) && !json_is_null(s)) ||
        !rest_body_str(s, "type", (struct rest_str_rule){.max = 8}, false, &type, &errors) ||
        strcmp(type, "v2") != 0 ||
        !rest_body_int(s, "max_chunk_size", 100, 10000, &chunk, &errors)) {
        return DR_ERR_PROTO;
    }
    for (size_t i = 0; i < DR_ARRAY_LEN(flags); i++) {
        bool on = false;
        if (!rest_body_bool(cfg, flags[i].name, &on, &errors)) {
            return DR_ERR_PROTO;
        }
        r.options |= on ? flags[i].option : 0;
    }
    r.max_chunk_size = (uint32_t)chunk;
    *ret = r;
    return DR_OK;
}

/* ---- /v2/device-requests ---- */

bool rest_async_id_valid(const char *text)
{
    size_t n = 0;

    for (; text != NULL && text[n] != '\0'; n++) {
        if (!isalnum((unsigned char)text[n]) && text[n] != '_' && text[n] != '-') {
            return false;
        }
    }
    return n >= 1 && n <= DEV_ASYNC_ID_MAX;
}

static bool method_read(const char *name, enum dev_method *ret)
{
    static const char *const names[] = {
        [DEV_GET] = "GET", [DEV_PUT] = "PUT", [DEV_POST] = "POST", [DEV_DELETE] = "DELETE"};

    for (unsigned i = 0; name != NULL && i < DR_ARRAY_LEN(names); i++) {
        if (strcasecmp(name, names[i]) == 0) {
            *ret = (enum dev_method)i;
            return true;
        }
    }
    return false;
}

dr_err_t rest_device_request_parse(const json_t *json, struct rest_arena *arena,
                                   struct rest_device_request *ret)
{
    dr_assert(json != NULL && arena != NULL && ret != NULL);
    struct rest_device_request r = {.content_type = "", .accept = ""};
    struct rest_field_errors errors = {0};
    const char *method = NULL;
    const char *payload = NULL;
    const struct rest_str_rule type_rule = {.max = DEV_CONTENT_MAX, .printable = true};
    const struct rest_str_rule path_rule = {.min = 1, .printable = true};

    if (!json_is_object(json) ||
        !rest_body_str(json, "method", (struct rest_str_rule){.max = 16}, false, &method,
                       &errors) ||
        !method_read(method, &r.method) ||
        !rest_body_str(json, "uri", path_rule, false, &r.uri, &errors) || r.uri == NULL ||
        !rest_body_str(json, "content-type", type_rule, true, &r.content_type, &errors) ||
        !rest_body_str(json, "accept", type_rule, true, &r.accept, &errors) ||
        !rest_body_str(json, "payload-b64", (struct rest_str_rule){0}, true, &payload, &errors)) {
        return DR_ERR_PROTO;
    }
    r.content_type = r.content_type == NULL ? "" : r.content_type;
    r.accept = r.accept == NULL ? "" : r.accept;
    if (strcspn(r.uri, "?") > DEV_PATH_MAX) {
        return DR_ERR_TOO_LARGE;
    }
    if (payload != NULL && payload[0] != '\0') {
        size_t len = strlen(payload);
        uint8_t *bytes = rest_arena_alloc(arena, len);
        size_t n = 0;
        if (bytes == NULL) {
            return DR_ERR_NOMEM;
        }
        if (dr_base64_decode(payload, len, bytes, len, &n) != DR_OK &&
            dr_base64url_decode(payload, len, bytes, len, &n) != DR_OK) {
            return DR_ERR_PROTO;
        }
        if (n > DEV_PAYLOAD_MAX) {
            return DR_ERR_TOO_LARGE;
        }
        r.payload = dr_bytes_of(bytes, n);
    }
    *ret = r;
    return DR_OK;
}

/* ---- /v2/subscriptions ---- */

static dr_err_t presub_read(const json_t *json, struct rest_arena *arena,
                            struct dev_presubscription *ret)
{
    struct rest_field_errors errors = {0};
    const struct rest_str_rule rule = {.max = 64};
    const json_t *paths = json_object_get(json, "resource-path");
    struct dev_presubscription p = {.endpoint = "", .endpoint_type = ""};

    if (!json_is_object(json) || (paths != NULL && !json_is_array(paths)) ||
        !rest_body_str(json, "endpoint-name", rule, true, &p.endpoint, &errors) ||
        !rest_body_str(json, "endpoint-type", rule, true, &p.endpoint_type, &errors)) {
        return DR_ERR_PROTO;
    }
    p.endpoint = p.endpoint == NULL ? "" : p.endpoint;
    p.endpoint_type = p.endpoint_type == NULL ? "" : p.endpoint_type;
    p.n_paths = json_array_size(paths);
    if (p.n_paths > DEV_PRESUBSCRIPTION_PATHS_MAX) {
        return DR_ERR_RANGE;
    }
    const char **texts = rest_arena_array(arena, p.n_paths, sizeof *texts);
    if (texts == NULL) {
        return DR_ERR_NOMEM;
    }
    for (size_t i = 0; i < p.n_paths; i++) {
        const json_t *item = json_array_get(paths, i);
        if (!json_is_string(item) || json_string_length(item) == 0) {
            return DR_ERR_PROTO;
        }
        if (json_string_length(item) > 128) {
            return DR_ERR_RANGE;
        }
        texts[i] = json_string_value(item);
    }
    p.paths = texts;
    *ret = p;
    return DR_OK;
}

dr_err_t rest_presubscriptions_parse(const json_t *json, struct rest_arena *arena,
                                     struct dev_presubscription **ret, size_t *ret_n)
{
    dr_assert(json != NULL && arena != NULL && ret != NULL && ret_n != NULL);
    size_t n = json_array_size(json);

    if (!json_is_array(json)) {
        return DR_ERR_PROTO;
    }
    if (n > DEV_PRESUBSCRIPTIONS_MAX) {
        return DR_ERR_RANGE;
    }
    struct dev_presubscription *list = rest_arena_array(arena, n, sizeof *list);
    if (list == NULL) {
        return DR_ERR_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        dr_err_t err = presub_read(json_array_get(json, i), arena, &list[i]);
        if (err != DR_OK) {
            return err;
        }
    }
    *ret = list;
    *ret_n = n;
    return DR_OK;
}

/* ---- /v2/device-shared-keys ---- */

dr_err_t rest_psk_parse(const json_t *json, struct rest_arena *arena, struct rest_psk_body *ret,
                        const char **ret_text)
{
    dr_assert(json != NULL && arena != NULL && ret != NULL && ret_text != NULL);
    struct rest_field_errors errors = {0};
    const struct rest_str_rule name_rule = {
        .min = 1, .max = REST_PSK_ENDPOINT_MAX, .printable = true};
    const struct rest_str_rule identity_rule = {.min = 1, .max = 128, .printable = true};
    struct rest_psk_body body = {0};
    const char *hex = NULL;

    if (!json_is_object(json)) {
        return DR_ERR_PROTO;
    }
    if (!rest_body_str(json, "endpoint_name", name_rule, false, &body.endpoint, &errors) ||
        body.endpoint == NULL) {
        *ret_text = "INVALID_ENDPOINT_NAME";
        return DR_ERR_INVAL;
    }
    body.identity = body.endpoint;
    if (!rest_body_str(json, "identity", identity_rule, false, &body.identity, &errors)) {
        *ret_text = "INVALID_IDENTITY";
        return DR_ERR_INVAL;
    }
    *ret_text = "INVALID_SECRET_HEX";
    if (!rest_body_str(json, "secret_hex", (struct rest_str_rule){0}, false, &hex, &errors) ||
        hex == NULL) {
        return DR_ERR_INVAL;
    }
    hex += hex[0] == '0' && (hex[1] == 'x' || hex[1] == 'X') ? 2 : 0;
    uint8_t *secret = rest_arena_alloc(arena, REST_PSK_SECRET_MAX);
    size_t len = 0;
    if (secret == NULL) {
        return DR_ERR_NOMEM;
    }
    if (dr_hex_decode(hex, strlen(hex), secret, REST_PSK_SECRET_MAX, &len) != DR_OK ||
        len < REST_PSK_SECRET_MIN) {
        return DR_ERR_INVAL;
    }
    body.secret = dr_bytes_of(secret, len);
    *ret = body;
    return DR_OK;
}

dr_err_t rest_psk_import_parse(const json_t *json, struct rest_arena *arena,
                               struct rest_psk_body **ret, size_t *ret_n, size_t *ret_at,
                               const char **ret_text)
{
    dr_assert(json != NULL && arena != NULL && ret != NULL && ret_n != NULL && ret_at != NULL);
    const json_t *array = json_is_object(json) ? json_object_get(json, "keys") : json;
    size_t n = json_array_size(array);

    if (!json_is_array(array)) {
        return DR_ERR_PROTO;
    }
    if (n == 0 || n > REST_PSK_IMPORT_MAX) {
        return DR_ERR_RANGE;
    }
    struct rest_psk_body *list = rest_arena_array(arena, n, sizeof *list);
    if (list == NULL) {
        return DR_ERR_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        dr_err_t err = rest_psk_parse(json_array_get(array, i), arena, &list[i], ret_text);
        if (err != DR_OK) {
            *ret_at = i;
            return err;
        }
    }
    *ret = list;
    *ret_n = n;
    return DR_OK;
}
