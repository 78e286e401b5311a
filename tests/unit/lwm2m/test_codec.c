/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/lwm2m/fixture.h"

#include <math.h>

#include "lwm2m/codec.h"

#define NOW_MS 1700000000000

static struct lwm2m_models *models;
static struct lwm2m_schema schema;

static void setup(void)
{
    ck_assert_int_eq(lwm2m_models_new(&models), DR_OK);
    schema = (struct lwm2m_schema){.models = models, .enabler = LWM2M_VERSION(1, 1)};
}

static void teardown(void)
{
    models = lwm2m_models_free(models);
}

static struct lwm2m_decode_opts opts_of(const char *base, bool typed)
{
    return (struct lwm2m_decode_opts){
        .schema = typed ? &schema : NULL, .base = path_of(base), .now_ms = NOW_MS};
}

/* The device of the vectors: /3/0: 0="ACME", 9=87, 11={0:0}, 13=1700000000, 16="U" */
#define DEVICE_PRINT                                                                               \
    "/3/0/0 string ACME; /3/0/9 integer 87; /3/0/11/0 integer 0; /3/0/13 time 1700000000; "        \
    "/3/0/16 string U"
#define DEVICE_TLV "C4 00 41 43 4D 45  C1 09 57  83 0B 41 00 00  C4 0D 65 53 F1 00  C1 10 55"

static const struct lwm2m_node device[] = {
    {.path = {{3, 0, 0}, 3},
     .value = {.type = LWM2M_TYPE_STRING, .bytes = {(const uint8_t *)"ACME", 4}}},
    {.path = {{3, 0, 9}, 3}, .value = {.type = LWM2M_TYPE_INT, .i = 87}},
    {.path = {{3, 0, 11, 0}, 4}, .value = {.type = LWM2M_TYPE_INT, .i = 0}},
    {.path = {{3, 0, 13}, 3}, .value = {.type = LWM2M_TYPE_TIME, .i = 1700000000}},
    {.path = {{3, 0, 16}, 3},
     .value = {.type = LWM2M_TYPE_STRING, .bytes = {(const uint8_t *)"U", 1}}},
};

/* ---- decode: binary formats ---- */

struct decode_case {
    const char *why;
    uint16_t ct;
    const char *base;
    bool typed;
    const char *in; /* hex */
    dr_err_t err;
    const char *want;
};

