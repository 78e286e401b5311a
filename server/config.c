/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <ini.h>

enum kind { KIND_TEXT, KIND_FILE, KIND_ADDR, KIND_ADDR_OR_OFF, KIND_UINT, KIND_CHOICE };

/* One row a key; parser, check, print-out and documentation all come from here. */
struct key {
    const char *name;
    enum kind kind;
    size_t offset;
    const char *initial;
    uint64_t min, max;
    const char *unit; /* of a number; or the choices, separated by '|' */
    bool reloadable;
    const char *help;
};

#define AT(member) offsetof(struct srv_config, member)

static const struct key keys[] = {
    {"data", KIND_FILE, AT(data), "", 0, 0, "", false,
     "Data folder: database, keys, run files. Made by `droverd init`."},
    {"coap", KIND_ADDR_OR_OFF, AT(coap), "off", 0, 0, "", false,
     "LwM2M over plain CoAP (UDP and TCP). Devices are not authenticated: for a trusted network "
     "only."},
    {"coaps", KIND_ADDR_OR_OFF, AT(coaps), "[::]:5684", 0, 0, "", false,
     "LwM2M over DTLS (UDP) and TLS (TCP)."},
    {"bootstrap", KIND_ADDR_OR_OFF, AT(bootstrap), "[::]:5784", 0, 0, "", false,
     "Bootstrap server over DTLS (UDP) and TLS (TCP). Devices get the address of `public-coaps` "
     "from it."},
    {"public-coaps", KIND_TEXT, AT(public_coaps), "", 0, 0, "", false,
     "host:port under which devices reach `coaps`, as bootstrap tells them. Without it "
     "`device-host` "
     "and the port of `coaps`; without that the address of `coaps`, or 127.0.0.1 where that is any "
     "address."},
    {"public-bootstrap", KIND_TEXT, AT(public_bootstrap), "", 0, 0, "", false,
     "host:port under which devices reach `bootstrap`, as developer certificates and server "
     "credentials tell them. Without it as for `public-coaps`."},
    {"http", KIND_ADDR, AT(http), "127.0.0.1:8080", 0, 0, "", false, "REST API."},
    {"http-cert", KIND_FILE, AT(http_cert), "", 0, 0, "", false,
     "PEM chain, leaf first; with it `http` is https."},
    {"http-key", KIND_FILE, AT(http_key), "", 0, 0, "", false, "PEM private key of `http-cert`."},
    {"metrics", KIND_ADDR_OR_OFF, AT(metrics), "127.0.0.1:9464", 0, 0, "", false,
     "Prometheus metrics (`GET /metrics`), without a key: keep it on loopback."},
    {"coaps-cert", KIND_FILE, AT(coaps_cert), "", 0, 0, "", false,
     "PEM chain of the LwM2M server (P-256), leaf first. Without it the server shows its own "
     "certificate."},
    {"coaps-key", KIND_FILE, AT(coaps_key), "", 0, 0, "", false,
     "PEM private key of `coaps-cert`."},
    {"coaps-ca", KIND_FILE, AT(coaps_ca), "", 0, 0, "", false,
     "PEM file of the authorities whose device certificates are accepted (first account)."},
    {"objects", KIND_FILE, AT(objects), "", 0, 0, "", false,
     "Folder with OMA LwM2M object definitions (XML), on top of the built-in ones."},
    {"shards", KIND_UINT, AT(shards), "0", 0, 64, "loops", false,
     "Loops that serve devices; 0 = one a processor."},
    {"pool-threads", KIND_UINT, AT(pool_threads), "4", 1, 64, "threads", false,
     "Threads for database reads, hashing and certificate handshakes."},
    {"grace", KIND_UINT, AT(grace_s), "60", 0, 86400, "s", false,
     "Added to a registration's lifetime before the device counts as gone."},
    {"awake", KIND_UINT, AT(awake_s), "93", 1, 86400, "s", false,
     "How long a queue-mode device listens after it has sent something."},
    {"peers-max", KIND_UINT, AT(peers_max), "1200000", 1, 16000000, "peers", false,
     "Device addresses known at once on each shard."},
    {"half-open-max", KIND_UINT, AT(half_open_max), "2000", 1, 100000, "handshakes", false,
     "DTLS handshakes under way on each shard."},
    {"handshake-cpu", KIND_UINT, AT(handshake_cpu_pct), "30", 1, 100, "%", false,
     "Share of a shard's time that handshakes may take."},
    {"body-max", KIND_UINT, AT(body_max), "65536", 1024, 16777216, "bytes", false,
     "Largest body a device may send block-wise."},
    {"nosec-idle", KIND_UINT, AT(nosec_idle_s), "86400", 60, 31536000, "s", false,
     "A plain CoAP peer without traffic is forgotten after this time."},
    {"tcp-max", KIND_UINT, AT(tcp_max), "20000", 1, 1000000, "connections", false,
     "TCP connections of devices on each shard."},
    {"tcp-per-address", KIND_UINT, AT(tcp_per_address), "1000", 1, 1000000, "connections", false,
     "TCP connections of one address (IPv6: of one /64) on each shard; devices behind one router "
     "share it."},
    {"tcp-hello", KIND_UINT, AT(tcp_hello_s), "60", 1, 3600, "s", false,
     "A TCP connection that is not through with TLS and its first message by then is closed."},
    {"tcp-idle", KIND_UINT, AT(tcp_idle_s), "86400", 600, 31536000, "s", false,
     "A TCP connection without traffic is closed after this time; devices ping every 540 s."},
    {"disk-min-free", KIND_UINT, AT(disk_min_free_mb), "64", 0, 1048576, "MiB", false,
     "Below this much free disk, writes are refused (503) before the disk is full."},
    {"events-keep", KIND_UINT, AT(events_keep_days), "30", 1, 3650, "days", false,
     "Device events older than this are removed."},
    {"device-host", KIND_TEXT, AT(device_host), "", 0, 0, "", false,
     "Name or address by which devices reach this server, for the addresses of firmware that they "
     "are given. Without it those of `coaps` and `coap`, unless they stand for all interfaces."},
    {"image-max", KIND_UINT, AT(image_max_mb), "100", 1, 1024, "MiB", false,
     "Largest firmware image in one upload (a form); larger ones come in chunks."},
    {"upload-max", KIND_UINT, AT(upload_max_mb), "1024", 1, 1024, "MiB", false,
     "Largest firmware image in chunks (an upload job)."},
    {"chunk-max", KIND_UINT, AT(chunk_max_mb), "100", 1, 1024, "MiB", false,
     "Largest chunk of an upload job."},
    {"log-level", KIND_CHOICE, AT(log_level), "info", 0, 0, "error|warning|info|debug", true,
     "Least level that is logged."},
    {"trace", KIND_TEXT, AT(trace), "", 0, 0, "", true,
     "Modules that log in detail, separated by commas (`coap,dtls,db`)."},
    {"test-fsync-delay", KIND_UINT, AT(test_fsync_delay_ms), "0", 0, 1000, "ms", false,
     "Added to every sync of the database: for benchmarks and tests only."},
};

