/* SPDX-License-Identifier: Apache-2.0 */
#include "device-sim/options.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "device-sim/fota_faults.h"
#include "device-sim/stack.h"
#include "manifest/ident.h"

#define KEY_FILE_MAX 512

static const char *const scenarios[] = {
    [SIM_REGISTER] = "register", [SIM_UPDATES] = "update", [SIM_NOTIFY] = "notify",
    [SIM_REQUEST] = "request",   [SIM_IDLE] = "idle",      [SIM_CHURN] = "churn",
    [SIM_FOTA] = "fota"};

enum {
    O_SERVER = 256,
    O_DEVICES,
    O_PREFIX,
    O_FIRST,
    O_MASTER,
    O_CERT,
    O_KEY,
    O_SCENARIO,
    O_RATE,
    O_WINDOW,
    O_DURATION,
    O_LIFETIME,
    O_STACK,
    O_CID,
    O_REBIND,
    O_LOSS,
    O_DUP,
    O_REORDER,
    O_REBOOT,
    O_SEED,
    O_JSON,
    O_NET,
    O_FRAMING,
    O_QUEUE,
    O_AWAKE,
    O_NON,
    O_PID,
    O_BOOTSTRAP,
    O_BOOTSTRAP_ONLY,
    O_OBJECT,
    O_BLOCK,
    O_VERSION,
    O_NEXT,
    O_VENDOR,
    O_CLASS,
    O_UPDATE_CERT,
    O_FAULTS,
    O_FETCH,
    O_UNTIL,
    O_HELP
};

static const struct option options[] = {{"server", required_argument, NULL, O_SERVER},
                                        {"devices", required_argument, NULL, O_DEVICES},
                                        {"prefix", required_argument, NULL, O_PREFIX},
                                        {"first", required_argument, NULL, O_FIRST},
                                        {"psk-master-file", required_argument, NULL, O_MASTER},
                                        {"cert", required_argument, NULL, O_CERT},
                                        {"key", required_argument, NULL, O_KEY},
                                        {"scenario", required_argument, NULL, O_SCENARIO},
                                        {"rate", required_argument, NULL, O_RATE},
                                        {"window", required_argument, NULL, O_WINDOW},
                                        {"duration", required_argument, NULL, O_DURATION},
                                        {"lifetime", required_argument, NULL, O_LIFETIME},
                                        {"stack", required_argument, NULL, O_STACK},
                                        {"cid", required_argument, NULL, O_CID},
                                        {"rebind-every", required_argument, NULL, O_REBIND},
                                        {"loss", required_argument, NULL, O_LOSS},
                                        {"dup", required_argument, NULL, O_DUP},
                                        {"reorder", required_argument, NULL, O_REORDER},
                                        {"reboot-rate", required_argument, NULL, O_REBOOT},
                                        {"seed", required_argument, NULL, O_SEED},
                                        {"json", no_argument, NULL, O_JSON},
                                        {"source-net", required_argument, NULL, O_NET},
                                        {"framing", required_argument, NULL, O_FRAMING},
                                        {"queue-mode", no_argument, NULL, O_QUEUE},
                                        {"awake", required_argument, NULL, O_AWAKE},
                                        {"non", no_argument, NULL, O_NON},
                                        {"server-pid", required_argument, NULL, O_PID},
                                        {"bootstrap", no_argument, NULL, O_BOOTSTRAP},
                                        {"bootstrap-only", no_argument, NULL, O_BOOTSTRAP_ONLY},
                                        {"update-object", required_argument, NULL, O_OBJECT},
                                        {"block", required_argument, NULL, O_BLOCK},
                                        {"fw-version", required_argument, NULL, O_VERSION},
                                        {"next-version", required_argument, NULL, O_NEXT},
                                        {"vendor-id", required_argument, NULL, O_VENDOR},
                                        {"class-id", required_argument, NULL, O_CLASS},
                                        {"update-cert", required_argument, NULL, O_UPDATE_CERT},
                                        {"fota-faults", required_argument, NULL, O_FAULTS},
                                        {"fetch", required_argument, NULL, O_FETCH},
                                        {"until-updated", no_argument, NULL, O_UNTIL},
                                        {"help", no_argument, NULL, O_HELP},
                                        {0}};

