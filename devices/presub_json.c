/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/presub_json.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 256

static void string_write(struct dr_dynbuf *out, const char *s)
{
    dr_dynbuf_append_char(out, '"');
    for (; *s != '\0'; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\') {
            dr_dynbuf_append_char(out, '\\');
            dr_dynbuf_append_char(out, (char)c);
        } else if (c < 0x20) {
            dr_dynbuf_printf(out, "\\u%04x", c);
        } else {
            dr_dynbuf_append_char(out, (char)c);
        }
    }
    dr_dynbuf_append_char(out, '"');
}

dr_err_t dev_presub_write(const struct dev_presubscription *p, struct dr_dynbuf *out)
{
    const char *sep = "";

    dr_dynbuf_append_char(out, '{');
    if (p->endpoint != NULL && p->endpoint[0] != '\0') {
        dr_dynbuf_append_str(out, "\"endpoint-name\":");
        string_write(out, p->endpoint);
        sep = ",";
    }
    if (p->endpoint_type != NULL && p->endpoint_type[0] != '\0') {
        dr_dynbuf_append_str(out, sep);
        dr_dynbuf_append_str(out, "\"endpoint-type\":");
        string_write(out, p->endpoint_type);
        sep = ",";
    }
    dr_dynbuf_append_str(out, sep);
    dr_dynbuf_append_str(out, "\"resource-path\":[");
    for (size_t i = 0; i < p->n_paths; i++) {
        if (i != 0) {
            dr_dynbuf_append_char(out, ',');
        }
        string_write(out, p->paths[i]);
    }
    dr_dynbuf_append_str(out, "]}");
    return dr_dynbuf_err(out);
}

static void blanks_skip(const char **at)
{
    while (**at == ' ' || **at == '\n' || **at == '\t' || **at == '\r') {
        (*at)++;
    }
}

static bool token_take(const char **at, char c)
{
    blanks_skip(at);
    if (**at != c) {
        return false;
    }
    (*at)++;
    return true;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool escape_read(const char **at, char *ret)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    const char *p = *at;

    if (*p == 'u') {
        int v = 0;
        for (int i = 1; i <= 4; i++) {
            int d = hex_value(p[i]);
            if (d < 0) {
                return false;
            }
            v = v * 16 + d;
        }
        if (v == 0 || v > 0x7f) {
            return false; /* we escape control characters only */
        }
        *ret = (char)v;
        *at = p + 5;
        return true;
    }
    const char *f = *p == '\0' ? NULL : strchr(from, *p);
    if (f == NULL) {
        return false;
    }
    *ret = to[f - from];
    *at = p + 1;
    return true;
}

static dr_err_t string_read(const char **at, char out[TEXT_MAX])
{
    size_t n = 0;

    if (!token_take(at, '"')) {
        return DR_ERR_CORRUPT;
    }
    while (**at != '"') {
        char c = **at;
        if (c == '\0' || n == TEXT_MAX - 1) {
            return DR_ERR_CORRUPT;
        }
        (*at)++;
        if (c == '\\' && !escape_read(at, &c)) {
            return DR_ERR_CORRUPT;
        }
        out[n++] = c;
    }
    (*at)++;
    out[n] = '\0';
    return DR_OK;
}

static dr_err_t paths_read(const char **at, struct dev_presub *p)
{
    char text[TEXT_MAX];

    if (!token_take(at, '[')) {
        return DR_ERR_CORRUPT;
    }
    if (token_take(at, ']')) {
        return DR_OK;
    }
    do {
        dr_err_t err = string_read(at, text);
        if (err != DR_OK) {
            return err;
        }
        if (p->n_paths == DEV_PRESUBSCRIPTION_PATHS_MAX) {
            return DR_ERR_CORRUPT;
        }
        char **paths = realloc(p->paths, (p->n_paths + 1) * sizeof *paths);
        if (paths == NULL) {
            return DR_ERR_NOMEM;
        }
        p->paths = paths;
        paths[p->n_paths] = strdup(text);
        if (paths[p->n_paths] == NULL) {
            return DR_ERR_NOMEM;
        }
        p->n_paths++;
    } while (token_take(at, ','));
    return token_take(at, ']') ? DR_OK : DR_ERR_CORRUPT;
}

static dr_err_t member_read(const char **at, struct dev_presub *p)
{
    char name[TEXT_MAX], text[TEXT_MAX];
    dr_err_t err = string_read(at, name);

    if (err != DR_OK || !token_take(at, ':')) {
        return DR_ERR_CORRUPT;
    }
    if (strcmp(name, "resource-path") == 0) {
        return p->paths != NULL ? DR_ERR_CORRUPT : paths_read(at, p);
    }
    char **to = strcmp(name, "endpoint-name") == 0   ? &p->endpoint
                : strcmp(name, "endpoint-type") == 0 ? &p->type
                                                     : NULL;
    err = string_read(at, text);
    if (err != DR_OK || to == NULL || *to != NULL) {
        return DR_ERR_CORRUPT;
    }
    *to = strdup(text);
    return *to == NULL ? DR_ERR_NOMEM : DR_OK;
}

dr_err_t dev_presub_read(const char *json, struct dev_presub *ret)
{
    const char *at = json;
    struct dev_presub p = {0};
    dr_err_t err = token_take(&at, '{') ? DR_OK : DR_ERR_CORRUPT;

    if (err == DR_OK && !token_take(&at, '}')) {
        do {
            err = member_read(&at, &p);
        } while (err == DR_OK && token_take(&at, ','));
        if (err == DR_OK && !token_take(&at, '}')) {
            err = DR_ERR_CORRUPT;
        }
    }
    blanks_skip(&at);
    if (err == DR_OK && *at != '\0') {
        err = DR_ERR_CORRUPT;
    }
    if (err == DR_OK && p.endpoint == NULL) {
        p.endpoint = strdup("");
    }
    if (err == DR_OK && p.type == NULL) {
        p.type = strdup("");
    }
    if (err == DR_OK && (p.endpoint == NULL || p.type == NULL)) {
        err = DR_ERR_NOMEM;
    }
    if (err != DR_OK) {
        dev_presub_fini(&p);
        return err;
    }
    *ret = p;
    return DR_OK;
}

void dev_presub_fini(struct dev_presub *p)
{
    for (size_t i = 0; i < p->n_paths; i++) {
        free(p->paths[i]);
    }
    free(p->paths);
    free(p->endpoint);
    free(p->type);
    *p = (struct dev_presub){0};
}