static const struct decode_case binary_cases[] = {
    /* spec: LWM2M-1.2-CORE#7.4.5 */
    {"tlv instance", 11542, "/3/0", true, DEVICE_TLV, DR_OK, DEVICE_PRINT},
    {"tlv object", 11542, "/3", true, "08 00 17 " DEVICE_TLV, DR_OK, DEVICE_PRINT},
    {"tlv object without wrapper", 11542, "/3", true, DEVICE_TLV, DR_OK, DEVICE_PRINT},
    {"tlv instance with wrapper", 11542, "/3/0", true, "08 00 17 " DEVICE_TLV, DR_OK, DEVICE_PRINT},
    {"tlv resource with wrapper", 11542, "/3/0/9", true, "08 00 03 C1 09 57", DR_OK,
     "/3/0/9 integer 87"},
    {"tlv pre-IANA number", 1542, "/3/0/9", true, "C1 09 57", DR_OK, "/3/0/9 integer 87"},
    {"tlv guessed for an instance", LWM2M_CT_NONE, "/3/0", true, "C1 09 57", DR_OK,
     "/3/0/9 integer 87"},
    {"tlv other instance", 11542, "/3/0", true, "03 01 C1 09", DR_ERR_PROTO, NULL},
    {"tlv other instance is skipped", 11542, "/1/0", true, "03 01 C1 01 05", DR_OK, ""},
    {"tlv without model", 11542, "/3/0", false, "C1 09 57", DR_OK, "/3/0/9 opaque Vw=="},
    {"tlv unknown resource", 11542, "/3/0", true, "C1 63 57", DR_OK, "/3/0/99 opaque Vw=="},
    {"tlv unknown object", 11542, "/9999/0", true, "C1 00 57", DR_OK, "/9999/0/0 opaque Vw=="},
    {"tlv float32", 11542, "/3303/0", true, "E4 16 44 41 AC 00 00", DR_OK,
     "/3303/0/5700 float 21.5"},
    {"tlv float64", 11542, "/3303/0", true, "E8 16 44 08 3F F1 99 99 99 99 99 9A", DR_OK,
     "/3303/0/5700 float 1.1"},
    {"tlv float of 2 bytes", 11542, "/3303/0", true, "E2 16 44 41 AC", DR_ERR_PROTO, NULL},
    {"tlv 128", 11542, "/3/0", true, "C2 09 00 80", DR_OK, "/3/0/9 integer 128"},
    {"tlv -2", 11542, "/3/0", true, "C1 09 FE", DR_OK, "/3/0/9 integer -2"},
    {"tlv -2 in 4 bytes", 11542, "/3/0", true, "C4 09 FF FF FF FE", DR_OK, "/3/0/9 integer -2"},
    {"tlv -2 in 8 bytes", 11542, "/3/0", true, "C8 09 08 FF FF FF FF FF FF FF FE", DR_OK,
     "/3/0/9 integer -2"},
    {"tlv integer of 3 bytes", 11542, "/3/0", true, "C3 09 00 00 57", DR_ERR_PROTO, NULL},
    {"tlv integer of 0 bytes", 11542, "/3/0", true, "C0 09", DR_ERR_PROTO, NULL},
    {"tlv unsigned", 11542, "/1/0", true, "C1 11 FF", DR_OK, "/1/0/17 unsigned 255"},
    {"tlv wide header", 11542, "/3/0", true, "F8 00 09 00 00 01 57", DR_OK, "/3/0/9 integer 87"},
    {"tlv length bits ignored", 11542, "/3/0", true, "CF 09 01 57", DR_OK, "/3/0/9 integer 87"},
    {"tlv objlnk", 11542, "/3/0", true, "84 16 44 00 00 42 00 01", DR_ERR_PROTO, NULL},
    {"tlv objlnks", 11542, "/3/0", true, "86 16 44 00 00 42 00 01", DR_OK, "/3/0/22/0 objlnk 66:1"},
    {"tlv null objlnk", 11542, "/3/0", true, "86 16 44 00 FF FF FF FF", DR_OK,
     "/3/0/22/0 objlnk 65535:65535"},
    {"tlv short objlnk", 11542, "/3/0", true, "84 16 42 00 00 42", DR_ERR_PROTO, NULL},
    {"tlv boolean", 11542, "/1/0", true, "C1 06 01", DR_OK, "/1/0/6 boolean 1"},
    {"tlv boolean 2", 11542, "/1/0", true, "C1 06 02", DR_ERR_PROTO, NULL},
    {"tlv boolean of 2 bytes", 11542, "/1/0", true, "C2 06 00 01", DR_ERR_PROTO, NULL},
    {"tlv empty string", 11542, "/3/0", true, "C0 01", DR_OK, "/3/0/1 string "},
    {"tlv string that is none", 11542, "/3/0", true, "C1 01 FF", DR_OK, "/3/0/1 opaque /w=="},
    {"tlv empty multiple", 11542, "/3/0", true, "80 0B", DR_OK, ""},
    {"tlv empty instance", 11542, "/3", true, "00 02", DR_OK, ""},
    {"tlv empty payload", 11542, "/3", true, "", DR_OK, ""},
    {"tlv bare resource instances", 11542, "/3/0/11", true, "41 00 05 41 01 06", DR_OK,
     "/3/0/11/0 integer 5; /3/0/11/1 integer 6"},
    {"tlv bare resource instance", 11542, "/3/0/11/1", true, "41 01 06", DR_OK,
     "/3/0/11/1 integer 6"},
    {"tlv wrapped resource instance", 11542, "/3/0/11/1", true, "86 0B 41 00 05 41 01 06", DR_OK,
     "/3/0/11/1 integer 6"},
    {"tlv two instances", 11542, "/1", true, "03 00 C1 01 05 03 01 C1 01 06", DR_OK,
     "/1/0/1 integer 5; /1/1/1 integer 6"},
    {"tlv resource instance without resource", 11542, "/3/0", true, "41 00 05", DR_ERR_PROTO, NULL},
    {"tlv instance in instance", 11542, "/3", true, "05 00 03 00 C1 09 57", DR_ERR_PROTO, NULL},
    {"tlv resource in multiple", 11542, "/3/0", true, "83 0B C1 00 00", DR_ERR_PROTO, NULL},
    {"tlv cut id", 11542, "/3/0", true, "C1", DR_ERR_PROTO, NULL},
    {"tlv cut wide id", 11542, "/3/0", true, "E1 16", DR_ERR_PROTO, NULL},
    {"tlv cut length", 11542, "/3/0", true, "D0 09 00", DR_ERR_PROTO, NULL},
    {"tlv cut value", 11542, "/3/0", true, "C2 09 57", DR_ERR_PROTO, NULL},
    {"tlv reserved id", 11542, "/3/0", true, "E1 FF FF 57", DR_ERR_PROTO, NULL},
    {"tlv for the root", 11542, "/", true, "C1 09 57", DR_ERR_UNSUPPORTED, NULL},

    /* spec: RFC8428#6 */
    {"senml cbor", 112, "/3/0", true,
     "83 A3 21 65 2F 33 2F 30 2F 00 61 30 03 64 41 43 4D 45 A2 00 61 39 02 18 57 A2 00 64 31 31 2F "
     "30 02 00",
     DR_OK, "/3/0/0 string ACME; /3/0/9 integer 87; /3/0/11/0 integer 0"},
    {"senml cbor times", 112, "/3303/0/5700", true,
     "82 A4 21 6C 2F 33 33 30 33 2F 30 2F 35 37 30 30 22 1A 65 53 F1 00 06 38 3B 02 FA 41 AC 00 00 "
     "A2 06 00 02 FA 41 B0 00 00",
     DR_OK, "/3303/0/5700 float 21.5 @1699999940000; /3303/0/5700 float 22 @1700000000000"},
    {"senml cbor paths", 112, "/", true, "82 A1 00 66 2F 33 2F 30 2F 30 A1 00 66 2F 31 2F 30 2F 31",
     DR_OK, "/3/0/0 none; /1/0/1 none"},
    {"etch cbor paths", 322, "/", true, "81 A1 00 62 2F 33", DR_OK, "/3 none"},
    {"senml cbor indefinite", 112, "/", true,
     "9F BF 21 7F 62 2F 33 63 2F 30 2F FF 00 61 30 03 7F 62 41 43 62 4D 45 FF FF FF", DR_OK,
     "/3/0/0 string ACME"},
    {"senml cbor indefinite bytes", 112, "/", true,
     "81 A2 00 66 2F 35 2F 30 2F 30 08 5F 41 01 41 02 FF", DR_OK, "/5/0/0 opaque AQI="},
    {"senml cbor half float", 112, "/", true,
     "81 A2 00 6C 2F 33 33 30 33 2F 30 2F 35 37 30 30 02 F9 4D 60", DR_OK,
     "/3303/0/5700 float 21.5"},
    {"senml cbor decimal fraction", 112, "/", true,
     "81 A2 00 6C 2F 33 33 30 33 2F 30 2F 35 37 30 30 02 C4 82 20 18 D7", DR_OK,
     "/3303/0/5700 float 21.5"},
    {"senml cbor integer as float", 112, "/", true,
     "81 A2 00 66 2F 33 2F 30 2F 39 02 FA 42 AE 00 00", DR_OK, "/3/0/9 integer 87"},
    {"senml cbor objlnk", 112, "/", true,
     "81 A2 00 69 2F 33 2F 30 2F 32 32 2F 30 63 76 6C 6F 64 36 36 3A 31", DR_OK,
     "/3/0/22/0 objlnk 66:1"},
    {"senml cbor objlnk null", 112, "/", false,
     "81 A2 00 69 2F 33 2F 30 2F 32 32 2F 30 63 76 6C 6F 69 46 46 46 46 3A 46 46 46 46", DR_OK,
     "/3/0/22/0 objlnk 65535:65535"},
    {"senml cbor null value", 322, "/", true, "81 A2 00 68 2F 33 2F 30 2F 31 31 2F 02 F6", DR_OK,
     "/3/0/11 none"},
    {"senml cbor boolean", 112, "/", true, "81 A2 00 66 2F 31 2F 30 2F 36 04 F5", DR_OK,
     "/1/0/6 boolean 1"},
    {"senml cbor unknown label", 112, "/", true,
     "81 A3 00 66 2F 33 2F 30 2F 39 18 63 82 01 02 02 18 57", DR_OK, "/3/0/9 integer 87"},
    {"senml cbor unit and sum", 112, "/", true,
     "81 A4 00 66 2F 33 2F 30 2F 39 01 61 25 05 01 02 18 57", DR_OK, "/3/0/9 integer 87"},
    {"senml cbor must-understand", 112, "/", true,
     "81 A3 00 66 2F 33 2F 30 2F 39 62 78 5F 01 02 18 57", DR_ERR_PROTO, NULL},
    {"senml cbor no slash", 112, "/", true, "81 A2 00 65 33 2F 30 2F 39 02 18 57", DR_OK,
     "/3/0/9 integer 87"},
    {"senml cbor joined wrongly", 112, "/", true, "81 A3 21 64 2F 33 2F 30 00 62 30 39 02 18 57",
     DR_ERR_PROTO, NULL},
    {"senml cbor two values", 112, "/", true, "81 A3 00 66 2F 33 2F 30 2F 39 02 01 03 61 41",
     DR_ERR_PROTO, NULL},
    {"senml cbor two names", 112, "/", true, "81 A3 00 62 2F 33 00 62 2F 33 02 01", DR_ERR_PROTO,
     NULL},
    {"senml cbor string as number", 112, "/", true, "81 A2 00 66 2F 33 2F 30 2F 39 02 61 31",
     DR_ERR_PROTO, NULL},
    {"senml cbor version", 112, "/", true, "81 A3 20 0B 00 66 2F 33 2F 30 2F 39 02 01",
     DR_ERR_PROTO, NULL},
    {"senml cbor not an array", 112, "/", true, "A1 00 61 31", DR_ERR_PROTO, NULL},
    {"senml cbor not maps", 112, "/", true, "81 01", DR_ERR_PROTO, NULL},
    {"senml cbor cut", 112, "/", true, "82 A2 00 66 2F 33 2F 30 2F 39 02 18 57", DR_ERR_PROTO,
     NULL},
    {"senml cbor bytes behind", 112, "/", true, "80 00", DR_ERR_PROTO, NULL},
    {"senml cbor infinite time", 112, "/", true, "81 A3 00 66 2F 33 2F 30 2F 39 06 F9 7C 00 02 01",
     DR_ERR_PROTO, NULL},
    {"senml cbor base value", 112, "/", true,
     "82 A3 24 05 00 66 2F 33 2F 30 2F 39 02 01 A2 00 66 2F 33 2F 30 2F 39 02 02", DR_OK,
     "/3/0/9 integer 6; /3/0/9 integer 7"},
    {"senml cbor nested too deep", 112, "/", true,
     "81 A1 18 63 81 81 81 81 81 81 81 81 81 81 81 81 81 81 81 81 81 81 01", DR_ERR_TOO_LARGE,
     NULL},

    /* spec: LWM2M-1.2-CORE#7.4.7 */
    {"lwm2m cbor", 11544, "/3/0", true, "A1 82 03 00 A3 00 64 41 43 4D 45 09 18 57 0B A1 00 00",
     DR_OK, "/3/0/0 string ACME; /3/0/9 integer 87; /3/0/11/0 integer 0"},
    {"lwm2m cbor nested", 11544, "/3/0", true, "A1 03 A1 00 A1 00 64 41 43 4D 45", DR_OK,
     "/3/0/0 string ACME"},
    {"lwm2m cbor flat", 11544, "/", true, "A2 82 03 00 A1 09 18 57 83 01 00 01 1A 00 01 51 80",
     DR_OK, "/3/0/9 integer 87; /1/0/1 integer 86400"},
    {"lwm2m cbor indefinite", 11544, "/", true, "BF 9F 03 00 FF BF 09 18 57 FF FF", DR_OK,
     "/3/0/9 integer 87"},
    {"lwm2m cbor time from the model", 11544, "/", true, "A1 83 03 00 0D 1A 65 53 F1 00", DR_OK,
     "/3/0/13 time 1700000000"},
    {"lwm2m cbor link from the model", 11544, "/", true, "A1 84 03 00 16 00 64 36 36 3A 31", DR_OK,
     "/3/0/22/0 objlnk 66:1"},
    {"lwm2m cbor without model", 11544, "/", false, "A1 84 03 00 16 00 64 36 36 3A 31", DR_OK,
     "/3/0/22/0 string 66:1"},
    {"lwm2m cbor paths", 11544, "/", true, "A2 83 03 00 00 F6 01 F6", DR_OK,
     "/3/0/0 none; /1 none"},
    {"lwm2m cbor empty", 11544, "/", true, "A0", DR_OK, ""},
    {"lwm2m cbor value too high", 11544, "/", true, "A1 82 03 00 05", DR_ERR_PROTO, NULL},
    {"lwm2m cbor too deep", 11544, "/", true, "A1 84 03 00 0B 00 A1 00 00", DR_ERR_PROTO, NULL},
    {"lwm2m cbor five ids", 11544, "/", true, "A1 85 03 00 0B 00 00 00", DR_ERR_PROTO, NULL},
    {"lwm2m cbor no ids", 11544, "/", true, "A1 80 00", DR_ERR_PROTO, NULL},
    {"lwm2m cbor big id", 11544, "/", true, "A1 19 FF FF A0", DR_ERR_PROTO, NULL},
    {"lwm2m cbor text key", 11544, "/", true, "A1 61 33 A0", DR_ERR_PROTO, NULL},
    {"lwm2m cbor negative key", 11544, "/", true, "A1 20 A0", DR_ERR_PROTO, NULL},
    {"lwm2m cbor bytes behind", 11544, "/", true, "A0 00", DR_ERR_PROTO, NULL},
    {"lwm2m cbor scalar", 11544, "/", true, "05", DR_ERR_PROTO, NULL},

    /* application/cbor */
    {"cbor int", 60, "/3/0/9", true, "18 57", DR_OK, "/3/0/9 integer 87"},
    {"cbor true", 60, "/1/0/6", true, "F5", DR_OK, "/1/0/6 boolean 1"},
    {"cbor text", 60, "/3/0/16", true, "61 55", DR_OK, "/3/0/16 string U"},
    {"cbor objlnk", 60, "/3/0/22/0", true, "64 36 36 3A 31", DR_OK, "/3/0/22/0 objlnk 66:1"},
    {"cbor opaque", 60, "/5/0/0", true, "42 01 02", DR_OK, "/5/0/0 opaque AQI="},
    {"cbor time", 60, "/3/0/13", true, "1A 65 53 F1 00", DR_OK, "/3/0/13 time 1700000000"},
    {"cbor tagged time", 60, "/3/0/13", false, "C1 1A 65 53 F1 00", DR_OK,
     "/3/0/13 time 1700000000"},
    {"cbor tagged date", 60, "/3/0/13", false,
     "C0 74 32 30 32 33 2D 31 31 2D 31 34 54 32 32 3A 31 33 3A 32 30 5A", DR_OK,
     "/3/0/13 time 1700000000"},
    {"cbor tagged bad date", 60, "/3/0/13", false,
     "C0 74 32 30 32 33 2D 31 33 2D 31 34 54 32 32 3A 31 33 3A 32 30 5A", DR_ERR_PROTO, NULL},
    {"cbor float", 60, "/3303/0/5700", true, "FA 41 AC 00 00", DR_OK, "/3303/0/5700 float 21.5"},
    {"cbor big unsigned", 60, "/9999/0/1", false, "1B FF FF FF FF FF FF FF FF", DR_OK,
     "/9999/0/1 unsigned 18446744073709551615"},
    {"cbor too negative", 60, "/9999/0/1", false, "3B FF FF FF FF FF FF FF FF", DR_ERR_RANGE, NULL},
    {"cbor huge fraction", 60, "/9999/0/1", false, "C4 82 1A 7F FF FF FF 01", DR_ERR_RANGE, NULL},
    {"cbor unknown tag", 60, "/9999/0/1", false, "D8 20 61 78", DR_ERR_PROTO, NULL},
    {"cbor array", 60, "/9999/0/1", false, "81 01", DR_ERR_PROTO, NULL},
    {"cbor bytes behind", 60, "/3/0/9", true, "18 57 00", DR_ERR_PROTO, NULL},
    {"cbor for an instance", 60, "/3/0", true, "18 57", DR_ERR_UNSUPPORTED, NULL},

    {"opaque", 42, "/5/0/0", true, "01 02", DR_OK, "/5/0/0 opaque AQI="},
    {"opaque of a string", 42, "/3/0/0", true, "41", DR_OK, "/3/0/0 string A"},
    {"opaque of an instance", 42, "/3/0", true, "41", DR_ERR_UNSUPPORTED, NULL},
    {"unknown format", 41, "/3/0/0", true, "41", DR_ERR_UNSUPPORTED, NULL},
};

