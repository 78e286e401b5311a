/* SPDX-License-Identifier: Apache-2.0 */
#include "client/core/msg.h"

/*
 * Datagram:  Ver(2) T(2) TKL(4) | Code(8) | Message ID(16) | token | options | ff | payload
 *            40 01 7d 34 b2 "rd"            GET /rd, message id 0x7d34, no token
 * Stream:    Len(4) TKL(4) | length 0..4 bytes | Code | token | options | ff | payload
 *            Len counts options, marker and payload; 13 and 14 announce 1 and 2 more bytes of it
 *            20 01 b2 "rd"... has Len 3: 30 01 b2 72 64
 */

enum {
    OPT_ETAG = 4,
    OPT_OBSERVE = 6,
    OPT_LOCATION = 8,
    OPT_PATH = 11,
    OPT_FORMAT = 12,
    OPT_MAX_AGE = 14,
    OPT_QUERY = 15,
    OPT_ACCEPT = 17,
    OPT_BLOCK2 = 23,
    OPT_BLOCK1 = 27,
    OPT_SIZE2 = 28,
    OPT_PROXY_URI = 35,
    OPT_SIZE1 = 60,
    OPT_HOST = 3,
    OPT_PORT = 7,
};

void cl_msg_init(struct cl_msg *m)
{
    memset(m, 0, sizeof *m);
    m->format = m->accept = CL_ID_NONE;
    m->observe = -1;
    m->max_age = m->size1 = m->size2 = -1;
    m->payload.p = (const uint8_t *)"";
}

static bool uint_of(struct cl_bytes v, uint32_t *ret)
{
    *ret = 0;
    if (v.len > 4) {
        return false;
    }
    for (size_t i = 0; i < v.len; i++) {
        *ret = *ret << 8 | v.p[i];
    }
    return true;
}

static bool list_add(struct cl_list *list, struct cl_bytes v)
{
    if (list->count == CL_SEGMENTS_MAX) {
        return false;
    }
    list->seg[list->count++] = v;
    return true;
}

static bool block_of(struct cl_bytes v, struct cl_block *ret)
{
    uint32_t n;

    if (v.len > 3 || !uint_of(v, &n) || (n & 7) == 7) {
        return false;
    }
    *ret = (struct cl_block){
        .there = true, .more = (n & 8) != 0, .size = (uint16_t)(16u << (n & 7)), .num = n >> 4};
    return true;
}

static bool number_of(struct cl_bytes v, int64_t *ret)
{
    uint32_t n;

    if (!uint_of(v, &n)) {
        return false;
    }
    *ret = n;
    return true;
}

static bool id_of(struct cl_bytes v, uint16_t *ret)
{
    uint32_t n;

    if (!uint_of(v, &n) || n >= CL_ID_NONE) {
        return false;
    }
    *ret = (uint16_t)n;
    return true;
}

static bool observe_of(struct cl_bytes v, int32_t *ret)
{
    uint32_t n;

    if (!uint_of(v, &n) || n > 0xffffff) {
        return false;
    }
    *ret = (int32_t)n;
    return true;
}

/* False: the value is wrong or the option is not known. */
static bool option(struct cl_msg *m, uint32_t num, struct cl_bytes v)
{
    switch (num) {
    case OPT_ETAG:
        m->etag = v;
        return v.len >= 1 && v.len <= 8;
    case OPT_OBSERVE:
        return observe_of(v, &m->observe);
    case OPT_LOCATION:
        return list_add(&m->location, v);
    case OPT_PATH:
        return list_add(&m->path, v);
    case OPT_FORMAT:
        return id_of(v, &m->format);
    case OPT_MAX_AGE:
        return number_of(v, &m->max_age);
    case OPT_QUERY:
        return list_add(&m->query, v);
    case OPT_ACCEPT:
        return id_of(v, &m->accept);
    case OPT_BLOCK2:
        return block_of(v, &m->block2);
    case OPT_BLOCK1:
        return block_of(v, &m->block1);
    case OPT_SIZE2:
        return number_of(v, &m->size2);
    case OPT_PROXY_URI:
        m->proxy_uri = v;
        return true;
    case OPT_SIZE1:
        return number_of(v, &m->size1);
    case OPT_HOST:
    case OPT_PORT:
        return true;
    default:
        return false;
    }
}

