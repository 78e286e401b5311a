/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/integ/sim/rd_server.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "coap/pdu.h"

struct rd_call {
    struct cx_call call;
    struct rd_server *server;
    uint32_t reg;
    bool again;
    char path[RD_PATH_MAX];
    struct cx_opt opts[8];
    uint8_t buf[8];
};

#define MUST(cond)                                                                                 \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "rd_server: %s failed in line %d\n", #cond, __LINE__);                 \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static void reply(struct rd_server *s, cx_exchange_t x, uint8_t code, const char *location)
{
    struct cx_opt opts[2] = {{.num = CX_OPT_LOCATION_PATH, .len = 2, .val = (const uint8_t *)"rd"},
                             {.num = CX_OPT_LOCATION_PATH,
                              .len = (uint16_t)strlen(location),
                              .val = (const uint8_t *)location}};
    struct cx_reply r = {.code = code, .opts = opts, .n_opts = location[0] != '\0' ? 2 : 0};

    (void)cx_answer(s->engine, x, &r);
}

/* Value of query parameter "name=", NUL-terminated in @p buf; "" if absent. */
static void query(const struct cx_pdu *pdu, const char *name, char *buf, size_t cap)
{
    struct cx_opt_iter it = cx_opt_begin(pdu);
    struct cx_opt opt;
    size_t n = strlen(name);

    buf[0] = '\0';
    while (cx_opt_next(&it, &opt)) {
        if (opt.num == CX_OPT_URI_QUERY && opt.len > n && opt.len - n < cap &&
            memcmp(opt.val, name, n) == 0) {
            memcpy(buf, opt.val + n, opt.len - n);
            buf[opt.len - n] = '\0';
        }
    }
}

static void take_lifetime(struct rd_reg *reg, const struct cx_pdu *pdu)
{
    char text[16];

    query(pdu, "lt=", text, sizeof text);
    if (text[0] != '\0') {
        reg->lifetime_s = (uint32_t)strtoul(text, NULL, 10);
    }
}

static void on_register(struct rd_server *s, const struct cx_inbound *in)
{
    MUST(s->n_regs < RD_REGS_MAX);
    uint32_t i = s->n_regs++;
    struct rd_reg *reg = &s->regs[i];
    char location[16];

    query(in->pdu, "ep=", reg->ep, sizeof reg->ep);
    take_lifetime(reg, in->pdu);
    reg->peer = in->peer;
    s->registers++;
    (void)snprintf(location, sizeof location, "%u", i);
    reply(s, in->exchange, CX_CREATED, location);
    if (s->observe != NULL) {
        rd_server_call(s, i, CX_GET, s->observe, 0, NULL);
    }
    if (s->read != NULL) {
        rd_server_call(s, i, CX_GET, s->read, -1, NULL);
    }
}

static void on_location(struct rd_server *s, const struct cx_inbound *in, uint32_t i)
{
    struct rd_reg *reg = &s->regs[i];

    if (i >= s->n_regs || reg->peer == 0) {
        reply(s, in->exchange, CX_NOT_FOUND, "");
    } else if (in->pdu->code == CX_DELETE) {
        s->deregisters++;
        reg->peer = 0;
        reply(s, in->exchange, CX_DELETED, "");
    } else if (s->forgetful && reg->updates == 0) {
        reg->peer = 0;
        reply(s, in->exchange, CX_NOT_FOUND, "");
    } else {
        s->updates++;
        reg->updates++;
        reg->peer = in->peer;
        take_lifetime(reg, in->pdu);
        reply(s, in->exchange, CX_CHANGED, "");
    }
}

static void on_request(void *data, struct cx_engine *e, const struct cx_inbound *in)
{
    struct rd_server *s = data;
    char path[64];
    unsigned i;

    (void)e;
    MUST(cx_pdu_path(in->pdu, path, sizeof path) == DR_OK);
    if (s->refuse > 0) {
        s->refuse--;
        reply(s, in->exchange, s->refusal, "");
    } else if (strcmp(path, "/rd") == 0 && in->pdu->code == CX_POST) {
        on_register(s, in);
    } else if (sscanf(path, "/rd/%u", &i) == 1) {
        on_location(s, in, i);
    } else {
        reply(s, in->exchange, CX_BAD_REQUEST, "");
    }
}

static bool on_notify(void *data, struct cx_engine *e, cx_peer_t peer, const struct cx_pdu *pdu)
{
    struct rd_server *s = data;

    (void)e;
    (void)peer;
    s->notifications++;
    s->last_len = pdu->payload_len < sizeof s->last ? pdu->payload_len : sizeof s->last;
    memcpy(s->last, pdu->payload, s->last_len);
    return !s->refuse_notify;
}

