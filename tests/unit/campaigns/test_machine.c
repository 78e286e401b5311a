/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/unit/campaigns/test_machine.c
 * @brief Every input in every state that matters: where it leads, what is done, what is never done.
 */
#include "campaigns/machine.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/run.h"

#define NOW 1700000000000

static const struct camp_policy policy = {.admit_s = 60,
                                          .deliver_s = 300,
                                          .check_s = 120,
                                          .consent_s = 1000,
                                          .download_s = 3600,
                                          .install_s = 1800,
                                          .away_poll_s = 300,
                                          .resume_s = 15,
                                          .retry_max = 2,
                                          .retry_backoff_s = 60};

static struct camp_row row_of(int64_t status)
{
    struct camp_row row = {0};

    row.d.status = status;
    row.d.mech = CAMP_MECH_PELION;
    row.d.live = status < CAMP_SUCCEEDED && status != CAMP_QUEUED;
    row.d.delivered = status >= CAMP_DELIVERED && status <= CAMP_VERIFYING;
    camp_row_bind(&row);
    return row;
}

static const struct camp_report idle = {.at = CAMP_AT_IDLE, .has_target = true, .version = "1"};
static const struct camp_report target = {
    .at = CAMP_AT_IDLE, .has_target = true, .at_target = true, .version = "2"};
static const struct camp_report checking = {.at = CAMP_AT_CHECKING, .code = "UPD2_STATE_2"};
static const struct camp_report loading = {.at = CAMP_AT_DOWNLOADING, .code = "UPD2_STATE_4"};
static const struct camp_report loaded = {.at = CAMP_AT_DOWNLOADED, .code = "UPD1_STATE_2"};
static const struct camp_report installing = {.at = CAMP_AT_INSTALLING, .code = "UPD2_STATE_7"};
static const struct camp_report ask = {.at = CAMP_AT_ASK_DOWNLOAD, .code = "UPD2_STATE_3"};
static const struct camp_report refused = {
    .has_result = true, .result = 23, .fail = CAMP_FAIL_REJECTED, .code = "UPD2_FAIL_23"};
static const struct camp_report lost = {
    .has_result = true, .result = 24, .fail = CAMP_FAIL_TRANSIENT, .code = "UPD2_FAIL_24"};
static const struct camp_report done = {
    .at = CAMP_AT_IDLE, .has_result = true, .result_ok = true, .result = 1, .code = "UPD1_OK_1"};

#define IN(k)                                                                                      \
    {                                                                                              \
        .kind = CAMP_IN_##k, .mech = CAMP_MECH_PELION, .slot_free = true                           \
    }
#define OBJECT5(k)                                                                                 \
    {                                                                                              \
        .kind = CAMP_IN_##k, .mech = CAMP_MECH_OBJECT5, .may_install = true                        \
    }
#define AWAY                                                                                       \
    {                                                                                              \
        .kind = CAMP_IN_OP_FAILED, .away = true                                                    \
    }
#define NO(f)                                                                                      \
    {                                                                                              \
        .kind = CAMP_IN_OP_FAILED, .fail = CAMP_FAIL_##f, .code = "SYS_101"                        \
    }
#define HARD                                                                                       \
    {                                                                                              \
        .kind = CAMP_IN_CANCEL, .hard = true                                                       \
    }
#define READ    CAMP_OP_READ
#define DELIVER CAMP_OP_DELIVER

