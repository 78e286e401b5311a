/* SPDX-License-Identifier: Apache-2.0 */
/** Requests of devices for other parts of the server: who asks is known, answers come now, later or
 * never. */
#include "devices/route.h"
#include "tests/integ/devices/rig.h"

static struct {
    struct loop_msg msg;
    struct dev_route_to to;
    unsigned calls, seen_on_control;
    int64_t account, device;
    char endpoint[DEV_NAME_MAX + 1], body[64], second[32];
    enum { NOW, LATER, THERE_AND_BACK, FORGET } how;
} got;

static void back_on_shard(struct loop_msg *msg)
{
    (void)msg;
    dev_route_refuse(&got.to, CX_CHANGED);
}

static void on_control(struct loop_msg *msg)
{
    got.seen_on_control++;
    loop_post(got.to.home->loop, msg, back_on_shard);
}

static void handler(void *ctx, const struct dev_route_req *req)
{
    struct cx_opt seg;

    ck_assert_ptr_eq(ctx, &got);
    got.calls++;
    got.to = req->to;
    got.account = req->account;
    got.device = req->device;
    (void)snprintf(got.endpoint, sizeof got.endpoint, "%s", req->endpoint);
    (void)snprintf(got.body, sizeof got.body, "%.*s", (int)req->pdu->payload_len,
                   req->pdu->payload_len == 0 ? "" : (const char *)req->pdu->payload);
    if (dev_route_segment(req->pdu, 1, &seg)) {
        (void)snprintf(got.second, sizeof got.second, "%.*s", seg.len, (const char *)seg.val);
    }
    switch (got.how) {
    case NOW:
        dev_route_answer(&req->to, &(struct cx_reply){.code = CX_CONTENT});
        break;
    case LATER:
        dev_route_later(&req->to, 5);
        break;
    case THERE_AND_BACK:
        loop_post(rig.control, &got.msg, on_control);
        break;
    case FORGET:
        dev_route_forget(&req->to);
        break;
    }
}

static void add_route(void *ctx)
{
    (void)ctx;
    ck_assert_int_eq(dev_core_route(rig.core, "est", handler, &got), DR_OK);
}

static void setup(void)
{
    memset(&got, 0, sizeof got);
    rig_setup();
    fe_on_loop(rig.control, add_route, NULL);
}

static struct fe_exchange *ask(unsigned shard, cx_peer_t peer)
{
    return fe_request(rig.e[shard], peer,
                      FE_MSG(CX_POST, .path = "est/main/sen", .payload = "csr", .len = 3));
}

START_TEST(one_that_is_not_registered_is_known_by_its_credential)
{
    struct fe_exchange *x = ask(0, rig_peer(0, "node-1"));

    ck_assert(x->answered);
    ck_assert_uint_eq(x->code, CX_CONTENT);
    ck_assert_int_eq(got.account, DBT_ACCOUNT);
    ck_assert_int_eq(got.device, 0);
    ck_assert_str_eq(got.endpoint, "node-1");
    ck_assert_str_eq(got.body, "csr");
    ck_assert_str_eq(got.second, "main");
}
END_TEST

START_TEST(a_registered_device_is_known_by_its_id)
{
    cx_peer_t p = rig_peer(1, "node-2");
    int64_t device = rig_device(rig_register(1, p, "ep=node-2&lt=300&lwm2m=1.1&b=U"));

    ck_assert_uint_eq(ask(1, p)->code, CX_CONTENT);
    ck_assert_int_eq(got.device, device);
    ck_assert_str_eq(got.endpoint, "node-2");
}
END_TEST

START_TEST(plain_coap_has_no_account_unless_it_is_let_in)
{
    cx_peer_t p = fe_peer_new(rig.e[0], CX_ID_NONE, 0, "", 0, 0);

    ck_assert_uint_eq(ask(0, p)->code, CX_CONTENT);
    ck_assert_int_eq(got.account, 0);
    ck_assert_str_eq(got.endpoint, "");
}
END_TEST

START_TEST(an_answer_may_come_from_another_loop)
{
    got.how = THERE_AND_BACK;
    struct fe_exchange *x = ask(0, rig_peer(0, "node-1"));

    ck_assert(x->open);
    ck_assert_uint_eq(rig_wait(x)->code, CX_CHANGED);
    ck_assert_uint_eq(got.seen_on_control, 1);
}
END_TEST

