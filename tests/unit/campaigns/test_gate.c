/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/unit/campaigns/test_gate.c
 * @brief Gates, membership of waves, windows, rates, conditions as text, what devices report.
 */
#include "campaigns/gate.h"
#include "coap/engine.h"

#include <string.h>

#include "campaigns/campaign.h"
#include "tests/unit/run.h"

#define WAVE_OPEN(...)                                                                             \
    {                                                                                              \
        .status = CAMP_WAVE_OPEN, __VA_ARGS__                                                      \
    }
#define WAVE_SOAK(...)                                                                             \
    {                                                                                              \
        .status = CAMP_WAVE_SOAKING, __VA_ARGS__                                                   \
    }

static const struct {
    const char *why;
    struct db_campaign_wave wave;
    int total, ok, failed, silent, skipped;
    bool idle;
    enum camp_wave_status want;
} gates[] = {
    {"nothing yet", WAVE_OPEN(.success_mpct = 90000), 10, 0, 0, 0, 0, false, CAMP_WAVE_OPEN},
    {"all", WAVE_OPEN(.success_mpct = 100000), 10, 10, 0, 0, 0, false, CAMP_WAVE_PASSED},
    {"soak", WAVE_OPEN(.success_mpct = 100000, .soak_s = 5), 9, 9, 0, 0, 0, false,
     CAMP_WAVE_SOAKING},
    {"enough", WAVE_OPEN(.success_mpct = 50000), 10, 5, 0, 0, 0, false, CAMP_WAVE_PASSED},
    {"few samples", WAVE_OPEN(.success_mpct = 90000, .error_mpct = 10000, .min_samples = 3), 10, 0,
     2, 0, 0, false, CAMP_WAVE_OPEN},
    {"errors", WAVE_OPEN(.success_mpct = 90000, .error_mpct = 10000, .min_samples = 3), 10, 2, 1, 0,
     0, false, CAMP_WAVE_TRIPPED},
    {"at the limit", WAVE_OPEN(.success_mpct = 95000, .error_mpct = 10000), 20, 9, 1, 0, 0, false,
     CAMP_WAVE_OPEN},
    {"silent", WAVE_OPEN(.success_mpct = 90000, .silent_mpct = 5000), 10, 3, 1, 1, 0, false,
     CAMP_WAVE_TRIPPED},
    {"errors in the soak", WAVE_SOAK(.error_mpct = 5000, .soak_until = 99), 10, 9, 1, 0, 0, false,
     CAMP_WAVE_TRIPPED},
    {"soaked", WAVE_SOAK(.soak_until = 10), 10, 10, 0, 0, 0, false, CAMP_WAVE_PASSED},
    {"still soaking", WAVE_SOAK(.soak_until = 11), 10, 10, 0, 0, 0, false, CAMP_WAVE_SOAKING},
    {"no devices", WAVE_OPEN(.soak_s = 1), 0, 0, 0, 0, 0, false, CAMP_WAVE_SKIPPED},
    {"only skipped", WAVE_OPEN(.soak_s = 1), 4, 0, 0, 0, 4, false, CAMP_WAVE_SKIPPED},
    {"the rest is away", WAVE_OPEN(.success_mpct = 100000), 10, 4, 0, 0, 0, true, CAMP_WAVE_PASSED},
    {"all are away", WAVE_OPEN(.success_mpct = 100000), 10, 0, 0, 0, 0, true, CAMP_WAVE_OPEN},
    {"not enough", WAVE_OPEN(.success_mpct = 90000), 10, 8, 2, 0, 0, false, CAMP_WAVE_TRIPPED},
};

START_TEST(each_gate_decides)
{
    struct camp_tally t = {.total = gates[_i].total};
    struct camp_verdict v;

    t.by_status[CAMP_SUCCEEDED] = gates[_i].ok;
    t.by_status[CAMP_FAILED] = gates[_i].failed;
    t.by_status[CAMP_SKIPPED] = gates[_i].skipped;
    t.failed_by[CAMP_FAIL_SILENT] = gates[_i].silent;
    t.by_status[CAMP_QUEUED] =
        gates[_i].total - gates[_i].ok - gates[_i].failed - gates[_i].skipped;
    camp_gate_look(&gates[_i].wave, &t, gates[_i].idle, 10, &v);
    ck_assert_msg(v.status == gates[_i].want, "%s: %s", gates[_i].why,
                  camp_wave_status_name(v.status));
    ck_assert(v.status == (enum camp_wave_status)gates[_i].wave.status || v.text[0] != '\0');
}
END_TEST

