/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/fuzz/fuzz_rest_bodies.c
 * @brief Bodies to structs; the first byte picks the parser.
 */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "rest/apikey.h"
#include "rest/bodies.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void json_in(uint8_t pick, const json_t *json, struct rest_arena *arena)
{
    struct rest_field_errors errors = {0};
    const char *text = NULL;
    size_t n = 0;

    switch (pick % 7) {
    case 0:
    case 1: {
        struct db_device dev;
        uint64_t mask = 0;
        (void)!rest_device_parse(json, pick % 7 == 0 ? REST_DEVICE_CREATE : REST_DEVICE_UPDATE,
                                 arena, &dev, &mask, &errors);
        break;
    }
    case 2: {
        struct rest_apikey_body body;
        (void)!rest_apikey_body_parse(json, true, arena, &body, &errors);
        break;
    }
    case 3: {
        json_t *fields = NULL;
        const char *name = NULL;
        if (rest_account_body_parse(json, arena, &fields, &name, &text, &errors) == DR_OK) {
            json_decref(fields);
        }
        break;
    }
    case 4: {
        struct rest_device_request r;
        if (rest_device_request_parse(json, arena, &r) == DR_OK) {
            dr_assert(r.uri != NULL && r.payload.len <= DEV_PAYLOAD_MAX);
        }
        break;
    }
    case 5: {
        struct dev_presubscription *list = NULL;
        (void)!rest_presubscriptions_parse(json, arena, &list, &n);
        break;
    }
    default: {
        struct rest_psk_body *keys = NULL;
        size_t at = 0;
        if (rest_psk_import_parse(json, arena, &keys, &n, &at, &text) == DR_OK) {
            for (size_t i = 0; i < n; i++) {
                dr_assert(keys[i].secret.len >= REST_PSK_SECRET_MIN &&
                          keys[i].secret.len <= REST_PSK_SECRET_MAX);
            }
        }
        break;
    }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct rest_arena arena;
    json_t *json = NULL;

    if (len == 0) {
        return 0;
    }
    rest_arena_init(&arena, 4 << 20);
    if (rest_json_parse(dr_bytes_of(data + 1, len - 1), &json, NULL) == DR_OK) {
        json_in(data[0], json, &arena);
        json_decref(json);
    }
    /* the writer makes valid JSON of any bytes */
    struct dr_dynbuf out;
    dr_dynbuf_init(&out, 8 << 20);
    struct rest_json j = rest_json_of(&out);
    rest_json_array(&j, NULL);
    rest_json_bytes(&j, NULL, dr_bytes_of(data, len));
    rest_json_array_end(&j);
    if (dr_dynbuf_err(&out) == DR_OK) {
        dr_assert(dr_utf8_valid(out.p, out.len));
        json_t *back = json_loadb((const char *)out.p, out.len, JSON_ALLOW_NUL, NULL);
        dr_assert(back != NULL);
        json_decref(back);
    }
    dr_dynbuf_fini(&out);
    int64_t account = 0;
    int64_t id = 0;
    uint8_t hash[REST_APIKEY_HASH_LEN];
    (void)!rest_apikey_parse((const char *)data, len, &account, &id, hash);
    rest_arena_fini(&arena);
    return 0;
}
