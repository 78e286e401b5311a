/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/integ/devices/test_boot.c
 * @brief The bootstrap server against a scripted device, both on real engines over DTLS-PSK.
 *
 * Row by row of the bootstrap interface:
 *
 *     Request      requests_are_answered_for_their_reason, psk_devices_get_a_fresh_key
 *     Discover     accounts_are_put_beside_the_bootstrap_account
 *     Read         what_was_written_is_read_back
 *     Write        each_format_is_written, a_format_that_is_refused_is_replaced
 *     Delete       deletes_follow_the_policy
 *     Finish       an_inconsistent_configuration_is_written_again
 *     Pack         packs_hold_everything, packs_are_refused_for_their_reason
 *     strict order, abort on a new request, time limits:
 *                  a_session_may_end_anywhere, a_new_request_ends_the_old_session
 */
#include "certs/authority.h"
#include "devices/issue.h"
#include "tests/integ/devices/boot_rig.h"

/* ---- Request ---- */

static const struct {
    const char *why, *query; /* spec: LWM2M-1.2-CORE#6.1.7.1 */
    uint8_t code;
} requests[] = {
    {"the name of the credential", "ep=" ENDPOINT, CX_CHANGED},
    {"no name: that of the credential", "", CX_CHANGED},
    {"another name", "ep=node-2", CX_BAD_REQUEST},
    {"a name that begins so", "ep=node-11", CX_BAD_REQUEST},
    {"twice", "ep=" ENDPOINT "&ep=" ENDPOINT, CX_BAD_REQUEST},
    {"SenML JSON", "ep=" ENDPOINT "&pct=110", CX_CHANGED},
    {"SenML CBOR", "ep=" ENDPOINT "&pct=112", CX_CHANGED},
    {"TLV", "ep=" ENDPOINT "&pct=11542", CX_CHANGED},
    {"LwM2M CBOR", "ep=" ENDPOINT "&pct=11544", CX_CHANGED},
    {"text is no format for this", "ep=" ENDPOINT "&pct=0", CX_UNSUPPORTED_FORMAT},
    {"not a number", "ep=" ENDPOINT "&pct=x", CX_UNSUPPORTED_FORMAT},
    {"an account of another", "ep=" ENDPOINT "&aid=000000000000000000000000000007d0", CX_FORBIDDEN},
    {"an account that nobody has", "ep=" ENDPOINT "&aid=0123456789abcdef0123456789abcdef",
     CX_FORBIDDEN},
    {"an account that is none", "ep=" ENDPOINT "&aid=1", CX_FORBIDDEN},
};

START_TEST(requests_are_answered_for_their_reason)
{
    setup();
    ck_assert_msg(ask(requests[_i].query) == requests[_i].code, "%s: %u.%02u", requests[_i].why,
                  rig.c.code >> 5, rig.c.code & 31);
    UNTIL(sessions() == 0);
    ck_assert_msg(rig.c.finished == (requests[_i].code == CX_CHANGED), "%s", requests[_i].why);
    ck_assert_int_eq(keys().found[DB_PSK_OFFERED], requests[_i].code == CX_CHANGED);
    teardown();
}
END_TEST

START_TEST(other_paths_and_methods)
{
    static const struct {
        uint8_t method, code;
        const char *path;
    } cases[] = {
        {CX_GET, CX_NOT_ALLOWED, "bs"},      {CX_PUT, CX_NOT_ALLOWED, "bs"},
        {CX_POST, CX_NOT_ALLOWED, "bspack"}, {CX_POST, CX_NOT_FOUND, "rd"},
        {CX_GET, CX_NOT_FOUND, "x"},         {CX_POST, CX_NOT_FOUND, "dp"},
    };

    setup();
    for (size_t i = 0; i < DR_ARRAY_LEN(cases); i++) {
        boot_client_request(&rig.c, cases[i].method, cases[i].path, "ep=" ENDPOINT, -1);
        UNTIL(rig.c.answered);
        ck_assert_msg(rig.c.code == cases[i].code, "%s: %u.%02u", cases[i].path, rig.c.code >> 5,
                      rig.c.code & 31);
    }
    teardown();
}
END_TEST

