/* SPDX-License-Identifier: Apache-2.0 */
#include "client/ports/posix/credentials.h"

#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * const char NAME[] = "text";
 * const uint8_t NAME[] = { 0x30, 0x82, ... };
 * const uint32_t NAME = sizeof(OTHER) | 123;
 */

#define PREFIX     "MBED_CLOUD_DEV_"
#define SYMBOL_MAX 80

enum kind { TEXT, BYTES, NUMBER };

struct field {
    const char *name;
    enum kind kind;
    size_t offset, cap;
    size_t len_offset; /**< of bytes */
    bool needed;
};

#define TEXT_FIELD(NAME, MEMBER, NEEDED)                                                           \
    {                                                                                              \
        NAME, TEXT, offsetof(struct credentials, MEMBER), CREDENTIALS_TEXT_MAX, 0, NEEDED          \
    }
#define BYTES_FIELD(NAME, MEMBER, NEEDED)                                                          \
    {                                                                                              \
        NAME, BYTES, offsetof(struct credentials, MEMBER),                                         \
            sizeof(((struct credentials *)0)->MEMBER), offsetof(struct credentials, MEMBER##_len), \
            NEEDED                                                                                 \
    }

static const struct field fields[] = {
    TEXT_FIELD("BOOTSTRAP_ENDPOINT_NAME", endpoint, true),
    TEXT_FIELD("ACCOUNT_ID", account_id, false),
    TEXT_FIELD("BOOTSTRAP_SERVER_URI", uri, true),
    TEXT_FIELD("MANUFACTURER", manufacturer, false),
    TEXT_FIELD("MODEL_NUMBER", model, false),
    TEXT_FIELD("SERIAL_NUMBER", serial, false),
    TEXT_FIELD("DEVICE_TYPE", type, false),
    TEXT_FIELD("HARDWARE_VERSION", hardware, false),
    BYTES_FIELD("BOOTSTRAP_DEVICE_CERTIFICATE", certificate, true),
    BYTES_FIELD("BOOTSTRAP_SERVER_ROOT_CA_CERTIFICATE", authority, true),
    BYTES_FIELD("LWM2M_SERVER_ROOT_CA_CERTIFICATE", lwm2m_authority, false),
    BYTES_FIELD("BOOTSTRAP_DEVICE_PRIVATE_KEY", key, true),
    {"MEMORY_TOTAL_KB", NUMBER, offsetof(struct credentials, memory_kb), 4, 0, false},
};
enum { FIELDS = sizeof fields / sizeof fields[0] };

struct scan {
    const char *pos, *end;
    unsigned line;
    bool failed, line_begin;
    struct credentials *cred;
    bool seen[FIELDS];
    struct credentials_error *err;
};

static void wrong(struct scan *s, const char *what)
{
    if (!s->failed) {
        s->failed = true;
        s->err->line = s->line;
        snprintf(s->err->text, sizeof s->err->text, "%s", what);
    }
}

static char peek(const struct scan *s, size_t ahead)
{
    return (size_t)(s->end - s->pos) > ahead ? s->pos[ahead] : '\0';
}

static void step(struct scan *s)
{
    s->line_begin = *s->pos == '\n' || (s->line_begin && isspace((unsigned char)*s->pos));
    s->line += *s->pos == '\n' ? 1 : 0;
    s->pos++;
}

static void comment_skip(struct scan *s)
{
    bool block = peek(s, 1) == '*';

    step(s);
    step(s);
    while (s->pos < s->end && !(block ? peek(s, 0) == '*' && peek(s, 1) == '/' : *s->pos == '\n')) {
        step(s);
    }
    if (block && s->pos == s->end) {
        wrong(s, "a comment does not end");
    } else if (block) {
        step(s);
        step(s);
    }
}

/* White space, comments, and lines of the preprocessor. */
static void space_skip(struct scan *s)
{
    while (s->pos < s->end && !s->failed) {
        char c = *s->pos;
        if (c == '/' && (peek(s, 1) == '*' || peek(s, 1) == '/')) {
            comment_skip(s);
        } else if (c == '#' && s->line_begin) {
            while (s->pos < s->end && *s->pos != '\n') {
                step(s);
            }
        } else if (isspace((unsigned char)c)) {
            step(s);
        } else {
            return;
        }
    }
}

static bool accept(struct scan *s, const char *token)
{
    size_t n = strlen(token);

    space_skip(s);
    if ((size_t)(s->end - s->pos) < n || memcmp(s->pos, token, n) != 0) {
        return false;
    }
    for (; n > 0; n--) {
        step(s);
    }
    return true;
}

static void expect(struct scan *s, const char *token)
{
    if (!s->failed && !accept(s, token)) {
        char text[60];
        snprintf(text, sizeof text, "'%s' expected", token);
        wrong(s, text);
    }
}

static size_t name_take(struct scan *s, char *buf, size_t cap)
{
    size_t n = 0;

    space_skip(s);
    while (isalnum((unsigned char)peek(s, 0)) || peek(s, 0) == '_') {
        if (n + 1 == cap) {
            wrong(s, "a name is too long");
            break;
        }
        buf[n++] = *s->pos;
        step(s);
    }
    buf[n] = '\0';
    return n;
}

static unsigned long number_take(struct scan *s, unsigned long max)
{
    char text[24];
    char *rest = NULL;

    if (name_take(s, text, sizeof text) == 0 || !isdigit((unsigned char)text[0])) {
        wrong(s, "number expected");
        return 0;
    }
    unsigned long v = strtoul(text, &rest, 0);
    if (strspn(rest, "uUlL") != strlen(rest) || v > max) {
        wrong(s, "not a number, or too large");
        return 0;
    }
    return v;
}

static void text_value(struct scan *s, char *out, size_t cap)
{
    size_t n = 0;

    expect(s, "\"");
    while (!s->failed && peek(s, 0) != '"') {
        char c = peek(s, 0);
        if (c == '\0' || c == '\n') {
            wrong(s, "a text does not end");
            return;
        }
        if (c == '\\') {
            step(s);
            c = peek(s, 0);
            if (c != '"' && c != '\\') {
                wrong(s, "only \\\" and \\\\ are understood in texts");
                return;
            }
        }
        if (n + 1 == cap) {
            wrong(s, "a text is too long");
            return;
        }
        out[n++] = c;
        step(s);
    }
    out[n] = '\0';
    expect(s, "\"");
}

static void bytes_value(struct scan *s, uint8_t *out, size_t cap, uint16_t *ret_len)
{
    size_t n = 0;

    expect(s, "{");
    while (!s->failed && !accept(s, "}")) {
        uint8_t b = (uint8_t)number_take(s, 255);
        if (n == cap) {
            wrong(s, "an array is too long");
            return;
        }
        out[n++] = b;
        space_skip(s);
        if (peek(s, 0) != '}') {
            expect(s, ",");
        }
    }
    *ret_len = (uint16_t)n;
}

/* The size of an array: a number or sizeof(ARRAY). It must be right, where we keep the array. */
static void size_value(struct scan *s, const struct field *f)
{
    char name[SYMBOL_MAX];
    uint16_t len;

    memcpy(&len, (const uint8_t *)s->cred + f->len_offset, sizeof len);
    space_skip(s);
    if (isdigit((unsigned char)peek(s, 0))) {
        if (number_take(s, UINT32_MAX) != len && !s->failed) {
            wrong(s, "the size is not that of the array");
        }
        return;
    }
    expect(s, "sizeof");
    expect(s, "(");
    if (name_take(s, name, sizeof name) == 0 || strncmp(name, PREFIX, strlen(PREFIX)) != 0 ||
        strcmp(name + strlen(PREFIX), f->name) != 0) {
        wrong(s, "sizeof of the array expected");
    }
    expect(s, ")");
}

static size_t field_of(const char *name, bool *ret_size)
{
    size_t skip = strlen(PREFIX), n = strlen(name);

    *ret_size = n > skip + 5 && strcmp(name + n - 5, "_SIZE") == 0;
    if (strncmp(name, PREFIX, skip) != 0) {
        return FIELDS;
    }
    n -= skip + (*ret_size ? 5 : 0);
    for (size_t i = 0; i < FIELDS; i++) {
        if (strlen(fields[i].name) == n && memcmp(fields[i].name, name + skip, n) == 0 &&
            (!*ret_size || fields[i].kind == BYTES)) {
            return i;
        }
    }
    return FIELDS;
}

static void value_take(struct scan *s, const struct field *f)
{
    uint8_t *at = (uint8_t *)s->cred + f->offset;
    uint16_t len = 0;
    uint32_t number;

    switch (f->kind) {
    case TEXT:
        text_value(s, (char *)at, f->cap);
        break;
    case BYTES:
        bytes_value(s, at, f->cap, &len);
        memcpy((uint8_t *)s->cred + f->len_offset, &len, sizeof len);
        break;
    case NUMBER:
        number = (uint32_t)number_take(s, UINT32_MAX);
        memcpy(at, &number, sizeof number);
        break;
    }
}

static void definition(struct scan *s)
{
    static const char *const types[] = {"char", "uint8_t", "uint32_t"};
    char type[SYMBOL_MAX], name[SYMBOL_MAX];
    bool size;

    (void)name_take(s, type, sizeof type);
    if (strcmp(type, "const") != 0) {
        wrong(s, "'const' expected: only constants may be defined here");
        return;
    }
    (void)name_take(s, type, sizeof type);
    (void)name_take(s, name, sizeof name);
    size_t i = field_of(name, &size);
    if (i == FIELDS) {
        wrong(s, "a name that developer credentials do not have");
        return;
    }
    enum kind kind = size ? NUMBER : fields[i].kind;
    if (strcmp(type, types[kind]) != 0) {
        wrong(s, "another type expected");
        return;
    }
    if (kind != NUMBER) {
        expect(s, "[");
        if (isdigit((unsigned char)peek(s, 0))) {
            (void)number_take(s, UINT32_MAX);
        }
        expect(s, "]");
    }
    expect(s, "=");
    if (size) {
        size_value(s, &fields[i]);
    } else if (s->seen[i]) {
        wrong(s, "defined twice");
    } else if (!s->failed) {
        value_take(s, &fields[i]);
        s->seen[i] = true;
    }
    expect(s, ";");
}

bool credentials_parse(const char *text, size_t len, struct credentials *ret,
                       struct credentials_error *reterr)
{
    struct credentials cred = {0};
    struct scan s = {.pos = text,
                     .end = text + len,
                     .line = 1,
                     .line_begin = true,
                     .cred = &cred,
                     .err = reterr};

    if (memchr(text, '\0', len) != NULL) {
        wrong(&s, "not a text file");
    }
    for (space_skip(&s); s.pos < s.end && !s.failed; space_skip(&s)) {
        definition(&s);
    }
    s.line = 0;
    for (size_t i = 0; i < FIELDS && !s.failed; i++) {
        if (fields[i].needed && !s.seen[i]) {
            char missing[SYMBOL_MAX + 40];
            snprintf(missing, sizeof missing, PREFIX "%s is missing", fields[i].name);
            wrong(&s, missing);
        }
    }
    if (!s.failed) {
        *ret = cred;
    }
    cl_wipe(&cred, sizeof cred);
    return !s.failed;
}