static void usage(FILE *out)
{
    fputs(
        "usage: drover-sim --server coaps[+tcp]://ADDRESS:PORT|coap[+tcp]://ADDRESS:PORT "
        "--devices N [options]\n\n"
        "  --prefix P, --first I      endpoint name of device i is P followed by i (sim-, 0)\n"
        "  --psk-master-file F        master key in hex; a device's key is derived from it and "
        "its name\n"
        "  --cert FILE --key FILE     one certificate for all devices\n"
        "  --scenario S               register, update, notify, request, idle, churn or fota "
        "(idle)\n"
        "  --bootstrap                the server is a bootstrap server: go where it sends\n"
        "  --bootstrap-only           … and end there, with --scenario register\n"
        "  --rate R                   operations a second over the fleet; 0 = as the window "
        "allows (0)\n"
        "  --window W                 outstanding exchanges (64)\n"
        "  --duration S               seconds to run after all are registered (10)\n"
        "  --lifetime S               registration lifetime (300)\n"
        "  --queue-mode --awake S     sleep; listen S seconds after an uplink (93)\n"
        "  --non                      notifications are not confirmable\n"
        "  --stack own|libcoap        whose CoAP and DTLS (own)\n"
        "  --framing rfc8323|pelion   over TCP: as RFC 8323, or a datagram a TLS record (rfc8323)\n"
        "  --rebind-every S           a device in S seconds moves to another source address\n"
        "  --loss F --dup F --reorder F   of the datagrams, 0 to 1\n"
        "  --reboot-rate F            of the operations, a device reboots instead\n"
        "  --seed N                   of the faults (1)\n"
        "  --source-net A             first source address of the devices (127.1.0.1)\n"
        "  --server-pid PID           measure the CPU time of this process too\n"
        "  --update-object pelion|lwm2m|lwm2m-push|none   objects 10252, 10255 and 14, or object 5 "
        "(pelion with fota)\n"
        "  --fw-version V             of the firmware at the beginning (1.0.0)\n"
        "  --next-version V           of a pushed or pulled image that does not name it (1.1.0)\n"
        "  --block N                  size of the blocks that devices ask for (1024)\n"
        "  --vendor-id U --class-id U what the devices are\n"
        "  --update-cert FILE         check the signatures of manifests\n"
        "  --fota-faults LIST         reject, broken, corrupt, dead, oldversion, "
        "slow=N|P%|@I+J,... "
        "and once\n"
        "  --fetch URI                download it without being told\n"
        "  --until-updated            end when each device is through with an update\n"
        "  --json                     last line of standard output is a summary\n",
        out);
}

static dr_err_t bad(const char *what, const char *value)
{
    fprintf(stderr, "drover-sim: %s: '%s' is not right; see drover-sim --help\n", what, value);
    return DR_ERR_INVAL;
}

static dr_err_t take_uint(const char *what, const char *text, uint64_t min, uint64_t max,
                          uint32_t *ret)
{
    uint64_t v;

    if (dr_parse_u64_max(text, strlen(text), max, &v) != DR_OK || v < min) {
        return bad(what, text);
    }
    *ret = (uint32_t)v;
    return DR_OK;
}

static dr_err_t take_real(const char *what, const char *text, double max, double *ret)
{
    double v;

    if (dr_parse_double(text, strlen(text), &v) != DR_OK || !(v >= 0 && v <= max)) {
        return bad(what, text);
    }
    *ret = v;
    return DR_OK;
}

static const struct {
    const char *prefix;
    bool secure, tcp;
} schemes[] = {
    {"coaps://", true, false},
    {"coap://", false, false},
    {"coaps+tcp://", true, true},
    {"coap+tcp://", false, true},
};