START_TEST(psk_devices_get_a_fresh_key)
{
    setup();
    boot("ep=" ENDPOINT);
    ck_assert(rig.c.finished);
    assert_configured(1, 0);
    struct device d = device();
    ck_assert_int_eq(d.state, DB_DEVICE_BOOTSTRAPPED);
    ck_assert_int_ne(d.bootstrapped, 0);

    /* it registers: the offered key is the delivered one now */
    struct keys first = keys();
    ck_assert_int_eq(dbt_write(register_run, &first.id[DB_PSK_OFFERED]), DR_OK);
    struct keys k = keys();
    ck_assert(!k.found[DB_PSK_OFFERED] && k.found[DB_PSK_BOOTSTRAPPED] && k.found[DB_PSK_OPERATOR]);
    ck_assert_str_eq(k.identity[DB_PSK_BOOTSTRAPPED], first.identity[DB_PSK_OFFERED]);

    /* once more: both keys are good until it comes with the new one */
    boot("ep=" ENDPOINT);
    k = keys();
    ck_assert(k.found[DB_PSK_OFFERED] && k.found[DB_PSK_BOOTSTRAPPED]);
    ck_assert_str_ne(k.identity[DB_PSK_OFFERED], k.identity[DB_PSK_BOOTSTRAPPED]);
    ck_assert_int_eq(device().state, DB_DEVICE_REGISTERED);
    ck_assert_int_gt(device().bootstrapped, d.bootstrapped);
    ck_assert_int_eq(device().id, d.id);
    ck_assert_int_eq(dbt_write(register_run, &k.id[DB_PSK_BOOTSTRAPPED]), DR_OK);
    ck_assert(keys().found[DB_PSK_OFFERED]);
    ck_assert_int_eq(dbt_write(register_run, &k.id[DB_PSK_OFFERED]), DR_OK);
    struct keys last = keys();
    ck_assert(!last.found[DB_PSK_OFFERED]);
    ck_assert_str_eq(last.identity[DB_PSK_BOOTSTRAPPED], k.identity[DB_PSK_OFFERED]);
    teardown();
}
END_TEST

/* ---- Discover ---- */

static const struct {
    const char *why, *root, *object;
    int security, server; /* instances that are written */
    const char *deletes;
} discovers[] = {
    {"nothing but the bootstrap account", DISCOVERED, NULL, 1, 0, ""},
    {"the bootstrap account is elsewhere", "</>;lwm2m=1.1,</0/7>,</1>,</3/0>", NULL, 0, 0, ""},
    {"an account of ours", "</>;lwm2m=1.1,</0/0>;ssid=101;uri=\"coaps://a\",</0/1>,</1/0>;ssid=101",
     NULL, 0, 0, "/0 /1 "},
    {"accounts on both sides",
     "</>;lwm2m=1.1,</0/0>;ssid=101,</0/1>,</0/2>;ssid=102,</1/0>;ssid=101", NULL, 0, 0, "/0 /1 "},
    {"without the version", "</0/0>,</3/0>", NULL, 1, 0, ""},
    {"version in the old place", "lwm2m=1.0,</0/0>,</0/1>;ssid=5,</1/3>;ssid=5", NULL, 1, 0,
     "/0 /1 "},
    {"1.2", "</>;lwm2m=\"1.2\",</0/0>,</21/0>,</3/0>", NULL, 1, 0, ""},
    {"only object by object", NULL, "lwm2m=1.0,</0/0>", 1, 0, ""},
    {"not at all", NULL, NULL, 1, 0, "/0 /1 "},
    {"an answer that is no link format", "</0/0", NULL, 1, 0, "/0 /1 "},
    {"a ssid without sense", "</>;lwm2m=1.1,</0/0>;ssid=70000,</0/1>;ssid=1", NULL, 1, 0, "/0 "},
};

static void deletes_list(char *out, size_t cap)
{
    size_t len = 0;

    out[0] = '\0';
    for (unsigned i = 0; i < rig.c.n_seen; i++) {
        if (rig.c.seen[i].code == CX_DELETE) {
            len += (size_t)snprintf(out + len, cap - len, "%s ", rig.c.seen[i].path);
        }
    }
}

/* spec: LWM2M-1.2-CORE#6.1.7.3 */
START_TEST(accounts_are_put_beside_the_bootstrap_account)
{
    char deletes[80];

    setup();
    rig.c.discover = discovers[_i].root;
    rig.c.discover_object = discovers[_i].object;
    boot("ep=" ENDPOINT);
    ck_assert_msg(rig.c.finished, "%s", discovers[_i].why);
    deletes_list(deletes, sizeof deletes);
    ck_assert_msg(strcmp(deletes, discovers[_i].deletes) == 0, "%s: '%s'", discovers[_i].why,
                  deletes);
    ck_assert_msg(boot_client_account(&rig.c) == discovers[_i].security, "%s: %d",
                  discovers[_i].why, boot_client_account(&rig.c));
    assert_configured((uint16_t)discovers[_i].security, (uint16_t)discovers[_i].server);
    ck_assert_uint_eq(rig.c.seen[0].code, CX_GET);
    ck_assert_str_eq(rig.c.seen[0].path, "/");
    ck_assert_int_eq(rig.c.seen[0].accept, LWM2M_CT_LINK);
    teardown();
}
END_TEST

/* ---- Write ---- */

