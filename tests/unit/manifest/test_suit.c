/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manifests put together from command sequences in hex, signed, and judged.
 */
#include "tests/unit/manifest/scene.h"

#include "base/cbor.h"
#include "base/text.h"
#include "tests/unit/run.h"

static struct scene s;

static void set_up(void)
{
    scene_init(&s);
}

static void tear_down(void)
{
    scene_fini(&s);
}

static size_t from_hex(const char *text, uint8_t *buf, size_t cap)
{
    size_t len = 0;

    ck_assert_int_eq(dr_hex_decode(text, strlen(text), buf, cap, &len), DR_OK);
    return len;
}

static void put_hex_bstr(struct dr_wr *wr, const char *text)
{
    uint8_t buf[1024];
    size_t len = from_hex(text, buf, sizeof buf);

    dr_cbor_put_bytes(wr, buf, len);
}

/* Vendor, class, digest and size, with both identity conditions: 14 octets of head, then
 * parameters. */
#define ID_PARAMS                                                                                  \
    "0150"                                                                                         \
    "01010101010101010101010101010101"                                                             \
    "0250"                                                                                         \
    "02020202020202020202020202020202"
#define DIGEST                                                                                     \
    "035824822f5820"                                                                               \
    "0303030303030303030303030303030303030303030303030303030303030303"
#define SHARED                                                                                     \
    "86"                                                                                           \
    "14"                                                                                           \
    "a4" ID_PARAMS DIGEST "0e1903e8"                                                               \
    "010f"                                                                                         \
    "020f"
#define URI                                                                                        \
    "15"                                                                                           \
    "63"                                                                                           \
    "612f62" /* "a/b" */
#define FETCH                                                                                      \
    "14"                                                                                           \
    "a1" URI "1502"                                                                                \
    "030f"

struct parts {
    const char *components; /* the encoded list */
    const char *shared, *install;
    const char *envelope; /* further envelope members, encoded */
    unsigned extra;       /* how many */
};

static void make(const struct parts *p)
{
    uint8_t common[2048], manifest[4096], digest_array[64], tbs[256], sig[64], digest[32],
        extra[512];
    struct dr_wr c = dr_wr_of(common, sizeof common), m = dr_wr_of(manifest, sizeof manifest);
    struct dr_wr d = dr_wr_of(digest_array, sizeof digest_array), t = dr_wr_of(tbs, sizeof tbs);
    struct dr_wr out = dr_wr_of(s.out, sizeof s.out);
    uint8_t bstr[4200], auth[512], block[256];
    struct dr_wr b = dr_wr_of(bstr, sizeof bstr), a = dr_wr_of(auth, sizeof auth);
    struct dr_wr k = dr_wr_of(block, sizeof block);

    dr_cbor_put_map(&c, 2);
    dr_cbor_put_uint(&c, 2);
    uint8_t list[128];
    dr_wr_put(&c, list,
              from_hex(p->components != NULL ? p->components : "81814100", list, sizeof list));
    dr_cbor_put_uint(&c, 4);
    put_hex_bstr(&c, p->shared);
    dr_cbor_put_map(&m, p->install != NULL ? 4 : 3);
    dr_cbor_put_uint(&m, 1);
    dr_cbor_put_uint(&m, 1);
    dr_cbor_put_uint(&m, 2);
    dr_cbor_put_uint(&m, 5);
    dr_cbor_put_uint(&m, 3);
    dr_cbor_put_bytes(&m, common, dr_wr_len(&c));
    if (p->install != NULL) {
        dr_cbor_put_uint(&m, 20);
        put_hex_bstr(&m, p->install);
    }
    dr_cbor_put_bytes(&b, manifest, dr_wr_len(&m));
    manifest_sha256(dr_wr_bytes(&b), digest);
    dr_cbor_put_array(&d, 2);
    dr_cbor_put_int(&d, -16);
    dr_cbor_put_bytes(&d, digest, 32);
    dr_cbor_put_array(&t, 4);
    dr_cbor_put_str(&t, "Signature1");
    dr_cbor_put_bytes(&t, "\xa1\x01\x26", 3);
    dr_cbor_put_bytes(&t, NULL, 0);
    dr_cbor_put_bytes(&t, digest_array, dr_wr_len(&d));
    ck_assert_int_eq(manifest_key_sign(s.key, dr_wr_bytes(&t), sig), DR_OK);
    dr_wr_put(&k, "\xd2\x84\x43\xa1\x01\x26\xa0\xf6", 8);
    dr_cbor_put_bytes(&k, sig, 64);
    dr_cbor_put_array(&a, 2);
    dr_cbor_put_bytes(&a, digest_array, dr_wr_len(&d));
    dr_cbor_put_bytes(&a, block, dr_wr_len(&k));
    dr_cbor_put_tag(&out, 107);
    dr_cbor_put_map(&out, 2 + p->extra);
    dr_cbor_put_uint(&out, 2);
    dr_cbor_put_bytes(&out, auth, dr_wr_len(&a));
    dr_cbor_put_uint(&out, 3);
    dr_wr_put_bytes(&out, dr_wr_bytes(&b));
    if (p->envelope != NULL) {
        dr_wr_put(&out, extra, from_hex(p->envelope, extra, sizeof extra));
    }
    ck_assert(dr_wr_ok(&out) && dr_wr_ok(&m) && dr_wr_ok(&b) && dr_wr_ok(&a));
    s.len = dr_wr_len(&out);
}

