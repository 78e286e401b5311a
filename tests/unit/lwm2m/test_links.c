/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/lwm2m/fixture.h"

#include "lwm2m/links.h"
#include "lwm2m/shape.h"

/* What a Pelion client registers (shortened). */
static const char pelion[] =
    "</3/0/21>;obs,</3/0/2>;v=\"0\";aobs=\"20\",</3/0/1>;v=\"dev_model_num\";aobs=\"19\","
    "</3/0/5>,</14>,</14/1>,</14/1/2>;rt=\"Component Version\";v=\"0.0.0\","
    "</10255/0/4>;rt=\"Class\";v=\"APXxA4DPLTBRcPbLS3NIqQ==\";aobs=\"17\","
    "</10252/0/3>;rt=\"UpdateResult\";v=\"-1\";aobs=\"11\",</10252/0/1>;rt=\"Package\",</5000>";

static struct lwm2m_links links_of(const char *text)
{
    struct lwm2m_links links;

    ck_assert_int_eq(lwm2m_links_parse(text, strlen(text), LWM2M_LINKS_REGISTER, &links), DR_OK);
    return links;
}

/* "/1/0 /3/0@1.1" */
static const char *print(const struct lwm2m_links *links)
{
    static char out[4096];
    struct dr_wr wr = dr_wr_of(out, sizeof(out) - 1);

    for (size_t i = 0; i < links->count; i++) {
        const struct lwm2m_link *l = &links->items[i];
        char path[LWM2M_PATH_STR_MAX];
        (void)lwm2m_path_format(&l->path, path);
        dr_wr_printf(&wr, "%s%.*s%s%s", i > 0 ? " " : "", (int)l->device.len,
                     l->device.len == 0 ? "" : l->device.ptr, l->device.len == 0 ? "" : ":", path);
        if (l->version.major != 0) {
            dr_wr_printf(&wr, "@%u.%u", l->version.major, l->version.minor);
        }
    }
    out[dr_wr_len(&wr)] = '\0';
    return out;
}

static const struct {
    const char *why; /* spec: RFC6690#2, LWM2M-1.2-CORE#6.2.1 */
    const char *text;
    const char *want;
    uint32_t dropped;
    bool odd;
} cases[] = {
    {"plain", "</1/0>,</3/0>,</5>", "/1/0 /3/0 /5", 0, false},
    {"empty", "", "", 0, false},
    {"root with type and formats", "</>;rt=\"oma.lwm2m\";ct=\"60 110 112\",</1/0>", "/1/0", 0,
     false},
    {"alternate path", "</lwm2m>;rt=\"oma.lwm2m\",</lwm2m/1/0>,</lwm2m/3/0>", "/1/0 /3/0", 0,
     false},
    {"alternate path at the end", "</a/1/0>,</a>;rt=\"x oma.lwm2m\"", "/1/0", 0, false},
    {"version quoted", "</3>;ver=\"1.1\",</3/0>", "/3@1.1 /3/0", 0, false},
    {"version plain", "</3>;ver=1.1", "/3@1.1", 0, false},
    {"version on an instance", "</44/0>;ver=2.2", "/44/0@2.2", 0, false},
    {"bad version", "</44/0>;ver=abc", "/44/0", 0, true},
    {"formats with commas, junk attribute, blank, no slash", "</>;ct=110,112,11543;hb,<1/0>, <3/0>",
     "/1/0 /3/0", 0, true},
    {"trailing slash", "</3/0/>", "/3/0", 0, true},
    {"doubled comma", "</1>,,</3>", "/1 /3", 0, true},
    {"comma at the end", "</1>,", "/1", 0, false},
    {"line ends", "</1>,\r\n </3>\n", "/1 /3", 0, true},
    {"objects that must not be listed", "</0/0>,</1/0>,</21/0>,</23>", "/1/0", 3, false},
    {"no path at all", "</hello>,</1/0>,</70000>", "/1/0", 2, false},
    {"doubles", "</1/0>;ver=1.0,</1/0>;ver=1.1", "/1/0@1.1", 0, false},
    {"edge device", "</d/a b/3/0/0>;name=\"x\",</3>,</d//4>", "/3 a b:/3/0/0", 1, false},
    {"attribute without name", "</3>;=4;;obs", "/3", 0, true},
    {"slashes only", "<//>;a,</3>", "/3", 0, true},
    {"unsorted", "</5>,</3/0>,</3>", "/3 /3/0 /5", 0, false},
};