static const struct {
    const char *query, *discover;
    int32_t format;
} formats[] = {
    {"", DISCOVERED, LWM2M_CT_SENML_CBOR},
    {"", "lwm2m=1.0,</0/0>", LWM2M_CT_TLV},
    {"", NULL, LWM2M_CT_TLV},
    {"pct=110", DISCOVERED, LWM2M_CT_SENML_JSON},
    {"pct=112", "lwm2m=1.0,</0/0>", LWM2M_CT_SENML_CBOR},
    {"pct=11542", DISCOVERED, LWM2M_CT_TLV},
    {"pct=11544", DISCOVERED, LWM2M_CT_CBOR_MAP},
};

/* spec: LWM2M-1.2-CORE#6.1.7.5 */
START_TEST(each_format_is_written)
{
    unsigned writes = 0;

    setup();
    rig.c.discover = formats[_i].discover;
    boot(formats[_i].query);
    ck_assert(rig.c.finished);
    assert_configured(1, 0);
    for (unsigned i = 0; i < rig.c.n_seen; i++) {
        if (rig.c.seen[i].code == CX_PUT) {
            ck_assert_int_eq(rig.c.seen[i].format, formats[_i].format);
            writes++;
        }
    }
    ck_assert_uint_eq(writes, 2);
    teardown();
}
END_TEST

START_TEST(a_format_that_is_refused_is_replaced)
{
    static const uint8_t codes[] = {CX_UNSUPPORTED_FORMAT, CX_NOT_ACCEPTABLE};

    setup();
    rig.c.rules[0] = (struct boot_rule){
        .code = CX_PUT, .format = LWM2M_CT_SENML_CBOR, .answer = codes[_i], .times = 9};
    rig.c.rules[1] =
        (struct boot_rule){.code = CX_PUT, .format = LWM2M_CT_TLV, .answer = codes[_i], .times = 9};
    boot("");
    ck_assert(rig.c.finished);
    assert_configured(1, 0);
    ck_assert_int_eq(rig.c.seen[1].format, LWM2M_CT_SENML_CBOR);
    ck_assert_int_eq(rig.c.seen[2].format, LWM2M_CT_TLV);
    ck_assert_int_eq(rig.c.seen[3].format, LWM2M_CT_SENML_JSON);
    ck_assert_int_eq(rig.c.seen[4].format, LWM2M_CT_SENML_JSON); /* and not from the start again */
    teardown();
}
END_TEST

/* What ends a session: nothing is stored, and the device may begin anew. */
static const struct {
    const char *why;
    struct boot_rule rule;
} ends[] = {
    {"no format is taken",
     {.code = CX_PUT, .format = -1, .answer = CX_UNSUPPORTED_FORMAT, .times = 9}},
    {"a write is refused", {.code = CX_PUT, .format = -1, .answer = CX_BAD_REQUEST, .times = 1}},
    {"a write is not allowed",
     {.code = CX_PUT, .path = "/1/0", .format = -1, .answer = CX_NOT_ALLOWED, .times = 1}},
    {"the device fails", {.code = CX_DELETE, .format = -1, .answer = CX_SERVER_ERROR, .times = 1}},
    {"Finish is refused", {.code = CX_POST, .format = -1, .answer = CX_BAD_REQUEST, .times = 1}},
    {"Finish fails", {.code = CX_POST, .format = -1, .answer = CX_SERVER_ERROR, .times = 1}},
    {"always inconsistent",
     {.code = CX_POST, .format = -1, .answer = CX_NOT_ACCEPTABLE, .times = 99}},
};

START_TEST(what_ends_a_session)
{
    setup();
    rig.c.discover = NULL; /* so that there are deletes */
    rig.c.rules[0] = ends[_i].rule;
    boot("ep=" ENDPOINT);
    ck_assert_msg(!rig.c.finished, "%s", ends[_i].why);
    ck_assert_int_eq(keys().found[DB_PSK_OFFERED], ends[_i].rule.code == CX_POST);
    ck_assert_int_ne(device().state, DB_DEVICE_BOOTSTRAPPED);
    rig.c.rules[0].times = 0;
    boot("ep=" ENDPOINT);
    ck_assert_msg(rig.c.finished, "%s", ends[_i].why);
    ck_assert_int_eq(device().state, DB_DEVICE_BOOTSTRAPPED);
    assert_configured(1, 0);
    teardown();
}
END_TEST

/* ---- Delete ---- */

static void reset_all(struct db_boot_policy *p)
{
    p->reset = DB_BOOT_RESET_ALL;
}

static void reset_none(struct db_boot_policy *p)
{
    p->reset = DB_BOOT_RESET_NONE;
}

static void reset_servers(struct db_boot_policy *p)
{
    p->reset = DB_BOOT_RESET_SERVERS;
}

static const struct {
    void (*change)(struct db_boot_policy *p);
    const char *deletes;
    int security, server;
} resets[] = {
    {reset_servers, "/0 /1 ", 0, 0},
    {reset_all, "/ ", 0, 0},
    {reset_none, "", 3, 1}, /* another's account at 0, the bootstrap account at 1, ours at 3 */
};

