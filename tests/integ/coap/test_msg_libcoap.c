/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcoap as the oracle: what it encodes and parses, and whole block-wise transfers with it in
 * either role, over UDP on the loopback.
 */
#include <arpa/inet.h>
#include <check.h>
#include <coap3/coap.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/rand.h"
#include "coap/block.h"
#include "coap/msg.h"

static void must(bool ok)
{
    if (!ok) {
        ck_abort_msg("broken");
    }
}

/* ---- the same bytes ---- */

static const struct {
    uint16_t num, min, max;
    bool again;
} known[] = {
    {CX_OPT_IF_MATCH, 0, 8, true},
    {CX_OPT_URI_HOST, 1, 255, false},
    {CX_OPT_ETAG, 1, 8, true},
    {CX_OPT_OBSERVE, 0, 3, false},
    {CX_OPT_URI_PORT, 0, 2, false},
    {CX_OPT_LOCATION_PATH, 0, 255, true},
    {CX_OPT_URI_PATH, 0, 255, true},
    {CX_OPT_CONTENT_FORMAT, 0, 2, false},
    {CX_OPT_MAX_AGE, 0, 4, false},
    {CX_OPT_URI_QUERY, 1, 255, true},
    {CX_OPT_ACCEPT, 0, 2, false},
    {CX_OPT_LOCATION_QUERY, 0, 255, true},
    {CX_OPT_BLOCK2, 0, 3, false},
    {CX_OPT_BLOCK1, 0, 3, false},
    {CX_OPT_SIZE2, 0, 4, false},
    {CX_OPT_PROXY_URI, 1, 600, false},
    {CX_OPT_PROXY_SCHEME, 1, 255, false},
    {CX_OPT_SIZE1, 0, 4, false},
    {CX_OPT_REQUEST_TAG, 0, 8, true},
    {2000, 0, 20, true},
    {65000, 0, 300, true},
};

struct sample {
    uint8_t type, code;
    uint16_t mid;
    uint8_t token_len, token[8];
    size_t n, len;
    struct cx_opt opts[12];
    uint8_t values[12][600];
    uint8_t payload[300];
};

static void sample_make(struct sample *s, struct dr_prng *r)
{
    static const uint8_t codes[] = {CX_GET,   CX_POST,    CX_PUT,     CX_DELETE,   CX_FETCH,
                                    CX_PATCH, CX_CREATED, CX_CONTENT, CX_NOT_FOUND};
    s->type = (uint8_t)dr_prng_below(r, 3);
    s->code = codes[dr_prng_below(r, sizeof codes)];
    s->mid = (uint16_t)dr_prng_u64(r);
    s->token_len = (uint8_t)dr_prng_below(r, 9);
    dr_prng_bytes(r, s->token, sizeof s->token);
    s->n = 0;
    size_t at = 0;
    for (size_t want = dr_prng_below(r, 12); s->n < want && at < DR_ARRAY_LEN(known);) {
        at += dr_prng_below(r, 4);
        if (at >= DR_ARRAY_LEN(known)) {
            break;
        }
        uint16_t most = dr_prng_below(r, 4) == 0 ? known[at].max
                        : known[at].max > 40     ? 40
                                                 : known[at].max;
        uint16_t len = (uint16_t)(known[at].min + dr_prng_below(r, most - known[at].min + 1u));
        dr_prng_bytes(r, s->values[s->n], len);
        s->opts[s->n] = (struct cx_opt){known[at].num, len, s->values[s->n]};
        s->n++;
        at += known[at].again ? 0 : 1;
    }
    s->len = dr_prng_below(r, 3) == 0 ? 0 : dr_prng_below(r, sizeof s->payload) + 1;
    dr_prng_bytes(r, s->payload, s->len);
}

static size_t sample_encode(const struct sample *s, uint8_t *buf, size_t cap)
{
    struct dr_wr wr = dr_wr_of(buf, cap);
    must(cx_pdu_encode(&wr, s->type, s->code, s->mid, s->token, s->token_len, s->opts, s->n,
                       s->payload, s->len) == DR_OK);
    return dr_wr_len(&wr);
}

