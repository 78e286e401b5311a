/* SPDX-License-Identifier: Apache-2.0 */
#include "client/ports/posix/options.h"

#include "client/core/fw.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#define SLOT_DEFAULT     262144
#define LIFETIME_DEFAULT 86400
#define SSID_DEFAULT     1

static const char help[] =
    "NAME\n"
    "  drover-client - the reference device: one LwM2M client with a flash of its own\n"
    "\n"
    "SYNOPSIS\n"
    "  drover-client --data DIR --server URI --psk-identity ID --psk-key-file FILE [OPTION...]\n"
    "  drover-client --data DIR --server URI --credentials FILE [OPTION...]\n"
    "  drover-client --data DIR --bootstrap URI --psk-identity ID --psk-key-file FILE [OPTION...]\n"
    "  drover-client --data DIR [--bootstrap URI] --credentials FILE [OPTION...]\n"
    "\n"
    "DESCRIPTION\n"
    "  Registers with a server, or asks a bootstrap server for its account first, and serves\n"
    "  objects 1, 3, 4 and 3303, with --update-key also 5, 14, 10252 and 10255. The flash is the\n"
    "  file DIR/flash.bin: keys that a bootstrap brought and images that an update brought are\n"
    "  there after a restart. An image is data: what runs stays this program, and its version is\n"
    "  that of the image's header (1.0.0 while there is none). Prints 'Client registered'\n"
    "  and 'Device Id: ID' when it is.\n"
    "  SIGTERM de-registers. A reboot (3/0/4) runs the program again.\n"
    "\n"
    "OPTIONS\n"
    "  --data DIR            folder of the device; made when it is not there\n"
    "  --server URI          coap://, coaps://, coap+tcp:// or coaps+tcp:// HOST:PORT\n"
    "  --bootstrap URI       the bootstrap server; without it the URI of the credentials\n"
    "  --psk-identity ID     identity of the pre-shared key\n"
    "  --psk-key-file FILE   the key, in hex\n"
    "  --credentials FILE    developer credentials as C source (certificate, key, authority)\n"
    "  --endpoint NAME       endpoint name; default: the identity, or what the credentials say\n"
    "  --lifetime S          of the registration, in seconds (86400)\n"
    "  --framing FORM        over TLS: rfc8323 (default) or pelion: a message in each record; "
    "makes\n"
    "                        coaps:// mean TLS\n"
    "  --form FORM           of the registration: lwm2m, or pelion (values and standing\n"
    "                        observations in it); default: pelion with --credentials and no\n"
    "                        --server, else lwm2m\n"
    "  --update-key FILE     who signs updates: certificate, public key or its 65 bytes\n"
    "  --vendor-id UUID      what manifests must be for\n"
    "  --class-id UUID\n"
    "  --http-download       fetch http:// payloads directly, not through the server\n"
    "  --trial-timeout S     a new image that has not registered by then starts again; after\n"
    "                        three starts the old one runs (120)\n"
    "  --slot-size BYTES     of each of the two image slots (262144)\n"
    "  --ask                 an update waits, before the download and before the installation,\n"
    "                        until the console says accept or refuse\n"
    "  --console             take commands on standard input: status, update, bootstrap, reboot,\n"
    "                        accept, refuse, quit\n"
    "  --fault WHAT          provoke a fault: cut-power-at-write:N dies in the N-th write or\n"
    "                        erasure of flash, which stays half done (exit status 9)\n"
    "  --help                this text\n"
    "\n"
    "EXIT STATUS\n"
    "  0 stopped in order; 1 the flash or the network cannot be used; 2 wrong options;\n"
    "  9 power was cut by --fault\n";

enum {
    O_DATA = 256,
    O_SERVER,
    O_BOOTSTRAP,
    O_IDENTITY,
    O_KEY_FILE,
    O_CREDENTIALS,
    O_ENDPOINT,
    O_LIFETIME,
    O_FRAMING,
    O_FORM,
    O_UPDATE_KEY,
    O_VENDOR,
    O_CLASS,
    O_HTTP,
    O_TRIAL,
    O_ASK,
    O_SLOT,
    O_CONSOLE,
    O_FAULT,
    O_HELP,
};