/* spec: LWM2M-1.2-CORE#6.1.7.6 */
START_TEST(deletes_follow_the_policy)
{
    char deletes[80];

    setup();
    policy(resets[_i].change);
    rig.c.discover =
        "</>;lwm2m=1.1,</0/0>;ssid=7,</0/1>,</0/3>;ssid=101,</1/0>;ssid=7,</1/1>;ssid=101";
    rig.c.rules[0] = (struct boot_rule){/* it need not let go */
                                        .code = CX_DELETE,
                                        .format = -1,
                                        .answer = CX_NOT_ALLOWED,
                                        .times = (unsigned)_i};
    boot("");
    ck_assert(rig.c.finished);
    deletes_list(deletes, sizeof deletes);
    ck_assert_str_eq(deletes, resets[_i].deletes);
    assert_configured((uint16_t)resets[_i].security, (uint16_t)resets[_i].server);
    teardown();
}
END_TEST

/* ---- Read ---- */

static void verified(struct db_boot_policy *p)
{
    p->verify = true;
}

static const struct {
    const char *why, *answer;
    bool finishes;
    unsigned reads;
} reads[] = {
    {"as written", "[{\"bn\":\"/1/0/\",\"n\":\"0\",\"v\":101},{\"n\":\"1\",\"v\":86400}]", true, 1},
    {"shows nothing of it", "[]", true, 1},
    {"may not be read", NULL, true, 1},
    {"another lifetime", "[{\"bn\":\"/1/0/\",\"n\":\"0\",\"v\":101},{\"n\":\"1\",\"v\":60}]", false,
     4},
    {"malformed", "[{", false, 4},
};

/* spec: LWM2M-1.2-CORE#6.1.7.4 */
START_TEST(what_was_written_is_read_back)
{
    unsigned n = 0;

    setup();
    policy(verified);
    rig.c.server_object = reads[_i].answer;
    boot("pct=110");
    ck_assert_msg(rig.c.finished == reads[_i].finishes, "%s", reads[_i].why);
    for (unsigned i = 0; i < rig.c.n_seen; i++) {
        n += rig.c.seen[i].code == CX_GET && strcmp(rig.c.seen[i].path, "/1/0") == 0;
    }
    ck_assert_uint_eq(n, reads[_i].reads);
    teardown();
}
END_TEST

/* ---- Finish ---- */

/* spec: LWM2M-1.2-CORE#6.1.7.7 */
START_TEST(an_inconsistent_configuration_is_written_again)
{
    setup();
    rig.c.rules[0] =
        (struct boot_rule){.code = CX_POST, .format = -1, .answer = CX_NOT_ACCEPTABLE, .times = 2};
    rig.c.separate = true;
    boot("");
    ck_assert(rig.c.finished);
    assert_configured(1, 0); /* with the key that was committed before the first Finish */
    ck_assert_int_eq(rig.c.seen[1].format, LWM2M_CT_SENML_CBOR);
    ck_assert_int_eq(rig.c.seen[5].format, LWM2M_CT_TLV);
    ck_assert_int_eq(rig.c.seen[9].format, LWM2M_CT_SENML_JSON);
    teardown();
}
END_TEST

/* ---- Pack ---- */

static const struct {
    const char *query;
    int32_t accept, format;
    uint16_t security;
} packs[] = {
    {"ep=" ENDPOINT, -1, LWM2M_CT_SENML_CBOR, 1},
    {"ep=" ENDPOINT, LWM2M_CT_SENML_CBOR, LWM2M_CT_SENML_CBOR, 1},
    {"ep=" ENDPOINT, LWM2M_CT_SENML_JSON, LWM2M_CT_SENML_JSON, 1},
    {"ep=" ENDPOINT, LWM2M_CT_CBOR_MAP, LWM2M_CT_CBOR_MAP, 1},
    {"ep=" ENDPOINT "&acc=0,1", -1, LWM2M_CT_SENML_CBOR, 2},
    {"ep=" ENDPOINT "&acc=5", -1, LWM2M_CT_SENML_CBOR, 0},
};

static void pack(const char *query, int32_t accept)
{
    boot_client_request(&rig.c, CX_GET, "bspack", query, accept);
    UNTIL(rig.c.answered);
    ck_assert_int_eq(rig.c.err, DR_OK);
}

/* spec: LWM2M-1.2-CORE#6.1.7.8 */
START_TEST(packs_hold_everything)
{
    setup();
    pack(packs[_i].query, packs[_i].accept);
    ck_assert_uint_eq(rig.c.code, CX_CONTENT);
    ck_assert_int_eq(rig.c.answer_format, packs[_i].format);
    assert_configured(packs[_i].security, 0);
    UNTIL(sessions() == 0);
    ck_assert_uint_eq(rig.c.n_seen, 0); /* no Finish */
    ck_assert_int_eq(device().state, DB_DEVICE_BOOTSTRAPPED);
    teardown();
}
END_TEST

