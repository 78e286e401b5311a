/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/manifest/scene.h"

#include "tests/unit/run.h"

static struct scene s;
static const enum manifest_format formats[] = {MANIFEST_V1, MANIFEST_V3, MANIFEST_SUIT};

static void set_up(void)
{
    scene_init(&s);
}

static void tear_down(void)
{
    scene_fini(&s);
}

static void build(const struct manifest *m)
{
    struct manifest_fault fault = {0};

    dr_err_t err = scene_build(&s, m, &fault);
    ck_assert_msg(err == DR_OK, "%s: %s", manifest_check_name(fault.check), fault.why);
}

static void refused(enum manifest_check check)
{
    struct manifest_verdict v = scene_check(&s);

    ck_assert_msg(!v.accepted && v.fault.check == check, "%s instead of %s: %s",
                  manifest_check_name(v.fault.check), manifest_check_name(check), v.fault.why);
    ck_assert(v.fault.why[0] != '\0');
}

static void accepted(void)
{
    struct manifest_verdict v = scene_check(&s);

    ck_assert_msg(v.accepted, "%s: %s", manifest_check_name(v.fault.check), v.fault.why);
}

START_TEST(what_is_built_is_parsed_and_accepted)
{
    struct manifest m = scene_manifest(&s, formats[_i]), got;

    build(&m);
    accepted();
    ck_assert_int_eq(manifest_parse(dr_bytes_of(s.out, s.len), &got, NULL), DR_OK);
    ck_assert_int_eq(got.format, formats[_i]);
    ck_assert(dr_bytes_eq(got.vendor, m.vendor) && dr_bytes_eq(got.class_id, m.class_id));
    ck_assert(dr_bytes_eq(got.images[0].digest, m.images[0].digest));
    ck_assert(dr_bytes_eq(got.images[0].uri, m.images[0].uri));
    ck_assert_uint_eq(got.images[0].size, 1000);
    ck_assert_uint_eq(got.version, formats[_i] == MANIFEST_V3 ? 36029896530722819 : 1700000000);
}
END_TEST

START_TEST(no_changed_octet_is_accepted)
{
    struct manifest m = scene_manifest(&s, formats[_i]);

    build(&m);
    for (size_t i = 0; i < s.len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            s.out[i] ^= (uint8_t)(1U << bit);
            ck_assert_msg(!scene_check(&s).accepted, "octet %zu bit %u", i, bit);
            s.out[i] ^= (uint8_t)(1U << bit);
        }
    }
    accepted();
}
END_TEST

START_TEST(no_cut_or_longer_manifest_is_accepted)
{
    struct manifest m = scene_manifest(&s, formats[_i]);
    struct manifest got = {.version = 42};

    build(&m);
    for (size_t cut = s.len; cut-- > 0;) {
        uint8_t *exact = malloc(cut == 0 ? 1 : cut);
        struct manifest_verdict v;
        memcpy(exact, s.out, cut);
        manifest_check(dr_bytes_of(exact, cut), &s.means, &v, &got);
        ck_assert(!v.accepted);
        ck_assert_int_ne(manifest_parse(dr_bytes_of(exact, cut), &got, NULL), DR_OK);
        free(exact);
    }
    s.out[s.len++] = 0;
    refused(MANIFEST_CHECK_MALFORMED);
    ck_assert_uint_eq(got.version, 42); /* untouched all the way */
}
END_TEST

START_TEST(a_manifest_of_another_key_is_refused)
{
    struct manifest m = scene_manifest(&s, formats[_i]);

    build(&m);
    s.keys[0] = s.other;
    refused(MANIFEST_CHECK_SIGNATURE);
    s.keys[1] = s.cert;
    s.means.key_count = 2;
    accepted();
    s.means.key_count = 0;
    ck_assert(!scene_check(&s).accepted);
}
END_TEST

