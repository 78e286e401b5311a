/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device's verdict on every manifest of the vectors, and on each cut and change of them the
 * same answer as the server's parser, which shares no code with it.
 */
#include "client/core/manifest.h"

#include "base/text.h"
#include "manifest/manifest.h"
#include "tests/unit/client/rig.h"
#include "tests/unit/manifest/files.h"
#include "tests/unit/run.h"

#define SHARED TOP_SRCDIR "/../shared/data/manifest-vectors/"
#define OWN    TOP_SRCDIR "/tests/vectors/manifest/"

static struct dr_bytes open_in(const char *folder, const char *name)
{
    char path[1024];

    (void)snprintf(path, sizeof path, "%s%s", folder, name);
    return read_all(path);
}

/* The device that the vectors are judged against. */
struct scene {
    struct cl_trust trust;
    struct cl_manifest_means means;
    uint8_t precursor[CL_HASH_LEN];
};

static const char *const components[] = {"MAIN", "ABCDEFGH", "METER"};
static uint32_t versions[3];

static void set_up(struct scene *s, const char *folder, const char *cert, const char *old)
{
    struct manifest_key *key = NULL;
    struct dr_bytes file = open_in(folder, cert);

    memset(s, 0, sizeof *s);
    ck_assert_int_eq(manifest_key_load_public(file, &key, NULL), DR_OK);
    manifest_key_point(key, s->trust.pub);
    (void)manifest_key_free(key);
    free_bytes(file);
    s->trust.verify = cl_verify_es256;
    file = open_in(folder, old);
    ck_assert_ptr_nonnull(file.p);
    cl_sha256(file.p, file.len, s->precursor);
    free_bytes(file);
    s->means = (struct cl_manifest_means){.trust = &s->trust,
                                          .components = components,
                                          .versions = versions,
                                          .component_count = 1,
                                          .vendor_data_max = 16,
                                          .all_formats = true,
                                          .precursor = s->precursor};
    ck_assert_int_eq(manifest_vendor_id(dr_bytes_str("example.com"), s->means.vendor), DR_OK);
    ck_assert_int_eq(
        manifest_class_id(s->means.vendor, dr_bytes_str("widget-1000"), s->means.class_id), DR_OK);
    ck_assert_int_eq(cl_version_parse("1.1.0", 5, &versions[0]), CL_OK);
    versions[1] = versions[2] = versions[0];
}

/* What the words of the shared index ask of a device. 0 stands for any refusal. */
static bool expected(const char *file, const char *words, int *ret)
{
    static const struct {
        const char *word;
        int result;
    } checks[] = {{"version", CL_RESULT_VERSION},
                  {"vendor", CL_RESULT_VENDOR},
                  {"class", CL_RESULT_CLASS},
                  {"component", CL_RESULT_COMPONENT},
                  {"uri", CL_RESULT_URI},
                  {"custom-data", CL_RESULT_VENDOR_DATA},
                  {"malformed", CL_RESULT_MALFORMED},
                  {"signature", CL_RESULT_SIGNATURE},
                  {"digest-length", CL_RESULT_CRYPTO},
                  {"payload-format", CL_RESULT_FORMAT},
                  {"schema", CL_RESULT_SCHEMA},
                  {"size", CL_RESULT_MALFORMED}};
    const char *code = strstr(words, "(-");

    *ret = -1;
    if (strstr(words, "device refuses") != NULL || strncmp(words, "reject", 6) == 0) {
        /* a number of the index wins over the name of the check */
        *ret = code != NULL && code[2] >= '1' && code[2] <= '9' ? atoi(code + 2) : 0;
        for (size_t i = 0; *ret == 0 && i < DR_ARRAY_LEN(checks); i++) {
            if (strncmp(words, "reject:", 7) == 0 &&
                strncmp(words + 7, checks[i].word, strlen(checks[i].word)) == 0) {
                *ret = checks[i].result;
            }
        }
        if (strstr(file, "invalid/version-") != NULL) {
            *ret = CL_RESULT_INTERNAL; /* no version at all, not an older one */
        }
        return *ret != 0 || strstr(words, "strict DER") != NULL;
    }
    *ret = CL_RESULT_OK;
    return true;
}

