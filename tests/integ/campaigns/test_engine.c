/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/integ/campaigns/test_engine.c
 * @brief Whole campaigns over a real database: success, each way to fail, waves, control, crashes.
 */
#include <string.h>

#include "tests/integ/campaigns/world.h"
#include "tests/unit/run.h"

static void started(int64_t id)
{
    ck_assert_int_eq(world_do(CAMP_DO_START, id), DR_OK);
    int64_t phase = world_row(id).phase;
    ck_assert(phase == CAMP_STARTING || phase == CAMP_ACTIVE);
}

static void setup_pelion(void)
{
    world_open(3, false);
}

static void setup_object5(void)
{
    world_open(3, true);
}

START_TEST(a_campaign_updates_all_its_devices)
{
    int64_t id = world_campaign(NULL, NULL, 0);

    ck_assert_int_eq(world_row(id).phase, CAMP_DRAFT);
    started(id);
    ck_assert(world_until(id, CAMP_ACTIVE, 5));
    ck_assert(world_until(id, CAMP_STOPPED, 60));
    struct db_campaign row = world_row(id);
    ck_assert_int_eq(row.state, CAMP_STATE_AUTOSTOPPED);
    ck_assert_str_eq(row.autostop_reason, "All devices are done");
    ck_assert_int_eq(world_count(id, CAMP_SUCCEEDED), 3);
    for (int i = 0; i < 3; i++) {
        struct db_campaign_device d = world_device_row(id, world_dev[i].id);
        ck_assert_str_eq(camp_deployment_state(&d, true), "deployed");
        ck_assert_int_eq(world_dev[i].delivered, 1);
        ck_assert_str_eq(world_dev[i].version, "2.0.0");
    }
    ck_assert_int_eq(world_do(CAMP_DO_START, id), DR_ERR_IN_USE);
    ck_assert_int_eq(world_do(CAMP_DO_ARCHIVE, id), DR_OK);
    ck_assert_int_eq(world_do(CAMP_DO_DELETE, id), DR_OK);
    ck_assert_int_eq(world_do(CAMP_DO_DELETE, id), DR_ERR_NOT_FOUND);
}
END_TEST

START_TEST(object_5_is_pulled_executed_and_checked)
{
    int64_t id = world_campaign(NULL, NULL, 0);

    world_dev[1].push_only = true;
    started(id);
    ck_assert(world_until(id, CAMP_STOPPED, 60));
    ck_assert_int_eq(world_count(id, CAMP_SUCCEEDED), 3);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(world_dev[i].executed, 1);
    }
}
END_TEST

static const struct {
    const char *why;
    enum world_manner manner;
    int64_t status;
    const char *code[2]; /* Pelion, object 5 */
    int attempts;
} manners[] = {
    {"refused for good", WORLD_REFUSES, CAMP_FAILED, {"UPD2_FAIL_23", "UPD1_FAIL_5"}, 1},
    {"no room, tried again and again",
     WORLD_STORAGE,
     CAMP_FAILED,
     {"UPD2_FAIL_33", "UPD1_FAIL_2"},
     3},
    {"the download broke once", WORLD_DROPS, CAMP_SUCCEEDED, {"SYS_112", "SYS_112"}, 1},
    {"rolled back", WORLD_ROLLS_BACK, CAMP_FAILED, {"SYS_111", "UPD1_FAIL_8"}, 1},
    {"never heard again", WORLD_VANISHES, CAMP_FAILED, {"SYS_104", "SYS_104"}, 1},
    {"the download never ends", WORLD_FOREVER, CAMP_FAILED, {"SYS_103", "SYS_103"}, 3},
    {"no object for updates", WORLD_NO_OBJECT, CAMP_SKIPPED, {"SYS_118", "SYS_118"}, 0},
};

static void two_retries(struct db_campaign *row)
{
    row->retry_max = 2;
    row->retry_backoff_s = 5;
    row->download_s = 60;
    row->install_s = 60;
    row->check_s = 20;
}

