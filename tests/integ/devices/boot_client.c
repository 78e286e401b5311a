/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/integ/devices/boot_client.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lwm2m/codec.h"

static void die(const char *what, dr_err_t err)
{
    (void)fprintf(stderr, "boot_client: %s: %s\n", what, dr_err_str(err));
    abort();
}

static void must(const char *what, dr_err_t err)
{
    if (err != DR_OK) {
        die(what, err);
    }
}

/* ---- what the server asks ---- */

static struct boot_seen *note(struct boot_client *c, const struct cx_pdu *pdu)
{
    static struct boot_seen spill;
    struct boot_seen *seen = c->n_seen < BOOT_CLIENT_SEEN_MAX ? &c->seen[c->n_seen] : &spill;
    struct cx_opt opt;

    c->n_seen++;
    *seen = (struct boot_seen){.code = pdu->code,
                               .format = pdu->content_format,
                               .accept = pdu->accept,
                               .len = pdu->payload_len,
                               .block1 = pdu->block1};
    must("path", cx_pdu_path(pdu, seen->path, sizeof seen->path));
    if (cx_opt_find(pdu, CX_OPT_URI_QUERY, &opt)) {
        (void)snprintf(seen->query, sizeof seen->query, "%.*s", (int)opt.len,
                       (const char *)opt.val);
    }
    return seen;
}

static bool ruled(struct boot_client *c, const struct boot_seen *seen, uint8_t *ret)
{
    for (unsigned i = 0; i < BOOT_CLIENT_RULES_MAX; i++) {
        struct boot_rule *r = &c->rules[i];
        if (r->times == 0 || (r->code != 0 && r->code != seen->code) ||
            (r->path != NULL && strcmp(r->path, seen->path) != 0) ||
            (r->format >= 0 && r->format != seen->format)) {
            continue;
        }
        r->times--;
        *ret = r->answer;
        return true;
    }
    return false;
}

static void text_answer(struct cx_engine *e, cx_exchange_t x, const char *text, uint16_t format)
{
    uint8_t buf[4];
    struct cx_opt opt = cx_opt_uint(CX_OPT_CONTENT_FORMAT, format, buf);
    const struct cx_reply reply = {.code = CX_CONTENT,
                                   .opts = &opt,
                                   .n_opts = 1,
                                   .payload = (const uint8_t *)text,
                                   .payload_len = strlen(text)};

    (void)cx_answer(e, x, &reply);
}

static void answer(struct cx_engine *e, cx_exchange_t x, uint8_t code)
{
    (void)cx_answer(e, x, &(struct cx_reply){.code = code});
}

static uint8_t store(struct boot_client *c, const struct boot_seen *seen, const struct cx_pdu *pdu)
{
    const struct lwm2m_schema schema = {.models = c->models, .enabler = LWM2M_VERSION(1, 1)};
    struct lwm2m_decode_opts opts = {.schema = &schema, .relative = true};

    must("path", lwm2m_path_parse(seen->path, strlen(seen->path), &opts.base));
    dr_err_t err = lwm2m_decode_nodes((uint16_t)seen->format, &opts, pdu->payload, pdu->payload_len,
                                      &c->written);
    return err == DR_OK ? CX_CHANGED : CX_BAD_REQUEST;
}

static void forget(struct boot_client *c, const char *path)
{
    if (strcmp(path, "/") == 0 || strcmp(path, "/0") == 0) {
        lwm2m_nodes_clear(&c->written);
    }
}

static void later(struct loop_timer *t)
{
    struct boot_client *c = DR_CONTAINER_OF(t, struct boot_client, later);

    c->finished = true;
    answer(c->engine, c->finish_x, CX_CHANGED);
}

static void on_finish(struct boot_client *c, cx_exchange_t x)
{
    if (c->separate) {
        c->finish_x = x;
        cx_ack(c->engine, x);
        loop_timer_start(c->loop, &c->later, 30, 0, later);
        return;
    }
    c->finished = true;
    answer(c->engine, x, CX_CHANGED);
}