START_TEST(identity_comes_before_version)
{
    struct manifest m = scene_manifest(&s, formats[_i]);
    uint8_t id[16] = {9};

    build(&m);
    s.means.has_current = true;
    s.means.current = UINT64_MAX;
    s.means.class_id = id;
    s.means.vendor = id;
    if (formats[_i] == MANIFEST_SUIT) { /* its sequence number comes first */
        refused(MANIFEST_CHECK_VERSION);
        s.means.has_current = false;
    }
    refused(MANIFEST_CHECK_VENDOR);
    s.means.vendor = s.vendor;
    refused(MANIFEST_CHECK_CLASS);
    s.means.class_id = s.class_id;
    s.means.has_current = true;
    refused(MANIFEST_CHECK_VERSION);
}
END_TEST

START_TEST(a_version_must_be_newer)
{
    struct manifest m = scene_manifest(&s, formats[_i]), got;

    build(&m);
    ck_assert_int_eq(manifest_parse(dr_bytes_of(s.out, s.len), &got, NULL), DR_OK);
    s.means.has_current = true;
    s.means.current = got.version - 1;
    accepted();
    s.means.current = got.version + 1;
    refused(MANIFEST_CHECK_VERSION);
    s.means.current = got.version;
    if (formats[_i] ==
        MANIFEST_SUIT) { /* spec: SUIT-MANIFEST#6.2: an equal number may come again */
        accepted();
    } else {
        refused(MANIFEST_CHECK_VERSION);
    }
}
END_TEST

START_TEST(the_payload_is_compared)
{
    struct manifest m = scene_manifest(&s, formats[_i]);
    uint8_t other[32] = {9};

    build(&m);
    s.means.payload = s.digest;
    s.means.payload_size = 1000;
    accepted();
    s.means.payload_size = 1001;
    refused(MANIFEST_CHECK_PAYLOAD_SIZE);
    s.means.payload_size = 1000;
    s.means.payload = other;
    refused(MANIFEST_CHECK_PAYLOAD_DIGEST);
}
END_TEST

START_TEST(a_precursor_is_compared)
{
    struct manifest m = scene_manifest(&s, formats[_i]);

    m.images[0].precursor = dr_bytes_of(s.precursor, 32);
    if (formats[_i] != MANIFEST_SUIT) {
        m.payload_format = MANIFEST_PAYLOAD_DELTA;
        m.has_installed = true;
        m.installed_size = 2000;
        m.installed_digest = dr_bytes_of(s.installed, 32);
    }
    build(&m);
    accepted(); /* not known which image runs */
    s.means.precursor = s.precursor;
    accepted();
    s.means.precursor = s.installed;
    refused(MANIFEST_CHECK_PRECURSOR);
}
END_TEST

START_TEST(a_small_buffer_is_an_error_and_stays_untouched)
{
    struct manifest m = scene_manifest(&s, formats[_i]);
    uint8_t out[1024];
    size_t need = 0, len = 77;

    build(&m);
    need = formats[_i] == MANIFEST_SUIT ? s.len / 2 : s.len - 8; /* signatures differ in length */
    memset(out, 0xee, sizeof out);
    for (size_t cap = 0; cap < need; cap++) {
        ck_assert_int_eq(manifest_build(&m, &s.signer, MANIFEST_ESP256, out, cap, &len, NULL),
                         DR_ERR_NOSPACE);
        ck_assert_uint_eq(len, 77);
    }
    for (size_t i = 0; i < sizeof out; i++) {
        ck_assert_uint_eq(out[i], 0xee);
    }
}
END_TEST

static dr_err_t failing(void *data, struct dr_bytes tbs, uint8_t ret[MANIFEST_SIG_LEN])
{
    (void)tbs;
    (void)ret;
    ++*(int *)data;
    return DR_ERR_IO;
}

START_TEST(an_error_of_the_signer_is_passed_on)
{
    struct manifest m = scene_manifest(&s, formats[_i]);
    int calls = 0;
    struct manifest_signer signer = {.sign = failing, .data = &calls};
    size_t len = 77;

    ck_assert_int_eq(manifest_build(&m, &signer, MANIFEST_ESP256, s.out, sizeof s.out, &len, NULL),
                     DR_ERR_IO);
    ck_assert_int_eq(calls, 1);
    ck_assert_uint_eq(len, 77);
}
END_TEST