static void est_mode(struct db_boot_policy *p)
{
    p->security = DB_BOOT_EST;
}

START_TEST(packs_are_refused_for_their_reason)
{
    setup();
    pack("ep=" ENDPOINT, LWM2M_CT_TLV);
    ck_assert_uint_eq(rig.c.code, CX_NOT_ACCEPTABLE);
    pack("ep=node-2", -1);
    ck_assert_uint_eq(rig.c.code, CX_BAD_REQUEST);
    policy(est_mode); /* a key that the device makes does not fit into a pack */
    pack("ep=" ENDPOINT, -1);
    ck_assert_uint_eq(rig.c.code, CX_NOT_ALLOWED);
    ck_assert(!keys().found[DB_PSK_OFFERED]);
    teardown();
}
END_TEST

/* ---- policies ---- */

static void all_set(struct db_boot_policy *p)
{
    p->scope = DB_BOOT_SCOPE_ENDPOINT;
    p->pattern = "node-*";
    p->server_uri = "coaps://other.example:7000";
    p->lifetime_s = 300;
    p->binding = "UQ";
    p->short_server_id = 9;
    p->hold_off_s = 4;
    p->pmin_s = 1;
    p->pmax_s = 60;
    p->store = false;
    p->objects =
        "[{\"n\":\"/3/0/14\",\"vs\":\"+01:00\"},{\"n\":\"/3/0/15\",\"vs\":\"Europe/Berlin\"},"
        "{\"n\":\"/7/0/8\",\"v\":60}]";
}

START_TEST(a_policy_says_what_is_written)
{
    setup();
    policy(reset_servers); /* of the account: weaker */
    policy(all_set);
    boot("pct=11542");
    ck_assert(rig.c.finished);
    assert_text(boot_client_value(&rig.c, 0, 1, 0), "coaps://other.example:7000");
    ck_assert_int_eq(number(0, 1, 10), 9);
    ck_assert_int_eq(number(0, 1, 11), 4);
    ck_assert_int_eq(number(1, 0, 0), 9);
    ck_assert_int_eq(number(1, 0, 1), 300);
    ck_assert_int_eq(number(1, 0, 2), 1);
    ck_assert_int_eq(number(1, 0, 3), 60);
    ck_assert(!boot_client_value(&rig.c, 1, 0, 6)->b);
    assert_text(boot_client_value(&rig.c, 1, 0, 7), "UQ");
    assert_text(boot_client_value(&rig.c, 3, 0, 14), "+01:00");
    assert_text(boot_client_value(&rig.c, 3, 0, 15), "Europe/Berlin");
    ck_assert_int_eq(number(7, 0, 8), 60);
    teardown();
}
END_TEST

static void no_security(struct db_boot_policy *p)
{
    p->security = DB_BOOT_NOSEC;
}

static void certificates(struct db_boot_policy *p)
{
    p->security = DB_BOOT_X509;
}

static char many[DEV_BOOT_OBJECTS_BYTES_MAX];

static void objects_all(struct db_boot_policy *p)
{
    size_t len = 1;

    many[0] = '[';
    for (int i = 0; i < DEV_BOOT_OBJECTS_MAX; i++) {
        len += (size_t)snprintf(many + len, sizeof many - len,
                                "%s{\"n\":\"/3303/%d/5700\",\"v\":%d}", i == 0 ? "" : ",", i, i);
    }
    (void)snprintf(many + len, sizeof many - len, "]");
    p->objects = many;
    p->verify = true;
}

START_TEST(as_many_objects_as_a_policy_may_have)
{
    setup();
    policy(objects_all);
    rig.c.discover = NULL; /* with deletes: the longest plan */
    boot("");
    ck_assert(rig.c.finished);
    ck_assert_ptr_nonnull(boot_client_value(&rig.c, 3303, DEV_BOOT_OBJECTS_MAX - 1, 5700));
    teardown();
}
END_TEST

static dr_err_t put_many(struct db_writer *w, void *ctx)
{
    struct db_boot_policy p = db_boot_policy_default;
    char pattern[16];
    dr_err_t err = DR_OK;
    int64_t id;

    p.account = DBT_ACCOUNT;
    p.scope = DB_BOOT_SCOPE_ENDPOINT;
    p.pattern = pattern;
    for (int i = 0; i < *(int *)ctx && err == DR_OK; i++) {
        (void)snprintf(pattern, sizeof pattern, "p%d", i);
        p.id = 1000 + i;
        err = db_boot_policy_put(w, &p, &id);
    }
    return err;
}

