/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cbor.h"
#include "base/rand.h"
#include "base/text.h"
#include "tests/unit/run.h"

/*
 * spec: RFC8949#A The examples of appendix A: hex, the same in a notation of this test (see
 * show()), and whether that is also the core deterministic encoding.
 */
static const struct {
    const char *hex;
    const char *shown;
    bool canonical;
} vectors[] = {
    {"00", "0", true},
    {"01", "1", true},
    {"0a", "10", true},
    {"17", "23", true},
    {"1818", "24", true},
    {"1819", "25", true},
    {"1864", "100", true},
    {"1903e8", "1000", true},
    {"1a000f4240", "1000000", true},
    {"1b000000e8d4a51000", "1000000000000", true},
    {"1bffffffffffffffff", "18446744073709551615", true},
    {"c249010000000000000000", "2(h'010000000000000000')", true},
    {"3bffffffffffffffff", "-1-18446744073709551615", true},
    {"c349010000000000000000", "3(h'010000000000000000')", true},
    {"20", "-1", true},
    {"29", "-10", true},
    {"3863", "-100", true},
    {"3903e7", "-1000", true},
    {"f90000", "0_2", true},
    {"f98000", "-0_2", true},
    {"f93c00", "1_2", true},
    {"fb3ff199999999999a", "1.1_8", true},
    {"f93e00", "1.5_2", true},
    {"f97bff", "65504_2", true},
    {"fa47c35000", "100000_4", true},
    {"fa7f7fffff", "3.40282346638529e+38_4", true},
    {"fb7e37e43c8800759c", "1e+300_8", true},
    {"f90001", "5.96046447753906e-08_2", true},
    {"f90400", "6.103515625e-05_2", true},
    {"f9c400", "-4_2", true},
    {"fbc010666666666666", "-4.1_8", true},
    {"f97c00", "inf_2", true},
    {"f97e00", "nan_2", true},
    {"f9fc00", "-inf_2", true},
    {"fa7f800000", "inf_4", false},
    {"fa7fc00000", "nan_4", false},
    {"faff800000", "-inf_4", false},
    {"fb7ff0000000000000", "inf_8", false},
    {"fb7ff8000000000000", "nan_8", false},
    {"fbfff0000000000000", "-inf_8", false},
    {"f4", "false", true},
    {"f5", "true", true},
    {"f6", "null", true},
    {"f7", "undefined", true},
    {"f0", "simple(16)", true},
    {"f8ff", "simple(255)", true},
    {"c074323031332d30332d32315432303a30343a30305a", "0(\"2013-03-21T20:04:00Z\")", true},
    {"c11a514b67b0", "1(1363896240)", true},
    {"c1fb41d452d9ec200000", "1(1363896240.5_8)", true},
    {"d74401020304", "23(h'01020304')", true},
    {"d818456449455446", "24(h'6449455446')", true},
    {"d82076687474703a2f2f7777772e6578616d706c652e636f6d", "32(\"http://www.example.com\")", true},
    {"40", "h''", true},
    {"4401020304", "h'01020304'", true},
    {"60", "\"\"", true},
    {"6161", "\"a\"", true},
    {"6449455446", "\"IETF\"", true},
    {"62225c", "\"\"\\\"", true},
    {"62c3bc", "\"\xc3\xbc\"", true},
    {"63e6b0b4", "\"\xe6\xb0\xb4\"", true},
    {"64f0908591", "\"\xf0\x90\x85\x91\"", true},
    {"80", "[]", true},
    {"83010203", "[1 2 3]", true},
    {"8301820203820405", "[1 [2 3] [4 5]]", true},
    {"98190102030405060708090a0b0c0d0e0f101112131415161718181819",
     "[1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25]", true},
    {"a0", "{}", true},
    {"a201020304", "{1 2 3 4}", true},
    {"a26161016162820203", "{\"a\" 1 \"b\" [2 3]}", true},
    {"826161a161626163", "[\"a\" {\"b\" \"c\"}]", true},
    {"a56161614161626142616361436164614461656145",
     "{\"a\" \"A\" \"b\" \"B\" \"c\" \"C\" \"d\" \"D\" \"e\" \"E\"}", true},
    {"5f42010243030405ff", "(_h h'0102' h'030405')", false},
    {"7f657374726561646d696e67ff", "(_t \"strea\" \"ming\")", false},
    {"9fff", "[_]", false},
    {"9f018202039f0405ffff", "[_1 [2 3] [_4 5]]", false},
    {"9f01820203820405ff", "[_1 [2 3] [4 5]]", false},
    {"83018202039f0405ff", "[1 [2 3] [_4 5]]", false},
    {"83019f0203ff820405", "[1 [_2 3] [4 5]]", false},
    {"9f0102030405060708090a0b0c0d0e0f101112131415161718181819ff",
     "[_1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25]", false},
    {"bf61610161629f0203ffff", "{_\"a\" 1 \"b\" [_2 3]}", false},
    {"826161bf61626163ff", "[\"a\" {_\"b\" \"c\"}]", false},
    {"bf6346756ef563416d7421ff", "{_\"Fun\" true \"Amt\" -2}", false},
    /* not of the appendix: nothing but longer forms */
    {"1800", "0", false},
    {"190018", "24", false},
    {"1a00000001", "1", false},
    {"1b0000000000000001", "1", false},
    {"580141", "h'41'", false},
    {"fa3fc00000", "1.5_4", false},
    {"fb3ff8000000000000", "1.5_8", false},
    /* keys out of order, and twice the same */
    {"a203000100", "{3 0 1 0}", false},
    {"a201000100", "{1 0 1 0}", false},
    {"a2186400810200", "{100 0 [2] 0}", true},
    {"a3d86401000200820001f6", NULL, false},
};

