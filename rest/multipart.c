/* SPDX-License-Identifier: Apache-2.0 */
/*
 *     preamble CRLF --B CRLF header CRLF CRLF bytes CRLF --B CRLF ... bytes CRLF --B-- epilogue
 *
 *     --B\r\n
 *     Content-Disposition: form-data; name="datafile"; filename="a.bin"\r\n
 *     \r\n
 *     <bytes>\r\n
 *     --B--\r\n
 *
 * The delimiter is CRLF--B: the CR stands at its beginning only, so after a mismatch what had
 * matched is plain bytes and at most the present byte begins anew. At the start of the body the
 * first CRLF counts as seen.
 */
#include "rest/multipart.h"

#include <string.h>
#include <strings.h>

#include "base/text.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* ---- parameters: ; name=value or ; name="va\"lue" ---- */

/* Token characters, and what lax senders leave unquoted. */
static size_t token_len(const char *p)
{
    return strcspn(p, " \t;\"=,\r\n");
}

/*
 * The next parameter of *text. The quoting of file names is what browsers do: only \" and \\ are
 * escapes, so that C:\dir\a.bin survives.
 */
static bool param_next(const char **text, const char **ret_name, size_t *ret_name_len, char *value,
                       size_t cap, bool *ret_fits)
{
    const char *p = *text + strspn(*text, " \t;");
    size_t n = 0;

    size_t name_len = token_len(p);

    *ret_name = p;
    *ret_name_len = name_len;
    p += name_len;
    p += strspn(p, " \t");
    if (name_len == 0 || *p != '=') {
        return false;
    }
    p++;
    p += strspn(p, " \t");
    bool quoted = *p == '"';
    p += quoted;
    while (*p != '\0' && (quoted ? *p != '"' : strchr(" \t;", *p) == NULL)) {
        if (quoted && p[0] == '\\' && (p[1] == '"' || p[1] == '\\')) {
            p++;
        }
        if (n + 1 < cap) {
            value[n] = *p;
        }
        n++;
        p++;
    }
    if (quoted && *p++ != '"') {
        return false;
    }
    *ret_fits = n < cap;
    value[n < cap ? n : cap - 1] = '\0';
    *text = p;
    return true;
}

static bool name_is(const char *name, size_t len, const char *want)
{
    return len == strlen(want) && strncasecmp(name, want, len) == 0;
}

static bool boundary_ok(const char *b)
{
    static const char others[] = "'()+_,-./:=? ";
    size_t len = strlen(b);

    if (len == 0 || len > REST_MULTIPART_BOUNDARY_MAX || b[len - 1] == ' ') {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        bool alnum = (b[i] >= '0' && b[i] <= '9') || (b[i] >= 'a' && b[i] <= 'z') ||
                     (b[i] >= 'A' && b[i] <= 'Z');
        if (!alnum && strchr(others, b[i]) == NULL) {
            return false;
        }
    }
    return true;
}

dr_err_t rest_multipart_init(struct rest_multipart *m, const char *content_type,
                             const struct rest_multipart_ops *ops, void *data)
{
    static const char type[] = "multipart/form-data";
    char boundary[REST_MULTIPART_BOUNDARY_MAX + 2] = "";
    const char *name;
    size_t len;
    bool fits;

    dr_assert(m != NULL && ops != NULL);
    if (content_type == NULL || strncasecmp(content_type, type, sizeof type - 1) != 0) {
        return DR_ERR_UNSUPPORTED;
    }
    const char *p = content_type + sizeof type - 1;
    if (*p != '\0' && *p != ';' && !is_blank(*p)) {
        return DR_ERR_UNSUPPORTED;
    }
    char value[sizeof boundary];
    bool found = false;
    while (param_next(&p, &name, &len, value, sizeof value, &fits)) {
        if (name_is(name, len, "boundary") && !found) {
            memcpy(boundary, value, sizeof boundary);
            found = fits;
        }
    }
    if (!found || !boundary_ok(boundary)) {
        return DR_ERR_PROTO;
    }
    *m = (struct rest_multipart){.ops = ops, .data = data, .state = REST_MULTIPART_PREAMBLE};
    m->delimiter_len = 4 + strlen(boundary);
    memcpy(m->delimiter, "\r\n--", 4);
    memcpy(m->delimiter + 4, boundary, m->delimiter_len - 4);
    m->matched = 2;
    return DR_OK;
}

