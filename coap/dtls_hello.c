/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The datagram of a ClientHello:
 *
 *   record    16 fe fd|ff 00 00 seq6 len2
 *   message   01 length3 msg_seq2 frag_off3 frag_len3
 *   body      version2 random32 sid1+n cookie1+n suites2+n compressions1+n [extensions2+n]
 *
 * and of the HelloVerifyRequest (45 bytes, always fewer than any ClientHello that passes):
 *
 *   16 fe ff 00 00 <seq of the hello> 00 20  03 00 00 14 00 00 00 00 00 00 00 14  fe ff 11 <cookie
 * 17>
 *
 * The cookie is p | HMAC-SHA256(key, period, address, version, random, session id, suites,
 * compressions)[0..15]; p is the low byte of the period's number (a minute), so the effective key
 * rotates without any state.
 */
#include "coap/dtls_hello.h"

#include <string.h>

#include "base/buf.h"
#include "base/text.h"

#define MSG_CLIENT_HELLO  1
#define MSG_HELLO_VERIFY  3
#define MSG_HEADER_LEN    12
#define RANDOM_LEN        32
#define SESSION_ID_MAX    32
#define VERSION_DTLS10    0xfeff
#define VERSION_DTLS12    0xfefd
#define EXT_TICKET        35
#define ADDR_MAX          64
#define MAC_LEN           16
#define HASHED_SUITES_MAX 256

bool dtls_hello_is(const uint8_t *datagram, size_t len)
{
    return len > DTLS_HEADER_LEN && datagram[0] == DTLS_TYPE_HANDSHAKE && datagram[1] == 0xfe &&
           datagram[3] == 0 && datagram[4] == 0 && datagram[DTLS_HEADER_LEN] == MSG_CLIENT_HELLO;
}

static struct dtls_bytes take(struct dr_rd *rd, size_t len_bytes)
{
    struct dr_bytes b = dr_rd_bytes(rd, (size_t)dr_rd_be(rd, len_bytes));

    return (struct dtls_bytes){.p = b.p, .len = b.len};
}

static void suites_look(struct dtls_hello *h)
{
    for (size_t i = 0; i + 1 < h->suites.len; i += 2) {
        switch (h->suites.p[i] << 8 | h->suites.p[i + 1]) {
        case 0xc0a8: /* PSK-AES128-CCM8 */
        case 0xc0a4: /* PSK-AES128-CCM */
        case 0x00a8: /* PSK-AES128-GCM-SHA256 */
        case 0x00a9: /* PSK-AES256-GCM-SHA384 */
            h->has_psk = true;
            break;
        case 0xc0ae: /* ECDHE-ECDSA-AES128-CCM8 */
        case 0xc0ac: /* ECDHE-ECDSA-AES128-CCM */
        case 0xc02b: /* ECDHE-ECDSA-AES128-GCM-SHA256 */
        case 0xc02c: /* ECDHE-ECDSA-AES256-GCM-SHA384 */
            h->has_ecdsa = true;
            break;
        default:
            break;
        }
    }
}

static dr_err_t extensions_look(struct dtls_hello *h)
{
    struct dr_rd rd = dr_rd_of(h->extensions.p, h->extensions.len);

    while (dr_rd_ok(&rd) && dr_rd_left(&rd) != 0) {
        uint16_t type = dr_rd_u16(&rd);
        struct dtls_bytes value = take(&rd, 2);
        if (type == EXT_TICKET && dr_rd_ok(&rd)) {
            h->ticket = value;
        }
    }
    return dr_rd_err(&rd);
}

/* spec: RFC6347#4.2.2, RFC5246#7.4.1.2 */
dr_err_t dtls_hello_parse(const uint8_t *datagram, size_t len, struct dtls_hello *ret)
{
    dr_assert(ret != NULL);
    if (!dtls_hello_is(datagram, len)) {
        return DR_ERR_NOT_FOUND;
    }
    struct dtls_hello h = {0};
    struct dr_rd rd = dr_rd_of(datagram, len);
    dr_rd_skip(&rd, 5);
    h.rec_seq = dr_rd_u48(&rd);
    struct dr_rd rec = dr_rd_sub(&rd, dr_rd_u16(&rd));
    dr_rd_skip(&rec, 1);
    uint32_t msg_len = dr_rd_u24(&rec);
    h.msg_seq = dr_rd_u16(&rec);
    uint32_t frag_off = dr_rd_u24(&rec);
    uint32_t frag_len = dr_rd_u24(&rec);
    if (!dr_rd_ok(&rec)) {
        return DR_ERR_PROTO;
    }
    if (frag_off != 0 || frag_len != msg_len) {
        return DR_ERR_UNSUPPORTED;
    }
    struct dr_rd msg = dr_rd_sub(&rec, msg_len);
    h.version = dr_rd_u16(&msg);
    h.random = dr_rd_bytes(&msg, RANDOM_LEN).p;
    h.session_id = take(&msg, 1);
    h.cookie = take(&msg, 1);
    h.suites = take(&msg, 2);
    h.compressions = take(&msg, 1);
    if (dr_rd_ok(&msg) && dr_rd_left(&msg) != 0) {
        h.extensions = take(&msg, 2);
    }
    if (!dr_rd_done(&msg) || h.session_id.len > SESSION_ID_MAX || h.suites.len < 2 ||
        h.suites.len % 2 != 0 || h.compressions.len == 0 || extensions_look(&h) != DR_OK) {
        return DR_ERR_PROTO;
    }
    if (h.version >> 8 != 0xfe || h.version > VERSION_DTLS12) {
        return DR_ERR_UNSUPPORTED; /* versions count downwards */
    }
    suites_look(&h);
    *ret = h;
    return DR_OK;
}