static const struct key *find(const char *name)
{
    for (size_t i = 0; i < DR_ARRAY_LEN(keys); i++) {
        if (strcmp(keys[i].name, name) == 0) {
            return &keys[i];
        }
    }
    return NULL;
}

bool srv_config_has(const char *key)
{
    return find(key) != NULL;
}

bool srv_config_reloadable(const char *key)
{
    const struct key *k = find(key);
    return k != NULL && k->reloadable;
}

static bool parse_port(const char *text, uint16_t *ret)
{
    char *end;

    if (!isdigit((unsigned char)text[0])) {
        return false;
    }
    errno = 0;
    unsigned long v = strtoul(text, &end, 10);
    if (errno != 0 || *end != '\0' || v > 65535) {
        return false;
    }
    *ret = (uint16_t)v;
    return true;
}

static bool parse_addr(const char *text, struct srv_addr *ret)
{
    struct srv_addr a = {.off = false};
    const char *colon = strrchr(text, ':');
    unsigned char bin[16];

    if (colon == NULL || !parse_port(colon + 1, &a.port)) {
        return false;
    }
    bool v6 = text[0] == '[' && colon > text + 1 && colon[-1] == ']';
    const char *from = v6 ? text + 1 : text;
    size_t len = (size_t)(colon - from) - (v6 ? 1 : 0);
    if (len == 0 || len >= sizeof a.host) {
        return false;
    }
    memcpy(a.host, from, len);
    if (inet_pton(v6 ? AF_INET6 : AF_INET, a.host, bin) != 1) {
        return false;
    }
    *ret = a;
    return true;
}

static dr_err_t set_uint(const struct key *k, uint64_t *field, const char *value,
                         struct dr_errinfo *reterr)
{
    char *end;

