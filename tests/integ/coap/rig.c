/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/integ/coap/rig.h"

const uint8_t rig_key[16] = "7777777777777777"; /* text, since libcoap's client takes no other */

const struct cx_timing *rig_timing;

const uint8_t *rig_big(void)
{
    static uint8_t big[BIG_LEN];

    for (size_t i = 0; i < BIG_LEN; i++) {
        big[i] = (uint8_t)(i * 7 + i / 251);
    }
    return big;
}

static void reply_with(struct cx_engine *e, cx_exchange_t x, uint8_t code, const uint8_t *body,
                       size_t len)
{
    struct cx_reply reply = {.code = code, .payload = body, .payload_len = len};

    ck_assert_int_eq(cx_answer(e, x, &reply), DR_OK);
}

static void on_request(void *data, struct cx_engine *e, const struct cx_inbound *in)
{
    struct rig_side *side = data;
    char path[64];

    side->requests++;
    side->last_peer = in->peer;
    side->body_len = in->pdu->payload_len;
    ck_assert(cx_peer_identity(e, in->peer, &side->who));
    (void)snprintf(side->who_name, sizeof(side->who_name), "%s", side->who.name);
    ck_assert_int_eq(cx_pdu_path(in->pdu, path, sizeof(path)), DR_OK);
    if (strcmp(path, "/echo") == 0) {
        reply_with(e, in->exchange, CX_CONTENT, in->pdu->payload, in->pdu->payload_len);
    } else if (strcmp(path, "/big") == 0) {
        reply_with(e, in->exchange, CX_CONTENT, rig_big(), BIG_LEN);
    } else if (strcmp(path, "/later") == 0) {
        side->rig->later = in->exchange;
    } else if (strcmp(path, "/end") == 0) {
        reply_with(e, in->exchange, CX_CHANGED, NULL, 0);
        cx_peer_close(e, in->peer);
    } else {
        reply_with(e, in->exchange, CX_NOT_FOUND, NULL, 0);
    }
}

static bool on_notify(void *data, struct cx_engine *e, cx_peer_t peer, const struct cx_pdu *pdu)
{
    struct rig_side *side = data;

    (void)e;
    side->notifications++;
    side->last_peer = peer;
    side->body_len = pdu->payload_len;
    return side->accept_notify;
}

static void on_psk(void *data, struct cx_engine *e, const struct cx_psk_query *q)
{
    static const uint8_t other[16] = {1};
    struct rig_side *side = data;
    struct cx_identity id = {
        .kind = CX_ID_PSK, .account = 11, .credential = 22, .version = 3, .name = q->identity};

    side->psk_asked++;
    side->psk_handle = q->handle;
    if (strncmp(q->identity, "dev-", 4) == 0) {
        cx_psk_answer(e, q->handle, rig_key, sizeof(rig_key), &id);
    } else if (strncmp(q->identity, "wrong-", 6) == 0) {
        cx_psk_answer(e, q->handle, other, sizeof(other), &id);
    } else if (strncmp(q->identity, "slow-", 5) != 0) {
        cx_psk_answer(e, q->handle, NULL, 0, NULL);
    }
}

static void on_gone(void *data, struct cx_engine *e, cx_peer_t peer, uint64_t user,
                    enum cx_gone why)
{
    struct rig_side *side = data;
    struct cx_identity id;

    ck_assert(cx_peer_identity(e, peer, &id)); /* still there in the call */
    side->gone++;
    side->gone_peer = peer;
    side->gone_user = user;
    side->gone_why = why;
}

static dr_err_t on_cert(void *data, struct cx_engine *e, uint64_t tag, const char *cn,
                        const uint8_t *der, size_t len, struct cx_identity *id)
{
    struct rig_side *side = data;

    (void)e;
    ck_assert_ptr_nonnull(der);
    ck_assert_uint_gt(len, 100);
    side->certs_asked++;
    side->cert_tag = tag;
    *id = (struct cx_identity){
        .kind = CX_ID_CERT, .account = 33, .credential = 44, .version = 1, .name = cn};
    return side->cert_verdict;
}

static const struct cx_ops ops = {.request = on_request,
                                  .notify = on_notify,
                                  .psk = on_psk,
                                  .cert = on_cert,
                                  .peer_gone = on_gone};

