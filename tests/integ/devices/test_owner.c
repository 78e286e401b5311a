/* SPDX-License-Identifier: Apache-2.0 */
/** A device that appears on another shard, at every moment of an operation. */
#include "tests/integ/devices/rig.h"

static const char full_query[] = "ep=node-1&lt=300&lwm2m=1.1&b=U";

START_TEST(register_on_another_shard_takes_the_device_along)
{
    cx_peer_t p = rig_peer(0, "node-1");
    struct fe_exchange one = *rig_register(0, p, full_query);
    int64_t generation = rig_row("node-1").generation;
    cx_peer_t q = rig_peer(1, "node-1");
    struct fe_exchange *two = rig_register(1, q, full_query);

    ck_assert_str_eq(one.location, two->location);
    ck_assert_int_gt(rig_row("node-1").generation, generation);
    rig_pause(5);
    ck_assert_uint_eq(rig_held(0), 0);
    ck_assert_uint_eq(rig_held(1), 1);
    ck_assert(!fe_peer_alive(rig.e[0], p));
    /* and back */
    p = rig_peer(0, "node-1");
    (void)rig_register(0, p, full_query);
    rig_pause(5);
    ck_assert_uint_eq(rig_held(0), 1);
    ck_assert_uint_eq(rig_held(1), 0);
}
END_TEST

START_TEST(update_on_another_shard_takes_the_registration_along)
{
    cx_peer_t p = rig_peer(0, "node-1");
    struct fe_exchange one = *rig_register(0, p, full_query);
    int64_t generation = rig_row("node-1").generation;
    cx_peer_t q = rig_peer(1, "node-1");
    struct fe_exchange *x = rig_wait(rig_post(1, q, one.location, NULL, NULL));

    ck_assert_uint_eq(x->code, CX_CHANGED);
    ck_assert_int_gt(rig_row("node-1").generation,
                     generation); /* what the old one wrote is stale */
    rig_pause(5);
    ck_assert_uint_eq(rig_held(0), 0);
    ck_assert_uint_eq(rig_held(1), 1);
    x = rig_post(1, q, one.location, NULL, NULL);
    ck_assert(!x->open);
    ck_assert_uint_eq(
        rig_wait(fe_request(rig.e[1], q, FE_MSG(CX_DELETE, .path = one.location)))->code,
        CX_DELETED);
}
END_TEST

START_TEST(calls_to_a_device_that_moves_are_repeated_there)
{
    cx_peer_t p = rig_peer(0, "node-1");
    struct fe_exchange one = *rig_register(0, p, full_query);
    struct dev_request req = {.account = DBT_ACCOUNT,
                              .device = rig_device(&one),
                              .key = 5,
                              .async_id = "a1",
                              .method = DEV_GET,
                              .uri = "/3/0/0",
                              .retry = -1,
                              .expiry_s = -1};
    ck_assert_int_eq(rig_ask(&req), DR_OK);
    RIG_UNTIL(fe_call(rig.e[0]) != NULL);
    cx_peer_t q = rig_peer(1, "node-1");
    ck_assert_uint_eq(rig_wait(rig_post(1, q, one.location, NULL, NULL))->code, CX_CHANGED);
    RIG_UNTIL(fe_call(rig.e[1]) != NULL);
    ck_assert_ptr_null(fe_call(rig.e[0]));
    fe_call_answer(rig.e[1], fe_call(rig.e[1]), FE_MSG(CX_CONTENT, .payload = "maker", .len = 5));
    RIG_UNTIL(rig_count(DEV_EVENT_ANSWER) == 1);
    ck_assert_int_eq(rig_event_of(DEV_EVENT_ANSWER, 0)->status, 200);
    ck_assert_str_eq(rig_event_of(DEV_EVENT_ANSWER, 0)->payload, "maker");
}
END_TEST

/* The jump comes after @p _i pumps of single loops: while claiming, loading, committing, done. */
static void pump_once(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        loop_run_once(rig.loops[i % RIG_SHARDS], false);
        (void)poll(NULL, 0, i > 3 ? 1 : 0);
    }
}

START_TEST(a_jump_in_the_middle_of_a_registration_ends_with_one_holder)
{
    cx_peer_t p = rig_peer(0, "node-1");
    struct fe_exchange *one = rig_post(0, p, "rd", full_query, RIG_LINKS);

    pump_once((unsigned)_i);
    cx_peer_t q = rig_peer(1, "node-1");
    struct fe_exchange *two = rig_post(1, q, "rd", full_query, RIG_LINKS);
    rig_wait(one);
    rig_wait(two);
    ck_assert_uint_eq(one->code, CX_CREATED);
    ck_assert_uint_eq(two->code, CX_CREATED);
    ck_assert_str_eq(one->location, two->location);
    rig_pause(10);
    ck_assert_uint_eq(rig_held(0) + rig_held(1), 1);
    ck_assert_uint_eq(rig_held(1), 1); /* who came last */
    ck_assert_uint_eq(rig_wait(rig_post(1, q, two->location, NULL, NULL))->code, CX_CHANGED);
    ck_assert(rig_row("node-1").registered);
    ck_assert_int_eq(
        rig_row("node-1").generation,
        dev_reg_at(rig_shard(1), dev_reg_by_device(rig_shard(1), rig_device(two)))->generation);
}
END_TEST