/* The HMAC of one period; false if it cannot be made. */
static bool cookie_mac(struct dtls_crypto *c, const uint8_t key[32], uint64_t period,
                       const struct dtls_hello *h, const uint8_t *addr, size_t addr_len,
                       uint8_t mac[32])
{
    uint8_t
        in[8 + 1 + ADDR_MAX + 2 + RANDOM_LEN + 1 + SESSION_ID_MAX + 2 + HASHED_SUITES_MAX + 256];
    struct dr_wr wr = dr_wr_of(in, sizeof in);
    size_t n = h->suites.len < HASHED_SUITES_MAX ? h->suites.len : HASHED_SUITES_MAX;

    dr_wr_u64(&wr, period);
    dr_wr_u8(&wr, (uint8_t)addr_len);
    dr_wr_put(&wr, addr, addr_len);
    dr_wr_u16(&wr, h->version);
    dr_wr_put(&wr, h->random, RANDOM_LEN);
    dr_wr_u8(&wr, (uint8_t)h->session_id.len);
    dr_wr_put(&wr, h->session_id.p, h->session_id.len);
    dr_wr_u16(&wr, (uint16_t)h->suites.len);
    dr_wr_put(&wr, h->suites.p, n);
    dr_wr_put(&wr, h->compressions.p, h->compressions.len);
    return dr_wr_ok(&wr) && dtls_hmac(c, key, in, dr_wr_len(&wr), mac) == DR_OK;
}

bool dtls_cookie_ok(struct dtls_crypto *c, const uint8_t key[32], const struct dtls_hello *hello,
                    const uint8_t *addr, size_t addr_len, uint64_t wall_ms)
{
    dr_assert(c != NULL && key != NULL && hello != NULL && addr_len <= ADDR_MAX);
    if (hello->cookie.len != DTLS_COOKIE_LEN) {
        return false;
    }
    uint64_t now = wall_ms / DTLS_COOKIE_PERIOD_MS;
    uint8_t back = (uint8_t)((uint8_t)now - hello->cookie.p[0]);
    uint8_t mac[32];
    /* of this period or of the one before */
    return back <= 1 && back <= now && cookie_mac(c, key, now - back, hello, addr, addr_len, mac) &&
           dr_ct_equal(mac, hello->cookie.p + 1, MAC_LEN);
}

size_t dtls_hello_verify_make(struct dtls_crypto *c, const uint8_t key[32],
                              const struct dtls_hello *hello, const uint8_t *addr, size_t addr_len,
                              uint64_t wall_ms, uint8_t out[DTLS_HELLO_VERIFY_LEN])
{
    dr_assert(c != NULL && key != NULL && hello != NULL && addr_len <= ADDR_MAX && out != NULL);
    uint64_t now = wall_ms / DTLS_COOKIE_PERIOD_MS;
    uint8_t mac[32];
    if (!cookie_mac(c, key, now, hello, addr, addr_len, mac)) {
        return 0;
    }
    const size_t body = 3 + DTLS_COOKIE_LEN;
    struct dr_wr wr = dr_wr_of(out, DTLS_HELLO_VERIFY_LEN);
    dr_wr_u8(&wr, DTLS_TYPE_HANDSHAKE);
    dr_wr_u16(&wr, VERSION_DTLS10); /* whatever version follows; spec: RFC6347#4.2.1 */
    dr_wr_u16(&wr, 0);
    dr_wr_u48(&wr, hello->rec_seq);
    dr_wr_u16(&wr, (uint16_t)(MSG_HEADER_LEN + body));
    dr_wr_u8(&wr, MSG_HELLO_VERIFY);
    dr_wr_u24(&wr, (uint32_t)body);
    dr_wr_u16(&wr, hello->msg_seq);
    dr_wr_u24(&wr, 0);
    dr_wr_u24(&wr, (uint32_t)body);
    dr_wr_u16(&wr, VERSION_DTLS10);
    dr_wr_u8(&wr, DTLS_COOKIE_LEN);
    dr_wr_u8(&wr, (uint8_t)now);
    dr_wr_put(&wr, mac, MAC_LEN);
    dr_assert(dr_wr_ok(&wr) && dr_wr_len(&wr) == DTLS_HELLO_VERIFY_LEN);
    return DTLS_HELLO_VERIFY_LEN;
}