/* ---- what a builder refuses ---- */

static void cannot_build(const struct manifest *m, enum manifest_check check)
{
    struct manifest_fault fault = {0};

    s.len = 77;
    ck_assert_int_eq(scene_build(&s, m, &fault), DR_ERR_INVAL);
    ck_assert_msg(fault.check == check, "%s: %s", manifest_check_name(fault.check), fault.why);
    ck_assert_uint_eq(s.len, 77);
}

START_TEST(what_a_device_would_refuse_is_not_built)
{
    static char uri[MANIFEST_URI_MAX + 2];
    struct manifest m = scene_manifest(&s, MANIFEST_V3);

    memset(uri, 'u', sizeof uri - 1);
    m.images[0].uri = dr_bytes_of(uri, MANIFEST_URI_MAX);
    build(&m);
    m.images[0].uri.len++;
    cannot_build(&m, MANIFEST_CHECK_URI);
    m = scene_manifest(&s, MANIFEST_V3);
    m.component = dr_bytes_str("TOOLONGNAME");
    cannot_build(&m, MANIFEST_CHECK_MALFORMED);
    m.component = dr_bytes_str("");
    cannot_build(&m, MANIFEST_CHECK_MALFORMED);
    m = scene_manifest(&s, MANIFEST_V3);
    m.version_text = dr_bytes_str("0.0.0");
    cannot_build(&m, MANIFEST_CHECK_VERSION);
    m = scene_manifest(&s, MANIFEST_V3);
    m.priority = 2147483648;
    cannot_build(&m, MANIFEST_CHECK_MALFORMED);
    m = scene_manifest(&s, MANIFEST_V3);
    m.images[0].size = 0;
    cannot_build(&m, MANIFEST_CHECK_SIZE);
    m.images[0].size = 2147483648;
    cannot_build(&m, MANIFEST_CHECK_MALFORMED);
    m = scene_manifest(&s, MANIFEST_V3);
    m.payload_format = MANIFEST_PAYLOAD_DELTA; /* without metadata */
    cannot_build(&m, MANIFEST_CHECK_MALFORMED);
    m = scene_manifest(&s, MANIFEST_V3);
    m.images[0].digest.len = 31;
    cannot_build(&m, MANIFEST_CHECK_DIGEST_LENGTH);
    m = scene_manifest(&s, MANIFEST_V1);
    m.signatures[0].fingerprint.len = 0;
    cannot_build(&m, MANIFEST_CHECK_MALFORMED);
}
END_TEST

/* ---- v3 ---- */

START_TEST(an_unknown_component_is_refused)
{
    static const char *const names[] = {"SUB", "MAIN"};
    struct manifest m = scene_manifest(&s, MANIFEST_V3);

    build(&m);
    s.means.components = names;
    s.means.component_count = 1;
    refused(MANIFEST_CHECK_COMPONENT);
    s.means.component_count = 2;
    accepted();
}
END_TEST

START_TEST(limits_of_the_device_are_the_checkers)
{
    struct manifest m = scene_manifest(&s, MANIFEST_V3);

    m.vendor_data = dr_bytes_str("12345");
    build(&m);
    accepted();
    s.means.has_vendor_data_max = true;
    s.means.vendor_data_max = 5;
    accepted();
    s.means.vendor_data_max = 4;
    refused(MANIFEST_CHECK_VENDOR_DATA);
    s.means.has_vendor_data_max = false;
    s.means.uri_max = 18;
    refused(MANIFEST_CHECK_URI);
    s.means.uri_max = 19;
    accepted();
    s.means.manifest_max = s.len - 1;
    refused(MANIFEST_CHECK_MALFORMED);
}
END_TEST

