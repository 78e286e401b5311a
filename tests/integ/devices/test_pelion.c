/* SPDX-License-Identifier: Apache-2.0 */
/** The habits of Pelion clients: locations, claims, start values, observations that they make by
 * themselves, and what is sent to them. */
#include "tests/integ/devices/rig.h"

#define KEY 77
#define LIST                                                                                       \
    "</3/0/0>;v=\"maker\";aobs=\"18\",</3/0/5>,</3303/0/5700>;obs,</14/0/2>;v=\"0.0.1\","          \
    "</10255/0/3>;rt=\"Vendor\";v=\"k38dZjijPHQlFXBfuNbaHw==\";aobs=\"16\","                       \
    "</10252/0/1>;rt=\"Package\",</10252/0/2>;rt=\"State\";v=\"1\";aobs=\"10\""

static cx_peer_t peer;
static struct fe_exchange reg;
static int64_t device;
static char account[DR_ID_LEN + 1];

static struct fe_exchange *pelion_register(cx_peer_t p, const char *aid, const char *list)
{
    char query[256];

    dr_id_format(DBT_ACCOUNT, account);
    (void)snprintf(query, sizeof query,
                   "ep=node-1&et=meter&lt=7200&lwm2m=1.0&d=%s&b=U&aid=%s&mccv=4.13.2", account,
                   aid == NULL ? account : aid);
    return rig_wait(rig_post(0, p, "rd", query, list));
}

static void device_up(void)
{
    peer = rig_peer(0, "node-1");
    reg = *pelion_register(peer, NULL, LIST);
    ck_assert_uint_eq(reg.code, CX_CREATED);
    device = rig_device(&reg);
}

static bool notify(cx_peer_t p, uint16_t token, unsigned seq, const char *text)
{
    uint8_t t[2] = {(uint8_t)(token >> 8), (uint8_t)token};

    return fe_notify(rig.e[0], p,
                     FE_MSG(CX_CONTENT, .observe = FE_N((int)seq), .token = t, .token_len = 2,
                            .payload = text, .len = strlen(text)));
}

static struct {
    unsigned done;
    dr_err_t err;
    char ct[64], payload[256];
    size_t len;
} got;

static void on_value(struct dev_value_get *get, dr_err_t err, const char *ct,
                     struct dr_bytes payload, uint32_t max_age_s)
{
    (void)get;
    (void)max_age_s;
    got.done++;
    got.err = err;
    (void)snprintf(got.ct, sizeof got.ct, "%s", ct);
    got.len = payload.len < sizeof got.payload ? payload.len : sizeof got.payload - 1;
    memset(got.payload, 0, sizeof got.payload);
    if (got.len != 0) {
        memcpy(got.payload, payload.p, got.len);
    }
}

static dr_err_t value_get(const char *path)
{
    struct dev_value_get get = {
        .account = DBT_ACCOUNT, .device = device, .path = path, .cb = on_value};

    got.done = 0;
    ck_assert_int_eq(dev_value_get_start(rig.core, &get), DR_OK);
    RIG_UNTIL(got.done == 1);
    return got.err;
}

static void value_is(const char *path, const char *want)
{
    ck_assert_int_eq(value_get(path), DR_OK);
    ck_assert_str_eq(got.payload, want);
}

START_TEST(the_location_names_account_and_device)
{
    char id[DR_ID_LEN + 1], want[128];

    device_up();
    dr_id_format(device, id);
    (void)snprintf(want, sizeof want, "rd/%s/%s", account, id);
    ck_assert_str_eq(reg.location, want);
    RIG_UNTIL(rig_count(DEV_EVENT_REGISTERED) == 1);
    ck_assert_str_eq(rig_event_of(DEV_EVENT_REGISTERED, 0)->endpoint, "node-1");
}
END_TEST

START_TEST(claims_that_are_not_the_credentials_are_refused)
{
    static const char *const wrong[] = {"x", "00000000000000000000000000000001"};

    peer = rig_peer(0, "node-1");
    for (size_t i = 0; i < DR_ARRAY_LEN(wrong); i++) {
        ck_assert_uint_eq(pelion_register(peer, wrong[i], LIST)->code, CX_BAD_REQUEST);
    }
    cx_peer_t other = fe_peer_new(rig.e[0], CX_ID_PSK, DBT_OTHER, "node-1", 0, 0);
    ck_assert_uint_eq(pelion_register(other, NULL, LIST)->code, CX_BAD_REQUEST);
    rig_pause(5);
    ck_assert_uint_eq(rig_held(0), 0);
}
END_TEST