static void show_string(struct dr_dynbuf *out, const struct dr_cbor_item *it)
{
    if (it->type == DR_CBOR_TEXT) {
        dr_dynbuf_append_char(out, '"');
        dr_dynbuf_append_bytes(out, it->s);
        dr_dynbuf_append_char(out, '"');
        return;
    }
    char hex[100];
    ck_assert_uint_lt(it->s.len, 40);
    dr_hex_encode(it->s.p, it->s.len, hex);
    dr_dynbuf_printf(out, "h'%s'", hex);
}

/* One item in the notation of the vectors; DR_ERR_AGAIN for an END. */
static dr_err_t show(struct dr_cbor *r, struct dr_dynbuf *out)
{
    static const char *const opens[] = {"(_h ", "(_t ", "[", "{"};
    static const char *const closes[] = {")", ")", "]", "}"};
    struct dr_cbor_item it;
    dr_err_t err = dr_cbor_next(r, &it);

    if (err != DR_OK) {
        return err;
    }
    switch (it.type) {
    case DR_CBOR_UINT:
        dr_dynbuf_printf(out, "%llu", (unsigned long long)it.u);
        return DR_OK;
    case DR_CBOR_NINT:
        if (it.u > INT64_MAX) {
            dr_dynbuf_printf(out, "-1-%llu", (unsigned long long)it.u);
        } else {
            dr_dynbuf_printf(out, "%lld", -1 - (long long)it.u);
        }
        return DR_OK;
    case DR_CBOR_TAG:
        dr_dynbuf_printf(out, "%llu(", (unsigned long long)it.u);
        err = show(r, out);
        dr_dynbuf_append_char(out, ')');
        return err;
    case DR_CBOR_BOOL:
        dr_dynbuf_append_str(out, it.b ? "true" : "false");
        return DR_OK;
    case DR_CBOR_NULL:
        dr_dynbuf_append_str(out, "null");
        return DR_OK;
    case DR_CBOR_UNDEFINED:
        dr_dynbuf_append_str(out, "undefined");
        return DR_OK;
    case DR_CBOR_SIMPLE:
        dr_dynbuf_printf(out, "simple(%llu)", (unsigned long long)it.u);
        return DR_OK;
    case DR_CBOR_FLOAT:
        dr_dynbuf_printf(out, "%.15g_%d", isnan(it.f) ? NAN : it.f, it.float_len);
        return DR_OK;
    case DR_CBOR_END:
        return DR_ERR_AGAIN;
    case DR_CBOR_EOF:
        return DR_ERR_PROTO;
    default:
        break;
    }
    if (!it.indefinite && (it.type == DR_CBOR_BYTES || it.type == DR_CBOR_TEXT)) {
        show_string(out, &it);
        return DR_OK;
    }
    int kind = it.type - DR_CBOR_BYTES;
    dr_dynbuf_append_str(out, opens[kind]);
    if (it.indefinite && kind >= 2) {
        dr_dynbuf_append_char(out, '_');
    }
    for (int i = 0;; i++) {
        size_t before = out->len;
        if (i > 0) {
            dr_dynbuf_append_char(out, ' ');
        }
        err = show(r, out);
        if (err == DR_ERR_AGAIN) {
            dr_dynbuf_truncate(out, before);
            break;
        }
        if (err != DR_OK) {
            return err;
        }
    }
    dr_dynbuf_append_str(out, closes[kind]);
    return DR_OK;
}

