/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/integ/rest/test_v3.c
 * @brief Keys, devices, events, account, pre-shared keys, backup and health over HTTP with a real
 * database.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <check.h>

#include "base/loop.h"
#include "tests/integ/rest/fixture.h"

START_TEST(health_and_metrics_need_no_key)
{
    ck_assert_int_eq(fx_call(NULL, "GET", "/healthz", NULL), 200);
    ck_assert(fx_has("\"status\":\"ok\""));
    ck_assert_int_eq(fx_call(NULL, "GET", "/readyz", NULL), 200);
    ck_assert_int_eq(fx_call(NULL, "GET", "/metrics", NULL), 404); /* not on this address */
    ck_assert(
        client_call(fx_loop, rest_metrics_address(fx_rest), "GET", "/metrics", "", NULL, fx_reply));
    ck_assert_int_eq(fx_reply->status, 200);
    ck_assert(fx_has("# TYPE drover_rest_channels gauge"));
    ck_assert(fx_has("drover_http_requests_total{class=\"4xx\"} "));
    ck_assert(fx_has("drover_http_request_seconds_count"));
}
END_TEST

START_TEST(keys_are_needed_and_checked)
{
    char wrong[128];

    ck_assert_int_eq(fx_call(NULL, "GET", "/v3/devices", NULL), 401);
    ck_assert(fx_has("\"type\":\"invalid_apikey\""));
    ck_assert_int_eq(fx_call("ak_1short", "GET", "/v3/devices", NULL), 401);
    for (size_t at = 0; at < strlen(fx_admin); at += 10) {
        (void)snprintf(wrong, sizeof wrong, "%s", fx_admin);
        wrong[at] = wrong[at] == 'b' ? 'c' : 'b';
        ck_assert_int_eq(fx_call(wrong, "GET", "/v3/devices", NULL), 401);
    }
    for (int i = 0; i < 2; i++) { /* from the database, then from memory */
        ck_assert_int_eq(fx_call(fx_admin, "GET", "/v3/devices", NULL), 200);
        ck_assert_int_eq(fx_call(fx_reader, "GET", "/v3/devices", NULL), 200);
        ck_assert_int_eq(fx_call(fx_reader, "POST", "/v3/devices", "{}"), 403);
        ck_assert(fx_has("access_denied"));
    }
    ck_assert_int_eq(fx_call("x", "GET", "/v2/endpoints/1", NULL), 401);
    ck_assert_str_eq(fx_reply->body, "UNAUTHORIZED");
}
END_TEST

START_TEST(a_key_lives_from_its_creation_to_its_end)
{
    char key[128], id[40], path[200];

    ck_assert_int_eq(fx_call(fx_admin, "POST", "/v3/api-keys", "{\"name\":\"k1\"}"), 201);
    ck_assert(fx_has("\"object\":\"api-key\""));
    (void)snprintf(key, sizeof key, "%s", fx_str("key"));
    (void)snprintf(id, sizeof id, "%s", fx_str("id"));
    ck_assert_uint_eq(strlen(key), 111);
    ck_assert_int_eq(fx_call(key, "GET", "/v3/api-keys/me", NULL), 200);
    ck_assert_str_eq(fx_str("id"), id);
    ck_assert_uint_eq(strlen(fx_str("key")), 79);
    ck_assert_int_eq(strncmp(fx_str("key"), key, 79), 0);
    (void)snprintf(path, sizeof path, "/v3/api-keys?key__eq=%s", key);
    ck_assert_int_eq(fx_call(fx_admin, "GET", path, NULL), 200);
    ck_assert(fx_has("\"total_count\":1"));
    ck_assert_str_eq(fx_str("id"), id);
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v3/api-keys/", NULL), 200);
    ck_assert(fx_has("\"total_count\":3"));
    ck_assert(!fx_has(key));
    (void)snprintf(path, sizeof path, "/v3/api-keys/%s", id);
    ck_assert_int_eq(fx_call(fx_admin, "PUT", path, "{\"status\":\"INACTIVE\"}"), 200);
    ck_assert_int_eq(fx_call(key, "GET", "/v3/devices", NULL), 401);
    ck_assert_int_eq(fx_call(fx_admin, "PUT", path, "{\"status\":\"ACTIVE\",\"name\":\"k2\"}"),
                     200);
    ck_assert_str_eq(fx_str("name"), "k2");
    ck_assert_int_eq(fx_call(key, "GET", "/v3/devices", NULL), 200);
    ck_assert_int_eq(fx_call(fx_foreign, "DELETE", path, NULL), 404);
    ck_assert_int_eq(fx_call(fx_admin, "DELETE", path, NULL), 204);
    ck_assert_int_eq(fx_call(key, "GET", "/v3/devices", NULL), 401);
    ck_assert_int_eq(fx_call(fx_admin, "GET", path, NULL), 404);
}
END_TEST

