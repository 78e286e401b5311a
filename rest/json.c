/* SPDX-License-Identifier: Apache-2.0 */
#include "rest/json.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/ids.h"
#include "base/text.h"

/* ---- out ---- */

static void string_put(struct dr_dynbuf *out, const uint8_t *p, size_t len);

/* Comma unless this is the first in its container, then the key. */
static void begin(struct rest_json *j, const char *key)
{
    dr_assert(j != NULL && j->out != NULL);
    struct dr_dynbuf *b = j->out;
    uint8_t last = b->len == 0 ? '{' : b->p[b->len - 1];

    if (last != '{' && last != '[') {
        dr_dynbuf_append_char(b, ',');
    }
    if (key != NULL) {
        string_put(b, (const uint8_t *)key, strlen(key));
        dr_dynbuf_append_char(b, ':');
    }
}

void rest_json_object(struct rest_json *j, const char *key)
{
    begin(j, key);
    dr_dynbuf_append_char(j->out, '{');
}

void rest_json_object_end(struct rest_json *j)
{
    dr_dynbuf_append_char(j->out, '}');
}

void rest_json_array(struct rest_json *j, const char *key)
{
    begin(j, key);
    dr_dynbuf_append_char(j->out, '[');
}

void rest_json_array_end(struct rest_json *j)
{
    dr_dynbuf_append_char(j->out, ']');
}

/* Bytes of the UTF-8 sequence at p, or 0 when it is none. */
static size_t utf8_len(const uint8_t *p, size_t left)
{
    size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : p[0] >= 0xc0 ? 2 : 1;

    return n <= left && dr_utf8_valid(p, n) ? n : 0;
}

static void escape_put(struct dr_dynbuf *out, uint8_t c)
{
    static const char names[] = "\"\\\b\f\n\r\t";
    static const char letters[] = "\"\\bfnrt";
    const char *at = c == 0 ? NULL : strchr(names, c);

    if (at != NULL) {
        char esc[2] = {'\\', letters[at - names]};
        dr_dynbuf_append(out, esc, 2);
    } else {
        char esc[8];
        int n = snprintf(esc, sizeof esc, "\\u%04x", c);
        dr_dynbuf_append(out, esc, (size_t)n);
    }
}

static void string_put(struct dr_dynbuf *out, const uint8_t *p, size_t len)
{
    dr_dynbuf_append_char(out, '"');
    size_t done = 0;
    for (size_t i = 0; i < len;) {
        uint8_t c = p[i];
        if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
            i++;
            continue;
        }
        size_t n = c < 0x80 ? 0 : utf8_len(p + i, len - i);
        if (n != 0) {
            i += n;
            continue;
        }
        dr_dynbuf_append(out, p + done, i - done);
        if (c < 0x80) {
            escape_put(out, c);
        } else {
            dr_dynbuf_append(out, "\xef\xbf\xbd", 3);
        }
        done = ++i;
    }
    dr_dynbuf_append(out, p + done, len - done);
    dr_dynbuf_append_char(out, '"');
}

void rest_json_bytes(struct rest_json *j, const char *key, struct dr_bytes value)
{
    begin(j, key);
    if (value.len == 0) {
        dr_dynbuf_append(j->out, "\"\"", 2);
    } else {
        string_put(j->out, value.p, value.len);
    }
}

void rest_json_str(struct rest_json *j, const char *key, const char *value)
{
    if (value == NULL) {
        rest_json_null(j, key);
    } else {
        rest_json_bytes(j, key, dr_bytes_str(value));
    }
}

void rest_json_base64(struct rest_json *j, const char *key, struct dr_bytes value)
{
    begin(j, key);
    dr_dynbuf_append_char(j->out, '"');
    size_t n = DR_BASE64_LEN(value.len);
    /* the encoder writes a NUL behind, which is taken off again */
    uint8_t *room = dr_dynbuf_reserve(j->out, n + 1);
    if (room != NULL) {
        (void)dr_base64_encode(value.p, value.len, (char *)room);
        dr_dynbuf_truncate(j->out, j->out->len - 1);
    }
    dr_dynbuf_append_char(j->out, '"');
}

void rest_json_int(struct rest_json *j, const char *key, int64_t value)
{
    char text[24];
    int n = snprintf(text, sizeof text, "%" PRId64, value);

    begin(j, key);
    dr_dynbuf_append(j->out, text, (size_t)n);
}

void rest_json_bool(struct rest_json *j, const char *key, bool value)
{
    begin(j, key);
    dr_dynbuf_append_str(j->out, value ? "true" : "false");
}

void rest_json_null(struct rest_json *j, const char *key)
{
    begin(j, key);
    dr_dynbuf_append(j->out, "null", 4);
}