START_TEST(shares_are_near_and_grow_by_adding)
{
    const struct db_campaign_wave five[] = {{.kind = CAMP_WAVE_PERCENT, .amount = 5000},
                                            {.kind = CAMP_WAVE_REST}};
    const struct db_campaign_wave ten[] = {{.kind = CAMP_WAVE_PERCENT, .amount = 10000},
                                           {.kind = CAMP_WAVE_REST}};
    const int64_t fill[2] = {1, 1};
    int n5 = 0, n10 = 0;

    for (int64_t d = 1; d <= 10000; d++) {
        bool in5 = camp_wave_of(five, 2, fill, 77, d) == 0;
        bool in10 = camp_wave_of(ten, 2, fill, 77, d) == 0;
        ck_assert(!in5 || in10);
        n5 += in5;
        n10 += in10;
    }
    ck_assert(n5 > 400 && n5 < 600 && n10 > 880 && n10 < 1120);
}
END_TEST

START_TEST(small_fleets_fill_the_first_waves)
{
    const struct db_campaign_wave waves[] = {{.kind = CAMP_WAVE_COUNT, .amount = 1},
                                             {.kind = CAMP_WAVE_PERCENT, .amount = 1},
                                             {.kind = CAMP_WAVE_REST}};
    int64_t fill[3] = {0};

    for (int64_t d = 1; d <= 3; d++) {
        fill[camp_wave_of(waves, 3, fill, 5, d)]++;
    }
    ck_assert(fill[0] == 1 && fill[1] == 1 && fill[2] == 1);
}
END_TEST

#define HOUR 3600000LL
#define MONDAY(f, t, o)                                                                            \
    {                                                                                              \
        .window_days = 1, .window_from = f, .window_to = t, .window_offset = o                     \
    }

static const struct {
    const char *why;
    struct db_campaign c;
    int64_t hour; /* since 1970; the first Monday begins at 96 */
    bool open;
} windows[] = {
    {"none", {.window_days = 0}, 0, true},
    {"Monday morning", MONDAY(60, 240, 0), 97, true},
    {"just over", MONDAY(60, 240, 0), 100, false},
    {"Tuesday", MONDAY(60, 240, 0), 121, false},
    {"over midnight, evening", MONDAY(1320, 120, 0), 119, true},
    {"over midnight, morning after", MONDAY(1320, 120, 0), 121, true},
    {"over midnight, too late", MONDAY(1320, 120, 0), 122, false},
    {"over midnight, the morning of the day itself", MONDAY(1320, 120, 0), 97, false},
    {"Monday comes earlier in the east", MONDAY(0, 60, 120), 94, true},
    {"all day", MONDAY(0, 0, 0), 100, true},
};

START_TEST(windows_open_when_they_say)
{
    ck_assert_msg(camp_window_open(&windows[_i].c, NULL, windows[_i].hour * HOUR) ==
                      windows[_i].open,
                  "%s", windows[_i].why);
}
END_TEST

/* Helsinki, 2027: on Sunday March 28th the clock skips 03:00 to 04:00 (1806195600), on Sunday
 * October 31st it shows 03:00 to 04:00 twice (1824948000 is the second 04:00). */
#define SUNDAY(f, t)                                                                               \
    {                                                                                              \
        .window_days = 64, .window_from = f, .window_to = t, .window_zone = "Europe/Helsinki"      \
    }
static const struct {
    const char *why;
    struct db_campaign c;
    int64_t at; /* s */
    bool open;
} zoned[] = {
    {"02:30, before the skip", SUNDAY(150, 300), 1806193800, true},
    {"skipped, opens with the skip", SUNDAY(210, 270), 1806195600, true},
    {"skipped, not before", SUNDAY(210, 270), 1806195599, false},
    {"skipped, until 04:30", SUNDAY(210, 270), 1806197399, true},
    {"skipped, closed at 04:30", SUNDAY(210, 270), 1806197400, false},
    {"wholly skipped, as long as it is", SUNDAY(190, 220), 1806195600 + 30 * 60 - 1, true},
    {"wholly skipped, and over", SUNDAY(190, 220), 1806195600 + 30 * 60, false},
    {"twice, the first time", SUNDAY(190, 220), 1824940800 + 10 * 60, true},
    {"twice, not the second time", SUNDAY(190, 220), 1824944400 + 15 * 60, false},
    {"through the night", SUNDAY(120, 300), 1824948000 + 3599, true},
    {"through the night, over", SUNDAY(120, 300), 1824948000 + 3600, false},
};

START_TEST(windows_follow_the_clock_of_their_zone)
{
    struct dr_zone *zone = NULL;

    ck_assert_int_eq(dr_zone_load("Europe/Helsinki", &zone), DR_OK);
    ck_assert_msg(camp_window_open(&zoned[_i].c, zone, zoned[_i].at * 1000) == zoned[_i].open, "%s",
                  zoned[_i].why);
    ck_assert(!camp_window_open(&zoned[_i].c, NULL, zoned[_i].at * 1000)); /* not known: closed */
    ck_assert_ptr_null(dr_zone_free(zone));
}
END_TEST