static const struct {
    const char *why;
    int64_t from;
    struct camp_input in;
    const struct camp_report *report;
    int64_t op, registrations, attempt; /* before */
    int64_t to, to_op;                  /* to 0 = nothing changes */
    const char *code;
} cases[] = {
    {"its turn", CAMP_QUEUED, IN(ADMIT), NULL, 0, 0, 0, CAMP_ADMITTED, READ, "SYS_113"},
    {"again", CAMP_RETRY_WAIT, IN(ADMIT), NULL, 0, 0, 1, CAMP_ADMITTED, READ, NULL},
    {"admitted twice", CAMP_DOWNLOADING, IN(ADMIT), NULL, 0, 0, 0, 0, 0, NULL},
    {"idle, old", CAMP_ADMITTED, IN(READ), &idle, READ, 0, 0, CAMP_DELIVERING, DELIVER, NULL},
    {"has it", CAMP_ADMITTED, IN(READ), &target, READ, 0, 0, CAMP_SKIPPED, 0, "SYS_110"},
    {"busy", CAMP_ADMITTED, IN(READ), &loading, READ, 0, 0, CAMP_RETRY_WAIT, 0, NULL},
    {"busy, object 5", CAMP_ADMITTED, OBJECT5(READ), &loading, READ, 0, 0, CAMP_ADMITTED,
     CAMP_OP_RESET, NULL},
    {"reset", CAMP_ADMITTED, IN(OP_OK), NULL, CAMP_OP_RESET, 0, 0, CAMP_DELIVERING, DELIVER, NULL},
    {"old failure", CAMP_ADMITTED, IN(READ), &refused, READ, 0, 0, CAMP_DELIVERING, DELIVER, NULL},
    {"no object", CAMP_ADMITTED, NO(NO_OBJECT), NULL, READ, 0, 0, CAMP_SKIPPED, 0, "SYS_118"},
    {"taken", CAMP_DELIVERING, IN(OP_OK), NULL, DELIVER, 0, 0, CAMP_DELIVERED, 0, "SYS_115"},
    {"state before answer", CAMP_DELIVERING, IN(NOTE), &loading, DELIVER, 0, 0, CAMP_DOWNLOADING, 0,
     "UPD2_STATE_4"},
    {"result before answer", CAMP_DELIVERING, IN(NOTE), &refused, DELIVER, 0, 0, CAMP_FAILED, 0,
     "UPD2_FAIL_23"},
    {"failure before answer", CAMP_DELIVERING, IN(NOTE), &lost, DELIVER, 0, 0, CAMP_RETRY_WAIT, 0,
     "UPD2_FAIL_24"},
    {"refused for now", CAMP_DELIVERING, NO(TRANSIENT), NULL, DELIVER, 0, 0, CAMP_RETRY_WAIT, 0,
     "SYS_101"},
    {"no attempts left", CAMP_DELIVERING, NO(TRANSIENT), NULL, DELIVER, 0, 2, CAMP_FAILED, 0,
     "SYS_101"},
    {"not reached", CAMP_DELIVERING, AWAY, NULL, DELIVER, 0, 0, CAMP_WAIT_DEVICE, 0, "SYS_105"},
    /* a crash: what was done is not known */
    {"crash", CAMP_DELIVERING, IN(RESTART), NULL, DELIVER, 0, 0, CAMP_DELIVERING, READ, NULL},
    {"then: works", CAMP_DELIVERING, IN(READ), &checking, READ, 0, 0, CAMP_CHECKING, 0, NULL},
    {"then: idle", CAMP_DELIVERING, IN(READ), &idle, READ, 0, 0, CAMP_DELIVERING, DELIVER, NULL},
    {"then: done", CAMP_DELIVERING, IN(READ), &target, READ, 0, 0, CAMP_SUCCEEDED, 0, "SYS_112"},
    {"crash, nothing open", CAMP_DOWNLOADING, IN(RESTART), NULL, 0, 0, 0, CAMP_DOWNLOADING, READ,
     NULL},
    {"crash, it restarts", CAMP_REBOOTING, IN(RESTART), NULL, 0, 0, 0, CAMP_REBOOTING, READ, NULL},
    {"crash, in the queue", CAMP_QUEUED, IN(RESTART), NULL, 0, 0, 0, 0, 0, NULL},
    /* progress */
    {"forward", CAMP_DELIVERED, IN(NOTE), &loading, 0, 0, 0, CAMP_DOWNLOADING, 0, "UPD2_STATE_4"},
    {"asks", CAMP_CHECKING, IN(NOTE), &ask, 0, 0, 0, CAMP_ASK_DOWNLOAD, 0, "UPD2_STATE_3"},
    {"installs", CAMP_DOWNLOADING, IN(NOTE), &installing, 0, 0, 0, CAMP_INSTALLING, 0, NULL},
    {"stale idle", CAMP_DELIVERED, IN(NOTE), &idle, 0, 0, 0, 0, 0, NULL},
    {"refused", CAMP_CHECKING, IN(NOTE), &refused, 0, 0, 0, CAMP_FAILED, 0, "UPD2_FAIL_23"},
    {"lost", CAMP_DOWNLOADING, IN(NOTE), &lost, 0, 0, 0, CAMP_RETRY_WAIT, 0, "UPD2_FAIL_24"},
    {"forgot", CAMP_DELIVERED, IN(READ), &idle, READ, 0, 0, CAMP_RETRY_WAIT, 0, "SYS_123"},
    /* reboots and registrations */
    {"registers", CAMP_DOWNLOADING, IN(ONLINE), NULL, 0, 0, 0, CAMP_DOWNLOADING, READ, NULL},
    {"goodbye, install", CAMP_INSTALLING, IN(OFFLINE), NULL, 0, 0, 0, 0, 0, NULL},
    {"gone", CAMP_DOWNLOADING, IN(OFFLINE), NULL, 0, 0, 0, CAMP_WAIT_DEVICE, 0, "SYS_105"},
    {"new version", CAMP_INSTALLING, IN(READ), &target, READ, 1, 0, CAMP_SUCCEEDED, 0, "SYS_112"},
    {"old version", CAMP_REBOOTING, IN(READ), &idle, READ, 1, 0, CAMP_FAILED, 0, "SYS_111"},
    {"not back yet", CAMP_INSTALLING, IN(READ), &idle, READ, 0, 0, CAMP_INSTALLING, 0, NULL},
    {"its word", CAMP_REBOOTING, IN(READ), &done, READ, 1, 0, CAMP_SUCCEEDED, 0, "SYS_112"},
    {"may install", CAMP_DOWNLOADING, OBJECT5(NOTE), &loaded, 0, 0, 0, CAMP_DOWNLOADED,
     CAMP_OP_EXECUTE, "UPD1_STATE_2"},
    {"window shut", CAMP_DOWNLOADING, IN(NOTE), &loaded, 0, 0, 0, CAMP_DOWNLOADED, 0, NULL},
    {"executed", CAMP_DOWNLOADED, IN(OP_OK), NULL, CAMP_OP_EXECUTE, 0, 0, CAMP_INSTALLING, 0, NULL},
    {"old news", CAMP_INSTALLING, OBJECT5(NOTE), &loaded, 0, 0, 0, CAMP_INSTALLING, READ, NULL},
    {"told twice", CAMP_DOWNLOADED, NO(TRANSIENT), NULL, CAMP_OP_EXECUTE, 0, 0, CAMP_DOWNLOADED,
     READ, NULL},
    {"told in vain", CAMP_DOWNLOADED, NO(TRANSIENT), NULL, CAMP_OP_EXECUTE, 0, 2, CAMP_FAILED, 0,
     "SYS_101"},
    {"away between attempts", CAMP_RETRY_WAIT, AWAY, NULL, READ, 0, 1, CAMP_RETRY_WAIT, 0, NULL},
    /* ends */
    {"stop: waits", CAMP_QUEUED, IN(CANCEL), NULL, 0, 0, 0, CAMP_CANCELLED, 0, "SYS_107"},
    {"stop: loads", CAMP_DOWNLOADING, IN(CANCEL), NULL, 0, 0, 0, 0, 0, NULL},
    {"hard stop", CAMP_DOWNLOADING, HARD, NULL, 0, 0, 0, CAMP_CANCELLED, 0, "SYS_107"},
    {"the end", CAMP_DOWNLOADING, IN(EXPIRE), NULL, 0, 0, 0, CAMP_EXPIRED, 0, "SYS_108"},
    {"deleted", CAMP_DOWNLOADING, IN(REMOVED), NULL, 0, 0, 0, CAMP_REMOVED, 0, "SYS_122"},
    {"late truth", CAMP_FAILED, IN(READ), &target, READ, 0, 1, CAMP_SUCCEEDED, 0, "SYS_112"},
    {"also stopped", CAMP_CANCELLED, IN(READ), &target, READ, 0, 0, CAMP_SUCCEEDED, 0, NULL},
    {"success stays", CAMP_SUCCEEDED, IN(NOTE), &refused, 0, 0, 0, 0, 0, NULL},
    {"a skip stays", CAMP_SKIPPED, IN(EXPIRE), NULL, 0, 0, 0, 0, 0, NULL},
};

