/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/e2e/boot_device.c
 * @brief A scripted device as a process: it bootstraps, registers with what it got, and does so
 * again when it is asked to.
 *
 *     boot_device --bootstrap H:P --identity I --key HEX|--cert F --cert-key F --ca F
 *                 [--query Q] [--discover TEXT] [--silent-after N] [--register [--again|--relapse
 * N]]
 *
 * Each line of stdout is JSON: what was answered and written. --again: once registered, wait to be
 * asked to bootstrap, do so, and register anew. --relapse: once registered, bootstrap again but
 * fall silent after N requests; at the next line of standard input register with the older key.
 */
#include <arpa/inet.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "tests/integ/devices/boot_client.h"

#define WAIT_MS 60000

struct arguments {
    const char *bootstrap, *identity, *key, *cert, *cert_key, *ca, *query, *discover;
    unsigned silent_after, relapse;
    bool registers, again;
};

struct device {
    struct loop *loop;
    struct loop_timer tick;
    struct boot_client boot;
    /* registered */
    struct cx_engine *engine;
    struct cx_security *security;
    cx_peer_t peer;
    struct cx_call call;
    struct cx_opt opts[8];
    bool connected, registered, triggered, closed;
    dr_err_t err;
    uint8_t code;
    char uri[300];
    /* the account in use */
    char identity[200];
    uint8_t key[64];
    size_t key_len;
};

static void fail(const char *what)
{
    (void)fprintf(stderr, "boot_device: %s\n", what);
    exit(1);
}

static void until(struct device *d, const bool *flag, const char *what)
{
    uint64_t end = dr_mono_ms() + WAIT_MS;

    while (!*flag) {
        if (dr_mono_ms() > end) {
            fail(what);
        }
        loop_run_once(d->loop, true);
    }
}

static void tick(struct loop_timer *t)
{
    (void)t;
}

static void addr_parse(const char *text, union cx_addr *ret)
{
    char host[64];
    unsigned port;

    if (sscanf(text, "%63[^:]:%u", host, &port) != 2 ||
        inet_pton(AF_INET, host, &ret->in4.sin_addr) != 1) {
        fail("not an address");
    }
    ret->in4.sin_family = AF_INET;
    ret->in4.sin_port = htons((uint16_t)port);
}

static char *file_read(const char *name)
{
    char *text = calloc(1, 65536);
    FILE *f = name == NULL ? NULL : fopen(name, "rb");

    if (f == NULL || text == NULL) {
        free(text);
        return NULL;
    }
    text[fread(text, 1, 65535, f)] = '\0';
    (void)fclose(f);
    return text;
}

/* ---- registered ---- */

static void on_request(void *data, struct cx_engine *e, const struct cx_inbound *in)
{
    struct device *d = data;
    char path[64] = "";

    d->triggered = d->triggered || (cx_pdu_path(in->pdu, path, sizeof path) == DR_OK &&
                                    strcmp(path, "/1/0/9") == 0);
    (void)cx_answer(e, in->exchange, &(struct cx_reply){.code = CX_CHANGED});
}

static const struct cx_ops ops = {.request = on_request};

static void connected(void *data, cx_peer_t peer, dr_err_t err)
{
    struct device *d = data;

    d->peer = peer;
    d->err = err;
    d->connected = true;
}

static void registered(struct cx_call *call, dr_err_t err, const struct cx_pdu *answer)
{
    struct device *d = call->data;

    d->err = err;
    d->code = err == DR_OK ? answer->code : 0;
    d->registered = true;
}

static void closed(void *data)
{
    ((struct device *)data)->closed = true;
}

static void engine_close(struct device *d)
{
    d->closed = false;
    cx_engine_close(d->engine, closed, d);
    until(d, &d->closed, "the engine does not close");
    d->engine = cx_engine_free(d->engine);
    d->security = cx_security_unref(d->security);
}

static void register_start(struct device *d)
{
    static const char links[] = "</1/0>,</3/0>", lifetime[] = "lt=300", version[] = "lwm2m=1.1";

    d->registered = false;
    d->opts[0] = (struct cx_opt){CX_OPT_URI_PATH, 2, (const uint8_t *)"rd"};
    d->opts[1] = (struct cx_opt){CX_OPT_URI_QUERY, 6, (const uint8_t *)lifetime};
    d->opts[2] = (struct cx_opt){CX_OPT_URI_QUERY, 9, (const uint8_t *)version};
    d->call = (struct cx_call){.peer = d->peer,
                               .code = CX_POST,
                               .opts = d->opts,
                               .n_opts = 3,
                               .payload = (const uint8_t *)links,
                               .payload_len = sizeof links - 1,
                               .cb = registered,
                               .data = d};
    if (cx_call_start(d->engine, &d->call) != DR_OK) {
        fail("cannot register");
    }
}

