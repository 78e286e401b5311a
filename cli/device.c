/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"

#define PATH_TEXT_MAX 1024

/* "/v3/devices/<escaped id><suffix>"; CLI_OK or a usage error that was said. */
static int device_path(char *buf, const char *prefix, const char *id, const char *suffix)
{
    char *escaped = cli_escape(id);
    int n = escaped == NULL ? -1 : snprintf(buf, PATH_TEXT_MAX, "%s%s%s", prefix, escaped, suffix);

    free(escaped);
    return n < 0 || n >= PATH_TEXT_MAX ? cli_fail(CLI_USAGE, "the id is too long") : CLI_OK;
}

struct print_row {
    const struct cli *c;
};

static bool print_device(void *data, const json_t *item)
{
    const struct print_row *row = data;

    if (row->c->json) {
        cli_print_json(row->c, item);
    } else {
        printf("%-32s  %-12s  %-24s  %s\n", cli_text(item, "id"), cli_text(item, "state"),
               cli_text(item, "endpoint_name"), cli_text(item, "endpoint_type"));
    }
    return true;
}

static int device_ls(struct cli *c, int argc, char **argv)
{
    static const struct option options[] = {
        {"filter", required_argument, NULL, 'f'}, {"limit", required_argument, NULL, 'n'}, {0}};
    char query[2048] = "";
    long limit = -1;
    int opt;

    optind = 0;
    while ((opt = getopt_long(argc + 1, argv - 1, "+", options, NULL)) != -1) {
        uint64_t n;
        if (opt == 'f') {
            /* "state=registered&device_class__in=a,b": the packed form, escaped once more */
            char *escaped = cli_escape(optarg);
            int len = escaped == NULL ? -1 : snprintf(query, sizeof query, "filter=%s", escaped);
            free(escaped);
            if (len < 0 || (size_t)len >= sizeof query) {
                return cli_fail(CLI_USAGE, "the filter is too long");
            }
        } else if (opt == 'n' &&
                   dr_parse_u64_max(optarg, strlen(optarg), 1000000000, &n) == DR_OK) {
            limit = (long)n;
        } else {
            return CLI_USAGE;
        }
    }
    struct print_row row = {.c = c};
    if (!c->json) {
        printf("%-32s  %-12s  %-24s  %s\n", "ID", "STATE", "ENDPOINT", "TYPE");
    }
    return cli_list(c, "/v3/devices", query, limit, print_device, &row);
}

static int get_and_print(struct cli *c, const char *path)
{
    struct cli_answer a;

    cli_request(c, "GET", path, NULL, &a);
    int rc = cli_answer_check(&a);
    if (rc == CLI_OK) {
        cli_print_json(c, a.json);
    }
    cli_answer_fini(&a);
    return rc;
}

static int device_get(struct cli *c, int argc, char **argv)
{
    char path[PATH_TEXT_MAX];
    int rc = argc != 1 ? CLI_USAGE : device_path(path, "/v3/devices/", argv[0], "");

    return rc != CLI_OK ? rc : get_and_print(c, path);
}

static int device_rm(struct cli *c, int argc, char **argv)
{
    char path[PATH_TEXT_MAX];
    int rc = argc != 1 ? CLI_USAGE : device_path(path, "/v3/devices/", argv[0], "");

    if (rc == CLI_OK) {
        struct cli_answer a;
        cli_request(c, "DELETE", path, NULL, &a);
        rc = cli_answer_check(&a);
        cli_answer_fini(&a);
    }
    return rc;
}

static int device_resources(struct cli *c, int argc, char **argv)
{
    char path[PATH_TEXT_MAX];
    int rc = argc != 1 ? CLI_USAGE : device_path(path, "/v2/endpoints/", argv[0], "");
    struct cli_answer a;

    if (rc != CLI_OK || c->json) {
        return rc != CLI_OK ? rc : get_and_print(c, path);
    }
    cli_request(c, "GET", path, NULL, &a);
    rc = cli_answer_check(&a);
    size_t i;
    json_t *item;
    json_array_foreach(a.json, i, item)
    {
        printf("%s\n", cli_text(item, "uri"));
    }
    cli_answer_fini(&a);
    return rc;
}

static bool print_event(void *data, const json_t *item)
{
    const struct print_row *row = data;

    if (row->c->json) {
        cli_print_json(row->c, item);
    } else {
        printf("%-28s  %-36s  %s\n", cli_text(item, "date_time"), cli_text(item, "event_type"),
               cli_text(item, "description"));
    }
    return true;
}

static int device_events(struct cli *c, int argc, char **argv)
{
    char query[PATH_TEXT_MAX];
    int rc = argc != 1 ? CLI_USAGE : device_path(query, "device_id__eq=", argv[0], "");
    struct print_row row = {.c = c};

    return rc != CLI_OK ? rc : cli_list(c, "/v3/device-events", query, -1, print_event, &row);
}

/* ---- requests to the device: POST /v3/drover/devices/{id}/requests waits for the result ---- */

static int exit_of_result(int status, const char *error)
{
    if (status >= 200 && status < 300) {
        return CLI_OK;
    }
    int code = status == 404                    ? CLI_NOT_FOUND
               : status == 504 || status == 503 ? CLI_TIMEOUT
                                                : CLI_FAILED;
    return cli_fail(code, "the device answered %d%s%s", status, error[0] ? ": " : "", error);
}

