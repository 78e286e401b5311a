/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A CoAP message over UDP or DTLS:
 *
 *   | Ver 2 bits = 1 | T 2 | TKL 4 | Code 8 | Message ID 16 | token | options | ff payload |
 *
 * An option is one byte of two nibbles, delta of the number and length, each with 13 = one more
 * byte (plus 13), 14 = two more bytes (plus 269); 15 is the payload marker (ff) or an error.
 *
 * Example: 44 02 12 34 a1 a2 a3 a4 b2 72 64 = CON POST, id 1234, a token of 4 bytes, Uri-Path "rd".
 */
#include "coap/pdu.h"

#include <string.h>

enum value_kind { OPAQUE, UINT, REPEATED };

/* What the length of a known option may be, and whether it may stand more than once. */
struct option_rule {
    uint16_t min, max;
    enum value_kind kind;
};

/* spec: RFC7252#5.10 RFC7959#2.1 RFC7641#2 RFC9175#2.2.1 RFC7967#2; false: not known to us */
static bool rule_find(uint32_t num, struct option_rule *ret)
{
    switch (num) {
    case CX_OPT_IF_MATCH:
        *ret = (struct option_rule){0, 8, REPEATED};
        return true;
    case CX_OPT_ETAG:
        *ret = (struct option_rule){1, 8, REPEATED};
        return true;
    case CX_OPT_URI_HOST:
    case CX_OPT_PROXY_SCHEME:
        *ret = (struct option_rule){1, 255, OPAQUE};
        return true;
    case CX_OPT_IF_NONE_MATCH:
        *ret = (struct option_rule){0, 0, OPAQUE};
        return true;
    case CX_OPT_LOCATION_PATH:
    case CX_OPT_LOCATION_QUERY:
    case CX_OPT_URI_PATH:
    case CX_OPT_URI_QUERY:
        *ret = (struct option_rule){0, 255, REPEATED};
        return true;
    case CX_OPT_URI_PORT:
    case CX_OPT_CONTENT_FORMAT:
    case CX_OPT_ACCEPT:
        *ret = (struct option_rule){0, 2, UINT};
        return true;
    case CX_OPT_OBSERVE:
    case CX_OPT_BLOCK1:
    case CX_OPT_BLOCK2:
        *ret = (struct option_rule){0, 3, UINT};
        return true;
    case CX_OPT_MAX_AGE:
    case CX_OPT_SIZE1:
    case CX_OPT_SIZE2:
        *ret = (struct option_rule){0, 4, UINT};
        return true;
    case CX_OPT_PROXY_URI:
        *ret = (struct option_rule){1, 1034, OPAQUE};
        return true;
    case CX_OPT_ECHO:
        *ret = (struct option_rule){1, 40, OPAQUE};
        return true;
    case CX_OPT_NO_RESPONSE:
        *ret = (struct option_rule){0, 1, UINT};
        return true;
    case CX_OPT_REQUEST_TAG:
        *ret = (struct option_rule){0, 8, REPEATED};
        return true;
    default:
        return false;
    }
}

/* One option off the cursor. Each of the two nibbles may ask for more bytes. */
static uint32_t nibble_extend(struct dr_rd *rd, uint8_t nibble)
{
    switch (nibble) {
    case 13:
        return 13u + dr_rd_u8(rd);
    case 14:
        return 269u + dr_rd_u16(rd);
    case 15:
        rd->failed = true;
        return 0;
    default:
        return nibble;
    }
}

static bool option_read(struct dr_rd *rd, uint32_t *num, struct cx_opt *ret)
{
    uint8_t head = dr_rd_u8(rd);
    uint32_t delta = nibble_extend(rd, head >> 4);
    uint32_t len = nibble_extend(rd, head & 15);
    struct dr_bytes val = dr_rd_bytes(rd, len);

    if (!dr_rd_ok(rd) || *num + delta > UINT16_MAX || len > UINT16_MAX) {
        return false;
    }
    *num += delta;
    *ret = (struct cx_opt){.num = (uint16_t)*num, .len = (uint16_t)len, .val = val.p};
    return true;
}