/* ---- headers of a part ---- */

/* Directories that some senders leave in the name are not ours to know. */
static void filename_put(struct rest_part *part, const char *value)
{
    const char *slash = strrchr(value, '/');
    const char *back = strrchr(value, '\\');
    const char *from = slash == NULL ? value : slash + 1;

    from = back != NULL && back >= from ? back + 1 : from;
    part->has_filename = true;
    memcpy(part->filename, from, strlen(from) + 1);
}

static dr_err_t disposition(struct rest_multipart *m, const char *text)
{
    char value[REST_MULTIPART_FILE_MAX + 1];
    const char *name;
    size_t len;
    bool fits, named = false;
    size_t type = token_len(text);

    if (!name_is(text, type, "form-data")) {
        return DR_ERR_PROTO;
    }
    text += type;
    while (param_next(&text, &name, &len, value, sizeof value, &fits)) {
        if (name_is(name, len, "name")) {
            if (named || !fits || strlen(value) > REST_MULTIPART_NAME_MAX) {
                return DR_ERR_PROTO;
            }
            memcpy(m->part.name, value, strlen(value) + 1);
            named = true;
        } else if (name_is(name, len, "filename")) {
            if (!fits || !dr_utf8_valid(value, strlen(value))) {
                return DR_ERR_PROTO;
            }
            filename_put(&m->part, value);
        }
    }
    return named && text[strspn(text, " \t;")] == '\0' ? DR_OK : DR_ERR_PROTO;
}

/* "Name: value" without its CRLF, NUL-terminated. */
static dr_err_t header_line(struct rest_multipart *m, char *line)
{
    char *colon = strchr(line, ':');

    if (colon == NULL || colon == line) {
        return DR_ERR_PROTO;
    }
    char *value = colon + 1 + strspn(colon + 1, " \t");
    size_t len = (size_t)(colon - line);
    if (name_is(line, len, "Content-Disposition")) {
        return disposition(m, value);
    }
    if (name_is(line, len, "Content-Transfer-Encoding")) {
        size_t n = token_len(value);
        bool plain =
            name_is(value, n, "binary") || name_is(value, n, "8bit") || name_is(value, n, "7bit");
        return plain ? DR_OK : DR_ERR_UNSUPPORTED;
    }
    return DR_OK; /* Content-Type and what else there may be: of no interest */
}

static dr_err_t headers_done(struct rest_multipart *m)
{
    m->part = (struct rest_part){0};
    if (memchr(m->header, '\0', m->header_len) != NULL) {
        return DR_ERR_PROTO;
    }
    m->header[m->header_len - 2] = '\0'; /* the empty line */
    for (char *p = m->header; *p != '\0';) {
        char *end = strstr(p, "\r\n"); /* each line has its CRLF still */
        if (end == NULL) {
            return DR_ERR_PROTO;
        }
        *end = '\0';
        dr_err_t err = header_line(m, p);
        if (err != DR_OK) {
            return err;
        }
        p = end + 2;
    }
    if (m->part.name[0] == '\0') {
        return DR_ERR_PROTO;
    }
    if (m->parts++ == REST_MULTIPART_PARTS_MAX) {
        return DR_ERR_LIMIT;
    }
    m->state = REST_MULTIPART_BODY;
    m->matched = 0;
    return m->ops->begin(m->data, &m->part);
}