START_TEST(each_input_leads_where_it_should)
{
    const char *why = cases[_i].why;
    struct camp_row row = row_of(cases[_i].from);
    struct camp_input in = cases[_i].in;

    row.d.op = cases[_i].op;
    row.d.registrations = cases[_i].registrations;
    row.d.attempt = cases[_i].attempt;
    row.d.mech = in.mech == CAMP_MECH_OBJECT5 ? CAMP_MECH_OBJECT5 : CAMP_MECH_PELION;
    row.d.delivered = row.d.delivered || row.d.status == CAMP_FAILED;
    row.d.delivered = row.d.delivered || row.d.status == CAMP_CANCELLED;
    in.now_ms = NOW;
    in.report = cases[_i].report;
    bool changed = camp_machine(&policy, &in, &row);
    ck_assert_msg(changed == (cases[_i].to != 0), "%s: %s", why, camp_status_name(row.d.status));
    if (!changed) {
        ck_assert_int_eq(row.d.status, cases[_i].from);
        return;
    }
    ck_assert_msg(row.d.status == cases[_i].to, "%s: %s", why, camp_status_name(row.d.status));
    ck_assert_msg(row.d.op == cases[_i].to_op, "%s: op %d", why, (int)row.d.op);
    ck_assert_msg(cases[_i].code == NULL || strcmp(row.code, cases[_i].code) == 0, "%s: %s", why,
                  row.code);
    ck_assert_int_eq(row.d.slot, camp_status_slot(row.d.status));
    ck_assert(!camp_status_final(row.d.status) || (row.d.live == 0 && row.d.slot == 0));
    ck_assert_int_eq(row.d.bucket, camp_bucket_of(&row.d));
}
END_TEST