START_TEST(takes_each_list)
{
    struct lwm2m_links links = links_of(cases[_i].text);

    ck_assert_msg(strcmp(print(&links), cases[_i].want) == 0, "%s: '%s'", cases[_i].why,
                  print(&links));
    ck_assert_msg(links.dropped == cases[_i].dropped, "%s: %u dropped", cases[_i].why,
                  links.dropped);
    ck_assert_msg(links.odd == cases[_i].odd, "%s: odd", cases[_i].why);
    lwm2m_links_fini(&links);
}
END_TEST

static const struct {
    const char *text;
    dr_err_t err;
} bad[] = {
    {"</1/0", DR_ERR_PROTO},      {"</1>x", DR_ERR_PROTO},    {"</1>;v=\"abc", DR_ERR_PROTO},
    {"</1></2>", DR_ERR_PROTO},   {"</1>,x=1", DR_ERR_PROTO}, {"</1</2>", DR_ERR_PROTO},
    {"</1>;a,b;c", DR_ERR_PROTO}, {"<", DR_ERR_PROTO},
};

START_TEST(refuses_and_leaves_output_alone)
{
    struct lwm2m_links links = {.dropped = 77};

    ck_assert_int_eq(
        lwm2m_links_parse(bad[_i].text, strlen(bad[_i].text), LWM2M_LINKS_REGISTER, &links),
        bad[_i].err);
    ck_assert_uint_eq(links.dropped, 77);
    ck_assert_ptr_null(links.text);
}
END_TEST

START_TEST(limits_are_reached)
{
    struct lwm2m_links links = {.dropped = 77};
    static char text[LWM2M_LINKS_BYTES_MAX + 2];
    size_t n = 0;

    for (int i = 0; i <= LWM2M_LINKS_MAX; i++) {
        n += (size_t)snprintf(text + n, sizeof(text) - n, "</%d>,", i + 100);
    }
    ck_assert_int_eq(lwm2m_links_parse(text, n, 0, &links), DR_ERR_LIMIT);
    n = 0;
    for (int i = 0; i < LWM2M_LINKS_MAX; i++) {
        n += (size_t)snprintf(text + n, sizeof(text) - n, "</%d>,", i + 100);
    }
    ck_assert_int_eq(lwm2m_links_parse(text, n, 0, &links), DR_OK);
    ck_assert_uint_eq(links.count, LWM2M_LINKS_MAX);
    lwm2m_links_fini(&links);

    memset(text, ' ', sizeof(text));
    ck_assert_int_eq(lwm2m_links_parse(text, sizeof(text) - 1, 0, &links), DR_ERR_TOO_LARGE);
    ck_assert_int_eq(lwm2m_links_parse(text, sizeof(text) - 2, 0, &links), DR_OK);
    lwm2m_links_fini(&links);

    n = (size_t)snprintf(text, sizeof(text), "</1>");
    for (int i = 0; i < LWM2M_LINK_ATTRS_MAX; i++) {
        n += (size_t)snprintf(text + n, sizeof(text) - n, ";a%d=1", i);
    }
    ck_assert_int_eq(lwm2m_links_parse(text, n, 0, &links), DR_OK);
    lwm2m_links_fini(&links);
    n += (size_t)snprintf(text + n, sizeof(text) - n, ";z");
    ck_assert_int_eq(lwm2m_links_parse(text, n, 0, &links), DR_ERR_LIMIT);
}
END_TEST

START_TEST(root_link_is_kept)
{
    struct lwm2m_links links = links_of("</lw>;rt=\"oma.lwm2m\";ct=\"60 110\",</lw/1>");

    ck_assert(lwm2m_str_eq(links.root, "/lw"));
    ck_assert(lwm2m_ct_list_has(&links.ct, 110));
    lwm2m_links_fini(&links);
    links = links_of("</1/lw>;rt=\"oma.lwm2m\",</1/0>"); /* a number in it: not an alternate path */
    ck_assert_uint_eq(links.root.len, 0);
    ck_assert(links.odd);
    lwm2m_links_fini(&links);
}
END_TEST

