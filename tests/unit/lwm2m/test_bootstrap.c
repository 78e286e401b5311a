/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/unit/lwm2m/test_bootstrap.c
 * @brief What a Discover answer tells, where accounts go, and what is written.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lwm2m/bootstrap.h"
#include "tests/unit/run.h"

#define DEFAULT_SSID 101

/* spec: LWM2M-1.2-CORE#6.1.7.3 */
static const struct {
    const char *why, *text;
    dr_err_t err;
    uint8_t major, minor, n_security, n_server;
    unsigned servers;
    int free, keep,
        server_keep; /* instance for ours: emptied, beside others; of /1 beside others */
    bool access, oscore;
} cases[] = {
    {"a fresh device", "</>;lwm2m=1.1,</0/0>,</1>,</3/0>", DR_OK, 1, 1, 1, 0, 0, 1, 1, 0, false,
     false},
    {"quotes", "</>;lwm2m=\"1.2\",</0/5>", DR_OK, 1, 2, 1, 0, 0, 0, 0, 0, false, false},
    {"old form", "lwm2m=1.0,</0/0>", DR_OK, 1, 0, 1, 0, 0, 1, 1, 0, false, false},
    {"no version", "</0/0>", DR_OK, 0, 0, 1, 0, 0, 1, 1, 0, false, false},
    {"nothing", "", DR_OK, 0, 0, 0, 0, 0, 0, 0, 0, false, false},
    {"ours and the bootstrap account", "</0/0>;ssid=101,</0/1>,</1/4>;ssid=101", DR_OK, 0, 0, 2, 1,
     1, 0, 0, 4, false, false},
    {"another's", "</0/0>;ssid=7,</0/1>,</1/0>;ssid=7", DR_OK, 0, 0, 2, 1, 1, 0, 2, 1, false,
     false},
    {"a ssid without sense is none", "</0/0>;ssid=x,</0/1>;ssid=65535,</0/2>;ssid=", DR_OK, 0, 0, 3,
     0, 0, 3, 3, 0, false, false},
    {"other objects", "</2/0>,</21/3>,</0/0>,</3303/1>,</x/y>,<coap://a>", DR_OK, 0, 0, 1, 0, 0, 1,
     1, 0, true, true},
    {"one instance twice", "</0/0>,</0/0>;ssid=3", DR_OK, 0, 0, 1, 0, 1, 0, 1, 0, false, false},
    {"not link format", "</0/0", DR_ERR_PROTO, 0, 0, 0, 0, 0, 0, 0, 0, false, false},
    {"an open quote", "</0/0>;uri=\"a", DR_ERR_PROTO, 0, 0, 0, 0, 0, 0, 0, 0, false, false},
};

START_TEST(answers_to_discover)
{
    struct lwm2m_boot_found f = {0}, zero = {0};
    uint16_t id = 99;

    ck_assert_msg(lwm2m_boot_discover_read(cases[_i].text, strlen(cases[_i].text), &f) ==
                      cases[_i].err,
                  "%s", cases[_i].why);
    if (cases[_i].err != DR_OK) {
        ck_assert_mem_eq(&f, &zero, sizeof f);
        return;
    }
    ck_assert_uint_eq(f.version.major, cases[_i].major);
    ck_assert_uint_eq(f.version.minor, cases[_i].minor);
    ck_assert_uint_eq(f.n_security, cases[_i].n_security);
    ck_assert_uint_eq(f.n_server, cases[_i].n_server);
    ck_assert_uint_eq(lwm2m_boot_found_servers(&f), cases[_i].servers);
    ck_assert(f.has_access == cases[_i].access && f.has_oscore == cases[_i].oscore);
    ck_assert_int_eq(lwm2m_boot_security_id(&f, DEFAULT_SSID, false, &id), DR_OK);
    ck_assert_msg(id == cases[_i].free, "%s: %u", cases[_i].why, id);
    ck_assert_int_eq(lwm2m_boot_security_id(&f, DEFAULT_SSID, true, &id), DR_OK);
    ck_assert_msg(id == cases[_i].keep, "%s: %u", cases[_i].why, id);
    ck_assert_int_eq(lwm2m_boot_server_id(&f, DEFAULT_SSID, true, &id), DR_OK);
    ck_assert_msg(id == cases[_i].server_keep, "%s: %u", cases[_i].why, id);
    ck_assert_int_eq(lwm2m_boot_server_id(&f, DEFAULT_SSID, false, &id), DR_OK);
    ck_assert_uint_eq(id, 0);
}
END_TEST