START_TEST(a_certificate_is_good_for_its_device_only)
{
    device_up();
    cx_peer_t p = fe_peer_new(rig.e[0], CX_ID_CERT, DBT_ACCOUNT, "node-1", 0, 0);
    rig.e[0]->peers[p - 1].id.device = device;
    ck_assert_uint_eq(pelion_register(p, NULL, LIST)->code, CX_CREATED);
    p = fe_peer_new(rig.e[0], CX_ID_CERT, DBT_ACCOUNT, "node-1", 0, 0);
    rig.e[0]->peers[p - 1].id.device = device + 1; /* the device was deleted and came anew */
    ck_assert_uint_eq(pelion_register(p, NULL, LIST)->code, CX_FORBIDDEN);
}
END_TEST

START_TEST(values_of_the_list_are_in_the_cache)
{
    static const uint8_t vendor[] = {0x93, 0x7f, 0x1d, 0x66, 0x38, 0xa3, 0x3c, 0x74,
                                     0x25, 0x15, 0x70, 0x5f, 0xb8, 0xd6, 0xda, 0x1f};

    device_up();
    value_is("/3/0/0", "maker");
    ck_assert_str_eq(got.ct, "text/plain");
    value_is("/10252/0/2", "1");
    ck_assert_int_eq(value_get("/10255/0/3"), DR_OK);
    ck_assert_str_eq(got.ct, "application/octet-stream");
    ck_assert_uint_eq(got.len, sizeof vendor);
    ck_assert_mem_eq(got.payload, vendor, sizeof vendor);
    ck_assert_int_eq(value_get("/3/0/5"), DR_ERR_AGAIN);
}
END_TEST

START_TEST(notifications_come_without_an_observe)
{
    device_up();
    ck_assert_ptr_null(fe_call(rig.e[0])); /* nothing is asked of the device */
    ck_assert(notify(peer, 10, 2, "3"));
    value_is("/10252/0/2", "3");
    RIG_UNTIL(rig_count(DEV_EVENT_VALUE) == 1);
    struct rig_event *ev = rig_event_of(DEV_EVENT_VALUE, 0);
    ck_assert_str_eq(ev->path, "/10252/0/2");
    ck_assert_int_eq(ev->key, DEV_KEY_DEVICE); /* for the server: no channel subscribed to it */
    ck_assert(notify(peer, 10, 2, "9"));       /* a late repetition: acknowledged, not taken */
    value_is("/10252/0/2", "3");
}
END_TEST