static dr_err_t header_byte(struct rest_multipart *m, char c)
{
    if (m->header_len == sizeof m->header) {
        return DR_ERR_LIMIT;
    }
    m->header[m->header_len++] = c;
    size_t n = m->header_len;
    const char *tail = m->header + n;
    bool empty = n == 2 && memcmp(m->header, "\r\n", 2) == 0;
    bool last = n >= 4 && memcmp(tail - 4, "\r\n\r\n", 4) == 0;
    return empty || last ? headers_done(m) : DR_OK;
}

/* ---- delimiters ---- */

/* Behind a delimiter: "--", or blanks and CRLF. */
static dr_err_t after_byte(struct rest_multipart *m, char c)
{
    if (m->after_len == 0 && is_blank(c)) {
        m->after[0] = ' ';
        return DR_OK;
    }
    if (m->after_len == 0) {
        bool dash = c == '-' && m->after[0] != ' ';
        m->after[m->after_len++] = c;
        return dash || c == '\r' ? DR_OK : DR_ERR_PROTO;
    }
    if (m->after[0] == '-' && c == '-') {
        m->state = REST_MULTIPART_DONE;
        return DR_OK;
    }
    if (m->after[0] != '\r' || c != '\n') {
        return DR_ERR_PROTO;
    }
    m->state = REST_MULTIPART_HEADER;
    m->header_len = 0;
    return DR_OK;
}

static dr_err_t put(struct rest_multipart *m, const void *p, size_t len)
{
    return len == 0 || m->state != REST_MULTIPART_BODY
               ? DR_OK
               : m->ops->bytes(m->data, dr_bytes_of(p, len));
}

static dr_err_t delimiter_done(struct rest_multipart *m)
{
    bool part = m->state == REST_MULTIPART_BODY;

    m->state = REST_MULTIPART_AFTER;
    m->after_len = 0;
    m->after[0] = '\0';
    return part ? m->ops->end(m->data) : DR_OK;
}

/* Bytes of the preamble or a part up to the end of @p in or of a delimiter. @return how many */
static size_t scan(struct rest_multipart *m, struct dr_bytes in, dr_err_t *reterr)
{
    const uint8_t *p = in.p;
    const uint8_t *end = in.p + in.len;

    while (p < end && *reterr == DR_OK) {
        if (m->matched == 0) {
            const uint8_t *cr = memchr(p, '\r', (size_t)(end - p));
            const uint8_t *to = cr == NULL ? end : cr;
            *reterr = put(m, p, (size_t)(to - p));
            m->matched = cr != NULL;
            p = cr == NULL ? end : cr + 1;
        } else if (*p == (uint8_t)m->delimiter[m->matched]) {
            p++;
            if (++m->matched == m->delimiter_len) {
                *reterr = delimiter_done(m);
                return (size_t)(p - in.p);
            }
        } else {
            *reterr = put(m, m->delimiter, m->matched);
            m->matched = 0; /* and look at this byte again */
        }
    }
    return (size_t)(p - in.p);
}

dr_err_t rest_multipart_feed(struct rest_multipart *m, struct dr_bytes piece)
{
    dr_assert(m != NULL && (piece.p != NULL || piece.len == 0));
    size_t at = 0;

    while (m->err == DR_OK && at < piece.len && m->state != REST_MULTIPART_DONE) {
        char c = (char)piece.p[at];
        switch (m->state) {
        case REST_MULTIPART_PREAMBLE:
        case REST_MULTIPART_BODY:
            at += scan(m, dr_bytes_of(piece.p + at, piece.len - at), &m->err);
            break;
        case REST_MULTIPART_AFTER:
            m->err = after_byte(m, c);
            at++;
            break;
        case REST_MULTIPART_HEADER:
            m->err = header_byte(m, c);
            at++;
            break;
        case REST_MULTIPART_DONE:
            break;
        }
    }
    return m->err;
}

dr_err_t rest_multipart_finish(const struct rest_multipart *m)
{
    dr_assert(m != NULL);
    if (m->err != DR_OK) {
        return m->err;
    }
    return m->state == REST_MULTIPART_DONE ? DR_OK : DR_ERR_PROTO;
}