START_TEST(an_image_signature_is_over_the_installed_image)
{
    struct manifest m = scene_manifest(&s, MANIFEST_V3);
    uint8_t sig[MANIFEST_SIG_LEN];

    build(&m);
    s.means.need_installed_signature = true;
    refused(MANIFEST_CHECK_INSTALLED_SIGNATURE);
    ck_assert_int_eq(manifest_key_sign_digest(s.key, s.digest, sig), DR_OK);
    m.installed_signature = dr_bytes_of(sig, sizeof sig);
    build(&m);
    accepted();
    m.payload_format = MANIFEST_PAYLOAD_ENCRYPTED_RAW;
    m.has_installed = true;
    m.installed_size = 900;
    m.installed_digest = dr_bytes_of(s.installed, 32);
    build(&m);
    refused(MANIFEST_CHECK_INSTALLED_SIGNATURE); /* over the payload, not over the image */
    ck_assert_int_eq(manifest_key_sign_digest(s.key, s.installed, sig), DR_OK);
    build(&m);
    accepted();
}
END_TEST

START_TEST(a_key_follows_encrypted_payloads_only)
{
    struct manifest m = scene_manifest(&s, MANIFEST_V3);
    uint8_t trailer[18] = {0x81, 16, 1};

    build(&m);
    memcpy(s.out + s.len, trailer, sizeof trailer);
    s.len += sizeof trailer;
    refused(MANIFEST_CHECK_MALFORMED);
    m.payload_format = MANIFEST_PAYLOAD_ENCRYPTED_RAW;
    m.has_installed = true;
    m.installed_size = 900;
    m.installed_digest = dr_bytes_of(s.installed, 32);
    build(&m);
    memcpy(s.out + s.len, trailer, sizeof trailer);
    s.len += sizeof trailer;
    accepted();
    s.means.upload = true; /* an author never has the key */
    refused(MANIFEST_CHECK_MALFORMED);
    s.means.upload = false;
    s.out[s.len - 16] = 0; /* now all zero */
    refused(MANIFEST_CHECK_MALFORMED);
}
END_TEST

/* ---- v1 ---- */

START_TEST(v1_members_survive)
{
    struct manifest m = scene_manifest(&s, MANIFEST_V1), got;

    m.description = dr_bytes_str("what is new");
    m.device = dr_bytes_of(s.digest, 16);
    m.nonce = dr_bytes_of(s.installed, 16);
    m.vendor_data = dr_bytes_str("opaque");
    m.has_priority = true;
    m.priority = 300;
    m.apply_immediately = true;
    m.has_apply_period = true;
    m.valid_from = 1700000000;
    m.valid_to = 4102444800; /* after 2038 */
    m.storage_id = dr_bytes_str("1");
    m.signatures[0].cert_uri = dr_bytes_str("http://u.example/cert");
    build(&m);
    ck_assert_int_eq(manifest_parse(dr_bytes_of(s.out, s.len), &got, NULL), DR_OK);
    ck_assert(dr_bytes_eq(got.description, m.description) && dr_bytes_eq(got.device, m.device) &&
              dr_bytes_eq(got.nonce, m.nonce) && dr_bytes_eq(got.vendor_data, m.vendor_data) &&
              dr_bytes_eq(got.storage_id, m.storage_id) &&
              dr_bytes_eq(got.signatures[0].cert_uri, m.signatures[0].cert_uri));
    ck_assert(got.has_priority && got.priority == 300 && got.apply_immediately);
    ck_assert(got.has_apply_period && got.valid_to == 4102444800);
    struct manifest_verdict v = scene_check(&s);
    ck_assert(v.accepted && strstr(v.note, "apply period") != NULL);
    s.means.device = s.vendor;
    refused(MANIFEST_CHECK_DEVICE);
}
END_TEST

START_TEST(a_certificate_of_another_is_an_unknown_signer)
{
    struct manifest m = scene_manifest(&s, MANIFEST_V1);
    uint8_t fingerprint[32] = {7};

    m.signatures[0].fingerprint = dr_bytes_of(fingerprint, 32);
    build(&m);
    refused(MANIFEST_CHECK_UNKNOWN_SIGNER); /* though the key is the right one */
    s.keys[0] = s.key;                      /* a key without certificate is tried as it is */
    accepted();
}
END_TEST

