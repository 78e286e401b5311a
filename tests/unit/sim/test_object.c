/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/buf.h"
#include "device-sim/object.h"
#include "lwm2m/format.h"
#include "tests/unit/run.h"

static const struct sim_name name = {.prefix = "dev-", .number = 42};
static struct sim_values v;
static struct sim_answer a;

static void begin(void)
{
    v = (struct sim_values){.lifetime_s = 300, .temperature = 20.5F, .low = 19, .high = 22};
    memset(&a, 0xee, sizeof a);
}

#define SET(value) ((value) + 1)

struct ask {
    uint8_t code;
    const char *path;
    const char *query, *payload;
    int observe, accept, format; /* SET(value); 0 = none */
};

#define ASK(c, p, ...) (&(const struct ask){.code = (c), .path = (p), __VA_ARGS__})

/* The request as it would come from the wire. */
static void operate(const struct ask *ask)
{
    static uint8_t bytes[512];
    uint8_t num[3][4];
    struct cx_opt opts[10];
    size_t n = 0;
    struct cx_pdu pdu;
    struct dr_wr wr = dr_wr_of(bytes, sizeof bytes);

    for (const char *at = ask->path; *at != '\0';) {
        size_t len = strcspn(at, "/");
        opts[n++] = (struct cx_opt){CX_OPT_URI_PATH, (uint16_t)len, (const uint8_t *)at};
        at += len + (at[len] == '/');
    }
    if (ask->observe > 0) {
        opts[n++] = cx_opt_uint(CX_OPT_OBSERVE, (uint32_t)ask->observe - 1, num[0]);
    }
    if (ask->accept > 0) {
        opts[n++] = cx_opt_uint(CX_OPT_ACCEPT, (uint32_t)ask->accept - 1, num[1]);
    }
    if (ask->format > 0) {
        opts[n++] = cx_opt_uint(CX_OPT_CONTENT_FORMAT, (uint32_t)ask->format - 1, num[2]);
    }
    if (ask->query != NULL) {
        opts[n++] = (struct cx_opt){CX_OPT_URI_QUERY, (uint16_t)strlen(ask->query),
                                    (const uint8_t *)ask->query};
    }
    ck_assert_int_eq(cx_pdu_encode(&wr, CX_CON, ask->code, 1, (const uint8_t *)"tk", 2, opts, n,
                                   (const uint8_t *)ask->payload,
                                   ask->payload != NULL ? strlen(ask->payload) : 0),
                     DR_OK);
    ck_assert_int_eq(cx_pdu_decode(bytes, dr_wr_len(&wr), &pdu), DR_OK);
    sim_operate(&v, &name, &pdu, &a);
}

static void assert_text(const char *path, const char *text)
{
    operate(ASK(CX_GET, path, .accept = SET(LWM2M_CT_TEXT)));
    ck_assert_msg(a.code == CX_CONTENT, "%s: %u", path, a.code);
    ck_assert_int_eq(a.content_format, LWM2M_CT_TEXT);
    ck_assert_uint_eq(a.len, strlen(text));
    ck_assert_mem_eq(a.payload, text, a.len);
    ck_assert_int_eq(a.effect, SIM_NOTHING);
}

START_TEST(read_gives_each_resource)
{
    assert_text("1/0/0", "1");
    assert_text("1/0/1", "300");
    assert_text("1/0/6", "0");
    assert_text("1/0/7", "U");
    assert_text("3/0/0", "Drover");
    assert_text("3/0/2", "dev-42");
    assert_text("3/0/16", "U");
    assert_text("3303/0/5601", "19");
    assert_text("3303/0/5602", "22");
    assert_text("3303/0/5700", "20.5");
    assert_text("3303/0/5701", "Cel");
}
END_TEST

START_TEST(read_without_accept_gives_text_or_senml)
{
    operate(ASK(CX_GET, "3/0/0"));
    ck_assert_int_eq(a.code, CX_CONTENT);
    ck_assert_int_eq(a.content_format, LWM2M_CT_TEXT);
    operate(ASK(CX_GET, "3303/0"));
    ck_assert_int_eq(a.code, CX_CONTENT);
    ck_assert_int_eq(a.content_format, LWM2M_CT_SENML_CBOR);
    ck_assert_uint_gt(a.len, 20);
}
END_TEST

