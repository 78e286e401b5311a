/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/unit/manifest/test_vectors.c
 * @brief Every verdict of the shared manifest vectors, when that folder stands beside the project.
 */
#include "tests/unit/manifest/files.h"

#include "base/text.h"
#include "manifest/delta.h"
#include "manifest/manifest.h"
#include "tests/unit/run.h"

#define FOLDER TOP_SRCDIR "/../shared/data/manifest-vectors/"

static struct dr_bytes open_file(const char *folder, const char *name)
{
    char path[1024];

    (void)snprintf(path, sizeof path, "%s%s/%s", FOLDER, folder, name);
    return read_all(path);
}

static struct manifest_key *load(const char *folder, const char *name)
{
    struct manifest_key *key = NULL;
    struct dr_bytes in = open_file(folder, name);

    ck_assert_ptr_nonnull(in.p);
    dr_err_t err = manifest_key_load_public(in, &key, NULL);
    if (err != DR_OK) {
        err = manifest_key_load(in, &key, NULL);
    }
    ck_assert_int_eq(err, DR_OK);
    free_bytes(in);
    return key;
}

/* The device that the vectors are judged against (their README). */
struct scene {
    struct manifest_key *signer, *draft;
    uint8_t vendor[16], class_id[16], precursor[32], payload[32];
    uint64_t payload_size;
};

static void set_up(struct scene *s)
{
    struct dr_bytes file;

    *s = (struct scene){.signer = load("keys", "signer.cert.der"),
                        .draft = load("suit/upstream", "draft-examples.key.pem")};
    ck_assert_int_eq(manifest_vendor_id(dr_bytes_str("example.com"), s->vendor), DR_OK);
    ck_assert_int_eq(manifest_class_id(s->vendor, dr_bytes_str("widget-1000"), s->class_id), DR_OK);
    file = open_file("payload", "fw-old.bin");
    manifest_sha256(file, s->precursor);
    free_bytes(file);
    file = open_file("payload", "fw-new.bin");
    manifest_sha256(file, s->payload);
    s->payload_size = file.len;
    free_bytes(file);
}

static void tear_down(struct scene *s)
{
    s->signer = manifest_key_free(s->signer);
    s->draft = manifest_key_free(s->draft);
}

/* Does a verdict agree with the words of the index? */
static bool agrees(const char *expected, const struct manifest_verdict *v)
{
    if (strncmp(expected, "reject:", 7) == 0) {
        const char *name = manifest_check_name(v->fault.check);
        size_t n = strlen(name);
        char after = expected[7 + n];
        return !v->accepted && strncmp(expected + 7, name, n) == 0 &&
               (after == '\0' || after == ' ');
    }
    if (strncmp(expected, "accept or reject by policy", 26) == 0) { /* ours: refuse */
        return !v->accepted;
    }
    if (strncmp(expected, "reject", 6) == 0 || strncmp(expected, "accept-on-device", 16) == 0) {
        return !v->accepted;
    }
    if (strncmp(expected, "manifest accepted", 17) == 0) { /* and the payload refused */
        return !v->accepted && (v->fault.check == MANIFEST_CHECK_PAYLOAD_SIZE ||
                                v->fault.check == MANIFEST_CHECK_PAYLOAD_DIGEST);
    }
    return v->accepted;
}

