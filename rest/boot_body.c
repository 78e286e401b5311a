/* SPDX-License-Identifier: Apache-2.0 */
/* Body of a bootstrap policy. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "devices/boot.h"
#include "lwm2m/bootstrap.h"
#include "lwm2m/codec.h"
#include "lwm2m/register.h"
#include "rest/bodies.h"

static const char *const scopes[] = {"account", "enrolled", "endpoint"};
static const char *const securities[] = {"auto", "psk", "x509", "est", "none"};
static const char *const resets[] = {"servers", "all", "none"};

const char *rest_boot_scope_name(enum db_boot_scope scope)
{
    return scopes[(unsigned)scope % DR_ARRAY_LEN(scopes)];
}

const char *rest_boot_security_name(enum db_boot_security security)
{
    return securities[(unsigned)security % DR_ARRAY_LEN(securities)];
}

const char *rest_boot_reset_name(enum db_boot_reset reset)
{
    return resets[(unsigned)reset % DR_ARRAY_LEN(resets)];
}

static void choice(const json_t *obj, const char *name, const char *const *words, size_t n,
                   unsigned *ret, struct rest_field_errors *errors)
{
    const char *text = NULL;

    if (!rest_body_str(obj, name, (struct rest_str_rule){.max = 32}, false, &text, errors) ||
        text == NULL) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (strcmp(words[i], text) == 0) {
            *ret = (unsigned)i;
            return;
        }
    }
    rest_field_error_add(errors, name, "'%.32s' is none of its values", text);
}

static void number(const json_t *obj, const char *name, int64_t lo, int64_t hi, int64_t *ret,
                   struct rest_field_errors *errors)
{
    (void)rest_body_int(obj, name, lo, hi, ret, errors);
}

/* Blanks and quotes have no place in what a device has to parse. */
static bool uri_valid(const char *uri)
{
    static const char *const schemes[] = {"coaps://", "coap://", "coaps+tcp://", "coap+tcp://"};
    bool known = false;

    for (size_t i = 0; i < DR_ARRAY_LEN(schemes); i++) {
        size_t len = strlen(schemes[i]);
        known = known || (strncmp(uri, schemes[i], len) == 0 && uri[len] != '\0');
    }
    for (const char *at = uri; *at != '\0'; at++) {
        known = known && isgraph((unsigned char)*at) && *at != '"' && *at != '<' && *at != '>';
    }
    return known;
}

static bool binding_valid(const char *binding)
{
    return binding[0] != '\0' && strspn(binding, "UTSNMHQ") == strlen(binding);
}

static dr_err_t object_check(void *data, const struct lwm2m_node *node)
{
    size_t *n = data;
    uint16_t object = node->path.id[0];

    if (node->path.depth < LWM2M_LEVEL_RESOURCE || node->value.type == LWM2M_TYPE_NONE) {
        return DR_ERR_INVAL;
    }
    if (object == LWM2M_OBJ_SECURITY || object == LWM2M_OBJ_SERVER || object == LWM2M_OBJ_OSCORE) {
        return DR_ERR_DENIED;
    }
    return ++*n > DEV_BOOT_OBJECTS_MAX ? DR_ERR_LIMIT : DR_OK;
}

/* Further resources: SenML JSON with full paths. */
static dr_err_t objects_parse(const json_t *obj, struct rest_arena *arena, const char **ret,
                              struct rest_field_errors *errors)
{
    const json_t *list = json_object_get(obj, "objects");
    const struct lwm2m_decode_opts opts = {.base = LWM2M_PATH_ROOT};
    size_t n = 0;

    if (list == NULL) {
        return DR_OK;
    }
    char *text = json_is_array(list) ? json_dumps(list, JSON_COMPACT) : NULL;
    if (text == NULL) {
        rest_field_error_add(errors, "objects", "an array of SenML records");
        return DR_OK;
    }
    size_t len = strlen(text);
    dr_err_t err = len > DEV_BOOT_OBJECTS_BYTES_MAX
                       ? DR_ERR_LIMIT
                       : lwm2m_decode(LWM2M_CT_SENML_JSON, &opts, text, len,
                                      (struct lwm2m_sink){object_check, &n});
    if (err == DR_ERR_NOMEM) {
        free(text);
        return err;
    }
    if (err == DR_ERR_LIMIT) {
        rest_field_error_add(errors, "objects", "at most %d resources in %d bytes",
                             DEV_BOOT_OBJECTS_MAX, DEV_BOOT_OBJECTS_BYTES_MAX);
    } else if (err == DR_ERR_DENIED) {
        rest_field_error_add(errors, "objects", "objects 0, 1 and 21 are written by the policy");
    } else if (err != DR_OK) {
        rest_field_error_add(errors, "objects",
                             "SenML records {\"n\": \"/3/0/14\", \"vs\": \"+01:00\"}");
    } else {
        *ret = rest_arena_strndup(arena, text, len);
    }
    free(text);
    return *ret == NULL ? DR_ERR_NOMEM : DR_OK;
}