START_TEST(read_of_objects_and_instances_in_each_format)
{
    static const int formats[] = {LWM2M_CT_TLV, LWM2M_CT_SENML_JSON, LWM2M_CT_SENML_CBOR};
    static const char *const paths[] = {"1", "1/0", "3", "3/0", "3303", "3303/0"};

    for (size_t f = 0; f < DR_ARRAY_LEN(formats); f++) {
        for (size_t p = 0; p < DR_ARRAY_LEN(paths); p++) {
            operate(ASK(CX_GET, paths[p], .accept = SET(formats[f])));
            ck_assert_msg(a.code == CX_CONTENT && a.content_format == formats[f] && a.len > 0,
                          "%s in %d: %u", paths[p], formats[f], a.code);
        }
    }
}
END_TEST

START_TEST(discover_lists_what_is_there)
{
    operate(ASK(CX_GET, "3303/0", .accept = SET(LWM2M_CT_LINK)));
    ck_assert_int_eq(a.code, CX_CONTENT);
    ck_assert_int_eq(a.content_format, LWM2M_CT_LINK);
    static const char want[] =
        "</3303/0/5601>,</3303/0/5602>,</3303/0/5605>,</3303/0/5700>,</3303/0/5701>";
    ck_assert_uint_eq(a.len, sizeof want - 1);
    ck_assert_mem_eq(a.payload, want, a.len);
}
END_TEST

START_TEST(observe_is_remembered_and_ended)
{
    operate(ASK(CX_GET, "3303/0/5700", .observe = SET(0)));
    ck_assert_int_eq(a.code, CX_CONTENT);
    ck_assert_int_eq(a.effect, SIM_OBSERVE);
    ck_assert_uint_eq(a.depth, 3);
    ck_assert_uint_eq(a.path[0], 3303);
    ck_assert_uint_eq(a.path[2], 5700);
    operate(ASK(CX_GET, "3303", .observe = SET(0)));
    ck_assert_int_eq(a.effect, SIM_OBSERVE);
    ck_assert_uint_eq(a.depth, 1);
    operate(ASK(CX_GET, "3303/0/5700", .observe = SET(1)));
    ck_assert_int_eq(a.code, CX_CONTENT);
    ck_assert_int_eq(a.effect, SIM_CANCEL);
    operate(ASK(CX_GET, "3303/0/9", .observe = SET(0)));
    ck_assert_int_eq(a.code, CX_NOT_FOUND);
    ck_assert_int_eq(a.effect, SIM_NOTHING);
}
END_TEST

START_TEST(the_lifetime_can_be_written)
{
    operate(ASK(CX_PUT, "1/0/1", .format = SET(LWM2M_CT_TEXT), .payload = "60"));
    ck_assert_int_eq(a.code, CX_CHANGED);
    ck_assert_int_eq(a.effect, SIM_UPDATE);
    ck_assert_uint_eq(v.lifetime_s, 60);
    operate(ASK(CX_PUT, "1/0/1", .format = SET(LWM2M_CT_TLV), .payload = "\xc1\x01\x2d"));
    ck_assert_int_eq(a.code, CX_CHANGED);
    ck_assert_uint_eq(v.lifetime_s, 45);
    operate(ASK(CX_POST, "1/0", .format = SET(LWM2M_CT_TLV), .payload = "\xc1\x01\x2e"));
    ck_assert_int_eq(a.code, CX_CHANGED);
    ck_assert_uint_eq(v.lifetime_s, 46);
}
END_TEST

START_TEST(executables_have_their_effects)
{
    operate(ASK(CX_POST, "1/0/8"));
    ck_assert_int_eq(a.code, CX_CHANGED);
    ck_assert_int_eq(a.effect, SIM_UPDATE);
    operate(ASK(CX_POST, "3/0/4"));
    ck_assert_int_eq(a.code, CX_CHANGED);
    ck_assert_int_eq(a.effect, SIM_REBOOT);
    operate(ASK(CX_POST, "3303/0/5605"));
    ck_assert_int_eq(a.code, CX_CHANGED);
    ck_assert_int_eq(a.effect, SIM_NOTHING);
    ck_assert(v.low == v.temperature && v.high == v.temperature);
}
END_TEST

