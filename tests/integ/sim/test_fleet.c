/* SPDX-License-Identifier: Apache-2.0 */
/* A fleet and a small registration server on one loop: every scenario, both stacks, faults. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "device-sim/fleet.h"
#include "device-sim/stack.h"
#include "tests/integ/sim/rd_server.h"
#include "tests/unit/run.h"

#define DEVICES 20
#define WAIT_MS 30000

/* own and plain, own and DTLS, libcoap and plain, libcoap and DTLS */
#define VARIANTS   (sim_stack_libcoap != NULL ? 4 : 2)
#define PLAIN_OWN  0
#define SECURE_OWN 1

static struct {
    struct loop *loop;
    struct rd_server server;
    struct sim_options options;
    struct sim_stats stats;
    struct sim_fleet *fleet;
    bool over;
} t;

static void over(void *data)
{
    ck_assert(!t.over);
    ck_assert_ptr_eq(data, &t);
    t.over = true;
}

static void begin(void)
{
    static const uint8_t master[32] = {1, 2, 3};

    memset(&t, 0, sizeof t);
    ck_assert_int_eq(loop_new("fleet", &t.loop), DR_OK);
    rd_server_init(&t.server, t.loop, master);
    t.options = (struct sim_options){.devices = DEVICES,
                                     .window = 8,
                                     .prefix = "dev-",
                                     .first = 7,
                                     .master_len = 32,
                                     .lifetime_s = 300,
                                     .duration_s = 0.3,
                                     .awake_s = 93,
                                     .confirmable = true,
                                     .seed = 1,
                                     .source_net = 0x7f020001};
    memcpy(t.options.master, master, sizeof master);
}

static void end(void)
{
    t.fleet = sim_fleet_free(t.fleet);
    rd_server_fini(&t.server);
    t.loop = loop_free(t.loop);
}

static void start(int variant)
{
    t.options.secure = variant % 2 == 1;
    t.options.libcoap = variant / 2 == 1;
    t.options.server = t.options.secure ? t.server.secure : t.server.plain;
    ck_assert_int_eq(sim_fleet_start(t.loop, &t.options, &t.stats, over, &t, &t.fleet), DR_OK);
}