START_TEST(bootstrap_discover_answers)
{
    static const char *const texts[] = {
        "</>;lwm2m=1.1,</0/0>;ssid=101;uri=\"coaps://h\",</0/1>,</1/0>;ssid=101,</21/0>;ssid=101",
        "lwm2m=1.1,</0/0>,</0/1>,</1/0>;ssid=101,</21/0>",
    };

    for (size_t i = 0; i < DR_ARRAY_LEN(texts); i++) {
        struct lwm2m_links links;
        ck_assert_int_eq(
            lwm2m_links_parse(texts[i], strlen(texts[i]), LWM2M_LINKS_DISCOVER, &links), DR_OK);
        ck_assert_str_eq(print(&links), "/0/0 /0/1 /1/0 /21/0");
        ck_assert(lwm2m_version_eq(links.enabler, LWM2M_VERSION(1, 1)));
        lwm2m_links_fini(&links);
    }
}
END_TEST

START_TEST(pelion_values_and_standing_observations)
{
    struct lwm2m_links links = links_of(pelion);
    const struct lwm2m_path p = LWM2M_PATH(10255, 0, 4), q = LWM2M_PATH(3, 0, 21);
    const struct lwm2m_link *l = lwm2m_links_find(&links, &p);

    ck_assert_ptr_nonnull(l);
    ck_assert(l->has_value && l->has_aobs);
    ck_assert_uint_eq(l->aobs, 17);
    ck_assert(lwm2m_str_eq(l->value, "APXxA4DPLTBRcPbLS3NIqQ=="));
    ck_assert(lwm2m_str_eq(l->rt, "Class"));
    l = lwm2m_links_find(&links, &q);
    ck_assert(l->observable && !l->has_value && !l->has_aobs);
    ck_assert(lwm2m_links_has_object(&links, 10252));
    ck_assert(!lwm2m_links_has_object(&links, 10253));
    lwm2m_links_fini(&links);
}
END_TEST

START_TEST(values_may_hold_separators_and_quotes)
{
    struct lwm2m_links links = links_of(
        "</1/0/0>;v=\"a,b;c <x> \"q\" end\";aobs=\"5\",</1/0/1>;v=\"\",</1/0/2>;aobs=70000");
    const struct lwm2m_path p = LWM2M_PATH(1, 0, 0), q = LWM2M_PATH(1, 0, 1),
                            r = LWM2M_PATH(1, 0, 2);

    ck_assert(lwm2m_str_eq(lwm2m_links_find(&links, &p)->value, "a,b;c <x> \"q\" end"));
    ck_assert_uint_eq(lwm2m_links_find(&links, &p)->aobs, 5);
    ck_assert(lwm2m_links_find(&links, &q)->has_value);
    ck_assert_uint_eq(lwm2m_links_find(&links, &q)->value.len, 0);
    ck_assert(!lwm2m_links_find(&links, &r)->has_aobs);
    ck_assert(links.odd);
    lwm2m_links_fini(&links);
}
END_TEST

START_TEST(versions_are_found_wherever_they_stand)
{
    struct lwm2m_links links =
        links_of("</3>;ver=1.2,</3/0>,</44/0>;ver=2.2,</5/0>,</d/x/6>;ver=9.9");

    ck_assert(lwm2m_version_eq(lwm2m_links_version(&links, 3), LWM2M_VERSION(1, 2)));
    ck_assert(lwm2m_version_eq(lwm2m_links_version(&links, 44), LWM2M_VERSION(2, 2)));
    ck_assert(lwm2m_version_eq(lwm2m_links_version(&links, 5), LWM2M_VERSION(0, 0)));
    ck_assert(lwm2m_version_eq(lwm2m_links_version(&links, 6), LWM2M_VERSION(0, 0)));
    lwm2m_links_fini(&links);
}
END_TEST

START_TEST(updates_are_merged)
{
    struct lwm2m_links old =
        links_of("</>;ct=112,</1/0>,</3/0/0>;v=\"a\",</9/0>,</9/0/1>,</d/x/3>");
    struct lwm2m_links add = links_of("</3/0/0>;v=\"b\",</4/0>,</9>;d,</d/x>;d");
    struct lwm2m_links merged;
    const struct lwm2m_path p = LWM2M_PATH(3, 0, 0);

    ck_assert_int_eq(lwm2m_links_merge(&old, &add, &merged), DR_OK);
    ck_assert_str_eq(print(&merged), "/1/0 /3/0/0 /4/0");
    ck_assert(lwm2m_str_eq(lwm2m_links_find(&merged, &p)->value, "b"));
    ck_assert(lwm2m_ct_list_has(&merged.ct, 112));
    lwm2m_links_fini(&old);
    lwm2m_links_fini(&add);
    lwm2m_links_fini(&merged);
}
END_TEST