START_TEST(attributes_are_taken)
{
    operate(ASK(CX_PUT, "3303/0/5700", .query = "pmin=5"));
    ck_assert_int_eq(a.code, CX_CHANGED);
    ck_assert_int_eq(a.effect, SIM_NOTHING);
}
END_TEST

static const struct {
    struct ask ask;
    uint8_t code;
} refusals[] = {
#define NO(c, p, ...)                                                                              \
    {                                                                                              \
        .code = (c), .path = (p), __VA_ARGS__                                                      \
    }
    {NO(CX_GET, ""), CX_NOT_FOUND},
    {NO(CX_GET, "2"), CX_NOT_FOUND},
    {NO(CX_GET, "3/1"), CX_NOT_FOUND},
    {NO(CX_GET, "3/0/77"), CX_NOT_FOUND},
    {NO(CX_GET, "3/0/0/0"), CX_NOT_FOUND},
    {NO(CX_GET, "three"), CX_NOT_FOUND},
    {NO(CX_GET, "3/0/65536"), CX_NOT_FOUND},
    {NO(CX_GET, "3/0/4"), CX_NOT_ALLOWED},
    {NO(CX_GET, "1/0/8"), CX_NOT_ALLOWED},
    {NO(CX_GET, "3/0/0", .accept = SET(9999)), CX_NOT_ACCEPTABLE},
    {NO(CX_GET, "3/0", .accept = SET(LWM2M_CT_TEXT)), CX_NOT_ACCEPTABLE},
    {NO(CX_PUT, "3/0/0", .format = SET(0), .payload = "x"), CX_NOT_ALLOWED},
    {NO(CX_PUT, "3303/0/5700", .format = SET(0), .payload = "1"), CX_NOT_ALLOWED},
    {NO(CX_PUT, "1", .format = SET(0), .payload = "1"), CX_NOT_ALLOWED},
    {NO(CX_PUT, "1/0/0", .format = SET(0), .payload = "1"), CX_NOT_ALLOWED},
    {NO(CX_PUT, "1/0/1", .format = SET(0), .payload = "x"), CX_BAD_REQUEST},
    {NO(CX_PUT, "1/0/1", .format = SET(0), .payload = "0"), CX_BAD_REQUEST},
    {NO(CX_PUT, "1/0/1", .format = SET(0), .payload = "-5"), CX_BAD_REQUEST},
    {NO(CX_PUT, "1/0/1", .format = SET(0), .payload = "2147483648"), CX_BAD_REQUEST},
    {NO(CX_PUT, "1/0/1", .format = SET(9999), .payload = "5"), CX_UNSUPPORTED_FORMAT},
    {NO(CX_PUT, "1/0/1", .format = SET(LWM2M_CT_TLV), .payload = "\xc1"), CX_BAD_REQUEST},
    {NO(CX_POST, "3"), CX_NOT_ALLOWED},
    {NO(CX_POST, "3/0/0"), CX_NOT_ALLOWED},
    {NO(CX_POST, "3/0"), CX_NOT_ALLOWED},
    {NO(CX_DELETE, "3/0"), CX_NOT_ALLOWED},
    {NO(CX_FETCH, "3"), CX_NOT_ALLOWED},
    {NO(CX_IPATCH, "3"), CX_NOT_ALLOWED},
};

START_TEST(what_cannot_be_done_is_refused_and_changes_nothing)
{
    const struct sim_values before = v;

    operate(&refusals[_i].ask);
    ck_assert_msg(a.code == refusals[_i].code, "row %d: %u.%02u", _i, a.code >> 5, a.code & 31U);
    ck_assert_int_eq(a.effect, SIM_NOTHING);
    ck_assert_int_eq(a.content_format, -1);
    ck_assert_uint_eq(a.len, 0);
    ck_assert_mem_eq(&v, &before, sizeof v);
}
END_TEST