static const struct {
    const char *why;
    int64_t from, delivered;
    enum camp_mech mech;
    int64_t to, to_op; /* to 0 = nothing changes */
} recalls[] = {
    {"waits", CAMP_QUEUED, 0, CAMP_MECH_UNKNOWN, 0, 0},
    {"is being asked", CAMP_ADMITTED, 0, CAMP_MECH_UNKNOWN, CAMP_QUEUED, 0},
    {"is away", CAMP_WAIT_DEVICE, 0, CAMP_MECH_UNKNOWN, CAMP_QUEUED, 0},
    {"is away with it", CAMP_WAIT_DEVICE, 1, CAMP_MECH_OBJECT5, 0, 0},
    {"has it", CAMP_DELIVERED, 1, CAMP_MECH_OBJECT5, CAMP_DELIVERED, CAMP_OP_RESET},
    {"has it, and cannot forget", CAMP_DELIVERED, 1, CAMP_MECH_PELION, 0, 0},
    {"loads", CAMP_DOWNLOADING, 1, CAMP_MECH_OBJECT5, 0, 0},
    {"installs", CAMP_INSTALLING, 1, CAMP_MECH_OBJECT5, 0, 0},
    {"is done", CAMP_SUCCEEDED, 1, CAMP_MECH_OBJECT5, 0, 0},
};

START_TEST(a_recall_takes_back_what_has_not_begun)
{
    struct camp_row row = row_of(recalls[_i].from);
    struct camp_input in = IN(RECALL);

    row.d.delivered = recalls[_i].delivered;
    row.d.mech = recalls[_i].mech;
    in.now_ms = NOW;
    bool changed = camp_machine(&policy, &in, &row);
    ck_assert_msg(changed == (recalls[_i].to != 0), "%s", recalls[_i].why);
    if (changed) {
        ck_assert_msg(row.d.status == recalls[_i].to, "%s", recalls[_i].why);
        ck_assert_msg(row.d.op == recalls[_i].to_op, "%s", recalls[_i].why);
        ck_assert_int_eq(row.d.attempt, 0);
    }
}
END_TEST