    errno = 0;
    unsigned long long v = isdigit((unsigned char)value[0]) ? strtoull(value, &end, 10) : 0;
    if (!isdigit((unsigned char)value[0]) || *end != '\0') {
        dr_errinfo_set(reterr, k->name, 0, "'%s' is not a whole number", value);
        return DR_ERR_INVAL;
    }
    if (errno != 0 || v < k->min || v > k->max) {
        dr_errinfo_set(reterr, k->name, 0, "'%s' is outside %llu..%llu %s", value,
                       (unsigned long long)k->min, (unsigned long long)k->max, k->unit);
        return DR_ERR_RANGE;
    }
    *field = v;
    return DR_OK;
}

static bool is_choice(const char *choices, const char *value)
{
    size_t len = strlen(value);

    for (const char *at = choices; len > 0 && at != NULL; at = strchr(at, '|')) {
        at += *at == '|';
        if (strncmp(at, value, len) == 0 && (at[len] == '|' || at[len] == '\0')) {
            return true;
        }
    }
    return false;
}

static dr_err_t set_text(const struct key *k, char *field, const char *value,
                         struct dr_errinfo *reterr)
{
    if (strlen(value) > SRV_CONFIG_VALUE_MAX) {
        dr_errinfo_set(reterr, k->name, 0, "longer than %d characters", SRV_CONFIG_VALUE_MAX);
        return DR_ERR_RANGE;
    }
    if (k->kind == KIND_CHOICE && !is_choice(k->unit, value)) {
        dr_errinfo_set(reterr, k->name, 0, "'%s' is none of %s", value, k->unit);
        return DR_ERR_INVAL;
    }
    memset(field, 0, SRV_CONFIG_VALUE_MAX + 1);
    memcpy(field, value, strlen(value));
    return DR_OK;
}

dr_err_t srv_config_set(struct srv_config *c, const char *name, const char *value,
                        struct dr_errinfo *reterr)
{
    dr_assert(c != NULL && name != NULL && value != NULL);
    const struct key *k = find(name);
    if (k == NULL) {
        dr_errinfo_set(reterr, name, 0, "unknown key");
        return DR_ERR_NOT_FOUND;
    }
    void *field = (char *)c + k->offset;
    switch (k->kind) {
    case KIND_UINT:
        return set_uint(k, field, value, reterr);
    case KIND_TEXT:
    case KIND_FILE:
    case KIND_CHOICE:
        return set_text(k, field, value, reterr);
    case KIND_ADDR:
    case KIND_ADDR_OR_OFF:
        if (k->kind == KIND_ADDR_OR_OFF && strcmp(value, "off") == 0) {
            *(struct srv_addr *)field = (struct srv_addr){.off = true};
            return DR_OK;
        }
        if (!parse_addr(value, field)) {
            dr_errinfo_set(reterr, k->name, 0,
                           "'%s' is not address:port (as 0.0.0.0:5684, [::]:5684)%s", value,
                           k->kind == KIND_ADDR_OR_OFF ? " or off" : "");
            return DR_ERR_INVAL;
        }
        return DR_OK;
    }
    return DR_ERR_INTERNAL;
}

void srv_config_init(struct srv_config *ret)
{
    dr_assert(ret != NULL);
    memset(ret, 0, sizeof *ret);
    for (size_t i = 0; i < DR_ARRAY_LEN(keys); i++) {
        dr_err_t err = srv_config_set(ret, keys[i].name, keys[i].initial, NULL);
        dr_assert(err == DR_OK);
    }
}

struct parse {
    struct srv_config config;
    bool seen[DR_ARRAY_LEN(keys)];
    struct dr_errinfo *reterr;
    dr_err_t err;
    const char *text;
    size_t left;
    long line;
};

static char *next_line(char *buf, int cap, void *stream)
{
    struct parse *p = stream;
    size_t n = 0;

    if (p->left == 0) {
        return NULL;
    }
    p->line++;
    while (n + 1 < (size_t)cap && p->left > 0) {
        char ch = *p->text++;
        p->left--;
        buf[n++] = ch;
        if (ch == '\n') {
            break;
        }
    }
    buf[n] = '\0';
    return buf;
}