START_TEST(a_class_is_needed_where_one_is_checked)
{
    struct manifest m = scene_manifest(&s, MANIFEST_V1);

    m.class_id.len = 0;
    build(&m);
    refused(MANIFEST_CHECK_CLASS);
    s.means.class_id = NULL;
    accepted();
}
END_TEST

/* ---- formats ---- */

static const struct {
    const char *in;
    size_t len;
    const char *what;
} foreign[] = {
    {"", 0, "empty"},
    {"\x3d\xb8\xf3\x96....", 8, "MCUboot"},
    {"PELION/BSDIFF001", 16, "delta"},
    {"\x30\x82\x01\x00\x06\x09", 6, "CMS"},
    {"\x30\x03\x02\x01\x05", 5, "DER"},
    {"\x30", 1, "short"},
    {"hello", 5, "neither"},
};

START_TEST(other_files_are_named)
{
    enum manifest_format format = MANIFEST_V3;
    struct dr_errinfo info = {0};
    struct dr_bytes in = dr_bytes_of(foreign[_i].in, foreign[_i].len);

    ck_assert_int_eq(manifest_detect(in, &format, &info), DR_ERR_UNSUPPORTED);
    ck_assert_int_eq(format, MANIFEST_V3);
    ck_assert_msg(strstr(info.text, foreign[_i].what) != NULL, "%s", info.text);
    struct manifest_verdict v;
    manifest_check(in, &s.means, &v, NULL);
    ck_assert(!v.accepted && v.fault.check == MANIFEST_CHECK_MALFORMED);
}
END_TEST

START_TEST(every_check_has_a_name_of_its_own)
{
    for (int i = 0; i <= MANIFEST_CHECK_PAYLOAD_DIGEST; i++) {
        for (int j = 0; j < i; j++) {
            ck_assert_str_ne(manifest_check_name((enum manifest_check)i),
                             manifest_check_name((enum manifest_check)j));
        }
    }
    ck_assert_int_eq(manifest_check_code(MANIFEST_CHECK_VENDOR), -30);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("manifest");
    TCase *tc = add_case(suite, "all formats");
    const int n = DR_ARRAY_LEN(formats);

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, what_is_built_is_parsed_and_accepted, 0, n);
    tcase_add_loop_test(tc, no_changed_octet_is_accepted, 0, n);
    tcase_add_loop_test(tc, no_cut_or_longer_manifest_is_accepted, 0, n);
    tcase_add_loop_test(tc, a_manifest_of_another_key_is_refused, 0, n);
    tcase_add_loop_test(tc, identity_comes_before_version, 0, n);
    tcase_add_loop_test(tc, a_version_must_be_newer, 0, n);
    tcase_add_loop_test(tc, the_payload_is_compared, 0, n);
    tcase_add_loop_test(tc, a_precursor_is_compared, 0, n);
    tcase_add_loop_test(tc, a_small_buffer_is_an_error_and_stays_untouched, 0, n);
    tcase_add_loop_test(tc, an_error_of_the_signer_is_passed_on, 0, n);
    tcase_add_test(tc, what_a_device_would_refuse_is_not_built);
    tc = add_case(suite, "v3");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, an_unknown_component_is_refused);
    tcase_add_test(tc, limits_of_the_device_are_the_checkers);
    tcase_add_test(tc, an_image_signature_is_over_the_installed_image);
    tcase_add_test(tc, a_key_follows_encrypted_payloads_only);
    tc = add_case(suite, "v1");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, v1_members_survive);
    tcase_add_test(tc, a_certificate_of_another_is_an_unknown_signer);
    tcase_add_test(tc, a_class_is_needed_where_one_is_checked);
    tc = add_case(suite, "detect");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, other_files_are_named, 0, DR_ARRAY_LEN(foreign));
    tcase_add_test(tc, every_check_has_a_name_of_its_own);
    return run_suite(suite);
}
