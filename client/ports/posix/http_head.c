/* SPDX-License-Identifier: Apache-2.0 */
#include "client/ports/posix/http_head.h"

#include <string.h>
#include <strings.h>

/* Decimal digits, at least one. @return behind them, or NULL */
static const char *number(const char *p, uint64_t *ret)
{
    uint64_t v = 0;

    if (*p < '0' || *p > '9') {
        return NULL;
    }
    for (; *p >= '0' && *p <= '9'; p++) {
        if (v > (uint64_t)INT64_MAX / 10 - 1) {
            return NULL;
        }
        v = v * 10 + (uint64_t)(*p - '0');
    }
    *ret = v;
    return p;
}

/* The value when the line is this field, else NULL. */
static const char *value_of(const char *line, const char *name)
{
    size_t n = strlen(name);

    if (strncasecmp(line, name, n) != 0 || line[n] != ':') {
        return NULL;
    }
    line += n + 1;
    return line + strspn(line, " \t");
}

static bool line_end(const char *p)
{
    p += strspn(p, " \t");
    return *p == '\r' || *p == '\0';
}

static bool field_take(const char *line, struct http_head *h)
{
    const char *v = value_of(line, "Content-Length");

    if (v != NULL) {
        uint64_t length = 0;
        v = number(v, &length);
        if (v == NULL || !line_end(v) || (h->has_length && length != h->length)) {
            return false;
        }
        h->length = length;
        h->has_length = true;
    }
    v = value_of(line, "Content-Range");
    if (v != NULL) {
        v = strncasecmp(v, "bytes ", 6) == 0 ? number(v + 6, &h->from) : NULL;
        if (v == NULL || *v != '-' || h->has_range) {
            return false;
        }
        h->has_range = true;
    }
    h->encoded = h->encoded || value_of(line, "Transfer-Encoding") != NULL;
    return true;
}

bool http_head_parse(const char *text, struct http_head *ret)
{
    struct http_head h = {0};
    uint64_t status = 0;

    if (strncmp(text, "HTTP/1.", 7) != 0 || (text[7] != '0' && text[7] != '1') || text[8] != ' ') {
        return false;
    }
    const char *end = number(text + 9, &status);
    if (end != text + 12 || (*end != ' ' && *end != '\r') || status < 100 || status > 599) {
        return false;
    }
    h.status = (unsigned)status;
    for (const char *line = strstr(text, "\r\n"); line != NULL; line = strstr(line, "\r\n")) {
        line += 2;
        if (!field_take(line, &h)) {
            return false;
        }
    }
    *ret = h;
    return true;
}