static int take_pair(void *user, const char *section, const char *name, const char *value)
{
    struct parse *p = user;

    if (p->err != DR_OK) {
        return 0;
    }
    const struct key *k = find(name);
    if (section[0] != '\0') {
        p->err = DR_ERR_INVAL;
        dr_errinfo_set(p->reterr, name, 0, "sections are not used");
    } else if (k != NULL && p->seen[k - keys]) {
        p->err = DR_ERR_EXISTS;
        dr_errinfo_set(p->reterr, name, 0, "stands there twice");
    } else {
        p->err = srv_config_set(&p->config, name, value == NULL ? "" : value, p->reterr);
    }
    if (p->err != DR_OK) {
        if (p->reterr != NULL) {
            p->reterr->line = p->line;
        }
        return 0;
    }
    p->seen[k - keys] = true;
    return 1;
}

dr_err_t srv_config_parse(struct srv_config *c, const char *text, size_t len,
                          struct dr_errinfo *reterr)
{
    dr_assert(c != NULL && (text != NULL || len == 0));
    if (len > SRV_CONFIG_FILE_MAX) {
        dr_errinfo_set(reterr, "", 0, "larger than %d bytes", SRV_CONFIG_FILE_MAX);
        return DR_ERR_TOO_LARGE;
    }
    if (len > 0 && memchr(text, '\0', len) != NULL) {
        dr_errinfo_set(reterr, "", 0, "holds a NUL byte");
        return DR_ERR_INVAL;
    }
    struct parse p = {.config = *c, .reterr = reterr, .text = text, .left = len};
    int line = ini_parse_stream(next_line, &p, take_pair, &p);
    if (p.err == DR_OK && line != 0) {
        dr_errinfo_set(reterr, "", line, "not of the form 'key = value'");
        p.err = DR_ERR_INVAL;
    }
    if (p.err == DR_OK) {
        *c = p.config;
    }
    return p.err;
}

dr_err_t srv_config_file(struct srv_config *c, const char *path, struct dr_errinfo *reterr)
{
    dr_assert(c != NULL && path != NULL);
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        dr_err_t err = errno == ENOENT ? DR_ERR_NOT_FOUND : DR_ERR_IO;
        dr_errinfo_set(reterr, "config", 0, "cannot open '%s': %s", path, strerror(errno));
        return err;
    }
    char *text = malloc(SRV_CONFIG_FILE_MAX + 1);
    size_t len = text == NULL ? 0 : fread(text, 1, SRV_CONFIG_FILE_MAX + 1, f);
    dr_err_t err = text == NULL ? DR_ERR_NOMEM : ferror(f) ? DR_ERR_IO : DR_OK;
    (void)fclose(f);
    if (err == DR_OK) {
        err = srv_config_parse(c, text, len, reterr);
    } else {
        dr_errinfo_set(reterr, "config", 0, "cannot read '%s'", path);
    }
    free(text);
    return err;
}

dr_err_t srv_config_environment(struct srv_config *c, struct dr_errinfo *reterr)
{
    dr_assert(c != NULL);
    for (size_t i = 0; i < DR_ARRAY_LEN(keys); i++) {
        char name[64] = "DROVER_";
        size_t n = strlen(name);
        for (const char *s = keys[i].name; *s != '\0' && n + 1 < sizeof name; s++) {
            name[n++] = *s == '-' ? '_' : (char)toupper((unsigned char)*s);
        }
        const char *value = getenv(name);
        if (value != NULL) {
            dr_err_t err = srv_config_set(c, keys[i].name, value, reterr);
            if (err != DR_OK) {
                return err;
            }
        }
    }
    return DR_OK;
}

/* A host and a port as they stand in a uri. */
static bool is_public(const char *text)
{
    const char *colon = strrchr(text, ':');
    uint16_t port;

    if (colon == NULL || colon == text || !parse_port(colon + 1, &port) || port == 0) {
        return false;
    }
    for (const char *at = text; at < colon; at++) {
        if (!isalnum((unsigned char)*at) && strchr("-._[]:", *at) == NULL) {
            return false;
        }
    }
    return true;
}

static bool public_check(const char *key, const char *text, struct dr_errinfo *reterr)
{
    if (text[0] == '\0' || is_public(text)) {
        return true;
    }
    dr_errinfo_set(reterr, key, 0,
                   "'%s' is not host:port (as lwm2m.example.com:5684, [2001:db8::1]:5684)", text);
    return false;
}