START_TEST(a_new_secret_replaces_the_old_one)
{
    char key[128], fresh[128], path[80];

    ck_assert_int_eq(
        fx_call(fx_admin, "POST", "/v3/api-keys", "{\"name\":\"k\",\"role\":\"read-only\"}"), 201);
    (void)snprintf(key, sizeof key, "%s", fx_str("key"));
    (void)snprintf(path, sizeof path, "/v3/api-keys/%s/reset-secret", fx_str("id"));
    ck_assert_int_eq(fx_call(key, "GET", "/v3/devices", NULL), 200);
    ck_assert_int_eq(fx_call(key, "POST", "/v3/devices", "{}"), 403);
    ck_assert_int_eq(fx_call(fx_admin, "POST", path, NULL), 200);
    (void)snprintf(fresh, sizeof fresh, "%s", fx_str("key"));
    ck_assert_str_ne(fresh, key);
    ck_assert_int_eq(fx_call(key, "GET", "/v3/devices", NULL), 401);
    ck_assert_int_eq(fx_call(fresh, "GET", "/v3/devices", NULL), 200);
}
END_TEST

START_TEST(bodies_are_checked)
{
    static const struct {
        const char *method, *target, *body, *field;
    } cases[] = {
        {"POST", "/v3/api-keys", "{}", "name"},
        {"POST", "/v3/api-keys", "{\"name\":7}", "name"},
        {"POST", "/v3/api-keys", "{\"name\":\"x\",\"status\":\"GONE\"}", "status"},
        {"POST", "/v3/api-keys", "{\"name\":\"x\",\"groups\":{}}", "groups"},
        {"POST", "/v3/devices", "{\"device_execution_mode\":3}", "device_execution_mode"},
        {"POST", "/v3/devices", "{\"custom_attributes\":{\"1a\":\"x\"}}", "custom_attributes"},
        {"POST", "/v3/devices",
         "{\"custom_attributes\":{\"a\":\"\",\"b\":\"\",\"c\":\"\",\"d\":\"\",\"e\":\"\",\"f\":"
         "\"\"}}",
         "custom_attributes"},
        {"POST", "/v3/devices", "{\"bootstrap_expiration_date\":\"tomorrow\"}",
         "bootstrap_expiration_date"},
    };
    static const char *const malformed[] = {
        "", "{", "[1", "{\"a\":1,\"a\":2}", "\xff", "{\"a\":\"\xc0\xaf\"}", "{} x"};
    for (size_t i = 0; i < DR_ARRAY_LEN(cases); i++) {
        ck_assert_int_eq(fx_call(fx_admin, cases[i].method, cases[i].target, cases[i].body), 400);
        ck_assert_str_eq(fx_str("type"), "validation_error");
        char name[80];
        (void)snprintf(name, sizeof name, "\"name\":\"%s\"", cases[i].field);
        ck_assert_msg(fx_has(name), "%s: %s", cases[i].body, fx_reply->body);
    }
    for (size_t i = 0; i < DR_ARRAY_LEN(malformed); i++) {
        ck_assert_msg(fx_call(fx_admin, "POST", "/v3/devices", malformed[i]) == 400, "%s",
                      malformed[i]);
    }
}
END_TEST