static void each_manner(int i, int kind)
{
    int64_t id = world_campaign(two_retries, NULL, 0);

    world_dev[0].manner = manners[i].manner;
    started(id);
    ck_assert_msg(world_until(id, CAMP_STOPPED, 900), "%s", manners[i].why);
    struct db_campaign_device d = world_device_row(id, world_dev[0].id);
    ck_assert_msg(d.status == manners[i].status, "%s: %s, %s %s", manners[i].why,
                  camp_status_name(d.status), d.code, d.reason);
    ck_assert_msg(strcmp(d.code, manners[i].code[kind]) == 0, "%s: %s", manners[i].why, d.code);
    ck_assert_int_eq(d.attempt, manners[i].attempts);
    ck_assert_int_eq(d.slot, 0);
    ck_assert_int_eq(d.live, 0);
    ck_assert_int_ge(world_count(id, CAMP_SUCCEEDED), 2);
}

START_TEST(pelion_devices_fail_as_they_say)
{
    each_manner(_i, 0);
}
END_TEST

START_TEST(object_5_devices_fail_as_they_say)
{
    each_manner(_i, 1);
}
END_TEST

START_TEST(a_silent_device_that_comes_back_updated_has_succeeded)
{
    int64_t id = world_campaign(two_retries, NULL, 0);

    world_dev[0].manner = WORLD_VANISHES;
    started(id);
    ck_assert(world_until(id, CAMP_STOPPED, 900));
    ck_assert_int_eq(world_device_row(id, world_dev[0].id).status, CAMP_FAILED);
    strcpy(world_dev[0].version, "2.0.0");
    world_dev[0].manner = WORLD_GOOD;
    world_restart(); /* it is remembered */
    world_register(&world_dev[0]);
    world_run(3);
    ck_assert_int_eq(world_device_row(id, world_dev[0].id).status, CAMP_SUCCEEDED);
    ck_assert_int_eq(world_row(id).phase, CAMP_STOPPED);
}
END_TEST

START_TEST(a_device_that_has_the_version_is_left_alone)
{
    int64_t id = world_campaign(NULL, NULL, 0);

    strcpy(world_dev[2].version, "2.0.0");
    started(id);
    ck_assert(world_until(id, CAMP_STOPPED, 60));
    struct db_campaign_device d = world_device_row(id, world_dev[2].id);
    ck_assert_int_eq(d.status, CAMP_SKIPPED);
    ck_assert_str_eq(camp_deployment_state(&d, true), "deployed");
    ck_assert_int_eq(world_dev[2].delivered, 0);
}
END_TEST

START_TEST(a_device_that_is_away_waits_without_a_slot)
{
    int64_t id = world_campaign(NULL, NULL, 0);

    world_deregister(&world_dev[0]);
    started(id);
    world_run(40);
    ck_assert_int_eq(world_row(id).phase, CAMP_ACTIVE);
    ck_assert_int_eq(world_device_row(id, world_dev[0].id).status, CAMP_QUEUED);
    ck_assert_int_eq(world_count(id, CAMP_SUCCEEDED), 2);
    world_register(&world_dev[0]);
    ck_assert(world_until(id, CAMP_STOPPED, 60));
    ck_assert_int_eq(world_count(id, CAMP_SUCCEEDED), 3);
}
END_TEST

START_TEST(a_device_that_reboots_in_the_download_is_asked_and_served_again)
{
    int64_t id = world_campaign(two_retries, NULL, 0);

    world_dev[0].manner = WORLD_FOREVER;
    started(id);
    world_run(8);
    ck_assert_int_eq(world_device_row(id, world_dev[0].id).status, CAMP_DOWNLOADING);
    world_deregister(&world_dev[0]);
    world_run(2);
    struct db_campaign_device d = world_device_row(id, world_dev[0].id);
    ck_assert_int_eq(d.status, CAMP_WAIT_DEVICE);
    ck_assert_int_eq(d.slot, 0);
    world_run(1000); /* its clock stands still */
    ck_assert_int_eq(world_device_row(id, world_dev[0].id).status, CAMP_WAIT_DEVICE);
    world_dev[0].step = 0; /* it forgot all */
    world_dev[0].state = 1;
    world_dev[0].manner = WORLD_GOOD;
    world_register(&world_dev[0]);
    ck_assert(world_until(id, CAMP_STOPPED, 300));
    ck_assert_int_eq(world_count(id, CAMP_SUCCEEDED), 3);
    ck_assert_int_eq(world_dev[0].delivered, 2);
}
END_TEST

