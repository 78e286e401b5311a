/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/fuzz/fuzz_time.c
 * @brief The small text parsers: what they accept must come back through their writers.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/ids.h"
#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(bool ok)
{
    if (!ok) {
        abort();
    }
}

static void try_time_and_id(const char *in, size_t len)
{
    int64_t ms;
    int64_t back;
    char text[DR_TIME_LEN + 1];
    char id_text[DR_ID_LEN + 1];

    if (dr_time_parse(in, len, &ms) == DR_OK) {
        dr_time_format(ms, text);
        check(strlen(text) == DR_TIME_LEN);
        check(dr_time_parse(text, DR_TIME_LEN, &back) == DR_OK);
        /* an offset or a leap second can leave the years 1 to 9999; those are clamped */
        check(back == ms || ms < -62135596800000 || ms > 253402300799999);
    }
    if (dr_id_parse(in, len, &ms) == DR_OK) {
        dr_id_format(ms, id_text);
        check(len == DR_ID_LEN && memcmp(id_text, in, len) == 0);
    }
}

static void try_numbers(const char *in, size_t len)
{
    uint64_t u = 0;
    int64_t i;
    double d;
    double again;
    char text[32];

    if (dr_parse_u64(in, len, &u) == DR_OK && u <= INT64_MAX) {
        check(dr_parse_i64(in, len, &i) == DR_OK && (uint64_t)i == u);
    }
    if (dr_parse_i64(in, len, &i) == DR_OK && len <= DR_NUMBER_LEN_MAX) {
        check(dr_parse_double(in, len, &d) == DR_OK);
    }
    if (dr_parse_double(in, len, &d) == DR_OK) {
        size_t n = dr_double_format(d, text);
        check(n < sizeof text && dr_parse_double(text, n, &again) == DR_OK && again == d);
    }
}

static void try_encodings(const char *in, size_t len)
{
    uint8_t *out = malloc(len + 1);
    char *text = malloc(2 * len + 8);
    size_t n;

    check(out != NULL && text != NULL);
    if (dr_hex_decode(in, len, out, len, &n) == DR_OK) {
        dr_hex_encode(out, n, text);
        check(2 * n == len);
        for (size_t i = 0; i < len; i++) {
            check((in[i] | 0x20) == (text[i] | 0x20));
        }
    }
    if (dr_base64_decode(in, len, out, len, &n) == DR_OK) {
        check(dr_base64_encode(out, n, text) == len && memcmp(text, in, len) == 0);
    }
    if (dr_base64url_decode(in, len, out, len, &n) == DR_OK) {
        size_t chars = dr_base64url_encode(out, n, text);
        check(chars <= len && memcmp(text, in, chars) == 0);
    }
    if (dr_percent_decode(in, len, false, (char *)out, len, &n) == DR_OK) {
        struct dr_dynbuf b;
        size_t m = 0;
        dr_dynbuf_init(&b, 3 * len + 1);
        dr_percent_encode(&b, out, n);
        char *round = malloc(len + 1);
        check(round != NULL &&
              dr_percent_decode(dr_dynbuf_str(&b), b.len, true, round, len, &m) == DR_OK);
        check(m == n && memcmp(round, out, n) == 0);
        free(round);
        dr_dynbuf_fini(&b);
    }
    (void)dr_utf8_valid(in, len);
    free(out);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const char *in = (const char *)data;

    try_time_and_id(in, len);
    try_numbers(in, len);
    try_encodings(in, len);
    return 0;
}