/* Bytes of the message as libcoap has it: options and data walked by its own iterator. */
static void same_message(const coap_pdu_t *theirs, const struct cx_pdu *ours)
{
    must((uint8_t)coap_pdu_get_type(theirs) == ours->type);
    must((uint8_t)coap_pdu_get_code(theirs) == ours->code);
    must((uint16_t)coap_pdu_get_mid(theirs) == ours->mid);
    coap_bin_const_t token = coap_pdu_get_token(theirs);
    must(token.length == ours->token_len);
    must(token.length == 0 || memcmp(token.s, ours->token, token.length) == 0);

    coap_opt_iterator_t it;
    coap_opt_t *opt;
    must(coap_option_iterator_init(theirs, &it, COAP_OPT_ALL) != NULL || ours->opts_len == 0);
    struct cx_opt_iter mine = cx_opt_begin(ours);
    struct cx_opt got;
    while (ours->opts_len > 0 && (opt = coap_option_next(&it)) != NULL) {
        must(cx_opt_next(&mine, &got));
        must(got.num == it.number);
        must(got.len == coap_opt_length(opt));
        must(got.len == 0 || memcmp(got.val, coap_opt_value(opt), got.len) == 0);
        uint32_t v;
        if (got.len <= 4) {
            must(cx_opt_get_uint(&got, &v) == DR_OK);
            must(v == coap_decode_var_bytes(coap_opt_value(opt), got.len));
        }
    }
    must(!cx_opt_next(&mine, &got));
    size_t len = 0;
    const uint8_t *data = NULL;
    (void)coap_get_data(theirs, &len, &data);
    must(len == ours->payload_len);
    must(len == 0 || memcmp(data, ours->payload, len) == 0);
}

static bool parse_theirs(const uint8_t *bytes, size_t len, coap_pdu_t **ret)
{
    coap_pdu_t *pdu = coap_pdu_init(0, 0, 0, 4096);
    must(pdu != NULL);
    if (coap_pdu_parse(COAP_PROTO_UDP, bytes, len, pdu)) {
        *ret = pdu;
        return true;
    }
    coap_delete_pdu(pdu);
    return false;
}

START_TEST(libcoap_parses_what_we_encode)
{
    static struct sample s;
    struct dr_prng r;
    dr_prng_init(&r, 5);
    for (int i = 0; i < 20000; i++) {
        uint8_t bytes[8192];
        sample_make(&s, &r);
        size_t len = sample_encode(&s, bytes, sizeof bytes);
        coap_pdu_t *theirs;
        struct cx_pdu ours;
        ck_assert(parse_theirs(bytes, len, &theirs));
        dr_err_t err = cx_pdu_decode(bytes, len, &ours);
        ck_assert(err == DR_OK);
        same_message(theirs, &ours);
        coap_block_t theirs_block;
        struct cx_block block;
        if (cx_block_decode(ours.block2, &block) == DR_OK) {
            must(coap_get_block(theirs, COAP_OPTION_BLOCK2, &theirs_block));
            must(theirs_block.num == block.num && theirs_block.m == (block.more ? 1u : 0u) &&
                 16u << theirs_block.szx == block.size);
        }
        coap_delete_pdu(theirs);
    }
}
END_TEST

/* Reasons for which libcoap refuses what we read. */
static bool excused(const struct cx_pdu *pdu, const uint8_t *bytes, size_t len)
{
    if (pdu->code == CX_EMPTY) {
        return len > 4 || (bytes[0] & 15) != 0; /* an empty ACK as Pelion sends it, or a RST */
    }
    struct cx_opt opt;
    for (struct cx_opt_iter it = cx_opt_begin(pdu); cx_opt_next(&it, &opt);) {
        bool listed = false;
        for (size_t i = 0; i < DR_ARRAY_LEN(known); i++) {
            if (known[i].num == opt.num) {
                listed = true;
                if (opt.len < known[i].min || opt.len > known[i].max) {
                    return true; /* it refuses bad lengths of elective options as well */
                }
            }
        }
        if (!listed) {
            return true; /* lengths that it knows of options that we do not */
        }
    }
    return false;
}