static const struct {
    const char *why;
    struct parts parts;
    enum manifest_check check; /* NONE = accepted */
} cases[] = {
    {"shared checks, one fetch", {.shared = SHARED, .install = "86" FETCH}, MANIFEST_CHECK_NONE},
    {"nothing to fetch", {.shared = SHARED}, MANIFEST_CHECK_NONE},
    {"vendor condition without its parameter",
     {.shared = "84"
                "14a1"
                "0250"
                "02020202020202020202020202020202"
                "010f"},
     MANIFEST_CHECK_CONDITION},
    {"no identity at all",
     {.shared = "82"
                "14a1"
                "0e01"},
     MANIFEST_CHECK_VENDOR},
    {"fetch without a uri",
     {.shared = SHARED,
      .install = "82"
                 "1502"},
     MANIFEST_CHECK_CONDITION},
    {"fetch in the shared sequence",
     {.shared = "82"
                "1502"},
     MANIFEST_CHECK_COMMAND},
    {"custom command",
     {.shared = SHARED,
      .install = "82"
                 "390100"
                 "00"},
     MANIFEST_CHECK_COMMAND},
    {"unknown command 99",
     {.shared = SHARED,
      .install = "82"
                 "1863"
                 "0f"},
     MANIFEST_CHECK_COMMAND},
    {"a command of an extension",
     {.shared = SHARED,
      .install = "82"
                 "181d"
                 "0f"},
     MANIFEST_CHECK_UNSUPPORTED},
    {"set-parameters of trust domains",
     {.shared = SHARED,
      .install = "82"
                 "13"
                 "a0"},
     MANIFEST_CHECK_UNSUPPORTED},
    {"unknown parameter",
     {.shared = SHARED,
      .install = "82"
                 "14a1"
                 "1863"
                 "01"},
     MANIFEST_CHECK_UNSUPPORTED},
    {"encryption",
     {.shared = SHARED,
      .install = "82"
                 "14a1"
                 "13"
                 "41a0"},
     MANIFEST_CHECK_UNSUPPORTED},
    {"a policy above 15",
     {.shared = SHARED,
      .install = "82"
                 "0310"},
     MANIFEST_CHECK_MALFORMED},
    {"odd sequence",
     {.shared = SHARED,
      .install = "81"
                 "03"},
     MANIFEST_CHECK_MALFORMED},
    {"empty sequence", {.shared = SHARED, .install = "80"}, MANIFEST_CHECK_MALFORMED},
    {"octets behind the sequence",
     {.shared = SHARED,
      .install = "82"
                 "030f"
                 "00"},
     MANIFEST_CHECK_MALFORMED},
    {"component index out of range",
     {.shared = SHARED,
      .install = "82"
                 "0c01"},
     MANIFEST_CHECK_MALFORMED},
    {"component index false",
     {.shared = SHARED,
      .install = "82"
                 "0cf4"},
     MANIFEST_CHECK_MALFORMED},
    {"no component selected",
     {.shared = SHARED,
      .install = "82"
                 "0c80"},
     MANIFEST_CHECK_MALFORMED},
    {"two components and none selected first",
     {.components = "82"
                    "814100"
                    "814101",
      .shared = SHARED},
     MANIFEST_CHECK_MALFORMED},
    {"two components, all selected",
     {.components = "82"
                    "814100"
                    "814101",
      .shared = "88"
                "0cf5"
                "14"
                "a4" ID_PARAMS DIGEST "0e1903e8"
                "010f"
                "020f",
      .install = "88"
                 "0c820001" FETCH},
     MANIFEST_CHECK_NONE},
    {"copy without a source",
     {.shared = SHARED,
      .install = "82"
                 "1602"},
     MANIFEST_CHECK_CONDITION},
    {"copy from a component that is not there",
     {.shared = SHARED,
      .install = "84"
                 "14a1"
                 "1601"
                 "1602"},
     MANIFEST_CHECK_MALFORMED},
    {"abort",
     {.shared = SHARED,
      .install = "82"
                 "0e0f"},
     MANIFEST_CHECK_CONDITION},
    {"abort in the first alternative",
     {.shared = SHARED,
      .install = "88"
                 "0f82"
                 "42820e"
                 "0f"
                 "f6" FETCH},
     MANIFEST_CHECK_MALFORMED}, /* the bstr is cut: 42 holds two octets */
    {"abort in the first alternative, nil is the second",
     {.shared = SHARED,
      .install = "88"
                 "0f82"
                 "43820e0f"
                 "f6" FETCH},
     MANIFEST_CHECK_NONE},
    {"no alternative works",
     {.shared = SHARED,
      .install = "82"
                 "0f81"
                 "43820e0f"},
     MANIFEST_CHECK_CONDITION},
    {"nil before the last alternative",
     {.shared = SHARED,
      .install = "82"
                 "0f82"
                 "f6"
                 "43820e0f"},
     MANIFEST_CHECK_MALFORMED},
    {"no alternatives",
     {.shared = SHARED,
      .install = "82"
                 "0f80"},
     MANIFEST_CHECK_MALFORMED},
    {"a fault in an alternative that is not taken",
     {.shared = SHARED,
      .install = "82"
                 "0f82"
                 "4382030f"
                 "448218630f"},
     MANIFEST_CHECK_COMMAND},
    {"slot condition without a slot",
     {.shared = SHARED,
      .install = "82"
                 "050f"},
     MANIFEST_CHECK_CONDITION},
    {"identity inside of an alternative",
     {.shared = "82"
                "0f81"
                "4382010f"},
     MANIFEST_CHECK_UNSUPPORTED},
    {"run-sequence",
     {.shared = SHARED,
      .install = "88"
                 "1820"
                 "4382030f" FETCH},
     MANIFEST_CHECK_NONE},
    {"sequences in sequences in sequences",
     {.shared = SHARED,
      .install = "82"
                 "1820"
                 "57"
                 "82"
                 "1820"
                 "53"
                 "82"
                 "1820"
                 "4f"
                 "82"
                 "1820"
                 "4b"
                 "82"
                 "1820"
                 "47"
                 "82"
                 "1820"
                 "43"
                 "82030f"},
     MANIFEST_CHECK_UNSUPPORTED},
    {"another vendor for the second component",
     {.components = "82"
                    "814100"
                    "814101",
      .shared = "8c"
                "0c00"
                "14a2" ID_PARAMS "010f"
                "0c01"
                "14a1"
                "0150"
                "09090909090909090909090909090909"
                "010f"},
     MANIFEST_CHECK_UNSUPPORTED},
    {"SHA-512 of the image",
     {.shared = SHARED,
      .install = "82"
                 "14a1"
                 "0347"
                 "82382b43"
                 "010203"},
     MANIFEST_CHECK_DIGEST_ALGORITHM},
    {"payload in the envelope is missing",
     {.shared = SHARED,
      .install = "84"
                 "14a1"
                 "1562"
                 "2361"
                 "1502"},
     MANIFEST_CHECK_MALFORMED},
    {"payload in the envelope has another size",
     {.shared = SHARED,
      .install = "84"
                 "14a1"
                 "1562"
                 "2361"
                 "1502",
      .envelope = "62"
                  "2361"
                  "4101",
      .extra = 1},
     MANIFEST_CHECK_PAYLOAD_SIZE},
    {"unknown envelope member",
     {.shared = SHARED,
      .envelope = "1819"
                  "4101",
      .extra = 1},
     MANIFEST_CHECK_UNSUPPORTED},
};