START_TEST(a_value_of_a_notification_is_that_of_a_read)
{
    const uint16_t path[4] = {3303, 0, 5700};
    struct sim_answer note;

    sim_value(&v, &name, path, 3, LWM2M_CT_SENML_JSON, &note);
    operate(ASK(CX_GET, "3303/0/5700", .accept = SET(LWM2M_CT_SENML_JSON)));
    ck_assert_int_eq(note.code, CX_CONTENT);
    ck_assert_uint_eq(note.len, a.len);
    ck_assert_mem_eq(note.payload, a.payload, a.len);
}
END_TEST

/* ---- objects of updates ---- */

static struct sim_model model;

static void has_update(enum sim_update_object update)
{
    model = (struct sim_model){.update = update, .has_ids = true, .vendor = {1}, .class_id = {2}};
    v.model = &model;
    v.version = "1.2.3";
    v.update_state = 4;
    v.update_result = SIM_NO_RESULT;
}

START_TEST(pelion_devices_show_their_updates)
{
    has_update(SIM_UPDATE_PELION);
    assert_text("10252/0/2", "4");
    assert_text("10252/0/3", "-1");
    assert_text("10255/0/0", "4");
    assert_text("14/0/0", "MAIN");
    assert_text("14/0/2", "1.2.3");
    assert_text("3/0/3", "1.2.3");
    operate(ASK(CX_GET, "10255/0/4", .accept = SET(LWM2M_CT_OPAQUE)));
    ck_assert_uint_eq(a.len, 16);
    operate(ASK(CX_GET, "10252/0"));
    ck_assert_int_eq(a.code, CX_CONTENT);
    operate(ASK(CX_GET, "5/0"));
    ck_assert_int_eq(a.code, CX_NOT_FOUND);
    model.has_ids = false;
    operate(ASK(CX_GET, "10255/0/4"));
    ck_assert_int_eq(a.code, CX_NOT_FOUND);
}
END_TEST

START_TEST(object_5_shows_its_updates)
{
    has_update(SIM_UPDATE_OBJECT5);
    assert_text("5/0/3", "4");
    assert_text("5/0/5", "0");
    assert_text("5/0/7", "1.2.3");
    assert_text("5/0/9", "2");
    operate(ASK(CX_GET, "5/0/8"));
    ck_assert_int_eq(a.code, CX_CONTENT);
    ck_assert_int_eq(a.content_format, LWM2M_CT_SENML_CBOR);
    operate(ASK(CX_GET, "5/0", .accept = SET(LWM2M_CT_TLV)));
    ck_assert_int_eq(a.code, CX_CONTENT);
    operate(ASK(CX_GET, "10252/0/2"));
    ck_assert_int_eq(a.code, CX_NOT_FOUND);
}
END_TEST

START_TEST(a_manifest_is_taken_as_text_only)
{
    has_update(SIM_UPDATE_PELION);
    operate(ASK(CX_POST, "10252/0/1", .payload = "m"));
    ck_assert(a.code == CX_CHANGED && a.effect == SIM_MANIFEST && a.separate);
    operate(ASK(CX_POST, "10252/0/1", .payload = "m", .format = SET(LWM2M_CT_TEXT)));
    ck_assert(a.code == CX_CHANGED && a.effect == SIM_MANIFEST);
    operate(ASK(CX_POST, "10252/0/1", .payload = "m", .format = SET(LWM2M_CT_OPAQUE)));
    ck_assert(a.code == CX_EMPTY && a.effect == SIM_NOTHING); /* no answer, ever */
    operate(ASK(CX_GET, "10252/0/1"));
    ck_assert_int_eq(a.code, CX_NOT_ALLOWED);
}
END_TEST