START_TEST(a_device_is_in_one_campaign_at_a_time)
{
    int64_t a = world_campaign(NULL, NULL, 0), b = world_campaign(NULL, NULL, 0);

    started(a);
    world_run(2);
    started(b);
    ck_assert(world_until(b, CAMP_STOPPED, 60));
    ck_assert_int_eq(world_row(b).state, CAMP_STATE_CONFLICT);
    ck_assert_int_eq(world_count(b, CAMP_SKIPPED), 3);
    ck_assert_str_eq(world_device_row(b, world_dev[0].id).code, "SYS_121");
    ck_assert(world_until(a, CAMP_STOPPED, 60));
    ck_assert_int_eq(world_count(a, CAMP_SUCCEEDED), 3);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(world_dev[i].delivered, 1);
    }
}
END_TEST

START_TEST(stop_lets_what_downloads_finish_and_takes_back_the_rest)
{
    int64_t id = world_campaign(NULL, NULL, 0);

    world_deregister(&world_dev[2]);
    started(id);
    for (int i = 0; i < 20 && world_count(id, CAMP_DOWNLOADING) < 2; i++) {
        world_run(1);
    }
    ck_assert_int_eq(world_do(CAMP_DO_STOP, id), DR_OK);
    ck_assert_int_eq(world_row(id).phase, CAMP_STOPPING);
    ck_assert_int_eq(world_do(CAMP_DO_DELETE, id), DR_ERR_IN_USE);
    ck_assert(world_until(id, CAMP_STOPPED, 60));
    ck_assert_int_eq(world_row(id).state, CAMP_STATE_USERSTOPPED);
    ck_assert_int_eq(world_count(id, CAMP_SUCCEEDED), 2);
    struct db_campaign_device d = world_device_row(id, world_dev[2].id);
    ck_assert_int_eq(d.status, CAMP_CANCELLED);
    ck_assert_str_eq(camp_deployment_state(&d, true), "manifestremoved");
    ck_assert_int_eq(world_do(CAMP_DO_DELETE, id), DR_OK);
}
END_TEST

START_TEST(a_hard_stop_ends_all)
{
    int64_t id = world_campaign(NULL, NULL, 0);

    for (int i = 0; i < 3; i++) {
        world_dev[i].manner = WORLD_FOREVER;
    }
    started(id);
    world_run(8);
    ck_assert_int_eq(world_do(CAMP_DO_STOP_HARD, id), DR_OK);
    ck_assert(world_until(id, CAMP_STOPPED, 10));
    ck_assert_int_eq(world_count(id, CAMP_CANCELLED), 3);
}
END_TEST

START_TEST(a_campaign_without_its_manifest_ends_at_once)
{
    int64_t id = world_campaign(NULL, NULL, 0);

    world_no_content = true;
    ck_assert_int_eq(world_do(CAMP_DO_START, id), DR_OK);
    ck_assert(world_until(id, CAMP_STOPPED, 5));
    ck_assert_int_eq(world_row(id).state, CAMP_STATE_MANIFESTREMOVED);
}
END_TEST

static void no_manifest(struct db_campaign *row)
{
    row->root_manifest_id = 0;
}

static void later(struct db_campaign *row)
{
    row->when_at = world_ms + 30000;
    row->approval_required = 1;
}