/* With the account in use, PSK only. */
static void register_with(struct device *d)
{
    const struct cx_security_config sc = {.client = true};
    union cx_addr own = {.in4 = {.sin_family = AF_INET}}, server = {0};
    int fd;

    addr_parse(d->uri + strlen("coaps://"), &server);
    if (cx_security_new(&sc, &d->security, NULL) != DR_OK) {
        fail("security");
    }
    const struct cx_engine_config config = {
        .loop = d->loop, .shards = 1, .security = d->security, .ops = &ops, .data = d};
    if (cx_engine_new(&config, &d->engine) != DR_OK || cx_sockets_open(&own, 1, &fd) != DR_OK ||
        cx_engine_adopt(d->engine, fd, CX_PROTO_DTLS) != DR_OK) {
        fail("engine");
    }
    d->connected = false;
    const struct cx_connect x = {.proto = CX_PROTO_DTLS,
                                 .remote = server,
                                 .psk_identity = d->identity,
                                 .psk_key = d->key,
                                 .psk_key_len = d->key_len,
                                 .cb = connected,
                                 .data = d};
    if (cx_connect(d->engine, &x, &d->peer) != DR_OK) {
        fail("connect");
    }
    until(d, &d->connected, "no handshake with the LwM2M server");
    if (d->err == DR_OK) {
        register_start(d);
        until(d, &d->registered, "no answer to Register");
    }
}

/* ---- bootstrap ---- */

static void boot(struct device *d, const struct arguments *a)
{
    uint64_t end = dr_mono_ms() + WAIT_MS;

    d->boot.finished = false;
    d->boot.answered = false;
    boot_client_request(&d->boot, CX_POST, "bs", a->query, -1);
    while (!d->boot.answered || (d->boot.code == CX_CHANGED && !d->boot.finished)) {
        if (dr_mono_ms() > end) {
            fail("bootstrap does not end");
        }
        if (a->silent_after != 0 && d->boot.n_seen > a->silent_after) {
            return;
        }
        loop_run_once(d->loop, true);
    }
    for (unsigned i = 0; i < 20; i++) { /* the answer to Finish leaves */
        loop_run_once(d->loop, true);
    }
}

static void account_take(struct device *d)
{
    int instance = boot_client_account(&d->boot);
    const struct lwm2m_value *uri =
        instance < 0 ? NULL : boot_client_value(&d->boot, 0, (uint16_t)instance, 0);

    (void)snprintf(d->uri, sizeof d->uri, "%.*s", uri == NULL ? 0 : (int)uri->bytes.len,
                   uri == NULL ? "" : (const char *)uri->bytes.ptr);
}

static void register_now(struct device *d)
{
    uint16_t instance = (uint16_t)boot_client_account(&d->boot);
    const struct lwm2m_value *identity = boot_client_value(&d->boot, 0, instance, 3);
    const struct lwm2m_value *secret = boot_client_value(&d->boot, 0, instance, 5);

    if (identity == NULL || secret == NULL) {
        fail("no keys were written");
    }
    (void)snprintf(d->identity, sizeof d->identity, "%.*s", (int)identity->bytes.len,
                   (const char *)identity->bytes.ptr);
    d->key_len = secret->bytes.len < sizeof d->key ? secret->bytes.len : sizeof d->key;
    memcpy(d->key, secret->bytes.ptr, d->key_len);
    register_with(d);
}

static void connect_boot(struct device *d, const struct arguments *a)
{
    uint8_t key[64];
    size_t len = 0;

    if (a->key != NULL && dr_hex_decode(a->key, strlen(a->key), key, sizeof key, &len) != DR_OK) {
        fail("--key is not hex");
    }
    boot_client_connect(&d->boot, a->key == NULL ? NULL : a->identity, key, len, 0);
    until(d, &d->boot.connected, "no handshake with the bootstrap server");
}

static void report(const struct device *d)
{
    int instance = boot_client_account(&d->boot);
    const struct lwm2m_value *mode =
        instance < 0 ? NULL : boot_client_value(&d->boot, 0, (uint16_t)instance, 2);
    const struct lwm2m_value *lifetime = boot_client_value(&d->boot, 1, 0, 1);
    const struct lwm2m_value *cert =
        instance < 0 ? NULL : boot_client_value(&d->boot, 0, (uint16_t)instance, 3);

    printf("{\"handshake\": \"%s\", \"code\": \"%u.%02u\", \"finished\": %s, \"requests\": %u, "
           "\"uri\": \"%s\", \"instance\": %d, \"mode\": %lld, \"lifetime\": %lld, "
           "\"identity_len\": %zu, \"registered\": \"%u.%02u\", \"register_error\": \"%s\"}\n",
           dr_err_name(d->boot.connect_err), d->boot.code >> 5, d->boot.code & 31,
           d->boot.finished ? "true" : "false", d->boot.n_seen, d->uri, instance,
           mode == NULL ? -1LL : (long long)mode->i,
           lifetime == NULL ? -1LL : (long long)lifetime->i,
           cert == NULL ? (size_t)0 : cert->bytes.len, d->code >> 5, d->code & 31,
           dr_err_name(d->err));
    (void)fflush(stdout);
}