START_TEST(a_device_is_made_changed_found_and_deleted)
{
    char id[40], path[80];

    ck_assert_int_eq(fx_call(fx_admin, "POST", "/v3/devices/",
                             "{\"endpoint_name\":\"node-1\",\"name\":\"first\",\"device_key\":"
                             "\"aa:bb\",\"ca_id\":\"1\",\"unknown\":[1],"
                             "\"custom_attributes\":{\"site\":\"a+b\"},\"vendor_id\":"
                             "\"00112233-4455-6677-8899-AABBCCDDEEFF\"}"),
                     201);
    ck_assert(fx_has("\"object\":\"device\""));
    ck_assert(fx_has("\"state\":\"unenrolled\""));
    ck_assert(fx_has("\"device_execution_mode\":0"));
    ck_assert(fx_has("\"custom_attributes\":{\"site\":\"a+b\"}"));
    ck_assert(fx_has("\"mechanism\":\"connector\""));
    ck_assert(fx_has("\"bootstrapped_timestamp\":null"));
    (void)snprintf(id, sizeof id, "%s", fx_str("id"));
    ck_assert_uint_eq(strlen(id), 32);
    ck_assert_uint_eq(strlen(fx_str("created_at")), 27);
    ck_assert_int_eq(fx_call(fx_admin, "POST", "/v3/devices", "{\"endpoint_name\":\"node-1\"}"),
                     409);
    ck_assert_str_eq(fx_str("type"), "duplicate");
    (void)snprintf(path, sizeof path, "/v3/devices/%s/", id);
    ck_assert_int_eq(fx_call(fx_reader, "GET", path, NULL), 200);
    ck_assert_int_eq(fx_call(fx_foreign, "GET", path, NULL), 404);
    ck_assert_int_eq(fx_call(fx_foreign, "PUT", path, "{\"name\":\"mine\"}"), 404);
    ck_assert_int_eq(
        fx_call(fx_admin, "PUT", path,
                "{\"name\":\"second\",\"state\":\"registered\",\"endpoint_name\":\"x\"}"),
        200);
    ck_assert_str_eq(fx_str("name"), "second");
    ck_assert_str_eq(fx_str("endpoint_name"), "node-1");
    ck_assert(fx_has("\"custom_attributes\":{\"site\":\"a+b\"}"));
    ck_assert_int_eq(fx_call(fx_admin, "PUT", path, "{\"custom_attributes\":{}}"), 200);
    ck_assert(fx_has("\"custom_attributes\":{}"));
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v3/device-events", NULL), 200);
    ck_assert(fx_has("update.device.device-created") && fx_has("\"total_count\":3"));
    char event[80];
    (void)snprintf(event, sizeof event, "/v3/devicelog/%s", fx_str("id"));
    ck_assert_int_eq(fx_call(fx_admin, "GET", event, NULL), 200);
    ck_assert_str_eq(fx_str("device_id"), id);
    ck_assert_int_eq(fx_call(fx_foreign, "GET", event, NULL), 404);
    ck_assert_int_eq(fx_call(fx_admin, "DELETE", path, NULL), 204);
    ck_assert_uint_eq(fx_reply->body_len, 0);
    ck_assert_int_eq(fx_call(fx_admin, "GET", path, NULL), 404);
    ck_assert_int_eq(fx_call(fx_admin, "DELETE", path, NULL), 404);
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v3/devices/zz", NULL), 404);
}
END_TEST

static void make_devices(int n)
{
    for (int i = 0; i < n; i++) {
        char body[256];
        (void)snprintf(body, sizeof body,
                       "{\"endpoint_name\":\"d-%02d\",\"endpoint_type\":\"%s\","
                       "\"custom_attributes\":{\"site\":\"%s\"},\"device_class\":"
                       "\"aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeee%02d\"}",
                       i, i % 2 == 0 ? "even" : "odd", i % 3 == 0 ? "a+b" : "other", i);
        ck_assert_int_eq(fx_call(fx_admin, "POST", "/v3/devices", body), 201);
    }
}

static int count_of(const char *text)
{
    int n = 0;

    for (const char *p = strstr(fx_reply->body, text); p != NULL; p = strstr(p + 1, text)) {
        n++;
    }
    return n;
}

