/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of YAML that manifest inputs are written in:
 *   # comment
 *   vendor:
 *     domain: example.com          nested mappings by indentation (spaces only)
 *   priority: 1                    integers, true, false; all else is a string
 *   name: "quoted"  'quoted'       with \" and \\, or '' in single quotes
 *   digest: !!binary |             the lines below, deeper indented, joined without white space
 *     SXZSUE92...
 */
#include "cli/manifest.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define DEPTH_MAX 8

struct yaml {
    const char *name; /* of the file, for messages */
    char *at;         /* next line; the text is cut into lines in place */
    unsigned number;
};

struct line {
    size_t indent;
    char *key, *value; /* value "" when a mapping follows */
    unsigned number;
};

static json_t *bad(const struct yaml *y, unsigned number, const char *why)
{
    (void)cli_fail(CLI_FAILED, "'%s' line %u: %s", y->name, number, why);
    return NULL;
}

/* Cut a comment (a '#' at the start or after a space, outside of quotes) and trailing space. */
static void trim(char *s)
{
    char quote = '\0';
    char *end = s + strlen(s);

    for (char *p = s; *p != '\0'; p++) {
        if (quote == '\0' && (*p == '"' || *p == '\'') && (p == s || p[-1] == ' ')) {
            quote = *p;
        } else if (quote != '\0' && *p == quote && !(quote == '"' && p[-1] == '\\')) {
            quote = '\0';
        } else if (quote == '\0' && *p == '#' && (p == s || p[-1] == ' ')) {
            *p = '\0';
            end = p;
            break;
        }
    }
    while (end > s && strchr(" \t\r", end[-1]) != NULL) {
        *--end = '\0';
    }
}

/* The next line that is not empty, without moving on; false at the end. */
static bool peek(struct yaml *y, size_t *ret_indent)
{
    while (*y->at != '\0') {
        char *end = y->at + strcspn(y->at, "\n");
        size_t indent = strspn(y->at, " ");
        char first = y->at[indent];
        bool blank = first == '\n' || first == '#' || first == '\0' || first == '\r' ||
                     strncmp(y->at, "---", 3) == 0 || strncmp(y->at, "...", 3) == 0;
        if (!blank) {
            *ret_indent = indent;
            return true;
        }
        y->at = *end == '\0' ? end : end + 1;
        y->number++;
    }
    return false;
}

static char *take(struct yaml *y)
{
    char *line = y->at, *end = line + strcspn(line, "\n");

    y->number++;
    y->at = *end == '\0' ? end : end + 1;
    *end = '\0';
    return line;
}

static bool split(struct yaml *y, struct line *ret)
{
    if (!peek(y, &ret->indent)) {
        return false;
    }
    char *text = take(y) + ret->indent;
    ret->number = y->number;
    ret->key = text;
    trim(text);
    char *colon = strstr(text, ": ");
    if (colon == NULL && text[0] != '\0' && text[strlen(text) - 1] == ':') {
        colon = text + strlen(text) - 1;
    }
    if (colon == NULL || colon == text || text[0] == '-' || text[0] == '\t') {
        ret->value = NULL;
        return true;
    }
    ret->value = colon + 1 + strspn(colon + 1, " ");
    *colon = '\0';
    return true;
}

/* Undo quotes in place. */
static bool unquote(char *s)
{
    size_t len = strlen(s);
    char quote = s[0], *out = s;

    if (len < 2 || s[len - 1] != quote) {
        return false;
    }
    for (char *p = s + 1; p < s + len - 1; p++) {
        if (quote == '"' && *p == '\\') {
            p++;
            if (*p != '"' && *p != '\\') {
                return false;
            }
        } else if (*p == quote) {
            p++;
            if (quote == '"' || *p != quote || p == s + len - 1) {
                return false;
            }
        }
        *out++ = *p;
    }
    *out = '\0';
    return true;
}

static json_t *scalar(const struct yaml *y, const struct line *l)
{
    int64_t n = 0;
    char *s = l->value;

    if (*s == '"' || *s == '\'') {
        return unquote(s) ? json_string(s) : bad(y, l->number, "broken quotes");
    }
    if (strchr("[{&*!|>%@`", *s) != NULL && *s != '\0') {
        return bad(y, l->number, "this form of YAML is not supported here");
    }
    if (strcmp(s, "true") == 0 || strcmp(s, "false") == 0) {
        return json_boolean(s[0] == 't');
    }
    bool digits = strspn(s + (*s == '-'), "0123456789") == strlen(s + (*s == '-'));
    bool zeros = s[*s == '-'] == '0' && s[(*s == '-') + 1] != '\0'; /* 007 stays text */
    if (digits && !zeros && dr_parse_i64(s, strlen(s), &n) == DR_OK) {
        return json_integer(n);
    }
    json_t *out = json_string(s);
    return out != NULL ? out : bad(y, l->number, "not UTF-8");
}

/* Lines deeper than @p indent, joined. */
static json_t *literal(struct yaml *y, size_t indent)
{
    struct dr_dynbuf text;
    size_t deeper = 0;

    dr_dynbuf_init(&text, MT_INPUT_MAX);
    while (peek(y, &deeper) && deeper > indent) {
        char *line = take(y) + deeper;
        trim(line);
        dr_dynbuf_append_str(&text, line);
    }
    json_t *out = json_string(dr_dynbuf_str(&text));
    dr_dynbuf_fini(&text);
    return out;
}

static json_t *mapping(struct yaml *y, size_t indent, unsigned depth)
{
    json_t *out = json_object();
    size_t next = 0;

    while (out != NULL && peek(y, &next) && next >= indent) {
        struct line l = {0};
        json_t *value = NULL;
        if (next != indent || !split(y, &l) || l.value == NULL) {
            (void)bad(y, y->number + (next != indent ? 1 : 0), "'key: value' is expected here");
        } else if (strcmp(l.value, "!!binary |") == 0) {
            value = literal(y, indent);
        } else if (l.value[0] != '\0') {
            value = scalar(y, &l);
        } else if (depth < DEPTH_MAX && peek(y, &next) && next > indent) {
            value = mapping(y, next, depth + 1);
        } else {
            (void)bad(y, l.number, "a value is missing");
        }
        if (value != NULL && json_object_get(out, l.key) != NULL) {
            json_decref(value);
            value = bad(y, l.number, "the key is there twice");
        }
        if (value == NULL || json_object_set_new(out, l.key, value) != 0) {
            json_decref(out);
            out = NULL;
        }
    }
    return out;
}

json_t *mt_load_config(const char *name)
{
    json_error_t error;
    size_t len = 0;
    json_t *out = NULL;

    char *text = cli_read_file(name, MT_INPUT_MAX, &len);
    if (text == NULL) {
        return NULL;
    }
    size_t skip = strspn(text, " \t\r\n");
    if (text[skip] == '{') {
        out = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
        if (out == NULL) {
            (void)cli_fail(CLI_FAILED, "'%s' line %d: %s", name, error.line, error.text);
        }
    } else if (strlen(text) != len) {
        (void)cli_fail(CLI_FAILED, "'%s' is not text", name);
    } else {
        struct yaml y = {.name = name, .at = text};
        size_t indent = 0;
        out = peek(&y, &indent) ? mapping(&y, indent, 0) : json_object();
        if (out != NULL && *y.at != '\0') {
            json_decref(out);
            out = bad(&y, y.number + 1, "less indented than the first line");
        }
    }
    free(text);
    return out;
}