START_TEST(as_many_policies_as_an_account_may_have)
{
    int n = DB_BOOT_POLICIES_MAX, over = DB_BOOT_POLICIES_MAX + 1;

    setup();
    ck_assert_int_eq(dbt_write(put_many, &over), DR_ERR_LIMIT);
    ck_assert_int_eq(dbt_write(put_many, &n), DR_OK);
    ck_assert_int_eq(dbt_write(put_many, &n), DR_OK); /* again: the same ones */
    boot("");
    teardown();
}
END_TEST

START_TEST(no_keys_and_keys_that_cannot_be_made)
{
    setup();
    policy(no_security);
    boot("");
    ck_assert(rig.c.finished);
    ck_assert_int_eq(number(0, 1, 2), LWM2M_SECURITY_NONE);
    ck_assert(!keys().found[DB_PSK_OFFERED]);
    policy(certificates); /* there is no authority here */
    ck_assert_uint_eq(ask(""), CX_UNAVAILABLE);
    teardown();
}
END_TEST

START_TEST(patterns)
{
    static const struct {
        const char *pattern, *text;
        bool match;
    } cases[] = {
        {"node-1", "node-1", true},
        {"node-1", "node-11", false},
        {"*", "", true},
        {"node-*", "node-", true},
        {"node-*", "nod", false},
        {"*-1", "node-1", true},
        {"*-1", "node-1-2", false},
        {"n*-*1", "node-x1", true},
        {"a*b*c", "abxbc", true},
        {"a*b*c", "abxb", false},
        {"", "", true},
        {"", "a", false},
        {"**a", "ba", true},
    };

    for (size_t i = 0; i < DR_ARRAY_LEN(cases); i++) {
        ck_assert_msg(db_boot_pattern_match(cases[i].pattern, cases[i].text) == cases[i].match,
                      "%s %s", cases[i].pattern, cases[i].text);
    }
}
END_TEST

/* ---- who may not ---- */

static dr_err_t drop_key(struct db_writer *w, void *ctx)
{
    (void)ctx;
    return db_psk_delete(w, DBT_ACCOUNT, ENDPOINT, DB_PSK_OPERATOR, NULL, NULL);
}

static dr_err_t rekey(struct db_writer *w, void *ctx)
{
    (void)ctx;
    return db_psk_rekey(w, DBT_ACCOUNT, ENDPOINT, DB_PSK_OPERATOR,
                        dr_bytes_of("another key 0123", 16));
}

static dr_err_t suspend(struct db_writer *w, void *ctx)
{
    const struct db_device row = {
        .id = *(int64_t *)ctx, .account = DBT_ACCOUNT, .operator_suspended = true};

    return db_device_update(w, &row, DB_DEVICE_BIT(OPERATOR_SUSPENDED), NULL);
}

static uint8_t enroll(void)
{
    boot_client_request(&rig.c, CX_POST, "est/sen", NULL, -1);
    UNTIL(rig.c.answered);
    return rig.c.code;
}

/* An association that outlives its key gets no certificate, which would outlive both. */
START_TEST(a_key_that_was_taken_back_enrolls_no_more)
{
    struct cert_authority *authority;
    struct dev_issuer *issuer;

    memset(&rig, 0, sizeof rig);
    dbt_setup();
    ck_assert_int_eq(cert_authority_create("devices", &authority), DR_OK);
    ck_assert_int_eq(dev_issuer_new(authority, dbt_db, &issuer), DR_OK);
    ck_assert_int_eq(dev_est_new(issuer, dbt_db, &rig.est), DR_OK);
    setup_on_db(1000);
    boot("");
    rig.c.body = dr_bytes_str("no request");
    ck_assert_uint_eq(enroll(), CX_BAD_REQUEST); /* it may: the request is looked at */
    ck_assert_int_eq(dbt_write(_i == 0 ? drop_key : rekey, NULL), DR_OK);
    ck_assert_uint_eq(enroll(), CX_FORBIDDEN);
    rig.c.body = (struct dr_bytes){0};
    teardown();
    rig.est = dev_est_free(rig.est);
    dev_issuer_free(issuer);
    cert_authority_free(authority);
}
END_TEST

START_TEST(credentials_that_were_taken_back)
{
    int64_t id;

    setup();
    boot("");
    id = device().id;
    switch (_i) {
    case 0:
        ck_assert_int_eq(dbt_write(drop_key, NULL), DR_OK);
        break;
    case 1:
        ck_assert_int_eq(dbt_write(rekey, NULL), DR_OK);
        break;
    default:
        ck_assert_int_eq(dbt_write(suspend, &id), DR_OK);
        break;
    }
    struct keys before = keys();
    ck_assert_uint_eq(ask(""), CX_FORBIDDEN); /* on the association that it had */
    UNTIL(sessions() == 0);
    ck_assert_str_eq(keys().identity[DB_PSK_OFFERED], before.identity[DB_PSK_OFFERED]);
    teardown();
}
END_TEST