START_TEST(lists_are_walked_page_by_page)
{
    char path[200], after[40] = "";
    int seen = 0;

    make_devices(7);
    for (int page = 0; page < 10; page++) {
        (void)snprintf(path, sizeof path, "/v3/devices/?limit=3%s%s", after[0] ? "&after=" : "",
                       after);
        ck_assert_int_eq(fx_call(fx_admin, "GET", path, NULL), 200);
        seen += count_of("\"object\":\"device\"");
        ck_assert(fx_has("\"total_count\":7"));
        ck_assert(fx_has("\"limit\":3"));
        const char *last = NULL;
        for (const char *p = strstr(fx_reply->body, "\"id\":\""); p != NULL;
             p = strstr(p + 1, "\"id\":\"")) {
            last = p + 6;
        }
        ck_assert_ptr_nonnull(last);
        (void)snprintf(after, sizeof after, "%.32s", last);
        if (fx_has("\"has_more\":false")) {
            break;
        }
    }
    ck_assert_int_eq(seen, 7);
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v3/devices?limit=1", NULL), 200);
    ck_assert(fx_has("\"limit\":2") && fx_has("\"total_count\":7") && fx_has("\"has_more\":true"));
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v3/devices?limit=99999&order=desc", NULL), 200);
    ck_assert(fx_has("\"limit\":1000") && fx_has("\"order\":\"DESC\""));
    ck_assert_str_eq(fx_str("endpoint_name"), "d-06");
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v3/devices?after=nonsense", NULL), 400);
}
END_TEST

START_TEST(filters_select_as_clients_write_them)
{
    static const struct {
        const char *query;
        int status, rows;
    } cases[] = {
        {"", 200, 6},
        {"filter=", 200, 6},
        {"endpoint_type=even", 200, 3},
        {"endpoint_type__eq=even&endpoint_type__neq=even", 200, 3},
        {"endpoint_type__neq=even", 200, 3},
        {"endpoint_name__in=d-00%2Cd-01", 200, 2},
        {"endpoint_name__nin=d-00,d-01", 200, 4},
        {"filter=state%3Dunenrolled%26endpoint_type__eq%3Dodd", 200, 3},
        /* Python's double encoding, JavaScript's single one */
        {"filter=custom_attributes__site%3Da%252Bb", 200, 2},
        {"custom_attributes__site__eq=a%2Bb", 200, 2},
        {"custom_attributes__site__neq=a%2Bb", 200, 4},
        {"filter=created_at__gte%3D2024-01-01T00%253A00%253A00Z", 200, 6},
        {"filter=created_at__gte%3D2024-01-01T00%3A00%3A00.000Z", 200, 6},
        {"created_at__lte=20161130T162512Z", 200, 0},
        /* the manifest tool does not encode */
        {"filter=device_class__eq=aaaaaaaabbbbccccddddeeeeeeeeee01&endpoint_type__eq=odd", 200, 1},
        {"limit=50&order=ASC&include=a,%20b&properties=&x=1&a__b=2", 200, 6},
        {"name__like=x", 200, 0},
        {"nothing__eq=1", 400, 0},
        {"state__foo=1", 400, 0},
        {"filter=nothing%3D1", 400, 0},
        {"created_at__gte=yesterday", 400, 0},
        {"state=flying", 400, 0},
    };
    make_devices(6);
    for (size_t i = 0; i < DR_ARRAY_LEN(cases); i++) {
        char path[300];
        (void)snprintf(path, sizeof path, "/v3/devices?%s", cases[i].query);
        int status = fx_call(fx_admin, "GET", path, NULL);
        ck_assert_msg(status == cases[i].status, "%s gave %d: %s", cases[i].query, status,
                      fx_reply->body);
        if (status == 200) {
            char total[40];
            int rows = count_of("\"object\":\"device\"");
            ck_assert_msg(rows == cases[i].rows, "%s gave %d rows", cases[i].query, rows);
            (void)snprintf(total, sizeof total, "\"total_count\":%d", cases[i].rows);
            ck_assert_msg(fx_has(total), "%s", cases[i].query);
        } else {
            ck_assert_str_eq(fx_str("type"), "validation_error");
        }
    }
}
END_TEST