START_TEST(binary_payloads_are_decoded)
{
    const struct decode_case *c = &binary_cases[_i];
    struct lwm2m_decode_opts opts = opts_of(c->base, c->typed);
    uint8_t in[HEX_MAX];

    expect_decode(c->why, c->ct, &opts, in, hex(c->in, in), c->err, c->want);
}
END_TEST

/* ---- decode: text formats ---- */

static const struct decode_case text_cases[] = {
    {"text int", 0, "/3/0/9", true, "87", DR_OK, "/3/0/9 integer 87"},
    {"text guessed", LWM2M_CT_NONE, "/3/0/9", true, "87", DR_OK, "/3/0/9 integer 87"},
    {"text nothing guessed", LWM2M_CT_NONE, "/3/0/9", true, "", DR_OK, ""},
    {"text without model", 0, "/3/0/9", false, "87", DR_OK, "/3/0/9 string 87"},
    {"text of another type", 0, "/3/0/9", true, "n/a", DR_OK, "/3/0/9 string n/a"},
    {"text empty", 0, "/3/0/0", true, "", DR_OK, "/3/0/0 string "},
    {"text boolean", 0, "/1/0/6", true, "1", DR_OK, "/1/0/6 boolean 1"},
    {"text float", 0, "/3303/0/5700", true, "21.5", DR_OK, "/3303/0/5700 float 21.5"},
    {"text time", 0, "/3/0/13", true, "1700000000", DR_OK, "/3/0/13 time 1700000000"},
    {"text opaque", 0, "/5/0/0", true, "AQI=", DR_OK, "/5/0/0 opaque AQI="},
    {"text opaque that is none", 0, "/5/0/0", true, "a b", DR_OK, "/5/0/0 string a b"},
    {"text objlnk", 0, "/3/0/22/0", true, "66:1", DR_OK, "/3/0/22/0 objlnk 66:1"},
    {"text of an instance", 0, "/3/0", true, "x", DR_ERR_UNSUPPORTED, NULL},
    {"text not UTF-8", 0, "/3/0/0", true, "\xff", DR_OK, "/3/0/0 opaque /w=="},
    {"links", 40, "/3", true, "</3>;pmin=10,</3/0>,</3/0/1>;dim=2", DR_OK,
     "/3 none; /3/0 none; /3/0/1 none"},

    /* spec: RFC8428#5 */
    {"senml json", 110, "/3/0", true,
     "[{\"bn\":\"/3/0/\",\"n\":\"0\",\"vs\":\"ACME\"},{\"n\":\"9\",\"v\":87},{\"n\":\"11/"
     "0\",\"v\":0}]",
     DR_OK, "/3/0/0 string ACME; /3/0/9 integer 87; /3/0/11/0 integer 0"},
    {"senml json base name alone", 110, "/3/0/9", true, "[{\"bn\":\"/3/0/9\",\"v\":87}]", DR_OK,
     "/3/0/9 integer 87"},
    {"senml json base name without slash", 110, "/3/0/9", true,
     "[{\"bn\":\"3/0/\",\"n\":\"9\",\"v\":87}]", DR_OK, "/3/0/9 integer 87"},
    {"senml json base name changes", 110, "/", true,
     "[{\"bn\":\"/3/0/\",\"n\":\"9\",\"v\":1},{\"bn\":\"/1/0/"
     "\",\"n\":\"1\",\"v\":2},{\"n\":\"2\",\"v\":3}]",
     DR_OK, "/3/0/9 integer 1; /1/0/1 integer 2; /1/0/2 integer 3"},
    {"senml json relative time", 110, "/", true,
     "[{\"n\":\"/3/0/9\",\"v\":1,\"t\":-5},{\"n\":\"/3/0/9\",\"v\":2}]", DR_OK,
     "/3/0/9 integer 1 @1699999995000; /3/0/9 integer 2"},
    {"senml json base time", 110, "/", true,
     "[{\"bt\":1700000000.5,\"n\":\"/3/0/9\",\"v\":1},{\"n\":\"/3/0/9\",\"v\":2,\"t\":1}]", DR_OK,
     "/3/0/9 integer 1 @1700000000500; /3/0/9 integer 2 @1700000001500"},
    {"senml json opaque", 110, "/", true, "[{\"n\":\"/5/0/0\",\"vd\":\"-_8\"}]", DR_OK,
     "/5/0/0 opaque +/8="},
    {"senml json opaque padded", 110, "/", true, "[{\"n\":\"/5/0/0\",\"vd\":\"AQI=\"}]", DR_OK,
     "/5/0/0 opaque AQI="},
    {"senml json bad opaque", 110, "/", true, "[{\"n\":\"/5/0/0\",\"vd\":\"*\"}]", DR_ERR_PROTO,
     NULL},
    {"senml json objlnk", 110, "/", true, "[{\"n\":\"/3/0/22/0\",\"vlo\":\"66:1\"}]", DR_OK,
     "/3/0/22/0 objlnk 66:1"},
    {"senml json boolean", 110, "/", true, "[{\"n\":\"/1/0/6\",\"vb\":false}]", DR_OK,
     "/1/0/6 boolean 0"},
    {"senml json big number", 110, "/", false, "[{\"n\":\"/1/0/6\",\"v\":18446744073709551615}]",
     DR_OK, "/1/0/6 float 1.8446744073709552e+19"},
    {"senml json paths", 320, "/", true, "[{\"n\":\"/3/0/0\"},{\"n\":\"/1\"}]", DR_OK,
     "/3/0/0 none; /1 none"},
    {"senml json null", 320, "/", true, "[{\"n\":\"/3/0/11/1\",\"v\":null}]", DR_OK,
     "/3/0/11/1 none"},
    {"senml json root path", 110, "/", true, "[{\"n\":\"/\"}]", DR_OK, "/ none"},
    {"senml json unknown field", 110, "/", true, "[{\"n\":\"/3/0/9\",\"v\":1,\"x\":[{}]}]", DR_OK,
     "/3/0/9 integer 1"},
    {"senml json must-understand", 110, "/", true, "[{\"n\":\"/3/0/9\",\"v\":1,\"x_\":1}]",
     DR_ERR_PROTO, NULL},
    {"senml json doubled key", 110, "/", true, "[{\"n\":\"/3/0/9\",\"v\":1,\"v\":2}]", DR_ERR_PROTO,
     NULL},
    {"senml json two values", 110, "/", true, "[{\"n\":\"/3/0/9\",\"v\":1,\"vs\":\"a\"}]",
     DR_ERR_PROTO, NULL},
    {"senml json wrong kind", 110, "/", true, "[{\"n\":\"/3/0/9\",\"v\":\"1\"}]", DR_ERR_PROTO,
     NULL},
    {"senml json name missing slash", 110, "/", true, "[{\"bn\":\"/3/0\",\"n\":\"09\",\"v\":1}]",
     DR_ERR_PROTO, NULL},
    {"senml json not a path", 110, "/", true, "[{\"n\":\"/a/b\",\"v\":1}]", DR_ERR_PROTO, NULL},
    {"senml json too deep path", 110, "/", true, "[{\"n\":\"/1/2/3/4/5\",\"v\":1}]", DR_ERR_PROTO,
     NULL},
    {"senml json object", 110, "/", true, "{\"n\":\"/3\"}", DR_ERR_PROTO, NULL},
    {"senml json number inside", 110, "/", true, "[1]", DR_ERR_PROTO, NULL},
    {"senml json broken", 110, "/", true, "[{\"n\":", DR_ERR_PROTO, NULL},
    {"senml json huge time", 110, "/", true, "[{\"n\":\"/3/0/9\",\"v\":1,\"t\":1e300}]",
     DR_ERR_PROTO, NULL},
    {"senml json version", 110, "/", true, "[{\"bver\":11,\"n\":\"/3/0/9\",\"v\":1}]", DR_ERR_PROTO,
     NULL},

    {"old json", 11543, "/3/0", true,
     "{\"bn\":\"/3/0/\",\"e\":[{\"n\":\"0\",\"sv\":\"ACME\"},{\"n\":\"9\",\"v\":87}]}", DR_OK,
     "/3/0/0 string ACME; /3/0/9 integer 87"},
    {"old json without base name", 11543, "/3/0", true, "{\"e\":[{\"n\":\"9\",\"v\":87}]}", DR_OK,
     "/3/0/9 integer 87"},
    {"old json single", 11543, "/3/0/9", true, "{\"e\":[{\"n\":\"\",\"v\":87}]}", DR_OK,
     "/3/0/9 integer 87"},
    {"old json bare array", 11543, "/3/0", true, "[{\"n\":\"9\",\"v\":87}]", DR_OK,
     "/3/0/9 integer 87"},
    {"old json missing slash", 1543, "/3/0", true,
     "{\"bn\":\"/3/0\",\"e\":[{\"n\":\"9\",\"v\":87}]}", DR_OK, "/3/0/9 integer 87"},
    {"old json types", 11543, "/", true,
     "{\"e\":[{\"n\":\"/1/0/6\",\"bv\":true},{\"n\":\"/3/0/22/0\",\"ov\":\"66:1\"},{\"n\":\"/5/0/"
     "0\",\"sv\":\"AQI=\"}]}",
     DR_OK, "/1/0/6 boolean 1; /3/0/22/0 objlnk 66:1; /5/0/0 opaque AQI="},
    {"old json times", 11543, "/3/0/9", true,
     "{\"bn\":\"/3/0/9\",\"bt\":1700000000,\"e\":[{\"v\":1,\"t\":-5},{\"v\":2,\"t\":0}]}", DR_OK,
     "/3/0/9 integer 1 @1699999995000; /3/0/9 integer 2 @1700000000000"},
    {"old json two values", 11543, "/3/0/9", true, "{\"e\":[{\"v\":1,\"sv\":\"\"}]}", DR_ERR_PROTO,
     NULL},
    {"old json wrong kind", 11543, "/3/0/9", true, "{\"e\":[{\"bv\":1}]}", DR_ERR_PROTO, NULL},
    {"old json bad link", 11543, "/3/0/9", true, "{\"e\":[{\"ov\":\"x\"}]}", DR_ERR_PROTO, NULL},
    {"old json no entries", 11543, "/3/0/9", true, "{\"bn\":\"/3\"}", DR_ERR_PROTO, NULL},
    {"old json entry no object", 11543, "/3/0/9", true, "{\"e\":[3]}", DR_ERR_PROTO, NULL},
};