START_TEST(libcoap_refuses_what_we_refuse)
{
    static struct sample s;
    struct dr_prng r;
    dr_prng_init(&r, 6);
    unsigned both = 0, neither = 0, differ = 0;
    coap_set_log_level(LOG_EMERG);
    for (int i = 0; i < 100000; i++) {
        uint8_t bytes[8192];
        sample_make(&s, &r);
        size_t len = sample_encode(&s, bytes, sizeof bytes);
        for (unsigned k = dr_prng_below(&r, 4) + 1; k > 0; k--) {
            size_t head = 4u + s.token_len + 20u;
            size_t at = dr_prng_below(&r, (uint32_t)(len < head ? len : head));
            bytes[at] = (uint8_t)(bytes[at] ^ 1u << dr_prng_below(&r, 8));
        }
        if (dr_prng_below(&r, 4) == 0) {
            len = dr_prng_below(&r, (uint32_t)len + 1);
        }
        uint8_t *exact = malloc(len + 1);
        must(exact != NULL);
        memcpy(exact, bytes, len);
        coap_pdu_t *theirs;
        struct cx_pdu ours;
        bool they = parse_theirs(exact, len, &theirs);
        dr_err_t err = cx_pdu_decode(exact, len, &ours);
        if (they && err != DR_ERR_PROTO) {
            same_message(theirs, &ours);
            both++;
        } else if (!they && err == DR_ERR_PROTO) {
            neither++;
        } else if (they) {
            ck_abort_msg("message %d: libcoap takes what we refuse", i);
        } else {
            ck_assert_msg(excused(&ours, exact, len), "message %d: we take what libcoap refuses",
                          i);
            differ++;
        }
        if (they) {
            coap_delete_pdu(theirs);
        }
        free(exact);
    }
    ck_assert_uint_gt(both, 10000);
    ck_assert_uint_gt(neither, 10000);
    ck_assert_uint_lt(differ, 60000);
}
END_TEST

/* ---- a socket for our message layer ---- */

struct ours {
    struct cx_msg *m;
    struct cx_mpeer peer;
    int fd;
    struct sockaddr_in to;
    uint8_t out[CX_MSG_MAX];
    unsigned requests, sent;
    uint8_t *body;
    size_t body_len; /**< of the newest request */
    const uint8_t *reply;
    size_t reply_len;
    bool done;
    dr_err_t err;
    uint8_t code;
};

static uint8_t *out_begin(void *data, struct cx_mpeer *p, size_t max)
{
    struct ours *o = data;
    (void)p;
    must(max <= sizeof o->out);
    return o->out;
}

static void out_end(void *data, struct cx_mpeer *p, size_t len)
{
    struct ours *o = data;
    (void)p;
    o->sent++;
    (void)!sendto(o->fd, o->out, len, 0, (struct sockaddr *)&o->to, sizeof o->to);
}

static void on_request(void *data, struct cx_mpeer *p, cx_exchange_t x, const struct cx_pdu *pdu)
{
    struct ours *o = data;
    (void)p;
    o->requests++;
    free(o->body);
    o->body = malloc(pdu->payload_len + 1);
    must(o->body != NULL);
    o->body_len = pdu->payload_len;
    if (pdu->payload_len > 0) {
        memcpy(o->body, pdu->payload, pdu->payload_len);
    }
    struct cx_reply reply = {.code = pdu->code == CX_GET ? CX_CONTENT : CX_CHANGED,
                             .payload = o->reply,
                             .payload_len = o->reply_len};
    must(cx_msg_answer(o->m, x, &reply, dr_mono_ms()) == DR_OK);
}

static bool on_notify(void *data, struct cx_mpeer *p, const struct cx_pdu *pdu)
{
    (void)data;
    (void)p;
    (void)pdu;
    return false;
}

static void random_bytes(void *data, uint8_t *buf, size_t len)
{
    (void)data;
    dr_rand_bytes(buf, len);
}

static const struct cx_msg_ops ops = {
    .out_begin = out_begin,
    .out_end = out_end,
    .request = on_request,
    .notify = on_notify,
    .random = random_bytes,
};

static void ours_open(struct ours *o)
{
    *o = (struct ours){.fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0)};
    ck_assert_int_ge(o->fd, 0);
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    ck_assert_int_eq(bind(o->fd, (struct sockaddr *)&any, sizeof any), 0);
    struct cx_msg_config config = {.ops = &ops, .data = o, .now_ms = dr_mono_ms()};
    ck_assert_int_eq(cx_msg_new(&config, &o->m), DR_OK);
    cx_msg_peer_init(o->m, &o->peer);
}

static void ours_close(struct ours *o)
{
    cx_msg_peer_fini(o->m, &o->peer, DR_ERR_GONE);
    cx_msg_expire(o->m, dr_mono_ms());
    o->m = cx_msg_free(o->m);
    free(o->body);
    close(o->fd);
}