START_TEST(the_account_keeps_what_is_put)
{
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v3/accounts/me?include=limits%2C+policies", NULL),
                     200);
    ck_assert(fx_has("\"object\":\"account\"") && fx_has("\"city\":null"));
    ck_assert_int_eq(fx_call(fx_admin, "PUT", "/v3/accounts/me",
                             "{\"city\":\"Oulu\",\"display_name\":\"D\",\"idle_timeout\":30}"),
                     200);
    ck_assert_int_eq(fx_call(fx_admin, "PUT", "/v3/accounts/me", "{\"country\":\"Finland\"}"), 200);
    ck_assert_str_eq(fx_str("city"), "Oulu");
    ck_assert_str_eq(fx_str("country"), "Finland");
    ck_assert_str_eq(fx_str("display_name"), "D");
    ck_assert(fx_has("\"idle_timeout\":30"));
    ck_assert_int_eq(fx_call(fx_admin, "PUT", "/v3/accounts/me", "{\"idle_timeout\":0}"), 400);
    ck_assert_int_eq(fx_call(fx_reader, "PUT", "/v3/accounts/me", "{}"), 403);
}
END_TEST

START_TEST(shared_keys_go_in_and_never_come_out)
{
    const char *one = "{\"endpoint_name\":\"node-1\",\"secret_hex\":"
                      "\"0x4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a4a\"}";

    ck_assert_int_eq(fx_call(fx_admin, "POST", "/v2/device-shared-keys", one), 201);
    ck_assert_uint_eq(fx_reply->body_len, 0);
    ck_assert_int_eq(fx_call(fx_admin, "POST", "/v2/device-shared-keys", one), 409);
    ck_assert_str_eq(fx_reply->body, "KEY_ALREADY_EXISTS_FOR_ENDPOINT");
    ck_assert_int_eq(fx_call(fx_admin, "POST", "/v2/device-shared-keys",
                             "{\"endpoint_name\":\"\",\"secret_hex\":\"00\"}"),
                     400);
    ck_assert_str_eq(fx_reply->body, "INVALID_ENDPOINT_NAME");
    ck_assert_int_eq(fx_call(fx_admin, "POST", "/v2/device-shared-keys",
                             "{\"endpoint_name\":\"n\",\"secret_hex\":\"00\"}"),
                     400);
    ck_assert_str_eq(fx_reply->body, "INVALID_SECRET_HEX");
    ck_assert_int_eq(fx_call(fx_admin, "POST", "/v2/device-shared-keys", "{"), 400);
    ck_assert_str_eq(fx_reply->body, "MALFORMED_JSON_CONTENT");
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v2/device-shared-keys/node-1", NULL), 200);
    ck_assert_str_eq(fx_str("endpoint_name"), "node-1");
    ck_assert(!fx_has("4a4a") && !fx_has("secret"));
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v2/device-shared-keys", NULL), 200);
    ck_assert(!fx_has("total_count") && fx_has("\"has_more\":false") && !fx_has("4a4a"));
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v2/device-shared-keys?after=x", NULL), 400);
    ck_assert_str_eq(fx_reply->body, "TOKEN_NOT_FOUND");
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v2/device-shared-keys?limit=x", NULL), 400);
    ck_assert_str_eq(fx_reply->body, "INVALID_LIMIT");
    ck_assert_int_eq(fx_call(fx_foreign, "GET", "/v2/device-shared-keys/node-1", NULL), 404);
    ck_assert_int_eq(fx_call(fx_admin, "DELETE", "/v2/device-shared-keys/node-1", NULL), 204);
    ck_assert_int_eq(fake.credentials, 1);
    ck_assert_str_eq(fake.identity, "node-1");
    ck_assert_int_eq(fx_call(fx_admin, "DELETE", "/v2/device-shared-keys/node-1", NULL), 204);
    ck_assert_int_eq(fake.credentials, 1);
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v2/device-shared-keys/node-1", NULL), 404);
}
END_TEST

static char *import_body(int n, int from)
{
    size_t cap = (size_t)n * 128 + 64;
    char *body = malloc(cap);
    size_t len = (size_t)snprintf(body, cap, "{\"keys\":[");

    for (int i = 0; i < n; i++) {
        len += (size_t)snprintf(body + len, cap - len,
                                "%s{\"endpoint_name\":\"bulk-%06d\",\"identity\":\"id-%06d\","
                                "\"secret_hex\":\"%032x\"}",
                                i == 0 ? "" : ",", from + i, from + i, i);
    }
    (void)snprintf(body + len, cap - len, "]}");
    return body;
}