static size_t from_hex(const char *hex, uint8_t *out, size_t cap)
{
    size_t len = 0;

    ck_assert_int_eq(dr_hex_decode(hex, strlen(hex), out, cap, &len), DR_OK);
    return len;
}

START_TEST(reads_each_vector) /* spec: RFC8949#A */
{
    uint8_t in[100];
    size_t len = from_hex(vectors[_i].hex, in, sizeof in);
    struct dr_cbor r;
    struct dr_cbor_item it;
    struct dr_dynbuf out;

    ck_assert_int_eq(dr_cbor_check(in, len, DR_CBOR_CANONICAL),
                     vectors[_i].canonical ? DR_OK : DR_ERR_PROTO);
    if (vectors[_i].shown == NULL) {
        return;
    }
    dr_dynbuf_init(&out, 1000);
    dr_cbor_init(&r, in, len, DR_CBOR_STRICT);
    ck_assert_int_eq(show(&r, &out), DR_OK);
    ck_assert_str_eq(dr_dynbuf_str(&out), vectors[_i].shown);
    ck_assert_int_eq(dr_cbor_next(&r, &it), DR_OK);
    ck_assert_int_eq(it.type, DR_CBOR_EOF);
    ck_assert_uint_eq(dr_cbor_pos(&r), len);
    ck_assert_int_eq(dr_cbor_check(in, len, DR_CBOR_STRICT), DR_OK);
    /* every shorter input is refused, and so is a byte more */
    for (size_t i = 0; i < len; i++) {
        ck_assert_int_eq(dr_cbor_check(in, i, 0), DR_ERR_PROTO);
    }
    in[len] = 0;
    ck_assert_int_eq(dr_cbor_check(in, len + 1, 0), DR_ERR_PROTO);
    dr_dynbuf_fini(&out);
}
END_TEST

/* What is read is written again; in canonical form that gives the same bytes. */
static void copy_items(struct dr_cbor *r, struct dr_wr *wr)
{
    struct dr_cbor_item it;

    for (;;) {
        ck_assert_int_eq(dr_cbor_next(r, &it), DR_OK);
        switch (it.type) {
        case DR_CBOR_UINT:
            dr_cbor_put_uint(wr, it.u);
            break;
        case DR_CBOR_NINT:
            if (it.u <= INT64_MAX) {
                dr_cbor_put_int(wr, -1 - (int64_t)it.u);
            } else {
                dr_wr_put(wr, "\x3b\xff\xff\xff\xff\xff\xff\xff\xff", 9);
            }
            break;
        case DR_CBOR_BYTES:
            it.indefinite ? dr_cbor_put_bytes_start(wr) : dr_cbor_put_bytes(wr, it.s.p, it.s.len);
            break;
        case DR_CBOR_TEXT:
            it.indefinite ? dr_cbor_put_text_start(wr)
                          : dr_cbor_put_text(wr, (const char *)it.s.p, it.s.len);
            break;
        case DR_CBOR_ARRAY:
            it.indefinite ? dr_cbor_put_array_start(wr) : dr_cbor_put_array(wr, it.u);
            break;
        case DR_CBOR_MAP:
            it.indefinite ? dr_cbor_put_map_start(wr) : dr_cbor_put_map(wr, it.u);
            break;
        case DR_CBOR_TAG:
            dr_cbor_put_tag(wr, it.u);
            break;
        case DR_CBOR_BOOL:
            dr_cbor_put_bool(wr, it.b);
            break;
        case DR_CBOR_NULL:
            dr_cbor_put_null(wr);
            break;
        case DR_CBOR_UNDEFINED:
            dr_cbor_put_undefined(wr);
            break;
        case DR_CBOR_SIMPLE:
            dr_cbor_put_simple(wr, (uint8_t)it.u);
            break;
        case DR_CBOR_FLOAT:
            dr_cbor_put_number(wr, it.f);
            break;
        case DR_CBOR_END:
            break;
        case DR_CBOR_EOF:
            return;
        }
    }
}

