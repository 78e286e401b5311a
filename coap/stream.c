/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A frame of RFC 8323:
 *
 *   | Len 4 | TKL 4 | more length, 0 to 4 bytes | Code 8 | token | options | ff payload |
 *
 * Len counts what stands behind the token: 0 to 12, or 13 = one more byte (plus 13), 14 = two more
 * (plus 269), 15 = four more (plus 65805).
 *
 *   43 01 a1 a2 a3 b3 66 6f 6f   a token of 3 bytes, GET, Uri-Path "foo" (4 bytes)
 *   00 e1                        the shortest CSM
 *
 * The datagram form of a plain stream: | length 32 | RFC 7252 message |, as 00 00 00 04 40 00
 * 12 34.
 */
#include "coap/stream.h"

#include <string.h>

#define LEN_8   13u
#define LEN_16  14u
#define LEN_32  15u
/* What each of the longer forms begins at. */
#define FROM_8  13u
#define FROM_16 269u
#define FROM_32 65805u

#define DATAGRAM_HEAD 4

enum signal_option {
    CSM_MAX_MESSAGE_SIZE = 2,
    CSM_BLOCKWISE = 4,
    PING_CUSTODY = 2,
    ABORT_BAD_CSM_OPTION = 2,
};

/* Bytes between the first byte and the code. */
static size_t extra_of(uint8_t nibble)
{
    return nibble < LEN_8 ? 0 : nibble == LEN_8 ? 1 : nibble == LEN_16 ? 2 : 4;
}

dr_err_t cx_stream_detect(const uint8_t *in, size_t len, bool records, enum cx_framing *ret)
{
    dr_assert(ret != NULL && (in != NULL || len == 0));
    if (len < 2) {
        return records ? DR_ERR_PROTO : DR_ERR_AGAIN;
    }
    if (!records && in[0] == 0 && in[1] == 0) {
        *ret = CX_FRAMING_DATAGRAM;
        return DR_OK;
    }
    if (!records && (in[0] & 15) > CX_TOKEN_MAX) {
        return DR_ERR_PROTO;
    }
    size_t code_at = 1 + extra_of(in[0] >> 4);
    if (code_at < len && in[code_at] == CX_SIGNAL_CSM) {
        *ret = CX_FRAMING_RFC8323;
        return DR_OK;
    }
    if (code_at >= len && !records) {
        return DR_ERR_AGAIN;
    }
    if (records && len >= 4 && in[0] >> 6 == 1) {
        *ret = CX_FRAMING_DATAGRAM;
        return DR_OK;
    }
    return DR_ERR_PROTO;
}

dr_err_t cx_frame_next(const uint8_t *in, size_t len, size_t max, struct cx_frame *ret)
{
    dr_assert(ret != NULL && (in != NULL || len == 0));
    struct dr_rd rd = dr_rd_of(in, len);
    uint8_t head = dr_rd_u8(&rd);
    size_t extra = extra_of(head >> 4);
    uint64_t body = extra == 0 ? head >> 4 : dr_rd_be(&rd, extra);
    struct cx_frame f = {.token_len = head & 15};

    if (len > 0 && f.token_len > CX_TOKEN_MAX) {
        return DR_ERR_PROTO; /* spec: RFC8323#3.2: reserved */
    }
    f.code = dr_rd_u8(&rd);
    if (!dr_rd_ok(&rd)) {
        return DR_ERR_AGAIN;
    }
    body += extra == 0 ? 0 : extra == 1 ? FROM_8 : extra == 2 ? FROM_16 : FROM_32;
    if (body > max || 2 + extra + f.token_len + body > max) {
        return DR_ERR_TOO_LARGE;
    }
    f.rest_len = f.token_len + (size_t)body;
    f.total = 2 + extra + f.rest_len;
    f.rest = dr_rd_bytes(&rd, f.rest_len).p;
    if (!dr_rd_ok(&rd)) {
        return DR_ERR_AGAIN;
    }
    *ret = f;
    return DR_OK;
}

uint8_t *cx_frame_from_message(uint8_t *msg, size_t len, size_t *ret_len)
{
    dr_assert(msg != NULL && len >= 4 && ret_len != NULL);
    uint8_t token_len = msg[0] & 15, code = msg[1];
    dr_assert(token_len <= CX_TOKEN_MAX && len >= 4u + token_len);
    size_t body = len - 4 - token_len;
    uint8_t nibble = body < FROM_8    ? (uint8_t)body
                     : body < FROM_16 ? LEN_8
                     : body < FROM_32 ? LEN_16
                                      : LEN_32;
    size_t extra = extra_of(nibble);
    size_t from = extra == 0 ? 0 : extra == 1 ? FROM_8 : extra == 2 ? FROM_16 : FROM_32;
    uint8_t *out = msg + 4 - (2 + extra);

    out[0] = (uint8_t)(nibble << 4 | token_len);
    dr_store_be(out + 1, body - from, extra);
    out[1 + extra] = code;
    *ret_len = len - 4 + 2 + extra;
    return out;
}

