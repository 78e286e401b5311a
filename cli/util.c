/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

int cli_fail(int code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fputs("drover: ", stderr);
    (void)vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    return code;
}

void cli_print_json(const struct cli *c, const json_t *value)
{
    (void)json_dumpf(value, stdout, (c->json ? JSON_COMPACT : JSON_INDENT(2)) | JSON_ENCODE_ANY);
    fputc('\n', stdout);
}

const char *cli_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text == NULL ? "" : text;
}

char *cli_escape(const char *text)
{
    static const char hex[] = "0123456789ABCDEF";
    char *out = malloc(strlen(text) * 3 + 1);
    size_t n = 0;

    if (out == NULL) {
        return NULL;
    }
    for (const unsigned char *s = (const unsigned char *)text; *s != '\0'; s++) {
        bool plain = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
                     (*s >= '0' && *s <= '9') || strchr("-._~", *s) != NULL;
        if (plain) {
            out[n++] = (char)*s;
        } else {
            out[n++] = '%';
            out[n++] = hex[*s >> 4];
            out[n++] = hex[*s & 15];
        }
    }
    out[n] = '\0';
    return out;
}

char *cli_read_file(const char *name, size_t max, size_t *ret_len)
{
    bool standard = strcmp(name, "-") == 0;
    FILE *f = standard ? stdin : fopen(name, "rb");

    if (f == NULL) {
        (void)cli_fail(CLI_FAILED, "cannot read '%s': %s", name, strerror(errno));
        return NULL;
    }
    char *text = malloc(max + 2);
    size_t len = text == NULL ? 0 : fread(text, 1, max + 1, f);
    bool good = text != NULL && ferror(f) == 0 && len <= max;
    if (!standard) {
        (void)fclose(f);
    }
    if (!good) {
        if (text != NULL) {
            explicit_bzero(text, len);
        }
        free(text);
        (void)cli_fail(CLI_FAILED, "'%s' cannot be read or is larger than %zu bytes", name, max);
        return NULL;
    }
    text[len] = '\0';
    *ret_len = len;
    return text;
}