START_TEST(text_payloads_are_decoded)
{
    const struct decode_case *c = &text_cases[_i];
    struct lwm2m_decode_opts opts = opts_of(c->base, c->typed);

    expect_decode(c->why, c->ct, &opts, c->in, strlen(c->in), c->err, c->want);
}
END_TEST

START_TEST(alternate_paths_are_taken_off)
{
    struct lwm2m_decode_opts opts = opts_of("/", true);
    static const char text[] = "[{\"n\":\"/lwm2m/3/0/9\",\"v\":1},{\"n\":\"/3/0/9\",\"v\":2}]";

    opts.prefix = str("/lwm2m");
    expect_decode("prefix", 110, &opts, text, strlen(text), DR_OK,
                  "/3/0/9 integer 1; /3/0/9 integer 2");
    opts.prefix = str("/lw");
    expect_decode("other prefix", 110, &opts, text, strlen(text), DR_ERR_PROTO, NULL);
}
END_TEST

START_TEST(versions_of_the_device_count)
{
    struct lwm2m_links links;
    static const char list[] = "</3303>;ver=1.1,</3303/0>";
    struct lwm2m_decode_opts opts = opts_of("/3303/0", true);
    uint8_t in[HEX_MAX];

    /* resource 5518 (time) came with 1.1 */
    size_t len = hex("E4 15 8E 65 53 F1 00", in);
    expect_decode("1.0", 11542, &opts, in, len, DR_OK, "/3303/0/5518 opaque ZVPxAA==");
    ck_assert_int_eq(lwm2m_links_parse(list, strlen(list), 0, &links), DR_OK);
    schema.links = &links;
    expect_decode("1.1", 11542, &opts, in, len, DR_OK, "/3303/0/5518 time 1700000000");
    lwm2m_links_fini(&links);
}
END_TEST