static void tick(struct loop_timer *t)
{
    (void)t;
}

static void side_init(struct rig *r, struct rig_side *side, bool client,
                      const struct cx_limits *limits)
{
    struct cx_security_config sc = {.client = client};

    side->rig = r;
    side->accept_notify = true;
    ck_assert_int_eq(cx_security_new(&sc, &side->security, NULL), DR_OK);
    struct cx_engine_config config = {
        .loop = r->loop, .shards = 1, .security = side->security, .ops = &ops, .data = side};
    if (limits != NULL) {
        config.limits = *limits;
    }
    ck_assert_int_eq(cx_engine_new(&config, &side->engine), DR_OK);
}

static void listen_on(struct rig_side *side, union cx_addr *addr, enum cx_proto proto,
                      uint32_t host)
{
    int fd;

    *addr = (union cx_addr){.in4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(host)}};
    ck_assert_int_eq(cx_sockets_open(addr, 1, &fd), DR_OK);
    ck_assert_int_eq(cx_engine_adopt(side->engine, fd, proto), DR_OK);
}

void rig_init(struct rig *r, const struct cx_limits *server_limits,
              const struct cx_limits *client_limits)
{
    union cx_addr any;

    memset(r, 0, sizeof(*r));
    ck_assert_int_eq(loop_new("rig", &r->loop), DR_OK);
    side_init(r, &r->server, false, server_limits);
    side_init(r, &r->client, true, client_limits);
    listen_on(&r->server, &r->plain, CX_PROTO_UDP, INADDR_LOOPBACK);
    listen_on(&r->server, &r->secure, CX_PROTO_DTLS, INADDR_LOOPBACK);
    listen_on(&r->client, &any, CX_PROTO_UDP, INADDR_ANY);
    listen_on(&r->client, &any, CX_PROTO_DTLS, INADDR_ANY);
    loop_timer_start(r->loop, &r->tick, 5, 5, tick); /* so that every wait ends */
}

static void side_reload(struct rig_side *side, const struct cx_security_config *sc)
{
    struct cx_security *fresh;

    ck_assert_int_eq(cx_security_new(sc, &fresh, NULL), DR_OK);
    cx_engine_reload(side->engine, fresh);
    (void)cx_security_unref(side->security);
    side->security = fresh;
}

void rig_reload(struct rig *r, const struct cx_security_config *server,
                const struct cx_security_config *client)
{
    side_reload(&r->server, server);
    side_reload(&r->client, client);
}

static void side_closed(void *data)
{
    struct rig_side *side = data;

    side->closed = true;
}

void rig_close(struct rig_side *side)
{
    if (side->engine == NULL) {
        return;
    }
    cx_engine_close(side->engine, side_closed, side);
    ck_assert(!side->closed);
    RIG_UNTIL(side->rig, side->closed);
    side->engine = cx_engine_free(side->engine);
    side->security = cx_security_unref(side->security);
}

void rig_fini(struct rig *r)
{
    rig_close(&r->client);
    rig_close(&r->server);
    loop_timer_stop(&r->tick);
    r->loop = loop_free(r->loop);
}

void rig_pause(struct rig *r, unsigned ms)
{
    uint64_t end = dr_mono_ms() + ms;

    while (dr_mono_ms() < end) {
        loop_run_once(r->loop, true);
    }
}

static void connect_done(void *data, cx_peer_t peer, dr_err_t err)
{
    struct rig *r = data;

    r->connects++;
    r->connect_err = err;
    r->connected_peer = peer;
}

struct cx_connect rig_connect_args(struct rig *r, unsigned host, const char *identity)
{
    bool cert = identity != NULL && strcmp(identity, RIG_CERT) == 0;

    return (struct cx_connect){
        .proto = identity != NULL ? CX_PROTO_DTLS : CX_PROTO_UDP,
        .remote = identity != NULL ? r->secure : r->plain,
        .local = {.in4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000100 + host)}},
        .psk_identity = cert ? NULL : identity,
        .psk_key = cert ? NULL : rig_key,
        .psk_key_len = cert ? 0 : sizeof(rig_key),
        .cb = connect_done,
        .data = r};
}