START_TEST(a_delivered_key_is_no_key_here)
{
    struct boot_client other;

    setup();
    boot("");
    struct keys k = keys();
    memset(&other, 0, sizeof other);
    boot_client_open(&other, rig.loop, &rig.addr, NULL, NULL, NULL);
    boot_client_connect(&other, k.identity[DB_PSK_OFFERED], k.key[DB_PSK_OFFERED],
                        k.len[DB_PSK_OFFERED], 0);
    UNTIL(other.connected);
    ck_assert_int_eq(other.connect_err, DR_ERR_CRYPTO);
    boot_client_close(&other);
    teardown();
}
END_TEST

/* ---- limits ---- */

START_TEST(one_device_may_not_ask_all_the_time)
{
    memset(&rig, 0, sizeof rig);
    setup_with(3);
    for (int i = 0; i < 3; i++) {
        boot("");
    }
    ck_assert_uint_eq(ask(""), CX_UNAVAILABLE);
    teardown();
}
END_TEST

START_TEST(the_rate_recovers)
{
    memset(&rig, 0, sizeof rig);
    rig.extra.refill_ms = 200;
    setup_with(1);
    boot("");
    ck_assert_uint_eq(ask(""), CX_UNAVAILABLE);
    uint64_t end = dr_mono_ms() + 400;
    UNTIL(dr_mono_ms() > end);
    boot("");
    ck_assert(rig.c.finished);
    teardown();
}
END_TEST

/* spec: LWM2M-1.2-CORE#6.1.7.7: devices wait 247 s for Finish */
START_TEST(a_session_has_a_time_limit)
{
    memset(&rig, 0, sizeof rig);
    rig.extra.session_ms = 300;
    setup_with(1000);
    rig.c.silent_after = 1;
    ck_assert_uint_eq(ask(""), CX_CHANGED);
    UNTIL(rig.c.n_seen > 1);
    ck_assert_uint_eq(sessions(), 1);
    UNTIL(sessions() == 0);
    ck_assert(!keys().found[DB_PSK_OFFERED]);
    rig.c.silent_after = 0;
    boot("");
    ck_assert(rig.c.finished);
    teardown();
}
END_TEST

START_TEST(sessions_are_capped)
{
    setup();
    struct boot_shard *sh = dev_boot_shard(rig.boot, 0);
    sh->n_sessions = DEV_BOOT_SESSIONS_MAX;
    ck_assert_uint_eq(ask(""), CX_UNAVAILABLE);
    sh->n_sessions = 0;
    boot("");
    ck_assert(rig.c.finished);
    teardown();
}
END_TEST

/* ---- cut ---- */

/* Discover, Delete, Delete, Write, Write, Finish: the device falls silent after each, and comes
 * again on a new association. */
START_TEST(a_session_may_end_anywhere)
{
    struct boot_client again;
    struct keys before;

    setup();
    boot(""); /* so that there is an older key */
    before = keys();
    ck_assert_int_eq(dbt_write(register_run, &before.id[DB_PSK_OFFERED]), DR_OK);
    rig.c.discover = "</>;lwm2m=1.1,</0/0>,</0/1>;ssid=101,</1/0>;ssid=101";
    rig.c.n_seen = 0;
    rig.c.silent_after = (unsigned)_i + 1;
    ck_assert_uint_eq(ask(""), CX_CHANGED);
    UNTIL(rig.c.n_seen > rig.c.silent_after);
    struct keys k = keys();
    ck_assert_str_eq(k.identity[DB_PSK_BOOTSTRAPPED], before.identity[DB_PSK_OFFERED]);
    ck_assert_int_eq(k.found[DB_PSK_OFFERED], _i == 4); /* only when Finish was sent */
    ck_assert_uint_eq(sessions(), 1);

    memset(&again, 0, sizeof again);
    boot_client_open(&again, rig.loop, &rig.addr, NULL, NULL, NULL);
    again.discover = rig.c.discover;
    boot_client_connect(&again, IDENTITY, key, sizeof key, 0);
    UNTIL(again.connected);
    boot_client_request(&again, CX_POST, "bs", "ep=" ENDPOINT, -1);
    UNTIL(again.finished && sessions() == 0);
    k = keys();
    assert_text(boot_client_value(&again, 0, 1, 3), k.identity[DB_PSK_OFFERED]);
    ck_assert_int_eq(dbt_write(register_run, &k.id[DB_PSK_OFFERED]), DR_OK);
    ck_assert(!keys().found[DB_PSK_OFFERED]);
    boot_client_close(&again);
    teardown();
}
END_TEST

START_TEST(a_new_request_ends_the_old_session)
{
    setup();
    rig.c.rules[0] = (struct boot_rule){.code = CX_PUT, .format = -1, .answer = 0, .times = 1};
    ck_assert_uint_eq(ask(""), CX_CHANGED);
    UNTIL(rig.c.n_seen == 2);
    boot("");
    ck_assert(rig.c.finished);
    assert_configured(1, 0);
    teardown();
}
END_TEST