START_TEST(relative_bodies_of_lwm2m_cbor)
{
    struct lwm2m_decode_opts opts = opts_of("/3/0", true);
    uint8_t in[HEX_MAX];

    opts.relative = true;
    expect_decode("map", 11544, &opts, in, hex("A1 09 18 57", in), DR_OK, "/3/0/9 integer 87");
    opts.base = path_of("/3/0/9");
    expect_decode("value", 11544, &opts, in, hex("18 57", in), DR_OK, "/3/0/9 integer 87");
}
END_TEST

static dr_err_t stop_at_third(void *arg, const struct lwm2m_node *node)
{
    int *count = arg;

    (void)node;
    return ++*count == 3 ? DR_ERR_BUSY : DR_OK;
}

START_TEST(an_error_of_the_sink_ends_it)
{
    struct lwm2m_decode_opts opts = opts_of("/3/0", true);
    uint8_t in[HEX_MAX];
    int count = 0;
    size_t len = hex(DEVICE_TLV, in);

    ck_assert_int_eq(
        lwm2m_decode(11542, &opts, in, len, (struct lwm2m_sink){stop_at_third, &count}),
        DR_ERR_BUSY);
    ck_assert_int_eq(count, 3);
}
END_TEST

START_TEST(a_list_is_as_before_after_an_error)
{
    struct lwm2m_decode_opts opts = opts_of("/3/0", true);
    struct lwm2m_nodes nodes;
    uint8_t in[HEX_MAX];
    size_t len = hex("C1 09 57", in);

    lwm2m_nodes_init(&nodes, 0, 0);
    ck_assert_int_eq(lwm2m_decode_nodes(11542, &opts, in, len, &nodes), DR_OK);
    len = hex("C1 09 58 C4 00 41 43 4D 45 C3 09", in);
    ck_assert_int_eq(lwm2m_decode_nodes(11542, &opts, in, len, &nodes), DR_ERR_PROTO);
    ck_assert_uint_eq(nodes.count, 1);
    ck_assert_int_eq(nodes.items[0].value.i, 87);
    lwm2m_nodes_fini(&nodes);
}
END_TEST

static dr_err_t ignore(void *arg, const struct lwm2m_node *node)
{
    (void)node;
    ++*(size_t *)arg;
    return DR_OK;
}

START_TEST(payloads_have_maxima)
{
    struct lwm2m_decode_opts opts = opts_of("/3/0", true);
    size_t count = 0, len = LWM2M_JSON_BYTES_MAX + 1;
    char *text = malloc(len);

    ck_assert_ptr_nonnull(text);
    memset(text, ' ', len);
    memcpy(text, "[]", 2);
    struct lwm2m_sink sink = {ignore, &count};
    ck_assert_int_eq(lwm2m_decode(110, &opts, text, len, sink), DR_ERR_TOO_LARGE);
    ck_assert_int_eq(lwm2m_decode(110, &opts, text, len - 1, sink), DR_OK);
    free(text);
    /* 65537 empty resources */
    uint8_t *tlv = malloc(2 * (LWM2M_DECODE_NODES_MAX + 1));
    ck_assert_ptr_nonnull(tlv);
    for (size_t i = 0; i <= LWM2M_DECODE_NODES_MAX; i++) {
        tlv[2 * i] = 0xc0;
        tlv[2 * i + 1] = 0;
    }
    ck_assert_int_eq(lwm2m_decode(11542, &opts, tlv, 2 * LWM2M_DECODE_NODES_MAX, sink), DR_OK);
    ck_assert_uint_eq(count, LWM2M_DECODE_NODES_MAX);
    ck_assert_int_eq(lwm2m_decode(11542, &opts, tlv, 2 * (LWM2M_DECODE_NODES_MAX + 1), sink),
                     DR_ERR_LIMIT);
    free(tlv);
}
END_TEST