START_TEST(tokens_are_learned_anew_with_each_register)
{
    device_up();
    ck_assert(notify(peer, 10, 7, "4"));
    cx_peer_t p = rig_peer(0, "node-1");
    ck_assert_uint_eq(
        pelion_register(p, NULL, "</10252/0/2>;v=\"1\";aobs=\"510\",</3/0/0>;aobs=\"10\"")->code,
        CX_CREATED);
    ck_assert(notify(p, 510, 2, "6")); /* a lower number than before: another observation */
    value_is("/10252/0/2", "6");
    ck_assert(notify(p, 10, 2, "other maker"));
    value_is("/3/0/0", "other maker");
    ck_assert(notify(p, 18, 2, "lost")); /* unknown: acknowledged, never reset */
    value_is("/3/0/0", "other maker");
    uint8_t token[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    ck_assert(!fe_notify(rig.e[0], p,
                         FE_MSG(CX_CONTENT, .observe = FE_N(1), .token = token, .token_len = 8)));
}
END_TEST

START_TEST(an_update_adds_links_values_and_tokens)
{
    device_up();
    struct fe_exchange *x = rig_wait(rig_post(0, peer, reg.location, "et=meter",
                                              "</3200/0/5501>;v=\"7\";aobs=\"30\";obs,"
                                              "</3/0/0>;v=\"new\";aobs=\"31\""));
    ck_assert_uint_eq(x->code, CX_CHANGED);
    ck_assert_ptr_nonnull(strstr(rig_row("node-1").links, "</3303/0/5700>"));
    ck_assert_ptr_nonnull(strstr(rig_row("node-1").links, "</3200/0/5501>"));
    value_is("/3200/0/5501", "7");
    value_is("/3/0/0", "new");
    ck_assert(notify(peer, 10, 2, "5")); /* those that the update did not name stay */
    value_is("/10252/0/2", "5");
    ck_assert(notify(peer, 30, 2, "8"));
    value_is("/3200/0/5501", "8");
    ck_assert(notify(peer, 31, 2, "newer"));
    value_is("/3/0/0", "newer");
    x = rig_wait(rig_post(0, peer, reg.location, NULL, "</3200/0/5501>;d"));
    ck_assert_uint_eq(x->code, CX_CHANGED);
    ck_assert_ptr_null(strstr(rig_row("node-1").links, "</3200/0/5501>"));
}
END_TEST

START_TEST(after_a_restart_an_update_or_a_notification_is_enough)
{
    device_up();
    struct fe_exchange *x =
        rig_wait(rig_post(0, peer, reg.location, NULL, "</3200/0/5501>;aobs=\"30\";obs"));
    ck_assert_uint_eq(x->code, CX_CHANGED);
    rig_restart();
    cx_peer_t p = rig_peer(0, "node-1");
    if (_i == 0) {
        ck_assert_uint_eq(rig_wait(rig_post(0, p, reg.location, "et=meter", NULL))->code,
                          CX_CHANGED);
    }
    ck_assert(notify(p, 10, 2, "3")); /* in the second round the first thing that comes */
    RIG_UNTIL(value_get("/10252/0/2") == DR_OK && strcmp(got.payload, "3") == 0);
    ck_assert(notify(p, 30, 2, "9"));
    value_is("/3200/0/5501", "9");
    x = rig_wait(rig_post(0, p, reg.location, NULL, "</3201/0/5850>;obs"));
    ck_assert_uint_eq(x->code, CX_CHANGED);
    ck_assert_ptr_nonnull(strstr(rig_row("node-1").links, "</10252/0/2>"));
    ck_assert_ptr_nonnull(strstr(rig_row("node-1").links, "</3201/0/5850>"));
}
END_TEST

static dr_err_t suspend(struct db_writer *w, void *ctx)
{
    const struct db_device row = {
        .id = *(int64_t *)ctx, .account = DBT_ACCOUNT, .operator_suspended = true};

    return db_device_update(w, &row, DB_DEVICE_BIT(OPERATOR_SUSPENDED), NULL);
}

START_TEST(a_suspended_client_keeps_its_credentials)
{
    device_up();
    ck_assert_int_eq(dbt_write(suspend, &device), DR_OK);
    ck_assert_uint_eq(pelion_register(peer, NULL, LIST)->code, CX_UNAVAILABLE);
    rig_restart();
    cx_peer_t p = rig_peer(0, "node-1");
    struct fe_exchange *x = rig_wait(rig_post(0, p, reg.location, "et=meter", NULL));
    ck_assert_uint_eq(x->code, CX_UNAVAILABLE); /* 4.03 would make it wipe them */
}
END_TEST

/* ---- subscriptions to what the device reports anyway ---- */

static dr_err_t sub_err;

static void on_sub(struct dev_subscribe *sub, dr_err_t err)
{
    (void)sub;
    sub_err = err;
}

static void subscribe(const char *path, const char *async_id)
{
    struct dev_subscribe sub = {.account = DBT_ACCOUNT,
                                .device = device,
                                .key = KEY,
                                .path = path,
                                .async_id = async_id,
                                .cb = on_sub};

    sub_err = DR_ERR_AGAIN;
    ck_assert_int_eq(dev_subscribe_start(rig.core, &sub), DR_OK);
    RIG_UNTIL(sub_err != DR_ERR_AGAIN);
    ck_assert_int_eq(sub_err, DR_OK);
}

static void on_un(struct dev_unsubscribe *un, dr_err_t err)
{
    (void)un;
    sub_err = err;
}

START_TEST(who_subscribes_joins_the_standing_observation)
{
    device_up();
    subscribe("/10252/0/2", "sub-1");
    RIG_UNTIL(rig_count(DEV_EVENT_ANSWER) == 1);
    ck_assert_str_eq(rig_event_of(DEV_EVENT_ANSWER, 0)->payload, "1");
    ck_assert_int_eq(rig_event_of(DEV_EVENT_ANSWER, 0)->status, 200);
    ck_assert_ptr_null(fe_call(rig.e[0]));
    ck_assert(notify(peer, 10, 2, "3"));
    RIG_UNTIL(rig_count(DEV_EVENT_VALUE) == 2); /* the server's own, and the subscriber's */
    ck_assert(rig_event_of(DEV_EVENT_VALUE, 0)->key == KEY ||
              rig_event_of(DEV_EVENT_VALUE, 1)->key == KEY);
    struct dev_unsubscribe un = {.account = DBT_ACCOUNT, .device = device, .key = KEY, .cb = on_un};
    sub_err = DR_ERR_AGAIN;
    ck_assert_int_eq(dev_unsubscribe_start(rig.core, &un), DR_OK);
    RIG_UNTIL(sub_err != DR_ERR_AGAIN);
    rig_pause(5);
    ck_assert_ptr_null(fe_call(rig.e[0])); /* no cancellation: it would end the reports */
    ck_assert(notify(peer, 10, 3, "4"));
    value_is("/10252/0/2", "4");
}
END_TEST

START_TEST(the_first_value_is_read_when_the_list_has_none)
{
    peer = rig_peer(0, "node-1");
    reg = *pelion_register(peer, NULL, "</10252/0/4>;rt=\"CustomerUpdateResult\";aobs=\"12\"");
    device = rig_device(&reg);
    subscribe("/10252/0/4", "sub-1");
    RIG_UNTIL(fe_call(rig.e[0]) != NULL);
    ck_assert_str_eq(fe_call_text(fe_call(rig.e[0])), "GET 10252/0/4");
    fe_call_answer(rig.e[0], fe_call(rig.e[0]),
                   FE_MSG(CX_CONTENT, .ct = FE_N(0), .payload = "0", .len = 1));
    RIG_UNTIL(rig_count(DEV_EVENT_ANSWER) == 1);
    ck_assert_int_eq(rig_event_of(DEV_EVENT_ANSWER, 0)->status, 200);
    ck_assert(notify(peer, 12, 2, "5"));
    RIG_UNTIL(rig_count(DEV_EVENT_VALUE) == 2);
}
END_TEST

START_TEST(an_ordinary_observation_is_created_as_ever)
{
    device_up();
    subscribe("/3303/0/5700", "sub-1");
    RIG_UNTIL(fe_call(rig.e[0]) != NULL);
    ck_assert_str_eq(fe_call_text(fe_call(rig.e[0])), "GET 3303/0/5700 obs=0");
}
END_TEST

/* ---- requests ---- */

static void ask(enum dev_method method, const char *uri, const char *ct, const char *payload)
{
    struct dev_request req = {.account = DBT_ACCOUNT,
                              .device = device,
                              .key = KEY,
                              .async_id = "req-1",
                              .method = method,
                              .uri = uri,
                              .content_type = ct,
                              .accept = "",
                              .payload = dr_bytes_str(payload),
                              .retry = -1,
                              .expiry_s = -1};
    ck_assert_int_eq(rig_ask(&req), DR_OK);
    RIG_UNTIL(fe_call(rig.e[0]) != NULL);
}

START_TEST(arguments_of_execute_are_plain_text)
{
    device_up();
    ask(DEV_POST, "/10252/0/1", "application/octet-stream", "manifest");
    ck_assert_str_eq(fe_call_text(fe_call(rig.e[0])), "POST 10252/0/1 ct=0");
    ck_assert_uint_eq(fe_call(rig.e[0])->block_size, 512);
}
END_TEST

START_TEST(writes_keep_their_format)
{
    device_up();
    ask(DEV_PUT, "/3303/0/5700", "application/octet-stream", "12");
    ck_assert_str_eq(fe_call_text(fe_call(rig.e[0])), "PUT 3303/0/5700 ct=42");
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("devices: Pelion clients");
    TCase *tc = tcase_create("registration");

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, rig_setup, rig_teardown);
    tcase_add_test(tc, the_location_names_account_and_device);
    tcase_add_test(tc, claims_that_are_not_the_credentials_are_refused);
    tcase_add_test(tc, a_certificate_is_good_for_its_device_only);
    tcase_add_test(tc, values_of_the_list_are_in_the_cache);
    tcase_add_test(tc, an_update_adds_links_values_and_tokens);
    tcase_add_test(tc, a_suspended_client_keeps_its_credentials);
    suite_add_tcase(s, tc);

    tc = tcase_create("standing observations");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, rig_setup, rig_teardown);
    tcase_add_test(tc, notifications_come_without_an_observe);
    tcase_add_test(tc, tokens_are_learned_anew_with_each_register);
    tcase_add_loop_test(tc, after_a_restart_an_update_or_a_notification_is_enough, 0, 2);
    tcase_add_test(tc, who_subscribes_joins_the_standing_observation);
    tcase_add_test(tc, the_first_value_is_read_when_the_list_has_none);
    tcase_add_test(tc, an_ordinary_observation_is_created_as_ever);
    suite_add_tcase(s, tc);

    tc = tcase_create("requests");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, rig_setup, rig_teardown);
    tcase_add_test(tc, arguments_of_execute_are_plain_text);
    tcase_add_test(tc, writes_keep_their_format);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return dbt_main(suite());
}