START_TEST(canonical_text_is_stable)
{
    struct lwm2m_links links = links_of(pelion), again;
    char *one = NULL, *two = NULL;
    size_t one_len = 0, two_len = 0;

    ck_assert_int_eq(lwm2m_links_canonical(&links, &one, &one_len), DR_OK);
    ck_assert_int_eq(lwm2m_links_parse(one, one_len, 0, &again), DR_OK);
    ck_assert_int_eq(lwm2m_links_canonical(&again, &two, &two_len), DR_OK);
    ck_assert_uint_eq(one_len, two_len);
    ck_assert_mem_eq(one, two, one_len);
    ck_assert_uint_eq(links.count, again.count);
    for (size_t i = 0; i < again.count; i++) {
        ck_assert(!again.items[i].has_value && !again.items[i].has_aobs);
    }
    free(one);
    free(two);
    lwm2m_links_fini(&links);
    lwm2m_links_fini(&again);
}
END_TEST

static dr_err_t write_entry(void *arg, const struct lwm2m_link_entry *entry)
{
    return lwm2m_linkfmt_write(arg, entry);
}

START_TEST(writer_gives_what_reader_took)
{
    static const char text[] = "</>;rt=\"oma.lwm2m\";ct=112,</3>;ver=1.1,</3/0/0>;obs;v=\"x, y\"";
    uint8_t out[sizeof(text)];
    struct dr_wr wr = dr_wr_of(out, sizeof(text) - 1);

    ck_assert_int_eq(lwm2m_linkfmt_read(text, strlen(text), write_entry, &wr), DR_OK);
    ck_assert_uint_eq(dr_wr_len(&wr), strlen(text));
    ck_assert_mem_eq(out, text, strlen(text));
    wr = dr_wr_of(out, sizeof(text) - 2);
    ck_assert_int_eq(lwm2m_linkfmt_read(text, strlen(text), write_entry, &wr), DR_ERR_NOSPACE);
}
END_TEST

START_TEST(writer_refuses_what_cannot_be_read_back)
{
    uint8_t out[64];
    struct dr_wr wr = dr_wr_of(out, sizeof(out));
    struct lwm2m_link_entry entry = {.target = str("/1>")};

    ck_assert_int_eq(lwm2m_linkfmt_write(&wr, &entry), DR_ERR_INVAL);
    entry = (struct lwm2m_link_entry){
        .target = str("/1"), .attrs = {{.name = str("v"), .value = str("a\";b")}}, .count = 1};
    ck_assert_int_eq(lwm2m_linkfmt_write(&wr, &entry), DR_ERR_INVAL);
    entry.attrs[0] = (struct lwm2m_link_attr){.name = str("a b"), .value = str("c")};
    ck_assert_int_eq(lwm2m_linkfmt_write(&wr, &entry), DR_ERR_INVAL);
}
END_TEST

/* ---- shapes ---- */

static uint32_t intern(struct lwm2m_shapes *shapes, const char *text)
{
    struct lwm2m_links links = links_of(text);
    uint32_t shape = LWM2M_SHAPE_NONE;

    ck_assert_int_eq(lwm2m_shape_intern(shapes, &links, &shape), DR_OK);
    lwm2m_links_fini(&links);
    return shape;
}