START_TEST(keys_are_imported_all_or_none)
{
    char *body = import_body(10000, 0);
    ck_assert_int_eq(fx_call(fx_admin, "POST", "/v3/drover/psk-imports", body), 201);
    ck_assert(fx_has("\"imported\":10000"));
    free(body);
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v2/device-shared-keys?limit=1000", NULL), 200);
    ck_assert_int_eq(count_of("endpoint_name"), 1000);
    char path[120];
    (void)snprintf(path, sizeof path, "/v2/device-shared-keys?limit=1000&after=%s",
                   fx_str("continuation_marker"));
    ck_assert_int_eq(fx_call(fx_admin, "GET", path, NULL), 200);
    ck_assert_str_eq(fx_str("endpoint_name"), "bulk-001000");
    body = import_body(10, 9995); /* the first five are there */
    ck_assert_int_eq(fx_call(fx_admin, "POST", "/v3/drover/psk-imports", body), 409);
    free(body);
    ck_assert(fx_has("keys[0]"));
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v2/device-shared-keys/bulk-010001", NULL), 404);
    body = import_body(10001, 20000);
    ck_assert_int_eq(fx_call(fx_admin, "POST", "/v3/drover/psk-imports", body), 400);
    free(body);
    ck_assert_int_eq(fx_call(fx_admin, "POST", "/v2/device-shared-keys",
                             "[{\"endpoint_name\":\"p\",\"secret_hex\":"
                             "\"00000000000000000000000000000001\"},{\"endpoint_name\":\"q\","
                             "\"secret_hex\":\"1\"}]"),
                     400);
    ck_assert_str_eq(fx_reply->body, "INVALID_SECRET_HEX");
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v2/device-shared-keys/p", NULL), 404);
}
END_TEST

START_TEST(a_backup_is_a_database)
{
    ck_assert_int_eq(fx_call(fx_reader, "GET", "/v3/drover/backup", NULL), 403);
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v3/drover/backup", NULL), 200);
    ck_assert_uint_ge(fx_reply->body_len, 4096);
    ck_assert_int_eq(memcmp(fx_reply->body, "SQLite format 3", 16), 0);
    char path[100];
    (void)snprintf(path, sizeof path, "ls %s | grep -c tmp >/dev/null", fx_dir);
    ck_assert_int_ne(system(path), 0); /* nothing is left behind */
}
END_TEST

START_TEST(accounts_do_not_see_each_other)
{
    make_devices(3);
    ck_assert_int_eq(fx_call(fx_foreign, "GET", "/v3/devices", NULL), 200);
    ck_assert(fx_has("\"total_count\":0") && fx_has("\"data\":[]"));
    ck_assert_int_eq(fx_call(fx_foreign, "GET", "/v3/device-events", NULL), 200);
    ck_assert(fx_has("\"total_count\":0"));
    ck_assert_int_eq(fx_call(fx_foreign, "GET", "/v3/api-keys", NULL), 200);
    ck_assert(fx_has("\"total_count\":1"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("rest v3");
    TCase *tc = tcase_create("services");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, fx_setup, fx_teardown);
    tcase_add_test(tc, health_and_metrics_need_no_key);
    tcase_add_test(tc, keys_are_needed_and_checked);
    tcase_add_test(tc, a_key_lives_from_its_creation_to_its_end);
    tcase_add_test(tc, a_new_secret_replaces_the_old_one);
    tcase_add_test(tc, bodies_are_checked);
    tcase_add_test(tc, a_device_is_made_changed_found_and_deleted);
    tcase_add_test(tc, lists_are_walked_page_by_page);
    tcase_add_test(tc, filters_select_as_clients_write_them);
    tcase_add_test(tc, the_account_keeps_what_is_put);
    tcase_add_test(tc, shared_keys_go_in_and_never_come_out);
    tcase_add_test(tc, keys_are_imported_all_or_none);
    tcase_add_test(tc, a_backup_is_a_database);
    tcase_add_test(tc, accounts_do_not_see_each_other);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed;
}