static in_port_t port_of(int fd)
{
    struct sockaddr_in a;
    socklen_t len = sizeof a;
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    return a.sin_port;
}

static void turn(struct ours *o, coap_context_t *ctx)
{
    (void)coap_io_process(ctx, COAP_IO_NO_WAIT);
    uint8_t buf[2048];
    struct sockaddr_in from;
    socklen_t from_len = sizeof from;
    struct pollfd p = {.fd = o->fd, .events = POLLIN};
    (void)poll(&p, 1, 1);
    ssize_t n = recvfrom(o->fd, buf, sizeof buf, 0, (struct sockaddr *)&from, &from_len);
    if (n >= 0) {
        o->to = from;
        cx_msg_input(o->m, &o->peer, buf, (size_t)n, dr_mono_ms());
    }
    if (cx_msg_deadline(o->m) <= dr_mono_ms()) {
        cx_msg_expire(o->m, dr_mono_ms());
    }
}

static uint8_t *bytes_make(size_t len, unsigned salt)
{
    uint8_t *p = malloc(len + 1);
    must(p != NULL);
    for (size_t i = 0; i < len; i++) {
        p[i] = (uint8_t)(i * 13 + (i >> 8) * 7 + salt);
    }
    return p;
}

static const size_t body_sizes[] = {1, 16, 1023, 1024, 1025, 2048, 5000, 20000};

/* ---- libcoap is the client ---- */

struct theirs {
    bool done;
    uint8_t code;
    uint8_t *body;
    size_t len;
};

static struct theirs theirs;

static coap_response_t on_response(coap_session_t *session, const coap_pdu_t *sent,
                                   const coap_pdu_t *received, const coap_mid_t mid)
{
    (void)session;
    (void)sent;
    (void)mid;
    size_t len = 0, offset = 0, total = 0;
    const uint8_t *data = NULL;
    theirs.done = true;
    theirs.code = (uint8_t)coap_pdu_get_code(received);
    if (coap_get_data_large(received, &len, &data, &offset, &total)) {
        free(theirs.body);
        theirs.body = malloc(len + 1);
        must(theirs.body != NULL);
        memcpy(theirs.body, data, len);
        theirs.len = len;
    }
    return COAP_RESPONSE_OK;
}

static coap_context_t *context_new(void)
{
    coap_startup();
    coap_set_log_level(LOG_EMERG);
    coap_context_t *ctx = coap_new_context(NULL);
    ck_assert_ptr_nonnull(ctx);
    coap_context_set_block_mode(ctx, COAP_BLOCK_USE_LIBCOAP | COAP_BLOCK_SINGLE_BODY);
    return ctx;
}

static coap_session_t *session_to(coap_context_t *ctx, in_port_t port)
{
    coap_address_t addr;
    coap_address_init(&addr);
    addr.addr.sin.sin_family = AF_INET;
    addr.addr.sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    addr.addr.sin.sin_port = port;
    addr.size = sizeof(struct sockaddr_in);
    coap_session_t *session = coap_new_client_session(ctx, NULL, &addr, COAP_PROTO_UDP);
    ck_assert_ptr_nonnull(session);
    return session;
}

/* libcoap adds a Hop-Limit to those. */
static bool proxied(const struct sample *s)
{
    for (size_t i = 0; i < s->n; i++) {
        if (s->opts[i].num == CX_OPT_PROXY_URI || s->opts[i].num == CX_OPT_PROXY_SCHEME) {
            return true;
        }
    }
    return false;
}