cx_peer_t rig_connect_with(struct rig *r, const struct cx_connect *c)
{
    cx_peer_t peer = 0;

    ck_assert_int_eq(cx_connect(r->client.engine, c, &peer), DR_OK);
    ck_assert_uint_ne(peer, 0);
    return peer;
}

cx_peer_t rig_connect_start(struct rig *r, unsigned host, const char *identity)
{
    struct cx_connect c = rig_connect_args(r, host, identity);

    return rig_connect_with(r, &c);
}

static cx_peer_t connected(struct rig *r, const struct cx_connect *c)
{
    unsigned before = r->connects;
    cx_peer_t peer = rig_connect_with(r, c);

    ck_assert_uint_eq(r->connects, before); /* later, never inside */
    RIG_UNTIL(r, r->connects == before + 1);
    ck_assert_int_eq(r->connect_err, DR_OK);
    ck_assert_uint_eq(r->connected_peer, peer);
    return peer;
}

cx_peer_t rig_connect(struct rig *r, unsigned host, const char *identity)
{
    struct cx_connect c = rig_connect_args(r, host, identity);

    return connected(r, &c);
}

void rig_listen(struct rig *r)
{
    const enum cx_proto protos[] = {CX_PROTO_TCP, CX_PROTO_TLS};

    for (unsigned i = 0; i < 2; i++) {
        union cx_addr *addr = i == 0 ? &r->tcp : &r->tls;
        int fd;

        *addr = (union cx_addr){
            .in4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
        ck_assert_int_eq(cx_listeners_open(addr, 1, &fd), DR_OK);
        ck_assert_int_eq(cx_engine_adopt(r->server.engine, fd, protos[i]), DR_OK);
    }
}

struct cx_connect rig_stream_args(struct rig *r, unsigned host, const char *identity,
                                  enum cx_framing framing)
{
    struct cx_connect c = rig_connect_args(r, host, identity);

    c.proto = identity != NULL ? CX_PROTO_TLS : CX_PROTO_TCP;
    c.remote = identity != NULL ? r->tls : r->tcp;
    c.framing = framing;
    return c;
}

cx_peer_t rig_stream(struct rig *r, unsigned host, const char *identity, enum cx_framing framing)
{
    struct cx_connect c = rig_stream_args(r, host, identity, framing);

    return connected(r, &c);
}

static void call_done(struct cx_call *call, dr_err_t err, const struct cx_pdu *answer)
{
    struct rig_call *c = DR_CONTAINER_OF(call, struct rig_call, call);

    c->done++;
    c->err = err;
    ck_assert_int_eq(err == DR_OK, answer != NULL);
    if (answer != NULL) {
        c->code = answer->code;
        c->len = answer->payload_len;
        ck_assert_uint_le(c->len, sizeof(c->body));
        if (c->len > 0) {
            memcpy(c->body, answer->payload, c->len);
        }
    }
}

struct rig_call *rig_call_start(struct cx_engine *e, struct rig_call *c, cx_peer_t peer,
                                uint8_t code, const char *path, const void *body, size_t len)
{
    static struct cx_opt opts[RIG_CALLS];
    static unsigned next;
    struct cx_opt *opt = &opts[next++ % RIG_CALLS];

    *opt = (struct cx_opt){
        .num = CX_OPT_URI_PATH, .len = (uint16_t)strlen(path), .val = (const uint8_t *)path};
    memset(c, 0, sizeof(*c));
    c->call = (struct cx_call){.peer = peer,
                               .code = code,
                               .opts = opt,
                               .n_opts = 1,
                               .payload = body,
                               .payload_len = len,
                               .timing = rig_timing,
                               .cb = call_done};
    ck_assert_int_eq(cx_call_start(e, &c->call), DR_OK);
    ck_assert_uint_eq(c->done, 0);
    return c;
}

struct rig_call *rig_call(struct rig *r, struct cx_engine *e, cx_peer_t peer, uint8_t code,
                          const char *path, const void *body, size_t len)
{
    struct rig_call *c = rig_call_start(e, &r->calls[0], peer, code, path, body, len);

    RIG_UNTIL(r, c->done > 0);
    ck_assert_uint_eq(c->done, 1);
    return c;
}

struct cx_stats rig_stats(const struct cx_engine *e)
{
    struct cx_stats st;

    cx_engine_stats(e, &st);
    return st;
}
