/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/integ/rest/test_campaigns.c
 * @brief /v3/update-campaigns over HTTP with the real engine, a real database and a device that
 * never answers.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "base/clock.h"
#include "base/ids.h"
#include "base/loop.h"
#include "campaigns/campaign.h"
#include "db/firmware.h"
#include "db/registration.h"
#include "tests/integ/rest/fixture.h"
#include "tests/unit/run.h"

#define MANIFEST "018bcfe568000000000000000000002a"

static struct camp_engine *engine;
static int64_t device, manifest_id;
static char id[40], path[400];

static dr_err_t content(void *data, struct db_reader *r, int64_t account, int64_t manifest,
                        struct camp_content *ret, struct dr_errinfo *reterr)
{
    (void)data;
    (void)r;
    (void)reterr;
    if (account != fx_account || manifest != manifest_id) {
        return DR_ERR_NOT_FOUND;
    }
    *ret = (struct camp_content){.manifest = manifest};
    ret->raw = dr_bytes_of((const uint8_t *)strdup("M"), 1);
    (void)snprintf(ret->version, sizeof ret->version, "2.0.0");
    return DR_OK;
}

static void loaded(void *data, dr_err_t err)
{
    ck_assert_int_eq(err, DR_OK);
    *(bool *)data = true;
}

static dr_err_t make_device(struct db_writer *w, void *data)
{
    struct dr_idgen g;
    struct db_register_out out;

    (void)data;
    ck_assert_int_eq(dr_idgen_init(&g, NULL, NULL), DR_OK);
    device = dr_id_new(&g);
    struct db_register_in in = {.account = fx_account,
                                .endpoint_name = "meter-1",
                                .new_device = device,
                                .event_ids = {dr_id_new(&g), dr_id_new(&g)},
                                .at_ms = dr_wall_ms(),
                                .lifetime_s = 86400,
                                .version_major = 1,
                                .version_minor = 1,
                                .binding = "U",
                                .links = dr_bytes_str("</10252/0>"),
                                .address = "127.0.0.1:1"};
    dr_idgen_fini(&g);
    return db_register(w, &in, &out);
}

static void with_engine(struct rest_config *config)
{
    bool done = false;
    const struct camp_config c = {.control = fx_loop,
                                  .db = fx_db,
                                  .devices = fake_core(),
                                  .content = content,
                                  .tick_ms = 20,
                                  .visible_ms = 300};

    ck_assert_int_eq(dr_id_parse(MANIFEST, strlen(MANIFEST), &manifest_id), DR_OK);
    fx_write(make_device, NULL);
    ck_assert_int_eq(camp_engine_new(&c, &engine), DR_OK);
    camp_engine_load(engine, loaded, &done);
    while (!done) {
        client_run(fx_loop, 1);
    }
    camp_engine_run(engine);
    config->campaigns = engine;
}

static void setup(void)
{
    fx_setup_with(with_engine);
}

static void stopped(void *data)
{
    *(bool *)data = true;
}

static void teardown(void)
{
    bool done = false;

    camp_engine_stop(engine, stopped, &done);
    while (!done) {
        client_run(fx_loop, 1);
    }
    engine = camp_engine_free(engine);
    fx_teardown();
}

static int call(const char *method, const char *tail, const char *body)
{
    (void)snprintf(path, sizeof path, "/v3/update-campaigns/%s%s", id, tail);
    return fx_call(fx_admin, method, path, body);
}

static void create(const char *body)
{
    ck_assert_msg(fx_call(fx_admin, "POST", "/v3/update-campaigns", body) == 201, "%s",
                  fx_reply->body);
    (void)snprintf(id, sizeof id, "%s", fx_str("id"));
}

static bool until(const char *text, int ms)
{
    for (int i = 0; i < ms / 20; i++) {
        ck_assert_int_eq(call("GET", "", NULL), 200);
        if (fx_has(text)) {
            return true;
        }
        client_run(fx_loop, 20);
    }
    return false;
}

