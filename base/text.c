/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

void dr_hex_encode(const void *data, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *p = data;

    dr_assert(out != NULL && (p != NULL || len == 0));
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[p[i] >> 4];
        out[2 * i + 1] = digits[p[i] & 15];
    }
    out[2 * len] = 0;
}

dr_err_t dr_hex_decode(const char *in, size_t len, uint8_t *out, size_t cap, size_t *ret_len)
{
    if (len % 2 != 0) {
        return DR_ERR_PROTO;
    }
    for (size_t i = 0; i < len; i++) {
        if (hex_digit(in[i]) < 0) {
            return DR_ERR_PROTO;
        }
    }
    if (len / 2 > cap) {
        return DR_ERR_NOSPACE;
    }
    for (size_t i = 0; i < len / 2; i++) {
        out[i] = (uint8_t)(hex_digit(in[2 * i]) << 4 | hex_digit(in[2 * i + 1]));
    }
    if (ret_len != NULL) {
        *ret_len = len / 2;
    }
    return DR_OK;
}

static size_t b64_encode(const uint8_t *p, size_t len, bool url, char *out)
{
    const char *abc = url ? "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
                          : "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = 0;

    for (size_t i = 0; i < len; i += 3) {
        size_t left = len - i < 3 ? len - i : 3;
        uint32_t v = (uint32_t)p[i] << 16;
        v |= left > 1 ? (uint32_t)p[i + 1] << 8 : 0;
        v |= left > 2 ? p[i + 2] : 0;
        for (size_t k = 0; k < 4; k++) {
            if (k <= left) {
                out[n++] = abc[v >> (18 - 6 * k) & 63];
            } else if (!url) {
                out[n++] = '=';
            }
        }
    }
    out[n] = 0;
    return n;
}

size_t dr_base64_encode(const void *data, size_t len, char *out)
{
    dr_assert(out != NULL && (data != NULL || len == 0));
    return b64_encode(data, len, false, out);
}

size_t dr_base64url_encode(const void *data, size_t len, char *out)
{
    dr_assert(out != NULL && (data != NULL || len == 0));
    return b64_encode(data, len, true, out);
}

static int b64_digit(char c, bool url)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    if (c == (url ? '-' : '+')) {
        return 62;
    }
    return c == (url ? '_' : '/') ? 63 : -1;
}

static dr_err_t b64_decode(const char *in, size_t len, bool url, uint8_t *out, size_t cap,
                           size_t *ret_len)
{
    size_t pad = 0;
    while (pad < 2 && pad < len && in[len - 1 - pad] == '=') {
        pad++;
    }
    size_t n = len - pad;
    size_t want_pad = (4 - n % 4) % 4;
    if (n % 4 == 1 || (pad != want_pad && !(url && pad == 0))) {
        return DR_ERR_PROTO;
    }
    for (size_t i = 0; i < n; i++) {
        if (b64_digit(in[i], url) < 0) {
            return DR_ERR_PROTO;
        }
    }
    /* the last digit's unused bits: one text only for each value */
    if (n % 4 != 0 && (b64_digit(in[n - 1], url) & (n % 4 == 2 ? 15 : 3)) != 0) {
        return DR_ERR_PROTO;
    }
    size_t bytes = n / 4 * 3 + (n % 4 == 0 ? 0 : n % 4 - 1);
    if (bytes > cap) {
        return DR_ERR_NOSPACE;
    }
    uint32_t acc = 0;
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        acc = acc << 6 | (uint32_t)b64_digit(in[i], url);
        if (i % 4 != 0) {
            out[k++] = (uint8_t)(acc >> (6 - 2 * (i % 4)));
        }
    }
    if (ret_len != NULL) {
        *ret_len = bytes;
    }
    return DR_OK;
}

dr_err_t dr_base64_decode(const char *in, size_t len, uint8_t *out, size_t cap, size_t *ret_len)
{
    return b64_decode(in, len, false, out, cap, ret_len);
}

dr_err_t dr_base64url_decode(const char *in, size_t len, uint8_t *out, size_t cap, size_t *ret_len)
{
    return b64_decode(in, len, true, out, cap, ret_len);
}

/* Length of the UTF-8 character at p, 0 when there is none; spec: RFC3629#4 */
static size_t utf8_char(const uint8_t *p, size_t left)
{
    if (p[0] < 0x80) {
        return 1;
    }
    if (p[0] < 0xc2 || p[0] > 0xf4) {
        return 0;
    }
    size_t len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (left < len) {
        return 0;
    }
    /* the second byte's range excludes overlong forms, surrogates and what lies past U+10FFFF */
    uint8_t low = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
    uint8_t high = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;
    if (p[1] < low || p[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return len;
}

bool dr_utf8_valid(const void *data, size_t len)
{
    const uint8_t *p = data;

    for (size_t i = 0; i < len;) {
        size_t n = utf8_char(p + i, len - i);
        if (n == 0) {
            return false;
        }
        i += n;
    }
    return true;
}

dr_err_t dr_percent_decode(const char *in, size_t len, bool plus, char *out, size_t cap,
                           size_t *ret_len)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        if (in[i] == '%') {
            if (len - i < 3 || hex_digit(in[i + 1]) < 0 || hex_digit(in[i + 2]) < 0) {
                return DR_ERR_PROTO;
            }
            i += 2;
        }
        n++;
    }
    if (n > cap) {
        return DR_ERR_NOSPACE;
    }
    n = 0;
    for (size_t i = 0; i < len; i++) {
        if (in[i] == '%') {
            out[n++] = (char)(hex_digit(in[i + 1]) << 4 | hex_digit(in[i + 2]));
            i += 2;
        } else {
            out[n++] = in[i] == '+' && plus ? ' ' : in[i];
        }
    }
    if (ret_len != NULL) {
        *ret_len = n;
    }
    return DR_OK;
}