static const struct option table[] = {{"data", required_argument, NULL, O_DATA},
                                      {"server", required_argument, NULL, O_SERVER},
                                      {"bootstrap", required_argument, NULL, O_BOOTSTRAP},
                                      {"psk-identity", required_argument, NULL, O_IDENTITY},
                                      {"psk-key-file", required_argument, NULL, O_KEY_FILE},
                                      {"credentials", required_argument, NULL, O_CREDENTIALS},
                                      {"endpoint", required_argument, NULL, O_ENDPOINT},
                                      {"lifetime", required_argument, NULL, O_LIFETIME},
                                      {"framing", required_argument, NULL, O_FRAMING},
                                      {"form", required_argument, NULL, O_FORM},
                                      {"update-key", required_argument, NULL, O_UPDATE_KEY},
                                      {"vendor-id", required_argument, NULL, O_VENDOR},
                                      {"class-id", required_argument, NULL, O_CLASS},
                                      {"http-download", no_argument, NULL, O_HTTP},
                                      {"trial-timeout", required_argument, NULL, O_TRIAL},
                                      {"ask", no_argument, NULL, O_ASK},
                                      {"slot-size", required_argument, NULL, O_SLOT},
                                      {"console", no_argument, NULL, O_CONSOLE},
                                      {"fault", required_argument, NULL, O_FAULT},
                                      {"help", no_argument, NULL, O_HELP},
                                      {0}};

static bool bad(const char *what, const char *why)
{
    fprintf(stderr, "drover-client: %s: %s\n", what, why);
    return false;
}

static bool number(const char *what, const char *text, unsigned long min, unsigned long max,
                   uint32_t *ret)
{
    char *rest = NULL;
    unsigned long v = strtoul(text, &rest, 10);

    if (text[0] < '0' || text[0] > '9' || *rest != '\0' || v < min || v > max) {
        char why[80];
        snprintf(why, sizeof why, "a number from %lu to %lu is needed", min, max);
        return bad(what, why);
    }
    *ret = (uint32_t)v;
    return true;
}

/* The file with a zero behind it, or NULL with a message. The caller wipes and frees it. */
static char *file_read(const char *name, size_t *ret_len)
{
    FILE *f = fopen(name, "r");
    char *text = f != NULL ? calloc(1, OPTIONS_FILE_MAX + 1) : NULL;

    *ret_len = text != NULL ? fread(text, 1, OPTIONS_FILE_MAX + 1, f) : 0;
    if (f != NULL) {
        fclose(f);
    }
    if (text == NULL || *ret_len == 0 || *ret_len > OPTIONS_FILE_MAX) {
        bad(name, *ret_len > OPTIONS_FILE_MAX ? "the file is too large" : "cannot be read");
        free(text);
        return NULL;
    }
    text[*ret_len] = '\0';
    return text;
}

static int hex_digit(char c)
{
    const char digits[] = "0123456789abcdef";
    const char *at = c == '\0' ? NULL : strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c);

    return at == NULL ? -1 : (int)(at - digits);
}

static bool hex_decode(const char *text, uint8_t *out, size_t cap, uint16_t *ret_len)
{
    size_t n = strcspn(text, " \t\r\n"), len = 0;

    if (n == 0 || n % 2 != 0 || n / 2 > cap || text[n + strspn(text + n, " \t\r\n")] != '\0') {
        return false;
    }
    for (; len < n / 2; len++) {
        int hi = hex_digit(text[2 * len]), lo = hex_digit(text[2 * len + 1]);
        if (hi < 0 || lo < 0) {
            return false;
        }
        out[len] = (uint8_t)(hi << 4 | lo);
    }
    *ret_len = (uint16_t)len;
    return true;
}