/* ---- encode ---- */

static const struct {
    const char *why;
    uint16_t ct;
    const char *base;
    size_t from, count; /* of device[] */
    const char *want;   /* hex, or text for text formats */
    bool is_text;
} encode_cases[] = {
    {"tlv instance", 11542, "/3/0", 0, 5, DEVICE_TLV, false},
    {"tlv object", 11542, "/3", 0, 5, "08 00 17 " DEVICE_TLV, false},
    {"tlv resource", 11542, "/3/0/9", 1, 1, "C1 09 57", false},
    {"tlv multiple resource", 11542, "/3/0/11", 2, 1, "83 0B 41 00 00", false},
    {"tlv resource instance", 11542, "/3/0/11/0", 2, 1, "41 00 00", false},
    {"tlv nothing", 11542, "/3", 0, 0, "", false},
    {"senml cbor", 112, "/3/0", 0, 3,
     "83 A3 21 65 2F 33 2F 30 2F 00 61 30 03 64 41 43 4D 45 A2 00 61 39 02 18 57 A2 00 64 31 31 2F "
     "30 02 00",
     false},
    {"senml cbor single", 112, "/3/0/9", 1, 1, "81 A2 21 66 2F 33 2F 30 2F 39 02 18 57", false},
    {"senml cbor composite", 112, "/", 1, 1, "81 A2 00 66 2F 33 2F 30 2F 39 02 18 57", false},
    {"senml cbor nothing", 112, "/3", 0, 0, "80", false},
    {"lwm2m cbor", 11544, "/", 0, 3, "A1 82 03 00 A3 00 64 41 43 4D 45 09 18 57 0B A1 00 00",
     false},
    {"lwm2m cbor relative", 11544, "/3/0", 0, 3, "A3 00 64 41 43 4D 45 09 18 57 0B A1 00 00",
     false},
    {"lwm2m cbor value", 11544, "/3/0/9", 1, 1, "18 57", false},
    {"cbor", 60, "/3/0/9", 1, 1, "18 57", false},
    {"cbor text", 60, "/3/0/16", 4, 1, "61 55", false},
    {"cbor time", 60, "/3/0/13", 3, 1, "1A 65 53 F1 00", false},
    {"text", 0, "/3/0/9", 1, 1, "87", true},
    {"text string", 0, "/3/0/0", 0, 1, "ACME", true},
    {"opaque", 42, "/3/0/0", 0, 1, "ACME", true},
    {"senml json", 110, "/3/0", 0, 3,
     "[{\"bn\":\"/3/0/\",\"n\":\"0\",\"vs\":\"ACME\"},{\"n\":\"9\",\"v\":87},{\"n\":\"11/"
     "0\",\"v\":0}]",
     true},
    {"senml json single", 110, "/3/0/9", 1, 1, "[{\"bn\":\"/3/0/9\",\"v\":87}]", true},
    {"senml json nothing", 110, "/3", 0, 0, "[]", true},
};

START_TEST(the_device_is_encoded)
{
    uint8_t want[HEX_MAX];
    size_t len = strlen(encode_cases[_i].want);

    if (encode_cases[_i].is_text) {
        memcpy(want, encode_cases[_i].want, len);
    } else {
        len = hex(encode_cases[_i].want, want);
    }
    expect_encode(encode_cases[_i].why, encode_cases[_i].ct, encode_cases[_i].base,
                  device + encode_cases[_i].from, encode_cases[_i].count, want, len);
}
END_TEST

static const struct {
    const char *why;
    uint16_t ct;
    struct lwm2m_value value;
    const char *want; /* hex of resource /42000/0/3 */
} value_cases[] = {
    {"tlv objlnk", 11542, {.type = LWM2M_TYPE_OBJLNK, .objlnk = {66, 1}}, "C4 03 00 42 00 01"},
    {"tlv 127", 11542, {.type = LWM2M_TYPE_INT, .i = 127}, "C1 03 7F"},
    {"tlv 128", 11542, {.type = LWM2M_TYPE_INT, .i = 128}, "C2 03 00 80"},
    {"tlv -2", 11542, {.type = LWM2M_TYPE_INT, .i = -2}, "C1 03 FE"},
    {"tlv -129", 11542, {.type = LWM2M_TYPE_INT, .i = -129}, "C2 03 FF 7F"},
    {"tlv 32768", 11542, {.type = LWM2M_TYPE_INT, .i = 32768}, "C4 03 00 00 80 00"},
    {"tlv 2^31",
     11542,
     {.type = LWM2M_TYPE_INT, .i = 2147483648},
     "C8 03 08 00 00 00 00 80 00 00 00"},
    {"tlv unsigned 255", 11542, {.type = LWM2M_TYPE_UINT, .u = 255}, "C1 03 FF"},
    {"tlv unsigned 2^32",
     11542,
     {.type = LWM2M_TYPE_UINT, .u = 4294967296},
     "C8 03 08 00 00 00 01 00 00 00 00"},
    {"tlv float32", 11542, {.type = LWM2M_TYPE_FLOAT, .f = 21.5}, "C4 03 41 AC 00 00"},
    {"tlv float64",
     11542,
     {.type = LWM2M_TYPE_FLOAT, .f = 1.1},
     "C8 03 08 3F F1 99 99 99 99 99 9A"},
    {"tlv bool", 11542, {.type = LWM2M_TYPE_BOOL, .b = true}, "C1 03 01"},
    {"tlv empty string", 11542, {.type = LWM2M_TYPE_STRING}, "C0 03"},
    {"tlv empty multiple", 11542, {.type = LWM2M_TYPE_NONE}, "80 03"},
    {"cbor objlnk", 60, {.type = LWM2M_TYPE_OBJLNK, .objlnk = {66, 1}}, "64 36 36 3A 31"},
    {"cbor bool", 60, {.type = LWM2M_TYPE_BOOL, .b = true}, "F5"},
    {"cbor opaque",
     60,
     {.type = LWM2M_TYPE_OPAQUE, .bytes = {(const uint8_t *)"\1\2", 2}},
     "42 01 02"},
    {"cbor float", 60, {.type = LWM2M_TYPE_FLOAT, .f = 21.5}, "FA 41 AC 00 00"},
    {"cbor double", 60, {.type = LWM2M_TYPE_FLOAT, .f = 1.1}, "FB 3F F1 99 99 99 99 99 9A"},
    {"cbor negative", 60, {.type = LWM2M_TYPE_INT, .i = -500}, "39 01 F3"},
    {"senml cbor objlnk",
     112,
     {.type = LWM2M_TYPE_OBJLNK, .objlnk = {66, 1}},
     "81 A2 21 6A 2F 34 32 30 30 30 2F 30 2F 33 63 76 6C 6F 64 36 36 3A 31"},
    {"senml cbor bool",
     112,
     {.type = LWM2M_TYPE_BOOL, .b = true},
     "81 A2 21 6A 2F 34 32 30 30 30 2F 30 2F 33 04 F5"},
    {"senml cbor opaque",
     112,
     {.type = LWM2M_TYPE_OPAQUE, .bytes = {(const uint8_t *)"\1\2", 2}},
     "81 A2 21 6A 2F 34 32 30 30 30 2F 30 2F 33 08 42 01 02"},
    {"senml cbor no value",
     322,
     {.type = LWM2M_TYPE_NONE},
     "81 A1 21 6A 2F 34 32 30 30 30 2F 30 2F 33"},
};