static void on_get(struct boot_client *c, cx_exchange_t x, const struct boot_seen *seen)
{
    const char *text = strcmp(seen->path, "/") == 0    ? c->discover
                       : strcmp(seen->path, "/0") == 0 ? c->discover_object
                                                       : NULL;

    if (seen->accept != LWM2M_CT_LINK) {
        if (c->server_object == NULL) {
            answer(c->engine, x, CX_NOT_ALLOWED);
        } else {
            text_answer(c->engine, x, c->server_object, LWM2M_CT_SENML_JSON);
        }
    } else if (text == NULL) {
        answer(c->engine, x, CX_NOT_FOUND);
    } else {
        text_answer(c->engine, x, text, LWM2M_CT_LINK);
    }
}

static void on_request(void *data, struct cx_engine *e, const struct cx_inbound *in)
{
    struct boot_client *c = data;
    const struct boot_seen *seen = note(c, in->pdu);
    uint8_t code;

    if (c->silent_after != 0 && c->n_seen > c->silent_after) {
        cx_forget(e, in->exchange);
        return;
    }
    if (ruled(c, seen, &code)) {
        if (code == 0) {
            cx_forget(e, in->exchange);
        } else {
            answer(e, in->exchange, code);
        }
        return;
    }
    switch (seen->code) {
    case CX_GET:
        on_get(c, in->exchange, seen);
        return;
    case CX_PUT:
        answer(e, in->exchange, store(c, seen, in->pdu));
        return;
    case CX_DELETE:
        forget(c, seen->path);
        answer(e, in->exchange, CX_DELETED);
        return;
    default:
        if (strcmp(seen->path, "/bs") == 0) {
            on_finish(c, in->exchange);
        } else {
            answer(e, in->exchange, CX_NOT_FOUND);
        }
        return;
    }
}

static void on_gone(void *data, struct cx_engine *e, cx_peer_t peer, uint64_t user,
                    enum cx_gone why)
{
    struct boot_client *c = data;

    (void)e;
    (void)user;
    (void)why;
    c->gone = c->gone || peer == c->peer;
}

static const struct cx_ops client_ops = {.request = on_request, .peer_gone = on_gone};

/* ---- life ---- */

void boot_client_open(struct boot_client *c, struct loop *loop, const union cx_addr *server,
                      const char *cert_pem, const char *key_pem, const struct cx_anchor *ca)
{
    union cx_addr own = {.in4 = {.sin_family = AF_INET}};
    const struct cx_security_config sc = {.client = true,
                                          .cert_pem = cert_pem,
                                          .key_pem = key_pem,
                                          .anchors = ca,
                                          .n_anchors = ca == NULL ? 0 : 1};
    int fd;

    c->loop = loop;
    c->server = *server;
    for (unsigned i = 0; i < BOOT_CLIENT_RULES_MAX; i++) {
        c->rules[i].format = -1;
    }
    must("models", lwm2m_models_new(&c->models));
    must("security", cx_security_new(&sc, &c->security, NULL));
    const struct cx_engine_config config = {
        .loop = loop, .shards = 1, .security = c->security, .ops = &client_ops, .data = c};
    must("engine", cx_engine_new(&config, &c->engine));
    must("socket", cx_sockets_open(&own, 1, &fd));
    must("adopt", cx_engine_adopt(c->engine, fd, CX_PROTO_DTLS));
    lwm2m_nodes_init(&c->written, 0, 0);
}

static void closed(void *data)
{
    ((struct boot_client *)data)->closed = true;
}

void boot_client_close(struct boot_client *c)
{
    loop_timer_stop(&c->later);
    cx_engine_close(c->engine, closed, c);
    while (!c->closed) {
        loop_run_once(c->loop, true);
    }
    c->engine = cx_engine_free(c->engine);
    c->security = cx_security_unref(c->security);
    c->models = lwm2m_models_free(c->models);
    lwm2m_nodes_fini(&c->written);
}

