/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/log.h"
#include "base/sm.h"
#include "tests/unit/run.h"

enum { DOOR_SHUT, DOOR_OPEN, DOOR_GONE, DOOR_BROKEN };

static const struct dr_sm_state door_states[] = {
    [DOOR_SHUT] = {.name = "shut", .to = DR_SM_TO(DOOR_OPEN) | DR_SM_TO(DOOR_BROKEN)},
    [DOOR_OPEN] = {.name = "open", .to = DR_SM_TO(DOOR_SHUT) | DR_SM_TO(DOOR_GONE)},
    [DOOR_GONE] = {.name = "gone", .final = true},
    [DOOR_BROKEN] = {.name = "broken", .final = true, .failure = true},
};

static bool door_holds(const void *obj, uint8_t state)
{
    const bool *locked = obj;

    return locked == NULL || !*locked || state == DOOR_SHUT;
}

static const struct dr_sm door = {"door", door_states, DR_ARRAY_LEN(door_states), door_holds};

static char last_line[DR_LOG_LINE_MAX];

static void keep_line(void *ctx, enum dr_log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    (void)snprintf(last_line, sizeof last_line, "%s", line);
}

START_TEST(allowed_moves_are_made_and_traced)
{
    uint8_t state = DOOR_SHUT;

    dr_log_set_hook(keep_line, NULL);
    dr_sm_move(&door, &state, DOOR_OPEN, NULL);
    ck_assert_uint_eq(state, DOOR_OPEN);
    ck_assert_str_eq(last_line, "");
    dr_log_trace("wave,door");
    dr_sm_move(&door, &state, DOOR_GONE, NULL);
    ck_assert_ptr_nonnull(strstr(last_line, "mod=door msg=moves from=open to=gone"));
    dr_log_trace(NULL);
    dr_log_set_hook(NULL, NULL);
}
END_TEST

START_TEST(the_table_answers_questions)
{
    uint8_t state = 77;

    ck_assert(dr_sm_allowed(&door, DOOR_SHUT, DOOR_BROKEN));
    ck_assert(!dr_sm_allowed(&door, DOOR_GONE, DOOR_SHUT));
    ck_assert(!dr_sm_allowed(&door, DOOR_SHUT, DOOR_SHUT));
    ck_assert_str_eq(dr_sm_state_name(&door, DOOR_BROKEN), "broken");
    ck_assert(dr_sm_is_final(&door, DOOR_GONE) && !dr_sm_is_final(&door, DOOR_OPEN));
    ck_assert(dr_sm_is_failure(&door, DOOR_BROKEN) && !dr_sm_is_failure(&door, DOOR_GONE));
    ck_assert_int_eq(dr_sm_state_find(&door, "ajar", &state), DR_ERR_NOT_FOUND);
    ck_assert_uint_eq(state, 77);
    ck_assert_int_eq(dr_sm_state_find(&door, "open", &state), DR_OK);
    ck_assert_uint_eq(state, DOOR_OPEN);
}
END_TEST

START_TEST(a_move_that_is_not_allowed_aborts)
{
    uint8_t state = DOOR_GONE;

    dr_sm_move(&door, &state, DOOR_OPEN, NULL);
}
END_TEST

START_TEST(a_broken_invariant_aborts)
{
    uint8_t state = DOOR_SHUT;
    bool locked = true;

    dr_sm_move(&door, &state, DOOR_OPEN, &locked);
}
END_TEST

struct thing {
    int n;
    struct dr_list node;
};

static void check_order(struct dr_list *head, const char *want)
{
    char got[16] = "";
    size_t len = 0;

    DR_LIST_EACH(it, head)
    {
        ck_assert_ptr_eq(it->next->prev, it);
        got[len++] = (char)('0' + DR_CONTAINER_OF(it, struct thing, node)->n);
    }
    ck_assert_str_eq(got, want);
}

START_TEST(a_list_keeps_its_order)
{
    struct thing t[6] = {{.n = 0}, {.n = 1}, {.n = 2}, {.n = 3}, {.n = 4}, {.n = 5}};
    struct dr_list a;
    struct dr_list b;

    dr_list_init(&a);
    dr_list_init(&b);
    ck_assert(dr_list_empty(&a) && dr_list_pop_front(&a) == NULL);
    ck_assert_ptr_null(DR_LIST_FIRST(&a, struct thing, node));
    for (int i = 0; i < 6; i++) {
        ck_assert(!dr_list_linked(&t[i].node));
        dr_list_push_back(i < 3 ? &a : &b, &t[i].node);
        ck_assert(dr_list_linked(&t[i].node));
    }
    dr_list_remove(&t[1].node);
    dr_list_remove(&t[1].node);
    dr_list_push_front(&b, &t[1].node);
    check_order(&a, "02");
    check_order(&b, "1345");
    dr_list_splice(&a, &b);
    check_order(&a, "021345");
    check_order(&b, "");
    dr_list_splice(&a, &b);
    dr_list_splice(&b, &a);
    check_order(&b, "021345");
    ck_assert_int_eq(DR_LIST_FIRST(&b, struct thing, node)->n, 0);
    DR_LIST_EACH_SAFE(it, &b)
    {
        if (DR_CONTAINER_OF(it, struct thing, node)->n % 2 == 0) {
            dr_list_remove(it);
        }
    }
    check_order(&b, "135");
    ck_assert_ptr_eq(dr_list_pop_front(&b), &t[1].node);
    struct thing never = {.n = 9};
    dr_list_remove(&never.node); /* zeroed: on no list */
    ck_assert(!dr_list_linked(&never.node));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("base/sm, base/list");
    TCase *tc = add_case(s, "sm");
    const char *fork_mode = getenv("CK_FORK");

    tcase_add_test(tc, allowed_moves_are_made_and_traced);
    tcase_add_test(tc, the_table_answers_questions);
    if (fork_mode == NULL || strcmp(fork_mode, "no") != 0) {
        tcase_add_test_raise_signal(tc, a_move_that_is_not_allowed_aborts, SIGABRT);
        tcase_add_test_raise_signal(tc, a_broken_invariant_aborts, SIGABRT);
    }
    tc = add_case(s, "list");
    tcase_add_test(tc, a_list_keeps_its_order);
    return run_suite(s);
}