START_TEST(a_processor_answers)
{
    make(&cases[_i].parts);
    struct manifest_verdict v = scene_check(&s);
    ck_assert_msg(v.fault.check == cases[_i].check, "%s: got %s (%s)", cases[_i].why,
                  manifest_check_name(v.fault.check), v.fault.why);
}
END_TEST

START_TEST(slots_give_an_image_each)
{
    struct manifest m = scene_manifest(&s, MANIFEST_SUIT), got;

    m.image_count = 2;
    m.images[0].slot = 0;
    m.images[1] = m.images[0];
    m.images[1].slot = 1;
    m.images[1].digest = dr_bytes_of(s.installed, 32);
    m.images[1].uri = dr_bytes_str("http://u.example/b");
    m.images[1].size = 7;
    ck_assert_int_eq(scene_build(&s, &m, NULL), DR_OK);
    ck_assert_int_eq(manifest_parse(dr_bytes_of(s.out, s.len), &got, NULL), DR_OK);
    ck_assert_uint_eq(got.image_count, 2);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(got.images[i].slot, i);
        ck_assert(dr_bytes_eq(got.images[i].digest, m.images[i].digest));
        ck_assert(dr_bytes_eq(got.images[i].uri, m.images[i].uri));
        ck_assert_uint_eq(got.images[i].size, m.images[i].size);
    }
    s.means.payload = s.installed;
    s.means.payload_size = 7;
    ck_assert(scene_check(&s).accepted);
}
END_TEST

