/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/lwm2m/fixture.h"

#include <sys/stat.h>
#include <unistd.h>

#include "lwm2m/model.h"
#include "lwm2m/model_xml.h"

static struct lwm2m_models *models;

static void setup(void)
{
    ck_assert_int_eq(lwm2m_models_new(&models), DR_OK);
}

static void teardown(void)
{
    models = lwm2m_models_free(models);
    ck_assert_ptr_null(models);
}

static const struct lwm2m_obj_def *get(uint16_t id, struct lwm2m_version v, struct lwm2m_version e)
{
    return lwm2m_models_get(models, id, v, e);
}

static const struct {
    uint16_t id;
    uint8_t major, minor; /* as listed, 0.0 = not */
    uint8_t enabler;      /* minor */
    uint8_t want_major, want_minor;
} lookups[] = {
    {3, 1, 1, 0, 1, 1},    {3, 0, 0, 0, 1, 0},     {3, 0, 0, 1, 1, 1},    {0, 0, 0, 2, 1, 2},
    {1, 0, 0, 2, 1, 2},    {4, 0, 0, 1, 1, 2},     {4, 0, 0, 2, 1, 3},    {5, 0, 0, 1, 1, 0},
    {6, 0, 0, 2, 1, 0},    {21, 0, 0, 1, 1, 0},    {21, 0, 0, 2, 2, 0},   {3, 1, 9, 0, 1, 2},
    {3, 2, 0, 0, 0, 0},    {9999, 0, 0, 1, 0, 0},  {3303, 0, 0, 1, 1, 0}, {3303, 1, 1, 1, 1, 1},
    {3336, 2, 0, 1, 2, 0}, {10252, 0, 0, 0, 1, 0}, {1, 0, 0, 7, 1, 2},
};

/* spec: LWM2M-1.2-CORE#7.2 */
START_TEST(versions_are_chosen)
{
    const struct lwm2m_obj_def *def =
        get(lookups[_i].id, LWM2M_VERSION(lookups[_i].major, lookups[_i].minor),
            LWM2M_VERSION(1, lookups[_i].enabler));

    if (lookups[_i].want_major == 0) {
        ck_assert_ptr_null(def);
        return;
    }
    ck_assert_ptr_nonnull(def);
    ck_assert_uint_eq(def->id, lookups[_i].id);
    ck_assert(lwm2m_version_eq(def->version,
                               LWM2M_VERSION(lookups[_i].want_major, lookups[_i].want_minor)));
}
END_TEST

START_TEST(the_table_is_in_order)
{
    ck_assert_uint_gt(lwm2m_models_count(models), 100);
    for (size_t i = 0; i < lwm2m_models_count(models); i++) {
        const struct lwm2m_obj_def *def = lwm2m_models_at(models, i);
        ck_assert_uint_gt(strlen(def->name), 0);
        for (size_t k = 0; k < def->res_count; k++) {
            ck_assert(k == 0 || def->res[k - 1].id < def->res[k].id);
            ck_assert_ptr_eq(lwm2m_obj_res(def, def->res[k].id), &def->res[k]);
            /* what can be executed has no value, but for the manifest of Pelion */
            ck_assert(def->id > 10000 || (def->res[k].ops & LWM2M_OP_E) == 0 ||
                      def->res[k].type == LWM2M_TYPE_NONE || def->id == 3340 || def->id == 3338);
        }
        if (i > 0) {
            const struct lwm2m_obj_def *before = lwm2m_models_at(models, i - 1);
            ck_assert(
                before->id < def->id ||
                (before->id == def->id && lwm2m_version_cmp(before->version, def->version) < 0));
        }
    }
}
END_TEST