/* A nibble of the option header with its extension. */
static bool extended(const uint8_t **pos, const uint8_t *end, uint32_t nibble, uint32_t *ret)
{
    size_t more = nibble == 13 ? 1 : nibble == 14 ? 2 : 0;

    if (nibble == 15 || (size_t)(end - *pos) < more) {
        return false;
    }
    *ret = nibble;
    if (more == 1) {
        *ret = (uint32_t)(*pos)[0] + 13;
    } else if (more == 2) {
        *ret = ((uint32_t)(*pos)[0] << 8 | (*pos)[1]) + 269;
    }
    *pos += more;
    return true;
}

static cl_err_t options_parse(const uint8_t *pos, const uint8_t *end, struct cl_msg *m)
{
    uint32_t num = 0;

    while (pos < end && *pos != 0xff) {
        uint32_t delta, len, head = *pos++;
        if (!extended(&pos, end, head >> 4, &delta) || !extended(&pos, end, head & 15, &len) ||
            (size_t)(end - pos) < len || num + delta > 0xffff) {
            return CL_ERR_INVAL;
        }
        num += delta;
        if (!option(m, num, (struct cl_bytes){pos, len}) && (num & 1) != 0) {
            m->bad_option = true;
        }
        pos += len;
    }
    if (pos < end) {
        if (++pos == end) { /* spec: RFC7252#3: a marker without payload is malformed */
            return CL_ERR_INVAL;
        }
        m->payload = (struct cl_bytes){pos, (size_t)(end - pos)};
    }
    return CL_OK;
}

cl_err_t cl_msg_parse(const uint8_t *in, size_t len, struct cl_msg *m)
{
    cl_msg_init(m);
    if (len < 4 || in[0] >> 6 != 1) {
        m->type = CL_RST; /* nothing is to be answered */
        return CL_ERR_INVAL;
    }
    m->type = in[0] >> 4 & 3;
    m->code = in[1];
    m->mid = (uint16_t)(in[2] << 8 | in[3]);
    m->token_len = in[0] & 15;
    if (m->code == CL_EMPTY) {
        m->token_len = 0;
        return CL_OK; /* bytes behind it do no harm */
    }
    if (m->token_len > CL_TOKEN_MAX || len < 4u + m->token_len) {
        m->token_len = 0;
        return CL_ERR_INVAL;
    }
    memcpy(m->token, in + 4, m->token_len);
    return options_parse(in + 4 + m->token_len, in + len, m);
}

struct out {
    uint8_t *pos, *end;
    uint32_t num; /**< last option */
    bool full;
};

static void bytes_put(struct out *o, const void *p, size_t len)
{
    if (o->full || (size_t)(o->end - o->pos) < len) {
        o->full = true;
        return;
    }
    if (len > 0) {
        memcpy(o->pos, p, len);
        o->pos += len;
    }
}

static uint8_t nibble(uint32_t v)
{
    return v < 13 ? (uint8_t)v : v < 269 ? 13 : 14;
}

static void extension_put(struct out *o, uint32_t v)
{
    if (v >= 269) {
        uint8_t b[2] = {(uint8_t)((v - 269) >> 8), (uint8_t)(v - 269)};
        bytes_put(o, b, 2);
    } else if (v >= 13) {
        uint8_t b = (uint8_t)(v - 13);
        bytes_put(o, &b, 1);
    }
}

static void opt_put(struct out *o, uint32_t num, const void *p, size_t len)
{
    uint32_t delta = num - o->num;
    uint8_t head = (uint8_t)(nibble(delta) << 4 | nibble((uint32_t)len));

    o->num = num;
    bytes_put(o, &head, 1);
    extension_put(o, delta);
    extension_put(o, (uint32_t)len);
    bytes_put(o, p, len);
}

static void opt_uint(struct out *o, uint32_t num, uint32_t v)
{
    uint8_t b[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
    size_t skip = 0;

    while (skip < 4 && b[skip] == 0) {
        skip++;
    }
    opt_put(o, num, b + skip, 4 - skip);
}

static void opt_list(struct out *o, uint32_t num, const struct cl_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        opt_put(o, num, list->seg[i].p, list->seg[i].len);
    }
}

static void opt_block(struct out *o, uint32_t num, const struct cl_block *b)
{
    uint32_t szx = 0;

    if (b->there) {
        while ((16u << szx) < b->size && szx < 6) {
            szx++;
        }
        opt_uint(o, num, b->num << 4 | (b->more ? 8u : 0) | szx);
    }
}

static void opt_maybe(struct out *o, uint32_t num, int64_t v)
{
    if (v >= 0) {
        opt_uint(o, num, (uint32_t)v);
    }
}