START_TEST(equal_lists_share_a_shape)
{
    struct lwm2m_shapes *shapes = NULL;

    ck_assert_int_eq(lwm2m_shapes_new(100, 100000, 42, &shapes), DR_OK);
    uint32_t a = intern(shapes, "</1/0>,</3/0>;v=\"1\";aobs=\"7\"");
    uint32_t b = intern(shapes, "</3/0>;v=\"2\";aobs=\"900\", </1/0>");
    uint32_t c = intern(shapes, "</1/0>,</3/0>,</4>");
    ck_assert_uint_ne(a, LWM2M_SHAPE_NONE);
    ck_assert_uint_eq(a, b);
    ck_assert_uint_ne(a, c);
    ck_assert_uint_eq(lwm2m_shapes_count(shapes), 2);
    ck_assert_uint_eq(lwm2m_shape_links(shapes, a)->count, 2);

    struct lwm2m_str text = lwm2m_shape_text(shapes, c);
    uint32_t d = 0;
    ck_assert_int_eq(lwm2m_shape_intern_text(shapes, text.ptr, text.len, &d), DR_OK);
    ck_assert_uint_eq(c, d);

    lwm2m_shape_unref(shapes, c);
    lwm2m_shape_unref(shapes, d);
    ck_assert_uint_eq(lwm2m_shapes_count(shapes), 1);
    lwm2m_shape_unref(shapes, a);
    ck_assert_uint_eq(lwm2m_shapes_count(shapes), 1);
    lwm2m_shape_ref(shapes, b);
    lwm2m_shape_unref(shapes, b);
    lwm2m_shape_unref(shapes, b);
    lwm2m_shape_unref(shapes, LWM2M_SHAPE_NONE);
    ck_assert_uint_eq(lwm2m_shapes_count(shapes), 0);
    ck_assert_uint_eq(lwm2m_shapes_bytes(shapes), 0);
    ck_assert_ptr_null(lwm2m_shape_links(shapes, LWM2M_SHAPE_NONE));
    ck_assert_ptr_null(lwm2m_shapes_free(shapes));
}
END_TEST

START_TEST(shapes_have_limits)
{
    struct lwm2m_shapes *shapes = NULL;
    uint32_t shape = 99;
    struct lwm2m_links links = links_of("</4>"), wide = links_of("</4>;rt=\"a long type name\"");

    ck_assert_int_eq(lwm2m_shapes_new(2, 1000, 42, &shapes), DR_OK);
    uint32_t a = intern(shapes, "</1>"), b = intern(shapes, "</2>");
    ck_assert_int_eq(lwm2m_shape_intern(shapes, &links, &shape), DR_ERR_LIMIT);
    ck_assert_uint_eq(shape, 99);
    ck_assert_uint_eq(intern(shapes, "</1>"), a); /* known ones still go */
    lwm2m_shape_unref(shapes, b);
    ck_assert_int_eq(lwm2m_shape_intern(shapes, &links, &shape), DR_OK);
    lwm2m_shapes_free(shapes);

    ck_assert_int_eq(lwm2m_shapes_new(100, 12, 42, &shapes), DR_OK);
    ck_assert_int_eq(lwm2m_shape_intern(shapes, &wide, &shape), DR_ERR_LIMIT);
    ck_assert_int_eq(lwm2m_shape_intern(shapes, &links, &shape), DR_OK);
    ck_assert_ptr_null(lwm2m_shapes_free(shapes));
    ck_assert_ptr_null(lwm2m_shapes_free(NULL));
    lwm2m_links_fini(&links);
    lwm2m_links_fini(&wide);
}
END_TEST

START_TEST(an_empty_list_has_a_shape)
{
    struct lwm2m_shapes *shapes = NULL;

    ck_assert_int_eq(lwm2m_shapes_new(10, 1000, 1, &shapes), DR_OK);
    uint32_t a = intern(shapes, ""), b = intern(shapes, "</0>");
    ck_assert_uint_eq(a, b);
    ck_assert_uint_eq(lwm2m_shape_links(shapes, a)->count, 0);
    lwm2m_shapes_free(shapes);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("lwm2m links");
    TCase *t = tcase_create("reading");
    tcase_add_loop_test(t, takes_each_list, 0, (int)DR_ARRAY_LEN(cases));
    tcase_add_loop_test(t, refuses_and_leaves_output_alone, 0, (int)DR_ARRAY_LEN(bad));
    tcase_add_test(t, limits_are_reached);
    tcase_add_test(t, root_link_is_kept);
    tcase_add_test(t, bootstrap_discover_answers);
    tcase_add_test(t, pelion_values_and_standing_observations);
    tcase_add_test(t, values_may_hold_separators_and_quotes);
    tcase_add_test(t, versions_are_found_wherever_they_stand);
    suite_add_tcase(s, t);
    t = tcase_create("writing");
    tcase_add_test(t, updates_are_merged);
    tcase_add_test(t, canonical_text_is_stable);
    tcase_add_test(t, writer_gives_what_reader_took);
    tcase_add_test(t, writer_refuses_what_cannot_be_read_back);
    suite_add_tcase(s, t);
    t = tcase_create("shapes");
    tcase_add_test(t, equal_lists_share_a_shape);
    tcase_add_test(t, shapes_have_limits);
    tcase_add_test(t, an_empty_list_has_a_shape);
    suite_add_tcase(s, t);
    return run_suite(s);
}