START_TEST(writes_each_canonical_vector)
{
    uint8_t in[100];
    uint8_t out[100];
    size_t len = from_hex(vectors[_i].hex, in, sizeof in);
    struct dr_cbor r;
    struct dr_wr wr = dr_wr_of(out, sizeof out);

    if (!vectors[_i].canonical) {
        return;
    }
    dr_cbor_init(&r, in, len, DR_CBOR_CANONICAL);
    copy_items(&r, &wr);
    ck_assert_uint_eq(dr_wr_len(&wr), len);
    ck_assert_mem_eq(out, in, len);
    /* and fits into nothing less */
    for (size_t cap = 0; cap < len; cap++) {
        wr = dr_wr_of(out, cap);
        dr_cbor_init(&r, in, len, 0);
        copy_items(&r, &wr);
        ck_assert_int_eq(dr_wr_err(&wr), DR_ERR_NOSPACE);
    }
}
END_TEST

static const char *const malformed[] = {
    "",
    "18",
    "1c",
    "1d",
    "1e",
    "1f",
    "3f",
    "5c",
    "df",
    "f800",
    "f818",
    "f81f",
    "fc",
    "fe",
    "ff",
    "81",
    "8200",
    "a1",
    "a100",
    "a1ff",
    "bf00ff",
    "9f",
    "5f",
    "5f00ff",
    "5f6161ff",
    "7f4161ff",
    "5f5f4100ffff",
    "c0",
    "81ff",
    "5b7fffffffffffffff",
    "9bffffffffffffffff",
    "bbffffffffffffffff",
    "5bffffffffffffffff00",
    "9a00ffffff00",
    "a2000102",
    "c0ff",
    "9fc0ff",
    "bfc000ff",
    "0000",
};

START_TEST(refuses_what_is_not_well_formed) /* spec: RFC8949#F */
{
    uint8_t in[100];
    size_t len = from_hex(malformed[_i], in, sizeof in);
    struct dr_cbor r;
    struct dr_cbor_item it;

    ck_assert_int_eq(dr_cbor_check(in, len, 0), DR_ERR_PROTO);
    dr_cbor_init(&r, in, len, 0);
    dr_err_t err = DR_OK;
    for (int i = 0; i < 200 && err == DR_OK; i++) {
        err = dr_cbor_next(&r, &it);
    }
    if (err != DR_OK) { /* sticky */
        ck_assert_int_eq(dr_cbor_next(&r, &it), err);
    }
}
END_TEST

START_TEST(depth_is_limited)
{
    uint8_t in[40];

    for (int kind = 0; kind < 2; kind++) {
        memset(in, kind == 0 ? 0x81 : 0xc1, sizeof in);
        in[DR_CBOR_DEPTH_MAX] = 0;
        ck_assert_int_eq(dr_cbor_check(in, DR_CBOR_DEPTH_MAX + 1, 0), DR_OK);
        in[DR_CBOR_DEPTH_MAX] = in[0];
        in[DR_CBOR_DEPTH_MAX + 1] = 0;
        ck_assert_int_eq(dr_cbor_check(in, DR_CBOR_DEPTH_MAX + 2, 0), DR_ERR_TOO_LARGE);
    }
}
END_TEST