/* How the device answers when it is told to forget. */
static const struct {
    struct camp_input in;
    int64_t to, to_op, delivered;
} forgotten[] = {
    {IN(OP_OK), CAMP_QUEUED, CAMP_OP_NONE, 0},
    {NO(TRANSIENT), CAMP_DELIVERED, READ, 1},
    {IN(DEADLINE), CAMP_DELIVERED, READ, 1},
    {IN(RESTART), CAMP_DELIVERED, CAMP_OP_RESET, 1},
};

START_TEST(a_recalled_device_waits_again_once_it_has_forgotten)
{
    struct camp_row row = row_of(CAMP_DELIVERED);
    struct camp_input in = IN(RECALL);

    row.d.delivered = 1;
    row.d.mech = CAMP_MECH_OBJECT5;
    in.now_ms = NOW;
    ck_assert(camp_machine(&policy, &in, &row));
    ck_assert(!camp_machine(&policy, &in, &row)); /* told once */
    in = forgotten[_i].in;
    in.now_ms = row.d.deadline;
    ck_assert(camp_machine(&policy, &in, &row));
    ck_assert_int_eq(row.d.status, forgotten[_i].to);
    ck_assert_int_eq(row.d.op, forgotten[_i].to_op);
    ck_assert_int_eq(row.d.delivered, forgotten[_i].delivered);
}
END_TEST

static const struct {
    const char *why;
    int64_t from, left_ms, to, to_op;
} deadlines[] = {
    {"no answer", CAMP_ADMITTED, 0, CAMP_WAIT_DEVICE, READ},
    {"the delivery is not answered", CAMP_DELIVERING, 0, CAMP_WAIT_DEVICE, READ},
    {"no progress: ask", CAMP_DOWNLOADING, 0, CAMP_DOWNLOADING, READ},
    {"no answer to that either", CAMP_DOWNLOADING, -1, CAMP_WAIT_DEVICE, READ},
    {"installs for long: ask", CAMP_INSTALLING, 0, CAMP_INSTALLING, READ},
    {"silent", CAMP_REBOOTING, -1, CAMP_FAILED, 0},
    {"no consent", CAMP_ASK_INSTALL, 0, CAMP_RETRY_WAIT, 0},
    {"watched for long enough", CAMP_VERIFYING, 0, CAMP_SUCCEEDED, 0},
};

START_TEST(each_deadline_does_its_work_when_it_is_due)
{
    struct camp_row row = row_of(deadlines[_i].from);
    struct camp_input in = {.kind = CAMP_IN_DEADLINE, .now_ms = NOW - 1};
    bool pending = deadlines[_i].left_ms == -1 || deadlines[_i].from < CAMP_DELIVERED;

    row.d.deadline = NOW;
    row.d.left_ms = deadlines[_i].left_ms;
    row.d.op = pending ? READ : CAMP_OP_NONE;
    ck_assert_msg(!camp_machine(&policy, &in, &row), "%s", deadlines[_i].why);
    in.now_ms = NOW;
    ck_assert_msg(camp_machine(&policy, &in, &row), "%s", deadlines[_i].why);
    ck_assert_msg(row.d.status == deadlines[_i].to, "%s: %s", deadlines[_i].why,
                  camp_status_name(row.d.status));
    ck_assert_msg(row.d.op == deadlines[_i].to_op, "%s: op %d", deadlines[_i].why, (int)row.d.op);
}
END_TEST

START_TEST(the_clock_of_a_step_stands_still_while_the_device_is_away)
{
    const struct camp_report nothing = {0};
    struct camp_row row = row_of(CAMP_DOWNLOADING);
    struct camp_input in = {.kind = CAMP_IN_OFFLINE, .now_ms = NOW};

    row.d.deadline = NOW + 1000;
    ck_assert(camp_machine(&policy, &in, &row));
    ck_assert_int_eq(row.d.deadline, 0);
    in = (struct camp_input){.kind = CAMP_IN_NOTE, .now_ms = NOW + 900000, .report = &nothing};
    ck_assert(camp_machine(&policy, &in, &row));
    ck_assert_int_eq(row.d.status, CAMP_DOWNLOADING);
    ck_assert_int_eq(row.d.deadline, NOW + 901000);
}
END_TEST