/* Calls one() for each file of an index that is there; returns how many. */
static unsigned each_line(const char *folder,
                          void (*one)(struct scene *s, const char *folder, char **field))
{
    struct dr_bytes index = open_file(folder, "index.tsv");
    struct scene s;
    unsigned count = 0;

    ck_assert_ptr_nonnull(index.p);
    set_up(&s);
    char *text = strndup((const char *)index.p, index.len), *save = NULL;
    free_bytes(index);
    (void)strtok_r(text, "\n", &save);
    for (char *line = strtok_r(NULL, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        char *field[5] = {0};
        for (size_t i = 0; i < 5 && line != NULL; i++) {
            field[i] = strsep(&line, "\t");
        }
        struct dr_bytes file = open_file(folder, field[0]);
        if (file.p == NULL || strstr(field[0], "psk") != NULL) {
            free_bytes(file);
            continue; /* not all of the files of the index are kept */
        }
        free_bytes(file);
        one(&s, folder, field);
        count++;
    }
    free(text);
    tear_down(&s);
    return count;
}

static void one_manifest(struct scene *s, const char *folder, char **field)
{
    static const char *const components[] = {"MAIN", "ABCDEFGH", "METER"};
    const struct manifest_key *keys[] = {s->signer};
    struct manifest_means means = {.keys = keys,
                                   .key_count = 1,
                                   .vendor = s->vendor,
                                   .class_id = s->class_id,
                                   .precursor = s->precursor,
                                   .has_vendor_data_max = true,
                                   .vendor_data_max = 16,
                                   .has_current = true};
    struct manifest_verdict v;
    struct manifest m;
    bool v3 = strcmp(folder, "v3") == 0, suit = strcmp(folder, "suit") == 0;

    if (v3) {
        ck_assert_int_eq(manifest_version_parse(dr_bytes_str("1.1.0"), &means.current), DR_OK);
        means.components = components;
        means.component_count = strstr(field[0], "09-component") == NULL ? 1 : 0;
    } else {
        means.current = suit ? 1 : 1650000000;
    }
    if (strstr(field[0], "upstream/") != NULL) { /* for another vendor, with another key */
        keys[0] = s->draft;
        means = (struct manifest_means){.keys = keys, .key_count = 1};
    }
    if (strstr(field[3], "payload rejected") != NULL || strstr(field[0], "size-mismatch") != NULL) {
        means.payload = s->payload;
        means.payload_size = s->payload_size;
    }
    struct dr_bytes file = open_file(folder, field[0]);
    if (strstr(field[3], "accept-if-all-known") != NULL) {
        manifest_check(file, &means, &v, NULL);
        ck_assert_msg(v.fault.check == MANIFEST_CHECK_UNKNOWN_SIGNER, "%s", field[0]);
        const struct manifest_key *both[] = {s->signer, load("keys", "other.cert.der")};
        means.keys = both;
        means.key_count = 2;
        manifest_check(file, &means, &v, NULL);
        (void)manifest_key_free((struct manifest_key *)(uintptr_t)both[1]);
    } else {
        manifest_check(file, &means, &v, NULL);
    }
    ck_assert_msg(agrees(field[3], &v), "%s/%s: expected '%s', got %s %s: %s", folder, field[0],
                  field[3], v.accepted ? "accepted" : "refused", manifest_check_name(v.fault.check),
                  v.fault.why);
    /* what is accepted can be shown, too */
    ck_assert_msg(!v.accepted || manifest_parse(file, &m, NULL) == DR_OK, "%s", field[0]);
    free_bytes(file);
}

START_TEST(v1_verdicts_match)
{
    ck_assert_uint_ge(each_line("v1", one_manifest), 25);
}
END_TEST

START_TEST(v3_verdicts_match)
{
    ck_assert_uint_ge(each_line("v3", one_manifest), 40);
}
END_TEST

START_TEST(suit_verdicts_match)
{
    ck_assert_uint_ge(each_line("suit", one_manifest), 30);
}
END_TEST

static void one_delta(struct scene *s, const char *folder, char **field)
{
    struct dr_dynbuf out;
    char from[64], to[64] = "";
    uint8_t digest[32];
    char hex[65];

    (void)s;
    bool works = sscanf(field[3], "%60s -> %60s", from, to) == 2 && strcmp(to, "must") != 0 &&
                 strcmp(to, "output") != 0 && strstr(field[3], "left over") == NULL;
    (void)snprintf(from + strlen(from), 8, ".bin");
    struct dr_bytes old = open_file("payload", from), patch = open_file(folder, field[0]);
    ck_assert_ptr_nonnull(old.p);
    dr_dynbuf_init(&out, 1 << 20);
    dr_err_t err = manifest_delta_apply(old, patch, &out);
    if (strstr(field[0], "old-does-not-match") != NULL) { /* only the digest can tell */
        ck_assert(err == DR_OK || err == DR_ERR_RANGE);
    } else {
        ck_assert_msg((err == DR_OK) == works, "%s: %s", field[0], dr_err_str(err));
        ck_assert_msg(err == DR_OK || out.len == 0, "%s leaves output", field[0]);
    }
    if (works) {
        manifest_sha256(dr_dynbuf_bytes(&out), digest);
        dr_hex_encode(digest, sizeof digest, hex);
        ck_assert_ptr_nonnull(strstr(field[4], hex));
        /* and the other way: our own patch for the same pair */
        struct dr_dynbuf made, again;
        dr_dynbuf_init(&made, 1 << 20);
        dr_dynbuf_init(&again, 1 << 20);
        ck_assert_int_eq(manifest_delta_create(old, dr_dynbuf_bytes(&out), 512, &made), DR_OK);
        ck_assert_int_eq(manifest_delta_apply(old, dr_dynbuf_bytes(&made), &again), DR_OK);
        ck_assert(dr_bytes_eq(dr_dynbuf_bytes(&out), dr_dynbuf_bytes(&again)));
        ck_assert_uint_lt(made.len, patch.len + patch.len / 2 + 512);
        printf("%s: %zu octets, ours at 512 %zu\n", field[0], patch.len, made.len);
        dr_dynbuf_fini(&made);
        dr_dynbuf_fini(&again);
    }
    dr_dynbuf_fini(&out);
    free_bytes(old);
    free_bytes(patch);
}

START_TEST(delta_verdicts_match)
{
    ck_assert_uint_ge(each_line("delta", one_delta), 16);
}
END_TEST

START_TEST(identifiers_match)
{
    struct dr_bytes file = open_file("uuid", "vectors.tsv");
    unsigned count = 0;

    ck_assert_ptr_nonnull(file.p);
    char *text = strndup((const char *)file.p, file.len), *save = NULL;
    free_bytes(file);
    for (char *line = strtok_r(text, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        char got[64] = "";
        uint8_t id[16], vendor[16];
        const char *kind = strsep(&line, "\t"), *in = strsep(&line, "\t"), *want = line;
        if (strcmp(kind, "vendor") == 0) {
            ck_assert_int_eq(manifest_vendor_id(dr_bytes_str(in), id), DR_OK);
            manifest_id_format(id, got);
        } else if (strcmp(kind, "class") == 0) {
            const char *plus = strstr(in, " + ");
            ck_assert_int_eq(manifest_vendor_id(dr_bytes_of(in, (size_t)(plus - in)), vendor),
                             DR_OK);
            ck_assert_int_eq(manifest_class_id(vendor, dr_bytes_str(plus + 3), id), DR_OK);
            manifest_id_format(id, got);
        } else if (strcmp(kind, "semver") == 0) {
            uint64_t v = 0;
            ck_assert_int_eq(manifest_version_parse(dr_bytes_str(in), &v), DR_OK);
            (void)snprintf(got, sizeof got, "%llu", (unsigned long long)v);
        } else {
            continue;
        }
        ck_assert_str_eq(got, want);
        count++;
    }
    free(text);
    ck_assert_uint_ge(count, 15);
}
END_TEST

/* What is parsed from a shared vector and built again has the same signed part. */
static unsigned rebuild_all(const char *folder, const char *const *names, size_t count)
{
    struct manifest_key *key = load("keys", "signer.key.pem");
    const struct manifest_signer signer = manifest_key_signer(key);
    static uint8_t out[65536];

    for (size_t i = 0; i < count; i++) {
        struct manifest m, again;
        struct dr_bytes file = open_file(folder, names[i]);
        size_t len = 0;
        ck_assert_ptr_nonnull(file.p);
        ck_assert_int_eq(manifest_parse(file, &m, NULL), DR_OK);
        ck_assert_msg(manifest_build(&m, &signer, MANIFEST_ES256, out, sizeof out, &len, NULL) ==
                          DR_OK,
                      "%s", names[i]);
        ck_assert_int_eq(manifest_parse(dr_bytes_of(out, len), &again, NULL), DR_OK);
        ck_assert_msg(dr_bytes_eq(m.signed_part, again.signed_part), "%s", names[i]);
        free_bytes(file);
    }
    (void)manifest_key_free(key);
    return (unsigned)count;
}

START_TEST(our_builder_makes_the_same_octets)
{
    static const char *const v1[] = {"valid/01-raw.manifest.bin",
                                     "valid/02-raw-all-text.manifest.bin",
                                     "valid/03-delta.manifest.bin",
                                     "valid/05-cert-uri.manifest.bin",
                                     "valid/06-apply-period.manifest.bin",
                                     "valid/09-timestamp-2038.manifest.bin",
                                     "valid/10-priority-zero.manifest.bin",
                                     "valid/40-tool2-raw.manifest.bin",
                                     "valid/41-tool2-no-priority.manifest.bin",
                                     "valid/42-tool2-delta.manifest.bin",
                                     "valid/44-tool2-ids-vendor-data.manifest.bin"};
    static const char *const v3[] = {"valid/01-raw.manifest.bin",
                                     "valid/02-raw-sign-image.manifest.bin",
                                     "valid/03-delta.manifest.bin",
                                     "valid/05-combined.manifest.bin",
                                     "valid/06b-encrypted-raw-sign-image.manifest.bin",
                                     "valid/08-vendor-data.manifest.bin",
                                     "valid/11-priority-128.manifest.bin",
                                     "valid/12-version-10.0.0.manifest.bin"};
    static const char *const suit[] = {"valid/01-fetch-es256.suit",
                                       "valid/13-path-component-id.suit", "valid/14-seq-2^32.suit"};

    ck_assert_uint_eq(rebuild_all("v1", v1, DR_ARRAY_LEN(v1)), 11);
    ck_assert_uint_eq(rebuild_all("v3", v3, DR_ARRAY_LEN(v3)), 8);
    ck_assert_uint_eq(rebuild_all("suit", suit, DR_ARRAY_LEN(suit)), 3);
}
END_TEST

/* ---- our own, always there ---- */

#define OWN TOP_SRCDIR "/tests/vectors/manifest/"

static struct dr_bytes open_own(const char *name)
{
    char path[1024];

    (void)snprintf(path, sizeof path, "%s%s", OWN, name);
    struct dr_bytes file = read_all(path);
    ck_assert_msg(file.p != NULL, "%s", path);
    return file;
}

START_TEST(own_verdicts_match)
{
    static const char *const components[] = {"MAIN"};
    struct manifest_key *signer = NULL;
    const struct manifest_key *keys[1];
    struct manifest_means means = {
        .keys = keys, .key_count = 1, .has_current = true, .components = components};
    uint8_t vendor[16], class_id[16], precursor[32];
    unsigned count = 0;

    struct dr_bytes cert = open_own("signer.cert.der"), old = open_own("old.bin");
    struct dr_bytes index = open_own("index.tsv");
    ck_assert_int_eq(manifest_key_load_public(cert, &signer, NULL), DR_OK);
    keys[0] = signer;
    manifest_sha256(old, precursor);
    ck_assert_int_eq(manifest_vendor_id(dr_bytes_str("example.com"), vendor), DR_OK);
    ck_assert_int_eq(manifest_class_id(vendor, dr_bytes_str("widget-1000"), class_id), DR_OK);
    means.vendor = vendor;
    means.class_id = class_id;
    means.precursor = precursor;
    means.component_count = 1;
    char *text = strndup((const char *)index.p, index.len), *save = NULL;
    for (char *line = strtok_r(text, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        const char *name = strsep(&line, "\t");
        struct manifest_verdict v;
        struct dr_bytes file = open_own(name);
        means.current = name[0] == 's' ? 1 : name[1] == '1' ? 1650000000 : 36029896530657280;
        manifest_check(file, &means, &v, NULL);
        const char *got = v.accepted ? "accept" : manifest_check_name(v.fault.check);
        ck_assert_msg(strcmp(got, line) == 0, "%s: %s instead of %s: %s", name, got, line,
                      v.fault.why);
        free_bytes(file);
        count++;
    }
    ck_assert_uint_ge(count, 30);
    free(text);
    free_bytes(cert);
    free_bytes(old);
    free_bytes(index);
    (void)manifest_key_free(signer);
}
END_TEST

START_TEST(own_delta_applies)
{
    struct dr_bytes old = open_own("old.bin"), new_image = open_own("new.bin");
    struct dr_bytes delta = open_own("delta.bin");
    struct dr_dynbuf out;

    dr_dynbuf_init(&out, 1 << 20);
    ck_assert_int_eq(manifest_delta_apply(old, delta, &out), DR_OK);
    ck_assert(dr_bytes_eq(dr_dynbuf_bytes(&out), new_image));
    dr_dynbuf_fini(&out);
    free_bytes(old);
    free_bytes(new_image);
    free_bytes(delta);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("manifest vectors");
    TCase *tc = add_case(suite, "own");
    FILE *f = fopen(FOLDER "README.md", "rb");

    tcase_add_test(tc, own_verdicts_match);
    tcase_add_test(tc, own_delta_applies);
    if (f == NULL) {
        puts("skipped: the shared vectors, no folder '" FOLDER "'");
        return run_suite(suite);
    }
    fclose(f);
    tc = add_case(suite, "shared");
    tcase_add_test(tc, v1_verdicts_match);
    tcase_add_test(tc, v3_verdicts_match);
    tcase_add_test(tc, suit_verdicts_match);
    tcase_add_test(tc, delta_verdicts_match);
    tcase_add_test(tc, identifiers_match);
    tcase_add_test(tc, our_builder_makes_the_same_octets);
    return run_suite(suite);
}