START_TEST(libcoap_encodes_the_same_bytes)
{
    static struct sample s;
    struct dr_prng r;
    struct ours o;
    ours_open(&o);
    coap_startup();
    coap_set_log_level(LOG_EMERG);
    coap_context_t *ctx = coap_new_context(NULL);
    coap_session_t *session = session_to(ctx, port_of(o.fd));
    dr_prng_init(&r, 7);
    for (int i = 0; i < 500; i++) {
        uint8_t want[8192], got[8192];
        do {
            sample_make(&s, &r);
        } while (s.code >= 0x40 || proxied(&s));
        s.type = CX_NON;
        coap_pdu_t *pdu = coap_pdu_init(COAP_MESSAGE_NON, (coap_pdu_code_t)s.code, s.mid, 8000);
        must(pdu != NULL && coap_add_token(pdu, s.token_len, s.token));
        for (size_t k = 0; k < s.n; k++) {
            must(coap_add_option(pdu, s.opts[k].num, s.opts[k].len, s.opts[k].val) != 0);
        }
        must(s.len == 0 || coap_add_data(pdu, s.len, s.payload));
        must(coap_send(session, pdu) != COAP_INVALID_MID);
        struct pollfd p = {.fd = o.fd, .events = POLLIN};
        ck_assert_int_eq(poll(&p, 1, 2000), 1);
        ssize_t n = recv(o.fd, got, sizeof got, 0);
        size_t len = sample_encode(&s, want, sizeof want);
        ck_assert_int_eq(n, (ssize_t)len);
        ck_assert_mem_eq(got, want, len);
    }
    coap_session_release(session);
    coap_free_context(ctx);
    ours_close(&o);
}
END_TEST

START_TEST(libcoap_as_client_puts_and_gets_large_bodies)
{
    size_t size = body_sizes[_i];
    struct ours o;
    ours_open(&o);
    coap_context_t *ctx = context_new();
    coap_register_response_handler(ctx, on_response);
    coap_session_t *session = session_to(ctx, port_of(o.fd));
    uint8_t *up = bytes_make(size, 1), *down = bytes_make(size, 2);
    o.reply = down;
    o.reply_len = size;
    for (int get = 0; get < 2; get++) {
        uint8_t token[8];
        size_t token_len;
        theirs = (struct theirs){0};
        o.requests = 0;
        coap_pdu_t *pdu = coap_new_pdu(
            COAP_MESSAGE_CON, get ? COAP_REQUEST_CODE_GET : COAP_REQUEST_CODE_PUT, session);
        coap_session_new_token(session, &token_len, token);
        must(pdu != NULL && coap_add_token(pdu, token_len, token));
        must(coap_add_option(pdu, COAP_OPTION_URI_PATH, 1, (const uint8_t *)"x") != 0);
        if (!get) {
            must(coap_add_data_large_request(session, pdu, size, up, NULL, NULL));
        }
        must(coap_send(session, pdu) != COAP_INVALID_MID);
        uint64_t until = dr_mono_ms() + 10000;
        while (!theirs.done && dr_mono_ms() < until) {
            turn(&o, ctx);
        }
        ck_assert_msg(theirs.done, "no response for %zu bytes", size);
        ck_assert_uint_eq(o.requests, 1);
        ck_assert_uint_eq(theirs.code, get ? CX_CONTENT : CX_CHANGED);
        if (!get) {
            ck_assert_uint_eq(o.body_len, size);
            ck_assert_mem_eq(o.body, up, size);
        }
        ck_assert_uint_eq(theirs.len, size);
        ck_assert_mem_eq(theirs.body, down, size);
        free(theirs.body);
    }
    coap_session_release(session);
    coap_free_context(ctx);
    coap_cleanup();
    ours_close(&o);
    free(up);
    free(down);
}
END_TEST

/* ---- libcoap is the server ---- */

static struct {
    uint8_t *got;
    size_t got_len;
    unsigned requests;
    const uint8_t *give;
    size_t give_len;
} server;

static void on_put(coap_resource_t *resource, coap_session_t *session, const coap_pdu_t *request,
                   const coap_string_t *query, coap_pdu_t *response)
{
    (void)resource;
    (void)session;
    (void)query;
    size_t len = 0, offset = 0, total = 0;
    const uint8_t *data = NULL;
    server.requests++;
    if (coap_get_data_large(request, &len, &data, &offset, &total)) {
        free(server.got);
        server.got = malloc(len + 1);
        must(server.got != NULL);
        memcpy(server.got, data, len);
        server.got_len = len;
    }
    coap_pdu_set_code(response, COAP_RESPONSE_CODE_CHANGED);
}

static void on_get(coap_resource_t *resource, coap_session_t *session, const coap_pdu_t *request,
                   const coap_string_t *query, coap_pdu_t *response)
{
    server.requests++;
    coap_pdu_set_code(response, COAP_RESPONSE_CODE_CONTENT);
    must(coap_add_data_large_response(resource, session, request, response, query,
                                      COAP_MEDIATYPE_APPLICATION_OCTET_STREAM, -1, 0,
                                      server.give_len, server.give, NULL, NULL));
}