START_TEST(known_facts)
{
    const struct lwm2m_obj_def *dev = get(3, LWM2M_VERSION(1, 2), LWM2M_VERSION(1, 2));
    const struct lwm2m_res_def *r = lwm2m_obj_res(dev, 11);

    ck_assert_str_eq(dev->name, "Device");
    ck_assert(!dev->multiple && dev->mandatory);
    ck_assert_uint_eq(dev->res_count, 23);
    ck_assert(r->multiple && r->mandatory && r->type == LWM2M_TYPE_INT && r->ops == LWM2M_OP_R);
    ck_assert_uint_eq(lwm2m_obj_res(dev, 4)->ops, LWM2M_OP_E);
    ck_assert_uint_eq(lwm2m_obj_res(dev, 13)->type, LWM2M_TYPE_TIME);
    ck_assert_uint_eq(lwm2m_obj_res(dev, 22)->type, LWM2M_TYPE_OBJLNK);
    ck_assert_ptr_null(lwm2m_obj_res(dev, 99));
    ck_assert_ptr_null(lwm2m_obj_res(NULL, 0));
    const struct lwm2m_obj_def *temp = get(3303, LWM2M_VERSION(1, 1), LWM2M_VERSION(1, 1));
    ck_assert(temp->multiple);
    ck_assert_str_eq(lwm2m_obj_res(temp, 5700)->name, "Sensor Value");
    ck_assert_uint_eq(lwm2m_obj_res(temp, 5700)->type, LWM2M_TYPE_FLOAT);
    ck_assert_uint_eq(lwm2m_obj_res(temp, 5518)->type, LWM2M_TYPE_TIME);
}
END_TEST

/* ---- additions ---- */

static const struct lwm2m_res_def two[] = {
    {1, LWM2M_TYPE_INT, LWM2M_OP_R, false, true, "One", "0..7", NULL},
    {2, LWM2M_TYPE_STRING, LWM2M_OP_W, true, false, "Two", NULL, "m"},
};

START_TEST(additions_are_copied_and_found)
{
    struct lwm2m_obj_def def = {
        .id = 42000, .version = {1, 0}, .name = "Mine", .res = two, .res_count = 2};

    ck_assert_int_eq(lwm2m_models_add(models, &def), DR_OK);
    ck_assert_int_eq(lwm2m_models_add(models, &def), DR_ERR_EXISTS);
    const struct lwm2m_obj_def *got = get(42000, LWM2M_VERSION(0, 0), LWM2M_VERSION(1, 1));
    ck_assert_ptr_ne(got, &def);
    ck_assert_str_eq(got->name, "Mine");
    ck_assert_str_eq(got->res[0].range, "0..7");
    ck_assert_ptr_null(got->res[1].range);
    ck_assert_str_eq(got->res[1].units, "m");
    /* a built-in one can be replaced, once */
    size_t count = lwm2m_models_count(models);
    def.id = 3303;
    ck_assert_int_eq(lwm2m_models_add(models, &def), DR_OK);
    ck_assert_str_eq(get(3303, LWM2M_VERSION(1, 0), LWM2M_VERSION(1, 0))->name, "Mine");
    ck_assert_uint_eq(lwm2m_models_count(models), count);
    ck_assert_int_eq(lwm2m_models_add(models, &def), DR_ERR_EXISTS);
}
END_TEST

START_TEST(bad_additions_are_refused)
{
    const struct lwm2m_res_def unsorted[] = {two[1], two[0]};
    struct lwm2m_obj_def def = {
        .id = 42000, .version = {1, 0}, .name = "Mine", .res = unsorted, .res_count = 2};

    ck_assert_int_eq(lwm2m_models_add(models, &def), DR_ERR_INVAL);
    def.res = two;
    def.id = 65535;
    ck_assert_int_eq(lwm2m_models_add(models, &def), DR_ERR_INVAL);
    def.id = 42000;
    def.name = NULL;
    ck_assert_int_eq(lwm2m_models_add(models, &def), DR_ERR_INVAL);
}
END_TEST

START_TEST(additions_have_a_maximum)
{
    struct lwm2m_obj_def def = {.version = {1, 0}, .name = "Mine"};

    for (unsigned i = 0; i < LWM2M_MODELS_MAX; i++) {
        def.id = (uint16_t)(42000 + i);
        ck_assert_int_eq(lwm2m_models_add(models, &def), DR_OK);
    }
    def.id = 50000;
    ck_assert_int_eq(lwm2m_models_add(models, &def), DR_ERR_LIMIT);
}
END_TEST

/* ---- checks ---- */