static dr_err_t take_server(const char *text, struct sim_options *o)
{
    char host[64];
    const char *colon = strrchr(text, ':'), *at = NULL;
    bool secure = false, tcp = false;

    for (size_t i = 0; i < DR_ARRAY_LEN(schemes) && at == NULL; i++) {
        size_t len = strlen(schemes[i].prefix);
        if (strncmp(text, schemes[i].prefix, len) == 0) {
            at = text + len;
            secure = schemes[i].secure;
            tcp = schemes[i].tcp;
        }
    }
    if (at == NULL || colon <= at || (size_t)(colon - at) >= sizeof host) {
        return bad("--server", text);
    }
    memcpy(host, at, (size_t)(colon - at));
    host[colon - at] = '\0';
    uint32_t port;
    if (take_uint("--server", colon + 1, 1, 65535, &port) != DR_OK) {
        return DR_ERR_INVAL;
    }
    o->secure = secure;
    o->tcp = tcp;
    o->server = (union cx_addr){.in4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)}};
    if (inet_pton(AF_INET, host, &o->server.in4.sin_addr) != 1) {
        fprintf(
            stderr,
            "drover-sim: --server: '%s' is not an IPv4 address (the devices differ by theirs)\n",
            host);
        return DR_ERR_INVAL;
    }
    return DR_OK;
}

static dr_err_t take_master(const char *file, struct sim_options *o)
{
    char text[KEY_FILE_MAX];
    FILE *f = fopen(file, "r");
    size_t len = f == NULL ? 0 : fread(text, 1, sizeof text - 1, f);

    if (f != NULL) {
        (void)fclose(f);
    }
    text[len] = '\0';
    len = strcspn(text, " \t\r\n");
    dr_err_t err = dr_hex_decode(text, len, o->master, sizeof o->master, &o->master_len);
    dr_wipe(text, sizeof text);
    if (err != DR_OK || o->master_len < 16) {
        fprintf(stderr, "drover-sim: '%s' does not hold a master key of 16 to %d bytes in hex\n",
                file, SIM_MASTER_MAX);
        return DR_ERR_INVAL;
    }
    return DR_OK;
}

static dr_err_t take_scenario(const char *text, struct sim_options *o)
{
    for (size_t i = 0; i < DR_ARRAY_LEN(scenarios); i++) {
        if (strcmp(text, scenarios[i]) == 0) {
            o->scenario = (enum sim_scenario)i;
            return DR_OK;
        }
    }
    return bad("--scenario", text);
}

static dr_err_t take_net(const char *text, struct sim_options *o)
{
    char address[INET_ADDRSTRLEN] = "";
    struct in_addr in;
    size_t len = strcspn(text, "/");

    if (len < sizeof address) {
        memcpy(address, text, len);
    }
    if (inet_pton(AF_INET, address, &in) != 1) {
        return bad("--source-net", text);
    }
    o->source_net = ntohl(in.s_addr);
    return DR_OK;
}

static dr_err_t take_stack(const char *text, struct sim_options *o)
{
    o->libcoap = strcmp(text, "libcoap") == 0;
    return o->libcoap || strcmp(text, "own") == 0 ? DR_OK : bad("--stack", text);
}

static dr_err_t take_object(const char *text, struct sim_options *o)
{
    static const char *const names[] = {
        [SIM_UPDATE_NONE] = "none", [SIM_UPDATE_PELION] = "pelion", [SIM_UPDATE_OBJECT5] = "lwm2m"};

    o->model.push = strcmp(text, "lwm2m-push") == 0;
    text = o->model.push ? "lwm2m" : text;
    for (size_t i = 0; i < DR_ARRAY_LEN(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            o->model.update = (enum sim_update_object)i;
            o->has_object = true;
            return DR_OK;
        }
    }
    return bad("--update-object", text);
}

static dr_err_t take_block(const char *text, struct sim_options *o)
{
    dr_err_t err = take_uint("--block", text, 16, 1024, &o->block);

    return err == DR_OK && (o->block & (o->block - 1)) != 0 ? bad("--block", text) : err;
}

static dr_err_t take_version(const char *what, const char *text, const char **ret)
{
    uint64_t number;

    if (manifest_version_parse(dr_bytes_str(text), &number) != DR_OK) {
        return bad(what, text);
    }
    *ret = text;
    return DR_OK;
}

static dr_err_t take_id(const char *what, const char *text, uint8_t *ret, bool *ret_has)
{
    *ret_has = true;
    return manifest_id_parse(dr_bytes_str(text), ret) == DR_OK ? DR_OK : bad(what, text);
}

static dr_err_t take_fetch(const char *text, struct sim_options *o)
{
    o->fetch_uri = text;
    return strlen(text) <= 255 ? DR_OK : bad("--fetch", text);
}