static bool unreserved(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

void dr_percent_encode(struct dr_dynbuf *out, const void *in, size_t len)
{
    const uint8_t *p = in;

    for (size_t i = 0; i < len; i++) {
        if (unreserved(p[i])) {
            dr_dynbuf_append_char(out, (char)p[i]);
        } else {
            dr_dynbuf_printf(out, "%%%02X", p[i]);
        }
    }
}

dr_err_t dr_parse_u64_max(const char *in, size_t len, uint64_t max, uint64_t *ret)
{
    uint64_t v = 0;
    bool over = false;

    dr_assert(ret != NULL);
    if (len == 0) {
        return DR_ERR_PROTO;
    }
    for (size_t i = 0; i < len; i++) {
        if (in[i] < '0' || in[i] > '9') {
            return DR_ERR_PROTO;
        }
        over = over || __builtin_mul_overflow(v, 10U, &v) ||
               __builtin_add_overflow(v, (uint64_t)(in[i] - '0'), &v);
    }
    if (over || v > max) {
        return DR_ERR_RANGE;
    }
    *ret = v;
    return DR_OK;
}

dr_err_t dr_parse_u64(const char *in, size_t len, uint64_t *ret)
{
    return dr_parse_u64_max(in, len, UINT64_MAX, ret);
}

dr_err_t dr_parse_i64(const char *in, size_t len, int64_t *ret)
{
    bool minus = len > 0 && in[0] == '-';
    size_t sign = len > 0 && (in[0] == '-' || in[0] == '+') ? 1 : 0;
    uint64_t v;

    dr_assert(ret != NULL);
    dr_err_t err = dr_parse_u64_max(in + sign, len - sign,
                                    minus ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX, &v);
    if (err == DR_OK) {
        *ret = (int64_t)(minus ? 0 - v : v);
    }
    return err;
}

static size_t digits_len(const char *s)
{
    return strspn(s, "0123456789");
}

/* [sign] digits [. digits] [e [sign] digits] and nothing else */
static bool number_grammar(const char *s)
{
    s += *s == '-' || *s == '+' ? 1 : 0;
    size_t n = digits_len(s);
    s += n;
    if (n == 0) {
        return false;
    }
    if (*s == '.') {
        n = digits_len(s + 1);
        s += 1 + n;
        if (n == 0) {
            return false;
        }
    }
    if (*s == 'e' || *s == 'E') {
        s++;
        s += *s == '-' || *s == '+' ? 1 : 0;
        n = digits_len(s);
        s += n;
        if (n == 0) {
            return false;
        }
    }
    return *s == 0;
}

/* The C locale: strtod and printf would otherwise follow setlocale() of whoever links us. */
static locale_t c_locale(void)
{
    static _Atomic(locale_t) loc;
    locale_t got = loc;

    if (got == (locale_t)0) {
        locale_t mine = newlocale(LC_ALL_MASK, "C", (locale_t)0);
        dr_assert(mine != (locale_t)0);
        if (__atomic_compare_exchange_n((locale_t *)&loc, &got, mine, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST)) {
            got = mine;
        } else {
            freelocale(mine);
        }
    }
    return got;
}

dr_err_t dr_parse_double(const char *in, size_t len, double *ret)
{
    char text[DR_NUMBER_LEN_MAX + 1];

    dr_assert(ret != NULL);
    if (len == 0 || len > DR_NUMBER_LEN_MAX || memchr(in, 0, len) != NULL) {
        return DR_ERR_PROTO;
    }
    memcpy(text, in, len);
    text[len] = 0;
    if (!number_grammar(text)) {
        return DR_ERR_PROTO;
    }
    double v = strtod_l(text, NULL, c_locale());
    if (isinf(v)) {
        return DR_ERR_RANGE;
    }
    *ret = v;
    return DR_OK;
}

size_t dr_double_format(double v, char *out)
{
    int n = 0;

    dr_assert(out != NULL);
    if (isnan(v) || isinf(v)) {
        return (size_t)snprintf(out, 32, "%s", isnan(v) ? "NaN" : v > 0 ? "Infinity" : "-Infinity");
    }
    locale_t before = uselocale(c_locale());
    for (int digits = 15; digits <= 17; digits++) {
        n = snprintf(out, 32, "%.*g", digits, v);
        if (strtod(out, NULL) == v) {
            break;
        }
    }
    (void)uselocale(before);
    return (size_t)n;
}

bool dr_ct_equal(const void *a, const void *b, size_t len)
{
    const volatile uint8_t *x = a;
    const volatile uint8_t *y = b;
    uint8_t diff = 0;

    for (size_t i = 0; i < len; i++) {
        diff = (uint8_t)(diff | (x[i] ^ y[i]));
    }
    return diff == 0;
}

void dr_wipe(void *p, size_t len)
{
    if (len != 0) {
        explicit_bzero(p, len);
    }
}