START_TEST(too_many_instances_and_too_long_an_answer)
{
    static char text[LWM2M_BOOT_DISCOVER_MAX + 2];
    struct lwm2m_boot_found f = {0};
    size_t len = 0;
    uint16_t id;

    for (int i = 0; i < LWM2M_BOOT_INSTANCES_MAX; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, "%s</0/%d>", i == 0 ? "" : ",", i);
    }
    ck_assert_int_eq(lwm2m_boot_discover_read(text, len, &f), DR_OK);
    ck_assert(!f.more);
    ck_assert_int_eq(lwm2m_boot_security_id(&f, 1, false, &id), DR_OK);
    ck_assert_uint_eq(id, LWM2M_BOOT_INSTANCES_MAX);
    ck_assert_int_eq(lwm2m_boot_discover_read("</0/100>", 8, &f), DR_OK);
    ck_assert(f.more);
    ck_assert_int_eq(lwm2m_boot_security_id(&f, 1, false, &id), DR_ERR_LIMIT);
    memset(text, ' ', sizeof text);
    ck_assert_int_eq(lwm2m_boot_discover_read(text, LWM2M_BOOT_DISCOVER_MAX, &f), DR_OK);
    ck_assert_int_eq(lwm2m_boot_discover_read(text, LWM2M_BOOT_DISCOVER_MAX + 1, &f),
                     DR_ERR_TOO_LARGE);
}
END_TEST

START_TEST(accounts_of_a_pack_request)
{
    struct lwm2m_boot_found f = {0};

    lwm2m_boot_accounts_read(LWM2M_STR("0,2,,x,70000,7,2"), &f);
    ck_assert_uint_eq(f.n_security, 3);
    ck_assert_uint_eq(f.security[0].id, 0);
    ck_assert_uint_eq(f.security[1].id, 2);
    ck_assert_uint_eq(f.security[2].id, 7);
}
END_TEST

/* spec: LWM2M-1.2-CORE#6.1.7.1 */
START_TEST(formats_best_first)
{
    static const struct {
        uint16_t pct;
        uint8_t major, minor;
        size_t n;
        uint16_t want[LWM2M_BOOT_FORMATS_MAX];
    } rows[] = {
        {LWM2M_CT_NONE, 0, 0, 3, {LWM2M_CT_TLV, LWM2M_CT_SENML_CBOR, LWM2M_CT_SENML_JSON}},
        {LWM2M_CT_NONE, 1, 0, 3, {LWM2M_CT_TLV, LWM2M_CT_SENML_CBOR, LWM2M_CT_SENML_JSON}},
        {LWM2M_CT_NONE, 1, 1, 3, {LWM2M_CT_SENML_CBOR, LWM2M_CT_TLV, LWM2M_CT_SENML_JSON}},
        {LWM2M_CT_NONE,
         1,
         2,
         4,
         {LWM2M_CT_SENML_CBOR, LWM2M_CT_TLV, LWM2M_CT_SENML_JSON, LWM2M_CT_CBOR_MAP}},
        {LWM2M_CT_SENML_JSON, 1, 1, 3, {LWM2M_CT_SENML_JSON, LWM2M_CT_SENML_CBOR, LWM2M_CT_TLV}},
        {LWM2M_CT_CBOR_MAP,
         1,
         1,
         4,
         {LWM2M_CT_CBOR_MAP, LWM2M_CT_SENML_CBOR, LWM2M_CT_TLV, LWM2M_CT_SENML_JSON}},
    };

    for (size_t i = 0; i < DR_ARRAY_LEN(rows); i++) {
        uint16_t got[LWM2M_BOOT_FORMATS_MAX] = {0};
        ck_assert_uint_eq(
            lwm2m_boot_formats(rows[i].pct, LWM2M_VERSION(rows[i].major, rows[i].minor), got),
            rows[i].n);
        ck_assert_mem_eq(got, rows[i].want, rows[i].n * sizeof got[0]);
    }
}
END_TEST