/* Text as it is; everything else as hex. */
static void print_payload(const char *b64)
{
    size_t cap = strlen(b64) + 1, len = 0;
    uint8_t *bytes = malloc(cap);
    char *hex = malloc(DR_HEX_LEN(cap) + 1);

    if (bytes != NULL && hex != NULL &&
        dr_base64_decode(b64, strlen(b64), bytes, cap, &len) == DR_OK) {
        bool text = dr_utf8_valid(bytes, len);
        for (size_t i = 0; i < len && text; i++) {
            text = bytes[i] >= 0x20 || bytes[i] == '\n' || bytes[i] == '\t';
        }
        dr_hex_encode(bytes, len, hex);
        if (text) {
            printf("%.*s\n", (int)len, (const char *)bytes);
        } else {
            printf("%s\n", hex);
        }
    }
    free(bytes);
    free(hex);
}

static int device_request(struct cli *c, const char *id, const char *method, const char *uri,
                          const char *value)
{
    char path[PATH_TEXT_MAX], suffix[64];
    (void)snprintf(suffix, sizeof suffix, "/requests?wait=%ld", c->timeout_s);
    int rc = device_path(path, "/v3/drover/devices/", id, suffix);
    if (rc != CLI_OK) {
        return rc;
    }
    if (uri[0] != '/') {
        return cli_fail(CLI_USAGE, "'%s' is not a path like /3/0/0", uri);
    }
    char *b64 = value == NULL ? NULL : malloc(DR_BASE64_LEN(strlen(value)) + 1);
    if (value != NULL && b64 == NULL) {
        return cli_fail(CLI_FAILED, "out of memory");
    }
    json_t *body = json_pack("{s:s, s:s}", "method", method, "uri", uri);
    if (value != NULL) {
        (void)dr_base64_encode(value, strlen(value), b64);
        (void)json_object_set_new(body, "payload-b64", json_string(b64));
        (void)json_object_set_new(body, "content-type", json_string("text/plain"));
    }
    struct cli_answer a;
    cli_request(c, "POST", path, body, &a);
    rc = cli_answer_check(&a);
    if (rc == CLI_OK && c->json) {
        cli_print_json(c, a.json);
    }
    if (rc == CLI_OK && a.status == 202) {
        rc =
            cli_fail(CLI_TIMEOUT, "no result within %ld s; the request stays queued", c->timeout_s);
    } else if (rc == CLI_OK) {
        rc = exit_of_result((int)json_integer_value(json_object_get(a.json, "status")),
                            cli_text(a.json, "error"));
        if (rc == CLI_OK && !c->json && cli_text(a.json, "payload")[0] != '\0') {
            print_payload(cli_text(a.json, "payload"));
        }
    }
    cli_answer_fini(&a);
    json_decref(body);
    free(b64);
    return rc;
}

static int device_read(struct cli *c, int argc, char **argv)
{
    return argc != 2 ? CLI_USAGE : device_request(c, argv[0], "GET", argv[1], NULL);
}

static int device_write(struct cli *c, int argc, char **argv)
{
    return argc != 3 ? CLI_USAGE : device_request(c, argv[0], "PUT", argv[1], argv[2]);
}

static int device_exec(struct cli *c, int argc, char **argv)
{
    return argc < 2 || argc > 3
               ? CLI_USAGE
               : device_request(c, argv[0], "POST", argv[1], argc == 3 ? argv[2] : NULL);
}

/* One long poll: print what belongs to the device. */
static int print_notifications(struct cli *c, const char *id)
{
    struct cli_answer a;

    cli_request(c, "GET", "/v2/notification/pull", NULL, &a);
    int rc = cli_answer_check(&a);
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(a.json, "notifications"), i, item)
    {
        if (strcmp(cli_text(item, "ep"), id) != 0) {
            continue;
        }
        if (c->json) {
            cli_print_json(c, item);
        } else {
            printf("%s ", cli_text(item, "path"));
            print_payload(cli_text(item, "payload"));
        }
        (void)fflush(stdout);
    }
    json_array_foreach(json_object_get(a.json, "async-responses"), i, item)
    {
        if (c->json) {
            cli_print_json(c, item);
        }
    }
    cli_answer_fini(&a);
    return rc;
}

static int device_observe(struct cli *c, int argc, char **argv)
{
    if (argc < 2) {
        return CLI_USAGE;
    }
    for (int i = 1; i < argc; i++) {
        char path[PATH_TEXT_MAX];
        int rc = device_path(path, "/v2/subscriptions/", argv[0], argv[i]);
        struct cli_answer a = {0};
        if (rc == CLI_OK && argv[i][0] != '/') {
            rc = cli_fail(CLI_USAGE, "'%s' is not a path like /3303/0/5700", argv[i]);
        }
        if (rc == CLI_OK) {
            cli_request(c, "PUT", path, NULL, &a);
            rc = cli_answer_check(&a);
        }
        cli_answer_fini(&a);
        if (rc != CLI_OK) {
            return rc;
        }
    }
    int rc = CLI_OK;
    while (rc == CLI_OK) {
        rc = print_notifications(c, argv[0]);
    }
    return rc;
}

const struct cli_command cli_device_commands[] = {
    {"device", "ls", "[--filter F] [--limit N]", "list devices", device_ls},
    {"device", "get", "ID", "one device, as JSON", device_get},
    {"device", "resources", "ID", "what a registered device offers", device_resources},
    {"device", "read", "ID PATH", "read a resource and wait for the value", device_read},
    {"device", "write", "ID PATH VALUE", "write a resource", device_write},
    {"device", "exec", "ID PATH [ARGS]", "execute a resource", device_exec},
    {"device", "observe", "ID PATH…", "print values until stopped", device_observe},
    {"device", "events", "ID", "what happened to a device", device_events},
    {"device", "rm", "ID", "delete a device", device_rm},
    {0}};