static void texts_parse(const json_t *obj, struct db_boot_policy *p,
                        struct rest_field_errors *errors)
{
    const struct rest_str_rule uri = {.max = DEV_BOOT_URI_MAX, .printable = true};

    (void)rest_body_str(obj, "name", (struct rest_str_rule){.min = 1, .max = 100}, false, &p->name,
                        errors);
    (void)rest_body_str(obj, "endpoint_pattern", (struct rest_str_rule){.max = DEV_ENDPOINT_MAX},
                        false, &p->pattern, errors);
    if (rest_body_str(obj, "server_uri", uri, false, &p->server_uri, errors) &&
        p->server_uri[0] != '\0' && !uri_valid(p->server_uri)) {
        rest_field_error_add(errors, "server_uri", "a coaps or coap uri, or empty");
    }
    if (rest_body_str(obj, "binding", (struct rest_str_rule){.min = 1, .max = 8}, false,
                      &p->binding, errors) &&
        !binding_valid(p->binding)) {
        rest_field_error_add(errors, "binding", "letters of U, T, S, N, M, H and Q");
    }
}

static void numbers_parse(const json_t *obj, struct db_boot_policy *p,
                          struct rest_field_errors *errors)
{
    int64_t lifetime = p->lifetime_s, ssid = p->short_server_id, hold_off = p->hold_off_s,
            pmin = p->pmin_s, pmax = p->pmax_s;

    number(obj, "lifetime", 0, LWM2M_LIFETIME_MAX, &lifetime, errors);
    number(obj, "short_server_id", LWM2M_SSID_MIN, LWM2M_SSID_MAX, &ssid, errors);
    number(obj, "hold_off", -1, 86400, &hold_off, errors);
    number(obj, "min_period", -1, LWM2M_LIFETIME_MAX, &pmin, errors);
    number(obj, "max_period", -1, LWM2M_LIFETIME_MAX, &pmax, errors);
    p->lifetime_s = (uint32_t)lifetime;
    p->short_server_id = (uint16_t)ssid;
    p->hold_off_s = (int32_t)hold_off;
    p->pmin_s = (int32_t)pmin;
    p->pmax_s = (int32_t)pmax;
    (void)rest_body_bool(obj, "store_notifications", &p->store, errors);
    (void)rest_body_bool(obj, "verify", &p->verify, errors);
}

dr_err_t rest_boot_policy_parse(const json_t *json, bool create, struct rest_arena *arena,
                                struct db_boot_policy *p, struct rest_field_errors *errors)
{
    unsigned scope = p->scope, security = p->security, reset = p->reset;
    const char *pattern = p->pattern;

    dr_assert(arena != NULL && errors != NULL);
    if (!json_is_object(json)) {
        return DR_ERR_PROTO;
    }
    choice(json, "security", securities, DR_ARRAY_LEN(securities), &security, errors);
    choice(json, "reset", resets, DR_ARRAY_LEN(resets), &reset, errors);
    texts_parse(json, p, errors);
    numbers_parse(json, p, errors);
    if (create) {
        choice(json, "scope", scopes, DR_ARRAY_LEN(scopes), &scope, errors);
        if (json_object_get(json, "scope") == NULL && p->pattern[0] != '\0') {
            scope = DB_BOOT_SCOPE_ENDPOINT;
        }
        if ((scope == DB_BOOT_SCOPE_ENDPOINT) != (p->pattern[0] != '\0')) {
            rest_field_error_add(errors, "endpoint_pattern",
                                 "belongs to the scope 'endpoint', and only to it");
        }
    } else {
        p->pattern = pattern;
    }
    p->scope = (enum db_boot_scope)scope;
    p->security = (enum db_boot_security)security;
    p->reset = (enum db_boot_reset)reset;
    dr_err_t err = objects_parse(json, arena, &p->objects, errors);
    return err != DR_OK ? err : errors->count != 0 ? DR_ERR_INVAL : DR_OK;
}