static const struct {
    const char *range;
    enum lwm2m_type type;
    struct lwm2m_value value;
    dr_err_t err;
} values[] = {
    {"0..7", LWM2M_TYPE_INT, {.type = LWM2M_TYPE_INT, .i = 7}, DR_OK},
    {"0..7", LWM2M_TYPE_INT, {.type = LWM2M_TYPE_INT, .i = 8}, DR_ERR_RANGE},
    {"0-7", LWM2M_TYPE_INT, {.type = LWM2M_TYPE_INT, .i = -1}, DR_ERR_RANGE},
    {"-20..50", LWM2M_TYPE_INT, {.type = LWM2M_TYPE_INT, .i = -20}, DR_OK},
    {"0..1", LWM2M_TYPE_FLOAT, {.type = LWM2M_TYPE_FLOAT, .f = 0.5}, DR_OK},
    {"0..1", LWM2M_TYPE_FLOAT, {.type = LWM2M_TYPE_FLOAT, .f = 1.5}, DR_ERR_RANGE},
    {"0..1", LWM2M_TYPE_FLOAT, {.type = LWM2M_TYPE_INT, .i = 1}, DR_OK},
    {"0..3 bytes",
     LWM2M_TYPE_STRING,
     {.type = LWM2M_TYPE_STRING, .bytes = {(const uint8_t *)"abcd", 4}},
     DR_ERR_RANGE},
    {"0-4 bytes",
     LWM2M_TYPE_OPAQUE,
     {.type = LWM2M_TYPE_OPAQUE, .bytes = {(const uint8_t *)"abcd", 4}},
     DR_OK},
    {"16,32,48", LWM2M_TYPE_INT, {.type = LWM2M_TYPE_INT, .i = 5}, DR_OK},
    {"16-bit", LWM2M_TYPE_INT, {.type = LWM2M_TYPE_INT, .i = 5}, DR_OK},
    {"2 bytes", LWM2M_TYPE_INT, {.type = LWM2M_TYPE_INT, .i = 99999}, DR_OK},
    {"7..0", LWM2M_TYPE_INT, {.type = LWM2M_TYPE_INT, .i = 5}, DR_OK},
    {"any text", LWM2M_TYPE_INT, {.type = LWM2M_TYPE_INT, .i = 5}, DR_OK},
    {NULL, LWM2M_TYPE_UINT, {.type = LWM2M_TYPE_INT, .i = 5}, DR_OK},
    {NULL, LWM2M_TYPE_UINT, {.type = LWM2M_TYPE_INT, .i = -5}, DR_ERR_INVAL},
    {NULL, LWM2M_TYPE_TIME, {.type = LWM2M_TYPE_INT, .i = 5}, DR_OK},
    {NULL, LWM2M_TYPE_STRING, {.type = LWM2M_TYPE_INT, .i = 5}, DR_ERR_INVAL},
    {NULL, LWM2M_TYPE_BOOL, {.type = LWM2M_TYPE_INT, .i = 1}, DR_ERR_INVAL},
    {NULL, LWM2M_TYPE_INT, {.type = LWM2M_TYPE_BOOL, .b = true}, DR_ERR_INVAL},
};

START_TEST(values_are_checked)
{
    const struct lwm2m_res_def res = {
        .name = "R", .type = (uint8_t)values[_i].type, .range = values[_i].range};
    struct dr_errinfo err;

    ck_assert_int_eq(lwm2m_value_check(&res, &values[_i].value, &err), values[_i].err);
    ck_assert_int_eq(lwm2m_value_check(NULL, &values[_i].value, &err), DR_OK);
}
END_TEST

static const struct {
    const char *path;
    enum lwm2m_operation oper;
    dr_err_t err;
} opers[] = {
    {"/3/0/0", LWM2M_OPER_READ, DR_OK},           {"/3", LWM2M_OPER_READ, DR_OK},
    {"/", LWM2M_OPER_READ, DR_ERR_INVAL},         {"/3/0/4", LWM2M_OPER_READ, DR_ERR_DENIED},
    {"/3/0/4", LWM2M_OPER_EXECUTE, DR_OK},        {"/3/0/0", LWM2M_OPER_EXECUTE, DR_ERR_DENIED},
    {"/3/0", LWM2M_OPER_EXECUTE, DR_ERR_INVAL},   {"/3/0/0", LWM2M_OPER_WRITE, DR_ERR_DENIED},
    {"/3/0/14", LWM2M_OPER_WRITE, DR_OK},         {"/3", LWM2M_OPER_WRITE, DR_ERR_INVAL},
    {"/3/0/999", LWM2M_OPER_WRITE, DR_OK},        {"/3", LWM2M_OPER_CREATE, DR_OK},
    {"/3/0", LWM2M_OPER_CREATE, DR_ERR_INVAL},    {"/3/0", LWM2M_OPER_DELETE, DR_ERR_DENIED},
    {"/1/1", LWM2M_OPER_DELETE, DR_OK},           {"/3/0/11/1", LWM2M_OPER_DELETE, DR_OK},
    {"/3/0/11", LWM2M_OPER_DELETE, DR_ERR_INVAL}, {"/0/0", LWM2M_OPER_READ, DR_ERR_DENIED},
    {"/21", LWM2M_OPER_DISCOVER, DR_ERR_DENIED},  {"/3", LWM2M_OPER_WRITE_ATTRS, DR_OK},
    {"/3/0/0/1", LWM2M_OPER_OBSERVE, DR_OK},      {"/3/0/0/1", LWM2M_OPER_DISCOVER, DR_ERR_INVAL},
    {"/3/0", LWM2M_OPER_WRITE_PARTIAL, DR_OK},
};