START_TEST(a_new_campaign_is_a_draft_with_all_defaults)
{
    create("{\"device_filter\":\"endpoint_name__eq=meter-1\"}");
    ck_assert(fx_has("\"object\":\"update-campaign\""));
    ck_assert(fx_has("\"phase\":\"draft\"") && fx_has("\"state\":\"draft\""));
    ck_assert(fx_has("\"name\":\"default_object_name\""));
    ck_assert(fx_has("\"campaign_strategy\":\"one-shot\""));
    ck_assert(fx_has("\"autostop\":true") && fx_has("\"autostop_success_percent\":100.0"));
    ck_assert(fx_has("\"approval_required\":false") && fx_has("\"when\":null"));
    ck_assert(fx_has("\"autostop_reason\":\"\""));
    ck_assert(fx_has("\"device_filter\":\"endpoint_name__eq=meter-1\""));
    ck_assert_int_eq(call("GET", "/", NULL), 200); /* a slash at the end does not count */
    ck_assert_int_eq(call("GET", "/metrics", NULL), 404);
    ck_assert_int_eq(call("GET", "", NULL), 200);
    ck_assert_int_eq(fx_call(fx_foreign, "GET", path, NULL), 404);
    ck_assert_int_eq(fx_call(fx_reader, "DELETE", path, NULL), 403);
    ck_assert_int_eq(call("POST", "/stop", NULL), 409);
    ck_assert_int_eq(call("POST", "/start", NULL), 400); /* no manifest */
    ck_assert(fx_has("root_manifest_id"));
    ck_assert_int_eq(call("DELETE", "", NULL), 204);
    ck_assert_int_eq(call("GET", "", NULL), 404);
}
END_TEST

START_TEST(bodies_are_checked)
{
    static const struct {
        const char *body, *field;
    } cases[] = {
        {"{}", "device_filter"},
        {"{\"device_filter\":7}", "device_filter"},
        {"{\"device_filter\":\"colour=red\"}", "device_filter"},
        {"{\"device_filter\":\"created_at__gte=never\"}", "device_filter"},
        {"{\"device_filter\":\"id=1\",\"root_manifest_id\":\"x\"}", "root_manifest_id"},
        {"{\"device_filter\":\"name=1\",\"when\":\"soon\"}", "when"},
        {"{\"device_filter\":\"name=1\",\"autostop_success_percent\":101}", "autostop"},
        {"{\"device_filter\":\"name=1\",\"campaign_strategy\":\"x\"}", "campaign_strategy"},
        {"{\"device_filter\":\"name=1\",\"x_limits\":{\"max_in_flight\":0}}", "max_in_flight"},
        {"{\"device_filter\":\"name=1\",\"x_waves\":{}}", "x_waves"},
        {"{\"device_filter\":\"name=1\",\"x_window\":{\"days\":[8]}}", "days"},
        {"{\"device_filter\":\"name=1\",\"x_window\":{\"from\":\"25:00\"}}", "from"},
    };

    for (size_t i = 0; i < DR_ARRAY_LEN(cases); i++) {
        ck_assert_msg(fx_call(fx_admin, "POST", "/v3/update-campaigns", cases[i].body) == 400,
                      "%s: %d", cases[i].body, fx_reply->status);
        ck_assert_msg(fx_has("validation_error") && fx_has(cases[i].field), "%s: %s", cases[i].body,
                      fx_reply->body);
    }
}
END_TEST