struct kill {
    uint8_t at;
    bool hit;
};

static void kill_hook(void *data, const struct boot_session *s)
{
    struct kill *k = data;

    k->hit = k->hit || s->state == k->at;
}

/* The server stops in each state of a session, and is there again. */
START_TEST(the_server_may_end_anywhere)
{
    struct kill k = {.at = (uint8_t)(_i < BOOT_DONE ? _i : BOOT_TALKING)};
    struct boot_client again;

    setup();
    struct boot_shard *sh = dev_boot_shard(rig.boot, 0);
    sh->test_hook = kill_hook;
    sh->test_data = &k;
    boot_client_request(&rig.c, CX_POST, "bs", "ep=" ENDPOINT, -1);
    UNTIL(k.at == BOOT_LOOKING ? sessions() != 0 : k.hit);
    server_close();
    server_open(1000);

    memset(&again, 0, sizeof again);
    boot_client_open(&again, rig.loop, &rig.addr, NULL, NULL, NULL);
    again.discover = DISCOVERED;
    boot_client_connect(&again, IDENTITY, key, sizeof key, 0);
    UNTIL(again.connected);
    ck_assert_int_eq(again.connect_err, DR_OK);
    boot_client_request(&again, CX_POST, "bs", "ep=" ENDPOINT, -1);
    UNTIL(again.finished && sessions() == 0);
    struct keys have = keys();
    assert_text(boot_client_value(&again, 0, 1, 3), have.identity[DB_PSK_OFFERED]);
    ck_assert_int_eq(device().state, DB_DEVICE_BOOTSTRAPPED);
    boot_client_close(&again);
    teardown();
}
END_TEST

START_TEST(the_states_of_a_session)
{
    /* final ones are left by nothing, every other one may fail */
    for (uint8_t from = BOOT_LOOKING; from <= BOOT_FAILED; from++) {
        for (uint8_t to = BOOT_LOOKING; to <= BOOT_FAILED; to++) {
            if (dr_sm_is_final(&boot_sm, from)) {
                ck_assert(!dr_sm_allowed(&boot_sm, from, to));
            }
        }
        ck_assert(dr_sm_is_final(&boot_sm, from) || dr_sm_allowed(&boot_sm, from, BOOT_FAILED));
    }
    ck_assert(!dr_sm_allowed(&boot_sm, BOOT_TALKING, BOOT_FINISHING)); /* never without the store */
}
END_TEST

int main(void)
{
    Suite *s = suite_create("bootstrap");

    add_loop(s, "request", requests_are_answered_for_their_reason, DR_ARRAY_LEN(requests));
    add_loop(s, "paths", other_paths_and_methods, 1);
    add_loop(s, "psk", psk_devices_get_a_fresh_key, 1);
    add_loop(s, "discover", accounts_are_put_beside_the_bootstrap_account, DR_ARRAY_LEN(discovers));
    add_loop(s, "formats", each_format_is_written, DR_ARRAY_LEN(formats));
    add_loop(s, "refused", a_format_that_is_refused_is_replaced, 2);
    add_loop(s, "ends", what_ends_a_session, DR_ARRAY_LEN(ends));
    add_loop(s, "delete", deletes_follow_the_policy, DR_ARRAY_LEN(resets));
    add_loop(s, "read", what_was_written_is_read_back, DR_ARRAY_LEN(reads));
    add_loop(s, "finish", an_inconsistent_configuration_is_written_again, 1);
    add_loop(s, "pack", packs_hold_everything, DR_ARRAY_LEN(packs));
    add_loop(s, "no pack", packs_are_refused_for_their_reason, 1);
    add_loop(s, "policy", a_policy_says_what_is_written, 1);
    add_loop(s, "objects", as_many_objects_as_a_policy_may_have, 1);
    add_loop(s, "policies", as_many_policies_as_an_account_may_have, 1);
    add_loop(s, "no keys", no_keys_and_keys_that_cannot_be_made, 1);
    add_loop(s, "patterns", patterns, 1);
    add_loop(s, "taken back", credentials_that_were_taken_back, 3);
    add_loop(s, "no enrolment", a_key_that_was_taken_back_enrolls_no_more, 2);
    add_loop(s, "delivered", a_delivered_key_is_no_key_here, 1);
    add_loop(s, "rate", one_device_may_not_ask_all_the_time, 1);
    add_loop(s, "refill", the_rate_recovers, 1);
    add_loop(s, "time", a_session_has_a_time_limit, 1);
    add_loop(s, "cap", sessions_are_capped, 1);
    add_loop(s, "cut", a_session_may_end_anywhere, 5);
    add_loop(s, "anew", a_new_request_ends_the_old_session, 1);
    add_loop(s, "restart", the_server_may_end_anywhere, BOOT_DONE);
    add_loop(s, "states", the_states_of_a_session, 1);
    return dbt_main(s);
}
