/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device-sim/firmware.h"
#include "manifest/ident.h"
#include "tests/unit/run.h"

#define FOLDER TOP_SRCDIR "/tests/vectors/manifest/"

static struct sim_model model;
static struct sim_firmwares fs;
static uint8_t bytes[8192], image[8192];

/* The device of the vectors. */
static void begin(void)
{
    model = (struct sim_model){.update = SIM_UPDATE_PELION, .has_ids = true};
    ck_assert_int_eq(manifest_vendor_id(dr_bytes_str("example.com"), model.vendor), DR_OK);
    ck_assert_int_eq(manifest_class_id(model.vendor, dr_bytes_str("widget-1000"), model.class_id),
                     DR_OK);
    ck_assert_int_eq(sim_firmwares_init(&fs, &model, FOLDER "signer.cert.der", NULL), DR_OK);
}

static void end(void)
{
    sim_firmwares_fini(&fs);
}

static struct dr_bytes load(const char *name, uint8_t *buf)
{
    char path[512];

    (void)snprintf(path, sizeof path, FOLDER "%s", name);
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s", path);
    size_t len = fread(buf, 1, sizeof bytes, f);
    (void)fclose(f);
    return dr_bytes_of(buf, len);
}

static struct sim_firmware *offer(const char *name)
{
    struct sim_firmware *fw = sim_firmware_of_manifest(&fs, load(name, bytes));

    ck_assert_ptr_nonnull(fw);
    return fw;
}

static const struct {
    const char *name;
    int signed_by, whoever; /* verdict with the certificate, and without */
} verdicts[] = {
    {"v3-raw.bin", 0, 0},
    {"v3-signed-image.bin", 0, 0},
    {"v3-vendor-data.bin", 0, 0},
    {"v3-older.bin", SIM_RESULT_OLD, SIM_RESULT_OLD},
    {"v3-other-signer.bin", SIM_RESULT_SIGNATURE, 0},
    {"v3-vendor.bin", 30, 30},
    {"v3-class.bin", 31, 31},
    {"v3-cut.bin", SIM_RESULT_MALFORMED, SIM_RESULT_MALFORMED},
    {"v3-delta.bin", 25, 25},
    {"v1-raw.bin", 28, 28},
    {"suit-es256.suit", 28, 28},
};

START_TEST(a_manifest_is_judged_as_by_a_device)
{
    struct sim_firmware *fw;

    if (strncmp(verdicts[_i].name, "v3", 2) == 0) {
        fw = offer(verdicts[_i].name);
        ck_assert_msg(sim_firmware_verdict(fw, "1.1.0") == verdicts[_i].signed_by, "%s: %d",
                      verdicts[_i].name, sim_firmware_verdict(fw, "1.1.0"));
        ck_assert_ptr_eq(offer(verdicts[_i].name), fw); /* known by now */
    }
    sim_firmwares_fini(&fs);
    ck_assert_int_eq(sim_firmwares_init(&fs, &model, NULL, NULL), DR_OK);
    fw = offer(verdicts[_i].name);
    ck_assert_msg(sim_firmware_verdict(fw, "1.1.0") == verdicts[_i].whoever, "%s: %d",
                  verdicts[_i].name, sim_firmware_verdict(fw, "1.1.0"));
}
END_TEST

START_TEST(rubbish_is_malformed)
{
    ck_assert_int_ne(sim_firmware_of_manifest(&fs, dr_bytes_of(NULL, 0))->reject, 0);
    ck_assert_int_ne(sim_firmware_of_manifest(&fs, dr_bytes_str("rubbish"))->reject, 0);
}
END_TEST

START_TEST(only_a_newer_version_is_taken)
{
    struct sim_firmware *fw = offer("v3-raw.bin"); /* 1.2.3 */

    ck_assert_str_eq(fw->version, "1.2.3");
    ck_assert_int_eq(sim_firmware_verdict(fw, "1.2.2"), 0);
    ck_assert_int_eq(sim_firmware_verdict(fw, "1.2.3"), SIM_RESULT_OLD);
    ck_assert_int_eq(sim_firmware_verdict(fw, "1.2.4"), SIM_RESULT_OLD);
}
END_TEST

/* One device's download, in blocks; the first result that is not 0, or that of the last block. */
static int download(struct sim_firmware *fw, struct dr_bytes data, size_t block)
{
    int result = 0;

    for (size_t at = 0; at < data.len && result == 0; at += block) {
        size_t n = data.len - at < block ? data.len - at : block;
        result = sim_firmware_block(&fs, fw, at, dr_bytes_of(data.p + at, n), at + n < data.len);
    }
    return result;
}

START_TEST(each_device_is_checked_against_the_digest)
{
    struct sim_firmware *fw = offer("v3-raw.bin");
    struct dr_bytes data = load("new.bin", image);

    ck_assert_int_eq(download(fw, data, 1024), 0);
    ck_assert(fw->complete && !fw->bad);
    ck_assert_int_eq(download(fw, data, 64), 0);
    ck_assert_int_eq(download(fw, dr_bytes_of(data.p, data.len - 1), 512), SIM_RESULT_CORRUPTED);
    image[3000] ^= 1;
    ck_assert_int_eq(download(fw, data, 1024), SIM_RESULT_CORRUPTED);
    image[3000] ^= 1;
    ck_assert_int_eq(sim_firmware_block(&fs, fw, data.len, dr_bytes_str("x"), false),
                     SIM_RESULT_CORRUPTED);
    ck_assert_int_eq(download(fw, data, 512), 0);
}
END_TEST