START_TEST(drafts_can_be_changed_and_what_runs_only_renamed)
{
    create("{\"device_filter\":\"name=x\",\"x_waves\":[{\"count\":2,\"error_percent\":12.5,"
           "\"on_error\":\"stop\"},{\"percent\":30,\"soak_seconds\":60}],\"x_unknown\":1}");
    ck_assert(fx_has("\"count\":2") && fx_has("\"error_percent\":12.5") &&
              fx_has("\"on_error\":\"stop\"") && fx_has("\"percent\":30.0") &&
              fx_has("\"rest\":true"));
    ck_assert_int_eq(call("PUT", "",
                          "{\"name\":\"n\",\"description\":\"d\",\"device_filter\":\"id=" MANIFEST
                          "\",\"root_manifest_id\":\"" MANIFEST
                          "\",\"x_window\":{\"days\":[1,7],\"from\":\"22:00\",\"to\":\"05:30\"}}"),
                     200);
    ck_assert(fx_has("\"name\":\"n\"") && fx_has("\"days\":[1,7]") && fx_has("\"to\":\"05:30\""));
    ck_assert(fx_has("\"error_percent\":12.5"));
    ck_assert_int_eq(call("POST", "/start", NULL), 202);
    ck_assert_int_eq(call("PUT", "", "{\"device_filter\":\"name=z\"}"), 403);
    ck_assert_int_eq(call("PUT", "", "{\"name\":\"other\"}"), 200);
    ck_assert(fx_has("\"name\":\"other\""));
    ck_assert_int_eq(call("POST", "/start", NULL), 409);
}
END_TEST

START_TEST(without_devices_it_is_seen_running_and_ends)
{
    create("{\"device_filter\":\"name=nobody\",\"root_manifest_id\":\"" MANIFEST "\"}");
    ck_assert_int_eq(call("POST", "/start", NULL), 202);
    ck_assert_int_eq(call("GET", "", NULL), 200);
    ck_assert(fx_has("\"phase\":\"starting\"") || fx_has("\"phase\":\"active\""));
    ck_assert(until("\"state\":\"autostopped\"", 5000));
    ck_assert(fx_has("\"phase\":\"stopped\"") && fx_has("No device matches the filter"));
    ck_assert_int_eq(call("GET", "/metrics", NULL), 200);
    ck_assert(fx_has("\"total_count\":0"));
    ck_assert_int_eq(call("POST", "/archive", NULL), 202);
    ck_assert_int_eq(call("GET", "", NULL), 200);
    ck_assert(fx_has("\"phase\":\"archived\""));
    ck_assert_int_eq(call("DELETE", "", NULL), 204);
}
END_TEST

START_TEST(the_old_way_starts_and_stops_by_put)
{
    create("{\"device_filter\":\"endpoint_name__eq=meter-1\",\"root_manifest_id\":\"" MANIFEST
           "\",\"state\":\"draft\"}");
    ck_assert_int_eq(call("PUT", "/", "{\"state\":\"scheduled\"}"), 200);
    ck_assert(!fx_has("\"phase\":\"draft\""));
    ck_assert(until("\"phase\":\"active\"", 3000));
    ck_assert_int_eq(call("PUT", "/", "{\"state\":\"draft\"}"), 200);
    ck_assert(until("\"state\":\"userstopped\"", 3000));
    create("{\"device_filter\":\"name=nobody\",\"root_manifest_id\":\"" MANIFEST
           "\",\"state\":\"scheduled\"}");
    ck_assert(!fx_has("\"phase\":\"draft\""));
}
END_TEST