void rest_json_id(struct rest_json *j, const char *key, int64_t id)
{
    if (id <= 0) {
        rest_json_null(j, key);
        return;
    }
    char text[DR_ID_LEN + 1];
    dr_id_format(id, text);
    rest_json_bytes(j, key, dr_bytes_of(text, DR_ID_LEN));
}

void rest_json_time(struct rest_json *j, const char *key, int64_t unix_ms)
{
    if (unix_ms <= 0) {
        rest_json_null(j, key);
        return;
    }
    char text[DR_TIME_LEN + 1];
    dr_time_format(unix_ms, text);
    rest_json_bytes(j, key, dr_bytes_of(text, DR_TIME_LEN));
}

void rest_json_raw(struct rest_json *j, const char *key, struct dr_bytes json)
{
    begin(j, key);
    dr_dynbuf_append_bytes(j->out, json);
}

/* ---- in ---- */

void rest_field_error_add(struct rest_field_errors *errors, const char *name, const char *fmt, ...)
{
    dr_assert(errors != NULL && name != NULL);
    if (errors->count == REST_FIELD_ERRORS_MAX) {
        return;
    }
    struct rest_field_error *e = &errors->item[errors->count++];
    (void)snprintf(e->name, sizeof e->name, "%s", name);
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(e->message, sizeof e->message, fmt, ap);
    va_end(ap);
}

dr_err_t rest_json_parse(struct dr_bytes text, json_t **ret, struct dr_errinfo *reterr)
{
    dr_assert(ret != NULL);
    json_error_t err;
    json_t *root = json_loadb(text.len == 0 ? "" : (const char *)text.p, text.len,
                              JSON_REJECT_DUPLICATES, &err);
    if (root == NULL) {
        dr_errinfo_set(reterr, "", err.position, "%s", err.text);
        return json_error_code(&err) == json_error_out_of_memory ? DR_ERR_NOMEM : DR_ERR_PROTO;
    }
    *ret = root;
    return DR_OK;
}

static size_t characters(const char *s, size_t len)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        n += ((uint8_t)s[i] & 0xc0) != 0x80;
    }
    return n;
}

static bool is_printable(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (s[i] < ' ' || s[i] > '~') {
            return false;
        }
    }
    return true;
}

bool rest_body_str(const json_t *obj, const char *name, struct rest_str_rule rule, bool nullable,
                   const char **ret, struct rest_field_errors *errors)
{
    dr_assert(name != NULL && ret != NULL && errors != NULL);
    const json_t *v = json_object_get(obj, name);

    if (v == NULL) {
        return true;
    }
    if (json_is_null(v) && nullable) {
        *ret = NULL;
        return true;
    }
    if (!json_is_string(v)) {
        rest_field_error_add(errors, name, "must be a string");
        return false;
    }
    const char *s = json_string_value(v);
    size_t len = json_string_length(v);
    size_t n = characters(s, len);
    if (rule.max != 0 && n > rule.max) {
        rest_field_error_add(errors, name, "longer than %zu characters", rule.max);
        return false;
    }
    if (n < rule.min) {
        rest_field_error_add(errors, name, "shorter than %zu characters", rule.min);
        return false;
    }
    if (rule.printable && !is_printable(s, len)) {
        rest_field_error_add(errors, name, "only printable ASCII is allowed");
        return false;
    }
    *ret = s;
    return true;
}

bool rest_body_int(const json_t *obj, const char *name, int64_t lo, int64_t hi, int64_t *ret,
                   struct rest_field_errors *errors)
{
    dr_assert(name != NULL && ret != NULL && errors != NULL);
    const json_t *v = json_object_get(obj, name);
    int64_t n = 0;

    if (v == NULL) {
        return true;
    }
    if (json_is_integer(v)) {
        n = json_integer_value(v);
    } else if (!json_is_string(v) ||
               dr_parse_i64(json_string_value(v), json_string_length(v), &n) != DR_OK) {
        rest_field_error_add(errors, name, "must be an integer");
        return false;
    }
    if (n < lo || n > hi) {
        rest_field_error_add(errors, name, "not between %" PRId64 " and %" PRId64, lo, hi);
        return false;
    }
    *ret = n;
    return true;
}

bool rest_body_bool(const json_t *obj, const char *name, bool *ret,
                    struct rest_field_errors *errors)
{
    dr_assert(name != NULL && ret != NULL && errors != NULL);
    const json_t *v = json_object_get(obj, name);

    if (v == NULL) {
        return true;
    }
    if (json_is_boolean(v)) {
        *ret = json_is_true(v);
        return true;
    }
    if (json_is_string(v) && strcmp(json_string_value(v), "true") == 0) {
        *ret = true;
        return true;
    }
    if (json_is_string(v) && strcmp(json_string_value(v), "false") == 0) {
        *ret = false;
        return true;
    }
    rest_field_error_add(errors, name, "must be true or false");
    return false;
}
