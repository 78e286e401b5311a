/* SPDX-License-Identifier: Apache-2.0 */
#include "manifest/ident.h"

#include "base/text.h"
#include "tests/unit/run.h"

START_TEST(names_become_uuids_without_folding)
{
    uint8_t vendor[16], class_id[16], other[16];
    char text[MANIFEST_ID_TEXT_LEN + 1];

    ck_assert_int_eq(manifest_vendor_id(dr_bytes_str("example.com"), vendor), DR_OK);
    manifest_id_format(vendor, text);
    ck_assert_str_eq(text, "cfbff0d1-9375-5685-968c-48ce8b15ae17");
    ck_assert_int_eq(manifest_class_id(vendor, dr_bytes_str("widget-1000"), class_id), DR_OK);
    manifest_id_format(class_id, text);
    ck_assert_str_eq(text, "696aad72-78a0-53fe-8edc-82df1ecc3ce8");
    ck_assert_int_eq(manifest_vendor_id(dr_bytes_str("Example.com"), other), DR_OK);
    ck_assert_mem_ne(vendor, other, 16);
}
END_TEST

START_TEST(a_name_has_a_longest_length)
{
    static char name[MANIFEST_NAME_MAX + 1];
    uint8_t id[16] = {1};

    memset(name, 'a', sizeof name);
    ck_assert_int_eq(manifest_vendor_id(dr_bytes_of(name, sizeof name), id), DR_ERR_TOO_LARGE);
    ck_assert_uint_eq(id[0], 1); /* untouched */
    ck_assert_int_eq(manifest_vendor_id(dr_bytes_of(name, sizeof name - 1), id), DR_OK);
}
END_TEST

static const struct {
    const char *text;
    bool good;
} ids[] = {
    {"cfbff0d1-9375-5685-968c-48ce8b15ae17", true},
    {"cfbff0d193755685968c48ce8b15ae17", true},
    {"CFBFF0D193755685968C48CE8B15AE17", true},
    {"", false},
    {"cfbff0d193755685968c48ce8b15ae1", false},
    {"cfbff0d193755685968c48ce8b15ae177", false},
    {"cfbff0d1-93755-685-968c-48ce8b15ae17", false},
    {"cfbff0d1-9375-5685-968c-48ce8b15ae1g", false},
    {"cfbff0d1x9375-5685-968c-48ce8b15ae17", false},
    {"-cfbff0d193755685968c48ce8b15ae1-", false},
    {"--------cfbff0d193755685968c48ce----", false},
};

START_TEST(a_uuid_has_two_forms)
{
    uint8_t id[16] = {0x42};

    dr_err_t err = manifest_id_parse(dr_bytes_str(ids[_i].text), id);
    ck_assert_msg((err == DR_OK) == ids[_i].good, "%s", ids[_i].text);
    ck_assert_uint_eq(id[0], ids[_i].good ? 0xcf : 0x42);
}
END_TEST

static const struct {
    const char *text;
    dr_err_t err;
    uint64_t want;
} versions[] = {
    {"0.0.1", DR_OK, 36028797018963969},
    {"1.2.3", DR_OK, 36029896530722819},
    {"10.0.0", DR_OK, 36039792135241728},
    {"999.999.999", DR_OK, 37127209200583655},
    {"0.0.0", DR_ERR_RANGE, 0},
    {"1000.0.0", DR_ERR_RANGE, 0},
    {"1.2", DR_ERR_PROTO, 0},
    {"1.2.", DR_ERR_PROTO, 0},
    {"1.2.3.4", DR_ERR_PROTO, 0},
    {"01.2.3", DR_ERR_PROTO, 0},
    {"+1.2.3", DR_ERR_PROTO, 0},
    {" 1.2.3", DR_ERR_PROTO, 0},
    {"1.2.3 ", DR_ERR_PROTO, 0},
    {"v1.2.3", DR_ERR_PROTO, 0},
    {"1.-2.3", DR_ERR_PROTO, 0},
    {"", DR_ERR_PROTO, 0},
};

START_TEST(a_version_is_three_numbers)
{
    uint64_t got = 5;
    char text[MANIFEST_VERSION_LEN + 1];

    ck_assert_msg(manifest_version_parse(dr_bytes_str(versions[_i].text), &got) == versions[_i].err,
                  "'%s'", versions[_i].text);
    ck_assert_uint_eq(got, versions[_i].err == DR_OK ? versions[_i].want : 5);
    if (versions[_i].err == DR_OK) {
        manifest_version_format(got, text);
        ck_assert_str_eq(text, versions[_i].text);
    }
}
END_TEST

START_TEST(a_timestamp_is_shown_as_no_version)
{
    char text[MANIFEST_VERSION_LEN + 1];

    manifest_version_format(1700000000, text);
    ck_assert_str_eq(text, "0.0.0");
    manifest_version_format(UINT64_MAX, text);
    ck_assert_str_eq(text, "0.0.0");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("manifest ident");
    TCase *tc = add_case(suite, "uuid");

    tcase_add_test(tc, names_become_uuids_without_folding);
    tcase_add_test(tc, a_name_has_a_longest_length);
    tcase_add_loop_test(tc, a_uuid_has_two_forms, 0, DR_ARRAY_LEN(ids));
    tc = add_case(suite, "version");
    tcase_add_loop_test(tc, a_version_is_three_numbers, 0, DR_ARRAY_LEN(versions));
    tcase_add_test(tc, a_timestamp_is_shown_as_no_version);
    return run_suite(suite);
}