START_TEST(devices_statistics_and_reasons)
{
    char hex[40], tail[160], meta[40];

    dr_id_format(device, hex);
    create("{\"device_filter\":\"endpoint_name__eq=meter-1\",\"root_manifest_id\":\"" MANIFEST
           "\"}");
    (void)snprintf(tail, sizeof tail, "/devices/%s/explain", hex);
    ck_assert_int_eq(call("GET", tail, NULL), 200);
    ck_assert(fx_has("has not looked for its devices yet"));
    ck_assert_int_eq(call("POST", "/start", NULL), 202);
    ck_assert(until("\"in_flight\":1", 3000));
    ck_assert_int_eq(call("GET", "/campaign-device-metadata", NULL), 200);
    ck_assert(fx_has("\"object\":\"update-campaign-device-metadata\"") &&
              fx_has("\"total_count\":1") && fx_has("\"has_more\":false"));
    ck_assert_str_eq(fx_str("device_id"), hex);
    ck_assert_str_eq(fx_str("deployment_state"), "pending");
    ck_assert_str_eq(fx_str("campaign"), id);
    (void)snprintf(meta, sizeof meta, "%s", fx_str("id"));
    (void)snprintf(tail, sizeof tail, "/campaign-device-metadata/%s", meta);
    ck_assert_int_eq(call("GET", tail, NULL), 200);
    ck_assert_str_eq(fx_str("id"), meta);
    ck_assert_int_eq(call("GET", "/statistics", NULL), 200);
    ck_assert(fx_has("\"id\":\"success\"") && fx_has("\"id\":\"fail\"") &&
              fx_has("\"id\":\"skipped\"") && fx_has("\"id\":\"info\""));
    ck_assert_int_eq(call("GET", "/statistics/info", NULL), 200);
    ck_assert(fx_has("\"count\":1") && fx_has("\"summary_status\":\"INFO\""));
    ck_assert_int_eq(call("GET", "/statistics/other", NULL), 404);
    ck_assert_int_eq(call("GET", "/statistics/info/event_types", NULL), 200);
    ck_assert(fx_has("\"event_type\":\"SYS_113\"") && fx_has("\"id\":\"sys_113\""));
    ck_assert_int_eq(call("GET", "/statistics/info/event_types/sys_113", NULL), 200);
    ck_assert_int_eq(call("GET", "/statistics/info/event_types/sys_999", NULL), 404);
    ck_assert_int_eq(call("GET", "/metrics", NULL), 200);
    ck_assert(fx_has("\"pending_count\":1") && fx_has("\"total_count\":1"));
    (void)snprintf(tail, sizeof tail, "/devices/%s/explain", hex);
    ck_assert_int_eq(call("GET", tail, NULL), 200);
    ck_assert(fx_has("admitted"));
    (void)snprintf(tail, sizeof tail, "/v3/device-events?device_id__eq=%s&event_type__eq=SYS_113",
                   hex);
    ck_assert_int_eq(fx_call(fx_admin, "GET", tail, NULL), 200);
    ck_assert(fx_has("\"total_count\":1") && fx_has(id));
    ck_assert_int_eq(call("POST", "/hold", NULL), 202);
    ck_assert_int_eq(call("GET", "", NULL), 200);
    ck_assert(fx_has("\"x_control\":\"hold\"") && fx_has("\"health_indicator\":\"warning\""));
    ck_assert(fx_has("\"phase\":\"active\""));
    ck_assert_int_eq(call("POST", "/resume", NULL), 202);
    ck_assert_int_eq(call("DELETE", "", NULL), 409);
    ck_assert_int_eq(call("POST", "/stop", NULL), 202);
    ck_assert(until("\"state\":\"userstopped\"", 3000));
    ck_assert_int_eq(call("GET", "/campaign-device-metadata/", NULL), 200);
    ck_assert_str_eq(fx_str("deployment_state"), "manifestremoved");
    ck_assert_int_eq(call("DELETE", "", NULL), 204);
}
END_TEST

START_TEST(lists_are_filtered)
{
    create("{\"name\":\"a\",\"device_filter\":\"name=nobody\"}");
    create("{\"name\":\"b\",\"device_filter\":\"name=nobody\",\"root_manifest_id\":\"" MANIFEST
           "\"}");
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v3/update-campaigns/", NULL), 200);
    ck_assert(fx_has("\"total_count\":2"));
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v3/update-campaigns?name__eq=b", NULL), 200);
    ck_assert(fx_has("\"total_count\":1") && fx_has("\"name\":\"b\""));
    ck_assert_int_eq(fx_call(fx_admin, "GET",
                             "/v3/update-campaigns?filter=state__in%3Ddraft%252Cautostopped", NULL),
                     200);
    ck_assert(fx_has("\"total_count\":2"));
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v3/update-campaigns?state__neq=draft", NULL), 200);
    ck_assert(fx_has("\"total_count\":0"));
    ck_assert_int_eq(fx_call(fx_admin, "GET", "/v3/update-campaigns?state=nope", NULL), 400);
    ck_assert_int_eq(
        fx_call(fx_admin, "GET", "/v3/update-campaigns?root_manifest_id=" MANIFEST, NULL), 200);
    ck_assert(fx_has("\"total_count\":1"));
    ck_assert_int_eq(fx_call(fx_foreign, "GET", "/v3/update-campaigns", NULL), 200);
    ck_assert(fx_has("\"total_count\":0"));
}
END_TEST