static void one_shared(struct scene *s, const char *name, const char *words)
{
    struct cl_manifest m = {.size = 77};
    struct dr_bytes file = open_in(SHARED "v3/", name);
    int want = -1;

    if (file.p == NULL) {
        return; /* not all of the files of the index are kept */
    }
    ck_assert_msg(expected(name, words, &want), "%s: what is '%s'?", name, words);
    s->means.component_count = strstr(name, "09-component") != NULL ? 3 : 1;
    if (strstr(name, "09-component") != NULL) {
        static char eight[CL_COMPONENT_MAX + 1];
        static const char *names[] = {eight};
        struct manifest sm;
        ck_assert_int_eq(manifest_parse(file, &sm, NULL), DR_OK);
        memcpy(eight, sm.component.p, sm.component.len);
        s->means.components = names;
        s->means.component_count = 1;
    }
    enum cl_result got = cl_manifest_check(file.p, file.len, &s->means, &m);
    s->means.components = components;
    if (want == 0 && strncmp(words, "reject", 6) == 0) {
        ck_assert_msg(got != CL_RESULT_OK, "%s: accepted", name);
    } else {
        ck_assert_msg((int)got == want, "%s: %d instead of %d ('%s')", name, (int)got, want, words);
    }
    ck_assert_msg(got == CL_RESULT_OK || m.size == 77, "%s: output touched", name);
    free_bytes(file);
}