/* spec: LWM2M-1.2-CORE#6.3 */
START_TEST(operations_are_checked)
{
    struct lwm2m_path path = path_of(opers[_i].path);
    const struct lwm2m_obj_def *obj = get(path.id[0], LWM2M_VERSION(0, 0), LWM2M_VERSION(1, 1));

    ck_assert_int_eq(lwm2m_operation_check(obj, &path, opers[_i].oper, NULL), opers[_i].err);
}
END_TEST

START_TEST(pelion_takes_its_manifest_by_execute)
{
    const struct lwm2m_path path = LWM2M_PATH(10252, 0, 1);
    const struct lwm2m_obj_def *obj = get(10252, LWM2M_VERSION(0, 0), LWM2M_VERSION(1, 0));

    ck_assert_int_eq(lwm2m_operation_check(obj, &path, LWM2M_OPER_EXECUTE, NULL), DR_OK);
}
END_TEST

START_TEST(type_names)
{
    enum lwm2m_type type = LWM2M_TYPE_TIME;

    ck_assert_int_eq(lwm2m_type_parse(str(" unsigned INTEGER "), &type), DR_OK);
    ck_assert_int_eq(type, LWM2M_TYPE_UINT);
    ck_assert_int_eq(lwm2m_type_parse(str("Complex"), &type), DR_ERR_INVAL);
    ck_assert_int_eq(type, LWM2M_TYPE_UINT);
    ck_assert_int_eq(lwm2m_type_parse(str(""), &type), DR_OK);
    ck_assert_int_eq(type, LWM2M_TYPE_NONE);
}
END_TEST

/* ---- XML ---- */

#define XML(inner) "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<LWM2M>" inner "</LWM2M>"
#define OBJ(id, inner)                                                                             \
    "<Object ObjectType=\"MODefinition\"><Name>My Object</Name><Description1>long</Description1>"  \
    "<ObjectID>" id "</ObjectID><ObjectURN>urn:x</ObjectURN><MultipleInstances>Multiple"           \
    "</MultipleInstances><Mandatory>Optional</Mandatory><Resources>" inner "</Resources></Object>"
#define ITEM(id, type)                                                                             \
    "<Item ID=\"" id "\"><Name>Res " id "</Name><Operations>RW</Operations><MultipleInstances>"    \
    "Single</MultipleInstances><Mandatory>Mandatory</Mandatory><Type>" type "</Type>"              \
    "<RangeEnumeration> 0..7 </RangeEnumeration><Units>Cel</Units><Description>&lt;x&gt;"          \
    "</Description></Item>"

static dr_err_t load(const char *text, size_t *ret, struct dr_errinfo *err)
{
    return lwm2m_models_load_xml(models, "f.xml", text, strlen(text), ret, err);
}

START_TEST(object_files_are_read)
{
    size_t count = 0;
    struct dr_errinfo err = {.text = ""};

    ck_assert_msg(
        load(XML(OBJ("42000", ITEM("7", "Float") ITEM("3", "Unsigned Integer")) OBJ("42001", "")),
             &count, &err) == DR_OK,
        "%s", err.text);
    ck_assert_uint_eq(count, 2);
    const struct lwm2m_obj_def *def = get(42000, LWM2M_VERSION(0, 0), LWM2M_VERSION(1, 1));
    ck_assert_str_eq(def->name, "My Object");
    ck_assert(def->multiple && !def->mandatory && def->res_count == 2);
    ck_assert(def->res[0].id == 3 && def->res[0].type == LWM2M_TYPE_UINT);
    ck_assert(def->res[1].id == 7 && def->res[1].ops == (LWM2M_OP_R | LWM2M_OP_W));
    ck_assert_str_eq(def->res[1].range, "0..7");
    ck_assert_str_eq(def->res[1].units, "Cel");
    ck_assert_str_eq(def->res[1].name, "Res 7");
    ck_assert_int_eq(load(XML(OBJ("42000", "")), &count, &err), DR_ERR_EXISTS);
    ck_assert_str_eq(err.field, "f.xml");
}
END_TEST