START_TEST(approval_and_time_come_first)
{
    int64_t id = world_campaign(later, NULL, 0), none = world_campaign(no_manifest, NULL, 0);

    ck_assert_int_eq(world_do(CAMP_DO_START, none), DR_ERR_INVAL);
    ck_assert_int_eq(world_do(CAMP_DO_START, id), DR_OK);
    ck_assert_int_eq(world_row(id).phase, CAMP_APPROVAL);
    world_run(2);
    ck_assert_int_eq(world_do(CAMP_DO_DENY, id), DR_OK);
    ck_assert_int_eq(world_row(id).phase, CAMP_DRAFT);
    ck_assert_int_eq(world_do(CAMP_DO_START, id), DR_OK);
    ck_assert_int_eq(world_do(CAMP_DO_APPROVE, id), DR_ERR_DENIED); /* who started it */
    world_key = 2;
    ck_assert_int_eq(world_do(CAMP_DO_APPROVE, id), DR_OK);
    ck_assert_int_eq(world_row(id).phase, CAMP_TIMED);
    world_run(20);
    ck_assert_int_eq(world_row(id).phase, CAMP_TIMED);
    ck_assert_int_eq(world_do(CAMP_DO_APPROVE, id), DR_ERR_IN_USE);
    ck_assert(world_until(id, CAMP_STOPPED, 90));
    ck_assert_int_eq(world_count(id, CAMP_SUCCEEDED), 3);
}
END_TEST

START_TEST(a_deleted_device_does_not_keep_it_open)
{
    int64_t id = world_campaign(NULL, NULL, 0);

    world_deregister(&world_dev[0]);
    world_dev[1].manner = WORLD_FOREVER;
    started(id);
    world_run(10);
    world_delete(&world_dev[0]);
    world_delete(&world_dev[1]);
    ck_assert(world_until(id, CAMP_STOPPED, 150));
    ck_assert_int_eq(world_count(id, CAMP_REMOVED), 2);
    ck_assert_int_eq(world_count(id, CAMP_SUCCEEDED), 1);
}
END_TEST

static void continuous(struct db_campaign *row)
{
    row->strategy = CAMP_CONTINUOUS;
}

START_TEST(a_continuous_campaign_takes_who_comes_later)
{
    int64_t id = world_campaign(continuous, NULL, 0);

    started(id);
    world_run(40);
    ck_assert_int_eq(world_count(id, CAMP_SUCCEEDED), 3);
    ck_assert_int_eq(world_row(id).phase, CAMP_ACTIVE);
    (void)world_add();
    world_restart();
    world_run(120);
    ck_assert_int_eq(world_count(id, CAMP_SUCCEEDED), 4);
    ck_assert_int_eq(world_row(id).phase, CAMP_ACTIVE);
    ck_assert_int_eq(world_dev[0].delivered, 1);
    ck_assert_int_eq(world_do(CAMP_DO_STOP, id), DR_OK);
    ck_assert(world_until(id, CAMP_STOPPED, 10));
}
END_TEST

static int64_t source;

static void of_the_failed(struct db_campaign *row)
{
    row->source_campaign = source;
    row->source_buckets = CAMP_SOURCE_FAILED;
}

START_TEST(a_campaign_can_take_what_failed_in_another)
{
    world_dev[1].manner = WORLD_REFUSES;
    world_dev[2].manner = WORLD_REFUSES;
    source = world_campaign(NULL, NULL, 0);
    started(source);
    ck_assert(world_until(source, CAMP_STOPPED, 150));
    world_delete(&world_dev[2]);
    world_dev[1].manner = WORLD_GOOD;
    int64_t id = world_campaign(of_the_failed, NULL, 0);
    started(id);
    ck_assert(world_until(id, CAMP_STOPPED, 150));
    ck_assert_int_eq(world_count(id, CAMP_SUCCEEDED), 1);
    ck_assert_int_eq(world_device_row(id, world_dev[1].id).status, CAMP_SUCCEEDED);
    ck_assert_int_eq(world_dev[0].delivered, 1);
}
END_TEST

static void one_image_a_minute(struct db_campaign *row)
{
    row->bytes_per_s = 2; /* an image has 100 bytes */
}