START_TEST(severed_members_are_found_and_compared)
{
    struct manifest m = scene_manifest(&s, MANIFEST_SUIT), got;

    m.description = dr_bytes_str("fixes things");
    m.install_severed = true;
    m.has_invoke = true;
    m.reference_uri = dr_bytes_str("http://u.example/m");
    ck_assert_int_eq(scene_build(&s, &m, NULL), DR_OK);
    ck_assert_int_eq(manifest_parse(dr_bytes_of(s.out, s.len), &got, NULL), DR_OK);
    ck_assert(got.install_severed && got.text_severed && got.has_text && got.has_invoke);
    ck_assert(dr_bytes_eq(got.description, m.description));
    ck_assert(dr_bytes_eq(got.reference_uri, m.reference_uri));
    /* the text is the last member and may be left out */
    size_t text = 1 + 1 + 1 + 3 + 1 + 1 + 1 + m.description.len;
    s.len -= text;
    ck_assert_uint_eq(s.out[2], 0xa4);
    s.out[2] = 0xa3;
    struct manifest_verdict v = scene_check(&s);
    ck_assert_msg(v.accepted, "%s %s", manifest_check_name(v.fault.check), v.fault.why);
    /* the install sequence, now the last one, may not */
    size_t install = 3 + 1 + 1 + 1 + 1 + 1 + m.images[0].uri.len + 4;
    s.len -= install;
    s.out[2] = 0xa2;
    v = scene_check(&s);
    ck_assert_msg(v.fault.check == MANIFEST_CHECK_SEVERED, "%s %s",
                  manifest_check_name(v.fault.check), v.fault.why);
}
END_TEST

START_TEST(both_names_of_the_algorithm_are_taken)
{
    struct manifest m = scene_manifest(&s, MANIFEST_SUIT), got;
    static const enum manifest_alg algs[] = {MANIFEST_ES256, MANIFEST_ESP256};

    for (size_t i = 0; i < DR_ARRAY_LEN(algs); i++) {
        ck_assert_int_eq(manifest_build(&m, &s.signer, algs[i], s.out, sizeof s.out, &s.len, NULL),
                         DR_OK);
        ck_assert(scene_check(&s).accepted);
        ck_assert_int_eq(manifest_parse(dr_bytes_of(s.out, s.len), &got, NULL), DR_OK);
        ck_assert_int_eq(got.signatures[0].alg, algs[i]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("manifest suit");
    TCase *tc = add_case(suite, "sequences");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, a_processor_answers, 0, DR_ARRAY_LEN(cases));
    tc = add_case(suite, "envelope");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, slots_give_an_image_each);
    tcase_add_test(tc, severed_members_are_found_and_compared);
    tcase_add_test(tc, both_names_of_the_algorithm_are_taken);
    return run_suite(suite);
}