static bool psk_take(struct options *o)
{
    size_t len;

    if (o->identity == NULL || o->key_file == NULL) {
        return bad("--psk-identity and --psk-key-file", "both are needed");
    }
    if (strlen(o->identity) == 0 || strlen(o->identity) > 128) {
        return bad("--psk-identity", "1 to 128 characters");
    }
    char *text = file_read(o->key_file, &len);
    if (text == NULL) {
        return false;
    }
    bool ok = hex_decode(text, o->account.key, 64, &o->account.key_len);
    cl_wipe(text, len);
    free(text);
    o->account.mode = CL_MODE_PSK;
    o->account.id_len = (uint16_t)strlen(o->identity);
    memcpy(o->account.id, o->identity, o->account.id_len);
    return ok || bad(o->key_file, "does not hold a key of 1 to 64 bytes in hex");
}

static bool credentials_take(struct options *o)
{
    struct credentials_error err;
    size_t len;
    char *text = file_read(o->credentials_file, &len);

    if (text == NULL) {
        return false;
    }
    bool ok = credentials_parse(text, len, &o->credentials, &err);
    cl_wipe(text, len);
    free(text);
    if (!ok) {
        fprintf(stderr, "drover-client: %s:%u: %s\n", o->credentials_file, err.line, err.text);
        return false;
    }
    const struct credentials *c = &o->credentials;
    struct cl_account *a = &o->account;
    a->mode = CL_MODE_CERT;
    bool lwm2m = o->server != NULL && c->lwm2m_authority_len > 0;
    a->id_len = c->certificate_len;
    a->peer_len = lwm2m ? c->lwm2m_authority_len : c->authority_len;
    a->key_len = c->key_len;
    memcpy(a->id, c->certificate, sizeof c->certificate);
    memcpy(a->peer, lwm2m ? c->lwm2m_authority : c->authority, sizeof a->peer);
    memcpy(a->key, c->key, sizeof c->key);
    return true;
}

/* The URI of the account; the credentials' account id goes with another bootstrap server, too. */
static bool uri_take(struct options *o)
{
    const char *uri = o->server != NULL ? o->server : o->bootstrap;
    const char *option = o->server != NULL ? "--server" : "--bootstrap";
    struct cl_uri parsed;
    int n = 0;

    if (uri == NULL) {
        uri = o->credentials.uri;
        option = o->credentials_file;
    }
    if (cl_uri_parse(uri, &parsed) != CL_OK) {
        return bad(option, "a URI such as coaps://HOST:PORT is needed");
    }
    if (o->server == NULL && parsed.query[0] == '\0' && o->credentials.account_id[0] != '\0') {
        n = snprintf(o->account.uri, sizeof o->account.uri, "%s?aid=%s", uri,
                     o->credentials.account_id);
    } else {
        n = snprintf(o->account.uri, sizeof o->account.uri, "%s", uri);
    }
    if (n < 0 || (size_t)n >= sizeof o->account.uri) {
        return bad(option, "the URI is too long");
    }
    bool open = parsed.scheme == CL_COAP || parsed.scheme == CL_COAP_TCP;
    if (open != (o->account.mode == CL_MODE_NONE)) {
        return bad(option, open ? "a URI without security takes no credentials"
                                : "--psk-identity or --credentials is needed");
    }
    return true;
}

static bool account_take(struct options *o)
{
    struct cl_account *a = &o->account;
    bool psk = o->identity != NULL || o->key_file != NULL;

    if (o->data == NULL) {
        return bad("--data", "is needed");
    }
    if (o->server != NULL && o->bootstrap != NULL) {
        return bad("--server and --bootstrap", "only one of them");
    }
    if (o->server == NULL && o->bootstrap == NULL && o->credentials_file == NULL) {
        return bad("--server or --bootstrap", "one of them is needed");
    }
    if (psk && o->credentials_file != NULL) {
        return bad("--psk-identity and --credentials", "only one of them");
    }
    a->there = true;
    a->mode = CL_MODE_NONE;
    a->inst = o->server != NULL ? 0 : 1;
    a->ssid = o->server != NULL ? SSID_DEFAULT : 0;
    if ((psk && !psk_take(o)) || (o->credentials_file != NULL && !credentials_take(o))) {
        return false;
    }
    if (!uri_take(o)) {
        return false;
    }
    if (o->endpoint == NULL) {
        o->endpoint = psk ? o->identity : o->credentials.endpoint; /* empty without either */
    }
    if (strlen(o->endpoint) == 0 || strlen(o->endpoint) > CL_ENDPOINT_MAX) {
        return bad("--endpoint", "1 to 64 characters are needed");
    }
    return true;
}