static const struct {
    const char *text;
    dr_err_t err;
    long line;
} bad_xml[] = {
    {"", DR_ERR_PROTO, 1},
    {"<LWM2M>", DR_ERR_PROTO, 1},
    {"\n\n<html></html>", DR_ERR_PROTO, 3},
    {XML(""), DR_ERR_PROTO, 2},
    {"<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>\n" XML(OBJ("42000", "")),
     DR_ERR_PROTO, 1},
    {"<!DOCTYPE x [<!ENTITY a \"aa\"><!ENTITY b \"&a;&a;\">]><LWM2M>&b;</LWM2M>", DR_ERR_PROTO, 1},
    {XML(OBJ("42000", "&unknown;")), DR_ERR_PROTO, 2},
    {XML(OBJ("65535", "")), DR_ERR_PROTO, 2},
    {XML(OBJ("x", "")), DR_ERR_PROTO, 2},
    {XML("<Object><Name>a</Name></Object>"), DR_ERR_PROTO, 2},
    {XML("<Object><ObjectID>42000</ObjectID></Object>"), DR_ERR_PROTO, 2},
    {XML("<Object><Name>a</Name><ObjectID>1</ObjectID><ObjectVersion>x</ObjectVersion></Object>"),
     DR_ERR_PROTO, 2},
    {XML(OBJ("42000", ITEM("1", "Float") ITEM("1", "Float"))), DR_ERR_PROTO, 2},
    {XML(OBJ("42000", ITEM("x", "Float"))), DR_ERR_PROTO, 2},
    {XML(OBJ("42000", "<Item><Name>a</Name></Item>")), DR_ERR_PROTO, 2},
    {XML(OBJ("42000", ITEM("1", "Complex"))), DR_ERR_PROTO, 2},
    {XML(OBJ("42000", "<Item ID=\"1\"><Operations>X</Operations></Item>")), DR_ERR_PROTO, 2},
    {XML(OBJ("42000", "<Item ID=\"1\"><Mandatory>maybe</Mandatory></Item>")), DR_ERR_PROTO, 2},
    {XML(OBJ("42000", "") "<Object><Name>second</Name></Object>"), DR_ERR_PROTO, 2},
    {XML("<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a></a></a></a></a></a></a></a></a></a></"
         "a></a></a></a></a></a></a>"),
     DR_ERR_LIMIT, 2},
};

START_TEST(bad_files_add_nothing_and_say_where)
{
    size_t count = 99, before = lwm2m_models_count(models);
    struct dr_errinfo err = {.line = 0};

    ck_assert_msg(load(bad_xml[_i].text, &count, &err) == bad_xml[_i].err, "%s", bad_xml[_i].text);
    ck_assert_uint_eq(count, 99);
    ck_assert_int_eq(err.line, bad_xml[_i].line);
    ck_assert_str_eq(err.field, "f.xml");
    ck_assert_uint_gt(strlen(err.text), 0);
    ck_assert_uint_eq(lwm2m_models_count(models), before);
    ck_assert_ptr_null(get(42000, LWM2M_VERSION(0, 0), LWM2M_VERSION(1, 1)));
}
END_TEST

START_TEST(a_replaced_object_comes_back_after_a_fault)
{
    size_t count = 0;

    ck_assert_int_eq(load(XML(OBJ("3303", "") "<Object/>"), &count, NULL), DR_ERR_PROTO);
    ck_assert_str_eq(get(3303, LWM2M_VERSION(1, 0), LWM2M_VERSION(1, 0))->name, "Temperature");
}
END_TEST

