/* SPDX-License-Identifier: Apache-2.0 */
/* Our own engine in client role: one socket, the devices differ by source address. */
#include "device-sim/stack.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/loop.h"
#include "device-sim/faults.h"
#include "device-sim/firmware.h"

#define OPTS_MAX     20
#define PEM_FILE_MAX (64 * 1024)

struct own;

/* A message on its way; for a handshake only the first two members. */
struct own_call {
    struct own *own;
    struct sim_message *m;
    struct cx_call call;
    struct cx_opt opts[OPTS_MAX];
    uint8_t observe[4], format[4], block[4];
};

struct own {
    struct sim_fleet *fleet;
    struct loop *loop;
    struct cx_engine *engine;
    struct cx_security *security;
    const struct sim_options *options;
    cx_peer_t *peers;       /* by device */
    struct own_call *calls; /* by slot */
    struct sim_faults faults;
};

static void add_option(struct own_call *oc, uint16_t num, const void *val, size_t len)
{
    dr_assert(oc->call.n_opts < OPTS_MAX);
    oc->opts[oc->call.n_opts++] = (struct cx_opt){.num = num, .len = (uint16_t)len, .val = val};
}

/* The server still talks to the address of a device that has gone: without security this makes a
 * peer, which would stand in the way when the device comes back. */
static void close_stray(struct cx_engine *e, cx_peer_t peer)
{
    if (cx_peer_user(e, peer) == 0) {
        cx_peer_close(e, peer);
    }
}

static bool own_notify(void *data, struct cx_engine *e, cx_peer_t peer, const struct cx_pdu *pdu)
{
    (void)data;
    (void)pdu;
    close_stray(e, peer);
    return false;
}

static void own_request(void *data, struct cx_engine *e, const struct cx_inbound *in)
{
    struct own *own = data;
    struct sim_answer answer;
    uint8_t observe[4], format[4];
    struct cx_opt opts[2];
    size_t n = 0;
    uint32_t device = (uint32_t)cx_peer_user(e, in->peer) - 1;

    if (!sim_fleet_request(own->fleet, device, in->pdu, &answer)) {
        cx_forget(e, in->exchange);
        close_stray(e, in->peer);
        return;
    }
    if (answer.effect == SIM_OBSERVE) {
        opts[n++] = cx_opt_uint(CX_OPT_OBSERVE, 1, observe);
    }
    if (answer.content_format >= 0) {
        opts[n++] = cx_opt_uint(CX_OPT_CONTENT_FORMAT, (uint32_t)answer.content_format, format);
    }
    const struct cx_reply reply = {.code = answer.code,
                                   .opts = opts,
                                   .n_opts = n,
                                   .payload = answer.payload,
                                   .payload_len = answer.len};
    if (answer.separate) {
        cx_ack(e, in->exchange);
    }
    (void)cx_answer(e, in->exchange, &reply);
}

static void own_gone(void *data, struct cx_engine *e, cx_peer_t peer, uint64_t user,
                     enum cx_gone why)
{
    struct own *own = data;

    (void)e;
    (void)why;
    if (user != 0 && own->peers[user - 1] == peer) {
        own->peers[user - 1] = 0;
        sim_fleet_gone(own->fleet, (uint32_t)user - 1);
    }
}

static const struct cx_ops own_ops = {
    .request = own_request, .notify = own_notify, .peer_gone = own_gone};