#define MINUTE 60000

START_TEST(a_clock_that_was_moved_is_believed_later)
{
    struct camp_clock c = {0};
    int64_t day = 24 * HOUR;

    ck_assert(camp_clock_look(&c, day, 0));
    ck_assert(camp_clock_look(&c, day + MINUTE + 20000, MINUTE)); /* it drifts */
    ck_assert(!camp_clock_look(&c, 3 * day, 2 * MINUTE));         /* a jump */
    ck_assert(camp_clock_look(&c, day + 3 * MINUTE, 3 * MINUTE)); /* taken back */
    ck_assert(!camp_clock_look(&c, 4 * MINUTE, 4 * MINUTE));      /* a day back */
    ck_assert(!camp_clock_look(&c, 18 * MINUTE, 18 * MINUTE));
    ck_assert(!camp_clock_look(&c, day, 18 * MINUTE + 1)); /* another one begins anew */
    ck_assert(!camp_clock_look(&c, day + 14 * MINUTE, 32 * MINUTE + 1));
    ck_assert(camp_clock_look(&c, day + 15 * MINUTE, 33 * MINUTE + 1));
    ck_assert(camp_clock_look(&c, day + 16 * MINUTE, 34 * MINUTE + 1));
}
END_TEST

START_TEST(a_rate_is_kept_over_time)
{
    struct camp_rate r = {0};
    int64_t taken = 0;

    for (int64_t ms = 1000; ms <= 601000; ms += 250) {
        int64_t n = camp_rate_tokens(&r, 60, ms);
        camp_rate_take(&r, n);
        taken += n;
    }
    ck_assert_int_ge(taken, 595);
    ck_assert_int_le(taken, 607);
}
END_TEST

START_TEST(conditions_survive_as_text)
{
    const char *one[] = {"registered"}, *three[] = {"a", "", "c d"}, *bad[] = {"a\x1f"};
    const struct db_cond in[] = {
        {.field = "state", .op = DB_OP_NEQ, .values = one, .n_values = 1},
        {.field = "custom_attributes__x", .op = DB_OP_IN, .values = three, .n_values = 3},
        {.field = "name", .op = DB_OP_IN, .values = NULL, .n_values = 0}};
    const struct db_cond worse = {.field = "name", .values = bad, .n_values = 1};
    char text[CAMP_CONDS_MAX + 1];
    struct db_cond out[DB_CONDS_MAX];
    const char *values[16];

    ck_assert_int_eq(camp_conds_pack(&worse, 1, text), DR_ERR_LIMIT);
    ck_assert_int_eq(camp_conds_pack(in, 3, text), DR_OK);
    ck_assert_uint_eq(camp_conds_unpack(text, out, values, 16), 3);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_str_eq(out[i].field, in[i].field);
        ck_assert_int_eq(out[i].op, in[i].op);
        ck_assert_uint_eq(out[i].n_values, in[i].n_values);
        for (size_t k = 0; k < in[i].n_values; k++) {
            ck_assert_str_eq(out[i].values[k], in[i].values[k]);
        }
    }
}
END_TEST

#define STATE_P  &camp_driver_pelion, "/10252/0/2"
#define RESULT_P &camp_driver_pelion, "/10252/0/3"
#define STATE_5  &camp_driver_object5, "/5/0/3"
#define RESULT_5 &camp_driver_object5, "/5/0/5"

static const struct {
    const struct camp_driver *driver;
    const char *path, *ct, *payload;
    size_t len;
    enum camp_phase_dev at;
    enum camp_fail fail;
    const char *code;
    int target; /* -1 not said, 0 no, 1 yes */
} reports[] = {
    {STATE_P, "text/plain", "4", 1, CAMP_AT_DOWNLOADING, 0, "UPD2_STATE_4", -1},
    {RESULT_P, "", "-1", 2, 0, 0, "", -1},
    {RESULT_P, "text/plain", "255", 3, 0, 0, "", -1},
    {RESULT_P, "text/plain", "23", 2, 0, CAMP_FAIL_REJECTED, "UPD2_FAIL_23", -1},
    {RESULT_P, "text/plain", "-24", 3, 0, CAMP_FAIL_TRANSIENT, "UPD2_FAIL_24", -1},
    {RESULT_P, "text/plain", "33", 2, 0, CAMP_FAIL_DEVICE, "UPD2_FAIL_33", -1},
    {RESULT_P, "text/plain", "212", 3, 0, CAMP_FAIL_REJECTED, "UPD4_FAIL_212", -1},
    {RESULT_P, "text/plain", "100", 3, 0, 0, "UPD4_OK_100", -1},
    {STATE_P, "application/vnd.oma.lwm2m+tlv", "\xc8\x02\x08\0\0\0\0\0\0\0\x07", 11,
     CAMP_AT_INSTALLING, 0, "UPD2_STATE_7", -1},
    {STATE_P, "text/plain", "x", 1, 0, 0, "", -1},
    {&camp_driver_pelion, "/14", "application/senml+json",
     "[{\"bn\":\"/14/\",\"n\":\"0/2\",\"vs\":\"9\"},{\"n\":\"1/2\",\"vs\":\"2.0.0\"}]", 64, 0, 0,
     "", 0},
    {&camp_driver_pelion, "/3303/0/5700", "text/plain", "4", 1, 0, 0, "", -1},
    {STATE_5, "text/plain", "2", 1, CAMP_AT_DOWNLOADED, 0, "UPD1_STATE_2", -1},
    {RESULT_5, "text/plain", "5", 1, 0, CAMP_FAIL_REJECTED, "UPD1_FAIL_5", -1},
    {RESULT_5, "text/plain", "4", 1, 0, CAMP_FAIL_TRANSIENT, "UPD1_FAIL_4", -1},
    {RESULT_5, "text/plain", "1", 1, 0, 0, "UPD1_OK_1", -1},
    {RESULT_5, "text/plain", "0", 1, 0, 0, "", -1},
    {&camp_driver_object5, "/3/0/3", "text/plain", "2.0.0", 5, 0, 0, "", 1},
    {&camp_driver_object5, "/3/0/3", "text/plain", "1.0.0", 5, 0, 0, "", 0},
};