START_TEST(bytes_are_counted_too)
{
    int64_t id = world_campaign(one_image_a_minute, NULL, 0);

    started(id);
    world_run(25);
    ck_assert_int_eq(world_dev[0].delivered + world_dev[1].delivered + world_dev[2].delivered, 1);
    world_run(50);
    ck_assert_int_eq(world_dev[0].delivered + world_dev[1].delivered + world_dev[2].delivered, 2);
    ck_assert(world_until(id, CAMP_STOPPED, 120));
    ck_assert_int_eq(world_count(id, CAMP_SUCCEEDED), 3);
}
END_TEST

START_TEST(drain_calls_back_who_has_not_begun)
{
    int64_t id = world_campaign(NULL, NULL, 0);

    world_dev[0].mute = true;
    started(id);
    world_run(5);
    ck_assert_int_eq(world_device_row(id, world_dev[0].id).status, CAMP_ADMITTED);
    ck_assert_int_eq(world_do(CAMP_DO_DRAIN, id), DR_OK);
    world_run(40);
    ck_assert_int_eq(world_device_row(id, world_dev[0].id).status, CAMP_QUEUED);
    ck_assert_int_eq(world_count(id, CAMP_SUCCEEDED), 2);
    ck_assert_int_eq(world_row(id).phase, CAMP_ACTIVE);
    world_dev[0].mute = false;
    ck_assert_int_eq(world_do(CAMP_DO_RESUME, id), DR_OK);
    ck_assert(world_until(id, CAMP_STOPPED, 120));
    ck_assert_int_eq(world_count(id, CAMP_SUCCEEDED), 3);
}
END_TEST

/* ---- many ---- */

static void setup_many(void)
{
    world_open(24, false);
}

static void four_at_a_time(struct db_campaign *row)
{
    row->max_inflight = 4;
    row->retry_max = 0;
}

START_TEST(no_more_than_the_limit_are_under_way)
{
    int64_t id = world_campaign(four_at_a_time, NULL, 0);

    started(id);
    ck_assert(world_until(id, CAMP_STOPPED, 300));
    ck_assert_int_eq(world_count(id, CAMP_SUCCEEDED), 24);
    ck_assert_int_le(world_in_flight_max, 4);
    ck_assert_int_ge(world_in_flight_max, 3);
}
END_TEST

static const struct db_campaign_wave three_waves[] = {
    {.kind = CAMP_WAVE_COUNT,
     .amount = 2,
     .success_mpct = 100000,
     .error_mpct = 10000,
     .min_samples = 1,
     .soak_s = 20,
     .verdict = ""},
    {.kind = CAMP_WAVE_PERCENT,
     .amount = 30000,
     .success_mpct = 90000,
     .error_mpct = 10000,
     .min_samples = 2,
     .verdict = ""},
    {.kind = CAMP_WAVE_REST, .verdict = ""},
};

START_TEST(waves_open_one_after_the_other)
{
    int64_t id = world_campaign(NULL, three_waves, 3);

    started(id);
    world_run(4);
    ck_assert_int_eq(world_wave(id, 0).status, CAMP_WAVE_OPEN);
    ck_assert_int_eq(world_wave(id, 1).status, CAMP_WAVE_WAITING);
    int delivered = 0;
    for (int i = 0; i < 24; i++) {
        delivered += world_dev[i].delivered;
    }
    ck_assert_int_eq(delivered, 2);
    for (int i = 0; i < 30 && world_wave(id, 0).status != CAMP_WAVE_SOAKING; i++) {
        world_run(1);
    }
    ck_assert_int_eq(world_wave(id, 0).status, CAMP_WAVE_SOAKING);
    world_run(15);
    ck_assert_int_eq(world_wave(id, 1).status, CAMP_WAVE_WAITING);
    ck_assert(world_until(id, CAMP_STOPPED, 120));
    ck_assert_int_eq(world_wave(id, 0).status, CAMP_WAVE_PASSED);
    ck_assert_int_eq(world_wave(id, 1).status, CAMP_WAVE_PASSED);
    ck_assert_int_eq(world_count(id, CAMP_SUCCEEDED), 24);
}
END_TEST