static void connected(void *data, cx_peer_t peer, dr_err_t err)
{
    struct boot_client *c = data;

    c->connected = true;
    c->connect_err = err;
    c->peer = peer;
}

void boot_client_connect(struct boot_client *c, const char *identity, const uint8_t *key,
                         size_t len, uint32_t host)
{
    const struct cx_connect x = {.proto = CX_PROTO_DTLS,
                                 .remote = c->server,
                                 .local = {.in4 = {.sin_family = host != 0 ? AF_INET : 0,
                                                   .sin_addr.s_addr = htonl(0x7f000000 + host)}},
                                 .psk_identity = identity,
                                 .psk_key = key,
                                 .psk_key_len = len,
                                 .cb = connected,
                                 .data = c};

    c->connected = false;
    must("connect", cx_connect(c->engine, &x, &c->peer));
}

static void answered(struct cx_call *call, dr_err_t err, const struct cx_pdu *pdu)
{
    struct boot_client *c = call->data;
    const struct lwm2m_schema schema = {.models = c->models, .enabler = LWM2M_VERSION(1, 1)};
    const struct lwm2m_decode_opts opts = {.schema = &schema};

    c->answered = true;
    c->err = err;
    c->code = err == DR_OK ? pdu->code : 0;
    c->answer_format = err == DR_OK ? pdu->content_format : -1;
    if (err == DR_OK && pdu->code == CX_CONTENT && pdu->content_format >= 0) { /* a pack */
        must("pack", lwm2m_decode_nodes((uint16_t)pdu->content_format, &opts, pdu->payload,
                                        pdu->payload_len, &c->written));
    }
}

void boot_client_request(struct boot_client *c, uint8_t code, const char *path, const char *query,
                         int32_t accept)
{
    static uint8_t number[4];
    size_t n = 0;
    char *at, *part;

    c->answered = false;
    size_t first = strcspn(path, "/");
    c->opts[n++] = (struct cx_opt){CX_OPT_URI_PATH, (uint16_t)first, (const uint8_t *)path};
    if (path[first] == '/') {
        path += first + 1;
        c->opts[n++] =
            (struct cx_opt){CX_OPT_URI_PATH, (uint16_t)strlen(path), (const uint8_t *)path};
    }
    (void)snprintf(c->query, sizeof c->query, "%s", query == NULL ? "" : query);
    for (part = strtok_r(c->query, "&", &at); part != NULL && n < 15;
         part = strtok_r(NULL, "&", &at)) {
        c->opts[n++] =
            (struct cx_opt){CX_OPT_URI_QUERY, (uint16_t)strlen(part), (const uint8_t *)part};
    }
    if (accept >= 0) {
        c->opts[n++] = cx_opt_uint(CX_OPT_ACCEPT, (uint32_t)accept, number);
    }
    c->call = (struct cx_call){
        .peer = c->peer, .code = code, .opts = c->opts, .n_opts = n, .cb = answered, .data = c};
    c->call.payload = c->body.p;
    c->call.payload_len = c->body.len;
    must("request", cx_call_start(c->engine, &c->call));
}

const struct lwm2m_value *boot_client_value(const struct boot_client *c, uint16_t object,
                                            uint16_t instance, uint16_t res)
{
    const struct lwm2m_path path = LWM2M_PATH(object, instance, res);

    for (size_t i = c->written.count; i-- > 0;) { /* the last one counts */
        if (lwm2m_path_eq(&c->written.items[i].path, &path)) {
            return &c->written.items[i].value;
        }
    }
    return NULL;
}

int boot_client_account(const struct boot_client *c)
{
    for (size_t i = 0; i < c->written.count; i++) {
        const struct lwm2m_path *p = &c->written.items[i].path;
        if (p->depth == 3 && p->id[0] == 0 && p->id[2] == 0) {
            return p->id[1];
        }
    }
    return -1;
}