START_TEST(each_type_is_encoded)
{
    uint8_t want[HEX_MAX];
    struct lwm2m_node node = {.path = LWM2M_PATH(42000, 0, 3), .value = value_cases[_i].value};

    expect_encode(value_cases[_i].why, value_cases[_i].ct, "/42000/0/3", &node, 1, want,
                  hex(value_cases[_i].want, want));
}
END_TEST

START_TEST(wide_ids_and_lengths_of_tlv)
{
    static uint8_t body[70000], want[70010];
    static const struct {
        size_t len;
        const char *head;
    } lens[] = {{7, "C7 00"},      {8, "C8 00 08"},      {20, "C8 00 14"},
                {255, "C8 00 FF"}, {300, "D0 00 01 2C"}, {70000, "D8 00 01 11 70"}};

    for (size_t i = 0; i < DR_ARRAY_LEN(lens); i++) {
        uint8_t head[HEX_MAX];
        size_t n = hex(lens[i].head, head);
        struct lwm2m_node node = {.path = LWM2M_PATH(5, 0, 0),
                                  .value = lwm2m_value_opaque(body, lens[i].len)};
        memcpy(want, head, n);
        memset(want + n, 0, lens[i].len);
        expect_encode(lens[i].head, 11542, "/5/0/0", &node, 1, want, n + lens[i].len);
        struct lwm2m_decode_opts opts = opts_of("/5/0/0", true);
        struct lwm2m_nodes nodes;
        lwm2m_nodes_init(&nodes, 0, 0);
        ck_assert_int_eq(lwm2m_decode_nodes(11542, &opts, want, n + lens[i].len, &nodes), DR_OK);
        ck_assert_uint_eq(nodes.count, 1);
        ck_assert_uint_eq(nodes.items[0].value.bytes.len, lens[i].len);
        lwm2m_nodes_fini(&nodes);
    }
    uint8_t small[HEX_MAX];
    struct lwm2m_node temp = {.path = LWM2M_PATH(3303, 0, 5700), .value = lwm2m_value_float(21.5)};
    expect_encode("wide id", 11542, "/3303/0", &temp, 1, small, hex("E4 16 44 41 AC 00 00", small));
    struct lwm2m_node empty = {.path = LWM2M_PATH(3303, 2)};
    expect_encode("empty instance", 11542, "/3303", &empty, 1, small, hex("00 02", small));
    struct lwm2m_node two[] = {{.path = LWM2M_PATH(1, 0, 1), .value = lwm2m_value_int(5)},
                               {.path = LWM2M_PATH(1, 300, 1), .value = lwm2m_value_int(6)}};
    expect_encode("instances", 11542, "/1", two, 2, small,
                  hex("03 00 C1 01 05 23 01 2C C1 01 06", small));
    expect_encode("instances", 11544, "/", two, 2, small,
                  hex("A1 01 A2 00 A1 01 05 19 01 2C A1 01 06", small));
}
END_TEST

START_TEST(times_are_encoded)
{
    const struct lwm2m_node nodes[] = {
        {.path = LWM2M_PATH(3303, 0, 5700),
         .value = lwm2m_value_float(21.5),
         .timed = true,
         .time_ms = 1699999940000},
        {.path = LWM2M_PATH(3303, 0, 5700),
         .value = lwm2m_value_float(22),
         .timed = true,
         .time_ms = 1700000000250},
        {.path = LWM2M_PATH(3303, 0, 5700), .value = lwm2m_value_float(23)},
    };
    static const char json[] = "[{\"bn\":\"/3303/0/5700\",\"t\":1699999940,\"v\":21.5},"
                               "{\"t\":1700000000.250,\"v\":22},{\"v\":23}]";
    struct lwm2m_decode_opts opts = opts_of("/3303/0/5700", true);
    static const uint16_t cts[] = {110, 112};
    const struct lwm2m_path base = LWM2M_PATH(3303, 0, 5700);

    expect_encode("json", 110, "/3303/0/5700", nodes, 3, json, strlen(json));
    for (size_t i = 0; i < DR_ARRAY_LEN(cts); i++) {
        uint8_t *out = NULL;
        size_t len = 0;
        ck_assert_int_eq(lwm2m_encode_alloc(cts[i], &base, nodes, 3, &out, &len), DR_OK);
        expect_decode("back", cts[i], &opts, out, len, DR_OK,
                      "/3303/0/5700 float 21.5 @1699999940000; /3303/0/5700 float 22 "
                      "@1700000000250; /3303/0/5700 float 23");
        free(out);
    }
    struct dr_wr wr = dr_wr_of(NULL, 0);
    ck_assert_int_eq(lwm2m_encode(11542, &base, nodes, 1, &wr), DR_ERR_INVAL);
    ck_assert_int_eq(lwm2m_encode(11544, &base, nodes, 1, &wr), DR_ERR_INVAL);
}
END_TEST

START_TEST(every_format_comes_back)
{
    static const uint16_t cts[] = {110, 112, 320, 322, 11542};
    const struct lwm2m_path base = LWM2M_PATH(3, 0), root = LWM2M_PATH_ROOT;
    struct lwm2m_decode_opts opts = opts_of("/3/0", true);
    uint8_t *out = NULL;
    size_t len = 0;

    for (size_t i = 0; i < DR_ARRAY_LEN(cts); i++) {
        ck_assert_int_eq(lwm2m_encode_alloc(cts[i], &base, device, 5, &out, &len), DR_OK);
        expect_decode("back", cts[i], &opts, out, len, DR_OK, DEVICE_PRINT);
        free(out);
    }
    ck_assert_int_eq(lwm2m_encode_alloc(11544, &root, device, 5, &out, &len), DR_OK);
    expect_decode("back", 11544, &opts, out, len, DR_OK, DEVICE_PRINT);
    free(out);
}
END_TEST