START_TEST(devices_that_overlap_write_it_together)
{
    struct sim_firmware *fw = offer("v3-raw.bin");
    struct dr_bytes data = load("new.bin", image);

    ck_assert_int_eq(sim_firmware_block(&fs, fw, 0, dr_bytes_of(data.p, 512), true), 0);
    ck_assert_int_eq(sim_firmware_block(&fs, fw, 0, dr_bytes_of(data.p, 1024), true), 0);
    ck_assert_uint_eq(fw->filled, 1024);
    ck_assert_int_eq(sim_firmware_block(&fs, fw, 2048, dr_bytes_of(data.p, 16), true),
                     SIM_RESULT_CORRUPTED); /* nobody has been there */
    ck_assert_int_eq(sim_firmware_block(&fs, fw, 512, dr_bytes_of(data.p + 512, 1024), true), 0);
    ck_assert_uint_eq(fw->filled, 1536);
    ck_assert_int_eq(download(fw, data, 1024), 0);
}
END_TEST

START_TEST(an_image_that_is_not_the_manifests_is_bad_for_all)
{
    struct sim_firmware *fw = offer("v3-raw.bin");
    struct dr_bytes data = load("new.bin", image);

    image[0] ^= 1;
    ck_assert_int_eq(download(fw, data, 1024), SIM_RESULT_CORRUPTED);
    ck_assert(fw->bad);
    ck_assert_int_eq(download(fw, data, 1024), SIM_RESULT_CORRUPTED);
}
END_TEST

START_TEST(an_image_without_manifest_names_its_version)
{
    struct sim_firmware *fw = sim_firmware_of_uri(&fs, "coap://h/fw", 11);

    ck_assert_int_eq(download(fw, dr_bytes_str("boot version=2.0.7\n and more"), 16), 0);
    ck_assert_str_eq(fw->version, "2.0.7");
    ck_assert_ptr_eq(sim_firmware_of_uri(&fs, "coap://h/fw", 11), fw);
    fw = sim_firmware_of_image(&fs, dr_bytes_str("nothing said"));
    ck_assert_str_eq(fw->version, SIM_NEXT_VERSION);
    ck_assert_ptr_eq(sim_firmware_of_image(&fs, dr_bytes_str("nothing said")), fw);
    ck_assert_ptr_ne(sim_firmware_of_image(&fs, dr_bytes_str("something")), fw);
    ck_assert_ptr_null(sim_firmware_of_image(&fs, dr_bytes_of(NULL, 0)));
}
END_TEST

START_TEST(there_are_limits)
{
    char uri[SIM_URI_MAX + 2];

    memset(uri, 'x', sizeof uri);
    ck_assert_ptr_null(sim_firmware_of_uri(&fs, uri, SIM_URI_MAX + 1));
    ck_assert_ptr_nonnull(sim_firmware_of_uri(&fs, uri, SIM_URI_MAX));
    for (unsigned i = 1; i < SIM_FIRMWARES_MAX; i++) {
        (void)snprintf(uri, sizeof uri, "coap://h/%u", i);
        ck_assert_ptr_nonnull(sim_firmware_of_uri(&fs, uri, strlen(uri)));
    }
    ck_assert_ptr_null(sim_firmware_of_uri(&fs, "coap://h/other", 14));
    ck_assert_ptr_null(sim_firmware_of_manifest(&fs, dr_bytes_str("other")));
}
END_TEST

START_TEST(a_certificate_that_is_not_there_is_an_error)
{
    struct sim_firmwares other;

    ck_assert_int_eq(sim_firmwares_init(&other, &model, FOLDER "none", NULL), DR_ERR_NOT_FOUND);
    ck_assert_int_eq(sim_firmwares_init(&other, &model, FOLDER "new.bin", NULL), DR_ERR_PROTO);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("firmware");
    TCase *tc = add_case(s, "firmware");

    tcase_add_checked_fixture(tc, begin, end);
    tcase_add_loop_test(tc, a_manifest_is_judged_as_by_a_device, 0, DR_ARRAY_LEN(verdicts));
    tcase_add_test(tc, rubbish_is_malformed);
    tcase_add_test(tc, only_a_newer_version_is_taken);
    tcase_add_test(tc, each_device_is_checked_against_the_digest);
    tcase_add_test(tc, devices_that_overlap_write_it_together);
    tcase_add_test(tc, an_image_that_is_not_the_manifests_is_bad_for_all);
    tcase_add_test(tc, an_image_without_manifest_names_its_version);
    tcase_add_test(tc, there_are_limits);
    tcase_add_test(tc, a_certificate_that_is_not_there_is_an_error);
    return run_suite(s);
}