static bool framing_take(const char *text, struct options *o)
{
    o->records = strcmp(text, "pelion") == 0;
    return o->records || strcmp(text, "rfc8323") == 0 || bad("--framing", "rfc8323 or pelion");
}

/* 32 hex digits, hyphens anywhere between them. */
static bool uuid_take(const char *what, const char *text, uint8_t ret[16])
{
    char digits[33];
    uint16_t len = 0;
    size_t n = 0;

    for (; *text != '\0' && n < sizeof digits; text++) {
        if (*text != '-') {
            digits[n++] = *text;
        }
    }
    if (n != 32) {
        return bad(what, "32 hex digits are needed");
    }
    digits[n] = '\0';
    return hex_decode(digits, ret, 16, &len) || bad(what, "32 hex digits are needed");
}

static bool fault_take(const char *text, struct options *o)
{
    static const char cut[] = "cut-power-at-write:";

    if (strncmp(text, cut, sizeof cut - 1) != 0) {
        return bad("--fault", "the only one is cut-power-at-write:N");
    }
    return number("--fault cut-power-at-write", text + sizeof cut - 1, 1, UINT32_MAX, &o->cut_at);
}

static bool update_take(int opt, const char *arg, struct options *o)
{
    switch (opt) {
    case O_FORM:
        o->form = arg;
        return strcmp(arg, "lwm2m") == 0 || strcmp(arg, "pelion") == 0 ||
               bad("--form", "lwm2m or pelion");
    case O_UPDATE_KEY:
        o->update_key_file = arg;
        return true;
    case O_VENDOR:
        return uuid_take("--vendor-id", arg, o->vendor);
    case O_CLASS:
        return uuid_take("--class-id", arg, o->class_id);
    case O_HTTP:
        o->http = true;
        return true;
    case O_ASK:
        o->ask = true;
        return true;
    case O_TRIAL:
        return number("--trial-timeout", arg, 1, 86400, &o->trial_s);
    case O_FAULT:
        return fault_take(arg, o);
    default: /* getopt has said what is wrong */
        return false;
    }
}

static bool take(int opt, const char *arg, struct options *o)
{
    switch (opt) {
    case O_DATA:
        o->data = arg;
        return true;
    case O_SERVER:
        o->server = arg;
        return true;
    case O_BOOTSTRAP:
        o->bootstrap = arg;
        return true;
    case O_IDENTITY:
        o->identity = arg;
        return true;
    case O_KEY_FILE:
        o->key_file = arg;
        return true;
    case O_CREDENTIALS:
        o->credentials_file = arg;
        return true;
    case O_ENDPOINT:
        o->endpoint = arg;
        return true;
    case O_LIFETIME:
        return number("--lifetime", arg, 1, 315360000, &o->lifetime_s);
    case O_FRAMING:
        return framing_take(arg, o);
    case O_SLOT:
        return number("--slot-size", arg, 16384, 1u << 30, &o->slot_size);
    case O_CONSOLE:
        o->console = true;
        return true;
    default:
        return update_take(opt, arg, o);
    }
}

enum options_result options_parse(int argc, char **argv, struct options *ret)
{
    int opt;

    *ret = (struct options){.slot_size = SLOT_DEFAULT,
                            .lifetime_s = LIFETIME_DEFAULT,
                            .trial_s = CL_FW_TRIAL_MS / 1000};
    optind = 1;
    while ((opt = getopt_long(argc, argv, "", table, NULL)) != -1) {
        if (opt == O_HELP) {
            fputs(help, stdout);
            return OPTIONS_DONE;
        }
        if (!take(opt, optarg, ret)) {
            return OPTIONS_WRONG;
        }
    }
    if (optind < argc) {
        bad(argv[optind], "not an option");
        return OPTIONS_WRONG;
    }
    return account_take(ret) ? OPTIONS_RUN : OPTIONS_WRONG;
}