static dr_err_t take_framing(const char *text, struct sim_options *o)
{
    bool pelion = strcmp(text, "pelion") == 0;

    o->framing = pelion ? CX_FRAMING_DATAGRAM : CX_FRAMING_RFC8323;
    return pelion || strcmp(text, "rfc8323") == 0 ? DR_OK : bad("--framing", text);
}

static dr_err_t take_unbuilt(const char *name, const char *value)
{
    if (value != NULL && strcmp(value, "off") == 0) {
        return DR_OK;
    }
    fprintf(stderr, "drover-sim: %s is not part of this version\n", name);
    return DR_ERR_INVAL;
}

static dr_err_t take(int opt, const char *value, struct sim_options *o)
{
    uint32_t n;
    dr_err_t err;

    switch (opt) {
    case O_SERVER:
        return take_server(value, o);
    case O_DEVICES:
        return take_uint("--devices", value, 1, SIM_DEVICES_MAX, &o->devices);
    case O_PREFIX:
        o->prefix = value;
        return strlen(value) <= 40 ? DR_OK : bad("--prefix", value);
    case O_FIRST:
        return take_uint("--first", value, 0, 1000000000, &o->first);
    case O_MASTER:
        return take_master(value, o);
    case O_CERT:
        o->cert_file = value;
        return DR_OK;
    case O_KEY:
        o->key_file = value;
        return DR_OK;
    case O_SCENARIO:
        return take_scenario(value, o);
    case O_RATE:
        return take_real("--rate", value, 1e9, &o->rate);
    case O_WINDOW:
        return take_uint("--window", value, 1, SIM_WINDOW_MAX, &o->window);
    case O_DURATION:
        return take_real("--duration", value, 1e9, &o->duration_s);
    case O_LIFETIME:
        return take_uint("--lifetime", value, 1, 0x7fffffff, &o->lifetime_s);
    case O_STACK:
        return take_stack(value, o);
    case O_FRAMING:
        return take_framing(value, o);
    case O_CID:
        return take_unbuilt("--cid", value);
    case O_BOOTSTRAP:
        o->bootstrap = true;
        return DR_OK;
    case O_BOOTSTRAP_ONLY:
        o->bootstrap = o->bootstrap_only = true;
        return DR_OK;
    case O_REBIND:
        return take_real("--rebind-every", value, 1e9, &o->rebind_every_s);
    case O_LOSS:
        return take_real("--loss", value, 1, &o->loss);
    case O_DUP:
        return take_real("--dup", value, 1, &o->duplicate);
    case O_REORDER:
        return take_real("--reorder", value, 1, &o->reorder);
    case O_REBOOT:
        return take_real("--reboot-rate", value, 1, &o->reboot_rate);
    case O_SEED:
        err = take_uint("--seed", value, 0, UINT32_MAX, &n);
        o->seed = err == DR_OK ? n : o->seed;
        return err;
    case O_NET:
        return take_net(value, o);
    case O_QUEUE:
        o->queue_mode = true;
        return DR_OK;
    case O_AWAKE:
        return take_uint("--awake", value, 1, 86400, &o->awake_s);
    case O_NON:
        o->confirmable = false;
        return DR_OK;
    case O_PID:
        err = take_uint("--server-pid", value, 1, 0x7fffffff, &n);
        o->server_pid = err == DR_OK ? (int)n : 0;
        return err;
    case O_OBJECT:
        return take_object(value, o);
    case O_BLOCK:
        return take_block(value, o);
    case O_VERSION:
        return take_version("--fw-version", value, &o->version);
    case O_NEXT:
        return take_version("--next-version", value, &o->next_version);
    case O_VENDOR:
        return take_id("--vendor-id", value, o->model.vendor, &o->has_vendor);
    case O_CLASS:
        return take_id("--class-id", value, o->model.class_id, &o->has_class);
    case O_UPDATE_CERT:
        o->update_cert = value;
        return DR_OK;
    case O_FAULTS:
        o->fota_faults = value;
        return DR_OK;
    case O_FETCH:
        return take_fetch(value, o);
    case O_UNTIL:
        o->until_updated = true;
        return DR_OK;
    case O_JSON:
        o->json = true;
        return DR_OK;
    case O_HELP:
        usage(stdout);
        return DR_ERR_AGAIN;
    default:
        return DR_ERR_INVAL;
    }
}