/* ---- another account ---- */

#define IMAGE "018bcfe5680000000000000000000031"
#define JOB   "018bcfe5680000000000000000000032"

static dr_err_t make_firmware(struct db_writer *w, void *data)
{
    static const char digest[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    struct db_image image = {.account = fx_account,
                             .name = "mine",
                             .description = "",
                             .filename = "",
                             .sha256 = digest,
                             .token = "0123456789abcdef0123456789abcdef",
                             .size = 10};
    struct db_upload job = {.account = fx_account, .name = "mine", .description = ""};
    struct db_chunk chunk = {.length = 5, .hash = "00"};
    struct db_manifest m = {.id = manifest_id,
                            .account = fx_account,
                            .name = "mine",
                            .description = "",
                            .filename = "",
                            .token = "fedcba9876543210fedcba9876543210",
                            .raw = dr_bytes_str("M"),
                            .version = "2.0.0",
                            .vendor = "",
                            .class_id = "",
                            .component = "MAIN",
                            .payload_type = "full",
                            .payload_url = "",
                            .payload_digest = digest,
                            .installed_digest = "",
                            .precursor_digest = ""};

    (void)data;
    ck_assert_int_eq(dr_id_parse(IMAGE, strlen(IMAGE), &image.id), DR_OK);
    ck_assert_int_eq(dr_id_parse(JOB, strlen(JOB), &job.id), DR_OK);
    chunk.job = job.id;
    dr_err_t err = db_image_insert(w, &image);
    err = err == DR_OK ? db_upload_insert(w, &job) : err;
    err = err == DR_OK ? db_chunk_insert(w, fx_account, &chunk, 0) : err;
    return err == DR_OK ? db_manifest_insert(w, &m) : err;
}

static const struct {
    const char *method, *path;
    const char *tail; /* not NULL: behind the id of the campaign */
    const char *body;
} foreign[] = {
    {"GET", "/v3/firmware-images/" IMAGE, NULL, NULL},
    {"DELETE", "/v3/firmware-images/" IMAGE, NULL, NULL},
    {"GET", "/v3/firmware-images/upload-jobs/" JOB, NULL, NULL},
    {"PUT", "/v3/firmware-images/upload-jobs/" JOB, NULL, "{\"name\":\"x\"}"},
    {"DELETE", "/v3/firmware-images/upload-jobs/" JOB, NULL, NULL},
    {"GET", "/v3/firmware-images/upload-jobs/" JOB "/chunks", NULL, NULL},
    {"GET", "/v3/firmware-images/upload-jobs/" JOB "/chunks/1", NULL, NULL},
    {"GET", "/v3/firmware-manifests/" MANIFEST, NULL, NULL},
    {"DELETE", "/v3/firmware-manifests/" MANIFEST, NULL, NULL},
    {"GET", "/v3/update-campaigns/", "", NULL},
    {"PUT", "/v3/update-campaigns/", "", "{\"name\":\"x\"}"},
    {"DELETE", "/v3/update-campaigns/", "", NULL},
    {"POST", "/v3/update-campaigns/", "/start", ""},
    {"POST", "/v3/update-campaigns/", "/stop", ""},
    {"POST", "/v3/update-campaigns/", "/archive", ""},
    {"POST", "/v3/update-campaigns/", "/hold", ""},
    {"POST", "/v3/update-campaigns/", "/resume", ""},
    {"POST", "/v3/update-campaigns/", "/advance", ""},
    {"POST", "/v3/update-campaigns/", "/retry", ""},
    {"GET", "/v3/update-campaigns/", "/statistics", NULL},
    {"GET", "/v3/update-campaigns/", "/statistics/success", NULL},
    {"GET", "/v3/update-campaigns/", "/campaign-device-metadata", NULL},
};

START_TEST(another_account_sees_and_changes_nothing)
{
    static const char *const lists[] = {"/v3/firmware-images", "/v3/firmware-manifests",
                                        "/v3/firmware-images/upload-jobs", "/v3/update-campaigns"};

    fx_write(make_firmware, NULL);
    create("{\"device_filter\":\"state__eq=registered\",\"root_manifest_id\":\"" MANIFEST "\"}");
    for (size_t i = 0; i < DR_ARRAY_LEN(foreign); i++) {
        (void)snprintf(path, sizeof path, "%s%s%s", foreign[i].path,
                       foreign[i].tail == NULL ? "" : id,
                       foreign[i].tail == NULL ? "" : foreign[i].tail);
        int status = fx_call(fx_foreign, foreign[i].method, path, foreign[i].body);
        ck_assert_msg(status == 404, "%s %s: %d", foreign[i].method, path, status);
    }
    for (size_t i = 0; i < DR_ARRAY_LEN(lists); i++) {
        ck_assert_int_eq(fx_call(fx_foreign, "GET", lists[i], NULL), 200);
        ck_assert_msg(fx_has("\"data\":[]"), "%s", fx_reply->body);
        ck_assert_int_eq(fx_call(fx_admin, "GET", lists[i], NULL), 200);
        ck_assert_msg(!fx_has("\"data\":[]"), "%s", lists[i]);
    }
    ck_assert_int_eq(fx_call(fx_reader, "DELETE", "/v3/firmware-images/" IMAGE, NULL), 403);
    ck_assert_int_eq(call("GET", "", NULL), 200);
    ck_assert(fx_has("\"phase\":\"draft\""));
}
END_TEST

START_TEST(a_manifest_of_another_account_starts_nothing)
{
    fx_write(make_firmware, NULL);
    const char *body =
        "{\"device_filter\":\"state__eq=registered\",\"root_manifest_id\":\"" MANIFEST "\"}";
    ck_assert_int_eq(fx_call(fx_foreign, "POST", "/v3/update-campaigns", body), 201);
    (void)snprintf(path, sizeof path, "/v3/update-campaigns/%s/start", fx_str("id"));
    (void)snprintf(id, sizeof id, "%s", fx_str("id"));
    ck_assert_int_eq(fx_call(fx_foreign, "POST", path, ""), 202);
    (void)snprintf(path, sizeof path, "/v3/update-campaigns/%s", id);
    for (int i = 0; i < 100; i++) {
        client_run(fx_loop, 20);
        ck_assert_int_eq(fx_call(fx_foreign, "GET", path, NULL), 200);
        if (fx_has("\"phase\":\"stopped\"")) {
            break;
        }
    }
    ck_assert(fx_has("\"phase\":\"stopped\""));
    ck_assert(!fx_has("\"autostop_reason\":null"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("rest/campaigns");
    TCase *tc = add_case(s, "campaigns");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_new_campaign_is_a_draft_with_all_defaults);
    tcase_add_test(tc, bodies_are_checked);
    tcase_add_test(tc, drafts_can_be_changed_and_what_runs_only_renamed);
    tcase_add_test(tc, without_devices_it_is_seen_running_and_ends);
    tcase_add_test(tc, the_old_way_starts_and_stops_by_put);
    tcase_add_test(tc, devices_statistics_and_reasons);
    tcase_add_test(tc, lists_are_filtered);
    tcase_add_test(tc, another_account_sees_and_changes_nothing);
    tcase_add_test(tc, a_manifest_of_another_account_starts_nothing);
    return run_suite(s);
}
