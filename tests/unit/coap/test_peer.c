/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/unit/coap/test_peer.c
 * @brief Handles, flows, limits, identities and the idle sweep of the peer table.
 */
#include <arpa/inet.h>
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "coap/peer.h"

static struct cx_flow flow_of(uint32_t n)
{
    union cx_addr remote = {.in4 = {.sin_family = AF_INET,
                                    .sin_port = htons(5683),
                                    .sin_addr.s_addr = htonl(0x0a000000 + n)}};
    union cx_addr local = {.in4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)}};
    struct cx_flow flow;

    cx_flow_set(&flow, 1, &remote, &local);
    return flow;
}

static struct cx_peer *add(struct cx_peers *t, uint32_t n)
{
    struct cx_flow flow = flow_of(n);
    struct cx_peer *p;

    ck_assert_int_eq(cx_peer_new(t, &flow, NULL, &p), DR_OK);
    ck_assert_int_eq(cx_peer_link(t, p), DR_OK);
    return p;
}

static void drop(struct cx_peers *t, struct cx_peer *p)
{
    cx_peer_unlink(t, p);
    cx_peer_free(t, p);
}

START_TEST(a_peer_is_found_by_flow_while_it_lives)
{
    struct cx_peers t;
    struct cx_flow flow = flow_of(1);
    struct cx_peer *p;

    ck_assert_int_eq(cx_peers_init(&t, 10), DR_OK);
    ck_assert_int_eq(cx_peer_new(&t, &flow, NULL, &p), DR_OK);
    ck_assert_ptr_null(cx_peer_find(&t, &flow));
    ck_assert_int_eq(cx_peer_link(&t, p), DR_OK);
    ck_assert_ptr_eq(cx_peer_find(&t, &flow), p);

    struct cx_flow other = flow;
    other.sock = 2;
    ck_assert_ptr_null(cx_peer_find(&t, &other));
    other = flow;
    other.local[15] ^= 1;
    ck_assert_ptr_null(cx_peer_find(&t, &other));

    cx_peer_unlink(&t, p);
    ck_assert_ptr_null(cx_peer_find(&t, &flow));
    ck_assert_ptr_eq(cx_peer_get(&t, cx_peer_handle(&t, p)), p);
    cx_peer_free(&t, p);
    cx_peers_fini(&t);
}
END_TEST

START_TEST(a_handle_is_never_good_for_another_peer)
{
    struct cx_peers t;
    cx_peer_t old[50];

    ck_assert_int_eq(cx_peers_init(&t, 4), DR_OK);
    for (int i = 0; i < 50; i++) {
        struct cx_peer *p = add(&t, 7);

        old[i] = cx_peer_handle(&t, p);
        for (int k = 0; k < i; k++) {
            ck_assert_ptr_null(cx_peer_get(&t, old[k]));
        }
        drop(&t, p);
        ck_assert_ptr_null(cx_peer_get(&t, old[i]));
    }
    ck_assert_ptr_null(cx_peer_get(&t, 0));
    ck_assert_ptr_null(cx_peer_get(&t, UINT64_MAX));
    cx_peers_fini(&t);
}
END_TEST

START_TEST(the_limit_is_reached_and_left_again)
{
    struct cx_peers t;
    struct cx_flow flow = flow_of(99);
    struct cx_identity id = {.kind = CX_ID_PSK, .name = "x"};
    struct cx_peer *p[5];
    struct cx_peer *none = (struct cx_peer *)&id;

    ck_assert_int_eq(cx_peers_init(&t, 5), DR_OK);
    for (uint32_t i = 0; i < 5; i++) {
        p[i] = add(&t, i);
    }
    struct cx_ident *ident = cx_ident_new(&id);
    ck_assert_int_eq(cx_peer_new(&t, &flow, ident, &none), DR_ERR_LIMIT);
    ck_assert_ptr_eq(none, &id);
    cx_ident_free(ident);
    drop(&t, p[3]);
    ck_assert_uint_eq(t.linked, 4);
    (void)add(&t, 3);
    cx_peers_fini(&t);
}
END_TEST

START_TEST(an_identity_is_kept_with_its_name)
{
    struct cx_peers t;
    struct cx_flow flow = flow_of(1);
    char name[] = "dev-17";
    struct cx_identity id = {
        .kind = CX_ID_PSK, .account = 5, .credential = 6, .version = 7, .name = name};
    struct cx_peer *p;

    ck_assert_int_eq(cx_peers_init(&t, 5), DR_OK);
    ck_assert_int_eq(cx_peer_new(&t, &flow, cx_ident_new(&id), &p), DR_OK);
    name[0] = 'x';
    ck_assert_str_eq(p->ident->name, "dev-17");
    ck_assert_int_eq(p->ident->account, 5);
    ck_assert_uint_eq(p->ident->version, 7);
    cx_peers_fini(&t);
}
END_TEST

static void count_visit(void *data, struct cx_peer *p)
{
    unsigned *visits = data;

    visits[p->user]++;
}

START_TEST(the_sweep_visits_everyone_in_turn)
{
    struct cx_peers t;
    unsigned visits[100] = {0};

    ck_assert_int_eq(cx_peers_init(&t, 100), DR_OK);
    for (uint32_t i = 0; i < 100; i++) {
        add(&t, i)->user = i;
    }
    for (int k = 0; k < 11; k++) {
        cx_peers_sweep(&t, 10, count_visit, visits);
    }
    for (int i = 0; i < 100; i++) {
        ck_assert_uint_ge(visits[i], 1);
        ck_assert_uint_le(visits[i], 2);
    }
    cx_peers_fini(&t);
}
END_TEST

static void drop_visited(void *data, struct cx_peer *p)
{
    drop(data, p);
}

START_TEST(peers_may_be_freed_in_the_sweep)
{
    struct cx_peers t;

    ck_assert_int_eq(cx_peers_init(&t, 1000), DR_OK);
    for (uint32_t i = 0; i < 1000; i++) {
        (void)add(&t, i);
    }
    cx_peers_sweep(&t, 600, drop_visited, &t);
    ck_assert_uint_eq(t.linked, 400);
    cx_peers_sweep(&t, 600, drop_visited, &t);
    ck_assert_uint_eq(t.linked, 0);
    cx_peers_fini(&t);
}
END_TEST

START_TEST(a_peer_costs_what_the_budget_says)
{
    ck_assert_uint_le(sizeof(struct cx_peer), 112);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("coap/peer");
    TCase *table = tcase_create("table");

    tcase_add_test(table, a_peer_is_found_by_flow_while_it_lives);
    tcase_add_test(table, a_handle_is_never_good_for_another_peer);
    tcase_add_test(table, the_limit_is_reached_and_left_again);
    tcase_add_test(table, an_identity_is_kept_with_its_name);
    tcase_add_test(table, the_sweep_visits_everyone_in_turn);
    tcase_add_test(table, peers_may_be_freed_in_the_sweep);
    tcase_add_test(table, a_peer_costs_what_the_budget_says);
    suite_add_tcase(suite, table);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed;
}