static char *read_file(const char *name)
{
    char *text = name == NULL ? NULL : calloc(1, PEM_FILE_MAX + 1);
    FILE *f = text == NULL ? NULL : fopen(name, "r");

    if (f == NULL || fread(text, 1, PEM_FILE_MAX, f) == 0) {
        if (name != NULL) {
            fprintf(stderr, "drover-sim: cannot read '%s'\n", name);
        }
        free(text);
        text = NULL;
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    return text;
}

static dr_err_t make_security(struct own *own)
{
    struct dr_errinfo info = {0};
    char *cert = read_file(own->options->cert_file), *key = read_file(own->options->key_file);
    const struct cx_security_config config = {.client = true, .cert_pem = cert, .key_pem = key};
    dr_err_t err = own->options->cert_file != NULL && (cert == NULL || key == NULL)
                       ? DR_ERR_NOT_FOUND
                       : cx_security_new(&config, &own->security, &info);

    if (err != DR_OK && info.text[0] != '\0') {
        fprintf(stderr, "drover-sim: %s\n", info.text);
    }
    free(cert);
    free(key);
    return err;
}

static void own_closed(void *data)
{
    *(bool *)data = true;
}

static void own_free(void *stack)
{
    struct own *own = stack;

    if (own == NULL) {
        return;
    }
    if (own->engine != NULL) {
        bool closed = false;
        cx_engine_close(own->engine, own_closed, &closed);
        while (!closed) {
            loop_run_once(own->loop, true);
        }
        own->engine = cx_engine_free(own->engine);
    }
    own->security = cx_security_unref(own->security);
    free(own->peers);
    free(own->calls);
    free(own);
}

static enum cx_proto proto_of(const struct sim_options *o)
{
    if (o->tcp) {
        return o->secure ? CX_PROTO_TLS : CX_PROTO_TCP;
    }
    return o->secure ? CX_PROTO_DTLS : CX_PROTO_UDP;
}

static dr_err_t own_start(struct own *own, struct loop *loop)
{
    const struct sim_options *o = own->options;
    union cx_addr any = {.in4 = {.sin_family = AF_INET}};
    int fd;
    dr_err_t err = o->secure ? make_security(own) : DR_OK;
    const struct cx_engine_config config = {
        .loop = loop,
        .shards = 1,
        .security = own->security,
        .limits = {.peers_max = o->devices + o->window,
                   .body_max = o->model.update == SIM_UPDATE_OBJECT5 ? SIM_PUSH_MAX : 0,
                   .half_open_max = o->window,
                   .streams_max = o->devices + o->window,
                   .handshake_cpu_pct = 100},
        .ops = &own_ops,
        .data = own,
    };

    if (err == DR_OK) {
        err = cx_engine_new(&config, &own->engine);
    }
    if (err != DR_OK || o->tcp) {
        return err;
    }
    err = cx_sockets_open(&any, 1, &fd);
    if (err == DR_OK) {
        err = cx_engine_adopt(own->engine, fd, proto_of(o));
        if (err != DR_OK) {
            (void)close(fd);
        }
    }
    if (err == DR_OK && sim_faults_init(&own->faults, o)) {
        err = cx_engine_set_filter(own->engine, sim_faults_decide, &own->faults);
    }
    return err;
}

static dr_err_t own_open(struct sim_fleet *fleet, struct loop *loop,
                         const struct sim_options *options, void **ret)
{
    struct own *own = calloc(1, sizeof *own);
    if (own == NULL) {
        return DR_ERR_NOMEM;
    }
    own->fleet = fleet;
    own->loop = loop;
    own->options = options;
    own->peers = calloc(options->devices, sizeof *own->peers);
    own->calls = calloc(options->window, sizeof *own->calls);
    dr_err_t err = own->peers == NULL || own->calls == NULL ? DR_ERR_NOMEM : own_start(own, loop);
    if (err != DR_OK) {
        own_free(own);
        return err;
    }
    *ret = own;
    return DR_OK;
}

static void own_connected(void *data, cx_peer_t peer, dr_err_t err)
{
    struct own_call *oc = data;
    struct own *own = oc->own;
    uint32_t device = oc->m->device;
    bool ours = own->peers[device] == peer; /* else it was closed meanwhile */

    if (ours && err == DR_OK) {
        cx_peer_set_user(own->engine, peer, (uint64_t)device + 1);
    } else if (ours) {
        own->peers[device] = 0;
    }
    sim_fleet_connected(own->fleet, oc->m, err);
}

static dr_err_t own_connect(void *stack, struct sim_message *m, const union cx_addr *server,
                            uint32_t source, const char *name, const uint8_t *key, size_t key_len)
{
    struct own *own = stack;
    struct own_call *oc = &own->calls[m->slot];

    oc->own = own;
    oc->m = m;
    const struct cx_connect c = {
        .proto = proto_of(own->options),
        .framing = own->options->framing,
        .remote = *server,
        .local = {.in4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(source)}},
        .psk_identity = key_len > 0 ? name : NULL,
        .psk_key = key,
        .psk_key_len = key_len,
        .cb = own_connected,
        .data = oc,
    };
    return cx_connect(own->engine, &c, &own->peers[m->device]);
}