START_TEST(a_gate_trips_and_holds_until_it_is_overruled)
{
    int64_t id = world_campaign(four_at_a_time, three_waves, 3);

    for (int i = 0; i < 24; i++) {
        world_dev[i].manner = WORLD_REFUSES;
    }
    started(id);
    world_run(60);
    struct db_campaign row = world_row(id);
    ck_assert_int_eq(row.phase, CAMP_ACTIVE);
    ck_assert_int_eq(row.hold, CAMP_HOLD_GATE);
    ck_assert_ptr_nonnull(strstr(row.hold_reason, "Wave 1"));
    ck_assert_int_eq(world_wave(id, 0).status, CAMP_WAVE_TRIPPED);
    ck_assert_int_le(world_count(id, CAMP_FAILED), 2);
    world_restart();
    world_run(30);
    ck_assert_int_le(world_count(id, CAMP_FAILED), 2);
    for (int i = 0; i < 24; i++) {
        world_dev[i].manner = WORLD_GOOD;
    }
    ck_assert_int_eq(world_do(CAMP_DO_RESUME, id), DR_OK);
    ck_assert(world_until(id, CAMP_STOPPED, 400));
    ck_assert_int_eq(world_count(id, CAMP_SUCCEEDED) + world_count(id, CAMP_FAILED), 24);
    ck_assert_int_ge(world_count(id, CAMP_SUCCEEDED), 22);
}
END_TEST

START_TEST(pause_begins_with_nobody_new)
{
    int64_t id = world_campaign(four_at_a_time, NULL, 0);

    started(id);
    world_run(3);
    ck_assert_int_eq(world_do(CAMP_DO_HOLD, id), DR_OK);
    world_run(60);
    int done = world_count(id, CAMP_SUCCEEDED);
    ck_assert_int_ge(done, 3);
    ck_assert_int_le(done, 8);
    world_run(30);
    ck_assert_int_eq(world_count(id, CAMP_SUCCEEDED), done);
    ck_assert_int_eq(world_do(CAMP_DO_RESUME, id), DR_OK);
    ck_assert(world_until(id, CAMP_STOPPED, 300));
    ck_assert_int_eq(world_count(id, CAMP_SUCCEEDED), 24);
}
END_TEST

static void half(struct db_campaign *row)
{
    row->autostop_mpct = 50000;
    row->max_inflight = 4;
}

START_TEST(enough_successes_end_it)
{
    int64_t id = world_campaign(half, NULL, 0);

    started(id);
    ck_assert(world_until(id, CAMP_STOPPED, 300));
    ck_assert_int_eq(world_row(id).state, CAMP_STATE_AUTOSTOPPED);
    ck_assert_int_ge(world_count(id, CAMP_SUCCEEDED), 12);
    ck_assert_int_lt(world_count(id, CAMP_SUCCEEDED), 24);
}
END_TEST

START_TEST(what_failed_can_be_tried_again)
{
    int64_t id = world_campaign(four_at_a_time, NULL, 0);

    world_dev[3].manner = WORLD_REFUSES;
    world_deregister(&world_dev[5]); /* keeps it open */
    started(id);
    world_run(120);
    ck_assert_int_eq(world_count(id, CAMP_FAILED), 1);
    world_dev[3].manner = WORLD_GOOD;
    ck_assert_int_eq(world_do(CAMP_DO_RETRY, id), DR_OK);
    world_run(40);
    ck_assert_int_eq(world_count(id, CAMP_FAILED), 0);
    ck_assert_int_eq(world_count(id, CAMP_SUCCEEDED), 23);
}
END_TEST

/* ---- crashes ---- */