static void call_done(struct cx_call *call, dr_err_t err, const struct cx_pdu *pdu)
{
    struct ours *o = call->data;
    o->done = true;
    o->err = err;
    if (pdu != NULL) {
        o->code = pdu->code;
        free(o->body);
        o->body = malloc(pdu->payload_len + 1);
        must(o->body != NULL);
        o->body_len = pdu->payload_len;
        if (pdu->payload_len > 0) {
            memcpy(o->body, pdu->payload, pdu->payload_len);
        }
    }
}

START_TEST(libcoap_as_server_takes_and_gives_large_bodies)
{
    size_t size = body_sizes[_i];
    struct ours o;
    ours_open(&o);
    coap_context_t *ctx = context_new();
    coap_address_t addr;
    coap_address_init(&addr);
    addr.addr.sin.sin_family = AF_INET;
    addr.addr.sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    /* a port that was free a moment ago */
    int probe = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    ck_assert_int_eq(bind(probe, (struct sockaddr *)&any, sizeof any), 0);
    addr.addr.sin.sin_port = port_of(probe);
    close(probe);
    addr.size = sizeof(struct sockaddr_in);
    ck_assert_ptr_nonnull(coap_new_endpoint(ctx, &addr, COAP_PROTO_UDP));
    coap_resource_t *res = coap_resource_init(coap_make_str_const("x"), 0);
    coap_register_request_handler(res, COAP_REQUEST_PUT, on_put);
    coap_register_request_handler(res, COAP_REQUEST_GET, on_get);
    coap_add_resource(ctx, res);
    o.to = addr.addr.sin;

    uint8_t *up = bytes_make(size, 3), *down = bytes_make(size, 4);
    server.give = down;
    server.give_len = size;
    static const uint16_t blocks[] = {0, 64, 256};
    for (unsigned k = 0; k < 6; k++) {
        bool get = k % 2 == 1;
        struct cx_opt path = {CX_OPT_URI_PATH, 1, (const uint8_t *)"x"};
        struct cx_call call = {.code = get ? CX_GET : CX_PUT,
                               .opts = &path,
                               .n_opts = 1,
                               .payload = get ? NULL : up,
                               .payload_len = get ? 0 : size,
                               .block_size = blocks[k / 2],
                               .cb = call_done,
                               .data = &o};
        o.done = false;
        server.requests = 0;
        ck_assert_int_eq(cx_msg_call_start(o.m, &o.peer, &call, dr_mono_ms()), DR_OK);
        uint64_t until = dr_mono_ms() + 10000;
        while (!o.done && dr_mono_ms() < until) {
            turn(&o, ctx);
        }
        ck_assert_msg(o.done && o.err == DR_OK, "%s of %zu bytes in blocks of %u: %s",
                      get ? "GET" : "PUT", size, call.block_size, dr_err_name(o.err));
        if (get) {
            ck_assert_uint_eq(o.code, CX_CONTENT);
            ck_assert_uint_eq(o.body_len, size);
            ck_assert_mem_eq(o.body, down, size);
        } else {
            ck_assert_uint_eq(o.code >> 5, 2);
            ck_assert_uint_eq(server.requests, 1);
            ck_assert_uint_eq(server.got_len, size);
            ck_assert_mem_eq(server.got, up, size);
        }
    }
    free(server.got);
    server.got = NULL;
    coap_free_context(ctx);
    coap_cleanup();
    ours_close(&o);
    free(up);
    free(down);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("coap against libcoap");
    TCase *tc = tcase_create("codec");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, libcoap_parses_what_we_encode);
    tcase_add_test(tc, libcoap_refuses_what_we_refuse);
    tcase_add_test(tc, libcoap_encodes_the_same_bytes);
    suite_add_tcase(s, tc);
    TCase *blocks = tcase_create("block-wise");
    tcase_set_timeout(blocks, 120);
    tcase_add_loop_test(blocks, libcoap_as_client_puts_and_gets_large_bodies, 0,
                        (int)DR_ARRAY_LEN(body_sizes));
    tcase_add_loop_test(blocks, libcoap_as_server_takes_and_gives_large_bodies, 0,
                        (int)DR_ARRAY_LEN(body_sizes));
    suite_add_tcase(s, blocks);

    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed;
}