START_TEST(shared_verdicts_match)
{
    struct dr_bytes index = open_in(SHARED "v3/", "index.tsv");
    struct scene s;
    unsigned count = 0;

    if (index.p == NULL) {
        printf("skipped: no shared manifest vectors beside the project (%s)\n", SHARED);
        return;
    }
    set_up(&s, SHARED, "keys/signer.cert.der", "payload/fw-old.bin");
    char *text = strndup((const char *)index.p, index.len), *save = NULL;
    free_bytes(index);
    (void)strtok_r(text, "\n", &save);
    for (char *line = strtok_r(NULL, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        char *name = strsep(&line, "\t");
        (void)strsep(&line, "\t");
        (void)strsep(&line, "\t");
        one_shared(&s, name, strsep(&line, "\t"));
        count++;
    }
    free(text);
    ck_assert_uint_ge(count, 40);
}
END_TEST

static const struct {
    const char *name;
    int result;
} own[] = {
    {"v3-raw.bin", CL_RESULT_OK},
    {"v3-signed-image.bin", CL_RESULT_OK},
    {"v3-delta.bin", CL_RESULT_OK},
    {"v3-vendor-data.bin", CL_RESULT_OK},
    {"v3-combined.bin", CL_RESULT_OK},
    {"v3-key-trailer.bin", CL_RESULT_OK},
    {"v3-longer.bin", CL_RESULT_OK},           /* a device ignores what follows */
    {"v3-encrypted.bin", CL_RESULT_MALFORMED}, /* the key is missing */
    {"v3-key-trailer-short.bin", CL_RESULT_MALFORMED},
    {"v3-other-signer.bin", CL_RESULT_SIGNATURE},
    {"v3-tampered.bin", CL_RESULT_SIGNATURE},
    {"v3-vendor.bin", CL_RESULT_VENDOR},
    {"v3-class.bin", CL_RESULT_CLASS},
    {"v3-older.bin", CL_RESULT_VERSION},
    {"v3-component.bin", CL_RESULT_COMPONENT},
    {"v3-cut.bin", CL_RESULT_MALFORMED},
    {"v1-raw.bin", CL_RESULT_SCHEMA},
    {"suit-fetch.suit", CL_RESULT_MALFORMED},
};

static void own_verdicts(void)
{
    struct scene s;
    struct cl_manifest m;

    set_up(&s, OWN, "signer.cert.der", "old.bin");
    s.means.vendor_data_max = 64;
    for (size_t i = 0; i < DR_ARRAY_LEN(own); i++) {
        struct dr_bytes file = open_in(OWN, own[i].name);
        REQUIRE(file.p != NULL, own[i].name);
        REQUIRE((int)cl_manifest_check(file.p, file.len, &s.means, &m) == own[i].result,
                own[i].name);
        free_bytes(file);
    }
}

START_TEST(own_verdicts_match)
{
    own_verdicts();
}
END_TEST

START_TEST(a_default_device_takes_raw_images_only)
{
    static const struct {
        const char *name;
        int result;
    } cases[] = {{"v3-raw.bin", CL_RESULT_OK},
                 {"v3-delta.bin", CL_RESULT_FORMAT},
                 {"v3-combined.bin", CL_RESULT_FORMAT},
                 {"v3-encrypted.bin", CL_RESULT_FORMAT},
                 {"v3-vendor-data.bin", CL_RESULT_VENDOR_DATA}};
    struct scene s;
    struct cl_manifest m;

    set_up(&s, OWN, "signer.cert.der", "old.bin");
    s.means.all_formats = false;
    s.means.vendor_data_max = 0;
    for (size_t i = 0; i < DR_ARRAY_LEN(cases); i++) {
        struct dr_bytes file = open_in(OWN, cases[i].name);
        ck_assert_msg((int)cl_manifest_check(file.p, file.len, &s.means, &m) == cases[i].result,
                      "%s", cases[i].name);
        free_bytes(file);
    }
    /* the right kind of payload for another image */
    struct dr_bytes file = open_in(OWN, "v3-delta.bin");
    s.means.all_formats = true;
    s.means.precursor = NULL;
    ck_assert_int_eq(cl_manifest_check(file.p, file.len, &s.means, &m), CL_RESULT_FORMAT);
    s.precursor[3] ^= 1;
    s.means.precursor = s.precursor;
    ck_assert_int_eq(cl_manifest_check(file.p, file.len, &s.means, &m), CL_RESULT_PRECURSOR);
    free_bytes(file);
}
END_TEST

static bool any_signature(const struct cl_trust *trust, const uint8_t hash[CL_HASH_LEN],
                          const uint8_t sig[CL_SIG_LEN])
{
    (void)trust;
    (void)hash;
    (void)sig;
    return true;
}

static bool same_bytes(const uint8_t *ours, size_t len, struct dr_bytes theirs)
{
    return theirs.len == len && (len == 0 || memcmp(ours, theirs.p, len) == 0);
}

static bool same_fields(const struct cl_manifest *m, const struct manifest *sm)
{
    char text[CL_VERSION_MAX];

    cl_version_text(m->version, text);
    return same_bytes(m->vendor, CL_UUID_LEN, sm->vendor) &&
           same_bytes(m->class_id, CL_UUID_LEN, sm->class_id) && m->priority == sm->priority &&
           same_bytes((const uint8_t *)m->component, strlen(m->component), sm->component) &&
           same_bytes((const uint8_t *)text, strlen(text), sm->version_text) &&
           same_bytes(m->digest, CL_HASH_LEN, sm->images[0].digest) &&
           m->size == sm->images[0].size &&
           same_bytes((const uint8_t *)m->uri, m->uri_len, sm->images[0].uri) &&
           m->format == (uint32_t)sm->payload_format && m->installed_size == sm->installed_size &&
           same_bytes(m->installed_digest, m->installed_digest != NULL ? CL_HASH_LEN : 0,
                      sm->installed_digest) &&
           same_bytes(m->installed_signature, m->installed_signature != NULL ? CL_SIG_LEN : 0,
                      sm->installed_signature) &&
           same_bytes(m->precursor, m->precursor != NULL ? CL_HASH_LEN : 0,
                      sm->images[0].precursor) &&
           same_bytes(m->vendor_data, m->vendor_data_len, sm->vendor_data) &&
           same_bytes(m->key, m->key != NULL ? 16 : 0, sm->payload_key);
}

/* Both parsers on the same bytes, signatures aside. */
static void compare(const uint8_t *in, size_t len, const char *name)
{
    static const struct cl_trust trust = {.verify = any_signature};
    static const uint32_t none;
    struct cl_manifest_means means = {.trust = &trust,
                                      .vendor_data_max = SIZE_MAX,
                                      .all_formats = true,
                                      .versions = &none,
                                      .component_count = 1};
    struct manifest sm;
    struct manifest_fault fault = {0};
    char component[CL_COMPONENT_MAX + 1] = "";
    const char *names[] = {component};
    struct cl_manifest m;

    dr_err_t err = manifest_parse(dr_bytes_of(in, len), &sm, &fault);
    if (err == DR_OK && sm.format != MANIFEST_V3) {
        return;
    }
    means.components = names;
    if (err == DR_OK) { /* a device that all of it is meant for */
        memcpy(means.vendor, sm.vendor.p, sizeof means.vendor);
        memcpy(means.class_id, sm.class_id.p, sizeof means.class_id);
        memcpy(component, sm.component.p, sm.component.len);
        means.precursor = sm.images[0].precursor.p;
    }
    enum cl_result got = cl_manifest_check(in, len, &means, &m);
    bool encrypted = err == DR_OK && sm.payload_format >= MANIFEST_PAYLOAD_ENCRYPTED_RAW;
    if (err == DR_OK && sm.signatures[0].sig.len != MANIFEST_SIG_LEN) {
        ck_assert_msg(got == CL_RESULT_SIGNATURE, "%s: %d", name, got);
    } else if (encrypted && sm.payload_key.len == 0) {
        ck_assert_msg(got == CL_RESULT_MALFORMED, "%s: %d", name, got);
    } else if (err == DR_OK) {
        ck_assert_msg(got == CL_RESULT_OK && same_fields(&m, &sm), "%s: %d", name, got);
    } else if (err == DR_ERR_PROTO && strstr(fault.why, "octets behind the manifest") == NULL) {
        ck_assert_msg(got != CL_RESULT_OK, "%s: accepted, but %s", name, fault.why);
    }
}

static unsigned compare_all(const char *folder, const char *name)
{
    struct dr_bytes file = open_in(folder, name);
    unsigned count = 0;

    if (file.p == NULL || file.len > CL_MANIFEST_MAX) {
        free_bytes(file);
        return 0;
    }
    for (size_t len = 0; len <= file.len; len++, count++) {
        uint8_t *exact = malloc(len == 0 ? 1 : len); /* so that a sanitizer sees one too many */
        ck_assert_ptr_nonnull(exact);
        memcpy(exact, file.p, len);
        compare(exact, len, name);
        free(exact);
    }
    uint8_t *copy = malloc(file.len);
    ck_assert_ptr_nonnull(copy);
    for (size_t at = 0; at < file.len; at++) {
        static const uint8_t flips[] = {0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xff, 0x7f};
        for (size_t i = 0; i < sizeof flips; i++, count++) {
            memcpy(copy, file.p, file.len);
            copy[at] ^= flips[i];
            compare(copy, file.len, name);
        }
    }
    free(copy);
    free_bytes(file);
    return count;
}

START_TEST(agrees_with_the_servers_parser)
{
    static const char *const shared[] = {"valid/01-raw.manifest.bin",
                                         "valid/02-raw-sign-image.manifest.bin",
                                         "valid/03-delta.manifest.bin",
                                         "valid/05b-combined-sign-image.manifest.bin",
                                         "valid/06b-encrypted-raw-sign-image.delivered.bin",
                                         "valid/08-vendor-data.manifest.bin",
                                         "valid/11-priority-2147483647.manifest.bin",
                                         "invalid/extra-unknown-field.manifest.bin"};
    unsigned count = 0;

    for (size_t i = 0; i < DR_ARRAY_LEN(own); i++) {
        count += compare_all(OWN, own[i].name);
    }
    ck_assert_uint_gt(count, 20000);
    for (size_t i = 0; i < DR_ARRAY_LEN(shared); i++) {
        count += compare_all(SHARED "v3/", shared[i]);
    }
    printf("%u manifests compared\n", count);
}
END_TEST

static const struct {
    const char *text;
    uint32_t version; /* 0: refused */
} version_cases[] = {
    {"0.0.1", 1},
    {"1.2.3", 1 << 20 | 2 << 10 | 3},
    {"10.0.0", 10 << 20},
    {"999.999.999", 999u << 20 | 999 << 10 | 999},
    {"0.0.0", 0},
    {"1.2", 0},
    {"1.2.3.4", 0},
    {"01.2.3", 0},
    {"1.00.3", 0},
    {"1000.0.0", 0},
    {"1..3", 0},
    {"1.2.", 0},
    {".2.3", 0},
    {"v1.2.3", 0},
    {"1.2.3 ", 0},
    {"-1.2.3", 0},
    {"", 0},
};

START_TEST(versions_have_one_form)
{
    uint32_t got = 99;
    char text[CL_VERSION_MAX];
    const char *in = version_cases[_i].text;

    cl_err_t err = cl_version_parse(in, strlen(in), &got);
    if (version_cases[_i].version == 0) {
        ck_assert_msg(err == CL_ERR_INVAL && got == 99, "%s", in);
        return;
    }
    ck_assert_msg(err == CL_OK && got == version_cases[_i].version, "%s", in);
    cl_version_text(got, text);
    ck_assert_str_eq(text, in);
}
END_TEST

static const enum cl_rule mutants[] = {CL_RULE_MANIFEST_SIGNATURE, CL_RULE_VENDOR, CL_RULE_VERSION};

START_TEST(each_rule_is_needed)
{
    ck_assert(!rig_turns_red(CL_RULE_NONE, own_verdicts));
    ck_assert_msg(rig_turns_red(mutants[_i], own_verdicts), "rule %d", mutants[_i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client manifest");
    TCase *tc = add_case(suite, "verdicts");

    tcase_add_test(tc, shared_verdicts_match);
    tcase_add_test(tc, own_verdicts_match);
    tcase_add_test(tc, a_default_device_takes_raw_images_only);
    tcase_add_test(tc, agrees_with_the_servers_parser);
    tcase_add_loop_test(tc, versions_have_one_form, 0, DR_ARRAY_LEN(version_cases));
    tcase_add_loop_test(tc, each_rule_is_needed, 0, DR_ARRAY_LEN(mutants));
    return run_suite(suite);
}
