/* SPDX-License-Identifier: Apache-2.0 */
/** Every maximum that a device or an operator can reach, reached. */
#include "tests/integ/devices/rig.h"

static const char full_query[] = "ep=node-1&lt=300&lwm2m=1.1&b=U";

START_TEST(no_room_for_events_slows_devices_down)
{
    cx_peer_t p = rig_peer(0, "node-1");
    struct dev_shard *s = rig_shard(0);
    uint32_t news = s->n_news;

    ck_assert(dev_cx_ops.room(s, rig.e[0]));
    s->n_news = DEV_NEWS_MAX;
    ck_assert(!dev_cx_ops.room(s, rig.e[0]));
    struct fe_exchange *x = rig_wait(rig_post(0, p, "rd", full_query, RIG_LINKS));
    ck_assert_uint_eq(x->code, CX_UNAVAILABLE);
    s->n_news = news;
    (void)rig_register(0, p, full_query);
    rig_pause(5);
    ck_assert_uint_eq(s->n_news, 0); /* all went to control and came back */
}
END_TEST

START_TEST(operations_under_way_are_limited)
{
    cx_peer_t p = rig_peer(0, "node-1");
    struct dev_shard *s = rig_shard(0);

    s->ops = DEV_OPS_MAX;
    ck_assert_uint_eq(rig_wait(rig_post(0, p, "rd", full_query, RIG_LINKS))->code, CX_UNAVAILABLE);
    ck_assert_uint_eq(rig_wait(rig_post(0, p, "rd/0123456789abcdef", NULL, NULL))->code,
                      CX_UNAVAILABLE);
    s->ops = 0;
    (void)rig_register(0, p, full_query);
}
END_TEST

START_TEST(names_and_queries_are_limited)
{
    char name[DEV_NAME_MAX + 2], query[2000] = "lt=60&lwm2m=1.1&b=U";

    memset(name, 'n', sizeof name);
    name[DEV_NAME_MAX + 1] = '\0';
    cx_peer_t p = fe_peer_new(rig.e[0], CX_ID_PSK, DBT_ACCOUNT, name, 1, 1);
    ck_assert_uint_eq(rig_wait(rig_post(0, p, "rd", query, RIG_LINKS))->code, CX_BAD_REQUEST);
    ck_assert_uint_eq(rig_wait(rig_post(0, p, "rd/0123456789abcdef", NULL, NULL))->code,
                      CX_NOT_FOUND);
    name[DEV_NAME_MAX] = '\0';
    p = fe_peer_new(rig.e[0], CX_ID_PSK, DBT_ACCOUNT, name, 1, 1);
    (void)rig_register(0, p, query);
    p = rig_peer(0, "node-1");
    for (unsigned i = 0; i < LWM2M_REG_QUERY_MAX; i++) {
        size_t len = strlen(query);
        (void)snprintf(query + len, sizeof query - len, "&k%u=v", i);
    }
    ck_assert_uint_eq(rig_wait(rig_post(0, p, "rd", query, RIG_LINKS))->code, CX_BAD_REQUEST);
}
END_TEST

START_TEST(a_link_list_is_limited)
{
    cx_peer_t p = rig_peer(0, "node-1");
    size_t cap = (size_t)(LWM2M_LINKS_MAX + 1) * 16;
    char *links = malloc(cap);
    size_t len = 0;

    ck_assert_ptr_nonnull(links);
    for (unsigned i = 0; i <= LWM2M_LINKS_MAX; i++) {
        len += (size_t)snprintf(links + len, cap - len, "%s</3303/%u>", i == 0 ? "" : ",", i);
    }
    ck_assert_uint_eq(rig_wait(rig_post(0, p, "rd", full_query, links))->code, CX_TOO_LARGE);
    free(links);
    ck_assert_uint_eq(lwm2m_shapes_count(rig_shard(0)->shapes), 0);
}
END_TEST

START_TEST(endpoint_types_are_kept_once_and_limited)
{
    struct dev_shard *s = rig_shard(0);
    char type[32];
    uint16_t first = dev_type_intern(s, "type-1");

    ck_assert_uint_ne(first, 0);
    for (unsigned i = 1; i < DEV_TYPES_MAX; i++) {
        (void)snprintf(type, sizeof type, "type-%u", i);
        ck_assert_uint_ne(dev_type_intern(s, type), 0);
    }
    ck_assert_uint_eq(dev_type_intern(s, "type-1"), first);
    ck_assert_uint_eq(dev_type_intern(s, "one too many"), 0);
    ck_assert_str_eq(dev_type_text(s, 0), "");
    cx_peer_t p = rig_peer(0, "node-1"); /* it may register all the same */
    (void)rig_register(0, p, "lt=60&lwm2m=1.1&b=U&et=new");
}
END_TEST