START_TEST(later_and_never)
{
    got.how = LATER;
    ck_assert_uint_eq(ask(0, rig_peer(0, "node-1"))->code, CX_UNAVAILABLE);
    got.how = FORGET;
    struct fe_exchange *x = ask(0, rig_peer(0, "node-1"));
    ck_assert(x->forgotten && !x->answered);
}
END_TEST

START_TEST(other_paths_are_not_found)
{
    static const char *const paths[] = {"es", "estimate", "fw/1", ""};

    for (size_t i = 0; i < DR_ARRAY_LEN(paths); i++) {
        struct fe_exchange *x =
            fe_request(rig.e[0], rig_peer(0, "node-1"), FE_MSG(CX_GET, .path = paths[i]));
        ck_assert_uint_eq(x->code, CX_NOT_FOUND);
    }
    ck_assert_uint_eq(got.calls, 0);
}
END_TEST

START_TEST(an_answer_behind_the_end_goes_nowhere)
{
    got.how = FORGET; /* keep the handle, answer by hand */
    (void)ask(0, rig_peer(0, "node-1"));
    struct dev_route_to to = got.to;
    fe_on_loop(rig.control, rig_stop_run, NULL);
    RIG_UNTIL(rig.stopped);
    ck_assert_ptr_null(to.home->engine);
    dev_route_refuse(&to, CX_CONTENT);
    unsigned calls = got.calls;
    struct fe_exchange *x = ask(0, rig_peer(0, "node-1"));
    ck_assert(x->forgotten);
    ck_assert_uint_eq(got.calls, calls);
    rig_free();
    dbt_teardown();
}
END_TEST

START_TEST(tables_have_limits_and_names_are_checked)
{
    struct dev_routes t = {.n = 0};
    char name[40];

    ck_assert_int_eq(dev_routes_add(&t, "", handler, NULL), DR_ERR_INVAL);
    ck_assert_int_eq(dev_routes_add(&t, "a/b", handler, NULL), DR_ERR_INVAL);
    memset(name, 'n', sizeof name);
    name[DEV_ROUTE_PREFIX_MAX + 1] = '\0';
    ck_assert_int_eq(dev_routes_add(&t, name, handler, NULL), DR_ERR_INVAL);
    ck_assert_int_eq(dev_routes_add(&t, "rd", handler, NULL), DR_ERR_EXISTS);
    name[DEV_ROUTE_PREFIX_MAX] = '\0';
    ck_assert_int_eq(dev_routes_add(&t, name, handler, NULL), DR_OK);
    ck_assert_int_eq(dev_routes_add(&t, name, handler, NULL), DR_ERR_EXISTS);
    for (unsigned i = 1; i < DEV_ROUTES_MAX; i++) {
        (void)snprintf(name, sizeof name, "p%u", i);
        ck_assert_int_eq(dev_routes_add(&t, name, handler, NULL), DR_OK);
    }
    ck_assert_int_eq(dev_routes_add(&t, "more", handler, NULL), DR_ERR_LIMIT);
    ck_assert_uint_eq(t.n, DEV_ROUTES_MAX);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("routes");
    TCase *tc = tcase_create("routes");
    TCase *ends = tcase_create("end");

    tcase_add_checked_fixture(tc, setup, rig_teardown);
    tcase_add_test(tc, one_that_is_not_registered_is_known_by_its_credential);
    tcase_add_test(tc, a_registered_device_is_known_by_its_id);
    tcase_add_test(tc, plain_coap_has_no_account_unless_it_is_let_in);
    tcase_add_test(tc, an_answer_may_come_from_another_loop);
    tcase_add_test(tc, later_and_never);
    tcase_add_test(tc, other_paths_are_not_found);
    tcase_add_checked_fixture(ends, setup, NULL);
    tcase_add_test(ends, an_answer_behind_the_end_goes_nowhere);
    suite_add_tcase(suite, tc);
    suite_add_tcase(suite, ends);
    TCase *tables = tcase_create("tables");
    tcase_add_test(tables, tables_have_limits_and_names_are_checked);
    suite_add_tcase(suite, tables);
    return dbt_main(suite);
}