static uint32_t value_be(const struct cx_opt *opt)
{
    uint32_t v = 0;
    for (uint16_t i = 0; i < opt->len; i++) {
        v = v << 8 | opt->val[i];
    }
    return v;
}

/* Numbers that the message layer and its users look at often, once known to be well formed. */
static void number_keep(struct cx_pdu *pdu, const struct cx_opt *opt)
{
    switch (opt->num) {
    case CX_OPT_OBSERVE:
        pdu->observe = (int32_t)value_be(opt);
        break;
    case CX_OPT_CONTENT_FORMAT:
        pdu->content_format = (int32_t)value_be(opt);
        break;
    case CX_OPT_ACCEPT:
        pdu->accept = (int32_t)value_be(opt);
        break;
    case CX_OPT_BLOCK1:
        pdu->block1 = (int32_t)value_be(opt);
        break;
    case CX_OPT_BLOCK2:
        pdu->block2 = (int32_t)value_be(opt);
        break;
    case CX_OPT_SIZE1:
        pdu->size1 = value_be(opt);
        break;
    case CX_OPT_SIZE2:
        pdu->size2 = value_be(opt);
        break;
    case CX_OPT_MAX_AGE:
        pdu->max_age = value_be(opt);
        break;
    default:
        break;
    }
}

/* DR_ERR_PROTO: not a message. DR_ERR_UNSUPPORTED: read to the end, but something critical is bad.
 */
static dr_err_t options_read(struct dr_rd *rd, struct cx_pdu *pdu)
{
    dr_err_t err = DR_OK;
    uint32_t num = 0;
    bool first = true;

    pdu->opts = rd->p;
    while (dr_rd_left(rd) > 0 && *rd->p != 0xff) {
        uint32_t before = num;
        struct cx_opt opt;
        if (!option_read(rd, &num, &opt)) {
            return DR_ERR_PROTO;
        }
        struct option_rule rule;
        bool again = !first && num == before;
        first = false;
        if (rule_find(num, &rule) && opt.len >= rule.min && opt.len <= rule.max &&
            !(again && rule.kind != REPEATED)) {
            number_keep(pdu, &opt);
        } else if ((num & 1) != 0) {
            err = DR_ERR_UNSUPPORTED; /* spec: RFC7252#5.4.1 RFC7252#5.4.5 */
        }
    }
    pdu->opts_len = (size_t)(rd->p - pdu->opts);
    return err;
}

/* Token, options and payload; what stands in front of them is in @p pdu already. */
static dr_err_t body_read(struct dr_rd *rd, struct cx_pdu *pdu)
{
    if (pdu->token_len > CX_TOKEN_MAX) {
        return DR_ERR_PROTO;
    }
    dr_rd_copy(rd, pdu->token, pdu->token_len);
    if (!dr_rd_ok(rd)) {
        return DR_ERR_PROTO;
    }
    dr_err_t err = options_read(rd, pdu);
    if (err == DR_ERR_PROTO) {
        return err;
    }
    if (dr_rd_left(rd) > 0) {
        dr_rd_skip(rd, 1);
        if (dr_rd_left(rd) == 0) {
            return DR_ERR_PROTO; /* a marker and nothing behind it; spec: RFC7252#3 */
        }
        pdu->payload_len = dr_rd_left(rd);
        pdu->payload = dr_rd_rest(rd).p;
    }
    return err;
}

static struct cx_pdu pdu_of(uint8_t type, uint8_t code, uint8_t token_len, uint16_t mid)
{
    return (struct cx_pdu){
        .type = type,
        .code = code,
        .token_len = token_len,
        .mid = mid,
        .observe = -1,
        .content_format = -1,
        .accept = -1,
        .block1 = -1,
        .block2 = -1,
        .size1 = -1,
        .size2 = -1,
        .max_age = -1,
    };
}