START_TEST(observations_of_a_device_are_limited)
{
    struct dev_reg reg = {0};
    unsigned n = 0;

    while (dev_obs_add(&reg) != NULL) {
        n++;
    }
    ck_assert_uint_ge(n, DEV_OBS_MAX);
    ck_assert_uint_le(n, DEV_OBS_MAX + DEV_OBS_MAX / 2);
    free(reg.obs);
}
END_TEST

static dr_err_t sub_err;

static void on_sub(struct dev_subscribe *sub, dr_err_t err)
{
    (void)sub;
    sub_err = err;
}

static dr_err_t subscribe(int64_t device, unsigned resource)
{
    char path[32], id[32];
    (void)snprintf(path, sizeof path, "/3303/0/%u", resource);
    (void)snprintf(id, sizeof id, "sub-%u", resource);
    struct dev_subscribe sub = {.account = DBT_ACCOUNT,
                                .device = device,
                                .key = 7,
                                .path = path,
                                .async_id = id,
                                .cb = on_sub};

    sub_err = DR_ERR_AGAIN;
    ck_assert_int_eq(dev_subscribe_start(rig.core, &sub), DR_OK);
    RIG_UNTIL(sub_err != DR_ERR_AGAIN);
    return sub_err;
}

START_TEST(subscriptions_of_a_device_are_limited)
{
    cx_peer_t p = rig_peer(0, "node-1");
    struct fe_exchange *reg = rig_register(0, p, full_query);

    for (unsigned i = 0; i < DEV_SUBSCRIPTIONS_MAX; i++) {
        ck_assert_int_eq(subscribe(rig_device(reg), i), DR_OK);
        RIG_UNTIL(fe_call(rig.e[0]) != NULL);
        fe_call_answer(rig.e[0], fe_call(rig.e[0]), FE_MSG(CX_CONTENT, .observe = FE_N(1)));
        RIG_UNTIL(rig_count(DEV_EVENT_ANSWER) > i);
    }
    ck_assert_int_eq(subscribe(rig_device(reg), DEV_SUBSCRIPTIONS_MAX), DR_ERR_LIMIT);
}
END_TEST

static void on_put(struct dev_presubscriptions_put *put, dr_err_t err)
{
    (void)put;
    (void)err;
    ck_abort_msg("refused, so it must not come back");
}

START_TEST(presubscriptions_are_limited)
{
    static const char *paths[DEV_PRESUBSCRIPTION_PATHS_MAX + 1];
    static struct dev_presubscription list[DEV_PRESUBSCRIPTIONS_MAX + 1];
    struct dev_presubscriptions_put put = {
        .account = DBT_ACCOUNT, .key = 7, .list = list, .cb = on_put};

    for (size_t i = 0; i < DR_ARRAY_LEN(paths); i++) {
        paths[i] = "/3/0";
    }
    list[0].paths = paths;
    list[0].n_paths = DR_ARRAY_LEN(paths);
    put.n = 1;
    ck_assert_int_eq(dev_presubscriptions_put_start(rig.core, &put), DR_ERR_RANGE);
    list[0].n_paths = 1;
    put.n = DR_ARRAY_LEN(list);
    ck_assert_int_eq(dev_presubscriptions_put_start(rig.core, &put), DR_ERR_LIMIT);
    rig_pause(5);
}
END_TEST

START_TEST(payloads_of_requests_are_limited)
{
    static uint8_t big[DEV_PAYLOAD_MAX + 1];
    cx_peer_t p = rig_peer(0, "node-1");
    struct fe_exchange *reg = rig_register(0, p, full_query);
    struct dev_request req = {.account = DBT_ACCOUNT,
                              .device = rig_device(reg),
                              .key = 7,
                              .async_id = "id-1",
                              .method = DEV_PUT,
                              .uri = "/3303/0/1",
                              .payload = {.p = big, .len = sizeof big},
                              .retry = 0,
                              .expiry_s = 60};

    ck_assert_int_eq(rig_ask(&req), DR_ERR_TOO_LARGE);
    req.payload.len--;
    ck_assert_int_eq(rig_ask(&req), DR_OK);
    RIG_UNTIL(fe_call(rig.e[0]) != NULL);
    ck_assert_uint_eq(fe_call(rig.e[0])->payload_len, DEV_PAYLOAD_MAX);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("devices: limits");
    TCase *tc = tcase_create("limits");

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, rig_setup, rig_teardown);
    tcase_add_test(tc, no_room_for_events_slows_devices_down);
    tcase_add_test(tc, operations_under_way_are_limited);
    tcase_add_test(tc, names_and_queries_are_limited);
    tcase_add_test(tc, a_link_list_is_limited);
    tcase_add_test(tc, endpoint_types_are_kept_once_and_limited);
    tcase_add_test(tc, observations_of_a_device_are_limited);
    tcase_add_test(tc, subscriptions_of_a_device_are_limited);
    tcase_add_test(tc, presubscriptions_are_limited);
    tcase_add_test(tc, payloads_of_requests_are_limited);
    suite_add_tcase(s, tc);
    return dbt_main(s);
}
