/* SPDX-License-Identifier: Apache-2.0 */
/** Messages of RFC 7252 as the client writes and reads them, and lines of JSON. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/peers/pelion.h"

static bool ext(const uint8_t **p, const uint8_t *end, unsigned *v)
{
    unsigned extra = *v == 13 ? 1 : *v == 14 ? 2 : 0;

    if (*v == 15 || (size_t)(end - *p) < extra) {
        return false;
    }
    if (extra == 1) {
        *v = 13u + (*p)[0];
    } else if (extra == 2) {
        *v = 269u + ((unsigned)(*p)[0] << 8 | (*p)[1]);
    }
    *p += extra;
    return true;
}

bool msg_parse(const uint8_t *in, size_t len, struct msg *m)
{
    const uint8_t *p = in + 4, *end = in + len;
    unsigned num = 0;

    memset(m, 0, sizeof *m);
    if (len < 4 || in[0] >> 6 != 1 || (in[0] & 15) > 8) {
        return false;
    }
    m->type = in[0] >> 4 & 3;
    m->tkl = in[0] & 15;
    m->code = in[1];
    m->mid = (unsigned)in[2] << 8 | in[3];
    if ((size_t)(end - p) < m->tkl) {
        return false;
    }
    memcpy(m->token, p, m->tkl);
    p += m->tkl;
    while (p < end && *p != 0xff) {
        unsigned delta = *p >> 4, n = *p & 15;
        p++;
        if (!ext(&p, end, &delta) || !ext(&p, end, &n) || (size_t)(end - p) < n ||
            m->n == OPTS_MAX) {
            return false;
        }
        num += delta;
        m->opts[m->n++] = (struct opt){num, n, p};
        p += n;
    }
    if (p < end) {
        m->payload = p + 1;
        m->len = (size_t)(end - p - 1);
        return m->len != 0;
    }
    return true;
}

const struct opt *msg_opt(const struct msg *m, unsigned num)
{
    for (unsigned i = 0; i < m->n; i++) {
        if (m->opts[i].num == num) {
            return &m->opts[i];
        }
    }
    return NULL;
}

long msg_int(const struct msg *m, unsigned num)
{
    const struct opt *o = msg_opt(m, num);
    long v = 0;

    if (o == NULL) {
        return -1;
    }
    for (unsigned i = 0; i < o->len; i++) {
        v = v << 8 | o->val[i];
    }
    return v;
}

void msg_path(const struct msg *m, unsigned num, char *out, size_t cap)
{
    size_t at = 0;

    out[0] = '\0';
    for (unsigned i = 0; i < m->n; i++) {
        if (m->opts[i].num != num || at + m->opts[i].len + 2 > cap) {
            continue;
        }
        if (at != 0) {
            out[at++] = num == O_QUERY ? '&' : '/';
        }
        memcpy(out + at, m->opts[i].val, m->opts[i].len);
        at += m->opts[i].len;
        out[at] = '\0';
    }
}

void wr_begin(struct wr *w, unsigned type, unsigned code, unsigned mid, const uint8_t *token,
              unsigned tkl)
{
    w->buf[0] = (uint8_t)(0x40 | type << 4 | tkl);
    w->buf[1] = (uint8_t)code;
    w->buf[2] = (uint8_t)(mid >> 8);
    w->buf[3] = (uint8_t)mid;
    if (tkl != 0) {
        memcpy(w->buf + 4, token, tkl);
    }
    w->len = 4 + tkl;
    w->last = 0;
}

static unsigned nibble(struct wr *w, size_t *at, unsigned v)
{
    if (v < 13) {
        return v;
    }
    if (v < 269) {
        w->buf[(*at)++] = (uint8_t)(v - 13);
        return 13;
    }
    w->buf[(*at)++] = (uint8_t)((v - 269) >> 8);
    w->buf[(*at)++] = (uint8_t)(v - 269);
    return 14;
}

void wr_opt(struct wr *w, unsigned num, const void *val, size_t len)
{
    size_t at = w->len + 1;

    if (w->len + len + 5 > sizeof w->buf) {
        fail("message too long", 0);
        return;
    }
    unsigned d = nibble(w, &at, num - w->last);
    unsigned n = nibble(w, &at, (unsigned)len);
    w->buf[w->len] = (uint8_t)(d << 4 | n);
    if (len != 0) {
        memcpy(w->buf + at, val, len);
    }
    w->len = at + len;
    w->last = num;
}

void wr_int(struct wr *w, unsigned num, unsigned long v)
{
    uint8_t b[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
    unsigned skip = 0;

    while (skip < 4 && b[skip] == 0) {
        skip++;
    }
    wr_opt(w, num, b + skip, 4 - skip);
}

void wr_payload(struct wr *w, const void *p, size_t len)
{
    if (len == 0) {
        return;
    }
    if (w->len + len + 1 > sizeof w->buf) {
        fail("message too long", 0);
        return;
    }
    w->buf[w->len++] = 0xff;
    memcpy(w->buf + w->len, p, len);
    w->len += len;
}

/* ---- events ---- */

static void quoted(const char *s)
{
    putchar('"');
    for (; *s != '\0'; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\') {
            printf("\\%c", c);
        } else if (c < 0x20 || c > 0x7e) {
            printf("\\u%04x", c);
        } else {
            putchar(c);
        }
    }
    putchar('"');
}

void ev(const char *name)
{
    printf("{\"ev\": ");
    quoted(name);
}

void ev_str(const char *key, const char *val)
{
    printf(", \"%s\": ", key);
    quoted(val);
}

void ev_num(const char *key, long val)
{
    printf(", \"%s\": %ld", key, val);
}

void ev_hex(const char *key, const void *p, size_t len)
{
    printf(", \"%s\": \"", key);
    for (size_t i = 0; i < len; i++) {
        printf("%02x", ((const uint8_t *)p)[i]);
    }
    putchar('"');
}

void ev_code(unsigned code)
{
    printf(", \"code\": \"%u.%02u\"", code >> 5, code & 31);
}

void ev_end(void)
{
    printf("}\n");
    fflush(stdout);
}

void fail(const char *what, int code)
{
    ev("failed");
    ev_str("what", what);
    ev_num("error", code);
    ev_end();
}

uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}