static void body_put(struct out *o, const struct cl_msg *m)
{
    if (m->etag.p != NULL) {
        opt_put(o, OPT_ETAG, m->etag.p, m->etag.len);
    }
    opt_maybe(o, OPT_OBSERVE, m->observe);
    opt_list(o, OPT_LOCATION, &m->location);
    opt_list(o, OPT_PATH, &m->path);
    opt_maybe(o, OPT_FORMAT, m->format == CL_ID_NONE ? -1 : m->format);
    opt_maybe(o, OPT_MAX_AGE, m->max_age);
    opt_list(o, OPT_QUERY, &m->query);
    opt_maybe(o, OPT_ACCEPT, m->accept == CL_ID_NONE ? -1 : m->accept);
    opt_block(o, OPT_BLOCK2, &m->block2);
    opt_block(o, OPT_BLOCK1, &m->block1);
    opt_maybe(o, OPT_SIZE2, m->size2);
    if (m->proxy_uri.p != NULL) {
        opt_put(o, OPT_PROXY_URI, m->proxy_uri.p, m->proxy_uri.len);
    }
    opt_maybe(o, OPT_SIZE1, m->size1);
    if (m->payload.len > 0) {
        bytes_put(o, "\xff", 1);
        bytes_put(o, m->payload.p, m->payload.len);
    }
}

size_t cl_msg_write(const struct cl_msg *m, uint8_t *out, size_t cap)
{
    struct out o = {.pos = out, .end = out + cap};
    uint8_t head[4] = {(uint8_t)(1 << 6 | m->type << 4 | m->token_len), m->code,
                       (uint8_t)(m->mid >> 8), (uint8_t)m->mid};

    bytes_put(&o, head, 4);
    bytes_put(&o, m->token, m->token_len);
    if (m->code != CL_EMPTY) {
        body_put(&o, m);
    }
    return o.full ? 0 : (size_t)(o.pos - out);
}

/* Length of the head (up to the code) and of what Len counts. False: more bytes needed, or *ret_len
 * is SIZE_MAX. */
static bool frame_head(const uint8_t *in, size_t len, size_t *ret_head, size_t *ret_len)
{
    *ret_len = 0;
    if (len < 1) {
        return false;
    }
    size_t nib = in[0] >> 4, more = nib < 13 ? 0 : nib == 13 ? 1 : 2;
    if (nib == 15 || (in[0] & 15) > CL_TOKEN_MAX) { /* 4 bytes of length: far over our maximum */
        *ret_len = SIZE_MAX;
        return false;
    }
    if (len < 1 + more) {
        return false;
    }
    *ret_head = 1 + more;
    *ret_len = more == 0 ? nib : more == 1 ? in[1] + 13u : (in[1] << 8 | in[2]) + 269u;
    return true;
}

size_t cl_frame_len(const uint8_t *in, size_t len)
{
    size_t head, body;

    if (!frame_head(in, len, &head, &body)) {
        return body;
    }
    size_t all = head + 1 + (in[0] & 15) + body;
    return all > CL_MSG_MAX ? SIZE_MAX : all;
}

cl_err_t cl_frame_parse(const uint8_t *in, size_t len, struct cl_msg *m)
{
    size_t head, body;

    cl_msg_init(m);
    if (cl_frame_len(in, len) != len || !frame_head(in, len, &head, &body)) {
        return CL_ERR_INVAL;
    }
    m->type = CL_CON;
    m->code = in[head];
    m->token_len = in[0] & 15;
    memcpy(m->token, in + head + 1, m->token_len);
    if (m->code >> 5 == 7) {
        return CL_OK; /* signalling has options of its own */
    }
    return options_parse(in + head + 1 + m->token_len, in + len, m);
}

size_t cl_frame_write(const struct cl_msg *m, uint8_t *out, size_t cap)
{
    enum { HEAD = 3 }; /* room for the longest head; the frame is moved to fit */
    if (cap < HEAD + 1u + m->token_len) {
        return 0;
    }
    uint8_t *code = out + HEAD;
    struct out o = {.pos = code + 1, .end = out + cap};

    *code = m->code;
    bytes_put(&o, m->token, m->token_len);
    uint8_t *from = o.pos;
    if (m->code >> 5 != 7) {
        body_put(&o, m);
    }
    if (o.full) {
        return 0;
    }
    uint32_t len = (uint32_t)(o.pos - from);
    struct out head = {.pos = out, .end = out + HEAD};
    uint8_t first = (uint8_t)(nibble(len) << 4 | m->token_len);
    bytes_put(&head, &first, 1);
    extension_put(&head, len);
    size_t all = (size_t)(o.pos - code);
    memmove(head.pos, code, all);
    return (size_t)(head.pos - out) + all;
}