START_TEST(a_device_that_comes_back_without_a_free_slot_waits_for_its_turn)
{
    struct camp_row row = row_of(CAMP_WAIT_DEVICE);
    struct camp_input in = {.kind = CAMP_IN_READ, .now_ms = NOW, .report = &idle};

    row.d.back_to = CAMP_ADMITTED;
    row.d.op = READ;
    ck_assert(camp_machine(&policy, &in, &row));
    ck_assert_int_eq(row.d.status, CAMP_QUEUED);
    ck_assert_int_eq(row.d.op, CAMP_OP_NONE);
}
END_TEST

START_TEST(retries_wait_longer_each_time)
{
    struct camp_row row = row_of(CAMP_DOWNLOADING);
    struct camp_input in = {.kind = CAMP_IN_NOTE, .now_ms = NOW, .report = &lost, .jitter_ms = 7};

    for (int i = 1; i <= 2; i++) {
        row.d.status = CAMP_DOWNLOADING;
        ck_assert(camp_machine(&policy, &in, &row));
        ck_assert_int_eq(row.d.not_before, NOW + 60000 * i + 7);
    }
    row.d.status = CAMP_DOWNLOADING;
    ck_assert(camp_machine(&policy, &in, &row));
    ck_assert_int_eq(row.d.status, CAMP_FAILED);
}
END_TEST

/* Any order of inputs: invariants hold, nothing asserts, ends stay ends but for late truth. */
START_TEST(no_order_of_inputs_breaks_a_row)
{
    static const struct camp_report *const reports[] = {
        &idle, &target, &checking, &loading, &loaded, &installing, &ask, &refused, &lost, &done};
    uint32_t seed = 12345;
    struct camp_row row = row_of(CAMP_QUEUED);
    int64_t now = NOW;

    for (int i = 0; i < 200000; i++) {
        seed = seed * 1664525U + 1013904223U;
        uint32_t r = seed >> 8;
        struct camp_input in = {.kind = (enum camp_in)(r % (CAMP_IN_RESTART + 1)),
                                .now_ms = now,
                                .report = reports[(r >> 5) % DR_ARRAY_LEN(reports)],
                                .mech = (r >> 9) & 1 ? CAMP_MECH_PELION : CAMP_MECH_OBJECT5,
                                .fail = (enum camp_fail)((r >> 10) % CAMP_FAIL_COUNT),
                                .away = (r >> 13) & 1,
                                .hard = (r >> 14) & 1,
                                .slot_free = (r >> 15) & 1,
                                .may_install = (r >> 16) & 1,
                                .code = "SYS_101",
                                .reason = "because"};
        int64_t before = row.d.status;
        now += (int64_t)(r % 100000);
        bool changed = camp_machine(&policy, &in, &row);
        ck_assert(changed || row.d.status == before);
        if (camp_status_final(before) && row.d.status != before) {
            ck_assert_int_eq(row.d.status, CAMP_SUCCEEDED);
        }
        ck_assert(!changed || row.d.slot == camp_status_slot(row.d.status));
        ck_assert(!changed || !camp_status_slot(row.d.status) || row.d.live == 1);
        if (camp_status_final(row.d.status) && i % 7 == 0) {
            row = row_of(CAMP_QUEUED);
        }
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("campaigns/machine");
    TCase *tc = add_case(s, "moves");

    tcase_add_loop_test(tc, each_input_leads_where_it_should, 0, (int)DR_ARRAY_LEN(cases));
    tcase_add_loop_test(tc, a_recall_takes_back_what_has_not_begun, 0, (int)DR_ARRAY_LEN(recalls));
    tcase_add_loop_test(tc, a_recalled_device_waits_again_once_it_has_forgotten, 0,
                        (int)DR_ARRAY_LEN(forgotten));
    tcase_add_loop_test(tc, each_deadline_does_its_work_when_it_is_due, 0,
                        (int)DR_ARRAY_LEN(deadlines));
    tcase_add_test(tc, the_clock_of_a_step_stands_still_while_the_device_is_away);
    tcase_add_test(tc, a_device_that_comes_back_without_a_free_slot_waits_for_its_turn);
    tcase_add_test(tc, retries_wait_longer_each_time);
    tcase_add_test(tc, no_order_of_inputs_breaks_a_row);
    return run_suite(s);
}