dr_err_t cx_pdu_decode(const uint8_t *in, size_t len, struct cx_pdu *ret)
{
    dr_assert(ret != NULL && (in != NULL || len == 0));
    struct dr_rd rd = dr_rd_of(in, len);
    uint8_t head = dr_rd_u8(&rd);
    uint8_t code = dr_rd_u8(&rd);
    struct cx_pdu pdu = pdu_of((head >> 4) & 3, code, head & 15, dr_rd_u16(&rd));

    if (!dr_rd_ok(&rd) || head >> 6 != 1) {
        return DR_ERR_PROTO;
    }
    if (pdu.code == CX_EMPTY) {
        /* Pelion clients put a stray option behind an empty ACK; spec: RFC7252#4.1 forbids it. */
        bool answer = pdu.type == CX_ACK || pdu.type == CX_RST;
        if (!answer && (pdu.token_len != 0 || dr_rd_left(&rd) != 0)) {
            return DR_ERR_PROTO;
        }
        pdu.token_len = 0;
        *ret = pdu;
        return DR_OK;
    }
    dr_err_t err = body_read(&rd, &pdu);
    if (err != DR_ERR_PROTO) {
        *ret = pdu;
    }
    return err;
}

dr_err_t cx_pdu_decode_frame(uint8_t code, uint8_t token_len, const uint8_t *rest, size_t len,
                             struct cx_pdu *ret)
{
    dr_assert(ret != NULL && (rest != NULL || len == 0));
    struct dr_rd rd = dr_rd_of(rest, len);
    struct cx_pdu pdu = pdu_of(CX_CON, code, token_len, 0);

    dr_err_t err = body_read(&rd, &pdu);
    if (err != DR_ERR_PROTO) {
        *ret = pdu;
    }
    return err;
}

bool cx_pdu_peek(const uint8_t *in, size_t len, uint8_t *ret_type, uint16_t *ret_mid)
{
    dr_assert(ret_type != NULL && ret_mid != NULL && (in != NULL || len == 0));
    struct dr_rd rd = dr_rd_of(in, len);
    uint8_t head = dr_rd_u8(&rd);
    dr_rd_skip(&rd, 1);
    uint16_t mid = dr_rd_u16(&rd);

    if (!dr_rd_ok(&rd) || head >> 6 != 1) {
        return false;
    }
    *ret_type = (head >> 4) & 3;
    *ret_mid = mid;
    return true;
}

struct cx_opt_iter cx_opt_begin(const struct cx_pdu *pdu)
{
    dr_assert(pdu != NULL);
    return (struct cx_opt_iter){
        .pos = pdu->opts,
        .end = pdu->opts_len == 0 ? pdu->opts : pdu->opts + pdu->opts_len,
    };
}

bool cx_opt_next(struct cx_opt_iter *it, struct cx_opt *ret)
{
    dr_assert(it != NULL && ret != NULL);
    if (it->pos == it->end) {
        return false;
    }
    struct dr_rd rd = {.p = it->pos, .end = it->end};
    if (!option_read(&rd, &it->num, ret)) {
        it->pos = it->end;
        return false;
    }
    it->pos = rd.p;
    return true;
}

bool cx_opt_find(const struct cx_pdu *pdu, uint16_t num, struct cx_opt *ret)
{
    dr_assert(ret != NULL);
    struct cx_opt_iter it = cx_opt_begin(pdu);
    struct cx_opt opt;

    while (cx_opt_next(&it, &opt) && opt.num <= num) {
        if (opt.num == num) {
            *ret = opt;
            return true;
        }
    }
    return false;
}

struct cx_opt cx_opt_uint(uint16_t num, uint32_t value, uint8_t buf[4])
{
    dr_assert(buf != NULL);
    uint16_t len = 0;
    for (uint32_t v = value; v != 0; v >>= 8) {
        len++;
    }
    dr_store_be(buf, value, len);
    return (struct cx_opt){.num = num, .len = len, .val = buf};
}