static void relapse(struct device *d, struct arguments *a)
{
    char line[16];

    a->silent_after = d->boot.silent_after = d->boot.n_seen + a->relapse;
    boot(d, a);
    report(d);
    if (fgets(line, sizeof line, stdin) == NULL) {
        fail("nobody says to go on");
    }
    engine_close(d);
    register_with(d);
    report(d);
}

static void arguments_read(int argc, char **argv, struct arguments *a)
{
    static const struct option options[] = {{"bootstrap", required_argument, NULL, 'b'},
                                            {"identity", required_argument, NULL, 'i'},
                                            {"key", required_argument, NULL, 'k'},
                                            {"cert", required_argument, NULL, 'c'},
                                            {"cert-key", required_argument, NULL, 'K'},
                                            {"ca", required_argument, NULL, 'C'},
                                            {"query", required_argument, NULL, 'q'},
                                            {"discover", required_argument, NULL, 'd'},
                                            {"silent-after", required_argument, NULL, 's'},
                                            {"register", no_argument, NULL, 'r'},
                                            {"again", no_argument, NULL, 'a'},
                                            {"relapse", required_argument, NULL, 'R'},
                                            {0}};
    int opt;

    while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (opt) {
        case 'b':
            a->bootstrap = optarg;
            break;
        case 'i':
            a->identity = optarg;
            break;
        case 'k':
            a->key = optarg;
            break;
        case 'c':
            a->cert = optarg;
            break;
        case 'K':
            a->cert_key = optarg;
            break;
        case 'C':
            a->ca = optarg;
            break;
        case 'q':
            a->query = optarg;
            break;
        case 'd':
            a->discover = optarg;
            break;
        case 's':
            a->silent_after = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'r':
            a->registers = true;
            break;
        case 'R':
            a->relapse = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'a':
            a->again = true;
            break;
        default:
            exit(2);
        }
    }
    if (a->bootstrap == NULL || (a->key == NULL && a->cert == NULL)) {
        fail("--bootstrap and a credential are needed");
    }
}

/* The DER of a PEM certificate. */
static size_t der_read(const char *pem, uint8_t *out, size_t cap)
{
    const char *from = pem == NULL ? NULL : strstr(pem, "-----BEGIN CERTIFICATE-----\n");
    const char *to = from == NULL ? NULL : strstr(from, "\n-----END");
    char text[8192];
    size_t n = 0, len = 0;

    for (const char *at = from == NULL ? NULL : from + 28; at != NULL && at < to; at++) {
        if (*at != '\n' && n < sizeof text) {
            text[n++] = *at;
        }
    }
    return dr_base64_decode(text, n, out, cap, &len) == DR_OK ? len : 0;
}

int main(int argc, char **argv)
{
    static struct device d;
    struct arguments a = {.discover = "</>;lwm2m=1.1,</0/0>,</1>,</3/0>"};
    union cx_addr server = {0};
    uint8_t ca[4096];

    arguments_read(argc, argv, &a);
    addr_parse(a.bootstrap, &server);
    if (loop_new("device", &d.loop) != DR_OK) {
        fail("loop");
    }
    loop_timer_start(d.loop, &d.tick, 5, 5, tick);
    char *cert = file_read(a.cert), *cert_key = file_read(a.cert_key), *ca_pem = file_read(a.ca);
    const struct cx_anchor anchor = {.der = ca, .len = der_read(ca_pem, ca, sizeof ca), .tag = 1};
    boot_client_open(&d.boot, d.loop, &server, cert, cert_key, anchor.len == 0 ? NULL : &anchor);
    d.boot.discover = a.discover;
    d.boot.separate = strstr(a.query == NULL ? "" : a.query, "aid=") != NULL;
    d.boot.silent_after = a.silent_after;
    connect_boot(&d, &a);
    if (d.boot.connect_err == DR_OK) {
        boot(&d, &a);
    }
    account_take(&d);
    if (a.registers && d.boot.finished) {
        register_now(&d);
    }
    report(&d);
    if (a.again && d.code == CX_CREATED) {
        until(&d, &d.triggered, "nobody asked to bootstrap again");
        for (unsigned i = 0; i < 20; i++) {
            loop_run_once(d.loop, true);
        }
        boot(&d, &a);
        account_take(&d);
        engine_close(&d);
        register_now(&d);
        report(&d);
    }
    if (a.relapse != 0 && d.code == CX_CREATED) {
        relapse(&d, &a);
    }
    if (d.engine != NULL) {
        engine_close(&d);
    }
    boot_client_close(&d.boot);
    loop_timer_stop(&d.tick);
    (void)loop_free(d.loop);
    free(cert);
    free(cert_key);
    free(ca_pem);
    return 0;
}