/* Each: what is wrong, or NULL. */
static const char *check_security(const struct sim_options *o)
{
    if (o->secure && o->master_len == 0 && o->cert_file == NULL) {
        return "coaps:// needs --psk-master-file, or --cert and --key";
    }
    return (o->cert_file == NULL) != (o->key_file == NULL) ? "--cert and --key go together" : NULL;
}

static const char *check_libcoap(const struct sim_options *o)
{
    bool faults = o->loss + o->duplicate + o->reorder + o->rebind_every_s > 0;

    if (!o->libcoap) {
        return NULL;
    }
    if (sim_stack_libcoap == NULL) {
        return "--stack libcoap: this drover-sim was built without libcoap";
    }
    return faults || o->queue_mode || o->bootstrap || o->tcp || o->cert_file != NULL ||
                   o->devices > SIM_LIBCOAP_MAX
               ? "--stack libcoap: up to 2,000 devices with PSK or without security, no TCP, no "
                 "faults of the wire, no --rebind-every, no --queue-mode, no --bootstrap"
               : NULL;
}

static const char *check_fleet(const struct sim_options *o)
{
    /* a device that moves goes through as many addresses as there are, see fleet.c */
    uint64_t addresses = (uint64_t)o->devices * (o->rebind_every_s > 0 ? SIM_MOVES : 1);

    if (o->server.sa.sa_family == 0) {
        return "--server is missing";
    }
    if (o->devices == 0) {
        return "--devices is missing";
    }
    if ((o->source_net >> 24) != ((o->source_net + addresses) >> 24)) {
        return "--source-net has too few addresses for so many devices";
    }
    if (o->tcp && o->loss + o->duplicate + o->reorder > 0) {
        return "--loss, --dup and --reorder are for datagrams";
    }
    return o->loss + o->duplicate + o->reorder > 1
               ? "--loss, --dup and --reorder together are more than 1"
               : NULL;
}

static const char *check_updates(const struct sim_options *o)
{
    bool once;

    if (o->bootstrap_only && o->scenario != SIM_REGISTER) {
        return "--bootstrap-only belongs to --scenario register";
    }
    if (o->has_vendor != o->has_class) {
        return "--vendor-id and --class-id go together";
    }
    if (sim_fota_faults_assign(o->fota_faults, o->devices, o->seed, NULL, &once) != DR_OK) {
        return "--fota-faults is no list like reject=2,dead=1%,corrupt=@7+9, or names too many "
               "devices";
    }
    return (o->fetch_uri != NULL || o->until_updated) && o->scenario != SIM_FOTA
               ? "--fetch and --until-updated belong to --scenario fota"
               : NULL;
}

static dr_err_t check(const struct sim_options *o)
{
    const char *why = check_fleet(o);

    why = why != NULL ? why : check_security(o);
    why = why != NULL ? why : check_libcoap(o);
    why = why != NULL ? why : check_updates(o);
    if (why != NULL) {
        fprintf(stderr, "drover-sim: %s; see drover-sim --help\n", why);
    }
    return why == NULL ? DR_OK : DR_ERR_INVAL;
}

dr_err_t sim_options_parse(int argc, char **argv, struct sim_options *ret)
{
    dr_assert(argv != NULL && ret != NULL);
    struct sim_options o = {.prefix = "sim-",
                            .window = 64,
                            .scenario = SIM_IDLE,
                            .duration_s = 10,
                            .lifetime_s = 300,
                            .awake_s = 93,
                            .confirmable = true,
                            .seed = 1,
                            .source_net = 0x7f010001,
                            .version = SIM_VERSION,
                            .block = 1024};
    int opt;

    optind = 1;
    while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
        dr_err_t err = take(opt, optarg, &o);
        if (err != DR_OK) {
            return err;
        }
    }
    if (optind != argc) {
        return bad("argument", argv[optind]);
    }
    o.model.has_ids = o.has_vendor && o.has_class;
    if (!o.has_object && o.scenario == SIM_FOTA) {
        o.model.update = SIM_UPDATE_PELION;
    }
    dr_err_t err = check(&o);
    if (err == DR_OK) {
        *ret = o;
    }
    return err;
}