START_TEST(packages_are_taken_in_their_format)
{
    has_update(SIM_UPDATE_OBJECT5);
    operate(ASK(CX_PUT, "5/0/0", .payload = "i", .format = SET(LWM2M_CT_OPAQUE)));
    ck_assert(a.code == CX_CHANGED && a.effect == SIM_PACKAGE && !a.separate);
    operate(ASK(CX_PUT, "5/0/1", .payload = "u", .format = SET(LWM2M_CT_TEXT)));
    ck_assert(a.code == CX_CHANGED && a.effect == SIM_PACKAGE_URI);
    operate(ASK(CX_PUT, "5/0/1", .format = SET(LWM2M_CT_TEXT)));
    ck_assert(a.code == CX_CHANGED && a.effect == SIM_PACKAGE_URI);
    operate(ASK(CX_PUT, "5/0/0", .payload = "i", .format = SET(LWM2M_CT_TEXT)));
    ck_assert(a.code == CX_UNSUPPORTED_FORMAT && a.effect == SIM_NOTHING);
    operate(ASK(CX_POST, "5/0/2"));
    ck_assert(a.code == CX_CHANGED && a.effect == SIM_INSTALL);
    operate(ASK(CX_GET, "5/0/0"));
    ck_assert_int_eq(a.code, CX_NOT_ALLOWED);
}
END_TEST

START_TEST(registrations_list_what_there_is)
{
    static const char base[] =
        "</>;rt=\"oma.lwm2m\";ct=\"60 110 112 11542\",</1/0>,</3/0>,</3303/0>";
    char links[SIM_ANSWER_MAX];

    size_t n = sim_links(&v, links, sizeof links);
    ck_assert(n == sizeof base - 1 && memcmp(links, base, n) == 0);
    has_update(SIM_UPDATE_OBJECT5);
    n = sim_links(&v, links, sizeof links);
    ck_assert(n == sizeof base - 1 + 7 && memcmp(links + n - 7, ",</5/0>", 7) == 0);
    has_update(SIM_UPDATE_PELION);
    n = sim_links(&v, links, sizeof links - 1);
    links[n] = '\0';
    ck_assert_ptr_nonnull(strstr(links, ",</10252/0/2>;v=\"4\";aobs=\"11\","));
    ck_assert_ptr_nonnull(strstr(links, ",</10252/0/3>;v=\"-1\";aobs=\"12\","));
    ck_assert_ptr_nonnull(strstr(links, ",</14/0/2>;v=\"1.2.3\""));
    ck_assert_ptr_nonnull(strstr(links, ",</10255/0/3>;v=\"AQAAAAAAAAAAAAAAAAAAAA==\""));
    model.has_ids = false;
    n = sim_links(&v, links, sizeof links - 1);
    links[n] = '\0';
    ck_assert_ptr_null(strstr(links, "10255/0/3"));
}
END_TEST

START_TEST(names_fit)
{
    char text[SIM_NAME_MAX];
    const struct sim_name longest = {.prefix = "0123456789012345678901234567890123456789",
                                     .number = UINT32_MAX};

    sim_name_text(&longest, text);
    ck_assert_str_eq(text, "01234567890123456789012345678901234567894294967295");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("object");
    TCase *tc = add_case(s, "operations");

    tcase_add_checked_fixture(tc, begin, NULL);
    tcase_add_test(tc, read_gives_each_resource);
    tcase_add_test(tc, read_without_accept_gives_text_or_senml);
    tcase_add_test(tc, read_of_objects_and_instances_in_each_format);
    tcase_add_test(tc, discover_lists_what_is_there);
    tcase_add_test(tc, observe_is_remembered_and_ended);
    tcase_add_test(tc, the_lifetime_can_be_written);
    tcase_add_test(tc, executables_have_their_effects);
    tcase_add_test(tc, attributes_are_taken);
    tcase_add_loop_test(tc, what_cannot_be_done_is_refused_and_changes_nothing, 0,
                        DR_ARRAY_LEN(refusals));
    tcase_add_test(tc, a_value_of_a_notification_is_that_of_a_read);
    tcase_add_test(tc, pelion_devices_show_their_updates);
    tcase_add_test(tc, object_5_shows_its_updates);
    tcase_add_test(tc, a_manifest_is_taken_as_text_only);
    tcase_add_test(tc, packages_are_taken_in_their_format);
    tcase_add_test(tc, registrations_list_what_there_is);
    tcase_add_test(tc, names_fit);
    return run_suite(s);
}