dr_err_t cx_opt_get_uint(const struct cx_opt *opt, uint32_t *ret)
{
    dr_assert(opt != NULL && ret != NULL);
    if (opt->len > 4) {
        return DR_ERR_PROTO;
    }
    *ret = value_be(opt);
    return DR_OK;
}

static uint8_t nibble_of(uint32_t v)
{
    return v < 13 ? (uint8_t)v : v < 269 ? 13 : 14;
}

static void nibble_write(struct dr_wr *wr, uint32_t v)
{
    if (v >= 269) {
        dr_wr_u16(wr, (uint16_t)(v - 269));
    } else if (v >= 13) {
        dr_wr_u8(wr, (uint8_t)(v - 13));
    }
}

static void option_write(struct dr_wr *wr, uint32_t delta, const struct cx_opt *opt)
{
    dr_wr_u8(wr, (uint8_t)(nibble_of(delta) << 4 | nibble_of(opt->len)));
    nibble_write(wr, delta);
    nibble_write(wr, opt->len);
    dr_wr_put(wr, opt->val, opt->len);
}

/* Places of the options in order of their numbers; equal ones keep theirs. */
static void order_of(const struct cx_opt *opts, size_t n, uint8_t order[CX_OPTS_MAX])
{
    for (size_t i = 0; i < n; i++) {
        size_t at = i;
        while (at > 0 && opts[order[at - 1]].num > opts[i].num) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = (uint8_t)i;
    }
}

dr_err_t cx_pdu_encode(struct dr_wr *wr, uint8_t type, uint8_t code, uint16_t mid,
                       const uint8_t *token, uint8_t token_len, const struct cx_opt *opts,
                       size_t n_opts, const uint8_t *payload, size_t payload_len)
{
    dr_assert(wr != NULL && type <= CX_RST && token_len <= CX_TOKEN_MAX);
    dr_assert(code != CX_EMPTY || (token_len == 0 && n_opts == 0 && payload_len == 0));
    if (n_opts > CX_OPTS_MAX) {
        return DR_ERR_LIMIT;
    }
    dr_wr_u8(wr, (uint8_t)(1u << 6 | type << 4 | token_len));
    dr_wr_u8(wr, code);
    dr_wr_u16(wr, mid);
    dr_wr_put(wr, token, token_len);

    uint8_t order[CX_OPTS_MAX];
    order_of(opts, n_opts, order);
    uint32_t num = 0;
    for (size_t i = 0; i < n_opts; i++) {
        const struct cx_opt *opt = &opts[order[i]];
        option_write(wr, opt->num - num, opt);
        num = opt->num;
    }
    if (payload_len > 0) {
        dr_wr_u8(wr, 0xff);
        dr_wr_put(wr, payload, payload_len);
    }
    return dr_wr_err(wr);
}

dr_err_t cx_pdu_path(const struct cx_pdu *pdu, char *buf, size_t cap)
{
    dr_assert(pdu != NULL && buf != NULL);
    char path[CX_PATH_MAX + 1];
    struct dr_wr wr = dr_wr_of(path, cap < sizeof path ? cap : sizeof path);
    struct cx_opt_iter it = cx_opt_begin(pdu);
    struct cx_opt opt;

    while (cx_opt_next(&it, &opt) && opt.num <= CX_OPT_URI_PATH) {
        if (opt.num != CX_OPT_URI_PATH) {
            continue;
        }
        if (opt.len > 0 &&
            (memchr(opt.val, '/', opt.len) != NULL || memchr(opt.val, 0, opt.len) != NULL)) {
            return DR_ERR_PROTO;
        }
        dr_wr_u8(&wr, '/');
        dr_wr_put(&wr, opt.val, opt.len);
    }
    if (dr_wr_len(&wr) == 0) {
        dr_wr_u8(&wr, '/');
    }
    dr_wr_u8(&wr, 0);
    if (!dr_wr_ok(&wr)) {
        return DR_ERR_NOSPACE;
    }
    memcpy(buf, path, dr_wr_len(&wr));
    return DR_OK;
}