#define UNTIL(cond)                                                                                \
    do {                                                                                           \
        uint64_t until_ = dr_mono_ms() + WAIT_MS;                                                  \
        while (!(cond)) {                                                                          \
            ck_assert_msg(dr_mono_ms() < until_, "waited in vain for: %s", #cond);                 \
            loop_run_once(t.loop, true);                                                           \
        }                                                                                          \
    } while (0)

static void run(int variant)
{
    start(variant);
    UNTIL(t.over);
}

static uint64_t errors(const char *what)
{
    for (unsigned i = 0; i < SIM_ERRORS_MAX && t.stats.errors[i].what != NULL; i++) {
        if (strcmp(t.stats.errors[i].what, what) == 0) {
            return t.stats.errors[i].count;
        }
    }
    return 0;
}

static void assert_good(void)
{
    ck_assert_uint_eq(sim_stats_errors(&t.stats), 0);
    ck_assert_uint_eq(t.stats.registered, t.options.devices);
    ck_assert(sim_fleet_good(t.fleet));
}

/* ---- scenarios ---- */

START_TEST(register_ends_when_all_are_registered)
{
    t.options.scenario = SIM_REGISTER;
    run(_i);
    assert_good();
    ck_assert_uint_eq(t.server.registers, DEVICES);
    ck_assert_uint_eq(t.stats.registrations, DEVICES);
    ck_assert_uint_eq(t.stats.requests, DEVICES);
    ck_assert_uint_eq(t.stats.handshakes, t.options.secure ? DEVICES : 0);
    bool seen[DEVICES] = {0};
    for (uint32_t i = 0; i < DEVICES; i++) {
        unsigned n;
        ck_assert_int_eq(sscanf(t.server.regs[i].ep, "dev-%u", &n), 1);
        ck_assert(n >= 7 && n < 7 + DEVICES && !seen[n - 7]);
        seen[n - 7] = true;
        ck_assert_uint_eq(t.server.regs[i].lifetime_s, 300);
    }
}
END_TEST

START_TEST(register_keeps_the_rate)
{
    t.options.scenario = SIM_REGISTER;
    t.options.rate = 40;
    uint64_t from = dr_mono_ms();
    run(_i);
    assert_good();
    ck_assert_uint_ge(dr_mono_ms() - from, 350); /* 20 of them, a burst of 4 at first */
}
END_TEST

START_TEST(idle_devices_stay_registered)
{
    t.options.scenario = SIM_IDLE;
    run(_i);
    assert_good();
    ck_assert_uint_eq(t.server.updates, 0);
}
END_TEST

START_TEST(an_idle_device_updates_before_its_lifetime_ends)
{
    t.options.scenario = SIM_IDLE;
    t.options.lifetime_s = 1;
    t.options.duration_s = 1.5;
    run(_i);
    assert_good();
    ck_assert_uint_ge(t.server.updates, DEVICES);
    ck_assert_uint_eq(t.server.registers, DEVICES);
}
END_TEST

START_TEST(update_sends_updates_as_fast_as_the_window_allows)
{
    t.options.scenario = SIM_UPDATES;
    run(_i);
    assert_good();
    ck_assert_uint_gt(t.stats.requests, 2 * DEVICES);
    ck_assert_uint_ge(t.server.updates, t.stats.requests);
    ck_assert(sim_stats_quantile_ms(&t.stats, 0.5) > 0);
}
END_TEST

START_TEST(update_keeps_the_rate)
{
    t.options.scenario = SIM_UPDATES;
    t.options.rate = 200;
    t.options.duration_s = 0.5;
    run(_i);
    assert_good();
    ck_assert_uint_ge(t.stats.requests, 60);
    ck_assert_uint_le(t.stats.requests, 130);
}
END_TEST

START_TEST(notify_sends_values_of_what_is_observed)
{
    static const char *const paths[] = {"3303/0/5700", "3303/0", "3303"};

    for (size_t p = 0; p < DR_ARRAY_LEN(paths); p++) {
        t.options.scenario = SIM_NOTIFY;
        t.server.observe = paths[p];
        t.over = false;
        t.stats = (struct sim_stats){0};
        run(_i);
        assert_good();
        ck_assert_uint_gt(t.stats.notifications, DEVICES);
        ck_assert_uint_eq(t.stats.requests, t.stats.notifications);
        ck_assert_uint_ge(t.server.notifications, t.stats.notifications);
        ck_assert_uint_gt(t.server.last_len, 0);
        t.fleet = sim_fleet_free(t.fleet);
    }
}
END_TEST

START_TEST(notify_goes_without_confirmation_too)
{
    t.options.scenario = SIM_NOTIFY;
    t.options.confirmable = false;
    t.options.rate = 500;
    t.server.observe = "3303/0/5700";
    run(_i);
    assert_good();
    ck_assert_uint_gt(t.stats.notifications, DEVICES);
}
END_TEST

START_TEST(notify_ends_where_the_server_refuses)
{
    t.options.scenario = SIM_NOTIFY;
    t.server.observe = "3303/0/5700";
    t.server.refuse_notify = true;
    run(_i);
    ck_assert_uint_eq(t.server.notifications, DEVICES); /* one each, then never again */
    ck_assert_uint_eq(t.stats.registered, DEVICES);
    ck_assert(!sim_fleet_good(t.fleet));
}
END_TEST

START_TEST(request_answers_the_server)
{
    t.options.scenario = SIM_REQUEST;
    t.server.read = "3303/0/5700";
    run(_i);
    assert_good();
    ck_assert_uint_gt(t.stats.served, 2 * DEVICES);
    ck_assert_uint_gt(t.stats.requests, DEVICES);
    ck_assert_uint_eq(t.server.last_code, CX_CONTENT);
    ck_assert_mem_eq(t.server.last, "20", 2);
}
END_TEST

START_TEST(churn_goes_and_comes)
{
    t.options.scenario = SIM_CHURN;
    run(_i);
    assert_good();
    ck_assert_uint_gt(t.server.deregisters, DEVICES);
    ck_assert_uint_eq(t.server.registers, t.server.deregisters + DEVICES);
    ck_assert_uint_eq(t.stats.registrations, t.server.registers);
    ck_assert_uint_eq(t.stats.handshakes, t.options.secure ? t.server.registers : 0);
}
END_TEST

/* ---- what a server asks for ---- */

static void run_one(int variant)
{
    t.options.scenario = SIM_IDLE;
    t.options.devices = 1;
    t.options.duration_s = 3600;
    start(variant);
    UNTIL(t.stats.registered == 1);
}

static void ask(uint8_t code, const char *path, int observe, const char *payload, uint8_t expect)
{
    uint64_t before = t.server.answers;

    rd_server_call(&t.server, t.server.n_regs - 1, code, path, observe, payload);
    UNTIL(t.server.answers > before || t.server.failures > 0);
    ck_assert_uint_eq(t.server.failures, 0);
    ck_assert_int_eq(t.server.last_code, expect);
}

START_TEST(a_written_lifetime_comes_back_in_an_update)
{
    run_one(_i);
    ask(CX_PUT, "1/0/1", -1, "77", CX_CHANGED);
    UNTIL(t.server.updates == 1);
    ck_assert_uint_eq(t.server.regs[0].lifetime_s, 77);
    ask(CX_GET, "1/0/1", -1, NULL, CX_CONTENT);
    ck_assert_mem_eq(t.server.last, "77", 2);
}
END_TEST

START_TEST(the_update_trigger_updates)
{
    run_one(_i);
    ask(CX_POST, "1/0/8", -1, NULL, CX_CHANGED);
    UNTIL(t.server.updates == 1);
    ck_assert_uint_eq(t.server.registers, 1);
}
END_TEST

START_TEST(the_reboot_command_reboots)
{
    t.server.observe = "3303/0/5700";
    run_one(_i);
    UNTIL(t.server.notifications > 0);
    ask(CX_POST, "3/0/4", -1, NULL, CX_CHANGED);
    UNTIL(t.server.registers == 2);
    UNTIL(t.stats.registered == 1);
    ck_assert_uint_eq(t.stats.handshakes, t.options.secure ? 2 : 0);
    ck_assert_uint_eq(t.server.updates, 0);
    UNTIL(t.server.answers == 3); /* the observation was made anew */
}
END_TEST

START_TEST(a_cancelled_observation_is_silent)
{
    t.options.scenario = SIM_IDLE;
    run_one(_i);
    ask(CX_GET, "3303/0/5700", 0, NULL, CX_CONTENT);
    UNTIL(t.server.notifications == 1);
    t.server.refuse_notify = true;
    UNTIL(t.server.notifications == 2);
    uint64_t end_ms = dr_mono_ms() + 1500;
    while (dr_mono_ms() < end_ms) {
        loop_run_once(t.loop, true);
    }
    ck_assert_uint_eq(t.server.notifications, 2);
}
END_TEST

START_TEST(a_sleeping_device_does_not_answer)
{
    t.options.queue_mode = true;
    t.options.awake_s = 1;
    run_one(_i);
    ask(CX_GET, "3/0/0", -1, NULL, CX_CONTENT);
    uint64_t end_ms = dr_mono_ms() + 2500;
    while (dr_mono_ms() < end_ms) {
        loop_run_once(t.loop, true);
    }
    uint64_t before = t.server.answers, served = t.stats.served;
    rd_server_call(&t.server, 0, CX_GET, "3/0/0", -1, NULL);
    end_ms = dr_mono_ms() + 500;
    while (dr_mono_ms() < end_ms) {
        loop_run_once(t.loop, true);
    }
    ck_assert_uint_eq(t.server.answers, before);
    ck_assert_uint_eq(t.stats.served, served);
}
END_TEST

/* ---- faults ---- */

START_TEST(a_bad_wire_is_survived)
{
    t.options.scenario = SIM_UPDATES;
    t.options.loss = 0.05;
    t.options.duplicate = 0.1;
    t.options.reorder = 0.1;
    t.options.duration_s = 2;
    t.options.rate = 100;
    run(_i);
    ck_assert_uint_eq(t.stats.registered, DEVICES);
    ck_assert(sim_fleet_good(t.fleet));
    ck_assert_uint_gt(t.stats.requests, 20);
    ck_assert_uint_gt(t.stats.retransmissions, 0);
}
END_TEST

START_TEST(reboots_register_anew)
{
    t.options.scenario = SIM_UPDATES;
    t.options.reboot_rate = 0.2;
    t.options.rate = 500;
    run(_i);
    assert_good();
    ck_assert_uint_gt(t.stats.registrations, DEVICES + 2);
    ck_assert_uint_eq(t.stats.handshakes, t.options.secure ? t.stats.registrations : 0);
}
END_TEST

START_TEST(a_new_address_keeps_the_registration)
{
    t.options.scenario = SIM_UPDATES;
    t.options.rebind_every_s = 0.02;
    t.options.rate = 200;
    t.options.duration_s = 0.5;
    run(_i);
    assert_good();
    ck_assert_uint_eq(t.server.registers, DEVICES);
    if (t.options.secure) {
        ck_assert_uint_gt(t.stats.handshakes, DEVICES + 2);
    }
}
END_TEST

START_TEST(a_forgotten_registration_is_made_again_over_the_same_association)
{
    t.options.scenario = SIM_UPDATES;
    t.options.duration_s = 1;
    t.options.rate = 200;
    t.server.forgetful = true;
    start(_i);
    UNTIL(errors("4.04") >= DEVICES);
    t.server.forgetful = false;
    UNTIL(t.over);
    ck_assert(sim_fleet_good(t.fleet));
    ck_assert_uint_eq(t.server.registers, t.stats.registrations);
    ck_assert_uint_ge(t.server.registers, 2 * DEVICES);
    ck_assert_uint_eq(t.stats.handshakes, t.options.secure ? DEVICES : 0);
}
END_TEST

START_TEST(a_refused_register_is_tried_again)
{
    t.options.scenario = SIM_REGISTER;
    t.server.refuse = 3;
    t.server.refusal = CX_UNAVAILABLE;
    run(_i);
    ck_assert(sim_fleet_good(t.fleet));
    ck_assert_uint_eq(errors("5.03"), 3);
    ck_assert_uint_eq(t.server.registers, DEVICES);
}
END_TEST

START_TEST(a_device_gives_up_and_says_so)
{
    t.options.scenario = SIM_REGISTER;
    t.options.devices = 2;
    t.server.refuse = 1000;
    t.server.refusal = CX_BAD_REQUEST;
    run(_i);
    ck_assert(!sim_fleet_good(t.fleet));
    ck_assert_uint_eq(errors("4.00"), 2 * SIM_ATTEMPTS_MAX);
    ck_assert_uint_eq(t.stats.registered, 0);
}
END_TEST

START_TEST(a_wrong_key_fails_the_handshake)
{
    t.options.scenario = SIM_REGISTER;
    t.options.devices = 1;
    t.options.master[0] ^= 1;
    start(_i);
    UNTIL(sim_stats_errors(&t.stats) == 2);
    ck_assert_uint_eq(errors("handshake failed"), 2);
    ck_assert_uint_eq(t.stats.handshakes, 0);
}
END_TEST

/* ---- ends ---- */

START_TEST(a_fleet_can_be_stopped_and_freed_at_any_turn)
{
    static const unsigned turns[] = {0, 1, 3, 10, 30, 60};

    t.options.scenario = SIM_CHURN;
    t.server.observe = "3303/0/5700";
    for (size_t n = 0; n < DR_ARRAY_LEN(turns); n++) {
        start(_i);
        for (unsigned i = 0; i < turns[n]; i++) {
            loop_run_once(t.loop, true);
        }
        t.fleet = sim_fleet_free(t.fleet);
        t.stats = (struct sim_stats){0};
    }
    start(_i);
    sim_fleet_stop(t.fleet);
    UNTIL(t.over);
    ck_assert(!sim_fleet_good(t.fleet));
}
END_TEST

START_TEST(a_window_larger_than_the_fleet_does_no_harm)
{
    t.options.scenario = SIM_UPDATES;
    t.options.devices = 1;
    t.options.window = 100;
    run(_i);
    assert_good();
    ck_assert_uint_gt(t.stats.requests, 1);
}
END_TEST

START_TEST(a_window_of_one_is_enough)
{
    t.options.scenario = SIM_CHURN;
    t.options.window = 1;
    run(_i);
    assert_good();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fleet");
    TCase *tc = add_case(s, "scenarios");

    tcase_add_checked_fixture(tc, begin, end);
    tcase_add_loop_test(tc, register_ends_when_all_are_registered, 0, VARIANTS);
    tcase_add_loop_test(tc, register_keeps_the_rate, 0, VARIANTS);
    tcase_add_loop_test(tc, idle_devices_stay_registered, 0, VARIANTS);
    tcase_add_loop_test(tc, an_idle_device_updates_before_its_lifetime_ends, 0, VARIANTS);
    tcase_add_loop_test(tc, update_sends_updates_as_fast_as_the_window_allows, 0, VARIANTS);
    tcase_add_loop_test(tc, update_keeps_the_rate, 0, VARIANTS);
    tcase_add_loop_test(tc, notify_sends_values_of_what_is_observed, 0, VARIANTS);
    tcase_add_loop_test(tc, notify_goes_without_confirmation_too, 0, VARIANTS);
    tcase_add_loop_test(tc, notify_ends_where_the_server_refuses, 0, VARIANTS);
    tcase_add_loop_test(tc, request_answers_the_server, 0, VARIANTS);
    tcase_add_loop_test(tc, churn_goes_and_comes, 0, VARIANTS);

    tc = add_case(s, "what a server asks for");
    tcase_add_checked_fixture(tc, begin, end);
    tcase_add_loop_test(tc, a_written_lifetime_comes_back_in_an_update, 0, VARIANTS);
    tcase_add_loop_test(tc, the_update_trigger_updates, 0, VARIANTS);
    tcase_add_loop_test(tc, the_reboot_command_reboots, 0, VARIANTS);
    tcase_add_loop_test(tc, a_cancelled_observation_is_silent, 0, VARIANTS);
    tcase_add_loop_test(tc, a_sleeping_device_does_not_answer, PLAIN_OWN, SECURE_OWN + 1);

    tc = add_case(s, "faults");
    tcase_add_checked_fixture(tc, begin, end);
    tcase_add_loop_test(tc, a_bad_wire_is_survived, PLAIN_OWN, SECURE_OWN + 1);
    tcase_add_loop_test(tc, reboots_register_anew, 0, VARIANTS);
    tcase_add_loop_test(tc, a_new_address_keeps_the_registration, PLAIN_OWN, SECURE_OWN + 1);
    tcase_add_loop_test(tc, a_forgotten_registration_is_made_again_over_the_same_association, 0,
                        VARIANTS);
    tcase_add_loop_test(tc, a_refused_register_is_tried_again, 0, VARIANTS);
    tcase_add_loop_test(tc, a_device_gives_up_and_says_so, PLAIN_OWN, PLAIN_OWN + 1);
    tcase_add_loop_test(tc, a_wrong_key_fails_the_handshake, SECURE_OWN, SECURE_OWN + 1);

    tc = add_case(s, "ends");
    tcase_add_checked_fixture(tc, begin, end);
    tcase_add_loop_test(tc, a_fleet_can_be_stopped_and_freed_at_any_turn, 0, VARIANTS);
    tcase_add_loop_test(tc, a_window_larger_than_the_fleet_does_no_harm, 0, VARIANTS);
    tcase_add_loop_test(tc, a_window_of_one_is_enough, 0, VARIANTS);
    return run_suite(s);
}