START_TEST(a_jump_forth_and_back_ends_with_one_holder)
{
    cx_peer_t p = rig_peer(0, "node-1");
    cx_peer_t q = rig_peer(1, "node-1");
    struct fe_exchange reg = *rig_register(0, p, full_query);
    struct fe_exchange *a = rig_post(1, q, reg.location, NULL, NULL);

    pump_once((unsigned)_i);
    cx_peer_t r = rig_peer(0, "node-1");
    struct fe_exchange *b = rig_post(0, r, reg.location, NULL, NULL);
    pump_once((unsigned)_i / 2);
    struct fe_exchange *c = rig_post(1, q, reg.location, "lt=400", NULL);
    rig_wait(a);
    rig_wait(b);
    rig_wait(c);
    ck_assert(a->answered && a->code == CX_CHANGED);
    ck_assert(b->forgotten || b->code == CX_CHANGED);
    ck_assert(c->forgotten || c->code == CX_CHANGED);
    rig_pause(10);
    ck_assert_uint_eq(rig_held(0) + rig_held(1), 1);
    /* whoever is asked now answers, and nobody says 4.04 */
    q = rig_peer(1, "node-1");
    ck_assert_uint_eq(rig_wait(rig_post(1, q, reg.location, NULL, NULL))->code, CX_CHANGED);
    r = rig_peer(0, "node-1");
    ck_assert_uint_eq(rig_wait(rig_post(0, r, reg.location, NULL, NULL))->code, CX_CHANGED);
    ck_assert_uint_eq(rig_held(0), 1);
    ck_assert_uint_eq(rig_held(1), 0);
}
END_TEST

static unsigned deleted;

static void on_deleted(struct dev_delete *del, dr_err_t err)
{
    (void)del;
    ck_assert(err == DR_OK || err == DR_ERR_NOT_FOUND);
    deleted++;
}

START_TEST(delete_in_the_middle_of_a_jump_leaves_row_and_memory_in_accord)
{
    cx_peer_t p = rig_peer(0, "node-1");
    struct fe_exchange reg = *rig_register(0, p, full_query);
    struct dev_delete del = {.account = DBT_ACCOUNT, .device = rig_device(&reg), .cb = on_deleted};
    cx_peer_t q = rig_peer(1, "node-1");
    struct fe_exchange *x = rig_post(1, q, reg.location, NULL, NULL);

    deleted = 0;
    pump_once((unsigned)_i);
    ck_assert_int_eq(dev_delete_start(rig.core, &del), DR_OK);
    RIG_UNTIL(deleted == 1);
    rig_wait(x);
    ck_assert(x->code == CX_CHANGED || x->code == CX_NOT_FOUND || x->forgotten);
    rig_pause(20);
    ck_assert(!rig_row("node-1").found);
    ck_assert_uint_eq(rig_held(0) + rig_held(1), 0);
    q = rig_peer(1, "node-1");
    ck_assert_uint_eq(rig_wait(rig_post(1, q, reg.location, NULL, NULL))->code, CX_NOT_FOUND);
    (void)rig_register(1, q, full_query);
}
END_TEST

START_TEST(many_devices_jump_and_none_is_lost)
{
    char endpoint[16], query[64];
    struct fe_exchange *regs[10];

    for (unsigned i = 0; i < 10; i++) {
        (void)snprintf(endpoint, sizeof endpoint, "node-%u", i);
        (void)snprintf(query, sizeof query, "lt=300&lwm2m=1.1&b=U");
        regs[i] = rig_post(i % 2, rig_peer(i % 2, endpoint), "rd", query, RIG_LINKS);
    }
    for (unsigned i = 0; i < 10; i++) {
        ck_assert_uint_eq(rig_wait(regs[i])->code, CX_CREATED);
    }
    struct fe_exchange *ups[10];
    for (unsigned i = 0; i < 10; i++) {
        (void)snprintf(endpoint, sizeof endpoint, "node-%u", i);
        unsigned to = (i + 1) % 2;
        ups[i] = rig_post(to, rig_peer(to, endpoint), regs[i]->location, NULL, NULL);
    }
    for (unsigned i = 0; i < 10; i++) {
        ck_assert_uint_eq(rig_wait(ups[i])->code, CX_CHANGED);
    }
    rig_pause(5);
    ck_assert_uint_eq(rig_held(0), 5);
    ck_assert_uint_eq(rig_held(1), 5);
    uint32_t owners = rig_shard(0)->owners.count + rig_shard(1)->owners.count;
    ck_assert_uint_eq(owners, 10);
}
END_TEST

START_TEST(the_home_forgets_what_nobody_holds)
{
    cx_peer_t p = rig_peer(0, "node-1");
    struct fe_exchange *reg = rig_register(0, p, full_query);

    ck_assert_uint_eq(
        rig_wait(fe_request(rig.e[0], p, FE_MSG(CX_DELETE, .path = reg->location)))->code,
        CX_DELETED);
    rig_pause(5);
    ck_assert_uint_eq(rig_shard(0)->owners.count + rig_shard(1)->owners.count, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("devices: owners");
    TCase *tc = tcase_create("jump");

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, rig_setup, rig_teardown);
    tcase_add_test(tc, register_on_another_shard_takes_the_device_along);
    tcase_add_test(tc, update_on_another_shard_takes_the_registration_along);
    tcase_add_test(tc, calls_to_a_device_that_moves_are_repeated_there);
    tcase_add_loop_test(tc, a_jump_in_the_middle_of_a_registration_ends_with_one_holder, 0, 12);
    tcase_add_loop_test(tc, a_jump_forth_and_back_ends_with_one_holder, 0, 12);
    tcase_add_loop_test(tc, delete_in_the_middle_of_a_jump_leaves_row_and_memory_in_accord, 0, 12);
    tcase_add_test(tc, many_devices_jump_and_none_is_lost);
    tcase_add_test(tc, the_home_forgets_what_nobody_holds);
    suite_add_tcase(s, tc);
    return dbt_main(s);
}