/* Location-Path options joined with '/'. */
static void location_of(const struct cx_pdu *pdu, char *buf)
{
    struct cx_opt_iter it = cx_opt_begin(pdu);
    struct cx_opt opt;
    size_t n = 0;

    while (cx_opt_next(&it, &opt)) {
        if (opt.num != CX_OPT_LOCATION_PATH || n + opt.len + 2 > SIM_LOCATION_MAX) {
            continue;
        }
        if (n > 0) {
            buf[n++] = '/';
        }
        memcpy(buf + n, opt.val, opt.len);
        n += opt.len;
    }
    buf[n] = '\0';
}

static void own_answered(struct cx_call *call, dr_err_t err, const struct cx_pdu *answer)
{
    struct own_call *oc = DR_CONTAINER_OF(call, struct own_call, call);
    char location[SIM_LOCATION_MAX] = "";

    if (err == DR_OK && answer->code == CX_CREATED) {
        location_of(answer, location);
    }
    const struct sim_reply reply = {.code = err == DR_OK ? answer->code : CX_EMPTY,
                                    .location = location,
                                    .payload = err == DR_OK ? answer->payload : NULL,
                                    .len = err == DR_OK ? answer->payload_len : 0,
                                    .block2 = err == DR_OK ? answer->block2 : -1};
    sim_fleet_answered(oc->own->fleet, oc->m, err, err == DR_OK ? &reply : NULL);
}

static dr_err_t own_send(void *stack, struct sim_message *m)
{
    struct own *own = stack;
    struct own_call *oc = &own->calls[m->slot];

    oc->own = own;
    oc->m = m;
    oc->call = (struct cx_call){.peer = own->peers[m->device],
                                .code = m->code,
                                .non = m->non,
                                .opts = oc->opts,
                                .payload = m->payload,
                                .payload_len = m->len,
                                .token_len = m->token_len,
                                .cb = own_answered};
    memcpy(oc->call.token, m->token, sizeof m->token);
    for (const char *at = m->path; *at != '\0';) {
        size_t len = strcspn(at, "/");
        add_option(oc, CX_OPT_URI_PATH, at, len);
        at += len + (at[len] == '/');
    }
    for (unsigned i = 0; i < m->n_query; i++) {
        add_option(oc, CX_OPT_URI_QUERY, m->query[i], strlen(m->query[i]));
    }
    if (m->code >= CX_CODE(2, 0)) {
        oc->opts[oc->call.n_opts++] = cx_opt_uint(CX_OPT_OBSERVE, m->observe, oc->observe);
    }
    if (m->content_format >= 0) {
        oc->opts[oc->call.n_opts++] =
            cx_opt_uint(CX_OPT_CONTENT_FORMAT, (uint32_t)m->content_format, oc->format);
    }
    if (m->block2 >= 0) {
        oc->opts[oc->call.n_opts++] = cx_opt_uint(CX_OPT_BLOCK2, (uint32_t)m->block2, oc->block);
    }
    if (m->proxy_uri != NULL) {
        add_option(oc, CX_OPT_PROXY_URI, m->proxy_uri, strlen(m->proxy_uri));
    }
    return cx_call_start(own->engine, &oc->call);
}

static void own_close(void *stack, uint32_t device, enum sim_farewell how)
{
    struct own *own = stack;
    cx_peer_t peer = own->peers[device];

    own->peers[device] = 0;
    if (peer == 0) {
        return;
    }
    cx_peer_set_user(own->engine, peer, 0);
    if (how == SIM_SILENCE) {
        cx_peer_abandon(own->engine, peer);
    } else {
        cx_peer_close(own->engine, peer);
    }
}

static uint64_t own_retransmissions(const void *stack)
{
    const struct own *own = stack;
    struct cx_stats stats;

    cx_engine_stats(own->engine, &stats);
    return stats.retransmissions;
}

const struct sim_stack_ops sim_stack_own = {.open = own_open,
                                            .connect = own_connect,
                                            .send = own_send,
                                            .close = own_close,
                                            .retransmissions = own_retransmissions,
                                            .free = own_free};