/* The engine ends after the n-th commit, with nothing done about it, and begins anew. */
static bool crash_after(uint64_t n, bool object5)
{
    bool crashed = false;

    world_open(2, object5);
    world_dev[1].manner = WORLD_DROPS;
    int64_t id = world_campaign(two_retries, NULL, 0);
    uint64_t begin = world_commits();
    ck_assert_int_eq(world_do(CAMP_DO_START, id), DR_OK);
    for (int s = 0; s < 400 && world_row(id).phase != CAMP_STOPPED; s++) {
        for (int turn = 0; turn < 60 && !crashed; turn++) {
            world_turns(1);
            if (world_commits() - begin >= n) {
                world_restart();
                crashed = true;
            }
        }
        world_run(1);
    }
    ck_assert_msg(world_count(id, CAMP_SUCCEEDED) == 2, "after %d: %s, %s", (int)n,
                  camp_status_name(world_device_row(id, world_dev[0].id).status),
                  camp_status_name(world_device_row(id, world_dev[1].id).status));
    ck_assert_int_eq(world_row(id).phase, CAMP_STOPPED);
    ck_assert_int_eq(world_device_row(id, world_dev[0].id).attempt, 0);
    world_close();
    return crashed;
}

START_TEST(a_crash_after_any_commit_loses_nothing)
{
    (void)crash_after((uint64_t)_i + 1, false);
}
END_TEST

START_TEST(the_same_with_object_5)
{
    (void)crash_after((uint64_t)_i + 1, true);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("campaigns/engine");
    TCase *tc = add_case(s, "pelion");

    tcase_add_checked_fixture(tc, setup_pelion, world_close);
    tcase_add_test(tc, a_campaign_updates_all_its_devices);
    tcase_add_loop_test(tc, pelion_devices_fail_as_they_say, 0, (int)DR_ARRAY_LEN(manners));
    tcase_add_test(tc, a_silent_device_that_comes_back_updated_has_succeeded);
    tcase_add_test(tc, a_device_that_has_the_version_is_left_alone);
    tcase_add_test(tc, a_device_that_is_away_waits_without_a_slot);
    tcase_add_test(tc, a_device_that_reboots_in_the_download_is_asked_and_served_again);
    tcase_add_test(tc, a_device_is_in_one_campaign_at_a_time);
    tcase_add_test(tc, stop_lets_what_downloads_finish_and_takes_back_the_rest);
    tcase_add_test(tc, a_hard_stop_ends_all);
    tcase_add_test(tc, a_campaign_without_its_manifest_ends_at_once);
    tcase_add_test(tc, approval_and_time_come_first);
    tcase_add_test(tc, a_deleted_device_does_not_keep_it_open);
    tcase_add_test(tc, a_continuous_campaign_takes_who_comes_later);
    tcase_add_test(tc, a_campaign_can_take_what_failed_in_another);
    tcase_add_test(tc, bytes_are_counted_too);
    tcase_add_test(tc, drain_calls_back_who_has_not_begun);
    tc = add_case(s, "object 5");
    tcase_add_checked_fixture(tc, setup_object5, world_close);
    tcase_add_test(tc, object_5_is_pulled_executed_and_checked);
    tcase_add_loop_test(tc, object_5_devices_fail_as_they_say, 0, (int)DR_ARRAY_LEN(manners));
    tc = add_case(s, "many");
    tcase_add_checked_fixture(tc, setup_many, world_close);
    tcase_add_test(tc, no_more_than_the_limit_are_under_way);
    tcase_add_test(tc, waves_open_one_after_the_other);
    tcase_add_test(tc, a_gate_trips_and_holds_until_it_is_overruled);
    tcase_add_test(tc, pause_begins_with_nobody_new);
    tcase_add_test(tc, enough_successes_end_it);
    tcase_add_test(tc, what_failed_can_be_tried_again);
    tc = add_case(s, "crashes");
    tcase_add_loop_test(tc, a_crash_after_any_commit_loses_nothing, 0, 40);
    tcase_add_loop_test(tc, the_same_with_object_5, 0, 40);
    return run_suite(s);
}