dr_err_t srv_config_check(const struct srv_config *c, struct dr_errinfo *reterr)
{
    dr_assert(c != NULL);
    if (c->data[0] == '\0') {
        dr_errinfo_set(reterr, "data", 0, "no data folder given (--data DIR)");
        return DR_ERR_INVAL;
    }
    if ((c->http_cert[0] == '\0') != (c->http_key[0] == '\0')) {
        dr_errinfo_set(reterr, "http-cert", 0, "http-cert and http-key go together");
        return DR_ERR_INVAL;
    }
    if ((c->coaps_cert[0] == '\0') != (c->coaps_key[0] == '\0')) {
        dr_errinfo_set(reterr, "coaps-cert", 0, "coaps-cert and coaps-key go together");
        return DR_ERR_INVAL;
    }
    if (!public_check("public-coaps", c->public_coaps, reterr) ||
        !public_check("public-bootstrap", c->public_bootstrap, reterr)) {
        return DR_ERR_INVAL;
    }
    if (c->coap.off && c->coaps.off) {
        dr_errinfo_set(reterr, "coaps", 0, "coap and coaps are both off: no device could connect");
        return DR_ERR_INVAL;
    }
    return DR_OK;
}

static void value_text(const struct key *k, const struct srv_config *c, char *buf, size_t cap)
{
    const void *field = (const char *)c + k->offset;

    if (k->kind == KIND_UINT) {
        (void)snprintf(buf, cap, "%llu", (unsigned long long)*(const uint64_t *)field);
    } else if (k->kind == KIND_ADDR || k->kind == KIND_ADDR_OR_OFF) {
        const struct srv_addr *a = field;
        bool v6 = strchr(a->host, ':') != NULL;
        if (a->off) {
            (void)snprintf(buf, cap, "off");
        } else {
            (void)snprintf(buf, cap, "%s%s%s:%u", v6 ? "[" : "", a->host, v6 ? "]" : "", a->port);
        }
    } else {
        (void)snprintf(buf, cap, "%s", (const char *)field);
    }
}

unsigned srv_config_reload(struct srv_config *to, const struct srv_config *from)
{
    dr_assert(to != NULL && from != NULL);
    unsigned differ = 0;
    for (size_t i = 0; i < DR_ARRAY_LEN(keys); i++) {
        char was[SRV_CONFIG_VALUE_MAX + 1], is[SRV_CONFIG_VALUE_MAX + 1];
        value_text(&keys[i], to, was, sizeof was);
        value_text(&keys[i], from, is, sizeof is);
        if (strcmp(was, is) == 0) {
            continue;
        }
        if (!keys[i].reloadable) {
            differ++;
            continue;
        }
        dr_err_t err = srv_config_set(to, keys[i].name, is, NULL);
        dr_assert(err == DR_OK);
    }
    return differ;
}

void srv_config_print(const struct srv_config *c, FILE *out)
{
    dr_assert(c != NULL && out != NULL);
    for (size_t i = 0; i < DR_ARRAY_LEN(keys); i++) {
        char value[SRV_CONFIG_VALUE_MAX + 1];
        value_text(&keys[i], c, value, sizeof value);
        fprintf(out, "%s = %s\n", keys[i].name, value);
    }
}

static const char *kind_text(const struct key *k)
{
    switch (k->kind) {
    case KIND_UINT:
        return "number";
    case KIND_ADDR:
        return "address:port";
    case KIND_ADDR_OR_OFF:
        return "address:port or `off`";
    case KIND_CHOICE:
        return "choice";
    case KIND_FILE:
        return "path";
    case KIND_TEXT:
        return "text";
    }
    return "";
}

void srv_config_doc(FILE *out)
{
    dr_assert(out != NULL);
    fputs("| key | form | default | range or choices | reload | meaning |\n", out);
    fputs("| --- | --- | --- | --- | --- | --- |\n", out);
    for (size_t i = 0; i < DR_ARRAY_LEN(keys); i++) {
        const struct key *k = &keys[i];
        char range[96] = "";
        if (k->kind == KIND_UINT) {
            (void)snprintf(range, sizeof range, "%llu to %llu %s", (unsigned long long)k->min,
                           (unsigned long long)k->max, k->unit);
        } else if (k->kind == KIND_CHOICE) {
            (void)snprintf(range, sizeof range, "%s", k->unit);
            for (char *p = strchr(range, '|'); p != NULL; p = strchr(p, '|')) {
                *p = '/';
            }
        }
        fprintf(out, "| `%s` | %s | %s%s%s | %s | %s | %s |\n", k->name, kind_text(k),
                k->initial[0] ? "`" : "", k->initial, k->initial[0] ? "`" : "", range,
                k->reloadable ? "yes" : "no", k->help);
    }
}