static void on_psk(void *data, struct cx_engine *e, const struct cx_psk_query *q)
{
    struct rd_server *s = data;
    uint8_t key[EVP_MAX_MD_SIZE];
    unsigned len;
    struct cx_identity id = {
        .kind = CX_ID_PSK, .account = 1, .credential = 1, .version = 1, .name = q->identity};

    MUST(HMAC(EVP_sha256(), s->master, sizeof s->master, (const uint8_t *)q->identity,
              strlen(q->identity), key, &len) != NULL);
    cx_psk_answer(e, q->handle, key, 16, &id);
}

static const struct cx_ops ops = {.request = on_request, .notify = on_notify, .psk = on_psk};

static void answered(struct cx_call *call, dr_err_t err, const struct cx_pdu *answer)
{
    struct rd_call *c = DR_CONTAINER_OF(call, struct rd_call, call);
    struct rd_server *s = c->server;

    if (err == DR_OK) {
        s->answers++;
        s->last_code = answer->code;
        s->last_len = answer->payload_len < sizeof s->last ? answer->payload_len : sizeof s->last;
        if (s->last_len > 0) {
            memcpy(s->last, answer->payload, s->last_len);
        }
        if (c->again && s->regs[c->reg].peer != 0) {
            rd_server_call(s, c->reg, CX_GET, c->path, -1, NULL);
        }
    } else {
        s->failures++;
    }
    free(c);
}

void rd_server_call(struct rd_server *s, uint32_t reg, uint8_t code, const char *path, int observe,
                    const char *payload)
{
    struct rd_call *c = calloc(1, sizeof *c);
    size_t n = 0;

    MUST(c != NULL && reg < s->n_regs && strlen(path) < sizeof c->path);
    (void)snprintf(c->path, sizeof c->path, "%s", path);
    c->server = s;
    c->reg = reg;
    c->again = s->read != NULL && strcmp(path, s->read) == 0;
    for (char *at = c->path; *at != '\0';) {
        size_t len = strcspn(at, "/");
        c->opts[n++] = (struct cx_opt){
            .num = CX_OPT_URI_PATH, .len = (uint16_t)len, .val = (const uint8_t *)at};
        at += len + (at[len] == '/');
    }
    if (observe >= 0) {
        c->opts[n++] = cx_opt_uint(CX_OPT_OBSERVE, (uint32_t)observe, c->buf);
    }
    if (payload != NULL) {
        c->opts[n++] = cx_opt_uint(CX_OPT_CONTENT_FORMAT, 0, c->buf + 4);
    }
    c->call = (struct cx_call){.peer = s->regs[reg].peer,
                               .code = code,
                               .opts = c->opts,
                               .n_opts = n,
                               .payload = (const uint8_t *)payload,
                               .payload_len = payload != NULL ? strlen(payload) : 0,
                               .cb = answered};
    if (cx_call_start(s->engine, &c->call) != DR_OK) {
        s->failures++;
        free(c);
    }
}

static void listen_on(struct rd_server *s, union cx_addr *addr, enum cx_proto proto)
{
    int fd;

    MUST(cx_sockets_open(addr, 1, &fd) == DR_OK);
    MUST(cx_engine_adopt(s->engine, fd, proto) == DR_OK);
}

void rd_server_init(struct rd_server *s, struct loop *loop, const uint8_t master[32])
{
    const struct cx_security_config sc = {.client = false};

    s->loop = loop;
    memcpy(s->master, master, sizeof s->master);
    s->regs = calloc(RD_REGS_MAX, sizeof *s->regs);
    MUST(s->regs != NULL && cx_security_new(&sc, &s->security, NULL) == DR_OK);
    const struct cx_engine_config config = {.loop = loop,
                                            .shards = 1,
                                            .security = s->security,
                                            .limits = {.handshake_cpu_pct = 100},
                                            .ops = &ops,
                                            .data = s};
    MUST(cx_engine_new(&config, &s->engine) == DR_OK);
    s->plain.in4 = s->secure.in4 = (struct sockaddr_in){.sin_family = AF_INET,
                                                        .sin_port = s->secure.in4.sin_port,
                                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    s->plain.in4.sin_port = 0;
    listen_on(s, &s->plain, CX_PROTO_UDP);
    listen_on(s, &s->secure, CX_PROTO_DTLS);
}

static void on_closed(void *data)
{
    ((struct rd_server *)data)->closed = true;
}

void rd_server_fini(struct rd_server *s)
{
    s->read = NULL;
    cx_engine_close(s->engine, on_closed, s);
    while (!s->closed) {
        loop_run_once(s->loop, true);
    }
    s->engine = cx_engine_free(s->engine);
    s->security = cx_security_unref(s->security);
    free(s->regs);
}