START_TEST(file_limits_are_reached)
{
    static char text[LWM2M_XML_BYTES_MAX + 2];
    size_t count = 0, n = 0;
    struct dr_errinfo err;

    n = (size_t)snprintf(text, sizeof(text),
                         "<LWM2M><Object><Name>a</Name><ObjectID>42000</ObjectID><Resources>");
    for (int i = 0; i <= LWM2M_XML_RES_MAX; i++) {
        n += (size_t)snprintf(text + n, sizeof(text) - n, "<Item ID=\"%d\"/>", i);
    }
    n += (size_t)snprintf(text + n, sizeof(text) - n, "</Resources></Object></LWM2M>");
    ck_assert_int_eq(lwm2m_models_load_xml(models, "f", text, n, &count, &err), DR_ERR_LIMIT);
    memset(text, ' ', sizeof(text));
    ck_assert_int_eq(
        lwm2m_models_load_xml(models, "f", text, LWM2M_XML_BYTES_MAX + 1, &count, &err),
        DR_ERR_TOO_LARGE);
    /* a long name is cut, at a character's end */
    n = (size_t)snprintf(text, sizeof(text), "<LWM2M><Object><Name>");
    for (int i = 0; i < 300; i++) {
        n += (size_t)snprintf(text + n, sizeof(text) - n, "\xc3\xa4");
    }
    n += (size_t)snprintf(text + n, sizeof(text) - n,
                          "</Name><ObjectID>42000</ObjectID></Object></LWM2M>");
    ck_assert_int_eq(lwm2m_models_load_xml(models, "f", text, n, &count, &err), DR_OK);
    ck_assert_uint_eq(strlen(get(42000, LWM2M_VERSION(1, 0), LWM2M_VERSION(1, 0))->name), 254);
}
END_TEST

static void put_file(const char *folder, const char *name, const char *text)
{
    char path[512];

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(text, f), 0);
    fclose(f);
}

START_TEST(folders_are_read)
{
    char folder[] = "/tmp/lwm2m-xml-XXXXXX", path[512];
    static const char *const names[] = {"a.xml", "b.xml", "c.txt", ".d.xml"};
    size_t count = 99;
    struct dr_errinfo err = {.line = 0};

    ck_assert_ptr_nonnull(mkdtemp(folder));
    put_file(folder, names[0], XML(OBJ("42000", ITEM("1", "Float"))));
    put_file(folder, names[2], "no XML");
    put_file(folder, names[3], "no XML");
    ck_assert_int_eq(lwm2m_models_load_folder(models, folder, &count, &err), DR_OK);
    ck_assert_uint_eq(count, 1);
    put_file(folder, names[0], XML(OBJ("42005", "")));
    put_file(folder, names[1], "\n<LWM2M>\n<");
    ck_assert_int_eq(lwm2m_models_load_folder(models, folder, &count, &err), DR_ERR_PROTO);
    ck_assert_int_eq(err.line, 3);
    ck_assert_ptr_nonnull(strstr(err.field, "b.xml"));
    for (size_t i = 0; i < DR_ARRAY_LEN(names); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        (void)unlink(path);
    }
    ck_assert_int_eq(lwm2m_models_load_folder(models, folder, &count, &err), DR_OK);
    ck_assert_uint_eq(count, 0);
    ck_assert_int_eq(rmdir(folder), 0);
    ck_assert_int_eq(lwm2m_models_load_folder(models, folder, &count, &err), DR_ERR_IO);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("lwm2m models");
    TCase *t = tcase_create("table");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, versions_are_chosen, 0, (int)DR_ARRAY_LEN(lookups));
    tcase_add_test(t, the_table_is_in_order);
    tcase_add_test(t, known_facts);
    tcase_add_test(t, additions_are_copied_and_found);
    tcase_add_test(t, bad_additions_are_refused);
    tcase_add_test(t, additions_have_a_maximum);
    suite_add_tcase(s, t);
    t = tcase_create("checks");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, values_are_checked, 0, (int)DR_ARRAY_LEN(values));
    tcase_add_loop_test(t, operations_are_checked, 0, (int)DR_ARRAY_LEN(opers));
    tcase_add_test(t, pelion_takes_its_manifest_by_execute);
    tcase_add_test(t, type_names);
    suite_add_tcase(s, t);
    t = tcase_create("object files");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, object_files_are_read);
    tcase_add_loop_test(t, bad_files_add_nothing_and_say_where, 0, (int)DR_ARRAY_LEN(bad_xml));
    tcase_add_test(t, a_replaced_object_comes_back_after_a_fault);
    tcase_add_test(t, file_limits_are_reached);
    tcase_add_test(t, folders_are_read);
    suite_add_tcase(s, t);
    return run_suite(s);
}