START_TEST(text_must_be_utf8_when_strict)
{
    ck_assert_int_eq(dr_cbor_check("\x61\xff", 2, 0), DR_OK);
    ck_assert_int_eq(dr_cbor_check("\x61\xff", 2, DR_CBOR_STRICT), DR_ERR_PROTO);
    ck_assert_int_eq(dr_cbor_check("\x41\xff", 2, DR_CBOR_STRICT), DR_OK);
}
END_TEST

START_TEST(getters_want_their_type)
{
    uint8_t buf[100];
    struct dr_wr wr = dr_wr_of(buf, sizeof buf);
    struct dr_cbor r;
    uint64_t u = 99;
    int64_t i = 99;
    struct dr_bytes b;

    dr_cbor_put_map_start(&wr);
    dr_cbor_put_str(&wr, "k");
    dr_cbor_put_int(&wr, INT64_MIN);
    dr_cbor_put_break(&wr);
    dr_cbor_put_tag(&wr, 18);
    dr_cbor_put_array(&wr, 2);
    dr_cbor_put_bytes(&wr, "xyz", 3);
    dr_cbor_put_uint(&wr, UINT64_MAX);
    dr_cbor_put_float(&wr, 1.5F);
    dr_cbor_put_double(&wr, 1.5);
    ck_assert(dr_wr_ok(&wr));

    dr_cbor_init(&r, buf, dr_wr_len(&wr), 0);
    ck_assert_int_eq(dr_cbor_get_map(&r, &u), DR_OK);
    ck_assert_uint_eq(u, UINT64_MAX);
    ck_assert_int_eq(dr_cbor_get_text(&r, &b), DR_OK);
    ck_assert(dr_bytes_eq_str(b, "k"));
    ck_assert_int_eq(dr_cbor_get_int(&r, &i), DR_OK);
    ck_assert_int_eq(i, INT64_MIN);
    ck_assert_int_eq(dr_cbor_skip(&r), DR_ERR_NOT_FOUND); /* took the END */
    ck_assert_int_eq(dr_cbor_get_tag(&r, &u), DR_OK);
    ck_assert_uint_eq(u, 18);
    ck_assert_int_eq(dr_cbor_get_array(&r, &u), DR_OK);
    ck_assert_uint_eq(u, 2);
    ck_assert_int_eq(dr_cbor_get_bytes(&r, &b), DR_OK);
    ck_assert(dr_bytes_eq_str(b, "xyz"));
    ck_assert_int_eq(dr_cbor_get_int(&r, &i), DR_ERR_RANGE);
    ck_assert_int_eq(i, INT64_MIN);
    ck_assert_int_eq(dr_cbor_get_end(&r), DR_OK);
    ck_assert_int_eq(dr_cbor_get_uint(&r, &u), DR_ERR_PROTO);
    ck_assert_uint_eq(u, 2);
    struct dr_cbor_item it;
    ck_assert_int_eq(dr_cbor_next(&r, &it), DR_OK);
    ck_assert(it.type == DR_CBOR_FLOAT && it.float_len == 8 && it.f == 1.5);
    ck_assert_int_eq(dr_cbor_skip(&r), DR_ERR_NOT_FOUND);
}
END_TEST