START_TEST(path_lists_are_encoded)
{
    const struct lwm2m_path paths[] = {LWM2M_PATH(3, 0, 0), LWM2M_PATH(1, 0, 1)};
    uint8_t buf[256], want[HEX_MAX];
    static const uint16_t cbor[] = {112, 322};
    static const uint16_t all[] = {110, 112, 320, 322};
    struct lwm2m_decode_opts opts = opts_of("/", true);

    for (size_t i = 0; i < DR_ARRAY_LEN(cbor); i++) {
        struct dr_wr wr = dr_wr_of(buf, sizeof(buf));
        ck_assert_int_eq(lwm2m_encode_paths(cbor[i], paths, 2, &wr), DR_OK);
        ck_assert_uint_eq(dr_wr_len(&wr),
                          hex("82 A1 00 66 2F 33 2F 30 2F 30 A1 00 66 2F 31 2F 30 2F 31", want));
        ck_assert_mem_eq(buf, want, dr_wr_len(&wr));
    }
    for (size_t i = 0; i < DR_ARRAY_LEN(all); i++) {
        struct dr_wr wr = dr_wr_of(buf, sizeof(buf));
        ck_assert_int_eq(lwm2m_encode_paths(all[i], paths, 2, &wr), DR_OK);
        expect_decode("paths", all[i], &opts, buf, dr_wr_len(&wr), DR_OK,
                      "/3/0/0 none; /1/0/1 none");
    }
    struct dr_wr wr = dr_wr_of(buf, sizeof(buf));
    ck_assert_int_eq(lwm2m_encode_paths(11544, paths, 2, &wr), DR_OK);
    expect_decode("paths", 11544, &opts, buf, dr_wr_len(&wr), DR_OK, "/1/0/1 none; /3/0/0 none");
    ck_assert_int_eq(lwm2m_encode_paths(0, paths, 2, &wr), DR_ERR_UNSUPPORTED);
    ck_assert_int_eq(lwm2m_encode_paths(11542, paths, 2, &wr), DR_ERR_UNSUPPORTED);
}
END_TEST

START_TEST(a_record_without_a_value_names_itself)
{
    static const uint16_t cts[] = {110, 112};
    const struct lwm2m_path base = LWM2M_PATH(3, 0);
    const struct lwm2m_node nodes[] = {
        {.path = LWM2M_PATH(3, 0)}, {.path = LWM2M_PATH(3, 0)}, {.path = LWM2M_PATH(3, 0, 1)}};
    struct lwm2m_decode_opts opts = opts_of("/3/0", true);

    for (size_t i = 0; i < DR_ARRAY_LEN(cts); i++) {
        uint8_t *out = NULL;
        size_t len = 0;
        ck_assert_int_eq(lwm2m_encode_alloc(cts[i], &base, nodes, 3, &out, &len), DR_OK);
        expect_decode("back", cts[i], &opts, out, len, DR_OK, "/3/0 none; /3/0 none; /3/0/1 none");
        free(out);
    }
}
END_TEST

START_TEST(what_cannot_be_shown_is_refused)
{
    uint8_t buf[256];
    struct dr_wr wr = dr_wr_of(buf, sizeof(buf));
    const struct lwm2m_path base = LWM2M_PATH(3, 0), other = LWM2M_PATH(4),
                            res = LWM2M_PATH(3, 0, 9);
    const struct lwm2m_node disorder[] = {device[1], device[0]}, doubled[] = {device[1], device[1]};
    const struct lwm2m_node nested[] = {{.path = LWM2M_PATH(3, 0, 11), .value = lwm2m_value_int(1)},
                                        device[2]};
    struct lwm2m_node bad = {.path = res, .value = lwm2m_value_str("\xff", 1)};
    static const uint16_t cts[] = {110, 112, 11542, 11544, 60, 0};

    for (size_t i = 0; i < DR_ARRAY_LEN(cts); i++) {
        ck_assert_int_eq(lwm2m_encode(cts[i], &other, device, 1, &wr), DR_ERR_INVAL);
    }
    for (size_t i = 0; i < 4; i++) {
        ck_assert_int_eq(lwm2m_encode(cts[i], &base, &bad, 1, &wr), DR_ERR_INVAL);
    }
    for (size_t i = 2; i < 4; i++) {
        ck_assert_int_eq(lwm2m_encode(cts[i], &base, disorder, 2, &wr), DR_ERR_INVAL);
        ck_assert_int_eq(lwm2m_encode(cts[i], &base, doubled, 2, &wr), DR_ERR_INVAL);
        ck_assert_int_eq(lwm2m_encode(cts[i], &base, nested, 2, &wr), DR_ERR_INVAL);
    }
    ck_assert_int_eq(lwm2m_encode(0, &base, device, 5, &wr), DR_ERR_INVAL);
    ck_assert_int_eq(lwm2m_encode(42, &res, device + 1, 1, &wr), DR_ERR_INVAL);
    ck_assert_int_eq(lwm2m_encode(11543, &base, device, 5, &wr), DR_ERR_UNSUPPORTED);
    ck_assert_int_eq(lwm2m_encode(1542, &base, device, 5, &wr), DR_ERR_UNSUPPORTED);
    bad.value = lwm2m_value_float(INFINITY);
    ck_assert_int_eq(lwm2m_encode(110, &base, &bad, 1, &wr), DR_ERR_INVAL);
    ck_assert_int_eq(lwm2m_encode(0, &res, &bad, 1, &wr), DR_ERR_INVAL);
    uint8_t *out = (uint8_t *)1;
    size_t len = 5;
    ck_assert_int_eq(lwm2m_encode_alloc(110, &base, &bad, 1, &out, &len), DR_ERR_INVAL);
    ck_assert(out == (uint8_t *)1 && len == 5);
}
END_TEST

START_TEST(strings_of_json_are_escaped)
{
    static const char raw[] = "a\"b\\c\n\x01\xc3\xa4\x00z";
    struct lwm2m_node node = {.path = LWM2M_PATH(3, 0, 0),
                              .value = lwm2m_value_str(raw, sizeof(raw) - 1)};
    static const char want[] =
        "[{\"bn\":\"/3/0/0\",\"vs\":\"a\\\"b\\\\c\\u000a\\u0001\xc3\xa4\\u0000z\"}]";
    struct lwm2m_decode_opts opts = opts_of("/3/0/0", true);
    struct lwm2m_nodes nodes;

    expect_encode("escapes", 110, "/3/0/0", &node, 1, want, strlen(want));
    lwm2m_nodes_init(&nodes, 0, 0);
    ck_assert_int_eq(lwm2m_decode_nodes(110, &opts, want, strlen(want), &nodes), DR_OK);
    ck_assert(lwm2m_value_eq(&nodes.items[0].value, &node.value));
    lwm2m_nodes_fini(&nodes);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("lwm2m codecs");
    TCase *t = tcase_create("decode");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, binary_payloads_are_decoded, 0, (int)DR_ARRAY_LEN(binary_cases));
    tcase_add_loop_test(t, text_payloads_are_decoded, 0, (int)DR_ARRAY_LEN(text_cases));
    tcase_add_test(t, alternate_paths_are_taken_off);
    tcase_add_test(t, versions_of_the_device_count);
    tcase_add_test(t, relative_bodies_of_lwm2m_cbor);
    tcase_add_test(t, an_error_of_the_sink_ends_it);
    tcase_add_test(t, a_list_is_as_before_after_an_error);
    tcase_add_test(t, payloads_have_maxima);
    suite_add_tcase(s, t);
    t = tcase_create("encode");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, the_device_is_encoded, 0, (int)DR_ARRAY_LEN(encode_cases));
    tcase_add_loop_test(t, each_type_is_encoded, 0, (int)DR_ARRAY_LEN(value_cases));
    tcase_add_test(t, wide_ids_and_lengths_of_tlv);
    tcase_add_test(t, times_are_encoded);
    tcase_add_test(t, every_format_comes_back);
    tcase_add_test(t, path_lists_are_encoded);
    tcase_add_test(t, a_record_without_a_value_names_itself);
    tcase_add_test(t, what_cannot_be_shown_is_refused);
    tcase_add_test(t, strings_of_json_are_escaped);
    suite_add_tcase(s, t);
    return run_suite(s);
}