dr_err_t cx_datagram_next(const uint8_t *in, size_t len, struct dr_bytes *ret, size_t *ret_total)
{
    dr_assert(ret != NULL && ret_total != NULL && (in != NULL || len == 0));
    struct dr_rd rd = dr_rd_of(in, len);
    uint32_t n = dr_rd_u32(&rd);

    if (!dr_rd_ok(&rd)) {
        return DR_ERR_AGAIN;
    }
    if (n == 0) {
        return DR_ERR_PROTO;
    }
    if (n > CX_STREAM_DATAGRAM_MAX) {
        return DR_ERR_TOO_LARGE;
    }
    struct dr_bytes msg = dr_rd_bytes(&rd, n);
    if (!dr_rd_ok(&rd)) {
        return DR_ERR_AGAIN;
    }
    *ret = msg;
    *ret_total = DATAGRAM_HEAD + n;
    return DR_OK;
}

static bool option_take(uint8_t code, const struct cx_opt *opt, struct cx_signal *s)
{
    uint32_t v;

    if (code == CX_SIGNAL_CSM && opt->num == CSM_MAX_MESSAGE_SIZE) {
        if (cx_opt_get_uint(opt, &v) != DR_OK) {
            return false;
        }
        s->max_message_size = v;
    } else if (code == CX_SIGNAL_CSM && opt->num == CSM_BLOCKWISE) {
        s->blockwise = true;
    } else if ((code == CX_SIGNAL_PING || code == CX_SIGNAL_PONG) && opt->num == PING_CUSTODY) {
        s->custody = true;
    } else if ((opt->num & 1) != 0 && s->bad_option == 0) {
        s->bad_option = opt->num; /* spec: RFC8323#5.2 */
    }
    return true;
}

dr_err_t cx_signal_parse(const struct cx_frame *frame, struct cx_signal *ret)
{
    dr_assert(frame != NULL && ret != NULL);
    struct cx_signal s = {.max_message_size = -1};
    struct cx_pdu pdu;
    struct cx_opt opt;

    /* The numbers of its options mean other things than in requests: only their form counts. */
    dr_err_t err =
        cx_pdu_decode_frame(frame->code, frame->token_len, frame->rest, frame->rest_len, &pdu);
    if (err == DR_ERR_PROTO) {
        return err;
    }
    for (struct cx_opt_iter it = cx_opt_begin(&pdu); cx_opt_next(&it, &opt);) {
        if (!option_take(frame->code, &opt, &s)) {
            return DR_ERR_PROTO;
        }
    }
    *ret = s;
    return DR_OK;
}

size_t cx_signal_make(enum cx_signal_code code, const uint8_t *token, uint8_t token_len,
                      const struct cx_signal *signal, uint8_t *buf)
{
    dr_assert(token_len <= CX_TOKEN_MAX && buf != NULL);
    struct cx_opt opts[2];
    uint8_t value[4];
    size_t n = 0, len;

    if (code == CX_SIGNAL_CSM && signal != NULL && signal->max_message_size >= 0) {
        opts[n++] = cx_opt_uint(CSM_MAX_MESSAGE_SIZE, (uint32_t)signal->max_message_size, value);
    }
    if (code == CX_SIGNAL_CSM && signal != NULL && signal->blockwise) {
        opts[n++] = (struct cx_opt){.num = CSM_BLOCKWISE};
    }
    if (code == CX_SIGNAL_PONG && signal != NULL && signal->custody) {
        opts[n++] = (struct cx_opt){.num = PING_CUSTODY};
    }
    if (code == CX_SIGNAL_ABORT && signal != NULL && signal->bad_option != 0) {
        opts[n++] = cx_opt_uint(ABORT_BAD_CSM_OPTION, signal->bad_option, value);
    }
    struct dr_wr wr = dr_wr_of(buf + CX_FRAME_HEAD_MAX, CX_SIGNAL_MAX - CX_FRAME_HEAD_MAX);
    dr_err_t err = cx_pdu_encode(&wr, CX_NON, (uint8_t)code, 0, token, token_len, opts, n, NULL, 0);
    dr_assert(err == DR_OK);
    const uint8_t *frame = cx_frame_from_message(wr.start, dr_wr_len(&wr), &len);
    memmove(buf, frame, len);
    return len;
}