static const struct lwm2m_value *value(const struct lwm2m_nodes *nodes, uint16_t o, uint16_t r)
{
    const struct lwm2m_path path = LWM2M_PATH(o, 2, r);
    const struct lwm2m_node *node = lwm2m_nodes_find(nodes, &path);

    return node == NULL ? NULL : &node->value;
}

START_TEST(content_of_an_account)
{
    const struct lwm2m_bytes id = {(const uint8_t *)"id", 2}, key = {(const uint8_t *)"key", 3};
    struct lwm2m_boot_security sec = {.uri = "coaps://a",
                                      .mode = LWM2M_SECURITY_PSK,
                                      .identity = id,
                                      .secret = key,
                                      .ssid = 5,
                                      .hold_off_s = 9,
                                      .certificate_usage = 2};
    struct lwm2m_nodes nodes;

    lwm2m_nodes_init(&nodes, 0, 0);
    ck_assert_int_eq(lwm2m_boot_security_add(&sec, 2, &nodes), DR_OK);
    ck_assert_uint_eq(nodes.count, 9);
    for (size_t i = 1; i < nodes.count; i++) {
        ck_assert_int_lt(lwm2m_path_cmp(&nodes.items[i - 1].path, &nodes.items[i].path), 0);
    }
    ck_assert_uint_eq(value(&nodes, 0, 4)->bytes.len, 0);
    ck_assert_int_eq(value(&nodes, 0, 10)->i, 5);
    lwm2m_nodes_clear(&nodes);

    sec.pelion = true; /* its client takes the ids it knows and no other */
    ck_assert_int_eq(lwm2m_boot_security_add(&sec, 2, &nodes), DR_OK);
    ck_assert_ptr_null(value(&nodes, 0, 11));
    ck_assert_ptr_null(value(&nodes, 0, 15));
    lwm2m_nodes_clear(&nodes);

    sec.mode = LWM2M_SECURITY_EST; /* the device makes its key */
    ck_assert_int_eq(lwm2m_boot_security_add(&sec, 2, &nodes), DR_OK);
    ck_assert_ptr_null(value(&nodes, 0, 3));
    ck_assert_ptr_null(value(&nodes, 0, 5));
    lwm2m_nodes_fini(&nodes);
}
END_TEST

START_TEST(what_is_read_back)
{
    struct lwm2m_boot_server server = {
        .ssid = 5, .lifetime_s = 60, .pmin_s = -1, .pmax_s = 7, .binding = "U"};
    struct lwm2m_boot_server other = server;
    struct lwm2m_nodes nodes;

    lwm2m_nodes_init(&nodes, 0, 0);
    ck_assert(lwm2m_boot_server_holds(&nodes, 2, &server)); /* nothing is shown */
    ck_assert_int_eq(lwm2m_boot_server_add(&server, 2, &nodes), DR_OK);
    ck_assert_uint_eq(nodes.count, 5);
    ck_assert_ptr_null(value(&nodes, 1, 2));
    ck_assert(lwm2m_boot_server_holds(&nodes, 2, &server));
    other.lifetime_s = 61;
    ck_assert(!lwm2m_boot_server_holds(&nodes, 2, &other));
    other = server;
    other.ssid = 6;
    ck_assert(!lwm2m_boot_server_holds(&nodes, 2, &other));
    lwm2m_nodes_fini(&nodes);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("lwm2m/bootstrap");

    tcase_add_loop_test(add_case(s, "discover"), answers_to_discover, 0, (int)DR_ARRAY_LEN(cases));
    tcase_add_test(add_case(s, "limits"), too_many_instances_and_too_long_an_answer);
    tcase_add_test(add_case(s, "accounts"), accounts_of_a_pack_request);
    tcase_add_test(add_case(s, "formats"), formats_best_first);
    tcase_add_test(add_case(s, "account"), content_of_an_account);
    tcase_add_test(add_case(s, "read back"), what_is_read_back);
    return run_suite(s);
}