START_TEST(reports_are_understood)
{
    const struct camp_content content = {.version = "2.0.0"};
    struct camp_report r = {0};
    size_t len = reports[_i].len == 64 ? strlen(reports[_i].payload) : reports[_i].len;

    (void)reports[_i].driver->value(&content, reports[_i].path, reports[_i].ct,
                                    dr_bytes_of((const uint8_t *)reports[_i].payload, len), &r);
    ck_assert_int_eq(r.at, reports[_i].at);
    ck_assert_int_eq(r.fail, reports[_i].fail);
    ck_assert_str_eq(r.code, reports[_i].code);
    ck_assert_int_eq(r.has_target ? r.at_target : -1, reports[_i].target);
}
END_TEST

START_TEST(a_device_is_given_a_way_that_it_knows)
{
    static const struct camp_content both = {.urls = {"http://a", "coap://b"}, .n_urls = 2};
    struct camp_content image = {.image =
                                     cx_body_new((const uint8_t *)"IMAGE", 5, NULL, 0, NULL, NULL)};
    struct camp_report known = {.pull = true, .schemes = CAMP_COAP};
    struct camp_step step;
    const struct camp_driver *d = &camp_driver_object5;

    ck_assert_int_eq(d->request(&both, CAMP_OP_DELIVER, 2, &known, &step), DR_OK);
    ck_assert_str_eq(step.uri, "/5/0/1");
    ck_assert_int_eq(memcmp(step.payload.p, "coap://b", 8), 0);
    known = (struct camp_report){.pull = true, .schemes = CAMP_HTTPS};
    ck_assert_int_eq(d->request(&both, CAMP_OP_DELIVER, 2, &known, &step), DR_ERR_UNSUPPORTED);
    ck_assert_int_eq(d->request(&image, CAMP_OP_DELIVER, 2, &known, &step), DR_ERR_UNSUPPORTED);
    known = (struct camp_report){.push = true, .schemes = CAMP_HTTP};
    ck_assert_int_eq(d->request(&image, CAMP_OP_DELIVER, 2, &known, &step), DR_OK);
    ck_assert_str_eq(step.uri, "/5/0/0");
    ck_assert_ptr_eq(step.body, image.image);
    ck_assert_int_eq(d->request(&image, CAMP_OP_DELIVER, 3, &known, &step), DR_ERR_NOT_FOUND);
    camp_content_fini(&image);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("campaigns/gate");
    TCase *tc = add_case(s, "all");

    tcase_add_loop_test(tc, each_gate_decides, 0, (int)DR_ARRAY_LEN(gates));
    tcase_add_test(tc, shares_are_near_and_grow_by_adding);
    tcase_add_test(tc, small_fleets_fill_the_first_waves);
    tcase_add_loop_test(tc, windows_open_when_they_say, 0, (int)DR_ARRAY_LEN(windows));
    tcase_add_loop_test(tc, windows_follow_the_clock_of_their_zone, 0, (int)DR_ARRAY_LEN(zoned));
    tcase_add_test(tc, a_clock_that_was_moved_is_believed_later);
    tcase_add_test(tc, a_rate_is_kept_over_time);
    tcase_add_test(tc, conditions_survive_as_text);
    tcase_add_loop_test(tc, reports_are_understood, 0, (int)DR_ARRAY_LEN(reports));
    tcase_add_test(tc, a_device_is_given_a_way_that_it_knows);
    return run_suite(s);
}