START_TEST(skipping_passes_a_whole_item)
{
    struct dr_cbor r;
    struct dr_cbor_item it;
    uint64_t u = 0;

    /* [ 1(2({1: [2, (_ h'00')]})), 7 ] */
    static const uint8_t in[] = {0x82, 0xc1, 0xc2, 0xa1, 0x01, 0x82,
                                 0x02, 0x5f, 0x41, 0x00, 0xff, 0x07};
    dr_cbor_init(&r, in, sizeof in, 0);
    ck_assert_int_eq(dr_cbor_get_array(&r, &u), DR_OK);
    ck_assert_int_eq(dr_cbor_skip(&r), DR_OK);
    ck_assert_int_eq(dr_cbor_get_uint(&r, &u), DR_OK);
    ck_assert_uint_eq(u, 7);
    ck_assert_int_eq(dr_cbor_get_end(&r), DR_OK);

    dr_cbor_init(&r, in, sizeof in, 0);
    ck_assert_int_eq(dr_cbor_get_array(&r, &u), DR_OK);
    ck_assert_int_eq(dr_cbor_get_tag(&r, &u), DR_OK);
    ck_assert_int_eq(dr_cbor_next(&r, &it), DR_OK);
    ck_assert_int_eq(it.type, DR_CBOR_TAG);
    ck_assert_int_eq(dr_cbor_skip_rest(&r, &it), DR_OK);
    ck_assert_int_eq(dr_cbor_get_uint(&r, &u), DR_OK);
    ck_assert_int_eq(dr_cbor_skip_rest(&r, &(struct dr_cbor_item){.type = DR_CBOR_UINT}), DR_OK);
    ck_assert_int_eq(dr_cbor_get_end(&r), DR_OK);
}
END_TEST

START_TEST(every_half_comes_back)
{
    for (uint32_t bits = 0; bits <= UINT16_MAX; bits++) {
        uint8_t in[3] = {0xf9, (uint8_t)(bits >> 8), (uint8_t)bits};
        uint8_t out[9];
        struct dr_cbor r;
        struct dr_cbor_item it;
        struct dr_wr wr = dr_wr_of(out, sizeof out);
        dr_cbor_init(&r, in, 3, 0);
        if (dr_cbor_next(&r, &it) != DR_OK) {
            ck_abort_msg("%x", bits);
        }
        dr_cbor_put_number(&wr, it.f);
        if (isnan(it.f)) {
            in[1] = 0x7e;
            in[2] = 0;
        }
        if (dr_wr_len(&wr) != 3 || memcmp(in, out, 3) != 0) {
            ck_abort_msg("%x", bits);
        }
    }
}
END_TEST

START_TEST(every_number_keeps_its_value)
{
    struct dr_prng r;

    dr_prng_init(&r, 8);
    for (int i = 0; i < 200000; i++) {
        uint64_t bits = dr_prng_u64(&r);
        double v;
        float f;
        if (i % 3 == 0) {
            uint32_t b32 = (uint32_t)bits;
            memcpy(&f, &b32, sizeof f);
            v = f;
        } else if (i % 3 == 1) {
            v = ldexp((double)(int)(bits % 5000) - 2500, (int)(bits >> 32 & 63) - 40);
        } else {
            memcpy(&v, &bits, sizeof v);
        }
        uint8_t out[9];
        struct dr_wr wr = dr_wr_of(out, sizeof out);
        dr_cbor_put_number(&wr, v);
        struct dr_cbor rd;
        struct dr_cbor_item it;
        dr_cbor_init(&rd, out, dr_wr_len(&wr), DR_CBOR_CANONICAL);
        if (dr_cbor_next(&rd, &it) != DR_OK || it.type != DR_CBOR_FLOAT ||
            !(it.f == v || (isnan(v) && isnan(it.f)))) {
            ck_abort_msg("%.17g", v);
        }
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("base/cbor");
    TCase *tc = add_case(s, "vectors");

    tcase_add_loop_test(tc, reads_each_vector, 0, DR_ARRAY_LEN(vectors));
    tcase_add_loop_test(tc, writes_each_canonical_vector, 0, DR_ARRAY_LEN(vectors));
    tcase_add_loop_test(tc, refuses_what_is_not_well_formed, 0, DR_ARRAY_LEN(malformed));
    tc = add_case(s, "reader");
    tcase_add_test(tc, depth_is_limited);
    tcase_add_test(tc, text_must_be_utf8_when_strict);
    tcase_add_test(tc, getters_want_their_type);
    tcase_add_test(tc, skipping_passes_a_whole_item);
    tc = add_case(s, "floats");
    tcase_add_test(tc, every_half_comes_back);
    tcase_add_test(tc, every_number_keeps_its_value);
    return run_suite(s);
}
